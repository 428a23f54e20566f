"""Payments over HTTP: the route of providers under attack, a file taken in, suspense, the desk."""

import json
import re
from datetime import date
from io import BytesIO

import pytest
from flask import Flask

from billing.store import account_by_number
from kilokassa.app.payment_orders import providers_of
from kilokassa.app.wiring import Application
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import system_scope
from tests.web.conftest import sign_in, token
from tests.web.seed import DEBTOR, NOW, PEOPLE, PREPAID
from wallet.payments.auto.service import AgreeOrder, agree, begin
from wallet.payments.auto.store import attempts_of
from wallet.payments.auto_top_up import AutoTopUpRule, BelowThreshold, FixedAmount
from wallet.payments.signing import signature

STAFF = system_scope("test")
ROUTE = "/api/v1/providers/test/payments"


@pytest.fixture
def secret(own_installation: Application) -> str:
    with own_installation.database.reading() as session:
        return providers_of(own_installation, session)["test"].secret


def signed_in(app: Flask, person: str):
    client = app.test_client()
    sign_in(client, PEOPLE[person].email)
    return client


def ordered(client, amount="300.00"):
    headers = {"Idempotency-Key": "order-one", "X-CSRFToken": token(client)}
    url = f"/api/v1/accounts/{PREPAID}/payment-orders"
    return client.post(url, json={"amount": amount}, headers=headers).get_json()


