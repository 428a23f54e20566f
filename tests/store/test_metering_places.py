"""Registering places again and again, and replacing a meter."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from sqlalchemy import func, select

from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.zones import Zone
from metering.days import whole_days
from metering.models import (
    BuildingRow,
    ChannelRow,
    CommonAreaRow,
    CompanyRow,
    DeliveryPointRow,
    MeteringPointRow,
    MeterRow,
    PremisesRow,
    ServicerRow,
)
from metering.registers import RegisterReading
from metering.registry.places import (
    Building,
    Channel,
    Commodity,
    CommonArea,
    CommonAreaKind,
    Company,
    Coordinates,
    DeliveryPoint,
    Meter,
    MeteringPoint,
    MeterReplacement,
    PlacesOrder,
    Premises,
    Servicer,
)
from metering.service import register_places, replace_meter
from metering.store import (
    load_registers,
    meters_of_buildings,
    meters_of_premises,
    write_days,
    write_registers,
)

TOWN = PlacesOrder(
    companies=(Company("UK1", "УК Первая", "2700000000"),),
    buildings=(Building("B1", "Ленина 1", "Asia/Vladivostok", "UK1"),),
    premises=tuple(Premises("B1", str(n), 4500 + n) for n in range(1, 51)),
    points=(
        *(MeteringPoint(f"P{n}", "B1", str(n)) for n in range(1, 51)),
        MeteringPoint("H1", "B1", commodity=Commodity.HEAT),
    ),
    meters=(
        *(Meter(f"P{n}", f"S{n}", date(2020, 1, 1)) for n in range(1, 51)),
        Meter("H1", "T1", date(2020, 1, 1)),
    ),
    channels=tuple(Channel(f"P{n}", 30) for n in range(1, 51)),
)


def register(database, clock, order):
    with database.writing() as session:
        return register_places(session, order, clock)


def test_the_same_order_again_changes_nothing(database, clock):
    first = register(database, clock, TOWN)

    again = register(database, clock, TOWN)

    assert first.created == 1 + 1 + 50 + 51 + 51 + 50
    assert (again.created, again.updated) == (0, 0)
    assert (again.channel_ids, again.premises_ids) == (first.channel_ids, first.premises_ids)


def test_what_is_known_is_brought_up_to_date(database, clock):
    first = register(database, clock, TOWN)

    again = register(database, clock, PlacesOrder(premises=(Premises("B1", "1", 9999),)))

    assert (again.created, again.updated) == (0, 1)
    with database.reading() as session:
        area = session.scalar(
            select(PremisesRow.area_dm2).where(PremisesRow.id == first.premises_ids["B1", "1"])
        )
        assert session.scalar(select(func.sum(PremisesRow.area_dm2))) == 9999 + sum(
            4500 + n for n in range(2, 51)
        )
    assert area == 9999


def test_an_order_may_refer_to_places_registered_before(database, clock):
    register(database, clock, TOWN)
    order = PlacesOrder(points=(MeteringPoint("P60", "B1", "7"),), channels=(Channel("P60", 60),))

    made = register(database, clock, order)

    assert made.created == 2


@pytest.mark.parametrize(
    "order",
    [
        PlacesOrder(buildings=(Building("B9", "x", "UTC", "UK9"),)),
        PlacesOrder(premises=(Premises("B9", "1", 1),)),
        PlacesOrder(points=(MeteringPoint("P1", "B9"),)),
        PlacesOrder(points=(MeteringPoint("P60", "B1", "999"),)),
        PlacesOrder(meters=(Meter("P999", "S", date(2020, 1, 1)),)),
        PlacesOrder(channels=(Channel("P999", 30),)),
    ],
)
def test_a_place_that_is_not_there_is_refused(database, clock, order):
    register(database, clock, TOWN)

    with pytest.raises(NotFound):
        register(database, clock, order)


@pytest.mark.parametrize(
    "order",
    [
        PlacesOrder(buildings=(Building("B1", "Ленина 1", "Europe/Berlin", "UK1"),)),
        PlacesOrder(channels=(Channel("P1", 60),)),
        PlacesOrder(points=(MeteringPoint("H1", "B1"),)),
    ],
)
def test_what_readings_were_stored_by_does_not_change(database, clock, order):
    register(database, clock, TOWN)

    with pytest.raises(Invalid, match="cannot change"):
        register(database, clock, order)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Building("B1", "x", "Mars/Base"),
        lambda: Channel("P1", 7),
        lambda: Channel("P1", 30, multiplier=0),
        lambda: Premises("B1", "1", 0),
        lambda: Meter("P1", "S", date(2020, 1, 1), digits=12),
        lambda: Meter("P1", "S", date(2020, 1, 1), removed_on=date(2019, 1, 1)),
        lambda: MeteringPoint(" P1", "B1"),
    ],
)
def test_a_wrong_place_cannot_be_made(make):
    with pytest.raises(Invalid):
        make()


def test_a_replaced_meter_keeps_what_both_showed(database, clock):
    places = register(database, clock, TOWN)
    at = datetime(2026, 10, 10, 2, tzinfo=UTC)
    order = MeterReplacement(
        removed_serial="S1",
        meter=Meter("P1", "S1-new", date(2026, 10, 10)),
        at=at,
        final_values={Zone.ALL: 5_000_000},
        first_values={Zone.ALL: 12_000},
    )

    with database.writing() as session:
        new_id = replace_meter(session, order, clock)

    with database.reading() as session:
        old, new = meters_of_premises(session, [places.premises_ids["B1", "1"]])
        readings = load_registers(session, [old.meter_id, new.meter_id])
    assert (old.serial, old.removed_on, new.meter_id) == ("S1", date(2026, 10, 10), new_id)
    assert [(r.meter_id, r.value) for r in readings] == [
        (old.meter_id, 5_000_000),
        (new_id, 12_000),
    ]


def test_a_meter_that_is_not_at_its_point_cannot_be_replaced(database, clock):
    register(database, clock, TOWN)
    order = MeterReplacement(
        "S1", Meter("P1", "S2", date(2019, 1, 1)), datetime(2019, 1, 1, tzinfo=UTC), {}, {}
    )

    with pytest.raises(Invalid, match="was not at its point"), database.writing() as session:
        replace_meter(session, order, clock)

    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(MeterRow)) == 51


def test_house_meters_are_those_of_the_building_itself(database, clock):
    places = register(database, clock, TOWN)

    with database.reading() as session:
        (house,) = meters_of_buildings(session, [places.building_ids["B1"]])

    assert (house.serial, house.commodity, house.premises_id) == ("T1", Commodity.HEAT, None)


def test_what_an_order_leaves_out_stays_as_it_is_registered(database, clock):
    register(database, clock, TOWN)
    full = PlacesOrder(
        companies=(Company("UK1", "УК Первая", email="uk@town.example"),),
        servicers=(Servicer("S", "Сервис", "service@town.example", "en"),),
        buildings=(
            Building(
                "B1",
                "Ленина 1",
                "Asia/Vladivostok",
                "UK1",
                "S",
                Coordinates(48_480_223, 135_071_917),
                12_000,
                40,
                "gas",
            ),
        ),
        common_areas=(CommonArea("B1", "MOP", CommonAreaKind.STAIRS, "Лестницы", 410_00),),
        premises=(Premises("B1", "1", 4501, 2),),
        delivery_points=(DeliveryPoint("D1", "B1", "1", "ввод в квартиру"),),
        points=(
            MeteringPoint(
                "P1",
                "B1",
                "1",
                exchange_code="27001",
                delivery_point_code="D1",
                place=Coordinates(48_480_300, 135_071_900),
                capacity_w=15_000,
            ),
            MeteringPoint("C1", "B1", common_area_code="MOP"),
        ),
        meters=(
            Meter(
                "P1",
                "S1",
                date(2020, 1, 1),
                "Д-208",
                6,
                date(2026, 1, 1),
                date(2036, 1, 1),
                date(2019, 6, 1),
                30,
            ),
        ),
        channels=(Channel("P1", 30, "A+", 40, 15_000), Channel("P1", 30, "R+")),
    )
    register(database, clock, full)
    stands = rows_of_registry(database)

    again = register(
        database,
        clock,
        PlacesOrder(
            companies=(Company("UK1", "УК Первая"),),
            servicers=(Servicer("S", "Сервис"),),
            buildings=(Building("B1", "Ленина 1", "Asia/Vladivostok"),),
            common_areas=(CommonArea("B1", "MOP", CommonAreaKind.STAIRS),),
            premises=(Premises("B1", "1", 4501),),
            delivery_points=(DeliveryPoint("D1", "B1"),),
            points=(MeteringPoint("P1", "B1"),),
            meters=(Meter("P1", "S1", date(2020, 1, 1)),),
            channels=(Channel("P1", 30),),
        ),
    )

    assert (again.created, again.updated) == (0, 0)
    assert rows_of_registry(database) == stands


def rows_of_registry(database):
    tables = (
        CompanyRow,
        ServicerRow,
        BuildingRow,
        CommonAreaRow,
        PremisesRow,
        DeliveryPointRow,
        MeteringPointRow,
        MeterRow,
        ChannelRow,
    )
    with database.reading() as session:
        return [
            session.execute(select(table.__table__).order_by(table.__table__.c.id)).all()
            for table in tables
        ]


@pytest.mark.parametrize(
    "order",
    [
        PlacesOrder(channels=(Channel("P1", 30, "Q"),)),
        PlacesOrder(channels=(Channel("H1", 60, "A+"),)),
        PlacesOrder(
            points=(MeteringPoint("W1", "B1", commodity=Commodity.HOT_WATER),),
            channels=(Channel("W1", 60, "CW"),),
        ),
    ],
)
def test_a_channel_fits_what_its_point_measures(database, clock, order):
    register(database, clock, TOWN)

    with pytest.raises(Invalid, match="does not fit"):
        register(database, clock, order)


@pytest.mark.parametrize("stored", ["intervals", "registers", "nothing"])
@pytest.mark.parametrize("change", [{"multiplier": 40}, {"loss_ppm": 15_000}])
def test_a_multiplier_or_losses_stand_once_readings_were_stored_by_them(
    database, clock, stored, change
):
    places = register(database, clock, TOWN)
    with database.writing() as session:
        if stored == "intervals":
            energy = np.full((1, 48), 500)
            block = whole_days(30, [places.channel_ids["P1", "A+"]], [date(2026, 10, 1)], energy)
            write_days(session, [block], clock, source="test")
        elif stored == "registers":
            at = datetime(2026, 10, 1, tzinfo=UTC)
            reading = RegisterReading(places.meter_ids["P1", "S1"], Zone.ALL, at, 1000)
            write_registers(session, [reading], clock, source="test")
    order = PlacesOrder(channels=(Channel("P1", 30, **change),))

    if stored == "nothing":
        assert register(database, clock, order).updated == 1
    else:
        with pytest.raises(Invalid, match="register a new metering point"):
            register(database, clock, order)

    assert register(database, clock, PlacesOrder(channels=(Channel("P1", 30),))).updated == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Channel("P1", 30, "X"),
        lambda: Channel("P1", 30, loss_ppm=1_000_000),
        lambda: Channel("P1", 30, loss_ppm=-1),
        lambda: Coordinates(90_000_001, 0),
        lambda: Coordinates.parse("48.1234567", "135"),
        lambda: MeteringPoint("P1", "B1", "1", common_area_code="MOP"),
        lambda: MeteringPoint("P1", "B1", capacity_w=0),
        lambda: Meter("P1", "S", date(2020, 1, 1), made_on=date(2020, 1, 2)),
        lambda: Meter("P1", "S", date(2020, 1, 1), service_life_years=0),
        lambda: Premises("B1", "1", 100, 0),
        lambda: Servicer("S", "Сервис", language="fr"),
        lambda: Building("B1", "x", "UTC", loss_w=-1),
    ],
)
def test_a_wrong_detail_cannot_be_made(make):
    with pytest.raises(Invalid):
        make()


@pytest.mark.parametrize(
    "order",
    [
        PlacesOrder(buildings=(Building("B9", "x", "UTC", servicer_code="S9"),)),
        PlacesOrder(points=(MeteringPoint("P60", "B1", common_area_code="NONE"),)),
        PlacesOrder(points=(MeteringPoint("P60", "B1", delivery_point_code="NONE"),)),
        PlacesOrder(delivery_points=(DeliveryPoint("D1", "B1", "999"),)),
        PlacesOrder(common_areas=(CommonArea("B9", "MOP", CommonAreaKind.LIFT),)),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(database, clock, order):
    register(database, clock, TOWN)

    with pytest.raises(NotFound):
        register(database, clock, order)
