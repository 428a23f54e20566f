"""Use case: look at the days that an import changed, and open or close what is to be said."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy.orm import Session

from kilokassa.core.calendar import local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.period import Period
from metering.arrivals import PointChannel
from metering.days import DayBlock, Int64, TouchedDays
from metering.findings.finding import Finding, FindingState
from metering.findings.store import change_finding
from metering.store import add_findings, close_findings
from metering.validation.arriving import (
    HISTORY_DAYS,
    SCREEN_DAYS,
    Window,
    beyond_limits,
    lay_out,
    may_be_unusual,
    settle,
    unusual,
)
from metering.validation.store import disconnections, load_days, standing_findings

_ONE_DAY: Final = timedelta(days=1)
CELLS_A_WINDOW: Final = 4_000_000
"""Intervals looked at together: 20 MiB."""
GROUPS_MAX: Final = 64
"""With more different stretches of days than this, stretches are widened until they are alike."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Touched days of a channel with less than `HISTORY_DAYS` between them."""

    channel: PointChannel
    first: int
    last: int
    days: Int64
    """Days since 1970, as are the others."""


def check_days(
    session: Session,
    channels: Mapping[int, PointChannel],
    touched: Sequence[DayBlock | TouchedDays],
    also_found: Iterable[Finding],
    clock: Clock,
    *,
    batch_id: int | None,
) -> None:
    """Check touched days against their past; open what is found, close what holds no longer.

    Days that come with their values are taken as they are, the others are read. `also_found` are
    findings of `SETTLED_KINDS` that came up before the days were stored.
    """
    found = list(also_found)
    checked: dict[int, list[Period]] = {}
    for finding in found:
        assert finding.channel_id is not None
        checked.setdefault(finding.channel_id, [])
    for group in _groups(list(_stretches(channels, touched))):
        found += _check_group(session, group, touched, checked)
    if not checked:
        return
    earliest = min(
        (period.start for periods in checked.values() for period in periods),
        default=min((finding.period.start for finding in found), default=None),
    )
    assert earliest is not None
    reach = earliest - timedelta(days=HISTORY_DAYS)
    settlement = settle(found, standing_findings(session, checked, reach), checked)
    now = clock.now()
    close_findings(
        session,
        settlement.outdated,
        state=FindingState.CORRECTED,
        closed_by="check" if batch_id is None else f"import:{batch_id}",
        at=now,
    )
    for finding_id, finding in settlement.grown:
        change_finding(session, finding_id, finding)
    add_findings(session, settlement.fresh, now, batch_id=batch_id)


def _check_group(
    session: Session,
    group: Sequence[_Stretch],
    touched: Sequence[DayBlock | TouchedDays],
    checked: dict[int, list[Period]],
) -> list[Finding]:
    """Check stretches of one zone, interval length, first and last day."""
    zone = ZoneInfo(group[0].channel.zone)
    periods: dict[bytes, list[Period]] = {}
    for stretch in group:
        days = stretch.days.tobytes()
        if days not in periods:
            periods[days] = _periods(stretch.days, zone)
        checked.setdefault(stretch.channel.channel_id, []).extend(periods[days])
    interval_min = group[0].channel.interval_min
    values = [
        block
        for block in touched
        if isinstance(block, DayBlock) and block.interval_min == interval_min
    ]
    read_all = any(isinstance(block, TouchedDays) for block in touched)
    days_count = HISTORY_DAYS + group[0].last - group[0].first + 1
    at_once = max(1, CELLS_A_WINDOW // (days_count * 24 * 60 // interval_min))
    found = []
    for start in range(0, len(group), at_once):
        part = group[start : start + at_once]
        short = _window(session, part, SCREEN_DAYS, values, read_all=read_all)
        found += beyond_limits(short)
        chosen = np.flatnonzero(may_be_unusual(short)).tolist()
        if chosen:
            some = [part[row] for row in chosen]
            found += unusual(_window(session, some, HISTORY_DAYS, values, read_all=read_all))
    return found


def _window(
    session: Session,
    part: Sequence[_Stretch],
    days_before: int,
    values: Sequence[DayBlock],
    *,
    read_all: bool,
) -> Window:
    """Return the days of stretches with so many days before; read is what `values` do not hold."""
    channels = [stretch.channel for stretch in part]
    zone = ZoneInfo(channels[0].zone)
    first = _date(part[0].first) - timedelta(days=days_before)
    last = _date(part[0].last)
    fresh = np.zeros((len(part), (last - first).days + 1), bool)
    for row, stretch in enumerate(part):
        fresh[row, stretch.days - stretch.first + days_before] = True
    read_all = read_all or not fresh[:, days_before:].all()
    stored = load_days(
        session,
        [channel.channel_id for channel in channels],
        first,
        last if read_all else _date(part[0].first - 1),
        channels[0].interval_min,
    )
    whole = Period(local_midnight(first, zone), local_midnight(last + _ONE_DAY, zone))
    off = disconnections(session, {channel.point_id for channel in channels}, whole)
    return lay_out(channels, first, last, [*stored, *values], fresh, off)


def _stretches(
    channels: Mapping[int, PointChannel], touched: Sequence[DayBlock | TouchedDays]
) -> Iterator[_Stretch]:
    """Yield the touched days of each channel, cut where many days lie between two of them."""
    if not touched:
        return
    channel_ids = np.concatenate([part.channel_ids for part in touched])
    days = np.concatenate([part.days for part in touched]).astype(np.int64)
    order = np.lexsort((days, channel_ids))
    channel_ids, days = channel_ids[order], days[order]
    cut = (np.diff(channel_ids) != 0) | (np.diff(days) > HISTORY_DAYS)
    edges = [0, *(np.flatnonzero(cut) + 1).tolist(), len(days)]
    for start, end in pairwise(edges):
        own = days[start:end]
        if len(own):
            channel = channels[int(channel_ids[start])]
            yield _Stretch(channel, int(own[0]), int(own[-1]), own)


def _groups(stretches: Sequence[_Stretch]) -> Iterator[list[_Stretch]]:
    """Yield stretches with the same zone, interval length and days, so that few queries do."""
    groups = _alike(stretches, 1)
    if len(groups) > GROUPS_MAX:
        groups = _alike(stretches, HISTORY_DAYS)
    yield from groups.values()


def _alike(
    stretches: Sequence[_Stretch], rounded_to: int
) -> dict[tuple[str, int, int, int], list[_Stretch]]:
    groups: dict[tuple[str, int, int, int], list[_Stretch]] = {}
    for one in stretches:
        first = one.first // rounded_to * rounded_to
        last = -(-(one.last + 1) // rounded_to) * rounded_to - 1
        same = first == one.first and last == one.last
        wide = one if same else _Stretch(one.channel, first, last, one.days)
        key = (one.channel.zone, one.channel.interval_min, first, last)
        groups.setdefault(key, []).append(wide)
    return groups


def _periods(days: Int64, zone: ZoneInfo) -> list[Period]:
    """Return the time of successive days, joined where they touch."""
    cuts = np.flatnonzero(np.diff(days) != 1) + 1
    return [
        Period(
            local_midnight(_date(int(part[0])), zone),
            local_midnight(_date(int(part[-1])) + _ONE_DAY, zone),
        )
        for part in np.split(days, cuts)
    ]


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * 24 * 60 * 60, UTC).date()
