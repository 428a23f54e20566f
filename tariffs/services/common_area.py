"""Electricity of the common property of a house (КР на СОИ), in whole Wh; pure calculation.

V = (VД - Vнеж - Vнорм - Vипу - Vкр) · Sᵢ / Sоб     by the house's meter
V = N · Sои · Sᵢ / Sоб                              by the norm

ПП РФ от 06.05.2011 № 354, приложение 2, п. 10-17; how a house chooses between them, ПП РФ от
13.08.2006 № 491, п. 29(2), 29(3). The volume of the house is rounded once to whole Wh and shared
without a rest; money is rounded once for each line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kilokassa.core.apportion import apportion
from kilokassa.core.money import half_up_ratio

NORM_DIVISOR: Final = 100_000
"""Millionths of a kWh times square decimetres, divided by this, are Wh."""

AVERAGE_PERIODS_MAX: Final = 3
"""So many periods in a row a failed house meter is stood in for by the house's own average."""
AVERAGE_MONTHS_MIN: Final = 3
AVERAGE_MONTHS_MAX: Final = 6


class MonthBasis(StrEnum):
    """What the charged volume of a month is."""

    ACTUAL = "actual"
    NORM = "norm"
    AVERAGE = "average"


@dataclass(frozen=True, slots=True)
class PastMonth:
    """A month before, as far as it is settled."""

    ordinal: int
    actual_wh: int | None
    charged_wh: int
    """By the month's own basis, without what a yearly recalculation added to it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What of a month is charged, and what is carried over."""

    basis: MonthBasis
    own_wh: int
    """Of the month itself."""
    carried_in_wh: int
    carried_out_wh: int
    yearly: tuple[tuple[int, int], ...] = ()
    """Of a yearly recalculation: by month (ordinal) the difference to the actual volume."""
    yearly_unknown: tuple[int, ...] = ()
    """Months of that year whose actual volume is not known: they stay as they were charged."""

    @property
    def charged_wh(self) -> int:
        """What is shared over the premises in all."""
        return self.own_wh + sum(difference for _, difference in self.yearly)


def norm_wh(norm_scaled: int, common_area_dm2: int) -> int:
    """Return the house's volume of a month by the norm, rounded half up to whole Wh.

    `norm_scaled` is in millionths of a kWh for a square metre of common premises.

    >>> norm_wh(3_940_000, 142_600)
    5618440
    """
    return half_up_ratio(norm_scaled * common_area_dm2, NORM_DIVISOR)


def share_area(total_wh: int, areas: Mapping[int, int]) -> dict[int, int]:
    """Share a house's volume by area, whole Wh, without a rest.

    The larger area is served first among equal remainders, then the lower id: neither the order nor
    the numbers on the doors move a Wh.
    """
    order = sorted(areas, key=lambda premises_id: (-areas[premises_id], premises_id))
    if not order:
        return {}
    parts = apportion(total_wh, [areas[premises_id] for premises_id in order])
    return dict(zip(order, parts, strict=True))


def settle_actual(actual_wh: int, carried_in_wh: int) -> Settled:
    """Return what a month costs by its actual volume; below zero nothing, carried to the next.

    >>> settle_actual(-4_000, 0).carried_out_wh, settle_actual(10_000, -4_000).charged_wh
    (-4000, 6000)
    """
    assert carried_in_wh <= 0, carried_in_wh
    left_wh = actual_wh + carried_in_wh
    return Settled(MonthBasis.ACTUAL, max(left_wh, 0), carried_in_wh, min(left_wh, 0))


def settle_unknown(
    norm: int, carried_in_wh: int, months_before: Sequence[PastMonth], ordinal: int
) -> Settled:
    """Return what a month costs whose actual volume is not known.

    The average of up to six months of the same house for three periods in a row, then the norm.
    """
    average = average_before(months_before)
    missed = 0
    known = {month.ordinal: month.actual_wh for month in months_before}
    while known.get(ordinal - 1 - missed, 0) is None:
        missed += 1
    if average is None or missed >= AVERAGE_PERIODS_MAX:
        return Settled(MonthBasis.NORM, norm, carried_in_wh, carried_in_wh)
    return Settled(MonthBasis.AVERAGE, average, carried_in_wh, carried_in_wh)


def average_before(months: Sequence[PastMonth]) -> int | None:
    """Return the average of the latest known months, at least three and at most six, half up."""
    known = [
        month.actual_wh
        for month in sorted(months, key=lambda one: one.ordinal)
        if month.actual_wh is not None
    ][-AVERAGE_MONTHS_MAX:]
    if len(known) < AVERAGE_MONTHS_MIN:
        return None
    return max(half_up_ratio(sum(known), len(known)), 0)


def settle_yearly(
    basis: MonthBasis, own_wh: int, carried_in_wh: int, year: Sequence[PastMonth] = ()
) -> Settled:
    """Return what a month costs by norm or average, with the year before put right in it.

    `year` are the months to put right, none outside the month of the recalculation. What was below
    zero is set off within the year; the difference may give something back.
    """
    known = [month for month in year if month.actual_wh is not None]
    return Settled(
        basis,
        own_wh,
        carried_in_wh,
        carried_in_wh,
        yearly=tuple(
            (month.ordinal, month.actual_wh - month.charged_wh)
            for month in known
            if month.actual_wh is not None
        ),
        yearly_unknown=tuple(month.ordinal for month in year if month.actual_wh is None),
    )
