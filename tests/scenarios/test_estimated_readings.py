"""Months that nobody read a meter in: by average, by norm, and what a late reading puts right."""

from datetime import date

import pytest
from sqlalchemy import select

from billing.charges import used_estimates
from billing.law import ESTIMATE_NOT_APPLIED, ESTIMATE_UNCERTAIN
from billing.models import LineKind, PriceSplit
from kilokassa.app.closing import close_month
from kilokassa.app.estimating import MonthNotOver, run_estimates
from kilokassa.app.verification import verify_all
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.estimation.methods import EstimationMethod
from metering.estimation.store import list_estimates
from metering.meters.life import LifeEvent
from metering.meters.service import LifeEventOrder, record_life_event
from metering.models import BuildingRow
from metering.registry.places import LifeEventKind
from tests.scenarios.by_hand_town import NORM_WH, SCOPE, ZONE, ZONES, Town, tariff

TWO_ZONES = tariff("two_zone", [("2017-01-01", "{day: 6, night: 2}")], zones=ZONES)
DAY_AND_NIGHT = (Zone.DAY, Zone.NIGHT)


def read_half_a_year(town, point="P1", kwh_a_month=100):
    """Read a meter on the 24th of each month from January to June 2026 and close those months."""
    for number in range(1, 7):
        town.read(point, date(2026, number, 24), 1000 + kwh_a_month * number, hour=12)
        town.close(2026, number)


def assert_sound(town):
    at = local_midnight(date(2027, 6, 1), ZONE)
    assert verify_all(town.application(at)) == ()


@pytest.fixture
def town(database, tmp_path):
    return Town(database, tmp_path)


def test_three_months_are_by_average_and_the_fourth_by_norm(town):
    read_half_a_year(town)

    for number in (7, 8, 9, 10):
        town.close(2026, number)

    assert [town.billed_wh("P1", 2026, n) for n in (6, 7, 8, 9, 10)] == [
        100_000,
        100_000,
        100_000,
        100_000,
        2 * NORM_WH,
    ]
    (september,) = town.lines("P1", charged=(2026, 9))
    (october,) = town.lines("P1", charged=(2026, 10))
    assert (september.estimated, october.estimated) == (100_000, 2 * NORM_WH)
    (average,) = used_estimates(september.detail)
    (norm,) = used_estimates(october.detail)
    assert (average.method, average.months, average.article, average.certain) == (
        EstimationMethod.OWN_AVERAGE,
        6,
        "п. 59",
        True,
    )
    assert (norm.method, norm.article) == (EstimationMethod.NORM, "п. 60")
    assert_sound(town)


def test_a_real_reading_replaces_the_estimates_between_by_days_and_corrects_each_month(town):
    read_half_a_year(town)
    for number in (7, 8, 9):
        town.close(2026, number)
    town.read("P1", date(2026, 10, 24), 1600 + 122, hour=12)

    report = town.close(2026, 10)

    # 24 June to 24 October: 122 days, a kWh a day: to 1 August 38, 31, 30, and 23 days of October.
    assert [town.billed_wh("P1", 2026, n) for n in (7, 8, 9, 10)] == [
        38_000,
        31_000,
        30_000,
        23_000,
    ]
    assert town.corrections("P1", 2026, 10) == [
        ("2026-07", 38_000),
        ("2026-08", 31_000),
        ("2026-09", 30_000),
    ]
    assert town.billed_wh("P1") == 1722_000 - 1000_000
    assert town.billed_minor("P1") == 722 * 5_00
    assert report.corrected == 1
    assert_sound(town)


def test_a_real_reading_below_the_estimates_never_makes_a_period_negative(town):
    read_half_a_year(town)
    for number in (7, 8, 9):
        town.close(2026, number)
    town.read("P1", date(2026, 10, 24), 1610, hour=12)

    town.close(2026, 10)

    months = [town.billed_wh("P1", 2026, n) for n in (7, 8, 9, 10)]
    assert min(months) >= 0
    assert sum(months) == 10_000
    assert town.billed_wh("P1") == 610_000
    assert_sound(town)


