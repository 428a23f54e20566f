"""Queries of what meters told, and of periods in which a service fell short."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Select, Table, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from kilokassa.core.errors import NotFound
from kilokassa.core.period import Period
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import building_in_scope, premises_in_scope
from kilokassa.db.slices import in_slices
from metering.events.kinds import (
    TAMPERING,
    DeviceEvent,
    DeviceEventKind,
    EventMeter,
    QualityBasis,
    QualityEventKind,
    QualityEventState,
)
from metering.events.quality import QualityPeriod
from metering.findings.store import ID_MAX
from metering.models import (
    BuildingRow,
    DeviceEventRow,
    MeteringPointRow,
    MeterRow,
    PremisesRow,
    QualityEventRow,
)
from metering.registry.places import Commodity
from metering.store import ReadingsConflict

_events = cast(Table, DeviceEventRow.__table__)
_quality = cast(Table, QualityEventRow.__table__)
_points = cast(Table, MeteringPointRow.__table__)
_buildings = cast(Table, BuildingRow.__table__)
_premises = cast(Table, PremisesRow.__table__)
_meters = cast(Table, MeterRow.__table__)


# --- device events ---


def event_meters(
    session: Session, scope: Scope, *, codes: Iterable[str] = (), serials: Iterable[str] = ()
) -> tuple[EventMeter, ...]:
    """Return the points with these codes and the meters with these serials that `scope` reaches.

    A point is also found by what other systems call it (`exchange_code`). One that has no meter
    comes once, without one.
    """
    found: dict[tuple[int, int | None], EventMeter] = {}
    columns = (_points.c.code, _points.c.exchange_code, _meters.c.serial)
    wanted: tuple[Iterable[str], ...] = (set(codes), set(codes), set(serials))
    for column, names in zip(columns, wanted, strict=True):
        for part in in_slices(sorted(names)):
            query = (
                select(
                    _meters.c.id,
                    _meters.c.serial,
                    _points.c.id.label("point_id"),
                    _points.c.code,
                    _points.c.exchange_code,
                    _points.c.building_id,
                    _buildings.c.zone,
                    _meters.c.installed_on,
                    _meters.c.removed_on,
                )
                .select_from(
                    _points.join(_buildings, _buildings.c.id == _points.c.building_id).outerjoin(
                        _meters, _meters.c.point_id == _points.c.id
                    )
                )
                .where(column.in_(part), building_in_scope(_points.c.building_id, scope))
            )
            for row in session.execute(query):
                found[row.point_id, row.id] = EventMeter(
                    meter_id=row.id,
                    serial=row.serial or "",
                    point_id=row.point_id,
                    point_code=row.code,
                    exchange_code=row.exchange_code or "",
                    building_id=row.building_id,
                    zone=row.zone,
                    installed_on=row.installed_on,
                    removed_on=row.removed_on,
                )
    return tuple(found.values())


def standing_events(
    session: Session, events: Iterable[DeviceEvent]
) -> dict[tuple[int, DeviceEventKind, datetime], DeviceEventRow]:
    """Return the rows of those events that are stored, by their key."""
    wanted = {event.key for event in events}
    found: dict[tuple[int, DeviceEventKind, datetime], DeviceEventRow] = {}
    for part in in_slices(sorted({point_id for point_id, _, _ in wanted})):
        own = [key for key in wanted if key[0] in set(part)]
        query = select(DeviceEventRow).where(
            DeviceEventRow.point_id.in_(part),
            DeviceEventRow.starts_at.between(min(k[2] for k in own), max(k[2] for k in own)),
        )
        for row in session.scalars(query):
            key = (row.point_id, row.kind, row.starts_at)
            if key in wanted:
                found[key] = row
    return found


def events_of_source(session: Session, source: str, actor: str) -> tuple[DeviceEventRow, ...]:
    """Return what an actor recorded under a source: one request, one file."""
    query = select(DeviceEventRow).where(
        DeviceEventRow.source == source, DeviceEventRow.actor == actor
    )
    return tuple(session.scalars(query.order_by(DeviceEventRow.id)))


def add_events(
    session: Session,
    events: Sequence[DeviceEvent],
    *,
    source: str,
    actor: str,
    recorded_at: datetime,
) -> None:
    """Store events; one that another stored in between is a conflict."""
    if not events:
        return
    rows = [
        {
            "point_id": event.point_id,
            "meter_id": event.meter_id,
            "kind": event.kind,
            "starts_at": event.starts_at,
            "ends_at": event.ends_at,
            "value": event.value,
            "source": source,
            "actor": actor,
            "recorded_at": recorded_at,
        }
        for event in events
    ]
    try:
        session.execute(insert(_events), rows)
    except IntegrityError as error:
        raise ReadingsConflict from error


def end_events(session: Session, ends: Sequence[tuple[int, datetime]]) -> None:
    """Say when events ended that still lasted; one that ended stays as it is."""
    if not ends:
        return
    statement = (
        update(_events)
        .where(_events.c.id == bindparam("b_id"), _events.c.ends_at.is_(None))
        .values(ends_at=bindparam("b_ends_at"))
    )
    session.connection().execute(
        statement, [{"b_id": event_id, "b_ends_at": at} for event_id, at in ends]
    )


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a list of device events is narrowed to."""

    building_code: str = ""
    point_code: str = ""
    kind: DeviceEventKind | None = None
    tampering: bool = False
    """Only kinds after which a meter is looked at."""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """A device event as a list shows it."""

    id: int
    building_code: str
    building_address: str
    premises_number: str
    point_code: str
    serial: str
    kind: DeviceEventKind
    starts_at: datetime
    ends_at: datetime | None
    value: int | None
    source: str
    actor: str
    recorded_at: datetime

    @property
    def tampering(self) -> bool:
        """Say whether a person should look at the meter."""
        return self.kind in TAMPERING


