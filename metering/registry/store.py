"""Queries of the registry: places, meters with their lives, and what is due at them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from kilokassa.db.rights import building_in_scope
from kilokassa.db.slices import in_slices
from kilokassa.db.statements import stands
from metering.meters.life import (
    Life,
    LifeEvent,
    MeterDates,
    life_of,
)
from metering.models import (
    BuildingRow,
    ChannelRow,
    CommonAreaRow,
    CompanyRow,
    DeliveryPointRow,
    DeviceEventRow,
    IntervalDayRow,
    MeteringPointRow,
    MeterLifeEventRow,
    MeterRow,
    PremisesAreaRow,
    PremisesRow,
    QualityEventRow,
    RegisterReadingRow,
    ServicerRow,
)
from metering.registry.areas import DatedArea
from metering.registry.places import Commodity, CommonAreaKind, Coordinates, LifeEventKind

_buildings = cast(Table, BuildingRow.__table__)
_points = cast(Table, MeteringPointRow.__table__)
_meters = cast(Table, MeterRow.__table__)
_channels = cast(Table, ChannelRow.__table__)
_events = cast(Table, MeterLifeEventRow.__table__)
_premises = cast(Table, PremisesRow.__table__)
_days = cast(Table, IntervalDayRow.__table__)
_registers = cast(Table, RegisterReadingRow.__table__)


# --- registering ---


@dataclass(frozen=True, slots=True)
class Upserted:
    """The ids of upserted rows by their key, and how many were made or changed."""

    ids: Mapping[tuple[Any, ...], int]
    created: int
    updated: int


def upsert(
    session: Session,
    table: Table,
    keys: tuple[str, ...],
    rows: Sequence[Mapping[str, Any]],
    *,
    fixed: tuple[str, ...] = (),
) -> Upserted:
    """Insert the rows whose key is new and bring the others up to date, in bulk.

    None leaves a column as it is; in a new row it takes the column's default. A column in `fixed`
    may not change once it is set: readings were stored by it. Rows with the same key are one row;
    where two of them say something, the later one counts.
    """
    wanted: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        merged = wanted.setdefault(tuple(row[key] for key in keys), dict(row))
        merged |= {name: value for name, value in row.items() if value is not None}
    standing = _by_key(session, table, keys, wanted)
    fresh = [_filled(table, row) for key, row in wanted.items() if key not in standing]
    changed = []
    for key, row in wanted.items():
        found = standing.get(key)
        if found is None:
            continue
        differing = {
            name: value for name, value in row.items() if value is not None and found[name] != value
        }
        for name in fixed:
            if name in differing:
                raise Invalid(
                    where=f"{table.name} {key[-1]}",
                    problem=mark("%(column)s cannot change from %(old)s to %(new)s"),
                    column=name,
                    old=str(found[name]),
                    new=str(differing[name]),
                )
        if differing:
            values = {f"b_{name}": differing.get(name, found[name]) for name in row}
            changed.append(values | {"b_id": found["id"]})
    if fresh:
        session.execute(insert(table), fresh)
    if changed:
        names = [name[2:] for name in changed[0] if name != "b_id"]
        statement = update(table).where(table.c.id == bindparam("b_id"))
        session.execute(statement.values({name: bindparam(f"b_{name}") for name in names}), changed)
    ids = {key: int(row["id"]) for key, row in standing.items() if key in wanted}
    if fresh:
        made = _by_key(session, table, keys, [key for key in wanted if key not in standing])
        ids |= {key: int(row["id"]) for key, row in made.items() if key in wanted}
    return Upserted(ids, created=len(fresh), updated=len(changed))


def _filled(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new row with the table's defaults where nothing was given."""
    filled = dict(row)
    for name, value in row.items():
        default = table.c[name].default
        if value is None and default is not None and default.is_scalar:
            filled[name] = default.arg  # type: ignore[attr-defined]
    return filled


