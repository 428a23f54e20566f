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
    settlement: Settlement
    measurement: Measurement
    note: str
