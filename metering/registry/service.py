"""Use cases of the registry: register places in bulk, edit a building or a point."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from datetime import date
from typing import Final, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from kilokassa.core.calendar import local_date
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.ids import BuildingId, ChannelId, CompanyId, MeterId, MeteringPointId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.slices import in_slices
from metering.models import (
    BuildingRow,
    ChannelRow,
    CommonAreaRow,
    CompanyRow,
    DeliveryPointRow,
    MeteringPointRow,
    MeterRow,
    PremisesAreaRow,
    PremisesRow,
    ServicerRow,
)
from metering.registry.areas import (
    BEGINNING,
    FIRST_DAY,
    StatedArea,
    area_now,
    month_handed_in,
)
from metering.registry.places import (
    CHANNELS_OF,
    Channel,
    Coordinates,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
    RegisteredPlaces,
    check_loss,
)
from metering.registry.store import (
    RegisteredPoint,
    Upserted,
    building_by_code,
    commodities_of,
    common_areas_of,
    delivery_point_in,
    exchange_code_taken,
    point_by_code,
    scaled_otherwise,
    set_row,
    told_dates,
    upsert,
)
from metering.store import ids_by_code, premises_by_number

_companies = cast(Table, CompanyRow.__table__)
_servicers = cast(Table, ServicerRow.__table__)
_buildings = cast(Table, BuildingRow.__table__)
_common_areas = cast(Table, CommonAreaRow.__table__)
_premises = cast(Table, PremisesRow.__table__)
_delivery_points = cast(Table, DeliveryPointRow.__table__)
_points = cast(Table, MeteringPointRow.__table__)
_meters = cast(Table, MeterRow.__table__)
_channels = cast(Table, ChannelRow.__table__)

REGISTRY: Final = "registry"
"""Who states an area that came with a file or a form of the registry."""


def register_places(session: Session, order: PlacesOrder, clock: Clock) -> RegisteredPlaces:
    """Make known every place of the order, by code; the same order again changes nothing.

    A place may refer to one of the order or to one that is registered already; what is left out
    stays as it is registered. A multiplier or losses that differ once readings were stored by them
    are refused: what was counted would change its meaning without a trace. An area that differs
    holds from the month that is running; what held before stays as it was.
    """
    registry = _Registry(session, order, clock)
    registry.register()
    return registry.result()


class _Registry:
    """One order on its way into the tables: who refers to whom by code, and what was changed."""

    def __init__(self, session: Session, order: PlacesOrder, clock: Clock) -> None:
        self.session = session
        self.order = order
        self.clock = clock
        self.done: list[Upserted] = []

    def register(self) -> None:
        """Write places from the outside in: a building before its flats, a point before its meter.

        The ids of what is referred to are looked up once for each kind of place.
        """
        self._companies_and_servicers()
        self._buildings()
        self._inside_buildings()
        self._points()
        self._meters()
        self._channels()

    def result(self) -> RegisteredPlaces:
        """Return the ids of what the order named."""
        code_of = {point_id: code for code, point_id in self.point_ids.items()}
        return RegisteredPlaces(
            company_ids={code: CompanyId(i) for code, i in self.company_ids.items()},
            building_ids={code: BuildingId(i) for code, i in self.building_ids.items()},
            premises_ids=self.premises_ids,
            point_ids={code: MeteringPointId(i) for code, i in self.point_ids.items()},
            meter_ids={(code_of[p], s): MeterId(i) for (p, s), i in self.meters.ids.items()},
            channel_ids={(code_of[p], c): ChannelId(i) for (p, c), i in self.channels.ids.items()},
            created=sum(part.created for part in self.done),
            updated=sum(part.updated for part in self.done),
        )

    def _companies_and_servicers(self) -> None:
        order = self.order
        companies = self._upsert(
            _companies,
            ("code",),
            [
                {"code": c.code, "name": c.name, "inn": c.inn, "email": c.email}
                for c in order.companies
            ],
        )
        servicers = self._upsert(
            _servicers,
            ("code",),
            [
                {"code": s.code, "name": s.name, "email": s.email, "language": s.language}
                for s in order.servicers
            ],
        )
        self.company_ids = self._codes(
            _companies, companies, {b.company_code for b in order.buildings}
        )
        self.servicer_ids = self._codes(
            _servicers, servicers, {b.servicer_code for b in order.buildings}
        )

    def _buildings(self) -> None:
        order = self.order
        buildings = self._upsert(
            _buildings,
            ("code",),
            [
                {
                    "code": b.code,
                    "address": b.address,
                    "zone": b.zone,
                    "company_id": _found(self.company_ids, b.company_code, mark("company")),
                    "servicer_id": _found(self.servicer_ids, b.servicer_code, mark("servicer")),
                    "loss_ppm": b.loss_ppm,
                    "loss_w": b.loss_w,
                    "norm_code": b.norm_code,
                    **_place(b.place),
                }
                for b in order.buildings
            ],
            fixed=("zone",),
        )
        self.building_ids = self._codes(
            _buildings,
            buildings,
            {p.building_code for p in order.premises}
            | {p.building_code for p in order.points}
            | {a.building_code for a in order.common_areas}
            | {d.building_code for d in order.delivery_points},
        )

    def _inside_buildings(self) -> None:
        order = self.order
        changed = self._changed_areas()
        for premises_id, (_, former_dm2, _) in changed.items():
            _keep_first_area(self.session, premises_id, former_dm2)
        premises = self._upsert(
            _premises,
            ("building_id", "number"),
            [
                {
                    "building_id": self._building(p.building_code),
                    "number": p.number,
                    "area_dm2": p.area_dm2,
                    "rooms": p.rooms,
                }
                for p in order.premises
            ],
        )
        for stated, _, today in changed.values():
            state_area(self.session, stated, today, self.clock)
        areas = self._upsert(
            _common_areas,
            ("building_id", "code"),
            [
                {
                    "building_id": self._building(a.building_code),
                    "code": a.code,
                    "kind": a.kind,
                    "name": a.name,
                    "area_dm2": a.area_dm2,
                }
                for a in order.common_areas
            ],
        )
        self.premises_ids = self._premises_ids(premises.ids)
        self.area_ids = self._area_ids(areas.ids)
        delivery = self._upsert(
            _delivery_points,
            ("code",),
            [
                {
                    "code": d.code,
                    "building_id": self._building(d.building_code),
                    "premises_id": self._premises_id(d.building_code, d.premises_number),
                    "boundary": d.boundary,
                }
                for d in order.delivery_points
            ],
            fixed=("building_id",),
        )
        self.delivery_ids = self._codes(
            _delivery_points, delivery, {p.delivery_point_code for p in order.points}
        )

    def _points(self) -> None:
        order = self.order
        points = self._upsert(
            _points,
            ("code",),
            [self._point(point) for point in order.points],
            fixed=("building_id", "commodity"),
        )
        self.point_ids = self._codes(
            _points,
            points,
            {m.point_code for m in order.meters} | {c.point_code for c in order.channels},
        )

    def _point(self, point: MeteringPoint) -> dict[str, object]:
        area_id = None
        if point.common_area_code is not None:
            key = (point.building_code, point.common_area_code)
            if key not in self.area_ids:
                raise NotFound(what=mark("common area"), name=", ".join(key))
            area_id = self.area_ids[key]
        return {
            "code": point.code,
            "building_id": self._building(point.building_code),
            "premises_id": self._premises_id(point.building_code, point.premises_number),
            "commodity": point.commodity,
            "common_area_id": area_id,
            "delivery_point_id": _found(
                self.delivery_ids, point.delivery_point_code, mark("delivery point")
            ),
            "exchange_code": point.exchange_code,
            "capacity_w": point.capacity_w,
            **_place(point.place),
        }

    def _meters(self) -> None:
        meters = self.order.meters
        told: Mapping[tuple[int, str], set[str]] = {}
        if any(m.verified_until or m.made_on for m in meters):
            told = told_dates(self.session, {self._point_id(m.point_code) for m in meters})
        self.meters = self._upsert(
            _meters,
            ("point_id", "serial"),
            [self._meter(meter, told) for meter in meters],
            fixed=("digits",),
        )

    def _meter(self, meter: Meter, told: Mapping[tuple[int, str], set[str]]) -> dict[str, object]:
        point_id = self._point_id(meter.point_code)
        by_events = told.get((point_id, meter.serial), set())
        return {
            "point_id": point_id,
            "serial": meter.serial,
            "model": meter.model,
            "digits": meter.digits,
            "installed_on": meter.installed_on,
            "removed_on": meter.removed_on,
            # What a certificate said stands against a file that repeats an older date.
            "verified_until": None if "verified_until" in by_events else meter.verified_until,
            "made_on": None if "made_on" in by_events else meter.made_on,
            "service_life_years": meter.service_life_years,
        }

    def _channels(self) -> None:
        channels = self.order.channels
        ids = {c.point_code: self._point_id(c.point_code) for c in channels}
        commodities = commodities_of(self.session, ids.values())
        for channel in channels:
            commodity = commodities[ids[channel.point_code]]
            if channel.code not in CHANNELS_OF[commodity]:
                raise Invalid(
                    where=channel.point_code,
                    problem=mark("a channel %(channel)s does not fit what the point measures"),
                    channel=channel.code,
                )
        wanted = {
            (ids[c.point_code], c.code): (c.multiplier, c.loss_ppm)
            for c in channels
            if (c.multiplier, c.loss_ppm) != (None, None)
        }
        for point_id, code in scaled_otherwise(self.session, wanted):
            point_code = next(name for name, found in ids.items() if found == point_id)
            raise Invalid(where=f"{point_code} {code}", problem=SCALED)
        self.channels = self._upsert(
            _channels,
            ("point_id", "code"),
            [
                {
                    "point_id": ids[c.point_code],
                    "code": c.code,
                    "interval_min": c.interval_min,
                    "multiplier": c.multiplier,
                    "loss_ppm": c.loss_ppm,
                }
                for c in channels
            ],
            fixed=("interval_min",),
        )

    def _changed_areas(self) -> dict[int, tuple[StatedArea, int, date]]:
        """Return the areas that differ from what is registered, with that and the local today."""
        stated = {
            (self._building(p.building_code), p.number): p.area_dm2 for p in self.order.premises
        }
        found: dict[int, tuple[StatedArea, int, date]] = {}
        for part in in_slices(sorted({building_id for building_id, _ in stated})):
            query = (
                select(
                    PremisesRow.id,
                    PremisesRow.building_id,
                    PremisesRow.number,
                    PremisesRow.area_dm2,
                    BuildingRow.zone,
                )
                .join(BuildingRow, BuildingRow.id == PremisesRow.building_id)
                .where(PremisesRow.building_id.in_(part))
            )
            for row in self.session.execute(query):
                area_dm2 = stated.get((row.building_id, row.number), row.area_dm2)
                if area_dm2 == row.area_dm2:
                    continue
                today = local_date(self.clock.now(), ZoneInfo(row.zone))
                since = month_handed_in(today)
                stated_area = StatedArea(row.id, since, area_dm2, "", REGISTRY)
                found[row.id] = stated_area, row.area_dm2, today
        return found

    def _upsert(
        self,
        table: Table,
        keys: tuple[str, ...],
        rows: Sequence[Mapping[str, object]],
        *,
        fixed: tuple[str, ...] = (),
    ) -> Upserted:
        made = upsert(self.session, table, keys, rows, fixed=fixed)
        self.done.append(made)
        return made

    def _codes(
        self, table: Table, own: Upserted, referred: AbstractSet[str | None]
    ) -> dict[str, int]:
        """Return the ids of the order's own rows and of the rows it refers to."""
        known = {str(code): row_id for (code,), row_id in own.ids.items()}
        others = {code for code in referred if code is not None} - set(known)
        return {**known, **ids_by_code(self.session, table, others)}

    def _premises_ids(self, made: Mapping[tuple[object, ...], int]) -> dict[tuple[str, str], int]:
        code_of = {building_id: code for code, building_id in self.building_ids.items()}
        own = {(code_of[int(str(b))], str(number)): i for (b, number), i in made.items()}
        named = [(p.building_code, p.premises_number) for p in self.order.points]
        named += [(d.building_code, d.premises_number) for d in self.order.delivery_points]
        referred = {code for code, number in named if number and (code, number) not in own}
        there = premises_by_number(self.session, self._known_buildings(referred))
        return {**{(code_of[b], number): i for (b, number), i in there.items()}, **own}

    def _area_ids(self, made: Mapping[tuple[object, ...], int]) -> dict[tuple[str, str], int]:
        code_of = {building_id: code for code, building_id in self.building_ids.items()}
        own = {(code_of[int(str(b))], str(code)): i for (b, code), i in made.items()}
        referred = {
            point.building_code
            for point in self.order.points
            if point.common_area_code is not None
            and (point.building_code, point.common_area_code) not in own
        }
        there = common_areas_of(self.session, self._known_buildings(referred))
        return {**{(code_of[b], code): i for (b, code), i in there.items()}, **own}

    def _known_buildings(self, codes: set[str]) -> list[int]:
        return [self.building_ids[code] for code in codes if code in self.building_ids]

    def _building(self, code: str) -> int:
        return _required(self.building_ids, code, mark("building"))

    def _point_id(self, code: str) -> int:
        return _required(self.point_ids, code, mark("metering point"))

    def _premises_id(self, building_code: str, number: str | None) -> int | None:
        if number is None:
            return None
        if (building_code, number) not in self.premises_ids:
            raise NotFound(what=mark("premises"), name=f"{building_code}, {number}")
        return self.premises_ids[building_code, number]


