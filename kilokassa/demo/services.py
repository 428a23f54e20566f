"""The other services of the demo town's houses: common areas everywhere, water in a small house.

The first house pays its common areas by the norm and is put right in March; the second by what its
meter leaves, which the thief makes dear; the third has no meter of its own. In the small house the
house meter was once read too early, so that a month was below zero. It also has water, by meters
that are read by hand and by norms, upkeep by the square metre and waste removal by the person.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from billing.house.service import AssignOrder, assign_service
from billing.models import CommonAreaMethod
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.core.zones import Zone
from kilokassa.demo.estimates import FLATS, HOUSE
from kilokassa.demo.population import TownPlan
from metering.estimation.methods import Norm
from metering.estimation.store import write_norms
from metering.registers import RegisterReading
from metering.registry.places import (
    Commodity,
    CommonArea,
    CommonAreaKind,
    Meter,
    MeteringPoint,
    PlacesOrder,
)
from metering.service import register_places
from metering.store import write_registers
from tariffs.services.service import ServiceOrder, publish_service

SCOPE: Final = system_scope("demo")
WATER_NORM: Final = "demo_water"
READ_DAY: Final = 24
EARLY_DAY: Final = 15
EARLY_IN: Final = 5
"""In which month after the first the small house's meter was read too early."""

_SMALL_HOUSE: Final = f"{HOUSE}-HOUSE"
_STAIRS_WH: Final = 1_400
"""What stairs, yard and entry phone of the small house take a day."""
_UNMETERED_WH: Final = 11_900
"""What the flat without a meter takes a day; it is charged by the norm."""
_HOUSE_OPENING_WH: Final = 61_204_000
_TAKEN_OVER_WH: Final = 145_000
"""The first reading came from the retailer before, and was some days old."""

_DOCUMENT: Final = """\
service: {service}
code: {code}
name: {{ru: {ru}, en: {en}}}
valid_from: {first}
currency: RUB
basis: {basis}
{prices}
source: "{source}"
confidence: {confidence}
"""
_NORM_SOURCE: Final = "S1: норматив Сахалина, освещение; цена тарифного плана; демо: даты сдвинуты"
_WATER_SOURCE: Final = (
    "S1: первая цена и норматив подогрева Хабаровска; вторая цена придумана (демо)"
)
_EXAMPLE: Final = "демо: цена придумана"


