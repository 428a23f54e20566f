"""Findings, events and quality: as people see them, and as other systems do."""

import json
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from kilokassa.app.wiring import Application
from metering.findings.finding import FindingState
from metering.findings.store import FindingFilter, StoredFinding, find_findings
from tests.web.conftest import Clients, sign_in, token
from tests.web.seed import PASSWORD, PEOPLE, POSTPAID, PREPAID, SCOPE


@pytest.fixture
def desk(own_app: Flask) -> Clients:
    return Clients(own_app)


def queue(application: Application, **wished: Any) -> tuple[StoredFinding, ...]:
    with application.database.reading() as session:
        return find_findings(session, SCOPE, FindingFilter(**wished))


def post(client: FlaskClient, url: str, **data: Any) -> Any:
    return client.post(url, data=data | {"csrf_token": token(client)}, follow_redirects=True)


def send(client: FlaskClient, url: str, body: Any, key: str = "key-000001") -> Any:
    headers = {"Idempotency-Key": key, "X-CSRFToken": token(client)}
    return client.post(f"/api/v1{url}", json=body, headers=headers)


# --- findings ---


def test_the_queue_shows_the_heaviest_with_what_speaks_for_it(clients: Clients):
    page = clients["operator"].get("/console/findings").text

    assert "Точка учёта KHB-B-1" in page
    rows = page.split("data-rows")[1]
    assert rows.index("Противоречие") < rows.index("Пропуск")
    assert 'id="finding"' in page
    assert POSTPAID in page
    assert 'data-key="e"' in page


def test_a_script_asks_for_one_finding_alone(clients: Clients):
    part = clients["operator"].get("/console/findings/1", headers={"HX-Request": "true"}).text

    assert part.lstrip().startswith("<div")
    assert "<html" not in part
    chart = part.split('<script type="application/json">')[1].split("</script>")[0]
    series = json.loads(chart)["series"]
    assert len(series) == 2
    assert all(
        a is None or b is None
        for a, b in zip(series[0]["values"], series[1]["values"], strict=True)
    )


def test_accepting_one_leads_to_the_next(own_installation: Application, desk: Clients):
    first, second = queue(own_installation)[:2]

    page = post(desk["operator"], "/console/findings/accept", ids=first.id, note="проверено").text

    assert "Принято замечаний: 1." in page
    assert f'data-finding="{second.id}"' in page
    (closed,) = queue(own_installation, state=FindingState.ACCEPTED)
    assert (closed.id, closed.closed_by[:5]) == (first.id, "user:")
    shown = desk["operator"].get(f"/console/findings/{first.id}").text
    assert "Окошкина Ольга" in shown


def test_the_second_clerk_is_told_who_was_first(own_installation: Application, desk: Clients):
    ids = [one.id for one in queue(own_installation)]
    post(desk["operator"], "/console/findings/accept", ids=ids, note="проверено")

    page = post(desk["administrator"], "/console/findings/accept", ids=ids[0], note="другое").text

    assert f"{PEOPLE['operator'].name} уже закрыл" in page
    assert len(queue(own_installation, state=FindingState.ACCEPTED)) == len(ids)


def test_a_note_is_asked_for(own_installation: Application, desk: Clients):
    before = queue(own_installation)

    page = post(desk["operator"], "/console/findings/accept", ids=before[0].id, note=" ").text

    assert "напишите, почему показания остаются как есть" in page
    assert queue(own_installation) == before


def test_an_accepted_finding_is_opened_again(own_installation: Application, desk: Clients):
    first = queue(own_installation)[0]
    post(desk["operator"], "/console/findings/accept", ids=first.id, note="проверено")

    page = post(desk["operator"], f"/console/findings/{first.id}/reopen", note="нет").text

    assert "Замечание снова открыто." in page
    assert "проверено" in page


def test_a_company_works_on_its_own_houses_alone(clients: Clients):
    other = clients["other_company"]

    page = other.get("/console/findings?building=KHB-A").text

    assert "Таких замечаний нет." in page
    assert clients["resident"].get("/console/findings").status_code == 403
    assert "Принять" not in clients["auditor"].get("/console/findings").text


