from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import event, text

from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Invalid, NotFound, RequestConflict
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope
from tests.unguarded import lift_guards
from tests.wallet.builders import (
    NOVEMBER,
    OCTOBER,
    STAFF,
    ZONE,
    accounts_with_wallets,
    at,
    balance,
    batch,
    charge,
    close,
    faults,
    lots,
    order,
)
from wallet import store
from wallet.ledger import Reason
from wallet.service import (
    AlreadyReversed,
    ChargeBatch,
    MonthSkipped,
    OpeningOrder,
    ReverseOrder,
    charge_batch,
    expire_lots,
    post_opening,
    reverse_top_up,
    seal,
    top_up,
    verify,
)
from wallet.topups import BonusRule, NotAnAmount, TooLarge


@pytest.fixture
def accounts(database, clock):
    """Three accounts with open wallets."""
    return accounts_with_wallets(database, clock)


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


TAMPERINGS = (
    "UPDATE posting SET amount_minor = amount_minor + 1",
    (
        "UPDATE posting SET debit_id = (SELECT id FROM ledger_account WHERE code = 'wallet:2')"
        " WHERE debit_id = (SELECT id FROM ledger_account WHERE code = 'wallet:1')"
    ),
    "DELETE FROM posting",
    "UPDATE journal_entry SET valid_at = recorded_at",
    "UPDATE journal_entry SET book_month = book_month + 1",
    "UPDATE journal_entry SET reason = 'another'",
    (
        "UPDATE journal_entry"
        " SET balance_before = balance_before + 1, balance_after = balance_after + 1"
    ),
    "UPDATE journal_entry SET wallet_id = (SELECT id FROM wallet WHERE account_id = 2)",
    "UPDATE lot SET remaining_minor = remaining_minor - 1",
    "UPDATE lot SET amount_minor = amount_minor + 1, remaining_minor = remaining_minor + 1",
    "UPDATE lot SET expires_at = came_at",
    "UPDATE lot SET spend_order = 1",
    "UPDATE lot SET kind = 'another'",
    "UPDATE lot SET wallet_id = (SELECT id FROM wallet WHERE account_id = 2)",
    "UPDATE wallet SET uncovered_minor = uncovered_minor + 1 WHERE account_id = 1",
    "UPDATE wallet SET uncovered_minor = uncovered_minor + 1, lots_minor = lots_minor + 1",
    "UPDATE wallet SET head_digest = ''",
    "UPDATE draw SET amount_minor = amount_minor - 1",
    "DELETE FROM draw",
    "UPDATE daily_seal SET digest = 'another'",
)


def test_verify_finds_whatever_was_tampered_with(database, accounts, clock):
    with database.writing() as session:
        top_up(session, order(), clock)
        charge_batch(session, close(charge(1, 300_00)), clock)
        seal(session, date(2026, 11, 24), clock)
    assert faults(database) == []

    missed = []
    with database.writing() as session:
        lift_guards(session)
        for tampering in TAMPERINGS:
            savepoint = session.begin_nested()
            session.execute(text(tampering))
            if not list(verify(session)):
                missed.append(tampering)
            savepoint.rollback()

    assert missed == []
    assert faults(database) == []


def test_a_chain_rewritten_with_new_digests_is_found_by_the_seal(database, accounts, clock):
    """Whoever can compute digests can rewrite a chain, but not the seal kept elsewhere."""
    with database.writing() as session:
        top_up(session, order(), clock)
        seal(session, date(2026, 11, 24), clock)
    with database.writing() as session:
        lift_guards(session)
        kept = session.execute(text("SELECT * FROM daily_seal")).mappings().one()
        for table in ("draw", "lot", "posting", "journal_entry", "daily_seal"):
            session.execute(text(f"DELETE FROM {table}"))
        session.execute(text("UPDATE wallet SET lots_minor = 0, entry_count = 0, head_digest = ''"))
        top_up(session, order(amount_minor=1_00), clock)
    assert faults(database) == []

    with database.writing() as session:
        columns = ", ".join(kept)
        places = ", ".join(f":{name}" for name in kept)
        session.execute(text(f"INSERT INTO daily_seal ({columns}) VALUES ({places})"), dict(kept))

    assert [fault.account_id for fault in faults(database)] == [None]


