"""Periodic checks of what is stored: registers against intervals, swapped zones, clocks.

What arrives is checked as it arrives (`metering.validation.arriving`). These checks look back over
stretches that only later readings close: they run over a population, again and again, and say the
same. The limits are data (`rules/checks.yaml`), our own choice, each with its reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from statistics import median_low
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import yaml

from kilokassa.core.period import Period
from kilokassa.core.quantity import kwh
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.days import Int64
from metering.events.kinds import DeviceEvent, DeviceEventKind
from metering.findings.finding import Finding, FindingKind, FindingState
from metering.registers import RegisterReading, counted, modulus
from metering.registry.places import Commodity

PPM: Final = 1_000_000
PERIODIC_KINDS: Final = frozenset(
    {FindingKind.REGISTER_DIFFERS, FindingKind.ZONES_SWAPPED, FindingKind.CLOCK_DRIFT}
)
"""Kinds that only these checks open, so only they may close them."""

LASTING_KINDS: Final = frozenset({FindingKind.CLOCK_DRIFT})
"""Kinds that a person closes: a clock that stays wrong becomes the past it is compared with."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """The limits of `rules/checks.yaml`."""

    least_units: int
    part_ppm: int
    longest_days: int
    history_min: int
    history_max: int
    fits_part: int
    apart_percent: int
    shortest_days: int
    set_limit_s: int
    recent_days: int
    history_days: int
    known_days_min: int
    shift_max_min: int
    alike_percent: int
    better_percent: int


@cache
def check_limits() -> CheckLimits:
    """Return the packaged limits."""
    text = (files("metering") / "rules" / "checks.yaml").read_text(encoding="utf-8")
    groups = yaml.safe_load(text)
    return CheckLimits(
        **{name: value for group in groups.values() for name, value in group.items()}
    )


@dataclass(frozen=True, slots=True)
class CheckedMeter:
    """A meter whose registers are checked, and what its channel makes of what they count."""

    meter_id: int
    serial: str
    point_code: str
    commodity: Commodity
    digits: int
    multiplier: int = 1
    loss_ppm: int = 0
    channel_id: int | None = None
    """The series of what the point takes; None for one that is read by hand alone."""

    def taken(self, counted_wh: int) -> int:
        """Return what the point took where its registers counted so much."""
        return counted_wh * self.multiplier * (PPM + self.loss_ppm) // PPM


@dataclass(frozen=True, slots=True)
class Stretch:
    """What every register of a meter counted between two instants at which all were read."""

    meter: CheckedMeter
    period: Period
    before: Mapping[Zone, int]
    after: Mapping[Zone, int]
    counted: Mapping[Zone, int]

    @property
    def taken(self) -> int:
        """What the point took, all zones together."""
        return self.meter.taken(sum(self.counted.values()))


def stretches(meter: CheckedMeter, readings: Iterable[RegisterReading]) -> tuple[Stretch, ...]:
    """Return the stretches of a meter between instants at which every register of it was read.

    An estimate is nobody's reading and ends no stretch. A register that ran backwards gives none.
    """
    by_instant: dict[datetime, dict[Zone, int]] = {}
    for reading in readings:
        if reading.quality is not Quality.ESTIMATED:
            by_instant.setdefault(reading.taken_at, {})[reading.zone] = reading.value
    zones = {zone for values in by_instant.values() for zone in values}
    whole = sorted((at, values) for at, values in by_instant.items() if set(values) == zones)
    top = modulus(meter.digits, meter.commodity)
    found = []
    for (start, before), (end, after) in pairwise(whole):
        used = {zone: counted(before[zone], after[zone], top) for zone in zones}
        known = {zone: pair[0] for zone, pair in used.items() if pair is not None}
        if len(known) == len(zones):
            found.append(Stretch(meter, Period(start, end), before, after, known))
    return tuple(found)


# --- registers against intervals ---


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredSums:
    """What channels measured, ready to be summed between any two instants.

    `running_wh` has the shape (channels, intervals + 1) and holds sums from the start; `unknown`
    counts in the same way the intervals that nobody measured.
    """

    start: datetime
    interval_min: int
    row_of: Mapping[int, int]
    running_wh: Int64
    unknown: Int64

    @classmethod
    def of(
        cls,
        start: datetime,
        interval_min: int,
        channel_ids: Sequence[int],
        energy_wh: npt.NDArray[np.integer[Any]],
        quality: npt.NDArray[np.uint8],
    ) -> "MeasuredSums":
        """Return the sums of a matrix, one row a channel."""
        lacking = (quality == Quality.MISSING) | (quality == Quality.ESTIMATED)
        return cls(
            start,
            interval_min,
            {channel_id: row for row, channel_id in enumerate(channel_ids)},
            np.pad(np.cumsum(energy_wh, axis=1, dtype=np.int64), ((0, 0), (1, 0))),
            np.pad(np.cumsum(lacking, axis=1, dtype=np.int64), ((0, 0), (1, 0))),
        )

    def between(self, channel_id: int, period: Period) -> tuple[int, int] | None:
        """Return the least and most that was measured in a period; None where it is not all known.

        An interval that the period cuts may lie in it wholly or not at all.
        """
        row = self.row_of.get(channel_id)
        if row is None:
            return None
        step = timedelta(minutes=self.interval_min)
        first, rest = divmod(period.start - self.start, step)
        last, over = divmod(period.end - self.start, step)
        outer_last = last + bool(over)
        if first < 0 or outer_last >= self.running_wh.shape[1]:
            return None
        if self.unknown[row, outer_last] - self.unknown[row, first]:
            return None
        inner_first = min(first + bool(rest), last)
        inner = self.running_wh[row, last] - self.running_wh[row, inner_first]
        outer = self.running_wh[row, outer_last] - self.running_wh[row, first]
        return int(inner), int(outer)


def registers_against_intervals(
    found: Iterable[Stretch], sums: MeasuredSums, limits: CheckLimits | None = None
) -> list[Finding]:
    """Return the stretches whose registers counted otherwise than their intervals sum to."""
    limits = limits or check_limits()
    differing = []
    for stretch in found:
        meter = stretch.meter
        if meter.channel_id is None or stretch.period.length > timedelta(days=limits.longest_days):
            continue
        measured = sums.between(meter.channel_id, stretch.period)
        if measured is None:
            continue
        unit = modulus(0, meter.commodity)
        tolerance = max(
            limits.least_units * unit * meter.multiplier * len(stretch.counted),
            stretch.taken * limits.part_ppm // PPM,
        )
        least, most = measured
        if least - tolerance <= stretch.taken <= most + tolerance:
            continue
        nearest = least if stretch.taken < least else most
        differing.append(
            Finding(
                FindingKind.REGISTER_DIFFERS,
                meter.point_code,
                meter.channel_id,
                stretch.period,
                {
                    "meter": meter.serial,
                    "register": _plain(stretch.taken),
                    "intervals": _plain(nearest),
                },
            )
        )
    return differing


# --- zones that look swapped ---


def swapped_zones(
    found: Sequence[Stretch], since: datetime, limits: CheckLimits | None = None
) -> list[Finding]:
    """Return the stretches of one two-zone meter, ending after `since`, that look swapped.

    Either the registers themselves count for each other (the meter was set up wrongly): then what
    they counted fits, exchanged, what each counted a day before. Or two readings were written down
    for each other: then the exchanged totals do. What fits as it is, is never suspected.
    """
    limits = limits or check_limits()
    if not found or len(found[0].counted) != 2:
        return []
    one, other = sorted(found[0].counted, key=str)
    suspected: list[Finding] = []
    usual: list[tuple[int, int]] = []
    for stretch in found:
        days = stretch.period.length // timedelta(days=1)
        if days < limits.shortest_days:
            continue
        variant = None
        if len(usual) >= limits.history_min:
            rates = tuple(
                median_low([rate[place] for rate in usual[-limits.history_max :]])
                for place in (0, 1)
            )
            variant = _swap(stretch, one, other, (rates[0], rates[1]), days, limits)
        if variant is None:
            usual.append((stretch.counted[one] // days, stretch.counted[other] // days))
        elif stretch.period.end > since:
            suspected.append(
                Finding(
                    FindingKind.ZONES_SWAPPED,
                    stretch.meter.point_code,
                    stretch.meter.channel_id,
                    stretch.period,
                    {
                        "meter": stretch.meter.serial,
                        "zone": str(one),
                        "other": str(other),
                        **({"variant": variant} if variant else {}),
                    },
                )
            )
    return suspected


def _swap(
    stretch: Stretch,
    one: Zone,
    other: Zone,
    usual: tuple[int, int],
    days: int,
    limits: CheckLimits,
) -> str | None:
    """Return how a stretch looks swapped: "" the registers, "readings" the readings; else None."""

    def fits(counted_wh: int, rate: int) -> bool:
        expected = rate * days
        return expected <= counted_wh * limits.fits_part and counted_wh <= (
            expected * limits.fits_part
        )

    low, high = sorted(usual)
    if low <= 0 or high * 100 < low * limits.apart_percent:
        return None
    own = stretch.counted[one], stretch.counted[other]
    if fits(own[0], usual[0]) and fits(own[1], usual[1]):
        return None
    written = (
        stretch.after[other] - stretch.before[one],
        stretch.after[one] - stretch.before[other],
    )
    fitting = [
        (_distance(pair, usual, days), variant)
        for variant, pair in (("", (own[1], own[0])), ("readings", written))
        if min(pair) >= 0 and fits(pair[0], usual[0]) and fits(pair[1], usual[1])
    ]
    return min(fitting)[1] if fitting else None


def _distance(counted_wh: tuple[int, int], usual: tuple[int, int], days: int) -> int:
    return sum(abs(found - rate * days) for found, rate in zip(counted_wh, usual, strict=True))


# --- clocks ---


def clocks_set(
    events: Iterable[DeviceEvent], point_code: str, limits: CheckLimits | None = None
) -> list[Finding]:
    """Return a finding for each time a meter's clock was far off when it was set."""
    limits = limits or check_limits()
    return [
        Finding(
            FindingKind.CLOCK_DRIFT,
            point_code,
            None,
            Period(event.starts_at, event.starts_at),
            {"seconds": event.value},
        )
        for event in events
        if event.kind is DeviceEventKind.CLOCK_SET
        and event.value is not None
        and abs(event.value) >= limits.set_limit_s
    ]


