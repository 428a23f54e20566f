"""Use cases of documents: issue many at once, cancel one, verify all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from invoices.documents import (
    AlreadyCancelled,
    DocumentExists,
    DocumentFault,
    Draft,
    IssuedDocument,
    NotCancellable,
    document_digest,
)
from invoices.models import DocumentCounterRow, DocumentRow
from invoices.numbering import DocumentKind, document_number
from invoices.store import all_documents, document_by_number, live_payment_documents
from kilokassa.core.calendar import Month
from kilokassa.core.clock import Clock
from kilokassa.core.digest import canonical_json
from kilokassa.core.errors import RequestConflict
from kilokassa.core.ids import AccountId, DocumentId
from kilokassa.core.scope import Scope
from kilokassa.core.text import Language, mark
from kilokassa.db.slices import in_slices

_DOCUMENT = DocumentRow.__table__
_COUNTER = DocumentCounterRow.__table__


@dataclass(frozen=True, slots=True)
class IssueOrder:
    """Drafts to issue together; their numbers follow each other in the order given."""

    drafts: Sequence[Draft]
    issued_on: date
    """The retailer's local day; its year is the year of the numbers."""
    run_id: int | None = None


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """A document to cancel, and why."""

    scope: Scope
    number: str
    issued_on: date
    reason: str
    key: str


def issue_documents(
    session: Session, order: IssueOrder, clock: Clock
) -> tuple[IssuedDocument, ...]:
    """Issue the drafts that were not issued before; return all, in the order given.

    A key that was issued before gives the document that was issued then: once issued, a document
    stays what it is. Call it last in the transaction: from here on the counter's row is locked.
    """
    _refuse_repeated_keys(order.drafts)
    texts = {draft.key: canonical_json(draft.snapshot) for draft in order.drafts}
    now = clock.now()
    kinds = sorted({draft.kind for draft in order.drafts})
    last_numbers = {kind: _lock_counter(session, kind, order.issued_on.year) for kind in kinds}
    # Only now, with the counters held, can nobody issue the same key between look and insert.
    known = _issued_before(session, [draft.key for draft in order.drafts])
    for draft in order.drafts:
        if draft.key in known:
            _same_or_conflict(known[draft.key], draft)
    fresh = [draft for draft in order.drafts if draft.key not in known]
    revisions = _next_revisions(session, fresh)
    rows: list[dict[str, Any]] = []
    for draft in fresh:
        last_numbers[draft.kind] += 1
        sequence = last_numbers[draft.kind]
        revision = revisions.get((draft.account_id, draft.month), 1)
        rows.append(_values(draft, texts[draft.key], sequence, revision, order, now))
    if rows:
        session.connection().execute(insert(DocumentRow), rows)
        for kind in kinds:
            _keep_counter(session, kind, order.issued_on.year, last_numbers[kind])
        known |= _issued_before(session, [row["key"] for row in rows], new=True)
    return tuple(known[draft.key] for draft in order.drafts)


def cancel_document(session: Session, order: CancelOrder, clock: Clock) -> IssuedDocument:
    """Cancel a document by a document; the account and month may then have a new one."""
    document = document_by_number(session, order.scope, order.number)
    if document.kind is DocumentKind.CANCELLATION:
        raise NotCancellable(number=document.number)
    shown = document.snapshot
    year = order.issued_on.year
    last_number = _lock_counter(session, DocumentKind.CANCELLATION, year)
    known = _issued_before(session, [order.key]).get(order.key)
    draft = Draft(
        kind=DocumentKind.CANCELLATION,
        account_id=document.account_id,
        month=document.month,
        language=document.language,
        key=order.key,
        input_digest=document.digest,
        snapshot={
            "v": 1,
            "cancels": document.number,
            "cancelled_digest": document.digest,
            "reason": order.reason,
            "issued_on": order.issued_on.isoformat(),
            **{name: shown[name] for name in ("retailer", "payer", "demo") if name in shown},
        },
    )
    if known is not None:
        _same_or_conflict(known, draft)
        return known
    fresh = select(_DOCUMENT.c.id).where(_DOCUMENT.c.cancels_id == document.id)
    if session.execute(fresh).first() is not None:
        raise AlreadyCancelled(number=document.number)
    revision = session.scalar(select(_DOCUMENT.c.revision).where(_DOCUMENT.c.id == document.id))
    issue = IssueOrder(drafts=(draft,), issued_on=order.issued_on)
    text = canonical_json(draft.snapshot)
    values = _values(draft, text, last_number + 1, revision or 1, issue, clock.now())
    session.connection().execute(insert(DocumentRow), [values | {"cancels_id": document.id}])
    _keep_counter(session, DocumentKind.CANCELLATION, year, last_number + 1)
    return _issued_before(session, [order.key], new=True)[order.key]


