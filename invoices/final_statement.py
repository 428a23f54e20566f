"""The final statement of an account that ended: its last months, what moved, who owes whom what.

It moves no money itself. What it was computed from, entries of the wallet and charge lines, is
named by their last numbers and a digest: so it can be computed anew and compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Self

from invoices.payment_document import (
    DocumentLine,
    MeterUse,
    Payer,
    Requisites,
    line_snapshot,
    meter_snapshot,
    read_line,
    read_meter,
    read_statement,
    requisites_snapshot,
    statement_snapshot,
)
from invoices.statement import Statement
from kilokassa.core.calendar import Month

SNAPSHOT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class FinalStatement:
    """All that a final statement shows, apart from the words of its language."""

    retailer: Requisites
    payer: Payer
    opened_on: date
    ended_on: date
    """The first day on which the account is not charged any more."""
    issued_on: date
    first: Month
    """The first month it shows; months before it have their payment documents."""
    statement: Statement
    lines: tuple[tuple[Month, DocumentLine], ...]
    meters: tuple[MeterUse, ...]
    refund_minor: int = 0
    """Of the closing balance, what is on its way to its owner."""
    refund_to: str = ""
    transferred_minor: int = 0
    transferred_to: str = ""
    """Number of the account that the rest was moved to."""
    documents: tuple[str, ...] = ()
    """Numbers of the payment documents of its months."""
    last_entry: int = 0
    """Number of the wallet's last entry that it shows."""
    last_line: int = 0
    warnings: tuple[str, ...] = ()
    demo: bool = False
    number: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.refund_minor <= max(0, self.statement.closing.net_minor):
            raise ValueError(f"only what is left is paid out: {self!r}")
        charged_minor = sum([line.amount_minor for _, line in self.lines])
        if charged_minor != self.statement.charged_minor:
            raise ValueError(f"the lines come to what was charged: {self!r}")

    @property
    def debt_minor(self) -> int:
        """What the payer owes in the end."""
        return self.statement.closing.debt_minor

    @property
    def kept_minor(self) -> int:
        """What stays in the wallet for its owner."""
        return self.statement.closing.advance_minor - self.refund_minor

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
            "opened_on": self.opened_on.isoformat(),
            "ended_on": self.ended_on.isoformat(),
            "issued_on": self.issued_on.isoformat(),
            "first": str(self.first),
            "statement": statement_snapshot(self.statement),
            "lines": [[str(month), line_snapshot(line)] for month, line in self.lines],
            "meters": [meter_snapshot(meter) for meter in self.meters],
            "refund": {"minor": self.refund_minor, "to": self.refund_to},
            "transferred": {"minor": self.transferred_minor, "to": self.transferred_to},
            "documents": list(self.documents),
            "inputs": {"last_entry": self.last_entry, "last_line": self.last_line},
        }
        if self.warnings:
            snapshot["warnings"] = list(self.warnings)
        if self.demo:
            snapshot["demo"] = True
        return snapshot

    @classmethod
    def from_snapshot(cls, snapshot: Mapping[str, Any], number: str = "") -> Self:
        """Read a snapshot; `number`, or one under that key, is the document's own."""
        payer, inputs = snapshot["payer"], snapshot["inputs"]
        refund, transferred = snapshot["refund"], snapshot["transferred"]
        return cls(
            retailer=Requisites(**snapshot["retailer"]),
            payer=Payer(payer["name"], payer["address"], payer["account"]),
            opened_on=date.fromisoformat(snapshot["opened_on"]),
            ended_on=date.fromisoformat(snapshot["ended_on"]),
            issued_on=date.fromisoformat(snapshot["issued_on"]),
            first=Month.parse(snapshot["first"]),
            statement=read_statement(snapshot["statement"]),
            lines=tuple((Month.parse(month), read_line(line)) for month, line in snapshot["lines"]),
            meters=tuple(read_meter(meter) for meter in snapshot["meters"]),
            refund_minor=refund["minor"],
            refund_to=refund["to"],
            transferred_minor=transferred["minor"],
            transferred_to=transferred["to"],
            documents=tuple(snapshot["documents"]),
            last_entry=inputs["last_entry"],
            last_line=inputs["last_line"],
            warnings=tuple(snapshot.get("warnings", ())),
            demo=snapshot.get("demo", False),
            number=number or snapshot.get("number", ""),
        )
