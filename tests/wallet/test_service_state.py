"""The state of a service: two lives from the page, and what holds of any facts and any set."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.money import parse_minor
from kilokassa.core.text import Language, told
from wallet.debts.service_state import (
    Action,
    DeliveredNotice,
    Guard,
    Held,
    ServiceFacts,
    ServiceState,
    Supply,
    decide,
    guard_sets,
    harsher,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "service-state.md"
ZONE = ZoneInfo("Asia/Vladivostok")
NEW_YEAR = frozenset({date(2026, 1, 1)})
HOUSEHOLD, PREPAY = guard_sets()["household_ru"], guard_sets()["prepay_contract"]


def table(heading):
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in rows]


def instant(text):
    if not text:
        return None
    local = datetime.strptime(text, "%d.%m.%Y %H:%M").replace(tzinfo=ZONE)
    return local.astimezone(UTC)


def facts(at="08.12.2026 12:00", **kwargs):
    """A household that may be limited: each test takes one condition away."""
    values = {
        "service": "electricity",
        "available_minor": 0,
        "debt_minor": 1500_00,
        "norm_month_minor": 600_00,
        "above_since": instant("16.11.2026 10:00"),
        "agreement": False,
        "in_apartment_house": True,
        "vulnerable": False,
        "never_cut": False,
        "notice": DeliveredNotice(instant("17.11.2026 15:00"), "receipt 7"),
    } | kwargs
    return ServiceFacts(at=instant(at), zone=ZONE, **values)


def held(decision):
    return ", ".join(each.guard for each in decision.held_by)


@pytest.mark.parametrize("row", table("A household's debt"), ids=lambda row: row["#"])
def test_the_debt_of_the_page_is_lived(row):
    delivered = instant(row["Notice delivered"])

    decision = decide(
        facts(
            row["At"],
            debt_minor=parse_minor(row["Debt"]),
            supply=Supply(row["Supply"]),
            notice=None if delivered is None else DeliveredNotice(delivered, "receipt 7"),
            limited_at=instant(row["Limited"]),
            pending=Supply(row["Pending"]) if row["Pending"] else None,
            agreement=row["Agreement"] == "yes",
        ),
        HOUSEHOLD,
    )

    assert (str(decision.state), str(decision.action)) == (row["State"], row["Action"])
    assert held(decision) == row["Held by"]


@pytest.mark.parametrize("row", table("A prepaid contract"), ids=lambda row: row["#"])
def test_the_prepaid_contract_of_the_page_is_lived(row):
    decision = decide(
        facts(
            row["At"],
            debt_minor=parse_minor(row["Debt"]),
            credit_minor=500_00,
            holidays=frozenset({date(2026, 11, 4)}),
            above_since=instant("30.10.2026 11:00"),
            notice=DeliveredNotice(instant("30.10.2026 12:00"), "e-mail 5"),
        ),
        PREPAY,
    )

    assert (str(decision.state), held(decision)) == (row["State"], row["Held by"])
    assert decision.next_at == instant(row["Next step"])


@pytest.mark.parametrize("supply", Supply)
@pytest.mark.parametrize("guards", guard_sets().values(), ids=lambda guards: guards.code)
def test_with_no_facts_nothing_is_cut_and_what_is_cut_is_restored(guards, supply):
    nothing = ServiceFacts(instant("08.12.2026 12:00"), ZONE, "electricity", supply=supply)

    decision = decide(nothing, guards)

    assert decision.wanted is Supply.FULL
    expected = Action.NONE if supply is Supply.FULL else Action.RESTORE
    assert decision.action is expected
    assert all(not each.known for each in decision.held_by if each.guard is not Guard.NOTICE)


@pytest.mark.parametrize(
    ("change", "guard"),
    [
        ({"service": "heat"}, Guard.SERVICE),
        ({"service": "cold_water"}, Guard.SERVICE),
        ({"service": "cold_water", "in_apartment_house": None}, Guard.SERVICE),
        ({"service": "a service nobody knows"}, Guard.SERVICE),
        ({"never_cut": True}, Guard.NEVER_LIST),
        ({"vulnerable": None}, Guard.VULNERABLE),
        ({"agreement": None}, Guard.AGREEMENT),
        ({"norm_month_minor": None}, Guard.NORM),
        ({"norm_month_minor": 750_00}, Guard.NORM),
        ({"shared": True}, Guard.SHARED),
        ({"shared": None}, Guard.SHARED),
        ({"suspense_minor": 1500_00}, Guard.SUSPENSE),
        ({"notice": None}, Guard.NOTICE),
        ({"notice": DeliveredNotice(instant("17.11.2026 15:00"))}, Guard.NOTICE),
        ({"notice": DeliveredNotice(instant("09.12.2026 15:00"), "later")}, Guard.NOTICE),
        ({"above_since": instant("17.11.2026 15:01")}, Guard.NOTICE_OF_THIS_DEBT),
        ({"above_since": None}, Guard.NOTICE_OF_THIS_DEBT),
    ],
)
def test_each_guard_alone_holds_a_limitation_back(change, guard):
    assert decide(facts(), HOUSEHOLD).action is Action.LIMIT

    decision = decide(facts(**change), HOUSEHOLD)

    assert decision.wanted is Supply.FULL
    assert guard in [each.guard for each in decision.held_by]


def test_cold_water_of_a_private_house_may_be_cut():
    private = facts(service="cold_water", in_apartment_house=False)

    assert decide(private, HOUSEHOLD).action is Action.LIMIT


def test_every_guard_that_holds_is_named_not_only_the_first():
    decision = decide(
        facts(service="heat", vulnerable=True, agreement=None, debt_minor=1, notice=None), HOUSEHOLD
    )

    assert held(decision) == "service, vulnerable, agreement, norm, notice"


def test_a_missing_fact_is_told_as_one():
    reasons = [
        told(each.reason, Language.RUSSIAN)
        for each in decide(facts(vulnerable=None, never_cut=True), HOUSEHOLD).held_by
    ]

    assert reasons == [
        "счёт в списке тех, кого не отключают",
        "не выяснено, верно ли: «здесь живёт человек, которого нельзя оставлять без услуги»",
    ]


@pytest.mark.parametrize(
    ("available_minor", "state"),
    [
        (500_00, ServiceState.NORMAL),
        (499_99, ServiceState.LOW),
        (-1, ServiceState.LOW),
        (None, ServiceState.NORMAL),
    ],
)
def test_a_service_without_debt_is_low_below_its_threshold(available_minor, state):
    seen = facts(available_minor=available_minor, low_below_minor=500_00, debt_minor=0)

    decision = decide(seen, HOUSEHOLD)

    assert (decision.state, decision.held_by) == (state, ())


def test_a_household_at_zero_or_far_below_is_not_cut_within_two_norms():
    for debt_minor in (1, 100_00, 1200_00):
        decision = decide(facts(debt_minor=debt_minor, available_minor=-debt_minor), HOUSEHOLD)

        assert decision.state is ServiceState.NEGATIVE
        assert Held(Guard.NORM) in decision.held_by


def test_a_part_of_the_debt_stops_the_next_step_and_restores_nothing():
    decision = decide(
        facts(
            "25.12.2026 12:00",
            debt_minor=1,
            supply=Supply.LIMITED,
            limited_at=instant("08.12.2026 12:00"),
        ),
        HOUSEHOLD,
    )

    assert (decision.state, decision.action) == (ServiceState.LIMITED, Action.NONE)
    assert held(decision) == "norm"


def test_night_holds_a_step_back_and_restores_nothing():
    night = facts(
        "08.12.2026 03:00",
        debt_minor=500_01,
        credit_minor=500_00,
        holidays=NEW_YEAR,
        supply=Supply.OFF,
    )

    assert decide(night, PREPAY).action is Action.NONE


def test_what_is_paid_is_restored_within_two_days_and_a_command_in_flight_is_awaited():
    paid = facts(
        "21.12.2026 13:00",
        debt_minor=0,
        supply=Supply.OFF,
        settled_at=instant("21.12.2026 12:55"),
    )

    assert decide(paid, HOUSEHOLD).restore_by == instant("24.12.2026 00:00")
    assert decide(paid, HOUSEHOLD).action is Action.RESTORE
    assert decide(replace(paid, pending=Supply.FULL), HOUSEHOLD).action is Action.NONE


def test_a_year_whose_holidays_are_not_known_is_all_holidays():
    new_year = facts("01.01.2027 12:00", debt_minor=500_01, credit_minor=500_00, holidays=NEW_YEAR)

    assert decide(new_year, PREPAY).held_by == (Held(Guard.HOLIDAY, known=False),)
    assert decide(new_year, HOUSEHOLD).wanted is Supply.FULL  # within two norms


def test_hours_are_those_of_the_account_on_the_day_the_clock_changes():
    berlin = ZoneInfo("Europe/Berlin")
    sunday = datetime(2026, 10, 25, 12, tzinfo=UTC)
    seen = replace(
        facts(credit_minor=500_00, holidays=NEW_YEAR), at=sunday, zone=berlin, notice=None
    )
    notice = DeliveredNotice(sunday - timedelta(days=9), "e-mail")

    decision = decide(replace(seen, notice=notice, above_since=sunday - timedelta(days=10)), PREPAY)

    assert held(decision) == "weekend"
    assert decision.next_at == datetime(2026, 10, 26, 9, tzinfo=UTC)  # 10:00, winter time


def test_every_packaged_rule_names_its_source_and_the_default_never_cuts_heating():
    for guards in guard_sets().values():
        assert {source.rule for source in guards.sources} <= set(guards.__slots__)
        assert all(source.source for source in guards.sources)
        assert "heat" not in guards.may_be_cut | guards.not_in_apartment_houses
    assert HOUSEHOLD.from_memory == ("limited_days", "asks_vulnerable", "restore_days")


INSTANTS = st.integers(0, 120 * 24 * 4).map(
    lambda quarters: datetime(2026, 9, 1, tzinfo=UTC) + timedelta(minutes=15 * quarters)
)
MAYBE = st.sampled_from([None, False, True])
ANY = {
    "service": st.sampled_from(["electricity", "hot_water", "cold_water", "heat"]),
    "available_minor": st.none() | st.integers(-10, 10),
    "low_below_minor": st.integers(-5, 5),
    "debt_minor": st.none() | st.integers(-5, 40),
    "norm_month_minor": st.none() | st.integers(1, 10),
    "credit_minor": st.none() | st.integers(0, 20),
    "above_since": st.none() | INSTANTS,
    "agreement": MAYBE,
    "in_apartment_house": MAYBE,
    "vulnerable": MAYBE,
    "never_cut": MAYBE,
    "holidays": st.none() | st.frozensets(st.dates(date(2026, 9, 1), date(2026, 12, 31))),
    "notice": st.none() | st.builds(DeliveredNotice, INSTANTS, st.sampled_from(["", "p", "p"])),
    "limited_at": st.none() | INSTANTS,
    "pending": st.none() | st.sampled_from(Supply),
    "settled_at": st.none() | INSTANTS,
}
MAY_BE_CUT = facts(
    "10.12.2026 12:00",
    debt_minor=30,
    norm_month_minor=5,
    credit_minor=5,
    holidays=NEW_YEAR,
    limited_at=instant("10.11.2026 12:00"),
    notice=DeliveredNotice(instant("02.10.2026 12:00"), "p"),
    above_since=instant("01.10.2026 12:00"),
)
"""Most of these facts at random, and hardly anybody would ever be cut."""
FACTS = st.builds(
    lambda supply, at, changes: replace(MAY_BE_CUT, supply=supply, at=at, **changes),
    st.sampled_from(Supply),
    st.just(MAY_BE_CUT.at) | INSTANTS,
    st.sets(st.sampled_from(sorted(ANY)), max_size=4).flatmap(
        lambda names: st.fixed_dictionaries({name: ANY[name] for name in sorted(names)})
    ),
)
SETS = st.builds(
    lambda guards, **kwargs: replace(guards, **kwargs),
    st.sampled_from([HOUSEHOLD, PREPAY]),
    norm_months=st.integers(0, 2),
    emergency_credit=st.booleans(),
    needs_notice=st.booleans(),
    needs_proof=st.booleans(),
    notice_days=st.integers(0, 20),
    limit_first=st.booleans(),
    limited_days=st.integers(0, 10),
    asks_vulnerable=st.booleans(),
    spares_weekends=st.booleans(),
    spares_holidays=st.booleans(),
)


def protections(seen):
    """Every way to protect an account more, or to know less of it."""
    yield from (replace(seen, never_cut=known) for known in (True, None))
    yield from (replace(seen, vulnerable=known) for known in (True, None))
    yield from (replace(seen, agreement=known) for known in (True, None))
    yield from (replace(seen, in_apartment_house=known) for known in (True, None))
    yield from (replace(seen, service="heat"), replace(seen, notice=None))
    yield from (replace(seen, debt_minor=None), replace(seen, norm_month_minor=None))
    yield from (replace(seen, credit_minor=None), replace(seen, above_since=None))
    yield from (replace(seen, holidays=None), replace(seen, limited_at=None))
    if seen.debt_minor is not None:
        yield replace(seen, debt_minor=seen.debt_minor - 1)
        yield replace(seen, debt_minor=0)
    if seen.norm_month_minor is not None:
        yield replace(seen, norm_month_minor=seen.norm_month_minor + 1)
    if seen.credit_minor is not None:
        yield replace(seen, credit_minor=seen.credit_minor + 1)
    if seen.holidays is not None:
        yield replace(seen, holidays=seen.holidays | {seen.at.astimezone(ZONE).date()})
    if seen.notice is not None:
        yield replace(seen, notice=replace(seen.notice, proof=""))
        if seen.above_since is None or seen.above_since <= seen.notice.delivered_at:
            later = seen.notice.delivered_at + timedelta(days=1)
            yield replace(seen, notice=replace(seen.notice, delivered_at=later))
    if seen.limited_at is not None:
        yield replace(seen, limited_at=seen.limited_at + timedelta(days=1))


def stricter(guards):
    """Every way to add a guard to a set, or to tighten one."""
    yield replace(guards, may_be_cut=frozenset(), not_in_apartment_houses=frozenset())
    yield replace(guards, norm_months=guards.norm_months + 1)
    yield replace(guards, notice_days=guards.notice_days + 1)
    yield replace(guards, limited_days=guards.limited_days + 1)
    yield replace(guards, opens=time(11), closes=time(12))
    for name in (
        "emergency_credit",
        "needs_notice",
        "needs_proof",
        "limit_first",
        "asks_vulnerable",
        "spares_weekends",
        "spares_holidays",
    ):
        yield replace(guards, **{name: True})


@given(seen=FACTS, guards=SETS)
def test_more_protection_never_makes_the_state_harsher(seen, guards):
    state = decide(seen, guards).state

    for protected in protections(seen):
        assert not harsher(decide(protected, guards).state, state), protected


@given(seen=FACTS, guards=SETS)
def test_a_stricter_set_never_makes_the_state_harsher(seen, guards):
    state = decide(seen, guards).state

    for tightened in stricter(guards):
        assert not harsher(decide(seen, tightened).state, state), tightened


@given(seen=FACTS, guards=SETS)
def test_nobody_is_cut_while_a_guard_holds_and_every_action_fits_the_state(seen, guards):
    decision = decide(seen, guards)

    order = list(Supply)
    if order.index(decision.wanted) > order.index(seen.supply):
        assert decision.held_by == ()
        assert seen.debt_minor is not None
        assert seen.debt_minor > 0
    if decision.action in (Action.LIMIT, Action.SUSPEND):
        assert order.index(decision.wanted) > order.index(seen.supply)
    if seen.debt_minor is not None and seen.debt_minor <= 0:
        assert decision.wanted is Supply.FULL
    if seen.pending in (Supply.LIMITED, Supply.OFF) and decision.wanted is Supply.FULL:
        assert decision.action is Action.WITHDRAW


@given(seen=FACTS, guards=SETS)
def test_by_the_instant_it_names_only_time_was_missing(seen, guards):
    decision = decide(seen, guards)

    if decision.next_at is not None:
        assert decision.next_at >= seen.at
        then = decide(replace(seen, at=decision.next_at), guards)
        assert order_of(then.wanted) > order_of(decision.wanted)


def order_of(supply):
    return list(Supply).index(supply)
