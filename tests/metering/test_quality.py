"""What the items of annex 1 count, by hand and by law."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.calendar import Month
from kilokassa.core.period import Period
from metering.events.kinds import KINDS_OF, QualityEventKind
from metering.events.quality import Deviation, QualityPeriod, deviation, quality_rules
from metering.registry.places import Commodity

ZONE = ZoneInfo("Asia/Vladivostok")
NOVEMBER = Month(2026, 11)
NO_SUPPLY, ROOM = QualityEventKind.NO_SUPPLY, QualityEventKind.ROOM_TEMPERATURE


def local(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=ZONE).astimezone(UTC)


def lasting(start: datetime, hours: int) -> Period:
    return Period(start, start + timedelta(hours=hours))


def no_heat(start: datetime, hours: int, measured: int | None = None) -> QualityPeriod:
    return QualityPeriod(Commodity.HEAT, NO_SUPPLY, lasting(start, hours), measured)


def room(
    start: datetime, hours: int, measured: int | None, required: int | None = None
) -> QualityPeriod:
    return QualityPeriod(Commodity.HEAT, ROOM, lasting(start, hours), measured, required)


def only(periods: list[QualityPeriod], month: Month = NOVEMBER) -> Deviation:
    (found,) = deviation(periods, month, ZONE)
    return found


@pytest.mark.parametrize(
    ("measured", "hours", "counted_h"),
    [
        (None, 16, 0),
        (None, 17, 1),
        (120, 20, 4),
        (119, 20, 12),
        (100, 9, 1),
        (99, 9, 5),
        (80, 4, 0),
        (79, 4, 4),
    ],
)
def test_one_break_of_heat_may_last_as_long_as_the_room_is_warm(measured, hours, counted_h):
    found = only([no_heat(local(3, 6), hours, measured)])

    assert (found.rule.item, found.lasted_min, found.counted_min) == (
        "14",
        hours * 60,
        counted_h * 60,
    )
    assert found.share_ppm == counted_h * 1500


@pytest.mark.parametrize(
    ("breaks", "counted_h"),
    [
        # Each within its 16 hours, together beyond the 24 of the month.
        ([(3, 12), (10, 12)], 0),
        ([(3, 16), (10, 16)], 8),
        ([(3, 10), (6, 10), (9, 10)], 6),
        # What was counted once does not use up the month's allowance: 4, then 16 + 8 are allowed.
        ([(3, 20), (10, 16)], 4 + 8),
        ([(3, 30), (10, 5)], 14),
    ],
)
def test_breaks_of_a_month_share_its_allowance(breaks, counted_h):
    found = only([no_heat(local(day, 0), hours) for day, hours in breaks])

    assert found.counted_min == counted_h * 60


def test_a_break_across_the_end_of_a_month_uses_its_own_allowance_once():
    crossing = no_heat(local(30, 14), 20)

    november, december = only([crossing]), only([crossing], Month(2026, 12))

    assert (november.lasted_min, november.counted_min) == (10 * 60, 0)
    assert (december.lasted_min, december.counted_min) == (10 * 60, 4 * 60)


def test_breaks_that_overlap_are_counted_once():
    found = only([no_heat(local(3, 0), 10), no_heat(local(3, 5), 15, 110)])

    assert (found.lasted_min, found.counted_min) == (20 * 60, 12 * 60)


@pytest.mark.parametrize(
    ("hour", "hours", "measured", "required", "counted_h", "degree_h", "share_ppm"),
    [
        (10, 6, 170, None, 6, 6, 6 * 1500),
        (10, 6, 160, None, 6, 12, 12 * 1500),
        # Half a degree is no whole degree: it is counted, but takes nothing off.
        (10, 6, 175, None, 6, 3, 0),
        (10, 6, 180, None, 0, 0, 0),
        # A corner room of the act: 20 degrees.
        (10, 6, 180, 200, 6, 12, 12 * 1500),
        # Up to four degrees too warm is allowed.
        (10, 6, 220, None, 0, 0, 0),
        (10, 6, 230, None, 6, 6, 6 * 1500),
        # From 0 to 5 it may be three degrees cooler.
        (0, 5, 150, None, 0, 0, 0),
        (0, 8, 150, None, 3, 9, 9 * 1500),
        (10, 6, None, None, 0, 0, 0),
    ],
)
def test_a_cold_room_is_counted_by_hours_and_degrees(
    hour, hours, measured, required, counted_h, degree_h, share_ppm
):
    found = only([room(local(3, hour), hours, measured, required)])

    assert found.rule.item == "15"
    assert found.counted_min == counted_h * 60
    assert found.tenth_degree_minutes == degree_h * 600
    assert found.share_ppm == share_ppm


def test_of_two_measurements_at_once_the_colder_counts():
    found = only([room(local(3, 10), 6, 170), room(local(3, 12), 2, 150)])

    assert found.counted_min == 6 * 60
    assert found.tenth_degree_minutes == (4 * 10 + 2 * 30) * 60


def test_a_break_and_a_cold_room_exclude_each_other():
    both = [no_heat(local(3, 8), 10), room(local(3, 6), 14, 160)]

    found = {one.rule.item: one for one in deviation(both, NOVEMBER, ZONE)}

    # The room was cold for 14 hours, ten of which were the break's.
    assert found["14"].counted_min == 0
    assert found["15"].counted_min == 4 * 60


def test_a_share_is_never_more_than_the_whole_charge():
    found = only([room(local(1, 0), 29 * 24, 50)])

    assert found.share_ppm == 1_000_000


def test_a_month_with_a_changed_clock_has_its_own_length():
    berlin = ZoneInfo("Europe/Berlin")
    whole = Month(2026, 10).period(berlin)
    period = QualityPeriod(Commodity.ELECTRICITY, QualityEventKind.VOLTAGE, whole)

    (found,) = deviation([period], Month(2026, 10), berlin)

    assert found.counted_min == (31 * 24 + 1) * 60


def test_every_kind_of_every_service_has_one_rule_with_a_source():
    kinds = [(rule.commodity, rule.kind) for rule in quality_rules()]

    assert sorted(kinds) == sorted((c, k) for c, of_c in KINDS_OF.items() for k in of_c)
    assert all(rule.source for rule in quality_rules())
    assert {rule.confidence for rule in quality_rules()} <= {"high", "medium", "memory"}


def test_a_rule_does_not_hold_before_its_day():
    old = QualityPeriod(
        Commodity.HEAT, NO_SUPPLY, lasting(datetime(2011, 1, 5, tzinfo=UTC), 40), None
    )

    assert deviation([old], Month(2011, 1), ZONE) == ()


HOURS = st.integers(0, 29 * 24)
PERIODS = st.builds(
    lambda start, hours, measured, breaking: (no_heat if breaking else room)(
        local(1, 0) + timedelta(hours=start), hours, measured
    ),
    HOURS,
    st.integers(1, 60),
    st.integers(0, 260),
    st.booleans(),
)


@given(st.lists(PERIODS, max_size=6), PERIODS)
def test_one_more_record_never_counts_fewer_hours_of_its_own_item(periods, more):
    def of_item(found: tuple[Deviation, ...], item: str) -> tuple[int, int]:
        return next(
            ((one.lasted_min, one.counted_min) for one in found if one.rule.item == item), (0, 0)
        )

    item = "14" if more.kind is NO_SUPPLY else "15"
    before = of_item(deviation(periods, NOVEMBER, ZONE), item)
    after = of_item(deviation([*periods, more], NOVEMBER, ZONE), item)

    assert after[0] >= before[0]
    assert after[1] >= before[1]


@given(st.lists(PERIODS, max_size=6))
def test_nothing_is_counted_beyond_what_lasted_nor_twice(periods):
    found = deviation(periods, NOVEMBER, ZONE)

    assert all(0 <= one.counted_min <= one.lasted_min <= 30 * 24 * 60 for one in found)
    assert sum(one.counted_min for one in found) <= 30 * 24 * 60


@given(st.lists(PERIODS, max_size=6))
def test_the_order_of_records_changes_nothing(periods):
    assert deviation(periods, NOVEMBER, ZONE) == deviation(periods[::-1], NOVEMBER, ZONE)
