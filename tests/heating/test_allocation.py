from dataclasses import replace
from fractions import Fraction
from itertools import groupby, pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from heating.allocation import (
    FINDING_SENTENCES,
    FlatShare,
    HeatedFlat,
    HeatFinding,
    HouseMonth,
    HouseShares,
    share_building_month,
)
from kilokassa.core.text import Language, gettext

RATE = 2_288_380_000


def house(areas, heat_kcal=9_000_000, common=0, rate_scaled=RATE, **flat):
    flats = tuple(HeatedFlat(n, area, **flat) for n, area in enumerate(areas, start=1))
    return HouseMonth(heat_kcal, rate_scaled, flats, common)


AREAS = st.integers(1, 20_000)
FLATS = st.lists(
    st.tuples(AREAS, st.booleans(), st.none() | st.integers(0, 9_000_000)),
    min_size=1,
    max_size=40,
).map(
    lambda rows: tuple(
        HeatedFlat(n, area, connected=connected, metered_kcal=metered)
        for n, (area, connected, metered) in enumerate(rows, start=1)
    )
)
ANY_HOUSE = st.builds(
    HouseMonth,
    heat_kcal=st.integers(0, 200_000_000),
    rate_scaled=st.integers(0, 10_000_000_000),
    flats=FLATS,
    common_area_dm2=st.integers(0, 90_000),
)
HOUSE_BY_AREA = st.builds(
    house,
    st.lists(AREAS, min_size=1, max_size=80),
    st.integers(0, 200_000_000),
    st.integers(0, 90_000),
)


@given(ANY_HOUSE)
def test_the_flats_sum_to_the_house_in_heat_and_in_money(a_house):
    found = share_building_month(a_house)

    assert sum(share.heat_kcal for share in found.shares) == a_house.heat_kcal
    assert sum(share.amount_minor for share in found.shares) == found.amount_minor
    assert found.amount_minor == a_house.amount_minor


@given(ANY_HOUSE, st.randoms())
def test_the_order_of_flats_changes_nothing(a_house, random):
    shuffled = list(a_house.flats)
    random.shuffle(shuffled)

    again = share_building_month(replace(a_house, flats=tuple(shuffled)))

    assert again == share_building_month(a_house)


@given(ANY_HOUSE, st.randoms())
def test_other_numbers_change_nothing_but_which_of_equal_flats_has_the_odd_unit(a_house, random):
    ids = [flat.premises_id for flat in a_house.flats]
    random.shuffle(ids)
    renumbered = tuple(
        replace(flat, premises_id=new) for flat, new in zip(a_house.flats, ids, strict=True)
    )

    def by_flat(some_house):
        areas = {flat.premises_id: flat.area_dm2 for flat in some_house.flats}
        found = share_building_month(some_house).shares
        heat = sorted((areas[s.premises_id], s.own_kcal, s.heat_kcal) for s in found)
        money = sorted((areas[s.premises_id], s.own_kcal, s.amount_minor) for s in found)
        return heat, money

    assert by_flat(a_house) == by_flat(replace(a_house, flats=renumbered))


@given(HOUSE_BY_AREA)
def test_flats_of_one_area_differ_by_a_kopeck_and_a_kilocalorie_at_most(a_house):
    areas = {flat.premises_id: flat.area_dm2 for flat in a_house.flats}
    shares = sorted(share_building_month(a_house).shares, key=lambda s: areas[s.premises_id])

    for _, equals in groupby(shares, key=lambda share: areas[share.premises_id]):
        group = list(equals)
        for values in ([s.amount_minor for s in group], [s.heat_kcal for s in group]):
            assert max(values) - min(values) <= 1


@given(HOUSE_BY_AREA)
def test_where_all_are_connected_area_alone_decides(a_house):
    whole = sum(flat.area_dm2 for flat in a_house.flats)
    areas = {flat.premises_id: flat.area_dm2 for flat in a_house.flats}

    for share in share_building_month(a_house).shares:
        exact = Fraction(a_house.heat_kcal * areas[share.premises_id], whole)
        assert abs(share.heat_kcal - exact) < 1
        assert abs(share.amount_minor - exact * RATE / 10**10) < 1


@given(HOUSE_BY_AREA)
def test_a_larger_flat_never_pays_less(a_house):
    areas = {flat.premises_id: flat.area_dm2 for flat in a_house.flats}
    shares = sorted(share_building_month(a_house).shares, key=lambda s: areas[s.premises_id])

    for smaller, larger in pairwise(shares):
        if areas[smaller.premises_id] < areas[larger.premises_id]:
            assert larger.amount_minor >= smaller.amount_minor - 1


