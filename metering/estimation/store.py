"""Queries of estimates, of consumption norms, and of what estimates are made from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, Table, and_, insert, or_, select, update
from sqlalchemy.orm import Session

from kilokassa.core.digest import canonical_json
from kilokassa.core.period import Period
from kilokassa.core.scope import Scope
from kilokassa.core.zones import Zone
from kilokassa.db.rights import building_in_scope, premises_in_scope
from kilokassa.db.slices import in_slices
from metering.estimation.methods import EstimationMethod, Norm
from metering.estimation.trust import Verification
from metering.events.kinds import VisitOutcome
from metering.models import (
    BuildingRow,
    ChannelRow,
    ConsumptionNormRow,
    EstimateRow,
    MeteringPointRow,
    MeterLifeEventRow,
    MeterRow,
    PremisesRow,
    WalkRoundRow,
    WalkRoundVisitRow,
)
from metering.registry.places import ACTIVE_TAKEN, Commodity

_estimates = cast(Table, EstimateRow.__table__)
_norms = cast(Table, ConsumptionNormRow.__table__)
_points = cast(Table, MeteringPointRow.__table__)
_meters = cast(Table, MeterRow.__table__)
_channels = cast(Table, ChannelRow.__table__)
_premises = cast(Table, PremisesRow.__table__)
_buildings = cast(Table, BuildingRow.__table__)
_life = cast(Table, MeterLifeEventRow.__table__)
_visits = cast(Table, WalkRoundVisitRow.__table__)
_rounds = cast(Table, WalkRoundRow.__table__)


@dataclass(frozen=True, slots=True)
class FlatPoint:
    """A metering point of electricity in a flat, with what a norm or a mean asks about it."""

    point_id: int
    point_code: str
    premises_id: int
    building_id: int
    zone: str
    norm_code: str | None
    rooms: int | None
    area_dm2: int


@dataclass(frozen=True, slots=True)
class PointMeter:
    """A meter of a flat's point, in the order they were installed."""

    meter_id: int
    point_id: int
    digits: int
    installed_on: date
    removed_on: date | None
    verified_until: date | None


def flat_points(session: Session, premises_ids: Iterable[int]) -> tuple[FlatPoint, ...]:
    """Return the points of electricity of premises, in order of premises and code."""
    found: list[FlatPoint] = []
    for part in in_slices(sorted(set(premises_ids))):
        query = (
            select(
                _points.c.id,
                _points.c.code,
                _points.c.premises_id,
                _points.c.building_id,
                _buildings.c.zone,
                _buildings.c.norm_code,
                _premises.c.rooms,
                _premises.c.area_dm2,
            )
            .join(_premises, _premises.c.id == _points.c.premises_id)
            .join(_buildings, _buildings.c.id == _points.c.building_id)
            .where(_points.c.premises_id.in_(part), _points.c.commodity == Commodity.ELECTRICITY)
        )
        rows: Sequence[Any] = session.execute(query).all()
        found += [FlatPoint(*row) for row in rows]
    return tuple(sorted(found, key=lambda point: (point.premises_id, point.point_code)))


def premises_of_building(session: Session, building_id: int) -> tuple[int, ...]:
    """Return the ids of the premises of a building."""
    query = select(_premises.c.id).where(_premises.c.building_id == building_id)
    return tuple(session.scalars(query.order_by(_premises.c.id)))


def meters_of_points(session: Session, point_ids: Iterable[int]) -> dict[int, list[PointMeter]]:
    """Return the meters of points, past ones too, in the order they were installed."""
    found: dict[int, list[PointMeter]] = {}
    for part in in_slices(sorted(set(point_ids))):
        query = (
            select(
                _meters.c.id,
                _meters.c.point_id,
                _meters.c.digits,
                _meters.c.installed_on,
                _meters.c.removed_on,
                _meters.c.verified_until,
            )
            .where(_meters.c.point_id.in_(part))
            .order_by(_meters.c.installed_on, _meters.c.id)
        )
        rows: Sequence[Any] = session.execute(query).all()
        for row in rows:
            found.setdefault(row.point_id, []).append(PointMeter(*row))
    return found


