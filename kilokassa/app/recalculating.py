"""Closed months are put right without waiting for the next close: look first, then post.

Parts of accounts go over the executor as those of a close do. A part is written whole or not at
all, and what was put right gives no difference when it is asked again: an interrupted run is simply
run once more.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.accounts import BilledAccount
from billing.charges import NewLine
from billing.models import BillingPartRow, BillingRunRow, CorrectionReason, RunKind, RunState
from billing.recalculation import service as recalculation
from billing.recalculation import store as recalculation_store
from billing.recalculation.changes import Reasons, SuspectedMonths, most_specific
from billing.recalculation.service import Correction
from invoices import service as invoice_service
from invoices.service import IssueOrder
from kilokassa.app.common_areas import settle_common_areas
from kilokassa.app.correcting import (
    Corrected,
    CorrectingOrder,
    SuspectedOfPart,
    by_month,
    difference_drafts,
    suspected_among,
    write_corrections,
)
from kilokassa.app.estimating import run_estimates
from kilokassa.app.executor import open_database, open_executor, run_parts
from kilokassa.app.month_documents import Issuer
from kilokassa.app.telling import tell_recalculations
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.session import Database
from notices.messages import RecalculationIssued
from wallet import store as wallet_store

ACCOUNTS_A_PART: Final = 200
"""Each may have a dozen months to rate again: some seconds of work."""

INLINE_ACCOUNTS: Final = 600
"""Up to so many accounts, starting worker processes would take longer than the work."""

COMPARED_MAX: Final = 400
"""So many months of accounts a preview rates again, the latest first; a page waits for it."""

COMPARED_ALL: Final = 2**31
"""For a command, which may take its time."""

Progress = Callable[[int, int], None]


class NothingClosed(DomainError):
    """There is nothing to put right before the first close."""

    code = "nothing_closed"
    template = mark("No month is closed yet: there is nothing to recalculate.")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be recalculated; everything where nothing is named."""

    month: Month | None = None
    """Only this closed month."""
    account_number: str | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """A closed month of an account that is not as it should be."""

    account_id: AccountId
    account_number: str
    payer_name: str
    building_address: str
    month: Month
    reason: CorrectionReason
    difference_minor: int
    """What would be charged in addition; negative where it is given back."""
    lines: tuple[NewLine, ...]


@dataclass(frozen=True, slots=True)
class Beyond:
    """A closed month of which something was learned, too far back to be put right of itself."""

    account_number: str
    month: Month
    reason: CorrectionReason


@dataclass(frozen=True, slots=True)
class Preview:
    """What a recalculation would post, and what it would leave alone."""

    shown_in: Month
    """The payment document that will show it."""
    pending: tuple[Pending, ...]
    beyond: tuple[Beyond, ...]
    compared: int
    """Months of accounts that were rated again."""
    left: int
    """Months of accounts that were not: too many for one look."""

    @property
    def difference_minor(self) -> int:
        """What all of it comes to."""
        return sum(each.difference_minor for each in self.pending)


@dataclass(frozen=True, slots=True)
class RecalculationReport:
    """What a recalculation did; sums over parts make the report of the run."""

    suspected: int = 0
    """Accounts that were looked at."""
    corrected: int = 0
    months: int = 0
    difference_minor: int = 0
    documents: tuple[str, ...] = field(default=())
    """Numbers of the documents of the difference."""
    warnings: tuple[tuple[str, str], ...] = field(default=())
    """Pairs of an account number and a message of the catalogue."""
    beyond: tuple[Beyond, ...] = field(default=())

    def plus(self, other: "RecalculationReport") -> "RecalculationReport":
        """Return both reports together."""
        return RecalculationReport(
            suspected=self.suspected + other.suspected,
            corrected=self.corrected + other.corrected,
            months=self.months + other.months,
            difference_minor=self.difference_minor + other.difference_minor,
            documents=self.documents + other.documents,
            warnings=self.warnings + other.warnings,
            beyond=self.beyond + other.beyond,
        )


@dataclass(frozen=True, slots=True)
class RecalculationPart:
    """One part of a run, as it travels to a worker."""

    database_url: str
    run_id: int
    account_ids: tuple[AccountId, ...]
    shown_in: Month
    at: datetime
    suspected: SuspectedOfPart
    known_at: datetime
    """What was recorded up to then is right."""


