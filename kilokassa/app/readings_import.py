"""Importing files of readings: staged whole, then loaded by chunks, each in one transaction."""

import gzip
import hashlib
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final, cast

import numpy as np

from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.quantity import WH_PER_KWH
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.session import Database
from metering.arrivals import ARRIVAL, Arrivals, RefusedRows, place, unpack_rows
from metering.imports import CURABLE, INTERVALS, REGISTERS, ImportResult, UnreadableFile
from metering.parsers.csv_long import LongCsvReader, whole_lines
from metering.parsers.csv_registers import parse_registers
from metering.parsers.detect import HEADER_MAX_BYTES, CsvLayout, detect_layout
from metering.service import ChunkOrder, RegistersOrder, load_chunk, load_registers_file
from metering.store import (
    finish_batch,
    import_result,
    kept_refusals,
    open_batch,
    point_channels,
    settle_refusals,
)

Progress = Callable[[int, int], None]

FORMATS: Final = ("auto", INTERVALS, REGISTERS)
BLOCK_BYTES: Final = 16 * 1024 * 1024
CHUNK_ROWS: Final = 500_000
"""Rows loaded in one transaction; whole points, so one of more rows is a chunk of its own.

A chunk is the same at every import of a file, or a stopped import could not go on.
"""
REGISTERS_MAX_BYTES: Final = 64 * 1024 * 1024
UNITS_WH: Final = {"kwh": WH_PER_KWH, "wh": 1}


