"""What meters, acts and complaints tell besides readings: the kinds of events, and their states."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from kilokassa.core.calendar import local_date
from kilokassa.core.text import mark
from metering.registry.places import Commodity


class DeviceEventKind(StrEnum):
    """What a meter noticed itself."""

    COVER_OPENED = "cover_opened"
    TERMINALS_OPENED = "terminals_opened"
    MAGNET = "magnet"
    PHASE_LOST = "phase_lost"
    CURRENT_REVERSED = "current_reversed"
    POWER_OFF = "power_off"
    CLOCK_SET = "clock_set"
    VOLTAGE_OUT_OF_RANGE = "voltage_out_of_range"
    DISCONNECTED = "disconnected"
    """The load was switched off by the meter's relay, from `starts_at` to `ends_at`."""


TAMPERING = frozenset(
    {
        DeviceEventKind.COVER_OPENED,
        DeviceEventKind.TERMINALS_OPENED,
        DeviceEventKind.MAGNET,
        DeviceEventKind.CURRENT_REVERSED,
    }
)
"""Events after which a meter is looked at by a person."""


class QualityEventKind(StrEnum):
    """In what a service was not as it must be."""

    NO_SUPPLY = "no_supply"
    VOLTAGE = "voltage"
    ROOM_TEMPERATURE = "room_temperature"
    WATER_TEMPERATURE = "water_temperature"


class QualityBasis(StrEnum):
    """What a quality event is known from."""

    METER = "meter"
    ACT = "act"
    COMPLAINT = "complaint"


class QualityEventState(StrEnum):
    """Whether a quality event counts."""

    REPORTED = "reported"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class VisitOutcome(StrEnum):
    """What came of a visit to a meter."""

    READ = "read"
    NO_ACCESS = "no_access"
    BROKEN = "broken"
    SKIPPED = "skipped"


MEASURED: Final = frozenset({DeviceEventKind.CLOCK_SET, DeviceEventKind.VOLTAGE_OUT_OF_RANGE})
"""Events that come with a value: seconds a clock was fast, tenths of a volt."""

KINDS_OF: Final[Mapping[Commodity, tuple[QualityEventKind, ...]]] = {
    Commodity.ELECTRICITY: (QualityEventKind.NO_SUPPLY, QualityEventKind.VOLTAGE),
    Commodity.HEAT: (QualityEventKind.NO_SUPPLY, QualityEventKind.ROOM_TEMPERATURE),
    Commodity.HOT_WATER: (QualityEventKind.NO_SUPPLY, QualityEventKind.WATER_TEMPERATURE),
    Commodity.COLD_WATER: (QualityEventKind.NO_SUPPLY,),
}
"""In what each service can fall short."""


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """One thing that the meter of a point told; `ends_at` and `value` where the kind has them."""

    point_id: int
    kind: DeviceEventKind
    starts_at: datetime
    ends_at: datetime | None = None
    value: int | None = None
    meter_id: int | None = None

    def __post_init__(self) -> None:
        if self.ends_at is not None and self.ends_at <= self.starts_at:
            raise ValueError(f"an event ends after it starts: {self!r}")

    @property
    def key(self) -> tuple[int, DeviceEventKind, datetime]:
        """What makes it one event, however often it is told."""
        return self.point_id, self.kind, self.starts_at


@dataclass(frozen=True, slots=True)
class EventLine:
    """A device event as it arrived; a time without an offset is local to the point's building."""

    line: int
    """Of a file, or place in a request, from 1."""
    point_code: str
    serial: str
    kind: DeviceEventKind
    starts: datetime
    ends: datetime | None = None
    value: int | None = None


class EventRefusal(StrEnum):
    """Why a device event was not stored."""

    UNKNOWN_POINT = "unknown_point"
    NONEXISTENT_TIME = "nonexistent_time"
    ENDS_BEFORE = "ends_before"
    IN_FUTURE = "in_future"
    STORED_DIFFERENT = "stored_different"


EVENT_REFUSALS: Final[Mapping[EventRefusal, str]] = {
    EventRefusal.UNKNOWN_POINT: mark("the metering point or meter is not known"),
    EventRefusal.NONEXISTENT_TIME: mark("the clock skipped this local time"),
    EventRefusal.ENDS_BEFORE: mark("it ends before it starts"),
    EventRefusal.IN_FUTURE: mark("it starts in the future"),
    EventRefusal.STORED_DIFFERENT: mark("the same event is stored with another end or value"),
}


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """A line that was not stored, and why."""

    line: EventLine
    reason: EventRefusal

    def sentence(self, translate: Callable[[str], str] = str) -> str:
        """Return the refusal as a sentence."""
        return translate(mark("Line %(line)s: %(problem)s")) % {
            "line": self.line.line,
            "problem": translate(EVENT_REFUSALS[self.reason]),
        }


