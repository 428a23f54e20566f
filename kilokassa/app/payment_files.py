"""Taking a bank's file of payments in: read, compared with its control, then chunk by chunk.

Each chunk is one transaction that records its rows, takes those whose account is known and leaves
the others in suspense. An import that was stopped goes on where it stood when it is asked for
again; the same file again gives the first answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.models import AccountRow
from kilokassa.app.payments import Payment, take_payments
from kilokassa.core.calendar import local_date
from kilokassa.core.clock import Clock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import filled, mark
from kilokassa.db.session import Database
from kilokassa.db.slices import in_slices
from wallet.payments import store
from wallet.payments.formats import read_payments
from wallet.payments.payment import PaymentState
from wallet.payments.reading import Control, FoundReading, PaymentRow, ReadFile, RefusedRow
from wallet.payments.service import (
    FileOrder,
    advance_file,
    begin_file,
    lock_file,
    record_rows,
    set_problems,
    set_taken,
    source_of,
)
from wallet.payments.store import StoredFile, Sum

CHUNK: Final = 200
"""Rows of one transaction: about a second of it."""

NO_ACCOUNT: Final = mark("no account was named")
UNKNOWN: Final = mark("there is no account %(number)s")
CLOSED: Final = mark("account %(number)s is closed")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of a file: each row is taken, in suspense, returned or refused."""

    file: StoredFile
    repeated: bool
    """The same file was taken in before; nothing was changed now."""
    sums: dict[PaymentState, Sum]
    readings: tuple[FoundReading, ...]

    @property
    def refused(self) -> tuple[RefusedRow, ...]:
        """Rows that cannot be read, or that came before."""
        return self.file.refused

    @property
    def accounted(self) -> bool:
        """Say whether every row and kopeck of the file is somewhere."""
        rows = sum(each.count for each in self.sums.values()) + len(self.refused)
        minor = sum([each.amount_minor for each in self.sums.values()]) + self.file.refused_minor
        return (rows, minor) == (self.file.rows, self.file.total_minor)


@dataclass(frozen=True, slots=True)
class FilePreview:
    """What would become of a file, were it taken in now."""

    read: ReadFile
    taken: Sum
    suspense: Sum
    refused: tuple[RefusedRow, ...]
    problems: tuple[tuple[PaymentRow, str], ...]
    """Rows that would wait in suspense, each with why."""
    same_as: StoredFile | None
    """The file with this very content, where it was taken in before."""

    @property
    def refused_minor(self) -> int:
        """What the refused rows come to, where their amounts can be read."""
        return sum([row.amount_minor or 0 for row in self.refused])


def preview_payment_file(
    session: Session, scope: Scope, order: FileOrder, clock: Clock, control: Control | None = None
) -> FilePreview:
    """Read a file and say what would become of each row; nothing is changed."""
    scope.demand(Right.MANAGE_WALLETS)
    zone = billing_store.retailer_zone(session)
    read = read_payments(order.content, order.name, local_date(clock.now(), zone), control)
    accounts = _found_accounts(session, read.payments)
    known = _known(session, order, read)
    taken, suspense = Sum(), Sum()
    refused = list(read.refused)
    problems = []
    seen: set[tuple[str, str]] = set()
    for row in read.payments:
        key = (row.transaction_id, row.account_text)
        if key in seen or key in known:
            message = mark("transaction %(transaction)s of this account came before")
            problem = filled(message, transaction=row.transaction_id)
            refused.append(RefusedRow(row.line, problem, row.amount_minor))
            continue
        seen.add(key)
        problem = _problem(row, accounts, local_date(clock.now(), zone))
        if problem:
            problems.append((row, problem))
            suspense = _plus(suspense, row)
        else:
            taken = _plus(taken, row)
    return FilePreview(
        read,
        taken,
        suspense,
        tuple(sorted(refused, key=lambda row: row.line)),
        tuple(problems),
        store.file_by_digest(session, order.digest),
    )


def import_payment_file(
    database: Database,
    scope: Scope,
    order: FileOrder,
    clock: Clock,
    *,
    control: Control | None = None,
    progress: Progress | None = None,
) -> FileOutcome:
    """Take a file in; what is left of one that was stopped is worked through now."""
    scope.demand(Right.MANAGE_WALLETS)
    with database.reading() as session:
        zone = billing_store.retailer_zone(session)
        before = store.file_by_digest(session, order.digest)
    # A file that was begun is read as on the day it came: what was a row then is one now.
    at = clock.now() if before is None else before.received_at
    name = order.name if before is None else before.name
    read = read_payments(order.content, name, local_date(at, zone), control)
    repeated = before is not None and before.done_at is not None
    if before is None:
        with database.writing() as session:
            before = begin_file(session, scope, order, read, clock)
    while not repeated:
        with database.writing() as session:
            worked, done = _work(session, scope, before.id, read, zone, clock)
        if progress is not None:
            progress(worked, len(read.payments))
        if done:
            break
    with database.reading() as session:
        return _outcome(session, scope, before.id, read.readings, repeated=repeated)


