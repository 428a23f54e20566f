"""Topping up by a provider: the split before paying, the order, and what the provider then tells.

Only a provider's signed message makes money: an order is a wish. What is told of no order, or of
one that does not fit, is money all the same and waits in suspense.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from billing import store as billing_store
from kilokassa.app.auto_top_ups import receive_auto
from kilokassa.app.bonuses import preview_top_up
from kilokassa.app.payment_matching import undo_top_up
from kilokassa.app.payments import Payment, Told, opening_shares, take_payments
from kilokassa.app.settings import ProviderSettings
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import local_date
from kilokassa.core.clock import Clock
from kilokassa.core.digest import canonical_json, digest_value
from kilokassa.core.errors import DomainError, Invalid, NotFound, RequestConflict
from kilokassa.core.ids import AccountId, JournalEntryId
from kilokassa.core.money import from_minor
from kilokassa.core.scope import Right, Scope, system_scope
from kilokassa.core.text import filled, mark
from wallet import store as wallet_store
from wallet.payments import store
from wallet.payments.auto import store as auto_store
from wallet.payments.models import IncomingPaymentRow, PaymentOrderRow
from wallet.payments.payment import OrderState, PaymentSource, PaymentState
from wallet.payments.service import NewIncoming, record_one, set_problems, set_taken
from wallet.payments.signing import MessageKind, ProviderMessage
from wallet.payments.split import NOTHING_ASIDE, Owed, ReserveWish, Split, split_top_up
from wallet.reserves.service import MoveOrder, add
from wallet.reserves.store import reserve_of
from wallet.topups import NotAnAmount

TEST_PROVIDER: Final = "test"
"""The provider whose page is our own: in a demo, or where the settings name it so."""

ORDER_LIVES: Final = timedelta(days=1)
MOST_MINOR: Final = 1_000_000_00
"""More than a million roubles at once is a slip of the finger."""

NO_ORDER: Final = mark("there is no payment order %(order)s")
OF_ANOTHER: Final = mark("payment order %(order)s is of another provider")
PAID_BEFORE: Final = mark("payment order %(order)s was paid before")
OTHER_AMOUNT: Final = mark("payment order %(order)s is of %(wanted)s roubles")


class NoProvider(DomainError):
    """Nothing is set up by which a resident could pay on a page."""

    code = "no_provider"
    template = mark("No payment provider is set up: pay from your bank by the code.")


@dataclass(frozen=True, slots=True)
class ShownSplit:
    """What of a top-up goes where, and the bonus it would earn, before anybody pays."""

    split: Split
    bonus_minor: int
    bonus_rule: str

    def to_json(self) -> str:
        """Return it as an order keeps it."""
        return canonical_json(
            {
                **{str(part): minor for part, minor in self.split.parts},
                "bonus": self.bonus_minor,
                "rule": self.bonus_rule,
            }
        )


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A top-up that a resident begins."""

    account_id: AccountId
    amount_minor: int
    idempotency_key: str
    wish: ReserveWish = NOTHING_ASIDE
    reserve_id: int | None = None


def providers_of(application: Application, session: Session) -> Mapping[str, ProviderSettings]:
    """Return the providers by code; a demo has the test provider, with a secret of its own.

    Whoever draws on cards tells of it with the secret of its gateway, where it has no other.
    """
    found = {
        one.code: ProviderSettings(one.code, one.secret)
        for one in application.settings.card_gateways
    }
    found |= {one.code: one for one in application.settings.providers}
    if TEST_PROVIDER not in found and billing_store.retailer(session).demo:
        secret = hmac.new(application.secret_key.encode(), b"test provider", sha256).hexdigest()
        found[TEST_PROVIDER] = ProviderSettings(TEST_PROVIDER, secret)
    return found


def paying_provider(application: Application, session: Session) -> ProviderSettings | None:
    """Return the provider on whose page residents pay: the first that has one."""
    providers = providers_of(application, session)
    with_page = [one for _, one in sorted(providers.items()) if one.page_url]
    return with_page[0] if with_page else providers.get(TEST_PROVIDER)


def split_of(
    session: Session,
    scope: Scope,
    account_id: AccountId,
    amount_minor: int,
    clock: Clock,
    *,
    wish: ReserveWish = NOTHING_ASIDE,
) -> ShownSplit:
    """Return where each kopeck of a top-up would go, were it paid now."""
    scope.demand(Right.VIEW)
    billing_store.account_in_reach(session, scope, account_id)
    if not 0 < amount_minor <= MOST_MINOR:
        raise NotAnAmount(account=account_id, amount=amount_minor)
    split = split_top_up(amount_minor, owed_of(session, account_id, clock), wish)
    on = local_date(clock.now(), billing_store.retailer_zone(session))
    foreseen = preview_top_up(session, account_id, amount_minor, on)
    bonus_minor = sum([one.amount_minor for one in foreseen])
    return ShownSplit(split, bonus_minor, ", ".join(one.rule.code for one in foreseen))


