"""Consumption ranges: a month's energy split over the rungs of a ladder."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kilokassa.core.apportion import apportion


def range_volumes(total_wh: int, borders_wh: Sequence[int]) -> tuple[int, ...]:
    """Return how much of `total_wh` falls into each range; only what is above a border is next.

    >>> range_volumes(5_000, [3_900, 6_000])
    (3900, 1100, 0)
    """
    volumes = []
    below = 0
    for border in borders_wh:
        volumes.append(max(0, min(total_wh, border) - below))
        below = border
    volumes.append(max(0, total_wh - below))
    return tuple(volumes)


def split_in_proportion(cells_wh: Sequence[int], borders_wh: Sequence[int]) -> list[list[int]]:
    """Split the cells of a month over the ranges, each range in proportion to what is left.

    Returns one list of cells for each range; range by range the parts sum to the range's volume,
    and cell by cell to the cell (largest remainder, in Wh).

    >>> split_in_proportion([3_000, 1_000], [1_000])
    [[750, 250], [2250, 750]]
    """
    left = list(cells_wh)
    split = []
    for volume in range_volumes(sum(cells_wh), borders_wh)[:-1]:
        taken = list(apportion(volume, left)) if volume else [0] * len(left)
        left = [cell - part for cell, part in zip(left, taken, strict=True)]
        split.append(taken)
    return [*split, left]


def split_in_time(
    energy_wh: npt.NDArray[np.int64],
    cell_index: npt.NDArray[np.int64],
    cells: int,
    borders_wh: Sequence[int],
) -> list[list[int]]:
    """Fill the ranges in the order in which one account used its energy, interval by interval.

    `cell_index` names the cell (price period and zone) of each interval; an interval that crosses a
    border is cut at it.
    """
    reached = np.cumsum(energy_wh)
    before = reached - energy_wh
    split = []
    below = 0
    for border in [*borders_wh, None]:
        top = reached if border is None else np.minimum(reached, border)
        part = np.maximum(top - np.maximum(before, below), 0)
        sums = np.zeros(cells, dtype=np.int64)
        np.add.at(sums, cell_index, part)
        split.append(sums.tolist())
        below = border or 0
    return split
