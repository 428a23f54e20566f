"""Half hours in 80020 XML: what is read, what is written, and what is refused in one sentence."""

import math
from datetime import UTC, date, datetime
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilokassa.core.calendar import intervals_in_day, local_midnight
from kilokassa.core.series import Quality
from metering.exchange.codes import ExchangeArea, TimeZoneChanged, check_time_zones
from metering.imports import NUMBER_OF, RefusalReason, UnreadableFile
from metering.parsers.source import VALUE_MAX_UWH, SeriesKey
from metering.parsers.xml_80020 import UWH_PER_KWH, Xml80020Reader
from metering.writers.xml_80020 import (
    ChannelDay,
    MessageHead,
    PointDay,
    to_periods,
    whole_kwh,
    write_message,
)

MOSCOW = ZoneInfo("Europe/Moscow")
DAY = date(2026, 10, 1)
HALF_HOURS = [f"{minute // 60:02d}{minute % 60:02d}" for minute in range(0, 24 * 60, 30)]


def period(start="0000", end="0030", value="5", status=None):
    mark = "" if status is None else f' status="{status}"'
    return f'<period start="{start}" end="{end}"><value{mark}>{value}</value></period>'


def channel(*periods, code="01"):
    return f'<measuringchannel code="{code}" desc="x">{"".join(periods)}</measuringchannel>'


def point(*channels, code="100000000000001"):
    return f'<measuringpoint code="{code}" name="кв. 1">{"".join(channels)}</measuringpoint>'


def area(*points, inn="7700000001", timezone="1"):
    stated = "" if timezone is None else f' timezone="{timezone}"'
    return f"<area{stated}><inn>{inn}</inn><name>Город</name>{''.join(points)}</area>"


def message(*areas, kind="80020", day="20261001", encoding="windows-1251"):
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?>\n'
        f'<message class="{kind}" version="2" number="7">\n'
        "<datetime><timestamp>20261002030000</timestamp>"
        f"<daylightsavingtime>0</daylightsavingtime><day>{day}</day></datetime>\n"
        "<sender><name>Сбыт</name><inn>7700000000</inn></sender>\n"
        f"{''.join(areas)}\n</message>"
    )
    return text.encode("cp1251" if encoding == "windows-1251" else encoding)


def one(*periods, **values):
    return message(area(point(channel(*periods))), **values)


def read(content):
    reader = Xml80020Reader()
    blocks = list(reader.blocks(BytesIO(content)))
    return reader, np.concatenate(blocks) if blocks else np.zeros(0)


def test_a_file_gives_every_half_hour_of_every_channel():
    content = message(
        area(
            point(channel(period(value="5"), period("0030", "0100", "7")), channel(code="02")),
            point(channel(period("2330", "0000", "9"), code="02"), code="100000000000002"),
        ),
        area(point(channel(period(), code="03"), code="3"), inn="7700000002", timezone=None),
    )

    reader, found = read(content)

    assert reader.index.keys == [
        SeriesKey("100000000000001", "A+"),
        SeriesKey("100000000000002", "A-"),
        SeriesKey("3", "R+"),
    ]
    assert found["series"].tolist() == [0, 0, 1, 2]
    assert found["value_uwh"].tolist() == [kwh * UWH_PER_KWH for kwh in (5, 7, 9, 5)]
    assert found["interval_min"].tolist() == [30] * 4
    midnight = int(local_midnight(DAY, MOSCOW).timestamp())
    assert found["time_s"].tolist()[:3] == [midnight, midnight + 1800, midnight + 23 * 3600 + 1800]
    assert reader.areas == [
        ExchangeArea("7700000000", "7700000001", "1"),
        ExchangeArea("7700000000", "7700000002", ""),
    ]


def test_without_a_time_zone_times_are_those_of_the_building():
    _, found = read(message(area(point(channel(period("0130", "0200"))), timezone=None)))

    wall = datetime(2026, 10, 1, 1, 30, tzinfo=UTC)
    assert found["local"].tolist() == [True]
    assert found["time_s"].tolist() == [int(wall.timestamp())]


@pytest.mark.parametrize("encoding", ["windows-1251", "utf-8"])
def test_both_encodings_are_read(encoding):
    content = message(area(point(channel(period()), code="ТУ-7")), encoding=encoding)

    reader, _ = read(content)

    assert reader.index.keys == [SeriesKey("ТУ-7", "A+")]


