"""Tables of reserves: offers as published, what was signed, and every movement."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.db.append_only import append_only
from kilokassa.db.base import Base
from kilokassa.db.types import EnumText
from wallet.reserves.reserve import StepKind


class ReserveOfferRow(Base):
    """One published version of an offer; never changed, a later version takes its place."""

    __tablename__ = "reserve_offer"
    __table_args__ = (UniqueConstraint("code", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    version: Mapped[int]
    name: Mapped[str]
    name_en: Mapped[str] = mapped_column(default="")
    document: Mapped[str] = mapped_column(Text)
    """The offer as YAML, as it was published."""
    digest: Mapped[str]
    offered_from: Mapped[date]
    offered_until: Mapped[date | None]
    """The first day on which it is not signed any more."""
    published_by: Mapped[str]
    recorded_at: Mapped[datetime]


class ReserveRow(Base):
    """A reserve that was signed; what moved since are rows of `reserve_movement`."""

    __tablename__ = "reserve"
    __table_args__ = (
        UniqueConstraint("actor", "idempotency_key"),
        Index("ix_reserve_account", "account_id"),
        Index("ix_reserve_ends_on", "ends_on"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    offer_id: Mapped[int] = mapped_column(ForeignKey("reserve_offer.id"))
    signed_on: Mapped[date]
    ends_on: Mapped[date]
    """The day on which the money comes back."""
    actor: Mapped[str]
    idempotency_key: Mapped[str]
    request_digest: Mapped[str]
    recorded_at: Mapped[datetime]


class ReserveMovementRow(Base):
    """One step in the life of a reserve, with the journal entry that carried it; appended."""

    __tablename__ = "reserve_movement"
    __table_args__ = (
        UniqueConstraint("reserve_id", "number"),
        Index("ix_reserve_movement_entry", "entry_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    reserve_id: Mapped[int] = mapped_column(ForeignKey("reserve.id"))
    number: Mapped[int]
    """Counts the movements of the reserve from 1."""
    kind: Mapped[StepKind] = mapped_column(EnumText(StepKind))
    on: Mapped[date]
    amount_minor: Mapped[int]
    """Into the reserve, or of the bonus; negative where it left, or was taken back."""
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("journal_entry.id"))
    """Null where nothing was posted: what was waived."""
    actor: Mapped[str]
    detail: Mapped[str] = mapped_column(Text, default="")
    """How a claw-back was shared out, as canonical JSON."""
    recorded_at: Mapped[datetime]


class CreditRateRow(Base):
    """What the retailer's bank asks for credit, from a day on: what reserves are held against."""

    __tablename__ = "credit_rate"
    __table_args__ = (CheckConstraint("rate_ppm >= 0", name="rate_not_negative"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    valid_from: Mapped[date]
    rate_ppm: Mapped[int]
    """Millionths a year."""
    source: Mapped[str] = mapped_column(default="")
    actor: Mapped[str]
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


append_only(ReserveOfferRow.__table__)  # type: ignore[arg-type]
append_only(ReserveRow.__table__)  # type: ignore[arg-type]
append_only(ReserveMovementRow.__table__)  # type: ignore[arg-type]
