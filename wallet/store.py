"""Queries of wallets; loading them under their lock and writing what became of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Table, bindparam, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from kilokassa.core.ids import AccountId, JournalEntryId, LotId, WalletId
from kilokassa.core.scope import Scope
from kilokassa.db.rights import account_in_scope
from wallet.book import Wallet
from wallet.ledger import WALLET, Reason
from wallet.lots import Lot, spendable_minor
from wallet.models import (
    DrawRow,
    JournalEntryRow,
    LedgerAccountRow,
    LotRow,
    PostingRow,
    WalletRow,
)

T = TypeVar("T")

IDS_A_QUERY = 5_000

_WALLET: Table = WalletRow.__table__  # type: ignore[assignment]
_LEDGER: Table = LedgerAccountRow.__table__  # type: ignore[assignment]
_ENTRY: Table = JournalEntryRow.__table__  # type: ignore[assignment]
_POSTING: Table = PostingRow.__table__  # type: ignore[assignment]
_LOT: Table = LotRow.__table__  # type: ignore[assignment]
_DRAW: Table = DrawRow.__table__  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Balance:
    """A balance is never one number: what is posted, and what of it may be spent."""

    posted_minor: int
    """Lots less what is uncovered."""
    held_minor: int
    spendable_minor: int
    """What living lots hold."""
    uncovered_minor: int
    bonus_minor: int
    rated_minor: int = 0
    """Rated since, not yet posted."""
    known_until: datetime | None = None

    @property
    def available_minor(self) -> int:
        """Posted less held and rated: what runway counts with."""
        return self.posted_minor - self.held_minor - self.rated_minor


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal entry as a list of operations shows it."""

    id: JournalEntryId
    sequence: int
    reason: Reason
    amount_minor: int
    balance_after: int
    valid_at: datetime
    recorded_at: datetime
    book_month: int
    charge_month: int | None
    actor: str
    detail: str


@dataclass(frozen=True, slots=True)
class LotState:
    """A lot as a list shows it."""

    lot: Lot
    rule: str


@dataclass(frozen=True, slots=True)
class Written:
    """Which ids the new entries of a wallet got, in order."""

    entry_ids: tuple[JournalEntryId, ...]


def wallet_ids(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, WalletId]:
    """Return the wallets that exist, by account."""
    found: dict[AccountId, WalletId] = {}
    for ids in _slices(account_ids):
        query = select(_WALLET.c.account_id, _WALLET.c.id).where(_WALLET.c.account_id.in_(ids))
        for account_id, wallet_id in session.execute(query):
            found[AccountId(account_id)] = WalletId(wallet_id)
    return found


def lock_wallets(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, Wallet]:
    """Lock the wallets, low to high, and load them with the lots that still hold something."""
    wallets: dict[WalletId, Wallet] = {}
    for ids in _slices(sorted(account_ids)):
        query = (
            select(_WALLET)
            .where(_WALLET.c.account_id.in_(ids))
            .order_by(_WALLET.c.id)
            .with_for_update()
        )
        for row in session.execute(query):
            wallets[WalletId(row.id)] = Wallet(
                id=WalletId(row.id),
                account_id=AccountId(row.account_id),
                uncovered_minor=row.uncovered_minor,
                lots=(),
                lot_count=0,
                entry_count=row.entry_count,
                head_digest=row.head_digest,
                closed_through_month=row.closed_through_month,
            )
    for part in _slices(list(wallets)):
        counts = select(_LOT.c.wallet_id, func.max(_LOT.c.number)).where(_LOT.c.wallet_id.in_(part))
        for wallet_id, number in session.execute(counts.group_by(_LOT.c.wallet_id)):
            wallets[WalletId(wallet_id)].lot_count = number
        living = select(_LOT).where(_LOT.c.wallet_id.in_(part), _LOT.c.remaining_minor > 0)
        lots: dict[WalletId, list[Lot]] = {}
        for row in session.execute(living.order_by(_LOT.c.wallet_id, _LOT.c.number)):
            lots.setdefault(WalletId(row.wallet_id), []).append(_lot(row))
        for wallet_id, held in lots.items():
            wallets[wallet_id].lots = tuple(held)
    return {wallet.account_id: wallet for wallet in wallets.values()}


