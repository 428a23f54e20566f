"""Interval readings in Green Button XML (NAESB ESPI); `docs/reference/green-button.md`.

A feed is Atom; what an entry belongs to is said by its links. Blocks of readings that come before
their reading type wait, in a few bytes a reading, until it is known.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import numpy as np

from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from metering.days import UWH_PER_WH
from metering.imports import NUMBER_OF, RefusalReason, UnreadableFile
from metering.parsers.safe_xml import DEPTH_MAX, feed, new_parser
from metering.parsers.source import ARRIVAL, VALUE_MAX_UWH, Arrivals, SeriesIndex
from metering.registry.places import INTERVAL_LENGTHS_MIN

ESPI: Final = "http://naesb.org/espi"
ATOM: Final = "http://www.w3.org/2005/Atom"

BLOCK_ROWS: Final = 100_000
WAITING_MAX_ROWS: Final = 2_000_000
"""Readings that may wait for their reading type; more are refused rather than kept in memory."""

CHANNELS: Final[Mapping[tuple[str, str], str]] = {
    ("72", "1"): "A+",
    ("72", "19"): "A-",
    ("73", "1"): "R+",
    ("73", "19"): "R-",
}
"""Our channel by unit (72 Wh, 73 varh) and direction of flow (1 forward, 19 reverse).

