"""The page of a charge line, on the console and on the account page, and the interface's chain."""

from fractions import Fraction

import pytest

from tests.web.conftest import Clients
from tests.web.seed import BY_HAND, POSTPAID, PREPAID

API = "/api/v1"


def lines(clients: Clients, number: str, **of):
    answer = clients["operator"].get(f"{API}/accounts/{number}/charge-lines").get_json()
    return [line for line in answer if all(line[name] == value for name, value in of.items())]


def explained(clients: Clients, line_id: int, person: str = "operator"):
    return clients[person].get(f"{API}/lines/{line_id}/explanation").get_json()


def test_every_line_of_the_tables_leads_to_its_explanation(clients: Clients):
    known = [line["id"] for line in lines(clients, PREPAID)]

    console = clients["operator"].get(f"/console/accounts/{PREPAID}").text
    page = clients["resident"].get(f"/account/{PREPAID}/charges").text

    assert known
    assert all(f"/console/lines/{line_id}" in console for line_id in known)
    assert all(f"/account/{PREPAID}/charges/{line_id}" in page for line_id in known)


def test_the_intervals_of_a_line_sum_to_its_quantity_and_its_price_to_the_amount(clients: Clients):
    for line in lines(clients, PREPAID, service="electricity"):
        one = explained(clients, line["id"])

        assert sum(part["energy_wh"] for part in one["intervals"]) == one["quantity"]
        assert sum(day["energy_wh"] for day in one["days"]) == one["quantity"]
        exact = Fraction(int(one["exact"]["numerator"]), int(one["exact"]["divisor"]))
        assert abs(exact - 100 * Fraction(one["amount"])) <= Fraction(1, 2)
        assert one["replay"]["verdict"] == "same"


def test_a_line_read_by_hand_names_both_readings(clients: Clients):
    one = explained(clients, lines(clients, BY_HAND)[0]["id"])

    kinds = [step["kind"] for step in one["steps"]]
    earlier, later, counted = (step["value"] for step in one["steps"][:3])
    assert kinds == ["earlier_reading", "later_reading", "counted"]
    assert later - earlier == counted == one["quantity"]
    assert one["intervals"] == one["days"] == []


def test_heat_is_told_from_the_house_to_the_flat(clients: Clients):
    one = explained(clients, lines(clients, POSTPAID, service="heat")[0]["id"])

    told = {step["kind"]: step["value"] for step in one["steps"]}
    assert told.keys() == {"house_heat", "house_amount", "house_area", "own_area"}
    share = Fraction(told["house_amount"] * told["own_area"], told["house_area"])
    assert abs(share - Fraction(one["amount"]) * 100) < 1


def test_an_explanation_has_the_same_digest_whoever_asks(clients: Clients):
    line_id = lines(clients, PREPAID)[0]["id"]

    digests = {
        explained(clients, line_id, person)["digest"]
        for person in ("operator", "auditor", "company", "resident")
    }

    assert len(digests) == 1


@pytest.mark.parametrize("table", ["days", "intervals"])
def test_days_and_intervals_go_to_csv(clients: Clients, table: str):
    line_id = lines(clients, PREPAID)[0]["id"]
    one = explained(clients, line_id)

    answer = clients["resident"].get(f"/account/{PREPAID}/charges/{line_id}?export={table}")

    assert answer.mimetype == "text/csv"
    assert len(answer.text.splitlines()) == len(one[table]) + 1


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_page_speaks_the_language_of_its_reader(clients: Clients, language: str):
    line_id = lines(clients, PREPAID, line_key="night/-/2022-12-01")[0]["id"]
    client = clients["operator"]
    client.set_cookie("language", language)

    text = client.get(f"/console/lines/{line_id}").text.replace("\u00a0", " ")

    sums = {"ru": "38,457 кВт·ч × 2,07 ₽/кВт·ч = 79,60599 ₽", "en": "38.457 kWh × ₽2.07/kWh"}
    assert sums[language] in text
    assert {"ru": "Ночь", "en": "Night"}[language] in text


@pytest.mark.parametrize(
    "line_id", ["0", "999999", "9223372036854775808", "99999999999999999999999"]
)
def test_a_line_that_is_not_there_is_not_found(clients: Clients, line_id: str):
    answers = [
        clients["operator"].get(f"/console/lines/{line_id}").status_code,
        clients["operator"].get(f"{API}/lines/{line_id}/explanation").status_code,
        clients["resident"].get(f"/account/{PREPAID}/charges/{line_id}").status_code,
    ]

    assert answers == [404, 404, 404]


def test_a_resident_finds_no_line_of_another_account_below_his_own(clients: Clients):
    strange = lines(clients, POSTPAID)[0]["id"]

    answers = [
        clients["resident"].get(f"/account/{PREPAID}/charges/{strange}").status_code,
        clients["resident"].get(f"/account/{POSTPAID}/charges/{strange}").status_code,
        clients["resident"].get(f"{API}/lines/{strange}/explanation").status_code,
        clients["other_company"]
        .get(f"{API}/lines/{lines(clients, PREPAID)[0]['id']}/explanation")
        .status_code,
    ]

    assert answers == [404, 404, 404, 404]
