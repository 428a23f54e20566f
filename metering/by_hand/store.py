"""Queries of readings by hand: meters and registers in reach, windows, walk-rounds, photographs."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Table, and_, exists, func, insert, select, update
from sqlalchemy.orm import Session

from kilokassa.core.calendar import local_date, local_midnight
from kilokassa.core.errors import NotFound
from kilokassa.core.scope import Scope
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from kilokassa.db.rights import building_in_scope, premises_in_scope
from kilokassa.db.slices import in_slices
from metering.by_hand.readings import (
    RegisterState,
    WindowRule,
    flat_order,
    usual_per_day,
    zone_order,
)
from metering.events.kinds import VisitOutcome
from metering.findings.finding import FindingKind, FindingState
from metering.findings.store import ID_MAX
from metering.models import (
    BuildingRow,
    ChannelRow,
    FindingRow,
    MeteringPointRow,
    MeterRow,
    PremisesRow,
    ReadingPhotoRow,
    ReadingWindowRow,
    RegisterReadingRow,
    WalkRoundRow,
    WalkRoundVisitRow,
)
from metering.registers import ESTIMATES, RegisterReading, modulus
from metering.registry.places import Commodity
from metering.store import load_registers

_registers = cast(Table, RegisterReadingRow.__table__)
_rounds = cast(Table, WalkRoundRow.__table__)
_visits = cast(Table, WalkRoundVisitRow.__table__)
_photos = cast(Table, ReadingPhotoRow.__table__)
_windows = cast(Table, ReadingWindowRow.__table__)
_findings = cast(Table, FindingRow.__table__)
_buildings = cast(Table, BuildingRow.__table__)
_points = cast(Table, MeteringPointRow.__table__)
_premises = cast(Table, PremisesRow.__table__)
_meters = cast(Table, MeterRow.__table__)
_channels = cast(Table, ChannelRow.__table__)

VISITED: Final = (VisitOutcome.READ, VisitOutcome.NO_ACCESS, VisitOutcome.BROKEN)
"""Outcomes after which a meter of a walk-round is done with."""


# --- windows ---


def window_rules(session: Session) -> tuple[WindowRule, ...]:
    """Return the window rules of the installation, in the order in which they came to hold."""
    query = select(_windows).order_by(_windows.c.valid_from, _windows.c.id)
    return tuple(
        WindowRule(
            valid_from=row.valid_from,
            first_day=row.first_day,
            last_day=row.last_day,
            remind_days_before=row.remind_days_before,
            building_id=row.building_id,
            source=row.source,
        )
        for row in session.execute(query)
    )


def put_window_rule(session: Session, rule: WindowRule, recorded_at: datetime) -> None:
    """Store a window rule; one of the same house and date is replaced by it."""
    same = and_(
        _windows.c.valid_from == rule.valid_from,
        _windows.c.building_id.is_(None)
        if rule.building_id is None
        else _windows.c.building_id == rule.building_id,
    )
    values = {
        "first_day": rule.first_day,
        "last_day": rule.last_day,
        "remind_days_before": rule.remind_days_before,
        "source": rule.source,
        "recorded_at": recorded_at,
    }
    done = session.connection().execute(update(_windows).where(same).values(values))
    if not done.rowcount:
        key = {"building_id": rule.building_id, "valid_from": rule.valid_from}
        session.execute(insert(_windows).values(key | values))


def building_id_in_reach(session: Session, scope: Scope, code: str) -> int:
    """Return the id of the building with this code, if `scope` reaches it as a whole."""
    found = session.scalar(
        select(_buildings.c.id).where(
            _buildings.c.code == code, building_in_scope(_buildings.c.id, scope)
        )
    )
    if found is None:
        raise NotFound(what=mark("building"), name=code)
    return int(found)


@dataclass(frozen=True, slots=True)
class ReachedBuilding:
    """A building that an actor reaches as a whole."""

    id: int
    code: str
    address: str
    zone: str


def buildings_in_reach(session: Session, scope: Scope) -> tuple[ReachedBuilding, ...]:
    """Return the buildings that `scope` reaches as a whole, by address."""
    query = (
        select(_buildings.c.id, _buildings.c.code, _buildings.c.address, _buildings.c.zone)
        .where(building_in_scope(_buildings.c.id, scope))
        .order_by(_buildings.c.address, _buildings.c.code)
    )
    rows: Sequence[Any] = session.execute(query).all()
    return tuple(ReachedBuilding(*row) for row in rows)


def zone_of_building(session: Session, building_id: int) -> ZoneInfo:
    """Return the zone in which a day of the building is a day."""
    return ZoneInfo(
        session.execute(
            select(_buildings.c.zone).where(_buildings.c.id == building_id)
        ).scalar_one()
    )


def zone_of_premises(session: Session, scope: Scope, premises_id: int) -> ZoneInfo:
    """Return the zone of the premises, if `scope` reaches them."""
    return ZoneInfo(premises_in_reach(session, scope, premises_id).zone)


def premises_in_reach(session: Session, scope: Scope, premises_id: int) -> ReachedBuilding:
    """Return the building of the premises, if `scope` reaches the premises."""
    query = (
        select(_buildings.c.id, _buildings.c.code, _buildings.c.address, _buildings.c.zone)
        .join(_premises, _premises.c.building_id == _buildings.c.id)
        .where(_premises.c.id == premises_id, premises_in_scope(_premises.c.id, scope))
    )
    row: Any = session.execute(query).one_or_none()
    if row is None:
        raise NotFound(what=mark("premises"), name=str(premises_id))
    return ReachedBuilding(*row)


# --- meters and their registers ---


@dataclass(frozen=True, slots=True)
class HandMeter:
    """A meter that a person may read, with all that judging its readings needs to know of it."""

    meter_id: int
    point_id: int
    point_code: str
    building_id: int
    premises_id: int | None
    premises_number: str
    """Empty for a meter of the house itself."""
    commodity: Commodity
    serial: str
    model: str
    digits: int
    installed_on: date
    removed_on: date | None
    verified_until: date | None
    capacity_w: int | None
    zone_name: str
    remote: bool
    """Whether its point has a channel, so that values come by themselves."""

    @property
    def zone(self) -> ZoneInfo:
        """The zone of its building."""
        return ZoneInfo(self.zone_name)

    @property
    def order(self) -> tuple[Any, ...]:
        """A key by which meters stand as on the way through the house; its own come last."""
        return (
            not self.premises_number,
            flat_order(self.premises_number),
            list(Commodity).index(self.commodity),
            self.point_code,
            self.installed_on,
        )


def meters_of_premises(
    session: Session, scope: Scope, premises_id: int, on: date
) -> tuple[HandMeter, ...]:
    """Return the meters that stand at the premises on a day, if `scope` reaches the premises."""
    return _hand_meters(
        session,
        _points.c.premises_id == premises_id,
        premises_in_scope(_points.c.premises_id, scope),
        _stands(on),
    )


def meters_of_building(
    session: Session, scope: Scope, building_id: int, on: date
) -> tuple[HandMeter, ...]:
    """Return the meters that stand in a building on a day, if `scope` reaches it as a whole."""
    return _hand_meters(
        session,
        _points.c.building_id == building_id,
        building_in_scope(_points.c.building_id, scope),
        _stands(on),
    )


def _stands(on: date) -> ColumnElement[bool]:
    """Return the condition that a meter is at its point; of a day of replacement, the new one."""
    return (_meters.c.installed_on <= on) & (
        _meters.c.removed_on.is_(None) | (_meters.c.removed_on > on)
    )


def _hand_meters(session: Session, *conditions: ColumnElement[bool]) -> tuple[HandMeter, ...]:
    query = (
        select(
            _meters.c.id,
            _points.c.id,
            _points.c.code,
            _points.c.building_id,
            _points.c.premises_id,
            func.coalesce(_premises.c.number, ""),
            _points.c.commodity,
            _meters.c.serial,
            _meters.c.model,
            _meters.c.digits,
            _meters.c.installed_on,
            _meters.c.removed_on,
            _meters.c.verified_until,
            _points.c.capacity_w,
            _buildings.c.zone,
            _remote(),
        )
        .join(_points, _points.c.id == _meters.c.point_id)
        .join(_buildings, _buildings.c.id == _points.c.building_id)
        .outerjoin(_premises, _premises.c.id == _points.c.premises_id)
        .where(*conditions)
    )
    rows: Sequence[Any] = session.execute(query).all()
    return tuple(sorted((HandMeter(*row) for row in rows), key=lambda m: m.order))


def premises_of_meter(session: Session, meter_id: int) -> int:
    """Return the premises at whose point a meter stands."""
    query = (
        select(_points.c.premises_id)
        .join(_meters, _meters.c.point_id == _points.c.id)
        .where(_meters.c.id == meter_id, _points.c.premises_id.is_not(None))
    )
    return int(session.execute(query).scalar_one())


def lock_meters(session: Session, meter_ids: Iterable[int]) -> None:
    """Let nobody else take in a reading of these meters until the transaction ends."""
    ids = sorted(set(meter_ids))
    query = select(_meters.c.id).where(_meters.c.id.in_(ids)).order_by(_meters.c.id)
    session.execute(query.with_for_update()).all()


def register_states(
    session: Session, meters: Sequence[HandMeter], at: datetime
) -> dict[tuple[int, Zone], RegisterState]:
    """Return what is known of every register of the meters, by meter and zone.

    A meter's zones are those of its own readings; of one that was never read, those of the meter
    before it at the point, or the whole day. Use under earlier meters counts as the point's.
    """
    of_point: defaultdict[int, list[tuple[int, int, date]]] = defaultdict(list)
    for part in in_slices(sorted({meter.point_id for meter in meters})):
        query = (
            select(_meters.c.point_id, _meters.c.id, _meters.c.digits, _meters.c.installed_on)
            .where(_meters.c.point_id.in_(part))
            .order_by(_meters.c.installed_on, _meters.c.id)
        )
        for point_id, meter_id, digits, installed_on in session.execute(query):
            of_point[point_id].append((meter_id, digits, installed_on))
    every = {meter_id for found in of_point.values() for meter_id, _, _ in found}
    readings: defaultdict[int, defaultdict[Zone, list[RegisterReading]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for reading in load_registers(session, every):
        readings[reading.meter_id][reading.zone].append(reading)
    states: dict[tuple[int, Zone], RegisterState] = {}
    for meter in meters:
        chain = [one for one in of_point[meter.point_id] if one[2] <= meter.installed_on]
        read = [meter_id for meter_id, _, _ in chain if readings[meter_id]]
        own = readings[meter.meter_id]
        zones = set(own) or (set(readings[read[-1]]) if read else set()) or {Zone.ALL}
        for zone in sorted(zones, key=zone_order):
            usual = usual_per_day(
                (
                    (readings[meter_id][zone], modulus(digits, meter.commodity))
                    for meter_id, digits, _ in chain
                ),
                before=at,
            )
            states[meter.meter_id, zone] = RegisterState(
                commodity=meter.commodity,
                digits=meter.digits,
                zone=meter.zone,
                known=tuple(own.get(zone, ())),
                usual_per_day=usual,
                capacity_w=meter.capacity_w,
            )
    return states


@dataclass(frozen=True, slots=True)
class ListedReading:
    """A register reading as a list shows it: the latest revision, by whom and when."""

    meter_id: int
    serial: str
    commodity: Commodity
    zone: Zone
    taken_at: datetime
    value: int
    quality: Quality
    source: str
    revision: int
    recorded_at: datetime


def listed_readings(
    session: Session, scope: Scope, premises_id: int, *, limit: int | None = None
) -> tuple[ListedReading, ...]:
    """Return the readings of the meters at the premises, past meters' too, the latest first."""
    latest = (
        select(
            _registers.c.meter_id,
            _registers.c.zone,
            _registers.c.taken_at,
            func.max(_registers.c.revision).label("revision"),
        )
        .join(_meters, _meters.c.id == _registers.c.meter_id)
        .join(_points, _points.c.id == _meters.c.point_id)
        .where(
            _points.c.premises_id == premises_id, premises_in_scope(_points.c.premises_id, scope)
        )
        .group_by(_registers.c.meter_id, _registers.c.zone, _registers.c.taken_at)
        .subquery()
    )
    query = (
        select(
            _registers.c.meter_id,
            _meters.c.serial,
            _points.c.commodity,
            _registers.c.zone,
            _registers.c.taken_at,
            _registers.c.value,
            _registers.c.quality,
            _registers.c.source,
            _registers.c.revision,
            _registers.c.recorded_at,
        )
        .join(
            latest,
            and_(
                *(
                    latest.c[name] == _registers.c[name]
                    for name in ("meter_id", "zone", "taken_at", "revision")
                )
            ),
        )
        .join(_meters, _meters.c.id == _registers.c.meter_id)
        .join(_points, _points.c.id == _meters.c.point_id)
        .order_by(_registers.c.taken_at.desc(), _points.c.code, _registers.c.zone)
        .limit(limit)
    )
    rows: Sequence[Any] = session.execute(query).all()
    return tuple(
        ListedReading(
            meter_id=row.meter_id,
            serial=row.serial,
            commodity=row.commodity,
            zone=row.zone,
            taken_at=row.taken_at,
            value=row.value,
            quality=Quality(row.quality),
            source=row.source,
            revision=row.revision,
            recorded_at=row.recorded_at,
        )
        for row in rows
    )


