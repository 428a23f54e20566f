"""Green Button XML: what is read of a feed, and what is refused in one sentence."""

import gzip
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.series import Quality
from metering.imports import NUMBER_OF, RefusalReason, UnreadableFile
from metering.parsers.green_button import GreenButtonReader
from metering.parsers.source import SeriesKey

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "meters" / "greenbutton"
WH_UWH = 1_000_000
BASE = "https://example.org/espi/1_1/resource/"


def entry(path, content, *related):
    links = "".join(f'<link rel="related" href="{BASE}{target}"/>' for target in related)
    up = path.rpartition("/")[0]
    return (
        f'<entry><link rel="self" href="{BASE}{path}"/><link rel="up" href="{BASE}{up}"/>{links}'
        f"<content>{content}</content></entry>\n"
    )


def usage(number=2):
    return entry(
        f"RetailCustomer/2/UsagePoint/{number}", '<UsagePoint xmlns="http://naesb.org/espi"/>'
    )


def meter_reading(number=2, kind="3"):
    path = f"RetailCustomer/2/UsagePoint/{number}/MeterReading/01"
    content = '<MeterReading xmlns="http://naesb.org/espi"/>'
    return entry(path, content, f"{path}/IntervalBlock", f"ReadingType/{kind}")


def reading_type(number="3", **fields):
    stated = {
        "accumulationBehaviour": 4,
        "flowDirection": 1,
        "intervalLength": 3600,
        "powerOfTenMultiplier": 0,
        "uom": 72,
    } | fields
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in stated.items())
    content = f'<ReadingType xmlns="http://naesb.org/espi">{inner}</ReadingType>'
    return entry(f"ReadingType/{number}", content)


def reading(start=1388552400, value=273, duration=3600, quality=None):
    stated = (
        "" if quality is None else f"<ReadingQuality><quality>{quality}</quality></ReadingQuality>"
    )
    return (
        f"<IntervalReading>{stated}<timePeriod><duration>{duration}</duration>"
        f"<start>{start}</start></timePeriod><value>{value}</value></IntervalReading>"
    )


def block(*readings, number=2, part=1):
    content = (
        '<IntervalBlock xmlns="http://naesb.org/espi"><interval><duration>86400</duration>'
        f"<start>1388552400</start></interval>{''.join(readings)}</IntervalBlock>"
    )
    return entry(
        f"RetailCustomer/2/UsagePoint/{number}/MeterReading/01/IntervalBlock/{part}", content
    )


def document(*entries):
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<feed xmlns="http://www.w3.org/2005/Atom">{"".join(entries)}</feed>'
    ).encode()


def one(*readings, **fields):
    return document(usage(), meter_reading(), reading_type(**fields), block(*readings))


def read(content, **values):
    reader = GreenButtonReader(**values)
    blocks = list(reader.blocks(BytesIO(content)))
    return reader, np.concatenate(blocks)


def test_readings_have_their_instant_length_and_energy():
    reader, found = read(one(reading(), reading(1388556000, 819)))

    assert reader.index.keys == [SeriesKey("RetailCustomer/2/UsagePoint/2", "A+")]
    assert found["time_s"].tolist() == [1388552400, 1388556000]
    assert found["value_uwh"].tolist() == [273 * WH_UWH, 819 * WH_UWH]
    assert found["interval_min"].tolist() == [60, 60]
    assert not found["local"].any()


def test_a_named_point_takes_the_place_of_the_link():
    reader, _ = read(one(reading()), point="KB-0001")

    assert reader.index.keys == [SeriesKey("KB-0001", "A+")]


def test_blocks_may_stand_before_what_says_their_type():
    content = document(block(reading()), usage(), meter_reading(), reading_type(flowDirection=19))

    reader, found = read(content)

    assert reader.index.keys == [SeriesKey("RetailCustomer/2/UsagePoint/2", "A-")]
    assert found["value_uwh"].tolist() == [273 * WH_UWH]


@pytest.mark.parametrize(
    ("unit", "flow", "channel"), [(72, 1, "A+"), (72, 19, "A-"), (73, 1, "R+"), (73, 19, "R-")]
)
def test_unit_and_direction_tell_the_channel(unit, flow, channel):
    reader, _ = read(one(reading(), uom=unit, flowDirection=flow))

    assert reader.index.keys[0].channel_code == channel


@pytest.mark.parametrize(
    ("power", "value", "uwh"),
    [
        (0, 7, 7_000_000),
        (3, 7, 7_000_000_000),
        (-3, 1234, 1_234_000),
        (-6, 7, 7),
        (-7, 14, 1),
        (-7, 15, 2),
    ],
)
def test_the_power_of_ten_is_applied(power, value, uwh):
    _, found = read(one(reading(value=value), powerOfTenMultiplier=power))

    assert found["value_uwh"].tolist() == [uwh]


