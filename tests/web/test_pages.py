import re
from html import unescape
from importlib.resources import files
from io import BytesIO

import pytest
from babel.messages.pofile import read_po
from flask import Flask
from jinja2.ext import extract_from_ast
from sqlalchemy import update

from billing.models import AccountRow
from kilokassa.app.wiring import Application
from kilokassa.web.app import create_app
from tests.web.conftest import Clients, sign_in, token
from tests.web.seed import BY_HAND, DEBTOR, PEOPLE, POSTPAID, PREPAID, copy_of

NOT_ENGLISH = (
    r"Kilokassa|kilokassa|English|OpenAPI|HTTP|Basic|Idempotency-Key:?|gzip|openapi.json|close|running|"
    r"https:|Green|Button|Parquet:?|YAML\.?|Enter|valid_from|prices|per_kwh|[0-9a-f]{4,16}|"
    r"[\w.]+@[\w.]+|job:\w+|user:\d+|test|(single|two|three)_?\w*|zone\w*|\w+\.example|.*/.*"
)
"""Names, codes and addresses that are written alike in both languages."""

PAGES = (
    ("operator", "/console/"),
    ("operator", "/console/accounts"),
    ("operator", f"/console/accounts/{PREPAID}"),
    ("operator", f"/console/accounts/{POSTPAID}"),
    ("operator", f"/console/accounts/{BY_HAND}"),
    ("operator", f"/console/accounts/{PREPAID}/top-up"),
    ("operator", f"/console/accounts/{PREPAID}/notices"),
    ("operator", "/console/notices"),
    ("operator", "/console/notices/1"),
    ("administrator", "/console/webhooks"),
    ("resident", f"/account/{PREPAID}/notices"),
    ("operator", "/console/debtors"),
    ("operator", f"/console/accounts/{DEBTOR}/debt"),
    ("operator", f"/console/accounts/{DEBTOR}/agreement"),
    ("operator", "/console/agreements"),
    ("resident", f"/account/{PREPAID}/debt"),
    ("analyst", "/console/bonuses"),
    ("operator", "/console/bonuses/rules/s3"),
    ("operator", "/console/bonuses/campaigns/w23"),
    ("operator", f"/console/accounts/{PREPAID}/bonuses"),
    ("resident", f"/account/{PREPAID}/bonuses"),
    ("operator", "/console/buildings"),
    ("operator", "/console/buildings?search=KHB-A-4"),
    ("operator", "/console/buildings/KHB-A"),
    ("operator", "/console/buildings/KHB-A/edit"),
    ("operator", "/console/buildings/KHB-A/points/new"),
    ("operator", "/console/points/KHB-A-4"),
    ("operator", "/console/points/KHB-A-4/edit"),
    ("operator", "/console/points/KHB-A-4/life"),
    ("operator", "/console/points/KHB-A-4/replace"),
    ("operator", "/console/verifications"),
    ("operator", "/console/tariffs"),
    ("operator", "/console/tariffs/three_zone"),
    ("operator", "/console/estimates"),
    ("operator", "/console/reserves"),
    ("analyst", "/console/reserve-offers"),
    ("operator", "/console/reserve-offers/half_year"),
    ("analyst", "/console/reserve-costs"),
    ("operator", f"/console/accounts/{PREPAID}/reserves"),
    ("operator", f"/console/accounts/{PREPAID}/reserves/new?offer=half_year&amount=500"),
    ("operator", "/console/findings"),
    ("operator", "/console/findings/1"),
    ("operator", "/console/device-events"),
    ("operator", "/console/quality?month=2023-01"),
    ("operator", "/console/quality/1"),
    ("operator", "/console/quality/new"),
    ("operator", "/console/readings/import"),
    ("operator", "/console/readings/export"),
    ("operator", "/console/walk-rounds"),
    ("operator", "/console/walk-rounds/1"),
    ("operator", "/console/walk-rounds/1/paper"),
    ("operator", "/console/reading-windows"),
    ("operator", "/console/payments"),
    ("operator", "/console/payments/1"),
    ("operator", "/console/payment-files"),
    ("operator", "/console/payment-files/1"),
    ("operator", "/console/payment-orders"),
    ("operator", "/console/till"),
    ("operator", "/console/runs"),
    ("operator", "/console/jobs"),
    ("auditor", "/console/ledger"),
    ("operator", "/console/moves"),
    ("operator", "/console/moves/new"),
    ("operator", f"/console/accounts/{PREPAID}/move"),
    ("operator", "/console/refunds"),
    ("operator", f"/console/accounts/{PREPAID}/refund"),
    ("operator", f"/console/accounts/{PREPAID}/gift"),
    ("resident", f"/account/{PREPAID}/auto-top-up"),
    ("resident", f"/account/{PREPAID}/refund"),
    ("operator", "/console/documents"),
    ("operator", "/console/nothing"),
    ("analyst", "/console/tariff-drafts"),
    ("administrator", "/console/tariff-drafts/1"),
    ("operator", "/api/docs"),
    ("resident", f"/account/{PREPAID}"),
    ("resident", f"/account/{PREPAID}/consumption?span=year"),
    ("resident", f"/account/{PREPAID}/charges"),
    ("resident", f"/account/{PREPAID}/plan"),
    ("resident", f"/account/{PREPAID}/reserves"),
    ("resident", f"/account/{PREPAID}/reserves/new?offer=half_year&amount=500"),
    ("resident", f"/account/{PREPAID}/operations"),
    ("resident", f"/account/{PREPAID}/documents"),
    ("resident", f"/account/{PREPAID}/top-up"),
    ("resident", f"/account/{PREPAID}/complaint"),
    ("other_resident", f"/account/{BY_HAND}/readings"),
    ("other_resident", "/account/"),
    ("nobody", "/login"),
)