def list_events(
    session: Session,
    scope: Scope,
    wished: EventFilter,
    *,
    limit: int | None = 50,
    offset: int = 0,
) -> tuple[tuple[ListedEvent, ...], int]:
    """Return a page of the events of points in reach, the latest first, and how many there are."""
    joined = (
        _events.join(_points, _points.c.id == _events.c.point_id)
        .join(_buildings, _buildings.c.id == _points.c.building_id)
        .outerjoin(_premises, _premises.c.id == _points.c.premises_id)
        .outerjoin(_meters, _meters.c.id == _events.c.meter_id)
    )
    base = (
        select(
            _events.c.id,
            _buildings.c.code,
            _buildings.c.address,
            func.coalesce(_premises.c.number, ""),
            _points.c.code,
            func.coalesce(_meters.c.serial, ""),
            _events.c.kind,
            _events.c.starts_at,
            _events.c.ends_at,
            _events.c.value,
            _events.c.source,
            _events.c.actor,
            _events.c.recorded_at,
        )
        .select_from(joined)
        .where(building_in_scope(_points.c.building_id, scope))
    )
    if wished.building_code:
        base = base.where(_buildings.c.code == wished.building_code)
    if wished.point_code:
        base = base.where(_points.c.code == wished.point_code)
    if wished.kind is not None:
        base = base.where(_events.c.kind == wished.kind)
    if wished.tampering:
        base = base.where(_events.c.kind.in_(sorted(TAMPERING)))
    if wished.since is not None:
        base = base.where(_events.c.starts_at >= wished.since)
    if wished.until is not None:
        base = base.where(_events.c.starts_at < wished.until)
    total = session.scalar(select(func.count()).select_from(base.subquery())) or 0
    query = base.order_by(_events.c.starts_at.desc(), _events.c.id.desc()).offset(offset)
    rows: Sequence[Any] = session.execute(query if limit is None else query.limit(limit)).all()
    return tuple(ListedEvent(*row) for row in rows), total


