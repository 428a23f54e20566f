"""What accounts are likely to use and to pay after the last instant known; nothing is written.

The usual use of the account itself (`billing.runway.usage_profile`) is carried on over the days
ahead and priced by the one rating function, on the plan and at the prices that are published. A
ladder is climbed from its foot in each calendar month.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy.orm import Session

from billing.accounts import BilledAccount, Stay
from billing.foresight.foresight import CostAhead, marks_ahead
from billing.month.energy.grids import Asked, Energy, PlanEnergy
from billing.month.energy.service import by_plan
from billing.month.energy.store import energies
from billing.runway import MILLI, WEEKS, clock_grid, usage_profile
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.ids import AccountId
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from tariffs.day_types import DayType, HolidayCalendar
from tariffs.lines import CannotRate
from tariffs.rating import rate_population

DAYS_AHEAD: Final = 31
MOST_DAYS_UNKNOWN: Final = 62
"""Longer without a reading, and nothing is foretold: the profile is of another season."""
FEWER_DAYS: Final = (DAYS_AHEAD, 7, 2, 1)
"""How far ahead is tried: prices by the hour are known for a day or two."""
ROWS_A_LOOK: Final = 2_048
"""Rows that are priced together, one a mark and account: memory stays small."""


def costs_ahead(
    session: Session,
    accounts: Sequence[BilledAccount],
    known: Mapping[AccountId, datetime],
    now: datetime,
    holidays: HolidayCalendar,
) -> dict[AccountId, CostAhead]:
    """Return what each account is likely to spend from its `known` instant on.

    An account of which too little was measured, or whose plan cannot be priced ahead, is left out.
    """
    groups: dict[date, list[BilledAccount]] = {}
    for account in accounts:
        until = known.get(account.id)
        if until is not None and until <= now <= until + timedelta(days=MOST_DAYS_UNKNOWN):
            groups.setdefault(local_date(until, account.zone), []).append(account)
    found: dict[AccountId, CostAhead] = {}
    for day, group in sorted(groups.items()):
        first = day - timedelta(weeks=WEEKS)
        seen = [replace(a, stays=(Stay(first, day, a.plan_id),)) for a in group]
        for energy in energies(session, seen, Asked(first, day, closing=False)):
            for days in FEWER_DAYS:
                left = [a for a in energy.owners if a.id not in found]
                if left:
                    found |= dict(_of_grid(session, energy, day, days, now, holidays, left))
    return found


def _of_grid(
    session: Session,
    energy: Energy,
    day: date,
    days: int,
    now: datetime,
    holidays: HolidayCalendar,
    wanted: Sequence[BilledAccount],
) -> Iterator[tuple[AccountId, CostAhead]]:
    zone = energy.zone
    end = max(day, local_date(now, zone)) + timedelta(days=days)
    ahead = _usual(energy, day, end, holidays)
    ids = {account.id for account in wanted}
    for of_plan in by_plan(session, ahead, Asked(day, end, closing=False)):
        places = [n for n, owner in enumerate(of_plan.owners) if owner.id in ids]
        marks = marks_ahead(of_plan.start, now, of_plan.period.end)
        at_once = max(1, ROWS_A_LOOK // len(marks))
        for start in range(0, len(places), at_once):
            part = of_plan.of_some(places[start : start + at_once])
            try:
                spent = _spent(part, marks)
            except CannotRate:
                continue
            for owner, row in zip(part.owners, spent, strict=True):
                if part.energy_wh.any():
                    yield owner.id, CostAhead(marks, tuple(row))


def _usual(energy: Energy, day: date, end: date, holidays: HolidayCalendar) -> Energy:
    """Return the usual use of each channel over the days from `day` up to `end`."""
    zone, matrix = energy.zone, energy.matrix

    def is_day_off(on: date) -> bool:
        return holidays.type_of(on) is not DayType.WORKING

    midnight = local_midnight(day, zone).astimezone(UTC)
    before = Period(matrix.start, midnight)
    seen = clock_grid(before, zone, matrix.interval_min, is_day_off)
    grid = clock_grid(
        Period(midnight, local_midnight(end, zone)), zone, matrix.interval_min, is_day_off
    )
    rows = []
    for values, quality in zip(matrix.energy_wh, matrix.quality, strict=True):
        profile = usage_profile(values.astype(np.int64), quality != Quality.MISSING, seen)
        if profile is None:
            rows.append(np.zeros(len(grid.slot), np.int64))
            continue
        milliwh = np.cumsum(profile.usual_milliwh[grid.day_off.astype(np.int64), grid.slot])
        rows.append(np.diff(milliwh // MILLI, prepend=0))
    usual = replace(
        matrix,
        start=midnight,
        energy_wh=np.array(rows).astype(matrix.energy_wh.dtype),
        quality=np.full((len(rows), len(grid.slot)), Quality.ESTIMATED, matrix.quality.dtype),
    )
    owners = [replace(a, stays=(Stay(day, end, a.plan_id),)) for a in energy.owners]
    return replace(energy, matrix=usual, owners=owners)


def _spent(of_plan: PlanEnergy, marks: Sequence[datetime]) -> list[list[int]]:
    """Return what each account spends up to each mark: its lines with the use up to there alone.

    What is charged besides energy does not depend on the use: it is spread evenly.
    """
    step = timedelta(minutes=of_plan.interval_min)
    width = of_plan.energy_wh.shape[1]
    counts = np.array([(mark - of_plan.start) // step for mark in marks])
    up_to = np.arange(width)[None, :] < counts[:, None]
    owners = range(len(of_plan.owners))
    many = of_plan.of_some([place for place in owners for _ in marks])
    use = many.energy_wh * np.tile(up_to, (len(of_plan.owners), 1))
    lines = rate_population(
        many.versions,
        use.astype(of_plan.energy_wh.dtype),
        many.start,
        many.interval_min,
        many.zone,
        billings=_months(many.period, many.zone),
        facts=many.facts,
    )
    cost = lines.amount_minor.sum(axis=1).reshape(len(of_plan.owners), len(marks))
    besides = cost[:, :1]
    elapsed = besides * counts[None, :] // width
    spent: list[list[int]] = (cost - besides + elapsed).tolist()
    return spent


def _months(period: Period, zone: ZoneInfo) -> list[Period]:
    """Return the calendar months of a period, cut at its ends."""
    found: list[Period] = []
    month = Month.of(local_date(period.start, zone))
    while True:
        whole = Period(
            local_midnight(month.first_day, zone), local_midnight(month.plus(1).first_day, zone)
        )
        part = whole.intersect(period)
        if part is None:
            return found
        found.append(part)
        month = month.plus(1)