NAESB REQ.21 ESPI, espiDerived.xsd: UnitSymbolKind, FlowDirectionKind.
"""

QUALITIES: Final[Mapping[str, Quality]] = {
    "0": Quality.ACTUAL,  # valid
    "7": Quality.ESTIMATED,  # manually edited
    "8": Quality.ESTIMATED,  # by a reference day
    "9": Quality.ESTIMATED,  # by linear interpolation
    "10": Quality.ESTIMATED,  # questionable
    "11": Quality.ESTIMATED,  # derived
    "12": Quality.ESTIMATED,  # projected
    "13": Quality.ESTIMATED,  # mixed
    "14": Quality.ACTUAL,  # raw
    "15": Quality.ESTIMATED,  # normalised for the weather
    "16": Quality.ESTIMATED,  # other
    "17": Quality.ACTUAL,  # validated
    "18": Quality.ACTUAL,  # verified
    "19": Quality.ACTUAL,  # of revenue quality
}
"""NAESB REQ.21 ESPI, espiDerived.xsd: QualityOfReading; what was not measured is estimated."""

DELTA: Final = "4"
"""The accumulation behaviour of energy by intervals; totals of a register are others."""

_KEPT: Final = frozenset(
    {"uom", "flowDirection", "powerOfTenMultiplier", "accumulationBehaviour", "intervalLength"}
)
_INTEGER_MAX: Final = 2**62


@dataclass(frozen=True, slots=True)
class ReadingType:
    """What the readings of a meter reading are."""

    channel_code: str
    power_of_ten: int
    interval_min: int
    """0 where the type does not say it."""


@dataclass(slots=True)
class _Entry:
    """One entry of the feed while it is read."""

    kind: str = ""
    self_link: str = ""
    up_link: str = ""
    related: list[str] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    qualities: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    line: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """Readings whose type is not known yet, or not yet asked for."""

    meter_reading: str
    rows: Arrivals
    line: int


class GreenButtonReader:
    """Reads one Green Button file; `point` names the metering point of a file of one usage point.

    Without it, a series is called what follows `/resource/` in the link of its usage point, such as
    `RetailCustomer/2/UsagePoint/2`: register it as the point's `exchange_code`.
    """

    multiplied: Final = True
    """Values are energy: the transformers' ratio is in them."""

    def __init__(self, *, point: str | None = None) -> None:
        self.index = SeriesIndex()
        self.usage_points: list[str] = []
        self._point = point
        self._parser = new_parser(" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._path: list[str] = []
        self._text: list[str] = []
        self._entry: _Entry | None = None
        self._reading: dict[str, str] = {}
        self._types: dict[str, ReadingType] = {}
        self._type_of: dict[str, str] = {}
        self._waiting: list[_Waiting] = []
        self._done: list[Arrivals] = []
        self._rows = 0

    def blocks(self, stream: BinaryIO) -> Iterator[Arrivals]:
        """Yield the rows of the file; readings of another kind than energy refuse it whole."""
        for _ in feed(self._parser, stream, self._check_bounds):
            self._settle()
            if self._rows >= BLOCK_ROWS:
                yield self._block()
        for waiting in self._waiting:
            raise UnreadableFile(
                line=waiting.line, problem=mark("nothing says of what type these readings are")
            )
        if not self.usage_points:
            raise UnreadableFile(line=1, problem=mark("the file has no interval readings"))
        if self._rows:
            yield self._block()

    # --- elements ---

    def _start(self, name: str, attributes: list[str]) -> None:
        space, _, local = name.rpartition(" ")
        if len(self._path) >= DEPTH_MAX:
            raise self._refusal(mark("elements are nested too deep"))
        if not self._path and (space != ATOM or local not in ("feed", "entry")):
            raise self._refusal(
                mark("this is no Green Button feed: the root is %(name)s"), name=local[:40]
            )
        self._path.append(local)
        if local == "entry" and space == ATOM:
            if self._entry is not None:
                raise self._refusal(mark("the element %(name)s does not stand there"), name=local)
            self._entry = _Entry(line=self._parser.CurrentLineNumber)
        elif self._entry is None:
            return
        elif local == "link":
            self._link(dict(zip(attributes[::2], attributes[1::2], strict=True)))
        elif self._path[-2] == "content":
            self._entry.kind = local
        elif local == "IntervalReading":
            self._reading = {}
            self._entry.lines.append(self._parser.CurrentLineNumber)
        if self._is_kept(local):
            self._text.clear()
            self._parser.CharacterDataHandler = self._text.append

    def _is_kept(self, local: str) -> bool:
        parent = self._path[-2] if len(self._path) > 1 else ""
        if local in ("start", "duration"):
            return parent == "timePeriod" and self._path[-3] == "IntervalReading"
        if local == "value":
            return parent == "IntervalReading"
        if local == "quality":
            return parent == "ReadingQuality"
        return local in _KEPT and parent == "ReadingType"

    def _end(self, name: str) -> None:
        local = self._path[-1]
        if self._parser.CharacterDataHandler is not None:
            self._parser.CharacterDataHandler = None
            self._keep(local, "".join(self._text).strip())
        elif self._entry is not None and local == "IntervalReading":
            self._end_reading(self._entry)
        elif self._entry is not None and local == "entry":
            self._end_entry(self._entry)
            self._entry = None
        self._path.pop()

    def _keep(self, local: str, text: str) -> None:
        assert self._entry is not None
        if local in _KEPT:
            self._entry.fields[local] = text
        else:
            self._reading[local] = text

    def _link(self, attributes: Mapping[str, str]) -> None:
        assert self._entry is not None
        if self._path[-2] != "entry":
            return
        relation, target = attributes.get("rel", ""), attributes.get("href", "").rstrip("/")
        if relation == "self":
            self._entry.self_link = target
        elif relation == "up":
            self._entry.up_link = target
        elif relation == "related":
            self._entry.related.append(target)
            if len(self._entry.related) > 1000:
                raise self._refusal(mark("an entry has too many links"))

    def _end_reading(self, entry: _Entry) -> None:
        entry.starts.append(self._whole(self._reading.get("start", "")))
        entry.durations.append(self._whole(self._reading.get("duration", "0")))
        entry.values.append(self._whole(self._reading.get("value", "")))
        text = self._reading.get("quality", "0")
        if text not in QUALITIES:
            raise self._refusal(
                mark("the quality %(quality)s is not known"), quality=repr(text[:40])
            )
        entry.qualities.append(QUALITIES[text])

    def _end_entry(self, entry: _Entry) -> None:
        if entry.kind == "ReadingType":
            self._types[entry.self_link] = self._reading_type(entry)
        elif entry.kind == "MeterReading":
            for target in entry.related:
                if "/ReadingType/" in target:
                    self._type_of[entry.self_link] = target
        elif entry.kind == "IntervalBlock" and entry.values:
            owner = entry.up_link or entry.self_link.rpartition("/")[0]
            rows = self._arrivals(entry)
            self._waiting.append(_Waiting(owner.removesuffix("/IntervalBlock"), rows, entry.line))

    def _reading_type(self, entry: _Entry) -> ReadingType:
        fields = entry.fields
        unit = fields.get("uom", "")
        channel_code = CHANNELS.get((unit, fields.get("flowDirection", "1")))
        if channel_code is None or fields.get("accumulationBehaviour", DELTA) != DELTA:
            raise UnreadableFile(
                line=entry.line,
                problem=mark(
                    "the readings are not energy by intervals: unit %(unit)s, flow %(flow)s, "
                    "accumulation %(accumulation)s"
                ),
                unit=unit or "«»",
                flow=fields.get("flowDirection", "«»"),
                accumulation=fields.get("accumulationBehaviour", "«»"),
            )
        power = self._whole(fields.get("powerOfTenMultiplier", "0") or "0")
        if not -12 <= power <= 9:
            raise UnreadableFile(
                line=entry.line,
                problem=mark("the power of ten %(power)s is out of range"),
                power=power,
            )
        length_s = self._whole(fields.get("intervalLength", "0") or "0")
        return ReadingType(channel_code, power, self._minutes(length_s, entry.line))

    def _arrivals(self, entry: _Entry) -> Arrivals:
        rows: Arrivals = np.zeros(len(entry.values), ARRIVAL)
        rows["time_s"] = entry.starts
        rows["value_uwh"] = entry.values
        rows["quality"] = entry.qualities
        rows["line"] = entry.lines
        lengths = {
            duration: self._minutes(duration, entry.lines[entry.durations.index(duration)])
            for duration in set(entry.durations)
        }
        rows["interval_min"] = [lengths[duration] for duration in entry.durations]
        return rows

    # --- what is known so far ---

    def _settle(self) -> None:
        """Give the readings whose type is known by now their series and their energy."""
        left = []
        for waiting in self._waiting:
            known = self._types.get(self._type_of.get(waiting.meter_reading, ""))
            if known is None:
                left.append(waiting)
                continue
            rows = waiting.rows
            rows["series"] = self.index.number(
                self._code(waiting.meter_reading, waiting.line), known.channel_code
            )
            _to_energy(rows, known.power_of_ten)
            rows["interval_min"][rows["interval_min"] == 0] = known.interval_min
            self._done.append(rows)
            self._rows += len(rows)
        self._waiting = left

    def _code(self, meter_reading: str, line: int) -> str:
        link = meter_reading.partition("/MeterReading")[0]
        name = link.partition("/resource/")[2] or link
        if not name:
            raise UnreadableFile(line=line, problem=mark("the readings name no usage point"))
        if name not in self.usage_points:
            if self._point is not None and self.usage_points:
                raise UnreadableFile(
                    line=line,
                    problem=mark("the file has more than one usage point, and one point was named"),
                )
            self.usage_points.append(name)
        return name if self._point is None else self._point

    def _block(self) -> Arrivals:
        rows: Arrivals = np.concatenate(self._done)
        self._done.clear()
        self._rows = 0
        return rows

    def _check_bounds(self) -> None:
        waiting = sum(len(one.rows) for one in self._waiting)
        own = len(self._entry.lines) if self._entry is not None else 0
        if waiting + own > WAITING_MAX_ROWS:
            raise self._refusal(mark("too many readings come before what says their type"))
        if len(self._text) > 8:
            raise self._refusal(mark("a text is too long"))

    # --- numbers and refusals ---

    def _whole(self, text: str) -> int:
        digits = text.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) < 19:
            number = int(text)
            if abs(number) < _INTEGER_MAX:
                return number
        raise self._refusal(mark("%(text)s is not a whole number"), text=repr(text[:40]))

    def _minutes(self, length_s: int, line: int) -> int:
        minutes, rest = divmod(length_s, 60)
        if rest or minutes not in INTERVAL_LENGTHS_MIN | {0}:
            raise UnreadableFile(
                line=line,
                problem=mark(
                    "the readings last %(seconds)s seconds; 1, 5, 10, 15, 20, 30 or 60 minutes are "
                    "taken"
                ),
                seconds=length_s,
            )
        return minutes

    def _refusal(self, problem: str, **values: str) -> UnreadableFile:
        return UnreadableFile(line=self._parser.CurrentLineNumber, problem=problem, **values)


