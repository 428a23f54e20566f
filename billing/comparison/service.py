"""Use cases: compare the plans open to an account, change to another, withdraw that, return."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
from sqlalchemy.orm import Session

from billing.accounts import BilledAccount
from billing.comparison.comparison import (
    MONTHS,
    SHIFT_PERCENT,
    Comparison,
    PlanCost,
    cheapest_first,
)
from billing.comparison.store import (
    RegisterUse,
    joint_uses,
    register_costs,
    register_facts,
    register_uses,
)
from billing.facts.facts import Term, TermsOrder
from billing.facts.service import change_terms
from billing.facts.store import contracted_w_on, standing_terms
from billing.models import Measurement
from billing.month.needs import needs_of
from billing.month.store import plans_on_offer
from billing.store import account_in_reach, billed_accounts, retailer_zone
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.errors import DomainError, Forbidden
from kilokassa.core.ids import AccountId, TariffPlanId
from kilokassa.core.period import Period
from kilokassa.core.scope import DEEDS, Right, Scope
from kilokassa.core.text import mark
from tariffs.charges import PPM
from tariffs.compare import Use, costs, gain_of_shifting
from tariffs.facts import AccountFacts
from tariffs.lines import CannotRate, VersionInForce
from tariffs.plans import TariffVersion
from tariffs.rehearsal import reaching_back
from tariffs.store import Plan, plans, versions_in_force

NOTHING_USED: Final = mark("nothing is known of its use in these months")
Versions = tuple[VersionInForce, ...]


class CannotSwitch(DomainError):
    """The account cannot change to the plan it asks for."""

    code = "cannot_switch"
    template = "The plan %(plan)s cannot be chosen: %(problem)s."

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with the problem in the reader's language too."""
        problem = translate(self.values["problem"]) % self.values
        return translate(self.template) % (self.values | {"problem": problem})


def open_plans(session: Session, account: BilledAccount, day: date) -> dict[str, TariffVersion]:
    """Return the plans that an account may have on a day, by code: its own one among them."""
    start = local_midnight(day, account.zone)
    moment = Period(start, local_midnight(day + timedelta(days=1), account.zone))
    on_offer = plans_on_offer(session, account.plan_id, moment, account.zone)
    return {versions[-1][1].plan_code: versions[-1][1] for versions in on_offer.values()}


def compare(
    session: Session,
    scope: Scope,
    account_id: AccountId,
    last: Month,
    *,
    months: int = MONTHS,
    shift_percent: int = SHIFT_PERCENT,
) -> Comparison:
    """Price the last months of an account on every plan open to it; write nothing.

    `last` is the last month that is over. A plan that began later is priced by its first prices
    for the time before, and says so.
    """
    row = account_in_reach(session, scope, account_id)
    first = max(last.plus(1 - months), Month.of(row.opened_on))
    # The plan it has now, though another may have held while the energy was used.
    open_now = billed_accounts(session, [account_id], last.plus(1))
    found = open_now or billed_accounts(session, [account_id], last)
    if not found or first > last:
        raise CannotRate(plan="-", problem=NOTHING_USED)
    account = found[0]
    known = {plan.code: plan for plan in plans(session)}
    offered = open_plans(session, account, last.plus(1).first_day)
    period = Period(first.period(account.zone).start, last.period(account.zone).end)
    in_force = versions_in_force(
        session, [plan.id for plan in known.values()], period, account.zone
    )
    priced: dict[str, Versions] = {}
    began_later: set[str] = set()
    for code in known:
        versions = in_force.get(known[code].id, ())
        if not versions and code in offered:
            versions = ((period, offered[code]),)
        if (versions and versions[0][0].start > period.start) or (
            versions and versions[0][1].valid_from > first.first_day
        ):
            began_later.add(code)
            head, *rest = versions
            early = reaching_back(head[1], first.first_day)
            versions = ((Period(period.start, head[0].end), early), *rest)
        priced[code] = versions
    shift_ppm = shift_percent * PPM // 100
    tally = _Tally()
    if account.measurement is Measurement.INTERVALS:
        asking = [version for code in offered for _, version in priced[code]]
        for joint in joint_uses(session, [account], first, last, asking):
            tally.add_intervals(joint.use, offered, priced, shift_ppm)
    else:
        use = register_uses(session, [account_id], first, last).get(account_id)
        if use is not None:
            asked = [first.plus(n) for n in range(last.ordinal - first.ordinal + 1)]
            asking = [version for code in offered for _, version in priced[code]]
            facts = register_facts(session, [account], asked, asking)[account_id]
            tally.add_registers(use, offered, priced, asked, account, facts)
    return Comparison(
        first=first,
        last=last,
        measurement=account.measurement,
        current=next(plan.code for plan in known.values() if plan.id == account.plan_id),
        costs=cheapest_first(
            [
                PlanCost(
                    plan=known[code],
                    cost_minor=paid,
                    by_rates_minor=by_rates,
                    shift_gain_minor=gain,
                    guarantee=_promise(offered[code]),
                    first_prices_taken=code in began_later,
                    open=offered[code].open,
                )
                for code, (paid, by_rates, gain) in tally.costs.items()
                if code not in tally.refused
            ]
        ),
        refused=tuple((known[code], why) for code, why in sorted(tally.refused.items())),
        measured_ppm=tally.measured * PPM // max(tally.asked, 1),
        energy_wh=tally.energy_wh,
        shift_percent=shift_percent,
    )


