"""Published prices and zones, multiplied out by hand.

Sources: S1, public tariff pages of the retailer ДЭК for 2022 (prices; hours of the zones after ФСТ
order 1473-э of 26.11.2013); S4, ulenergo.ru (prices by range and zone, undated); S9 and S10,
borders of ranges from 01.01.2025 and 01.07.2025.
"""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.period import Period
from kilokassa.core.series import EnergySeries
from kilokassa.core.zones import Zone
from kilokassa.demo.prices import published_tariffs
from tariffs.documents import parse_tariff
from tariffs.facts import AccountFacts
from tariffs.rating import rate_energy, rate_quantities, rate_readings
from tariffs.steps import range_volumes

KHABAROVSK = ZoneInfo("Asia/Vladivostok")
EXAMPLES = Path(__file__).parents[2] / "examples" / "tariffs"

ZONES = {
    "single": "",
    "two_zone": "zones: {day: [07:00-23:00], night: [23:00-07:00]}\n",
    "three_zone": (
        "zones: {peak: [07:00-10:00, 17:00-21:00], semi_peak: [10:00-17:00, 21:00-23:00],"
        " night: [23:00-07:00]}\n"
    ),
}


def tariff(kind, per_kwh, more=""):
    return parse_tariff(
        f"plan: {kind}\nname: {{ru: {kind}}}\nvalid_from: 2022-07-01\ncurrency: RUB\n"
        f"vat: included\n{ZONES[kind]}prices: [{{from: 2022-07-01, per_kwh: {per_kwh}}}]\n"
        f"source: golden\nconfidence: high\n{more}"
    )


