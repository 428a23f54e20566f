"""What importing a file comes to: counts that add up, refusals by line, findings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from kilokassa.core.errors import DomainError
from kilokassa.core.text import mark
from metering.findings.finding import Finding
from metering.registry.places import ACTIVE_TAKEN

INTERVALS: Final = "csv"
"""The format of interval values in long form."""
REGISTERS: Final = "registers"
"""The format of register readings."""
LISTED_MAX: Final = 1000
"""Refusals and findings that a result lists; the tables hold them all."""
LINES_MAX: Final = 20
"""Line numbers that one refusal lists."""


class UnreadableFile(DomainError):
    """A file that cannot be parsed; nothing of it was loaded. `problem` is itself a template."""

    code = "unreadable_file"
    template = mark("Line %(line)s: %(problem)s")

    def __init__(self, *, line: int, problem: str, **values: Any) -> None:  # noqa: ANN401
        super().__init__(line=line, problem=problem, **values)

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with the problem in the reader's language."""
        problem = translate(self.values["problem"]) % self.values
        return translate(self.template) % {"line": self.values["line"], "problem": problem}


class RefusalReason(StrEnum):
    """Why a row could not be placed; the order is that of the numbers in staged rows, from 1."""

    NO_VALUE = "no_value"
    NEGATIVE = "negative"
    TOO_LARGE = "too_large"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    UNKNOWN_POINT = "unknown_point"
    NO_CHANNEL = "no_channel"
    NONEXISTENT_TIME = "nonexistent_time"
    OFF_GRID = "off_grid"
    DUPLICATE_DIFFERENT = "duplicate_different"
    STORED_DIFFERENT = "stored_different"
    UNKNOWN_METER = "unknown_meter"
    BACKWARDS = "backwards"
    WRONG_INTERVAL = "wrong_interval"
    IN_THE_FUTURE = "in_the_future"


class BatchState(StrEnum):
    """How far an import has come."""

    OPEN = "open"
    DONE = "done"


class RefusalState(StrEnum):
    """What became of refused rows."""

    OPEN = "open"
    PLACED = "placed"
    """A second try placed them, or refused them anew for another reason."""
    REPEATED = "repeated"
    """The same file was imported again; that import speaks for them."""


REASONS: Final = tuple(RefusalReason)
NUMBER_OF: Final = {reason: number for number, reason in enumerate(REASONS, start=1)}

CURABLE: Final = frozenset(
    {
        RefusalReason.UNKNOWN_POINT,
        RefusalReason.NO_CHANNEL,
        RefusalReason.UNKNOWN_METER,
    }
)
"""Reasons that registering a place may do away with."""

REASON_TEXTS: Final[Mapping[RefusalReason, str]] = {
    RefusalReason.NO_VALUE: mark("there is no value"),
    RefusalReason.NEGATIVE: mark("the value is negative"),
    RefusalReason.TOO_LARGE: mark("the value is too large"),
    RefusalReason.TIME_OUT_OF_RANGE: mark("the time is not between 2000 and 2100"),
    RefusalReason.UNKNOWN_POINT: mark("the metering point is not known"),
    RefusalReason.NO_CHANNEL: mark("the metering point has no interval channel"),
    RefusalReason.NONEXISTENT_TIME: mark("the clock skipped this local time"),
    RefusalReason.OFF_GRID: mark("the time does not start an interval of the channel"),
    RefusalReason.DUPLICATE_DIFFERENT: mark("another value was given earlier in the file"),
    RefusalReason.STORED_DIFFERENT: mark("another value has been stored in the meantime"),
    RefusalReason.UNKNOWN_METER: mark("the meter is not known, or not alone at its point"),
    RefusalReason.BACKWARDS: mark("the reading is less than the one before"),
    RefusalReason.WRONG_INTERVAL: mark("the file's interval length is not the channel's"),
    RefusalReason.IN_THE_FUTURE: mark("the reading is of the future"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rows of one series that were refused for one reason; `lines` names the first of them."""

    point_code: str
    reason: RefusalReason
    count: int
    lines: tuple[int, ...]
    channel_code: str = ACTIVE_TAKEN

    def sentence(self, translate: Callable[[str], str] = str) -> str:
        """Return the refusal as a sentence in the reader's language."""
        template = mark("Line %(lines)s, %(point)s: %(reason)s (rows: %(count)s).")
        return translate(template) % {
            "lines": ", ".join(map(str, self.lines))
            + ("…" if len(self.lines) < self.count else ""),
            "point": (self.point_code or "«»")
            + ("" if self.channel_code == ACTIVE_TAKEN else f" {self.channel_code}"),
            "reason": translate(REASON_TEXTS[self.reason]),
            "count": self.count,
        }


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did: `rows = new + repeated + revised + refused`, always."""

    batch_id: int
    rows: int
    new: int
    repeated: int
    """Rows whose value was stored already, or stood earlier in the file."""
    revised: int
    refused: int
    energy: Decimal
    """Control total: kWh of all rows that were not refused, as the file gives them."""
    refusals: tuple[Refusal, ...] = ()
    findings: tuple[Finding, ...] = ()
    findings_count: int = 0
    same_as_batch_id: int | None = None
    """An earlier import of the very same file, where there was one."""
    resumed: bool = False
    """Whether this continued an import that had been stopped."""

    def __post_init__(self) -> None:
        told = self.new + self.repeated + self.revised + self.refused
        if self.rows != told:
            raise ValueError(f"an import accounts for every row: {self!r}")
