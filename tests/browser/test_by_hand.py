"""A walk-round entered from the keyboard alone, and a resident's readings judged while typed."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from sqlalchemy import select

from kilokassa.app.wiring import Application
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.models import RegisterReadingRow, WalkRoundVisitRow
from metering.registers import RegisterReading
from metering.registry.places import Commodity, Meter, MeteringPoint, PlacesOrder
from metering.service import register_places
from metering.store import write_registers
from tests.browser.conftest import Site
from tests.web.seed import PREPAID

pytestmark = pytest.mark.browser
FLATS = ("1", "2", "3", "4")
WALK = "/console/walk-rounds/1"


@pytest.fixture
def water(application: Application) -> Application:
    """Cold water in the first flats of the first house, read by hand: 3 m³ a month."""
    places = PlacesOrder(
        points=tuple(
            MeteringPoint(f"KHB-A-{n}-CW", "KHB-A", n, Commodity.COLD_WATER) for n in FLATS
        ),
        meters=tuple(Meter(f"KHB-A-{n}-CW", f"CW-{n}", date(2020, 1, 1), digits=5) for n in FLATS),
    )
    with application.database.writing() as session:
        made = register_places(session, places, application.clock)
        readings = [
            RegisterReading(
                made.meter_ids[f"KHB-A-{n}-CW", f"CW-{n}"],
                Zone.ALL,
                datetime(2022, 10 + month, 20, 2, tzinfo=UTC),
                100_000 + month * 3_000,
                Quality.ACTUAL,
            )
            for n in FLATS
            for month in range(3)
        ]
        write_registers(session, readings, application.clock, source="seed")
    return application


def read_on_the_walk(application: Application) -> list[int]:
    with application.database.reading() as session:
        query = (
            select(RegisterReadingRow.value)
            .where(RegisterReadingRow.source == "walk:1")
            .order_by(RegisterReadingRow.id)
        )
        return list(session.scalars(query))


def press(page: Page, text: str, key: str = "Enter") -> None:
    page.keyboard.type(text)
    page.keyboard.press(key)


def test_a_walk_round_is_entered_from_the_keyboard_alone(site: Site, water: Application):
    page = site.sign_in("operator")
    page.goto(site.url + WALK)
    progress = page.locator("[data-progress]")
    state = page.locator("[data-line] [role=status]")
    expect(progress).to_have_text("0 из 5")

    press(page, "109,2")  # the first field has the focus already
    press(page, "", "-")
    press(page, "", "*")
    expect(progress).to_have_text("3 из 5")
    press(page, "209")  # flat 4: a slip of the finger
    expect(state.nth(3)).to_contain_text("Нажмите Enter ещё раз")
    press(page, "109")
    press(page, "6480")  # flat 8: a meter with two zones
    press(page, "4090")

    expect(progress).to_have_text("5 из 5")
    expect(state.nth(0)).to_have_text("+3,2 м³")
    expect(state.nth(1)).to_have_text("Нет доступа")
    expect(state.nth(2)).to_have_text("Неисправен")
    assert read_on_the_walk(water) == [109_200, 109_000, 6_480_000, 4_090_000]


def test_a_second_enter_confirms_and_escape_takes_back(site: Site, water: Application):
    page = site.sign_in("operator")
    page.goto(site.url + WALK)
    line, next_line = page.locator("[data-line]").nth(0), page.locator("[data-line]").nth(1)

    press(page, "190")
    expect(line).to_have_attribute("data-state", "warn")
    press(page, "", "Enter")
    expect(line).to_have_attribute("data-state", "ok")
    press(page, "5")
    expect(next_line).to_have_attribute("data-state", "refused")
    press(page, "", "Escape")

    expect(next_line.locator("[data-field]")).to_have_value("")
    assert read_on_the_walk(water) == [190_000]


def test_a_list_is_gone_on_with_where_it_was_left(site: Site, water: Application):
    page = site.sign_in("operator")
    page.goto(site.url + WALK)
    press(page, "109")
    expect(page.locator("[data-progress]")).to_have_text("1 из 5")

    page.reload()

    expect(page.locator("[data-line]").nth(1).locator("[data-field]")).to_be_focused()
    expect(page.locator("[data-field]").nth(0)).to_have_value("109")


def test_the_arrows_go_from_field_to_field_and_a_line_that_is_left_is_saved(
    site: Site, water: Application
):
    page = site.sign_in("operator")
    page.goto(site.url + WALK)

    press(page, "109", "ArrowDown")
    press(page, "", "ArrowDown")
    expect(page.locator("[data-field]").nth(2)).to_be_focused()
    press(page, "", "ArrowUp")

    expect(page.locator("[data-field]").nth(1)).to_be_focused()
    expect(page.locator("[data-progress]")).to_have_text("1 из 5")
    assert read_on_the_walk(water) == [109_000]


def test_without_a_connection_a_line_says_that_it_is_not_saved(site: Site, water: Application):
    page = site.sign_in("operator")
    page.goto(site.url + WALK)
    page.route("**/meters/**", lambda route: route.abort())
    line = page.locator("[data-line]").nth(0)

    press(page, "109")
    expect(line).to_contain_text("Не сохранено: нет связи")
    page.unroute("**/meters/**")
    line.locator("[data-field]").focus()
    page.keyboard.press("Enter")

    expect(line).to_have_attribute("data-state", "ok")
    assert read_on_the_walk(water) == [109_000]
    # The browser itself complains of the request that was cut off; our own scripts do not.
    site.complaints[:] = [one for one in site.complaints if "Failed to load" not in one]


def test_a_photograph_is_attached_and_shown(site: Site, water: Application, tmp_path: Path):
    picture = tmp_path / "meter.jpg"
    Image.new("RGB", (640, 480), "olive").save(picture)
    page = site.sign_in("operator")
    page.goto(site.url + WALK)
    line = page.locator("[data-line]").nth(0)

    line.locator(".kk-photo-input").set_input_files(picture)
    image = line.locator("[data-thumb] img")
    expect(image).to_be_visible()

    assert page.evaluate("image => image.decode().then(() => image.naturalWidth)",
                         image.element_handle()) == 160  # fmt: skip


def test_a_note_is_kept_with_the_outcome(site: Site, water: Application):
    page = site.sign_in("operator")
    page.goto(site.url + WALK)
    line = page.locator("[data-line]").nth(0)

    line.locator("[data-note]").fill("злая собака")
    line.get_by_role("button", name="Нет доступа").click()
    expect(line).to_have_attribute("data-state", "away")

    with water.database.reading() as session:
        visit = session.scalars(select(WalkRoundVisitRow)).one()
        assert (str(visit.outcome), visit.note) == ("no_access", "злая собака")


def test_a_resident_sees_what_is_wrong_while_typing(site: Site, water: Application):
    page = site.sign_in("resident")
    page.get_by_role("link", name="Показания", exact=True).click()
    field = page.locator("input.kk-dial")
    verdict = page.locator(".kk-register-verdict")

    field.fill("200")
    field.blur()
    expect(verdict).to_contain_text("при обычных примерно")
    field.fill("50")
    field.blur()
    expect(verdict).to_contain_text("Это меньше, чем 106")
    field.fill("108,4")
    field.blur()
    expect(verdict).to_have_text("+2,4 м³")
    page.get_by_role("button", name="Передать показания").click()

    expect(page.get_by_role("status").first).to_contain_text("Показания приняты")
    expect(page.locator("#readings tbody tr").first).to_contain_text("108,4")


@pytest.mark.parametrize(
    ("person", "path"), [("operator", WALK), ("resident", f"/account/{PREPAID}/readings")]
)
def test_a_phone_scrolls_in_one_direction_only(
    site: Site, water: Application, person: str, path: str
):
    page = site.sign_in(person)
    page.set_viewport_size({"width": 390, "height": 844})

    page.goto(site.url + path)

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
