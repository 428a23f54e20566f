"""The editor of tariffs: pages and interface, hostile texts, and who may do what."""

import re
from html import unescape
from pathlib import Path

import pytest

from kilokassa.core.scope import system_scope
from kilokassa.web.app import create_app
from tariffs.service import PublishOrder, publish_version
from tests.web.conftest import Clients, token
from tests.web.seed import DRAFT_TITLE, PREPAID

DRAFT = "/console/tariff-drafts/1"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def people(own_app):
    return Clients(own_app)


def send(client, url: str, data: dict, *, follow: bool = True):
    return client.post(url, data=data | {"csrf_token": token(client)}, follow_redirects=follow)


def text_of(client) -> str:
    found = re.search(r"<textarea[^>]*>(.*?)</textarea>", client.get(DRAFT).text, re.DOTALL)
    assert found is not None
    return unescape(found[1])


def revision_of(client) -> str:
    found = re.search(r'name="revision" value="(\d+)"', client.get(DRAFT).text)
    assert found is not None
    return found[1]


def test_the_page_shows_the_text_its_picture_and_what_it_changes(clients):
    page = clients["administrator"].get(DRAFT).text

    assert DRAFT_TITLE in page
    assert "Ставкин Степан" in page
    assert "8.01" in page
    assert "+8,0\u00a0%" in page
    assert "Ночь 2,07" in page
    assert re.search(r"вместо .*<strong>\+\d+,\d\d\xa0₽, \+\d,\d\xa0%</strong>", page)


def test_only_a_second_person_is_offered_to_publish(clients):
    assert "Опубликовать навсегда" in clients["administrator"].get(DRAFT).text
    assert "Опубликовать навсегда" not in clients["analyst"].get(DRAFT).text
    auditor = clients["auditor"].get(DRAFT).text
    assert "<textarea" not in auditor
    assert "Опубликовать навсегда" not in auditor


def test_the_author_is_refused_and_the_second_person_publishes(people):
    analyst, administrator = people["analyst"], people["administrator"]
    step = {"step": "publish", "revision": revision_of(analyst)}

    refused = send(analyst, f"{DRAFT}/step", step)
    published = send(administrator, f"{DRAFT}/step", step)

    assert refused.status_code == 409
    assert "публикует его другой сотрудник" in refused.text
    assert "Тариф опубликован." in published.text
    assert "8.01" in published.text, "what it changed stays readable"
    assert "Сравнение с редакцией с 01.02.2023" not in published.text
    plan = administrator.get("/console/tariffs/two_zone").text
    assert "Редакция с 01.02.2023" in plan
    assert "Ставкин Степан" in plan
    assert "Админова Ада" in plan
    assert "Как её писали и проверяли" in plan
    company = people["company"].get("/console/tariffs/two_zone").text
    assert "Редакция с 01.02.2023" in company
    assert "Как её писали и проверяли" not in company


def test_a_fault_is_told_with_its_line_and_the_text_is_kept(people):
    analyst = people["analyst"]
    wrong = text_of(analyst).replace("currency: RUB", "currency: USD")

    page = send(analyst, DRAFT, {"document": wrong, "revision": revision_of(analyst)}).text

    assert "строка 6, currency: валюта — RUB" in page
    assert 'data-fault-lines="6"' in page
    assert "currency: USD" in page
    assert "Пишется" in page


def test_two_writers_see_each_others_change_and_lose_nothing(people):
    analyst, administrator = people["analyst"], people["administrator"]
    begun, text = revision_of(analyst), text_of(analyst)
    send(administrator, DRAFT, {"document": text.replace("8.01", "8.55"), "revision": begun})

    answer = send(analyst, DRAFT, {"document": text.replace("2.07", "2.11"), "revision": begun})

    assert answer.status_code == 409
    assert "Админова Ада уже сохранил" in answer.text
    assert "8.55" in answer.text
    assert "2.11" in answer.text
    assert f'name="revision" value="{int(begun) + 1}"' in answer.text


def test_a_draft_is_returned_with_a_note_that_stays(people):
    administrator = people["administrator"]
    step = {"step": "return", "revision": revision_of(administrator)}

    without = send(administrator, f"{DRAFT}/step", step)
    back = send(administrator, f"{DRAFT}/step", step | {"note": f"источник? {SCRIPT}"})

    assert "напишите, что исправить" in without.text
    assert "источник? &lt;script&gt;" in back.text
    assert SCRIPT not in back.text


def test_the_text_of_every_step_can_be_read(clients):
    assert "Текст после шага № 1" in clients["auditor"].get(f"{DRAFT}?step=1").text
    assert "Текст после шага" not in clients["auditor"].get(f"{DRAFT}?step=9%27").text


