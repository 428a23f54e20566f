"""The queue of findings from the keyboard, in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.web.seed import POSTPAID

pytestmark = pytest.mark.browser


def shown(page: Page) -> str:
    return page.locator("[data-finding]").get_attribute("data-finding") or ""


def row_ids(page: Page) -> list[str]:
    rows = page.locator("[data-rows] > li")
    return [rows.nth(n).get_attribute("data-id") or "" for n in range(rows.count())]


def test_a_clerk_goes_through_the_queue_without_a_mouse(site: Site):
    page = site.sign_in("operator")
    page.goto(f"{site.url}/console/findings")
    first, second, third = row_ids(page)
    assert shown(page) == first

    page.keyboard.press("j")
    expect(page.locator("[data-finding]")).to_have_attribute("data-finding", second)
    page.keyboard.press("j")
    expect(page.locator("[data-finding]")).to_have_attribute("data-finding", third)
    page.wait_for_selector("#finding .kk-chart-box svg path", state="attached")
    page.keyboard.press("k")
    expect(page.locator("[data-finding]")).to_have_attribute("data-finding", second)

    page.keyboard.press("a")
    expect(page.locator("#note")).to_be_focused()
    page.keyboard.type("сверено, jak надо")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Принято замечаний: 1.")
    assert shown(page) == third
    assert row_ids(page) == [first, third]


def test_alike_findings_are_chosen_and_accepted_at_once(site: Site):
    page = site.sign_in("company")
    page.goto(f"{site.url}/console/findings")
    page.select_option("#kind", "gap")
    page.wait_for_url("**kind=gap**")
    gaps = row_ids(page)

    page.keyboard.press("x")
    expect(page.locator("[data-checked-count]")).to_have_text("(1)")
    page.get_by_label("Выбрать все на странице").check()
    expect(page.locator("[data-checked-count]")).to_have_text(f"({len(gaps)})")
    page.locator("#bulk [name=note]").fill("известное отключение")
    page.get_by_role("button", name="Принять выбранные").click()

    expect(page.get_by_role("status")).to_contain_text(f"Принято замечаний: {len(gaps)}.")
    expect(page.get_by_text("Таких замечаний нет.")).to_be_visible()


def test_the_readings_of_a_finding_are_one_key_away(site: Site):
    page = site.sign_in("operator")
    page.goto(f"{site.url}/console/findings")

    page.keyboard.press("e")

    page.wait_for_url(f"**/console/accounts/{POSTPAID}")


def test_on_a_phone_the_finding_comes_into_view(site: Site):
    page = site.sign_in("operator")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{site.url}/console/findings")

    page.locator("[data-row]").nth(1).click()

    expect(page.locator("#note")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
