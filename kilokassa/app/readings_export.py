"""Writing interval values to files: 80020 by day and area, Parquet and CSV with all that is known.

A file is written from one state of the database, part by part, so that memory does not grow with
it. An 80020 file takes its number in the transaction that puts the file in its place.
"""

import gzip
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Final, cast
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from sqlalchemy.orm import Session

from billing.store import retailer
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Forbidden, Invalid
from kilokassa.core.scope import DEEDS, Right, Scope
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from kilokassa.db.session import Database
from metering.exchange.codes import CHANNELS, INN_PATTERN, TIME_ZONES, file_name
from metering.exchange.store import (
    ExportChannel,
    export_channels,
    load_stored_days,
    next_number,
)
from metering.store import load_day_totals
from metering.writers.csv_long import write_csv
from metering.writers.parquet import write_parquet
from metering.writers.rows import ExportDays, to_frame
from metering.writers.xml_80020 import (
    CLOSING,
    ChannelDay,
    MessageHead,
    PointDay,
    opening,
    point_piece,
    to_periods,
    whole_kwh,
)

Progress = Callable[[int, int], None]

DAYS_MAX: Final = 3 * 366
"""The longest stretch that one export covers."""
DAY_ROWS_A_PART: Final = 6_000
CHANNELS_A_PART: Final = 2_000

_NUMBER_OF_ZONE: Final = {zone: number for number, zone in TIME_ZONES.items()}
_WRITTEN: Final = frozenset(CHANNELS.values())
"""The channels that the 80020 format has a code for."""


