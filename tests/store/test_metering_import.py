"""Importing files of readings on both databases: counts, refusals, findings, resuming."""

import gzip
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, update

import kilokassa.app.readings_import as readings_import
from kilokassa.app.readings_import import import_readings, import_register_readings, retry_refused
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.ids import CompanyId
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.zones import Zone
from metering.findings.finding import FindingKind
from metering.imports import RefusalReason, UnreadableFile
from metering.models import (
    FindingRow,
    ImportBatchRow,
    ImportChunkRow,
    ImportRefusalRow,
    IntervalDayRow,
    MeteringPointRow,
)
from metering.registry.places import Building, Channel, Company, Meter, MeteringPoint, PlacesOrder
from metering.service import register_places
from metering.store import list_findings, load_day_revisions, load_matrix, load_registers

ZONE = ZoneInfo("Asia/Vladivostok")
RETAILER = system_scope("cli")
DAYS = tuple(date(2026, 10, 1) + timedelta(days=n) for n in range(4))
POINTS = ("P1", "P2", "P3")


@pytest.fixture
def places(database, clock):
    order = PlacesOrder(
        companies=(Company("UK1", "УК Первая"), Company("UK2", "УК Вторая")),
        buildings=(
            Building("B1", "Ленина 1", "Asia/Vladivostok", "UK1"),
            Building("B2", "Ленина 2", "Asia/Vladivostok", "UK2"),
        ),
        points=tuple(MeteringPoint(p, "B2" if p == "P3" else "B1") for p in POINTS),
        meters=tuple(Meter(p, f"S{p}", date(2020, 1, 1), digits=5) for p in POINTS),
        channels=tuple(Channel(p, 30) for p in POINTS),
    )
    with database.writing() as session:
        return register_places(session, order, clock)


def lines(points=POINTS, days=DAYS, *, wh=None):
    """Yield every half hour of the days, of one point after another, in kWh with a point."""
    for number, point in enumerate(points):
        for day in days:
            for half in range(48):
                value_wh = wh if wh is not None else 100 * number + half
                yield f"{point};{day}T{half // 2:02d}:{half % 2 * 30:02d};{value_wh / 1000:.3f}"


def write(tmp_path, rows, name="readings.csv", header="point;time;value"):
    path = tmp_path / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def load(database, clock, path, **options):
    return import_readings(
        database, path, scope=options.pop("scope", RETAILER), clock=clock, **options
    )


def counts(result):
    return result.new, result.repeated, result.revised, result.refused


def count(database, row):
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(row))


def matrix(database, places, point, days=DAYS):
    with database.reading() as session:
        return load_matrix(session, [places.channel_ids[point, "A+"]], days, ZONE, 30)


def test_a_file_becomes_days_and_its_control_total_agrees(database, clock, places, tmp_path):
    told = []
    path = write(tmp_path, lines())

    result = load(database, clock, path, progress=lambda done, total: told.append((done, total)))

    assert counts(result) == (3 * 4 * 48, 0, 0, 0)
    assert result.energy == Decimal(sum(100 * n * 192 + 4 * 1128 for n in range(3))).scaleb(-3)
    assert (result.findings, result.refusals, result.same_as_batch_id) == ((), (), None)
    assert matrix(database, places, "P2").energy_wh.tolist() == [[100 + n for n in range(48)] * 4]
    assert told[-1][0] == told[-1][1]
    assert told == sorted(told)


def test_the_same_file_again_is_recognised_and_changes_nothing(database, clock, places, tmp_path):
    path = write(tmp_path, lines())
    first = load(database, clock, path)
    before = matrix(database, places, "P1").digests

    again = load(database, FixedClock(clock.at + timedelta(days=1)), path)

    assert counts(again) == (0, first.rows, 0, 0)
    assert again.same_as_batch_id == first.batch_id
    assert matrix(database, places, "P1").digests == before


def test_changed_values_are_revisions(database, clock, places, tmp_path):
    load(database, clock, write(tmp_path, lines(["P1"])))

    result = load(database, clock, write(tmp_path, lines(["P1"], DAYS[:1], wh=47), "later.csv"))

    assert counts(result) == (0, 1, 47, 0)
    with database.reading() as session:
        states = load_day_revisions(session, places.channel_ids["P1", "A+"], DAYS[0])
    assert [state.total_wh.tolist() for state in states] == [[1128], [47 * 48]]


