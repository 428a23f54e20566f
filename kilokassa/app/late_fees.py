"""Late fees at the edge: computed for everyone, charged once a month where that is switched on.

A fee is always counted from the due day; what was charged before is taken off. So a payment that
is learned of later puts a fee right by a row below zero, and a repeat changes nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.debts.bills import AccountDebts
from billing.debts.service import DebtRules, debts_by_law, recompute, rules_of
from billing.models import AccountRow
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.confidence import Confidence
from kilokassa.core.digest import digest_text
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import filled, mark
from kilokassa.db.slices import in_slices
from wallet import store as wallet_store
from wallet.debts import store as debt_store
from wallet.debts.agreements import Agreement
from wallet.debts.bills import SHARED_FROM_MEMORY, SettledBill
from wallet.debts.late_fee import (
    LateFee,
    LateFeeRules,
    NoLateFeeRule,
    Prohibition,
    Scheme,
    late_fee,
)
from wallet.debts.service import FeeStep, fee_table, write_fees
from wallet.debts.store import ChargedFee
from wallet.ledger import INTEREST, LATE_FEES, Reason
from wallet.lots import LotKind
from wallet.service import PutOrder, TakeOrder, put_all, take_all

ACCOUNTS_A_PART: Final = 500
JOB_ACTOR: Final = "job:late_fees"

STOPPED: Final = mark("The key rate is known up to %(day)s: no late fee is counted after that day.")
NOT_CHARGED: Final = mark("Late fees are computed and shown, and not charged.")


@dataclass(frozen=True, slots=True)
class ComputedFee:
    """What the late fee of one bill comes to, and what was charged of it."""

    account_id: AccountId
    settled: SettledBill
    fee: LateFee
    until: date
    charged_minor: int
    """What was charged so far, all steps together."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be said wherever the fee is shown."""
        shared = (SHARED_FROM_MEMORY,) if self.fee.amount_minor else ()
        return (*self.fee.warnings, *shared)


@dataclass(frozen=True, slots=True)
class FeesReport:
    """What a run came to; the sums are in kopecks."""

    through_on: date
    accounts: int
    bills: int
    charged_minor: int
    interest_minor: int
    charging: bool
    stopped: bool
    """Whether the key rates end before the day that was asked for."""


def charge_late_fees(
    application: Application,
    through_on: date | None = None,
    *,
    scope: Scope,
    rules: DebtRules | None = None,
    charging: bool | None = None,
) -> FeesReport:
    """Charge late fees, and the interest of agreements, up to a day; twice is once.

    Without a day it is the last one of the month before. Where charging is switched off nothing is
    posted, and the report says what it would have come to; agreed interest is posted all the same.
    """
    scope.demand(Right.RUN_BILLING)
    database, clock = application.database, application.clock
    posting = application.settings.charge_late_fees if charging is None else charging
    with database.reading() as session:
        zone = billing_store.retailer_zone(session)
        found = rules or rules_of(session)
        ids = [AccountId(i) for i in session.scalars(select(AccountRow.id).order_by(AccountRow.id))]
    today = local_date(clock.now(), zone)
    asked = through_on or today.replace(day=1) - timedelta(days=1)
    asked = min(asked, today - timedelta(days=1))
    accounts = bills = charged_minor = interest_minor = 0
    for part in in_slices(ids, ACCOUNTS_A_PART):
        with database.writing() as session:
            wallet_store.hold_wallets(session, part)
            steps = _steps(session, part, found, asked)
            owed = list(_interest(session, part, found, asked, zone))
            if posting and steps:
                steps = _post(session, steps, zone, clock)
                write_fees(session, steps, clock)
            moved = take_all(session, owed, clock)
            fresh = [o for o, m in zip(owed, moved, strict=True) if not m.repeated]
            interest_minor += sum(order.amount_minor for order in fresh)
            touched = {step.account_id for step in steps} | {order.account_id for order in fresh}
            if touched and (posting or fresh):
                recompute(session, sorted(touched), clock, found)
        accounts += len({step.account_id for step in steps})
        bills += len(steps)
        charged_minor += sum(step.charged_minor for step in steps)
    return FeesReport(
        through_on=asked,
        accounts=accounts,
        bills=bills,
        charged_minor=charged_minor,
        interest_minor=interest_minor,
        charging=posting,
        stopped=asked > found.late_fees.key_rates_known_until,
    )