def load_paid(session: Session, wallet: Wallet) -> list[tuple[LotId, int]]:
    """Load the lots that have paid something, with what they paid net, the latest payer first.

    Lots that are spent were not loaded with the wallet; they are added to it here.
    """
    latest = func.max(_DRAW.c.id).label("latest")
    query = (
        select(_DRAW.c.lot_id, func.sum(_DRAW.c.amount_minor).label("net"), latest)
        .join(_LOT, _LOT.c.id == _DRAW.c.lot_id)
        .where(_LOT.c.wallet_id == wallet.id)
        .group_by(_DRAW.c.lot_id)
        .order_by(latest.desc())
    )
    paid = [(LotId(row.lot_id), int(row.net)) for row in session.execute(query) if row.net > 0]
    known = {lot.id for lot in wallet.lots}
    missing = [lot_id for lot_id, _ in paid if lot_id not in known]
    if missing:
        rows = session.execute(select(_LOT).where(_LOT.c.id.in_(missing)))
        wallet.lots = (*wallet.lots, *(_lot(row) for row in rows))
    return paid


def answers(
    session: Session, actor: str, keys: Sequence[str]
) -> dict[str, tuple[JournalEntryId, str, str]]:
    """Return (entry, request digest, detail) of the keys that this actor used before."""
    found: dict[str, tuple[JournalEntryId, str, str]] = {}
    for part in _slices(keys):
        query = select(
            _ENTRY.c.idempotency_key, _ENTRY.c.id, _ENTRY.c.request_digest, _ENTRY.c.detail
        ).where(_ENTRY.c.actor == actor, _ENTRY.c.idempotency_key.in_(part))
        for key, entry_id, digest, detail in session.execute(query):
            found[key] = (JournalEntryId(entry_id), digest, detail)
    return found


def ledger_ids(session: Session, codes: Sequence[str]) -> dict[str, int]:
    """Return the ids of ledger accounts by code; the house's own are made when first used."""
    wanted = sorted(set(codes))
    found = _ledger_ids(session, wanted)
    missing = [code for code in wanted if code not in found]
    if missing:
        connection = session.connection()
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(LedgerAccountRow).on_conflict_do_nothing()
        connection.execute(statement, [{"code": code, "currency": "RUB"} for code in missing])
        found = _ledger_ids(session, wanted)
    return found


def write(session: Session, wallets: Sequence[Wallet]) -> dict[AccountId, Written]:
    """Write what became of wallets: a handful of statements, however many there are."""
    changed = [wallet for wallet in wallets if wallet.entries]
    connection = session.connection()
    entry_total = sum(len(wallet.entries) for wallet in changed)
    entry_ids = iter(_reserve(session, "journal_entry", entry_total))
    lot_ids = iter(_reserve(session, "lot", sum(len(wallet.new_lots) for wallet in changed)))
    house = {
        code
        for wallet in changed
        for entry in wallet.entries
        for posting in entry.postings
        for code in (posting.debit, posting.credit)
        if code != WALLET
    }
    own = {wallet.id: f"{WALLET}:{wallet.account_id}" for wallet in changed}
    ledgers = ledger_ids(session, [*house, *own.values()])
    entries: list[dict[str, Any]] = []
    postings: list[dict[str, Any]] = []
    lots: list[dict[str, Any]] = []
    draws: list[dict[str, Any]] = []
    spent: dict[LotId, int] = {}
    written: dict[AccountId, Written] = {}
    for wallet in changed:
        ids = [next(entry_ids) for _ in wallet.entries]
        written[wallet.account_id] = Written(tuple(JournalEntryId(i) for i in ids))
        fresh = {new.lot.id: LotId(next(lot_ids)) for new in wallet.new_lots}
        remaining = {lot.id: lot.remaining_minor for lot in wallet.lots}
        for new in wallet.new_lots:
            lot = new.lot
            lots.append(
                {
                    "id": fresh[lot.id],
                    "wallet_id": wallet.id,
                    "number": lot.number,
                    "kind": lot.kind,
                    "spend_order": lot.spend_order,
                    "amount_minor": lot.amount_minor,
                    "remaining_minor": remaining[lot.id],
                    "expires_at": lot.expires_at,
                    "rule": new.rule,
                    "entry_id": ids[new.entry],
                    "came_at": lot.came_at,
                }
            )
        wallet_ledger = ledgers[own[wallet.id]]
        for entry_id, entry in zip(ids, wallet.entries, strict=True):
            facts = entry.facts
            entries.append(
                {
                    "id": entry_id,
                    "wallet_id": wallet.id,
                    "sequence": entry.sequence,
                    "reason": facts.reason,
                    "amount_minor": entry.amount_minor,
                    "balance_before": entry.balance_before,
                    "balance_after": entry.balance_after,
                    "valid_at": facts.valid_at,
                    "recorded_at": facts.recorded_at,
                    "book_month": entry.book_month,
                    "charge_month": facts.charge_month,
                    "actor": facts.actor,
                    "idempotency_key": facts.idempotency_key,
                    "request_digest": facts.request_digest,
                    "detail": facts.detail,
                    "previous_digest": entry.previous_digest,
                    "digest": entry.digest,
                }
            )
            postings.extend(
                {
                    "entry_id": entry_id,
                    "debit_id": wallet_ledger if p.debit == WALLET else ledgers[p.debit],
                    "credit_id": wallet_ledger if p.credit == WALLET else ledgers[p.credit],
                    "amount_minor": p.amount_minor,
                }
                for p in entry.postings
            )
            for draw in entry.draws:
                lot_id = fresh.get(draw.lot_id, draw.lot_id)
                draws.append(
                    {"entry_id": entry_id, "lot_id": lot_id, "amount_minor": draw.amount_minor}
                )
                if draw.lot_id not in fresh:
                    spent[lot_id] = remaining[draw.lot_id]
    for table, rows in ((_ENTRY, entries), (_POSTING, postings), (_LOT, lots), (_DRAW, draws)):
        if rows:
            connection.execute(insert(table), rows)
    if spent:
        connection.execute(
            update(_LOT)
            .where(_LOT.c.id == bindparam("key"))
            .values(remaining_minor=bindparam("left")),
            [{"key": lot_id, "left": left} for lot_id, left in spent.items()],
        )
    if changed:
        connection.execute(
            update(_WALLET)
            .where(_WALLET.c.id == bindparam("key"))
            .values(
                lots_minor=bindparam("lots"),
                uncovered_minor=bindparam("uncovered"),
                entry_count=bindparam("entries"),
                head_digest=bindparam("head"),
            ),
            [
                {
                    "key": wallet.id,
                    "lots": wallet.lots_minor,
                    "uncovered": wallet.uncovered_minor,
                    "entries": wallet.entry_count,
                    "head": wallet.head_digest,
                }
                for wallet in changed
            ],
        )
    return written