def test_seals_of_earlier_days_hold_while_the_ledger_grows(database, accounts, clock):
    with database.writing() as session:
        seal(session, date(2026, 11, 21), clock)
        top_up(session, order(), clock)
        seal(session, date(2026, 11, 22), clock)
        seal(session, date(2026, 11, 23), clock)
        top_up(session, order(2, key="k2"), clock)
    accounts_with_wallets(database, clock, first=4)
    with database.writing() as session:
        seal(session, date(2026, 11, 24), clock)
        top_up(session, order(4, key="k3"), clock)

    assert faults(database) == []


def test_a_day_is_sealed_once(database, accounts, clock):
    with database.writing() as session:
        first = seal(session, date(2026, 11, 24), clock)
        top_up(session, order(), clock)
        again = seal(session, date(2026, 11, 24), clock)
        next_day = seal(session, date(2026, 11, 25), clock)

    assert first == again
    assert next_day != first


def test_both_databases_keep_the_same_ledger(sqlite_database, postgresql_database, clock):
    heads = []
    for database in (sqlite_database, postgresql_database):
        ids = accounts_with_wallets(database, clock)
        rule = BonusRule("five", 500_00, 500, date(2026, 1, 1), expires_after_days=10)
        with database.writing() as session:
            top_up(session, order(bonus_rules=(rule,)), clock)
            charge_batch(session, close(charge(1, 300_00), charge(2, 77_77), charge(3, 0)), clock)
            correction = charge(1, -5_00, idempotency_key="c", reason=Reason.CORRECTION)
            charge_batch(session, ChargeBatch([correction], actor="job", zone=ZONE), clock)
            expire_lots(session, ids, ZONE, FixedClock(clock.at + timedelta(days=90)))
            heads.append(seal(session, date(2026, 11, 24), clock))

    assert heads[0] == heads[1]


BONUS = BonusRule("five", 1000_00, 500, date(2026, 1, 1), expires_after_days=40)
"""Of a top-up at the 5th of October, it expires at the 14th of November."""


def test_value_given_back_for_an_earlier_day_does_not_go_to_a_lot_expired_since(
    database, accounts, clock
):
    with database.writing() as session:
        top_up(session, order(bonus_rules=(BONUS,)), FixedClock(at((10, 5))))
        charge_batch(session, close(charge(1, 60_00)), FixedClock(at((11, 2))))

    with database.writing() as session:
        late = charge(1, -50_00, idempotency_key="c", reason=Reason.CORRECTION)
        charge_batch(session, batch(late), clock)
        expired = expire_lots(session, accounts, ZONE, clock)

    assert expired == 0
    assert lots(database) == [("returned", 40_00), ("own", 1000_00)]
    assert faults(database) == []


def test_what_is_corrected_returns_first_to_the_lots_that_paid_that_month(
    database, accounts, clock
):
    october, november = at((10, 5)), at((11, 5))
    with database.writing() as session:
        top_up(session, order(amount_minor=100_00, valid_at=october), FixedClock(october))
        charge_batch(session, close(charge(1, 100_00)), clock)
        top_up(
            session,
            order(amount_minor=1000_00, key="k2", valid_at=november, bonus_rules=(BONUS,)),
            clock,
        )
        charge_batch(session, close(charge(1, 500_00, NOVEMBER), month=NOVEMBER), clock)

    with database.writing() as session:
        favour = charge(1, -130_00, idempotency_key="c", reason=Reason.CORRECTION)
        charge_batch(session, batch(favour), clock)

    assert lots(database) == [("own", 100_00), ("own", 580_00)]
    assert faults(database) == []


def test_many_are_corrected_in_as_many_statements_as_one(database, accounts, clock):
    with database.writing() as session:
        for number in accounts:
            top_up(session, order(number, key=f"k{number}"), clock)
        charge_batch(session, close(*(charge(n, 300_00) for n in accounts)), clock)

    def statements(ids):
        with database.writing() as session, counted(session) as seen:
            orders = [
                charge(n, -10_00, idempotency_key=f"c{len(ids)}:{n}", reason=Reason.CORRECTION)
                for n in ids
            ]
            charge_batch(session, batch(*orders), clock)
        return len(seen)

    assert statements(accounts[:1]) == statements(accounts)