def computed_fees(
    session: Session, account_ids: Sequence[AccountId], rules: DebtRules, until: date
) -> dict[AccountId, tuple[ComputedFee, ...]]:
    """Return what late fees come to up to a day, or the last one whose key rate is known."""
    until = min(until, rules.late_fees.key_rates_known_until)
    debts = debts_by_law(session, account_ids, rules)
    agreements = debt_store.agreements_of(session, account_ids)
    charged = debt_store.charged_fees(session, account_ids)
    return {
        account_id: tuple(
            _computed(account_id, of_account, agreements.get(account_id, ()), charged, rules, until)
        )
        for account_id, of_account in debts.items()
    }


def _computed(
    account_id: AccountId,
    debts: AccountDebts,
    agreements: Sequence[Agreement],
    charged: dict[tuple[AccountId, str, int], ChargedFee],
    rules: DebtRules,
    until: date,
) -> Iterator[ComputedFee]:
    for settled in debts.settled.bills:
        bill = settled.bill
        own = _spared(rules.late_fees, settled, debts, agreements, until)
        try:
            fee = late_fee(settled.as_debt(), settled.payments, own, until=until)
        except NoLateFeeRule:
            continue
        before = charged.get((account_id, bill.service, bill.charge_month))
        already_minor = 0 if before is None else before.cumulative_minor
        if fee.amount_minor or already_minor or settled.overdue_minor(until):
            yield ComputedFee(account_id, settled, fee, until, already_minor)


def _spared(
    rules: LateFeeRules,
    settled: SettledBill,
    debts: AccountDebts,
    agreements: Sequence[Agreement],
    until: date,
) -> LateFeeRules:
    """Return the rules of a bill: days on which an agreement on it is kept cost nothing."""
    spared = []
    for one in agreements:
        first = one.terms.agreed_on
        if settled.bill.due_on > first or first > until:
            continue
        last = until if one.ended_on is None else min(until, one.ended_on)
        state = one.state(one.paid_since(debts.paid), last)
        if state.broken_on is not None:
            last = min(last, state.broken_on)
        spared.append(Prohibition("agreement", first, last, "our own choice", Confidence.MEMORY))
    return replace(rules, prohibitions=(*rules.prohibitions, *spared)) if spared else rules


def _steps(
    session: Session, account_ids: Sequence[AccountId], rules: DebtRules, asked: date
) -> list[FeeStep]:
    """Return what has to be charged, or given back; nothing for what was counted as far before."""
    digest = digest_text(repr(rules.late_fees))
    charged = debt_store.charged_fees(session, account_ids)
    steps = []
    for account_id, fees in computed_fees(session, account_ids, rules, asked).items():
        seen = set()
        for one in fees:
            bill = one.settled.bill
            key = account_id, bill.service, bill.charge_month
            seen.add(key)
            before = charged.get(key)
            if before is not None and before.through_on >= one.until:
                continue
            due_minor = one.fee.amount_minor - one.charged_minor
            if due_minor:
                table = fee_table(one.fee, bill_minor=bill.amount_minor, due_on=bill.due_on)
                steps.append(_step(key, one.until, one.fee.amount_minor, due_minor, table, digest))
        for key, before in charged.items():
            # A bill that a correction has undone bears no fee any more.
            until = min(asked, rules.late_fees.key_rates_known_until)
            if key[0] != account_id or key in seen or before.through_on >= until:
                continue
            if before.cumulative_minor:
                steps.append(_step(key, until, 0, -before.cumulative_minor, {"rows": []}, digest))
    return steps


def _step(
    key: tuple[AccountId, str, int],
    until: date,
    cumulative_minor: int,
    charged_minor: int,
    table: dict[str, Any],
    digest: str,
) -> FeeStep:
    account_id, service, bill_month = key
    return FeeStep(
        account_id=account_id,
        service=service,
        bill_month=bill_month,
        scheme=Scheme.HOUSEHOLD,
        through_on=until,
        cumulative_minor=cumulative_minor,
        charged_minor=charged_minor,
        table=table,
        rules_digest=digest,
        charge_month=Month.of(until).ordinal,
        entry_id=None,
    )