def test_a_corrected_month_is_corrected_once(town):
    test_a_real_reading_replaces_the_estimates_between_by_days_and_corrects_each_month(town)

    again = close_month(
        town.application(local_midnight(date(2026, 11, 5), ZONE)),
        Month(2026, 10),
        scope=SCOPE,
        tell=False,
    )
    town.read("P1", date(2026, 11, 24), 1722 + 31, hour=12)
    following = town.close(2026, 11)

    assert (again.corrected, again.lines) == (0, 0)
    assert (following.corrected, town.billed_wh("P1", 2026, 11)) == (0, 31_000)


def test_replaced_estimates_are_kept_and_say_when(town):
    test_a_real_reading_replaces_the_estimates_between_by_days_and_corrects_each_month(town)

    with town.database.reading() as session:
        found = list_estimates(session, SCOPE, replaced=True)

    replaced = [one.estimate for one in found if one.estimate.replaced_at is not None]
    standing = [one.estimate for one in found if one.estimate.replaced_at is None]
    assert [one.method for one in replaced] == [EstimationMethod.OWN_AVERAGE] * 3
    assert [one.method for one in standing] == [EstimationMethod.INTERPOLATION] * 3
    assert {one.replaced_at for one in replaced} == {local_midnight(date(2026, 11, 3), ZONE)}
    assert [one.quantity for one in standing] == [38_000, 31_000, 30_000]


def test_a_second_late_reading_settles_the_months_anew(town):
    read_half_a_year(town)
    for number in (7, 8, 9):
        town.close(2026, number)
    town.read("P1", date(2026, 10, 24), 1722, hour=12)
    town.close(2026, 10)
    # Somebody finds what was read on the first of September: 80 of the 122 kWh were before it.
    town.read("P1", date(2026, 9, 1), 1680, came=date(2026, 11, 10))
    town.read("P1", date(2026, 11, 24), 1750, hour=12)

    town.close(2026, 11)

    # 80 kWh over 38 and 31 days; 42 kWh over 30 and 23.
    assert [town.billed_wh("P1", 2026, n) for n in (7, 8, 9, 10, 11)] == [
        44_058,
        35_942,
        23_774,
        18_226,
        28_000,
    ]
    assert town.billed_wh("P1") == 750_000
    assert_sound(town)


def test_a_reading_that_came_after_the_close_of_its_own_month_takes_the_estimates_place(town):
    read_half_a_year(town)
    town.close(2026, 7)
    town.read("P1", date(2026, 7, 25), 1700 - 10, hour=12, came=date(2026, 8, 9))
    town.read("P1", date(2026, 8, 24), 1760, hour=12)

    town.close(2026, 8)

    assert [town.billed_wh("P1", 2026, n) for n in (7, 8)] == [90_000, 70_000]
    assert town.corrections("P1", 2026, 8) == [("2026-07", 90_000)]
    assert date(2026, 8, 1) not in [day for day, _, _ in town.shown("P1")]
    assert_sound(town)


def test_estimates_go_on_from_a_late_reading_that_lies_before_them(town):
    read_half_a_year(town)
    for number in (7, 8):
        town.close(2026, number)
    town.read("P1", date(2026, 7, 25), 1650, hour=12, came=date(2026, 9, 10))

    town.close(2026, 9)

    # July as read; August keeps its estimate, from where July ended; September is the average of
    # five months of 100 kWh and one of 50.
    assert [town.billed_wh("P1", 2026, n) for n in (7, 8, 9)] == [50_000, 100_000, 91_667]
    assert town.shown("P1")[-2:] == [
        (date(2026, 9, 1), 1750.0, Quality.ESTIMATED),
        (date(2026, 10, 1), 1841.667, Quality.ESTIMATED),
    ]


def test_the_same_run_again_changes_nothing(town):
    read_half_a_year(town)
    at = town.application(local_midnight(date(2026, 8, 2), ZONE))

    first = run_estimates(at, Month(2026, 7), scope=SCOPE)
    second = run_estimates(at, Month(2026, 7), scope=SCOPE)

    assert (first.registers, first.quantity_wh) == (1, 100_000)
    assert (second.registers, second.replaced, second.left) == (0, 0, ())


def test_a_month_that_still_runs_is_not_estimated(town):
    with pytest.raises(MonthNotOver, match="2026-08-01"):
        run_estimates(
            town.application(local_midnight(date(2026, 7, 31), ZONE)), Month(2026, 7), scope=SCOPE
        )


