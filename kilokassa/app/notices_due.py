"""What follows from the days: bonuses and reserves that end, changed plans, unusual use, refusals.

Everything is looked up from what stands, and each fact has a key: the round may run as often as one
likes, and what was missed while nothing ran is told by the next one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from billing import store as billing_store
from billing.accounts import BilledAccount
from billing.models import AccountTermRow
from kilokassa.app.telling import Told, tell
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.ids import AccountId
from kilokassa.core.text import Language
from kilokassa.db.slices import in_slices
from metering.store import channels_of_premises, load_day_totals
from notices.models import NoticeRow
from notices.notice import NoticeKind, Way
from notices.preferences import MOST_DAYS, STANDARD
from notices.rules import alarm_key
from notices.service import raise_use_alarms
from notices.store import EndpointState, active_endpoints, preferences
from notices.unusual import DAYS_JUDGED, WEEKS_BEFORE, Use, use_of
from notices.wallet_letters import (
    AutoTopUpRefused,
    BalanceChanged,
    BonusExpiring,
    ChargePosted,
    ReserveEnding,
    TariffChanged,
    UnusualUse,
)
from tariffs.models import TariffPlanRow
from wallet.bonuses.store import rule_names
from wallet.ledger import Reason
from wallet.lots import LotKind
from wallet.models import JournalEntryRow, LotRow, WalletRow
from wallet.payments.auto import store as auto_store
from wallet.payments.auto.agreed import facts_of
from wallet.payments.auto_top_up import Outcome
from wallet.payments.models import AutoTopUpAttemptRow, AutoTopUpRow
from wallet.reserves import store as reserve_store
from wallet.reserves.models import ReserveRow

ACCOUNTS_A_PART: Final = 500
ENTRIES_A_PART: Final = 500
RESERVE_DAYS: Final = 14
"""Before its end a reserve is told of: long enough to think about the next."""
LOOKED_BACK: Final = timedelta(days=14)
"""What is older is no news, and was missed by every round since."""
OVERLAP: Final = timedelta(hours=1)
"""Entries become visible out of order: so far back they are looked at again; a key tells once."""


@dataclass(frozen=True, slots=True)
class DueNotices:
    """How many notices a round wrote, by what they tell of."""

    bonuses: int = 0
    reserves: int = 0
    tariffs: int = 0
    use: int = 0
    refusals: int = 0
    events: int = 0

    @property
    def written(self) -> int:
        """All of them."""
        return self.bonuses + self.reserves + self.tariffs + self.use + self.refusals + self.events


def tell_what_is_due(application: Application) -> DueNotices:
    """Look for what the days have brought and write its notices; twice is once."""
    clock = application.clock
    with application.database.reading() as session:
        zone = billing_store.retailer_zone(session)
        ids = billing_store.account_id_range(session, Month.of(local_date(clock.now(), zone)))
    use = 0
    for part in in_slices(ids, ACCOUNTS_A_PART):
        with application.database.writing() as session:
            use += tell_unusual_use(session, part, clock)
    with application.database.writing() as session:
        return DueNotices(
            bonuses=tell_bonuses(session, clock),
            reserves=tell_reserves(session, clock),
            tariffs=tell_tariffs(session, clock),
            use=use,
            refusals=tell_refusals(session, clock),
        )


def tell_bonuses(session: Session, clock: Clock) -> int:
    """Tell of each bonus that ends within the days that its account stated."""
    now = clock.now()
    query = (
        select(
            WalletRow.account_id,
            LotRow.id,
            LotRow.remaining_minor,
            LotRow.expires_at,
            LotRow.rule,
        )
        .join(WalletRow, WalletRow.id == LotRow.wallet_id)
        .where(
            LotRow.kind == LotKind.BONUS,
            LotRow.remaining_minor > 0,
            LotRow.expires_at > now,
            LotRow.expires_at <= now + timedelta(days=MOST_DAYS),
        )
        .order_by(LotRow.id)
    )
    found = session.execute(query).all()
    stated = preferences(session, [AccountId(row.account_id) for row in found])
    soon = [
        row
        for row in found
        if row.expires_at <= now + timedelta(days=stated.get(row.account_id, STANDARD).bonus_days)
    ]
    accounts = _accounts(session, [row.account_id for row in soon], clock)
    names = {
        language: rule_names(session, language)
        for language in {Language(one.language) for one in accounts.values()}
    }
    told = [
        Told(
            account,
            NoticeKind.BONUS_EXPIRING,
            BonusExpiring(
                amount_minor=row.remaining_minor,
                expires_at=row.expires_at,
                zone=account.zone,
                rule=names[Language(account.language)].get(row.rule, row.rule),
            ),
            f"{NoticeKind.BONUS_EXPIRING}:{row.id}",
        )
        for row in soon
        for account in [accounts.get(AccountId(row.account_id))]
        if account is not None
    ]
    return tell(session, told, clock)


def tell_reserves(session: Session, clock: Clock) -> int:
    """Tell of each reserve whose term ends within two weeks."""
    today = local_date(clock.now(), billing_store.retailer_zone(session))
    ids = session.scalars(
        select(ReserveRow.id)
        .where(
            ReserveRow.ends_on > today, ReserveRow.ends_on <= today + timedelta(days=RESERVE_DAYS)
        )
        .order_by(ReserveRow.id)
    ).all()
    kept = [one for one in reserve_store.load(session, list(ids)) if one.kept_minor]
    accounts = _accounts(session, [one.account_id for one in kept], clock)
    told = [
        Told(
            account,
            NoticeKind.RESERVE_ENDING,
            ReserveEnding(
                name=one.offer.named(Language(account.language)),
                kept_minor=one.kept_minor,
                ends_on=one.ends_on,
            ),
            f"{NoticeKind.RESERVE_ENDING}:{one.id}",
        )
        for one in kept
        for account in [accounts.get(one.account_id)]
        if account is not None
    ]
    return tell(session, told, clock)


def tell_tariffs(session: Session, clock: Clock) -> int:
    """Tell of each plan that takes another's place and was stated within two weeks."""
    term, former = AccountTermRow, aliased(AccountTermRow)
    before = (
        select(func.max(former.valid_from))
        .where(
            former.account_id == term.account_id,
            former.valid_from < term.valid_from,
            former.superseded_at.is_(None),
        )
        .correlate(term)
        .scalar_subquery()
    )
    query = (
        select(term.account_id, term.valid_from, term.plan_id, former.plan_id.label("former_id"))
        .join(former, former.account_id == term.account_id)
        .where(
            term.recorded_at > clock.now() - LOOKED_BACK,
            term.superseded_at.is_(None),
            former.superseded_at.is_(None),
            former.valid_from == before,
            former.plan_id != term.plan_id,
        )
        .order_by(term.id)
    )
    found = session.execute(query).all()
    plans = {row.id: row for row in session.scalars(select(TariffPlanRow))} if found else {}
    accounts = _accounts(session, [row.account_id for row in found], clock)
    told = []
    for row in found:
        account = accounts.get(AccountId(row.account_id))
        if account is not None:
            language = Language(account.language)
            facts = TariffChanged(
                plan_name=_plan_name(plans[row.plan_id], language),
                former_name=_plan_name(plans[row.former_id], language),
                since=row.valid_from,
            )
            key = f"{NoticeKind.TARIFF_CHANGED}:{row.account_id}:{row.valid_from}:{row.plan_id}"
            told.append(Told(account, NoticeKind.TARIFF_CHANGED, facts, key))
    return tell(session, told, clock)