SCALED = mark(
    "readings were stored by its multiplier and losses, which cannot change; "
    "register a new metering point from the day of the change"
)


@dataclass(frozen=True, slots=True)
class BuildingEdit:
    """A building as a person leaves the form: what is empty there is empty from now on."""

    scope: Scope
    code: str
    address: str
    company_code: str
    servicer_code: str
    place: Coordinates | None
    loss_ppm: int
    loss_w: int
    norm_code: str


def edit_building(session: Session, order: BuildingEdit, clock: Clock) -> None:
    """Set what is registered of a building in reach."""
    del clock
    order.scope.demand(Right.MANAGE_METERS)
    building = building_by_code(session, order.scope, order.code)
    if not order.address.strip():
        raise Invalid(where=order.code, problem=mark("an address is not empty"))
    check_loss(order.code, order.loss_ppm)
    set_row(
        session,
        BuildingRow,
        building.id,
        address=order.address.strip(),
        company_id=_optional_id(session, _companies, order.company_code, mark("company")),
        servicer_id=_optional_id(session, _servicers, order.servicer_code, mark("servicer")),
        loss_ppm=order.loss_ppm,
        loss_w=order.loss_w,
        norm_code=order.norm_code or None,
        **_place(order.place),
    )


@dataclass(frozen=True, slots=True)
class PointEdit:
    """A metering point as a person leaves the form: what is empty there is empty from now on."""

    scope: Scope
    code: str
    exchange_code: str
    delivery_point_code: str
    place: Coordinates | None
    capacity_w: int | None