@pytest.mark.parametrize(("person", "url"), PAGES)
def test_no_page_holds_a_script_or_loads_from_elsewhere(clients: Clients, person: str, url: str):
    answer = clients[person].get(url)
    text = answer.text

    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    for attributes, content in re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL):
        assert 'type="application/json"' in attributes or not content.strip(), content
    assert not re.search(r"\son\w+\s*=", text)
    loaded = re.findall(r'(?:src|href|action)="([^"]+)"', text)
    assert [one for one in loaded if re.match(r"(https?:)?//", one)] == []


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize(("person", "url"), PAGES)
def test_every_page_speaks_one_language(app: Flask, clients: Clients, person, url, language):
    client = clients[person]
    client.set_cookie("language", language)

    not_words = r"<(script|pre|style|textarea).*?</\1>"
    text = re.sub(not_words, " ", client.get(url).text, flags=re.DOTALL)
    client.delete_cookie("language")

    assert f'<html lang="{language}"' in text
    words = unescape(re.sub(r"<[^>]+>", " ", text))
    if language == "ru":
        latin = set(re.findall(r"[A-Za-z]{4,}[\w.@:-]*", words))
        assert {one for one in latin if not re.fullmatch(NOT_ENGLISH, one)} == set()
    else:
        for message in ("Лицевые счета", "Начисления", "Документы", "Войти", "Баланс"):
            assert message not in words


def test_every_message_of_the_templates_is_in_the_catalogue(app: Flask):
    known = set()
    for entry in (files("kilokassa") / "locale" / "ru").iterdir():
        if entry.name.endswith(".po"):
            for message in read_po(BytesIO(entry.read_bytes()), locale="ru"):
                known.add(message.id if isinstance(message.id, str) else message.id[0])
    templates = files("kilokassa.web") / "templates"
    missing = set()

    for name in app.jinja_env.list_templates(extensions=["html"]):
        source = templates / name
        if source.is_file():
            tree = app.jinja_env.parse(source.read_text(encoding="utf-8"))
            for _, _, found in extract_from_ast(tree, ("_", "ngettext"), babel_style=True):
                first = found[0] if isinstance(found, tuple) else found
                if first and first not in known:
                    missing.add((name, first))

    assert not missing


def test_what_people_are_called_is_text_and_never_markup(own_installation: Application):
    name = "<script>alert(1)</script>\"'><b>"
    with own_installation.database.writing() as session:
        session.execute(
            update(AccountRow)
            .where(AccountRow.number == PREPAID)
            .values(payer_name=name, note=name)
        )
    client = create_app(own_installation).test_client()
    sign_in(client, PEOPLE["operator"].email)

    pages = [
        client.get(url).text
        for url in (f"/console/accounts/{PREPAID}", "/console/accounts", "/console/documents")
    ]

    for text in pages:
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


def test_the_balance_card_says_until_when_it_was_measured(clients: Clients):
    text = clients["resident"].get(f"/account/{PREPAID}").text

    assert "Измерено до 14.01.2023 00:00" in text
    assert "Хватит примерно на" in text


