from hypothesis import given
from hypothesis import strategies as st

from heating.allocation import HeatedFlat, HouseMonth, share_building_month

RATE = 2_288_380_000


def house(areas, heat_kcal=9_000_000, common=0):
    flats = tuple(HeatedFlat(n, area) for n, area in enumerate(areas, start=1))
    return HouseMonth(heat_kcal, RATE, flats, common)


HOUSES = st.builds(
    house,
    st.lists(st.integers(1, 20_000), min_size=1, max_size=80),
    st.integers(0, 200_000_000),
    st.integers(0, 90_000),
)


@given(HOUSES)
def test_the_flats_sum_to_the_house_in_heat_and_in_money(a_house):
    found = share_building_month(a_house)

    assert sum(share.heat_kcal for share in found.shares) == a_house.heat_kcal
    assert sum(share.amount_minor for share in found.shares) == found.amount_minor


@given(HOUSES, st.randoms())
def test_the_order_of_flats_changes_nothing(a_house, random):
    shuffled = list(a_house.flats)
    random.shuffle(shuffled)

    again = share_building_month(
        HouseMonth(a_house.heat_kcal, RATE, tuple(shuffled), a_house.common_area_dm2)
    )

    assert again == share_building_month(a_house)


@given(st.integers(1, 20_000), st.integers(1, 80), st.integers(0, 200_000_000))
def test_equal_flats_pay_the_same_but_for_a_kopeck(area, count, heat_kcal):
    amounts = [s.amount_minor for s in share_building_month(house([area] * count, heat_kcal)).shares]

    assert max(amounts) - min(amounts) <= 1


def test_a_house_without_heat_pays_nothing():
    assert share_building_month(house([5000, 7000], heat_kcal=0)).amount_minor == 0
