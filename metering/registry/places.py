"""Places as they are registered: companies, buildings, premises, points, meters, channels."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kilokassa.core.errors import Invalid
from kilokassa.core.ids import BuildingId, ChannelId, CompanyId, MeterId, MeteringPointId
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone

ACTIVE_TAKEN: Final = "A+"
"""The channel of active energy taken: the one that is billed."""
ACTIVE_GIVEN: Final = "A-"
"""The channel of active energy given to the network."""

CHANNEL_CODES: Final = ("A+", "A-", "R+", "R-", "Q", "HW", "CW")
"""Active taken and given, reactive taken and given, heat, hot and cold water."""

INTERVAL_LENGTHS_MIN: Final = frozenset({1, 5, 10, 15, 20, 30, 60})
"""Lengths that divide an hour; a day of 23 or 25 hours still holds a whole number of them."""

DIGITS_MAX: Final = 9
"""More whole digits than any meter shows; keeps a register in 64 bits."""

MULTIPLIER_MAX: Final = 1_000_000
WATTS_MAX: Final = 1_000_000_000
LIFE_MAX: Final = 60
ROOMS_MAX: Final = 50
PPM: Final = 1_000_000

LANGUAGES: Final = ("ru", "en")


class Commodity(StrEnum):
    """What a metering point measures."""

    ELECTRICITY = "electricity"
    HEAT = "heat"
    HOT_WATER = "hot_water"
    COLD_WATER = "cold_water"


CHANNELS_OF: Final[Mapping[Commodity, tuple[str, ...]]] = {
    Commodity.ELECTRICITY: ("A+", "A-", "R+", "R-"),
    Commodity.HEAT: ("Q",),
    Commodity.HOT_WATER: ("HW",),
    Commodity.COLD_WATER: ("CW",),
}
"""Which channels a point of a commodity may have."""


class CommonAreaKind(StrEnum):
    """What a common area of a house is."""

    STAIRS = "stairs"
    LIFT = "lift"
    CELLAR = "cellar"
    ATTIC = "attic"
    YARD = "yard"
    TECHNICAL = "technical"
    OTHER = "other"


CARRIED_OVER_BY: Final = "registry"
"""Who told of a verification that only the registry knew, before a life of events began."""


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
class Coordinates:
    """Where on the map something is, in millionths of a degree, WGS 84."""

    latitude_e6: int
    longitude_e6: int

    def __post_init__(self) -> None:
        if abs(self.latitude_e6) > 90_000_000 or abs(self.longitude_e6) > 180_000_000:
            raise Invalid(
                where=mark("coordinates"),
                problem=mark(
                    "a latitude lies within 90 degrees of the equator, a longitude within 180"
                ),
            )

    @classmethod
    def parse(cls, latitude: str, longitude: str) -> "Coordinates":
        """Read degrees with at most six decimals.

        >>> Coordinates.parse("48.480223", "135,071917")
        Coordinates(latitude_e6=48480223, longitude_e6=135071917)
        """
        return cls(_degrees(latitude), _degrees(longitude))

    @property
    def latitude(self) -> Decimal:
        """Degrees north."""
        return Decimal(self.latitude_e6).scaleb(-6)

    @property
    def longitude(self) -> Decimal:
        """Degrees east."""
        return Decimal(self.longitude_e6).scaleb(-6)


@dataclass(frozen=True, slots=True)
class Company:
    """A management company, known by its code."""

    code: str
    name: str
    inn: str | None = None
    email: str | None = None

    def __post_init__(self) -> None:
        _require(self.code, "company")


@dataclass(frozen=True, slots=True)
class Servicer:
    """Who services meters, known by its code; told when a verification falls due."""

    code: str
    name: str
    email: str | None = None
    language: str | None = None
    """`ru` or `en`; a new one is written to in Russian."""

    def __post_init__(self) -> None:
        _require(self.code, "servicer")
        if self.language is not None and self.language not in LANGUAGES:
            raise Invalid(
                where=self.code,
                problem=mark("%(language)s is not ru or en"),
                language=repr(self.language),
            )


@dataclass(frozen=True, slots=True)
class Building:
    """A building, known by its code; `zone` is an IANA name and never changes afterwards."""

    code: str
    address: str
    zone: str
    company_code: str | None = None
    servicer_code: str | None = None
    place: Coordinates | None = None
    loss_ppm: int | None = None
    """Technical losses inside the house, millionths of what enters it."""
    loss_w: int | None = None
    """Technical losses that do not depend on the load."""
    norm_code: str | None = None

    def __post_init__(self) -> None:
        _require(self.code, "building")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Invalid(
                where=self.code, problem=mark("%(zone)s is not a time zone"), zone=repr(self.zone)
            ) from None
        check_loss(self.code, self.loss_ppm)
        if self.loss_w is not None and not 0 <= self.loss_w <= WATTS_MAX:
            raise Invalid(where=self.code, problem=mark("a loss of power is not negative"))


@dataclass(frozen=True, slots=True)
class CommonArea:
    """A part of the common property of a house, known by the building and its code there."""

    building_code: str
    code: str
    kind: CommonAreaKind
    name: str | None = None
    area_dm2: int | None = None

    def __post_init__(self) -> None:
        _require(self.code, "common area")
        if self.area_dm2 is not None and self.area_dm2 < 0:
            raise Invalid(where=self.code, problem=mark("an area is not negative"))


@dataclass(frozen=True, slots=True)
class Premises:
    """A flat, known by its building and number."""

    building_code: str
    number: str
    area_dm2: int
    rooms: int | None = None
    """Living rooms."""

    def __post_init__(self) -> None:
        _require(self.number, "premises")
        if self.area_dm2 <= 0:
            raise Invalid(where=self.number, problem=mark("an area is more than zero"))
        if self.rooms is not None and not 1 <= self.rooms <= ROOMS_MAX:
            raise Invalid(where=self.number, problem=mark("a flat has 1 to 50 rooms"))


@dataclass(frozen=True, slots=True)
class DeliveryPoint:
    """A delivery point, known by its code; of the whole house where `premises_number` is None."""

    code: str
    building_code: str
    premises_number: str | None = None
    boundary: str | None = None
    """Where the boundary of ownership runs, in words of the act."""

    def __post_init__(self) -> None:
        _require(self.code, "delivery point")


@dataclass(frozen=True, slots=True)
class MeteringPoint:
    """A metering point, known by its code; of the building where `premises_number` is None."""

    code: str
    building_code: str
    premises_number: str | None = None
    commodity: Commodity = Commodity.ELECTRICITY
    exchange_code: str | None = None
    """What other systems call the point in exchange files, where it is not `code`."""
    delivery_point_code: str | None = None
    common_area_code: str | None = None
    place: Coordinates | None = None
    capacity_w: int | None = None
    """Connected capacity."""

    def __post_init__(self) -> None:
        _require(self.code, "metering point")
        if self.exchange_code is not None:
            _require(self.exchange_code, "exchange code")
        if self.premises_number is not None and self.common_area_code is not None:
            raise Invalid(
                where=self.code, problem=mark("a point is of a premises or of a common area")
            )
        if self.capacity_w is not None and not 0 < self.capacity_w <= WATTS_MAX:
            raise Invalid(where=self.code, problem=mark("a capacity is more than zero"))


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter at a point, known by its serial number there."""

    point_code: str
    serial: str
    installed_on: date
    model: str | None = None
    digits: int | None = None
    """Whole digits before a register rolls over; a new meter has six."""
    removed_on: date | None = None
    verified_until: date | None = None
    """The last day its verification holds; ignored once its life knows a verification."""
    made_on: date | None = None
    service_life_years: int | None = None

    def __post_init__(self) -> None:
        _require(self.serial, "meter")
        if self.digits is not None and not 1 <= self.digits <= DIGITS_MAX:
            raise Invalid(where=self.serial, problem=mark("a meter shows 1 to 9 whole digits"))
        if self.removed_on is not None and self.removed_on < self.installed_on:
            raise Invalid(
                where=self.serial, problem=mark("a meter is not removed before it is installed")
            )
        if self.made_on is not None and self.made_on > self.installed_on:
            raise Invalid(
                where=self.serial, problem=mark("a meter is not installed before it is made")
            )
        if self.service_life_years is not None and not 1 <= self.service_life_years <= LIFE_MAX:
            raise Invalid(where=self.serial, problem=mark("a service life lasts 1 to 60 years"))


