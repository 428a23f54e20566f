"""Consumption ranges of one account's month in plain form: what `tariffs.ladders` does in columns.

Tests hold the two together; tables of the documentation are checked against this one.
"""

from collections.abc import Sequence

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
