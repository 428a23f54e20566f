"""Tables of tariff plans and their published versions."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.db.base import Base


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
