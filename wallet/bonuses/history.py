"""What the past of an account says to bonus rules: bills paid up, months without debt."""

from collections.abc import Iterable, Mapping
from typing import Final

from kilokassa.core.calendar import Month
from wallet.ledger import Reason

NOT_PAYING: Final = frozenset(
    {
        Reason.CHARGE,
        Reason.CORRECTION,
        Reason.EXPIRY,
        Reason.LATE_FEE,
        Reason.INTEREST,
        Reason.OPENING_DEBT,
        Reason.OPENING_ADVANCE,
        Reason.EMERGENCY_CREDIT,
        Reason.CREDIT_WITHDRAWN,
        Reason.CLAW_BACK,
    }
)
"""What moves a wallet and yet is no payment of a bill: charges, fees, loans, what expires."""


def paid_up_by(
    asked_minor: int, since: Iterable[tuple[int, Reason, int]]
) -> tuple[int, int] | None:
    """Return which top-up paid the last of a bill, and how much of it was paid by top-ups.

    `since` are the movements after the bill: id, reason and signed amount, in their order. None
    where the bill is open, or where something else than a top-up paid the last of it.

    >>> bill = 1000_00
    >>> paid_up_by(bill, [(1, Reason.TOP_UP, 600_00), (2, Reason.TOP_UP, 600_00)])
    (2, 100000)
    >>> paid_up_by(bill, [(1, Reason.TOP_UP, 600_00), (2, Reason.CHARGE, -50_00)]) is None
    True
    >>> paid_up_by(bill, [(1, Reason.BONUS, 400_00), (2, Reason.TOP_UP, 700_00)])
    (2, 60000)
    """
    left_minor = asked_minor
    topped_minor = 0
    completed: tuple[int, int] | None = None
    for number, reason, minor in since:
        if reason in NOT_PAYING:
            continue
        was_open = left_minor > 0
        if reason is Reason.TOP_UP:
            topped_minor += min(minor, max(0, left_minor))
        left_minor -= minor
        if left_minor > 0:
            completed = None
        elif was_open:
            of_it_minor = min(asked_minor, topped_minor)
            completed = (number, of_it_minor) if reason is Reason.TOP_UP else None
    return completed


def months_without_debt(
    booked: Mapping[int, tuple[int, int]], until: Month, *, prepaid: bool, since: Month
) -> int:
    """Return how many months in a row up to `until` ended without debt; 0 if that one did not.

    `booked` is what moved the wallet in each month and the charges among it, by ordinal. Who pays
    ahead has no debt where the month closes at zero or more; who pays afterwards, where all but the
    month's own charge was paid by its end. Months before `since` do not count.
    """
    in_a_row = 0
    net_minor = sum(net for month, (net, _) in booked.items() if month < since.ordinal)
    for ordinal in range(since.ordinal, until.ordinal + 1):
        net, charged = booked.get(ordinal, (0, 0))
        net_minor += net
        owed_minor = net_minor if prepaid else net_minor - charged
        in_a_row = in_a_row + 1 if owed_minor >= 0 else 0
    return in_a_row
