"""Use cases of places and readings: register, replace a meter, record registers."""

from collections.abc import Mapping
from typing import cast

from sqlalchemy import Table, select, update
from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.ids import BuildingId, ChannelId, CompanyId, MeterId, MeteringPointId
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from metering.models import (
    BuildingRow,
    ChannelRow,
    CompanyRow,
    MeteringPointRow,
    MeterRow,
    PremisesRow,
)
from metering.places import MeterReplacement, PlacesOrder, RegisteredPlaces
from metering.registers import RegisterReading
from metering.store import ids_by_code, premises_by_number, upsert, write_registers

_companies = cast(Table, CompanyRow.__table__)
_buildings = cast(Table, BuildingRow.__table__)
_premises = cast(Table, PremisesRow.__table__)
_points = cast(Table, MeteringPointRow.__table__)
_meters = cast(Table, MeterRow.__table__)
_channels = cast(Table, ChannelRow.__table__)


def register_places(session: Session, order: PlacesOrder, clock: Clock) -> RegisteredPlaces:
    """Make known every place of the order, by code; the same order again changes nothing.

    A place may refer to one of the order or to one that is registered already.
    """
    del clock  # places have no time of their own
    companies = upsert(
        session,
        _companies,
        ("code",),
        [{"code": c.code, "name": c.name, "inn": c.inn} for c in order.companies],
    )
    company_ids = _codes(
        session,
        _companies,
        {code: i for (code,), i in companies.ids.items()},
        {b.company_code for b in order.buildings if b.company_code is not None},
    )
    buildings = upsert(
        session,
        _buildings,
        ("code",),
        [
            {
                "code": b.code,
                "address": b.address,
                "zone": b.zone,
                "company_id": None
                if b.company_code is None
                else _found(company_ids, b.company_code, "company"),
            }
            for b in order.buildings
        ],
        fixed=("zone",),
    )
    building_ids = _codes(
        session,
        _buildings,
        {code: i for (code,), i in buildings.ids.items()},
        {p.building_code for p in order.premises} | {p.building_code for p in order.points},
    )
    premises = upsert(
        session,
        _premises,
        ("building_id", "number"),
        [
            {
                "building_id": _found(building_ids, p.building_code, "building"),
                "number": p.number,
                "area_dm2": p.area_dm2,
            }
            for p in order.premises
        ],
    )
    premises_ids = _premises_ids(session, order, building_ids, premises.ids)
    points = upsert(
        session,
        _points,
        ("code",),
        [
            {
                "code": p.code,
                "building_id": _found(building_ids, p.building_code, "building"),
                "premises_id": None
                if p.premises_number is None
                else _premises_found(premises_ids, p.building_code, p.premises_number),
                "commodity": p.commodity,
            }
            for p in order.points
        ],
        fixed=("building_id", "commodity"),
    )
    point_ids = _codes(
        session,
        _points,
        {code: i for (code,), i in points.ids.items()},
        {m.point_code for m in order.meters} | {c.point_code for c in order.channels},
    )
    code_of = {point_id: code for code, point_id in point_ids.items()}
    meters = upsert(
        session,
        _meters,
        ("point_id", "serial"),
        [
            {
                "point_id": _found(point_ids, m.point_code, "metering point"),
                "serial": m.serial,
                "model": m.model,
                "digits": m.digits,
                "installed_on": m.installed_on,
                "removed_on": m.removed_on,
                "verified_until": m.verified_until,
            }
            for m in order.meters
        ],
        fixed=("digits",),
    )
    channels = upsert(
        session,
        _channels,
        ("point_id", "code"),
        [
            {
                "point_id": _found(point_ids, c.point_code, "metering point"),
                "code": c.code,
                "interval_min": c.interval_min,
                "multiplier": c.multiplier,
            }
            for c in order.channels
        ],
        fixed=("interval_min",),
    )
    done = (companies, buildings, premises, points, meters, channels)
    return RegisteredPlaces(
        company_ids={code: CompanyId(i) for code, i in company_ids.items()},
        building_ids={code: BuildingId(i) for code, i in building_ids.items()},
        premises_ids=premises_ids,
        point_ids={code: MeteringPointId(i) for code, i in point_ids.items()},
        meter_ids={(code_of[p], serial): MeterId(i) for (p, serial), i in meters.ids.items()},
        channel_ids={(code_of[p], code): ChannelId(i) for (p, code), i in channels.ids.items()},
        created=sum(part.created for part in done),
        updated=sum(part.updated for part in done),
    )


def replace_meter(session: Session, order: MeterReplacement, clock: Clock) -> MeterId:
    """End the life of a point's meter and start that of another, with what both showed.

    The channel lives on: an interval series does not notice that the device was changed.
    """
    point_id = _found(
        ids_by_code(session, _points, [order.meter.point_code]),
        order.meter.point_code,
        "metering point",
    )
    query = select(MeterRow.id, MeterRow.installed_on, MeterRow.removed_on).where(
        MeterRow.point_id == point_id, MeterRow.serial == order.removed_serial
    )
    removed = session.execute(query.with_for_update()).one_or_none()
    if removed is None:
        raise NotFound(what="meter", name=order.removed_serial)
    removed_on = order.meter.installed_on
    if removed.removed_on not in (None, removed_on) or removed_on < removed.installed_on:
        raise Invalid(
            where=order.removed_serial,
            problem=mark("the meter was not at its point on %(day)s"),
            day=removed_on.isoformat(),
        )
    session.execute(update(_meters).where(_meters.c.id == removed.id).values(removed_on=removed_on))
    placed = register_places(session, PlacesOrder(meters=(order.meter,)), clock)
    new_id = placed.meter_ids[order.meter.point_code, order.meter.serial]
    write_registers(
        session,
        [
            *_showing(removed.id, order.final_values, order),
            *_showing(new_id, order.first_values, order),
        ],
        clock,
        source="replacement",
    )
    return new_id


def _showing(
    meter_id: int, values: Mapping[Zone, int], order: MeterReplacement
) -> list[RegisterReading]:
    return [RegisterReading(meter_id, zone, order.at, value) for zone, value in values.items()]


def _codes(
    session: Session, table: Table, known: Mapping[str, int], referred: set[str]
) -> dict[str, int]:
    """Return the ids of the order's own rows and of the rows it refers to."""
    return {**known, **ids_by_code(session, table, referred - set(known))}


def _premises_ids(
    session: Session,
    order: PlacesOrder,
    building_ids: Mapping[str, int],
    known: Mapping[tuple[object, ...], int],
) -> dict[tuple[str, str], int]:
    code_of = {building_id: code for code, building_id in building_ids.items()}
    made = {(code_of[int(str(b))], str(number)): i for (b, number), i in known.items()}
    referred = {
        p.building_code
        for p in order.points
        if p.premises_number is not None and (p.building_code, p.premises_number) not in made
    }
    there = premises_by_number(
        session, [building_ids[code] for code in referred if code in building_ids]
    )
    return {**{(code_of[b], number): i for (b, number), i in there.items()}, **made}


def _found(ids: Mapping[str, int], code: str, what: str) -> int:
    if code not in ids:
        raise NotFound(what=what, name=code)
    return ids[code]


def _premises_found(ids: Mapping[tuple[str, str], int], building_code: str, number: str) -> int:
    if (building_code, number) not in ids:
        raise NotFound(what="premises", name=f"{building_code}, {number}")
    return ids[building_code, number]
