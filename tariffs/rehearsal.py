"""Rehearsal of a tariff: what accounts would have paid on it, as figures over a portfolio.

All money is whole kopecks and all shares are whole millionths. Nothing here prices: the costs come
from `tariffs.compare`, which calls the one function that rates.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kilokassa.core.text import mark
from tariffs.charges import PPM, DatedAmount, DatedShare
from tariffs.lines import Columns
from tariffs.plans import DatedRates, TariffVersion

BINS_PPM: Final = (-200_000, -100_000, -50_000, -20_000, 0, 20_000, 50_000, 100_000, 200_000)
"""Borders of the histogram, millionths of what an account pays now; no change is a bin itself."""
BANDS_WH: Final = (100_000, 200_000, 400_000, 800_000)
"""Upper borders of the bands of consumption, Wh a month on average."""
SURE_PPM: Final = (950_000, 800_000, 600_000)
"""Borders of confidence: how much of an account's use was measured."""


class Confidence(StrEnum):
    """How sure a comparison is, by the share of the use that was measured."""

    SURE = "sure"
    FAIR = "fair"
    WEAK = "weak"
    NONE = "none"
    """Too little was measured to advise by."""


CONFIDENCE_WORDS: Final = {
    Confidence.SURE: mark("sure: nearly all of the use was measured"),
    Confidence.FAIR: mark("fair: most of the use was measured"),
    Confidence.WEAK: mark("weak: a good part of the use was estimated or is missing"),
    Confidence.NONE: mark("too little of the use was measured to advise by"),
}


def confidence_of(measured_ppm: int) -> Confidence:
    """Return how sure a comparison is.

    >>> [str(confidence_of(ppm)) for ppm in (1_000_000, 950_000, 949_999, 600_000, 0)]
    ['sure', 'sure', 'fair', 'weak', 'none']
    """
    for border, found in zip(SURE_PPM, Confidence, strict=False):
        if measured_ppm >= border:
            return found
    return Confidence.NONE


class PriceBasis(StrEnum):
    """Which prices a rehearsal sets against each other."""

    OF_THE_TIME = "of_the_time"
    """Those of each day; the new tariff's first ones also before its date."""
    NEWEST = "newest"
    """Those in force when the new tariff begins, or on the last day where it began before."""


def reaching_back(version: TariffVersion, first: date) -> TariffVersion:
    """Return a version as if it had held since `first`, at its first prices."""
    if version.valid_from <= first:
        return version

    def early(items: Sequence[Any]) -> list[Any]:
        return [replace(items[0], valid_from=min(first, items[0].valid_from)), *items[1:]]

    return _redated(version, first, early)


def held_still(version: TariffVersion, first: date, day: date) -> TariffVersion:
    """Return a version as if it had held since `first` at the prices of `day` throughout."""

    def still(items: Sequence[Any]) -> list[Any]:
        holding = [item for item in items if item.valid_from <= day]
        return [replace(item, valid_from=first) for item in (holding or list(items[:1]))[-1:]]

    return replace(_redated(version, first, still), prices_until=None)


def _redated(
    version: TariffVersion, first: date, change: Callable[[Sequence[Any]], list[Any]]
) -> TariffVersion:
    seasons = dict.fromkeys(dated.season for dated in version.rates)
    rates: list[DatedRates] = []
    for season in seasons:
        rates.extend(change([dated for dated in version.rates if dated.season == season]))
    return replace(
        version,
        valid_from=first,
        rates=tuple(sorted(rates, key=lambda dated: dated.valid_from)),
        charges=_changed(version.charges, change),
    )


def _changed(value: Any, change: Callable[[Sequence[Any]], list[Any]]) -> Any:  # noqa: ANN401
    """Apply `change` to every row of dated amounts or shares inside a value."""
    if isinstance(value, tuple):
        if value and isinstance(value[0], DatedAmount | DatedShare):
            return tuple(change(value))
        return tuple(_changed(item, change) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value,
            **{field.name: _changed(getattr(value, field.name), change) for field in fields(value)},
        )
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What accounts paid and would have paid, one row an account."""

    account_ids: Columns
    segments: Columns
    """(accounts, 3): plan, building, and 1 where the account is prepaid."""
    energy_wh: Columns
    months: Columns
    """How many of the months the account was open in."""
    measured_ppm: Columns
    old_minor: Columns
    """(accounts, months)"""
    new_minor: Columns
    old_by_rates_minor: Columns
    """(accounts,) before the retailer's discounts and what a guarantee gives back."""
    new_by_rates_minor: Columns

    def __len__(self) -> int:
        return len(self.account_ids)

    def packed(self) -> bytes:
        """Return all columns as little-endian int64, after how many rows and months there are."""
        head = np.array([len(self), self.old_minor.shape[1]], dtype="<i8")
        parts = (getattr(self, field.name) for field in fields(self))
        return b"".join([head.tobytes(), *(part.astype("<i8").tobytes() for part in parts)])

    @classmethod
    def unpacked(cls, data: bytes) -> "Outcome":
        """Read what `packed` wrote."""
        values = np.frombuffer(data, "<i8").astype(np.int64)
        rows, months = int(values[0]), int(values[1])
        widths = {"segments": 3, "old_minor": months, "new_minor": months}
        columns = {}
        read = 2
        for field in fields(cls):
            width = widths.get(field.name)
            size = rows * (1 if width is None else width)
            column = values[read : read + size]
            columns[field.name] = column if width is None else column.reshape(rows, width)
            read += size
        if read != len(values):
            raise ValueError("a packed outcome has as many values as its head says")
        return cls(**columns)