def readings_of_source(
    session: Session, meter_ids: Iterable[int], source: str
) -> tuple[RegisterReading, ...]:
    """Return what one source stored of these meters."""
    found: list[RegisterReading] = []
    for part in in_slices(sorted(set(meter_ids))):
        query = select(
            _registers.c.meter_id,
            _registers.c.zone,
            _registers.c.taken_at,
            _registers.c.value,
            _registers.c.quality,
            _registers.c.revision,
        ).where(_registers.c.meter_id.in_(part), _registers.c.source == source)
        found += [
            RegisterReading(
                row.meter_id, row.zone, row.taken_at, row.value, Quality(row.quality), row.revision
            )
            for row in session.execute(query)
        ]
    return tuple(found)


def hand_findings(
    session: Session, point_codes: Iterable[str], kinds: Iterable[FindingKind]
) -> tuple[tuple[int, str, datetime, str], ...]:
    """Return the open findings of registers at points: id, point, end and detail as JSON."""
    found: list[tuple[int, str, datetime, str]] = []
    for part in in_slices(sorted(set(point_codes))):
        query = select(
            _findings.c.id, _findings.c.point_code, _findings.c.ends_at, _findings.c.detail
        ).where(
            _findings.c.point_code.in_(part),
            _findings.c.state == FindingState.OPEN,
            _findings.c.channel_id.is_(None),
            _findings.c.kind.in_(list(kinds)),
        )
        rows: Sequence[Any] = session.execute(query).all()
        found += [tuple(row) for row in rows]
    return tuple(found)


