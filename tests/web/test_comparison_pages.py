"""Pages and routes of comparing plans, choosing one, and rehearsing a tariff."""

import io
import re
import threading

import pytest

from billing.models import RunState
from billing.rehearsal import store
from billing.rehearsal.order import Change, RehearsalOrder
from kilokassa.app import rehearsing
from kilokassa.core.calendar import Month
from kilokassa.web.app import create_app
from kilokassa.web.console.rehearsals import start
from tests.app.test_comparing import publish_plans
from tests.app.test_rehearsing import DEARER
from tests.web.conftest import Clients, token
from tests.web.seed import BY_HAND, PREPAID, SCOPE

PLANS = f"/account/{PREPAID}/plans"


@pytest.fixture
def clients(own_installation):
    return Clients(create_app(publish_plans(own_installation)))


def in_english(client):
    client.set_cookie("language", "en")
    return client


def test_a_resident_sees_the_best_plan_chooses_it_and_takes_it_back(clients):
    resident = in_english(clients["resident"])
    page = resident.get(PLANS).text
    assert "Would have been saved" in page
    assert "never costs more than on the plan Single rate" in page

    data = {"plan": "digital", "csrf_token": token(resident)}
    after = resident.post(PLANS, data=data, follow_redirects=True).text
    assert "The plan Digital holds from 1 Feb 2023" in after
    assert "Keep the present plan" in after

    data["plan"] = "two_zone"
    assert "The plan stays as it is." in resident.post(PLANS, data=data, follow_redirects=True).text


def test_staff_see_what_follows_and_a_choice_that_is_not_open_is_told_in_words(clients):
    operator = in_english(clients["operator"])
    address = f"/console/accounts/{PREPAID}/plans"
    data = {"plan": "closed", "csrf_token": token(operator)}

    refused = operator.post(address, data=data, follow_redirects=True).text
    chosen = operator.post(address, data=data | {"plan": "single"}, follow_redirects=True).text

    assert "it is not open to this account" in refused
    assert "Single rate, from 1 Feb 2023" in chosen


def test_a_meter_read_by_registers_is_offered_nothing_false(clients):
    page = in_english(clients["operator"]).get(f"/console/accounts/{BY_HAND}/plans").text

    assert "It has to be set for the zones of another plan first" in page
    assert 'type="radio"' not in page


def test_the_costs_are_a_table_for_a_spreadsheet(clients):
    table = clients["resident"].get(f"{PLANS}?export=plans&shift=nonsense").data.decode("utf-8-sig")

    assert table.splitlines()[0].startswith("Тариф;Стоимость;До скидок;")
    assert len(table.splitlines()) == 5


def test_an_analyst_rehearses_a_document_and_takes_the_report(clients):
    analyst = in_english(clients["analyst"])
    data = {
        "plan": "two_zone",
        "target": "",
        "file": (io.BytesIO(DEARER.encode()), "new.yaml"),
        "first": "2022-11",
        "last": "2022-12",
        "prices": "newest",
        "building": "",
        "name": "<b>dearer</b>",
        "csrf_token": token(analyst),
    }
    answer = analyst.post("/console/rehearsals/new", data=data)
    assert answer.status_code == 302
    address = answer.headers["Location"]

    page = analyst.get(address).text
    assert "&lt;b&gt;dearer&lt;/b&gt;" in page
    assert "<b>dearer" not in page
    assert re.search(r"On the new tariff.*?₽[\d,.]+", page, re.DOTALL)
    assert analyst.get(f"{address}?export=html").text.startswith("<!doctype html>")
    assert "<b>dearer" not in analyst.get(f"{address}?export=html").text
    assert analyst.get(f"{address}?export=pdf").data.startswith(b"%PDF")
    assert len(analyst.get(f"{address}?export=csv").data.splitlines()) == 5
    assert "dearer" in analyst.get("/console/rehearsals").text


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"plan: [", "tariff"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b"", "choose a plan or a file"),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_at_its_line(clients, document, words):
    analyst = in_english(clients["analyst"])
    data = {
        "plan": "two_zone",
        "target": "",
        "file": (io.BytesIO(document), "new.yaml" if document else ""),
        "first": "2022-11",
        "last": "2022-12",
        "prices": "newest",
        "building": "",
        "csrf_token": token(analyst),
    }

    answer = analyst.post("/console/rehearsals/new", data=data)

    assert answer.status_code == 422
    assert words in answer.text


def test_other_systems_compare_choose_and_rehearse(clients):
    analyst, resident = clients["analyst"], clients["resident"]
    headers = {"X-CSRFToken": token(analyst), "Accept-Language": "en"}
    begun = analyst.post(
        "/api/v1/rehearsals",
        json={
            "changes": [{"plan": "two_zone", "document": DEARER}],
            "first_month": "2022-11",
            "last_month": "2022-12",
        },
        headers=headers,
    )
    assert begun.status_code == 201, begun.text
    assert begun.json["state"] == "done"
    assert begun.json["report"]["figures"]["accounts"] == 4

    found = resident.get(f"/api/v1/accounts/{PREPAID}/comparison").json
    assert found["best"] == "digital"
    assert found["current"] == "two_zone"
    assert {one["plan"]["code"] for one in found["plans"]} >= {"single", "two_zone", "three_zone"}
    chosen = resident.post(
        f"/api/v1/accounts/{PREPAID}/plan",
        json={"plan": "digital"},
        headers={"X-CSRFToken": token(resident)},
    )
    assert chosen.json["pending"]["code"] == "digital"
    assert chosen.json["pending_from"] == "2023-02-01"


@pytest.mark.parametrize(
    "wrong",
    [
        {"changes": [{"plan": "two_zone"}]},
        {"changes": [{"plan": "two_zone", "document": "a: b", "to_plan": "single"}]},
        {"changes": [{"plan": "two_zone", "to_plan": "single"}], "first_month": "2022-12"},
        {"changes": [{"plan": "two_zone", "to_plan": "single"}], "last_month": "9998-12"},
        {"changes": [{"plan": "two_zone", "document": "&a [*a, *a]"}]},
    ],
)
def test_a_wrong_order_is_refused_and_not_begun(clients, wrong):
    analyst = clients["analyst"]
    asked = {"first_month": "2022-11", "last_month": "2022-11"} | wrong

    answer = analyst.post("/api/v1/rehearsals", json=asked, headers={"X-CSRFToken": token(analyst)})

    assert answer.status_code == 422, answer.text
    assert len(analyst.get("/api/v1/rehearsals").json) == 1


def test_a_rehearsal_is_priced_once_however_often_it_is_asked_to_go_on(own_installation):
    change = Change("two_zone", to_plan="single")
    order = RehearsalOrder("again", (change,), Month(2022, 11), Month(2022, 12))
    number = rehearsing.begin(own_installation, order, scope=SCOPE)

    with own_installation.database.writing():  # nothing can be written down meanwhile
        for _ in range(3):
            start(own_installation, SCOPE, number, parts=rehearsing.INLINE_ACCOUNTS)
        running = [one for one in threading.enumerate() if one.name == f"rehearsal-{number}"]
        assert len(running) == 1
    running[0].join()

    with own_installation.database.reading() as session:
        assert store.rehearsal(session, SCOPE, number).state is RunState.DONE
