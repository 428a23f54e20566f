"""Parquet in and out, CSV out: what is written is read back exactly."""

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilokassa.core.calendar import intervals_in_day, local_midnight
from kilokassa.core.series import Quality
from metering.imports import NUMBER_OF, RefusalReason, UnreadableFile
from metering.parsers.csv_long import LongCsvReader
from metering.parsers.detect import detect_layout
from metering.parsers.parquet import ParquetReader
from metering.parsers.source import VALUE_MAX_UWH, SeriesKey
from metering.writers.csv_long import write_csv
from metering.writers.losses import measured
from metering.writers.parquet import write_parquet
from metering.writers.rows import SCHEMA, ExportDays, to_frame

ZONE = "Asia/Vladivostok"
TIMES = [datetime.fromisoformat(f"2026-10-01T00:{minute}") for minute in ("00", "30")]
WALL = [int(time.replace(tzinfo=UTC).timestamp()) for time in TIMES]
KWH_UWH = 1_000_000_000


def packed(columns):
    content = BytesIO()
    pl.DataFrame(columns).write_parquet(content)
    return content.getvalue()


def read(content, **values):
    reader = ParquetReader(**values)
    blocks = list(reader.blocks(BytesIO(content)))
    return reader, np.concatenate(blocks) if blocks else np.zeros(0)


def two(**columns):
    return packed({"point": ["P1", "P1"], "time": TIMES, "value": [1, 2]} | columns)


@pytest.mark.parametrize(
    "values",
    [
        [1, 2],
        [1.0, 2.0],
        [Decimal("1.000"), Decimal("2.000")],
        ["1", "2,0"],
        pl.Series([1, 2], dtype=pl.UInt8),
        pl.Series([1, 2], dtype=pl.Float32),
    ],
)
def test_a_value_is_kwh_whatever_type_it_has(values):
    reader, found = read(two(value=values))

    assert reader.index.keys == [SeriesKey("P1", "A+")]
    assert found["value_uwh"].tolist() == [KWH_UWH, 2 * KWH_UWH]
    assert found["line"].tolist() == [1, 2]


def test_a_short_float_is_the_decimal_its_writer_meant():
    _, found = read(two(value=pl.Series([0.1, 0.345], dtype=pl.Float32)))

    assert found["value_uwh"].tolist() == [100_000_000, 345_000_000]


@pytest.mark.parametrize(
    ("times", "local", "start_s"),
    [
        (TIMES, True, WALL[0]),
        (["2026-10-01T00:00", "2026-10-01 00:30"], True, WALL[0]),
        (["01.10.2026 00:00", "01.10.2026 00:30"], True, WALL[0]),
        (["2026-10-01T00:00+10:00", "2026-10-01T00:30+10:00"], False, WALL[0] - 36000),
        ([time.replace(tzinfo=UTC) for time in TIMES], False, WALL[0]),
        (
            pl.Series(TIMES).cast(pl.Datetime("ms")).dt.replace_time_zone(ZONE),
            False,
            WALL[0] - 36000,
        ),
        (pl.Series(TIMES).cast(pl.Datetime("ns")), True, WALL[0]),
    ],
)
def test_times_are_instants_or_those_on_the_wall(times, local, start_s):
    _, found = read(two(time=times))

    assert found["time_s"].tolist() == [start_s, start_s + 1800]
    assert found["local"].tolist() == [local, local]


def test_columns_may_be_russian_and_say_channel_quality_unit_and_length():
    content = packed(
        {
            "Точка": ["КБ-1", "КБ-2"],
            "канал": ["A-", ""],
            "время": TIMES,
            "значение": [5, 5],
            "unit": ["Wh", "kWh"],
            "качество": ["estimated", None],
            "interval_min": [30, None],
            "payer": ["x", "y"],
        }
    )

    reader, found = read(content)

    assert reader.index.keys == [SeriesKey("КБ-1", "A-"), SeriesKey("КБ-2", "A+")]
    assert found["value_uwh"].tolist() == [5_000_000, 5_000_000_000]
    assert found["quality"].tolist() == [Quality.ESTIMATED, Quality.ACTUAL]
    assert found["interval_min"].tolist() == [30, 0]


