"""Reserves at work on both databases: signed, paid by the days, broken by people alone."""

import threading
from datetime import date

import pytest
from sqlalchemy import text

from kilokassa.core.calendar import local_midnight
from kilokassa.core.errors import Forbidden, Invalid, NotFound, RequestConflict
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope, system_scope
from tests.wallet.builders import (
    ZONE,
    accounts_with_wallets,
    balance,
    batch,
    charge,
    faults,
    lots,
)
from tests.wallet.reserves_town import (
    OFFER,
    PERSON,
    RESIDENT,
    add,
    clock_on,
    instant,
    pay,
    publish,
    reserve_faults,
    sign,
    signed,
    steps,
    take_out,
    topped_up,
)
from wallet import service as wallet_service
from wallet.reserves import service, store
from wallet.reserves.reserve import (
    NotOffered,
    NotOwnMoney,
    OnlyByAPerson,
    OutsideTerm,
    ReserveAmount,
)
from wallet.reserves.signed import ReserveState

SIGNED = date(2026, 10, 10)
STRANGER = Scope(Role.RESIDENT, "user:9", account_ids=frozenset({AccountId(2)}))


@pytest.fixture
def town(database):
    """Two accounts, an offer of 12 % for half a year, 20,000 roubles on the first account."""
    accounts_with_wallets(database, clock_on(date(2026, 1, 1)), count=2)
    publish(database)
    topped_up(database, 20_000_00, date(2026, 10, 1))
    return database


def spend(database, amount_minor, on, key="spend"):
    order = charge(1, amount_minor, idempotency_key=key, valid_at=instant(on))
    with database.writing() as session:
        wallet_service.charge_batch(session, batch(order), clock_on(on, 13))


def clean(database):
    return (faults(database), reserve_faults(database)) == ([], [])


def test_the_worked_reserve_is_posted_as_its_page_has_it(town):
    sign(town, 10_000_00, SIGNED)
    add(town, 5_000_00, date(2026, 11, 20))
    take_out(town, 6_000_00, date(2027, 1, 15))
    pay(town, date(2027, 4, 10))

    assert steps(town) == [
        (date(2026, 10, 10), "added", 10_000_00),
        (date(2026, 11, 1), "paid", 72_33),
        (date(2026, 11, 20), "added", 5_000_00),
        (date(2026, 12, 1), "paid", 116_71),
        (date(2027, 1, 1), "paid", 152_88),
        (date(2027, 1, 15), "taken_out", -6_000_00),
        (date(2027, 1, 15), "clawed_back", -65_34),
        (date(2027, 2, 1), "paid", 91_72),
        (date(2027, 3, 1), "paid", 82_85),
        (date(2027, 4, 1), "paid", 91_73),
        (date(2027, 4, 10), "paid", 26_63),
        (date(2027, 4, 10), "returned", -9_000_00),
    ]
    assert signed(town).state is ReserveState.RETURNED
    # 20,000 came in, 569.51 were earned, nothing was spent.
    assert balance(town, 1, instant(date(2027, 4, 11))).posted_minor == 20_569_51
    assert clean(town)


def test_a_bonus_is_a_lot_of_its_day_however_late_it_is_paid(town):
    sign(town, 10_000_00, SIGNED)

    pay(town, date(2026, 12, 24))

    with town.reading() as session:
        found = [
            one.lot
            for one in wallet_service.store.lots_of(session, PERSON, AccountId(1))
            if one.rule == "reserve:1"
        ]
    assert [(lot.came_at, lot.remaining_minor) for lot in found] == [
        (local_midnight(date(2026, 11, 1), ZONE), 72_33),
        (local_midnight(date(2026, 12, 1), ZONE), 98_63),
    ]
    assert found[0].expires_at == local_midnight(date(2027, 11, 1), ZONE)


def test_a_payment_twice_or_late_comes_to_the_same(town):
    sign(town, 10_000_00, SIGNED)

    first = pay(town, date(2026, 11, 1))
    again = pay(town, date(2026, 11, 1))
    later = pay(town, date(2027, 2, 3))

    assert (first.paid_minor, again.paid_minor, later.payments) == (72_33, 0, 3)
    assert signed(town).bonus_minor == 374_79
    assert clean(town)


def test_only_own_money_is_set_aside(town):
    topped_up(town, 1000_00, date(2026, 10, 2), key="second", account_id=2)
    with pytest.raises(NotOwnMoney, match="100000 kopecks, not 200000"):
        sign(town, 2_000_00, SIGNED, account_id=2)

    spend(town, 20_500_00, date(2026, 10, 9))
    topped_up(town, 400_00, date(2026, 10, 9), key="third")
    with pytest.raises(NotOwnMoney):
        sign(town, 100_00, SIGNED)