def test_two_charges_of_one_account_and_the_same_one_twice_go_in_one_batch(
    database, accounts, clock
):
    same = charge(1, 10_00, idempotency_key="a")
    with database.writing() as session:
        results = charge_batch(
            session, batch(same, charge(1, -4_00, idempotency_key="b"), same), clock
        )
        again = charge_batch(session, batch(same), clock)

    assert [result.repeated for result in results] == [False, False, True]
    assert results[0].entry_id == results[2].entry_id == again[0].entry_id
    assert balance(database, 1).posted_minor == -6_00
    assert faults(database) == []


def test_a_charge_with_a_used_key_and_another_amount_is_refused(database, accounts, clock):
    with database.writing() as session:
        charge_batch(session, batch(charge(1, 10_00, idempotency_key="a")), clock)

    with database.writing() as session, pytest.raises(RequestConflict):
        charge_batch(session, batch(charge(1, 10_01, idempotency_key="a")), clock)


def test_services_that_even_out_are_posted_though_nothing_is_paid(database, accounts, clock):
    parts = (("electricity", 5_00), ("heat", -5_00))
    with database.writing() as session:
        result = charge_batch(session, batch(charge(1, 0, parts=parts)), clock)[0]

    assert result.entry_id is not None
    assert balance(database, 1).posted_minor == 0
    assert faults(database) == []


def test_an_opening_debt_is_paid_by_what_is_there(database, accounts, clock):
    with database.writing() as session:
        top_up(session, order(), clock)
        debt = OpeningOrder(AccountId(1), 300_00, 0, at((10, 6)), ZONE, "import")
        posted = [post_opening(session, [debt], clock) for _ in range(2)]

    assert posted == [1, 0]
    assert (balance(database, 1).spendable_minor, balance(database, 1).uncovered_minor) == (
        700_00,
        0,
    )
    assert faults(database) == []


def test_an_opening_balance_is_not_posted_again_with_another_amount(database, accounts, clock):
    first = OpeningOrder(AccountId(1), 0, 300_00, at((10, 6)), ZONE, "import")
    with database.writing() as session:
        post_opening(session, [first], clock)

        with pytest.raises(RequestConflict):
            post_opening(session, [replace(first, advance_minor=1)], clock)


def test_what_a_voided_top_up_paid_is_paid_by_other_lots(database, accounts, clock):
    with database.writing() as session:
        first = top_up(session, order(), clock)
        top_up(session, order(key="k2", amount_minor=500_00), clock)
        charge_batch(session, close(charge(1, 800_00)), clock)
        reverse_top_up(session, void(first.entry_id), clock)

    assert balance(database, 1).uncovered_minor == 300_00
    assert lots(database) == []
    assert faults(database) == []


def test_value_is_not_given_back_to_a_voided_lot(database, accounts, clock):
    with database.writing() as session:
        first = top_up(session, order(), clock)
        charge_batch(session, close(charge(1, 800_00)), clock)
        reverse_top_up(session, void(first.entry_id), clock)
        top_up(session, order(key="k2", amount_minor=900_00), clock)
        favour = charge(1, -850_00, idempotency_key="c", reason=Reason.CORRECTION)
        charge_batch(session, batch(favour), clock)

    assert lots(database) == [("returned", 50_00), ("own", 900_00)]
    assert faults(database) == []


def test_an_expired_bonus_is_not_taken_a_second_time_when_its_top_up_is_voided(
    database, accounts, clock
):
    with database.writing() as session:
        paid = top_up(session, order(bonus_rules=(BONUS,)), FixedClock(at((10, 5))))
        charge_batch(session, close(charge(1, 20_00)), FixedClock(at((11, 2))))
        reverse_top_up(session, void(paid.entry_id), clock)

    assert balance(database, 1).posted_minor == -20_00
    assert faults(database) == []


