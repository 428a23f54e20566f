"""Queries of the house balance: its points, their channels and meters, what their meters told."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Table, exists, func, or_, select
from sqlalchemy.orm import Session

from kilokassa.core.errors import NotFound
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import building_in_scope
from kilokassa.db.slices import in_slices
from metering.balance.house import Losses, Role
from metering.events.kinds import TAMPERING, DeviceEventKind
from metering.findings.finding import FindingKind, FindingState
from metering.models import (
    BuildingRow,
    ChannelRow,
    DeviceEventRow,
    FindingRow,
    MeteringPointRow,
    MeterRow,
    PremisesRow,
)
from metering.registry.places import ACTIVE_GIVEN, ACTIVE_TAKEN, Commodity

LOST_FOR_LONG = timedelta(days=1)

_buildings = cast(Table, BuildingRow.__table__)
_points = cast(Table, MeteringPointRow.__table__)
_premises = cast(Table, PremisesRow.__table__)
_channels = cast(Table, ChannelRow.__table__)
_meters = cast(Table, MeterRow.__table__)
_events = cast(Table, DeviceEventRow.__table__)
_findings = cast(Table, FindingRow.__table__)


@dataclass(frozen=True, slots=True)
class House:
    """A building with what its balance needs to know of it."""

    id: int
    code: str
    address: str
    zone: ZoneInfo
    losses: Losses


@dataclass(frozen=True, slots=True)
class HouseMeter:
    """A meter of a point, in service or removed."""

    id: int
    serial: str
    digits: int
    removed_on: date | None
    verified_until: date | None


@dataclass(slots=True)
class HousePoint:
    """A point of electricity of a house and what it is in the balance."""

    id: int
    code: str
    role: Role
    premises_number: str
    """Empty where the point is of the house or of a common area."""
    taken_id: int | None = None
    taken_min: int = 0
    given_id: int | None = None
    given_min: int = 0
    meters: list[HouseMeter] = field(default_factory=list)

    @property
    def lengths_min(self) -> tuple[int, ...]:
        """The interval lengths of its channels."""
        return tuple(length for length in (self.taken_min, self.given_min) if length)


def metered_houses(
    session: Session,
    scope: Scope,
    *,
    search: str = "",
    limit: int | None = None,
    offset: int = 0,
) -> tuple[tuple[House, ...], int]:
    """Return the buildings in reach with an electricity meter of their own, and how many.

    By code; each word of `search` stands in the code or the address.
    """
    own = exists().where(
        _points.c.building_id == _buildings.c.id,
        _points.c.premises_id.is_(None),
        _points.c.common_area_id.is_(None),
        _points.c.commodity == Commodity.ELECTRICITY,
    )
    query = _house_query(scope).where(own, *(_named(word) for word in search.split()))
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    page = query.order_by(_buildings.c.code).offset(offset)
    rows = session.execute(page if limit is None else page.limit(limit))
    return tuple(_house(row) for row in rows), total


def house_by_code(session: Session, scope: Scope, code: str) -> House:
    """Return a building, if `scope` reaches it; one out of reach is as if it did not exist."""
    row = session.execute(_house_query(scope).where(_buildings.c.code == code)).one_or_none()
    if row is None:
        raise NotFound(what=mark("building"), name=code)
    return _house(row)


def points_of_houses(
    session: Session, building_ids: Collection[int]
) -> dict[int, tuple[HousePoint, ...]]:
    """Return the electricity points of buildings with channels and meters, by building and code."""
    found: dict[int, list[HousePoint]] = {building_id: [] for building_id in building_ids}
    by_id: dict[int, HousePoint] = {}
    for part in in_slices(sorted(set(building_ids))):
        query = (
            select(
                _points.c.id,
                _points.c.code,
                _points.c.building_id,
                _points.c.common_area_id,
                _premises.c.number,
            )
            .outerjoin(_premises, _premises.c.id == _points.c.premises_id)
            .where(_points.c.building_id.in_(part), _points.c.commodity == Commodity.ELECTRICITY)
            .order_by(_points.c.code)
        )
        for row in session.execute(query):
            of_house = Role.INPUT if row.common_area_id is None else Role.COMMON
            role = of_house if row.number is None else Role.FLAT
            point = HousePoint(row.id, row.code, role, row.number or "")
            found[row.building_id].append(point)
            by_id[row.id] = point
    for part in in_slices(sorted(by_id)):
        channels = select(
            _channels.c.point_id, _channels.c.id, _channels.c.code, _channels.c.interval_min
        ).where(_channels.c.point_id.in_(part), _channels.c.code.in_([ACTIVE_TAKEN, ACTIVE_GIVEN]))
        for point_id, channel_id, code, interval_min in session.execute(channels):
            point = by_id[point_id]
            if code == ACTIVE_TAKEN:
                point.taken_id, point.taken_min = channel_id, interval_min
            else:
                point.given_id, point.given_min = channel_id, interval_min
        meters = (
            select(
                _meters.c.point_id,
                _meters.c.id,
                _meters.c.serial,
                _meters.c.digits,
                _meters.c.removed_on,
                _meters.c.verified_until,
            )
            .where(_meters.c.point_id.in_(part))
            .order_by(_meters.c.installed_on, _meters.c.id)
        )
        for point_id, *values in session.execute(meters):
            by_id[point_id].meters.append(HouseMeter(*values))
    return {building_id: tuple(points) for building_id, points in found.items()}


def tamper_events(
    session: Session, point_ids: Sequence[int], first: datetime, end: datetime
) -> dict[int, tuple[int, datetime]]:
    """Return how often the meters of points told of tampering, and when last, by point."""
    found: dict[int, tuple[int, datetime]] = {}
    for part in in_slices(sorted(set(point_ids))):
        query = (
            select(_events.c.point_id, func.count(), func.max(_events.c.starts_at))
            .where(
                _events.c.point_id.in_(part),
                _events.c.kind.in_(sorted(TAMPERING)),
                _events.c.starts_at >= first,
                _events.c.starts_at < end,
            )
            .group_by(_events.c.point_id)
        )
        for point_id, count, last in session.execute(query):
            found[point_id] = int(count), last
    return found


def lost_phases(
    session: Session, point_ids: Sequence[int], first: datetime, end: datetime
) -> dict[int, datetime]:
    """Return when the meters of points first told of a phase that stayed lost for a day."""
    found: dict[int, datetime] = {}
    for part in in_slices(sorted(set(point_ids))):
        query = (
            select(_events.c.point_id, _events.c.starts_at, _events.c.ends_at)
            .where(
                _events.c.point_id.in_(part),
                _events.c.kind == DeviceEventKind.PHASE_LOST,
                _events.c.starts_at < end,
                or_(_events.c.ends_at.is_(None), _events.c.ends_at > first),
            )
            .order_by(_events.c.starts_at)
        )
        for point_id, starts_at, ends_at in session.execute(query):
            if ends_at is None or ends_at - starts_at >= LOST_FOR_LONG:
                found.setdefault(point_id, starts_at)
    return found


def stuck_findings(
    session: Session, point_codes: Sequence[str], first: datetime, end: datetime
) -> dict[str, int]:
    """Return how many open findings say that a point's value stands still, by code."""
    found: dict[str, int] = {}
    for part in in_slices(sorted(set(point_codes))):
        query = (
            select(_findings.c.point_code, func.count())
            .where(
                _findings.c.point_code.in_(part),
                _findings.c.kind == FindingKind.STUCK,
                _findings.c.state == FindingState.OPEN,
                _findings.c.starts_at < end,
                _findings.c.ends_at > first,
            )
            .group_by(_findings.c.point_code)
        )
        rows: Sequence[Any] = session.execute(query).all()
        found.update({code: int(count) for code, count in rows})
    return found


def _named(word: str) -> ColumnElement[bool]:
    # SQLite folds case for Latin letters only.
    spellings = {word, word.lower(), word.capitalize()}
    return or_(
        _buildings.c.code.contains(word, autoescape=True),
        *(_buildings.c.address.contains(one, autoescape=True) for one in spellings),
    )


def _house_query(scope: Scope) -> Any:  # noqa: ANN401 - a select of columns
    return select(
        _buildings.c.id,
        _buildings.c.code,
        _buildings.c.address,
        _buildings.c.zone,
        _buildings.c.loss_ppm,
        _buildings.c.loss_w,
    ).where(building_in_scope(_buildings.c.id, scope))


def _house(row: Any) -> House:  # noqa: ANN401 - a row
    return House(
        row.id, row.code, row.address, ZoneInfo(row.zone), Losses(row.loss_ppm, row.loss_w)
    )
