"""Closing a month: an idempotent run of parts over the executor, to charges and documents.

A part is a range of accounts. It is computed from one consistent state in a reading session, then
written once, under `(run, part)`, in one transaction: charges, postings, statements and the part's
own row stand or fall together, so a repeat, or a part that was killed, changes nothing.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from billing import service as billing_service
from billing import store as billing_store
from billing.accounts import BilledAccount
from billing.charges import AccountCharge, NewLine
from billing.debts.service import recompute
from billing.debts.store import charged_in
from billing.models import (
    BillingPartRow,
    BillingRunRow,
    RunningChargeRow,
    RunState,
    Service,
    Settlement,
)
from billing.month import service as month_service
from billing.recalculation import service as recalculation
from billing.recalculation import store as recalculation_store
from billing.recalculation.changes import SuspectedMonths
from billing.recalculation.service import Correction
from billing.service import LinesOrder
from invoices import service as invoice_service
from invoices.payment_document import Alternative, MeterUse, WalletBox
from invoices.service import IssueOrder
from invoices.statement import Movement, MovementKind
from kilokassa.app.bonuses import grant_month_bonuses
from kilokassa.app.common_areas import settle_common_areas
from kilokassa.app.correcting import (
    JOB_ACTOR,
    CorrectingOrder,
    SuspectedOfPart,
    by_month,
    difference_drafts,
    suspected_among,
    write_corrections,
)
from kilokassa.app.estimating import MonthNotOver as MonthNotOver
from kilokassa.app.estimating import run_estimates
from kilokassa.app.executor import open_executor, run_parts
from kilokassa.app.month_documents import AccountMonth, Issuer, draft_of, history_of
from kilokassa.app.telling import tell_documents
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.clock import Clock, FixedClock
from kilokassa.core.errors import NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.session import Database
from tariffs import store as tariff_store
from tariffs.store import Plan
from wallet import store as wallet_store
from wallet.debts.instalments import is_offered
from wallet.debts.store import charged_fees, not_normal
from wallet.ledger import Reason
from wallet.service import ChargeBatch, ChargeOrder, ChargeResult, charge_batch

ACCOUNTS_A_PART = 500
"""Half a second to two seconds of work (`docs/decisions`): memory does not grow with the town."""

INLINE_ACCOUNTS = 1_500
"""Up to so many accounts, starting worker processes would take longer than the work."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PartReport:
    """What one part did; sums over parts make the report of the run."""

    charged: int = 0
    without_charge: int = 0
    already_closed: int = 0
    corrected: int = 0
    lines: int = 0
    documents: int = 0
    amount_minor: int = 0
    correction_minor: int = 0
    warnings: tuple[tuple[str, str], ...] = field(default=())
    """Pairs of an account number and a message of the catalogue."""

    def plus(self, other: "PartReport") -> "PartReport":
        """Return both reports together."""
        return PartReport(
            charged=self.charged + other.charged,
            without_charge=self.without_charge + other.without_charge,
            already_closed=self.already_closed + other.already_closed,
            corrected=self.corrected + other.corrected,
            lines=self.lines + other.lines,
            documents=self.documents + other.documents,
            amount_minor=self.amount_minor + other.amount_minor,
            correction_minor=self.correction_minor + other.correction_minor,
            warnings=self.warnings + other.warnings,
        )


@dataclass(frozen=True, slots=True)
class PartOrder:
    """One part of a run, as it travels to a worker: ids and instants, no objects of a session."""

    database_url: str
    run_id: int
    part: int
    account_ids: tuple[AccountId, ...]
    month: Month
    at: datetime
    actor: str
    suspected: SuspectedOfPart
    """Closed months, and the accounts of the part of which something was learned later."""
    known_at: datetime
    """What was recorded up to then is charged: all parts of a run see the same, and so does whoever
    replays a line of it."""


