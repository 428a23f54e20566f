"""What a file of readings is: its encoding, its separator and what its columns hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kilokassa.core.text import mark
from metering.imports import UnreadableFile

HEADER_MAX_BYTES: Final = 64 * 1024


class Column(StrEnum):
    """What a column holds."""

    POINT = "point"
    CHANNEL = "channel"
    METER = "meter"
    ZONE = "zone"
    TIME = "time"
    VALUE = "value"
    QUALITY = "quality"


NAMES: Final[Mapping[str, Column]] = {
    "point": Column.POINT,
    "metering point": Column.POINT,
    "metering_point": Column.POINT,
    "точка": Column.POINT,
    "точка учёта": Column.POINT,
    "точка учета": Column.POINT,
    "channel": Column.CHANNEL,
    "канал": Column.CHANNEL,
    "канал учёта": Column.CHANNEL,
    "канал учета": Column.CHANNEL,
    "meter": Column.METER,
    "serial": Column.METER,
    "прибор": Column.METER,
    "прибор учёта": Column.METER,
    "прибор учета": Column.METER,
    "заводской номер": Column.METER,
    "zone": Column.ZONE,
    "зона": Column.ZONE,
    "time": Column.TIME,
    "start": Column.TIME,
    "время": Column.TIME,
    "дата": Column.TIME,
    "date": Column.TIME,
    "value": Column.VALUE,
    "значение": Column.VALUE,
    "показание": Column.VALUE,
    "reading": Column.VALUE,
    "quality": Column.QUALITY,
    "качество": Column.QUALITY,
    "признак": Column.QUALITY,
}


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """How to read the lines after the header."""

    encoding: str
    """`utf-8` or `cp1251`."""
    separator: str
    columns: tuple[Column | None, ...]
    """What each column holds, in the order of the file; None for one that is not read."""

    def index(self, column: Column) -> int | None:
        """Return where a column stands, or None."""
        return self.columns.index(column) if column in self.columns else None

    @property
    def is_registers(self) -> bool:
        """Say whether these are register readings rather than interval values."""
        return Column.ZONE in self.columns or Column.METER in self.columns


def detect_layout(header: bytes) -> CsvLayout:
    """Read the header line: names in Russian or English, separated by `;`, `,` or tabs.

    UTF-8 with or without its mark, or windows-1251 where only so the names make sense.
    """
    if header[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in header:
        raise UnreadableFile(
            line=1, problem=mark("the text is neither UTF-8 nor windows-1251; save it as UTF-8")
        )
    if not header.strip():
        raise UnreadableFile(line=1, problem=mark("the file is empty"))
    for encoding in ("utf-8-sig", "cp1251"):
        try:
            text = header.decode(encoding)
        except UnicodeDecodeError:
            continue
        layout = _layout(text, "utf-8" if encoding == "utf-8-sig" else encoding)
        if layout is not None:
            return layout
    raise UnreadableFile(
        line=1,
        problem=mark("the header does not name the columns point, time and value"),
    )


def _layout(text: str, encoding: str) -> CsvLayout | None:
    best: tuple[Column | None, ...] = ()
    separator = ""
    for candidate in ";\t,":
        names = [name.strip().strip('"').strip().casefold() for name in text.split(candidate)]
        columns = tuple(NAMES.get(name) for name in names)
        if _known(columns) > _known(best):
            best, separator = columns, candidate
    named = [column for column in best if column is not None]
    if len(set(named)) < len(named):
        raise UnreadableFile(line=1, problem=mark("a column is named twice"))
    if not {Column.TIME, Column.VALUE} <= set(named):
        return None
    if Column.POINT not in named and Column.METER not in named:
        return None
    return CsvLayout(encoding, separator, best)


def _known(columns: tuple[Column | None, ...]) -> int:
    return sum(column is not None for column in columns)