def events_of_points(
    session: Session,
    point_ids: Iterable[int],
    kinds: Iterable[DeviceEventKind],
    within: Period,
) -> dict[int, list[DeviceEvent]]:
    """Return events of points by kind that touch `within`, by point, in order of their start."""
    found: dict[int, list[DeviceEvent]] = {}
    for part in in_slices(sorted(set(point_ids))):
        query = (
            select(_events)
            .where(
                _events.c.point_id.in_(part),
                _events.c.kind.in_(list(kinds)),
                _events.c.starts_at < within.end,
                (_events.c.ends_at.is_(None) & (_events.c.kind == DeviceEventKind.DISCONNECTED))
                | (func.coalesce(_events.c.ends_at, _events.c.starts_at) >= within.start),
            )
            .order_by(_events.c.starts_at)
        )
        for row in session.execute(query):
            found.setdefault(row.point_id, []).append(
                DeviceEvent(
                    row.point_id, row.kind, row.starts_at, row.ends_at, row.value, row.meter_id
                )
            )
    return found


def power_points(session: Session, building_ids: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """Return the points of electricity of each building that belong to premises."""
    found: dict[int, list[int]] = {}
    for part in in_slices(sorted(set(building_ids))):
        query = (
            select(_points.c.building_id, _points.c.id)
            .where(
                _points.c.building_id.in_(part),
                _points.c.commodity == Commodity.ELECTRICITY,
                _points.c.premises_id.is_not(None),
            )
            .order_by(_points.c.id)
        )
        for building_id, point_id in session.execute(query):
            found.setdefault(building_id, []).append(point_id)
    return {building_id: tuple(ids) for building_id, ids in found.items()}


def buildings_of_points(session: Session, point_ids: Iterable[int]) -> dict[int, int]:
    """Return the building of each point."""
    found: dict[int, int] = {}
    for part in in_slices(sorted(set(point_ids))):
        query = select(_points.c.id, _points.c.building_id).where(_points.c.id.in_(part))
        rows: Sequence[Any] = session.execute(query).all()
        found.update(dict(rows))
    return found


# --- quality events ---


@dataclass(frozen=True, slots=True)
class QualityFilter:
    """What a list of quality events is narrowed to."""

    building_code: str = ""
    premises_id: int | None = None
    """With it, also what concerned its whole house."""
    commodity: Commodity | None = None
    kind: QualityEventKind | None = None
    state: QualityEventState | None = None
    touching: Period | None = None


@dataclass(frozen=True, slots=True)
class StoredQuality:
    """A quality event as it is kept."""

    id: int
    building_id: int
    building_code: str
    building_address: str
    zone: str
    """IANA name of the building's zone."""
    premises_id: int | None
    premises_number: str
    """Empty where the whole house was concerned."""
    commodity: Commodity
    kind: QualityEventKind
    basis: QualityBasis
    starts_at: datetime
    ends_at: datetime | None
    measured_tenths: int | None
    required_tenths: int | None
    document: str
    note: str
    state: QualityEventState
    recorded_by: str
    recorded_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    end_recorded_at: datetime | None
    source_key: str | None

    def confirmed_at(self, known_at: datetime) -> bool:
        """Say whether it was known by then, and known to count."""
        decided_at = self.decided_at or self.recorded_at
        return self.state is QualityEventState.CONFIRMED and decided_at <= known_at

    def end_known_at(self, known_at: datetime) -> datetime | None:
        """Return its end as it was known then; None while it lasted for all that was known."""
        told_at = self.end_recorded_at or self.recorded_at
        return self.ends_at if told_at <= known_at else None

    def as_period(self, now: datetime) -> QualityPeriod:
        """Return what is counted of it: up to now while it lasts."""
        end = self.ends_at if self.ends_at is not None else max(now, self.starts_at)
        return QualityPeriod(
            self.commodity,
            self.kind,
            Period(self.starts_at, end),
            self.measured_tenths,
            self.required_tenths,
        )


def list_quality(
    session: Session,
    scope: Scope,
    wished: QualityFilter,
    *,
    limit: int | None = 50,
    offset: int = 0,
) -> tuple[tuple[StoredQuality, ...], int]:
    """Return a page of quality events in reach, the latest first, and how many there are.

    Staff reach what concerns their buildings; a resident the own premises and the house as a whole.
    """
    base = _quality_query(scope)
    if wished.building_code:
        base = base.where(_buildings.c.code == wished.building_code)
    if wished.premises_id is not None:
        house = (
            select(_premises.c.building_id)
            .where(_premises.c.id == wished.premises_id)
            .scalar_subquery()
        )
        base = base.where(
            (_quality.c.premises_id == wished.premises_id)
            | (_quality.c.premises_id.is_(None) & (_quality.c.building_id == house))
        )
    if wished.commodity is not None:
        base = base.where(_quality.c.commodity == wished.commodity)
    if wished.kind is not None:
        base = base.where(_quality.c.kind == wished.kind)
    if wished.state is not None:
        base = base.where(_quality.c.state == wished.state)
    if wished.touching is not None:
        base = base.where(
            _quality.c.starts_at < wished.touching.end,
            _quality.c.ends_at.is_(None) | (_quality.c.ends_at > wished.touching.start),
        )
    total = session.scalar(select(func.count()).select_from(base.subquery())) or 0
    query = base.order_by(_quality.c.starts_at.desc(), _quality.c.id.desc()).offset(offset)
    rows = session.execute(query if limit is None else query.limit(limit))
    return tuple(_stored_quality(row) for row in rows), total


def get_quality(session: Session, scope: Scope, event_id: int) -> StoredQuality:
    """Return one quality event, if `scope` reaches it."""
    query = _quality_query(scope).where(_quality.c.id == event_id)
    row = session.execute(query).one_or_none() if event_id <= ID_MAX else None
    if row is None:
        raise NotFound(what=mark("quality event"), name=str(event_id))
    return _stored_quality(row)


def quality_by_key(session: Session, source_key: str) -> StoredQuality | None:
    """Return the quality event that a machine gave this name, whoever asks."""
    query = _quality_of_all().where(_quality.c.source_key == source_key)
    row = session.execute(query).one_or_none()
    return None if row is None else _stored_quality(row)


def quality_key_used(session: Session, prefix: str) -> bool:
    """Say whether a name of a machine begins so."""
    query = select(_quality.c.id).where(_quality.c.source_key.startswith(prefix, autoescape=True))
    return session.scalar(query.limit(1)) is not None


def quality_overlapping(
    session: Session,
    building_id: int,
    premises_id: int | None,
    commodity: Commodity,
    kind: QualityEventKind,
    starts_at: datetime,
    ends_at: datetime | None,
    *,
    with_rejected: bool = False,
) -> tuple[StoredQuality, ...]:
    """Return what is recorded of the same service and kind at the same time, unless rejected.

    An event of the whole house meets those of its premises too.
    """
    query = _quality_of_all().where(
        _quality.c.building_id == building_id,
        _quality.c.commodity == commodity,
        _quality.c.kind == kind,
        _quality.c.ends_at.is_(None) | (_quality.c.ends_at > starts_at),
    )
    if not with_rejected:
        query = query.where(_quality.c.state != QualityEventState.REJECTED)
    if ends_at is not None:
        query = query.where(_quality.c.starts_at < ends_at)
    if premises_id is not None:
        query = query.where(
            _quality.c.premises_id.is_(None) | (_quality.c.premises_id == premises_id)
        )
    return tuple(_stored_quality(row) for row in session.execute(query.order_by(_quality.c.id)))


def confirmed_quality(
    session: Session, building_ids: Iterable[int], period: Period
) -> tuple[StoredQuality, ...]:
    """Return the confirmed events of houses and of their premises that touch `period`, for a job.

    One that is recorded as lasting touches everything from its start on.
    """
    found: list[StoredQuality] = []
    for part in in_slices(sorted(set(building_ids))):
        query = _quality_of_all().where(
            _quality.c.building_id.in_(part),
            _quality.c.state == QualityEventState.CONFIRMED,
            _quality.c.starts_at < period.end,
            _quality.c.ends_at.is_(None)
            | (_quality.c.ends_at > period.start)
            | _quality.c.end_recorded_at.is_not(None),
        )
        found.extend(_stored_quality(row) for row in session.execute(query.order_by(_quality.c.id)))
    return tuple(found)


def add_quality(session: Session, values: dict[str, Any]) -> int:
    """Store a quality event and return its id; a name of a machine that is taken is a conflict."""
    try:
        made = session.execute(insert(_quality).values(**values).returning(_quality.c.id))
    except IntegrityError as error:
        raise ReadingsConflict from error
    return int(made.scalar_one())


def change_quality(
    session: Session, event_id: int, state: QualityEventState, values: dict[str, Any]
) -> bool:
    """Change a quality event that still is in `state`; say whether it was."""
    statement = (
        update(_quality)
        .where(_quality.c.id == event_id, _quality.c.state == state)
        .values(**values)
    )
    return session.connection().execute(statement).rowcount == 1


@dataclass(frozen=True, slots=True)
class ConcernedPlace:
    """A house or premises that a quality event is about."""

    building_id: int
    building_code: str
    building_address: str
    zone: str
    premises_id: int | None
    premises_number: str


def concerned_place(
    session: Session, scope: Scope, building_code: str, premises_number: str = ""
) -> ConcernedPlace:
    """Return a house, or premises of it, that `scope` reaches as staff of the house."""
    row: Any = session.execute(
        select(_buildings.c.id, _buildings.c.address, _buildings.c.zone).where(
            _buildings.c.code == building_code, building_in_scope(_buildings.c.id, scope)
        )
    ).one_or_none()
    if row is None:
        raise NotFound(what=mark("building"), name=building_code)
    if not premises_number:
        return ConcernedPlace(row.id, building_code, row.address, row.zone, None, "")
    premises_id = session.scalar(
        select(_premises.c.id).where(
            _premises.c.building_id == row.id, _premises.c.number == premises_number
        )
    )
    if premises_id is None:
        raise NotFound(what=mark("premises"), name=f"{building_code}, {premises_number}")
    return ConcernedPlace(
        row.id, building_code, row.address, row.zone, premises_id, premises_number
    )


def own_place(session: Session, scope: Scope, premises_id: int) -> ConcernedPlace:
    """Return premises that `scope` reaches, by their house or by an account of theirs."""
    row: Any = session.execute(
        select(
            _buildings.c.id,
            _buildings.c.code,
            _buildings.c.address,
            _buildings.c.zone,
            _premises.c.id.label("premises_id"),
            _premises.c.number,
        )
        .select_from(_premises.join(_buildings, _buildings.c.id == _premises.c.building_id))
        .where(_premises.c.id == premises_id, premises_in_scope(_premises.c.id, scope))
    ).one_or_none()
    if row is None:
        raise NotFound(what=mark("premises"), name=str(premises_id))
    return ConcernedPlace(*row)


def _quality_of_all() -> Select[Any]:
    joined = _quality.join(_buildings, _buildings.c.id == _quality.c.building_id).outerjoin(
        _premises, _premises.c.id == _quality.c.premises_id
    )
    return select(
        *_quality.c,
        _buildings.c.code.label("building_code"),
        _buildings.c.address.label("building_address"),
        _buildings.c.zone,
        _premises.c.number.label("premises_number"),
    ).select_from(joined)


def _quality_query(scope: Scope) -> Select[Any]:
    reached = building_in_scope(_quality.c.building_id, scope)
    if scope.account_ids:
        houses = select(_premises.c.building_id).where(premises_in_scope(_premises.c.id, scope))
        reached = (
            reached
            | premises_in_scope(_quality.c.premises_id, scope)
            | (_quality.c.premises_id.is_(None) & _quality.c.building_id.in_(houses))
        )
    return _quality_of_all().where(reached)


def _stored_quality(row: Any) -> StoredQuality:  # noqa: ANN401 - a row
    return StoredQuality(
        id=row.id,
        building_id=row.building_id,
        building_code=row.building_code,
        building_address=row.building_address,
        zone=row.zone,
        premises_id=row.premises_id,
        premises_number=row.premises_number or "",
        commodity=row.commodity,
        kind=row.kind,
        basis=row.basis,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        measured_tenths=row.measured_tenths,
        required_tenths=row.required_tenths,
        document=row.document,
        note=row.note,
        state=row.state,
        recorded_by=row.recorded_by,
        recorded_at=row.recorded_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        end_recorded_at=row.end_recorded_at,
        source_key=row.source_key,
    )