def close_month(
    application: Application,
    month: Month,
    *,
    scope: Scope,
    account_number: str | None = None,
    progress: Progress | None = None,
    tell: bool = True,
) -> PartReport:
    """Charge `month` for every account, or for one, and issue its documents; repeat at will.

    Accounts whose month is closed already are left alone, apart from corrections of closed months
    that later readings ask for: those become reversing and right lines on the next document. Who
    gave an e-mail address is sent the document, unless `tell` is false. What was not measured is
    estimated first (`kilokassa.app.estimating`). Of an account that has ended, its last month may
    be closed before it is over: nothing more is used (`kilokassa.app.moving`).
    """
    scope.demand(Right.RUN_BILLING)
    database, clock = application.database, application.clock
    now = clock.now()
    with database.reading() as session:
        zone = billing_store.retailer_zone(session)
        ended = False
        if account_number is None:
            account_ids = billing_store.account_id_range(session, month)
        else:
            row = billing_store.account_by_number(session, scope, account_number)
            account_ids = [AccountId(row.id)]
            ended = row.closed_on is not None and row.closed_on <= local_date(now, zone)
    if not account_ids:
        raise NotFound(what=mark("account open in"), name=str(month))
    end = month.period(zone).end
    if now >= end:
        run_estimates(application, month, scope=scope, account_ids=account_ids)
        settle_common_areas(application, month, scope=scope)
    elif not ended:
        raise MonthNotOver(month=str(month), day=str(month.plus(1).first_day))
    with database.writing() as session:
        run_id, done = _begin(session, month, scope.actor, now, resume=account_number is None)
    with database.reading() as session:
        found = recalculation.suspected_months(
            session, account_ids, month, learned_on=local_date(now, zone)
        )
    orders = [
        order
        for order in _parts(application, run_id, account_ids, month, now, scope.actor, found)
        if order.part not in done
    ]
    report = _run(application, orders, progress)
    for order in orders:
        # A bill is overdue by time alone; here a correction may end what stands already.
        with database.writing() as session:
            recompute(session, not_normal(session, order.account_ids), clock)
    with database.writing() as session:
        session.execute(
            update(BillingRunRow)
            .where(BillingRunRow.id == run_id)
            .values(state=RunState.DONE, ended_at=clock.now())
        )
    grant_month_bonuses(application, month, scope=scope)
    if tell and report.documents:
        tell_documents(database, month, clock, account_ids)
    return report


def close_part(order: PartOrder) -> PartReport:
    """Compute and write one part; runs in a worker and opens its own sessions."""
    return _close_part(order, open_database(order.database_url))


def _close_part(order: PartOrder, database: Database) -> PartReport:
    with database.reading() as session:
        work = _gather(session, order)
    with database.writing() as session:
        if session.get(BillingPartRow, (order.run_id, order.part)) is not None:
            return PartReport(already_closed=len(order.account_ids))
        report = _write(session, order, work, FixedClock(order.at))
        session.connection().execute(
            insert(BillingPartRow),
            [
                {
                    "run_id": order.run_id,
                    "part": order.part,
                    "first_account_id": order.account_ids[0],
                    "last_account_id": order.account_ids[-1],
                    "summary": json.dumps({"charged": report.charged, "lines": report.lines}),
                    "ended_at": order.at,
                }
            ],
        )
    return report


@lru_cache(maxsize=4)
def open_database(url: str) -> Database:
    """Return this process's own access to a database: workers keep it from part to part."""
    return Database(url)


@dataclass(frozen=True, slots=True)
class _Work:
    """What a part computed, before anything is written."""

    accounts: tuple[BilledAccount, ...]
    facts: month_service.MonthFacts
    corrections: dict[Month, dict[AccountId, Correction]]
    history: dict[AccountId, dict[Month, dict[str, int]]]
    plans: dict[int, Plan]
    issuer: Issuer
    year_before: dict[AccountId, int]
    """What the documents of the same month a year ago charged."""


def _gather(session: Session, order: PartOrder) -> _Work:
    month = order.month
    known_at = order.known_at
    accounts = billing_store.billed_accounts(session, order.account_ids, month, known_at=known_at)
    retailer = billing_store.retailer(session)
    issued_on = local_date(order.at, ZoneInfo(retailer.zone))
    return _Work(
        accounts=accounts,
        facts=month_service.rate_month(session, accounts, month, known_at=known_at),
        corrections=recalculation.corrections(
            session, by_month(order.suspected), known_at=known_at
        ),
        history=billing_store.consumption_by_month(
            session, order.account_ids, month.plus(-11), month.plus(-1)
        ),
        plans={plan.id: plan for plan in tariff_store.plans(session)},
        issuer=Issuer.of(retailer, month, issued_on),
        year_before=charged_in(session, order.account_ids, month.plus(-12).ordinal),
    )


