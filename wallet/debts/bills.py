"""Which bill a payment paid: what is owed for each service, since when, and with what payments.

Pure. Money goes to the bill that is due first, or to the month that its payer named; between the
services of a bill by what each still lacks, to the kopeck. Source: ГК РФ ст. 319.1 and ПП РФ от
06.05.2011 № 354, п. 118, both from memory: `CONFIDENCE`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from kilokassa.core.apportion import apportion
from kilokassa.core.confidence import Confidence
from kilokassa.core.text import mark
from wallet.debts.late_fee import DebtPayment, OverdueDebt, Scheme

CONFIDENCE: Final = Confidence.MEMORY
SHARED_FROM_MEMORY: Final = mark(
    "How a payment is shared between bills and services was not checked against its source."
)
"""What a document says that shows such a share."""

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Bill:
    """What a month's document asks for one service; corrections of it are already in it."""

    charge_month: int
    service: str
    amount_minor: int
    due_on: date

    def __post_init__(self) -> None:
        if self.amount_minor <= 0:
            raise ValueError(f"a bill asks for something: {self!r}")


@dataclass(frozen=True, slots=True)
class Payment:
    """Money of a payer; `charge_month` is the month it was paid for, where that was named."""

    paid_on: date
    amount_minor: int
    charge_month: int | None = None

    def __post_init__(self) -> None:
        if self.amount_minor <= 0:
            raise ValueError(f"a payment is more than nothing: {self!r}")


@dataclass(frozen=True, slots=True)
class SettledBill:
    """A bill with what was paid towards it, in order of the days."""

    bill: Bill
    payments: tuple[DebtPayment, ...]

    def left_minor(self, on: date) -> int:
        """Return what of the bill is not paid at the end of `on`."""
        paid_minor = sum(p.amount_minor for p in self.payments if p.paid_on <= on)
        return self.bill.amount_minor - paid_minor

    def overdue_minor(self, on: date) -> int:
        """Return what of the bill is overdue at the end of `on`: nothing on the due day itself."""
        return self.left_minor(on) if self.bill.due_on < on else 0

    def as_debt(self, scheme: Scheme = Scheme.HOUSEHOLD) -> OverdueDebt:
        """Return the bill as a late fee is counted on it."""
        bill = self.bill
        return OverdueDebt(bill.service, bill.amount_minor, bill.due_on, scheme)


@dataclass(frozen=True, slots=True)
class Settled:
    """All bills of an account, the first due first, and what was paid ahead of them."""

    bills: tuple[SettledBill, ...]
    ahead_minor: int

    def overdue_minor(self, service: str, on: date) -> int:
        """Return what is overdue for one service at the end of `on`."""
        return sum(b.overdue_minor(on) for b in self.bills if b.bill.service == service)

    def above_since(self, service: str, bound_minor: int, on: date) -> date | None:
        """Return since which day the debt for a service is, without a break, above a bound.

        None where it is not above it at the end of `on`. A day counts by its end.
        """
        own = [b for b in self.bills if b.bill.service == service]
        days = {b.bill.due_on + _DAY for b in own}
        days |= {payment.paid_on for b in own for payment in b.payments}
        since = None
        for day in sorted(day for day in days if day <= on):
            above = self.overdue_minor(service, day) > bound_minor
            since = (since or day) if above else None
        return since


def settle(bills: Iterable[Bill], payments: Iterable[Payment]) -> Settled:
    """Say which payment paid which bill; what no bill takes was paid ahead.

    Payments of a day are one, those that name a month before those that name none; what the month
    does not take goes on to the bill that is due first. The order in which they are told, of bills
    and of payments, changes nothing.
    """
    ordered = sorted(bills, key=lambda b: (b.due_on, b.charge_month, b.service, b.amount_minor))
    left = [bill.amount_minor for bill in ordered]
    paid: list[dict[date, int]] = [{} for _ in ordered]
    ahead_minor = 0
    for payment in _by_day(payments):
        rest_minor = payment.amount_minor
        for group in _in_turn(ordered, payment.charge_month):
            wanted = [left[n] for n in group]
            taken_minor = min(rest_minor, sum(wanted))
            if not taken_minor:
                continue
            for n, share_minor in zip(group, apportion(taken_minor, wanted), strict=True):
                left[n] -= share_minor
                if share_minor:
                    day = payment.paid_on
                    paid[n][day] = paid[n].get(day, 0) + share_minor
            rest_minor -= taken_minor
        ahead_minor += rest_minor
    assert min(left, default=0) >= 0, left
    settled = tuple(
        SettledBill(bill, tuple(DebtPayment(day, minor) for day, minor in sorted(of_bill.items())))
        for bill, of_bill in zip(ordered, paid, strict=True)
    )
    return Settled(settled, ahead_minor)


def _by_day(payments: Iterable[Payment]) -> list[Payment]:
    merged: dict[tuple[date, bool, int], int] = {}
    for payment in payments:
        named = payment.charge_month is not None
        key = payment.paid_on, not named, payment.charge_month or 0
        merged[key] = merged.get(key, 0) + payment.amount_minor
    return [
        Payment(day, amount_minor, None if unnamed else month)
        for (day, unnamed, month), amount_minor in sorted(merged.items())
    ]


def _in_turn(ordered: Sequence[Bill], charge_month: int | None) -> list[list[int]]:
    """Return the places of bills, together by month, in the order in which they take money."""
    groups: dict[tuple[bool, date, int], list[int]] = {}
    for n, bill in enumerate(ordered):
        key = bill.charge_month != charge_month, bill.due_on, bill.charge_month
        groups.setdefault(key, []).append(n)
    return [groups[key] for key in sorted(groups)]
