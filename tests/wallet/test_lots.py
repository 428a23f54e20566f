from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.ids import LotId
from wallet.lots import (
    SPEND_ORDER,
    Draw,
    Lot,
    LotKind,
    Paid,
    after,
    draw_down,
    give_back,
    in_order_of_return,
    spendable_minor,
)

NOON = datetime(2026, 11, 24, 9, tzinfo=UTC)


def lot(number, remaining_minor, *, kind=LotKind.OWN, amount_minor=None, expires_in=None):
    return Lot(
        id=LotId(number),
        number=number,
        kind=kind,
        spend_order=SPEND_ORDER[kind],
        amount_minor=remaining_minor if amount_minor is None else amount_minor,
        remaining_minor=remaining_minor,
        came_at=NOON - timedelta(days=number),
        expires_at=None if expires_in is None else NOON + expires_in,
    )


def test_bonus_is_spent_before_own_money():
    lots = [lot(1, 500_00), lot(2, 30_00, kind=LotKind.BONUS, expires_in=timedelta(days=9))]

    drawdown = draw_down(lots, 100_00, at=NOON)

    assert drawdown.draws == (Draw(LotId(2), 30_00), Draw(LotId(1), 70_00))
    assert drawdown.uncovered_minor == 0


def test_of_two_bonuses_the_one_that_expires_first_is_spent_first():
    lots = [
        lot(1, 50_00, kind=LotKind.BONUS, expires_in=timedelta(days=9)),
        lot(2, 50_00, kind=LotKind.BONUS, expires_in=timedelta(days=2)),
    ]

    assert draw_down(lots, 10_00, at=NOON).draws == (Draw(LotId(2), 10_00),)


def test_a_lot_is_gone_at_the_instant_it_expires():
    lots = [lot(1, 50_00, expires_in=timedelta(0))]

    assert draw_down(lots, 10_00, at=NOON).uncovered_minor == 10_00
    assert spendable_minor(lots, NOON - timedelta(microseconds=1)) == 50_00


def test_value_comes_back_first_to_the_debt_then_to_the_lots_that_paid():
    paid = [(lot(2, 0, amount_minor=40_00), 40_00), (lot(1, 10_00, amount_minor=90_00), 80_00)]

    back = give_back(100_00, uncovered_minor=30_00, paid=paid, at=NOON)

    assert back.covered_minor == 30_00
    assert back.draws == (Draw(LotId(2), -40_00), Draw(LotId(1), -30_00))
    assert back.new_lot_minor == 0


def test_a_lot_that_paid_twice_is_not_filled_above_its_amount():
    spent = lot(1, 50_00, amount_minor=90_00)

    back = give_back(100_00, uncovered_minor=0, paid=[(spent, 30_00), (spent, 60_00)], at=NOON)

    assert back.draws == (Draw(LotId(1), -40_00),)
    assert back.new_lot_minor == 60_00


def test_the_lots_that_paid_the_corrected_month_come_first_and_of_them_the_latest():
    latest_first = [
        Paid(LotId(4), 24_324, 1),
        Paid(LotId(3), 24_323, 1),
        Paid(LotId(2), None, 1),
        Paid(LotId(1), 24_323, 1),
    ]

    ordered = in_order_of_return(latest_first, 24_323)

    assert [payer.lot_id for payer in ordered] == [3, 1, 4, 2]


def test_what_was_given_back_for_a_month_was_not_paid_for_it():
    latest_first = [
        Paid(LotId(1), 24_323, -2),
        Paid(LotId(2), 24_322, -1),
        Paid(LotId(2), 24_322, 5),
        Paid(LotId(1), 24_323, 2),
    ]

    ordered = in_order_of_return(latest_first, 24_323)

    assert ordered == (Paid(LotId(2), 24_322, 4),)


def test_a_lot_that_holds_more_than_it_was_cannot_be_made():
    with pytest.raises(ValueError, match="between nothing and its amount"):
        lot(1, 2_00, amount_minor=1_00)


def test_an_expired_lot_is_not_revived_but_its_value_is_not_lost():
    paid = [(lot(1, 0, amount_minor=40_00, expires_in=timedelta(days=-1)), 40_00)]

    back = give_back(25_00, uncovered_minor=0, paid=paid, at=NOON)

    assert back.draws == ()
    assert back.new_lot_minor == 25_00


LOTS = st.lists(
    st.tuples(
        st.integers(0, 900_00),
        st.sampled_from(LotKind),
        st.sampled_from([None, timedelta(days=-1), timedelta(days=3)]),
    ),
    max_size=6,
).map(
    lambda found: [
        lot(n, minor, kind=kind, expires_in=expires)
        for n, (minor, kind, expires) in enumerate(found)
    ]
)


@given(lots=LOTS, amount_minor=st.integers(0, 50_000_00))
def test_a_drawdown_accounts_for_every_kopeck(lots, amount_minor):
    drawdown = draw_down(lots, amount_minor, at=NOON)

    drawn_minor = sum(draw.amount_minor for draw in drawdown.draws)
    assert drawn_minor + drawdown.uncovered_minor == amount_minor
    left = after(lots, drawdown.draws)
    assert (
        sum(k.remaining_minor for k in left) == sum(k.remaining_minor for k in lots) - drawn_minor
    )


@given(lots=LOTS, amount_minor=st.integers(0, 50_000_00))
def test_nothing_is_left_uncovered_while_a_living_lot_holds_something(lots, amount_minor):
    drawdown = draw_down(lots, amount_minor, at=NOON)

    left = spendable_minor(after(lots, drawdown.draws), NOON)
    assert not (left and drawdown.uncovered_minor)


@given(lots=LOTS, first_minor=st.integers(0, 900_00), second_minor=st.integers(0, 900_00))
def test_paying_in_two_steps_leaves_the_same_lots_as_in_one(lots, first_minor, second_minor):
    once = after(lots, draw_down(lots, first_minor + second_minor, at=NOON).draws)

    step = after(lots, draw_down(lots, first_minor, at=NOON).draws)
    twice = after(step, draw_down(step, second_minor, at=NOON).draws)

    assert twice == once


@given(lots=LOTS, amount_minor=st.integers(0, 50_000_00))
def test_what_was_paid_and_given_back_leaves_the_wallet_as_it_was(lots, amount_minor):
    drawdown = draw_down(lots, amount_minor, at=NOON)
    spent = {k.id: k for k in after(lots, drawdown.draws)}

    back = give_back(
        amount_minor,
        uncovered_minor=drawdown.uncovered_minor,
        paid=[(spent[d.lot_id], d.amount_minor) for d in drawdown.draws],
        at=NOON,
    )

    assert after(spent.values(), back.draws) == tuple(lots)
    assert (back.covered_minor, back.new_lot_minor) == (drawdown.uncovered_minor, 0)


@given(lots=LOTS, amount_minor=st.integers(0, 900_00), uncovered_minor=st.integers(0, 100_00))
def test_what_is_given_back_is_given_back_whole(lots, amount_minor, uncovered_minor):
    spent = [(after([k], [Draw(k.id, k.remaining_minor)])[0], k.remaining_minor) for k in lots]

    back = give_back(amount_minor, uncovered_minor=uncovered_minor, paid=spent, at=NOON)

    returned = -sum(draw.amount_minor for draw in back.draws)
    assert back.covered_minor + returned + back.new_lot_minor == amount_minor
    after([k for k, _ in spent], back.draws)
