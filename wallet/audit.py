"""Auditing a wallet: its chain, its balances and its lots computed anew from what is stored.

Pure: rows go in, faults come out. Nothing of what is stored is trusted, so that a fault is a value
and never an exception, whatever the rows hold.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from kilokassa.core.ids import AccountId
from kilokassa.core.text import mark
from wallet.ledger import OPENING_DEBT, WALLET, entry_digest, instant_key, lot_key


@dataclass(frozen=True, slots=True)
class LedgerFault:
    """Something that `verify` found wrong."""

    account_id: AccountId | None
    problem: str
    """A message of the catalogue."""
    expected: str
    found: str
    sequence: int | None = None
    """The number of the entry in its wallet, where it is one entry that is wrong."""


class StoredWallet(NamedTuple):
    """A wallet as it rests."""

    id: int
    account_id: AccountId
    lots_minor: int
    uncovered_minor: int
    entry_count: int
    head_digest: str
    lot_count: int
    credit_lot: int | None
    opening_debt_minor: int = 0


class StoredEntry(NamedTuple):
    """An entry as it rests."""

    id: int
    wallet_id: int
    sequence: int
    reason: str
    amount_minor: int
    balance_before: int
    balance_after: int
    valid_at: datetime
    recorded_at: datetime
    book_month: int
    charge_month: int | None
    actor: str
    idempotency_key: str
    request_digest: str
    detail: str
    previous_digest: str
    digest: str


class StoredLot(NamedTuple):
    """A lot as it rests."""

    id: int
    number: int
    kind: str
    spend_order: int
    amount_minor: int
    remaining_minor: int
    came_at: datetime
    expires_at: datetime | None
    rule: str
    service: str
    payer: str
    entry_id: int


Leg = tuple[str, str, int]
"""Debit, credit, amount; a wallet's own ledger account bears the code `wallet`."""

Drawn = tuple[int, int, str]
"""A lot's number in its wallet, 0 where it is another wallet's, an amount, what it paid."""


def audit_wallet(
    wallet: StoredWallet,
    entries: Iterable[StoredEntry],
    legs: Mapping[int, Sequence[Leg]],
    draws: Mapping[int, Sequence[Drawn]],
    lots: Sequence[StoredLot],
) -> Iterator[LedgerFault]:
    """Yield what is wrong with a wallet; `legs` and `draws` are by the ids of the entries.

    After a break in the chain, nothing that follows it can be trusted or compared.
    """
    account_id = wallet.account_id
    brought: dict[int, list[StoredLot]] = {}
    for lot in sorted(lots, key=lambda lot: -lot.number):
        brought.setdefault(lot.entry_id, []).append(lot)
    taken: dict[int, int] = {}
    head, balance_minor, uncovered_minor, count = "", 0, 0, 0
    opening_minor = 0
    for count, entry in enumerate(entries, start=1):
        moved, drawn = legs.get(entry.id, ()), sorted(draws.get(entry.id, ()))
        new = brought.get(entry.id, ())
        digest = _digest(head, account_id, count, entry, moved, drawn, new)
        if digest != entry.digest or entry.previous_digest != head or entry.sequence != count:
            problem = mark("The chain of entries is broken.")
            yield LedgerFault(account_id, problem, digest, entry.digest, count)
            return
        net_minor = _net_minor(moved)
        if net_minor != entry.amount_minor:
            yield LedgerFault(
                account_id,
                mark("The postings of an entry do not come to its amount."),
                str(entry.amount_minor),
                str(net_minor),
                count,
            )
        if entry.balance_before != balance_minor:
            yield LedgerFault(
                account_id,
                mark("An entry does not begin with the balance that the one before left."),
                str(balance_minor),
                str(entry.balance_before),
                count,
            )
        for number, drawn_minor, _ in drawn:
            taken[number] = taken.get(number, 0) + drawn_minor
        to_lots_minor = sum([lot.amount_minor for lot in new]) - sum(
            [minor for _, minor, _ in drawn]
        )
        uncovered_minor += to_lots_minor - entry.amount_minor
        if uncovered_minor < 0:
            yield LedgerFault(
                account_id,
                mark("The draws of an entry and what is uncovered do not come to its amount."),
                "0",
                str(uncovered_minor),
                count,
            )
        opening_minor += _opening_change(entry.detail)
        if not 0 <= opening_minor <= max(0, uncovered_minor):
            yield LedgerFault(
                account_id,
                mark("What is owed from before the wallet is below zero or above the debt."),
                str(uncovered_minor),
                str(opening_minor),
                count,
            )
        head, balance_minor = digest, balance_minor + entry.amount_minor
    yield from _sums(wallet, head, count, balance_minor, uncovered_minor)
    if opening_minor != wallet.opening_debt_minor:
        yield LedgerFault(
            account_id,
            mark("What is owed from before the wallet is not what the entries left of it."),
            str(opening_minor),
            str(wallet.opening_debt_minor),
        )
    yield from _lots(wallet, lots, taken)