def _by_key(
    session: Session, table: Table, keys: tuple[str, ...], wanted: Iterable[tuple[Any, ...]]
) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for part in in_slices(sorted({key[0] for key in wanted})):
        for row in session.execute(select(table).where(table.c[keys[0]].in_(part))).mappings():
            found[tuple(row[key] for key in keys)] = dict(row)
    return found


def commodities_of(session: Session, point_ids: Iterable[int]) -> dict[int, Commodity]:
    """Return what points measure."""
    found: dict[int, Commodity] = {}
    for part in in_slices(sorted(set(point_ids))):
        query = select(_points.c.id, _points.c.commodity).where(_points.c.id.in_(part))
        rows: Sequence[Any] = session.execute(query).all()
        found.update(dict(rows))
    return found


def told_dates(session: Session, point_ids: Iterable[int]) -> dict[tuple[int, str], set[str]]:
    """Return which dates of meters follow from events, by point and serial number."""
    columns = {LifeEventKind.VERIFIED: "verified_until", LifeEventKind.MADE: "made_on"}
    found: dict[tuple[int, str], set[str]] = {}
    for part in in_slices(sorted(set(point_ids))):
        query = (
            select(_meters.c.point_id, _meters.c.serial, _events.c.kind)
            .join(_events, _events.c.meter_id == _meters.c.id)
            .where(_meters.c.point_id.in_(part), _events.c.kind.in_(list(columns)))
            .distinct()
        )
        for point_id, serial, kind in session.execute(query):
            found.setdefault((point_id, serial), set()).add(columns[kind])
    return found


def scaled_otherwise(
    session: Session, wanted: Mapping[tuple[int, str], tuple[int | None, int | None]]
) -> list[tuple[int, str]]:
    """Return the channels whose multiplier or losses differ though readings were stored by them.

    By point and channel code: intervals of the channel itself, register readings of any meter of
    the point.
    """
    point_ids = sorted({point_id for point_id, _ in wanted})
    differing: dict[int, tuple[int, str]] = {}
    for part in in_slices(point_ids):
        query = select(_channels).where(_channels.c.point_id.in_(part))
        for row in session.execute(query).mappings():
            key = (row["point_id"], row["code"])
            multiplier, loss_ppm = wanted.get(key, (None, None))
            if multiplier not in (None, row["multiplier"]) or loss_ppm not in (
                None,
                row["loss_ppm"],
            ):
                differing[row["id"]] = key
    used: list[tuple[int, str]] = []
    for part in in_slices(sorted(differing)):
        days = select(_days.c.channel_id).where(_days.c.channel_id.in_(part)).distinct()
        used += [differing[channel_id] for channel_id in session.scalars(days)]
    read: set[int] = set()
    for part in in_slices(sorted({point_id for point_id, _ in differing.values()})):
        readings = (
            select(_meters.c.point_id)
            .join(_registers, _registers.c.meter_id == _meters.c.id)
            .where(_meters.c.point_id.in_(part))
            .distinct()
        )
        read |= set(session.scalars(readings))
    return sorted({*used, *(key for key in differing.values() if key[0] in read)})


def common_areas_of(session: Session, building_ids: Iterable[int]) -> dict[tuple[int, str], int]:
    """Return the ids of all common areas of the buildings, by building and code."""
    found: dict[tuple[int, str], int] = {}
    for part in in_slices(sorted(set(building_ids))):
        query = select(CommonAreaRow.building_id, CommonAreaRow.code, CommonAreaRow.id).where(
            CommonAreaRow.building_id.in_(part)
        )
        found.update({(building, code): i for building, code, i in session.execute(query)})
    return found


def exchange_code_taken(session: Session, exchange_code: str, point_id: int) -> bool:
    """Say whether another point than this one has the exchange code, or is called so itself."""
    query = select(_points.c.id).where(
        or_(_points.c.exchange_code == exchange_code, _points.c.code == exchange_code),
        _points.c.id != point_id,
    )
    return session.scalar(query) is not None


