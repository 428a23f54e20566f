"""Device events: one line an event of a point or meter; `docs/reference/events-csv.md`."""

import csv
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from kilokassa.core.text import mark
from metering.events.kinds import MEASURED, DeviceEventKind, EventLine
from metering.imports import UnreadableFile
from metering.parsers.csv_long import parse_time


class Column(StrEnum):
    """What a column of the file holds."""

    POINT = "point"
    METER = "meter"
    KIND = "kind"
    STARTS = "starts"
    ENDS = "ends"
    VALUE = "value"


_POINT, _METER, _KIND = Column.POINT, Column.METER, Column.KIND
_STARTS, _ENDS, _VALUE = Column.STARTS, Column.ENDS, Column.VALUE
NAMES: Final[Mapping[str, Column]] = {
    **dict.fromkeys(("point", "metering point", "точка", "точка учёта", "точка учета"), _POINT),
    **dict.fromkeys(("meter", "serial", "прибор", "прибор учёта", "прибор учета"), _METER),
    **dict.fromkeys(("заводской номер",), _METER),
    **dict.fromkeys(("kind", "event", "событие", "вид события"), _KIND),
    **dict.fromkeys(("start", "starts", "time", "начало", "время"), _STARTS),
    **dict.fromkeys(("end", "ends", "конец", "окончание"), _ENDS),
    **dict.fromkeys(("value", "значение"), _VALUE),
}

KINDS: Final[Mapping[str, DeviceEventKind]] = {
    **{str(kind): kind for kind in DeviceEventKind},
    "вскрытие корпуса": DeviceEventKind.COVER_OPENED,
    "вскрытие клеммной крышки": DeviceEventKind.TERMINALS_OPENED,
    "магнитное поле": DeviceEventKind.MAGNET,
    "потеря фазы": DeviceEventKind.PHASE_LOST,
    "обратный ток": DeviceEventKind.CURRENT_REVERSED,
    "отключение питания": DeviceEventKind.POWER_OFF,
    "установка времени": DeviceEventKind.CLOCK_SET,
    "отклонение напряжения": DeviceEventKind.VOLTAGE_OUT_OF_RANGE,
    "отключение нагрузки": DeviceEventKind.DISCONNECTED,
}
"""What a kind is called in a file; otherwise its own name."""

VALUE_MOST: Final = 2**31 - 1
"""What an event's value is at most, either way."""

FILE_MAX_BYTES: Final = 64 * 1024 * 1024


def parse_events(content: bytes) -> tuple[EventLine, ...]:
    """Return every line after the header; the first that makes no sense refuses the file."""
    text = _decoded(content)
    header, _, rest = text.partition("\n")
    separator, columns = _header(header)
    return tuple(_lines(rest, separator, columns))


def _decoded(content: bytes) -> str:
    if b"\0" in content:
        raise UnreadableFile(
            line=1, problem=mark("the text is neither UTF-8 nor windows-1251; save it as UTF-8")
        )
    for encoding in ("utf-8-sig", "cp1251"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableFile(
        line=1, problem=mark("the text is neither UTF-8 nor windows-1251; save it as UTF-8")
    )


def _header(header: str) -> tuple[str, tuple[Column | None, ...]]:
    best: tuple[Column | None, ...] = ()
    separator = ";"
    for candidate in ";\t,":
        names = [name.strip().strip('"').strip().casefold() for name in header.split(candidate)]
        columns = tuple(NAMES.get(name) for name in names)
        if sum(c is not None for c in columns) > sum(c is not None for c in best):
            best, separator = columns, candidate
    named = [column for column in best if column is not None]
    if len(set(named)) < len(named):
        raise UnreadableFile(line=1, problem=mark("a column is named twice"))
    if not {Column.KIND, Column.STARTS} <= set(named) or not {Column.POINT, Column.METER} & set(
        named
    ):
        raise UnreadableFile(
            line=1, problem=mark("the header does not name the columns point, kind and start")
        )
    return separator, best


def _lines(text: str, separator: str, columns: tuple[Column | None, ...]) -> Iterator[EventLine]:
    for number, line in enumerate(text.splitlines(), start=2):
        if not line.strip():
            continue
        try:
            (fields,) = csv.reader([line], delimiter=separator)
        except csv.Error:
            fields = []  # a field without an end
        if len(fields) != len(columns):
            raise UnreadableFile(
                line=number,
                problem=mark("there are %(fields)s fields, not %(expected)s"),
                fields=len(fields),
                expected=len(columns),
            )
        cells = {
            column: field.strip()
            for column, field in zip(columns, fields, strict=True)
            if column is not None
        }
        yield _line(number, cells)


def _line(number: int, cells: Mapping[Column, str]) -> EventLine:
    kind = KINDS.get(cells[Column.KIND].casefold())
    if kind is None:
        raise _unreadable(number, cells[Column.KIND], mark("%(text)s is not a kind of event"))
    starts = _time(number, cells[Column.STARTS])
    ends = _time(number, cells[Column.ENDS]) if cells.get(Column.ENDS) else None
    return EventLine(
        line=number,
        point_code=cells.get(Column.POINT, ""),
        serial=cells.get(Column.METER, ""),
        kind=kind,
        starts=starts,
        ends=ends,
        value=_value(number, cells.get(Column.VALUE, ""), kind),
    )


def _time(number: int, text: str) -> datetime:
    try:
        found = parse_time(text)
    except ValueError:
        raise _unreadable(
            number, text, mark("%(text)s is not a time such as 2026-10-25T18:30")
        ) from None
    if not 2000 <= found.year < 2100:
        raise _unreadable(number, text, mark("%(text)s is not between 2000 and 2100"))
    return found


def _value(number: int, text: str, kind: DeviceEventKind) -> int | None:
    if not text:
        return None
    if kind not in MEASURED:
        raise _unreadable(number, text, mark("%(text)s is a value, but this kind has none"))
    try:
        value = int(text)
    except ValueError:
        raise _unreadable(number, text, mark("%(text)s is not a whole number")) from None
    if not -VALUE_MOST <= value <= VALUE_MOST:
        raise _unreadable(number, text, mark("%(text)s is more than any meter tells"))
    return value


def _unreadable(line: int, text: str, problem: str) -> UnreadableFile:
    return UnreadableFile(line=line, problem=problem, text=repr(text))
