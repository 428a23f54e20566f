from datetime import date
from decimal import Decimal

import pytest

from kilokassa.core.calendar import Month
from kilokassa.core.zones import Zone
from kilokassa.demo.prices import (
    PLAN_CODES,
    demo_heat_prices,
    demo_tariffs,
    half_hour_rates,
    published_heat_prices,
    published_tariffs,
)
from tariffs.documents import parse_tariff


def _rubles(plan_code: str, day: date) -> dict[Zone, Decimal]:
    versions = [parse_tariff(text) for text in published_tariffs()]
    version = next(v for v in versions if v.plan_code == plan_code)
    (row,) = version.rates_on(day).rates_scaled
    return {z: Decimal(rate).scaleb(-6) for z, rate in zip(version.zones, row, strict=True)}


@pytest.mark.parametrize(
    ("plan_code", "day", "expected"),
    [
        # Хабаровск, rubles with VAT per kWh, as the retailer published them (S1).
        ("single", date(2022, 11, 30), {Zone.ALL: "5.09"}),
        ("single", date(2022, 12, 1), {Zone.ALL: "5.54"}),
        ("two_zone", date(2022, 11, 30), {Zone.DAY: "5.85", Zone.NIGHT: "1.67"}),
        ("two_zone", date(2022, 12, 1), {Zone.DAY: "7.42", Zone.NIGHT: "2.07"}),
        (
            "three_zone",
            date(2022, 11, 30),
            {Zone.PEAK: "6.11", Zone.SEMI_PEAK: "5.09", Zone.NIGHT: "1.67"},
        ),
        (
            "three_zone",
            date(2022, 12, 1),
            {Zone.PEAK: "7.75", Zone.SEMI_PEAK: "5.54", Zone.NIGHT: "2.07"},
        ),
        ("single_reduced", date(2022, 12, 1), {Zone.ALL: "3.88"}),
        ("two_zone_reduced", date(2022, 11, 30), {Zone.DAY: "4.09", Zone.NIGHT: "1.18"}),
    ],
)
def test_published_prices_hold_on_their_dates(plan_code, day, expected):
    rubles = _rubles(plan_code, day)

    assert rubles == {zone: Decimal(price) for zone, price in expected.items()}


def test_the_demo_moves_every_date_by_the_same_months_and_says_demo():
    versions = [parse_tariff(text) for text in demo_tariffs(Month(2026, 4))]

    assert {version.plan_code for version in versions} == set(PLAN_CODES)
    for version in versions:
        assert [rates.valid_from for rates in version.rates] == [
            date(2025, 11, 1),
            date(2026, 4, 1),
        ]
        assert "(демо)" in version.name
        assert "(demo)" in version.name_en


def test_the_demo_pays_the_published_rates():
    published = [parse_tariff(text) for text in published_tariffs()]
    moved = [parse_tariff(text) for text in demo_tariffs(Month(2026, 4))]

    assert [[r.rates_scaled for r in v.rates] for v in moved] == [
        [r.rates_scaled for r in v.rates] for v in published
    ]


def test_heat_prices_move_with_the_others():
    published, moved = published_heat_prices(), demo_heat_prices(Month(2026, 4))

    assert [(p.valid_from, p.price_per_gcal) for p in published] == [
        (date(2022, 1, 1), Decimal("1917.05")),
        (date(2022, 7, 1), Decimal("1989.90")),
        (date(2022, 12, 1), Decimal("2288.38")),
    ]
    assert moved[-1].valid_from == date(2026, 4, 1)
    assert [p.rate_scaled for p in moved] == [p.rate_scaled for p in published]


def test_estimated_rates_of_a_day_equal_the_document():
    version = next(
        v for v in map(parse_tariff, demo_tariffs(Month(2026, 4))) if v.plan_code == "three_zone"
    )
    (row,) = version.rates_on(date(2026, 4, 1)).rates_scaled
    rates = dict(zip(version.zones, row, strict=True))

    estimated = half_hour_rates("three_zone", date(2026, 4, 1), Month(2026, 4))

    assert estimated.tolist() == [rates[version.day_zones.at(30 * n)] for n in range(48)]
