"""Tables of places, points, meters and readings."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.core.zones import Zone
from kilokassa.db.base import Base
from kilokassa.db.types import EnumText
from metering.estimation.methods import EstimationMethod
from metering.events.kinds import (
    DeviceEventKind,
    QualityBasis,
    QualityEventKind,
    QualityEventState,
    VisitOutcome,
)
from metering.findings.finding import FindingKind, FindingState
from metering.imports import BatchState, RefusalReason, RefusalState
from metering.registry.places import (
    Commodity as Commodity,  # other subjects name it beside the rows
)
from metering.registry.places import CommonAreaKind, LifeEventKind


class CompanyRow(Base):
    """A management company (УК, ТСЖ) that looks after buildings."""

    __tablename__ = "company"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    inn: Mapped[str] = mapped_column(default="")
    email: Mapped[str] = mapped_column(default="")


class ServicerRow(Base):
    """Who services meters (обслуживающая организация): told when a verification falls due."""

    __tablename__ = "servicer"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    email: Mapped[str] = mapped_column(default="")
    language: Mapped[str] = mapped_column(default="ru")


class BuildingRow(Base):
    """A building (многоквартирный дом); its zone decides what a local day is."""

    __tablename__ = "building"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    address: Mapped[str]
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"), index=True)
    zone: Mapped[str]
    """IANA name."""
    servicer_id: Mapped[int | None] = mapped_column(ForeignKey("servicer.id"))
    """Who services its meters; the management company where null."""
    latitude_e6: Mapped[int | None]
    """Millionths of a degree, WGS 84."""
    longitude_e6: Mapped[int | None]
    loss_ppm: Mapped[int] = mapped_column(default=0)
    """Technical losses inside the house: millionths of what enters it."""
    loss_w: Mapped[int] = mapped_column(default=0)
    """Technical losses that do not depend on the load."""
    norm_code: Mapped[str | None]
    """Which consumption norms hold for its flats."""


class CommonAreaRow(Base):
    """A part of the common property of a house (места общего пользования): stairs, lifts, yard."""

    __tablename__ = "common_area"
    __table_args__ = (
        UniqueConstraint("building_id", "code"),
        CheckConstraint("area_dm2 >= 0", name="area_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"))
    code: Mapped[str]
    kind: Mapped[CommonAreaKind] = mapped_column(EnumText(CommonAreaKind))
    name: Mapped[str] = mapped_column(default="")
    area_dm2: Mapped[int] = mapped_column(default=0)


class PremisesRow(Base):
    """A flat or other premises of a building."""

    __tablename__ = "premises"
    __table_args__ = (
        UniqueConstraint("building_id", "number"),
        CheckConstraint("area_dm2 > 0", name="area_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"))
    number: Mapped[str]
    area_dm2: Mapped[int]
    """Whole square decimetres, hundredths of a square metre."""
    rooms: Mapped[int | None]
    """Living rooms: norms depend on them."""


class PremisesAreaRow(Base):
    """The area of premises from a day until the next row's; a former statement is kept.

    An extract of the register (ЕГРН) holds from the month it was handed in. Without any row the
    area of the premises themselves holds.
    """

    __tablename__ = "premises_area"
    __table_args__ = (
        Index(
            "ix_premises_area_standing",
            "premises_id",
            "valid_from",
            unique=True,
            sqlite_where=text("superseded_at IS NULL"),
            postgresql_where=text("superseded_at IS NULL"),
        ),
        Index("ix_premises_area_recorded", "recorded_at"),
        CheckConstraint("area_dm2 > 0", name="area_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    premises_id: Mapped[int] = mapped_column(ForeignKey("premises.id"))
    valid_from: Mapped[date]
    area_dm2: Mapped[int]
    document: Mapped[str] = mapped_column(default="")
    actor: Mapped[str]
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


class DeliveryPointRow(Base):
    """A delivery point (точка поставки): contractual, where responsibility changes hands."""

    __tablename__ = "delivery_point"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"), index=True)
    premises_id: Mapped[int | None] = mapped_column(ForeignKey("premises.id"))
    boundary: Mapped[str] = mapped_column(default="")
    """Where the boundary of ownership runs, in words of the act."""


class MeteringPointRow(Base):
    """A metering point (точка учёта): of a premises, of a common area, or the house's own input."""

    __tablename__ = "metering_point"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"), index=True)
    premises_id: Mapped[int | None] = mapped_column(ForeignKey("premises.id"), index=True)
    commodity: Mapped[Commodity] = mapped_column(EnumText(Commodity))
    common_area_id: Mapped[int | None] = mapped_column(ForeignKey("common_area.id"))
    delivery_point_id: Mapped[int | None] = mapped_column(ForeignKey("delivery_point.id"))
    exchange_code: Mapped[str | None] = mapped_column(unique=True)
    """What other systems call the point in exchange files, where it is not `code`."""
    latitude_e6: Mapped[int | None]
    """Millionths of a degree, WGS 84."""
    longitude_e6: Mapped[int | None]
    capacity_w: Mapped[int | None]
    """Connected capacity (присоединённая мощность); null where it is not known."""


