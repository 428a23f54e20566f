"""Periodic checks of readings over a population, part by part; a repeat adds nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from billing import store as billing_store
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.scope import Right, Scope
from metering.lookback.service import Checked, CheckOrder, check_points, recent_months
from metering.lookback.store import points_to_check

POINTS_A_PART: Final = 500
"""Points checked in one transaction: some seconds at most, so that others may write between."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a run of checks came to."""

    months: tuple[Month, ...]
    points: int
    opened: int
    grown: int
    closed: int


def check_readings(
    application: Application,
    *,
    scope: Scope,
    month: Month | None = None,
    building_code: str = "",
    progress: Progress | None = None,
) -> CheckReport:
    """Check the readings of points in reach: of one month, or of the running and the one before.

    Each part is one transaction. A run that was stopped leaves whole parts, and running again
    looks at all of them anew: what was found is found again and nothing is said twice.
    """
    scope.demand(Right.WORK_FINDINGS)
    database, clock = application.database, application.clock
    with database.reading() as session:
        zone = billing_store.retailer_zone(session)
        point_ids = points_to_check(session, scope, building_code)
    months = recent_months(clock.now(), zone) if month is None else (month,)
    total, done = Checked(0), 0
    for each in months:
        for part in _parts(point_ids):
            with database.writing() as session:
                total += check_points(session, CheckOrder(part, each), clock)
            done += len(part)
            if progress is not None:
                progress(done, len(point_ids) * len(months))
    return CheckReport(months, len(point_ids), total.opened, total.grown, total.closed)


def _parts(point_ids: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [
        point_ids[start : start + POINTS_A_PART]
        for start in range(0, len(point_ids), POINTS_A_PART)
    ]
