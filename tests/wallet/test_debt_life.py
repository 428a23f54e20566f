"""A household that pays too late: bills, a notice, a part paid, a limitation, an agreement kept."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from kilokassa.core.calendar import Month, local_date, local_midnight
from wallet.debts.bills import Bill, Payment, settle
from wallet.debts.instalments import Standing, agreement_state, schedule
from wallet.debts.late_fee import DebtPayment, late_fee, late_fee_rules
from wallet.debts.service_state import (
    Action,
    DeliveredNotice,
    Guard,
    ServiceFacts,
    ServiceState,
    Supply,
    decide,
    guard_sets,
)

ZONE = ZoneInfo("Asia/Vladivostok")
HOUSEHOLD = guard_sets()["household_ru"]
NORM_MINOR = 600_00
BILLS = [
    Bill(
        Month(2026, n).ordinal,
        "electricity",
        700_00,
        Month(2026, n).plus(1).first_day.replace(day=15),
    )
    for n in (7, 8, 9, 10)
]
PART = Payment(date(2026, 10, 5), 300_00)


def at(day, month, hour=12):
    return datetime(2026, month, day, hour, tzinfo=ZONE).astimezone(UTC)


def seen(instant, payments=(PART,), **kwargs):
    """The facts as the bills and the payments tell them, on the day of `instant`."""
    on = local_date(instant, ZONE)
    settled = settle(BILLS, [p for p in payments if p.paid_on <= on])
    since = settled.above_since("electricity", HOUSEHOLD.norm_months * NORM_MINOR, on)
    known = {
        "debt_minor": settled.overdue_minor("electricity", on),
        "above_since": None if since is None else local_midnight(since, ZONE),
        "norm_month_minor": NORM_MINOR,
        "agreement": False,
        "vulnerable": False,
        "never_cut": False,
    }
    return ServiceFacts(instant, ZONE, "electricity", **(known | kwargs))


def test_the_household_lives_from_its_first_late_bill_to_its_last_instalment():
    first = DeliveredNotice(at(18, 9, 15), "receipt 1")
    second = DeliveredNotice(at(17, 10, 15), "receipt 2")

    # One bill late is within two months by the norm; two are not.
    assert decide(seen(at(16, 8)), HOUSEHOLD).state is ServiceState.NEGATIVE
    assert decide(seen(at(15, 9)), HOUSEHOLD).state is ServiceState.NEGATIVE
    assert decide(seen(at(16, 9)), HOUSEHOLD).action is Action.NOTIFY

    # The notice is delivered; a part of the debt, paid before its days are over, ends the matter.
    waiting = decide(seen(at(19, 9), notice=first), HOUSEHOLD)
    assert waiting.state is ServiceState.NOTICE_DELIVERED
    assert waiting.next_at == at(9, 10, 0)
    assert decide(seen(at(9, 10), (), notice=first), HOUSEHOLD).action is Action.LIMIT
    paid = decide(seen(at(9, 10), notice=first, pending=Supply.LIMITED), HOUSEHOLD)
    assert (paid.state, paid.action) == (ServiceState.NEGATIVE, Action.WITHDRAW)

    # The next bill makes it too much again: that is another debt, and takes another notice.
    again = decide(seen(at(16, 10), notice=first), HOUSEHOLD)
    assert (again.state, again.action) == (ServiceState.NOTICE_DUE, Action.NOTIFY)
    assert [each.guard for each in again.held_by] == [Guard.NOTICE_OF_THIS_DEBT]
    assert decide(seen(at(6, 11, 23), notice=second), HOUSEHOLD).action is Action.NONE
    assert decide(seen(at(7, 11, 0), notice=second), HOUSEHOLD).action is Action.LIMIT

    # It is limited, and an agreement on all that is owed restores it.
    limited = {"supply": Supply.LIMITED, "limited_at": at(7, 11, 9), "notice": second}
    assert decide(seen(at(8, 11), **limited), HOUSEHOLD).state is ServiceState.LIMITED
    owed_minor = seen(at(8, 11)).debt_minor
    assert owed_minor == 3 * 700_00 - 300_00
    parts = schedule(owed_minor, 3, agreed_on=date(2026, 11, 8), first_due_on=date(2026, 12, 8))
    agreed = agreement_state(parts, [], on=date(2026, 11, 8))
    restored = decide(
        seen(at(8, 11), **limited, agreement=agreed.protects, settled_at=at(8, 11)), HOUSEHOLD
    )
    assert (restored.state, restored.action) == (ServiceState.RESTORING, Action.RESTORE)
    assert restored.restore_by == at(11, 11, 0)

    # Kept, it protects; a part left unpaid breaks it, and the debt is looked at again.
    kept = [DebtPayment(date(2026, 12, 8), 600_00)]
    assert agreement_state(parts, kept, on=date(2027, 1, 8)).protects
    assert agreement_state(parts, kept, on=date(2027, 1, 9)).standing is Standing.BROKEN


def test_what_the_first_bill_cost_by_being_late():
    settled = settle(BILLS, [PART])
    july = settled.bills[0]

    fee = late_fee(july.as_debt(), july.payments, late_fee_rules(), until=date(2026, 11, 8))

    # 15.09 to 05.10 on 700.00, 06.10 to 08.11 on 400.00, at 9.5 % over 300.
    assert [(r.days, r.debt_minor, r.amount_scaled) for r in fee.rows] == [
        (30, 700_00, 0),
        (21, 700_00, 4_66),
        (34, 400_00, 4_31),
    ]
    assert fee.amount_minor == 8_97
