"""What a JSON batch of readings may hold, and the sentence that refuses another."""

from decimal import Decimal
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.series import Quality
from metering.arrivals import kwh_text
from metering.imports import NUMBER_OF, RefusalReason, UnreadableFile
from metering.parsers.json_batch import JsonBatchReader

ITEM = '{"point": "P1", "time": "2026-10-01T00:30", "value": %s}'


def read(text, *, unit="kwh"):
    reader = JsonBatchReader(unit=unit)
    (rows,) = reader.blocks(BytesIO(text.encode()))
    return reader, rows


def test_items_become_rows_of_their_series():
    reader, rows = read(
        """[
        {"point": "P1", "time": "2026-10-01T00:30+10:00", "value": 0.345},
        {"point": "P2", "channel": "A-", "time": "01.10.2026 01:00", "value": "0,5", "quality": 2},
        {"point": "P1", "time": "2026-10-01T00:30", "value": 1, "quality": "estimated"}
        ]"""
    )

    assert reader.index.keys == [("P1", "A+"), ("P2", "A-")]
    assert rows["series"].tolist() == [0, 1, 0]
    assert rows["line"].tolist() == [1, 2, 3]
    assert rows["value_uwh"].tolist() == [345_000_000, 500_000_000, 10**9]
    assert rows["local"].tolist() == [False, True, True]
    assert rows["quality"].tolist() == [Quality.ACTUAL, Quality.ESTIMATED, Quality.ESTIMATED]
    assert rows["fault"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Line 1: this is not JSON"),
        ("[\n{,}]", "Line 2: this is not JSON"),
        ("{}", "Line 1: a batch is a list of readings"),
        ("[1]", "Line 1: an item is an object"),
        (f"[{ITEM % 1}, {ITEM % '[]'}]", "Line 2: .* is not a number"),
        (f"[{ITEM % 'true'}]", "Line 1: 'True' is not a number"),
        (f"[{ITEM % 'NaN'}]", "Line 1: 'nan' is not a number"),
        ('[{"point": "P1", "time": "2026-10-01T00:30"}]', "Line 1: a reading has no value"),
        ('[{"point": "P1", "value": 1}]', "Line 1: a reading has no time"),
        ('[{"point": 7, "time": "2026-10-01T00:30", "value": 1}]', "Line 1: point is a text"),
        ('[{"point": "P1", "time": "noon", "value": 1}]', "Line 1: 'noon' is not a time"),
        ('[{"point": "P1", "time": "2026-10-01T00:30", "value": 1, "x": 1}]', "x is no field"),
        (f'[{ITEM[:-1]}, "quality": "guess"}}]' % 1, "Line 1: 'guess' is not a quality"),
        ("[" * 100_000, "Line 1: this is not JSON"),
        (f"[{ITEM % '1e99999999999999999999'}]", "Line 1: this is not JSON"),
        (f"[{ITEM % '1e-99999999999999999999'}]", "Line 1: this is not JSON"),
        (f'[{ITEM[:-1]}, "value": 2}}]' % 1, "'value' stands twice in one object"),
        (f"[{ITEM % 1}]".replace("P1", r"P\ud800"), "Line 1: point has a character"),
        (f"[{ITEM % 1}]".replace("P1", r"P\u0000"), "Line 1: point has a character"),
    ],
)
def test_a_batch_that_makes_no_sense_is_refused_whole(text, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        read(text)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("null", RefusalReason.NO_VALUE),
        ('"нет"', RefusalReason.NO_VALUE),
        ("-0.5", RefusalReason.NEGATIVE),
        ("-1e999999", RefusalReason.NEGATIVE),
        ("2147483.648", RefusalReason.TOO_LARGE),
        ("1e999999", RefusalReason.TOO_LARGE),
    ],
)
def test_a_value_without_a_place_is_a_fault_of_its_row_alone(value, reason):
    _, rows = read(f"[{ITEM % value}, {ITEM % 1}]")

    assert rows["fault"].tolist() == [NUMBER_OF[reason], 0]


@given(uwh=st.integers(0, 2_147_483_647_000_000), as_text=st.booleans())
def test_every_whole_millionth_of_a_watt_hour_comes_in_as_itself(uwh, as_text):
    value = f'"{kwh_text(uwh)}"' if as_text else str(Decimal(kwh_text(uwh)))

    _, rows = read(f"[{ITEM % value}]")

    assert rows["value_uwh"].tolist() == [uwh]
