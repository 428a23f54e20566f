"""What was known at an instant can be read again, on both databases, whatever came later."""

from datetime import UTC, date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilokassa.core.clock import FixedClock
from kilokassa.core.period import Period
from kilokassa.core.scope import system_scope
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.days import whole_days
from metering.estimation.store import (
    add_estimates,
    kept_estimates,
    replace_estimates,
    setting_aside,
    verifications,
)
from metering.estimation.trust import Verification
from metering.meters.life import LifeEvent
from metering.meters.service import LifeEventOrder, record_life_event
from metering.registers import RegisterReading
from metering.registry.places import (
    Building,
    Channel,
    LifeEventKind,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
)
from metering.service import register_places
from metering.store import (
    load_matrix,
    load_registers,
    meters_of_premises,
    write_days,
    write_registers,
)
from tariffs.service import PublishOrder, publish_version
from tariffs.store import versions_in_force

ALL = system_scope("test")
ZONE = ZoneInfo("Asia/Vladivostok")
DAYS = tuple(date(2026, 10, 1) + timedelta(days=n) for n in range(3))
CLOSE = datetime(2026, 11, 3, tzinfo=UTC)
TOWN = PlacesOrder(
    buildings=(Building("B1", "Хабаровск, Ленина 1", ZONE.key),),
    premises=(Premises("B1", "1", 5000),),
    points=(MeteringPoint("P1", "B1", "1"),),
    meters=(Meter("P1", "S1", date(2020, 1, 1), verified_until=date(2026, 9, 30)),),
    channels=(Channel("P1", 60),),
)


@pytest.fixture
def places(database, clock):
    with database.writing() as session:
        return register_places(session, TOWN, clock)


def at(minutes):
    return FixedClock(CLOSE + timedelta(minutes=minutes))


def give(database, channel_id, day, values, clock):
    """Write the first hours of a day; a negative value is left out."""
    energy = np.full((1, 24), -1, np.int32)
    energy[0, : len(values)] = values
    quality = np.where(energy < 0, Quality.MISSING, Quality.ACTUAL).astype(np.uint8)
    block = whole_days(60, [channel_id], [day], np.maximum(energy, 0), quality)
    with database.writing() as session:
        write_days(session, [block], clock, source="test")


def matrix(database, channel_id, known_at=None):
    with database.reading() as session:
        found = load_matrix(session, [channel_id], DAYS, ZONE, 60, known_at=known_at)
    return found.energy_wh.tolist(), found.quality.tolist(), found.digests


MINUTES = count(1)
ARRIVALS = st.lists(
    st.tuples(st.sampled_from(DAYS), st.lists(st.integers(-1, 9), min_size=4, max_size=4)),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrivals=ARRIVALS)
def test_a_month_that_is_over_reads_the_same_for_ever_as_it_was_known(database, places, arrivals):
    channel_id = places.channel_ids["P1", "A+"]
    stood = []
    for day, values in arrivals:
        clock = at(next(MINUTES))
        give(database, channel_id, day, values, clock)
        stood.append((clock.now(), matrix(database, channel_id)))

    again = [matrix(database, channel_id, instant) for instant, _ in stood]

    assert again == [state for _, state in stood]


def test_a_gap_filled_while_the_month_runs_is_told_by_the_digest(database, places):
    channel_id = places.channel_ids["P1", "A+"]
    running = FixedClock(datetime(2026, 10, 2, tzinfo=UTC))
    give(database, channel_id, DAYS[0], [5, 5, -1, -1], running)
    posted = matrix(database, channel_id)
    give(database, channel_id, DAYS[0], [5, 5, 7, 7], FixedClock(running.at + timedelta(hours=9)))

    again = matrix(database, channel_id, running.at)

    assert posted[0][0][:4] == [5, 5, 0, 0]
    assert again[0][0][:4] == [0, 0, 0, 0]
    assert again[2] != posted[2]


def test_a_register_reads_as_it_was_known(database, places):
    meter_id = int(places.meter_ids["P1", "S1"])
    taken_at = datetime(2026, 10, 25, tzinfo=UTC)
    values = (100_000, 90_000, 95_000)
    for number, value in enumerate(values):
        with database.writing() as session:
            reading = RegisterReading(meter_id, Zone.ALL, taken_at, value)
            write_registers(session, [reading], at(number), source="test")

    with database.reading() as session:
        known = [
            [r.value for r in load_registers(session, [meter_id], known_at=at(number - 1).now())]
            for number in range(4)
        ]

    assert known == [[], [100_000], [90_000], [95_000]]


