"""Who moves out and who moves in share what is counted once: water, and a year put right."""

from datetime import date

import pytest

from billing.accounts import AccountOrder
from billing.models import AccountRow, CommonAreaMethod, Measurement, Service, Settlement
from billing.service import open_accounts
from kilokassa.core.calendar import Month
from kilokassa.core.ids import PremisesId
from tests.scenarios.test_house_services import (
    COLD,
    COMMON,
    FEBRUARY,
    HOT,
    START,
    House,
)
from wallet.service import open_wallets


def moves(house, day):
    """Let the resident of the first flat move out and another move in on a day."""
    town = house.town
    with house.database.writing() as session:
        row = session.get(AccountRow, town.accounts["P1"])
        row.closed_on = day
        order = AccountOrder(
            number="2000000001",
            payer_name="Петров Пётр",
            premises_id=PremisesId(row.premises_id),
            persons=2,
            opened_on=day,
            plan_code="single",
            settlement=Settlement.POSTPAID,
            measurement=Measurement.REGISTERS,
        )
        opened = open_accounts(session, [order], START)
        open_wallets(session, list(opened.ids.values()), START)
    town.accounts["NEW"] = opened.ids["2000000001"]


def litres(house, month, point):
    lines = house.lines(month, point).lines
    return sum(line.quantity for line in lines if line.service is Service.COLD_WATER)


def test_water_counted_across_a_move_is_shared_by_days(database, tmp_path):
    house = House(database, tmp_path, COLD)
    house.read("CW1", date(2026, 1, 31), 100)
    house.read("CW1", date(2026, 2, 28), 128)
    moves(house, date(2026, 2, 11))

    assert [litres(house, FEBRUARY, who) for who in ("P1", "NEW")] == [11_000, 17_000]


def test_a_reading_of_water_on_the_day_of_the_move_decides_it(database, tmp_path):
    house = House(database, tmp_path, COLD)
    house.read("CW1", date(2026, 2, 1), 100)
    house.read("CW1", date(2026, 2, 11), 103)
    house.read("CW1", date(2026, 3, 1), 128)
    moves(house, date(2026, 2, 11))

    assert [litres(house, FEBRUARY, who) for who in ("P1", "NEW")] == [3_000, 25_000]


@pytest.mark.parametrize("service", [COLD, HOT])
def test_water_read_months_after_a_move_comes_to_what_the_meter_counted(
    database, tmp_path, service
):
    house = House(database, tmp_path, service)
    point = "CW1" if service is COLD else "HW1"
    house.read(point, date(2026, 2, 1), 100)
    house.read(point, date(2026, 2, 11), 103)
    house.read(point, date(2026, 5, 1), 151)
    moves(house, date(2026, 2, 11))
    kind = Service.COLD_WATER if service is COLD else Service.HOT_WATER

    def charged(month, who):
        lines = house.lines(month, who).lines
        return sum(n.quantity for n in lines if n.service is kind and n.unit == "litre")

    assert charged(FEBRUARY, "P1") == 3_000
    assert sum(charged(Month(2026, number), "NEW") for number in (2, 3, 4)) == 48_000


def test_a_year_put_right_is_charged_once_to_a_flat_that_changes_hands(database, tmp_path):
    house = House(database, tmp_path, COMMON, method=CommonAreaMethod.NORM)
    for number in range(1, 13):
        house.month(Month(2026, number), house=46)
        house.settle(Month(2026, number))
    for number in (1, 2, 3):
        house.month(Month(2027, number), house=46)
        house.settle(Month(2027, number))
    march = Month(2027, 3)
    moves(house, date(2027, 3, 11))

    found = [
        [line.quantity for line in house.lines(march, who).lines] for who in ("P1", "NEW", "P2")
    ]

    assert found[2] == [10_000, 36_000]
    assert [a + b for a, b in zip(found[0], found[1], strict=True)] == found[2]
