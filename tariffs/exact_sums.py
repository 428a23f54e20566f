"""Exact sums of energy by zone over a population: the one module where floats carry energy.

numpy's integer matrix product is slow and wraps in silence. A float64 holds every whole number
below 2^53, and BLAS only ever adds and multiplies what it is given; so where every partial sum is
proven to stay below 2^53 the product of whole numbers is exact, in any order of summation.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

ROWS_A_BLOCK: Final = 256
"""A block of rows that stays in the second-level cache while it is looked at twice."""

_EXACT_FLOAT: Final = 2**53
_INT32: Final = 2**31
_INT64: Final = 2**63

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """Days on end whose zones are the same interval by interval, or the odd end of a day."""

    first: int
    days: int
    members: npt.NDArray[np.bool_]
    """Shape (intervals of a day, zones): which zone each interval belongs to."""

    @property
    def width(self) -> int:
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
    rows, intervals = energy_wh.shape
    sums = np.zeros((rows, zones), dtype=np.int64)
    if intervals == 0:
        return sums
    runs = _runs(zone_index, zones, intervals_a_day)
    for first in range(0, rows, ROWS_A_BLOCK):
        block = energy_wh[first : first + ROWS_A_BLOCK]
        largest = max(int(block.max()), -int(block.min()))
        if largest * intervals >= _INT64:
            raise ValueError("the energy of a month does not fit into 64 bits of Wh")
        for run in runs:
            day = _one_day(block, run, largest)
            sums[first : first + len(block)] += _by_zone(day, run.members, largest * intervals)
    return sums


def _runs(zone_index: npt.NDArray[np.int8], zones: int, intervals_a_day: int) -> tuple[_Run, ...]:
    """Cut a grid into runs, each as long as its first day repeats."""
    found = []
    first = 0
    while first < len(zone_index):
        day = zone_index[first : first + intervals_a_day]
        days = 1
        while _repeats(zone_index, day, first + days * len(day)):
            days += 1
        found.append(_Run(first, days, day[:, None] == np.arange(zones)))
        first += days * len(day)
    return tuple(found)


def _repeats(zone_index: npt.NDArray[np.int8], day: npt.NDArray[np.int8], at: int) -> bool:
    return np.array_equal(zone_index[at : at + len(day)], day)


def _one_day(block: Integers, run: _Run, largest: int) -> Integers:
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
