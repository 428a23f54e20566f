"""A tariff is written with a fault, mended, submitted, and published by another, in a browser."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Site

pytestmark = pytest.mark.browser


def test_a_tariff_comes_into_force_by_two_people(site: Site):
    page = site.sign_in("analyst")
    page.goto(f"{site.url}/console/tariffs/two_zone")
    page.get_by_role("button", name="Написать новую редакцию").click()
    text = page.locator("textarea[name=document]")
    right = text.input_value().replace("valid_from: 2022-07-01", "valid_from: 2023-01-15")

    text.fill(right.replace("currency: RUB", "currency: USD"))
    fault = page.get_by_role("link", name="строка 6, currency: валюта — RUB")
    expect(fault).to_be_visible()
    expect(page.locator(".kk-tariff-gutter b")).to_have_text("6")
    fault.click()
    chosen = text.evaluate("one => one.value.slice(one.selectionStart, one.selectionEnd)")
    assert chosen == "currency: USD"

    text.fill(right.replace("7.42", "8.16"))
    expect(page.locator("#checked")).to_contain_text("+10,0")
    page.get_by_role("button", name="Сохранить").click()
    expect(page.get_by_role("status").first).to_contain_text("Черновик сохранён.")
    page.get_by_role("button", name="Передать на проверку").click()
    expect(page.get_by_text("Черновик ждёт второго сотрудника.")).to_be_visible()
    expect(page.get_by_role("button", name="Опубликовать навсегда")).to_have_count(0)
    address = page.url

    site.context.clear_cookies()
    second = site.sign_in("administrator")
    second.goto(address)
    second.get_by_role("button", name="Опубликовать навсегда").click()
    expect(second.get_by_text("Тариф опубликован.")).to_be_visible()

    second.goto(f"{site.url}/console/tariffs/two_zone")
    first = second.locator("section.card").first
    expect(first).to_contain_text("Редакция с 15.01.2023")
    expect(first).to_contain_text("Действует")
    expect(first).to_contain_text("8,16")


def test_the_editor_fits_a_phone(site: Site):
    page = site.sign_in("analyst")
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("tariff-drafts/1", "tariff-drafts", "tariffs/two_zone"):
        page.goto(f"{site.url}/console/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
