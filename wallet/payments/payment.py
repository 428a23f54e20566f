"""Payments that came in: where from, and how far each has come."""

from enum import StrEnum
from typing import Final

from kilokassa.core.text import mark


class PaymentSource(StrEnum):
    """The way a payment came in."""

    REGISTRY = "registry"
    """A row of a bank's registry file."""
    STATEMENT = "statement"
    """A document of a bank statement (1CClientBankExchange)."""
    PROVIDER = "provider"
    """A signed message of a payment provider."""
    CASH_DESK = "cash_desk"
    AUTO_TOP_UP = "auto_top_up"


class PaymentState(StrEnum):
    """How far a payment has come."""

    TAKEN = "taken"
    """Posted to the wallet of an account."""
    SUSPENSE = "suspense"
    """Money whose account was not found: it waits for a person."""
    RETURNED = "returned"
    """Sent back to whoever paid."""


class OrderState(StrEnum):
    """How far a payment has come that a resident began."""

    OPEN = "open"
    PAID = "paid"
    REFUSED = "refused"
    EXPIRED = "expired"


class RefundState(StrEnum):
    """How far a refund has come."""

    ASKED = "asked"
    """The money is held, and not posted."""
    PAID = "paid"
    DROPPED = "dropped"


SOURCE_WORDS: Final = {
    PaymentSource.REGISTRY: mark("Registry of a bank"),
    PaymentSource.STATEMENT: mark("Bank statement"),
    PaymentSource.PROVIDER: mark("Payment provider"),
    PaymentSource.CASH_DESK: mark("Cash desk"),
    PaymentSource.AUTO_TOP_UP: mark("Auto top-up"),
}
STATE_WORDS: Final = {
    PaymentState.TAKEN: mark("Credited"),
    PaymentState.SUSPENSE: mark("In suspense"),
    PaymentState.RETURNED: mark("Returned to the payer"),
}
ORDER_WORDS: Final = {
    OrderState.OPEN: mark("Waits for payment"),
    OrderState.PAID: mark("Paid"),
    OrderState.REFUSED: mark("Refused by the provider"),
    OrderState.EXPIRED: mark("Not paid in time"),
}
