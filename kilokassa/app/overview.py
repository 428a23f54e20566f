"""An account as its resident asks about it: what there is, how long it lasts, what was used."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.accounts import BilledAccount
from billing.charges import by_zone
from billing.foresight.foresight import CostAhead, Outlook
from billing.foresight.service import costs_ahead
from billing.models import Measurement, Service, Settlement
from billing.month import service as month_service
from billing.runway import runway
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from tariffs.day_types import HolidayCalendar
from wallet import store as wallet_store
from wallet.store import Balance

LOOKED_AT_DAYS = 28
"""Four whole weeks, so that every weekday counts as often as it comes."""

HOLIDAYS = HolidayCalendar("russia")
"""Whose days off an account's usual use is told apart by."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The balance of an account as a tuple, and how long what is available lasts."""

    account: BilledAccount
    balance: Balance
    """Its `rated_minor` is what the running month came to and is not posted yet, and its
    `estimated_minor` what was likely used since the last day known."""
    runway: Outlook | None
    """Of a prepaid account, until when what is available lasts; None: too little was measured."""
    spent_minor: int
    """What the electricity of the days looked at cost."""
    spent_days: int
    month: Month
    month_minor: int
    """What the running month came to so far."""
    month_wh: int


def account_overview(
    session: Session, scope: Scope, account_id: AccountId, at: datetime
) -> Overview:
    """Return the overview of an account in reach, as of `at`."""
    billing_store.account_in_reach(session, scope, account_id)
    return overviews(session, [account_id], at)[account_id]


def overviews(
    session: Session, account_ids: Sequence[AccountId], at: datetime
) -> dict[AccountId, Overview]:
    """Return the overviews of accounts that the caller may see."""
    zone = billing_store.retailer_zone(session)
    today = local_date(at, zone)
    month = Month.of(today)
    accounts = billing_store.billed_accounts(session, account_ids, month)
    balances = wallet_store.balances(session, account_ids, at)
    before = month.plus(-1)
    running_rows = {
        month_: billing_store.running_charges(session, account_ids, month_)
        for month_ in (before, month)
    }
    open_ids = wallet_store.open_in(session, account_ids, before.ordinal)
    still_open = [
        account
        for account in billing_store.billed_accounts(session, account_ids, before)
        if account.id in open_ids
    ]
    rated = {
        before: month_service.rate_month(
            session, still_open, before, until=min(today, month.first_day)
        ),
        month: month_service.rate_month(session, accounts, month, until=today),
    }
    spent = _spent(session, accounts, today)
    midnight = local_midnight(today, zone)
    known = {
        # Only whole days are rated: what of today has come already is still an estimate.
        account_id: min(until, midnight)
        for account_id, until in month_service.known_until(session, accounts).items()
    }
    prepaid = [account for account in accounts if account.settlement is Settlement.PREPAID]
    ahead = costs_ahead(session, prepaid, known, at, HOLIDAYS)
    ends = {
        # Who has moved out uses nothing from the day of the move on.
        account.id: local_midnight(account.closed_on, zone)
        for account in prepaid
        if account.closed_on is not None
    }
    found = {}
    for account in accounts:
        key = (account.id, str(Service.ELECTRICITY))
        unposted_minor = 0
        for month_ in (before, month):
            of_month = rated[month_]
            if account.id not in of_month.charges or account.id in of_month.refused:
                continue  # closed, and posted; or not to be priced, and what is posted stands
            row = running_rows[month_].get(key)
            charged = of_month.charges[account.id].total_minor(Service.ELECTRICITY)
            unposted_minor += charged - (0 if row is None else row.posted_minor)
        foreseen = ahead.get(account.id)
        balance = replace(
            balances[account.id],
            rated_minor=unposted_minor,
            known_until=known.get(account.id),
            estimated_minor=0
            if foreseen is None
            else foreseen.until(min(at, ends.get(account.id, at))),
        )
        spent_minor, spent_days = spent[account.id]
        charge = rated[month].charges[account.id]
        found[account.id] = Overview(
            account=account,
            balance=balance,
            runway=_lasting(balance, foreseen, spent[account.id], at, zone)
            if account.settlement is Settlement.PREPAID
            else None,
            spent_minor=spent_minor,
            spent_days=spent_days,
            month=month,
            month_minor=charge.total_minor(Service.ELECTRICITY),
            month_wh=sum(line.energy_wh for line in charge.lines),
        )
    return found


def _lasting(
    balance: Balance,
    foreseen: CostAhead | None,
    spent: tuple[int, int],
    at: datetime,
    zone: ZoneInfo,
) -> Outlook | None:
    """Return until when the money lasts: by the account's own profile, else by its mean day."""
    if foreseen is not None:
        return foreseen.lasts(balance.available_minor + balance.estimated_minor, at)
    spent_minor, days = spent
    by_mean = runway(balance.available_minor, spent_minor, days, from_day=local_date(at, zone))
    if by_mean is None:
        return None
    until = local_midnight(by_mean.until, zone)
    return Outlook(until, by_mean.days, False, by_mean.daily_minor, by_mean.capped)


def _spent(
    session: Session, accounts: Sequence[BilledAccount], today: date
) -> dict[AccountId, tuple[int, int]]:
    """Return what the last days cost, and how many they were, rated by the one rating function."""
    by_intervals = [a for a in accounts if a.measurement is Measurement.INTERVALS]
    costs = month_service.rate_days(
        session, by_intervals, today - timedelta(days=LOOKED_AT_DAYS), today
    )
    return {account.id: costs.get(account.id, (0, 0)) for account in accounts}


def usage_by_day(
    session: Session, scope: Scope, account_id: AccountId, month: Month, at: datetime
) -> tuple[tuple[date, dict[str, int]], ...]:
    """Return the Wh of each day of a month by zone, for the chart of an account in reach."""
    billing_store.account_in_reach(session, scope, account_id)
    accounts = billing_store.billed_accounts(session, [account_id], month)
    if not accounts:
        return ()
    zone = billing_store.retailer_zone(session)
    last = min(local_date(at, zone), month.plus(1).first_day)
    return month_service.energy_by_day(session, accounts[0], month.first_day, last)


def usage_by_month(
    session: Session, scope: Scope, account_id: AccountId, at: datetime, months: int = 12
) -> tuple[tuple[Month, dict[str, int]], ...]:
    """Return the billed Wh of the last months by zone, oldest first."""
    billing_store.account_in_reach(session, scope, account_id)
    last = Month.of(local_date(at, billing_store.retailer_zone(session)))
    first = last.plus(-months)
    found = billing_store.consumption_by_month(session, [account_id], first, last)
    by_month = found.get(account_id, {})
    return tuple((month, by_zone(keys.items())) for month, keys in sorted(by_month.items()))
