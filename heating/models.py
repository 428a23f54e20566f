"""Tables of heating: dated prices, and how a house shares its heat."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from heating.allocation import HeatMethod
from kilokassa.db.base import Base
from kilokassa.db.types import EnumText


class HeatPriceRow(Base):
    """The price of heat from a date on; a later publication for the same date replaces it."""

    __tablename__ = "heat_price"
    __table_args__ = (
        UniqueConstraint("code", "valid_from", "revision"),
        CheckConstraint("rate_scaled >= 0", name="rate_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    """The place or plan that the price is for."""
    valid_from: Mapped[date]
    revision: Mapped[int] = mapped_column(default=1)
    """Counts publications for the same date; the highest holds."""
    rate_scaled: Mapped[int]
    """Millionths of a rouble per Gcal, VAT included."""
    source: Mapped[str] = mapped_column(default="")
    recorded_at: Mapped[datetime]
    recorded_by: Mapped[str]


class HeatingHouseRow(Base):
    """How a building shares its heat from a date on; the highest revision of a date holds."""

    __tablename__ = "heating_house"
    __table_args__ = (
        UniqueConstraint("building_id", "valid_from", "revision"),
        CheckConstraint("common_area_dm2 >= 0", name="common_area_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"))
    valid_from: Mapped[date]
    revision: Mapped[int] = mapped_column(default=1)
    method: Mapped[HeatMethod] = mapped_column(EnumText(HeatMethod))
    common_area_dm2: Mapped[int]
    """Stairs, halls and other common premises, hundredths of a square metre."""
    price_code: Mapped[str]
    """The `code` of the heat prices that the house pays."""
    recorded_at: Mapped[datetime]
    recorded_by: Mapped[str]
