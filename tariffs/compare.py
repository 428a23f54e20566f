"""The same energy under several plans: the best one, and what shifting the evening would bring.

Every plan is priced by `rate_population`, so a comparison cannot disagree with the bill.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.period import Period
from kilokassa.core.series import Quality, WattHours
from tariffs.charges import PPM
from tariffs.compiled import local_days_of
from tariffs.facts import AccountFacts
from tariffs.lines import CannotRate, Columns, VersionInForce
from tariffs.rating import rate_population
from tariffs.zone_calendar import mask_of_windows

EVENING_PEAK: Final = ((17 * 60, 21 * 60),)
"""Local minutes of the evening peak: 17 to 21, as for three zones (`regulation.md`, section 1)."""
NIGHT: Final = ((0, 7 * 60), (23 * 60, 24 * 60))


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """The energy of a population over the time that is compared, and what is known beside it."""

    energy_wh: WattHours
    """(accounts, intervals) from `start` on."""
    start: datetime
    interval_min: int
    zone: ZoneInfo
    billings: tuple[Period, ...]
    facts: AccountFacts | None = None
    quality: npt.NDArray[np.uint8] | None = None
    """As in an `EnergySeries`; None where every value was measured."""

    @property
    def measured_ppm(self) -> Columns:
        """The share of intervals that were measured: how sure a comparison is, by account."""
        accounts, intervals = self.energy_wh.shape
        if self.quality is None or intervals == 0:
            return np.full(accounts, PPM if intervals else 0, dtype=np.int64)
        measured = (self.quality == Quality.ACTUAL) | (self.quality == Quality.CUSTOMER_READ)
        share: Columns = measured.sum(axis=1, dtype=np.int64) * PPM // intervals
        return share


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What a population would have paid on each plan, kopecks."""

    codes: tuple[str, ...]
    cost_minor: Columns
    """(accounts, plans)"""
    measured_ppm: Columns
    refused: Mapping[str, CannotRate]
    """Plans that could not price this use, with the reason."""

    @property
    def best(self) -> npt.NDArray[np.intp]:
        """For each account the place of the plan that costs least; the first among equals."""
        found: npt.NDArray[np.intp] = self.cost_minor.argmin(axis=1)
        return found

    def saving_minor(self, current: str) -> Columns:
        """Return what each account would have saved by its best plan; 0 where it has it."""
        own = self.cost_minor[:, self.codes.index(current)]
        saving: Columns = own - self.cost_minor.min(axis=1)
        return saving


def compare_plans(plans: Mapping[str, Sequence[VersionInForce]], use: Use) -> Comparison:
    """Price `use` on every plan; one that cannot price it is named with its reason."""
    costs: dict[str, Columns] = {}
    refused: dict[str, CannotRate] = {}
    for code, versions in plans.items():
        try:
            costs[code] = cost_minor(versions, use)
        except CannotRate as refusal:
            refused[code] = refusal
    accounts = len(use.energy_wh)
    return Comparison(
        tuple(costs),
        np.stack(list(costs.values()), axis=1)
        if costs
        else np.zeros((accounts, 0), dtype=np.int64),
        use.measured_ppm,
        refused,
    )


def cost_minor(versions: Sequence[VersionInForce], use: Use) -> Columns:
    """Return what each account would have paid for all of `use` on one plan."""
    columns = rate_population(
        versions,
        use.energy_wh,
        use.start,
        use.interval_min,
        use.zone,
        billings=use.billings,
        facts=use.facts,
    )
    whole: Columns = columns.amount_minor.sum(axis=1)
    return whole


def gain_of_shifting(
    versions: Sequence[VersionInForce],
    use: Use,
    share_ppm: int,
    *,
    away_from: Sequence[tuple[int, int]] = EVENING_PEAK,
    into: Sequence[tuple[int, int]] = NIGHT,
) -> Columns:
    """Return what each account would have saved by moving a share of its evening into the night.

    A negative gain means that it would have paid more.
    """
    moved = replace(use, energy_wh=shifted(use, share_ppm, away_from, into))
    gain: Columns = cost_minor(versions, use) - cost_minor(versions, moved)
    return gain


def shifted(
    use: Use,
    share_ppm: int,
    away_from: Sequence[tuple[int, int]],
    into: Sequence[tuple[int, int]],
) -> npt.NDArray[np.int64]:
    """Return the energy with a share of some hours moved into other hours of the same local day.

    Whole Wh are moved, each interval's share rounded down, and spread evenly over the day's
    intervals of the other windows, the first of them taking what does not divide. A day without
    such intervals, and an interval that gave energy back, keeps what it has.
    """
    energy = use.energy_wh.astype(np.int64)
    intervals = energy.shape[1]
    sources, targets = (
        mask_of_windows(windows, lambda day: True, use.zone, use.start, intervals, use.interval_min)
        for windows in (away_from, into)
    )
    if (sources & targets).any():
        raise ValueError("energy is moved from some hours into others")
    moved = np.where(sources, np.maximum(energy, 0) * share_ppm // PPM, 0)
    for first, last in _days(use, intervals):
        places = np.flatnonzero(targets[first:last]) + first
        if not len(places):
            continue
        amount = moved[:, first:last].sum(axis=1)
        energy[:, first:last] -= moved[:, first:last]
        each, rest = np.divmod(amount, len(places))
        energy[:, places] += each[:, None] + (np.arange(len(places)) < rest[:, None])
    return energy


def _days(use: Use, intervals: int) -> list[tuple[int, int]]:
    """Return the first and the end interval of each local day."""
    days = local_days_of(use.zone, use.start, intervals, use.interval_min)
    edges = [*np.flatnonzero(np.diff(days, prepend=-1)).tolist(), intervals]
    return list(pairwise(edges))
