"""Dated facts as values: what was stated for which days, when it was recorded, what it replaced."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from billing.models import Measurement, Settlement
from kilokassa.core.ids import TariffPlanId


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


def stood_at(recorded_at: datetime, superseded_at: datetime | None, known_at: datetime) -> bool:
    """Say whether a statement was known at an instant and not yet replaced."""
    return recorded_at <= known_at and (superseded_at is None or superseded_at > known_at)
