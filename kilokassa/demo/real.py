"""Real load series as accounts of the demo town, where a folder of them is given.

A series is put on a regular grid, its holes are filled from the same weekday, and it is shifted and
repeated by whole weeks until it covers the days asked for. What is shown says so.
"""

import csv
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Final
from xml.parsers import expat

import numpy as np
import numpy.typing as npt

UWH_PER_WH: Final = 1_000_000
_UWH_PER_KWH: Final = 1_000_000_000
_MINUTES_PER_DAY: Final = 24 * 60
_MAX_XML_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class RealSeries:
    """A measured series on the days of the demo town."""

    key: str
    name_ru: str
    name_en: str
    note_ru: str
    note_en: str
    interval_min: int
    first_day: date
    energy_uwh: npt.NDArray[np.int64]
    """Exact energy in millionths of a watt-hour, of shape (days, intervals of a day)."""
    filled: int
    """Intervals of the source that were missing and were filled from the same weekday."""

    def whole_wh(self) -> npt.NDArray[np.int32]:
        """Return whole Wh: differences of the floored running total of each day."""
        totals = np.cumsum(self.energy_uwh, axis=1) // UWH_PER_WH
        whole: npt.NDArray[np.int32] = np.diff(totals, axis=1, prepend=0).astype(np.int32)
        return whole


@dataclass(frozen=True, slots=True)
class _Source:
    key: str
    path: str
    name_ru: str
    name_en: str
    interval_min: int
    read: Callable[[Path], Mapping[datetime, int]]


def real_series(folder: Path, first: date, last_exclusive: date) -> tuple[RealSeries, ...]:
    """Return the real series found in `folder`, moved onto the days from `first` on.

    A source that is absent is left out. The weekday of each day is kept, and the day of the year
    within a fortnight: sources repeat by 52 weeks, or by 104 where they are long enough.
    """
    found = []
    for source in _SOURCES:
        path = folder / source.path
        if not path.is_file():
            continue
        values = source.read(path)
        days, start, filled = _regular_days(values, source.interval_min)
        found.append(
            RealSeries(
                key=source.key,
                name_ru=source.name_ru,
                name_en=source.name_en,
                note_ru=_note_ru(source.interval_min, start, len(days)),
                note_en=_note_en(source.interval_min, start, len(days)),
                interval_min=source.interval_min,
                first_day=first,
                energy_uwh=_moved(days, start, first, last_exclusive),
                filled=filled,
            )
        )
    return tuple(found)


def _note_ru(interval_min: int, start: date, days: int) -> str:
    step = "получасовой" if interval_min == 30 else "часовой"
    return (
        f"Демо: настоящий {step} ряд с {start:%d.%m.%Y}, {days // 7} недели; "
        "сдвинут и повторён целыми неделями"
    )


def _note_en(interval_min: int, start: date, days: int) -> str:
    step = "half-hourly" if interval_min == 30 else "hourly"
    return (
        f"Demo: a real {step} series from {start.isoformat()}, {days // 7} weeks; "
        "shifted and repeated by whole weeks"
    )


