"""What a top-up becomes: cover for what is owed, own money, and a bonus by a named rule."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from wallet.bonuses.rules import Rule, SizeOfTopUp, TopUpPaid, evaluate

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
        self.as_rule()

    def as_rule(self) -> Rule:
        """Return it among the rules of every kind; what is in settings has no versions."""
        return Rule(
            name=self.name,
            version=1,
            terms=SizeOfTopUp(self.threshold_minor, self.basis_points),
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            expires_after_days=self.expires_after_days,
        )


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
    paid = TopUpPaid(AccountId(0), on, amount_minor)
    grants = evaluate([paid], [rule.as_rule() for rule in rules]).grants
    return next((Bonus(g.rule, g.amount_minor, g.expires_after_days) for g in grants), None)