@dataclass(frozen=True, slots=True)
class EventMeter:
    """A meter that a line of events may mean, and the point it stands at."""

    meter_id: int | None
    """None for a point that has no meter."""
    serial: str
    point_id: int
    point_code: str
    exchange_code: str
    """What other systems call the point; empty where it has no such name."""
    building_id: int
    zone: str
    """IANA name."""
    installed_on: date | None
    removed_on: date | None

    def stood_on(self, day: date) -> bool:
        """Say whether the meter was at its point on `day`; both ends of its life count."""
        return (self.installed_on is None or self.installed_on <= day) and (
            self.removed_on is None or day <= self.removed_on
        )


@dataclass(frozen=True, slots=True)
class PlacedEvent:
    """A line and the event it is, at a point of a building."""

    line: EventLine
    event: DeviceEvent
    building_id: int


def place_events(
    lines: Iterable[EventLine], meters: Iterable[EventMeter], now: datetime
) -> tuple[list[PlacedEvent], list[RefusedEvent]]:
    """Return the events that lines are, and the lines that are none."""
    named: dict[str, list[EventMeter]] = {}
    numbered: dict[str, list[EventMeter]] = {}
    for meter in meters:
        for code in {meter.point_code, meter.exchange_code} - {""}:
            named.setdefault(code, []).append(meter)
        numbered.setdefault(meter.serial, []).append(meter)
    placed: list[PlacedEvent] = []
    refused: list[RefusedEvent] = []
    for line in lines:
        known = named.get(line.point_code, []) if line.point_code else numbered.get(line.serial, [])
        found = _placed(line, known, now)
        if isinstance(found, EventRefusal):
            refused.append(RefusedEvent(line, found))
        else:
            placed.append(found)
    return placed, refused


def _placed(
    line: EventLine, known: Sequence[EventMeter], now: datetime
) -> PlacedEvent | EventRefusal:
    if line.serial and line.point_code:
        known = [meter for meter in known if meter.serial == line.serial]
    if not known or len({meter.point_id for meter in known}) > 1:
        return EventRefusal.UNKNOWN_POINT
    zone = ZoneInfo(known[0].zone)
    starts = event_instant(line.starts, zone)
    ends = None if line.ends is None else event_instant(line.ends, zone)
    if starts is None or (line.ends is not None and ends is None):
        return EventRefusal.NONEXISTENT_TIME
    if ends is not None and ends <= starts:
        return EventRefusal.ENDS_BEFORE
    if starts > now:
        return EventRefusal.IN_FUTURE
    # Of the meters that ever stood at the point, the one of that day told of it.
    there = [meter for meter in known if meter.stood_on(local_date(starts, zone))]
    meter = max(there, key=lambda one: one.installed_on or date.min, default=None)
    event = DeviceEvent(
        point_id=known[0].point_id,
        kind=line.kind,
        starts_at=starts,
        ends_at=ends,
        value=line.value,
        meter_id=None if meter is None else meter.meter_id,
    )
    return PlacedEvent(line, event, known[0].building_id)


def event_instant(taken: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the instant in UTC: a local time at its first occurrence, None if it was skipped."""
    if taken.tzinfo is not None:
        return taken.astimezone(UTC)
    earlier = taken.replace(tzinfo=zone).astimezone(UTC)
    return None if earlier > taken.replace(tzinfo=zone, fold=1).astimezone(UTC) else earlier


@dataclass(frozen=True, slots=True)
class PowerCut:
    """A stretch in which many points of one house were without power at once."""

    starts_at: datetime
    ends_at: datetime | None
    """None while so many of them have not told of its end."""
    points: int
    """How many different points told of it."""


CUT_PART: Final = 3
"""A power cut of the house is told by at least one point of so many; fewer are their own matter.

Our own choice: a riser feeds about a third of a house, a blown fuse one flat.
"""
CUT_LEAST: Final = 3
"""And by at least so many points, or a small house would be cut off by one fuse."""


def power_cuts(events: Iterable[DeviceEvent], points: int) -> tuple[PowerCut, ...]:
    """Return when the house as a whole was without power, by what its meters told.

    `points` is how many points of electricity the house has. The house counts as cut off from when
    enough of its points are off at once until when fewer are.
    """
    enough = max(CUT_LEAST, -(-points // CUT_PART))
    off = [event for event in events if event.kind is DeviceEventKind.POWER_OFF]
    edges = sorted(
        [(event.starts_at, 1, event.point_id) for event in off]
        + [(event.ends_at, 0, event.point_id) for event in off if event.ends_at is not None]
    )
    now_off: Counter[int] = Counter()
    cuts: list[PowerCut] = []
    begun: datetime | None = None
    took_part: set[int] = set()
    for at, begins, point_id in edges:
        now_off[point_id] += 1 if begins else -1
        if not now_off[point_id]:
            del now_off[point_id]
        took_part |= set(now_off)
        if begun is None and len(now_off) >= enough:
            begun, took_part = at, set(now_off)
        elif begun is not None and len(now_off) < enough:
            cuts.append(PowerCut(begun, at, len(took_part)))
            begun = None
    if begun is not None:
        cuts.append(PowerCut(begun, None, len(took_part)))
    return tuple(cuts)
