"""Use cases of places and readings: register, replace a meter, record registers."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from kilokassa.core.calendar import local_date
from kilokassa.core.clock import Clock
from kilokassa.core.period import Period
from kilokassa.core.scope import Scope
from kilokassa.core.series import Quality
from metering.arrivals import Coverage, Placement, PointChannel, RefusedRows, pack_rows
from metering.days import UWH_PER_WH
from metering.findings.finding import SETTLED_KINDS, DayGrid, Finding, FindingKind, FindingState
from metering.imports import RefusalReason
from metering.meters.service import replace_meter as replace_meter
from metering.parsers.csv_registers import RegisterLine
from metering.parsers.source import SeriesKey
from metering.register_arrivals import MeterDirectory, check_registers
from metering.registry.service import register_places as register_places
from metering.store import (
    add_chunk,
    add_findings,
    add_refusals,
    close_findings,
    day_qualities,
    day_spans,
    load_registers,
    meters_in_scope,
    not_accepted,
    standing_gaps,
    write_days,
    write_registers,
)
from metering.validation.service import check_days


@dataclass(frozen=True, slots=True)
class ChunkOrder:
    """A chunk of an import, its rows placed already."""

    batch_id: int
    number: int
    placement: Placement
    source: str
    retried: RefusedRows | None = None
    """A second try of these rows: a value that was stored in the meantime stays."""


def load_chunk(session: Session, order: ChunkOrder, clock: Clock) -> None:
    """Store the days of a chunk, what was refused and what was found, and that it was loaded."""
    now = clock.now()
    placement = order.placement
    written = write_days(
        session,
        placement.blocks,
        clock,
        source=order.source,
        fill_only=order.retried is not None,
    )
    refused_rows = [(part, len(part.rows)) for part in placement.refused]
    if order.retried is not None and written.refused:
        stayed = replace(order.retried, reason=RefusalReason.STORED_DIFFERENT)
        refused_rows.append((stayed, written.refused))
    add_refusals(
        session,
        order.batch_id,
        (
            (
                part.key,
                part.reason,
                count,
                int(part.rows["line"].min()),
                pack_rows(part),
            )
            for part, count in refused_rows
        ),
        now,
    )
    of_rows = [finding for finding in placement.findings if finding.kind not in SETTLED_KINDS]
    add_findings(session, not_accepted(session, of_rows), now, batch_id=order.batch_id)
    check_days(
        session,
        {part.channel.channel_id: part.channel for part in placement.coverage},
        written.touched,
        [finding for finding in placement.findings if finding.kind in SETTLED_KINDS],
        clock,
        batch_id=order.batch_id,
    )
    find_gaps(session, placement.coverage, clock, batch_id=order.batch_id)
    refused = sum(count for _, count in refused_rows)
    repeated = written.repeated + placement.duplicates
    energy_wh, energy_uwh = divmod(placement.energy_uwh, UWH_PER_WH)
    add_chunk(
        session,
        {
            "batch_id": order.batch_id,
            "number": order.number,
            "row_count": written.new + repeated + written.revised + refused,
            "new": written.new,
            "repeated": repeated,
            "revised": written.revised,
            "refused": refused,
            "energy_wh": energy_wh,
            "energy_uwh": energy_uwh,
            "recorded_at": now,
        },
    )


@dataclass(frozen=True, slots=True)
class RegistersOrder:
    """The lines of a file of register readings."""

    batch_id: int
    lines: tuple[RegisterLine, ...]
    unit_wh: int
    """Wh in the unit of the file; a heat meter's value is in Gcal whatever it is."""
    scope: Scope


FUTURE_SLACK: Final = timedelta(days=1)
"""So far ahead a reading may lie: clocks and zones differ."""


def load_registers_file(session: Session, order: RegistersOrder, clock: Clock) -> None:
    """Store register readings in the order they were taken; keep and count what is refused."""
    now = clock.now()
    meters = MeterDirectory(
        meters_in_scope(
            session,
            order.scope,
            codes={line.point_code for line in order.lines if line.point_code},
            serials={line.serial for line in order.lines if line.serial},
        )
    )
    placed, refused = meters.place(order.lines, order.unit_wh, latest=now + FUTURE_SLACK)
    standing = load_registers(session, {one.reading.meter_id for one in placed})
    checked = check_registers(placed, standing)
    refused += checked.refused
    written = write_registers(
        session, [one.reading for one in checked.accepted], clock, source=f"file:{order.batch_id}"
    )
    add_refusals(
        session,
        order.batch_id,
        (
            (
                SeriesKey(one.line.point_code or one.line.serial),
                one.reason,
                1,
                one.line.line,
                one.line.packed(),
            )
            for one in refused
        ),
        now,
    )
    add_findings(session, checked.findings, now, batch_id=order.batch_id)
    add_chunk(
        session,
        {
            "batch_id": order.batch_id,
            "number": 0,
            "row_count": len(order.lines),
            "new": written.new,
            "repeated": written.repeated,
            "revised": written.revised,
            "refused": len(refused),
            "energy_wh": sum(checked.counted),
            "energy_uwh": 0,
            "recorded_at": now,
        },
    )


