"""What houses are served with: the services assigned to them and their settled months."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from billing.models import CommonAreaMethod
from kilokassa.core.calendar import Month
from tariffs.services.common_area import MonthBasis


class CommonFlow(StrEnum):
    """What a picture of common-area electricity shows."""

    USED = "used"
    CHARGED = "charged"


@dataclass(frozen=True, slots=True)
class ServedHouse:
    """A building as its services need it."""

    id: int
    code: str
    address: str
    zone: ZoneInfo
    norm_code: str


@dataclass(frozen=True, slots=True)
class AssignedService:
    """A service that a house has, from a day on."""

    id: int
    building_id: int
    code: str
    valid_from: date
    valid_until: date | None
    method: CommonAreaMethod | None
    document: str
    actor: str
    recorded_at: datetime

    @property
    def end(self) -> date:
        """The day after the last one."""
        return day_after(self.valid_until)


def day_after(last: date | None) -> date:
    """Return the day after a last one; the end of all days where there is none."""
    return date.max if last is None or last == date.max else last + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CommonAreaMonth:
    """The settled common-area electricity of a house in a month, whole Wh."""

    building_id: int
    month: Month
    method: CommonAreaMethod
    house_wh: int | None
    flats_wh: int
    actual_wh: int | None
    carried_in_wh: int
    charged_wh: int
    carried_out_wh: int
    area_dm2: int
    detail: dict[str, Any]
    """`basis`, `own_wh`, `norm_wh`, `unread` points and, where it has one, the `yearly` part."""
    input_digest: str
    recorded_at: datetime

    @property
    def own_wh(self) -> int:
        """What is charged for the month itself."""
        return int(self.detail["own_wh"])

    @property
    def basis(self) -> MonthBasis:
        """By what the month is charged."""
        return MonthBasis(self.detail["basis"])

    @property
    def yearly(self) -> tuple[tuple[Month, int], ...]:
        """Of a yearly recalculation: by month the difference to the actual volume."""
        return tuple(
            (Month.from_ordinal(ordinal), difference)
            for ordinal, difference in self.detail.get("yearly", ())
        )

    @property
    def yearly_wh(self) -> int:
        """What the yearly recalculation comes to."""
        return self.charged_wh - self.own_wh
