"""A resident's order is paid by its provider's word alone, once, whatever is said how often."""

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from billing import store as billing_store
from invoices.models import DocumentRow
from kilokassa.app.cash_desk import take_at_desk, till_of_day
from kilokassa.app.debts import set_flag
from kilokassa.app.payment_orders import (
    OrderRequest,
    expire_orders,
    place_order,
    receive,
    split_of,
)
from kilokassa.app.payments import Payment, take_payments
from kilokassa.app.settings import BadSetting, ProviderSettings, Settings
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import DomainError, RequestConflict
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope
from tests.payments_town import SCOPE, found_town
from tests.wallet.reserves_town import publish as publish_offer
from wallet import store as wallet_store
from wallet.debts.flags import FlagKind
from wallet.payments import store
from wallet.payments.models import PaymentOrderRow
from wallet.payments.payment import OrderState, PaymentState
from wallet.payments.signing import MessageKind, ProviderMessage
from wallet.payments.split import Part, ReserveWish
from wallet.reserves.service import SignOrder, sign
from wallet.reserves.store import reserve_of
from wallet.service import ChargeBatch, ChargeOrder, charge_batch, verify

BANK = ProviderSettings("bank", "s" * 32, "sbp")
OTHER = ProviderSettings("other", "t" * 32, "card")
PREPAID, OWING = "2799000004", "2799000002"


@pytest.fixture
def town(database, clock):
    return found_town(database, clock)


@pytest.fixture
def small_town(sqlite_database, clock):
    return found_town(sqlite_database, clock)


def account(database, number=PREPAID):
    with database.reading() as session:
        return AccountId(billing_store.account_by_number(session, SCOPE, number).id)


def resident(account_id):
    return Scope(Role.RESIDENT, "user:7", account_ids=frozenset({account_id}))


def ordered(database, clock, number=PREPAID, amount_minor=1_500_00, key="k"):
    account_id = account(database, number)
    with database.writing() as session:
        wanted = OrderRequest(account_id, amount_minor, key)
        return place_order(session, resident(account_id), wanted, BANK, clock)


def paid(order, transaction="t1", amount_minor=None):
    amount = order.amount_minor if amount_minor is None else amount_minor
    return ProviderMessage(MessageKind.PAID, transaction, order.public_id, amount)


def tell(database, message, clock, provider=BANK):
    with database.writing() as session:
        return receive(session, provider, message, clock)


def posted(database, number=PREPAID):
    account_id = account(database, number)
    with database.reading() as session:
        at = datetime(2026, 12, 1, tzinfo=UTC)
        return wallet_store.balances(session, [account_id], at)[account_id].posted_minor


def state(database, order):
    with database.reading() as session:
        query = select(PaymentOrderRow.state).where(PaymentOrderRow.id == order.id)
        return session.scalars(query).one()


def test_an_order_is_paid_once_however_often_the_provider_says_so(town, clock):
    before = posted(town)
    order = ordered(town, clock)
    assert posted(town) == before

    first = tell(town, paid(order), clock)
    second = tell(town, paid(order), clock)

    assert (first.state, first.repeated, second.repeated) == (PaymentState.TAKEN, False, True)
    assert second.entry_id == first.entry_id
    assert posted(town) == before + 1_500_00
    assert state(town, order) is OrderState.PAID
    with town.reading() as session:
        assert list(verify(session)) == []


def test_two_messages_at_once_pay_an_order_once_and_the_other_money_waits(town, clock):
    before = posted(town)
    order = ordered(town, clock)
    told = []
    threads = [
        threading.Thread(target=lambda t=t: told.append(tell(town, paid(order, t), clock)))
        for t in ("t1", "t1", "t2")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(told) == 3
    assert posted(town) == before + 1_500_00
    with town.reading() as session:
        sums = store.sums_by_state(session, SCOPE)
    assert [sums[s].count for s in (PaymentState.TAKEN, PaymentState.SUSPENSE)] == [1, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"amount_minor": 1_500_01},
        {"order_id": "no-such-order"},
    ],
)
def test_money_that_does_not_fit_its_order_waits_for_a_person(small_town, clock, change):
    before = posted(small_town)
    order = ordered(small_town, clock)

    told = tell(small_town, replace(paid(order), **change), clock)

    assert told.state == PaymentState.SUSPENSE
    assert posted(small_town) == before
    assert state(small_town, order) is OrderState.OPEN
    again = tell(small_town, replace(paid(order), **change), clock)
    assert (again.state, again.repeated) == (PaymentState.SUSPENSE, True)


