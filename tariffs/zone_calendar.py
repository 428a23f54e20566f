"""The zone of every interval of a stretch of time, built once for a version and shared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.errors import DomainError
from kilokassa.core.zones import MINUTES_PER_DAY, DayZones, Zone

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ZoneCutsInterval(DomainError):
    """The grid of the readings is too coarse, or set off, for the zones of the day."""

    code = "zone_cuts_interval"
    template = "A zone begins inside an interval of %(interval_min)s minutes, at %(local)s."


@dataclass(frozen=True, slots=True, eq=False)
class ZoneCalendar:
    """For each interval of a grid, the index of its zone among `DayZones.zones`."""

    zone_index: npt.NDArray[np.int8]


@lru_cache(maxsize=256)
def zone_calendar(
    day_zones: DayZones, zone: ZoneInfo, start: datetime, intervals: int, interval_min: int
) -> ZoneCalendar:
    """Return the zones of `intervals` intervals from `start`; refuse a grid that zones would cut.

    Local time decides, so the day of 23 hours and that of 25 come out as a clock on the wall shows
    them: the hour that is lived twice is priced twice by the zone of its name.
    """
    if len(day_zones.zones) == 1:
        return _frozen(np.zeros(intervals, dtype=np.int8))
    by_minute = np.zeros(MINUTES_PER_DAY, dtype=np.int8)
    for window in day_zones.windows:
        by_minute[window.opens_minute : window.closes_minute] = day_zones.zones.index(window.zone)
    local = _wall_minutes(zone, start, intervals, interval_min) % MINUTES_PER_DAY
    _refuse_cut(by_minute, local, zone, start, interval_min)
    return _frozen(by_minute[local])


def zone_calendar_by_day(
    zones_on: Callable[[date], DayZones],
    zones: Sequence[Zone],
    zone: ZoneInfo,
    start: datetime,
    intervals: int,
    interval_min: int,
) -> ZoneCalendar:
    """Return the zones of `intervals` intervals where days differ, as indices into `zones`.

    Every minute is looked at, so an interval that reaches into another zone is refused even where
    it passes midnight into a day of another type.
    """
    wall = _wall_minutes(zone, start, intervals * interval_min, 1)
    return _frozen(_uncut(_by_minute(zones_on, zones, wall), zone, start, intervals, interval_min))


def mask_of_windows(
    windows: Sequence[tuple[int, int]],
    counts: Callable[[date], bool],
    zone: ZoneInfo,
    start: datetime,
    intervals: int,
    interval_min: int,
) -> npt.NDArray[np.bool_]:
    """Return which intervals lie in local `windows` (minutes) of days that count.

    An empty list of windows means all day; an interval that a window would cut is refused.
    """
    wall = _wall_minutes(zone, start, intervals * interval_min, 1)
    of_day = np.full(MINUTES_PER_DAY, not windows, dtype=np.int8)
    for opens, closes in windows:
        of_day[opens:closes] = 1
    first = int(wall[0]) // MINUTES_PER_DAY if len(wall) else 0
    last = int(wall.max()) // MINUTES_PER_DAY if len(wall) else -1
    counted = np.array(
        [counts(_EPOCH.date() + timedelta(days=day)) for day in range(first, last + 1)],
        dtype=np.int8,
    )
    inside = of_day[wall % MINUTES_PER_DAY] * counted[wall // MINUTES_PER_DAY - first]
    return _uncut(inside, zone, start, intervals, interval_min).astype(np.bool_)


def _by_minute(
    zones_on: Callable[[date], DayZones], zones: Sequence[Zone], wall: npt.NDArray[np.int64]
) -> npt.NDArray[np.int8]:
    """Return for each minute on the wall its zone, as an index into `zones`."""
    first = int(wall[0]) // MINUTES_PER_DAY if len(wall) else 0
    last = int(wall.max()) // MINUTES_PER_DAY if len(wall) else -1
    table = np.zeros((last - first + 1, MINUTES_PER_DAY), dtype=np.int8)
    for day in range(first, last + 1):
        for window in zones_on(_EPOCH.date() + timedelta(days=day)).windows:
            table[day - first, window.opens_minute : window.closes_minute] = zones.index(
                window.zone
            )
    found: npt.NDArray[np.int8] = table[wall // MINUTES_PER_DAY - first, wall % MINUTES_PER_DAY]
    return found


def _uncut(
    by_minute: npt.NDArray[np.int8],
    zone: ZoneInfo,
    start: datetime,
    intervals: int,
    interval_min: int,
) -> npt.NDArray[np.int8]:
    """Return what holds in each interval, of what holds in each minute; refuse a cut one."""
    by_interval = by_minute.reshape(intervals, interval_min)
    cut = np.flatnonzero((by_interval != by_interval[:, :1]).any(axis=1))
    if len(cut):
        instant = start + timedelta(minutes=interval_min) * int(cut[0])
        raise ZoneCutsInterval(
            interval_min=interval_min, local=f"{instant.astimezone(zone):%Y-%m-%d %H:%M}"
        )
    return np.ascontiguousarray(by_interval[:, 0])


def _frozen(zone_index: npt.NDArray[np.int8]) -> ZoneCalendar:
    zone_index.flags.writeable = False  # one calendar is shared by every caller
    return ZoneCalendar(zone_index)


def _refuse_cut(
    by_minute: npt.NDArray[np.int8],
    local: npt.NDArray[np.int64],
    zone: ZoneInfo,
    start: datetime,
    interval_min: int,
) -> None:
    """Refuse where any later minute of an interval lies in another zone than its first."""
    clean = np.ones(MINUTES_PER_DAY, dtype=np.bool_)
    for minute in range(1, min(interval_min, MINUTES_PER_DAY)):
        clean &= by_minute == np.roll(by_minute, -minute)
    cut = np.flatnonzero(~clean[local])
    if len(cut):
        instant = start + timedelta(minutes=interval_min) * int(cut[0])
        raise ZoneCutsInterval(
            interval_min=interval_min, local=f"{instant.astimezone(zone):%Y-%m-%d %H:%M}"
        )


def _wall_minutes(
    zone: ZoneInfo, start: datetime, intervals: int, interval_min: int
) -> npt.NDArray[np.int64]:
    """Return the minute, counted from 1970 by the clock on the wall, at which each interval begins.

    The offset from UTC is asked once a day, and interval by interval only where it changes: no zone
    leaves an offset and comes back to it within 24 hours.
    """
    step = timedelta(minutes=interval_min)
    a_day = max(1, MINUTES_PER_DAY // interval_min)
    offsets = np.empty(intervals, dtype=np.int64)
    for first in range(0, intervals, a_day):
        last = min(first + a_day, intervals)
        offset = _offset_min(zone, start + step * first)
        offsets[first:last] = offset
        if _offset_min(zone, start + step * last) != offset:
            offsets[first:last] = [_offset_min(zone, start + step * n) for n in range(first, last)]
    begin = (start - _EPOCH) // timedelta(minutes=1)
    minutes = np.arange(intervals, dtype=np.int64) * interval_min
    wall: npt.NDArray[np.int64] = begin + minutes + offsets
    return wall


def _offset_min(zone: ZoneInfo, instant: datetime) -> int:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(minutes=1)
