"""Tables of accounts, charges and billing runs."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.db.base import Base
from kilokassa.db.types import EnumText


class Settlement(StrEnum):
    """When an account pays: ahead, by the day, or after the month."""

    PREPAID = "prepaid"
    POSTPAID = "postpaid"


class Measurement(StrEnum):
    """What an account's electricity is billed from."""

    INTERVALS = "intervals"
    REGISTERS = "registers"


class Service(StrEnum):
    """What a charge line is for."""

    ELECTRICITY = "electricity"
    HEAT = "heat"


class LineKind(StrEnum):
    """Why a charge line exists."""

    ORIGINAL = "original"
    REVERSAL = "reversal"
    CORRECTION = "correction"


class RunState(StrEnum):
    """How far a billing run, or a part of one, has come."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"


class PriceSplit(StrEnum):
    """How a change of price between two readings of a register is told apart.

    No law says (`regulation.md`, section 11), so it is the retailer's own setting.
    """

    READING = "reading"
    """By a reading taken where the price changed; by days where there is none."""
    DAYS = "days"
    """By days always."""


class RetailerRow(Base):
    """The one retailer of the installation: its name and requisites; exactly one row."""

    __tablename__ = "retailer"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    inn: Mapped[str]
    kpp: Mapped[str] = mapped_column(default="")
    bank_name: Mapped[str]
    bic: Mapped[str]
    bank_account: Mapped[str]
    correspondent_account: Mapped[str]
    address: Mapped[str] = mapped_column(default="")
    phone: Mapped[str] = mapped_column(default="")
    email: Mapped[str] = mapped_column(default="")
    page_url: Mapped[str] = mapped_column(default="")
    """Web address of the account page, which letters point to; empty where there is none."""
    zone: Mapped[str]
    """IANA name: what a billing month is."""
    languages: Mapped[str]
    """Language codes with commas; the first is the one of documents."""
    demo: Mapped[bool] = mapped_column(default=False)
    price_split: Mapped[PriceSplit] = mapped_column(
        EnumText(PriceSplit), default=PriceSplit.READING
    )
    created_at: Mapped[datetime]


class AccountRow(Base):
    """An account (лицевой счёт) of a customer for a premises."""

    __tablename__ = "account"
    __table_args__ = (CheckConstraint("persons >= 0", name="persons_not_negative"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    payer_name: Mapped[str]
    email: Mapped[str] = mapped_column(default="")
    phone: Mapped[str] = mapped_column(default="")
    premises_id: Mapped[int] = mapped_column(ForeignKey("premises.id"), index=True)
    persons: Mapped[int] = mapped_column(default=1)
    language: Mapped[str] = mapped_column(default="ru")
    note: Mapped[str] = mapped_column(default="")
    opened_on: Mapped[date]
    closed_on: Mapped[date | None]


class AccountTermRow(Base):
    """What holds for an account from a date until the next row's."""

    __tablename__ = "account_term"
    __table_args__ = (UniqueConstraint("account_id", "valid_from"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    valid_from: Mapped[date]
    plan_id: Mapped[int] = mapped_column(ForeignKey("tariff_plan.id"))
    settlement: Mapped[Settlement] = mapped_column(EnumText(Settlement))
    measurement: Mapped[Measurement] = mapped_column(EnumText(Measurement))
    recorded_at: Mapped[datetime]


class ChargeLineRow(Base):
    """One line of a charge: quantity x rate = amount, rounded once."""

    __tablename__ = "charge_line"
    __table_args__ = (
        Index("ix_charge_line_account_month", "account_id", "charge_month"),
        Index("ix_charge_line_document_month", "document_month", "account_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    charge_month: Mapped[int]
    """Ordinal of the month the energy was used in."""
    document_month: Mapped[int]
    """Ordinal of the month whose document shows the line."""
    service: Mapped[Service] = mapped_column(EnumText(Service))
    kind: Mapped[LineKind] = mapped_column(EnumText(LineKind))
    position: Mapped[int]
    line_key: Mapped[str]
    """What the line is for within its service: zone, range and price period."""
    quantity: Mapped[int]
    """Whole Wh or kcal; negative on a reversal."""
    rate_scaled: Mapped[int]
    """Millionths of a rouble per kWh or Gcal, VAT included."""
    amount_minor: Mapped[int]
    estimated: Mapped[int] = mapped_column(default=0)
    """Part of the quantity that was not measured."""
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]
    tariff_version_id: Mapped[int | None]
    input_digest: Mapped[str]
    """What the line was computed from: readings and their revisions."""
    detail: Mapped[str] = mapped_column(Text, default="")
    """Further facts of the line as JSON: how heat was shared, registers read."""
    entry_id: Mapped[int | None]
    """Journal entry of the wallet that carried the amount; null where nothing moved."""
    run_id: Mapped[int | None]
    recorded_at: Mapped[datetime]


class RunningChargeRow(Base):
    """What of a running month is already taken from a prepaid wallet, by service."""

    __tablename__ = "running_charge"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    charge_month: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    service: Mapped[Service] = mapped_column(EnumText(Service), primary_key=True)
    known_until: Mapped[datetime]
    posted_minor: Mapped[int]
    input_digest: Mapped[str]
    recorded_at: Mapped[datetime]


class BillingRunRow(Base):
    """A close of a month, made of parts that can be repeated without harm."""

    __tablename__ = "billing_run"

    id: Mapped[int] = mapped_column(primary_key=True)
    charge_month: Mapped[int] = mapped_column(index=True)
    state: Mapped[RunState] = mapped_column(EnumText(RunState))
    whole: Mapped[bool] = mapped_column(default=True)
    """False where it was run for one account only."""
    actor: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class BillingPartRow(Base):
    """A range of accounts of a run; written once, in the transaction of its effects."""

    __tablename__ = "billing_part"

    run_id: Mapped[int] = mapped_column(
        ForeignKey("billing_run.id"), primary_key=True, autoincrement=False
    )
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first_account_id: Mapped[int]
    last_account_id: Mapped[int]
    summary: Mapped[str] = mapped_column(Text)
    ended_at: Mapped[datetime]
