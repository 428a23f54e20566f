"""What is called unusual of stored values, and what becomes of a finding when they change."""

import csv
import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.calendar import local_midnight
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from metering.arrivals import PointChannel
from metering.days import strides, whole_days
from metering.findings.finding import DayGrid, Finding, FindingKind, FindingState
from metering.validation.arriving import (
    HISTORY_DAYS,
    SCREEN_DAYS,
    StandingFinding,
    check,
    lay_out,
    may_be_unusual,
    settle,
    unusual,
)

VLADIVOSTOK = "Asia/Vladivostok"
NEW_YORK = "America/New_York"
FIRST = date(2026, 9, 1)
OPENDSM = Path(__file__).resolve().parents[3] / "shared" / "data" / "meters" / "opendsm"


def channel(channel_id=7, *, zone=VLADIVOSTOK, interval_min=30, **more):
    return PointChannel(
        more.pop("code", f"P{channel_id}"), channel_id, interval_min, 1, zone, **more
    )


def ordinary(days, *, seed=1, intervals=48, most_wh=1000):
    """Days of half hours as a flat has them, never the same for long."""
    return np.random.default_rng(seed).integers(50, most_wh, (days, intervals)).astype(np.int32)


def window(values, *, fresh=1, one=None, quality=None, off=(), first=FIRST):
    """Days of one channel, of which the last `fresh` are to be checked."""
    one = one or channel()
    days = [first + timedelta(days=n) for n in range(len(values))]
    block = whole_days(
        one.interval_min,
        [one.channel_id] * len(values),
        days,
        np.asarray(values),
        None if quality is None else np.asarray(quality, np.uint8),
    )
    marked = np.zeros((1, len(values)), bool)
    marked[0, len(values) - fresh :] = True
    return lay_out([one], days[0], days[-1], [block], marked, {one.point_id: list(off)})


def kinds(found):
    return [finding.kind for finding in found]


# --- spikes ---


def test_a_value_far_above_the_past_is_a_spike():
    values = ordinary(29)
    values[28, 20:22] = 9_000, 12_000

    (finding,) = check(window(values))

    usual_wh = sorted(values[:28].max(axis=1))[-3]
    assert finding.kind is FindingKind.SPIKE
    assert finding.detail == {
        "variant": "interval", "value": "12", "usual": f"{usual_wh / 1000:g}", "unit": "kWh",
        "count": 2,
    }  # fmt: skip
    midnight = local_midnight(FIRST + timedelta(days=28), ZoneInfo(VLADIVOSTOK))
    assert finding.period == Period(midnight + timedelta(hours=10), midnight + timedelta(hours=11))
    assert finding.sentence().startswith("Point P7: far above what it ever used: 12 kWh where 0.9")


@pytest.mark.parametrize(
    ("past_wh", "value_wh", "spike"),
    [
        (1000, 3000, False),  # three times is not more than three times
        (1000, 3001, True),
        (100, 2500, False),  # 5 kW over half an hour may be a kettle and an oven after a holiday
        (100, 2501, True),
    ],
)
def test_a_spike_is_above_three_times_the_past_and_above_what_any_flat_may_use(
    past_wh, value_wh, spike
):
    values = ordinary(29, most_wh=60)
    values[:28, 10] = past_wh
    values[28, 20] = value_wh

    assert kinds(check(window(values))) == [FindingKind.SPIKE] * spike


def test_two_odd_days_in_the_past_hide_nothing():
    values = ordinary(29)
    values[[5, 12, 28], 20] = 9_000

    assert kinds(check(window(values))) == [FindingKind.SPIKE]


def test_a_past_of_less_than_two_weeks_speaks_for_nothing():
    values = ordinary(14)
    values[13, 20] = 900_000

    assert kinds(check(window(values))) == [FindingKind.SPIKE]
    assert check(window(values[1:])) == []


def test_the_first_days_of_a_point_are_measured_against_all_that_came_with_them():
    values = ordinary(30)
    values[2, 20] = 900_000

    (finding,) = check(window(values, fresh=30))

    assert finding.period.start.date() == date(2026, 9, 3)


def test_successive_days_of_spikes_are_one_finding():
    values = ordinary(31)
    values[[28, 29], 20] = 9_000

    (finding,) = check(window(values, fresh=3))

    assert finding.period.length == timedelta(days=1, minutes=30)


def test_an_estimated_value_is_neither_a_spike_nor_stuck():
    values = ordinary(32)
    values[28:] = 9_000
    quality = np.full(values.shape, Quality.ACTUAL)
    quality[28:] = Quality.ESTIMATED

    assert check(window(values, fresh=4, quality=quality)) == []


