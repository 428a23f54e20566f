"""Until what hour the money lasts: a weekend by hand, held-back series, and what always holds."""

from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.runway import LOAD_SERIES, WORTH_DAYS, run
from billing.runway import (
    UNITS_A_MINOR,
    UsageProfile,
    clock_grid,
    lasting,
    usage_profile,
)
from kilokassa.core.calendar import local_day, local_midnight
from kilokassa.core.money import parse_minor
from kilokassa.core.period import Period

PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "runway.md"
ZONE = ZoneInfo("Asia/Vladivostok")
BERLIN = ZoneInfo("Europe/Berlin")
DAY_RATE, NIGHT_RATE = 7_420_000, 2_070_000


def weekend(day):
    return day.weekday() >= 5


def instant(text):
    return datetime.strptime(text, "%d.%m.%Y %H:%M").replace(tzinfo=ZONE).astimezone(UTC)


def grid(start, days, zone=ZONE, interval_min=30):
    end = start + timedelta(days=days)
    return clock_grid(Period(start, end), zone, interval_min, weekend)


def is_night(slots):
    return (slots < 14) | (slots >= 46)


def two_zones(ahead):
    return np.where(is_night(ahead.slot), NIGHT_RATE, DAY_RATE)


def household(on):
    """0.2 kWh a half-hour by night, 0.4 by day, 0.6 on days off."""
    return np.where(is_night(on.slot), 200, np.where(on.day_off, 600, 400))


def all_known(on):
    return np.ones(len(on.slot), np.bool_)


def profile_before(start, weeks=3):
    before = grid(start - timedelta(weeks=weeks), 7 * weeks)
    return usage_profile(household(before), all_known(before), before)


def rows():
    text = PAGE.read_text(encoding="utf-8").split("## A weekend")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize(("available", "until", "days"), rows())
def test_the_weekend_of_the_page_is_foretold(available, until, days):
    friday = instant("20.11.2026 20:00")
    ahead = grid(friday, 30)

    found = lasting(parse_minor(available), profile_before(friday), ahead, two_zones(ahead))

    assert (found.until, found.days) == (instant(until), int(days))
    assert not found.covered


def test_money_that_outlasts_the_prices_says_so():
    friday = instant("20.11.2026 20:00")
    ahead = grid(friday, 2)

    found = lasting(10_000_00, profile_before(friday), ahead, two_zones(ahead))

    assert found.covered
    assert (found.until, found.days) == (friday + timedelta(days=2), 2)


def test_a_monthly_charge_shortens_what_is_left():
    friday = instant("20.11.2026 20:00")
    ahead = grid(friday, 30)
    fixed = np.zeros(len(ahead.slot), np.int64)
    fixed[8] = 90_00  # at midnight

    found = lasting(100_00, profile_before(friday), ahead, two_zones(ahead), fixed)

    assert found.until == instant("21.11.2026 00:00")


@pytest.mark.parametrize(
    ("day", "intervals", "twice", "skipped"),
    [
        (date(2026, 3, 29), 46, None, 4),
        (date(2026, 10, 25), 50, 4, None),
        (date(2026, 11, 20), 48, None, None),
    ],
)
def test_days_of_23_and_25_hours_are_named_by_the_clock(day, intervals, twice, skipped):
    found = clock_grid(local_day(day, BERLIN), BERLIN, 30, weekend)

    counts = np.bincount(found.slot, minlength=48)
    assert counts.sum() == intervals
    assert [n for n in range(48) if counts[n] == 2] == ([] if twice is None else [4, 5])
    assert [n for n in range(48) if counts[n] == 0] == ([] if skipped is None else [4, 5])
    assert set(found.day) == {0}


def test_the_latest_week_counts_half_of_everything():
    start = local_midnight(date(2026, 9, 28), ZONE)
    before = grid(start, 7 * 8)
    energy = np.where(before.day >= 49, 1000, 0)

    found = usage_profile(energy, all_known(before), before)

    # 128 of 128 + 64 + … + 1 = 255 parts, rounded up to a thousandth.
    assert set(found.usual_milliwh.ravel()) == {501_961}
    assert found.days == 56


def test_what_is_older_than_eight_weeks_and_what_is_missing_count_nowhere():
    start = local_midnight(date(2026, 9, 21), ZONE)
    before = grid(start, 7 * 9)
    known = before.day != 60
    energy = np.where((before.day < 7) | ~known, 10**6, 300)

    found = usage_profile(energy, known, before)

    assert set(found.usual_milliwh.ravel()) == {300_000}


def test_a_day_off_that_was_never_seen_is_taken_from_working_days():
    monday = local_midnight(date(2026, 11, 16), ZONE)
    before = grid(monday, 5)

    found = usage_profile(household(before), all_known(before), before)

    assert np.array_equal(found.usual_milliwh[0], found.usual_milliwh[1])


def test_hours_that_were_never_seen_are_taken_from_all_that_is_known():
    monday = local_midnight(date(2026, 11, 16), ZONE)
    before = clock_grid(Period(monday, monday + timedelta(hours=6)), ZONE, 30, weekend)

    found = usage_profile(household(before), all_known(before), before)

    assert set(found.usual_milliwh.ravel()) == {200_000}


