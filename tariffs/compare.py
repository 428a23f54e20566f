"""The same energy on another plan: what it costs, and what shifting the evening would bring.

Every plan is priced by `rate_population`, so a comparison cannot disagree with the bill.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.period import Period
from kilokassa.core.series import Quality, WattHours
from tariffs.charges import PPM
from tariffs.compiled import local_days_of
from tariffs.facts import AccountFacts
from tariffs.guarantee import alternatives_of, cost_by_billing, with_guarantee
from tariffs.lines import Columns, LineColumns, VersionInForce
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
    def intervals(self) -> int:
        """How many intervals there are."""
        return int(self.energy_wh.shape[1])

    @property
    def measured(self) -> Columns:
        """How many intervals of each account were measured."""
        if self.quality is None:
            return np.full(len(self.energy_wh), self.intervals, dtype=np.int64)
        # Row by row, while the cache holds it: this is a third of what the energy itself costs.
        return np.array([np.count_nonzero(measured_in(row)) for row in self.quality], np.int64)

    def of(self, rows: Sequence[int]) -> "Use":
        """Return the use of some of the accounts."""
        chosen = list(rows)
        return replace(
            self,
            energy_wh=self.energy_wh[chosen],
            quality=None if self.quality is None else self.quality[chosen],
            facts=None if self.facts is None else _chosen(self.facts, chosen),
        )


def _chosen(facts: AccountFacts, rows: Sequence[int]) -> AccountFacts:
    columns: dict[str, Any] = {
        field.name: value[list(rows)]
        for field in fields(facts)
        if isinstance(value := getattr(facts, field.name), np.ndarray)
    }
    entitled = {code: who[list(rows)] for code, who in facts.entitled.items()}
    return replace(facts, entitled=entitled, **columns)


def measured_in(quality: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Say which values were measured, by a meter or by who read it."""
    measured: npt.NDArray[np.bool_] = np.asarray(
        (quality == Quality.ACTUAL) | (quality == Quality.CUSTOMER_READ)
    )
    return measured


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """What a population would have paid on one plan, kopecks: (accounts, billing periods)."""

    paid_minor: Columns
    """As billed: after the retailer's discounts and what a guarantee gives back."""
    by_rates_minor: Columns
    """Before both."""


def costs(
    versions: Sequence[VersionInForce],
    use: Use,
    named: Mapping[str, Sequence[VersionInForce]] | None = None,
) -> Costs:
    """Return what each account would have paid in each billing period on one plan.

    `named` are the plans that a guarantee may name; one that it does name and that is not there
    makes the plan refused.
    """
    columns = _rated(versions, use)
    billings = len(use.billings)
    by_rates = cost_by_billing(columns, versions, billings)
    promised = promised_by(versions)
    if promised:
        others = {
            code: (_rated(known, use), known)
            for code, known in (named or {}).items()
            if code in promised
        }
        alternatives = alternatives_of(columns, versions, others, billings)
        columns = with_guarantee(columns, versions, alternatives, use.billings)
    return Costs(_by_billing(columns, billings), by_rates)


def promised_by(versions: Sequence[VersionInForce]) -> frozenset[str]:
    """Return the codes of the plans that the guarantees of versions name."""
    return frozenset(
        promise.plan_code
        for _, version in versions
        if (promise := version.charges.guarantee) is not None
    )


def _rated(versions: Sequence[VersionInForce], use: Use) -> LineColumns:
    return rate_population(
        versions,
        use.energy_wh,
        use.start,
        use.interval_min,
        use.zone,
        billings=use.billings,
        facts=use.facts,
    )


def _by_billing(columns: LineColumns, billings: int) -> Columns:
    """Return the sum of all lines by billing period."""
    whole = np.zeros((len(columns.amount_minor), billings), dtype=np.int64)
    for number, spec in enumerate(columns.specs):
        whole[:, spec.billing] += columns.amount_minor[:, number]
    return whole


def gain_of_shifting(
    versions: Sequence[VersionInForce],
    use: Use,
    share_ppm: int,
    named: Mapping[str, Sequence[VersionInForce]] | None = None,
) -> Columns:
    """Return what each account would have saved by moving a share of its evening into the night.

    A negative gain means that it would have paid more. `named` as for `costs`.
    """
    moved = replace(use, energy_wh=shifted(use, share_ppm, EVENING_PEAK, NIGHT))
    before, after = (costs(versions, one, named).paid_minor.sum(axis=1) for one in (use, moved))
    gain: Columns = before - after
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
