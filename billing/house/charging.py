"""What one account owes for the services of its house in a month; pure calculation."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from billing.accounts import BilledAccount
from billing.house.account_water import AccountWater
from billing.house.facts import WATERS, HouseFacts
from billing.house.lines import (
    NO_PRICE,
    NO_VOLUME,
    PRICE_UNCERTAIN,
    HouseCharge,
    ServiceDays,
    area_lines,
    cut,
    energy_lines,
    person_line,
    yearly_line,
)
from billing.house.served import AssignedService
from billing.recalculation.absence import absence_warnings, person_days
from kilokassa.core.calendar import Month
from kilokassa.core.text import mark
from metering.registry.places import Commodity
from tariffs.services.common_area import MonthBasis, share_area
from tariffs.services.prices import Basis, ServicePrice, Stretch, stretches
from tariffs.services.volumes import part_of_days

YEARLY_UNKNOWN: Final = mark(
    "Some months of the year could not be put right: what the house used in them is not known."
)
BY_NORM: Final = mark(
    "What the common property used is not known for this month: it was charged by the norm."
)
BY_AVERAGE: Final = mark(
    "What the common property used is not known for this month: its average was charged."
)


def house_charge(
    account: BilledAccount,
    month: Month,
    assigned: Sequence[AssignedService],
    prices: Mapping[str, Sequence[ServicePrice]],
    facts: HouseFacts,
) -> HouseCharge:
    """Charge an account for what is assigned to its house, over the days it has each service."""
    charge = HouseCharge()
    first = max(month.first_day, account.opened_on)
    end = month.plus(1).first_day
    if account.closed_on is not None:
        end = min(end, account.closed_on)
    water = AccountWater(account, month, facts, _norm_codes(assigned, prices))
    for one in assigned:
        begins, ends = max(first, one.valid_from), min(end, one.end)
        if begins >= ends:
            continue
        priced = stretches(prices.get(one.code, ()), begins, ends)
        if sum(stretch.days for stretch in priced) < (ends - begins).days or any(
            not stretch.price.amounts for stretch in priced
        ):
            charge.warnings.append(NO_PRICE)
            continue
        if any(not stretch.price.certain for stretch in priced):
            charge.warnings.append(PRICE_UNCERTAIN)
        served = ServiceDays(month, account.zone, priced)
        basis = priced[0].price.basis
        if basis is Basis.METER or basis is Basis.WATER:
            since = max(account.opened_on, one.valid_from)
            water.charge(served, priced[0].price, since, ends, charge)
        elif basis is Basis.AREA:
            area_dm2 = facts.own_areas[account.premises_id]
            charge.lines += area_lines(served, area_dm2, {"area_dm2": area_dm2}, digest="")
        elif basis is Basis.PERSON:
            _by_person(account, served, facts, charge)
        else:
            _common_area(account, one, served, prices[one.code], facts, charge)
    return charge


def _norm_codes(
    assigned: Sequence[AssignedService], prices: Mapping[str, Sequence[ServicePrice]]
) -> dict[Commodity, str]:
    """Return by which norms a house's water is charged: its drainage too."""
    found = {}
    for one in assigned:
        for price in prices.get(one.code, ()):
            commodity = next(
                (c for c, service in WATERS.items() if str(service) == str(price.service)), None
            )
            if commodity is not None and price.norm_code:
                found[commodity] = price.norm_code
    return found


def _by_person(
    account: BilledAccount, served: ServiceDays, facts: HouseFacts, charge: HouseCharge
) -> None:
    persons = facts.persons[account.id]
    if not persons:
        return
    absences = facts.absences.get(account.id, ())
    for stretch in served.stretches:
        days = [stretch.first + timedelta(days=n) for n in range(stretch.days)]
        present = person_days(persons, days, absences)
        line = person_line(served, stretch, persons, present, {"persons": persons}, digest="")
        if line.amount_minor:
            charge.lines.append(line)
    month_days = served.month.days
    charge.warnings += absence_warnings(month_days, absences)


def _common_area(
    account: BilledAccount,
    assigned: AssignedService,
    served: ServiceDays,
    prices: Sequence[ServicePrice],
    facts: HouseFacts,
    charge: HouseCharge,
) -> None:
    """Share the settled month of the house by area: what is charged for it, and the year before."""
    settled = facts.common.get(account.building_id)
    areas = facts.areas.get(account.building_id, {})
    if settled is None or settled.method is not assigned.method:
        charge.warnings.append(NO_VOLUME)
        return
    shown: dict[str, Any] = {
        "method": str(settled.method),
        "settled_by": str(settled.basis),
        "house_wh": settled.house_wh,
        "flats_wh": settled.flats_wh,
        "actual_wh": settled.actual_wh,
        "carried_in_wh": settled.carried_in_wh,
        "charged_wh": settled.own_wh,
        "carried_out_wh": settled.carried_out_wh,
        "norm_wh": settled.detail.get("norm_wh"),
        "area_dm2": facts.own_areas[account.premises_id],
        "house_area_dm2": sum(areas.values()),
    }
    if str(settled.basis) != str(settled.method):
        by_norm = settled.basis is MonthBasis.NORM
        charge.warnings.append(BY_NORM if by_norm else BY_AVERAGE)
    share_wh = share_area(settled.own_wh, areas)[account.premises_id]
    charge.lines += energy_lines(
        served,
        share_wh,
        shown,
        digest=settled.input_digest,
        estimated=settled.basis is not MonthBasis.ACTUAL,
    )
    if settled.detail.get("yearly_unknown"):
        charge.warnings.append(YEARLY_UNKNOWN)
    for stretch, difference_wh in _by_price(settled.yearly, prices):
        line = yearly_line(
            served,
            stretch,
            share_area(difference_wh, areas)[account.premises_id],
            {
                "method": str(settled.method),
                "yearly_house_wh": difference_wh,
                "yearly_months": [
                    [str(month), wh]
                    for month, wh in settled.yearly
                    if stretch.first < month.plus(1).first_day and month.first_day < stretch.end
                ],
                "area_dm2": facts.own_areas[account.premises_id],
                "house_area_dm2": sum(areas.values()),
            },
            digest=settled.input_digest,
            year=stretch.first.year,
        )
        if line.quantity:
            charge.lines.append(line)


def _by_price(
    yearly: Sequence[tuple[Month, int]], prices: Sequence[ServicePrice]
) -> list[tuple[Stretch, int]]:
    """Return a year's difference by the stretches of one price that it was used in."""
    if not yearly:
        return []
    months = [month for month, _ in yearly]
    found = []
    for stretch in stretches(prices, min(months).first_day, max(months).plus(1).first_day):
        difference_wh = 0
        for month, wh in yearly:
            for part in cut([stretch], month.first_day, month.plus(1).first_day):
                day = (part.first - month.first_day).days
                difference_wh += part_of_days(wh, day, day + part.days, len(month.days))
        found.append((stretch, difference_wh))
    return found
