"""Use cases of debts: flags, agreements, supply, and writing fees and decisions down."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.digest import canonical_json
from kilokassa.core.errors import DomainError, Invalid, NotFound, RequestConflict
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import account_in_scope
from wallet.debts import store
from wallet.debts.agreements import Agreement, AgreementTerms
from wallet.debts.flags import TEXT_MAX, FlagKind, FlagOrder
from wallet.debts.late_fee import LateFee, Scheme
from wallet.debts.models import (
    AccountFlagRow,
    InstalmentAgreementRow,
    LateFeeRow,
    ServiceDecisionRow,
    SupplyRow,
)
from wallet.debts.service_state import Decision, Held, ServiceState, Supply
from wallet.models import WalletRow

YEAR_MAX: Final = 2099
MOST_GRACE_DAYS: Final = 60


class AgreementStands(DomainError):
    """A second agreement on the debts of one account."""

    code = "agreement_stands"
    template = "An agreement of %(day)s still stands: end it before another is signed."


@dataclass(frozen=True, slots=True)
class SignOrder:
    """An agreement to be signed; the debt is what is owed on the day, as the caller counted it."""

    account_id: AccountId
    terms: AgreementTerms
    document: str
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class SupplyOrder:
    """What a meter lets through, as it was read back, or what a command will make of it."""

    account_id: AccountId
    service: str
    supply: Supply
    since: datetime
    source: str
    pending: Supply | None = None


@dataclass(frozen=True, slots=True)
class NewDecision:
    """How a service of an account stands now, and by what that was decided."""

    account_id: AccountId
    service: str
    decision: Decision
    debt_minor: int | None
    guard_set: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FeeStep:
    """What a late fee of one bill came to, less what was charged before."""

    account_id: AccountId
    service: str
    bill_month: int
    scheme: Scheme
    through_on: date
    cumulative_minor: int
    charged_minor: int
    table: dict[str, Any]
    rules_digest: str
    charge_month: int
    entry_id: int | None


def state_flag(session: Session, scope: Scope, order: FlagOrder, clock: Clock) -> bool:
    """Write down a flag of an account in reach; say whether that changed anything.

    Another value for the same day takes the former one's place, which is kept. Who says that nobody
    vulnerable lives here, or that somebody does, names what it rests on.
    """
    scope.demand(Right.MANAGE_ACCOUNTS)
    _lock(session, scope, order.account_id)
    document = " ".join(order.document.split())
    if len(document) > TEXT_MAX:
        problem = mark("it is longer than %(most)s characters")
        raise Invalid(where=mark("document"), problem=problem, most=TEXT_MAX)
    if order.kind is FlagKind.VULNERABLE and not document:
        raise Invalid(where=mark("document"), problem=mark("name the document that proves it"))
    if order.valid_from.year > YEAR_MAX:
        problem = mark("%(day)s is too far from today")
        raise Invalid(where=mark("first day"), problem=problem, day=str(order.valid_from))
    former = session.scalars(
        select(AccountFlagRow).where(
            AccountFlagRow.account_id == order.account_id,
            AccountFlagRow.kind == order.kind,
            AccountFlagRow.valid_from == order.valid_from,
            AccountFlagRow.superseded_at.is_(None),
        )
    ).one_or_none()
    now = clock.now()
    if former is not None:
        if (former.value, former.document) == (order.value, document):
            return False
        former.superseded_at = now
        session.flush()
    session.add(
        AccountFlagRow(
            account_id=order.account_id,
            kind=order.kind,
            valid_from=order.valid_from,
            value=order.value,
            document=document,
            actor=scope.actor,
            recorded_at=now,
            superseded_at=None,
        )
    )
    session.flush()
    return True


def withdraw_flag(
    session: Session, scope: Scope, account_id: AccountId, flag_id: int, clock: Clock
) -> bool:
    """Take a flag of an account in reach back: what stood before it holds again."""
    scope.demand(Right.MANAGE_ACCOUNTS)
    _lock(session, scope, account_id)
    row = session.get(AccountFlagRow, flag_id, populate_existing=True)
    if row is None or row.account_id != account_id:
        raise NotFound(what=mark("flag"), name=str(flag_id))
    if row.superseded_at is not None:
        return False
    row.superseded_at = clock.now()
    session.flush()
    return True


def sign_agreement(session: Session, scope: Scope, order: SignOrder, clock: Clock) -> Agreement:
    """Sign an instalment agreement of an account in reach; the same request again is one deed."""
    scope.demand(Right.MANAGE_WALLETS)
    _lock(session, scope, order.account_id)
    known = session.scalars(
        select(InstalmentAgreementRow).where(
            InstalmentAgreementRow.actor == scope.actor,
            InstalmentAgreementRow.idempotency_key == order.idempotency_key,
        )
    ).one_or_none()
    if known is not None:
        agreement = store.agreement_of(known)
        if (agreement.account_id, agreement.terms) != (order.account_id, order.terms):
            raise RequestConflict(key=order.idempotency_key)
        return agreement
    terms = order.terms
    terms.schedule()
    if not 0 <= terms.grace_days <= MOST_GRACE_DAYS:
        problem = mark("%(value)s is not between 0 and %(most)s")
        where = mark("days of grace")
        raise Invalid(where=where, problem=problem, value=terms.grace_days, most=MOST_GRACE_DAYS)
    document = " ".join(order.document.split())[:TEXT_MAX]
    signed = store.agreements_in_reach(session, scope, order.account_id)
    standing = next((one for one in signed if one.ended_on is None), None)
    if standing is not None:
        raise AgreementStands(day=standing.terms.agreed_on.isoformat())
    row = InstalmentAgreementRow(
        account_id=order.account_id,
        debt_minor=terms.debt_minor,
        months=terms.months,
        agreed_on=terms.agreed_on,
        first_due_on=terms.first_due_on,
        rate_bp=terms.rate_bp,
        key_rate_bp=terms.key_rate_bp,
        grace_days=terms.grace_days,
        document=document,
        actor=scope.actor,
        idempotency_key=order.idempotency_key,
        recorded_at=clock.now(),
        ended_on=None,
    )
    session.add(row)
    session.flush()
    return store.agreement_of(row)


def end_agreement(
    session: Session,
    scope: Scope,
    account_id: AccountId,
    agreement_id: int,
    *,
    on: date,
    why: str,
    clock: Clock,
) -> bool:
    """End an agreement of an account in reach; one that was ended before stays as it was."""
    scope.demand(Right.MANAGE_WALLETS)
    _lock(session, scope, account_id)
    row = session.get(InstalmentAgreementRow, agreement_id, populate_existing=True)
    if row is None or row.account_id != account_id:
        raise NotFound(what=mark("agreement"), name=str(agreement_id))
    why = " ".join(why.split())
    if not why or len(why) > TEXT_MAX:
        raise Invalid(where=mark("reason"), problem=mark("say why, in a sentence"))
    if row.ended_on is not None:
        return False
    row.ended_on, row.ended_by, row.ended_why = on, scope.actor, why
    session.flush()
    return True


def record_supply(session: Session, scope: Scope, order: SupplyOrder, clock: Clock) -> None:
    """Write down what a meter lets through; what was said before stays readable."""
    scope.demand(Right.MANAGE_METERS)
    _lock(session, scope, order.account_id)
    session.add(
        SupplyRow(
            account_id=order.account_id,
            service=order.service,
            supply=order.supply,
            pending=order.pending,
            since=order.since,
            source=order.source,
            actor=scope.actor,
            recorded_at=clock.now(),
        )
    )
    session.flush()


def write_decisions(session: Session, found: Iterable[NewDecision], clock: Clock) -> int:
    """Write those decisions down that differ from the ones that hold; return how many.

    Who never stood otherwise than normal gets no row. The caller holds the wallets' locks, or
    repeats itself: two that decide at once meet in the unique number.
    """
    decided = list(found)
    known = store.latest_decisions(session, sorted({one.account_id for one in decided}))
    rows: list[dict[str, Any]] = []
    replaced: list[int] = []
    now = clock.now()
    for one in decided:
        before = known.get((one.account_id, one.service))
        decision = one.decision
        if before is None and decision.state is ServiceState.NORMAL:
            continue
        if before is not None and _same(before, one):
            continue
        if before is not None:
            replaced.append(before.id)
        rows.append(
            {
                "account_id": one.account_id,
                "service": one.service,
                "number": 1 if before is None else before.number + 1,
                "latest": True,
                "state": decision.state,
                "action": decision.action,
                "held_by": canonical_json({"guards": [_held(held) for held in decision.held_by]}),
                "debt_minor": one.debt_minor,
                "guard_set": one.guard_set,
                "facts": canonical_json(one.facts),
                "decided_at": now,
                "next_at": decision.next_at,
                "restore_by": decision.restore_by,
            }
        )
    if replaced:
        table = ServiceDecisionRow
        session.execute(update(table).where(table.id.in_(replaced)).values(latest=False))
    if rows:
        session.execute(insert(ServiceDecisionRow), rows)
    return len(rows)


def write_fees(session: Session, steps: Sequence[FeeStep], clock: Clock) -> None:
    """Write down what late fees came to and what was charged of them."""
    now = clock.now()
    if steps:
        session.execute(
            insert(LateFeeRow),
            [
                {
                    "account_id": step.account_id,
                    "service": step.service,
                    "bill_month": step.bill_month,
                    "scheme": step.scheme,
                    "through_on": step.through_on,
                    "cumulative_minor": step.cumulative_minor,
                    "charged_minor": step.charged_minor,
                    "table": canonical_json(step.table),
                    "rules_digest": step.rules_digest,
                    "charge_month": step.charge_month,
                    "entry_id": step.entry_id,
                    "recorded_at": now,
                }
                for step in steps
            ],
        )


def fee_table(fee: LateFee, *, bill_minor: int, due_on: date) -> dict[str, Any]:
    """Return the table behind a late fee as it is kept: rows with both ends counted, in kopecks."""
    return {
        "bill_minor": bill_minor,
        "due_on": due_on.isoformat(),
        "digits": fee.digits,
        "warnings": list(fee.warnings),
        "rows": [
            {
                "first": row.first_day.isoformat(),
                "last": row.last_day.isoformat(),
                "days": row.days,
                "debt_minor": row.debt_minor,
                "rate_bp": row.rate_bp,
                "divisor": row.divisor,
                "reason": row.reason,
                "amount_scaled": row.amount_scaled,
                "confidence": str(row.confidence),
            }
            for row in fee.rows
        ],
    }


def _lock(session: Session, scope: Scope, account_id: AccountId) -> None:
    """Lock the wallet of an account in reach: whoever states something of it waits for another."""
    query = (
        select(WalletRow.id)
        .where(
            WalletRow.account_id == account_id,
            account_in_scope(WalletRow.__table__.c.account_id, scope),
        )
        .with_for_update()
    )
    if session.scalars(query).one_or_none() is None:
        raise NotFound(what=mark("account"), name=str(account_id))


def _same(before: store.DecisionView, one: NewDecision) -> bool:
    decision = one.decision
    return (
        before.state,
        before.action,
        before.held_by,
        before.next_at,
        before.restore_by,
        before.guard_set,
    ) == (
        decision.state,
        decision.action,
        decision.held_by,
        decision.next_at,
        decision.restore_by,
        one.guard_set,
    )


def _held(held: Held) -> dict[str, Any]:
    until = None if held.until is None else held.until.isoformat()
    return {"guard": str(held.guard), "known": held.known, "until": until}