def delivery_point_in(session: Session, building_id: int, code: str) -> int | None:
    """Return the id of a delivery point of the building."""
    return session.scalar(
        select(DeliveryPointRow.id).where(
            DeliveryPointRow.building_id == building_id, DeliveryPointRow.code == code
        )
    )


# --- meters and their lives ---


@dataclass(frozen=True, slots=True)
class StandingMeter:
    """A meter with its row, its life and the zone of the building it stands in."""

    id: int
    point_id: int
    point_code: str
    commodity: Commodity
    zone: str
    model: str
    digits: int
    dates: MeterDates
    events: tuple[LifeEvent, ...]
    """As they were written down, in that order."""

    @property
    def serial(self) -> str:
        """Its number."""
        return self.dates.serial

    @property
    def life(self) -> Life:
        """The life so far."""
        return life_of(self.dates, self.events)


def meters_of_points(session: Session, point_ids: Iterable[int]) -> tuple[StandingMeter, ...]:
    """Return the meters of points, past ones too, in the order they were installed."""
    found: list[StandingMeter] = []
    for part in in_slices(sorted(set(point_ids))):
        found += _standing(session, _meters.c.point_id.in_(part))
    return tuple(sorted(found, key=lambda m: (m.point_code, m.dates.installed_on, m.id)))


def meter_of_point(
    session: Session, scope: Scope, point_code: str, serial: str, *, lock: bool = False
) -> StandingMeter:
    """Return a meter of a point that `scope` reaches; `lock` keeps others from changing it."""
    condition = and_(
        _points.c.code == point_code,
        _meters.c.serial == serial,
        building_in_scope(_points.c.building_id, scope),
    )
    if lock:
        # The row first, then its events: what is read under the lock is what stands.
        ids = select(_points.c.id).where(
            _points.c.code == point_code, building_in_scope(_points.c.building_id, scope)
        )
        session.execute(
            select(_meters.c.id)
            .where(_meters.c.point_id.in_(ids), _meters.c.serial == serial)
            .with_for_update()
        )
    found = _standing(session, condition)
    if not found:
        raise NotFound(what=mark("meter"), name=f"{serial} ({point_code})")
    return found[0]


def _standing(session: Session, condition: ColumnElement[bool]) -> list[StandingMeter]:
    query = (
        select(
            _meters,
            _points.c.code.label("point_code"),
            _points.c.commodity,
            _buildings.c.zone,
        )
        .join(_points, _points.c.id == _meters.c.point_id)
        .join(_buildings, _buildings.c.id == _points.c.building_id)
        .where(condition)
    )
    rows = session.execute(query).mappings().all()
    events = life_events(session, [row["id"] for row in rows])
    return [
        StandingMeter(
            id=row["id"],
            point_id=row["point_id"],
            point_code=row["point_code"],
            commodity=row["commodity"],
            zone=row["zone"],
            model=row["model"],
            digits=row["digits"],
            dates=MeterDates(
                serial=row["serial"],
                installed_on=row["installed_on"],
                removed_on=row["removed_on"],
                verified_until=row["verified_until"],
                made_on=row["made_on"],
                service_life_years=row["service_life_years"],
            ),
            events=tuple(events.get(row["id"], ())),
        )
        for row in rows
    ]


def life_events(session: Session, meter_ids: Iterable[int]) -> dict[int, list[LifeEvent]]:
    """Return what was written down of the lives of meters, in the order of writing."""
    found: dict[int, list[LifeEvent]] = {}
    for part in in_slices(sorted(set(meter_ids))):
        query = select(_events).where(_events.c.meter_id.in_(part)).order_by(_events.c.id)
        for row in session.execute(query).mappings():
            found.setdefault(row["meter_id"], []).append(
                LifeEvent(
                    kind=row["kind"],
                    happened_on=row["happened_on"],
                    valid_until=row["valid_until"],
                    document=row["document"],
                    note=row["note"],
                    actor=row["actor"],
                )
            )
    return found


