"""Register readings: one line a meter or point, zone and time; `docs/reference/readings-csv.md`."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from metering.imports import RefusalReason, UnreadableFile
from metering.parsers.csv_long import NO_VALUES, QUALITIES, parse_time
from metering.parsers.detect import Column, CsvLayout

ZONES: Final[Mapping[str, Zone]] = {
    "": Zone.ALL,
    **{str(zone): zone for zone in Zone},
    "сутки": Zone.ALL,
    "пик": Zone.PEAK,
    "полупик": Zone.SEMI_PEAK,
    "день": Zone.DAY,
    "ночь": Zone.NIGHT,
}


@dataclass(frozen=True, slots=True)
class RegisterLine:
    """A register reading as it arrived; `taken` is a day, a local time or an instant."""

    line: int
    point_code: str
    serial: str
    zone: Zone
    taken: datetime | date
    value: Decimal | None
    """In the unit of the file, or Gcal for a heat meter."""
    quality: Quality

    def packed(self) -> bytes:
        """Return the line as it is kept for a second try."""
        fields = [
            self.line,
            self.point_code,
            self.serial,
            str(self.zone),
            self.taken.isoformat(),
            "" if self.value is None else str(self.value),
            int(self.quality),
        ]
        return json.dumps(fields, ensure_ascii=False).encode()


def parse_registers(text: bytes, layout: CsvLayout) -> tuple[RegisterLine, ...]:
    """Return every line after the header; the first that makes no sense refuses the file."""
    if b"\0" in text:
        raise UnreadableFile(
            line=2 + text[: text.index(b"\0")].count(b"\n"), problem=mark("the file is not a text")
        )
    try:
        decoded = text.decode(layout.encoding)
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            line=2 + text[: error.start].count(b"\n"),
            problem=mark("the text is not %(encoding)s; save the file as UTF-8"),
            encoding=layout.encoding,
        ) from None
    return tuple(_lines(decoded, layout))


def _lines(text: str, layout: CsvLayout) -> Iterator[RegisterLine]:
    for number, line in enumerate(text.splitlines(), start=2):
        if not line.strip():
            continue
        try:
            (fields,) = csv.reader([line], delimiter=layout.separator)
        except csv.Error:
            fields = []  # a field without an end
        if len(fields) != len(layout.columns):
            raise UnreadableFile(
                line=number,
                problem=mark("there are %(fields)s fields, not %(expected)s"),
                fields=len(fields),
                expected=len(layout.columns),
            )
        cells = {
            column: field.strip()
            for column, field in zip(layout.columns, fields, strict=True)
            if column is not None
        }
        yield _line(number, cells)


def _line(number: int, cells: Mapping[Column, str]) -> RegisterLine:
    zone = ZONES.get(cells.get(Column.ZONE, "").casefold())
    if zone is None:
        raise _unreadable(number, cells[Column.ZONE], mark("%(text)s is not a zone of the day"))
    quality = QUALITIES.get(cells.get(Column.QUALITY, "4").casefold())
    if quality is None:
        raise _unreadable(number, cells[Column.QUALITY], mark("%(text)s is not a quality"))
    return RegisterLine(
        line=number,
        point_code=cells.get(Column.POINT, ""),
        serial=cells.get(Column.METER, ""),
        zone=zone,
        taken=_taken(number, cells[Column.TIME]),
        value=_value(number, cells[Column.VALUE]),
        quality=quality,
    )


def _taken(number: int, text: str) -> datetime | date:
    try:
        taken = _day(text) if ":" not in text else parse_time(text)
    except ValueError:
        raise _unreadable(
            number, text, mark("%(text)s is not a date or time such as 2026-10-25")
        ) from None
    if not 2000 <= taken.year < 2100:
        raise _unreadable(number, text, mark("%(text)s is not between 2000 and 2100"))
    return taken


def _day(text: str) -> date:
    if text[2:3] == ".":
        return date(int(text[6:]), int(text[3:5]), int(text[:2]))
    return date.fromisoformat(text)


def _value(number: int, text: str) -> Decimal | None:
    if text.casefold() in NO_VALUES:
        return None
    try:
        value = Decimal(text.replace(",", "."))
    except InvalidOperation:
        raise _unreadable(number, text, mark("%(text)s is not a number")) from None
    return value if value.is_finite() else None


def _unreadable(line: int, text: str, problem: str) -> UnreadableFile:
    return UnreadableFile(line=line, problem=problem, text=repr(text))


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that could not be placed, and why."""

    line: RegisterLine
    reason: RefusalReason
