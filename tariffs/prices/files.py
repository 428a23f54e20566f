"""Files of prices and of peak hours: read whole, refused by the first line that is wrong.

A file is CSV with a heading; its columns stand in any order and separators are told by the heading.
An instant is `start` (ISO, by the local clock or with an offset), or `date` with `time` (HH:MM) or
`hour` (number of the interval in its day, from 0 or from 1). A price is `price_per_kwh` or
`price_per_mwh`, in roubles, with a point or a comma. It goes from its digits to whole millionths of
a rouble per kWh and never through a float.

The clock that goes back shows an hour twice: by the local clock its first line is the first of the
two hours. Numbers of a day of 25 hours run on to the 25th.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from kilokassa.core.calendar import intervals_in_day, local_date, local_midnight
from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from tariffs.facts import HIGHEST_PRICE_SCALED
from tariffs.prices.prices import DayPrices

LARGEST_BYTES: Final = 8 * 1024 * 1024
"""More than two years of quarters of an hour."""

MINUTES_PER_HOUR: Final = 60

COLUMNS: Final[Mapping[str, str]] = {
    "start": "start",
    "timestamp": "start",
    "начало": "start",
    "date": "date",
    "дата": "date",
    "time": "time",
    "время": "time",
    "hour": "hour",
    "час": "hour",
    "price_per_kwh": "price_per_kwh",
    "цена_за_квтч": "price_per_kwh",
    "price_per_mwh": "price_per_mwh",
    "цена_за_мвтч": "price_per_mwh",
}
"""Headings that are understood, in small letters, and what each stands for."""

_DECIMALS: Final = {"price_per_kwh": 6, "price_per_mwh": 3}
"""Decimals of a price that whole millionths of a rouble per kWh can hold."""
_PRICE: Final = re.compile(r"([-−]?)(\d{1,9})(?:[.,](\d{1,12}))?")
_DATES: Final = (
    re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"),
    re.compile(r"(?P<day>\d\d)\.(?P<month>\d\d)\.(?P<year>\d{4})"),
)
_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::00)?")
_FIRST_YEAR: Final = 2000
_LAST_YEAR: Final = 2100

Values = Mapping[str, str]


class BadPrices(Invalid):
    """A file that cannot be accepted; `line` says where it is wrong, 0 that it is so as a whole."""

    code = "bad_prices"

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence, each of its parts in the reader's language."""
        place = [translate(self.values["where"])]
        if self.values["line"]:
            place.append(translate(mark("line %(line)s")) % self.values)
        return f"{', '.join(place)}: {translate(self.values['problem']) % self.values}"


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    values: Values


@dataclass(frozen=True, slots=True)
class _Reader:
    """What the lines of one file are read by."""

    where: str
    zone: ZoneInfo
    interval_min: int

    def refuse(self, line: int, problem: str, **values: object) -> BadPrices:
        return BadPrices(where=self.where, line=line, problem=problem, **values)


def read_prices(
    content: bytes, zone: ZoneInfo, interval_min: int, *, where: str = "prices"
) -> tuple[DayPrices, ...]:
    """Return the prices of a file by local day, in order; every day that it touches is whole."""
    reader = _Reader(where, zone, interval_min)
    columns, rows = _rows(reader, content)
    unit = _price_column(reader, columns)
    starts = _starts(reader, columns, rows)
    days: dict[date, dict[datetime, tuple[int, int]]] = {}
    for row, start in zip(rows, starts, strict=True):
        of_day = days.setdefault(local_date(start, zone), {})
        if start in of_day:
            raise reader.refuse(
                row.line, mark("its time is that of line %(other)s too"), other=of_day[start][0]
            )
        of_day[start] = row.line, _price(reader, row, unit)
    return tuple(_whole_day(reader, day, days[day]) for day in sorted(days))


def read_peak_hours(
    content: bytes, zone: ZoneInfo, *, where: str = "peak hours"
) -> tuple[datetime, ...]:
    """Return the beginnings (UTC) of the hours that a file names, in order."""
    reader = _Reader(where, zone, MINUTES_PER_HOUR)
    columns, rows = _rows(reader, content)
    found: dict[datetime, int] = {}
    for row, start in zip(rows, _starts(reader, columns, rows), strict=True):
        if start in found:
            raise reader.refuse(
                row.line, mark("its time is that of line %(other)s too"), other=found[start]
            )
        found[start] = row.line
    return tuple(sorted(found))


