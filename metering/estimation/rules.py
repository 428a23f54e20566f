"""The rule chain of estimates as dated data: what stands in for a value that was not measured.

The rules as packaged are in `metering/rules/estimation.yaml`, each with its first day, its source
and how sure we are of it (`design.md`, decision 16). Nothing here computes a value.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml

from kilokassa.core.confidence import Confidence
from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from metering.estimation.methods import PPM, EstimationMethod

WHOLE_PERIOD_METHODS: Final = frozenset(
    {EstimationMethod.OWN_AVERAGE, EstimationMethod.NORM, EstimationMethod.HOUSE_MEAN}
)
"""Methods that stand in for a whole period: only they count towards periods in a row."""


class Trigger(StrEnum):
    """Why a value has to be estimated."""

    GAP = "gap"
    MISSING_READING = "missing_reading"
    VERIFICATION_EXPIRED = "verification_expired"
    ACCESS_REFUSED = "access_refused"
    NO_METER = "no_meter"


@dataclass(frozen=True, slots=True)
class EstimationRule:
    """One rule of the chain; a limit that is 0 does not limit."""

    trigger: Trigger
    name: str
    method: EstimationMethod
    valid_from: date
    source: str
    confidence: Confidence
    article: str = ""
    """As a document prints it; empty where the law says nothing."""
    months: int = 0
    """Of an own average: over how many months it is taken."""
    months_least: int = 0
    periods_last: int = 0
    """The last billing period in a row in which the rule still holds, counted from 1."""
    hours_most: int = 0
    days_most: int = 0
    weeks: int = 0
    """Of like days: how many weeks back they are looked for."""
    days_least: int = 0
    visits: int = 0
    """How many visits without access call for it."""
    multiplier_ppm: int = PPM

    @property
    def code(self) -> str:
        """What an estimate keeps of the rule that called for it.

        >>> packaged_rules()[0].code
        'missing_reading.average@2012-09-01'
        """
        return f"{self.trigger}.{self.name}@{self.valid_from}"

    @property
    def certain(self) -> bool:
        """Say whether the rule was read in its source; else documents print a warning."""
        return self.confidence is Confidence.HIGH


@dataclass(frozen=True, slots=True)
class RuleChain:
    """All rules known, in the order they are tried."""

    rules: tuple[EstimationRule, ...]

    def on(
        self, trigger: Trigger, day: date, *, period_number: int = 1
    ) -> tuple[EstimationRule, ...]:
        """Return the rules of a trigger that hold on `day`, in the order they are tried.

        `period_number` counts the billing periods in a row that were estimated, this one included;
        0 is a period of which only a part is: it comes before the first.
        """
        newest: dict[str, EstimationRule] = {}
        for rule in self.rules:
            if rule.trigger is trigger and rule.valid_from <= day:
                known = newest.get(rule.name)
                if known is None or rule.valid_from >= known.valid_from:
                    newest[rule.name] = rule
        return tuple(
            rule
            for rule in newest.values()
            if not rule.periods_last or period_number <= rule.periods_last
        )

    def next_rule(self, code: str, period_number: int, day: date) -> EstimationRule | None:
        """Return what follows if the next billing period is missed too; None where no rule says.

        `code` and `period_number` are those of the estimate that stands, `day` is in the period
        after it.

        >>> chain = packaged_chain()
        >>> chain.next_rule("missing_reading.average@2012-09-01", 3, date(2026, 11, 1)).name
        'norm'
        """
        name = code.split(".")[0]
        if name not in set(Trigger):
            return None
        rules = self.on(Trigger(name), day, period_number=period_number + 1)
        # What came before in the chain did not have what it needs, and will not have it either.
        passed = set()
        for rule in self.on(Trigger(name), day, period_number=period_number):
            if code.split("@")[0] == f"{name}.{rule.name}":
                break
            passed.add(rule.name)
        return next(
            (
                rule
                for rule in rules
                if rule.method in WHOLE_PERIOD_METHODS and rule.name not in passed
            ),
            None,
        )

    def with_own(self, own: Iterable[EstimationRule]) -> "RuleChain":
        """Return the chain with an installation's own rules: of the same trigger, name and day."""
        own = tuple(own)
        replacing = {(rule.trigger, rule.name, rule.valid_from): rule for rule in own}
        kept = tuple(
            replacing.pop((rule.trigger, rule.name, rule.valid_from), rule) for rule in self.rules
        )
        return RuleChain(kept + tuple(rule for rule in own if rule.code in _codes(replacing)))


