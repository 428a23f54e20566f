"""What a tariff looks like, as values: its kinds of day, a year of them, the ladder of ranges."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from kilokassa.core.zones import MINUTES_PER_DAY, DayZones, Zone
from tariffs.day_types import DayType
from tariffs.plans import DatedRates, TariffVersion


@dataclass(frozen=True, slots=True)
class DayWindow:
    """A stretch of a local day in one zone, with its rate in the first range."""

    opens_minute: int
    closes_minute: int
    zone: Zone
    rate_scaled: int
    """Millionths of a rouble per kWh."""


@dataclass(frozen=True, slots=True)
class DayPicture:
    """A kind of day: which days it is for, its windows, and the first such day from the date on."""

    number: int
    """Of the schedule, from 1."""
    day_types: tuple[DayType, ...]
    """Empty where it is every type of day."""
    season: str
    """Empty where the version knows none."""
    example: date
    windows: tuple[DayWindow, ...]

    @property
    def highest_scaled(self) -> int:
        """The highest rate of the day."""
        return max(window.rate_scaled for window in self.windows)


@dataclass(frozen=True, slots=True)
class YearDay:
    """One day of a year as its price is decided."""

    day: date
    day_type: DayType
    season: str
    new_prices: bool
    """Says that other rates hold from this day on than on the day before."""
    zones: DayZones | None
    """None before the version begins and after its last price."""

    @property
    def known(self) -> bool:
        """Say whether the version has a price for the day."""
        return self.zones is not None


@dataclass(frozen=True, slots=True)
class Rung:
    """One range of consumption with its rates by zone."""

    number: int
    above_wh: int
    up_to_wh: int | None
    """None in the last range, and where the border depends on the persons."""
    percent: int | None
    """Of the social norm, where the border is a share of one."""
    rates: tuple[tuple[Zone, int], ...]


def day_pictures(version: TariffVersion, day: date) -> tuple[DayPicture, ...]:
    """Return the kinds of day that differ in the year from `day` on, in the order they come.

    Two days are of one kind where their windows and rates of zones are the same.
    """
    kinds: dict[tuple[DayZones, tuple[int, ...], str], list[tuple[date, DayType]]] = {}
    for one in _days(version, day):
        rates = version.rates_on(one)
        key = (version.zones_on(one), rates.rates_scaled[0], version.season_of(one))
        if kinds and rates.valid_from > day:
            # Prices that come later are told by their date, not as another kind of day.
            key = (key[0], _rates_before(version, one, day), key[2])
        kinds.setdefault(key, []).append((one, version.calendar.type_of(one)))
    found = []
    for number, ((zones, rates_scaled, season), days) in enumerate(kinds.items(), start=1):
        types = {day_type for _, day_type in days}
        rate_of = dict(zip(version.zones, rates_scaled, strict=True))
        found.append(
            DayPicture(
                number,
                tuple(t for t in DayType if t in types) if version.schedules else (),
                season,
                days[0][0],
                tuple(
                    DayWindow(w.opens_minute, w.closes_minute, w.zone, rate_of[w.zone])
                    for w in zones.windows
                ),
            )
        )
    return tuple(found)


def _rates_before(version: TariffVersion, day: date, last: date) -> tuple[int, ...]:
    """Return the first range's rates of the season of `day` that hold on or before `last`."""
    season = version.season_of(day)
    of_season = [dated for dated in version.rates if dated.season in {"", season}]
    holding = [dated for dated in of_season if dated.valid_from <= last] or of_season[:1]
    return holding[-1].rates_scaled[0]


def shown_from(version: TariffVersion, day: date) -> date:
    """Return the day from which a version is shown: `day`, or where it has no price the nearest."""
    latest = version.prices_until or day
    return max(version.valid_from, min(day, latest))


def _days(version: TariffVersion, day: date) -> Iterator[date]:
    one = shown_from(version, day)
    for _ in range(366):
        if version.prices_until is not None and one > version.prices_until:
            return
        yield one
        one += timedelta(days=1)


def year_picture(version: TariffVersion, year: int) -> tuple[tuple[YearDay, ...], ...]:
    """Return the days of a year, by month."""
    days = []
    before: DatedRates | None = None
    one = date(year, 1, 1)
    while one.year == year:
        try:
            rates = version.rates_on(one) if one >= version.valid_from else None
        except ValueError:
            rates = None
        changed = (
            rates is not None
            and before is not None
            and rates is not before
            and rates.valid_from == one
        )
        days.append(
            YearDay(
                one,
                version.calendar.type_of(one),
                version.season_of(one),
                changed,
                None if rates is None else version.zones_on(one),
            )
        )
        before = rates
        one += timedelta(days=1)
    return tuple(tuple(month) for _, month in groupby(days, key=lambda found: found.day.month))


def ladder(version: TariffVersion, day: date) -> tuple[Rung, ...]:
    """Return the ranges of consumption as they hold on a day; empty where there is one alone."""
    if version.range_count == 1:
        return ()
    rates = version.rates_on(shown_from(version, day)).rates_scaled
    borders = version.range_borders_wh
    percents = () if version.norm is None else version.norm.bands_percent
    found = []
    for number, row in enumerate(rates, start=1):
        found.append(
            Rung(
                number,
                borders[number - 2] if borders and number > 1 else 0,
                borders[number - 1] if number <= len(borders) else None,
                percents[number - 1] if number <= len(percents) else None,
                tuple(zip(version.zones, row, strict=True)),
            )
        )
    return tuple(found)


def minutes_share(minute: int, width: int) -> int:
    """Return where a minute of the day stands on a line so many units long, rounded down.

    >>> minutes_share(720, 480)
    240
    """
    return minute * width // MINUTES_PER_DAY