def edit_point(session: Session, order: PointEdit, clock: Clock) -> None:
    """Set what is registered of a metering point in reach."""
    del clock
    order.scope.demand(Right.MANAGE_METERS)
    point = point_by_code(session, order.scope, order.code)
    if order.exchange_code and exchange_code_taken(session, order.exchange_code, point.id):
        raise Invalid(
            where=order.code,
            problem=mark("the exchange code %(code)s belongs to another point"),
            code=order.exchange_code,
        )
    # As a registration would check it.
    MeteringPoint(
        order.code,
        point.building_code,
        exchange_code=order.exchange_code or None,
        capacity_w=order.capacity_w,
    )
    set_row(
        session,
        MeteringPointRow,
        point.id,
        exchange_code=order.exchange_code or None,
        delivery_point_id=_delivery_point_id(session, point, order.delivery_point_code),
        capacity_w=order.capacity_w,
        **_place(order.place),
    )


@dataclass(frozen=True, slots=True)
class NewPoint:
    """A metering point that a person adds to a building, with the meter that stands there."""

    scope: Scope
    point: MeteringPoint
    meter: Meter | None
    channels: tuple[Channel, ...] = ()
    premises: Premises | None = None
    """Where the premises are not registered yet."""


def add_point(session: Session, order: NewPoint, clock: Clock) -> None:
    """Register one new metering point in a building in reach; a code that is known is refused."""
    order.scope.demand(Right.MANAGE_METERS)
    building_by_code(session, order.scope, order.point.building_code)
    if ids_by_code(session, _points, [order.point.code]):
        raise Invalid(where=order.point.code, problem=mark("a point with this code is registered"))
    register_places(
        session,
        PlacesOrder(
            premises=() if order.premises is None else (order.premises,),
            points=(order.point,),
            meters=() if order.meter is None else (order.meter,),
            channels=order.channels,
        ),
        clock,
    )