@pytest.mark.parametrize(
    ("value", "status", "kwh", "quality"),
    [
        ("5", None, 5, Quality.ACTUAL),
        ("5", "0", 5, Quality.ACTUAL),
        ("5", "1", 5, Quality.ESTIMATED),
        ("0", None, 0, Quality.ACTUAL),
        ("0.5", None, 0.5, Quality.ACTUAL),
        ("1,25", None, 1.25, Quality.ACTUAL),
    ],
)
def test_a_value_has_its_status(value, status, kwh, quality):
    _, found = read(one(period(value=f" \n\t{value}\n ", status=status)))

    assert found["value_uwh"].tolist() == [kwh * UWH_PER_KWH]
    assert found["quality"].tolist() == [quality]


def test_a_status_belongs_to_its_own_value_wherever_blocks_are_cut(monkeypatch):
    monkeypatch.setattr("metering.parsers.xml_80020.BLOCK_ROWS", 10)
    monkeypatch.setattr("metering.parsers.safe_xml.PIECE_BYTES", 100)
    periods = [
        period(start, end, str(number), "1" if number % 7 == 3 else None)
        for number, (start, end) in enumerate(pairwise(HALF_HOURS))
    ]

    _, found = read(message(area(*(point(channel(*periods), code=str(n)) for n in range(5)))))

    estimated = found["value_uwh"][found["quality"] == Quality.ESTIMATED] // UWH_PER_KWH
    assert estimated.tolist() == [3, 10, 17, 24, 31, 38, 45] * 5


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", RefusalReason.NO_VALUE),
        ("-", RefusalReason.NO_VALUE),
        ("-5", RefusalReason.NEGATIVE),
        ("9999999", RefusalReason.TOO_LARGE),
        ("99999999999999999", RefusalReason.TOO_LARGE),
    ],
)
def test_a_value_that_cannot_be_is_a_row_with_its_fault(value, reason):
    _, found = read(one(period(value=value), period("0030", "0100")))

    assert found["fault"].tolist() == [NUMBER_OF[reason], 0]
    assert abs(int(found["value_uwh"][0])) <= VALUE_MAX_UWH


@pytest.mark.parametrize(
    ("start", "end", "minutes", "length"),
    [
        ("0000", "0030", 0, 30),
        ("2330", "0000", 1410, 30),
        ("2330", "2400", 1410, 30),
        ("0000", "0100", 0, 60),
        ("2300", "0000", 1380, 60),
        ("0015", "0030", 15, 15),
    ],
)
def test_a_period_has_its_start_and_its_length(start, end, minutes, length):
    _, found = read(one(period(start, end)))

    midnight = int(local_midnight(DAY, MOSCOW).timestamp())
    assert found["time_s"].tolist() == [midnight + minutes * 60]
    assert found["interval_min"].tolist() == [length]


