"""Interval values in wide form (`docs/reference/readings-wide-csv.md`).

One line a point and day with a column a time, or turned: one line a time with a column a point.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
import polars as pl

from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from metering.imports import UnreadableFile
from metering.parsers.cells import (
    Int64,
    day_start_s,
    energy,
    numbers,
    understood,
    unit_uwh,
    wall_day,
)
from metering.parsers.csv_long import QUALITIES, whole_lines
from metering.parsers.detect import NAMES, Column
from metering.parsers.source import ARRIVAL, Arrivals, SeriesIndex
from metering.registry.places import ACTIVE_TAKEN, INTERVAL_LENGTHS_MIN

PIECE_BYTES: Final = 4 * 1024 * 1024
DAY_MIN: Final = 24 * 60
COLUMNS_MAX: Final = 20_000
DAY_NAMES: Final = frozenset({"date", "day", "дата", "день", "сутки"})

_TIME = re.compile(
    r"(?P<start>\d{1,2}:\d\d)(?::00)?"
    r"(?:\s*[-–—]\s*(?P<end>\d{1,2}:\d\d)(?::00)?)?(?P<again>\*)?"
)
_WITH_CHANNEL = re.compile(r"(?P<point>.*\S)\s+(?P<channel>[AR][+-])")


@dataclass(frozen=True, slots=True)
class WideLayout:
    """How to read a line of a point and day."""

    encoding: str
    separator: str
    width: int
    point: int
    day: int
    channel: int | None
    quality: int | None
    interval_min: int
    places: tuple[int, ...]
    """Columns of times, in the order in which the times come."""
    minutes: tuple[int, ...]
    """The minute of the day that each of them starts at."""
    repeated: tuple[bool, ...]
    """Which of them stand for an hour that the clock shows a second time."""


@dataclass(frozen=True, slots=True)
class TurnedLayout:
    """How to read a line of a time: its first field is the time, every other one a series."""

    encoding: str
    separator: str
    series: tuple[tuple[str, str], ...]
    """Code of the point and of the channel of each column."""


def detect_wide(header: bytes) -> WideLayout | None:
    """Read the header line of a wide file; None where it is none.

    Times are `00:00`, `0:00`, `00:00-00:30`, or the numbers 1 to 24, 48 or 96; a column `02:00*`
    is for the time that the clock shows twice.
    """
    for encoding, separator, names in _headers(header):
        layout = _wide(encoding, separator, names)
        if layout is not None:
            return layout
    return None


def detect_turned(header: bytes) -> TurnedLayout | None:
    """Read the header line of a turned file, a time and then points; None where it is none."""
    for encoding, separator, names in _headers(header):
        codes = [name for name in names[1:] if name]
        if NAMES.get(names[0].casefold()) is not Column.TIME or len(codes) != len(names) - 1:
            continue
        if not codes or any(NAMES.get(code.casefold()) for code in codes):
            continue
        series = tuple(_series(code) for code in codes)
        if len(set(series)) < len(series):
            raise UnreadableFile(line=1, problem=mark("a column is named twice"))
        return TurnedLayout(encoding, separator, series)
    return None


def _headers(header: bytes) -> Iterator[tuple[str, str, list[str]]]:
    for encoding in ("utf-8-sig", "cp1251"):
        try:
            text = header.decode(encoding).rstrip("\r\n")
        except UnicodeDecodeError:
            continue
        for separator in ";\t,":
            if separator in text and text.count(separator) < COLUMNS_MAX:
                try:
                    (names,) = csv.reader([text], delimiter=separator)
                except csv.Error:
                    continue  # a carriage return within the line, or a field without an end
                bare = [name.strip() for name in names]
                yield "utf-8" if encoding == "utf-8-sig" else encoding, separator, bare


def _series(text: str) -> tuple[str, str]:
    found = _WITH_CHANNEL.fullmatch(text)
    return (found["point"], found["channel"]) if found else (text, ACTIVE_TAKEN)


def _wide(encoding: str, separator: str, names: Sequence[str]) -> WideLayout | None:
    known: dict[str, int] = {}
    times: dict[int, str] = {}
    for place, name in enumerate(names):
        column = "day" if name.casefold() in DAY_NAMES else NAMES.get(name.casefold())
        if _TIME.fullmatch(name) or name.isdigit():
            times[place] = name
        elif column is not None:
            if str(column) in known:
                raise UnreadableFile(line=1, problem=mark("a column is named twice"))
            known[str(column)] = place
    if "point" not in known or "day" not in known or len(times) < 2:
        return None
    interval_min, minutes, repeated = _times(list(times.values()))
    order = _order(minutes, repeated)
    places = list(times)
    return WideLayout(
        encoding=encoding,
        separator=separator,
        width=len(names),
        point=known["point"],
        day=known["day"],
        channel=known.get("channel"),
        quality=known.get("quality"),
        interval_min=interval_min,
        places=tuple(places[at] for at in order),
        minutes=tuple(minutes[at] for at in order),
        repeated=tuple(repeated[at] for at in order),
    )


def _times(names: Sequence[str]) -> tuple[int, list[int], list[bool]]:
    """Return the length of the intervals, the minute each starts at, and which are repeated."""
    if all(name.isdigit() for name in names):
        step = DAY_MIN // len(names)
        if [int(name) for name in names] != list(range(1, len(names) + 1)):
            raise _no_grid()
        minutes = [step * place for place in range(len(names))]
        return _checked(step, minutes, [False] * len(names))
    found = [_TIME.fullmatch(name) for name in names]
    starts = [_minute(one["start"]) if one else -1 for one in found]
    ends = [_minute(one["end"]) if one and one["end"] else None for one in found]
    repeated = [bool(one and one["again"]) for one in found]
    plain = sorted(start for start, again in zip(starts, repeated, strict=True) if not again)
    if -1 in starts or len(plain) < 2:
        raise _no_grid()
    step = plain[1] - plain[0]
    if plain[0] == step and plain[-1] == DAY_MIN and not any(ends):
        # Named by their ends: 00:30 to 24:00.
        starts = [start - step for start in starts]
    for start, end in zip(starts, ends, strict=True):
        if end is not None and (end - start) % DAY_MIN != step:
            raise _no_grid()
    return _checked(step, starts, repeated)


def _checked(
    step: int, minutes: list[int], repeated: list[bool]
) -> tuple[int, list[int], list[bool]]:
    plain = [minute for minute, again in zip(minutes, repeated, strict=True) if not again]
    again = [minute for minute, again in zip(minutes, repeated, strict=True) if again]
    whole = step in INTERVAL_LENGTHS_MIN and sorted(plain) == list(range(0, DAY_MIN, step))
    if not whole or not set(again) <= set(plain) or len(set(again)) < len(again):
        raise _no_grid()
    return step, minutes, repeated


def _no_grid() -> UnreadableFile:
    return UnreadableFile(
        line=1,
        problem=mark("the columns of times do not make up a day, from 00:00 at one step"),
    )


def _order(minutes: Sequence[int], repeated: Sequence[bool]) -> list[int]:
    """Return the columns in the order in which their times come: the repeated hour once more."""
    again = [minute for minute, second in zip(minutes, repeated, strict=True) if second]
    last = max(again, default=0)
    return sorted(
        range(len(minutes)),
        key=lambda at: (last, 1, minutes[at]) if repeated[at] else (minutes[at], 0, minutes[at]),
    )


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    shown = int(hour) * 60 + int(minute)
    return shown if shown <= DAY_MIN and int(minute) < 60 else -1


class _Lines:
    """Lines of a CSV file after its header, cut into fields, with their numbers."""

    def __init__(self, encoding: str, separator: str, width: int) -> None:
        self._encoding = encoding
        self._separator = separator
        self._width = width
        self._line = 0
        """Lines read so far."""

    def blocks(self, stream: BinaryIO) -> Iterator[tuple[list[list[str]], Int64]]:
        """Yield fields and line numbers, block by block; the header is left out."""
        first = True
        for block in whole_lines(iter(lambda: stream.read(PIECE_BYTES), b"")):
            text = self._decoded(block)
            if first:
                text = text.partition("\n")[2]
                self._line = 1
                first = False
            yield self._cut(text)

    def _decoded(self, block: bytes) -> str:
        if b"\0" in block:
            line = self._line + 1 + block[: block.index(b"\0")].count(b"\n")
            raise UnreadableFile(line=line, problem=mark("the file is not a text"))
        try:
            return block.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise UnreadableFile(
                line=self._line + 1 + block[: error.start].count(b"\n"),
                problem=mark("the text is not %(encoding)s; save the file as UTF-8"),
                encoding=self._encoding,
            ) from None

    def _cut(self, text: str) -> tuple[list[list[str]], Int64]:
        kept: list[list[str]] = []
        numbers_of: list[int] = []
        for line in text.removesuffix("\n").split("\n") if text else ():
            self._line += 1
            if not line.strip():
                continue
            try:
                (fields,) = csv.reader([line.rstrip("\r")], delimiter=self._separator)
            except (csv.Error, ValueError):
                fields = []
            if len(fields) != self._width:
                raise UnreadableFile(
                    line=self._line,
                    problem=mark("there are %(fields)s fields, not %(expected)s"),
                    fields=len(fields),
                    expected=self._width,
                )
            kept.append(fields)
            numbers_of.append(self._line)
        return kept, np.array(numbers_of, np.int64)


class WideCsvReader:
    """Reads one wide file; a `metering.parsers.source.Reader`."""

    def __init__(self, layout: WideLayout, *, unit: str = "kwh") -> None:
        self.layout = layout
        self.index = SeriesIndex()
        self._unit = unit_uwh(unit)

    def blocks(self, stream: BinaryIO) -> Iterator[Arrivals]:
        """Yield the rows of a file: line by line, and within a line by time.

        An empty cell is no row, unless the second of two equal times has a value: then the first
        is a row without one, so that the second is known to be the later.
        """
        layout = self.layout
        lines = _Lines(layout.encoding, layout.separator, layout.width)
        for fields, line_numbers in lines.blocks(stream):
            if fields:
                yield self._rows(fields, line_numbers)

    def _rows(self, fields: list[list[str]], line_numbers: Int64) -> Arrivals:
        layout = self.layout
        count, times = len(fields), len(layout.places)
        shape = (count, times)
        texts = pl.Series([line[place].strip() for line in fields for place in layout.places])
        lines = np.repeat(line_numbers, times)
        given = (texts != "").to_numpy().reshape(shape)
        for second in np.flatnonzero(layout.repeated):
            minute = layout.minutes[second]
            (first,) = (
                at
                for at, start in enumerate(layout.minutes)
                if start == minute and not layout.repeated[at]
            )
            given[:, first] |= given[:, second]
        kept = np.flatnonzero(given.ravel())
        rows: Arrivals = np.zeros(len(kept), ARRIVAL)
        rows["line"] = lines[kept]
        rows["value_uwh"], fault = energy(numbers(texts[kept], lines[kept]), self._unit)
        rows["interval_min"] = layout.interval_min
        rows["local"] = True
        own = kept // times
        series, quality, start_s, day_fault = self._of_lines(fields, line_numbers)
        rows["series"] = series[own]
        rows["quality"] = quality[own]
        rows["time_s"] = start_s[own] + np.array(layout.minutes, np.int64)[kept % times] * 60
        rows["fault"] = np.where(day_fault[own] != 0, day_fault[own], fault)
        return rows

    def _of_lines(
        self, fields: list[list[str]], line_numbers: Int64
    ) -> tuple[Int64, Int64, Int64, Int64]:
        layout = self.layout
        series, qualities, starts, faults = [], [], [], []
        for line, number in zip(fields, line_numbers.tolist(), strict=True):
            channel = "" if layout.channel is None else line[layout.channel].strip()
            series.append(self.index.number(line[layout.point].strip(), channel or ACTIVE_TAKEN))
            text = "" if layout.quality is None else line[layout.quality].strip()
            quality = QUALITIES.get(text.casefold())
            if quality is None:
                raise UnreadableFile(
                    line=number, problem=mark("%(text)s is not a quality"), text=repr(text[:40])
                )
            qualities.append(int(quality))
            day = wall_day(line[layout.day].strip())
            if day is None:
                raise UnreadableFile(
                    line=number,
                    problem=mark("%(text)s is not a date or time such as 2026-10-25"),
                    text=repr(line[layout.day][:40]),
                )
            start_s, fault = day_start_s(day)
            starts.append(start_s)
            faults.append(fault)
        first, second, third, fourth = (
            np.array(one, np.int64) for one in (series, qualities, starts, faults)
        )
        return first, second, third, fourth


class TurnedCsvReader:
    """Reads one turned file, a column a series; a `metering.parsers.source.Reader`."""

    def __init__(self, layout: TurnedLayout, *, unit: str = "kwh") -> None:
        self.layout = layout
        self.index = SeriesIndex()
        self._unit = unit_uwh(unit)
        self._numbers: list[int] = []

    def blocks(self, stream: BinaryIO) -> Iterator[Arrivals]:
        """Yield the rows of a file in its order.

        A local time that the clock shows twice stands in two lines, the earlier first; so an empty
        cell is a row without a value, and the second is known to be the later.
        """
        layout = self.layout
        lines = _Lines(layout.encoding, layout.separator, len(layout.series) + 1)
        self._numbers = [self.index.number(*series) for series in layout.series]
        for fields, line_numbers in lines.blocks(stream):
            if fields:
                yield self._rows(fields, line_numbers)

    def _rows(self, fields: list[list[str]], line_numbers: Int64) -> Arrivals:
        width = len(self._numbers)
        starts, local, faults = [], [], []
        for line, number in zip(fields, line_numbers.tolist(), strict=True):
            found = understood(line[0])
            if found is None:
                raise UnreadableFile(
                    line=number,
                    problem=mark("%(text)s is not a time such as 2026-10-01T00:30"),
                    text=repr(line[0][:40]),
                )
            starts.append(found[0])
            local.append(found[1])
            faults.append(found[2])
        texts = pl.Series([cell.strip() for line in fields for cell in line[1:]])
        lines = np.repeat(line_numbers, width)
        rows: Arrivals = np.zeros(len(texts), ARRIVAL)
        rows["line"] = lines
        rows["value_uwh"], fault = energy(numbers(texts, lines), self._unit)
        rows["series"] = np.tile(np.array(self._numbers, np.int64), len(fields))
        rows["quality"] = Quality.ACTUAL
        rows["time_s"] = np.repeat(np.array(starts, np.int64), width)
        rows["local"] = np.repeat(np.array(local, bool), width)
        of_line = np.repeat(np.array(faults, np.uint8), width)
        rows["fault"] = np.where(of_line != 0, of_line, fault)
        return rows