def import_readings(
    database: Database,
    path: Path,
    *,
    fmt: str = "auto",
    unit: str = "kwh",
    scope: Scope,
    clock: Clock,
    progress: Progress | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> ImportResult:
    """Import a CSV file of readings (`docs/reference/readings-csv.md`), packed by gzip or not.

    The file is parsed to its end before anything is loaded: one that cannot be parsed is refused
    whole. Rows that cannot be placed are refused one by one and kept. The same file again changes
    nothing; an import that was stopped goes on where it was. A file of register readings goes to
    `import_register_readings` where the format is `auto`.
    """
    scope.demand(Right.IMPORT_READINGS)
    if fmt not in FORMATS:
        raise Invalid(
            where="format", problem=mark("%(fmt)s is not a format of readings"), fmt=repr(fmt)
        )
    with _opened(path) as (stream, layout):
        if fmt == REGISTERS or (fmt == "auto" and layout.is_registers):
            return _load_registers(database, path, layout, stream.whole(), unit, scope, clock)
        tell = _Teller(progress, path.stat().st_size)
        with tempfile.TemporaryFile() as spool:
            staged = _stage(stream, layout, unit, cast(BinaryIO, spool), tell)
            return _load(database, path, staged, unit, scope, clock, tell, chunk_rows)


def import_register_readings(
    database: Database, path: Path, *, unit: str = "kwh", scope: Scope, clock: Clock
) -> ImportResult:
    """Import a CSV file of register readings, hand-taken or read out: meter or point, zone, time.

    A reading less than the one before is refused, unless the register rolled over.
    """
    return import_readings(database, path, fmt=REGISTERS, unit=unit, scope=scope, clock=clock)


def retry_refused(
    database: Database, *, scope: Scope, clock: Clock, batch_id: int | None = None
) -> ImportResult | None:
    """Try again the rows that were refused for want of a place; None where there are none.

    A value that has been stored for the same interval in the meantime stays.
    """
    scope.demand(Right.IMPORT_READINGS)
    with database.reading() as session:
        waiting = kept_refusals(
            session, scope, batch_id=batch_id, file_format=INTERVALS, reasons=CURABLE
        )
        codes = {kept.point_code for kept in waiting}
        channels, _ = point_channels(session, codes, scope)
    curable = [kept for kept in waiting if kept.point_code in channels]
    if not curable:
        return None
    name = ",".join(str(kept.id) for kept in curable)
    with database.writing() as session:
        batch = open_batch(
            session,
            clock,
            file_name=f"retry:{curable[0].batch_id}",
            file_digest=hashlib.sha256(f"retry:{name}".encode()).hexdigest(),
            file_format=INTERVALS,
            unit="kwh",
            actor=scope.actor,
        )
    for number, kept in enumerate(curable):
        rows = unpack_rows(kept.rows)
        retried = RefusedRows(kept.point_code, kept.reason, rows)
        order = ChunkOrder(
            batch_id=batch.id,
            number=number,
            placement=place(rows, [kept.point_code], channels),
            source="retry",
            retried=retried,
        )
        with database.writing() as session:
            load_chunk(session, order, clock)
            settle_refusals(session, [kept.id])
    with database.writing() as session:
        finish_batch(session, batch.id, clock)
    with database.reading() as session:
        return import_result(session, batch.id, scope, resumed=False)


class _Teller:
    """Tells how far an import is: half of the way is reading, half is loading."""

    def __init__(self, progress: Progress | None, size: int) -> None:
        self._progress = progress
        self._size = max(size, 1)

    def read(self, position: int) -> None:
        self._tell(min(position, self._size))

    def loaded(self, rows: int, of_rows: int) -> None:
        self._tell(self._size + (self._size * rows // of_rows if of_rows else self._size))

    def _tell(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done, 2 * self._size)


@contextmanager
def _opened(path: Path) -> Iterator[tuple["_Lines", CsvLayout]]:
    """Open a file, packed or not, and read its header."""
    try:
        raw = path.open("rb")
    except OSError:
        raise NotFound(what="file", name=str(path)) from None
    with raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: BinaryIO = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
        lines = _Lines(raw, stream)
        yield lines, detect_layout(lines.header())


class _Lines:
    """The bytes of a file after its header, unpacked, in pieces."""

    def __init__(self, raw: BinaryIO, stream: BinaryIO) -> None:
        self._raw = raw
        self._stream = stream
        self._rest = b""
        self._line = 1

    def header(self) -> bytes:
        """Return the first line, without its end."""
        head = self.read(HEADER_MAX_BYTES)
        line, _, self._rest = head.partition(b"\n")
        return line.rstrip(b"\r")

    def read(self, size: int) -> bytes:
        """Return the next piece, at most about `size` bytes."""
        rest, self._rest = self._rest, b""
        try:
            piece = rest + self._stream.read(size)
        except (OSError, EOFError, zlib.error):
            raise UnreadableFile(
                line=self._line, problem=mark("the compressed file is damaged")
            ) from None
        self._line += piece.count(b"\n")
        return piece

    def whole(self) -> bytes:
        """Return all that is left of a file that must be small."""
        pieces = []
        size = 0
        while piece := self.read(BLOCK_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > REGISTERS_MAX_BYTES:
                raise UnreadableFile(
                    line=self._line, problem=mark("the file is too large for register readings")
                )
        return b"".join(pieces)

    def pieces(self, tell: _Teller) -> Iterator[bytes]:
        """Yield the rest of the file."""
        while piece := self.read(BLOCK_BYTES):
            yield piece
            tell.read(self._raw.tell())


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Staged rows, sorted by point: where each point's rows begin in the spool."""

    first_row: int
    points: "np.ndarray[tuple[int], np.dtype[np.int32]]"
    starts: "np.ndarray[tuple[int], np.dtype[np.int64]]"
    """One more than there are points: the end of the last."""


@dataclass(frozen=True, slots=True, eq=False)
class _Staged:
    """A whole file that could be parsed, its rows waiting in a spool on disk."""

    points: Sequence[str]
    blocks: Sequence[_Block]
    spool: BinaryIO
    rows_of_point: Sequence[int]

    def chunks(self, chunk_rows: int) -> Iterator[tuple[int, Arrivals]]:
        """Yield numbered chunks of whole points, in the order the points first occur."""
        cuts = [0]
        rows = 0
        for point, count in enumerate(self.rows_of_point):
            if rows and rows + count > chunk_rows:
                cuts.append(point)
                rows = 0
            rows += count
        cuts.append(len(self.points))
        for number, (first, last) in enumerate(pairwise(cuts)):
            yield number, self._rows(first, last)

    def _rows(self, first: int, last: int) -> Arrivals:
        """Return the rows of a range of points; those of a point in the order of the file."""
        parts = []
        for block in self.blocks:
            low, high = np.searchsorted(block.points, [first, last])
            start, end = int(block.starts[low]), int(block.starts[high])
            if start == end:
                continue
            self.spool.seek((block.first_row + start) * ARRIVAL.itemsize)
            packed = self.spool.read((end - start) * ARRIVAL.itemsize)
            parts.append(np.frombuffer(packed, ARRIVAL))
        return np.concatenate(parts) if parts else np.zeros(0, ARRIVAL)


def _stage(stream: _Lines, layout: CsvLayout, unit: str, spool: BinaryIO, tell: _Teller) -> _Staged:
    """Parse the whole file into the spool, so that memory does not grow with it."""
    reader = LongCsvReader(layout, unit=unit)
    blocks: list[_Block] = []
    counts = np.zeros(0, np.int64)
    staged = 0
    for text in whole_lines(stream.pieces(tell)):
        rows = reader.read(text)
        if not len(rows):
            continue
        if (np.diff(rows["point"]) < 0).any():
            rows = rows[np.argsort(rows["point"], kind="stable")]
        changes = np.flatnonzero(np.diff(rows["point"], prepend=-1))
        starts = np.append(changes, len(rows)).astype(np.int64)
        blocks.append(_Block(staged, rows["point"][changes].astype(np.int32), starts))
        counts = np.pad(counts, (0, len(reader.points) - len(counts)))
        counts[blocks[-1].points] += np.diff(starts)
        spool.write(rows.tobytes())
        staged += len(rows)
    spool.flush()
    return _Staged(reader.points, blocks, spool, counts.tolist())


def _load(
    database: Database,
    path: Path,
    staged: _Staged,
    unit: str,
    scope: Scope,
    clock: Clock,
    tell: _Teller,
    chunk_rows: int,
) -> ImportResult:
    """Load the chunks that are not loaded yet; each is one transaction with its own record."""
    with database.writing() as session:
        batch = open_batch(
            session,
            clock,
            file_name=path.name,
            file_digest=_file_digest(path),
            file_format=INTERVALS,
            unit=unit,
            actor=scope.actor,
        )
    done, of_rows = 0, sum(staged.rows_of_point)
    for number, rows in staged.chunks(chunk_rows):
        if number not in batch.done:
            _load_one(database, batch.id, number, rows, staged.points, scope, clock)
        done += len(rows)
        tell.loaded(done, of_rows)
    with database.writing() as session:
        finish_batch(session, batch.id, clock)
    with database.reading() as session:
        return import_result(session, batch.id, scope, resumed=batch.resumed)


def _load_one(
    database: Database,
    batch_id: int,
    number: int,
    rows: Arrivals,
    points: Sequence[str],
    scope: Scope,
    clock: Clock,
) -> None:
    """Place the rows of a chunk outside of the transaction that stores them: it stays short."""
    codes = {points[point] for point in np.unique(rows["point"]).tolist()}
    with database.reading() as session:
        channels, bare = point_channels(session, codes, scope)
    placement = place(rows, points, channels, bare)
    order = ChunkOrder(batch_id, number, placement, source=f"file:{batch_id}")
    with database.writing() as session:
        load_chunk(session, order, clock)


def _load_registers(
    database: Database,
    path: Path,
    layout: CsvLayout,
    text: bytes,
    unit: str,
    scope: Scope,
    clock: Clock,
) -> ImportResult:
    """Load a file of register readings: small, so parsed at once and stored in one transaction."""
    if unit not in UNITS_WH:
        raise Invalid(
            where="unit", problem=mark("%(unit)s is not a unit: kwh or wh"), unit=repr(unit)
        )
    lines = parse_registers(text, layout)
    with database.writing() as session:
        batch = open_batch(
            session,
            clock,
            file_name=path.name,
            file_digest=_file_digest(path),
            file_format=REGISTERS,
            unit=unit,
            actor=scope.actor,
        )
        load_registers_file(session, RegistersOrder(batch.id, lines, UNITS_WH[unit], scope), clock)
        finish_batch(session, batch.id, clock)
    with database.reading() as session:
        return import_result(session, batch.id, scope, resumed=batch.resumed)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
