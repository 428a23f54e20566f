"""Taking money: a top-up, its receipt and its notice in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.accounts import BilledAccount
from billing.debts.service import recompute
from billing.models import AccountRow, RetailerRow
from invoices.documents import Draft, IssuedDocument
from invoices.numbering import DocumentKind
from invoices.receipt import MoneyReceipt
from invoices.service import IssueOrder, issue_documents
from kilokassa.app.bonuses import ToppedUp, grant_for_top_ups
from kilokassa.app.month_documents import premises_address, requisites_of
from kilokassa.app.telling import tell_top_up
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import Language, mark
from kilokassa.db.slices import in_slices
from wallet import store as wallet_store
from wallet.bonuses import store as bonus_store
from wallet.bonuses.store import PublishedRule
from wallet.debts import store as debt_store
from wallet.service import TopUpOrder, TopUpResult, top_up
from wallet.topups import BonusRule

TENDERS = {
    "card": mark("bank card"),
    "sbp": mark("fast payment system"),
    "bank": mark("bank transfer"),
    "cash": mark("cash"),
}
"""How money comes in; documents print the words."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came in for an account."""

    account_id: AccountId
    amount_minor: int
    tender: str
    paid_at: datetime
    idempotency_key: str
    reference: str = ""
    bonus_rules: tuple[BonusRule, ...] = ()


@dataclass(frozen=True, slots=True)
class TakenPayment:
    """What became of a payment."""

    result: TopUpResult
    receipt: IssuedDocument


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a provider's message."""

    state: str
    """`taken`, `suspense`, `returned`, or the state of the order that was not paid."""
    repeated: bool
    entry_id: int | None = None


def take_payments(
    session: Session,
    scope: Scope,
    payments: Sequence[Payment],
    clock: Clock,
    *,
    tell: bool = True,
) -> tuple[TakenPayment, ...]:
    """Take money in, issue a receipt for each payment and, unless told not to, a notice.

    A payment that was taken before gives the first answer and the first receipt.
    """
    scope.demand(Right.MANAGE_WALLETS)
    retailer = billing_store.retailer(session)
    zone = ZoneInfo(retailer.zone)
    for payment in payments:
        if payment.tender not in TENDERS:
            raise NotFound(what=mark("tender"), name=payment.tender)
    accounts = _accounts(session, payments, zone)
    # All wallets at once, low to high: two batches in other orders would wait for each other.
    wallet_store.hold_wallets(session, accounts)
    shares = opening_shares(session, sorted(accounts), clock)
    results = [
        top_up(
            session,
            TopUpOrder(
                account_id=payment.account_id,
                amount_minor=payment.amount_minor,
                tender=payment.tender,
                valid_at=payment.paid_at,
                zone=zone,
                actor=scope.actor,
                idempotency_key=payment.idempotency_key,
                external_reference=payment.reference,
                bonus_rules=payment.bonus_rules,
                opening_share=shares[payment.account_id],
            ),
            clock,
        )
        for payment in payments
    ]
    results, named = _with_bonuses(session, payments, results, zone, scope.actor, clock)
    drafts = [
        _receipt(retailer, accounts[payment.account_id], payment, result, named, clock)
        for payment, result in zip(payments, results, strict=True)
    ]
    issued_on = local_date(clock.now(), zone)
    receipts = issue_documents(session, IssueOrder(drafts, issued_on), clock)
    taken = tuple(TakenPayment(*pair) for pair in zip(results, receipts, strict=True))
    # Money that came first withdraws what was due for a debt.
    recompute(session, sorted(accounts), clock)
    if tell:
        tell_top_up(
            session,
            [(accounts[p.account_id], p, t) for p, t in zip(payments, taken, strict=True)],
            zone,
            clock,
        )
    return taken


def opening_shares(
    session: Session, account_ids: Sequence[AccountId], clock: Clock
) -> dict[AccountId, int]:
    """Return the largest share of a top-up, in basis points, that repays an account's opening debt.

    What is stated of the account today holds; of whom nothing is, what the retailer has set.
    """
    retailer = billing_store.retailer(session)
    today = local_date(clock.now(), ZoneInfo(retailer.zone))
    flags = debt_store.flags_on(session, account_ids, today)
    found = {}
    for account_id in account_ids:
        stated = flags[account_id].opening_share_bp if account_id in flags else None
        found[account_id] = retailer.opening_share if stated is None else stated
    return found


