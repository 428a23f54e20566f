"""One matrix of a long stretch of days, without digests: for comparing and rehearsing.

The database itself puts the days of a channel one after the other, so that a channel costs one
object and not one a day: four times as fast as reading the rows (`make bench NAME=rehearsal`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, LargeBinary, Select, String, cast, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from kilokassa.core.calendar import intervals_in_day, local_midnight
from metering.days import IntervalMatrix
from metering.models import IntervalDayRow

CHANNELS_A_READ: Final = 64
"""A year of so many channels is put in place while the processor's cache still holds it."""

_DAY_TEXT: Final = len("2026-10-31")
_rows = IntervalDayRow.__table__


@dataclass(frozen=True, slots=True)
class _Grid:
    """The intervals of successive local days."""

    first: date
    last: date
    days: str
    """Every day as text, one after the other."""
    offsets: tuple[int, ...]
    """First interval of each day, and the end of the last."""


def load_stretch(
    session: Session,
    channel_ids: Sequence[int],
    first: date,
    end: date,
    zone: ZoneInfo,
    interval_min: int,
) -> IntervalMatrix:
    """Return the energy of channels from local day `first` up to `end`, in their order.

    A place without a value has the energy 0 and the quality `MISSING`. No digest is made: nothing
    is charged by what is read here.
    """
    grid = _grid(first, end, zone, interval_min)
    energy = np.zeros((len(channel_ids), grid.offsets[-1]), np.int32)
    quality = np.zeros(energy.shape, np.uint8)
    row_of = {channel_id: row for row, channel_id in enumerate(channel_ids)}
    if len(row_of) != len(channel_ids):
        raise ValueError("a matrix holds a channel once")
    ordered = sorted(row_of)
    for start in range(0, len(ordered), CHANNELS_A_READ):
        part = ordered[start : start + CHANNELS_A_READ]
        for channel_id, shortest, longest, days, energies, qualities in session.execute(
            _by_channel(session, part, grid)
        ):
            if (shortest, longest) != (interval_min, interval_min):
                raise ValueError(f"a channel does not count intervals of {interval_min} minutes")
            row = row_of[channel_id]
            _put(energy[row], np.frombuffer(energies, "<i4"), days, grid)
            _put(quality[row], np.frombuffer(qualities, np.uint8), days, grid)
    return IntervalMatrix(
        channel_ids=tuple(channel_ids),
        start=local_midnight(first, zone),
        interval_min=interval_min,
        energy_wh=energy,
        quality=quality,
        digests=("",) * len(channel_ids),
    )


def _grid(first: date, end: date, zone: ZoneInfo, interval_min: int) -> _Grid:
    days = [first + timedelta(days=n) for n in range((end - first).days)]
    lengths = [intervals_in_day(day, zone, interval_min) for day in days]
    return _Grid(
        first,
        end - timedelta(days=1),
        "".join(map(date.isoformat, days)),
        (0, *np.cumsum(lengths).tolist()),
    )


def _by_channel(session: Session, channel_ids: Sequence[int], grid: _Grid) -> Select[Any]:
    """Return each channel's days, values and qualities, each joined in one and the same order."""
    if session.get_bind().dialect.name == "sqlite":

        def joined(column: ColumnElement[Any]) -> ColumnElement[Any]:
            return func.group_concat(column, "")
    else:

        def joined(column: ColumnElement[Any]) -> ColumnElement[Any]:
            nothing = literal(b"" if isinstance(column.type, LargeBinary) else "", column.type)
            return func.string_agg(column, aggregate_order_by(nothing, _rows.c.day))

    # SQLite keeps a day as this very text and joins bytes untouched; the cast says so. In which
    # order it joins is its own affair, so the days are joined beside the values and looked at.
    return (
        select(
            _rows.c.channel_id,
            func.min(_rows.c.interval_min),
            func.max(_rows.c.interval_min),
            joined(cast(_rows.c.day, String)),
            cast(joined(_rows.c.energy_wh), LargeBinary),
            cast(joined(_rows.c.quality), LargeBinary),
        )
        .where(
            _rows.c.channel_id.in_(channel_ids),
            _rows.c.day.between(grid.first, grid.last),
        )
        .group_by(_rows.c.channel_id)
    )


def _put(target: npt.NDArray[Any], values: npt.NDArray[Any], days: str, grid: _Grid) -> None:
    """Put a channel's values in place: at once where no day is missing, else day by day."""
    if days == grid.days:
        target[:] = values
        return
    read = 0
    for start in range(0, len(days), _DAY_TEXT):
        day = date.fromisoformat(days[start : start + _DAY_TEXT])
        number = (day - grid.first).days
        begin, end = grid.offsets[number], grid.offsets[number + 1]
        target[begin:end] = values[read : read + end - begin]
        read += end - begin
    if read != len(values):
        raise ValueError("a day has as many values as its hours ask for")
