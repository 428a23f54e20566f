import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from marshmallow import ValidationError

from kilokassa.web.api.fields import MONEY_PATTERN, MoneyField
from tests.web.conftest import Clients
from tests.web.seed import DEBTOR, PASSWORD, PEOPLE, POSTPAID, PREPAID

DESK = (PEOPLE["operator"].email, PASSWORD)
TOP_UPS = f"/api/v1/accounts/{DEBTOR}/top-ups"


def pay(client: FlaskClient, key: str, **body: str):
    sent = {"amount": "100.00", "tender": "bank"} | body
    return client.post(TOP_UPS, json=sent, headers={"Idempotency-Key": key}, auth=DESK)


@pytest.mark.parametrize(("text", "minor"), [("10.05", 1005), ("-0.01", -1), ("7", 700)])
def test_money_is_read_exactly(text: str, minor: int):
    assert MoneyField().deserialize(text) == minor


@pytest.mark.parametrize("value", ["10.005", "1e3", "NaN", "", "1 000", 10.05, 10, True])
def test_what_is_no_exact_amount_is_refused(value):
    with pytest.raises(ValidationError):
        MoneyField().deserialize(value)


def test_a_payment_counts_once_and_gives_the_same_answer(own_app: Flask):
    client = own_app.test_client()

    first = pay(client, "bank-0000001")
    second = pay(client, "bank-0000001")

    assert first.status_code == second.status_code == 201
    assert second.get_json() == first.get_json() | {"repeated": True}
    assert re.fullmatch(MONEY_PATTERN, first.get_json()["balance"])


def test_the_same_key_for_another_amount_is_a_conflict(own_app: Flask):
    client = own_app.test_client()
    pay(client, "bank-0000002")

    answer = pay(client, "bank-0000002", amount="100.01")

    assert answer.status_code == 409
    assert answer.get_json()["code"] == "request_conflict"


@pytest.mark.parametrize(
    "body",
    [
        {"amount": "10.005"},
        {"amount": "-5.00"},
        {"amount": "0.00"},
        {"amount": "9999999999.00"},
        {"tender": "gold"},
        {"unknown": "field"},
    ],
    ids=str,
)
def test_a_payment_that_cannot_be_is_refused_and_changes_nothing(own_app: Flask, body: dict):
    client = own_app.test_client()
    before = client.get(f"/api/v1/accounts/{DEBTOR}/balance", auth=DESK).get_json()

    answer = pay(client, "bank-0000003", **body)

    assert answer.status_code == 422
    assert answer.get_json()["message"]
    assert client.get(f"/api/v1/accounts/{DEBTOR}/balance", auth=DESK).get_json() == before


def test_a_payment_without_a_key_is_refused(own_app: Flask):
    answer = own_app.test_client().post(
        TOP_UPS, json={"amount": "100.00", "tender": "bank"}, auth=DESK
    )

    assert answer.status_code == 422
    assert "Idempotency-Key" in str(answer.get_json()["fields"])


def test_a_session_needs_the_token_and_a_password_does_not(own_app: Flask, clients: Clients):
    with_session = clients["operator"].post(TOP_UPS, json={})

    assert with_session.status_code == 400
    assert with_session.get_json()["code"] == "csrf"
    assert pay(own_app.test_client(), "bank-0000004").status_code == 201


def test_readings_are_taken_from_the_body(own_app: Flask):
    client = own_app.test_client()
    body = (
        "point;time;value\nKHB-A-1;2023-01-14T00:00:00+10:00;0.5\nNO;2023-01-14T00:00:00+10:00;1\n"
    )

    first = client.post("/api/v1/readings", data=body.encode(), auth=DESK).get_json()
    again = client.post("/api/v1/readings", data=body.encode(), auth=DESK).get_json()

    assert (first["rows"], first["new"], first["refused"]) == (2, 1, 1)
    assert again["same_as_batch_id"] == first["batch_id"]
    assert again["new"] == 0


def test_a_batch_of_readings_counts_once_for_its_key(own_app: Flask):
    client = own_app.test_client()
    batch = [{"point": "KHB-A-1", "time": "2023-01-14T00:30:00+10:00", "value": 0.5}]

    def send(key: str, **changes: object):
        return client.post(
            "/api/v1/readings",
            json=[batch[0] | changes],
            headers={"Idempotency-Key": key},
            auth=DESK,
        )

    first, again = send("batch-0001"), send("batch-0001")
    other = send("batch-0001", value=0.6)

    assert first.status_code == 200
    assert (first.get_json()["rows"], first.get_json()["new"]) == (1, 1)
    assert again.get_json() == first.get_json()
    assert (other.status_code, other.get_json()["code"]) == (409, "request_conflict")
    assert send("short").status_code == 422


def test_a_batch_that_makes_no_sense_is_refused_by_its_item(own_app: Flask):
    answer = own_app.test_client().post(
        "/api/v1/readings", json=[{"point": "KHB-A-1", "time": "noon", "value": 1}], auth=DESK
    )

    assert answer.status_code == 422
    assert answer.get_json()["message"].startswith("Строка 1: 'noon'")


def test_a_body_that_is_no_file_of_readings_changes_nothing(own_app: Flask):
    answer = own_app.test_client().post("/api/v1/readings", data=b"\x00\x01\xff", auth=DESK)

    assert answer.status_code == 422
    assert answer.get_json()["message"]


def test_a_month_that_runs_is_not_closed(own_app: Flask):
    answer = own_app.test_client().post(
        "/api/v1/billing/closes", json={"month": "2023-01"}, auth=DESK
    )

    assert answer.status_code == 409
    assert answer.get_json()["code"] == "month_not_over"


def test_lines_come_to_what_was_charged(clients: Clients):
    client = clients["operator"]

    lines = client.get(f"/api/v1/accounts/{POSTPAID}/charge-lines?month=2022-12").get_json()
    entries = client.get(f"/api/v1/accounts/{POSTPAID}/entries").get_json()

    def kopecks(amount: str) -> int:
        return int(amount.replace(".", ""))

    charged = [e for e in entries if (e["reason"], e["charge_month"]) == ("charge", "2022-12")]
    assert sum(kopecks(line["amount"]) for line in lines) == -sum(
        kopecks(entry["amount"]) for entry in charged
    )
    assert {line["service"] for line in lines} == {"electricity", "heat"}


def test_a_balance_is_given_in_its_parts(clients: Clients):
    balance = clients["resident"].get(f"/api/v1/accounts/{PREPAID}/balance").get_json()

    assert set(balance) == {
        "posted", "held", "rated", "estimated", "available", "bonus", "debt",
        "known_until", "runway_days", "runway_until", "runway_until_at",
    }  # fmt: skip
    assert balance["runway_days"] > 0


def test_a_document_comes_as_pdf(clients: Clients):
    client = clients["operator"]
    number = client.get(f"/api/v1/accounts/{POSTPAID}/documents").get_json()["items"][0]["number"]

    answer = client.get(f"/api/v1/documents/{number}/pdf")

    assert answer.mimetype == "application/pdf"
    assert answer.data.startswith(b"%PDF-")


def test_money_is_described_as_what_it_is(clients: Clients):
    document = clients["nobody"].get("/api/openapi.json").get_json()

    assert document["openapi"] == "3.1.0"
    amount = document["components"]["schemas"]["TopUpRequest"]["properties"]["amount"]
    assert amount["type"] == "string"
    assert amount["pattern"] == MONEY_PATTERN
    assert "/api/v1/accounts/{number}/top-ups" in document["paths"]
