"""Queries of issued documents; those that serve a person take the actor's scope."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from billing.models import AccountRow
from invoices.documents import Document
from invoices.models import DocumentRow
from invoices.numbering import DocumentKind
from kilokassa.core.calendar import Month
from kilokassa.core.errors import NotFound
from kilokassa.core.ids import AccountId, DocumentId
from kilokassa.core.scope import Scope
from kilokassa.core.text import Language, mark
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices

ROWS_A_FETCH = 500

_DOCUMENT = DocumentRow.__table__
_ACCOUNT = AccountRow.__table__
_CANCELLING = _DOCUMENT.alias("cancelling")


@dataclass(frozen=True, slots=True)
class StandingDocument:
    """The latest payment document of an account and month."""

    account_id: AccountId
    number: str
    revision: int
    live: bool


def documents_of(
    session: Session, scope: Scope, account_id: AccountId, *, kind: DocumentKind | None = None
) -> tuple[Document, ...]:
    """Return the documents of an account that `scope` reaches, the latest first."""
    query = (
        _whole()
        .where(_DOCUMENT.c.account_id == account_id)
        .where(account_in_scope(_DOCUMENT.c.account_id, scope))
        .order_by(_DOCUMENT.c.id.desc())
    )
    if kind is not None:
        query = query.where(_DOCUMENT.c.kind == kind)
    return tuple(_document(row) for row in session.execute(query))


def documents_of_kind(
    session: Session, scope: Scope, kind: DocumentKind, *, limit: int, offset: int = 0
) -> tuple[tuple[Document, ...], int]:
    """Return a page of the documents of a kind in reach, the latest first, and their number."""
    query = (
        _whole()
        .where(_DOCUMENT.c.kind == kind)
        .where(account_in_scope(_DOCUMENT.c.account_id, scope))
    )
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    page = query.order_by(_DOCUMENT.c.id.desc()).limit(limit).offset(offset)
    return tuple(_document(row) for row in session.execute(page)), total


def document_by_number(session: Session, scope: Scope, number: str) -> Document:
    """Return the document with this number; one out of reach is not found."""
    query = (
        _whole()
        .where(_DOCUMENT.c.number == number)
        .where(account_in_scope(_DOCUMENT.c.account_id, scope))
    )
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound(what=mark("document"), name=number)
    return _document(row)


def documents_by_ids(session: Session, ids: Sequence[DocumentId]) -> tuple[Document, ...]:
    """Return these documents in the order of their numbers, for a job."""
    found: list[Document] = []
    for part in in_slices(ids):
        query = _whole().where(_DOCUMENT.c.id.in_(part))
        found.extend(_document(row) for row in session.execute(query.order_by(_DOCUMENT.c.id)))
    return tuple(found)


def live_document_ids(
    session: Session, month: Month, account_ids: Sequence[AccountId] | None = None
) -> list[DocumentId]:
    """Return the ids of the live payment documents of a month, by number, for a job."""
    query = (
        select(_DOCUMENT.c.id)
        .outerjoin(_CANCELLING, _CANCELLING.c.cancels_id == _DOCUMENT.c.id)
        .where(_DOCUMENT.c.month == month.ordinal)
        .where(_DOCUMENT.c.kind == DocumentKind.PAYMENT_DOCUMENT)
        .where(_CANCELLING.c.id.is_(None))
        .order_by(_DOCUMENT.c.id)
    )
    if account_ids is None:
        return [DocumentId(row_id) for row_id in session.scalars(query)]
    found: list[DocumentId] = []
    for part in in_slices(account_ids):
        mine = query.where(_DOCUMENT.c.account_id.in_(part))
        found.extend(DocumentId(row_id) for row_id in session.scalars(mine))
    return found


def iterate_documents(session: Session, month: Month) -> Iterator[Document]:
    """Yield the live payment documents of a month by number, a few hundred in memory at a time."""
    query = (
        _whole()
        .where(_DOCUMENT.c.month == month.ordinal)
        .where(_DOCUMENT.c.kind == DocumentKind.PAYMENT_DOCUMENT)
        .where(_CANCELLING.c.id.is_(None))
        .order_by(_DOCUMENT.c.id)
    )
    yield from _stream(session, query)


def all_documents(session: Session) -> Iterator[Document]:
    """Yield every document there is, for verification."""
    yield from _stream(session, _whole().order_by(_DOCUMENT.c.id))


def live_payment_documents(
    session: Session, month: Month, account_ids: Sequence[AccountId]
) -> Iterator[StandingDocument]:
    """Yield the latest payment document of each of the accounts that has one for `month`."""
    newest: dict[AccountId, StandingDocument] = {}
    for part in in_slices(account_ids):
        query = (
            select(
                _DOCUMENT.c.account_id,
                _DOCUMENT.c.number,
                _DOCUMENT.c.revision,
                _CANCELLING.c.id.is_(None).label("live"),
            )
            .outerjoin(_CANCELLING, _CANCELLING.c.cancels_id == _DOCUMENT.c.id)
            .where(_DOCUMENT.c.kind == DocumentKind.PAYMENT_DOCUMENT)
            .where(_DOCUMENT.c.month == month.ordinal)
            .where(_DOCUMENT.c.account_id.in_(part))
            .order_by(_DOCUMENT.c.revision)
        )
        for account_id, number, revision, live in session.execute(query):
            newest[account_id] = StandingDocument(
                AccountId(account_id), number, revision, bool(live)
            )
    yield from newest.values()


def count_of_month(session: Session, month: Month) -> int:
    """Return how many live payment documents a month has."""
    query = (
        select(func.count())
        .select_from(_DOCUMENT)
        .outerjoin(_CANCELLING, _CANCELLING.c.cancels_id == _DOCUMENT.c.id)
        .where(_DOCUMENT.c.month == month.ordinal)
        .where(_DOCUMENT.c.kind == DocumentKind.PAYMENT_DOCUMENT)
        .where(_CANCELLING.c.id.is_(None))
    )
    return int(session.scalar(query) or 0)


def _whole() -> Select[Any]:
    return (
        select(
            _DOCUMENT,
            _ACCOUNT.c.number.label("account_number"),
            _CANCELLING.c.number.label("cancelled_by"),
        )
        .join(_ACCOUNT, _ACCOUNT.c.id == _DOCUMENT.c.account_id)
        .outerjoin(_CANCELLING, _CANCELLING.c.cancels_id == _DOCUMENT.c.id)
    )


def _stream(session: Session, query: Select[Any]) -> Iterator[Document]:
    rows = session.execute(query.execution_options(yield_per=ROWS_A_FETCH))
    for row in rows:
        yield _document(row)


def _document(row: Row[Any]) -> Document:
    return Document(
        id=DocumentId(row.id),
        kind=row.kind,
        number=row.number,
        account_id=AccountId(row.account_id),
        account_number=row.account_number,
        month=None if row.month is None else Month.from_ordinal(row.month),
        issued_at=row.issued_at,
        issued_on=row.issued_on,
        language=Language(row.language),
        snapshot_text=row.snapshot,
        digest=row.digest,
        input_digest=row.input_digest,
        cancels_id=None if row.cancels_id is None else DocumentId(row.cancels_id),
        cancelled_by=row.cancelled_by or "",
    )