# --- stuck ---


def test_one_value_for_a_day_is_stuck_unless_the_point_is_always_so():
    values = ordinary(30)
    values[28, 10:] = values[29, :10] = 345

    (finding,) = check(window(values, fresh=2))

    assert finding.sentence() == "Point P7: the same value 0.345 kWh 48 times on end."
    assert finding.period.length == timedelta(days=1)
    values[5, :40] = 17
    assert check(window(values, fresh=2)) == []


def test_a_value_stuck_for_less_than_a_day_is_none():
    values = ordinary(29)
    values[28, 1:] = 345

    assert check(window(values)) == []


def test_a_run_that_began_before_is_found_whole():
    values = ordinary(29)
    values[27:] = 345

    (finding,) = check(window(values))

    assert finding.detail["count"] == 96
    assert finding.period.start == local_midnight(FIRST + timedelta(days=27), ZoneInfo(VLADIVOSTOK))


def test_three_days_of_zeros_are_told_where_the_past_has_none():
    values = ordinary(31)
    values[28:] = 0

    (finding,) = check(window(values))

    used_wh = int(values[:28].sum()) // 28
    assert finding.kind is FindingKind.STUCK
    assert finding.detail == {
        "variant": "zero", "value": "0", "count": 144, "days": 3, "usual": f"{used_wh / 1000:g}",
        "unit": "kWh",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "told"),
    [("Q", "0.009 Gcal"), ("CW", "9 m³"), ("R+", "9 kvarh"), ("A-", "9 kWh")],
)
def test_a_value_is_told_in_the_unit_of_its_channel(code, told):
    values = ordinary(29)
    values[28, 20] = 9_000

    (finding,) = check(window(values, one=channel(channel_code=code)))

    assert f"ever used: {told} where" in finding.sentence()


def test_zeros_are_usual_where_nobody_lives_and_two_days_of_them_anywhere():
    holiday, empty = ordinary(30), ordinary(31)
    holiday[28:] = 0
    empty[10] = empty[28:] = 0

    assert check(window(holiday, fresh=2)) == []
    assert check(window(empty, fresh=3)) == []
    assert check(window(np.zeros((31, 48), np.int32), fresh=31)) == []


def test_what_is_missing_ends_a_run():
    values = ordinary(29)
    values[28] = 345
    quality = np.full(values.shape, Quality.ACTUAL)
    quality[28, 20] = Quality.MISSING

    assert check(window(values, quality=quality)) == []


# --- capacity and disconnection ---


@pytest.mark.parametrize(("value_wh", "over"), [(3500, False), (3501, True)])
def test_more_power_than_is_connected_is_told(value_wh, over):
    values = ordinary(3)
    values[2, 7] = value_wh
    one = channel(capacity_w=7_000)

    found = check(window(values, one=one))

    assert [f.detail for f in found] == [{"power": "7.002", "capacity": "7", "count": 1}] * over


def test_what_is_given_back_has_no_connected_capacity():
    one = channel(capacity_w=1, channel_code="A-")

    assert check(window(ordinary(3), one=one)) == []


def test_energy_used_while_disconnected_is_told_for_whole_intervals():
    values = np.zeros((2, 48), np.int32)
    values[1, 10:14] = 100, 200, 300, 400
    midnight = local_midnight(FIRST + timedelta(days=1), ZoneInfo(VLADIVOSTOK))
    off = Period(
        midnight + timedelta(hours=5, minutes=10), midnight + timedelta(hours=6, minutes=50)
    )

    (finding,) = check(window(values, one=channel(point_id=3), off=[off]))

    assert (finding.kind, finding.detail) == (
        FindingKind.WHILE_DISCONNECTED, {"value": "0.5", "count": 2},
    )  # fmt: skip
    assert finding.period.start == midnight + timedelta(hours=5, minutes=30)


def test_a_disconnection_without_use_and_one_on_other_days_say_nothing():
    values = ordinary(3)
    values[2] = 0
    midnight = local_midnight(FIRST, ZoneInfo(VLADIVOSTOK))
    before = Period(midnight, midnight + timedelta(days=1))
    during = Period(midnight + timedelta(days=2), midnight + timedelta(days=9))

    assert check(window(values, off=[before, during])) == []


# --- lengths ---


def test_days_that_fill_every_second_place_have_another_length():
    values = ordinary(4)
    quality = np.full(values.shape, Quality.ACTUAL)
    quality[1:3, 1::2] = Quality.MISSING

    (finding,) = check(window(values, fresh=4, quality=quality))

    assert (finding.kind, finding.detail) == (
        FindingKind.WRONG_INTERVAL, {"found": 60, "expected": 30, "count": 2},
    )  # fmt: skip
    assert finding.period.length == timedelta(days=2)
    assert finding.sentence() == (
        "Point P7: values every 60 minutes, though its intervals last 30."
    )


