"""The one function that rates: energy and versions in, charge lines out.

Preview, live balance, final bill, comparison and recalculation all call `rate_population`; they
cannot disagree, because there is nothing else to call. Energy is summed exactly, in whole Wh,
before it meets a rate, and each line is rounded once: rounding every interval would drift by half
a kopeck an hour.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
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
from kilokassa.core.text import mark
from kilokassa.core.zones import MINUTES_PER_DAY, Zone
from tariffs.exact_sums import zone_sums
from tariffs.plans import RangeOrder, TariffVersion
from tariffs.steps import split_in_proportion, split_in_time
from tariffs.zone_calendar import zone_calendar

MINOR_PER_UNIT: Final = 100
RATE_DIVISOR: Final = WH_PER_KWH * RATE_SCALE // MINOR_PER_UNIT
"""Wh times a scaled rate, divided by this, is kopecks."""

_INT64: Final = 2**63


class CannotRate(DomainError):
    """The tariff does not price what it is asked to price; `problem` is a template itself."""

    code = "cannot_rate"
    template = "The tariff %(plan)s cannot price this: %(problem)s."

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with the problem in the reader's language too."""
        problem = translate(self.values["problem"]) % self.values
        return translate(self.template) % (self.values | {"problem": problem})


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
    """Zone, range and first local day of the price: the same for the same line at every rating.

    No two lines of one rating share a key.
    """


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
    shared_by_days: bool = False
    """Says that the quantity is a share: a price changed between two readings of a register."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A stretch of time under one set of rates of one version."""

    period: Period
    version: TariffVersion
    rates_scaled: tuple[tuple[int, ...], ...]
    first_day: date
    """First local day of the price, as the keys of lines name it."""


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
    step = timedelta(minutes=interval_min)
    stretches = _stretches(versions, Period(start, start + step * intervals), zone)
    borders_wh = _common_borders(stretches)
    cells: list[npt.NDArray[np.int64]] = [np.zeros((accounts, 0), dtype=np.int64)]
    for stretch in stretches:
        zone_index = _zone_index(stretch, zone, interval_min)
        first = _intervals_between(start, stretch.period.start, step, stretch)
        part = energy_wh[:, first : first + len(zone_index)]
        zones = len(stretch.version.zones)
        cells.append(zone_sums(part, zone_index, zones, MINUTES_PER_DAY // interval_min))
    cells_wh = np.concatenate(cells, axis=1)
    if not borders_wh:
        return _priced(_specs(stretches, ranges=False), cells_wh)
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
    """Price what registers counted between two readings, by zone: see `rate_readings`."""
    return rate_readings(versions, {(period, z): wh for z, wh in quantities_wh.items()}, zone)


def rate_readings(
    versions: Sequence[VersionInForce],
    quantities_wh: Mapping[tuple[Period, Zone], int],
    zone: ZoneInfo,
) -> tuple[ChargeLine, ...]:
    """Price what registers counted over the stretches between the readings of one month.

    Together they make one bill: a line is rounded once, and ranges of consumption count over all of
    it. A change of price between two readings splits what was counted by days, largest remainder:
    nobody knows when the energy was used, and the lines say so. Ranges are split in proportion, for
    the same reason. A plan of one zone takes the registers together; a register whose zone the plan
    does not have is refused.
    """
    if not quantities_wh:
        return ()
    periods = [period for period, _ in quantities_wh]
    whole = Period(min(p.start for p in periods), max(p.end for p in periods))
    stretches = _stretches(versions, whole, zone)
    cells = [dict.fromkeys(stretch.version.zones, 0) for stretch in stretches]
    shared: set[Period] = set()
    for (period, register), wh in quantities_wh.items():
        parts = _shares_by_days(wh, period, stretches, zone)
        if not parts:
            problem = mark("no time lies between the readings")
            raise CannotRate(plan=_plan_of(versions), problem=problem)
        for number, part in parts:
            cells[number][_zone_for(register, stretches[number].version)] += part
        if len(parts) > 1:
            shared.update(stretches[number].period for number, _ in parts)
    energy = [wh for by_zone in cells for wh in by_zone.values()]
    borders_wh = _common_borders(stretches)
    if borders_wh:
        _refuse_negative(energy, stretches)
        energy = [wh for part in split_in_proportion(energy, borders_wh) for wh in part]
    specs = _specs(stretches, ranges=bool(borders_wh))
    return tuple(
        replace(line, shared_by_days=line.spec.period in shared)
        for line in lines_of(_priced(specs, np.array([energy], dtype=np.int64)), 0)
    )


def _shares_by_days(
    quantity_wh: int, period: Period, stretches: Sequence[_Stretch], zone: ZoneInfo
) -> list[tuple[int, int]]:
    """Share a quantity over the stretches that `period` touches: (stretch, Wh) pairs."""
    touched = [
        (number, part)
        for number, stretch in enumerate(stretches)
        if (part := stretch.period.intersect(period)) is not None
    ]
    if not touched:
        return []
    days = [_days_in(part, zone) for _, part in touched]
    # Two readings of one day lie in one stretch: prices change at midnight.
    shares = apportion(quantity_wh, days if any(days) else [1] * len(days))
    return [(number, share) for (number, _), share in zip(touched, shares, strict=True)]


def amount_of(energy_wh: int, rate_scaled: int) -> int:
    """Return kopecks for Wh at a rate, rounded once, halves away from zero."""
    return half_up_ratio(energy_wh * rate_scaled, RATE_DIVISOR)


def _stretches(
    versions: Sequence[VersionInForce], period: Period, zone: ZoneInfo
) -> tuple[_Stretch, ...]:
    """Cut `period` where another version or another price begins; refuse a hole."""
    found: list[_Stretch] = []
    reached = period.start
    for in_force, version in versions:
        shared = period.intersect(in_force)
        if shared is None:
            continue
        if shared.start != reached:
            break
        cuts = [local_midnight(dated.valid_from, zone) for dated in version.rates]
        for part in shared.split(cuts):
            starts_on = local_date(part.start, zone)
            dated = version.rates_on(starts_on)
            first_day = max(dated.valid_from, version.valid_from)
            if any(stretch.first_day == first_day for stretch in found):
                first_day = starts_on  # another plan, whose price began on the same day
            found.append(_Stretch(part, version, dated.rates_scaled, first_day))
        reached = shared.end
    if reached != period.end:
        raise CannotRate(
            plan=_plan_of(versions),
            problem=mark("no version holds at %(instant)s"),
            instant=f"{reached.astimezone(zone):%Y-%m-%d %H:%M}",
        )
    return tuple(found)


def _plan_of(versions: Sequence[VersionInForce]) -> str:
    return versions[0][1].plan_code if versions else "-"


def _zone_index(stretch: _Stretch, zone: ZoneInfo, interval_min: int) -> npt.NDArray[np.int8]:
    """Return the zone of each interval of a stretch, as an index into the version's zones."""
    step = timedelta(minutes=interval_min)
    start, end = stretch.period.start, stretch.period.end
    intervals = _intervals_between(start, end, step, stretch)
    return zone_calendar(stretch.version.day_zones, zone, start, intervals, interval_min).zone_index


def _intervals_between(start: datetime, end: datetime, step: timedelta, stretch: _Stretch) -> int:
    intervals, rest = divmod(end - start, step)
    if rest:
        raise CannotRate(
            plan=stretch.version.plan_code,
            problem=mark("its price changes inside an interval of %(minutes)s minutes"),
            minutes=step // timedelta(minutes=1),
        )
    return intervals


def _days_in(period: Period, zone: ZoneInfo) -> int:
    """Return how many local midnights `period` passes; a day counts where it begins."""
    return (local_date(period.end, zone) - local_date(period.start, zone)).days


def _zone_for(register: Zone, version: TariffVersion) -> Zone:
    if version.zones == (Zone.ALL,):
        return Zone.ALL
    if register not in version.zones:
        raise CannotRate(
            plan=version.plan_code, problem=mark("it has no zone %(zone)s"), zone=str(register)
        )
    return register


def _refuse_negative(energy_wh: Sequence[int], stretches: Sequence[_Stretch]) -> None:
    if min(energy_wh, default=0) < 0:
        raise CannotRate(
            plan=stretches[0].version.plan_code,
            problem=mark("ranges of consumption cannot hold negative energy"),
        )


def _common_borders(stretches: Sequence[_Stretch]) -> tuple[int, ...]:
    """Return the borders of the ranges, which count over the whole month and so are one set."""
    ladders = {(s.version.range_borders_wh, s.version.range_order) for s in stretches}
    if len(ladders) > 1:
        raise CannotRate(
            plan=stretches[0].version.plan_code,
            problem=mark("its ranges change within the month"),
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
    in_time = stretches[0].version.range_order is RangeOrder.TIME
    lowest = energy_wh if in_time else cells_wh
    _refuse_negative([int(lowest.min(initial=0))], stretches)
    cell_index = _cell_index(stretches, zone, interval_min) if in_time else None
    ranged = np.zeros((len(cells_wh), cells * (len(borders_wh) + 1)), dtype=np.int64)
    ranged[:, :cells] = cells_wh
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
    """Return which cell, a zone of a stretch, each interval of the month belongs to."""
    parts = []
    offset = 0
    for stretch in stretches:
        parts.append(_zone_index(stretch, zone, interval_min).astype(np.int64) + offset)
        offset += len(stretch.version.zones)
    return np.concatenate(parts)
