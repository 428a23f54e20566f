"""The sample files in `examples/import` tell of the same day in every format."""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from kilokassa.core.calendar import local_midnight
from metering.exchange.codes import ExchangeArea
from metering.parsers.formats import HEAD_BYTES, Format, detect, make_reader
from metering.parsers.source import SeriesKey

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "import"
EXCHANGE = FOLDER / "80020_7707083893_20261103_1_7728168971.xml"
DAY = date(2026, 11, 3)
DAY_WH = {"D-1-1": 5_526, "D-1-2": 9_756}


def read(path):
    head = path.read_bytes()[:HEAD_BYTES]
    reader = make_reader(detect(head), head)
    with path.open("rb") as stream:
        return reader, np.concatenate(list(reader.blocks(stream)))


def energy_wh(reader, found):
    return {
        key.point_code: int(found["value_uwh"][found["series"] == number].sum()) // 1_000_000
        for number, key in enumerate(reader.index.keys)
    }


@pytest.mark.parametrize(
    ("name", "fmt"), [("readings-wide.csv", Format.WIDE), ("readings-turned.csv", Format.TURNED)]
)
def test_both_wide_forms_hold_the_same_energy(name, fmt):
    reader, found = read(FOLDER / name)

    assert detect((FOLDER / name).read_bytes()[:HEAD_BYTES]) is fmt
    assert energy_wh(reader, found) == DAY_WH
    assert len(found) == 2 * 48


def test_80020_holds_its_whole_kilowatt_hours():
    reader, found = read(EXCHANGE)

    assert reader.areas == [ExchangeArea("7707083893", "7728168971", "")]
    assert energy_wh(reader, found) == {code: wh // 1000 * 1000 for code, wh in DAY_WH.items()}
    assert np.bincount(found["quality"]).tolist() == [0, 94, 2]


def test_green_button_holds_the_hours_of_the_first_flat():
    reader, found = read(FOLDER / "green-button.xml")

    assert reader.index.keys == [SeriesKey("RetailCustomer/1/UsagePoint/1", "A+")]
    assert list(energy_wh(reader, found).values()) == [DAY_WH["D-1-1"]]
    midnight = local_midnight(DAY, ZoneInfo("Asia/Vladivostok"))
    assert found["time_s"].tolist() == [int(midnight.timestamp()) + 3600 * n for n in range(24)]
