"""Files of every format, and hostile ones, through the same import on both databases."""

import gc
import gzip
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from sqlalchemy import func, select

import kilokassa.app.readings_file as readings_file
import kilokassa.app.readings_spool as readings_spool
from kilokassa.app.readings_import import FORMATS, import_readings, retry_refused
from kilokassa.core.errors import RequestConflict
from kilokassa.core.scope import system_scope
from kilokassa.core.series import Quality
from kilokassa.jobs.readings import FORMATS as OFFERED
from metering.exchange.codes import TimeZoneChanged
from metering.findings.finding import FindingKind
from metering.imports import RefusalReason, UnreadableFile
from metering.models import ImportBatchRow, IntervalDayRow
from metering.parsers.csv_long import LongCsvReader
from metering.registry.places import Building, Channel, MeteringPoint, PlacesOrder
from metering.registry.service import register_places
from metering.store import load_day_revisions, load_matrix

ZONE = ZoneInfo("Europe/Moscow")
RETAILER = system_scope("cli")
DAY = date(2026, 10, 1)
CODE = "250000000000001"


@pytest.fixture
def places(database, clock):
    order = PlacesOrder(
        buildings=(Building("B1", "Ленина 1", "Europe/Moscow"),),
        points=(MeteringPoint("P1", "B1"), MeteringPoint(CODE, "B1")),
        channels=(
            Channel("P1", 30),
            Channel(CODE, 30, multiplier=40),
            Channel(CODE, 30, "A-", multiplier=40),
        ),
    )
    with database.writing() as session:
        return register_places(session, order, clock)


@pytest.fixture
def load(database, clock, tmp_path):
    def load_content(content, name="readings.dat", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return import_readings(database, path, scope=RETAILER, clock=clock, **options)

    return load_content


def matrix(database, places, point, channel="A+", days=(DAY,)):
    with database.reading() as session:
        return load_matrix(session, [places.channel_ids[point, channel]], days, ZONE, 30)


def count(database, row):
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(row))


def exchange(*, timezone="1", status="", number=1, code=CODE, values=range(48)):
    periods = "".join(
        f'<period start="{n // 2:02d}{n % 2 * 30:02d}" '
        f'end="{(n + 1) // 2 % 24:02d}{(n + 1) % 2 * 30:02d}">'
        f"<value{status if n == 3 else ''}>{value}</value></period>"
        for n, value in enumerate(values)
    )
    channels = "".join(
        f'<measuringchannel code="{channel}" desc="акт">{periods}</measuringchannel>'
        for channel in ("01", "02")
    )
    return (
        '<?xml version="1.0" encoding="windows-1251"?>'
        f'<message class="80020" version="2" number="{number}">'
        "<datetime><timestamp>20261002010000</timestamp>"
        "<daylightsavingtime>0</daylightsavingtime><day>20261001</day></datetime>"
        "<sender><inn>7700000000</inn><name>Сети</name></sender>"
        f'<area timezone="{timezone}"><inn>7700000001</inn><name>Дом</name>'
        f'<measuringpoint code="{code}" name="Ввод">{channels}</measuringpoint></area></message>'
    ).encode("cp1251")


WIDE = "point;date;" + ";".join(f"{n // 2:02d}:{n % 2 * 30:02d}" for n in range(48))


# --- formats ---


def test_the_command_offers_every_format():
    assert set(OFFERED) == set(FORMATS)


def test_an_80020_file_fills_both_directions_and_is_not_multiplied_again(database, places, load):
    result = load(exchange(status=' status="1"'))

    assert (result.new, result.refused, result.energy) == (96, 0, Decimal(2 * sum(range(48))))
    taken = matrix(database, places, CODE)
    assert taken.energy_wh.tolist() == [[1000 * n for n in range(48)]]
    assert taken.quality[0, :5].tolist() == [1, 1, 1, Quality.ESTIMATED, 1]
    assert matrix(database, places, CODE, "A-").energy_wh[0, 47] == 47_000


def test_an_80020_file_whose_time_zone_changed_is_refused_until_it_is_accepted(
    database, places, load
):
    load(exchange(timezone="1"))

    with pytest.raises(TimeZoneChanged):
        load(exchange(timezone="", number=2))
    assert count(database, ImportBatchRow) == 1

    result = load(exchange(timezone="", number=2), accept_timezone=True)
    assert result.repeated == 96


def test_refused_80020_values_are_not_multiplied_at_a_second_try(database, clock, places, load):
    load(exchange(code="250000000000009"))
    late = PlacesOrder(
        points=(MeteringPoint("250000000000009", "B1"),),
        channels=(Channel("250000000000009", 30, multiplier=40),),
    )
    with database.writing() as session:
        made = register_places(session, late, clock)

    result = retry_refused(database, scope=RETAILER, clock=clock)

    assert result.new == 48
    assert matrix(database, made, "250000000000009").energy_wh[0, 47] == 47_000


