"""A household of the demo town that gives energy to the network: panels on a balcony.

Half a year after the town began, one flat of the third house takes a plan that pays for what it
gives; its meter counts both ways. The price that is paid is invented.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from billing.facts.facts import TermsOrder
from billing.facts.service import change_terms
from billing.models import Settlement
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.demo.households import draws
from kilokassa.demo.population import INTERVAL_MIN, AccountPlan, TownPlan
from kilokassa.demo.profiles import HALF_HOURS
from metering import store as metering_store
from metering.days import whole_days
from metering.registry.places import Channel, PlacesOrder
from metering.registry.service import register_places
from tariffs.store import plan_by_code

GIVEN: Final = "A-"
PLAN: Final = "single_micro"
_HOUSE: Final = "KHV-3"
_PLACE: Final = 9
"""Which of the house's half-hour households has the panels."""
_BEGAN_AFTER_MONTHS: Final = 6
_OF_RATES: Final = "single_reduced"
_CATEGORY: Final = "microgeneration"
_PAID: Final = "2.10"
"""Roubles for a kWh that is given; invented."""
_PEAK_WH: Final = 260
"""What the panels give in the best half hour of a clear day."""


def micro_tariff(documents: Sequence[str], valid_from: date) -> str:
    """Return the tariff document: the single reduced rate, and what is paid for what is given."""
    single = next(text for text in documents if text.startswith(f"plan: {_OF_RATES}\n"))
    named = single.replace(f"plan: {_OF_RATES}", f"plan: {PLAN}")
    # A category of its own: to a home without panels it is no alternative.
    named = re.sub(r"^category: .*$", f"category: {_CATEGORY}", named, flags=re.MULTILINE)
    for language, name in (("ru", "С микрогенерацией (демо)"), ("en", "Own generation (demo)")):
        named = re.sub(rf"^  {language}: .*$", f"  {language}: {name}", named, flags=re.MULTILINE)
    paid = f"[{{from: {valid_from}, amount: {_PAID}}}]"
    return f"{named}export: {{netting: interval, per_kwh: {paid}}}\n"


def household(plan: TownPlan) -> AccountPlan:
    """Return the household with the panels."""
    of_house = [
        account
        for account in plan.matrix_accounts
        if account.building_code == _HOUSE and account.settlement is Settlement.POSTPAID
    ]
    return of_house[_PLACE % len(of_house)]


def live_generation(
    application: Application,
    plan: TownPlan,
    month: Month,
    ids: Mapping[str, AccountId],
    scope: Scope,
) -> None:
    """Append the month's days of what is given, up to today; the plan begins with the first."""
    begins = plan.first_month.plus(_BEGAN_AFTER_MONTHS)
    if month < begins:
        return
    account = household(plan)
    end = min(month.plus(1).first_day, plan.today)
    came = FixedClock(min(local_midnight(end, plan.zone), application.clock.now()))
    with application.database.writing() as session:
        if month == begins:
            chosen = FixedClock(local_midnight(month.first_day - timedelta(days=9), plan.zone))
            terms = TermsOrder(
                ids[account.number],
                month.first_day,
                plan_by_code(session, PLAN).id,
                account.settlement,
                account.measurement,
                scope.actor,
            )
            change_terms(session, terms, chosen)
        days = [day for day in month.days if day < end]
        channel = Channel(account.point_code, INTERVAL_MIN, GIVEN)
        places = register_places(session, PlacesOrder(channels=(channel,)), came)
        if days:
            given = [places.channel_ids[account.point_code, GIVEN]] * len(days)
            block = whole_days(INTERVAL_MIN, given, days, _given_wh(days))
            metering_store.write_days(session, [block], came, source="demo: own generation")


def _given_wh(days: list[date]) -> npt.NDArray[np.int32]:
    """Return whole Wh by (day, half hour): the light of the season, clouds of the day."""
    half_hours = np.arange(HALF_HOURS)
    rows = []
    for day in days:
        rng = draws(67, day.toordinal())
        height = 1 + 0.5 * np.cos(2 * np.pi * (day.timetuple().tm_yday - 172) / 365)
        light = np.clip(np.sin(np.pi * (half_hours - 26 + 8 * height) / (16 * height)), 0, None)
        light[(half_hours < 26 - 8 * height) | (half_hours > 26 + 8 * height)] = 0
        rows.append(np.rint(_PEAK_WH * height / 1.5 * light * (0.3 + 0.7 * rng.random())))
    return np.array(rows).astype(np.int32)
