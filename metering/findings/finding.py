"""Findings: what looks wrong in readings that were stored or refused; values, not errors."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import accumulate
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import intervals_in_day, local_midnight
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from metering.days import STRIDE_KNOWN_MIN, strides


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


SETTLED_KINDS: Final = frozenset(
    {
        FindingKind.SPIKE,
        FindingKind.STUCK,
        FindingKind.OVER_CAPACITY,
        FindingKind.WHILE_DISCONNECTED,
        FindingKind.WRONG_INTERVAL,
    }
)
"""Kinds that speak of values as they are stored, and not of the rows of one file."""


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

VARIANTS: Mapping[tuple[FindingKind, str], str] = {
    (FindingKind.CLOCK_DRIFT, "profile"): mark(
        "Point %(point)s: its day looks as before, but shifted by %(minutes)s minutes."
    ),
    (FindingKind.SPIKE, "interval"): mark(
        "Point %(point)s: far above what it ever used: %(value)s %(unit)s where %(usual)s %(unit)s "
        "is usual."
    ),
    (FindingKind.STUCK, "interval"): mark(
        "Point %(point)s: the same value %(value)s %(unit)s %(count)s times on end."
    ),
    (FindingKind.STUCK, "zero"): mark(
        "Point %(point)s: nothing was used on %(days)s days on end, where %(usual)s %(unit)s a day "
        "is usual."
    ),
    (FindingKind.ZONES_SWAPPED, "readings"): mark(
        "Point %(point)s, meter %(meter)s: the readings of %(zone)s and %(other)s look as if "
        "each was written down for the other."
    ),
}
"""Sentences of findings whose detail names a `variant`; the other keys of the detail fill them."""

SEVERITY: Mapping[FindingKind, int] = {
    FindingKind.WHILE_DISCONNECTED: 9,
    FindingKind.REGISTER_DIFFERS: 8,
    FindingKind.ZONES_SWAPPED: 8,
    FindingKind.STUCK: 7,
    FindingKind.SPIKE: 7,
    FindingKind.OVER_CAPACITY: 6,
    FindingKind.REGISTER_BACKWARDS: 6,
    FindingKind.NEGATIVE: 6,
    FindingKind.CLOCK_DRIFT: 5,
    FindingKind.WRONG_INTERVAL: 5,
    FindingKind.DUPLICATE_DIFFERENT: 4,
    FindingKind.GAP: 3,
    FindingKind.OFF_GRID: 3,
    FindingKind.OUT_OF_ORDER: 2,
    FindingKind.REGISTER_ROLLOVER: 1,
    FindingKind.DUPLICATE_SAME: 0,
}
"""What a kind of finding may cost somebody, from 0 (nothing) to 9; our own order, no law."""

WEIGHT_OF_SEVERITY: Final = 1_000_000


OF_REGISTERS: Mapping[FindingKind, str] = {
    FindingKind.REGISTER_ROLLOVER: mark(
        "Point %(point)s, meter %(meter)s: the register rolled over between two readings by hand."
    ),
    FindingKind.SPIKE: mark(
        "Point %(point)s, meter %(meter)s: %(value)s %(unit)s since the reading before, where "
        "%(usual)s %(unit)s is usual; whoever read it confirmed it."
    ),
    FindingKind.OVER_CAPACITY: mark(
        "Point %(point)s, meter %(meter)s: %(value)s %(unit)s since the reading before, more than "
        "its connected capacity of %(capacity)s kW lets through; whoever read it confirmed it."
    ),
}
"""The sentences of findings in readings taken by hand: these have a unit in place of a line."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed about a point over a stretch of time; `detail` fills its template."""

    kind: FindingKind
    point_code: str
    channel_id: int | None
    period: Period
    detail: Mapping[str, int | str] = field(default_factory=dict)

    def sentence(
        self,
        translate: Callable[[str], str] = str,
        show: Callable[[Decimal], str] = str,
    ) -> str:
        """Return the finding as a sentence, its template first passed through `translate`.

        `show` turns numbers with a fraction into what the reader's language writes.
        """
        template = VARIANTS.get((self.kind, str(self.detail.get("variant", ""))))
        if template is None and "unit" in self.detail:
            template = OF_REGISTERS.get(self.kind)
        return translate(template or TEMPLATES[self.kind]) % {
            "point": self.point_code,
            **{name: _word(name, value, translate, show) for name, value in self.detail.items()},
        }

    @property
    def weight(self) -> int:
        """How much the finding matters: its kind first, then how much of it there is.

        The size is the energy in question in kWh where the detail tells it, else how many values.
        """
        size = int(abs(self._size()))
        return SEVERITY[self.kind] * WEIGHT_OF_SEVERITY + min(size, WEIGHT_OF_SEVERITY - 1)

    def _size(self) -> Decimal:
        told = {name: _number(value) for name, value in self.detail.items()}
        match self.kind:
            case FindingKind.REGISTER_DIFFERS:
                return told.get("register", Decimal(0)) - told.get("intervals", Decimal(0))
            case FindingKind.STUCK if "usual" in told:
                return told["usual"] * told.get("days", Decimal(1))
            case FindingKind.OVER_CAPACITY:
                return told.get("power", Decimal(0)) - told.get("capacity", Decimal(0))
            case FindingKind.CLOCK_DRIFT:
                return told.get("seconds", told.get("minutes", Decimal(0)) * 60)
            case FindingKind.SPIKE | FindingKind.WHILE_DISCONNECTED:
                return told.get("value", Decimal(0))
            case _:
                return told.get("count", Decimal(0))


_ZONE_WORDS: Mapping[str, str] = {
    "all": mark("whole day"),
    "peak": mark("peak"),
    "semi_peak": mark("semi-peak"),
    "day": mark("day"),
    "night": mark("night"),
}


_FRACTION: Final = re.compile(r"-?[0-9]+\.[0-9]+")


def _word(
    name: str, value: int | str, translate: Callable[[str], str], show: Callable[[Decimal], str]
) -> int | str:
    """Return what fills a place of a sentence: zones and units by their names, numbers shown."""
    if name == "unit":
        return translate(str(value))
    if name in ("zone", "other") and value in _ZONE_WORDS:
        return translate(_ZONE_WORDS[str(value)])
    # A serial number may look like a number with a fraction.
    if name != "meter" and _FRACTION.fullmatch(str(value)):
        return show(Decimal(value))
    return value


def _number(value: int | str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return Decimal(0)
    return number if number.is_finite() else Decimal(0)


def _may_stride(known: npt.NDArray[np.bool_]) -> bool:
    """Say whether a day is so empty that its intervals might be longer than the grid."""
    count = int(np.count_nonzero(known))
    return STRIDE_KNOWN_MIN <= count <= len(known) // 2 + 1


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
            own = np.frombuffer(quality, np.uint8) != Quality.MISSING
            if _may_stride(own) and strides(own[None])[0] > 1:
                # Its intervals are longer than the grid: that is a finding of its own, not gaps.
                own = np.arange(len(own)) >= own.argmax()
            known[first : first + len(quality)] = own
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