def _write(session: Session, order: PartOrder, work: _Work, clock: Clock) -> PartReport:
    """Post corrections, then the month, then issue the documents; numbers are taken last."""
    zone = work.issuer.zone
    month = order.month
    wallet_store.hold_wallets(session, order.account_ids)
    running = billing_store.running_charges(session, order.account_ids, month)
    shown = recalculation_store.corrections_shown_in(session, order.account_ids, month)
    corrected = write_corrections(
        session, CorrectingOrder(work.corrections, work.issuer, order.run_id, order.known_at), clock
    )
    end = month.period(zone).end
    orders = [
        ChargeOrder(
            account_id=account.id,
            parts=_unposted(work.facts.charges[account.id], running),
            charge_month=month,
            month=month,
            valid_at=_last_instant(account, end),
            idempotency_key=f"close:{month}:{account.id}",
        )
        for account in work.accounts
    ]
    results = charge_batch(
        session,
        ChargeBatch(orders, actor=JOB_ACTOR, zone=zone, close_month=month),
        clock,
    )
    fresh = [
        (account, result)
        for account, result in zip(work.accounts, results, strict=True)
        if not result.repeated
    ]
    lines = billing_service.record_lines(
        session,
        [
            LinesOrder(
                charge=work.facts.charges[account.id],
                charge_month=month,
                document_month=month,
                entry_id=result.entry_id,
                run_id=order.run_id,
                known_at=order.known_at,
            )
            for account, result in fresh
        ],
        clock,
    )
    fees = _fee_warnings(session, fresh)
    drafts = [
        draft_of(
            work.issuer,
            _account_month(
                work,
                account,
                result,
                fees.get(account.id, ()),
                shown.get(account.id, ())
                + (corrected[account.id].lines if account.id in corrected else ()),
            ),
        )
        for account, result in fresh
    ]
    differences = difference_drafts(work.issuer, work.accounts, corrected)
    invoice_service.issue_documents(
        session, IssueOrder((*drafts, *differences), work.issuer.issued_on, order.run_id), clock
    )
    charges = [work.facts.charges[account.id] for account, _ in fresh]
    return PartReport(
        charged=sum(1 for charge in charges if charge.lines),
        without_charge=sum(1 for charge in charges if not charge.lines),
        already_closed=len(results) - len(fresh),
        corrected=len(corrected),
        lines=lines,
        documents=len(drafts),
        amount_minor=sum(line.amount_minor for charge in charges for line in charge.lines),
        correction_minor=sum(one.difference_minor for one in corrected.values()),
        warnings=tuple(
            (account.number, warning)
            for account, _ in fresh
            for warning in work.facts.charges[account.id].warnings
        ),
    )


def _last_instant(account: BilledAccount, end: datetime) -> datetime:
    """Return the end of a month, or of the account where that comes before."""
    if account.closed_on is None:
        return end
    return min(end, local_midnight(account.closed_on, account.zone))


def _unposted(
    charge: AccountCharge, running: dict[tuple[AccountId, str], RunningChargeRow]
) -> tuple[tuple[str, int], ...]:
    """Return what of the month's charge is not yet taken, by service."""
    parts = []
    for service in Service:
        row = running.get((charge.account_id, str(service)))
        posted_minor = 0 if row is None else row.posted_minor
        parts.append((str(service), charge.total_minor(service) - posted_minor))
    return tuple(parts)


def _account_month(
    work: _Work,
    account: BilledAccount,
    result: ChargeResult,
    fees: tuple[str, ...],
    corrections: tuple[tuple[Month, NewLine], ...],
) -> AccountMonth:
    charge = work.facts.charges[account.id]
    charged_minor = sum(line.amount_minor for _, line in corrections) + sum(
        line.amount_minor for line in charge.lines
    )
    grown = is_offered(charged_minor, work.year_before.get(account.id, 0))
    month, zone = work.issuer.month, work.issuer.zone
    plan = work.plans[account.plan_id]
    return AccountMonth(
        account=account,
        lines=(*corrections, *((month, line) for line in charge.lines)),
        meters=tuple(
            MeterUse(
                serial=meter.serial,
                point=meter.point_code,
                service=meter.service,
                measured=meter.measured,
                estimated=meter.estimated,
                previous=meter.previous,
                current=meter.current,
                zone="" if meter.zone is None else str(meter.zone),
                verified_until=meter.verified_until,
            )
            for meter in work.facts.meters[account.id]
        ),
        opening_minor=result.opening_minor,
        movements=_movements(result, zone),
        closing_minor=result.closing_minor,
        wallet=WalletBox(
            posted_minor=result.balance_minor,
            available_minor=result.balance_minor,
            bonus_minor=result.bonus_minor,
        )
        if account.settlement is Settlement.PREPAID
        else None,
        history=history_of(work.history.get(account.id, {}), month, charge.lines),
        plan_name=plan.name,
        plan_name_en=plan.name_en,
        warnings=(*charge.warnings, *((INSTALMENTS_OFFERED,) if grown else ()), *fees),
        alternatives=tuple(
            Alternative(one.name, one.name_en, one.cost_minor, one.guaranteed, one.own)
            for one in work.facts.alternatives.get(account.id, ())
        ),
    )


def _fee_warnings(
    session: Session, closed: Sequence[tuple[BilledAccount, ChargeResult]]
) -> dict[AccountId, tuple[str, ...]]:
    """Return what a document has to say of the late fees it shows: their table, what is unsure."""
    shown = [
        account.id
        for account, result in closed
        if any(movement.reason is Reason.LATE_FEE for movement in result.movements)
    ]
    found = {account_id: [LATE_FEE_TABLE] for account_id in shown}
    for (account_id, _, _), fee in charged_fees(session, shown).items():
        said = found[account_id]
        said += [text for text in fee.table.get("warnings", ()) if text not in said]
    return {account_id: tuple(said) for account_id, said in found.items()}


