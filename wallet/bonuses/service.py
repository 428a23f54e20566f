"""Use cases of bonuses: publish a rule, begin a campaign, grant, take back with a top-up.

A grant holds the wallets first, low to high, then the campaigns that pay, low to high: everyone
takes them in this order, so nobody waits in a circle, and what a budget still holds is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Table, insert, select, update
from sqlalchemy.orm import Session

from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.digest import canonical_json
from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.ids import AccountId, JournalEntryId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.locks import wait_for
from wallet import store as wallet_store
from wallet.bonuses import store
from wallet.bonuses.documents import MOST_MINOR, code_of, read_rule
from wallet.bonuses.models import BonusGrantRow, BonusRuleRow, CampaignRow
from wallet.bonuses.rules import (
    BillPaid,
    Declined,
    Evaluation,
    Grant,
    MonthEnded,
    NightUsed,
    Occasion,
    TopUpPaid,
    Why,
    evaluate,
)
from wallet.bonuses.store import VOIDED, CampaignState, GrantState, PublishedRule
from wallet.book import Facts
from wallet.ledger import BONUS_EXPENSE, Reason, from_wallet
from wallet.lots import LotKind
from wallet.models import JournalEntryRow
from wallet.service import PutOrder, expire_lots, put_all

OCCASIONS: Final[Mapping[type[Occasion], str]] = {
    TopUpPaid: "top_up",
    BillPaid: "bill_paid",
    MonthEnded: "month_ended",
    NightUsed: "night_used",
}

_KEPT: Final = frozenset({Why.BUDGET_SPENT, Why.MONTH_CAP})
"""What left nothing of a bonus that was earned is written down, so that asking again is as before;
the other reasons follow from the rule and the occasion alone."""


class RuleInThePast(DomainError):
    """A version that would begin before today: what happened before was promised nothing."""

    code = "rule_in_the_past"
    template = mark("%(rule)s: a rule begins today or later, not on %(day)s.")


class RuleOutOfOrder(DomainError):
    """A version that would begin before the one it takes the place of."""

    code = "rule_out_of_order"
    template = mark("%(rule)s: version %(version)s begins on %(day)s, a later one begins after it.")


class CampaignExists(DomainError):
    """Another campaign of the same code; a campaign is never changed."""

    code = "campaign_exists"
    template = mark("There is another campaign %(campaign)s; a campaign is never changed.")


@dataclass(frozen=True, slots=True)
class CampaignOrder:
    """A campaign to begin."""

    code: str
    name: str
    budget_minor: int
    begins_on: date
    ends_on: date
    """The first day on which nothing is granted any more."""
    name_en: str = ""

    def __post_init__(self) -> None:
        try:
            code_of(self.code)
        except ValueError:
            raise _unfit(mark("code"), self.code) from None
        if not self.name.strip() or len(self.name) > 200:
            raise _unfit(mark("name"), self.name)
        if len(self.name_en) > 200:
            raise _unfit(mark("name"), self.name_en)
        if not 0 < self.budget_minor <= MOST_MINOR:
            raise _unfit(mark("budget"), str(self.budget_minor))
        if self.begins_on >= self.ends_on:
            raise _unfit(mark("end"), str(self.ends_on))


@dataclass(frozen=True, slots=True)
class Happened:
    """An occasion with the key that names it for ever, and the instant it is booked for."""

    occasion: Occasion
    key: str
    valid_at: datetime

    @property
    def account_id(self) -> AccountId:
        """Whose it is."""
        return self.occasion.account_id


@dataclass(frozen=True, slots=True)
class GrantOrder:
    """What happened, in the order in which budgets are served."""

    happened: Sequence[Happened]
    zone: ZoneInfo
    actor: str


@dataclass(frozen=True, slots=True)
class Granted:
    """A bonus that came into a wallet."""

    account_id: AccountId
    key: str
    rule: str
    amount_minor: int
    expires_on: date
    entry_id: JournalEntryId
    balance_minor: int


@dataclass(frozen=True, slots=True)
class TakeBackOrder:
    """A top-up that was taken back, by its entry: its bonuses go with it."""

    account_id: AccountId
    entry_id: JournalEntryId
    why: str
    valid_at: datetime
    zone: ZoneInfo
    actor: str


def publish_rule(
    session: Session, scope: Scope, text: str, where: str, clock: Clock, *, today: date
) -> tuple[PublishedRule, bool]:
    """Publish a version of a rule; the same text again changes nothing. Say whether it is new.

    `where` names the text in refusals; `today` is the retailer's local date.
    """
    _demand_publishing(scope)
    document = read_rule(text, where)
    wait_for(session, f"bonus_rule:{document.code}")
    versions = [one for one in store.published_rules(session) if one.code == document.code]
    if versions and versions[-1].document.digest == document.digest:
        return versions[-1], False
    if document.valid_from < today:
        raise RuleInThePast(rule=document.code, day=str(document.valid_from))
    if versions and document.valid_from < versions[-1].document.valid_from:
        raise RuleOutOfOrder(
            rule=document.code,
            version=versions[-1].version,
            day=str(versions[-1].document.valid_from),
        )
    campaign = None
    if document.campaign:
        campaign = store.campaign_by_code(session, scope, document.campaign)
        if document.valid_from >= campaign.ends_on:
            raise Invalid(
                where=where,
                problem=mark("the campaign %(campaign)s has ended by then"),
                campaign=campaign.code,
            )
    row = BonusRuleRow(
        code=document.code,
        version=len(versions) + 1,
        name=document.name,
        name_en=document.name_en,
        document=document.text,
        digest=document.digest,
        valid_from=document.valid_from,
        valid_until=document.valid_until,
        campaign_id=None if campaign is None else campaign.id,
        published_by=scope.actor,
        recorded_at=clock.now(),
    )
    session.add(row)
    session.flush()
    rule = PublishedRule(row.id, row.version, document, campaign, row.published_by, row.recorded_at)
    return rule, True


def begin_campaign(
    session: Session, scope: Scope, order: CampaignOrder, clock: Clock
) -> tuple[CampaignState, bool]:
    """Record a campaign; the same again changes nothing. Say whether it is new."""
    _demand_publishing(scope)
    wait_for(session, f"campaign:{order.code}")
    known = session.scalars(select(CampaignRow).where(CampaignRow.code == order.code)).first()
    told = {each.name: getattr(order, each.name) for each in fields(order)}
    if known is not None:
        if any(getattr(known, name) != value for name, value in told.items()):
            raise CampaignExists(campaign=order.code)
        return store.campaign_by_code(session, scope, order.code), False
    session.add(CampaignRow(**told, granted_minor=0, actor=scope.actor, recorded_at=clock.now()))
    session.flush()
    return store.campaign_by_code(session, scope, order.code), True


def grant(session: Session, order: GrantOrder, clock: Clock) -> tuple[Granted, ...]:
    """Grant what the published rules promise for what happened, once for each occasion.

    An occasion for which something is written is not looked at again. Where a campaign may have to
    pay, its row is locked before its budget is read. A bonus lives from the day on which it can be
    spent: that of the occasion, or today where it is granted later.
    """
    rules = {(one.code, one.version): one for one in store.published_rules(session)}
    judged = [one.as_rule() for one in rules.values()]
    about = [
        one
        for one in order.happened
        if any(rule.terms.minor(one.occasion) is not None for rule in judged)
    ]
    if not about:
        return ()
    wallet_store.hold_wallets(session, {one.account_id for one in about})
    done = set(store.served(session, [(one.account_id, one.key) for one in about]))
    fresh = []
    for one in about:
        if (one.account_id, one.key) not in done:
            done.add((one.account_id, one.key))
            fresh.append(one)
    payers = {
        one.campaign.id: one.campaign.code
        for one in rules.values()
        if one.campaign is not None and _may_pay(one, fresh)
    }
    locked = store.lock_campaigns(session, payers) if payers else {}
    spent = {each.code: each.granted_minor for each in locked.values()}
    given = store.given_in_months(
        session,
        [one.account_id for one in fresh],
        [rule.name for rule in judged if rule.most_a_month_minor],
        [Month.of(one.occasion.on) for one in fresh],
    )
    by_account: dict[AccountId, dict[tuple[AccountId, str, int], int]] = {}
    for key, minor in given.items():
        by_account.setdefault(key[0], {})[key] = minor
    today = local_date(clock.now(), order.zone)
    puts: list[PutOrder] = []
    rows: list[dict[str, Any]] = []
    for one in fresh:
        theirs = by_account.setdefault(one.account_id, {})
        found = evaluate([one.occasion], judged, spent_minor=spent, given_minor=theirs)
        for granted in found.grants:
            rule = rules[granted.rule, granted.version]
            place = (one.account_id, granted.rule, Month.of(one.occasion.on).ordinal)
            theirs[place] = theirs.get(place, 0) + granted.amount_minor
            if granted.campaign:
                spent[granted.campaign] = spent.get(granted.campaign, 0) + granted.amount_minor
            expires_on = max(today, granted.on) + timedelta(days=granted.expires_after_days)
            puts.append(_put(one, granted, expires_on, order))
            rows.append(
                _row(one, rule, granted.earned_minor, clock)
                | {"amount_minor": granted.amount_minor, "expires_on": expires_on}
                | {"detail": _detail(one.occasion, found, granted)}
            )
        for declined in found.declined:
            if declined.why in _KEPT:
                rule = rules[declined.rule, declined.version]
                row = _row(one, rule, declined.earned_minor, clock)
                rows.append(row | {"detail": _detail(one.occasion, found, declined)})
    moved = iter(put_all(session, puts, clock)) if puts else iter(())
    results = []
    for row in rows:
        if row["amount_minor"]:
            lot = next(moved)
            row["entry_id"] = lot.entry_id
            results.append(
                Granted(
                    account_id=row["account_id"],
                    key=row["occasion_key"],
                    rule=row["rule_code"],
                    amount_minor=row["amount_minor"],
                    expires_on=row["expires_on"],
                    entry_id=lot.entry_id,
                    balance_minor=lot.balance_minor,
                )
            )
    _write(session, rows)
    for campaign in locked.values():
        if spent[campaign.code] != campaign.granted_minor:
            _set_granted(session, campaign.id, spent[campaign.code])
    return tuple(results)


def foresee(session: Session, occasions: Iterable[Occasion]) -> Evaluation:
    """Return what occasions would earn if they happened now; nothing is written or locked."""
    asked = list(occasions)
    rules = store.published_rules(session)
    judged = [one.as_rule() for one in rules]
    return evaluate(
        asked,
        judged,
        spent_minor={
            one.campaign.code: one.campaign.granted_minor
            for one in rules
            if one.campaign is not None
        },
        given_minor=store.given_in_months(
            session,
            [one.account_id for one in asked],
            [rule.name for rule in judged if rule.most_a_month_minor],
            [Month.of(one.on) for one in asked],
        ),
    )


def take_back(session: Session, order: TakeBackOrder, clock: Clock) -> int:
    """Take back what a voided top-up had earned; return how many kopecks left the wallet.

    What of a bonus has expired by itself is gone already; what was spent, other lots now pay. The
    budget of a campaign gets the whole bonus back. Asked again, nothing is left to take.
    """
    wallet_store.hold_wallets(session, [order.account_id])
    found = store.grants_by_entry(session, order.account_id, order.entry_id)
    voided = {one.occasion_key.removeprefix(VOIDED) for one in found if one.taken_back}
    standing = [one for one in found if one.amount_minor > 0 and one.occasion_key not in voided]
    if not standing:
        return 0
    locked = store.lock_campaigns(
        session, {one.campaign_id for one in standing if one.campaign_id is not None}
    )
    expire_lots(session, [order.account_id], order.zone, clock)
    wallet = wallet_store.lock_wallets(session, [order.account_id])[order.account_id]
    now = clock.now()
    rows: list[dict[str, Any]] = []
    places: dict[int, int] = {}
    taken_minor = 0
    for one in standing:
        assert one.entry_id is not None, one
        lot_id, expired_minor = wallet_store.lot_of_entry(session, one.entry_id)
        amount_minor = one.amount_minor - expired_minor
        entry = session.get_one(JournalEntryRow, one.entry_id)
        if amount_minor:
            places[len(rows)] = len(wallet.entries)
            key = f"ungrant:{order.account_id}:{one.rule_code}:{one.occasion_key}"
            wallet.take_back(
                lot_id,
                amount_minor,
                (from_wallet(BONUS_EXPENSE, amount_minor),),
                Facts(
                    reason=Reason.REVERSAL,
                    valid_at=order.valid_at,
                    recorded_at=now,
                    month=Month.of(local_date(order.valid_at, order.zone)).ordinal,
                    actor=order.actor,
                    idempotency_key=key,
                    request_digest=str(one.id),
                    detail=canonical_json(
                        {"reverses": entry.sequence, "why": order.why, "rule": one.rule_code}
                    ),
                ),
            )
            taken_minor += amount_minor
        rows.append(_undone(one, expired_minor, order.why, now))
    written = wallet_store.write(session, [wallet])
    for number, place in places.items():
        rows[number]["entry_id"] = written[order.account_id].entry_ids[place]
    _write(session, rows)
    for campaign in locked.values():
        back = sum(one.amount_minor for one in standing if one.campaign_id == campaign.id)
        _set_granted(session, campaign.id, campaign.granted_minor - back)
    return taken_minor


def _may_pay(rule: PublishedRule, happened: Iterable[Happened]) -> bool:
    """Say whether a rule of a campaign may have to pay for any of what happened."""
    judged = rule.as_rule()
    return any(
        judged.in_force(one.occasion.on) and judged.terms.minor(one.occasion) for one in happened
    )


def _put(one: Happened, granted: Grant, expires_on: date, order: GrantOrder) -> PutOrder:
    return PutOrder(
        account_id=one.account_id,
        reason=Reason.BONUS,
        kind=LotKind.BONUS,
        amount_minor=granted.amount_minor,
        against=BONUS_EXPENSE,
        valid_at=one.valid_at,
        zone=order.zone,
        actor=order.actor,
        idempotency_key=f"grant:{one.account_id}:{granted.rule}:{one.key}",
        expires_at=local_midnight(expires_on, order.zone),
        rule=granted.rule,
        detail={"rule": granted.rule, "version": granted.version, "occasion": one.key},
    )


def _row(one: Happened, rule: PublishedRule, earned_minor: int, clock: Clock) -> dict[str, Any]:
    return {
        "account_id": one.account_id,
        "rule_id": rule.id,
        "rule_code": rule.code,
        "occasion": OCCASIONS[type(one.occasion)],
        "occasion_key": one.key,
        "on": one.occasion.on,
        "earned_minor": earned_minor,
        "amount_minor": 0,
        "campaign_id": None if rule.campaign is None else rule.campaign.id,
        "entry_id": None,
        "expires_on": None,
        "recorded_at": clock.now(),
    }


def _detail(occasion: Occasion, found: Evaluation, one: Grant | Declined) -> str:
    """Return what the occasion was, and what left less than was earned, as canonical JSON."""
    told: dict[str, object] = {}
    for each in fields(occasion):
        value = getattr(occasion, each.name)
        if each.name not in {"account_id", "on"}:
            told[each.name] = value.isoformat() if isinstance(value, date) else value
    told["version"] = one.version
    if isinstance(one, Declined):
        told["why"] = one.why
    elif one.campaign and one.amount_minor < one.earned_minor:
        told |= {"why": Why.BUDGET_SPENT} if not found.budget_left_minor[one.campaign] else {}
    return canonical_json(told)


def _undone(one: GrantState, expired_minor: int, why: str, now: datetime) -> dict[str, Any]:
    """Return the row that undoes a grant: of its day, so that a month's bound has room again."""
    return {
        "account_id": one.account_id,
        "rule_id": one.rule_id,
        "rule_code": one.rule_code,
        "occasion": one.occasion,
        "occasion_key": f"{VOIDED}{one.occasion_key}",
        "on": one.on,
        "earned_minor": -one.earned_minor,
        "amount_minor": -one.amount_minor,
        "campaign_id": one.campaign_id,
        "entry_id": None,
        "expires_on": None,
        "detail": canonical_json({"expired_minor": expired_minor, "reason": why}),
        "recorded_at": now,
    }


def _write(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        table = BonusGrantRow.__table__
        assert isinstance(table, Table)
        session.connection().execute(insert(table), rows)


def _set_granted(session: Session, campaign_id: int, granted_minor: int) -> None:
    session.execute(
        update(CampaignRow)
        .where(CampaignRow.id == campaign_id)
        .values(granted_minor=granted_minor)
        .execution_options(synchronize_session=False)
    )


def _demand_publishing(scope: Scope) -> None:
    scope.demand(Right.PUBLISH_TARIFFS)
    store.demand_staff(scope)


def _unfit(name: str, value: str) -> Invalid:
    return Invalid(
        where=mark("campaign"),
        problem=mark("the %(field)s cannot be %(text)s"),
        field=name,
        text=repr(value)[:80],
    )
