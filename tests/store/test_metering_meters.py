"""Lives of meters in the database: recording, replacing, what is due; rights on each."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import func, select

from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.zones import Zone
from metering.days import whole_days
from metering.meters.life import DueBand, DueReason, LifeEvent, LifeStage, MeterLifeConflict
from metering.meters.service import (
    LifeEventOrder,
    record_life_event,
    replace_meter,
    replace_meter_for,
)
from metering.meters.store import DueFilter, due_meters
from metering.models import MeterLifeEventRow, MeterRow, RegisterReadingRow
from metering.registers import RegisterReading, register_differences
from metering.registry.places import (
    Building,
    Channel,
    Commodity,
    Company,
    LifeEventKind,
    Meter,
    MeteringPoint,
    MeterReplacement,
    PlacesOrder,
    Premises,
    Servicer,
)
from metering.registry.service import (
    BuildingEdit,
    PointEdit,
    edit_building,
    edit_point,
    register_places,
)
from metering.registry.store import (
    building_by_code,
    latest_readings,
    list_buildings,
    list_points,
    meter_of_point,
    point_by_code,
)
from metering.store import (
    load_matrix,
    load_registers,
    meters_of_premises,
    write_days,
    write_registers,
)

ZONE = ZoneInfo("Asia/Vladivostok")
TODAY = date(2026, 11, 24)
ALL = system_scope("test")
TOWN = PlacesOrder(
    companies=(Company("UK1", "УК Первая", email="uk1@town.example"), Company("UK2", "УК Вторая")),
    servicers=(Servicer("SERV", "Метролог", "serv@town.example"),),
    buildings=(
        Building("B1", "ул. Ленина, 1", ZONE.key, "UK1", "SERV"),
        Building("B2", "ул. Мира, 2", ZONE.key, "UK2"),
    ),
    premises=(Premises("B1", "1", 4500), Premises("B1", "2", 4600), Premises("B2", "1", 4700)),
    points=(
        MeteringPoint("P1", "B1", "1"),
        MeteringPoint("P2", "B1", "2", exchange_code="27-0002"),
        MeteringPoint("W1", "B1", "1", Commodity.COLD_WATER),
        MeteringPoint("P3", "B2", "1"),
    ),
    meters=(
        Meter("P1", "S1", date(2020, 1, 1), verified_until=date(2036, 1, 1)),
        Meter("P2", "S2", date(2020, 1, 1), verified_until=date(2026, 11, 20)),
        Meter("W1", "W-1", date(2020, 1, 1), digits=5, verified_until=date(2026, 12, 10)),
        Meter("P3", "S3", date(2020, 1, 1)),
    ),
    channels=(Channel("P1", 30), Channel("P2", 30)),
)


@pytest.fixture
def places(database, clock):
    with database.writing() as session:
        return register_places(session, TOWN, clock)


@pytest.fixture
def company(places):
    return Scope(Role.COMPANY, "uk1", company_ids=frozenset({places.company_ids["UK1"]}))


@pytest.fixture
def operator_of_first_house(places):
    return Scope(Role.OPERATOR, "op", building_ids=frozenset({places.building_ids["B1"]}))


def record(database, clock, kind, day, until=None, *, point="P1", serial="S1", scope=ALL, **more):
    event = LifeEvent(LifeEventKind(kind), day, until, **more)
    with database.writing() as session:
        return record_life_event(session, LifeEventOrder(scope, point, serial, event), clock)


def meter(database, point="P1", serial="S1"):
    with database.reading() as session:
        return meter_of_point(session, ALL, point, serial)


def count(database, table):
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


# --- recording ---


def test_a_verification_moves_the_date_of_the_meter_and_keeps_the_former_one(
    database, clock, places
):
    told = record(
        database, clock, "verified", date(2026, 11, 1), date(2042, 10, 31), document="С-1/2026"
    )

    stands = meter(database)
    assert not told.repeated
    assert stands.dates.verified_until == date(2042, 10, 31)
    assert [(e.happened_on, e.valid_until, e.document, e.actor) for e in stands.events] == [
        (date(2020, 1, 1), date(2036, 1, 1), "", "registry"),
        (date(2026, 11, 1), date(2042, 10, 31), "С-1/2026", "test"),
    ]
    assert stands.life.verified_on(date(2022, 1, 1))


def test_an_older_certificate_that_comes_late_does_not_move_the_date_back(database, clock, places):
    record(database, clock, "verified", date(2026, 11, 1), date(2042, 10, 31))

    record(database, clock, "verified", date(2019, 12, 1), date(2035, 11, 30))

    assert meter(database).dates.verified_until == date(2042, 10, 31)


def test_the_same_event_again_changes_nothing(database, clock, places):
    record(database, clock, "sealed", date(2026, 11, 1), document="7")

    again = record(database, clock, "sealed", date(2026, 11, 1), document="7")

    assert again.repeated
    assert count(database, MeterLifeEventRow) == 1


def test_a_retired_meter_leaves_its_point(database, clock, places):
    record(database, clock, "retired", date(2026, 11, 2))

    stands = meter(database)
    assert (stands.life.stage, stands.dates.removed_on) == (LifeStage.RETIRED, date(2026, 11, 2))
    with pytest.raises(MeterLifeConflict):
        record(database, clock, "sealed", date(2026, 11, 3))


def test_a_file_does_not_move_a_date_that_a_certificate_gave(database, clock, places):
    record(database, clock, "verified", date(2026, 11, 1), date(2042, 10, 31))

    with database.writing() as session:
        register_places(session, TOWN, clock)

    assert meter(database).dates.verified_until == date(2042, 10, 31)


@pytest.mark.parametrize(
    ("kind", "day", "problem"),
    [
        ("replaced", date(2026, 11, 1), "names the new meter"),
        ("installed", date(2026, 11, 1), "registered as installed on 2020-01-01"),
        ("sealed", date(2026, 11, 25), "in the future"),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_leaves_nothing(
    database, clock, places, kind, day, problem
):
    with pytest.raises(Invalid, match=problem):
        record(database, clock, kind, day)

    assert count(database, MeterLifeEventRow) == 0


def test_the_day_is_that_of_the_house(database, places):
    # 15:30 UTC is half past one of the next day in Хабаровск.
    evening = FixedClock(datetime(2026, 11, 24, 15, 30, tzinfo=UTC))

    told = record(database, evening, "sealed", date(2026, 11, 25))

    assert told.life.events[-1].happened_on == date(2026, 11, 25)


def test_only_who_manages_meters_records_and_only_in_reach(
    database, clock, company, operator_of_first_house
):
    with pytest.raises(Forbidden):
        record(database, clock, "sealed", date(2026, 11, 1), scope=company)
    with pytest.raises(NotFound):
        record(
            database,
            clock,
            "sealed",
            date(2026, 11, 1),
            point="P3",
            serial="S3",
            scope=operator_of_first_house,
        )

    told = record(database, clock, "sealed", date(2026, 11, 1), scope=operator_of_first_house)

    assert told.life.events[-1].actor == "op"


# --- replacing ---


CHANGE = datetime(2026, 11, 10, 2, 10, tzinfo=UTC)


def replacement(**changes):
    values = {
        "removed_serial": "S1",
        "meter": Meter("P1", "N1", date(2026, 11, 10), digits=5, verified_until=date(2042, 1, 1)),
        "at": CHANGE,
        "final_values": {Zone.DAY: 8_000_000, Zone.NIGHT: 2_500_000},
        "first_values": {Zone.DAY: 10_000, Zone.NIGHT: 4_000},
        "document": "А-17",
    }
    return MeterReplacement(**(values | changes))


def read(places, serial, day, zones, at_hour=0):
    at = datetime(day.year, day.month, day.day, at_hour, tzinfo=ZONE).astimezone(UTC)
    meter_id = places.meter_ids["P1", serial]
    return [RegisterReading(meter_id, zone, at, value) for zone, value in zones.items()]


def test_the_consumption_across_a_replacement_is_right_by_zone(database, clock, places):
    with database.writing() as session:
        first = read(places, "S1", date(2026, 11, 1), {Zone.DAY: 7_900_000, Zone.NIGHT: 2_450_000})
        write_registers(session, first, clock, source="test")
        new_id = replace_meter_for(session, ALL, replacement(), clock)
        at = datetime(2026, 11, 30, 14, tzinfo=UTC)
        last = [
            RegisterReading(new_id, Zone.DAY, at, 150_000),
            RegisterReading(new_id, Zone.NIGHT, at, 64_000),
        ]
        write_registers(session, last, clock, source="test")

    with database.reading() as session:
        used: dict[Zone, int] = {}
        period = Month(2026, 11).period(ZONE)
        for one in meters_of_premises(session, [places.premises_ids["B1", "1"]]):
            if one.commodity is not Commodity.ELECTRICITY:
                continue
            readings = load_registers(session, [one.meter_id], last=period.end)
            for difference in register_differences(readings, digits=one.digits):
                used[difference.zone] = used.get(difference.zone, 0) + difference.energy
    assert used == {Zone.DAY: 100_000 + 140_000, Zone.NIGHT: 50_000 + 60_000}


def test_the_interval_series_of_a_point_does_not_notice_a_replacement(database, clock, places):
    days = [date(2026, 11, 9), date(2026, 11, 10), date(2026, 11, 11)]
    energy = np.arange(3 * 48).reshape(3, 48)
    channel = places.channel_ids["P1", "A+"]
    with database.writing() as session:
        block = whole_days(30, [channel] * 2, days[:2], energy[:2])
        write_days(session, [block], clock, source="test")
        replace_meter_for(session, ALL, replacement(), clock)
        block = whole_days(30, [channel], days[2:], energy[2:])
        write_days(session, [block], clock, source="test")

    with database.reading() as session:
        point = point_by_code(session, ALL, "P1")
        matrix = load_matrix(session, [c.id for c in point.channels], days, ZONE, 30)
    assert [c.id for c in point.channels] == [channel]
    assert matrix.energy_wh.ravel().tolist() == list(range(3 * 48))


def test_a_replacement_tells_the_lives_of_both_meters(database, clock, places):
    with database.writing() as session:
        replace_meter_for(session, ALL, replacement(), clock)

    old, new = meter(database), meter(database, serial="N1")
    assert (old.life.stage, old.dates.removed_on) == (LifeStage.REMOVED, date(2026, 11, 10))
    assert (new.life.stage, new.digits) == (LifeStage.IN_SERVICE, 5)
    assert [(e.kind, e.document) for e in new.events] == [
        (LifeEventKind.INSTALLED, "А-17"),
        (LifeEventKind.COMMISSIONED, "А-17"),
    ]
    with database.reading() as session:
        point = point_by_code(session, ALL, "P1")
        shown = latest_readings(session, point.meters)
    assert point.present is not None
    assert point.present.serial == "N1"
    assert {(r.serial, r.zone): r.value for r in shown} == {
        ("N1", Zone.DAY): 10_000,
        ("N1", Zone.NIGHT): 4_000,
        ("S1", Zone.DAY): 8_000_000,
        ("S1", Zone.NIGHT): 2_500_000,
    }


def test_the_same_replacement_again_changes_nothing(database, clock, places):
    tables = (MeterRow, MeterLifeEventRow, RegisterReadingRow)
    with database.writing() as session:
        first = replace_meter_for(session, ALL, replacement(), clock)
    before = [count(database, table) for table in tables]

    with database.writing() as session:
        again = replace_meter_for(session, ALL, replacement(), clock)

    assert again == first
    assert [count(database, table) for table in tables] == before


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"final_values": {Zone.DAY: 8_000_000}}, "last value of zone night is missing"),
        ({"final_values": {}}, "says what each register showed"),
        ({"first_values": {}}, "says what each register showed"),
        (
            {"final_values": {Zone.DAY: 7_000_000, Zone.NIGHT: 2_500_000}},
            "zone day: less than it showed before",
        ),
        (
            {"final_values": {Zone.DAY: 1_000_000_000, Zone.NIGHT: 2_500_000}},
            "zone day: more than a meter of 6 digits shows",
        ),
        (
            {"first_values": {Zone.DAY: 100_000_000}},
            "zone day: more than a meter of 5 digits shows",
        ),
        ({"at": CHANGE + timedelta(days=1)}, "lies on its day"),
        (
            {
                "meter": Meter("P1", "N1", date(2026, 12, 1)),
                "at": datetime(2026, 12, 1, tzinfo=UTC),
            },
            "in the future",
        ),
        ({"meter": Meter("P1", "S1", date(2026, 11, 10))}, "cannot replace itself"),
        (
            {
                "meter": Meter("P1", "N1", date(2026, 10, 1)),
                "at": datetime(2026, 10, 1, tzinfo=UTC),
            },
            "was read after its removal",
        ),
    ],
)
def test_a_replacement_that_cannot_be_right_is_refused_whole(
    database, clock, places, changes, problem
):
    with database.writing() as session:
        first = read(places, "S1", date(2026, 11, 1), {Zone.DAY: 7_900_000, Zone.NIGHT: 2_450_000})
        write_registers(session, first, clock, source="test")

    with pytest.raises(Invalid, match=problem), database.writing() as session:
        replace_meter_for(session, ALL, replacement(**changes), clock)

    assert meter(database).dates.removed_on is None
    assert count(database, MeterRow) == 4
    assert count(database, RegisterReadingRow) == 2


def test_a_register_that_rolled_over_just_before_its_removal_is_right(database, clock, places):
    with database.writing() as session:
        write_registers(
            session,
            read(places, "S1", date(2026, 11, 1), {Zone.ALL: 999_950_000}),
            clock,
            source="test",
        )
        replace_meter_for(
            session,
            ALL,
            replacement(final_values={Zone.ALL: 20_000}, first_values={Zone.ALL: 0}),
            clock,
        )
        readings = load_registers(session, [places.meter_ids["P1", "S1"]])

    (used,) = register_differences(readings, digits=6)
    assert (used.energy, used.rolled_over) == (70_000, True)


def test_only_who_manages_meters_replaces_and_only_in_reach(database, clock, places, company):
    operator = Scope(Role.OPERATOR, "op", building_ids=frozenset({places.building_ids["B2"]}))

    with pytest.raises(Forbidden), database.writing() as session:
        replace_meter_for(session, company, replacement(), clock)
    with pytest.raises(NotFound), database.writing() as session:
        replace_meter_for(session, operator, replacement(), clock)

    assert count(database, MeterRow) == 4


def test_a_removed_meter_is_not_replaced_again(database, clock, places):
    with database.writing() as session:
        replace_meter(session, replacement(), clock)
    again = replacement(meter=Meter("P1", "N2", date(2026, 11, 12)), at=CHANGE + timedelta(days=2))

    with pytest.raises(Invalid, match="was not at its point"), database.writing() as session:
        replace_meter_for(session, ALL, again, clock)


def test_a_meter_that_comes_back_is_not_mixed_with_its_former_self(database, clock, places):
    with database.writing() as session:
        replace_meter_for(session, ALL, replacement(), clock)
    back = replacement(
        removed_serial="N1",
        meter=Meter("P1", "S1", date(2026, 11, 20)),
        at=CHANGE + timedelta(days=10),
        final_values={Zone.DAY: 20_000, Zone.NIGHT: 9_000},
    )

    with pytest.raises(Invalid, match="stood at this point before"), database.writing() as session:
        replace_meter_for(session, ALL, back, clock)

    assert meter(database).dates.removed_on == date(2026, 11, 10)


def test_two_who_replace_a_meter_at_once_are_one_after_the_other(database, clock, places):
    def replaced(serial):
        order = replacement(meter=Meter("P1", serial, date(2026, 11, 10)))
        try:
            with database.writing() as session:
                replace_meter_for(session, ALL, order, clock)
        except Invalid as refusal:
            return str(refusal)
        return "replaced"

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(replaced, ["N1", "N2", "N1", "N2"]))

    assert answers.count("replaced") == 2  # one of them and its repetition
    assert all("stands at the point now" in answer for answer in answers if answer != "replaced")
    with database.reading() as session:
        standing = [
            m.serial for m in point_by_code(session, ALL, "P1").meters if m.dates.removed_on is None
        ]
    assert len(standing) == 1


def test_two_who_write_down_the_same_at_once_write_it_once(database, clock, places):
    def told(_):
        return record(database, clock, "sealed", date(2026, 11, 1), document="7").repeated

    with ThreadPoolExecutor(4) as pool:
        repeated = sorted(pool.map(told, range(4)))

    assert repeated == [False, True, True, True]
    assert count(database, MeterLifeEventRow) == 1


# --- what is due ---


def report(database, scope=ALL, today=TODAY, **asked):
    with database.reading() as session:
        found = due_meters(session, scope, DueFilter(**asked), today=today)
    return [(one.serial, one.reason, one.band) for one in found]


EXPIRED = ("S2", DueReason.VERIFICATION, DueBand.EXPIRED)
SOON = ("W-1", DueReason.VERIFICATION, DueBand.WITHIN_30)
UNKNOWN = ("S3", DueReason.UNKNOWN, DueBand.UNKNOWN)


def test_what_is_due_is_told_the_longest_overdue_first(database, places):
    assert report(database) == [EXPIRED, SOON, UNKNOWN]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"within_days": 0}, [EXPIRED, UNKNOWN]),
        ({"within_days": 15, "unknown": False}, [EXPIRED]),
        ({"within_days": 16, "unknown": False}, [EXPIRED, SOON]),
        ({"building_code": "B2"}, [UNKNOWN]),
        ({"servicer_code": "SERV"}, [EXPIRED, SOON]),
        ({"commodity": Commodity.COLD_WATER}, [SOON]),
        ({"band": DueBand.EXPIRED}, [EXPIRED]),
    ],
)
def test_a_report_is_narrowed(database, places, asked, expected):
    assert report(database, **asked) == expected


def test_a_meter_past_its_service_life_is_due_though_it_is_verified(database, clock, places):
    with database.writing() as session:
        order = PlacesOrder(
            meters=(
                Meter(
                    "P1", "S1", date(2020, 1, 1), made_on=date(2011, 3, 1), service_life_years=15
                ),
            )
        )
        register_places(session, order, clock)

    assert ("S1", DueReason.SERVICE_LIFE, DueBand.EXPIRED) in report(database)
    assert ("S1", DueReason.SERVICE_LIFE, DueBand.WITHIN_30) in report(
        database, today=date(2026, 2, 1)
    )
    assert "S1" not in [serial for serial, _, _ in report(database, today=date(2025, 1, 1))]


def test_a_repaired_meter_is_due_until_it_is_verified(database, clock, places):
    record(database, clock, "repaired", date(2026, 11, 3))
    after_repair = report(database)

    record(database, clock, "verified", date(2026, 11, 5), date(2042, 11, 4))

    assert ("S1", DueReason.REPAIRED, DueBand.EXPIRED) in after_repair
    assert "S1" not in [serial for serial, _, _ in report(database)]


def test_a_meter_that_was_taken_away_is_not_due(database, clock, places):
    record(database, clock, "retired", date(2026, 11, 3), point="P2", serial="S2")

    assert report(database) == [SOON, UNKNOWN]


def test_a_company_is_told_of_its_own_houses(database, company):
    assert report(database, scope=company) == [EXPIRED, SOON]


# --- looking things up ---


def test_points_are_found_by_code_serial_address_and_the_code_of_others(database, places):
    def found(search, scope=ALL):
        with database.reading() as session:
            return [point.code for point in list_points(session, scope, search=search)[0]]

    assert found("P2") == ["P2"]
    assert found("W-1") == ["W1"]
    assert found("27-0002") == ["P2"]
    assert found("мира") == ["P3"]
    assert found("Ленина 2") == ["P2"]
    assert found("S%") == []


def test_a_company_looks_up_its_own_houses_alone(database, company):
    with database.reading() as session:
        buildings, total = list_buildings(session, company)
        points, _ = list_points(session, company)
        with pytest.raises(NotFound):
            building_by_code(session, company, "B2")
        with pytest.raises(NotFound):
            point_by_code(session, company, "P3")

    assert ([b.code for b in buildings], total) == (["B1"], 1)
    assert [point.code for point in points] == ["P1", "W1", "P2"]
    assert (buildings[0].premises, buildings[0].points) == (2, 3)


# --- editing ---


def test_a_form_sets_what_it_shows_and_empties_what_is_empty_there(database, clock, places):
    edit = BuildingEdit(ALL, "B1", "ул. Ленина, д. 1", "", "", None, 10_000, 5, "gas")

    with database.writing() as session:
        edit_building(session, edit, clock)

    with database.reading() as session:
        building = building_by_code(session, ALL, "B1")
    assert (building.address, building.company_code, building.servicer_code) == (
        "ул. Ленина, д. 1",
        "",
        "",
    )
    assert (building.loss_ppm, building.loss_w, building.norm_code) == (10_000, 5, "gas")


def test_an_exchange_code_names_one_point(database, clock, places):
    for taken in ("27-0002", "P2"):
        with pytest.raises(Invalid, match="belongs to another"), database.writing() as session:
            edit_point(session, PointEdit(ALL, "P1", taken, "", None, None), clock)

    with database.writing() as session:
        edit_point(session, PointEdit(ALL, "P1", "27-0001", "", None, 15_000), clock)

    with database.reading() as session:
        point = point_by_code(session, ALL, "P1")
    assert (point.exchange_code, point.capacity_w) == ("27-0001", 15_000)


def test_a_company_edits_nothing(database, clock, company):
    with pytest.raises(Forbidden), database.writing() as session:
        edit_point(session, PointEdit(company, "P1", "x", "", None, None), clock)
    with pytest.raises(Forbidden), database.writing() as session:
        edit_building(session, BuildingEdit(company, "B1", "x", "", "", None, 0, 0, ""), clock)
