"""The registry of the demo town: places on the map, lives of meters, what must be verified soon.

Everything follows from the first month of the town; a second call changes nothing, a later one
appends the days since. The meters of common areas are charged to nobody.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Final

import numpy as np
from sqlalchemy.orm import Session

from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import Scope
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from kilokassa.demo.facts import area_dm2
from kilokassa.demo.households import draws
from kilokassa.demo.population import FULL_MONTHS, INTERVAL_MIN, AccountPlan, TownPlan
from kilokassa.demo.profiles import HALF_HOURS
from metering import store as metering_store
from metering.days import whole_days
from metering.meters.life import LifeEvent, add_years
from metering.meters.service import LifeEventOrder, record_life_event, replace_meter_for
from metering.registers import RegisterReading
from metering.registry.places import (
    Building,
    Channel,
    CommonArea,
    CommonAreaKind,
    Company,
    Coordinates,
    DeliveryPoint,
    LifeEventKind,
    Meter,
    MeteringPoint,
    MeterReplacement,
    PlacesOrder,
    Premises,
    RegisteredPlaces,
    Servicer,
)
from metering.registry.service import register_places
from metering.registry.store import point_by_code

_SERVICER: Final = Servicer("METROLOG", "ООО «Метролог-Амур» (демо)", "metrolog@demo.example", "ru")
_EMAILS: Final = {"UK-SCHET": "uk@demo.example", "TSZH-PECH": "tszh@demo.example"}
_PLACES: Final = {
    "KHV-1": Coordinates(48_478_912, 135_064_207),
    "KHV-2": Coordinates(48_479_355, 135_065_118),
    "KHV-3": Coordinates(48_484_120, 135_083_460),
}
_SERVICED: Final = ("KHV-1", "KHV-2")
"""The third house has no servicer: its management company is told."""

_CAPACITY_GAS_W: Final = 10_000
_CAPACITY_STOVE_W: Final = 15_000
"""Homes with electric stoves are connected with more."""

_PUMPS: Final = "KHV-3-PUMP"
_ROOF: Final = "KHV-3-ROOF"
_FLATS_WITH_LIVES: Final = 8
"""How many flats of the first house have their lives written down with documents."""

_DUE_AFTER_DAYS: Final = (-47, 8, 25, 55, 85, 160)
"""When the verifications of some cold-water meters run out, from the thirteenth month on.

The first of them was forgotten.
"""

_REPLACED: Final = 6
"""Which of the third house's half-hour meters is replaced, in the seventh month."""

_REPLACED_AT: Final = time(10)


def ensure_registry(application: Application, plan: TownPlan, scope: Scope) -> int:
    """Bring the registry of the town up to the plan's today; return the days of values added."""
    first = FixedClock(local_midnight(plan.first_day, plan.zone))
    with application.database.writing() as session:
        places = register_places(session, _order(plan), first)
    with application.database.writing() as session:
        _live_lives(session, application, plan, scope)
    added = _live_common_areas(application, plan, places)
    with application.database.writing() as session:
        _replace_one(session, application, plan, scope)
    return added


