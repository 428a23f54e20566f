"""Tables of places, points, meters and readings."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.core.zones import Zone
from kilokassa.db.base import Base
from kilokassa.db.types import EnumText
from metering.findings import FindingKind, FindingState
from metering.imports import BatchState, RefusalReason, RefusalState
from metering.places import Commodity as Commodity  # other subjects name it beside the rows


class CompanyRow(Base):
    """A management company (УК, ТСЖ) that looks after buildings."""

    __tablename__ = "company"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    inn: Mapped[str] = mapped_column(default="")


class BuildingRow(Base):
    """A building (многоквартирный дом); its zone decides what a local day is."""

    __tablename__ = "building"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    address: Mapped[str]
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"), index=True)
    zone: Mapped[str]
    """IANA name."""


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


class MeteringPointRow(Base):
    """A metering point (точка учёта); of a premises, or of the building where null."""

    __tablename__ = "metering_point"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"), index=True)
    premises_id: Mapped[int | None] = mapped_column(ForeignKey("premises.id"), index=True)
    commodity: Mapped[Commodity] = mapped_column(EnumText(Commodity))


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


class ChannelRow(Base):
    """A series of a metering point; lives on when the meter is replaced."""

    __tablename__ = "channel"
    __table_args__ = (UniqueConstraint("point_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    point_id: Mapped[int] = mapped_column(ForeignKey("metering_point.id"))
    code: Mapped[str] = mapped_column(default="A+")
    """A+ is active energy taken."""
    interval_min: Mapped[int]
    multiplier: Mapped[int] = mapped_column(default=1)


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
    __table_args__ = (Index("ix_import_batch_file", "file_digest", "actor"),)

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
    __table_args__ = (Index("ix_finding_state", "state", "kind"),)

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
