"""Bonus rules as data: what earns a bonus, how much, until when, and out of which budget.

A rule is one version of what the retailer promises; it is never edited, a later version takes its
place from its first day on. Of the rules of one group that an occasion satisfies the largest bonus
is granted, and groups add up. Every grant names its rule, every refusal its reason. Exact: one
rounding a grant, half up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId
from kilokassa.core.money import RATE_SCALE, half_up_ratio
from kilokassa.core.text import mark

BASIS_POINTS: Final = 10_000

WH_RATES_A_KOPECK: Final = 1_000 * RATE_SCALE // 100
"""Watt-hours times a rate in millionths of a rouble a kilowatt-hour, in a kopeck."""


@dataclass(frozen=True, slots=True)
class TopUpPaid:
    """An occasion: money came in."""

    account_id: AccountId
    on: date
    amount_minor: int


@dataclass(frozen=True, slots=True)
class BillPaid:
    """An occasion: what a month asks for was paid, on the day the last of it came."""

    account_id: AccountId
    on: date
    amount_minor: int
    due_on: date

    def __post_init__(self) -> None:
        if self.amount_minor < 1:
            raise ValueError(f"what was paid is something: {self!r}")


@dataclass(frozen=True, slots=True)
class MonthEnded:
    """An occasion: a month was closed, the latest of so many in a row without debt; 0 with one."""

    account_id: AccountId
    on: date
    months_without_debt: int


@dataclass(frozen=True, slots=True)
class NightUsed:
    """An occasion: a month was measured, with the account's own share of the night from before."""

    account_id: AccountId
    on: date
    energy_wh: int
    night_wh: int
    former_energy_wh: int
    former_night_wh: int

    def __post_init__(self) -> None:
        if not 0 <= self.night_wh <= self.energy_wh:
            raise ValueError(f"the night is a part of the month: {self!r}")
        if not 0 <= self.former_night_wh <= self.former_energy_wh:
            raise ValueError(f"the night was a part of the time before: {self!r}")


Occasion = TopUpPaid | BillPaid | MonthEnded | NightUsed


@dataclass(frozen=True, slots=True)
class SizeOfTopUp:
    """A share of a top-up from a size on."""

    threshold_minor: int
    basis_points: int

    def __post_init__(self) -> None:
        if self.threshold_minor <= 0 or not 0 < self.basis_points <= BASIS_POINTS:
            raise ValueError(f"a bonus rule has a threshold and up to 100 %: {self!r}")

    def minor(self, occasion: Occasion) -> int | None:
        """Return the bonus, None where the occasion is not what the rule is about."""
        if not isinstance(occasion, TopUpPaid):
            return None
        if occasion.amount_minor < self.threshold_minor:
            return 0
        return half_up_ratio(occasion.amount_minor * self.basis_points, BASIS_POINTS)


@dataclass(frozen=True, slots=True)
class EarlyPayment:
    """A share of a month's bill that was paid so many days before it was due, or earlier."""

    days_before: int
    basis_points: int

    def __post_init__(self) -> None:
        if self.days_before < 1 or not 0 < self.basis_points <= BASIS_POINTS:
            raise ValueError(f"early is a day before at least, for up to 100 %: {self!r}")

    def minor(self, occasion: Occasion) -> int | None:
        """Return the bonus, None where the occasion is not what the rule is about."""
        if not isinstance(occasion, BillPaid):
            return None
        if (occasion.due_on - occasion.on).days < self.days_before:
            return 0
        return half_up_ratio(occasion.amount_minor * self.basis_points, BASIS_POINTS)


@dataclass(frozen=True, slots=True)
class MonthsWithoutDebt:
    """An amount each time another so many months in a row have passed without debt."""

    months: int
    amount_minor: int

    def __post_init__(self) -> None:
        if self.months < 1 or self.amount_minor < 1:
            raise ValueError(f"something is granted for a month at least: {self!r}")

    def minor(self, occasion: Occasion) -> int | None:
        """Return the bonus, None where the occasion is not what the rule is about."""
        if not isinstance(occasion, MonthEnded):
            return None
        passed = occasion.months_without_debt
        return self.amount_minor if passed > 0 and passed % self.months == 0 else 0


@dataclass(frozen=True, slots=True)
class MovedToNight:
    """A price for each kilowatt-hour used at night beyond the account's own former share.

        moved = night - energy * former night / former energy

    where energy is that of the month: who uses less altogether is not asked for more at night, and
    nobody is measured against a neighbour. `rate` is in millionths of a rouble a kilowatt-hour.
    """

    rate: int
    former_least_wh: int = 1
    """Less than that was not enough to know a habit by."""

    def __post_init__(self) -> None:
        if self.rate < 1 or self.former_least_wh < 1:
            raise ValueError(f"a moved kilowatt-hour has a price and something to go by: {self!r}")

    def minor(self, occasion: Occasion) -> int | None:
        """Return the bonus, None where the occasion is not what the rule is about."""
        if not isinstance(occasion, NightUsed):
            return None
        former_wh = occasion.former_energy_wh
        if former_wh < self.former_least_wh:
            return 0
        # Multiplied before it is divided: moved is in watt-hours times `former_wh`.
        moved = occasion.night_wh * former_wh - occasion.energy_wh * occasion.former_night_wh
        return half_up_ratio(max(0, moved) * self.rate, former_wh * WH_RATES_A_KOPECK)


