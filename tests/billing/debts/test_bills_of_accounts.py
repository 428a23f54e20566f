"""Bills and payments of an account as its charges and its ledger make them."""

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from billing.debts.bills import AccountDebts, ChargedSum, Movement, Running, account_debts
from kilokassa.core.calendar import Month
from wallet.ledger import Reason

JULY, AUGUST = Month(2026, 7), Month(2026, 8)
FAR = date(2027, 1, 1)


def due_on(month: Month) -> date:
    return month.plus(1).first_day.replace(day=15)


def charged(month: Month, amount_minor: int, service="electricity", shown: Month | None = None):
    return ChargedSum(month.ordinal, (shown or month).ordinal, service, amount_minor)


def moved(number: int, reason: Reason, amount_minor: int, on: date, reverses=None) -> Movement:
    return Movement(
        number, reason, amount_minor, on, datetime(on.year, on.month, on.day, tzinfo=UTC), reverses
    )


def debts(lines, movements=(), running=()) -> AccountDebts:
    return account_debts(lines, movements, due_on, running)


def test_what_is_not_paid_by_its_day_is_overdue_from_the_next():
    found = debts([charged(JULY, 600_00)], [moved(1, Reason.TOP_UP, 200_00, date(2026, 8, 10))])

    assert found.overdue_minor("electricity", date(2026, 8, 15)) == 0
    assert found.overdue_minor("electricity", date(2026, 8, 16)) == 400_00
    assert found.overdue_since("electricity", date(2026, 9, 1)) == date(2026, 8, 16)


def test_what_was_given_back_lessens_the_bill_of_its_own_month():
    found = debts(
        [charged(JULY, 600_00), charged(AUGUST, 500_00), charged(JULY, -100_00, shown=AUGUST)]
    )

    assert [one.bill.amount_minor for one in found.settled.bills] == [500_00, 500_00]


def test_what_was_asked_for_later_is_due_with_the_document_that_shows_it():
    found = debts(
        [charged(JULY, 600_00), charged(AUGUST, 500_00), charged(JULY, 30_00, shown=AUGUST)]
    )

    assert found.overdue_minor("electricity", date(2026, 8, 20)) == 600_00
    assert found.overdue_minor("electricity", date(2026, 9, 20)) == 1130_00


def test_what_no_bill_can_take_back_is_a_payment():
    found = debts([charged(JULY, 100_00), charged(JULY, -150_00, shown=AUGUST)])

    assert not found.overdue_total_minor(FAR)
    assert found.ahead_minor == 50_00


def test_a_top_up_that_was_taken_back_never_paid():
    found = debts(
        [charged(JULY, 600_00)],
        [
            moved(1, Reason.TOP_UP, 600_00, date(2026, 8, 10)),
            moved(2, Reason.REVERSAL, -600_00, date(2026, 9, 1), reverses=1),
        ],
    )

    assert found.overdue_minor("electricity", date(2026, 8, 16)) == 600_00


def test_an_emergency_credit_pays_nothing():
    found = debts(
        [charged(JULY, 600_00)], [moved(1, Reason.EMERGENCY_CREDIT, 500_00, date(2026, 8, 1))]
    )

    assert found.overdue_minor("electricity", FAR) == 600_00


def test_old_debt_and_late_fees_are_paid_after_the_bills_and_are_of_no_service():
    found = debts(
        [charged(JULY, 600_00)],
        [
            moved(1, Reason.OPENING_DEBT, -300_00, date(2026, 6, 1)),
            moved(2, Reason.LATE_FEE, -10_00, date(2026, 9, 1)),
            moved(3, Reason.TOP_UP, 700_00, date(2026, 9, 2)),
        ],
    )

    assert found.overdue_total_minor(FAR) == 0
    assert found.opening_minor == 200_00
    assert found.fees_minor == 10_00
    assert found.ahead_minor == 0


def test_money_that_left_was_the_latest_that_had_come():
    found = debts(
        [charged(JULY, 600_00)],
        [
            moved(1, Reason.TOP_UP, 600_00, date(2026, 8, 1)),
            moved(2, Reason.TOP_UP, 300_00, date(2026, 8, 5)),
            moved(3, Reason.REFUND, -300_00, date(2026, 8, 6)),
        ],
    )

    assert found.overdue_total_minor(FAR) == 0
    assert found.ahead_minor == 0


def test_a_prepaid_account_owes_what_it_used_from_the_day_after():
    used = Running(AUGUST.ordinal, "electricity", 90_00, date(2026, 8, 20))

    found = debts([], running=[used])

    assert found.overdue_minor("electricity", date(2026, 8, 20)) == 0
    assert found.overdue_minor("electricity", date(2026, 8, 21)) == 90_00


REASONS = st.sampled_from(
    [(Reason.TOP_UP, 1), (Reason.BONUS, 1), (Reason.REFUND, -1), (Reason.LATE_FEE, -1)]
)


@given(
    lines=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 3),
            st.sampled_from(["electricity", "hot_water"]),
            st.integers(-50_00, 100_00),
        ),
        max_size=6,
    ),
    moves=st.lists(st.tuples(REASONS, st.integers(1, 90_00), st.integers(0, 150)), max_size=6),
)
def test_what_is_owed_less_what_is_ahead_is_what_the_ledger_says(lines, moves):
    """Money that left beyond all that came is left out of account: the wallet refuses it."""
    sums = [
        charged(JULY.plus(month), amount, service, JULY.plus(max(month, shown)))
        for month, shown, service, amount in lines
    ]
    movements = [
        moved(n, reason, sign * amount, date.fromordinal(JULY.first_day.toordinal() + day))
        for n, ((reason, sign), amount, day) in enumerate(moves)
    ]
    gone = -sum(m.amount_minor for m in movements if m.reason is Reason.REFUND)

    found = debts(sums, movements)

    owed = found.unpaid_minor(FAR) + found.opening_minor + found.fees_minor
    balance = sum(m.amount_minor for m in movements) - sum(one.amount_minor for one in sums)
    if gone <= sum(m.amount_minor for m in movements if m.amount_minor > 0):
        assert found.ahead_minor - owed == balance