def tell_unusual_use(session: Session, account_ids: Sequence[AccountId], clock: Clock) -> int:
    """Judge the last days of accounts by their own past, and tell of those that are odd."""
    zone = billing_store.retailer_zone(session)
    today = local_date(clock.now(), zone)
    accounts = _accounts(session, account_ids, clock)
    uses = _uses(session, list(accounts.values()), today)
    told = []
    for raised in raise_use_alarms(session, uses, clock):
        use = uses[raised.account_id]
        facts = UnusualUse(use.last_day, use.days, use.used_wh, use.usual_wh)
        key = alarm_key(raised.kind, raised.account_id, raised.episode)
        told.append(Told(accounts[raised.account_id], raised.kind, facts, key))
    return tell(session, told, clock)


def tell_refusals(session: Session, clock: Clock) -> int:
    """Tell of each automatic top-up that a bank refused within two weeks."""
    attempt, rule = AutoTopUpAttemptRow, AutoTopUpRow
    query = (
        select(attempt, rule)
        .join(rule, rule.id == attempt.auto_top_up_id)
        .where(attempt.outcome == Outcome.REFUSED, attempt.recorded_at > clock.now() - LOOKED_BACK)
        .order_by(attempt.id)
    )
    found = session.execute(query).all()
    accounts = _accounts(session, [rule_row.account_id for _, rule_row in found], clock)
    attempts = auto_store.attempts_of_accounts(session, list(accounts))
    told = []
    for one, rule_row in found:
        account = accounts.get(AccountId(rule_row.account_id))
        if account is not None:
            agreed = auto_store.agreed_of(rule_row)
            refusals = facts_of(agreed, attempts.get(account.id, ())).refusals
            facts = AutoTopUpRefused(
                amount_minor=one.amount_minor,
                on=one.on,
                card_hint=rule_row.card_hint,
                paused=refusals >= agreed.rule.refusals_most,
            )
            key = f"{NoticeKind.AUTO_TOP_UP_REFUSED}:{one.id}"
            told.append(Told(account, NoticeKind.AUTO_TOP_UP_REFUSED, facts, key))
    return tell(session, told, clock)


