"""Standard load profiles: the shape of a day for a month, a day type and a kind of customer."""

import csv
from enum import IntEnum, StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
import numpy.typing as npt

HALF_HOURS: Final = 48


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


def load_profile(kind: ProfileKind | str) -> npt.NDArray[np.int64]:
    """Return the profile as an array [month 0-11][day type][half hour], whole watt-hours.

    The numbers are those of a customer who uses 1,000,000 kWh a year: only their shape counts.
    """
    return _profiles()[ProfileKind(kind)].copy()


@cache
def _profiles() -> dict[ProfileKind, npt.NDArray[np.int64]]:
    found = {kind: np.zeros((12, 3, HALF_HOURS), np.int64) for kind in ProfileKind}
    text = (files("kilokassa.demo") / "data" / "profiles.csv").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for row in csv.reader(lines[1:]):
        kind, month, day_type, *values = row
        found[ProfileKind(kind)][int(month) - 1, _DAY_TYPES[day_type]] = [int(v) for v in values]
    assert all((profile > 0).all() for profile in found.values())
    return found
