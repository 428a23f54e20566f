"""Instalments of a debt: a schedule that sums to it exactly, and whether it is kept.

Pure. Source: ПП РФ от 06.05.2011 № 354, п. 72 and following, read at second hand: an instalment of
twelve months where a bill has grown by more than a quarter, at most at the key rate and three
points. When an agreement counts as broken is a setting of ours.
"""

from calendar import isleap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import accumulate
from typing import Final

from kilokassa.core.apportion import apportion
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.money import half_up_ratio
from wallet.debts.late_fee import PER_WHOLE, DebtPayment, percent_text

OFFERED_MONTHS: Final = 12
MOST_MONTHS: Final = 120
GROWTH_PERCENT: Final = 25
"""An instalment is offered where a bill has grown by more than so much."""

MOST_ABOVE_KEY_RATE_BP: Final = 300
"""Interest is at most so far above the key rate: three points."""


class InterestTooHigh(DomainError):
    """Interest above what the law lets a retailer ask for an instalment."""

    code = "interest_too_high"
    template = "An instalment bears at most %(most)s per cent of interest a year, not %(asked)s."


class NotASchedule(DomainError):
    """A debt that cannot be parted into so many instalments."""

    code = "not_a_schedule"
    template = "A debt of %(debt)s kopecks cannot be paid in %(months)s monthly instalments."


class Standing(StrEnum):
    """How an agreement stands on a day."""

    KEPT = "kept"
    BEHIND = "behind"
    """An instalment is overdue, within its days of grace."""
    BROKEN = "broken"
    FULFILLED = "fulfilled"


@dataclass(frozen=True, slots=True)
class Instalment:
    """One part of a debt and what it bears."""

    number: int
    due_on: date
    principal_minor: int
    interest_minor: int
    left_minor: int
    """What of the debt is still owed once it is paid."""

    @property
    def amount_minor(self) -> int:
        """What is to be paid: the part and its interest."""
        return self.principal_minor + self.interest_minor


@dataclass(frozen=True, slots=True)
class AgreementState:
    """How an agreement stands on a day, and what is next."""

    standing: Standing
    paid_minor: int
    overdue_minor: int
    """What of instalments past their day is not paid."""
    next_due: Instalment | None
    """The first instalment that is not paid in full."""
    broken_on: date | None = None

    @property
    def protects(self) -> bool:
        """Say whether the agreement stands between the debt and a limitation."""
        return self.standing in (Standing.KEPT, Standing.BEHIND)


def is_offered(charged_minor: int, year_before_minor: int) -> bool:
    """Say whether a bill has grown so much that an instalment has to be offered.

    Where nothing was charged the year before, nothing is there to have grown.

    >>> is_offered(125_00, 100_00), is_offered(125_01, 100_00)
    (False, True)
    """
    return year_before_minor > 0 and charged_minor * 100 > year_before_minor * (
        100 + GROWTH_PERCENT
    )


def schedule(
    debt_minor: int,
    months: int,
    *,
    agreed_on: date,
    first_due_on: date,
    rate_bp: int = 0,
    key_rate_bp: int | None = None,
) -> tuple[Instalment, ...]:
    """Part a debt into equal monthly instalments; their principals sum to it exactly.

    interest = half up ( left x rate x days / days of the year ),  once for each instalment

    counted by days from the instalment before, the day of the agreement at first, on what is left.
    Where a month is too short for the day, its last day is meant. Interest needs the key rate.
    """
    if not 1 <= months <= min(MOST_MONTHS, debt_minor) or first_due_on <= agreed_on:
        raise NotASchedule(debt=debt_minor, months=months)
    most_bp = 0 if key_rate_bp is None else key_rate_bp + MOST_ABOVE_KEY_RATE_BP
    if not 0 <= rate_bp <= most_bp:
        raise InterestTooHigh(most=percent_text(most_bp), asked=percent_text(rate_bp))
    parts = []
    left_minor, since = debt_minor, agreed_on
    for number, principal_minor in enumerate(apportion(debt_minor, [1] * months), start=1):
        due_on = _months_later(first_due_on, number - 1)
        exact = Fraction(left_minor * rate_bp, PER_WHOLE) * _years(since, due_on)
        interest_minor = half_up_ratio(exact.numerator, exact.denominator)
        left_minor -= principal_minor
        parts.append(Instalment(number, due_on, principal_minor, interest_minor, left_minor))
        since = due_on
    assert left_minor == 0
    return tuple(parts)


def agreement_state(
    instalments: Sequence[Instalment],
    payments: Iterable[DebtPayment],
    *,
    on: date,
    grace_days: int = 0,
) -> AgreementState:
    """Say how an agreement stands at the end of `on`; what is paid counts for the earliest part.

    It is broken on the day after an instalment's days of grace, if that instalment is not paid by
    then, and stays broken: what is paid later lowers the debt, not the breach.
    """
    known = sorted((p for p in payments if p.paid_on <= on), key=lambda p: p.paid_on)
    paid_minor = sum(payment.amount_minor for payment in known)
    running = list(accumulate(part.amount_minor for part in instalments))
    breaches = [
        last + timedelta(days=1)
        for part, wanted_minor in zip(instalments, running, strict=True)
        if (last := part.due_on + timedelta(days=grace_days)) < on
        and sum(p.amount_minor for p in known if p.paid_on <= last) < wanted_minor
    ]
    past_minor = sum(part.amount_minor for part in instalments if part.due_on < on)
    overdue_minor = max(0, past_minor - paid_minor)
    following = next(
        (p for p, wanted in zip(instalments, running, strict=True) if paid_minor < wanted), None
    )
    if breaches:
        standing = Standing.BROKEN
    elif following is None:
        standing = Standing.FULFILLED
    else:
        standing = Standing.BEHIND if overdue_minor else Standing.KEPT
    return AgreementState(
        standing, paid_minor, overdue_minor, following, min(breaches, default=None)
    )


def _months_later(day: date, months: int) -> date:
    month = Month.of(day).plus(months)
    return month.first_day.replace(day=min(day.day, len(month.days)))


def _years(since: date, until: date) -> Fraction:
    """Return the days from `since` to `until` as parts of their years, exactly."""
    total = Fraction(0)
    for year in range(since.year, until.year + 1):
        first = max(since, date(year, 1, 1))
        # The first of January belongs to its own year.
        end = until if year == until.year else date(year + 1, 1, 1)
        total += Fraction((end - first).days, 366 if isleap(year) else 365)
    return total
