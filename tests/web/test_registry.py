"""The registry's pages and interface: what a person sees, writes down, and is refused."""

from datetime import date
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from kilokassa.app.wiring import Application
from kilokassa.core.scope import system_scope
from kilokassa.core.zones import Zone
from metering.models import MeterLifeEventRow, MeterRow
from metering.registry.places import Building, Coordinates, Meter, PlacesOrder, Servicer
from metering.registry.service import register_places
from metering.registry.store import building_by_code, latest_readings, point_by_code
from tests.web.conftest import Clients, sign_in, token
from tests.web.seed import PEOPLE

ALL = system_scope("test")
POINT, METER = "KHB-A-4", "E-0004"
HOUSE = "/console/buildings/KHB-A"
PAGE = f"/console/points/{POINT}"


@pytest.fixture
def operator(own_app: Flask) -> FlaskClient:
    client = own_app.test_client()
    sign_in(client, PEOPLE["operator"].email)
    return client


@pytest.fixture
def placed(own_installation: Application) -> Application:
    """The installation with a house on the map and somebody who services its meters."""
    with own_installation.database.writing() as session:
        order = PlacesOrder(
            servicers=(Servicer("SERV", "ООО «Метролог»", "serv@town.example"),),
            buildings=(
                Building(
                    "KHB-A",
                    "г. Хабаровск, ул. Опытная, д. 1",
                    "Asia/Vladivostok",
                    servicer_code="SERV",
                    place=Coordinates(48_480_223, 135_071_917),
                ),
            ),
            meters=(Meter(POINT, METER, date(2022, 11, 1), verified_until=date(2023, 1, 10)),),
        )
        register_places(session, order, own_installation.clock)
    return own_installation


def post(client: FlaskClient, url: str, **data: str):
    return client.post(url, data={"csrf_token": token(client), **data})


def shown(client: FlaskClient, url: str) -> str:
    client.set_cookie("language", "en")
    answer = client.get(url)
    assert answer.status_code == 200
    return " ".join(unescape(answer.text).split())


def test_a_house_shows_its_place_on_a_map_of_others_as_a_plain_link(placed, operator):
    page = shown(operator, HOUSE)

    assert 'href="https://www.openstreetmap.org/?mlat=48.480223&mlon=135.071917' in page
    assert 'rel="noopener noreferrer external"' in page
    assert "ООО «Метролог»" in page
    assert f"/console/points/{POINT}" in page


@pytest.mark.parametrize("words", [POINT, METER, "Опытная 4"])
def test_a_point_is_found_by_what_a_clerk_has_at_hand(clients: Clients, words):
    page = shown(clients["operator"], f"/console/buildings?search={words}")

    assert PAGE in page
    assert "/console/points/KHB-A-5" not in page


def test_a_point_shows_its_meter_readings_and_life(placed, operator):
    page = shown(operator, PAGE)

    assert f"Meter {METER}" in page
    assert "10 Jan 2023" in page
    assert "Verification: 10 Jan 2023" in page
    assert "as registered" in page
    assert "Consumption of the last days" in page


def test_a_verification_is_written_down_and_moves_the_date(placed, operator):
    form = shown(operator, f"{PAGE}/life")

    answer = post(
        operator,
        f"{PAGE}/life",
        serial=METER,
        kind="verified",
        happened_on="2023-01-12",
        valid_until="2039-01-11",
        document="С-12",
    )

    assert "three-phase: 14 Jan 2033 (10 years)" in form
    assert answer.status_code == 302
    page = shown(operator, PAGE)
    assert "It was written down." in page
    assert "valid until 11 Jan 2039" in page
    assert "document С-12" in page
    with placed.database.reading() as session:
        until = session.scalar(select(MeterRow.verified_until).where(MeterRow.serial == METER))
    assert until == date(2039, 1, 11)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"kind": "verified", "happened_on": "2023-01-12"}, "says until when it holds"),
        ({"kind": "sealed", "happened_on": "2023-01-16"}, "is in the future"),
        ({"kind": "disposed", "happened_on": "2023-01-12"}, "disposal on 2023-01-12 is not"),
        ({"kind": "sealed", "happened_on": "yesterday"}, "valid date"),
    ],
)
def test_an_event_that_cannot_be_is_refused_with_a_sentence(placed, operator, data, sentence):
    operator.set_cookie("language", "en")

    answer = post(operator, f"{PAGE}/life", serial=METER, **data)

    assert answer.status_code == 422
    assert sentence in unescape(answer.text)
    with placed.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(MeterLifeEventRow)) == 0


