"""Rows of a file that could be parsed, waiting on disk until they are loaded."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from metering.parsers.source import ARRIVAL, Arrivals, Reader, SeriesKey


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Staged rows, sorted by series: where each series' rows begin in the spool."""

    first_row: int
    series: npt.NDArray[np.integer[Any]]
    starts: npt.NDArray[np.int64]
    """One more than there are series: the end of the last."""


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """A whole file that could be parsed, its rows waiting in a spool on disk."""

    keys: Sequence[SeriesKey]
    blocks: Sequence[_Block]
    spool: BinaryIO
    rows_of_series: Sequence[int]

    def chunks(self, chunk_rows: int) -> Iterator[tuple[int, Arrivals]]:
        """Yield numbered chunks of whole series, in the order the series first occur."""
        cuts = [0]
        rows = 0
        for series, count in enumerate(self.rows_of_series):
            if rows and rows + count > chunk_rows:
                cuts.append(series)
                rows = 0
            rows += count
        cuts.append(len(self.keys))
        for number, (first, last) in enumerate(pairwise(cuts)):
            yield number, self._rows(first, last)

    def _rows(self, first: int, last: int) -> Arrivals:
        """Return the rows of a range of series; those of a series in the order of the file."""
        parts = []
        for block in self.blocks:
            low, high = np.searchsorted(block.series, [first, last])
            start, end = int(block.starts[low]), int(block.starts[high])
            if start == end:
                continue
            self.spool.seek((block.first_row + start) * ARRIVAL.itemsize)
            packed = self.spool.read((end - start) * ARRIVAL.itemsize)
            parts.append(np.frombuffer(packed, ARRIVAL))
        return np.concatenate(parts) if parts else np.zeros(0, ARRIVAL)


def stage(reader: Reader, stream: BinaryIO, spool: BinaryIO, tell: Callable[[], None]) -> Staged:
    """Parse the whole file into the spool, so that memory does not grow with it."""
    blocks: list[_Block] = []
    counts = np.zeros(0, np.int64)
    staged = 0
    for rows in reader.blocks(stream):
        tell()
        if not len(rows):
            continue
        series = rows["series"]
        if (np.diff(series) < 0).any():
            rows = rows[np.argsort(series, kind="stable")]
            series = rows["series"]
        changes = np.flatnonzero(np.diff(series, prepend=-1))
        starts = np.append(changes, len(rows)).astype(np.int64)
        blocks.append(_Block(staged, series[changes], starts))
        counts = np.pad(counts, (0, len(reader.index.keys) - len(counts)))
        counts[blocks[-1].series] += np.diff(starts)
        spool.write(np.ascontiguousarray(rows).view(np.uint8).data)
        staged += len(rows)
    spool.flush()
    return Staged(reader.index.keys, blocks, spool, counts.tolist())
