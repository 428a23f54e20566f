"""Queries of findings as a queue that people work through, and of what speaks for one of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, cast

from sqlalchemy import Select, Table, func, select, update
from sqlalchemy.orm import Session

from kilokassa.core.digest import canonical_json
from kilokassa.core.errors import NotFound
from kilokassa.core.period import Period
from kilokassa.core.scope import Scope
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from kilokassa.db.rights import building_in_scope
from kilokassa.db.slices import in_slices
from metering.findings.finding import Finding, FindingKind, FindingState
from metering.models import (
    BuildingRow,
    ChannelRow,
    FindingRow,
    IntervalDayRevisionRow,
    IntervalDayRow,
    MeteringPointRow,
    MeterRow,
    RegisterReadingRow,
)
from metering.registry.places import Commodity

_findings = cast(Table, FindingRow.__table__)
_points = cast(Table, MeteringPointRow.__table__)
_buildings = cast(Table, BuildingRow.__table__)
_channels = cast(Table, ChannelRow.__table__)
_days = cast(Table, IntervalDayRow.__table__)
_day_revisions = cast(Table, IntervalDayRevisionRow.__table__)
_meters = cast(Table, MeterRow.__table__)
_registers = cast(Table, RegisterReadingRow.__table__)

ID_MAX: Final = 2**63 - 1
"""The largest id that a database can look for."""

WORK: Final = (FindingState.OPEN, FindingState.ACCEPTED, FindingState.CORRECTED)
"""States that a queue offers; `REPEATED` findings are spoken for by a later import."""


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """What a queue of findings is narrowed to; None and empty: not narrowed."""

    state: FindingState | None = FindingState.OPEN
    kind: FindingKind | None = None
    building_code: str = ""
    batch_id: int | None = None
    point_code: str = ""


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding as it is kept: who closed it, when and why."""

    id: int
    finding: Finding
    state: FindingState
    weight: int
    batch_id: int | None
    recorded_at: datetime
    closed_by: str | None
    closed_at: datetime | None
    note: str
    building_code: str
    """Empty where the point is not known."""
    building_address: str


def find_findings(
    session: Session,
    scope: Scope,
    wished: FindingFilter,
    *,
    limit: int | None = 50,
    offset: int = 0,
) -> tuple[StoredFinding, ...]:
    """Return findings in reach, the heaviest first and of equal ones the oldest."""
    query = _wished(_stored(), scope, wished).order_by(_findings.c.weight.desc(), _findings.c.id)
    query = query.offset(offset)
    rows = session.execute(query if limit is None else query.limit(limit))
    return tuple(_finding(row) for row in rows)


def count_by_kind(session: Session, scope: Scope, wished: FindingFilter) -> dict[FindingKind, int]:
    """Return how many findings in reach there are of each kind, whatever kind is wished for."""
    whole = FindingFilter(
        wished.state, None, wished.building_code, wished.batch_id, wished.point_code
    )
    query = _wished(
        select(_findings.c.kind, func.count()).select_from(_joined()), scope, whole
    ).group_by(_findings.c.kind)
    rows: Sequence[Any] = session.execute(query).all()
    return {kind: int(count) for kind, count in rows}


def get_finding(session: Session, scope: Scope, finding_id: int) -> StoredFinding:
    """Return one finding, if `scope` reaches it; one out of reach is as if it did not exist."""
    query = _in_reach(_stored().where(_findings.c.id == finding_id), scope)
    row = session.execute(query).one_or_none() if finding_id <= ID_MAX else None
    if row is None:
        raise NotFound(what=mark("finding"), name=str(finding_id))
    return _finding(row)


def lock_findings(
    session: Session, scope: Scope, finding_ids: Iterable[int]
) -> dict[int, StoredFinding]:
    """Return those of the findings that `scope` reaches, locked until the transaction ends."""
    found: dict[int, StoredFinding] = {}
    for part in in_slices(sorted({one for one in finding_ids if one <= ID_MAX})):
        session.execute(
            select(_findings.c.id)
            .where(_findings.c.id.in_(part))
            .order_by(_findings.c.id)
            .with_for_update()
        ).all()
        query = _in_reach(_stored().where(_findings.c.id.in_(part)), scope)
        found.update((row.id, _finding(row)) for row in session.execute(query))
    return found


def open_again(session: Session, finding_id: int, *, note: str) -> bool:
    """Open an accepted finding again; say whether it still was accepted."""
    statement = (
        update(_findings)
        .where(_findings.c.id == finding_id, _findings.c.state == FindingState.ACCEPTED)
        .values(state=FindingState.OPEN, closed_by=None, closed_at=None, note=note)
    )
    return session.connection().execute(statement).rowcount == 1


