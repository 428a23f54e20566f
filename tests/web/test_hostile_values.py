"""What no form and no program of ours sends gets a clear answer all the same, never a fault."""

import pytest

from tests.web.conftest import token

BEYOND = 10**20
COMPLAINT = {
    "service": "heat",
    "kind": "room_temperature",
    "starts_at": "2023-01-14T00:00:00Z",
}


@pytest.mark.parametrize(
    "url",
    [
        f"/console/walk-rounds/{BEYOND}",
        f"/console/walk-rounds/{BEYOND}/paper",
        f"/console/reading-photos/{BEYOND}.jpg",
        f"/api/v1/walk-rounds/{BEYOND}",
        f"/api/v1/findings/{BEYOND}",
        f"/api/v1/quality-events/{BEYOND}",
    ],
)
def test_a_number_beyond_64_bits_is_the_number_of_nothing(clients, url):
    assert clients["operator"].get(url).status_code == 404


@pytest.mark.parametrize("measured", [10**400, -(10**400), 10**9])
def test_a_temperature_that_nothing_has_is_refused(clients, measured):
    client = clients["other_resident"]
    headers = {"X-CSRFToken": token(client), "Idempotency-Key": f"hot-{measured % 97}"}

    answer = client.post(
        "/api/v1/accounts/2799000009/complaints",
        json=COMPLAINT | {"measured_tenths": measured},
        headers=headers,
    )

    assert answer.status_code == 422


@pytest.mark.parametrize("measured", ["1e50", "1e999999", "1e-999999", "nan", "17,55"])
def test_a_temperature_that_is_no_number_of_tenths_is_told_in_the_form(clients, measured):
    client = clients["other_resident"]
    data = {"csrf_token": token(client), "measured": measured, "starts": "2023-01-14T00:00"}

    answer = client.post("/account/2799000009/complaint", data=data)

    assert answer.status_code == 422


@pytest.mark.parametrize("name", ["point", "note"])
def test_half_a_character_in_a_request_is_refused(clients, name):
    client = clients["operator"]
    item = {"point": "KHB-A-1", "kind": "magnet", "starts_at": "2023-01-14T00:00:00Z"}
    sent = {
        "point": ("/api/v1/device-events", {"events": [item | {"point": "\ud800"}]}),
        "note": ("/api/v1/findings/accept", {"ids": [1], "note": "\ud800"}),
    }
    url, body = sent[name]

    answer = client.post(
        url, json=body, headers={"X-CSRFToken": token(client), "Idempotency-Key": "half-a-char"}
    )

    assert answer.status_code == 422
    assert answer.get_json()["code"] == "unstorable"


@pytest.mark.parametrize(
    "instant", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"]
)
@pytest.mark.parametrize("place", ["starts_at", "ends_at", "at"])
def test_an_instant_at_the_end_of_time_is_refused(clients, instant, place):
    client = clients["operator"]
    event = {"point": "KHB-A-1", "kind": "power_off", "starts_at": "2023-01-14T00:00:00Z"}
    total = [{"zone": "all", "value": 99_000_000}]
    if place == "at":
        url, body = (
            "/api/v1/points/KHB-A-4/replacements",
            {
                "removed_serial": "E-0004",
                "at": instant,
                "final": total,
                "first": total,
                "meter": {"serial": "N-1"},
            },
        )
    else:
        url, body = "/api/v1/device-events", {"events": [event | {place: instant}]}

    answer = client.post(
        url, json=body, headers={"X-CSRFToken": token(client), "Idempotency-Key": "end-of-time"}
    )

    assert answer.status_code == 422


@pytest.mark.parametrize("month", ["1900-01", "1900-12", "2999-12"])
@pytest.mark.parametrize(
    "url", ["/console/buildings/KHB-A/services", "/console/prices/dam", "/console/recalculations"]
)
def test_a_month_beyond_all_that_pages_show_is_as_good_as_none(clients, url, month):
    answer = clients["operator"].get(url, query_string={"month": month})

    assert answer.status_code == 200


@pytest.mark.parametrize("since", ["2022-12-01", "9998-12-31", "9999-12-31"])
@pytest.mark.parametrize("subject", ["contracted_power", "absence", "concession", "plan"])
def test_a_fact_that_ends_with_the_calendar_is_refused(clients, subject, since):
    client = clients["operator"]
    fact = {"subject": subject, "from": since, "until": "9999-12-31", "value": 1, "document": "1"}

    answer = client.post(
        "/api/v1/accounts/2799000004/facts",
        json=fact | {"code": "single"},
        headers={"X-CSRFToken": token(client), "Idempotency-Key": f"fact-{subject}-{since}"},
    )

    assert answer.status_code == 422
    assert "9999-12-31" in answer.get_json()["message"] or since in answer.get_json()["message"]


@pytest.mark.parametrize("first", ["0001-01-01", "9998-12-31", "9999-12-31"])
def test_days_of_prices_at_the_end_of_time_are_counted_all_the_same(clients, first):
    answer = clients["analyst"].get(
        "/api/v1/prices/dam", query_string={"first": first, "last": "9999-12-31"}
    )

    assert answer.status_code == (422 if first == "0001-01-01" else 200)