# --- walk-rounds ---


@dataclass(frozen=True, slots=True)
class WalkRound:
    """A walk-round of a building."""

    id: int
    building_id: int
    building_code: str
    address: str
    zone_name: str
    taken_on: date
    actor: str
    opened_at: datetime
    closed_at: datetime | None

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the building."""
        return ZoneInfo(self.zone_name)

    @property
    def read_at(self) -> datetime:
        """The instant that all its readings are kept under, so that a second entry corrects.

        The minute at which the list was opened on its day; noon for the list of another day.
        """
        if local_date(self.opened_at, self.zone) == self.taken_on:
            return self.opened_at.replace(second=0, microsecond=0)
        midnight = local_midnight(self.taken_on, self.zone)
        following = local_midnight(date.fromordinal(self.taken_on.toordinal() + 1), self.zone)
        return midnight + (following - midnight) / 2

    @property
    def source(self) -> str:
        """What its readings name as their source."""
        return f"walk:{self.id}"


_ROUND_COLUMNS = (
    _rounds.c.id,
    _rounds.c.building_id,
    _buildings.c.code,
    _buildings.c.address,
    _buildings.c.zone,
    _rounds.c.taken_on,
    _rounds.c.actor,
    _rounds.c.opened_at,
    _rounds.c.closed_at,
)


def walk_rounds(
    session: Session,
    scope: Scope,
    *,
    building_code: str | None = None,
    open_only: bool = False,
    limit: int | None = None,
    offset: int = 0,
) -> tuple[tuple[WalkRound, ...], int]:
    """Return a page of the walk-rounds of buildings in reach, the latest first, and how many."""
    conditions = [building_in_scope(_rounds.c.building_id, scope)]
    if building_code is not None:
        conditions.append(_buildings.c.code == building_code)
    if open_only:
        conditions.append(_rounds.c.closed_at.is_(None))
    joined = select(*_ROUND_COLUMNS).join(_buildings, _buildings.c.id == _rounds.c.building_id)
    total = session.scalar(select(func.count()).select_from(joined.where(*conditions).subquery()))
    query = joined.where(*conditions).order_by(_rounds.c.taken_on.desc(), _rounds.c.id.desc())
    rows: Sequence[Any] = session.execute(query.limit(limit).offset(offset)).all()
    return tuple(WalkRound(*row) for row in rows), int(total or 0)


def walk_round(session: Session, scope: Scope, round_id: int) -> WalkRound:
    """Return a walk-round, if `scope` reaches its building as a whole."""
    query = (
        select(*_ROUND_COLUMNS)
        .join(_buildings, _buildings.c.id == _rounds.c.building_id)
        .where(_rounds.c.id == round_id, building_in_scope(_rounds.c.building_id, scope))
    )
    row: Any = session.execute(query).one_or_none() if round_id <= ID_MAX else None
    if row is None:
        raise NotFound(what=mark("walk-round"), name=str(round_id))
    return WalkRound(*row)


def standing_round(session: Session, building_id: int, taken_on: date) -> int | None:
    """Return the walk-round of a building on a day that is still open; its building is locked.

    The lock makes one of two who open the same list at once find the other's.
    """
    session.execute(
        select(_buildings.c.id).where(_buildings.c.id == building_id).with_for_update()
    ).all()
    found = session.scalar(
        select(func.max(_rounds.c.id)).where(
            _rounds.c.building_id == building_id,
            _rounds.c.taken_on == taken_on,
            _rounds.c.closed_at.is_(None),
        )
    )
    return None if found is None else int(found)


def add_walk_round(
    session: Session, building_id: int, taken_on: date, actor: str, opened_at: datetime
) -> int:
    """Begin a walk-round."""
    made = session.execute(
        insert(_rounds)
        .values(building_id=building_id, taken_on=taken_on, actor=actor, opened_at=opened_at)
        .returning(_rounds.c.id)
    )
    return int(made.scalar_one())


def set_round_closed(session: Session, round_id: int, closed_at: datetime | None) -> None:
    """End a walk-round, or open it again."""
    session.execute(update(_rounds).where(_rounds.c.id == round_id).values(closed_at=closed_at))


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of a meter on a walk-round, as it stands."""

    meter_id: int
    outcome: VisitOutcome
    note: str
    actor: str
    recorded_at: datetime