def test_an_account_of_a_house_with_heat_shows_it(clients: Clients):
    text = clients["operator"].get(f"/console/accounts/{POSTPAID}").text

    assert "Тепло" in text
    assert "Гкал" in text


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("search=бородина", {DEBTOR}),
        ("search=Бородина", {DEBTOR}),
        ("search=2799000009", {POSTPAID}),
        ("owing=debt&search=Бородина", {DEBTOR}),
        ("building=KHB-B&settlement=prepaid", {"2799000012"}),
        ("plan=three_zone", {"2799000005", "2799000006", "2799000011"}),
        ("search=nobody", set()),
        ("search=%25", set()),
    ],
)
def test_the_list_of_accounts_is_narrowed(clients: Clients, query: str, numbers: set[str]):
    text = clients["operator"].get(f"/console/accounts?{query}").text

    assert set(re.findall(r"/console/accounts/(\d+)", text)) == numbers


def test_the_list_is_sorted_by_debt(clients: Clients):
    page = clients["operator"].get("/console/accounts?sort=-debt").text

    balances = [int(value) for value in re.findall(r'class="num[^"]*" data-v="(-?\d+)"', page)]
    owed = [max(0, -balance) for balance in balances]
    assert owed == sorted(owed, reverse=True)
    assert owed[0] > 0


def test_the_filter_of_the_page_fetches_the_list_alone(clients: Clients):
    answer = clients["operator"].get("/console/accounts", headers={"HX-Request": "true"})

    assert answer.text.lstrip().startswith("<div")
    assert "HX-Request" in answer.headers["Vary"]


def test_a_csv_holds_what_the_list_shows_exactly(clients: Clients):
    client = clients["auditor"]
    client.set_cookie("language", "ru")

    answer = client.get("/console/accounts?export=accounts&building=KHB-B")
    rows = answer.data.decode("utf-8-sig").splitlines()

    assert answer.mimetype == "text/csv"
    assert rows[0] == "Лицевой счёт;Плательщик;Адрес;Тариф;Расчёты;Баланс"
    assert len(rows) == 5
    assert re.fullmatch(r"2799000009;Ильина Юлия Сергеевна;.*;По факту;-\d+,\d\d", rows[1])


def test_money_is_taken_once_however_often_the_button_is_pressed(own_app: Flask):
    client = own_app.test_client()
    sign_in(client, PEOPLE["operator"].email)
    url = f"/console/accounts/{DEBTOR}/top-up"
    key = re.search(r'name="key"[^>]*value="([0-9a-f]{32})"', client.get(url).text)
    assert key is not None
    form = {"amount": "1 500,50", "tender": "cash", "key": key[1], "csrf_token": token(client)}

    first = client.post(url, data=form)
    second = client.post(url, data=form)

    assert first.status_code == second.status_code == 302
    entries = client.get(f"/api/v1/accounts/{DEBTOR}/entries").get_json()
    assert [one["amount"] for one in entries if one["reason"] == "top_up"] == ["1500.50"]


@pytest.mark.parametrize("amount", ["", "0", "-5", "10.005", "1e3", "999999999", "abc"])
def test_what_is_no_amount_is_refused_beside_its_field(own_app: Flask, amount: str):
    client = own_app.test_client()
    sign_in(client, PEOPLE["resident"].email)
    form = {"amount": amount, "key": "0" * 32, "csrf_token": token(client)}

    answer = client.post(f"/account/{PREPAID}/top-up", data=form)

    assert answer.status_code == 422
    assert 'id="amount-error"' in answer.text


def test_a_resident_tops_up_in_the_demo(own_app: Flask):
    client = own_app.test_client()
    sign_in(client, PEOPLE["resident"].email)
    before = client.get(f"/api/v1/accounts/{PREPAID}/balance").get_json()["available"]
    form = {"amount": "300", "key": "1" * 32, "csrf_token": token(client)}
    url = f"/account/{PREPAID}/top-up"

    shown = client.post(url, data=form)
    order = client.post(url, data=form | {"confirm": "1"})
    again = client.post(url, data=form | {"confirm": "1"})
    bank = {"deed": "pay", "csrf_token": token(client)}
    answer = client.post(f"{order.location}/test-bank", data=bank, follow_redirects=True)
    client.post(f"{order.location}/test-bank", data=bank)

    assert "300,00" in shown.text
    assert order.location == again.location
    after = client.get(f"/api/v1/accounts/{PREPAID}/balance").get_json()["available"]
    assert "Зачислено 300,00" in answer.text
    assert round(float(after) - float(before), 2) == 300


