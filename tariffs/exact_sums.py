"""Exact sums of energy by zone over a population: the one module where floats carry energy.

numpy's integer matrix product is slow and wraps in silence. A float64 holds every whole number
below 2^53, and BLAS only ever adds and multiplies what it is given; so where every partial sum is
proven to stay below 2^53 the product of whole numbers is exact, in any order of summation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

ROWS_A_BLOCK: Final = 256
"""A block of rows that stays in the second-level cache while it is looked at twice."""

_ROWS_PRICED: Final = 64
"""Rows of a year of hours that the second-level cache holds as float64."""

_EXACT_FLOAT: Final = 2**53
_INT32: Final = 2**31
_INT64: Final = 2**63

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Days on end whose zones are the same interval by interval, or the odd end of a day."""

    first: int
    days: int
    members: npt.NDArray[np.bool_]
    """Shape (intervals of a day, zones): which zone each interval belongs to."""

    @property
    def width(self) -> int:
        """How many intervals a day has."""
        return len(self.members)


def zone_sums(
    energy_wh: Integers, zone_index: npt.NDArray[np.int8], zones: int, intervals_a_day: int
) -> npt.NDArray[np.int64]:
    """Return the Wh of each row by zone, shape (rows, zones), summed exactly.

    `energy_wh` has shape (rows, intervals). The grid is cut into runs of days with the same zones:
    one run for a month, three where the clocks change in it. The days of a run are added first, in
    int32 where the largest value of the block proves that they fit, and the few columns that remain
    are then gathered by zone. So a month is read twice (for its largest value and for its sum), and
    the product works on one value in thirty.
    """
    return sums_by_runs(energy_wh, runs_of(zone_index, zones, intervals_a_day), zones)


def sums_by_runs(energy_wh: Integers, runs: Sequence[Run], zones: int) -> npt.NDArray[np.int64]:
    """Return the Wh of each row by zone where the runs of like days are known: see `zone_sums`."""
    rows, intervals = energy_wh.shape
    sums = np.zeros((rows, zones), dtype=np.int64)
    if intervals == 0:
        return sums
    for first in range(0, rows, ROWS_A_BLOCK):
        block = energy_wh[first : first + ROWS_A_BLOCK]
        largest = largest_of(block)
        if largest * intervals >= _INT64:
            raise ValueError("the energy of a month does not fit into 64 bits of Wh")
        for run in runs:
            day = _one_day(block, run, largest)
            sums[first : first + len(block)] += _by_zone(day, run.members, largest * intervals)
    return sums


def cell_sums(
    energy_wh: Integers, cell_index: npt.NDArray[np.int64], cells: int
) -> npt.NDArray[np.int64]:
    """Return the Wh of each row by cell, for few rows: interval by interval, exactly."""
    sums = np.zeros((len(energy_wh), cells), dtype=np.int64)
    if energy_wh.size == 0:
        return sums
    bound = largest_of(energy_wh) * energy_wh.shape[1]
    if bound >= _INT64:
        raise ValueError("the energy of a month does not fit into 64 bits of Wh")
    for row, values in enumerate(energy_wh):
        if bound < _EXACT_FLOAT:
            # Every partial sum stays below 2^53, so the float64 weights add up exactly.
            sums[row] = np.bincount(cell_index, weights=values, minlength=cells)
        else:
            np.add.at(sums[row], cell_index, values)
    return sums


def priced_sums(
    energy_wh: Integers, prices: npt.NDArray[np.int64], edges: Sequence[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Return for each row and stretch its Wh and the sum of Wh x price, both exact.

    `edges` are the first intervals of the stretches and the end of the last. The products of a
    block of rows go through BLAS in float64 and stand where they are proven: no value is negative
    and the sum of all, itself exact since its terms ascend, times the largest price stays below
    2^52, so no partial sum of products can reach 2^53. Else they are added in int64 under a proven
    bound, else as Python's whole numbers; only then the second value is an array of objects.
    """
    rows, intervals = energy_wh.shape
    sums = np.zeros((rows, len(edges) - 1), dtype=np.int64)
    costs: npt.NDArray[Any] = np.zeros(sums.shape, dtype=np.int64)
    top = max(1, largest_of(prices[None, :]))
    table = np.ones((intervals, 2))
    table[:, 1] = prices
    buffer = np.empty((min(rows, _ROWS_PRICED), intervals))
    for first in range(0, rows, _ROWS_PRICED):
        block = energy_wh[first : first + _ROWS_PRICED]
        place = slice(first, first + len(block))
        values = buffer[: len(block)]
        values[...] = block
        found = [values[:, a:z] @ table[a:z] for a, z in pairwise(edges)]
        whole = max((float(pair[:, 0].max()) for pair in found), default=0.0)
        if whole * top < _EXACT_FLOAT // 2 and block.min(initial=0) >= 0:
            for number, pair in enumerate(found):
                sums[place, number] = pair[:, 0]
                costs[place, number] = pair[:, 1]
            continue
        bound = largest_of(block) * top * max(intervals, 1)
        wide = block.astype(np.int64 if bound < _INT64 else object)
        if bound >= _INT64:
            costs = costs.astype(object)
        for number, (a, z) in enumerate(pairwise(edges)):
            sums[place, number] = wide[:, a:z].sum(axis=1)
            costs[place, number] = (wide[:, a:z] * prices[a:z]).sum(axis=1)
    return sums, costs


def largest_of(block: Integers) -> int:
    """Return the largest magnitude in a block.

    One look is enough where nothing is negative: read without its sign, a negative value would be
    at least half of what the type can hold.
    """
    if block.size == 0:
        return 0
    if block.dtype.kind == "i" and block.strides[-1] == block.dtype.itemsize:
        unsigned = int(block.view(f"u{block.dtype.itemsize}").max())
        if unsigned < 1 << (8 * block.dtype.itemsize - 1):
            return unsigned
    return max(int(block.max()), -int(block.min()))


def runs_of(zone_index: npt.NDArray[np.int8], zones: int, intervals_a_day: int) -> tuple[Run, ...]:
    """Cut a grid into runs, each as long as its first day repeats."""
    found = []
    first = 0
    while first < len(zone_index):
        day = zone_index[first : first + intervals_a_day]
        days = 1
        while _repeats(zone_index, day, first + days * len(day)):
            days += 1
        found.append(Run(first, days, day[:, None] == np.arange(zones)))
        first += days * len(day)
    return tuple(found)


def _repeats(zone_index: npt.NDArray[np.int8], day: npt.NDArray[np.int8], at: int) -> bool:
    return np.array_equal(zone_index[at : at + len(day)], day)


def _one_day(block: Integers, run: Run, largest: int) -> Integers:
    """Return the sum of a run's days, shape (rows, intervals of a day)."""
    part = block[:, run.first : run.first + run.days * run.width]
    if run.days == 1:
        return part
    narrow = largest * run.days < _INT32
    by_day = part.reshape(len(block), run.days, run.width)
    day: Integers = by_day.sum(axis=1, dtype=np.int32 if narrow else np.int64)
    return day


def _by_zone(day: Integers, members: npt.NDArray[np.bool_], bound: int) -> npt.NDArray[np.int64]:
    """Gather the columns by zone; `bound` is above every sum that can occur on the way."""
    if bound >= _EXACT_FLOAT:
        columns = [day[:, zone].sum(axis=1, dtype=np.int64) for zone in members.T]
        return np.stack(columns, axis=1)
    product: npt.NDArray[np.float64] = day.astype(np.float64) @ members.astype(np.float64)
    return product.astype(np.int64)
