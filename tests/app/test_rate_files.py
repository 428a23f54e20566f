from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from kilokassa.app.rate_files import Stated, rate_files
from kilokassa.core.errors import DomainError
from kilokassa.core.text import Language, sentence
from tests import frozen_town

ROOT = Path(__file__).parents[2]
KHABAROVSK = ZoneInfo("Asia/Vladivostok")
BERLIN = ZoneInfo("Europe/Berlin")
TWO_ZONES = ROOT / "examples/tariffs/khabarovsk-two-zone.yaml"


def readings_file(tmp_path, text):
    file = tmp_path / "readings.csv"
    file.write_text(text, encoding="utf-8")
    return file


def half_hours(day, values, point="P1", offset="+10:00"):
    return [
        f"{point};{day}T{n // 2:02d}:{n % 2 * 30:02d}:00{offset};{value}"
        for n, value in enumerate(values)
    ]


def a_day(values, **kwargs):
    return "\n".join(["point;time;value", *half_hours("2022-11-07", values, **kwargs), ""])


def test_a_day_of_one_kilowatt_is_priced_from_files(tmp_path):
    readings = readings_file(tmp_path, a_day(["0.5"] * 48))

    (rated,) = rate_files(TWO_ZONES, readings, date(2022, 11, 7), date(2022, 11, 8), KHABAROVSK)

    assert (rated.point_code, str(rated.month), rated.missing) == ("P1", "2022-11", 0)
    assert [(n.spec.zone, n.quantity_wh, n.amount_minor) for n in rated.lines] == [
        ("day", 16_000, 93_60),
        ("night", 8_000, 13_36),
    ]


def test_the_frozen_town_is_priced_from_its_own_files(tmp_path):
    readings = readings_file(tmp_path, frozen_town.readings_csv())
    (document,) = [t for t in frozen_town.tariff_documents() if t.startswith("plan: three_zone\n")]
    tariff = tmp_path / "tariff.yaml"
    tariff.write_text(document, encoding="utf-8")

    rated = rate_files(
        tariff, readings, frozen_town.FIRST_DAY, frozen_town.LAST_EXCLUSIVE, frozen_town.ZONE
    )

    found = {(r.point_code, r.month.first_day): r.lines for r in rated}
    for account in frozen_town.ACCOUNTS:
        if account.plan == "three_zone":
            for month in (frozen_town.FIRST_DAY, frozen_town.PRICE_CHANGE):
                expected = frozen_town.energy_lines(account, month)
                lines = found[account.point, month]
                assert [(str(n.spec.zone), n.quantity_wh, n.amount_minor) for n in lines] == [
                    (zone, wh, minor) for zone, wh, _, minor in expected
                ]


def test_what_is_not_in_the_file_is_missing_and_costs_nothing(tmp_path):
    lines = a_day(["0.5"] * 46 + ["", "-"])
    readings = readings_file(tmp_path, lines)

    (rated,) = rate_files(TWO_ZONES, readings, date(2022, 11, 6), date(2022, 11, 8), KHABAROVSK)

    assert rated.missing == 48 + 2
    assert sum(n.quantity_wh for n in rated.lines) == 23_000


def test_local_times_are_read_by_the_clock_of_the_zone(tmp_path):
    readings = readings_file(tmp_path, a_day(["0.5"] * 48, offset=""))

    (rated,) = rate_files(TWO_ZONES, readings, date(2022, 11, 7), date(2022, 11, 8), KHABAROVSK)

    assert rated.missing == 0
    assert rated.amount_minor == 106_96


def test_the_day_of_25_hours_is_priced_whole(tmp_path):
    start = datetime(2022, 10, 30, tzinfo=BERLIN).astimezone(UTC)
    lines = [f"P1,{(start + timedelta(hours=n)).isoformat()},1" for n in range(25)]
    readings = readings_file(tmp_path, "point,time,value\n" + "\n".join(lines) + "\n")

    (rated,) = rate_files(TWO_ZONES, readings, date(2022, 10, 30), date(2022, 10, 31), BERLIN)

    assert [(n.spec.zone, n.quantity_wh) for n in rated.lines] == [
        ("day", 16_000),
        ("night", 9_000),
    ]


