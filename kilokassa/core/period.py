"""Half-open stretches of time in UTC."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """The instants from `start` up to, but not including, `end`; both in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.utcoffset() != timedelta(0) or self.end.utcoffset() != timedelta(0):
            raise ValueError(f"a period is in UTC: {self.start!r} to {self.end!r}")
        if self.start.tzinfo is not UTC or self.end.tzinfo is not UTC:
            object.__setattr__(self, "start", self.start.astimezone(UTC))
            object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.end < self.start:
            raise ValueError(f"a period does not end before it starts: {self!r}")

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    @property
    def length(self) -> timedelta:
        """How long the period lasts."""
        return self.end - self.start

    def intersect(self, other: "Period") -> "Period | None":
        """Return what both periods share, or None where they only touch or miss."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end) if start < end else None

    def split(self, instants: Iterable[datetime]) -> tuple["Period", ...]:
        """Return the period cut at those of `instants` that lie inside it."""
        cuts = sorted({instant for instant in instants if self.start < instant < self.end})
        return tuple(Period(a, b) for a, b in pairwise([self.start, *cuts, self.end]))
