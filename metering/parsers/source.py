"""What every reader of interval values gives: the series a file names, and rows of them.

A reader knows its format and nothing of places: a series is named by what the file calls its point
and by the code of a channel; `metering.arrivals` finds the channel and the place in its day.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from metering.days import ENERGY_MAX_WH, UWH_PER_WH
from metering.registry.places import ACTIVE_TAKEN

ARRIVAL: Final = np.dtype(
    [
        ("time_s", "<i8"),
        ("value_uwh", "<i8"),
        ("line", "<u4"),
        ("series", "<i4"),
        ("interval_min", "<u2"),
        ("quality", np.uint8),
        ("fault", np.uint8),
        ("local", np.bool_),
    ],
    align=True,
)
"""A row as it arrived.

`time_s`: when the interval starts, in seconds since 1970 in UTC, or by the clock on the wall where
`local`. `value_uwh`: millionths of a watt-hour, from -`VALUE_MAX_UWH` to `VALUE_MAX_UWH`. `line`:
where it stands in the file. `series`: its number in the reader's `SeriesIndex`. `interval_min`: the
length that the file states for it, 0 where it states none. `fault`: why it has no place, the number
of a `RefusalReason` (`metering.imports.NUMBER_OF`), or 0.
"""

Arrivals = npt.NDArray[Any]
"""Rows of `ARRIVAL`."""

VALUE_MAX_UWH: Final = ENERGY_MAX_WH * UWH_PER_WH
"""The largest value of a row; what is larger carries the fault `TOO_LARGE`."""


class SeriesKey(NamedTuple):
    """What a file calls a series: the code of its point and of its channel there."""

    point_code: str
    """The code of the metering point, or its `exchange_code`."""
    channel_code: str = ACTIVE_TAKEN


class SeriesIndex:
    """The series that a file names, numbered in the order in which they first occur.

    >>> index = SeriesIndex()
    >>> index.number("P1"), index.number("P1", "A-"), index.number("P1")
    (0, 1, 0)
    """

    def __init__(self) -> None:
        self.keys: list[SeriesKey] = []
        self._number_of: dict[SeriesKey, int] = {}

    def number(self, point_code: str, channel_code: str = ACTIVE_TAKEN) -> int:
        """Return the number of a series; one not met before is the next."""
        key = SeriesKey(point_code, channel_code)
        number = self._number_of.setdefault(key, len(self.keys))
        if number == len(self.keys):
            self.keys.append(key)
        return number


class Reader(Protocol):
    """Reads one file of interval values; made anew for each file.

    One whose values have the transformers' ratio in them says so by an attribute `multiplied`.
    """

    index: SeriesIndex
    """The series met so far; complete when the last block was read."""

    def blocks(self, stream: BinaryIO) -> Iterator[Arrivals]:
        """Yield the rows of a file in its order, in blocks of bounded size.

        `stream` stands at the file's first byte and is unpacked already; it cannot be sought where
        the file was packed. `metering.imports.UnreadableFile`, naming the line, refuses the
        file whole: nothing is loaded before the last block was read.
        """
        ...
