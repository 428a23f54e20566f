"""What was learned of closed months, and which of several causes a correction names; pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from billing.charges import NewLine
from billing.law import Rule
from billing.models import CorrectionReason, Service
from kilokassa.core.calendar import Month
from kilokassa.core.confidence import Confidence
from kilokassa.core.ids import AccountId
from tariffs.lines import ChargeKind

LOOK_BACK_MONTHS: Final[tuple[Rule[int], ...]] = (
    Rule(12, date(2005, 3, 1), "правило поставщика", Confidence.HIGH),
)
"""How many months back what is learned later still corrects a closed month; the rule of the day on
which it is learned. What lies further back is listed, and left to a person."""

ESTIMATES_BACK_MONTHS: Final[tuple[Rule[int], ...]] = (
    Rule(36, date(2013, 9, 1), "ГК РФ, ст. 196", Confidence.MEMORY),
)
"""How far back a reading corrects months that were charged by an estimate: as long as claims are
heard. It is from memory, so it only ever lets more be put right."""

SPECIFICITY: Final = (
    CorrectionReason.ABSENCE,
    CorrectionReason.QUALITY,
    CorrectionReason.FACTS,
    CorrectionReason.TERMS,
    CorrectionReason.PRICES,
    CorrectionReason.TARIFF,
    CorrectionReason.COMMON_AREA,
    CorrectionReason.READINGS,
)
"""Causes from the one that is most an account's own to the one that is least."""


Reasons = tuple[CorrectionReason, ...]
"""All that may have moved a month, the most specific first."""


def most_specific(reasons: Iterable[CorrectionReason]) -> CorrectionReason:
    """Return the cause that a correction names where there are several.

    >>> str(most_specific([CorrectionReason.READINGS, CorrectionReason.FACTS]))
    'facts'
    """
    return min(reasons, key=SPECIFICITY.index)


def cause_of(line: NewLine, reasons: Collection[CorrectionReason]) -> CorrectionReason:
    """Return the cause that a line of a correction names: one that can move such a line at all."""
    fitting = [reason for reason in reasons if _can_move(reason, line)]
    return most_specific(fitting or reasons)


def _can_move(reason: CorrectionReason, line: NewLine) -> bool:
    match reason:
        case CorrectionReason.QUALITY:
            return line.charge is ChargeKind.DEDUCTION
        case CorrectionReason.COMMON_AREA:
            return line.service is Service.COMMON_ELECTRICITY
        case CorrectionReason.READINGS:
            return line.service not in {Service.COMMON_ELECTRICITY, Service.HOUSING}
        case CorrectionReason.ABSENCE:
            return line.service not in {Service.COMMON_ELECTRICITY, Service.HEAT}
        case _:
            return True


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was learned at an instant, of the days from `first_on` on; whom it concerns.

    It concerns the accounts that it names, those of the premises or buildings that it names, and
    those on the plans that it names.
    """

    reason: CorrectionReason
    learned_at: datetime
    first_on: date
    last_on: date | None = None
    """None: until further notice."""
    account_ids: frozenset[int] = frozenset()
    premises_ids: frozenset[int] = frozenset()
    building_ids: frozenset[int] = frozenset()
    plan_ids: frozenset[int] = frozenset()

    def touches(self, month: Month, closed_at: datetime) -> bool:
        """Say whether it was learned after `month` was closed, and is about it."""
        return (
            self.learned_at > closed_at
            and self.first_on < month.plus(1).first_day
            and (self.last_on is None or self.last_on >= month.first_day)
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where an account is, and through which month its documents are closed."""

    account_id: AccountId
    premises_id: int
    building_id: int
    closed_through: Month | None


@dataclass(frozen=True, slots=True)
class SuspectedMonths:
    """Closed months that may not be as they should, and why, by month and account."""

    months: dict[Month, dict[AccountId, Reasons]] = field(default_factory=dict)
    """Within the look-back limit: these are rated again."""
    beyond: dict[Month, dict[AccountId, Reasons]] = field(default_factory=dict)
    """Further back: listed, and left as they are."""
