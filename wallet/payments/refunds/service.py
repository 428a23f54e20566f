"""Use cases of refunds: ask (the money is held), pay (it is posted), drop (it is free again)."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid, NotFound, RequestConflict
from kilokassa.core.ids import AccountId
from kilokassa.core.money import from_minor
from kilokassa.core.scope import Right, Role, Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import account_in_scope
from wallet.ledger import Reason, cash
from wallet.lots import LotKind
from wallet.models import HoldRow, WalletRow
from wallet.payments.models import RefundRow
from wallet.payments.payment import RefundState
from wallet.payments.refunds import store
from wallet.payments.refunds.refund import (
    OWN_MONEY,
    REQUISITES_MAX,
    TEXT_MAX,
    AskOrder,
    NotRefundable,
    Refund,
    RefundSettled,
)
from wallet.service import TakeOrder, take
from wallet.store import ADVANCE_WHY

TENDER = "bank"
"""A refund goes out by a payment order of the bank."""


@dataclass(frozen=True, slots=True)
class PayOrder:
    """A refund that was paid out, and the payment order that did it."""

    refund_id: int
    reference: str
    zone: ZoneInfo


def ask_refund(
    session: Session, scope: Scope, order: AskOrder, clock: Clock, *, most_minor: int | None = None
) -> Refund:
    """Hold money that its payer wants back; the same key and request again changes nothing.

    Never more than `most_minor`, where given: what is used already and not posted yet is not free.
    """
    wallet = _wallet(session, scope, order.account_id)
    known = session.scalars(
        select(RefundRow).where(
            RefundRow.actor == scope.actor, RefundRow.idempotency_key == order.idempotency_key
        )
    ).one_or_none()
    if known is not None:
        if known.request_digest != order.digest():
            raise RequestConflict(key=order.idempotency_key)
        return store.refund_in_reach(session, scope, known.id)
    _refuse_texts(order)
    now = clock.now()
    free_minor = store.refundable_minor(session, order.account_id, now, advance_of=order.advance_of)
    if most_minor is not None:
        free_minor = min(free_minor, most_minor)
    if order.amount_minor <= 0 or order.amount_minor > free_minor:
        most = max(0, free_minor)
        raise NotRefundable(
            account=order.account_id, most=str(from_minor(most).amount), most_minor=most
        )
    held = HoldRow(
        wallet_id=wallet.id,
        amount_minor=order.amount_minor,
        why=f"{ADVANCE_WHY}:{order.advance_of}" if order.advance_of else store.OWN_WHY,
        actor=scope.actor,
        idempotency_key=f"refund:{order.idempotency_key}",
        held_at=now,
        released_at=None,
        entry_id=None,
    )
    session.add(held)
    session.flush()
    row = RefundRow(
        account_id=order.account_id,
        amount_minor=order.amount_minor,
        # An advance goes back to whoever paid it, whatever name is typed.
        to_whom=order.advance_of or order.to_whom,
        requisites=order.requisites,
        why=order.why,
        hold_id=held.id,
        state=RefundState.ASKED,
        entry_id=None,
        actor=scope.actor,
        idempotency_key=order.idempotency_key,
        request_digest=order.digest(),
        asked_at=now,
        settled_at=None,
    )
    session.add(row)
    session.flush()
    return store.refund_in_reach(session, scope, row.id)


def pay_refund(session: Session, scope: Scope, order: PayOrder, clock: Clock) -> Refund:
    """Post a refund that was paid out; the same reference again changes nothing."""
    scope.demand(Right.MANAGE_WALLETS)
    reference = " ".join(order.reference.split())
    if not reference or len(reference) > TEXT_MAX:
        problem = mark("name the payment order by which it was paid")
        raise Invalid(where=mark("reference"), problem=problem)
    row, held = _asked(session, scope, order.refund_id)
    if row.state is RefundState.PAID and row.reference == reference:
        return store.refund_in_reach(session, scope, row.id)
    if row.state is not RefundState.ASKED:
        raise RefundSettled(number=row.id)
    now = clock.now()
    advance = held.why.startswith(ADVANCE_WHY)
    moved = take(
        session,
        TakeOrder(
            account_id=AccountId(row.account_id),
            reason=Reason.REFUND,
            amount_minor=row.amount_minor,
            against=cash(TENDER),
            valid_at=now,
            zone=order.zone,
            actor=scope.actor,
            idempotency_key=f"refund:{row.id}",
            kinds=frozenset({LotKind.ADVANCE}) if advance else OWN_MONEY,
            payer=row.to_whom if advance else None,
            pays_hold=held.id,
            detail={"refund": row.id, "to": row.to_whom, "reference": reference},
        ),
        clock,
    )
    held.released_at, held.entry_id = now, moved.entry_id
    row.state, row.entry_id = RefundState.PAID, moved.entry_id
    row.settled_by, row.settled_at, row.reference = scope.actor, now, reference
    session.flush()
    return store.refund_in_reach(session, scope, row.id)


def drop_refund(
    session: Session, scope: Scope, refund_id: int, clock: Clock, *, why: str = ""
) -> Refund:
    """Give a refund up: what was held is free again; who asked may do so, and staff."""
    row, held = _asked(session, scope, refund_id)
    if scope.role is not Role.RESIDENT:
        scope.demand(Right.MANAGE_WALLETS)
    if row.state is RefundState.DROPPED:
        return store.refund_in_reach(session, scope, row.id)
    if row.state is not RefundState.ASKED:
        raise RefundSettled(number=row.id)
    now = clock.now()
    held.released_at = now
    row.state, row.settled_by, row.settled_at = RefundState.DROPPED, scope.actor, now
    row.reference = " ".join(why.split())[:TEXT_MAX]
    session.flush()
    return store.refund_in_reach(session, scope, row.id)


def _wallet(session: Session, scope: Scope, account_id: AccountId) -> WalletRow:
    """Lock the wallet of an account in reach; its resident may ask, and staff."""
    scope.demand(Right.VIEW if scope.role is Role.RESIDENT else Right.MANAGE_WALLETS)
    query = select(WalletRow).where(
        WalletRow.account_id == account_id,
        account_in_scope(WalletRow.__table__.c.account_id, scope),
    )
    row = session.scalars(query.with_for_update()).one_or_none()
    if row is None:
        raise NotFound(what=mark("account"), name=str(account_id))
    return row


def _asked(session: Session, scope: Scope, refund_id: int) -> tuple[RefundRow, HoldRow]:
    found = store.refund_in_reach(session, scope, refund_id)
    locking = select(WalletRow.id).where(WalletRow.account_id == found.account_id)
    session.execute(locking.with_for_update())
    row = session.get_one(RefundRow, refund_id, populate_existing=True, with_for_update=True)
    return row, session.get_one(HoldRow, row.hold_id, populate_existing=True)


def _refuse_texts(order: AskOrder) -> None:
    for where, text, most in (
        (mark("who gets the refund"), order.to_whom, TEXT_MAX),
        (mark("requisites"), order.requisites, REQUISITES_MAX),
        (mark("reason"), order.why, TEXT_MAX),
        (mark("idempotency key"), order.idempotency_key, TEXT_MAX),
    ):
        if len(text) > most:
            problem = mark("it is longer than %(most)s characters")
            raise Invalid(where=where, problem=problem, most=most)
        if any(not c.isprintable() and c not in "\r\n\t" for c in text):
            raise Invalid(where=where, problem=mark("it holds characters that are no text"))
    if not order.to_whom.strip() and not order.advance_of:
        raise Invalid(where=mark("who gets the refund"), problem=mark("name who gets the money"))
