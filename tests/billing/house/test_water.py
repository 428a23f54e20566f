"""Water of a flat: what meters counted is charged once, months without a reading are set off."""

import itertools
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from billing.house.water import common_volume, water_of_month
from kilokassa.core.calendar import Month
from tariffs.services.volumes import Counted, VolumeMethod, average_litres, norm_litres

OCTOBER = Month(2026, 10)


def read(*readings):
    """What was counted between readings of days and totals."""
    return [
        Counted(date(2026, *before[0]), date(2026, *after[0]), after[1] - before[1])
        for before, after in itertools.pairwise(readings)
    ]


def charged(counted, month=OCTOBER, since=date(2026, 1, 1), norm=4_000, metered=True):
    return water_of_month(counted, month, since, lambda _: norm, metered=metered)


HALF_A_YEAR = read(((3, 25), 0), ((5, 25), 6_100), ((7, 25), 12_200), ((9, 25), 18_400))


def test_a_month_is_charged_what_its_last_reading_closes():
    volume = charged([*HALF_A_YEAR, *read(((9, 25), 18_400), ((10, 24), 21_900))])

    assert (volume.litres, volume.method) == (3_500, VolumeMethod.METER)


def test_a_flat_without_a_meter_is_charged_the_norm():
    volume = charged([], norm=norm_litres(4_745, (3, 1)), metered=False)

    assert (volume.litres, volume.method) == (14_235, VolumeMethod.NORM)


def test_a_month_without_a_reading_is_charged_the_average_for_three_periods_then_the_norm():
    assert charged(HALF_A_YEAR).litres == average_litres(HALF_A_YEAR, 31) == 3_100
    assert charged(HALF_A_YEAR, Month(2026, 12)).method is VolumeMethod.AVERAGE
    assert charged(HALF_A_YEAR, Month(2027, 1)).method is VolumeMethod.NORM


def test_less_than_three_months_make_no_average():
    short = read(((8, 25), 0), ((9, 25), 3_000))

    assert charged(short).method is VolumeMethod.NORM


def test_a_reading_sets_off_what_was_charged_without_one():
    late = [*HALF_A_YEAR, *read(((9, 25), 18_400), ((12, 25), 29_000))]

    volume = charged(late, Month(2026, 12))

    assert (volume.counted, volume.charged_before) == (10_600, 3_100 + 3_000)
    assert volume.litres == 4_500


def test_nothing_is_known_without_meter_and_norm():
    assert charged([], norm=None, metered=False) is None
    assert charged([], norm=None) is None


def test_what_is_drained_is_cold_and_hot_water_together():
    cold, hot = charged([], norm=4_000, metered=False), charged([], norm=3_000, metered=False)

    assert common_volume({"cold": cold, "hot": hot}).litres == 7_000
    assert common_volume({"cold": cold, "hot": None}) is None


@given(
    st.lists(st.tuples(st.integers(1, 120), st.integers(0, 20_000)), min_size=1, max_size=12),
    st.integers(1, 9_000),
)
def test_months_sum_to_what_the_meter_counted(steps, norm):
    day, readings = date(2026, 1, 10), []
    for days, litres in steps:
        after = day + timedelta(days=days)
        readings.append(Counted(day, after, litres))
        day = after
    first = Month(2026, 1).ordinal
    months = [Month.from_ordinal(n) for n in range(first, Month.of(day).ordinal + 1)]

    total = 0
    for month in months:
        known = [one for one in readings if Month.of(one.last) <= month]
        # Before the first reading there is nothing that a later one could set off.
        total += charged(known, month, norm=norm).litres if known else 0

    by_norm = norm * max(0, Month.of(readings[0].last).ordinal - first - 1)
    assert total == sum(one.litres for one in readings) - by_norm
