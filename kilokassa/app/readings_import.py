"""Importing files of readings: staged whole, then loaded by chunks, each in one transaction."""

import gc
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

import numpy as np
from sqlalchemy.orm import Session

from kilokassa.app.readings_file import Progress, ReadingsFile, Teller, open_readings
from kilokassa.app.readings_spool import Staged, ahead, stage
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid
from kilokassa.core.quantity import WH_PER_KWH
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.session import Database
from metering.arrivals import Placement, RefusedRows, place, unpack_rows
from metering.exchange.store import take_areas
from metering.imports import CURABLE, INTERVALS, REGISTERS, ImportResult
from metering.parsers.csv_registers import parse_registers
from metering.parsers.detect import detect_layout
from metering.parsers.formats import Format, detect, make_reader
from metering.parsers.json_batch import JSON_BATCH, JsonBatchReader
from metering.parsers.source import Reader
from metering.parsers.xml_80020 import Xml80020Reader
from metering.service import ChunkOrder, RegistersOrder, load_chunk, load_registers_file
from metering.store import (
    OpenBatch,
    finish_batch,
    import_result,
    kept_refusals,
    open_batch,
    point_channels,
    settle_refusals,
)

AUTO: Final = "auto"
FORMATS: Final = (AUTO, *(str(one) for one in Format), JSON_BATCH)
"""What a file may be said to be; `auto` looks into it, but never for a JSON batch."""
CHUNK_ROWS: Final = 500_000
"""Rows loaded in one transaction; whole series, so one of more rows is a chunk of its own.

A chunk is the same at every import of a file, or a stopped import could not go on.
"""
REGISTERS_MAX_BYTES: Final = 64 * 1024 * 1024
UNITS_WH: Final = {"kwh": WH_PER_KWH, "wh": 1}


