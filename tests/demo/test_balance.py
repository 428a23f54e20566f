"""The demo's house meters: what enters a house, what its flats show, and who is found."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from kilokassa.app.settings import Settings
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.demo.balance import HOUSES, ensure_house_balance, house_days
from kilokassa.demo.faults import FAULTS, SLOW, THIEF, counted_percent
from kilokassa.demo.population import town
from kilokassa.demo.series import account_days, day_matrix, used_in_house
from kilokassa.demo.town import ensure_demo
from metering.balance.service import HouseQuery, house_balance, house_suspects

TODAY = date(2026, 11, 24)
SCOPE = system_scope("demo")


@pytest.fixture(scope="module")
def plan():
    return town(TODAY)


def account_of(plan, fault):
    return next(a for a in plan.accounts if a.point_code == fault.point_code)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.point_code)
def test_a_faulty_meter_counts_less_from_its_day_on(plan, fault):
    account, since = account_of(plan, fault), fault.since(plan)

    percent = [counted_percent(plan, account, since + timedelta(days=n)) for n in (-1, 0, 90)]

    assert percent == [100, fault.counted_percent, fault.counted_percent]


def test_a_house_takes_what_its_flats_use_and_not_what_they_show(plan):
    since = THIEF.since(plan)
    accounts = [a for a in plan.accounts if a.building_code == "KHV-2"]

    used = used_in_house(plan, "KHV-2", since - timedelta(days=1), since + timedelta(days=1))
    shown = sum(
        account_days(plan, account, since - timedelta(days=1), since + timedelta(days=1))
        for account in accounts
    )

    hidden_wh = (used - shown).sum(axis=1)
    slow, thief = account_of(plan, SLOW), account_of(plan, THIEF)
    slow_wh = account_days(plan, slow, since - timedelta(days=1), since)[0].sum()
    assert hidden_wh[0] == pytest.approx(slow_wh * 15 / 85, abs=48)
    thief_wh = account_days(plan, thief, since, since + timedelta(days=1))[0].sum()
    slow_wh = account_days(plan, slow, since, since + timedelta(days=1))[0].sum()
    assert hidden_wh[1] == pytest.approx(slow_wh * 15 / 85 + thief_wh * 40 / 60, abs=96)


def test_house_days_in_pieces_equal_house_days_at_once(plan):
    house = HOUSES[1]

    whole = house_days(plan, house, date(2026, 3, 1), date(2026, 3, 9))
    first = house_days(plan, house, date(2026, 3, 1), date(2026, 3, 4))
    rest = house_days(plan, house, date(2026, 3, 4), date(2026, 3, 9))

    for at_once, one, other in zip(whole, first, rest, strict=True):
        assert np.array_equal(at_once, np.concatenate([one, other]))


def test_no_other_meter_of_the_town_is_touched(plan):
    accounts, energy = day_matrix(plan, date(2026, 11, 1), date(2026, 11, 2))

    faulty = {fault.point_code for fault in FAULTS}
    honest = [row for row, a in enumerate(accounts) if a.point_code not in faulty]
    of_second = [row for row in honest if accounts[row].building_code == "KHV-2"]

    used = used_in_house(plan, "KHV-2", date(2026, 11, 1), date(2026, 11, 2))
    assert len(faulty) == len(accounts) - len(honest)
    assert energy[of_second].sum() < used.sum()


@pytest.mark.slow
def test_the_thief_and_the_slow_meter_are_found_and_a_second_call_adds_nothing(
    sqlite_database, tmp_path
):
    clock = FixedClock(datetime(2026, 11, 24, 9, tzinfo=UTC))
    application = Application(
        Settings.from_env({"KILOKASSA_VAR": str(tmp_path)}), sqlite_database, clock
    )
    ensure_demo(application)

    again = ensure_house_balance(application, town(TODAY), SCOPE)
    with sqlite_database.reading() as session:
        october = Month(2026, 10)
        good = house_balance(session, HouseQuery(SCOPE, "KHV-1", october), clock)
        bad = house_balance(session, HouseQuery(SCOPE, "KHV-2", october), clock)
        found = house_suspects(session, HouseQuery(SCOPE, "KHV-2", october), clock)
        quiet = house_suspects(session, HouseQuery(SCOPE, "KHV-1", october), clock)

    assert again == 0
    assert good.balance.totals.remainder_ppm < 10_000 < bad.balance.totals.remainder_ppm
    assert [one.point.code for one in found.ranked[:2]] == [THIEF.point_code, SLOW.point_code]
    assert found.ranked[0].suspect.since == THIEF.since(town(TODAY))
    assert quiet.ranked[0].suspect.points < 20
