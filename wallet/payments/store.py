"""Queries of payments: files of banks, money that came in, what waits in suspense, orders."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, Table, func, or_, select, true
from sqlalchemy.orm import Session

from kilokassa.core.errors import NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from wallet.models import LedgerAccountRow, PostingRow
from wallet.payments.models import IncomingPaymentRow, PaymentFileRow, PaymentOrderRow
from wallet.payments.payment import OrderState, PaymentSource, PaymentState
from wallet.payments.reading import RefusedRow

_INCOMING: Final[Table] = IncomingPaymentRow.__table__  # type: ignore[assignment]
_FILE: Final[Table] = PaymentFileRow.__table__  # type: ignore[assignment]
_ORDER: Final[Table] = PaymentOrderRow.__table__  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of payments as a list shows it."""

    id: int
    name: str
    format: str
    sender: str
    digest: str
    rows: int
    total_minor: int
    refused: tuple[RefusedRow, ...]
    worked_rows: int
    done_at: datetime | None
    actor: str
    received_at: datetime

    @property
    def refused_minor(self) -> int:
        """What the refused rows come to, where their amounts can be read."""
        return sum([row.amount_minor or 0 for row in self.refused])


@dataclass(frozen=True, slots=True)
class Incoming:
    """Money that came in, and how far it has come."""

    id: int
    source: PaymentSource
    sender: str
    transaction_id: str
    file_id: int | None
    line: int | None
    account_text: str
    amount_minor: int
    tender: str
    paid_at: datetime
    payer: str
    purpose: str
    state: PaymentState
    problem: str
    account_id: AccountId | None
    entry_id: int | None
    actor: str
    received_at: datetime
    settled_by: str
    settled_at: datetime | None
    note: str


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """What a search of payments is narrowed to."""

    state: PaymentState | None = None
    source: PaymentSource | None = None
    file_id: int | None = None
    account_id: AccountId | None = None
    search: str = ""
    """Of account, transaction, payer or purpose."""
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """How many payments, and what they come to."""

    count: int = 0
    amount_minor: int = 0


def files(session: Session, scope: Scope, limit: int = 50, offset: int = 0) -> list[StoredFile]:
    """Return the files that were taken in, the latest first; they concern the whole retailer."""
    query = _files(scope).order_by(_FILE.c.id.desc()).limit(limit).offset(offset)
    return [_file(row) for row in session.execute(query)]


def file_by_id(session: Session, scope: Scope, file_id: int) -> StoredFile:
    """Return a file that was taken in."""
    row = session.execute(_files(scope).where(_FILE.c.id == file_id)).one_or_none()
    if row is None:
        raise NotFound(what=mark("payment file"), name=str(file_id))
    return _file(row)


def file_content(session: Session, scope: Scope, file_id: int) -> bytes:
    """Return a file as it was received."""
    file_by_id(session, scope, file_id)
    found: bytes = session.scalars(select(_FILE.c.content).where(_FILE.c.id == file_id)).one()
    return found


def file_by_digest(session: Session, digest: str) -> StoredFile | None:
    """Return the file with this content, if it was taken in before."""
    row = session.execute(_listed_files().where(_FILE.c.digest == digest)).one_or_none()
    return None if row is None else _file(row)


def sums_of_file(session: Session, file_id: int) -> dict[PaymentState, Sum]:
    """Return what the payments of a file come to, by how far they have come."""
    return _sums(session, _INCOMING.c.file_id == file_id)


def sums_by_state(session: Session, scope: Scope) -> dict[PaymentState, Sum]:
    """Return what all payments in reach come to, by how far they have come."""
    return _sums(session, _in_reach(scope))


def cash_in_ledger(session: Session) -> dict[str, int]:
    """Return by tender what came in by the ledger's cash accounts, less what left by them."""
    ledger: Table = LedgerAccountRow.__table__  # type: ignore[assignment]
    posting: Table = PostingRow.__table__  # type: ignore[assignment]
    query = select(ledger.c.id, ledger.c.code).where(ledger.c.code.startswith("cash:"))
    codes = {int(row_id): str(code) for row_id, code in session.execute(query)}
    found = dict.fromkeys((code.partition(":")[2] for code in codes.values()), 0)
    for side, sign in ((posting.c.debit_id, 1), (posting.c.credit_id, -1)):
        sums = select(side, func.sum(posting.c.amount_minor)).where(side.in_(sorted(codes)))
        for ledger_id, minor in session.execute(sums.group_by(side)):
            found[codes[ledger_id].partition(":")[2]] += sign * int(minor)
    return found


def incoming(
    session: Session, scope: Scope, asked: PaymentFilter, *, limit: int | None, offset: int = 0
) -> tuple[tuple[Incoming, ...], int]:
    """Return a page of the payments in reach, the latest first, and how many there are."""
    base = select(_INCOMING).where(_in_reach(scope))
    for column, value in (
        (_INCOMING.c.state, asked.state),
        (_INCOMING.c.source, asked.source),
        (_INCOMING.c.file_id, asked.file_id),
        (_INCOMING.c.account_id, asked.account_id),
        (_INCOMING.c.amount_minor, asked.amount_minor),
    ):
        if value is not None:
            base = base.where(column == value)
    for word in asked.search.split():
        texts = {word, word.lower(), word.capitalize()}
        base = base.where(
            or_(
                _INCOMING.c.account_text.contains(word, autoescape=True),
                _INCOMING.c.transaction_id.contains(word, autoescape=True),
                *(_INCOMING.c.payer.contains(text, autoescape=True) for text in texts),
                *(_INCOMING.c.purpose.contains(text, autoescape=True) for text in texts),
            )
        )
    total = session.scalar(select(func.count()).select_from(base.subquery())) or 0
    query = base.order_by(_INCOMING.c.id.desc()).offset(offset)
    rows = session.execute(query if limit is None else query.limit(limit))
    return tuple(_payment(row) for row in rows), total