def import_readings(
    database: Database,
    path: Path,
    *,
    fmt: str = AUTO,
    unit: str = "kwh",
    point: str | None = None,
    accept_timezone: bool = False,
    request_key: str | None = None,
    scope: Scope,
    clock: Clock,
    progress: Progress | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> ImportResult:
    """Import a file of readings in any of `FORMATS` (`docs/reference/`), packed by gzip or not.

    The file is parsed to its end before anything is loaded: one that cannot be parsed is refused
    whole. Rows that cannot be placed are refused one by one and kept. The same file again changes
    nothing; an import that was stopped goes on where it was. A file of register readings goes to
    `import_register_readings` where the format is `auto`.

    `unit` is that of values whose format does not say one. `point` names the metering point of a
    Green Button file. `accept_timezone` takes an 80020 file whose time zone is not the one its
    sender stated before. With the `request_key` of an earlier import the answer is that import's;
    for another file the key is refused.
    """
    scope.demand(Right.IMPORT_READINGS)
    if fmt not in FORMATS:
        raise Invalid(
            where="format", problem=mark("%(fmt)s is not a format of readings"), fmt=repr(fmt)
        )
    with open_readings(path) as file:
        found = str(detect(file.head, path.name)) if fmt == AUTO else fmt
        order = _Order(path, found, unit, request_key, accept_timezone)
        if found == REGISTERS:
            return _load_registers(database, order, file, scope, clock)
        tell = Teller(progress, path.stat().st_size)
        with tempfile.TemporaryFile() as spool, file.stream() as stream, _uncollected():
            reader = _reader(found, file.head, unit, point)
            staged = stage(reader, stream, cast(BinaryIO, spool), lambda: tell.read(file.position))
            return _load(database, order, reader, staged, scope, clock, tell, chunk_rows)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave cyclic garbage for later: there is little, and looking for it costs a tenth or more."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True, slots=True)
class _Order:
    """What is imported, and how."""

    path: Path
    fmt: str
    unit: str
    request_key: str | None
    accept_timezone: bool

    def digest(self) -> str:
        """Return what tells the same file again."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def open(self, session: Session, digest: str, scope: Scope, clock: Clock) -> OpenBatch:
        """Go on with this import, or begin it."""
        return open_batch(
            session,
            clock,
            file_name=self.path.name,
            file_digest=digest,
            file_format=self.fmt,
            unit=self.unit,
            actor=scope.actor,
            request_key=self.request_key,
        )


def _reader(fmt: str, head: bytes, unit: str, point: str | None) -> Reader:
    if fmt == JSON_BATCH:
        return JsonBatchReader(unit=unit)
    return make_reader(Format(fmt), head, unit=unit, point=point)


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
        rows, multiplied = unpack_rows(kept.rows)
        retried = RefusedRows(kept.key, kept.reason, rows, multiplied)
        order = ChunkOrder(
            batch_id=batch.id,
            number=number,
            placement=place(rows, [kept.key], channels, multiplied=multiplied),
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


def _load(
    database: Database,
    order: _Order,
    reader: Reader,
    staged: Staged,
    scope: Scope,
    clock: Clock,
    tell: Teller,
    chunk_rows: int,
) -> ImportResult:
    """Load the chunks that are not loaded yet; each is one transaction with its own record."""
    digest = order.digest()
    with database.writing() as session:
        if isinstance(reader, Xml80020Reader):
            take_areas(session, reader.areas, scope, clock, accept_timezone=order.accept_timezone)
        batch = order.open(session, digest, scope, clock)
    if batch.answered:
        with database.reading() as session:
            return import_result(session, batch.id, scope, resumed=False)
    done, of_rows = 0, sum(staged.rows_of_series)
    finished = False
    multiplied = bool(getattr(reader, "multiplied", False))
    chunks = _prepared(database, staged, chunk_rows, batch.done, scope, multiplied=multiplied)
    for prepared in ahead(chunks):
        if prepared.placement is not None:
            chunk = ChunkOrder(
                batch.id, prepared.number, prepared.placement, source=f"file:{batch.id}"
            )
            with database.writing() as session:
                load_chunk(session, chunk, clock)
                if prepared.last:
                    finish_batch(session, batch.id, clock)
                    finished = True
        done += prepared.rows
        tell.loaded(done, of_rows)
    if not finished:
        with database.writing() as session:
            finish_batch(session, batch.id, clock)
    with database.reading() as session:
        return import_result(session, batch.id, scope, resumed=batch.resumed)


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A chunk whose rows have found their places; no placement where it is loaded already."""

    number: int
    last: bool
    rows: int
    placement: Placement | None


def _prepared(
    database: Database,
    staged: Staged,
    chunk_rows: int,
    done: frozenset[int],
    scope: Scope,
    *,
    multiplied: bool,
) -> Iterator[_Prepared]:
    """Place the rows of each chunk outside of the transaction that stores them: it stays short."""
    for number, last, rows in staged.chunks(chunk_rows):
        if number in done:
            yield _Prepared(number, last, len(rows), None)
            continue
        used = {staged.keys[series] for series in np.unique(rows["series"]).tolist()}
        with database.reading() as session:
            channels, bare = point_channels(session, used, scope)
        placement = place(rows, staged.keys, channels, bare, multiplied=multiplied)
        yield _Prepared(number, last, len(rows), placement)


def _load_registers(
    database: Database, order: _Order, file: ReadingsFile, scope: Scope, clock: Clock
) -> ImportResult:
    """Load a file of register readings: small, so parsed at once and stored in one transaction."""
    if order.unit not in UNITS_WH:
        raise Invalid(
            where="unit", problem=mark("%(unit)s is not a unit: kwh or wh"), unit=repr(order.unit)
        )
    header, _, text = file.whole(REGISTERS_MAX_BYTES).partition(b"\n")
    lines = parse_registers(text, detect_layout(header.rstrip(b"\r")))
    digest = order.digest()
    with database.writing() as session:
        batch = order.open(session, digest, scope, clock)
        if not batch.answered:
            load_registers_file(
                session, RegistersOrder(batch.id, lines, UNITS_WH[order.unit], scope), clock
            )
            finish_batch(session, batch.id, clock)
    with database.reading() as session:
        return import_result(session, batch.id, scope, resumed=batch.resumed)
