"""Days of interval values: packing, whole watt-hours, digests, and one day meeting another."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kilokassa.core.series import EnergySeries, Quality

UWH_PER_WH: Final = 1_000_000
ENERGY_MAX_WH: Final = 2**31 - 1
"""The largest value an interval can hold at rest."""
DIGEST_BYTES: Final = 16

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]
Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class DayBlock:
    """Local days of equal shape, one row a channel and day; build it by the functions below.

    `energy_wh` (int32) and `quality` (uint8) have the shape (days, intervals), 0 where missing;
    the exact value of an interval is `energy_wh` and `fraction_uwh` millionths more, or less.
    """

    interval_min: int
    channel_ids: Int64
    days: Days
    energy_wh: Int32
    quality: UInt8
    fraction_uwh: Int32 | None = None

    def __post_init__(self) -> None:
        rows = len(self.channel_ids)
        if self.energy_wh.ndim != 2 or len(self.energy_wh) != rows or len(self.days) != rows:
            raise ValueError("a block has one row of values for each channel and day")
        if self.quality.shape != self.energy_wh.shape:
            raise ValueError("there is one quality for each value")
        if self.fraction_uwh is not None and self.fraction_uwh.shape != self.energy_wh.shape:
            raise ValueError("there is one fraction for each value")
        if self.energy_wh.size and self.energy_wh.min() < 0:
            raise ValueError("energy taken is not negative")
        keys = self.channel_ids * 10_000_000 + self.days.astype(np.int64)
        if len(np.unique(keys)) != rows:
            raise ValueError("a block holds a channel's day once")

    def __len__(self) -> int:
        return len(self.channel_ids)

    @property
    def total_wh(self) -> Int64:
        """The whole energy of each day."""
        totals: Int64 = self.energy_wh.sum(axis=1, dtype=np.int64)
        return totals

    @property
    def missing(self) -> Int64:
        """How many intervals of each day have no value."""
        missing: Int64 = (self.quality == Quality.MISSING).sum(axis=1)
        return missing

    def exact_uwh(self) -> Int64:
        """Return every value in millionths of a watt-hour, as it arrived."""
        exact = self.energy_wh.astype(np.int64) * UWH_PER_WH
        return exact if self.fraction_uwh is None else exact + self.fraction_uwh

    def rows(self, chosen: npt.NDArray[np.intp] | slice) -> "DayBlock":
        """Return some of the days as a block."""
        fraction = None if self.fraction_uwh is None else self.fraction_uwh[chosen]
        return DayBlock(
            interval_min=self.interval_min,
            channel_ids=self.channel_ids[chosen],
            days=self.days[chosen],
            energy_wh=self.energy_wh[chosen],
            quality=self.quality[chosen],
            fraction_uwh=fraction,
        )


@dataclass(frozen=True, slots=True, eq=False)
class TouchedDays:
    """Days without their values: each a channel and a local day."""

    channel_ids: Int64
    days: Days


def whole_days(
    interval_min: int,
    channel_ids: Sequence[int] | Int64,
    days: Sequence[date] | Days,
    energy_wh: npt.NDArray[np.integer[Any]],
    quality: UInt8 | None = None,
) -> DayBlock:
    """Return a block of whole watt-hours; every value is actual where no quality is given.

    >>> whole_days(720, [7], [date(2026, 10, 1)], np.array([[400, 600]])).total_wh
    array([1000])
    """
    if energy_wh.size and energy_wh.max() > ENERGY_MAX_WH:
        raise ValueError(f"an interval holds at most {ENERGY_MAX_WH} Wh")
    if quality is None:
        quality = np.full(energy_wh.shape, Quality.ACTUAL, np.uint8)
    return DayBlock(
        interval_min=interval_min,
        channel_ids=np.asarray(channel_ids, np.int64),
        days=np.asarray(days, "datetime64[D]"),
        energy_wh=np.where(quality == Quality.MISSING, 0, energy_wh).astype(np.int32, copy=False),
        quality=quality,
    )


def exact_days(
    interval_min: int,
    channel_ids: Sequence[int] | Int64,
    days: Sequence[date] | Days,
    energy_uwh: Int64,
    quality: UInt8 | None = None,
) -> DayBlock:
    """Return a block from exact millionths of a watt-hour.

    A whole value is the difference of the floored running total since local midnight, so that the
    whole values of a day sum to its register, rounded down, whatever order the parts came in.

    >>> block = exact_days(480, [7], [date(2026, 10, 1)], np.array([[600_000, 600_000, 0]]))
    >>> block.energy_wh, block.fraction_uwh
    (array([[0, 1, 0]], dtype=int32), array([[ 600000, -400000,       0]], dtype=int32))
    """
    if quality is None:
        quality = np.full(energy_uwh.shape, Quality.ACTUAL, np.uint8)
    # 1,500 intervals of 2^31 Wh, in millionths, stay under 2^63: the running total cannot wrap.
    if energy_uwh.size and energy_uwh.max() > ENERGY_MAX_WH * UWH_PER_WH:
        raise ValueError(f"an interval holds at most {ENERGY_MAX_WH} Wh")
    exact = np.where(quality == Quality.MISSING, 0, energy_uwh)
    if not (exact % UWH_PER_WH).any():
        return whole_days(interval_min, channel_ids, days, exact // UWH_PER_WH, quality)
    floored = np.cumsum(exact, axis=1) // UWH_PER_WH
    whole = np.diff(floored, axis=1, prepend=0)
    return DayBlock(
        interval_min=interval_min,
        channel_ids=np.asarray(channel_ids, np.int64),
        days=np.asarray(days, "datetime64[D]"),
        energy_wh=whole.astype(np.int32),
        quality=quality,
        fraction_uwh=(exact - whole * UWH_PER_WH).astype(np.int32),
    )


@dataclass(frozen=True, slots=True)
class PackedDay:
    """The blobs of one day as they rest."""

    energy_wh: bytes
    quality: bytes
    fraction_uwh: bytes | None
    digest: bytes


def pack(block: DayBlock) -> list[PackedDay]:
    """Return the days of `block` as they rest; a day without fractions has none."""
    intervals = block.energy_wh.shape[1]
    energy = np.ascontiguousarray(block.energy_wh, "<i4").tobytes()
    quality = np.ascontiguousarray(block.quality).tobytes()
    fractions: list[bytes | None] = [None] * len(block)
    if block.fraction_uwh is not None:
        packed = np.ascontiguousarray(block.fraction_uwh, "<i4").tobytes()
        for row in np.flatnonzero(block.fraction_uwh.any(axis=1)).tolist():
            fractions[row] = packed[row * intervals * 4 : (row + 1) * intervals * 4]
    days = []
    for row, fraction in enumerate(fractions):
        first = row * intervals
        values = energy[first * 4 : (first + intervals) * 4]
        qualities = quality[first : first + intervals]
        days.append(PackedDay(values, qualities, fraction, day_digest(values, qualities, fraction)))
    return days


def day_digest(energy_wh: bytes, quality: bytes, fraction_uwh: bytes | None) -> bytes:
    """Return what identifies a day's content: the first 16 bytes of its SHA-256."""
    running = hashlib.sha256(energy_wh)
    running.update(quality)
    if fraction_uwh is not None:
        running.update(fraction_uwh)
    return running.digest()[:DIGEST_BYTES]


