"""The balance of a wallet: a tuple, never one number."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """What is posted, and what of it may be spent; always given in this order."""

    posted_minor: int
    """What living lots hold, less what is uncovered."""
    held_minor: int
    spendable_minor: int
    """What living lots hold."""
    uncovered_minor: int
    """What is owed: what was used and no lot could pay, and what was owed before the wallet."""
    bonus_minor: int
    """Of the spendable amount, what bonus lots hold."""
    rated_minor: int = 0
    """Rated since, not yet posted."""
    known_until: datetime | None = None
    """Up to when readings are known."""
    estimated_minor: int = 0
    """What the time since the last reading is guessed to have cost."""
    credit_minor: int = 0
    """Of the spendable amount, what is left of an emergency credit."""
    credit_used_minor: int = 0
    """What of the credit was used: the next money that comes in fills it up first."""
    restricted_minor: int = 0
    """Of the spendable amount, what pays one service alone."""
    opening_debt_minor: int = 0
    """Of what is uncovered, what was owed before the wallet; living lots may stand beside it."""

    def __post_init__(self) -> None:
        if self.posted_minor != self.spendable_minor - self.uncovered_minor:
            raise ValueError(f"a balance adds up: {self!r}")

    @property
    def new_debt_minor(self) -> int:
        """What was used and no lot could pay: it takes the whole of what comes in."""
        return self.uncovered_minor - self.opening_debt_minor

    @property
    def without_credit_minor(self) -> int:
        """What is posted, less all that was lent: how the account would stand without credit."""
        return self.posted_minor - self.credit_minor - self.credit_used_minor

    @property
    def available_minor(self) -> int:
        """Posted less held, rated and estimated: what runway counts with.

        A debt from before the wallet is repaid by shares of top-ups: it takes nothing of what
        there is to live on.
        """
        to_live_on_minor = self.posted_minor + self.opening_debt_minor
        return to_live_on_minor - self.held_minor - self.rated_minor - self.estimated_minor
