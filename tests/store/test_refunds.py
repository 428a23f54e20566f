"""Refunds: own money alone, held when asked for, posted when paid; on both databases."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, Invalid, NotFound, RequestConflict
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope, system_scope
from tests.wallet.builders import ZONE, accounts_with_wallets, order
from wallet import store as wallet_store
from wallet.ledger import BONUS_EXPENSE, Reason, cash
from wallet.lots import LotKind
from wallet.payments.payment import RefundState
from wallet.payments.refunds import service, store
from wallet.payments.refunds.refund import AskOrder, NotRefundable, RefundSettled
from wallet.service import NotEnough, PutOrder, TakeOrder, put, take, top_up, verify

NOW = datetime(2026, 11, 3, tzinfo=UTC)
STAFF = system_scope("test")
RESIDENT = Scope(Role.RESIDENT, "user:7", account_ids=frozenset({AccountId(1)}))
ONE = AccountId(1)


@pytest.fixture
def wallet(database):
    """1,000 of one's own, a bonus of 50 and an advance of 300 by an aunt."""
    clock = FixedClock(NOW)
    accounts_with_wallets(database, clock, count=2)
    with database.writing() as session:
        top_up(session, order(), clock)
        for reason, kind, minor, against, payer in (
            (Reason.BONUS, LotKind.BONUS, 50_00, BONUS_EXPENSE, ""),
            (Reason.TOP_UP, LotKind.ADVANCE, 300_00, cash("card"), "aunt"),
        ):
            put(
                session,
                PutOrder(
                    ONE, reason, kind, minor, against, NOW, ZONE, "test", f"p{minor}", payer=payer
                ),
                clock,
            )
    return database


def ask(session, minor=400_00, key="r1", scope=RESIDENT, account_id=ONE, **more):
    asked = AskOrder(account_id, minor, "Иванов И. И.", "40817…", key, **more)
    return service.ask_refund(session, scope, asked, FixedClock(NOW))


def pay(session, refund, reference="п/п 7", scope=STAFF):
    return service.pay_refund(
        session, scope, service.PayOrder(refund.id, reference, ZONE), FixedClock(NOW)
    )


def test_a_refund_is_held_then_posted_once(wallet):
    with wallet.writing() as session:
        asked = ask(session)
        free_minor = store.refundable_minor(session, ONE, NOW)
        paid = pay(session, asked)
        again = pay(session, asked)
        entries = wallet_store.entries_of(session, STAFF, ONE, limit=9)
        faults = list(verify(session))

    assert (asked.state, free_minor) == (RefundState.ASKED, 600_00)
    assert (paid.state, again) == (RefundState.PAID, paid)
    assert [e.amount_minor for e in entries if e.reason is Reason.REFUND] == [-400_00]
    assert faults == []


def test_the_same_request_is_one_refund_and_another_under_its_key_is_refused(wallet):
    with wallet.writing() as session:
        first, second = ask(session), ask(session)
        with pytest.raises(RequestConflict):
            ask(session, minor=1_00)

    assert first == second


@pytest.mark.parametrize("minor", [0, -1, 1_000_01])
def test_neither_bonus_nor_another_persons_advance_is_given_back(wallet, minor):
    with wallet.writing() as session, pytest.raises(NotRefundable) as refused:
        ask(session, minor=minor)

    assert refused.value.most_minor == 1_000_00


def test_an_advance_goes_back_to_whoever_paid_it(wallet):
    with wallet.writing() as session:
        asked = ask(session, minor=300_00, advance_of="aunt", scope=STAFF)
        pay(session, asked)
        left = store.advances(session, ONE)

    assert (asked.to_whom, asked.advance, left) == ("aunt", True, {})


def test_what_was_used_since_is_not_paid_out(wallet):
    with wallet.writing() as session:
        asked = ask(session, minor=1_000_00)
        used = TakeOrder(ONE, Reason.CHARGE, 500_00, "revenue:x", NOW, ZONE, "test", "used")
        with pytest.raises(NotEnough):
            take(session, used, FixedClock(NOW))  # what is held is spoken for
        take(session, replace(used, may_owe=True), FixedClock(NOW))
        with pytest.raises(NotEnough):
            pay(session, asked)
        dropped = service.drop_refund(session, RESIDENT, asked.id, FixedClock(NOW))
        free_minor = store.refundable_minor(session, ONE, NOW)

    # The bonus and the aunt's advance are spent before own money: 350 of the 500.
    assert (dropped.state, free_minor) == (RefundState.DROPPED, 850_00)


def test_a_settled_refund_stays_as_it_is(wallet):
    with wallet.writing() as session:
        asked = ask(session)
        pay(session, asked)
        with pytest.raises(RefundSettled):
            service.drop_refund(session, STAFF, asked.id, FixedClock(NOW))
        with pytest.raises(RefundSettled):
            pay(session, asked, reference="another")


def test_rights_are_judged(wallet):
    with wallet.writing() as session:
        asked = ask(session)
        with pytest.raises(Forbidden):
            pay(session, asked, scope=RESIDENT)
        with pytest.raises(NotFound):
            ask(session, account_id=AccountId(2), key="r2")
        with pytest.raises(Invalid):
            pay(session, asked, reference="  ")
        stranger = Scope(Role.RESIDENT, "user:8", account_ids=frozenset({AccountId(2)}))
        with pytest.raises(NotFound):
            service.drop_refund(session, stranger, asked.id, FixedClock(NOW))
        assert store.refunds(session, RESIDENT) == (asked,)