def _rows(reader: _Reader, content: bytes) -> tuple[tuple[str, ...], list[_Row]]:
    """Return the columns of a file and its lines that are not empty."""
    if len(content) > LARGEST_BYTES:
        raise reader.refuse(0, mark("the file is larger than %(limit)s bytes"), limit=LARGEST_BYTES)
    lines = _text(reader, content).splitlines()
    if not lines or not lines[0].strip():
        raise reader.refuse(1, mark("the heading with the names of the columns is missing"))
    delimiter = next((each for each in (";", "\t") if each in lines[0]), ",")
    heading = [name.strip().strip('"').casefold() for name in lines[0].split(delimiter)]
    columns = tuple(COLUMNS.get(name, "") for name in heading)
    named = [column for column in columns if column]
    if len(named) != len(set(named)):
        raise reader.refuse(1, mark("two columns say the same"))
    if "date" in named and "start" in named:
        raise reader.refuse(1, mark("a file has start, or date with time or hour, and not both"))
    rows = []
    for number, fields in _records(reader, lines, delimiter):
        if len(fields) != len(columns):
            raise reader.refuse(
                number,
                mark("there are %(found)s values, and %(expected)s columns"),
                found=len(fields),
                expected=len(columns),
            )
        named_values = {c: f.strip() for c, f in zip(columns, fields, strict=True) if c}
        rows.append(_Row(number, named_values))
    if not rows:
        raise reader.refuse(0, mark("the file has no lines"))
    return columns, rows


