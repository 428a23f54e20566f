"""Notices and webhooks on pages and in the interface: proof, wishes, secrets, statuses."""

import re
from dataclasses import replace

import pytest
from flask import Flask

from kilokassa.app.settings import NoticeGatewaySettings
from kilokassa.web.app import create_app
from tests.web.conftest import Clients, token
from tests.web.seed import PREPAID

API, PAGE = "/api/v1", f"/account/{PREPAID}/notices"
KEY = "k" * 32


@pytest.fixture
def clients(own_app: Flask) -> Clients:
    found = Clients(own_app)
    for person in ("operator", "resident", "administrator"):
        found[person].set_cookie("language", "en")
    return found


def post(client, page, /, **data):
    return client.post(page, data={"csrf_token": token(client)} | data, follow_redirects=True)


def first(client):
    return client.get(f"{API}/accounts/{PREPAID}/notices").get_json()[-1]


def test_a_clerk_records_a_delivery_with_its_proof_and_withdraws_a_wrong_one(clients: Clients):
    client = clients["operator"]
    one = first(client)
    page = f"/console/notices/{one['id']}"
    now = re.search(r'name="at"[^>]*value="([^"]+)"', client.get(page).text)[1]

    refused = post(client, f"{page}/deliveries", method="receipt_in_hand", at="soon", proof="12")
    recorded = post(client, f"{page}/deliveries", method="receipt_in_hand", at=now, proof="no. 12")

    assert refused.status_code == 422
    assert "a day and a time of day" in refused.text
    assert "no. 12" in recorded.text
    (delivery,) = client.get(f"{API}/notices/{one['id']}").get_json()["deliveries"]
    assert first(client)["delivered_by"] == "receipt_in_hand"
    post(client, f"{page}/withdraw", delivery=str(delivery["id"]), reason="of another flat")
    assert first(client)["delivered_by"] is None
    assert "of another flat" in client.get(page).text


def test_what_a_resident_opens_is_delivered(clients: Clients):
    resident, clerk = clients["resident"], clients["operator"]
    one = first(clerk)

    shown = resident.get(f"{PAGE}/{one['id']}")

    assert "written down as its delivery" in shown.text
    assert first(clerk)["delivered_by"] == "account_page"
    assert clients["other_resident"].get(f"{PAGE}/{one['id']}").status_code == 404


def test_a_resident_says_what_is_told_and_legal_notices_stay(clients: Clients):
    client = clients["resident"]
    wish = {
        "low": "500",
        "days": "3",
        "bonus_days": "9",
        "quiet_from": "21:00",
        "quiet_until": "09:30",
        "mail": "1",
        "sms_to": "8 (924) 200-00-01",
        "kinds": ["money_low"],
    }
    saved = post(client, PAGE, **wish)
    bad = post(client, PAGE, **(wish | {"sms_to": "call me"}))
    kept = client.get(f"{API}/accounts/{PREPAID}/notice-wishes").get_json()

    assert "Your wishes are kept" in saved.text
    assert bad.status_code == 422
    assert "+79241234567" in bad.text
    assert kept["low"] == "500.00"
    assert kept["quiet"] == {"begins": "21:00", "ends": "09:30"}
    assert kept["addresses"] == {"sms": "+79242000001"}
    assert "top_up_received" in kept["off"]
    assert not {"limitation", "payment_document", "money_low"} & set(kept["off"])


def test_a_secret_is_shown_once_and_an_inner_address_is_refused(clients: Clients):
    client = clients["administrator"]

    refused = post(client, "/console/webhooks", code="crm", url="http://10.0.0.1/", active="1")
    added = post(client, "/console/webhooks", code="crm", url="https://crm.example/", active="1")
    tried = post(client, "/console/webhooks/crm", action="test")

    assert refused.status_code == 422
    assert "begins with https://" in refused.text
    (secret,) = set(re.findall(r"whsec_[\w+/=]+", added.text))
    assert added.headers["Cache-Control"] == "no-store"
    assert "A test event" in tried.text
    assert secret not in tried.text
    assert secret not in client.get(f"{API}/webhooks").text
    assert clients["operator"].get("/console/webhooks/crm").status_code == 200


def test_a_gateway_proves_itself_before_it_proves_a_delivery(own_app, own_installation):
    gateway = NoticeGatewaySettings("https://gate.example/", "key", status_key=KEY)
    settings = replace(own_installation.settings, notice_gateways={"sms": gateway})
    client = create_app(replace(own_installation, settings=settings)).test_client()
    url, status = f"{API}/gateways/sms/status", {"id": "unknown", "status": "delivered"}

    def told(key, way=url, **changes):
        headers = {"Authorization": f"Bearer {key}"}
        return client.post(way, json=status | changes, headers=headers).status_code

    assert told("x" * 32) == told("") == 401
    assert told(KEY, f"{API}/gateways/messenger/status") == 401
    assert told(KEY) == 404
    assert told(KEY, status=None) == 422
    assert told(KEY, status="queued") == 200