def _delivery_point_id(session: Session, point: RegisteredPoint, code: str) -> int | None:
    if not code:
        return None
    found = delivery_point_in(session, point.building_id, code)
    if found is None:
        raise NotFound(what=mark("delivery point"), name=code)
    return found


def _optional_id(session: Session, table: Table, code: str, what: str) -> int | None:
    if not code:
        return None
    return _required(ids_by_code(session, table, [code]), code, what)


def _place(place: Coordinates | None) -> dict[str, int | None]:
    return {
        "latitude_e6": None if place is None else place.latitude_e6,
        "longitude_e6": None if place is None else place.longitude_e6,
    }


def _found(ids: Mapping[str, int], code: str | None, what: str) -> int | None:
    return None if code is None else _required(ids, code, what)


def _required(ids: Mapping[str, int], code: str, what: str) -> int:
    if code not in ids:
        raise NotFound(what=what, name=code)
    return ids[code]


def state_area(session: Session, order: StatedArea, today: date, clock: Clock) -> bool:
    """Write down an area from a day on beside what was stated before; say whether it is news.

    Another area for the same day takes the former one's place. The premises themselves show what
    holds on `today`, a local day. The caller has found the premises in reach of its actor.
    """
    query = select(PremisesRow).where(PremisesRow.id == order.premises_id).with_for_update()
    premises = session.scalars(query).one()
    dated = PremisesAreaRow.premises_id == order.premises_id
    standing = {
        row.valid_from: row
        for row in session.scalars(
            select(PremisesAreaRow).where(dated, PremisesAreaRow.superseded_at.is_(None))
        )
    }
    now = clock.now()
    _keep_first_area(session, order.premises_id, premises.area_dm2)
    former = standing.get(order.valid_from)
    if former is not None:
        if (former.area_dm2, former.document) == (order.area_dm2, order.document):
            return False
        former.superseded_at = now
        session.flush()
    session.add(PremisesAreaRow(**asdict(order), recorded_at=now, superseded_at=None))
    session.flush()
    _show_area(session, premises, today)
    return True