def test_what_has_no_value_is_a_row_with_its_fault():
    content = packed(
        {
            "point": ["P"] * 5,
            "time": [*TIMES, TIMES[0].replace(second=1, microsecond=5), None, TIMES[1]],
            "value": [None, float("nan"), 1.0, 1.0, -2.0],
        }
    )

    _, found = read(content)

    assert found["fault"].tolist() == [
        NUMBER_OF[reason]
        for reason in (
            RefusalReason.NO_VALUE,
            RefusalReason.NO_VALUE,
            RefusalReason.OFF_GRID,
            RefusalReason.TIME_OUT_OF_RANGE,
            RefusalReason.NEGATIVE,
        )
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (packed({"point": ["P"], "time": TIMES[:1]}), "the header does not name the columns"),
        (two(Point=["P1", "P1"]), "a column is named twice"),
        (two(time=[1, 2]), "the column of times holds Int64"),
        (two(time=["soon", "later"]), "Line 1: 'soon' is not a time"),
        (two(time=["2026-10-01T00:00", None]), "Line 2: None is not a time"),
        (two(value=[True, False]), "the column of values holds Boolean"),
        (two(value=["1", "x"]), "Line 2: 'x' is not a number"),
        (two(quality=["actual", "7"]), "Line 2: '7' is not a quality"),
        (two(unit=["Wh", "BTU"]), "Line 2: 'BTU' is not a unit: Wh, kWh"),
        (two(unit=[None, "Wh"]), "Line 1: None is not a unit"),
        (b"PAR1" + b"x" * 1000, "the Parquet file is damaged"),
        (two()[:-20], "the Parquet file is damaged"),
        (b"PAR1" + two()[:-1], "the Parquet file is damaged"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(content, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        read(content)


@settings(deadline=None, max_examples=60)
@given(st.binary(min_size=1, max_size=40), st.integers(4, 600))
def test_a_damaged_file_is_refused_or_read_but_never_breaks(junk, place):
    content = two()
    damaged = content[:place] + junk + content[place + len(junk) :]

    try:
        _, found = read(damaged)
    except UnreadableFile:
        return

    assert len(found) <= 2


def test_blocks_follow_on_each_other(monkeypatch):
    monkeypatch.setattr("metering.parsers.parquet.BLOCK_ROWS", 7)
    content = packed(
        {"point": [f"P{n // 10}" for n in range(50)], "time": TIMES[:1] * 50, "value": range(50)}
    )

    reader, found = read(content)

    assert found["line"].tolist() == list(range(1, 51))
    assert found["series"].tolist() == [n // 10 for n in range(50)]
    assert found["value_uwh"].tolist() == [n * KWH_UWH for n in range(50)]
    assert len(reader.index.keys) == 5


def test_a_file_is_read_from_its_place_on_disk_or_unpacked(tmp_path):
    (tmp_path / "a.parquet").write_bytes(two())
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(two()))

    with (tmp_path / "a.parquet").open("rb") as plain, gzip.open(tmp_path / "a.parquet.gz") as gz:
        found = [np.concatenate(list(ParquetReader().blocks(one))) for one in (plain, gz)]

    assert (found[0] == found[1]).all()
    assert len(found[0]) == 2


# --- out and in again ---


@st.composite
def export_days(draw):
    minutes = draw(st.sampled_from([15, 30, 60]))
    day = draw(st.sampled_from([date(2026, 10, 1), date(2026, 3, 29), date(2026, 10, 25)]))
    zone = draw(st.sampled_from([ZONE, "Europe/Berlin"]))
    count = intervals_in_day(day, ZoneInfo(zone), minutes)
    value = st.one_of(st.integers(0, 5_000 * 10**6), st.integers(0, VALUE_MAX_UWH))
    rows = draw(st.integers(1, 3))
    return ExportDays(
        zone=zone,
        interval_min=minutes,
        points=[f"ТУ {n}" for n in range(rows)],
        channels=draw(st.lists(st.sampled_from(["A+", "A-"]), min_size=rows, max_size=rows)),
        days=[day] * rows,
        revisions=list(range(1, rows + 1)),
        loss_ppm=[0] * rows,
        value_uwh=np.array(
            draw(
                st.lists(
                    st.lists(value, min_size=count, max_size=count), min_size=rows, max_size=rows
                )
            ),
            np.int64,
        ),
        quality=np.array(
            draw(
                st.lists(
                    st.lists(st.integers(0, 4), min_size=count, max_size=count),
                    min_size=rows,
                    max_size=rows,
                )
            ),
            np.uint8,
        ),
    )


def known_of(days):
    rows, places = np.nonzero(days.quality != Quality.MISSING)
    start = int(local_midnight(days.days[0], ZoneInfo(days.zone)).timestamp())
    return [
        (
            SeriesKey(days.points[row], days.channels[row]),
            start + place * days.interval_min * 60,
            int(days.value_uwh[row, place]),
            int(days.quality[row, place]),
        )
        for row, place in zip(rows.tolist(), places.tolist(), strict=True)
    ]


def told(reader, found):
    return [
        (
            reader.index.keys[row["series"]],
            int(row["time_s"]),
            int(row["value_uwh"]),
            int(row["quality"]),
        )
        for row in found
    ]


@settings(deadline=None, max_examples=30)
@given(export_days())
def test_parquet_that_was_written_is_read_back_exactly(tmp_path_factory, days):
    path = tmp_path_factory.mktemp("export") / "out.parquet"

    write_parquet(iter([to_frame(days)]), path)
    reader, found = read(path.read_bytes())

    assert told(reader, found) == known_of(days)
    assert reader.multiplied


@settings(deadline=None, max_examples=30)
@given(export_days())
def test_csv_that_was_written_is_read_back_exactly(days):
    content = b"".join(write_csv([(days.zone, to_frame(days))]))

    header, _, text = content.partition(b"\n")
    reader = LongCsvReader(detect_layout(header))
    found = reader.read(text)

    # Over a gigawatt-hour in an interval, a double no longer tells the last millionths.
    assert [
        (key, time, pytest.approx(value, abs=1), quality)
        for key, time, value, quality in told(reader, found)
    ] == known_of(days)


def test_a_row_says_all_that_is_known():
    days = ExportDays(
        zone=ZONE,
        interval_min=60,
        points=["P1"],
        channels=["R+"],
        days=[date(2026, 10, 1)],
        revisions=[3],
        loss_ppm=[50_000],
        value_uwh=np.array([[1_575_000] + [0] * 23]),
        quality=np.array([[2, 1] + [0] * 22], np.uint8),
    )

    frame = to_frame(days)

    assert frame.schema == SCHEMA
    assert frame.row(0) == (
        "P1",
        "R+",
        date(2026, 10, 1),
        datetime(2026, 9, 30, 14, tzinfo=UTC),
        60,
        Decimal("1.500000"),
        Decimal("0.075000"),
        "varh",
        "estimated",
        3,
    )
    assert len(frame) == 2
    lines = b"".join(write_csv([(ZONE, frame)])).decode().splitlines()
    assert lines == [
        "point;channel;time;value;losses;quality;revision",
        "P1;R+;2026-10-01T00:00+10:00;0.0015;0.000075;estimated;3",
        "P1;R+;2026-10-01T01:00+10:00;0;0;actual;3",
    ]


def test_nothing_to_write_is_a_file_with_columns_and_no_row(tmp_path):
    write_parquet(iter(()), tmp_path / "empty.parquet")

    frame = pl.read_parquet(tmp_path / "empty.parquet")

    assert frame.schema == SCHEMA
    assert frame.is_empty()


@given(st.integers(0, VALUE_MAX_UWH), st.integers(0, 999_999))
def test_what_was_measured_is_found_again_under_its_losses(value_uwh, loss_ppm):
    stored = value_uwh + value_uwh * loss_ppm // 1_000_000

    assert measured(np.array([stored], np.int64), loss_ppm).tolist() == [value_uwh]


def test_a_few_bytes_that_hold_millions_of_rows_are_a_trap(monkeypatch):
    monkeypatch.setattr("metering.parsers.parquet.FREE_ROWS", 1000)
    many = pl.select(
        point=pl.repeat("P1", 1_000_000),
        time=pl.repeat(datetime(2026, 10, 1, tzinfo=UTC), 1_000_000),
        value=pl.repeat(1.0, 1_000_000),
    )
    file = BytesIO()
    many.write_parquet(file)

    with pytest.raises(UnreadableFile, match="unpacks to more than readings ever do"):
        list(ParquetReader().blocks(BytesIO(file.getvalue())))