def _to_energy(rows: Arrivals, power_of_ten: int) -> None:
    """Turn values of 10^`power_of_ten` Wh into millionths of a watt-hour, exactly or rounded."""
    value = rows["value_uwh"]
    rows["fault"][value < 0] = NUMBER_OF[RefusalReason.NEGATIVE]
    if power_of_ten >= -6:
        scale = UWH_PER_WH * 10**power_of_ten if power_of_ten >= 0 else 10 ** (6 + power_of_ten)
        most = VALUE_MAX_UWH // scale
        rows["fault"][value > most] = NUMBER_OF[RefusalReason.TOO_LARGE]
        rows["value_uwh"] = np.clip(value, -most, most) * scale
    else:
        part = 10 ** (-6 - power_of_ten)
        rounded = (value + part // 2) // part
        rows["fault"][rounded > VALUE_MAX_UWH] = NUMBER_OF[RefusalReason.TOO_LARGE]
        rows["value_uwh"] = np.clip(rounded, -VALUE_MAX_UWH, VALUE_MAX_UWH)
    rows["time_s"] = np.clip(rows["time_s"], _FIRST_S, _LAST_S)
    out = (rows["time_s"] == _FIRST_S) | (rows["time_s"] == _LAST_S)
    rows["fault"][out & (rows["fault"] == 0)] = NUMBER_OF[RefusalReason.TIME_OUT_OF_RANGE]


_FIRST_S: Final = 946_684_799
"""A second before the year 2000."""
_LAST_S: Final = 4_102_444_800
"""The first second of the year 2100."""
