"""Interval values in long form: one line a point and interval (`docs/reference/readings-csv.md`).

A file is read in blocks of whole lines, so that memory does not grow with it. Points and times
repeat endlessly in such a file: each distinct one is understood once.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from kilokassa.core.errors import Invalid
from kilokassa.core.quantity import WH_PER_KWH
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from metering.days import UWH_PER_WH
from metering.imports import NUMBER_OF, RefusalReason, UnreadableFile
from metering.parsers.detect import HEADER_MAX_BYTES, Column, CsvLayout
from metering.parsers.source import ARRIVAL, VALUE_MAX_UWH, Arrivals, SeriesIndex
from metering.registry.places import ACTIVE_TAKEN

UNITS_UWH: Final[Mapping[str, int]] = {"kwh": WH_PER_KWH * UWH_PER_WH, "wh": UWH_PER_WH}
"""Millionths of a watt-hour in the units that a file may give values in."""

BLOCK_BYTES: Final = 16 * 1024 * 1024
"""What is read at once."""

LINE_MAX_BYTES: Final = 1024 * 1024
"""Longer than any line of such a file."""

NO_VALUES: Final = frozenset({"", "-", "nan", "na", "n/a", "none", "null", "нет"})
"""What stands for a value that is none, whatever the case."""

QUALITIES: Final[Mapping[str, Quality]] = {
    "": Quality.ACTUAL,
    "1": Quality.ACTUAL,
    "actual": Quality.ACTUAL,
    "измерено": Quality.ACTUAL,
    "2": Quality.ESTIMATED,
    "estimated": Quality.ESTIMATED,
    "расчёт": Quality.ESTIMATED,
    "расчет": Quality.ESTIMATED,
    "3": Quality.SUBSTITUTED,
    "substituted": Quality.SUBSTITUTED,
    "замещено": Quality.SUBSTITUTED,
    "4": Quality.CUSTOMER_READ,
    "customer_read": Quality.CUSTOMER_READ,
    "передано": Quality.CUSTOMER_READ,
}

_RUSSIAN_TIME = re.compile(r"(\d\d)\.(\d\d)\.(\d{4})[ T](\d\d?:\d\d(?::\d\d)?)")
_YEARS = range(2000, 2100)
_Numbers = npt.NDArray[np.int64]


def parse_time(text: str) -> datetime:
    """Read an ISO time with or without an offset, or `01.10.2026 00:30`; a date is no time.

    >>> parse_time("2026-10-01 00:30").isoformat(), parse_time("01.10.2026 0:30").isoformat()
    ('2026-10-01T00:30:00', '2026-10-01T00:30:00')
    """
    found = _RUSSIAN_TIME.fullmatch(text)
    if found:
        day, month, year, clock = found.groups()
        text = (
            f"{year}-{month}-{day}T{clock:0>5}"
            if len(clock) < 7
            else (f"{year}-{month}-{day}T{clock:0>8}")
        )
    if ":" not in text:
        raise ValueError(text)
    return datetime.fromisoformat(text)


class LongCsvReader:
    """Reads one file; a `metering.parsers.source.Reader`."""

    def __init__(self, layout: CsvLayout, *, unit: str = "kwh") -> None:
        if unit not in UNITS_UWH:
            raise Invalid(
                where="unit", problem=mark("%(unit)s is not a unit: kwh or wh"), unit=repr(unit)
            )
        self.layout = layout
        self.index = SeriesIndex()
        self.lines = 1
        """Lines read so far; the header is the first."""
        self._unit_uwh = UNITS_UWH[unit]
        self._time_of: dict[str, tuple[int, bool, int]] = {}

    def blocks(self, stream: BinaryIO) -> Iterator[Arrivals]:
        """Yield the rows of a file, its header first, in the order of the file."""
        head = stream.read(HEADER_MAX_BYTES)
        _, _, rest = head.partition(b"\n")
        yield from map(self.read, whole_lines(_pieces(rest, stream)))

    def read(self, block: bytes) -> Arrivals:
        """Return the rows of the next block of whole lines, in the order of the file."""
        first_line = self.lines + 1
        self.lines += block.count(b"\n") + (not block.endswith(b"\n") and bool(block))
        text = self._utf8(block, first_line)
        frame, lines = self._frame(text, first_line)
        rows: Arrivals = np.zeros(len(frame), ARRIVAL)
        rows["line"] = lines
        self._fill_series(rows, frame)
        self._fill_times(rows, frame["time"], lines)
        self._fill_qualities(rows, frame, lines)
        self._fill_values(rows, frame["value"], lines)
        return rows

    def _utf8(self, block: bytes, first_line: int) -> bytes:
        if b"\0" in block:
            line = first_line + block[: block.index(b"\0")].count(b"\n")
            raise UnreadableFile(line=line, problem=mark("the file is not a text"))
        if not block.isascii():
            try:
                text = block.decode(self.layout.encoding)
            except UnicodeDecodeError as error:
                raise UnreadableFile(
                    line=first_line + block[: error.start].count(b"\n"),
                    problem=mark("the text is not %(encoding)s; save the file as UTF-8"),
                    encoding=self.layout.encoding,
                ) from None
            if self.layout.encoding != "utf-8":
                block = text.encode()
        return block.replace(b"\r\n", b"\n") if b"\r" in block else block

    def _frame(self, text: bytes, first_line: int) -> tuple[pl.DataFrame, _Numbers]:
        """Cut lines into fields, every one as text but values that are plain numbers."""
        width = len(self.layout.columns)
        separator = self.layout.separator
        count = text.count(b"\n") + (not text.endswith(b"\n") and bool(text))
        if b'"' in text:
            return self._quoted(text.decode(), first_line)
        if text.count(separator.encode()) != (width - 1) * count:
            text, lines = self._whole_lines(text, first_line)
        else:
            lines = np.arange(first_line, first_line + count)
        if not text:
            return self._named([[] for _ in range(width)]), lines
        schema = {
            f"{number}" if column is None else str(column): pl.String
            for number, column in enumerate(self.layout.columns)
        }
        try:
            frame = pl.read_csv(
                text,
                has_header=False,
                separator=separator,
                quote_char=None,
                schema=schema,
                empty_string_is_null=False,
                infer_schema=False,
            )
        except pl.exceptions.PolarsError:
            self._whole_lines(text, first_line)
            raise
        if any(column.null_count() for column in frame):
            # Two wrong lines can make the count of separators right: find the first of them.
            self._whole_lines(text, first_line)
        assert len(frame) == len(lines), (len(frame), len(lines))
        return frame, lines

    def _whole_lines(self, text: bytes, first_line: int) -> tuple[bytes, _Numbers]:
        """Return the lines that are not blank and their numbers; refuse one of another width."""
        width = len(self.layout.columns)
        separator = self.layout.separator.encode()
        kept, numbers = [], []
        for number, line in enumerate(text.split(b"\n"), start=first_line):
            if not line.strip():
                continue
            fields = line.count(separator) + 1
            if fields != width:
                raise self._wrong_width(number, fields)
            kept.append(line)
            numbers.append(number)
        return b"\n".join(kept) + b"\n" * bool(kept), np.array(numbers, np.int64)

    def _wrong_width(self, line: int, fields: int) -> UnreadableFile:
        return UnreadableFile(
            line=line,
            problem=mark("there are %(fields)s fields, not %(expected)s"),
            fields=fields,
            expected=len(self.layout.columns),
        )

    def _quoted(self, text: str, first_line: int) -> tuple[pl.DataFrame, _Numbers]:
        """Cut lines that use quotes; a field never holds a line end."""
        columns: list[list[str]] = [[] for _ in self.layout.columns]
        numbers = []
        for number, line in enumerate(text.split("\n"), start=first_line):
            if not line.strip():
                continue
            try:
                (fields,) = csv.reader([line], delimiter=self.layout.separator)
            except csv.Error:
                fields = []  # a carriage return within the line, or a field without an end
            if len(fields) != len(columns):
                raise self._wrong_width(number, len(fields))
            for column, part in zip(columns, fields, strict=True):
                column.append(part)
            numbers.append(number)
        return self._named(columns), np.array(numbers, np.int64)

    def _named(self, columns: list[list[str]]) -> pl.DataFrame:
        names = [
            f"{number}" if column is None else str(column)
            for number, column in enumerate(self.layout.columns)
        ]
        return pl.DataFrame(
            {
                name: pl.Series(values, dtype=pl.String)
                for name, values in zip(names, columns, strict=True)
            }
        )

    def _fill_series(self, rows: Arrivals, frame: pl.DataFrame) -> None:
        codes, places = _distinct(frame["point"])
        if self.layout.index(Column.CHANNEL) is None:
            number = np.array([self.index.number(code.strip()) for code in codes], np.int32)
            rows["series"] = number[places]
            return
        channels, channel_places = _distinct(frame["channel"])
        pairs = places.astype(np.int64) * len(channels) + channel_places
        distinct, first, of_pair = np.unique(pairs, return_index=True, return_inverse=True)
        numbers = np.zeros(len(distinct), np.int32)
        for at in np.argsort(first).tolist():
            code, channel = divmod(int(distinct[at]), len(channels))
            numbers[at] = self.index.number(
                codes[code].strip(), channels[channel].strip() or ACTIVE_TAKEN
            )
        rows["series"] = numbers[of_pair]

    def _fill_times(self, rows: Arrivals, column: pl.Series, lines: _Numbers) -> None:
        distinct, places = _distinct(column)
        known = np.zeros((len(distinct), 3), np.int64)
        for number, text in enumerate(distinct):
            found = self._time_of.get(text)
            if found is None:
                found = _understood(text)
                if found is None:
                    raise UnreadableFile(
                        line=int(lines[int(np.argmax(places == number))]),
                        problem=mark("%(text)s is not a time such as 2026-10-01T00:30"),
                        text=repr(text),
                    )
                self._time_of[text] = found
            known[number] = found
        rows["time_s"] = known[:, 0][places]
        rows["local"] = known[:, 1][places] != 0
        rows["fault"] = known[:, 2][places]

    def _fill_qualities(self, rows: Arrivals, frame: pl.DataFrame, lines: _Numbers) -> None:
        if self.layout.index(Column.QUALITY) is None:
            rows["quality"] = Quality.ACTUAL
            return
        distinct, places = _distinct(frame["quality"])
        known = np.zeros(len(distinct), np.uint8)
        for number, text in enumerate(distinct):
            quality = QUALITIES.get(text.strip().casefold())
            if quality is None:
                raise UnreadableFile(
                    line=int(lines[int(np.argmax(places == number))]),
                    problem=mark("%(text)s is not a quality"),
                    text=repr(text),
                )
            known[number] = quality
        rows["quality"] = known[places]

    def _fill_values(self, rows: Arrivals, column: pl.Series, lines: _Numbers) -> None:
        """Read decimal numbers as whole millionths of a watt-hour.

        Exact, though a double carries them: let x be a decimal with v = x · unit whole and under
        2^51. Reading x and taking it times the unit each err by at most 2^-53 of the value, so by
        less than half of one together, and rounding gives v. What is finer than a millionth of a
        watt-hour is rounded to one; what is larger than an interval can hold is refused.
        """
        text = column
        if text.str.contains(",", literal=True).any():
            text = text.str.replace(",", ".", literal=True)
        number = text.cast(pl.Float64, strict=False)
        if number.null_count():
            number = text.str.strip_chars().cast(pl.Float64, strict=False)
            none = number.is_null()
            self._check_none(column.filter(none), lines[none.to_numpy()])
            number = number.fill_null(float("nan"))
        with np.errstate(over="ignore"):
            value = np.rint(number.to_numpy() * self._unit_uwh)
        absent = np.isnan(value)
        too_large = value > VALUE_MAX_UWH
        value[absent] = 0
        _fault(rows, absent, RefusalReason.NO_VALUE)
        _fault(rows, value < 0, RefusalReason.NEGATIVE)
        _fault(rows, too_large, RefusalReason.TOO_LARGE)
        rows["value_uwh"] = np.clip(value, -float(VALUE_MAX_UWH), float(VALUE_MAX_UWH))

    def _check_none(self, texts: pl.Series, lines: _Numbers) -> None:
        distinct, places = _distinct(texts)
        for number, text in enumerate(distinct):
            if text.strip().casefold() not in NO_VALUES:
                raise UnreadableFile(
                    line=int(lines[int(np.argmax(places == number))]),
                    problem=mark("%(text)s is not a number"),
                    text=repr(text),
                )


def _distinct(column: pl.Series) -> tuple[list[str], npt.NDArray[np.uint32]]:
    """Return the distinct texts in the order they occur, and each row's place among them."""
    distinct = column.unique(maintain_order=True)
    places = column.cast(pl.Enum(distinct)).to_physical().to_numpy()
    return distinct.to_list(), places.astype(np.uint32, copy=False)