def _order(plan: TownPlan) -> PlacesOrder:
    flats = [(account, _made_on(account)) for account in plan.accounts]
    installed = add_years(plan.first_day, -3)
    return PlacesOrder(
        companies=tuple(Company(c.code, c.name, email=_EMAILS[c.code]) for c in plan.companies),
        servicers=(_SERVICER,),
        buildings=tuple(
            Building(
                b.code,
                b.address,
                plan.zone.key,
                servicer_code=_SERVICER.code if b.code in _SERVICED else None,
                place=_PLACES[b.code],
            )
            for b in plan.buildings
        ),
        premises=tuple(
            Premises(a.building_code, a.premises_number, area_dm2(plan, a), _rooms(a.area_dm2))
            for a, _ in flats
        ),
        # Places of meters: an area told after the months were closed would put them all right.
        common_areas=(
            CommonArea("KHV-1", "STAIRS", CommonAreaKind.STAIRS, "Подъезды", 412_00),
            CommonArea("KHV-1", "CELLAR", CommonAreaKind.CELLAR, "Подвал", 228_00),
            CommonArea("KHV-3", "PUMPS", CommonAreaKind.TECHNICAL, "Насосная"),
            CommonArea("KHV-3", "ROOF", CommonAreaKind.ATTIC, "Крыша, солнечные панели"),
        ),
        delivery_points=(
            DeliveryPoint("KHV-1-TP", "KHV-1", None, "кабельные наконечники в ВРУ дома"),
            *(
                DeliveryPoint(
                    f"{a.point_code}-TP",
                    a.building_code,
                    a.premises_number,
                    "зажимы вводного автомата в этажном щите",
                )
                for a, _ in flats[:_FLATS_WITH_LIVES]
            ),
        ),
        points=(
            *(
                MeteringPoint(
                    a.point_code,
                    a.building_code,
                    a.premises_number,
                    delivery_point_code=(
                        f"{a.point_code}-TP" if a.index < _FLATS_WITH_LIVES else None
                    ),
                    capacity_w=_capacity_w(a),
                )
                for a, _ in flats
            ),
            MeteringPoint(
                _PUMPS, "KHV-3", exchange_code="270000000000301", common_area_code="PUMPS",
                capacity_w=25_000,
            ),
            MeteringPoint(
                _ROOF, "KHV-3", exchange_code="270000000000302", common_area_code="ROOF",
                capacity_w=15_000,
            ),
        ),
        meters=(
            *(
                Meter(
                    a.point_code,
                    a.meter_serial,
                    a.installed_on,
                    made_on=made_on,
                    service_life_years=30,
                )
                for a, made_on in flats
            ),
            Meter(
                _PUMPS, "80210017", installed, "Счётчик Т-31 (демо)", 6,
                verified_until=add_years(installed, 10), made_on=installed, service_life_years=30,
            ),
            Meter(
                _ROOF, "80210025", installed, "Счётчик Т-31 (демо)", 6,
                verified_until=add_years(installed, 10), made_on=installed, service_life_years=30,
            ),
        ),
        channels=(
            Channel(_PUMPS, INTERVAL_MIN, "A+", 20),
            Channel(_PUMPS, INTERVAL_MIN, "R+", 20),
            Channel(_ROOF, INTERVAL_MIN, "A+"),
            Channel(_ROOF, INTERVAL_MIN, "A-"),
        ),
    )  # fmt: skip


def _capacity_w(account: AccountPlan) -> int:
    return _CAPACITY_STOVE_W if account.building_code == "KHV-3" else _CAPACITY_GAS_W


def _rooms(area_dm2: int) -> int:
    return 1 if area_dm2 < 38_00 else 2 if area_dm2 < 58_00 else 3


def _made_on(account: AccountPlan) -> date:
    """Return when a flat's meter was made: months before it was installed, one of them long ago."""
    if account.interval_min is None:
        return add_years(account.installed_on, -29)
    return account.installed_on - timedelta(days=40 + account.index % 120)


# --- lives ---


def _live_lives(session: Session, application: Application, plan: TownPlan, scope: Scope) -> None:
    """Write down the lives of some meters of the first house, with the numbers of their papers."""
    accounts = [a for a in plan.accounts if a.building_code == "KHV-1"][:_FLATS_WITH_LIVES]
    for account in accounts:
        made_on = _made_on(account)
        paper = f"{account.meter_serial}/{account.installed_on:%y}"
        for event in (
            LifeEvent(LifeEventKind.MADE, made_on),
            LifeEvent(LifeEventKind.VERIFIED, made_on, account.verified_until, f"С-{paper}"),
            LifeEvent(LifeEventKind.INSTALLED, account.installed_on, document=f"А-{paper}"),
            LifeEvent(LifeEventKind.COMMISSIONED, account.installed_on, document=f"А-{paper}"),
            LifeEvent(LifeEventKind.SEALED, account.installed_on, document=f"П-{paper}"),
        ):
            record_life_event(
                session,
                LifeEventOrder(scope, account.point_code, account.meter_serial, event),
                application.clock,
            )
    _verify_water(session, application, plan, scope)
    repaired_on = plan.first_month.plus(4).first_day + timedelta(days=9)
    for event in (
        LifeEvent(LifeEventKind.REPAIRED, repaired_on, document="Р-31", note="замена дисплея"),
        LifeEvent(
            LifeEventKind.VERIFIED,
            repaired_on + timedelta(days=5),
            add_years(repaired_on + timedelta(days=5), 10) - timedelta(days=1),
            "С-31",
        ),
        LifeEvent(LifeEventKind.COMMISSIONED, repaired_on + timedelta(days=6), document="А-31"),
    ):
        if event.happened_on < plan.today:
            order = LifeEventOrder(scope, _PUMPS, "80210017", event)
            record_life_event(session, order, application.clock)


def _verify_water(session: Session, application: Application, plan: TownPlan, scope: Scope) -> None:
    """Write down verifications of cold-water meters that run out one after another."""
    later = plan.first_month.plus(FULL_MONTHS).first_day
    accounts = [a for a in plan.accounts if a.building_code == "KHV-1"]
    for account, days in zip(accounts[_FLATS_WITH_LIVES:], _DUE_AFTER_DAYS, strict=False):
        point = point_by_code(session, scope, f"{account.point_code}-CW")
        until = later + timedelta(days=days)
        event = LifeEvent(
            LifeEventKind.VERIFIED,
            add_years(until, -6) + timedelta(days=1),
            until,
            f"В-{until:%d%m}",
        )
        order = LifeEventOrder(scope, point.code, point.meters[0].serial, event)
        record_life_event(session, order, application.clock)


