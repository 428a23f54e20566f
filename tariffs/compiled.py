"""A tariff over a stretch of time, compiled once to whole numbers that all meters share.

The grid is cut into stretches of one price; each interval belongs to a cell, which is a zone of a
stretch. Nothing here depends on anyone's energy, so one compilation serves every meter of a time
zone and interval length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import local_date, local_midnight
from kilokassa.core.ids import TariffVersionId
from kilokassa.core.period import Period
from kilokassa.core.text import mark
from kilokassa.core.zones import MINUTES_PER_DAY, Zone
from tariffs.exact_sums import Run, runs_of
from tariffs.lines import CannotRate, LineSpec, VersionInForce, first_day_key
from tariffs.plans import RangeBasis, RangeOrder, RangePeriod, SocialNorm, TariffVersion
from tariffs.zone_calendar import zone_calendar, zone_calendar_by_day

MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time under one set of rates of one version, within one billing period."""

    period: Period
    version: TariffVersion
    rates_scaled: tuple[tuple[int, ...], ...]
    first_day: date
    """First local day of the price, as the keys of lines name it."""
    starts_on: date
    """Local day on which the stretch begins: dated charges are looked up by it."""
    billing: int
    part: int
    """Number of the (billing period, version) that the stretch belongs to, from 0."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """The ranges of consumption of one billing period."""

    borders_wh: tuple[int, ...]
    norm: SocialNorm | None
    basis: RangeBasis
    order: RangeOrder
    period: RangePeriod

    @property
    def count(self) -> int:
        """How many ranges there are."""
        return len(self.borders_wh if self.norm is None else self.norm.bands_percent) + 1


@dataclass(frozen=True, slots=True)
class LadderGroup:
    """Billing periods whose ladder is the same, with their cells and the specs of their lines.

    Specs come range by range, in each the cells in their order.
    """

    ladder: Ladder
    billings: tuple[int, ...]
    cells: tuple[int, ...]
    specs: tuple[LineSpec, ...]
    factors: tuple[int, ...]
    """Scaled rate of each spec."""


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """What a rating needs of the versions in force, whoever used the energy."""

    zone: ZoneInfo
    billings: tuple[Period, ...]
    """The billing periods, cut to what is rated."""
    stretches: tuple[Stretch, ...]
    cells: tuple[tuple[int, Zone], ...]
    """For each cell its stretch and its zone, in order of time and of `Zone`."""
    groups: tuple[LadderGroup, ...]

    @property
    def plan_code(self) -> str:
        """The plan that refusals name."""
        return self.stretches[0].version.plan_code if self.stretches else "-"

    @property
    def versions(self) -> tuple[TariffVersion, ...]:
        """The versions that hold somewhere, each once."""
        found: list[TariffVersion] = []
        for stretch in self.stretches:
            if all(stretch.version is not known for known in found):
                found.append(stretch.version)
        return tuple(found)

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """The stretches of each part, which is one version within one billing period."""
        numbered = enumerate(self.stretches)
        return tuple(
            tuple(number for number, _ in members)
            for _, members in groupby(numbered, key=lambda pair: pair[1].part)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A compilation on a regular grid: which cell each interval belongs to."""

    compiled: Compiled
    start: datetime
    interval_min: int
    cell_index: npt.NDArray[np.int64]
    edges: tuple[int, ...]
    """First interval of each stretch, and the end of the last."""
    runs: tuple[tuple[Run, ...], ...]
    """For each stretch the runs of like days of its zones, counted from the stretch's start."""
    local_days: npt.NDArray[np.int64]
    """For each interval the ordinal of its local date."""
    day_edges: npt.NDArray[np.int64]
    """First interval of each local day of the grid."""


def compile_periods(
    versions: Sequence[VersionInForce], billings: Sequence[Period], zone: ZoneInfo
) -> Compiled:
    """Cut billing periods into stretches of one price; refuse a hole in what is in force."""
    return _periods(_Versions(tuple(versions)), tuple(billings), zone)


def compile_grid(
    versions: Sequence[VersionInForce],
    billings: Sequence[Period] | None,
    start: datetime,
    intervals: int,
    interval_min: int,
    zone: ZoneInfo,
) -> Grid:
    """Compile versions for a grid; without `billings` the grid is one billing period."""
    known = None if billings is None else tuple(billings)
    return _grid(_Versions(tuple(versions)), known, start, intervals, interval_min, zone)


class _Versions:
    """Versions in force as a key of a cache: the same objects, held so that no id is used again.

    Versions are frozen, so the same object compiles to the same; to compare their values would
    take longer than a rating does.
    """

    def __init__(self, in_force: tuple[VersionInForce, ...]) -> None:
        self.in_force = in_force
        self._key = tuple((p.start, p.end, id(version)) for p, version in in_force)
        self._hash = hash(self._key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Versions) and self._key == other._key


