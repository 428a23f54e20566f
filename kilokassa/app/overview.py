"""An account as its resident asks about it: what there is, how long it lasts, what was used."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.accounts import BilledAccount
from billing.charges import by_zone
from billing.models import Measurement, Service, Settlement
from billing.month import service as month_service
from billing.runway import Runway, runway
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from wallet import store as wallet_store
from wallet.store import Balance

LOOKED_AT_DAYS = 28
"""Four whole weeks, so that every weekday counts as often as it comes."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The balance of an account as a tuple, and how long what is available lasts."""

    account: BilledAccount
    balance: Balance
    """Its `rated_minor` is what the running month came to and is not posted yet."""
    runway: Runway | None
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
    known = month_service.known_until(session, accounts)
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
        balance = replace(
            balances[account.id], rated_minor=unposted_minor, known_until=known.get(account.id)
        )
        spent_minor, spent_days = spent[account.id]
        last_known = balance.known_until
        from_day = today if last_known is None else local_date(last_known, zone)
        charge = rated[month].charges[account.id]
        found[account.id] = Overview(
            account=account,
            balance=balance,
            runway=runway(balance.available_minor, spent_minor, spent_days, from_day=from_day)
            if account.settlement is Settlement.PREPAID
            else None,
            spent_minor=spent_minor,
            spent_days=spent_days,
            month=month,
            month_minor=charge.total_minor(Service.ELECTRICITY),
            month_wh=sum(line.energy_wh for line in charge.lines),
        )
    return found


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
