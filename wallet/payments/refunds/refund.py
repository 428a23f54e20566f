"""Refunds as values: what may be given back, and to whom."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kilokassa.core.digest import digest_value
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.text import mark
from wallet.lots import LotKind
from wallet.payments.payment import RefundState

OWN_MONEY: Final = frozenset({LotKind.OWN, LotKind.RETURNED})
"""What a payer may have back: money that was paid in, or given back for what was paid.

Never a bonus, a compensation that only lessens bills, a credit, or what is set aside in a reserve.
"""

TEXT_MAX: Final = 200
REQUISITES_MAX: Final = 1_000


class NotRefundable(DomainError):
    """More is asked back than there is to give back."""

    code = "not_refundable"
    template = mark("At most %(most)s roubles can be given back.")

    @property
    def most_minor(self) -> int:
        """How much can be given back, in kopecks."""
        found: int = self.values["most_minor"]
        return found


class RefundSettled(DomainError):
    """The refund was paid or dropped before."""

    code = "refund_settled"
    template = mark("Refund %(number)s is settled already.")


@dataclass(frozen=True, slots=True)
class AskOrder:
    """Money that is asked back."""

    account_id: AccountId
    amount_minor: int
    to_whom: str
    requisites: str
    idempotency_key: str
    why: str = ""
    advance_of: str = ""
    """The third person whose advance it is; it goes back to that person alone."""

    def digest(self) -> str:
        """Return the digest of what is asked."""
        return digest_value(
            {
                "account": self.account_id,
                "amount": self.amount_minor,
                "to": self.to_whom,
                "requisites": self.requisites,
                "why": self.why,
                "advance_of": self.advance_of,
            }
        )


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund as lists show it."""

    id: int
    account_id: AccountId
    account_number: str
    payer_name: str
    amount_minor: int
    to_whom: str
    requisites: str
    why: str
    advance: bool
    """Whether it is the advance of a third person."""
    state: RefundState
    actor: str
    asked_at: datetime
    settled_by: str
    settled_at: datetime | None
    reference: str
