"""Checks of stored interval values against the point's own past; findings, never a change.

Every check works on the days of many channels at once (`Window`): the last `HISTORY_DAYS` days
before, and the days that are new or changed. The limits are our own choice: the rates of false
alarms on real meters are in `docs/reference/checks-of-readings.md`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import local_midnight
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from metering.arrivals import Mask, PointChannel, kwh_text
from metering.days import UWH_PER_WH, DayBlock, Int32, Int64, UInt8, strides
from metering.findings.finding import Finding, FindingKind, FindingState
from metering.registry.places import ACTIVE_TAKEN

HISTORY_DAYS: Final = 28
"""How many days before a day speak for what its point uses."""
KNOWN_DAYS_MIN: Final = 14
"""With fewer known days nothing is called unusual."""

_NO_LIMIT: Final = 2**62

SPIKE_RANK: Final = 3
"""The third highest day of the past: two odd days in it change nothing."""
SPIKE_TIMES: Final = 3
"""A value so many times above that is a spike."""
SPIKE_FLOOR_PER_H: Final[Mapping[str, int]] = {"HW": 1_000, "CW": 1_000}
"""What any flat may use in an hour after weeks of absence, in Wh, kcal or litres, by channel."""
SPIKE_FLOOR_OTHER_PER_H: Final = 5_000

STUCK_HOURS: Final = 24
"""The same value, not zero, for so long ..."""
STUCK_TIMES: Final = 2
"""... and so many times longer than ever in the past."""
DEAD_HOURS: Final = 72
"""Zero for so long, where the past has no zeros of `STUCK_HOURS` on end."""
UNITS: Final[Mapping[str, tuple[str, int]]] = {
    "A+": (mark("kWh"), 3),
    "A-": (mark("kWh"), 3),
    "R+": (mark("kvarh"), 3),
    "R-": (mark("kvarh"), 3),
    "Q": (mark("Gcal"), 6),
    "HW": (mark("m³"), 3),
    "CW": (mark("m³"), 3),
}
"""In what unit people read a channel, and how many decimals of it a whole one at rest is."""
SCREEN_DAYS: Final = 4
"""So many days before tell whether more must be read: `DEAD_HOURS`, and a change of the clock."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Successive local days of channels that share their zone and interval length.

    `energy_wh` and `quality` have the shape (channels, intervals); `fresh` has the shape (channels,
    days) and marks the days to be checked; `starts_s` is when each day begins, in seconds since
    1970, and the end of the last.
    """

    channels: Sequence[PointChannel]
    first: date
    starts_s: Int64
    energy_wh: Int32
    quality: UInt8
    fresh: Mask
    disconnected: Mapping[int, Sequence[Period]] = field(default_factory=dict)
    """When the points were disconnected, by id of the point."""

    def __post_init__(self) -> None:
        shape = (len(self.channels), int(self.edges[-1]))
        if self.energy_wh.shape != shape or self.quality.shape != shape:
            raise ValueError(f"a window of {shape} has values of {self.energy_wh.shape}")
        if self.fresh.shape != (len(self.channels), len(self.starts_s) - 1):
            raise ValueError("a window tells of each channel's day whether it is fresh")

    @property
    def interval_min(self) -> int:
        """The length of every interval."""
        return self.channels[0].interval_min

    @property
    def edges(self) -> Int64:
        """At which interval each day begins, and the end of the last."""
        edges: Int64 = (self.starts_s - self.starts_s[0]) // (self.interval_min * 60)
        return edges

    def period(self, first: int, last: int) -> Period:
        """Return the time from interval `first` to `last`, both included."""
        start = datetime.fromtimestamp(int(self.starts_s[0]), UTC)
        step = timedelta(minutes=self.interval_min)
        return Period(start + step * first, start + step * (last + 1))


def lay_out(
    channels: Sequence[PointChannel],
    first: date,
    last: date,
    blocks: Iterable[DayBlock],
    fresh: Mask,
    disconnected: Mapping[int, Sequence[Period]],
) -> Window:
    """Return a window of days from blocks that may hold others too; of a day given twice, the last.

    The channels share their zone and interval length, and so do the blocks.
    """
    zone = ZoneInfo(channels[0].zone)
    days = [first + timedelta(days=n) for n in range((last - first).days + 2)]
    starts_s = np.array([int(local_midnight(day, zone).timestamp()) for day in days], np.int64)
    edges = (starts_s - starts_s[0]) // (channels[0].interval_min * 60)
    energy = np.zeros((len(channels), int(edges[-1])), np.int32)
    quality = np.zeros(energy.shape, np.uint8)
    ids = np.array([channel.channel_id for channel in channels], np.int64)
    order = np.argsort(ids)
    for block in blocks:
        at = np.searchsorted(ids, block.channel_ids, sorter=order)
        rows = order[np.minimum(at, len(ids) - 1)]
        places = (block.days - np.datetime64(first, "D")).astype(np.int64)
        inside = (ids[rows] == block.channel_ids) & (places >= 0) & (places < len(days) - 1)
        chosen: slice | npt.NDArray[np.intp] = (
            slice(None) if inside.all() else np.flatnonzero(inside)
        )
        _put(energy, edges, rows[chosen], places[chosen], block.energy_wh[chosen])
        _put(quality, edges, rows[chosen], places[chosen], block.quality[chosen])
    return Window(channels, first, starts_s, energy, quality, fresh, disconnected)


def _put(
    matrix: npt.NDArray[Any],
    edges: Int64,
    rows: npt.NDArray[np.intp],
    places: Int64,
    values: npt.NDArray[Any],
) -> None:
    """Set whole days, each given by its row and its place among the days."""
    length = values.shape[1]
    if matrix.shape[1] == length * (len(edges) - 1):
        matrix.reshape(len(matrix), -1, length)[rows, places] = values
        return
    for place in np.unique(places).tolist():
        chosen = places == place
        matrix[rows[chosen], int(edges[place]) : int(edges[place]) + length] = values[chosen]


def check(window: Window) -> list[Finding]:
    """Return what looks wrong on the fresh days of a window, for each kind and channel in order."""
    return [*unusual(window), *beyond_limits(window)]


def unusual(window: Window) -> list[Finding]:
    """Return values of fresh days that are unlike their past: `HISTORY_DAYS` days of it."""
    checks = _Checks(window)
    return [*checks.spikes(), *checks.stuck()]


def beyond_limits(window: Window) -> list[Finding]:
    """Return what is wrong on fresh days whatever their past."""
    checks = _Checks(window)
    return [*checks.over_capacity(), *checks.while_disconnected(), *checks.wrong_intervals()]


def may_be_unusual(window: Window) -> Mask:
    """Say of which channels `unusual` might find something, from `SCREEN_DAYS` days before alone.

    Most days of most points stay under what any flat may use and change all the time: so their past
    need not be read.
    """
    checks = _Checks(window)
    high: Mask = np.asarray((window.fresh & (checks.highest > checks.floors[:, None])).any(axis=1))
    return np.logical_or(high, checks.steady())


class _Checks:
    """The values of a window as they are checked: measured ones alone, and each day's highest."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.edges = window.edges
        self.measured = window.quality == Quality.ACTUAL
        self.energy = window.energy_wh
        if not self.measured.all():
            # -1 is no value of a channel: what is not measured is neither high nor stuck.
            self.energy = np.where(self.measured, window.energy_wh, np.int32(-1))
        self.highest = self._by_day(np.maximum, self.energy)
        self.floors = np.array(
            [
                SPIKE_FLOOR_PER_H.get(channel.channel_code, SPIKE_FLOOR_OTHER_PER_H)
                * channel.multiplier
                * channel.interval_min
                // 60
                for channel in window.channels
            ],
            np.int64,
        )
        """What no value up to is called a spike, for each channel."""
        self._per_hour = 60 // window.interval_min

    def _by_day(self, function: np.ufunc, values: Int32) -> Int32:
        lengths = np.diff(self.edges)
        if (lengths == lengths[0]).all():
            days = values.reshape(len(values), len(lengths), int(lengths[0]))
            shaped: Int32 = function.reduce(days, axis=2)
            return shaped
        reduced: Int32 = function.reduceat(values, self.edges[:-1], axis=1)
        return reduced

    # --- spikes ---

    def spikes(self) -> Iterator[Finding]:
        """Yield days with a value far above the highest of the days before."""
        usual, known = self._usual()
        limit = np.maximum(usual.astype(np.int64) * SPIKE_TIMES, self.floors[:, None])
        hit = self.window.fresh & known & (self.highest > limit)
        for row, days in _runs_of_days(hit):
            above = [
                place for day in days for place in self._places(row, day, int(limit[row, day]) + 1)
            ]
            top = max(days, key=lambda day: int(self.highest[row, day]))
            yield self._finding(
                FindingKind.SPIKE,
                row,
                above[0],
                above[-1],
                {
                    "variant": "interval",
                    "value": self._text(row, int(self.highest[row, top])),
                    "usual": self._text(row, int(usual[row, top])),
                    "unit": self._unit(row),
                    "count": len(above),
                },
            )

    def _usual(self) -> tuple[Int32, Mask]:
        """Return what the past of each fresh day reached on its third highest day; and where so.

        A day with too little before it, as at the first import of a point, is measured against all
        the days there are.
        """
        usual = np.zeros(self.highest.shape, np.int32)
        known = np.zeros(self.highest.shape, bool)
        for day in np.flatnonzero(self.window.fresh.any(axis=0)).tolist():
            past = self.highest[:, max(0, day - HISTORY_DAYS) : day]
            if past.shape[1] >= SPIKE_RANK:
                usual[:, day] = np.partition(past, -SPIKE_RANK, axis=1)[:, -SPIKE_RANK]
                known[:, day] = (past >= 0).sum(axis=1) >= KNOWN_DAYS_MIN
        lacking = (self.window.fresh & ~known).any(axis=1)
        if lacking.any() and self.highest.shape[1] >= SPIKE_RANK:
            every = self.highest[lacking]
            whole = np.partition(every, -SPIKE_RANK, axis=1)[:, -SPIKE_RANK, None]
            enough = ((every >= 0).sum(axis=1) >= KNOWN_DAYS_MIN)[:, None]
            usual[lacking] = np.where(known[lacking], usual[lacking], whole)
            known[lacking] |= enough
        return usual, known

    def _places(self, row: int, day: int, at_least: int) -> list[int]:
        """Return the intervals of a day whose value is `at_least` so much."""
        first, end = int(self.edges[day]), int(self.edges[day + 1])
        found: list[int] = (
            np.flatnonzero(self.energy[row, first:end] >= at_least) + first
        ).tolist()
        return found

    # --- stuck ---

    def stuck(self) -> Iterator[Finding]:
        """Yield runs of one value over a day and more, of zeros over three, unlike the past."""
        for row in np.flatnonzero(self.steady()).tolist():
            yield from self._stuck_runs(row, STUCK_HOURS * self._per_hour)

    def steady(self) -> Mask:
        """Say which channels might have such a run.

        Values are looked at in stretches of half its length: a run holds one of them whole.
        """
        used = self._stretches(STUCK_HOURS * self._per_hour // 2)
        unused = self._stretches(DEAD_HOURS * self._per_hour // 2)
        busy: Mask = np.asarray(((used[0] == used[1]) & (used[0] > 0)).any(axis=1))
        idle: Mask = np.asarray(((unused[0] == unused[1]) & (unused[0] == 0)).any(axis=1))
        return np.logical_or(busy, idle)

    def _stretches(self, length: int) -> tuple[Int32, Int32]:
        """Return the lowest and the highest value of successive stretches."""
        count = self.energy.shape[1] // length
        shaped = self.energy[:, : count * length].reshape(len(self.energy), count, length)
        return shaped.min(axis=2), shaped.max(axis=2)

    def _stuck_runs(self, row: int, least: int) -> Iterator[Finding]:
        dead = least * DEAD_HOURS // STUCK_HOURS
        values = self.energy[row]
        starts = np.flatnonzero(np.diff(values, prepend=values[0] - 1))
        lengths = np.diff(starts, append=len(values))
        kept = values[starts]
        fresh = np.repeat(self.window.fresh[row], np.diff(self.edges))
        history = HISTORY_DAYS * 24 * 60 // self.window.interval_min
        for at in np.flatnonzero(
            ((kept > 0) & (lengths >= least)) | ((kept == 0) & (lengths >= dead))
        ):
            first, count = int(starts[at]), int(lengths[at])
            if not fresh[first : first + count].any():
                continue
            past = (starts < first) & (starts + lengths > first - history)
            alike = past & ((kept > 0) if kept[at] else (kept == 0))
            longest = int(lengths[alike].max(initial=0))
            detail: dict[str, int | str] = {
                "variant": "interval",
                "value": self._text(row, int(kept[at])),
                "unit": self._unit(row),
                "count": count,
            }
            if kept[at]:
                usual = count < STUCK_TIMES * longest
            else:
                before = values[max(0, first - history) : first]
                days_known = int((before >= 0).sum()) * self.window.interval_min // (24 * 60)
                usual = longest >= least or days_known < KNOWN_DAYS_MIN
                used_wh = int(before[before > 0].sum(dtype=np.int64))
                detail |= {
                    "variant": "zero",
                    "days": count // least,
                    "usual": self._text(row, used_wh // max(days_known, 1)),
                }
            if not usual:
                yield self._finding(FindingKind.STUCK, row, first, first + count - 1, detail)

    def _text(self, row: int, value: int) -> str:
        """Return a value at rest in the unit that people read."""
        _, decimals = UNITS.get(self.window.channels[row].channel_code, UNITS[ACTIVE_TAKEN])
        return kwh_text(value * UWH_PER_WH // 10 ** (decimals - 3))

    def _unit(self, row: int) -> str:
        return UNITS.get(self.window.channels[row].channel_code, UNITS[ACTIVE_TAKEN])[0]

    # --- capacity ---

    def over_capacity(self) -> Iterator[Finding]:
        """Yield days on which the mean power of an interval was above the connected capacity."""
        minutes = self.window.interval_min
        if all(channel.capacity_w is None for channel in self.window.channels):
            return
        limit = np.array(
            [
                _NO_LIMIT
                if channel.capacity_w is None or channel.channel_code != ACTIVE_TAKEN
                else channel.capacity_w * minutes // 60
                for channel in self.window.channels
            ],
            np.int64,
        )
        hit = self.window.fresh & (self.highest > limit[:, None])
        for row, days in _runs_of_days(hit):
            above = [place for day in days for place in self._places(row, day, int(limit[row]) + 1)]
            most_wh = max(int(self.highest[row, day]) for day in days)
            capacity_w = self.window.channels[row].capacity_w
            assert capacity_w is not None
            yield self._finding(
                FindingKind.OVER_CAPACITY,
                row,
                above[0],
                above[-1],
                {
                    "power": kwh_text(most_wh * 60 * UWH_PER_WH // minutes),
                    "capacity": _kwh(capacity_w),
                    "count": len(above),
                },
            )

    # --- disconnected ---

    def while_disconnected(self) -> Iterator[Finding]:
        """Yield what was used in intervals that lie wholly within a disconnection."""
        if not self.window.disconnected:
            return
        step_s = self.window.interval_min * 60
        count = self.energy.shape[1]
        for row, channel in enumerate(self.window.channels):
            if channel.channel_code != ACTIVE_TAKEN:
                continue
            for off in self.window.disconnected.get(channel.point_id, ()):
                from_s = off.start.timestamp() - int(self.window.starts_s[0])
                until_s = off.end.timestamp() - int(self.window.starts_s[0])
                first = max(0, int(-(-from_s // step_s)))
                end = min(count, int(until_s // step_s))
                if first >= end:
                    continue
                fresh = np.repeat(self.window.fresh[row], np.diff(self.edges))[first:end]
                used = np.flatnonzero((self.energy[row, first:end] > 0) & fresh) + first
                if len(used):
                    total_wh = int(self.energy[row, used].sum(dtype=np.int64))
                    yield self._finding(
                        FindingKind.WHILE_DISCONNECTED,
                        row,
                        int(used[0]),
                        int(used[-1]),
                        {"value": _kwh(total_wh), "count": len(used)},
                    )

    # --- lengths ---

    def wrong_intervals(self) -> Iterator[Finding]:
        """Yield stretches of days that fill only every second, third ... place of their grid."""
        if self.measured.all():
            return
        known = self.window.quality != Quality.MISSING
        lengths = np.diff(self.edges)
        step = np.ones(self.window.fresh.shape, np.int64)
        for day in np.flatnonzero(self.window.fresh.any(axis=0)).tolist():
            first = int(self.edges[day])
            rows = np.flatnonzero(self.window.fresh[:, day])
            step[rows, day] = strides(known[rows, first : first + int(lengths[day])])
        for row, days in _runs_of_days(step > 1):
            for found, same in groupby(days, key=lambda day: int(step[row, day])):
                stretch = list(same)
                yield self._finding(
                    FindingKind.WRONG_INTERVAL,
                    row,
                    int(self.edges[stretch[0]]),
                    int(self.edges[stretch[-1] + 1]) - 1,
                    {
                        "found": found * self.window.interval_min,
                        "expected": self.window.interval_min,
                        "count": len(stretch),
                    },
                )

    def _finding(
        self,
        kind: FindingKind,
        row: int,
        first: int,
        last: int,
        detail: Mapping[str, int | str],
    ) -> Finding:
        channel = self.window.channels[row]
        return Finding(
            kind, channel.point_code, channel.channel_id, self.window.period(first, last), detail
        )


@dataclass(frozen=True, slots=True)
class StandingFinding:
    """A finding of a `SETTLED_KINDS` that is open or was accepted."""

    id: int
    state: FindingState
    finding: Finding


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of findings after their days were looked at again."""

    fresh: tuple[Finding, ...]
    """To be opened."""
    outdated: tuple[int, ...]
    """Ids of open ones that hold no longer."""
    grown: tuple[tuple[int, Finding], ...] = ()
    """Ids of open ones that go on, and what they say now."""


def settle(
    found: Iterable[Finding],
    standing: Iterable[StandingFinding],
    checked: Mapping[int, Sequence[Period]],
) -> Settlement:
    """Compare what was found with what stands: the same is not opened twice.

    What a person accepted stays accepted while it says the same; a run of equal values also while
    it goes on, and an open one then grows. An open finding within the time that was `checked` (by
    channel) and was not found again holds no longer; one that says something else is replaced.
    """
    by_channel: dict[int | None, list[StandingFinding]] = {}
    for one in standing:
        by_channel.setdefault(one.finding.channel_id, []).append(one)
    fresh = []
    confirmed: set[int] = set()
    replaced: set[int] = set()
    grown: dict[int, Finding] = {}
    for finding in found:
        alike = [
            one
            for one in by_channel.get(finding.channel_id, [])
            if one.finding.kind is finding.kind and one.finding.period.intersect(finding.period)
        ]
        same = {one.id for one in alike if _says(one.finding) == _says(finding)}
        run = [one for one in alike if finding.kind is FindingKind.STUCK]
        going_on = next((one for one in run if one.state is FindingState.OPEN), None)
        confirmed |= same
        if same:
            pass
        elif going_on is not None:
            grown[going_on.id] = _joined(going_on.finding, finding)
            confirmed.add(going_on.id)
        elif not any(one.state is FindingState.ACCEPTED for one in run):
            fresh.append(finding)
        replaced |= {one.id for one in alike} - confirmed
    outdated = [
        one.id
        for members in by_channel.values()
        for one in members
        if one.state is FindingState.OPEN
        and one.id not in confirmed
        and (one.id in replaced or _within(one.finding, checked))
    ]
    return Settlement(tuple(fresh), tuple(sorted(outdated)), tuple(grown.items()))


def _joined(before: Finding, now: Finding) -> Finding:
    """Return a run as it goes on: its start may lie before all that was looked at now."""
    told = before.detail.get("value"), before.detail.get("variant")
    if told != (now.detail.get("value"), now.detail.get("variant")):
        return now
    if before.period.start >= now.period.start:
        return now
    each = now.period.length / int(now.detail["count"])
    period = Period(before.period.start, now.period.end)
    count = period.length // each
    more: dict[str, int | str] = {"count": count}
    if "days" in now.detail:
        more["days"] = period.length // timedelta(days=1)
    return replace(now, period=period, detail={**now.detail, **more})


def _says(finding: Finding) -> tuple[Period, tuple[tuple[str, int | str], ...]]:
    return finding.period, tuple(sorted(finding.detail.items()))


def _within(finding: Finding, checked: Mapping[int, Sequence[Period]]) -> bool:
    if finding.channel_id is None:
        return False
    return any(period.intersect(finding.period) for period in checked.get(finding.channel_id, ()))


def _runs_of_days(hit: Mask) -> Iterator[tuple[int, list[int]]]:
    """Yield, for each row, the stretches of successive days that are marked."""
    rows, days = np.nonzero(hit)
    if not len(rows):
        return
    cuts = np.flatnonzero((np.diff(rows) != 0) | (np.diff(days) != 1)) + 1
    for part in np.split(np.arange(len(rows)), cuts):
        yield int(rows[part[0]]), days[part].tolist()


def _kwh(energy_wh: int) -> str:
    return kwh_text(energy_wh * UWH_PER_WH)