def test_a_wide_file_is_the_same_as_a_long_one(database, places, load):
    row = f"{CODE};{DAY};" + ";".join(f"0,{n:03d}" for n in range(48))

    result = load(f"{WIDE}\n{row}\n")

    assert result.new == 48
    assert matrix(database, places, CODE).energy_wh.tolist() == [[40 * n for n in range(48)]]


def test_parquet_comes_packed_or_not(database, tmp_path, places, load):
    start = datetime(2026, 9, 30, 21, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "point": ["P1"] * 48,
            "time": [start + timedelta(minutes=30) * n for n in range(48)],
            "value": [n / 1000 for n in range(48)],
        }
    )
    frame.write_parquet(tmp_path / "plain.parquet")
    content = (tmp_path / "plain.parquet").read_bytes()

    plain, packed = load(content), load(gzip.compress(content), "readings.parquet.gz")

    assert (plain.new, packed.repeated) == (48, 48)
    assert matrix(database, places, "P1").energy_wh.tolist() == [list(range(48))]


def entry(link, kind, inside="", related=""):
    more = f'<link rel="related" href="{related}"/>' if related else ""
    return (
        f'<entry><link rel="self" href="{link}"/>{more}'
        f'<content><{kind} xmlns="http://naesb.org/espi">{inside}</{kind}></content></entry>'
    )


def test_a_green_button_file_is_taken_for_a_named_point(database, places, load):
    kind = (
        "<accumulationBehaviour>4</accumulationBehaviour><flowDirection>1</flowDirection>"
        "<intervalLength>1800</intervalLength><powerOfTenMultiplier>0</powerOfTenMultiplier>"
        "<uom>72</uom>"
    )
    readings = "".join(
        f"<IntervalReading><timePeriod><duration>1800</duration>"
        f"<start>{1790802000 + 1800 * n}</start></timePeriod><value>{n}</value></IntervalReading>"
        for n in range(48)
    )
    entries = (
        entry("/UsagePoint/1", "UsagePoint")
        + entry("/UsagePoint/1/MeterReading/1", "MeterReading", related="/ReadingType/1")
        + entry("/ReadingType/1", "ReadingType", kind)
        + entry("/UsagePoint/1/MeterReading/1/IntervalBlock/1", "IntervalBlock", readings)
    )

    result = load(f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>', point="P1")

    assert (result.new, result.refused) == (48, 0)
    assert matrix(database, places, "P1").energy_wh.tolist() == [list(range(48))]


def test_a_batch_in_json_is_taken_once_for_its_key(database, places, load):
    batch = '[{"point": "P1", "time": "2026-10-01T00:00", "value": 0.5}]'

    first = load(batch, fmt="json", request_key="api:batch-00001")
    again = load(batch, fmt="json", request_key="api:batch-00001")
    other_key = load(batch, fmt="json", request_key="api:batch-00002")

    assert first == again
    assert (first.new, other_key.repeated) == (1, 1)
    assert other_key.same_as_batch_id == first.batch_id
    with pytest.raises(RequestConflict):
        load(batch.replace("0.5", "0.6"), fmt="json", request_key="api:batch-00001")
    assert count(database, ImportBatchRow) == 2


def test_a_stated_length_that_is_not_the_channels_is_refused_row_by_row(database, places, load):
    hours = ";".join(f"{n:02d}:00" for n in range(24))
    row = f"P1;{DAY};" + ";".join("1" for _ in range(24))

    result = load(f"point;date;{hours}\n{row}\n")

    assert (result.new, result.refused) == (0, 24)
    assert [r.reason for r in result.refusals] == [RefusalReason.WRONG_INTERVAL]
    assert [f.kind for f in result.findings] == [FindingKind.WRONG_INTERVAL]
    again = load(f"point;date;{hours}\n{row}\n")
    assert (again.refused, again.findings_count) == (24, 0)


def test_mixed_lengths_in_one_file_each_find_their_channel_or_none(database, clock, places, load):
    hourly = PlacesOrder(points=(MeteringPoint("P60", "B1"),), channels=(Channel("P60", 60),))
    with database.writing() as session:
        made = register_places(session, hourly, clock)
    rows = [f"P1;{DAY}T{n // 2:02d}:{n % 2 * 30:02d};0.1" for n in range(48)]
    rows += [f"P60;{DAY}T{n // 2:02d}:{n % 2 * 30:02d};0.2" for n in range(48)]

    result = load("point;time;value\n" + "\n".join(rows) + "\n")

    assert (result.new, result.refused) == (72, 24)
    assert [(r.point_code, r.reason, r.count) for r in result.refusals] == [
        ("P60", RefusalReason.OFF_GRID, 24)
    ]
    with database.reading() as session:
        stored = load_matrix(session, [made.channel_ids["P60", "A+"]], [DAY], ZONE, 60)
    assert stored.energy_wh.tolist() == [[200] * 24]


# --- broken and hostile ---


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"%PDF-1.7 ...", "Line 1: this is a document, not a file of readings"),
        (b"PK\x03\x04....", "Line 1: this is a ZIP archive or a workbook"),
        (b"<html></html>", "the XML is neither 80020 nor Green Button"),
        (b"hello, world\n1,2\n", "Line 1: the header does not name"),
        (b"[]", "Line 1: JSON is taken as a request"),
        (b"PAR1" + b"\0" * 100, "the Parquet file is damaged"),
        (gzip.compress(b"point;time;value\n" + b"P1;2026-10-01T00:00;1\n" * 9999)[:-9], "damaged"),
        (exchange()[:-400], "Line 1: "),
        (
            exchange().replace(b"<message", b'<!DOCTYPE x [<!ENTITY a "b">]><message'),
            "Line 1: ",
        ),
    ],
)
def test_what_is_no_whole_file_of_readings_is_refused_and_nothing_is_begun(
    database, places, load, content, sentence
):
    with pytest.raises(UnreadableFile, match=sentence):
        load(content)

    assert count(database, ImportBatchRow) == 0
    assert count(database, IntervalDayRow) == 0