def scaling_of_points(session: Session, point_ids: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Return multiplier and loss (millionths) of the A+ channel of points that have one."""
    found: dict[int, tuple[int, int]] = {}
    for part in in_slices(sorted(set(point_ids))):
        query = select(_channels.c.point_id, _channels.c.multiplier, _channels.c.loss_ppm).where(
            _channels.c.point_id.in_(part), _channels.c.code == ACTIVE_TAKEN
        )
        for point_id, multiplier, loss_ppm in session.execute(query):
            found[point_id] = multiplier, loss_ppm
    return found


def verifications(
    session: Session, meter_ids: Iterable[int], *, known_at: datetime | None = None
) -> dict[int, list[Verification]]:
    """Return the verifications that the lives of meters tell of, or told up to then, in order."""
    found: dict[int, list[Verification]] = {}
    for part in in_slices(sorted(set(meter_ids))):
        query = (
            select(_life.c.meter_id, _life.c.happened_on, _life.c.valid_until)
            .where(_life.c.meter_id.in_(part), _life.c.valid_until.is_not(None))
            .order_by(_life.c.happened_on, _life.c.id)
        )
        if known_at is not None:
            query = query.where(_life.c.recorded_at <= known_at)
        for meter_id, done_on, valid_until in session.execute(query):
            found.setdefault(meter_id, []).append(Verification(done_on, valid_until))
    return found


def visits_without_access(
    session: Session, meter_ids: Iterable[int], before: date
) -> dict[int, list[date]]:
    """Return the days of walk-rounds on which nobody let the visitor in, by meter, in order.

    Of a round in which a meter was visited more than once, the last visit counts.
    """
    last: dict[tuple[int, int], tuple[VisitOutcome, date]] = {}
    for part in in_slices(sorted(set(meter_ids))):
        query = (
            select(
                _visits.c.meter_id,
                _visits.c.walk_round_id,
                _visits.c.outcome,
                _rounds.c.taken_on,
            )
            .join(_rounds, _rounds.c.id == _visits.c.walk_round_id)
            .where(_visits.c.meter_id.in_(part), _rounds.c.taken_on < before)
            .order_by(_visits.c.id)
        )
        for meter_id, round_id, outcome, taken_on in session.execute(query):
            last[meter_id, round_id] = outcome, taken_on
    found: dict[int, list[date]] = {}
    for (meter_id, _), (outcome, taken_on) in last.items():
        if outcome is VisitOutcome.NO_ACCESS:
            found.setdefault(meter_id, []).append(taken_on)
    return {meter_id: sorted(days) for meter_id, days in found.items()}


# --- norms ---


def norms(
    session: Session, commodity: Commodity, *, known_at: datetime | None = None
) -> tuple[Norm, ...]:
    """Return all consumption norms of a commodity, those that were known at an instant if asked."""
    query = (
        select(ConsumptionNormRow)
        .where(ConsumptionNormRow.commodity == commodity)
        .order_by(
            ConsumptionNormRow.code,
            ConsumptionNormRow.valid_from,
            ConsumptionNormRow.rooms,
            ConsumptionNormRow.persons,
        )
    )
    if known_at is not None:
        query = query.where(ConsumptionNormRow.recorded_at <= known_at)
    return tuple(
        Norm(row.code, row.valid_from, row.rooms, row.persons, row.quantity, row.source)
        for row in session.scalars(query)
    )


def write_norms(
    session: Session, commodity: Commodity, wanted: Sequence[Norm], recorded_at: datetime
) -> tuple[int, int]:
    """Write down norms; return how many were new and how many corrected one of the same key."""
    standing = {
        (row.code, row.valid_from, row.rooms, row.persons): row
        for row in session.scalars(
            select(ConsumptionNormRow).where(ConsumptionNormRow.commodity == commodity)
        )
    }
    new = changed = 0
    for norm in wanted:
        row = standing.get((norm.code, norm.valid_from, norm.rooms, norm.persons))
        if row is None:
            session.add(
                ConsumptionNormRow(
                    code=norm.code,
                    commodity=commodity,
                    valid_from=norm.valid_from,
                    rooms=norm.rooms,
                    persons=norm.persons,
                    quantity=norm.quantity,
                    source=norm.source,
                    recorded_at=recorded_at,
                )
            )
            new += 1
        elif (row.quantity, row.source) != (norm.quantity, norm.source):
            row.quantity, row.source, row.recorded_at = norm.quantity, norm.source, recorded_at
            changed += 1
    session.flush()
    return new, changed


# --- estimates ---


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate as it is kept."""

    id: int
    point_id: int
    channel_id: int | None
    meter_id: int | None
    zone: Zone | None
    period: Period
    method: EstimationMethod
    rule: str
    basis: Mapping[str, Any]
    quantity: int
    recorded_at: datetime
    replaced_at: datetime | None


def _estimate(row: Any) -> Estimate:  # noqa: ANN401 - a row
    return Estimate(
        id=row.id,
        point_id=row.point_id,
        channel_id=row.channel_id,
        meter_id=row.meter_id,
        zone=row.zone,
        period=Period(row.starts_at, row.ends_at),
        method=row.method,
        rule=row.rule,
        basis=json.loads(row.basis),
        quantity=row.quantity,
        recorded_at=row.recorded_at,
        replaced_at=row.replaced_at,
    )


def add_estimates(
    session: Session, rows: Sequence[Mapping[str, Any]], recorded_at: datetime
) -> None:
    """Keep estimates: the columns of `estimate` but for its times, `basis` a mapping."""
    if rows:
        session.execute(
            insert(_estimates),
            [
                {"channel_id": None, "meter_id": None, "zone": None}
                | dict(row)
                | {
                    "basis": canonical_json(row["basis"]),
                    "recorded_at": recorded_at,
                    "replaced_at": None,
                }
                for row in rows
            ],
        )


def replace_estimates(session: Session, ids: Iterable[int], at: datetime) -> None:
    """Note that estimates no longer hold from `at` on."""
    for part in in_slices(sorted(set(ids))):
        session.execute(
            update(_estimates)
            .where(_estimates.c.id.in_(part), _estimates.c.replaced_at.is_(None))
            .values(replaced_at=at)
        )


def kept_estimates(
    session: Session, point_ids: Iterable[int], *, known_at: datetime | None = None
) -> dict[int, list[Estimate]]:
    """Return the estimates of points that hold, or held at an instant, in order of time."""
    found: dict[int, list[Estimate]] = {}
    for part in in_slices(sorted(set(point_ids))):
        query = (
            select(_estimates)
            .where(_estimates.c.point_id.in_(part), _holding(known_at))
            .order_by(_estimates.c.ends_at, _estimates.c.id)
        )
        for row in session.execute(query):
            found.setdefault(row.point_id, []).append(_estimate(row))
    return found


def _holding(known_at: datetime | None) -> ColumnElement[bool]:
    """Say of an estimate that no real value has replaced it, or had at an instant."""
    if known_at is None:
        return _estimates.c.replaced_at.is_(None)
    return and_(
        _estimates.c.recorded_at <= known_at,
        or_(_estimates.c.replaced_at.is_(None), _estimates.c.replaced_at > known_at),
    )


SETTING_ASIDE: Final = "verification_expired."
"""How the rules begin whose estimates set aside what a channel measured."""


def setting_aside(
    session: Session,
    channel_ids: Iterable[int],
    period: Period,
    *,
    known_at: datetime | None = None,
) -> dict[int, list[Estimate]]:
    """Return the estimates that stand in place of what channels measured within a period.

    Nothing is written over what was measured: whoever charges takes the estimate instead.
    """
    found: dict[int, list[Estimate]] = {}
    for part in in_slices(sorted(set(channel_ids))):
        query = (
            select(_estimates)
            .where(
                _estimates.c.channel_id.in_(part),
                _holding(known_at),
                _estimates.c.rule.startswith(SETTING_ASIDE),
                _estimates.c.starts_at < period.end,
                _estimates.c.ends_at > period.start,
            )
            .order_by(_estimates.c.starts_at, _estimates.c.id)
        )
        for row in session.execute(query):
            found.setdefault(row.channel_id, []).append(_estimate(row))
    return found


@dataclass(frozen=True, slots=True)
class ListedEstimate:
    """An estimate with the place it belongs to."""

    estimate: Estimate
    point_code: str
    building_code: str
    address: str
    premises_id: int | None
    premises_number: str
    zone: str
    """Of the building: what a local day is."""


def list_estimates(
    session: Session,
    scope: Scope,
    *,
    period: Period | None = None,
    building_code: str = "",
    premises_ids: Sequence[int] | None = None,
    replaced: bool = False,
    methods: Sequence[EstimationMethod] = tuple(EstimationMethod),
    after_id: int = 0,
    limit: int | None = None,
) -> tuple[ListedEstimate, ...]:
    """Return estimates of points that `scope` reaches, in the order they were made.

    With `period`, those that end in it: after its start, up to its end. Those that a real value
    replaced are left out unless asked for.
    """
    query = (
        select(
            _estimates,
            _points.c.code.label("point_code"),
            _points.c.premises_id,
            _buildings.c.code.label("building_code"),
            _buildings.c.address,
            _buildings.c.zone.label("building_zone"),
            _premises.c.number,
        )
        .join(_points, _points.c.id == _estimates.c.point_id)
        .join(_buildings, _buildings.c.id == _points.c.building_id)
        .outerjoin(_premises, _premises.c.id == _points.c.premises_id)
        .where(_estimates.c.method.in_(list(methods)), _estimates.c.id > after_id)
        .order_by(_estimates.c.id)
        .limit(limit)
    )
    if premises_ids is None:
        query = query.where(building_in_scope(_points.c.building_id, scope))
    else:
        query = query.where(
            _points.c.premises_id.in_(list(premises_ids)),
            premises_in_scope(_points.c.premises_id, scope),
        )
    if not replaced:
        query = query.where(_estimates.c.replaced_at.is_(None))
    if period is not None:
        query = query.where(_estimates.c.ends_at > period.start, _estimates.c.ends_at <= period.end)
    if building_code:
        query = query.where(_buildings.c.code == building_code)
    return tuple(
        ListedEstimate(
            estimate=_estimate(row),
            point_code=row.point_code,
            building_code=row.building_code,
            address=row.address,
            premises_id=row.premises_id,
            premises_number=row.number or "",
            zone=row.building_zone,
        )
        for row in session.execute(query)
    )


def estimated_buildings(session: Session, scope: Scope) -> tuple[tuple[str, str], ...]:
    """Return code and address of the houses in reach in which anything was ever estimated."""
    query = (
        select(_buildings.c.code, _buildings.c.address)
        .join(_points, _points.c.building_id == _buildings.c.id)
        .join(_estimates, _estimates.c.point_id == _points.c.id)
        .where(building_in_scope(_points.c.building_id, scope))
        .distinct()
        .order_by(_buildings.c.code)
    )
    return tuple((code, address) for code, address in session.execute(query))