def file_outcome(session: Session, scope: Scope, file_id: int) -> FileOutcome:
    """Return what became of a file that was taken in, with the readings it brought."""
    file = store.file_by_id(session, scope, file_id)
    content = store.file_content(session, scope, file_id)
    zone = billing_store.retailer_zone(session)
    read = read_payments(content, file.name, local_date(file.received_at, zone))
    return _outcome(session, scope, file_id, read.readings, repeated=True)


def _outcome(
    session: Session,
    scope: Scope,
    file_id: int,
    readings: tuple[FoundReading, ...],
    *,
    repeated: bool,
) -> FileOutcome:
    file = store.file_by_id(session, scope, file_id)
    return FileOutcome(file, repeated, store.sums_of_file(session, file_id), readings)


def _work(
    session: Session, scope: Scope, file_id: int, read: ReadFile, zone: ZoneInfo, clock: Clock
) -> tuple[int, bool]:
    """Work the next chunk through; return how many rows are, and whether that is all."""
    file = lock_file(session, file_id)
    start = file.worked_rows
    rows = read.payments[start : start + CHUNK]
    if file.done_at is not None:
        return start, True
    repeated: tuple[RefusedRow, ...] = ()
    if rows:
        now = clock.now()
        paid_at = [_paid_at(row, zone, now) for row in rows]
        ids, repeated = record_rows(session, scope, file, rows, paid_at, clock)
        _settle(session, scope, rows, paid_at, ids, local_date(now, zone), clock)
    worked = start + len(rows)
    done = worked >= len(read.payments)
    advance_file(session, file, worked, repeated, done_at=clock.now() if done else None)
    return worked, done


def _settle(
    session: Session,
    scope: Scope,
    rows: Sequence[PaymentRow],
    paid_at: Sequence[datetime],
    ids: dict[int, int],
    today: date,
    clock: Clock,
) -> None:
    """Take the payments whose accounts are known; say of the others why they wait."""
    accounts = _found_accounts(session, rows)
    problems: dict[int, str] = {}
    payments: dict[int, Payment] = {}
    for row, at in zip(rows, paid_at, strict=True):
        if row.line not in ids:
            continue
        problem = _problem(row, accounts, today)
        if problem:
            problems[ids[row.line]] = problem
            continue
        payments[ids[row.line]] = Payment(
            account_id=accounts[row.account_text][0],
            amount_minor=row.amount_minor,
            tender="bank",
            paid_at=at,
            idempotency_key=f"incoming:{ids[row.line]}",
            reference=row.transaction_id,
        )
    set_problems(session, problems)
    if payments:
        taken = take_payments(session, scope, list(payments.values()), clock)
        entries = {
            row_id: (payment.account_id, each.result.entry_id)
            for (row_id, payment), each in zip(payments.items(), taken, strict=True)
        }
        set_taken(session, entries, scope.actor, clock)


def _problem(
    row: PaymentRow, accounts: dict[str, tuple[AccountId, date | None]], today: date
) -> str:
    """Return why the account of a row cannot be credited by the program; empty where it can."""
    if not row.account_text:
        return NO_ACCOUNT
    found = accounts.get(row.account_text)
    if found is None:
        return filled(UNKNOWN, number=row.account_text)
    if found[1] is not None and found[1] <= today:
        return filled(CLOSED, number=row.account_text)
    return ""


def _found_accounts(
    session: Session, rows: Sequence[PaymentRow]
) -> dict[str, tuple[AccountId, date | None]]:
    found: dict[str, tuple[AccountId, date | None]] = {}
    for numbers in in_slices(sorted({row.account_text for row in rows} - {""})):
        query = select(AccountRow.number, AccountRow.id, AccountRow.closed_on).where(
            AccountRow.number.in_(numbers)
        )
        for number, row_id, closed_on in session.execute(query):
            found[number] = (AccountId(row_id), closed_on)
    return found


def _known(session: Session, order: FileOrder, read: ReadFile) -> frozenset[tuple[str, str]]:
    sender = order.sender or str(read.format)
    transactions = [row.transaction_id for row in read.payments]
    return frozenset(store.known_keys(session, source_of(read.format), sender, transactions))


def _paid_at(row: PaymentRow, zone: ZoneInfo, now: datetime) -> datetime:
    """Return when a payment was made: at noon where only its day is known, never after now."""
    at = datetime.combine(row.paid_on, row.paid_time or time(12), tzinfo=zone).astimezone(UTC)
    return min(at, now)


def _plus(total: Sum, row: PaymentRow) -> Sum:
    return Sum(total.count + 1, total.amount_minor + row.amount_minor)
