"""Use cases of people and systems: deliveries and their proof, sending again, wishes, webhooks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, cast

from sqlalchemy import Table, func, select, update
from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.digest import digest_text
from kilokassa.core.errors import DomainError, Invalid, NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Role, Scope
from kilokassa.core.text import mark
from kilokassa.db.locks import wait_for
from notices.channels.http import AddressRefused, HttpRules, checked_url
from notices.channels.webhook import Endpoint
from notices.models import (
    NoticeDeliveryRow,
    NoticeDeliveryWithdrawalRow,
    NoticePreferenceRow,
    NoticeRow,
    WebhookEndpointRow,
)
from notices.notice import (
    DeliveryMethod,
    NoticeKind,
    NoticeState,
    Way,
)
from notices.preferences import Preference, written
from notices.signing import new_secret
from notices.store import RecordedDelivery, deliveries_of, notice_in_reach

LONGEST_PROOF: Final = 2000
CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""A gateway's clock may be ahead of ours by so much."""

BY_HAND: Final = (
    DeliveryMethod.RECEIPT_IN_HAND,
    DeliveryMethod.REGISTERED_MAIL,
    DeliveryMethod.RECORDED_CALL,
    DeliveryMethod.PAYMENT_DOCUMENT,
    DeliveryMethod.GATEWAY,
    DeliveryMethod.OTHER,
)
"""What a person may record; that a page was opened or a system answered nobody has to say."""

_CODE: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class NotInRange(DomainError):
    """A delivery at an instant at which it cannot have been."""

    code = "delivery_instant"
    template = mark("A delivery is neither before the notice was written nor in the future.")


class AlreadyWithdrawn(DomainError):
    """A record of a delivery that was withdrawn before, or repeats one that was."""

    code = "delivery_withdrawn"
    template = mark("This record of a delivery was withdrawn already.")


class BeingSent(DomainError):
    """A notice that somebody is just sending."""

    code = "notice_being_sent"
    template = mark("Notice %(notice)s is being sent just now; try again in a minute.")
    retryable = True


class EndpointTaken(DomainError):
    """A code that another webhook has."""

    code = "endpoint_taken"
    template = mark("There is a webhook %(name)s already.")


@dataclass(frozen=True, slots=True)
class DeliveryOrder:
    """That a notice arrived: how, when, and what proves it."""

    notice_id: int
    method: DeliveryMethod
    delivered_at: datetime
    proof: str
    """Number of the receipt or of the registered letter, where the record of the call lies."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The record of a delivery, and whether it was there before."""

    record: RecordedDelivery
    repeated: bool


@dataclass(frozen=True, slots=True)
class SentAgain:
    """The notice that is on its way again: the same under its id, or a copy of it."""

    notice_id: int
    copied: bool


@dataclass(frozen=True, slots=True)
class EndpointOrder:
    """A webhook as it should be."""

    code: str
    url: str
    kinds: tuple[NoticeKind, ...] = ()
    """Empty: all of them."""
    active: bool = True


def record_delivery(
    session: Session, scope: Scope, order: DeliveryOrder, clock: Clock
) -> Delivered:
    """Write down that a notice arrived; the same again changes nothing.

    Raises `NotInRange` for an instant before the notice was written or in the future, `Invalid`
    where nothing proves it.
    """
    scope.demand(Right.MANAGE_ACCOUNTS)
    if order.method not in BY_HAND:
        raise Invalid(where=mark("method"), problem=mark("this one is recorded by itself"))
    row = notice_in_reach(session, scope, order.notice_id)
    return _record(session, row, order, scope.actor, clock)


def record_status(
    session: Session,
    way: Way,
    message_id: str,
    delivered_at: datetime | None,
    proof: str,
    clock: Clock,
) -> Delivered:
    """Write down that a gateway says a telephone has the notice that it was given under an id.

    What it says without an instant happened now. An instant out of range is put right where the
    clocks differ by minutes, and refused beyond that.
    """
    row = session.scalar(
        select(NoticeRow).where(NoticeRow.message_id == message_id, NoticeRow.way == way)
    )
    if row is None:
        raise NotFound(what=mark("notice"), name=message_id[:60])
    now = clock.now()
    at = delivered_at or now
    if now < at <= now + CLOCKS_DIFFER:
        at = now
    if row.created_at - CLOCKS_DIFFER <= at < row.created_at:
        at = row.created_at
    order = DeliveryOrder(row.id, DeliveryMethod.GATEWAY, at, proof)
    wait_for(session, f"notice_delivery:{row.id}")
    for one in deliveries_of(session, [row.id]).get(row.id, ()):
        # A gateway that gives no instant says the same again with another body.
        if one.method is DeliveryMethod.GATEWAY and one.actor == f"gateway:{way}":
            return Delivered(one, repeated=True)
    return _record(session, row, order, f"gateway:{way}", clock)


