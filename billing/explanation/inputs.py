"""What a rating was computed from, handed over by the rating itself to whoever explains it.

So an explanation cannot gather other inputs than the rating did: it is the same call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from kilokassa.core.ids import AccountId
from kilokassa.core.period import Period
from kilokassa.core.series import WattHours
from kilokassa.core.zones import Zone
from metering.estimation.methods import EstimationMethod
from metering.registers import RegisterReading
from tariffs.facts import AccountFacts
from tariffs.lines import VersionInForce


class ReadChannel(Protocol):
    """A channel that energy was read from."""

    @property
    def channel_id(self) -> int:
        """The id of the channel."""

    @property
    def point_code(self) -> str:
        """The code of its metering point."""


class ReadMeter(Protocol):
    """A meter whose registers were read."""

    @property
    def meter_id(self) -> int:
        """The id of the meter."""

    @property
    def point_id(self) -> int:
        """The id of its metering point."""

    @property
    def serial(self) -> str:
        """The number on the meter."""


class UsedValue(Protocol):
    """An estimate that stood in for what was not read."""

    @property
    def zone(self) -> Zone | None:
        """The register it stands for; None where there is no meter."""

    @property
    def period(self) -> Period:
        """The time it is for."""

    @property
    def method(self) -> EstimationMethod:
        """How it was computed."""

    @property
    def basis(self) -> Mapping[str, Any]:
        """What it was computed from."""

    @property
    def quantity(self) -> int:
        """Whole Wh."""


@dataclass(frozen=True, slots=True, eq=False)
class RatedIntervals:
    """Energy of an account on one plan over one stay, as it was rated."""

    account_id: AccountId
    channels: Sequence[ReadChannel]
    """Those whose energy it is, together."""
    versions: Sequence[VersionInForce]
    energy_wh: WattHours
    """Of shape (1, intervals)."""
    start: datetime
    interval_min: int
    zone: ZoneInfo
    readings: str
    """Digest of the readings, as lines carry it."""
    billings: Sequence[Period] | None = None
    facts: AccountFacts | None = None
    """With one row."""


@dataclass(frozen=True, slots=True)
class CountedStretch:
    """What one register counted over one stretch, with multiplier and losses."""

    meter_id: int
    zone: Zone
    period: Period
    measured_wh: int
    """With the multiplier, without losses: what the meter's facts say."""
    energy_wh: int
    """With losses up to the delivery point: what is charged."""
    estimated: bool


@dataclass(frozen=True, slots=True, eq=False)
class RatedRegisters:
    """What the registers of an account came to on one plan, as it was rated."""

    account_id: AccountId
    versions: Sequence[VersionInForce]
    quantities_wh: Mapping[tuple[Period, Zone], int]
    zone: ZoneInfo
    stretches: Sequence[CountedStretch]
    meters: Mapping[int, ReadMeter]
    readings: Mapping[int, Sequence[RegisterReading]]
    """By meter."""
    estimates: Sequence[UsedValue]
    scaling: Mapping[int, tuple[int, int]]
    """Multiplier and losses (millionths) by point."""
    facts: AccountFacts | None = None


@dataclass(slots=True)
class Inputs:
    """Filled by a rating that is asked what it reads."""

    intervals: list[RatedIntervals] = field(default_factory=list)
    registers: list[RatedRegisters] = field(default_factory=list)
