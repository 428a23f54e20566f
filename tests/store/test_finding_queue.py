"""The queue of findings on both databases: what is in it, who closes it, and what is told."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.period import Period
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.zones import Zone
from metering.days import whole_days
from metering.findings.finding import Finding, FindingKind, FindingState
from metering.findings.service import (
    AcceptOrder,
    FindingNotAccepted,
    ReopenOrder,
    accept_findings,
    reopen_finding,
)
from metering.findings.store import (
    FindingFilter,
    count_by_kind,
    day_history,
    evidence_channel,
    find_findings,
    get_finding,
    readings_around,
)
from metering.registers import RegisterReading
from metering.registry.places import Building, Channel, Company, Meter, MeteringPoint, PlacesOrder
from metering.service import register_places
from metering.store import add_findings, write_days, write_registers

RETAILER = system_scope("anna")
SECOND = system_scope("boris")
START = datetime(2026, 11, 1, tzinfo=UTC)


def finding(kind, point="P1", hours=1, **detail):
    return Finding(kind, point, None, Period(START, START + timedelta(hours=hours)), detail)


FOUND = (
    finding(FindingKind.GAP, count=4),
    finding(FindingKind.GAP, "P2", count=400),
    finding(FindingKind.SPIKE, value="12.5", usual="0.4"),
    finding(FindingKind.REGISTER_DIFFERS, "P2", meter="S2", register="120", intervals="80"),
    finding(FindingKind.DUPLICATE_SAME, "unknown", count=2, line=9),
)


@pytest.fixture
def places(database, clock):
    order = PlacesOrder(
        companies=(Company("UK1", "УК Первая"),),
        buildings=(
            Building("B1", "Ленина 1", "Asia/Vladivostok", "UK1"),
            Building("B2", "Ленина 2", "Asia/Vladivostok"),
        ),
        points=(MeteringPoint("P1", "B1"), MeteringPoint("P2", "B2")),
        meters=(Meter("P1", "S1", date(2020, 1, 1)), Meter("P2", "S2", date(2020, 1, 1))),
        channels=(Channel("P1", 30),),
    )
    with database.writing() as session:
        placed = register_places(session, order, clock)
        add_findings(session, FOUND, clock.now(), batch_id=None)
    return placed


@pytest.fixture
def company(places):
    return Scope(Role.COMPANY, "uk", company_ids=frozenset({places.company_ids["UK1"]}))


def queue(database, scope=RETAILER, **wished):
    with database.reading() as session:
        return find_findings(session, scope, FindingFilter(**wished))


def accept(database, clock, *ids, scope=RETAILER, note="проверено"):
    with database.writing() as session:
        return accept_findings(session, AcceptOrder(ids, note, scope), clock)


def reopen(database, clock, finding_id, scope=RETAILER):
    with database.writing() as session:
        return reopen_finding(session, ReopenOrder(finding_id, "ещё раз", scope), clock)


def one(database, finding_id):
    with database.reading() as session:
        return get_finding(session, RETAILER, finding_id)


def test_the_heaviest_stands_first(database, places):
    kinds = [(f.finding.kind, f.finding.point_code) for f in queue(database)]

    assert kinds == [
        (FindingKind.REGISTER_DIFFERS, "P2"),
        (FindingKind.SPIKE, "P1"),
        (FindingKind.GAP, "P2"),
        (FindingKind.GAP, "P1"),
        (FindingKind.DUPLICATE_SAME, "unknown"),
    ]


@pytest.mark.parametrize(
    ("wished", "points"),
    [
        ({"kind": FindingKind.GAP}, ["P2", "P1"]),
        ({"building_code": "B1"}, ["P1", "P1"]),
        ({"point_code": "P2"}, ["P2", "P2"]),
        ({"state": FindingState.ACCEPTED}, []),
        ({"batch_id": 7}, []),
        ({"state": None, "kind": FindingKind.SPIKE}, ["P1"]),
    ],
)
def test_the_queue_is_narrowed(database, places, wished, points):
    assert [f.finding.point_code for f in queue(database, **wished)] == points


def test_a_company_sees_its_own_houses_and_no_unknown_point(database, company):
    assert {f.finding.point_code for f in queue(database, company)} == {"P1"}
    with database.reading() as session:
        assert count_by_kind(session, company, FindingFilter()) == {
            FindingKind.GAP: 1,
            FindingKind.SPIKE: 1,
        }


def test_what_is_accepted_says_who_when_and_why(database, clock, places):
    first, second = queue(database)[:2]

    done = accept(database, clock, first.id, second.id)

    assert done.accepted == tuple(sorted((first.id, second.id)))
    found = one(database, first.id)
    assert (found.state, found.closed_by, found.closed_at, found.note) == (
        FindingState.ACCEPTED,
        "anna",
        clock.at,
        "проверено",
    )
    assert len(queue(database)) == 3


def test_the_second_of_two_is_told_who_was_first(database, clock, places):
    first, second = queue(database)[:2]
    accept(database, clock, first.id)

    done = accept(database, clock, first.id, second.id, scope=SECOND, note="другое")

    assert done.accepted == (second.id,)
    assert [(f.id, f.closed_by, f.note) for f in done.closed_before] == [
        (first.id, "anna", "проверено")
    ]
    assert one(database, first.id).closed_by == "anna"


def test_of_two_at_once_one_accepts_and_the_other_is_told(database, clock, places):
    ids = [f.id for f in queue(database)]
    scopes = [system_scope(f"clerk-{n}") for n in range(6)]
    barrier = threading.Barrier(len(scopes))

    def work(scope):
        barrier.wait()
        return accept(database, clock, *ids, scope=scope, note=scope.actor)

    with ThreadPoolExecutor(len(scopes)) as threads:
        done = list(threads.map(work, scopes))

    (first,) = [one for one in done if one.accepted]
    assert first.accepted == tuple(sorted(ids))
    (name,) = {one(database, finding_id).closed_by for finding_id in ids}
    others = [one for one in done if one is not first]
    assert {f.closed_by for told in others for f in told.closed_before} == {name}
    assert all(len(told.closed_before) == len(ids) for told in others)


def test_one_out_of_reach_refuses_the_whole_order(database, clock, company):
    ids = {f.finding.point_code: f.id for f in queue(database)}

    with pytest.raises(NotFound):
        accept(database, clock, ids["P1"], ids["P2"], scope=company)

    assert len(queue(database)) == len(FOUND)
    assert accept(database, clock, ids["P1"], scope=company).accepted == (ids["P1"],)


@pytest.mark.parametrize("note", ["", "  ", "x" * 501])
def test_a_finding_is_accepted_with_a_reason(note):
    with pytest.raises(Invalid):
        AcceptOrder((1,), note, RETAILER)


@pytest.mark.parametrize("role", [Role.ANALYST, Role.AUDITOR, Role.RESIDENT])
def test_who_may_not_work_findings_is_refused(database, clock, places, role):
    with pytest.raises(Forbidden):
        accept(database, clock, 1, scope=Scope(role, "x", whole_retailer=True))


def test_an_accepted_finding_is_opened_again_and_nothing_is_forgotten(database, clock, places):
    first = queue(database)[0]
    accept(database, clock, first.id)

    reopen(database, clock, first.id, scope=SECOND)
    opened = one(database, first.id)
    later = FixedClock(clock.at + timedelta(hours=1))
    accept(database, later, first.id, scope=SECOND, note="теперь верно")

    assert (opened.state, opened.closed_by, opened.closed_at) == (FindingState.OPEN, None, None)
    closed = one(database, first.id)
    assert closed.note.splitlines() == [
        "проверено",
        "[anna, 2026-11-24T09:00+00:00]",
        "↺ ещё раз [boris, 2026-11-24T09:00+00:00]",
        "теперь верно",
    ]
    assert closed.closed_by == "boris"


def test_only_what_is_accepted_is_opened_again(database, clock, places):
    with pytest.raises(FindingNotAccepted):
        reopen(database, clock, queue(database)[0].id)


def test_what_speaks_for_a_finding_is_found(database, clock, places):
    channel = places.channel_ids["P1", "A+"]
    day = date(2026, 11, 1)
    meter = places.meter_ids["P1", "S1"]
    later = FixedClock(clock.at + timedelta(hours=1))
    with database.writing() as session:
        for at, source, value in ((clock, "file:1", 10), (later, "file:2", 11)):
            block = whole_days(30, [channel], [day], np.full((1, 48), value))
            write_days(session, [block], at, source=source)
        days = [START + timedelta(days=n) for n in range(40)]
        readings = [RegisterReading(meter, Zone.ALL, at, n) for n, at in enumerate(days)]
        write_registers(session, readings, clock, source="file:3")
    spike = next(f for f in queue(database) if f.finding.kind is FindingKind.SPIKE)

    with database.reading() as session:
        found = evidence_channel(session, spike.finding)
        states = day_history(session, channel, day, day)
        near = readings_around(session, "P1", spike.finding.period)

    assert (found.channel_id, found.interval_min, found.zone) == (channel, 30, "Asia/Vladivostok")
    assert [(s.revision, s.total_wh, s.source, s.superseded_at) for s in states] == [
        (1, 480, "file:1", later.at),
        (2, 528, "file:2", None),
    ]
    assert [r.value for r in near] == [*range(8, -1, -1)]
