"""What a rating has to know of accounts and of the market beside their energy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kilokassa.core.digest import digest_parts
from kilokassa.core.period import Period
from kilokassa.core.series import WattHours

HIGHEST_PRICE_SCALED: Final = 10**12
"""A million roubles per kWh, as for the rates of a document; keeps sums of prices in 64 bits."""

UNKNOWN: Final = -1
"""Of one account in a column of facts: a tariff that needs it refuses to price that account."""

Whole = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class PriceSeries:
    """Prices of energy on a regular grid from `start` (UTC): one revision, never edited.

    `prices_scaled` is int64, millionths of a rouble per kWh; a price may be negative.
    """

    code: str
    start: datetime
    interval_min: int
    prices_scaled: npt.NDArray[np.int64]
    revision: int = 1
    holes: tuple[Period, ...] = ()
    """Time inside the grid without prices: it is refused, never priced at nothing."""

    def __post_init__(self) -> None:
        if self.start.tzinfo is not UTC:
            raise ValueError(f"a series starts at an instant in UTC: {self.start!r}")
        if self.interval_min <= 0 or self.revision < 1:
            raise ValueError("an interval has a positive length and revisions count from 1")
        if self.prices_scaled.ndim != 1 or self.prices_scaled.dtype != np.int64:
            raise ValueError("prices are a row of whole millionths")
        if np.abs(self.prices_scaled).max(initial=0) > HIGHEST_PRICE_SCALED:
            raise ValueError("a price is above any there is")
        self.prices_scaled.flags.writeable = False

    @property
    def end(self) -> datetime:
        """The first instant without a price."""
        return self.start + timedelta(minutes=self.interval_min) * len(self.prices_scaled)

    @property
    def digest(self) -> str:
        """Digest of the prices and of where they stand."""
        head = f"{self.code}|{self.start.isoformat()}|{self.interval_min}|{self.revision}"
        parts = [head.encode(), self.prices_scaled.astype("<i8").tobytes()]
        parts += [
            f"{hole.start.isoformat()}|{hole.end.isoformat()}".encode() for hole in self.holes
        ]
        return digest_parts(parts)

    def revised(self, start: datetime, prices_scaled: npt.NDArray[np.int64]) -> "PriceSeries":
        """Return the next revision with other prices from `start` on, longer where they run on.

        The series itself stays as it was, so a bill that used it can be replayed.
        """
        step = timedelta(minutes=self.interval_min)
        first, rest = divmod(start - self.start, step)
        if rest or not 0 <= first <= len(self.prices_scaled):
            raise ValueError(f"new prices begin on the grid of the series: {start!r}")
        length = max(len(self.prices_scaled), first + len(prices_scaled))
        merged = np.empty(length, dtype=np.int64)
        merged[: len(self.prices_scaled)] = self.prices_scaled
        merged[first : first + len(prices_scaled)] = prices_scaled
        return PriceSeries(self.code, self.start, self.interval_min, merged, self.revision + 1)


@dataclass(frozen=True, slots=True, eq=False)
class AccountFacts:
    """Facts of a population beside its energy, as columns with one row an account.

    None means that a fact is not known, and UNKNOWN that it is not known of one account: a tariff
    that needs it refuses to price. What can change
    from month to month has shape (accounts,) or (accounts, billing periods).
    """

    area_dm2: Whole | None = None
    persons: Whole | None = None
    contracted_w: Whole | None = None
    opening_wh: Whole | None = None
    """Wh that a year's ladder has counted before the grid; (accounts,), or (accounts, zones)."""
    common_area_wh: Whole | None = None
    """The flat's share of the common-area energy, which some norms count first."""
    demand_before_w: Whole | None = None
    """Highest demand of the months before the grid, the latest last: (accounts, months)."""
    export_wh: WattHours | None = None
    """Energy given to the network, on the grid of the energy."""
    entitled: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Who has a right to which concession, by its code: (accounts,)."""
    price_series: Mapping[str, PriceSeries] = field(default_factory=dict)
    regulated_hours: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    """Beginnings (UTC) of the peak hours that the market's operator named, by list."""
    closing: bool = True
    """Says that the last billing period ends with the grid.

    A period that still runs has no minimum bill and no capacity charge yet.
    """
