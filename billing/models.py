"""Tables of accounts, charges and billing runs."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.db.append_only import append_only
from kilokassa.db.base import Base
from kilokassa.db.types import EnumText
from tariffs.lines import ChargeKind


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
    COMMON_ELECTRICITY = "common_electricity"
    """Electricity of the common property of a house (КР на СОИ)."""
    COLD_WATER = "cold_water"
    HOT_WATER = "hot_water"
    DRAINAGE = "drainage"
    HOUSING = "housing"
    """Services by square metre or by person; the line's code says which."""


class LineUnit(StrEnum):
    """What the quantity of a charge line counts, in whole numbers."""

    WH = "wh"
    KCAL = "kcal"
    LITRE = "litre"
    DAY = "day"
    DM2 = "dm2"
    PERSON = "person"
    W = "w"
    MINOR = "minor"
    """Kopecks that a share is taken of."""


class CorrectionReason(StrEnum):
    """Why a charge of a closed month was put right."""

    READINGS = "readings"
    TARIFF = "tariff"
    PRICES = "prices"
    """Hourly prices or named peak hours were revised."""
    TERMS = "terms"
    FACTS = "facts"
    """Area, persons, capacity or a concession, from a day in the past on."""
    ABSENCE = "absence"
    QUALITY = "quality"
    """An outage or a lack of quality: ПП 354, annex 1."""
    COMMON_AREA = "common_area"


class FactKind(StrEnum):
    """A dated fact of an account that charges depend on."""

    PERSONS = "persons"
    CONTRACTED_W = "contracted_w"


class CommonAreaMethod(StrEnum):
    """By what the common-area electricity of a house is charged (ПП 491, п. 29(2), 29(3))."""

    NORM = "norm"
    """By the norm, put right by the actual volume once a year."""
    AVERAGE = "average"
    """By the average of the year before, put right once a year."""
    ACTUAL = "actual"
    """By what the house's meter leaves each month."""


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


class RunKind(StrEnum):
    """What a billing run is for."""

    CLOSE = "close"
    RECALCULATION = "recalculation"
    """Closed months put right without waiting for the next close."""


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
    opening_share: Mapped[int] = mapped_column(default=2_000, server_default="2000")
    """The largest share of a top-up, in basis points, that repays a debt from before the wallet."""
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


class AccountMoveKind(StrEnum):
    """Why an account ends, or another payer takes its place."""

    MOVE_OUT = "move_out"
    MOVE_IN = "move_in"
    PAYER_CHANGE = "payer_change"