def test_own_money_is_not_free_while_anything_is_owed(town):
    sign(town, 20_000_00, SIGNED)
    spend(town, 300_00, date(2026, 10, 12))

    with pytest.raises(NotOwnMoney, match="0 kopecks"):
        add(town, 100_00, date(2026, 10, 13))
    assert lots(town) == []


def test_the_program_breaks_no_reserve_whatever_the_debt(town):
    sign(town, 20_000_00, SIGNED)
    spend(town, 19_000_00, date(2026, 10, 12))
    for actor in ("system", "job:debts", "job:reserve_bonus"):
        with pytest.raises(OnlyByAPerson):
            take_out(town, 19_000_00, date(2026, 11, 20), scope=system_scope(actor))
    pay(town, date(2027, 4, 9))

    assert signed(town).kept_minor == 20_000_00
    # The bonus pays what is owed as it comes, and the money itself at the end alone.
    owed = balance(town, 1, instant(date(2027, 4, 9))).uncovered_minor
    assert owed == 19_000_00 - signed(town).bonus_minor
    pay(town, date(2027, 4, 10))
    assert balance(town, 1, instant(date(2027, 4, 11))).uncovered_minor == 0
    assert clean(town)


def test_a_row_that_the_program_broke_is_not_read_as_a_reserve(town):
    sign(town, 10_000_00, SIGNED)
    with town.writing() as session:
        session.execute(
            text(
                'INSERT INTO reserve_movement (reserve_id, number, kind, "on", amount_minor,'
                " actor, detail, recorded_at) VALUES (1, 2, 'taken_out', '2026-10-11', -1,"
                " 'job:x', '', '2026-10-11 00:00:00+00')"
            )
        )

    with pytest.raises(OnlyByAPerson):
        signed(town)


def test_what_was_spent_of_an_unearned_bonus_is_withheld_from_the_returning_money(town):
    sign(town, 10_000_00, SIGNED)
    pay(town, date(2027, 1, 2))
    assert signed(town).bonus_minor == 272_88
    spend(town, 200_00, date(2027, 1, 3))
    before = balance(town, 1, instant(date(2027, 1, 15), 1)).posted_minor

    done = take_out(town, 10_000_00, date(2027, 1, 15))

    # 97 days at 3 % are 79.73; of the 272.88 that were paid, 193.15 go back: 72.88 of them unspent.
    assert (done.clawed_back_minor, done.withheld_minor) == (193_15, 120_27)
    parts = [
        (p.amount_minor, p.detail) for p in signed(town).posted if str(p.kind) == "clawed_back"
    ]
    assert parts == [(-120_27, '{"from":"reserve"}'), (-72_88, '{"from":"bonus"}')]
    after = balance(town, 1, instant(date(2027, 1, 15), 23)).posted_minor
    assert after - before == 10_000_00 - 193_15
    assert signed(town).state is ReserveState.BROKEN
    assert clean(town)


def test_what_is_shown_before_breaking_is_what_is_posted(town):
    sign(town, 10_000_00, SIGNED)
    spend(town, 15_000_00, date(2026, 12, 3))
    day = date(2027, 1, 15)
    order = service.MoveOrder(AccountId(1), 1, 4_000_00, ZONE, "")

    with town.reading() as session:
        loss = service.loss_of(session, RESIDENT, order, clock_on(day))
    done = take_out(town, 4_000_00, day, scope=RESIDENT)

    assert loss.withdrawal.clawed_back_minor == done.clawed_back_minor
    assert loss.shares.from_reserve_minor == done.withheld_minor
    assert clean(town)


def test_a_bonus_that_expired_unspent_is_not_withheld_from_own_money(database):
    accounts_with_wallets(database, clock_on(date(2026, 1, 1)), count=1)
    short = OFFER.replace("expires_after_days: 365", "expires_after_days: 10")
    publish(database, short.replace("lower_rate\nbroken_percent: 3", "all_lost"))
    topped_up(database, 10_000_00, date(2026, 10, 1))
    sign(database, 10_000_00, SIGNED)
    pay(database, date(2026, 11, 1))

    done = take_out(database, 10_000_00, date(2026, 11, 20))

    assert (done.clawed_back_minor, done.withheld_minor) == (72_33, 0)
    assert signed(database).posted[-1].detail == '{"from":"expired"}'
    assert balance(database, 1, instant(date(2026, 11, 21))).posted_minor == 10_000_00
    assert clean(database)


