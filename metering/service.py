"""Use cases of places and readings: register, replace a meter, record registers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Table, select, update
from sqlalchemy.orm import Session

from kilokassa.core.calendar import local_date
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.ids import BuildingId, ChannelId, CompanyId, MeterId, MeteringPointId
from kilokassa.core.period import Period
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from metering.arrivals import Coverage, Placement, PointChannel, RefusedRows, pack_rows
from metering.days import UWH_PER_WH
from metering.findings import DayGrid, Finding, FindingKind, FindingState
from metering.imports import RefusalReason
from metering.models import (
    BuildingRow,
    ChannelRow,
    CompanyRow,
    MeteringPointRow,
    MeterRow,
    PremisesRow,
)
from metering.parsers.csv_registers import RegisterLine
from metering.parsers.source import SeriesKey
from metering.places import MeterReplacement, PlacesOrder, RegisteredPlaces
from metering.register_arrivals import MeterDirectory, check_registers
from metering.registers import RegisterReading
from metering.store import (
    add_chunk,
    add_findings,
    add_refusals,
    close_findings,
    day_qualities,
    day_spans,
    ids_by_code,
    load_registers,
    meters_in_scope,
    open_gaps,
    premises_by_number,
    upsert,
    write_days,
    write_registers,
)

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


@dataclass(frozen=True, slots=True)
class ChunkOrder:
    """A chunk of an import, its rows placed already."""

    batch_id: int
    number: int
    placement: Placement
    source: str
    retried: RefusedRows | None = None
    """A second try of these rows: a value that was stored in the meantime stays."""


def load_chunk(session: Session, order: ChunkOrder, clock: Clock) -> None:
    """Store the days of a chunk, what was refused and what was found, and that it was loaded."""
    now = clock.now()
    placement = order.placement
    written = write_days(
        session,
        placement.blocks,
        clock,
        source=order.source,
        fill_only=order.retried is not None,
    )
    refused_rows = [(part, len(part.rows)) for part in placement.refused]
    if order.retried is not None and written.refused:
        stayed = replace(order.retried, reason=RefusalReason.STORED_DIFFERENT)
        refused_rows.append((stayed, written.refused))
    add_refusals(
        session,
        order.batch_id,
        (
            (
                part.key,
                part.reason,
                count,
                int(part.rows["line"].min()),
                pack_rows(part.rows),
            )
            for part, count in refused_rows
        ),
        now,
    )
    add_findings(session, placement.findings, now, batch_id=order.batch_id)
    find_gaps(session, placement.coverage, clock, batch_id=order.batch_id)
    refused = sum(count for _, count in refused_rows)
    repeated = written.repeated + placement.duplicates
    energy_wh, energy_uwh = divmod(placement.energy_uwh, UWH_PER_WH)
    add_chunk(
        session,
        {
            "batch_id": order.batch_id,
            "number": order.number,
            "row_count": written.new + repeated + written.revised + refused,
            "new": written.new,
            "repeated": repeated,
            "revised": written.revised,
            "refused": refused,
            "energy_wh": energy_wh,
            "energy_uwh": energy_uwh,
            "recorded_at": now,
        },
    )


@dataclass(frozen=True, slots=True)
class RegistersOrder:
    """The lines of a file of register readings."""

    batch_id: int
    lines: tuple[RegisterLine, ...]
    unit_wh: int
    """Wh in the unit of the file; a heat meter's value is in Gcal whatever it is."""
    scope: Scope


def load_registers_file(session: Session, order: RegistersOrder, clock: Clock) -> None:
    """Store register readings in the order they were taken; keep and count what is refused."""
    now = clock.now()
    meters = MeterDirectory(
        meters_in_scope(
            session,
            order.scope,
            codes={line.point_code for line in order.lines if line.point_code},
            serials={line.serial for line in order.lines if line.serial},
        )
    )
    placed, refused = meters.place(order.lines, order.unit_wh)
    standing = load_registers(session, {one.reading.meter_id for one in placed})
    checked = check_registers(placed, standing)
    refused += checked.refused
    written = write_registers(
        session, [one.reading for one in checked.accepted], clock, source=f"file:{order.batch_id}"
    )
    add_refusals(
        session,
        order.batch_id,
        (
            (
                SeriesKey(one.line.point_code or one.line.serial),
                one.reason,
                1,
                one.line.line,
                one.line.packed(),
            )
            for one in refused
        ),
        now,
    )
    add_findings(session, checked.findings, now, batch_id=order.batch_id)
    add_chunk(
        session,
        {
            "batch_id": order.batch_id,
            "number": 0,
            "row_count": len(order.lines),
            "new": written.new,
            "repeated": written.repeated,
            "revised": written.revised,
            "refused": len(refused),
            "energy_wh": sum(checked.counted),
            "energy_uwh": 0,
            "recorded_at": now,
        },
    )


NEIGHBOUR_DAYS: Final = timedelta(days=31)
"""How far from arriving days other stored days are looked for, to see a gap between them."""


def find_gaps(
    session: Session, coverage: Sequence[Coverage], clock: Clock, *, batch_id: int | None
) -> None:
    """Open a finding for each gap around the days that arrived; close those now filled."""
    standing = open_gaps(session, [part.channel.channel_id for part in coverage])
    fresh: list[Finding] = []
    closed: list[int] = []
    for (zone, interval_min, first, last), channels in _alike(coverage, standing).items():
        spans = day_spans(session, [c.channel_id for c in channels], first, last)
        broken = [channel_id for channel_id, (_, _, whole) in spans.items() if not whole]
        qualities = day_qualities(session, broken, first, last)
        grid = DayGrid(ZoneInfo(zone), interval_min, first, last)
        for channel in channels:
            found = dict(grid.gaps(qualities.get(channel.channel_id, [])))
            known = standing.get(channel.channel_id, {})
            fresh += [
                Finding(
                    kind=FindingKind.GAP,
                    point_code=channel.point_code,
                    channel_id=channel.channel_id,
                    period=period,
                    detail={"count": count},
                )
                for period, count in found.items()
                if period not in known
            ]
            closed += [
                finding_id
                for period, finding_id in known.items()
                if period not in found and grid.period.intersect(period)
            ]
    now = clock.now()
    close_findings(
        session,
        closed,
        state=FindingState.CORRECTED,
        closed_by="" if batch_id is None else f"import:{batch_id}",
        at=now,
    )
    add_findings(session, fresh, now, batch_id=batch_id)


def _alike(
    coverage: Sequence[Coverage], standing: Mapping[int, Mapping[Period, int]]
) -> dict[tuple[str, int, date, date], list[PointChannel]]:
    """Group channels by zone, interval and the days to look at: so few queries serve many."""
    groups: dict[tuple[str, int, date, date], list[PointChannel]] = {}
    for part in coverage:
        channel = part.channel
        zone = ZoneInfo(channel.zone)
        first, last = part.first - NEIGHBOUR_DAYS, part.last + NEIGHBOUR_DAYS
        for period in standing.get(channel.channel_id, {}):
            opens, closes = local_date(period.start, zone), local_date(period.end, zone)
            if opens <= last and closes >= first:
                first, last = min(first, opens - timedelta(days=1)), max(last, closes)
        groups.setdefault((channel.zone, channel.interval_min, first, last), []).append(channel)
    return groups


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