def close_through(session: Session, wallets: Sequence[Wallet], month: int) -> None:
    """Mark the month as closed for the wallets: its statement takes no more entries."""
    for part in _slices([wallet.id for wallet in wallets]):
        session.connection().execute(
            update(_WALLET).where(_WALLET.c.id.in_(part)).values(closed_through_month=month)
        )


def entries_from(
    session: Session, ids: Sequence[WalletId], book_month: int
) -> dict[WalletId, list[tuple[int, Reason, datetime, int]]]:
    """Return (book month, reason, valid at, amount) of entries in `book_month` and later."""
    found: dict[WalletId, list[tuple[int, Reason, datetime, int]]] = {}
    for part in _slices(ids):
        query = (
            select(
                _ENTRY.c.wallet_id,
                _ENTRY.c.book_month,
                _ENTRY.c.reason,
                _ENTRY.c.valid_at,
                _ENTRY.c.amount_minor,
            )
            .where(_ENTRY.c.wallet_id.in_(part), _ENTRY.c.book_month >= book_month)
            .order_by(_ENTRY.c.wallet_id, _ENTRY.c.sequence)
        )
        for wallet_id, month, reason, valid_at, amount in session.execute(query):
            found.setdefault(WalletId(wallet_id), []).append((month, reason, valid_at, amount))
    return found


def balances(
    session: Session, account_ids: Sequence[AccountId], at: datetime
) -> dict[AccountId, Balance]:
    """Return the balances of accounts; lots that expired by `at` no longer count."""
    sums: dict[AccountId, Balance] = {}
    for ids in _slices(account_ids):
        query = select(_WALLET).where(_WALLET.c.account_id.in_(ids))
        rows = {WalletId(row.id): row for row in session.execute(query)}
        lots: dict[WalletId, list[Lot]] = {}
        living = select(_LOT).where(_LOT.c.wallet_id.in_(list(rows)), _LOT.c.remaining_minor > 0)
        for row in session.execute(living):
            lots.setdefault(WalletId(row.wallet_id), []).append(_lot(row))
        for wallet_id, row in rows.items():
            held = lots.get(wallet_id, [])
            spendable = spendable_minor(held, at)
            sums[AccountId(row.account_id)] = Balance(
                posted_minor=spendable - row.uncovered_minor,
                held_minor=0,
                spendable_minor=spendable,
                uncovered_minor=row.uncovered_minor,
                bonus_minor=spendable_minor([lot for lot in held if lot.kind == "bonus"], at),
            )
    return sums