def incoming_by_id(session: Session, scope: Scope, payment_id: int) -> Incoming:
    """Return one payment in reach."""
    query = select(_INCOMING).where(_INCOMING.c.id == payment_id, _in_reach(scope))
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound(what=mark("payment"), name=str(payment_id))
    return _payment(row)


def in_suspense(session: Session) -> list[tuple[str, str, str, int]]:
    """Return (account as written, purpose, payer, kopecks) of all money that waits; for decisions.

    What is decided by it may not depend on who asks: it is not cut down to a scope.
    """
    row = IncomingPaymentRow
    query = select(row.account_text, row.purpose, row.payer, row.amount_minor).where(
        row.state == PaymentState.SUSPENSE
    )
    return [(one[0], one[1], one[2], one[3]) for one in session.execute(query)]


def payment_of_provider(
    session: Session, sender: str, transaction_id: str
) -> IncomingPaymentRow | None:
    """Return what a provider told of a transaction before."""
    return session.scalars(
        select(IncomingPaymentRow).where(
            IncomingPaymentRow.source == PaymentSource.PROVIDER,
            IncomingPaymentRow.sender == sender,
            IncomingPaymentRow.transaction_id == transaction_id,
        )
    ).first()


def taken_between(
    session: Session, scope: Scope, source: PaymentSource, since: datetime, until: datetime
) -> tuple[Incoming, ...]:
    """Return the payments of a source that were received in a period, the earliest first."""
    query = (
        select(_INCOMING)
        .where(
            _INCOMING.c.source == source,
            _INCOMING.c.received_at >= since,
            _INCOMING.c.received_at < until,
            _in_reach(scope),
        )
        .order_by(_INCOMING.c.id)
    )
    return tuple(_payment(row) for row in session.execute(query))


def orders(
    session: Session,
    scope: Scope,
    *,
    account_id: AccountId | None = None,
    state: OrderState | None = None,
    limit: int = 50,
) -> tuple[PaymentOrderRow, ...]:
    """Return the orders of accounts in reach, the latest first."""
    query = select(PaymentOrderRow).where(account_in_scope(_ORDER.c.account_id, scope))
    if account_id is not None:
        query = query.where(_ORDER.c.account_id == account_id)
    if state is not None:
        query = query.where(_ORDER.c.state == state)
    return tuple(session.scalars(query.order_by(_ORDER.c.id.desc()).limit(limit)))


def order_by_public_id(session: Session, scope: Scope, public_id: str) -> PaymentOrderRow:
    """Return an order of an account in reach."""
    row = session.scalars(
        select(PaymentOrderRow).where(
            PaymentOrderRow.public_id == public_id, account_in_scope(_ORDER.c.account_id, scope)
        )
    ).one_or_none()
    if row is None:
        raise NotFound(what=mark("payment order"), name=public_id[:40])
    return row


def refused_json(rows: Iterable[RefusedRow]) -> str:
    """Return refused rows as a file keeps them."""
    return json.dumps(
        [[row.line, row.problem, row.amount_minor] for row in rows],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def refused_rows(text: str) -> tuple[RefusedRow, ...]:
    """Return the refused rows that a file keeps."""
    return tuple(RefusedRow(*each) for each in json.loads(text or "[]"))


def known_keys(
    session: Session, source: PaymentSource, sender: str, transactions: Sequence[str]
) -> dict[tuple[str, str], tuple[int, int | None, int | None]]:
    """Return (amount, file, line) of the payments of a sender by (transaction, account)."""
    found: dict[tuple[str, str], tuple[int, int | None, int | None]] = {}
    for part in in_slices(sorted(set(transactions)), 2_000):
        query = select(
            _INCOMING.c.transaction_id,
            _INCOMING.c.account_text,
            _INCOMING.c.amount_minor,
            _INCOMING.c.file_id,
            _INCOMING.c.line,
        ).where(
            _INCOMING.c.source == source,
            _INCOMING.c.sender == sender,
            _INCOMING.c.transaction_id.in_(part),
        )
        for transaction, account, minor, file_id, line in session.execute(query):
            found[transaction, account] = (minor, file_id, line)
    return found


def _sums(session: Session, condition: Any) -> dict[PaymentState, Sum]:  # noqa: ANN401 - a condition
    query = select(_INCOMING.c.state, func.count(), func.sum(_INCOMING.c.amount_minor))
    rows = session.execute(query.where(condition).group_by(_INCOMING.c.state))
    found = {state: Sum() for state in PaymentState}
    return found | {state: Sum(count, int(minor)) for state, count, minor in rows}


def _in_reach(scope: Scope) -> Any:  # noqa: ANN401 - a condition
    # Money whose account is not known is seen by those who see everything.
    return account_in_scope(_INCOMING.c.account_id, scope)


def _listed_files() -> Select[*tuple[Any, ...]]:
    return select(*(column for column in _FILE.c if column.name != "content"))


def _files(scope: Scope) -> Select[*tuple[Any, ...]]:
    return _listed_files().where(true() if scope.whole_retailer else _FILE.c.id < 0)


def _file(row: Any) -> StoredFile:  # noqa: ANN401 - a row
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for it
    return StoredFile(**values | {"refused": refused_rows(values["refused"])})


def _payment(row: Any) -> Incoming:  # noqa: ANN401 - a row
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for it
    values.pop("request_digest")
    return Incoming(**values)
