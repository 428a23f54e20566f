"""The one function that rates: energy and versions in, charge lines out.

Preview, live balance, final bill, comparison and recalculation all call `rate_population`; they
cannot disagree, because there is nothing else to call. Energy is summed exactly, in whole Wh,
before it meets a rate, and each line is rounded once: rounding every interval would drift by half
a kopeck an hour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.apportion import apportion
from kilokassa.core.calendar import local_date, local_midnight
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import TariffVersionId
from kilokassa.core.money import RATE_SCALE, half_up_ratio
from kilokassa.core.period import Period
from kilokassa.core.quantity import WH_PER_KWH
from kilokassa.core.series import EnergySeries, WattHours
from kilokassa.core.zones import Zone
from tariffs.exact_sums import zone_sums
from tariffs.plans import RangeOrder, TariffVersion
from tariffs.steps import split_in_proportion, split_in_time
from tariffs.zone_calendar import zone_calendar

MINOR_PER_UNIT = 100
RATE_DIVISOR = WH_PER_KWH * RATE_SCALE // MINOR_PER_UNIT
"""Wh times a scaled rate, divided by this, is kopecks."""

_INT64 = 2**63


class CannotRate(DomainError):
    """The tariff does not price what it is asked to price."""

    code = "cannot_rate"
    template = "The tariff %(plan)s cannot price this: %(problem)s."


@dataclass(frozen=True, slots=True)
class LineSpec:
    """What a column of charge lines is for: a zone, a range and a stretch of one price."""

    zone: Zone
    range_number: int
    """From 1; 0 where the plan has no ladder."""
    rate_scaled: int
    """Millionths of a rouble per kWh."""
    period: Period
    version_id: TariffVersionId
    key: str
    """Zone, range and first local day of the price: the same for the same line at every rating."""


@dataclass(frozen=True, slots=True, eq=False)
class LineColumns:
    """A population's charge lines as columns: one row an account, one column a `LineSpec`."""

    specs: tuple[LineSpec, ...]
    energy_wh: npt.NDArray[np.int64]
    amount_minor: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """One charge line: quantity x rate = amount, rounded once."""

    spec: LineSpec
    quantity_wh: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Intervals of one version under one set of rates."""

    first: int
    last: int
    period: Period
    version: TariffVersion
    rates_scaled: tuple[tuple[int, ...], ...]
    first_day: date


VersionInForce = tuple[Period, TariffVersion]


def rate_population(
    versions: Sequence[VersionInForce],
    energy_wh: WattHours,
    start: datetime,
    interval_min: int,
    zone: ZoneInfo,
) -> LineColumns:
    """Price the energy of many accounts on one plan, from `start` (UTC) on, as columns.

    `energy_wh` has shape (accounts, intervals); the grid is the same for all. `versions` are those
    in force, each with its period; together they cover the grid. A change of price cuts the lines;
    ranges of consumption count over the whole grid, which is one billing month.
    """
    accounts, intervals = energy_wh.shape
    stretches = _stretches(versions, start, intervals, interval_min, zone)
    day = 24 * 60 // interval_min
    parts = []
    for stretch in stretches:
        calendar = zone_calendar(
            stretch.version.day_zones,
            zone,
            stretch.period.start,
            stretch.last - stretch.first,
            interval_min,
        )
        part = energy_wh[:, stretch.first : stretch.last]
        zones = len(stretch.version.zones)
        parts.append(zone_sums(part, calendar.zone_index, zones, day))
    cells_wh = np.concatenate(parts, axis=1) if parts else np.zeros((accounts, 0), dtype=np.int64)
    borders_wh = _common_borders(stretches)
    if not borders_wh:
        specs = _specs(stretches, ranges=False)
        return _priced(specs, cells_wh)
    return _ranged(stretches, cells_wh, energy_wh, borders_wh, zone, interval_min)


def rate_energy(
    series: EnergySeries, versions: Sequence[VersionInForce], zone: ZoneInfo
) -> tuple[ChargeLine, ...]:
    """Price one series; one line for each zone, range and price that saw any energy."""
    columns = rate_population(
        versions, series.energy_wh[None, :], series.start, series.interval_min, zone
    )
    return lines_of(columns, 0)


def lines_of(columns: LineColumns, row: int) -> tuple[ChargeLine, ...]:
    """Return the lines of one row as objects, those without energy left out."""
    return tuple(
        ChargeLine(spec, int(energy_wh), int(amount_minor))
        for spec, energy_wh, amount_minor in zip(
            columns.specs, columns.energy_wh[row], columns.amount_minor[row], strict=True
        )
        if energy_wh
    )


def rate_quantities(
    versions: Sequence[VersionInForce],
    quantities_wh: Mapping[Zone, int],
    period: Period,
    zone: ZoneInfo,
) -> tuple[ChargeLine, ...]:
    """Price what registers counted between two readings, by zone.

    A change of price inside `period` splits each zone by days, largest remainder: nobody knows when
    the energy was used. A register whose zone the plan does not have is refused.
    """
    first_day, end_day = local_date(period.start, zone), local_date(period.end, zone)
    days = max(1, (end_day - first_day).days)
    stretches = _stretches(
        versions, local_midnight(first_day, zone), days, 24 * 60, zone, whole_days=True
    )
    known = {z for stretch in stretches for z in stretch.version.zones}
    for register in quantities_wh:
        if register not in known:
            plan = stretches[0].version.plan_code
            raise CannotRate(plan=plan, problem=f"it has no zone {register}")
    weights = [stretch.last - stretch.first for stretch in stretches]
    cells: list[int] = []
    by_zone = {z: apportion(wh, weights) for z, wh in quantities_wh.items()}
    for index, stretch in enumerate(stretches):
        cells.extend(by_zone[z][index] if z in by_zone else 0 for z in stretch.version.zones)
    cells_wh = np.array([cells], dtype=np.int64)
    borders_wh = _common_borders(stretches)
    if not borders_wh:
        return lines_of(_priced(_specs(stretches, ranges=False), cells_wh), 0)
    split = split_in_proportion(cells, borders_wh)
    energy = np.array([[wh for part in split for wh in part]], dtype=np.int64)
    return lines_of(_priced(_specs(stretches, ranges=True), energy), 0)


def amount_of(energy_wh: int, rate_scaled: int) -> int:
    """Return kopecks for Wh at a rate, rounded once, halves away from zero."""
    return half_up_ratio(energy_wh * rate_scaled, RATE_DIVISOR)


def _stretches(
    versions: Sequence[VersionInForce],
    start: datetime,
    intervals: int,
    interval_min: int,
    zone: ZoneInfo,
    *,
    whole_days: bool = False,
) -> tuple[_Stretch, ...]:
    step = timedelta(minutes=interval_min)
    if whole_days:
        end = local_midnight(local_date(start, zone) + timedelta(days=intervals), zone)
    else:
        end = start + step * intervals
    grid = Period(start, end)
    found: list[_Stretch] = []
    reached = start
    for period, version in versions:
        shared = grid.intersect(period)
        if shared is None:
            continue
        if shared.start != reached:
            raise CannotRate(plan=version.plan_code, problem=f"no version holds at {reached}")
        cuts = [local_midnight(dated.valid_from, zone) for dated in version.rates]
        for part in shared.split(cuts):
            first_day = local_date(part.start, zone)
            dated = version.rates_on(first_day)
            if whole_days:
                first = (first_day - local_date(start, zone)).days
                last = (local_date(part.end, zone) - local_date(start, zone)).days
            else:
                first = (part.start - start) // step
                last = (part.end - start) // step
            found.append(_Stretch(first, last, part, version, dated.rates_scaled, dated.valid_from))
        reached = shared.end
    if reached != end:
        name = versions[0][1].plan_code if versions else "-"
        raise CannotRate(plan=name, problem=f"no version holds at {reached}")
    return tuple(found)


def _common_borders(stretches: Sequence[_Stretch]) -> tuple[int, ...]:
    ladders = {(s.version.range_borders_wh, s.version.range_order) for s in stretches}
    if len(ladders) > 1:
        raise CannotRate(
            plan=stretches[0].version.plan_code,
            problem="its ranges change within the month",
        )
    return stretches[0].version.range_borders_wh if stretches else ()


def _specs(stretches: Sequence[_Stretch], *, ranges: bool) -> tuple[LineSpec, ...]:
    count = stretches[0].version.range_count if ranges and stretches else 1
    return tuple(
        LineSpec(
            zone=zone,
            range_number=number + 1 if ranges else 0,
            rate_scaled=stretch.rates_scaled[number][index],
            period=stretch.period,
            version_id=stretch.version.id,
            key=f"{zone}/{number + 1 if ranges else '-'}/{stretch.first_day}",
        )
        for number in range(count)
        for stretch in stretches
        for index, zone in enumerate(stretch.version.zones)
    )


def _priced(specs: tuple[LineSpec, ...], energy_wh: npt.NDArray[np.int64]) -> LineColumns:
    """Return the columns with their amounts, in int64 under a proven bound, else in Python ints."""
    amounts = np.empty_like(energy_wh)
    for column, spec in enumerate(specs):
        energy = energy_wh[:, column]
        largest = max(int(energy.max(initial=0)), -int(energy.min(initial=0)))
        if 2 * largest * spec.rate_scaled + RATE_DIVISOR < _INT64:
            magnitude = (2 * np.abs(energy) * spec.rate_scaled + RATE_DIVISOR) // (2 * RATE_DIVISOR)
            amounts[:, column] = np.where(energy < 0, -magnitude, magnitude)
        else:
            amounts[:, column] = [amount_of(int(wh), spec.rate_scaled) for wh in energy]
    return LineColumns(specs, energy_wh, amounts)


def _ranged(
    stretches: Sequence[_Stretch],
    cells_wh: npt.NDArray[np.int64],
    energy_wh: WattHours,
    borders_wh: tuple[int, ...],
    zone: ZoneInfo,
    interval_min: int,
) -> LineColumns:
    """Split over the ranges; only the few accounts above the first border need a look each."""
    cells = cells_wh.shape[1]
    ranged = np.zeros((len(cells_wh), cells * (len(borders_wh) + 1)), dtype=np.int64)
    ranged[:, :cells] = cells_wh
    in_time = stretches[0].version.range_order is RangeOrder.TIME
    cell_index = _cell_index(stretches, zone, interval_min) if in_time else None
    for row in np.flatnonzero(cells_wh.sum(axis=1) > borders_wh[0]):
        if cell_index is None:
            split = split_in_proportion(cells_wh[row].tolist(), borders_wh)
        else:
            split = split_in_time(energy_wh[row].astype(np.int64), cell_index, cells, borders_wh)
        ranged[row] = [wh for part in split for wh in part]
    return _priced(_specs(stretches, ranges=True), ranged)


def _cell_index(
    stretches: Sequence[_Stretch], zone: ZoneInfo, interval_min: int
) -> npt.NDArray[np.int64]:
    parts = []
    offset = 0
    for stretch in stretches:
        calendar = zone_calendar(
            stretch.version.day_zones,
            zone,
            stretch.period.start,
            stretch.last - stretch.first,
            interval_min,
        )
        parts.append(calendar.zone_index.astype(np.int64) + offset)
        offset += len(stretch.version.zones)
    return np.concatenate(parts)
