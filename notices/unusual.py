"""Whether the last days used much more than the account's own past lets one expect.

The days are judged against the same weekdays before: a household that washes on Saturdays is not
told of every Saturday. What is usual is the median, which one odd day does not move.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median_low
from typing import Final

from notices.rules import Alarm, stepped

DAYS_JUDGED: Final = 3
"""One odd day is a feast; three are a boiler."""
WEEKS_BEFORE: Final = 8
FEWEST_WEEKS: Final = 4
"""Weekdays of fewer weeks say nothing of what is usual."""


@dataclass(frozen=True, slots=True)
class UseLimits:
    """When use counts as unusual, and when it is normal again."""

    raise_percent: int = 200
    """Above this share of the usual use."""
    rearm_percent: int = 140
    """Up to this share the alarm ends."""
    least_wh: int = 6000
    """Less in addition than this, over the days judged, is worth no notice."""


@dataclass(frozen=True, slots=True)
class Use:
    """The energy of the last days known, and what is usual for such days, Wh."""

    last_day: date
    days: int
    used_wh: int
    usual_wh: int


def use_of(days_wh: Mapping[date, int]) -> Use | None:
    """Return the use of the last days known; None where too little of the past is.

    `days_wh` holds whole days alone; a day that is missing is not known.
    """
    if not days_wh:
        return None
    last = max(days_wh)
    judged = [last - timedelta(days=back) for back in range(DAYS_JUDGED)]
    if any(day not in days_wh for day in judged):
        return None
    usual_wh = 0
    for day in judged:
        before = [day - timedelta(weeks=week) for week in range(1, WEEKS_BEFORE + 1)]
        known = [days_wh[one] for one in before if one in days_wh]
        if len(known) < FEWEST_WEEKS:
            return None
        usual_wh += median_low(known)
    return Use(last, DAYS_JUDGED, sum(days_wh[day] for day in judged), usual_wh)


def judge_use(use: Use, alarm: Alarm, limits: UseLimits) -> Alarm:
    """Return what the use makes of the alarm; it wavers in silence between the two limits."""
    more_wh = use.used_wh - use.usual_wh
    high = use.used_wh * 100 > use.usual_wh * limits.raise_percent and more_wh >= limits.least_wh
    ended = use.used_wh * 100 <= use.usual_wh * limits.rearm_percent or more_wh < limits.least_wh
    return stepped(alarm, low=high, ended=ended and not high)
