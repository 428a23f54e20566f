"""The ledger: reasons, the house's accounts, which postings a reason makes, the chain's digest."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why money moved; each has one template of postings."""

    TOP_UP = "top_up"
    BONUS = "bonus"
    CHARGE = "charge"
    CORRECTION = "correction"
    OPENING_DEBT = "opening_debt"
    OPENING_ADVANCE = "opening_advance"
    EXPIRY = "expiry"
    REVERSAL = "reversal"


WALLET: Final = "wallet"
"""Stands for the ledger account of the wallet that an entry moves."""

BONUS_EXPENSE: Final = "bonus_expense"
OPENING: Final = "opening"


@dataclass(frozen=True, slots=True)
class Posting:
    """One debit, one credit, one amount; accounts by their codes."""

    debit: str
    credit: str
    amount_minor: int

    def __post_init__(self) -> None:
        if self.amount_minor <= 0 or self.debit == self.credit:
            raise ValueError(f"a posting moves something between two accounts: {self!r}")


def to_wallet(source: str, amount_minor: int) -> Posting:
    """Return the posting by which a wallet gains; its ledger account is what the house owes it."""
    return Posting(debit=source, credit=WALLET, amount_minor=amount_minor)


def from_wallet(target: str, amount_minor: int) -> Posting:
    """Return the posting by which a wallet pays."""
    return Posting(debit=WALLET, credit=target, amount_minor=amount_minor)


def signed(account: str, amount_minor: int) -> Posting:
    """Return the posting that moves a signed amount: positive is paid by the wallet."""
    if amount_minor > 0:
        return from_wallet(account, amount_minor)
    return to_wallet(account, -amount_minor)


def cash(tender: str) -> str:
    """Return the code of the account that money of a tender comes in by."""
    return f"cash:{tender}"


def revenue(service: str) -> str:
    """Return the code of the account that a service's charges go to."""
    return f"revenue:{service}"


def entry_digest(
    previous_digest: str,
    fields: Sequence[object],
    postings: Sequence[Posting],
    draws: Sequence[tuple[int, int]],
) -> str:
    """Return the digest of an entry: over the one before, its fields, its postings and its draws.

    `draws` are pairs of a lot's number in the wallet and an amount. Nothing in it is an id of the
    database, so the same history has the same digests wherever it is kept.
    """
    parts = [previous_digest, *(str(field) for field in fields)]
    parts.extend(f"{p.debit}>{p.credit}={p.amount_minor}" for p in postings)
    parts.extend(f"lot{number}:{amount}" for number, amount in draws)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def instant_key(instant: datetime) -> str:
    """Return an instant as the digests take it: in UTC, to the microsecond."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")