def test_of_nothing_known_nothing_is_foretold():
    before = grid(local_midnight(date(2026, 11, 16), ZONE), 5)

    nothing = np.zeros(len(before.slot), np.int64)
    assert usage_profile(nothing, nothing.astype(np.bool_), before) is None


def test_an_account_that_uses_nothing_lasts_as_long_as_prices_are_known():
    ahead = grid(local_midnight(date(2026, 11, 16), ZONE), 30)
    unused = UsageProfile(np.zeros((2, 48), np.int64), 7)

    assert lasting(0, unused, ahead, two_zones(ahead)).covered


def test_a_factory_beyond_64_bits_is_summed_exactly():
    ahead = grid(local_midnight(date(2026, 11, 16), ZONE), 30)
    factory = UsageProfile(np.full((2, 48), 10**12, np.int64), 7)
    rates = np.full(len(ahead.slot), DAY_RATE)

    # A half-hour of 1 GWh costs 7,420,000.00 roubles.
    found = lasting(5 * 742_000_000, factory, ahead, rates)
    short = lasting(5 * 742_000_000 - 1, factory, ahead, rates)

    assert (found.until, short.until) == (ahead.at(5), ahead.at(4))


def held_back(seed, weeks=12):
    """A household of a real shape: evenings, weekends, a cold spell, and noise of a fifth."""
    noise = np.random.default_rng(seed)
    on = grid(local_midnight(date(2026, 8, 3), ZONE), 7 * weeks)
    base = household(on) + np.where((on.slot >= 36) & (on.slot < 44), 500, 0)
    drift = 1000 + 2 * on.day  # two thousandths a day
    percent = noise.integers(80, 121, len(on.slot))
    return on, base * drift * percent // 100_000


@pytest.mark.parametrize("days", [1, 3, 7, 14])
def test_a_series_that_is_held_back_is_foretold_within_a_twentieth(days):
    hours_off, hours_flat = [], []
    for seed in range(12):
        on, energy = held_back(seed)
        cut = 48 * (7 * 8 + seed) + 36  # 18:00 of another weekday each time
        before, ahead = (
            clock_grid(Period(on.at(a), on.at(b)), ZONE, 30, weekend)
            for a, b in ((0, cut), (cut, len(energy)))
        )
        rates = two_zones(on)
        last = slice(cut - 28 * 48, cut)
        money_minor = (
            int((energy[last] * rates[last]).sum()) * days // 28 // (UNITS_A_MINOR // 1000)
        )

        profile = usage_profile(energy[:cut], all_known(before), before)
        found = lasting(money_minor, profile, ahead, rates[cut:])

        spent = np.cumsum(energy[cut:] * rates[cut:] * 1000)
        really = int(np.searchsorted(spent, money_minor * UNITS_A_MINOR, side="right"))
        half_hour = timedelta(minutes=30)
        hours_off.append(abs((found.until - ahead.at(really)) / half_hour) / 2)
        hours_flat.append(abs(days * 48 - really) / 2)

    assert sorted(hours_off)[6] <= max(1, days * 24 / 20)
    assert sum(hours_off) <= sum(hours_flat)


AHEAD = grid(instant("20.11.2026 20:00"), 3)
COUNT = len(AHEAD.slot)
USUAL = st.lists(st.integers(0, 10**7), min_size=96, max_size=96).map(
    lambda values: UsageProfile(np.array(values, np.int64).reshape(2, 48), 7)
)
RATES = st.lists(st.integers(-(10**7), 10**8), min_size=COUNT, max_size=COUNT).map(
    lambda values: np.array(values, np.int64)
)
MONEY = st.integers(-(10**4), 10**6)


@given(profile=USUAL, rates=RATES, money=MONEY)
def test_it_ends_before_the_first_interval_that_is_not_paid(profile, rates, money):
    found = lasting(money, profile, AHEAD, rates)

    kinds = AHEAD.day_off.astype(int).tolist()
    slots = AHEAD.slot.tolist()
    costs = [
        int(profile.usual_milliwh[kind, slot]) * int(rate)
        for kind, slot, rate in zip(kinds, slots, rates, strict=True)
    ]
    spent = list(accumulate(costs))
    limit = max(0, money) * UNITS_A_MINOR
    first = next((n for n, total in enumerate(spent) if total > limit), COUNT)
    assert found.until == AHEAD.at(first)
    assert found.covered == (first == COUNT)


@given(profile=USUAL, rates=RATES, money=MONEY, more=st.integers(0, 10**5))
def test_more_money_never_ends_earlier(profile, rates, money, more):
    less = lasting(money, profile, AHEAD, rates)

    assert less.until <= lasting(money + more, profile, AHEAD, rates).until


@pytest.mark.load_series
@pytest.mark.skipif(not LOAD_SERIES.is_dir(), reason="the load series are not beside the checkout")
def test_on_real_series_the_profile_is_nearer_than_the_mean_at_every_distance():
    figures = run()

    for days in WORTH_DAYS:
        share = figures[f"error_share_{days}_days"]
        assert share < figures[f"mean_error_share_{days}_days"], days
        assert share < 0.21, days
