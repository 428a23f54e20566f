"""Whatever order readings and closes come in, accounts end at the same bill."""

from datetime import date

from kilokassa.core.calendar import local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.series import Quality
from metering.registry.places import Meter
from metering.registry.service import PlacesOrder, register_places
from tests.scenarios.by_hand_town import ZONE, Town


def test_a_reading_put_right_back_and_right_again_is_corrected_each_time(database, tmp_path):
    town = Town(database, tmp_path)
    town.read("P1", date(2026, 1, 24), 1100, hour=12)
    town.close(2026, 1)
    found = []

    for number, kwh in ((2, 1090), (3, 1100), (4, 1090)):
        town.read("P1", date(2026, 1, 24), kwh, hour=12, came=date(2026, number, 10))
        town.read("P1", date(2026, number, 24), 1000 + 100 * number, hour=12)
        town.close(2026, number)
        found.append((town.billed_wh("P1", 2026, 1), town.billed_wh("P1")))

    assert found == [(90_000, 200_000), (100_000, 300_000), (90_000, 400_000)]


def test_estimating_again_changes_nothing_where_later_readings_are_known_already(
    database, tmp_path
):
    town = Town(database, tmp_path)
    for number in range(1, 7):
        town.read("P1", date(2026, number, 24), 1000 + 100 * number, hour=12)
        town.close(2026, number)
    town.read("P1", date(2026, 8, 1), 1610, hour=12)

    first = town.estimate(2026, 7)
    shown = town.shown("P1")
    again = town.estimate(2026, 7)

    assert (first.registers, again.registers, again.replaced) == (1, 0, 0)
    assert town.shown("P1") == shown
    assert shown[-2][2] is Quality.ESTIMATED


def test_a_meter_registered_late_takes_the_place_of_the_norm_without_a_meter(database, tmp_path):
    town = Town(database, tmp_path, meters=False)
    town.close(2026, 1)
    with database.writing() as session:
        registered = register_places(
            session,
            PlacesOrder(meters=(Meter("P1", "SP1", date(2026, 1, 1)),)),
            FixedClock(local_midnight(date(2026, 2, 10), ZONE)),
        )
    town.meters["P1"] = registered.meter_ids["P1", "SP1"]
    town.read("P1", date(2026, 1, 1), 1000, came=date(2026, 2, 10))
    town.read("P1", date(2026, 1, 24), 1050, hour=12, came=date(2026, 2, 10))
    town.read("P1", date(2026, 2, 24), 1100, hour=12)

    report = town.close(2026, 2)

    assert [town.billed_wh("P1", 2026, n) for n in (1, 2)] == [50_000, 50_000]
    assert report.corrected == 1
