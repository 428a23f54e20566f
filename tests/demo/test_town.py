from collections import Counter
from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from billing.models import Measurement, Settlement
from kilokassa.core.calendar import Month
from kilokassa.core.zones import Zone
from kilokassa.demo.payments import bill_payment, bonus_rules, top_ups
from kilokassa.demo.population import TownPlan, town
from kilokassa.demo.profiles import DayType, ProfileKind, load_profile
from kilokassa.demo.series import (
    account_days,
    day_matrix,
    heat_readings,
    readings_csv,
    register_readings,
)

TODAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def plan() -> TownPlan:
    return town(TODAY)


def test_a_profile_holds_the_half_hours_of_every_month_and_day_type():
    household = load_profile(ProfileKind.HOUSEHOLD)

    # BDEW 2025, H25, January, Saturday, 00:00-00:15 and 00:15-00:30: 22.152 and 20.809.
    assert household.shape == (12, 3, 48)
    assert household[0, DayType.SATURDAY, 0] == 22_152 + 20_809


def test_a_profile_may_be_changed_by_its_reader_without_harm():
    load_profile("g25")[:] = 0

    assert load_profile("g25").min() > 0


def test_the_town_has_three_buildings_and_two_hundred_accounts(plan):
    per_building = Counter(account.building_code for account in plan.accounts)

    assert per_building == {"KHV-1": 72, "KHV-2": 80, "KHV-3": 48}
    assert len({a.number for a in plan.accounts}) == len({a.point_code for a in plan.accounts})
    assert all(len(a.number) == 10 and a.number.isdigit() for a in plan.accounts)


def test_the_town_mixes_plans_and_settlements(plan):
    kinds = Counter(account.plan_code.removesuffix("_reduced") for account in plan.accounts)
    settlements = Counter(account.settlement for account in plan.accounts)

    assert 66 <= kinds["single"] <= 74
    assert 66 <= kinds["two_zone"] <= 74
    assert 56 <= kinds["three_zone"] <= 64
    assert settlements[Settlement.PREPAID] == 80


def test_the_town_has_its_special_accounts(plan):
    (by_hand,) = plan.register_accounts
    (faulty,) = plan.faulty_accounts
    debtors = [a for a in plan.accounts if a.payment.stops_from is not None]

    assert by_hand.settlement is Settlement.POSTPAID
    assert faulty.measurement is Measurement.INTERVALS
    assert 6 <= len(debtors) <= 8
    assert all(debtor.settlement is Settlement.POSTPAID for debtor in debtors)
    assert [b.code for b in plan.buildings if b.heat_meter] == ["KHV-2"]


def test_the_town_begins_twelve_full_months_before_and_changes_prices_with_the_sixth(plan):
    assert plan.first_month == Month(2025, 11)
    assert plan.change_month == Month(2026, 4)
    assert plan.closed_months[0] == Month(2025, 11)
    assert plan.closed_months[-1] == Month(2026, 10)


def test_a_later_day_leaves_the_plan_as_it_was(plan):
    later = town(date(2027, 1, 15), first_month=plan.first_month)

    assert later.accounts == plan.accounts
    assert later.change_month == plan.change_month


def test_days_asked_for_in_pieces_equal_days_asked_for_at_once(plan):
    accounts, whole = day_matrix(plan, date(2026, 3, 1), date(2026, 3, 11))
    _, first = day_matrix(plan, date(2026, 3, 1), date(2026, 3, 4))
    _, rest = day_matrix(plan, date(2026, 3, 4), date(2026, 3, 11))

    assert whole.dtype == np.int32
    assert whole.shape == (len(accounts), 10, 48)
    assert np.array_equal(np.concatenate([first, rest], axis=1), whole)


def test_one_account_alone_uses_what_it_uses_in_the_matrix(plan):
    accounts, energy = day_matrix(plan, date(2026, 7, 1), date(2026, 7, 3))

    alone = account_days(plan, accounts[60], date(2026, 7, 1), date(2026, 7, 3))

    assert np.array_equal(alone, energy[60])


