"""Queries of wallets; loading them under their lock and writing what became of them."""

import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    Table,
    any_,
    bindparam,
    case,
    func,
    insert,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from kilokassa.core.ids import AccountId, JournalEntryId, LotId, WalletId
from kilokassa.core.scope import Scope
from kilokassa.db.bulk import KEY, write_rows
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from wallet.audit import Drawn, Leg, StoredEntry, StoredLot, StoredWallet
from wallet.balance import Balance as Balance  # pages name it beside the queries
from wallet.book import Held, Wallet
from wallet.ledger import WALLET, Reason
from wallet.lots import Lot, LotKind, Paid, spendable_minor
from wallet.models import (
    DrawRow,
    HoldRow,
    JournalEntryRow,
    LedgerAccountRow,
    LotRow,
    PostingRow,
    WalletRow,
)

ROWS_A_FETCH = 5_000

_ENTRY_COLUMNS = (
    "id",
    "wallet_id",
    "sequence",
    "reason",
    "amount_minor",
    "balance_before",
    "balance_after",
    "valid_at",
    "recorded_at",
    "book_month",
    "charge_month",
    "actor",
    "idempotency_key",
    "request_digest",
    "detail",
    "previous_digest",
    "digest",
)
_POSTING_COLUMNS = ("entry_id", "debit_id", "credit_id", "amount_minor")
_LOT_COLUMNS = (
    "id",
    "wallet_id",
    "number",
    "kind",
    "spend_order",
    "amount_minor",
    "remaining_minor",
    "expires_at",
    "rule",
    "service",
    "payer",
    "entry_id",
    "came_at",
)
_DRAW_COLUMNS = ("entry_id", "lot_id", "amount_minor", "service")
_WALLET_COLUMNS = (
    "lots_minor",
    "uncovered_minor",
    "opening_debt_minor",
    "entry_count",
    "lot_count",
    "head_digest",
    "credit_lot",
)

_WALLET: Table = WalletRow.__table__  # type: ignore[assignment]
_LEDGER: Table = LedgerAccountRow.__table__  # type: ignore[assignment]
_ENTRY: Table = JournalEntryRow.__table__  # type: ignore[assignment]
_POSTING: Table = PostingRow.__table__  # type: ignore[assignment]
_LOT: Table = LotRow.__table__  # type: ignore[assignment]
_DRAW: Table = DrawRow.__table__  # type: ignore[assignment]
_HOLD: Table = HoldRow.__table__  # type: ignore[assignment]