@pytest.mark.parametrize(
    ("months_read", "kwh", "method"),
    [
        (2, 2 * 77, EstimationMethod.NORM),
        (3, 100, EstimationMethod.OWN_AVERAGE),
        (5, 100, EstimationMethod.OWN_AVERAGE),
    ],
)
def test_a_short_past_of_three_months_is_enough_and_less_means_the_norm(
    town, months_read, kwh, method
):
    for number in range(1, months_read + 1):
        town.read("P1", date(2026, number, 24), 1000 + 100 * number, hour=12)
        town.close(2026, number)

    town.close(2026, months_read + 1)

    assert town.billed_wh("P1", 2026, months_read + 1) == kwh * 1000
    (line,) = town.lines("P1", charged=(2026, months_read + 1))
    assert used_estimates(line.detail)[0].method is method


def test_a_house_without_norms_is_charged_by_its_measured_flats_with_a_warning(database, tmp_path):
    town = Town(database, tmp_path, flats=3, norm=False)
    for point, kwh in (("P1", 60), ("P2", 91)):
        town.read(point, date(2026, 1, 24), 1000 + kwh, hour=12)

    report = town.close(2026, 1)

    assert town.billed_wh("P3", 2026, 1) == 75_500
    assert [message for _, message in report.warnings] == [ESTIMATE_UNCERTAIN]


def test_where_no_rule_has_what_it_needs_nothing_is_charged_and_the_bill_says_so(
    database, tmp_path
):
    town = Town(database, tmp_path, norm=False)

    report = town.close(2026, 1)

    assert town.lines("P1") == []
    assert [message for _, message in report.warnings] == [ESTIMATE_NOT_APPLIED]


def test_registers_of_two_zones_are_estimated_each_by_its_own_average(database, tmp_path):
    town = Town(database, tmp_path, plan=TWO_ZONES, registers=DAY_AND_NIGHT)
    for number in range(1, 4):
        town.read(
            "P1",
            date(2026, number, 24),
            {Zone.DAY: 1000 + 70 * number, Zone.NIGHT: 1000 + 31 * number},
            hour=12,
        )
        town.close(2026, number)

    for number in (4, 5, 6, 7):
        town.close(2026, number)

    def by_zone(number):
        return {
            line.line_key.split("/")[0]: line.quantity
            for line in town.lines("P1", charged=(2026, number))
        }

    assert by_zone(4) == by_zone(6) == {"day": 70_000, "night": 31_000}
    # By norm: 154 kWh in the proportion 70 to 31.
    assert by_zone(7) == {"day": 106_733, "night": 47_267}
    assert_sound(town)


def test_a_register_that_rolls_over_in_an_estimate_goes_on(database, tmp_path):
    town = Town(database, tmp_path, digits=4, opening_kwh=9650)
    for number in range(1, 4):
        town.read("P1", date(2026, number, 24), 9650 + 100 * number, hour=12)
        town.close(2026, number)

    town.close(2026, 4)
    town.read("P1", date(2026, 5, 24), 60, hour=12)
    town.close(2026, 5)

    assert town.shown("P1")[-2][1] < 100
    assert town.billed_wh("P1") == 410_000
    assert sum(town.billed_wh("P1", 2026, n) for n in (4, 5)) == 110_000


def test_a_multiplier_holds_for_what_is_estimated_too(database, tmp_path):
    town = Town(database, tmp_path, multiplier=20)
    for number in range(1, 4):
        town.read("P1", date(2026, number, 24), 1000 + 5 * number, hour=12)
        town.close(2026, number)

    for number in range(4, 8):
        town.close(2026, number)

    months = [town.billed_wh("P1", 2026, n) for n in range(3, 8)]
    assert months == [100_000, 100_000, 100_000, 100_000, 2 * NORM_WH]


def test_s1_a_verification_that_expired_on_2_october_2017_means_the_norm_from_1_february_2018(
    database, tmp_path
):
    town = Town(database, tmp_path, opened_on=date(2017, 1, 1), verified_until=date(2017, 10, 2))
    for number in range(1, 13):
        # The meter goes on being read, but from 3 October on what it shows does not count.
        town.read("P1", date(2017, number, 24), 1000 + 100 * number, hour=12)

    months = [(2017, n) for n in range(9, 13)] + [(2018, n) for n in (1, 2, 3)]
    for month in months:
        town.estimate(*month)

    found = {}
    for month in months:
        (line,) = town.rated("P1", *month)
        methods = [str(one.method) for one in used_estimates(line.detail)]
        found[month] = (line.quantity, line.estimated, methods)
    average = (100_000, 100_000, ["own_average"])
    norm = (2 * NORM_WH, 2 * NORM_WH, ["norm"])
    assert found == {
        (2017, 9): (100_000, 0, []),
        (2017, 10): average,
        (2017, 11): average,
        (2017, 12): average,
        (2018, 1): average,
        (2018, 2): norm,
        (2018, 3): norm,
    }


