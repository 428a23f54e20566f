"""The state of a service: what a debt calls for, and every guard that stands in between.

A pure function of facts and a guard set (`rules/guard_sets.yaml`). It never asks for more than the
set allows, and a fact that is not known protects: where nothing is known, nothing is cut.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from kilokassa.core.calendar import local_date, local_midnight
from kilokassa.core.confidence import Confidence
from kilokassa.core.text import filled, mark
from wallet.rule_file import Fields, document

SATURDAY: Final = 5
LOOKED_AHEAD_DAYS: Final = 60


class ServiceState(StrEnum):
    """How a service stands, from the mildest to the harshest."""

    NORMAL = "normal"
    LOW = "low"
    """Little is left, or less than nothing once estimates are counted."""
    NEGATIVE = "negative"
    """Something is owed, and no more follows from it yet."""
    NOTICE_DUE = "notice_due"
    NOTICE_DELIVERED = "notice_delivered"
    RESTORING = "restoring"
    """The supply is cut and must not be: it is to be restored."""
    LIMITED = "limited"
    SUSPENDED = "suspended"


class Supply(StrEnum):
    """What a meter lets through, from the mildest to the harshest."""

    FULL = "full"
    LIMITED = "limited"
    OFF = "off"


class Action(StrEnum):
    """What is to be done now."""

    NONE = "none"
    NOTIFY = "notify"
    LIMIT = "limit"
    SUSPEND = "suspend"
    RESTORE = "restore"
    WITHDRAW = "withdraw"
    """A command that was sent is no longer wanted: money, or a guard, came first."""


class Guard(StrEnum):
    """What holds a limitation back."""

    SERVICE = "service"
    NEVER_LIST = "never_list"
    VULNERABLE = "vulnerable"
    AGREEMENT = "agreement"
    SHARED = "shared"
    NORM = "norm"
    EMERGENCY_CREDIT = "emergency_credit"
    SUSPENSE = "suspense"
    NOTICE = "notice"
    NOTICE_OF_THIS_DEBT = "notice_of_this_debt"
    NOTICE_DAYS = "notice_days"
    LIMITED_DAYS = "limited_days"
    HOURS = "hours"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"


WORDS: Final = {
    Guard.SERVICE: mark("this service is never cut here"),
    Guard.NEVER_LIST: mark("the account is on the list of those never cut"),
    Guard.VULNERABLE: mark("a vulnerable person lives here"),
    Guard.AGREEMENT: mark("an agreement to pay by instalments stands"),
    Guard.SHARED: mark("another account is open at the same premises"),
    Guard.NORM: mark("the debt is within what the norm allows"),
    Guard.EMERGENCY_CREDIT: mark("the emergency credit is not used up"),
    Guard.SUSPENSE: mark("money in suspense pays this debt"),
    Guard.NOTICE: mark("no notice was delivered with proof"),
    Guard.NOTICE_OF_THIS_DEBT: mark("the notice was delivered before this debt arose"),
    Guard.NOTICE_DAYS: mark("the days after the delivery of the notice are not over"),
    Guard.LIMITED_DAYS: mark("the limitation has not lasted long enough"),
    Guard.HOURS: mark("nothing is cut at this hour"),
    Guard.WEEKEND: mark("nothing is cut at a weekend"),
    Guard.HOLIDAY: mark("nothing is cut on a holiday"),
}
NOT_KNOWN: Final = mark("it is not known whether: %(problem)s")
LIMITED_FROM_MEMORY: Final = mark(
    "Rules of limitation that were not checked against their source: %(rules)s."
)
"""What a notice, or a list of debtors, says where `GuardSet.from_memory` names any."""


@dataclass(frozen=True, slots=True)
class Held:
    """A guard that holds the next step back."""

    guard: Guard
    known: bool = True
    """False where it holds because a fact is missing."""
    until: datetime | None = None
    """When it ends by itself; None where only another fact ends it."""

    @property
    def reason(self) -> str:
        """The sentence for people, as `kilokassa.core.text.told` reads it."""
        words = WORDS[self.guard]
        return words if self.known else filled(NOT_KNOWN, problem=words)


@dataclass(frozen=True, slots=True)
class RuleSource:
    """Where a rule of a guard set comes from."""

    rule: str
    source: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class GuardSet:
    """What the law or a contract lets be cut, and when."""

    code: str
    may_be_cut: frozenset[str]
    """The only services that may be cut at all."""
    not_in_apartment_houses: frozenset[str]
    """May be cut too, but never in an apartment house."""
    norm_months: int
    """The debt is above so many months by the norm; 0 where norms are not asked for."""
    emergency_credit: bool
    """Whether the debt is also above the credit that was granted."""
    needs_notice: bool
    needs_proof: bool
    notice_days: int
    """Whole local days after the day of delivery."""
    limit_first: bool
    limited_days: int
    """How many whole days a limitation lasts before a suspension."""
    asks_vulnerable: bool
    opens: time | None
    closes: time | None
    """Local hours in which a meter may be cut; None: at any hour."""
    spares_weekends: bool
    spares_holidays: bool
    restore_days: int
    """Calendar days after the payment in which the supply is restored."""
    sources: tuple[RuleSource, ...] = ()

    def __post_init__(self) -> None:
        days = (self.norm_months, self.notice_days, self.limited_days, self.restore_days)
        if min(days) < 0:
            raise ValueError(f"a guard set counts no negative days: {self!r}")
        if (self.opens is None) != (self.closes is None):
            raise ValueError(f"hours have both ends: {self!r}")
        if self.opens is not None and self.closes is not None and self.opens >= self.closes:
            raise ValueError(f"hours open before they close, within a day: {self!r}")

    @property
    def from_memory(self) -> tuple[str, ...]:
        """The rules not checked against their source; a document that leans on one warns."""
        return tuple(s.rule for s in self.sources if s.confidence is Confidence.MEMORY)

    @property
    def watches_the_calendar(self) -> bool:
        """Say whether there are hours or days on which nothing is cut."""
        return self.opens is not None or self.spares_weekends or self.spares_holidays


@dataclass(frozen=True, slots=True)
class DeliveredNotice:
    """A notice of the limitation to come, with what proves that it arrived."""

    delivered_at: datetime
    proof: str = ""
    """Receipt, signature, record of the call; empty where nothing proves it."""


@dataclass(frozen=True, slots=True)
class SupplyState:
    """What a meter lets through, as it was last read back."""

    supply: Supply
    pending: Supply | None
    since: datetime


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What is known of one service of an account at an instant; None is not known."""

    at: datetime
    zone: ZoneInfo
    service: str
    available_minor: int | None = None
    """What the account may still spend."""
    low_below_minor: int = 0
    debt_minor: int | None = None
    """What is posted, due and not covered, for this service alone."""
    norm_month_minor: int | None = None
    """A month of this service by the norm, whatever the meter says, at today's price."""
    credit_minor: int | None = None
    """The emergency credit that the account was granted."""
    above_since: datetime | None = None
    """Since when the debt is, without a break, above what the guard set allows."""
    agreement: bool | None = None
    """Whether an agreement stands and is kept."""
    in_apartment_house: bool | None = None
    vulnerable: bool | None = None
    never_cut: bool | None = None
    shared: bool | None = False
    """Whether another account is open at the premises: one meter would cut both."""
    suspense_minor: int = 0
    """Money that came and is on no account yet, and that may be this one's."""
    holidays: frozenset[date] | None = None
    """Local days off beside weekends; a year of which none is named is not known."""
    notice: DeliveredNotice | None = None
    supply: Supply = Supply.FULL
    """What the meter, read back, lets through."""
    limited_at: datetime | None = None
    pending: Supply | None = None
    """What a command that was sent, and is not confirmed, will make of the supply."""
    settled_at: datetime | None = None
    """When the debt was last paid in full, or agreed on."""

    def __post_init__(self) -> None:
        if self.at.tzinfo is not UTC:
            raise ValueError(f"a state is asked for at an instant in UTC: {self.at!r}")
        if self.norm_month_minor is not None and self.norm_month_minor <= 0:
            raise ValueError(f"a month by the norm costs something: {self.norm_month_minor}")
        if self.credit_minor is not None and self.credit_minor < 0:
            raise ValueError(f"a credit is not negative: {self.credit_minor}")


