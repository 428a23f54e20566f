"""Market prices: the pages, the interface and the command."""

from io import BytesIO

import pytest

from kilokassa.web.app import create_app
from tests.web.conftest import Clients, token

HEAD = "date;hour;price_per_kwh\n"


def day(text: str, price: str) -> str:
    return "".join(f"{text};{hour};{price}\n" for hour in range(24))


@pytest.fixture
def analyst(own_app):
    return Clients(own_app)["analyst"]


def send(client, url: str, data: dict):
    return client.post(url, data=data | {"csrf_token": token(client)}, follow_redirects=True)


def test_the_list_shows_series_with_what_is_missing_and_revised(clients):
    page = clients["auditor"].get("/console/prices").text
    assert "Рынок на сутки вперёд" in page
    assert "Начать ряд" not in page
    assert "Начать ряд" in clients["analyst"].get("/console/prices").text
    text = clients["auditor"].get("/console/prices?export=price-series").text
    assert text.splitlines()[1].split(";")[1] == "dam"
    assert "ats" in clients["auditor"].get("/console/prices?export=peak-hours").text


def test_a_month_shows_holes_and_former_prices(clients):
    page = clients["analyst"].get("/console/prices/dam?month=2023-01").text
    assert "Дни без цен: 03.01.2023" in page
    assert "kk-prices-former" in page
    assert 'fill="url(#kk-hole)"' in page
    assert "kk-prices-line" not in clients["analyst"].get("/console/prices/dam?month=2022-01").text


def test_a_revised_day_shows_the_price_of_each_hour_before_and_now(clients):
    url = "/console/prices/dam?month=2023-01&day=2023-01-02"
    page = clients["analyst"].get(url).text
    assert "Цены дня" in page
    rows = clients["analyst"].get(f"{url}&export=prices-dam-2023-01-02").text.splitlines()
    assert len(rows) == 25
    assert rows[2].split(";") == ["01:00", "4,250000", "0,500000", "3,750000"]
    for wrong in ("2023-01-03", "yesterday", "2023-02-30"):
        assert clients["analyst"].get(f"/console/prices/dam?day={wrong}").status_code == 200
    assert clients["analyst"].get("/console/prices/none").status_code == 404


def test_an_analyst_begins_a_series_and_brings_a_file(analyst):
    begun = send(
        analyst,
        "/console/prices",
        {"code": "retail", "name": "Розница", "zone": "Asia/Vladivostok", "interval": "60"},
    )
    assert begun.status_code == 200
    file = (BytesIO((HEAD + day("2022-12-01", "3,1")).encode()), "december.csv")
    page = send(analyst, "/console/prices/retail", {"file": file}).text
    assert "Дней: новых 1, изменённых 0, прежних 0." in page
    assert "декабрь 2022" in page
    cut = (BytesIO((HEAD + "2022-12-02;0;1\n").encode()), "cut.csv")
    refused = send(analyst, "/console/prices/retail", {"file": cut})
    assert refused.status_code == 422
    assert "cut.csv: 2022-12-02 не полон: нет 23 цен из 24, первая — 01:00" in refused.text


@pytest.mark.parametrize(
    ("field", "value"),
    [("code", "Ряд"), ("name", ""), ("zone", "../etc/passwd"), ("zone", ""), ("interval", "7")],
)
def test_a_series_that_cannot_be_is_refused_beside_its_field(analyst, field, value):
    data = {"code": "x", "name": "X", "zone": "Europe/Berlin", "interval": "60"} | {field: value}
    assert send(analyst, "/console/prices", data).status_code == 422


def test_another_grid_of_a_series_is_refused_in_words(analyst):
    data = {"code": "dam", "name": "X", "zone": "Asia/Vladivostok", "interval": "30"}
    answer = send(analyst, "/console/prices", data)
    assert answer.status_code == 422
    assert "его сетка не меняется" in answer.text


def test_peak_hours_come_as_a_file(analyst):
    file = (BytesIO(b"date;time\n2023-01-09;11:00\n"), "peaks.csv")
    data = {"list_code": "ats", "file": file}
    page = send(analyst, "/console/prices/peak-hours", data).text
    assert "Часов: названо 1, отменено 2, прежних 0." in page


def test_other_systems_send_and_read_prices(own_installation):
    clients = Clients(create_app(own_installation))
    client = clients["analyst"]
    head = {"X-CSRFToken": token(client)}
    begun = {"code": "spot", "name": "Спот", "zone": "Asia/Vladivostok"}
    assert client.post("/api/v1/prices", json=begun, headers=head).status_code == 201
    body = (HEAD + day("2023-01-01", "-0.5")).encode()
    sent = client.post("/api/v1/prices/spot?name=a.csv", data=body, headers=head)
    assert sent.json == {"new": ["2023-01-01"], "changed": [], "same": []}
    again = client.post("/api/v1/prices/spot", data=body, headers=head)
    assert again.json["same"] == ["2023-01-01"]
    (found,) = client.get("/api/v1/prices/spot?first=2023-01-01&last=2023-01-01").json
    assert (found["revision"], found["source"]) == (1, "a.csv")
    assert found["prices_per_kwh"] == ["-0.50"] * 24
    assert client.get("/api/v1/prices/spot?first=2023-01-01&last=2025-01-01").status_code == 422
    hours = b"start\n2023-01-09T10:00\n"
    named = client.post("/api/v1/peak-hours/ats_2", data=hours, headers=head)
    assert named.json == {"months": ["2023-01"], "named": 1, "withdrawn": 0, "same": 0}
    assert len(client.get("/api/v1/peak-hours/ats_2").json) == 1