def example(name):
    return parse_tariff((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"), where=name)


def one_kilowatt(version, first, last):
    """Rate 1 kW from one local day up to another."""
    period = Period(local_midnight(first, KHABAROVSK), local_midnight(last, KHABAROVSK))
    half_hours = period.length // timedelta(minutes=30)
    series = EnergySeries(period.start, 30, np.full(half_hours, 500, np.int32))
    return rate_energy(series, [(period, version)], KHABAROVSK)


@pytest.mark.parametrize(
    ("name", "day", "expected"),
    [
        # zone: kWh, roubles. A day of 1 kW: 16 + 8 hours, or 7 + 9 + 8.
        ("khabarovsk-single", "2022-11-07", {"all": (24, "122.16")}),
        ("khabarovsk-single", "2022-12-07", {"all": (24, "132.96")}),
        ("khabarovsk-two-zone", "2022-11-07", {"day": (16, "93.60"), "night": (8, "13.36")}),
        ("khabarovsk-two-zone", "2022-12-07", {"day": (16, "118.72"), "night": (8, "16.56")}),
        (
            "khabarovsk-three-zone",
            "2022-11-07",
            {"peak": (7, "42.77"), "semi_peak": (9, "45.81"), "night": (8, "13.36")},
        ),
        (
            "khabarovsk-three-zone",
            "2022-12-07",
            {"peak": (7, "54.25"), "semi_peak": (9, "49.86"), "night": (8, "16.56")},
        ),
    ],
)
def test_a_day_of_one_kilowatt_in_khabarovsk(name, day, expected):
    first = date.fromisoformat(day)

    lines = one_kilowatt(example(name), first, first + timedelta(days=1))

    assert {
        str(n.spec.zone): (n.quantity_wh // 1000, str(Decimal(n.amount_minor).scaleb(-2)))
        for n in lines
    } == expected


@pytest.mark.parametrize(
    ("name", "month", "expected"),
    [
        # November has 720 hours, December 744; a night 8, a day of peak 7, of semi-peak 9.
        ("khabarovsk-single", 11, {"all": (720, "3664.80")}),
        ("khabarovsk-single", 12, {"all": (744, "4121.76")}),
        ("khabarovsk-two-zone", 11, {"day": (480, "2808.00"), "night": (240, "400.80")}),
        ("khabarovsk-two-zone", 12, {"day": (496, "3680.32"), "night": (248, "513.36")}),
        (
            "khabarovsk-three-zone",
            11,
            {"peak": (210, "1283.10"), "semi_peak": (270, "1374.30"), "night": (240, "400.80")},
        ),
        (
            "khabarovsk-three-zone",
            12,
            {"peak": (217, "1681.75"), "semi_peak": (279, "1545.66"), "night": (248, "513.36")},
        ),
    ],
)
def test_november_and_december_2022_of_one_kilowatt_in_khabarovsk(name, month, expected):
    of = Month(2022, month)

    lines = one_kilowatt(example(name), of.first_day, of.plus(1).first_day)

    assert {
        str(n.spec.zone): (n.quantity_wh // 1000, str(Decimal(n.amount_minor).scaleb(-2)))
        for n in lines
    } == expected


def test_a_fortnight_over_the_change_of_price_has_lines_of_both_prices():
    lines = one_kilowatt(example("khabarovsk-two-zone"), date(2022, 11, 24), date(2022, 12, 8))

    assert [(n.spec.key, n.quantity_wh, n.amount_minor) for n in lines] == [
        ("day/-/2022-07-01", 112_000, 655_20),
        ("night/-/2022-07-01", 56_000, 93_52),
        ("day/-/2022-12-01", 112_000, 831_04),
        ("night/-/2022-12-01", 56_000, 115_92),
    ]


@pytest.mark.parametrize(
    ("kind", "per_kwh", "roubles"),
    [
        # One kilowatt, one day: other published prices of S1 from 01.07.2022.
        ("single", "3.56", "85.44"),  # Хабаровск, electric stoves
        ("two_zone", "{day: 4.09, night: 1.18}", "74.88"),
        ("three_zone", "{peak: 4.27, semi_peak: 3.56, night: 1.18}", "71.37"),
        ("single", "4.20", "100.80"),  # Амурская область, gas stoves
        ("two_zone", "{day: 4.83, night: 1.51}", "89.36"),
        ("three_zone", "{peak: 5.46, semi_peak: 4.20, night: 1.51}", "88.10"),
        ("three_zone", "{peak: 3.82, semi_peak: 2.94, night: 1.05}", "61.60"),  # electric stoves
    ],
)
def test_a_day_of_one_kilowatt_at_other_published_prices(kind, per_kwh, roubles):
    lines = one_kilowatt(tariff(kind, per_kwh), date(2022, 11, 7), date(2022, 11, 8))

    assert str(Decimal(sum(n.amount_minor for n in lines)).scaleb(-2)) == roubles


@pytest.mark.parametrize(
    ("hour", "two", "three"),
    [
        (0, "night", "night"),
        (6, "night", "night"),
        (7, "day", "peak"),
        (9, "day", "peak"),
        (10, "day", "semi_peak"),
        (16, "day", "semi_peak"),
        (17, "day", "peak"),
        (20, "day", "peak"),
        (21, "day", "semi_peak"),
        (22, "day", "semi_peak"),
        (23, "night", "night"),
    ],
)
def test_the_hours_of_the_zones_are_the_published_ones(hour, two, three):
    two_zone, three_zone = example("khabarovsk-two-zone"), example("khabarovsk-three-zone")

    for minute in (0, 59):
        assert two_zone.day_zones.at(hour * 60 + minute) == two
        assert three_zone.day_zones.at(hour * 60 + minute) == three


@pytest.mark.parametrize(
    ("borders_kwh", "total_kwh", "by_range_kwh"),
    [
        ((3900, 6000), 3900, (3900, 0, 0)),  # the highest borders a region may set (S9)
        ((3900, 6000), 3901, (3900, 1, 0)),
        ((3900, 6000), 7000, (3900, 2100, 1000)),
        ((1200, 3900), 1500, (1200, 300, 0)),  # Санкт-Петербург from 01.07.2025 (S10)
        ((1200, 3900), 4000, (1200, 2700, 100)),
    ],
)
def test_only_what_is_above_a_border_falls_into_the_next_range(
    borders_kwh, total_kwh, by_range_kwh
):
    assert range_volumes(total_kwh, borders_kwh) == by_range_kwh


def test_a_month_of_seven_thousand_kilowatt_hours_by_ranges():
    month = Month(2025, 3).period(KHABAROVSK)
    ranges = example("ulyanovsk-ranges")

    lines = rate_quantities([(month, ranges)], {Zone.ALL: 7_000_000}, month, KHABAROVSK)

    assert [(n.spec.range_number, n.quantity_wh, n.amount_minor) for n in lines] == [
        (1, 3_900_000, 19_227_00),
        (2, 2_100_000, 17_367_00),
        (3, 1_000_000, 9_470_00),
    ]


def test_ranges_and_zones_at_once_share_a_border_in_proportion():
    # 5000 kWh are 30 % peak, 40 % semi-peak and 30 % night; so is each range (S4).
    month = Month(2025, 3).period(KHABAROVSK)
    version = tariff(
        "three_zone",
        "[{peak: 4.93, semi_peak: 4.68, night: 2.96}, {peak: 8.27, semi_peak: 7.86, night: 4.97}]",
        "ranges: {basis: total, order: proportional, borders_kwh: [3900]}\n",
    )
    energy_wh = {Zone.PEAK: 1_500_000, Zone.SEMI_PEAK: 2_000_000, Zone.NIGHT: 1_500_000}

    lines = rate_quantities([(month, version)], energy_wh, month, KHABAROVSK)

    assert [(n.spec.key, n.quantity_wh, n.amount_minor) for n in lines] == [
        ("peak/1/2022-07-01", 1_170_000, 5_768_10),
        ("semi_peak/1/2022-07-01", 1_560_000, 7_300_80),
        ("night/1/2022-07-01", 1_170_000, 3_463_20),
        ("peak/2/2022-07-01", 330_000, 2_729_10),
        ("semi_peak/2/2022-07-01", 440_000, 3_458_40),
        ("night/2/2022-07-01", 330_000, 1_640_10),
    ]


def test_a_social_norm_is_used_up_by_the_common_area_first():
    month = Month(2022, 8).period(KHABAROVSK)
    facts = AccountFacts(persons=np.array([2]), common_area_wh=np.array([20_000]))
    used_wh = {Zone.PEAK: 90_000, Zone.SEMI_PEAK: 120_000, Zone.NIGHT: 90_000}

    lines = rate_readings(
        [(month, example("krasnoyarsk-social-norm"))],
        {(month, zone): wh for zone, wh in used_wh.items()},
        KHABAROVSK,
        facts=facts,
    )

    # 150 kWh for two persons less 20 of the common area are 130, shared 3 : 4 : 3; 170 are above.
    assert [(n.spec.range_number, n.quantity_wh, n.amount_minor) for n in lines] == [
        (1, 39_000, 139_62),
        (1, 52_000, 154_96),
        (1, 39_000, 69_81),
        (2, 51_000, 293_76),
        (2, 68_000, 326_40),
        (2, 51_000, 146_88),
    ]


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_is_a_tariff(file):
    assert parse_tariff(file.read_text(encoding="utf-8"), where=file.name).digest


@pytest.mark.parametrize(
    ("name", "plan_code"),
    [
        ("khabarovsk-single", "single"),
        ("khabarovsk-two-zone", "two_zone"),
        ("khabarovsk-three-zone", "three_zone"),
    ],
)
def test_the_examples_and_the_shipped_prices_are_the_same(name, plan_code):
    shipped = {v.plan_code: v for v in map(parse_tariff, published_tariffs())}[plan_code]

    assert (example(name).day_zones, example(name).rates) == (shipped.day_zones, shipped.rates)