@dataclass(frozen=True, slots=True)
class Decision:
    """How a service stands, what to do, and all that holds the next step back."""

    state: ServiceState
    action: Action
    held_by: tuple[Held, ...] = ()
    next_at: datetime | None = None
    """When the next step falls due by time alone; None where another fact has to come first."""
    restore_by: datetime | None = None
    """When a supply that is to be restored has to be back."""

    @property
    def wanted(self) -> Supply:
        """What the meter should let through."""
        if self.state is ServiceState.LIMITED:
            return Supply.LIMITED
        return Supply.OFF if self.state is ServiceState.SUSPENDED else Supply.FULL


def decide(facts: ServiceFacts, guards: GuardSet) -> Decision:
    """Return the state of a service, and every guard that holds the next step back."""
    if facts.supply is Supply.FULL:
        state, held = _supplied(facts, guards)
    else:
        state, held = _cut(facts, guards)
    restoring = state is ServiceState.RESTORING
    return Decision(
        state=state,
        action=_action(facts, state),
        held_by=held,
        next_at=None if restoring else _next_at(facts, guards, held),
        restore_by=_restore_by(facts, guards) if restoring else None,
    )


@cache
def guard_sets() -> dict[str, GuardSet]:
    """Return the packaged guard sets by their codes; `household_ru` is the default."""
    return parse_guard_sets((files("wallet") / "rules" / "guard_sets.yaml").read_text("utf-8"))


