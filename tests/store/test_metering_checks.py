"""Periodic checks on both databases: each thing is said once, and closed when it holds no more."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import update

from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.core.zones import Zone
from metering.days import whole_days
from metering.events.kinds import DeviceEventKind, EventLine
from metering.events.service import DeviceEventsOrder, record_device_events
from metering.findings.finding import Finding, FindingKind, FindingState
from metering.findings.service import AcceptOrder, accept_findings
from metering.findings.store import FindingFilter, find_findings
from metering.lookback.service import CheckOrder, check_points
from metering.lookback.store import points_to_check
from metering.models import MeteringPointRow
from metering.registers import RegisterReading
from metering.registry.places import Building, Channel, Meter, MeteringPoint, PlacesOrder
from metering.service import register_places
from metering.store import add_findings, write_days, write_registers

ZONE = ZoneInfo("Asia/Vladivostok")
RETAILER = system_scope("cli")
OCTOBER = Month(2026, 10)
FIRST = date(2026, 8, 20)
DAYS = (date(2026, 11, 1) - FIRST).days


@pytest.fixture
def places(database, clock):
    order = PlacesOrder(
        buildings=(Building("B1", "Ленина 1", "Asia/Vladivostok"),),
        points=tuple(MeteringPoint(p, "B1") for p in ("P1", "P2")),
        meters=tuple(Meter(p, f"S{p}", date(2020, 1, 1)) for p in ("P1", "P2")),
        channels=(Channel("P1", 60), Channel("P2", 60)),
    )
    with database.writing() as session:
        return register_places(session, order, clock)


def store(database, clock, places, values, first=FIRST, *, source="file:1", point="P1"):
    """Store whole days of hours, in Wh, one row a day."""
    days = [first + timedelta(days=n) for n in range(len(values))]
    channel = [places.channel_ids[point, "A+"]] * len(days)
    with database.writing() as session:
        write_days(session, [whole_days(60, channel, days, values)], clock, source=source)


def plain(days=DAYS):
    """Days of a home that hardly changes: 100 Wh, and 500 in the evening."""
    values = np.full((days, 24), 100)
    values[:, 18:22] = 500
    values[:, 7] = 100 + np.arange(days) % 7
    return values


def read(database, clock, places, *readings, point="P1"):
    meter = places.meter_ids[point, f"S{point}"]
    rows = [
        RegisterReading(meter, zone, local_midnight(day, ZONE), value)
        for day, values in readings
        for zone, value in values.items()
    ]
    with database.writing() as session:
        write_registers(session, rows, clock, source="file:2")


def check(database, clock, month=OCTOBER):
    with database.writing() as session:
        order = CheckOrder(points_to_check(session, RETAILER), month)
        return check_points(session, order, clock)


def findings(database, *kinds, state=FindingState.OPEN):
    with database.reading() as session:
        found = find_findings(session, RETAILER, FindingFilter(state))
    return [one for one in found if not kinds or one.finding.kind in kinds]


DIFFERS = FindingKind.REGISTER_DIFFERS
OCTOBER_WH = sum(int(row.sum()) for row in plain()[-31:])


def ends_of_october(register_wh):
    return (
        (date(2026, 10, 1), {Zone.ALL: 1_000_000}),
        (date(2026, 11, 1), {Zone.ALL: 1_000_000 + register_wh}),
    )


def test_what_agrees_says_nothing(database, clock, places):
    store(database, clock, places, plain())
    read(database, clock, places, *ends_of_october(OCTOBER_WH))

    done = check(database, clock)

    assert (done.points, done.opened, done.grown, done.closed) == (2, 0, 0, 0)
    assert findings(database) == []


def test_a_register_that_differs_is_said_once(database, clock, places):
    store(database, clock, places, plain())
    read(database, clock, places, *ends_of_october(OCTOBER_WH // 2))

    first, again = check(database, clock), check(database, clock)

    assert (first.opened, again.opened) == (1, 0)
    (found,) = findings(database)
    assert found.finding.kind is DIFFERS
    assert found.finding.channel_id == places.channel_ids["P1", "A+"]
    assert found.finding.period == OCTOBER.period(ZONE)


def test_a_corrected_reading_closes_the_finding_by_the_check(database, clock, places):
    store(database, clock, places, plain())
    read(database, clock, places, *ends_of_october(OCTOBER_WH // 2))
    check(database, clock)
    later = FixedClock(clock.at + timedelta(days=1))
    read(database, later, places, *ends_of_october(OCTOBER_WH))

    done = check(database, later)

    assert (done.closed, findings(database)) == (1, [])
    (closed,) = findings(database, state=FindingState.CORRECTED)
    assert (closed.closed_by, closed.closed_at) == ("check", later.at)


def test_what_was_accepted_is_not_said_again(database, clock, places):
    store(database, clock, places, plain())
    read(database, clock, places, *ends_of_october(OCTOBER_WH // 2))
    check(database, clock)
    (found,) = findings(database)
    with database.writing() as session:
        accept_findings(session, AcceptOrder((found.id,), "прибор заменён", RETAILER), clock)

    done = check(database, clock)

    assert (done.opened, findings(database)) == (0, [])


def test_registers_of_zones_that_are_swapped_are_seen(database, clock, places):
    totals, day, night = [], 1_000_000, 1_000_000
    for number, (of_day, of_night) in enumerate(
        [(300, 100), (310, 95), (290, 105), (305, 98), (100, 300)]
    ):
        totals.append(
            (Month(2026, 6 + number).first_day, {Zone.DAY: day, Zone.NIGHT: night}),
        )
        day, night = day + of_day * 1000, night + of_night * 1000
    totals.append((date(2026, 11, 1), {Zone.DAY: day, Zone.NIGHT: night}))
    read(database, clock, places, *totals)

    check(database, clock)

    (found,) = findings(database)
    assert found.finding.kind is FindingKind.ZONES_SWAPPED
    assert found.finding.detail["zone"] == "day"


def test_a_clock_that_was_set_by_an_hour_is_a_finding(database, clock, places):
    line = EventLine(
        1,
        "P1",
        "",
        DeviceEventKind.CLOCK_SET,
        datetime(2026, 10, 5, tzinfo=UTC),
        value=-3600,
    )
    with database.writing() as session:
        record_device_events(session, DeviceEventsOrder((line,), "file:3", RETAILER), clock)

    check(database, clock)
    check(database, clock)
    check(database, clock, Month(2026, 11))

    (found,) = findings(database)
    assert (found.finding.kind, found.finding.detail) == (
        FindingKind.CLOCK_DRIFT,
        {"seconds": -3600},
    )


def test_a_day_that_shifted_is_seen_and_grows(database, clock, places):
    values = plain()
    values[-20:] = np.roll(values[-20:], 2, axis=1)
    store(database, clock, places, values)

    in_october = FixedClock(local_midnight(date(2026, 10, 27), ZONE))
    check(database, in_october)
    (young,) = findings(database)
    check(database, clock)

    (found,) = findings(database)
    assert found.id == young.id
    assert found.finding.detail == {"variant": "profile", "minutes": 120}
    assert found.finding.period.start == young.finding.period.start
    assert found.finding.period.end == OCTOBER.period(ZONE).end


def test_what_became_known_later_counts(database, clock, places):
    """A capacity and a disconnection that were registered after the readings came."""
    store(database, clock, places, plain())
    check(database, clock)
    assert findings(database) == []
    with database.writing() as session:
        session.execute(update(MeteringPointRow).values(capacity_w=400))
        line = EventLine(
            1,
            "P1",
            "",
            DeviceEventKind.DISCONNECTED,
            datetime(2026, 10, 5, tzinfo=UTC),
            datetime(2026, 10, 6, tzinfo=UTC),
        )
        record_device_events(session, DeviceEventsOrder((line,), "file:3", RETAILER), clock)

    check(database, clock)
    check(database, clock)

    kinds = [one.finding.kind for one in findings(database)]
    assert sorted(kinds) == [FindingKind.OVER_CAPACITY, FindingKind.WHILE_DISCONNECTED]


def test_a_gap_that_was_filled_is_closed(database, clock, places):
    values = plain()
    store(database, clock, places, values[:40])
    store(database, clock, places, values[42:], first=FIRST + timedelta(days=42))
    check(database, clock)
    (gap,) = findings(database)
    later = FixedClock(clock.at + timedelta(days=1))
    store(database, later, places, values[40:42], FIRST + timedelta(days=40), source="walk:3")

    check(database, later)

    assert gap.finding.kind is FindingKind.GAP
    assert findings(database) == []
    (closed,) = findings(database, state=FindingState.CORRECTED)
    assert (closed.id, closed.closed_by, closed.closed_at) == (gap.id, "walk:3", later.at)


def test_a_spike_that_was_revised_is_closed(database, clock, places):
    values = plain()
    values[-3, 12] = 60_000
    store(database, clock, places, values)
    check(database, clock)
    (spike,) = findings(database)
    later = FixedClock(clock.at + timedelta(days=1))
    store(database, later, places, plain()[-3:-2], first=FIRST + timedelta(days=DAYS - 3))

    check(database, later)

    assert spike.finding.kind is FindingKind.SPIKE
    assert findings(database) == []


def test_findings_that_are_about_a_file_stay_for_a_person(database, clock, places):
    store(database, clock, places, plain())
    about = Finding(
        FindingKind.DUPLICATE_SAME, "P1", None, OCTOBER.period(ZONE), {"count": 2, "line": 3}
    )
    with database.writing() as session:
        add_findings(session, [about], clock.now(), batch_id=None)

    check(database, clock)

    assert [one.finding for one in findings(database)] == [about]


def test_a_month_that_has_not_begun_is_not_looked_at(database, clock, places):
    assert check(database, clock, Month(2027, 3)).opened == 0