def add_life_events(
    session: Session, events: Sequence[tuple[int, LifeEvent]], recorded_at: datetime
) -> None:
    """Append steps to the lives of meters."""
    if events:
        session.execute(
            insert(_events),
            [
                {
                    "meter_id": meter_id,
                    "kind": event.kind,
                    "happened_on": event.happened_on,
                    "valid_until": event.valid_until,
                    "document": event.document,
                    "note": event.note,
                    "actor": event.actor,
                    "recorded_at": recorded_at,
                }
                for meter_id, event in events
            ],
        )


def set_meter(session: Session, meter_id: int, **values: object) -> None:
    """Bring the row of a meter up to date."""
    session.execute(update(_meters).where(_meters.c.id == meter_id).values(**values))


def set_row(session: Session, table: type[Any], row_id: int, **values: object) -> None:
    """Set columns of one row of the registry, None included."""
    of = cast(Table, table.__table__)
    session.execute(update(of).where(of.c.id == row_id).values(**values))


# --- lists ---


@dataclass(frozen=True, slots=True)
class ListedBuilding:
    """A building as lists show it."""

    code: str
    address: str
    company_name: str
    servicer_name: str
    premises: int
    points: int


@dataclass(frozen=True, slots=True)
class RegisteredCommonArea:
    """A common area of a building."""

    code: str
    kind: CommonAreaKind
    name: str
    area_dm2: int


@dataclass(frozen=True, slots=True)
class RegisteredDeliveryPoint:
    """A delivery point of a building."""

    code: str
    premises_number: str
    boundary: str


@dataclass(frozen=True, slots=True)
class RegisteredBuilding:
    """A building with all that is registered of it, but for its points."""

    id: int
    code: str
    address: str
    zone: str
    company_code: str
    company_name: str
    servicer_code: str
    servicer_name: str
    place: Coordinates | None
    loss_ppm: int
    loss_w: int
    norm_code: str
    premises: int
    common_areas: tuple[RegisteredCommonArea, ...]
    delivery_points: tuple[RegisteredDeliveryPoint, ...]


@dataclass(frozen=True, slots=True)
class ListedPoint:
    """A metering point as lists show it, with the meter that stands there now."""

    id: int
    code: str
    exchange_code: str
    building_code: str
    address: str
    premises_number: str
    common_area: str
    commodity: Commodity
    serial: str
    model: str
    verified_until: date | None

    @property
    def place(self) -> str:
        """The number of the premises, else the name of the common area; empty: the whole house."""
        return self.premises_number or self.common_area


@dataclass(frozen=True, slots=True)
class RegisteredChannel:
    """A channel of a point."""

    id: int
    code: str
    interval_min: int
    multiplier: int
    loss_ppm: int


@dataclass(frozen=True, slots=True)
class RegisteredPoint:
    """A metering point with all that is registered of it."""

    id: int
    code: str
    exchange_code: str
    building_id: int
    building_code: str
    address: str
    zone: str
    premises_id: int | None
    premises_number: str
    commodity: Commodity
    common_area_code: str
    common_area: str
    delivery_point_code: str
    place: Coordinates | None
    capacity_w: int | None
    channels: tuple[RegisteredChannel, ...]
    meters: tuple[StandingMeter, ...]
    """In the order they were installed; the last one may have been removed."""

    @property
    def present(self) -> StandingMeter | None:
        """The meter that stands there now."""
        standing = [meter for meter in self.meters if meter.dates.removed_on is None]
        return standing[-1] if standing else None


BUILDING_SORTS: Final[dict[str, Any]] = {
    "code": _buildings.c.code,
    "address": _buildings.c.address,
}


