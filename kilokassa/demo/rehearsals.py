"""A rehearsal that the demo town's analyst has made: who would gain by three zones."""

from typing import Final

from sqlalchemy import func, select

from billing.models import RehearsalRow
from billing.rehearsal.order import Change, RehearsalOrder
from kilokassa.app.rehearsing import rehearse
from kilokassa.app.wiring import Application
from kilokassa.core.scope import Scope
from kilokassa.demo.population import TownPlan
from tariffs.rehearsal import PriceBasis

NAME: Final = "Одна зона — на три (демо)"
MONTHS: Final = 12


def ensure_rehearsal(application: Application, plan: TownPlan, scope: Scope) -> None:
    """Rehearse three zones for those who have one, over the months closed; once."""
    if not plan.closed_months:
        return
    with application.database.reading() as session:
        if session.scalar(select(func.count()).select_from(RehearsalRow)):
            return
    months = plan.closed_months[-MONTHS:]
    order = RehearsalOrder(
        name=NAME,
        changes=(
            Change("single", to_plan="three_zone"),
            Change("single_reduced", to_plan="three_zone_reduced"),
        ),
        first=months[0],
        last=months[-1],
        prices=PriceBasis.OF_THE_TIME,
    )
    rehearse(application, order, scope=scope)