def set_opening_share(session: Session, scope: Scope, percent: int | None) -> int:
    """Set the share, in whole per cent, of accounts that have none of their own; return it."""
    retailer = billing_store.retailer(session)
    if percent is not None:
        scope.demand(Right.RUN_BILLING)
        if not 0 <= percent <= 100:
            problem = mark("%(text)s is not a whole per cent from 0 to 100")
            where = mark("Share of a top-up for old debt")
            raise Invalid(where=where, problem=problem, text=str(percent))
        retailer.opening_share = percent * 100
        session.flush()
    return retailer.opening_share // 100


def _with_bonuses(
    session: Session,
    payments: Sequence[Payment],
    results: Sequence[TopUpResult],
    zone: ZoneInfo,
    actor: str,
    clock: Clock,
) -> tuple[list[TopUpResult], Mapping[str, PublishedRule]]:
    """Grant what the payments earn by the published rules; return the results with it.

    A payment that was taken before has the bonus of then.
    """
    rules = {rule.code: rule for rule in bonus_store.published_rules(session)}
    if not rules:
        return list(results), rules
    fresh = [
        ToppedUp(payment.account_id, result.entry_id, payment.amount_minor, payment.paid_at)
        for payment, result in zip(payments, results, strict=True)
        if not result.repeated
    ]
    grant_for_top_ups(session, fresh, zone, actor, clock)
    earned = bonus_store.granted_for(
        session, [one.account_id for one in payments], [result.entry_id for result in results]
    )
    found = []
    for result in results:
        grants = earned.get(result.entry_id, ())
        minor = sum(one.amount_minor for one in grants)
        codes = [code for code in (result.bonus_rule, *(one.rule_code for one in grants)) if code]
        found.append(
            replace(
                result,
                bonus_minor=result.bonus_minor + minor,
                bonus_rule=", ".join(codes),
                balance_minor=result.balance_minor + minor,
            )
        )
    return found, rules


def _accounts(
    session: Session, payments: Sequence[Payment], zone: ZoneInfo
) -> dict[AccountId, BilledAccount]:
    by_month: dict[Month, set[AccountId]] = {}
    for payment in payments:
        month = Month.of(local_date(payment.paid_at, zone))
        by_month.setdefault(month, set()).add(payment.account_id)
    found: dict[AccountId, BilledAccount] = {}
    for month, ids in by_month.items():
        for account in billing_store.billed_accounts(session, sorted(ids), month):
            found[account.id] = account
    # A payment may be dated before the account was opened, or come after it was closed.
    missing = sorted({payment.account_id for payment in payments} - set(found))
    for part in in_slices(missing):
        for row in session.scalars(select(AccountRow).where(AccountRow.id.in_(part))).all():
            last = row.opened_on if row.closed_on is None else row.closed_on - timedelta(days=1)
            month = Month.of(max(row.opened_on, last))
            for account in billing_store.billed_accounts(session, [AccountId(row.id)], month):
                found[account.id] = account
    for payment in payments:
        if payment.account_id not in found:
            raise NotFound(what=mark("account"), name=str(payment.account_id))
    return found


def _receipt(
    retailer: RetailerRow,
    account: BilledAccount,
    payment: Payment,
    result: TopUpResult,
    rules: Mapping[str, PublishedRule],
    clock: Clock,
) -> Draft:
    language = Language(account.language)
    codes = [code for code in result.bonus_rule.split(", ") if code]
    names = [rules[code].document.named(language) if code in rules else code for code in codes]
    receipt = MoneyReceipt(
        retailer=requisites_of(retailer),
        payer_name=account.payer_name,
        address=premises_address(account.address, account.premises_number),
        account_number=account.number,
        amount_minor=payment.amount_minor,
        received_at=payment.paid_at,
        zone=retailer.zone,
        issued_on=local_date(clock.now(), ZoneInfo(retailer.zone)),
        tender=TENDERS[payment.tender],
        reference=payment.reference,
        bonus_minor=result.bonus_minor,
        bonus_rules="; ".join(names),
        balance_after_minor=result.balance_minor,
        demo=retailer.demo,
    )
    return Draft(
        kind=DocumentKind.RECEIPT,
        account_id=account.id,
        snapshot=receipt.to_snapshot(),
        key=f"receipt:{result.entry_id}",
        language=language,
        input_digest=receipt.digest,
    )
