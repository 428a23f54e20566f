"""What a rehearsal is asked: whose plan is set against which tariff, over which months."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from kilokassa.core.calendar import Month
from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from tariffs.documents import parse_tariff
from tariffs.rehearsal import PriceBasis

MONTHS_MAX: Final = 36
_WHERE: Final = mark("rehearsal")


@dataclass(frozen=True, slots=True)
class Change:
    """One plan and the tariff that its accounts are tried on."""

    plan_code: str
    document: str = ""
    """The text of a tariff document; it need not be published."""
    to_plan: str = ""
    """Or the code of a published plan."""

    def __post_init__(self) -> None:
        if bool(self.document) == bool(self.to_plan):
            raise ValueError("a plan is tried on a document or on another plan")

    @property
    def target(self) -> str:
        """The code of the plan that is tried."""
        return self.to_plan or parse_tariff(self.document).plan_code


@dataclass(frozen=True, slots=True)
class RehearsalOrder:
    """A rehearsal over the accounts that were open in the last of the months."""

    name: str
    changes: tuple[Change, ...]
    first: Month
    last: Month
    prices: PriceBasis = PriceBasis.NEWEST
    building_code: str = ""
    """Only the accounts of this building."""
    company_code: str = ""
    """Only the accounts of the buildings of this management company."""

    def __post_init__(self) -> None:
        if not self.changes:
            raise Invalid(where=_WHERE, problem=mark("no plan is named that shall be tried"))
        codes = [change.plan_code for change in self.changes]
        for code in codes:
            if codes.count(code) > 1:
                raise Invalid(
                    where=_WHERE, problem=mark("the plan %(plan)s comes twice"), plan=code
                )
        if not 0 <= self.last.ordinal - self.first.ordinal < MONTHS_MAX:
            raise Invalid(
                where=_WHERE,
                problem=mark("the months run forward, and there are at most %(most)s of them"),
                most=MONTHS_MAX,
            )

    @property
    def months(self) -> tuple[Month, ...]:
        """Every month, in order."""
        count = self.last.ordinal - self.first.ordinal + 1
        return tuple(self.first.plus(number) for number in range(count))

    def to_json(self) -> str:
        """Return the order as it is kept."""
        return json.dumps(
            asdict(self) | {"first": str(self.first), "last": str(self.last)}, ensure_ascii=False
        )

    @classmethod
    def from_json(cls, text: str) -> "RehearsalOrder":
        """Read an order that was kept."""
        kept: dict[str, Any] = json.loads(text)
        return cls(
            **kept
            | {
                "changes": tuple(Change(**change) for change in kept["changes"]),
                "first": Month.parse(kept["first"]),
                "last": Month.parse(kept["last"]),
                "prices": PriceBasis(kept["prices"]),
            }
        )


def months_from(text: str) -> tuple[Month, Month]:
    """Read `2025-11..2026-10`, or one month.

    >>> [str(month) for month in months_from("2025-11..2026-10")]
    ['2025-11', '2026-10']
    """
    first, _, last = text.partition("..")
    return Month.parse(first.strip()), Month.parse((last or first).strip())
