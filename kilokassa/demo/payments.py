"""Money of the demo town: who tops up when, who pays a bill and who does not.

Amounts follow the energy and the prices day by day from the first day of the town, so a later day
only adds payments. They are what people decided to pay, never what they owe.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Final

import numpy as np

from billing.models import Settlement
from kilokassa.core.calendar import Month
from kilokassa.core.money import RATE_SCALE
from kilokassa.core.quantity import KCAL_PER_GCAL, WH_PER_KWH
from kilokassa.demo.households import draws
from kilokassa.demo.population import AccountPlan, TownPlan
from kilokassa.demo.prices import half_hour_rates, heat_rate
from kilokassa.demo.series import EnergyDays, day_matrix, heat_of_day_kcal
from wallet.topups import BonusRule, bonus_for

_KOPECKS: Final = 100
_COMMON_MINOR_PER_M2: Final = {"KHV-1": 60, "KHV-2": 130, "KHV-3": 25}
"""About what the common areas of a house cost a month: it is kept in mind, as heat is."""


@dataclass(frozen=True, slots=True)
class TopUpPlan:
    """Money that comes in for an account at an instant."""

    key: str
    """Unique in the town and the same on every run: an idempotency key."""
    account_number: str
    paid_at: datetime
    amount_minor: int
    tender: str


def bonus_rules(plan: TownPlan) -> tuple[BonusRule, ...]:
    """Return the bonus of the demo: 5 % on a top-up of 5,000 rubles and more, good for a year."""
    rule = BonusRule(
        name="Демо: 5 % от 5 000 ₽",
        threshold_minor=5_000_00,
        basis_points=500,
        valid_from=plan.first_day,
        expires_after_days=365,
    )
    return (rule,)


def top_ups(plan: TownPlan) -> tuple[TopUpPlan, ...]:
    """Return every top-up of the prepaid accounts before the plan's today, in order of time."""
    accounts, energy = day_matrix(plan, plan.first_day, plan.today)
    days = [plan.first_day + timedelta(days=n) for n in range(energy.shape[1])]
    heat = _heat_per_dm2(plan)
    found: list[TopUpPlan] = []
    for row, account in enumerate(accounts):
        if account.settlement is Settlement.PREPAID:
            costs_minor = _day_costs(plan, account, days, energy[row], heat)
            found += _prepaid(plan, account, days, costs_minor)
    return tuple(sorted(found, key=lambda top_up: (top_up.paid_at, top_up.key)))