def _regular_days(
    values: Mapping[datetime, int], interval_min: int
) -> tuple[npt.NDArray[np.int64], date, int]:
    """Return the last whole 52 or 104 weeks as (days, intervals), their first day, the filled."""
    per_day = _MINUTES_PER_DAY // interval_min
    opens, closes = min(values), max(values) + timedelta(minutes=interval_min)
    first = opens.date() + timedelta(days=opens.time() != time())
    count = (closes.date() - first).days
    grid = np.full((count, per_day), -1, np.int64)
    for instant, energy_uwh in values.items():
        row = (instant.date() - first).days
        if 0 <= row < count:
            grid[row, (instant.hour * 60 + instant.minute) // interval_min] = energy_uwh
    weeks = 104 if count >= 728 else 52
    if count < weeks * 7:
        raise ValueError(f"a real series lasts at least {weeks} weeks, not {count} days")
    filled = int((grid[count - weeks * 7 :] < 0).sum())
    for step in (7, -7, 14, -14):
        neighbours = np.roll(grid, step, axis=0)
        grid = np.where((grid < 0) & (neighbours >= 0), neighbours, grid)
    if (grid < 0).any():
        raise ValueError("a real series has a hole that no neighbouring week can fill")
    start = first + timedelta(days=count - weeks * 7)
    return grid[count - weeks * 7 :], start, filled


def _moved(
    days: npt.NDArray[np.int64], start: date, first: date, last_exclusive: date
) -> npt.NDArray[np.int64]:
    """Return the days from `first` on: each is a source day whole rounds of weeks away."""
    wanted = np.arange(max(0, (last_exclusive - first).days)) + (first - start).days
    return days[wanted % len(days)]


def _read_csv(path: Path) -> dict[datetime, int]:
    """Read `start,value` in kWh at the offset of the first row; a repeated time counts once."""
    values: dict[datetime, int] = {}
    offset: tzinfo | None = None
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            instant = datetime.fromisoformat(row["start"])
            offset = offset or instant.tzinfo or UTC
            wall = (instant.astimezone(offset) if instant.tzinfo else instant).replace(tzinfo=UTC)
            values.setdefault(wall, int(Decimal(row["value"]) * _UWH_PER_KWH))
    return values


def _read_green_button(path: Path) -> dict[datetime, int]:
    """Read the interval readings of a Green Button file, in Wh, at the offset the file names."""
    with gzip.open(path, "rb") as packed:
        text = packed.read(_MAX_XML_BYTES + 1)
    if len(text) > _MAX_XML_BYTES:
        raise ValueError(f"{path.name} is larger than {_MAX_XML_BYTES} bytes")
    reader = _GreenButton()
    reader.parse(text)
    return {
        datetime.fromtimestamp(start + reader.offset_s, UTC): wh * UWH_PER_WH
        for start, wh in reader.readings
    }


class _GreenButton:
    """Collects IntervalReading elements; a document type, and so any entity, is refused."""

    def __init__(self) -> None:
        self.readings: list[tuple[int, int]] = []
        self.offset_s = 0
        self._path: list[str] = []
        self._text = ""
        self._start = 0

    def parse(self, text: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._open
        parser.EndElementHandler = self._close
        parser.CharacterDataHandler = self._add
        parser.Parse(text, True)

    def _refuse(self, *_: object) -> None:
        raise ValueError("an XML file of readings may not declare a document type")

    def _open(self, name: str, _attributes: object) -> None:
        self._path.append(name.rpartition(":")[2])
        self._text = ""

    def _add(self, text: str) -> None:
        self._text += text

    def _close(self, _name: str) -> None:
        path = tuple(self._path[-3:])
        if path[-1:] == ("tzOffset",):
            self.offset_s = int(self._text)
        elif path == ("IntervalReading", "timePeriod", "start"):
            self._start = int(self._text)
        elif path[-2:] == ("IntervalReading", "value"):
            self.readings.append((self._start, int(self._text)))
        self._path.pop()


_SOURCES: Final = (
    _Source(
        "real-uk",
        "opendsm/uk-electricity-hdd-only-hourly-sample-1.csv.gz",
        "Настоящий ряд: дом в Великобритании",
        "Real series: a home in the United Kingdom",
        30,
        _read_csv,
    ),
    _Source(
        "real-il",
        "opendsm/il-electricity-cdd-hdd-hourly.csv.gz",
        "Настоящий ряд: дом в Иллинойсе",
        "Real series: a home in Illinois",
        60,
        _read_csv,
    ),
    _Source(
        "real-coastal",
        "greenbutton/Coastal_Multi_Family_Jan_1_2011_to_Jan_1_2012_RetailCustomer_5.xml.gz",
        "Настоящий ряд: квартира на побережье",
        "Real series: a flat on the coast",
        60,
        _read_green_button,
    ),
)
