"""Which bill a payment paid: a table by hand, and what holds of every account."""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.calendar import Month
from kilokassa.core.money import parse_minor
from wallet.debts.bills import Bill, Payment, settle
from wallet.debts.late_fee import DebtPayment, late_fee, late_fee_rules

PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "late-fee.md"
JULY, AUGUST = Month(2026, 7).ordinal, Month(2026, 8).ordinal


def bill(month, service, amount_minor):
    due_on = Month.from_ordinal(month).plus(1).first_day.replace(day=15)
    return Bill(month, service, amount_minor, due_on)


BILLS = (
    bill(JULY, "electricity", 600_00),
    bill(JULY, "hot_water", 400_00),
    bill(AUGUST, "electricity", 500_00),
    bill(AUGUST, "hot_water", 500_00),
)
PAYMENTS = (
    Payment(date(2026, 8, 10), 500_00),
    Payment(date(2026, 9, 20), 300_01, AUGUST),
    Payment(date(2026, 10, 1), 700_00),
)


def rows():
    text = PAGE.read_text(encoding="utf-8").split("## Which bill a payment paid")[1]
    lines = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_account_of_the_page_is_settled_to_the_kopeck():
    settled = settle(BILLS, PAYMENTS)

    for day, *owed in rows():
        number, month, year = map(int, day.split("."))
        on = date(year, month, number)
        assert [b.left_minor(on) for b in settled.bills] == [parse_minor(cell) for cell in owed]
    assert settled.ahead_minor == 0


def test_what_is_overdue_counts_from_the_day_after_the_due_day():
    settled = settle(BILLS, ())

    assert settled.overdue_minor("electricity", date(2026, 8, 15)) == 0
    assert settled.overdue_minor("electricity", date(2026, 8, 16)) == 600_00
    assert settled.overdue_minor("electricity", date(2026, 9, 16)) == 1100_00


@pytest.mark.parametrize(
    ("bound_minor", "on", "since"),
    [
        (500_00, date(2026, 8, 15), None),
        (500_00, date(2026, 9, 30), date(2026, 8, 16)),
        (600_00, date(2026, 9, 30), date(2026, 9, 16)),
        (1100_00, date(2026, 9, 30), None),
    ],
)
def test_a_debt_is_above_a_bound_since_the_last_time_it_rose(bound_minor, on, since):
    assert settle(BILLS, ()).above_since("electricity", bound_minor, on) == since


def test_a_payment_that_lowers_the_debt_for_a_day_begins_it_anew():
    payments = [Payment(date(2026, 9, 10), 1000_00)]

    settled = settle(BILLS, payments)

    assert settled.above_since("electricity", 100_00, date(2026, 9, 9)) == date(2026, 8, 16)
    assert settled.above_since("electricity", 100_00, date(2026, 9, 30)) == date(2026, 9, 16)


def test_money_that_no_bill_takes_was_paid_ahead():
    settled = settle(BILLS, [Payment(date(2026, 8, 1), 2500_00)])

    assert settled.ahead_minor == 500_00
    assert all(b.left_minor(date(2026, 8, 1)) == 0 for b in settled.bills)


def test_a_settled_bill_is_what_a_late_fee_is_counted_on():
    first = settle(BILLS, PAYMENTS).bills[0]

    fee = late_fee(first.as_debt(), first.payments, late_fee_rules(), until=date(2026, 12, 1))

    # 300.00 are left of 600.00 on the due day; from day 31, 15.09 to 01.10 are 17 days.
    assert [(row.debt_minor, row.days, row.divisor) for row in fee.rows] == [
        (300_00, 30, 0),
        (300_00, 17, 300),
    ]


MONTHS = st.integers(JULY, JULY + 4)
SOME_BILLS = st.lists(
    st.builds(
        bill,
        MONTHS,
        st.sampled_from(["electricity", "hot_water", "cold_water"]),
        st.integers(1, 1000),
    ),
    max_size=10,
)
SOME_PAYMENTS = st.lists(
    st.builds(
        Payment,
        st.dates(date(2026, 7, 1), date(2026, 12, 31)),
        st.integers(1, 2000),
        st.none() | MONTHS,
    ),
    max_size=8,
)


@given(bills=SOME_BILLS, payments=SOME_PAYMENTS)
def test_every_kopeck_pays_a_bill_or_is_ahead(bills, payments):
    settled = settle(bills, payments)

    used = [p for b in settled.bills for p in b.payments]
    came = sum(p.amount_minor for p in payments)
    assert sum(p.amount_minor for p in used) + settled.ahead_minor == came
    assert all(b.left_minor(date.max) >= 0 for b in settled.bills)
    assert not settled.ahead_minor or all(b.left_minor(date.max) == 0 for b in settled.bills)
    by_day = Counter()
    for payment in payments:
        by_day[payment.paid_on] += payment.amount_minor
    for payment in used:
        by_day[payment.paid_on] -= payment.amount_minor
    assert min(by_day.values(), default=0) >= 0


@given(bills=SOME_BILLS, payments=SOME_PAYMENTS, order=st.randoms())
def test_the_order_in_which_they_are_told_changes_nothing(bills, payments, order):
    shuffled_bills, shuffled = list(bills), list(payments)
    order.shuffle(shuffled_bills)
    order.shuffle(shuffled)

    assert settle(bills, payments) == settle(shuffled_bills, shuffled)


@given(bills=SOME_BILLS, payments=SOME_PAYMENTS)
def test_money_without_a_month_never_passes_over_a_bill_that_is_due_earlier(bills, payments):
    unnamed = [Payment(p.paid_on, p.amount_minor) for p in payments]

    settled = settle(bills, unnamed)

    open_due = [b.bill.due_on for b in settled.bills if b.left_minor(date.max)]
    paid_due = [b.bill.due_on for b in settled.bills if b.payments]
    assert not open_due or not paid_due or max(paid_due) <= min(open_due)


@given(bills=SOME_BILLS, payments=SOME_PAYMENTS, more=st.integers(1, 500))
def test_more_money_never_leaves_more_overdue(bills, payments, more):
    on = date(2026, 12, 31)
    unnamed = [Payment(p.paid_on, p.amount_minor) for p in payments]
    before = settle(bills, unnamed)

    after = settle(bills, [*unnamed, Payment(date(2026, 7, 1), more)])

    assert sum(b.overdue_minor(on) for b in after.bills) <= sum(
        b.overdue_minor(on) for b in before.bills
    )


def test_a_due_day_and_its_payments_need_no_clock():
    settled = settle(BILLS, [Payment(date(2026, 8, 15) + timedelta(days=1), 1)])

    # One kopeck between 600.00 and 400.00: the larger remainder has it.
    assert [b.payments for b in settled.bills[:2]] == [(DebtPayment(date(2026, 8, 16), 1),), ()]