def preview(
    session: Session, scope: Scope, wish: Wish, *, at: datetime, most: int = COMPARED_MAX
) -> Preview:
    """Return what a recalculation would post for the accounts in reach; nothing is written.

    What is suspected of more than `most` months of accounts is not compared, and counted.
    """
    shown_in = _shown_in(session)
    found = _suspected(session, scope, wish, shown_in, at)
    chosen, left = _latest(found, most)
    corrections = recalculation.corrections(session, chosen)
    accounts = _accounts(session, found.beyond, corrections)
    pending = [
        _pending(accounts[account_id], one)
        for by_account in corrections.values()
        for account_id, one in by_account.items()
    ]
    return Preview(
        shown_in=shown_in,
        pending=tuple(sorted(pending, key=lambda one: (one.account_number, one.month))),
        beyond=_beyond(found, accounts),
        compared=sum(len(mine) for mine in chosen.values()),
        left=left,
    )


def recalculate(
    application: Application,
    wish: Wish,
    *,
    scope: Scope,
    progress: Progress | None = None,
) -> RecalculationReport:
    """Post what closed months should have been, and issue documents of the difference.

    Repeat it at will: what is right already stays as it is. The next payment document shows the
    same lines among the others. Estimates that readings have replaced since are made anew first.
    """
    scope.demand(Right.RUN_BILLING)
    database, now = application.database, application.clock.now()
    with database.reading() as session:
        shown_in = _shown_in(session)
        ids = _account_ids(session, scope, wish)
    if ids:
        run_estimates(application, shown_in.plus(-1), scope=scope, account_ids=ids)
        settle_common_areas(application, shown_in.plus(-1), scope=scope)
    with database.reading() as session:
        found = _suspected(session, scope, wish, shown_in, now)
        concerned = sorted({i for mine in found.months.values() for i in mine})
        accounts = _accounts(session, found.beyond)
    report = RecalculationReport(suspected=len(concerned), beyond=_beyond(found, accounts))
    if not concerned:
        return report
    with database.writing() as session:
        run_id = _begin(session, shown_in, scope.actor, now)
    orders = _parts(application, run_id, concerned, shown_in, now, found)
    done = 0
    for order, part in _results(application, orders, len(concerned)):
        report = report.plus(part)
        done += order
        if progress is not None:
            progress(done, len(concerned))
    with database.writing() as session:
        session.execute(
            update(BillingRunRow)
            .where(BillingRunRow.id == run_id)
            .values(state=RunState.DONE, ended_at=application.clock.now())
        )
    return report


def recalculate_part(order: RecalculationPart) -> tuple[int, RecalculationReport]:
    """Compute and write one part; runs in a worker and opens its own sessions."""
    return _recalculate_part(order, open_database(order.database_url))


def _recalculate_part(
    order: RecalculationPart, database: Database
) -> tuple[int, RecalculationReport]:
    clock = FixedClock(order.at)
    with database.reading() as session:
        corrections = recalculation.corrections(
            session, by_month(order.suspected), known_at=order.known_at
        )
        retailer = billing_store.retailer(session)
        issued_on = local_date(order.at, ZoneInfo(retailer.zone))
        issuer = Issuer.of(retailer, order.shown_in, issued_on)
        accounts = _accounts(session, corrections)
    if not accounts:
        return len(order.account_ids), RecalculationReport()
    with database.writing() as session:
        wallet_store.hold_wallets(session, sorted(accounts))
        corrected = write_corrections(
            session, CorrectingOrder(corrections, issuer, order.run_id, order.known_at), clock
        )
        drafts = difference_drafts(issuer, list(accounts.values()), corrected)
        report = _report(accounts, corrected)
        session.connection().execute(
            insert(BillingPartRow),
            [
                {
                    "run_id": order.run_id,
                    "part": recalculation_store.next_part(session, order.run_id),
                    "first_account_id": order.account_ids[0],
                    "last_account_id": order.account_ids[-1],
                    "summary": json.dumps(
                        {"corrected": report.corrected, "minor": report.difference_minor}
                    ),
                    "ended_at": order.at,
                }
            ],
        )
        issued = invoice_service.issue_documents(
            session, IssueOrder(drafts, issued_on, order.run_id), clock
        )
        told = [
            (accounts[each.account_id], _told(each.number, corrected[each.account_id]))
            for each in issued
            if each.new
        ]
        tell_recalculations(session, told, clock)
    numbers = RecalculationReport(documents=tuple(each.number for each in issued))
    return len(order.account_ids), report.plus(numbers)


def _told(number: str, corrected: Corrected) -> RecalculationIssued:
    months = [one.month for one in corrected.corrections]
    return RecalculationIssued(
        number=number,
        first_month=min(months),
        last_month=max(months),
        difference_minor=corrected.difference_minor,
        shown_in=corrected.shown_in,
    )


