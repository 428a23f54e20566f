"""The one function that rates: energy and versions in, charge lines out.

Preview, live balance, final bill, comparison and recalculation all call `rate_population`; they
cannot disagree, because there is nothing else to call. Energy is summed exactly, in whole Wh,
before it meets a rate, and each line is rounded once: rounding every interval would drift by half
a kopeck an hour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from kilokassa.core.apportion import apportion
from kilokassa.core.calendar import local_date
from kilokassa.core.period import Period
from kilokassa.core.series import EnergySeries, WattHours
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from tariffs.charges import Netting
from tariffs.compiled import Compiled, Grid, Stretch, compile_grid, compile_periods
from tariffs.exact_sums import cell_sums, sums_by_runs
from tariffs.extras import PricedByHour, Rated, lines_beside_energy, priced_by_hour
from tariffs.facts import AccountFacts
from tariffs.ladders import split_over_ranges
from tariffs.lines import (
    MINOR_PER_UNIT,
    RATE_DIVISOR,
    CannotRate,
    ChargeLine,
    Columns,
    LineColumns,
    LineSpec,
    VersionInForce,
    amount_of,
    half_up_columns,
    lines_of,
)
from tariffs.plans import TariffVersion

__all__ = [
    "MINOR_PER_UNIT",
    "RATE_DIVISOR",
    "CannotRate",
    "ChargeLine",
    "LineColumns",
    "LineSpec",
    "VersionInForce",
    "amount_of",
    "lines_of",
    "rate_energy",
    "rate_population",
    "rate_quantities",
    "rate_readings",
]

_FEW_ROWS: Final = 4
"""So few accounts are summed interval by interval: blocks of days pay off for more."""
_ROWS_PRICED: Final = 2048
"""Rows whose lines the cache holds while they are multiplied and rounded."""
_NO_FACTS: Final = AccountFacts()


def rate_population(
    versions: Sequence[VersionInForce],
    energy_wh: WattHours,
    start: datetime,
    interval_min: int,
    zone: ZoneInfo,
    *,
    billings: Sequence[Period] | None = None,
    facts: AccountFacts | None = None,
) -> LineColumns:
    """Price the energy of many accounts on one plan, from `start` (UTC) on, as columns.

    `energy_wh` has shape (accounts, intervals); the grid is the same for all. `versions` are those
    in force, each with its period; together they cover the grid. A change of price cuts the lines.
    Ranges of consumption count over a billing period: the whole grid, unless `billings` names
    several that cover it. A plan that charges more than energy by zone needs `facts`, and is
    refused without them.
    """
    grid = compile_grid(versions, billings, start, energy_wh.shape[1], interval_min, zone)
    compiled = grid.compiled
    _refuse_without_facts(compiled, facts)
    known = facts or _NO_FACTS
    energy_wh, export_wh = netted_by_interval(compiled, energy_wh, known)
    hourly = None
    if any(version.charges.hourly is not None for version in compiled.versions):
        hourly = priced_by_hour(grid, energy_wh, known)
    if hourly is not None and len(compiled.cells) == len(compiled.stretches):
        cells_wh = hourly.used_wh  # one zone: its energy is known already
    else:
        cells_wh = _sums(grid, energy_wh)
    exported_wh = None
    if export_wh is not None:
        cells_wh, exported_wh = _netted_by_period(compiled, cells_wh, _sums(grid, export_wh))
    return _lines(compiled, cells_wh, exported_wh, known, grid, energy_wh, hourly)


def rate_energy(
    series: EnergySeries,
    versions: Sequence[VersionInForce],
    zone: ZoneInfo,
    *,
    billings: Sequence[Period] | None = None,
    facts: AccountFacts | None = None,
) -> tuple[ChargeLine, ...]:
    """Price one series; one line for each zone, range and price that saw any energy."""
    columns = rate_population(
        versions,
        series.energy_wh[None, :],
        series.start,
        series.interval_min,
        zone,
        billings=billings,
        facts=facts,
    )
    return lines_of(columns, 0)


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
    *,
    facts: AccountFacts | None = None,
) -> tuple[ChargeLine, ...]:
    """Price what registers counted over the stretches between the readings of one month.

    Together they make one bill: a line is rounded once, and ranges of consumption count over all of
    it. A change of price between two readings splits what was counted by days, largest remainder:
    nobody knows when the energy was used, and the lines say so. Ranges are split in proportion, for
    the same reason. A plan of one zone takes the registers together; a register whose zone the plan
    does not have is refused, and so is a plan that prices by the hour or by the highest demand.
    """
    if not quantities_wh:
        return ()
    periods = [period for period, _ in quantities_wh]
    whole = Period(min(p.start for p in periods), max(p.end for p in periods))
    compiled = compile_periods(versions, (whole,) if whole.start < whole.end else (), zone)
    _refuse_without_facts(compiled, facts)
    stretches = compiled.stretches
    cells = [dict.fromkeys(stretch.version.zones, 0) for stretch in stretches]
    shared: set[Period] = set()
    for (period, register), wh in quantities_wh.items():
        parts = shares_by_days(wh, period, stretches, zone)
        if not parts:
            problem = mark("no time lies between the readings")
            raise CannotRate(plan=versions[0][1].plan_code if versions else "-", problem=problem)
        for number, part in parts:
            cells[number][zone_for(register, stretches[number].version)] += part
        if len(parts) > 1:
            shared.update(stretches[number].period for number, _ in parts)
    cells_wh = np.array([[wh for by_zone in cells for wh in by_zone.values()]], dtype=np.int64)
    if any(version.charges.export is not None for version in compiled.versions):
        problem = mark("what is given to the network needs interval readings")
        raise CannotRate(plan=compiled.plan_code, problem=problem)
    columns = _lines(compiled, cells_wh, None, facts or _NO_FACTS)
    return tuple(
        replace(line, shared_by_days=True) if line.spec.period in shared else line
        for line in lines_of(columns, 0)
    )


def shares_by_days(
    quantity_wh: int, period: Period, stretches: Sequence[Stretch], zone: ZoneInfo
) -> list[tuple[int, int]]:
    """Share a quantity over the stretches that `period` touches: (stretch, Wh) pairs."""
    touched = [
        (number, part)
        for number, stretch in enumerate(stretches)
        if (part := stretch.period.intersect(period)) is not None
    ]
    if not touched:
        return []
    days = [days_in(part, zone) for _, part in touched]
    # Two readings of one day lie in one stretch: prices change at midnight.
    shares = apportion(quantity_wh, days if any(days) else [1] * len(days))
    return [(number, share) for (number, _), share in zip(touched, shares, strict=True)]


def days_in(period: Period, zone: ZoneInfo) -> int:
    """Return how many local midnights `period` passes; a day counts where it begins."""
    return (local_date(period.end, zone) - local_date(period.start, zone)).days


def zone_for(register: Zone, version: TariffVersion) -> Zone:
    """Return the zone of a plan that a register counts for; refuse one that it does not have."""
    if version.zones == (Zone.ALL,):
        return Zone.ALL
    if register not in version.zones:
        raise CannotRate(
            plan=version.plan_code, problem=mark("it has no zone %(zone)s"), zone=str(register)
        )
    return register


def _refuse_without_facts(compiled: Compiled, facts: AccountFacts | None) -> None:
    """Refuse a plan whose bill would lack lines, rather than leave them out."""
    if facts is None:
        for version in compiled.versions:
            if version.charges.beyond_energy:
                problem = mark("it charges more than energy, and the facts for that are not given")
                raise CannotRate(plan=version.plan_code, problem=problem)


def netted_by_interval(
    compiled: Compiled, energy_wh: WattHours, facts: AccountFacts
) -> tuple[WattHours, WattHours | None]:
    """Set generation off against consumption interval by interval, where the plan does so.

    Returns what was used and what is paid for as export; None where no plan pays for any.
    """
    nettings = {
        None if version.charges.export is None else version.charges.export.netting
        for version in compiled.versions
    }
    if nettings <= {None}:
        return energy_wh, None
    if len(nettings) > 1:
        problem = mark("its way of netting changes within the readings")
        raise CannotRate(plan=compiled.plan_code, problem=problem)
    export_wh = facts.export_wh
    if export_wh is None:
        problem = mark("the energy given to the network is not known")
        raise CannotRate(plan=compiled.plan_code, problem=problem)
    if export_wh.shape != energy_wh.shape:
        raise ValueError("what is given to the network lies on the grid of the energy")
    if export_wh.size and int(export_wh.min()) < 0:
        raise ValueError("what is given to the network is not negative")
    if nettings != {Netting.INTERVAL}:
        return energy_wh, export_wh
    net = energy_wh.astype(np.int64) - export_wh
    return np.maximum(net, 0), np.maximum(-net, 0)


def _netted_by_period(
    compiled: Compiled, cells_wh: Columns, export_wh: Columns
) -> tuple[Columns, Columns]:
    """Return what was used by cell and what is paid for as export by stretch."""
    if any(version.nets_over_periods for version in compiled.versions):
        net = cells_wh - export_wh
        cells_wh, export_wh = np.maximum(net, 0), np.maximum(-net, 0)
    return cells_wh, _by_stretch(compiled, export_wh)


def _by_stretch(compiled: Compiled, cells: Columns) -> Columns:
    sums = np.zeros((len(cells), len(compiled.stretches)), dtype=np.int64)
    for number, (stretch, _) in enumerate(compiled.cells):
        sums[:, stretch] += cells[:, number]
    return sums


def _sums(grid: Grid, energy_wh: WattHours) -> Columns:
    """Return the Wh of each account by cell, summed exactly."""
    compiled = grid.compiled
    if len(energy_wh) < _FEW_ROWS:
        return cell_sums(energy_wh, grid.cell_index, len(compiled.cells))
    sums = [np.zeros((len(energy_wh), 0), dtype=np.int64)]
    for number, stretch in enumerate(compiled.stretches):
        part = energy_wh[:, grid.edges[number] : grid.edges[number + 1]]
        sums.append(sums_by_runs(part, grid.runs[number], len(stretch.version.zones)))
    return np.concatenate(sums, axis=1)


def _lines(
    compiled: Compiled,
    cells_wh: Columns,
    exported_wh: Columns | None,
    facts: AccountFacts,
    grid: Grid | None = None,
    energy_wh: WattHours | None = None,
    hourly: PricedByHour | None = None,
) -> LineColumns:
    """Return the lines of energy by zone, then those beside it."""
    specs: list[LineSpec] = []
    energies: list[Columns] = []
    amounts: list[Columns] = []
    for group in compiled.groups:
        whole = len(group.cells) == len(compiled.cells)
        own = cells_wh if whole else cells_wh[:, list(group.cells)]
        split = split_over_ranges(compiled, group, own, facts, grid, energy_wh)
        specs.extend(group.specs)
        energies.append(split)
        amounts.append(_amounts(split, group.factors))
    if len(energies) == 1:
        energy, amount = energies[0], amounts[0]
    else:
        nothing = np.zeros((len(cells_wh), 0), dtype=np.int64)
        energy = np.concatenate([nothing, *energies], axis=1)
        amount = np.concatenate([nothing, *amounts], axis=1)
    charges = [version.charges for version in compiled.versions]
    if not any(one.beyond_energy or one.taxes for one in charges):
        return LineColumns(tuple(specs), energy, amount)
    energy_minor = np.zeros((len(cells_wh), len(compiled.stretches)), dtype=np.int64)
    for column, spec in enumerate(specs):
        energy_minor[:, spec.stretch] += amount[:, column]
    rated = Rated(
        compiled=compiled,
        facts=facts,
        energy_minor=energy_minor,
        stretch_wh=_by_stretch(compiled, cells_wh),
        exported_wh=exported_wh,
        grid=grid,
        energy_wh=energy_wh,
        hourly=hourly,
    )
    more, more_wh, more_quantity, more_minor, included = lines_beside_energy(rated)
    return LineColumns(
        (*specs, *more),
        np.concatenate([energy, more_wh], axis=1),
        np.concatenate([amount, more_minor], axis=1),
        np.concatenate([energy, more_quantity], axis=1),
        included,
    )


def _amounts(energy_wh: Columns, factors: Sequence[int]) -> Columns:
    """Return kopecks, a block of rows at a time so that it stays in the cache."""
    if len(energy_wh) <= _ROWS_PRICED:
        return half_up_columns(energy_wh, factors, RATE_DIVISOR)
    amounts = np.empty_like(energy_wh)
    for first in range(0, len(energy_wh), _ROWS_PRICED):
        block = energy_wh[first : first + _ROWS_PRICED]
        amounts[first : first + len(block)] = half_up_columns(block, factors, RATE_DIVISOR)
    return amounts