REPLACEMENT = {
    "at": "2023-01-12T14:30",
    "serial": "N-77",
    "digits": "5",
    "final_day": "10400.5",
    "final_night": "10100",
    "first_day": "1.25",
    "first_night": "0,5",
    "document": "А-3",
}


def test_a_meter_is_replaced_from_the_page(own_installation, operator):
    first = post(operator, f"{PAGE}/replace", **zones(own_installation))
    with own_installation.database.reading() as session:
        point = point_by_code(session, ALL, POINT)
        readings = latest_readings(session, point.meters)
        serials = [meter.serial for meter in point.meters]

    again = post(operator, f"{PAGE}/replace", **zones(own_installation))

    assert first.status_code == 302
    assert serials == [METER, "N-77"]
    assert {r.value for r in readings if r.serial == "N-77"} <= {1_250, 500}
    assert again.status_code == 422  # the new meter stands there now: it does not replace itself


def zones(installation: Application) -> dict[str, str]:
    """Return the form as it is filled in for the zones that the meter shows."""
    with installation.database.reading() as session:
        point = point_by_code(session, ALL, POINT)
        known = {r.zone for r in latest_readings(session, point.meters[:1])}
    if known <= {Zone.ALL}:
        others = {name: text for name, text in REPLACEMENT.items() if "_" not in name}
        return others | {"final_all": "99999", "first_all": "1.25"}
    return REPLACEMENT


def test_a_replacement_without_readings_is_refused_and_keeps_what_was_typed(operator):
    operator.set_cookie("language", "en")

    answer = post(operator, f"{PAGE}/replace", at="2023-01-12T14:30", serial="N-77")

    text = unescape(answer.text)
    assert answer.status_code == 422
    assert "says what each register showed" in text
    assert 'value="N-77"' in text


def test_a_building_is_edited_and_a_company_may_not(placed, operator, own_app):
    saved = post(
        operator,
        f"{HOUSE}/edit",
        address="г. Хабаровск, ул. Опытная, д. 1 А",
        company="",
        servicer="SERV",
        latitude="48.5",
        longitude="135,1",
        loss_percent="1,25",
        loss_w="40",
        norm_code="gas",
    )
    company = own_app.test_client()
    sign_in(company, PEOPLE["company"].email)

    assert saved.status_code == 302
    with placed.database.reading() as session:
        building = building_by_code(session, ALL, "KHB-A")
    assert building.place == Coordinates(48_500_000, 135_100_000)
    assert (building.loss_ppm, building.loss_w, building.norm_code) == (12_500, 40, "gas")
    assert company.get(f"{HOUSE}/edit").status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"latitude": "91", "longitude": "0"},
        {"latitude": "48.5"},
        {"loss_percent": "100"},
        {"loss_percent": "1.23456"},
        {"address": ""},
    ],
)
def test_a_building_with_a_wrong_field_is_not_saved(operator, wrong):
    whole = {"address": "x", "company": "", "servicer": ""}

    answer = post(operator, f"{HOUSE}/edit", **(whole | wrong))

    assert answer.status_code == 422


NEW = f"{HOUSE}/points/new"
NEW_POINT = {
    "code": "KHB-A-4-CW",
    "commodity": "cold_water",
    "premises": "4",
    "interval": "",
    "serial": "CW-1",
    "digits": "5",
    "installed_on": "2023-01-10",
    "verified_until": "2029-01-09",
}


def test_a_point_is_added_with_its_meter(own_installation, operator):
    answer = post(operator, NEW, **NEW_POINT)

    assert answer.status_code == 302
    with own_installation.database.reading() as session:
        point = point_by_code(session, ALL, "KHB-A-4-CW")
    assert (point.premises_number, point.channels) == ("4", ())
    assert point.present is not None
    assert (point.present.digits, point.present.dates.verified_until) == (5, date(2029, 1, 9))


