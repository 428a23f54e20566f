"""Use cases of auto top-up: agree, confirm, stop, begin an attempt, tell what became of it."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.errors import DomainError, Invalid, NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Role, Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import account_in_scope
from wallet.models import WalletRow
from wallet.payments.auto import store
from wallet.payments.auto.agreed import Agreed, Attempt, facts_of
from wallet.payments.auto.terms import terms_text
from wallet.payments.auto_top_up import AutoTopUpRule, Decision, Outcome, Why, decide
from wallet.payments.models import AutoTopUpAttemptRow, AutoTopUpRow

TOKEN_MAX: Final = 200
ANSWER_MAX: Final = 200


class NoAutoTopUp(DomainError):
    """The account has no rule that stands."""

    code = "no_auto_top_up"
    template = mark("The account has no auto top-up.")


@dataclass(frozen=True, slots=True)
class AgreeOrder:
    """What a resident agrees to, and the card that pays."""

    account_id: AccountId
    rule: AutoTopUpRule
    provider: str
    card_token: str
    card_hint: str = ""


def agree(session: Session, scope: Scope, order: AgreeOrder, clock: Clock) -> Agreed:
    """Let a rule stand in place of the former one; the same again changes nothing.

    Only who reaches the account agrees for it: its resident, or staff on the resident's paper.
    """
    _demand(session, scope, order.account_id)
    if not 0 < len(order.card_token) <= TOKEN_MAX or not order.card_token.isprintable():
        problem = mark("the provider names a card by 1 to %(most)s characters")
        raise Invalid(where=mark("card"), problem=problem, most=TOKEN_MAX)
    former = _standing_row(session, order.account_id)
    terms = terms_text(order.rule)
    now = clock.now()
    if former is not None:
        same = (former.terms, former.provider, former.card_token)
        if same == (terms, order.provider, order.card_token):
            return store.agreed_of(former)
        former.superseded_at = now
        session.flush()
    row = AutoTopUpRow(
        account_id=order.account_id,
        terms=terms,
        provider=order.provider,
        card_token=order.card_token,
        card_hint=order.card_hint[-4:],
        enough_on=None,
        confirmed_at=now,
        actor=scope.actor,
        recorded_at=now,
        superseded_at=None,
    )
    session.add(row)
    session.flush()
    return store.agreed_of(row)


def confirm(session: Session, scope: Scope, account_id: AccountId, clock: Clock) -> Agreed:
    """Let a rule that stood still after refusals ask again: those before now do not count."""
    row = _own_row(session, scope, account_id)
    row.confirmed_at = clock.now()
    session.flush()
    return store.agreed_of(row)


def stop(session: Session, scope: Scope, account_id: AccountId, clock: Clock) -> Agreed:
    """Let a rule ask no more; a payment that is under way is still told."""
    row = _own_row(session, scope, account_id)
    row.superseded_at = clock.now()
    session.flush()
    return store.agreed_of(row)


def stop_for_closed(session: Session, account_id: AccountId, clock: Clock) -> bool:
    """Let the rule of an account that ends ask no more; say whether it had one."""
    row = _standing_row(session, account_id)
    if row is None:
        return False
    row.superseded_at = clock.now()
    session.flush()
    return True


def begin(
    session: Session, account_id: AccountId, on: date, available_minor: int, clock: Clock
) -> tuple[Decision, Agreed, Attempt | None] | None:
    """Decide for an account and write the attempt down before anybody is asked for money.

    Under the lock of the rule, so that two workers never both begin one. None where no rule stands.
    """
    row = _standing_row(session, account_id)
    if row is None:
        return None
    agreed = store.agreed_of(row)
    attempts = store.attempts_of_accounts(session, [account_id]).get(account_id, ())
    decision = decide(agreed.rule, on, available_minor, facts_of(agreed, attempts))
    if decision.why is Why.ENOUGH and (row.enough_on is None or row.enough_on < on):
        row.enough_on = on
        session.flush()
    if not decision.amount_minor:
        return decision, agreed, None
    attempt = AutoTopUpAttemptRow(
        auto_top_up_id=row.id,
        number=decision.attempt,
        on=on,
        amount_minor=decision.amount_minor,
        why=str(decision.why),
        outcome=Outcome.PENDING,
        recorded_at=clock.now(),
        told_at=None,
    )
    session.add(attempt)
    session.flush()
    return decision, agreed, store.attempt_of(attempt, account_id)


def tell(
    session: Session, attempt_id: int, outcome: Outcome, answer: str, clock: Clock
) -> Attempt | None:
    """Write down what became of an attempt; None where that was told before.

    Whoever is answered here takes the money in, in the same transaction: so the webhook of the
    provider and the job that asks again never both do.
    """
    assert outcome is not Outcome.PENDING, attempt_id
    told = (
        update(AutoTopUpAttemptRow)
        .where(
            AutoTopUpAttemptRow.id == attempt_id,
            AutoTopUpAttemptRow.outcome == Outcome.PENDING,
        )
        .values(outcome=outcome, answer=answer[:ANSWER_MAX], told_at=clock.now())
        .returning(AutoTopUpAttemptRow.id)
    )
    if session.execute(told).first() is None:
        return None
    query = (
        select(AutoTopUpAttemptRow, AutoTopUpRow.account_id)
        .join(AutoTopUpRow, AutoTopUpRow.id == AutoTopUpAttemptRow.auto_top_up_id)
        .where(AutoTopUpAttemptRow.id == attempt_id)
        .execution_options(populate_existing=True)
    )
    row, account_id = session.execute(query).one()
    return store.attempt_of(row, account_id)


def _demand(session: Session, scope: Scope, account_id: AccountId) -> None:
    """Refuse who is neither the resident of the account nor staff that manages wallets."""
    scope.demand(Right.VIEW if scope.role is Role.RESIDENT else Right.MANAGE_WALLETS)
    query = select(WalletRow.id).where(
        WalletRow.account_id == account_id,
        account_in_scope(WalletRow.__table__.c.account_id, scope),
    )
    if session.scalars(query.with_for_update()).one_or_none() is None:
        raise NotFound(what=mark("account"), name=str(account_id))


def _own_row(session: Session, scope: Scope, account_id: AccountId) -> AutoTopUpRow:
    _demand(session, scope, account_id)
    row = _standing_row(session, account_id)
    if row is None:
        raise NoAutoTopUp(account=account_id)
    return row


def _standing_row(session: Session, account_id: AccountId) -> AutoTopUpRow | None:
    query = (
        select(AutoTopUpRow)
        .where(AutoTopUpRow.account_id == account_id, AutoTopUpRow.superseded_at.is_(None))
        .order_by(AutoTopUpRow.id.desc())
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).first()