@pytest.mark.parametrize(
    ("places", "stride"),
    [
        (range(0, 48, 2), 2),
        (range(1, 48, 2), 2),
        (range(0, 48, 3), 3),
        (range(2, 48, 4), 4),
        (range(0, 48, 12), 12),
        (range(48), 1),
        (range(0, 24, 2), 1),
        (range(2, 48, 2), 1),
        ([*range(0, 48, 2), 1], 1),
        ([], 1),
        ([5], 1),
    ],
)
def test_a_stride_fills_a_whole_day_and_nothing_between(places, stride):
    known = np.zeros((1, 48), bool)
    known[0, list(places)] = True

    assert strides(known).tolist() == [stride]


def test_places_between_longer_intervals_are_no_gaps():
    grid = DayGrid(ZoneInfo(VLADIVOSTOK), 30, FIRST, FIRST + timedelta(days=2))
    whole, hourly = bytes([1] * 48), bytes([1, 0] * 24)

    days = [(FIRST + timedelta(days=n), day) for n, day in enumerate([hourly, hourly, whole])]

    assert grid.gaps(days) == []


# --- days of any length ---


@pytest.mark.parametrize(
    ("first", "lengths"), [(date(2026, 3, 7), (48, 46, 48)), (date(2026, 10, 31), (48, 50, 48))]
)
def test_days_on_which_the_clock_changes_lie_where_they_belong(first, lengths):
    one = channel(zone=NEW_YORK, capacity_w=2_000)
    blocks = [
        whole_days(30, [7], [first + timedelta(days=n)], ordinary(1, seed=n, intervals=count))
        for n, count in enumerate(lengths)
    ]
    blocks[2].energy_wh[0, 0] = 1_500
    last = first + timedelta(days=2)

    found = check(lay_out([one], first, last, blocks, np.ones((1, 3), bool), {}))

    (finding,) = found
    assert finding.kind is FindingKind.OVER_CAPACITY
    assert finding.period.start == local_midnight(last, ZoneInfo(NEW_YORK))


@given(seeds=st.lists(st.integers(0, 99), min_size=1, max_size=6), fresh=st.integers(1, 31))
def test_channels_are_checked_together_as_each_by_itself(seeds, fresh):
    members = [channel(number + 10, capacity_w=1_990) for number in range(len(seeds))]
    days = [FIRST + timedelta(days=n) for n in range(31)]
    blocks, alone = [], []
    marked = np.zeros((len(seeds), 31), bool)
    marked[:, 31 - fresh :] = True
    for one, seed in zip(members, seeds, strict=True):
        values = ordinary(31, seed=seed)
        values[seed % 31, seed % 48] *= 1 + seed % 7
        values[seed % 29 : seed % 29 + 4] *= seed % 2
        blocks.append(whole_days(30, [one.channel_id] * 31, days, values))
        alone += check(lay_out([one], days[0], days[-1], [blocks[-1]], marked[:1], {}))

    together = check(lay_out(members, days[0], days[-1], blocks, marked, {}))

    def key(finding):
        return finding.channel_id, finding.kind, finding.period

    assert sorted(together, key=key) == sorted(alone, key=key)


@given(
    seed=st.integers(0, 999),
    fresh=st.integers(1, 3),
    at=st.integers(0, 31 * 48 - 1),
    length=st.sampled_from([1, 24, 47, 48, 49, 100, 143, 144, 150, 200]),
    value_wh=st.sampled_from([0, 345, 2_500, 2_501, 9_000]),
)
def test_what_is_unusual_is_suspected_from_a_few_days_before_alone(
    seed, fresh, at, length, value_wh
):
    values = ordinary(31, seed=seed)
    values.reshape(-1)[at : at + length] = value_wh
    whole = window(values, fresh=fresh)
    few = window(values[31 - fresh - SCREEN_DAYS :], fresh=fresh)

    found = unusual(whole)

    assert not found or may_be_unusual(few).tolist() == [True]


def test_an_ordinary_day_is_not_suspected():
    assert may_be_unusual(window(ordinary(5))).tolist() == [False]


