"""Which type a local day has: working, weekend or holiday, with working days that were moved.

The named calendars come from the package `holidays`, which holds the decrees that move days off; a
tariff document may overrule any day of them, so a decree that the package does not know yet needs
no release.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Final

import holidays

SATURDAY: Final = 5
COUNTRIES: Final = {"russia": "RU"}
"""Named calendars, by the code of the country in the package `holidays`."""
NO_HOLIDAYS: Final = "none"


class DayType(StrEnum):
    """The type of a local day (тип дня)."""

    WORKING = "working"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True)
class HolidayCalendar:
    """A named calendar and the days that overrule it, by date."""

    name: str = NO_HOLIDAYS
    overruled: tuple[tuple[date, DayType], ...] = ()
    _by_date: Mapping[date, DayType] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        if self.name != NO_HOLIDAYS and self.name not in COUNTRIES:
            raise ValueError(f"there is no calendar {self.name!r}")
        object.__setattr__(self, "_by_date", dict(self.overruled))

    def name_of(self, day: date, *, russian: bool) -> str:
        """Return what a holiday is called, as the named calendar knows it; empty without a name."""
        if self.name == NO_HOLIDAYS or self.type_of(day) is not DayType.HOLIDAY:
            return ""
        return str(_named(self.name, day.year, "ru" if russian else "en_US").get(day, ""))

    def type_of(self, day: date) -> DayType:
        """Return the type of a local day.

        A day off that takes the place of a holiday counts as a holiday, whatever its day of the
        week; a Saturday that is worked for another day counts as a working day.

        >>> HolidayCalendar("russia").type_of(date(2026, 11, 4))  # a Wednesday
        <DayType.HOLIDAY: 'holiday'>
        >>> HolidayCalendar("russia").type_of(date(2025, 11, 1))  # a Saturday, worked
        <DayType.WORKING: 'working'>
        """
        found = self._by_date.get(day)
        if found is not None:
            return found
        if self.name != NO_HOLIDAYS:
            off, worked = _days_of(self.name, day.year)
            if day in off:
                return DayType.HOLIDAY
            if day in worked:
                return DayType.WORKING
        return DayType.WEEKEND if day.weekday() >= SATURDAY else DayType.WORKING


ONLY_THE_WEEK: Final = HolidayCalendar()
"""Knows no holidays."""


@lru_cache(maxsize=64)
def _days_of(name: str, year: int) -> tuple[frozenset[date], frozenset[date]]:
    """Return the days off and the worked days of a weekend in one year of a named calendar."""
    known = holidays.country_holidays(COUNTRIES[name], years=year)
    return frozenset(known), frozenset(known.weekend_workdays)


@lru_cache(maxsize=64)
def _named(name: str, year: int, language: str) -> Mapping[date, str]:
    return dict(holidays.country_holidays(COUNTRIES[name], years=year, language=language))