def test_markup_in_a_tariff_is_text_everywhere(people):
    analyst = people["analyst"]
    hostile = text_of(analyst).replace("Двухзонный", f'"{SCRIPT}"')
    hostile = hostile.replace(
        "confidence: high",
        f"confidence: high\nfixed:\n  - code: f\n    "
        f"name: {{ru: '{SCRIPT}'}}\n    per: month\n    amounts: "
        "[{from: 2022-07-01, amount: 5}]",
    )
    step = {"document": hostile, "title": SCRIPT, "revision": revision_of(analyst)}

    pages = [send(analyst, DRAFT, step).text]
    pages.append(analyst.get("/console/tariff-drafts").text)
    send(analyst, f"{DRAFT}/step", {"step": "submit", "revision": revision_of(analyst)})
    administrator = people["administrator"]
    publish = {"step": "publish", "revision": revision_of(administrator)}
    assert "Тариф опубликован." in send(administrator, f"{DRAFT}/step", publish).text
    pages.append(administrator.get("/console/tariffs/two_zone").text)

    assert all(SCRIPT not in page and "&lt;script&gt;" in page for page in pages)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: &a [*a]",
        "[" * 20_000,
        SCRIPT,
        f"plan: {SCRIPT}",
        "%(x)s: %s",
        "a: !!python/name:os.system",
        "\x00",
        "a: 1\n" * 20_000,
    ],
)
def test_a_hostile_text_is_told_as_a_fault(clients, text):
    answer = send(clients["analyst"], "/console/tariff-drafts/check", {"document": text})

    assert answer.status_code == 200
    assert "data-fault-lines" in answer.text
    assert SCRIPT not in answer.text


def test_a_text_beyond_any_tariff_is_refused(people):
    analyst = people["analyst"]
    huge = {"document": "x" * (256 * 1024 + 10), "revision": revision_of(analyst)}

    assert send(analyst, DRAFT, huge).status_code in {413, 422}
    assert "8.01" in text_of(analyst)


def test_a_resident_reads_the_plan_in_plain_words(clients):
    page = clients["resident"].get(f"/account/{PREPAID}/plan").text

    assert "Цена зависит от часа" in page
    assert "07:00" in page
    assert "<svg" in page


def test_other_systems_write_check_and_publish(own_installation):
    people = Clients(create_app(own_installation))
    analyst, administrator = people["analyst"], people["administrator"]
    write, read = {"X-CSRFToken": token(analyst)}, {"X-CSRFToken": token(administrator)}
    text = analyst.get("/api/v1/tariffs/single").json["versions"][0]["document"]
    new = re.sub(r"valid_from: \S+", "valid_from: 2023-03-01", text)

    checked = analyst.post("/api/v1/tariffs/check", json={"document": new}, headers=write).json
    wrong = analyst.post(
        "/api/v1/tariffs/check", json={"document": "plan: X\ncolour: 1"}, headers=write
    ).json
    begun = analyst.post("/api/v1/tariff-drafts", json={"document": new}, headers=write)
    at = f"/api/v1/tariff-drafts/{begun.json['id']}"
    late = analyst.put(at, json={"document": new + "\n", "revision": 0}, headers=write)
    sent = analyst.post(
        f"{at}/steps", json={"step": "submit", "revision": begun.json["revision"]}, headers=write
    )
    publish = {"step": "publish", "revision": sent.json["revision"]}
    own = analyst.post(f"{at}/steps", json=publish, headers=write)
    done = administrator.post(f"{at}/steps", json=publish, headers=read)

    assert checked["right"]
    assert checked["days"][0]["windows"][0]["zone"] == "all"
    assert {"line": 2, "field": "colour"}.items() <= wrong["faults"][-1].items()
    assert not wrong["right"]
    assert (begun.status_code, late.status_code, own.status_code) == (201, 409, 403)
    assert late.json["code"] == "draft_changed"
    assert own.json["code"] == "second_person_needed"
    assert done.json["state"] == "published"
    picture = people["resident"].get("/api/v1/tariffs/single/picture").json
    assert picture["plan"] == "single"
    assert picture["ladder"] == []


@pytest.fixture
def examples(own_installation):
    """The documents beside the code that have a ladder, or no rate of their own."""
    scope = system_scope("cli:test")
    for name in ("krasnoyarsk-social-norm", "hourly", "digital"):
        document = Path(f"examples/tariffs/{name}.yaml").read_text(encoding="utf-8")
        document = document.replace("2026-", "2022-")  # so that it holds today
        with own_installation.database.writing() as session:
            publish_version(session, PublishOrder(scope, document), own_installation.clock)


@pytest.mark.usefixtures("examples")
def test_a_plan_by_the_social_norm_shows_its_bands(people):
    page = people["analyst"].get("/console/tariffs/social_norm")

    assert page.status_code == 200
    assert "до 100 % нормы" in page.text
    assert "сверх нормы" in page.text


@pytest.mark.usefixtures("examples")
def test_a_list_of_plans_says_that_each_hour_has_its_price_and_never_that_it_costs_nothing(people):
    page = people["analyst"].get("/console/tariffs").text

    assert "у каждого часа своя" in page
    assert not re.search(r"<td[^>]*>\s*0\s*</td>", page)


@pytest.mark.usefixtures("examples")
def test_a_guarantee_names_the_plan_as_people_call_it(people):
    page = people["analyst"].get("/console/tariffs/digital").text

    assert re.search("месяц не дороже, чем на тарифе «[А-Я]", page)
