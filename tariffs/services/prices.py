"""What a service of a house costs: the price document as a value, and prices by the day."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from tariffs.charges import DatedAmount


class HouseService(StrEnum):
    """A service of a house beside electricity by a tariff and heat."""

    COLD_WATER = "cold_water"
    HOT_WATER = "hot_water"
    DRAINAGE = "drainage"
    HOUSING = "housing"
    COMMON_ELECTRICITY = "common_electricity"


class Basis(StrEnum):
    """What a service is charged for."""

    METER = "meter"
    """What the flat's meter counted; by the norm a person where there is none."""
    WATER = "water"
    """Cold and hot water together: what is drained (ПП 354, п. 42)."""
    AREA = "area"
    PERSON = "person"
    COMMON_AREA = "common_area"
    """The flat's share of the electricity of the common property (КР на СОИ)."""


BASES_OF: Final = {
    HouseService.COLD_WATER: (Basis.METER,),
    HouseService.HOT_WATER: (Basis.METER,),
    HouseService.DRAINAGE: (Basis.WATER,),
    HouseService.HOUSING: (Basis.AREA, Basis.PERSON),
    HouseService.COMMON_ELECTRICITY: (Basis.COMMON_AREA,),
}


@dataclass(frozen=True, slots=True)
class HeatingPart:
    """The second part of the price of hot water: the heat that warms it."""

    kcal_per_m3: int
    """A norm, never a reading (ПП 354, п. 42): hundredths of it are data of the region."""
    amounts: tuple[DatedAmount, ...]
    """Millionths of a rouble per Gcal."""


@dataclass(frozen=True, slots=True)
class ServicePrice:
    """A published price document of a service: it holds until the next one of its code."""

    service: HouseService
    code: str
    name: str
    name_en: str
    valid_from: date
    basis: Basis
    amounts: tuple[DatedAmount, ...]
    """Millionths of a rouble per m3, m2, person or kWh; empty where a plan's price is taken."""
    heating: HeatingPart | None
    norm_code: str
    """Of the consumption norms; empty: those of the building."""
    plan_code: str
    """The plan whose single rate common-area electricity costs; empty where it has its own."""
    area_norms: tuple[DatedAmount, ...]
    """Millionths of a kWh a month for a square metre of common premises."""
    recalculated_in: int
    """The month of the year, 1 to 3, that puts right the year before."""
    source: str
    confidence: str
    digest: str
    id: int = 0
    """Of the published row."""

    @property
    def certain(self) -> bool:
        """Say whether the document's source was read."""
        return self.confidence not in {"low", "memory"}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days in a row under one price of one document."""

    first: date
    end: date
    """The day after the last one."""
    price: ServicePrice
    rate_scaled: int
    heat_rate_scaled: int = 0

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.first).days


def stretches(prices: Sequence[ServicePrice], first: date, end: date) -> tuple[Stretch, ...]:
    """Return the stretches of one price of the days from `first` up to `end`, in order.

    `prices` are the documents of one service by date, the last revision of each. Days before the
    first document are in none.
    """
    found: list[Stretch] = []
    day = first
    while day < end:
        document = _last(prices, day)
        if document is None:
            day += timedelta(days=1)
            continue
        heat = 0 if document.heating is None else amount_on(document.heating.amounts, day)
        rate = amount_on(document.amounts, day) if document.amounts else 0
        before = found[-1] if found else None
        same = (
            before is not None
            and before.end == day
            and (
                before.price.id,
                before.price.digest,
                before.rate_scaled,
                before.heat_rate_scaled,
            )
            == (document.id, document.digest, rate, heat)
        )
        next_day = day + timedelta(days=1)
        if same and before is not None:
            found[-1] = replace(before, end=next_day)
        else:
            found.append(Stretch(day, next_day, document, rate, heat))
        day = next_day
    return tuple(found)


def amount_on(amounts: Sequence[DatedAmount], day: date) -> int:
    """Return the amount that holds on `day`; the first one before its own day."""
    return next(
        (one.amount_scaled for one in reversed(amounts) if one.valid_from <= day),
        amounts[0].amount_scaled,
    )


def _last(prices: Sequence[ServicePrice], day: date) -> ServicePrice | None:
    return next((one for one in reversed(prices) if one.valid_from <= day), None)