ADVANCE_WHY: Final = "refund:advance"
"""How the hold of a third person's advance is marked; who paid it follows after a colon."""


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
    """Which ids the new entries and lots of a wallet got, in order."""

    entry_ids: tuple[JournalEntryId, ...]
    lot_ids: tuple[LotId, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was done for an idempotency key, and for which request."""

    entry_id: JournalEntryId
    request_digest: str
    detail: str


def _among(session: Session, column: ColumnElement[Any], values: Sequence[Any]) -> Any:  # noqa: ANN401 - a condition
    """Return the condition that a column is one of values: on PostgreSQL as one parameter.

    A parameter for each takes longer to compile and to send than the rows to find.
    """
    if session.get_bind().dialect.name != "postgresql":
        return column.in_(values)
    return column == any_(bindparam(None, list(values), type_=ARRAY(column.type)))


def wallet_ids(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, WalletId]:
    """Return the wallets that exist, by account."""
    found: dict[AccountId, WalletId] = {}
    for ids in in_slices(account_ids):
        query = select(_WALLET.c.account_id, _WALLET.c.id).where(_WALLET.c.account_id.in_(ids))
        for account_id, wallet_id in session.execute(query):
            found[AccountId(account_id)] = WalletId(wallet_id)
    return found


def hold_wallets(session: Session, account_ids: Iterable[AccountId]) -> None:
    """Lock the wallets, low to high, and load nothing: what follows locks what it holds already."""
    for ids in in_slices(sorted(set(account_ids))):
        query = select(_WALLET.c.id).where(_WALLET.c.account_id.in_(ids))
        session.execute(query.order_by(_WALLET.c.account_id).with_for_update()).all()


def lock_wallets(session: Session, account_ids: Iterable[AccountId]) -> dict[AccountId, Wallet]:
    """Lock the wallets, low to high, and load them with the lots that still hold something.

    Low to high is by account, also across queries: two that lock many never wait for each other.
    """
    wallets: dict[WalletId, Wallet] = {}
    for ids in in_slices(sorted(set(account_ids))):
        query = (
            select(_WALLET)
            .where(_among(session, _WALLET.c.account_id, ids))
            .order_by(_WALLET.c.account_id)
            .with_for_update()
        )
        for row in session.execute(query):
            wallets[WalletId(row.id)] = Wallet(
                id=WalletId(row.id),
                account_id=AccountId(row.account_id),
                uncovered_minor=row.uncovered_minor,
                opening_debt_minor=row.opening_debt_minor,
                lots=(),
                lot_count=row.lot_count,
                entry_count=row.entry_count,
                head_digest=row.head_digest,
                closed_through_month=row.closed_through_month,
                credit_lot=row.credit_lot,
            )
    for part in in_slices(list(wallets)):
        living = select(_LOT).where(
            _among(session, _LOT.c.wallet_id, part), _LOT.c.remaining_minor > 0
        )
        lots: dict[WalletId, list[Lot]] = {}
        for row in session.execute(living.order_by(_LOT.c.wallet_id, _LOT.c.number)):
            lots.setdefault(WalletId(row.wallet_id), []).append(_lot(row))
        for wallet_id, held in lots.items():
            wallets[wallet_id].lots = tuple(held)
    _load_credits(session, list(wallets.values()))
    return {wallet.account_id: wallet for wallet in wallets.values()}


def _load_credits(session: Session, wallets: Sequence[Wallet]) -> None:
    """Add to wallets the open emergency credits that are used up: the next top-up fills them."""
    wanted = {
        wallet.id: wallet
        for wallet in wallets
        if wallet.credit_lot is not None
        and all(lot.number != wallet.credit_lot for lot in wallet.lots)
    }
    for part in in_slices(sorted(wanted)):
        query = (
            select(_LOT)
            .join(_WALLET, _WALLET.c.id == _LOT.c.wallet_id)
            .where(_LOT.c.wallet_id.in_(part), _LOT.c.number == _WALLET.c.credit_lot)
        )
        for row in session.execute(query):
            wallet = wanted[WalletId(row.wallet_id)]
            wallet.lots = (*wallet.lots, _lot(row))


def load_holds(session: Session, wallets: Sequence[Wallet]) -> None:
    """Load into wallets what is held of them."""
    by_id = {wallet.id: wallet for wallet in wallets}
    for part in in_slices(sorted(by_id)):
        query = select(_HOLD.c.wallet_id, _HOLD.c.id, _HOLD.c.amount_minor, _HOLD.c.why).where(
            _HOLD.c.wallet_id.in_(part), _HOLD.c.released_at.is_(None)
        )
        for wallet_id, hold_id, amount_minor, why in session.execute(query):
            wallet = by_id[WalletId(wallet_id)]
            other, _, payer = why.partition(f"{ADVANCE_WHY}:")
            held = Held(amount_minor, "" if other else payer)
            wallet.holds = {**wallet.holds, hold_id: held}


def sequence_of_lot(session: Session, lot_id: LotId) -> int:
    """Return the number of the entry that brought a lot."""
    query = select(_ENTRY.c.sequence).join(_LOT, _LOT.c.entry_id == _ENTRY.c.id)
    return int(session.scalars(query.where(_LOT.c.id == lot_id)).one())


def load_paid(session: Session, wallets: Sequence[Wallet]) -> None:
    """Load into wallets what their lots paid, and those of these lots that are spent.

    A lot whose top-up was taken back, or a credit that was, has paid nothing: others pay for it
    since. What of a lot expired paid nothing either.
    """
    by_id = {wallet.id: wallet for wallet in wallets}
    for part in in_slices(sorted(by_id)):
        voided = _voided_lots(session, part)
        latest = func.max(_DRAW.c.id)
        query = (
            select(
                _LOT.c.wallet_id,
                _DRAW.c.lot_id,
                _ENTRY.c.charge_month,
                func.sum(_DRAW.c.amount_minor).label("net"),
            )
            .join(_LOT, _LOT.c.id == _DRAW.c.lot_id)
            .join(_ENTRY, _ENTRY.c.id == _DRAW.c.entry_id)
            .where(_LOT.c.wallet_id.in_(part), _ENTRY.c.reason != Reason.EXPIRY)
            .group_by(_LOT.c.wallet_id, _DRAW.c.lot_id, _ENTRY.c.charge_month)
            .order_by(_LOT.c.wallet_id, latest.desc())
        )
        paid: dict[WalletId, list[Paid]] = {}
        for row in session.execute(query):
            if row.lot_id not in voided:
                found = Paid(LotId(row.lot_id), row.charge_month, int(row.net))
                paid.setdefault(WalletId(row.wallet_id), []).append(found)
        for wallet_id, found_ in paid.items():
            by_id[wallet_id].paid = tuple(found_)
        _load_spent(session, [by_id[wallet_id] for wallet_id in paid])


def _load_spent(session: Session, wallets: Sequence[Wallet]) -> None:
    """Add to wallets those lots that paid but were not loaded, as they hold nothing any more."""
    by_id = {wallet.id: wallet for wallet in wallets}
    loaded = {lot.id for wallet in wallets for lot in wallet.lots}
    missing = {p.lot_id for wallet in wallets for p in wallet.paid} - loaded
    for part in in_slices(sorted(missing)):
        query = select(_LOT).where(_LOT.c.id.in_(part)).order_by(_LOT.c.id)
        for row in session.execute(query):
            wallet = by_id[WalletId(row.wallet_id)]
            wallet.lots = (*wallet.lots, _lot(row))


def _voided_lots(session: Session, ids: Sequence[WalletId]) -> frozenset[int]:
    """Return the lots that came by entries which were taken back."""
    query = select(_ENTRY.c.wallet_id, _ENTRY.c.detail).where(
        _ENTRY.c.wallet_id.in_(ids),
        _ENTRY.c.reason.in_([Reason.REVERSAL, Reason.CREDIT_WITHDRAWN]),
    )
    reversed_ = {(row.wallet_id, reversed_sequence(row.detail)) for row in session.execute(query)}
    if not reversed_:
        return frozenset()
    lots = (
        select(_LOT.c.id, _LOT.c.wallet_id, _ENTRY.c.sequence)
        .join(_ENTRY, _ENTRY.c.id == _LOT.c.entry_id)
        .where(_LOT.c.wallet_id.in_(sorted({wallet_id for wallet_id, _ in reversed_})))
    )
    return frozenset(
        row.id for row in session.execute(lots) if (row.wallet_id, row.sequence) in reversed_
    )


def reversed_sequence(detail: str) -> int:
    """Return which entry a reversal took back."""
    found: int = json.loads(detail)["reverses"]
    return found


def reversals(session: Session, wallet_id: WalletId) -> frozenset[int]:
    """Return the numbers of the wallet's entries that were taken back."""
    query = select(_ENTRY.c.detail).where(
        _ENTRY.c.wallet_id == wallet_id, _ENTRY.c.reason == Reason.REVERSAL
    )
    return frozenset(reversed_sequence(detail) for detail in session.scalars(query))


def lot_of_entry(session: Session, entry_id: int) -> tuple[LotId, int]:
    """Return the lot that an entry brought, and how much of it has expired."""
    lot_id = session.scalars(select(_LOT.c.id).where(_LOT.c.entry_id == entry_id)).one()
    expired = (
        select(func.coalesce(func.sum(_DRAW.c.amount_minor), 0))
        .join(_ENTRY, _ENTRY.c.id == _DRAW.c.entry_id)
        .where(_DRAW.c.lot_id == lot_id, _ENTRY.c.reason == Reason.EXPIRY)
    )
    return LotId(lot_id), int(session.scalars(expired).one())


def lots_of_entries(session: Session, entry_ids: Sequence[int]) -> dict[int, LotId]:
    """Return the lots that entries brought, by entry; one that brought none is left out."""
    found: dict[int, LotId] = {}
    for part in in_slices(entry_ids):
        query = select(_LOT.c.entry_id, _LOT.c.id).where(_LOT.c.entry_id.in_(part))
        found.update({entry_id: LotId(lot_id) for entry_id, lot_id in session.execute(query)})
    return found


def answers(session: Session, actor: str, keys: Sequence[str]) -> dict[str, Answer]:
    """Return what was done for those of the keys that this actor used before."""
    found: dict[str, Answer] = {}
    for part in in_slices(keys):
        query = select(
            _ENTRY.c.idempotency_key, _ENTRY.c.id, _ENTRY.c.request_digest, _ENTRY.c.detail
        ).where(_ENTRY.c.actor == actor, _among(session, _ENTRY.c.idempotency_key, part))
        for key, entry_id, digest, detail in session.execute(query):
            found[key] = Answer(JournalEntryId(entry_id), digest, detail)
    return found


def ledger_ids(session: Session, codes: Sequence[str]) -> dict[str, int]:
    """Return the ids of ledger accounts by code; the house's own are made when first used."""
    wanted = sorted(set(codes))
    found = _ledger_ids(session, wanted)
    missing = [code for code in wanted if code not in found]
    if missing:
        insert_new(session, _LEDGER, [{"code": code, "currency": "RUB"} for code in missing])
        found = _ledger_ids(session, wanted)
    return found


def insert_new(session: Session, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert those of the rows that nobody inserted before, or is inserting now."""
    connection = session.connection()
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


def write(session: Session, wallets: Sequence[Wallet]) -> dict[AccountId, Written]:
    """Write what became of wallets: a handful of statements, however many there are."""
    changed = [wallet for wallet in wallets if wallet.entries]
    if not changed:
        return {}
    connection = session.connection()
    house = {
        code
        for wallet in changed
        for entry in wallet.entries
        for posting in entry.postings
        for code in (posting.debit, posting.credit)
        if code != WALLET
    }
    own = {wallet.id: f"{WALLET}:{wallet.account_id}" for wallet in changed}
    reserved = _reserve(
        session,
        sum(len(wallet.entries) for wallet in changed),
        sum(len(wallet.new_lots) for wallet in changed),
        [*house, *own.values()],
    )
    entry_ids, lot_ids, ledgers = iter(reserved.entries), iter(reserved.lots), reserved.ledgers
    entries: list[dict[str, Any]] = []
    postings: list[dict[str, Any]] = []
    lots: list[dict[str, Any]] = []
    draws: list[dict[str, Any]] = []
    spent: dict[LotId, int] = {}
    written: dict[AccountId, Written] = {}
    for wallet in changed:
        ids = [next(entry_ids) for _ in wallet.entries]
        fresh = {new.lot.id: LotId(next(lot_ids)) for new in wallet.new_lots}
        written[wallet.account_id] = Written(
            tuple(JournalEntryId(i) for i in ids), tuple(fresh.values())
        )
        remaining = {lot.id: lot.remaining_minor for lot in wallet.lots}
        for new in wallet.new_lots:
            lot = new.lot
            lots.append(
                {
                    "id": fresh[lot.id],
                    "wallet_id": wallet.id,
                    "number": lot.number,
                    "kind": lot.kind.value,
                    "spend_order": lot.spend_order,
                    "amount_minor": lot.amount_minor,
                    "remaining_minor": remaining[lot.id],
                    "expires_at": lot.expires_at,
                    "rule": lot.rule,
                    "service": lot.service,
                    "payer": lot.payer,
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
                    "reason": facts.reason.value,
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
                    {
                        "entry_id": entry_id,
                        "lot_id": lot_id,
                        "amount_minor": draw.amount_minor,
                        "service": draw.service,
                    }
                )
                if draw.lot_id not in fresh:
                    spent[lot_id] = remaining[draw.lot_id]
    states = [
        {
            "key": wallet.id,
            "lots_minor": wallet.lots_minor,
            "uncovered_minor": wallet.uncovered_minor,
            "opening_debt_minor": wallet.opening_debt_minor,
            "entry_count": wallet.entry_count,
            "lot_count": wallet.lot_count,
            "head_digest": wallet.head_digest,
            "credit_lot": wallet.credit_lot,
        }
        for wallet in changed
    ]
    left = [{"key": lot_id, "remaining_minor": minor} for lot_id, minor in spent.items()]
    added: dict[Table, tuple[tuple[str, ...], list[dict[str, Any]]]] = {
        _ENTRY: (_ENTRY_COLUMNS, entries),
        _POSTING: (_POSTING_COLUMNS, postings),
        _LOT: (_LOT_COLUMNS, lots),
        _DRAW: (_DRAW_COLUMNS, draws),
    }
    changes: dict[Table, tuple[tuple[str, ...], list[dict[str, Any]]]] = {
        _LOT: (("remaining_minor",), left),
        _WALLET: (_WALLET_COLUMNS, states),
    }
    if connection.dialect.name == "postgresql":
        write_rows(connection, added, changes)
        return written
    for table, (_, rows) in added.items():
        if rows:
            connection.execute(insert(table), rows)
    for table, (columns, rows_) in changes.items():
        if rows_:
            values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
            changing = update(table).where(table.c.id == bindparam("key")).values(values)
            renamed = [
                {name if name == KEY else f"new_{name}": value for name, value in row.items()}
                for row in rows_
            ]
            connection.execute(changing, renamed)
    return written


def close_through(session: Session, wallets: Sequence[Wallet], month: int) -> None:
    """Mark the month as closed for the wallets: its statement takes no more entries."""
    for part in in_slices([wallet.id for wallet in wallets]):
        session.connection().execute(
            update(_WALLET).where(_WALLET.c.id.in_(part)).values(closed_through_month=month)
        )


def entries_from(
    session: Session, ids: Sequence[WalletId], book_month: int
) -> dict[WalletId, list[tuple[int, Reason, datetime, int]]]:
    """Return (book month, reason, valid at, amount) of entries in `book_month` and later."""
    found: dict[WalletId, list[tuple[int, Reason, datetime, int]]] = {}
    for part in in_slices(ids):
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
    for ids in in_slices(account_ids):
        query = select(_WALLET).where(_WALLET.c.account_id.in_(ids))
        rows = {WalletId(row.id): row for row in session.execute(query)}
        lots: dict[WalletId, list[Lot]] = {}
        living = (
            select(_LOT)
            .join(_WALLET, _WALLET.c.id == _LOT.c.wallet_id)
            .where(
                _LOT.c.wallet_id.in_(list(rows)),
                (_LOT.c.remaining_minor > 0) | (_LOT.c.number == _WALLET.c.credit_lot),
            )
        )
        for row in session.execute(living):
            lots.setdefault(WalletId(row.wallet_id), []).append(_lot(row))
        holds = (
            select(_HOLD.c.wallet_id, func.sum(_HOLD.c.amount_minor))
            .where(_HOLD.c.wallet_id.in_(list(rows)), _HOLD.c.released_at.is_(None))
            .group_by(_HOLD.c.wallet_id)
        )
        held = {wallet_id: int(minor) for wallet_id, minor in session.execute(holds)}
        for wallet_id, row in rows.items():
            theirs = lots.get(wallet_id, [])
            spendable = spendable_minor(theirs, at)
            credit = [lot for lot in theirs if lot.number == row.credit_lot]
            sums[AccountId(row.account_id)] = Balance(
                posted_minor=spendable - row.uncovered_minor,
                held_minor=held.get(wallet_id, 0),
                spendable_minor=spendable,
                uncovered_minor=row.uncovered_minor,
                bonus_minor=spendable_minor([n for n in theirs if n.kind is LotKind.BONUS], at),
                credit_minor=sum([lot.remaining_minor for lot in credit]),
                credit_used_minor=sum([lot.amount_minor - lot.remaining_minor for lot in credit]),
                opening_debt_minor=row.opening_debt_minor,
                restricted_minor=spendable_minor([lot for lot in theirs if lot.service], at),
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
    for ids in in_slices(account_ids):
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
    for ids in in_slices(account_ids):
        query = select(_WALLET.c.account_id).where(
            _WALLET.c.account_id.in_(ids),
            (_WALLET.c.closed_through_month.is_(None)) | (_WALLET.c.closed_through_month < month),
        )
        found.update(AccountId(account_id) for account_id in session.scalars(query))
    return frozenset(found)


def closed_through(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, int]:
    """Return the last month that each wallet has closed; one that closed none is left out."""
    found: dict[AccountId, int] = {}
    for ids in in_slices(account_ids):
        query = select(_WALLET.c.account_id, _WALLET.c.closed_through_month).where(
            _WALLET.c.account_id.in_(ids), _WALLET.c.closed_through_month.is_not(None)
        )
        found.update({AccountId(account_id): month for account_id, month in session.execute(query)})
    return found


def blocks_to_audit(
    session: Session, *, wallets_max: int, entries_max: int
) -> Iterator[tuple[StoredWallet, ...]]:
    """Yield all wallets by id, so few together that their entries fit into memory."""
    query = select(
        _WALLET.c.id,
        _WALLET.c.account_id,
        _WALLET.c.lots_minor,
        _WALLET.c.uncovered_minor,
        _WALLET.c.entry_count,
        _WALLET.c.head_digest,
        _WALLET.c.lot_count,
        _WALLET.c.credit_lot,
        _WALLET.c.opening_debt_minor,
    )
    last = None
    while True:
        page = query.order_by(_WALLET.c.id).limit(wallets_max)
        if last is not None:
            page = page.where(_WALLET.c.id > last)
        block: list[StoredWallet] = []
        entries = 0
        for row in session.execute(page).all():
            wallet = StoredWallet._make(row)
            entries += wallet.entry_count
            if block and entries > entries_max:
                break
            block.append(wallet)
        if not block:
            return
        yield tuple(block)
        last = block[-1].id


def entries_to_audit(session: Session, first: int, last: int) -> dict[int, list[StoredEntry]]:
    """Return the entries of the wallets from `first` to `last`, by wallet and in order."""
    # The reason as it rests: an unknown one is to be found, not to fail.
    columns = [
        type_coerce(_ENTRY.c[name], String) if name == "reason" else _ENTRY.c[name]
        for name in StoredEntry._fields
    ]
    query = select(*columns).where(_ENTRY.c.wallet_id.between(first, last))
    found: dict[int, list[StoredEntry]] = {}
    for row in session.execute(query.order_by(_ENTRY.c.wallet_id, _ENTRY.c.sequence)):
        entry = StoredEntry._make(row)
        found.setdefault(entry.wallet_id, []).append(entry)
    return found


def legs_to_audit(session: Session, first: int, last: int) -> dict[int, list[Leg]]:
    """Return the postings of those wallets' entries, by entry.

    A wallet's own ledger account bears the code `wallet`; another wallet's keeps its name.
    """
    house = {
        row.id: row.code
        for row in session.execute(
            select(_LEDGER.c.id, _LEDGER.c.code).where(_LEDGER.c.wallet_id.is_(None))
        )
    }
    own = {
        row.wallet_id: row.id
        for row in session.execute(
            select(_LEDGER.c.id, _LEDGER.c.wallet_id).where(
                _LEDGER.c.wallet_id.between(first, last)
            )
        )
    }
    query = (
        select(
            _ENTRY.c.wallet_id,
            _POSTING.c.entry_id,
            _POSTING.c.debit_id,
            _POSTING.c.credit_id,
            _POSTING.c.amount_minor,
        )
        .join(_ENTRY, _ENTRY.c.id == _POSTING.c.entry_id)
        .where(_ENTRY.c.wallet_id.between(first, last))
        .order_by(_POSTING.c.id)
    )
    found: dict[int, list[Leg]] = {}
    for wallet_id, entry_id, debit_id, credit_id, amount_minor in session.execute(query):
        mine = own.get(wallet_id)
        debit = WALLET if debit_id == mine else house.get(debit_id, f"another:{debit_id}")
        credit = WALLET if credit_id == mine else house.get(credit_id, f"another:{credit_id}")
        found.setdefault(entry_id, []).append((debit, credit, amount_minor))
    return found


def draws_to_audit(session: Session, first: int, last: int) -> dict[int, list[Drawn]]:
    """Return the draws of those wallets' entries, by entry."""
    query = (
        select(
            _DRAW.c.entry_id,
            case((_LOT.c.wallet_id == _ENTRY.c.wallet_id, _LOT.c.number), else_=0),
            _DRAW.c.amount_minor,
            _DRAW.c.service,
        )
        .join(_ENTRY, _ENTRY.c.id == _DRAW.c.entry_id)
        .join(_LOT, _LOT.c.id == _DRAW.c.lot_id)
        .where(_ENTRY.c.wallet_id.between(first, last))
    )
    found: dict[int, list[Drawn]] = {}
    for entry_id, number, amount_minor, service in session.execute(query):
        found.setdefault(entry_id, []).append((number, amount_minor, service))
    return found


def lots_to_audit(session: Session, first: int, last: int) -> dict[int, list[StoredLot]]:
    """Return the lots of the wallets from `first` to `last`, by wallet."""
    columns = [
        type_coerce(_LOT.c[name], String) if name == "kind" else _LOT.c[name]
        for name in StoredLot._fields
    ]
    query = select(_LOT.c.wallet_id, *columns).where(_LOT.c.wallet_id.between(first, last))
    found: dict[int, list[StoredLot]] = {}
    for wallet_id, *rest in session.execute(query):
        found.setdefault(wallet_id, []).append(StoredLot._make(rest))
    return found


def heads(session: Session) -> Iterator[tuple[AccountId, str, int]]:
    """Yield account, head and number of entries of every wallet, by wallet id."""
    query = (
        select(_WALLET.c.account_id, _WALLET.c.head_digest, _WALLET.c.entry_count)
        .order_by(_WALLET.c.id)
        .execution_options(yield_per=ROWS_A_FETCH)
    )
    with session.execute(query) as rows:
        for account_id, head, count in rows:
            yield AccountId(account_id), head, count


def entry_heads(session: Session) -> Generator[tuple[AccountId, str]]:
    """Yield account and digest of every entry in the order in which they were recorded."""
    query = (
        select(_WALLET.c.account_id, _ENTRY.c.digest)
        .join(_WALLET, _WALLET.c.id == _ENTRY.c.wallet_id)
        .order_by(_ENTRY.c.id)
        .execution_options(yield_per=ROWS_A_FETCH)
    )
    with session.execute(query) as rows:
        for account_id, digest in rows:
            yield AccountId(account_id), digest


def _ledger_ids(session: Session, codes: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in in_slices(codes):
        query = select(_LEDGER.c.code, _LEDGER.c.id).where(_among(session, _LEDGER.c.code, part))
        found.update({code: int(row_id) for code, row_id in session.execute(query)})
    return found


@dataclass(frozen=True, slots=True)
class _Reserved:
    """Ids of rows to come, in order, and of the ledger accounts that they move."""

    entries: Sequence[int]
    lots: Sequence[int]
    ledgers: Mapping[str, int]


_RESERVE: Final = """
    SELECT 'entry', nextval(pg_get_serial_sequence('journal_entry', 'id'))
    FROM generate_series(1, %s)
    UNION ALL
    SELECT 'lot', nextval(pg_get_serial_sequence('lot', 'id')) FROM generate_series(1, %s)
    UNION ALL
    SELECT '=' || code, id FROM ledger_account WHERE code = ANY(%s::text[])
"""


def _reserve(session: Session, entries: int, lots: int, codes: Sequence[str]) -> _Reserved:
    """Reserve ids for rows to come, and find the ledger accounts that they move.

    PostgreSQL answers all of it at once, from its sequences; SQLite counts above the highest id,
    under the lock of the one that writes.
    """
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        return _Reserved(
            _above(connection, "journal_entry", entries),
            _above(connection, "lot", lots),
            ledger_ids(session, codes),
        )
    found: dict[str, list[int]] = {"entry": [], "lot": []}
    wanted = sorted(set(codes))
    for name, row_id in connection.exec_driver_sql(_RESERVE, (entries, lots, wanted)):
        found.setdefault(name, []).append(row_id)
    ledgers = {name[1:]: ids[0] for name, ids in found.items() if name.startswith("=")}
    if len(ledgers) < len(wanted):
        ledgers = ledger_ids(session, wanted)
    return _Reserved(sorted(found["entry"]), sorted(found["lot"]), ledgers)


def _above(connection: Connection, table: str, count: int) -> Sequence[int]:
    if not count:
        return ()
    highest = connection.execute(text(f"SELECT max(id) FROM {table}")).scalar() or 0  # noqa: S608 - a name of ours
    return range(highest + 1, highest + 1 + count)


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
        rule=row.rule,
        service=row.service,
        payer=row.payer,
    )
