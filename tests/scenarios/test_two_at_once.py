"""Two people who state the same thing at the same instant: the second sees what the first did."""

import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from billing.common_areas.service import settle_house
from billing.house.service import AssignOrder, EndOrder, assign_service, end_service
from billing.house.store import all_services_of, house_in_reach
from kilokassa.core.clock import FixedClock
from tariffs.prices.service import PeakHoursOrder, name_peak_hours
from tariffs.prices.store import peak_hours
from tariffs.service import PublishOrder, publish_version
from tariffs.services.service import ServiceExists, ServiceOrder, publish_service
from tests.scenarios.by_hand_town import SCOPE, Town
from tests.scenarios.test_house_services import COMMON, JANUARY, House
from tests.scenarios.test_recalculation import (
    DEARER,
    at,
    differences,
    publish,
    put_right,
    read_and_close,
)
from tests.store.test_tariffs import document
from wallet.store import hold_wallets

NOW = FixedClock(datetime(2026, 11, 24, 9, tzinfo=UTC))
WASTE = """
service: housing
code: waste
name: {ru: Вывоз, en: Waste}
valid_from: 2022-07-01
currency: RUB
basis: person
per_person: [{from: 2022-07-01, amount: 118.52}]
source: a test
confidence: high
"""
FEBRUARY = AssignOrder(SCOPE, "B1", "waste", date(2026, 2, 1))
LONG_ENOUGH_S = 0.5
"""To reach the lock that the first one holds; a second that finds none is done long before."""
COMPUTED_S = 5.0
"""To rate a month again and come to the wallets."""


def one_after_the_other(database, first, second):
    """Begin the second deed while the first is written but not committed; return what came of it.

    On SQLite the second waits for the first one's whole session, on PostgreSQL for its locks.
    """
    outcome = []

    def run():
        try:
            with database.writing() as session:
                outcome.append(second(session))
        except Exception as error:  # noqa: BLE001 - told to the main thread
            outcome.append(error)

    later = threading.Thread(target=run)
    with database.writing() as session:
        first(session)
        session.flush()
        later.start()
        later.join(LONG_ENOUGH_S)
    later.join()
    return outcome[0]


@pytest.fixture
def town(database, tmp_path):
    made = Town(database, tmp_path, flats=2, opening_kwh=0)
    with database.writing() as session:
        publish_service(session, ServiceOrder(SCOPE, WASTE), NOW)
    return made


def standing(database):
    with database.reading() as session:
        house = house_in_reach(session, SCOPE, "B1")
        found = all_services_of(session, house.id)
    return [(one.valid_from, one.valid_until, one.document) for one in found]


def test_a_house_given_a_service_twice_has_it_once(database, town):
    second = replace(FEBRUARY, valid_from=date(2026, 3, 1), document="2")

    outcome = one_after_the_other(
        database,
        lambda session: assign_service(session, FEBRUARY, NOW),
        lambda session: assign_service(session, second, NOW),
    )

    assert outcome is True
    assert standing(database) == [
        (date(2026, 2, 1), date(2026, 2, 28), ""),
        (date(2026, 3, 1), None, "2"),
    ]


def test_a_service_that_ends_while_it_is_stated_anew_stands_once(database, town):
    with database.writing() as session:
        assign_service(session, FEBRUARY, NOW)
    end = EndOrder(SCOPE, "B1", "waste", date(2026, 6, 30))

    outcome = one_after_the_other(
        database,
        lambda session: assign_service(session, replace(FEBRUARY, document="2"), NOW),
        lambda session: end_service(session, end, NOW),
    )

    assert outcome is True
    assert standing(database) == [(date(2026, 2, 1), date(2026, 6, 30), "2")]


def test_a_month_of_common_areas_settled_twice_has_one_row(database, tmp_path):
    house = House(database, tmp_path, COMMON)
    house.month(JANUARY, house=30)
    clock = FixedClock(at(2, 3))
    with database.reading() as session:
        served = house_in_reach(session, SCOPE, "B1")

    def settle(session):
        return settle_house(session, served, JANUARY, SCOPE, clock)

    (settled,) = one_after_the_other(database, settle, settle)

    assert settled.new is False
    assert house.settled(JANUARY).charged_wh == settled.settled.charged_wh


def test_of_two_files_of_peak_hours_the_later_states_the_month_alone(database):
    first, second = (
        PeakHoursOrder(SCOPE, "ats", ZoneInfo("UTC"), [datetime(2026, 1, day, 9, tzinfo=UTC)], "f")
        for day in (12, 13)
    )

    outcome = one_after_the_other(
        database,
        lambda session: name_peak_hours(session, first, NOW),
        lambda session: name_peak_hours(session, second, NOW),
    )

    assert (outcome.named, outcome.withdrawn) == (1, 1)
    with database.reading() as session:
        assert [one.starts_at.day for one in peak_hours(session, SCOPE, "ats")] == [13]


def test_the_first_tariff_of_a_plan_published_twice_is_one(database):
    def publish(session):
        return publish_version(session, PublishOrder(SCOPE, document()), NOW)

    outcome = one_after_the_other(database, publish, publish)

    assert outcome.new is False


def test_prices_of_a_service_published_twice_for_a_date_are_refused_in_words(database):
    other = WASTE.replace("118.52", "120.00")

    outcome = one_after_the_other(
        database,
        lambda session: publish_service(session, ServiceOrder(SCOPE, WASTE), NOW),
        lambda session: publish_service(session, ServiceOrder(SCOPE, other), NOW),
    )

    assert isinstance(outcome, ServiceExists)


def test_two_who_recalculate_at_once_post_the_difference_once(database, tmp_path):
    town = Town(database, tmp_path, flats=2)
    read_and_close(town, 1, 2)
    publish(town, DEARER, at(3, 10))
    before_minor = town.billed_minor("P1")
    reports = []

    def run():
        try:
            reports.append(put_right(town, at(3, 12)))
        except Exception as error:  # noqa: BLE001 - told to the main thread
            reports.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    with database.writing() as session:
        hold_wallets(session, sorted(town.accounts.values()))
        for thread in threads:
            thread.start()
        threads[0].join(COMPUTED_S)
    for thread in threads:
        thread.join()

    assert sorted(report.corrected for report in reports) == [0, 2]
    assert town.billed_minor("P1") - before_minor == sum(r.difference_minor for r in reports) // 2
    assert len(differences(town)) == 1
