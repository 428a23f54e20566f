"""Registry files in and out, on both databases."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from billing.service import RetailerOrder, establish_retailer
from kilokassa.app.registry_file import COLUMNS, parse_registry, write_registry
from kilokassa.app.registry_transfer import exported_lines, import_registry_data
from kilokassa.core.errors import Forbidden
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.zones import Zone
from metering.models import BuildingRow, ChannelRow, MeteringPointRow, MeterRow
from metering.registers import RegisterReading
from metering.registry.places import Commodity, Coordinates
from metering.registry.store import building_by_code, list_points, point_by_code
from metering.store import write_registers

ALL = system_scope("test")
ROOT = Path(__file__).resolve().parents[2]
HEAD = (
    "building;address;company;company_name;servicer;servicer_name;servicer_email;building_latitude;"
    "building_longitude;building_loss_percent;premises;area_m2;rooms;common_area;common_area_kind;"
    "common_area_name;delivery_point;boundary;point;commodity;exchange_code;capacity_kw;"
    "meter_serial;meter_model;digits;made_on;installed_on;removed_on;verified_until;"
    "service_life_years;channels;interval;multiplier;loss_percent"
)
LINES = (
    (
        "B1;ул. Ленина, 1;UK1;УК Первая;S;Метролог;s@town.example;48.480223;135.071917;1.25;1;"
        "45.10;2;"
        ";;;D1;ввод;P1;electricity;27001;15;E1;Д-208;6;2019-06-01;2020-01-15;;2036-01-14;30;"
        "A+ A-;30;1;"
    ),
    "B1;;;;;;;;;;1;;;;;;;;W1;cold_water;;;W-1;;5;;2021-02-03;;03.02.2027;12;;;;",
    "B1;;;;;;;;;;;;;MOP;stairs;Лестницы;;;C1;;;;E9;;;;2020-01-15;;;;A+;30;40;1.5",
    "B1;;;;;;;;;;;;;MOP;;;;;C1;;;;E8;;;;2010-01-15;2020-01-15;;;R+;60;40;1.5",
    "B1;;;;;;;;;;;;;;;;;;H1;heat;;;;;;;;;;;;;;",
)


def file(*lines: str, head: str = HEAD) -> bytes:
    return "\n".join([head, *(lines or LINES)]).encode()


@pytest.fixture
def house(database, clock):
    with database.writing() as session:
        order = RetailerOrder(
            name="АО «Проба»",
            inn="7707083893",
            bank_name="ПАО Банк",
            bic="044525225",
            bank_account="40702810900000000001",
            correspondent_account="30101810400000000225",
            zone="Asia/Vladivostok",
            languages=("ru",),
        )
        establish_retailer(session, order, clock)
    return database


def load(database, clock, data, *, dry_run=False, scope=ALL):
    return import_registry_data(database, data, dry_run=dry_run, scope=scope, clock=clock)


def refusals(report):
    return [str(line) for line in report.refused]


def test_a_file_registers_all_it_names(house, clock):
    report = load(house, clock, file())

    assert refusals(report) == []
    assert report.loaded
    with house.reading() as session:
        building = building_by_code(session, ALL, "B1")
        flat = point_by_code(session, ALL, "P1")
        stairs = point_by_code(session, ALL, "C1")
        points, _ = list_points(session, ALL)
    assert building.place == Coordinates(48_480_223, 135_071_917)
    assert (building.loss_ppm, building.servicer_name) == (12_500, "Метролог")
    assert (flat.capacity_w, flat.exchange_code, flat.delivery_point_code) == (
        15_000,
        "27001",
        "D1",
    )
    assert [c.code for c in flat.channels] == ["A+", "A-"]
    assert flat.present is not None
    assert flat.present.dates.verified_until == date(2036, 1, 14)
    assert [(c.code, c.interval_min, c.multiplier, c.loss_ppm) for c in stairs.channels] == [
        ("A+", 30, 40, 15_000),
        ("R+", 60, 40, 15_000),
    ]
    assert [m.serial for m in stairs.meters] == ["E8", "E9"]
    assert {p.code: p.commodity for p in points} == {
        "P1": Commodity.ELECTRICITY,
        "W1": Commodity.COLD_WATER,
        "C1": Commodity.ELECTRICITY,
        "H1": Commodity.HEAT,
    }


def test_the_same_file_again_changes_nothing(house, clock):
    load(house, clock, file())

    again = load(house, clock, file())

    assert (again.loaded, again.created, again.updated) == (True, 0, 0)


def test_a_dry_run_counts_and_writes_nothing(house, clock):
    report = load(house, clock, file(), dry_run=True)

    assert report.created > 10
    assert not report.loaded
    with house.reading() as session:
        assert session.scalar(select(func.count()).select_from(BuildingRow)) == 0


@pytest.mark.parametrize("russian", [True, False])
def test_what_is_exported_is_imported_without_a_change(house, clock, russian):
    load(house, clock, file())
    with house.reading() as session:
        text = "".join(write_registry(exported_lines(session, ALL), russian=russian))

    again = load(house, clock, text.encode())

    assert refusals(again) == []
    assert (again.created, again.updated) == (0, 0)
    assert again.lines == len(LINES)


def test_what_is_exported_builds_the_same_registry_elsewhere(house, clock, bare_registry):
    load(house, clock, file())
    with house.reading() as session:
        first = "".join(write_registry(exported_lines(session, ALL), russian=False))

    load(bare_registry, clock, first.encode())

    with bare_registry.reading() as session:
        second = "".join(write_registry(exported_lines(session, ALL), russian=False))
    assert second == first


@pytest.fixture
def bare_registry(sqlite_template, tmp_path, clock):
    from kilokassa.db.session import Database

    path = tmp_path / "other.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    other = Database(f"sqlite:///{path}")
    with other.writing() as session:
        order = RetailerOrder(
            name="АО «Другая»",
            inn="7707083893",
            bank_name="ПАО Банк",
            bic="044525225",
            bank_account="40702810900000000001",
            correspondent_account="30101810400000000225",
            zone="Europe/Moscow",
            languages=("ru",),
        )
        establish_retailer(session, order, clock)
    yield other
    other.dispose()


@pytest.mark.parametrize(
    ("head", "line", "refusal"),
    [
        ("building;point", "B1;", "Line 2, field point: it may not be empty."),
        ("building;point", "B9;P9", "Line 2, field address: it may not be empty."),
        (
            "building;point;commodity",
            "B1;P1;heat",
            "Line 2, field commodity: it is registered as electricity.",
        ),
        (
            "building;address;point",
            "B2;ул. Мира, 2;P1",
            "Line 2, field building: it is registered as B1.",
        ),
        (
            "building;point;meter_serial;digits",
            "B1;P1;E1;5",
            "Line 2, field digits: it is registered as 6.",
        ),
        (
            "building;point;channels;interval",
            "B1;P1;A+;60",
            "Line 2, field interval: it is registered as 30.",
        ),
        (
            "building;point;exchange_code",
            "B1;W1;27001",
            "Line 2, field exchange_code: it is registered as P1.",
        ),
        (
            "building;point;exchange_code",
            "B1;W1;P1",
            "Line 2, field exchange_code: it is registered as P1.",
        ),
        (
            "building;point;meter_serial;installed_on",
            "B1;P1;E2;2026-01-01",
            (
                "Line 2, field meter_serial: meter E1 stands there: replace it, or say when it was "
                "removed."
            ),
        ),
        (
            "building;point;meter_serial",
            "B1;P7;E2",
            "Line 2, field installed_on: it may not be empty.",
        ),
        (
            "building;point;premises",
            "B1;P7;77",
            "Line 2, field area_m2: it may not be empty.",
        ),
        (
            "building;point;latitude;longitude",
            "B1;P1;91.0;10",
            (
                "Line 2, field latitude: a latitude lies within 90 degrees of the equator, "
                "a longitude within 180."
            ),
        ),
        (
            "building;point;latitude",
            "B1;P1;48.1",
            "Line 2, field longitude: a place has both a latitude and a longitude.",
        ),
        (
            "building;point;commodity;channels;interval",
            "B1;P7;heat;A+;60",
            "Line 2, field channels: 'A+' is none of: Q.",
        ),
        (
            "building;point;multiplier",
            "B1;P1;40",
            "Line 2, field multiplier: it stands without channels.",
        ),
        (
            "building;point;capacity_kw",
            "B1;P1;0.0001",
            "Line 2, field capacity_kw: '0.0001' is not a number with at most 3 decimals.",
        ),
        (
            "building;point;meter_serial;verified_until",
            "B1;P1;E1;2026-02-30",
            (
                "Line 2, field verified_until: '2026-02-30' is not a date such as 2026-10-31 or "
                "31.10.2026."
            ),
        ),
        ("building;point", "B1;P1;x", "Line 2, field #: there are 3 fields instead of 2."),
    ],
)
def test_a_fault_is_told_with_its_line_and_field_and_nothing_is_loaded(
    house, clock, head, line, refusal
):
    load(house, clock, file())

    report = load(house, clock, file(line, head=head))

    assert refusals(report) == [refusal]
    assert not report.loaded


def test_every_fault_of_a_file_is_told_at_once(house, clock):
    report = load(
        house,
        clock,
        file("B1;a;P1;x@y", "B1;b;P2;", "B2;c;;", head="building;address;point;exchange_code"),
    )

    assert [(line.values["line"], line.values["field"]) for line in report.refused] == [
        (2, "exchange_code"),
        (4, "point"),
    ]


def test_lines_that_disagree_are_refused(house, clock):
    report = load(house, clock, file("B1;a;P1", "B1;b;P2", head="building;address;point"))

    assert refusals(report) == ["Line 3, field address: line 2 says otherwise."]


def test_a_multiplier_that_readings_were_stored_by_is_refused_with_its_line(house, clock):
    load(house, clock, file())
    with house.writing() as session:
        meter = session.scalars(select(MeterRow.id).where(MeterRow.serial == "E1")).one()
        reading = RegisterReading(meter, Zone.ALL, datetime(2026, 1, 1, tzinfo=UTC), 5)
        write_registers(session, [reading], clock, source="test")

    head = "building;point;channels;interval;multiplier"
    report = load(house, clock, file("B1;P1;A+;30;2", head=head))

    (refused,) = report.refused
    assert (refused.values["line"], refused.values["field"]) == (2, "multiplier")
    with house.reading() as session:
        assert session.scalar(select(func.max(ChannelRow.multiplier))) == 40


def test_a_meter_may_follow_another_that_the_same_file_removes(house, clock):
    load(house, clock, file())
    head = "building;point;meter_serial;installed_on;removed_on"

    report = load(
        house, clock, file("B1;P1;E1;2020-01-15;2026-05-01", "B1;P1;E2;2026-05-01;", head=head)
    )

    assert refusals(report) == []
    with house.reading() as session:
        point = point_by_code(session, ALL, "P1")
    assert point.present is not None
    assert point.present.serial == "E2"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "windows-1251"])
def test_russian_headings_and_encodings_are_read(house, clock, encoding):
    text = "код дома;адрес;точка учёта;ресурс\nД-1;ул. Счётная, дом 5;Т-1;холодная вода\n"

    report = load(house, clock, text.encode(encoding))

    assert refusals(report) == []
    with house.reading() as session:
        (point,), _ = list_points(session, ALL)
    assert (point.code, point.commodity) == ("Т-1", Commodity.COLD_WATER)


def test_a_name_that_looks_like_a_formula_goes_out_harmless_and_comes_back(house, clock):
    load(house, clock, file("B1;=1+1;P1", head="building;address;point"))

    with house.reading() as session:
        text = "".join(write_registry(exported_lines(session, ALL), russian=False))

    assert "'=1+1" in text
    assert parse_registry(text.encode()).lines[0].address == "=1+1"


def test_only_who_manages_the_whole_registry_loads_it(house, clock):
    operator = Scope(Role.OPERATOR, "op", building_ids=frozenset())
    auditor = Scope(Role.AUDITOR, "a", whole_retailer=True)

    for scope in (operator, auditor):
        with pytest.raises(Forbidden):
            load(house, clock, file(), scope=scope)
    with house.reading() as session:
        assert session.scalar(select(func.count()).select_from(MeteringPointRow)) == 0


def test_the_sample_file_is_loaded_as_it_is(house, clock):
    report = load(house, clock, (ROOT / "examples/import/registry.csv").read_bytes())

    assert refusals(report) == []
    with house.reading() as session:
        lift = point_by_code(session, ALL, "B-17-LIFT")
    assert [(c.code, c.multiplier) for c in lift.channels] == [("A+", 20), ("R+", 20)]


def test_the_reference_names_every_column_with_its_russian_heading():
    text = (ROOT / "docs/reference/registry-csv.md").read_text()

    missing = [
        name for name, title in COLUMNS.items() if f"`{name}`" not in text or title not in text
    ]
    assert missing == []
