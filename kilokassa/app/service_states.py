"""How services stand, kept up with time: decided anew hour by hour, and notices ordered."""

from dataclasses import dataclass

from billing import store as billing_store
from billing.debts.service import concerned, recompute
from kilokassa.app.debts import keep_credits, order_limitation_notices
from kilokassa.app.wiring import Application
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.db.slices import in_slices
from wallet.debts.flags import FlagKind
from wallet.debts.store import accounts_flagged

ACCOUNTS_A_PART = 500


@dataclass(frozen=True, slots=True)
class StatesReport:
    """What deciding anew changed."""

    accounts: int
    changed: int
    notices: int


def decide_services(
    application: Application, *, scope: Scope, account_number: str | None = None
) -> StatesReport:
    """Decide how services stand, of all accounts that may have changed or of one; twice is once.

    What falls due by time alone (a due day, the days after a notice, an hour of the contract) is
    found here; what money changes is decided in its own transaction. Emergency credits that begin
    or end by their day are put in and taken back first. Notices that are due are written; no
    command is sent.
    """
    scope.demand(Right.RUN_BILLING)
    database, clock = application.database, application.clock
    with database.reading() as session:
        ids: list[AccountId]
        lent = accounts_flagged(session, FlagKind.EMERGENCY_CREDIT)
        if account_number is None:
            ids = concerned(session, None)
        else:
            row = billing_store.account_by_number(session, scope, account_number)
            ids = [AccountId(row.id)]
            lent = [one for one in lent if one == ids[0]]
    for part in in_slices(lent, ACCOUNTS_A_PART):
        with database.writing() as session:
            keep_credits(session, scope, part, clock)
    changed = 0
    for part in in_slices(ids, ACCOUNTS_A_PART):
        with database.writing() as session:
            changed += recompute(session, part, clock)
    with database.writing() as session:
        notices = order_limitation_notices(session, clock)
    return StatesReport(len(ids), changed, notices)