def test_a_point_of_a_new_flat_brings_its_area_and_a_channel(own_installation, operator):
    data = NEW_POINT | {"code": "KHB-A-77", "commodity": "electricity", "premises": "77"}

    answer = post(operator, NEW, **(data | {"area_m2": "45,1", "interval": "30"}))

    assert answer.status_code == 302
    with own_installation.database.reading() as session:
        point = point_by_code(session, ALL, "KHB-A-77")
    assert [(c.code, c.interval_min) for c in point.channels] == [("A+", 30)]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"code": POINT}, "a point with this code is registered"),
        ({"premises": "77"}, "There is no premises"),
        ({"installed_on": ""}, "A meter says when it was installed."),
        ({"area_m2": "a lot"}, "Write an area"),
        ({"capacity_kw": "x"}, "Write kilowatts"),
    ],
)
def test_a_point_that_cannot_be_is_not_added(operator, changes, sentence):
    operator.set_cookie("language", "en")

    answer = post(operator, NEW, **(NEW_POINT | changes))

    assert answer.status_code == 422
    assert sentence in unescape(answer.text)


def test_what_is_due_is_a_page_and_a_file(placed, operator):
    page = shown(operator, "/console/verifications?within=30")
    file = operator.get("/console/verifications?within=30&export=verifications").text

    assert METER in page
    assert "Overdue" in page
    assert f"{POINT},{METER}" in file


def test_a_company_sees_the_verifications_of_its_own_houses_alone(placed, own_app):
    other = own_app.test_client()
    sign_in(other, PEOPLE["other_company"].email)

    page = other.get("/console/verifications?within=365").text

    assert METER not in page


# --- the interface ---


def test_the_interface_tells_the_same(placed, operator):
    house = operator.get("/api/v1/buildings/KHB-A").get_json()
    points = operator.get(f"/api/v1/points?search={METER}").get_json()
    point = operator.get(f"/api/v1/points/{POINT}").get_json()
    due = operator.get("/api/v1/verifications?within_days=0&with_unknown=false").get_json()

    assert house["coordinates"] == {"latitude": "48.480223", "longitude": "135.071917"}
    assert (points["total"], points["items"][0]["code"]) == (1, POINT)
    assert point["meters"][0]["stage"] == "in_service"
    assert [(one["serial"], one["band"]) for one in due] == [(METER, "expired")]


def test_the_interface_writes_down_once(placed, operator):
    body = {"serial": METER, "kind": "verified", "happened_on": "2023-01-12", "document": "С-1"}
    url = f"/api/v1/points/{POINT}/life-events"
    headers = {"X-CSRFToken": token(operator)}

    first = operator.post(url, json=body, headers=headers)
    second = operator.post(url, json=body, headers=headers)

    assert (first.status_code, first.get_json()["repeated"]) == (201, False)
    assert second.get_json()["repeated"] is True
    assert first.get_json()["meter"]["verified_until"] == "2033-01-11"


def test_the_interface_replaces_a_meter_once(own_installation, operator):
    with own_installation.database.reading() as session:
        known = latest_readings(session, point_by_code(session, ALL, POINT).meters)
    final = [{"zone": str(r.zone), "value": r.value + 1000} for r in known]
    body = {
        "removed_serial": METER,
        "at": "2023-01-12T14:30:00+10:00",
        "final": final or [{"value": 99_999_000}],
        "first": [{"value": 0}],
        "meter": {"serial": "N-77", "digits": 5, "verified_until": "2039-01-01"},
    }
    url = f"/api/v1/points/{POINT}/replacements"
    headers = {"X-CSRFToken": token(operator)}

    first = operator.post(url, json=body, headers=headers)
    second = operator.post(url, json=body, headers=headers)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json() == second.get_json()
    assert [m["serial"] for m in first.get_json()["meters"]] == [METER, "N-77"]
    assert first.get_json()["meters"][1]["installed_on"] == "2023-01-12"


def test_the_interface_refuses_what_it_cannot_believe(operator):
    headers = {"X-CSRFToken": token(operator)}
    body = {"serial": METER, "kind": "disposed", "happened_on": "2023-01-12"}

    answer = operator.post(f"/api/v1/points/{POINT}/life-events", json=body, headers=headers)

    assert answer.status_code == 422
    assert answer.get_json()["code"] == "meter_life_conflict"
