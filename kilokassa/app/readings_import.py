"""Importing files of readings: staged whole, then loaded by chunks, each in one transaction."""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

import numpy as np

from kilokassa.app.readings_file import Progress, ReadingsFile, Teller, open_readings
from kilokassa.app.readings_spool import Staged, ahead, stage
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid
from kilokassa.core.quantity import WH_PER_KWH
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.session import Database
from metering.arrivals import Placement, RefusedRows, place, unpack_rows
from metering.imports import CURABLE, INTERVALS, REGISTERS, ImportResult
from metering.parsers.csv_long import LongCsvReader
from metering.parsers.csv_registers import parse_registers
from metering.parsers.detect import CsvLayout, detect_layout
from metering.parsers.source import Reader
from metering.service import ChunkOrder, RegistersOrder, load_chunk, load_registers_file
from metering.store import (
    finish_batch,
    import_result,
    kept_refusals,
    open_batch,
    point_channels,
    settle_refusals,
)

FORMATS: Final = ("auto", INTERVALS, REGISTERS)
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
    with open_readings(path) as file:
        layout = detect_layout(file.head.partition(b"\n")[0].rstrip(b"\r"))
        if fmt == REGISTERS or (fmt == "auto" and layout.is_registers):
            return _load_registers(database, path, layout, file, unit, scope, clock)
        tell = Teller(progress, path.stat().st_size)
        with tempfile.TemporaryFile() as spool, file.stream() as stream:
            reader = _reader(fmt, file.head, unit)
            staged = stage(reader, stream, cast(BinaryIO, spool), lambda: tell.read(file.position))
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
        waiting = kept_refusals(session, scope, batch_id=batch_id, intervals=True, reasons=CURABLE)
        channels, _ = point_channels(session, {kept.key for kept in waiting}, scope)
    curable = [kept for kept in waiting if kept.key in channels]
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
        retried = RefusedRows(kept.key, kept.reason, rows)
        order = ChunkOrder(
            batch_id=batch.id,
            number=number,
            placement=place(rows, [kept.key], channels),
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


def _reader(fmt: str, head: bytes, unit: str) -> Reader:
    """Return a new reader of a format of interval values."""
    return LongCsvReader(detect_layout(head.partition(b"\n")[0].rstrip(b"\r")), unit=unit)


def _load(
    database: Database,
    path: Path,
    staged: Staged,
    unit: str,
    scope: Scope,
    clock: Clock,
    tell: Teller,
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
    done, of_rows = 0, sum(staged.rows_of_series)
    for prepared in ahead(_prepared(database, staged, chunk_rows, batch.done, scope)):
        if prepared.placement is not None:
            order = ChunkOrder(
                batch.id, prepared.number, prepared.placement, source=f"file:{batch.id}"
            )
            with database.writing() as session:
                load_chunk(session, order, clock)
        done += prepared.rows
        tell.loaded(done, of_rows)
    with database.writing() as session:
        finish_batch(session, batch.id, clock)
    with database.reading() as session:
        return import_result(session, batch.id, scope, resumed=batch.resumed)


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A chunk whose rows have found their places; no placement where it is loaded already."""

    number: int
    rows: int
    placement: Placement | None


def _prepared(
    database: Database, staged: Staged, chunk_rows: int, done: frozenset[int], scope: Scope
) -> Iterator[_Prepared]:
    """Place the rows of each chunk outside of the transaction that stores them: it stays short."""
    for number, rows in staged.chunks(chunk_rows):
        if number in done:
            yield _Prepared(number, len(rows), None)
            continue
        used = {staged.keys[series] for series in np.unique(rows["series"]).tolist()}
        with database.reading() as session:
            channels, bare = point_channels(session, used, scope)
        yield _Prepared(number, len(rows), place(rows, staged.keys, channels, bare))


def _load_registers(
    database: Database,
    path: Path,
    layout: CsvLayout,
    file: ReadingsFile,
    unit: str,
    scope: Scope,
    clock: Clock,
) -> ImportResult:
    """Load a file of register readings: small, so parsed at once and stored in one transaction."""
    if unit not in UNITS_WH:
        raise Invalid(
            where="unit", problem=mark("%(unit)s is not a unit: kwh or wh"), unit=repr(unit)
        )
    _, _, text = file.whole(REGISTERS_MAX_BYTES).partition(b"\n")
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