@dataclass(frozen=True, slots=True)
class Channel:
    """A series of a point, known by its code there; what arrives is taken times `multiplier`."""

    point_code: str
    interval_min: int
    code: str = ACTIVE_TAKEN
    multiplier: int | None = None
    """1 for a new channel; fixed as soon as readings are stored."""
    loss_ppm: int | None = None
    """Losses between the metering and the delivery point; fixed like the multiplier."""

    def __post_init__(self) -> None:
        if self.interval_min not in INTERVAL_LENGTHS_MIN:
            raise Invalid(
                where=self.point_code,
                problem=mark("an interval lasts 1, 5, 10, 15, 20, 30 or 60 minutes"),
            )
        if self.code not in CHANNEL_CODES:
            raise Invalid(
                where=self.point_code,
                problem=mark("%(code)s is not a channel: %(codes)s"),
                code=repr(self.code),
                codes=", ".join(CHANNEL_CODES),
            )
        if self.multiplier is not None and not 0 < self.multiplier <= MULTIPLIER_MAX:
            raise Invalid(where=self.point_code, problem=mark("a multiplier is more than zero"))
        check_loss(self.point_code, self.loss_ppm)


@dataclass(frozen=True, slots=True)
class PlacesOrder:
    """Everything to be registered at once; what is known already is brought up to date.

    What an order leaves out (None) stays as it is registered: a file of addresses does not wipe
    the verifications, nor one of meters the coordinates.
    """

    companies: tuple[Company, ...] = ()
    buildings: tuple[Building, ...] = ()
    premises: tuple[Premises, ...] = ()
    points: tuple[MeteringPoint, ...] = ()
    meters: tuple[Meter, ...] = ()
    channels: tuple[Channel, ...] = ()
    servicers: tuple[Servicer, ...] = ()
    common_areas: tuple[CommonArea, ...] = ()
    delivery_points: tuple[DeliveryPoint, ...] = ()


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
    """What the removed meter showed, Wh, kcal or litres."""
    first_values: Mapping[Zone, int]
    """What the new one showed."""
    document: str = ""
    """Number of the act."""
    note: str = ""
    actor: str = CARRIED_OVER_BY


def check_loss(where: str, loss_ppm: int | None) -> None:
    """Refuse losses that are negative, or all there is."""
    if loss_ppm is not None and not 0 <= loss_ppm < PPM:
        raise Invalid(where=where, problem=mark("losses are 0 to 99.9999 per cent"))


_DEGREES = re.compile(r"([+-]?)(\d{1,3})(?:[.,](\d{1,6}))?")


def _degrees(text: str) -> int:
    found = _DEGREES.fullmatch(text.strip())
    if found is None:
        raise Invalid(
            where=mark("coordinates"),
            problem=mark("%(text)s is not degrees with at most six decimals"),
            text=repr(text),
        )
    sign, whole, fraction = found.groups()
    value = int(whole) * 1_000_000 + int((fraction or "").ljust(6, "0"))
    return -value if sign == "-" else value


def _require(code: str, what: str) -> None:
    if not code or code != code.strip():
        raise Invalid(where=what, problem=mark("%(code)s is not a code"), code=repr(code))
