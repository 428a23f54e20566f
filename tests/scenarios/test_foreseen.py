"""What is foretold of an account whose use never changes is what then comes, to the kopeck."""

from datetime import date, timedelta

from billing.models import Settlement
from kilokassa.app.overview import account_overview
from kilokassa.app.running import rate_running_months
from kilokassa.core.calendar import local_midnight
from tests.scenarios.by_hand_town import SCOPE, ZONE
from tests.scenarios.plans_town import TWO_ZONES, PlansTown
from tests.wallet.builders import order
from wallet.service import top_up

FIRST, LAST = date(2026, 10, 1), date(2026, 10, 15)
"""The 14 days that are measured, before the second: 500 Wh an hour, 16 h at 6 and 8 h at 2."""

A_DAY_MINOR = 16 * 5 * 60 + 8 * 5 * 20
"""0.5 kWh an hour: 48.00 by day, 8.00 at night."""


def at(day, hour=0):
    return local_midnight(day, ZONE) + timedelta(hours=hour)


def measured_flat(database, folder, money_minor):
    flat = PlansTown(database, folder, TWO_ZONES)
    flat.has_plan("two_zone", FIRST, settlement=Settlement.PREPAID)
    flat.uses(FIRST, LAST, 500)
    with database.writing() as session:
        paid = order(flat.account, money_minor, valid_at=at(FIRST))
        top_up(session, paid, flat.application(at(FIRST)).clock)
    rate_running_months(flat.application(at(LAST, 1)))
    return flat


def seen(flat, now):
    with flat.database.reading() as session:
        return account_overview(session, SCOPE, flat.account, now)


def test_the_time_since_the_last_reading_is_estimated_hour_by_hour(database, tmp_path):
    flat = measured_flat(database, tmp_path, 2_000_00)

    view = seen(flat, at(LAST + timedelta(days=1), 9))

    # A whole day, then seven hours of the night and two of the day.
    assert view.balance.estimated_minor == A_DAY_MINOR + 7 * 100 + 2 * 300
    assert view.balance.posted_minor == 2_000_00 - 14 * A_DAY_MINOR
    assert view.balance.available_minor == (
        view.balance.posted_minor - view.balance.estimated_minor
    )


def test_the_end_of_the_money_is_told_to_the_hour_when_it_is_near(database, tmp_path):
    flat = measured_flat(database, tmp_path, 14 * A_DAY_MINOR + 2 * A_DAY_MINOR + 7 * 100 + 300)

    view = seen(flat, at(LAST, 12))

    assert view.runway.until == at(LAST + timedelta(days=2), 8)
    assert (view.runway.days, view.runway.to_the_hour) == (1, True)


def test_what_was_estimated_gives_way_to_what_was_measured(database, tmp_path):
    flat = measured_flat(database, tmp_path, 2_000_00)
    before = seen(flat, at(LAST + timedelta(days=1)))
    flat.uses(LAST, LAST + timedelta(days=1), 500)
    rate_running_months(flat.application(at(LAST + timedelta(days=1), 1)))

    after = seen(flat, at(LAST + timedelta(days=1), 1))

    assert before.balance.estimated_minor == A_DAY_MINOR
    assert before.balance.available_minor == after.balance.posted_minor
    assert after.balance.estimated_minor == 100


def test_without_a_reading_for_a_season_nothing_is_foretold(database, tmp_path):
    flat = measured_flat(database, tmp_path, 2_000_00)

    assert seen(flat, at(LAST + timedelta(days=63), 1)).balance.estimated_minor == 0
