"""Channels and meters, seen from the premises or building whose metering point they belong to."""

from dataclasses import dataclass
from datetime import date

from metering.registry.places import Commodity


@dataclass(frozen=True, slots=True)
class PremisesChannel:
    """A channel, seen from the premises whose point it belongs to."""

    premises_id: int
    point_id: int
    point_code: str
    commodity: Commodity
    channel_id: int
    channel_code: str
    interval_min: int
    zone: str


@dataclass(frozen=True, slots=True)
class PremisesMeter:
    """A meter, seen from the premises or building whose point it stands at."""

    premises_id: int | None
    building_id: int
    point_id: int
    point_code: str
    commodity: Commodity
    meter_id: int
    serial: str
    digits: int
    installed_on: date
    removed_on: date | None
    verified_until: date | None
