"""What the demo town learns late: an outage that was confirmed afterwards, a price put right.

The outage is posted at once, so there is a document of the difference before the next bill; the
price is found by the next close. Both happen at the instant at which they would have been.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import yaml

from billing.models import Settlement
from kilokassa.app.recalculating import Wish, recalculate
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import Scope
from kilokassa.demo.population import AccountPlan, TownPlan
from metering.events.kinds import QualityBasis, QualityEventKind, QualityEventState
from metering.events.service import DecideOrder, QualityOrder, decide_quality, record_quality
from metering.registry.places import Commodity
from tariffs.service import PublishOrder, publish_version
from tariffs.store import plan_by_code, published_versions

MONTHS_BEFORE: Final = 8
"""The ninth month of the town is the one of which something is learned late."""
HOURS_WITHOUT: Final = 30
PLAN_PUT_RIGHT: Final = "three_zone_reduced"
"""Of few accounts, so that few documents of the difference follow."""


def live_recalculations(
    application: Application, plan: TownPlan, month: Month, scope: Scope
) -> None:
    """Let it be learned late what happened in `month`, where it is the one for it."""
    if month != plan.first_month.plus(MONTHS_BEFORE) or month not in plan.closed_months:
        return
    _confirm_outage(application, plan, month, scope)
    _publish_late(application, plan, month, scope)


def outage_account(plan: TownPlan) -> AccountPlan:
    """Return the account whose flat was without power: of the first house, paid after the month."""
    return next(
        account
        for account in plan.matrix_accounts[20:]
        if account.building_code == "KHV-1" and account.settlement is Settlement.POSTPAID
    )


def _confirm_outage(application: Application, plan: TownPlan, month: Month, scope: Scope) -> None:
    """Confirm thirty hours without power by an act of the next month, and post what it takes off.

    One day at once is allowed; six hours are 0.9 % of the month's charge.
    """
    account = outage_account(plan)
    began = local_midnight(month.first_day + timedelta(days=13), plan.zone) + timedelta(hours=16)
    confirmed = FixedClock(
        local_midnight(month.plus(1).first_day + timedelta(days=8), plan.zone) + timedelta(hours=11)
    )
    order = QualityOrder(
        commodity=Commodity.ELECTRICITY,
        kind=QualityEventKind.NO_SUPPLY,
        basis=QualityBasis.ACT,
        starts_at=began,
        ends_at=began + timedelta(hours=HOURS_WITHOUT),
        scope=scope,
        building_code=account.building_code,
        premises_number=account.premises_number,
        document="акт № 17: обрыв ввода в квартиру",
    )
    with application.database.writing() as session:
        recorded = record_quality(session, order, confirmed)
        note = "Подтверждено журналом аварийной службы"
        decision = DecideOrder(recorded.event.id, QualityEventState.CONFIRMED, note, scope)
        decide_quality(session, decision, confirmed)
    later = FixedClock(confirmed.now() + timedelta(hours=3))
    then = Application(application.settings, application.database, later)
    recalculate(then, Wish(month=month, account_number=account.number), scope=scope)


def _publish_late(application: Application, plan: TownPlan, month: Month, scope: Scope) -> None:
    """Publish a price of the closed month a kopeck lower: the decision had a misprint."""
    published = FixedClock(
        local_midnight(month.plus(1).first_day + timedelta(days=9), plan.zone) + timedelta(hours=10)
    )
    with application.database.writing() as session:
        known = published_versions(session, plan_by_code(session, PLAN_PUT_RIGHT).id)
        document: dict[str, Any] = yaml.load(known[0].document, Loader=yaml.BaseLoader)  # noqa: S506
        last: dict[str, str] = document["prices"][-1]["per_kwh"]
        night = str(Decimal(last["night"]) - Decimal("0.01"))
        document["valid_from"] = str(month.first_day)
        document["prices"].append(
            {"from": str(month.first_day), "per_kwh": last | {"night": night}}
        )
        text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
        publish_version(session, PublishOrder(scope, text), published)
