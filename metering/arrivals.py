"""Rows of a file find their channel, local day and place in it; or the reason why they cannot."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import local_midnight
from kilokassa.core.period import Period
from metering.days import UWH_PER_WH, DayBlock, Int64, exact_days
from metering.findings.finding import Finding, FindingKind
from metering.imports import LINES_MAX, NUMBER_OF, REASONS, RefusalReason
from metering.parsers.source import ARRIVAL, VALUE_MAX_UWH, Arrivals, SeriesKey
from metering.registry.places import ACTIVE_TAKEN

Mask = npt.NDArray[np.bool_]

DAY_S: Final = 24 * 60 * 60
PPM: Final = 1_000_000

_PACKED: Final = b"2"
"""Before rows that were kept: the version of their layout; the first one had no such mark."""
_PACKED_MULTIPLIED: Final = b"M"
"""The same layout, of values that have the multiplier in them."""
_OLDER_ARRIVAL: Final = np.dtype(
    [
        ("time_s", "<i8"),
        ("value_uwh", "<i8"),
        ("line", "<u4"),
        ("point", "<i4"),
        ("quality", np.uint8),
        ("fault", np.uint8),
        ("local", np.bool_),
    ],
    align=True,
)
"""Rows as version 2026.11.0 kept them."""


@dataclass(frozen=True, slots=True)
class PointChannel:
    """Where the interval values of a series go, and how its local day runs."""

    point_code: str
    channel_id: int
    interval_min: int
    multiplier: int
    zone: str
    channel_code: str = ACTIVE_TAKEN
    loss_ppm: int = 0
    """Losses between the metering and the delivery point, millionths of what is measured."""
    point_id: int = 0
    capacity_w: int | None = None
    """Connected capacity of the point; None where it is not known."""

    def factor_ppm(self, *, multiplied: bool) -> int:
        """Return what a value of a file is taken times, in millionths: multiplier and losses."""
        return (1 if multiplied else self.multiplier) * (PPM + self.loss_ppm)


@dataclass(frozen=True, slots=True, eq=False)
class RefusedRows:
    """The rows of one series that one reason refused, as they arrived."""

    key: SeriesKey
    reason: RefusalReason
    rows: Arrivals
    multiplied: bool = False
    """Whether the multiplier of the channel is in the values already."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The local days of a channel that rows arrived for."""

    channel: PointChannel
    first: date
    last: date


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Every row told: placed into a day, given twice with the same value, or refused."""

    blocks: tuple[DayBlock, ...]
    duplicates: int
    refused: tuple[RefusedRows, ...]
    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]
    energy_uwh: int
    """Of the rows that were not refused, before any multiplier."""


def place(
    rows: Arrivals,
    keys: Sequence[SeriesKey],
    channels: Mapping[SeriesKey, PointChannel],
    bare: frozenset[SeriesKey] = frozenset(),
    *,
    multiplied: bool = False,
) -> Placement:
    """Place `rows`, those of a series in file order, onto the days of their channels.

    `rows["series"]` counts in `keys`; `bare` are series whose point exists without such a channel.
    Two keys may lead to one channel. Of two rows for the same interval the first is kept: with
    another value, the later one is refused. Where values are `multiplied`, the multiplier of the
    channel is in them already; losses never are.
    """
    work = _Work(rows, keys, channels, bare, multiplied=multiplied)
    blocks = tuple(work.blocks())
    return Placement(
        blocks=blocks,
        duplicates=work.duplicates,
        refused=tuple(work.refused()),
        findings=(*work.findings, *work.refused_findings(), *work.backwards()),
        coverage=tuple(work.coverage(blocks)),
        energy_uwh=_sum(rows["value_uwh"][work.fault == 0]),
    )


class _ZoneDays:
    """The local days of a zone over a range: when each begins and how long it lasts."""

    def __init__(self, zone: ZoneInfo, first: int, last: int) -> None:
        self.zone = zone
        self.first = first
        epoch = date(1970, 1, 1)
        self.starts_s = np.array(
            [
                int(local_midnight(epoch + timedelta(days=day), zone).timestamp())
                for day in range(first, last + 2)
            ],
            np.int64,
        )
        self.lengths_s = np.diff(self.starts_s)


class _Work:
    """The state of one placement: for every row its day, its seconds since midnight, its fault.

    `_own` is the number of each row's channel in `_channels`; a series without one has its own
    number there, so that every row counts somewhere.
    """

    def __init__(
        self,
        rows: Arrivals,
        keys: Sequence[SeriesKey],
        channels: Mapping[SeriesKey, PointChannel],
        bare: frozenset[SeriesKey],
        *,
        multiplied: bool,
    ) -> None:
        self.rows = rows
        self.multiplied = multiplied
        self.keys = keys
        self.fault: npt.NDArray[np.uint8] = rows["fault"].copy()
        self.day = np.zeros(len(rows), np.int32)
        self.elapsed_s = np.zeros(len(rows), np.int64)
        self.duplicates = 0
        self._again = np.zeros(len(rows), bool)
        self.findings: list[Finding] = []
        self.zones: dict[str, _ZoneDays] = {}
        used, series = _numbered(rows["series"])
        self._channels, own_of = _merged([channels.get(keys[number]) for number in used.tolist()])
        self._own = series if own_of is None else own_of[series]
        known = np.array([channel is not None for channel in self._channels], bool)
        self._known = known[self._own] if len(rows) else np.zeros(0, bool)
        if not known.all():
            alone = np.array([keys[number] in bare for number in used.tolist()], bool)
            unknown = np.where(
                alone, NUMBER_OF[RefusalReason.NO_CHANNEL], NUMBER_OF[RefusalReason.UNKNOWN_POINT]
            )
            self._refuse(~self._known, unknown.astype(np.uint8)[series])
        self._length()
        self._time()
        self._value()

    def _refuse(self, where: Mask, reason: Any) -> None:  # noqa: ANN401 - number or numbers
        hit = where & (self.fault == 0)
        self.fault[hit] = reason if np.isscalar(reason) else reason[hit]

    def _number(self, name: str) -> Int64 | int:
        """Return an attribute of the channel of every row, 1 where there is none; or of all."""
        own = [1 if channel is None else getattr(channel, name) for channel in self._channels]
        if len(set(own)) == 1:
            return int(own[0])
        return np.array(own, np.int64)[self._own]

    # --- lengths ---

    def _length(self) -> None:
        """Refuse rows for which the file states a length that is not the channel's."""
        stated = self.rows["interval_min"]
        if stated.any():
            other = self._known & (stated != 0) & (stated != self._number("interval_min"))
            self._refuse(other, NUMBER_OF[RefusalReason.WRONG_INTERVAL])

    # --- times ---

    def _time(self) -> None:
        timed = self._known & (self.fault != NUMBER_OF[RefusalReason.TIME_OUT_OF_RANGE])
        self._timed = timed
        zones = sorted({channel.zone for channel in self._channels if channel is not None})
        own_zone = np.array(
            [-1 if channel is None else zones.index(channel.zone) for channel in self._channels],
            np.int64,
        )
        of_zone = own_zone[self._own] if len(self.rows) else np.zeros(0, np.int64)
        for number, zone in enumerate(zones):
            chosen = np.flatnonzero(timed & (of_zone == number))
            if len(chosen):
                self._time_in(zone, chosen)
        step_s = self._number("interval_min") * 60
        off = timed & (self.elapsed_s % step_s != 0)
        self._refuse(off, NUMBER_OF[RefusalReason.OFF_GRID])

    def _time_in(self, zone: str, chosen: npt.NDArray[np.intp]) -> None:
        time_s = self.rows["time_s"][chosen]
        first, last = int(time_s.min()) // DAY_S - 1, int(time_s.max()) // DAY_S + 1
        days = _ZoneDays(ZoneInfo(zone), first, last)
        self.zones[zone] = days
        local = self.rows["local"][chosen]
        if local.all():
            self._wall_times(days, chosen, time_s)
        elif not local.any():
            self._instants(days, chosen, time_s)
        else:
            self._wall_times(days, chosen[local], time_s[local])
            self._instants(days, chosen[~local], time_s[~local])

    def _instants(self, days: _ZoneDays, chosen: npt.NDArray[np.intp], time_s: Int64) -> None:
        index = np.searchsorted(days.starts_s, time_s, side="right") - 1
        self.day[chosen] = index + days.first
        self.elapsed_s[chosen] = time_s - days.starts_s[index]

    def _wall_times(self, days: _ZoneDays, chosen: npt.NDArray[np.intp], time_s: Int64) -> None:
        """Read local times: on most days the clock shows what has passed since midnight."""
        index = time_s // DAY_S - days.first
        self.day[chosen] = index + days.first
        self.elapsed_s[chosen] = time_s % DAY_S
        changing = np.flatnonzero(days.lengths_s[index] != DAY_S)
        if len(changing):
            self._on_clock_changes(days, chosen[changing], time_s[changing])

    def _on_clock_changes(
        self, days: _ZoneDays, chosen: npt.NDArray[np.intp], time_s: Int64
    ) -> None:
        """Read local times of days on which the clock changes.

        A time that the clock shows twice is the earlier instant where it first occurs for its
        point in the file, and the later one after that; a time it skips is refused.
        """
        seen: set[tuple[int, int]] = set()
        for row, wall_s in zip(chosen.tolist(), time_s.tolist(), strict=True):
            wall = datetime.fromtimestamp(wall_s, UTC).replace(tzinfo=days.zone)
            earlier, later = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
            if earlier > later:
                self._refuse_row(row, RefusalReason.NONEXISTENT_TIME)
                continue
            key = (int(self._own[row]), wall_s)
            instant = later if key in seen else earlier
            seen.add(key)
            start_s = int(days.starts_s[self.day[row] - days.first])
            self.elapsed_s[row] = int(instant.timestamp()) - start_s

    def _refuse_row(self, row: int, reason: RefusalReason) -> None:
        if self.fault[row] == 0:
            self.fault[row] = NUMBER_OF[reason]

    # --- values ---

    def _value(self) -> None:
        most = [
            VALUE_MAX_UWH
            if channel is None
            else VALUE_MAX_UWH * PPM // channel.factor_ppm(multiplied=self.multiplied)
            for channel in self._channels
        ]
        most_uwh = most[0] if len(set(most)) == 1 else np.array(most, np.int64)[self._own]
        self._refuse(self.rows["value_uwh"] > most_uwh, NUMBER_OF[RefusalReason.TOO_LARGE])

    def _taken_up(self, value_uwh: Int64, rows: npt.NDArray[np.intp]) -> Int64:
        """Return values with the multiplier and the losses of their channels, rounded down."""
        measured_uwh = value_uwh
        if not self.multiplied:
            measured_uwh = value_uwh * self._per_channel("multiplier", self._own[rows])
        if not any(channel is not None and channel.loss_ppm for channel in self._channels):
            return measured_uwh
        # In two parts, for the product with the losses does not fit into 64 bits.
        loss_ppm = self._per_channel("loss_ppm", self._own[rows])
        whole, rest = np.divmod(measured_uwh, PPM)
        lost_uwh: Int64 = whole * loss_ppm + rest * loss_ppm // PPM
        return measured_uwh + lost_uwh

    def blocks(self) -> Iterator[DayBlock]:
        """Yield the days, in groups of equal shape; notes what was given twice."""
        good = np.flatnonzero(self.fault == 0)
        if not len(good):
            return
        own, day = self._own[good], self.day[good]
        first_day = int(day.min())
        width = int(day.max()) - first_day + 1
        slots, slot = _numbered(own.astype(np.int64) * width + (day - first_day))
        slot_own, slot_day = slots // width, slots % width + first_day
        interval_min = self._per_channel("interval_min", slot_own)
        intervals = self._intervals(slot_own, slot_day) // interval_min
        shapes = np.unique(np.stack([interval_min, intervals], axis=1), axis=0)
        for minutes, count in shapes.tolist():
            of_shape = (interval_min == minutes) & (intervals == count)
            if of_shape.all():
                rows, place = good, slot
            else:
                inside = of_shape[slot]
                rows = good[inside]
                place = (np.cumsum(of_shape) - 1)[slot[inside]]
            yield self._block(minutes, count, rows, place, slot_own[of_shape], slot_day[of_shape])

    def _per_channel(self, name: str, own: Int64) -> Int64:
        values = [0 if channel is None else getattr(channel, name) for channel in self._channels]
        return np.array(values, np.int64)[own]

    def _intervals(self, own: Int64, day: Int64) -> Int64:
        """Return the length in minutes of each of these local days."""
        minutes = np.zeros(len(own), np.int64)
        zone_of = np.array([getattr(channel, "zone", "") for channel in self._channels])[own]
        for zone, days in self.zones.items():
            chosen = zone_of == zone
            minutes[chosen] = days.lengths_s[day[chosen] - days.first] // 60
        return minutes

    def _block(
        self,
        interval_min: int,
        intervals: int,
        rows: npt.NDArray[np.intp],
        slot: Int64,
        slot_own: Int64,
        slot_day: Int64,
    ) -> DayBlock:
        flat = slot * intervals + self.elapsed_s[rows] // (interval_min * 60)
        size = len(slot_own) * intervals
        order = np.arange(len(rows))
        first = np.full(size, -1, np.int64)
        # Backwards, so that of rows for the same place the first in the file is written last.
        first[flat[::-1]] = order[::-1]
        again = first[flat] != order
        if again.any():
            self._twice(rows[again], rows[first[flat[again]]])
            rows, flat = rows[~again], flat[~again]
        value_uwh = self.rows["value_uwh"][rows]
        energy = np.zeros(size, np.int64)
        quality = np.zeros(size, np.uint8)
        energy[flat] = self._taken_up(value_uwh, rows)
        quality[flat] = self.rows["quality"][rows]
        return exact_days(
            interval_min,
            self._per_channel("channel_id", slot_own),
            slot_day.astype("datetime64[D]"),
            energy.reshape(-1, intervals),
            quality.reshape(-1, intervals),
        )

    def _twice(self, later: npt.NDArray[np.intp], kept: npt.NDArray[np.intp]) -> None:
        """Note rows for an interval that an earlier row had: repeated, or refused if different."""
        same = (self.rows["value_uwh"][later] == self.rows["value_uwh"][kept]) & (
            self.rows["quality"][later] == self.rows["quality"][kept]
        )
        self.duplicates += int(same.sum())
        self._again[later] = True
        self.fault[later[~same]] = NUMBER_OF[RefusalReason.DUPLICATE_DIFFERENT]
        for kind, chosen in (
            (FindingKind.DUPLICATE_SAME, same),
            (FindingKind.DUPLICATE_DIFFERENT, ~same),
        ):
            for group in self._by_day(later[chosen]):
                at = np.flatnonzero(chosen)[group]
                one = at[0]
                detail: dict[str, int | str] = {
                    "count": len(at),
                    "line": int(self.rows["line"][later[one]]),
                }
                if kind is FindingKind.DUPLICATE_DIFFERENT:
                    detail |= {
                        "kept": kwh_text(int(self.rows["value_uwh"][kept[one]])),
                        "kept_line": int(self.rows["line"][kept[one]]),
                        "other": kwh_text(int(self.rows["value_uwh"][later[one]])),
                    }
                self.findings.append(self._finding(kind, later[at], detail))

    def _by_day(self, rows: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
        keys = self._own[rows].astype(np.int64) * 1_000_000 + self.day[rows]
        yield from _groups(keys)

    # --- what could not be placed ---

    def _refused_groups(self) -> Iterator[npt.NDArray[np.intp]]:
        rows = np.flatnonzero(self.fault)
        keys = self.rows["series"][rows].astype(np.int64) * 256 + self.fault[rows]
        for group in _groups(keys):
            yield rows[group]

    def refused(self) -> Iterator[RefusedRows]:
        """Yield the refused rows, grouped by series and reason."""
        for group in self._refused_groups():
            yield RefusedRows(
                key=self.keys[int(self.rows["series"][group[0]])],
                reason=REASONS[int(self.fault[group[0]]) - 1],
                rows=self.rows[group],
                multiplied=self.multiplied,
            )

    def refused_findings(self) -> Iterator[Finding]:
        """Yield findings about refused rows that say something about the meter itself."""
        kinds = {
            NUMBER_OF[RefusalReason.NEGATIVE]: FindingKind.NEGATIVE,
            NUMBER_OF[RefusalReason.OFF_GRID]: FindingKind.OFF_GRID,
            NUMBER_OF[RefusalReason.WRONG_INTERVAL]: FindingKind.WRONG_INTERVAL,
        }
        for group in self._refused_groups():
            kind = kinds.get(int(self.fault[group[0]]))
            if kind is None or not self._known[group[0]]:
                continue
            detail = {"count": len(group), "line": int(self.rows["line"][group].min())}
            if kind is FindingKind.WRONG_INTERVAL:
                channel = self._channels[int(self._own[group[0]])]
                assert channel is not None
                detail |= {
                    "found": int(self.rows["interval_min"][group[0]]),
                    "expected": channel.interval_min,
                }
            yield self._finding(kind, group, detail)

    def backwards(self) -> Iterator[Finding]:
        """Yield one finding for each series whose times go back somewhere in the file.

        A row for an interval that had one is a duplicate, and told as that alone.
        """
        rows = np.flatnonzero(self._timed & ~self._again)
        series = self.rows["series"][rows]
        if (np.diff(series) < 0).any():
            order = np.argsort(series, kind="stable")
            rows, series = rows[order], series[order]
        # Within a series days and seconds since midnight are as good as instants.
        passed_s = self.day[rows].astype(np.int64) * 2 * DAY_S + self.elapsed_s[rows]
        back = np.flatnonzero((np.diff(passed_s) < 0) & (np.diff(series) == 0)) + 1
        for group in _groups(series[back].astype(np.int64)):
            at = rows[back[group]]
            detail = {"count": len(at), "line": int(self.rows["line"][at].min())}
            yield self._finding(FindingKind.OUT_OF_ORDER, at, detail)

    def _finding(
        self, kind: FindingKind, rows: npt.NDArray[np.intp], detail: Mapping[str, int | str]
    ) -> Finding:
        channel = self._channels[int(self._own[rows[0]])]
        assert channel is not None
        days = self.zones[channel.zone]
        starts_s = days.starts_s[self.day[rows] - days.first] + self.elapsed_s[rows]
        return Finding(
            kind=kind,
            point_code=channel.point_code,
            channel_id=channel.channel_id,
            period=Period(
                datetime.fromtimestamp(int(starts_s.min()), UTC),
                datetime.fromtimestamp(int(starts_s.max()) + channel.interval_min * 60, UTC),
            ),
            detail=detail,
        )

    def coverage(self, blocks: Sequence[DayBlock]) -> Iterator[Coverage]:
        """Yield, for each channel, the first and last local day that something arrived for."""
        spans: dict[int, tuple[date, date]] = {}
        for block in blocks:
            for channel_id, day in zip(
                block.channel_ids.tolist(), block.days.tolist(), strict=True
            ):
                first, last = spans.get(channel_id, (day, day))
                spans[channel_id] = (min(first, day), max(last, day))
        for channel in self._channels:
            if channel is not None and channel.channel_id in spans:
                yield Coverage(channel, *spans[channel.channel_id])


def pack_rows(refused: RefusedRows) -> bytes:
    """Return refused rows as they are kept for a second try."""
    version = _PACKED_MULTIPLIED if refused.multiplied else _PACKED
    return version + zlib.compress(refused.rows.tobytes(), 1)


def refused_lines(packed: bytes) -> tuple[int, ...]:
    """Return the first line numbers of rows that were kept, in order."""
    lines = _unpacked(packed)["line"]
    return tuple(np.sort(lines)[:LINES_MAX].tolist())


def unpack_rows(packed: bytes) -> tuple[Arrivals, bool]:
    """Return rows that were kept, and whether they are multiplied.

    They come free of their old place among the series and of their fault.
    """
    rows = _unpacked(packed)
    rows["series"] = 0
    rows["fault"] = 0
    return rows, packed.startswith(_PACKED_MULTIPLIED)


def _unpacked(packed: bytes) -> Arrivals:
    if packed.startswith((_PACKED, _PACKED_MULTIPLIED)):
        return np.frombuffer(zlib.decompress(packed[len(_PACKED) :]), ARRIVAL).copy()
    older = np.frombuffer(zlib.decompress(packed), _OLDER_ARRIVAL)
    rows = np.zeros(len(older), ARRIVAL)
    for name in ("time_s", "value_uwh", "line", "quality", "fault", "local"):
        rows[name] = older[name]
    return rows


def kwh_text(value_uwh: int) -> str:
    """Return millionths of a watt-hour as kWh, exactly and without trailing zeros.

    >>> kwh_text(345_000_000), kwh_text(1), kwh_text(-2_000_000_000)
    ('0.345', '0.000000001', '-2')
    """
    sign = "-" if value_uwh < 0 else ""
    whole, fraction = divmod(abs(value_uwh), 1000 * UWH_PER_WH)
    return f"{sign}{whole}" + (f".{fraction:09d}".rstrip("0") if fraction else "")


def _merged(
    found: Sequence[PointChannel | None],
) -> tuple[list[PointChannel | None], Int64 | None]:
    """Return channels, each once, and where each of `found` is among them; None if as they are."""
    place_of: dict[int, int] = {}
    channels: list[PointChannel | None] = []
    own = []
    for channel in found:
        if channel is not None and channel.channel_id in place_of:
            own.append(place_of[channel.channel_id])
            continue
        if channel is not None:
            place_of[channel.channel_id] = len(channels)
        own.append(len(channels))
        channels.append(channel)
    return channels, None if len(channels) == len(found) else np.array(own, np.int64)


def _sum(value_uwh: Int64) -> int:
    """Add up without wrapping: whole watt-hours and the rest apart."""
    return int((value_uwh // UWH_PER_WH).sum()) * UWH_PER_WH + int((value_uwh % UWH_PER_WH).sum())


def _numbered(values: npt.NDArray[np.integer[Any]]) -> tuple[Int64, Int64]:
    """Return the distinct values in order, and for each value its place among them.

    By a table of the range where that is small against the rows: many times faster than sorting.
    """
    if not len(values):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    least, most = int(values.min()), int(values.max())
    if most - least > 4 * len(values) + 1_000_000:
        distinct, places = np.unique(values, return_inverse=True)
        return distinct.astype(np.int64), places.astype(np.int64)
    seen = np.zeros(most - least + 1, bool)
    seen[values - least] = True
    place_of = np.cumsum(seen) - 1
    return np.flatnonzero(seen) + least, place_of[values - least]


def _groups(keys: Int64) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the places of equal keys, in order, each group as one array."""
    if not len(keys):
        return
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    yield from np.split(order, edges)