def parse_guard_sets(text: str) -> dict[str, GuardSet]:
    """Read guard sets in the form of `rules/guard_sets.yaml`; refuse what is wrong by its place."""
    found = document(text, "guard_sets").all_by(
        lambda fields: fields.each("guard_sets", _guard_set)
    )
    return {guards.code: guards for guards in found}


def harsher(one: ServiceState, other: ServiceState) -> bool:
    """Say whether one state is harsher on people than another."""
    order = list(ServiceState)
    return order.index(one) > order.index(other)


def _guard_set(fields: Fields) -> GuardSet:
    return GuardSet(
        code=fields.text("code"),
        may_be_cut=fields.texts("may_be_cut"),
        not_in_apartment_houses=fields.texts("not_in_apartment_houses"),
        norm_months=fields.whole("norm_months"),
        emergency_credit=fields.flag("emergency_credit"),
        needs_notice=fields.flag("needs_notice"),
        needs_proof=fields.flag("needs_proof"),
        notice_days=fields.whole("notice_days"),
        limit_first=fields.flag("limit_first"),
        limited_days=fields.whole("limited_days"),
        asks_vulnerable=fields.flag("asks_vulnerable"),
        opens=fields.clock("opens"),
        closes=fields.clock("closes"),
        spares_weekends=fields.flag("spares_weekends"),
        spares_holidays=fields.flag("spares_holidays"),
        restore_days=fields.whole("restore_days"),
        sources=fields.each("sources", _source),
    )


def _source(fields: Fields) -> RuleSource:
    return RuleSource(
        fields.text("rule"), fields.text("source"), fields.one_of("confidence", Confidence)
    )


def _supplied(facts: ServiceFacts, guards: GuardSet) -> tuple[ServiceState, tuple[Held, ...]]:
    """Return the state of a service that is supplied in full."""
    unlawful = [*_never(facts, guards), *_within(facts, guards)]
    notice = list(_notice(facts, guards))
    waiting = [*_notice_days(facts, guards), *_calendar(facts, guards)]
    owes_nothing = facts.debt_minor is not None and facts.debt_minor <= 0
    held = () if owes_nothing else (*unlawful, *notice, *waiting)
    if unlawful or owes_nothing:
        return _by_balance(facts), held
    if notice:
        return ServiceState.NOTICE_DUE, held
    if waiting:
        return ServiceState.NOTICE_DELIVERED, held
    return ServiceState.LIMITED if guards.limit_first else ServiceState.SUSPENDED, held


