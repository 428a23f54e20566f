"""Use cases of notices: write one, hand out what is due, record what came of it, raise alarms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Table, and_, insert, not_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.digest import digest_text
from kilokassa.core.ids import AccountId
from notices.models import (
    NoticeAlarmRow,
    NoticeAttemptRow,
    NoticeDeliveryRow,
    NoticeRow,
    WebhookEndpointRow,
)
from notices.notice import (
    OPEN_STATES,
    QUIET_HOURS,
    Delivery,
    DeliveryMethod,
    Message,
    Notice,
    NoticeKind,
    NoticeOrder,
    NoticeState,
    Outcome,
    QuietHours,
    Way,
)
from notices.rules import (
    ALARM_KINDS,
    MAX_ATTEMPTS,
    Alarm,
    Standing,
    Thresholds,
    allowed_at,
    judge,
    retry_after,
)
from notices.store import preferences
from notices.unusual import Use, UseLimits, judge_use

LEASE: Final = timedelta(minutes=15)
"""How long a notice stays with whoever took it; then it is due again, for that one may be dead."""

_CHUNK: Final = 2000

_notices = cast(Table, NoticeRow.__table__)
_alarms = cast(Table, NoticeAlarmRow.__table__)
_endpoints = cast(Table, WebhookEndpointRow.__table__)


@dataclass(frozen=True, slots=True)
class AlarmOrder:
    """Accounts as they stand, to be judged by one set of thresholds."""

    standings: tuple[Standing, ...]
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True, slots=True)
class RaisedAlarm:
    """An alarm that was raised just now and is to be told; its key is `rules.alarm_key`."""

    account_id: AccountId
    kind: NoticeKind
    episode: int


def enqueue(session: Session, order: NoticeOrder, clock: Clock) -> bool:
    """Write one notice; say whether it is new. The same key again changes nothing."""
    return enqueue_all(session, [order], clock) == 1


def enqueue_all(session: Session, orders: Sequence[NoticeOrder], clock: Clock) -> int:
    """Write notices and return how many of them are new; call it with the effect they tell of.

    A key that is there already changes nothing, whatever the order says: the fact was told, or will
    be, in the words of the first.
    """
    now = clock.now()
    rows = {order.dedupe_key: _row(order, now) for order in reversed(orders)}
    if not rows:
        return 0
    statement = (
        _insert(session, _notices)
        .on_conflict_do_nothing(index_elements=["dedupe_key"])
        .returning(_notices.c.id)
    )
    keys = sorted(rows)  # one order for all writers: two batches cannot wait for each other
    written = 0
    for start in range(0, len(keys), _CHUNK):
        chunk = [rows[key] for key in keys[start : start + _CHUNK]]
        written += len(session.execute(statement, chunk).all())
    return written


def claim_due(
    session: Session, limit: int, clock: Clock, ways: Sequence[Way] | None = None
) -> tuple[Notice, ...]:
    """Hand out up to `limit` notices that are due, oldest first; each to one taker at a time.

    Only those of some `ways`, if they are given, and none for an endpoint that is paused. Commit
    before delivering: the lease holds from then on. What falls into quiet hours by now is put off
    to the morning, and what was taken again and again without an answer is given up.
    """
    now = clock.now()
    due = (
        select(_notices)
        .where(
            _notices.c.state.in_(OPEN_STATES),
            _notices.c.next_attempt_at <= now,
            _not_paused(now),
            *(() if ways is None else (_notices.c.way.in_(ways),)),
        )
        .order_by(_notices.c.next_attempt_at, _notices.c.id)
        .limit(limit)
        # SQLite has one writer and ignores this; on PostgreSQL takers pass by each other.
        .with_for_update(skip_locked=True)
    )
    claimed: list[Notice] = []
    while not claimed and (rows := session.execute(due).mappings().all()):
        of_accounts = preferences(
            session, [AccountId(row["account_id"]) for row in rows if row["account_id"] is not None]
        )
        for row in rows:
            stated = of_accounts.get(row["account_id"])
            quiet = QUIET_HOURS if stated is None else stated.quiet
            morning = _allowed_at(row["kind"], row["way"], now, ZoneInfo(row["zone"]), quiet)
            if row["attempts"] >= MAX_ATTEMPTS:
                error = row["last_error"] or "taken many times, never answered"
                _set(session, row["id"], state=NoticeState.GIVEN_UP, last_error=error)
            elif morning > now:
                _set(session, row["id"], state=NoticeState.PENDING, next_attempt_at=morning)
            else:
                claimed.append(_notice(row, now))
    if claimed:
        session.execute(
            update(_notices)
            .where(_notices.c.id.in_([notice.id for notice in claimed]))
            .values(
                state=NoticeState.SENDING,
                attempts=_notices.c.attempts + 1,
                next_attempt_at=now + LEASE,
            )
        )
    return tuple(claimed)


def record_sent(
    session: Session,
    notice: Notice,
    delivery: Delivery,
    clock: Clock,
    began_at: datetime | None = None,
) -> bool:
    """Write down that a notice was accepted, with the answer; say whether that is new.

    It counts even when the lease has run out meanwhile: what was sent was sent. A system that took
    an event has it, so that its answer is the proof of a delivery too; a mail server's is not.
    """
    now = clock.now()
    found = session.execute(
        update(_notices)
        .where(_notices.c.id == notice.id, _notices.c.state != NoticeState.SENT)
        .values(state=NoticeState.SENT, sent_at=now, proof=delivery.answer, last_error="")
        .returning(_notices.c.id)
    )
    new = found.first() is not None
    _note_attempt(session, notice, delivery, began_at or notice.attempted_at, now)
    if new and notice.way is Way.WEBHOOK:
        session.execute(
            _insert(session, cast(Table, NoticeDeliveryRow.__table__))
            .values(
                notice_id=notice.id,
                method=DeliveryMethod.WEBHOOK,
                delivered_at=now,
                proof=delivery.answer,
                actor=f"webhook:{notice.recipient}",
                recorded_at=now,
            )
            .on_conflict_do_nothing()
        )
        session.execute(
            update(_endpoints)
            .where(_endpoints.c.code == notice.recipient, _endpoints.c.failures > 0)
            .values(failures=0, paused_until=None, last_error="")
        )
    return new


def record_failed(
    session: Session,
    notice: Notice,
    delivery: Delivery,
    clock: Clock,
    *,
    jitter: float,
    began_at: datetime | None = None,
) -> NoticeState | None:
    """Write down that an attempt failed; return the state that follows.

    A refusal of the notice itself is final; anything else is tried again after a growing pause, or
    when the other side asked for it, up to `MAX_ATTEMPTS`. An endpoint that was not reached, or
    asked to wait, is paused with all that goes to it. None where another taker has the notice by
    now: its word counts.
    """
    now = clock.now()
    _note_attempt(session, notice, delivery, began_at or notice.attempted_at, now)
    if notice.way is Way.WEBHOOK:
        _pause(session, notice.recipient, delivery, now, jitter)
    pause = retry_after(notice.attempt, jitter=jitter)
    again_at = now + pause if delivery.retry_at is None else max(now, delivery.retry_at)
    final = delivery.outcome is Outcome.REFUSED or notice.attempt >= MAX_ATTEMPTS
    state = NoticeState.GIVEN_UP if final else NoticeState.FAILED
    found = session.execute(
        update(_notices)
        .where(*_held_by(notice))
        .values(
            state=state,
            last_error=delivery.answer,
            next_attempt_at=again_at,
        )
        .returning(_notices.c.id)
    )
    return state if found.first() is not None else None


def release(session: Session, notices: Sequence[Notice], due_at: datetime) -> None:
    """Give back notices that were taken and not tried; they count as never taken."""
    for notice in notices:
        session.execute(
            update(_notices)
            .where(*_held_by(notice))
            .values(
                state=NoticeState.PENDING,
                attempts=_notices.c.attempts - 1,
                next_attempt_at=due_at,
            )
        )


def raise_alarms(session: Session, order: AlarmOrder, clock: Clock) -> tuple[RaisedAlarm, ...]:
    """Judge accounts as they stand and return the alarms to be told, in the order given.

    The caller writes their notices in the same transaction, under `rules.alarm_key`.
    """
    known = _alarms_of(session, [standing.account_id for standing in order.standings])
    raised: list[RaisedAlarm] = []
    changed: dict[tuple[AccountId, NoticeKind], dict[str, Any]] = {}
    for standing in order.standings:
        alarms = known.get(standing.account_id, {})
        judgement = judge(standing, alarms, standing.thresholds or order.thresholds)
        for kind, alarm in judgement.alarms.items():
            if alarm != alarms.get(kind, Alarm()):
                changed[standing.account_id, kind] = _alarm_row(
                    standing.account_id, kind, alarm, clock
                )
        known[standing.account_id] = dict(judgement.alarms)
        if judgement.tell is not None:
            episode = judgement.alarms[judgement.tell].episode
            raised.append(RaisedAlarm(standing.account_id, judgement.tell, episode))
    _remember(session, changed)
    return tuple(raised)


def raise_use_alarms(
    session: Session,
    uses: Mapping[AccountId, Use],
    clock: Clock,
    limits: UseLimits | None = None,
) -> tuple[RaisedAlarm, ...]:
    """Judge the use of accounts and return the alarms to be told, lowest account first."""
    known = _alarms_of(session, list(uses), (NoticeKind.UNUSUAL_USE,))
    raised = []
    changed = {}
    for account_id in sorted(uses):
        before = known.get(account_id, {}).get(NoticeKind.UNUSUAL_USE, Alarm())
        now = judge_use(uses[account_id], before, limits or UseLimits())
        if now != before:
            key = (account_id, NoticeKind.UNUSUAL_USE)
            changed[key] = _alarm_row(*key, now, clock)
        if now.episode > before.episode:
            raised.append(RaisedAlarm(account_id, NoticeKind.UNUSUAL_USE, now.episode))
    _remember(session, changed)
    return tuple(raised)


def _alarm_row(
    account_id: AccountId, kind: NoticeKind, alarm: Alarm, clock: Clock
) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "kind": kind,
        "raised": alarm.raised,
        "episode": alarm.episode,
        "changed_at": clock.now(),
    }


def _remember(
    session: Session, changed: Mapping[tuple[AccountId, NoticeKind], dict[str, Any]]
) -> None:
    if not changed:
        return
    statement = _insert(session, _alarms)
    new = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["account_id", "kind"],
            set_={"raised": new.raised, "episode": new.episode, "changed_at": new.changed_at},
        ),
        [changed[key] for key in sorted(changed)],
    )


def _row(order: NoticeOrder, now: datetime) -> dict[str, Any]:
    return {
        "kind": order.kind,
        "account_id": order.account_id,
        "language": order.language,
        "way": order.way,
        "recipient": order.recipient,
        "subject": order.message.subject,
        "body_text": order.message.text,
        "body_html": order.message.html,
        "document_number": order.document_number,
        "dedupe_key": order.dedupe_key,
        "zone": order.zone.key,
        # By the instant too, since another installation's accounts bear the same numbers.
        "message_id": digest_text(f"{order.dedupe_key}|{now.isoformat()}|{order.recipient}")[:32],
        "state": NoticeState.PENDING,
        "attempts": 0,
        "next_attempt_at": _allowed_at(order.kind, order.way, now, order.zone, order.quiet),
        "created_at": now,
        "proof": "",
        "last_error": "",
    }


def _notice(row: Mapping[Any, Any], now: datetime) -> Notice:
    return Notice(
        id=row["id"],
        kind=row["kind"],
        account_id=None if row["account_id"] is None else AccountId(row["account_id"]),
        language=row["language"],
        way=row["way"],
        recipient=row["recipient"],
        message=Message(row["subject"], row["body_text"], row["body_html"]),
        message_id=row["message_id"],
        document_number=row["document_number"],
        attempt=row["attempts"] + 1,
        attempted_at=now,
        leased_until=now + LEASE,
    )


def _held_by(notice: Notice) -> tuple[Any, ...]:
    return (
        _notices.c.id == notice.id,
        _notices.c.state == NoticeState.SENDING,
        _notices.c.attempts == notice.attempt,
        _notices.c.next_attempt_at == notice.leased_until,
    )


def _allowed_at(
    kind: NoticeKind, way: Way, at: datetime, zone: ZoneInfo, quiet: QuietHours
) -> datetime:
    return at if way is Way.WEBHOOK else allowed_at(kind, at, zone, quiet)


def _not_paused(now: datetime) -> ColumnElement[bool]:
    paused = select(_endpoints.c.code).where(_endpoints.c.paused_until > now)
    return not_(and_(_notices.c.way == Way.WEBHOOK, _notices.c.recipient.in_(paused)))


def _pause(session: Session, code: str, delivery: Delivery, now: datetime, jitter: float) -> None:
    """Let an endpoint rest: longer each time that it is not reached, or as long as it asked for."""
    if delivery.outcome is Outcome.UNREACHABLE:
        failures = session.scalar(select(_endpoints.c.failures).where(_endpoints.c.code == code))
        if failures is None:
            return
        values = {
            "failures": failures + 1,
            "paused_until": now + retry_after(failures + 1, jitter=jitter),
        }
    elif delivery.retry_at is not None:
        values = {"paused_until": delivery.retry_at}
    else:
        return
    session.execute(
        update(_endpoints)
        .where(_endpoints.c.code == code)
        .values(last_error=delivery.answer, **values)
    )


def _note_attempt(
    session: Session, notice: Notice, delivery: Delivery, began_at: datetime, now: datetime
) -> None:
    session.execute(
        insert(cast(Table, NoticeAttemptRow.__table__)).values(
            notice_id=notice.id,
            began_at=began_at,
            ended_at=now,
            outcome=delivery.outcome,
            answer=delivery.answer,
        )
    )


def _set(session: Session, notice_id: int, **values: object) -> None:
    session.execute(update(_notices).where(_notices.c.id == notice_id).values(**values))


def _alarms_of(
    session: Session, account_ids: Sequence[AccountId], kinds: Sequence[NoticeKind] = ALARM_KINDS
) -> dict[AccountId, dict[NoticeKind, Alarm]]:
    known: dict[AccountId, dict[NoticeKind, Alarm]] = {}
    ids = sorted(set(account_ids))
    for start in range(0, len(ids), _CHUNK):
        query = select(_alarms).where(
            _alarms.c.account_id.in_(ids[start : start + _CHUNK]), _alarms.c.kind.in_(kinds)
        )
        for row in session.execute(query).mappings():
            of_account = known.setdefault(AccountId(row["account_id"]), {})
            of_account[row["kind"]] = Alarm(row["raised"], row["episode"])
    return known


def _insert(session: Session, table: Table) -> sqlite.Insert | postgresql.Insert:
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)
