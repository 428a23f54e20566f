"""Tables of payments: files of banks, money that came in, orders, refunds, auto top-ups."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.db.base import Base
from kilokassa.db.types import EnumText
from wallet.payments.auto_top_up import Outcome
from wallet.payments.payment import OrderState, PaymentSource, PaymentState, RefundState


class PaymentFileRow(Base):
    """A file of payments that a bank sent; the same content is taken once."""

    __tablename__ = "payment_file"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    format: Mapped[str]
    sender: Mapped[str]
    """The bank, by its code."""
    digest: Mapped[str] = mapped_column(unique=True)
    content: Mapped[bytes]
    """As it was received: what the payments can be checked against."""
    rows: Mapped[int]
    total_minor: Mapped[int]
    refused: Mapped[str] = mapped_column(Text, default="")
    """Rows that were not taken, each with its line and reason, as JSON."""
    worked_rows: Mapped[int] = mapped_column(default=0)
    """How many of the rows that can be read were worked through; a stopped import goes on there."""
    done_at: Mapped[datetime | None]
    """When all of them were."""
    actor: Mapped[str]
    received_at: Mapped[datetime]


class IncomingPaymentRow(Base):
    """Money that came in from outside, whether or not its account was found."""

    __tablename__ = "incoming_payment"
    __table_args__ = (
        UniqueConstraint("source", "sender", "transaction_id", "account_text"),
        Index("ix_incoming_payment_state", "state", "received_at"),
        Index("ix_incoming_payment_account", "account_id"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("(state = 'taken') = (entry_id IS NOT NULL)", name="taken_has_entry"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[PaymentSource] = mapped_column(EnumText(PaymentSource))
    sender: Mapped[str]
    """The bank or the provider, by its code."""
    transaction_id: Mapped[str]
    file_id: Mapped[int | None] = mapped_column(ForeignKey("payment_file.id"))
    line: Mapped[int | None]
    account_text: Mapped[str]
    """The account as it was written, or found in the purpose."""
    amount_minor: Mapped[int]
    tender: Mapped[str]
    paid_at: Mapped[datetime]
    payer: Mapped[str] = mapped_column(default="")
    purpose: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[PaymentState] = mapped_column(EnumText(PaymentState))
    problem: Mapped[str] = mapped_column(default="")
    """Why no account was found, as a message of the catalogue."""
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("journal_entry.id"))
    request_digest: Mapped[str]
    actor: Mapped[str]
    received_at: Mapped[datetime]
    settled_by: Mapped[str] = mapped_column(default="")
    settled_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(default="")


class PaymentOrderRow(Base):
    """A top-up that a resident began: its amount and split as they were shown before paying."""

    __tablename__ = "payment_order"
    __table_args__ = (
        UniqueConstraint("actor", "idempotency_key"),
        Index("ix_payment_order_account", "account_id", "id"),
        Index("ix_payment_order_state", "state", "expires_at"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    """What the provider is told; not to be guessed."""
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    amount_minor: Mapped[int]
    reserve_id: Mapped[int | None] = mapped_column(ForeignKey("reserve.id"))
    """The reserve that a part is set aside for."""
    reserve_minor: Mapped[int] = mapped_column(default=0)
    split: Mapped[str] = mapped_column(Text)
    """The split that was shown, as canonical JSON."""
    provider: Mapped[str]
    provider_reference: Mapped[str] = mapped_column(default="")
    auto_attempt_id: Mapped[int | None] = mapped_column(ForeignKey("auto_top_up_attempt.id"))
    state: Mapped[OrderState] = mapped_column(EnumText(OrderState))
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("journal_entry.id"))
    actor: Mapped[str]
    idempotency_key: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class AutoTopUpRow(Base):
    """A rule of auto top-up that a resident agreed to; another one supersedes it."""

    __tablename__ = "auto_top_up"
    __table_args__ = (Index("ix_auto_top_up_account", "account_id", "superseded_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    terms: Mapped[str] = mapped_column(Text)
    """Trigger, size, window and bounds, as canonical JSON."""
    provider: Mapped[str]
    card_token: Mapped[str] = mapped_column(Text)
    """What the provider knows the means of payment by; a secret."""
    card_hint: Mapped[str] = mapped_column(default="")
    """The last digits, for people."""
    enough_on: Mapped[date | None]
    confirmed_at: Mapped[datetime]
    """Refusals before it do not count."""
    actor: Mapped[str]
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


class AutoTopUpAttemptRow(Base):
    """One payment that a rule asked for, and what became of it."""

    __tablename__ = "auto_top_up_attempt"
    __table_args__ = (
        UniqueConstraint("auto_top_up_id", "number"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    auto_top_up_id: Mapped[int] = mapped_column(ForeignKey("auto_top_up.id"))
    number: Mapped[int]
    on: Mapped[date]
    amount_minor: Mapped[int]
    why: Mapped[str]
    outcome: Mapped[Outcome] = mapped_column(EnumText(Outcome))
    answer: Mapped[str] = mapped_column(Text, default="")
    recorded_at: Mapped[datetime]
    told_at: Mapped[datetime | None]


class RefundRow(Base):
    """Money that a payer asked back: held when it is asked for, posted when it is paid."""

    __tablename__ = "refund"
    __table_args__ = (
        UniqueConstraint("actor", "idempotency_key"),
        Index("ix_refund_state", "state", "asked_at"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    amount_minor: Mapped[int]
    to_whom: Mapped[str]
    requisites: Mapped[str] = mapped_column(Text, default="")
    why: Mapped[str] = mapped_column(default="")
    hold_id: Mapped[int] = mapped_column(ForeignKey("wallet_hold.id"))
    state: Mapped[RefundState] = mapped_column(EnumText(RefundState))
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("journal_entry.id"))
    actor: Mapped[str]
    idempotency_key: Mapped[str]
    request_digest: Mapped[str]
    asked_at: Mapped[datetime]
    settled_by: Mapped[str] = mapped_column(default="")
    settled_at: Mapped[datetime | None]
    reference: Mapped[str] = mapped_column(default="")
    """The payment order by which it was paid."""
