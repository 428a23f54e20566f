"""Loading a registry file and writing one: whole or not at all, and again without harm.

The file's own faults are found by `registry_file`; what only the database can tell is found here,
still before anything is written.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

from billing.store import retailer
from kilokassa.app.clerk_files import RefusedLine
from kilokassa.app.registry_file import RegistryFile, RegistryLine, parse_registry
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Forbidden, NotFound
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import building_in_scope
from kilokassa.db.session import Database
from kilokassa.db.slices import in_slices
from metering.models import (
    BuildingRow,
    ChannelRow,
    CommonAreaRow,
    CompanyRow,
    DeliveryPointRow,
    MeteringPointRow,
    MeterRow,
    PremisesRow,
    ServicerRow,
)
from metering.registry.places import (
    Building,
    Channel,
    Commodity,
    CommonArea,
    Company,
    Coordinates,
    DeliveryPoint,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
    Servicer,
)
from metering.registry.service import SCALED, register_places
from metering.registry.store import (
    RegisteredBuilding,
    RegisteredChannel,
    StandingMeter,
    building_by_code,
    channels_of_points,
    meters_of_points,
    scaled_otherwise,
)

CHUNK: Final = 5_000
"""Lines that one order registers; all orders of a file stand or fall together."""


@dataclass(frozen=True, slots=True)
class RegistryReport:
    """What an import did, or would do."""

    loaded: bool
    """False after a dry run, and where a line was refused: then nothing was written."""
    dry_run: bool
    lines: int
    created: int
    """Rows of any kind that are new: buildings, premises, points, meters, channels."""
    updated: int
    refused: tuple[RefusedLine, ...]


def import_registry(
    database: Database, path: Path, *, dry_run: bool, scope: Scope, clock: Clock
) -> RegistryReport:
    """Load the registry file at `path`; repeat it without harm; on a dry run write nothing."""
    try:
        data = path.read_bytes()
    except OSError:
        raise NotFound(what=mark("readable file"), name=str(path)) from None
    return import_registry_data(database, data, dry_run=dry_run, scope=scope, clock=clock)


def import_registry_data(
    database: Database, data: bytes, *, dry_run: bool, scope: Scope, clock: Clock
) -> RegistryReport:
    """Load a registry file that is at hand as bytes, in one transaction."""
    _demand_registry(scope)
    file = parse_registry(data)
    refused: Sequence[RefusedLine] = file.refused
    created = updated = 0
    if not refused:
        with database.writing() as session:
            known = _Known(session, file)
            refused = known.contradictions()
            for part in () if refused else in_slices(file.lines, CHUNK):
                made = register_places(session, known.order(part), clock)
                created += made.created
                updated += made.updated
            if dry_run:
                session.rollback()
    return RegistryReport(
        loaded=not refused and not dry_run,
        dry_run=dry_run,
        lines=len(file.lines) + len(file.refused),
        created=created,
        updated=updated,
        refused=tuple(refused),
    )


def _demand_registry(scope: Scope) -> None:
    scope.demand(Right.MANAGE_METERS)
    if not scope.whole_retailer:
        raise Forbidden(action=str(Right.MANAGE_METERS))


def exported_lines(session: Session, scope: Scope) -> Iterator[RegistryLine]:
    """Yield everything that is registered in reach, house by house, as lines of a file.

    A point has a line for each of its meters, past ones too; what belongs to a house stands in the
    house's first line. A house without points has no line.
    """
    scope.demand(Right.VIEW_STAFF)
    codes = session.scalars(
        select(BuildingRow.code)
        .where(building_in_scope(cast(Table, BuildingRow.__table__).c.id, scope))
        .order_by(BuildingRow.code)
    ).all()
    for code in codes:
        yield from _house_lines(session, building_by_code(session, scope, code))


def _house_lines(session: Session, house: RegisteredBuilding) -> Iterator[RegistryLine]:
    query = (
        select(
            MeteringPointRow,
            PremisesRow.number,
            PremisesRow.area_dm2,
            PremisesRow.rooms,
            CommonAreaRow,
            DeliveryPointRow.code,
            DeliveryPointRow.boundary,
        )
        .outerjoin(PremisesRow, PremisesRow.id == MeteringPointRow.premises_id)
        .outerjoin(CommonAreaRow, CommonAreaRow.id == MeteringPointRow.common_area_id)
        .outerjoin(DeliveryPointRow, DeliveryPointRow.id == MeteringPointRow.delivery_point_id)
        .where(MeteringPointRow.building_id == house.id)
        .order_by(
            func.length(func.coalesce(PremisesRow.number, "")),
            func.coalesce(PremisesRow.number, ""),
            MeteringPointRow.code,
        )
    )
    rows = session.execute(query).all()
    meters: dict[int, list[StandingMeter]] = {}
    for meter in meters_of_points(session, [row[0].id for row in rows]):
        meters.setdefault(meter.point_id, []).append(meter)
    channels = channels_of_points(session, [row[0].id for row in rows])
    first = True
    found: Sequence[Any] = rows
    for point, number, area_dm2, rooms, area, delivery_code, boundary in found:
        line = RegistryLine(
            line=0,
            building_code=house.code,
            address=house.address,
            point_code=point.code,
            commodity=point.commodity,
            premises_number=number,
            area_dm2=area_dm2,
            rooms=rooms,
            delivery_point_code=delivery_code,
            boundary=boundary or None,
            exchange_code=point.exchange_code,
            place=_coordinates(point),
            capacity_w=point.capacity_w,
        )
        if area is not None:
            line = replace(line, **_of_area(area))
        if first:
            line = replace(line, **_of_house(session, house))
        first = False
        of_point = [_of_meter(meter) for meter in meters.get(point.id, [])]
        scaled = _of_channels(channels.get(point.id, ()))
        nothing: dict[str, Any] = {}
        for parts in zip_longest(of_point or [nothing], scaled, fillvalue=nothing):
            yield replace(line, **parts[0], **parts[1])


def _of_area(area: CommonAreaRow) -> dict[str, Any]:
    return {
        "common_area_code": area.code,
        "common_area_kind": area.kind,
        "common_area_name": area.name or None,
        "common_area_dm2": area.area_dm2,
    }


def _of_house(session: Session, house: RegisteredBuilding) -> dict[str, Any]:
    company = session.scalar(select(CompanyRow).where(CompanyRow.code == house.company_code))
    servicer = session.scalar(select(ServicerRow).where(ServicerRow.code == house.servicer_code))
    return {
        "zone": house.zone,
        "company_code": house.company_code or None,
        "company_name": house.company_name or None,
        "company_email": (company.email or None) if company else None,
        "servicer_code": house.servicer_code or None,
        "servicer_name": house.servicer_name or None,
        "servicer_email": (servicer.email or None) if servicer else None,
        "servicer_language": servicer.language if servicer else None,
        "building_place": house.place,
        "building_loss_ppm": house.loss_ppm,
        "building_loss_w": house.loss_w,
        "norm_code": house.norm_code or None,
    }


def _of_meter(meter: StandingMeter) -> dict[str, Any]:
    dates = meter.dates
    return {
        "serial": meter.serial,
        "model": meter.model or None,
        "digits": meter.digits,
        "made_on": dates.made_on,
        "installed_on": dates.installed_on,
        "removed_on": dates.removed_on,
        "verified_until": dates.verified_until,
        "service_life_years": dates.service_life_years,
    }


def _of_channels(channels: Sequence[RegisteredChannel]) -> list[dict[str, Any]]:
    """Return channels that are scaled alike together: they share a line."""
    alike: dict[tuple[int, int, int], list[str]] = {}
    for one in channels:
        alike.setdefault((one.interval_min, one.multiplier, one.loss_ppm), []).append(one.code)
    return [
        {
            "channels": tuple(codes),
            "interval_min": interval_min,
            "multiplier": multiplier,
            "loss_ppm": loss_ppm,
        }
        for (interval_min, multiplier, loss_ppm), codes in alike.items()
    ]


def _coordinates(point: MeteringPointRow) -> Coordinates | None:
    if point.latitude_e6 is None or point.longitude_e6 is None:
        return None
    return Coordinates(point.latitude_e6, point.longitude_e6)


class _Known:
    """What is registered of the things that a file names, and what the file itself says of them."""

    def __init__(self, session: Session, file: RegistryFile) -> None:
        self.session = session
        self.lines = file.lines
        self.zone = retailer(session).zone
        self.buildings = self._by_code(BuildingRow, "code", (x.building_code for x in self.lines))
        self.points = self._by_code(MeteringPointRow, "code", (x.point_code for x in self.lines))
        # A code of others that is another point's own name would never reach this point.
        exchange = {line.exchange_code for line in self.lines}
        self.exchange = {
            **self._by_code(MeteringPointRow, "exchange_code", exchange),
            **self._by_code(MeteringPointRow, "code", exchange),
        }
        building_ids = {row["id"]: code for code, row in self.buildings.items()}
        point_ids = {row["id"]: code for code, row in self.points.items()}
        self.meters = self._inside(MeterRow, "point_id", "serial", point_ids)
        self.channels = self._inside(ChannelRow, "point_id", "code", point_ids)
        self.said: dict[tuple[str, ...], Any] = {}
        for code, row in self.buildings.items():
            self.said |= {("address", code): row["address"], ("zone", code): row["zone"]}
        for field, table, codes in (
            ("company_name", CompanyRow, (x.company_code for x in self.lines)),
            ("servicer_name", ServicerRow, (x.servicer_code for x in self.lines)),
        ):
            for code, row in self._by_code(table, "code", codes).items():
                self.said[field, code] = row["name"]
        for key, row in self._inside(PremisesRow, "building_id", "number", building_ids).items():
            self.said["area_m2", *key] = row["area_dm2"]
        for key, row in self._inside(CommonAreaRow, "building_id", "code", building_ids).items():
            self.said["common_area_kind", *key] = row["kind"]
        for code, row in self.points.items():
            self.said["commodity", code] = row["commodity"]
        for key, row in self.meters.items():
            self.said["installed_on", *key] = row["installed_on"]
        for line in self.lines:
            self.said |= {key: value for key, value in _needs(line) if value is not None}
            if line.zone is not None:
                self.said["zone", line.building_code] = line.zone
            if line.commodity is not None:
                self.said["commodity", line.point_code] = line.commodity

    def contradictions(self) -> list[RefusedLine]:
        """Return what the file says against what is registered, or leaves out of something new."""
        found: list[RefusedLine] = []
        for line in self.lines:
            found += [
                RefusedLine(line=line.line, field=key[0], problem=mark("it may not be empty"))
                for key, _ in _needs(line)
                if key not in self.said
            ]
            found += [
                RefusedLine(
                    line=line.line,
                    field=field,
                    problem=mark("it is registered as %(known)s"),
                    known=str(known),
                )
                for field, known, said in self._fixed(line)
                if said is not None and known != said
            ]
        found += self._standing_twice()
        found += self._scaled_otherwise()
        return sorted(found, key=lambda one: (one.values["line"], one.values["field"]))

    def _fixed(self, line: RegistryLine) -> Iterator[tuple[str, object, object]]:
        """Yield what is registered, and cannot change, beside what a line says of it."""
        building = self.buildings.get(line.building_code)
        if building is not None:
            yield "zone", building["zone"], line.zone
        point = self.points.get(line.point_code)
        if point is not None:
            house = self.session.get(BuildingRow, point["building_id"])
            assert house is not None, "a point has a building"
            yield "building", house.code, line.building_code
            yield "commodity", point["commodity"], line.commodity
        other = self.exchange.get(line.exchange_code or "")
        if other is not None:
            yield "exchange_code", other["code"], line.point_code
        meter = self.meters.get((line.point_code, line.serial or ""))
        if meter is not None:
            yield "digits", meter["digits"], line.digits
        for code in line.channels:
            channel = self.channels.get((line.point_code, code))
            if channel is not None:
                yield "interval", channel["interval_min"], line.interval_min

    def _standing_twice(self) -> Iterator[RefusedLine]:
        """Yield the lines that would leave two meters at a point at once."""
        standing: dict[str, set[str]] = {}
        for (point_code, serial), row in self.meters.items():
            if row["removed_on"] is None:
                standing.setdefault(point_code, set()).add(serial)
        for line in self.lines:
            if line.removed_on is not None:
                standing.get(line.point_code, set()).discard(line.serial or "")
        for line in self.lines:
            known = self.meters.get((line.point_code, line.serial or ""))
            gone = known is not None and known["removed_on"] is not None
            if line.serial is None or line.removed_on is not None or gone:
                continue
            there = standing.setdefault(line.point_code, set())
            others = sorted(there - {line.serial})
            there.add(line.serial)
            if others and known is None:
                yield RefusedLine(
                    line=line.line,
                    field="meter_serial",
                    problem=mark(
                        "meter %(other)s stands there: replace it, or say when it was removed"
                    ),
                    other=others[0],
                )

    def _scaled_otherwise(self) -> Iterator[RefusedLine]:
        wanted: dict[tuple[int, str], tuple[int | None, int | None]] = {}
        lines: dict[tuple[int, str], int] = {}
        for line in self.lines:
            if line.point_code in self.points:
                for code in line.channels:
                    key = (int(self.points[line.point_code]["id"]), code)
                    wanted[key] = (line.multiplier, line.loss_ppm)
                    lines[key] = line.line
        for key in scaled_otherwise(self.session, wanted):
            yield RefusedLine(line=lines[key], field="multiplier", problem=SCALED)

    def order(self, lines: Sequence[RegistryLine]) -> PlacesOrder:
        """Return what the lines register; what they leave out is left out."""
        said = self.said
        return PlacesOrder(
            companies=tuple(
                Company(
                    one.company_code,
                    said["company_name", one.company_code],
                    None,
                    one.company_email,
                )
                for one in lines
                if one.company_code
            ),
            servicers=tuple(
                Servicer(
                    one.servicer_code,
                    said["servicer_name", one.servicer_code],
                    one.servicer_email,
                    one.servicer_language,
                )
                for one in lines
                if one.servicer_code
            ),
            buildings=tuple(self._building(one) for one in lines),
            premises=tuple(
                Premises(
                    one.building_code,
                    one.premises_number,
                    said["area_m2", one.building_code, one.premises_number],
                    one.rooms,
                )
                for one in lines
                if one.premises_number
            ),
            common_areas=tuple(
                CommonArea(
                    one.building_code,
                    one.common_area_code,
                    said["common_area_kind", one.building_code, one.common_area_code],
                    one.common_area_name,
                    one.common_area_dm2,
                )
                for one in lines
                if one.common_area_code
            ),
            delivery_points=tuple(
                DeliveryPoint(
                    one.delivery_point_code, one.building_code, one.premises_number, one.boundary
                )
                for one in lines
                if one.delivery_point_code
            ),
            points=tuple(self._point(one) for one in lines),
            meters=tuple(
                Meter(
                    one.point_code,
                    one.serial,
                    said["installed_on", one.point_code, one.serial],
                    one.model,
                    one.digits,
                    one.removed_on,
                    one.verified_until,
                    one.made_on,
                    one.service_life_years,
                )
                for one in lines
                if one.serial
            ),
            channels=tuple(
                Channel(one.point_code, one.interval_min, code, one.multiplier, one.loss_ppm)
                for one in lines
                if one.interval_min
                for code in one.channels
            ),
        )

    def _building(self, line: RegistryLine) -> Building:
        code = line.building_code
        return Building(
            code,
            self.said["address", code],
            self.said.get(("zone", code), self.zone),
            line.company_code,
            line.servicer_code,
            line.building_place,
            line.building_loss_ppm,
            line.building_loss_w,
            line.norm_code,
        )

    def _point(self, line: RegistryLine) -> MeteringPoint:
        return MeteringPoint(
            line.point_code,
            line.building_code,
            line.premises_number,
            self.said.get(("commodity", line.point_code), Commodity.ELECTRICITY),
            line.exchange_code,
            line.delivery_point_code,
            line.common_area_code,
            line.place,
            line.capacity_w,
        )

    def _by_code(
        self, kind: type[Any], column: str, codes: Iterable[str | None]
    ) -> dict[str, Mapping[str, Any]]:
        table = cast(Table, kind.__table__)
        found: dict[str, Mapping[str, Any]] = {}
        for part in in_slices(sorted({code for code in codes if code is not None})):
            rows = self.session.execute(select(table).where(table.c[column].in_(part)))
            found.update({row[column]: dict(row) for row in rows.mappings()})
        return found

    def _inside(
        self, kind: type[Any], of: str, column: str, codes: Mapping[int, str]
    ) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Return the rows of things inside others, by the code of the other and their own."""
        table = cast(Table, kind.__table__)
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for part in in_slices(sorted(codes)):
            rows = self.session.execute(select(table).where(table.c[of].in_(part)))
            found.update({(codes[row[of]], row[column]): dict(row) for row in rows.mappings()})
        return found


def _needs(line: RegistryLine) -> list[tuple[tuple[str, ...], object]]:
    """Return what must be known of the things that a line names, and what the line says of it."""
    needed: list[tuple[tuple[str, ...], object]] = [(("address", line.building_code), line.address)]
    if line.company_code:
        needed.append((("company_name", line.company_code), line.company_name))
    if line.servicer_code:
        needed.append((("servicer_name", line.servicer_code), line.servicer_name))
    if line.premises_number:
        needed.append((("area_m2", line.building_code, line.premises_number), line.area_dm2))
    if line.common_area_code:
        key = ("common_area_kind", line.building_code, line.common_area_code)
        needed.append((key, line.common_area_kind))
    if line.serial:
        needed.append((("installed_on", line.point_code, line.serial), line.installed_on))
    return needed
