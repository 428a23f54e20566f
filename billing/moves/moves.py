"""Moves as values: who leaves on a day, who comes, and what becomes of what is left."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from billing.models import AccountMoveKind, Measurement, Settlement
from kilokassa.core.digest import canonical_json
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.text import mark

TEXT_MAX: Final = 200


class Rest(StrEnum):
    """What becomes of money that is left when an account ends; a debt stays a debt."""

    KEEP = "keep"
    """It waits in the wallet for its owner."""
    REFUND = "refund"
    TRANSFER = "transfer"
    """To another account of the same payer."""


REST_WORDS: Final[Mapping[Rest, str]] = {
    Rest.KEEP: mark("stays in the wallet"),
    Rest.REFUND: mark("is given back"),
    Rest.TRANSFER: mark("goes to another account of the payer"),
}

KIND_WORDS: Final[Mapping[AccountMoveKind, str]] = {
    AccountMoveKind.MOVE_OUT: mark("moved out"),
    AccountMoveKind.MOVE_IN: mark("moved in"),
    AccountMoveKind.PAYER_CHANGE: mark("another payer"),
}


class AlreadyEnded(DomainError):
    """The account has ended already."""

    code = "account_ended"
    template = mark("Account %(account)s ended on %(day)s already.")


class PremisesTaken(DomainError):
    """Somebody else's account is open at the premises."""

    code = "premises_taken"
    template = mark("Account %(account)s is open at these premises: let it end first.")


class NumberTaken(DomainError):
    """An account with this number exists."""

    code = "account_number_taken"
    template = mark("Account %(account)s exists already.")


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who pays from the day on; what is empty is as the former account had it."""

    number: str
    payer_name: str
    persons: int
    plan_code: str = ""
    settlement: Settlement | None = None
    measurement: Measurement | None = None
    email: str = ""
    phone: str = ""
    language: str = "ru"


@dataclass(frozen=True, slots=True)
class MoveOrder:
    """A move on a local day: the first on which the former account is not charged any more."""

    kind: AccountMoveKind
    on: date
    idempotency_key: str
    account_number: str = ""
    """Of the account that ends; empty where only one begins."""
    newcomer: Newcomer | None = None
    building_code: str = ""
    premises_number: str = ""
    """Where nobody leaves: the place that is moved into."""
    rest: Rest = Rest.KEEP
    refund_to: str = ""
    requisites: str = ""
    transfer_to: str = ""
    """Number of the account that what is left goes to."""
    note: str = ""

    def __post_init__(self) -> None:
        if (self.kind is AccountMoveKind.MOVE_IN) == bool(self.account_number):
            raise ValueError(f"an account ends unless somebody only moves in: {self!r}")
        if (self.kind is AccountMoveKind.MOVE_OUT) == (self.newcomer is not None):
            raise ValueError(f"somebody comes unless one only moves out: {self!r}")

    @property
    def text(self) -> str:
        """All that is asked for, as canonical JSON: the same request has the same text."""
        newcomer = self.newcomer
        return canonical_json(
            {
                "kind": str(self.kind),
                "on": self.on.isoformat(),
                "account": self.account_number,
                "newcomer": None
                if newcomer is None
                else {
                    "number": newcomer.number,
                    "payer": newcomer.payer_name,
                    "persons": newcomer.persons,
                    "plan": newcomer.plan_code,
                    "settlement": str(newcomer.settlement or ""),
                    "measurement": str(newcomer.measurement or ""),
                    "email": newcomer.email,
                    "phone": newcomer.phone,
                    "language": newcomer.language,
                },
                "place": [self.building_code, self.premises_number],
                "rest": str(self.rest),
                "refund_to": self.refund_to,
                "requisites": self.requisites,
                "transfer_to": self.transfer_to,
                "note": self.note,
            }
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What becomes of what is left, as it was asked for."""

    rest: Rest
    refund_to: str = ""
    requisites: str = ""
    transfer_to: str = ""

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> "Wish":
        """Return the wish of a stored request."""
        return cls(
            Rest(request["rest"]),
            request["refund_to"],
            request["requisites"],
            request["transfer_to"],
        )


@dataclass(frozen=True, slots=True)
class Move:
    """A move that was done."""

    id: int
    kind: AccountMoveKind
    on: date
    account_id: AccountId | None
    account_number: str
    next_account_id: AccountId | None
    next_number: str
    payer_name: str
    next_payer: str
    address: str
    wish: Wish
    note: str
    actor: str
    recorded_at: datetime
