"""A statement: what was there, what moved and what is there now; it adds up or cannot be built."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Self


class MovementKind(StrEnum):
    """Why the balance of an account moved."""

    CHARGE = "charge"
    CORRECTION = "correction"
    TOP_UP = "top_up"
    BONUS = "bonus"
    EXPIRY = "expiry"
    REVERSAL = "reversal"
    REFUND = "refund"
    TRANSFER = "transfer"
    """Money between two accounts of one payer."""
    SET_ASIDE = "set_aside"
    RESERVE_RETURN = "reserve_return"
    CLAW_BACK = "claw_back"
    COMPENSATION = "compensation"
    CREDIT = "credit"
    """Emergency credit that was granted, or withdrawn."""
    LATE_FEE = "late_fee"
    INTEREST = "interest"
    ADJUSTMENT = "adjustment"
    BROUGHT_FORWARD = "brought_forward"


CHARGING = frozenset({MovementKind.CHARGE, MovementKind.CORRECTION})
"""The movements that the charge lines of a document explain."""


@dataclass(frozen=True, slots=True)
class Balance:
    """How an account stands: a debt or an advance, two names and never one signed number."""

    debt_minor: int = 0
    advance_minor: int = 0

    def __post_init__(self) -> None:
        if (
            self.debt_minor < 0
            or self.advance_minor < 0
            or (self.debt_minor and self.advance_minor)
        ):
            raise ValueError(f"a balance is a debt, or an advance, or nothing: {self!r}")

    @classmethod
    def of(cls, net_minor: int) -> Self:
        """Return the balance of a ledger whose net is positive where the customer has money.

        >>> Balance.of(-1050)
        Balance(debt_minor=1050, advance_minor=0)
        """
        return cls(debt_minor=-net_minor) if net_minor < 0 else cls(advance_minor=net_minor)

    @property
    def net_minor(self) -> int:
        """The advance less the debt."""
        return self.advance_minor - self.debt_minor


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement, or all of one kind and day: positive where the customer gains."""

    kind: MovementKind
    amount_minor: int
    on: date | None = None
    """The local day, or None for a movement that stands for the whole period."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Opening and movements that come to the closing balance, which another source gave.

    >>> Statement(
    ...     Balance(debt_minor=100),
    ...     (Movement(MovementKind.TOP_UP, 250),),
    ...     Balance(advance_minor=150),
    ... ).moved_minor
    250
    """

    opening: Balance
    movements: tuple[Movement, ...]
    closing: Balance

    def __post_init__(self) -> None:
        if self.opening.net_minor + self.moved_minor != self.closing.net_minor:
            raise ValueError(f"a statement must add up: {self!r}")

    @property
    def moved_minor(self) -> int:
        """What all movements come to."""
        return sum([movement.amount_minor for movement in self.movements])

    @property
    def charged_minor(self) -> int:
        """What was charged, corrections included; negative where corrections gave more back."""
        return -sum([m.amount_minor for m in self.movements if m.kind in CHARGING])

    @property
    def received_minor(self) -> int:
        """What came in and went out beside the charges."""
        return self.moved_minor + self.charged_minor