def findings_of_points(
    session: Session,
    point_codes: Iterable[str],
    kinds: Iterable[FindingKind],
    states: Iterable[FindingState],
    within: Period | None = None,
) -> tuple[StoredFinding, ...]:
    """Return the findings of points by kind and state that touch `within`, in order of id."""
    found: list[StoredFinding] = []
    for part in in_slices(sorted(set(point_codes))):
        query = _stored().where(
            _findings.c.point_code.in_(part),
            _findings.c.kind.in_(list(kinds)),
            _findings.c.state.in_(list(states)),
        )
        if within is not None:
            query = query.where(
                _findings.c.starts_at <= within.end, _findings.c.ends_at >= within.start
            )
        found += [_finding(row) for row in session.execute(query)]
    return tuple(sorted(found, key=lambda one: one.id))


def change_finding(session: Session, finding_id: int, finding: Finding) -> bool:
    """Let an open finding grow: its period, detail and weight; say whether it still was open."""
    statement = (
        update(_findings)
        .where(_findings.c.id == finding_id, _findings.c.state == FindingState.OPEN)
        .values(
            starts_at=finding.period.start,
            ends_at=finding.period.end,
            detail=canonical_json(finding.detail),
            weight=finding.weight,
        )
    )
    return session.connection().execute(statement).rowcount == 1


def closed_at_once(
    session: Session, channel_ids: Iterable[int], closed_by: str, at: datetime
) -> tuple[StoredFinding, ...]:
    """Return the findings about channels that one run closed as corrected at an instant."""
    found: list[StoredFinding] = []
    for part in in_slices(sorted(set(channel_ids))):
        query = _stored().where(
            _findings.c.channel_id.in_(part),
            _findings.c.state == FindingState.CORRECTED,
            _findings.c.closed_by == closed_by,
            _findings.c.closed_at == at,
        )
        found += [_finding(row) for row in session.execute(query)]
    return tuple(found)


def name_doers(session: Session, doers: Mapping[int, str]) -> None:
    """Say whose doing corrected findings that a check has closed."""
    for finding_id, doer in doers.items():
        session.execute(
            update(_findings).where(_findings.c.id == finding_id).values(closed_by=doer)
        )


def _joined() -> Any:  # noqa: ANN401 - a join
    return _findings.outerjoin(_points, _points.c.code == _findings.c.point_code).outerjoin(
        _buildings, _buildings.c.id == _points.c.building_id
    )


def _stored() -> Select[Any]:
    return select(
        *_findings.c,
        _buildings.c.code.label("building_code"),
        _buildings.c.address.label("building_address"),
    ).select_from(_joined())


def _in_reach(query: Select[Any], scope: Scope) -> Select[Any]:
    """Narrow to points of buildings in reach; of unknown points only the retailer is told."""
    if scope.whole_retailer:
        return query
    return query.where(_points.c.id.is_not(None), building_in_scope(_points.c.building_id, scope))


def _wished(query: Select[Any], scope: Scope, wished: FindingFilter) -> Select[Any]:
    query = _in_reach(query, scope)
    if wished.state is not None:
        query = query.where(_findings.c.state == wished.state)
    if wished.kind is not None:
        query = query.where(_findings.c.kind == wished.kind)
    if wished.building_code:
        query = query.where(_buildings.c.code == wished.building_code)
    if wished.batch_id is not None:
        query = query.where(_findings.c.batch_id == wished.batch_id)
    if wished.point_code:
        query = query.where(_findings.c.point_code == wished.point_code)
    return query


def _finding(row: Any) -> StoredFinding:  # noqa: ANN401 - a row
    return StoredFinding(
        id=row.id,
        finding=Finding(
            kind=row.kind,
            point_code=row.point_code,
            channel_id=row.channel_id,
            period=Period(row.starts_at, row.ends_at),
            detail=json.loads(row.detail),
        ),
        state=row.state,
        weight=row.weight,
        batch_id=row.batch_id,
        recorded_at=row.recorded_at,
        closed_by=row.closed_by,
        closed_at=row.closed_at,
        note=row.note,
        building_code=row.building_code or "",
        building_address=row.building_address or "",
    )


# --- what speaks for a finding ---


@dataclass(frozen=True, slots=True)
class EvidenceChannel:
    """The channel whose values are shown beside a finding."""

    channel_id: int
    code: str
    interval_min: int
    zone: str
    """IANA name of the building's zone."""