def owed_of(session: Session, account_id: AccountId, clock: Clock) -> Owed:
    """Return what an account owes, and the share of a top-up that old debt takes at most."""
    balance = wallet_store.balances(session, [account_id], clock.now()).get(account_id)
    if balance is None:
        return Owed()
    share = opening_shares(session, [account_id], clock)[account_id]
    return Owed(balance.new_debt_minor, balance.opening_debt_minor, share)


def place_order(
    session: Session, scope: Scope, asked: OrderRequest, provider: ProviderSettings, clock: Clock
) -> PaymentOrderRow:
    """Begin a top-up under a public id that nobody guesses; the same request again is the same."""
    shown = split_of(session, scope, asked.account_id, asked.amount_minor, clock, wish=asked.wish)
    if asked.reserve_id is not None:
        reserve_of(session, scope, asked.account_id, asked.reserve_id)
    known = session.scalars(
        select(PaymentOrderRow).where(
            PaymentOrderRow.actor == scope.actor,
            PaymentOrderRow.idempotency_key == asked.idempotency_key,
        )
    ).one_or_none()
    if known is not None:
        if (known.account_id, known.amount_minor, known.reserve_id) != (
            asked.account_id,
            asked.amount_minor,
            asked.reserve_id,
        ):
            raise RequestConflict(key=asked.idempotency_key)
        return known
    now = clock.now()
    row = PaymentOrderRow(
        public_id=secrets.token_urlsafe(24),
        account_id=asked.account_id,
        amount_minor=asked.amount_minor,
        reserve_id=asked.reserve_id,
        reserve_minor=shown.split.to_reserve_minor if asked.reserve_id is not None else 0,
        split=shown.to_json(),
        provider=provider.code,
        state=OrderState.OPEN,
        actor=scope.actor,
        idempotency_key=asked.idempotency_key,
        created_at=now,
        expires_at=now + ORDER_LIVES,
    )
    session.add(row)
    session.flush()
    return row


def expire_orders(session: Session, clock: Clock) -> int:
    """Say of orders that nobody paid in time that they ended; money that still comes is taken."""
    now = clock.now()
    ended = (
        update(PaymentOrderRow)
        .where(PaymentOrderRow.state == OrderState.OPEN, PaymentOrderRow.expires_at <= now)
        .values(state=OrderState.EXPIRED, settled_at=now)
        .returning(PaymentOrderRow.id)
    )
    return len(session.scalars(ended).all())


def page_address(provider: ProviderSettings, order: PaymentOrderRow) -> str:
    """Return where an order is paid at its provider; empty where that is a page of ours."""
    amount = str(from_minor(order.amount_minor).amount)
    return provider.page_url.replace("{order}", order.public_id).replace("{amount}", amount)


def receive(
    session: Session, provider: ProviderSettings, message: ProviderMessage, clock: Clock
) -> Told:
    """Do what a provider's message, proved by its signature, says; the same again does nothing."""
    scope = system_scope(f"provider:{provider.code}")
    told = receive_auto(session, provider.code, message, clock)
    if told is not None:
        return told
    if message.kind is MessageKind.REFUSED:
        return _refused(session, provider, message, clock)
    if message.kind is MessageKind.REFUNDED:
        return _refunded(session, scope, provider, message, clock)
    return _paid(session, scope, provider, message, clock)


def _paid(
    session: Session,
    scope: Scope,
    provider: ProviderSettings,
    message: ProviderMessage,
    clock: Clock,
) -> Told:
    now = clock.now()
    row, known = record_one(
        session,
        scope,
        NewIncoming(
            PaymentSource.PROVIDER,
            provider.code,
            message.transaction_id,
            "",
            message.amount_minor,
            provider.tender,
            min(message.paid_at or now, now),
            message.payer,
            message.order_id,
            request_digest=digest_value(
                {"order": message.order_id, "amount": message.amount_minor}
            ),
        ),
        clock,
    )
    if known:
        return Told(row.state, True, row.entry_id)
    order = _locked_order(session, message.order_id)
    problem = _misfit(order, provider, message)
    if problem or order is None:
        set_problems(session, {row.id: problem})
        return Told(PaymentState.SUSPENSE, False)
    account_id = AccountId(order.account_id)
    payment = Payment(
        account_id=account_id,
        amount_minor=message.amount_minor,
        tender=provider.tender,
        paid_at=row.paid_at,
        idempotency_key=f"order:{order.public_id}",
        reference=message.transaction_id[:80],
    )
    (taken,) = take_payments(session, scope, [payment], clock)
    set_taken(session, {row.id: (account_id, taken.result.entry_id)}, scope.actor, clock)
    order.state, order.entry_id = OrderState.PAID, taken.result.entry_id
    order.provider_reference, order.settled_at = message.transaction_id, now
    session.flush()
    _set_aside(session, scope, order, row.id, clock)
    return Told(PaymentState.TAKEN, False, taken.result.entry_id)