def _cut(facts: ServiceFacts, guards: GuardSet) -> tuple[ServiceState, tuple[Held, ...]]:
    """Return the state of a service that is limited or off.

    It comes back where it is never cut, where nothing proves that it was cut lawfully, and where
    all is paid: a part of the debt does not restore it, nor do the hours in which nothing is cut.
    """
    never = list(_never(facts, guards))
    if facts.debt_minor is None:
        never += _within(facts, guards)
    never += [held for held in _notice(facts, guards) if held.guard is Guard.NOTICE]
    if never or facts.debt_minor is None or facts.debt_minor <= 0:
        return ServiceState.RESTORING, tuple(never)
    if facts.supply is Supply.OFF:
        return ServiceState.SUSPENDED, ()
    held = (
        *_within(facts, guards),
        *_notice(facts, guards),
        *_notice_days(facts, guards),
        *_limited_days(facts, guards),
        *_calendar(facts, guards),
    )
    return ServiceState.LIMITED if held else ServiceState.SUSPENDED, held


def _by_balance(facts: ServiceFacts) -> ServiceState:
    if facts.debt_minor is not None and facts.debt_minor > 0:
        return ServiceState.NEGATIVE
    low_below_minor = max(0, facts.low_below_minor)
    if facts.available_minor is not None and facts.available_minor < low_below_minor:
        return ServiceState.LOW
    return ServiceState.NORMAL


def _never(facts: ServiceFacts, guards: GuardSet) -> Iterator[Held]:
    """Yield what forbids to cut this service here, whatever is owed."""
    if facts.service not in guards.may_be_cut:
        elsewhere = facts.service in guards.not_in_apartment_houses
        if not elsewhere or facts.in_apartment_house is not False:
            yield Held(Guard.SERVICE, known=not elsewhere or facts.in_apartment_house is True)
    yield from _unless_denied(Guard.NEVER_LIST, facts.never_cut)
    if guards.asks_vulnerable:
        yield from _unless_denied(Guard.VULNERABLE, facts.vulnerable)
    yield from _unless_denied(Guard.AGREEMENT, facts.agreement)
    yield from _unless_denied(Guard.SHARED, facts.shared)


def _unless_denied(guard: Guard, fact: bool | None) -> Iterator[Held]:
    if fact is not False:
        yield Held(guard, known=fact is True)


def _within(facts: ServiceFacts, guards: GuardSet) -> Iterator[Held]:
    """Yield what the debt is still within; the norm and the credit add up."""
    owed_minor = facts.debt_minor
    norm_minor = facts.norm_month_minor if guards.norm_months else 0
    credit_minor = facts.credit_minor if guards.emergency_credit else 0
    by_credit_alone = guards.emergency_credit and not guards.norm_months
    if owed_minor is None or norm_minor is None or credit_minor is None:
        if not by_credit_alone and (owed_minor is None or norm_minor is None):
            yield Held(Guard.NORM, known=False)
        if guards.emergency_credit and (owed_minor is None or credit_minor is None):
            yield Held(Guard.EMERGENCY_CREDIT, known=False)
    elif owed_minor <= guards.norm_months * norm_minor + credit_minor:
        yield Held(Guard.EMERGENCY_CREDIT if by_credit_alone else Guard.NORM)
    elif owed_minor - facts.suspense_minor <= guards.norm_months * norm_minor + credit_minor:
        yield Held(Guard.SUSPENSE, known=False)


def _notice(facts: ServiceFacts, guards: GuardSet) -> Iterator[Held]:
    """Yield what the notice lacks."""
    if not guards.needs_notice:
        return
    notice = facts.notice
    unproven = guards.needs_proof and (notice is None or not notice.proof)
    if notice is None or unproven or notice.delivered_at > facts.at:
        yield Held(Guard.NOTICE)
    elif facts.above_since is None:
        yield Held(Guard.NOTICE_OF_THIS_DEBT, known=False)
    elif notice.delivered_at < facts.above_since:
        yield Held(Guard.NOTICE_OF_THIS_DEBT)


