"""Queries of refunds; those that serve a person take their `Scope`."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, column, func, select, table
from sqlalchemy.orm import Session

from kilokassa.core.errors import NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import account_in_scope
from wallet.lots import LotKind
from wallet.models import HoldRow, LotRow, WalletRow
from wallet.payments.models import RefundRow
from wallet.payments.payment import RefundState
from wallet.payments.refunds.refund import OWN_MONEY, Refund
from wallet.store import ADVANCE_WHY

OWN_WHY = "refund"

_ACCOUNT = table("account", column("id"), column("number"), column("payer_name"))
"""Named and not imported: accounts are of billing, which is above."""


def refundable_minor(
    session: Session, account_id: AccountId, at: datetime, *, advance_of: str = ""
) -> int:
    """Return what a payer's lots hold that live at an instant, less what is held of it already."""
    kinds = [LotKind.ADVANCE] if advance_of else sorted(OWN_MONEY)
    lots = (
        select(func.coalesce(func.sum(LotRow.remaining_minor), 0))
        .join(WalletRow, WalletRow.id == LotRow.wallet_id)
        .where(
            WalletRow.account_id == account_id,
            LotRow.kind.in_(kinds),
            LotRow.expires_at.is_(None) | (LotRow.expires_at > at),
        )
    )
    held = (
        select(func.coalesce(func.sum(HoldRow.amount_minor), 0))
        .join(WalletRow, WalletRow.id == HoldRow.wallet_id)
        .where(WalletRow.account_id == account_id, HoldRow.released_at.is_(None))
    )
    if advance_of:
        lots = lots.where(LotRow.payer == advance_of)
        held = held.where(HoldRow.why == f"{ADVANCE_WHY}:{advance_of}")
    else:
        # What pays one service alone is not paid out, but to whoever gave it.
        lots = lots.where(LotRow.service == "")
        held = held.where(HoldRow.why == OWN_WHY)
    return int(session.scalar(lots) or 0) - int(session.scalar(held) or 0)


def advances(session: Session, account_id: AccountId) -> dict[str, int]:
    """Return what advances of third persons still hold, by who paid them."""
    query = (
        select(LotRow.payer, func.sum(LotRow.remaining_minor))
        .join(WalletRow, WalletRow.id == LotRow.wallet_id)
        .where(
            WalletRow.account_id == account_id,
            LotRow.kind == LotKind.ADVANCE,
            LotRow.remaining_minor > 0,
        )
        .group_by(LotRow.payer)
        .order_by(LotRow.payer)
    )
    return {payer: int(minor) for payer, minor in session.execute(query)}


def refunds(
    session: Session,
    scope: Scope,
    *,
    state: RefundState | None = None,
    account_id: AccountId | None = None,
    limit: int | None = 100,
    offset: int = 0,
) -> tuple[Refund, ...]:
    """Return refunds of the accounts in reach, the latest first."""
    query = _whole(scope).order_by(RefundRow.id.desc()).limit(limit).offset(offset)
    if state is not None:
        query = query.where(RefundRow.state == state)
    if account_id is not None:
        query = query.where(RefundRow.account_id == account_id)
    return tuple(_refund(row) for row in session.execute(query))


def refund_count(session: Session, scope: Scope, state: RefundState | None = None) -> int:
    """Return how many refunds the scope reaches."""
    query = select(func.count()).select_from(RefundRow).where(_in_scope(scope))
    if state is not None:
        query = query.where(RefundRow.state == state)
    return int(session.scalar(query) or 0)


def refund_in_reach(session: Session, scope: Scope, refund_id: int) -> Refund:
    """Return one refund; one out of reach is not found."""
    row = session.execute(_whole(scope).where(RefundRow.id == refund_id)).one_or_none()
    if row is None:
        raise NotFound(what=mark("refund"), name=str(refund_id))
    return _refund(row)


def _in_scope(scope: Scope) -> Any:  # noqa: ANN401 - a condition
    return account_in_scope(RefundRow.__table__.c.account_id, scope)


def _whole(scope: Scope) -> Select[Any]:
    query: Any = (
        select(RefundRow, _ACCOUNT.c.number, _ACCOUNT.c.payer_name, HoldRow.why)
        .join(_ACCOUNT, _ACCOUNT.c.id == RefundRow.account_id)
        .join(HoldRow, HoldRow.id == RefundRow.hold_id)
        .where(_in_scope(scope))
    )
    found: Select[Any] = query
    return found


def _refund(found: Any) -> Refund:  # noqa: ANN401 - a row of `_whole`
    row: RefundRow = found[0]
    return Refund(
        id=row.id,
        account_id=AccountId(row.account_id),
        account_number=found.number,
        payer_name=found.payer_name,
        amount_minor=row.amount_minor,
        to_whom=row.to_whom,
        requisites=row.requisites,
        why=row.why,
        advance=found[3].startswith(ADVANCE_WHY),
        state=row.state,
        actor=row.actor,
        asked_at=row.asked_at,
        settled_by=row.settled_by,
        settled_at=row.settled_at,
        reference=row.reference,
    )
