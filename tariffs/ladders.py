"""Ranges of consumption over a population: volumes by cell split over the rungs of ladders.

`tariffs.steps` splits one account's month; here the same rules run over columns. A *counter* is
what climbs one ladder: all cells of a billing period, or those of one zone of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from kilokassa.core.apportion import apportion
from kilokassa.core.calendar import local_date
from kilokassa.core.series import WattHours
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from tariffs.compiled import Compiled, Grid, Ladder, LadderGroup
from tariffs.exact_sums import sums_by_runs
from tariffs.facts import AccountFacts, Whole
from tariffs.lines import CannotRate, Columns
from tariffs.plans import RangeBasis, RangeOrder, RangePeriod

ENDLESS: Final = 2**62
"""Above what any ladder can count: the upper border of its last range."""
_INT64: Final = 2**63
_ROWS: Final = 128
"""Rows of a year that are looked at interval by interval at once."""


@dataclass(frozen=True, slots=True)
class _Counter:
    billing: int
    zone: Zone | None
    cells: tuple[int, ...]
    """Places among the cells of the group, in order of time and zone."""


def split_over_ranges(
    compiled: Compiled,
    group: LadderGroup,
    cells_wh: Columns,
    facts: AccountFacts,
    grid: Grid | None,
    energy_wh: WattHours | None,
) -> Columns:
    """Return the Wh of each range and cell of a group, range by range: (accounts, ranges x cells).

    `cells_wh` has the cells of the group alone. Without a grid, as where registers were read,
    ranges are always split in proportion: nobody knows when the energy was used.
    """
    ladder = group.ladder
    if ladder.count == 1:
        return cells_wh
    in_time = ladder.order is RangeOrder.TIME and grid is not None
    lowest = energy_wh if in_time and energy_wh is not None else cells_wh
    if lowest.size and int(lowest.min()) < 0:
        raise CannotRate(
            plan=compiled.plan_code,
            problem=mark("ranges of consumption cannot hold negative energy"),
        )
    borders = _borders(compiled, group, facts, len(cells_wh))
    if ladder.period is RangePeriod.DAY:
        if grid is None or energy_wh is None:
            raise CannotRate(
                plan=compiled.plan_code, problem=mark("its ranges of a day need interval readings")
            )
        return _by_day(compiled, group, grid, energy_wh, borders[:, 0])
    counters = _counters(compiled, group)
    base = _base(compiled, group, counters, cells_wh, facts)
    if in_time and any(
        len({compiled.cells[group.cells[cell]][1] for cell in counter.cells}) > 1
        for counter in counters
    ):
        assert grid is not None
        assert energy_wh is not None
        return _in_time(compiled, group, grid, energy_wh, cells_wh, counters, base, borders)
    return _by_volume(group, cells_wh, counters, base, borders, in_time=in_time)


def shares_of(volume: Columns, weights: Columns) -> Columns:
    """Share volumes in proportion to weights, largest remainder: rows of `apportion` at once.

    `volume` has shape (rows,) and is at most the sum of its weights, which have shape (rows, n).
    """
    whole = weights.sum(axis=1)
    if volume.size == 0:
        return np.zeros_like(weights)
    if int(volume.max()) * int(weights.max()) >= _INT64:
        rows = [
            apportion(total, row) if sum(row) else (0,) * len(row)
            for total, row in zip(volume.tolist(), weights.tolist(), strict=True)
        ]
        return np.array(rows, dtype=np.int64)
    divisor = np.maximum(whole, 1)[:, None]
    product = volume[:, None] * weights
    found = product // divisor
    remainder = product - found * divisor
    left_over = volume - found.sum(axis=1)
    # Among equal remainders the earlier cell is served first, so the order has to be stable.
    by_remainder = np.argsort(-remainder, axis=1, kind="stable")
    rank = np.empty_like(by_remainder)
    np.put_along_axis(rank, by_remainder, np.arange(weights.shape[1])[None, :], axis=1)
    shared: Columns = found + (rank < left_over[:, None])
    return shared


def per_billing(values: Whole, accounts: int, billings: int) -> Columns:
    """Return facts as (accounts, billing periods), those of one column for all periods alike."""
    wide = values[:, None] if values.ndim == 1 else values
    return np.broadcast_to(wide, (accounts, billings)).astype(np.int64)


def _borders(compiled: Compiled, group: LadderGroup, facts: AccountFacts, accounts: int) -> Columns:
    """Return the borders, shape (accounts or 1, billing periods of the group or 1, borders)."""
    norm = group.ladder.norm
    if norm is None:
        return np.array(group.ladder.borders_wh, dtype=np.int64)[None, None, :]
    if facts.persons is None:
        raise CannotRate(
            plan=compiled.plan_code, problem=mark("the number of registered persons is not known")
        )
    persons = per_billing(facts.persons, accounts, len(compiled.billings))[:, group.billings]
    if persons.size and int(persons.min()) < 1:
        raise CannotRate(
            plan=compiled.plan_code, problem=mark("a social norm needs at least one person")
        )
    most = int(persons.max(initial=1))
    table = np.array([norm.borders_wh(n) for n in range(1, most + 1)], dtype=np.int64)
    borders: Columns = table[persons - 1]
    return borders


def _counters(compiled: Compiled, group: LadderGroup) -> list[_Counter]:
    by_zone = group.ladder.basis is RangeBasis.ZONE
    gathered: dict[tuple[int, Zone | None], list[int]] = {}
    for place, cell in enumerate(group.cells):
        stretch, zone = compiled.cells[cell]
        key = (compiled.stretches[stretch].billing, zone if by_zone else None)
        gathered.setdefault(key, []).append(place)
    return [_Counter(billing, zone, tuple(cells)) for (billing, zone), cells in gathered.items()]


def _base(
    compiled: Compiled,
    group: LadderGroup,
    counters: Sequence[_Counter],
    cells_wh: Columns,
    facts: AccountFacts,
) -> Columns | None:
    """Return what each counter has counted before its billing period, or None for nothing."""
    accounts = len(cells_wh)
    norm = group.ladder.norm
    if norm is not None and norm.with_common_area:
        if facts.common_area_wh is None:
            raise CannotRate(
                plan=compiled.plan_code,
                problem=mark("the share of common-area energy that its norm counts is not known"),
            )
        common = per_billing(facts.common_area_wh, accounts, len(compiled.billings))
        return np.stack([common[:, counter.billing] for counter in counters], axis=1)
    if group.ladder.period is not RangePeriod.YEAR:
        return None
    base = np.zeros((accounts, len(counters)), dtype=np.int64)
    counted: dict[tuple[int, Zone | None], Columns] = {}
    for number, counter in enumerate(counters):
        day = local_date(compiled.billings[counter.billing].start, compiled.zone)
        key = (day.year, counter.zone)
        if key not in counted:
            begins = (day.month, day.day) == (1, 1)
            counted[key] = (
                np.zeros(accounts, dtype=np.int64)
                if begins
                else _opening(compiled, counter, facts, accounts)
            )
        base[:, number] = counted[key]
        counted[key] = counted[key] + cells_wh[:, list(counter.cells)].sum(axis=1)
    return base


def _opening(compiled: Compiled, counter: _Counter, facts: AccountFacts, accounts: int) -> Columns:
    """Return what a year's ladder has counted before the grid; refuse to guess it."""
    opening = facts.opening_wh
    zones = next(s.version.zones for s in compiled.stretches if s.billing == counter.billing)
    wide = 2 if counter.zone is not None and len(zones) > 1 else 1
    if opening is None or opening.ndim != wide:
        raise CannotRate(
            plan=compiled.plan_code,
            problem=mark("what its ranges have counted since the year began is not known"),
        )
    column = opening if wide == 1 else opening[:, zones.index(counter.zone or Zone.ALL)]
    return np.broadcast_to(column, (accounts,)).astype(np.int64)