class ExportFormat(StrEnum):
    """A format that interval values are written in."""

    EXCHANGE = "80020"
    PARQUET = "parquet"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """Which values to write: local days from `first` to `last`, both included."""

    fmt: ExportFormat
    first: date
    last: date
    building_code: str | None = None
    """None: all buildings in reach."""

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise Invalid(where=mark("period"), problem=mark("it ends before it begins"))
        if (self.last - self.first).days >= DAYS_MAX:
            raise Invalid(
                where=mark("period"),
                problem=mark("one export covers at most %(days)s days"),
                days=DAYS_MAX,
            )

    @property
    def days(self) -> tuple[date, ...]:
        """Every local day to be written."""
        count = (self.last - self.first).days + 1
        return tuple(self.first + timedelta(days=n) for n in range(count))

    @property
    def name(self) -> str:
        """What a file of it is called where nobody names it."""
        stem = f"readings_{self.first}_{self.last}"
        return {
            ExportFormat.EXCHANGE: f"80020_{self.first:%Y%m%d}_{self.last:%Y%m%d}.zip",
            ExportFormat.PARQUET: f"{stem}.parquet",
            ExportFormat.CSV: f"{stem}.csv",
        }[self.fmt]


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The files that were written and how many values they hold."""

    files: tuple[Path, ...]
    values: int


def export_readings(
    database: Database,
    order: ExportOrder,
    target: Path,
    *,
    scope: Scope,
    clock: Clock,
    progress: Progress | None = None,
) -> ExportResult:
    """Write the values in reach to `target`: a file, or for 80020 a folder of files.

    A file that cannot be finished is not left behind; one that stands there is replaced at the end.
    CSV is packed where the name ends with `.gz`. For 80020 the actor must reach the whole retailer,
    since the retailer is the sender.
    """
    demand_export(scope, order.fmt)
    if order.fmt is ExportFormat.EXCHANGE:
        return _Exchange(database, order, target, scope, clock, progress).write()
    counter = _Counter(progress)
    with database.reading() as session, _in_place(target) as path:
        channels = export_channels(session, scope, building_code=order.building_code)
        frames = counter.counted(_frames(session, channels, order, counter))
        if order.fmt is ExportFormat.PARQUET:
            write_parquet((frame for _, frame in frames), path)
        else:
            with _packed(path, target.name) as stream:
                for piece in write_csv(frames):
                    stream.write(piece)
    return ExportResult((target,), counter.values)


def demand_export(scope: Scope, fmt: ExportFormat) -> None:
    """Refuse who may not write readings in this format."""
    scope.demand(Right.VIEW_STAFF)
    if fmt is ExportFormat.EXCHANGE:
        scope.demand(Right.IMPORT_READINGS)
        if not scope.whole_retailer:
            raise Forbidden(action=DEEDS[Right.IMPORT_READINGS])


def open_export(database: Database, order: ExportOrder, *, scope: Scope, clock: Clock) -> BinaryIO:
    """Return an open file with the values in reach, for a page or a program; 80020 comes as ZIP.

    The file has no name any more and is gone when the caller closes it.
    """
    with tempfile.TemporaryDirectory(prefix="kk-export-") as name:
        folder = Path(name)
        if order.fmt is not ExportFormat.EXCHANGE:
            export_readings(database, order, folder / order.name, scope=scope, clock=clock)
        else:
            result = export_readings(database, order, folder, scope=scope, clock=clock)
            with zipfile.ZipFile(folder / order.name, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in result.files:
                    archive.write(file, file.name)
        return (folder / order.name).open("rb")


class _Counter:
    """Counts what was written and tells how far it is."""

    def __init__(self, progress: Progress | None) -> None:
        self.values = 0
        self._progress = progress

    def tell(self, done: int, whole: int) -> None:
        if self._progress is not None:
            self._progress(done, whole)

    def counted(
        self, frames: Iterable[tuple[str, pl.DataFrame]]
    ) -> Iterator[tuple[str, pl.DataFrame]]:
        for zone, frame in frames:
            self.values += len(frame)
            yield zone, frame


def _frames(
    session: Session, channels: Sequence[ExportChannel], order: ExportOrder, counter: _Counter
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield rows of a table with the zone of their days, in the order of the channels."""
    of_id = {channel.channel_id: channel for channel in channels}
    done = 0
    size = max(1, DAY_ROWS_A_PART // len(order.days))
    for zone, of_zone in groupby(channels, key=lambda channel: channel.zone):
        ids = [channel.channel_id for channel in of_zone]
        for first in range(0, len(ids), size):
            for stored in load_stored_days(
                session, ids[first : first + size], order.first, order.last
            ):
                block = stored.block
                own = [of_id[channel_id] for channel_id in block.channel_ids.tolist()]
                yield (
                    zone,
                    to_frame(
                        ExportDays(
                            zone=zone,
                            interval_min=block.interval_min,
                            points=[channel.point_code for channel in own],
                            channels=[channel.channel_code for channel in own],
                            days=block.days.tolist(),
                            revisions=stored.revisions.tolist(),
                            loss_ppm=[channel.loss_ppm for channel in own],
                            value_uwh=block.exact_uwh(),
                            quality=block.quality,
                        )
                    ),
                )
            done += len(ids[first : first + size])
            counter.tell(done, len(channels))


@contextmanager
def _in_place(target: Path) -> Iterator[Path]:
    """Yield the path of a file beside `target` that takes its place when all went well."""
    if target.is_dir():
        raise Invalid(where=str(target), problem=mark("this is a folder, not a file"))
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    path = Path(name)
    try:
        yield path
        path.chmod(0o666 & ~_umask())
        path.replace(target)
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _packed(path: Path, name: str) -> Iterator[BinaryIO]:
    with path.open("wb") as raw:
        if name.endswith(".gz"):
            with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed:
                yield cast(BinaryIO, packed)
        else:
            yield raw


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# --- 80020 ---


@dataclass(frozen=True, slots=True)
class _Sender:
    """The retailer, as files name it."""

    inn: str
    name: str


@dataclass(frozen=True, slots=True)
class _Area:
    """Buildings that go into one file: those of a management company, else the retailer's own."""

    inn: str
    name: str
    timezone: str
    zone: ZoneInfo
    channels: tuple[ExportChannel, ...]


class _Exchange:
    """The 80020 files of one order."""

    def __init__(
        self,
        database: Database,
        order: ExportOrder,
        folder: Path,
        scope: Scope,
        clock: Clock,
        progress: Progress | None,
    ) -> None:
        self._database = database
        self._order = order
        self._folder = folder
        self._scope = scope
        self._clock = clock
        self._counter = _Counter(progress)

    def write(self) -> ExportResult:
        """Write a file for each day and area of which anything is known."""
        with self._database.reading() as session:
            own = retailer(session)
            sender = _Sender(own.inn, own.name)
            if not INN_PATTERN.fullmatch(sender.inn):
                raise Invalid(
                    where=sender.name, problem=mark("an exchange file needs the INN of its sender")
                )
            channels = [
                channel
                for channel in export_channels(
                    session, self._scope, building_code=self._order.building_code
                )
                if channel.channel_code in _WRITTEN
            ]
            areas = _areas(sender, channels)
        self._folder.mkdir(parents=True, exist_ok=True)
        files = []
        steps = len(areas) * len(self._order.days)
        for area in areas:
            before_wh: dict[int, int] = {}
            for day in self._order.days:
                file = self._write_day(sender, area, day, before_wh)
                if file is not None:
                    files.append(file)
                self._counter.tell(len(files), steps)
        return ExportResult(tuple(files), self._counter.values)

    def _write_day(
        self, sender: _Sender, area: _Area, day: date, before_wh: dict[int, int]
    ) -> Path | None:
        """Write one file, its body first: the transaction that takes the number stays short."""
        with tempfile.TemporaryFile() as body:
            known = 0
            with self._database.reading() as session:
                if day == self._order.first or day.day == 1:
                    before_wh.clear()
                    before_wh.update(_since_month_began(session, area.channels, day))
                for point, count in self._points(session, area, day, before_wh):
                    body.write(point_piece(point, day))
                    known += count
            if not known:
                return None
            self._counter.values += known
            return self._numbered(sender, area, day, cast(BinaryIO, body))

    def _numbered(self, sender: _Sender, area: _Area, day: date, body: BinaryIO) -> Path:
        path = None
        try:
            with self._database.writing() as session:
                number = next_number(session, sender.inn)
                head = MessageHead(
                    number=number,
                    day=day,
                    made_at=self._clock.now(),
                    sender_inn=sender.inn,
                    sender_name=sender.name,
                    area_inn=area.inn,
                    area_name=area.name,
                    timezone=area.timezone,
                    zone=area.zone,
                )
                path = self._folder / file_name(sender.inn, day, number, area.inn)
                body.seek(0)
                with _in_place(path) as beside, beside.open("wb") as stream:
                    stream.write(opening(head))
                    shutil.copyfileobj(body, stream, 1024 * 1024)
                    stream.write(CLOSING)
        except BaseException:
            # The number goes back with the transaction; a file that bears it must not stay.
            if path is not None:
                path.unlink(missing_ok=True)
            raise
        return path

    def _points(
        self, session: Session, area: _Area, day: date, before_wh: dict[int, int]
    ) -> Iterator[tuple[PointDay, int]]:
        """Yield the points with a value on `day` and how many periods of them are known."""
        for part in _whole_points(area.channels):
            days = _channel_days(session, part, day, before_wh)
            for code, of_point in groupby(part, key=lambda channel: channel.exchange_code):
                own = [channel for channel in of_point if channel.channel_id in days]
                if not own:
                    continue
                found = [days[channel.channel_id] for channel in own]
                known = sum(int((one.quality != Quality.MISSING).sum()) for one in found)
                if known:
                    yield PointDay(code, _name(own[0]), ZoneInfo(own[0].zone), found), known


def _areas(sender: _Sender, channels: Sequence[ExportChannel]) -> list[_Area]:
    by_inn: dict[str, list[ExportChannel]] = {}
    for channel in channels:
        own = bool(INN_PATTERN.fullmatch(channel.company_inn))
        by_inn.setdefault(channel.company_inn if own else sender.inn, []).append(channel)
    areas = []
    for inn, of_area in sorted(by_inn.items()):
        zones = sorted({channel.zone for channel in of_area})
        areas.append(
            _Area(
                inn=inn,
                name=sender.name if inn == sender.inn else of_area[0].company_name,
                # Times of buildings in several zones can only be those of each building.
                timezone=_NUMBER_OF_ZONE.get(zones[0], "") if len(zones) == 1 else "",
                zone=ZoneInfo(zones[0]),
                channels=tuple(of_area),
            )
        )
    return areas


def _whole_points(channels: Sequence[ExportChannel]) -> Iterator[list[ExportChannel]]:
    """Cut channels into parts of bounded size, those of a point in one."""
    part: list[ExportChannel] = []
    for _, of_point in groupby(channels, key=lambda channel: channel.point_code):
        part += of_point
        if len(part) >= CHANNELS_A_PART:
            yield part
            part = []
    if part:
        yield part


def _channel_days(
    session: Session, channels: Sequence[ExportChannel], day: date, before_wh: dict[int, int]
) -> Mapping[int, ChannelDay]:
    """Return whole kWh by channel, and move `before_wh` on to the end of the day."""
    of_id = {channel.channel_id: channel for channel in channels}
    found: dict[int, ChannelDay] = {}
    for stored in load_stored_days(session, list(of_id), day, day):
        block = stored.block
        minutes, energy_wh, quality = to_periods(block.energy_wh, block.quality, block.interval_min)
        ids = block.channel_ids.tolist()
        reached = np.array([before_wh.get(channel_id, 0) for channel_id in ids], np.int64)
        loss_ppm = np.array([of_id[channel_id].loss_ppm for channel_id in ids], np.int64)
        kwh = whole_kwh(energy_wh, reached, loss_ppm)
        for row, channel_id in enumerate(ids):
            found[channel_id] = ChannelDay(
                of_id[channel_id].channel_code, minutes, kwh[row], quality[row]
            )
        totals = (reached + block.total_wh).tolist()
        before_wh.update(zip(ids, totals, strict=True))
    return found


def _since_month_began(
    session: Session, channels: Sequence[ExportChannel], day: date
) -> dict[int, int]:
    if day.day == 1:
        return {}
    ids = [channel.channel_id for channel in channels]
    totals = load_day_totals(session, ids, day.replace(day=1), day - timedelta(days=1))
    return dict(zip(ids, totals.total_wh.sum(axis=1).tolist(), strict=True))


def _name(channel: ExportChannel) -> str:
    number = channel.premises_number
    return f"{channel.address}, {number}" if number else channel.address
