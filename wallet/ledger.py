"""The ledger: reasons, the house's accounts, which postings a reason makes, the chain's digest."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

from wallet.lots import LotKind


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
    SET_ASIDE = "set_aside"
    """From the balance to a reserve."""
    RESERVE_RETURN = "reserve_return"
    RESERVE_BONUS = "reserve_bonus"
    CLAW_BACK = "claw_back"
    """An unearned bonus, when a reserve was broken early."""
    COMPENSATION = "compensation"
    EMERGENCY_CREDIT = "emergency_credit"
    CREDIT_WITHDRAWN = "credit_withdrawn"
    LATE_FEE = "late_fee"
    INTEREST = "interest"
    """Of an instalment agreement."""
    REFUND = "refund"
    TRANSFER_OUT = "transfer_out"
    TRANSFER_IN = "transfer_in"


WALLET: Final = "wallet"
"""Stands for the ledger account of the wallet that an entry moves."""

BONUS_EXPENSE: Final = "bonus_expense"
OPENING: Final = "opening"
OPENING_DEBT: Final = "opening_debt"
"""Under this name an entry says by how much it changed what is owed from before the wallet."""
RESERVES: Final = "reserves"
"""What residents have set aside: the house owes it as it owes what is in wallets."""
COMPENSATION_EXPENSE: Final = "compensation_expense"
EMERGENCY_CREDITS: Final = "emergency_credits"
LATE_FEES: Final = "late_fees"
INTEREST: Final = "interest"
TRANSFERS: Final = "transfers"
"""Money between two accounts of one payer; it comes to nothing once both are booked."""


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


def expense_of(kind: LotKind) -> str:
    """Return the code of the house's account that gives a lot which may expire."""
    return COMPENSATION_EXPENSE if kind is LotKind.COMPENSATION else BONUS_EXPENSE


def entry_digest(
    previous_digest: str,
    fields: Iterable[object],
    postings: Iterable[tuple[str, str, int]],
    draws: Iterable[tuple[int, int, str]],
    lots: Iterable[str],
) -> str:
    """Return the digest of an entry: over the one before, and over all that belongs to it.

    `postings` are (debit, credit, amount), `draws` (number of the lot in the wallet, amount,
    service that it paid or nothing), in order of the numbers, and `lots` the `lot_key` of the lots
    it brought. Nothing in it is an id of the database, so the same history has the same digests
    wherever it is kept.
    """
    parts = [previous_digest, *map(str, fields)]
    parts += [f"{debit}>{credit}={amount}" for debit, credit, amount in postings]
    parts += [
        f"lot{number}:{amount}:{service}" if service else f"lot{number}:{amount}"
        for number, amount, service in draws
    ]
    parts += lots
    # As JSON, a field cannot run into its neighbour whatever it holds.
    return hashlib.sha256(_as_json(parts).encode()).hexdigest()


def lot_key(
    number: int,
    kind: str,
    spend_order: int,
    amount_minor: int,
    came_at: datetime,
    expires_at: datetime | None,
    rule: str,
    service: str = "",
    payer: str = "",
) -> str:
    """Return a new lot as the digest of its entry takes it."""
    ends = "never" if expires_at is None else instant_key(expires_at)
    came = instant_key(came_at)
    # Before the rule, which may hold any text: so nothing that it holds can pass for them.
    bound = f"!{_as_json([service, payer])}" if service or payer else ""
    return f"new{number}:{kind}/{spend_order}={amount_minor}@{came}..{ends}{bound}|{rule}"


def seal_part(account_id: int, head: str) -> bytes:
    """Return what a daily seal digests of one wallet."""
    return f"{account_id}:{head}".encode()


def instant_key(instant: datetime) -> str:
    """Return an instant as the digests take it: in UTC, to the microsecond.

    >>> instant_key(datetime(2026, 11, 5, 3, tzinfo=UTC))
    '2026-11-05T03:00:00.000000+00:00'
    """
    return _utc_key(instant.astimezone(UTC))


@lru_cache(maxsize=256)
def _utc_key(instant: datetime) -> str:
    # Entries that are written together mostly have one instant, which takes a while to say.
    return instant.isoformat(timespec="microseconds")


_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
