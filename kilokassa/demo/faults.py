"""Meters of the demo town that show too little, each from a day on: what a house balance finds."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from kilokassa.demo.population import AccountPlan, TownPlan


@dataclass(frozen=True, slots=True)
class Fault:
    """A meter that counts only a part of the energy from a day on that the town's plan decides."""

    point_code: str
    counted_percent: int
    after_months: int
    """Full months of the town before it."""
    day: int

    def since(self, plan: TownPlan) -> date:
        """Return the first day on which the meter shows too little."""
        return plan.first_month.plus(self.after_months).first_day.replace(day=self.day)


THIEF: Final = Fault("KHV-2-059", 60, 10, 17)
"""Two fifths of the flat's energy pass its meter by."""
SLOW: Final = Fault("KHV-2-024", 85, 10, 11)
"""The meter has grown old and counts 15 % too little."""
FAULTS: Final = (THIEF, SLOW)


def counted_percent(plan: TownPlan, account: AccountPlan, day: date) -> int:
    """Return how much of an account's energy its meter counts on a day, in per cent."""
    for fault in FAULTS:
        if fault.point_code == account.point_code and day >= fault.since(plan):
            return fault.counted_percent
    return 100