INSTALMENTS_OFFERED: Final = mark(
    "The charge is above that of the same month a year ago by more than a quarter: you may pay it "
    "by instalments. Ask us."
)
LATE_FEE_TABLE: Final = mark(
    "How the late fee was counted, day by day, stands on the account page under Debt."
)

MOVEMENTS: Final = {
    Reason.TOP_UP: MovementKind.TOP_UP,
    Reason.BONUS: MovementKind.BONUS,
    Reason.CHARGE: MovementKind.CHARGE,
    Reason.CORRECTION: MovementKind.CORRECTION,
    Reason.EXPIRY: MovementKind.EXPIRY,
    Reason.REVERSAL: MovementKind.REVERSAL,
    Reason.OPENING_DEBT: MovementKind.BROUGHT_FORWARD,
    Reason.OPENING_ADVANCE: MovementKind.BROUGHT_FORWARD,
    Reason.SET_ASIDE: MovementKind.SET_ASIDE,
    Reason.RESERVE_RETURN: MovementKind.RESERVE_RETURN,
    Reason.RESERVE_BONUS: MovementKind.BONUS,
    Reason.CLAW_BACK: MovementKind.CLAW_BACK,
    Reason.COMPENSATION: MovementKind.COMPENSATION,
    Reason.EMERGENCY_CREDIT: MovementKind.CREDIT,
    Reason.CREDIT_WITHDRAWN: MovementKind.CREDIT,
    Reason.LATE_FEE: MovementKind.LATE_FEE,
    Reason.INTEREST: MovementKind.INTEREST,
    Reason.REFUND: MovementKind.REFUND,
    Reason.TRANSFER_OUT: MovementKind.TRANSFER,
    Reason.TRANSFER_IN: MovementKind.TRANSFER,
}

_OF_THE_PERIOD: Final = (Reason.CORRECTION, Reason.CHARGE)


def _movements(result: ChargeResult, zone: ZoneInfo) -> tuple[Movement, ...]:
    """Return the statement's movements: what is charged for the period as a sum, others by day."""
    others = tuple(
        Movement(MOVEMENTS[m.reason], m.amount_minor, local_date(m.valid_at, zone))
        for m in result.movements
        if m.reason not in _OF_THE_PERIOD
    )
    sums = tuple(
        Movement(
            MOVEMENTS[reason],
            sum(m.amount_minor for m in result.movements if m.reason is reason),
        )
        for reason in _OF_THE_PERIOD
    )
    return (*others, *(movement for movement in sums if movement.amount_minor))


def _begin(
    session: Session, month: Month, actor: str, now: datetime, *, resume: bool
) -> tuple[int, frozenset[int]]:
    """Start a run, or take up the one that was interrupted; return it and its parts done."""
    run = billing_store.open_run(session, month) if resume else None
    if run is None:
        run = BillingRunRow(
            charge_month=month.ordinal,
            state=RunState.OPEN,
            actor=actor,
            whole=resume,
            started_at=now,
        )
        session.add(run)
        session.flush()
    done = frozenset(part.part for part in billing_store.parts_of(session, run.id))
    return run.id, done


def _parts(
    application: Application,
    run_id: int,
    account_ids: Sequence[AccountId],
    month: Month,
    at: datetime,
    actor: str,
    found: SuspectedMonths,
) -> list[PartOrder]:
    url = application.database.url.render_as_string(hide_password=False)
    known_at = application.clock.now()
    parts = []
    for start in range(0, len(account_ids), ACCOUNTS_A_PART):
        ids = tuple(account_ids[start : start + ACCOUNTS_A_PART])
        parts.append(
            PartOrder(
                database_url=url,
                run_id=run_id,
                part=start // ACCOUNTS_A_PART + 1,
                account_ids=ids,
                month=month,
                at=at,
                actor=actor,
                suspected=suspected_among(found, ids),
                known_at=known_at,
            )
        )
    return parts


def _run(
    application: Application, orders: Sequence[PartOrder], progress: Progress | None
) -> PartReport:
    total = sum(len(order.account_ids) for order in orders)
    report, done = PartReport(), 0
    for part in _results(application, orders, total):
        report = report.plus(part)
        done += part.charged + part.without_charge + part.already_closed
        if progress is not None:
            progress(done, total)
    return report


def _results(
    application: Application, orders: Sequence[PartOrder], total: int
) -> Iterator[PartReport]:
    if total <= INLINE_ACCOUNTS:
        for order in orders:
            yield _close_part(order, application.database)
        return
    with open_executor(application.settings) as executor:
        yield from run_parts(executor, close_part, orders, application.settings.workers)