def test_points_keep_the_order_of_the_file_and_their_own_interval(tmp_path):
    hours = [f"A;2022-11-07T{n:02d}:00:00+10:00;1" for n in range(24)]
    lines = ["point;time;value", *half_hours("2022-11-07", ["0.5"] * 48, point="B"), *hours, ""]
    readings = readings_file(tmp_path, "\n".join(lines))

    rated = rate_files(TWO_ZONES, readings, date(2022, 11, 7), date(2022, 11, 8), KHABAROVSK)

    assert [(r.point_code, r.amount_minor) for r in rated] == [("B", 106_96), ("A", 106_96)]


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("07T00:30:00+10:00;0.5", "07T00:30:00+10:00;-0.5", "Line 3: the value is negative"),
        ("07T00:30:00+10:00;0.5", "07T00:30:00+10:00;half", "Line 3: 'half' is not a number"),
        ("07T00:30:00+10:00", "07 half past", "Line 3: "),
        ("07T00:30:00+10:00", "07T00:00:00+10:00", "Line 3: another value was given earlier"),
        ("point;time;value", "a;b;c", "Line 1: the header"),
        ("point;time;value", "meter;zone;time;value", "Line 1: these are register readings"),
    ],
)
def test_a_file_with_a_wrong_row_is_refused_by_its_line(tmp_path, was, becomes, says):
    values = ["0.4", *["0.5"] * 47]
    readings = readings_file(tmp_path, a_day(values).replace(was, becomes, 1))

    with pytest.raises(DomainError) as refusal:
        rate_files(TWO_ZONES, readings, date(2022, 11, 7), date(2022, 11, 8), KHABAROVSK)

    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        (date(2022, 11, 8), date(2022, 11, 8), "period: 2022-11-08 does not come after 2022-11-08"),
        (date(2022, 6, 30), date(2022, 7, 2), "no version holds at 2022-06-30 00:00"),
        (
            date(2022, 6, 29),
            date(2022, 6, 30),
            "The tariff two_zone cannot price this: no version holds at 2022-06-29 00:00.",
        ),
    ],
)
def test_a_period_that_cannot_be_priced_is_refused(tmp_path, first, last, says):
    readings = readings_file(tmp_path, a_day(["0.5"] * 48))

    with pytest.raises(DomainError) as refusal:
        rate_files(TWO_ZONES, readings, first, last, KHABAROVSK)

    assert says in str(refusal.value)
    assert sentence(refusal.value, Language.RUSSIAN) != str(refusal.value)


def test_a_single_reading_does_not_tell_its_interval(tmp_path):
    readings = readings_file(tmp_path, a_day(["0.5"]))

    with pytest.raises(DomainError, match="P1: its readings do not tell"):
        rate_files(TWO_ZONES, readings, date(2022, 11, 7), date(2022, 11, 8), KHABAROVSK)


def test_a_tariff_in_the_wrong_encoding_is_refused_by_name(tmp_path):
    tariff = tmp_path / "tariff.yaml"
    tariff.write_bytes(TWO_ZONES.read_text(encoding="utf-8").encode("cp1251"))

    with pytest.raises(DomainError, match=r"tariff.yaml: the text is not UTF-8"):
        rate_files(tariff, tariff, date(2022, 11, 7), date(2022, 11, 8), KHABAROVSK)


def test_the_amount_of_the_month_is_the_sum_of_its_lines(tmp_path):
    readings = readings_file(tmp_path, a_day(["0.333"] * 48))

    (rated,) = rate_files(TWO_ZONES, readings, date(2022, 11, 7), date(2022, 11, 8), KHABAROVSK)

    day = (Decimal("0.333") * 32 * Decimal("5.85") * 100).quantize(Decimal(1))
    night = (Decimal("0.333") * 16 * Decimal("1.67") * 100).quantize(Decimal(1))
    assert rated.amount_minor == day + night


EVERYTHING_ASKED = """
plan: asking
name: {ru: Спрашивает}
valid_from: 2022-11-01
currency: RUB
vat: included
hourly: {series: rsv, longer_intervals: refuse}
fixed:
  - {code: area, name: {ru: По площади}, per: m2, amounts: [{from: 2022-01-01, amount: 3}]}
  - {code: heads, name: {ru: По людям}, per: person, amounts: [{from: 2022-01-01, amount: 30}]}
capacity:
  - code: kw
    name: {ru: Мощность}
    basis: contracted
    per_kw_month: [{from: 2022-01-01, amount: 10}]
concessions:
  - code: veteran
    name: {ru: Ветеран}
    who: entitled
    base: energy
    percents: [{from: 2022-01-01, percent: 50}]
source: a test
confidence: high
"""


def test_a_tariff_that_asks_for_facts_is_priced_with_them(tmp_path):
    tariff = tmp_path / "asking.yaml"
    tariff.write_text(EVERYTHING_ASKED, encoding="utf-8")
    prices = tmp_path / "prices.csv"
    hours = [f"2022-11-07;{hour};{1 if hour < 12 else -2}" for hour in range(24)]
    prices.write_text("\n".join(["date;hour;price_per_kwh", *hours, ""]), encoding="utf-8")
    readings = readings_file(tmp_path, a_day(["0.5"] * 48))
    day = date(2022, 11, 7), date(2022, 11, 8)

    with pytest.raises(DomainError):
        rate_files(tariff, readings, *day, KHABAROVSK)
    (rated,) = rate_files(
        tariff,
        readings,
        *day,
        KHABAROVSK,
        Stated(
            area_dm2=50_00,
            persons=2,
            contracted_w=5500,
            entitled=frozenset({"veteran"}),
            prices=prices,
        ),
    )

    # A day of thirty; capacity waits for the end of the month, and half of nothing is nothing.
    assert {line.spec.key.split("/")[0]: line.amount_minor for line in rated.lines} == {
        "hourly:rsv": 12 * 1_00 - 12 * 2_00,
        "fixed:area": 5_00,
        "fixed:heads": 2_00,
    }