def _report(
    accounts: Mapping[AccountId, BilledAccount], corrected: Mapping[AccountId, Corrected]
) -> RecalculationReport:
    warnings = [
        (accounts[account_id].number, warning)
        for account_id, mine in corrected.items()
        for warning in dict.fromkeys(w for one in mine.corrections for w in one.charge.warnings)
    ]
    return RecalculationReport(
        corrected=len(corrected),
        months=sum(len(mine.corrections) for mine in corrected.values()),
        difference_minor=sum(mine.difference_minor for mine in corrected.values()),
        warnings=tuple(warnings),
    )


def _shown_in(session: Session) -> Month:
    month = recalculation_store.next_to_close(session)
    if month is None:
        raise NothingClosed
    return month


def _account_ids(session: Session, scope: Scope, wish: Wish) -> list[AccountId]:
    """Return the accounts that the wish is about, as far as they are in reach."""
    account_id = None
    if wish.account_number is not None:
        row = billing_store.account_by_number(session, scope, wish.account_number)
        account_id = AccountId(row.id)
    return recalculation_store.charged_account_ids(session, scope, account_id=account_id)


def _suspected(
    session: Session, scope: Scope, wish: Wish, shown_in: Month, at: datetime
) -> SuspectedMonths:
    """Return what may be wrong of what the wish is about; only what an account has closed."""
    ids = _account_ids(session, scope, wish)
    learned_on = local_date(at, billing_store.retailer_zone(session))
    found = recalculation.suspected_months(session, ids, shown_in, learned_on=learned_on)
    if wish.month is None:
        return found
    chosen = wish.month
    return SuspectedMonths(
        {month: mine for month, mine in found.months.items() if month == chosen},
        {month: mine for month, mine in found.beyond.items() if month == chosen},
    )


def _latest(found: SuspectedMonths, most: int) -> tuple[dict[Month, dict[AccountId, Reasons]], int]:
    """Return the latest suspected, so many months of accounts at most, and how many remain."""
    chosen: dict[Month, dict[AccountId, Reasons]] = {}
    room, left = most, 0
    for month in sorted(found.months, reverse=True):
        mine = sorted(found.months[month].items())
        if mine[:room]:
            chosen[month] = dict(mine[:room])
        left += len(mine[room:])
        room -= len(mine[:room])
    return chosen, left


def _accounts(
    session: Session, *months: Mapping[Month, Iterable[AccountId]]
) -> dict[AccountId, BilledAccount]:
    """Return accounts by id, each as it was in the latest of its months."""
    found: dict[AccountId, BilledAccount] = {}
    for mine in months:
        for month, account_ids in sorted(mine.items()):
            accounts = billing_store.billed_accounts(session, sorted(account_ids), month)
            found.update({account.id: account for account in accounts})
    return found


def _pending(account: BilledAccount, one: Correction) -> Pending:
    return Pending(
        account_id=account.id,
        account_number=account.number,
        payer_name=account.payer_name,
        building_address=account.address,
        month=one.month,
        reason=one.reason,
        difference_minor=one.difference_minor,
        lines=one.charge.lines,
    )


def _beyond(
    found: SuspectedMonths, accounts: Mapping[AccountId, BilledAccount]
) -> tuple[Beyond, ...]:
    return tuple(
        Beyond(accounts[account_id].number, month, most_specific(reasons))
        for month, mine in sorted(found.beyond.items())
        for account_id, reasons in mine.items()
        if account_id in accounts
    )


def _begin(session: Session, shown_in: Month, actor: str, now: datetime) -> int:
    """Start a run, or take up the one that was interrupted or is not over yet."""
    interrupted = recalculation_store.open_recalculation(session, shown_in)
    if interrupted is not None:
        return interrupted
    run = BillingRunRow(
        kind=RunKind.RECALCULATION,
        charge_month=shown_in.ordinal,
        state=RunState.OPEN,
        actor=actor,
        whole=False,
        started_at=now,
    )
    session.add(run)
    session.flush()
    return run.id


def _parts(
    application: Application,
    run_id: int,
    account_ids: Sequence[AccountId],
    shown_in: Month,
    at: datetime,
    found: SuspectedMonths,
) -> list[RecalculationPart]:
    url = application.database.url.render_as_string(hide_password=False)
    known_at = application.clock.now()
    parts = []
    for start in range(0, len(account_ids), ACCOUNTS_A_PART):
        ids = tuple(account_ids[start : start + ACCOUNTS_A_PART])
        suspected = suspected_among(found, ids)
        parts.append(RecalculationPart(url, run_id, ids, shown_in, at, suspected, known_at))
    return parts


def _results(
    application: Application, orders: Sequence[RecalculationPart], total: int
) -> Iterator[tuple[int, RecalculationReport]]:
    if total <= INLINE_ACCOUNTS:
        for order in orders:
            yield _recalculate_part(order, application.database)
        return
    with open_executor(application.settings) as executor:
        yield from run_parts(executor, recalculate_part, orders, application.settings.workers)
