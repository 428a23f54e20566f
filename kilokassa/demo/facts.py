"""What changed in the lives of the demo town's people, stated as a clerk would have stated it."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from billing.facts.facts import FactOrder, Subject
from billing.facts.service import state
from billing.models import Settlement
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.demo.population import AccountPlan, TownPlan

HOUSE: Final = "KHV-1"
GREW_AFTER_MONTHS: Final = 4
MEASURED_AFTER_MONTHS: Final = 7
AWAY_AFTER_MONTHS: Final = 8
MOVED_AFTER_MONTHS: Final = 9
GREW_BY_DM2: Final = 1_90
"""What the new survey of a flat found more than the old papers said."""


def live_facts(
    application: Application,
    plan: TownPlan,
    month: Month,
    ids: Mapping[str, AccountId],
    scope: Scope,
) -> None:
    """State what changed in a month: a family grew, a flat was surveyed, one was away, one moved.

    The extract of the survey was handed in at the end of its month and typed in after it: it holds
    from the month it was handed in.
    """
    grown, surveyed, away, moved = people(plan)
    first = month.first_day
    following = month.plus(1).first_day
    stated: dict[int, tuple[FactOrder, date]] = {
        GREW_AFTER_MONTHS: (
            FactOrder(
                ids[grown.number],
                Subject.PERSONS,
                first + timedelta(days=11),
                grown.persons + 1,
                document="свидетельство о рождении (демо)",
            ),
            first + timedelta(days=19),
        ),
        MEASURED_AFTER_MONTHS: (
            FactOrder(
                ids[surveyed.number],
                Subject.AREA,
                following - timedelta(days=3),
                surveyed.area_dm2 + GREW_BY_DM2,
                document="выписка ЕГРН (демо)",
            ),
            following + timedelta(days=1),
        ),
        AWAY_AFTER_MONTHS: (
            FactOrder(
                ids[away.number],
                Subject.ABSENCE,
                first + timedelta(days=2),
                1,
                until=first + timedelta(days=19),
                document="справка с места временного пребывания (демо)",
            ),
            first + timedelta(days=24),
        ),
        MOVED_AFTER_MONTHS: (
            FactOrder(ids[moved.number], Subject.PLAN, first + timedelta(days=14), code="two_zone"),
            first + timedelta(days=13),
        ),
    }
    happened = stated.get(month.ordinal - plan.first_month.ordinal)
    if happened is None or month not in plan.closed_months:
        return
    order, on = happened
    clock = FixedClock(min(local_midnight(on, plan.zone), application.clock.now()))
    with application.database.writing() as session:
        state(session, scope, order, clock)


def people(plan: TownPlan) -> tuple[AccountPlan, AccountPlan, AccountPlan, AccountPlan]:
    """Return whose family grew, whose flat was surveyed, who was away, who changed the plan."""
    flats = [
        one
        for one in plan.accounts
        if one.building_code == HOUSE
        and one.interval_min is not None
        and one.settlement is Settlement.POSTPAID
        and not one.faulty
        and one.payment.stops_from is None
    ][1:-2]
    moved = next(one for one in reversed(flats) if one.plan_code == "single")
    grown, surveyed, away = [one for one in flats if one is not moved][:3]
    return grown, surveyed, away, moved


def area_dm2(plan: TownPlan, account: AccountPlan) -> int:
    """Return the area of an account's flat as the town's papers have it by now."""
    known = plan.first_month.plus(MEASURED_AFTER_MONTHS) in plan.closed_months
    return account.area_dm2 + (GREW_BY_DM2 if known and account is people(plan)[1] else 0)
