"""How many days the money lasts at the present rate."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

LONGEST_DAYS: Final = 366
"""Beyond a year the figure says nothing: prices and seasons change."""


@dataclass(frozen=True, slots=True)
class Runway:
    """How long the available money lasts, counted from the end of the day last known."""

    days: int
    until: date
    """The first local day that is no longer covered wholly."""
    daily_minor: int
    """What a day cost on average over the days looked at, rounded up: it never flatters."""
    capped: bool
    """True where the money lasts longer than `LONGEST_DAYS`."""


def runway(available_minor: int, spent_minor: int, days: int, *, from_day: date) -> Runway | None:
    """Return how many whole days `available_minor` lasts when `days` days cost `spent_minor`.

    None where nothing was used, so that nothing can be foretold. Money that is gone lasts 0 days.

    >>> runway(1000_00, 700_00, 7, from_day=date(2026, 11, 24)).days
    10
    """
    if days <= 0 or spent_minor <= 0:
        return None
    daily_minor = -(-spent_minor // days)
    lasting = max(0, available_minor) * days // spent_minor
    shown = min(lasting, LONGEST_DAYS)
    return Runway(shown, from_day + timedelta(days=shown), daily_minor, lasting > LONGEST_DAYS)
