"""A receipt of money: proof that a top-up was booked; not a fiscal receipt, and it says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Self

from invoices.payment_document import Requisites, requisites_snapshot
from kilokassa.core.digest import digest_value

SNAPSHOT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class MoneyReceipt:
    """All that a receipt of money shows.

    It is no кассовый чек of 54-ФЗ: a cash register makes that one, or the bank that took the money.
    """

    retailer: Requisites
    payer_name: str
    address: str
    account_number: str
    amount_minor: int
    received_at: datetime
    """UTC; `zone` says in which local time it is printed."""
    zone: str
    issued_on: date
    tender: str
    """A message of the catalogue: how the money came."""
    reference: str = ""
    """The payer's or the bank's own number of the payment."""
    bonus_minor: int = 0
    """What the retailer added of its own for this top-up."""
    bonus_rules: str = ""
    """The names of the rules that it was granted by, in the language of the account."""
    balance_after_minor: int | None = None
    demo: bool = False
    number: str = ""

    def __post_init__(self) -> None:
        if self.amount_minor <= 0:
            raise ValueError(f"a receipt is for money that came: {self.amount_minor}")
        if self.received_at.tzinfo is None:
            raise ValueError(f"an instant has a zone: {self.received_at!r}")

    @property
    def digest(self) -> str:
        """The SHA-256 of the snapshot, without its number."""
        return digest_value(self.to_snapshot())

    def to_snapshot(self) -> dict[str, Any]:
        """Return the receipt as a dict that JSON keeps whole; the number is kept beside it."""
        snapshot: dict[str, Any] = {
            "v": SNAPSHOT_VERSION,
            "retailer": requisites_snapshot(self.retailer),
            "payer": {
                "name": self.payer_name,
                "address": self.address,
                "account": self.account_number,
            },
            "amount_minor": self.amount_minor,
            "received_at": self.received_at.isoformat(),
            "zone": self.zone,
            "issued_on": self.issued_on.isoformat(),
            "tender": self.tender,
            "bonus_minor": self.bonus_minor,
        }
        if self.reference:
            snapshot["reference"] = self.reference
        if self.bonus_rules:
            snapshot["bonus_rules"] = self.bonus_rules
        if self.balance_after_minor is not None:
            snapshot["balance_after_minor"] = self.balance_after_minor
        if self.demo:
            snapshot["demo"] = True
        return snapshot

    @classmethod
    def from_snapshot(cls, snapshot: Mapping[str, Any], number: str = "") -> Self:
        """Read a snapshot; `number`, or one under that key, is the receipt's own."""
        payer = snapshot["payer"]
        return cls(
            retailer=Requisites(**snapshot["retailer"]),
            payer_name=payer["name"],
            address=payer["address"],
            account_number=payer["account"],
            amount_minor=snapshot["amount_minor"],
            received_at=datetime.fromisoformat(snapshot["received_at"]),
            zone=snapshot["zone"],
            issued_on=date.fromisoformat(snapshot["issued_on"]),
            tender=snapshot["tender"],
            reference=snapshot.get("reference", ""),
            bonus_minor=snapshot["bonus_minor"],
            bonus_rules=snapshot.get("bonus_rules", ""),
            balance_after_minor=snapshot.get("balance_after_minor"),
            demo=snapshot.get("demo", False),
            number=number or snapshot.get("number", ""),
        )
