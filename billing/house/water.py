"""The water of a flat in a month, from its meters or without them; pure calculation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kilokassa.core.calendar import Month
from tariffs.services.volumes import (
    AVERAGE_PERIODS_MAX,
    Counted,
    VolumeMethod,
    average_litres,
)

NormOf = Callable[[Month], int | None]
"""The volume of a month by the norm, in litres; None where no norm is known."""


@dataclass(frozen=True, slots=True)
class Volume:
    """What of a kind of water a flat is charged for, and how that was found."""

    litres: int
    method: VolumeMethod
    counted: int = 0
    """What the meters counted up to the latest reading, where there is one."""
    charged_before: int = 0
    """What months without a reading were charged for, set off now."""


def water_of_month(
    counted: Sequence[Counted], month: Month, since: Month, norm: NormOf, *, metered: bool
) -> Volume | None:
    """Return the volume of a month; None where neither a meter nor a norm tells.

    Every stretch counts in the month of its later reading. What the months in between, from `since`
    on, were charged for without a reading is taken off: months sum to what the meter counted.
    """
    if not metered:
        litres = norm(month)
        return None if litres is None else Volume(litres, VolumeMethod.NORM)
    closing = [one for one in counted if Month.of(one.last) == month]
    if not closing:
        return _without_reading(counted, month, norm)
    total = sum(one.litres for one in closing)
    first = max(Month.of(min(one.first for one in closing)).plus(1), since)
    missed = [Month.from_ordinal(n) for n in range(first.ordinal, month.ordinal)]
    before = sum(
        volume.litres
        for volume in (_without_reading(counted, one, norm) for one in missed)
        if volume is not None
    )
    return Volume(total - before, VolumeMethod.METER, counted=total, charged_before=before)


def _without_reading(counted: Sequence[Counted], month: Month, norm: NormOf) -> Volume | None:
    """Return the volume of a month by what was known in it."""
    known = [one for one in counted if Month.of(one.last) < month]
    if known:
        last = Month.of(max(one.last for one in known))
        average = average_litres(known, len(month.days))
        if average is not None and month.ordinal - last.ordinal <= AVERAGE_PERIODS_MAX:
            return Volume(average, VolumeMethod.AVERAGE)
    litres = norm(month)
    return None if litres is None else Volume(litres, VolumeMethod.NORM)


def common_volume(volumes: Mapping[str, Volume | None]) -> Volume | None:
    """Return cold and hot water together, which is what is drained; None where one is unknown."""
    known = [volume for volume in volumes.values() if volume is not None]
    if len(known) < len(volumes) or not known:
        return None
    if len(known) == 1:
        return known[0]
    methods = {volume.method for volume in known}
    method = methods.pop() if len(methods) == 1 else VolumeMethod.METER
    return Volume(sum(volume.litres for volume in known), method)
