"""A rehearsal that the demo town's analyst has made: a cheaper night against a dearer evening."""

from typing import Final

from sqlalchemy import func, select

from billing.models import RehearsalRow
from billing.rehearsal.order import Change, RehearsalOrder
from kilokassa.app.rehearsing import rehearse
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.scope import Scope
from kilokassa.demo.population import TownPlan

NAME: Final = "Дешёвая ночь, дорогой пик (демо)"
MONTHS: Final = 12
_DOCUMENT: Final = """\
plan: three_zone
name: {{ru: Трёхзонный, en: Three zones}}
valid_from: {day}
currency: RUB
vat: included
category: urban_gas
zones:
  peak: [07:00-10:00, 17:00-21:00]
  semi_peak: [10:00-17:00, 21:00-23:00]
  night: [23:00-07:00]
prices:
  - from: {day}
    per_kwh: {{peak: 8.70, semi_peak: 5.60, night: 1.20}}
source: a draft of the demo, never published
confidence: memory
"""


def ensure_rehearsal(application: Application, plan: TownPlan, scope: Scope) -> None:
    """Try the accounts of three zones on the draft, over the months closed; once."""
    if not plan.closed_months:
        return
    with application.database.reading() as session:
        if session.scalar(select(func.count()).select_from(RehearsalRow)):
            return
    months = plan.closed_months[-MONTHS:]
    document = _DOCUMENT.format(day=Month.of(plan.today).plus(1).first_day)
    order = RehearsalOrder(
        name=NAME,
        changes=(Change("three_zone", document=document),),
        first=months[0],
        last=months[-1],
    )
    rehearse(application, order, scope=scope)