def unpack(
    interval_min: int,
    channel_ids: Sequence[int] | Int64,
    days: Sequence[date] | Days,
    packed: Sequence[tuple[bytes, bytes, bytes | None]],
) -> DayBlock:
    """Return days of equal shape from their blobs: energy, quality and fraction of each."""
    rows = len(packed)
    energy = np.frombuffer(b"".join(day[0] for day in packed), "<i4").reshape(rows, -1)
    quality = np.frombuffer(b"".join(day[1] for day in packed), np.uint8).reshape(rows, -1)
    fraction = None
    if any(day[2] is not None for day in packed):
        fraction = np.zeros(energy.shape, np.int32)
        for row, day in enumerate(packed):
            if day[2] is not None:
                fraction[row] = np.frombuffer(day[2], "<i4")
    return DayBlock(
        interval_min=interval_min,
        channel_ids=np.asarray(channel_ids, np.int64),
        days=np.asarray(days, "datetime64[D]"),
        energy_wh=energy.astype(np.int32, copy=False),
        quality=quality,
        fraction_uwh=fraction,
    )


@dataclass(frozen=True, slots=True, eq=False)
class MergedDays:
    """Days as they stand after others arrived; the masks have the shape of the values."""

    block: DayBlock
    filled: npt.NDArray[np.bool_]
    """Intervals that had no value."""
    repeated: npt.NDArray[np.bool_]
    """Intervals that arrived with the value and quality they had."""
    changed: npt.NDArray[np.bool_]
    """Known intervals that arrived with another value or quality."""