_ONE_DAY: Final = timedelta(days=1)
NEIGHBOUR_DAYS: Final = timedelta(days=31)
"""How far from arriving days other stored days are looked for, to see a gap between them."""


def find_gaps(
    session: Session, coverage: Sequence[Coverage], clock: Clock, *, batch_id: int | None
) -> None:
    """Open a finding for each gap around the days that arrived; close those now filled.

    A gap that a person accepted stays so while it is the same.
    """
    standing = standing_gaps(session, [part.channel.channel_id for part in coverage])
    fresh: list[Finding] = []
    closed: list[int] = []
    for (zone, interval_min, first, last), channels in _alike(coverage, standing).items():
        looked = _Looked(session, ZoneInfo(zone), interval_min, first, last)
        for channel, gaps in looked.gaps(channels, standing.keys()):
            found = dict(gaps)
            known = standing.get(channel.channel_id, {})
            fresh += [
                Finding(
                    kind=FindingKind.GAP,
                    point_code=channel.point_code,
                    channel_id=channel.channel_id,
                    period=period,
                    detail={"count": count},
                )
                for period, count in found.items()
                if period not in known
            ]
            closed += [
                finding_id
                for period, finding_id in known.items()
                if finding_id is not None
                and period not in found
                and looked.period.intersect(period)
            ]
    now = clock.now()
    close_findings(
        session,
        closed,
        state=FindingState.CORRECTED,
        closed_by="check" if batch_id is None else f"import:{batch_id}",
        at=now,
    )
    add_findings(session, fresh, now, batch_id=batch_id)


_Span = tuple[date, date, bool]
"""First and last stored day of a channel, and whether nothing is missing between."""


class _Looked:
    """Looks for gaps on days of channels, as far back as it has to."""

    def __init__(
        self, session: Session, zone: ZoneInfo, interval_min: int, first: date, last: date
    ) -> None:
        self._session = session
        self._far = DayGrid(zone, interval_min, first, last)
        # Where no gap stands, `first` is `NEIGHBOUR_DAYS` before the days that arrived.
        self._before = first + NEIGHBOUR_DAYS - _ONE_DAY
        self._near = DayGrid(zone, interval_min, max(first, self._before), last)
        self.period = self._far.period

    def gaps(
        self, channels: Sequence[PointChannel], with_gaps: Collection[int]
    ) -> Iterator[tuple[PointChannel, list[tuple[Period, int]]]]:
        """Yield the channels that may have gaps, each with those it has.

        A channel whose last interval before the arriving days is known has no new gap further back:
        so but a day of it is read, and where even that and all after are whole, nothing.
        """
        rest = {channel.channel_id for channel in channels}
        lone = rest - set(with_gaps)
        spans = self._spans(lone, self._near)
        rest -= {
            channel_id
            for channel_id, (opens, _, whole) in spans.items()
            if whole and opens == self._before
        }
        anchored = {
            channel_id: days
            for channel_id, days in self._qualities(spans, self._near).items()
            if any(day == self._before and quality[-1] != Quality.MISSING for day, quality in days)
        }
        unclear = self._spans(rest - anchored.keys(), self._far)
        far = self._qualities(unclear, self._far)
        for channel in channels:
            channel_id = channel.channel_id
            if channel_id in anchored:
                yield channel, self._near.gaps(anchored[channel_id])
            elif channel_id in rest:
                yield channel, self._far.gaps(far.get(channel_id, []))

    def _spans(self, channel_ids: Iterable[int], grid: DayGrid) -> Mapping[int, _Span]:
        return day_spans(self._session, channel_ids, grid.days[0], grid.days[-1])

    def _qualities(
        self, spans: Mapping[int, _Span], grid: DayGrid
    ) -> Mapping[int, Sequence[tuple[date, bytes]]]:
        """Return the qualities of the stored days of those channels that are not whole."""
        broken = [channel_id for channel_id, (_, _, whole) in spans.items() if not whole]
        return day_qualities(self._session, broken, grid.days[0], grid.days[-1])


def _alike(
    coverage: Sequence[Coverage], standing: Mapping[int, Mapping[Period, int | None]]
) -> dict[tuple[str, int, date, date], list[PointChannel]]:
    """Group channels by zone, interval and the days to look at: so few queries serve many."""
    groups: dict[tuple[str, int, date, date], list[PointChannel]] = {}
    for part in coverage:
        channel = part.channel
        zone = ZoneInfo(channel.zone)
        first, last = part.first - NEIGHBOUR_DAYS, part.last + NEIGHBOUR_DAYS
        for period in standing.get(channel.channel_id, {}):
            opens, closes = local_date(period.start, zone), local_date(period.end, zone)
            if opens <= last and closes >= first:
                first, last = min(first, opens - timedelta(days=1)), max(last, closes)
        groups.setdefault((channel.zone, channel.interval_min, first, last), []).append(channel)
    return groups
