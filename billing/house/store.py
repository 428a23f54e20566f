"""Queries of the services assigned to houses and of their settled common-area months."""

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from billing.house.served import AssignedService, CommonAreaMonth, ServedHouse
from billing.models import CommonAreaMonthRow, HouseServiceRow
from kilokassa.core.calendar import Month
from kilokassa.core.errors import NotFound
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import building_in_scope
from kilokassa.db.slices import in_slices
from kilokassa.db.statements import stands
from metering.models import BuildingRow, CommonAreaRow, PremisesRow


def served_houses(session: Session, building_ids: Iterable[int]) -> dict[int, ServedHouse]:
    """Return buildings by id; for calculations, which see all of them."""
    found: dict[int, ServedHouse] = {}
    for part in in_slices(sorted(set(building_ids))):
        query = select(BuildingRow).where(BuildingRow.id.in_(part))
        found.update({row.id: _house(row) for row in session.scalars(query)})
    return found


def house_in_reach(session: Session, scope: Scope, code: str) -> ServedHouse:
    """Return a building, if `scope` reaches it; one out of reach is as if it did not exist."""
    query = select(BuildingRow).where(
        BuildingRow.code == code, building_in_scope(BuildingRow.__table__.c.id, scope)
    )
    row = session.scalars(query).one_or_none()
    if row is None:
        raise NotFound(what=mark("building"), name=code)
    return _house(row)


def services_of(
    session: Session,
    building_ids: Iterable[int],
    first: date,
    end: date,
    *,
    known_at: datetime | None = None,
) -> dict[int, tuple[AssignedService, ...]]:
    """Return what services houses have on some of the days from `first` up to `end`."""
    found: dict[int, list[AssignedService]] = {}
    for part in in_slices(sorted(set(building_ids))):
        query = (
            select(HouseServiceRow)
            .where(
                HouseServiceRow.building_id.in_(part),
                HouseServiceRow.valid_from < end,
                or_(HouseServiceRow.valid_until.is_(None), HouseServiceRow.valid_until >= first),
                stands(HouseServiceRow, known_at),
            )
            .order_by(
                HouseServiceRow.building_id,
                HouseServiceRow.service_code,
                HouseServiceRow.valid_from,
                HouseServiceRow.id,
            )
        )
        for row in session.scalars(query):
            found.setdefault(row.building_id, []).append(_assigned(row))
    return {building_id: tuple(services) for building_id, services in found.items()}


def all_services_of(session: Session, building_id: int) -> tuple[AssignedService, ...]:
    """Return every standing assignment of a house, ended ones too."""
    found = services_of(session, [building_id], date.min, date.max)
    return found.get(building_id, ())


def houses_with(
    session: Session, codes: Iterable[str], first: date, end: date, scope: Scope
) -> tuple[int, ...]:
    """Return the houses in reach that have one of the services on some of the days."""
    query = (
        select(HouseServiceRow.building_id)
        .where(
            HouseServiceRow.service_code.in_(sorted(set(codes))),
            HouseServiceRow.valid_from < end,
            or_(HouseServiceRow.valid_until.is_(None), HouseServiceRow.valid_until >= first),
            stands(HouseServiceRow, None),
            building_in_scope(HouseServiceRow.__table__.c.building_id, scope),
        )
        .distinct()
        .order_by(HouseServiceRow.building_id)
    )
    return tuple(session.scalars(query))


def common_area_months(
    session: Session,
    building_ids: Iterable[int],
    first: Month,
    last: Month,
    *,
    known_at: datetime | None = None,
) -> dict[tuple[int, Month], CommonAreaMonth]:
    """Return the settled months of houses from `first` to `last`."""
    found: dict[tuple[int, Month], CommonAreaMonth] = {}
    for part in in_slices(sorted(set(building_ids))):
        query = (
            select(CommonAreaMonthRow)
            .where(
                CommonAreaMonthRow.building_id.in_(part),
                CommonAreaMonthRow.month.between(first.ordinal, last.ordinal),
                stands(CommonAreaMonthRow, known_at),
            )
            .order_by(CommonAreaMonthRow.building_id, CommonAreaMonthRow.month)
        )
        for row in session.scalars(query):
            month = _month(row)
            found[month.building_id, month.month] = month
    return found


def common_area_dm2(session: Session, building_ids: Iterable[int]) -> dict[int, int]:
    """Return the area of the common premises of houses, as registered (Sои)."""
    found: dict[int, int] = {}
    for part in in_slices(sorted(set(building_ids))):
        query = (
            select(CommonAreaRow.building_id, func.sum(CommonAreaRow.area_dm2))
            .where(CommonAreaRow.building_id.in_(part))
            .group_by(CommonAreaRow.building_id)
        )
        found.update({building_id: int(area) for building_id, area in session.execute(query)})
    return found


def rooms_of(session: Session, premises_ids: Sequence[int]) -> dict[int, int | None]:
    """Return how many rooms premises have: norms depend on them."""
    found: dict[int, int | None] = {}
    for part in in_slices(sorted(set(premises_ids))):
        query = select(PremisesRow.id, PremisesRow.rooms).where(PremisesRow.id.in_(part))
        found.update({row.id: row.rooms for row in session.execute(query)})
    return found


def _house(row: BuildingRow) -> ServedHouse:
    return ServedHouse(row.id, row.code, row.address, ZoneInfo(row.zone), row.norm_code or "")


def _assigned(row: HouseServiceRow) -> AssignedService:
    return AssignedService(
        id=row.id,
        building_id=row.building_id,
        code=row.service_code,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        method=row.method,
        document=row.document,
        actor=row.actor,
        recorded_at=row.recorded_at,
    )


def _month(row: CommonAreaMonthRow) -> CommonAreaMonth:
    return CommonAreaMonth(
        building_id=row.building_id,
        month=Month.from_ordinal(row.month),
        method=row.method,
        house_wh=row.house_wh,
        flats_wh=row.flats_wh,
        actual_wh=row.actual_wh,
        carried_in_wh=row.carried_in_wh,
        charged_wh=row.charged_wh,
        carried_out_wh=row.carried_out_wh,
        area_dm2=row.area_dm2,
        detail=json.loads(row.detail),
        input_digest=row.input_digest,
        recorded_at=row.recorded_at,
    )
