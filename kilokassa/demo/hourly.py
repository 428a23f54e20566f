"""What the demo town chose beside the published plans: digital ones, and a shop by the hour.

Half a year after it began the town's residents are offered more: three who pay ahead go digital,
one household lives under a social norm, one has a concession, and a shop buys by the prices of the
day-ahead market. The prices are invented; one Sunday noon costs less than nothing, and one day is
revised after its month was closed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

import numpy as np
from sqlalchemy.orm import Session

from billing.facts.facts import FactOrder, Subject, TermsOrder
from billing.facts.service import change_terms, state
from billing.models import Settlement
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.demo.households import draws
from kilokassa.demo.population import AccountPlan, TownPlan
from tariffs.prices.prices import DayPrices
from tariffs.prices.service import (
    PeakHoursOrder,
    PricesOrder,
    SeriesOrder,
    begin_series,
    name_peak_hours,
    take_prices,
)
from tariffs.prices.store import series_by_code, standing_days
from tariffs.store import plan_by_code

OFFERED_AFTER_MONTHS: Final = 6
"""The seventh month of the town is the first one by the new plans."""
REVISED_AFTER_MONTHS: Final = 9
"""The tenth month of the town is the one of which a price is revised."""

SERIES: Final = "day_ahead"
PEAK_HOURS: Final = "market_peaks"
HOURLY_PLAN: Final = "hourly"
VETERAN_PLAN: Final = "single_veteran"

_SHAPE: Final = (
    *(186, 178, 172, 170, 174, 190, 226, 268, 301, 312, 306, 296),
    *(284, 276, 270, 268, 279, 305, 334, 341, 322, 286, 244, 208),
)
"""Kopecks for a kWh of a working day, hour by hour."""
_NEGATIVE_SHARE: Final = -25
_NEGATIVE_HOUR: Final = 12
_SUNDAY: Final = 6
_FIRST_DAY_OFF: Final = 5
_PEAKS: Final = (10, 18)
"""Hours of which one is named for each working day."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An account and the plan it takes."""

    account: AccountPlan
    plan_code: str


def hourly_tariff(valid_from: date) -> str:
    """Return the tariff document of the shop: every figure of it is invented."""
    return f"""\
plan: {HOURLY_PLAN}
name: {{ru: Почасовой для бизнеса (демо), en: By the hour for business (demo)}}
valid_from: {valid_from}
currency: RUB
vat: on_top
category: business
holidays: {{calendar: russia}}
hourly:
  series: {SERIES}
  longer_intervals: refuse
  components:
    - {{code: network, per_kwh: [{{from: {valid_from}, amount: 1.85}}]}}
    - {{code: retail, per_kwh: [{{from: {valid_from}, amount: 0.31}}]}}
  floor: 0
  cap: 25
  limits: total
fixed:
  - code: metering
    name: {{ru: Обслуживание учёта, en: Metering service}}
    per: month
    amounts: [{{from: {valid_from}, amount: 450}}]
capacity:
  - code: market_power
    name: {{ru: Мощность на рынке, en: Market capacity}}
    basis: regulated_peaks
    hours: {PEAK_HOURS}
    per_kw_month: [{{from: {valid_from}, amount: 960}}]
taxes:
  - code: vat
    name: {{ru: НДС, en: VAT}}
    mode: on_top
    percents: [{{from: 2019-01-01, percent: 20}}, {{from: 2026-01-01, percent: 22}}]
source: демо, цены выдуманы
confidence: memory
"""


@lru_cache(maxsize=4)
def choices(accounts: tuple[AccountPlan, ...]) -> tuple[Choice, ...]:
    """Return who takes which plan: of the first house, by the order of its flats."""
    house = [a for a in accounts if a.building_code == "KHV-1" and a.interval_min is not None]
    shop, people = house[0], [a for a in house[1:] if not a.faulty]
    ahead = [a for a in people if a.settlement is Settlement.PREPAID]
    after = [
        a for a in people if a.settlement is Settlement.POSTPAID and a.payment.stops_from is None
    ]
    # Who uses most in the evening and least by night: the guarantee gives something back.
    by_evening = max(ahead[1:-1], key=lambda a: a.habits.evening_percent - a.habits.night_percent)
    return (
        Choice(shop, HOURLY_PLAN),
        *(Choice(account, "digital") for account in (ahead[0], ahead[-1], by_evening)),
        Choice(after[-1], "single_norm"),
        Choice(after[-2], VETERAN_PLAN),
    )