def _set_aside(
    session: Session, scope: Scope, order: PaymentOrderRow, payment_id: int, clock: Clock
) -> None:
    """Set the part aside that was wished; what cannot be stays on the balance, and is told.

    Since the split was shown, something may have been used that is not paid, or the reserve ended.
    """
    if order.reserve_id is None or not order.reserve_minor:
        return
    wanted = MoveOrder(
        AccountId(order.account_id),
        order.reserve_id,
        order.reserve_minor,
        billing_store.retailer_zone(session),
        f"order:{order.public_id}:reserve",
    )
    try:
        with session.begin_nested():
            add(session, scope, wanted, clock)
    except DomainError as refusal:
        row = session.get_one(IncomingPaymentRow, payment_id)
        row.note = f"not set aside: {refusal}"[:300]
        session.flush()


def _misfit(
    order: PaymentOrderRow | None, provider: ProviderSettings, message: ProviderMessage
) -> str:
    """Return why money that was paid is not what its order asked for; empty where it is."""
    if order is None:
        return filled(NO_ORDER, order=message.order_id[:60])
    if order.provider != provider.code:
        return filled(OF_ANOTHER, order=order.public_id)
    if order.state is OrderState.PAID:
        return filled(PAID_BEFORE, order=order.public_id)
    if order.amount_minor != message.amount_minor:
        wanted = str(from_minor(order.amount_minor).amount)
        return filled(OTHER_AMOUNT, order=order.public_id, wanted=wanted)
    return ""


def _refused(
    session: Session, provider: ProviderSettings, message: ProviderMessage, clock: Clock
) -> Told:
    order = _locked_order(session, message.order_id)
    if order is None or order.provider != provider.code:
        raise NotFound(what=mark("payment order"), name=message.order_id[:40])
    if order.state is not OrderState.OPEN:
        return Told(order.state, True, order.entry_id)
    order.state, order.settled_at = OrderState.REFUSED, clock.now()
    order.provider_reference = message.transaction_id
    session.flush()
    return Told(OrderState.REFUSED, False)


def _refunded(
    session: Session,
    scope: Scope,
    provider: ProviderSettings,
    message: ProviderMessage,
    clock: Clock,
) -> Told:
    """Take back what the provider gave back to the payer: the whole of one transaction."""
    found = store.payment_of_provider(session, provider.code, message.transaction_id)
    attempt = auto_store.attempt_by_key(session, provider.code, message.order_id)
    of_another = found is None or found.purpose != message.order_id
    if attempt is not None and of_another and attempt.answer in ("", message.transaction_id):
        found = auto_store.incoming_by_key(session, provider.code, message.order_id)
    if found is None:
        raise NotFound(what=mark("payment"), name=message.transaction_id[:40])
    row = session.scalars(
        select(IncomingPaymentRow)
        .where(IncomingPaymentRow.id == found.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if row.amount_minor != message.amount_minor or row.purpose != message.order_id:
        raise Invalid(
            where=mark("message of the provider"),
            problem=mark("a refund is of the whole payment, %(amount)s roubles, and its order"),
            amount=str(from_minor(row.amount_minor).amount),
        )
    if row.state is PaymentState.RETURNED:
        return Told(row.state, True)
    reversal: int | None = None
    if row.entry_id is not None and row.account_id is not None:
        why = "refunded by the provider"
        account_id, entry_id = AccountId(row.account_id), JournalEntryId(row.entry_id)
        reversal = undo_top_up(session, scope, account_id, entry_id, why, clock)
    row.state, row.entry_id = PaymentState.RETURNED, None
    row.note = f"{provider.code}: refunded"
    row.settled_by, row.settled_at = scope.actor, clock.now()
    session.flush()
    return Told(PaymentState.RETURNED, False, reversal)


def _locked_order(session: Session, public_id: str) -> PaymentOrderRow | None:
    query = select(PaymentOrderRow).where(PaymentOrderRow.public_id == public_id)
    locked = query.with_for_update().execution_options(populate_existing=True)
    return session.scalars(locked).one_or_none()


def order_ended(order: PaymentOrderRow, now: datetime) -> bool:
    """Say whether an order that is open may not be paid any more."""
    return order.state is OrderState.OPEN and order.expires_at <= now