def test_a_day_laid_out_twice_is_the_later_one():
    first, later = ordinary(1, seed=1), ordinary(1, seed=2)
    blocks = [whole_days(30, [7], [FIRST], values) for values in (first, later)]
    stranger = whole_days(30, [8, 7], [FIRST, FIRST - timedelta(days=1)], ordinary(2, seed=3))

    laid = lay_out([channel()], FIRST, FIRST, [*blocks, stranger], np.ones((1, 1), bool), {})

    assert laid.energy_wh.tolist() == later.tolist()


# --- settling ---


def finding(kind=FindingKind.SPIKE, day=1, days=1, **detail):
    start = datetime(2026, 10, day, tzinfo=UTC)
    return Finding(kind, "P7", 7, Period(start, start + timedelta(days=days)), detail or {"n": 1})


def standing(of, state=FindingState.OPEN, number=1):
    return StandingFinding(number, state, of)


OCTOBER = {7: [Period(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))]}
NOTHING = {7: []}


@pytest.mark.parametrize("state", [FindingState.OPEN, FindingState.ACCEPTED])
def test_what_stands_already_is_not_opened_twice(state):
    settlement = settle([finding()], [standing(finding(), state)], OCTOBER)

    assert (settlement.fresh, settlement.outdated) == ((), ())


def test_another_value_for_what_was_accepted_is_a_new_finding():
    accepted = standing(finding(value="9"), FindingState.ACCEPTED)

    settlement = settle([finding(value="12")], [accepted], OCTOBER)

    assert (settlement.fresh, settlement.outdated) == ((finding(value="12"),), ())


def test_what_is_not_found_again_on_days_that_were_checked_holds_no_longer():
    settlement = settle([], [standing(finding())], OCTOBER)

    assert (settlement.fresh, settlement.outdated) == ((), (1,))
    assert settle([], [standing(finding())], NOTHING).outdated == ()
    assert settle([], [standing(finding(), FindingState.ACCEPTED)], OCTOBER).outdated == ()


def run(day, days, *, value="0.345"):
    """Hourly values that are all the same."""
    return finding(FindingKind.STUCK, day, days, value=value, count=24 * days)


def test_a_run_that_goes_on_lets_its_finding_grow_unless_a_person_accepted_it():
    grown = settle([run(1, 2)], [standing(run(1, 1))], NOTHING)
    accepted = settle([run(1, 2)], [standing(run(1, 1), FindingState.ACCEPTED)], NOTHING)

    assert (grown.fresh, grown.outdated, grown.grown) == ((), (), ((1, run(1, 2)),))
    assert (accepted.fresh, accepted.outdated, accepted.grown) == ((), (), ())


def test_a_run_longer_than_the_past_that_is_read_keeps_its_start():
    settlement = settle([run(3, 10)], [standing(run(1, 11))], NOTHING)

    assert settlement.grown == ((1, run(1, 12)),)


def test_a_run_of_another_value_takes_the_place_of_the_one_that_was_corrected():
    other = run(2, 1, value="0.1")

    settlement = settle([other], [standing(run(1, 2))], OCTOBER)

    assert (settlement.fresh, settlement.outdated, settlement.grown) == ((), (), ((1, other),))


# --- real meters ---


def real_days(name, intervals):
    """Return the days of a real meter in watt-hours, -1 where it has no value."""
    path = OPENDSM / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    days = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            own = days.setdefault(row["start"][:10], [])
            own.append(-1 if row["value"] in ("", "nan") else round(float(row["value"]) * 1000))
    return np.array([own for own in days.values() if len(own) == intervals], np.int32)


@pytest.mark.load_series
@pytest.mark.parametrize(
    ("name", "interval_min", "days"),
    [
        ("il-electricity-cdd-hdd-hourly.csv.gz", 60, 805),
        ("uk-electricity-hdd-only-hourly-sample-1.csv.gz", 30, 449),
    ],
)
def test_two_real_households_give_no_false_alarm_and_ten_times_a_value_is_seen(
    name, interval_min, days
):
    values = real_days(name, 24 * 60 // interval_min)
    assert len(values) == days
    one = channel(interval_min=interval_min)
    quality = np.where(values < 0, Quality.MISSING, Quality.ACTUAL)
    values = np.maximum(values, 0)

    alarms, seen, tried = [], 0, 0
    random = np.random.default_rng(1)
    for last in range(HISTORY_DAYS + 1, days):
        part = slice(last - HISTORY_DAYS, last + 1)
        alarms += check(window(values[part], one=one, quality=quality[part]))
        wrong = values[part].copy()
        wrong[-1, random.integers(0, wrong.shape[1])] += 10 * wrong.max()
        seen += FindingKind.SPIKE in kinds(check(window(wrong, one=one, quality=quality[part])))
        tried += 1

    assert kinds(alarms) == []
    assert seen == tried
