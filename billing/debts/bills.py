"""Bills and payments of an account, from what was charged and from the ledger; pure.

A bill is what a month's document asks for one service. A payment is money of the payer, a bonus or
a compensation; an emergency credit is none: it is lent. Opening debt, late fees and interest are
paid by what no bill takes, so that they never bring a service nearer to its limitation.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from kilokassa.core.calendar import Month
from wallet.debts.bills import Bill, Payment, Settled, settle
from wallet.ledger import Reason

DueOn = Callable[[Month], date]
"""The last day on which the bill of a month is paid without delay."""

OWED: Final = frozenset({Reason.OPENING_DEBT, Reason.LATE_FEE, Reason.INTEREST})
"""What an account owes beside its bills."""

CHARGED: Final = frozenset({Reason.CHARGE, Reason.CORRECTION})
"""What the charge lines tell with their services."""

LENT: Final = frozenset({Reason.EMERGENCY_CREDIT, Reason.CREDIT_WITHDRAWN})


@dataclass(frozen=True, slots=True)
class ChargedSum:
    """What the lines of one service come to, for a month and on a document."""

    charge_month: int
    document_month: int
    service: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Movement:
    """An entry of the ledger as debts look at it."""

    sequence: int
    reason: Reason
    amount_minor: int
    """Positive where the customer gains."""
    on: date
    """The local day for which it is valid."""
    recorded_at: datetime
    reverses: int | None = None
    """The sequence of the entry that it takes back."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a prepaid account used of a month that is not closed: due as it is used."""

    charge_month: int
    service: str
    amount_minor: int
    known_on: date
    """The last local day that is counted."""


@dataclass(frozen=True, slots=True)
class AccountDebts:
    """The bills of an account with what paid them, and what it owes beside them."""

    settled: Settled
    opening_minor: int = 0
    """Of a debt that was brought along, what is left."""
    fees_minor: int = 0
    """Of late fees and interest that were posted, what is left."""
    ahead_minor: int = 0
    """What was paid ahead of everything."""
    paid: tuple[tuple[date, datetime, int], ...] = ()
    """Each payment of the ledger: its day, when it was recorded, and kopecks."""
    last_paid_at: datetime | None = None

    @property
    def services(self) -> tuple[str, ...]:
        """The services that were ever billed, in order."""
        return tuple(sorted({one.bill.service for one in self.settled.bills}))

    def overdue_minor(self, service: str, on: date) -> int:
        """Return what is overdue for a service at the end of `on`."""
        return self.settled.overdue_minor(service, on)

    def overdue_total_minor(self, on: date) -> int:
        """Return what is overdue of all services at the end of `on`."""
        return sum(one.overdue_minor(on) for one in self.settled.bills)

    def overdue_since(self, service: str, on: date) -> date | None:
        """Return since which day something is overdue for a service, without a break."""
        return self.settled.above_since(service, 0, on)

    def unpaid_minor(self, on: date) -> int:
        """Return what of all bills is not paid at the end of `on`, whether it is due or not."""
        return sum(one.left_minor(on) for one in self.settled.bills)


def account_debts(
    charged: Iterable[ChargedSum],
    movements: Sequence[Movement],
    due_on: DueOn,
    running: Iterable[Running] = (),
) -> AccountDebts:
    """Return the debts of an account.

    A correction in favour of the customer lessens the bill of the month it is for, so that no late
    fee stands on what was never owed; one against the customer is asked for by the document that
    shows it. A top-up that was taken back never paid. Money that left the wallet (a refund, a
    transfer, what was set aside) was the latest that came.
    """
    bills, returned = _bills(charged, due_on)
    for one in running:
        if one.amount_minor > 0:
            bills.append(Bill(one.charge_month, one.service, one.amount_minor, one.known_on))
    payments, owed, paid = _payments(movements, returned)
    settled = settle(bills, payments)
    left_minor = settled.ahead_minor
    rest: dict[bool, int] = {}
    for opening in (True, False):
        wanted_minor = owed.get(opening, 0)
        taken_minor = min(left_minor, max(0, wanted_minor))
        rest[opening] = wanted_minor - taken_minor
        left_minor -= taken_minor
    return AccountDebts(
        settled=settled,
        opening_minor=rest[True],
        fees_minor=max(0, rest[False]),
        ahead_minor=left_minor + max(0, -rest[False]),
        paid=tuple(paid),
        last_paid_at=max((recorded_at for _, recorded_at, _ in paid), default=None),
    )