def merge(standing: DayBlock, arriving: DayBlock, *, fill_only: bool = False) -> MergedDays:
    """Return the days of `standing` after the same days arrived; what is missing says nothing.

    Where `fill_only`, a known value stays, and what differs from it is only reported.
    """
    if standing.energy_wh.shape != arriving.energy_wh.shape:
        raise ValueError("a stored day and an arriving one differ in shape")
    known = standing.quality != Quality.MISSING
    given = arriving.quality != Quality.MISSING
    exact = standing.fraction_uwh is not None or arriving.fraction_uwh is not None
    old = standing.exact_uwh() if exact else standing.energy_wh
    new = arriving.exact_uwh() if exact else arriving.energy_wh
    same = (old == new) & (standing.quality == arriving.quality)
    filled = given & ~known
    changed = given & known & ~same
    taken = filled if fill_only else filled | changed
    quality = np.where(taken, arriving.quality, standing.quality)
    values = np.where(taken, new, old)
    build = exact_days if exact else whole_days
    merged = build(standing.interval_min, standing.channel_ids, standing.days, values, quality)
    return MergedDays(merged, filled, given & known & same, changed)


@dataclass(frozen=True, slots=True, eq=False)
class IntervalMatrix:
    """Whole watt-hours of channels over a stretch of local days, read back as one matrix.

    Row i belongs to `channel_ids[i]`; column j is the interval that starts j intervals after
    `start` (UTC). Where nothing is known, energy and quality are 0.
    """

    channel_ids: tuple[int, ...]
    start: datetime
    interval_min: int
    energy_wh: Int32
    quality: UInt8
    digests: tuple[str, ...]
    """One a channel: of the digests and revisions of its days; tells whether anything changed."""

    def __post_init__(self) -> None:
        assert self.start.tzinfo is UTC, self.start
        assert self.energy_wh.shape == self.quality.shape
        assert len(self.channel_ids) == len(self.energy_wh) == len(self.digests)

    @property
    def known_intervals(self) -> Int64:
        """For each channel, how many intervals lie up to the end of the last known one."""
        known = self.quality[:, ::-1] != Quality.MISSING
        after_last = known.argmax(axis=1) if self.quality.shape[1] else np.zeros(len(known), int)
        return np.where(known.any(axis=1), self.quality.shape[1] - after_last, 0)

    @property
    def known_until(self) -> tuple[datetime | None, ...]:
        """For each channel, the end (UTC) of its last known interval, or None."""
        step = timedelta(minutes=self.interval_min)
        return tuple(
            self.start + step * count if count else None for count in self.known_intervals.tolist()
        )

    @property
    def missing(self) -> Int64:
        """For each channel, how many intervals have no value."""
        missing: Int64 = (self.quality == Quality.MISSING).sum(axis=1)
        return missing

    def series(self, row: int) -> EnergySeries:
        """Return one channel as a series."""
        return EnergySeries(
            self.start, self.interval_min, self.energy_wh[row], quality=self.quality[row]
        )


@dataclass(frozen=True, slots=True, eq=False)
class DayTotals:
    """The energy of channels by local day; 0 where a day has no row."""

    channel_ids: tuple[int, ...]
    days: tuple[date, ...]
    total_wh: Int64
    """Of shape (channels, days)."""
    missing: Int64
    """Intervals without a value of the days that have a row, of the same shape."""
    present: npt.NDArray[np.bool_]
    """Where a day has a row, of the same shape."""


STRIDES: Final = (2, 3, 4, 6, 12)
"""How many times longer an interval may be than the grid it came on."""
STRIDE_KNOWN_MIN: Final = 4
"""With fewer known places a day tells nothing of its intervals."""


def strides(known: npt.NDArray[np.bool_]) -> Int64:
    """Return, for each row of `known`, s where it fills just every s-th place of its day, else 1.

    >>> strides(np.array([[1, 0, 1, 0, 1, 0, 1, 0], [1, 1, 1, 0, 1, 0, 1, 0]], bool))
    array([2, 1])
    """
    found = np.ones(len(known), np.int64)
    count = known.sum(axis=1)
    first = known.argmax(axis=1)
    length = known.shape[1]
    for step in STRIDES:
        expected = -(-(length - first) // step)
        likely = (count == expected) & (first < step) & (count >= STRIDE_KNOWN_MIN)
        for start in np.unique(first[likely]).tolist():
            rows = np.flatnonzero(likely & (first == start))
            whole = known[rows, start::step].all(axis=1)
            found[rows[whole]] = step
    return found
