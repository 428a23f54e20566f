"""Wide CSV files: a line a point and day, or a column a point, and what refuses them."""

from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from kilokassa.core.series import Quality
from metering.arrivals import PointChannel, place
from metering.imports import NUMBER_OF, RefusalReason, UnreadableFile
from metering.parsers.csv_wide import (
    TurnedCsvReader,
    WideCsvReader,
    detect_turned,
    detect_wide,
)
from metering.parsers.source import SeriesKey

HALVES = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(0, 24 * 60, 30)]
HOURS = [f"{hour}:00" for hour in range(24)]
MIDNIGHT = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp())
KWH_UWH = 1_000_000_000


def wide(columns, *lines, first="point;date", separator=";", encoding="utf-8"):
    header = separator.join([*first.split(";"), *columns])
    return "\n".join([header, *lines, ""]).encode(encoding)


def line(values, *, code="P1", day="2026-10-01", separator=";", more=()):
    return separator.join([code, day, *more, *map(str, values)])


def read(content, **values):
    layout = detect_wide(content.partition(b"\n")[0])
    reader = WideCsvReader(layout, **values)
    blocks = list(reader.blocks(BytesIO(content)))
    return reader, np.concatenate(blocks)


@pytest.mark.parametrize(
    ("columns", "minutes"),
    [
        (HOURS, 60),
        (HALVES, 30),
        ([f"{time}:00" for time in HALVES], 30),
        ([f"{a}-{b}" for a, b in zip(HALVES, [*HALVES[1:], "24:00"], strict=True)], 30),
        ([f"{a} – {b}" for a, b in zip(HALVES, [*HALVES[1:], "00:00"], strict=True)], 30),
        ([*HALVES[1:], "24:00"], 30),
        ([str(number) for number in range(1, 25)], 60),
        ([str(number) for number in range(1, 49)], 30),
        ([str(number) for number in range(1, 97)], 15),
    ],
)
def test_columns_are_the_times_of_a_day(columns, minutes):
    reader, found = read(wide(columns, line(range(len(columns)))))

    assert reader.index.keys == [SeriesKey("P1", "A+")]
    assert set(found["interval_min"].tolist()) == {minutes}
    assert (found["time_s"] == MIDNIGHT + np.arange(len(columns)) * minutes * 60).all()
    assert (found["value_uwh"] == np.arange(len(columns)) * KWH_UWH).all()
    assert found["local"].all()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
def test_a_russian_file_has_commas_channels_and_days_of_its_own(encoding):
    content = wide(
        HOURS,
        line(["0,345"] * 24, code="КБ-1", day="01.10.2026", more=["A-", "расчёт"]),
        line(["1 "] * 24, code="КБ-2", day="01.10.2026", more=["", ""]),
        first="Точка учёта;Дата;Канал;Качество",
        encoding=encoding,
    )

    reader, found = read(content)

    assert reader.index.keys == [SeriesKey("КБ-1", "A-"), SeriesKey("КБ-2", "A+")]
    assert found["value_uwh"][:24].tolist() == [345_000_000] * 24
    assert found["quality"][[0, 24]].tolist() == [Quality.ESTIMATED, Quality.ACTUAL]
    assert found["line"][[0, 24]].tolist() == [2, 3]