def send(app: Flask, secret: str, body, *, at=None, code="test", sign=None):
    """Post a message as a provider does: without a session, a cookie or a token."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    stamp = str(int(NOW.timestamp())) if at is None else at
    headers = {
        "X-Kilokassa-Timestamp": stamp,
        "X-Kilokassa-Signature": signature(secret, stamp, raw) if sign is None else sign,
        "Content-Type": "application/json",
    }
    url = f"/api/v1/providers/{code}/payments"
    return app.test_client().post(url, data=raw, headers=headers)


def balance(client):
    return client.get(f"/api/v1/accounts/{PREPAID}/balance").get_json()["posted"]


def test_a_provider_pays_an_order_by_a_signed_message_once(own_app: Flask, secret: str):
    client = signed_in(own_app, "resident")
    order, before = ordered(client), float(balance(client))
    message = {
        "type": "paid",
        "transaction": "t-1",
        "order": order["id"],
        "amount": "300.00",
    }

    first = send(own_app, secret, message)
    again = send(own_app, secret, message)

    assert (first.status_code, first.get_json()) == (200, {"state": "taken", "repeated": False})
    assert again.get_json() == {"state": "taken", "repeated": True}
    assert round(float(balance(client)) - before, 2) == 300
    other = send(own_app, secret, message | {"amount": "301.00"})
    assert other.status_code == 409
    listed = client.get(f"/api/v1/accounts/{PREPAID}/payment-orders").get_json()
    assert [one["state"] for one in listed] == ["paid"]
    page = client.get(f"/account/{PREPAID}/orders/{order['id']}")
    assert page.status_code == 200


@pytest.mark.parametrize("taken", [True, False])
def test_a_provider_tells_of_an_auto_top_up_and_it_is_resolved_once(
    own_app: Flask, own_installation: Application, secret: str, taken: bool
):
    database, clock = own_installation.database, own_installation.clock
    client = signed_in(own_app, "resident")
    with database.writing() as session:
        account_id = AccountId(account_by_number(session, STAFF, PREPAID).id)
        rule = AutoTopUpRule(
            BelowThreshold(900_000_00), FixedAmount(300_00), date(2023, 1, 1), 500_00, window_days=7
        )
        agree(session, STAFF, AgreeOrder(account_id, rule, "test", "card"), clock)
        begun = begin(session, account_id, NOW.date(), 0, clock)
    assert begun is not None
    attempt = begun[2]
    assert attempt is not None
    before = float(balance(client))
    kind = "paid" if taken else "refused"
    message = {"type": kind, "transaction": "a-1", "order": attempt.key, "amount": "300.00"}

    assert send(own_app, secret, message | {"order": "auto:99:1"}).status_code in (200, 404)
    answers = [send(own_app, secret, message).get_json() for _ in range(2)]

    state = "taken" if taken else "refused"
    assert answers == [{"state": state, "repeated": repeated} for repeated in (False, True)]
    assert round(float(balance(client)) - before, 2) == (300 if taken else 0)
    with database.reading() as session:
        (told,) = attempts_of(session, STAFF, account_id)
    assert told.outcome == state
    # Money of another transaction under the key is not lost; nor is what comes after a refusal.
    other = send(own_app, secret, message | {"type": "paid", "transaction": "a-2"})
    assert other.get_json()["state"] == "suspense"
    if taken:
        back = message | {"type": "refunded"}
        assert send(own_app, secret, back).get_json()["state"] == "returned"
        assert float(balance(client)) == before


def test_forged_changed_and_old_messages_are_refused_alike(own_app: Flask, secret: str):
    client = signed_in(own_app, "resident")
    order, before = ordered(client), balance(client)
    message = {"type": "paid", "transaction": "t", "order": order["id"], "amount": "300.00"}
    raw = json.dumps(message).encode()
    stamp = str(int(NOW.timestamp()))
    old = str(int(NOW.timestamp()) - 301)
    right = signature(secret, stamp, raw)

    answers = [
        send(own_app, "x" * 32, message),
        send(own_app, secret, raw + b" ", sign=right),
        send(own_app, secret, raw, at=old, sign=right),
        send(own_app, secret, raw, at=old),
        send(own_app, secret, raw, sign=""),
        send(own_app, secret, raw, sign="é" * 64),
        send(own_app, secret, raw, at="now"),
        send(own_app, secret, message, code="none"),
        send(own_app, secret, b"x" * 20_000),
        own_app.test_client().post(ROUTE, json=message),
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.get_json()["message"] for answer in answers}) == 1
    assert balance(client) == before
    assert send(own_app, secret, b"[]").status_code == 422
    assert send(own_app, secret, message).status_code == 200


def test_money_of_no_order_waits_and_a_refund_takes_money_back(own_app: Flask, secret: str):
    client = signed_in(own_app, "resident")
    order, before = ordered(client), balance(client)
    message = {"type": "paid", "transaction": "t", "order": order["id"], "amount": "300.00"}

    lost = send(own_app, secret, message | {"order": "none", "transaction": "u"})
    wrong = send(own_app, secret, message | {"amount": "3.00", "transaction": "v"})
    send(own_app, secret, message)
    back = send(own_app, secret, message | {"type": "refunded"})

    assert lost.get_json()["state"] == wrong.get_json()["state"] == "suspense"
    assert back.get_json() == {"state": "returned", "repeated": False}
    assert balance(client) == before


def test_a_file_is_looked_at_taken_in_and_its_rest_is_put_on_an_account(own_app: Flask):
    client = signed_in(own_app, "operator")
    rows = f"{PREPAID};100.00;2023-01-14;z1\n{DEBTOR}0;55.00;2023-01-14;z2\n"
    text = "account;sum;date;transaction\n" + rows
    upload = (BytesIO(text.encode()), "january.csv")
    form = {"file": upload, "csrf_token": token(client)}

    seen = client.post("/console/payment-files", data=form)
    kept = {
        name: re.search(f'name="{name}"[^>]*value="([^"]*)"', seen.text)[1]
        for name in ("name", "kept", "kept_control", "sender")
    }
    took = client.post(
        "/console/payment-files", data=kept | {"take": "1", "csrf_token": token(client)}
    )
    page = client.get(took.location)

    assert seen.status_code == page.status_code == 200
    assert took.status_code == 302
    assert "january.csv" in page.text
    waiting = client.get("/api/v1/payments?state=suspense&search=z2").get_json()["items"]
    number = waiting[0]["id"]
    assert DEBTOR in client.get(f"/console/payments/{number}").text
    put = {"deed": "match", "account": DEBTOR, "csrf_token": token(client)}
    assert client.post(f"/console/payments/{number}", data=put).status_code == 302
    taken = client.get(f"/api/v1/payments/{number}").get_json()
    assert (taken["state"], taken["account"]) == ("taken", DEBTOR)
    note = {"deed": "unmatch", "note": "wrong flat", "csrf_token": token(client)}
    assert client.post(f"/console/payments/{number}", data=note).status_code == 302
    back = {"deed": "return", "note": "", "csrf_token": token(client)}
    assert client.post(f"/console/payments/{number}", data=back).status_code == 422


def test_the_desk_shows_the_split_prints_the_receipt_and_counts_the_day(own_app: Flask):
    client = signed_in(own_app, "operator")
    url = f"/console/accounts/{DEBTOR}/top-up"
    key = re.search(r'name="key"[^>]*value="([0-9a-f]{32})"', client.get(url).text)[1]
    form = {"amount": "1500", "tender": "cash", "key": key, "csrf_token": token(client)}

    shown = client.post(url, data=form | {"show": "1"})
    client.post(url, data=form)
    taken = client.post(url, data=form, follow_redirects=True)

    assert "1\u00a0500,00" in shown.text
    receipt = re.search(r"/console/documents/([^\"]+)\.pdf", taken.text)
    assert receipt is not None
    till = client.get("/console/till?export=till").data.decode("utf-8-sig").splitlines()
    assert till[1].endswith("наличные;1;1500,00")


@pytest.mark.parametrize("kept", ["!!!", "AAAA", "eJw="])
def test_what_a_page_did_not_keep_is_no_file(own_app: Flask, kept: str):
    client = signed_in(own_app, "operator")
    form = {"kept": kept, "name": "x", "take": "1", "csrf_token": token(client)}

    assert client.post("/console/payment-files", data=form).status_code == 422