def test_a_meter_verified_late_is_believed_from_that_day_and_not_for_the_time_between(
    database, tmp_path
):
    town = Town(database, tmp_path, opened_on=date(2025, 1, 1), verified_until=date(2025, 10, 2))
    for number in range(1, 12):
        town.read("P1", date(2025, number, 24), 1000 + 100 * number, hour=12)
        town.close(2025, number)
    with town.database.writing() as session:
        record_life_event(
            session,
            LifeEventOrder(
                SCOPE,
                "P1",
                "SP1",
                LifeEvent(LifeEventKind.VERIFIED, date(2025, 12, 11), date(2041, 12, 10)),
            ),
            FixedClock(local_midnight(date(2025, 12, 12), ZONE)),
        )
    town.read("P1", date(2025, 12, 11), 5000, hour=9)
    town.read("P1", date(2025, 12, 24), 5042, hour=12)

    town.close(2025, 12)
    town.read("P1", date(2026, 1, 24), 5142, hour=12)
    town.close(2026, 1)

    # December: 10 days of 31 by average before the verification, 42 kWh as measured since.
    assert town.billed_wh("P1", 2025, 11) == 100_000
    assert town.billed_wh("P1", 2025, 12) == 32_258 + 42_000
    assert town.billed_wh("P1", 2026, 1) == 100_000
    assert town.corrections("P1", 2025, 12) == []


def test_a_flat_without_a_meter_is_charged_by_norm_and_a_half_with_a_warning(database, tmp_path):
    town = Town(database, tmp_path, meters=False)

    report = town.close(2026, 1)
    town.close(2026, 2)

    assert [town.billed_wh("P1", 2026, n) for n in (1, 2)] == [3 * NORM_WH] * 2
    assert [message for _, message in report.warnings] == [ESTIMATE_UNCERTAIN]
    (line,) = town.lines("P1", charged=(2026, 1))
    assert (line.estimated, line.kind) == (3 * NORM_WH, LineKind.ORIGINAL)


# --- differences of registers ---


def test_multiplier_and_losses_of_the_channel_are_charged_with_registers(database, tmp_path):
    town = Town(database, tmp_path, multiplier=20, loss_ppm=15_000)
    town.read("P1", date(2026, 1, 10), 1003, hour=12)
    town.read("P1", date(2026, 1, 24), 1007, hour=12)

    town.close(2026, 1)

    # 7 kWh x 20 = 140 kWh, and 1.5 % of losses on all of it.
    assert town.billed_wh("P1", 2026, 1) == 142_100


PRICES = [("2017-01-01", 5), ("2026-02-11", 6)]


