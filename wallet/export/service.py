"""Writing the ledger out, and what its accounts come to."""

from collections.abc import Callable, Iterator
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from wallet import store
from wallet.export.lines import Exported, StoredSeal, lines_of
from wallet.models import DailySealRow, JournalEntryRow, LedgerAccountRow, PostingRow, WalletRow
from wallet.service import ENTRIES_A_LOOK, WALLETS_A_LOOK

WALLETS = "wallets"
"""Stands for the ledger accounts of all wallets together."""


def export_lines(
    session: Session, at: datetime, progress: Callable[[int, int], None] | None = None
) -> Iterator[str]:
    """Yield the whole ledger as lines of JSON, wallet by wallet; memory does not grow with it."""
    yield from lines_of(_seals(session), _wallets(session, progress), at=at)


def trial_balance(session: Session) -> tuple[tuple[str, int, int], ...]:
    """Return (code, debits, credits) of each account of the house, then of all wallets together.

    Debits and credits come to the same sum: each posting has one of each.
    """
    found: dict[str, list[int]] = {}
    for side, column in ((0, PostingRow.debit_id), (1, PostingRow.credit_id)):
        named = (
            select(
                func.coalesce(
                    select(LedgerAccountRow.code)
                    .where(LedgerAccountRow.id == column, LedgerAccountRow.wallet_id.is_(None))
                    .scalar_subquery(),
                    WALLETS,
                ).label("code"),
                PostingRow.amount_minor,
            )
        ).subquery()
        query = select(named.c.code, func.sum(named.c.amount_minor)).group_by(named.c.code)
        for name, minor in session.execute(query):
            found.setdefault(name, [0, 0])[side] = int(minor)
    house = sorted(name for name in found if name != WALLETS)
    names = [*house, *([WALLETS] if WALLETS in found else [])]
    return tuple((name, found[name][0], found[name][1]) for name in names)


def _wallets(session: Session, progress: Callable[[int, int], None] | None) -> Iterator[Exported]:
    total = session.scalars(select(func.count()).select_from(WalletRow)).one()
    done = 0
    for block in store.blocks_to_audit(
        session, wallets_max=WALLETS_A_LOOK, entries_max=ENTRIES_A_LOOK
    ):
        first, last = block[0].id, block[-1].id
        entries = store.entries_to_audit(session, first, last)
        legs = store.legs_to_audit(session, first, last)
        draws = store.draws_to_audit(session, first, last)
        lots = store.lots_to_audit(session, first, last)
        for wallet in block:
            theirs = entries.get(wallet.id, [])
            yield Exported(wallet, theirs, legs, draws, lots.get(wallet.id, []))
        done += len(block)
        if progress is not None:
            progress(done, total)


def _seals(session: Session) -> list[StoredSeal]:
    """Return the seals, each with the last entry it covered: ids grow as entries are recorded."""
    found = []
    for row in session.scalars(select(DailySealRow).order_by(DailySealRow.day)):
        last = None
        if row.entries:
            ids = select(JournalEntryRow.id).order_by(JournalEntryRow.id)
            last = session.scalar(ids.offset(row.entries - 1).limit(1))
        found.append(
            StoredSeal(row.day, row.wallets, row.entries, row.digest, row.recorded_at, last or 0)
        )
    return found
