"""Use cases of heating: set prices, say how a house shares."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from heating.models import HeatedHouseRow, HeatPriceRow
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid, RequestConflict
from kilokassa.core.text import mark


@dataclass(frozen=True, slots=True)
class HeatPriceOrder:
    """A published price of heat with its source; it starts with a month.

    How a month's heat would be cut at a price that changes inside it stands in no rule we know, and
    a house meter read once a month does not say. So such a price is refused, not guessed at.
    """

    plan_code: str
    valid_from: date
    rate_scaled: int
    """Millionths of a rouble per Gcal, VAT included."""
    source: str

    def __post_init__(self) -> None:
        where = f"{self.plan_code} {self.valid_from}"
        if self.valid_from.day != 1:
            raise Invalid(
                where=where, problem=mark("a price of heat starts on the first day of a month")
            )
        if self.rate_scaled < 0:
            raise Invalid(where=where, problem=mark("a price of heat is not negative"))


@dataclass(frozen=True, slots=True)
class HeatedHouseOrder:
    """From which day on a building shares its heat, and by which price."""

    building_id: int
    valid_from: date
    plan_code: str
    common_area_dm2: int = 0


def publish_heat_price(session: Session, order: HeatPriceOrder, clock: Clock) -> bool:
    """Write down a price once; say whether it is new. Another price for the day is refused."""
    known = session.scalars(
        select(HeatPriceRow).where(
            HeatPriceRow.plan_code == order.plan_code,
            HeatPriceRow.valid_from == order.valid_from,
        )
    ).one_or_none()
    if known is not None:
        if known.rate_scaled != order.rate_scaled:
            raise RequestConflict(key=f"{order.plan_code} {order.valid_from}")
        return False
    session.add(
        HeatPriceRow(
            plan_code=order.plan_code,
            valid_from=order.valid_from,
            rate_scaled=order.rate_scaled,
            source=order.source,
            recorded_at=clock.now(),
        )
    )
    session.flush()
    return True


def set_heated_house(session: Session, order: HeatedHouseOrder, clock: Clock) -> None:
    """Say how a building shares its heat from a day on; the same again changes nothing."""
    row = session.scalars(
        select(HeatedHouseRow).where(
            HeatedHouseRow.building_id == order.building_id,
            HeatedHouseRow.valid_from == order.valid_from,
        )
    ).one_or_none()
    if row is None:
        row = HeatedHouseRow(building_id=order.building_id, valid_from=order.valid_from)
        session.add(row)
    elif (row.plan_code, row.common_area_dm2) == (order.plan_code, order.common_area_dm2):
        return
    row.plan_code = order.plan_code
    row.common_area_dm2 = order.common_area_dm2
    row.recorded_at = clock.now()
    session.flush()
