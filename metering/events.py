"""What meters, acts and complaints tell besides readings: the kinds of events, and their states."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from metering.places import Commodity


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
