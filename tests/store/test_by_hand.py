"""Readings by hand, kept on both databases: what residents submit and what walk-rounds bring."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from threading import Barrier

import pytest
from PIL import Image
from sqlalchemy import func, insert, select

from billing.models import AccountRow
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, Invalid, NotFound, RequestConflict
from kilokassa.core.ids import AccountId, BuildingId
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.by_hand import store as store
from metering.by_hand.photos import remade
from metering.by_hand.readings import RemarkKind, Verdict, window_state
from metering.by_hand.service import (
    GivenReading,
    OpenRoundOrder,
    RoundOutcomeOrder,
    RoundPhotoOrder,
    RoundReadingsOrder,
    SubmitOrder,
    WindowOrder,
    attach_photo,
    close_walk_round,
    judge_submission,
    open_walk_round,
    record_round_outcome,
    record_round_readings,
    reopen_walk_round,
    set_reading_window,
    submit_readings,
    walk_line,
    walk_sheet,
)
from metering.events.kinds import VisitOutcome
from metering.findings.finding import FindingKind, FindingState
from metering.models import FindingRow, ReadingPhotoRow, RegisterReadingRow, WalkRoundVisitRow
from metering.registers import RegisterReading, register_differences
from metering.registry.places import (
    Building,
    Channel,
    Commodity,
    Company,
    Meter,
    MeteringPoint,
    MeterReplacement,
    PlacesOrder,
    Premises,
)
from metering.service import register_places, replace_meter
from metering.store import load_registers, write_registers

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
"""13:00 on 20 November in the house, within the window of 15 to 25."""
CLOCK = FixedClock(NOW)
STAFF = system_scope("operator")
FLATS = ("2", "10", "1")


@pytest.fixture
def house(database):
    """Three flats with an electric meter of two zones and a cold water one, a year of readings."""
    order = PlacesOrder(
        companies=(Company("UK1", "УК Первая", "2700000000"),),
        buildings=(
            Building("B1", "Ленина 1", "Asia/Vladivostok", "UK1"),
            Building("B2", "Ленина 2", "Asia/Vladivostok"),
        ),
        premises=(*(Premises("B1", n, 4500) for n in FLATS), Premises("B2", "1", 4500)),
        points=(
            *(MeteringPoint(f"E{n}", "B1", n) for n in FLATS),
            *(MeteringPoint(f"W{n}", "B1", n, Commodity.COLD_WATER) for n in FLATS),
            MeteringPoint("E-B2", "B2", "1"),
        ),
        meters=(
            *(Meter(f"E{n}", f"SE{n}", date(2020, 1, 1)) for n in FLATS),
            *(Meter(f"W{n}", f"SW{n}", date(2020, 1, 1), digits=5) for n in FLATS),
            Meter("E-B2", "SB2", date(2020, 1, 1)),
        ),
        channels=(Channel("E-B2", 30),),
    )
    with database.writing() as session:
        places = register_places(session, order, CLOCK)
        readings = []
        for n in FLATS:
            electric, water = (
                places.meter_ids[f"E{n}", f"SE{n}"],
                places.meter_ids[f"W{n}", f"SW{n}"],
            )
            for month in range(11):
                at = datetime(2026, month + 1, 19, 2, tzinfo=UTC) - timedelta(days=30)
                readings += [
                    RegisterReading(
                        electric, Zone.DAY, at, 1_000_000 + month * 200_000, Quality.ACTUAL
                    ),
                    RegisterReading(
                        electric, Zone.NIGHT, at, 500_000 + month * 100_000, Quality.ACTUAL
                    ),
                    RegisterReading(water, Zone.ALL, at, 100_000 + month * 4_000, Quality.ACTUAL),
                ]
        write_registers(session, readings, CLOCK, source="seed")
        for n in FLATS:
            session.execute(
                insert(AccountRow).values(
                    number=f"A{n}",
                    payer_name="Житель",
                    premises_id=places.premises_ids["B1", n],
                    opened_on=date(2020, 1, 1),
                )
            )
    return places


def resident(database, flat: str) -> Scope:
    with database.reading() as session:
        account_id = session.scalar(select(AccountRow.id).where(AccountRow.number == f"A{flat}"))
    return Scope(Role.RESIDENT, f"user:{flat}", account_ids=frozenset({AccountId(account_id)}))


def given(house, day=3_200, night=1_600, water=None, *, flat="1") -> tuple[GivenReading, ...]:
    electric, wet = (
        house.meter_ids[f"E{flat}", f"SE{flat}"],
        house.meter_ids[f"W{flat}", f"SW{flat}"],
    )
    found = []
    if day is not None:
        found.append(GivenReading(electric, Zone.DAY, day * 1000))
    if night is not None:
        found.append(GivenReading(electric, Zone.NIGHT, night * 1000))
    if water is not None:
        found.append(GivenReading(wet, Zone.ALL, water))
    return tuple(found)


def submit(database, house, readings, *, scope=None, clock=CLOCK, flat="1", **more):
    order = SubmitOrder(
        scope or resident(database, flat), house.premises_ids["B1", flat], readings, **more
    )
    with database.writing() as session:
        return submit_readings(session, order, clock)


def kept(database, house, flat="1"):
    with database.reading() as session:
        found = load_registers(
            session, [house.meter_ids[f"E{flat}", f"SE{flat}"]], first=NOW - timedelta(days=1)
        )
    return [(r.zone, r.taken_at, r.value, r.quality, r.revision) for r in found]


def count(database, row) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(row))


def later(**shift) -> FixedClock:
    return FixedClock(NOW + timedelta(**shift))


def test_all_zones_and_the_water_are_taken_in_at_once(database, house):
    result = submit(database, house, given(house, water=148_500))

    assert result.stored
    assert result.verdict is Verdict.OK
    assert kept(database, house) == [
        (Zone.DAY, NOW, 3_200_000, Quality.CUSTOMER_READ, 1),
        (Zone.NIGHT, NOW, 1_600_000, Quality.CUSTOMER_READ, 1),
    ]
    with database.reading() as session:
        listed = store.listed_readings(
            session, resident(database, "1"), house.premises_ids["B1", "1"], limit=3
        )
    assert {one.source for one in listed} == {"resident:user:1"}
    assert {one.commodity for one in listed} == {Commodity.ELECTRICITY, Commodity.COLD_WATER}


def test_one_refused_zone_keeps_all_of_them_out(database, house):
    before = count(database, RegisterReadingRow)

    result = submit(database, house, given(house, day=2_000, night=1_600))

    assert not result.stored
    refused = {one.zone: one.judgement.verdict for one in result.judged}
    assert refused == {Zone.DAY: Verdict.REFUSED, Zone.NIGHT: Verdict.OK}
    assert count(database, RegisterReadingRow) == before


def test_an_implausible_reading_is_kept_when_confirmed_and_leaves_a_finding(database, house):
    asked = submit(database, house, given(house, day=9_000))

    taken = submit(database, house, given(house, day=9_000), confirmed=True)

    assert not asked.stored
    assert asked.verdict is Verdict.WARN
    assert [r.kind for r in asked.judged[0].judgement.remarks] == [RemarkKind.FAR_ABOVE_USUAL]
    assert taken.stored
    with database.reading() as session:
        (finding,) = session.scalars(select(FindingRow)).all()
        assert (finding.kind, finding.state) == (FindingKind.SPIKE, FindingState.OPEN)
        assert finding.point_code == "E1"


def test_a_second_press_of_the_same_form_changes_nothing(database, house):
    first = submit(database, house, given(house), key="form-1")
    rows = count(database, RegisterReadingRow)

    again = submit(database, house, given(house), key="form-1", clock=later(minutes=3))
    next_day = submit(database, house, given(house), key="form-1", clock=later(days=1))

    assert first.stored
    assert not first.repeated
    assert again.repeated
    assert next_day.repeated
    assert count(database, RegisterReadingRow) == rows


def test_a_key_is_not_used_for_other_readings(database, house):
    submit(database, house, given(house), key="form-1")

    with pytest.raises(RequestConflict):
        submit(database, house, given(house, day=3_201), key="form-1")


def test_what_is_given_again_on_the_same_day_corrects_it(database, house):
    submit(database, house, given(house, day=3_250))

    submit(database, house, given(house, day=3_205, night=None), clock=later(hours=5))

    assert kept(database, house) == [
        (Zone.DAY, NOW, 3_205_000, Quality.CUSTOMER_READ, 2),
        (Zone.NIGHT, NOW, 1_600_000, Quality.CUSTOMER_READ, 1),
    ]


def test_a_later_day_of_the_window_adds_a_reading_or_corrects_the_one_named(database, house):
    submit(database, house, given(house, day=9_000, night=None), confirmed=True)

    too_low = submit(database, house, given(house, day=3_220, night=None), clock=later(days=2))
    corrected = submit(
        database, house, given(house, day=3_200, night=None), clock=later(days=2), corrects=NOW
    )
    added = submit(database, house, given(house, day=3_220, night=None), clock=later(days=2))

    assert too_low.verdict is Verdict.REFUSED
    assert corrected.stored
    assert added.stored
    assert [(at, value, revision) for _, at, value, _, revision in kept(database, house)] == [
        (NOW, 3_200_000, 2),
        (NOW + timedelta(days=2), 3_220_000, 1),
    ]
    with database.reading() as session:
        (finding,) = session.scalars(select(FindingRow)).all()
        assert (finding.state, finding.closed_by) == (FindingState.CORRECTED, "resident:user:1")


def test_after_the_window_a_reading_is_still_taken_but_none_is_corrected(database, house):
    submit(database, house, given(house, night=None))

    late = submit(database, house, given(house, day=3_260, night=None), clock=later(days=8))

    assert late.stored
    with pytest.raises(Invalid, match="while the window is open"):
        submit(
            database, house, given(house, day=3_201, night=None), clock=later(days=8), corrects=NOW
        )


def test_a_neighbour_reaches_neither_the_meter_nor_the_premises(database, house):
    with pytest.raises(NotFound):
        submit(database, house, given(house, flat="2"), scope=resident(database, "1"), flat="2")
    with pytest.raises(NotFound):
        submit(database, house, given(house, flat="2"))


def test_who_has_moved_out_reaches_nothing(database, house):
    scope = resident(database, "1")
    with database.writing() as session:
        session.get(AccountRow, next(iter(scope.account_ids))).closed_on = date(2026, 11, 1)

    with pytest.raises(NotFound):
        submit(database, house, given(house), scope=scope)


def test_a_company_submits_nothing_for_residents(database, house):
    company = Scope(Role.COMPANY, "uk", building_ids=frozenset({BuildingId(1)}))

    with pytest.raises(Forbidden):
        submit(database, house, given(house), scope=company)


def test_judging_writes_nothing(database, house):
    before = count(database, RegisterReadingRow)
    order = SubmitOrder(resident(database, "1"), house.premises_ids["B1", "1"], given(house, 9_000))

    with database.reading() as session:
        judged = judge_submission(session, order, CLOCK)

    assert judged[0].judgement.verdict is Verdict.WARN
    assert count(database, RegisterReadingRow) == before


def test_a_zone_that_the_meter_has_not_is_refused(database, house):
    electric = house.meter_ids["E1", "SE1"]

    with pytest.raises(Invalid, match="no register of the zone peak"):
        submit(database, house, (GivenReading(electric, Zone.PEAK, 1_000),))


# --- windows ---


def test_a_window_is_set_for_all_and_for_a_house_and_set_again(database, house):
    everywhere = WindowOrder(STAFF, date(2026, 11, 1), 10, 20, source="договор")
    of_house = replace(everywhere, first_day=20, last_day=25, building_code="B1")

    with database.writing() as session:
        for order in (everywhere, of_house, replace(of_house, last_day=26), everywhere):
            set_reading_window(session, order, CLOCK)

    with database.reading() as session:
        rules = store.window_rules(session)
        b1 = store.building_id_in_reach(session, STAFF, "B1")
        b2 = store.building_id_in_reach(session, STAFF, "B2")
    assert len(rules) == 2
    assert window_state(rules, b1, date(2026, 11, 21)).window.closes_on == date(2026, 11, 26)
    assert window_state(rules, b2, date(2026, 11, 15)).window.closes_on == date(2026, 11, 20)


def test_only_who_manages_meters_sets_a_window(database, house):
    company = Scope(Role.COMPANY, "uk", building_ids=frozenset({BuildingId(1)}))

    with database.writing() as session, pytest.raises(Forbidden):
        set_reading_window(session, WindowOrder(company, date(2026, 11, 1), 1, 5, 2, "B1"), CLOCK)


# --- walk-rounds ---


def open_round(database, scope=STAFF, code="B1", day=date(2026, 11, 20), clock=CLOCK):
    with database.writing() as session:
        return open_walk_round(session, OpenRoundOrder(scope, code, day), clock)


def enter(database, house, round_id, *values, flat="1", clock=CLOCK, scope=STAFF, **more):
    meter_id = house.meter_ids[f"E{flat}", f"SE{flat}"]
    order = RoundReadingsOrder(scope, round_id, meter_id, tuple(values), **more)
    with database.writing() as session:
        return record_round_readings(session, order, clock)


def line_of(database, round_id, meter_id, scope=STAFF):
    with database.reading() as session:
        return walk_line(session, scope, round_id, meter_id)


def sheet_of(database, round_id, scope=STAFF):
    with database.reading() as session:
        return walk_sheet(session, scope, round_id)


def test_a_list_has_the_meters_in_the_order_of_the_flats_with_what_they_showed(database, house):
    found = open_round(database)

    sheet = sheet_of(database, found.id)

    assert [(r.meter.premises_number, r.meter.serial) for r in sheet.rows] == [
        ("1", "SE1"), ("1", "SW1"), ("2", "SE2"), ("2", "SW2"), ("10", "SE10"), ("10", "SW10"),
    ]  # fmt: skip
    day, night = sheet.rows[0].registers
    assert (day.zone, day.previous.value, night.zone) == (Zone.DAY, 3_000_000, Zone.NIGHT)
    assert 200_000 < day.usual < 230_000
    assert (sheet.done, len(sheet.rows)) == (0, 6)


def test_the_list_of_a_house_that_sends_its_values_holds_all_its_meters(database, house):
    sheet = sheet_of(database, open_round(database, code="B2").id)

    assert [row.meter.serial for row in sheet.rows] == ["SB2"]
    assert sheet.rows[0].meter.remote


def test_a_list_is_left_and_gone_on_with(database, house):
    found = open_round(database)
    enter(database, house, found.id, (Zone.DAY, 3_200_000), (Zone.NIGHT, 1_600_000))

    again = open_round(database, clock=later(hours=4))
    sheet = sheet_of(database, again.id)

    assert again == found
    assert sheet.done == 1
    assert [register.value for register in sheet.rows[0].registers] == [3_200_000, 1_600_000]
    assert sheet.rows[0].visit.outcome is VisitOutcome.READ
    assert kept(database, house)[0][3:] == (Quality.ACTUAL, 1)


def test_a_meter_is_done_with_when_all_its_zones_are_entered(database, house):
    found = open_round(database)

    enter(database, house, found.id, (Zone.DAY, 3_200_000))
    half = sheet_of(database, found.id)
    enter(database, house, found.id, (Zone.NIGHT, 1_600_000))

    assert (half.done, sheet_of(database, found.id).done) == (0, 1)


def test_entering_a_meter_again_corrects_it(database, house):
    found = open_round(database)
    enter(database, house, found.id, (Zone.DAY, 3_280_000), (Zone.NIGHT, 1_600_000))

    enter(database, house, found.id, (Zone.DAY, 3_208_000), clock=later(hours=1))

    assert kept(database, house)[0] == (Zone.DAY, NOW, 3_208_000, Quality.ACTUAL, 2)


def test_a_list_of_paper_is_entered_for_the_day_on_which_it_was_taken(database, house):
    found = open_round(database, day=date(2026, 11, 19))

    enter(database, house, found.id, (Zone.DAY, 3_200_000))

    with database.reading() as session:
        latest = load_registers(session, [house.meter_ids["E1", "SE1"]])
    noon = datetime(2026, 11, 19, 2, tzinfo=UTC)
    assert [r.taken_at for r in latest if r.value == 3_200_000] == [noon]


@pytest.mark.parametrize("day", [date(2026, 11, 21), date(2026, 9, 1)])
def test_a_list_lies_neither_ahead_nor_far_back(database, house, day):
    with pytest.raises(Invalid, match="two months"):
        open_round(database, day=day)


def test_an_outcome_is_kept_and_a_reading_after_it_counts(database, house):
    found = open_round(database)
    meter_id = house.meter_ids["E2", "SE2"]

    with database.writing() as session:
        for _ in range(2):
            order = RoundOutcomeOrder(STAFF, found.id, meter_id, VisitOutcome.NO_ACCESS, "дома нет")
            record_round_outcome(session, order, CLOCK)
    away = line_of(database, found.id, meter_id)
    enter(database, house, found.id, (Zone.DAY, 3_200_000), (Zone.NIGHT, 1_600_000), flat="2")

    assert (away.done, away.whole, away.row.visit.note) == (1, 6, "дома нет")
    assert line_of(database, found.id, meter_id).row.visit.outcome is VisitOutcome.READ
    assert count(database, WalkRoundVisitRow) == 2
    with database.reading() as session:
        assert store.round_progress(session, [found], found.taken_on) == {found.id: (1, 6)}


def test_a_closed_list_takes_nothing_in_until_it_is_opened_again(database, house):
    found = open_round(database)
    with database.writing() as session:
        close_walk_round(session, STAFF, found.id, CLOCK)

    with pytest.raises(Invalid, match="it is closed"):
        enter(database, house, found.id, (Zone.DAY, 3_200_000))
    with database.writing() as session:
        reopen_walk_round(session, STAFF, found.id, CLOCK)
    assert enter(database, house, found.id, (Zone.DAY, 3_200_000)).stored


def test_another_company_reaches_nothing_of_a_walk_round(database, house):
    found = open_round(database)
    with database.reading() as session:
        b2 = store.building_id_in_reach(session, STAFF, "B2")
    stranger = Scope(Role.COMPANY, "other", building_ids=frozenset({BuildingId(b2)}))

    with pytest.raises(NotFound):
        sheet_of(database, found.id, stranger)
    with pytest.raises(NotFound):
        enter(database, house, found.id, (Zone.DAY, 3_200_000), scope=stranger)
    with pytest.raises(NotFound):
        open_round(database, scope=stranger)
    with database.reading() as session:
        assert store.walk_rounds(session, stranger) == ((), 0)


def test_a_photograph_is_kept_once_and_seen_within_reach_only(database, house):
    found = open_round(database)
    meter_id = house.meter_ids["E1", "SE1"]
    sent = BytesIO()
    Image.new("RGB", (300, 200), "green").save(sent, "PNG")
    order = RoundPhotoOrder(STAFF, found.id, meter_id, remade(sent.getvalue()))

    with database.writing() as session:
        photo_id = attach_photo(session, order, CLOCK)
        again = attach_photo(session, order, CLOCK)

    assert photo_id == again
    assert count(database, ReadingPhotoRow) == 1
    assert line_of(database, found.id, meter_id).row.photo_id == photo_id
    with database.reading() as session:
        content, media_type = store.photo_content(session, STAFF, photo_id)
        assert (media_type, content[:3]) == ("image/jpeg", b"\xff\xd8\xff")
        with pytest.raises(NotFound):
            store.photo_content(session, resident(database, "1"), photo_id)


def test_on_the_day_of_a_replacement_the_new_meter_is_read_after_it_was_put_in(database, house):
    put_in = NOW + timedelta(hours=1)
    with database.writing() as session:
        new_id = replace_meter(
            session,
            MeterReplacement(
                removed_serial="SE1",
                meter=Meter("E1", "NEW", date(2026, 11, 20)),
                at=put_in,
                final_values={Zone.DAY: 3_190_000, Zone.NIGHT: 1_590_000},
                first_values={Zone.DAY: 0, Zone.NIGHT: 0},
            ),
            CLOCK,
        )
    found = open_round(database)

    order = RoundReadingsOrder(STAFF, found.id, new_id, ((Zone.DAY, 2_000), (Zone.NIGHT, 1_000)))
    with database.writing() as session:
        result = record_round_readings(session, order, later(hours=2))

    row = line_of(database, found.id, new_id).row
    assert result.stored
    assert row.taken_at == put_in + timedelta(minutes=1)
    assert [register.value for register in row.registers] == [2_000, 1_000]
    assert "SE1" not in {r.meter.serial for r in sheet_of(database, found.id).rows}


def test_meters_without_a_reading_in_the_window_are_found(database, house):
    submit(database, house, given(house, water=148_000))
    submit(database, house, given(house, flat="2"), scope=resident(database, "2"), flat="2")

    with database.reading() as session:
        b1 = store.building_id_in_reach(session, STAFF, "B1")
        first, last = NOW - timedelta(hours=24 * 5), NOW + timedelta(days=5)
        unread = store.unread_meters(session, b1, first, last, date(2026, 11, 20))

    assert {one.serial for one in unread} == {"SW2", "SE10", "SW10"}


def test_two_presses_at_the_same_moment_count_once(database, house):
    scope, readings = resident(database, "1"), given(house)
    begin = Barrier(2)

    def press(_number: int) -> bool:
        begin.wait(timeout=20)
        return submit(database, house, readings, scope=scope, key="form-1").repeated

    with ThreadPoolExecutor(2) as pool:
        repeated = sorted(pool.map(press, range(2)))

    assert repeated == [False, True]
    assert len(kept(database, house)) == 2


def test_two_who_open_the_same_list_at_once_share_it(database, house):
    begin = Barrier(2)

    def press(_number: int) -> int:
        begin.wait(timeout=20)
        return open_round(database).id

    with ThreadPoolExecutor(2) as pool:
        ids = set(pool.map(press, range(2)))

    assert len(ids) == 1


def test_what_a_resident_read_is_what_the_register_is_billed_by(database, house):
    submit(database, house, given(house, night=None))
    with database.reading() as session:
        readings = [
            reading
            for reading in load_registers(session, [house.meter_ids["E1", "SE1"]])
            if reading.zone is Zone.DAY
        ]

    last = register_differences(readings, digits=6)[-1]

    assert (last.energy, last.quality) == (200_000, Quality.CUSTOMER_READ)


def test_correcting_the_night_leaves_what_was_found_in_the_day(database, house):
    submit(database, house, given(house, day=9_000), confirmed=True)

    submit(database, house, given(house, day=None, night=1_610), clock=later(hours=2))

    with database.reading() as session:
        (finding,) = session.scalars(select(FindingRow)).all()
        assert finding.state is FindingState.OPEN