def list_buildings(
    session: Session,
    scope: Scope,
    *,
    search: str = "",
    sort: str = "code",
    descending: bool = False,
    limit: int | None = 50,
    offset: int = 0,
) -> tuple[tuple[ListedBuilding, ...], int]:
    """Return a page of the buildings in reach, and how many there are."""
    flats = _count_of(PremisesRow.building_id, "flats")
    points = _count_of(MeteringPointRow.building_id, "points")
    conditions = [
        building_in_scope(_buildings.c.id, scope),
        *(
            or_(
                _buildings.c.code.contains(word, autoescape=True),
                *(_buildings.c.address.contains(one, autoescape=True) for one in _spellings(word)),
            )
            for word in search.split()
        ),
    ]
    total = session.scalar(select(func.count()).select_from(_buildings).where(*conditions)) or 0
    by = BUILDING_SORTS[sort]
    query = (
        select(
            _buildings.c.code,
            _buildings.c.address,
            func.coalesce(CompanyRow.name, ""),
            func.coalesce(ServicerRow.name, ""),
            func.coalesce(flats.c.total, 0),
            func.coalesce(points.c.total, 0),
        )
        .outerjoin(CompanyRow, CompanyRow.id == _buildings.c.company_id)
        .outerjoin(ServicerRow, ServicerRow.id == _buildings.c.servicer_id)
        .outerjoin(flats, flats.c.building_id == _buildings.c.id)
        .outerjoin(points, points.c.building_id == _buildings.c.id)
        .where(*conditions)
        .order_by(by.desc() if descending else by.asc(), _buildings.c.id)
        .offset(offset)
    )
    rows: Sequence[Any] = session.execute(query if limit is None else query.limit(limit)).all()
    return tuple(ListedBuilding(*row) for row in rows), total


def building_by_code(session: Session, scope: Scope, code: str) -> RegisteredBuilding:
    """Return a building in reach."""
    query = (
        select(
            _buildings,
            func.coalesce(CompanyRow.code, "").label("company_code"),
            func.coalesce(CompanyRow.name, "").label("company_name"),
            func.coalesce(ServicerRow.code, "").label("servicer_code"),
            func.coalesce(ServicerRow.name, "").label("servicer_name"),
        )
        .outerjoin(CompanyRow, CompanyRow.id == _buildings.c.company_id)
        .outerjoin(ServicerRow, ServicerRow.id == _buildings.c.servicer_id)
        .where(_buildings.c.code == code, building_in_scope(_buildings.c.id, scope))
    )
    row = session.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(what=mark("building"), name=code)
    return RegisteredBuilding(
        id=row["id"],
        code=row["code"],
        address=row["address"],
        zone=row["zone"],
        company_code=row["company_code"],
        company_name=row["company_name"],
        servicer_code=row["servicer_code"],
        servicer_name=row["servicer_name"],
        place=_coordinates(row),
        loss_ppm=row["loss_ppm"],
        loss_w=row["loss_w"],
        norm_code=row["norm_code"] or "",
        premises=session.scalar(
            select(func.count()).select_from(_premises).where(_premises.c.building_id == row["id"])
        )
        or 0,
        common_areas=_common_areas(session, row["id"]),
        delivery_points=_delivery_points(session, row["id"]),
    )


def _common_areas(session: Session, building_id: int) -> tuple[RegisteredCommonArea, ...]:
    query = (
        select(CommonAreaRow.code, CommonAreaRow.kind, CommonAreaRow.name, CommonAreaRow.area_dm2)
        .where(CommonAreaRow.building_id == building_id)
        .order_by(CommonAreaRow.code)
    )
    return tuple(RegisteredCommonArea(*row) for row in session.execute(query))


def _delivery_points(session: Session, building_id: int) -> tuple[RegisteredDeliveryPoint, ...]:
    query = (
        select(
            DeliveryPointRow.code,
            func.coalesce(_premises.c.number, ""),
            DeliveryPointRow.boundary,
        )
        .outerjoin(_premises, _premises.c.id == DeliveryPointRow.premises_id)
        .where(DeliveryPointRow.building_id == building_id)
        .order_by(DeliveryPointRow.code)
    )
    return tuple(RegisteredDeliveryPoint(*row) for row in session.execute(query))


