"""The late fee (пени): what a debt that is paid late costs, as the table that it is the sum of.

Pure: the rules are dated data (`rules/late_fee.yaml`), each with its source and how sure we are of
it. Source: Housing Code of the Russian Federation, art. 155 part 14.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

from kilokassa.core.confidence import Confidence
from kilokassa.core.errors import DomainError
from kilokassa.core.money import half_up_ratio
from kilokassa.core.text import filled, mark
from wallet.rule_file import Fields, document

PER_WHOLE: Final = 10_000
"""Basis points in a whole: a rate of 9.5 % is 950 of them."""

MINOR_DIGITS: Final = 2
MOST_DIGITS: Final = 8

FREE_DAYS: Final = mark("the delay is too short for a late fee")
EXCLUDED: Final = mark("no late fee is charged on this service")
PROHIBITED: Final = mark("late fees are forbidden in this period")

FROM_MEMORY: Final = mark("The late fee rests on a rule that was not checked against its source.")
RATE_UNKNOWN: Final = mark(
    "The key rate is known up to %(day)s; later days are counted at the last one known."
)

_DAY: Final = timedelta(days=1)


class NoLateFeeRule(DomainError):
    """A day of delay for which no rule is known: too long ago."""

    code = "no_late_fee_rule"
    template = "No rule of late fees is known for %(day)s."


class Scheme(StrEnum):
    """Who owes, and so which steps hold."""

    HOUSEHOLD = "household"
    MANAGEMENT_COMPANY = "management_company"


class RateOn(StrEnum):
    """Whose key rate a day of delay is counted at."""

    EACH_DAY = "each_day"
    PAYMENT_DAY = "payment_day"
    """That of the day of payment, for the whole delay; of what is unpaid, that of the last day."""


@dataclass(frozen=True, slots=True)
class Step:
    """From this day of the delay on, a day costs the key rate over `divisor`."""

    from_day: int
    divisor: int


@dataclass(frozen=True, slots=True)
class StepRule:
    """The steps of a scheme from a date on."""

    scheme: Scheme
    valid_from: date
    steps: tuple[Step, ...]
    source: str
    confidence: Confidence

    def __post_init__(self) -> None:
        days = [0, *(step.from_day for step in self.steps)]
        if any(later <= earlier for earlier, later in pairwise(days)):
            raise ValueError(f"steps begin on later and later days: {self!r}")
        if any(step.divisor <= 0 for step in self.steps):
            raise ValueError(f"a step costs a part of the key rate: {self!r}")

    def divisor(self, day_of_delay: int) -> int:
        """Return the divisor on a day of the delay, 0 where it costs nothing yet."""
        begun = [step.divisor for step in self.steps if step.from_day <= day_of_delay]
        return begun[-1] if begun else 0


@dataclass(frozen=True, slots=True)
class KeyRate:
    """A key rate from a date on, in basis points a year."""

    valid_from: date
    rate_bp: int


@dataclass(frozen=True, slots=True)
class RateCap:
    """What the key rate counts as at most, from `first_day` up to and including `last_day`."""

    first_day: date
    last_day: date
    rate_bp: int
    source: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Prohibition:
    """A period, both ends counted, whose days cost nothing; they still lengthen the delay."""

    name: str
    first_day: date
    last_day: date
    source: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class LateFeeRules:
    """All that a late fee is counted by."""

    steps: tuple[StepRule, ...]
    key_rates: tuple[KeyRate, ...]
    key_rates_known_until: date
    key_rates_source: str
    key_rates_confidence: Confidence
    caps: tuple[RateCap, ...] = ()
    prohibitions: tuple[Prohibition, ...] = ()
    excluded_services: frozenset[str] = frozenset()
    digits: int = MINOR_DIGITS
    """To how many decimals of a rouble each row is rounded, half up."""
    rate_on: RateOn = RateOn.EACH_DAY
    moves_due_day: bool = False
    """Whether a due day that is no working day moves to the next one."""

    def __post_init__(self) -> None:
        if not MINOR_DIGITS <= self.digits <= MOST_DIGITS:
            raise ValueError(f"a row is rounded to {MINOR_DIGITS} to {MOST_DIGITS} decimals")
        if not self.key_rates:
            raise ValueError("a late fee needs a key rate")


@dataclass(frozen=True, slots=True)
class OverdueDebt:
    """What was to be paid for a service by a day, and was not."""

    service: str
    amount_minor: int
    due_on: date
    """The last day on which it could be paid without delay."""
    scheme: Scheme = Scheme.HOUSEHOLD

    def __post_init__(self) -> None:
        if self.amount_minor <= 0:
            raise ValueError(f"a debt is more than nothing: {self!r}")


@dataclass(frozen=True, slots=True)
class DebtPayment:
    """What of a debt was paid on a day."""

    paid_on: date
    amount_minor: int

    def __post_init__(self) -> None:
        if self.amount_minor <= 0:
            raise ValueError(f"a payment is more than nothing: {self!r}")


@dataclass(frozen=True, slots=True)
class LateFeeRow:
    """Days of a delay that cost alike; both ends are counted."""

    first_day: date
    last_day: date
    debt_minor: int = 0
    rate_bp: int = 0
    divisor: int = 0
    """A day costs debt x rate / divisor; 0 where it costs nothing."""
    reason: str = ""
    """Why it costs nothing, as a message of the catalogue; empty where it costs."""
    amount_scaled: int = 0
    """What the row costs, in the smallest unit of the rules: `LateFee.digits` of a rouble."""
    confidence: Confidence = Confidence.HIGH
    """How sure the least sure rule is that the row rests on."""

    @property
    def days(self) -> int:
        """How many days the row counts."""
        return (self.last_day - self.first_day).days + 1


@dataclass(frozen=True, slots=True)
class LateFee:
    """The late fee of one debt: the table, its sum, and what is unsure about it."""

    rows: tuple[LateFeeRow, ...]
    digits: int
    warnings: tuple[str, ...] = ()

    @property
    def amount_minor(self) -> int:
        """The sum of the rows in whole kopecks, rounded once where rows have finer digits."""
        scaled = sum(row.amount_scaled for row in self.rows)
        return half_up_ratio(scaled, 10 ** (self.digits - MINOR_DIGITS))


def late_fee(
    debt: OverdueDebt, payments: Iterable[DebtPayment], rules: LateFeeRules, *, until: date
) -> LateFee:
    """Return the late fee of `debt` up to and including `until`.

    fee = sum over rows of  debt x days x rate / divisor,  each row rounded once

    Day 1 is the day after the due day; the day of payment is still a day of delay. A row ends where
    a payment, a step, a rate or a ban changes what a day costs, and nowhere else: what is already
    charged is taken off the fee as of today, never counted in pieces of its own.
    """
    ended: dict[date, int] = {}
    for payment in payments:
        if payment.paid_on <= until:
            ended[payment.paid_on] = ended.get(payment.paid_on, 0) + payment.amount_minor
    left_minor = debt.amount_minor - sum(ended.values())
    if left_minor < 0:
        raise ValueError(f"more was paid than owed: {debt!r}")
    if left_minor:
        ended[until] = ended.get(until, 0) + left_minor
    parts = sorted(ended.items())
    if rules.rate_on is RateOn.EACH_DAY:
        rows = _rows(debt, parts, rules, None)
    else:
        rows = [row for part in parts for row in _rows(debt, [part], rules, part[0])]
    return LateFee(tuple(rows), rules.digits, _warnings(rows, rules))


def due_day(
    due_on: date, rules: LateFeeRules, is_day_off: Callable[[date], bool] | None = None
) -> date:
    """Return the last day to pay without delay: `due_on`, or the next working day where it moves.

    Whether it moves is a setting that is off: the rule is known from memory only.
    """
    if not rules.moves_due_day or is_day_off is None:
        return due_on
    while is_day_off(due_on):
        due_on += _DAY
    return due_on


@cache
def late_fee_rules() -> LateFeeRules:
    """Return the packaged rules."""
    return parse_rules((files("wallet") / "rules" / "late_fee.yaml").read_text(encoding="utf-8"))


def parse_rules(text: str) -> LateFeeRules:
    """Read rules in the form of `rules/late_fee.yaml`; refuse what is wrong by place and field."""
    return document(text, "late_fee").all_by(_rules)


def _rules(fields: Fields) -> LateFeeRules:
    return LateFeeRules(
        steps=fields.each("steps", _step_rule),
        key_rates=tuple(
            KeyRate(date.fromisoformat(day), basis_points(percent))
            for day, percent in sorted(fields.mapping("key_rates").items())
        ),
        key_rates_known_until=fields.day("key_rates_known_until"),
        key_rates_source=fields.text("key_rates_source"),
        key_rates_confidence=fields.one_of("key_rates_confidence", Confidence),
        caps=fields.each("caps", _cap),
        prohibitions=fields.each("prohibitions", _prohibition),
        excluded_services=fields.texts("excluded_services"),
        digits=fields.whole("digits"),
        rate_on=fields.one_of("rate_on", RateOn),
        moves_due_day=fields.flag("moves_due_day"),
    )


def _step_rule(fields: Fields) -> StepRule:
    return StepRule(
        scheme=fields.one_of("scheme", Scheme),
        valid_from=fields.day("valid_from"),
        steps=fields.each("steps", lambda f: Step(f.whole("from_day"), f.whole("divisor"))),
        source=fields.text("source"),
        confidence=fields.one_of("confidence", Confidence),
    )


def _cap(fields: Fields) -> RateCap:
    return RateCap(
        first_day=fields.day("first_day"),
        last_day=fields.day("last_day"),
        rate_bp=fields.parsed("percent", basis_points),
        source=fields.text("source"),
        confidence=fields.one_of("confidence", Confidence),
    )


def _prohibition(fields: Fields) -> Prohibition:
    return Prohibition(
        name=fields.text("name"),
        first_day=fields.day("first_day"),
        last_day=fields.day("last_day"),
        source=fields.text("source"),
        confidence=fields.one_of("confidence", Confidence),
    )


def basis_points(percent: str) -> int:
    """Return a rate in per cent as whole basis points; a finer one is refused.

    >>> basis_points("9.5")
    950
    """
    if not re.fullmatch(r"\d{1,4}(\.\d{1,2})?", percent):
        raise ValueError(f"a rate is per cent with at most two decimals: {percent!r}")
    return int(Decimal(percent) * 100)


def percent_text(rate_bp: int) -> str:
    """Return basis points as people write per cent, with no needless digits.

    >>> percent_text(950), percent_text(1900)
    ('9.5', '19')
    """
    return f"{Decimal(rate_bp).scaleb(-2).normalize():f}"


def key_rate_bp(rules: LateFeeRules, day: date) -> int:
    """Return the key rate on `day` as it is, before any cap."""
    begun = [rate for rate in rules.key_rates if rate.valid_from <= day]
    if not begun:
        raise NoLateFeeRule(day=day.isoformat())
    return max(begun, key=lambda rate: rate.valid_from).rate_bp


def least_sure(*confidences: Confidence) -> Confidence:
    """Return the least sure of them."""
    return max(confidences, key=list(Confidence).index)


def _rows(
    debt: OverdueDebt,
    parts: Sequence[tuple[date, int]],
    rules: LateFeeRules,
    rate_day: date | None,
) -> list[LateFeeRow]:
    """Return the rows of a debt that ends in parts, each on its day, which is still a delay."""
    begins = debt.due_on + _DAY
    end = max((last for last, _ in parts), default=debt.due_on) + _DAY
    if end <= begins:
        return []
    cuts = {begins, end}
    cuts |= {last + _DAY for last, _ in parts}
    cuts |= _changes(debt, rules, rate_day)
    rows: list[LateFeeRow] = []
    for first, following in pairwise(sorted(cut for cut in cuts if begins <= cut <= end)):
        owed_minor = sum(minor for last, minor in parts if first <= last)
        row = replace(_row(debt, rules, first, rate_day or first), debt_minor=owed_minor)
        if rows and _what_a_day_costs(rows[-1]) == _what_a_day_costs(row):
            rows[-1] = replace(
                rows[-1],
                last_day=following - _DAY,
                confidence=least_sure(rows[-1].confidence, row.confidence),
            )
        else:
            rows.append(replace(row, last_day=following - _DAY))
    return [replace(row, amount_scaled=_amount_scaled(row, rules.digits)) for row in rows]


def _changes(debt: OverdueDebt, rules: LateFeeRules, rate_day: date | None) -> set[date]:
    """Return the days on which what a day of delay costs may change."""
    found = set()
    for rule in rules.steps:
        found.add(rule.valid_from)
        found |= {debt.due_on + timedelta(days=step.from_day) for step in rule.steps}
    for ban in rules.prohibitions:
        found |= {ban.first_day, ban.last_day + _DAY}
    if rate_day is None:
        found |= {rate.valid_from for rate in rules.key_rates}
        for cap in rules.caps:
            found |= {cap.first_day, cap.last_day + _DAY}
    return found


def _row(debt: OverdueDebt, rules: LateFeeRules, day: date, rate_day: date) -> LateFeeRow:
    """Return what a day of delay costs, as a row of that day alone; its debt is not known yet."""
    if debt.service in rules.excluded_services:
        return LateFeeRow(day, day, reason=EXCLUDED)
    steps = _steps(debt.scheme, rules, day)
    divisor = steps.divisor((day - debt.due_on).days)
    if not divisor:
        return LateFeeRow(day, day, reason=FREE_DAYS, confidence=steps.confidence)
    for ban in rules.prohibitions:
        if ban.first_day <= day <= ban.last_day:
            return LateFeeRow(day, day, reason=PROHIBITED, confidence=ban.confidence)
    rate_bp, confidence = _rate(rules, rate_day)
    return LateFeeRow(
        day,
        day,
        rate_bp=rate_bp,
        divisor=divisor,
        confidence=least_sure(steps.confidence, confidence),
    )


def _rate(rules: LateFeeRules, day: date) -> tuple[int, Confidence]:
    """Return the rate of a day after its caps, and how sure we are of what decided it."""
    key = key_rate_bp(rules, day), rules.key_rates_confidence
    caps = [(c.rate_bp, c.confidence) for c in rules.caps if c.first_day <= day <= c.last_day]
    return min([*caps, key], key=lambda rate: rate[0])


def _steps(scheme: Scheme, rules: LateFeeRules, day: date) -> StepRule:
    holding = [rule for rule in rules.steps if rule.scheme is scheme and rule.valid_from <= day]
    if not holding:
        raise NoLateFeeRule(day=day.isoformat())
    return max(holding, key=lambda rule: rule.valid_from)


def _what_a_day_costs(row: LateFeeRow) -> tuple[int, int, int, str]:
    return row.debt_minor, row.rate_bp, row.divisor, row.reason


def _amount_scaled(row: LateFeeRow, digits: int) -> int:
    if not row.divisor:
        return 0
    finer = 10 ** (digits - MINOR_DIGITS)
    return half_up_ratio(row.debt_minor * row.days * row.rate_bp * finer, PER_WHOLE * row.divisor)


def _warnings(rows: Sequence[LateFeeRow], rules: LateFeeRules) -> tuple[str, ...]:
    """Return what a document that shows the fee has to say about it."""
    found = []
    decided = [row for row in rows if row.divisor or row.reason == PROHIBITED]
    if any(row.confidence is Confidence.MEMORY for row in decided):
        found.append(FROM_MEMORY)
    if any(row.divisor and row.last_day > rules.key_rates_known_until for row in rows):
        found.append(filled(RATE_UNKNOWN, day=rules.key_rates_known_until.isoformat()))
    return tuple(found)
