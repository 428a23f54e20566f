"""Queries of what is due at meters: verifications, service lives, repairs without verification."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, cast

from sqlalchemy import Table, and_, extract, func, or_, select
from sqlalchemy.orm import Session

from kilokassa.core.scope import Scope
from kilokassa.db.rights import building_in_scope
from metering.meters.life import Due, DueBand, DueReason, due, retire_by
from metering.models import (
    BuildingRow,
    CommonAreaRow,
    CompanyRow,
    MeteringPointRow,
    MeterLifeEventRow,
    MeterRow,
    PremisesRow,
    ServicerRow,
)
from metering.registry.places import Commodity, LifeEventKind

_buildings = cast(Table, BuildingRow.__table__)
_points = cast(Table, MeteringPointRow.__table__)
_meters = cast(Table, MeterRow.__table__)
_events = cast(Table, MeterLifeEventRow.__table__)
_premises = cast(Table, PremisesRow.__table__)


@dataclass(frozen=True, slots=True)
class DueMeter:
    """A meter at which something is due, and who looks after it."""

    building_id: int
    building_code: str
    address: str
    company_code: str
    company_name: str
    company_email: str
    servicer_code: str
    servicer_name: str
    servicer_email: str
    servicer_language: str
    premises_number: str
    common_area: str
    point_code: str
    commodity: Commodity
    serial: str
    model: str
    installed_on: date
    verified_until: date | None
    retire_by: date | None
    due: Due

    @property
    def place(self) -> str:
        """The number of the premises, else the name of the common area; empty: the whole house."""
        return self.premises_number or self.common_area

    @property
    def due_on(self) -> date | None:
        """The last day that is still good."""
        return self.due.on

    @property
    def reason(self) -> DueReason:
        """Why somebody must come."""
        return self.due.reason

    @property
    def band(self) -> DueBand:
        """How soon."""
        return self.due.band


@dataclass(frozen=True, slots=True)
class DueFilter:
    """What a report of verifications is narrowed to."""

    within_days: int = 90
    building_code: str = ""
    servicer_code: str = ""
    commodity: Commodity | None = None
    band: DueBand | None = None
    unknown: bool = True
    """Whether meters of which nobody knows the verification are told too."""


def due_meters(
    session: Session, scope: Scope, asked: DueFilter, *, today: date
) -> tuple[DueMeter, ...]:
    """Return the standing meters in reach at which something is due, the longest overdue first.

    Of meters whose verification is not known there may be many: they come last, by place.
    """
    horizon = today + timedelta(days=asked.within_days)
    repaired = _repaired_since(session)
    lives_until = extract("year", _meters.c.made_on) + _meters.c.service_life_years
    within = [
        _meters.c.verified_until <= horizon,
        and_(_meters.c.made_on.is_not(None), lives_until <= horizon.year + 1),
    ]
    if asked.unknown:
        within.append(_meters.c.verified_until.is_(None))
    if repaired:
        within.append(_meters.c.id.in_(sorted(repaired)))
    query = (
        select(
            _meters.c.id,
            _buildings.c.id.label("building_id"),
            _buildings.c.code.label("building_code"),
            _buildings.c.address,
            func.coalesce(CompanyRow.code, "").label("company_code"),
            func.coalesce(CompanyRow.name, "").label("company_name"),
            func.coalesce(CompanyRow.email, "").label("company_email"),
            func.coalesce(ServicerRow.code, "").label("servicer_code"),
            func.coalesce(ServicerRow.name, "").label("servicer_name"),
            func.coalesce(ServicerRow.email, "").label("servicer_email"),
            func.coalesce(ServicerRow.language, "").label("servicer_language"),
            func.coalesce(_premises.c.number, "").label("premises_number"),
            func.coalesce(CommonAreaRow.name, "").label("common_area"),
            _points.c.code.label("point_code"),
            _points.c.commodity,
            _meters.c.serial,
            _meters.c.model,
            _meters.c.installed_on,
            _meters.c.verified_until,
            _meters.c.made_on,
            _meters.c.service_life_years,
        )
        .join(_points, _points.c.id == _meters.c.point_id)
        .join(_buildings, _buildings.c.id == _points.c.building_id)
        .outerjoin(_premises, _premises.c.id == _points.c.premises_id)
        .outerjoin(CommonAreaRow, CommonAreaRow.id == _points.c.common_area_id)
        .outerjoin(CompanyRow, CompanyRow.id == _buildings.c.company_id)
        .outerjoin(ServicerRow, ServicerRow.id == _buildings.c.servicer_id)
        .where(
            _meters.c.removed_on.is_(None),
            building_in_scope(_points.c.building_id, scope),
            or_(*within),
        )
    )
    if asked.building_code:
        query = query.where(_buildings.c.code == asked.building_code)
    if asked.servicer_code:
        query = query.where(ServicerRow.code == asked.servicer_code)
    if asked.commodity is not None:
        query = query.where(_points.c.commodity == asked.commodity)
    found = [_due_meter(dict(row), repaired, today) for row in session.execute(query).mappings()]
    kept = [
        one
        for one in found
        if (asked.unknown if one.due.on is None else one.due.on <= horizon)
        and asked.band in (None, one.due.band)
    ]
    return tuple(
        sorted(
            kept,
            key=lambda one: (
                one.due.on or date.max,
                one.building_code,
                len(one.premises_number),
                one.premises_number,
                one.point_code,
            ),
        )
    )


def _due_meter(row: dict[str, Any], repaired: Mapping[int, date], today: date) -> DueMeter:
    last_day = retire_by(row.pop("made_on"), row.pop("service_life_years"))
    what = due(
        verified_until=row["verified_until"],
        unverified_since=repaired.get(row.pop("id")),
        retire_on=last_day,
        today=today,
    )
    return DueMeter(**row, retire_by=last_day, due=what)


def _repaired_since(session: Session) -> dict[int, date]:
    """Return the meters that were repaired and not verified since, with the day of the repair."""
    verified = _events.alias("verified")
    later = (
        select(verified.c.id)
        .where(
            verified.c.meter_id == _events.c.meter_id,
            verified.c.kind == LifeEventKind.VERIFIED,
            verified.c.happened_on >= _events.c.happened_on,
        )
        .exists()
    )
    query = (
        select(_events.c.meter_id, func.max(_events.c.happened_on))
        .where(_events.c.kind == LifeEventKind.REPAIRED, ~later)
        .group_by(_events.c.meter_id)
    )
    rows: Sequence[Any] = session.execute(query).all()
    return dict(rows)
