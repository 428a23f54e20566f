"""Payments that came in: where from, and how far each has come."""

from enum import StrEnum


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
