"""Time zones that senders stated, and numbers of files, on both databases."""

import threading

import pytest
from sqlalchemy import func, select

from kilokassa.core.ids import CompanyId
from kilokassa.core.scope import Role, Scope, system_scope
from metering.exchange.codes import ExchangeArea, TimeZoneChanged
from metering.exchange.store import known_time_zones, next_number, take_areas
from metering.models import ExchangeAreaRow, ExchangeNumberRow

SENDER = "7700000000"
AREA = ExchangeArea(SENDER, "7700000001", "1")
MOVED = ExchangeArea(SENDER, "7700000001", "")


STAFF = system_scope("test")
COMPANY = Scope(Role.COMPANY, "user:7", company_ids=frozenset({CompanyId(1)}))


def take(database, clock, *areas, scope=STAFF, **options):
    with database.writing() as session:
        take_areas(session, areas, scope, clock, **options)


def known(database):
    with database.reading() as session:
        return known_time_zones(session, [SENDER])


def test_the_first_file_of_an_area_sets_its_time_zone(database, clock):
    take(database, clock, AREA, ExchangeArea(SENDER, "7700000002", ""))

    assert known(database) == {(SENDER, "7700000001"): "1", (SENDER, "7700000002"): ""}


def test_the_same_time_zone_again_changes_nothing(database, clock):
    take(database, clock, AREA)

    take(database, clock, AREA)

    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(ExchangeAreaRow)) == 1


def test_another_time_zone_is_refused_and_the_old_one_stays(database, clock):
    take(database, clock, AREA)

    with pytest.raises(TimeZoneChanged):
        take(database, clock, MOVED)

    assert known(database) == {(SENDER, "7700000001"): "1"}


def test_another_time_zone_that_is_accepted_is_the_one_from_then_on(database, clock):
    take(database, clock, AREA)

    take(database, clock, MOVED, accept_timezone=True)

    assert known(database) == {(SENDER, "7700000001"): ""}
    take(database, clock, MOVED)


def test_a_company_is_held_to_the_time_zone_and_cannot_change_it(database, clock):
    take(database, clock, AREA)

    with pytest.raises(TimeZoneChanged):
        take(database, clock, MOVED, scope=COMPANY)
    take(database, clock, MOVED, scope=COMPANY, accept_timezone=True)

    assert known(database) == {(SENDER, "7700000001"): "1"}


def test_numbers_follow_on_each_other_by_sender(database):
    with database.writing() as session:
        first = [next_number(session, SENDER) for _ in range(3)]
    with database.writing() as session:
        later = [next_number(session, SENDER), next_number(session, "7700000009")]

    assert first == [1, 2, 3]
    assert later == [4, 1]


def test_a_number_that_was_not_used_comes_again(database):
    def fail():
        with database.writing() as session:
            next_number(session, SENDER)
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        fail()

    with database.writing() as session:
        assert next_number(session, SENDER) == 1


def test_two_that_number_files_at_once_leave_no_gap_and_share_no_number(database):
    taken = []
    start = threading.Barrier(4)

    def work():
        start.wait()
        for _ in range(5):
            with database.writing() as session:
                number = next_number(session, SENDER)
            taken.append(number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(taken) == list(range(1, 21))
    with database.reading() as session:
        assert session.scalar(select(ExchangeNumberRow.last_number)) == 20