def record_opened(
    session: Session, scope: Scope, notice_id: int, account_id: AccountId, clock: Clock
) -> Delivered | None:
    """Write down that a resident opened a notice on the account page; the first time counts.

    None where it was not the resident who opened it, or it was not written to the account.
    """
    if scope.role is not Role.RESIDENT:
        return None
    row = notice_in_reach(session, scope, notice_id)
    if row.account_id != account_id:
        return None
    for one in deliveries_of(session, [notice_id]).get(notice_id, ()):
        if one.method is DeliveryMethod.ACCOUNT_PAGE:
            return Delivered(one, repeated=True)
    order = DeliveryOrder(
        notice_id, DeliveryMethod.ACCOUNT_PAGE, clock.now(), f"opened by {scope.actor}"
    )
    return _record(session, row, order, scope.actor, clock)


def withdraw_delivery(
    session: Session, scope: Scope, delivery_id: int, reason: str, clock: Clock
) -> RecordedDelivery:
    """Say that a record of a delivery is wrong; it counts no more, and both stay readable."""
    scope.demand(Right.MANAGE_ACCOUNTS)
    record = session.get(NoticeDeliveryRow, delivery_id)
    if record is None:
        raise NotFound(what=mark("record of a delivery"), name=str(delivery_id))
    notice_in_reach(session, scope, record.notice_id)
    wait_for(session, f"notice_delivery:{record.notice_id}")
    if not reason.strip() or len(reason) > LONGEST_PROOF:
        raise Invalid(where=mark("reason"), problem=mark("say why it is wrong"))
    found = _recorded(session, record.notice_id, delivery_id)
    if found.withdrawn_at is not None:
        raise AlreadyWithdrawn
    now = clock.now()
    session.add(
        NoticeDeliveryWithdrawalRow(
            delivery_id=delivery_id, reason=reason.strip(), actor=scope.actor, recorded_at=now
        )
    )
    session.flush()
    return replace(found, withdrawn_at=now, withdrawn_by=scope.actor, withdrawn_why=reason.strip())


def send_again(session: Session, scope: Scope, notice_id: int, clock: Clock) -> SentAgain:
    """Put a notice on its way again.

    An event, or what never got through, goes under the same id: whoever has it already knows it. A
    person who lost a letter gets a copy under a new id, since mail systems hide a second one.
    """
    scope.demand(Right.MANAGE_ACCOUNTS)
    row = notice_in_reach(session, scope, notice_id)
    now = clock.now()
    if row.state is NoticeState.SENT and row.way is not Way.WEBHOOK:
        return _copy(session, row, now)
    changed = session.execute(
        update(cast(Table, NoticeRow.__table__))
        .where(
            NoticeRow.__table__.c.id == notice_id,
            NoticeRow.__table__.c.state != NoticeState.SENDING,
        )
        .values(state=NoticeState.PENDING, attempts=0, next_attempt_at=now, sent_at=None)
        .returning(NoticeRow.__table__.c.id)
    )
    if changed.first() is None:
        raise BeingSent(notice=notice_id)
    return SentAgain(notice_id, copied=False)


def state_preference(
    session: Session, scope: Scope, account_id: AccountId, preference: Preference, clock: Clock
) -> bool:
    """State how an account is told, in the place of what stood; say whether anything changed.

    A resident states it for their own account, staff for any in reach: the caller has looked the
    account up in the scope.
    """
    if scope.role is not Role.RESIDENT:
        scope.demand(Right.MANAGE_ACCOUNTS)
    wait_for(session, f"notice_preference:{account_id}")
    text = written(preference)
    standing = session.scalar(
        select(NoticePreferenceRow).where(
            NoticePreferenceRow.account_id == account_id,
            NoticePreferenceRow.superseded_at.is_(None),
        )
    )
    if (standing.preference if standing is not None else written(Preference())) == text:
        return False
    now = clock.now()
    if standing is not None:
        standing.superseded_at = now
        session.flush()
    session.add(
        NoticePreferenceRow(
            account_id=account_id, preference=text, actor=scope.actor, recorded_at=now
        )
    )
    session.flush()
    return True


def add_endpoint(
    session: Session, scope: Scope, order: EndpointOrder, clock: Clock, rules: HttpRules
) -> str:
    """Add a webhook and return its secret, which is shown this once."""
    _demand_webhooks(scope)
    _check(order, rules)
    if session.scalar(select(WebhookEndpointRow.id).where(WebhookEndpointRow.code == order.code)):
        raise EndpointTaken(name=order.code)
    secret = new_secret()
    now = clock.now()
    session.add(
        WebhookEndpointRow(
            code=order.code,
            url=order.url,
            secret=secret,
            kinds=",".join(order.kinds),
            active=order.active,
            actor=scope.actor,
            created_at=now,
            changed_at=now,
        )
    )
    session.flush()
    return secret


def change_endpoint(
    session: Session, scope: Scope, order: EndpointOrder, clock: Clock, rules: HttpRules
) -> None:
    """Change where a webhook leads and what goes to it; its pause ends."""
    _demand_webhooks(scope)
    _check(order, rules)
    row = _endpoint(session, order.code)
    row.url, row.kinds, row.active = order.url, ",".join(order.kinds), order.active
    row.failures, row.paused_until, row.last_error = 0, None, ""
    row.actor, row.changed_at = scope.actor, clock.now()
    session.flush()