def verify(session: Session) -> Iterator[DocumentFault]:
    """Yield what is wrong: a number that is missing, a digest that is not that of the content."""
    counts = select(
        _DOCUMENT.c.kind,
        _DOCUMENT.c.year,
        func.count(),
        func.min(_DOCUMENT.c.sequence),
        func.max(_DOCUMENT.c.sequence),
    ).group_by(_DOCUMENT.c.kind, _DOCUMENT.c.year)
    issued = {
        (k, year): (count, low, high) for k, year, count, low, high in session.execute(counts)
    }
    counters = select(_COUNTER.c.kind, _COUNTER.c.year, _COUNTER.c.last_number)
    given = {(kind, year): last for kind, year, last in session.execute(counters)}
    for kind, year in sorted(issued.keys() | given.keys()):
        count, low, high = issued.get((kind, year), (0, 1, 0))
        last = given.get((kind, year), 0)
        if (low, high, count) != (1, last, last):
            name = document_number(DocumentKind(kind), year, max(high, last, 1))
            yield DocumentFault(name, mark("The numbers of this kind and year have a gap."))
    for document in all_documents(session):
        if not document.is_intact:
            yield DocumentFault(
                document.number, mark("The content of the document does not match its digest.")
            )


def _refuse_repeated_keys(drafts: Sequence[Draft]) -> None:
    seen: set[str] = set()
    for draft in drafts:
        if draft.key in seen:
            raise RequestConflict(key=draft.key)
        seen.add(draft.key)


def _lock_counter(session: Session, kind: DocumentKind, year: int) -> int:
    """Lock the counter's row, make it where it does not exist, and return the last number given."""
    connection = session.connection()
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        dialect.insert(DocumentCounterRow)
        .values(kind=kind, year=year, last_number=0)
        .on_conflict_do_nothing()
    )
    # An update that changes nothing takes the lock on both databases; SQLite ignores FOR UPDATE.
    locked = (
        update(DocumentCounterRow)
        .where(_COUNTER.c.kind == kind, _COUNTER.c.year == year)
        .values(last_number=_COUNTER.c.last_number)
        .returning(_COUNTER.c.last_number)
    )
    return int(connection.execute(locked).scalar_one())


def _keep_counter(session: Session, kind: DocumentKind, year: int, last_number: int) -> None:
    session.connection().execute(
        update(DocumentCounterRow)
        .where(_COUNTER.c.kind == kind, _COUNTER.c.year == year)
        .values(last_number=bindparam("taken")),
        {"taken": last_number},
    )


def _issued_before(
    session: Session, keys: Sequence[str], *, new: bool = False
) -> dict[str, IssuedDocument]:
    columns = (
        _DOCUMENT.c.id,
        _DOCUMENT.c.kind,
        _DOCUMENT.c.number,
        _DOCUMENT.c.account_id,
        _DOCUMENT.c.month,
        _DOCUMENT.c.key,
        _DOCUMENT.c.digest,
    )
    found: dict[str, IssuedDocument] = {}
    for part in in_slices(keys):
        for row in session.execute(select(*columns).where(_DOCUMENT.c.key.in_(part))):
            found[row.key] = IssuedDocument(
                id=DocumentId(row.id),
                kind=row.kind,
                number=row.number,
                account_id=AccountId(row.account_id),
                month=None if row.month is None else Month.from_ordinal(row.month),
                key=row.key,
                digest=row.digest,
                new=new,
            )
    return found


def _same_or_conflict(earlier: IssuedDocument, draft: Draft) -> None:
    asked = (draft.kind, draft.account_id, draft.month)
    if (earlier.kind, earlier.account_id, earlier.month) != asked:
        raise RequestConflict(key=draft.key)


def _next_revisions(
    session: Session, drafts: Sequence[Draft]
) -> Mapping[tuple[AccountId, Month | None], int]:
    """Return which revision each payment document will be; refuse where one is live."""
    revisions: dict[tuple[AccountId, Month | None], int] = {}
    by_month: dict[Month, list[AccountId]] = {}
    for draft in drafts:
        if draft.kind is DocumentKind.PAYMENT_DOCUMENT:
            if draft.month is None:
                raise ValueError(f"a payment document has a month: {draft.key}")
            by_month.setdefault(draft.month, []).append(draft.account_id)
    for month, account_ids in by_month.items():
        if len(set(account_ids)) != len(account_ids):
            raise ValueError(f"two drafts of {month} are for one account")
        for standing in live_payment_documents(session, month, account_ids):
            if standing.live:
                raise DocumentExists(number=standing.number)
            revisions[standing.account_id, month] = standing.revision + 1
    return revisions


def _values(
    draft: Draft, text: str, sequence: int, revision: int, order: IssueOrder, now: datetime
) -> dict[str, Any]:
    number = document_number(draft.kind, order.issued_on.year, sequence)
    language = str(Language(draft.language))
    return {
        "kind": draft.kind,
        "year": order.issued_on.year,
        "sequence": sequence,
        "number": number,
        "account_id": draft.account_id,
        "month": None if draft.month is None else draft.month.ordinal,
        "revision": revision,
        "issued_at": now,
        "issued_on": order.issued_on,
        "language": language,
        "key": draft.key,
        "snapshot": text,
        "digest": document_digest(draft.kind, number, now, language, text),
        "input_digest": draft.input_digest,
        "run_id": order.run_id,
        "cancels_id": None,
    }
