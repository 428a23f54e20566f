"""The energy of accounts on one grid of intervals, and of those that have one plan; as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from billing.accounts import BilledAccount, Stay
from billing.explanation.inputs import Inputs
from billing.month.facts import rows_of
from kilokassa.core.calendar import local_date, local_midnight
from kilokassa.core.ids import TariffPlanId
from kilokassa.core.period import Period
from kilokassa.core.series import Quality, WattHours
from metering.days import IntervalMatrix
from metering.registry.at_premises import PremisesChannel
from tariffs.charges import NO_CHARGES
from tariffs.facts import AccountFacts
from tariffs.lines import LineColumns
from tariffs.plans import DatedRates, RangePeriod
from tariffs.rating import VersionInForce, rate_population

_LONG_AGO: Final = date(1900, 1, 1)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which days are rated, as known when, and who wants to see what was read."""

    first: date
    end: date
    closing: bool
    """Says that the days are a whole month which closes: minimum, demand, guarantee are due."""
    known_at: datetime | None = None
    inputs: Inputs | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Energy:
    """The energy of accounts in one zone on one grid: a row for each channel and owner."""

    zone: ZoneInfo
    channels: list[PremisesChannel]
    owners: list[BilledAccount]
    matrix: IntervalMatrix


@dataclass(frozen=True, slots=True, eq=False)
class PlanEnergy:
    """The energy of the accounts that had one plan over the same days, with all that prices it."""

    plan_id: TariffPlanId
    stay: Stay
    last_day: date
    """That of the whole stay, where the month still runs too: its facts hold for all of it."""
    zone: ZoneInfo
    owners: list[BilledAccount]
    rows: list[list[int]]
    """The rows of the grid that make up each owner's energy: one a point."""
    versions: tuple[VersionInForce, ...]
    energy_wh: WattHours
    start: datetime
    interval_min: int
    columns: slice
    """Which intervals of the whole grid the stay holds."""
    facts: AccountFacts | None = None
    offers: Mapping[TariffPlanId, "PlanEnergy"] = field(default_factory=dict)
    """The same energy on the plans that the bill compares with, where it does."""

    def rated(self, energy_wh: WattHours | None = None) -> LineColumns:
        """Return the lines, or those of other energy."""
        return rate_population(
            self.versions,
            self.energy_wh if energy_wh is None else energy_wh,
            self.start,
            self.interval_min,
            self.zone,
            facts=self.facts,
        )

    def of_some(self, places: Sequence[int]) -> "PlanEnergy":
        """Return the same of some of the accounts."""
        return replace(
            self,
            owners=[self.owners[place] for place in places],
            rows=[self.rows[place] for place in places],
            energy_wh=self.energy_wh[list(places)],
            facts=None if self.facts is None else rows_of(self.facts, places),
            offers={plan_id: offer.of_some(places) for plan_id, offer in self.offers.items()},
        )

    @property
    def period(self) -> Period:
        """The stay in UTC."""
        return Period(self.start, local_midnight(self.stay.end, self.zone))


def days_between(first: date, end: date) -> list[date]:
    """Return the days from `first` up to `end`."""
    return [first + timedelta(days=n) for n in range((end - first).days)]


def matrix_rows(matrix: IntervalMatrix, rows: Sequence[int]) -> IntervalMatrix:
    """Return rows of a matrix in that order, each as often as it is named."""
    return IntervalMatrix(
        tuple(matrix.channel_ids[row] for row in rows),
        matrix.start,
        matrix.interval_min,
        matrix.energy_wh[list(rows)],
        matrix.quality[list(rows)],
        tuple(matrix.digests[row] for row in rows),
    )


def versions_within(
    versions: Sequence[VersionInForce], period: Period
) -> tuple[VersionInForce, ...]:
    """Return the versions in force with the parts of their periods that lie in `period`."""
    parts = ((held.intersect(period), version) for held, version in versions)
    return tuple((part, version) for part, version in parts if part is not None)


def summed(
    values: npt.NDArray[Any], rows: Sequence[Sequence[int]], columns: slice
) -> npt.NDArray[Any]:
    """Return one row an account: the points of an account are one use."""
    part = values[:, columns]
    if all(len(of_one) == 1 for of_one in rows):
        picked = [of_one[0] for of_one in rows]
        return part if picked == list(range(len(values))) else part[picked]
    return np.stack([part[list(of_one)].sum(axis=0, dtype=np.int64) for of_one in rows])


def by_zone_alone(versions: Sequence[VersionInForce]) -> tuple[VersionInForce, ...]:
    """Return versions that tell zones apart and charge nothing: no ladder, no lines beside."""
    return tuple(
        (
            held,
            replace(
                version,
                valid_from=_LONG_AGO,
                rates=(DatedRates(_LONG_AGO, ((0,) * len(version.zones),)),),
                range_borders_wh=(),
                norm=None,
                range_period=RangePeriod.MONTH,
                prices_until=None,
                charges=NO_CHARGES,
            ),
        )
        for held, version in versions
    )


def mask_outside(energy: Energy) -> None:
    """Leave out what was used before an account opened or from the day it closed."""
    for row in range(len(energy.owners)):
        own = own_days(energy, row)
        energy.matrix.energy_wh[row, : own.start] = 0
        energy.matrix.energy_wh[row, own.stop :] = 0


def own_days(energy: Energy, row: int) -> slice:
    """Return the intervals of a row on which its owner's account is open."""
    matrix, owner = energy.matrix, energy.owners[row]
    step = timedelta(minutes=matrix.interval_min)
    intervals = matrix.energy_wh.shape[1]
    first, end = 0, intervals
    if owner.opened_on > local_date(matrix.start, energy.zone):
        first = (local_midnight(owner.opened_on, energy.zone) - matrix.start) // step
    if owner.closed_on is not None:
        end = (local_midnight(owner.closed_on, energy.zone) - matrix.start) // step
    return slice(min(max(first, 0), intervals), min(max(end, 0), intervals))


def guessed_in(matrix: IntervalMatrix) -> npt.NDArray[np.bool_]:
    """Say of which intervals the value was not measured."""
    guessed: npt.NDArray[np.bool_] = np.asarray(
        (matrix.quality == Quality.ESTIMATED) | (matrix.quality == Quality.SUBSTITUTED)
    )
    return guessed
