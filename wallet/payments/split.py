"""Split of a top-up: what of it goes to debt, to the reserve and to the balance, before paying.

What was used and not covered takes the whole top-up; what was owed before the wallet was opened
takes a capped share, so that a resident who pays something always sees a part of it to live on.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kilokassa.core.text import mark
from wallet.bonuses.rules import BASIS_POINTS


class Part(StrEnum):
    """Where a part of a top-up goes, in the order in which it is served."""

    NEW_DEBT = "new_debt"
    OPENING_DEBT = "opening_debt"
    RESERVE = "reserve"
    BALANCE = "balance"


PART_WORDS: Final = {
    Part.NEW_DEBT: mark("To what was used and not paid"),
    Part.OPENING_DEBT: mark("To the debt from before the wallet"),
    Part.RESERVE: mark("To the reserve"),
    Part.BALANCE: mark("To the balance"),
}


@dataclass(frozen=True, slots=True)
class Owed:
    """What an account owes, and the largest share of a top-up that old debt may take."""

    new_debt_minor: int = 0
    """Used and not covered since the wallet was opened."""
    opening_debt_minor: int = 0
    opening_share: int = 0
    """Of the whole top-up, in basis points; rounded down, for the resident."""

    def __post_init__(self) -> None:
        if self.new_debt_minor < 0 or self.opening_debt_minor < 0:
            raise ValueError(f"a debt is not below zero: {self!r}")
        if not 0 <= self.opening_share <= BASIS_POINTS:
            raise ValueError(f"a share is from nothing to the whole: {self!r}")


@dataclass(frozen=True, slots=True)
class ReserveWish:
    """What the resident wants set aside of what debt leaves: an amount, or a share rounded down."""

    amount_minor: int = 0
    share: int = 0
    """In basis points."""

    def __post_init__(self) -> None:
        if self.amount_minor < 0 or not 0 <= self.share <= BASIS_POINTS:
            raise ValueError(f"what is set aside is a part of something: {self!r}")
        if self.amount_minor and self.share:
            raise ValueError(f"an amount or a share, not both: {self!r}")


@dataclass(frozen=True, slots=True)
class Split:
    """A top-up in its four parts, and the debt that stays."""

    amount_minor: int
    to_new_debt_minor: int
    to_opening_debt_minor: int
    to_reserve_minor: int
    to_balance_minor: int
    new_debt_left_minor: int
    opening_debt_left_minor: int

    def __post_init__(self) -> None:
        parts = [minor for _, minor in self.parts]
        if sum(parts) != self.amount_minor or min(parts) < 0:
            raise ValueError(f"the parts are the whole, none below zero: {self!r}")

    @property
    def parts(self) -> tuple[tuple[Part, int], ...]:
        """The parts in the order in which they are served, as a page shows them."""
        return (
            (Part.NEW_DEBT, self.to_new_debt_minor),
            (Part.OPENING_DEBT, self.to_opening_debt_minor),
            (Part.RESERVE, self.to_reserve_minor),
            (Part.BALANCE, self.to_balance_minor),
        )


NOTHING_ASIDE: Final = ReserveWish()


def split_top_up(amount_minor: int, owed: Owed, wish: ReserveWish = NOTHING_ASIDE) -> Split:
    """Return where each kopeck of a top-up goes.

    Nothing is set aside while what was used is unpaid; a wish that the rest cannot fill takes the
    rest.

    >>> owed = Owed(new_debt_minor=300_00, opening_debt_minor=900_00, opening_share=2_000)
    >>> [minor for _, minor in split_top_up(1_000_00, owed, ReserveWish(100_00)).parts]
    [30000, 20000, 10000, 40000]
    """
    assert amount_minor > 0, amount_minor
    new_minor = min(amount_minor, owed.new_debt_minor)
    left_minor = amount_minor - new_minor
    capped_minor = amount_minor * owed.opening_share // BASIS_POINTS
    opening_minor = min(owed.opening_debt_minor, capped_minor, left_minor)
    left_minor -= opening_minor
    wished_minor = wish.amount_minor or left_minor * wish.share // BASIS_POINTS
    reserve_minor = min(wished_minor, left_minor)
    return Split(
        amount_minor,
        to_new_debt_minor=new_minor,
        to_opening_debt_minor=opening_minor,
        to_reserve_minor=reserve_minor,
        to_balance_minor=left_minor - reserve_minor,
        new_debt_left_minor=owed.new_debt_minor - new_minor,
        opening_debt_left_minor=owed.opening_debt_minor - opening_minor,
    )
