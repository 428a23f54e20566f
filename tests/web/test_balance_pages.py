"""The pages and the interface of the house balance, over the town with one house meter more."""

from datetime import date, timedelta

import numpy as np
import pytest
from flask.testing import FlaskClient

from kilokassa.app.wiring import Application
from kilokassa.core.scope import system_scope
from kilokassa.web.app import create_app
from metering.balance import store as balance_store
from metering.days import whole_days
from metering.registry.places import Channel, MeteringPoint, PlacesOrder
from metering.service import register_places
from metering.store import load_matrix, write_days
from tests.web.conftest import Clients

DAYS = tuple(date(2022, 11, 1) + timedelta(days=n) for n in range(74))
SILENT = DAYS.index(date(2022, 12, 5))
UNMETERED_WH = 25
"""What the house takes each half hour beyond its flats."""


@pytest.fixture
def clients(own_installation: Application) -> Clients:
    """People who look at a house whose own meter counts its flats and a little more."""
    scope = system_scope("test")
    database, clock = own_installation.database, own_installation.clock
    with database.writing() as session:
        house = balance_store.house_by_code(session, scope, "KHB-A")
        points = balance_store.points_of_houses(session, [house.id])[house.id]
        ids = [point.taken_id for point in points if point.taken_id is not None]
        flats = load_matrix(session, ids, DAYS, house.zone, 30)
        order = PlacesOrder(
            points=(MeteringPoint("KHB-A-HOUSE", "KHB-A"),),
            channels=(Channel("KHB-A-HOUSE", 30),),
        )
        places = register_places(session, order, clock)
        channel = places.channel_ids["KHB-A-HOUSE", "A+"]
        through = flats.energy_wh.sum(axis=0) + UNMETERED_WH
        days = [n for n in range(len(DAYS)) if n != SILENT]
        block = whole_days(
            30,
            [channel] * len(days),
            [DAYS[n] for n in days],
            through.reshape(len(DAYS), 48)[days].astype(np.int32),
        )
        write_days(session, [block], clock, source="test")
    return Clients(create_app(own_installation))


def balance_of(client: FlaskClient, month: str) -> dict:
    answer = client.get(f"/api/v1/buildings/KHB-A/balance?month={month}")
    assert answer.status_code == 200
    return answer.get_json()


def test_the_interface_gives_a_balance_that_adds_up_and_tells_what_is_missing(clients: Clients):
    found = balance_of(clients["operator"], "2022-12")

    totals = found["totals"]
    parts = ("flats_wh", "common_wh", "losses_wh", "remainder_wh")
    assert totals["input_wh"] == sum(totals[part] for part in parts)
    assert (found["intervals"], found["incomplete"]) == (1488, 48)
    of_day = {day["day"]: day for day in found["days"]}
    assert of_day["2022-12-04"]["totals"]["remainder_wh"] == 48 * UNMETERED_WH
    assert of_day["2022-12-05"]["incomplete"] == 48


def test_a_month_that_is_none_is_refused(clients: Clients):
    answer = clients["operator"].get("/api/v1/buildings/KHB-A/balance?month=soon")

    assert answer.status_code == 422
    assert answer.get_json()["code"] == "invalid"


def test_a_company_without_the_house_finds_neither_it_nor_its_suspects(clients: Clients):
    client = clients["other_company"]

    answers = [client.get(f"/api/v1/buildings/KHB-A/{part}") for part in ("balance", "suspects")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert "KHB-A" not in client.get("/console/balance").text
    assert clients["company"].get("/console/balance/KHB-A").status_code == 200


def test_the_list_is_a_page_and_a_file(clients: Clients):
    client = clients["operator"]

    page = client.get("/console/balance?month=2022-12").text
    file = client.get("/console/balance?month=2022-12&export=balances").get_data(as_text=True)

    assert "/console/balance/KHB-A?month=2022-12" in page
    heading, line = file.lstrip("\ufeff").splitlines()
    assert heading.split(";")[5] == "Небаланс, кВт·ч"
    remainder_wh = balance_of(client, "2022-12")["totals"]["remainder_wh"]
    cell = line.split(";")[5]
    assert cell == f"{remainder_wh / 1000:.3f}".replace(".", ",")
    assert line.split(";")[7]  # the month is charged, so the remainder has a worth


def test_a_house_shows_its_days_one_of_them_and_its_suspects(clients: Clients):
    client = clients["operator"]

    page = client.get("/console/balance/KHB-A?month=2022-12&day=2022-12-04").text
    days = client.get("/console/balance/KHB-A?month=2022-12&export=days").text
    hours = client.get("/console/balance/KHB-A?month=2022-12&day=2022-12-05&export=intervals").text
    ranked = client.get("/console/balance/KHB-A?month=2022-12&export=suspects").text

    assert "Без баланса интервалов: 48 из 1" in page
    assert 'value="2022-12-04" selected' in page
    assert len(days.splitlines()) == 32
    assert hours.splitlines()[1].split(";") == ["00:00", "", "", "", "", ""]
    accounts = {line.split(";")[2] for line in ranked.splitlines()[1:]}
    assert "2799000004" in accounts


def test_a_day_that_is_none_is_as_if_none_was_asked_for(clients: Clients):
    client = clients["operator"]

    statuses = [
        client.get(f"/console/balance/KHB-A?month=2022-12&day={day}").status_code
        for day in ("soon", "2023-01-01", "")
    ]

    assert statuses == [200, 200, 200]


def test_suspects_come_with_points_that_sum_and_sentences(clients: Clients):
    answer = clients["operator"].get("/api/v1/buildings/KHB-A/suspects?month=2022-12")

    found = answer.get_json()
    assert found["enough"] is True
    assert [one["rank"] for one in found["suspects"]] == list(range(1, len(found["suspects"]) + 1))
    for one in found["suspects"]:
        assert one["points"] == sum(part["points"] for part in one["parts"])
        assert all("%(" not in part["text"] for part in one["parts"])