def test_an_estimate_holds_from_when_it_was_made_until_it_was_replaced(database, places):
    channel_id = places.channel_ids["P1", "A+"]
    with database.reading() as session:
        meter = meters_of_premises(session, [places.premises_ids["B1", "1"]])[0]
    period = Period(datetime(2026, 9, 30, 14, tzinfo=UTC), datetime(2026, 10, 31, 14, tzinfo=UTC))
    row = {
        "point_id": meter.point_id,
        "channel_id": channel_id,
        "starts_at": period.start,
        "ends_at": period.end,
        "method": "norm",
        "rule": "verification_expired.norm",
        "basis": {},
        "quantity": 100_000,
    }
    with database.writing() as session:
        add_estimates(session, [row], CLOSE)
        (made,) = kept_estimates(session, [meter.point_id])[meter.point_id]
        replace_estimates(session, [made.id], at(5).now())

    with database.reading() as session:
        held = [
            (
                bool(kept_estimates(session, [meter.point_id], known_at=at(minute).now())),
                bool(setting_aside(session, [channel_id], period, known_at=at(minute).now())),
            )
            for minute in (-1, 0, 4, 5)
        ]
        assert not kept_estimates(session, [meter.point_id])

    assert held == [(False, False), (True, True), (True, True), (False, False)]


def test_a_verification_told_later_was_not_known(database, places):
    premises_id = places.premises_ids["B1", "1"]
    event = LifeEvent(LifeEventKind.VERIFIED, date(2026, 10, 1), date(2042, 9, 30))
    with database.writing() as session:
        record_life_event(session, LifeEventOrder(ALL, "P1", "S1", event), at(0))

    with database.reading() as session:
        before, after = (
            meters_of_premises(session, [premises_id], known_at=at(minute).now())[0]
            for minute in (-1, 0)
        )
        told = [
            verifications(session, [after.meter_id], known_at=at(minute).now()).get(after.meter_id)
            for minute in (-1, 0)
        ]

    assert before.verified_until == date(2026, 9, 30)
    assert after.verified_until == date(2042, 9, 30)
    assert told == [
        None,
        [
            Verification(date(2020, 1, 1), date(2026, 9, 30)),
            Verification(date(2026, 10, 1), date(2042, 9, 30)),
        ],
    ]


def test_a_meter_that_was_retired_later_still_stood_there(database, places):
    premises_id = places.premises_ids["B1", "1"]
    event = LifeEvent(LifeEventKind.RETIRED, date(2026, 10, 20))
    with database.writing() as session:
        record_life_event(session, LifeEventOrder(ALL, "P1", "S1", event), at(0))

    with database.reading() as session:
        removed_on = [
            meters_of_premises(session, [premises_id], known_at=at(minute).now())[0].removed_on
            for minute in (-1, 0)
        ]

    assert removed_on == [None, date(2026, 10, 20)]


def test_a_version_published_later_does_not_count(database):
    october = Period(datetime(2026, 9, 30, 14, tzinfo=UTC), datetime(2026, 10, 31, 14, tzinfo=UTC))
    with database.writing() as session:
        plan_id = publish_version(
            session, PublishOrder(ALL, _tariff("2026-01-01", "5")), at(0)
        ).plan_id
        publish_version(session, PublishOrder(ALL, _tariff("2026-10-15", "6")), at(1))
        right = PublishOrder(ALL, _tariff("2026-10-15", "7"), replaces=True)
        publish_version(session, right, at(2))

    with database.reading() as session:
        rates = [
            [
                version.rates[0].rates_scaled[0][0]
                for _, version in versions_in_force(
                    session, [plan_id], october, ZONE, known_at=at(minute).now()
                ).get(plan_id, ())
            ]
            for minute in (-1, 0, 1, 2)
        ]

    assert rates == [[], [5_000_000], [5_000_000, 6_000_000], [5_000_000, 7_000_000]]


def _tariff(valid_from, rate):
    return (
        f"plan: single\nname: {{ru: Один, en: Single}}\nvalid_from: {valid_from}\ncurrency: RUB\n"
        f"vat: included\nprices:\n  - from: {valid_from}\n    per_kwh: {rate}\n"
        "source: S1\nconfidence: high\n"
    )