class AccountMoveRow(Base):
    """A move or a change of payer on a day: which account ended, and which began; appended."""

    __tablename__ = "account_move"
    __table_args__ = (
        UniqueConstraint("actor", "idempotency_key"),
        Index("ix_account_move_account", "account_id"),
        CheckConstraint(
            "account_id IS NOT NULL OR next_account_id IS NOT NULL", name="names_an_account"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[AccountMoveKind] = mapped_column(EnumText(AccountMoveKind))
    on: Mapped[date]
    """The first day of the account that began; the one that ended is charged up to it."""
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    """The account that ended."""
    next_account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    request: Mapped[str] = mapped_column(Text)
    """All that was asked for, as canonical JSON: what becomes of the rest is done by it later."""
    note: Mapped[str] = mapped_column(default="")
    actor: Mapped[str]
    idempotency_key: Mapped[str]
    recorded_at: Mapped[datetime]


class AccountTermRow(Base):
    """What holds for an account from a date until the next row's; a former statement is kept."""

    __tablename__ = "account_term"
    __table_args__ = (
        Index(
            "ix_account_term_standing",
            "account_id",
            "valid_from",
            unique=True,
            sqlite_where=text("superseded_at IS NULL"),
            postgresql_where=text("superseded_at IS NULL"),
        ),
        Index("ix_account_term_recorded", "recorded_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    valid_from: Mapped[date]
    plan_id: Mapped[int] = mapped_column(ForeignKey("tariff_plan.id"))
    settlement: Mapped[Settlement] = mapped_column(EnumText(Settlement))
    measurement: Mapped[Measurement] = mapped_column(EnumText(Measurement))
    actor: Mapped[str] = mapped_column(default="")
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]
    """When another statement for the same day took its place; null while it stands."""


class AccountFactRow(Base):
    """A fact of an account from a day until the next row's of its kind; a former one is kept."""

    __tablename__ = "account_fact"
    __table_args__ = (
        Index(
            "ix_account_fact_standing",
            "account_id",
            "kind",
            "valid_from",
            unique=True,
            sqlite_where=text("superseded_at IS NULL"),
            postgresql_where=text("superseded_at IS NULL"),
        ),
        Index("ix_account_fact_recorded", "recorded_at"),
        CheckConstraint("value >= 0", name="value_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    kind: Mapped[FactKind] = mapped_column(EnumText(FactKind))
    valid_from: Mapped[date]
    value: Mapped[int]
    """Persons, or whole watts."""
    document: Mapped[str] = mapped_column(default="")
    actor: Mapped[str]
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


class AbsenceRow(Base):
    """Persons of an account who were away for a time (временное отсутствие)."""

    __tablename__ = "absence"
    __table_args__ = (
        Index("ix_absence_account", "account_id", "first_on"),
        Index("ix_absence_recorded", "recorded_at"),
        CheckConstraint("last_on >= first_on", name="days_in_order"),
        CheckConstraint("persons > 0", name="persons_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    first_on: Mapped[date]
    """The first full day away; the days of leaving and coming back do not count."""
    last_on: Mapped[date]
    persons: Mapped[int]
    document: Mapped[str]
    actor: Mapped[str]
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]
    """When it was withdrawn."""


class EntitlementRow(Base):
    """A right of an account to a concession of its tariff (льгота), from a day on."""

    __tablename__ = "entitlement"
    __table_args__ = (
        Index("ix_entitlement_account", "account_id", "code"),
        Index("ix_entitlement_recorded", "recorded_at"),
        CheckConstraint("valid_until IS NULL OR valid_until >= valid_from", name="days_in_order"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    code: Mapped[str]
    """Of the concession in the tariff document."""
    valid_from: Mapped[date]
    valid_until: Mapped[date | None]
    """The last day it holds."""
    document: Mapped[str]
    actor: Mapped[str]
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


class HouseServiceRow(Base):
    """A service that the accounts of a house are charged for, from a day on."""

    __tablename__ = "house_service"
    __table_args__ = (
        Index("ix_house_service_building", "building_id", "service_code"),
        Index("ix_house_service_recorded", "recorded_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"))
    service_code: Mapped[str]
    """Of the price document (`service_price.code`)."""
    valid_from: Mapped[date]
    valid_until: Mapped[date | None]
    """The last day it is provided."""
    method: Mapped[CommonAreaMethod | None] = mapped_column(EnumText(CommonAreaMethod))
    """Of common-area electricity: what the owners decided."""
    document: Mapped[str] = mapped_column(default="")
    """The contract or the decision of the owners."""
    actor: Mapped[str]
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


class CommonAreaMonthRow(Base):
    """What a house's common property used in a month and what of it is charged; appended to."""

    __tablename__ = "common_area_month"
    __table_args__ = (
        Index(
            "ix_common_area_month_standing",
            "building_id",
            "month",
            unique=True,
            sqlite_where=text("superseded_at IS NULL"),
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"))
    month: Mapped[int]
    """Ordinal."""
    method: Mapped[CommonAreaMethod] = mapped_column(EnumText(CommonAreaMethod))
    house_wh: Mapped[int | None]
    """What the house's meters took; null where that is not known."""
    flats_wh: Mapped[int]
    """What flats and other premises used, by meter, estimate or norm."""
    actual_wh: Mapped[int | None]
    """What is left for the common property; may be below zero."""
    carried_in_wh: Mapped[int]
    """What was below zero before and not yet set off, never above zero."""
    charged_wh: Mapped[int]
    """What is shared over the premises; below zero only in a yearly recalculation."""
    carried_out_wh: Mapped[int]
    area_dm2: Mapped[int]
    """Of all flats and other premises, which share by it."""
    detail: Mapped[str] = mapped_column(Text, default="")
    input_digest: Mapped[str]
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


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
    """In the line's unit; negative on a reversal."""
    rate_scaled: Mapped[int]
    """Millionths of a rouble per kWh, Gcal, m3 and so on; of a share, parts per million."""
    amount_minor: Mapped[int]
    charge: Mapped[ChargeKind] = mapped_column(EnumText(ChargeKind), default=ChargeKind.ENERGY)
    code: Mapped[str] = mapped_column(default="")
    """Code of the charge in the document it follows from, where it has one."""
    unit: Mapped[LineUnit] = mapped_column(EnumText(LineUnit), default=LineUnit.WH)
    factor: Mapped[int] = mapped_column(default=1)
    divisor: Mapped[int] = mapped_column(default=0)
    """The amount is quantity x rate x factor / divisor kopecks, half up; 0: it has no one rate."""
    reason: Mapped[CorrectionReason | None] = mapped_column(EnumText(CorrectionReason))
    """Of a reversing and a right line: what came or changed later."""
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
    known_at: Mapped[datetime | None]
    """What was recorded up to this instant is what the line was computed from."""


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
    """A close of a month or a recalculation, made of parts that can be repeated without harm."""

    __tablename__ = "billing_run"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[RunKind] = mapped_column(EnumText(RunKind), default=RunKind.CLOSE)
    charge_month: Mapped[int] = mapped_column(index=True)
    """Ordinal of the month that is closed; of a recalculation, of the first that is still open."""
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


class RehearsalRow(Base):
    """What a portfolio would have paid under other tariffs; nothing of it is ever posted."""

    __tablename__ = "rehearsal"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    order: Mapped[str] = mapped_column(Text)
    """What was asked: which plans by which documents, as JSON."""
    first_month: Mapped[int]
    last_month: Mapped[int]
    state: Mapped[RunState] = mapped_column(EnumText(RunState))
    parts: Mapped[int]
    """How many parts it has."""
    result: Mapped[str] = mapped_column(Text, default="")
    """The report as JSON; empty until all parts are done."""
    actor: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class RehearsalPartRow(Base):
    """A range of accounts of a rehearsal; written once."""

    __tablename__ = "rehearsal_part"

    rehearsal_id: Mapped[int] = mapped_column(
        ForeignKey("rehearsal.id"), primary_key=True, autoincrement=False
    )
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    summary: Mapped[bytes]
    """Packed columns of what each account would have paid."""
    ended_at: Mapped[datetime]


append_only(AccountMoveRow.__table__)  # type: ignore[arg-type]