@given(st.integers(0, 2_000_000), st.integers(-6, 3))
def test_energy_is_exact_whatever_the_power(value, power):
    _, found = read(one(reading(value=value), powerOfTenMultiplier=power))

    assert found["value_uwh"].tolist() == [value * 10 ** (6 + power)]


@pytest.mark.parametrize(
    ("quality", "expected"),
    [(None, Quality.ACTUAL), (0, Quality.ACTUAL), (8, Quality.ESTIMATED), (19, Quality.ACTUAL)],
)
def test_what_was_not_measured_is_estimated(quality, expected):
    _, found = read(one(reading(quality=quality)))

    assert found["quality"].tolist() == [expected]


def test_values_that_cannot_be_are_rows_with_their_fault():
    _, found = read(one(reading(value=-5), reading(1388556000, 10**15), reading(value=1, start=5)))

    assert found["fault"].tolist() == [
        NUMBER_OF[RefusalReason.NEGATIVE],
        NUMBER_OF[RefusalReason.TOO_LARGE],
        NUMBER_OF[RefusalReason.TIME_OUT_OF_RANGE],
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (one(reading(), intervalLength=86400), "the readings last 86400 seconds; 1, 5, 10"),
        (one(reading(duration=86400)), "the readings last 86400 seconds"),
        (one(reading(duration=90)), "the readings last 90 seconds"),
        (one(reading(), uom=169), "not energy by intervals: unit 169, flow 1, accumulation 4"),
        (one(reading(), accumulationBehaviour=3), "not energy by intervals: unit 72, flow 1"),
        (one(reading(), powerOfTenMultiplier=99), "the power of ten 99 is out of range"),
        (one(reading(value="1.5")), "'1.5' is not a whole number"),
        (one(reading(value="")), "'' is not a whole number"),
        (one(reading(quality=99)), "the quality '99' is not known"),
        (document(usage(), block(reading())), "nothing says of what type these readings are"),
        (document(usage()), "the file has no interval readings"),
        (b"<feed><entry/></feed>", "no Green Button feed: the root is feed"),
        (b"<html/>", "no Green Button feed: the root is html"),
        (b'<!DOCTYPE feed [<!ENTITY a "b">]><feed/>', "Line 1: a document type"),
        (one(reading())[:-40], "the XML ends too early"),
        (document("<entry><entry/></entry>"), "the element entry does not stand there"),
        (document("<a>" * 50 + "</a>" * 50), "elements are nested too deep"),
        (one(reading(value="5" * 1_000_000)), "a text is too long"),
    ],
)
def test_a_feed_that_makes_no_sense_is_refused(content, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        read(content)


def test_two_usage_points_do_not_go_to_one_point():
    content = document(
        usage(),
        meter_reading(),
        reading_type(),
        block(reading()),
        usage(3),
        meter_reading(3),
        block(reading(), number=3),
    )

    reader, found = read(content)

    assert [key.point_code[-1] for key in reader.index.keys] == ["2", "3"]
    assert found["series"].tolist() == [0, 1]
    with pytest.raises(UnreadableFile, match="more than one usage point, and one point was named"):
        read(content, point="KB-0001")


def test_readings_that_wait_for_their_type_are_bounded(monkeypatch):
    monkeypatch.setattr("metering.parsers.green_button.WAITING_MAX_ROWS", 10)

    with pytest.raises(UnreadableFile, match="too many readings come before what says their type"):
        read(document(block(*[reading()] * 11), usage(), meter_reading(), reading_type()))


# --- real files ---

real = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real files in {REAL}")


@real
@pytest.mark.load_series
def test_a_real_year_by_the_hour_is_read_whole():
    (file,) = REAL.glob("Coastal_Multi_Family*.xml.gz")

    with gzip.open(file) as stream:
        reader = GreenButtonReader()
        found = np.concatenate(list(reader.blocks(stream)))

    assert reader.index.keys == [SeriesKey("RetailCustomer/5/UsagePoint/1", "A+")]
    assert len(found) == 8760
    assert int(found["value_uwh"].sum()) == 4_425_305 * WH_UWH
    assert set(np.diff(found["time_s"]).tolist()) == {3600}
    assert not found["fault"].any()


@real
@pytest.mark.load_series
def test_real_days_by_the_hour_are_read_whole():
    with (REAL / "TestGBDataHourlyNineDaysBinnedDaily.xml").open("rb") as stream:
        found = np.concatenate(list(GreenButtonReader().blocks(stream)))

    assert len(found) == 9 * 24
    assert int(found["value_uwh"].sum()) == 199_563 * WH_UWH


@real
@pytest.mark.load_series
def test_a_real_file_of_days_is_no_file_of_intervals():
    with (
        (REAL / "TestGBDataOneYearDailyBinnedMonthly.xml").open("rb") as stream,
        pytest.raises(UnreadableFile, match="Line 104: the readings last 86400 seconds"),
    ):
        list(GreenButtonReader().blocks(stream))
