"""Settling the common-area electricity of houses, before their flats are charged for a month."""

from collections.abc import Sequence
from dataclasses import dataclass

from billing.common_areas.service import SettledMonth, common_area_codes, settle_house
from billing.house import store as house_store
from billing.store import retailer_zone
from kilokassa.app.estimating import MonthNotOver
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.scope import Right, Scope


@dataclass(frozen=True, slots=True)
class SettleReport:
    """What settling a month did."""

    months: tuple[SettledMonth, ...]
    """Of each house the month asked for, and earlier ones that later readings changed."""


def settle_common_areas(
    application: Application,
    month: Month,
    *,
    scope: Scope,
    building_ids: Sequence[int] | None = None,
) -> SettleReport:
    """Settle a month of every house with common-area electricity; the same again changes nothing.

    Each house is one transaction, so a run that was stopped goes on with a repeat.
    """
    scope.demand(Right.RUN_BILLING)
    database, clock = application.database, application.clock
    with database.reading() as session:
        zone = retailer_zone(session)
        codes = common_area_codes(session)
        served = house_store.houses_with(
            session, codes, month.first_day, month.plus(1).first_day, scope
        )
        if building_ids is not None:
            served = tuple(one for one in served if one in set(building_ids))
        houses = house_store.served_houses(session, served)
    if clock.now() < month.period(zone).end:
        raise MonthNotOver(month=str(month), day=str(month.plus(1).first_day))
    found: list[SettledMonth] = []
    for building_id in served:
        with database.writing() as session:
            found += settle_house(session, houses[building_id], month, scope, clock)
    return SettleReport(tuple(found))