def visits(session: Session, round_id: int) -> dict[int, Visit]:
    """Return the latest visit to each meter of a walk-round."""
    query = select(_visits).where(_visits.c.walk_round_id == round_id).order_by(_visits.c.id)
    return {
        row.meter_id: Visit(row.meter_id, row.outcome, row.note, row.actor, row.recorded_at)
        for row in session.execute(query)
    }


def round_progress(
    session: Session, rounds: Sequence[WalkRound], on: date
) -> dict[int, tuple[int, int]]:
    """Return how many meters of each walk-round are done with, of how many it has to see.

    Those that are read by hand; where a building has none of them, all: to check what they send.
    `on` is the day on which they are counted.
    """
    by_hand = _meter_counts(session, {one.building_id for one in rounds}, on, ~_remote())
    every = _meter_counts(session, {one.building_id for one in rounds}, on)
    done_by_hand = _visited_counts(session, [one.id for one in rounds], ~_remote())
    done = _visited_counts(session, [one.id for one in rounds])
    return {
        one.id: (done_by_hand.get(one.id, 0), by_hand[one.building_id])
        if one.building_id in by_hand
        else (done.get(one.id, 0), every.get(one.building_id, 0))
        for one in rounds
    }


def _remote() -> ColumnElement[bool]:
    """Return the condition that a point has a channel, so that values come by themselves."""
    return exists(select(_channels.c.id).where(_channels.c.point_id == _points.c.id))


