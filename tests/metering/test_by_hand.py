"""Windows of a month, the text of a reading, and how likely it is."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.calendar import Month
from kilokassa.core.errors import Invalid
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.by_hand.readings import (
    RegisterState,
    RemarkKind,
    Verdict,
    WindowRule,
    findings_of,
    instant_at_point,
    judge,
    packaged_rules,
    parse_reading,
    rule_of,
    shown,
    usual_per_day,
    window_state,
)
from metering.findings.finding import FindingKind
from metering.registers import RegisterReading, modulus
from metering.registry.places import Commodity

ZONE = ZoneInfo("Asia/Vladivostok")
NOW = datetime(2026, 11, 24, 2, tzinfo=UTC)


def reading(days_ago: float, kwh: int, quality: Quality = Quality.ACTUAL) -> RegisterReading:
    return RegisterReading(1, Zone.ALL, NOW - timedelta(days=days_ago), kwh * 1000, quality)


def register(*known: RegisterReading, **more) -> RegisterState:
    fields = {"commodity": Commodity.ELECTRICITY, "digits": 5, "zone": ZONE} | more
    return RegisterState(known=tuple(known), **fields)


@pytest.mark.parametrize(
    ("first", "last", "day", "is_open", "opens", "closes"),
    [
        (15, 25, date(2026, 11, 14), False, date(2026, 11, 15), date(2026, 11, 25)),
        (15, 25, date(2026, 11, 15), True, date(2026, 11, 15), date(2026, 11, 25)),
        (15, 25, date(2026, 11, 25), True, date(2026, 11, 15), date(2026, 11, 25)),
        (15, 25, date(2026, 11, 26), False, date(2026, 12, 15), date(2026, 12, 25)),
        (15, 25, date(2026, 12, 26), False, date(2027, 1, 15), date(2027, 1, 25)),
        (25, 31, date(2026, 2, 28), True, date(2026, 2, 25), date(2026, 2, 28)),
        (30, 31, date(2026, 2, 28), True, date(2026, 2, 28), date(2026, 2, 28)),
    ],
)
def test_a_window_is_open_on_its_days_and_else_says_when_it_opens(
    first, last, day, is_open, opens, closes
):
    rules = [WindowRule(date(2020, 1, 1), first, last)]

    state = window_state(rules, None, day)

    assert (state.is_open, state.window.opens_on, state.window.closes_on) == (
        is_open,
        opens,
        closes,
    )


def test_without_a_setting_the_packaged_rule_holds_and_says_how_surely_it_is_known():
    state = window_state([], 7, date(2026, 11, 20))

    assert (state.window.opens_on.day, state.window.closes_on.day) == (15, 25)
    assert state.window.rule.confidence == "memory"
    assert packaged_rules()[0].source


def test_the_rule_of_a_house_goes_before_the_rule_of_all_and_the_later_before_the_earlier():
    everywhere = WindowRule(date(2026, 1, 1), 10, 20)
    of_house = WindowRule(date(2026, 3, 1), 20, 25, building_id=7)
    later = WindowRule(date(2026, 6, 15), 1, 31)
    rules = [everywhere, of_house, later]

    assert rule_of(rules, 7, Month(2026, 2)) is everywhere
    assert rule_of(rules, 7, Month(2026, 9)) is of_house
    assert rule_of(rules, 8, Month(2026, 5)) is everywhere
    assert rule_of(rules, 8, Month(2026, 6)) is later


@pytest.mark.parametrize(
    ("first", "last", "remind"), [(0, 5, 2), (9, 8, 2), (1, 32, 2), (1, 9, -1)]
)
def test_a_window_that_no_month_can_have_is_refused(first, last, remind):
    with pytest.raises(Invalid):
        WindowRule(date(2026, 1, 1), first, last, remind)


@pytest.mark.parametrize(
    ("text", "commodity", "value"),
    [
        ("12345", Commodity.ELECTRICITY, 12_345_000),
        (" 00 345,6 ", Commodity.ELECTRICITY, 345_600),
        ("1.", Commodity.ELECTRICITY, 1000),
        ("0.001", Commodity.ELECTRICITY, 1),
        ("87,654", Commodity.COLD_WATER, 87_654),
        ("1,234567", Commodity.HEAT, 1_234_567),
    ],
)
def test_a_dial_is_read_exactly(text, commodity, value):
    assert parse_reading(text, commodity) == value


@pytest.mark.parametrize("text", ["", "-5", "12a", "1.2.3", "0,0001", "١٢", "1e5", "9" * 13])
def test_what_is_no_dial_is_refused(text):
    with pytest.raises(Invalid):
        parse_reading(text, Commodity.ELECTRICITY)


@given(value=st.integers(0, 10**11), commodity=st.sampled_from(Commodity))
def test_what_is_shown_reads_back_as_it_was(value, commodity):
    assert parse_reading(format(shown(value, commodity), "f"), commodity) == value


@pytest.mark.parametrize(
    ("kwh", "verdict", "remarks"),
    [
        # 30 days after 12 000 kWh, where 10 kWh a day are usual and the connection gives 5 kW.
        (12_300, Verdict.OK, []),
        (12_000, Verdict.OK, [RemarkKind.UNCHANGED]),
        (12_900, Verdict.OK, []),
        (12_901, Verdict.WARN, [RemarkKind.FAR_ABOVE_USUAL]),
        (15_601, Verdict.WARN, [RemarkKind.OVER_CAPACITY, RemarkKind.FAR_ABOVE_USUAL]),
        (11_999, Verdict.REFUSED, [RemarkKind.LESS_THAN_BEFORE]),
        (100_000, Verdict.REFUSED, [RemarkKind.TOO_LARGE]),
    ],
)
def test_a_reading_is_judged_by_what_was_before_it(kwh, verdict, remarks):
    known = register(reading(30, 12_000), usual_per_day=10_000, capacity_w=5_000)

    judgement = judge(known, kwh * 1000, NOW)

    assert judgement.verdict is verdict
    assert [remark.kind for remark in judgement.remarks] == remarks


def test_a_dial_that_passed_its_nines_is_asked_about_and_counts_on():
    judgement = judge(register(reading(30, 99_950)), 40_000, NOW)

    assert judgement.verdict is Verdict.WARN
    assert judgement.used == 90_000
    assert [remark.kind for remark in judgement.remarks] == [RemarkKind.ROLLED_OVER]


def test_a_reading_of_an_earlier_day_must_not_pass_a_later_one():
    known = register(reading(30, 12_000), reading(2, 12_300))

    late = judge(known, 12_400_000, NOW - timedelta(days=5))

    assert late.verdict is Verdict.REFUSED
    assert late.remarks[0].kind is RemarkKind.MORE_THAN_AFTER
    assert judge(known, 12_200_000, NOW - timedelta(days=5)).verdict is Verdict.OK


def test_an_estimate_never_stands_in_the_way_of_a_reading():
    known = register(reading(60, 12_000), reading(30, 12_500, Quality.ESTIMATED))

    judgement = judge(known, 12_100_000, NOW)

    assert judgement.verdict is Verdict.OK
    assert judgement.used == 100_000


def test_a_first_reading_has_nothing_to_be_judged_by():
    assert judge(register(), 5_000, NOW).remarks == ()


def test_what_is_usual_is_counted_over_successive_meters_without_estimates():
    old = [reading(100, 900), reading(60, 1_300)]  # 400 in 40 days
    new = [reading(60, 5), reading(40, 9_000, Quality.ESTIMATED), reading(20, 405)]  # 400 in 40

    usual = usual_per_day([(old, modulus(5)), (new, modulus(5))], before=NOW)

    assert usual == 10_000


def test_a_short_history_says_nothing_and_a_far_one_counts_where_there_is_no_other():
    short = [reading(13, 100), reading(1, 900)]
    far = [reading(900, 100), reading(500, 900)]  # 800 in 400 days

    assert usual_per_day([(short, modulus(5))], before=NOW) is None
    assert usual_per_day([(far, modulus(5))], before=NOW) == 2_000


def test_what_is_confirmed_is_kept_as_a_finding_with_its_figures():
    known = register(reading(30, 12_000), usual_per_day=10_000)
    judgement = judge(known, 13_500_000, NOW)

    (finding,) = findings_of(judgement, known, point_code="P1", serial="S1", zone=Zone.ALL, at=NOW)

    assert finding.kind is FindingKind.SPIKE
    assert (finding.period.start, finding.period.end) == (NOW - timedelta(days=30), NOW)
    assert finding.sentence() == (
        "Point P1, meter S1: 1500 kWh since the reading before, where 300 kWh is usual; "
        "whoever read it confirmed it."
    )


def test_remarks_are_sentences_with_the_figures_as_people_read_them():
    known = register(reading(30, 12_000))

    (remark,) = judge(known, 1_000, NOW).remarks

    assert remark.sentence() == ("This is less than 12000, read on 2026-10-25. Check the digits.")


def test_a_meter_is_read_after_it_was_put_in_on_the_day_of_its_replacement():
    put_in = datetime(2026, 11, 24, 5, tzinfo=UTC)
    first = RegisterReading(1, Zone.ALL, put_in, 0)

    same_day = instant_at_point(NOW, date(2026, 11, 24), [first], ZONE)
    other_day = instant_at_point(NOW, date(2026, 11, 20), [first], ZONE)

    assert same_day == put_in + timedelta(minutes=1)
    assert other_day == NOW


TOTALS = st.integers(0, 99_999_999)


@given(before=TOTALS, value=TOTALS, days=st.integers(1, 400), usual=st.integers(0, 10**6))
def test_what_is_refused_is_only_what_the_register_cannot_show(before, value, days, usual):
    known = RegisterReading(1, Zone.ALL, NOW - timedelta(days=days), before)

    judgement = judge(register(known, usual_per_day=usual), value, NOW)

    went_back = value < before and (value + 100_000_000 - before) * 10 >= 100_000_000
    assert (judgement.verdict is Verdict.REFUSED) == went_back
    assert went_back or judgement.used == (value - before) % 100_000_000


@pytest.mark.parametrize(
    ("value", "commodity", "text"),
    [
        (12_345_000, Commodity.ELECTRICITY, "12345"),
        (100_000, Commodity.COLD_WATER, "100"),
        (1, Commodity.HEAT, "0.000001"),
        (0, Commodity.HEAT, "0"),
    ],
)
def test_a_total_is_shown_as_the_dial_does(value, commodity, text):
    assert format(shown(value, commodity), "f") == text
    assert isinstance(shown(value, commodity), Decimal)
