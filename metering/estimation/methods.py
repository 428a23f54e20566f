"""Estimates: the named methods by which a value that was not measured comes about.

Every method is exact: whole Wh (kcal, litres) in and out, and where a total is known the parts sum
back to it (`kilokassa.core.apportion`). The worked tables are in `docs/algorithms/estimation.md`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kilokassa.core.apportion import apportion
from kilokassa.core.money import half_up_ratio

PPM: Final = 1_000_000


class EstimationMethod(StrEnum):
    """How a value that was not measured is computed."""

    INTERPOLATION = "interpolation"
    LIKE_DAY = "like_day"
    OWN_AVERAGE = "own_average"
    HOUSE_MEAN = "house_mean"
    STANDARD_PROFILE = "standard_profile"
    NORM = "norm"


def share_by_weights(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Share `total` in proportion to `weights`, evenly where they are all zero.

    >>> share_by_weights(7, [0, 0])
    (4, 3)
    """
    return apportion(total, weights if any(weights) else [1] * len(weights))


def straight_line(before: int, after: int, count: int) -> tuple[int, ...]:
    """Return `count` values on the straight line between two known neighbours, halves up.

    >>> straight_line(100, 400, 2)
    (200, 300)
    """
    steps = count + 1
    return tuple(
        half_up_ratio(before * (steps - place) + after * place, steps) for place in range(1, steps)
    )


def between_readings(counted: int, instants: Sequence[date]) -> tuple[int, ...]:
    """Share what a register counted between two readings over the stretches between `instants`.

    `instants` are the local dates of the earlier reading, of each place asked for, and of the later
    reading; a stretch weighs as many local midnights as it passes, as in `tariffs.rating`.

    >>> between_readings(61_000, [date(2026, 10, 24), date(2026, 11, 1), date(2026, 12, 24)])
    (8000, 53000)
    """
    days = [(later - earlier).days for earlier, later in pairwise(instants)]
    return share_by_weights(counted, days)


def like_days(
    energy_wh: npt.NDArray[np.integer[Any]], known: npt.NDArray[np.bool_], *, least: int
) -> tuple[int, ...] | None:
    """Return the mean of like days, interval by interval, halves up; None where too few are known.

    Both arrays have the shape (like days, intervals); `least` is how many of the days must know an
    interval for its mean to count.
    """
    counts = known.sum(axis=0)
    if not len(counts) or counts.min() < least:
        return None
    sums = np.where(known, energy_wh, 0).sum(axis=0, dtype=np.int64)
    # Halves up, in whole numbers: energy taken is not negative.
    return tuple(((2 * sums + counts) // (2 * counts)).tolist())


@dataclass(frozen=True, slots=True)
class MeasuredUse:
    """What was measured over whole months: `first_month` to `last_month`, both counted."""

    first_month: int
    last_month: int
    quantity: int

    def __post_init__(self) -> None:
        if self.last_month < self.first_month:
            raise ValueError(f"a use ends in or after the month it begins in: {self!r}")


@dataclass(frozen=True, slots=True)
class OwnAverage:
    """A monthly average of a meter's own past: `measured` over `months` (ordinals, in order)."""

    measured: int
    months: tuple[int, ...]

    @property
    def month(self) -> int:
        """What an average month comes to, halves up."""
        return half_up_ratio(self.measured, len(self.months))


def own_average(uses: Iterable[MeasuredUse], *, months: int, least: int) -> OwnAverage | None:
    """Return the average of the last `months` measured months, or of at least `least` if fewer.

    A use that reaches further back than asked is taken whole: it was measured as one. None where
    fewer than `least` months are measured at all (ПП 354, п. 59: six months, three if it is newer).

    >>> own_average([MeasuredUse(1, 2, 500), MeasuredUse(3, 3, 100)], months=6, least=3).month
    200
    """
    covered: set[int] = set()
    measured = 0
    for use in sorted(uses, key=lambda use: -use.last_month):
        # What two meters measured in one month, one after the other, is that month's together.
        if len(covered) >= months and use.last_month not in covered:
            break
        covered.update(range(use.first_month, use.last_month + 1))
        measured += use.quantity
    if len(covered) < max(1, least):
        return None
    return OwnAverage(measured, tuple(sorted(covered)))


def house_mean(flats: Sequence[tuple[int, int]], weight: int) -> int | None:
    """Return the share of a flat of `weight` by the mean of measured flats: (quantity, weight).

    Weights are square decimetres, or 1 each for a mean a premises; None where nothing is measured.

    >>> house_mean([(300, 50), (500, 50)], 25)
    200
    """
    whole = sum(each for _, each in flats)
    if whole <= 0:
        return None
    return half_up_ratio(sum(quantity for quantity, _ in flats) * weight, whole)


@dataclass(frozen=True, slots=True)
class Norm:
    """A consumption norm (норматив): whole Wh, kcal or litres a person and month."""

    code: str
    valid_from: date
    rooms: int
    """0: however many; the largest number of a code holds for more too."""
    persons: int
    """0: however many; the largest number of a code holds for more too."""
    quantity: int
    source: str = ""


def norm_in_force(
    norms: Iterable[Norm], code: str, on: date, *, rooms: int | None, persons: int
) -> Norm | None:
    """Return the norm of `code` for a household on a day, or None where none is known.

    Where nobody told how many rooms there are, the fewest are taken: the doubt serves the resident.

    >>> norms = [Norm("n", date(2020, 1, 1), 0, p, 100 - p) for p in (1, 2)]
    >>> norm_in_force(norms, "n", date(2026, 1, 1), rooms=None, persons=5).quantity
    98
    """
    known = [norm for norm in norms if norm.code == code and norm.valid_from <= on]
    if not known:
        return None
    newest = max(norm.valid_from for norm in known)
    known = [norm for norm in known if norm.valid_from == newest]
    wanted_rooms = _reached((norm.rooms for norm in known), 1 if rooms is None else rooms)
    known = [norm for norm in known if norm.rooms == wanted_rooms]
    wanted_persons = _reached((norm.persons for norm in known), max(1, persons))
    return next((norm for norm in known if norm.persons == wanted_persons), None)


def _reached(numbers: Iterable[int], wanted: int) -> int:
    """Return the largest of the numbers that is not above `wanted`, else the smallest."""
    known = sorted(set(numbers))
    return max((number for number in known if number <= wanted), default=known[0])


def by_norm(norm: Norm, persons: int, *, multiplier_ppm: int = PPM, part: tuple[int, int]) -> int:
    """Return norm x persons x multiplier for a part of a month, halves up once.

    A household in which nobody is registered counts one owner (ПП 354, п. 56(2)). `part` is the
    part of the month as a ratio, (1, 1) for all of it.

    >>> by_norm(Norm("n", date(2020, 1, 1), 0, 0, 77_000), 3, part=(1, 1))
    231000
    >>> by_norm(Norm("n", date(2020, 1, 1), 0, 0, 77_000), 0, multiplier_ppm=1_500_000, part=(1, 1))
    115500
    """
    above, below = part
    return half_up_ratio(norm.quantity * max(1, persons) * multiplier_ppm * above, PPM * below)
