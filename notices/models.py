"""Tables of notices: the outbox, attempts and deliveries, alarms, preferences, webhooks."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.core.text import Language
from kilokassa.db.append_only import append_only
from kilokassa.db.base import Base
from kilokassa.db.types import EnumText
from notices.notice import DeliveryMethod, NoticeKind, NoticeState, Outcome, Way


class NoticeRow(Base):
    """One notice with its text as it was written, and the proof of its delivery."""

    __tablename__ = "notice"
    __table_args__ = (
        CheckConstraint("attempts >= 0", name="attempts_not_negative"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent_has_instant"),
        Index("ix_notice_state_due", "state", "next_attempt_at"),
        Index("ix_notice_account", "account_id", "id"),
        Index("ix_notice_way", "way", "recipient", "id"),
        Index("ix_notice_message", "message_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[NoticeKind] = mapped_column(EnumText(NoticeKind))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    """Null where it tells somebody who is no customer: who services meters."""
    language: Mapped[Language] = mapped_column(EnumText(Language))
    way: Mapped[Way] = mapped_column(EnumText(Way))
    recipient: Mapped[str]
    subject: Mapped[str]
    body_text: Mapped[str] = mapped_column(Text)
    body_html: Mapped[str] = mapped_column(Text)
    document_number: Mapped[str | None]
    """Number of the document whose PDF goes along."""
    dedupe_key: Mapped[str] = mapped_column(unique=True)
    """Names the fact that is told: it is told once."""
    zone: Mapped[str]
    """IANA name: whose night is respected."""
    message_id: Mapped[str]
    """The `Message-ID` of the mail, the same at every attempt."""
    state: Mapped[NoticeState] = mapped_column(EnumText(NoticeState))
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    """When it is due; while it is being sent, when its lease runs out."""
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    proof: Mapped[str] = mapped_column(Text, default="")
    """What the other side answered when it accepted the notice."""
    last_error: Mapped[str] = mapped_column(Text, default="")


class NoticeAlarmRow(Base):
    """Whether an alarm about an account stands raised; `episode` counts how often it was."""

    __tablename__ = "notice_alarm"
    __table_args__ = (CheckConstraint("episode >= 0", name="episode_not_negative"),)

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    kind: Mapped[NoticeKind] = mapped_column(EnumText(NoticeKind), primary_key=True)
    raised: Mapped[bool]
    episode: Mapped[int]
    changed_at: Mapped[datetime]


class NoticeDeliveryRow(Base):
    """That a notice arrived: how, when, and what proves it; appended, the law's clock starts here.

    What a mail server accepted is sent, not delivered.
    """

    __tablename__ = "notice_delivery"
    __table_args__ = (UniqueConstraint("notice_id", "method", "delivered_at", "proof"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    notice_id: Mapped[int] = mapped_column(ForeignKey("notice.id"), index=True)
    method: Mapped[DeliveryMethod] = mapped_column(EnumText(DeliveryMethod))
    delivered_at: Mapped[datetime]
    proof: Mapped[str] = mapped_column(Text, default="")
    """Receipt, signature, record of the call, the answer of a gateway; empty: nothing proves it."""
    actor: Mapped[str]
    recorded_at: Mapped[datetime]


class NoticeDeliveryWithdrawalRow(Base):
    """That a recorded delivery was wrong: it counts no more, and both stay readable; appended."""

    __tablename__ = "notice_delivery_withdrawal"

    id: Mapped[int] = mapped_column(primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("notice_delivery.id"), unique=True)
    reason: Mapped[str] = mapped_column(Text)
    actor: Mapped[str]
    recorded_at: Mapped[datetime]


class NoticeAttemptRow(Base):
    """One attempt to deliver a notice and what the other side answered; appended."""

    __tablename__ = "notice_attempt"

    id: Mapped[int] = mapped_column(primary_key=True)
    notice_id: Mapped[int] = mapped_column(ForeignKey("notice.id"), index=True)
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    outcome: Mapped[Outcome] = mapped_column(EnumText(Outcome))
    answer: Mapped[str] = mapped_column(Text)


class NoticePreferenceRow(Base):
    """What an account wants to be told, when and how; a later statement supersedes it."""

    __tablename__ = "notice_preference"
    __table_args__ = (Index("ix_notice_preference_account", "account_id", "superseded_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    preference: Mapped[str] = mapped_column(Text)
    """Thresholds, quiet hours, kinds that are not wanted and ways with their addresses, as JSON."""
    actor: Mapped[str]
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


class WebhookEndpointRow(Base):
    """Where another system wants to be told of events, and the secret that signs what it gets."""

    __tablename__ = "webhook_endpoint"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    url: Mapped[str]
    secret: Mapped[str] = mapped_column(Text)
    kinds: Mapped[str]
    """Kinds of notices with commas; empty: all of them."""
    active: Mapped[bool] = mapped_column(default=True)
    failures: Mapped[int] = mapped_column(default=0)
    """Attempts in a row that did not reach it; the pause grows with them."""
    paused_until: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(Text, default="")
    actor: Mapped[str]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


append_only(NoticeDeliveryRow.__table__)  # type: ignore[arg-type]
append_only(NoticeDeliveryWithdrawalRow.__table__)  # type: ignore[arg-type]
append_only(NoticeAttemptRow.__table__)  # type: ignore[arg-type]
