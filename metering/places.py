"""Places as they are registered: companies, buildings, premises, points, meters, channels."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kilokassa.core.errors import Invalid
from kilokassa.core.ids import BuildingId, ChannelId, CompanyId, MeterId, MeteringPointId
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone

ACTIVE_TAKEN: Final = "A+"
"""The channel of active energy taken: the one that is billed."""

CHANNEL_CODES: Final = ("A+", "A-", "R+", "R-", "Q", "HW", "CW")
"""Active taken and given, reactive taken and given, heat, hot and cold water."""

INTERVAL_LENGTHS_MIN: Final = frozenset({1, 5, 10, 15, 20, 30, 60})
"""Lengths that divide an hour; a day of 23 or 25 hours still holds a whole number of them."""

DIGITS_MAX: Final = 9
"""More whole digits than any meter shows; keeps a register in 64 bits."""


class Commodity(StrEnum):
    """What a metering point measures."""

    ELECTRICITY = "electricity"
    HEAT = "heat"
    HOT_WATER = "hot_water"
    COLD_WATER = "cold_water"


class CommonAreaKind(StrEnum):
    """What a common area of a house is."""

    STAIRS = "stairs"
    LIFT = "lift"
    CELLAR = "cellar"
    ATTIC = "attic"
    YARD = "yard"
    TECHNICAL = "technical"
    OTHER = "other"


class LifeEventKind(StrEnum):
    """A step in the life of a meter, in the order they usually come."""

    MADE = "made"
    INSTALLED = "installed"
    COMMISSIONED = "commissioned"
    SEALED = "sealed"
    VERIFIED = "verified"
    REPAIRED = "repaired"
    REPLACED = "replaced"
    RETIRED = "retired"
    DISPOSED = "disposed"


@dataclass(frozen=True, slots=True)
class Company:
    """A management company, known by its code."""

    code: str
    name: str
    inn: str = ""

    def __post_init__(self) -> None:
        _require(self.code, "company")


@dataclass(frozen=True, slots=True)
class Building:
    """A building, known by its code; `zone` is an IANA name and never changes afterwards."""

    code: str
    address: str
    zone: str
    company_code: str | None = None

    def __post_init__(self) -> None:
        _require(self.code, "building")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Invalid(
                where=self.code, problem=mark("%(zone)s is not a time zone"), zone=repr(self.zone)
            ) from None


@dataclass(frozen=True, slots=True)
class Premises:
    """A flat, known by its building and number."""

    building_code: str
    number: str
    area_dm2: int

    def __post_init__(self) -> None:
        _require(self.number, "premises")
        if self.area_dm2 <= 0:
            raise Invalid(where=self.number, problem=mark("an area is more than zero"))


@dataclass(frozen=True, slots=True)
class MeteringPoint:
    """A metering point, known by its code; of the building where `premises_number` is None."""

    code: str
    building_code: str
    premises_number: str | None = None
    commodity: Commodity = Commodity.ELECTRICITY

    def __post_init__(self) -> None:
        _require(self.code, "metering point")


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter at a point, known by its serial number there."""

    point_code: str
    serial: str
    installed_on: date
    model: str = ""
    digits: int = 6
    removed_on: date | None = None
    verified_until: date | None = None

    def __post_init__(self) -> None:
        _require(self.serial, "meter")
        if not 1 <= self.digits <= DIGITS_MAX:
            raise Invalid(where=self.serial, problem=mark("a meter shows 1 to 9 whole digits"))
        if self.removed_on is not None and self.removed_on < self.installed_on:
            raise Invalid(
                where=self.serial, problem=mark("a meter is not removed before it is installed")
            )


@dataclass(frozen=True, slots=True)
class Channel:
    """A series of a point, known by its code there; what arrives is taken times `multiplier`."""

    point_code: str
    interval_min: int
    code: str = ACTIVE_TAKEN
    multiplier: int = 1

    def __post_init__(self) -> None:
        if self.interval_min not in INTERVAL_LENGTHS_MIN:
            raise Invalid(
                where=self.point_code,
                problem=mark("an interval lasts 1, 5, 10, 15, 20, 30 or 60 minutes"),
            )
        if self.multiplier <= 0:
            raise Invalid(where=self.point_code, problem=mark("a multiplier is more than zero"))


@dataclass(frozen=True, slots=True)
class PlacesOrder:
    """Everything to be registered at once; what is known already is brought up to date."""

    companies: tuple[Company, ...] = ()
    buildings: tuple[Building, ...] = ()
    premises: tuple[Premises, ...] = ()
    points: tuple[MeteringPoint, ...] = ()
    meters: tuple[Meter, ...] = ()
    channels: tuple[Channel, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisteredPlaces:
    """The ids of what an order named, by code, and how many rows were made or changed."""

    company_ids: Mapping[str, CompanyId]
    building_ids: Mapping[str, BuildingId]
    premises_ids: Mapping[tuple[str, str], int]
    """By building code and number."""
    point_ids: Mapping[str, MeteringPointId]
    meter_ids: Mapping[tuple[str, str], MeterId]
    """By point code and serial number."""
    channel_ids: Mapping[tuple[str, str], ChannelId]
    """By point code and channel code."""
    created: int
    updated: int


@dataclass(frozen=True, slots=True)
class MeterReplacement:
    """One meter of a point taken away and another put in its place at the same instant."""

    removed_serial: str
    meter: Meter
    """The new one; its `point_code` names the point and `installed_on` the day of the change."""
    at: datetime
    final_values: Mapping[Zone, int]
    """What the removed meter showed, Wh or kcal."""
    first_values: Mapping[Zone, int]
    """What the new one showed."""


def _require(code: str, what: str) -> None:
    if not code or code != code.strip():
        raise Invalid(where=what, problem=mark("%(code)s is not a code"), code=repr(code))
