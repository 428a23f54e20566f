"""Rehearsing a tariff over a portfolio: parts over the executor, then one report; nothing posts.

A part is a range of accounts over all the months. It is computed in a reading session and written
once, so a rehearsal that was interrupted goes on where it stood.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from billing.models import RehearsalRow, RunState
from billing.rehearsal import service, store
from billing.rehearsal.order import RehearsalOrder
from kilokassa.app.executor import open_database, open_executor, run_parts
from kilokassa.app.wiring import Application
from kilokassa.core.errors import Invalid
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark
from kilokassa.db.session import Database

ACCOUNTS_A_PART: Final = 256
"""A year of half hours of so many is 17 MiB: what a core reads in a tenth of a second."""
INLINE_ACCOUNTS: Final = 1_000
"""Up to so many, starting worker processes would take longer than the work."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PartOrder:
    """One part of a rehearsal, as it travels to a worker."""

    database_url: str
    rehearsal_id: int
    part: int
    account_ids: tuple[AccountId, ...]
    at: datetime


def rehearse(
    application: Application,
    order: RehearsalOrder,
    *,
    scope: Scope,
    progress: Progress | None = None,
) -> int:
    """Rehearse an order and return the number of the rehearsal: its report is kept there."""
    rehearsal_id = begin(application, order, scope=scope)
    go_on(application, rehearsal_id, scope=scope, progress=progress)
    return rehearsal_id


def begin(application: Application, order: RehearsalOrder, *, scope: Scope) -> int:
    """Write a rehearsal down without pricing anything yet."""
    service.demand(scope)
    with application.database.reading() as session:
        account_ids = store.portfolio(session, order)
    if not account_ids:
        raise Invalid(
            where=mark("rehearsal"),
            problem=mark("no account was open in %(month)s"),
            month=str(order.last),
        )
    parts = -(-len(account_ids) // ACCOUNTS_A_PART)
    with application.database.writing() as session:
        return service.begin(session, order, scope, parts, application.clock).id


def go_on(
    application: Application,
    rehearsal_id: int,
    *,
    scope: Scope,
    progress: Progress | None = None,
) -> None:
    """Price the parts that are not written yet, then write the report; repeat at will."""
    service.demand(scope)
    with application.database.reading() as session:
        row = store.rehearsal(session, scope, rehearsal_id)
        if row.state is RunState.DONE:
            return
        order = RehearsalOrder.from_json(row.order)
        account_ids = store.portfolio(session, order)
        done = store.parts_done(session, rehearsal_id)
        parts, started_at = row.parts, row.started_at
    orders = [
        PartOrder(
            application.settings.database_url,
            rehearsal_id,
            part,
            tuple(account_ids[part * ACCOUNTS_A_PART : (part + 1) * ACCOUNTS_A_PART]),
            started_at,
        )
        for part in range(parts)
        if part not in done
    ]
    _run(application, orders, len(account_ids), progress)
    with application.database.writing() as session:
        row = store.rehearsal(session, scope, rehearsal_id)
        if row.state is not RunState.DONE:
            service.finish(session, row, application.clock)


def _run(
    application: Application,
    orders: list[PartOrder],
    accounts: int,
    progress: Progress | None,
) -> None:
    left = sum(len(order.account_ids) for order in orders)
    done = accounts - left

    def tell(priced: int) -> None:
        nonlocal done
        done += priced
        if progress is not None:
            progress(done, accounts)

    tell(0)
    if left <= INLINE_ACCOUNTS:
        for order in orders:
            tell(_rehearse_part(order, application.database))
        return
    workers = application.settings.workers
    with open_executor(application.settings) as executor:
        for priced in run_parts(executor, rehearse_part, orders, workers):
            tell(priced)


def rehearse_part(order: PartOrder) -> int:
    """Price and write one part; runs in a worker and opens its own sessions."""
    return _rehearse_part(order, open_database(order.database_url))


def _rehearse_part(order: PartOrder, database: Database) -> int:
    with database.reading() as session:
        kept = session.get_one(RehearsalRow, order.rehearsal_id).order

        def sides_in(zone: ZoneInfo) -> service.Sides:
            return _sides(_Asked(order.database_url, kept, order.at, zone.key, session))

        asked = RehearsalOrder.from_json(kept)
        outcome, refused = service.price_part(session, asked, order.account_ids, sides_in)
    summary = service.packed_part(outcome, refused)
    with database.writing() as session:
        service.record_part(session, order.rehearsal_id, order.part, summary, order.at)
    return len(order.account_ids)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which versions are asked for; the session only serves to read them."""

    database_url: str
    kept: str
    at: datetime
    zone: str
    session: Session = field(compare=False)


@lru_cache(maxsize=16)
def _sides(asked: _Asked) -> service.Sides:
    """Return the versions of a rehearsal, the same objects for every part a process prices.

    What is compiled for them is kept by the very objects (`tariffs.compiled`).
    """
    order = RehearsalOrder.from_json(asked.kept)
    return service.sides(asked.session, order, asked.at, ZoneInfo(asked.zone))