@pytest.mark.parametrize(
    ("split", "fixing", "at_5", "at_6"),
    [
        # 24 January to 24 February, 31 days: 18 before the change of price and 13 after it.
        (PriceSplit.READING, None, 36_000, 26_000),
        (PriceSplit.READING, 1090, 40_000, 22_000),
        (PriceSplit.DAYS, 1090, 36_000, 26_000),
        (PriceSplit.DAYS, None, 36_000, 26_000),
    ],
)
def test_a_price_change_is_told_apart_by_a_fixing_reading_or_by_days(
    database, tmp_path, split, fixing, at_5, at_6
):
    town = Town(database, tmp_path, plan=tariff("single", PRICES), price_split=split)
    town.read("P1", date(2026, 1, 24), 1050, hour=12)
    town.close(2026, 1)
    if fixing is not None:
        town.read("P1", date(2026, 2, 11), fixing)
    town.read("P1", date(2026, 2, 24), 1112, hour=12)

    town.close(2026, 2)

    lines = town.lines("P1", charged=(2026, 2))
    assert {line.rate_scaled // 1_000_000: line.quantity for line in lines} == {5: at_5, 6: at_6}
    assert sum(line.amount_minor for line in lines) == at_5 * 5 // 10 + at_6 * 6 // 10


def test_two_meters_of_a_month_are_one_line_rounded_once(database, tmp_path):
    from metering.registry.places import Meter, MeterReplacement
    from metering.service import replace_meter

    town = Town(database, tmp_path, plan=tariff("single", [("2017-01-01", "5.005")]))
    town.read("P1", date(2026, 1, 24), 1001, hour=12)
    town.close(2026, 1)
    at = local_midnight(date(2026, 2, 10), ZONE)
    with town.database.writing() as session:
        town.meters["P1"] = replace_meter(
            session,
            MeterReplacement(
                removed_serial="SP1",
                meter=Meter("P1", "SP2", date(2026, 2, 10)),
                at=at,
                final_values={Zone.ALL: 1002_000},
                first_values={Zone.ALL: 7_000},
            ),
            FixedClock(at),
        )
    town.read("P1", date(2026, 2, 24), 8, hour=12)

    town.close(2026, 2)

    # 1 kWh by each meter: 2 x 5.005 = 10.01, where two lines would have been 5.01 each.
    (line,) = town.lines("P1", charged=(2026, 2))
    assert (line.quantity, line.amount_minor) == (2_000, 10_01)


def test_a_late_reading_corrects_the_month_after_it_as_well(town):
    town.read("P1", date(2026, 1, 24), 1100, hour=12)
    town.close(2026, 1)
    town.read("P1", date(2026, 2, 24), 1200, hour=12)
    town.close(2026, 2)
    # The January reading was misread by ten: February used ten more than was charged.
    town.read("P1", date(2026, 1, 24), 1090, hour=12, came=date(2026, 3, 10))
    town.read("P1", date(2026, 3, 24), 1300, hour=12)

    town.close(2026, 3)

    assert [town.billed_wh("P1", 2026, n) for n in (1, 2, 3)] == [90_000, 110_000, 100_000]
    assert town.billed_wh("P1") == 300_000


def visit(town, day, outcome):
    from metering.models import WalkRoundRow, WalkRoundVisitRow

    at = local_midnight(day, ZONE)
    with town.database.writing() as session:
        building_id = session.scalar(select(BuildingRow.id))
        walk = WalkRoundRow(building_id=building_id, taken_on=day, actor="test", opened_at=at)
        session.add(walk)
        session.flush()
        session.add(
            WalkRoundVisitRow(
                walk_round_id=walk.id,
                meter_id=town.meters["P1"],
                outcome=outcome,
                actor="test",
                recorded_at=at,
            )
        )


@pytest.mark.parametrize(
    ("visits", "wh"),
    [
        ([], 100_000),
        ([(date(2026, 7, 24), "no_access")], 100_000),
        # Twice nobody was let in: the norm and a half, without any period by average.
        ([(date(2026, 6, 25), "no_access"), (date(2026, 7, 24), "no_access")], 3 * NORM_WH),
        ([(date(2026, 6, 25), "broken"), (date(2026, 7, 24), "no_access")], 100_000),
        # Visits before the meter was last read count no more.
        ([(date(2026, 5, 25), "no_access"), (date(2026, 7, 24), "no_access")], 100_000),
    ],
)
def test_two_visits_without_access_mean_the_norm_and_a_half_at_once(town, visits, wh):
    read_half_a_year(town)
    for day, outcome in visits:
        visit(town, day, outcome)

    town.close(2026, 7)

    assert town.billed_wh("P1", 2026, 7) == wh


def test_the_printed_line_says_how_the_quantity_came_about(town):
    read_half_a_year(town)
    for number in (7, 8, 9, 10):
        town.close(2026, number)

    details = {month: town.printed("P1", *month) for month in ((2026, 6), (2026, 9), (2026, 10))}

    assert details == {
        (2026, 6): ["24.05.2026 – 24.06.2026"],
        (2026, 9): ["расчётно: среднемесячный расход за 6 мес., п.\u00a059"],
        (2026, 10): ["расчётно: по нормативу потребления, п.\u00a060"],
    }


def test_what_a_reading_settled_says_so_on_the_recalculation(town):
    read_half_a_year(town)
    town.close(2026, 7)
    town.read("P1", date(2026, 8, 24), 1661, hour=12)

    town.close(2026, 8)

    printed = town.printed("P1", 2026, 8)
    assert printed[-1].endswith("расчётно: интерполяция между известными показаниями")
