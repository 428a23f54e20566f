"""The demo town's movers: one flat whose payer changes, and who leaves it again with a refund.

The flat stands in a small house of its own, so that nobody else's habits depend on it. All of it is
done by the services, each step on its day.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from billing.models import AccountMoveKind, Measurement, Settlement
from billing.moves.moves import MoveOrder, Newcomer, Rest
from billing.store import accounts_by_numbers
from kilokassa.app.moving import move
from kilokassa.app.payments import Payment, take_payments
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import Scope
from kilokassa.demo.population import TownPlan
from metering.days import whole_days
from metering.registry.places import (
    Building,
    Channel,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
)
from metering.registry.service import register_places
from metering.store import write_days

HOUSE: Final = "KHV-9"
ADDRESS: Final = "г. Хабаровск, ул. Демонстрационная, 9"
POINT: Final = "KHV-9-1"
FIRST: Final = Newcomer(
    "2799900001",
    "Переездов Павел (демо)",
    2,
    "single",
    Settlement.POSTPAID,
    Measurement.INTERVALS,
)
SECOND: Final = Newcomer("2799900002", "Новосёлова Нина (демо)", 1, settlement=Settlement.PREPAID)
CHANGED_ON: Final = 11
"""Day of the month on which the payer changes."""
PAID_MINOR: Final = 3_000_00
WH_AN_HOUR: Final = 250


def ensure_moves(application: Application, plan: TownPlan, scope: Scope) -> None:
    """Let somebody move in two months ago, another pay from the next month on, and leave."""
    closed = plan.closed_months
    if len(closed) < 2:
        return
    with application.database.reading() as session:
        if accounts_by_numbers(session, [FIRST.number]):
            return
    began, changed = closed[-2], closed[-1]
    left_on = changed.plus(1).first_day
    _found(application, plan, began.first_day, left_on)
    _on(application, plan, began.first_day, scope, _moves_in(began))
    changes_on = changed.days[CHANGED_ON - 1]
    _on(application, plan, changes_on, scope, _changes(changes_on))
    _pays(application, plan, changes_on, scope)
    _on(application, plan, left_on, scope, _moves_out(left_on))


def _moves_in(began: Month) -> MoveOrder:
    return MoveOrder(
        AccountMoveKind.MOVE_IN,
        began.first_day,
        "demo:move:in",
        newcomer=FIRST,
        building_code=HOUSE,
        premises_number="1",
        note="договор найма (демо)",
    )


def _changes(on: date) -> MoveOrder:
    return MoveOrder(
        AccountMoveKind.PAYER_CHANGE,
        on,
        "demo:move:payer",
        account_number=FIRST.number,
        newcomer=SECOND,
        note="заявление (демо)",
    )


def _moves_out(on: date) -> MoveOrder:
    return MoveOrder(
        AccountMoveKind.MOVE_OUT,
        on,
        "demo:move:out",
        account_number=SECOND.number,
        rest=Rest.REFUND,
        refund_to=SECOND.payer_name,
        requisites="40817810000000000009, БАНК «ДЕМО», БИК 040813000",
        note="заявление (демо)",
    )


def _found(application: Application, plan: TownPlan, first: date, end: date) -> None:
    """Build the house, and let its meter measure from a day up to another."""
    clock = FixedClock(local_midnight(first, plan.zone))
    meter = Meter(POINT, "D900001", first, digits=6)
    with application.database.writing() as session:
        places = register_places(
            session,
            PlacesOrder(
                buildings=(
                    Building(HOUSE, "г. Хабаровск, ул. Демонстрационная, 9", plan.zone.key),
                ),
                premises=(Premises(HOUSE, "1", 45_00),),
                points=(MeteringPoint(POINT, HOUSE, "1"),),
                meters=(meter,),
                channels=(Channel(POINT, 60),),
            ),
            clock,
        )
        channel = places.channel_ids[POINT, "A+"]
        days = [first + timedelta(days=n) for n in range((end - first).days)]
        # A little more in the evening than by night, the same every day.
        by_hour = [WH_AN_HOUR + (150 if 17 <= hour < 23 else 0) for hour in range(24)]
        block = whole_days(60, [channel] * len(days), days, np.array([by_hour] * len(days)))
        write_days(session, [block], clock, source="demo")


def _on(
    application: Application, plan: TownPlan, day: date, scope: Scope, order: MoveOrder
) -> None:
    move(replace(application, clock=_at(application, plan, day)), scope, order)


def _pays(application: Application, plan: TownPlan, day: date, scope: Scope) -> None:
    clock = _at(application, plan, day)
    with application.database.writing() as session:
        account_id = accounts_by_numbers(session, [SECOND.number])[SECOND.number]
        payment = Payment(account_id, PAID_MINOR, "card", clock.at, "demo:move:paid")
        take_payments(session, scope, [payment], clock, tell=False)


def _at(application: Application, plan: TownPlan, day: date) -> FixedClock:
    """Return a clock of the day at ten in the morning; never of a time to come."""
    at: datetime = local_midnight(day, plan.zone) + timedelta(hours=10)
    return FixedClock(min(at, application.clock.now()))
