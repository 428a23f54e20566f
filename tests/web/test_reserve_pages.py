"""Reserves on pages and in the interface: calculated, signed, added to, taken out with its loss."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from kilokassa.app.wiring import Application
from kilokassa.core.clock import FixedClock
from kilokassa.web.app import create_app
from tests.web.conftest import Clients, token
from tests.web.seed import NOW, POSTPAID, PREPAID
from wallet.reserves.documents import EXAMPLE

PAGE, CONSOLE = f"/account/{PREPAID}/reserves", f"/console/accounts/{PREPAID}/reserves"
API = f"/api/v1/accounts/{PREPAID}"
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def clients(own_app: Flask) -> Clients:
    return Clients(own_app)


@pytest.fixture
def rich(clients: Clients) -> Clients:
    """The resident's account with 2,000 roubles more of own money."""
    answer = post(clients["operator"], f"{API}/top-ups", amount="2000.00", tender="card")
    assert answer.status_code == 201, answer.text
    return clients


def post(client, url, key="a-key-of-a-test", **wish):
    headers = {"X-CSRFToken": token(client), "Idempotency-Key": key}
    return client.post(url, json=wish, headers=headers)


def submit(client, url, **fields):
    data = {"csrf_token": token(client), "key": KEY, **fields}
    return client.post(url, data=data, follow_redirects=True)


def english(client):
    client.set_cookie("language", "en")
    return client


def plain(text):
    return re.sub(r"\s+", " ", text.replace("\u00a0", " "))


def signed(clients, amount="1000.00"):
    answer = post(
        clients["resident"], f"{API}/reserves", "to-sign-it", offer="half_year", amount=amount
    )
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def test_a_resident_calculates_signs_adds_and_takes_out(rich: Clients):
    client = english(rich["resident"])

    shown = plain(client.get(f"{PAGE}/new?offer=half_year&amount=1000").text)
    done = submit(client, f"{PAGE}/new", offer="half_year", version="1", amount="1000")
    more = submit(client, f"{PAGE}/1/add", amount="500", key="1" * 32)
    loss = plain(client.get(f"{PAGE}/1/take-out?amount=1500").text)
    gone = submit(client, f"{PAGE}/1/take-out", amount="1500", key="2" * 32)

    # 181 days of 2023 at 12 % are 59.51.
    assert "₽59.51" in shown
    assert "Set ₽1,000.00 aside" in shown
    assert "are set aside." in done.text
    assert "more are set aside." in more.text
    assert "Unearned bonus, goes back" in loss
    assert "were taken out." in gone.text
    assert "broken early" in gone.text
    movements = client.get(f"{API}/reserves/1").get_json()["movements"]
    assert [one["amount"] for one in movements] == ["1000.00", "500.00", "-1500.00"]


def test_the_same_form_sent_twice_counts_once(rich: Clients):
    client = english(rich["resident"])

    for _ in range(2):
        submit(client, f"{PAGE}/new", offer="half_year", version="1", amount="1000")

    assert len(client.get(f"{API}/reserves").get_json()) == 1


def test_more_than_own_money_is_refused_beside_the_calculation(rich: Clients):
    client = english(rich["resident"])

    answer = submit(client, f"{PAGE}/new", offer="half_year", version="1", amount="90000")
    little = client.get(f"{PAGE}/new?offer=half_year&amount=1")

    assert answer.status_code == 422
    assert "Of your own money" in answer.text
    assert "Set ₽90,000.00 aside" in plain(answer.text)
    assert little.status_code == 422
    assert "This reserve holds from ₽100.00" in plain(little.text)


@pytest.mark.parametrize(
    "query",
    [
        "amount=x",
        "amount=-5",
        "offer=nowhere&amount=500",
        "amount=500&broken_on=soon",
        "amount=500&broken_on=9999-12-31",
        "amount=500&broken_on=0001-01-01",
        "amount=" + "9" * 40,
    ],
)
def test_what_cannot_be_calculated_breaks_nothing(clients: Clients, query):
    assert clients["resident"].get(f"{PAGE}/new?{query}").status_code in (200, 422)


def test_staff_act_for_a_resident_and_the_page_says_who_did(rich: Clients):
    client = english(rich["operator"])

    done = submit(client, f"{CONSOLE}/new", offer="half_year", version="1", amount="1000")

    assert "Окошкина Ольга" in done.text
    listed = rich["auditor"].get("/console/reserves").text
    assert PREPAID in listed
    assert rich["auditor"].get(f"{CONSOLE}/1").status_code == 200
    assert "/take-out" not in rich["auditor"].get(f"{CONSOLE}/1").text
    assert rich["other_company"].get(f"{CONSOLE}/1").status_code == 404
    assert PREPAID not in rich["other_company"].get("/console/reserves").text


