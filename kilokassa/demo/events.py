"""What the demo town has to watch over: a row of garages with every fault, a power cut, cold rooms.

The garages have meters and no accounts: nothing that is billed looks wrong because of them. Every
step goes through the services that everyone else uses, at the instant at which it would have been.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing import store as billing_store
from kilokassa.app.checking import check_readings
from kilokassa.app.readings_import import import_readings
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope
from kilokassa.core.zones import Zone
from kilokassa.demo.households import draws
from kilokassa.demo.population import TownPlan
from metering.events.kinds import (
    DeviceEventKind,
    EventLine,
    QualityBasis,
    QualityEventKind,
    QualityEventState,
)
from metering.events.service import (
    DecideOrder,
    DeviceEventsOrder,
    QualityOrder,
    decide_quality,
    record_device_events,
    record_quality,
)
from metering.events.store import event_meters
from metering.findings.finding import FindingKind
from metering.findings.service import AcceptOrder, accept_findings
from metering.findings.store import FindingFilter, find_findings
from metering.models import BuildingRow, QualityEventRow
from metering.registers import RegisterReading
from metering.registry.places import (
    Building,
    Channel,
    Commodity,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
)
from metering.service import register_places
from metering.store import write_registers

GARAGES: Final = "KHV-G"
BOXES: Final = 10
HALVES: Final = 48
SPIKE, STUCK, OVER, OFF, DIFFERS, SWAPPED, SHIFTED, BROKEN, COARSE, OLD = range(1, BOXES + 1)
"""What is wrong with the meter of each box."""
FULL_MONTHS_BEFORE: Final = 10
"""The garages were read for the eleventh and twelfth month of the town."""
CAPACITY_W: Final = 3_000


@dataclass(frozen=True, slots=True)
class _Days:
    """The two months in which the garages were read."""

    first_month: Month
    plan: TownPlan

    @property
    def first(self) -> date:
        return self.first_month.first_day

    @property
    def end(self) -> date:
        return self.first_month.plus(2).first_day

    @property
    def count(self) -> int:
        return (self.end - self.first).days

    def at(self, day: int, clock: str = "00:00") -> datetime:
        """Return a local time on the day with this number, from 0."""
        hour, minute = map(int, clock.split(":"))
        local = self.first + timedelta(days=day)
        return datetime(local.year, local.month, local.day, hour, minute, tzinfo=self.plan.zone)


def ensure_watch(application: Application, plan: TownPlan, scope: Scope) -> bool:
    """Let the town have events, findings and records of quality; say whether they were made now.

    A second call changes nothing. `scope` is the demo's own.
    """
    days = _Days(plan.first_month.plus(FULL_MONTHS_BEFORE), plan)
    if days.end > plan.today:
        return False
    with application.database.reading() as session:
        known = session.scalar(
            select(func.count()).select_from(BuildingRow).where(BuildingRow.code == GARAGES)
        )
    if known:
        return False
    then = Application(
        application.settings,
        application.database,
        FixedClock(min(local_midnight(days.end, plan.zone), application.clock.now())),
    )
    _register(then, days)
    _read(then, days, scope)
    _tell(then, days, scope)
    for month in (days.first_month, days.first_month.plus(1)):
        check_readings(then, scope=scope, month=month, building_code=GARAGES)
    _accept(then, scope)
    with then.database.writing() as session:
        _record_quality(session, then, days, scope)
    return True


def point(box: int) -> str:
    """Return the code of the point of a box."""
    return f"{GARAGES}-{box:02d}"


# --- places and readings ---


def _register(application: Application, days: _Days) -> None:
    boxes = range(1, BOXES + 1)
    order = PlacesOrder(
        buildings=(
            Building(
                GARAGES,
                "г. Хабаровск, ул. Счётная, гаражи",
                days.plan.zone.key,
                days.plan.companies[0].code,
            ),
        ),
        premises=tuple(Premises(GARAGES, str(box), 18_00) for box in boxes),
        points=tuple(
            MeteringPoint(
                point(box), GARAGES, str(box), capacity_w=CAPACITY_W if box == OVER else None
            )
            for box in boxes
        ),
        meters=tuple(
            Meter(
                point(box),
                f"3100{box:02d}",
                days.first.replace(year=days.first.year - 4, day=1),
                "Счётчик Д-208 (демо)",
                4 if box == OLD else 6,
            )
            for box in boxes
        ),
        channels=tuple(Channel(point(box), 30) for box in boxes if box not in (SWAPPED, OLD)),
    )
    with application.database.writing() as session:
        register_places(session, order, application.clock)


def _read(application: Application, days: _Days, scope: Scope) -> None:
    """Import what a head-end system would send, and what a person would write down."""
    _import(application, scope, "garages.csv", "point;time;value", _interval_rows(days))
    _import(application, scope, "garages-again.csv", "point;time;value", _odd_rows(days))
    with application.database.writing() as session:
        meters = _meter_ids(session, scope)
        write_registers(session, _counted(days, meters), application.clock, source="demo: by hand")
    _import(application, scope, "garages-registers.csv", "meter;zone;time;value", _old_rows(days))


def _import(
    application: Application, scope: Scope, name: str, header: str, rows: Iterator[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        import_readings(application.database, path, scope=scope, clock=application.clock)


def box_days(box: int, count: int) -> npt.NDArray[np.int64]:
    """Return what a box uses, whole Wh by (day, half hour): most of it in the evening."""
    rng = draws(60, box)
    days = rng.integers(20, 60, (count, HALVES))
    evenings = rng.integers(250, 700, (count, 8))
    days[:, 36:44] += evenings
    if box == SPIKE:
        days[-9, 39] = 9_700
    if box == STUCK:
        days[-12:-10] = 137
    if box == OVER:
        days[-6, 38:40] = 2_150
    if box == SHIFTED:
        days[-14:] = np.roll(days[-14:], 4, axis=1)
    return days


def _interval_rows(days: _Days) -> Iterator[str]:
    for box in range(1, BOXES + 1):
        if box in (SWAPPED, OLD):
            continue
        for number, values in enumerate(box_days(box, days.count).tolist()):
            day = days.first + timedelta(days=number)
            hourly = box == COARSE and number >= days.count - 5
            for half in range(0, HALVES, 2 if hourly else 1):
                if box == BROKEN and number == days.count - 30 and 20 <= half < 31:
                    continue
                energy_wh = values[half] + (values[half + 1] if hourly else 0)
                yield _row(box, day, half, energy_wh)


def _odd_rows(days: _Days) -> Iterator[str]:
    """Yield a file of the last day in which hardly anything is right."""
    day = days.end - timedelta(days=1)
    values = box_days(BROKEN, days.count)[-1].tolist()
    yield _row(BROKEN, day, 3, values[3])
    yield _row(BROKEN, day, 2, values[2])
    yield _row(BROKEN, day, 2, values[2] + 111)
    yield _row(BROKEN, day, 5, values[5])
    yield _row(BROKEN, day, 5, values[5])
    yield f"{point(BROKEN)};{day}T04:00;-0.120"
    yield f"{point(BROKEN)};{day}T05:10;0.050"
    yield f"{GARAGES}-99;{day}T05:00;0.050"


def _row(box: int, day: date, half: int, energy_wh: int) -> str:
    clock = f"{half // 2:02d}:{half % 2 * 30:02d}"
    return f"{point(box)};{day}T{clock};{energy_wh // 1000}.{energy_wh % 1000:03d}"


def _meter_ids(session: Session, scope: Scope) -> dict[int, int]:
    codes = {point(box): box for box in range(1, BOXES + 1)}
    found = event_meters(session, scope, codes=codes)
    return {codes[one.point_code]: one.meter_id for one in found if one.meter_id is not None}


def _counted(days: _Days, meters: dict[int, int]) -> list[RegisterReading]:
    """Return what registers showed: of one an eighth is lost, of one two zones were exchanged."""
    edges = [days.first, days.first_month.plus(1).first_day, days.end]
    total, readings = 4_000_000, []
    energy = box_days(DIFFERS, days.count).sum(axis=1)
    for number, edge in enumerate(edges):
        if number:
            since = (edges[number - 1] - days.first).days
            used = int(energy[since : (edge - days.first).days].sum())
            total += used if number == 1 else used * 7 // 8
        readings.append(
            RegisterReading(meters[DIFFERS], Zone.ALL, local_midnight(edge, days.plan.zone), total)
        )
    day, night = 2_000_000, 1_500_000
    counted = ((310, 96), (298, 104), (305, 99), (101, 312))
    for number, (of_day, of_night) in enumerate([(0, 0), *counted]):
        day, night = day + of_day * 1000, night + of_night * 1000
        taken_at = local_midnight(days.first_month.plus(number - 2).first_day, days.plan.zone)
        readings += [
            RegisterReading(meters[SWAPPED], Zone.DAY, taken_at, day),
            RegisterReading(meters[SWAPPED], Zone.NIGHT, taken_at, night),
        ]
    return readings


def _old_rows(days: _Days) -> Iterator[str]:
    """Yield readings of a meter of four digits: it rolls over, then somebody misreads it."""
    for number, value in enumerate(("9931.0", "34.0", "21.0")):
        day = days.first_month.plus(number).first_day
        yield f"3100{OLD:02d};all;{day};{value}"


# --- events ---


def _tell(application: Application, days: _Days, scope: Scope) -> None:
    """Let meters of the garages and of the first two houses tell what they noticed."""
    last = days.count
    first_house = [a.point_code for a in days.plan.accounts if a.building_code == "KHV-1"]
    second_house = [a.point_code for a in days.plan.accounts if a.building_code == "KHV-2"]
    off, on = days.at(last - 17, "19:11"), days.at(last - 17, "19:52")
    lines = [
        EventLine(
            0, point(OFF), "", DeviceEventKind.DISCONNECTED, days.at(last - 8), days.at(last - 7)
        ),
        EventLine(
            0,
            point(SHIFTED),
            "",
            DeviceEventKind.CLOCK_SET,
            days.at(last - 1, "04:00"),
            value=-7_204,
        ),
        EventLine(0, point(SPIKE), "", DeviceEventKind.COVER_OPENED, days.at(last - 9, "18:40")),
        EventLine(
            0,
            second_house[30],
            "",
            DeviceEventKind.PHASE_LOST,
            days.at(last - 25, "07:20"),
            days.at(last - 23, "11:05"),
        ),
        EventLine(
            0,
            second_house[44],
            "",
            DeviceEventKind.VOLTAGE_OUT_OF_RANGE,
            days.at(last - 14, "20:10"),
            days.at(last - 14, "21:40"),
            1_934,
        ),
        *(
            EventLine(
                0,
                code,
                "",
                DeviceEventKind.POWER_OFF,
                off + timedelta(seconds=place % 20),
                on + timedelta(seconds=place % 30),
            )
            for place, code in enumerate(first_house)
        ),
    ]
    order = DeviceEventsOrder(tuple(lines), "demo", scope)
    with application.database.writing() as session:
        record_device_events(session, order, application.clock)


# --- what people did ---


def _accept(application: Application, scope: Scope) -> None:
    """Let a clerk accept what is in order: values that came twice, a register that rolled over."""
    clerk = Scope(Role.OPERATOR, "demo", whole_retailer=True)
    notes = {
        FindingKind.DUPLICATE_SAME: "Повтор посылки, значения те же",
        FindingKind.REGISTER_ROLLOVER: "Четыре разряда: прибор перешёл через ноль",
    }
    for kind, note in notes.items():
        with application.database.writing() as session:
            found = find_findings(session, scope, FindingFilter(kind=kind), limit=3)
            if found:
                order = AcceptOrder(tuple(one.id for one in found), note, clerk)
                accept_findings(session, order, application.clock)


def _record_quality(session: Session, application: Application, days: _Days, scope: Scope) -> None:
    """Record a power cut by a complaint and an act, a cold winter night, and a voltage too low."""
    clock, last = application.clock, days.count
    cut = session.scalars(
        select(QualityEventRow.id).where(QualityEventRow.basis == QualityBasis.METER)
    ).first()
    resident = _resident(session, days)
    if resident is not None:
        actor, premises_id = resident
        record_quality(
            session,
            QualityOrder(
                commodity=Commodity.ELECTRICITY,
                kind=QualityEventKind.NO_SUPPLY,
                basis=QualityBasis.COMPLAINT,
                starts_at=days.at(last - 17, "19:10"),
                ends_at=days.at(last - 17, "20:00"),
                scope=actor,
                premises_id=premises_id,
                note="Весь подъезд без света, ждали до восьми",
            ),
            clock,
        )
    if cut is not None:
        note = "Акт № 41: повреждён ввод, питание восстановлено"
        decide_quality(session, DecideOrder(cut, QualityEventState.CONFIRMED, note, scope), clock)
    january = next(m for m in _months(days.plan) if m.number == 1)
    night = datetime(january.year, 1, 16, 21, tzinfo=days.plan.zone)
    break_of_heat = QualityOrder(
        commodity=Commodity.HEAT,
        kind=QualityEventKind.NO_SUPPLY,
        basis=QualityBasis.ACT,
        starts_at=night,
        ends_at=night + timedelta(hours=21),
        scope=scope,
        building_code="KHV-2",
        measured_tenths=141,
        document="акт № 6 от 17 января",
    )
    cold_flat = QualityOrder(
        commodity=Commodity.HEAT,
        kind=QualityEventKind.ROOM_TEMPERATURE,
        basis=QualityBasis.ACT,
        starts_at=night + timedelta(days=3),
        ends_at=night + timedelta(days=5),
        scope=scope,
        building_code="KHV-2",
        premises_number="14",
        measured_tenths=163,
        document="акт № 9 от 21 января",
    )
    for order in (break_of_heat, cold_flat):
        done = record_quality(session, order, clock)
        decide_quality(
            session,
            DecideOrder(done.event.id, QualityEventState.CONFIRMED, "Измерено при жильце", scope),
            clock,
        )
    low = QualityOrder(
        commodity=Commodity.ELECTRICITY,
        kind=QualityEventKind.VOLTAGE,
        basis=QualityBasis.METER,
        starts_at=days.at(last - 14, "20:10"),
        ends_at=days.at(last - 14, "21:40"),
        scope=scope,
        building_code="KHV-2",
        premises_number="45",
        measured_tenths=1_934,
    )
    record_quality(session, low, clock)


def _months(plan: TownPlan) -> Iterator[Month]:
    yield from (plan.first_month.plus(n) for n in range(12))


def _resident(session: Session, days: _Days) -> tuple[Scope, int] | None:
    """Return a resident of the first house, and the own premises."""
    account = next(a for a in days.plan.accounts if a.building_code == "KHV-1")
    ids = billing_store.accounts_by_numbers(session, [account.number])
    account_id = ids.get(account.number)
    if account_id is None:
        return None
    scope = Scope(Role.RESIDENT, "demo", account_ids=frozenset({AccountId(account_id)}))
    row = billing_store.account_by_number(session, scope, account.number)
    return scope, row.premises_id
