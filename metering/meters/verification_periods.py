"""How long a verification holds by type of meter: dated data that proposes a date, no more.

The rules as packaged are in `metering/rules/verification_periods.yaml`, each with its first day,
its source and how sure we are of it (`design.md`, decision 16).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files

import yaml

from kilokassa.core.confidence import Confidence
from metering.meters.life import add_years
from metering.registry.places import Commodity


class MeterType(StrEnum):
    """What kind of device a meter is, as far as its verification depends on it."""

    SINGLE_PHASE = "single_phase"
    THREE_PHASE = "three_phase"
    INDUCTION = "induction"
    MECHANICAL = "mechanical"
    HEAT_METER = "heat_meter"


@dataclass(frozen=True, slots=True)
class VerificationPeriod:
    """How many years a verification of a type holds, from a day on."""

    commodity: Commodity
    type: MeterType
    years: int
    valid_from: date
    source: str
    confidence: Confidence

    def __post_init__(self) -> None:
        if not 1 <= self.years <= 20 or not self.source:
            raise ValueError(f"a verification holds 1 to 20 years, by some source: {self!r}")


@dataclass(frozen=True, slots=True)
class ProposedValidity:
    """Until when a verification of a day would hold for a type of meter."""

    type: MeterType
    years: int
    valid_until: date
    confidence: Confidence


@cache
def packaged_periods() -> tuple[VerificationPeriod, ...]:
    """Return the periods that the installation comes with."""
    text = (files("metering") / "rules" / "verification_periods.yaml").read_text("utf-8")
    return tuple(
        VerificationPeriod(
            commodity=Commodity(one["commodity"]),
            type=MeterType(one["type"]),
            years=one["years"],
            valid_from=one["valid_from"],
            source=one["source"],
            confidence=Confidence(one["confidence"]),
        )
        for one in yaml.safe_load(text)["rules"]
    )


def proposals(
    commodity: Commodity,
    verified_on: date,
    periods: Iterable[VerificationPeriod] | None = None,
) -> tuple[ProposedValidity, ...]:
    """Return until when a verification of `verified_on` would hold, the shortest first.

    The shortest is the one to offer: a date that is too early costs a look at the certificate, one
    that is too late lets an unverified meter be billed by. A verification of n years made on a day
    holds to the day before its n-th return.
    """
    of_type = _in_force(packaged_periods() if periods is None else periods, verified_on)
    found = [
        ProposedValidity(
            period.type,
            period.years,
            add_years(verified_on, period.years) - timedelta(days=1),
            period.confidence,
        )
        for period in of_type
        if period.commodity is commodity
    ]
    return tuple(sorted(found, key=lambda one: (one.years, one.type)))


def _in_force(periods: Iterable[VerificationPeriod], day: date) -> Sequence[VerificationPeriod]:
    held: dict[tuple[Commodity, MeterType], VerificationPeriod] = {}
    for period in sorted(periods, key=lambda one: one.valid_from):
        if period.valid_from <= day:
            held[period.commodity, period.type] = period
    return list(held.values())
