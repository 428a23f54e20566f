"""How long the money lasts: for how many days, and until what hour.

`runway` divides by what a day costs on average. `lasting` follows the account's own profile, by
half-hours of working days and days off, through the prices that are known ahead. Both are pure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.period import Period
from kilokassa.core.zones import MINUTES_PER_DAY

LONGEST_DAYS: Final = 366
"""Beyond a year the figure says nothing: prices and seasons change."""

WEEKS: Final = 8
"""How many weeks a profile looks back; a week counts half as much as the one after it."""

MILLI: Final = 1000
UNITS_A_MINOR: Final = 10**10
"""Thousandths of a Wh times millionths of a rouble per kWh are 10^-12 roubles, 10^-10 kopecks."""

_DAY: Final = timedelta(days=1)
_SAFE: Final = 2**62

Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Runway:
    """How long the available money lasts, counted from the end of the day last known."""

    days: int
    until: date
    """The first local day that is no longer covered wholly."""
    daily_minor: int
    """What a day cost on average over the days looked at, rounded up: it never flatters."""
    capped: bool
    """True where the money lasts longer than `LONGEST_DAYS`."""


def runway(available_minor: int, spent_minor: int, days: int, *, from_day: date) -> Runway | None:
    """Return how many whole days `available_minor` lasts when `days` days cost `spent_minor`.

    None where nothing was used, so that nothing can be foretold. Money that is gone lasts 0 days.

    >>> runway(1000_00, 700_00, 7, from_day=date(2026, 11, 24)).days
    10
    """
    if days <= 0 or spent_minor <= 0:
        return None
    daily_minor = -(-spent_minor // days)
    lasting = max(0, available_minor) * days // spent_minor
    shown = min(lasting, LONGEST_DAYS)
    return Runway(shown, from_day + timedelta(days=shown), daily_minor, lasting > LONGEST_DAYS)


@dataclass(frozen=True, slots=True, eq=False)
class ClockGrid:
    """A regular grid of intervals as the local clock and calendar name them.

    Shared by all accounts of a time zone and an interval length; arrays have shape (intervals,).
    """

    start: datetime
    interval_min: int
    zone: ZoneInfo
    slot: Whole
    """Which interval of a local day of 24 hours: an hour lived twice has one slot."""
    day: Whole
    """Local days since the first one."""
    day_off: Flags

    @property
    def slots(self) -> int:
        """How many slots a local day has."""
        return MINUTES_PER_DAY // self.interval_min

    def at(self, interval: int) -> datetime:
        """Return the instant, in UTC, at which an interval begins."""
        return self.start + interval * timedelta(minutes=self.interval_min)


@dataclass(frozen=True, slots=True, eq=False)
class UsageProfile:
    """What an account usually uses, of shape (2, slots): working days, then days off."""

    usual_milliwh: Whole
    """Thousandths of a Wh an interval, rounded up: it never flatters."""
    days: int
    """How many local days of the weeks looked at had any value."""


@dataclass(frozen=True, slots=True)
class Lasting:
    """Until when what is available lasts."""

    start: datetime
    """The instant up to which everything is known and counted."""
    until: datetime
    """The beginning of the first interval that is not covered wholly, in UTC."""
    covered: bool
    """True where the money outlasts the prices that were given; then `until` is their end."""

    @property
    def days(self) -> int:
        """How many whole days of 24 hours it lasts."""
        return (self.until - self.start) // _DAY


def clock_grid(
    period: Period, zone: ZoneInfo, interval_min: int, is_day_off: Callable[[date], bool]
) -> ClockGrid:
    """Return the grid of a period, which is a whole number of intervals long.

    Days of 23 and 25 hours are named as the clock on the wall names them.
    """
    step = timedelta(minutes=interval_min)
    count, rest = divmod(period.length, step)
    if MINUTES_PER_DAY % interval_min or rest:
        raise ValueError(f"a grid is whole intervals of a day: {period!r}, {interval_min} min")
    clocks = [(period.start + n * step).astimezone(zone) for n in range(count)]
    dates = [clock.date() for clock in clocks]
    off = {day: is_day_off(day) for day in set(dates)}
    minutes = [clock.hour * 60 + clock.minute for clock in clocks]
    return ClockGrid(
        period.start,
        interval_min,
        zone,
        slot=np.array(minutes, np.int64) // interval_min,
        day=np.array([(day - dates[0]).days for day in dates], np.int64),
        day_off=np.array([off[day] for day in dates], np.bool_),
    )


def usage_profile(energy_wh: Whole, known: Flags, grid: ClockGrid) -> UsageProfile | None:
    """Return what an account usually uses in each interval of working days and of days off.

    The mean over the last `WEEKS` weeks of `grid`, where a week counts half as much as the one
    after it; the latest of two weeks of holidays soon says more than the seven before them.
    `energy_wh` and `known` have the shape of the grid: what is not known counts nowhere. A slot of
    days off that was never seen is taken from working days, and the other way round; one that was
    seen on neither from all that is known. None where nothing is known.
    """
    weeks_ago = (grid.day[-1:] - grid.day) // 7
    counted = known & (weeks_ago < WEEKS)
    if not counted.any():
        return None
    weight = np.where(counted, 1 << (WEEKS - 1 - np.minimum(weeks_ago, WEEKS - 1)), 0)
    sums = np.zeros((2, grid.slots), np.int64)
    weights = np.zeros((2, grid.slots), np.int64)
    place = grid.day_off.astype(np.int64), grid.slot
    np.add.at(sums, place, np.where(counted, energy_wh, 0) * weight)
    np.add.at(weights, place, weight)
    for kind in (0, 1):
        unseen = weights[kind] == 0
        sums[kind][unseen] = sums[1 - kind][unseen]
        weights[kind][unseen] = weights[1 - kind][unseen]
    unseen = weights == 0
    sums[unseen], weights[unseen] = sums.sum(), weights.sum()
    days = len(np.unique(grid.day[counted]))
    return UsageProfile(-(-sums * MILLI // weights), days)


def lasting(
    available_minor: int,
    profile: UsageProfile,
    ahead: ClockGrid,
    rates: Whole,
    fixed_minor: Whole | None = None,
) -> Lasting:
    """Return until when `available_minor` covers what the account usually uses.

    cost of an interval = usual energy x its rate + what is charged in it besides

    `rates` are millionths of a rouble per kWh, `fixed_minor` kopecks, both of the shape of `ahead`,
    whose first interval follows on the last one that is already counted in what is available. Sums
    are exact. Ranges of consumption are the caller's: it gives the rates that the month will reach.
    """
    usual = profile.usual_milliwh[ahead.day_off.astype(np.int64), ahead.slot]
    besides = np.zeros(len(rates), np.int64) if fixed_minor is None else fixed_minor
    most = int(np.abs(usual).max(initial=0)) * int(np.abs(rates).max(initial=0))
    most += int(np.abs(besides).max(initial=0)) * UNITS_A_MINOR
    if most * max(1, len(rates)) >= _SAFE:
        # Python's own integers where 64 bits might not do.
        usual, rates, besides = (part.astype(object) for part in (usual, rates, besides))
    spent = np.cumsum(usual * rates + besides * UNITS_A_MINOR)
    uncovered = np.flatnonzero(spent > max(0, available_minor) * UNITS_A_MINOR)
    covered = not len(uncovered)
    first = len(spent) if covered else int(uncovered[0])
    return Lasting(ahead.start, ahead.at(first), covered)