def together(outcomes: Sequence[Outcome], months: int) -> Outcome:
    """Return several outcomes as one, by account."""
    everyone = [*outcomes, nothing(months)]
    ids = np.concatenate([one.account_ids for one in everyone])
    order = np.argsort(ids, kind="stable")
    return Outcome(
        **{
            field.name: np.concatenate([getattr(one, field.name) for one in everyone])[order]
            for field in fields(Outcome)
        }
    )


def nothing(months: int) -> Outcome:
    """Return the outcome of no account."""
    row = np.zeros(0, dtype=np.int64)
    wide = np.zeros((0, months), dtype=np.int64)
    return Outcome(row, np.zeros((0, 3), dtype=np.int64), row, row, row, wide, wide, row, row)


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over some accounts, kopecks."""

    accounts: int
    old_minor: int
    new_minor: int
    winners: int
    """Accounts that would have paid less."""
    losers: int
    won_minor: int
    lost_minor: int

    @property
    def difference_minor(self) -> int:
        """What the new tariff brings more; below zero where it brings less."""
        return self.new_minor - self.old_minor

    @property
    def difference_ppm(self) -> int | None:
        """The same as a share of what is paid now; None where nothing is."""
        return share_ppm(self.difference_minor, self.old_minor)


def share_ppm(part: int, whole: int) -> int | None:
    """Return a share in whole millionths, towards zero; None of nothing.

    >>> share_ppm(-5, 300), share_ppm(1, 0)
    (-16666, None)
    """
    if whole <= 0:
        return None
    return (abs(part) * PPM // whole) * (-1 if part < 0 else 1)


def figures_of(outcome: Outcome, chosen: npt.NDArray[np.bool_] | None = None) -> Figures:
    """Return the sums over all accounts, or over those that are chosen."""
    old, new = outcome.old_minor.sum(axis=1), outcome.new_minor.sum(axis=1)
    if chosen is not None:
        old, new = old[chosen], new[chosen]
    difference = new - old
    won, lost = difference[difference < 0], difference[difference > 0]
    return Figures(
        accounts=len(old),
        old_minor=int(old.sum()),
        new_minor=int(new.sum()),
        winners=len(won),
        losers=len(lost),
        won_minor=-int(won.sum()),
        lost_minor=int(lost.sum()),
    )


def band_of(outcome: Outcome) -> Columns:
    """Return for each account the number of its band of consumption, from 0."""
    months = np.maximum(outcome.months, 1)
    monthly = outcome.energy_wh // months
    found: Columns = np.searchsorted(np.array(BANDS_WH), monthly, side="left").astype(np.int64)
    return found


def histogram(outcome: Outcome) -> tuple[int, ...]:
    """Count accounts by the difference as a share of what they pay now.

    The bins are: below the first border; from each border of `BINS_PPM` below zero up to the next;
    exactly no change; above zero up to each border; above the last. Who paid nothing before and
    pays now is in the last one.
    """
    old = outcome.old_minor.sum(axis=1)
    difference = outcome.new_minor.sum(axis=1) - old
    below = [border for border in BINS_PPM if border < 0]
    above = [border for border in BINS_PPM if border > 0]
    counts = [0] * (len(below) + len(above) + 3)
    middle = len(below) + 1
    for paid, more in zip(old.tolist(), difference.tolist(), strict=True):
        if more == 0:
            counts[middle] += 1
        elif more < 0 and paid > 0:
            # A border belongs to the bin nearer to no change.
            counts[sum(more * PPM >= border * paid for border in below)] += 1
        elif more < 0:
            counts[0] += 1
        else:
            counts[middle + 1 + sum(more * PPM > border * paid for border in above)] += 1
    return tuple(counts)


def most(outcome: Outcome, count: int, *, winners: bool) -> list[int]:
    """Return the rows of the accounts that win, or lose, most; the first account among equals."""
    difference = outcome.new_minor.sum(axis=1) - outcome.old_minor.sum(axis=1)
    order = np.argsort(difference if winners else -difference, kind="stable")[:count]
    return [int(row) for row in order if (difference[row] < 0 if winners else difference[row] > 0)]
