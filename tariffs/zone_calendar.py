"""The zone of every interval of a stretch of time, built once for a version and shared."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.zones import DayZones


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
    by_minute = np.zeros(24 * 60, dtype=np.int8)
    for window in day_zones.windows:
        by_minute[window.opens_minute : window.closes_minute] = day_zones.zones.index(window.zone)
    local = _local_minutes(zone, start, intervals, interval_min)
    first = by_minute[local]
    last = by_minute[(local + interval_min - 1) % (24 * 60)]
    if len(day_zones.zones) > 1 and bool((first != last).any()):
        raise ValueError(f"a zone begins inside an interval of {interval_min} minutes")
    return ZoneCalendar(first)


def _local_minutes(
    zone: ZoneInfo, start: datetime, intervals: int, interval_min: int
) -> npt.NDArray[np.int64]:
    """Return the local minute of the day at which each interval begins."""
    minutes = np.arange(intervals, dtype=np.int64) * interval_min
    begin = int((start - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) // 60
    offsets = np.empty(intervals, dtype=np.int64)
    # An offset changes at most a few times a month: look it up by the hour, not the interval.
    step = max(1, 60 // interval_min)
    for index in range(0, intervals, step):
        instant = start + timedelta(minutes=int(minutes[index]))
        offset = instant.astimezone(zone).utcoffset()
        assert offset is not None
        offsets[index : index + step] = int(offset.total_seconds()) // 60
    local: npt.NDArray[np.int64] = (begin + minutes + offsets) % (24 * 60)
    return local