def _bills(charged: Iterable[ChargedSum], due_on: DueOn) -> tuple[list[Bill], list[Payment]]:
    """Return the bills, and as payments what corrections gave back beyond any bill."""
    asked: dict[tuple[int, str], int] = {}
    given: list[ChargedSum] = []
    for one in charged:
        own = one.charge_month == one.document_month
        if one.amount_minor < 0 and not own:
            given.append(one)
        else:
            key = one.document_month, one.service
            asked[key] = asked.get(key, 0) + one.amount_minor
    returned: list[Payment] = []
    for one in sorted(given, key=lambda one: (one.document_month, one.charge_month, one.service)):
        left_minor = _lessen(asked, one)
        if left_minor:
            returned.append(Payment(_shown_on(one.document_month), left_minor))
    bills = []
    for (month, service), amount_minor in sorted(asked.items()):
        if amount_minor > 0:
            bills.append(Bill(month, service, amount_minor, due_on(Month.from_ordinal(month))))
        elif amount_minor < 0:
            returned.append(Payment(_shown_on(month), -amount_minor))
    return bills, returned


def _lessen(asked: dict[tuple[int, str], int], given: ChargedSum) -> int:
    """Take what was given back off the bills of its service, from its month on; return the rest."""
    left_minor = -given.amount_minor
    months = sorted(month for month, service in asked if service == given.service)
    for month in (m for m in months if given.charge_month <= m <= given.document_month):
        key = month, given.service
        taken_minor = min(left_minor, max(0, asked[key]))
        asked[key] -= taken_minor
        left_minor -= taken_minor
    return left_minor


def _shown_on(document_month: int) -> date:
    return Month.from_ordinal(document_month).plus(1).first_day


def _payments(
    movements: Sequence[Movement], returned: Sequence[Payment]
) -> tuple[list[Payment], dict[bool, int], list[tuple[date, datetime, int]]]:
    """Return the payments, what is owed beside bills (opening or not), and what came when."""
    taken_back = {one.reverses for one in movements if one.reverses is not None}
    came: list[Payment] = list(returned)
    left: list[tuple[date, int]] = []
    owed: dict[bool, int] = {}
    paid: list[tuple[date, datetime, int]] = []
    for one in movements:
        if one.sequence in taken_back or one.reason in CHARGED | LENT | {Reason.REVERSAL}:
            continue
        if one.reason in OWED:
            opening = one.reason is Reason.OPENING_DEBT
            owed[opening] = owed.get(opening, 0) - one.amount_minor
        elif one.amount_minor > 0:
            came.append(Payment(one.on, one.amount_minor))
            paid.append((one.on, one.recorded_at, one.amount_minor))
        elif one.amount_minor < 0:
            left.append((one.on, -one.amount_minor))
    return _less(came, left), owed, paid


def _less(came: Sequence[Payment], left: Sequence[tuple[date, int]]) -> list[Payment]:
    """Return the payments less what left again: the latest before that day goes first."""
    payments = sorted(came, key=lambda payment: payment.paid_on)
    for day, amount_minor in sorted(left):
        order = sorted(
            range(len(payments)),
            key=lambda n: (payments[n].paid_on > day, -payments[n].paid_on.toordinal()),
        )
        gone: set[int] = set()
        for n in order:
            taken_minor = min(amount_minor, payments[n].amount_minor)
            amount_minor -= taken_minor
            if taken_minor == payments[n].amount_minor:
                gone.add(n)
            elif taken_minor:
                rest_minor = payments[n].amount_minor - taken_minor
                payments[n] = replace(payments[n], amount_minor=rest_minor)
            if not amount_minor:
                break
        payments = [payment for n, payment in enumerate(payments) if n not in gone]
    return payments