def test_the_line_of_a_value_is_the_one_it_stands_in():
    _, found = read(one(f"\n{period()}", f"\n\n{period('0030', '0100')}"))

    assert found["line"].tolist() == [6, 8]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            one(period(), kind="80040"),
            "Line 2: the message is of class 80040, a part of a day; only 80020 is taken",
        ),
        (one(period(), kind="51070"), "class 51070, delivery points instead of metering points"),
        (one(period(), kind="12345"), "class 12345; only 80020 is taken"),
        (b"<html><body/></html>", "Line 1: this is no exchange message: the root is html"),
        (one(period(status="7")), "Line 5: the status '7' is not known"),
        (one(period(value="много")), "Line 5: 'много' is not a number"),
        (one(period(value="1e5e5")), "Line 5: '1e5e5' is not a number"),
        (one(period(value="1_000")), "Line 5: '1_000' is not a number"),
        (one(period(value="inf")), "Line 5: 'inf' is not a number"),
        (one(period("2500", "2530")), "does not start or end at a time such as 0030"),
        (one(period("2400", "0030")), "does not start or end at a time such as 0030"),
        (one(period("0000", "0000")), "the period from 0000 to 0000 is of no length taken"),
        (one(period("0000", "0007")), "the period from 0000 to 0007 is of no length taken"),
        (one('<period start="0000"><value>5</value></period>'), "has a start and an end"),
        (one('<period a="0000" b="0030"><value>5</value></period>'), "does not start or end"),
        (one('<period start="0000" end="0030"></period>'), "a period has no value"),
        (one("<value>5</value>"), "the element value does not stand there"),
        (one(f"<period start='0000' end='0030'>{period()}</period>"), "element period does not"),
        (message(area(channel(period()))), "the element measuringchannel does not stand there"),
        (message(point(channel(period()))), "the element measuringpoint does not stand there"),
        (message(area(point(channel(period(), code="05")))), "channel code '05' is not known"),
        (message(area(point(channel(period())), timezone="99")), "the time zone '99' is not one"),
        (message(area(point(), inn="")), "the sender or the area has no INN"),
        (message(area(point(code=""))), "has no code"),
        (one(period(), day="20261301"), "'20261301' is not a day such as 20261001"),
        (one(period(), day=""), "'' is not a day such as 20261001"),
        (message(), "the file has no metering point"),
        (
            message(area(point(channel(period()))), area(point(), timezone=None)),
            "area 7700000001 stands in the file with two time zones",
        ),
        (one(*[period()] * 1600), "more values than a day has minutes"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_by_its_line(content, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        read(content)


ENTITIES = """<!DOCTYPE message [
  <!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">
]>"""


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (ENTITIES.encode() + b"<message>&c;</message>", "Line 1: a document type"),
        (b'<!DOCTYPE message SYSTEM "file:///etc/passwd"><message/>', "a document type"),
        (b'<!DOCTYPE m PUBLIC "x" "http://127.0.0.1/x.dtd"><m/>', "a document type"),
        (b"<message class='80020'>&outside;</message>", "there is an entity"),
        (one(period())[:-30], "Line 5: the XML ends too early"),
        (one(period())[:300], "the XML ends too early"),
        (b"", "Line 1: the XML ends too early"),
        (one(period()).replace(b"</period>", b"</measuringpoint>"), "not the one last opened"),
        (b'<message class="' + b"8" * 1_000_000 + b'"/>', "a tag or a comment is too long"),
        (b"<message class='80020'><!--" + b"-x" * 500_000, "a tag or a comment is too long"),
        (
            b"<message class='80020'>" + b"<x>" * 100 + b"</x>" * 100 + b"</message>",
            "elements are nested too deep",
        ),
        (one(period(value="5" * 1_000_000)), "more values than a day has minutes"),
        (
            message(area(inn="7" * 1_000_000)),
            "a text is too long",
        ),
        (
            one(period()).replace(b"windows-1251", b"koi8-nonsense"),
            "the encoding is not one that is read",
        ),
        (
            one(period()).replace(b"windows-1251", b"utf-8"),
            "a character that XML does not allow or that the encoding does not have",
        ),
    ],
)
def test_hostile_xml_is_refused_and_nothing_is_fetched(content, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        read(content)


def test_what_a_sender_adds_outside_of_readings_is_passed_over():
    content = one(period()).replace(
        b"<sender>", b"<sender><contact><inn>1</inn><phone>2</phone></contact><comment/>"
    )

    reader, found = read(content)

    assert reader.sender_inn == "7700000000"
    assert len(found) == 1


# --- time zones that change ---

AREA = ExchangeArea("7700000000", "7700000001", "1")


def test_an_area_not_met_before_is_remembered():
    assert check_time_zones([AREA], {}) == (AREA,)


def test_an_area_with_the_same_time_zone_is_nothing_new():
    assert check_time_zones([AREA], {("7700000000", "7700000001"): "1"}) == ()


def test_a_changed_time_zone_is_refused_unless_it_is_accepted():
    known = {("7700000000", "7700000001"): ""}

    with pytest.raises(TimeZoneChanged, match="was «» in the files before and is 1 in this one"):
        check_time_zones([AREA], known)

    assert check_time_zones([AREA], known, accept=True) == (AREA,)


# --- writing ---


def head(day=DAY, timezone="1", zone=MOSCOW):
    return MessageHead(
        number=7,
        day=day,
        made_at=datetime(2026, 10, 2, 0, 15, tzinfo=UTC),
        sender_inn="7700000000",
        sender_name='ООО "Сбыт" & <Ко>',
        area_inn="7700000001",
        area_name="Город",
        timezone=timezone,
        zone=zone,
    )


def written(points, **values):
    return b"".join(write_message(head(**values), points))


@st.composite
def channel_days(draw, day=DAY, zone=MOSCOW):
    code = draw(st.sampled_from(["A+", "A-", "R+", "R-"]))
    minutes = draw(st.sampled_from([30, 60]))
    count = intervals_in_day(day, zone, minutes)
    kwh = draw(st.lists(st.integers(0, 2_000_000), min_size=count, max_size=count))
    quality = draw(
        st.lists(
            st.sampled_from([Quality.MISSING, Quality.ACTUAL, Quality.ESTIMATED]),
            min_size=count,
            max_size=count,
        )
    )
    return ChannelDay(code, minutes, np.array(kwh, np.int64), np.array(quality, np.uint8))


@settings(deadline=None, max_examples=40)
@given(
    days=st.lists(channel_days(), min_size=1, max_size=3, unique_by=lambda one: one.code),
    code=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1),
    name=st.text(),
)
def test_what_is_written_is_read_back_to_the_kilowatt_hour(days, code, name):
    points = [PointDay(code, name, MOSCOW, days)]

    reader, found = read(written(points))

    midnight = int(local_midnight(DAY, MOSCOW).timestamp())
    for one_day in days:
        known = one_day.quality != Quality.MISSING
        if not known.any():
            continue
        number = reader.index.keys.index(SeriesKey(code, one_day.code))
        own = found[found["series"] == number]
        places = np.flatnonzero(known)
        assert (own["value_uwh"] == one_day.kwh[known] * UWH_PER_KWH).all()
        assert (own["time_s"] == midnight + places * one_day.period_min * 60).all()
        assert (own["quality"] == one_day.quality[known]).all()
        assert (own["interval_min"] == one_day.period_min).all()


