"""The demo town's readings by hand: water meters, residents, walk-rounds."""

from datetime import UTC, date, datetime
from io import BytesIO

import pytest
from PIL import Image
from sqlalchemy import text

from kilokassa.app.settings import Settings
from kilokassa.app.wiring import Application
from kilokassa.core.clock import FixedClock
from kilokassa.demo.by_hand import FLATS, HOUSE, dial_picture, water_meters
from kilokassa.demo.population import town
from kilokassa.demo.town import ensure_demo


@pytest.fixture(scope="module")
def plan():
    return town(date(2026, 11, 24))


def test_the_flats_of_one_entrance_have_cold_and_hot_water(plan):
    meters = water_meters(plan)

    assert len(meters) == 2 * FLATS
    assert {meter.account.building_code for meter in meters} == {HOUSE}
    assert len({meter.serial for meter in meters}) == len(meters)


def test_a_household_uses_a_plausible_month_of_water(plan):
    for meter in water_meters(plan):
        used = meter.total_l(plan, date(2026, 7, 1)) - meter.total_l(plan, date(2026, 6, 1))
        assert 500 <= used <= 25_000, meter.serial


def test_a_later_day_leaves_what_was_counted_as_it_was(plan):
    later = water_meters(town(date(2026, 12, 24), first_month=plan.first_month))

    for before, after in zip(water_meters(plan), later, strict=True):
        assert before.serial == after.serial
        assert before.total_l(plan, date(2026, 11, 20)) == after.total_l(plan, date(2026, 11, 20))


def test_the_picture_of_a_dial_is_the_same_for_the_same_digits():
    assert dial_picture("00123,45") == dial_picture("00123,45")
    assert Image.open(BytesIO(dial_picture("00123,45"))).size == (640, 480)


QUERIES = {
    "rounds": "SELECT count(*) FROM walk_round WHERE closed_at IS NOT NULL",
    "photos": "SELECT count(*) FROM reading_photo",
    "away": "SELECT count(*) FROM walk_round_visit WHERE outcome = 'no_access'",
    "read": "SELECT count(*) FROM walk_round_visit WHERE outcome = 'read'",
    "submitted": "SELECT count(*) FROM register_reading WHERE source LIKE 'resident:demo:%'",
    "unlikely": "SELECT count(*) FROM finding WHERE kind = 'spike' AND state = 'open' "
    "AND channel_id IS NULL",
    "readings": "SELECT count(*) FROM register_reading",
    "windows": "SELECT count(*) FROM reading_window",
}


def lived(database, tmp_path, month: int, day: int) -> dict[str, int]:
    clock = FixedClock(datetime(2026, month, day, 9, tzinfo=UTC))
    settings = Settings.from_env({"KILOKASSA_VAR": str(tmp_path)})
    ensure_demo(Application(settings, database, clock))
    with database.reading() as session:
        return {name: session.scalar(text(query)) for name, query in QUERIES.items()}


@pytest.mark.slow
def test_residents_submit_and_somebody_walks_round_and_nothing_is_made_twice(
    sqlite_database, tmp_path
):
    founded = lived(sqlite_database, tmp_path, 11, 24)
    again = lived(sqlite_database, tmp_path, 11, 24)
    carried_on = lived(sqlite_database, tmp_path, 12, 22)

    assert again == founded
    assert (founded["rounds"], founded["photos"], founded["windows"]) == (2, 2, 1)
    assert founded["unlikely"] == 1
    assert 3 <= founded["away"] < founded["read"]
    assert carried_on["submitted"] > founded["submitted"] > 40
    assert carried_on["rounds"] == 2