@given(ANY_HOUSE)
def test_own_and_common_heat_make_a_share_and_no_kopeck_is_odd_without_a_finding(a_house):
    found = share_building_month(a_house)

    assert all(s.own_kcal + s.common_kcal == s.heat_kcal for s in found.shares)
    assert all(s.own_kcal >= 0 for s in found.shares)
    if not found.findings:
        assert all(s.heat_kcal >= 0 and s.amount_minor >= 0 for s in found.shares)
    if any(s.heat_kcal < 0 for s in found.shares):
        assert HeatFinding.NEGATIVE_SHARE in found.findings
        assert HeatFinding.NEGATIVE_REMAINDER in found.findings


@given(ANY_HOUSE)
def test_the_digest_is_that_of_the_inputs(a_house):
    assume(a_house.rate_scaled > 0)
    digest = share_building_month(a_house).input_digest

    assert digest == a_house.digest
    assert digest != replace(a_house, heat_kcal=a_house.heat_kcal + 1).digest
    assert digest != replace(a_house, rate_scaled=a_house.rate_scaled - 1).digest
    assert digest != replace(a_house, common_area_dm2=a_house.common_area_dm2 + 1).digest


def test_the_odd_kopeck_of_equal_remainders_goes_to_the_larger_flat_then_to_the_lower_id():
    ten_kopecks = house([5000, 5000, 5000], heat_kcal=10, rate_scaled=10**10)
    two_sizes = house([1000, 3000], heat_kcal=2, rate_scaled=10**10)

    assert [s.amount_minor for s in share_building_month(ten_kopecks).shares] == [4, 3, 3]
    assert [s.amount_minor for s in share_building_month(two_sizes).shares] == [0, 2]


def test_flat_meters_above_the_house_meter_are_a_finding_and_still_sum():
    flats = (HeatedFlat(1, 50_00, metered_kcal=6_000_000), HeatedFlat(2, 50_00, metered_kcal=0))

    found = share_building_month(HouseMonth(2_000_000, RATE, flats))

    assert found.findings == (HeatFinding.NEGATIVE_REMAINDER, HeatFinding.NEGATIVE_SHARE)
    assert found.remainder_negative
    assert [s.heat_kcal for s in found.shares] == [4_000_000, -2_000_000]
    assert [s.common_kcal for s in found.shares] == [-2_000_000, -2_000_000]


def test_a_house_where_nobody_is_connected_shares_its_heat_as_common_and_says_so():
    found = share_building_month(house([5000, 7000], heat_kcal=1200, connected=False))

    assert found.findings == (HeatFinding.NOBODY_CONNECTED,)
    assert [s.heat_kcal for s in found.shares] == [500, 700]
    assert [s.own_kcal for s in found.shares] == [0, 0]


def test_the_meter_of_a_disconnected_flat_counts_for_nothing():
    flats = (
        HeatedFlat(1, 50_00),
        HeatedFlat(2, 50_00, connected=False, metered_kcal=5_000_000),
    )

    found = share_building_month(HouseMonth(1_000_000, RATE, flats))

    assert [s.own_kcal for s in found.shares] == [1_000_000, 0]


def test_a_house_without_heat_pays_nothing():
    found = share_building_month(house([5000, 7000], heat_kcal=0))

    assert found.amount_minor == 0
    assert found.findings == ()


@pytest.mark.parametrize(
    "build",
    [
        lambda: HeatedFlat(1, 0),
        lambda: HeatedFlat(1, 5000, metered_kcal=-1),
        lambda: house([]),
        lambda: house([5000], heat_kcal=-1),
        lambda: house([5000], rate_scaled=-1),
        lambda: house([5000], common=-1),
        lambda: HouseMonth(1, 1, (HeatedFlat(1, 5000), HeatedFlat(1, 7000))),
        lambda: HouseShares(5, 0, (FlatShare(1, 4, 4, 0),), (), ""),
        lambda: HouseShares(4, 7, (FlatShare(1, 4, 4, 6),), (), ""),
    ],
    ids=[
        "no area",
        "a meter that runs backwards",
        "no flats",
        "negative heat",
        "negative price",
        "negative common area",
        "a flat named twice",
        "heat that does not sum",
        "money that does not sum",
    ],
)
def test_a_wrong_house_cannot_be_built(build):
    with pytest.raises(ValueError, match=r".+"):
        build()


@pytest.mark.parametrize("finding", list(HeatFinding))
def test_every_finding_speaks_both_languages(finding):
    sentence = FINDING_SENTENCES[finding]

    assert sentence == gettext(sentence, Language.ENGLISH)
    assert sentence != gettext(sentence, Language.RUSSIAN)