def test_the_order_of_rows_in_a_file_does_not_matter(database, clock, places, tmp_path):
    load(database, clock, write(tmp_path, lines()), chunk_rows=100)
    by_time = sorted(lines(), key=lambda row: row.split(";")[1], reverse=True)

    again = load(database, clock, write(tmp_path, by_time, "by_time.csv"), chunk_rows=100)

    assert counts(again) == (0, 3 * 4 * 48, 0, 0)


def test_a_packed_file_in_watt_hours_is_understood(database, clock, places, tmp_path):
    path = tmp_path / "readings.csv.gz"
    path.write_bytes(
        gzip.compress("точка;время;значение\nP1;01.10.2026 00:00;345\n".encode("cp1251"), mtime=0)
    )

    result = load(database, clock, path, unit="wh")

    assert (counts(result), result.energy) == ((1, 0, 0, 0), Decimal("0.345"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "Line 1: the file is empty"),
        (b"point;time;value\nP1;2026-10-01T00:00;1\nP1;2026-10-01T00:30;x\n", "Line 3: 'x' is not"),
        (b"point;time;value\nP1;2026-10-01T00:00;1\nP1;yesterday;1\n", "Line 3: 'yesterday'"),
        (b"point;time;value\nP1;2026-10-01T00:00;1\nP1;2026\n", "Line 3: there are 2 fields"),
        (b"point;time;value\nP1;2026-10-01T00:00;1\n\xca1;2026\n", "Line 3: the text is not utf-8"),
        (
            gzip.compress(b"point;time;value\n" * 999, mtime=0)[:-30],
            "the compressed file is damaged",
        ),
    ],
)
def test_a_file_that_cannot_be_parsed_is_refused_whole(
    database, clock, places, tmp_path, content, sentence
):
    path = tmp_path / "readings.csv"
    path.write_bytes(content)

    with pytest.raises(UnreadableFile, match=sentence):
        load(database, clock, path)

    assert count(database, IntervalDayRow) == 0
    assert count(database, ImportBatchRow) == 0


def test_a_header_without_rows_is_an_import_of_nothing(database, clock, places, tmp_path):
    result = load(database, clock, write(tmp_path, []))

    assert (result.rows, counts(result)) == (0, (0, 0, 0, 0))


def test_a_file_that_is_not_there_and_an_unknown_format_are_refused(database, clock, tmp_path):
    with pytest.raises(NotFound):
        load(database, clock, tmp_path / "absent.csv")
    with pytest.raises(Invalid, match="is not a format"):
        load(database, clock, write(tmp_path, []), fmt="xml")


def test_rows_that_cannot_be_placed_are_refused_one_by_one_and_kept(
    database, clock, places, tmp_path
):
    path = write(
        tmp_path,
        [
            "P1;2026-10-01T00:00;1",
            "P9;2026-10-01T00:00;1",
            "P1;2026-10-01T00:30;NaN",
            "P1;2026-10-01T01:00;-1",
            "P1;2026-10-01T01:10;1",
            "P1;2026-10-01T01:30;2147484",
            "P1;2026-10-01T00:00;2",
            "P9;2026-10-01T00:30;1",
            "P1;2026-10-01T02:00;1",
        ],
    )

    result = load(database, clock, path)

    assert counts(result) == (2, 0, 0, 7)
    assert {(r.point_code, r.reason): r.lines for r in result.refusals} == {
        ("P9", RefusalReason.UNKNOWN_POINT): (3, 9),
        ("P1", RefusalReason.NO_VALUE): (4,),
        ("P1", RefusalReason.NEGATIVE): (5,),
        ("P1", RefusalReason.OFF_GRID): (6,),
        ("P1", RefusalReason.TOO_LARGE): (7,),
        ("P1", RefusalReason.DUPLICATE_DIFFERENT): (8,),
    }
    assert {f.kind: f.detail["count"] for f in result.findings} == {
        FindingKind.DUPLICATE_DIFFERENT: 1,
        FindingKind.NEGATIVE: 1,
        FindingKind.OFF_GRID: 1,
        FindingKind.GAP: 3,
    }
    assert result.refusals[0].sentence() == (
        "Line 3, 9, P9: the metering point is not known (rows: 2)."
    )
    assert count(database, ImportRefusalRow) == 6