@pytest.mark.parametrize("tail", [b"", b"P1;2026-10-01T00:00;1\n"])
def test_a_gzip_bomb_is_refused_before_it_has_unpacked(database, places, load, monkeypatch, tail):
    monkeypatch.setattr(readings_file, "UNPACKED_FREE_BYTES", 1024 * 1024)
    line = b"P1;2026-10-01T00:00;1\n" if tail else b"\0"
    bomb = gzip.compress(b"point;time;value\n" + line * 3_000_000)

    with pytest.raises(UnreadableFile, match="unpacks to more than readings ever do"):
        load(bomb)

    assert count(database, ImportBatchRow) == 0


def test_real_readings_pack_far_from_the_bound_of_a_bomb(database, places, load, monkeypatch):
    monkeypatch.setattr(readings_file, "UNPACKED_FREE_BYTES", 0)
    days = [DAY + timedelta(days=n) for n in range(60)]
    rows = [f"P1;{day}T{n // 2:02d}:{n % 2 * 30:02d};0" for day in days for n in range(48)]

    result = load(gzip.compress(("point;time;value\n" + "\n".join(rows)).encode()))

    assert result.new == 60 * 48


def test_yesterdays_file_with_one_value_changed_is_one_revision(database, places, load):
    rows = [f"P1;{DAY}T{n // 2:02d}:{n % 2 * 30:02d};0.{n:03d}" for n in range(48)]
    load("point;time;value\n" + "\n".join(rows))
    rows[7] = rows[7].replace("0.007", "0.070")

    result = load("point;time;value\n" + "\n".join(rows))

    assert (result.new, result.repeated, result.revised, result.refused) == (0, 47, 1, 0)
    with database.reading() as session:
        states = load_day_revisions(session, places.channel_ids["P1", "A+"], DAY)
    assert [state.energy_wh[0, 7] for state in states] == [7, 70]


def test_a_fault_on_the_last_of_a_million_lines_refuses_the_file_by_its_number(
    database, places, load
):
    block = "".join(f"P1;{DAY}T{n // 2:02d}:{n % 2 * 30:02d};0.{n:03d}\n" for n in range(48))
    text = "point;time;value\n" + block * 20_834 + "P1;2026-10-01T00:00;one\n"

    with pytest.raises(UnreadableFile, match="Line 1000034: 'one' is not a number"):
        load(text)

    assert count(database, ImportBatchRow) == 0
    assert count(database, IntervalDayRow) == 0


def test_rows_that_wait_on_disk_load_as_those_in_memory(database, places, load, monkeypatch):
    monkeypatch.setattr(readings_spool, "IN_MEMORY_ROWS", 10)
    monkeypatch.setattr("metering.parsers.csv_long.BLOCK_BYTES", 300)
    rows = [
        f"{point};{DAY}T{n // 2:02d}:{n % 2 * 30:02d};0.{n:03d}"
        for n in range(48)
        for point in ("P1", CODE)
    ]

    result = load("point;time;value\n" + "\n".join(rows), chunk_rows=48)

    assert (result.new, result.findings_count) == (96, 0)
    assert matrix(database, places, "P1").energy_wh.tolist() == [list(range(48))]
    assert matrix(database, places, CODE).energy_wh.tolist() == [[40 * n for n in range(48)]]


def test_a_reader_that_fails_late_leaves_nothing(database, places, load, monkeypatch):
    real = LongCsvReader.blocks

    def fails(self, stream):
        yield from real(self, stream)
        raise UnreadableFile(line=9, problem="the end is missing")

    monkeypatch.setattr(LongCsvReader, "blocks", fails)

    with pytest.raises(UnreadableFile, match="Line 9: the end is missing"):
        load(f"point;time;value\nP1;{DAY}T00:00;1\n")

    assert count(database, ImportBatchRow) == 0


def test_the_collector_runs_again_after_an_import_that_failed(database, places, load):
    with pytest.raises(UnreadableFile):
        load("point;time;value\nP1;yesterday;1\n")

    assert gc.isenabled()
