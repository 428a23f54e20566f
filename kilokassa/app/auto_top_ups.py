"""Auto top-up at work: who is short today, one payment at a time, taken in when the bank says so.

An attempt is written down before the provider is asked, under a number that makes its key; what
became of it is written with the money, in one transaction. A process that dies in between leaves
the attempt open, and it is asked again under the same key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.models import AccountRow
from kilokassa.app.gateways import (
    DEMO_PROVIDER,
    CardCharge,
    DemoGateway,
    GatewayAnswer,
    HttpGateway,
    PaymentGateway,
)
from kilokassa.app.overview import overviews
from kilokassa.app.payments import Payment, Told, take_payments
from kilokassa.app.wiring import Application
from kilokassa.core.clock import Clock
from kilokassa.core.digest import digest_value
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope, system_scope
from wallet.payments.auto import service as auto_service
from wallet.payments.auto import store as auto_store
from wallet.payments.auto.agreed import Agreed, Attempt
from wallet.payments.auto_top_up import Outcome
from wallet.payments.payment import OrderState, PaymentSource, PaymentState
from wallet.payments.service import NewIncoming, record_one, set_taken
from wallet.payments.signing import MessageKind, ProviderMessage

JOB_ACTOR: Final = "job:auto_top_up"
ASK_AGAIN_AFTER: Final = timedelta(minutes=10)
"""A payment without an outcome is asked for again then, under the same key."""
ACCOUNTS_A_LOOK: Final = 500


@dataclass(frozen=True, slots=True)
class AutoTopUpReport:
    """What a run did."""

    looked_at: int = 0
    asked: int = 0
    taken: int = 0
    refused: int = 0
    pending: int = 0
    taken_minor: int = 0

    def with_answer(self, outcome: Outcome, amount_minor: int) -> "AutoTopUpReport":
        """Return the report with one more payment that was asked for."""
        taken = outcome is Outcome.TAKEN
        return AutoTopUpReport(
            self.looked_at,
            self.asked + 1,
            self.taken + taken,
            self.refused + (outcome is Outcome.REFUSED),
            self.pending + (outcome is Outcome.PENDING),
            self.taken_minor + (amount_minor if taken else 0),
        )


def gateways_of(application: Application) -> dict[str, PaymentGateway]:
    """Return the providers that cards can be drawn on by, as the installation is set up."""
    found: dict[str, PaymentGateway] = {
        one.code: HttpGateway(one, application.clock) for one in application.settings.card_gateways
    }
    with application.database.reading() as session:
        if billing_store.retailer(session).demo:
            found.setdefault(DEMO_PROVIDER, DemoGateway())
    return found


def run_auto_top_ups(
    application: Application,
    day: date,
    *,
    gateways: Mapping[str, PaymentGateway] | None = None,
    scope: Scope | None = None,
) -> AutoTopUpReport:
    """Ask for what rules ask for on a local day; twice on a day asks nobody twice."""
    (scope or system_scope(JOB_ACTOR)).demand(Right.MANAGE_WALLETS)
    known = gateways_of(application) if gateways is None else gateways
    report = AutoTopUpReport()
    database, clock = application.database, application.clock
    with database.reading() as session:
        left_open = auto_store.pending(session, clock.now() - ASK_AGAIN_AFTER)
        rules = auto_store.standing(session, auto_store.standing_account_ids(session))
    account_ids = [i for i, agreed in sorted(rules.items()) if agreed.provider in known]
    for agreed, attempt in left_open:
        if agreed.provider not in known:
            continue  # it may have been asked before it was taken out of the settings
        report = _ask(application, known, agreed, attempt, report)
    for start in range(0, len(account_ids), ACCOUNTS_A_LOOK):
        part = account_ids[start : start + ACCOUNTS_A_LOOK]
        with database.reading() as session:
            found = overviews(session, part, clock.now())
            available = {i: one.balance.available_minor for i, one in found.items()}
        for account_id, available_minor in available.items():
            with database.writing() as session:
                begun = auto_service.begin(session, account_id, day, available_minor, clock)
            report = AutoTopUpReport(
                report.looked_at + 1,
                report.asked,
                report.taken,
                report.refused,
                report.pending,
                report.taken_minor,
            )
            if begun is not None and begun[2] is not None:
                report = _ask(application, known, begun[1], begun[2], report)
    return report


def _ask(
    application: Application,
    gateways: Mapping[str, PaymentGateway],
    agreed: Agreed,
    attempt: Attempt,
    report: AutoTopUpReport,
) -> AutoTopUpReport:
    """Ask the provider, with no transaction open meanwhile, and write down what it says."""
    number = _number(application, agreed.account_id)
    answer = gateways[agreed.provider].charge(
        CardCharge(attempt.key, number, attempt.amount_minor, agreed.card_token)
    )
    resolve(application, attempt, answer)
    return report.with_answer(answer.outcome, attempt.amount_minor)


def resolve(application: Application, attempt: Attempt, answer: GatewayAnswer) -> bool:
    """Write down what a provider said, and take the money in; False where it was told before."""
    if answer.outcome is Outcome.PENDING:
        return False
    with application.database.writing() as session:
        return _settled(session, attempt, answer, application.clock) is not None


def receive_auto(
    session: Session, provider: str, message: ProviderMessage, clock: Clock
) -> Told | None:
    """Do what a provider's own message says of an attempt; None where it is not to be resolved so.

    The answer to our request and the message are of one payment: whichever comes second repeats.
    Money that does not fit the attempt is not lost: what is None here waits in suspense.
    """
    attempt = auto_store.attempt_by_key(session, provider, message.order_id)
    if attempt is None or message.kind is MessageKind.REFUNDED:
        return None
    paid = message.kind is MessageKind.PAID
    if paid and attempt.amount_minor != message.amount_minor:
        return None
    answer = GatewayAnswer(Outcome.TAKEN if paid else Outcome.REFUSED, message.transaction_id)
    entry_id = _settled(session, attempt, answer, clock)
    if entry_id is not None:
        state = str(PaymentState.TAKEN if paid else OrderState.REFUSED)
        return Told(state, False, entry_id or None)
    stands = auto_store.attempt_by_key(session, provider, message.order_id)
    assert stands is not None
    if not paid:
        return Told(str(stands.outcome), True)
    # Taken by another transaction, or refused before: this is money of its own.
    if stands.outcome is Outcome.TAKEN and stands.answer in ("", message.transaction_id):
        return Told(PaymentState.TAKEN, True)
    return None


def _settled(session: Session, attempt: Attempt, answer: GatewayAnswer, clock: Clock) -> int | None:
    """Tell an attempt once: the entry it was taken by, 0 where it was refused, None if known."""
    scope = system_scope(JOB_ACTOR)
    text = answer.reference or answer.reason
    if auto_service.tell(session, attempt.id, answer.outcome, text, clock) is None:
        return None
    if answer.outcome is not Outcome.TAKEN:
        return 0
    payment = Payment(
        account_id=attempt.account_id,
        amount_minor=attempt.amount_minor,
        tender="card",
        paid_at=clock.now(),
        idempotency_key=attempt.key,
        reference=answer.reference,
    )
    new = NewIncoming(
        PaymentSource.AUTO_TOP_UP,
        auto_store.provider_of(session, attempt.rule_id),
        attempt.key,  # unique, which what a provider answers need not be
        session.get_one(AccountRow, attempt.account_id).number,
        attempt.amount_minor,
        payment.tender,
        payment.paid_at,
        purpose=attempt.key,
        request_digest=digest_value({"order": attempt.key, "amount": attempt.amount_minor}),
    )
    row, known = record_one(session, scope, new, clock)
    (taken,) = take_payments(session, scope, [payment], clock)
    if not known:
        found = {row.id: (attempt.account_id, taken.result.entry_id)}
        set_taken(session, found, scope.actor, clock)
    return taken.result.entry_id


def _number(application: Application, account_id: AccountId) -> str:
    with application.database.reading() as session:
        return session.get_one(AccountRow, account_id).number
