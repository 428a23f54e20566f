"""Queries behind the checks of stored values: days with their past, and findings that stand."""

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import cast

import numpy as np
from sqlalchemy import String, Table, or_, select, type_coerce
from sqlalchemy.orm import Session

from kilokassa.core.period import Period
from kilokassa.db.slices import among, in_slices
from metering.days import DayBlock
from metering.events.kinds import DeviceEventKind
from metering.findings.finding import SETTLED_KINDS, Finding, FindingState
from metering.models import DeviceEventRow, FindingRow, IntervalDayRow
from metering.validation.arriving import StandingFinding

_days = cast(Table, IntervalDayRow.__table__)
_events = cast(Table, DeviceEventRow.__table__)
_findings = cast(Table, FindingRow.__table__)


def load_days(
    session: Session,
    channel_ids: Sequence[int],
    first: date,
    last: date,
    interval_min: int,
) -> list[DayBlock]:
    """Return the stored days of channels from `first` to `last`, in blocks of equal shape."""
    blocks = []
    for part in in_slices(sorted(channel_ids)):
        # SQLite gives days as text, which need not be turned into dates one by one.
        query = select(
            _days.c.channel_id, type_coerce(_days.c.day, String), _days.c.energy_wh, _days.c.quality
        ).where(
            among(_days.c.channel_id, part),
            _days.c.day.between(first, last),
            _days.c.interval_min == interval_min,
        )
        # The driver's own rows: blobs and plain values that need no turning.
        found = session.connection().execute(query).cursor.fetchall()
        if not found:
            continue
        of_channel, on_day, energies, qualities = zip(*found, strict=True)
        channels = np.array(of_channel, np.int64)
        days = np.array(on_day, "datetime64[D]")
        lengths = np.fromiter(map(len, qualities), np.int64, len(found))
        for length in np.unique(lengths).tolist():
            chosen = np.flatnonzero(lengths == length)
            picked = chosen.tolist()
            alike = len(picked) == len(found)
            energy = b"".join(energies if alike else [energies[row] for row in picked])
            quality = b"".join(qualities if alike else [qualities[row] for row in picked])
            blocks.append(
                DayBlock(
                    interval_min,
                    channels[chosen],
                    days[chosen],
                    np.frombuffer(energy, "<i4").reshape(-1, length),
                    np.frombuffer(quality, np.uint8).reshape(-1, length),
                )
            )
    return blocks


def disconnections(
    session: Session, point_ids: Iterable[int], during: Period
) -> dict[int, list[Period]]:
    """Return when the points were disconnected by their meters, cut to `during`."""
    found: dict[int, list[Period]] = {}
    for part in in_slices(sorted(set(point_ids))):
        query = select(_events.c.point_id, _events.c.starts_at, _events.c.ends_at).where(
            among(_events.c.point_id, part),
            _events.c.kind == DeviceEventKind.DISCONNECTED,
            _events.c.starts_at < during.end,
            or_(_events.c.ends_at.is_(None), _events.c.ends_at > during.start),
        )
        for point_id, starts_at, ends_at in session.execute(query):
            off = Period(max(starts_at, during.start), min(ends_at or during.end, during.end))
            found.setdefault(point_id, []).append(off)
    return found


def standing_findings(
    session: Session, channel_ids: Iterable[int], ending_after: datetime
) -> list[StandingFinding]:
    """Return open and accepted findings about stored values of channels."""
    found = []
    for part in in_slices(sorted(set(channel_ids))):
        query = select(_findings).where(
            among(_findings.c.channel_id, part),
            _findings.c.kind.in_(sorted(SETTLED_KINDS)),
            _findings.c.state.in_([FindingState.OPEN, FindingState.ACCEPTED]),
            _findings.c.ends_at > ending_after,
        )
        found += [
            StandingFinding(
                row.id,
                row.state,
                Finding(
                    row.kind,
                    row.point_code,
                    row.channel_id,
                    Period(row.starts_at, row.ends_at),
                    json.loads(row.detail),
                ),
            )
            for row in session.execute(query)
        ]
    return found
