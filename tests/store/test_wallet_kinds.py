"""Lots of every kind: for one service, of another person, lent for an emergency; and grace."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId
from tests.wallet.builders import (
    OCTOBER,
    accounts_with_wallets,
    at,
    balance,
    batch,
    charge,
    faults,
    lots,
    order,
)
from wallet.ledger import BONUS_EXPENSE, COMPENSATION_EXPENSE, EMERGENCY_CREDITS, Reason, cash
from wallet.lots import GracePolicy, LotKind
from wallet.service import (
    CreditOpen,
    NoCredit,
    NotEnough,
    PutOrder,
    TakeOrder,
    WithdrawOrder,
    charge_batch,
    put,
    take,
    top_up,
    withdraw_credit,
)

ZONE = ZoneInfo("Asia/Vladivostok")
NOW = at((11, 5))
CLOCK = FixedClock(NOW)


@pytest.fixture(autouse=True)
def _accounts(database, clock):
    accounts_with_wallets(database, clock)


@pytest.fixture
def do(database):
    def act(deed, request, clock=CLOCK):
        with database.writing() as session:
            return deed(session, request, clock)

    return act


def coming(kind, amount_minor, reason, against, key="k", **kwargs):
    return PutOrder(
        AccountId(1), reason, kind, amount_minor, against, NOW, ZONE, "test", key, **kwargs
    )


def compensation(amount_minor, key="c", **kwargs):
    reason, against = Reason.COMPENSATION, COMPENSATION_EXPENSE
    return coming(LotKind.COMPENSATION, amount_minor, reason, against, key, **kwargs)


def credit(amount_minor, key="e"):
    reason, against = Reason.EMERGENCY_CREDIT, EMERGENCY_CREDITS
    return coming(LotKind.CREDIT, amount_minor, reason, against, key)


def bill(heat, light, key="b", **kwargs):
    parts = (("heat", heat), ("electricity", light))
    kwargs = {"valid_at": NOW} | kwargs
    return batch(charge(1, 0, OCTOBER, idempotency_key=key, parts=parts, **kwargs))


def test_a_lot_for_heat_pays_of_a_charge_what_is_for_heat(database, do):
    do(put, compensation(100_00, service="heat"))
    do(top_up, order(amount_minor=50_00))
    do(charge_batch, bill(70_00, 60_00))

    assert lots(database) == [("compensation", 30_00)]
    assert balance(database, 1).uncovered_minor == 10_00
    assert balance(database, 1).restricted_minor == 30_00
    assert faults(database) == []


def test_a_lot_for_heat_covers_nothing_that_was_owed_and_pays_no_fee(database, do):
    do(charge_batch, bill(0, 20_00))
    moved = do(put, compensation(100_00, service="heat"))
    fee = TakeOrder(AccountId(1), Reason.LATE_FEE, 5_00, "late_fees", NOW, ZONE, "test", "f")

    assert moved.covered_minor == 0
    with pytest.raises(NotEnough):
        do(take, fee)
    do(take, replace(fee, may_owe=True))
    assert balance(database, 1).uncovered_minor == 25_00
    assert faults(database) == []


def test_of_two_lots_for_heat_the_one_that_expires_first_pays(database, do):
    for key, days in (("late", 30), ("soon", 3)):
        ends = NOW + timedelta(days=days)
        do(put, compensation(40_00, key, service="heat", expires_at=ends, rule=key))
    do(charge_batch, bill(50_00, 0))

    assert lots(database) == [("compensation", 30_00)]
    assert balance(database, 1, at((11, 9))).spendable_minor == 30_00


def test_heat_given_back_fills_the_lot_for_heat_and_light_does_not(database, do):
    do(put, compensation(40_00, service="heat"))
    do(top_up, order(amount_minor=60_00))
    do(charge_batch, bill(40_00, 60_00))
    do(charge_batch, bill(-10_00, -15_00, "fix", reason=Reason.CORRECTION))

    assert lots(database) == [("compensation", 10_00), ("own", 15_00)]
    assert faults(database) == []


def test_an_advance_goes_back_to_whoever_paid_it_alone(database, do):
    for key, payer in (("a1", "Aunt"), ("a2", "Uncle")):
        paid = coming(LotKind.ADVANCE, 30_00, Reason.TOP_UP, cash("bank"), key, payer=payer)
        do(put, paid)
    back = TakeOrder(
        AccountId(1), Reason.REFUND, 30_01, cash("bank"), NOW, ZONE, "test", "r", payer="Uncle"
    )
    with pytest.raises(NotEnough):
        do(take, back)
    do(take, replace(back, amount_minor=30_00))

    assert lots(database) == [("advance", 30_00)]
    with pytest.raises(NotEnough):
        do(take, replace(back, amount_minor=1, idempotency_key="r2"))


def test_a_credit_is_spent_last_and_the_next_money_fills_it_before_it_is_the_payers(database, do):
    do(top_up, order(amount_minor=10_00))
    do(put, credit(300_00))
    do(charge_batch, bill(0, 130_00))
    found = balance(database, 1)
    assert (found.credit_minor, found.credit_used_minor) == (180_00, 120_00)
    assert (found.posted_minor, found.without_credit_minor) == (180_00, -120_00)

    do(top_up, order(amount_minor=100_00, key="k2"))
    found = balance(database, 1)
    assert (found.credit_minor, found.credit_used_minor) == (280_00, 20_00)

    do(top_up, order(amount_minor=100_00, key="k3"))
    assert lots(database) == [("own", 80_00), ("credit", 300_00)]
    assert faults(database) == []


def test_a_credit_that_is_used_up_is_filled_all_the_same(database, do):
    do(put, credit(300_00))
    do(charge_batch, bill(0, 350_00))
    do(top_up, order(amount_minor=120_00))

    found = balance(database, 1)
    assert (found.uncovered_minor, found.credit_minor, found.credit_used_minor) == (
        0,
        70_00,
        230_00,
    )
    assert faults(database) == []


def test_a_credit_is_withdrawn_whole_and_what_was_used_of_it_is_owed(database, do):
    do(put, credit(300_00))
    do(charge_batch, bill(0, 50_00))
    asked = WithdrawOrder(AccountId(1), NOW, ZONE, "test", "w", "paid late")
    once, twice = do(withdraw_credit, asked), do(withdraw_credit, asked)

    assert (once.entry_id, once.balance_minor) == (twice.entry_id, twice.balance_minor)
    assert (once.balance_minor, twice.repeated) == (-50_00, True)
    with pytest.raises(NoCredit):
        do(withdraw_credit, replace(asked, idempotency_key="w2"))
    do(top_up, order(amount_minor=60_00))
    assert lots(database) == [("own", 10_00)]
    assert balance(database, 1).credit_used_minor == 0
    assert faults(database) == []


def test_there_is_one_credit_at_a_time_and_it_covers_nothing_that_was_owed(database, do):
    do(charge_batch, bill(0, 50_00))
    do(put, credit(300_00))
    with pytest.raises(CreditOpen):
        do(put, credit(100_00, "e2"))

    assert balance(database, 1).uncovered_minor == 50_00
    assert balance(database, 1).credit_used_minor == 0


def test_value_of_an_expired_bonus_lives_on_for_the_days_of_grace_as_a_bonus(database, do):
    ends = NOW + timedelta(days=3)
    bonus = coming(LotKind.BONUS, 50_00, Reason.BONUS, BONUS_EXPENSE, rule="night", expires_at=ends)
    do(put, bonus)
    do(charge_batch, bill(0, 30_00))
    later = FixedClock(at((11, 20)))
    for n in (1, 2):
        fix = bill(0, -20_00, f"fix{n}", reason=Reason.CORRECTION, valid_at=later.now())
        do(charge_batch, replace(fix, grace=GracePolicy.parse("30 days")), later)

    # The second correction finds 10 that the bonus had paid; the rest nobody had.
    assert lots(database) == [("bonus", 20_00), ("bonus", 10_00), ("returned", 10_00)]
    assert balance(database, 1, at((12, 19))).spendable_minor == 40_00
    assert balance(database, 1, at((12, 20))).spendable_minor == 10_00
    assert faults(database) == []


@pytest.mark.parametrize("text", ["", "0", "-1", "9999999", "1.5", "for ever"])
def test_a_policy_that_means_nothing_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        GracePolicy.parse(text)
