"""Debts on pages and in the interface: debtors, flags, agreements, what a resident reads."""

import pytest
from flask import Flask

from tests.web.conftest import Clients, token
from tests.web.seed import DEBTOR, PREPAID

DEBT, API = f"/console/accounts/{DEBTOR}/debt", f"/api/v1/accounts/{DEBTOR}"


@pytest.fixture
def clients(own_app: Flask) -> Clients:
    return Clients(own_app)


def english(client):
    client.set_cookie("language", "en")
    return client


def ask(client, url, *, key="", **wish):
    headers = {"X-CSRFToken": token(client)} | ({"Idempotency-Key": key} if key else {})
    return client.post(url, json=wish, headers=headers)


def test_a_debt_is_told_service_by_service_with_the_table_of_its_late_fee(clients: Clients):
    client = english(clients["operator"])

    told = client.get(f"{API}/debt").get_json()
    page = client.get(DEBT).text

    assert float(told["overdue"]) > 0
    (fee,) = [one for one in told["late_fees"] if one["month"] == "2022-11"]
    assert fee["rows"][0]["divisor"] == 0  # the first thirty days cost nothing
    assert "How the late fee is computed" in page
    assert "Late fees are computed and shown, and not charged." in page


def test_who_lives_there_is_stated_with_a_document_and_taken_back(clients: Clients):
    client = english(clients["operator"])
    fields = {"vulnerable-choice": "yes", "vulnerable-since": "2023-01-10"}
    data = {**fields, "csrf_token": token(client)}
    url = f"{DEBT}/flags?kind=vulnerable"

    refused = client.post(url, data=data)
    stated = client.post(
        url, data={**data, "vulnerable-document": "act <7>"}, follow_redirects=True
    )
    flag = client.get(f"{API}/flags").get_json()[0]
    headers = {"X-CSRFToken": token(client)}
    gone = client.delete(f"{API}/flags/{flag['id']}", headers=headers).get_json()

    assert refused.status_code == 422
    assert "name the document that proves it" in refused.text
    assert "act &lt;7&gt;" in stated.text
    assert (flag["kind"], flag["value"], flag["stands"]) == ("vulnerable", "yes", True)
    assert gone == {"changed": True}


def test_an_agreement_is_computed_signed_once_and_ended(clients: Clients):
    client = english(clients["operator"])
    terms = {"months": 3, "first_due_on": "2023-02-15", "document": "No 1"}

    shown = client.get(
        f"/console/accounts/{DEBTOR}/agreement?months=3&first_due_on=2023-02-15"
        "&rate=0&grace_days=5&document=&key="
    ).text
    first = ask(client, f"{API}/agreements", key="agreement-7", **terms)
    again = ask(client, f"{API}/agreements", key="agreement-7", **terms)
    second = ask(client, f"{API}/agreements", key="agreement-8", **terms)
    listed = client.get("/console/agreements").text
    number = first.get_json()["id"]
    ended = ask(client, f"{API}/agreements/{number}/end", why="paid at the desk")

    assert "Sign the agreement" in shown
    assert first.status_code == 201
    assert again.get_json() == first.get_json()
    assert len(first.get_json()["schedule"]) == 3
    assert second.get_json()["code"] == "agreement_stands"
    assert DEBTOR in listed
    assert ended.get_json() == {"changed": True}


def test_a_debtor_is_listed_with_what_holds_the_limitation_back(clients: Clients):
    client = english(clients["operator"])
    fields = {"kind": "never_cut", "value": "no", "from": "2023-01-10"}
    ask(client, f"{API}/flags", **fields)  # judges the services anew

    listed = client.get("/api/v1/debtors").get_json()
    page = client.get("/console/debtors").text
    file = client.get("/console/debtors?export=debtors")

    (debtor,) = [one for one in listed if one["account"] == DEBTOR]
    held = {one["guard"]: one for one in debtor["decision"]["held_by"]}
    assert not held["vulnerable"]["known"]
    assert held["vulnerable"]["reason"].startswith("it is not known whether")
    assert debtor["decision"]["state"] == "negative"
    assert DEBTOR in page
    assert file.mimetype == "text/csv"


def test_a_resident_reads_what_follows_and_what_protects(clients: Clients):
    client = english(clients["resident"])

    page = client.get(f"/account/{PREPAID}/debt").text

    assert "Heating is never switched off" in page
    assert client.get(DEBT).status_code == 403