def _limits(borders: Columns, rung: int) -> tuple[Columns | int, Columns | int]:
    """Return the lower and the upper border of a range."""
    low = borders[..., rung - 1] if rung else 0
    high = borders[..., rung] if rung < borders.shape[-1] else ENDLESS
    return low, high


def _within(before: Columns, after: Columns, low: Columns | int, high: Columns | int) -> Columns:
    """Return how much of the way from `before` to `after` lies between two borders."""
    found: Columns = np.clip(after, low, high) - np.clip(before, low, high)
    return found


def _by_volume(
    group: LadderGroup,
    cells_wh: Columns,
    counters: Sequence[_Counter],
    base: Columns | None,
    borders: Columns,
    *,
    in_time: bool,
) -> Columns:
    """Split where the volumes of cells decide, no interval has to be looked at."""
    rungs, width = group.ladder.count, len(group.cells)
    split = np.zeros((len(cells_wh), rungs * width), dtype=np.int64)
    for size in sorted({len(counter.cells) for counter in counters}):
        numbers = [n for n, counter in enumerate(counters) if len(counter.cells) == size]
        places = np.array([counters[n].cells for n in numbers])
        energy = cells_wh[:, places]
        own = _own_borders(group, borders, [counters[n].billing for n in numbers])
        start = np.zeros((1, len(numbers)), np.int64) if base is None else base[:, numbers]
        if size == 1 or in_time:
            # The cells of one zone follow on each other in time.
            reached = start[:, :, None] + np.cumsum(energy, axis=2)
            for rung in range(rungs):
                low, high = _limits(own[:, :, None, :], rung)
                part = _within(reached - energy, reached, low, high)
                split[:, places + rung * width] = part
            continue
        reached = start + energy.sum(axis=2)
        left = energy.copy()
        for rung in range(rungs - 1):
            low, high = _limits(own, rung)
            volume = np.broadcast_to(_within(start, reached, low, high), reached.shape)
            taken = _taken(volume, left)
            split[:, places + rung * width] = taken
            left -= taken
        split[:, places + (rungs - 1) * width] = left
    return split


