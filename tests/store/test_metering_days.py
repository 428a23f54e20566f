"""The interval store on both databases: filling, revising, reading back."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import func, select

from kilokassa.core.clock import FixedClock
from kilokassa.core.series import Quality
from kilokassa.db.session import Database
from metering.days import exact_days, whole_days
from metering.models import IntervalDayRevisionRow, IntervalDayRow
from metering.registry.places import Building, Channel, MeteringPoint, PlacesOrder, Premises
from metering.service import register_places
from metering.store import (
    DaysWritten,
    ReadingsConflict,
    _update_days,
    changed_since,
    channels_of_premises,
    last_days,
    load_day_revisions,
    load_day_totals,
    load_matrix,
    load_total_by_day,
    write_days,
)

VLADIVOSTOK = ZoneInfo("Asia/Vladivostok")
NEW_YORK = ZoneInfo("America/New_York")
OCTOBER = tuple(date(2026, 10, 1) + timedelta(days=n) for n in range(31))
IN_OCTOBER = FixedClock(datetime(2026, 10, 6, 9, tzinfo=UTC))


def register(database, clock, *, flats=2, zone="Asia/Vladivostok", interval_min=30):
    order = PlacesOrder(
        buildings=(Building("B1", "Хабаровск, Ленина 1", zone),),
        premises=tuple(Premises("B1", str(n + 1), 5000) for n in range(flats)),
        points=tuple(MeteringPoint(f"P{n + 1}", "B1", str(n + 1)) for n in range(flats)),
        channels=tuple(Channel(f"P{n + 1}", interval_min) for n in range(flats)),
    )
    with database.writing() as session:
        places = register_places(session, order, clock)
    return [places.channel_ids[f"P{n + 1}", "A+"] for n in range(flats)]


def flat_day(channel_id, day, value, *, intervals=48, known=slice(None)):
    energy = np.full((1, intervals), value, np.int32)
    quality = np.zeros((1, intervals), np.uint8)
    quality[0, known] = Quality.ACTUAL
    return whole_days(24 * 60 // 48, [channel_id], [day], energy, quality)


def write(database, blocks, clock, **options):
    with database.writing() as session:
        return write_days(session, blocks, clock, source="test", **options)


def count(database, row):
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(row))


def test_a_written_month_reads_back_as_one_matrix_in_the_order_asked_for(database, clock):
    first, second = register(database, clock)
    energy = np.arange(2 * 31 * 48, dtype=np.int32).reshape(62, 48)
    block = whole_days(30, [first] * 31 + [second] * 31, [*OCTOBER, *OCTOBER], energy)

    written = write(database, [block], clock)

    assert written == DaysWritten(new=62 * 48, days_touched=62)
    with database.reading() as session:
        matrix = load_matrix(session, [second, first], OCTOBER, VLADIVOSTOK, 30)
    assert matrix.start == datetime(2026, 9, 30, 14, tzinfo=UTC)
    assert matrix.energy_wh.tolist() == energy.reshape(2, -1)[::-1].tolist()
    assert (matrix.quality == Quality.ACTUAL).all()
    assert matrix.known_until == (datetime(2026, 10, 31, 14, tzinfo=UTC),) * 2
    assert matrix.digests[0] != matrix.digests[1]


def test_a_day_without_a_row_is_missing_and_not_zero(database, clock):
    channel, silent = register(database, clock)
    write(database, [flat_day(channel, date(2026, 10, 2), 7)], clock)

    with database.reading() as session:
        matrix = load_matrix(session, [channel, silent], OCTOBER[:3], VLADIVOSTOK, 30)

    assert matrix.missing.tolist() == [96, 144]
    assert matrix.energy_wh.sum() == 48 * 7
    assert matrix.known_until == (datetime(2026, 10, 2, 14, tzinfo=UTC), None)
    assert matrix.series(0).missing == 96


def test_hours_arriving_one_by_one_fill_the_day_without_a_revision(database):
    (channel,) = register(database, IN_OCTOBER, flats=1)
    day = date(2026, 10, 5)
    write(database, [flat_day(channel, day, 100, known=slice(0, 2))], IN_OCTOBER)

    written = write(database, [flat_day(channel, day, 100, known=slice(0, 10))], IN_OCTOBER)

    assert written == DaysWritten(new=8, repeated=2, days_touched=1)
    with database.reading() as session:
        row = session.execute(select(IntervalDayRow.__table__)).one()
    assert (row.revision, row.missing, row.total_wh) == (1, 38, 1000)
    assert count(database, IntervalDayRevisionRow) == 0


@pytest.mark.parametrize(
    ("recorded_at", "revisions"),
    [
        (datetime(2026, 10, 31, 9, 59, tzinfo=UTC), 1),
        (datetime(2026, 10, 31, 10, tzinfo=UTC), 2),
        (datetime(2026, 11, 24, tzinfo=UTC), 2),
    ],
)
def test_a_gap_filled_once_the_month_is_over_is_a_revision(database, recorded_at, revisions):
    (channel,) = register(database, IN_OCTOBER, flats=1, zone="Pacific/Kiritimati")
    day = date(2026, 10, 5)
    write(database, [flat_day(channel, day, 100, known=slice(0, 2))], IN_OCTOBER)

    write(database, [flat_day(channel, day, 9)], FixedClock(recorded_at), fill_only=True)

    with database.reading() as session:
        states = load_day_revisions(session, channel, day)
    assert [state.total_wh.tolist() for state in states] == [[200], [200 + 46 * 9]][-revisions:]


def test_a_changed_value_is_a_revision_and_the_day_as_it_stood_can_be_read_back(database, clock):
    (channel,) = register(database, clock, flats=1)
    day = date(2026, 10, 5)
    write(database, [flat_day(channel, day, 100)], clock)
    later = FixedClock(clock.at + timedelta(hours=1))

    written = write(database, [flat_day(channel, day, 130, known=slice(3, 5))], later)

    assert written == DaysWritten(revised=2, days_touched=1)
    with database.reading() as session:
        before, now = load_day_revisions(session, channel, day)
        row = session.execute(select(IntervalDayRow.__table__)).one()
        old = session.execute(select(IntervalDayRevisionRow.__table__)).one()
    assert before.energy_wh.tolist() == [[100] * 48]
    assert now.energy_wh.tolist() == [[100] * 3 + [130] * 2 + [100] * 43]
    assert (row.revision, row.recorded_at, row.total_wh) == (2, later.at, 4860)
    assert (old.revision, old.recorded_at, old.superseded_at) == (1, clock.at, later.at)


def test_the_same_day_again_touches_nothing(database, clock):
    (channel,) = register(database, clock, flats=1)
    block = flat_day(channel, date(2026, 10, 5), 100)
    write(database, [block], clock)

    written = write(database, [block], FixedClock(clock.at + timedelta(days=1)))

    assert written == DaysWritten(repeated=48)
    with database.reading() as session:
        row = session.execute(select(IntervalDayRow.__table__)).one()
    assert (row.revision, row.recorded_at) == (1, clock.at)


def test_where_only_filling_is_asked_for_known_values_stay(database):
    (channel,) = register(database, IN_OCTOBER, flats=1)
    day = date(2026, 10, 5)
    write(database, [flat_day(channel, day, 100, known=slice(0, 2))], IN_OCTOBER)

    written = write(database, [flat_day(channel, day, 9)], IN_OCTOBER, fill_only=True)

    assert written == DaysWritten(new=46, refused=2, days_touched=1)
    with database.reading() as session:
        (now,) = load_day_revisions(session, channel, day)
    assert now.energy_wh.tolist() == [[100] * 2 + [9] * 46]


def test_fractions_of_a_watt_hour_are_kept_and_the_day_sums_to_the_register(database):
    (channel,) = register(database, IN_OCTOBER, flats=1)
    day = date(2026, 10, 5)
    exact = np.full((1, 48), 333_333, np.int64)
    late = np.zeros((1, 48), np.uint8)
    late[0, 20:] = Quality.ACTUAL
    early = np.where(late == 0, Quality.ACTUAL, 0).astype(np.uint8)

    write(database, [exact_days(30, [channel], [day], exact, late)], IN_OCTOBER)
    write(database, [exact_days(30, [channel], [day], exact, early)], IN_OCTOBER)

    with database.reading() as session:
        (now,) = load_day_revisions(session, channel, day)
    assert now.exact_uwh().tolist() == exact.tolist()
    assert now.total_wh.tolist() == [48 * 333_333 // 1_000_000]


def test_a_day_of_25_hours_has_50_half_hours(database, clock):
    (channel,) = register(database, clock, flats=1, zone="America/New_York")
    days = [date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2)]
    blocks = [
        flat_day(channel, days[0], 1),
        flat_day(channel, days[1], 2, intervals=50),
        flat_day(channel, days[2], 3),
    ]

    write(database, blocks, clock)

    with database.reading() as session:
        matrix = load_matrix(session, [channel], days, NEW_YORK, 30)
    assert matrix.energy_wh.tolist() == [[1] * 48 + [2] * 50 + [3] * 48]


def test_a_day_that_another_changed_in_between_is_refused(database, clock):
    (channel,) = register(database, clock, flats=1)
    write(database, [flat_day(channel, date(2026, 10, 5), 100)], clock)
    with database.reading() as session:
        row = dict(session.execute(select(IntervalDayRow.__table__)).mappings().one())
    stale = {f"b_{name}": value for name, value in row.items()}
    stale |= {"b_old_revision": 1, "b_old_digest": b"0" * 16}

    with pytest.raises(ReadingsConflict), database.writing() as session:
        _update_days(session, [stale])


def test_totals_come_by_day_and_by_channel(database, clock):
    first, second = register(database, clock)
    write(database, [flat_day(first, OCTOBER[0], 10), flat_day(second, OCTOBER[1], 20)], clock)

    with database.reading() as session:
        totals = load_day_totals(session, [first, second], OCTOBER[0], OCTOBER[1])
        by_day = load_total_by_day(session, [first, second], OCTOBER[0], OCTOBER[1])
        last = last_days(session, [first, second])

    assert totals.total_wh.tolist() == [[480, 0], [0, 960]]
    assert totals.present.tolist() == [[True, False], [False, True]]
    assert by_day == {OCTOBER[0]: 480, OCTOBER[1]: 960}
    assert last == {first: OCTOBER[0], second: OCTOBER[1]}


def test_a_late_correction_is_seen_by_when_it_was_recorded(database, clock):
    first, second = register(database, clock)
    write(database, [flat_day(first, OCTOBER[0], 1), flat_day(second, OCTOBER[0], 1)], clock)
    later = FixedClock(clock.at + timedelta(days=3))
    write(database, [flat_day(second, OCTOBER[0], 2)], later)

    with database.reading() as session:
        changed = changed_since(session, OCTOBER[0], OCTOBER[-1], clock.at)
        outside = changed_since(session, OCTOBER[1], OCTOBER[-1], clock.at)

    assert changed == (second,)
    assert outside == ()


def test_the_channels_of_a_premises_come_with_their_zone(database: Database, clock):
    first, second = register(database, clock)
    with database.reading() as session:
        found = channels_of_premises(session, [1, 2])

    assert [(c.point_code, c.channel_id, c.interval_min, c.zone) for c in found] == [
        ("P1", first, 30, "Asia/Vladivostok"),
        ("P2", second, 30, "Asia/Vladivostok"),
    ]