def test_refused_rows_are_placed_at_a_second_try_when_their_point_is_known(
    database, clock, places, tmp_path
):
    load(database, clock, write(tmp_path, lines(["P9"], DAYS[:1])))
    assert retry_refused(database, scope=RETAILER, clock=clock) is None
    with database.writing() as session:
        order = PlacesOrder(points=(MeteringPoint("P9", "B1"),), channels=(Channel("P9", 30),))
        made = register_places(session, order, clock)

    result = retry_refused(database, scope=RETAILER, clock=clock)

    assert counts(result) == (48, 0, 0, 0)
    assert matrix(database, made, "P9", DAYS[:1]).energy_wh.tolist() == [list(range(48))]
    assert retry_refused(database, scope=RETAILER, clock=clock) is None


def test_a_second_try_leaves_what_has_been_stored_in_the_meantime(
    database, clock, places, tmp_path
):
    load(database, clock, write(tmp_path, lines(["P9"], DAYS[:1])))
    with database.writing() as session:
        order = PlacesOrder(points=(MeteringPoint("P9", "B1"),), channels=(Channel("P9", 30),))
        made = register_places(session, order, clock)
    load(database, clock, write(tmp_path, ["P9;2026-10-01T00:30;9"], "better.csv"))

    result = retry_refused(database, scope=RETAILER, clock=clock)

    assert counts(result) == (47, 0, 0, 1)
    assert [r.reason for r in result.refusals] == [RefusalReason.STORED_DIFFERENT]
    assert matrix(database, made, "P9", DAYS[:1]).energy_wh[0, 1] == 9000


def test_importing_a_file_again_speaks_for_what_it_refused_before(
    database, clock, places, tmp_path
):
    path = write(tmp_path, [*lines(["P9"], DAYS[:1]), "P1;2026-10-01T00:00;-1"])
    load(database, clock, path)

    load(database, clock, path)

    with database.reading() as session:
        states = session.execute(
            select(ImportRefusalRow.state, func.count()).group_by(ImportRefusalRow.state)
        ).all()
        findings = list_findings(session, RETAILER)
    assert {str(state): number for state, number in states} == {"open": 2, "repeated": 2}
    assert [f.kind for f in findings] == [FindingKind.NEGATIVE]


def test_the_same_value_given_twice_is_repeated_and_noted(database, clock, places, tmp_path):
    rows = list(lines(["P1"], DAYS[:1]))

    result = load(database, clock, write(tmp_path, [*rows, *rows[:3]]))

    assert counts(result) == (48, 3, 0, 0)
    (finding,) = result.findings
    assert finding.kind is FindingKind.DUPLICATE_SAME
    assert finding.detail == {"count": 3, "line": 50}
    assert finding.period.start == datetime(2026, 9, 30, 14, tzinfo=UTC)


def test_a_gap_is_found_and_closed_when_it_is_filled(database, clock, places, tmp_path):
    rows = list(lines(["P1"]))
    first = load(database, clock, write(tmp_path, rows[:60] + rows[120:]))
    (gap,) = first.findings
    assert (gap.kind, gap.detail["count"]) == (FindingKind.GAP, 60)
    assert gap.period.start == datetime(2026, 10, 1, 20, tzinfo=UTC)
    assert gap.period.end == datetime(2026, 10, 3, 2, tzinfo=UTC)

    half = load(database, clock, write(tmp_path, rows[60:100], "half.csv"))

    (gap,) = half.findings
    assert gap.detail["count"] == 20
    load(database, clock, write(tmp_path, rows[100:120], "rest.csv"))
    with database.reading() as session:
        assert list_findings(session, RETAILER) == ()