def live_choices(
    application: Application,
    plan: TownPlan,
    month: Month,
    ids: Mapping[str, AccountId],
    scope: Scope,
) -> None:
    """Let the town's accounts take their new plans, some days before the first month by them."""
    if month != plan.first_month.plus(OFFERED_AFTER_MONTHS):
        return
    chosen = _clock(application, plan, month.first_day - timedelta(days=9))
    with application.database.writing() as session:
        order = SeriesOrder(
            scope,
            SERIES,
            "Рынок на сутки вперёд (демо)",
            plan.zone,
            name_en="Day-ahead market (demo)",
            source="цены выдуманы",
        )
        begin_series(session, order, chosen)
        for choice in choices(plan.accounts):
            account = choice.account
            terms = TermsOrder(
                ids[account.number],
                month.first_day,
                plan_by_code(session, choice.plan_code).id,
                account.settlement,
                account.measurement,
                scope.actor,
            )
            change_terms(session, terms, chosen)
            if choice.plan_code == VETERAN_PLAN:
                right = FactOrder(
                    ids[account.number],
                    Subject.CONCESSION,
                    month.first_day,
                    code="veteran",
                    document="удостоверение ветерана (демо)",
                )
                state(session, scope, right, chosen)


def live_market(application: Application, plan: TownPlan, month: Month, scope: Scope) -> None:
    """Take the month's prices in, up to today, and name its peak hours once it is over."""
    if month < plan.first_month.plus(OFFERED_AFTER_MONTHS):
        return
    end = min(month.plus(1).first_day, plan.today)
    came = _clock(application, plan, end)
    days = [day for day in month.days if day < end]
    with application.database.writing() as session:
        missing = _without_prices(session, scope, days)
        prices = [DayPrices(day, prices_of(day)) for day in missing]
        take_prices(session, PricesOrder(scope, SERIES, prices, f"{month}.csv"), came)
        if month in plan.closed_months:
            hours = [
                local_midnight(day, plan.zone) + timedelta(hours=_PEAKS[day.day % len(_PEAKS)])
                for day in days
                if day.weekday() < _FIRST_DAY_OFF
            ]
            order = PeakHoursOrder(scope, PEAK_HOURS, plan.zone, hours, f"{month}.csv")
            name_peak_hours(session, order, came)


def live_revision(application: Application, plan: TownPlan, month: Month, scope: Scope) -> None:
    """Let the prices of a day come again after its month was closed; the next close corrects."""
    if month != plan.first_month.plus(REVISED_AFTER_MONTHS) or month not in plan.closed_months:
        return
    day = month.first_day + timedelta(days=14)
    revised = _clock(application, plan, month.plus(1).first_day + timedelta(days=11))
    prices = DayPrices(day, prices_of(day) * 11 // 10)
    with application.database.writing() as session:
        order = PricesOrder(scope, SERIES, [prices], f"{day}-revised.csv")
        take_prices(session, order, revised)


def prices_of(day: date) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the invented prices of a day, millionths of a rouble per kWh.

    At noon of the second Sunday of a month energy costs less than nothing.
    """
    rng = draws(11, day.toordinal())
    share = rng.integers(88, 113, size=24) - (0 if day.weekday() < _FIRST_DAY_OFF else 12)
    prices = np.array(_SHAPE, dtype=np.int64) * share * 100
    if day.weekday() == _SUNDAY and 7 < day.day <= 14:
        prices[_NEGATIVE_HOUR] = _NEGATIVE_SHARE * 10_000
    return prices


def _without_prices(session: Session, scope: Scope, days: Sequence[date]) -> list[date]:
    if not days:
        return []
    series = series_by_code(session, scope, SERIES)
    known = {stored.prices.day for stored in standing_days(session, series.id, days[0], days[-1])}
    return [day for day in days if day not in known]


def _clock(application: Application, plan: TownPlan, day: date) -> FixedClock:
    at: datetime = min(local_midnight(day, plan.zone), application.clock.now())
    return FixedClock(at)
