"""Notices as values: what is to be told, what is due, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

from kilokassa.core.ids import AccountId
from kilokassa.core.text import Language


class NoticeKind(StrEnum):
    """What a notice tells of."""

    MONEY_LOW = "money_low"
    DAYS_LEFT = "days_left"
    TOP_UP_RECEIVED = "top_up_received"
    PAYMENT_DOCUMENT = "payment_document"
    RECALCULATION = "recalculation"
    READINGS_DUE = "readings_due"
    VERIFICATIONS_DUE = "verifications_due"


class Way(StrEnum):
    """A way of delivery that a notice is written for."""

    EMAIL = "email"


class DeliveryMethod(StrEnum):
    """How a notice reached a person: the ways of ПП 354, п. 119, and what a channel can prove."""

    GATEWAY = "gateway"
    """An SMS or messenger gateway says that the telephone has it."""
    WEBHOOK = "webhook"
    RECEIPT_IN_HAND = "receipt_in_hand"
    REGISTERED_MAIL = "registered_mail"
    RECORDED_CALL = "recorded_call"
    PAYMENT_DOCUMENT = "payment_document"
    ACCOUNT_PAGE = "account_page"
    """Opened by the resident on the account page."""
    OTHER = "other"


class NoticeState(StrEnum):
    """How far a notice has come."""

    PENDING = "pending"
    SENDING = "sending"
    """Handed out; due again when its lease runs out, for whoever took it may have died."""
    SENT = "sent"
    FAILED = "failed"
    """Refused for now; due again at `next_attempt_at`."""
    GIVEN_UP = "given_up"


OPEN_STATES = (NoticeState.PENDING, NoticeState.SENDING, NoticeState.FAILED)
"""States from which a notice may still be delivered."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a notice says, as plain text and as HTML with the same content."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class NoticeOrder:
    """A notice to be written; `dedupe_key` names the fact, which is told once.

    The address is not checked here: a bad one in an account's data must not stop the money it tells
    of. The channel refuses it, and the notice says so.
    """

    kind: NoticeKind
    account_id: AccountId | None
    language: Language
    recipient: str
    message: Message
    dedupe_key: str
    zone: ZoneInfo
    """Whose night is respected (`notices.rules.allowed_at`)."""
    document_number: str | None = None
    """The document whose PDF goes along; it is made when the notice is delivered."""
    way: Way = Way.EMAIL


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that was handed out for delivery until `leased_until`."""

    id: int
    kind: NoticeKind
    account_id: AccountId | None
    language: Language
    way: Way
    recipient: str
    message: Message
    message_id: str
    """The same at every attempt, so that a repeated delivery can be recognised as one."""
    document_number: str | None
    attempt: int
    """Counted from 1; also what tells this handing out from a later one."""
    attempted_at: datetime
    leased_until: datetime


class Outcome(StrEnum):
    """What came of one attempt."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    """Not now, says the other side about this notice."""
    REFUSED = "refused"
    """Never, says the other side about this notice."""
    UNREACHABLE = "unreachable"
    """The way itself does not work; other notices would fare no better."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The outcome of one attempt, with what the other side answered."""

    outcome: Outcome
    answer: str = ""
    """The proof of a delivery, or why there was none."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A PDF that goes along with a notice."""

    file_name: str
    content: bytes


class DeliveryChannel(Protocol):
    """A way of delivery; it answers with a value and raises only for mistakes of our own."""

    def deliver(self, notice: Notice, attachment: Attachment | None = None) -> Delivery:
        """Try once to deliver `notice`."""
        ...

    def close(self) -> None:
        """Let go of what `deliver` opened; a later `deliver` opens it again."""
        ...
