"""The water of a flat in a month, from its meters or without them; pure calculation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from kilokassa.core.calendar import Month
from tariffs.services.volumes import (
    AVERAGE_PERIODS_MAX,
    Counted,
    VolumeMethod,
    average_litres,
    part_of_days,
)

ONE_DAY: Final = timedelta(days=1)

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


def counted_within(counted: Sequence[Counted], since: date, until: date) -> list[Counted]:
    """Return what was counted on the days from `since` up to `until`, by days where none was read.

    Who comes within a month shares it with who was there before; with a month comes all that its
    reading closes, as nobody else is charged for it. Stretches of months before stay, since an own
    average may stand on them.
    """
    begins = date.min if since.day == 1 else since
    found = []
    for one in counted:
        first, end = one.first + ONE_DAY, one.last + ONE_DAY
        if end <= begins:
            if Month.of(one.last) < Month.of(since):
                found.append(one)
        elif one.last < until and first >= begins:
            found.append(one)
        elif first < until:
            own_first, own_end = max(first, begins), min(end, until)
            cut = (own_first - first).days, (own_end - first).days
            litres = part_of_days(one.litres, *cut, (end - first).days)
            found.append(Counted(own_first - ONE_DAY, own_end - ONE_DAY, litres))
    return found


def water_of_month(
    counted: Sequence[Counted], month: Month, since: date, norm: NormOf, *, metered: bool
) -> Volume | None:
    """Return the volume of a month; None where neither a meter nor a norm tells.

    Every stretch counts in the month of its later reading. What the days in between, from `since`
    on, were charged for without a reading is taken off: months sum to what the meter counted.
    """
    if not metered:
        litres = norm(month)
        return None if litres is None else Volume(litres, VolumeMethod.NORM)
    closing = [one for one in counted if Month.of(one.last) == month]
    if not closing:
        return _without_reading(counted, month, norm)
    total = sum(one.litres for one in closing)
    begins = min(one.first for one in closing)
    first = Month.of(since) if begins < since else Month.of(begins).plus(1)
    missed = [Month.from_ordinal(n) for n in range(first.ordinal, month.ordinal)]
    before = sum(
        _charged(volume.litres, one, since)
        for one in missed
        if (volume := _without_reading(counted, one, norm)) is not None
    )
    return Volume(total - before, VolumeMethod.METER, counted=total, charged_before=before)


def _charged(litres: int, month: Month, since: date) -> int:
    """Return what a month's volume without a reading was charged for, on the days from `since`."""
    days = len(month.days)
    return part_of_days(litres, max(0, (since - month.first_day).days), days, days)


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
