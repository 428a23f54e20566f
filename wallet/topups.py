"""What a top-up becomes: cover for what is owed, own money, and a bonus by a named rule."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from kilokassa.core.errors import DomainError
from kilokassa.core.money import half_up_ratio

BASIS_POINTS = 10_000

MOST_MINOR = 10**13
"""A hundred thousand million roubles: sums of such amounts still fit 64 bits."""


class NotAnAmount(DomainError):
    """A top-up of nothing or less."""

    code = "not_an_amount"
    template = "Account %(account)s: a top-up is more than zero, not %(amount)s kopecks."


class TooLarge(DomainError):
    """A top-up beyond what the ledger takes at once."""

    code = "too_large"
    template = "Account %(account)s: a top-up of %(amount)s kopecks is too large."


@dataclass(frozen=True, slots=True)
class BonusRule:
    """A bonus for the size of a top-up, dated, as data."""

    name: str
    threshold_minor: int
    basis_points: int
    valid_from: date
    valid_until: date | None = None
    expires_after_days: int = 90

    def __post_init__(self) -> None:
        if self.threshold_minor <= 0 or not 0 < self.basis_points <= BASIS_POINTS:
            raise ValueError(f"a bonus rule has a threshold and up to 100 %: {self!r}")


@dataclass(frozen=True, slots=True)
class Bonus:
    """What a rule grants for one top-up."""

    rule: str
    amount_minor: int
    expires_after_days: int


def bonus_for(amount_minor: int, rules: Iterable[BonusRule], on: date) -> Bonus | None:
    """Return the largest bonus that a rule in force grants for the top-up, if any does.

    >>> rule = BonusRule("five for ten thousand", 10_000_00, 500, date(2026, 1, 1))
    >>> bonus_for(12_345_67, [rule], date(2026, 2, 1)).amount_minor
    61728
    """
    granted = [
        Bonus(
            rule.name,
            half_up_ratio(amount_minor * rule.basis_points, BASIS_POINTS),
            rule.expires_after_days,
        )
        for rule in rules
        if amount_minor >= rule.threshold_minor
        and rule.valid_from <= on
        and (rule.valid_until is None or on < rule.valid_until)
    ]
    return max(granted, key=lambda bonus: bonus.amount_minor, default=None)