def test_another_account_reaches_no_reserve(rich: Clients):
    signed(rich)

    assert rich["other_resident"].get(f"{PAGE}/1").status_code == 404
    elsewhere = f"/account/{POSTPAID}/reserves/1"
    assert rich["other_resident"].get(elsewhere).status_code == 404
    assert (
        post(rich["other_resident"], f"{API}/reserves/1/withdrawals", amount="1000.00").status_code
        == 404
    )


def test_a_program_asks_for_the_loss_and_takes_out(own_installation: Application):
    clients = Clients(create_app(own_installation))
    post(clients["operator"], f"{API}/top-ups", amount="2000.00", tender="card")
    first = signed(clients)
    later = replace(own_installation, clock=FixedClock(NOW + timedelta(days=60)))
    client = Clients(create_app(later))["operator"]

    loss = client.get(f"{API}/reserves/1/loss?amount=1000.00").get_json()
    done = post(client, f"{API}/reserves/1/withdrawals", "to-break-it", amount="1000.00").get_json()
    again = post(
        client, f"{API}/reserves/1/withdrawals", "to-break-it", amount="1000.00"
    ).get_json()

    assert (first["kept"], first["repeated"]) == ("1000.00", False)
    # Paid on 1 February and 1 March, 45 nights at 12 %: 14.79; at 3 % 60 nights are 4.93.
    assert (loss["clawed_back"], loss["from_bonus"], loss["returning"]) == (
        "9.86",
        "9.86",
        "1000.00",
    )
    assert (done["clawed_back"], done["kept"], done["bonus"]) == ("9.86", "0.00", "4.93")
    assert again == done | {"repeated": True}


def test_the_calculator_of_the_interface_shows_the_whole_life(clients: Clients):
    url = "/api/v1/reserve-offers/half_year/calculation"

    found = clients["resident"].get(f"{url}?amount=1000.00&on=2023-01-15").get_json()

    assert (found["bonus"], found["ends_on"]) == ("59.51", "2023-07-15")
    assert [step["kind"] for step in found["steps"]][-2:] == ["paid", "returned"]
    assert len(found["broken"]) == 5
    assert clients["resident"].get(f"{url}?amount=1.001").status_code == 422
    assert clients["resident"].get(f"{url}?amount=1000.00&on=0001-01-01").status_code == 422


def test_an_analyst_publishes_the_next_version_and_sees_its_history(clients: Clients):
    client = english(clients["analyst"])
    text = EXAMPLE.replace("2026-01-01", "2023-02-01").replace("percent: 12", "percent: 8")

    done = submit(client, "/console/reserve-offers", document=text)
    again = submit(client, "/console/reserve-offers", document=text)
    wrong = submit(client, "/console/reserve-offers", document=text + "bonus: yes\n")

    assert "version 2, is published" in done.text
    assert "Version 1, offered from" in done.text
    assert "is this document already" in again.text
    assert wrong.status_code == 422
    assert "there is no field bonus" in wrong.text
    offers = client.get("/api/v1/reserve-offers?all=true").get_json()
    assert [one["version"] for one in offers] == [2, 1]
    assert [o["version"] for o in client.get("/api/v1/reserve-offers").get_json()] == [1]


def test_what_reserves_cost_is_told_beside_what_credit_would(rich: Clients):
    signed(rich)
    client = english(rich["analyst"])

    page = plain(client.get("/console/reserve-costs?from=2023-01-01&until=2023-02-01").text)
    report = client.get("/api/v1/reserve-costs?from=2023-01-01&until=2023-02-01").get_json()
    changed = submit(
        client, "/console/reserve-costs", percent="21,5", valid_from="2023-01-01", source="bank"
    )

    # 17 nights of 1,000: at 12 % 5.59, at 18 % 8.38.
    assert report["total"] == {
        "average": "548.39",
        "bonus": "5.59",
        "credit": "8.38",
        "saved": "2.79",
    }
    assert "₽2.79" in page
    assert "21.5%" in plain(changed.text)
    backwards = client.get("/api/v1/reserve-costs?from=2023-02-01&until=2023-01-01")
    assert backwards.status_code == 422
    assert clients_refused(rich)


def clients_refused(clients):
    refused = [clients[name].get("/console/reserve-costs") for name in ("company", "resident")]
    return [answer.status_code for answer in refused] == [403, 403]


def test_tables_are_exported_as_they_are_shown(rich: Clients):
    signed(rich)

    for name in ("movements", "workings", "coming"):
        answer = rich["resident"].get(f"{PAGE}/1?export={name}")
        assert answer.headers["Content-Type"].startswith("text/csv")
    assert (
        "all_reserves"
        in rich["operator"]
        .get("/console/reserves?export=all_reserves")
        .headers["Content-Disposition"]
    )
