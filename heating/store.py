"""Queries of heat prices and of how houses share."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from heating.models import HeatedHouseRow, HeatPriceRow


@dataclass(frozen=True, slots=True)
class HeatedHouse:
    """How a building shares its heat on a day."""

    building_id: int
    plan_code: str
    common_area_dm2: int


def heated_houses(
    session: Session, building_ids: Iterable[int], on: date
) -> dict[int, HeatedHouse]:
    """Return those of the buildings whose heat is shared on `on`."""
    query = (
        select(HeatedHouseRow)
        .where(
            HeatedHouseRow.building_id.in_(sorted(set(building_ids))),
            HeatedHouseRow.valid_from <= on,
        )
        .order_by(HeatedHouseRow.valid_from)
    )
    return {
        row.building_id: HeatedHouse(row.building_id, row.plan_code, row.common_area_dm2)
        for row in session.scalars(query)
    }


def heat_rate(
    session: Session, plan_code: str, on: date, *, known_at: datetime | None = None
) -> int | None:
    """Return the price of heat on a day, in millionths of a rouble per Gcal, if one is known.

    With `known_at`, what was recorded later does not count.
    """
    query = (
        select(HeatPriceRow.rate_scaled)
        .where(HeatPriceRow.plan_code == plan_code, HeatPriceRow.valid_from <= on)
        .order_by(HeatPriceRow.valid_from.desc())
        .limit(1)
    )
    if known_at is not None:
        query = query.where(HeatPriceRow.recorded_at <= known_at)
    return session.scalar(query)
