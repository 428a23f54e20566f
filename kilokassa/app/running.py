"""The running month of prepaid accounts: rated from its start, posted as it grows.

Each time the month is rated from its beginning up to what is known, and what is not yet posted is
posted; so the postings telescope to the once-rounded lines of the close. A month that is over but
not closed goes on in the same way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.orm import Session

from billing import service as billing_service
from billing import store as billing_store
from billing.charges import AccountCharge
from billing.debts.service import recompute
from billing.models import Measurement, RunningChargeRow, Service, Settlement
from billing.month.service import rate_month
from billing.service import RunningOrder
from kilokassa.app.telling import tell_alarms
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.ids import AccountId
from kilokassa.core.text import mark
from kilokassa.db.slices import in_slices
from wallet import store as wallet_store
from wallet.service import ChargeBatch, ChargeOrder, charge_batch

ACCOUNTS_A_PART = 1_000

ALARMS_A_PART: Final = 500
ALARMED_AT_ONCE: Final = 1_000
"""Of more moved balances the job of the hour tells: foretelling takes 3 ms an account."""
RATED_AT_MOST: Final = 3
"""How often an account is rated in a row where somebody else posts its month in between."""

JOB_ACTOR = "job:running"

BALANCES_WAIT: Final = mark(
    "The readings are in, but the balances did not move yet: the next hourly run charges them."
)
"""What whoever imports is told where `Moved.failed`."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RunningReport:
    """What rating the running month did."""

    accounts: int
    posted: int
    amount_minor: int
    moved_ids: tuple[AccountId, ...] = ()
    """Whose balance moved, in order."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What the readings of an import did to balances."""

    accounts: int = 0
    """Whose days arrived or changed."""
    posted: int = 0
    amount_minor: int = 0
    alarms: int = 0
    """Notices that were written because money runs low."""
    failed: bool = False
    """The readings are in, but balances wait for the next run of the job."""


@dataclass(slots=True)
class _Posted:
    count: int = 0
    amount_minor: int = 0
    account_ids: set[AccountId] = field(default_factory=set)
    stale: list[AccountId] = field(default_factory=list)
    """Whose month somebody else posted after it was read here: to be rated anew."""


def move_balances(application: Application, batch_id: int) -> Moved:
    """Rate at once the accounts whose days an import brought, and tell whose money runs low.

    The readings are stored already and stay: a failure is logged and told in the answer, and the
    job of the hour rates them. Twice changes nothing.
    """
    try:
        with application.database.reading() as session:
            today = local_date(application.clock.now(), billing_store.retailer_zone(session))
            since = Month.of(today).plus(-1).first_day
            ids = billing_store.accounts_with_days(session, batch_id, since)
        report = rate_running_months(application, account_ids=ids)
        alarms = 0
        at_once = report.moved_ids if len(report.moved_ids) <= ALARMED_AT_ONCE else ()
        for part in in_slices(at_once, ALARMS_A_PART):
            with application.database.writing() as session:
                alarms += tell_alarms(session, part, application.clock)
    except Exception:  # an import that is accepted is never undone by what comes of it
        log.exception("balances did not move", batch=batch_id)
        return Moved(failed=True)
    return Moved(len(ids), report.posted, report.amount_minor, alarms)


