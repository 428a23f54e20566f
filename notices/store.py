"""Queries of the outbox."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.db.rights import account_in_scope
from notices.models import NoticeRow
from notices.notice import OPEN_STATES, NoticeKind, NoticeState


@dataclass(frozen=True, slots=True)
class NoticeSummary:
    """A notice as lists show it."""

    id: int
    kind: NoticeKind
    account_id: AccountId | None
    recipient: str
    subject: str
    text: str
    document_number: str | None
    state: NoticeState
    attempts: int
    created_at: datetime
    due_at: datetime | None
    """When it is tried next; None once it was sent or given up."""
    sent_at: datetime | None
    proof: str
    last_error: str


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """How the outbox stands: for health checks and the staff's start page."""

    by_state: dict[NoticeState, int]
    oldest_due_at: datetime | None
    """Since when the longest waiting notice could have been sent."""


def notices_of(
    session: Session, scope: Scope, account_id: AccountId, limit: int = 50
) -> tuple[NoticeSummary, ...]:
    """Return the account's notices, latest first; none where the account is out of scope."""
    query = (
        select(NoticeRow)
        .where(
            NoticeRow.account_id == account_id,
            account_in_scope(NoticeRow.__table__.c.account_id, scope),
        )
        .order_by(NoticeRow.id.desc())
        .limit(limit)
    )
    return tuple(_summary(row) for row in session.scalars(query))


def outbox_counts(session: Session, scope: Scope) -> OutboxCounts:
    """Return how many notices of the scope's accounts are in each state."""
    mine = account_in_scope(NoticeRow.__table__.c.account_id, scope)
    counted = session.execute(
        select(NoticeRow.state, func.count().label("total")).where(mine).group_by(NoticeRow.state)
    )
    oldest = session.scalar(
        select(func.min(NoticeRow.next_attempt_at)).where(mine, NoticeRow.state.in_(OPEN_STATES))
    )
    return OutboxCounts({row.state: row.total for row in counted}, oldest)


def _summary(row: NoticeRow) -> NoticeSummary:
    return NoticeSummary(
        id=row.id,
        kind=row.kind,
        account_id=None if row.account_id is None else AccountId(row.account_id),
        recipient=row.recipient,
        subject=row.subject,
        text=row.body_text,
        document_number=row.document_number,
        state=row.state,
        attempts=row.attempts,
        created_at=row.created_at,
        due_at=row.next_attempt_at if row.state in OPEN_STATES else None,
        sent_at=row.sent_at,
        proof=row.proof,
        last_error=row.last_error,
    )
