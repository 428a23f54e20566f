"""Sending what the outbox holds: claim, deliver outside of any transaction, record.

Delivery is *at least once*. A process that dies after the server took the mail and before that was
written down leaves the notice in `sending`; when its lease runs out (`notices.service.LEASE`) it is
sent again, under the same `Message-ID`, by which mail systems tell a repetition. The other order,
recording first, would lose notices in silence, which is worse.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import reduce
from pathlib import Path
from random import SystemRandom
from typing import Final

from kilokassa.app.delivery import RoutingChannel, routed
from kilokassa.app.settings import Settings
from kilokassa.core.clock import Clock
from kilokassa.db.session import Database
from notices.channels.email import Security, SmtpChannel, SmtpServer
from notices.channels.files import FolderChannel
from notices.notice import (
    Attachment,
    Delivery,
    DeliveryChannel,
    Notice,
    NoticeState,
    Outcome,
    Way,
)
from notices.service import claim_due, record_failed, record_sent, release

BATCH: Final = 20
"""Notices taken at once: few enough for their lease to outlast every time-out."""

LEASE_MARGIN: Final = timedelta(minutes=3)
"""A delivery that starts later than this before the lease's end might outlive it."""

SERVER_PAUSE: Final = timedelta(minutes=1)
"""How long untried notices wait when the way itself does not work."""

_system_random = SystemRandom()
_log = logging.getLogger(__name__)

AttachmentFor = Callable[[Notice], bytes | None]
"""Makes the PDF of a notice's document; it opens its own session, since none is open."""


@dataclass(frozen=True, slots=True)
class OutboxResult:
    """What a round of sending did."""

    sent: int = 0
    failed: int = 0
    """To be tried again."""
    given_up: int = 0
    unreachable: str = ""
    """What the way of delivery answered when it did not work; the round ended there."""

    def __add__(self, other: "OutboxResult") -> "OutboxResult":
        return OutboxResult(
            self.sent + other.sent,
            self.failed + other.failed,
            self.given_up + other.given_up,
            "; ".join(answer for answer in (self.unreachable, other.unreachable) if answer),
        )

    @property
    def tried(self) -> int:
        """How many notices were tried."""
        return self.sent + self.failed + self.given_up


def open_channel(
    settings: Settings,
    *,
    sender_name: str,
    database: Database | None = None,
    clock: Clock | None = None,
) -> DeliveryChannel:
    """Return the ways that the settings name, each notice by its own.

    Mail goes through their mail server, else into a folder of files; without a database and a clock
    it is the only way.
    """
    mail = _mail_channel(settings, sender_name)
    if database is None or clock is None:
        return mail
    return routed(mail, settings, database, clock)


def _mail_channel(settings: Settings, sender_name: str) -> DeliveryChannel:
    if settings.smtp is None:
        return FolderChannel(
            outbox_folder(settings), sender="outbox@localhost", sender_name=sender_name
        )
    return SmtpChannel(
        SmtpServer(
            host=settings.smtp.host,
            port=settings.smtp.port,
            sender=settings.smtp.sender,
            sender_name=sender_name,
            security=Security(settings.smtp.security),
            user=settings.smtp.user,
            password=settings.smtp.password,
        )
    )


def outbox_folder(settings: Settings) -> Path:
    """Return where notices become files when no mail server is set."""
    return settings.var / "outbox"


def send_due(
    database: Database,
    channel: DeliveryChannel,
    clock: Clock,
    *,
    limit: int = 1000,
    attachment_for: AttachmentFor | None = None,
    jitter: Callable[[], float] = _system_random.random,
) -> OutboxResult:
    """Send up to `limit` notices that are due, oldest first, and say what came of it.

    Several processes may do so at once: each notice has one taker at a time. The ways of a router
    go side by side, up to `limit` each: one that does not work, or is slow, holds up no other.
    """
    if not isinstance(channel, RoutingChannel):
        return _send_lane(database, channel, clock, limit, attachment_for, jitter, None)
    with ThreadPoolExecutor(len(channel.lanes)) as pool:
        lanes = [
            pool.submit(_send_lane, database, of_way, clock, limit, attachment_for, jitter, (way,))
            for way, of_way in channel.lanes.items()
        ]
    return reduce(OutboxResult.__add__, (lane.result() for lane in lanes), OutboxResult())


