"""Queries of the exchange of readings: areas of senders, numbers of files, days to be written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.errors import NotFound
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import building_in_scope
from kilokassa.db.slices import in_slices
from metering.days import DayBlock, unpack
from metering.exchange.codes import ExchangeArea, check_time_zones
from metering.models import (
    BuildingRow,
    ChannelRow,
    CompanyRow,
    ExchangeAreaRow,
    ExchangeNumberRow,
    IntervalDayRow,
    MeteringPointRow,
    PremisesRow,
)
from metering.store import ReadingsConflict

_days = cast(Table, IntervalDayRow.__table__)
_areas = cast(Table, ExchangeAreaRow.__table__)
_numbers = cast(Table, ExchangeNumberRow.__table__)


# --- areas and numbers ---


def take_areas(
    session: Session,
    areas: Iterable[ExchangeArea],
    scope: Scope,
    clock: Clock,
    *,
    accept_timezone: bool = False,
) -> None:
    """Remember the time zones that a file states; one that changed is refused unless accepted.

    Whoever does not reach the whole retailer changes nothing that is remembered: the file speaks
    for a sender, and anybody could name another's.
    """
    wanted = tuple(areas)
    known = known_time_zones(session, {area.sender_inn for area in wanted})
    changed = check_time_zones(wanted, known, accept=accept_timezone)
    if not scope.whole_retailer:
        return
    for area in changed:
        key = (_areas.c.sender_inn == area.sender_inn) & (_areas.c.area_inn == area.area_inn)
        stated = {"timezone": area.timezone, "recorded_at": clock.now()}
        if (area.sender_inn, area.area_inn) in known:
            session.execute(update(_areas).where(key).values(stated))
            continue
        new = {"sender_inn": area.sender_inn, "area_inn": area.area_inn, **stated}
        try:
            session.execute(insert(_areas).values(new))
        except IntegrityError as error:
            # Two files of a new area at once: which zone came first is only known afterwards.
            raise ReadingsConflict from error


def known_time_zones(session: Session, sender_inns: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return the time zone that each area of these senders stated last."""
    query = select(_areas.c.sender_inn, _areas.c.area_inn, _areas.c.timezone).where(
        _areas.c.sender_inn.in_(sorted(set(sender_inns)))
    )
    return {(sender, area): zone for sender, area, zone in session.execute(query)}


def next_number(session: Session, sender_inn: str) -> int:
    """Take the next number of a sender's files; without gaps, since it falls with the transaction.

    It waits for another transaction that has taken one and not ended yet.
    """
    raise_it = (
        update(_numbers)
        .where(_numbers.c.sender_inn == sender_inn)
        .values(last_number=_numbers.c.last_number + 1)
    )
    if not cast(Any, session.execute(raise_it)).rowcount:
        try:
            with session.begin_nested():
                session.execute(insert(_numbers).values(sender_inn=sender_inn, last_number=1))
        except IntegrityError:
            session.execute(raise_it)  # another was the first in between
    query = select(_numbers.c.last_number).where(_numbers.c.sender_inn == sender_inn)
    return int(session.scalars(query).one())


# --- what is written ---


@dataclass(frozen=True, slots=True)
class ExportChannel:
    """A channel with interval values, and where it is."""

    channel_id: int
    channel_code: str
    interval_min: int
    loss_ppm: int
    point_code: str
    exchange_code: str
    """What other systems call the point; its own code where they call it that."""
    building_code: str
    address: str
    premises_number: str
    """Empty for a point of the building itself."""
    zone: str
    company_inn: str
    """INN of the building's management company; empty where there is none or it is not known."""
    company_name: str


def export_channels(
    session: Session, scope: Scope, *, building_code: str | None = None
) -> tuple[ExportChannel, ...]:
    """Return the channels that `scope` reaches, of all its buildings or of one.

    Ordered by building, point and channel; a building out of reach is not found.
    """
    if building_code is not None and building_code not in _building_codes(session, scope):
        raise NotFound(what=mark("building"), name=building_code)
    query = (
        select(
            ChannelRow.id,
            ChannelRow.code,
            ChannelRow.interval_min,
            ChannelRow.loss_ppm,
            MeteringPointRow.code,
            func.coalesce(MeteringPointRow.exchange_code, MeteringPointRow.code),
            BuildingRow.code,
            BuildingRow.address,
            func.coalesce(PremisesRow.number, ""),
            BuildingRow.zone,
            func.coalesce(CompanyRow.inn, ""),
            func.coalesce(CompanyRow.name, ""),
        )
        .join(MeteringPointRow, MeteringPointRow.id == ChannelRow.point_id)
        .join(BuildingRow, BuildingRow.id == MeteringPointRow.building_id)
        .outerjoin(PremisesRow, PremisesRow.id == MeteringPointRow.premises_id)
        .outerjoin(CompanyRow, CompanyRow.id == BuildingRow.company_id)
        .where(building_in_scope(cast(Table, BuildingRow.__table__).c.id, scope))
        .order_by(BuildingRow.code, MeteringPointRow.code, ChannelRow.code)
    )
    if building_code is not None:
        query = query.where(BuildingRow.code == building_code)
    rows: Sequence[Any] = session.execute(query).all()
    return tuple(ExportChannel(*row) for row in rows)


def export_buildings(session: Session, scope: Scope) -> tuple[tuple[str, str], ...]:
    """Return code and address of the buildings that `scope` reaches, by address."""
    query = (
        select(BuildingRow.code, BuildingRow.address)
        .where(building_in_scope(cast(Table, BuildingRow.__table__).c.id, scope))
        .order_by(BuildingRow.address, BuildingRow.code)
    )
    return tuple((code, address) for code, address in session.execute(query))


def _building_codes(session: Session, scope: Scope) -> set[str]:
    return {code for code, _ in export_buildings(session, scope)}


@dataclass(frozen=True, slots=True, eq=False)
class StoredDays:
    """Stored days of equal shape with their revisions, in order of channel and day."""

    block: DayBlock
    revisions: npt.NDArray[np.int64]


def load_stored_days(
    session: Session, channel_ids: Sequence[int], first: date, last: date
) -> tuple[StoredDays, ...]:
    """Return what is stored of channels from `first` to `last`, both included, exactly.

    Channels whose intervals or days differ in length come in groups of their own.
    """
    groups: dict[tuple[int, int], list[Any]] = {}
    for part in in_slices(sorted(set(channel_ids))):
        query = (
            select(
                _days.c.channel_id,
                _days.c.day,
                _days.c.interval_min,
                _days.c.energy_wh,
                _days.c.quality,
                _days.c.fraction_uwh,
                _days.c.revision,
            )
            .where(_days.c.channel_id.in_(part), _days.c.day.between(first, last))
            .order_by(_days.c.channel_id, _days.c.day)
        )
        for row in session.execute(query):
            groups.setdefault((row.interval_min, len(row.quality)), []).append(row)
    return tuple(
        StoredDays(
            unpack(
                interval_min,
                [row.channel_id for row in rows],
                [row.day for row in rows],
                [(row.energy_wh, row.quality, row.fraction_uwh) for row in rows],
            ),
            np.array([row.revision for row in rows], np.int64),
        )
        for (interval_min, _), rows in groups.items()
    )
