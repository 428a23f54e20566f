"""Queries behind the periodic checks: the points of houses with their meters and channels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from kilokassa.core.scope import Scope
from kilokassa.db.rights import building_in_scope
from kilokassa.db.slices import in_slices
from metering.arrivals import PointChannel
from metering.lookback.checks import CheckedMeter
from metering.models import BuildingRow, ChannelRow, MeteringPointRow, MeterRow
from metering.registry.places import ACTIVE_TAKEN

_points = cast(Table, MeteringPointRow.__table__)
_buildings = cast(Table, BuildingRow.__table__)
_channels = cast(Table, ChannelRow.__table__)
_meters = cast(Table, MeterRow.__table__)


def points_to_check(session: Session, scope: Scope, building_code: str = "") -> tuple[int, ...]:
    """Return the ids of the points in reach, of one house or of all, house by house."""
    query = (
        select(_points.c.id)
        .join(_buildings, _buildings.c.id == _points.c.building_id)
        .where(building_in_scope(_points.c.building_id, scope))
        .order_by(_points.c.building_id, _points.c.id)
    )
    if building_code:
        query = query.where(_buildings.c.code == building_code)
    return tuple(session.scalars(query))


@dataclass(frozen=True, slots=True)
class CheckedPoint:
    """A point with its series and every meter that ever stood at it."""

    point_id: int
    point_code: str
    zone: str
    """IANA name."""
    channels: tuple[PointChannel, ...]
    meters: tuple[CheckedMeter, ...]


def checked_points(session: Session, point_ids: Iterable[int]) -> tuple[CheckedPoint, ...]:
    """Return the points with their channels and meters, in order of id."""
    found: list[CheckedPoint] = []
    for part in in_slices(sorted(set(point_ids))):
        query = (
            select(
                _points.c.id,
                _points.c.code,
                _points.c.commodity,
                _points.c.capacity_w,
                _buildings.c.zone,
            )
            .join(_buildings, _buildings.c.id == _points.c.building_id)
            .where(_points.c.id.in_(part))
            .order_by(_points.c.id)
        )
        channels = _by_point(session.execute(select(_channels).where(_of(_channels, part))).all())
        meters = _by_point(session.execute(select(_meters).where(_of(_meters, part))).all())
        for row in session.execute(query):
            series = tuple(
                PointChannel(
                    point_code=row.code,
                    channel_id=channel.id,
                    interval_min=channel.interval_min,
                    multiplier=channel.multiplier,
                    zone=row.zone,
                    channel_code=channel.code,
                    loss_ppm=channel.loss_ppm,
                    point_id=row.id,
                    capacity_w=row.capacity_w,
                )
                for channel in channels.get(row.id, ())
            )
            taken = next((one for one in series if one.channel_code == ACTIVE_TAKEN), None)
            devices = tuple(
                CheckedMeter(
                    meter_id=meter.id,
                    serial=meter.serial,
                    point_code=row.code,
                    commodity=row.commodity,
                    digits=meter.digits,
                    multiplier=1 if taken is None else taken.multiplier,
                    loss_ppm=0 if taken is None else taken.loss_ppm,
                    channel_id=None if taken is None else taken.channel_id,
                )
                for meter in meters.get(row.id, ())
            )
            found.append(CheckedPoint(row.id, row.code, row.zone, series, devices))
    return tuple(found)


def _of(table: Table, point_ids: Sequence[int]) -> Any:  # noqa: ANN401 - a condition
    return table.c.point_id.in_(point_ids)


def _by_point(rows: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in sorted(rows, key=lambda row: int(row.id)):
        found.setdefault(row.point_id, []).append(row)
    return found
