import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import RequestConflict
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope, system_scope
from wallet import store
from wallet.ledger import Reason
from wallet.service import (
    AlreadyReversed,
    ChargeBatch,
    ChargeOrder,
    MonthSkipped,
    OpeningOrder,
    ReverseOrder,
    TopUpOrder,
    charge_batch,
    expire_lots,
    open_wallets,
    post_opening,
    reverse_top_up,
    seal,
    top_up,
    verify,
)
from wallet.topups import BonusRule, NotAnAmount

ZONE = ZoneInfo("Asia/Vladivostok")
OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)
STAFF = system_scope("test")


def at(day, hour=3):
    return datetime(2026, *day, hour, tzinfo=UTC)


def three_accounts(database, clock):
    with database.writing() as session:
        session.execute(
            text("INSERT INTO building (id, code, address, zone) VALUES (1, 'B', 'x', 'UTC')")
        )
        for number in (1, 2, 3):
            session.execute(
                text(
                    "INSERT INTO premises (id, building_id, number, area_dm2)"
                    f" VALUES ({number}, 1, '{number}', 5000)"
                )
            )
            session.execute(
                text(
                    "INSERT INTO account (id, number, payer_name, email, phone, premises_id,"
                    f" persons, language, note, opened_on) VALUES ({number}, '{number}', 'n', '',"
                    f" '', {number}, 1, 'ru', '', '2026-01-01')"
                )
            )
        ids = [AccountId(n) for n in (1, 2, 3)]
        open_wallets(session, ids, clock)
        open_wallets(session, ids, clock)
    return ids


@pytest.fixture
def accounts(database, clock):
    """Three accounts with open wallets."""
    return three_accounts(database, clock)


def order(account_id=1, amount_minor=1000_00, key="k1", **kwargs):
    values = {
        "tender": "card",
        "valid_at": at((10, 5)),
        "zone": ZONE,
        "actor": "user:1",
    } | kwargs
    return TopUpOrder(
        account_id=AccountId(account_id), amount_minor=amount_minor, idempotency_key=key, **values
    )


def charge(account_id, amount_minor, month=OCTOBER, **kwargs):
    values = {
        "parts": (("electricity", amount_minor),),
        "charge_month": month,
        "month": month,
        "valid_at": month.period(ZONE).end,
        "idempotency_key": f"close:{month}:{account_id}",
    } | kwargs
    return ChargeOrder(account_id=AccountId(account_id), **values)


def close(*orders, month=OCTOBER):
    return ChargeBatch(orders, actor="job:close", zone=ZONE, close_month=month)


def faults(database):
    with database.reading() as session:
        return list(verify(session))


def balance(database, account_id, when=None):
    with database.reading() as session:
        return store.balances(session, [AccountId(account_id)], when or at((11, 24)))[account_id]


def test_a_top_up_is_taken_once_however_often_it_is_sent(database, accounts, clock):
    with database.writing() as session:
        first = top_up(session, order(), clock)
    with database.writing() as session:
        again = top_up(session, order(), clock)

    assert not first.repeated
    assert replace(again, repeated=False) == first
    assert balance(database, 1).posted_minor == 1000_00
    assert faults(database) == []


def test_the_same_key_for_another_amount_is_refused(database, accounts, clock):
    with database.writing() as session:
        top_up(session, order(), clock)

    with database.writing() as session, pytest.raises(RequestConflict):
        top_up(session, order(amount_minor=1000_01), clock)

    assert balance(database, 1).posted_minor == 1000_00


@pytest.mark.parametrize("amount_minor", [0, -1])
def test_a_top_up_of_nothing_or_less_is_refused(database, accounts, clock, amount_minor):
    with database.writing() as session, pytest.raises(NotAnAmount):
        top_up(session, order(amount_minor=amount_minor), clock)


