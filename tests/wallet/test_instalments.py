"""Instalments: a schedule checked by hand, and what holds of every one."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.money import parse_minor
from wallet.debts.instalments import (
    InterestTooHigh,
    NotASchedule,
    Standing,
    agreement_state,
    is_offered,
    schedule,
)
from wallet.debts.late_fee import DebtPayment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "late-fee.md"
AGREED, FIRST = date(2026, 11, 15), date(2026, 12, 15)


def three(debt_minor=1000_00, **kwargs):
    return schedule(debt_minor, 3, agreed_on=AGREED, first_due_on=FIRST, **kwargs)


def paid(amount_minor, *day):
    return DebtPayment(date(*day), amount_minor)


def test_the_schedule_of_the_page_is_what_is_computed():
    text = PAGE.read_text(encoding="utf-8").split("## Instalments")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]

    found = three(rate_bp=1200, key_rate_bp=900)

    assert [
        [
            str(part.number),
            f"{part.due_on:%d.%m.%Y}",
            part.principal_minor,
            part.interest_minor,
            part.amount_minor,
            part.left_minor,
        ]
        for part in found
    ] == [[number, due, *map(parse_minor, amounts)] for number, due, *amounts in shown]


@pytest.mark.parametrize(
    ("charged", "year_before", "offered"),
    [(125_00, 100_00, False), (125_01, 100_00, True), (500_00, 0, False), (90_00, 100_00, False)],
)
def test_an_instalment_is_offered_above_a_quarter_of_growth(charged, year_before, offered):
    assert is_offered(charged, year_before) is offered


def test_interest_is_at_most_the_key_rate_and_three_points():
    three(rate_bp=1900, key_rate_bp=1600)

    with pytest.raises(
        InterestTooHigh, match=r"at most 19 per cent of interest a year, not 19\.01"
    ):
        three(rate_bp=1901, key_rate_bp=1600)
    with pytest.raises(InterestTooHigh):
        three(rate_bp=1)


def test_a_part_of_less_than_a_kopeck_is_no_instalment():
    with pytest.raises(NotASchedule):
        schedule(2, 3, agreed_on=AGREED, first_due_on=FIRST)


def test_an_instalment_of_the_31st_falls_on_the_last_day_of_a_short_month():
    parts = schedule(300, 3, agreed_on=date(2026, 12, 30), first_due_on=date(2026, 12, 31))

    assert [part.due_on for part in parts] == [
        date(2026, 12, 31),
        date(2027, 1, 31),
        date(2027, 2, 28),
    ]


def test_interest_over_new_year_knows_how_long_each_year_is():
    (part,) = schedule(
        100_000_00,
        1,
        agreed_on=date(2027, 12, 1),
        first_due_on=date(2028, 2, 1),
        rate_bp=1000,
        key_rate_bp=1000,
    )

    assert part.interest_minor == 1696_31  # 31 days of 365, 31 of 366, at 10 %


@pytest.mark.parametrize(
    ("payments", "on", "standing", "overdue_minor"),
    [
        ([], date(2026, 12, 15), Standing.KEPT, 0),
        ([], date(2026, 12, 16), Standing.BEHIND, 333_34),
        ([], date(2026, 12, 18), Standing.BEHIND, 333_34),
        ([], date(2026, 12, 19), Standing.BROKEN, 333_34),
        ([paid(333_34, 2026, 12, 18)], date(2027, 1, 15), Standing.KEPT, 0),
        ([paid(333_33, 2026, 12, 1)], date(2027, 1, 1), Standing.BROKEN, 1),
        ([paid(1000_00, 2026, 12, 1)], date(2027, 1, 1), Standing.FULFILLED, 0),
        ([paid(1000_00, 2026, 12, 19)], date(2027, 1, 1), Standing.BROKEN, 0),
    ],
)
def test_an_agreement_with_three_days_of_grace(payments, on, standing, overdue_minor):
    state = agreement_state(three(), payments, on=on, grace_days=3)

    assert (state.standing, state.overdue_minor) == (standing, overdue_minor)
    assert state.protects is (standing in (Standing.KEPT, Standing.BEHIND))
    broken = standing is Standing.BROKEN
    assert state.broken_on == (date(2026, 12, 19) if broken else None)


SCHEDULES = st.builds(
    lambda debt, months, day, wait, rate: schedule(
        max(debt, months),
        months,
        agreed_on=day,
        first_due_on=day + timedelta(days=wait),
        rate_bp=rate,
        key_rate_bp=2100,
    ),
    st.integers(1, 10**9),
    st.integers(1, 36),
    st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    st.integers(1, 60),
    st.integers(0, 2400),
)


@given(parts=SCHEDULES)
def test_principals_sum_to_the_debt_and_differ_by_a_kopeck_at_most(parts):
    principals = [part.principal_minor for part in parts]

    assert sum(principals) == parts[0].left_minor + parts[0].principal_minor
    assert parts[-1].left_minor == 0
    assert max(principals) - min(principals) <= 1
    assert all(part.interest_minor >= 0 for part in parts)


@given(parts=SCHEDULES, late=st.integers(0, 400))
def test_who_pays_each_part_on_its_day_never_breaks_the_agreement(parts, late):
    payments = [DebtPayment(part.due_on, part.amount_minor) for part in parts]

    state = agreement_state(parts, payments, on=parts[0].due_on + timedelta(days=late))

    assert state.standing in (Standing.KEPT, Standing.FULFILLED)


@given(parts=SCHEDULES, days=st.integers(0, 800), later=st.integers(0, 400))
def test_a_broken_agreement_stays_broken_whatever_is_paid_later(parts, days, later):
    on = parts[0].due_on + timedelta(days=days)
    everything = sum(part.amount_minor for part in parts)
    broken = agreement_state(parts, [], on=on).standing is Standing.BROKEN

    payments = [DebtPayment(on + timedelta(days=later), everything)]
    after = agreement_state(parts, payments, on=on + timedelta(days=later))

    assert not broken or after.standing is Standing.BROKEN
