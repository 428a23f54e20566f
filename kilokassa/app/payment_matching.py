"""Money in suspense: whose it may be, putting it on an account, taking it back, sending it back."""

from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.models import AccountRow
from invoices.models import DocumentRow
from invoices.service import CancelOrder, cancel_document
from kilokassa.app.bonuses import void_top_up
from kilokassa.app.payments import Payment, TakenPayment, take_payments
from kilokassa.core.calendar import local_date
from kilokassa.core.clock import Clock
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId, JournalEntryId
from kilokassa.core.scope import Scope
from kilokassa.core.text import filled, mark
from kilokassa.db.rights import account_in_scope
from metering.models import BuildingRow, PremisesRow
from wallet.models import WalletRow
from wallet.payments.payment import PaymentState
from wallet.payments.service import (
    NotInSuspense,
    NotTaken,
    checked_note,
    lock_payment,
    set_problems,
    set_taken,
)
from wallet.payments.slips import slips
from wallet.payments.store import Incoming
from wallet.service import ReverseOrder

SUGGESTIONS_MAX: Final = 10

IN_PURPOSE: Final = mark("the number stands in the purpose")
OWES_IT: Final = mark("it owes exactly this amount")
SAME_NAME: Final = mark("the payer has the same family name")


class AlreadyTaken(DomainError):
    """A payment that is on another account."""

    code = "payment_taken"
    template = mark("Payment %(payment)s is on another account: take it from there first.")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An account that a payment may be for, and why."""

    number: str
    payer_name: str
    address: str
    reasons: tuple[str, ...]
    """Messages of the catalogue, the strongest first."""


def suggestions(session: Session, scope: Scope, payment: Incoming) -> tuple[Suggestion, ...]:
    """Return accounts in reach that a payment may be for, the likeliest first."""
    reasons: dict[str, list[str]] = {}
    numbers = dict(slips(payment.account_text))
    for word in payment.purpose.split()[:40]:
        for number, reason in slips(word.strip(".,;:()№#\"'")):
            numbers.setdefault(number, reason)
    if numbers:
        query = select(AccountRow.number).where(AccountRow.number.in_(sorted(numbers)))
        for number in session.scalars(query.where(_reach(scope))):
            reasons.setdefault(number, []).append(numbers[number])
    words = [word.strip(".,;:()№#\"'") for word in payment.purpose.split()]
    named = {word for word in words if word.isascii() and word.isdigit() and 5 <= len(word) <= 20}
    if named:
        query = select(AccountRow.number).where(AccountRow.number.in_(sorted(named)))
        for number in session.scalars(query.where(_reach(scope))):
            reasons.setdefault(number, []).append(IN_PURPOSE)
    owing = (
        select(AccountRow.number)
        .join(WalletRow, WalletRow.account_id == AccountRow.id)
        .where(WalletRow.uncovered_minor == payment.amount_minor, _reach(scope))
        .order_by(AccountRow.number)
        .limit(SUGGESTIONS_MAX)
    )
    for number in session.scalars(owing):
        reasons.setdefault(number, []).append(OWES_IT)
    family = payment.payer.split()[0].strip(".,").capitalize() if payment.payer.split() else ""
    if len(family) > 2:
        alike = AccountRow.payer_name.startswith(f"{family} ", autoescape=True)
        query = select(AccountRow.number).where(alike, _reach(scope)).order_by(AccountRow.number)
        for number in session.scalars(query.limit(SUGGESTIONS_MAX)):
            reasons.setdefault(number, []).append(SAME_NAME)
    ranked = sorted(reasons, key=lambda number: (-len(reasons[number]), number))[:SUGGESTIONS_MAX]
    shown = _shown(session, ranked)
    return tuple(
        Suggestion(number, *shown[number], tuple(reasons[number]))
        for number in ranked
        if number in shown
    )


def match_payment(
    session: Session, scope: Scope, payment_id: int, account_number: str, clock: Clock
) -> TakenPayment | None:
    """Put money in suspense on an account, with receipt and notice; None where it is there."""
    row = lock_payment(session, scope, payment_id)
    account = billing_store.account_by_number(session, scope, account_number.strip())
    if row.state is PaymentState.TAKEN:
        if row.account_id == account.id:
            return None
        raise AlreadyTaken(payment=payment_id)
    if row.state is not PaymentState.SUSPENSE:
        raise NotInSuspense(payment=payment_id)
    # It may have been matched and taken back before: each time is a top-up of its own.
    again = "" if row.settled_at is None else f":{row.settled_at.isoformat()}"
    payment = Payment(
        account_id=AccountId(account.id),
        amount_minor=row.amount_minor,
        tender=row.tender,
        paid_at=min(row.paid_at, clock.now()),
        idempotency_key=f"incoming:{payment_id}{again}",
        reference=row.transaction_id,
    )
    (taken,) = take_payments(session, scope, [payment], clock)
    found = {payment_id: (payment.account_id, taken.result.entry_id)}
    set_taken(session, found, scope.actor, clock)
    return taken


def unmatch_payment(
    session: Session, scope: Scope, payment_id: int, why: str, clock: Clock
) -> None:
    """Take a payment back into suspense: its top-up is reversed, its receipt cancelled."""
    row = lock_payment(session, scope, payment_id)
    note = checked_note(why)
    if row.state is PaymentState.SUSPENSE and row.note == note:
        return
    if row.state is not PaymentState.TAKEN or row.entry_id is None or row.account_id is None:
        raise NotTaken(payment=payment_id)
    undo_top_up(
        session, scope, AccountId(row.account_id), JournalEntryId(row.entry_id), note, clock
    )
    row.state = PaymentState.SUSPENSE
    row.account_id = row.entry_id = None
    row.note = note
    row.settled_by, row.settled_at = scope.actor, clock.now()
    session.flush()
    set_problems(session, {payment_id: filled(mark("it was taken back: %(note)s"), note=note)})


def undo_top_up(
    session: Session,
    scope: Scope,
    account_id: AccountId,
    entry_id: JournalEntryId,
    why: str,
    clock: Clock,
) -> JournalEntryId:
    """Reverse a top-up with the bonus it earned, and cancel its receipt."""
    zone: ZoneInfo = billing_store.retailer_zone(session)
    order = ReverseOrder(
        account_id=account_id,
        entry_id=entry_id,
        why=why,
        valid_at=clock.now(),
        zone=zone,
        actor=scope.actor,
        idempotency_key=f"undo:{entry_id}",
    )
    reversal = void_top_up(session, order, clock)
    number = session.scalar(
        select(DocumentRow.number).where(DocumentRow.key == f"receipt:{entry_id}")
    )
    if number is not None:
        cancel_document(
            session,
            CancelOrder(scope, number, local_date(clock.now(), zone), why, f"undo:{entry_id}"),
            clock,
        )
    return reversal


def _reach(scope: Scope) -> ColumnElement[bool]:
    return account_in_scope(AccountRow.__table__.c.id, scope)


def _shown(session: Session, numbers: list[str]) -> dict[str, tuple[str, str]]:
    query = (
        select(AccountRow.number, AccountRow.payer_name, BuildingRow.address, PremisesRow.number)
        .join(PremisesRow, PremisesRow.id == AccountRow.premises_id)
        .join(BuildingRow, BuildingRow.id == PremisesRow.building_id)
        .where(AccountRow.number.in_(numbers))
    )
    return {
        number: (payer, f"{address}, {premises}")
        for number, payer, address, premises in session.execute(query)
    }


def account_numbers(session: Session, ids: list[AccountId]) -> dict[AccountId, str]:
    """Return the numbers of accounts, for lists of payments that are in reach."""
    query = select(AccountRow.id, AccountRow.number).where(AccountRow.id.in_(sorted(set(ids))))
    return {AccountId(row_id): number for row_id, number in session.execute(query)}
