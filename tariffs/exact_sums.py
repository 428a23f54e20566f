"""Exact sums of energy by zone over a population: the one module where floats carry energy.

numpy's integer matrix product is slow and wraps in silence. A float64 holds every whole number
below 2^53, and BLAS only ever adds and multiplies what it is given; so where every partial sum is
proven to stay below 2^53 the product of whole numbers is exact, in any order of summation.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

ROWS_A_BLOCK: Final = 256
"""A block of rows that stays in the second-level cache while it is looked at twice."""

_EXACT_FLOAT: Final = 2**53
_INT32: Final = 2**31

Integers = npt.NDArray[np.integer[Any]]


def zone_sums(
    energy_wh: Integers, zone_index: npt.NDArray[np.int8], zones: int, intervals_a_day: int
) -> npt.NDArray[np.int64]:
    """Return the Wh of each row by zone, shape (rows, zones), summed exactly.

    `energy_wh` has shape (rows, intervals). Where the zones repeat day by day, the days are added
    first, in int32 under a bound that each block proves; that is half as much work again as a plain
    sum. Any other calendar goes through BLAS.
    """
    rows, intervals = energy_wh.shape
    if intervals == 0 or rows == 0:
        return np.zeros((rows, zones), dtype=np.int64)
    if zones == 1:
        whole: npt.NDArray[np.int64] = energy_wh.sum(axis=1, dtype=np.int64)[:, None]
        return whole
    days, rest = divmod(intervals, intervals_a_day)
    repeats = not rest and bool(
        (zone_index.reshape(days, intervals_a_day) == zone_index[:intervals_a_day]).all()
    )
    sums = np.empty((rows, zones), dtype=np.int64)
    for first in range(0, rows, ROWS_A_BLOCK):
        block = energy_wh[first : first + ROWS_A_BLOCK]
        largest = max(int(block.max()), -int(block.min()))
        if repeats and largest * days < _INT32:
            by_clock = block.reshape(len(block), days, intervals_a_day)
            day = by_clock.sum(axis=1, dtype=np.int32)
            sums[first : first + len(block)] = _by_matrix(
                day, zone_index[:intervals_a_day], zones, largest * intervals
            )
        else:
            sums[first : first + len(block)] = _by_matrix(
                block, zone_index, zones, largest * intervals
            )
    return sums


def _by_matrix(
    block: Integers, zone_index: npt.NDArray[np.int8], zones: int, bound: int
) -> npt.NDArray[np.int64]:
    if bound >= _EXACT_FLOAT:
        return np.stack(
            [block[:, zone_index == zone].sum(axis=1, dtype=np.int64) for zone in range(zones)],
            axis=1,
        )
    members = (zone_index[:, None] == np.arange(zones)).astype(np.float64)
    product: npt.NDArray[np.float64] = block.astype(np.float64) @ members
    return product.astype(np.int64)