@lru_cache(maxsize=128)
def _periods(versions: _Versions, billings: tuple[Period, ...], zone: ZoneInfo) -> Compiled:
    stretches: list[Stretch] = []
    for number, billing in enumerate(billings):
        parts = stretches[-1].part + 1 if stretches else 0
        stretches.extend(_stretches(versions.in_force, billing, zone, number, parts))
    cells = tuple((number, name) for number, s in enumerate(stretches) for name in s.version.zones)
    return Compiled(zone, billings, tuple(stretches), cells, _groups(stretches, cells))


@lru_cache(maxsize=64)
def _grid(
    versions: _Versions,
    billings: tuple[Period, ...] | None,
    start: datetime,
    intervals: int,
    interval_min: int,
    zone: ZoneInfo,
) -> Grid:
    step = MINUTE * interval_min
    whole = Period(start, start + step * intervals)
    cut = (whole,) if billings is None else _cut_to(billings, whole, versions.in_force)
    compiled = _periods(versions, cut if intervals else (), zone)
    edges = [0]
    parts: list[npt.NDArray[np.int64]] = []
    runs = []
    offset = 0
    for stretch in compiled.stretches:
        count = _intervals(stretch, step)
        zone_index = _zone_index(stretch, zone, count, interval_min)
        zones = len(stretch.version.zones)
        runs.append(runs_of(zone_index, zones, max(1, MINUTES_PER_DAY // interval_min)))
        parts.append(zone_index.astype(np.int64) + offset)
        edges.append(edges[-1] + count)
        offset += zones
    local_days = local_days_of(zone, start, intervals, interval_min)
    return Grid(
        compiled,
        start,
        interval_min,
        _frozen(np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)),
        tuple(edges),
        tuple(runs),
        _frozen(local_days),
        _frozen(np.flatnonzero(np.diff(local_days, prepend=-1))),
    )


def _frozen(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    values.flags.writeable = False  # one compilation is shared by every caller
    return values


def _cut_to(
    billings: Sequence[Period], whole: Period, versions: Sequence[VersionInForce]
) -> tuple[Period, ...]:
    """Return the billing periods cut to the grid; refuse a hole or an overlap."""
    shared = [part for one in billings if (part := one.intersect(whole)) is not None]
    if len(shared) != len(billings) and whole.start < whole.end:
        raise ValueError("every billing period touches the readings")
    reached = whole.start
    for part in shared:
        if part.start != reached:
            break
        reached = part.end
    if reached != whole.end:
        raise CannotRate(
            plan=versions[0][1].plan_code if versions else "-",
            problem=mark("the billing periods do not follow on each other over the readings"),
        )
    return tuple(shared)


def _stretches(
    versions: Sequence[VersionInForce],
    billing: Period,
    zone: ZoneInfo,
    number: int,
    first_part: int,
) -> list[Stretch]:
    """Cut a billing period where another version or another price begins; refuse a hole."""
    found: list[Stretch] = []
    reached = billing.start
    part = first_part
    for in_force, version in versions:
        shared = billing.intersect(in_force)
        if shared is None:
            continue
        if shared.start != reached:
            break
        days = _changes(version, local_date(shared.start, zone), local_date(shared.end, zone))
        for piece in shared.split([local_midnight(day, zone) for day in days]):
            starts_on = local_date(piece.start, zone)
            dated = _rates_on(version, starts_on, zone, piece)
            first_day = max(max(day for day in days if day <= starts_on), version.valid_from)
            if any(stretch.first_day == first_day for stretch in found):
                first_day = starts_on  # another plan, whose price began on the same day
            found.append(Stretch(piece, version, dated, first_day, starts_on, number, part))
        reached = shared.end
        part += 1
    if reached != billing.end:
        raise CannotRate(
            plan=versions[0][1].plan_code if versions else "-",
            problem=mark("no version holds at %(instant)s"),
            instant=f"{reached.astimezone(zone):%Y-%m-%d %H:%M}",
        )
    return found


def _changes(version: TariffVersion, first: date, last: date) -> list[date]:
    """Return the local days up to `last` on which a price of energy changes.

    What a line of its own is charged for (standing charges, capacity) changes without cutting
    the energy; taxes and concessions do cut it, since their base has to lie on one side.
    """
    charges = version.charges
    dated = [item.valid_from for item in version.rates]
    dated.extend(item.valid_from for tax in charges.taxes for item in tax.shares)
    dated.extend(item.valid_from for one in charges.concessions for item in one.shares)
    dated.extend(
        item.valid_from
        for single in (charges.allowance, charges.export)
        if single is not None
        for item in single.amounts
    )
    if charges.hourly is not None:
        dated.extend(item.valid_from for c in charges.hourly.components for item in c.amounts)
    if version.seasons:
        years = range(first.year - 1, last.year + 1)
        dated.extend(date(year, s.month, s.day) for year in years for s in version.seasons)
    if version.prices_until is not None:
        dated.append(version.prices_until + timedelta(days=1))
    return [day for day in sorted(set(dated)) if day <= last]


def _rates_on(
    version: TariffVersion, day: date, zone: ZoneInfo, piece: Period
) -> tuple[tuple[int, ...], ...]:
    if version.prices_until is not None and day > version.prices_until:
        raise CannotRate(
            plan=version.plan_code,
            problem=mark("its prices end with %(day)s, and %(instant)s is later"),
            day=str(version.prices_until),
            instant=f"{piece.start.astimezone(zone):%Y-%m-%d %H:%M}",
        )
    return version.rates_on(day).rates_scaled


def _groups(
    stretches: Sequence[Stretch], cells: Sequence[tuple[int, Zone]]
) -> tuple[LadderGroup, ...]:
    """Gather billing periods by their ladder, in the order in which the ladders first hold."""
    ladders: dict[int, Ladder] = {}
    for stretch in stretches:
        ladder = _ladder(stretch.version)
        if ladders.setdefault(stretch.billing, ladder) != ladder:
            raise CannotRate(
                plan=stretch.version.plan_code, problem=mark("its ranges change within the month")
            )
    gathered: dict[Ladder, list[int]] = {}
    for billing, ladder in ladders.items():
        gathered.setdefault(ladder, []).append(billing)
    found = []
    for ladder, billings in gathered.items():
        members = tuple(
            number
            for number, (stretch, _) in enumerate(cells)
            if stretches[stretch].billing in set(billings)
            and stretches[stretch].version.charges.energy_by_zone
        )
        specs = tuple(
            _spec(stretches, cells[number], rung, ladder)
            for rung in range(ladder.count)
            for number in members
        )
        rates = tuple(spec.rate_scaled for spec in specs)
        found.append(LadderGroup(ladder, tuple(billings), members, specs, rates))
    return tuple(found)


def _ladder(version: TariffVersion) -> Ladder:
    return Ladder(
        version.range_borders_wh,
        version.norm,
        version.range_basis,
        version.range_order,
        version.range_period,
    )


def _spec(
    stretches: Sequence[Stretch], cell: tuple[int, Zone], rung: int, ladder: Ladder
) -> LineSpec:
    number, name = cell
    stretch = stretches[number]
    range_number = rung + 1 if ladder.count > 1 else 0
    return LineSpec(
        zone=name,
        range_number=range_number,
        rate_scaled=stretch.rates_scaled[rung][stretch.version.zones.index(name)],
        period=stretch.period,
        version_id=TariffVersionId(stretch.version.id),
        key=first_day_key(name, range_number, stretch.first_day),
        billing=stretch.billing,
        stretch=number,
    )


def _intervals(stretch: Stretch, step: timedelta) -> int:
    count, rest = divmod(stretch.period.length, step)
    if rest:
        raise CannotRate(
            plan=stretch.version.plan_code,
            problem=mark("its price changes inside an interval of %(minutes)s minutes"),
            minutes=step // MINUTE,
        )
    return count


def _zone_index(
    stretch: Stretch, zone: ZoneInfo, count: int, interval_min: int
) -> npt.NDArray[np.int8]:
    """Return the zone of each interval of a stretch, as an index into the version's zones."""
    version, start = stretch.version, stretch.period.start
    if not version.schedules:
        return zone_calendar(version.day_zones, zone, start, count, interval_min).zone_index
    return zone_calendar_by_day(
        version.zones_on, version.zones, zone, start, count, interval_min
    ).zone_index


def local_days_of(
    zone: ZoneInfo, start: datetime, intervals: int, interval_min: int
) -> npt.NDArray[np.int64]:
    """Return the ordinal of the local date on which each interval begins."""
    days = np.empty(intervals, dtype=np.int64)
    if not intervals:
        return days
    step = MINUTE * interval_min
    day = local_date(start, zone)
    place = 0
    while place < intervals:
        day += timedelta(days=1)
        # The first interval that begins on or after the next local midnight.
        following = -((start - local_midnight(day, zone)) // step)
        days[place:following] = (day - timedelta(days=1)).toordinal()
        place = max(place, min(following, intervals))
    return days
