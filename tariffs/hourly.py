"""Prices by the hour: the price of every interval of a grid, from a series and its components."""

from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from kilokassa.core.period import Period
from kilokassa.core.text import mark
from tariffs.charges import Coarse, HourlyPrice, Limits, amount_on
from tariffs.compiled import Grid, Stretch
from tariffs.facts import AccountFacts, PriceSeries
from tariffs.lines import CannotRate


def hourly_prices(grid: Grid, facts: AccountFacts) -> tuple[npt.NDArray[np.int64], tuple[int, ...]]:
    """Return the price of every interval, and for each stretch how many prices are added in it.

    Prices are millionths of a rouble per kWh; where an interval is longer than those of the series
    the value is the sum of its prices, to be divided by their number when the line is rounded. A
    stretch without an hourly price has zeros.
    """
    prices = np.zeros(len(grid.cell_index), dtype=np.int64)
    added = []
    for number, stretch in enumerate(grid.compiled.stretches):
        hourly = stretch.version.charges.hourly
        if hourly is None:
            added.append(1)
            continue
        first, last = grid.edges[number], grid.edges[number + 1]
        found, count = _of_stretch(stretch, hourly, last - first, grid.interval_min, facts)
        prices[first:last] = found
        added.append(count)
    return prices, tuple(added)


def _of_stretch(
    stretch: Stretch, hourly: HourlyPrice, intervals: int, interval_min: int, facts: AccountFacts
) -> tuple[npt.NDArray[np.int64], int]:
    series = facts.price_series.get(hourly.series)
    if series is None:
        raise CannotRate(
            plan=stretch.version.plan_code,
            problem=mark("the price series %(series)s is not known"),
            series=hourly.series,
        )
    start = stretch.period.start
    _refuse_missing(stretch, series, start, stretch.period.end)
    count = max(1, interval_min // series.interval_min)
    if count > 1 and hourly.coarse is Coarse.REFUSE:
        raise CannotRate(
            plan=stretch.version.plan_code,
            problem=mark("an interval of %(minutes)s minutes is longer than those of its prices"),
            minutes=interval_min,
        )
    offset = (start - series.start) // timedelta(minutes=1)
    begins = offset + np.arange(intervals, dtype=np.int64) * interval_min
    cut = (begins % series.interval_min) + interval_min > count * series.interval_min
    if cut.any():
        raise CannotRate(
            plan=stretch.version.plan_code,
            problem=mark("its price changes inside an interval of %(minutes)s minutes"),
            minutes=interval_min,
        )
    places = (begins // series.interval_min)[:, None] + np.arange(count)
    chosen = series.prices_scaled[places]
    parts = sum(amount_on(part.amounts, stretch.starts_on) for part in hourly.components)
    if hourly.limits is Limits.TOTAL:
        chosen = _limited(chosen + parts, hourly)
    else:
        chosen = _limited(chosen, hourly) + parts
    return chosen.sum(axis=1), count


def _limited(prices: npt.NDArray[np.int64], hourly: HourlyPrice) -> npt.NDArray[np.int64]:
    if hourly.floor_scaled is not None:
        prices = np.maximum(prices, hourly.floor_scaled)
    if hourly.cap_scaled is not None:
        prices = np.minimum(prices, hourly.cap_scaled)
    return prices


def _refuse_missing(stretch: Stretch, series: PriceSeries, start: datetime, end: datetime) -> None:
    """Refuse time before the first price of the series, after the last one and in its holes."""
    priced = Period(series.start, series.end)
    missing = [
        max(start, hole.start) for hole in series.holes if hole.start < end and start < hole.end
    ]
    if start < priced.start:
        missing.append(start)
    elif end > priced.end:
        missing.append(max(start, priced.end))
    if missing:
        raise CannotRate(
            plan=stretch.version.plan_code,
            problem=mark("the price series %(series)s has no price at %(instant)s UTC"),
            series=series.code,
            instant=f"{min(missing):%Y-%m-%d %H:%M}",
        )