def test_a_gap_between_two_files_is_found(database, clock, places, tmp_path):
    load(database, clock, write(tmp_path, lines(["P1"], DAYS[:1])))

    result = load(database, clock, write(tmp_path, lines(["P1"], DAYS[3:]), "later.csv"))

    assert [(f.kind, f.detail["count"]) for f in result.findings] == [(FindingKind.GAP, 96)]


def test_a_load_that_was_stopped_goes_on_by_chunk(database, clock, places, tmp_path, monkeypatch):
    path = write(tmp_path, lines())
    real = readings_import.load_chunk

    def stops(session, order, clock):
        real(session, order, clock)
        if order.number == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(readings_import, "load_chunk", stops)
    with pytest.raises(KeyboardInterrupt):
        load(database, clock, path, chunk_rows=192)
    assert count(database, ImportChunkRow) == 1
    assert count(database, IntervalDayRow) == 4
    loaded = []
    monkeypatch.setattr(
        readings_import,
        "load_chunk",
        lambda session, order, clock: (loaded.append(order.number), real(session, order, clock)),
    )

    result = load(database, clock, path, chunk_rows=192)

    assert loaded == [1, 2]
    assert result.resumed
    assert counts(result) == (3 * 4 * 48, 0, 0, 0)
    assert count(database, ImportBatchRow) == 1


def test_a_company_loads_its_own_buildings_only(database, clock, places, tmp_path):
    scope = Scope(
        Role.COMPANY, "user:5", company_ids=frozenset({CompanyId(places.company_ids["UK1"])})
    )

    result = load(database, clock, write(tmp_path, lines(["P1", "P3"], DAYS[:1])), scope=scope)

    assert counts(result) == (48, 0, 0, 48)
    assert [(r.point_code, r.reason) for r in result.refusals] == [
        ("P3", RefusalReason.UNKNOWN_POINT)
    ]
    assert matrix(database, places, "P3").missing.tolist() == [192]
    assert retry_refused(database, scope=scope, clock=clock) is None


def test_a_company_sees_findings_of_its_own_buildings_only(database, clock, places, tmp_path):
    rows = ["P1;2026-10-01T00:00;-1", "P3;2026-10-01T00:00;-1"]
    load(database, clock, write(tmp_path, rows))
    scope = Scope(
        Role.COMPANY, "user:5", company_ids=frozenset({CompanyId(places.company_ids["UK2"])})
    )

    with database.reading() as session:
        own = list_findings(session, scope)

    assert [f.point_code for f in own] == ["P3"]


@pytest.mark.parametrize("role", [Role.ANALYST, Role.AUDITOR, Role.RESIDENT])
def test_who_may_not_import_is_refused(database, clock, places, tmp_path, role):
    with pytest.raises(Forbidden):
        load(database, clock, write(tmp_path, lines()), scope=Scope(role, "user:9"))

    assert count(database, IntervalDayRow) == 0


def test_register_readings_come_by_meter_or_point_and_a_correction_is_a_revision(
    database, clock, places, tmp_path
):
    header = "прибор;точка;зона;дата;показание"
    first = write(
        tmp_path, [";P1;день;25.10.2026;120,5", "SP1;;ночь;25.10.2026;60"], "a.csv", header
    )
    second = write(tmp_path, [";P1;день;25.10.2026;121"], "b.csv", header)

    one = load(database, clock, first)
    again = import_register_readings(database, first, scope=RETAILER, clock=clock)
    other = load(database, clock, second)

    assert (counts(one), counts(again), counts(other)) == ((2, 0, 0, 0), (0, 2, 0, 0), (0, 0, 1, 0))
    with database.reading() as session:
        readings = load_registers(session, [places.meter_ids["P1", "SP1"]])
    assert [(r.zone, r.value, r.revision) for r in readings] == [
        (Zone.DAY, 121_000, 2),
        (Zone.NIGHT, 60_000, 1),
    ]
    assert readings[0].taken_at == datetime(2026, 10, 24, 14, tzinfo=UTC)


