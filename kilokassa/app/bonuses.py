"""What happened to accounts, told to the bonus rules: money that came, bills paid, months closed.

A top-up is judged in its own transaction, a month after it was closed; each occasion has a key of
its own, so whoever tells it again changes nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.accounts import BilledAccount
from billing.charges import by_zone
from billing.law import due_on
from billing.models import BillingRunRow, RunKind, Settlement
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.ids import AccountId, JournalEntryId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.zones import Zone
from kilokassa.db.slices import in_slices
from wallet.bonuses import store
from wallet.bonuses.history import NOT_PAYING, months_without_debt, paid_up_by
from wallet.bonuses.rules import (
    BillPaid,
    Declined,
    EarlyPayment,
    MonthEnded,
    MonthsWithoutDebt,
    MovedToNight,
    NightUsed,
    Occasion,
    TopUpPaid,
    Why,
)
from wallet.bonuses.service import (
    Granted,
    GrantOrder,
    Happened,
    TakeBackOrder,
    foresee,
    grant,
    take_back,
)
from wallet.bonuses.store import PublishedRule
from wallet.bonuses.wording import Standing
from wallet.ledger import Reason
from wallet.service import ReverseOrder, reverse_top_up

ACTOR: Final = "job:bonuses"
ACCOUNTS_A_PART: Final = 500

FORMER_MONTHS: Final = 12
"""How far back the account's own share of the night is taken from."""

MONTHS_AGAIN: Final = 3
"""How many closed months the nightly job looks at: one that was missed is made up for."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ToppedUp:
    """A top-up that was written a moment ago, or before."""

    account_id: AccountId
    entry_id: JournalEntryId
    amount_minor: int
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A bonus that a top-up would earn now."""

    rule: PublishedRule
    amount_minor: int
    expires_on: date


@dataclass(frozen=True, slots=True)
class Refused:
    """A rule that gives nothing for something that happened, and why."""

    occasion: Occasion
    rule: PublishedRule
    why: Why


@dataclass(frozen=True, slots=True)
class MonthReport:
    """What granting for a closed month did."""

    month: Month
    accounts: int
    grants: int
    amount_minor: int


def grant_for_top_ups(
    session: Session, paid: Sequence[ToppedUp], zone: ZoneInfo, actor: str, clock: Clock
) -> tuple[Granted, ...]:
    """Grant what top-ups earn, and what bills earn that the last of them paid up."""
    happened = [
        Happened(
            TopUpPaid(one.account_id, local_date(one.paid_at, zone), one.amount_minor),
            f"top_up:{one.entry_id}",
            one.paid_at,
        )
        for one in paid
    ]
    kinds = {type(rule.document.terms) for rule in store.published_rules(session)}
    if not kinds:
        return ()
    if EarlyPayment in kinds:
        happened += _bills_paid(session, paid, zone)
    return grant(session, GrantOrder(happened, zone, actor), clock)


def void_top_up(session: Session, order: ReverseOrder, clock: Clock) -> JournalEntryId:
    """Take a top-up back with all that it earned; asked again, the first answer is given."""
    asked = TakeBackOrder(
        order.account_id, order.entry_id, order.why, order.valid_at, order.zone, order.actor
    )
    take_back(session, asked, clock)
    return reverse_top_up(session, order, clock)


def preview_top_up(
    session: Session, account_id: AccountId, amount_minor: int, on: date
) -> tuple[Foreseen, ...]:
    """Return what a top-up on a local day would earn, as things stand; nothing is written."""
    if amount_minor <= 0:
        return ()
    occasions: list[Occasion] = [TopUpPaid(account_id, on, amount_minor)]
    bill = store.latest_bills(session, [account_id]).get(account_id)
    if bill is not None:
        since = [(one.entry_id, one.reason, one.amount_minor) for one in bill.since]
        here = (0, Reason.TOP_UP, amount_minor)
        completed = paid_up_by(bill.asked_minor, [*since, here])
        if completed is not None and completed[0] == 0:
            occasions.append(BillPaid(account_id, on, completed[1], due_on(bill.month)[0]))
    rules = {(one.code, one.version): one for one in store.published_rules(session)}
    return tuple(
        Foreseen(rules[found.rule, found.version], found.amount_minor, found.expires_on)
        for found in foresee(session, occasions).grants
    )


