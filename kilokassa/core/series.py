"""Energy on a regular grid: what a meter gives and a tariff prices."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from kilokassa.core.period import Period

WattHours = npt.NDArray[np.integer[Any]]


class Quality(IntEnum):
    """How an interval's value came about (признак достоверности); one byte at rest.

    `MISSING` marks a place on the grid for which nothing is known: its energy is 0 and must never
    be read as a measured zero.
    """

    MISSING = 0
    ACTUAL = 1
    ESTIMATED = 2
    SUBSTITUTED = 3
    CUSTOMER_READ = 4


@dataclass(frozen=True, slots=True, eq=False)
class EnergySeries:
    """Whole watt-hours on a regular grid from `start` (UTC), one value an interval.

    `energy_wh` has shape (intervals,) and an integer type; `quality` is uint8 of the same shape, or
    None where every value is actual.
    """

    start: datetime
    interval_min: int
    energy_wh: WattHours
    quality: npt.NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.start.tzinfo is not UTC:
            raise ValueError(f"a series starts at an instant in UTC: {self.start!r}")
        if self.interval_min <= 0:
            raise ValueError(f"an interval has a positive length: {self.interval_min}")
        if self.energy_wh.ndim != 1 or not np.issubdtype(self.energy_wh.dtype, np.integer):
            raise ValueError("energy is a row of whole watt-hours")
        if self.quality is not None and self.quality.shape != self.energy_wh.shape:
            raise ValueError("there is one quality for each value")

    @property
    def period(self) -> Period:
        """The stretch of time that the values cover."""
        length = timedelta(minutes=self.interval_min) * len(self.energy_wh)
        return Period(self.start, self.start + length)

    @property
    def total_wh(self) -> int:
        """The whole energy, summed exactly."""
        return int(self.energy_wh.sum(dtype=np.int64))

    @property
    def missing(self) -> int:
        """How many intervals have no value."""
        return 0 if self.quality is None else int((self.quality == Quality.MISSING).sum())
