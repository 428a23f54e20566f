"""Queries of closes and of what was put right; those that serve a person take their `Scope`."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.charges import NewLine
from billing.models import (
    AccountRow,
    AccountTermRow,
    BillingPartRow,
    BillingRunRow,
    ChargeLineRow,
    LineKind,
    RunKind,
    RunState,
)
from billing.recalculation.changes import Place
from billing.store import line_of
from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from metering.models import (
    PremisesRow,
)
from wallet.models import WalletRow

# --- what is closed ---


def first_closes(session: Session, before: Month, zone: ZoneInfo) -> dict[Month, datetime]:
    """Return when the first close of each month before one began, the latest month first.

    An account that ended is closed before its last month is over: that is a close of its own
    (`early_closes`), else everybody's readings since would be suspected.
    """
    query = (
        select(BillingRunRow.charge_month, BillingRunRow.started_at)
        .where(BillingRunRow.kind == RunKind.CLOSE, BillingRunRow.charge_month < before.ordinal)
        .order_by(BillingRunRow.charge_month.desc(), BillingRunRow.started_at)
    )
    found: dict[Month, datetime] = {}
    for ordinal, at in session.execute(query):
        month = Month.from_ordinal(ordinal)
        if at >= month.period(zone).end:
            found.setdefault(month, at)
    return found


def early_closes(
    session: Session, account_ids: Sequence[AccountId], before: Month, zone: ZoneInfo
) -> dict[AccountId, dict[Month, datetime]]:
    """Return when accounts that ended closed their last month before it was over."""
    query = (
        select(
            BillingPartRow.first_account_id, BillingRunRow.charge_month, BillingRunRow.started_at
        )
        .join(BillingRunRow, BillingRunRow.id == BillingPartRow.run_id)
        .where(
            BillingRunRow.kind == RunKind.CLOSE,
            BillingRunRow.whole.is_(False),
            BillingRunRow.charge_month < before.ordinal,
            BillingPartRow.first_account_id == BillingPartRow.last_account_id,
        )
    )
    wanted = set(account_ids)
    found: dict[AccountId, dict[Month, datetime]] = {}
    for account_id, ordinal, at in session.execute(query):
        month = Month.from_ordinal(ordinal)
        if account_id in wanted and at < month.period(zone).end:
            found.setdefault(AccountId(account_id), {})[month] = at
    return found


def next_to_close(session: Session) -> Month | None:
    """Return the month after the last that was closed for everyone; None before the first close."""
    query = select(func.max(BillingRunRow.charge_month)).where(
        BillingRunRow.kind == RunKind.CLOSE, BillingRunRow.state == RunState.DONE
    )
    last = session.scalar(query.where(BillingRunRow.whole))
    if last is None:
        last = session.scalar(query)
    return None if last is None else Month.from_ordinal(last).plus(1)


def open_recalculation(session: Session, month: Month) -> int | None:
    """Return the recalculation shown in `month` that is not over: interrupted, or at work."""
    query = (
        select(BillingRunRow.id)
        .where(
            BillingRunRow.kind == RunKind.RECALCULATION,
            BillingRunRow.state == RunState.OPEN,
            BillingRunRow.charge_month == month.ordinal,
        )
        .order_by(BillingRunRow.id)
    )
    return session.scalars(query).first()


def next_part(session: Session, run_id: int) -> int:
    """Return the number of a run's next part; who writes another waits until this one is there."""
    session.execute(select(BillingRunRow.id).where(BillingRunRow.id == run_id).with_for_update())
    last = session.scalar(
        select(func.max(BillingPartRow.part)).where(BillingPartRow.run_id == run_id)
    )
    return (last or 0) + 1


def places_of(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, Place]:
    """Return where accounts are and through which month they are closed."""
    found: dict[AccountId, Place] = {}
    for part in in_slices(account_ids):
        query = (
            select(
                AccountRow.id,
                AccountRow.premises_id,
                PremisesRow.building_id,
                WalletRow.closed_through_month,
            )
            .join(PremisesRow, PremisesRow.id == AccountRow.premises_id)
            .outerjoin(WalletRow, WalletRow.account_id == AccountRow.id)
            .where(AccountRow.id.in_(part))
        )
        for account_id, premises_id, building_id, closed in session.execute(query):
            through = None if closed is None else Month.from_ordinal(closed)
            place = Place(AccountId(account_id), premises_id, building_id, through)
            found[place.account_id] = place
    return found


def charged_account_ids(
    session: Session, scope: Scope, *, account_id: AccountId | None = None
) -> list[AccountId]:
    """Return the accounts in reach, or the one, that have been charged for a month, in order."""
    query = (
        select(AccountRow.id)
        .join(WalletRow, WalletRow.account_id == AccountRow.id)
        .where(
            account_in_scope(AccountRow.__table__.c.id, scope),
            WalletRow.closed_through_month.is_not(None),
        )
        .order_by(AccountRow.id)
    )
    if account_id is not None:
        query = query.where(AccountRow.id == account_id)
    return [AccountId(found) for found in session.scalars(query)]


def plans_in(session: Session, month: Month) -> dict[AccountId, frozenset[int]]:
    """Return the plans that hold for each account at some time of `month`, as it stands."""
    end = month.plus(1).first_day
    query = (
        select(AccountTermRow.account_id, AccountTermRow.valid_from, AccountTermRow.plan_id)
        .where(AccountTermRow.valid_from < end, AccountTermRow.superseded_at.is_(None))
        .order_by(AccountTermRow.account_id, AccountTermRow.valid_from)
    )
    found: dict[AccountId, set[int]] = {}
    for account_id, valid_from, plan_id in session.execute(query):
        plans = found.setdefault(AccountId(account_id), set())
        if valid_from <= month.first_day:
            plans.clear()
        plans.add(plan_id)
    return {account_id: frozenset(plans) for account_id, plans in found.items()}


# --- what was put right ---


def corrections_shown_in(
    session: Session, account_ids: Sequence[AccountId], document_month: Month
) -> dict[AccountId, tuple[tuple[Month, NewLine], ...]]:
    """Return what is put right already and shown on the documents of a month, as it was written.

    Each line comes with the month that it belongs to.
    """
    found: dict[AccountId, list[tuple[Month, NewLine]]] = {}
    for part in in_slices(account_ids):
        query = (
            select(ChargeLineRow)
            .where(
                ChargeLineRow.account_id.in_(part),
                ChargeLineRow.document_month == document_month.ordinal,
                ChargeLineRow.kind != LineKind.ORIGINAL,
            )
            .order_by(ChargeLineRow.id)
        )
        for row in session.scalars(query):
            charged = Month.from_ordinal(row.charge_month)
            found.setdefault(AccountId(row.account_id), []).append((charged, line_of(row)))
    return {account_id: tuple(lines) for account_id, lines in found.items()}