def shifted_profiles(
    days_wh: npt.NDArray[np.integer[Any]],
    known: npt.NDArray[np.bool_],
    interval_min: int,
    limits: CheckLimits | None = None,
) -> Int64:
    """Return by how many minutes each channel's day is plainly shifted against its past, else 0.

    `days_wh` has the shape (channels, days, intervals of a plain day), the last `recent_days` of
    which are compared with those before; `known` says which days are whole, (channels, days). A
    shift is plain where the mean of the recent days looks like the past once shifted, much less so
    unshifted, and each half of them says the same. Positive: the clock runs late.
    """
    limits = limits or check_limits()
    recent = days_wh.shape[1] - limits.recent_days
    if recent < limits.known_days_min:
        return np.zeros(len(days_wh), np.int64)
    past = _mean(days_wh[:, :recent], known[:, :recent])
    halves = recent + limits.recent_days // 2
    shifts = np.arange(
        -limits.shift_max_min // interval_min, limits.shift_max_min // interval_min + 1
    )
    whole = _alike(past, _mean(days_wh[:, recent:], known[:, recent:]), shifts)
    first = _alike(past, _mean(days_wh[:, recent:halves], known[:, recent:halves]), shifts)
    second = _alike(past, _mean(days_wh[:, halves:], known[:, halves:]), shifts)
    best = whole.argmax(axis=1)
    unshifted = whole[:, int(np.flatnonzero(shifts == 0)[0])]
    top = whole.max(axis=1)
    enough = (known[:, :recent].sum(axis=1) >= limits.known_days_min) & (
        known[:, recent:].sum(axis=1) >= limits.known_days_min
    )
    plain = (
        enough
        & (top * 100 >= limits.alike_percent)
        & ((top - unshifted) * 100 >= limits.better_percent)
        & (first.argmax(axis=1) == best)
        & (second.argmax(axis=1) == best)
    )
    found: Int64 = np.where(plain, shifts[best] * interval_min, 0).astype(np.int64)
    return found