def test_a_register_reading_that_went_back_is_refused_and_a_rollover_is_noted(
    database, clock, places, tmp_path
):
    rows = [
        "P1;2026-09-25;99990",
        "P1;2026-10-25;15",
        "P2;2026-09-25;500",
        "P2;2026-10-25;400",
        "P9;2026-10-25;1",
    ]
    path = write(tmp_path, rows, "registers.csv", "point;time;value")

    result = load(database, clock, path, fmt="registers")

    assert counts(result) == (3, 0, 0, 2)
    assert result.energy == 25
    assert {(r.reason, r.lines) for r in result.refusals} == {
        (RefusalReason.BACKWARDS, (5,)),
        (RefusalReason.UNKNOWN_METER, (6,)),
    }
    assert {f.kind for f in result.findings} == {
        FindingKind.REGISTER_BACKWARDS,
        FindingKind.REGISTER_ROLLOVER,
    }


def test_a_register_file_that_cannot_be_parsed_is_refused_whole(database, clock, places, tmp_path):
    path = write(
        tmp_path, ["P1;all;2026-09-25;1", "P1;dusk;2026-09-25;2"], "r.csv", "point;zone;time;value"
    )

    with pytest.raises(UnreadableFile, match="Line 3: 'dusk' is not a zone"):
        load(database, clock, path)

    assert count(database, ImportBatchRow) == 0


def test_findings_and_refusals_outlive_the_import(database, clock, places, tmp_path):
    load(database, clock, write(tmp_path, ["P1;2026-10-01T00:00;-1", "P9;2026-10-01T00:00;1"]))

    assert count(database, FindingRow) == 1
    assert count(database, ImportRefusalRow) == 2


def test_each_channel_of_a_point_is_a_series_of_its_own(database, clock, places, tmp_path):
    given_back = Channel("P1", 60, code="A-")
    with database.writing() as session:
        made = register_places(session, PlacesOrder(channels=(given_back,)), clock)
    rows = ["P1;;2026-10-01T00:00;1", "P1;A-;2026-10-01T00:00;2", "P1;R+;2026-10-01T00:00;3"]

    result = load(database, clock, write(tmp_path, rows, header="point;channel;time;value"))

    assert counts(result) == (2, 0, 0, 1)
    (refusal,) = result.refusals
    assert (refusal.channel_code, refusal.reason) == ("R+", RefusalReason.NO_CHANNEL)
    assert refusal.sentence() == (
        "Line 4, P1 R+: the metering point has no interval channel (rows: 1)."
    )
    with database.reading() as session:
        back = load_matrix(session, [made.channel_ids["P1", "A-"]], DAYS[:1], ZONE, 60)
    assert back.energy_wh[0, 0] == 2000


def test_a_refused_channel_is_placed_at_a_second_try(database, clock, places, tmp_path):
    path = write(tmp_path, ["P1;A-;2026-10-01T00:00;2"], header="point;channel;time;value")
    load(database, clock, path)
    with database.writing() as session:
        made = register_places(session, PlacesOrder(channels=(Channel("P1", 60, "A-"),)), clock)

    result = retry_refused(database, scope=RETAILER, clock=clock)

    assert counts(result) == (1, 0, 0, 0)
    with database.reading() as session:
        back = load_matrix(session, [made.channel_ids["P1", "A-"]], DAYS[:1], ZONE, 60)
    assert back.energy_wh[0, 0] == 2000


def test_a_point_is_found_by_the_name_it_has_in_exchange_files(database, clock, places, tmp_path):
    with database.writing() as session:
        session.execute(
            update(MeteringPointRow)
            .where(MeteringPointRow.code == "P1")
            .values(exchange_code="250000000001")
        )
        session.execute(
            update(MeteringPointRow).where(MeteringPointRow.code == "P2").values(exchange_code="P3")
        )
    rows = ["250000000001;2026-10-01T00:00;1", "P3;2026-10-01T00:00;2", "P1;2026-10-01T00:30;3"]

    result = load(database, clock, write(tmp_path, rows))

    assert counts(result) == (3, 0, 0, 0)
    assert matrix(database, places, "P1").energy_wh[0, :2].tolist() == [1000, 3000]
    assert matrix(database, places, "P2").missing.tolist() == [192]
    assert matrix(database, places, "P3").energy_wh[0, 0] == 2000
