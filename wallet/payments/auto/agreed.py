"""What a resident agreed to and what came of it, as values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from kilokassa.core.ids import AccountId
from wallet.payments.auto_top_up import Attempts, AutoTopUpRule, Outcome


@dataclass(frozen=True, slots=True)
class Attempt:
    """One payment that was asked for."""

    id: int
    rule_id: int
    account_id: AccountId
    number: int
    on: date
    amount_minor: int
    why: str
    outcome: Outcome
    answer: str
    recorded_at: datetime
    told_at: datetime | None

    @property
    def key(self) -> str:
        """What the provider knows the payment by: asked twice, it is taken once."""
        return f"auto:{self.rule_id}:{self.number}"


@dataclass(frozen=True, slots=True)
class Agreed:
    """A rule that stands, or stood, with the means of payment it draws on."""

    id: int
    account_id: AccountId
    rule: AutoTopUpRule
    provider: str
    card_token: str
    """A secret: no page, document or log shows it."""
    card_hint: str
    enough_on: date | None
    confirmed_at: datetime
    actor: str
    recorded_at: datetime
    superseded_at: datetime | None

    @property
    def stands(self) -> bool:
        """Say whether the rule may still ask for money."""
        return self.superseded_at is None


def facts_of(agreed: Agreed, attempts: Sequence[Attempt]) -> Attempts:
    """Return what a decision needs to know of all attempts of the account, in their order.

    Attempts of a former rule count: who changes the rule while a payment is under way does not get
    a second one beside it.
    """
    if not attempts:
        return Attempts(enough_on=agreed.enough_on)
    latest = attempts[-1]
    taken = [one.on for one in attempts if one.outcome is Outcome.TAKEN]
    refusals = 0
    for one in reversed(attempts):
        if one.outcome is Outcome.PENDING:
            continue
        if one.outcome is not Outcome.REFUSED or (one.told_at or one.recorded_at) < (
            agreed.confirmed_at
        ):
            break
        refusals += 1
    pending = next((one for one in attempts if one.outcome is Outcome.PENDING), latest)
    return Attempts(
        count=latest.number,
        latest=pending.outcome,
        latest_on=pending.on,
        last_taken_on=max(taken) if taken else None,
        enough_on=agreed.enough_on,
        refusals=refusals,
    )
