"""How much water a flat is charged for, in whole litres; pure calculation.

What a register counted is charged in the month in which its later reading was taken. A month
without a reading is charged by the own average for up to three periods, then by the norm
(ПП РФ от 06.05.2011 № 354, п. 59, 60); what was charged so is set off when a reading comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from kilokassa.core.money import half_up_ratio

KCAL_AND_LITRES: Final = 1_000
AVERAGE_PERIODS_MAX: Final = 3
"""So many periods in a row are charged by the own average (ПП 354, п. 59)."""
AVERAGE_DAYS_MIN: Final = 85
"""An own average stands on at least three months; on six where there are six (п. 59, пп. «а»)."""
AVERAGE_DAYS_MAX: Final = 184


class VolumeMethod(StrEnum):
    """How a volume was found."""

    METER = "meter"
    AVERAGE = "average"
    NORM = "norm"


@dataclass(frozen=True, slots=True)
class Counted:
    """What a meter counted between two days of reading, whole litres."""

    first: date
    last: date
    litres: int


def norm_litres(litres_a_person: int, persons: tuple[int, int]) -> int:
    """Return the month's volume by the norm for a fraction of persons, rounded half up.

    >>> norm_litres(4_745, (3, 1)), norm_litres(4_745, (70, 31))
    (14235, 10715)
    """
    numerator, denominator = persons
    return half_up_ratio(litres_a_person * numerator, denominator)


def average_litres(counted: Sequence[Counted], days: int) -> int | None:
    """Return what so many days take by the average of the latest half year that was counted.

    None where too little was counted.
    """
    litres = span = 0
    for one in sorted(counted, key=lambda one: one.last, reverse=True):
        if span >= AVERAGE_DAYS_MAX:
            break
        litres += one.litres
        span += (one.last - one.first).days
    return half_up_ratio(litres * days, span) if span >= AVERAGE_DAYS_MIN else None


def heat_kcal(litres: int, kcal_per_m3: int) -> int:
    """Return the heat that warms a volume of water by the norm, whole kilocalories, half up.

    >>> heat_kcal(3_500, 52_600)
    184100
    """
    return half_up_ratio(litres * kcal_per_m3, KCAL_AND_LITRES)


def part_of_days(total: int, first: int, end: int, days: int) -> int:
    """Return the whole units that the days from `first` up to `end` of a month of `days` have.

    Rounded down on the running total, so that the parts of any cutting sum to `total`.

    >>> [part_of_days(100, *cut, 31) for cut in ((0, 10), (10, 31))]
    [32, 68]
    """
    return _until(total, end, days) - _until(total, first, days)


def _until(total: int, day: int, days: int) -> int:
    return (abs(total) * day // days) * (1 if total >= 0 else -1)
