"""Notices as values: what is to be told, what is due, and what came of it."""

from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from typing import Final, Protocol
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
    BONUS_EXPIRING = "bonus_expiring"
    UNUSUAL_USE = "unusual_use"
    TARIFF_CHANGED = "tariff_changed"
    LIMITATION = "limitation"
    """The notice of a limitation of supply: the law's clock starts when it is delivered."""
    AUTO_TOP_UP_REFUSED = "auto_top_up_refused"
    RESERVE_ENDING = "reserve_ending"
    CHARGE_POSTED = "charge_posted"
    """For other systems alone."""
    BALANCE_CHANGED = "balance_changed"
    """For other systems alone."""
    TEST = "test"
    """Asked for by whoever sets a webhook up."""


MACHINE_KINDS: Final = frozenset(
    {NoticeKind.CHARGE_POSTED, NoticeKind.BALANCE_CHANGED, NoticeKind.TEST}
)
"""Told to other systems only: no person wants a letter for each."""

LEGAL_KINDS: Final = frozenset(
    {NoticeKind.LIMITATION, NoticeKind.PAYMENT_DOCUMENT, NoticeKind.RECALCULATION}
)
"""What the retailer owes to the customer: it cannot be switched off."""

RESIDENT_KINDS: Final = tuple(
    kind
    for kind in NoticeKind
    if kind not in MACHINE_KINDS and kind is not NoticeKind.VERIFICATIONS_DUE
)
"""What a customer may be told of, in the order in which it is shown."""


class Way(StrEnum):
    """A way of delivery that a notice is written for."""

    EMAIL = "email"
    SMS = "sms"
    MESSENGER = "messenger"
    WEBHOOK = "webhook"


PERSONAL_WAYS: Final = (Way.EMAIL, Way.SMS, Way.MESSENGER)
"""Ways that lead to a person; a webhook leads to a system."""


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
    """Accepted by the other side; that is no proof that it arrived."""
    FAILED = "failed"
    """Refused for now; due again at `next_attempt_at`."""
    GIVEN_UP = "given_up"


OPEN_STATES = (NoticeState.PENDING, NoticeState.SENDING, NoticeState.FAILED)
"""States from which a notice may still be delivered."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The local hours at which nobody is told anything; none at all where both are equal."""

    begins: time
    ends: time


QUIET_HOURS: Final = QuietHours(time(22), time(8))
"""Until a customer says otherwise."""


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
    quiet: QuietHours = QUIET_HOURS


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
    """What the other side answered when it accepted, or why it did not."""
    retry_at: datetime | None = None
    """When the other side asks to try again; None leaves the pause to us."""


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
