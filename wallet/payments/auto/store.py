"""Queries of auto top-ups; those that serve a person take their `Scope`."""

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from wallet.payments.auto.agreed import Agreed, Attempt
from wallet.payments.auto.terms import read_terms
from wallet.payments.auto_top_up import Outcome
from wallet.payments.models import AutoTopUpAttemptRow, AutoTopUpRow, IncomingPaymentRow
from wallet.payments.payment import PaymentSource


def standing_account_ids(session: Session) -> tuple[AccountId, ...]:
    """Return the accounts that have a rule, for a job."""
    query = select(AutoTopUpRow.account_id).where(AutoTopUpRow.superseded_at.is_(None))
    return tuple(AccountId(i) for i in session.scalars(query.order_by(AutoTopUpRow.account_id)))


def standing(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, Agreed]:
    """Return the rules that stand, for a job."""
    found: dict[AccountId, Agreed] = {}
    for part in in_slices(account_ids):
        query = select(AutoTopUpRow).where(
            AutoTopUpRow.account_id.in_(part), AutoTopUpRow.superseded_at.is_(None)
        )
        found.update({AccountId(row.account_id): agreed_of(row) for row in session.scalars(query)})
    return found


def attempts_of_accounts(
    session: Session, account_ids: Sequence[AccountId]
) -> dict[AccountId, tuple[Attempt, ...]]:
    """Return all attempts of accounts, under whatever rule, in their order; for a job."""
    found: dict[AccountId, list[Attempt]] = {}
    for part in in_slices(account_ids):
        query = (
            select(AutoTopUpAttemptRow, AutoTopUpRow.account_id)
            .join(AutoTopUpRow, AutoTopUpRow.id == AutoTopUpAttemptRow.auto_top_up_id)
            .where(AutoTopUpRow.account_id.in_(part))
            .order_by(AutoTopUpAttemptRow.id)
        )
        for row, account_id in session.execute(query):
            found.setdefault(AccountId(account_id), []).append(attempt_of(row, account_id))
    return {account_id: tuple(mine) for account_id, mine in found.items()}


def pending(session: Session, before: datetime) -> tuple[tuple[Agreed, Attempt], ...]:
    """Return what was asked for before an instant and has no outcome yet, for a job."""
    query = (
        select(AutoTopUpRow, AutoTopUpAttemptRow)
        .join(AutoTopUpAttemptRow, AutoTopUpAttemptRow.auto_top_up_id == AutoTopUpRow.id)
        .where(
            AutoTopUpAttemptRow.outcome == Outcome.PENDING,
            AutoTopUpAttemptRow.recorded_at <= before,
        )
        .order_by(AutoTopUpAttemptRow.id)
    )
    return tuple(
        (agreed_of(row), attempt_of(attempt, row.account_id))
        for row, attempt in session.execute(query)
    )


def rules_of(session: Session, scope: Scope, account_id: AccountId) -> tuple[Agreed, ...]:
    """Return the rules of an account in reach, the latest first."""
    query = (
        select(AutoTopUpRow)
        .where(
            AutoTopUpRow.account_id == account_id,
            account_in_scope(AutoTopUpRow.__table__.c.account_id, scope),
        )
        .order_by(AutoTopUpRow.id.desc())
    )
    return tuple(agreed_of(row) for row in session.scalars(query))


def attempt_by_key(session: Session, provider: str, key: str) -> Attempt | None:
    """Return the attempt that a provider was asked for under a key; None where it was not."""
    found = re.fullmatch(r"auto:([0-9]{1,9}):([0-9]{1,9})", key)
    if found is None:
        return None
    query = (
        select(AutoTopUpAttemptRow, AutoTopUpRow.account_id)
        .join(AutoTopUpRow, AutoTopUpRow.id == AutoTopUpAttemptRow.auto_top_up_id)
        .where(
            AutoTopUpRow.id == int(found[1]),
            AutoTopUpRow.provider == provider,
            AutoTopUpAttemptRow.number == int(found[2]),
        )
        .execution_options(populate_existing=True)
    )
    row = session.execute(query).one_or_none()
    return None if row is None else attempt_of(row[0], row[1])


def incoming_by_key(session: Session, provider: str, key: str) -> IncomingPaymentRow | None:
    """Return the payment that an attempt became; None where it became none."""
    query = select(IncomingPaymentRow).where(
        IncomingPaymentRow.source == PaymentSource.AUTO_TOP_UP,
        IncomingPaymentRow.sender == provider,
        IncomingPaymentRow.transaction_id == key,
    )
    return session.scalars(query).one_or_none()


def provider_of(session: Session, rule_id: int) -> str:
    """Return the provider that a rule draws by."""
    return session.scalars(select(AutoTopUpRow.provider).where(AutoTopUpRow.id == rule_id)).one()


def attempts_of(session: Session, scope: Scope, account_id: AccountId) -> tuple[Attempt, ...]:
    """Return the attempts of an account in reach, the latest first."""
    query = (
        select(AutoTopUpAttemptRow)
        .join(AutoTopUpRow, AutoTopUpRow.id == AutoTopUpAttemptRow.auto_top_up_id)
        .where(
            AutoTopUpRow.account_id == account_id,
            account_in_scope(AutoTopUpRow.__table__.c.account_id, scope),
        )
        .order_by(AutoTopUpAttemptRow.id.desc())
    )
    return tuple(attempt_of(row, account_id) for row in session.scalars(query))


def agreed_of(row: AutoTopUpRow) -> Agreed:
    """Return a stored rule as a value."""
    return Agreed(
        id=row.id,
        account_id=AccountId(row.account_id),
        rule=read_terms(row.terms),
        provider=row.provider,
        card_token=row.card_token,
        card_hint=row.card_hint,
        enough_on=row.enough_on,
        confirmed_at=row.confirmed_at,
        actor=row.actor,
        recorded_at=row.recorded_at,
        superseded_at=row.superseded_at,
    )


def attempt_of(row: AutoTopUpAttemptRow, account_id: int) -> Attempt:
    """Return a stored attempt as a value."""
    return Attempt(
        id=row.id,
        rule_id=row.auto_top_up_id,
        account_id=AccountId(account_id),
        number=row.number,
        on=row.on,
        amount_minor=row.amount_minor,
        why=row.why,
        outcome=row.outcome,
        answer=row.answer,
        recorded_at=row.recorded_at,
        told_at=row.told_at,
    )