def bill_payment(
    plan: TownPlan, account: AccountPlan, billed: Month, due_minor: int
) -> TopUpPlan | None:
    """Return how a postpaid account pays the bill of `billed`: None for a debtor or not yet.

    Cash is paid in whole rubles, rounded up; everything else to the kopeck.
    """
    habit = account.payment
    if account.settlement is not Settlement.POSTPAID or due_minor <= 0:
        return None
    if habit.stops_from is not None and billed >= habit.stops_from:
        return None
    day = billed.plus(1).first_day + timedelta(days=habit.pay_day - 1)
    if day >= plan.today:
        return None
    cash_minor = -(-due_minor // _KOPECKS) * _KOPECKS
    return TopUpPlan(
        key=f"demo:bill:{account.number}:{billed}",
        account_number=account.number,
        paid_at=_hour_of(plan, account, day),
        amount_minor=cash_minor if habit.tender == "cash" else due_minor,
        tender=habit.tender,
    )


def _prepaid(
    plan: TownPlan, account: AccountPlan, days: list[date], costs_minor: list[int]
) -> list[TopUpPlan]:
    """Live through the days: top up at the start, then whenever the wallet runs short."""
    habit = account.payment
    month_minor = _month_estimate_minor(plan, account)
    size_minor = _round_up(month_minor * habit.month_share_percent // 100)
    if habit.yearly_bonus:
        size_minor = _round_up(max(5_000_00, 6 * month_minor))
    first_minor = size_minor if habit.yearly_bonus else max(size_minor, _round_up(month_minor))
    found = [_top_up(plan, account, plan.first_day, first_minor)] if days else []
    rules = bonus_rules(plan)
    left_minor = _worth_minor(first_minor, rules, plan.first_day)
    for place, day in enumerate(days):
        left_minor -= costs_minor[place]
        recent = costs_minor[max(0, place - 13) : place + 1]
        next_day = day + timedelta(days=1)
        if left_minor * len(recent) < habit.cushion_days * sum(recent) and next_day < plan.today:
            amount_minor = size_minor + _round_up(max(0, -left_minor))
            found.append(_top_up(plan, account, next_day, amount_minor))
            left_minor += _worth_minor(amount_minor, rules, next_day)
    return found


def _worth_minor(amount_minor: int, rules: tuple[BonusRule, ...], day: date) -> int:
    bonus = bonus_for(amount_minor, rules, day)
    return amount_minor + (bonus.amount_minor if bonus else 0)


def _top_up(plan: TownPlan, account: AccountPlan, day: date, amount_minor: int) -> TopUpPlan:
    return TopUpPlan(
        key=f"demo:top-up:{account.number}:{day.isoformat()}",
        account_number=account.number,
        paid_at=_hour_of(plan, account, day),
        amount_minor=amount_minor,
        tender=account.payment.tender,
    )


def _month_estimate_minor(plan: TownPlan, account: AccountPlan) -> int:
    """Return about what a month costs at the first prices: how people size a top-up."""
    rates = half_hour_rates(account.plan_code, plan.first_day, plan.change_month)
    average = int(rates.sum()) // len(rates)
    return account.habits.month_kwh * average * _KOPECKS // RATE_SCALE


def _day_costs(
    plan: TownPlan,
    account: AccountPlan,
    days: list[date],
    energy_wh: EnergyDays,
    heat: dict[tuple[str, Month], Fraction],
) -> list[int]:
    """Return about what each day costs, in kopecks; heat comes on the first of the next month."""
    costs = []
    for place, day in enumerate(days):
        rates = half_hour_rates(account.plan_code, day, plan.change_month)
        scaled = int((energy_wh[place].astype(np.int64) * rates).sum())
        cost_minor = scaled * _KOPECKS // (WH_PER_KWH * RATE_SCALE)
        if day.day == 1:
            per_dm2 = heat.get((account.building_code, Month.of(day).plus(-1)), Fraction())
            cost_minor += int(account.area_dm2 * per_dm2)
            if place:
                common_minor = _COMMON_MINOR_PER_M2.get(account.building_code, 0)
                cost_minor += account.area_dm2 * common_minor // 100
        costs.append(cost_minor)
    return costs


def _heat_per_dm2(plan: TownPlan) -> dict[tuple[str, Month], Fraction]:
    """Return about what a month's heat costs by building, in kopecks per square decimetre."""
    shares = {}
    for building in plan.buildings:
        if building.heat_meter is None:
            continue
        area_dm2 = sum(a.area_dm2 for a in plan.accounts if a.building_code == building.code)
        for month in plan.closed_months:
            kcal = sum(heat_of_day_kcal(plan, building, day) for day in month.days)
            rate = heat_rate(month.first_day, plan.change_month)
            cost_minor = Fraction(kcal * rate * _KOPECKS, KCAL_PER_GCAL * RATE_SCALE)
            shares[building.code, month] = cost_minor / area_dm2
    return shares


def _hour_of(plan: TownPlan, account: AccountPlan, day: date) -> datetime:
    """Return an instant between 8:00 and 21:59 of the day."""
    minute = 8 * 60 + int(draws(40, account.index, day.toordinal()).integers(14 * 60))
    clock = time(minute // 60, minute % 60)
    return datetime.combine(day, clock, tzinfo=plan.zone).astimezone(UTC)


def _round_up(amount_minor: int, step_minor: int = 100_00) -> int:
    return -(-amount_minor // step_minor) * step_minor
