"""The zones of a day: values that tariffs price by and that meters are told."""

from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from itertools import pairwise
from typing import Final

MINUTES_PER_DAY: Final = 24 * 60


class Zone(StrEnum):
    """A time-of-use zone (тарифная зона суток)."""

    ALL = "all"
    PEAK = "peak"
    SEMI_PEAK = "semi_peak"
    DAY = "day"
    NIGHT = "night"


@dataclass(frozen=True, slots=True, order=True)
class ZoneWindow:
    """From `opens_minute` up to, but not including, `closes_minute` of a local day."""

    opens_minute: int
    closes_minute: int
    zone: Zone

    def __post_init__(self) -> None:
        if not 0 <= self.opens_minute < self.closes_minute <= MINUTES_PER_DAY:
            raise ValueError(f"a window opens before it closes, within a day: {self!r}")


def windows(zone: Zone, opens: time, closes: time) -> tuple[ZoneWindow, ...]:
    """Return the one or two windows from `opens` to `closes`, split where they cross midnight."""
    start, end = _minute_of(opens), _minute_of(closes)
    if start < end:
        return (ZoneWindow(start, end, zone),)
    evening = ZoneWindow(start, MINUTES_PER_DAY, zone)
    return (ZoneWindow(0, end, zone), evening) if end else (evening,)


@dataclass(frozen=True, slots=True)
class DayZones:
    """A whole local day cut into zones: no minute is left out, none is claimed twice."""

    windows: tuple[ZoneWindow, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "windows", tuple(sorted(self.windows)))
        edges = [(0, 0), *((w.opens_minute, w.closes_minute) for w in self.windows)]
        for (_, closes), (opens, _) in pairwise(edges):
            if closes < opens:
                raise ValueError(f"no zone holds {clock_text(closes)} to {clock_text(opens)}")
            if opens < closes:
                raise ValueError(f"two zones hold {clock_text(opens)} to {clock_text(closes)}")
        if edges[-1][1] != MINUTES_PER_DAY:
            raise ValueError(f"no zone holds {clock_text(edges[-1][1])} to 24:00")

    @property
    def zones(self) -> tuple[Zone, ...]:
        """The zones that occur, in the order of `Zone`."""
        return tuple(zone for zone in Zone if any(w.zone is zone for w in self.windows))

    def at(self, minute: int) -> Zone:
        """Return the zone that holds `minute` of the local day."""
        return next(w.zone for w in self.windows if w.opens_minute <= minute < w.closes_minute)


WHOLE_DAY: Final = DayZones((ZoneWindow(0, MINUTES_PER_DAY, Zone.ALL),))


def clock_text(minute: int) -> str:
    """Return a minute of the day as a clock shows it, 24:00 for its end.

    >>> clock_text(1440)
    '24:00'
    """
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _minute_of(clock: time) -> int:
    if clock.second or clock.microsecond:
        raise ValueError(f"zones change on whole minutes: {clock}")
    return clock.hour * 60 + clock.minute
