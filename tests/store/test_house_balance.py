"""The balance of houses as it is stored, and who may see it; on both databases."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import insert

from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, NotFound
from kilokassa.core.ids import CompanyId
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.balance.house import Totals
from metering.balance.service import (
    BalanceQuery,
    HouseQuery,
    house_balance,
    house_suspects,
    list_balances,
)
from metering.balance.suspects import PartKind
from metering.days import whole_days
from metering.events.kinds import DeviceEventKind
from metering.models import DeviceEventRow, FindingRow
from metering.registers import RegisterReading
from metering.registry.places import (
    Building,
    Channel,
    CommonArea,
    CommonAreaKind,
    Company,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
)
from metering.service import register_places
from metering.store import write_days, write_registers

ZONE = ZoneInfo("Asia/Vladivostok")
OCTOBER = Month(2026, 10)
LATER = FixedClock(datetime(2026, 11, 20, tzinfo=UTC))
ALL = system_scope("test")
FLATS = 6


def register(database, *, input_min=30, input_channel=True):
    numbers = range(1, FLATS + 1)
    order = PlacesOrder(
        companies=(Company("UK1", "УК Первая"), Company("UK2", "УК Вторая")),
        buildings=(
            Building("B1", "Ленина 1", ZONE.key, "UK1", loss_ppm=10_000, loss_w=6),
            Building("B2", "Ленина 2", ZONE.key, "UK2"),
        ),
        premises=tuple(Premises("B1", str(n), 5000) for n in numbers),
        common_areas=(CommonArea("B1", "LIFT", CommonAreaKind.LIFT),),
        points=(
            *(MeteringPoint(f"F{n}", "B1", str(n)) for n in numbers),
            MeteringPoint("LIFT", "B1", common_area_code="LIFT"),
            MeteringPoint("HOUSE", "B1"),
            MeteringPoint("HOUSE2", "B2"),
        ),
        meters=(
            *(Meter(f"F{n}", f"S{n}", date(2020, 1, 1)) for n in numbers),
            Meter("HOUSE", "H1", date(2020, 1, 1)),
        ),
        channels=(
            *(Channel(f"F{n}", 30) for n in numbers[:-1]),
            Channel("LIFT", 60),
            *((Channel("HOUSE", input_min),) if input_channel else ()),
        ),
    )
    with database.writing() as session:
        return register_places(session, order, LATER)


def write(database, channel_id, days, energy_wh, *, interval_min=30, missing=(), estimated=()):
    """Write days of equal intervals; (day, interval) in `missing` have no value."""
    width = 24 * 60 // interval_min
    energy = np.broadcast_to(np.asarray(energy_wh), (len(days), width)).copy()
    quality = np.full(energy.shape, Quality.ACTUAL, np.uint8)
    for day, interval in missing:
        quality[days.index(day), interval] = Quality.MISSING
    for day, interval in estimated:
        quality[days.index(day), interval] = Quality.ESTIMATED
    block = whole_days(interval_min, [channel_id] * len(days), days, energy, quality)
    with database.writing() as session:
        write_days(session, [block], LATER, source="test")


def read_registers(database, meter_id, *readings):
    rows = [
        RegisterReading(meter_id, Zone.ALL, local_midnight(day, ZONE), wh, Quality.ACTUAL)
        for day, wh in readings
    ]
    with database.writing() as session:
        write_registers(session, rows, LATER, source="test")


def fill(database, places, days):
    """Five flats of 100 Wh a half hour, a lift of 60 Wh an hour, 1000 Wh into the house."""
    for n in range(1, FLATS):
        missing = [(days[3], 10)] if n == 2 else []
        write(database, places.channel_ids[f"F{n}", "A+"], days, 100, missing=missing)
    write(database, places.channel_ids["LIFT", "A+"], days, 60, interval_min=60)


def company_scope(places, code):
    company = CompanyId(places.company_ids[code])
    return Scope(Role.COMPANY, "user:1", company_ids=frozenset({company}))


def test_a_month_is_balanced_over_its_hours_that_are_known(database):
    places = register(database)
    days = list(OCTOBER.days)
    fill(database, places, days)
    write(database, places.channel_ids["HOUSE", "A+"], days, 1000)
    read_registers(
        database, places.meter_ids["F6", "S6"], (days[0], 0), (date(2026, 11, 1), 744_000)
    )

    with database.reading() as session:
        found = house_balance(session, HouseQuery(ALL, "B1", OCTOBER), LATER)

    # The lift counts by the hour, so the house does; of 744 hours one has a flat without a value.
    hours = 743
    assert (found.balance.intervals, found.balance.covered) == (744, hours)
    assert found.balance.totals == Totals(
        input_wh=2000 * hours,
        flats_wh=1000 * hours + 1000 * hours,
        common_wh=60 * hours,
        losses_wh=20 * hours + 6 * hours,
        remainder_wh=-86 * hours,
    )
    assert (found.balance.by_registers, found.balance.unread) == (1, ())
    assert [day.incomplete for day in found.days[:5]] == [0, 0, 0, 1, 0]
    assert found.days[0].totals == Totals(48_000, 24_000, 1440, 624, 21_936)
    assert found.by_interval.remainder_wh[found.of_day(days[3])].tolist().count(0) == 1


def test_estimated_values_take_part_and_are_told(database):
    places = register(database)
    days = list(OCTOBER.days)
    fill(database, places, days)
    guessed = [(days[5], 20), (days[5], 21), (days[6], 0)]
    write(database, places.channel_ids["HOUSE", "A+"], days, 1000, estimated=guessed)

    with database.reading() as session:
        found = house_balance(session, HouseQuery(ALL, "B1", OCTOBER), LATER)

    assert (found.estimated, found.estimated_points) == (2, ("HOUSE",))
    assert found.balance.covered == 743


def test_a_point_that_gave_nothing_is_told_and_stops_nothing(database):
    places = register(database)
    days = list(OCTOBER.days)
    for n in range(1, FLATS - 1):
        write(database, places.channel_ids[f"F{n}", "A+"], days, 100)
    write(database, places.channel_ids["LIFT", "A+"], days, 60, interval_min=60)
    write(database, places.channel_ids["HOUSE", "A+"], days, 1000)
    read_registers(
        database, places.meter_ids["F5", "S5"], (days[0], 5000), (date(2026, 11, 1), 749_000)
    )

    with database.reading() as session:
        found = house_balance(session, HouseQuery(ALL, "B1", OCTOBER), LATER)

    assert found.balance.unread == ("F6",)
    assert found.balance.by_registers == 1  # the registers of the point whose channel is silent
    assert found.balance.totals.flats_wh == 744 * 800 + 744_000


def test_a_house_read_by_registers_is_balanced_by_the_month(database):
    places = register(database, input_channel=False)
    days = list(OCTOBER.days)
    for n in range(1, FLATS):
        write(database, places.channel_ids[f"F{n}", "A+"], days, 100)
    write(database, places.channel_ids["LIFT", "A+"], days, 60, interval_min=60)
    read_registers(
        database, places.meter_ids["HOUSE", "H1"], (days[0], 0), (date(2026, 11, 1), 1_488_000)
    )

    with database.reading() as session:
        found = house_balance(session, HouseQuery(ALL, "B1", OCTOBER), LATER)

    assert found.balance.totals == Totals(1_488_000, 744_000, 44_640, 14_880 + 4464, 680_016)


def test_of_the_running_month_the_days_that_passed_are_balanced(database):
    places = register(database)
    days = list(OCTOBER.days)
    fill(database, places, days[:9])
    write(database, places.channel_ids["HOUSE", "A+"], days[:9], 1000)
    tenth = FixedClock(datetime(2026, 10, 10, 3, tzinfo=UTC))

    with database.reading() as session:
        found = house_balance(session, HouseQuery(ALL, "B1", OCTOBER), tenth)

    assert [day.day for day in found.days] == days[:9]
    assert found.balance.covered == 9 * 24 - 1


def test_a_house_without_readings_has_no_balance(database):
    register(database)

    with database.reading() as session:
        listed, total = list_balances(session, BalanceQuery(ALL, OCTOBER), LATER)
        found, _ = list_balances(session, BalanceQuery(ALL, OCTOBER, search="ленина 2"), LATER)
        second, _ = list_balances(session, BalanceQuery(ALL, OCTOBER, limit=1, offset=1), LATER)

    assert [(one.house.code, one.balance.totals) for one in listed] == [("B1", None), ("B2", None)]
    assert total == 2
    assert [one.house.code for one in found] == [one.house.code for one in second] == ["B2"]


def test_a_company_sees_its_own_houses_only(database):
    places = register(database)
    own = company_scope(places, "UK1")
    other = company_scope(places, "UK2")

    with database.reading() as session:
        listed, total = list_balances(session, BalanceQuery(own, OCTOBER), LATER)
        with pytest.raises(NotFound):
            house_balance(session, HouseQuery(other, "B1", OCTOBER), LATER)
        with pytest.raises(NotFound):
            house_suspects(session, HouseQuery(other, "B1", OCTOBER), LATER)

    assert ([one.house.code for one in listed], total) == (["B1"], 1)


def test_a_resident_sees_no_balance(database):
    register(database)
    resident = Scope(Role.RESIDENT, "user:2")

    with database.reading() as session, pytest.raises(Forbidden):
        house_balance(session, HouseQuery(resident, "B1", OCTOBER), LATER)


def test_a_thief_of_stored_readings_is_first_with_what_the_meter_told(database):
    places = register(database)
    days = [date(2026, 9, 2) + timedelta(days=n) for n in range(60)]
    rng = np.random.default_rng(7)
    used = rng.integers(20, 400, (FLATS - 1, 60, 48))
    since = days[30]
    seen = used.copy()
    seen[2, 30:] = seen[2, 30:] * 6 // 10
    for n in range(1, FLATS):
        write(database, places.channel_ids[f"F{n}", "A+"], days, seen[n - 1])
    write(database, places.channel_ids["LIFT", "A+"], days, 60, interval_min=60)
    through = used.sum(axis=0) + 30 + rng.integers(0, 60, (60, 48))
    write(database, places.channel_ids["HOUSE", "A+"], days, through)
    opened = local_midnight(since, ZONE)
    with database.writing() as session:
        session.execute(
            insert(DeviceEventRow),
            [
                {
                    "point_id": places.point_ids[code],
                    "kind": kind,
                    "starts_at": opened,
                    "ends_at": opened + timedelta(days=9),
                    "source": "test",
                    "actor": "test",
                    "recorded_at": LATER.now(),
                }
                for code, kind in (
                    ("F3", DeviceEventKind.MAGNET),
                    ("F4", DeviceEventKind.POWER_OFF),
                    ("F5", DeviceEventKind.PHASE_LOST),
                )
            ],
        )

    with database.reading() as session:
        found = house_suspects(session, HouseQuery(ALL, "B1", OCTOBER), LATER, charts=3)

    first = found.ranked[0]
    assert (first.point.code, found.left_out) == ("F3", ("F6",))
    assert abs((first.suspect.since - since).days) <= 1
    assert 350_000 < first.suspect.hidden_ppm < 450_000
    kinds = {part.kind for part in first.suspect.parts}
    assert kinds == {PartKind.SHAPE, PartKind.DROP, PartKind.TAMPER}
    assert sum(first.evidence.growth_by_slot_wh) == pytest.approx(
        sum(first.evidence.shape_by_slot_wh), rel=0.2
    )
    told = {
        one.point.code: {part.kind for part in one.suspect.parts}
        & {PartKind.TAMPER, PartKind.PHASE}
        for one in found.ranked
    }
    assert told == {
        "F1": set(),
        "F2": set(),
        "F3": {PartKind.TAMPER},
        "F4": set(),
        "F5": {PartKind.PHASE},
    }


def test_a_stuck_value_and_an_expired_verification_are_evidence(database):
    places = register(database)
    order = PlacesOrder(
        meters=(Meter("F1", "S1", date(2020, 1, 1), verified_until=date(2026, 9, 1)),)
    )
    with database.writing() as session:
        register_places(session, order, LATER)
        session.execute(
            insert(FindingRow),
            [
                {
                    "kind": "stuck",
                    "point_code": "F1",
                    "starts_at": datetime(2026, 10, 5, tzinfo=UTC),
                    "ends_at": datetime(2026, 10, 9, tzinfo=UTC),
                    "detail": "{}",
                    "state": state,
                    "weight": 1,
                    "recorded_at": LATER.now(),
                }
                for state in ("open", "accepted")
            ],
        )
    days = [date(2026, 9, 2) + timedelta(days=n) for n in range(60)]
    for n in range(1, FLATS):
        write(database, places.channel_ids[f"F{n}", "A+"], days, 100 + n)
    write(database, places.channel_ids["LIFT", "A+"], days, 60, interval_min=60)
    write(database, places.channel_ids["HOUSE", "A+"], days, 1000)

    with database.reading() as session:
        found = house_suspects(session, HouseQuery(ALL, "B1", OCTOBER), LATER)

    of_first = next(one for one in found.ranked if one.point.code == "F1")
    told = {part.kind: part for part in of_first.suspect.parts}
    assert told[PartKind.STUCK].detail == {"count": 1}
    assert told[PartKind.VERIFICATION].detail == {"expired": date(2026, 9, 1)}