def why_not(
    session: Session, account_id: AccountId, zone: ZoneInfo, month: Month, today: date
) -> tuple[Refused, ...]:
    """Return why rules in force gave nothing for the latest month closed and top-ups since.

    What a spent budget or a month's bound took away stands among the grants.
    """
    occasions = [one.occasion for one in occasions_of_month(session, [account_id], month, zone)]
    occasions += _latest_top_ups(session, account_id, zone)
    rules = {(one.code, one.version): one for one in store.published_rules(session)}
    running = {one.id for one in store.rules_in_force(session, today)}
    found: list[Refused] = []
    for occasion in occasions:
        for declined in foresee(session, [occasion]).declined:
            rule = rules[declined.rule, declined.version]
            if rule.id in running and _tellable(declined):
                found.append(Refused(occasion, rule, declined.why))
    return tuple(found)


def grant_month_bonuses(
    application: Application, month: Month, *, scope: Scope, progress: Progress | None = None
) -> MonthReport:
    """Grant what a closed month earned: months without debt, use moved to the night.

    Accounts whose month is not closed are left out; asked again, only they are served.
    """
    scope.demand(Right.RUN_BILLING)
    database, clock = application.database, application.clock
    with database.reading() as session:
        zone = billing_store.retailer_zone(session)
        kinds = {type(rule.document.terms) for rule in store.published_rules(session)}
        ids: list[AccountId] = []
        if kinds & {MonthsWithoutDebt, MovedToNight}:
            ids = billing_store.account_id_range(session, month)
    grants: list[Granted] = []
    done = 0
    for part in in_slices(ids, ACCOUNTS_A_PART):
        with database.reading() as session:
            happened = occasions_of_month(session, part, month, zone, now=clock.now())
        if happened:
            with database.writing() as session:
                grants += grant(session, GrantOrder(happened, zone, ACTOR), clock)
        done += len(part)
        if progress is not None:
            progress(done, len(ids))
    return MonthReport(month, len(ids), len(grants), sum(one.amount_minor for one in grants))


def grant_due_months(application: Application, *, scope: Scope) -> tuple[MonthReport, ...]:
    """Grant for the months closed last, the oldest first; one that was missed is made up for."""
    with application.database.reading() as session:
        closed = session.scalars(
            select(BillingRunRow.charge_month)
            .where(BillingRunRow.kind == RunKind.CLOSE, BillingRunRow.ended_at.is_not(None))
            .distinct()
            .order_by(BillingRunRow.charge_month.desc())
            .limit(MONTHS_AGAIN)
        )
        months = sorted(Month.from_ordinal(ordinal) for ordinal in closed)
    return tuple(grant_month_bonuses(application, month, scope=scope) for month in months)


def occasions_of_month(
    session: Session,
    account_ids: Iterable[AccountId],
    month: Month,
    zone: ZoneInfo,
    *,
    now: datetime | None = None,
) -> list[Happened]:
    """Return what a closed month was for accounts: on its last day, booked now or at its end."""
    ids = list(account_ids)
    accounts = billing_store.billed_accounts(session, ids, month)
    booked = store.booked_by_month(session, ids, month)
    used = billing_store.consumption_by_month(session, ids, month.plus(-FORMER_MONTHS), month)
    last_day = month.plus(1).first_day - timedelta(days=1)
    valid_at = now or month.period(zone).end
    found = []
    for account in accounts:
        if account.id not in booked:
            continue  # its month is open
        in_a_row = _in_a_row(account, booked[account.id], month)
        if in_a_row is not None:
            ended = MonthEnded(account.id, last_day, in_a_row)
            found.append(Happened(ended, f"month:{month}", valid_at))
        night = _night_used(account.id, used.get(account.id, {}), month, last_day)
        if night is not None:
            found.append(Happened(night, f"night:{month}", valid_at))
    return found


