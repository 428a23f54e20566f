"""Accounts and what holds for them between which dates."""

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from billing.models import Measurement, Settlement
from kilokassa.core.ids import AccountId, BuildingId, PremisesId, TariffPlanId


@dataclass(frozen=True, slots=True)
class AccountOrder:
    """What an account should be; opening one that exists changes what differs."""

    number: str
    payer_name: str
    premises_id: PremisesId
    persons: int
    opened_on: date
    plan_code: str
    settlement: Settlement
    measurement: Measurement
    email: str = ""
    phone: str = ""
    language: str = "ru"
    note: str = ""

    def __post_init__(self) -> None:
        if not self.number or self.number != self.number.strip():
            raise ValueError(f"an account has a number: {self.number!r}")
        if self.persons < 0:
            raise ValueError(f"persons are counted from 0: {self.persons}")


@dataclass(frozen=True, slots=True, order=True)
class Stay:
    """Local days, from `first` up to `end`, over which an account has one plan."""

    first: date
    end: date
    plan_id: TariffPlanId

    def within(self, first: date, end: date) -> "Stay | None":
        """Return the part of the stay from `first` up to `end`; None where there is none."""
        begins, ends = max(self.first, first), min(self.end, end)
        return Stay(begins, ends, self.plan_id) if begins < ends else None


@dataclass(frozen=True, slots=True)
class BilledAccount:
    """An account with all that a month's charge needs to know of it."""

    id: AccountId
    number: str
    payer_name: str
    email: str
    language: str
    persons: int
    opened_on: date
    closed_on: date | None
    premises_id: PremisesId
    premises_number: str
    area_dm2: int
    building_id: BuildingId
    address: str
    zone: ZoneInfo
    plan_id: TariffPlanId
    """That of the month's last day, or of the account's."""
    settlement: Settlement
    measurement: Measurement
    note: str
    stays: tuple[Stay, ...]
    """The days of the month on which the account is open, cut where its plan changes."""
