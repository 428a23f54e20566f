"""Use case: look back over what is stored, and open, let grow or close what is to be said."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy.orm import Session

from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.period import Period
from metering.arrivals import Coverage, PointChannel
from metering.days import IntervalMatrix
from metering.events.kinds import DeviceEventKind
from metering.events.store import events_of_points
from metering.findings.finding import Finding, FindingState
from metering.findings.store import (
    change_finding,
    closed_at_once,
    findings_of_points,
    name_doers,
    sources_of_days,
)
from metering.lookback.checks import (
    PERIODIC_KINDS,
    CheckedMeter,
    MeasuredSums,
    Standing,
    Stretch,
    check_limits,
    clocks_set,
    drift_finding,
    reconcile,
    registers_against_intervals,
    shifted_profiles,
    stretches,
    swapped_zones,
)
from metering.lookback.store import CheckedPoint, checked_points
from metering.registry.places import ACTIVE_TAKEN, Commodity
from metering.service import find_gaps
from metering.store import add_findings, close_findings, load_matrix, load_registers
from metering.validation.service import check_days
from metering.validation.store import load_days

CHECK: Final = "check"
"""Who closed a finding that no longer holds."""
_ONE_DAY: Final = timedelta(days=1)
_MOST_OF_A_YEAR: Final = timedelta(days=380)
"""How far back registers speak for their habits."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of points did to periodic findings."""

    points: int
    opened: int = 0
    grown: int = 0
    closed: int = 0

    def __add__(self, other: "Checked") -> "Checked":
        return Checked(
            self.points + other.points,
            self.opened + other.opened,
            self.grown + other.grown,
            self.closed + other.closed,
        )


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """Points whose readings of a local month are looked at again."""

    point_ids: tuple[int, ...]
    month: Month


def check_points(session: Session, order: CheckOrder, clock: Clock) -> Checked:
    """Check the month's readings of points against each other and their past; twice is once.

    Interval values are judged as at their arrival, so that what became known later (a capacity, a
    disconnection) counts, and what was filled or revised in between closes its finding.
    """
    points = checked_points(session, order.point_ids)
    total = Checked(len(points))
    for zone_name in sorted({point.zone for point in points}):
        own = [point for point in points if point.zone == zone_name]
        zone = ZoneInfo(zone_name)
        month = order.month.period(zone)
        known_until = min(month.end, clock.now())
        if known_until <= month.start:
            continue
        days = [day for day in order.month.days if local_midnight(day, zone) < known_until]
        _check_intervals(session, own, days, clock)
        total += _check_periodic(session, own, days, zone, clock)
    return total


def _check_intervals(
    session: Session, points: Sequence[CheckedPoint], days: Sequence[date], clock: Clock
) -> None:
    channels = {channel.channel_id: channel for point in points for channel in point.channels}
    if not channels:
        return
    coverage = [Coverage(channel, days[0], days[-1]) for channel in channels.values()]
    find_gaps(session, coverage, clock, batch_id=None)
    by_length: dict[int, list[int]] = {}
    for channel in channels.values():
        by_length.setdefault(channel.interval_min, []).append(channel.channel_id)
    stored = [
        block
        for interval_min, ids in sorted(by_length.items())
        for block in load_days(session, ids, days[0], days[-1], interval_min)
    ]
    check_days(session, channels, stored, (), clock, batch_id=None)
    _name_deeds(session, channels, clock)


def _name_deeds(session: Session, channels: Mapping[int, PointChannel], clock: Clock) -> None:
    """Of what was closed just now, say what corrected it: whatever wrote its day since."""
    closed = closed_at_once(session, channels, CHECK, clock.now())
    day_of = {}
    for one in closed:
        channel = channels[_known(one.finding.channel_id)]
        day_of[one.id] = (
            channel.channel_id,
            local_date(one.finding.period.start, ZoneInfo(channel.zone)),
        )
    sources = sources_of_days(session, day_of.values())
    doers = {}
    for one in closed:
        source, recorded_at = sources.get(day_of[one.id], ("", one.recorded_at))
        if source and recorded_at > one.recorded_at:
            doers[one.id] = source
    name_doers(session, doers)


def _known(channel_id: int | None) -> int:
    assert channel_id is not None, "it was looked for by its channel"
    return channel_id


def _check_periodic(
    session: Session,
    points: Sequence[CheckedPoint],
    days: Sequence[date],
    zone: ZoneInfo,
    clock: Clock,
) -> Checked:
    checked = Period(local_midnight(days[0], zone), local_midnight(days[-1] + _ONE_DAY, zone))
    found = [
        *_register_findings(session, points, checked, zone),
        *_clock_findings(session, points, days, checked, zone),
    ]
    kept = findings_of_points(
        session,
        [point.point_code for point in points],
        PERIODIC_KINDS,
        (FindingState.OPEN, FindingState.ACCEPTED),
    )
    standing = [Standing(one.id, one.state, one.finding) for one in kept]
    change = reconcile(found, standing, checked)
    now = clock.now()
    add_findings(session, change.opened, now, batch_id=None)
    grown = sum(change_finding(session, id_, finding) for id_, finding in change.grown)
    closed = close_findings(
        session, change.closed, state=FindingState.CORRECTED, closed_by=CHECK, at=now
    )
    return Checked(0, len(change.opened), grown, closed)


# --- registers ---