@dataclass(frozen=True, slots=True)
class WaterMeter:
    """A water meter of the small house and what it counts."""

    flat: str
    commodity: Commodity
    serial: str
    opening_l: int
    daily_l: int

    @property
    def point_code(self) -> str:
        """Code of its point."""
        mark = "CW" if self.commodity is Commodity.COLD_WATER else "HW"
        return f"{HOUSE}-{int(self.flat):03d}-{mark}"

    def total_l(self, days: int) -> int:
        """Return what it shows so many days after the first."""
        used = sum(self.daily_l * (80 + (11 * day) % 41) // 100 for day in range(days))
        return self.opening_l + used


WATER_METERS: Final = (
    WaterMeter("2", Commodity.COLD_WATER, "CW-440212", 214_300, 330),
    WaterMeter("2", Commodity.HOT_WATER, "HW-440217", 131_800, 205),
    WaterMeter("3", Commodity.COLD_WATER, "CW-440311", 88_400, 118),
    WaterMeter("3", Commodity.HOT_WATER, "HW-440318", 52_900, 76),
)


def service_documents(plan: TownPlan) -> tuple[str, ...]:
    """Return the price documents of the town's services; some prices change with the tariffs."""
    first, change = plan.first_day, plan.change_month.first_day

    def document(
        service: str,
        code: str,
        names: tuple[str, str],
        basis: str,
        prices: str,
        source: str = _EXAMPLE,
    ) -> str:
        return _DOCUMENT.format(
            service=service,
            code=code,
            ru=names[0],
            en=names[1],
            first=first,
            basis=basis,
            prices=prices,
            source=source,
            confidence="medium",
        )

    def dated(field: str, before: str, after: str) -> str:
        return (
            f"{field}: [{{from: {first}, amount: {before}}}, {{from: {change}, amount: {after}}}]"
        )

    common = ("Электроэнергия на содержание общего имущества", "Common-area electricity")
    return (
        *(
            document(
                "common_electricity",
                code,
                common,
                "common_area",
                f"plan: {of_plan}\nnorm_kwh_per_m2: [{{from: {first}, amount: 0.431}}]",
                _NORM_SOURCE,
            )
            for code, of_plan in (
                ("common_electricity", "single"),
                ("common_electricity_reduced", "single_reduced"),
            )
        ),
        document(
            "cold_water",
            "cold_water",
            ("Холодное водоснабжение", "Cold water"),
            "meter",
            f"{dated('per_m3', '50.12', '54.63')}\nnorm: {WATER_NORM}",
            _WATER_SOURCE,
        ),
        document(
            "hot_water",
            "hot_water",
            ("Горячее водоснабжение", "Hot water"),
            "meter",
            f"{dated('per_m3', '50.12', '54.63')}\nnorm: {WATER_NORM}\nheating:\n"
            f"  gcal_per_m3: 0.0526\n  {dated('per_gcal', '1989.90', '2288.38')}",
            _WATER_SOURCE,
        ),
        document(
            "drainage",
            "drainage",
            ("Водоотведение", "Drainage"),
            "water",
            dated("per_m3", "35.70", "38.40"),
        ),
        document(
            "housing",
            "upkeep",
            ("Содержание жилого помещения", "Upkeep of the housing"),
            "area",
            dated("per_m2", "26.84", "26.84"),
        ),
        document(
            "housing",
            "waste",
            ("Обращение с ТКО", "Waste removal"),
            "person",
            dated("per_person", "118.52", "118.52"),
        ),
    )


def live_services(application: Application, plan: TownPlan, month: Month) -> None:
    """Let the houses have their services, and the month's readings come; again changes nothing."""
    meters = _registered(application, plan)
    months = month.ordinal - plan.first_month.ordinal
    day = month.first_day.replace(day=EARLY_DAY if months == EARLY_IN else READ_DAY)
    taken = [(day, datetime.combine(day, time(19, 50), plan.zone).astimezone(UTC))]
    if not months:
        taken.insert(0, (plan.first_day, local_midnight(plan.first_day, plan.zone)))
    for read_on, taken_at in taken:
        if taken_at > application.clock.now():
            continue
        days = (read_on - plan.first_day).days
        values = {_SMALL_HOUSE: _house_wh(days)} | {
            meter.point_code: meter.total_l(days) // 10 * 10 for meter in WATER_METERS
        }
        readings = [
            RegisterReading(meters[point], Zone.ALL, taken_at, value)
            for point, value in values.items()
        ]
        came = FixedClock(taken_at + timedelta(minutes=10))
        with application.database.writing() as session:
            write_registers(session, readings, came, source="demo: by hand")


def _house_wh(days: int) -> int:
    """Return what the small house's meter shows so many days after the first."""
    flats = sum(flat.total_wh(days) - flat.total_wh(0) for flat in FLATS if flat.metered)
    since = _TAKEN_OVER_WH if days else 0
    shown = _HOUSE_OPENING_WH + since + flats + days * (_STAIRS_WH + _UNMETERED_WH)
    return shown - shown % 1000


def _registered(application: Application, plan: TownPlan) -> dict[str, int]:
    first = FixedClock(local_midnight(plan.first_day, plan.zone))
    with application.database.writing() as session:
        places = register_places(session, _places(plan), first)
        for commodity, litres in ((Commodity.COLD_WATER, 4_745), (Commodity.HOT_WATER, 3_190)):
            norm = Norm(WATER_NORM, plan.first_day, 0, 0, litres, _EXAMPLE)
            write_norms(session, commodity, [norm], first.at)
        for document in service_documents(plan):
            publish_service(session, ServiceOrder(SCOPE, document), first)
        for building, code, method, decision in (
            ("KHV-1", "common_electricity", CommonAreaMethod.NORM, ""),
            ("KHV-2", "common_electricity", CommonAreaMethod.ACTUAL, "Протокол № 2"),
            ("KHV-3", "common_electricity_reduced", CommonAreaMethod.NORM, ""),
            (HOUSE, "common_electricity_reduced", CommonAreaMethod.ACTUAL, "Протокол № 1"),
            (HOUSE, "cold_water", None, "Договор ресурсоснабжения"),
            (HOUSE, "hot_water", None, "Договор ресурсоснабжения"),
            (HOUSE, "drainage", None, "Договор ресурсоснабжения"),
            (HOUSE, "upkeep", None, "Договор управления"),
            (HOUSE, "waste", None, "Договор с региональным оператором"),
        ):
            order = AssignOrder(
                SCOPE, building, code, plan.first_day, method=method, document=decision
            )
            assign_service(session, order, first)
    return {point: int(meter_id) for (point, _), meter_id in places.meter_ids.items()}


def _places(plan: TownPlan) -> PlacesOrder:
    installed = plan.first_day.replace(year=plan.first_day.year - 2, day=1)
    verified = plan.first_day.replace(year=plan.first_day.year + 4, day=1)
    points = {meter.point_code: meter for meter in WATER_METERS}
    return PlacesOrder(
        common_areas=(
            CommonArea("KHV-1", "STAIRS", CommonAreaKind.STAIRS, "Подъезды", 412_00),
            CommonArea("KHV-1", "CELLAR", CommonAreaKind.CELLAR, "Подвал", 228_00),
            CommonArea("KHV-2", "STAIRS", CommonAreaKind.STAIRS, "Подъезды", 925_80),
            CommonArea("KHV-3", "STAIRS", CommonAreaKind.STAIRS, "Подъезды", 296_00),
            CommonArea(HOUSE, "STAIRS", CommonAreaKind.STAIRS, "Подъезд", 21_60),
        ),
        points=(
            MeteringPoint(_SMALL_HOUSE, HOUSE),
            *(
                MeteringPoint(meter.point_code, HOUSE, meter.flat, meter.commodity)
                for meter in WATER_METERS
            ),
        ),
        meters=(
            Meter(
                _SMALL_HOUSE,
                "H4000001",
                installed,
                "Счётчик Т-3 (демо)",
                digits=6,
                verified_until=verified,
            ),
            *(
                Meter(
                    code, meter.serial, installed, "СВ-15 (демо)", digits=5, verified_until=verified
                )
                for code, meter in points.items()
            ),
        ),
    )
