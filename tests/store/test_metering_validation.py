"""Findings about stored values on both databases: opened once, closed when they hold no longer."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import insert, select, update

import metering.validation.service as validation_service
from kilokassa.app.readings_import import import_readings
from kilokassa.core.scope import system_scope
from metering.days import whole_days
from metering.events.kinds import DeviceEventKind
from metering.findings.finding import FindingKind, FindingState
from metering.models import DeviceEventRow, FindingRow, MeteringPointRow
from metering.registry.places import Building, Channel, MeteringPoint, PlacesOrder
from metering.registry.service import register_places
from metering.store import write_days

RETAILER = system_scope("cli")
FIRST = date(2026, 9, 1)
NEXT = FIRST + timedelta(days=28)
POINTS = ("P1", "P2")


@pytest.fixture
def places(database, clock):
    """Two points with four weeks of ordinary half hours."""
    order = PlacesOrder(
        buildings=(Building("B1", "Ленина 1", "Asia/Vladivostok"),),
        points=tuple(MeteringPoint(p, "B1") for p in POINTS),
        channels=tuple(Channel(p, 30) for p in POINTS),
    )
    with database.writing() as session:
        placed = register_places(session, order, clock)
        for number, point in enumerate(POINTS):
            days = [FIRST + timedelta(days=n) for n in range(28)]
            values = np.random.default_rng(number).integers(50, 1000, (28, 48))
            channel_ids = [placed.channel_ids[point, "A+"]] * 28
            write_days(session, [whole_days(30, channel_ids, days, values)], clock, source="test")
    return placed


def day(point="P1", on=NEXT, *, minutes=30, **wh):
    """Lines of a day of changing values; `h1030=9000` sets the one at 10:30."""
    for number in range(24 * 60 // minutes):
        at = timedelta(minutes=minutes * number)
        clock = f"{at.seconds // 3600:02d}:{at.seconds // 60 % 60:02d}"
        value_wh = wh.get("h" + clock.replace(":", ""), 100 + number * 7 % 900)
        yield f"{point};{on}T{clock};{value_wh / 1000:.3f}"


@pytest.fixture
def load(database, clock, tmp_path):
    def load_lines(*rows, name="readings.csv"):
        path = tmp_path / name
        path.write_text("\n".join(["point;time;value", *rows]) + "\n", encoding="utf-8")
        return import_readings(database, path, scope=RETAILER, clock=clock)

    return load_lines


def kept(database):
    with database.reading() as session:
        return [
            (row.kind, row.point_code, row.state)
            for row in session.execute(select(FindingRow).order_by(FindingRow.id)).scalars()
        ]


def test_a_spike_is_stored_with_an_open_finding(database, places, load):
    result = load(*day(h1030=9000), *day("P2"))

    assert (result.new, result.refused) == (96, 0)
    (finding,) = result.findings
    assert (finding.kind, finding.point_code, finding.detail["value"]) == (
        FindingKind.SPIKE, "P1", "9",
    )  # fmt: skip
    assert finding.period.start == datetime(2026, 9, 29, 0, 30, tzinfo=UTC)


def test_the_same_import_again_opens_nothing(database, places, load):
    load(*day(h1030=9000))

    again = load(*day(h1030=9000))

    assert again.repeated == 48
    assert kept(database) == [(FindingKind.SPIKE, "P1", FindingState.OPEN)]


def test_what_a_person_accepted_is_not_opened_again_when_the_day_is_filled(database, places, load):
    rows = list(day(h1030=9000))
    load(*rows[:24])
    with database.writing() as session:
        session.execute(
            update(FindingRow)
            .where(FindingRow.kind == FindingKind.SPIKE)
            .values(state=FindingState.ACCEPTED)
        )

    load(*rows[24:], name="later.csv")

    assert kept(database) == [(FindingKind.SPIKE, "P1", FindingState.ACCEPTED)]


def test_a_corrected_value_closes_its_finding(database, places, load):
    load(*day(h1030=9000))

    correction = load(*day(h1030=900), name="correction.csv")

    assert correction.revised == 1
    assert kept(database) == [(FindingKind.SPIKE, "P1", FindingState.CORRECTED)]
    with database.reading() as session:
        row = session.execute(select(FindingRow)).scalar_one()
    assert row.closed_by == f"import:{correction.batch_id}"


def test_a_value_that_stays_stuck_from_file_to_file_is_one_open_finding(database, places, load):
    flat = {f"h{n // 2:02d}{n % 2 * 30:02d}": 345 for n in range(48)}
    for number in range(3):
        load(*day(on=NEXT + timedelta(days=number), **flat), name=f"{number}.csv")

    with database.reading() as session:
        rows = session.execute(select(FindingRow).order_by(FindingRow.id)).scalars().all()
    (row,) = rows
    assert (row.kind, row.state) == (FindingKind.STUCK, FindingState.OPEN)
    assert row.starts_at == datetime(2026, 9, 28, 14, tzinfo=UTC)
    assert row.ends_at == datetime(2026, 10, 1, 14, tzinfo=UTC)


def test_hourly_values_on_a_half_hour_channel_are_told_once_and_not_as_gaps(database, places, load):
    two_days = [row for n in range(2) for row in day(on=NEXT + timedelta(days=n), minutes=60)]

    result = load(*two_days)

    assert [(f.kind, f.detail["found"]) for f in result.findings] == [
        (FindingKind.WRONG_INTERVAL, 60)
    ]
    load(*day(), *day(on=NEXT + timedelta(days=1)), name="whole.csv")
    assert kept(database) == [(FindingKind.WRONG_INTERVAL, "P1", FindingState.CORRECTED)]


def test_capacity_and_disconnection_of_the_point_are_known_to_the_check(
    database, clock, places, load
):
    with database.writing() as session:
        session.execute(
            update(MeteringPointRow).where(MeteringPointRow.code == "P1").values(capacity_w=1_700)
        )
        session.execute(
            insert(DeviceEventRow).values(
                point_id=places.point_ids["P2"],
                kind=DeviceEventKind.DISCONNECTED,
                starts_at=datetime(2026, 9, 29, 8, tzinfo=UTC),
                source="test",
                actor="test",
                recorded_at=clock.now(),
            )
        )

    result = load(*day(h1030=851), *day("P2"))

    assert {(f.kind, f.point_code): f.detail["count"] for f in result.findings} == {
        (FindingKind.OVER_CAPACITY, "P1"): sum(100 + n * 7 % 900 > 850 for n in range(48)) + 1,
        (FindingKind.WHILE_DISCONNECTED, "P2"): 12,
    }


def test_days_far_apart_in_one_file_are_each_checked_against_their_own_past(database, places, load):
    result = load(*day(on=date(2020, 1, 1), h1030=900_000), *day(h1030=9000))

    spikes = [f for f in result.findings if f.kind is FindingKind.SPIKE]
    assert [f.period.start.year for f in spikes] == [2026]


def test_the_past_is_read_where_a_day_may_be_unusual_and_only_there(
    database, places, load, monkeypatch
):
    read = []
    real = validation_service.load_days

    def watched(session, channel_ids, first, last, interval_min):
        read.append((list(channel_ids), (NEXT - first).days))
        return real(session, channel_ids, first, last, interval_min)

    monkeypatch.setattr(validation_service, "load_days", watched)

    load(*day(h1030=9000), *day("P2"))

    ids = [places.channel_ids[point, "A+"] for point in POINTS]
    assert read == [(ids, 4), (ids[:1], 28)]


def accept(database, kind):
    with database.writing() as session:
        session.execute(
            update(FindingRow).where(FindingRow.kind == kind).values(state=FindingState.ACCEPTED)
        )


def test_a_gap_that_was_accepted_stays_so_when_the_next_day_comes(database, places, load):
    load(*list(day())[:20], *list(day())[30:])
    accept(database, FindingKind.GAP)

    load(*day(on=NEXT + timedelta(days=1)), name="next.csv")

    assert kept(database) == [(FindingKind.GAP, "P1", FindingState.ACCEPTED)]


def test_what_was_accepted_of_a_file_is_not_opened_by_the_same_file(database, places, load):
    rows = [*day(), "P2;2026-09-29T00:00;-1"]
    load(*rows)
    accept(database, FindingKind.NEGATIVE)

    again = load(*rows)

    assert again.findings_count == 0
    assert kept(database) == [(FindingKind.NEGATIVE, "P2", FindingState.ACCEPTED)]


@pytest.mark.parametrize("bound", ["GROUPS_MAX", "CELLS_A_WINDOW"])
def test_however_the_days_are_put_together_the_findings_are_the_same(
    database, places, load, monkeypatch, bound
):
    monkeypatch.setattr(validation_service, bound, 0)

    result = load(
        *day(h1030=9000),
        *day("P2", on=NEXT + timedelta(days=1)),
        *day("P2", on=NEXT + timedelta(days=3), h2000=8000),
    )

    assert {(f.point_code, f.kind, f.detail.get("value")) for f in result.findings} == {
        ("P1", FindingKind.SPIKE, "9"),
        ("P2", FindingKind.SPIKE, "8"),
        ("P2", FindingKind.GAP, None),
    }