def _register_findings(
    session: Session, points: Sequence[CheckedPoint], checked: Period, zone: ZoneInfo
) -> list[Finding]:
    """Return what registers say of stretches that end within the checked time."""
    meters = {
        meter.meter_id: meter
        for point in points
        for meter in point.meters
        if meter.commodity is Commodity.ELECTRICITY
    }
    readings = load_registers(
        session, meters, first=checked.start - _MOST_OF_A_YEAR, last=checked.end
    )
    by_meter: dict[int, list[Stretch]] = {}
    of_meter: dict[int, list[int]] = {}
    for place, reading in enumerate(readings):
        of_meter.setdefault(reading.meter_id, []).append(place)
    for meter_id, places in of_meter.items():
        by_meter[meter_id] = list(stretches(meters[meter_id], (readings[n] for n in places)))
    found = []
    ending: list[Stretch] = []
    for of_one in by_meter.values():
        found += swapped_zones(of_one, checked.start)
        ending += [one for one in of_one if checked.start < one.period.end <= checked.end]
    for group in _alike(points, ending):
        found += registers_against_intervals(group, _sums(session, points, group, zone))
    return found


def _alike(points: Sequence[CheckedPoint], found: Iterable[Stretch]) -> list[list[Stretch]]:
    """Group stretches by the interval length of their series, so that one matrix serves many."""
    length_of = {
        channel.channel_id: channel.interval_min for point in points for channel in point.channels
    }
    limit = timedelta(days=check_limits().longest_days)
    groups: dict[int, list[Stretch]] = {}
    for one in found:
        channel_id = one.meter.channel_id
        if channel_id is not None and one.period.length <= limit:
            groups.setdefault(length_of[channel_id], []).append(one)
    return list(groups.values())


def _sums(
    session: Session, points: Sequence[CheckedPoint], group: Sequence[Stretch], zone: ZoneInfo
) -> MeasuredSums:
    length_of = {
        channel.channel_id: channel.interval_min for point in points for channel in point.channels
    }
    ids = sorted({_series(one.meter) for one in group})
    first = local_date(min(one.period.start for one in group), zone)
    last = local_date(max(one.period.end for one in group), zone)
    matrix = _matrix(session, ids, first, last, zone, length_of[ids[0]])
    return MeasuredSums.of(matrix.start, matrix.interval_min, ids, matrix.energy_wh, matrix.quality)


def _series(meter: CheckedMeter) -> int:
    assert meter.channel_id is not None, "stretches without a series are left out before"
    return meter.channel_id


def _matrix(
    session: Session,
    channel_ids: Sequence[int],
    first: date,
    last: date,
    zone: ZoneInfo,
    interval_min: int,
) -> IntervalMatrix:
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return load_matrix(session, channel_ids, days, zone, interval_min)


# --- clocks ---


def _clock_findings(
    session: Session,
    points: Sequence[CheckedPoint],
    days: Sequence[date],
    checked: Period,
    zone: ZoneInfo,
) -> list[Finding]:
    code_of = {point.point_id: point.point_code for point in points}
    events = events_of_points(session, code_of, [DeviceEventKind.CLOCK_SET], checked)
    found = [
        finding
        for point_id, of_point in sorted(events.items())
        for finding in clocks_set(of_point, code_of[point_id])
        if checked.start <= finding.period.start < checked.end
    ]
    by_length: dict[int, list[PointChannel]] = {}
    for point in points:
        for channel in point.channels:
            if channel.channel_code == ACTIVE_TAKEN:
                by_length.setdefault(channel.interval_min, []).append(channel)
    for interval_min, channels in by_length.items():
        found += _shifts(session, channels, days[-1], zone, interval_min)
    return found


def _shifts(
    session: Session,
    channels: Sequence[PointChannel],
    last: date,
    zone: ZoneInfo,
    interval_min: int,
) -> list[Finding]:
    """Return whose day is shifted in the last days up to `last`; plain days alone."""
    limits = check_limits()
    count = limits.recent_days + limits.history_days
    first = last - timedelta(days=count - 1)
    ids = [channel.channel_id for channel in channels]
    matrix = _matrix(session, ids, first, last, zone, interval_min)
    plain = 24 * 60 // interval_min
    edges = [
        (local_midnight(first + timedelta(days=n), zone) - matrix.start)
        // timedelta(minutes=interval_min)
        for n in range(count + 1)
    ]
    values = np.zeros((len(ids), count, plain), np.int64)
    known = np.zeros((len(ids), count), bool)
    for day in range(count):
        if edges[day + 1] - edges[day] == plain:
            place = slice(edges[day], edges[day + 1])
            values[:, day] = matrix.energy_wh[:, place]
            known[:, day] = (matrix.quality[:, place] != 0).all(axis=1)
    shifts = shifted_profiles(values, known, interval_min, limits)
    recent = last - timedelta(days=limits.recent_days - 1)
    period = Period(local_midnight(recent, zone), local_midnight(last + _ONE_DAY, zone))
    return [
        drift_finding(channels[row].point_code, ids[row], period, int(shifts[row]))
        for row in np.flatnonzero(shifts).tolist()
    ]


def recent_months(now: datetime, zone: ZoneInfo) -> tuple[Month, Month]:
    """Return the months that a nightly check looks at: the one before and the running one."""
    running = Month.of(local_date(now, zone))
    return running.plus(-1), running
