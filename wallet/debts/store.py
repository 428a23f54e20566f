"""Queries of debts: flags, agreements, late fees, supply, decisions; in bulk and with a scope."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from kilokassa.db.statements import stands
from wallet.debts.agreements import Agreement, AgreementTerms
from wallet.debts.flags import YES, YES_NO, FlagKind, Flags, StatedFlag
from wallet.debts.late_fee import Scheme
from wallet.debts.models import (
    AccountFlagRow,
    InstalmentAgreementRow,
    LateFeeRow,
    ServiceDecisionRow,
    SupplyRow,
)
from wallet.debts.service_state import Action, Guard, Held, ServiceState, SupplyState


@dataclass(frozen=True, slots=True)
class DecisionView:
    """A decision as it is kept."""

    id: int
    account_id: AccountId
    service: str
    number: int
    latest: bool
    state: ServiceState
    action: Action
    held_by: tuple[Held, ...]
    debt_minor: int | None
    guard_set: str
    facts: dict[str, Any]
    decided_at: datetime
    next_at: datetime | None
    restore_by: datetime | None


@dataclass(frozen=True, slots=True)
class ChargedFee:
    """What was charged of a late fee for one bill, in one step."""

    id: int
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
    recorded_at: datetime


def flags_on(
    session: Session,
    account_ids: Sequence[AccountId],
    day: date,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, Flags]:
    """Return what is stated of accounts on a day; accounts of which nothing is are left out.

    The latest first day holds; but a yes that was said last protects, though a no that was said
    before it begins later: who states it for days gone by learnt it since.
    """
    values: dict[AccountId, dict[FlagKind, str]] = {}
    newest: dict[tuple[AccountId, FlagKind], tuple[int, str]] = {}
    for ids in in_slices(account_ids):
        query = (
            select(AccountFlagRow)
            .where(
                AccountFlagRow.account_id.in_(ids),
                AccountFlagRow.valid_from <= day,
                stands(AccountFlagRow, known_at),
            )
            .order_by(AccountFlagRow.valid_from, AccountFlagRow.id)
        )
        for row in session.scalars(query):
            told = values.setdefault(AccountId(row.account_id), {})
            told[row.kind] = row.value
            key = AccountId(row.account_id), row.kind
            if row.id > newest.get(key, (0, ""))[0]:
                newest[key] = row.id, row.value
    for (account_id, kind), (_, value) in newest.items():
        if kind in YES_NO and value == YES:
            values[account_id][kind] = YES
    return {account_id: Flags.of(found) for account_id, found in values.items()}


def flag_statements(
    session: Session, scope: Scope, account_id: AccountId
) -> tuple[StatedFlag, ...]:
    """Return all flags that were ever stated of an account in reach, the latest day first."""
    query = (
        select(AccountFlagRow)
        .where(
            AccountFlagRow.account_id == account_id,
            account_in_scope(AccountFlagRow.__table__.c.account_id, scope),
        )
        .order_by(AccountFlagRow.kind, AccountFlagRow.valid_from.desc(), AccountFlagRow.id.desc())
    )
    return tuple(
        StatedFlag(
            row.id,
            row.kind,
            row.valid_from,
            row.value,
            row.document,
            row.actor,
            row.recorded_at,
            row.superseded_at,
        )
        for row in session.scalars(query)
    )


def accounts_flagged(session: Session, kind: FlagKind) -> list[AccountId]:
    """Return the accounts of which something of a kind stands."""
    query = (
        select(AccountFlagRow.account_id)
        .where(AccountFlagRow.kind == kind, stands(AccountFlagRow, None))
        .distinct()
        .order_by(AccountFlagRow.account_id)
    )
    return [AccountId(account_id) for account_id in session.scalars(query)]


def agreements_of(
    session: Session, account_ids: Sequence[AccountId] | None = None
) -> dict[AccountId, tuple[Agreement, ...]]:
    """Return the agreements of accounts, or all of them, the latest first; for calculations."""
    found: dict[AccountId, list[Agreement]] = {}
    query = select(InstalmentAgreementRow).order_by(
        InstalmentAgreementRow.agreed_on.desc(), InstalmentAgreementRow.id.desc()
    )
    parts: Iterable[Any] = (
        [query]
        if account_ids is None
        else [
            query.where(InstalmentAgreementRow.account_id.in_(ids))
            for ids in in_slices(account_ids)
        ]
    )
    for part in parts:
        for row in session.scalars(part):
            found.setdefault(AccountId(row.account_id), []).append(agreement_of(row))
    return {account_id: tuple(agreements) for account_id, agreements in found.items()}


def agreements_in_reach(
    session: Session, scope: Scope, account_id: AccountId | None = None
) -> tuple[Agreement, ...]:
    """Return the agreements that a scope reaches, or those of one account, the latest first."""
    query = (
        select(InstalmentAgreementRow)
        .where(account_in_scope(InstalmentAgreementRow.__table__.c.account_id, scope))
        .order_by(InstalmentAgreementRow.agreed_on.desc(), InstalmentAgreementRow.id.desc())
    )
    if account_id is not None:
        query = query.where(InstalmentAgreementRow.account_id == account_id)
    return tuple(agreement_of(row) for row in session.scalars(query))


def agreement_of(row: InstalmentAgreementRow) -> Agreement:
    """Return a stored agreement as a value."""
    return Agreement(
        id=row.id,
        account_id=AccountId(row.account_id),
        terms=AgreementTerms(
            debt_minor=row.debt_minor,
            months=row.months,
            agreed_on=row.agreed_on,
            first_due_on=row.first_due_on,
            rate_bp=row.rate_bp,
            key_rate_bp=row.key_rate_bp,
            grace_days=row.grace_days,
        ),
        document=row.document,
        actor=row.actor,
        recorded_at=row.recorded_at,
        ended_on=row.ended_on,
        ended_by=row.ended_by,
        ended_why=row.ended_why,
    )


def supplies(
    session: Session, account_ids: Sequence[AccountId]
) -> dict[tuple[AccountId, str], SupplyState]:
    """Return what meters last let through; where nothing was ever said, it is everything."""
    found: dict[tuple[AccountId, str], SupplyState] = {}
    for ids in in_slices(account_ids):
        latest = (
            select(func.max(SupplyRow.id))
            .where(SupplyRow.account_id.in_(ids))
            .group_by(SupplyRow.account_id, SupplyRow.service)
        )
        for row in session.scalars(select(SupplyRow).where(SupplyRow.id.in_(latest))):
            key = AccountId(row.account_id), row.service
            found[key] = SupplyState(row.supply, row.pending, row.since)
    return found


def latest_decisions(
    session: Session, account_ids: Sequence[AccountId]
) -> dict[tuple[AccountId, str], DecisionView]:
    """Return the decisions that hold, by account and service; for calculations."""
    found: dict[tuple[AccountId, str], DecisionView] = {}
    for ids in in_slices(account_ids):
        query = select(ServiceDecisionRow).where(
            ServiceDecisionRow.account_id.in_(ids), ServiceDecisionRow.latest.is_(True)
        )
        for row in session.scalars(query):
            found[AccountId(row.account_id), row.service] = decision_of(row)
    return found


def not_normal(session: Session, account_ids: Sequence[AccountId] | None = None) -> list[AccountId]:
    """Return the accounts of which a service does not stand as normal, or asks for something."""
    query = (
        select(ServiceDecisionRow.account_id)
        .where(
            ServiceDecisionRow.latest.is_(True),
            or_(
                ServiceDecisionRow.state != ServiceState.NORMAL,
                ServiceDecisionRow.action != Action.NONE,
            ),
        )
        .distinct()
    )
    if account_ids is None:
        return sorted(AccountId(account_id) for account_id in session.scalars(query))
    found: set[AccountId] = set()
    for ids in in_slices(account_ids):
        part = query.where(ServiceDecisionRow.account_id.in_(ids))
        found.update(AccountId(account_id) for account_id in session.scalars(part))
    return sorted(found)


def within_until(
    session: Session, account_ids: Sequence[AccountId], at: datetime
) -> dict[tuple[AccountId, str], datetime]:
    """Return until when it was decided last that a debt is within what is allowed, or none.

    Where that decision still holds, it is `at`; where there was none, the service is left out.
    """
    found: dict[tuple[AccountId, str], datetime] = {}
    row_of = ServiceDecisionRow
    for ids in in_slices(account_ids):
        query = (
            select(
                row_of.account_id,
                row_of.service,
                row_of.debt_minor,
                row_of.held_by,
                row_of.decided_at,
            )
            .where(row_of.account_id.in_(ids))
            .order_by(row_of.account_id, row_of.service, row_of.number)
        )
        open_: set[tuple[AccountId, str]] = set()
        for row in session.execute(query):
            key = AccountId(row.account_id), row.service
            if key in open_:
                found[key] = row.decided_at
                open_.discard(key)
            held = {(one.guard, one.known) for one in held_of(row.held_by)}
            within = {(Guard.NORM, True), (Guard.EMERGENCY_CREDIT, True)} & held
            if within or (row.debt_minor is not None and row.debt_minor <= 0):
                open_.add(key)
        found.update(dict.fromkeys(open_, at))
    return found


def decisions_asking(session: Session, action: Action) -> tuple[DecisionView, ...]:
    """Return the decisions that hold and ask for an action, the oldest first."""
    query = (
        select(ServiceDecisionRow)
        .where(ServiceDecisionRow.latest.is_(True), ServiceDecisionRow.action == action)
        .order_by(ServiceDecisionRow.id)
    )
    return tuple(decision_of(row) for row in session.scalars(query))


def decisions_in_reach(
    session: Session,
    scope: Scope,
    *,
    account_id: AccountId | None = None,
    latest: bool = True,
    state: ServiceState | None = None,
) -> tuple[DecisionView, ...]:
    """Return decisions that a scope reaches, the latest first; of one account, its history."""
    query = (
        select(ServiceDecisionRow)
        .where(account_in_scope(ServiceDecisionRow.__table__.c.account_id, scope))
        .order_by(ServiceDecisionRow.id.desc())
    )
    if account_id is not None:
        query = query.where(ServiceDecisionRow.account_id == account_id)
    if latest:
        query = query.where(ServiceDecisionRow.latest.is_(True))
    if state is not None:
        query = query.where(ServiceDecisionRow.state == state)
    return tuple(decision_of(row) for row in session.scalars(query))


def decision_of(row: ServiceDecisionRow) -> DecisionView:
    """Return a stored decision as a value."""
    return DecisionView(
        id=row.id,
        account_id=AccountId(row.account_id),
        service=row.service,
        number=row.number,
        latest=row.latest,
        state=row.state,
        action=row.action,
        held_by=held_of(row.held_by),
        debt_minor=row.debt_minor,
        guard_set=row.guard_set,
        facts=json.loads(row.facts),
        decided_at=row.decided_at,
        next_at=row.next_at,
        restore_by=row.restore_by,
    )


def held_of(kept: str) -> tuple[Held, ...]:
    """Return guards from the JSON that they are kept as."""
    return tuple(
        Held(
            Guard(one["guard"]),
            one["known"],
            None if one["until"] is None else datetime.fromisoformat(one["until"]),
        )
        for one in json.loads(kept)["guards"]
    )


def charged_fees(
    session: Session, account_ids: Sequence[AccountId]
) -> dict[tuple[AccountId, str, int], ChargedFee]:
    """Return the last step of each late fee, by account, service and month of the bill."""
    found: dict[tuple[AccountId, str, int], ChargedFee] = {}
    for ids in in_slices(account_ids):
        query = select(LateFeeRow).where(LateFeeRow.account_id.in_(ids)).order_by(LateFeeRow.id)
        for row in session.scalars(query):
            found[AccountId(row.account_id), row.service, row.bill_month] = fee_of(row)
    return found


def fees_in_reach(
    session: Session, scope: Scope, account_id: AccountId | None = None
) -> tuple[ChargedFee, ...]:
    """Return every step of late fees that a scope reaches, the latest first."""
    query = (
        select(LateFeeRow)
        .where(account_in_scope(LateFeeRow.__table__.c.account_id, scope))
        .order_by(LateFeeRow.id.desc())
    )
    if account_id is not None:
        query = query.where(LateFeeRow.account_id == account_id)
    return tuple(fee_of(row) for row in session.scalars(query))


def fee_of(row: LateFeeRow) -> ChargedFee:
    """Return a stored step of a late fee as a value."""
    return ChargedFee(
        id=row.id,
        account_id=AccountId(row.account_id),
        service=row.service,
        bill_month=row.bill_month,
        scheme=row.scheme,
        through_on=row.through_on,
        cumulative_minor=row.cumulative_minor,
        charged_minor=row.charged_minor,
        table=json.loads(row.table),
        rules_digest=row.rules_digest,
        charge_month=row.charge_month,
        entry_id=row.entry_id,
        recorded_at=row.recorded_at,
    )
