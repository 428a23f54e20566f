"""Half hours of a day in 80020 XML (`docs/reference/80020.md`), read channel by channel.

What is outside of periods is read with care for every element; periods, of which there are hundreds
of thousands, are gathered as texts and understood a channel at a time.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import local_midnight
from kilokassa.core.quantity import WH_PER_KWH
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from metering.days import UWH_PER_WH
from metering.exchange.codes import (
    CHANNELS,
    MESSAGE_CLASS,
    OTHER_CLASSES,
    STATUSES,
    TIME_ZONES,
    ExchangeArea,
)
from metering.imports import NUMBER_OF, RefusalReason, UnreadableFile
from metering.parsers.csv_long import NO_VALUES
from metering.parsers.safe_xml import DEPTH_MAX, feed, new_parser
from metering.parsers.source import ARRIVAL, VALUE_MAX_UWH, Arrivals, SeriesIndex
from metering.registry.places import INTERVAL_LENGTHS_MIN

BLOCK_ROWS: Final = 100_000
PERIODS_MAX: Final = 25 * 60
"""More periods than a channel can have: those of a day of 25 hours by the minute."""
DAY_MIN: Final = 24 * 60
TOO_MANY: Final = mark("a channel has more values than a day has minutes")
UWH_PER_KWH: Final = WH_PER_KWH * UWH_PER_WH

_NO_VALUE = VALUE_MAX_UWH + 1
"""Stands for a value that is none; any larger one is too large."""
_TOO_LARGE = VALUE_MAX_UWH + 2
_CLOCK = re.compile(r"([01]\d|2[0-3])([0-5]\d)|2400")
_DAY = re.compile(r"(20\d\d)(\d\d)(\d\d)")
_WHOLE = re.compile(r"[0-9]{1,15}")

_OUTSIDE, _IN_CHANNEL, _IN_PERIOD, _IN_VALUE, _AFTER_VALUE = range(5)

_PARENTS: Final[Mapping[str, str]] = {
    "datetime": "message",
    "timestamp": "datetime",
    "daylightsavingtime": "datetime",
    "day": "datetime",
    "sender": "message",
    "area": "message",
    "measuringpoint": "area",
    "measuringchannel": "measuringpoint",
}
"""Where the elements that are read stand; `inn` stands in a sender and in an area."""

_Int64 = npt.NDArray[np.int64]


class Xml80020Reader:
    """Reads one 80020 file; `areas` and `day` say what it stated once it was read."""

    multiplied: Final = True
    """Values of the format are energy: the transformers' ratio is in them."""

    def __init__(self) -> None:
        self.index = SeriesIndex()
        self.areas: list[ExchangeArea] = []
        self.sender_inn = ""
        self.day: date | None = None
        self._parser = new_parser()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._path: list[str] = []
        self._text: list[str] = []
        self._head: dict[tuple[str, ...], str] = {}
        self._timezone: str | None = None
        self._point = ""
        self._channel = ""
        self._skipping = 0
        self._state = _OUTSIDE
        # Of the channel being read: attributes of its periods one after another, texts of its
        # values, lines of its values, statuses other than none by place.
        self._bounds: list[str] = []
        self._texts: list[str] = []
        self._lines: list[int] = []
        self._statuses: list[tuple[int, Quality]] = []
        # Of the block being gathered.
        self._values: list[int] = []
        self._block_lines: list[int] = []
        self._parts: list[tuple[int, _Grid, int]] = []
        self._qualities: list[tuple[int, Quality]] = []
        self._number_of_text = _Numbers()
        self._grids: dict[tuple[str, ...], _Grid] = {}

    def blocks(self, stream: BinaryIO) -> Iterator[Arrivals]:
        """Yield the rows of the file; a status or a code that is not known refuses it whole."""
        for _ in feed(self._parser, stream, self._check_bounds):
            if len(self._values) >= BLOCK_ROWS:
                yield self._block()
        if self._values:
            yield self._block()

    # --- elements ---

    def _start(self, name: str, attributes: list[str]) -> None:
        state = self._state
        if state == _IN_CHANNEL:
            if name != "period":
                raise self._wrong_place(name)
            self._state = _IN_PERIOD
            if len(attributes) != 4:
                raise self._refusal(mark("a period has a start and an end, and nothing else"))
            self._bounds += attributes
        elif state == _IN_PERIOD:
            if name != "value":
                raise self._wrong_place(name)
            self._state = _IN_VALUE
            if attributes:
                self._note_status(attributes)
            self._lines.append(self._parser.CurrentLineNumber)
            self._parser.CharacterDataHandler = self._texts.append
        elif state == _OUTSIDE:
            self._start_outside(name, attributes)
        else:
            raise self._wrong_place(name)

    def _end(self, name: str) -> None:
        state = self._state
        if state == _IN_VALUE:
            self._parser.CharacterDataHandler = None
            self._state = _AFTER_VALUE
            if len(self._texts) != len(self._lines):
                self._even_texts()
        elif state == _AFTER_VALUE:
            self._state = _IN_CHANNEL
        elif state == _IN_CHANNEL:
            self._end_channel()
            self._state = _OUTSIDE
            self._path.pop()
        elif state == _IN_PERIOD:
            raise self._refusal(mark("a period has no value"))
        elif self._skipping:
            self._skipping -= 1
        else:
            self._end_outside(name)

    def _start_outside(self, name: str, attributes: list[str]) -> None:
        if len(self._path) + self._skipping >= DEPTH_MAX:
            raise self._refusal(mark("elements are nested too deep"))
        parent = self._path[-1] if self._path else ""
        if self._skipping:
            self._skipping += 1
            return
        if not self._path:
            self._start_message(name, attributes)
        elif name in ("period", "value") or _PARENTS.get(name, parent) != parent:
            raise self._wrong_place(name)
        elif name == "area":
            self._start_area(attributes)
        elif name == "measuringpoint":
            self._check_area()
            self._point = self._attribute(attributes, "code").strip()
            if not self._point:
                raise self._refusal(mark("a metering point has no code"))
        elif name == "measuringchannel":
            self._start_channel(attributes)
        elif name not in _PARENTS and not (name == "inn" and parent in ("sender", "area")):
            self._skipping = 1  # names, comments and what else a sender adds
            return
        self._path.append(name)
        if name in ("inn", "day"):
            self._text.clear()
            self._parser.CharacterDataHandler = self._text.append

    def _start_message(self, name: str, attributes: list[str]) -> None:
        kind = self._attribute(attributes, "class")
        if name != "message" or not kind:
            raise self._refusal(
                mark("this is no exchange message: the root is %(name)s"), name=name
            )
        if kind in OTHER_CLASSES:
            raise self._refusal(OTHER_CLASSES[kind])
        if kind != MESSAGE_CLASS:
            raise self._refusal(
                mark("the message is of class %(kind)s; only 80020 is taken"), kind=kind
            )

    def _start_area(self, attributes: list[str]) -> None:
        timezone = self._attribute(attributes, "timezone").strip()
        if timezone and timezone not in TIME_ZONES:
            raise self._refusal(
                mark("the time zone %(timezone)s is not one that is known"),
                timezone=repr(timezone),
            )
        self._timezone = timezone
        self._head.pop(("area", "inn"), None)

    def _check_area(self) -> None:
        """Know the day, the sender and the area before any reading is placed."""
        if self.day is None:
            text = self._head.get(("datetime", "day"), "")
            found = _DAY.fullmatch(text)
            try:
                self.day = date(*map(int, found.groups())) if found else None
            except ValueError:
                self.day = None
            if self.day is None:
                raise self._refusal(mark("%(text)s is not a day such as 20261001"), text=repr(text))
        sender, area = (self._head.get((of, "inn"), "") for of in ("sender", "area"))
        if not sender or not area:
            raise self._refusal(mark("the sender or the area has no INN"))
        self.sender_inn = sender
        stated = ExchangeArea(sender, area, self._timezone or "")
        if stated not in self.areas:
            if any(one.area_inn == area for one in self.areas):
                raise self._refusal(
                    mark("area %(area)s stands in the file with two time zones"), area=area
                )
            self.areas.append(stated)

    def _start_channel(self, attributes: list[str]) -> None:
        code = self._attribute(attributes, "code").strip()
        if code not in CHANNELS:
            raise self._refusal(mark("channel code %(code)s is not known"), code=repr(code))
        self._channel = CHANNELS[code]
        self._state = _IN_CHANNEL

    def _end_outside(self, name: str) -> None:
        if name in ("inn", "day"):
            self._parser.CharacterDataHandler = None
            self._head[self._path[-2], name] = "".join(self._text).strip()
        elif name == "message" and self.day is None:
            raise self._refusal(mark("the file has no metering point"))
        self._path.pop()

    def _note_status(self, attributes: list[str]) -> None:
        text = self._attribute(attributes, "status").strip()
        quality = STATUSES.get(text)
        if quality is None:
            raise self._refusal(mark("the status %(status)s is not known"), status=repr(text))
        if quality != Quality.ACTUAL:
            self._statuses.append((len(self._lines), quality))

    def _even_texts(self) -> None:
        """Give an empty value a text, and join the pieces of a long one."""
        count = len(self._lines)
        if len(self._texts) < count:
            self._texts.append("")
        else:
            self._texts[count - 1 :] = ["".join(self._texts[count - 1 :])]

    def _check_bounds(self) -> None:
        if len(self._lines) > PERIODS_MAX or len(self._texts) > len(self._lines) + 8:
            raise self._refusal(TOO_MANY)
        if len(self._text) > 8:
            raise self._refusal(mark("a text is too long"))

    # --- channels ---

    def _end_channel(self) -> None:
        count = len(self._lines)
        if not count:
            return
        if count > PERIODS_MAX:
            raise self._refusal(TOO_MANY)
        grid = self._grid_of(tuple(self._bounds))
        first = len(self._values)
        try:
            self._values += map(self._number_of_text.__getitem__, self._texts)
        except _NotANumber as error:
            place = self._texts.index(str(error.args[0]))
            raise UnreadableFile(
                line=self._lines[place],
                problem=mark("%(text)s is not a number"),
                text=repr(error.args[0][:40]),
            ) from None
        self._block_lines += self._lines
        self._parts.append((self.index.number(self._point, self._channel), grid, count))
        self._qualities += [(first + place, quality) for place, quality in self._statuses]
        self._bounds.clear()
        self._texts.clear()
        self._lines.clear()
        self._statuses.clear()

    def _grid_of(self, bounds: tuple[str, ...]) -> "_Grid":
        """Return when the periods of a channel start; most channels have the same ones."""
        assert self.day is not None
        key = (self._timezone or "", *bounds)
        grid = self._grids.get(key)
        if grid is None:
            if len(self._grids) > 1000:
                self._grids.clear()
            grid = self._grids[key] = self._new_grid(bounds, self.day)
        return grid

    def _new_grid(self, bounds: Sequence[str], day: date) -> "_Grid":
        starts: list[int] = []
        lengths: list[int] = []
        zone = ZoneInfo(TIME_ZONES[self._timezone]) if self._timezone else None
        changing = zone is not None and _length_min(day, zone) != DAY_MIN
        for place in range(len(bounds) // 4):
            period = bounds[4 * place : 4 * place + 4]
            stated = dict(zip(period[::2], period[1::2], strict=True))
            start, end = _minute(stated.get("start", "")), _minute(stated.get("end", ""))
            if start is None or end is None or start == DAY_MIN:
                raise UnreadableFile(
                    line=self._lines[place],
                    problem=mark("a period does not start or end at a time such as 0030"),
                )
            length = (end - start) % DAY_MIN
            if length not in INTERVAL_LENGTHS_MIN and not (changing and lengths):
                raise UnreadableFile(
                    line=self._lines[place],
                    problem=mark("the period from %(start)s to %(end)s is of no length taken"),
                    start=stated["start"],
                    end=stated["end"],
                )
            # Over the hour in which a clock is changed, both ends say nothing of the length.
            lengths.append(length if length in INTERVAL_LENGTHS_MIN else lengths[-1])
            starts.append(start)
        return _grid(day, zone, starts, lengths)

    def _block(self) -> Arrivals:
        rows: Arrivals = np.zeros(len(self._values), ARRIVAL)
        values = np.array(self._values, np.int64)
        rows["fault"][values == _NO_VALUE] = NUMBER_OF[RefusalReason.NO_VALUE]
        rows["fault"][values < 0] = NUMBER_OF[RefusalReason.NEGATIVE]
        rows["fault"][values == _TOO_LARGE] = NUMBER_OF[RefusalReason.TOO_LARGE]
        values[values == _NO_VALUE] = 0
        rows["value_uwh"] = np.minimum(values, VALUE_MAX_UWH)
        rows["line"] = self._block_lines
        counts = [count for _, _, count in self._parts]
        rows["series"] = np.repeat([number for number, _, _ in self._parts], counts)
        rows["time_s"] = np.concatenate([grid.time_s for _, grid, _ in self._parts])
        rows["interval_min"] = np.concatenate([grid.interval_min for _, grid, _ in self._parts])
        rows["local"] = np.repeat([grid.local for _, grid, _ in self._parts], counts)
        skipped = np.concatenate([grid.skipped for _, grid, _ in self._parts])
        rows["fault"][skipped & (rows["fault"] == 0)] = NUMBER_OF[RefusalReason.NONEXISTENT_TIME]
        rows["quality"] = Quality.ACTUAL
        for place, quality in self._qualities:
            rows["quality"][place] = quality
        self._values.clear()
        self._block_lines.clear()
        self._parts.clear()
        self._qualities.clear()
        return rows

    # --- refusals ---

    def _attribute(self, attributes: Sequence[str], name: str) -> str:
        for place in range(0, len(attributes), 2):
            if attributes[place] == name:
                return attributes[place + 1]
        return ""

    def _wrong_place(self, name: str) -> UnreadableFile:
        return self._refusal(mark("the element %(name)s does not stand there"), name=name[:40])

    def _refusal(self, problem: str, **values: str) -> UnreadableFile:
        return UnreadableFile(line=self._parser.CurrentLineNumber, problem=problem, **values)


class _Grid:
    """When the periods of a channel start, how long they last, which ones the clock skipped."""

    __slots__ = ("interval_min", "local", "skipped", "time_s")

    def __init__(
        self,
        time_s: _Int64,
        interval_min: npt.NDArray[np.uint16],
        skipped: npt.NDArray[np.bool_],
        *,
        local: bool,
    ) -> None:
        self.time_s = time_s
        self.interval_min = interval_min
        self.skipped = skipped
        self.local = local


def _grid(day: date, zone: ZoneInfo | None, starts: Sequence[int], lengths: Sequence[int]) -> _Grid:
    """Place minutes of a clock on `day`: by the wall where there is no zone, else in UTC.

    A time that the clock shows twice is the earlier instant where it first occurs.
    """
    interval_min = np.array(lengths, np.uint16)
    skipped = np.zeros(len(starts), bool)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if zone is None or _length_min(day, zone) == DAY_MIN:
        base = midnight if zone is None else local_midnight(day, zone)
        time_s = int(base.timestamp()) + np.array(starts, np.int64) * 60
        return _Grid(time_s, interval_min, skipped, local=zone is None)
    instants = []
    seen: set[int] = set()
    for place, start in enumerate(starts):
        wall = (midnight + timedelta(minutes=start)).replace(tzinfo=zone)
        earlier, later = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
        skipped[place] = earlier > later
        instants.append(int((later if start in seen else earlier).timestamp()))
        seen.add(start)
    return _Grid(np.array(instants, np.int64), interval_min, skipped, local=False)


def _length_min(day: date, zone: ZoneInfo) -> int:
    length = local_midnight(day + timedelta(days=1), zone) - local_midnight(day, zone)
    return length // timedelta(minutes=1)


def _minute(text: str) -> int | None:
    """Return the minute of the day that a clock such as 0030 or 2400 shows; None if it is none."""
    return int(text[:2]) * 60 + int(text[2:]) if _CLOCK.fullmatch(text) else None


class _NotANumber(Exception):
    """A text that is no number."""


class _Numbers(dict[str, int]):
    """Millionths of a watt-hour of each text of kWh met so far."""

    def __missing__(self, text: str) -> int:
        if len(self) > 1_000_000:
            self.clear()
        number = self[text] = _number(text)
        return number


def _number(text: str) -> int:
    bare = text.strip()
    if _WHOLE.fullmatch(bare):
        number = int(bare) * UWH_PER_KWH
    elif bare.casefold() in NO_VALUES:
        return _NO_VALUE
    else:
        number = _fraction(bare, text)
    if number > VALUE_MAX_UWH:
        return _TOO_LARGE
    return max(number, -VALUE_MAX_UWH)


def _fraction(bare: str, text: str) -> int:
    """Read a decimal number; what is finer than a millionth of a watt-hour is rounded to one."""
    try:
        value = Decimal(bare.replace(",", ".")) if len(bare) <= 40 and "_" not in bare else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite():
        raise _NotANumber(text)
    if value.adjusted() > 12:
        return _TOO_LARGE if value > 0 else -_TOO_LARGE
    return round(value * UWH_PER_KWH)
