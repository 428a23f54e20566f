"""The periodic checks: what a clerk would see, and what must not be seen."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.events.kinds import DeviceEvent, DeviceEventKind
from metering.findings.finding import Finding, FindingKind, FindingState
from metering.lookback.checks import (
    CheckedMeter,
    MeasuredSums,
    Reconciled,
    Standing,
    check_limits,
    clocks_set,
    reconcile,
    registers_against_intervals,
    shifted_profiles,
    stretches,
    swapped_zones,
)
from metering.registers import RegisterReading
from metering.registry.places import Commodity

START = datetime(2026, 10, 1, tzinfo=UTC)
METER = CheckedMeter(1, "S1", "P1", Commodity.ELECTRICITY, 6, channel_id=7)


def at(days: float) -> datetime:
    return START + timedelta(days=days)


def read(days: float, quality: Quality = Quality.ACTUAL, **values: int) -> list[RegisterReading]:
    return [
        RegisterReading(1, Zone(zone), at(days), value, quality) for zone, value in values.items()
    ]


# --- stretches ---


def test_a_stretch_lies_between_instants_at_which_every_register_was_read():
    readings = [
        *read(0, day=1000, night=500),
        *read(5, day=1500),
        *read(10, day=2000, night=700),
        *read(20, Quality.ESTIMATED, day=9000, night=9000),
        *read(30, day=3000, night=900),
    ]

    found = stretches(METER, readings)

    assert [(s.period, s.counted) for s in found] == [
        (Period(at(0), at(10)), {Zone.DAY: 1000, Zone.NIGHT: 200}),
        (Period(at(10), at(30)), {Zone.DAY: 1000, Zone.NIGHT: 200}),
    ]


def test_a_register_that_rolled_over_counted_on_and_one_that_ran_back_gives_no_stretch():
    over = stretches(METER, [*read(0, all=999_999_000), *read(1, all=500)])
    back = stretches(METER, [*read(0, all=5_000_000), *read(1, all=4_000_000)])

    assert [dict(s.counted) for s in over] == [{Zone.ALL: 1500}]
    assert back == ()


# --- registers against intervals ---


def sums(values: list[int], quality: int = Quality.ACTUAL, holes: tuple[int, ...] = ()):
    energy = np.array([values], np.int32)
    marks = np.full(energy.shape, quality, np.uint8)
    marks[0, list(holes)] = Quality.MISSING
    return MeasuredSums.of(START, 60, [7], energy, marks)


def differing(register_wh: int, measured: MeasuredSums, meter: CheckedMeter = METER, days=1.0):
    found = stretches(meter, [*read(0, all=1_000_000), *read(days, all=1_000_000 + register_wh)])
    return registers_against_intervals(found, measured)


@pytest.mark.parametrize(
    ("register_wh", "differs"),
    [
        (240_000, False),
        # A part in a hundred, and two whole kilowatt-hours, may be lost on the way.
        (242_000, False),
        (242_500, True),
        (237_600, True),
        (238_000, False),
        (24_000, True),
        (0, True),
    ],
)
def test_a_register_is_compared_with_the_sum_of_its_intervals(register_wh, differs):
    found = differing(register_wh, sums([10_000] * 24))

    assert bool(found) is differs


def test_the_finding_says_what_both_counted():
    (found,) = differing(120_000, sums([10_000] * 24))

    assert found.period == Period(at(0), at(1))
    assert found.detail == {"meter": "S1", "register": "120", "intervals": "240"}
    assert "120" in found.sentence()


def test_multiplier_and_losses_are_part_of_what_the_point_took():
    meter = CheckedMeter(1, "S1", "P1", Commodity.ELECTRICITY, 6, 20, 50_000, 7)

    assert differing(12_000, sums([10_500] * 24), meter) == []
    assert differing(12_000, sums([10_000] * 24), meter) == []
    assert len(differing(12_000, sums([5_000] * 24), meter)) == 1


def test_a_reading_within_an_interval_may_lie_on_either_side_of_its_energy():
    spiky = sums([0, 0, 50_000, 0])

    assert differing(0, spiky, days=2.5 / 24) == []
    assert differing(50_000, spiky, days=2.5 / 24) == []
    assert len(differing(90_000, spiky, days=2.5 / 24)) == 1


@pytest.mark.parametrize(
    "measured",
    [
        sums([10_000] * 24, holes=(3,)),
        sums([10_000] * 24, Quality.ESTIMATED),
        sums([10_000] * 12),
    ],
)
def test_where_not_all_was_measured_nothing_is_said(measured):
    assert differing(5_000, measured) == []


@given(
    values=st.lists(st.integers(0, 100_000), min_size=24, max_size=24),
    cut=st.integers(0, 24),
)
def test_sums_of_parts_are_the_sum_of_the_whole(values, cut):
    measured = sums(values)

    parts = [measured.between(7, Period(at(a / 24), at(b / 24))) for a, b in ((0, cut), (cut, 24))]

    assert [sum(both) for both in zip(*parts, strict=True)] == [sum(values)] * 2


# --- zones ---


def monthly(*months: tuple[int, int]) -> list[RegisterReading]:
    """Readings every 30 days, by what day and night counted in each (kWh)."""
    day = night = 1_000_000
    readings = read(0, day=day, night=night)
    for number, (of_day, of_night) in enumerate(months, start=1):
        day, night = day + of_day * 1000, night + of_night * 1000
        readings += read(30 * number, day=day, night=night)
    return readings


@pytest.mark.parametrize(
    ("last", "swapped"),
    [
        ((300, 100), False),
        ((100, 300), True),
        ((90, 350), True),
        # A month of guests, a month away: neither looks like the other register.
        ((600, 200), False),
        ((20, 10), False),
        ((200, 200), False),
    ],
)
def test_registers_that_count_for_each_other_are_seen_by_their_own_past(last, swapped):
    found = stretches(METER, monthly((300, 100), (310, 95), (290, 105), last))

    suspected = swapped_zones(found, at(0))

    assert bool(suspected) is swapped
    if swapped:
        assert suspected[0].detail == {"meter": "S1", "zone": "day", "other": "night"}
        assert suspected[0].period == found[-1].period


def test_readings_written_down_for_each_other_are_seen_by_their_totals():
    readings = [
        *read(0, day=4_100_000, night=4_750_000),
        *read(30, day=4_400_000, night=4_850_000),
        *read(60, day=4_700_000, night=4_950_000),
        *read(90, day=5_000_000, night=5_050_000),
        # The meter showed 5300 by day and 5150 by night; each was written in the other's place.
        *read(120, day=5_150_000, night=5_300_000),
    ]

    found = swapped_zones(stretches(METER, readings), at(0))

    assert [f.detail.get("variant") for f in found] == ["readings"]
    assert [f.period.end for f in found] == [at(120)]


def test_too_short_a_past_or_registers_too_much_alike_say_nothing():
    short = stretches(METER, monthly((300, 100), (310, 95), (100, 300)))
    alike = stretches(METER, monthly((110, 100), (110, 100), (110, 100), (100, 110)))

    assert swapped_zones(short, at(0)) == []
    assert swapped_zones(alike, at(0)) == []


def test_what_ended_before_is_not_said_again():
    found = stretches(METER, monthly((300, 100), (310, 95), (290, 105), (100, 300)))

    assert swapped_zones(found, at(120)) == []


# --- clocks ---


@pytest.mark.parametrize(("seconds", "found"), [(119, 0), (120, 1), (-3600, 1), (0, 0)])
def test_a_clock_that_was_far_off_is_a_finding(seconds, found):
    event = DeviceEvent(1, DeviceEventKind.CLOCK_SET, START, value=seconds)

    assert len(clocks_set([event], "P1")) == found


def days_of(count: int, shift: int, seed: int = 1) -> np.ndarray:
    """Days of a home with a sharp evening, its clock late by `shift` half hours at the end."""
    rng = np.random.default_rng(seed)
    shape = np.full(48, 100.0)
    shape[13:17] += 400
    shape[36:44] += 900
    days = shape * rng.uniform(0.7, 1.3, (count, 48)) * rng.uniform(0.7, 1.3, (count, 1))
    days[-14:] = np.roll(days[-14:], shift, axis=1)
    return days.astype(np.int64)


@pytest.mark.parametrize("shift", [-4, -2, 0, 2, 5])
def test_a_day_that_is_shifted_against_its_past_is_seen(shift):
    days = days_of(42, shift)[None]

    found = shifted_profiles(days, np.ones((1, 42), bool), 30)

    assert found.tolist() == [shift * 30]


def test_a_changed_way_of_life_is_no_shifted_clock():
    days = days_of(42, 0)
    days[-14:, 36:44] = 150
    days[-14:, 0:8] = 1200

    assert shifted_profiles(days[None], np.ones((1, 42), bool), 30).tolist() == [0]


def test_days_without_values_say_nothing():
    days = days_of(42, 4)[None]
    known = np.ones((1, 42), bool)
    known[0, -8:] = False

    assert shifted_profiles(days, known, 30).tolist() == [0]


def test_a_flat_load_has_no_shift():
    days = np.full((2, 42, 48), 300)

    assert shifted_profiles(days, np.ones((2, 42), bool), 30).tolist() == [0, 0]


# --- what becomes of findings ---


def differs(first: float, last: float, point: str = "P1", register: str = "1") -> Finding:
    return Finding(
        FindingKind.REGISTER_DIFFERS,
        point,
        7,
        Period(at(first), at(last)),
        {"meter": "S1", "register": register, "intervals": "2"},
    )


CHECKED = Period(at(0), at(31))


def test_the_same_finding_again_changes_nothing():
    standing = [Standing(1, FindingState.OPEN, differs(0, 10))]

    assert reconcile([differs(0, 10)], standing, CHECKED) == Reconciled((), (), ())


def test_a_finding_that_overlaps_makes_the_open_one_grow():
    standing = [Standing(1, FindingState.OPEN, differs(0, 10))]

    found = reconcile([differs(5, 20, register="9")], standing, CHECKED)

    assert found == Reconciled((), ((1, differs(0, 20, register="9")),), ())


def test_what_was_accepted_is_not_opened_again_but_what_goes_on_is():
    standing = [Standing(1, FindingState.ACCEPTED, differs(0, 10))]

    within, beyond = (reconcile([differs(2, end)], standing, CHECKED) for end in (8, 15))

    assert within == Reconciled((), (), ())
    assert beyond == Reconciled((differs(10, 15),), (), ())


def test_what_holds_no_longer_is_closed_where_it_was_looked_for():
    standing = [
        Standing(1, FindingState.OPEN, differs(0, 10)),
        Standing(2, FindingState.OPEN, differs(30, 40)),
        Standing(3, FindingState.ACCEPTED, differs(10, 20)),
        Standing(4, FindingState.OPEN, Finding(FindingKind.CLOCK_DRIFT, "P1", 7, CHECKED)),
    ]

    assert reconcile([], standing, CHECKED) == Reconciled((), (), (1,))


def test_another_point_or_meter_is_another_thing():
    standing = [Standing(1, FindingState.OPEN, differs(0, 10))]

    found = reconcile([differs(0, 10, "P2")], standing, CHECKED)

    assert found == Reconciled((differs(0, 10, "P2"),), (), (1,))


@given(
    spans=st.lists(
        st.tuples(st.integers(0, 25), st.integers(1, 6), st.sampled_from(["P1", "P2"])), max_size=6
    )
)
def test_a_second_look_never_says_more(spans):
    found = [differs(first, first + length, point) for first, length, point in spans]
    once = reconcile(found, [], CHECKED)
    standing = [Standing(n, FindingState.OPEN, f) for n, f in enumerate(once.opened)]

    again = reconcile(found, standing, CHECKED)

    assert again.opened == ()
    assert again.closed == ()


def test_every_limit_is_a_whole_number():
    limits = check_limits()

    assert all(type(getattr(limits, name)) is int for name in limits.__slots__)
