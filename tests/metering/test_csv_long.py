"""What a CSV file of interval values may look like, and the one sentence that refuses another."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.errors import Invalid
from kilokassa.core.series import Quality
from metering.arrivals import kwh_text
from metering.imports import NUMBER_OF, RefusalReason, UnreadableFile
from metering.parsers.csv_long import LongCsvReader, whole_lines
from metering.parsers.detect import Column, detect_layout

HEADER = b"point;time;value"


def read(text, header=HEADER, *, unit="kwh"):
    reader = LongCsvReader(detect_layout(header), unit=unit)
    return reader, reader.read(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("header", "encoding", "separator"),
    [
        (b"point;time;value", "utf-8", ";"),
        (b"Point,Time,Value", "utf-8", ","),
        (b"time\tvalue\tpoint", "utf-8", "\t"),
        ("точка;время;значение".encode(), "utf-8", ";"),
        ("\ufeffточка;время;значение".encode(), "utf-8", ";"),
        ("Точка учёта;Время;Значение".encode("cp1251"), "cp1251", ";"),
        (b'"point";"time";"value"', "utf-8", ";"),
    ],
)
def test_the_header_tells_encoding_separator_and_columns(header, encoding, separator):
    layout = detect_layout(header)

    assert (layout.encoding, layout.separator) == (encoding, separator)
    assert set(layout.columns) == {Column.POINT, Column.TIME, Column.VALUE}


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (b"", "Line 1: the file is empty"),
        (b"a;b;c", "Line 1: the header does not name the columns point, time and value"),
        (b"P1;2026-10-01T00:00;1", "Line 1: the header does not name the columns"),
        (b"point;time;value;value", "Line 1: a column is named twice"),
        ("point;time;value".encode("utf-16"), "Line 1: the text is neither UTF-8 nor windows"),
    ],
)
def test_a_header_that_makes_no_sense_refuses_the_file(header, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        detect_layout(header)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("P1;2026-10-01T00:00;1\nP1;2026-10-01T00:30;abc\n", "Line 3: 'abc' is not a number"),
        ("P1;2026-10-01T00:00;1\n\nP1;25:00;1\n", "Line 4: '25:00' is not a time"),
        ("P1;2026-10-01;1\n", "Line 2: '2026-10-01' is not a time"),
        ("P1;2026-10-01T00:00;1;9\n", "Line 2: there are 4 fields, not 3"),
        ("P1;2026-10-01T00:00;1\nP1;2026-10", "Line 3: there are 2 fields, not 3"),
        ("P1;1;2026-10-01T00:00;1\nP1;2026\n", "Line 2: there are 4 fields, not 3"),
        ("P1;2026\nP1;1;2026-10-01T00:00;1\n", "Line 2: there are 2 fields, not 3"),
        ('"P;1";2026-10-01T00:00\n', "Line 2: there are 2 fields, not 3"),
        ("P1;2026-10-01T00:00;1\nК\0;2026-10-01T00:00;1\n", "Line 3: the file is not a text"),
        ("P1;2026-10-01T00:00;1 234,5\n", "Line 2: '1 234,5' is not a number"),
    ],
)
def test_a_line_that_cannot_be_parsed_refuses_the_file_by_its_number(text, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        read(text)


def test_a_file_in_the_wrong_encoding_is_refused_by_its_line():
    text = "P1;2026-10-01T00:00;1\nКв 2;2026-10-01T00:00;1\n".encode("cp1251")

    with pytest.raises(UnreadableFile, match="Line 3: the text is not utf-8"):
        read(text)


def test_lines_go_on_counting_from_block_to_block():
    reader = LongCsvReader(detect_layout(HEADER))

    first = reader.read(b"P1;2026-10-01T00:00;1\n\nP2;2026-10-01T00:00;1\n")
    second = reader.read(b"P3;2026-10-01T00:00;1\nP1;2026-10-01T00:30;1")

    assert first["line"].tolist() == [2, 4]
    assert second["line"].tolist() == [5, 6]
    assert [key.point_code for key in reader.index.keys] == ["P1", "P2", "P3"]
    assert second["series"].tolist() == [2, 0]


@pytest.mark.parametrize(
    ("time", "seconds", "local"),
    [
        ("2026-10-01T00:30", 1790814600, True),
        ("2026-10-01 00:30:00", 1790814600, True),
        ("01.10.2026 00:30", 1790814600, True),
        ("01.10.2026 0:30:00", 1790814600, True),
        ("2026-10-01T00:30Z", 1790814600, False),
        ("2026-10-01T10:30:00+10:00", 1790814600, False),
    ],
)
def test_times_come_with_or_without_an_offset(time, seconds, local):
    _, rows = read(f"P1;{time};1\n")

    assert (rows["time_s"].tolist(), rows["local"].tolist()) == ([seconds], [local])


@pytest.mark.parametrize(
    ("value", "unit", "uwh"),
    [
        ("0,345", "kwh", 345_000_000),
        (" 0.345 ", "kwh", 345_000_000),
        ("0.000000001", "kwh", 1),
        ("0.0000000004", "kwh", 0),
        ("345", "wh", 345_000_000),
        ("1e-3", "kwh", 1_000_000),
        ("2147483.647", "kwh", 2_147_483_647_000_000),
    ],
)
def test_values_are_read_exactly_in_the_unit_of_the_file(value, unit, uwh):
    _, rows = read(f"P1;2026-10-01T00:30;{value}\n", unit=unit)

    assert rows["value_uwh"].tolist() == [uwh]
    assert rows["fault"].tolist() == [0]


@given(uwh=st.lists(st.integers(0, 2_147_483_647_000_000), min_size=1))
def test_every_whole_millionth_of_a_watt_hour_comes_in_as_itself(uwh):
    text = "".join(f"P1;2026-10-01T00:30;{kwh_text(value)}\n" for value in uwh)

    _, rows = read(text)

    assert rows["value_uwh"].tolist() == uwh


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", RefusalReason.NO_VALUE),
        ("NaN", RefusalReason.NO_VALUE),
        ("none", RefusalReason.NO_VALUE),
        ("нет", RefusalReason.NO_VALUE),
        ("-0,5", RefusalReason.NEGATIVE),
        ("-inf", RefusalReason.NEGATIVE),
        ("2147483.648", RefusalReason.TOO_LARGE),
        ("inf", RefusalReason.TOO_LARGE),
        ("1e300", RefusalReason.TOO_LARGE),
    ],
)
def test_a_value_that_is_none_is_a_fault_of_its_row_alone(value, reason):
    _, rows = read(f"P1;2026-10-01T00:30;{value}\nP1;2026-10-01T01:00;1\n")

    assert rows["fault"].tolist() == [NUMBER_OF[reason], 0]


def test_a_time_of_another_century_is_a_fault_of_its_row():
    _, rows = read("P1;1926-10-01T00:30;1\n")

    assert rows["fault"].tolist() == [NUMBER_OF[RefusalReason.TIME_OUT_OF_RANGE]]


def test_qualities_are_read_and_an_unknown_one_refuses_the_file():
    header = b"point;time;value;quality"
    _, rows = read("P1;2026-10-01T00:30;1;estimated\nP1;2026-10-01T01:00;1;\n", header)

    assert rows["quality"].tolist() == [Quality.ESTIMATED, Quality.ACTUAL]
    with pytest.raises(UnreadableFile, match="Line 2: 'guess' is not a quality"):
        read("P1;2026-10-01T00:30;1;guess\n", header)


def test_a_channel_may_be_named_and_is_energy_taken_where_it_is_not():
    header = "точка;канал;время;значение".encode()
    text = "P1;;2026-10-01T00:30;1\nP2;A-;2026-10-01T00:30;2\nP1;R+;2026-10-01T00:30;3\n"

    reader, rows = read(text + "P1;A+;2026-10-01T01:00;4\n", header)

    assert reader.index.keys == [("P1", "A+"), ("P2", "A-"), ("P1", "R+")]
    assert rows["series"].tolist() == [0, 1, 2, 0]


def test_a_whole_file_is_read_from_its_header_on():
    file = BytesIO(b"point;time;value\nP1;2026-10-01T00:30;1\nP2;2026-10-01T00:30;2")
    reader = LongCsvReader(detect_layout(HEADER))

    rows = np.concatenate(list(reader.blocks(file)))

    assert rows["line"].tolist() == [2, 3]
    assert [key.point_code for key in reader.index.keys] == ["P1", "P2"]


def test_columns_that_mean_nothing_to_us_are_passed_over():
    _, rows = read("7;P1;x;2026-10-01T00:30;1\n", b"id;point;note;time;value")

    assert rows["value_uwh"].tolist() == [10**9]


def test_windows_1251_and_windows_line_ends_are_understood():
    header = "точка;время;значение".encode("cp1251")

    reader, rows = read("Кв 1;2026-10-01T00:30;1,5\r\n".encode("cp1251"), header)

    assert reader.index.keys == [("Кв 1", "A+")]
    assert rows["value_uwh"].tolist() == [1_500_000_000]


def test_an_unknown_unit_is_refused():
    with pytest.raises(Invalid, match="is not a unit"):
        LongCsvReader(detect_layout(HEADER), unit="mwh")


@given(
    text=st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b""))),
    size=st.integers(1, 9),
)
def test_a_file_cut_anywhere_gives_whole_lines(text, size):
    data = b"\n".join(text)
    pieces = [data[n : n + size] for n in range(0, len(data), size)]

    blocks = list(whole_lines(pieces))

    assert b"".join(blocks) == data
    assert all(block.endswith(b"\n") for block in blocks[:-1])


def test_the_same_rows_come_from_any_cut_of_the_file():
    lines = [f"P{n % 3};2026-10-01T{n:02d}:00;{n}\n" for n in range(24)]
    _, whole = read("".join(lines))
    reader = LongCsvReader(detect_layout(HEADER))

    parts = [reader.read("".join(lines[n : n + 5]).encode()) for n in range(0, 24, 5)]

    assert np.array_equal(np.concatenate(parts), whole)
