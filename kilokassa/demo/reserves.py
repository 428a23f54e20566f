"""Households of the demo town that set money aside: one keeps it, one broke it early, one ended."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from billing.models import Settlement
from kilokassa.app.payments import Payment, take_payments
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.demo.population import AccountPlan, TownPlan
from wallet.reserves import service, store
from wallet.reserves.reserve import NotOwnMoney

SCOPE: Final = system_scope("demo")
SIGNED_DAY: Final = 6
SECOND_VERSION_AFTER: Final = 7
"""Months after the first in which the offer's second version begins."""

OFFER: Final = """\
offer: half_year
name: Полгода вперёд
name_en: Half a year ahead
from: {since}
term_months: {term}
rates:
  - from: {since}
    percent: {percent}
paid: monthly
broken: lower_rate
broken_percent: 3
least: 500.00
most: 100000.00
takes_additions: true
bonus_expires_after_days: 365
"""

SIGNED: Final = ((8, 6_000_00), (2, 4_000_00), (1, 3_000_00))
"""Of each saver: after how many months it is signed, and how much is set aside."""
ADDED_AFTER: Final = 9
ADDED_MINOR: Final = 1_500_00
BROKEN_AFTER: Final = 4


def live_reserves(
    application: Application, plan: TownPlan, month: Month, ids: Mapping[str, AccountId]
) -> None:
    """Pay what the month's first day brings, and let the savers do what they do in it.

    Each saver tops up what is set aside: the rest of the balance stays as it was.
    """
    today = plan.today
    elapsed = month.ordinal - plan.first_month.ordinal
    _publish(application, plan, elapsed, month.first_day)
    first = FixedClock(local_midnight(month.first_day, plan.zone) + timedelta(hours=1))
    after_id: int | None = 0
    while after_id is not None:
        with application.database.writing() as session:
            paid = service.pay_due(session, month.first_day, plan.zone, first, after_id)
        after_id = paid.last_id
    on = month.first_day + timedelta(days=SIGNED_DAY - 1)
    if on >= today:
        return
    clock = FixedClock(local_midnight(on, plan.zone) + timedelta(hours=12))
    for saver, (after, amount_minor) in zip(savers(plan), SIGNED, strict=True):
        if elapsed == after:
            _set_aside(application, plan, ids[saver.number], saver, amount_minor, clock)
    keeper, breaker, _ = savers(plan)
    if elapsed == ADDED_AFTER:
        _move(application, plan, ids[keeper.number], ADDED_MINOR, clock, adding=True)
    if elapsed == BROKEN_AFTER:
        _move(application, plan, ids[breaker.number], SIGNED[1][1], clock, adding=False)


def savers(plan: TownPlan) -> list[AccountPlan]:
    """Return who keeps a reserve, who broke one and whose reserve ended."""
    prepaid = [
        one
        for one in plan.accounts
        if one.settlement is Settlement.PREPAID
        and not one.faulty
        and one.payment.stops_from is None
    ]
    return prepaid[:3]


def _publish(application: Application, plan: TownPlan, elapsed: int, since: date) -> None:
    versions = {0: (12, plan.first_month.first_day), SECOND_VERSION_AFTER: (10, since)}
    if elapsed not in versions:
        return
    percent, since = versions[elapsed]
    clock = FixedClock(local_midnight(since, plan.zone))
    text = OFFER.format(since=since, term=6, percent=percent)
    with application.database.writing() as session:
        service.publish_offer(session, service.OfferOrder(SCOPE, text, "demo"), clock)
        if elapsed == 0:
            service.state_credit_rate(session, SCOPE, since, 180_000, "демо", clock)


def _set_aside(
    application: Application,
    plan: TownPlan,
    account_id: AccountId,
    saver: AccountPlan,
    amount_minor: int,
    clock: FixedClock,
) -> None:
    resident = _resident(account_id)
    order = service.SignOrder(
        account_id, "half_year", amount_minor, plan.zone, f"demo:sign:{saver.number}"
    )
    _pay_in(application, account_id, amount_minor, f"demo:save:{saver.number}", clock)
    try:
        with application.database.writing() as session:
            service.sign(session, resident, order, clock)
    except NotOwnMoney:
        return  # what was owed took it: nobody sets aside what is not there


def _move(
    application: Application,
    plan: TownPlan,
    account_id: AccountId,
    amount_minor: int,
    clock: FixedClock,
    *,
    adding: bool,
) -> None:
    resident = _resident(account_id)
    with application.database.reading() as session:
        found = store.reserves_of(session, resident, account_id)
    key = f"demo:{'add' if adding else 'out'}:{account_id}"
    if not found:
        return
    if adding:
        _pay_in(application, account_id, amount_minor, f"demo:more:{account_id}", clock)
    order = service.MoveOrder(account_id, found[0].id, amount_minor, plan.zone, key)
    what = service.add if adding else service.take_out
    try:
        with application.database.writing() as session:
            what(session, resident, order, clock)
    except NotOwnMoney:
        return


def _pay_in(
    application: Application, account_id: AccountId, amount_minor: int, key: str, clock: FixedClock
) -> None:
    payment = Payment(
        account_id=account_id,
        amount_minor=amount_minor,
        tender="card",
        paid_at=clock.now(),
        idempotency_key=key,
    )
    with application.database.writing() as session:
        take_payments(session, SCOPE, [payment], clock, tell=False)


def _resident(account_id: AccountId) -> Scope:
    return Scope(Role.RESIDENT, "demo", account_ids=frozenset({account_id}))
