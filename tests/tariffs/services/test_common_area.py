"""Common-area electricity: a house's month settled, shared by area without a rest."""

from hypothesis import given
from hypothesis import strategies as st

from tariffs.services.common_area import (
    MonthBasis,
    PastMonth,
    settle_actual,
    settle_unknown,
    settle_yearly,
    share_area,
)

AREAS = st.dictionaries(st.integers(1, 500), st.integers(1, 30_000), min_size=1, max_size=40)
MONTH = 24_000


def months(*actual_wh):
    """Months before MONTH, the latest last; None where the house was not measured."""
    first = MONTH - len(actual_wh)
    return [PastMonth(first + n, wh, wh or 0) for n, wh in enumerate(actual_wh)]


@given(total_wh=st.integers(-(10**8), 10**8), areas=AREAS)
def test_shares_sum_to_the_house_to_the_wh(total_wh, areas):
    shares = share_area(total_wh, areas)

    assert sum(shares.values()) == total_wh
    for premises_id, share_wh in shares.items():
        assert abs(share_wh * sum(areas.values()) - total_wh * areas[premises_id]) < sum(
            areas.values()
        )


@given(total_wh=st.integers(0, 10**8), areas=AREAS, order=st.randoms(use_true_random=False))
def test_neither_order_nor_renumbering_moves_a_wh(total_wh, areas, order):
    shuffled = list(areas.items())
    order.shuffle(shuffled)

    assert share_area(total_wh, dict(shuffled)) == share_area(total_wh, areas)
    later = {premises_id + 1000: area for premises_id, area in areas.items()}
    moved = share_area(total_wh, later)
    assert {key - 1000: wh for key, wh in moved.items()} == share_area(total_wh, areas)


@given(st.lists(st.integers(-(10**6), 10**6), max_size=24))
def test_what_is_charged_and_what_is_carried_is_what_was_used(actual_wh):
    carried_wh = charged_wh = 0
    for month_wh in actual_wh:
        settled = settle_actual(month_wh, carried_wh)
        assert settled.charged_wh >= 0 >= settled.carried_out_wh
        assert settled.charged_wh == 0 or settled.carried_out_wh == 0
        carried_wh = settled.carried_out_wh
        charged_wh += settled.charged_wh

    assert charged_wh + carried_wh == sum(actual_wh)


def test_a_failed_house_meter_is_stood_in_for_by_the_average_of_six_months():
    known = months(99_000, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000)

    settled = settle_unknown(7_000, -500, known, MONTH)

    assert (settled.basis, settled.charged_wh) == (MonthBasis.AVERAGE, 35_000)
    assert (settled.carried_in_wh, settled.carried_out_wh) == (-500, -500)


def test_from_the_fourth_month_in_a_row_the_norm_is_charged():
    known = months(10_000, 20_000, 30_000)

    third = settle_unknown(7_000, 0, [*known, *later(known, 2)], MONTH + 2)
    fourth = settle_unknown(7_000, 0, [*known, *later(known, 3)], MONTH + 3)

    assert (third.basis, third.charged_wh) == (MonthBasis.AVERAGE, 20_000)
    assert (fourth.basis, fourth.charged_wh) == (MonthBasis.NORM, 7_000)


def later(known, count):
    return [PastMonth(known[-1].ordinal + n, None, 20_000) for n in range(1, count + 1)]


def test_too_short_a_history_has_no_average():
    assert settle_unknown(7_000, 0, months(10_000, 20_000), MONTH).basis is MonthBasis.NORM


def test_the_year_before_is_put_right_by_what_the_house_really_used():
    year = [PastMonth(1, 900, 1_000), PastMonth(2, -300, 1_000), PastMonth(3, None, 1_000)]

    settled = settle_yearly(MonthBasis.NORM, 1_000, 0, year)

    assert settled.yearly == ((1, -100), (2, -1_300))
    assert settled.yearly_unknown == (3,)
    assert (settled.own_wh, settled.charged_wh) == (1_000, -400)
