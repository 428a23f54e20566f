"""Tables of debts: flags of accounts, agreements, late fees, supply, and the state of services."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.db.append_only import append_only
from kilokassa.db.base import Base
from kilokassa.db.types import EnumText
from wallet.debts.flags import FlagKind
from wallet.debts.late_fee import Scheme
from wallet.debts.service_state import Action, ServiceState, Supply


class AccountFlagRow(Base):
    """What protects an account, or what its contract says, from a day on; a former one is kept."""

    __tablename__ = "account_flag"
    __table_args__ = (
        Index(
            "ix_account_flag_standing",
            "account_id",
            "kind",
            "valid_from",
            unique=True,
            sqlite_where=text("superseded_at IS NULL"),
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    kind: Mapped[FlagKind] = mapped_column(EnumText(FlagKind))
    valid_from: Mapped[date]
    value: Mapped[str]
    """yes, no, the code of a guard set, or an amount in kopecks: as its kind says."""
    document: Mapped[str] = mapped_column(default="")
    actor: Mapped[str]
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


class InstalmentAgreementRow(Base):
    """An agreement to pay a debt by instalments; its schedule follows from its terms."""

    __tablename__ = "instalment_agreement"
    __table_args__ = (
        UniqueConstraint("actor", "idempotency_key"),
        Index("ix_instalment_agreement_account", "account_id"),
        CheckConstraint("debt_minor > 0", name="debt_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    debt_minor: Mapped[int]
    months: Mapped[int]
    agreed_on: Mapped[date]
    first_due_on: Mapped[date]
    rate_bp: Mapped[int]
    key_rate_bp: Mapped[int | None]
    grace_days: Mapped[int]
    document: Mapped[str] = mapped_column(default="")
    actor: Mapped[str]
    idempotency_key: Mapped[str]
    recorded_at: Mapped[datetime]
    ended_on: Mapped[date | None]
    """When it was ended by a person; whether it is kept follows from payments."""
    ended_by: Mapped[str] = mapped_column(default="")
    ended_why: Mapped[str] = mapped_column(default="")


class LateFeeRow(Base):
    """What was charged of a late fee for one bill: what it came to less what was charged before."""

    __tablename__ = "late_fee"
    __table_args__ = (
        UniqueConstraint("account_id", "service", "bill_month", "through_on"),
        Index("ix_late_fee_account", "account_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    service: Mapped[str]
    bill_month: Mapped[int]
    """Ordinal of the month that was paid late."""
    scheme: Mapped[Scheme] = mapped_column(EnumText(Scheme))
    through_on: Mapped[date]
    """The last day that is counted."""
    cumulative_minor: Mapped[int]
    charged_minor: Mapped[int]
    """What it adds to what was charged before; below zero where it was put right."""
    table: Mapped[str] = mapped_column(Text)
    """The rows behind the fee, as canonical JSON: segments, rates, sources, warnings."""
    rules_digest: Mapped[str]
    charge_month: Mapped[int]
    """Ordinal of the month that is charged for it."""
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("journal_entry.id"))
    recorded_at: Mapped[datetime]


class SupplyRow(Base):
    """What a meter lets through for a service of an account, as it was read back; appended."""

    __tablename__ = "supply"
    __table_args__ = (Index("ix_supply_account", "account_id", "service", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    service: Mapped[str]
    supply: Mapped[Supply] = mapped_column(EnumText(Supply))
    pending: Mapped[Supply | None] = mapped_column(EnumText(Supply))
    """What a command that was sent, and is not confirmed, will make of it."""
    since: Mapped[datetime]
    source: Mapped[str]
    """Who said so: a read-back, or a person at the meter."""
    actor: Mapped[str]
    recorded_at: Mapped[datetime]


class ServiceDecisionRow(Base):
    """How a service of an account stood when that last changed; appended, the latest holds."""

    __tablename__ = "service_decision"
    __table_args__ = (
        UniqueConstraint("account_id", "service", "number"),
        Index("ix_service_decision_latest", "latest", "state"),
        Index("ix_service_decision_next", "latest", "next_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    service: Mapped[str]
    number: Mapped[int]
    """Counts the decisions on the service of the account from 1."""
    latest: Mapped[bool]
    state: Mapped[ServiceState] = mapped_column(EnumText(ServiceState))
    action: Mapped[Action] = mapped_column(EnumText(Action))
    held_by: Mapped[str] = mapped_column(Text)
    """Every guard that holds the next step back, as canonical JSON."""
    debt_minor: Mapped[int | None]
    guard_set: Mapped[str]
    facts: Mapped[str] = mapped_column(Text)
    """What was decided by, as canonical JSON."""
    decided_at: Mapped[datetime]
    next_at: Mapped[datetime | None]
    restore_by: Mapped[datetime | None]


append_only(LateFeeRow.__table__)  # type: ignore[arg-type]
append_only(SupplyRow.__table__)  # type: ignore[arg-type]
append_only(ServiceDecisionRow.__table__, changing=("latest",))  # type: ignore[arg-type]
