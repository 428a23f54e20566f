"""The balance of a house: what its own meters took against what its flats and common areas used.

    remainder = input - flats - common areas - technical losses

in whole Wh, by interval and by month. Where one value is missing, an interval has no balance: it is
counted and told, never read as a zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from kilokassa.core.period import Period
from metering.registers import RegisterDifference

Int64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PPM: Final = 1_000_000
_EXACT_MAX: Final = 2**62
"""Sums stay under this, so that int64 cannot wrap."""


@dataclass(frozen=True, slots=True)
class Losses:
    """The technical losses declared for a house: a share of what it takes, and a constant power."""

    ppm: int = 0
    """Millionths of the energy taken."""
    watts: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.ppm <= PPM or self.watts < 0:
            raise ValueError(f"losses are a share of the input and a power: {self!r}")


@dataclass(frozen=True, slots=True, eq=False)
class HouseFlows:
    """What the points of a house measured on one grid, whole Wh by (point, interval).

    `taken_wh` and `given_wh` are A+ and A- of the house meters; the flats' and common areas' energy
    is net. Each array of values has one of booleans of its shape: where it is false, the value is
    not known and 0 stands in its place.
    """

    start: datetime
    interval_min: int
    taken_wh: Int64
    given_wh: Int64
    input_known: Bools
    flats_wh: Int64
    flats_known: Bools
    common_wh: Int64
    common_known: Bools

    def __post_init__(self) -> None:
        if self.start.tzinfo is not UTC:
            raise ValueError(f"a grid starts at an instant in UTC: {self.start!r}")
        if not (
            self.taken_wh.shape == self.given_wh.shape == self.input_known.shape
            and self.flats_wh.shape == self.flats_known.shape
            and self.common_wh.shape == self.common_known.shape
            and self.taken_wh.shape[1] == self.flats_wh.shape[1] == self.common_wh.shape[1]
        ):
            raise ValueError("every point has one value for each interval of the grid")

    @property
    def intervals(self) -> int:
        """How many intervals the grid has."""
        return int(self.taken_wh.shape[1])


@dataclass(frozen=True, slots=True)
class Totals:
    """A balance of one stretch of time, whole Wh; it adds up or cannot be built."""

    input_wh: int
    flats_wh: int
    common_wh: int
    losses_wh: int
    remainder_wh: int

    def __post_init__(self) -> None:
        used = self.flats_wh + self.common_wh + self.losses_wh + self.remainder_wh
        if self.input_wh != used:
            raise ValueError(f"a balance must add up: {self!r}")

    @property
    def remainder_ppm(self) -> int | None:
        """The remainder in millionths of the input, towards zero; None where nothing came in."""
        if self.input_wh <= 0:
            return None
        size = abs(self.remainder_wh) * PPM // self.input_wh
        return size if self.remainder_wh >= 0 else -size


@dataclass(frozen=True, slots=True, eq=False)
class IntervalBalance:
    """The balance of each interval, whole Wh; all are 0 where it is not complete."""

    start: datetime
    interval_min: int
    input_wh: Int64
    flats_wh: Int64
    common_wh: Int64
    losses_wh: Int64
    remainder_wh: Int64
    complete: Bools
    """Whether every point has a value."""

    def totals(self, chosen: slice = slice(None)) -> Totals:
        """Return the balance of a stretch of intervals: the sum of its complete ones."""
        return Totals(
            *(
                int(values[chosen].sum(dtype=np.int64))
                for values in (
                    self.input_wh,
                    self.flats_wh,
                    self.common_wh,
                    self.losses_wh,
                    self.remainder_wh,
                )
            )
        )

    def incomplete(self, chosen: slice = slice(None)) -> int:
        """Return how many intervals of a stretch have no balance."""
        return int((~self.complete[chosen]).sum())


def balance_by_interval(flows: HouseFlows, losses: Losses) -> IntervalBalance:
    """Balance each interval in which every point has a value.

    Losses are rounded down on their running total, so that any stretch's losses are within one Wh
    of what the setting says of its energy, and intervals sum to their month.
    """
    known = np.concatenate([flows.input_known, flows.flats_known, flows.common_known])
    complete = cast(Bools, known.all(axis=0))
    if not len(flows.taken_wh):
        complete = np.zeros(flows.intervals, np.bool_)
    taken = _summed(flows.taken_wh, complete)
    input_wh: Int64 = taken - _summed(flows.given_wh, complete)
    flats_wh = _summed(flows.flats_wh, complete)
    common_wh = _summed(flows.common_wh, complete)
    losses_wh = _losses(taken, complete, flows.interval_min, losses)
    return IntervalBalance(
        start=flows.start,
        interval_min=flows.interval_min,
        input_wh=input_wh,
        flats_wh=flats_wh,
        common_wh=common_wh,
        losses_wh=losses_wh,
        remainder_wh=input_wh - flats_wh - common_wh - losses_wh,
        complete=complete,
    )


def losses_of(taken_wh: int, minutes: int, losses: Losses) -> int:
    """Return the technical losses, whole Wh rounded down, of energy taken over some minutes.

    >>> losses_of(1_000_000, 60 * 24 * 30, Losses(ppm=15_000, watts=10))
    22200
    """
    return (max(taken_wh, 0) * losses.ppm * 60 + losses.watts * minutes * PPM) // (60 * PPM)


def coarser(values_wh: Int64, known: Bools, times: int) -> tuple[Int64, Bools]:
    """Return the sums of so many successive intervals; a sum is known where all its parts are."""
    points, intervals = values_wh.shape
    shape = (points, intervals // times, times)
    together = cast(Bools, known.reshape(shape).all(axis=2))
    sums: Int64 = np.where(together, values_wh.reshape(shape).sum(axis=2, dtype=np.int64), 0)
    return sums, together


# --- the month ---


@dataclass(frozen=True, slots=True)
class RegisterEnergy:
    """What registers counted in a period, whole Wh."""

    energy_wh: int
    extended: bool
    """Its end lies after the last reading: the rate of the readings before was carried on."""


EXTENDED_DAYS_MAX: Final = 10
"""So long the rate between the last two readings is carried on: they are taken by the 25th."""


def register_energy(
    differences: Iterable[RegisterDifference], period: Period
) -> RegisterEnergy | None:
    """Return what a point's registers counted in `period`; None where the readings do not tell.

    Between two readings energy is shared by time, rounded down on the running total, so that the
    months between two readings sum to their difference.
    """
    found = list(differences)
    if not found or min(one.period.start for one in found) > period.start:
        return None
    last = max(one.period.end for one in found)
    if last < period.end - timedelta(days=EXTENDED_DAYS_MAX) or last <= period.start:
        return None
    energy_wh = 0
    for one in found:
        ends = period.end if one.period.end == last < period.end else one.period.end
        until, since = min(period.end, ends), max(period.start, one.period.start)
        if until > since:
            energy_wh += _counted_until(one, until) - _counted_until(one, since)
    return RegisterEnergy(energy_wh, extended=last < period.end)


def _counted_until(one: RegisterDifference, instant: datetime) -> int:
    second = timedelta(seconds=1)
    length = one.period.length // second
    return one.energy * ((instant - one.period.start) // second) // length if length else 0


class Flow(StrEnum):
    """What the input of a house goes into."""

    FLATS = "flats"
    COMMON = "common"
    LOSSES = "losses"
    REMAINDER = "remainder"


class Role(StrEnum):
    """What a point of a house is in its balance."""

    INPUT = "input"
    FLAT = "flat"
    COMMON = "common"


@dataclass(frozen=True, slots=True)
class RegisterPoint:
    """A point without intervals and what its registers counted in the month."""

    code: str
    role: Role
    energy: RegisterEnergy | None


@dataclass(frozen=True, slots=True)
class MonthBalance:
    """The balance of a local month and how much of the month it stands on."""

    totals: Totals | None
    """Of the part of the month that has a balance; None where none has."""
    intervals: int
    """Of the month, up to where it is looked at."""
    covered: int
    """Those that have a balance: where every point had a value."""
    by_registers: int
    """Points without intervals that take part by their registers, in proportion to the cover."""
    extended: int
    """Those of them whose last reading is carried on to the end of the month."""
    unread: tuple[str, ...]
    """Codes of points without any value of the month; what they used stands in the remainder."""

    @property
    def incomplete(self) -> int:
        """Intervals of the month that have no balance, since a value is missing."""
        return self.intervals - self.covered

    @property
    def covered_ppm(self) -> int:
        """The share of the month that has a balance, in millionths."""
        return self.covered * PPM // self.intervals if self.intervals else 0


def balance_of_month(
    by_interval: IntervalBalance,
    registers: Sequence[RegisterPoint],
    losses: Losses,
    silent: Sequence[str] = (),
) -> MonthBalance:
    """Balance a month: its complete intervals, and the points that only have registers.

    Where the house itself is read by registers, `by_interval` holds its flats and common areas
    alone and the balance stands on the whole month or does not stand. `silent` are the points with
    a channel that gave nothing all month: they are told and take no part.
    """
    intervals = len(by_interval.complete)
    covered = intervals - by_interval.incomplete()
    known = [(point, point.energy) for point in registers if point.energy is not None]
    unread = (*silent, *(point.code for point in registers if point.energy is None))
    house_read = any(point.role is Role.INPUT for point in registers)
    house_known = all(p.energy is not None for p in registers if p.role is Role.INPUT)
    stands = covered > 0 and house_known and (not house_read or covered == intervals)
    totals = None
    if stands:
        seen = by_interval.totals()
        of_role = dict.fromkeys(Role, 0)
        for point, energy in known:
            of_role[point.role] += energy.energy_wh * covered // intervals
        taken_wh = of_role[Role.INPUT]
        input_wh = seen.input_wh + taken_wh
        minutes = covered * by_interval.interval_min
        losses_wh = losses_of(taken_wh, minutes, losses) if house_read else seen.losses_wh
        flats_wh = seen.flats_wh + of_role[Role.FLAT]
        common_wh = seen.common_wh + of_role[Role.COMMON]
        remainder_wh = input_wh - flats_wh - common_wh - losses_wh
        totals = Totals(input_wh, flats_wh, common_wh, losses_wh, remainder_wh)
    return MonthBalance(
        totals=totals,
        intervals=intervals,
        covered=covered if stands else 0,
        by_registers=len(known),
        extended=sum(energy.extended for _, energy in known),
        unread=tuple(sorted(unread)),
    )


def _summed(values: Int64, complete: Bools) -> Int64:
    total: Int64 = np.where(complete, values.sum(axis=0, dtype=np.int64), 0)
    return total


def _losses(taken: Int64, complete: Bools, interval_min: int, losses: Losses) -> Int64:
    minutes = np.cumsum(complete) * interval_min
    running = np.cumsum(np.maximum(taken, 0))
    assert not len(running) or (
        int(running[-1]) * losses.ppm * 60 + losses.watts * int(minutes[-1]) * PPM < _EXACT_MAX
    )
    exact = running * (losses.ppm * 60) + minutes * (losses.watts * PPM)
    by_interval: Int64 = np.diff(exact // (60 * PPM), prepend=0)
    return by_interval