def test_what_neither_bonus_nor_money_holds_is_waived(database):
    accounts_with_wallets(database, clock_on(date(2026, 1, 1)), count=1)
    dear = OFFER.replace("percent: 12", "percent: 100").replace("term_months: 6", "term_months: 60")
    publish(database, dear.replace("lower_rate\nbroken_percent: 3", "all_lost"))
    topped_up(database, 1_000_00, date(2026, 10, 1))
    sign(database, 1_000_00, SIGNED)
    pay(database, date(2029, 1, 1))
    spend(database, 4_000_00, date(2029, 1, 2))
    earned = signed(database).bonus_minor
    owed = balance(database, 1, instant(date(2029, 1, 3))).uncovered_minor

    done = take_out(database, 1_000_00, date(2029, 1, 3))

    # 83 days of 2026, and two whole years of which one is a leap year.
    assert earned == 2_227_40
    assert (done.clawed_back_minor, done.withheld_minor) == (earned, 1_000_00)
    assert signed(database).posted[-1].entry_id is None
    assert signed(database).bonus_minor == 0
    assert balance(database, 1, instant(date(2029, 1, 4))).uncovered_minor == owed
    assert clean(database)


def test_a_request_twice_is_done_once_and_another_one_is_refused(town):
    first = sign(town, 10_000_00, SIGNED)
    again = sign(town, 10_000_00, date(2026, 10, 20))
    broken = take_out(town, 1_000_00, date(2027, 1, 15))
    repeated = take_out(town, 1_000_00, date(2027, 1, 20))

    assert not first.repeated
    assert again.repeated
    assert (again.entry_id, again.balance_minor) == (first.entry_id, first.balance_minor)
    assert (repeated.entry_id, repeated.kept_minor) == (broken.entry_id, 9_000_00)
    assert repeated.clawed_back_minor == broken.clawed_back_minor
    assert repeated.balance_minor == broken.balance_minor
    for what in (
        lambda: sign(town, 9_000_00, SIGNED),
        lambda: add(town, 1_000_00, date(2027, 1, 15), key="out"),
        lambda: sign(town, 1_000_00, SIGNED, key="top", scope=system_scope("user:1")),
    ):
        with pytest.raises(RequestConflict):
            what()
    with pytest.raises(Invalid):
        sign(town, 1_000_00, SIGNED, key="reserve:1:paid:2026-11-01")


def test_a_resident_reaches_the_own_account_alone(town):
    sign(town, 1_000_00, SIGNED, scope=RESIDENT)

    assert signed(town).posted[0].actor == "user:8"
    with pytest.raises(NotFound):
        sign(town, 1_000_00, SIGNED, scope=STRANGER, key="theirs")
    with pytest.raises(NotFound):
        take_out(town, 1_000_00, SIGNED, scope=STRANGER)
    auditor = Scope(Role.AUDITOR, "user:10", whole_retailer=True)
    with pytest.raises(Forbidden):
        sign(town, 1_000_00, SIGNED, scope=auditor, key="hers")
    with town.reading() as session:
        assert len(store.reserves_of(session, auditor, AccountId(1))) == 1
        assert store.reserves_of(session, STRANGER, AccountId(1)) == ()


@pytest.mark.parametrize("reserve_id", [0, 2, -1, 10**30])
def test_a_reserve_that_is_not_there_is_not_found(town, reserve_id):
    with pytest.raises(NotFound):
        take_out(town, 1_00, SIGNED, reserve_id=reserve_id)


def test_an_offer_bounds_what_it_holds(town):
    sign(town, 10_000_00, SIGNED)

    with pytest.raises(ReserveAmount):
        sign(town, 99_99, SIGNED, key="few")
    with pytest.raises(ReserveAmount):
        take_out(town, 9_950_00, date(2026, 10, 11))
    with pytest.raises(OutsideTerm):
        add(town, 100_00, date(2026, 10, 9))
    take_out(town, 10_000_00, date(2026, 10, 11))
    with pytest.raises(service.ReserveOver):
        add(town, 100_00, date(2026, 10, 12))


def test_a_reserve_that_has_ended_takes_nothing_more(town):
    sign(town, 10_000_00, SIGNED)

    with pytest.raises(service.ReserveOver):
        take_out(town, 1_000_00, date(2027, 4, 10))


