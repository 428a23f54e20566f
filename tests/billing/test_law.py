from datetime import date

import pytest

from billing.law import PAYMENT_DUE_DAY, VAT_PERCENT, due_on, in_force, included_vat_minor
from billing.runway import runway
from kilokassa.core.calendar import Month


@pytest.mark.parametrize(
    ("day", "percent"),
    [(date(2022, 11, 1), 20), (date(2025, 12, 31), 20), (date(2026, 1, 1), 22)],
)
def test_vat_is_the_rate_of_its_date(day, percent):
    assert in_force(VAT_PERCENT, day).value == percent


@pytest.mark.parametrize(
    ("month", "due"),
    [
        ("2022-11", date(2022, 12, 10)),
        ("2026-01", date(2026, 2, 10)),
        ("2026-03", date(2026, 4, 15)),
        ("2026-12", date(2027, 1, 15)),
    ],
)
def test_a_bill_is_due_in_the_month_after_by_the_law_of_that_month(month, due):
    assert due_on(Month.parse(month)) == (due, ())


def test_the_bill_of_february_2026_says_that_sources_differ():
    day, warnings = due_on(Month(2026, 2))

    assert day == date(2026, 3, 15)
    assert len(warnings) == 1


def test_every_rule_names_its_source():
    assert all(rule.source for rule in (*VAT_PERCENT, *PAYMENT_DUE_DAY))


@pytest.mark.parametrize(
    ("total_minor", "percent", "vat_minor"),
    [
        (501_75, 20, 83_63),
        (254_20, 20, 42_37),
        (-501_75, 20, -83_63),
        (0, 22, 0),
        (122_00, 22, 22_00),
    ],
)
def test_the_vat_inside_a_total_is_rounded_half_up(total_minor, percent, vat_minor):
    assert included_vat_minor(total_minor, percent) == vat_minor


@pytest.mark.parametrize(
    ("available_minor", "spent_minor", "days", "lasting"),
    [
        (1000_00, 700_00, 7, 10),
        (999_99, 700_00, 7, 9),
        (0, 700_00, 7, 0),
        (-50_00, 700_00, 7, 0),
        (9_999_999_00, 1_00, 30, 366),
    ],
)
def test_money_lasts_whole_days(available_minor, spent_minor, days, lasting):
    found = runway(available_minor, spent_minor, days, from_day=date(2026, 11, 24))

    assert found is not None
    assert found.days == lasting


def test_an_account_that_used_nothing_has_no_runway():
    assert runway(100_00, 0, 30, from_day=date(2026, 11, 24)) is None
