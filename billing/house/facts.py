"""What the services of houses are charged by: areas, meters, norms, persons; all as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from billing.facts.facts import Absence
from billing.house.served import CommonAreaMonth, ServedHouse
from billing.models import Service
from kilokassa.core.ids import AccountId
from metering.estimation.methods import Norm
from metering.registers import RegisterReading
from metering.registry.at_premises import PremisesMeter
from metering.registry.places import Commodity

WATERS: Final = {
    Commodity.COLD_WATER: Service.COLD_WATER,
    Commodity.HOT_WATER: Service.HOT_WATER,
}


@dataclass(frozen=True, slots=True)
class HouseFacts:
    """What the charges of a group of accounts are computed from."""

    houses: Mapping[int, ServedHouse]
    areas: Mapping[int, Mapping[int, int]]
    """Square decimetres of all premises, by building and premises."""
    common: Mapping[int, CommonAreaMonth]
    meters: Mapping[tuple[int, Commodity], tuple[PremisesMeter, ...]]
    readings: Mapping[int, Sequence[RegisterReading]]
    norms: Mapping[Commodity, Sequence[Norm]]
    rooms: Mapping[int, int | None]
    own_areas: Mapping[int, int]
    """Square decimetres of the accounts' own premises: what held on the month's last day."""
    persons: Mapping[AccountId, int]
    """On the month's last day."""
    absences: Mapping[AccountId, Sequence[Absence]]