def _codes(rules: Mapping[Any, EstimationRule]) -> set[str]:
    return {rule.code for rule in rules.values()}


def packaged_rules() -> tuple[EstimationRule, ...]:
    """Return the rules that come with the product."""
    return _packaged().rules


def packaged_chain() -> RuleChain:
    """Return the chain of the rules that come with the product."""
    return _packaged()


@cache
def _packaged() -> RuleChain:
    text = (files("metering") / "rules" / "estimation.yaml").read_text("utf-8")
    return RuleChain(parse_rules(text))


_NUMBERS: Final = (
    "months",
    "months_least",
    "periods_last",
    "hours_most",
    "days_most",
    "weeks",
    "days_least",
    "visits",
)
_TEXTS: Final = ("name", "source")
_KNOWN: Final = frozenset(
    {"trigger", "method", "valid_from", "confidence", "article", "multiplier", *_NUMBERS, *_TEXTS}
)


def parse_rules(text: str) -> tuple[EstimationRule, ...]:
    """Read rules from YAML; refuse the file with one sentence that names the rule and the field."""
    try:
        entries = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - scalars stay text
    except yaml.YAMLError:
        raise _refused("-", mark("it is not YAML")) from None
    if not isinstance(entries, list):
        raise _refused("-", mark("it is no list of rules"))
    rules = tuple(_rule(entry, number) for number, entry in enumerate(entries, start=1))
    codes = [rule.code for rule in rules]
    for code in codes:
        if codes.count(code) > 1:
            raise _refused(code, mark("the rule comes twice"))
    return rules


def _rule(entry: object, number: int) -> EstimationRule:
    where = str(number)
    if not isinstance(entry, dict):
        raise _refused(where, mark("it is no rule"))
    for name in sorted(set(entry) - _KNOWN):
        raise _refused(where, mark("there is no field %(field)s"), field=str(name))
    for name in ("trigger", "method", "valid_from", "confidence", *_TEXTS):
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise _refused(where, mark("the field %(field)s is missing"), field=name)
    try:
        multiplier = Decimal(entry.get("multiplier", "1"))
        rule = EstimationRule(
            trigger=Trigger(entry["trigger"]),
            name=entry["name"],
            method=EstimationMethod(entry["method"]),
            valid_from=date.fromisoformat(entry["valid_from"]),
            source=entry["source"],
            confidence=Confidence(entry["confidence"]),
            article=entry.get("article", ""),
            multiplier_ppm=int(multiplier * PPM),
            **{name: int(entry.get(name, "0")) for name in _NUMBERS},
        )
    except (ValueError, InvalidOperation, TypeError) as fault:
        raise _refused(where, mark("it has a wrong value: %(fault)s"), fault=str(fault)) from None
    if rule.multiplier_ppm <= 0 or any(getattr(rule, name) < 0 for name in _NUMBERS):
        raise _refused(where, mark("its numbers are not negative"))
    return rule


def _refused(rule: str, problem: str, **values: str) -> Invalid:
    return Invalid(where=rule, problem=problem, **values)


def consecutive(months: Sequence[int], before: int) -> int:
    """Return how many of `months` (ordinals) lie in a row directly before the month `before`.

    >>> consecutive([10, 12, 13], 14)
    2
    """
    known = set(months)
    count = 0
    while before - count - 1 in known:
        count += 1
    return count