def test_a_top_up_covers_what_is_owed_before_it_is_kept(database, accounts, clock):
    with database.writing() as session:
        charge_batch(session, close(charge(1, 300_00)), clock)
        result = top_up(session, order(valid_at=at((11, 5))), clock)

    assert result.covered_debt_minor == 300_00
    assert result.balance_minor == 700_00
    assert faults(database) == []


def test_a_large_top_up_earns_a_bonus_that_is_spent_first_and_expires(database, accounts, clock):
    rule = BonusRule("five", 1000_00, 500, date(2026, 1, 1), expires_after_days=60)
    with database.writing() as session:
        result = top_up(session, order(bonus_rules=(rule,)), clock)
        charge_batch(session, close(charge(1, 20_00)), clock)
        lots = store.lots_of(session, STAFF, AccountId(1))

    assert (result.bonus_minor, result.bonus_rule) == (50_00, "five")
    assert [(k.lot.kind, k.lot.remaining_minor) for k in lots] == [
        ("bonus", 30_00),
        ("own", 1000_00),
    ]

    later = FixedClock(at((12, 31)))
    with database.writing() as session:
        expired = expire_lots(session, accounts, ZONE, later)
        expired_again = expire_lots(session, accounts, ZONE, later)

    assert (expired, expired_again) == (1, 0)
    assert balance(database, 1).posted_minor == 1000_00
    assert faults(database) == []


def test_closing_a_month_gives_a_statement_that_adds_up(database, accounts, clock):
    with database.writing() as session:
        post_opening(
            session, [OpeningOrder(AccountId(1), 50_00, 0, at((10, 1), 0), ZONE, "import")], clock
        )
        top_up(session, order(), clock)
        top_up(session, order(key="k2", amount_minor=7_00, valid_at=at((11, 2))), clock)
        result = charge_batch(session, close(charge(1, 300_00)), clock)[0]

    assert (result.opening_minor, result.closing_minor) == (0, 650_00)
    assert [m.amount_minor for m in result.movements] == [-50_00, 1000_00, -300_00]
    assert result.balance_minor == 657_00


def test_a_late_payment_for_a_closed_month_lands_in_the_open_one(database, accounts, clock):
    with database.writing() as session:
        charge_batch(session, close(charge(1, 300_00)), clock)
        top_up(session, order(valid_at=at((10, 30))), clock)
        november = charge_batch(session, close(charge(1, 1_00, NOVEMBER), month=NOVEMBER), clock)[0]

    assert november.opening_minor == -300_00
    assert [m.reason for m in november.movements] == [Reason.TOP_UP, Reason.CHARGE]


def test_a_closed_month_is_left_alone(database, accounts, clock):
    with database.writing() as session:
        first = charge_batch(session, close(charge(1, 300_00)), clock)[0]
        again = charge_batch(session, close(charge(1, 300_00)), clock)[0]

    assert not first.repeated
    assert again.repeated
    assert balance(database, 1).uncovered_minor == 300_00


def test_a_month_cannot_be_skipped(database, accounts, clock):
    with database.writing() as session:
        charge_batch(session, close(charge(1, 1_00)), clock)

        with pytest.raises(MonthSkipped, match="2026-11"):
            charge_batch(
                session, close(charge(1, 1_00, Month(2026, 12)), month=Month(2026, 12)), clock
            )


def test_an_account_without_a_charge_is_closed_without_an_entry(database, accounts, clock):
    with database.writing() as session:
        result = charge_batch(session, close(charge(2, 0)), clock)[0]

    assert result.entry_id is None
    assert (result.opening_minor, result.closing_minor, result.movements) == (0, 0, ())


def test_a_correction_in_favour_returns_to_the_lots_that_paid(database, accounts, clock):
    with database.writing() as session:
        top_up(session, order(), clock)
        charge_batch(session, close(charge(1, 300_00)), clock)
        correction = charge(
            1, -120_00, month=OCTOBER, idempotency_key="recalc:1", reason=Reason.CORRECTION
        )
        charge_batch(session, ChargeBatch([correction], actor="job", zone=ZONE), clock)
        lots = store.lots_of(session, STAFF, AccountId(1))

    assert [k.lot.remaining_minor for k in lots] == [820_00]
    assert faults(database) == []


