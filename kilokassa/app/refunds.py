"""Giving money back, and moving it between accounts of one payer."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.models import AccountRow
from kilokassa.app.overview import overviews
from kilokassa.core.clock import Clock
from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.ids import AccountId
from kilokassa.core.money import from_minor
from kilokassa.core.scope import Right, Role, Scope
from kilokassa.core.text import mark
from wallet import store as wallet_store
from wallet.ledger import TRANSFERS, Reason
from wallet.lots import LotKind
from wallet.payments.refunds import service as refund_service
from wallet.payments.refunds import store as refund_store
from wallet.payments.refunds.refund import (
    OWN_MONEY,
    TEXT_MAX,
    AskOrder,
    NotRefundable,
    Refund,
)
from wallet.service import PutOrder, TakeOrder, put, take


class NotOnePayer(DomainError):
    """Money does not move between accounts of different people without a reason."""

    code = "not_one_payer"
    template = mark(
        "Accounts %(source)s and %(target)s have different payers: staff may transfer, "
        "and says why."
    )


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """Money that moves between two accounts of one payer."""

    source: str
    """Number of the account that pays."""
    target: str
    amount_minor: int
    idempotency_key: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Transferred:
    """What a transfer did."""

    repeated: bool
    amount_minor: int
    source_balance_minor: int
    target_balance_minor: int


def refundable_minor(session: Session, account: AccountRow, clock: Clock) -> int:
    """Return what a payer may have back now: own money that is not used already."""
    account_id = AccountId(account.id)
    free_minor = refund_store.refundable_minor(session, account_id, clock.now())
    return max(0, min(free_minor, _unused_minor(session, account, clock)))


def ask_for_refund(session: Session, scope: Scope, order: AskOrder, clock: Clock) -> Refund:
    """Hold money that is asked back, as far as it is not used already."""
    account = billing_store.account_in_reach(session, scope, order.account_id)
    wallet_store.hold_wallets(session, [order.account_id])
    most_minor = _unused_minor(session, account, clock, advance_of=order.advance_of)
    return refund_service.ask_refund(session, scope, order, clock, most_minor=most_minor)


def transfer(
    session: Session,
    scope: Scope,
    order: TransferOrder,
    clock: Clock,
    *,
    most_minor: int | None = None,
) -> Transferred:
    """Move own money from one account to another in reach; two entries under one key.

    A resident moves between accounts that are granted to them; staff between accounts of one payer,
    or of two with a reason that both entries keep. `most_minor` is what may go, where whoever asks
    has just charged all that was used; else it is what is refundable.
    """
    scope.demand(Right.VIEW if scope.role is Role.RESIDENT else Right.MANAGE_WALLETS)
    source = billing_store.account_by_number(session, scope, order.source)
    target = billing_store.account_by_number(session, scope, order.target)
    if source.id == target.id:
        raise Invalid(where=mark("transfer"), problem=mark("it goes to another account"))
    why = " ".join(order.why.split())
    if len(why) > TEXT_MAX or len(order.idempotency_key) > TEXT_MAX:
        problem = mark("it is longer than %(most)s characters")
        raise Invalid(where=mark("reason"), problem=problem, most=TEXT_MAX)
    other_payer = source.payer_name.casefold() != target.payer_name.casefold()
    if scope.role is not Role.RESIDENT and other_payer and not why:
        raise NotOnePayer(source=source.number, target=target.number)
    ids = AccountId(source.id), AccountId(target.id)
    wallet_store.hold_wallets(session, ids)
    key = f"transfer:{order.idempotency_key}"
    known = wallet_store.answers(session, scope.actor, [f"{key}:out"])
    now, zone = clock.now(), billing_store.retailer_zone(session)
    if not known:
        free_minor = refundable_minor(session, source, clock) if most_minor is None else most_minor
        if order.amount_minor <= 0 or order.amount_minor > free_minor:
            raise NotRefundable(
                account=source.number,
                most=str(from_minor(free_minor).amount),
                most_minor=free_minor,
            )
    detail = {"from": source.number, "to": target.number, "why": why}
    gone = take(
        session,
        TakeOrder(
            account_id=ids[0],
            reason=Reason.TRANSFER_OUT,
            amount_minor=order.amount_minor,
            against=TRANSFERS,
            valid_at=now,
            zone=zone,
            actor=scope.actor,
            idempotency_key=f"{key}:out",
            kinds=OWN_MONEY,
            detail=detail,
        ),
        clock,
    )
    come = put(
        session,
        PutOrder(
            account_id=ids[1],
            reason=Reason.TRANSFER_IN,
            kind=LotKind.OWN,
            amount_minor=order.amount_minor,
            against=TRANSFERS,
            valid_at=now,
            zone=zone,
            actor=scope.actor,
            idempotency_key=f"{key}:in",
            detail=detail,
        ),
        clock,
    )
    return Transferred(gone.repeated, order.amount_minor, gone.balance_minor, come.balance_minor)


def _unused_minor(
    session: Session, account: AccountRow, clock: Clock, *, advance_of: str = ""
) -> int:
    """Return what is available; of an account that has ended, all that is posted.

    A credit does not count, nor what stands beside a debt from before the wallet, nor what pays one
    service alone: else they would pay for what was used,
    and the money that has to would be gone. To whoever gave that, it is theirs.
    """
    account_id, now = AccountId(account.id), clock.now()
    found = overviews(session, [account_id], now).get(account_id)
    balance = (
        wallet_store.balances(session, [account_id], now)[account_id]
        if found is None
        else found.balance
    )
    unused_minor = balance.available_minor - balance.credit_minor - balance.opening_debt_minor
    return unused_minor if advance_of else unused_minor - balance.restricted_minor
