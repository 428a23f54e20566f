"""Tables of heat prices and of how a house's heat is shared."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.db.base import Base


class HeatPriceRow(Base):
    """The price of heat from a day on; a later row ends it."""

    __tablename__ = "heat_price"
    __table_args__ = (
        UniqueConstraint("plan_code", "valid_from"),
        CheckConstraint("rate_scaled >= 0", name="rate_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_code: Mapped[str]
    valid_from: Mapped[date]
    rate_scaled: Mapped[int]
    """Millionths of a rouble per Gcal, VAT included."""
    source: Mapped[str]
    recorded_at: Mapped[datetime]


class HeatedHouseRow(Base):
    """How the heat of a building is shared from a day on."""

    __tablename__ = "heated_house"
    __table_args__ = (
        UniqueConstraint("building_id", "valid_from"),
        CheckConstraint("common_area_dm2 >= 0", name="common_area_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"))
    valid_from: Mapped[date]
    plan_code: Mapped[str]
    common_area_dm2: Mapped[int] = mapped_column(default=0)
    recorded_at: Mapped[datetime]