def _replace_one(session: Session, application: Application, plan: TownPlan, scope: Scope) -> None:
    """Replace the meter of one flat of the third house; its registers and intervals agree."""
    account = [a for a in plan.matrix_accounts if a.building_code == "KHV-3"][_REPLACED]
    day = plan.first_month.plus(6).first_day + timedelta(days=13)
    point = point_by_code(session, scope, account.point_code)
    if day >= plan.today or len(point.meters) > 1:
        return
    at = datetime.combine(day, _REPLACED_AT, tzinfo=plan.zone)
    (channel,) = [one.id for one in point.channels if one.code == "A+"]
    before = metering_store.load_total_by_day(
        session, [channel], plan.first_day, day - timedelta(days=1)
    )
    matrix = metering_store.load_matrix(session, [channel], [day], plan.zone, INTERVAL_MIN)
    morning = int(matrix.energy_wh[0, : _REPLACED_AT.hour * 2].sum())
    start = local_midnight(plan.first_day, plan.zone)
    opening = RegisterReading(
        point.meters[0].id, Zone.ALL, start, account.opening_register_wh, Quality.ACTUAL
    )
    metering_store.write_registers(session, [opening], FixedClock(start), source="demo: by hand")
    order = MeterReplacement(
        removed_serial=account.meter_serial,
        meter=Meter(
            account.point_code,
            f"91{account.index:03d}477",
            day,
            "Счётчик Д-309 (демо)",
            6,
            verified_until=add_years(day, 16) - timedelta(days=30),
            made_on=day - timedelta(days=29),
            service_life_years=30,
        ),
        at=at,
        final_values={Zone.ALL: account.opening_register_wh + sum(before.values()) + morning},
        first_values={Zone.ALL: 1_000},
        document="А-114",
        note="плановая замена",
    )
    replace_meter_for(session, scope, order, application.clock)


# --- what is measured beside the flats ---


def _live_common_areas(application: Application, plan: TownPlan, places: RegisteredPlaces) -> int:
    """Append the days of the pumps and of the panels on the roof."""
    keys = ((_PUMPS, "A+"), (_PUMPS, "R+"), (_ROOF, "A+"), (_ROOF, "A-"))
    ids = [places.channel_ids[key] for key in keys]
    with application.database.reading() as session:
        last = metering_store.last_days(session, ids)
    since = max(last.values()) + timedelta(days=1) if last else plan.first_day
    added = 0
    for first, until in _months(since, plan.today):
        days = [first + timedelta(days=n) for n in range((until - first).days)]
        blocks = []
        for channel, values in zip(ids, _area_days(days), strict=True):
            blocks.append(whole_days(INTERVAL_MIN, [channel] * len(days), days, values))
        came = FixedClock(local_midnight(until, plan.zone))
        with application.database.writing() as session:
            metering_store.write_days(session, blocks, came, source="demo: common areas")
        added += len(days)
    return added


def _area_days(days: list[date]) -> tuple[np.ndarray, ...]:
    """Return whole Wh (or varh) by (day, half hour): pumps, their reactive energy, panels."""
    half_hours = np.arange(HALF_HOURS)
    busy = 500 + 420 * np.exp(-(((half_hours - 15) / 4) ** 2))
    busy += 520 * np.exp(-(((half_hours - 40) / 5) ** 2))
    pumps, panels = [], []
    for day in days:
        rng = draws(61, day.toordinal())
        # Impulses of the meter, times its multiplier of 20.
        pumps.append(20 * np.rint(busy * (0.9 + 0.2 * rng.random(HALF_HOURS)) / 20))
        height = 1 + 0.75 * np.cos(2 * np.pi * (day.timetuple().tm_yday - 172) / 365)
        light = np.clip(np.sin(np.pi * (half_hours - 26 + 9 * height) / (18 * height)), 0, None)
        light[(half_hours < 26 - 9 * height) | (half_hours > 26 + 9 * height)] = 0
        panels.append(np.rint(1500 * height * light * (0.35 + 0.65 * rng.random())))
    active, given = np.array(pumps), np.array(panels)
    night = np.where(given > 0, 0, 6)
    return tuple(
        values.astype(np.int32)
        for values in (active, 20 * np.rint(active * 0.6 / 20), night, given)
    )


def _months(first: date, until: date) -> Iterator[tuple[date, date]]:
    """Yield the stretches from `first` up to `until`, each within a month."""
    while first < until:
        end = min(Month.of(first).plus(1).first_day, until)
        yield first, end
        first = end
