"""Device events and quality events on both databases: recorded once, decided by somebody."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from billing.models import AccountRow
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, Invalid, NotFound, RequestConflict
from kilokassa.core.ids import AccountId, BuildingId, CompanyId
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.text import Language, gettext
from metering.events.kinds import (
    DeviceEventKind,
    EventLine,
    EventRefusal,
    QualityBasis,
    QualityEventKind,
    QualityEventState,
)
from metering.events.service import (
    DecideOrder,
    DeviceEventsOrder,
    EndOrder,
    QualityDecided,
    QualityOrder,
    decide_quality,
    end_quality,
    record_device_events,
    record_quality,
)
from metering.events.store import (
    EventFilter,
    QualityFilter,
    get_quality,
    list_events,
    list_quality,
)
from metering.models import DeviceEventRow
from metering.registry.places import (
    Building,
    Commodity,
    Company,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
)
from metering.service import register_places

RETAILER = system_scope("cli")
EVENING = datetime(2026, 11, 3, 8, tzinfo=UTC)
NO_SUPPLY = QualityEventKind.NO_SUPPLY
FLATS = tuple(range(1, 7))


@pytest.fixture
def places(database, clock):
    order = PlacesOrder(
        companies=(Company("UK1", "УК Первая"), Company("UK2", "УК Вторая")),
        buildings=(
            Building("B1", "Ленина 1", "Asia/Vladivostok", "UK1"),
            Building("B2", "Ленина 2", "Asia/Vladivostok", "UK2"),
        ),
        premises=(
            *(Premises("B1", str(n), 4500) for n in FLATS),
            Premises("B2", "1", 4500),
        ),
        points=(
            *(MeteringPoint(f"P{n}", "B1", str(n)) for n in FLATS),
            MeteringPoint("Q1", "B2", "1"),
        ),
        meters=(
            *(Meter(f"P{n}", f"S{n}", date(2020, 1, 1)) for n in FLATS),
            Meter("Q1", "T1", date(2020, 1, 1)),
        ),
    )
    with database.writing() as session:
        return register_places(session, order, clock)


def company_of(places, code="UK1"):
    return Scope(Role.COMPANY, f"{code}@x", company_ids=frozenset({places.company_ids[code]}))


def record(database, clock, *lines, source="file:1", scope=RETAILER, once=False):
    order = DeviceEventsOrder(lines, source, scope, once)
    with database.writing() as session:
        return record_device_events(session, order, clock)


def line(number, point, kind, starts, ends=None, value=None, serial=""):
    return EventLine(number, point, serial, kind, starts, ends, value)


def power_off(number, minutes, lasts=60):
    starts = EVENING + timedelta(minutes=minutes)
    ends = None if lasts is None else starts + timedelta(minutes=lasts)
    return line(number, f"P{number}", DeviceEventKind.POWER_OFF, starts, ends)


def events(database, scope=RETAILER, **wished):
    with database.reading() as session:
        return list_events(session, scope, EventFilter(**wished))[0]


def quality(database, scope=RETAILER, **wished):
    with database.reading() as session:
        return list_quality(session, scope, QualityFilter(**wished))[0]


def test_events_are_stored_once_and_shown_with_their_meter(database, clock, places):
    local = datetime.fromisoformat("2026-11-03T18:00")
    lines = (
        line(2, "P1", DeviceEventKind.MAGNET, local, local + timedelta(minutes=9)),
        line(3, "", DeviceEventKind.CLOCK_SET, EVENING, value=-95, serial="T1"),
    )

    first, again = record(database, clock, *lines), record(database, clock, *lines)

    assert (first.new, first.refused, again.new, again.repeated) == (2, (), 0, 2)
    found = {(e.point_code, e.serial, e.kind, e.starts_at, e.value) for e in events(database)}
    assert found == {
        ("P1", "S1", DeviceEventKind.MAGNET, EVENING, None),
        ("Q1", "T1", DeviceEventKind.CLOCK_SET, EVENING, -95),
    }
    assert [e.point_code for e in events(database, tampering=True)] == ["P1"]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (line(2, "P99", DeviceEventKind.MAGNET, EVENING), EventRefusal.UNKNOWN_POINT),
        (line(2, "P1", DeviceEventKind.MAGNET, EVENING, serial="S2"), EventRefusal.UNKNOWN_POINT),
        (
            line(2, "P1", DeviceEventKind.MAGNET, EVENING, EVENING - timedelta(1)),
            EventRefusal.ENDS_BEFORE,
        ),
        (
            line(2, "P1", DeviceEventKind.MAGNET, datetime(2026, 11, 30, tzinfo=UTC)),
            EventRefusal.IN_FUTURE,
        ),
    ],
)
def test_what_cannot_be_placed_is_refused_line_by_line(database, clock, places, told, reason):
    done = record(database, clock, told, line(3, "P2", DeviceEventKind.MAGNET, EVENING))

    assert (done.new, [(one.line.line, one.reason) for one in done.refused]) == (1, [(2, reason)])
    assert "2" in done.refused[0].sentence(lambda text: gettext(text, Language.RUSSIAN))


def test_an_event_that_lasted_takes_its_end_but_never_another_one(database, clock, places):
    kind = DeviceEventKind.DISCONNECTED
    record(database, clock, line(2, "P1", kind, EVENING))
    end = EVENING + timedelta(hours=2)

    ended = record(database, clock, line(2, "P1", kind, EVENING, end))
    other = record(database, clock, line(2, "P1", kind, EVENING, end + timedelta(hours=1)))

    assert (ended.new, ended.ended) == (0, 1)
    assert [one.reason for one in other.refused] == [EventRefusal.STORED_DIFFERENT]
    assert [e.ends_at for e in events(database)] == [end]


def test_a_company_records_for_its_own_houses_alone(database, clock, places):
    scope = company_of(places)

    done = record(
        database,
        clock,
        line(1, "P1", DeviceEventKind.MAGNET, EVENING),
        line(2, "Q1", DeviceEventKind.MAGNET, EVENING),
        scope=scope,
    )

    assert (done.new, [one.reason for one in done.refused]) == (1, [EventRefusal.UNKNOWN_POINT])
    record(database, clock, line(2, "Q1", DeviceEventKind.MAGNET, EVENING))
    assert [e.point_code for e in events(database, scope)] == ["P1"]
    with pytest.raises(Forbidden):
        record(database, clock, scope=Scope(Role.RESIDENT, "r"))


def test_the_key_of_a_request_stands_for_one_batch(database, clock, places):
    magnet = line(1, "P1", DeviceEventKind.MAGNET, EVENING)
    record(database, clock, magnet, source="api:key-0001", once=True)

    again = record(database, clock, magnet, source="api:key-0001", once=True)

    assert again.repeated == 1
    for other in ((line(1, "P2", DeviceEventKind.MAGNET, EVENING),), ()):
        with pytest.raises(RequestConflict):
            record(database, clock, *other, source="api:key-0001", once=True)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(DeviceEventRow)) == 1


def test_power_that_goes_off_in_a_third_of_the_flats_proposes_a_cut(database, clock, places):
    two = record(database, clock, power_off(1, 0), power_off(2, 1))

    three = record(database, clock, power_off(3, 3, None))

    assert (two.proposed, len(three.proposed)) == ((), 1)
    (cut,) = quality(database)
    assert (cut.building_code, cut.premises_id, cut.kind, cut.commodity) == (
        "B1",
        None,
        NO_SUPPLY,
        Commodity.ELECTRICITY,
    )
    assert (cut.basis, cut.state) == (QualityBasis.METER, QualityEventState.REPORTED)
    assert (cut.starts_at, cut.ends_at) == (
        EVENING + timedelta(minutes=3),
        EVENING + timedelta(minutes=60),
    )


def test_a_proposal_grows_until_a_person_decided(database, clock, places):
    record(database, clock, *(power_off(n, n) for n in (3, 4, 5)))
    (cut,) = quality(database)

    record(database, clock, power_off(1, 0, 90), power_off(2, 0, 90))
    (grown,) = quality(database)
    with database.writing() as session:
        decide_quality(
            session, DecideOrder(cut.id, QualityEventState.REJECTED, "ремонт", RETAILER), clock
        )
    record(database, clock, power_off(6, 0, 90))

    assert (grown.id, grown.starts_at) == (cut.id, EVENING + timedelta(minutes=3))
    assert grown.ends_at == EVENING + timedelta(minutes=65)
    assert [(one.id, one.ends_at) for one in quality(database)] == [(cut.id, grown.ends_at)]


# --- quality ---


def order_of(scope=RETAILER, **changes):
    values = {
        "commodity": Commodity.HEAT,
        "kind": QualityEventKind.ROOM_TEMPERATURE,
        "basis": QualityBasis.ACT,
        "starts_at": EVENING,
        "ends_at": EVENING + timedelta(hours=5),
        "scope": scope,
        "building_code": "B1",
        "premises_number": "2",
        "measured_tenths": 165,
        "document": "акт 7",
    } | changes
    return QualityOrder(**values)


def tell(database, clock, **changes):
    with database.writing() as session:
        return record_quality(session, order_of(**changes), clock)


def decide(database, clock, event_id, state=QualityEventState.CONFIRMED, note="", scope=RETAILER):
    with database.writing() as session:
        return decide_quality(session, DecideOrder(event_id, state, note, scope), clock)


def test_an_act_is_recorded_and_confirmed_by_somebody(database, clock, places):
    told = tell(database, clock)

    decided = decide(database, clock, told.event.id, note="проверено")

    assert told.event.state is QualityEventState.REPORTED
    assert (decided.state, decided.decided_by, decided.decided_at) == (
        QualityEventState.CONFIRMED,
        "cli",
        clock.at,
    )
    assert (decided.premises_number, decided.measured_tenths, decided.note) == (
        "2",
        165,
        "проверено",
    )


def test_the_second_who_decides_is_told_who_was_first(database, clock, places):
    told = tell(database, clock)
    decide(database, clock, told.event.id, scope=company_of(places))

    with pytest.raises(QualityDecided) as caught:
        decide(database, clock, told.event.id, QualityEventState.REJECTED, "нет")

    russian = caught.value.sentence(lambda text: gettext(text, Language.RUSSIAN))
    assert "UK1@x" in russian
    assert "подтверждено" in russian.lower()


def test_what_overlaps_is_told_and_still_recorded(database, clock, places):
    house = tell(database, clock, premises_number="", starts_at=EVENING - timedelta(hours=1))

    flat = tell(database, clock)
    after = tell(
        database,
        clock,
        starts_at=EVENING + timedelta(hours=5),
        ends_at=EVENING + timedelta(hours=6),
    )

    assert [one.id for one in flat.overlapping] == [house.event.id]
    assert after.overlapping == ()


def test_the_same_key_again_is_one_event_and_another_request_is_refused(database, clock, places):
    first = tell(database, clock, idempotency_key="key-00001")

    again = tell(database, clock, idempotency_key="key-00001")

    assert (again.event.id, again.repeated) == (first.event.id, True)
    with pytest.raises(RequestConflict):
        tell(database, clock, idempotency_key="key-00001", measured_tenths=150)
    assert len(quality(database)) == 1


def test_a_lasting_event_ends_once(database, clock, places):
    told = tell(database, clock, ends_at=None)
    end = EVENING + timedelta(hours=3)

    with database.writing() as session:
        ended = end_quality(session, EndOrder(told.event.id, end, RETAILER), clock)

    assert ended.ends_at == end
    with pytest.raises(Invalid, match="does not last"), database.writing() as session:
        end_quality(session, EndOrder(told.event.id, end + timedelta(hours=1), RETAILER), clock)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": QualityEventKind.VOLTAGE},
        {"ends_at": EVENING},
        {"measured_tenths": None},
        {"measured_tenths": 999},
        {"note": "x" * 501},
    ],
)
def test_an_order_that_makes_no_sense_cannot_be_made(changes):
    with pytest.raises(Invalid):
        order_of(**changes)


def test_what_lies_in_the_future_is_refused(database, places):
    early = FixedClock(EVENING - timedelta(hours=1))

    with pytest.raises(Invalid, match="future"):
        tell(database, early)


def test_a_company_works_on_its_own_houses_alone(database, clock, places):
    own, other = company_of(places), company_of(places, "UK2")
    told = tell(database, clock, scope=own)

    with pytest.raises(NotFound):
        tell(database, clock, scope=other)
    with pytest.raises(NotFound):
        decide(database, clock, told.event.id, scope=other)
    assert quality(database, other) == ()
    assert [one.id for one in quality(database, own)] == [told.event.id]


@pytest.fixture
def resident(database, places, clock):
    with database.writing() as session:
        account = AccountRow(
            number="1",
            payer_name="Иванова",
            premises_id=places.premises_ids["B1", "2"],
            persons=1,
            opened_on=date(2026, 1, 1),
        )
        session.add(account)
        session.flush()
        return Scope(Role.RESIDENT, "r@x", account_ids=frozenset({AccountId(account.id)}))


def test_a_resident_complains_about_the_own_flat_alone(database, clock, places, resident):
    own, other = places.premises_ids["B1", "2"], places.premises_ids["B1", "3"]
    complaint = {"basis": QualityBasis.COMPLAINT, "document": "", "scope": resident}
    house = tell(database, clock, premises_number="")
    tell(database, clock, premises_number="3")

    told = tell(database, clock, premises_id=own, **complaint)

    assert (told.event.state, told.event.recorded_by) == (QualityEventState.REPORTED, "r@x")
    seen = [one.id for one in quality(database, resident)]
    assert sorted(seen) == sorted([house.event.id, told.event.id])
    with pytest.raises(NotFound):
        tell(database, clock, premises_id=other, **complaint)
    with pytest.raises(Forbidden):
        tell(database, clock, scope=resident)
    with pytest.raises(Forbidden):
        decide(database, clock, told.event.id, scope=resident)


def test_a_scope_of_one_house_reaches_it(database, clock, places):
    scope = Scope(
        Role.COMPANY, "h@x", building_ids=frozenset({BuildingId(places.building_ids["B2"])})
    )
    told = tell(database, clock, building_code="B2", premises_number="", scope=scope)

    with database.reading() as session:
        assert get_quality(session, scope, told.event.id).building_code == "B2"
        with pytest.raises(NotFound):
            get_quality(
                session,
                Scope(Role.COMPANY, "x", company_ids=frozenset({CompanyId(99)})),
                told.event.id,
            )
