"""Tables of wallets, the ledger and lots; written by this package alone."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.db.append_only import append_only
from kilokassa.db.base import Base
from kilokassa.db.types import EnumText
from wallet.ledger import Reason
from wallet.lots import LotKind


class WalletRow(Base):
    """The wallet of one account, with what its entries and lots come to."""

    __tablename__ = "wallet"
    __table_args__ = (
        CheckConstraint("lots_minor >= 0", name="lots_not_negative"),
        CheckConstraint("uncovered_minor >= 0", name="uncovered_not_negative"),
        CheckConstraint(
            "opening_debt_minor >= 0 AND opening_debt_minor <= uncovered_minor",
            name="opening_debt_uncovered",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), unique=True)
    currency: Mapped[str] = mapped_column(default="RUB")
    lots_minor: Mapped[int] = mapped_column(default=0)
    uncovered_minor: Mapped[int] = mapped_column(default=0)
    opening_debt_minor: Mapped[int] = mapped_column(default=0, server_default="0")
    """Of it, what was owed before the wallet was opened and is not repaid."""
    entry_count: Mapped[int] = mapped_column(default=0)
    lot_count: Mapped[int] = mapped_column(default=0, server_default="0")
    head_digest: Mapped[str] = mapped_column(default="")
    credit_lot: Mapped[int | None]
    """Number of the lot that is an emergency credit which is open."""
    closed_through_month: Mapped[int | None]
    opened_at: Mapped[datetime]


class LedgerAccountRow(Base):
    """A ledger account: a wallet's own, or one of the house's, which are never locked."""

    __tablename__ = "ledger_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    wallet_id: Mapped[int | None] = mapped_column(ForeignKey("wallet.id"), unique=True)
    currency: Mapped[str] = mapped_column(default="RUB")


class JournalEntryRow(Base):
    """An operation on one wallet; appended, never changed."""

    __tablename__ = "journal_entry"
    __table_args__ = (
        UniqueConstraint("wallet_id", "sequence"),
        UniqueConstraint("actor", "idempotency_key"),
        Index("ix_journal_entry_wallet_book_month", "wallet_id", "book_month"),
        CheckConstraint("balance_before + amount_minor = balance_after", name="balance_adds_up"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    wallet_id: Mapped[int] = mapped_column(ForeignKey("wallet.id"))
    sequence: Mapped[int]
    reason: Mapped[Reason] = mapped_column(EnumText(Reason))
    amount_minor: Mapped[int]
    """Effect on what is posted: positive where the customer gains."""
    balance_before: Mapped[int]
    balance_after: Mapped[int]
    valid_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    book_month: Mapped[int]
    """Ordinal of the month whose statement shows the entry."""
    charge_month: Mapped[int | None]
    actor: Mapped[str]
    idempotency_key: Mapped[str]
    request_digest: Mapped[str]
    detail: Mapped[str] = mapped_column(Text, default="")
    """The answer that was given, and facts such as the tender, as canonical JSON."""
    previous_digest: Mapped[str]
    digest: Mapped[str]


class PostingRow(Base):
    """One debit, one credit, one amount."""

    __tablename__ = "posting"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("debit_id <> credit_id", name="accounts_differ"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("journal_entry.id"), index=True)
    debit_id: Mapped[int] = mapped_column(ForeignKey("ledger_account.id"))
    credit_id: Mapped[int] = mapped_column(ForeignKey("ledger_account.id"))
    amount_minor: Mapped[int]


class LotRow(Base):
    """Money that came together and expires together."""

    __tablename__ = "lot"
    __table_args__ = (
        UniqueConstraint("wallet_id", "number"),
        CheckConstraint("remaining_minor >= 0", name="remaining_not_negative"),
        CheckConstraint("remaining_minor <= amount_minor", name="remaining_within_amount"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    wallet_id: Mapped[int] = mapped_column(ForeignKey("wallet.id"), index=True)
    number: Mapped[int]
    """Counts the lots of the wallet from 1."""
    kind: Mapped[LotKind] = mapped_column(EnumText(LotKind))
    spend_order: Mapped[int]
    amount_minor: Mapped[int]
    remaining_minor: Mapped[int]
    expires_at: Mapped[datetime | None]
    rule: Mapped[str] = mapped_column(default="")
    """The bonus rule, campaign or reserve that granted it."""
    service: Mapped[str] = mapped_column(default="", server_default="")
    """The only service that it pays; empty where it pays any."""
    payer: Mapped[str] = mapped_column(default="", server_default="")
    """Who paid it, where that is not the payer of the account."""
    entry_id: Mapped[int] = mapped_column(ForeignKey("journal_entry.id"))
    came_at: Mapped[datetime]


class DrawRow(Base):
    """What an entry took from a lot; negative where it gave value back."""

    __tablename__ = "draw"
    __table_args__ = (CheckConstraint("amount_minor <> 0", name="amount_not_zero"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("journal_entry.id"), index=True)
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), index=True)
    amount_minor: Mapped[int]
    service: Mapped[str] = mapped_column(default="", server_default="")
    """What it paid; empty where the entry is for no service, or all lots pay alike."""


class HoldRow(Base):
    """Money that is spoken for and not posted yet: a refund that was asked for."""

    __tablename__ = "wallet_hold"
    __table_args__ = (
        UniqueConstraint("actor", "idempotency_key"),
        Index("ix_wallet_hold_wallet", "wallet_id", "released_at"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    wallet_id: Mapped[int] = mapped_column(ForeignKey("wallet.id"))
    amount_minor: Mapped[int]
    why: Mapped[str]
    actor: Mapped[str]
    idempotency_key: Mapped[str]
    held_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
    """When it was posted or given up; null while it is held."""
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("journal_entry.id"))
    """What it was posted by; null where it was given up."""


class DailySealRow(Base):
    """A digest over the heads of all wallets' chains, taken once a day."""

    __tablename__ = "daily_seal"

    day: Mapped[date] = mapped_column(primary_key=True)
    wallets: Mapped[int]
    entries: Mapped[int]
    digest: Mapped[str]
    recorded_at: Mapped[datetime]


append_only(JournalEntryRow.__table__)  # type: ignore[arg-type]
append_only(PostingRow.__table__)  # type: ignore[arg-type]
append_only(LotRow.__table__, changing=("remaining_minor",))  # type: ignore[arg-type]
append_only(DrawRow.__table__)  # type: ignore[arg-type]
append_only(DailySealRow.__table__)  # type: ignore[arg-type]
