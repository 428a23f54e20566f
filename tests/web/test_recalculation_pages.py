"""Recalculation on pages and in the interface: looked at first, posted when asked."""

from datetime import timedelta
from functools import partial

import pytest

from kilokassa.app.wiring import Application
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.web.app import create_app
from kilokassa.web.console import recalculation
from tariffs.service import PublishOrder, publish_version
from tariffs.store import plan_by_code, published_versions
from tests.web.conftest import Clients, token
from tests.web.seed import NOW, POSTPAID, PREPAID

SCOPE = system_scope("test")
PAGE, API = "/console/recalculations", "/api/v1/recalculations"
LATER = NOW + timedelta(days=1)


@pytest.fixture
def later(own_installation: Application) -> Application:
    """A day on: the rate of one plan turns out to have been a kopeck more all along."""
    application = Application(
        own_installation.settings, own_installation.database, FixedClock(LATER)
    )
    with application.database.writing() as session:
        plan = plan_by_code(session, "two_zone")
        document = published_versions(session, plan.id)[0].document
        dearer = document.replace("7.42", "7.43")
        assert dearer != document
        publish_version(session, PublishOrder(SCOPE, dearer, replaces=True), FixedClock(LATER))
    return application


@pytest.fixture
def clients(later: Application) -> Clients:
    return Clients(create_app(later))


def pending(client, query=""):
    answer = client.get(f"{API}/pending{query}")
    assert answer.status_code == 200
    return answer.get_json()


def order(client, **wish):
    return client.post(API, json=wish, headers={"X-CSRFToken": token(client)})


def test_the_page_shows_what_is_pending_and_why(clients: Clients):
    page = clients["operator"].get(PAGE, headers={"Accept-Language": "en"}).text

    assert PREPAID in page
    assert "Тариф опубликован за уже начисленные дни" in page
    assert "Провести перерасчёт" in page


def test_months_that_were_not_compared_are_not_called_right_and_can_be_posted(
    clients: Clients, monkeypatch
):
    monkeypatch.setattr(recalculation, "preview", partial(recalculation.preview, most=0))

    page = clients["operator"].get(PAGE).text

    assert "Ещё не сравнивались" in page
    assert "Все закрытые месяцы начислены верно" not in page
    assert "Провести перерасчёт" in page


def test_the_page_speaks_english_too(clients: Clients):
    client = clients["operator"]
    client.set_cookie("language", "en")

    page = client.get(PAGE).text

    assert "A tariff was published for days that were charged already" in page
    assert "Post the difference now" in page


def test_posting_on_the_page_leaves_nothing_pending_and_issues_documents(clients: Clients):
    client = clients["operator"]
    before = pending(client)

    answer = client.post(PAGE, data={"csrf_token": token(client)})

    assert answer.status_code == 302
    assert before["pending"]
    assert pending(client)["pending"] == []
    posted = client.get(API).get_json()
    assert {one["account"] for one in posted["items"]} == {
        one["account"] for one in before["pending"]
    }
    assert posted["items"][-1]["number"] == "D-2023-000001"
    assert "D-2023-000001" in client.get(PAGE).text


def test_the_preview_is_what_is_posted(clients: Clients):
    client = clients["operator"]
    before = pending(client)

    report = order(client).get_json()

    assert report["difference"] == before["difference"]
    assert report["months"] == len(before["pending"])


def test_one_account_can_be_put_right_alone(clients: Clients):
    client = clients["operator"]

    report = order(client, account=PREPAID).get_json()

    assert report["corrected"] == 1
    assert PREPAID not in {one["account"] for one in pending(client)["pending"]}


def test_an_account_that_does_not_exist_is_named(clients: Clients):
    answer = order(clients["operator"], account="0")

    assert answer.status_code == 404
    assert "0" in answer.get_json()["message"]
    assert clients["operator"].get(f"{PAGE}?account=%3Cb%3E").status_code == 200


def test_a_management_company_sees_its_own_houses_and_posts_nothing(clients: Clients):
    own = {one["account"] for one in pending(clients["company"])["pending"]}
    others = {one["account"] for one in pending(clients["other_company"])["pending"]}

    assert PREPAID in own
    assert PREPAID not in others
    assert order(clients["company"]).status_code == 403
    assert "Провести перерасчёт" not in clients["company"].get(PAGE).text
    order(clients["operator"])
    seen = clients["other_company"].get(API).get_json()["items"]
    assert PREPAID not in {one["account"] for one in seen}


def test_the_resident_finds_the_document_among_the_own_and_reads_it(clients: Clients):
    order(clients["operator"])

    page = clients["resident"].get(f"/account/{PREPAID}/documents").text

    number = next(
        one["number"]
        for one in clients["operator"].get(API).get_json()["items"]
        if one["account"] == PREPAID
    )
    assert number in page
    pdf = clients["resident"].get(f"/account/{PREPAID}/documents/{number}.pdf")
    assert pdf.data.startswith(b"%PDF")
    assert (
        clients["other_resident"].get(f"/account/{POSTPAID}/documents/{number}.pdf").status_code
        == 404
    )


def test_the_list_is_a_file_too(clients: Clients):
    rows = clients["operator"].get(f"{PAGE}?export=pending").text.splitlines()

    assert rows[0].startswith("\ufeffЛицевой счёт;")
    assert any(PREPAID in row for row in rows)
