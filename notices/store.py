"""Queries of notices: lists, one as it was written, its attempts and deliveries, preferences."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session

from kilokassa.core.errors import NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import Language, mark
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from notices.models import (
    NoticeAttemptRow,
    NoticeDeliveryRow,
    NoticeDeliveryWithdrawalRow,
    NoticePreferenceRow,
    NoticeRow,
    WebhookEndpointRow,
)
from notices.notice import (
    OPEN_STATES,
    PERSONAL_WAYS,
    DeliveryMethod,
    NoticeKind,
    NoticeState,
    Outcome,
    Way,
)
from notices.preferences import STANDARD, Preference
from notices.preferences import read as read_preference

WHAT: Final = mark("notice")


@dataclass(frozen=True, slots=True)
class NoticeSummary:
    """A notice as lists show it."""

    id: int
    kind: NoticeKind
    way: Way
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
    """What the other side answered when it accepted it; that is not yet a delivery."""
    last_error: str
    message_id: str
    delivered_at: datetime | None = None
    """The first delivery that is proven and stands."""
    delivered_by: DeliveryMethod | None = None

    @property
    def delivered(self) -> bool:
        """Say whether a delivery is proven."""
        return self.delivered_at is not None


@dataclass(frozen=True, slots=True)
class RecordedDelivery:
    """One statement that a notice arrived, whether it still stands or was withdrawn."""

    id: int
    notice_id: int
    method: DeliveryMethod
    delivered_at: datetime
    proof: str
    actor: str
    recorded_at: datetime
    withdrawn_at: datetime | None = None
    withdrawn_by: str = ""
    withdrawn_why: str = ""

    @property
    def stands(self) -> bool:
        """Say whether it counts: it is proven and was not withdrawn."""
        return bool(self.proof) and self.withdrawn_at is None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt and what the other side answered."""

    began_at: datetime
    ended_at: datetime
    outcome: Outcome
    answer: str

    @property
    def took_ms(self) -> int:
        """How long it took, in milliseconds."""
        return round((self.ended_at - self.began_at).total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class WrittenNotice:
    """One notice as it was written, with all that became of it."""

    summary: NoticeSummary
    language: Language
    html: str
    attempts: tuple[Attempt, ...]
    deliveries: tuple[RecordedDelivery, ...]


@dataclass(frozen=True, slots=True)
class DeliveredNotice:
    """A delivery that is proven: what the law's clock starts from."""

    notice_id: int
    delivery_id: int
    written_at: datetime
    delivered_at: datetime
    method: DeliveryMethod
    proof: str
    dedupe_key: str
    """Names the fact that was told."""


@dataclass(frozen=True, slots=True)
class NoticeFilter:
    """What a list of notices is narrowed to."""

    state: NoticeState | None = None
    kind: NoticeKind | None = None
    way: Way | None = None
    account_id: AccountId | None = None
    endpoint: str = ""
    undelivered: bool = False
    """Only those without a proven delivery."""


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """How the outbox stands: for health checks and the staff's start page."""

    by_state: dict[NoticeState, int]
    oldest_due_at: datetime | None
    """Since when the longest waiting notice could have been sent."""


@dataclass(frozen=True, slots=True)
class EndpointState:
    """A webhook as lists show it; its secret is not among them."""

    code: str
    url: str
    kinds: tuple[NoticeKind, ...]
    """Empty: all of them."""
    active: bool
    failures: int
    paused_until: datetime | None
    last_error: str
    actor: str
    created_at: datetime
    changed_at: datetime
    counts: Mapping[NoticeState, int] = field(default_factory=dict)

    def wants(self, kind: NoticeKind) -> bool:
        """Say whether events of a kind go to it."""
        return self.active and (not self.kinds or kind in self.kinds)


def list_notices(
    session: Session,
    scope: Scope,
    asked: NoticeFilter | None = None,
    *,
    limit: int | None = 50,
    offset: int = 0,
) -> tuple[tuple[NoticeSummary, ...], int]:
    """Return the scope's notices, latest first, and how many there are in all."""
    where = _conditions(scope, asked or NoticeFilter())
    total = session.scalar(select(func.count()).select_from(NoticeRow).where(*where)) or 0
    query = _latest(where).offset(offset)
    rows = session.scalars(query if limit is None else query.limit(limit)).all()
    return _summaries(session, rows), total


def notices_of(
    session: Session, scope: Scope, account_id: AccountId, limit: int = 50
) -> tuple[NoticeSummary, ...]:
    """Return what was told to the people of an account, latest first; none out of scope."""
    where = [
        NoticeRow.account_id == account_id,
        NoticeRow.way.in_(PERSONAL_WAYS),
        account_in_scope(NoticeRow.__table__.c.account_id, scope),
    ]
    return _summaries(session, session.scalars(_latest(where).limit(limit)).all())


def written_notice(
    session: Session,
    scope: Scope,
    notice_id: int,
    account_id: AccountId | None = None,
) -> WrittenNotice:
    """Return one notice as it was written, of an account if one is named; else it is not found."""
    scope.demand(Right.VIEW)
    row = notice_in_reach(session, scope, notice_id)
    if account_id is not None and (row.account_id != account_id or row.way not in PERSONAL_WAYS):
        raise NotFound(what=WHAT, name=str(notice_id))
    attempts = session.scalars(
        select(NoticeAttemptRow)
        .where(NoticeAttemptRow.notice_id == notice_id)
        .order_by(NoticeAttemptRow.id)
    )
    return WrittenNotice(
        summary=_summaries(session, [row])[0],
        language=row.language,
        html=row.body_html,
        attempts=tuple(
            Attempt(one.began_at, one.ended_at, one.outcome, one.answer) for one in attempts
        ),
        deliveries=deliveries_of(session, [notice_id]).get(notice_id, ()),
    )


def notice_in_reach(session: Session, scope: Scope, notice_id: int) -> NoticeRow:
    """Return the row of a notice in reach; another is not found."""
    row = session.scalar(
        select(NoticeRow).where(
            NoticeRow.id == notice_id, account_in_scope(NoticeRow.__table__.c.account_id, scope)
        )
    )
    if row is None:
        raise NotFound(what=WHAT, name=str(notice_id))
    return row


def deliveries_of(
    session: Session, notice_ids: Sequence[int]
) -> dict[int, tuple[RecordedDelivery, ...]]:
    """Return what was recorded of notices that the caller may see, in the order of recording."""
    found: dict[int, list[RecordedDelivery]] = defaultdict(list)
    for part in in_slices(sorted(set(notice_ids))):
        query = (
            _deliveries()
            .where(NoticeDeliveryRow.notice_id.in_(part))
            .order_by(NoticeDeliveryRow.id)
        )
        for row, withdrawal in session.execute(query):
            found[row.notice_id].append(_recorded(row, withdrawal))
    return {notice_id: tuple(rows) for notice_id, rows in found.items()}


def delivered(session: Session, account_id: AccountId, kind: NoticeKind) -> DeliveredNotice | None:
    """Return the latest proven delivery of a kind to an account; None where none is proven."""
    return delivered_to(session, [account_id], kind).get(account_id)


def delivered_to(
    session: Session, account_ids: Sequence[AccountId], kind: NoticeKind
) -> dict[AccountId, DeliveredNotice]:
    """Return the latest proven delivery of a kind to each of some accounts that has one.

    Of several deliveries of one notice the first counts: the clock that it started runs on.
    """
    first: dict[int, tuple[AccountId, DeliveredNotice]] = {}
    for part in in_slices(sorted(set(account_ids))):
        query = (
            _deliveries()
            .add_columns(NoticeRow.account_id, NoticeRow.created_at, NoticeRow.dedupe_key)
            .join(NoticeRow, NoticeRow.id == NoticeDeliveryRow.notice_id)
            .where(
                NoticeRow.account_id.in_(part),
                NoticeRow.kind == kind,
                NoticeRow.way.in_(PERSONAL_WAYS),
            )
            .order_by(NoticeDeliveryRow.delivered_at, NoticeDeliveryRow.id)
        )
        for row, withdrawal, account_id, written_at, key in session.execute(query):
            one = _recorded(row, withdrawal)
            if one.stands and row.notice_id not in first:
                first[row.notice_id] = (
                    AccountId(account_id),
                    DeliveredNotice(
                        notice_id=row.notice_id,
                        delivery_id=row.id,
                        written_at=written_at,
                        delivered_at=row.delivered_at,
                        method=row.method,
                        proof=row.proof,
                        dedupe_key=key,
                    ),
                )
    return dict(sorted(first.values(), key=lambda pair: pair[1].delivered_at))


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


def preferences(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, Preference]:
    """Return what accounts stated about notices; those that stated nothing are left out."""
    found = {}
    for part in in_slices(sorted(set(account_ids))):
        query = select(NoticePreferenceRow.account_id, NoticePreferenceRow.preference).where(
            NoticePreferenceRow.account_id.in_(part), NoticePreferenceRow.superseded_at.is_(None)
        )
        for account_id, text in session.execute(query):
            found[AccountId(account_id)] = read_preference(text)
    return found


def preference_of(session: Session, account_id: AccountId) -> Preference:
    """Return what stands for an account that the caller may see."""
    return preferences(session, [account_id]).get(account_id, STANDARD)


def endpoints(session: Session) -> tuple[EndpointState, ...]:
    """Return all webhooks by their codes, with how many events are in which state."""
    counts: dict[str, dict[NoticeState, int]] = defaultdict(dict)
    counted = select(NoticeRow.recipient, NoticeRow.state, func.count()).where(
        NoticeRow.way == Way.WEBHOOK
    )
    for code, state, total in session.execute(
        counted.group_by(NoticeRow.recipient, NoticeRow.state)
    ):
        counts[code][state] = total
    rows = session.scalars(select(WebhookEndpointRow).order_by(WebhookEndpointRow.code))
    return tuple(_endpoint(row, counts.get(row.code, {})) for row in rows)


def active_endpoints(session: Session) -> tuple[EndpointState, ...]:
    """Return the webhooks that are in use."""
    query = select(WebhookEndpointRow).where(WebhookEndpointRow.active)
    return tuple(_endpoint(row, {}) for row in session.scalars(query.order_by("code")))


def _endpoint(row: WebhookEndpointRow, counts: Mapping[NoticeState, int]) -> EndpointState:
    return EndpointState(
        code=row.code,
        url=row.url,
        kinds=tuple(NoticeKind(kind) for kind in row.kinds.split(",") if kind),
        active=row.active,
        failures=row.failures,
        paused_until=row.paused_until,
        last_error=row.last_error,
        actor=row.actor,
        created_at=row.created_at,
        changed_at=row.changed_at,
        counts=counts,
    )


def _conditions(scope: Scope, asked: NoticeFilter) -> list[ColumnElement[bool]]:
    where = [account_in_scope(NoticeRow.__table__.c.account_id, scope)]
    if asked.state is not None:
        where.append(NoticeRow.state == asked.state)
    if asked.kind is not None:
        where.append(NoticeRow.kind == asked.kind)
    if asked.way is not None:
        where.append(NoticeRow.way == asked.way)
    if asked.account_id is not None:
        where.append(NoticeRow.account_id == asked.account_id)
    if asked.endpoint:
        where.append(and_(NoticeRow.way == Way.WEBHOOK, NoticeRow.recipient == asked.endpoint))
    if asked.undelivered:
        proven = (
            select(NoticeDeliveryRow.notice_id)
            .outerjoin(
                NoticeDeliveryWithdrawalRow,
                NoticeDeliveryWithdrawalRow.delivery_id == NoticeDeliveryRow.id,
            )
            .where(NoticeDeliveryWithdrawalRow.id.is_(None), NoticeDeliveryRow.proof != "")
        )
        where.append(NoticeRow.id.not_in(proven))
    return where


def _latest(where: Sequence[ColumnElement[bool]]) -> Select[NoticeRow]:
    return select(NoticeRow).where(*where).order_by(NoticeRow.id.desc())


def _deliveries() -> Select[*tuple[Any, ...]]:
    return select(NoticeDeliveryRow, NoticeDeliveryWithdrawalRow).outerjoin(
        NoticeDeliveryWithdrawalRow,
        NoticeDeliveryWithdrawalRow.delivery_id == NoticeDeliveryRow.id,
    )


def _recorded(
    row: NoticeDeliveryRow, withdrawal: NoticeDeliveryWithdrawalRow | None
) -> RecordedDelivery:
    return RecordedDelivery(
        id=row.id,
        notice_id=row.notice_id,
        method=row.method,
        delivered_at=row.delivered_at,
        proof=row.proof,
        actor=row.actor,
        recorded_at=row.recorded_at,
        withdrawn_at=None if withdrawal is None else withdrawal.recorded_at,
        withdrawn_by="" if withdrawal is None else withdrawal.actor,
        withdrawn_why="" if withdrawal is None else withdrawal.reason,
    )


def _summaries(session: Session, rows: Sequence[NoticeRow]) -> tuple[NoticeSummary, ...]:
    recorded = deliveries_of(session, [row.id for row in rows])
    return tuple(_summary(row, recorded.get(row.id, ())) for row in rows)


def _summary(row: NoticeRow, recorded: Sequence[RecordedDelivery]) -> NoticeSummary:
    standing = [one for one in recorded if one.stands]
    first = min(standing, key=lambda one: one.delivered_at) if standing else None
    return NoticeSummary(
        id=row.id,
        kind=row.kind,
        way=row.way,
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
        message_id=row.message_id,
        delivered_at=None if first is None else first.delivered_at,
        delivered_by=None if first is None else first.method,
    )
