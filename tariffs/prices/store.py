"""Queries of price series and peak hours, as they stand or as they were known at an instant."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kilokassa.core.calendar import Month, local_date
from kilokassa.core.errors import NotFound
from kilokassa.core.period import Period
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.statements import stands
from tariffs.facts import PriceSeries
from tariffs.models import PeakHourRow, PriceDayRow, PriceSeriesRow
from tariffs.prices.prices import DayPrices, StoredDay, joined, unpacked


@dataclass(frozen=True, slots=True)
class Series:
    """A price series as lists show it."""

    id: int
    code: str
    name: str
    name_en: str
    zone: ZoneInfo
    """Of whose local days the prices come."""
    interval_min: int
    source: str
    first_day: date | None = None
    last_day: date | None = None
    days: int = 0
    """Local days that have prices."""
    revised_days: int = 0
    """Days among them whose prices were changed later."""

    @property
    def missing_days(self) -> int:
        """Days without prices between the first and the last one."""
        if self.first_day is None or self.last_day is None:
            return 0
        return (self.last_day - self.first_day).days + 1 - self.days


@dataclass(frozen=True, slots=True)
class PeakHour:
    """An hour that the market's operator named as one of regulated peak."""

    list_code: str
    starts_at: datetime
    source: str
    actor: str
    recorded_at: datetime


def series_for(
    session: Session, codes: Iterable[str], period: Period, known_at: datetime | None = None
) -> dict[str, PriceSeries]:
    """Return for each code the prices of the local days that `period` touches.

    Of several revisions of a day the highest recorded up to `known_at` holds. A day without
    prices is a hole, which rating refuses by name; a code without any price in the period is left
    out, which rating refuses too.
    """
    found = {}
    query = select(PriceSeriesRow).where(PriceSeriesRow.code.in_(sorted(set(codes))))
    for row in session.scalars(query):
        zone = ZoneInfo(row.zone)
        first = local_date(period.start, zone)
        last = local_date(period.end - timedelta(microseconds=1), zone)
        series = joined(
            row.code, row.interval_min, zone, standing_days(session, row.id, first, last, known_at)
        )
        if series is not None:
            found[row.code] = series
    return found


def standing_days(
    session: Session, series_id: int, first: date, last: date, known_at: datetime | None = None
) -> tuple[StoredDay, ...]:
    """Return the prices that hold for each local day from `first` to `last`, in order."""
    standing = {
        stored.prices.day: stored for stored in _days(session, series_id, first, last, known_at)
    }
    return tuple(standing.values())


def revisions(session: Session, series_id: int, first: date, last: date) -> tuple[StoredDay, ...]:
    """Return every revision of each local day from `first` to `last`, the oldest first."""
    return tuple(_days(session, series_id, first, last, None))


def _days(
    session: Session, series_id: int, first: date, last: date, known_at: datetime | None
) -> Iterable[StoredDay]:
    query = (
        select(PriceDayRow)
        .where(PriceDayRow.series_id == series_id, PriceDayRow.day.between(first, last))
        .order_by(PriceDayRow.day, PriceDayRow.revision)
    )
    if known_at is not None:
        query = query.where(PriceDayRow.recorded_at <= known_at)
    for row in session.scalars(query):
        yield StoredDay(
            DayPrices(row.day, unpacked(row.prices)),
            row.revision,
            row.source,
            row.actor,
            row.recorded_at,
        )


def regulated_hours(
    session: Session, list_codes: Collection[str], period: Period, known_at: datetime | None = None
) -> dict[str, tuple[datetime, ...]]:
    """Return for each list its peak hours (UTC, their beginnings) in `period`, in order.

    A list that names no hour in the period is left out.
    """
    query = (
        select(PeakHourRow.list_code, PeakHourRow.starts_at)
        .where(
            PeakHourRow.list_code.in_(sorted(set(list_codes))),
            PeakHourRow.starts_at >= period.start,
            PeakHourRow.starts_at < period.end,
            stands(PeakHourRow, known_at),
        )
        .order_by(PeakHourRow.list_code, PeakHourRow.starts_at)
    )
    found: dict[str, list[datetime]] = {}
    for code, starts_at in session.execute(query):
        found.setdefault(code, []).append(starts_at.astimezone(UTC))
    return {code: tuple(hours) for code, hours in found.items()}


def peak_hours(
    session: Session, scope: Scope, list_code: str | None = None
) -> tuple[PeakHour, ...]:
    """Return the standing peak hours, of one list or of all, in order."""
    scope.demand(Right.VIEW_STAFF)
    query = (
        select(PeakHourRow)
        .where(stands(PeakHourRow, None))
        .order_by(PeakHourRow.list_code, PeakHourRow.starts_at)
    )
    if list_code is not None:
        query = query.where(PeakHourRow.list_code == list_code)
    return tuple(
        PeakHour(row.list_code, row.starts_at, row.source, row.actor, row.recorded_at)
        for row in session.scalars(query)
    )


def all_series(session: Session, scope: Scope) -> tuple[Series, ...]:
    """Return every series with what it holds, by code."""
    scope.demand(Right.VIEW_STAFF)
    held = (
        select(
            PriceDayRow.series_id,
            func.min(PriceDayRow.day).label("first_day"),
            func.max(PriceDayRow.day).label("last_day"),
            func.count(PriceDayRow.day.distinct()).label("days"),
        )
        .group_by(PriceDayRow.series_id)
        .subquery()
    )
    revised = (
        select(PriceDayRow.series_id, func.count().label("days"))
        .where(PriceDayRow.revision == 2)  # a changed day has a second one
        .group_by(PriceDayRow.series_id)
        .subquery()
    )
    query = (
        select(PriceSeriesRow, held.c.first_day, held.c.last_day, held.c.days, revised.c.days)
        .outerjoin(held, held.c.series_id == PriceSeriesRow.id)
        .outerjoin(revised, revised.c.series_id == PriceSeriesRow.id)
        .order_by(PriceSeriesRow.code)
    )
    return tuple(
        Series(
            row.id,
            row.code,
            row.name,
            row.name_en or row.name,
            ZoneInfo(row.zone),
            row.interval_min,
            row.source,
            first_day,
            last_day,
            days or 0,
            revised_days or 0,
        )
        for row, first_day, last_day, days, revised_days in session.execute(query)
    )


def days_of_month(
    session: Session, scope: Scope, series: Series, month: Month
) -> tuple[StoredDay, ...]:
    """Return every revision of each local day of a month, the oldest first."""
    scope.demand(Right.VIEW_STAFF)
    return revisions(session, series.id, month.first_day, month.days[-1])


def series_by_code(session: Session, scope: Scope, code: str) -> Series:
    """Return one series; refuse an unknown code."""
    found = next((series for series in all_series(session, scope) if series.code == code), None)
    if found is None:
        raise NotFound(what=mark("price series"), name=code)
    return found