@pytest.mark.parametrize(
    ("day", "periods"), [(date(2026, 3, 29), 46), (date(2026, 10, 25), 50), (DAY, 48)]
)
def test_days_on_which_the_clock_changes_are_read_back(day, periods, monkeypatch):
    berlin = ZoneInfo("Europe/Berlin")
    for module in ("metering.parsers.xml_80020", "metering.exchange.codes"):
        monkeypatch.setattr(f"{module}.TIME_ZONES", {"1": "Europe/Berlin"})
    kwh = np.arange(periods, dtype=np.int64)
    one_day = ChannelDay("A+", 30, kwh, np.full(periods, Quality.ACTUAL, np.uint8))

    content = written([PointDay("1", "", berlin, [one_day])], day=day, zone=berlin)
    _, found = read(content)

    start = int(local_midnight(day, berlin).timestamp())
    assert found["time_s"].tolist() == [start + 1800 * place for place in range(periods)]
    assert found["value_uwh"].tolist() == (kwh * UWH_PER_KWH).tolist()
    assert not found["fault"].any()


def test_what_windows_1251_lacks_and_what_xml_reserves_survives():
    one_day = ChannelDay("A+", 60, np.arange(24), np.full(24, Quality.ACTUAL, np.uint8))

    content = written([PointDay('电表 <1> & "2"', "\x00\x01Ωmega", MOSCOW, [one_day])])
    reader, found = read(content)

    assert reader.index.keys == [SeriesKey('电表 <1> & "2"', "A+")]
    assert len(found) == 24


@given(
    days=st.lists(st.lists(st.integers(0, 5_000), min_size=4, max_size=4), min_size=1, max_size=31),
    loss_ppm=st.one_of(st.just(0), st.integers(0, 999_999)),
    order=st.randoms(use_true_random=False),
)
def test_a_month_of_whole_kwh_sums_to_what_was_measured_whichever_day_is_written_first(
    days, loss_ppm, order
):
    energy = np.array(days, np.int64)
    reached = np.concatenate([[0], np.cumsum(energy.sum(axis=1))])
    losses = np.array([loss_ppm])
    places = list(range(len(days)))
    order.shuffle(places)

    written_kwh = [
        whole_kwh(energy[place : place + 1], reached[place : place + 1], losses) for place in places
    ]

    measured_wh = math.ceil(Fraction(int(energy.sum()) * 10**6, 10**6 + loss_ppm))
    assert sum(int(part.sum()) for part in written_kwh) == measured_wh // 1000
    assert all((part >= 0).all() for part in written_kwh)


@pytest.mark.parametrize(
    ("interval_min", "quality", "expected"),
    [
        (15, [1, 1, 1, 1], [1, 1]),
        (15, [1, 0, 0, 0], [Quality.ESTIMATED, Quality.MISSING]),
        (15, [1, 2, 2, 2], [Quality.ESTIMATED, Quality.ESTIMATED]),
        (30, [1, 0, 2, 3], [1, 0, 2, 3]),
        (60, [1, 0, 2, 3], [1, 0, 2, 3]),
    ],
)
def test_a_half_hour_known_in_part_is_estimated(interval_min, quality, expected):
    _, _, merged = to_periods(np.ones(4, np.int32), np.array(quality, np.uint8), interval_min)

    assert merged.tolist() == expected


def test_the_head_of_a_file_is_what_the_format_asks_for():
    content = written([]).decode("cp1251")

    assert content.startswith(
        '<?xml version="1.0" encoding="windows-1251"?>\n<message class="80020"'
    )
    assert 'version="2" number="7"' in content
    assert "<timestamp>20261002031500</timestamp>" in content
    assert "<daylightsavingtime>0</daylightsavingtime>" in content
    assert "<day>20261001</day>" in content
    assert '<name>ООО "Сбыт" &amp; &lt;Ко&gt;</name>' in content
    assert '<area timezone="1">' in content


def test_an_hour_stays_an_hour_and_the_day_ends_at_midnight():
    one_day = ChannelDay("A+", 60, np.arange(24), np.full(24, Quality.ACTUAL, np.uint8))

    content = written([PointDay("1", "", MOSCOW, [one_day])]).decode("cp1251")

    assert content.count("<period") == 24
    assert '<period start="2300" end="0000">' in content