def _visited_counts(
    session: Session, round_ids: Iterable[int], *conditions: ColumnElement[bool]
) -> dict[int, int]:
    counts: dict[int, int] = {}
    for part in in_slices(sorted(set(round_ids))):
        last = (
            select(func.max(_visits.c.id).label("id"))
            .where(_visits.c.walk_round_id.in_(part))
            .group_by(_visits.c.walk_round_id, _visits.c.meter_id)
            .subquery()
        )
        query = (
            select(_visits.c.walk_round_id, func.count())
            .join(last, last.c.id == _visits.c.id)
            .join(_meters, _meters.c.id == _visits.c.meter_id)
            .join(_points, _points.c.id == _meters.c.point_id)
            .where(_visits.c.outcome.in_(VISITED), *conditions)
            .group_by(_visits.c.walk_round_id)
        )
        counts.update({round_id: int(count) for round_id, count in session.execute(query)})
    return counts


def _meter_counts(
    session: Session, building_ids: Iterable[int], on: date, *conditions: ColumnElement[bool]
) -> dict[int, int]:
    counts: dict[int, int] = {}
    for part in in_slices(sorted(set(building_ids))):
        query = (
            select(_points.c.building_id, func.count())
            .join(_meters, _meters.c.point_id == _points.c.id)
            .where(_points.c.building_id.in_(part), _stands(on), *conditions)
            .group_by(_points.c.building_id)
        )
        counts.update({building: int(count) for building, count in session.execute(query)})
    return counts


