"""How days away from home lessen what is charged by person or by a norm; pure calculation.

ПП РФ от 06.05.2011 № 354, раздел VIII: who was away for more than a few full days in a row is not
charged for those days where the charge goes by persons or by a norm. Heat is never lessened so, nor
what a meter counts.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, Protocol

from billing.law import Rule, in_force
from kilokassa.core.confidence import Confidence
from kilokassa.core.text import mark

LONGER_THAN_FULL_DAYS: Final[tuple[Rule[int], ...]] = (
    Rule(5, date(2012, 9, 1), "ПП РФ от 06.05.2011 № 354, п. 86", Confidence.MEMORY),
)
"""An absence counts when it has more full days in a row than this."""

ABSENCE_UNCERTAIN: Final = mark(
    "Days away lessen this charge by a rule that the law does not state for certain."
)


class Absence(Protocol):
    """Persons away from `first_on` to `last_on`, full days both."""

    @property
    def first_on(self) -> date:
        """The first full day away."""

    @property
    def last_on(self) -> date:
        """The last full day away."""

    @property
    def persons(self) -> int:
        """How many were away."""


def counts(absence: Absence) -> bool:
    """Say whether an absence is long enough to lessen a charge.

    The rule is that of its first day; a change of month in between does not cut it in two.
    """
    full_days = (absence.last_on - absence.first_on).days + 1
    return full_days > in_force(LONGER_THAN_FULL_DAYS, absence.first_on).value


def person_days(
    persons: int, month_days: Sequence[date], absences: Iterable[Absence]
) -> tuple[int, int]:
    """Return as a fraction how many persons a charge of these days is for.

    The numerator counts the days that each of `persons` was at home, the denominator the days: a
    charge of `norm x persons` becomes `norm x numerator / denominator`, still rounded once. On no
    day are more away than live there.
    """
    days = len(month_days)
    if not days:
        raise ValueError("a charge is for at least one day")
    long_enough = [absence for absence in absences if counts(absence)]
    away_days = sum(
        min(persons, sum(a.persons for a in long_enough if a.first_on <= day <= a.last_on))
        for day in month_days
    )
    return persons * days - away_days, days


def absence_warnings(month_days: Sequence[date], absences: Iterable[Absence]) -> tuple[str, ...]:
    """Return what a document says of absences that lessened a charge of these days."""
    lessening = [
        absence
        for absence in absences
        if counts(absence)
        and absence.first_on <= month_days[-1]
        and absence.last_on >= month_days[0]
    ]
    certain = all(
        in_force(LONGER_THAN_FULL_DAYS, absence.first_on).confidence is Confidence.HIGH
        for absence in lessening
    )
    return () if certain else (ABSENCE_UNCERTAIN,)
