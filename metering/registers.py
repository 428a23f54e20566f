"""Register readings: what was used between two of them, and a register that rolled over."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from typing import Final

from kilokassa.core.errors import DomainError
from kilokassa.core.period import Period
from kilokassa.core.quantity import KCAL_PER_GCAL, LITRES_PER_M3, WH_PER_KWH
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from metering.registry.places import Commodity

UNIT_OF: Final[Mapping[Commodity, int]] = {
    Commodity.ELECTRICITY: WH_PER_KWH,
    Commodity.HEAT: KCAL_PER_GCAL,
    Commodity.HOT_WATER: LITRES_PER_M3,
    Commodity.COLD_WATER: LITRES_PER_M3,
}
"""Wh in a kWh, kcal in a Gcal, litres in a cubic metre: what the last whole digit counts."""

ESTIMATES: Final = frozenset({Quality.ESTIMATED, Quality.SUBSTITUTED, Quality.MISSING})
"""Values that nobody read from a meter: they never stand in the way of one that was."""

ROLLOVER_PART: Final = 10
"""A register is taken to have rolled over where it would have run less than a tenth of its range.

Otherwise a smaller reading is far more likely a mistake. Our own choice, stated in the reference.
"""


class RegisterBackwards(DomainError):
    """A reading smaller than the one before it, where the register cannot have rolled over."""

    code = "register_backwards"
    template = mark(
        "Meter %(meter)s, zone %(zone)s: the reading of %(taken_at)s is less than the one before."
    )


@dataclass(frozen=True, slots=True)
class RegisterReading:
    """The latest known total of a register at an instant, in whole Wh, kcal or litres."""

    meter_id: int
    zone: Zone
    taken_at: datetime
    value: int
    quality: Quality = Quality.CUSTOMER_READ
    revision: int = 1


@dataclass(frozen=True, slots=True)
class RegisterDifference:
    """What a register counted in `period`, in whole Wh or kcal."""

    meter_id: int
    zone: Zone
    period: Period
    energy: int
    rolled_over: bool
    quality: Quality
    """The less certain one of its two readings."""


def modulus(digits: int, commodity: Commodity = Commodity.ELECTRICITY) -> int:
    """Return the total, in Wh, kcal or litres, at which a register shows zero again.

    >>> modulus(5), modulus(5, Commodity.COLD_WATER)
    (100000000, 100000000)
    """
    return int(10**digits) * UNIT_OF[commodity]


def counted(earlier: int, later: int, modulus: int) -> tuple[int, bool] | None:
    """Return what was counted and whether the register rolled over, or None if it went back.

    >>> counted(99_990_000, 40_000, 100_000_000)
    (50000, True)
    >>> counted(50_000, 40_000, 100_000_000) is None
    True
    """
    if later >= earlier:
        return later - earlier, False
    around = later + modulus - earlier
    return (around, True) if around * ROLLOVER_PART < modulus else None


def counted_between(
    before: int | None, value: int, after: int | None, modulus: int
) -> tuple[int, bool] | None:
    """Return what was counted since `before` and whether the register rolled over on the way.

    `before` and `after` are its totals earlier and later in time, None where none is known. None is
    returned where the register would have had to go back to show `value` between them.

    >>> counted_between(40_000, 60_000, 50_000, 100_000_000) is None
    True
    """
    since = (0, False) if before is None else counted(before, value, modulus)
    until = (0, False) if after is None else counted(value, after, modulus)
    return None if until is None else since


def register_differences(
    readings: Iterable[RegisterReading],
    *,
    digits: int,
    commodity: Commodity = Commodity.ELECTRICITY,
) -> tuple[RegisterDifference, ...]:
    """Return what was counted between successive readings of each meter and zone.

    `digits` is that of the meters; call once for meters that differ in it. An estimate that a later
    reading has shown to be too high is passed over.
    """
    ordered = sorted(readings, key=lambda reading: (*_register(reading), reading.taken_at))
    top = modulus(digits, commodity)
    differences = []
    for _, of_register in groupby(ordered, key=_register):
        for before, after in pairwise(_uncontradicted(list(of_register), top)):
            found = counted(before.value, after.value, top)
            if found is None:
                raise RegisterBackwards(
                    meter=after.meter_id, zone=str(after.zone), taken_at=after.taken_at.isoformat()
                )
            energy, rolled_over = found
            differences.append(
                RegisterDifference(
                    meter_id=after.meter_id,
                    zone=after.zone,
                    period=Period(before.taken_at, after.taken_at),
                    energy=energy,
                    rolled_over=rolled_over,
                    quality=_less_certain(before.quality, after.quality),
                )
            )
    return tuple(differences)


def _uncontradicted(of_register: Sequence[RegisterReading], modulus: int) -> list[RegisterReading]:
    """Leave out the estimates from which the register could not have come to what was read later.

    A person read the meter, nobody read an estimate: so it is the estimate that gives way.
    """
    kept: list[RegisterReading] = []
    for reading in of_register:
        if reading.quality not in ESTIMATES:
            while (
                kept
                and kept[-1].quality in ESTIMATES
                and counted(kept[-1].value, reading.value, modulus) is None
            ):
                kept.pop()
        kept.append(reading)
    return kept


def _register(reading: RegisterReading) -> tuple[int, str]:
    return reading.meter_id, str(reading.zone)


_CERTAINTY = (
    Quality.MISSING,
    Quality.ESTIMATED,
    Quality.SUBSTITUTED,
    Quality.CUSTOMER_READ,
    Quality.ACTUAL,
)


def _less_certain(one: Quality, other: Quality) -> Quality:
    return min(one, other, key=_CERTAINTY.index)