Terms = SizeOfTopUp | EarlyPayment | MonthsWithoutDebt | MovedToNight


@dataclass(frozen=True, slots=True)
class Campaign:
    """Money for bonuses that ends; several rules may draw on one campaign."""

    name: str
    budget_minor: int
    ends_on: date
    """The first day on which nothing is granted any more."""
    begins_on: date = date.min

    def __post_init__(self) -> None:
        if self.budget_minor < 0:
            raise ValueError(f"a budget is not below zero: {self!r}")

    def runs(self, on: date) -> bool:
        """Say whether something may be granted on the day."""
        return self.begins_on <= on < self.ends_on


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a bonus rule: its terms, its dates, its caps, its campaign."""

    name: str
    version: int
    terms: Terms
    valid_from: date
    valid_until: date | None = None
    expires_after_days: int = 90
    group: str = ""
    """Of one group the largest bonus is granted; without a name, rules of like terms are one."""
    most_minor: int | None = None
    """Of one grant."""
    most_a_month_minor: int | None = None
    """To one account in a calendar month, by all versions of the rule."""
    campaign: Campaign | None = None

    def __post_init__(self) -> None:
        if self.expires_after_days < 1:
            raise ValueError(f"a bonus lives for a day at least: {self!r}")
        if any(cap is not None and cap < 1 for cap in (self.most_minor, self.most_a_month_minor)):
            raise ValueError(f"a cap leaves something: {self!r}")

    @property
    def competes(self) -> str:
        """The group in which only the largest bonus is granted."""
        return self.group or type(self.terms).__name__

    def in_force(self, on: date) -> bool:
        """Say whether the rule and its campaign run on the day."""
        return (
            self.valid_from <= on
            and (self.valid_until is None or on < self.valid_until)
            and (self.campaign is None or self.campaign.runs(on))
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """A bonus that a rule grants."""

    account_id: AccountId
    on: date
    rule: str
    version: int
    amount_minor: int
    earned_minor: int
    """Before caps and the budget."""
    expires_on: date
    expires_after_days: int
    campaign: str = ""


class Why(StrEnum):
    """Why a rule that an occasion is about grants nothing."""

    NOT_IN_FORCE = "not_in_force"
    NOT_EARNED = "not_earned"
    MONTH_CAP = "month_cap"
    BUDGET_SPENT = "budget_spent"
    ANOTHER_IS_LARGER = "another_is_larger"


WHY_WORDS: Final = {
    Why.NOT_IN_FORCE: mark("The rule does not run on this day."),
    Why.NOT_EARNED: mark("What the rule asks for was not reached."),
    Why.MONTH_CAP: mark("The most that the rule gives in a month was already given."),
    Why.BUDGET_SPENT: mark("The budget of the campaign is spent."),
    Why.ANOTHER_IS_LARGER: mark("Another rule gives more; of these only one counts."),
}

TERMS_WORDS: Final[Mapping[type[Terms], str]] = {
    SizeOfTopUp: mark("Bonus for the size of a top-up"),
    EarlyPayment: mark("Bonus for paying early"),
    MonthsWithoutDebt: mark("Bonus for months without debt"),
    MovedToNight: mark("Bonus for moving use to the night"),
}


@dataclass(frozen=True, slots=True)
class Declined:
    """A rule that could have granted something for an occasion, and why it does not."""

    account_id: AccountId
    on: date
    rule: str
    version: int
    why: Why
    earned_minor: int
    """Before bounds: what they, or a larger bonus, took away."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What occasions earn, in their order, and what is left of the budgets."""

    grants: tuple[Grant, ...]
    declined: tuple[Declined, ...]
    budget_left_minor: Mapping[str, int]


@dataclass(slots=True)
class _Purse:
    """What may still be granted while occasions are gone through."""

    budget_left_minor: dict[str, int] = field(default_factory=dict)
    given_minor: dict[tuple[AccountId, str, int], int] = field(default_factory=dict)

    def room_minor(self, occasion: Occasion, rule: Rule) -> tuple[int, Why]:
        """Return the most that the rule may grant, and what sets that bound."""
        month_minor = rule.most_a_month_minor
        given_minor = self.given_minor.get(_given_key(occasion, rule), 0)
        rooms = [(max(0, month_minor - given_minor), Why.MONTH_CAP)] if month_minor else []
        if rule.campaign is not None:
            left_minor = self.budget_left_minor[rule.campaign.name]
            rooms.append((left_minor, Why.BUDGET_SPENT))
        return min(rooms, default=(_NO_BOUND, Why.NOT_EARNED))

    def give(self, occasion: Occasion, rule: Rule, amount_minor: int) -> None:
        key = _given_key(occasion, rule)
        self.given_minor[key] = self.given_minor.get(key, 0) + amount_minor
        if rule.campaign is not None:
            self.budget_left_minor[rule.campaign.name] -= amount_minor
            assert self.budget_left_minor[rule.campaign.name] >= 0, rule