def evidence_channel(session: Session, finding: Finding) -> EvidenceChannel | None:
    """Return the channel of a finding; else the first of its point; None where it has none."""
    query = (
        select(_channels.c.id, _channels.c.code, _channels.c.interval_min, _buildings.c.zone)
        .select_from(_channels.join(_points, _points.c.id == _channels.c.point_id))
        .join(_buildings, _buildings.c.id == _points.c.building_id)
        .order_by(_channels.c.code)
    )
    if finding.channel_id is not None:
        query = query.where(_channels.c.id == finding.channel_id)
    else:
        query = query.where(_points.c.code == finding.point_code)
    row: Any = session.execute(query.limit(1)).one_or_none()
    return None if row is None else EvidenceChannel(*row)


@dataclass(frozen=True, slots=True)
class DayState:
    """A state of a channel's day: what it came to, and whose doing it was."""

    day: date
    revision: int
    total_wh: int
    missing: int
    source: str
    recorded_at: datetime
    superseded_at: datetime | None
    """None for the state that holds."""


def day_history(
    session: Session, channel_id: int, first: date, last: date, *, limit: int = 40
) -> tuple[DayState, ...]:
    """Return every state of the channel's days from `first` to `last`, both included, in order."""
    names = ("day", "revision", "total_wh", "missing", "source", "recorded_at")
    states = []
    for table in (_day_revisions, _days):
        columns = [table.c[name] for name in names]
        if table is _day_revisions:
            columns.append(table.c.superseded_at)
        query = (
            select(*columns)
            .where(table.c.channel_id == channel_id, table.c.day.between(first, last))
            .order_by(table.c.day, table.c.revision)
            .limit(limit)
        )
        rows: Sequence[Any] = session.execute(query).all()
        states += [
            DayState(
                day=row.day,
                revision=row.revision,
                total_wh=row.total_wh,
                missing=row.missing,
                source=row.source,
                recorded_at=row.recorded_at,
                superseded_at=row.superseded_at if table is _day_revisions else None,
            )
            for row in rows
        ]
    return tuple(sorted(states, key=lambda one: (one.day, one.revision)))


@dataclass(frozen=True, slots=True)
class ShownReading:
    """A register reading as a list shows it: whole Wh, kcal or litres."""

    serial: str
    commodity: Commodity
    zone: Zone
    taken_at: datetime
    value: int
    quality: Quality
    source: str
    revision: int
    recorded_at: datetime


def readings_around(
    session: Session, point_code: str, around: Period, *, limit: int = 24
) -> tuple[ShownReading, ...]:
    """Return the register readings of a point nearest to a period, the latest first."""
    columns = (
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
    base = (
        select(*columns)
        .select_from(_registers.join(_meters, _meters.c.id == _registers.c.meter_id))
        .join(_points, _points.c.id == _meters.c.point_id)
        .where(_points.c.code == point_code)
    )
    before = base.where(_registers.c.taken_at <= around.end).order_by(
        _registers.c.taken_at.desc(), _registers.c.zone, _registers.c.revision.desc()
    )
    after = base.where(_registers.c.taken_at > around.end).order_by(
        _registers.c.taken_at, _registers.c.zone, _registers.c.revision.desc()
    )
    later: list[Any] = list(session.execute(after.limit(limit // 3)).all())
    earlier: list[Any] = list(session.execute(before.limit(limit - len(later))).all())
    found = [
        ShownReading(
            row.serial,
            row.commodity,
            row.zone,
            row.taken_at,
            row.value,
            Quality(row.quality),
            row.source,
            row.revision,
            row.recorded_at,
        )
        for row in sorted([*later, *earlier], key=lambda row: row.taken_at, reverse=True)
    ]
    return tuple(found)


def sources_of_days(
    session: Session, days: Iterable[tuple[int, date]]
) -> Mapping[tuple[int, date], tuple[str, datetime]]:
    """Return whose doing the current state of each channel's day is, and since when."""
    wanted = set(days)
    found: dict[tuple[int, date], tuple[str, datetime]] = {}
    for part in in_slices(sorted({channel_id for channel_id, _ in wanted})):
        of_part = {day for channel_id, day in wanted if channel_id in set(part)}
        query = select(_days.c.channel_id, _days.c.day, _days.c.source, _days.c.recorded_at).where(
            _days.c.channel_id.in_(part), _days.c.day.between(min(of_part), max(of_part))
        )
        rows: Sequence[Any] = session.execute(query).all()
        found.update(
            ((channel_id, day), (source, recorded_at))
            for channel_id, day, source, recorded_at in rows
            if (channel_id, day) in wanted
        )
    return found