def test_the_queue_is_exported_as_it_is_narrowed(clients: Clients):
    answer = clients["operator"].get("/console/findings?export=findings&kind=gap")

    lines = answer.text.strip().splitlines()
    assert answer.mimetype == "text/csv"
    assert "Кто закрыл" in lines[0]
    assert len(lines) == 3
    assert all("Пропуск" in line for line in lines[1:])


def test_other_systems_accept_and_open_again(own_installation: Application, desk: Clients):
    client = desk["operator"]
    found = client.get("/api/v1/findings?limit=2").get_json()
    first = found["items"][0]["id"]

    accepted = send(client, "/findings/accept", {"ids": [first], "note": "ok"}).get_json()
    again = send(client, "/findings/accept", {"ids": [first], "note": "ok"}).get_json()
    reopened = send(client, f"/findings/{first}/reopen", {"note": "why"})
    refused = send(client, f"/findings/{first}/reopen", {})

    assert (found["total"], len(found["items"])) == (3, 2)
    assert accepted == {"accepted": [first], "closed_before": []}
    assert again["accepted"] == []
    assert again["closed_before"][0]["id"] == first
    assert again["closed_before"][0]["closed_by"].startswith("user:")
    assert (reopened.status_code, reopened.get_json()["state"]) == (200, "open")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "finding_not_accepted")


@pytest.mark.parametrize(
    "url",
    [
        "/console/findings/99999999999999999999999",
        "/console/quality/99999999999999999999999",
        "/api/v1/findings/99999999999999999999999",
        "/api/v1/quality-events/0",
    ],
)
def test_a_number_that_nothing_has_is_not_found(clients: Clients, url: str):
    assert clients["operator"].get(url).status_code == 404


def test_a_queue_asked_for_in_nonsense_shows_what_is_open(clients: Clients):
    page = clients["operator"].get("/console/findings?finding=٣&batch=x&kind=y&state=z&page=w")

    assert page.status_code == 200
    assert "data-rows" in page.text


# --- events ---

MAGNET = {"point": "KHB-A-4", "kind": "magnet", "starts_at": "2023-01-10T08:00:00Z"}


def test_a_batch_of_events_counts_once(own_app: Flask, desk: Clients):
    client = desk["operator"]

    first = send(client, "/device-events", {"events": [MAGNET]})
    again = send(client, "/device-events", {"events": [MAGNET]})
    other = send(client, "/device-events", {"events": [MAGNET | {"point": "KHB-A-3"}]})

    assert (first.status_code, first.get_json()["new"]) == (200, 1)
    assert again.get_json()["repeated"] == 1
    assert (other.status_code, other.get_json()["code"]) == (409, "request_conflict")
    listed = client.get("/api/v1/device-events?tampering=true").get_json()
    assert [one["point"] for one in listed["items"]] == ["KHB-A-4"]


def test_events_out_of_reach_are_as_if_there_were_none(own_app: Flask, desk: Clients):
    send(desk["operator"], "/device-events", {"events": [MAGNET]})

    theirs = send(desk["other_company"], "/device-events", {"events": [MAGNET]}, "key-000002")

    assert theirs.get_json()["new"] == 0
    assert len(theirs.get_json()["refused"]) == 1
    assert desk["other_company"].get("/api/v1/device-events").get_json()["total"] == 0
    assert "KHB-A-4" not in desk["other_company"].get("/console/device-events").text


def test_a_file_of_events_is_taken_in_on_the_page(own_app: Flask, desk: Clients):
    client = desk["operator"]
    rows = [f"KHB-A-{n};power_off;2023-01-12T18:0{n};2023-01-12T21:00" for n in range(1, 6)]
    content = "\n".join(["point;kind;start;end", *rows, "X;magnet;2023-01-12T18:00;"]).encode()
    data = {"file": (BytesIO(content), "events.csv"), "csrf_token": token(client)}

    page = client.post("/console/device-events", data=data).text

    assert "Строка 7: точка учёта или прибор не найдены" in page
    assert "Приборы дома сообщили об отключении" in page
    cut = client.get("/api/v1/quality-events?service=electricity").get_json()["items"][0]
    assert (cut["building"], cut["basis"], cut["state"]) == ("KHB-A", "meter", "reported")