def rate_running_months(
    application: Application,
    *,
    account_ids: Sequence[AccountId] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RunningReport:
    """Post what prepaid accounts used up to the last full local day; twice changes nothing."""
    database = application.database
    now = application.clock.now()
    with database.reading() as session:
        zone = billing_store.retailer_zone(session)
        today = local_date(now, zone)
        month = Month.of(today)
        if account_ids is None:
            account_ids = billing_store.account_id_range(session, month)
        ids = list(account_ids)
    posted = _Posted()
    for start in range(0, len(ids), ACCOUNTS_A_PART):
        part = ids[start : start + ACCOUNTS_A_PART]
        for running in (month.plus(-1), month):
            rest: Sequence[AccountId] = part
            for _ in range(RATED_AT_MOST):
                posted.stale = []
                _rate_part(application, rest, running, today, zone, now, posted)
                rest = posted.stale
                if not rest:
                    break
        if progress is not None:
            progress(min(start + ACCOUNTS_A_PART, len(ids)), len(ids))
    return RunningReport(
        len(ids), posted.count, posted.amount_minor, tuple(sorted(posted.account_ids))
    )


def _rate_part(
    application: Application,
    account_ids: Sequence[AccountId],
    month: Month,
    today: date,
    zone: ZoneInfo,
    now: datetime,
    posted: _Posted,
) -> None:
    until = min(today, month.plus(1).first_day)
    with application.database.reading() as session:
        accounts = [
            account
            for account in billing_store.billed_accounts(session, account_ids, month)
            if account.settlement is Settlement.PREPAID
            and account.measurement is Measurement.INTERVALS
        ]
        open_ids = wallet_store.open_in(session, [a.id for a in accounts], month.ordinal)
        accounts = [account for account in accounts if account.id in open_ids]
        if not accounts or until <= month.first_day:
            return
        # Read before the readings are: who posts in between has known as much or more.
        seen = _marks(billing_store.running_charges(session, sorted(open_ids), month))
        rated = rate_month(session, accounts, month, until=until)
        # What is taken already stands until the plan can price the month again.
        charges = {i: charge for i, charge in rated.charges.items() if i not in rated.refused}
    with application.database.writing() as session:
        _post(session, application, charges, seen, month, until, zone, now, posted)


_Mark = tuple[datetime, int, str]


def _marks(
    rows: Mapping[tuple[AccountId, str], RunningChargeRow],
) -> dict[tuple[AccountId, str], _Mark]:
    return {key: (row.known_until, row.posted_minor, row.input_digest) for key, row in rows.items()}


def _post(
    session: Session,
    application: Application,
    charges: dict[AccountId, AccountCharge],
    seen: Mapping[tuple[AccountId, str], _Mark],
    month: Month,
    until: date,
    zone: ZoneInfo,
    now: datetime,
    posted: _Posted,
) -> None:
    """Post the growth since last time; what was posted is read under the wallets' locks."""
    wallets = wallet_store.lock_wallets(session, list(charges))
    running = billing_store.running_charges(session, list(charges), month)
    marks = _marks(running)
    service = Service.ELECTRICITY
    known_until = local_midnight(until, zone)
    orders, rows = [], []
    for account_id, charge in charges.items():
        closed = wallets[account_id].closed_through_month
        if closed is not None and closed >= month.ordinal:
            continue
        key = (account_id, str(service))
        if marks.get(key) != seen.get(key):
            posted.stale.append(account_id)
            continue
        before = running.get(key)
        posted_minor = 0 if before is None else before.posted_minor
        total_minor = charge.total_minor(service)
        if before is not None and posted_minor == total_minor and before.known_until == known_until:
            continue
        rows.append(
            RunningOrder(account_id, month, service, known_until, total_minor, charge.digest)
        )
        if total_minor != posted_minor:
            orders.append(
                ChargeOrder(
                    account_id=account_id,
                    parts=((str(service), total_minor - posted_minor),),
                    charge_month=month,
                    month=month,
                    valid_at=known_until,
                    # The row of what is posted, written with it, makes a repeat harmless; the key
                    # only has to differ each time.
                    idempotency_key=f"run:{month}:{account_id}:{wallets[account_id].entry_count}",
                )
            )
    charge_batch(session, ChargeBatch(orders, JOB_ACTOR, zone), application.clock)
    billing_service.record_running(session, rows, now)
    moved = sorted({order.account_id for order in orders})
    recompute(session, moved, application.clock)
    posted.count += len(orders)
    posted.amount_minor += sum(order.total_minor for order in orders)
    posted.account_ids.update(moved)
