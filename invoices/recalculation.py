"""The document of the difference: what closed months were charged, and what they should have been.

It moves no money of its own: the difference is posted by the correction it tells of, and the next
payment document shows the same lines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, Self

from billing.models import CorrectionReason, LineKind
from invoices.payment_document import (
    DocumentLine,
    Payer,
    Requisites,
    line_snapshot,
    read_line,
    requisites_snapshot,
)
from kilokassa.core.calendar import Month
from kilokassa.core.digest import digest_value
from kilokassa.core.text import mark

SNAPSHOT_VERSION: Final = 1

REASONS: Final[Mapping[CorrectionReason, str]] = {
    CorrectionReason.READINGS: mark("Readings came or were put right later"),
    CorrectionReason.TARIFF: mark("A tariff was published for days that were charged already"),
    CorrectionReason.PRICES: mark("Hourly prices or peak hours were revised"),
    CorrectionReason.TERMS: mark("The plan or the terms changed from a day in the past on"),
    CorrectionReason.FACTS: mark("Area, persons or a concession changed from a day in the past on"),
    CorrectionReason.ABSENCE: mark("Temporary absence"),
    CorrectionReason.QUALITY: mark("An outage or a lack of quality was confirmed"),
    CorrectionReason.COMMON_AREA: mark("The common-area electricity of the house was put right"),
}


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """A line as it was charged and as it should have been; either may be missing."""

    before: DocumentLine | None
    after: DocumentLine | None

    def __post_init__(self) -> None:
        if self.before is None and self.after is None:
            raise ValueError("a difference is from something or to something")

    @property
    def difference_minor(self) -> int:
        """What is owed more; negative where too much was charged."""
        before_minor = 0 if self.before is None else self.before.amount_minor
        after_minor = 0 if self.after is None else self.after.amount_minor
        return after_minor - before_minor


@dataclass(frozen=True, slots=True)
class MonthDifference:
    """What one closed month comes to anew, and why."""

    month: Month
    reason: CorrectionReason
    rows: tuple[DifferenceRow, ...]
    before_digest: str
    """Of the lines that stood; with `after_digest` the correction can be done again."""
    after_digest: str

    @property
    def reasons(self) -> tuple[CorrectionReason, ...]:
        """Why its lines changed, each cause once."""
        told = dict.fromkeys(
            line.reason
            for row in self.rows
            for line in (row.before, row.after)
            if line is not None and line.reason is not None
        )
        return tuple(told) or (self.reason,)

    @property
    def difference_minor(self) -> int:
        """What the month's rows come to together."""
        return sum(row.difference_minor for row in self.rows)


@dataclass(frozen=True, slots=True)
class RecalculationDocument:
    """All that a document of the difference shows, apart from the words of its language."""

    retailer: Requisites
    payer: Payer
    issued_on: date
    shown_in: Month
    """The month whose payment document shows the same lines."""
    months: tuple[MonthDifference, ...]
    warnings: tuple[str, ...] = ()
    """Messages of the catalogue: rules whose source is not certain."""
    demo: bool = False
    number: str = ""

    def __post_init__(self) -> None:
        if not self.months:
            raise ValueError("a document of the difference is about a month")

    @property
    def difference_minor(self) -> int:
        """What is owed more in all; negative where it is given back."""
        return sum(month.difference_minor for month in self.months)

    @property
    def digest(self) -> str:
        """The SHA-256 of the snapshot, without its number."""
        return digest_value(self.to_snapshot())

    def to_snapshot(self) -> dict[str, Any]:
        """Return the document as a dict that JSON keeps whole; the number is kept beside it."""
        snapshot: dict[str, Any] = {
            "v": SNAPSHOT_VERSION,
            "retailer": requisites_snapshot(self.retailer),
            "payer": {
                "name": self.payer.name,
                "address": self.payer.address,
                "account": self.payer.account_number,
            },
            "issued_on": self.issued_on.isoformat(),
            "shown_in": str(self.shown_in),
            "months": [_month(month) for month in self.months],
            "difference_minor": self.difference_minor,
        }
        if self.warnings:
            snapshot["warnings"] = list(self.warnings)
        if self.demo:
            snapshot["demo"] = True
        return snapshot

    @classmethod
    def from_snapshot(cls, snapshot: Mapping[str, Any], number: str = "") -> Self:
        """Read a snapshot; `number`, or one under that key, is the document's own."""
        payer = snapshot["payer"]
        return cls(
            retailer=Requisites(**snapshot["retailer"]),
            payer=Payer(payer["name"], payer["address"], payer["account"]),
            issued_on=date.fromisoformat(snapshot["issued_on"]),
            shown_in=Month.parse(snapshot["shown_in"]),
            months=tuple(_read_month(month) for month in snapshot["months"]),
            warnings=tuple(snapshot.get("warnings", ())),
            demo=snapshot.get("demo", False),
            number=number or snapshot.get("number", ""),
        )


def paired(lines: Sequence[tuple[str, DocumentLine]]) -> tuple[DifferenceRow, ...]:
    """Return reversing and right lines, each with its key, side by side as before and after.

    What a reversing line takes back is shown as it was charged, so nothing is negative that was
    not negative on the bill.
    """
    before: dict[tuple[str, str], DocumentLine] = {}
    after: dict[tuple[str, str], DocumentLine] = {}
    for key, line in lines:
        place = (str(line.service), key)
        if line.kind is LineKind.REVERSAL:
            before[place] = _as_charged(line)
        else:
            after[place] = replace(line, kind=LineKind.ORIGINAL, month=None)
    # A price of another first day has another key; on paper it is the same line for the same days.
    alike: dict[DocumentLine, list[tuple[str, str]]] = {}
    for place in after.keys() - before.keys():
        alike.setdefault(_what_for(after[place]), []).append(place)
    rows = []
    for place, line in before.items():
        others = alike.get(_what_for(line), [])
        if place not in after and len(others) == 1:
            rows.append(DifferenceRow(line, after.pop(others.pop())))
        else:
            rows.append(DifferenceRow(line, after.pop(place, None)))
    return (*rows, *(DifferenceRow(None, line) for line in after.values()))


def _what_for(line: DocumentLine) -> DocumentLine:
    """Return what a line is for, without what it comes to."""
    return replace(
        line, quantity=0, rate_scaled=0, amount_minor=0, estimated=0, estimates=(), note=""
    )


def _as_charged(line: DocumentLine) -> DocumentLine:
    return replace(
        line,
        kind=LineKind.ORIGINAL,
        month=None,
        quantity=-line.quantity,
        amount_minor=-line.amount_minor,
        estimated=-line.estimated,
    )


def _month(one: MonthDifference) -> dict[str, Any]:
    return {
        "month": str(one.month),
        "reason": one.reason.value,
        "rows": [
            [None if line is None else line_snapshot(line) for line in (row.before, row.after)]
            for row in one.rows
        ],
        "difference_minor": one.difference_minor,
        "before_digest": one.before_digest,
        "after_digest": one.after_digest,
    }


def _read_month(fields: Mapping[str, Any]) -> MonthDifference:
    return MonthDifference(
        month=Month.parse(fields["month"]),
        reason=CorrectionReason(fields["reason"]),
        rows=tuple(
            DifferenceRow(*(None if line is None else read_line(line) for line in row))
            for row in fields["rows"]
        ),
        before_digest=fields["before_digest"],
        after_digest=fields["after_digest"],
    )
