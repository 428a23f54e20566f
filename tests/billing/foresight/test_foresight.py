"""Until when money lasts: days and hours from what is likely to be spent, mark by mark."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.foresight.foresight import CostAhead, marks_ahead

KNOWN = datetime(2026, 11, 23, 14, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def ahead(a_day_minor=24_00):
    """The same each hour: what a day costs, spread evenly."""
    marks = marks_ahead(KNOWN, NOW, KNOWN + timedelta(days=32))
    spent = [a_day_minor * (mark - KNOWN) // timedelta(days=1) for mark in marks]
    return CostAhead(marks, tuple(spent))


def test_what_was_used_since_the_last_reading_is_estimated_up_to_the_last_full_hour():
    assert ahead().until(NOW + timedelta(minutes=59)) == 19_00
    assert ahead().until(NOW + timedelta(hours=1)) == 20_00


@pytest.mark.parametrize(
    ("money_minor", "hours_from_known", "days", "to_the_hour"),
    [
        (0, 0, 0, True),
        (99, 0, 0, True),
        (1_00, 1, 0, True),
        (19_00, 19, 0, True),
        (24_00, 24, 0, True),
        (67_99, 67, 2, True),
        (240_00, 235, 9, False),  # marks are 24 hours apart beyond the hours that can be named
        (768_00, 768, 31, False),
        (2_400_00, 2_400, 99, False),
    ],
)
def test_money_lasts_until_the_last_mark_that_it_covers(
    money_minor, hours_from_known, days, to_the_hour
):
    found = ahead().lasts(money_minor, NOW)

    assert found.until - KNOWN == timedelta(hours=hours_from_known)
    assert (found.days, found.to_the_hour) == (days, to_the_hour)
    assert not found.capped


def test_more_than_a_year_is_said_as_more_than_a_year():
    found = ahead().lasts(24_00 * 400, NOW)

    assert (found.days, found.capped) == (366, True)


def test_who_uses_nothing_has_no_end_foretold():
    assert ahead(0).lasts(100_00, NOW) is None


def test_days_lead_up_to_now_and_hours_follow_for_three_days():
    marks = marks_ahead(NOW - timedelta(days=10), NOW, NOW + timedelta(days=20))

    steps = [second - first for first, second in pairwise(marks)]
    assert steps[:9] == [timedelta(days=1)] * 9
    assert steps.count(timedelta(hours=1)) == 24 + 72
    assert marks[-1] <= NOW + timedelta(days=20)


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_more_money_never_lasts_less(one, other):
    less, more = sorted((one, other))

    assert ahead().lasts(less, NOW).until <= ahead().lasts(more, NOW).until
