"""The registry in a real browser: found, written down, replaced; on a phone too."""

import pytest

from tests.browser.conftest import Site

POINT, METER = "KHB-A-4", "E-0004"


def test_a_clerk_finds_a_meter_and_writes_down_its_verification(site: Site):
    page = site.sign_in("operator")
    page.goto(f"{site.url}/console/buildings")

    page.fill("#search", METER)
    page.press("#search", "Enter")
    page.click(f"#points a:has-text('{POINT}')")
    page.click("text=Записать событие")
    page.fill("#happened_on", "2023-01-12")
    page.fill("#valid_until", "2039-01-11")
    page.fill("#document", "С-12")
    page.click("main button.btn-primary")

    page.wait_for_selector(".kk-note.good")
    life = page.inner_text(".kk-queue li:first-child")
    assert "Поверка" in life
    assert "действует до 11.01.2039" in life
    assert "12.01.2023" in life
    assert site.complaints == []


def test_a_clerk_replaces_a_meter_and_is_told_what_cannot_be(site: Site):
    page = site.sign_in("operator")
    page.goto(f"{site.url}/console/points/{POINT}/replace")

    page.fill("#at", "2023-01-12T14:30")
    page.fill("#serial", "N-77")
    for field in page.query_selector_all("input[id^=final_]"):
        field.fill("1")
    page.fill("input[id^=first_] >> nth=0", "0")
    page.click("text=Заменить >> nth=-1")
    refused = page.inner_text(".kk-note.bad")
    site.complaints[:] = [one for one in site.complaints if "422" not in one]  # the refusal itself
    for field in page.query_selector_all("input[id^=final_]"):
        field.fill("99999,5")
    page.click("text=Заменить >> nth=-1")

    page.wait_for_selector(".kk-note.good")
    assert "меньше прежнего показания" in refused
    titles = page.locator("h2:has-text('История прибора')").all_inner_texts()
    assert [METER in title for title in titles] == [False, True]


@pytest.mark.parametrize("path", ["points/KHB-A-4", "points/KHB-A-4/replace", "verifications"])
def test_the_registry_fits_a_phone(site: Site, path: str):
    page = site.sign_in("operator")
    page.set_viewport_size({"width": 390, "height": 800})

    page.goto(f"{site.url}/console/{path}")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert site.complaints == []