def test_versions_follow_one_another_and_a_signed_one_stays(town):
    sign(town, 10_000_00, SIGNED)
    changed = OFFER.replace("percent: 12", "percent: 8").replace("2026-01-01", "2026-11-01", 1)

    same = publish(town)
    second = publish(town, changed)
    again = publish(town, changed)
    late = sign(town, 1_000_00, date(2026, 11, 1), key="second")

    assert (same.new, second.new, again.new) == (False, True, False)
    assert (second.offer.version, again.offer.version) == (2, 2)
    assert signed(town).offer.version == 1
    assert signed(town, late.reserve_id).offer.version == 2
    with pytest.raises(Invalid, match="2026-11-01"):
        publish(town, OFFER)
    # Whoever was shown the first version does not sign the second one by mistake.
    order = service.SignOrder(AccountId(1), "half_year", 1_000_00, ZONE, "x", version=1)
    with pytest.raises(NotOffered), town.writing() as session:
        service.sign(session, PERSON, order, clock_on(date(2026, 11, 2)))


def test_an_offer_that_is_over_is_not_signed_and_one_unknown_is_not_found(town):
    ended = OFFER.replace("offer: half_year", "offer: ended").replace(
        "from: 2026-01-01\n", "from: 2026-01-01\nuntil: 2026-10-10\n", 1
    )
    publish(town, ended)

    with pytest.raises(NotOffered):
        sign(town, 1_000_00, SIGNED, offer="ended")
    with pytest.raises(NotFound):
        sign(town, 1_000_00, SIGNED, offer="nowhere")
    with town.reading() as session:
        assert [o.code for o in store.offers_on(session, SIGNED)] == ["half_year"]
        assert len(store.offers_on(session, date(2026, 10, 9))) == 2


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR, Role.COMPANY, Role.RESIDENT])
def test_only_who_publishes_tariffs_publishes_offers(database, role):
    with pytest.raises(Forbidden):
        publish(database, scope=Scope(role, "user:1", whole_retailer=True))
    with pytest.raises(Forbidden):
        publish(database, scope=Scope(Role.ANALYST, "user:1"))


def test_the_report_says_what_reserves_cost_and_what_credit_would(town):
    sign(town, 10_000_00, SIGNED)
    add(town, 5_000_00, date(2026, 11, 20))
    analyst = Scope(Role.ANALYST, "user:3", whole_retailer=True)
    first, end = date(2026, 11, 1), date(2026, 12, 1)
    with town.writing() as session:
        clock = clock_on(first)
        service.state_credit_rate(session, analyst, date(2026, 1, 1), 200_000, "", clock)
        service.state_credit_rate(session, analyst, date(2026, 1, 1), 180_000, "bank", clock)
        assert not service.state_credit_rate(
            session, analyst, date(2026, 1, 1), 180_000, "bank", clock
        )

    with town.reading() as session:
        report = service.cost_report(session, analyst, first, end)
        nothing = service.cost_report(session, analyst, date(2025, 1, 1), date(2026, 1, 1))

    figures = report.total.average_minor, report.total.bonus_minor, report.total.credit_minor
    assert figures == (11_833_33, 116_71, 175_07)
    assert report.by_offer[0].cost == report.total
    assert report.credit_known
    assert (nothing.by_offer, nothing.total.bonus_minor, nothing.credit_known) == ((), 0, False)


def test_two_that_break_the_same_reserve_at_once_take_it_once(town):
    sign(town, 10_000_00, SIGNED)
    outcomes = []

    def once(key):
        try:
            outcomes.append(take_out(town, 10_000_00, date(2026, 11, 20), key=key).kept_minor)
        except service.ReserveOver:
            outcomes.append("over")

    threads = [threading.Thread(target=once, args=(f"k{n}",)) for n in range(3)]
    threads += [threading.Thread(target=pay, args=(town, date(2026, 11, 20))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes, key=str) == [0, "over", "over"]
    assert clean(town)


def test_verification_finds_what_was_tampered_with(town):
    sign(town, 10_000_00, SIGNED)
    pay(town, date(2026, 11, 1))
    with town.writing() as session:
        if town.is_sqlite:
            session.execute(text("DROP TRIGGER reserve_movement_no_update"))
        else:
            session.execute(text("ALTER TABLE reserve_movement DISABLE TRIGGER ALL"))
        session.execute(text("UPDATE reserve_movement SET amount_minor = 9999 WHERE number = 2"))

    found = [fault.problem for fault in reserve_faults(town)]

    assert "An entry does not come to the movements of its reserve." in found
    assert "A reserve is not what its offer makes of its movements." in found


def test_kept_money_is_told_for_many_accounts_at_once(town):
    sign(town, 10_000_00, SIGNED)

    with town.reading() as session:
        assert store.kept_minor(session, [AccountId(1), AccountId(2)]) == {1: 10_000_00}