def _promise(version: TariffVersion) -> str:
    return "" if version.charges.guarantee is None else version.charges.guarantee.plan_code


class _Tally:
    """Adds up what the points of one account cost on each plan."""

    def __init__(self) -> None:
        self.costs: dict[str, tuple[int, int, int | None]] = {}
        self.refused: dict[str, CannotRate] = {}
        self.measured = self.asked = self.energy_wh = 0

    def add_intervals(
        self,
        use: Use,
        codes: Mapping[str, TariffVersion],
        priced: Mapping[str, Versions],
        shift_ppm: int,
    ) -> None:
        """Add what was measured by intervals."""
        self.measured += int(use.measured.sum())
        self.asked += use.intervals * len(use.energy_wh)
        self.energy_wh += int(use.energy_wh.sum(dtype=np.int64))
        for code in codes:
            try:
                own = costs(priced[code], use, priced)
                gain = int(gain_of_shifting(priced[code], use, shift_ppm, priced).sum())
            except CannotRate as refusal:
                self.refused[code] = refusal
                continue
            paid, by_rates, gained = self.costs.get(code, (0, 0, 0))
            self.costs[code] = (
                paid + int(own.paid_minor.sum()),
                by_rates + int(own.by_rates_minor.sum()),
                (gained or 0) + gain,
            )

    def add_registers(
        self,
        use: RegisterUse,
        codes: Mapping[str, TariffVersion],
        priced: Mapping[str, Versions],
        months: Sequence[Month],
        account: BilledAccount,
        facts: Sequence[AccountFacts | None],
    ) -> None:
        """Add what registers counted."""
        self.measured += sum(month in use for month in months)
        self.asked += len(months)
        self.energy_wh += sum(sum(zones.values()) for zones in use.values())
        for code in codes:
            try:
                own = register_costs(priced[code], use, months, account.zone, facts, priced)
            except CannotRate as refusal:
                self.refused[code] = refusal
                continue
            self.costs[code] = (int(own.paid_minor.sum()), int(own.by_rates_minor.sum()), None)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which plan an account has, which will follow, and which it may choose or return to."""

    current: Plan
    since: date
    pending: Plan | None
    """The plan that follows, where another was chosen."""
    pending_from: date | None
    former: Plan | None
    """The plan that the account had before this one; of the same category it may return to it."""
    next_period: date
    """The first day of the next period, from which a choice holds."""
    by_registers: bool
    """Says that the meter is read by registers, so that nothing can be chosen yet."""
    offered: tuple[Plan, ...]
    """The plans that may be chosen, the own one not among them."""
    guarantees: Mapping[str, Plan]
    """Of plans that promise it: the plan they are never dearer than."""


def choice_of(session: Session, scope: Scope, account_id: AccountId, now: datetime) -> Choice:
    """Return what an account has and what it may choose."""
    account_in_reach(session, scope, account_id)
    known = {plan.id: plan for plan in plans(session)}
    account, terms, today = _standing(session, account_id, now)
    begun = [term for term in terms if term.valid_from <= today]
    current = begun[-1] if begun else terms[0]
    following = [
        term for term in terms if term.valid_from > today and term.plan_id != current.plan_id
    ]
    since = current.valid_from
    former: TariffPlanId | None = None
    for term in reversed(begun):
        if term.plan_id != current.plan_id:
            former = term.plan_id
            break
        since = term.valid_from
    start = Month.of(today).plus(1).first_day
    offered = open_plans(session, account, start)
    own = known[current.plan_id]
    by_code = {plan.code: plan for plan in known.values()}
    codes = set(offered) - {own.code}
    if former is not None:
        returned = _in_force(session, account, former, start)
        mine = offered.get(own.code)
        if returned is not None and (mine is None or mine.category == returned.category):
            codes.add(known[former].code)
    return Choice(
        current=own,
        since=since,
        pending=known[following[0].plan_id] if following else None,
        pending_from=following[0].valid_from if following else None,
        former=None if former is None else known[former],
        next_period=start,
        by_registers=current.measurement is Measurement.REGISTERS,
        offered=tuple(plan for plan in known.values() if plan.code in codes),
        guarantees={
            code: by_code[promise]
            for code, one in offered.items()
            if (promise := _promise(one)) in by_code
        },
    )


def choose_plan(
    session: Session, scope: Scope, account_id: AccountId, plan_code: str, clock: Clock
) -> Choice:
    """Let an account have another plan from the first day of the next month.

    To name the plan it has withdraws a choice that has not begun. The former plan may be named,
    though it is closed by now: a return costs nothing. Not so one that is for others, by its
    category: what made the account one of them is gone.
    """
    if not scope.may(Right.CHOOSE_PLAN):
        raise Forbidden(action=DEEDS[Right.CHOOSE_PLAN])
    choice = choice_of(session, scope, account_id, clock.now())
    if choice.by_registers:
        problem = mark("the meter is read by registers and has to be set for the plan first")
        raise CannotSwitch(plan=plan_code, problem=problem)
    allowed = {plan.code: plan for plan in (*choice.offered, choice.current)}
    if plan_code not in allowed:
        raise CannotSwitch(plan=plan_code, problem=mark("it is not open to this account"))
    if plan_code == choice.current.code and choice.pending is None:
        return choice
    if plan_code != choice.current.code:
        _can_be_billed(session, account_id, allowed[plan_code], choice.next_period, clock.now())
    terms = standing_terms(session, account_id)
    begun = [term for term in terms if term.valid_from < choice.next_period]
    order = TermsOrder(
        account_id=account_id,
        valid_from=choice.next_period,
        plan_id=allowed[plan_code].id,
        settlement=begun[-1].settlement,
        measurement=begun[-1].measurement,
        actor=scope.actor,
    )
    change_terms(session, order, clock)
    return choice_of(session, scope, account_id, clock.now())


def _can_be_billed(
    session: Session, account_id: AccountId, plan: Plan, day: date, now: datetime
) -> None:
    """Refuse a plan that asks what is not known of the account: its months would not be charged."""
    account, _, _ = _standing(session, account_id, now)
    version = _in_force(session, account, plan.id, day)
    needs = None if version is None else needs_of([version])
    if needs is None or not needs.contracted:
        return
    if account_id not in contracted_w_on(session, [account_id], day):
        raise CannotSwitch(plan=plan.code, problem=mark("the contracted capacity is not known"))


def _standing(
    session: Session, account_id: AccountId, now: datetime
) -> tuple[BilledAccount, tuple[Term, ...], date]:
    today = local_date(now, retailer_zone(session))
    accounts = billed_accounts(session, [account_id], Month.of(today))
    if not accounts:
        raise CannotSwitch(plan="-", problem=mark("the account is closed"))
    account = accounts[0]
    return account, standing_terms(session, account_id), local_date(now, account.zone)


def _in_force(
    session: Session, account: BilledAccount, plan_id: TariffPlanId, day: date
) -> TariffVersion | None:
    start = local_midnight(day, account.zone)
    moment = Period(start, local_midnight(day + timedelta(days=1), account.zone))
    versions = versions_in_force(session, [plan_id], moment, account.zone).get(plan_id)
    return versions[-1][1] if versions else None
