"""Days of channels as rows of a table: what Parquet and CSV files are written from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from kilokassa.core.calendar import local_midnight
from kilokassa.core.series import Quality
from metering.days import UWH_PER_WH
from metering.writers.losses import measured

UNIT_OF: Final[Mapping[str, str]] = {
    "A+": "Wh",
    "A-": "Wh",
    "R+": "varh",
    "R-": "varh",
    "Q": "kcal",
    "HW": "l",
    "CW": "l",
}
"""What a channel counts whole."""

SCHEMA: Final = pl.Schema(
    {
        "point": pl.String(),
        "channel": pl.String(),
        "day": pl.Date(),
        "time": pl.Datetime("us", "UTC"),
        "interval_min": pl.Int16(),
        "value": pl.Decimal(18, 6),
        "losses": pl.Decimal(18, 6),
        "unit": pl.String(),
        "quality": pl.String(),
        "revision": pl.Int32(),
    }
)
"""`time` is when an interval starts, `day` the local day that it lies in.

`value` is exactly what was measured, `losses` what was added up to the delivery point.
"""

_QUALITY_NAMES: Final = [quality.name.lower() for quality in Quality]

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ExportDays:
    """Local days of equal shape in one zone, a row a channel and day."""

    zone: str
    interval_min: int
    points: Sequence[str]
    channels: Sequence[str]
    days: Sequence[date]
    revisions: Sequence[int]
    loss_ppm: Sequence[int]
    value_uwh: Int64
    """Of shape (days, intervals): millionths of what a channel counts whole, losses added."""
    quality: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        rows = len(self.days)
        columns = (self.points, self.channels, self.revisions, self.loss_ppm, self.value_uwh)
        same = {len(column) for column in columns}
        if same != {rows} or self.quality.shape != self.value_uwh.shape:
            raise ValueError("an export has one row of values for each channel and day")


def to_frame(days: ExportDays) -> pl.DataFrame:
    """Return one row an interval that has a value, in order; of the columns of `SCHEMA`."""
    intervals = days.value_uwh.shape[1]
    known = np.flatnonzero(days.quality.ravel() != Quality.MISSING)
    own, place = known // intervals, known % intervals
    starts_s = np.array([_start_s(day, days.zone) for day in days.days], np.int64)
    time_us = (starts_s[own] + place * (days.interval_min * 60)) * 1_000_000
    units = [UNIT_OF[channel] for channel in days.channels]
    stored_uwh = days.value_uwh.ravel()[known]
    value_uwh = measured(stored_uwh, np.array(days.loss_ppm, np.int64)[own])
    return pl.DataFrame(
        {
            "point": _picked(days.points, own),
            "channel": _picked(days.channels, own),
            "day": _picked(days.days, own),
            "time": pl.Series(time_us).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "interval_min": pl.Series([days.interval_min]).new_from_index(0, len(known)),
            "value": _exact(value_uwh),
            "losses": _exact(stored_uwh - value_uwh),
            "unit": _picked(units, own),
            "quality": _picked(_QUALITY_NAMES, days.quality.ravel()[known]),
            "revision": _picked(days.revisions, own),
        },
        schema=SCHEMA,
    )


def _exact(value_uwh: Int64) -> pl.Series:
    """Return millionths as decimals.

    Exact: a value of at most 2^31 in millionths has 16 digits, and a double that is divided by a
    million is off by less than half of the last of them.
    """
    return pl.Series(value_uwh / UWH_PER_WH).cast(pl.Decimal(18, 6))


def _picked(values: Sequence[Any], places: npt.NDArray[np.integer[Any]]) -> pl.Series:
    return pl.Series(list(values)).gather(pl.Series(places.astype(np.uint32)))


@cache
def _start_s(day: date, zone: str) -> int:
    start: datetime = local_midnight(day, ZoneInfo(zone))
    assert start.tzinfo is UTC
    return int(start.timestamp())
