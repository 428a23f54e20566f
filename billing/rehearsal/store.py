"""Rows of rehearsals, and whose accounts they are over."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.models import AccountRow, RehearsalPartRow, RehearsalRow
from billing.rehearsal.order import RehearsalOrder
from billing.store import account_id_range
from kilokassa.core.errors import Forbidden, NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import DEEDS, Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from metering.models import BuildingRow, CompanyRow, PremisesRow


def rehearsals(session: Session, scope: Scope, limit: int = 100) -> tuple[RehearsalRow, ...]:
    """Return the rehearsals, the latest first: they are over the whole retailer."""
    _demand_retailer(scope)
    query = select(RehearsalRow).order_by(RehearsalRow.id.desc()).limit(limit)
    return tuple(session.scalars(query))


def rehearsal(session: Session, scope: Scope, rehearsal_id: int) -> RehearsalRow:
    """Return one rehearsal."""
    _demand_retailer(scope)
    row = session.get(RehearsalRow, rehearsal_id) if rehearsal_id < 2**31 else None
    if row is None:
        raise NotFound(what=mark("rehearsal"), name=str(rehearsal_id))
    return row


def _demand_retailer(scope: Scope) -> None:
    scope.demand(Right.VIEW_STAFF)
    if not scope.whole_retailer:
        raise Forbidden(action=DEEDS[Right.PUBLISH_TARIFFS])


def parts_done(session: Session, rehearsal_id: int) -> frozenset[int]:
    """Return which parts are written."""
    query = select(RehearsalPartRow.part).where(RehearsalPartRow.rehearsal_id == rehearsal_id)
    return frozenset(session.scalars(query))


def part_summaries(session: Session, rehearsal_id: int) -> tuple[bytes, ...]:
    """Return what each part came to, in the order of the parts."""
    query = (
        select(RehearsalPartRow.summary)
        .where(RehearsalPartRow.rehearsal_id == rehearsal_id)
        .order_by(RehearsalPartRow.part)
    )
    return tuple(session.scalars(query))


def portfolio(session: Session, order: RehearsalOrder) -> list[AccountId]:
    """Return the accounts that were open in the last month and lie where the order says.

    Those on another plan are among them: which plan an account has is looked at in its part.
    """
    for model, code, what in (
        (BuildingRow, order.building_code, mark("building")),
        (CompanyRow, order.company_code, mark("management company")),
    ):
        if code and session.scalar(select(model.id).where(model.code == code)) is None:
            raise NotFound(what=what, name=code)
    ids = account_id_range(session, order.last)
    if not (order.building_code or order.company_code):
        return ids
    query = (
        select(AccountRow.id)
        .join(PremisesRow, PremisesRow.id == AccountRow.premises_id)
        .join(BuildingRow, BuildingRow.id == PremisesRow.building_id)
    )
    if order.building_code:
        query = query.where(BuildingRow.code == order.building_code)
    if order.company_code:
        query = query.join(CompanyRow, CompanyRow.id == BuildingRow.company_id).where(
            CompanyRow.code == order.company_code
        )
    chosen = set(session.scalars(query))
    return [account_id for account_id in ids if account_id in chosen]


def numbers_in_scope(session: Session, scope: Scope, account_ids: Sequence[int]) -> dict[int, str]:
    """Return the numbers of those of the accounts that the actor may see."""
    found: dict[int, str] = {}
    for ids in in_slices(sorted(set(account_ids))):
        query = select(AccountRow.id, AccountRow.number).where(
            AccountRow.id.in_(ids), account_in_scope(AccountRow.__table__.c.id, scope)
        )
        rows: Sequence[Any] = session.execute(query).all()
        found |= {row.id: row.number for row in rows}
    return found


def building_names(session: Session, building_ids: Sequence[int]) -> dict[int, str]:
    """Return the addresses of buildings."""
    found: dict[int, str] = {}
    for ids in in_slices(sorted(set(building_ids))):
        query = select(BuildingRow.id, BuildingRow.address).where(BuildingRow.id.in_(ids))
        rows: Sequence[Any] = session.execute(query).all()
        found |= {row.id: row.address for row in rows}
    return found
