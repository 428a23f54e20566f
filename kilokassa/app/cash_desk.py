"""The cash desk: money that staff take by hand, and what a day of it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from billing import store as billing_store
from kilokassa.app.payments import Payment, TakenPayment, take_payments
from kilokassa.core.calendar import local_day
from kilokassa.core.clock import Clock
from kilokassa.core.scope import Scope
from wallet.models import JournalEntryRow
from wallet.payments import store
from wallet.payments.payment import PaymentSource, PaymentState
from wallet.payments.service import NewIncoming, record_one, set_taken


@dataclass(frozen=True, slots=True)
class TillLine:
    """What one person took by one tender on a day."""

    actor: str
    tender: str
    count: int
    amount_minor: int


def take_at_desk(session: Session, scope: Scope, payment: Payment, clock: Clock) -> TakenPayment:
    """Take money at the desk once, with its receipt, and keep it among the payments.

    What staff take in by the interface or by a command comes here too, under their keys.
    """
    number = billing_store.account_in_reach(session, scope, payment.account_id).number
    new = NewIncoming(
        PaymentSource.CASH_DESK,
        scope.actor,
        payment.idempotency_key,
        number,
        payment.amount_minor,
        payment.tender,
        payment.paid_at,
        purpose=payment.reference,
    )
    row, _ = record_one(session, scope, new, clock)
    (taken,) = take_payments(session, scope, [payment], clock)
    if row.state is PaymentState.SUSPENSE and row.settled_at is None:
        if taken.result.repeated:
            # Taken before payments were kept: it is of the till of that day, not of today's.
            entry = session.get_one(JournalEntryRow, taken.result.entry_id)
            row.received_at = entry.recorded_at
            session.flush()
        found = {row.id: (payment.account_id, taken.result.entry_id)}
        set_taken(session, found, scope.actor, clock)
    return taken


def till_of_day(session: Session, scope: Scope, day: date) -> tuple[TillLine, ...]:
    """Return what the desk took on a local day by person and tender, but what was undone."""
    period = local_day(day, billing_store.retailer_zone(session))
    taken = store.taken_between(session, scope, PaymentSource.CASH_DESK, period.start, period.end)
    return till_lines(taken)


def till_lines(taken: Sequence[store.Incoming]) -> tuple[TillLine, ...]:
    """Return payments summed by person and tender."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for one in taken:
        if one.state is PaymentState.TAKEN:
            count, minor = sums.get((one.actor, one.tender), (0, 0))
            sums[one.actor, one.tender] = (count + 1, minor + one.amount_minor)
    return tuple(TillLine(*key, *found) for key, found in sorted(sums.items()))
