"""Days away lessen what is charged by person, whole days and no more than live there."""

from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.recalculation.absence import ABSENCE_UNCERTAIN, absence_warnings, person_days
from kilokassa.core.calendar import Month

OCTOBER = Month(2026, 10)


@dataclass(frozen=True)
class Away:
    first_on: date
    last_on: date
    persons: int = 1


def away(first, last, persons=1):
    return Away(date(2026, *first), date(2026, *last), persons)


@pytest.mark.parametrize(
    ("persons", "absences", "numerator"),
    [
        (3, [], 93),
        (3, [away((10, 5), (10, 9))], 93),  # five full days are not more than five
        (3, [away((10, 5), (10, 10))], 87),
        (3, [away((10, 5), (10, 14), persons=2)], 73),
        (3, [away((9, 28), (10, 2))], 93),
        (3, [away((9, 28), (10, 3))], 90),  # six days, three of them in October
        (1, [away((9, 1), (11, 30))], 0),
        (2, [away((10, 1), (10, 10)), away((10, 5), (10, 20), persons=2)], 26),
    ],
)
def test_full_days_away_are_taken_off_the_persons_of_the_month(persons, absences, numerator):
    assert person_days(persons, OCTOBER.days, absences) == (numerator, 31)


def test_a_charge_that_an_uncertain_rule_lessened_says_so():
    assert absence_warnings(OCTOBER.days, [away((10, 5), (10, 10))]) == (ABSENCE_UNCERTAIN,)
    assert absence_warnings(OCTOBER.days, [away((10, 5), (10, 8))]) == ()
    assert absence_warnings(OCTOBER.days, [away((9, 1), (9, 30))]) == ()


@given(
    persons=st.integers(0, 8),
    absences=st.lists(
        st.builds(
            lambda first, length, who: Away(first, first + timedelta(days=length), who),
            st.dates(date(2026, 9, 1), date(2026, 11, 5)),
            st.integers(0, 60),
            st.integers(1, 9),
        ),
        max_size=4,
    ),
)
def test_no_one_is_away_twice_and_a_month_in_parts_is_the_month(persons, absences):
    numerator, days = person_days(persons, OCTOBER.days, absences)
    first, _ = person_days(persons, OCTOBER.days[:11], absences)
    second, _ = person_days(persons, OCTOBER.days[11:], absences)

    assert 0 <= numerator <= persons * days
    assert first + second == numerator
