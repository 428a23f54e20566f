from datetime import date

import pytest
from sqlalchemy import insert

from heating.service import (
    HeatedHouseOrder,
    HeatPriceOrder,
    publish_heat_price,
    set_heated_house,
)
from heating.store import heat_rate, heated_houses
from kilokassa.core.errors import Invalid, RequestConflict
from metering.models import BuildingRow


def test_the_price_of_heat_is_that_of_its_day(database, clock):
    with database.writing() as session:
        for day, rate in ((date(2022, 7, 1), 1_989_900_000), (date(2022, 12, 1), 2_288_380_000)):
            order = HeatPriceOrder("heat", day, rate, "S1")
            assert publish_heat_price(session, order, clock)
            assert not publish_heat_price(session, order, clock)

        with pytest.raises(RequestConflict):
            publish_heat_price(session, HeatPriceOrder("heat", date(2022, 7, 1), 1, "S1"), clock)

    with database.reading() as session:
        assert heat_rate(session, "heat", date(2022, 6, 30)) is None
        assert heat_rate(session, "heat", date(2022, 11, 30)) == 1_989_900_000
        assert heat_rate(session, "heat", date(2022, 12, 1)) == 2_288_380_000


def test_a_house_shares_its_heat_from_a_day_on(database, clock):
    with database.writing() as session:
        house = {"id": 1, "code": "B", "address": "x", "zone": "UTC"}
        session.execute(insert(BuildingRow), house)
        set_heated_house(session, HeatedHouseOrder(1, date(2022, 10, 1), "heat", 100), clock)
        set_heated_house(session, HeatedHouseOrder(1, date(2022, 10, 1), "heat", 200), clock)

    with database.reading() as session:
        assert heated_houses(session, [1], date(2022, 9, 30)) == {}
        assert heated_houses(session, [1, 2], date(2022, 10, 1))[1].common_area_dm2 == 200


@pytest.mark.parametrize(("day", "rate"), [(date(2022, 7, 15), 1), (date(2022, 7, 1), -1)])
def test_a_price_inside_a_month_or_below_nothing_is_refused(day, rate):
    with pytest.raises(Invalid, match=f"heat {day}"):
        HeatPriceOrder("heat", day, rate, "S1")
