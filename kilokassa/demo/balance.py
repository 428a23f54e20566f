"""House meters of the demo town: one house balances well, one has a thief and a slow meter.

What enters a house is what its flats truly use, its lift and stairs, and the losses; the flats'
meters show what `kilokassa.demo.faults` leaves of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import Scope
from kilokassa.demo.faults import THIEF
from kilokassa.demo.households import draws
from kilokassa.demo.population import INTERVAL_MIN, TownPlan
from kilokassa.demo.profiles import HALF_HOURS
from kilokassa.demo.series import EnergyDays, used_in_house
from metering import store as metering_store
from metering.days import whole_days
from metering.events.kinds import DeviceEventKind, EventLine
from metering.events.service import DeviceEventsOrder, record_device_events
from metering.registry.places import (
    Building,
    Channel,
    CommonArea,
    CommonAreaKind,
    Meter,
    MeteringPoint,
    PlacesOrder,
)
from metering.service import register_places


@dataclass(frozen=True, slots=True)
class MeteredHouse:
    """A house with an electricity meter of its own, and one for its lifts."""

    building_code: str
    loss_ppm: int
    loss_w: int
    stairs_w: int
    """Power of the lamps on stairs and in the yard, which nobody measures."""

    @property
    def house_point(self) -> str:
        """The point at which the house's energy comes in."""
        return f"{self.building_code}-HOUSE"

    @property
    def lift_point(self) -> str:
        """The point of the lifts."""
        return f"{self.building_code}-LIFT"


HOUSES: Final = (
    MeteredHouse("KHV-1", loss_ppm=12_000, loss_w=60, stairs_w=280),
    MeteredHouse("KHV-2", loss_ppm=14_000, loss_w=80, stairs_w=340),
)
_TRIP_WH: Final = 18
_DARK_UNTIL, _DARK_FROM = 15, 34
"""Half hours of a day between which the lamps of the stairs are off."""


def ensure_house_balance(application: Application, plan: TownPlan, scope: Scope) -> int:
    """Register the house meters, append their days up to the plan's today; return the days added.

    A second call changes nothing. `scope` is the demo's own.
    """
    first = FixedClock(local_midnight(plan.first_day, plan.zone))
    with application.database.writing() as session:
        places = register_places(session, _places(plan), first)
        ids = {point: channel for (point, _), channel in places.channel_ids.items()}
        last = metering_store.last_days(session, ids.values())
    added = 0
    next_day = max(last.values()) + timedelta(days=1) if last else plan.first_day
    for since, until in _months(next_day, plan.today):
        came = FixedClock(local_midnight(until, plan.zone))
        days = np.array(
            [since + timedelta(n) for n in range((until - since).days)], "datetime64[D]"
        )
        blocks = []
        for house in HOUSES:
            energy = house_days(plan, house, since, until)
            for point, values in zip((house.house_point, house.lift_point), energy, strict=True):
                channel = np.full(len(days), ids[point], np.int64)
                blocks.append(whole_days(INTERVAL_MIN, channel, days, values))
        with application.database.writing() as session:
            metering_store.write_days(session, blocks, came, source="demo: house meters")
        added += len(days)
    _tell_of_the_magnet(application, plan, scope)
    return added


def house_days(
    plan: TownPlan, house: MeteredHouse, first: date, last_exclusive: date
) -> tuple[EnergyDays, EnergyDays]:
    """Return what the house's meter and that of its lifts count, whole Wh by (day, half hour)."""
    flats = used_in_house(plan, house.building_code, first, last_exclusive).astype(np.float64)
    lift = np.zeros(flats.shape)
    stairs = np.zeros(flats.shape)
    dark = np.ones(HALF_HOURS)
    dark[_DARK_UNTIL:_DARK_FROM] = 0.12
    for place in range(len(flats)):
        day = first + timedelta(days=place)
        rng = draws(40, int(house.building_code[-1]), day.toordinal())
        busy = flats[place] / flats[place].mean()
        lift[place] = _TRIP_WH * rng.poisson(14 * busy)
        noise = 1 + 0.06 * rng.standard_normal(HALF_HOURS)
        stairs[place] = house.stairs_w / 2 * dark * noise
    lift_wh = np.rint(lift)
    through = flats + lift_wh + stairs
    losses = (through * house.loss_ppm / 1_000_000 + house.loss_w / 2) / (
        1 - house.loss_ppm / 1_000_000
    )
    return np.rint(through + losses).astype(np.int32), lift_wh.astype(np.int32)


def _places(plan: TownPlan) -> PlacesOrder:
    verified = plan.first_day.replace(year=plan.first_day.year + 8, day=1)
    points = [(house, point) for house in HOUSES for point in (house.house_point, house.lift_point)]
    return PlacesOrder(
        buildings=tuple(
            Building(
                house.building_code,
                plan.building(house.building_code).address,
                plan.zone.key,
                plan.building(house.building_code).company_code,
                loss_ppm=house.loss_ppm,
                loss_w=house.loss_w,
            )
            for house in HOUSES
        ),
        common_areas=tuple(
            CommonArea(house.building_code, "LIFT", CommonAreaKind.LIFT, "Лифты")
            for house in HOUSES
        ),
        points=tuple(
            MeteringPoint(
                point,
                house.building_code,
                common_area_code="LIFT" if point == house.lift_point else None,
            )
            for house, point in points
        ),
        meters=tuple(
            Meter(
                point,
                f"H{place:07d}",
                plan.first_day.replace(year=plan.first_day.year - 2, day=1),
                "Счётчик Т-3 (демо)",
                digits=8,
                verified_until=verified,
            )
            for place, (_, point) in enumerate(points, start=1)
        ),
        channels=tuple(Channel(point, INTERVAL_MIN) for _, point in points),
    )


def _tell_of_the_magnet(application: Application, plan: TownPlan, scope: Scope) -> None:
    """Let the thief's meter tell of a magnet on the evening of the first day."""
    since = THIEF.since(plan)
    if since >= plan.today:
        return
    evening = local_midnight(since, plan.zone) + timedelta(hours=21, minutes=7)
    line = EventLine(
        line=1,
        point_code=THIEF.point_code,
        serial="",
        kind=DeviceEventKind.MAGNET,
        starts=evening,
    )
    with application.database.writing() as session:
        record_device_events(
            session, DeviceEventsOrder((line,), "demo: events", scope), application.clock
        )


def _months(first: date, end: date) -> Iterator[tuple[date, date]]:
    while first < end:
        until = min(Month.of(first).plus(1).first_day, end)
        yield first, until
        first = until
