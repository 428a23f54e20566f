"""What one account would have paid on each plan open to it, as values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from billing.models import Measurement
from kilokassa.core.calendar import Month
from tariffs.lines import CannotRate
from tariffs.rehearsal import Confidence, confidence_of

MONTHS: Final = 12
"""A comparison looks at so many months: a year has every season once."""
SHIFT_PERCENT: Final = 20
"""The share of the evening peak that is moved into the night, unless another is asked for."""
SHIFTS_PERCENT: Final = (10, 20, 30, 40, 50)


class Plan(Protocol):
    """A tariff plan as lists show it."""

    @property
    def code(self) -> str:
        """How commands and documents name it."""

    @property
    def name(self) -> str:
        """Its name in Russian."""

    @property
    def name_en(self) -> str:
        """Its name in English."""


@dataclass(frozen=True, slots=True)
class PlanCost:
    """What the use would have cost on one plan, kopecks."""

    plan: Plan
    cost_minor: int
    by_rates_minor: int
    """Before the retailer's discounts and what a guarantee gives back."""
    shift_gain_minor: int | None
    """What moving a share of the evening into the night would save; None where nobody knows."""
    guarantee: str = ""
    """The code of the plan that it is never dearer than; empty without such a promise."""
    first_prices_taken: bool = False
    """Says that the plan began later, and its first prices were taken for the time before."""
    open: bool = True
    """False where only who has the plan keeps it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The last months of an account on every plan open to it, the cheapest first."""

    first: Month
    last: Month
    measurement: Measurement
    current: str
    """The code of the account's plan."""
    costs: tuple[PlanCost, ...]
    refused: tuple[tuple[Plan, CannotRate], ...]
    measured_ppm: int
    energy_wh: int
    shift_percent: int

    @property
    def confidence(self) -> Confidence:
        """How sure the comparison is."""
        return confidence_of(self.measured_ppm)

    @property
    def advises(self) -> bool:
        """Say whether enough was measured to advise, and the own plan is among what was priced."""
        return self.confidence is not Confidence.NONE and self.own is not None

    @property
    def own(self) -> PlanCost | None:
        """What the account's own plan came to."""
        return next((cost for cost in self.costs if cost.plan.code == self.current), None)

    @property
    def best(self) -> PlanCost | None:
        """The plan that costs least: its own one among equals."""
        if self.own is not None and self.own.cost_minor == self.costs[0].cost_minor:
            return self.own
        return self.costs[0] if self.costs else None

    @property
    def saving_minor(self) -> int:
        """What the best plan would have saved; 0 where the account has it."""
        if self.own is None or self.best is None:
            return 0
        return self.own.cost_minor - self.best.cost_minor

    @property
    def discounts_differ(self) -> bool:
        """Say whether a plan costs something else before discounts than after."""
        return any(cost.cost_minor != cost.by_rates_minor for cost in self.costs)


def cheapest_first(costs: Sequence[PlanCost]) -> tuple[PlanCost, ...]:
    """Return the plans in the order of what they cost, by code among equals."""
    return tuple(sorted(costs, key=lambda cost: (cost.cost_minor, cost.plan.code)))
