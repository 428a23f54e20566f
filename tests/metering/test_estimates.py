"""The methods of estimation, each as a clerk would work it out by hand, and what they conserve."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.estimation.methods import (
    MeasuredUse,
    Norm,
    between_readings,
    by_norm,
    house_mean,
    like_days,
    norm_in_force,
    own_average,
    share_by_weights,
    straight_line,
)

MONTHS = (date(2026, 9, 24), date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1))


@pytest.mark.parametrize(
    ("before", "after", "count", "line"),
    [
        (100, 400, 2, (200, 300)),
        (400, 100, 2, (300, 200)),
        (0, 1, 1, (1,)),
        (7, 7, 3, (7, 7, 7)),
        (100, 103, 3, (101, 102, 102)),
    ],
)
def test_a_short_gap_is_a_straight_line_between_its_neighbours(before, after, count, line):
    assert straight_line(before, after, count) == line


def test_what_was_counted_between_two_readings_is_shared_by_days():
    shares = between_readings(98_000, [*MONTHS, date(2026, 12, 31)])

    # 7, 31, 30 and 30 days of 98: a thousand a day.
    assert shares == (7_000, 31_000, 30_000, 30_000)


def test_two_readings_of_one_day_share_evenly():
    assert between_readings(5, [date(2026, 11, 1)] * 3) == (3, 2)


@given(
    st.integers(0, 10**9),
    st.lists(st.integers(0, 400), min_size=1, max_size=12),
)
def test_shares_between_readings_come_to_the_whole_and_none_is_negative(counted, lengths):
    dates = [date(2026, 1, 1)]
    for days in lengths:
        dates.append(date.fromordinal(dates[-1].toordinal() + days))

    shares = between_readings(counted, dates)

    assert sum(shares) == counted
    assert min(shares) >= 0


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_sharing_by_weights_loses_nothing(total, weights):
    assert sum(share_by_weights(total, weights)) == total


def test_a_like_day_is_the_mean_of_the_days_that_know_the_interval():
    energy = np.array([[100, 200], [300, 999], [101, 300]])
    known = np.array([[True, True], [True, False], [True, True]])

    # 501 / 3 = 167; 500 / 2 = 250: what is not known does not count as nothing.
    assert like_days(energy, known, least=2) == (167, 250)


def test_a_like_day_is_no_guess_from_a_single_day():
    energy = np.array([[100], [300]])

    assert like_days(energy, np.array([[True], [False]]), least=2) is None


@pytest.mark.parametrize(
    ("uses", "average"),
    [
        # Six months are asked for and known: the seventh, further back, does not count.
        ([(m, m, 100 * m) for m in range(1, 8)], 450),
        # Four months: fewer than six, but at least three.
        ([(m, m, 120) for m in range(4, 8)], 120),
        # Two months are no past.
        ([(6, 6, 100), (7, 7, 100)], None),
        # One reading after three months measures three months at once.
        ([(5, 7, 300)], 100),
        # Two meters in the month of a replacement measure one month together.
        ([(5, 5, 90), (6, 6, 90), (7, 7, 30), (7, 7, 60)], 90),
        ([], None),
    ],
)
def test_the_own_average_is_of_at_least_six_months_or_three_where_it_is_newer(uses, average):
    found = own_average([MeasuredUse(*use) for use in uses], months=6, least=3)

    assert (None if found is None else found.month) == average


def test_a_use_that_reaches_further_back_is_taken_whole():
    uses = [MeasuredUse(1, 4, 400), *(MeasuredUse(m, m, 50) for m in range(5, 9))]

    found = own_average(uses, months=6, least=3)

    assert found is not None
    assert (found.months, found.measured, found.month) == (tuple(range(1, 9)), 600, 75)


def test_the_mean_of_a_house_is_by_the_area_of_the_flats_that_are_measured():
    assert house_mean([(120_000, 40_00), (180_000, 60_00)], 50_00) == 150_000
    assert house_mean([(120_000, 1), (180_001, 1)], 1) == 150_001
    assert house_mean([], 50_00) is None


NORMS = [
    Norm("estove", date(2012, 9, 1), rooms, persons, rooms * 1000 - persons)
    for rooms in (1, 2, 4)
    for persons in (1, 2, 5)
] + [Norm("estove", date(2026, 7, 1), 0, 0, 77_000), Norm("other", date(2000, 1, 1), 0, 0, 1)]


@pytest.mark.parametrize(
    ("on", "rooms", "persons", "quantity"),
    [
        (date(2026, 1, 1), 2, 2, 1998),
        (date(2026, 1, 1), 3, 4, 1998),
        (date(2026, 1, 1), 7, 9, 3995),
        (date(2026, 1, 1), None, 1, 999),
        (date(2026, 1, 1), 1, 0, 999),
        (date(2026, 7, 1), 4, 5, 77_000),
    ],
)
def test_a_norm_is_that_of_the_rooms_and_persons_on_its_day(on, rooms, persons, quantity):
    norm = norm_in_force(NORMS, "estove", on, rooms=rooms, persons=persons)

    assert norm is not None
    assert norm.quantity == quantity


def test_a_house_without_norms_has_none():
    assert norm_in_force(NORMS, "none", date(2026, 1, 1), rooms=1, persons=1) is None
    assert norm_in_force(NORMS, "estove", date(2011, 1, 1), rooms=1, persons=1) is None


def test_a_part_of_a_month_by_norm_is_rounded_once():
    norm = Norm("n", date(2012, 9, 1), 0, 0, 77_000)

    # 77 kWh x 3 persons x 1.5 x 10 days of 31 = 111,774.19… Wh
    assert by_norm(norm, 3, multiplier_ppm=1_500_000, part=(10, 31)) == 111_774