def test_outside_a_demo_no_form_makes_money(own_installation: Application):
    with own_installation.database.writing() as session:
        session.connection().exec_driver_sql("UPDATE retailer SET demo = 0")
    client = create_app(own_installation).test_client()
    sign_in(client, PEOPLE["resident"].email)
    url = f"/account/{PREPAID}/top-up"
    form = {"amount": "300", "key": "1" * 32, "csrf_token": token(client)}

    answer = client.post(url, data=form)

    assert answer.status_code == 422
    assert 'name="amount"' not in client.get(url).text
    assert "data:image/png;base64," in client.get(url).text


def test_a_file_of_readings_is_taken_in_and_accounted_for(own_app: Flask):
    client = own_app.test_client()
    sign_in(client, PEOPLE["operator"].email)
    rows = ["KHB-A-1;2023-01-14T00:00:00+10:00;0.5", "NONE;2023-01-14T00:00:00+10:00;1"]
    content = "\n".join(["point;time;value", *rows])
    form = {
        "file": (BytesIO(content.encode()), "day.csv"),
        "unit": "kwh",
        "csrf_token": token(client),
    }

    answer = client.post("/console/readings/import", data=form)

    assert answer.status_code == 200
    assert "NONE" in answer.text


def test_a_file_that_cannot_be_read_is_refused_whole(own_app: Flask):
    client = own_app.test_client()
    sign_in(client, PEOPLE["operator"].email)
    form = {"file": (BytesIO(b"\xff\xfe\x00what"), "x.csv"), "csrf_token": token(client)}

    answer = client.post("/console/readings/import", data=form | {"unit": "kwh"})

    assert answer.status_code == 422
    assert "Из файла ничего не загружено" in answer.text


def test_a_month_is_closed_from_the_console_and_again_without_harm(own_app: Flask):
    client = own_app.test_client()
    sign_in(client, PEOPLE["operator"].email)
    form = {"month": "2022-12", "csrf_token": token(client)}

    answer = client.post("/console/runs", data=form, follow_redirects=True)

    assert answer.status_code == 200
    assert "уже закрыто — 12" in answer.text


def test_the_chosen_language_stays(own_app: Flask):
    client = own_app.test_client()
    sign_in(client, PEOPLE["resident"].email)
    form = {"language": "en", "back": f"/account/{PREPAID}", "csrf_token": token(client)}

    answer = client.post("/preferences", data=form)
    elsewhere = own_app.test_client()
    sign_in(elsewhere, PEOPLE["resident"].email)

    assert answer.location == f"/account/{PREPAID}"
    assert "Available now" in client.get(f"/account/{PREPAID}").text
    assert "Available now" in elsewhere.get(f"/account/{PREPAID}").text


def test_health_tells_a_database_that_lags_behind(own_installation: Application):
    client = create_app(own_installation).test_client()
    assert client.get("/health").get_json()["status"] == "ok"

    with own_installation.database.writing() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = 'older'")

    answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.get_json() == {
        "status": "unavailable",
        "database": "reachable",
        "schema": "behind",
    }


def test_an_installation_that_is_not_set_up_says_so(own_installation: Application, tmp_path):
    (tmp_path / "empty").mkdir()
    empty = copy_of(own_installation, tmp_path / "empty")
    with empty.database.writing() as session:
        session.connection().exec_driver_sql("DELETE FROM retailer")

    answer = create_app(empty).test_client().get("/login")

    assert answer.status_code == 503
    assert "kilokassa init" in answer.text
    empty.database.dispose()


def test_metrics_name_endpoints_and_nobody(clients: Clients):
    clients["operator"].get(f"/console/accounts/{PREPAID}")

    text = clients["nobody"].get("/metrics").text

    assert 'endpoint="console.account"' in text
    assert "kilokassa_accounts 12.0" in text
    assert PREPAID not in text


@pytest.mark.parametrize("path", [f"/console/accounts/{PREPAID}", "/console/runs"])
def test_who_did_something_is_a_person_or_the_program_in_words(clients, path):
    page = clients["operator"].get(path).text

    assert not re.search(r">\s*(job|user|cli|web):\w+", page)


def test_what_the_program_did_by_itself_is_said_to_be_automatic(clients):
    assert "автоматически" in clients["operator"].get(f"/console/accounts/{PREPAID}").text
