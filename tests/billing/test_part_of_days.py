"""Parts of neighbours in time add up to the whole."""

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.month.days import part_of_days

FIRST = date(2026, 10, 1)


@given(
    total=st.integers(-(10**9), 10**9),
    length=st.integers(0, 60),
    cuts=st.lists(st.integers(-5, 65), max_size=6),
)
def test_however_days_are_cut_the_parts_add_up(total, length, cuts):
    whole = FIRST, FIRST + timedelta(days=length)
    edges = [date.min, *sorted(FIRST + timedelta(days=cut) for cut in cuts), date.max]

    parts = [part_of_days(total, whole, first, end) for first, end in pairwise(edges)]

    assert sum(parts) == total


def test_a_part_is_the_share_of_its_days():
    october = FIRST, date(2026, 11, 1)

    assert part_of_days(31_000, october, date(2026, 10, 5), date(2026, 10, 6)) == 1_000
