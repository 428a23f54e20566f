"""Rows of a file that could be parsed, waiting until they are loaded: in memory, or on disk."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO, Final, TypeVar

import numpy as np
import numpy.typing as npt

from metering.parsers.source import ARRIVAL, Arrivals, Reader, SeriesKey

Item = TypeVar("Item")

IN_MEMORY_ROWS: Final = 4_000_000
"""128 MiB; the rows of a larger file wait on disk from its start."""


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Staged rows, sorted by series: where each series' rows begin among them."""

    first_row: int
    series: npt.NDArray[np.integer[Any]]
    starts: npt.NDArray[np.int64]
    """One more than there are series: the end of the last."""


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """A whole file that could be parsed: its rows, in memory or in a spool on disk."""

    keys: Sequence[SeriesKey]
    blocks: Sequence[_Block]
    kept: Sequence[Arrivals]
    """The rows of each block, or nothing where they are in the spool."""
    spool: BinaryIO
    rows_of_series: Sequence[int]

    def chunks(self, chunk_rows: int) -> Iterator[tuple[int, bool, Arrivals]]:
        """Yield chunks of whole series, in the order the series first occur.

        Each with its number, and whether it is the last.
        """
        cuts = [0]
        rows = 0
        for series, count in enumerate(self.rows_of_series):
            if rows and rows + count > chunk_rows:
                cuts.append(series)
                rows = 0
            rows += count
        cuts.append(len(self.keys))
        for number, (first, last) in enumerate(pairwise(cuts)):
            yield number, last == len(self.keys), self._rows(first, last)

    def _rows(self, first: int, last: int) -> Arrivals:
        """Return the rows of a range of series; those of a series in the order of the file."""
        parts = []
        for number, block in enumerate(self.blocks):
            low, high = np.searchsorted(block.series, [first, last])
            start, end = int(block.starts[low]), int(block.starts[high])
            if start == end:
                continue
            if self.kept:
                parts.append(self.kept[number][start:end])
                continue
            self.spool.seek((block.first_row + start) * ARRIVAL.itemsize)
            packed = self.spool.read((end - start) * ARRIVAL.itemsize)
            parts.append(np.frombuffer(packed, ARRIVAL))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros(0, ARRIVAL)


def stage(reader: Reader, stream: BinaryIO, spool: BinaryIO, tell: Callable[[], None]) -> Staged:
    """Parse the whole file, so that memory does not grow with it: past a bound, into the spool."""
    blocks: list[_Block] = []
    kept: list[Arrivals] = []
    spilled = False
    counts = np.zeros(0, np.int64)
    staged = 0
    for rows in ahead(reader.blocks(stream)):
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
        used = blocks[-1].series
        counts = np.pad(counts, (0, max(0, int(used[-1]) + 1 - len(counts))))
        counts[used] += np.diff(starts)
        staged += len(rows)
        kept.append(rows)
        if spilled or staged > IN_MEMORY_ROWS:
            spilled = True
            spool.writelines(np.ascontiguousarray(part).view(np.uint8).data for part in kept)
            kept = []
    spool.flush()
    counts = np.pad(counts, (0, len(reader.index.keys) - len(counts)))
    return Staged(reader.index.keys, blocks, kept, spool, counts.tolist())


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield `items` in order, the next one being made in a thread while one is used.

    Whatever making them raises comes up here; the thread has ended when the last is used.
    """
    nothing = object()
    with ThreadPoolExecutor(1, thread_name_prefix="readings") as worker:
        following = worker.submit(next, items, nothing)
        while (item := following.result()) is not nothing:
            following = worker.submit(next, items, nothing)
            yield item  # type: ignore[misc]
