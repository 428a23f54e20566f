"""Gaps of interval meters: filled before the month is closed, and replaced by what comes later."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from billing.charges import used_estimates
from billing.law import ESTIMATE_UNCERTAIN
from billing.month.charging import INTERVALS_MISSING
from kilokassa.app.estimating import run_estimates
from kilokassa.app.verification import verify_all
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.days import whole_days
from metering.estimation.methods import EstimationMethod
from metering.estimation.store import list_estimates
from metering.meters.life import LifeEvent
from metering.meters.service import LifeEventOrder, record_life_event
from metering.registers import RegisterReading
from metering.registry.places import LifeEventKind
from metering.store import load_day_revisions, load_matrix, write_days, write_registers
from tests.scenarios.by_hand_town import NORM_WH, SCOPE, ZONE, Town

MARCH = Month(2026, 3)
IN_APRIL = FixedClock(local_midnight(date(2026, 4, 2), ZONE))


@pytest.fixture
def town(database, tmp_path):
    return Town(database, tmp_path, interval_min=30, opened_on=date(2026, 1, 1))


def usual_wh(day, place):
    """Return what a half hour uses: more by day, and more on Sundays."""
    return (300 if place >= 14 else 100) + (50 if day.weekday() == 6 else 0) + place


def store(town, first, last, *, without=(), clock=IN_APRIL, change=0):
    """Store days as measured, but for some half hours: pairs of a day and a slice."""
    days = [first + timedelta(days=n) for n in range((last - first).days)]
    energy = np.array([[usual_wh(day, n) + change for n in range(48)] for day in days])
    quality = np.full(energy.shape, Quality.ACTUAL, np.uint8)
    for day, part in without:
        quality[days.index(day), part] = Quality.MISSING
    block = whole_days(30, [town.channels["P1"]] * len(days), days, energy, quality)
    with town.database.writing() as session:
        write_days(session, [block], clock, source="test")


def estimate(town, month=MARCH):
    return run_estimates(town.application(IN_APRIL.at), month, scope=SCOPE)


def day_wh(town, day):
    with town.database.reading() as session:
        matrix = load_matrix(session, [town.channels["P1"]], [day], ZONE, 30)
    return matrix.energy_wh[0].tolist(), matrix.quality[0].tolist()


def estimates(town, *, replaced=False):
    with town.database.reading() as session:
        return [one.estimate for one in list_estimates(session, SCOPE, replaced=replaced)]


def test_a_gap_of_two_hours_is_a_straight_line_and_nothing_else_is_touched(town):
    day = date(2026, 3, 18)
    store(town, date(2026, 2, 1), date(2026, 4, 1), without=[(day, slice(20, 24))])

    report = estimate(town)

    energy, quality = day_wh(town, day)
    # From 319 at 9:30 to 324 at 12:00 in five steps.
    assert energy == [usual_wh(day, n) for n in range(48)]
    assert quality == [1] * 20 + [2] * 4 + [1] * 24
    (found,) = estimates(town)
    assert (found.method, found.quantity) == (EstimationMethod.INTERPOLATION, 1286)
    assert (report.gaps, report.quantity_wh, report.left) == (1, 1286, ())


def test_a_gap_over_midnight_of_the_months_last_day_uses_the_next_month(town):
    day = date(2026, 3, 31)
    store(town, date(2026, 2, 1), date(2026, 4, 2), without=[(day, slice(46, 48))])

    estimate(town)

    energy, _ = day_wh(town, day)
    # 345 at 22:30, 100 at 0:00 of 1 April: a third of the way, two thirds of it.
    assert energy[45:48] == [345, 263, 182]


def test_a_day_without_values_is_as_like_days_were(town):
    sunday = date(2026, 3, 22)
    store(town, date(2026, 2, 1), date(2026, 4, 1), without=[(sunday, slice(0, 48))])

    estimate(town)

    energy, quality = day_wh(town, sunday)
    assert energy == [usual_wh(sunday, n) for n in range(48)]
    assert set(quality) == {int(Quality.ESTIMATED)}
    (found,) = estimates(town)
    assert found.method is EstimationMethod.LIKE_DAY
    # 8 March is a holiday and a Sunday, so like it; four weeks back there are four Sundays.
    assert found.basis["like"]["2026-03-22"] == [
        "2026-03-15",
        "2026-03-08",
        "2026-03-01",
        "2026-02-22",
    ]


def test_what_two_register_readings_enclose_is_filled_to_the_watt_hour(town):
    day = date(2026, 3, 18)
    store(town, date(2026, 2, 1), date(2026, 4, 1), without=[(day, slice(20, 24))])
    first, last = date(2026, 3, 18), date(2026, 3, 19)
    known_wh = sum(usual_wh(day, n) for n in range(48) if not 20 <= n < 24)
    readings = [
        RegisterReading(town.meters["P1"], Zone.ALL, local_midnight(on, ZONE), value)
        for on, value in ((first, 5_000_000), (last, 5_000_000 + known_wh + 2_001))
    ]
    with town.database.writing() as session:
        write_registers(session, readings, IN_APRIL, source="test")

    estimate(town)

    (found,) = estimates(town)
    energy, _ = day_wh(town, day)
    assert found.method is EstimationMethod.INTERPOLATION
    assert sum(energy[20:24]) == found.quantity == 2_001
    assert found.basis["register_wh"] == 2_001


def test_a_long_gap_between_register_readings_is_spread_by_the_profile(town):
    gap = [(date(2026, 3, d), slice(0, 48)) for d in range(10, 20)]
    store(town, date(2026, 2, 1), date(2026, 4, 1), without=gap)
    readings = [
        RegisterReading(town.meters["P1"], Zone.ALL, local_midnight(on, ZONE), value)
        for on, value in ((date(2026, 3, 10), 5_000_000), (date(2026, 3, 20), 5_077_777))
    ]
    with town.database.writing() as session:
        write_registers(session, readings, IN_APRIL, source="test")

    estimate(town)

    (found,) = estimates(town)
    assert (found.method, found.quantity) == (EstimationMethod.STANDARD_PROFILE, 77_777)
    assert set(day_wh(town, date(2026, 3, 12))[1]) == {int(Quality.ESTIMATED)}


def test_a_month_without_values_is_the_average_of_the_months_before_it(town):
    store(town, date(2025, 9, 1), date(2026, 3, 1), clock=IN_APRIL)

    estimate(town)

    (found,) = estimates(town)
    days = [date(2025, 9, 1) + timedelta(days=n) for n in range(181)]
    measured = sum(usual_wh(day, n) for day in days for n in range(48))
    assert found.method is EstimationMethod.OWN_AVERAGE
    assert found.basis["measured"] == measured
    # By half hours: 31 days of 181.
    assert found.quantity == (2 * measured * 31 + 181) // (2 * 181)


def test_from_the_fourth_month_without_values_the_norm_holds(town):
    store(town, date(2025, 9, 1), date(2026, 3, 1), clock=IN_APRIL)

    for number in (3, 4, 5, 6):
        at = local_midnight(date(2026, number + 1, 2), ZONE)
        run_estimates(town.application(at), Month(2026, number), scope=SCOPE)

    found = estimates(town)
    assert [one.method for one in found] == [EstimationMethod.OWN_AVERAGE] * 3 + [
        EstimationMethod.NORM
    ]
    assert found[-1].quantity == 2 * NORM_WH
    # What was estimated is no past to take an average of.
    assert len({one.basis["measured"] for one in found[:3]}) == 1


def test_the_close_fills_what_is_missing_and_the_bill_names_the_method(town):
    day = date(2026, 3, 22)
    store(town, date(2026, 2, 1), date(2026, 4, 1), without=[(day, slice(0, 48))])

    report = town.close(2026, 3)

    (line,) = town.lines("P1", charged=(2026, 3))
    assert line.quantity == sum(usual_wh(d, n) for d in MARCH.days for n in range(48))
    assert line.estimated == sum(usual_wh(day, n) for n in range(48))
    assert [one.method for one in used_estimates(line.detail)] == [EstimationMethod.LIKE_DAY]
    assert [message for _, message in report.warnings] == [ESTIMATE_UNCERTAIN]


def test_real_values_that_come_later_replace_the_estimate_and_correct_the_month_once(town):
    day = date(2026, 3, 22)
    store(town, date(2026, 2, 1), date(2026, 5, 1), without=[(day, slice(0, 48))])
    town.close(2026, 3)
    late = FixedClock(local_midnight(date(2026, 4, 20), ZONE))
    store(town, day, day + timedelta(days=1), clock=late, change=10)

    report = town.close(2026, 4)
    again = town.close(2026, 4)

    assert (report.corrected, again.corrected) == (1, 0)
    assert town.corrections("P1", 2026, 4) == [
        ("2026-03", sum(usual_wh(d, n) for d in MARCH.days for n in range(48)) + 480)
    ]
    assert estimates(town) == []
    assert [one.replaced_at is not None for one in estimates(town, replaced=True)] == [True]
    with town.database.reading() as session:
        states = load_day_revisions(session, town.channels["P1"], day)
    assert [state.quality[0, 0] for state in states] == [Quality.ESTIMATED, Quality.ACTUAL]
    at = local_midnight(date(2026, 6, 1), ZONE)
    assert verify_all(town.application(at)) == ()


def test_the_same_run_again_changes_nothing(town):
    gaps = [(date(2026, 3, 18), slice(20, 24)), (date(2026, 3, 22), slice(0, 48))]
    store(town, date(2026, 2, 1), date(2026, 4, 1), without=gaps)

    first, second = estimate(town), estimate(town)

    assert (first.gaps, second.gaps, second.replaced) == (2, 0, 0)


def test_a_channel_that_never_told_anything_is_not_estimated(town):
    report = town.close(2026, 3)

    assert estimates(town) == []
    assert [message for _, message in report.warnings] == [INTERVALS_MISSING]


def test_days_before_an_account_opened_are_not_filled(database, tmp_path):
    town = Town(database, tmp_path, interval_min=30, opened_on=date(2026, 3, 10))
    store(town, date(2026, 3, 10), date(2026, 4, 1), without=[(date(2026, 3, 25), slice(4, 6))])

    report = estimate(town)

    assert report.gaps == 1
    assert day_wh(town, date(2026, 3, 9))[1] == [0] * 48


def test_a_day_of_23_hours_is_filled_by_its_own_length(database, tmp_path):
    from zoneinfo import ZoneInfo

    from tests.scenarios import by_hand_town

    zone = ZoneInfo("America/New_York")
    town = Town(database, tmp_path, interval_min=30, zone=zone)
    days = [date(2026, 3, 1) + timedelta(days=n) for n in range(32)]
    for length in (46, 48):
        of_length = [d for d in days if (d == date(2026, 3, 8)) == (length == 46)]
        energy = np.full((len(of_length), length), 100)
        quality = np.full(energy.shape, Quality.ACTUAL, np.uint8)
        if length == 46:
            quality[0, 2:6] = Quality.MISSING
        block = whole_days(30, [town.channels["P1"]] * len(of_length), of_length, energy, quality)
        with database.writing() as session:
            write_days(session, [block], IN_APRIL, source="test")

    report = run_estimates(town.application(IN_APRIL.at), MARCH, scope=by_hand_town.SCOPE)

    assert (report.gaps, report.quantity_wh) == (1, 400)
    (found,) = estimates(town)
    assert found.period.start == datetime(2026, 3, 8, 6, tzinfo=UTC)


# --- a verification that ran out ---


@pytest.fixture
def expiring(database, tmp_path):
    """A town whose meter was verified until 21 February, and goes on measuring."""
    town = Town(
        database,
        tmp_path,
        interval_min=30,
        opened_on=date(2025, 10, 1),
        verified_until=date(2026, 2, 21),
    )
    store(town, date(2025, 10, 1), date(2026, 7, 1))
    return town


def measured_wh(first, last):
    days = [first + timedelta(days=n) for n in range((last - first).days)]
    return sum(usual_wh(day, n) for day in days for n in range(48))


def test_what_is_measured_after_an_expired_verification_does_not_count(expiring):
    for number in (1, 2, 3, 4, 5, 6):
        expiring.close(2026, number)

    # Four months were measured while the verification held: October to January.
    months = measured_wh(date(2025, 10, 1), date(2026, 2, 1))
    average = (2 * months + 4) // 8
    until_expiry = measured_wh(date(2026, 2, 1), date(2026, 2, 22))
    seven_days = (2 * months * 7 + 4 * 28) // (2 * 4 * 28)
    billed = [expiring.billed_wh("P1", 2026, n) for n in (1, 2, 3, 4, 5, 6)]
    assert billed == [
        measured_wh(date(2026, 1, 1), date(2026, 2, 1)),
        until_expiry + seven_days,
        average,
        average,
        average,
        2 * NORM_WH,
    ]
    (june,) = expiring.lines("P1", charged=(2026, 6))
    assert june.estimated == june.quantity
    assert used_estimates(june.detail)[0].method is EstimationMethod.NORM


def test_what_was_measured_stays_stored_as_it_was(expiring):
    expiring.close(2026, 3)

    energy, quality = day_wh(expiring, date(2026, 3, 18))

    assert energy == [usual_wh(date(2026, 3, 18), n) for n in range(48)]
    assert set(quality) == {int(Quality.ACTUAL)}


def test_a_verification_that_turns_out_to_have_been_made_in_time_is_made_good(expiring):
    expiring.close(2026, 3)
    with expiring.database.writing() as session:
        record_life_event(
            session,
            LifeEventOrder(
                SCOPE,
                "P1",
                "SP1",
                LifeEvent(LifeEventKind.VERIFIED, date(2026, 2, 20), date(2042, 2, 19)),
            ),
            FixedClock(local_midnight(date(2026, 4, 20), ZONE)),
        )

    report = expiring.close(2026, 4)
    again = expiring.close(2026, 4)

    march = measured_wh(date(2026, 3, 1), date(2026, 4, 1))
    assert expiring.corrections("P1", 2026, 4) == [("2026-03", march)]
    assert (report.corrected, again.corrected) == (1, 0)
    assert expiring.billed_wh("P1", 2026, 4) == measured_wh(date(2026, 4, 1), date(2026, 5, 1))
