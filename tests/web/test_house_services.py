"""Services of houses on pages and by the interface: published, assigned, settled, exported."""

from io import BytesIO
from pathlib import Path

import pytest

from kilokassa.app.common_areas import settle_common_areas
from kilokassa.core.calendar import Month
from kilokassa.core.scope import system_scope
from tests.web.conftest import Clients, token

EXAMPLES = Path(__file__).parents[2] / "examples/services"
HOUSE = "/console/buildings/KHB-A/services"


@pytest.fixture
def clients(own_installation, own_app):
    return Clients(own_app)


def publish(client, name):
    data = {
        "csrf_token": token(client),
        "file": (BytesIO((EXAMPLES / f"{name}.yaml").read_bytes()), f"{name}.yaml"),
    }
    return client.post("/console/services", data=data, content_type="multipart/form-data")


def assign(client, **fields):
    data = {"csrf_token": token(client), "valid_from": "2022-11-01", "method": ""} | fields
    return client.post(HOUSE, data=data)


def test_an_analyst_publishes_prices_and_an_operator_gives_them_to_a_house(clients):
    published = publish(clients["analyst"], "upkeep")
    again = publish(clients["analyst"], "upkeep")
    recorded = assign(clients["operator"], service="upkeep", document="Договор 7")
    page = clients["operator"].get(HOUSE).text

    assert published.headers["Location"] == again.headers["Location"] == "/console/services/upkeep"
    assert recorded.status_code == 302
    assert "Содержание жилого помещения" in page
    assert "Договор 7" in page
    assert "26,84" in page


def test_a_wrong_document_is_refused_with_its_line(clients):
    client = clients["analyst"]
    data = {
        "csrf_token": token(client),
        "file": (BytesIO(b"service: gas\ncode: gas\n"), "gas.yaml"),
    }

    answer = client.post("/console/services", data=data, content_type="multipart/form-data")

    assert answer.status_code == 422
    assert "строка 1, service: услуга — это cold_water" in answer.text


def test_a_document_that_is_no_text_is_refused(clients):
    client = clients["analyst"]
    data = {"csrf_token": token(client), "file": (BytesIO(b"\xff\xfe\x00"), "x.yaml")}

    answer = client.post("/console/services", data=data, content_type="multipart/form-data")

    assert answer.status_code == 422
    assert "Файл не является текстом" in answer.text


def test_an_assignment_that_does_not_fit_is_refused_beside_the_form(clients):
    publish(clients["analyst"], "waste")

    answer = assign(clients["operator"], service="waste", method="norm")

    assert answer.status_code == 422
    assert "решение собственников" in answer.text


def test_a_settled_month_shows_how_it_came_about_in_both_languages(clients, own_installation):
    publish(clients["analyst"], "common-electricity")
    assign(clients["operator"], service="common_electricity", method="norm")
    settle_common_areas(own_installation, Month(2022, 12), scope=system_scope("test"))
    company = clients["company"]

    russian = company.get(HOUSE).text
    csv = company.get(f"{HOUSE}?export=common-area")
    company.post("/preferences", data={"csrf_token": token(company), "language": "en"})
    english = company.get(HOUSE).text

    assert "Электроэнергия на общее имущество · декабрь 2022" in russian
    assert "Common-area electricity · December 2022" in english
    assert "декабрь" in csv.text or "2022-12" in csv.text
    assert "Записать услугу" not in russian


def test_the_interface_publishes_assigns_ends_and_shows(clients):
    analyst, operator = clients["analyst"], clients["operator"]
    document = (EXAMPLES / "waste.yaml").read_text("utf-8")
    headers = {"X-CSRFToken": token(analyst)}
    published = analyst.post("/api/v1/services", json={"document": document}, headers=headers)
    headers = {"X-CSRFToken": token(operator)}
    order = {"code": "waste", "valid_from": "2022-11-01"}
    of_house = "/api/v1/buildings/KHB-A/services"
    assigned = operator.post(of_house, json=order, headers=headers)
    again = operator.post(of_house, json=order, headers=headers)
    ended = operator.post(
        f"{of_house}/end", json={"code": "waste", "last_day": "2022-12-31"}, headers=headers
    )
    shown = operator.get(of_house).get_json()

    assert published.get_json() == {"code": "waste", "valid_from": "2022-07-01", "new": True}
    assert [assigned.get_json(), again.get_json()] == [{"changed": True}, {"changed": False}]
    assert ended.get_json() == {"changed": True}
    assert [(one["code"], one["valid_until"]) for one in shown["services"]] == [
        ("waste", "2022-12-31")
    ]
    (price,) = operator.get("/api/v1/services").get_json()
    assert price["prices"] == [{"from": "2022-07-01", "rate": "118.52"}]
    assert operator.get("/api/v1/services/waste").get_json()["versions"][0]["revision"] == 1


def test_a_company_sees_only_its_own_houses(clients):
    assert clients["other_company"].get(HOUSE).status_code == 404
    assert clients["company"].get(HOUSE).status_code == 200


def test_a_month_before_all_months_is_refused_in_words(clients):
    answer = clients["operator"].get("/api/v1/buildings/KHB-A/services?first=1000-01")

    assert answer.status_code == 422
