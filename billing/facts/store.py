"""Queries of dated facts of accounts, as they stand or as they were known at an instant."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from billing.facts.facts import Absence, Dated, Entitlement, Term, value_on
from billing.models import (
    AbsenceRow,
    AccountFactRow,
    AccountRow,
    AccountTermRow,
    EntitlementRow,
    FactKind,
)
from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId, TariffPlanId
from kilokassa.db.slices import in_slices
from metering.models import MeteringPointRow
from metering.registry.places import Commodity


def stands(table: Any, known_at: datetime | None) -> ColumnElement[bool]:  # noqa: ANN401 - a mapped class
    """Return the condition that a statement stands now, or stood at an instant."""
    if known_at is None:
        return cast(ColumnElement[bool], table.superseded_at.is_(None))
    return and_(
        table.recorded_at <= known_at,
        or_(table.superseded_at.is_(None), table.superseded_at > known_at),
    )


def terms_of(
    session: Session,
    account_ids: Sequence[AccountId],
    month: Month,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, tuple[Term, ...]]:
    """Return the terms that hold within `month`, each with the day it began, the earliest first.

    The first may have begun long before; each holds until the next one's day.
    """
    found: dict[AccountId, list[Term]] = {}
    end = month.plus(1).first_day
    for ids in in_slices(account_ids):
        query = (
            select(AccountTermRow)
            .where(
                AccountTermRow.account_id.in_(ids),
                AccountTermRow.valid_from < end,
                stands(AccountTermRow, known_at),
            )
            .order_by(AccountTermRow.account_id, AccountTermRow.valid_from, AccountTermRow.id)
        )
        for row in session.scalars(query):
            term = Term(row.valid_from, TariffPlanId(row.plan_id), row.settlement, row.measurement)
            of_account = found.setdefault(AccountId(row.account_id), [])
            if of_account and term.valid_from <= month.first_day:
                of_account.clear()
            of_account.append(term)
    return {account_id: tuple(terms) for account_id, terms in found.items()}


def persons_on(
    session: Session,
    account_ids: Sequence[AccountId],
    day: date,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, int]:
    """Return the persons registered on a day; where nothing was stated, what the account says."""
    dated = _dated(session, account_ids, FactKind.PERSONS, known_at)
    found: dict[AccountId, int] = {}
    for ids in in_slices(account_ids):
        query = select(AccountRow.id, AccountRow.persons).where(AccountRow.id.in_(ids))
        for row_id, persons in session.execute(query):
            account_id = AccountId(row_id)
            found[account_id] = value_on(dated.get(account_id, ()), day, persons)
    return found


def contracted_w_on(
    session: Session,
    account_ids: Sequence[AccountId],
    day: date,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, int]:
    """Return the contracted power in watts; else the capacity of the electricity points.

    An account of which neither is known is left out.
    """
    dated = _dated(session, account_ids, FactKind.CONTRACTED_W, known_at)
    found: dict[AccountId, int] = {}
    for ids in in_slices(account_ids):
        query = (
            select(AccountRow.id, func.sum(MeteringPointRow.capacity_w))
            .join(MeteringPointRow, MeteringPointRow.premises_id == AccountRow.premises_id)
            .where(AccountRow.id.in_(ids), MeteringPointRow.commodity == Commodity.ELECTRICITY)
            .group_by(AccountRow.id)
        )
        for row_id, capacity_w in session.execute(query):
            if capacity_w is not None:
                found[AccountId(row_id)] = int(capacity_w)
    for account_id, of_account in dated.items():
        value = value_on(of_account, day, -1)
        if value >= 0:
            found[account_id] = value
    return found


def entitled_on(
    session: Session,
    account_ids: Sequence[AccountId],
    day: date,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, frozenset[str]]:
    """Return the codes of the concessions that accounts have a right to on a day."""
    found: dict[AccountId, frozenset[str]] = {}
    for account_id, rights in entitlements_of(session, account_ids, known_at=known_at).items():
        codes = frozenset(right.code for right in rights if right.holds_on(day))
        if codes:
            found[account_id] = codes
    return found


def entitlements_of(
    session: Session, account_ids: Sequence[AccountId], *, known_at: datetime | None = None
) -> dict[AccountId, tuple[Entitlement, ...]]:
    """Return all rights to concessions that stand, by the day they began."""
    found: dict[AccountId, list[Entitlement]] = {}
    for ids in in_slices(account_ids):
        query = (
            select(EntitlementRow)
            .where(EntitlementRow.account_id.in_(ids), stands(EntitlementRow, known_at))
            .order_by(EntitlementRow.valid_from, EntitlementRow.id)
        )
        for row in session.scalars(query):
            found.setdefault(AccountId(row.account_id), []).append(
                Entitlement(row.code, row.valid_from, row.valid_until, row.document)
            )
    return {account_id: tuple(rights) for account_id, rights in found.items()}


def absences_of(
    session: Session,
    account_ids: Sequence[AccountId],
    first: date,
    last: date,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, tuple[Absence, ...]]:
    """Return the absences that touch the local days from `first` to `last`, both counted."""
    found: dict[AccountId, list[Absence]] = {}
    for ids in in_slices(account_ids):
        query = (
            select(AbsenceRow)
            .where(
                AbsenceRow.account_id.in_(ids),
                AbsenceRow.first_on <= last,
                AbsenceRow.last_on >= first,
                stands(AbsenceRow, known_at),
            )
            .order_by(AbsenceRow.first_on, AbsenceRow.id)
        )
        for row in session.scalars(query):
            found.setdefault(AccountId(row.account_id), []).append(
                Absence(row.first_on, row.last_on, row.persons, row.document)
            )
    return {account_id: tuple(absences) for account_id, absences in found.items()}


def _dated(
    session: Session,
    account_ids: Sequence[AccountId],
    kind: FactKind,
    known_at: datetime | None,
) -> dict[AccountId, list[Dated]]:
    found: dict[AccountId, list[Dated]] = {}
    for ids in in_slices(account_ids):
        query = select(AccountFactRow).where(
            AccountFactRow.account_id.in_(ids),
            AccountFactRow.kind == kind,
            stands(AccountFactRow, known_at),
        )
        for row in session.scalars(query):
            found.setdefault(AccountId(row.account_id), []).append(Dated(row.valid_from, row.value))
    return found
