"""Use cases of payments that move no money themselves: a file begun, rows recorded, one returned.

What is taken goes through the wallet's own `top_up`; the edge composes both in one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.digest import digest_value
from kilokassa.core.errors import DomainError, Invalid, RequestConflict
from kilokassa.core.ids import AccountId, JournalEntryId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import filled, mark
from wallet.payments import store
from wallet.payments.models import IncomingPaymentRow, PaymentFileRow
from wallet.payments.payment import PaymentSource, PaymentState
from wallet.payments.reading import FileFormat, PaymentRow, ReadFile, RefusedRow
from wallet.store import insert_new

_INCOMING: Final[Table] = IncomingPaymentRow.__table__  # type: ignore[assignment]
_FILE: Final[Table] = PaymentFileRow.__table__  # type: ignore[assignment]

NOTE_MAX: Final = 300
NOT_LOOKED: Final = mark("not looked for yet")


class NotInSuspense(DomainError):
    """A payment that does not wait for its account any more."""

    code = "not_in_suspense"
    template = mark("Payment %(payment)s is not in suspense: it was taken or returned already.")


class NotTaken(DomainError):
    """A payment that is on no wallet and so cannot be taken from one."""

    code = "payment_not_taken"
    template = mark("Payment %(payment)s is on no account.")


@dataclass(frozen=True, slots=True)
class FileOrder:
    """A file of payments to take in."""

    name: str
    content: bytes
    sender: str = ""
    """The bank, by its code; the layout where none is given."""

    @property
    def digest(self) -> str:
        """The digest of the content: what makes it the same file."""
        return sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class NewIncoming:
    """Money that came in outside a file."""

    source: PaymentSource
    sender: str
    transaction_id: str
    account_text: str
    amount_minor: int
    tender: str
    paid_at: datetime
    payer: str = ""
    purpose: str = ""
    problem: str = ""
    request_digest: str = ""


def source_of(file_format: str) -> PaymentSource:
    """Return how the payments of a file of this layout came in."""
    statement = file_format == FileFormat.ONE_C
    return PaymentSource.STATEMENT if statement else PaymentSource.REGISTRY


def begin_file(
    session: Session, scope: Scope, order: FileOrder, read: ReadFile, clock: Clock
) -> store.StoredFile:
    """Keep a file that was read; one with the same content is the same file."""
    scope.demand(Right.MANAGE_WALLETS)
    values = {
        "name": order.name[:200],
        "format": str(read.format),
        "sender": (order.sender or str(read.format))[:40],
        "digest": order.digest,
        "content": order.content,
        "rows": read.rows,
        "total_minor": read.total_minor,
        "refused": store.refused_json(read.refused),
        "worked_rows": 0,
        "actor": scope.actor,
        "received_at": clock.now(),
    }
    insert_new(session, _FILE, [values])
    found = store.file_by_digest(session, order.digest)
    assert found is not None
    return found


def lock_file(session: Session, file_id: int) -> store.StoredFile:
    """Lock a file, so that one import at a time works on it, and return how far it has come."""
    query = select(_FILE.c.digest).where(_FILE.c.id == file_id).with_for_update()
    found = store.file_by_digest(session, session.scalars(query).one())
    assert found is not None
    return found


def record_rows(
    session: Session,
    scope: Scope,
    file: store.StoredFile,
    rows: Sequence[PaymentRow],
    paid_at: Sequence[datetime],
    clock: Clock,
) -> tuple[dict[int, int], tuple[RefusedRow, ...]]:
    """Record rows of a file, all in suspense; return their ids by line, and those that repeat.

    A payment is known by its sender, transaction and account: the same again is no new one,
    whichever file it comes in.
    """
    source = source_of(file.format)
    now = clock.now()
    values: dict[tuple[str, str], dict[str, Any]] = {}
    for row, at in zip(rows, paid_at, strict=True):
        values.setdefault(
            (row.transaction_id, row.account_text),
            {
                "source": source,
                "sender": file.sender,
                "transaction_id": row.transaction_id,
                "file_id": file.id,
                "line": row.line,
                "account_text": row.account_text,
                "amount_minor": row.amount_minor,
                "tender": "bank",
                "paid_at": at,
                "payer": row.payer,
                "purpose": row.purpose,
                "state": PaymentState.SUSPENSE,
                "problem": NOT_LOOKED,
                "request_digest": "",
                "actor": scope.actor,
                "received_at": now,
                "settled_by": "",
                "note": "",
            },
        )
    # In the order of the key: two files that hold the same rows then wait, and never in a circle.
    insert_new(session, _INCOMING, [values[key] for key in sorted(values)])
    transactions = [row.transaction_id for row in rows]
    known = store.known_keys(session, source, file.sender, transactions)
    ids_query = select(_INCOMING.c.line, _INCOMING.c.id).where(
        _INCOMING.c.file_id == file.id,
        _INCOMING.c.line.between(min(row.line for row in rows), max(row.line for row in rows)),
    )
    lines = [(int(line), int(row_id)) for line, row_id in session.execute(ids_query)]
    ids = dict(lines)
    repeated = []
    for row in rows:
        minor, file_id, line = known[row.transaction_id, row.account_text]
        if (file_id, line) == (file.id, row.line):
            continue
        same = mark("transaction %(transaction)s of this account came before")
        other = mark("transaction %(transaction)s of this account came before with another amount")
        message = same if minor == row.amount_minor else other
        problem = filled(message, transaction=row.transaction_id)
        repeated.append(RefusedRow(row.line, problem, row.amount_minor))
    return ids, tuple(repeated)


def advance_file(
    session: Session,
    file: store.StoredFile,
    worked_rows: int,
    repeated: Sequence[RefusedRow],
    *,
    done_at: datetime | None,
) -> None:
    """Note how far a file has come, and which rows of it repeat."""
    refused = sorted([*file.refused, *repeated], key=lambda row: row.line)
    session.execute(
        update(_FILE)
        .where(_FILE.c.id == file.id)
        .values(worked_rows=worked_rows, refused=store.refused_json(refused), done_at=done_at)
    )


def set_problems(session: Session, problems: dict[int, str]) -> None:
    """Say of payments in suspense why their accounts were not found."""
    if problems:
        session.connection().execute(
            update(_INCOMING)
            .where(_INCOMING.c.id == bindparam("key"))
            .values(problem=bindparam("why")),
            [{"key": row_id, "why": why} for row_id, why in problems.items()],
        )


def set_taken(
    session: Session, taken: dict[int, tuple[AccountId, JournalEntryId]], actor: str, clock: Clock
) -> None:
    """Say of payments by which entries they were taken."""
    if taken:
        session.connection().execute(
            update(_INCOMING)
            .where(_INCOMING.c.id == bindparam("key"))
            .values(
                state=PaymentState.TAKEN,
                problem="",
                account_id=bindparam("account"),
                entry_id=bindparam("entry"),
                settled_by=actor,
                settled_at=clock.now(),
            ),
            [
                {"key": row_id, "account": account_id, "entry": entry_id}
                for row_id, (account_id, entry_id) in taken.items()
            ],
        )


def record_one(
    session: Session, scope: Scope, new: NewIncoming, clock: Clock
) -> tuple[IncomingPaymentRow, bool]:
    """Record one payment in suspense; return it and whether it was there before.

    The same transaction for another request is refused.
    """
    digest = new.request_digest or digest_value(
        {"amount": new.amount_minor, "tender": new.tender, "account": new.account_text}
    )
    values = {
        "source": new.source,
        "sender": new.sender,
        "transaction_id": new.transaction_id,
        "account_text": new.account_text,
        "amount_minor": new.amount_minor,
        "tender": new.tender,
        "paid_at": new.paid_at,
        "payer": new.payer,
        "purpose": new.purpose,
        "state": PaymentState.SUSPENSE,
        "problem": new.problem or NOT_LOOKED,
        "request_digest": digest,
        "actor": scope.actor,
        "received_at": clock.now(),
        "settled_by": "",
        "note": "",
    }
    key = (
        IncomingPaymentRow.source == new.source,
        IncomingPaymentRow.sender == new.sender,
        IncomingPaymentRow.transaction_id == new.transaction_id,
        IncomingPaymentRow.account_text == new.account_text,
    )
    before = session.scalars(select(IncomingPaymentRow.id).where(*key)).one_or_none()
    if before is None:
        insert_new(session, _INCOMING, [values])
    row = session.scalars(select(IncomingPaymentRow).where(*key).with_for_update()).one()
    if row.request_digest != digest:
        raise RequestConflict(key=new.transaction_id)
    return row, before is not None or row.received_at != values["received_at"]


def lock_payment(session: Session, scope: Scope, payment_id: int) -> IncomingPaymentRow:
    """Lock a payment in reach, so that one person at a time decides on it."""
    scope.demand(Right.MANAGE_WALLETS)
    store.incoming_by_id(session, scope, payment_id)
    query = select(IncomingPaymentRow).where(IncomingPaymentRow.id == payment_id)
    return session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()


def return_payment(
    session: Session, scope: Scope, payment_id: int, note: str, clock: Clock
) -> None:
    """Say that money in suspense was sent back to whoever paid; how and why stands in the note."""
    row = lock_payment(session, scope, payment_id)
    text = checked_note(note)
    if row.state is PaymentState.RETURNED and row.note == text:
        return
    if row.state is not PaymentState.SUSPENSE:
        raise NotInSuspense(payment=payment_id)
    row.state = PaymentState.RETURNED
    row.note = text
    row.settled_by, row.settled_at = scope.actor, clock.now()
    session.flush()


def checked_note(note: str) -> str:
    """Return a note without the blanks around it; refuse none, or one that is too long."""
    text = note.strip()
    if not text or len(text) > NOTE_MAX or not text.isprintable():
        raise Invalid(
            where=mark("note"),
            problem=mark("it has from 1 to %(most)s characters on one line"),
            most=NOTE_MAX,
        )
    return text
