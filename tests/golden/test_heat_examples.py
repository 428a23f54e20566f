"""Heat of a house by the statutory formulas.

The first row's inputs are those of a public calculator (S13 of the regulatory study), its result is
computed exactly; the others were worked out by hand: a house of 150 m2, 9 Gcal at 2000 roubles.
"""

from decimal import Decimal

import pytest

from heating.allocation import HeatedFlat, HouseMonth, share_building_month

PRICE = 2_000_000_000


def shares(flats, common_area_dm2=0, heat_kcal=9_000_000, rate_scaled=PRICE):
    found = share_building_month(HouseMonth(heat_kcal, rate_scaled, tuple(flats), common_area_dm2))
    return found.amount_minor, [share.amount_minor for share in found.shares]


def test_a_flat_of_the_public_calculator_pays_1406_33_and_not_1406_52():
    rate_scaled = int(Decimal("2198.18") * 1_000_000)
    flats = [HeatedFlat(1, 43_60), HeatedFlat(2, 3851_80 - 43_60)]

    _, amounts = shares(flats, 925_80, heat_kcal=56_520_000, rate_scaled=rate_scaled)

    assert amounts[0] == 1406_33


@pytest.mark.parametrize(
    ("third", "metered", "amounts"),
    [
        (False, (None, None, None), [7200_00, 10080_00, 720_00]),
        (True, (2_400_000, None, None), [6000_00, 8400_00, 3600_00]),
        (True, (2_400_000, 4_000_000, 1_100_000), [5800_00, 9400_00, 2800_00]),
    ],
    ids=["third on its own boiler", "first metered", "all metered"],
)
def test_a_house_of_three_flats(third, metered, amounts):
    areas = (50_00, 70_00, 30_00)
    flats = [
        HeatedFlat(n + 1, areas[n], connected=third or n < 2, metered_kcal=metered[n])
        for n in range(3)
    ]

    total, found = shares(flats, common_area_dm2=30_00)

    assert found == amounts
    assert total == sum(amounts) == 18000_00
