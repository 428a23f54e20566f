"""The running month of prepaid accounts: rated from its start, posted as it grows.

Each time the month is rated from its beginning up to what is known, and what is not yet posted is
posted; so the postings telescope to the once-rounded lines of the close. A month that is over but
not closed goes on in the same way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from billing import service as billing_service
from billing import store as billing_store
from billing.charges import AccountCharge
from billing.debts.service import recompute
from billing.models import Measurement, Service, Settlement
from billing.month.service import rate_month
from billing.service import RunningOrder
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.ids import AccountId
from wallet import store as wallet_store
from wallet.service import ChargeBatch, ChargeOrder, charge_batch

ACCOUNTS_A_PART = 1_000

JOB_ACTOR = "job:running"


@dataclass(frozen=True, slots=True)
class RunningReport:
    """What rating the running month did."""

    accounts: int
    posted: int
    amount_minor: int


def rate_running_months(
    application: Application,
    *,
    account_ids: Sequence[AccountId] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RunningReport:
    """Post what prepaid accounts used up to the last full local day; twice changes nothing."""
    database = application.database
    now = application.clock.now()
    with database.reading() as session:
        zone = billing_store.retailer_zone(session)
        today = local_date(now, zone)
        month = Month.of(today)
        ids = list(account_ids or billing_store.account_id_range(session, month))
    posted = amount_minor = 0
    for start in range(0, len(ids), ACCOUNTS_A_PART):
        part = ids[start : start + ACCOUNTS_A_PART]
        for running in (month.plus(-1), month):
            found = _rate_part(application, part, running, today, zone, now)
            posted += found[0]
            amount_minor += found[1]
        if progress is not None:
            progress(min(start + ACCOUNTS_A_PART, len(ids)), len(ids))
    return RunningReport(len(ids), posted, amount_minor)


def _rate_part(
    application: Application,
    account_ids: Sequence[AccountId],
    month: Month,
    today: date,
    zone: ZoneInfo,
    now: datetime,
) -> tuple[int, int]:
    until = min(today, month.plus(1).first_day)
    with application.database.reading() as session:
        accounts = [
            account
            for account in billing_store.billed_accounts(session, account_ids, month)
            if account.settlement is Settlement.PREPAID
            and account.measurement is Measurement.INTERVALS
        ]
        open_ids = wallet_store.open_in(session, [a.id for a in accounts], month.ordinal)
        accounts = [account for account in accounts if account.id in open_ids]
        if not accounts or until <= month.first_day:
            return 0, 0
        rated = rate_month(session, accounts, month, until=until)
        # What is taken already stands until the plan can price the month again.
        charges = {i: charge for i, charge in rated.charges.items() if i not in rated.refused}
    with application.database.writing() as session:
        return _post(session, application, charges, month, until, zone, now)


def _post(
    session: Session,
    application: Application,
    charges: dict[AccountId, AccountCharge],
    month: Month,
    until: date,
    zone: ZoneInfo,
    now: datetime,
) -> tuple[int, int]:
    """Post the growth since last time; what was posted is read under the wallets' locks."""
    wallets = wallet_store.lock_wallets(session, list(charges))
    running = billing_store.running_charges(session, list(charges), month)
    service = Service.ELECTRICITY
    known_until = local_midnight(until, zone)
    orders, rows = [], []
    for account_id, charge in charges.items():
        closed = wallets[account_id].closed_through_month
        if closed is not None and closed >= month.ordinal:
            continue
        before = running.get((account_id, str(service)))
        posted_minor = 0 if before is None else before.posted_minor
        total_minor = charge.total_minor(service)
        if before is not None and posted_minor == total_minor and before.known_until == known_until:
            continue
        rows.append(
            RunningOrder(account_id, month, service, known_until, total_minor, charge.digest)
        )
        if total_minor != posted_minor:
            orders.append(
                ChargeOrder(
                    account_id=account_id,
                    parts=((str(service), total_minor - posted_minor),),
                    charge_month=month,
                    month=month,
                    valid_at=known_until,
                    # The row of what is posted, written with it, makes a repeat harmless; the key
                    # only has to differ each time.
                    idempotency_key=f"run:{month}:{account_id}:{wallets[account_id].entry_count}",
                )
            )
    charge_batch(session, ChargeBatch(orders, JOB_ACTOR, zone), application.clock)
    billing_service.record_running(session, rows, now)
    recompute(session, sorted({order.account_id for order in orders}), application.clock)
    return len(orders), sum(order.total_minor for order in orders)