class MeterRow(Base):
    """A device with a serial number; replaced, while its point stays."""

    __tablename__ = "meter"
    __table_args__ = (UniqueConstraint("point_id", "serial"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    point_id: Mapped[int] = mapped_column(ForeignKey("metering_point.id"), index=True)
    serial: Mapped[str]
    model: Mapped[str] = mapped_column(default="")
    digits: Mapped[int] = mapped_column(default=6)
    """Whole digits before the register rolls over (kWh or Gcal)."""
    installed_on: Mapped[date]
    removed_on: Mapped[date | None]
    verified_until: Mapped[date | None]
    made_on: Mapped[date | None]
    service_life_years: Mapped[int | None]
    """A meter is retired at most so many years after it was made."""


class MeterLifeEventRow(Base):
    """A step in the life of a meter; appended to, never changed."""

    __tablename__ = "meter_life_event"
    __table_args__ = (Index("ix_meter_life_event_meter", "meter_id", "happened_on"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    meter_id: Mapped[int] = mapped_column(ForeignKey("meter.id"))
    kind: Mapped[LifeEventKind] = mapped_column(EnumText(LifeEventKind))
    happened_on: Mapped[date]
    valid_until: Mapped[date | None]
    """Of a verification: the last day it holds."""
    document: Mapped[str] = mapped_column(default="")
    """Number of the act or certificate."""
    note: Mapped[str] = mapped_column(default="")
    actor: Mapped[str]
    recorded_at: Mapped[datetime]


class ChannelRow(Base):
    """A series of a metering point; lives on when the meter is replaced."""

    __tablename__ = "channel"
    __table_args__ = (UniqueConstraint("point_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    point_id: Mapped[int] = mapped_column(ForeignKey("metering_point.id"))
    code: Mapped[str] = mapped_column(default="A+")
    """One of `metering.registry.places.CHANNEL_CODES`; A+ is active energy taken."""
    interval_min: Mapped[int]
    multiplier: Mapped[int] = mapped_column(default=1)
    loss_ppm: Mapped[int] = mapped_column(default=0)
    """Losses between the metering and the delivery point, millionths of what is measured."""


class RegisterReadingRow(Base):
    """A register's total at an instant; a corrected one is a later row of the same instant."""

    __tablename__ = "register_reading"
    __table_args__ = (
        UniqueConstraint("meter_id", "zone", "taken_at", "revision"),
        CheckConstraint("value >= 0", name="value_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    meter_id: Mapped[int] = mapped_column(ForeignKey("meter.id"))
    zone: Mapped[Zone] = mapped_column(EnumText(Zone))
    taken_at: Mapped[datetime]
    value: Mapped[int]
    """Whole Wh, or whole kcal for a heat meter."""
    quality: Mapped[int]
    source: Mapped[str]
    revision: Mapped[int] = mapped_column(default=1)
    recorded_at: Mapped[datetime]


class IntervalDayRow(Base):
    """The current state of one channel on one local day (`design.md`, decision 4)."""

    __tablename__ = "interval_day"
    __table_args__ = (
        Index("ix_interval_day_recorded", "recorded_at"),
        {"sqlite_with_rowid": False},
    )

    channel_id: Mapped[int] = mapped_column(
        ForeignKey("channel.id"), primary_key=True, autoincrement=False
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    interval_min: Mapped[int]
    energy_wh: Mapped[bytes]
    """Little-endian int32, one an interval of the local day."""
    quality: Mapped[bytes]
    """One byte an interval: `kilokassa.core.series.Quality`."""
    fraction_uwh: Mapped[bytes | None]
    """What arrived beyond whole Wh, little-endian int32 of millionths; null where nothing did."""
    total_wh: Mapped[int]
    missing: Mapped[int]
    """Intervals without a value."""
    revision: Mapped[int]
    digest: Mapped[bytes]
    """First 16 bytes of the SHA-256 of the packed values and qualities."""
    source: Mapped[str]
    recorded_at: Mapped[datetime]


class IntervalDayRevisionRow(Base):
    """A state of a day that a later one replaced; appended to, never changed."""

    __tablename__ = "interval_day_revision"

    channel_id: Mapped[int] = mapped_column(
        ForeignKey("channel.id"), primary_key=True, autoincrement=False
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    interval_min: Mapped[int]
    energy_wh: Mapped[bytes]
    quality: Mapped[bytes]
    fraction_uwh: Mapped[bytes | None]
    total_wh: Mapped[int]
    missing: Mapped[int]
    digest: Mapped[bytes]
    source: Mapped[str]
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime]


class ImportBatchRow(Base):
    """One import of one file; the digest tells the same file again."""

    __tablename__ = "import_batch"
    __table_args__ = (
        Index("ix_import_batch_file", "file_digest", "actor"),
        Index("ix_import_batch_request", "actor", "request_key", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    file_name: Mapped[str]
    file_digest: Mapped[str]
    """SHA-256 of the file's bytes."""
    format: Mapped[str]
    unit: Mapped[str]
    actor: Mapped[str]
    state: Mapped[BatchState] = mapped_column(EnumText(BatchState))
    same_as_id: Mapped[int | None] = mapped_column(ForeignKey("import_batch.id"))
    """An earlier import of the very same file."""
    request_key: Mapped[str | None]
    """What the sender called the request, so that sending it twice is one import."""
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class ImportChunkRow(Base):
    """A part of a file that was loaded in one transaction; its row is written with the effect."""

    __tablename__ = "import_chunk"
    __table_args__ = (
        CheckConstraint(
            "row_count = new + repeated + revised + refused", name="accounts_for_every_row"
        ),
    )

    batch_id: Mapped[int] = mapped_column(
        ForeignKey("import_batch.id"), primary_key=True, autoincrement=False
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    row_count: Mapped[int]
    new: Mapped[int]
    repeated: Mapped[int]
    revised: Mapped[int]
    refused: Mapped[int]
    energy_wh: Mapped[int]
    """Whole Wh of the rows that were not refused, as the file gives them."""
    energy_uwh: Mapped[int]
    """What they have beyond, in millionths."""
    recorded_at: Mapped[datetime]


class ImportRefusalRow(Base):
    """Rows of one point that one reason refused, kept whole for a second try."""

    __tablename__ = "import_refusal"
    __table_args__ = (Index("ix_import_refusal_state", "state", "batch_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("import_batch.id"), index=True)
    point_code: Mapped[str]
    channel_code: Mapped[str] = mapped_column(default="A+")
    reason: Mapped[RefusalReason] = mapped_column(EnumText(RefusalReason))
    row_count: Mapped[int]
    first_line: Mapped[int]
    rows: Mapped[bytes]
    """Packed by `metering.imports`: compressed arrivals, or the fields of a register reading."""
    state: Mapped[RefusalState] = mapped_column(EnumText(RefusalState))
    recorded_at: Mapped[datetime]


class FindingRow(Base):
    """Something that looks wrong in the readings of a point (замечание к данным)."""

    __tablename__ = "finding"
    __table_args__ = (
        Index("ix_finding_state", "state", "kind"),
        Index("ix_finding_point", "point_code", "state"),
        Index("ix_finding_weight", "state", "weight"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[FindingKind] = mapped_column(EnumText(FindingKind))
    point_code: Mapped[str]
    channel_id: Mapped[int | None] = mapped_column(ForeignKey("channel.id"), index=True)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    detail: Mapped[str] = mapped_column(Text)
    """What fills the sentence of its kind, as JSON."""
    state: Mapped[FindingState] = mapped_column(EnumText(FindingState))
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("import_batch.id"), index=True)
    recorded_at: Mapped[datetime]
    closed_by: Mapped[str | None]
    """Who accepted it, or whose doing corrected it; null while it is open."""
    closed_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(default="")
    """Why it was accepted, in the words of who did so."""
    weight: Mapped[int] = mapped_column(default=0)
    """How much it matters: the queue is worked through from the heaviest on."""


class DeviceEventRow(Base):
    """Something that a meter noticed itself: opened covers, magnets, phases lost, its clock set."""

    __tablename__ = "device_event"
    __table_args__ = (
        UniqueConstraint("point_id", "kind", "starts_at"),
        Index("ix_device_event_time", "starts_at", "kind"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    point_id: Mapped[int] = mapped_column(ForeignKey("metering_point.id"))
    meter_id: Mapped[int | None] = mapped_column(ForeignKey("meter.id"))
    kind: Mapped[DeviceEventKind] = mapped_column(EnumText(DeviceEventKind))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    """Null while it lasts, and for what has no length."""
    value: Mapped[int | None]
    """Of a clock that was set: seconds it was fast. Of a voltage: tenths of a volt."""
    source: Mapped[str]
    actor: Mapped[str]
    recorded_at: Mapped[datetime]


class QualityEventRow(Base):
    """A period in which a service was not as it must be, kept for deductions (ПП 354, annex 1)."""

    __tablename__ = "quality_event"
    __table_args__ = (
        Index("ix_quality_event_building", "building_id", "starts_at"),
        CheckConstraint("ends_at IS NULL OR ends_at > starts_at", name="lasts"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"))
    premises_id: Mapped[int | None] = mapped_column(ForeignKey("premises.id"))
    """Null where the whole house was concerned."""
    commodity: Mapped[Commodity] = mapped_column(EnumText(Commodity))
    kind: Mapped[QualityEventKind] = mapped_column(EnumText(QualityEventKind))
    basis: Mapped[QualityBasis] = mapped_column(EnumText(QualityBasis))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    """Null while it lasts."""
    measured_tenths: Mapped[int | None]
    """What was measured: tenths of a degree Celsius, or of a volt."""
    required_tenths: Mapped[int | None]
    """What had to be, where the document says so; null: what the rule says for most premises."""
    document: Mapped[str] = mapped_column(default="")
    """Number of the act or of the complaint."""
    note: Mapped[str] = mapped_column(default="")
    state: Mapped[QualityEventState] = mapped_column(EnumText(QualityEventState))
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    end_recorded_at: Mapped[datetime | None]
    """When the end was told, of an event that was recorded as lasting."""
    source_key: Mapped[str | None] = mapped_column(unique=True)
    """What a machine calls it, so that telling it twice makes one row."""


class ReadingWindowRow(Base):
    """On which days of a month residents submit readings, from a date on; a later row replaces."""

    __tablename__ = "reading_window"
    __table_args__ = (
        UniqueConstraint("building_id", "valid_from"),
        CheckConstraint("first_day >= 1 AND last_day >= first_day", name="days_in_order"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    building_id: Mapped[int | None] = mapped_column(ForeignKey("building.id"))
    """Null: for every house without a row of its own."""
    valid_from: Mapped[date]
    first_day: Mapped[int]
    last_day: Mapped[int]
    remind_days_before: Mapped[int] = mapped_column(default=2)
    source: Mapped[str] = mapped_column(default="")
    recorded_at: Mapped[datetime]


class WalkRoundRow(Base):
    """A walk-round (обход) of a building: a person's list of readings to take."""

    __tablename__ = "walk_round"

    id: Mapped[int] = mapped_column(primary_key=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"), index=True)
    taken_on: Mapped[date]
    actor: Mapped[str]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class WalkRoundVisitRow(Base):
    """What came of one meter on a walk-round; a later row of the same meter replaces."""

    __tablename__ = "walk_round_visit"
    __table_args__ = (Index("ix_walk_round_visit_round", "walk_round_id", "meter_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    walk_round_id: Mapped[int] = mapped_column(ForeignKey("walk_round.id"))
    meter_id: Mapped[int] = mapped_column(ForeignKey("meter.id"), index=True)
    outcome: Mapped[VisitOutcome] = mapped_column(EnumText(VisitOutcome))
    note: Mapped[str] = mapped_column(default="")
    actor: Mapped[str]
    recorded_at: Mapped[datetime]


class ReadingPhotoRow(Base):
    """A photograph of a meter, kept with the readings that were taken from it at that instant."""

    __tablename__ = "reading_photo"
    __table_args__ = (Index("ix_reading_photo_meter", "meter_id", "taken_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    meter_id: Mapped[int] = mapped_column(ForeignKey("meter.id"))
    taken_at: Mapped[datetime]
    media_type: Mapped[str]
    content: Mapped[bytes]
    """Made anew from what was sent: without its metadata, and no larger than needed."""
    digest: Mapped[str]
    actor: Mapped[str]
    recorded_at: Mapped[datetime]


class ConsumptionNormRow(Base):
    """A consumption norm (норматив потребления) a person and month, from a date on."""

    __tablename__ = "consumption_norm"
    __table_args__ = (UniqueConstraint("code", "commodity", "valid_from", "rooms", "persons"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    commodity: Mapped[Commodity] = mapped_column(EnumText(Commodity))
    valid_from: Mapped[date]
    rooms: Mapped[int] = mapped_column(default=0)
    """0: however many."""
    persons: Mapped[int] = mapped_column(default=0)
    """0: however many; the largest number of a code holds for more too."""
    quantity: Mapped[int]
    """Whole Wh, kcal or litres."""
    source: Mapped[str] = mapped_column(default="")
    recorded_at: Mapped[datetime]


class EstimateRow(Base):
    """How a value that was not measured came about (расчётное значение); never changed.

    The value itself stands among the readings, with the quality `ESTIMATED`; one that a real value
    replaced is told by `replaced_at`.
    """

    __tablename__ = "estimate"
    __table_args__ = (Index("ix_estimate_point", "point_id", "starts_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    point_id: Mapped[int] = mapped_column(ForeignKey("metering_point.id"))
    channel_id: Mapped[int | None] = mapped_column(ForeignKey("channel.id"))
    """Of interval values."""
    meter_id: Mapped[int | None] = mapped_column(ForeignKey("meter.id"))
    """Of a register reading."""
    zone: Mapped[Zone | None] = mapped_column(EnumText(Zone))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    method: Mapped[EstimationMethod] = mapped_column(EnumText(EstimationMethod))
    rule: Mapped[str]
    """The rule of the chain that called for it, with its dates."""
    basis: Mapped[str] = mapped_column(Text)
    """What it was computed from, as JSON."""
    quantity: Mapped[int]
    """Whole Wh, kcal or litres over the whole period."""
    recorded_at: Mapped[datetime]
    replaced_at: Mapped[datetime | None]


class ExchangeAreaRow(Base):
    """What time zone a sender's area stated last in exchange files (80020)."""

    __tablename__ = "exchange_area"
    __table_args__ = (UniqueConstraint("sender_inn", "area_inn"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    sender_inn: Mapped[str]
    area_inn: Mapped[str]
    timezone: Mapped[str]
    """As the file gives it; empty where it gives none."""
    recorded_at: Mapped[datetime]


class ExchangeNumberRow(Base):
    """The number of the last exchange file that was made for a sender."""

    __tablename__ = "exchange_number"

    sender_inn: Mapped[str] = mapped_column(primary_key=True)
    last_number: Mapped[int]