def _notice_days(facts: ServiceFacts, guards: GuardSet) -> Iterator[Held]:
    """Yield the days after the delivery; the day of delivery is not one of them."""
    if not guards.needs_notice or facts.notice is None:
        return
    over = _days_after(facts.notice.delivered_at, guards.notice_days, facts.zone)
    if facts.at < over:
        yield Held(Guard.NOTICE_DAYS, until=over)


def _limited_days(facts: ServiceFacts, guards: GuardSet) -> Iterator[Held]:
    if not guards.limit_first:
        return
    if facts.limited_at is None:
        yield Held(Guard.LIMITED_DAYS, known=False)
        return
    over = _days_after(facts.limited_at, guards.limited_days, facts.zone)
    if facts.at < over:
        yield Held(Guard.LIMITED_DAYS, until=over)


def _calendar(facts: ServiceFacts, guards: GuardSet) -> Iterator[Held]:
    """Yield the hours and days on which nothing is cut."""
    if not guards.watches_the_calendar:
        return
    until = _opens_at(facts.at, facts, guards)
    local = facts.at.astimezone(facts.zone)
    opens, closes = guards.opens or time.min, guards.closes or time.max
    if not opens <= local.time() < closes and guards.opens is not None:
        yield Held(Guard.HOURS, until=until)
    if guards.spares_weekends and local.weekday() >= SATURDAY:
        yield Held(Guard.WEEKEND, until=until)
    holiday = _is_holiday(local.date(), facts.holidays)
    if guards.spares_holidays and holiday is not False:
        yield Held(Guard.HOLIDAY, known=holiday is True, until=until if holiday else None)


def _opens_at(at: datetime, facts: ServiceFacts, guards: GuardSet) -> datetime | None:
    """Return the first instant, `at` or later, that lies in no protected hour or day."""
    today = local_date(at, facts.zone)
    for n in range(LOOKED_AHEAD_DAYS):
        day = today + timedelta(days=n)
        if guards.spares_weekends and day.weekday() >= SATURDAY:
            continue
        if guards.spares_holidays and _is_holiday(day, facts.holidays) is not False:
            continue
        opens, closes = local_midnight(day, facts.zone), _days_after_day(day, 1, facts.zone)
        if guards.opens is not None and guards.closes is not None:
            opens = _local(day, guards.opens, facts.zone)
            closes = _local(day, guards.closes, facts.zone)
        if max(at, opens) < closes:
            return max(at, opens)
    return None


def _is_holiday(day: date, holidays: frozenset[date] | None) -> bool | None:
    """Say whether a day is a holiday; None where those of its year are not known."""
    if holidays is None or all(known.year != day.year for known in holidays):
        return None
    return day in holidays


def _next_at(facts: ServiceFacts, guards: GuardSet, held: Iterable[Held]) -> datetime | None:
    ends = [each.until for each in held]
    known = [end for end in ends if end is not None]
    if not known or len(known) < len(ends):
        return None
    return _opens_at(max(known), facts, guards)


def _restore_by(facts: ServiceFacts, guards: GuardSet) -> datetime | None:
    if facts.settled_at is None:
        return None
    return _days_after(facts.settled_at, guards.restore_days, facts.zone)


def _action(facts: ServiceFacts, state: ServiceState) -> Action:
    wanted = Decision(state, Action.NONE).wanted
    order = list(Supply)
    if facts.pending is not None:
        too_harsh = order.index(facts.pending) > order.index(wanted)
        return Action.WITHDRAW if too_harsh else Action.NONE
    if order.index(wanted) > order.index(facts.supply):
        return Action.LIMIT if wanted is Supply.LIMITED else Action.SUSPEND
    if order.index(wanted) < order.index(facts.supply):
        return Action.RESTORE
    return Action.NOTIFY if state is ServiceState.NOTICE_DUE else Action.NONE


def _days_after(instant: datetime, days: int, zone: ZoneInfo) -> datetime:
    """Return the end of so many whole local days after the day of `instant`."""
    return _days_after_day(local_date(instant, zone), days + 1, zone)


def _days_after_day(day: date, days: int, zone: ZoneInfo) -> datetime:
    return local_midnight(day + timedelta(days=days), zone)


def _local(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)