def _own_borders(group: LadderGroup, borders: Columns, billings: Sequence[int]) -> Columns:
    """Return the borders of counters in such billing periods: (accounts or 1, counters or 1, .)."""
    if borders.shape[1] == 1:
        return borders
    return borders[:, [group.billings.index(billing) for billing in billings]]


def _taken(volume: Columns, left: Columns) -> Columns:
    """Return the part of `volume` that each cell of a counter gives, in proportion to its rest."""
    taken = np.where((volume == left.sum(axis=2))[:, :, None], left, 0)
    shared = (volume > 0) & (volume < left.sum(axis=2))
    if shared.any():
        taken[shared] = shares_of(volume[shared], left[shared])
    return taken


def _in_time(
    compiled: Compiled,
    group: LadderGroup,
    grid: Grid,
    energy_wh: WattHours,
    cells_wh: Columns,
    counters: Sequence[_Counter],
    base: Columns | None,
    borders: Columns,
) -> Columns:
    """Fill ranges interval by interval where several zones climb one ladder."""
    rungs, width = group.ladder.count, len(group.cells)
    split = np.zeros((len(cells_wh), rungs * width), dtype=np.int64)
    split[:, :width] = cells_wh
    for number, counter in enumerate(counters):
        places = list(counter.cells)
        start = np.zeros(len(cells_wh), np.int64) if base is None else base[:, number]
        own = np.broadcast_to(
            _own_borders(group, borders, [counter.billing])[:, 0],
            (len(cells_wh), rungs - 1),
        )
        above = np.flatnonzero(start + cells_wh[:, places].sum(axis=1) > own[:, 0])
        stretches = sorted({compiled.cells[group.cells[place]][0] for place in places})
        for first in range(0, len(above), _ROWS):
            rows = above[first : first + _ROWS]
            a, z = grid.edges[stretches[0]], grid.edges[stretches[-1] + 1]
            part = energy_wh[rows, a:z].astype(np.int64)
            reached = start[rows, None] + np.cumsum(part, axis=1)
            found = _cells_in_time(grid, stretches, part, reached, own[rows])
            for rung in range(rungs):
                split[np.ix_(rows, np.array(places) + rung * width)] = found[rung]
    return split


