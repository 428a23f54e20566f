"""Facts of an account on pages, in the interface and by command."""

import re

import pytest
from flask import Flask

from tests.web.conftest import Clients, token
from tests.web.seed import PREPAID

PAGE, API = f"/console/accounts/{PREPAID}/facts", f"/api/v1/accounts/{PREPAID}/facts"


@pytest.fixture
def clients(own_app: Flask) -> Clients:
    return Clients(own_app)


def english(client):
    client.set_cookie("language", "en")
    return client


def state(client, subject, **fields):
    data = {f"{subject}-{name}": value for name, value in fields.items()}
    data["csrf_token"] = token(client)
    return client.post(f"{PAGE}?subject={subject}", data=data, follow_redirects=True)


def ask(client, **wish):
    return client.post(API, json=wish, headers={"X-CSRFToken": token(client)})


def test_a_clerk_states_persons_and_is_told_which_months_are_recalculated(clients: Clients):
    client = english(clients["operator"])
    opened = client.get(API).get_json()[0]["from"]

    page = state(client, "persons", value="5", since=opened, document="act 7").text

    assert "already" in page
    assert "recalculated for it" in page
    stated = [one for one in client.get(API).get_json() if one["subject"] == "persons"]
    assert [one["value"] for one in stated if one["stands"]] == [5]


def test_a_refusal_stands_beside_the_form_it_is_of_and_keeps_what_was_typed(clients: Clients):
    client = english(clients["operator"])

    answer = state(client, "area", value="a lot", since="2023-01-10", document="EGRN")

    assert answer.status_code == 422
    card = re.search(r'id="area".*?</section>', answer.text, re.DOTALL)[0]
    assert "is not a number such as 54.3" in card
    assert 'value="a lot"' in card
    assert answer.text.count('role="alert"') == 1


def test_an_extract_holds_from_its_month_and_the_page_shows_both_areas(clients: Clients):
    client = english(clients["operator"])
    before = client.get(PAGE).text

    page = state(client, "area", value="61,7", since="2023-01-10", document="EGRN <1>").text

    assert "61.7 m²" not in before
    assert "61.7 m²" in page
    assert "EGRN &lt;1&gt;" in page
    standing = [one for one in client.get(API).get_json() if one["subject"] == "area"]
    assert standing[0]["from"] == "2023-01-01"
    assert len(standing) == 2


def test_a_program_states_takes_back_and_reads_what_was_known(clients: Clients):
    client = clients["operator"]
    wish = {"subject": "absence", "from": "2023-01-02", "until": "2023-01-09", "value": 1}

    first = ask(client, **wish, document="A1")
    again = ask(client, **wish, document="A1")
    number = next(one for one in client.get(API).get_json() if one["subject"] == "absence")["id"]
    url = f"{API}/absence/{number}"
    back = client.delete(url, headers={"X-CSRFToken": token(client)})

    assert (first.get_json()["changed"], again.get_json()["changed"]) == (True, False)
    assert back.get_json()["changed"]
    gone = next(one for one in client.get(API).get_json() if one["subject"] == "absence")
    assert not gone["stands"]
    long_ago = client.get(f"{API}?known_at=1971-01-01T00:00:00Z").get_json()
    assert [one["subject"] for one in long_ago if one["subject"] == "absence"] == []


@pytest.mark.parametrize(
    "wish",
    [
        {"subject": "weather", "from": "2023-01-01"},
        {"subject": "persons", "from": "soon", "value": 1},
        {"subject": "persons", "from": "2023-01-01", "value": 10**30},
        {"subject": "persons", "from": "2023-01-01", "value": -1},
        {"subject": "persons", "from": "0001-01-01", "value": 1},
        {"subject": "plan", "from": "2023-01-01", "code": "'; --"},
        {"subject": "area", "from": "9999-12-31", "value": 1, "document": "x"},
        {"subject": "concession", "from": "2023-01-01", "code": "x" * 99, "document": "y"},
    ],
)
def test_what_cannot_be_is_refused_and_nothing_breaks(clients: Clients, wish):
    assert ask(clients["operator"], **wish).status_code in (404, 409, 422)


def test_only_who_manages_accounts_sees_the_forms(clients: Clients):
    for person in ("auditor", "analyst", "company"):
        page = clients[person].get(PAGE)
        assert page.status_code == 200
        assert '<form method="post" action="/console/accounts' not in page.text
        assert ask(clients[person], subject="persons", **{"from": "2023-01-01"}).status_code == 403


def test_a_resident_sees_what_stands_of_the_own_account_and_changes_nothing(clients: Clients):
    state(clients["operator"], "persons", value="5", since="2023-01-01")
    state(clients["operator"], "persons", value="6", since="2023-01-01")

    page = clients["resident"].get(f"/account/{PREPAID}/facts").text

    assert "Условия и данные" in page
    assert ask(clients["resident"], subject="persons", **{"from": "2023-01-01"}).status_code == 403
    exported = clients["resident"].get(f"/account/{PREPAID}/facts?export=facts").text
    assert ";6;" in exported or ",6," in exported
    assert ";5;" not in exported
    assert ",5," not in exported


def test_the_history_is_exported_as_it_is_shown(clients: Clients):
    exported = clients["auditor"].get(f"{PAGE}?export=facts")

    assert exported.headers["Content-Type"].startswith("text/csv")
    assert "Тарифный план" in exported.text