def entries_of(
    session: Session,
    scope: Scope,
    account_id: AccountId,
    *,
    limit: int = 50,
    before_sequence: int | None = None,
) -> tuple[Entry, ...]:
    """Return the latest entries of an account in reach, newest first."""
    query = (
        select(_ENTRY)
        .join(_WALLET, _WALLET.c.id == _ENTRY.c.wallet_id)
        .where(_WALLET.c.account_id == account_id, account_in_scope(_WALLET.c.account_id, scope))
        .order_by(_ENTRY.c.sequence.desc())
        .limit(limit)
    )
    if before_sequence is not None:
        query = query.where(_ENTRY.c.sequence < before_sequence)
    return tuple(
        Entry(
            id=JournalEntryId(row.id),
            sequence=row.sequence,
            reason=row.reason,
            amount_minor=row.amount_minor,
            balance_after=row.balance_after,
            valid_at=row.valid_at,
            recorded_at=row.recorded_at,
            book_month=row.book_month,
            charge_month=row.charge_month,
            actor=row.actor,
            detail=row.detail,
        )
        for row in session.execute(query)
    )


def lots_of(session: Session, scope: Scope, account_id: AccountId) -> tuple[LotState, ...]:
    """Return the lots of an account in reach that still hold something."""
    query = (
        select(_LOT)
        .join(_WALLET, _WALLET.c.id == _LOT.c.wallet_id)
        .where(
            _WALLET.c.account_id == account_id,
            account_in_scope(_WALLET.c.account_id, scope),
            _LOT.c.remaining_minor > 0,
        )
        .order_by(_LOT.c.spend_order, _LOT.c.number)
    )
    return tuple(LotState(_lot(row), row.rule) for row in session.execute(query))


def debtors(session: Session, scope: Scope, limit: int = 100) -> tuple[tuple[AccountId, int], ...]:
    """Return the accounts in reach that owe, the largest debt first."""
    query = (
        select(_WALLET.c.account_id, _WALLET.c.uncovered_minor)
        .where(_WALLET.c.uncovered_minor > 0, account_in_scope(_WALLET.c.account_id, scope))
        .order_by(_WALLET.c.uncovered_minor.desc(), _WALLET.c.account_id)
        .limit(limit)
    )
    return tuple((AccountId(account_id), owed) for account_id, owed in session.execute(query))


def closings(
    session: Session, account_ids: Sequence[AccountId], month: int
) -> dict[AccountId, int]:
    """Return how the statements of `month` closed: what all entries booked up to it come to."""
    found: dict[AccountId, int] = {}
    for ids in _slices(account_ids):
        query = (
            select(_WALLET.c.account_id, func.sum(_ENTRY.c.amount_minor))
            .join(_ENTRY, _ENTRY.c.wallet_id == _WALLET.c.id)
            .where(_WALLET.c.account_id.in_(ids), _ENTRY.c.book_month <= month)
            .group_by(_WALLET.c.account_id)
        )
        found.update({AccountId(a): int(net) for a, net in session.execute(query)})
    return found


def open_in(session: Session, account_ids: Sequence[AccountId], month: int) -> frozenset[AccountId]:
    """Return those of the accounts whose wallet has not closed the month yet."""
    found: set[AccountId] = set()
    for ids in _slices(account_ids):
        query = select(_WALLET.c.account_id).where(
            _WALLET.c.account_id.in_(ids),
            (_WALLET.c.closed_through_month.is_(None)) | (_WALLET.c.closed_through_month < month),
        )
        found.update(AccountId(account_id) for account_id in session.scalars(query))
    return frozenset(found)


def _ledger_ids(session: Session, codes: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in _slices(codes):
        query = select(_LEDGER.c.code, _LEDGER.c.id).where(_LEDGER.c.code.in_(part))
        found.update({code: int(row_id) for code, row_id in session.execute(query)})
    return found


def _reserve(session: Session, table: str, count: int) -> list[int]:
    """Reserve ids for a bulk insert: from the sequence, or above the highest under the lock."""
    if not count:
        return []
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        query = text(
            "SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)"
        )
        return sorted(connection.execute(query, {"table": table, "count": count}).scalars())
    highest = connection.execute(text(f"SELECT max(id) FROM {table}")).scalar() or 0  # noqa: S608 - a name of ours
    return list(range(highest + 1, highest + 1 + count))


def _lot(row: Any) -> Lot:  # noqa: ANN401 - a row of the lot table
    return Lot(
        id=LotId(row.id),
        number=row.number,
        kind=row.kind,
        spend_order=row.spend_order,
        amount_minor=row.amount_minor,
        remaining_minor=row.remaining_minor,
        came_at=row.came_at,
        expires_at=row.expires_at,
    )


def _slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), IDS_A_QUERY):
        yield items[start : start + IDS_A_QUERY]
