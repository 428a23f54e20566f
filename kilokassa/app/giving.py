"""What staff give to a wallet beside the payer's own money: compensations and others' advances."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.debts.service import recompute
from billing.models import Service
from kilokassa.app.payments import TENDERS
from kilokassa.core.calendar import local_date, local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from wallet.ledger import COMPENSATION_EXPENSE, Reason, cash
from wallet.lots import LotKind
from wallet.service import Moved, PutOrder, put

GIVEN: Final = (LotKind.COMPENSATION, LotKind.ADVANCE)
TEXT_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class GiftOrder:
    """Money that comes into a wallet and is not its payer's: whose, for what, until when."""

    account_id: AccountId
    kind: LotKind
    """A compensation, which the retailer bears, or the advance of a third person."""
    amount_minor: int
    why: str
    """The document that it rests on: an order, a decision, a payment order."""
    idempotency_key: str
    service: str = ""
    """The only service that it pays for; empty: any."""
    payer: str = ""
    """Who paid an advance, and alone gets the rest of it back."""
    tender: str = "bank"
    """By which an advance came in."""
    through_on: date | None = None
    """The last local day of a compensation; an advance never ends."""


def give(session: Session, scope: Scope, order: GiftOrder, clock: Clock) -> Moved:
    """Put a compensation or an advance into a wallet, once, and judge its services anew.

    Raises `Invalid` where the document or the payer is not named, or a field has no such value.
    """
    scope.demand(Right.MANAGE_WALLETS)
    billing_store.account_in_reach(session, scope, order.account_id)
    why, payer = " ".join(order.why.split()), " ".join(order.payer.split())
    advance = order.kind is LotKind.ADVANCE
    zone = billing_store.retailer_zone(session)
    now = clock.now()
    if order.kind not in GIVEN:
        raise Invalid(where=mark("kind"), problem=mark("a compensation or an advance"))
    if not 0 < len(why) <= TEXT_MAX:
        raise Invalid(where=mark("document"), problem=mark("name the document that it rests on"))
    if advance != bool(payer) or len(payer) > TEXT_MAX:
        problem = mark("an advance names who paid it, and a compensation nobody")
        raise Invalid(where=mark("payer"), problem=problem)
    if order.service and order.service not in {str(one) for one in Service}:
        raise Invalid(where=mark("service"), problem=mark("there is no such service"))
    if order.tender not in TENDERS:
        raise Invalid(where=mark("tender"), problem=mark("there is no such way to pay"))
    expires_at = None
    if order.through_on is not None:
        if advance or not local_date(now, zone) <= order.through_on < date(2100, 1, 1):
            problem = mark("a compensation ends today or later, an advance does not end")
            raise Invalid(where=mark("last day"), problem=problem)
        expires_at = local_midnight(order.through_on + timedelta(days=1), zone)
    moved = put(
        session,
        PutOrder(
            account_id=order.account_id,
            reason=Reason.TOP_UP if advance else Reason.COMPENSATION,
            kind=order.kind,
            amount_minor=order.amount_minor,
            against=cash(order.tender) if advance else COMPENSATION_EXPENSE,
            valid_at=now,
            zone=zone,
            actor=scope.actor,
            idempotency_key=order.idempotency_key,
            expires_at=expires_at,
            service=order.service,
            payer=payer,
            detail={"why": why},
        ),
        clock,
    )
    recompute(session, [order.account_id], clock)
    return moved
