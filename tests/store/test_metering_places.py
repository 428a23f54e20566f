"""Registering places again and again, and replacing a meter."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import func, select

from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.zones import Zone
from metering.models import MeterRow, PremisesRow
from metering.places import (
    Building,
    Channel,
    Commodity,
    Company,
    Meter,
    MeteringPoint,
    MeterReplacement,
    PlacesOrder,
    Premises,
)
from metering.service import register_places, replace_meter
from metering.store import load_registers, meters_of_buildings, meters_of_premises

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