def add_visit(session: Session, round_id: int, visit: Visit) -> None:
    """Keep what came of a meter; an earlier visit of the walk-round is replaced by it."""
    session.execute(
        insert(_visits).values(
            walk_round_id=round_id,
            meter_id=visit.meter_id,
            outcome=visit.outcome,
            note=visit.note,
            actor=visit.actor,
            recorded_at=visit.recorded_at,
        )
    )


# --- photographs ---


def add_photo(
    session: Session,
    *,
    meter_id: int,
    taken_at: datetime,
    media_type: str,
    content: bytes,
    digest: str,
    actor: str,
    recorded_at: datetime,
) -> int:
    """Keep a photograph; the very same one of the meter and instant is kept once."""
    known = session.scalar(
        select(_photos.c.id).where(
            _photos.c.meter_id == meter_id,
            _photos.c.taken_at == taken_at,
            _photos.c.digest == digest,
        )
    )
    if known is not None:
        return int(known)
    made = session.execute(
        insert(_photos)
        .values(
            meter_id=meter_id,
            taken_at=taken_at,
            media_type=media_type,
            content=content,
            digest=digest,
            actor=actor,
            recorded_at=recorded_at,
        )
        .returning(_photos.c.id)
    )
    return int(made.scalar_one())


def photo_ids(
    session: Session, meter_ids: Iterable[int], first: datetime, last: datetime
) -> dict[int, int]:
    """Return the latest photograph of each meter taken from `first` to `last`, both included."""
    found: dict[int, int] = {}
    for part in in_slices(sorted(set(meter_ids))):
        query = (
            select(_photos.c.meter_id, func.max(_photos.c.id))
            .where(_photos.c.meter_id.in_(part), _photos.c.taken_at.between(first, last))
            .group_by(_photos.c.meter_id)
        )
        found.update({meter_id: int(photo_id) for meter_id, photo_id in session.execute(query)})
    return found


