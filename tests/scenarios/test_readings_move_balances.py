"""An accepted import moves the balances of its meters at once, of nobody else, and stays anyhow."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import update

from billing.models import AccountTermRow, Settlement
from kilokassa.app import running
from kilokassa.app.readings_import import import_readings
from kilokassa.app.running import move_balances, rate_running_months
from kilokassa.core.calendar import local_midnight
from tests.scenarios.by_hand_town import SCOPE, ZONE, Town
from wallet import store as wallet_store

# 24 hours of 1 kWh at 5 roubles.
DAY_MINOR = 24 * 5_00


@pytest.fixture
def town(database, tmp_path):
    town = Town(database, tmp_path, flats=2, opened_on=date(2026, 10, 1), interval_min=60)
    with database.writing() as session:
        session.execute(update(AccountTermRow).values(settlement=Settlement.PREPAID))
    return town


def after(town, day):
    """Return the application an hour into the day after."""
    return town.application(local_midnight(day + timedelta(days=1), ZONE) + timedelta(hours=1))


def brings(town, day, points=("P1",), kwh="1.000"):
    path = town.folder / f"{day}-{len(points)}-{kwh}.csv"
    start = local_midnight(day, ZONE)
    rows = [
        f"{point};{(start + timedelta(hours=n)).isoformat()};{kwh}"
        for point in points
        for n in range(24)
    ]
    path.write_text("\n".join(["point;time;value", *rows]))
    application = after(town, day)
    result = import_readings(application.database, path, scope=SCOPE, clock=application.clock)
    return application, result


def posted(town, point, day):
    with town.database.reading() as session:
        account_id = town.accounts[point]
        found = wallet_store.balances(session, [account_id], after(town, day).clock.now())
    return found[account_id].posted_minor


def test_the_day_that_came_moves_the_balance_of_its_meter_alone(town):
    day = date(2026, 10, 1)
    application, result = brings(town, day)

    moved = move_balances(application, result.batch_id)

    assert (moved.accounts, moved.posted, moved.amount_minor) == (1, 1, DAY_MINOR)
    assert posted(town, "P1", day) == -DAY_MINOR
    assert posted(town, "P2", day) == 0
    again = move_balances(application, result.batch_id)
    assert (again.posted, again.amount_minor, again.failed) == (0, 0, False)


def test_a_day_that_is_put_right_gives_back_the_difference(town):
    day = date(2026, 10, 1)
    application, result = brings(town, day)
    move_balances(application, result.batch_id)

    application, result = brings(town, day, kwh="0.500")
    moved = move_balances(application, result.batch_id)

    assert moved.amount_minor == -DAY_MINOR // 2
    assert posted(town, "P1", day) == -DAY_MINOR // 2


def test_an_import_without_anything_new_rates_nobody(town):
    day = date(2026, 10, 1)
    brings(town, day, points=("P1", "P2"))
    application, result = brings(town, day)

    assert move_balances(application, result.batch_id).accounts == 0
    assert rate_running_months(application, account_ids=[]).accounts == 0


def test_a_failure_is_told_and_the_readings_stay(town, monkeypatch):
    day = date(2026, 10, 1)
    application, result = brings(town, day)
    with monkeypatch.context() as patched:
        patched.setattr(running, "rate_month", lambda *_, **__: 1 // 0)

        assert move_balances(application, result.batch_id).failed

    assert rate_running_months(application).amount_minor == DAY_MINOR


def test_who_rated_before_a_day_came_does_not_take_it_back(town, monkeypatch):
    """The hourly run has read the meters; before it posts, an import moves the same balance."""
    first, second = date(2026, 10, 1), date(2026, 10, 2)
    brings(town, first)
    late = after(town, second)
    rated_by = running.rate_month
    interfering = [True]

    def rate_then_interfere(*asked, **named):
        found = rated_by(*asked, **named)
        if interfering and interfering.pop():
            application, result = brings(town, second)
            assert move_balances(application, result.batch_id).amount_minor == 2 * DAY_MINOR
        return found

    monkeypatch.setattr(running, "rate_month", rate_then_interfere)

    rate_running_months(replace(late))

    assert posted(town, "P1", second) == -2 * DAY_MINOR