def _send_lane(
    database: Database,
    channel: DeliveryChannel,
    clock: Clock,
    limit: int,
    attachment_for: AttachmentFor | None,
    jitter: Callable[[], float],
    ways: tuple[Way, ...] | None,
) -> OutboxResult:
    result = OutboxResult()
    try:
        while result.tried < limit and not result.unreachable:
            with database.writing() as session:
                claimed = claim_due(session, min(BATCH, limit - result.tried), clock, ways)
            if not claimed:
                break
            result = _send(database, channel, clock, claimed, result, attachment_for, jitter)
    finally:
        channel.close()
    return result


def _send(
    database: Database,
    channel: DeliveryChannel,
    clock: Clock,
    claimed: tuple[Notice, ...],
    result: OutboxResult,
    attachment_for: AttachmentFor | None,
    jitter: Callable[[], float],
) -> OutboxResult:
    waiting = list(claimed)
    while waiting:
        notice = waiting.pop(0)
        began_at = clock.now()
        if began_at > notice.leased_until - LEASE_MARGIN:
            _give_back(database, [notice, *waiting], clock, timedelta())
            return result
        delivery = _deliver(channel, notice, attachment_for)
        with database.writing() as session:
            if delivery.outcome is Outcome.ACCEPTED:
                record_sent(session, notice, delivery, clock, began_at)
                state = None
            else:
                state = record_failed(
                    session, notice, delivery, clock, jitter=jitter(), began_at=began_at
                )
        if delivery.outcome is Outcome.ACCEPTED:
            result = replace(result, sent=result.sent + 1)
        elif state is NoticeState.GIVEN_UP:
            result = replace(result, given_up=result.given_up + 1)
        else:
            result = replace(result, failed=result.failed + 1)
        if delivery.outcome is Outcome.UNREACHABLE or delivery.retry_at is not None:
            # What would fare no better waits untried: all that goes to the endpoint, or by the way.
            alike = [one for one in waiting if _same_goal(one, notice)]
            _give_back(database, alike, clock, SERVER_PAUSE)
            waiting = [one for one in waiting if not _same_goal(one, notice)]
        if delivery.outcome is Outcome.UNREACHABLE and notice.way is not Way.WEBHOOK:
            _give_back(database, waiting, clock, timedelta())
            return replace(result, unreachable=delivery.answer)
    return result


def _same_goal(one: Notice, other: Notice) -> bool:
    return one.way is other.way and (one.way is not Way.WEBHOOK or one.recipient == other.recipient)


def _deliver(
    channel: DeliveryChannel, notice: Notice, attachment_for: AttachmentFor | None
) -> Delivery:
    """Try one notice; a mistake of ours with it must not hold up the others."""
    try:
        attachment = None
        if notice.document_number is not None:
            content = attachment_for(notice) if attachment_for is not None else None
            if content is None:  # the letter says that it is attached
                return Delivery(Outcome.DEFERRED, f"no PDF of document {notice.document_number}")
            attachment = Attachment(f"{notice.document_number}.pdf", content)
        return channel.deliver(notice, attachment)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is about this notice
        _log.exception("notice %s could not be delivered", notice.id)
        return Delivery(Outcome.DEFERRED, f"{type(error).__name__}: {error}"[:500])


def _give_back(
    database: Database, notices: Sequence[Notice], clock: Clock, pause: timedelta
) -> None:
    if notices:
        with database.writing() as session:
            release(session, notices, clock.now() + pause)