def test_households_use_a_plausible_month_and_most_in_the_evening(plan):
    _, energy = day_matrix(plan, plan.first_day, TODAY)
    month_kwh = energy.sum(axis=(1, 2)) / energy.shape[1] * 365 / 12 / 1000
    average_day = energy.mean(axis=(0, 1))

    assert energy.min() >= 0
    assert month_kwh.min() > 60
    assert month_kwh.max() < 560
    assert 180 < month_kwh.mean() < 300
    assert average_day[36:42].mean() > 1.3 * average_day[4:10].mean()


def test_a_hand_read_meter_is_read_late_in_the_month_and_where_prices_change(plan):
    (account,) = plan.register_accounts

    readings = register_readings(plan, account)

    local = [reading.taken_at.astimezone(plan.zone) for reading in readings]
    assert local[0].date() == plan.first_day
    assert sum(at.date() == plan.change_month.first_day for at in local) == 1
    others = [at for at in local[1:] if at.day != 1]
    assert all(23 <= at.day <= 25 and at.hour == 12 for at in others)
    for zone in (0, 1):
        totals = [reading.values[zone][1] for reading in readings]
        assert totals == sorted(totals)
        assert all(total % 1000 == 0 for total in totals)
    assert [zone for zone, _ in readings[0].values] == [Zone.DAY, Zone.NIGHT]


def test_the_house_heat_meter_runs_in_the_season_only(plan):
    readings = heat_readings(plan, plan.building("KHV-2"))

    totals = [reading.values[0][1] for reading in readings]
    used = dict(zip(plan.closed_months, (b - a for a, b in pairwise(totals)), strict=False))
    summer = [kcal for month, kcal in used.items() if 5 <= month.number <= 9]
    assert len(readings) == 13
    assert set(summer) == {0}
    assert used[Month(2026, 1)] > used[Month(2026, 4)] > 0
    assert heat_readings(plan, plan.building("KHV-1")) == ()


def test_the_faulty_file_has_gaps_and_repeated_time_stamps(plan):
    (account,) = plan.faulty_accounts

    rows = readings_csv(plan, account, date(2026, 5, 1), date(2026, 6, 1)).splitlines()[1:]

    stamps = Counter(row.split(";")[1] for row in rows)
    assert len(stamps) < 31 * 48
    assert max(stamps.values()) == 2
    repeated = [stamp for stamp, count in stamps.items() if count == 2]
    values = [{row.split(";")[2] for row in rows if stamp in row} for stamp in repeated]
    assert {len(found) for found in values} == {1, 2}


def test_prepaid_accounts_top_up_again_and_again_and_one_earns_a_bonus(plan):
    paid = top_ups(plan)

    numbers = {a.number for a in plan.accounts if a.settlement is Settlement.PREPAID}
    assert {top_up.account_number for top_up in paid} == numbers
    assert len({top_up.key for top_up in paid}) == len(paid)
    assert [t.paid_at for t in paid] == sorted(t.paid_at for t in paid)
    assert all(t.amount_minor > 0 and t.paid_at.astimezone(plan.zone).date() < TODAY for t in paid)
    assert any(t.amount_minor >= bonus_rules(plan)[0].threshold_minor for t in paid)


def test_a_later_day_only_adds_top_ups(plan):
    earlier = town(date(2026, 2, 10), first_month=plan.first_month)

    assert set(top_ups(earlier)) < set(top_ups(plan))


def test_a_bill_is_paid_in_full_but_not_by_a_debtor(plan):
    payer = next(a for a in plan.accounts if a.settlement is Settlement.POSTPAID)
    debtor = next(a for a in plan.accounts if a.payment.stops_from is not None)
    stops = debtor.payment.stops_from
    assert stops is not None

    paid = bill_payment(plan, payer, Month(2026, 3), 1234_56)

    assert paid is not None
    assert 1234_56 <= paid.amount_minor <= 1235_00
    assert Month.of(paid.paid_at.astimezone(plan.zone).date()) == Month(2026, 4)
    assert bill_payment(plan, debtor, stops, 1234_56) is None
    assert bill_payment(plan, debtor, stops.plus(-1), 1234_56) is not None


def test_a_bill_is_not_paid_before_its_day(plan):
    payer = next(a for a in plan.accounts if a.settlement is Settlement.POSTPAID)

    assert bill_payment(plan, payer, Month(2026, 11), 500_00) is None