def list_points(
    session: Session,
    scope: Scope,
    *,
    search: str = "",
    building_code: str = "",
    commodity: Commodity | None = None,
    limit: int | None = 50,
    offset: int = 0,
) -> tuple[tuple[ListedPoint, ...], int]:
    """Return a page of the points in reach, by code, each with the meter that stands there.

    A search looks at the codes of the point, the numbers of its meters, past ones too, the address
    and the premises.
    """
    base = _listed_points().where(
        *_point_conditions(scope, search=search, building_code=building_code, commodity=commodity)
    )
    total = session.scalar(select(func.count()).select_from(base.subquery())) or 0
    query = base.order_by(
        _buildings.c.code,
        func.length(func.coalesce(_premises.c.number, "")),
        _premises.c.number,
        _points.c.code,
    ).offset(offset)
    rows = session.execute(query if limit is None else query.limit(limit)).mappings()
    return tuple(ListedPoint(**row) for row in rows), total


def _listed_points() -> Select[Any]:
    # A point has one meter at a time; where a file left two standing, the newest is shown.
    newest = (
        select(_meters.c.point_id, func.max(_meters.c.id).label("meter_id"))
        .where(_meters.c.removed_on.is_(None))
        .group_by(_meters.c.point_id)
        .subquery()
    )
    return (
        select(
            _points.c.id,
            _points.c.code,
            func.coalesce(_points.c.exchange_code, "").label("exchange_code"),
            _buildings.c.code.label("building_code"),
            _buildings.c.address,
            func.coalesce(_premises.c.number, "").label("premises_number"),
            func.coalesce(CommonAreaRow.name, "").label("common_area"),
            _points.c.commodity,
            func.coalesce(_meters.c.serial, "").label("serial"),
            func.coalesce(_meters.c.model, "").label("model"),
            _meters.c.verified_until,
        )
        .join(_buildings, _buildings.c.id == _points.c.building_id)
        .outerjoin(_premises, _premises.c.id == _points.c.premises_id)
        .outerjoin(CommonAreaRow, CommonAreaRow.id == _points.c.common_area_id)
        .outerjoin(newest, newest.c.point_id == _points.c.id)
        .outerjoin(_meters, _meters.c.id == newest.c.meter_id)
    )


def _point_conditions(
    scope: Scope, *, search: str, building_code: str, commodity: Commodity | None
) -> list[ColumnElement[bool]]:
    conditions = [building_in_scope(_points.c.building_id, scope)]
    if building_code:
        conditions.append(_buildings.c.code == building_code)
    if commodity is not None:
        conditions.append(_points.c.commodity == commodity)
    numbered = _meters.alias("numbered")
    for word in search.split():
        with_serial = select(numbered.c.point_id).where(
            numbered.c.serial.contains(word, autoescape=True)
        )
        conditions.append(
            or_(
                _points.c.code.contains(word, autoescape=True),
                _points.c.exchange_code.contains(word, autoescape=True),
                _premises.c.number == word,
                _points.c.id.in_(with_serial),
                *(_buildings.c.address.contains(one, autoescape=True) for one in _spellings(word)),
            )
        )
    return conditions