def _understood(text: str) -> tuple[int, bool, int] | None:
    """Return seconds since 1970, whether they are the wall's, and a fault; None if no time."""
    try:
        instant = parse_time(text.strip())
    except ValueError:
        return None
    if instant.year not in _YEARS:
        return 0, instant.tzinfo is None, NUMBER_OF[RefusalReason.TIME_OUT_OF_RANGE]
    fault = NUMBER_OF[RefusalReason.OFF_GRID] if instant.microsecond else 0
    if instant.tzinfo is None:
        return int(instant.replace(tzinfo=UTC).timestamp()), True, fault
    return int(instant.timestamp()), False, fault


def _fault(rows: Arrivals, where: npt.NDArray[np.bool_], reason: RefusalReason) -> None:
    rows["fault"][where & (rows["fault"] == 0)] = NUMBER_OF[reason]


def _pieces(first: bytes, stream: BinaryIO) -> Iterator[bytes]:
    yield first + stream.read(BLOCK_BYTES)
    while piece := stream.read(BLOCK_BYTES):
        yield piece


def whole_lines(chunks: Iterable[bytes]) -> Iterable[bytes]:
    """Cut successive pieces of a file where lines end, so that each block holds whole lines."""
    rest = b""
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if not cut and len(rest) + len(chunk) <= LINE_MAX_BYTES:
            rest += chunk
            continue
        # A line without an end goes on as it is: it will not have the right number of fields.
        yield rest + (chunk[:cut] if cut else chunk)
        rest = chunk[cut:] if cut else b""
    if rest:
        yield rest