def test_a_voided_top_up_takes_its_bonus_with_it(database, accounts, clock):
    rule = BonusRule("five", 1000_00, 500, date(2026, 1, 1))
    with database.writing() as session:
        paid = top_up(session, order(bonus_rules=(rule,)), clock)
        charge_batch(session, close(charge(1, 300_00)), clock)
        void = ReverseOrder(
            AccountId(1), paid.entry_id, "bounced", at((11, 3)), ZONE, "user:1", "v1"
        )
        once = reverse_top_up(session, void, clock)
        twice = reverse_top_up(session, void, clock)

        with pytest.raises(AlreadyReversed):
            reverse_top_up(session, replace(void, idempotency_key="v2"), clock)

    assert once == twice
    assert balance(database, 1).posted_minor == -300_00
    assert faults(database) == []


def test_a_stranger_sees_neither_entries_nor_lots(database, accounts, clock):
    stranger = Scope(role=Role.RESIDENT, actor="user:9", account_ids=frozenset({AccountId(2)}))
    with database.writing() as session:
        top_up(session, order(), clock)

    with database.reading() as session:
        assert store.entries_of(session, stranger, AccountId(1)) == ()
        assert store.lots_of(session, stranger, AccountId(1)) == ()
        assert len(store.entries_of(session, STAFF, AccountId(1))) == 1


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE posting SET amount_minor = amount_minor + 1",
        "UPDATE journal_entry SET valid_at = recorded_at",
        "UPDATE lot SET remaining_minor = remaining_minor - 1",
        "UPDATE wallet SET uncovered_minor = uncovered_minor + 1 WHERE account_id = 1",
        "UPDATE draw SET amount_minor = amount_minor - 1",
        "DELETE FROM draw",
    ],
)
def test_verify_finds_what_was_tampered_with(database, accounts, clock, tampering):
    with database.writing() as session:
        top_up(session, order(), clock)
        charge_batch(session, close(charge(1, 300_00)), clock)
    assert faults(database) == []

    with database.writing() as session:
        session.execute(text(tampering))

    assert faults(database) != []


def test_a_day_is_sealed_once(database, accounts, clock):
    with database.writing() as session:
        first = seal(session, date(2026, 11, 24), clock)
        top_up(session, order(), clock)
        again = seal(session, date(2026, 11, 24), clock)
        next_day = seal(session, date(2026, 11, 25), clock)

    assert first == again
    assert next_day != first


def test_two_that_race_for_one_wallet_both_get_their_way(database, accounts, clock):
    failures = []

    def pay(name):
        try:
            for number in range(8):
                with database.writing() as session:
                    top_up(session, order(amount_minor=1_00, key=f"{name}{number}"), clock)
        except Exception as error:  # noqa: BLE001 - told to the main thread
            failures.append(error)

    threads = [threading.Thread(target=pay, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert balance(database, 1).posted_minor == 16_00
    assert faults(database) == []


def test_both_databases_keep_the_same_ledger(sqlite_database, postgresql_database, clock):
    heads = []
    for database in (sqlite_database, postgresql_database):
        ids = three_accounts(database, clock)
        rule = BonusRule("five", 500_00, 500, date(2026, 1, 1), expires_after_days=10)
        with database.writing() as session:
            top_up(session, order(bonus_rules=(rule,)), clock)
            charge_batch(session, close(charge(1, 300_00), charge(2, 77_77), charge(3, 0)), clock)
            correction = charge(1, -5_00, idempotency_key="c", reason=Reason.CORRECTION)
            charge_batch(session, ChargeBatch([correction], actor="job", zone=ZONE), clock)
            expire_lots(session, ids, ZONE, FixedClock(clock.at + timedelta(days=90)))
            heads.append(seal(session, date(2026, 11, 24), clock))

    assert heads[0] == heads[1]