def point_by_code(session: Session, scope: Scope, code: str) -> RegisteredPoint:
    """Return a metering point in reach with its channels, its meters and their lives."""
    query = (
        select(
            _points,
            _buildings.c.code.label("building_code"),
            _buildings.c.address,
            _buildings.c.zone,
            func.coalesce(_premises.c.number, "").label("premises_number"),
            func.coalesce(CommonAreaRow.code, "").label("common_area_code"),
            func.coalesce(CommonAreaRow.name, "").label("common_area"),
            func.coalesce(DeliveryPointRow.code, "").label("delivery_point_code"),
        )
        .join(_buildings, _buildings.c.id == _points.c.building_id)
        .outerjoin(_premises, _premises.c.id == _points.c.premises_id)
        .outerjoin(CommonAreaRow, CommonAreaRow.id == _points.c.common_area_id)
        .outerjoin(DeliveryPointRow, DeliveryPointRow.id == _points.c.delivery_point_id)
        .where(_points.c.code == code, building_in_scope(_points.c.building_id, scope))
    )
    row = session.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(what=mark("metering point"), name=code)
    return RegisteredPoint(
        id=row["id"],
        code=row["code"],
        exchange_code=row["exchange_code"] or "",
        building_id=row["building_id"],
        building_code=row["building_code"],
        address=row["address"],
        zone=row["zone"],
        premises_id=row["premises_id"],
        premises_number=row["premises_number"],
        commodity=row["commodity"],
        common_area_code=row["common_area_code"],
        common_area=row["common_area"],
        delivery_point_code=row["delivery_point_code"],
        place=_coordinates(row),
        capacity_w=row["capacity_w"],
        channels=channels_of_points(session, [row["id"]]).get(row["id"], ()),
        meters=meters_of_points(session, [row["id"]]),
    )


def channels_of_points(
    session: Session, point_ids: Iterable[int]
) -> dict[int, tuple[RegisteredChannel, ...]]:
    """Return the channels of points, by code."""
    found: dict[int, tuple[RegisteredChannel, ...]] = {}
    for part in in_slices(sorted(set(point_ids))):
        query = select(_channels).where(_channels.c.point_id.in_(part)).order_by(_channels.c.code)
        for row in session.execute(query).mappings():
            channel = RegisteredChannel(
                row["id"], row["code"], row["interval_min"], row["multiplier"], row["loss_ppm"]
            )
            found[row["point_id"]] = (*found.get(row["point_id"], ()), channel)
    return found


@dataclass(frozen=True, slots=True)
class LatestReading:
    """The latest reading of a register."""

    meter_id: int
    serial: str
    zone: Zone
    taken_at: datetime
    value: int
    quality: int
    source: str


def latest_readings(session: Session, meters: Sequence[StandingMeter]) -> tuple[LatestReading, ...]:
    """Return the latest reading of each register of the meters, the newest meter first."""
    serials = {meter.id: meter.serial for meter in meters}
    newest = (
        select(
            _registers.c.meter_id,
            _registers.c.zone,
            func.max(_registers.c.taken_at).label("taken_at"),
        )
        .where(_registers.c.meter_id.in_(list(serials)))
        .group_by(_registers.c.meter_id, _registers.c.zone)
        .subquery()
    )
    query = (
        select(_registers)
        .join(
            newest,
            and_(
                newest.c.meter_id == _registers.c.meter_id,
                newest.c.zone == _registers.c.zone,
                newest.c.taken_at == _registers.c.taken_at,
            ),
        )
        .order_by(_registers.c.meter_id.desc(), _registers.c.zone, _registers.c.revision)
    )
    found = {
        (row["meter_id"], row["zone"]): LatestReading(
            meter_id=row["meter_id"],
            serial=serials[row["meter_id"]],
            zone=row["zone"],
            taken_at=row["taken_at"],
            value=row["value"],
            quality=row["quality"],
            source=row["source"],
        )
        for row in session.execute(query).mappings()
    }
    return tuple(found.values())


def servicers(session: Session) -> tuple[tuple[str, str], ...]:
    """Return code and name of all who service meters."""
    query = select(ServicerRow.code, ServicerRow.name).order_by(ServicerRow.name)
    return tuple((code, name) for code, name in session.execute(query))


