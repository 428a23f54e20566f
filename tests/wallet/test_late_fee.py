"""The late fee: what a clerk can check by hand, and what holds of every debt."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.confidence import Confidence
from kilokassa.core.money import parse_minor
from wallet.debts.late_fee import (
    EXCLUDED,
    FREE_DAYS,
    FROM_MEMORY,
    PROHIBITED,
    DebtPayment,
    KeyRate,
    NoLateFeeRule,
    OverdueDebt,
    Prohibition,
    RateOn,
    Scheme,
    due_day,
    key_rate_bp,
    late_fee,
    late_fee_rules,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "late-fee.md"
RULES = late_fee_rules()
DUE = date(2026, 4, 15)


def debt(amount_minor=5000_00, due_on=DUE, **kwargs):
    return OverdueDebt("electricity", amount_minor, due_on, **kwargs)


def paid(amount_minor, day):
    return DebtPayment(day, amount_minor)


def tables():
    """The tables of the page by their headings, rows as dicts by the first row."""
    found = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        lines = [line for line in section.splitlines() if line.startswith("|")]
        if lines:
            head, _, *rows = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
            found[section.splitlines()[0]] = [dict(zip(head, row, strict=True)) for row in rows]
    return found


def day_of(text):
    day, month, year = text.split(".")
    return date(int(year), int(month), int(day))


@pytest.mark.parametrize("row", tables()["Five payment days"], ids=lambda row: row["Paid"])
def test_the_five_payment_days_of_the_page_cost_what_it_says(row):
    paid_on = day_of(row["Paid"])

    fee = late_fee(debt(), [paid(5000_00, paid_on)], RULES, until=date(2027, 1, 1))

    by_divisor = {r.divisor: r for r in fee.rows if r.divisor}
    for divisor in (300, 130):
        found = by_divisor.get(divisor)
        assert (found.days if found else 0) == int(row[f"Days at 1/{divisor}"])
        assert (found.amount_scaled if found else 0) == parse_minor(row[f"1/{divisor}"])
    assert fee.amount_minor == parse_minor(row["Total"])


def test_the_table_behind_a_sum_of_the_page_is_what_is_computed():
    payments = [paid(2000_00, date(2026, 6, 1)), paid(3000_00, date(2027, 1, 20))]
    rules = replace(RULES, key_rates=(*RULES.key_rates, KeyRate(date(2027, 1, 1), 1400)))

    fee = late_fee(debt(), payments, rules, until=date(2027, 2, 1))

    shown = tables()["The table behind a sum"]
    assert len(fee.rows) == len(shown)
    for row, cells in zip(fee.rows, shown, strict=True):
        assert row.first_day == day_of(cells["From"])
        assert row.last_day == day_of(cells["To"])
        assert row.days == int(cells["Days"])
        assert row.debt_minor == parse_minor(cells["Debt"])
        assert row.rate_bp == parse_minor(cells["Rate, %"] or "0")
        assert row.divisor == int(cells["Divisor"] or 0)
        assert row.amount_scaled == parse_minor(cells["Fee"])
    assert fee.amount_minor == sum(parse_minor(cells["Fee"]) for cells in shown)


def test_a_debt_that_is_paid_on_its_due_day_has_no_table():
    fee = late_fee(debt(), [paid(5000_00, DUE)], RULES, until=date(2027, 1, 1))

    assert fee.rows == ()
    assert fee.amount_minor == 0


def test_what_is_paid_in_time_bears_no_fee():
    fee = late_fee(debt(), [paid(4000_00, DUE)], RULES, until=date(2026, 7, 14))

    assert {row.debt_minor for row in fee.rows} == {1000_00}
    assert fee.amount_minor == 19_00


def test_the_first_thirty_days_stand_in_the_table_and_say_why_they_cost_nothing():
    fee = late_fee(debt(), [], RULES, until=date(2026, 5, 20))

    free, costing = fee.rows
    assert (free.days, free.reason, free.amount_scaled) == (30, FREE_DAYS, 0)
    assert (costing.days, costing.reason) == (5, "")


def test_a_rate_that_the_cap_hides_does_not_cut_a_row():
    # The key rate changed on 28.07, 15.09 and 27.10.2025, all above 9.5 %.
    fee = late_fee(debt(due_on=date(2025, 7, 10)), [], RULES, until=date(2025, 12, 31))

    assert [(row.days, row.divisor, row.rate_bp) for row in fee.rows] == [
        (30, 0, 0),
        (60, 300, 950),
        (84, 130, 950),
    ]


def test_days_of_a_ban_cost_nothing_and_still_lengthen_the_delay():
    ban = Prohibition("test", date(2026, 6, 1), date(2026, 6, 30), "test", Confidence.HIGH)
    rules = replace(RULES, prohibitions=(ban,))

    fee = late_fee(debt(), [], rules, until=date(2026, 8, 15))

    assert [(row.days, row.divisor, row.reason) for row in fee.rows] == [
        (30, 0, FREE_DAYS),
        (16, 300, ""),
        (30, 0, PROHIBITED),
        (14, 300, ""),
        (32, 130, ""),
    ]


def test_an_excluded_service_says_so():
    rules = replace(RULES, excluded_services=frozenset({"electricity"}))

    fee = late_fee(debt(), [], rules, until=date(2026, 12, 1))

    assert [row.reason for row in fee.rows] == [EXCLUDED]
    assert fee.amount_minor == 0


def test_a_management_company_pays_from_the_first_day_and_the_document_says_it_is_from_memory():
    owed = debt(scheme=Scheme.MANAGEMENT_COMPANY)

    fee = late_fee(owed, [], RULES, until=DUE + timedelta(days=100))

    assert [(row.days, row.divisor) for row in fee.rows] == [(60, 300), (30, 170), (10, 130)]
    assert FROM_MEMORY in fee.warnings


def test_a_household_under_the_cap_is_not_counted_by_memory():
    fee = late_fee(debt(due_on=date(2025, 4, 10)), [], RULES, until=date(2025, 8, 1))

    assert fee.warnings == ()


def test_a_key_rate_that_is_not_known_yet_is_named():
    fee = late_fee(debt(), [], RULES, until=date(2026, 8, 15))

    assert len(fee.warnings) == 1
    assert "2026-01-31" in fee.warnings[0]


def test_the_rate_of_the_payment_day_holds_for_the_whole_delay_where_it_is_set():
    rates = (KeyRate(date(2026, 1, 1), 900), KeyRate(date(2026, 6, 14), 600))
    rules = replace(RULES, caps=(), key_rates=rates)
    of_payment_day = replace(rules, rate_on=RateOn.PAYMENT_DAY)
    payment = [paid(5000_00, date(2026, 7, 14))]

    by_day = late_fee(debt(), payment, rules, until=date(2026, 8, 1))
    by_payment = late_fee(debt(), payment, of_payment_day, until=date(2026, 8, 1))

    assert by_day.amount_minor == 43_50 + 31_00  # 29 days at 9 %, 31 at 6 %
    assert by_payment.amount_minor == 60_00


def test_finer_rows_are_rounded_to_kopecks_once():
    fine = replace(RULES, digits=6)
    payments = [paid(1, DUE + timedelta(days=n)) for n in range(31, 91)]
    owed, until = debt(15_60), DUE + timedelta(days=90)

    # Sixty rows of less than half a kopeck each.
    assert late_fee(owed, payments, RULES, until=until).amount_minor == 0
    assert late_fee(owed, payments, fine, until=until).amount_minor == 29


def test_a_due_day_moves_over_days_off_only_where_that_is_set():
    saturday = date(2026, 8, 15)

    def weekend(day):
        return day.weekday() >= 5

    assert due_day(saturday, RULES, weekend) == saturday
    moving = replace(RULES, moves_due_day=True)
    assert due_day(saturday, moving, weekend) == date(2026, 8, 17)


def test_more_cannot_be_paid_than_is_owed():
    with pytest.raises(ValueError, match="more was paid"):
        late_fee(debt(), [paid(5000_01, DUE)], RULES, until=DUE)


def test_two_payments_of_a_day_are_one():
    day = date(2026, 8, 15)
    for rate_on in RateOn:
        rules = replace(RULES, rate_on=rate_on)
        one = late_fee(debt(), [paid(3000_00, day)], rules, until=day)
        two = late_fee(debt(), [paid(1, day), paid(2999_99, day)], rules, until=day)

        assert one == two


def test_a_delay_of_long_ago_is_refused_not_guessed():
    with pytest.raises(NoLateFeeRule, match="known for 2010-01-11"):
        late_fee(debt(due_on=date(2010, 1, 10)), [], RULES, until=date(2026, 1, 1))


def test_every_packaged_rule_names_its_source():
    assert all(r.source for r in (*RULES.steps, *RULES.caps, *RULES.prohibitions))
    assert RULES.key_rates_confidence is Confidence.MEMORY
    assert key_rate_bp(RULES, date(2022, 2, 27)) == 950


DAYS = st.integers(-40, 400)
PAYMENTS = st.lists(st.tuples(DAYS, st.integers(1, 900_00)), max_size=6)
UNTIL = st.integers(0, 500)
DUES = st.dates(date(2019, 6, 1), date(2027, 6, 1))


def case(due_on, payments, amount_minor=6000_00):
    made = [paid(minor, due_on + timedelta(days=day)) for day, minor in payments]
    return OverdueDebt("electricity", amount_minor, due_on), made


def day_by_day(owed, payments, until):
    """The fee by its definition: each day alone, in exact kopecks."""
    total = Fraction(0)
    last = owed.due_on
    known = [p for p in payments if p.paid_on <= until]
    while (day := last + timedelta(days=1)) <= until:
        left = owed.amount_minor - sum(p.amount_minor for p in known if p.paid_on < day)
        number = (day - owed.due_on).days
        divisor = 0 if number <= 30 else 300 if number <= 90 else 130
        if divisor and not date(2020, 4, 6) <= day <= date(2020, 12, 31):
            rate = key_rate_bp(RULES, day)
            if date(2022, 2, 28) <= day <= date(2026, 12, 31):
                rate = min(rate, 950)
            total += Fraction(left * rate, 10_000 * divisor)
        last = day
    return total


@given(due_on=DUES, payments=PAYMENTS, days=UNTIL)
def test_the_rows_are_the_days_one_by_one_within_half_a_kopeck_a_row(due_on, payments, days):
    owed, made = case(due_on, payments)
    until = due_on + timedelta(days=days)

    fee = late_fee(owed, made, RULES, until=until)

    costing = sum(1 for row in fee.rows if row.divisor)
    assert abs(fee.amount_minor - day_by_day(owed, made, until)) <= Fraction(costing, 2)


@given(due_on=DUES, payments=PAYMENTS, days=UNTIL)
def test_rows_meet_edge_to_edge_and_neighbours_differ(due_on, payments, days):
    owed, made = case(due_on, payments)

    rows = late_fee(owed, made, RULES, until=due_on + timedelta(days=days)).rows

    assert sum(row.days for row in rows) == days
    for one, other in pairwise(rows):
        assert other.first_day == one.last_day + timedelta(days=1)
        assert (one.debt_minor, one.rate_bp, one.divisor, one.reason) != (
            other.debt_minor,
            other.rate_bp,
            other.divisor,
            other.reason,
        )


@given(due_on=DUES, payments=PAYMENTS, days=UNTIL, order=st.randoms())
def test_the_order_in_which_payments_are_told_changes_nothing(due_on, payments, days, order):
    owed, made = case(due_on, payments)
    until = due_on + timedelta(days=days)
    shuffled = list(made)
    order.shuffle(shuffled)

    assert late_fee(owed, made, RULES, until=until) == late_fee(owed, shuffled, RULES, until=until)


@given(due_on=DUES, days=UNTIL, later=st.integers(0, 100))
def test_the_fee_never_shrinks_with_the_days(due_on, days, later):
    owed, _ = case(due_on, [])
    until = due_on + timedelta(days=days)

    now = late_fee(owed, [], RULES, until=until).amount_minor
    then = late_fee(owed, [], RULES, until=until + timedelta(days=later)).amount_minor

    assert now <= then