def test_one_reversal_does_not_stand_for_another_whose_number_begins_alike(
    database, accounts, clock
):
    with database.writing() as session:
        paid = [top_up(session, order(key=f"k{n}", amount_minor=1_00), clock) for n in range(12)]
        reverse_top_up(session, void(paid[11].entry_id, key="v12"), clock)
        reverse_top_up(session, void(paid[0].entry_id, key="v1"), clock)

    assert balance(database, 1).posted_minor == 10_00
    assert faults(database) == []


def test_only_a_top_up_of_that_account_is_voided(database, accounts, clock):
    with database.writing() as session:
        another = top_up(session, order(2), clock)
        charged = charge_batch(session, batch(charge(1, 1_00)), clock)[0]

        for entry_id in (another.entry_id, charged.entry_id, 999):
            with pytest.raises(NotFound):
                reverse_top_up(session, void(entry_id), clock)


def test_a_bonus_registered_after_it_would_have_expired_pays_no_debt(database, accounts, clock):
    with database.writing() as session:
        charge_batch(session, batch(charge(1, 1020_00)), clock)
        top_up(session, order(bonus_rules=(BONUS,)), clock)

    assert balance(database, 1).posted_minor == -20_00
    assert faults(database) == []


@pytest.mark.parametrize("key", ["bonus:k1", "opening:1", "expire:1:1"])
def test_keys_of_the_wallets_own_are_nobody_elses(database, accounts, clock, key):
    with database.writing() as session:
        with pytest.raises(Invalid):
            top_up(session, order(key=key), clock)
        with pytest.raises(Invalid):
            reverse_top_up(session, void(1, key=key), clock)


def test_a_top_up_that_no_column_could_hold_is_refused(database, accounts, clock):
    with database.writing() as session, pytest.raises(TooLarge):
        top_up(session, order(amount_minor=10**13 + 1), clock)


def test_an_account_without_a_wallet_is_named(database, accounts, clock):
    with database.writing() as session, pytest.raises(NotFound, match="999"):
        top_up(session, order(999), clock)


def test_the_balance_of_a_later_day_leaves_out_what_expires_before_it(database, accounts, clock):
    with database.writing() as session:
        top_up(session, order(bonus_rules=(BONUS,)), FixedClock(at((10, 5))))

    end = at((10, 5)) + timedelta(days=40)
    before, after = (balance(database, 1, when) for when in (end - timedelta(seconds=1), end))
    assert (before.posted_minor, before.bonus_minor) == (1050_00, 50_00)
    assert (after.posted_minor, after.bonus_minor) == (1000_00, 0)


def test_the_largest_debt_is_listed_first_and_only_in_reach(database, accounts, clock):
    one = Scope(role=Role.RESIDENT, actor="user:9", account_ids=frozenset({AccountId(2)}))
    with database.writing() as session:
        charge_batch(session, batch(charge(1, 1_00), charge(2, 3_00), charge(3, 2_00)), clock)

    with database.reading() as session:
        assert store.debtors(session, STAFF, limit=2) == ((2, 3_00), (3, 2_00))
        assert store.debtors(session, one) == ((2, 3_00),)


def test_a_ledger_larger_than_one_look_is_verified_whole(database, accounts, clock, monkeypatch):
    monkeypatch.setattr("wallet.service.ENTRIES_A_LOOK", 3)
    monkeypatch.setattr("wallet.service.WALLETS_A_LOOK", 2)
    with database.writing() as session:
        for number in accounts:
            for key in "ab":
                top_up(session, order(number, key=f"{key}{number}"), clock)
    with database.writing() as session:
        lift_guards(session)
        session.execute(text("UPDATE lot SET expires_at = came_at WHERE number = 2"))
    seen = []

    with database.reading() as session:
        found = list(verify(session, lambda done, total: seen.append((done, total))))

    assert [(fault.account_id, fault.sequence) for fault in found] == [(1, 2), (2, 2), (3, 2)]
    assert seen[-1] == (3, 3)


def void(entry_id, key="v1"):
    return ReverseOrder(AccountId(1), entry_id, "bounced", at((11, 3)), ZONE, "user:1", key)


@contextmanager
def counted(session):
    """The statements that a session executes meanwhile."""
    seen = []
    engine = session.connection().engine

    def note(connection, cursor, statement, *_):
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)