def companies(session: Session) -> tuple[tuple[str, str], ...]:
    """Return code and name of all management companies."""
    query = select(CompanyRow.code, CompanyRow.name).order_by(CompanyRow.name)
    return tuple((code, name) for code, name in session.execute(query))


# --- events beside readings, as the page of a point shows them ---


@dataclass(frozen=True, slots=True)
class PointEvent:
    """An event of a point or of its premises: what, and from when to when."""

    kind: Any
    starts_at: datetime
    ends_at: datetime | None


def events_of_point(
    session: Session, point: RegisteredPoint, *, limit: int = 20
) -> tuple[PointEvent, ...]:
    """Return what the meter noticed and what was wrong with the service there, latest first."""
    device = (
        select(DeviceEventRow.kind, DeviceEventRow.starts_at, DeviceEventRow.ends_at)
        .where(DeviceEventRow.point_id == point.id)
        .order_by(DeviceEventRow.starts_at.desc())
        .limit(limit)
    )
    quality = (
        select(QualityEventRow.kind, QualityEventRow.starts_at, QualityEventRow.ends_at)
        .where(
            QualityEventRow.building_id == point.building_id,
            QualityEventRow.commodity == point.commodity,
            or_(
                QualityEventRow.premises_id.is_(None),
                QualityEventRow.premises_id == point.premises_id,
            ),
        )
        .order_by(QualityEventRow.starts_at.desc())
        .limit(limit)
    )
    found = [PointEvent(*row) for query in (device, quality) for row in session.execute(query)]
    return tuple(sorted(found, key=lambda one: one.starts_at, reverse=True)[:limit])


def _count_of(column: Any, name: str) -> Any:  # noqa: ANN401 - a subquery
    return (
        select(column.label("building_id"), func.count().label("total"))
        .group_by(column)
        .subquery(name)
    )


def _coordinates(row: Mapping[Any, Any]) -> Coordinates | None:
    if row["latitude_e6"] is None or row["longitude_e6"] is None:
        return None
    return Coordinates(row["latitude_e6"], row["longitude_e6"])


def _spellings(word: str) -> set[str]:
    """Return a word in the ways it may be written: SQLite folds case for Latin letters only."""
    return {word, word.lower(), word.capitalize()}


def areas_on(
    session: Session,
    premises_ids: Iterable[int],
    day: date,
    *,
    known_at: datetime | None = None,
) -> dict[int, int]:
    """Return the area of premises on a day, in square decimetres, as stated or as then known.

    Where nothing dated was stated the area of the premises themselves holds.
    """
    found: dict[int, int] = {}
    for part in in_slices(sorted(set(premises_ids))):
        query = select(PremisesRow.id, PremisesRow.area_dm2).where(PremisesRow.id.in_(part))
        found |= {row.id: row.area_dm2 for row in session.execute(query)}
        dated = (
            select(PremisesAreaRow.premises_id.label("id"), PremisesAreaRow.area_dm2)
            .where(
                PremisesAreaRow.premises_id.in_(part),
                PremisesAreaRow.valid_from <= day,
                stands(PremisesAreaRow, known_at),
            )
            .order_by(PremisesAreaRow.valid_from)
        )
        found |= {row.id: row.area_dm2 for row in session.execute(dated)}
    return found


def dated_areas(
    session: Session, premises_id: int, *, known_at: datetime | None = None
) -> tuple[DatedArea, ...]:
    """Return what was ever stated of the area of premises; or what stood at an instant.

    The caller has found the premises in reach of whom it serves.
    """
    query = select(PremisesAreaRow).where(PremisesAreaRow.premises_id == premises_id)
    if known_at is not None:
        query = query.where(stands(PremisesAreaRow, known_at))
    return tuple(
        DatedArea(
            row.id,
            row.valid_from,
            row.area_dm2,
            row.document,
            row.actor,
            row.recorded_at,
            row.superseded_at,
        )
        for row in session.scalars(query.order_by(PremisesAreaRow.valid_from, PremisesAreaRow.id))
    )
