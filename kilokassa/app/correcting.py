"""Corrections of closed months are written: lines, one net posting each, and a document of them.

The close and a recalculation in between write them in the same way, so that whichever comes first
leaves nothing for the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.accounts import BilledAccount
from billing.charges import NewLine
from billing.models import Service
from billing.recalculation.changes import Reasons, SuspectedMonths
from billing.recalculation.service import Correction
from billing.service import LinesOrder, record_lines
from invoices.documents import Draft
from invoices.numbering import DocumentKind
from invoices.payment_document import Payer
from invoices.recalculation import MonthDifference, RecalculationDocument, paired
from kilokassa.app.month_documents import Issuer, document_line, premises_address
from kilokassa.core.calendar import Month
from kilokassa.core.clock import Clock
from kilokassa.core.digest import digest_text
from kilokassa.core.ids import AccountId
from kilokassa.core.text import Language
from wallet import store as wallet_store
from wallet.ledger import Reason
from wallet.service import ChargeBatch, ChargeOrder, charge_batch

JOB_ACTOR: Final = "job:close"
"""Who charges: keys of closes and corrections are unique for it, whoever presses the button."""

SuspectedOfPart = tuple[tuple[Month, tuple[tuple[AccountId, Reasons], ...]], ...]
"""Closed months with the accounts that are suspected and why, as they travel to a worker."""


@dataclass(frozen=True, slots=True)
class CorrectingOrder:
    """Corrections to write, and where they are shown."""

    corrections: Mapping[Month, Mapping[AccountId, Correction]]
    issuer: Issuer
    """Of the month whose documents show them, unless an account has closed it already."""
    run_id: int
    known_at: datetime
    """Up to when what is right was known."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """What was put right now of one account, the earliest month first."""

    corrections: tuple[Correction, ...]
    shown_in: Month
    """The month whose payment document shows the lines."""

    @property
    def difference_minor(self) -> int:
        """What the account owes more in all; negative where it is given back."""
        return sum(one.difference_minor for one in self.corrections)

    @property
    def lines(self) -> tuple[tuple[Month, NewLine], ...]:
        """All lines, each with the month it belongs to."""
        return tuple((one.month, line) for one in self.corrections for line in one.charge.lines)


def suspected_among(found: SuspectedMonths, account_ids: Sequence[AccountId]) -> SuspectedOfPart:
    """Return the suspected months of the accounts of a part, as they travel to a worker."""
    mine = [
        (month, tuple((i, reasons[i]) for i in account_ids if i in reasons))
        for month, reasons in sorted(found.months.items())
    ]
    return tuple(pair for pair in mine if pair[1])


def by_month(suspected: SuspectedOfPart) -> dict[Month, dict[AccountId, Reasons]]:
    """Return suspected months that came to a worker, each with its accounts."""
    return {month: dict(reasons) for month, reasons in suspected}


def write_corrections(
    session: Session, order: CorrectingOrder, clock: Clock
) -> dict[AccountId, Corrected]:
    """Post what closed months should have been: the lines of a month, and one net posting of them.

    The caller holds the wallets. What another run put right since it was computed is left alone:
    the lines that it would turn into the right ones stand no more.
    """
    written: dict[AccountId, list[Correction]] = {}
    concerned = {account_id for mine in order.corrections.values() for account_id in mine}
    shown_in = _next_documents(session, sorted(concerned), order.issuer.month)
    for charged, by_account in sorted(order.corrections.items()):
        last = billing_store.last_line_ids(session, list(by_account), charged)
        standing = [
            correction
            for account_id, correction in by_account.items()
            if correction.charge.follows == last.get(account_id, 0)
        ]
        for correction in _write(session, charged, standing, shown_in, order, clock):
            written.setdefault(correction.charge.account_id, []).append(correction)
    return {
        account_id: Corrected(tuple(mine), shown_in[account_id])
        for account_id, mine in written.items()
    }


def _write(
    session: Session,
    charged: Month,
    corrections: Sequence[Correction],
    shown_in: Mapping[AccountId, Month],
    order: CorrectingOrder,
    clock: Clock,
) -> list[Correction]:
    """Post the corrections of one month; return those that were not posted before."""
    zone, now = order.issuer.zone, clock.now()
    orders = [
        ChargeOrder(
            account_id=charge.account_id,
            parts=tuple((str(each), charge.total_minor(each)) for each in Service),
            charge_month=charged,
            month=shown_in[charge.account_id],
            valid_at=min(now, shown_in[charge.account_id].period(zone).end),
            idempotency_key=f"correct:{charged}:{charge.account_id}:{charge.digest[:16]}",
            reason=Reason.CORRECTION,
        )
        for charge in (correction.charge for correction in corrections)
    ]
    results = charge_batch(session, ChargeBatch(orders, actor=JOB_ACTOR, zone=zone), clock)
    fresh = [
        (correction, result)
        for correction, result in zip(corrections, results, strict=True)
        if not result.repeated
    ]
    record_lines(
        session,
        [
            LinesOrder(
                correction.charge,
                charged,
                shown_in[result.account_id],
                result.entry_id,
                order.run_id,
                order.known_at,
            )
            for correction, result in fresh
        ],
        clock,
    )
    return [correction for correction, _ in fresh]


def _next_documents(
    session: Session, account_ids: Sequence[AccountId], month: Month
) -> dict[AccountId, Month]:
    """Return the month of each account's next document: `month`, or later where that is closed."""
    closed = wallet_store.closed_through(session, account_ids)
    return {
        account_id: Month.from_ordinal(max(month.ordinal, closed.get(account_id, 0) + 1))
        for account_id in account_ids
    }


def difference_drafts(
    issuer: Issuer, accounts: Sequence[BilledAccount], corrected: Mapping[AccountId, Corrected]
) -> list[Draft]:
    """Return a document of the difference for each of the accounts that was put right."""
    return [
        _draft(issuer, account, corrected[account.id])
        for account in accounts
        if account.id in corrected
    ]


def _draft(issuer: Issuer, account: BilledAccount, corrected: Corrected) -> Draft:
    document = RecalculationDocument(
        retailer=issuer.requisites,
        payer=Payer(
            account.payer_name,
            premises_address(account.address, account.premises_number),
            account.number,
        ),
        issued_on=issuer.issued_on,
        shown_in=corrected.shown_in,
        months=tuple(_month(issuer, one) for one in corrected.corrections),
        warnings=tuple(
            dict.fromkeys(text for one in corrected.corrections for text in one.charge.warnings)
        ),
        demo=issuer.demo,
    )
    digest = digest_text(
        "|".join(f"{one.month}:{one.charge.digest}" for one in corrected.corrections)
    )
    return Draft(
        kind=DocumentKind.RECALCULATION,
        account_id=account.id,
        snapshot=document.to_snapshot(),
        key=f"recalculation:{account.id}:{digest[:32]}",
        language=Language(account.language),
        input_digest=digest,
    )


def _month(issuer: Issuer, one: Correction) -> MonthDifference:
    lines = [(line.key, document_line(issuer, one.month, line)) for line in one.charge.lines]
    return MonthDifference(
        one.month, one.reason, paired(lines), one.before_digest, one.after_digest
    )
