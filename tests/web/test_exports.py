"""The page and the interface that give readings away as files."""

import csv
import zipfile
from datetime import UTC, datetime
from io import BytesIO, StringIO

import polars as pl
import pytest

from metering.parsers.xml_80020 import Xml80020Reader
from tests.web.conftest import Clients, token

API = "/api/v1/readings/export"
PAGE = "/console/readings/export"
MONTH = "from=2022-12-01&to=2022-12-31"


def rows(answer):
    return list(csv.DictReader(StringIO(answer.text), delimiter=";"))


def points(answer):
    return {row["point"].rsplit("-", 1)[0] for row in rows(answer)}


def test_csv_gives_every_value_of_the_month(clients: Clients):
    answer = clients["operator"].get(f"{API}?{MONTH}")

    assert answer.mimetype == "text/csv"
    assert "filename=readings_2022-12-01_2022-12-31.csv" in answer.headers["Content-Disposition"]
    found = rows(answer)
    assert {row["quality"] for row in found} == {"actual"}
    assert min(row["time"] for row in found) == "2022-12-01T00:00+10:00"


def test_parquet_gives_the_same_values(clients: Clients):
    as_csv = rows(clients["operator"].get(f"{API}?{MONTH}"))

    answer = clients["operator"].get(f"{API}?{MONTH}&format=parquet")

    frame = pl.read_parquet(BytesIO(answer.data))
    assert len(frame) == len(as_csv) > 0
    assert frame["time"][0] == datetime(2022, 11, 30, 14, tzinfo=UTC)


def test_a_company_gets_the_houses_it_looks_after(clients: Clients):
    whole = clients["operator"].get(f"{API}?{MONTH}")

    own = clients["other_company"].get(f"{API}?{MONTH}")

    assert len(rows(own)) < len(rows(whole))
    assert points(own) < points(whole)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("from=soon&to=2022-12-31", 422),
        ("from=2022-12-31&to=2022-12-01", 422),
        ("from=0001-01-01&to=9999-12-31", 422),
        (f"{MONTH}&format=80020", 422),
        (f"{MONTH}&building=nowhere", 404),
    ],
)
def test_what_cannot_be_exported_is_refused(clients: Clients, query, status):
    answer = clients["operator"].get(f"{API}?{query}")

    assert answer.status_code == status
    assert answer.get_json()["message"]


def test_80020_comes_as_an_archive_with_new_numbers_each_time(own_app):
    operator = Clients(own_app)["operator"]
    url = f"{API}/80020?from=2022-12-30&to=2022-12-31"
    headers = {"X-CSRFToken": token(operator)}

    archives = [operator.post(url, headers=headers) for _ in range(2)]

    names = [zipfile.ZipFile(BytesIO(answer.data)).namelist() for answer in archives]
    numbers = [int(name.split("_")[3]) for part in names for name in part]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(names[0]) == len(names[1]) > 0
    archive = zipfile.ZipFile(BytesIO(archives[0].data))
    reader = Xml80020Reader()
    assert sum(len(block) for block in reader.blocks(archive.open(names[0][0]))) > 0


def test_the_page_offers_the_last_month_and_the_formats_in_reach(clients: Clients):
    operator, company = (clients[name].get(PAGE).text for name in ("operator", "company"))

    assert 'value="2022-12-01"' in operator
    assert 'value="2022-12-31"' in operator
    assert 'value="80020"' in operator
    assert 'value="80020"' not in company


def test_the_page_gives_the_file(clients: Clients):
    operator = clients["operator"]
    data = {
        "csrf_token": token(operator),
        "first": "2022-12-31",
        "last": "2022-12-31",
        "building": "KHB-A",
        "fmt": "csv",
    }

    answer = operator.post(PAGE, data=data)

    assert answer.mimetype == "text/csv"
    assert points(answer) == {"KHB-A"}


def test_a_company_cannot_ask_for_80020_by_hand(clients: Clients):
    company = clients["company"]
    data = {
        "csrf_token": token(company),
        "first": "2022-12-31",
        "last": "2022-12-31",
        "building": "",
        "fmt": "80020",
    }

    assert company.post(PAGE, data=data).status_code == 422


def test_days_in_the_wrong_order_are_said_on_the_page(clients: Clients):
    operator = clients["operator"]
    data = {
        "csrf_token": token(operator),
        "first": "2022-12-31",
        "last": "2022-12-01",
        "building": "",
        "fmt": "csv",
    }

    answer = operator.post(PAGE, data=data)

    assert answer.status_code == 422
    assert "Этот день раньше первого." in answer.text