def _opening_change(detail: str) -> int:
    """Return by how much an entry says that it changed the opening debt; 0 where it says nothing.

    What is stored is not trusted: a detail that is no object of JSON says nothing.
    """
    if OPENING_DEBT not in detail:
        return 0
    try:
        told = json.loads(detail)
    except (ValueError, RecursionError):
        return 0
    found = told.get(OPENING_DEBT, 0) if isinstance(told, dict) else 0
    return found if type(found) is int else 0


def _digest(
    head: str,
    account_id: AccountId,
    number: int,
    entry: StoredEntry,
    moved: Sequence[Leg],
    drawn: Sequence[Drawn],
    new: Sequence[StoredLot],
) -> str:
    return entry_digest(
        head,
        (
            account_id,
            number,
            entry.reason,
            entry.amount_minor,
            entry.balance_before,
            entry.balance_after,
            instant_key(entry.valid_at),
            instant_key(entry.recorded_at),
            entry.book_month,
            entry.charge_month,
            entry.actor,
            entry.idempotency_key,
            entry.request_digest,
            entry.detail,
        ),
        moved,
        drawn,
        [
            lot_key(
                lot.number,
                lot.kind,
                lot.spend_order,
                lot.amount_minor,
                lot.came_at,
                lot.expires_at,
                lot.rule,
                lot.service,
                lot.payer,
            )
            for lot in new
        ],
    )


def _net_minor(moved: Sequence[Leg]) -> int:
    """Return what the postings add to the wallet: credits to its own account less debits."""
    return sum(
        [
            (credit == WALLET) * amount_minor - (debit == WALLET) * amount_minor
            for debit, credit, amount_minor in moved
        ]
    )


def _sums(
    wallet: StoredWallet, head: str, count: int, balance_minor: int, uncovered_minor: int
) -> Iterator[LedgerFault]:
    if head != wallet.head_digest or count != wallet.entry_count:
        yield LedgerFault(
            wallet.account_id,
            mark("The wallet's head is not that of its chain."),
            f"{count} {head}",
            f"{wallet.entry_count} {wallet.head_digest}",
        )
    if balance_minor != wallet.lots_minor - wallet.uncovered_minor:
        yield LedgerFault(
            wallet.account_id,
            mark("Lots less what is uncovered do not come to the ledger."),
            str(balance_minor),
            str(wallet.lots_minor - wallet.uncovered_minor),
        )
    if uncovered_minor != wallet.uncovered_minor:
        yield LedgerFault(
            wallet.account_id,
            mark("What is uncovered is not what the draws left uncovered."),
            str(uncovered_minor),
            str(wallet.uncovered_minor),
        )


def _lots(
    wallet: StoredWallet, lots: Sequence[StoredLot], taken: Mapping[int, int]
) -> Iterator[LedgerFault]:
    for lot in lots:
        left_minor = lot.amount_minor - taken.get(lot.number, 0)
        if left_minor != lot.remaining_minor:
            yield LedgerFault(
                wallet.account_id,
                mark("A lot does not hold what its draws left."),
                str(left_minor),
                str(lot.remaining_minor),
            )
    held_minor = sum([lot.remaining_minor for lot in lots])
    if held_minor != wallet.lots_minor:
        yield LedgerFault(
            wallet.account_id,
            mark("The lots do not come to the wallet."),
            str(held_minor),
            str(wallet.lots_minor),
        )
