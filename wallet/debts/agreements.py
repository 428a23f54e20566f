"""Instalment agreements as values: their terms, their schedule, and how they stand."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from kilokassa.core.ids import AccountId
from wallet.debts.instalments import AgreementState, Instalment, agreement_state, schedule
from wallet.debts.late_fee import DebtPayment

GRACE_DAYS = 5
"""Days after which an instalment that was not paid breaks the agreement; a choice of ours."""


@dataclass(frozen=True, slots=True)
class AgreementTerms:
    """What is agreed on; the schedule follows from it."""

    debt_minor: int
    months: int
    agreed_on: date
    first_due_on: date
    rate_bp: int = 0
    key_rate_bp: int | None = None
    grace_days: int = GRACE_DAYS

    def schedule(self) -> tuple[Instalment, ...]:
        """Return the instalments; refuse terms that make no schedule, or ask too much."""
        return schedule(
            self.debt_minor,
            self.months,
            agreed_on=self.agreed_on,
            first_due_on=self.first_due_on,
            rate_bp=self.rate_bp,
            key_rate_bp=self.key_rate_bp,
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement that was signed."""

    id: int
    account_id: AccountId
    terms: AgreementTerms
    document: str
    actor: str
    recorded_at: datetime
    ended_on: date | None = None
    ended_by: str = ""
    ended_why: str = ""

    def paid_since(self, payments: Iterable[tuple[date, datetime, int]]) -> list[DebtPayment]:
        """Return what was paid after it was signed, of (day, recorded at, kopecks).

        On the day itself what was recorded later: what came before is not part of the debt.
        """
        return [
            DebtPayment(day, amount_minor)
            for day, recorded_at, amount_minor in payments
            if day > self.terms.agreed_on
            or (day == self.terms.agreed_on and recorded_at > self.recorded_at)
        ]

    def state(self, payments: Iterable[DebtPayment], on: date) -> AgreementState:
        """Return how it stands at the end of a day."""
        return agreement_state(
            self.terms.schedule(), payments, on=on, grace_days=self.terms.grace_days
        )

    def stands(self, payments: Iterable[DebtPayment], on: date) -> bool:
        """Say whether it stands between the debt and a limitation on a day."""
        if on < self.terms.agreed_on or (self.ended_on is not None and on >= self.ended_on):
            return False
        return self.state(payments, on).protects