def _post(
    session: Session, steps: Sequence[FeeStep], zone: ZoneInfo, clock: Clock
) -> list[FeeStep]:
    """Post one entry an account for all its bills; return the steps with their entries."""
    sums: dict[AccountId, int] = {}
    for step in steps:
        sums[step.account_id] = sums.get(step.account_id, 0) + step.charged_minor
    until = {step.account_id: step.through_on for step in steps}
    takes, puts = [], []
    for account_id, amount_minor in sums.items():
        through_on = until[account_id]
        # The rows written with it make a repeat harmless; the key only has to differ each time.
        bills = sorted((s.service, s.bill_month) for s in steps if s.account_id == account_id)
        key = f"late_fee:{account_id}:{through_on}:{digest_text(repr(bills))[:12]}"
        valid_at = local_midnight(through_on + timedelta(days=1), zone) - timedelta(seconds=1)
        if amount_minor > 0:
            takes.append(
                TakeOrder(
                    account_id=account_id,
                    reason=Reason.LATE_FEE,
                    amount_minor=amount_minor,
                    against=LATE_FEES,
                    valid_at=valid_at,
                    zone=zone,
                    actor=JOB_ACTOR,
                    idempotency_key=key,
                    may_owe=True,
                    charge_month=Month.of(through_on),
                    detail={"through_on": through_on.isoformat()},
                )
            )
        elif amount_minor < 0:
            puts.append(
                PutOrder(
                    account_id=account_id,
                    reason=Reason.LATE_FEE,
                    kind=LotKind.RETURNED,
                    amount_minor=-amount_minor,
                    against=LATE_FEES,
                    valid_at=valid_at,
                    zone=zone,
                    actor=JOB_ACTOR,
                    idempotency_key=key,
                    detail={"through_on": through_on.isoformat()},
                )
            )
    entries = {
        order.account_id: one.entry_id
        for order, one in zip(takes, take_all(session, takes, clock), strict=True)
    }
    entries |= {
        order.account_id: one.entry_id
        for order, one in zip(puts, put_all(session, puts, clock), strict=True)
    }
    return [replace(step, entry_id=entries.get(step.account_id)) for step in steps]


def _interest(
    session: Session,
    account_ids: Sequence[AccountId],
    rules: DebtRules,
    asked: date,
    zone: ZoneInfo,
) -> Iterator[TakeOrder]:
    """Yield the interest of each instalment that fell due while its agreement was kept."""
    agreements = debt_store.agreements_of(session, account_ids)
    bearing = {i: found for i, found in agreements.items() if any(a.terms.rate_bp for a in found)}
    debts = debts_by_law(session, sorted(bearing), rules) if bearing else {}
    for account_id, found in bearing.items():
        for one in found:
            last = asked if one.ended_on is None else min(asked, one.ended_on)
            state = one.state(one.paid_since(debts[account_id].paid), last)
            if state.broken_on is not None:
                last = min(last, state.broken_on)
            for part in one.terms.schedule():
                if part.due_on <= last and part.interest_minor:
                    yield TakeOrder(
                        account_id=account_id,
                        reason=Reason.INTEREST,
                        amount_minor=part.interest_minor,
                        against=INTEREST,
                        valid_at=local_midnight(part.due_on, zone),
                        zone=zone,
                        actor=JOB_ACTOR,
                        idempotency_key=f"interest:{one.id}:{part.number}",
                        may_owe=True,
                        charge_month=Month.of(part.due_on),
                        detail={"agreement": one.id, "instalment": part.number},
                    )


def standing_warnings(application: Application, rules: DebtRules, today: date) -> tuple[str, ...]:
    """Return what a page about late fees says before any figure."""
    found = []
    if not application.settings.charge_late_fees:
        found.append(NOT_CHARGED)
    known = rules.late_fees.key_rates_known_until
    if today > known:
        found.append(filled(STOPPED, day=known.isoformat()))
    return tuple(found)