def test_one_transaction_is_not_told_of_two_orders_or_amounts(small_town, clock):
    order = ordered(small_town, clock)
    tell(small_town, paid(order), clock)

    for other in ({"amount_minor": 1}, {"order_id": "another"}):
        with pytest.raises(RequestConflict):
            tell(small_town, replace(paid(order), **other), clock)


def test_another_provider_does_not_pay_an_order(small_town, clock):
    before = posted(small_town)
    order = ordered(small_town, clock)

    told = tell(small_town, paid(order), clock, OTHER)

    assert told.state == PaymentState.SUSPENSE
    assert posted(small_town) == before
    with pytest.raises(DomainError):
        tell(small_town, replace(paid(order), kind=MessageKind.REFUSED), clock, OTHER)


def test_a_refused_order_may_still_be_paid_and_an_ended_one_too(small_town, clock):
    before = posted(small_town)
    refused, late = ordered(small_town, clock), ordered(small_town, clock, key="l")
    later = FixedClock(clock.at + timedelta(days=2))

    said = tell(small_town, replace(paid(refused), kind=MessageKind.REFUSED), clock)
    with small_town.writing() as session:
        assert expire_orders(session, later) == 1
        assert expire_orders(session, later) == 0

    assert said.state == OrderState.REFUSED
    assert state(small_town, late) is OrderState.EXPIRED
    assert tell(small_town, paid(refused, "t2"), later).state == PaymentState.TAKEN
    assert tell(small_town, paid(late, "t3"), later).state == PaymentState.TAKEN
    again = tell(small_town, replace(paid(late), kind=MessageKind.REFUSED), later)
    assert (again.state, again.repeated) == (OrderState.PAID, True)
    assert posted(small_town) == before + 3_000_00


def test_what_the_provider_gave_back_is_taken_back_once_with_its_receipt(town, clock):
    before = posted(town)
    order = ordered(town, clock)
    tell(town, paid(order), clock)
    back = replace(paid(order), kind=MessageKind.REFUNDED)

    with pytest.raises(DomainError):
        tell(town, replace(back, amount_minor=1), clock)
    first, second = tell(town, back, clock), tell(town, back, clock)

    assert (first.state, first.repeated, second.repeated) == (PaymentState.RETURNED, False, True)
    assert posted(town) == before
    with town.reading() as session:
        kinds = session.scalars(select(DocumentRow.kind).order_by(DocumentRow.id)).all()
        assert [str(kind) for kind in kinds] == ["receipt", "cancellation"]
        assert list(verify(session)) == []


def test_money_taken_before_payments_were_kept_is_of_the_till_of_its_own_day(small_town, clock):
    money = Payment(account(small_town), 70_00, "cash", clock.now(), "api:k")
    today = local_date(clock.now(), ZoneInfo("Asia/Vladivostok"))
    later = FixedClock(clock.now() + timedelta(days=1))
    with small_town.writing() as session:
        take_payments(session, SCOPE, [money], clock)
        again = [take_at_desk(session, SCOPE, money, later) for _ in range(2)]
        tills = [till_of_day(session, SCOPE, today + timedelta(days=n)) for n in (0, 1)]

    assert [one.result.repeated for one in again] == [True, True]
    assert [[line.amount_minor for line in till] for till in tills] == [[70_00], []]
    assert posted(small_town) == 70_00


def test_the_same_request_is_the_same_order_and_another_is_refused(small_town, clock):
    first, second = ordered(small_town, clock), ordered(small_town, clock)

    assert first.public_id == second.public_id
    assert len(first.public_id) == 32
    with pytest.raises(RequestConflict):
        ordered(small_town, clock, amount_minor=1)


