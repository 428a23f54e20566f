"""Queries over bonus rules, campaigns and grants."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Final

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from kilokassa.core.calendar import Month
from kilokassa.core.errors import NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import Language, mark
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from wallet.bonuses.documents import RuleDocument, read_rule
from wallet.bonuses.models import BonusGrantRow, BonusRuleRow, CampaignRow
from wallet.bonuses.rules import Campaign, Rule, Why
from wallet.ledger import Reason
from wallet.models import JournalEntryRow, WalletRow

_GRANT = BonusGrantRow.__table__.c
_WALLET = WalletRow.__table__.c
_ENTRY = JournalEntryRow.__table__.c

OF_TOP_UPS: Final = ("top_up", "bill_paid")
"""Occasions whose keys end with the entry of a top-up."""

CHARGES: Final = (Reason.CHARGE, Reason.CORRECTION)

VOIDED = "void:"
"""How the keys of grants begin that were taken back; the rest is the key of the grant."""


@dataclass(frozen=True, slots=True)
class CampaignState:
    """A campaign with what it has granted."""

    id: int
    code: str
    name: str
    name_en: str
    budget_minor: int
    granted_minor: int
    begins_on: date
    ends_on: date
    actor: str
    recorded_at: datetime

    @property
    def left_minor(self) -> int:
        """What it may still grant."""
        return self.budget_minor - self.granted_minor

    def named(self, language: Language) -> str:
        """Return its name in a language, else in the one that it has."""
        return self.name_en or self.name if language is Language.ENGLISH else self.name

    def as_campaign(self) -> Campaign:
        """Return what rules are judged with; it goes by its code."""
        return Campaign(self.code, self.budget_minor, self.ends_on, self.begins_on)


@dataclass(frozen=True, slots=True)
class PublishedRule:
    """One published version of a rule."""

    id: int
    version: int
    document: RuleDocument
    campaign: CampaignState | None
    published_by: str
    recorded_at: datetime

    @property
    def code(self) -> str:
        """Names the rule over all its versions."""
        return self.document.code

    def as_rule(self) -> Rule:
        """Return the rule that occasions are judged by."""
        campaign = None if self.campaign is None else self.campaign.as_campaign()
        return self.document.as_rule(self.version, campaign)


@dataclass(frozen=True, slots=True)
class GrantState:
    """One grant, or a grant taken back, or one that a bound left nothing of."""

    id: int
    account_id: AccountId
    rule_id: int
    rule_code: str
    occasion: str
    occasion_key: str
    on: date
    earned_minor: int
    amount_minor: int
    campaign_id: int | None
    entry_id: int | None
    expires_on: date | None
    detail: Mapping[str, object]
    recorded_at: datetime

    @property
    def why(self) -> Why | None:
        """What bound left less than was earned; None where all of it was granted."""
        named = self.detail.get("why")
        return Why(str(named)) if named else None

    @property
    def taken_back(self) -> bool:
        """Say whether it undoes another."""
        return self.occasion_key.startswith(VOIDED)


@dataclass(frozen=True, slots=True)
class DaySum:
    """What a campaign granted on a day by one rule, to how many accounts; void rows netted."""

    on: date
    rule_code: str
    accounts: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """Where the budget of a campaign went."""

    campaign: CampaignState
    accounts: int
    """Which have something of it."""
    by_day: tuple[DaySum, ...]
    by_rule: tuple[tuple[str, int, int], ...]
    """Code, accounts, amount."""


def campaigns(session: Session, scope: Scope) -> tuple[CampaignState, ...]:
    """Return the campaigns, the one that began last first; staff of the retailer only."""
    demand_staff(scope)
    query = select(CampaignRow).order_by(CampaignRow.begins_on.desc(), CampaignRow.id.desc())
    return tuple(_campaign(row) for row in session.scalars(query))


def campaign_by_code(session: Session, scope: Scope, code: str) -> CampaignState:
    """Return one campaign; refuse where there is none or the actor may not know."""
    demand_staff(scope)
    row = session.scalars(select(CampaignRow).where(CampaignRow.code == code)).one_or_none()
    if row is None:
        raise NotFound(what=mark("campaign"), name=code)
    return _campaign(row)


def campaign_report(session: Session, scope: Scope, code: str) -> CampaignReport:
    """Return what a campaign granted, by day and by rule."""
    campaign = campaign_by_code(session, scope, code)
    of_it = _GRANT.campaign_id == campaign.id
    minor = func.sum(_GRANT.amount_minor)
    accounts = func.count(_GRANT.account_id.distinct())
    by_day = session.execute(
        select(_GRANT.on, _GRANT.rule_code, accounts, minor)
        .where(of_it, _GRANT.amount_minor != 0)
        .group_by(_GRANT.on, _GRANT.rule_code)
        .order_by(_GRANT.on.desc(), _GRANT.rule_code)
    )
    # Each account by what it kept of each rule: one whose grant was taken back has nothing.
    kept = (
        select(_GRANT.rule_code, _GRANT.account_id, minor.label("minor"))
        .where(of_it)
        .group_by(_GRANT.rule_code, _GRANT.account_id)
        .having(minor > 0)
        .subquery()
    )
    by_rule = session.execute(
        select(kept.c.rule_code, func.count(), func.sum(kept.c.minor))
        .group_by(kept.c.rule_code)
        .order_by(kept.c.rule_code)
    )
    who = session.scalar(select(func.count(kept.c.account_id.distinct())))
    return CampaignReport(
        campaign,
        who or 0,
        tuple(DaySum(on, rule, int(n), int(amount)) for on, rule, n, amount in by_day),
        tuple((rule, int(n), int(amount)) for rule, n, amount in by_rule),
    )


def published_rules(session: Session) -> tuple[PublishedRule, ...]:
    """Return every version of every rule, by code and version: what is promised to all."""
    found = {row.id: _campaign(row) for row in session.scalars(select(CampaignRow))}
    query = select(BonusRuleRow).order_by(BonusRuleRow.code, BonusRuleRow.version)
    return tuple(
        PublishedRule(
            id=row.id,
            version=row.version,
            document=_document(row.document),
            campaign=None if row.campaign_id is None else found[row.campaign_id],
            published_by=row.published_by,
            recorded_at=row.recorded_at,
        )
        for row in session.scalars(query)
    )


def rules_in_force(session: Session, on: date) -> tuple[PublishedRule, ...]:
    """Return the rules that run on a day, each in the version that holds then."""
    latest: dict[str, PublishedRule] = {}
    for rule in published_rules(session):
        if rule.document.valid_from <= on:
            latest[rule.code] = rule
    return tuple(rule for rule in latest.values() if rule.as_rule().in_force(on))


def rule_names(session: Session, language: Language) -> dict[str, str]:
    """Return the names of rules by code, each from its latest version."""
    return {rule.code: rule.document.named(language) for rule in published_rules(session)}


def versions_of(session: Session, scope: Scope, code: str) -> tuple[PublishedRule, ...]:
    """Return the versions of one rule, the oldest first; refuse where there is none."""
    scope.demand(Right.VIEW_STAFF)
    found = tuple(rule for rule in published_rules(session) if rule.code == code)
    if not found:
        raise NotFound(what=mark("bonus rule"), name=code)
    return found


def lock_campaigns(session: Session, ids: Iterable[int]) -> dict[int, CampaignState]:
    """Lock campaigns, low to high, and return what they have granted by now."""
    query = (
        select(CampaignRow)
        .where(CampaignRow.id.in_(sorted(set(ids))))
        .order_by(CampaignRow.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.id: _campaign(row) for row in session.scalars(query)}


def served(
    session: Session, asked: Sequence[tuple[AccountId, str]]
) -> frozenset[tuple[AccountId, str]]:
    """Return those of the occasions, by account and key, that something is written for already."""
    found: set[tuple[AccountId, str]] = set()
    for part in in_slices(sorted(set(asked))):
        query = select(_GRANT.account_id, _GRANT.occasion_key).where(
            _GRANT.account_id.in_(sorted({account_id for account_id, _ in part})),
            _GRANT.occasion_key.in_(sorted({key for _, key in part})),
        )
        found.update((AccountId(account_id), key) for account_id, key in session.execute(query))
    return frozenset(found)


def given_in_months(
    session: Session,
    account_ids: Sequence[AccountId],
    rules: Sequence[str],
    months: Iterable[Month],
) -> dict[tuple[AccountId, str, int], int]:
    """Return what rules gave accounts in months, by account, rule and ordinal of the month."""
    ordered = sorted(set(months))
    given: dict[tuple[AccountId, str, int], int] = {}
    if not rules or not ordered:
        return given
    first, end = ordered[0].first_day, ordered[-1].plus(1).first_day
    for ids in in_slices(sorted(set(account_ids))):
        query = (
            select(_GRANT.account_id, _GRANT.rule_code, _GRANT.on, func.sum(_GRANT.amount_minor))
            .where(
                _GRANT.account_id.in_(ids),
                _GRANT.rule_code.in_(sorted(set(rules))),
                _GRANT.on >= first,
                _GRANT.on < end,
            )
            .group_by(_GRANT.account_id, _GRANT.rule_code, _GRANT.on)
        )
        for account_id, rule, on, minor in session.execute(query):
            key = (AccountId(account_id), rule, Month.of(on).ordinal)
            given[key] = given.get(key, 0) + int(minor)
    return given


def grants_of(
    session: Session, scope: Scope, account_id: AccountId, *, limit: int = 500
) -> tuple[GrantState, ...]:
    """Return what an account in reach was granted, the latest first."""
    query = (
        select(BonusGrantRow)
        .where(
            BonusGrantRow.account_id == account_id,
            account_in_scope(_GRANT.account_id, scope),
        )
        .order_by(BonusGrantRow.on.desc(), BonusGrantRow.id.desc())
        .limit(limit)
    )
    return tuple(_grant(row) for row in session.scalars(query))


def grants_by_entry(
    session: Session, account_id: AccountId, entry_id: int
) -> tuple[GrantState, ...]:
    """Return what was granted for the top-up of an entry, and what of it was taken back."""
    query = select(BonusGrantRow).where(
        BonusGrantRow.account_id == account_id,
        or_(
            BonusGrantRow.occasion_key.like(f"top_up:{entry_id}"),
            BonusGrantRow.occasion_key.like(f"bill:%:{entry_id}"),
            BonusGrantRow.occasion_key.like(f"{VOIDED}%:{entry_id}"),
        ),
    )
    return tuple(_grant(row) for row in session.scalars(query.order_by(BonusGrantRow.id)))


def granted_for(
    session: Session, account_ids: Sequence[AccountId], entry_ids: Iterable[int]
) -> dict[int, tuple[GrantState, ...]]:
    """Return what top-ups earned when they came, bills paid up by them too, by their entries."""
    wanted = set(entry_ids)
    found: dict[int, list[GrantState]] = {}
    for ids in in_slices(sorted(set(account_ids))):
        query = select(BonusGrantRow).where(
            BonusGrantRow.account_id.in_(ids),
            BonusGrantRow.occasion.in_(OF_TOP_UPS),
            BonusGrantRow.amount_minor > 0,
        )
        for row in session.scalars(query.order_by(BonusGrantRow.id)):
            entry_id = int(row.occasion_key.rpartition(":")[2])
            if entry_id in wanted:
                found.setdefault(entry_id, []).append(_grant(row))
    return {entry_id: tuple(grants) for entry_id, grants in found.items()}


@dataclass(frozen=True, slots=True)
class Movement:
    """An entry of a wallet as the rules look at it."""

    entry_id: int
    reason: Reason
    amount_minor: int


@dataclass(frozen=True, slots=True)
class LatestBill:
    """What the month closed last asks of an account, and what came and went since."""

    month: Month
    asked_minor: int
    since: tuple[Movement, ...]
    """In the order in which they were recorded."""


def latest_bills(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, LatestBill]:
    """Return the bills of accounts that the month closed last left owing."""
    found: dict[AccountId, LatestBill] = {}
    for ids in in_slices(sorted(set(account_ids))):
        closed = (
            select(_WALLET.account_id, _WALLET.closed_through_month, func.sum(_ENTRY.amount_minor))
            .join(JournalEntryRow, _ENTRY.wallet_id == _WALLET.id)
            .where(_WALLET.account_id.in_(ids), _ENTRY.book_month <= _WALLET.closed_through_month)
            .group_by(_WALLET.account_id, _WALLET.closed_through_month)
            .having(func.sum(_ENTRY.amount_minor) < 0)
        )
        owing = {
            AccountId(a): (Month.from_ordinal(m), -int(net))
            for a, m, net in session.execute(closed)
        }
        moved: dict[AccountId, list[Movement]] = {}
        query = (
            select(_WALLET.account_id, _ENTRY.id, _ENTRY.reason, _ENTRY.amount_minor)
            .join(JournalEntryRow, _ENTRY.wallet_id == _WALLET.id)
            .where(
                _WALLET.account_id.in_(sorted(owing)),
                _ENTRY.book_month > _WALLET.closed_through_month,
            )
            .order_by(_WALLET.account_id, _ENTRY.sequence)
        )
        for account_id, entry_id, reason, minor in session.execute(query):
            moved.setdefault(AccountId(account_id), []).append(Movement(entry_id, reason, minor))
        for account_id, (month, asked_minor) in owing.items():
            since = tuple(moved.get(account_id, ()))
            found[account_id] = LatestBill(month, asked_minor, since)
    return found


def latest_top_ups(
    session: Session, account_id: AccountId, limit: int = 3
) -> tuple[tuple[datetime, int], ...]:
    """Return when the latest top-ups of an account came, and what they were."""
    query = (
        select(_ENTRY.valid_at, _ENTRY.amount_minor)
        .join(WalletRow, _ENTRY.wallet_id == _WALLET.id)
        .where(_WALLET.account_id == account_id, _ENTRY.reason == Reason.TOP_UP)
        .order_by(_ENTRY.sequence.desc())
        .limit(limit)
    )
    return tuple((valid_at, int(minor)) for valid_at, minor in session.execute(query))


def booked_by_month(
    session: Session, account_ids: Sequence[AccountId], until: Month
) -> dict[AccountId, dict[int, tuple[int, int]]]:
    """Return what moved wallets that have closed `until`, by ordinal of the month booked.

    Of each month all that moved, and the charges among it, in kopecks; what is charged is below 0.
    """
    charges = func.sum(case((_ENTRY.reason.in_(CHARGES), _ENTRY.amount_minor), else_=0))
    found: dict[AccountId, dict[int, tuple[int, int]]] = {}
    for ids in in_slices(sorted(set(account_ids))):
        query = (
            select(_WALLET.account_id, _ENTRY.book_month, func.sum(_ENTRY.amount_minor), charges)
            .join(JournalEntryRow, _ENTRY.wallet_id == _WALLET.id)
            .where(
                _WALLET.account_id.in_(ids),
                _WALLET.closed_through_month >= until.ordinal,
                _ENTRY.book_month <= until.ordinal,
            )
            .group_by(_WALLET.account_id, _ENTRY.book_month)
        )
        for account_id, month, net, charged in session.execute(query):
            found.setdefault(AccountId(account_id), {})[month] = (int(net), int(charged))
    return found


def demand_staff(scope: Scope) -> None:
    """Refuse who is no staff of the retailer: campaigns belong to no one house or account."""
    scope.demand(Right.VIEW_STAFF)
    if not scope.whole_retailer:
        raise NotFound(what=mark("campaign"), name="-")


@lru_cache(maxsize=256)
def _document(text: str) -> RuleDocument:
    """Return a rule that was checked when it was published; texts never change."""
    return read_rule(text, "bonus_rule")


def _campaign(row: CampaignRow) -> CampaignState:
    return CampaignState(
        id=row.id,
        code=row.code,
        name=row.name,
        name_en=row.name_en,
        budget_minor=row.budget_minor,
        granted_minor=row.granted_minor,
        begins_on=row.begins_on,
        ends_on=row.ends_on,
        actor=row.actor,
        recorded_at=row.recorded_at,
    )


def _grant(row: BonusGrantRow) -> GrantState:
    return GrantState(
        id=row.id,
        account_id=AccountId(row.account_id),
        rule_id=row.rule_id,
        rule_code=row.rule_code,
        occasion=row.occasion,
        occasion_key=row.occasion_key,
        on=row.on,
        earned_minor=row.earned_minor,
        amount_minor=row.amount_minor,
        campaign_id=row.campaign_id,
        entry_id=row.entry_id,
        expires_on=row.expires_on,
        detail=json.loads(row.detail or "{}"),
        recorded_at=row.recorded_at,
    )