def withdraw_area(
    session: Session, premises_id: int, statement_id: int, today: date, clock: Clock
) -> date | None:
    """Take a statement of an area back and return its day; None where it was taken back before."""
    premises = session.scalars(
        select(PremisesRow).where(PremisesRow.id == premises_id).with_for_update()
    ).one()
    row = session.get(PremisesAreaRow, statement_id, populate_existing=True)
    if row is None or row.premises_id != premises_id:
        raise NotFound(what=mark("stated fact"), name=str(statement_id))
    if row.recorded_at == BEGINNING:
        raise Invalid(where=mark("area"), problem=mark("what was stated first is not taken back"))
    if row.superseded_at is not None:
        return None
    row.superseded_at = clock.now()
    session.flush()
    _show_area(session, premises, today)
    return row.valid_from


def _keep_first_area(session: Session, premises_id: int, area_dm2: int) -> None:
    """Keep the area that was there before anything was stated of it, known since ever."""
    query = select(PremisesAreaRow.id).where(PremisesAreaRow.premises_id == premises_id).limit(1)
    if session.scalars(query).first() is not None:
        return
    session.add(
        PremisesAreaRow(
            premises_id=premises_id,
            valid_from=FIRST_DAY,
            area_dm2=area_dm2,
            document="",
            actor="",
            recorded_at=BEGINNING,
            superseded_at=None,
        )
    )
    session.flush()


def _show_area(session: Session, premises: PremisesRow, today: date) -> None:
    query = select(PremisesAreaRow.valid_from, PremisesAreaRow.area_dm2).where(
        PremisesAreaRow.premises_id == premises.id, PremisesAreaRow.superseded_at.is_(None)
    )
    holds = area_now([(day, area) for day, area in session.execute(query)], today)
    if holds is not None:
        premises.area_dm2 = holds
    session.flush()
