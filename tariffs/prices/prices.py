"""Hourly prices of a local day as values, and the days put together to one series."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import local_day
from kilokassa.core.digest import digest_parts
from kilokassa.core.period import Period
from tariffs.facts import PriceSeries

INTERVALS_MIN: Final = (15, 30, 60)
"""Lengths of the intervals that prices come by."""

Prices = npt.NDArray[np.int64]
"""Millionths of a rouble per kWh, one an interval of a local day."""


@dataclass(frozen=True, slots=True, eq=False)
class DayPrices:
    """The prices of one local day, whole: 23, 24 or 25 hours of them."""

    day: date
    prices_scaled: Prices

    @property
    def packed(self) -> bytes:
        """The prices as they are stored: little-endian int64."""
        return self.prices_scaled.astype("<i8").tobytes()

    @property
    def digest(self) -> str:
        """Digest of the day and its prices."""
        return digest_parts([self.day.isoformat().encode(), self.packed])


@dataclass(frozen=True, slots=True, eq=False)
class StoredDay:
    """One revision of a day's prices, as it was recorded."""

    prices: DayPrices
    revision: int
    """From 1; the highest holds."""
    source: str
    actor: str
    recorded_at: datetime


def unpacked(packed: bytes) -> Prices:
    """Return stored prices as whole numbers."""
    return np.frombuffer(packed, dtype="<i8").astype(np.int64)


def joined(
    code: str, interval_min: int, zone: ZoneInfo, days: Sequence[StoredDay]
) -> PriceSeries | None:
    """Return the days, in order, as one series on a regular grid; a missing day is a hole in it.

    The revision is the highest of the days'. None where there is no day.
    """
    if not days:
        return None
    spans = [local_day(stored.prices.day, zone) for stored in days]
    start, step = spans[0].start, timedelta(minutes=interval_min)
    scaled = np.zeros((spans[-1].end - start) // step, dtype=np.int64)
    holes = []
    known_until = start
    for span, stored in zip(spans, days, strict=True):
        if span.start > known_until:
            holes.append(Period(known_until, span.start))
        first = (span.start - start) // step
        scaled[first : first + len(stored.prices.prices_scaled)] = stored.prices.prices_scaled
        known_until = span.end
    revision = max(stored.revision for stored in days)
    return PriceSeries(code, start, interval_min, scaled, revision, tuple(holes))


def missing_days(days: Sequence[date], first: date, last: date) -> tuple[date, ...]:
    """Return the days from `first` to `last` that are not among `days`, in order."""
    known = set(days)
    count = (last - first).days + 1
    every = (first + timedelta(days=number) for number in range(count))
    return tuple(day for day in every if day not in known)