def tell_ledger_events(application: Application) -> int:
    """Write the events of entries that webhooks want and have not got; the journal is the outbox.

    What stands in the journal is committed with its effect, so that no event is lost and none told
    that did not happen. Nothing is looked up where no webhook wants such events.
    """
    clock = application.clock
    wanted = (NoticeKind.CHARGE_POSTED, NoticeKind.BALANCE_CHANGED)
    with application.database.reading() as session:
        hooks = [
            hook for hook in active_endpoints(session) if any(hook.wants(kind) for kind in wanted)
        ]
        if not hooks:
            return 0
        since = min(_told_until(session, hook) for hook in hooks)
        ids = session.scalars(
            select(JournalEntryRow.id)
            .where(JournalEntryRow.recorded_at >= since)
            .order_by(JournalEntryRow.id)
        ).all()
    written = 0
    for part in in_slices(ids, ENTRIES_A_PART):
        with application.database.writing() as session:
            written += _tell_entries(session, part, clock)
    return written


def _told_until(session: Session, hook: EndpointState) -> datetime:
    """Return since when entries are looked at for a webhook: never from before it was there."""
    latest = session.scalar(
        select(func.max(NoticeRow.created_at)).where(
            NoticeRow.way == Way.WEBHOOK,
            NoticeRow.recipient == hook.code,
            NoticeRow.kind.in_((NoticeKind.CHARGE_POSTED, NoticeKind.BALANCE_CHANGED)),
        )
    )
    return hook.created_at if latest is None else max(hook.created_at, latest - OVERLAP)


def _tell_entries(session: Session, entry_ids: Sequence[int], clock: Clock) -> int:
    query = (
        select(JournalEntryRow, WalletRow.account_id)
        .join(WalletRow, WalletRow.id == JournalEntryRow.wallet_id)
        .where(JournalEntryRow.id.in_(entry_ids))
        .order_by(JournalEntryRow.id)
    )
    found = session.execute(query).all()
    accounts = _accounts(session, [account_id for _, account_id in found], clock)
    told = []
    for entry, account_id in found:
        account = accounts.get(AccountId(account_id))
        if account is None:
            continue
        told.append(
            Told(
                account,
                NoticeKind.BALANCE_CHANGED,
                BalanceChanged(
                    reason=str(entry.reason),
                    amount_minor=entry.amount_minor,
                    sequence=entry.sequence,
                    valid_at=entry.valid_at,
                    balance_before_minor=entry.balance_before,
                    balance_after_minor=entry.balance_after,
                ),
                f"{NoticeKind.BALANCE_CHANGED}:{entry.id}",
            )
        )
        if entry.reason in (Reason.CHARGE, Reason.CORRECTION):
            month = entry.charge_month
            told.append(
                Told(
                    account,
                    NoticeKind.CHARGE_POSTED,
                    ChargePosted(
                        amount_minor=-entry.amount_minor,
                        month=None if month is None else Month.from_ordinal(month),
                        sequence=entry.sequence,
                        valid_at=entry.valid_at,
                        balance_after_minor=entry.balance_after,
                    ),
                    f"{NoticeKind.CHARGE_POSTED}:{entry.id}",
                )
            )
    return tell(session, told, clock)


def _accounts(
    session: Session, account_ids: Sequence[int], clock: Clock
) -> dict[AccountId, BilledAccount]:
    zone = billing_store.retailer_zone(session)
    month = Month.of(local_date(clock.now(), zone))
    ids = [AccountId(one) for one in sorted(set(account_ids))]
    return {one.id: one for one in billing_store.billed_accounts(session, ids, month)}


def _uses(
    session: Session, accounts: Sequence[BilledAccount], today: date
) -> Mapping[AccountId, Use]:
    of_premises: dict[int, BilledAccount] = {account.premises_id: account for account in accounts}
    channels = [
        one
        for one in channels_of_premises(session, list(of_premises))
        if of_premises[one.premises_id].opened_on <= today
    ]
    if not channels:
        return {}
    first = today - timedelta(weeks=WEEKS_BEFORE, days=2 * DAYS_JUDGED + 1)
    totals = load_day_totals(
        session, [one.channel_id for one in channels], first, today - timedelta(days=1)
    )
    whole = totals.present & (totals.missing == 0)
    rows: dict[AccountId, list[int]] = defaultdict(list)
    for row, channel in enumerate(channels):
        rows[of_premises[channel.premises_id].id].append(row)
    found = {}
    for account in accounts:
        mine = rows.get(account.id, [])
        known = {
            day: sum(int(totals.total_wh[row, place]) for row in mine)
            for place, day in enumerate(totals.days)
            if mine and day >= account.opened_on and all(whole[row, place] for row in mine)
        }
        use = use_of(known)
        if use is not None and use.last_day >= today - timedelta(days=DAYS_JUDGED):
            found[account.id] = use
    return found


def _plan_name(plan: TariffPlanRow, language: Language) -> str:
    return plan.name_en or plan.name if language is Language.ENGLISH else plan.name
