"""What a tariff looks like, and what two of them say differently."""

import re
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from kilokassa.core.text import Language
from kilokassa.core.zones import Zone
from tariffs import picture_svg
from tariffs.day_types import DayType
from tariffs.difference import differences, price_changes
from tariffs.documents import faults_in, parse_tariff
from tariffs.picture import day_pictures, ladder, year_picture
from tariffs.yaml_fields import MOST_FAULTS, BadDocument

DOCS = Path("docs/reference/tariff-yaml.md").read_text(encoding="utf-8")
THREE_ZONES, RANGES, EVERYTHING = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
DAY = date(2026, 11, 24)


def test_a_day_is_told_window_by_window_with_its_price():
    (kind,) = day_pictures(parse_tariff(THREE_ZONES), DAY)

    assert [(w.opens_minute // 60, w.zone, w.rate_scaled) for w in kind.windows] == [
        (0, Zone.NIGHT, 2_070_000),
        (7, Zone.PEAK, 7_750_000),
        (10, Zone.SEMI_PEAK, 5_540_000),
        (17, Zone.PEAK, 7_750_000),
        (21, Zone.SEMI_PEAK, 5_540_000),
        (23, Zone.NIGHT, 2_070_000),
    ]


def test_kinds_of_day_are_told_by_type_and_season():
    kinds = day_pictures(parse_tariff(EVERYTHING), date(2026, 1, 1))

    assert {(kind.season, kind.day_types) for kind in kinds} == {
        ("winter", (DayType.WORKING,)),
        ("winter", (DayType.WEEKEND, DayType.HOLIDAY)),
        ("summer", (DayType.WORKING,)),
        ("summer", (DayType.WEEKEND, DayType.HOLIDAY)),
    }


def test_a_year_knows_holidays_moved_days_and_new_prices():
    year = [one for month in year_picture(parse_tariff(EVERYTHING), 2026) for one in month]
    changing = [one for month in year_picture(parse_tariff(THREE_ZONES), 2022) for one in month]

    assert len(year) == 365
    assert year[0].day_type is DayType.HOLIDAY
    assert next(o for o in year if o.day == date(2026, 6, 11)).day_type is DayType.HOLIDAY
    assert [one.day for one in changing if one.new_prices] == [date(2022, 12, 1)]
    assert next(one.day for one in changing if one.known) == date(2022, 7, 1)


def test_a_ladder_has_a_rung_for_each_range():
    rungs = ladder(parse_tariff(RANGES), DAY)

    assert [(r.above_wh, r.up_to_wh, r.rates[0][1]) for r in rungs] == [
        (0, 3_900_000, 4_930_000),
        (3_900_000, 6_000_000, 8_270_000),
        (6_000_000, None, 9_470_000),
    ]
    assert ladder(parse_tariff(THREE_ZONES), DAY) == ()


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("document", [THREE_ZONES, RANGES, EVERYTHING])
def test_every_picture_is_svg_that_says_what_it_shows(document, language):
    version = parse_tariff(document)
    year = year_picture(version, 2026)
    drawn = [picture_svg.day_svg(one, language) for one in day_pictures(version, DAY)]
    drawn += [picture_svg.year_svg(year, language), picture_svg.zones_of_year_svg(year, language)]
    if ladder(version, DAY):
        drawn.append(picture_svg.ladder_svg(ladder(version, DAY), language))

    for svg in [*drawn, picture_svg.sheet_svg("a < b", [("c & d", one) for one in drawn])]:
        root = ET.fromstring(svg)
        assert root.get("role") == "img"
        assert root.get("aria-label")


def test_a_season_with_markup_in_its_name_is_text_in_the_picture():
    document = EVERYTHING.replace("winter", '"<script>alert(1)</script>"')
    version = parse_tariff(document)

    drawn = [picture_svg.day_svg(one, Language.ENGLISH) for one in day_pictures(version, DAY)]
    drawn.append(picture_svg.year_svg(year_picture(version, 2026), Language.ENGLISH))

    assert not any("<script" in svg for svg in drawn)
    assert any("&lt;script" in svg for svg in drawn)


def test_a_changed_price_is_told_with_its_date_zone_and_share():
    changed = THREE_ZONES.replace("peak: 7.75", "peak: 8.14")

    (found,) = differences(THREE_ZONES, changed)

    assert found.path == ("prices", "2022-12-01", "per_kwh", "peak")
    assert (found.old, found.new, found.change_ppm) == ("7.75", "8.14", 50_322)


def test_a_new_price_is_set_against_the_one_that_would_have_held():
    raised = THREE_ZONES.replace("valid_from: 2022-07-01", "valid_from: 2023-02-01").replace(
        "source:",
        "  - from: 2023-03-01\n    per_kwh: {peak: 8.14, semi_peak: 5.54, night: 2.00}\nsource:",
    )

    found = price_changes(parse_tariff(THREE_ZONES), parse_tariff(raised))

    assert [(o.day, o.zone, o.old_scaled, o.new_scaled, o.change_ppm) for o in found] == [
        (date(2023, 3, 1), Zone.PEAK, 7_750_000, 8_140_000, 50_322),
        (date(2023, 3, 1), Zone.NIGHT, 2_070_000, 2_000_000, -33_816),
    ]
    assert price_changes(parse_tariff(THREE_ZONES), parse_tariff(RANGES)) == ()


def test_what_is_new_and_what_is_gone_are_told_apart():
    changed = THREE_ZONES.replace("confidence: high", "confidence: low\nopen: no")

    found = differences(THREE_ZONES, changed)

    assert [(one.path, one.old, one.new) for one in found] == [
        (("confidence",), "high", "low"),
        (("open",), None, "no"),
    ]
    assert differences(changed, THREE_ZONES)[-1].new is None


def test_comments_and_order_make_no_difference():
    lines = THREE_ZONES.strip().split("\n")
    moved = "\n".join([lines[-1], "# a comment", *lines[:-1]])

    assert differences(THREE_ZONES, moved) == ()


def test_all_faults_of_fields_are_told_at_once_by_line():
    wrong = THREE_ZONES.replace("currency: RUB", "currency: USD").replace("high", "surely")

    found = [(one.values["line"], one.values["field"]) for one in faults_in(wrong)]

    assert found == [(6, "currency"), (21, "confidence")]
    assert faults_in(THREE_ZONES) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "a: &a [*a, *a]",
        "a: &a {b: c}\nd: {<<: *a}",
        "a: !!python/object/apply:os.system [ls]",
        "[" * 100_000,
        "{a: " * 50_000,
        "a: " + "x" * 300_000,
        "%s: %(line)s",
        "plan: '%(problem)s %s %'\ncolour%s: 1",
        "? [1]\n: 2",
        "\ud800",
        "a: \x07",
        "---\na: 1\n---\nb: 2",
        r'a: "\U00110000"',
    ],
)
def test_hostile_texts_have_a_fault_and_end(text):
    faults = faults_in(text)

    assert faults
    assert all(str(one) for one in faults)
    with pytest.raises(BadDocument):
        parse_tariff(text)


def test_a_text_of_thousands_of_faults_is_told_a_hundred_of_them():
    text = "\n".join(f"field_{number}: wrong" for number in range(10_000))

    assert len(faults_in(text)) == MOST_FAULTS


@pytest.mark.parametrize("escape", [r"\0", r"\x07", r"\e", r"\ud800", r"\udc80\ud800", r"\uffff"])
@pytest.mark.parametrize("line", ['source: "{}"', '"{}": 1'])
def test_an_escape_that_writes_no_text_is_a_fault_of_its_line(escape, line):
    lines = THREE_ZONES.splitlines()
    number = next(n for n, one in enumerate(lines) if one.startswith("source:"))
    lines[number] = line.format(escape)

    (fault,) = faults_in("\n".join(lines))

    assert "no text" in str(fault)
    assert fault.values["line"] == number + 1
