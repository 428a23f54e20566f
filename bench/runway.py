"""How far off is the end of the money that is foretold? On real series, held back from the profile.

At every fifth day an account has what some average days of the last four weeks cost, and a part of
a day. Foretold from what was known, the end is set against the one that the series then had; beside
it the end that the mean of the four weeks foretells. Two zones; the series lie beside the checkout.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from billing.runway import (
    MILLI,
    UNITS_A_MINOR,
    ClockGrid,
    clock_grid,
    lasting,
    usage_profile,
)
from kilokassa.core.calendar import local_midnight
from kilokassa.core.period import Period
from kilokassa.demo.real import RealSeries, real_series

LOAD_SERIES: Final = Path(__file__).parents[2] / "shared" / "data" / "meters"
ZONE: Final = ZoneInfo("UTC")
FIRST: Final = date(2024, 1, 1)
END: Final = date(2025, 12, 29)
DAY_RATE, NIGHT_RATE = 7_420_000, 2_070_000
"""Хабаровск, homes with gas stoves, from 01.12.2022: 7-23 and 23-7."""
HISTORY_DAYS: Final = 56
MEAN_DAYS: Final = 28
AHEAD_DAYS: Final = 120
EVERY_DAYS: Final = 5
WORTH_DAYS: Final = (0, 1, 3, 7, 14, 30)
"""How many whole average days the money is worth; a part of a day besides, each time another."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class End:
    """Hours until the money of one amount ends."""

    really_h: float
    """At most the days that are held back."""
    foretold_h: float
    by_mean_h: float


def run() -> dict[str, object]:
    """Return the errors by how many days the money is worth; nothing where series are absent."""
    series = real_series(LOAD_SERIES, FIRST, END)
    if not series:
        return {"left_out": f"no load series in {LOAD_SERIES}"}
    ends: dict[int, list[End]] = {days: [] for days in WORTH_DAYS}
    seconds: list[float] = []
    for one in series:
        for days, end in _ends(one, seconds):
            ends[days].append(end)
    figures: dict[str, object] = {"series": len(series), "forecasts": len(seconds)}
    for days, found in ends.items():
        really = np.array([end.really_h for end in found])
        for name, hours in (
            ("error", np.array([end.foretold_h for end in found]) - really),
            ("mean_error", np.array([end.by_mean_h for end in found]) - really),
        ):
            figures[f"{name}_hours_{days}_days"] = round(float(np.median(abs(hours))), 1)
            share = abs(hours).sum() / really.sum()
            figures[f"{name}_share_{days}_days"] = round(float(share), 3)
    return figures | {"ms_each": round(1000 * sum(seconds) / len(seconds), 2)}


def _ends(series: RealSeries, seconds: list[float]) -> Iterator[tuple[int, End]]:
    """Yield when the money ended, was foretold to end, and by the mean, for each amount."""
    energy = series.whole_wh().astype(np.int64).ravel()
    a_day = series.energy_uwh.shape[1]
    for day in range(HISTORY_DAYS, len(energy) // a_day - AHEAD_DAYS, EVERY_DAYS):
        first, cut, end = ((day + n) * a_day for n in (-HISTORY_DAYS, 0, AHEAD_DAYS))
        before, ahead = _grid(series, first, cut), _grid(series, cut, end)
        mean = slice(-MEAN_DAYS * a_day, None)
        past = int((energy[first:cut] * _rates(before))[mean].sum()) * MILLI // MEAN_DAYS
        rates = _rates(ahead)
        spent = np.cumsum(energy[cut:end] * rates * MILLI)
        for days in WORTH_DAYS:
            tenths = 10 * days + 1 + day % 9
            money_minor = past * tenths // 10 // UNITS_A_MINOR
            started = time.perf_counter()
            profile = usage_profile(energy[first:cut], np.ones(cut - first, np.bool_), before)
            assert profile is not None
            foretold = lasting(money_minor, profile, ahead, rates).until
            seconds.append(time.perf_counter() - started)
            really = int(np.searchsorted(spent, money_minor * UNITS_A_MINOR, side="right"))
            yield (
                days,
                End(
                    really_h=really * series.interval_min / 60,
                    foretold_h=(foretold - ahead.start) / timedelta(hours=1),
                    by_mean_h=tenths * 2.4,
                ),
            )


def _rates(grid: ClockGrid) -> Ints:
    minutes = grid.slot * grid.interval_min
    return np.where((minutes >= 7 * 60) & (minutes < 23 * 60), DAY_RATE, NIGHT_RATE)


def _grid(series: RealSeries, first: int, end: int) -> ClockGrid:
    step = timedelta(minutes=series.interval_min)
    begins = local_midnight(series.first_day, ZONE)
    period = Period(begins + first * step, begins + end * step)
    return clock_grid(period, ZONE, series.interval_min, lambda day: day.weekday() >= 5)
