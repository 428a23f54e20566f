"""Tables of market prices: series, the days and intervals of one, peak hours by month."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import url_for

from kilokassa.core.calendar import Month, intervals_in_day, local_date, local_day
from kilokassa.core.money import half_up_ratio
from kilokassa.core.text import Language, mark
from kilokassa.web.doers import Doers
from kilokassa.web.kit import Column, Kind, Table
from kilokassa.web.visit import Visit
from tariffs.prices.prices import StoredDay
from tariffs.prices.store import PeakHour, Series


@dataclass(frozen=True, slots=True)
class DayRevision:
    """A revision of a day as the list of a month shows it."""

    stored: StoredDay
    holds: bool

    @property
    def prices(self) -> list[int]:
        """The prices in millionths of a rouble per kWh."""
        return [int(price) for price in self.stored.prices.prices_scaled]


@dataclass(frozen=True, slots=True)
class IntervalPrice:
    """One interval of a day: its price, and the price it had before, where there was one."""

    starts: str
    price_scaled: int
    former_scaled: int | None

    @property
    def difference_scaled(self) -> int | None:
        """How much more the price is than the one before."""
        return None if self.former_scaled is None else self.price_scaled - self.former_scaled


@dataclass(frozen=True, slots=True)
class HoursOfMonth:
    """The peak hours of a list in one month."""

    list_code: str
    month: Month
    hours: Sequence[PeakHour]
    zone: ZoneInfo

    @property
    def text(self) -> str:
        """Each time of the day with its days of the month: `10:00: 2, 6; 18:00: 1, 5`."""
        days: dict[str, list[str]] = {}
        for hour in self.hours:
            at = hour.starts_at.astimezone(self.zone)
            days.setdefault(f"{at:%H:%M}", []).append(str(at.day))
        return "; ".join(f"{time}: {', '.join(named)}" for time, named in sorted(days.items()))

    @property
    def latest(self) -> PeakHour:
        """The hour that was named last."""
        return max(self.hours, key=lambda hour: hour.recorded_at)


def series_table(items: Sequence[Series], language: Language) -> Table[Series]:
    """Return the list of price series."""
    return Table(
        name="price-series",
        caption=mark("Price series"),
        columns=(
            Column(
                "name",
                mark("Series"),
                lambda one: one.name if language is Language.RUSSIAN else one.name_en,
                link=lambda one: url_for("console.one_price_series", code=one.code),
            ),
            Column("code", mark("Code"), lambda one: one.code),
            Column("interval", mark("Interval, min"), lambda one: one.interval_min, Kind.NUMBER),
            Column("zone", mark("Time zone"), lambda one: one.zone.key, minor=True),
            Column("first", mark("From"), lambda one: one.first_day, Kind.DATE, minor=True),
            Column("last", mark("Until"), lambda one: one.last_day, Kind.DATE),
            Column(
                "missing",
                mark("Missing days"),
                lambda one: one.missing_days,
                Kind.NUMBER,
                tone=lambda one: "bad" if one.missing_days else "",
            ),
            Column(
                "revised",
                mark("Revised days"),
                lambda one: one.revised_days,
                Kind.NUMBER,
                minor=True,
            ),
        ),
        items=items,
        empty=mark("No price series has begun: begin one below, then bring its first file."),
    )


def hours_table(items: Sequence[PeakHour], zone: ZoneInfo) -> Table[HoursOfMonth]:
    """Return the peak hours of lists, a month a row."""
    by_month: dict[tuple[Month, str], list[PeakHour]] = {}
    for hour in items:
        month = Month.of(local_date(hour.starts_at, zone))
        by_month.setdefault((month, hour.list_code), []).append(hour)
    months = sorted(by_month.items(), key=lambda one: (-one[0][0].ordinal, one[0][1]))
    return Table(
        name="peak-hours",
        caption=mark("Hours of regulated peak"),
        columns=(
            Column("month", mark("Month"), lambda one: one.month, Kind.MONTH),
            Column("list", mark("List"), lambda one: one.list_code),
            Column("hours", mark("Hour: days of the month"), lambda one: one.text),
            Column(
                "recorded",
                mark("Recorded"),
                lambda one: one.latest.recorded_at,
                Kind.INSTANT,
                minor=True,
            ),
            Column("source", mark("Source"), lambda one: one.latest.source, minor=True),
        ),
        items=[HoursOfMonth(code, month, hours, zone) for (month, code), hours in months],
        empty=mark("No hours were named yet. Plans with a capacity charge by them wait for it."),
    )


def days_table(here: Visit, series: Series, items: Sequence[DayRevision]) -> Table[DayRevision]:
    """Return the revisions of the days of a month."""
    doers = Doers(here, [one.stored.actor for one in items])
    return Table(
        name=f"prices-{series.code}",
        caption=mark("Days with their revisions"),
        columns=(
            Column(
                "day",
                mark("Day"),
                lambda one: one.stored.prices.day,
                Kind.DATE,
                link=lambda one: url_for(
                    "console.one_price_series",
                    code=series.code,
                    month=str(Month.of(one.stored.prices.day)),
                    day=one.stored.prices.day.isoformat(),
                ),
            ),
            Column("revision", mark("Revision"), lambda one: one.stored.revision, Kind.NUMBER),
            Column(
                "state",
                mark("State"),
                lambda one: mark("in force") if one.holds else mark("replaced"),
                Kind.MESSAGE,
                tone=lambda one: "good" if one.holds else "quiet",
            ),
            Column(
                "mean",
                mark("Mean, ₽"),
                lambda one: half_up_ratio(sum(one.prices), len(one.prices)),
                Kind.RATE,
            ),
            Column("lowest", mark("Lowest, ₽"), lambda one: min(one.prices), Kind.RATE),
            Column("highest", mark("Highest, ₽"), lambda one: max(one.prices), Kind.RATE),
            Column(
                "recorded",
                mark("Recorded"),
                lambda one: one.stored.recorded_at,
                Kind.INSTANT,
                minor=True,
            ),
            Column("source", mark("Source"), lambda one: one.stored.source, minor=True),
            Column("actor", mark("By"), lambda one: doers.name(one.stored.actor), minor=True),
        ),
        items=list(reversed(items)),
        empty=mark("There are no prices of this month."),
    )


def intervals_table(series: Series, day: date, days: Sequence[DayRevision]) -> Table[IntervalPrice]:
    """Return the prices of a day, with those that its revision before had."""
    of_day = [one.prices for one in days if one.stored.prices.day == day]
    former = of_day[-2] if len(of_day) > 1 else None
    rows = [
        IntervalPrice(clock, price, None if former is None else former[number])
        for number, (clock, price) in enumerate(
            zip(clocks_of(series, day), of_day[-1], strict=True)
        )
    ]
    columns: list[Column[IntervalPrice]] = [
        Column("starts", mark("Begins"), lambda one: one.starts),
        Column("price", mark("Price, ₽ per kWh"), lambda one: one.price_scaled, Kind.RATE),
    ]
    if former is not None:
        columns += [
            Column("former", mark("Before, ₽ per kWh"), lambda one: one.former_scaled, Kind.RATE),
            Column(
                "difference",
                mark("Difference, ₽"),
                lambda one: one.difference_scaled,
                Kind.RATE,
                tone=lambda one: "warn" if one.difference_scaled else "",
            ),
        ]
    return Table(
        name=f"prices-{series.code}-{day}",
        caption=mark("Prices of the day"),
        columns=columns,
        items=rows,
    )


def clocks_of(series: Series, day: date) -> list[str]:
    """Return the time on the wall at which each interval of a day begins."""
    begins, step = local_day(day, series.zone).start, timedelta(minutes=series.interval_min)
    count = intervals_in_day(day, series.zone, series.interval_min)
    instants: list[datetime] = [begins + number * step for number in range(count)]
    return [f"{instant.astimezone(series.zone):%H:%M}" for instant in instants]