@pytest.mark.parametrize("share", [None, 0, 35, 100])
def test_the_split_that_is_shown_is_what_the_money_then_does(small_town, clock, share):
    account_id = account(small_town, OWING)
    debt_minor = -posted(small_town, OWING)
    assert debt_minor > 0
    used = ChargeOrder(
        account_id, (("electricity", 11_11),), Month(2026, 10), Month(2026, 10), clock.now(), "u"
    )
    with small_town.writing() as session:
        charge_batch(session, ChargeBatch([used], "t", ZoneInfo("UTC")), clock)
        if share is not None:
            since, kind = date(2026, 1, 1), FlagKind.OPENING_SHARE
            document = {"since": since, "document": "x", "clock": clock}
            set_flag(session, SCOPE, account_id, kind, str(share), **document)
    asked = 2 * debt_minor + 33
    with small_town.reading() as session:
        shown = split_of(session, resident(account_id), account_id, asked, clock)
        with pytest.raises(DomainError, match="no account"):
            split_of(session, resident(account_id), account(small_town), 1_00, clock)

    order = ordered(small_town, clock, OWING, asked)
    tell(small_town, paid(order), clock)

    parts = dict(shown.split.parts)
    assert parts[Part.NEW_DEBT] == 11_11
    capped_minor = asked * (20 if share is None else share) // 100
    assert parts[Part.OPENING_DEBT] == min(debt_minor, capped_minor, asked - 11_11)
    with small_town.reading() as session:
        found = wallet_store.balances(session, [account_id], clock.now())[account_id]
        assert found.spendable_minor == parts[Part.BALANCE]
        assert (found.new_debt_minor, found.opening_debt_minor) == (
            shown.split.new_debt_left_minor,
            shown.split.opening_debt_left_minor,
        )
        assert list(verify(session)) == []


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"bank": {}}',
        '{"bank": {"secret": "short"}}',
        '{"Bank": {"secret": "%s"}}' % ("s" * 32),
        '{"bank": {"secret": "%s", "tender": "gold"}}' % ("s" * 32),
        '{"bank": {"secret": "%s", "page": "http://pay.example/"}}' % ("s" * 32),
    ],
)
def test_a_setting_of_providers_that_cannot_be_used_is_refused_without_its_secrets(text):
    with pytest.raises(BadSetting) as refused:
        Settings.from_env({"KILOKASSA_PROVIDERS": text})

    assert "s" * 32 not in str(refused.value)


def test_the_secret_of_a_provider_is_in_no_text_of_the_settings():
    text = '{"bank": {"secret": "%s", "page": "https://pay.example/{order}"}}' % ("s" * 32)

    settings = Settings.from_env({"KILOKASSA_PROVIDERS": text})

    assert settings.providers[0].page_url == "https://pay.example/{order}"
    assert "s" * 32 not in repr(settings)


def test_a_part_is_set_aside_in_the_same_transaction(small_town, clock):
    publish_offer(small_town, clock=clock)
    tell(small_town, paid(ordered(small_town, clock), "first"), clock)
    account_id = account(small_town)
    person = resident(account_id)
    with small_town.writing() as session:
        zone = billing_store.retailer_zone(session)
        signing = SignOrder(account_id, "half_year", 100_00, zone, "sign")
        reserve_id = sign(session, person, signing, clock).reserve_id
        wish = OrderRequest(account_id, 500_00, "r", ReserveWish(200_00), reserve_id)
        order = place_order(session, person, wish, BANK, clock)
        foreign = OrderRequest(account(small_town, OWING), 1_00, "f", ReserveWish(1), reserve_id)
        with pytest.raises(DomainError):
            place_order(session, SCOPE, foreign, BANK, clock)
    before = posted(small_town)

    tell(small_town, paid(order), clock)
    tell(small_town, paid(order), clock)

    assert posted(small_town) == before + 300_00
    with small_town.reading() as session:
        assert reserve_of(session, person, account_id, reserve_id).kept_minor == 300_00
        assert list(verify(session)) == []
