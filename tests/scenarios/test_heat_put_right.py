"""The heat of a house that was not known, or not right, when its month was closed."""

from datetime import date

import pytest

from billing.heat.service import HEAT_UNKNOWN
from billing.models import Service
from heating.service import (
    HeatedHouseOrder,
    HeatPriceOrder,
    publish_heat_price,
    set_heated_house,
)
from kilokassa.app.recalculating import Wish, recalculate
from kilokassa.core.clock import FixedClock
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.models import BuildingRow
from metering.registers import RegisterReading
from metering.registry.places import Commodity, Meter, MeteringPoint
from metering.registry.service import PlacesOrder, register_places
from metering.store import write_registers
from tests.scenarios.by_hand_town import SCOPE, Town
from tests.scenarios.test_recalculation import at

KCAL_A_GCAL = 1_000_000


@pytest.fixture
def town(database, tmp_path):
    """Return a house of two equal flats, whose heat a meter of the house counts."""
    town = Town(database, tmp_path, flats=2)
    with database.writing() as session:
        places = register_places(
            session,
            PlacesOrder(
                points=(MeteringPoint("H1", "B1", commodity=Commodity.HEAT),),
                meters=(Meter("H1", "SH1", date(2026, 1, 1)),),
            ),
            FixedClock(at(1, 1)),
        )
        town.heat_meter = places.meter_ids["H1", "SH1"]
        town.building = session.query(BuildingRow).one().id
    return town


def heated(town, when):
    with town.database.writing() as session:
        order = HeatedHouseOrder(town.building, date(2026, 1, 1), "heat")
        set_heated_house(session, order, FixedClock(when))


def costs(town, first, roubles, when):
    with town.database.writing() as session:
        order = HeatPriceOrder("heat", first, roubles * 1_000_000, "a test")
        publish_heat_price(session, order, FixedClock(when))


def counts(town, day, gcal, when):
    reading = RegisterReading(
        town.heat_meter, Zone.ALL, day, gcal * KCAL_A_GCAL, Quality.CUSTOMER_READ
    )
    with town.database.writing() as session:
        write_registers(session, [reading], FixedClock(when), source="test")


def read_and_close(town, number=1):
    for point in town.accounts:
        town.read(point, date(2026, number, 24), 1000 + 100 * number)
    return town.close(2026, number)


def put_right(town, when):
    return recalculate(town.application(when), Wish(), scope=SCOPE)


def heat_minor(town, point="P1"):
    return sum(n.amount_minor for n in town.lines(point) if n.service is Service.HEAT)


def test_a_price_of_heat_that_is_published_late_is_charged_by(town):
    heated(town, at(1, 1))
    counts(town, at(1, 1), 0, at(1, 1))
    counts(town, at(1, 31), 10, at(1, 31))
    report = read_and_close(town)
    assert (heat_minor(town), HEAT_UNKNOWN in dict(report.warnings).values()) == (0, True)
    costs(town, date(2026, 1, 1), 2_000, at(2, 10))

    put_right(town, at(2, 12))
    again = put_right(town, at(2, 13))

    assert [heat_minor(town, point) for point in ("P1", "P2")] == [10_000_00, 10_000_00]
    assert again.corrected == 0


def test_a_house_that_is_said_to_be_heated_late_pays_its_heat(town):
    costs(town, date(2026, 1, 1), 2_000, at(1, 1))
    counts(town, at(1, 1), 0, at(1, 1))
    counts(town, at(1, 31), 10, at(1, 31))
    read_and_close(town)
    heated(town, at(2, 10))

    put_right(town, at(2, 12))

    assert heat_minor(town) == 10_000_00


def test_a_house_meter_that_went_back_stops_no_close(town):
    heated(town, at(1, 1))
    costs(town, date(2026, 1, 1), 2_000, at(1, 1))
    counts(town, at(1, 1), 50, at(1, 1))
    counts(town, at(1, 31), 10, at(1, 31))

    report = read_and_close(town)

    assert (heat_minor(town), town.billed_minor("P1")) == (0, 500_00)
    assert HEAT_UNKNOWN in dict(report.warnings).values()
    counts(town, at(1, 31), 60, at(2, 10))
    put_right(town, at(2, 12))
    assert heat_minor(town) == 10_000_00