def _in_a_row(
    account: BilledAccount, booked: dict[int, tuple[int, int]], month: Month
) -> int | None:
    """Return how many months in a row had no debt; None for a part of a month."""
    opened = Month.of(account.opened_on)
    first = opened if account.opened_on == opened.first_day else opened.plus(1)
    since = max(first, Month.from_ordinal(min(booked)))
    closes = account.closed_on is not None and account.closed_on < month.plus(1).first_day
    if month < since or closes:
        return None
    prepaid = account.settlement is Settlement.PREPAID
    return months_without_debt(booked, month, prepaid=prepaid, since=since)


def _night_used(
    account_id: AccountId, used: dict[Month, dict[str, int]], month: Month, last_day: date
) -> NightUsed | None:
    """Return the night of a month beside that of the months before; None without zones."""
    zones = {each: by_zone(quantities.items()) for each, quantities in used.items()}
    counted = {each: found for each, found in zones.items() if _has_night(found)}
    if month not in counted:
        return None
    former = [found for each, found in counted.items() if each < month]
    return NightUsed(
        account_id,
        last_day,
        energy_wh=sum(counted[month].values()),
        night_wh=counted[month].get(Zone.NIGHT, 0),
        former_energy_wh=sum(sum(found.values()) for found in former),
        former_night_wh=sum(found.get(Zone.NIGHT, 0) for found in former),
    )


def _has_night(found: dict[str, int]) -> bool:
    """Say whether a month was wholly measured by zones, none of them below zero."""
    return (
        any(found.values())
        and Zone.ALL not in found
        and min(found.values()) >= 0
        and set(found) <= {Zone.NIGHT, Zone.DAY, Zone.PEAK, Zone.SEMI_PEAK}
    )


def _bills_paid(session: Session, paid: Sequence[ToppedUp], zone: ZoneInfo) -> list[Happened]:
    """Return the bills that one of these top-ups paid the last of."""
    by_entry = {one.entry_id: one for one in paid}
    found = []
    for account_id, bill in store.latest_bills(session, [one.account_id for one in paid]).items():
        since = [(one.entry_id, one.reason, one.amount_minor) for one in bill.since]
        completed = paid_up_by(bill.asked_minor, since)
        if completed is None or completed[0] not in by_entry:
            continue
        one = by_entry[JournalEntryId(completed[0])]
        on = local_date(one.paid_at, zone)
        occasion = BillPaid(account_id, on, completed[1], due_on(bill.month)[0])
        found.append(Happened(occasion, f"bill:{bill.month}:{one.entry_id}", one.paid_at))
    return found


def _latest_top_ups(session: Session, account_id: AccountId, zone: ZoneInfo) -> list[Occasion]:
    return [
        TopUpPaid(account_id, local_date(valid_at, zone), minor)
        for valid_at, minor in store.latest_top_ups(session, account_id)
    ]


def _tellable(declined: Declined) -> bool:
    return declined.why in {Why.NOT_EARNED, Why.ANOTHER_IS_LARGER}


def standing_of(session: Session, account_id: AccountId, zone: ZoneInfo, month: Month) -> Standing:
    """Return how an account stands to the rules, by the month closed last."""
    bill = store.latest_bills(session, [account_id]).get(account_id)
    left_minor = 0
    if bill is not None:
        paid = sum(one.amount_minor for one in bill.since if one.reason not in NOT_PAYING)
        left_minor = max(0, bill.asked_minor - paid)
    occasions = [one.occasion for one in occasions_of_month(session, [account_id], month, zone)]
    return Standing(
        bill_left_minor=left_minor,
        bill_due_on=None if bill is None else due_on(bill.month)[0],
        month=next((one for one in occasions if isinstance(one, MonthEnded)), None),
        night=next((one for one in occasions if isinstance(one, NightUsed)), None),
    )
