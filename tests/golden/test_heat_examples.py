"""Heat of a house by the statutory formulas, to the kopeck.

Case 1: inputs of a public calculator (S13 of the regulatory study: Sᵢ 43.6, Sоб 3851.8, Sои 925.8,
VД 56.52 Gcal, price 2198.18); its result is computed exactly. Cases 2 to 5 were worked out by hand
for the study: three flats of 50, 70 and 30 m², 30 m² of common premises, 9 Gcal (or the norm of
0.02 Gcal a square metre) at 2000 roubles. The formulas are those of annex 2 to the rules approved
by Decree 354 of 06.05.2011, as two public calculators have them (S8, S13); the act itself was not
read, so that an own-boiler flat takes none (Vᵢ = 0) is from memory.
"""

from decimal import Decimal
from fractions import Fraction

import pytest

from heating.allocation import HeatedFlat, HouseMonth, share_building_month
from heating.statutory import (
    common_heat,
    house_by_norm,
    own_by_area,
    own_by_norm,
    own_by_readings,
)
from kilokassa.core.money import half_up_ratio

AREAS = (50, 70, 30)
COMMON = 30
HOUSE_GCAL = 9
PRICE = 2000
ALL = (True, True, True)
THIRD_APART = (True, True, False)


def gcal(*texts):
    return tuple(Fraction(text) for text in texts)


def kopecks(exact_gcal, price):
    exact = Fraction(exact_gcal) * Fraction(price) * 100
    return half_up_ratio(exact.numerator, exact.denominator)


@pytest.mark.parametrize(
    ("own", "volumes", "common", "amounts"),
    [
        (
            own_by_area(HOUSE_GCAL, AREAS, THIRD_APART, COMMON),
            gcal("3", "4.2", "0"),
            gcal("0.6", "0.84", "0.36"),
            [7200_00, 10080_00, 720_00],
        ),
        (
            own_by_readings((Fraction("2.4"), None, None), AREAS, ALL),
            gcal("2.4", "3.36", "1.44"),
            gcal("0.6", "0.84", "0.36"),
            [6000_00, 8400_00, 3600_00],
        ),
        (
            own_by_readings(gcal("2.4", "4.0", "1.1"), AREAS, ALL),
            gcal("2.4", "4.0", "1.1"),
            gcal("0.5", "0.7", "0.3"),
            [5800_00, 9400_00, 2800_00],
        ),
    ],
    ids=["no flat meters, third on its own boiler", "first metered", "all metered"],
)
def test_volumes_and_amounts_of_a_house_with_a_meter(own, volumes, common, amounts):
    shared = common_heat(HOUSE_GCAL, own, AREAS)

    paid = [kopecks(v + c, PRICE) for v, c in zip(own, shared, strict=True)]
    assert own == volumes
    assert shared == common
    assert paid == amounts
    assert sum(paid) == 18000_00


def test_a_house_without_a_meter_pays_by_the_norm():
    norm, season = Fraction("0.02"), 1
    house = house_by_norm(norm, season, AREAS, THIRD_APART)

    own = own_by_norm(norm, season, AREAS, THIRD_APART, COMMON)
    shared = common_heat(house, own, AREAS)

    assert house == Fraction("2.4")
    assert own == gcal("0.8", "1.12", "0")
    assert shared == gcal("0.16", "0.224", "0.096")
    assert [kopecks(v + c, PRICE) for v, c in zip(own, shared, strict=True)] == [
        1920_00,
        2688_00,
        192_00,
    ]


def test_the_flat_of_the_public_calculator_pays_1406_33_and_1406_52_where_the_sum_is_rounded():
    area, all_areas = Fraction("43.6"), Fraction("3851.8")
    house, price = Fraction("56.52"), Fraction("2198.18")

    own, others = own_by_area(house, (area, all_areas - area), (True, True), Fraction("925.8"))

    assert round(own, 6) == Fraction("0.515797")
    assert round(own + others, 6) == Fraction("45.567594")
    exact = own + area * (house - own - others) / all_areas
    printed = own + area * (house - Fraction("45.56")) / all_areas
    assert kopecks(exact, price) == 1406_33
    assert kopecks(printed, price) == 1406_52
    assert kopecks(area * house / all_areas, price) == 1406_33


@pytest.mark.parametrize(
    ("connected", "metered", "amounts"),
    [
        (THIRD_APART, (None, None, None), [7200_00, 10080_00, 720_00]),
        (ALL, (2_400_000, None, None), [6000_00, 8400_00, 3600_00]),
        (ALL, (2_400_000, 4_000_000, 1_100_000), [5800_00, 9400_00, 2800_00]),
    ],
    ids=["third on its own boiler", "first metered", "all metered"],
)
def test_a_house_of_three_flats_is_shared_in_whole_units(connected, metered, amounts):
    flats = tuple(
        HeatedFlat(n + 1, AREAS[n] * 100, connected=connected[n], metered_kcal=metered[n])
        for n in range(3)
    )

    found = share_building_month(HouseMonth(9_000_000, 2_000_000_000, flats, COMMON * 100))

    assert [share.amount_minor for share in found.shares] == amounts
    assert found.amount_minor == sum(amounts) == 18000_00
    assert found.findings == ()


def test_the_flat_of_the_public_calculator_is_shared_in_whole_units():
    rate_scaled = int(Decimal("2198.18") * 1_000_000)
    flats = (HeatedFlat(1, 43_60), HeatedFlat(2, 3851_80 - 43_60))

    found = share_building_month(HouseMonth(56_520_000, rate_scaled, flats, 925_80))

    assert found.shares[0].amount_minor == 1406_33
    assert found.shares[0].own_kcal == 515_797
    assert found.amount_minor == 124_241_13
