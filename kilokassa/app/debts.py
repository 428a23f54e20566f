"""Debts at the edge: the installation's rules, flags with their credit, agreements, notices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.debts import store as debts_store
from billing.debts.facts import standing_agreement
from billing.debts.service import DebtRules, debts_as_judged, debts_by_law, recompute, rules_of
from billing.models import Service
from kilokassa.app.telling import Told, account_notice, tell
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.confidence import Confidence
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark
from notices.notice import NoticeKind, NoticeOrder
from notices.service import enqueue_all
from notices.wallet_letters import Limitation
from wallet import store as wallet_store
from wallet.debts import store as debt_store
from wallet.debts.agreements import GRACE_DAYS, Agreement, AgreementTerms
from wallet.debts.flags import FlagKind, FlagOrder, Flags, read_flag
from wallet.debts.instalments import AgreementState, Instalment, is_offered
from wallet.debts.late_fee import key_rate_bp, late_fee_rules, parse_rules
from wallet.debts.service import SignOrder, end_agreement, sign_agreement, state_flag, withdraw_flag
from wallet.debts.service_state import Action, GuardSet, guard_sets, parse_guard_sets
from wallet.ledger import EMERGENCY_CREDITS, Reason
from wallet.lots import LotKind
from wallet.service import PutOrder, WithdrawOrder, put, withdraw_credit

SERVICES: Final = {
    str(Service.ELECTRICITY): mark("Electricity"),
    str(Service.HEAT): mark("Heat"),
    str(Service.COMMON_ELECTRICITY): mark("Electricity of common areas"),
    str(Service.COLD_WATER): mark("Cold water"),
    str(Service.HOT_WATER): mark("Hot water"),
    str(Service.DRAINAGE): mark("Drainage"),
    str(Service.HOUSING): mark("Upkeep of the house"),
}

RULE_WORDS: Final = {
    "may_be_cut": mark("which services may be cut"),
    "not_in_apartment_houses": mark("what is not cut in an apartment house"),
    "norm_months": mark("how many months by the norm a debt has to exceed"),
    "emergency_credit": mark("what an emergency credit protects"),
    "notice_days": mark("how many days follow a notice"),
    "needs_proof": mark("that the delivery of a notice has to be proven"),
    "limit_first": mark("that a limitation comes before a suspension"),
    "limited_days": mark("how long a limitation lasts before a suspension"),
    "asks_vulnerable": mark("that vulnerable people are spared"),
    "opens": mark("the hours in which nothing is cut"),
    "spares_weekends": mark("that weekends are spared"),
    "spares_holidays": mark("that holidays are spared"),
    "restore_days": mark("how soon the supply has to be back"),
}


class NothingOwed(DomainError):
    """An agreement on a debt that is not there."""

    code = "nothing_owed"
    template = "Account %(account)s owes nothing that could be paid by instalments."


def own_rules(late_fees: Path | None, guards: Path | None) -> DebtRules:
    """Return the rules of an installation: the product's, with its own files in their place.

    A guard set of a new code stands beside the product's; one of the same code takes its place.
    """
    return DebtRules(
        late_fees=late_fee_rules()
        if late_fees is None
        else parse_rules(late_fees.read_text("utf-8")),
        guards=guard_sets()
        if guards is None
        else {**guard_sets(), **parse_guard_sets(guards.read_text("utf-8"))},
    )


# --- flags ---


def set_flag(
    session: Session,
    scope: Scope,
    account_id: AccountId,
    kind: FlagKind,
    text: str,
    *,
    since: date,
    document: str,
    clock: Clock,
) -> bool:
    """State a flag of an account as a person writes it, and judge its services anew."""
    rules = rules_of(session)
    value = read_flag(kind, text, frozenset(rules.guards))
    order = FlagOrder(account_id, kind, since, value, document)
    changed = state_flag(session, scope, order, clock)
    if changed:
        if kind is FlagKind.EMERGENCY_CREDIT:
            keep_credits(session, scope, [account_id], clock)
        recompute(session, [account_id], clock, rules)
    return changed


def take_flag_back(
    session: Session, scope: Scope, account_id: AccountId, flag_id: int, clock: Clock
) -> bool:
    """Take a flag back, and judge the services of its account anew."""
    changed = withdraw_flag(session, scope, account_id, flag_id, clock)
    if changed:
        keep_credits(session, scope, [account_id], clock)
        recompute(session, [account_id], clock)
    return changed


def keep_credits(
    session: Session, scope: Scope, account_ids: Sequence[AccountId], clock: Clock
) -> int:
    """Let wallets hold what is stated of their credits for today; return how many changed.

    A credit stated for a day to come begins and ends by time alone. Accounts that ended get none.
    """
    month = Month.of(local_date(clock.now(), billing_store.retailer_zone(session)))
    changed = 0
    for account in billing_store.billed_accounts(session, account_ids, month):
        today = local_date(clock.now(), account.zone)
        if account.closed_on is None or today < account.closed_on:
            changed += keep_credit(session, scope, account.id, clock)
    return changed


def keep_credit(session: Session, scope: Scope, account_id: AccountId, clock: Clock) -> bool:
    """Let the wallet hold the emergency credit that is stated for today; say whether it changed.

    Another amount takes the former credit back first; what was used of it is owed, or paid anew.
    """
    # Two that look at once would both put one in.
    wallet = wallet_store.lock_wallets(session, [account_id])[account_id]
    # The flag's own row makes a repeat harmless; the key only has to differ each time.
    key = f"credit:{account_id}:{wallet.entry_count}"
    now = clock.now()
    zone = debts_store.zones_of(session, [account_id])[account_id]
    flags = debt_store.flags_on(session, [account_id], local_date(now, zone))
    wanted_minor = flags.get(account_id, Flags()).credit_minor or 0
    balance = wallet_store.balances(session, [account_id], now)[account_id]
    held_minor = balance.credit_minor + balance.credit_used_minor
    if held_minor == wanted_minor:
        return False
    if held_minor:
        withdrawn = WithdrawOrder(account_id, now, zone, scope.actor, f"{key}:end")
        withdraw_credit(session, withdrawn, clock)
    if wanted_minor:
        put(
            session,
            PutOrder(
                account_id=account_id,
                reason=Reason.EMERGENCY_CREDIT,
                kind=LotKind.CREDIT,
                amount_minor=wanted_minor,
                against=EMERGENCY_CREDITS,
                valid_at=now,
                zone=zone,
                actor=scope.actor,
                idempotency_key=key,
            ),
            clock,
        )
    return True


# --- agreements ---


@dataclass(frozen=True, slots=True)
class AgreementView:
    """An agreement with its schedule and how it stands today."""

    agreement: Agreement
    schedule: tuple[Instalment, ...]
    state: AgreementState
    stands: bool


def agreement_terms(
    session: Session,
    account_id: AccountId,
    *,
    months: int,
    first_due_on: date,
    rate_bp: int,
    clock: Clock,
    grace_days: int = GRACE_DAYS,
    debt_minor: int | None = None,
) -> AgreementTerms:
    """Return the terms of an agreement on what an account owes today, or on a part of it.

    The debt is all that is overdue, with old debt and late fees; the key rate is that of the rules.
    """
    rules = rules_of(session)
    zone = debts_store.zones_of(session, [account_id])[account_id]
    today = local_date(clock.now(), zone)
    debts = debts_by_law(session, [account_id], rules)[account_id]
    owed_minor = debts.overdue_total_minor(today) + debts.opening_minor + debts.fees_minor
    if owed_minor <= 0 or (debt_minor is not None and debt_minor > owed_minor):
        raise NothingOwed(account=account_id)
    known = rules.late_fees
    day = min(today, known.key_rates_known_until)
    return AgreementTerms(
        debt_minor=debt_minor or owed_minor,
        months=months,
        agreed_on=today,
        first_due_on=first_due_on,
        rate_bp=rate_bp,
        key_rate_bp=key_rate_bp(known, day),
        grace_days=grace_days,
    )


def sign(session: Session, scope: Scope, order: SignOrder, clock: Clock) -> Agreement:
    """Sign an agreement, and judge the services of its account anew: what was due is withdrawn."""
    agreement = sign_agreement(session, scope, order, clock)
    recompute(session, [order.account_id], clock)
    return agreement


def end(
    session: Session,
    scope: Scope,
    account_id: AccountId,
    agreement_id: int,
    why: str,
    clock: Clock,
) -> bool:
    """End an agreement today, and judge the services of its account anew."""
    zone = debts_store.zones_of(session, [account_id]).get(account_id, ZoneInfo("UTC"))
    today = local_date(clock.now(), zone)
    changed = end_agreement(
        session, scope, account_id, agreement_id, on=today, why=why, clock=clock
    )
    if changed:
        recompute(session, [account_id], clock)
    return changed


def agreement_views(
    session: Session, scope: Scope, clock: Clock, account_id: AccountId | None = None
) -> tuple[AgreementView, ...]:
    """Return agreements in reach, or those of one account, with how they stand today."""
    found = debt_store.agreements_in_reach(session, scope, account_id)
    ids = sorted({one.account_id for one in found})
    debts = debts_by_law(session, ids, rules_of(session))
    zones = debts_store.zones_of(session, ids)
    views = []
    for one in found:
        today = local_date(clock.now(), zones[one.account_id])
        last = today if one.ended_on is None else min(today, one.ended_on)
        state = one.state(one.paid_since(debts[one.account_id].paid), last)
        standing = standing_agreement([one], debts[one.account_id], today) is not None
        views.append(AgreementView(one, one.terms.schedule(), state, standing))
    return tuple(views)


def instalments_offered(
    session: Session, account_ids: Sequence[AccountId], month: Month
) -> frozenset[AccountId]:
    """Return the accounts whose bill of a month grew so much that instalments must be offered."""
    now = debts_store.charged_in(session, account_ids, month.ordinal)
    before = debts_store.charged_in(session, account_ids, month.plus(-12).ordinal)
    return frozenset(i for i, minor in now.items() if is_offered(minor, before.get(i, 0)))


# --- the notice of a limitation ---


def order_limitation_notices(session: Session, clock: Clock) -> int:
    """Write a notice for each decision that asks for one; the same debt is told of once.

    A customer without an address gets one too: staff print it and record its delivery by hand.
    """
    asking = debt_store.decisions_asking(session, Action.NOTIFY)
    if not asking:
        return 0
    rules = rules_of(session)
    retailer = billing_store.retailer(session)
    today = local_date(clock.now(), ZoneInfo(retailer.zone))
    month = Month.of(today)
    accounts = {
        account.id: account
        for account in billing_store.billed_accounts(
            session, sorted({one.account_id for one in asking}), month
        )
    }
    flags = debt_store.flags_on(session, list(accounts), today)
    debts = debts_as_judged(session, list(accounts), rules, flags)
    told: list[Told] = []
    on_paper: list[NoticeOrder] = []
    for one in asking:
        account = accounts.get(one.account_id)
        if account is None:
            continue
        guards = rules.guard_set(one.guard_set)
        threshold_minor = guards.norm_months * (one.facts.get("norm_month_minor") or 0)
        episode = str(one.facts.get("above_since") or one.number)[:10]
        key = debts_store.limitation_key(one.account_id, one.service, episode)
        facts = Limitation(
            service=SERVICES.get(one.service, one.service),
            debt_minor=debts[one.account_id].overdue_minor(one.service, today),
            threshold_minor=threshold_minor,
            days=guards.notice_days,
            suspended_after_days=guards.limited_days if guards.limit_first else 0,
            number=f"{account.number}/{one.number}",
            basis=_basis(guards),
            unchecked=tuple(RULE_WORDS.get(rule, rule) for rule in guards.from_memory),
        )
        told.append(Told(account, NoticeKind.LIMITATION, facts, key))
        on_paper.append(account_notice(retailer, account, NoticeKind.LIMITATION, facts, key))
    # Whoever has no address gets the letter all the same; where there is one, it has its key.
    return tell(session, told, clock) + enqueue_all(session, on_paper, clock)


def _basis(guards: GuardSet) -> str:
    """Return the law that a notice rests on, where that was checked; empty where it was not."""
    checked = {one.rule: one.source for one in guards.sources if one.confidence is Confidence.HIGH}
    return checked.get("notice_days", "").partition(";")[0]
