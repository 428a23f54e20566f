"""Queries of moves; those that serve a person take their `Scope`."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Select, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from billing.models import AccountMoveRow, AccountRow
from billing.moves.moves import Move, Wish
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.db.rights import account_in_scope
from metering.models import BuildingRow, PremisesRow

_FORMER, _NEXT = aliased(AccountRow), aliased(AccountRow)


def moves(session: Session, scope: Scope, *, limit: int, offset: int = 0) -> tuple[Move, ...]:
    """Return the moves of which the scope reaches an account, the latest first."""
    query = _whole().where(_in_scope(scope)).order_by(AccountMoveRow.id.desc())
    rows = session.execute(query.limit(limit).offset(offset))
    return tuple(_move(row) for row in rows)


def move_count(session: Session, scope: Scope) -> int:
    """Return how many moves the scope reaches."""
    query = select(func.count()).select_from(AccountMoveRow).where(_in_scope(scope))
    return int(session.scalar(query) or 0)


def moves_of(session: Session, scope: Scope, account_id: AccountId) -> tuple[Move, ...]:
    """Return the moves that an account in reach ended or began by, the latest first."""
    mine = or_(
        AccountMoveRow.account_id == account_id, AccountMoveRow.next_account_id == account_id
    )
    query = _whole().where(mine, account_in_scope(_literal(account_id), scope))
    return tuple(_move(row) for row in session.execute(query.order_by(AccountMoveRow.id.desc())))


def move_of_key(session: Session, actor: str, key: str) -> AccountMoveRow | None:
    """Return the move that an actor asked for under a key."""
    query = select(AccountMoveRow).where(
        AccountMoveRow.actor == actor, AccountMoveRow.idempotency_key == key
    )
    return session.scalars(query).one_or_none()


def ending_moves(session: Session, account_ids: Sequence[AccountId] | None = None) -> list[Move]:
    """Return the moves by which accounts ended, in their order, for a job."""
    query = _whole().where(AccountMoveRow.account_id.is_not(None)).order_by(AccountMoveRow.id)
    if account_ids is not None:
        query = query.where(AccountMoveRow.account_id.in_(list(account_ids)))
    return [_move(row) for row in session.execute(query)]


def open_at(session: Session, premises_id: int, on: date) -> list[AccountRow]:
    """Return the accounts that are open at premises on a day or begin after it."""
    query = select(AccountRow).where(
        AccountRow.premises_id == premises_id,
        or_(AccountRow.closed_on.is_(None), AccountRow.closed_on > on),
    )
    return list(session.scalars(query.order_by(AccountRow.id)))


def number_after(session: Session) -> str:
    """Return a number for the next account: one above the greatest of those that are numbers."""
    longest = func.max(func.length(AccountRow.number))
    digits = session.scalar(select(longest)) or 0
    greatest = session.scalar(
        select(func.max(AccountRow.number)).where(func.length(AccountRow.number) == digits)
    )
    if greatest is None or not greatest.isdecimal():
        return ""
    return str(int(greatest) + 1)


def _literal(account_id: AccountId) -> Any:  # noqa: ANN401 - a bound value
    return literal(account_id)


def _in_scope(scope: Scope) -> Any:  # noqa: ANN401 - a condition
    table = AccountMoveRow.__table__
    return or_(
        account_in_scope(table.c.account_id, scope),
        account_in_scope(table.c.next_account_id, scope),
    )


def _whole() -> Select[Any]:
    query: Any = (
        select(
            AccountMoveRow,
            _FORMER.number.label("former_number"),
            _FORMER.payer_name.label("former_payer"),
            _NEXT.number.label("next_number"),
            _NEXT.payer_name.label("next_payer"),
            BuildingRow.address,
            PremisesRow.number.label("premises_number"),
        )
        .outerjoin(_FORMER, _FORMER.id == AccountMoveRow.account_id)
        .outerjoin(_NEXT, _NEXT.id == AccountMoveRow.next_account_id)
        .join(PremisesRow, PremisesRow.id == func.coalesce(_NEXT.premises_id, _FORMER.premises_id))
        .join(BuildingRow, BuildingRow.id == PremisesRow.building_id)
    )
    found: Select[Any] = query
    return found


def _move(row: Any) -> Move:  # noqa: ANN401 - a row of `_whole`
    stored: AccountMoveRow = row[0]
    former, following = stored.account_id, stored.next_account_id
    return Move(
        id=stored.id,
        kind=stored.kind,
        on=stored.on,
        account_id=None if former is None else AccountId(former),
        account_number=row.former_number or "",
        next_account_id=None if following is None else AccountId(following),
        next_number=row.next_number or "",
        payer_name=row.former_payer or "",
        next_payer=row.next_payer or "",
        address=f"{row.address}, {row.premises_number}",
        wish=Wish.of(json.loads(stored.request)),
        note=stored.note,
        actor=stored.actor,
        recorded_at=stored.recorded_at,
    )
