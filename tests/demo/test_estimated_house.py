from collections import Counter
from datetime import UTC, datetime

import pytest

from billing import store as billing_store
from billing.charges import used_estimates
from billing.house.store import common_area_months, house_in_reach
from billing.models import LineKind, Service
from kilokassa.app.settings import Settings
from kilokassa.app.verification import verify_all
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.demo.estimates import FLATS, HOUSE
from kilokassa.demo.town import ensure_demo
from metering.estimation.store import list_estimates

SCOPE = system_scope("test")


def test_flats_show_what_they_are_read_for():
    silent, late, expired, bare = FLATS

    assert [silent.reads_in(n) for n in (7, 8, 20)] == [True, False, False]
    assert [late.reads_in(n) for n in (8, 9, 10, 11)] == [True, False, False, True]
    assert expired.reads_in(11)
    assert not bare.reads_in(0)
    assert late.total_wh(31) % 1000 == 0
    assert late.total_wh(0) == late.opening_kwh * 1000


@pytest.mark.slow
def test_every_way_of_estimating_can_be_seen_in_the_town(sqlite_database, tmp_path):
    clock = FixedClock(datetime(2026, 11, 24, 9, tzinfo=UTC))
    settings = Settings.from_env({"KILOKASSA_VAR": str(tmp_path)})
    application = Application(settings, sqlite_database, clock)

    ensure_demo(application)

    with sqlite_database.reading() as session:
        listed = list_estimates(session, SCOPE, replaced=True)
        numbers = billing_store.accounts_by_numbers(session, [f.account_number for f in FLATS])
        lines = {
            flat.number: billing_store.charge_lines_of(
                session, SCOPE, numbers[flat.account_number], Month(2026, 10)
            )
            for flat in FLATS
        }
    standing = {
        number: [
            str(one.estimate.method)
            for one in listed
            if one.building_code == HOUSE
            and one.premises_number == number
            and one.estimate.replaced_at is None
        ]
        for number in ("1", "2", "3")
    }
    assert standing == {
        "1": ["own_average"] * 3 + ["norm"],
        "2": ["interpolation"] * 2,
        "3": ["own_average"] * 4,
    }
    assert {str(one.estimate.method) for one in listed if one.building_code != HOUSE} == {
        "interpolation",
        "like_day",
    }
    corrected = {Month.from_ordinal(n.charge_month) for n in lines["2"]} - {Month(2026, 10)}
    assert corrected == {Month(2026, 8), Month(2026, 9)}
    assert {n.kind for n in lines["2"]} == set(LineKind)
    (by_norm,) = (line for line in lines["1"] if line.service is Service.ELECTRICITY)
    assert str(used_estimates(by_norm.detail)[0].method) == "norm"
    # Its other services: common areas, water, drainage, upkeep and waste, each a line of October.
    assert Counter(n.code for n in lines["3"] if n.charge_month == Month(2026, 10).ordinal) == {
        "": 1,
        "cold_water": 1,
        "common_electricity_reduced": 1,
        "drainage": 1,
        "hot_water": 2,
        "upkeep": 1,
        "waste": 1,
    }
    with sqlite_database.reading() as session:
        house = house_in_reach(session, SCOPE, HOUSE)
        months = common_area_months(session, [house.id], Month(2026, 4), Month(2026, 5))
    early, after = (months[house.id, month] for month in (Month(2026, 4), Month(2026, 5)))
    assert early.actual_wh < 0 == early.charged_wh
    assert after.carried_in_wh == early.actual_wh
    assert after.charged_wh == after.actual_wh + early.actual_wh
    assert verify_all(application) == ()