_NO_BOUND: Final = 10**18


def evaluate(
    occasions: Iterable[Occasion],
    rules: Sequence[Rule],
    *,
    spent_minor: Mapping[str, int] | None = None,
    given_minor: Mapping[tuple[AccountId, str, int], int] | None = None,
) -> Evaluation:
    """Return what the occasions earn by the rules, served in the order they are given in.

    `spent_minor` is what campaigns have granted before, by name; `given_minor` what a rule gave an
    account in a month, by account, rule and ordinal of the month. The last grant of a campaign is
    what its budget still holds, so a budget is spent to the kopeck and never beyond.
    """
    spent = spent_minor or {}
    campaigns = {rule.campaign.name: rule.campaign for rule in rules if rule.campaign is not None}
    if any(rule.campaign not in {None, campaigns.get(_campaign(rule))} for rule in rules):
        raise ValueError("a campaign has one budget and one end")
    purse = _Purse(
        {name: max(0, c.budget_minor - spent.get(name, 0)) for name, c in campaigns.items()},
        dict(given_minor or {}),
    )
    grants: list[Grant] = []
    declined: list[Declined] = []
    for occasion in occasions:
        best: dict[str, tuple[Rule, int, int]] = {}
        begun = [rule for rule in rules if rule.valid_from <= occasion.on]
        latest = {rule.name: rule.version for rule in sorted(begun, key=lambda r: r.version)}
        for rule in rules:
            earned_minor = rule.terms.minor(occasion)
            if earned_minor is None:
                continue
            assert earned_minor >= 0, (rule, occasion)
            if rule.version < latest.get(rule.name, 0):
                declined.append(_declined(occasion, rule, Why.NOT_IN_FORCE, earned_minor))
                continue
            amount_minor, why = _granted(occasion, rule, earned_minor, purse)
            rival = best.get(rule.competes)
            if not amount_minor:
                declined.append(_declined(occasion, rule, why, earned_minor))
            elif rival is not None and rival[1] >= amount_minor:
                declined.append(_declined(occasion, rule, Why.ANOTHER_IS_LARGER, earned_minor))
            else:
                if rival is not None:
                    beaten, _, worth = rival
                    declined.append(_declined(occasion, beaten, Why.ANOTHER_IS_LARGER, worth))
                best[rule.competes] = (rule, amount_minor, earned_minor)
        for rule, amount_minor, earned_minor in best.values():
            # Another group may have drawn on the same campaign or month a moment ago.
            room_minor, why = purse.room_minor(occasion, rule)
            amount_minor = min(amount_minor, room_minor)
            if not amount_minor:
                declined.append(_declined(occasion, rule, why, earned_minor))
                continue
            purse.give(occasion, rule, amount_minor)
            grants.append(_grant(occasion, rule, amount_minor, earned_minor))
    left_minor = MappingProxyType(purse.budget_left_minor)
    return Evaluation(tuple(grants), tuple(declined), left_minor)


def _granted(occasion: Occasion, rule: Rule, earned_minor: int, purse: _Purse) -> tuple[int, Why]:
    """Return what the rule can grant, and why if that is nothing."""
    if not rule.in_force(occasion.on):
        return 0, Why.NOT_IN_FORCE
    if not earned_minor:
        return 0, Why.NOT_EARNED
    room_minor, why = purse.room_minor(occasion, rule)
    most_minor = earned_minor if rule.most_minor is None else rule.most_minor
    return min(earned_minor, most_minor, room_minor), why


def _grant(occasion: Occasion, rule: Rule, amount_minor: int, earned_minor: int) -> Grant:
    return Grant(
        account_id=occasion.account_id,
        on=occasion.on,
        rule=rule.name,
        version=rule.version,
        amount_minor=amount_minor,
        earned_minor=earned_minor,
        expires_on=occasion.on + timedelta(days=rule.expires_after_days),
        expires_after_days=rule.expires_after_days,
        campaign=_campaign(rule),
    )


def _declined(occasion: Occasion, rule: Rule, why: Why, earned_minor: int) -> Declined:
    return Declined(occasion.account_id, occasion.on, rule.name, rule.version, why, earned_minor)


def _campaign(rule: Rule) -> str:
    return "" if rule.campaign is None else rule.campaign.name


def _given_key(occasion: Occasion, rule: Rule) -> tuple[AccountId, str, int]:
    return (occasion.account_id, rule.name, Month.of(occasion.on).ordinal)
