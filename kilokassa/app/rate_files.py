"""Rating without a database: a tariff file and a file of readings in, charge lines out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import Month, intervals_in_day, local_midnight
from kilokassa.core.errors import Invalid
from kilokassa.core.period import Period
from kilokassa.core.series import EnergySeries, Quality
from kilokassa.core.text import mark
from metering.arrivals import PointChannel, RefusedRows, place
from metering.days import DayBlock
from metering.imports import REASON_TEXTS, RefusalReason, UnreadableFile
from metering.parsers.csv_long import LongCsvReader
from metering.parsers.detect import HEADER_MAX_BYTES, detect_layout
from metering.parsers.source import ARRIVAL, Arrivals, SeriesKey
from metering.registry.places import ACTIVE_TAKEN
from tariffs.documents import parse_tariff
from tariffs.facts import AccountFacts
from tariffs.plans import TariffVersion
from tariffs.prices.files import read_peak_hours, read_prices
from tariffs.prices.prices import StoredDay, joined
from tariffs.rating import ChargeLine, VersionInForce, rate_energy

INTERVALS_MIN: Final = (1, 5, 10, 15, 30, 60)
"""The lengths of intervals, in minutes, that a file of readings may have."""

Day = tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class RatedMonth:
    """What the readings of one point come to in one month, or in the part of it asked for."""

    point_code: str
    month: Month
    period: Period
    lines: tuple[ChargeLine, ...]
    missing: int
    """Intervals of the period without a value; they were priced as nothing."""

    @property
    def amount_minor(self) -> int:
        """The sum of the lines."""
        return sum(line.amount_minor for line in self.lines)


@dataclass(frozen=True, slots=True)
class Stated:
    """Facts that a tariff may ask for beside energy, as one says them for all points of a file."""

    area_dm2: int | None = None
    persons: int | None = None
    contracted_w: int | None = None
    entitled: frozenset[str] = frozenset()
    """Codes of the concessions that the account has a right to."""
    prices: Path | None = None
    """The prices of an hourly tariff (`tariffs.prices.files`), of so many minutes each."""
    price_interval_min: int = 60
    peak_hours: Path | None = None


_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
"""When what was not recorded was: nothing here is kept."""

NOTHING_STATED: Final = Stated()


def rate_files(
    tariff: Path,
    readings: Path,
    first: date,
    last: date,
    zone: ZoneInfo,
    stated: Stated = NOTHING_STATED,
) -> tuple[RatedMonth, ...]:
    """Price the interval readings of a file from the day `first` up to, but not including, `last`.

    Months are rated one by one, as bills are: a line is rounded once a month, and ranges of
    consumption count over it. A file with a wrong row is refused; an interval without a value is
    priced as nothing and counted as missing. Times without an offset are read in `zone`. What is
    charged when a month closes is left out of a part of a month. A fact that the tariff asks for
    and that is not `stated` is refused.
    """
    if last <= first:
        raise Invalid(
            where=mark("period"),
            problem=mark("%(last)s does not come after %(first)s"),
            first=str(first),
            last=str(last),
        )
    version = parse_tariff(read_tariff_text(tariff), where=tariff.name)
    in_force = _in_force(version, last, zone)
    facts = _facts(version, stated, zone)
    rated = []
    for point_code, interval_min, days in _days_by_point(readings, zone):
        for month, part in groupby(_days(first, last), key=Month.of):
            of_month = list(part)
            series = _series(of_month, days, interval_min, zone)
            closing = tuple(of_month) == month.days
            lines = rate_energy(series, in_force, zone, facts=replace(facts, closing=closing))
            rated.append(RatedMonth(point_code, month, series.period, lines, series.missing))
    return tuple(rated)


def read_tariff_text(tariff: Path) -> str:
    """Read a tariff file; refuse one that is not in UTF-8."""
    try:
        return tariff.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(
            where=tariff.name,
            problem=mark("the text is not UTF-8, from byte %(byte)s on"),
            byte=error.start,
        ) from None


def _facts(version: TariffVersion, stated: Stated, zone: ZoneInfo) -> AccountFacts:
    """Return what was stated as the facts of one account."""
    hourly = version.charges.hourly
    series = hours = None
    if stated.prices is not None:
        read = read_prices(
            stated.prices.read_bytes(), zone, stated.price_interval_min, where=stated.prices.name
        )
        series = joined(
            hourly.series if hourly else "-",
            stated.price_interval_min,
            zone,
            [StoredDay(day, 1, stated.prices.name, "", _NEVER) for day in read],
        )
    if stated.peak_hours is not None:
        hours = read_peak_hours(stated.peak_hours.read_bytes(), zone, where=stated.peak_hours.name)
    return AccountFacts(
        area_dm2=_one(stated.area_dm2),
        persons=_one(stated.persons),
        contracted_w=_one(stated.contracted_w),
        entitled={
            concession.code: np.array([concession.code in stated.entitled])
            for concession in version.charges.concessions
        },
        price_series={} if series is None else {series.code: series},
        regulated_hours={}
        if hours is None
        else {capacity.hours: hours for capacity in version.charges.capacity},
    )


def _one(value: int | None) -> npt.NDArray[np.int64] | None:
    return None if value is None else np.array([value], dtype=np.int64)


def _in_force(version: TariffVersion, last: date, zone: ZoneInfo) -> tuple[VersionInForce, ...]:
    begins, ends = local_midnight(version.valid_from, zone), local_midnight(last, zone)
    return ((Period(begins, max(begins, ends)), version),)


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days):
        yield first + timedelta(days=number)


def _days_by_point(readings: Path, zone: ZoneInfo) -> Iterator[tuple[str, int, Mapping[date, Day]]]:
    """Yield each point of a file, in its order, with its interval length and its days.

    Energy taken alone is priced: other channels are passed over.
    """
    keys, rows = _arrivals(readings)
    taken = np.array([key.channel_code == ACTIVE_TAKEN for key in keys], bool)
    rows = rows[taken[rows["series"]]] if len(rows) else rows
    channels = {
        key: PointChannel(
            key.point_code,
            number,
            _interval_min(key.point_code, rows[rows["series"] == number]),
            1,
            zone.key,
        )
        for number, key in enumerate(keys)
        if key.channel_code == ACTIVE_TAKEN
    }
    placement = place(rows, keys, channels)
    _refuse_bad_rows(placement.refused)
    days: list[dict[date, Day]] = [{} for _ in keys]
    for block in placement.blocks:
        _sort_in(block, days)
    for channel in channels.values():
        yield channel.point_code, channel.interval_min, days[channel.channel_id]


def _arrivals(readings: Path) -> tuple[Sequence[SeriesKey], Arrivals]:
    with readings.open("rb") as file:
        layout = detect_layout(file.readline(HEADER_MAX_BYTES))
        if layout.is_registers:
            raise UnreadableFile(
                line=1, problem=mark("these are register readings; intervals are priced here")
            )
        file.seek(0)
        reader = LongCsvReader(layout)
        rows = list(reader.blocks(file))
    return reader.index.keys, np.concatenate(rows) if rows else np.zeros(0, ARRIVAL)


def _refuse_bad_rows(refused: Sequence[RefusedRows]) -> None:
    """Refuse the file for the first row that has a wrong value; one that has none is a gap."""
    bad = [rows for rows in refused if rows.reason is not RefusalReason.NO_VALUE]
    if bad:
        first = min(bad, key=lambda rows: int(rows.rows["line"].min()))
        line = int(first.rows["line"].min())
        raise UnreadableFile(line=line, problem=REASON_TEXTS[first.reason])


def _interval_min(code: str, rows: Arrivals) -> int:
    """Return the shortest step between two readings of a point, in minutes."""
    steps_s = np.diff(np.unique(rows["time_s"]))
    shortest = int(steps_s.min()) // 60 if len(steps_s) else 0
    if shortest not in INTERVALS_MIN:
        raise Invalid(where=code, problem=mark("its readings do not tell how long an interval is"))
    return shortest


def _sort_in(block: DayBlock, days: Sequence[dict[date, Day]]) -> None:
    for row, (number, day) in enumerate(
        zip(block.channel_ids.tolist(), block.days.tolist(), strict=True)
    ):
        days[number][day] = (block.energy_wh[row], block.quality[row])


def _series(
    wanted: Sequence[date], days: Mapping[date, Day], interval_min: int, zone: ZoneInfo
) -> EnergySeries:
    """Return successive local days as one series; a day without a reading is missing."""
    found = []
    for day in wanted:
        intervals = intervals_in_day(day, zone, interval_min)
        nothing = (
            np.zeros(intervals, np.int32),
            np.full(intervals, Quality.MISSING, np.uint8),
        )
        found.append(days.get(day, nothing))
    return EnergySeries(
        start=local_midnight(wanted[0], zone),
        interval_min=interval_min,
        energy_wh=np.concatenate([energy for energy, _ in found]),
        quality=np.concatenate([quality for _, quality in found]),
    )
