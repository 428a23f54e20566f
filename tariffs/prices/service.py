"""Use cases of prices that come from outside: begin a series, take days in, name peak hours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.errors import DomainError, Invalid, NotFound
from kilokassa.core.period import Period
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.locks import wait_for
from kilokassa.db.slices import in_slices
from tariffs.models import PeakHourRow, PriceDayRow, PriceSeriesRow
from tariffs.prices.files import read_peak_hours, read_prices
from tariffs.prices.prices import INTERVALS_MIN, DayPrices
from tariffs.prices.store import standing_days

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LONGEST_NAME: Final = 200


class SeriesExists(DomainError):
    """A series of the code exists, and its grid is another one."""

    code = "series_exists"
    template = mark(
        "The price series %(series)s exists with intervals of %(minutes)s minutes in %(zone)s; "
        "its grid never changes."
    )


@dataclass(frozen=True, slots=True)
class SeriesOrder:
    """A price series to begin."""

    scope: Scope
    code: str
    name: str
    zone: ZoneInfo
    interval_min: int = 60
    name_en: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class PricesOrder:
    """Whole days of prices to take into a series."""

    scope: Scope
    series: str
    days: Sequence[DayPrices]
    source: str


@dataclass(frozen=True, slots=True)
class PricesTaken:
    """What became of the days."""

    new: tuple[date, ...]
    changed: tuple[date, ...]
    """Days that had other prices: those stay readable, and bills that used them are looked at."""
    same: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class PeakHoursOrder:
    """The hours of a list, for every local month that one of them lies in.

    A month is stated whole: what stood for it before and is not among the hours no longer holds.
    """

    scope: Scope
    list_code: str
    zone: ZoneInfo
    hours: Sequence[datetime]
    source: str


@dataclass(frozen=True, slots=True)
class PeakHoursNamed:
    """What became of the hours."""

    months: tuple[Month, ...]
    named: int
    withdrawn: int
    same: int


def begin_series(session: Session, order: SeriesOrder, clock: Clock) -> bool:
    """Begin a series and say whether it is new; refuse another grid for one that exists."""
    order.scope.demand(Right.PUBLISH_TARIFFS)
    _check_code(order.code)
    if not 0 < len(order.name.strip()) <= _LONGEST_NAME:
        raise Invalid(where=mark("name"), problem=mark("a name has 1 to 200 characters"))
    if order.interval_min not in INTERVALS_MIN:
        raise Invalid(
            where=mark("interval"),
            problem=mark("prices come by 15, 30 or 60 minutes, and not by %(minutes)s"),
            minutes=order.interval_min,
        )
    wait_for(session, f"price series {order.code}")
    row = session.scalars(
        select(PriceSeriesRow).where(PriceSeriesRow.code == order.code)
    ).one_or_none()
    if row is None:
        session.add(
            PriceSeriesRow(
                code=order.code,
                name=order.name.strip(),
                name_en=order.name_en.strip(),
                zone=order.zone.key,
                interval_min=order.interval_min,
                source=order.source,
                created_at=clock.now(),
            )
        )
        session.flush()
        return True
    if (row.zone, row.interval_min) != (order.zone.key, order.interval_min):
        raise SeriesExists(series=row.code, minutes=row.interval_min, zone=row.zone)
    return False


def take_file(
    session: Session, scope: Scope, series: str, content: bytes, name: str, clock: Clock
) -> PricesTaken:
    """Take the days of a file in, read by the grid and the clock of its series."""
    scope.demand(Right.PUBLISH_TARIFFS)
    row = session.scalars(select(PriceSeriesRow).where(PriceSeriesRow.code == series)).one_or_none()
    if row is None:
        raise NotFound(what=mark("price series"), name=series)
    days = read_prices(content, ZoneInfo(row.zone), row.interval_min, where=name)
    return take_prices(session, PricesOrder(scope, series, days, name), clock)


def take_prices(session: Session, order: PricesOrder, clock: Clock) -> PricesTaken:
    """Take whole days in: the same prices again change nothing, others are the next revision."""
    order.scope.demand(Right.PUBLISH_TARIFFS)
    # Two who bring the same day come one after the other, so revisions count without a gap.
    row = session.scalars(
        select(PriceSeriesRow).where(PriceSeriesRow.code == order.series).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(what=mark("price series"), name=order.series)
    days = {one.day: one for one in order.days}
    known = {
        stored.prices.day: (stored.revision, stored.prices.digest)
        for stored in (standing_days(session, row.id, min(days), max(days)) if days else ())
    }
    taken: dict[str, list[date]] = {"new": [], "changed": [], "same": []}
    rows = []
    for day, prices in sorted(days.items()):
        revision, digest = known.get(day, (0, ""))
        fate = "same" if digest == prices.digest else "changed" if revision else "new"
        taken[fate].append(day)
        if fate != "same":
            rows.append(
                {
                    "series_id": row.id,
                    "day": day,
                    "revision": revision + 1,
                    "prices": prices.packed,
                    "digest": prices.digest,
                    "source": order.source,
                    "actor": order.scope.actor,
                    "recorded_at": clock.now(),
                }
            )
    if rows:
        session.execute(insert(PriceDayRow), rows)
    return PricesTaken(tuple(taken["new"]), tuple(taken["changed"]), tuple(taken["same"]))


def name_peak_hours(session: Session, order: PeakHoursOrder, clock: Clock) -> PeakHoursNamed:
    """State the peak hours of the months they lie in; what was stated before is kept as known."""
    order.scope.demand(Right.PUBLISH_TARIFFS)
    _check_code(order.list_code)
    wait_for(session, f"peak hours {order.list_code}")
    hours = set(order.hours)
    months = sorted({Month.of(local_date(hour, order.zone)) for hour in hours})
    standing: dict[datetime, int] = {}
    for month in months:
        standing |= _standing(session, order.list_code, month.period(order.zone))
    withdrawn = [standing[hour] for hour in sorted(standing.keys() - hours)]
    named = sorted(hours - standing.keys())
    for ids in in_slices(withdrawn):
        session.execute(
            update(PeakHourRow).where(PeakHourRow.id.in_(ids)).values(superseded_at=clock.now())
        )
    if named:
        session.execute(
            insert(PeakHourRow),
            [
                {
                    "list_code": order.list_code,
                    "starts_at": hour,
                    "source": order.source,
                    "actor": order.scope.actor,
                    "recorded_at": clock.now(),
                    "superseded_at": None,
                }
                for hour in named
            ],
        )
    return PeakHoursNamed(tuple(months), len(named), len(withdrawn), len(hours & standing.keys()))


def take_peak_hours_file(
    session: Session,
    scope: Scope,
    list_code: str,
    zone: ZoneInfo,
    content: bytes,
    name: str,
    clock: Clock,
) -> PeakHoursNamed:
    """State the peak hours that a file names, by the clock of `zone`."""
    hours = read_peak_hours(content, zone, where=name)
    return name_peak_hours(session, PeakHoursOrder(scope, list_code, zone, hours, name), clock)


def _standing(session: Session, list_code: str, period: Period) -> dict[datetime, int]:
    rows = session.execute(
        select(PeakHourRow.starts_at, PeakHourRow.id).where(
            PeakHourRow.list_code == list_code,
            PeakHourRow.starts_at >= period.start,
            PeakHourRow.starts_at < period.end,
            PeakHourRow.superseded_at.is_(None),
        )
    )
    return {row.starts_at: row.id for row in rows}


def _check_code(code: str) -> None:
    if _CODE.fullmatch(code) is None:
        raise Invalid(
            where=mark("code"),
            problem=mark("a code has small Latin letters, digits, _ and -, at most 64"),
        )