def photos_of_readings(
    session: Session, scope: Scope, premises_id: int
) -> dict[tuple[int, datetime], int]:
    """Return the latest photograph of each meter and instant, where the house is in reach."""
    query = (
        select(_photos.c.meter_id, _photos.c.taken_at, func.max(_photos.c.id))
        .join(_meters, _meters.c.id == _photos.c.meter_id)
        .join(_points, _points.c.id == _meters.c.point_id)
        .where(
            _points.c.premises_id == premises_id,
            building_in_scope(_points.c.building_id, scope),
        )
        .group_by(_photos.c.meter_id, _photos.c.taken_at)
    )
    return {
        (meter_id, taken_at): int(photo_id)
        for meter_id, taken_at, photo_id in session.execute(query)
    }


def photo_content(session: Session, scope: Scope, photo_id: int) -> tuple[bytes, str]:
    """Return a photograph and its media type, if `scope` reaches the building as a whole."""
    query = (
        select(_photos.c.content, _photos.c.media_type)
        .join(_meters, _meters.c.id == _photos.c.meter_id)
        .join(_points, _points.c.id == _meters.c.point_id)
        .where(_photos.c.id == photo_id, building_in_scope(_points.c.building_id, scope))
    )
    row = session.execute(query).one_or_none() if photo_id <= ID_MAX else None
    if row is None:
        raise NotFound(what=mark("photograph"), name=str(photo_id))
    return bytes(row.content), row.media_type


# --- who has not given a reading yet ---


@dataclass(frozen=True, slots=True)
class UnreadMeter:
    """A meter read by hand, of premises, of which a stretch of time has no reading."""

    premises_id: int
    serial: str
    commodity: Commodity


def unread_meters(
    session: Session, building_id: int, first: datetime, last: datetime, on: date
) -> tuple[UnreadMeter, ...]:
    """Return the meters of flats that are read by hand and were not from `first` up to `last`.

    An estimate is no reading.
    """
    read = exists(
        select(_registers.c.id).where(
            _registers.c.meter_id == _meters.c.id,
            _registers.c.taken_at >= first,
            _registers.c.taken_at < last,
            _registers.c.quality.not_in([int(quality) for quality in ESTIMATES]),
        )
    )
    query = (
        select(_points.c.premises_id, _meters.c.serial, _points.c.commodity)
        .join(_points, _points.c.id == _meters.c.point_id)
        .where(
            _points.c.building_id == building_id,
            _points.c.premises_id.is_not(None),
            _stands(on),
            ~_remote(),
            ~read,
        )
        .order_by(_points.c.premises_id, _points.c.code)
    )
    rows: Sequence[Any] = session.execute(query).all()
    return tuple(UnreadMeter(*row) for row in rows)
