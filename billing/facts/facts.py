"""Dated facts as values: what was stated for which days, when it was recorded, what it replaced."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise

from billing.models import Measurement, Settlement
from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId, TariffPlanId


@dataclass(frozen=True, slots=True)
class Term:
    """The plan, settlement and measurement of an account from a local day on."""

    valid_from: date
    plan_id: TariffPlanId
    settlement: Settlement
    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Dated:
    """A value that holds from a local day until the next one's."""

    valid_from: date
    value: int


@dataclass(frozen=True, slots=True)
class Absence:
    """Persons who were away, by full local days, both ends counted."""

    first_on: date
    last_on: date
    persons: int
    document: str = ""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """A right to a concession by its code, from a local day on; `valid_until` is its last day."""

    code: str
    valid_from: date
    valid_until: date | None
    document: str = ""

    def holds_on(self, day: date) -> bool:
        """Say whether the right holds on a day."""
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)


def value_on(dated: Iterable[Dated], day: date, otherwise: int) -> int:
    """Return the value that holds on a day, `otherwise` before the first.

    >>> known = [Dated(date(2026, 3, 1), 2), Dated(date(2026, 5, 1), 3)]
    >>> [value_on(known, date(2026, month, 1), 1) for month in (2, 3, 4, 5)]
    [1, 2, 2, 3]
    """
    holding = [one for one in dated if one.valid_from <= day]
    return max(holding, key=lambda one: one.valid_from).value if holding else otherwise


class Subject(StrEnum):
    """What a statement about an account is of."""

    PLAN = "plan"
    PERSONS = "persons"
    CONTRACTED_POWER = "contracted_power"
    AREA = "area"
    ABSENCE = "absence"
    CONCESSION = "concession"


@dataclass(frozen=True, slots=True)
class FactOrder:
    """A fact that a person states of an account; which fields count follows from the subject.

    `value` is persons, watts, square decimetres or the persons away; `code` is that of a
    concession; `until` is the last day of an absence or a concession. An area holds from the month
    of the day its extract was handed in.
    """

    account_id: AccountId
    subject: Subject
    since: date
    value: int = 0
    code: str = ""
    until: date | None = None
    document: str = ""


@dataclass(frozen=True, slots=True)
class TermsOrder:
    """Terms that shall hold for an account from a day on, and who says so."""

    account_id: AccountId
    valid_from: date
    plan_id: TariffPlanId
    settlement: Settlement
    measurement: Measurement
    actor: str


@dataclass(frozen=True, slots=True)
class Stated:
    """What a statement changed: whether anything, and which charged months it reaches into."""

    changed: bool
    closed_months: tuple[Month, ...] = ()
    """They are put right by a recalculation, or by the next close."""


@dataclass(frozen=True, slots=True)
class StatedFact:
    """A statement about an account as it is kept, whether it still stands or not."""

    id: int
    subject: Subject
    since: date
    until: date | None
    """The last day, of what has one of its own."""
    value: int
    code: str
    """Of a concession or of a plan."""
    document: str
    actor: str
    recorded_at: datetime | None
    """None where it was there from the beginning."""
    superseded_at: datetime | None
    settlement: Settlement | None = None
    measurement: Measurement | None = None

    @property
    def stands(self) -> bool:
        """Say whether nothing took its place and it was not taken back."""
        return self.superseded_at is None


def too_many_away(
    away: Sequence[Absence], registered: Sequence[Dated], otherwise: int
) -> tuple[date, int, int] | None:
    """Return the first day on which more are away than are registered, with both numbers.

    The numbers change only where an absence or a fact begins, so only those days are looked at.

    >>> week = Absence(date(2026, 7, 1), date(2026, 7, 7), 2)
    >>> too_many_away([week, week], [], 3)
    (datetime.date(2026, 7, 1), 4, 3)
    """
    days = {one.first_on for one in away} | {one.valid_from for one in registered}
    for day in sorted(days):
        absent = sum(one.persons for one in away if one.first_on <= day <= one.last_on)
        there = value_on(registered, day, otherwise)
        if absent > there:
            return day, absent, there
    return None


def changed_within_a_month(terms: Sequence[Term]) -> Term | None:
    """Return the first term that changes settlement or measurement inside a month.

    A plan may change on any day; how an account pays and is measured only with a month, because a
    month is settled and read as a whole.
    """
    ordered = sorted(terms, key=lambda term: term.valid_from)
    for before, term in pairwise(ordered):
        same = (before.settlement, before.measurement) == (term.settlement, term.measurement)
        if not same and term.valid_from.day != 1:
            return term
    return None