def _mean(days_wh: npt.NDArray[np.integer[Any]], known: npt.NDArray[np.bool_]) -> Floats:
    """Return the mean day of each channel: a shape to compare, nothing that is billed."""
    count = np.maximum(known.sum(axis=1), 1)
    mean: Floats = (days_wh * known[:, :, None]).sum(axis=1, dtype=np.float64) / count[:, None]
    return mean


def _alike(past: Floats, later: Floats, shifts: npt.NDArray[np.integer[Any]]) -> Floats:
    """Return how much `later`, moved back by each shift, correlates with `past`, by channel."""
    a = past - past.mean(axis=1, keepdims=True)
    b = later - later.mean(axis=1, keepdims=True)
    size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    size = np.where(size > 0, size, np.inf)
    return np.stack([(a * np.roll(b, -shift, axis=1)).sum(axis=1) / size for shift in shifts], 1)


def drift_finding(point_code: str, channel_id: int, period: Period, minutes: int) -> Finding:
    """Return the finding of a shifted profile."""
    return Finding(
        FindingKind.CLOCK_DRIFT,
        point_code,
        channel_id,
        period,
        {"variant": "profile", "minutes": minutes},
    )


# --- what becomes of findings ---


@dataclass(frozen=True, slots=True)
class Standing:
    """A finding that is kept, open or accepted."""

    id: int
    state: FindingState
    finding: Finding


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What becomes of the kept findings: opened, grown, closed."""

    opened: tuple[Finding, ...]
    grown: tuple[tuple[int, Finding], ...]
    closed: tuple[int, ...]


def reconcile(
    found: Iterable[Finding], standing: Iterable[Standing], checked: Period
) -> Reconciled:
    """Compare what a check found with what stands; each thing is said once.

    Of the same point, kind and variant, a finding whose time meets that of an open one makes it
    grow; what lies within an accepted one stays accepted, and of what goes beyond it only the rest
    is opened. An open one that ends within the checked time and was not found again is closed.
    """
    groups: dict[tuple[str, FindingKind, object], list[Standing]] = {}
    for one in standing:
        groups.setdefault(_alike_key(one.finding), []).append(one)
    opened: list[Finding] = []
    grown: dict[int, Finding] = {}
    seen: set[int] = set()
    for finding in found:
        beside = [
            one
            for one in groups.get(_alike_key(finding), [])
            if _meets(one.finding.period, finding.period)
        ]
        accepted = [one for one in beside if one.state is FindingState.ACCEPTED]
        waiting = [one for one in beside if one.state is FindingState.OPEN]
        if waiting:
            one = waiting[0]
            seen |= {each.id for each in waiting}
            before = grown.get(one.id, one.finding)
            period = Period(
                min(before.period.start, finding.period.start),
                max(before.period.end, finding.period.end),
            )
            larger = replace(finding, period=period)
            if larger != one.finding:
                grown[one.id] = larger
            continue
        rest = _beyond(finding.period, [one.finding.period for one in accepted])
        if rest is not None:
            opened.append(replace(finding, period=rest))
    closed = [
        one.id
        for group in groups.values()
        for one in group
        if one.state is FindingState.OPEN
        and one.finding.kind not in LASTING_KINDS
        and one.id not in seen
        and checked.start < one.finding.period.end <= checked.end
    ]
    return Reconciled(tuple(opened), tuple(grown.items()), tuple(sorted(closed)))


def _alike_key(finding: Finding) -> tuple[str, FindingKind, object]:
    told = finding.detail.get("meter", ""), finding.detail.get("variant", "")
    return finding.point_code, finding.kind, told


def _meets(one: Period, other: Period) -> bool:
    if one.start == one.end or other.start == other.end:
        return one == other
    return one.intersect(other) is not None


def _beyond(period: Period, accepted: Sequence[Period]) -> Period | None:
    """Return what of a period comes after what was accepted; None where nothing does."""
    if not accepted:
        return period
    start = max([period.start, *(one.end for one in accepted)])
    return Period(start, period.end) if start < period.end else None


def _plain(energy_wh: int) -> str:
    """Return kilowatt-hours without trailing zeros."""
    return f"{kwh(energy_wh).normalize():f}"
