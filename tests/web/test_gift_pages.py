"""Money that is not the payer's own: a compensation on a page, an advance by the interface."""

import re

from tests.web.conftest import Clients, token
from tests.web.seed import PREPAID

PAGE = f"/console/accounts/{PREPAID}/gift"
LOTS = f"/api/v1/accounts/{PREPAID}/lots"


def test_a_compensation_and_an_advance_come_in_once_and_say_what_they_are(own_app):
    client = Clients(own_app)["operator"]
    posted = float(client.get(f"/api/v1/accounts/{PREPAID}/balance").get_json()["posted"])
    key = re.search(r'name="key" value="([0-9a-f]{32})"', client.get(PAGE).text)
    assert key is not None
    asked = {
        "csrf_token": token(client),
        "key": key[1],
        "kind": "compensation",
        "amount": "150",
        "service": "heat",
        "why": "приказ 17",
        "tender": "bank",
    }
    unnamed = client.post(PAGE, data=asked | {"kind": "advance"})
    for _ in range(2):
        assert client.post(PAGE, data=asked).status_code == 302

    order = {"kind": "advance", "amount": "300.00", "document": "п/п 4", "payer": "Опека"}
    csrf = {"X-CSRFToken": token(client)}
    headers = csrf | {"Idempotency-Key": "gift-0000001"}
    first = client.post(LOTS, json=order, headers=headers).get_json()
    again = client.post(LOTS, json=order, headers=headers).get_json()
    other = client.post(LOTS, json=order | {"amount": "301.00"}, headers=headers)
    ended = client.post(
        LOTS,
        json=order | {"through_on": "2023-01-31"},
        headers=csrf | {"Idempotency-Key": "gift-0000002"},
    )

    assert unnamed.status_code == 422
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert first["entry"] == again["entry"]
    assert float(first["balance"]) == posted + 450
    assert (other.status_code, ended.status_code) == (409, 422)
