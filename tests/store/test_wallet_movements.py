"""Value put into wallets and taken out: once, and from the lots that it may come from."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from kilokassa.core.errors import RequestConflict
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import system_scope
from tests.wallet.builders import accounts_with_wallets, balance, faults, order
from wallet import store
from wallet.ledger import BONUS_EXPENSE, RESERVES, Reason
from wallet.lots import LotKind
from wallet.service import NotEnough, PutOrder, TakeOrder, put, put_all, take, top_up

ZONE = ZoneInfo("Europe/Moscow")


@pytest.fixture(autouse=True)
def _accounts(database, clock):
    accounts_with_wallets(database, clock)


def held(database):
    with database.reading() as session:
        found = store.lots_of(session, system_scope("test"), AccountId(1))
    return [(each.lot.kind, each.rule) for each in found]


def bonus(clock, amount_minor=50_00, key="b1", account_id=1, **kwargs):
    return PutOrder(
        AccountId(account_id),
        Reason.BONUS,
        LotKind.BONUS,
        amount_minor,
        BONUS_EXPENSE,
        clock.now(),
        ZONE,
        "job:bonus",
        key,
        **{"rule": "night", "expires_at": clock.now() + timedelta(days=90)} | kwargs,
    )


def aside(clock, amount_minor, key="r1", **kwargs):
    return TakeOrder(
        AccountId(1),
        Reason.SET_ASIDE,
        amount_minor,
        RESERVES,
        clock.now(),
        ZONE,
        "user:1",
        key,
        **{"kinds": frozenset({LotKind.OWN})} | kwargs,
    )


def test_a_bonus_comes_in_once_as_a_lot_that_names_its_rule(database, clock):
    with database.writing() as session:
        first = put(session, bonus(clock), clock)
        again = put(session, bonus(clock), clock)

    assert (first.repeated, again.repeated) == (False, True)
    assert (again.entry_id, again.lot_id, again.balance_minor) == (
        first.entry_id,
        first.lot_id,
        50_00,
    )
    assert held(database) == [(LotKind.BONUS, "night")]
    assert faults(database) == []


def test_the_same_key_for_another_amount_is_refused(database, clock):
    with database.writing() as session:
        put(session, bonus(clock), clock)
    with pytest.raises(RequestConflict), database.writing() as session:
        put(session, bonus(clock, 51_00), clock)


def test_only_own_money_can_be_taken_where_only_that_is_asked_for(database, clock):
    with database.writing() as session:
        top_up(session, order(), clock)
        put(session, bonus(clock), clock)
    with pytest.raises(NotEnough, match="100000"), database.writing() as session:
        take(session, aside(clock, 1000_01), clock)

    with database.writing() as session:
        moved = take(session, aside(clock, 1000_00), clock)

    assert moved.balance_minor == 50_00
    assert held(database) == [(LotKind.BONUS, "night")]
    assert faults(database) == []


def test_a_fee_that_nothing_can_pay_is_owed_and_the_next_lot_covers_it(database, clock):
    with database.writing() as session:
        fee = aside(clock, 30_00, kinds=None, may_owe=True)
        owed = take(session, fee, clock)
        covered = put(session, bonus(clock), clock)

    assert (owed.balance_minor, covered.covered_minor, covered.balance_minor) == (
        -30_00,
        30_00,
        20_00,
    )
    assert balance(database, 1).uncovered_minor == 0
    assert faults(database) == []


def test_many_wallets_move_together_and_a_key_told_twice_moves_once(database, clock):
    twice = bonus(clock, key="same", account_id=3)
    with database.writing() as session:
        moved = put_all(session, [bonus(clock, account_id=2, key="b2"), twice, twice], clock)

    assert [each.repeated for each in moved] == [False, False, True]
    assert moved[1].entry_id == moved[2].entry_id
    assert balance(database, 3).posted_minor == 50_00


def test_a_bonus_that_is_over_when_it_is_booked_covers_nothing(database, clock):
    with database.writing() as session:
        take(session, aside(clock, 30_00, kinds=None, may_owe=True), clock)
        over = put(session, bonus(clock, expires_at=clock.now()), clock)

    assert over.covered_minor == 0
    assert balance(database, 1).uncovered_minor == 30_00
