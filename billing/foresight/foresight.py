"""Until when money lasts: what an account is likely to spend, mark by mark, as values."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from billing.runway import LONGEST_DAYS

HOURS_SHOWN: Final = timedelta(days=3)
"""So far ahead an hour can be named; beyond it a day, as `docs/algorithms/runway.md` measured."""

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Until when what an account has lasts, counted from now."""

    until: datetime
    """The first instant that is no longer covered, in UTC; it never flatters."""
    days: int
    """Whole days of 24 hours from now."""
    to_the_hour: bool
    """True where it is near enough to name an hour; else the day alone is meant."""
    daily_minor: int
    """What a day is likely to cost, rounded up."""
    capped: bool = False
    """True where the money lasts longer than `LONGEST_DAYS`."""


@dataclass(frozen=True, slots=True)
class CostAhead:
    """What is likely to be spent from the last instant known on, up to each of some marks."""

    marks: tuple[datetime, ...]
    """In UTC and ascending; the first is the instant up to which everything is known."""
    spent_minor: tuple[int, ...]
    """From the first mark up to each; the first is 0."""

    def __post_init__(self) -> None:
        if len(self.marks) != len(self.spent_minor) or len(self.marks) < 2 or self.spent_minor[0]:
            raise ValueError(f"a cost begins with nothing and has a mark for each sum: {self!r}")
        if any(first >= second for first, second in pairwise(self.marks)):
            raise ValueError(f"marks ascend: {self.marks!r}")

    def until(self, at: datetime) -> int:
        """Return what is likely spent up to the last mark that is not after `at`."""
        place = bisect_right(self.marks, at) - 1
        return self.spent_minor[place] if place >= 0 else 0

    @property
    def daily_minor(self) -> int:
        """What a day costs on average over the marks, rounded up."""
        return -(-self.spent_minor[-1] * _DAY // (self.marks[-1] - self.marks[0]))

    def lasts(self, money_minor: int, now: datetime) -> Outlook | None:
        """Return until when money lasts that was there at the first mark; None where it is free.

        `money_minor` is posted less held and rated: what is spent since then is not taken off. Past
        the last mark it goes on as on average.
        """
        if self.spent_minor[-1] <= 0:
            return None
        covered = [spent_minor <= money_minor for spent_minor in self.spent_minor]
        # The last mark before the first that is not covered: prices below zero may wind it back.
        first = covered.index(False) if False in covered else len(covered)
        if first == len(covered):
            left_minor = money_minor - self.spent_minor[-1]
            more = left_minor * (self.marks[-1] - self.marks[0]) // self.spent_minor[-1]
            until = self.marks[-1] + min(more, LONGEST_DAYS * _DAY)
        else:
            until = self.marks[max(0, first - 1)]
        days = max(0, (until - now) // _DAY)
        near = until - now <= HOURS_SHOWN
        shown = min(days, LONGEST_DAYS)
        return Outlook(until, shown, near, self.daily_minor, days >= LONGEST_DAYS)


def marks_ahead(known_until: datetime, now: datetime, last: datetime) -> tuple[datetime, ...]:
    """Return days up to now, hours from the day of now on for as long as they tell, then days.

    Days are steps of 24 hours from what is known: the marks are for costs, not for a calendar.
    """
    marks = [known_until]
    hours_from, hours_until = now - _DAY, now + HOURS_SHOWN
    while marks[-1] < last:
        step = _HOUR if hours_from <= marks[-1] < hours_until else _DAY
        marks.append(marks[-1] + step)
    return tuple(mark for mark in marks if mark <= last)
