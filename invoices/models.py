"""Tables of issued documents and of the counters their numbers come from."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from invoices.numbering import DocumentKind
from kilokassa.db.append_only import append_only
from kilokassa.db.base import Base
from kilokassa.db.types import EnumText


class DocumentCounterRow(Base):
    """The last number given in a year to documents of a kind; locked by whoever takes the next."""

    __tablename__ = "document_counter"
    __table_args__ = (CheckConstraint("last_number >= 0", name="last_number_not_negative"),)

    kind: Mapped[DocumentKind] = mapped_column(EnumText(DocumentKind), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_number: Mapped[int]


class DocumentRow(Base):
    """An issued document: appended, never changed; cancelled by another row that names it."""

    __tablename__ = "document"
    __table_args__ = (
        UniqueConstraint("kind", "year", "sequence"),
        # One live payment document an account and month: the next revision exists only when the
        # one before it was cancelled. Receipts have no month, and nulls are all different.
        UniqueConstraint("kind", "account_id", "month", "revision"),
        CheckConstraint("sequence > 0", name="sequence_positive"),
        CheckConstraint("(kind = 'cancellation') = (cancels_id IS NOT NULL)", name="cancels_one"),
        CheckConstraint(
            "kind <> 'payment_document' OR month IS NOT NULL", name="payment_document_has_month"
        ),
        Index("ix_document_month_account", "month", "account_id"),
        Index("ix_document_account", "account_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[DocumentKind] = mapped_column(EnumText(DocumentKind))
    year: Mapped[int]
    sequence: Mapped[int]
    number: Mapped[str] = mapped_column(unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    month: Mapped[int | None]
    """Ordinal of the charge month; null on a receipt of money."""
    revision: Mapped[int] = mapped_column(default=1)
    issued_at: Mapped[datetime]
    issued_on: Mapped[date]
    """The retailer's local day, which decides the year of the number."""
    language: Mapped[str]
    key: Mapped[str] = mapped_column(unique=True)
    """Idempotency key: the same draft is issued once."""
    snapshot: Mapped[str] = mapped_column(Text)
    """Canonical JSON of what the document shows, apart from its number."""
    digest: Mapped[str]
    """Of kind, number, instant, language and snapshot together."""
    input_digest: Mapped[str] = mapped_column(default="")
    """Of what the snapshot was computed from."""
    run_id: Mapped[int | None]
    cancels_id: Mapped[int | None] = mapped_column(ForeignKey("document.id"), unique=True)


append_only(DocumentRow.__table__)  # type: ignore[arg-type]