def _cells_in_time(
    grid: Grid, stretches: Sequence[int], part: Columns, reached: Columns, borders: Columns
) -> list[Columns]:
    """Return for each range the Wh of the cells of some stretches that follow on each other."""
    found = []
    begin = grid.edges[stretches[0]]
    for rung in range(borders.shape[-1] + 1):
        low, high = _limits(borders[:, None, :], rung)
        within = _within(reached - part, reached, low, high)
        found.append(
            np.concatenate(
                [
                    sums_by_runs(
                        within[:, grid.edges[s] - begin : grid.edges[s + 1] - begin],
                        grid.runs[s],
                        len(grid.compiled.stretches[s].version.zones),
                    )
                    for s in stretches
                ],
                axis=1,
            )
        )
    return found


def _by_day(
    compiled: Compiled,
    group: LadderGroup,
    grid: Grid,
    energy_wh: WattHours,
    borders: Columns,
) -> Columns:
    """Split over the ranges of a day; a price changes at midnight, so a day is in one stretch."""
    ladder = group.ladder
    rungs, width = ladder.count, len(group.cells)
    split = np.zeros((len(energy_wh), rungs * width), dtype=np.int64)
    for number in sorted({compiled.cells[cell][0] for cell in group.cells}):
        a, z = grid.edges[number], grid.edges[number + 1]
        zones = len(compiled.stretches[number].version.zones)
        places = np.array([p for p, c in enumerate(group.cells) if compiled.cells[c][0] == number])
        days = grid.local_days[a:z] - grid.local_days[a]
        zone_index = grid.cell_index[a:z] - _first_cell(compiled, number)
        for first in range(0, len(energy_wh), _ROWS):
            block = energy_wh[first : first + _ROWS, a:z].astype(np.int64)
            parts = _day_parts(ladder, block, days, zone_index, zones, borders)
            for rung in range(rungs):
                split[first : first + len(block), places + rung * width] = parts[rung]
    return split


def _first_cell(compiled: Compiled, stretch: int) -> int:
    return next(number for number, (owner, _) in enumerate(compiled.cells) if owner == stretch)


def _day_parts(
    ladder: Ladder,
    block: Columns,
    days: npt.NDArray[np.int64],
    zone_index: npt.NDArray[np.int64],
    zones: int,
    borders: Columns,
) -> list[Columns]:
    """Return for each range the Wh by zone of one stretch whose ladder begins anew every day."""
    if ladder.order is RangeOrder.TIME and ladder.basis is RangeBasis.TOTAL and zones > 1:
        starts = np.flatnonzero(np.diff(days, prepend=-1))
        reached = np.cumsum(block, axis=1)
        before_day = np.repeat(
            (reached - block)[:, starts], np.diff(np.append(starts, len(days))), axis=1
        )
        reached -= before_day
        found = []
        for rung in range(ladder.count):
            low, high = _limits(borders[:, None, :], rung)
            within = _within(reached - block, reached, low, high)
            found.append(_sums_by_key(within, zone_index, zones))
        return found
    count = int(days[-1]) + 1
    by_day = _sums_by_key(block, days * zones + zone_index, count * zones)
    cells = by_day.reshape(len(block), count, zones)
    if ladder.basis is RangeBasis.ZONE or zones == 1:
        nothing = np.zeros_like(cells)
        return [
            _within(nothing, cells, *_limits(borders[:, None, None, :], rung)).sum(axis=1)
            for rung in range(ladder.count)
        ]
    total = cells.sum(axis=2)
    left = cells.copy()
    found = []
    for rung in range(ladder.count - 1):
        low, high = _limits(borders[:, None, :], rung)
        taken = _taken(_within(np.zeros_like(total), total, low, high), left)
        found.append(taken.sum(axis=1))
        left -= taken
    return [*found, left.sum(axis=1)]


def _sums_by_key(values: Columns, keys: npt.NDArray[np.int64], count: int) -> Columns:
    """Return the sums of columns by key, shape (rows, count)."""
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    by_run = np.add.reduceat(values, starts, axis=1)
    order = np.argsort(keys[starts], kind="stable")
    ordered = keys[starts][order]
    firsts = np.flatnonzero(np.diff(ordered, prepend=-1))
    sums = np.zeros((len(values), count), dtype=np.int64)
    sums[:, ordered[firsts]] = np.add.reduceat(by_run[:, order], firsts, axis=1)
    return sums
