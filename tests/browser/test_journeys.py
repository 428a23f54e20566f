import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.web.seed import DEBTOR, PREPAID, THREE_ZONES

pytestmark = pytest.mark.browser


def charts_drawn(page: Page) -> int:
    page.wait_for_selector(".kk-chart-box svg path", state="attached")
    return page.locator(".kk-chart-box svg").count()


def test_a_clerk_finds_an_account_and_takes_a_payment(site: Site):
    page = site.sign_in("operator")
    page.get_by_role("link", name="Лицевые счета", exact=True).first.click()

    page.fill("#search", "бородина")
    expect(page.locator("#accounts tbody tr")).to_have_count(1)
    page.get_by_role("link", name=DEBTOR).click()
    page.get_by_role("link", name="Принять платёж").click()
    page.fill("#amount", "5000")
    page.get_by_role("button", name="Принять платёж").click()

    expect(page.get_by_role("status")).to_contain_text("Зачислено 5 000,00")
    page.get_by_role("link", name=re.compile(DEBTOR)).first.click()
    expect(page.locator("#entries tbody tr").first).to_contain_text("Пополнение")


def test_a_resident_tops_up_and_sees_it_at_once(site: Site):
    page = site.sign_in("resident")
    before = page.locator("[data-test=balance]").inner_text()
    assert charts_drawn(page) == 1

    page.get_by_role("link", name="Пополнить").click()
    page.get_by_role("button", name="500 ₽").click()
    expect(page.locator("#amount")).to_have_value("500")
    page.get_by_role("button", name="Дальше: куда пойдут деньги").click()
    expect(page.locator("main")).to_contain_text("500,00")
    page.get_by_role("button", name="Оплатить 500,00").click()
    page.get_by_role("button", name="Оплатить тестовой картой").click()
    expect(page.get_by_role("status").first).to_contain_text("500,00")
    page.get_by_role("link", name="Баланс").first.click()
    after = page.locator("[data-test=balance]").inner_text()
    assert kopecks(after) - kopecks(before) == 500_00


def kopecks(text: str) -> int:
    return int(re.sub(r"\D", "", text)) * (-1 if "−" in text else 1)


def test_a_resident_turns_to_another_month_and_to_the_year(site: Site):
    page = site.sign_in("resident")

    page.get_by_role("link", name=re.compile("декабрь 2022")).click()
    expect(page.locator("#consumption h2")).to_contain_text("декабрь 2022")
    assert charts_drawn(page) == 1
    page.get_by_role("link", name="Месяцы").click()
    expect(page.locator("#consumption h2")).to_contain_text("двенадцать месяцев")
    assert charts_drawn(page) == 1
    page.get_by_text("Те же цифры таблицей").click()

    expect(page.locator("#consumption tbody tr")).to_have_count(12)
    assert page.url.endswith(PREPAID)


def test_a_resident_downloads_a_bill(site: Site, tmp_path: Path):
    page = site.sign_in("resident")
    page.get_by_role("link", name="Документы", exact=True).click()
    link = page.locator("#documents a[href$='.pdf']").first

    answer = page.request.get(site.url + str(link.get_attribute("href")))

    assert answer.headers["content-type"] == "application/pdf"
    assert answer.body().startswith(b"%PDF-")


def test_the_language_is_changed_in_the_menu(site: Site):
    page = site.sign_in("resident")
    expect(page.get_by_text("Доступно сейчас")).to_be_visible()

    page.locator(".kk-menu summary").click()
    page.get_by_role("button", name="English").click()

    expect(page.get_by_text("Available now")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.url.endswith(f"/account/{PREPAID}")


def test_dark_colours_are_chosen_and_stay(site: Site):
    page = site.sign_in("operator")

    page.locator(".kk-menu summary").click()
    page.get_by_role("button", name="Тёмная").click()
    page.get_by_role("link", name="Тарифы", exact=True).click()

    assert page.locator("html").get_attribute("data-bs-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 23, 29)"


def test_a_list_is_sorted_and_filtered_in_the_page(site: Site):
    page = site.sign_in("operator")
    page.goto(f"{site.url}/console/accounts/{THREE_ZONES}")
    amounts = page.locator("#charges tbody td:last-child")

    page.locator("#charges th", has_text="Сумма").get_by_role("button").click()
    values = [int(str(one.get_attribute("data-v"))) for one in amounts.all()]
    page.fill("#charges-filter", "ночь")

    assert values == sorted(values)
    shown = page.locator("#charges tbody tr:visible")
    expect(shown).to_have_count(page.locator("#charges tbody tr", has_text="Ночь").count())


@pytest.mark.parametrize("person", ["operator", "resident"])
def test_a_phone_scrolls_in_one_direction_only(site: Site, person: str):
    page = site.sign_in(person)
    page.set_viewport_size({"width": 390, "height": 844})
    pages = {
        "operator": ["/console/", "/console/accounts", f"/console/accounts/{PREPAID}"],
        "resident": [f"/account/{PREPAID}", f"/account/{PREPAID}/charges"],
    }

    for path in pages[person]:
        page.goto(site.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_a_page_works_without_scripts(site: Site):
    context = site.context.browser.new_context(java_script_enabled=False, locale="ru-RU")
    page = Site(site.url, context, site.complaints).sign_in("operator")

    page.goto(f"{site.url}/console/accounts?search=бородина")
    page.get_by_role("link", name=DEBTOR).click()
    page.get_by_text("Те же цифры таблицей").first.click()

    expect(page.locator("#consumption tbody tr").first).to_be_visible()
    context.close()
