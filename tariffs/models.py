"""Tables of tariff plans, versions and drafts, of hourly prices and of prices of services."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.db.base import Base
from kilokassa.db.types import EnumText
from tariffs.drafts.draft import DraftState, DraftStepKind


class TariffPlanRow(Base):
    """A tariff plan: what a customer chooses."""

    __tablename__ = "tariff_plan"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    """Russian name, as documents print it."""
    name_en: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]


class TariffVersionRow(Base):
    """A published version: a document that is never edited; the next one ends it."""

    __tablename__ = "tariff_version"
    __table_args__ = (UniqueConstraint("plan_id", "valid_from", "revision"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("tariff_plan.id"))
    valid_from: Mapped[date]
    revision: Mapped[int]
    """Counts publications for the same date; the highest holds."""
    document: Mapped[str] = mapped_column(Text)
    """The YAML as it was published."""
    digest: Mapped[str]
    published_at: Mapped[datetime]
    published_by: Mapped[str]


class TariffDraftRow(Base):
    """A tariff document that is being written; a second person publishes it."""

    __tablename__ = "tariff_draft"
    __table_args__ = (Index("ix_tariff_draft_state", "state", "changed_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    plan_code: Mapped[str] = mapped_column(default="")
    """Of the document, as far as it can be read."""
    document: Mapped[str] = mapped_column(Text)
    """The text as it stands; it may still have faults."""
    state: Mapped[DraftState] = mapped_column(EnumText(DraftState))
    revision: Mapped[int]
    """Counts changes: who saves an older one is told, and nothing is lost."""
    version_id: Mapped[int | None] = mapped_column(ForeignKey("tariff_version.id"))
    """What it was published as."""
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    changed_by: Mapped[str]
    changed_at: Mapped[datetime]


class TariffDraftStepRow(Base):
    """A step in the life of a draft: who did what to which text; appended to, never changed."""

    __tablename__ = "tariff_draft_step"
    __table_args__ = (UniqueConstraint("draft_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    draft_id: Mapped[int] = mapped_column(ForeignKey("tariff_draft.id"))
    number: Mapped[int]
    kind: Mapped[DraftStepKind] = mapped_column(EnumText(DraftStepKind))
    document: Mapped[str] = mapped_column(Text)
    """The text after the step."""
    note: Mapped[str] = mapped_column(Text, default="")
    actor: Mapped[str]
    recorded_at: Mapped[datetime]


class PriceSeriesRow(Base):
    """A series of prices of energy that arrives from outside, such as the day-ahead market's."""

    __tablename__ = "price_series"
    __table_args__ = (CheckConstraint("interval_min > 0", name="interval_positive"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    name_en: Mapped[str] = mapped_column(default="")
    zone: Mapped[str]
    """IANA name: of which local days the prices come."""
    interval_min: Mapped[int]
    source: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]


class PriceDayRow(Base):
    """The prices of one local day as they were known from an instant on; never changed."""

    __tablename__ = "price_day"
    __table_args__ = (
        Index("ix_price_day_recorded", "recorded_at"),
        {"sqlite_with_rowid": False},
    )

    series_id: Mapped[int] = mapped_column(
        ForeignKey("price_series.id"), primary_key=True, autoincrement=False
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1; the highest holds."""
    prices: Mapped[bytes]
    """Little-endian int64, millionths of a rouble per kWh, one an interval of the local day."""
    digest: Mapped[str]
    source: Mapped[str]
    actor: Mapped[str]
    recorded_at: Mapped[datetime]


class PeakHourRow(Base):
    """An hour of regulated peak that the market's operator named; a former statement is kept."""

    __tablename__ = "peak_hour"
    __table_args__ = (
        Index(
            "ix_peak_hour_standing",
            "list_code",
            "starts_at",
            unique=True,
            sqlite_where=text("superseded_at IS NULL"),
            postgresql_where=text("superseded_at IS NULL"),
        ),
        Index("ix_peak_hour_recorded", "recorded_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    list_code: Mapped[str]
    starts_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(default="")
    actor: Mapped[str]
    recorded_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


class ServicePriceRow(Base):
    """The price document of a service of a house, as published; never edited."""

    __tablename__ = "service_price"
    __table_args__ = (UniqueConstraint("code", "valid_from", "revision"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    valid_from: Mapped[date]
    revision: Mapped[int]
    """Counts publications for the same date; the highest holds."""
    document: Mapped[str] = mapped_column(Text)
    """The YAML as it was published."""
    digest: Mapped[str]
    published_at: Mapped[datetime]
    published_by: Mapped[str]