def _records(
    reader: _Reader, lines: Sequence[str], delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the values of each line; a record is one line, so a stray quote eats no other."""
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip(f"{delimiter} \t"):
            continue
        try:
            yield number, next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error:
            raise reader.refuse(number, mark("its quotation marks do not match")) from None


def _text(reader: _Reader, content: bytes) -> str:
    for encoding in ("utf-8-sig", "cp1251"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise reader.refuse(0, mark("this is no text"))


def _price_column(reader: _Reader, columns: Sequence[str]) -> str:
    units = [column for column in columns if column in _DECIMALS]
    if len(units) != 1:
        raise reader.refuse(1, mark("one column is price_per_kwh or price_per_mwh"))
    return units[0]


def _starts(reader: _Reader, columns: Sequence[str], rows: Sequence[_Row]) -> list[datetime]:
    """Return the instant (UTC) at which each line begins."""
    if "start" in columns:
        clock: dict[datetime, datetime] = {}
        return [_by_clock(reader, row, *_written(reader, row), clock) for row in rows]
    if "date" in columns and "hour" in columns:
        lowest = 0 if any(_is_zero(row.values["hour"]) for row in rows) else 1
        return [_by_number(reader, row, lowest) for row in rows]
    if "date" in columns and "time" in columns:
        clock = {}
        return [
            _by_clock(
                reader,
                row,
                datetime.combine(_date(reader, row), _time(reader, row, row.values["time"])),
                None,
                clock,
            )
            for row in rows
        ]
    raise reader.refuse(1, mark("a column is start, or two are date with time or hour"))


def _is_zero(text: str) -> bool:
    return bool(text) and not text.strip("0")


def _written(reader: _Reader, row: _Row) -> tuple[datetime, datetime | None]:
    """Return a `start` by the clock on the wall, and the instant where it has an offset."""
    text = row.values["start"]
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or len(text) < len("2026-10-01T00:00"):
        raise reader.refuse(
            row.line, mark("%(text)s is not a time such as 2026-10-01T00:00"), text=repr(text[:40])
        )
    _year(reader, row, instant.date())
    if instant.tzinfo is None:
        return instant, None
    return instant.replace(tzinfo=None), instant.astimezone(UTC)


def _by_clock(
    reader: _Reader,
    row: _Row,
    wall: datetime,
    instant: datetime | None,
    seen: dict[datetime, datetime],
) -> datetime:
    """Return the instant of a time of the local clock; the second of two is the later one."""
    if instant is None:
        first = wall.replace(tzinfo=reader.zone).astimezone(UTC)
        second = wall.replace(tzinfo=reader.zone, fold=1).astimezone(UTC)
        if second < first:
            raise reader.refuse(
                row.line,
                mark("%(text)s does not exist in %(zone)s: the clock skips it"),
                text=f"{wall:%Y-%m-%d %H:%M}",
                zone=reader.zone.key,
            )
        instant = second if wall in seen else first
        seen[wall] = instant
    midnight = local_midnight(local_date(instant, reader.zone), reader.zone)
    if (instant - midnight) % timedelta(minutes=reader.interval_min):
        raise reader.refuse(
            row.line,
            mark("its time is not on the grid of %(minutes)s minutes"),
            minutes=reader.interval_min,
        )
    return instant


def _by_number(reader: _Reader, row: _Row, lowest: int) -> datetime:
    """Return the instant at which the interval of a day with a number begins."""
    day, text = _date(reader, row), row.values["hour"]
    count = intervals_in_day(day, reader.zone, reader.interval_min)
    number = int(text) - lowest if re.fullmatch(r"\d{1,3}", text, re.ASCII) else -1
    if not 0 <= number < count:
        raise reader.refuse(
            row.line,
            mark("%(text)s is not an interval of %(day)s, which has %(count)s"),
            text=repr(text[:40]),
            day=str(day),
            count=count,
        )
    step = timedelta(minutes=reader.interval_min)
    return local_midnight(day, reader.zone) + number * step


def _date(reader: _Reader, row: _Row) -> date:
    text = row.values["date"]
    year, month, day = next(
        (
            found.group("year", "month", "day")
            for pattern in _DATES
            if (found := pattern.fullmatch(text))
        ),
        ("0", "0", "0"),
    )
    try:
        written = date(int(year), int(month), int(day))
    except ValueError:
        raise reader.refuse(
            row.line, mark("%(text)s is not a day such as 2026-10-01"), text=repr(text[:40])
        ) from None
    return _year(reader, row, written)


def _year(reader: _Reader, row: _Row, day: date) -> date:
    if not _FIRST_YEAR <= day.year < _LAST_YEAR:
        raise reader.refuse(row.line, mark("%(day)s is too far from today"), day=str(day))
    return day


def _time(reader: _Reader, row: _Row, text: str) -> time:
    found = _TIME.fullmatch(text)
    if found is None:
        raise reader.refuse(
            row.line, mark("%(text)s is not a time such as 07:00"), text=repr(text[:40])
        )
    return time(int(found[1]), int(found[2]))


def _price(reader: _Reader, row: _Row, unit: str) -> int:
    """Return a price as whole millionths of a rouble per kWh; refuse a finer one."""
    text = re.sub(r"(?<=\d)[ \u00a0\u202f](?=\d)", "", row.values[unit])
    found = _PRICE.fullmatch(text)
    if found is None:
        raise reader.refuse(
            row.line, mark("%(text)s is not a price such as 2.54137"), text=repr(text[:40])
        )
    sign, whole, fraction = found.groups()
    decimals = _DECIMALS[unit]
    digits = (fraction or "").rstrip("0")
    if len(digits) > decimals:
        raise reader.refuse(
            row.line,
            mark("a price has at most %(decimals)s decimals here, and %(text)s has more"),
            decimals=decimals,
            text=text,
        )
    scaled = int(whole + digits.ljust(decimals, "0"))
    if scaled > HIGHEST_PRICE_SCALED:
        raise reader.refuse(row.line, mark("a price of %(text)s is above any there is"), text=text)
    return -scaled if sign else scaled


def _whole_day(reader: _Reader, day: date, of_day: Mapping[datetime, tuple[int, int]]) -> DayPrices:
    """Return the prices of a day in order; refuse a day that lacks one."""
    begins, step = local_midnight(day, reader.zone), timedelta(minutes=reader.interval_min)
    count = intervals_in_day(day, reader.zone, reader.interval_min)
    instants = [begins + number * step for number in range(count)]
    missing = next((instant for instant in instants if instant not in of_day), None)
    if missing is not None:
        raise reader.refuse(
            0,
            mark(
                "%(day)s is not whole: %(missing)s of %(count)s prices lack, first that of %(at)s"
            ),
            day=str(day),
            missing=count - len(of_day),
            count=count,
            at=f"{missing.astimezone(reader.zone):%H:%M}",
        )
    return DayPrices(day, np.array([of_day[i][1] for i in instants], dtype=np.int64))