def test_quoted_commas_are_decimals_where_commas_part_the_fields():
    content = wide(HOURS, line(['"0,5"'] * 24, separator=","), separator=",")

    _, found = read(content)

    assert found["value_uwh"].tolist() == [KWH_UWH // 2] * 24


def test_an_empty_cell_is_no_row_and_a_word_for_none_is_one():
    _, found = read(wide(HOURS, line(["1", "", "-", *["2"] * 21])))

    assert len(found) == 23
    assert found["fault"].tolist() == [0, NUMBER_OF[RefusalReason.NO_VALUE]] + [0] * 21


def test_watt_hours_are_read_as_such():
    _, found = read(wide(HOURS, line(range(24))), unit="wh")

    assert found["value_uwh"].tolist() == [value * 1_000_000 for value in range(24)]


def test_blank_lines_and_other_columns_are_passed_over():
    content = wide(
        HOURS,
        "",
        line(range(24), more=["Иванов"]),
        "",
        line(range(24), day="2026-10-02", more=["Иванов"]),
        first="point;date;payer",
    )

    _, found = read(content)

    assert len(found) == 48
    assert found["line"][[0, 24]].tolist() == [3, 5]


@pytest.mark.parametrize(
    ("day", "columns", "hours"),
    [
        ("2026-03-29", HOURS, 23),
        ("2026-10-01", [*HOURS, "2:00*"], 24),
        ("2026-10-25", [*HOURS, "2:00*"], 25),
        ("2026-10-25", ["2:00*", *HOURS], 25),
    ],
)
def test_days_of_23_24_and_25_hours_are_placed_hour_by_hour(day, columns, hours):
    """The values are the hours that have passed since midnight."""
    berlin = ZoneInfo("Europe/Berlin")
    midnight = datetime.fromisoformat(day).replace(tzinfo=berlin).astimezone(UTC)
    shown = [(midnight + timedelta(hours=n)).astimezone(berlin) for n in range(hours)]
    value_of = {f"{one.hour}:00{'*' if one.fold else ''}": n for n, one in enumerate(shown)}
    content = wide(columns, line([value_of.get(column, "") for column in columns], day=day))

    reader, found = read(content)
    channel = PointChannel("P1", 1, 60, 1, "Europe/Berlin")
    placed = place(found, reader.index.keys, {SeriesKey("P1"): channel})

    (block,) = placed.blocks
    assert block.days.tolist() == [date.fromisoformat(day)]
    assert block.energy_wh.tolist() == [[hour * 1000 for hour in range(hours)]]
    assert not placed.refused


def test_the_second_of_two_equal_hours_is_the_later_even_where_the_first_is_empty():
    columns = [*HOURS, "2:00*"]
    values = ["" if column == "2:00" else "1" for column in HOURS] + ["7"]
    content = wide(columns, line(values, day="2026-10-25"))

    reader, found = read(content)
    channel = PointChannel("P1", 1, 60, 1, "Europe/Berlin")
    placed = place(found, reader.index.keys, {SeriesKey("P1"): channel})

    assert placed.blocks[0].energy_wh[0].tolist() == [1000, 1000, 0, 7000] + [1000] * 21
    assert placed.blocks[0].quality[0][2] == Quality.MISSING


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (wide(HOURS[:23], line(range(23))), "the columns of times do not make up a day"),
        (wide([*HOURS[:23], "25:00"], line(range(24))), "the columns of times do not make up"),
        (wide([*HOURS, "3:30*"], line(range(25))), "the columns of times do not make up"),
        (wide([*HOURS, "3:00*", "3:00*"], line(range(26))), "the columns of times do not make up"),
        (wide(["1", "2", "4"], line(range(3))), "the columns of times do not make up"),
        (wide(["0:00-0:45", *HOURS[1:]], line(range(24))), "the columns of times do not make up"),
        (wide(HOURS, line(range(24)), first="point;date;point"), "a column is named twice"),
        (wide(HOURS, line(range(23))), "Line 2: there are 25 fields, not 26"),
        (wide(HOURS, line(range(24)), line(range(24), day="soon")), "Line 3: 'soon' is not a date"),
        (wide(HOURS, line(["x", *range(23)])), "Line 2: 'x' is not a number"),
        (wide(HOURS, line(range(24), more=["7"]), first="point;date;quality"), "'7' is not a qual"),
        (wide(HOURS, 'P1;"2026-10-01'), "Line 2: there are"),
        (wide(HOURS, line(range(24))) + b"P1;2026\0", "Line 3: the file is not a text"),
        (
            wide(HOURS, line(range(24))) + "Я".encode("cp1251"),
            "Line 3: the text is not utf-8; save the file as UTF-8",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_by_its_line(content, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        read(content)


def test_a_day_of_another_century_is_a_row_with_its_fault():
    _, found = read(wide(HOURS, line(range(24), day="1899-10-01")))

    assert set(found["fault"].tolist()) == {NUMBER_OF[RefusalReason.TIME_OUT_OF_RANGE]}


def test_lines_of_many_blocks_keep_their_numbers(monkeypatch):
    monkeypatch.setattr("metering.parsers.csv_wide.PIECE_BYTES", 300)
    lines = [line(range(24), code=f"P{number}") for number in range(50)]

    reader, found = read(wide(HOURS, *lines))

    assert len(reader.index.keys) == 50
    assert found["line"][::24].tolist() == list(range(2, 52))


# --- turned: a column a point ---


def read_turned(text):
    content = text.encode()
    reader = TurnedCsvReader(detect_turned(content.partition(b"\n")[0]))
    return reader, np.concatenate(list(reader.blocks(BytesIO(content))))


def test_a_turned_file_has_a_column_a_series():
    reader, found = read_turned(
        "время;КБ-1;КБ-1 A-;КБ-2\n01.10.2026 00:00;0,5;0;1\n01.10.2026 00:30;1,5;;2\n"
    )

    assert reader.index.keys == [
        SeriesKey("КБ-1", "A+"),
        SeriesKey("КБ-1", "A-"),
        SeriesKey("КБ-2", "A+"),
    ]
    assert found["series"].tolist() == [0, 1, 2, 0, 1, 2]
    assert found["time_s"].tolist() == [MIDNIGHT] * 3 + [MIDNIGHT + 1800] * 3
    assert found["value_uwh"].tolist() == [int(kwh * KWH_UWH) for kwh in (0.5, 0, 1, 1.5, 0, 2)]
    assert found["fault"].tolist() == [0, 0, 0, 0, NUMBER_OF[RefusalReason.NO_VALUE], 0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("time;P1\nsoon;1\n", "Line 2: 'soon' is not a time such as 2026-10-01T00:30"),
        ("time;P1\n2026-10-01T00:00;x\n", "Line 2: 'x' is not a number"),
        ("time;P1\n2026-10-01T00:00;1;2\n", "Line 2: there are 3 fields, not 2"),
        ("time;P1;P1\n", "Line 1: a column is named twice"),
    ],
)
def test_a_turned_file_that_makes_no_sense_is_refused(text, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        read_turned(text)


@pytest.mark.parametrize("header", [b"point;da\rte;0:00;1:00", b"time;P1\r;P2"])
def test_a_carriage_return_within_the_header_makes_it_none_of_ours(header):
    assert detect_wide(header) is None
    assert detect_turned(header) is None
