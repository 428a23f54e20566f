"""Deductions of a month for many accounts, from the register of quality; nothing is written."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts import BilledAccount
from billing.charges import NewLine
from billing.deductions.deductions import QualityRecord, deductions
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.ids import AccountId
from kilokassa.core.period import Period
from metering.events.quality import QualityPeriod
from metering.events.store import StoredQuality, confirmed_quality


def deduct(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    lines: Mapping[AccountId, Sequence[NewLine]],
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, tuple[tuple[NewLine, ...], tuple[str, ...]]]:
    """Return by account what confirmed records take off the month's `lines`, and warnings.

    Accounts of which nothing is taken off are left out. With `known_at`, what was confirmed or
    ended later does not count.
    """
    zones = {account.building_id: account.zone for account in accounts}
    houses: dict[int, list[StoredQuality]] = {}
    for zone in set(zones.values()):
        own = [building_id for building_id, of in zones.items() if of == zone]
        for event in confirmed_quality(session, own, month.period(zone)):
            if known_at is None or event.confirmed_at(known_at):
                houses.setdefault(event.building_id, []).append(event)
    found = {}
    for account in accounts:
        if account.building_id not in houses:
            continue
        of_month = month.period(account.zone)
        records = [
            _record(event, of_month, known_at)
            for event in houses[account.building_id]
            if event.premises_id in {None, account.premises_id}
        ]
        taken = deductions(
            lines.get(account.id, ()), records, month, account.zone, _stay(account, of_month)
        )
        if taken[0]:
            found[account.id] = taken
    return found


def _record(event: StoredQuality, of_month: Period, known_at: datetime | None) -> QualityRecord:
    """Return what counts of an event: one that lasts counts to the end of the month."""
    end = event.ends_at if known_at is None else event.end_known_at(known_at)
    lasting = Period(event.starts_at, of_month.end if end is None else end)
    return QualityRecord(
        event.id,
        QualityPeriod(
            event.commodity, event.kind, lasting, event.measured_tenths, event.required_tenths
        ),
    )


def _stay(account: BilledAccount, of_month: Period) -> Period:
    """Return since when, and until when at the latest, the account is the payer."""
    opened = local_midnight(account.opened_on, account.zone)
    closed_on = account.closed_on
    closed = of_month.end if closed_on is None else local_midnight(closed_on, account.zone)
    return Period(opened, max(opened, closed))