# --- quality ---


def form(client: FlaskClient, url: str, **changes: str) -> dict[str, str]:
    key = client.get(url).text.split('name="key"')[1].split('value="')[1].split('"')[0]
    return {"key": key} | changes


def test_staff_record_a_period_and_the_form_counts_once(own_app: Flask, desk: Clients):
    client, url = desk["company"], "/console/quality/new"
    filled = form(
        client,
        url,
        building="KHB-B",
        way="heat:no_supply",
        basis="act",
        starts="2023-01-05T06:00",
        ends="2023-01-06T06:00",
        measured="14,5",
        document="акт 2",
    )

    first, again = post(client, url, **filled), post(client, url, **filled)

    assert "Тепло: нет подачи" in first.text
    assert first.request.path == again.request.path == "/console/quality/2"
    assert "8 ч" in first.text
    assert client.get("/api/v1/quality-events").get_json()["total"] == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"starts": ""}, "Укажите дату и время."),
        ({"measured": "холодно"}, "не больше одного знака после запятой"),
        ({"ends": "2023-01-04T06:00"}, "окончание раньше начала"),
        ({"starts": "2023-02-05T06:00"}, "это время ещё не наступило"),
        ({"premises": "999"}, "999"),
        ({"way": "heat:room_temperature", "measured": ""}, "сколько было градусов"),
    ],
)
def test_a_form_that_makes_no_sense_says_so(
    own_app: Flask, desk: Clients, changes: dict[str, str], sentence: str
):
    client, url = desk["operator"], "/console/quality/new"
    filled = form(
        client,
        url,
        building="KHB-B",
        way="heat:no_supply",
        basis="act",
        starts="2023-01-05T06:00",
    )

    answer = post(client, url, **(filled | changes))

    assert answer.status_code == 422
    assert sentence in answer.text


def test_a_decision_is_made_once(own_app: Flask, desk: Clients):
    first = post(desk["company"], "/console/quality/1/decide", state="confirmed", note="").text

    second = post(desk["operator"], "/console/quality/1/decide", state="rejected", note="нет").text

    assert "Решение записано." in first
    assert f"Решение уже принял(а) {PEOPLE['company'].name}" in second
    page = desk["operator"].get("/console/quality?month=2023-01").text
    assert "6 ч" in page


def test_a_resident_complains_and_sees_only_what_is_theirs(own_app: Flask, desk: Clients):
    client, url = desk["resident"], f"/account/{PREPAID}/complaint"
    filled = form(client, url, way="electricity:voltage", starts="2023-01-13T20:00", measured="190")

    page = post(client, url, **filled).text

    assert "Спасибо." in page
    assert "190" in page
    seen = client.get("/api/v1/quality-events").get_json()["items"]
    assert [(one["service"], one["basis"]) for one in seen] == [("electricity", "complaint")]
    neighbours = desk["other_resident"].get("/api/v1/quality-events").get_json()["items"]
    assert [one["service"] for one in neighbours] == ["heat"]


def test_a_complaint_by_the_interface_is_of_the_own_flat(own_app: Flask, desk: Clients):
    body = {"service": "electricity", "kind": "voltage", "starts_at": "2023-01-13T10:00:00Z"}

    own = send(desk["resident"], f"/accounts/{PREPAID}/complaints", body)
    foreign = send(desk["resident"], f"/accounts/{POSTPAID}/complaints", body)
    wrong = send(
        desk["resident"],
        f"/accounts/{PREPAID}/complaints",
        body | {"kind": "room_temperature"},
        "key-000002",
    )

    assert (own.status_code, own.get_json()["state"]) == (201, "reported")
    assert foreign.status_code == 404
    assert wrong.status_code == 422


def test_the_pages_speak_english_too(own_app: Flask):
    client = own_app.test_client()
    sign_in(client, PEOPLE["operator"].email, PASSWORD)
    post(client, "/preferences", language="en", back="/console/findings")

    for url in ("/console/findings", "/console/device-events", "/console/quality"):
        assert "Quality of service" in client.get(url).text
