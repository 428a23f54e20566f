"""What accounts owe for the heat of their house in a month; nothing is written."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from billing.accounts import BilledAccount
from billing.charges import NewLine
from billing.models import LineUnit, Service
from billing.month.days import part_of_days
from billing.store import areas_of_buildings
from heating import store as heating_store
from heating.allocation import HeatedFlat, HouseMonth, share_building_month
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.digest import canonical_json
from kilokassa.core.ids import AccountId
from kilokassa.core.period import Period
from kilokassa.core.text import mark
from metering import store as metering_store
from metering.registers import (
    RegisterBackwards,
    RegisterDifference,
    RegisterReading,
    register_differences,
)
from metering.registry.places import Commodity
from tariffs.lines import ChargeKind

HEAT_UNKNOWN: Final = mark("The house's heat of the month is not known: it was not charged yet.")


def heat_lines(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, tuple[list[NewLine], list[str]]]:
    """Return the heat lines of accounts whose house has a meter, and what is not known of it.

    The heat of a house is shared by area over all of its premises, billed or not; an account pays
    for the days of the month on which it is open.
    """
    building_ids = {account.building_id for account in accounts}
    houses = heating_store.heated_houses(session, building_ids, month.first_day)
    if not houses:
        return {}
    meters = [
        meter
        for meter in metering_store.meters_of_buildings(session, houses)
        if meter.commodity is Commodity.HEAT
    ]
    periods: dict[int, Period] = {
        account.building_id: month.period(account.zone) for account in accounts
    }
    readings: dict[int, list[RegisterReading]] = {}
    for reading in metering_store.load_registers(
        session,
        [meter.meter_id for meter in meters],
        last=max(period.end for period in periods.values()),
        known_at=known_at,
    ):
        readings.setdefault(reading.meter_id, []).append(reading)
    rates_scaled = {
        plan_code: heating_store.heat_rate(session, plan_code, month.first_day, known_at=known_at)
        for plan_code in {house.plan_code for house in houses.values()}
    }
    areas = areas_of_buildings(session, houses, month.days[-1], known_at=known_at)
    found: dict[AccountId, tuple[list[NewLine], list[str]]] = {}
    for meter in meters:
        house = houses[meter.building_id]
        period = periods[meter.building_id]
        rate_scaled = rates_scaled[house.plan_code]
        used = _counted_in(
            period,
            [one for one in readings.get(meter.meter_id, ()) if one.taken_at <= period.end],
            meter.digits,
        )
        mine = [account for account in accounts if account.building_id == meter.building_id]
        if not used or rate_scaled is None:
            for account in mine:
                found.setdefault(account.id, ([], []))[1].append(HEAT_UNKNOWN)
            continue
        flats = dict(areas[meter.building_id])
        house_month = HouseMonth(
            sum(difference.energy for difference in used),
            rate_scaled,
            tuple(HeatedFlat(premises_id, dm2) for premises_id, dm2 in flats.items()),
            house.common_area_dm2,
        )
        shares = share_building_month(house_month)
        house_dm2 = sum(flats.values())
        by_premises = {share.premises_id: share for share in shares.shares}
        for account in mine:
            detail = {
                "house_kcal": house_month.heat_kcal,
                "house_minor": shares.amount_minor,
                "house_area_dm2": house_dm2,
                "area_dm2": flats[account.premises_id],
            }
            whole = by_premises[account.premises_id]
            of_month = month.first_day, month.plus(1).first_day
            days = account.stays[0].first, account.stays[-1].end
            line = NewLine(
                service=Service.HEAT,
                key=f"heat/{house.plan_code}",
                quantity=part_of_days(whole.heat_kcal, of_month, *days),
                rate_scaled=rate_scaled,
                amount_minor=part_of_days(whole.amount_minor, of_month, *days),
                period_start=local_midnight(days[0], account.zone),
                period_end=local_midnight(days[1], account.zone),
                input_digest=shares.input_digest,
                charge=ChargeKind.SERVICE,
                unit=LineUnit.KCAL,
                detail=canonical_json(detail),
            )
            if line.quantity or line.amount_minor:
                found.setdefault(account.id, ([], []))[0].append(line)
    return found


def _counted_in(
    period: Period, readings: Sequence[RegisterReading], digits: int
) -> list[RegisterDifference]:
    """Return what a house's heat meter counted in a month; nothing where it went back."""
    try:
        differences = register_differences(readings, digits=digits, commodity=Commodity.HEAT)
    except RegisterBackwards:
        return []
    return [one for one in differences if period.start < one.period.end <= period.end]
