"""Bonuses in words: what a rule is about, what an occasion was, what is still missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from kilokassa.core.money import half_up_ratio
from kilokassa.core.text import Language, amount_text, date_text, mark, number_text
from wallet.bonuses.documents import Kind
from wallet.bonuses.rules import (
    EarlyPayment,
    MonthEnded,
    MonthsWithoutDebt,
    MovedToNight,
    NightUsed,
    Terms,
)

KIND_WORDS: Final[Mapping[Kind, str]] = {
    Kind.SIZE_OF_TOP_UP: mark("Size of a top-up"),
    Kind.EARLY_PAYMENT: mark("Early payment"),
    Kind.MONTHS_WITHOUT_DEBT: mark("Months without debt"),
    Kind.MOVED_TO_NIGHT: mark("Use moved to the night"),
}

OCCASION_WORDS: Final[Mapping[str, str]] = {
    "top_up": mark("A top-up came in"),
    "bill_paid": mark("A bill was paid up"),
    "month_ended": mark("A month closed"),
    "night_used": mark("A month was measured by zones"),
}

NOTHING_ASKED: Final = mark("Nothing is asked of you now: it comes with the next bill.")

Words = tuple[str, dict[str, str]]
"""A message of the catalogue with its values, in a language."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands to the rules: what of it they look at."""

    bill_left_minor: int = 0
    """What is still asked of the month closed last."""
    bill_due_on: date | None = None
    month: MonthEnded | None = None
    night: NightUsed | None = None


def missing(terms: Terms, standing: Standing, language: Language) -> Words | None:
    """Return what an account has to do yet for a bonus; None where the promise says it all."""
    match terms:
        case EarlyPayment():
            if not standing.bill_left_minor or standing.bill_due_on is None:
                return NOTHING_ASKED, {}
            last = date.fromordinal(standing.bill_due_on.toordinal() - terms.days_before)
            return mark("Pay %(amount)s by %(day)s."), {
                "amount": amount_text(standing.bill_left_minor, language),
                "day": date_text(last, language),
            }
        case MonthsWithoutDebt():
            passed = 0 if standing.month is None else standing.month.months_without_debt
            return mark("%(passed)s of %(months)s months have passed."), {
                "passed": str(passed % terms.months),
                "months": str(terms.months),
            }
        case MovedToNight():
            if standing.night is None:
                return mark("It counts for plans with a night zone."), {}
            if standing.night.former_energy_wh < terms.former_least_wh:
                return mark("Your own share of the night is not known yet."), {}
            return mark(
                "Last month %(now)s %% of your use was at night, before it %(before)s %%."
            ), {
                "now": _share(standing.night.night_wh, standing.night.energy_wh, language),
                "before": _share(
                    standing.night.former_night_wh, standing.night.former_energy_wh, language
                ),
            }
        case _:
            return None


def _share(part_wh: int, whole_wh: int, language: Language) -> str:
    return number_text(half_up_ratio(part_wh * 100, whole_wh), language) if whole_wh else "0"
