"""Standard load profiles (типовые профили): the shape of a day by month, day type and customer.

A shape only: it spreads a known quantity over a day, and is never anybody's measured energy.
"""

import csv
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import IntEnum, StrEnum
from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

HALF_HOURS: Final = 48
_HALF_HOUR_MIN: Final = 30


class ProfileKind(StrEnum):
    """Whose shape a standard profile is (BDEW Standardlastprofile 2025)."""

    HOUSEHOLD = "h25"
    BUSINESS = "g25"
    FARM = "l25"


class DayType(IntEnum):
    """The kind of day a profile tells apart; its place in the array."""

    SATURDAY = 0
    HOLIDAY = 1
    WORKING_DAY = 2


_DAY_TYPES: Final = {
    "SA": DayType.SATURDAY,
    "FT": DayType.HOLIDAY,
    "WT": DayType.WORKING_DAY,
}

_PUBLIC_HOLIDAYS: Final = frozenset(
    {(1, day) for day in range(1, 9)} | {(2, 23), (3, 8), (5, 1), (5, 9), (6, 12), (11, 4)}
)
"""Month and day of Russian public holidays (ТК РФ, article 112): they live like Sundays."""


def day_type(day: date) -> DayType:
    """Return how people live on a day: as on a working day, a Saturday, or a Sunday or holiday."""
    if day.weekday() == 6 or (day.month, day.day) in _PUBLIC_HOLIDAYS:
        return DayType.HOLIDAY
    return DayType.SATURDAY if day.weekday() == 5 else DayType.WORKING_DAY


def load_profile(kind: ProfileKind | str) -> npt.NDArray[np.int64]:
    """Return the profile as an array [month 0-11][day type][half hour], whole watt-hours.

    The numbers are those of a customer who uses 1,000,000 kWh a year: only their shape counts.
    """
    return _profiles()[ProfileKind(kind)].copy()


def profile_weights(
    starts: Sequence[datetime], zone: ZoneInfo, kind: ProfileKind = ProfileKind.HOUSEHOLD
) -> tuple[int, ...]:
    """Return the weight of each interval of one length, by the half hour it starts in."""
    profile = _profiles()[kind]
    weights = []
    for start in starts:
        local = start.astimezone(zone)
        place = (local.hour * 60 + local.minute) // _HALF_HOUR_MIN
        weights.append(int(profile[local.month - 1, day_type(local.date()), place]))
    return tuple(weights)


def interval_starts(start: datetime, count: int, interval_min: int) -> tuple[datetime, ...]:
    """Return the instants at which `count` successive intervals start."""
    step = timedelta(minutes=interval_min)
    return tuple(start + step * place for place in range(count))


@cache
def _profiles() -> dict[ProfileKind, npt.NDArray[np.int64]]:
    found = {kind: np.zeros((12, 3, HALF_HOURS), np.int64) for kind in ProfileKind}
    text = (files("metering") / "rules" / "standard_profiles.csv").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for row in csv.reader(lines[1:]):
        kind, month, kind_of_day, *values = row
        found[ProfileKind(kind)][int(month) - 1, _DAY_TYPES[kind_of_day]] = [int(v) for v in values]
    assert all((profile > 0).all() for profile in found.values())
    return found
