"""The area of premises as dated statements: what was stated first, and what each month takes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from kilokassa.core.calendar import Month
from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When a value counts as recorded that was there before its first dated statement.

The first change keeps the old value as a statement of its own, known since ever: what was charged
from it before can be computed again.
"""

FIRST_DAY: Final = date(1900, 1, 1)
"""From when on the first area of premises holds: premises have no day of their own."""

AREA_DM2_MAX: Final = 10**8


@dataclass(frozen=True, slots=True)
class StatedArea:
    """The area of premises from a local day on, in square decimetres, with its document."""

    premises_id: int
    valid_from: date
    area_dm2: int
    document: str
    actor: str

    def __post_init__(self) -> None:
        if not 0 < self.area_dm2 <= AREA_DM2_MAX:
            raise Invalid(
                where=mark("area"), problem=mark("it is more than zero and at most 1,000,000 m²")
            )


@dataclass(frozen=True, slots=True)
class DatedArea:
    """A statement of an area as it is kept."""

    id: int
    valid_from: date
    area_dm2: int
    document: str
    actor: str
    recorded_at: datetime
    superseded_at: datetime | None


def month_handed_in(day: date) -> date:
    """Return from when on an extract of the register counts: the month it was handed in.

    ПП 354 as amended by ПП 1176 of 29.08.2024, in force since 01.03.2025: the area of the ЕГРН
    goes before that of the БТИ from the billing period in which it was provided.
    """
    return Month.of(day).first_day


def area_now(standing: Iterable[tuple[date, int]], today: date) -> int | None:
    """Return the area that holds on a day of those that stand; None where none has begun.

    >>> area_now([(date(2026, 1, 1), 5000), (date(2026, 5, 1), 5100)], date(2026, 4, 30))
    5000
    """
    begun = [one for one in standing if one[0] <= today]
    return max(begun)[1] if begun else None
