"""Findings: what looks wrong in readings that were stored or refused; values, not errors."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from zoneinfo import ZoneInfo

import numpy as np

from kilokassa.core.calendar import intervals_in_day, local_midnight
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from kilokassa.core.text import mark


class FindingKind(StrEnum):
    """What was noticed."""

    GAP = "gap"
    DUPLICATE_SAME = "duplicate_same"
    DUPLICATE_DIFFERENT = "duplicate_different"
    NEGATIVE = "negative"
    OFF_GRID = "off_grid"
    REGISTER_BACKWARDS = "register_backwards"
    REGISTER_ROLLOVER = "register_rollover"
    OUT_OF_ORDER = "out_of_order"
    SPIKE = "spike"
    STUCK = "stuck"
    WRONG_INTERVAL = "wrong_interval"
    OVER_CAPACITY = "over_capacity"
    WHILE_DISCONNECTED = "while_disconnected"
    REGISTER_DIFFERS = "register_differs"
    ZONES_SWAPPED = "zones_swapped"
    CLOCK_DRIFT = "clock_drift"


class FindingState(StrEnum):
    """Whether a finding still waits for somebody."""

    OPEN = "open"
    ACCEPTED = "accepted"
    """A person looked, and the readings stay as they are."""
    CORRECTED = "corrected"
    """What was wrong is so no longer: filled, revised or read anew."""
    REPEATED = "repeated"
    """The same file was imported again; the findings of that import speak for these."""


TEMPLATES: Mapping[FindingKind, str] = {
    FindingKind.GAP: mark("Point %(point)s: missing intervals: %(count)s."),
    FindingKind.DUPLICATE_SAME: mark(
        "Point %(point)s: values given again as they were: %(count)s, first in line %(line)s."
    ),
    FindingKind.DUPLICATE_DIFFERENT: mark(
        "Point %(point)s: values given again otherwise: %(count)s; the first is kept: "
        "%(kept)s kWh in line %(kept_line)s, not %(other)s kWh in line %(line)s."
    ),
    FindingKind.NEGATIVE: mark(
        "Point %(point)s: negative values refused: %(count)s, first in line %(line)s."
    ),
    FindingKind.OFF_GRID: mark(
        "Point %(point)s: times between the channel's intervals refused: %(count)s, "
        "first in line %(line)s."
    ),
    FindingKind.REGISTER_BACKWARDS: mark(
        "Point %(point)s, meter %(meter)s: a reading less than the one before was refused, "
        "line %(line)s."
    ),
    FindingKind.REGISTER_ROLLOVER: mark(
        "Point %(point)s, meter %(meter)s: the register rolled over, line %(line)s."
    ),
    FindingKind.OUT_OF_ORDER: mark(
        "Point %(point)s: times go backwards in the file: %(count)s, first in line %(line)s."
    ),
    FindingKind.SPIKE: mark(
        "Point %(point)s: far above what it ever used: %(value)s kWh where %(usual)s kWh is usual."
    ),
    FindingKind.STUCK: mark(
        "Point %(point)s: the same value %(value)s kWh %(count)s times on end."
    ),
    FindingKind.WRONG_INTERVAL: mark(
        "Point %(point)s: values every %(found)s minutes, though its intervals last %(expected)s."
    ),
    FindingKind.OVER_CAPACITY: mark(
        "Point %(point)s: %(power)s kW, beyond its connected capacity of %(capacity)s kW."
    ),
    FindingKind.WHILE_DISCONNECTED: mark(
        "Point %(point)s: %(value)s kWh used while it was disconnected."
    ),
    FindingKind.REGISTER_DIFFERS: mark(
        "Point %(point)s, meter %(meter)s: the register counted %(register)s kWh, "
        "its intervals sum to %(intervals)s kWh."
    ),
    FindingKind.ZONES_SWAPPED: mark(
        "Point %(point)s, meter %(meter)s: the registers of %(zone)s and %(other)s look swapped."
    ),
    FindingKind.CLOCK_DRIFT: mark(
        "Point %(point)s: the meter's clock was %(seconds)s seconds off when it was set."
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed about a point over a stretch of time; `detail` fills its template."""

    kind: FindingKind
    point_code: str
    channel_id: int | None
    period: Period
    detail: Mapping[str, int | str] = field(default_factory=dict)

    def sentence(self, translate: Callable[[str], str] = str) -> str:
        """Return the finding as a sentence, its template first passed through `translate`."""
        return translate(TEMPLATES[self.kind]) % {"point": self.point_code, **self.detail}


class DayGrid:
    """The intervals of successive local days, one after another."""

    def __init__(self, zone: ZoneInfo, interval_min: int, first: date, last: date) -> None:
        self.interval_min = interval_min
        self.days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        self.period = Period(
            local_midnight(first, zone), local_midnight(last + timedelta(days=1), zone)
        )
        lengths = [intervals_in_day(day, zone, interval_min) for day in self.days]
        self._first_of = dict(zip(self.days, accumulate(lengths, initial=0), strict=False))
        self._count = sum(lengths)

    def gaps(self, qualities: Iterable[tuple[date, bytes]]) -> list[tuple[Period, int]]:
        """Return the stretches without a value between known intervals, and their lengths.

        What is missing before the first known interval or after the last is no gap: nobody said
        that the channel counted then.
        """
        known = np.zeros(self._count, bool)
        for day, quality in qualities:
            first = self._first_of[day]
            known[first : first + len(quality)] = (
                np.frombuffer(quality, np.uint8) != Quality.MISSING
            )
        places = np.flatnonzero(known)
        return [
            (
                Period(self._instant(int(places[at]) + 1), self._instant(int(places[at + 1]))),
                int(places[at + 1] - places[at] - 1),
            )
            for at in np.flatnonzero(np.diff(places) > 1).tolist()
        ]

    def _instant(self, interval: int) -> datetime:
        return self.period.start + timedelta(minutes=self.interval_min) * interval