def renew_secret(session: Session, scope: Scope, code: str, clock: Clock) -> str:
    """Give a webhook another secret and return it, this once; the former signs nothing more."""
    _demand_webhooks(scope)
    row = _endpoint(session, code)
    row.secret, row.actor, row.changed_at = new_secret(), scope.actor, clock.now()
    session.flush()
    return row.secret


def endpoint_to_call(session: Session, code: str) -> Endpoint | None:
    """Return where the events of a webhook go and what signs them; None where there is none."""
    row = session.scalar(select(WebhookEndpointRow).where(WebhookEndpointRow.code == code))
    return None if row is None else Endpoint(row.code, row.url, row.secret, row.active)


def replay_endpoint(
    session: Session, scope: Scope, code: str, since: datetime, clock: Clock
) -> int:
    """Put all events of a webhook since an instant on their way again; return how many.

    Each under its own id, so that whoever has it already knows it.
    """
    _demand_webhooks(scope)
    _endpoint(session, code)
    notices = cast(Table, NoticeRow.__table__)
    changed = session.execute(
        update(notices)
        .where(
            notices.c.way == Way.WEBHOOK,
            notices.c.recipient == code,
            notices.c.created_at >= since,
            notices.c.state.in_((NoticeState.SENT, NoticeState.GIVEN_UP, NoticeState.FAILED)),
        )
        .values(state=NoticeState.PENDING, attempts=0, next_attempt_at=clock.now(), sent_at=None)
        .returning(notices.c.id)
    )
    return len(changed.all())


def _demand_webhooks(scope: Scope) -> None:
    # All of the retailer's events leave by them.
    scope.demand(Right.MANAGE_USERS)
    if not scope.whole_retailer:
        raise NotFound(what=mark("webhook"), name="")


def _endpoint(session: Session, code: str) -> WebhookEndpointRow:
    row = session.scalar(select(WebhookEndpointRow).where(WebhookEndpointRow.code == code))
    if row is None:
        raise NotFound(what=mark("webhook"), name=code[:60])
    return row


def _check(order: EndpointOrder, rules: HttpRules) -> None:
    if not _CODE.fullmatch(order.code):
        raise Invalid(
            where=mark("code"),
            problem=mark("a small Latin letter, then letters, digits, - or _, 40 at most"),
        )
    try:
        checked_url(order.url, rules)
    except AddressRefused as error:
        raise Invalid(
            where=mark("URL"), problem=mark("an address that begins with https://")
        ) from (error)


def _copy(session: Session, row: NoticeRow, now: datetime) -> SentAgain:
    copies = session.scalar(
        select(func.count())
        .select_from(NoticeRow)
        .where(NoticeRow.dedupe_key.like(f"again:{row.id}:%"))
    )
    key = f"again:{row.id}:{(copies or 0) + 1}"
    copied = NoticeRow(
        kind=row.kind,
        account_id=row.account_id,
        language=row.language,
        way=row.way,
        recipient=row.recipient,
        subject=row.subject,
        body_text=row.body_text,
        body_html=row.body_html,
        document_number=row.document_number,
        dedupe_key=key,
        zone=row.zone,
        message_id=digest_text(f"{key}|{now.isoformat()}|{row.recipient}")[:32],
        state=NoticeState.PENDING,
        next_attempt_at=now,
        created_at=now,
    )
    session.add(copied)
    session.flush()
    return SentAgain(copied.id, copied=True)


def _record(
    session: Session, row: NoticeRow, order: DeliveryOrder, actor: str, clock: Clock
) -> Delivered:
    now = clock.now()
    proof = order.proof.strip()
    if not proof or len(proof) > LONGEST_PROOF:
        raise Invalid(
            where=mark("proof"),
            problem=mark("what proves the delivery, from 1 to %(most)s characters"),
            most=LONGEST_PROOF,
        )
    if not row.created_at <= order.delivered_at <= now:
        raise NotInRange
    wait_for(session, f"notice_delivery:{row.id}")
    for one in deliveries_of(session, [row.id]).get(row.id, ()):
        same = (one.method, one.delivered_at, one.proof)
        if same == (order.method, order.delivered_at, proof):
            if one.withdrawn_at is not None:
                raise AlreadyWithdrawn
            return Delivered(one, repeated=True)
    written_row = NoticeDeliveryRow(
        notice_id=row.id,
        method=order.method,
        delivered_at=order.delivered_at,
        proof=proof,
        actor=actor,
        recorded_at=now,
    )
    session.add(written_row)
    session.flush()
    return Delivered(_recorded(session, row.id, written_row.id), repeated=False)


def _recorded(session: Session, notice_id: int, delivery_id: int) -> RecordedDelivery:
    found: Sequence[RecordedDelivery] = deliveries_of(session, [notice_id])[notice_id]
    return next(one for one in found if one.id == delivery_id)
