"""Which facts become notices, by which ways: a top-up, a document, money that runs low."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.accounts import BilledAccount
from billing.models import RetailerRow, Settlement
from invoices import store as invoice_store
from invoices.payment_document import PaymentDocument
from kilokassa.app.month_documents import premises_address
from kilokassa.app.overview import Overview, overviews
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.ids import AccountId, DocumentId
from kilokassa.core.text import Language
from kilokassa.db.session import Database
from notices.events import event_message
from notices.messages import (
    Addressee,
    DaysLeft,
    DocumentIssued,
    Facts,
    Letterhead,
    MoneyLow,
    RecalculationIssued,
    TopUpReceived,
    message_for,
    message_of,
)
from notices.notice import MACHINE_KINDS, NoticeKind, NoticeOrder, Way
from notices.preferences import STANDARD, Preference
from notices.rules import Standing, Thresholds, alarm_key
from notices.service import AlarmOrder, enqueue_all, raise_alarms
from notices.store import active_endpoints, preferences

DOCUMENTS_A_PART = 200
"""Letters written in one transaction: it is held for a second or two."""

if TYPE_CHECKING:
    from kilokassa.app.payments import Payment, TakenPayment


def tell_top_up(
    session: Session,
    taken: Sequence[tuple[BilledAccount, "Payment", "TakenPayment"]],
    zone: ZoneInfo,
    clock: Clock,
) -> int:
    """Write a notice for each payment that came now."""
    told = [
        Told(
            account,
            NoticeKind.TOP_UP_RECEIVED,
            TopUpReceived(
                amount_minor=payment.amount_minor,
                received_at=payment.paid_at,
                zone=zone,
                available_minor=receipt.result.balance_minor,
                bonus_minor=receipt.result.bonus_minor,
                receipt_number=receipt.receipt.number,
            ),
            f"top_up:{receipt.result.entry_id}",
            receipt.receipt.number,
        )
        for account, payment, receipt in taken
        if not receipt.result.repeated
    ]
    return tell(session, told, clock)


def tell_documents(
    database: Database, month: Month, clock: Clock, account_ids: Sequence[AccountId] | None = None
) -> int:
    """Write a notice for each live payment document of a month; a document is told of once."""
    with database.reading() as session:
        ids = invoice_store.live_document_ids(session, month, account_ids)
    told = 0
    for start in range(0, len(ids), DOCUMENTS_A_PART):
        with database.writing() as session:
            told += _tell_part(session, ids[start : start + DOCUMENTS_A_PART], month, clock)
    return told


def _tell_part(
    session: Session, document_ids: Sequence[DocumentId], month: Month, clock: Clock
) -> int:
    documents = {d.account_id: d for d in invoice_store.documents_by_ids(session, document_ids)}
    told = []
    for account in billing_store.billed_accounts(session, list(documents), month):
        document = documents[account.id]
        shown = PaymentDocument.from_snapshot(document.snapshot)
        facts = DocumentIssued(
            number=document.number,
            month=month,
            charged_minor=shown.total_minor,
            balance_minor=shown.statement.closing.net_minor,
            due_on=shown.due_on,
        )
        key = f"document:{document.number}"
        told.append(Told(account, NoticeKind.PAYMENT_DOCUMENT, facts, key, document.number))
    return tell(session, told, clock)


def tell_recalculations(
    session: Session,
    issued: Sequence[tuple[BilledAccount, RecalculationIssued]],
    clock: Clock,
) -> int:
    """Write a notice for each document of the difference."""
    told = [
        Told(account, NoticeKind.RECALCULATION, facts, f"document:{facts.number}", facts.number)
        for account, facts in issued
    ]
    return tell(session, told, clock)


def tell_alarms(
    session: Session,
    account_ids: Sequence[AccountId],
    clock: Clock,
    thresholds: Thresholds | None = None,
) -> int:
    """Judge prepaid accounts as they stand and write the notices that are due; twice is once.

    Each account is judged by the thresholds it stated, else by those given.
    """
    limits = thresholds or Thresholds()
    found = {
        account_id: overview
        for account_id, overview in overviews(session, account_ids, clock.now()).items()
        if overview.account.settlement is Settlement.PREPAID
    }
    stated = preferences(session, list(found))
    own = {account_id: one.thresholds for account_id, one in stated.items()}
    standings = tuple(
        Standing(
            account_id,
            overview.balance.available_minor,
            None if overview.runway is None else overview.runway.days,
            own.get(account_id),
        )
        for account_id, overview in found.items()
    )
    zone = billing_store.retailer_zone(session)
    told = []
    for raised in raise_alarms(session, AlarmOrder(standings, limits), clock):
        overview = found[raised.account_id]
        judged_by = own.get(raised.account_id, limits)
        told.append(
            Told(
                overview.account,
                raised.kind,
                _alarm(raised.kind, overview, judged_by, zone, clock),
                alarm_key(raised.kind, raised.account_id, raised.episode),
            )
        )
    return tell(session, told, clock)


def _alarm(
    kind: NoticeKind, overview: Overview, limits: Thresholds, zone: ZoneInfo, clock: Clock
) -> Facts:
    known = overview.balance.known_until or clock.now()
    known_until = local_date(known - timedelta(microseconds=1), zone)
    left = overview.runway
    if kind is NoticeKind.MONEY_LOW or left is None:
        return MoneyLow(
            available_minor=overview.balance.available_minor,
            threshold_minor=limits.low_minor,
            days_left=None if left is None else left.days,
            known_until=known_until,
        )
    return DaysLeft(
        available_minor=overview.balance.available_minor,
        days=left.days,
        until=local_date(left.until, zone),
        daily_minor=left.daily_minor,
        known_until=known_until,
    )


@dataclass(frozen=True, slots=True)
class Told:
    """A fact that an account is to be told of; `key` names it, so that it is told once."""

    account: BilledAccount
    kind: NoticeKind
    facts: Facts
    key: str
    document_number: str | None = None


def tell(session: Session, told: Sequence[Told], clock: Clock) -> int:
    """Write what is told, by each way the account wants, and for each webhook that wants it.

    Call it in the transaction of the effect. Returns how many notices are new; the same facts again
    are none. Nobody is reached by a way without an address, and a kind that was switched off is
    left out, apart from the legal ones.
    """
    if not told:
        return 0
    retailer = billing_store.retailer(session)
    stated = preferences(session, [one.account.id for one in told])
    hooks = active_endpoints(session)
    orders: list[NoticeOrder] = []
    for one in told:
        wish = stated.get(one.account.id, STANDARD)
        if one.kind not in MACHINE_KINDS:
            orders += [
                _by_way(retailer, one, way, address, wish)
                for way, address in wish.ways_for(one.kind, one.account.email)
            ]
        orders += [
            _event(retailer, one, hook.code, clock) for hook in hooks if hook.wants(one.kind)
        ]
    return enqueue_all(session, orders, clock)


def _by_way(
    retailer: RetailerRow, one: Told, way: Way, address: str, wish: Preference
) -> NoticeOrder:
    mail = account_notice(retailer, one.account, one.kind, one.facts, one.key, one.document_number)
    if way is Way.EMAIL:
        return replace(mail, recipient=address, quiet=wish.quiet)
    return replace(
        mail,
        way=way,
        recipient=address,
        quiet=wish.quiet,
        message=message_for(
            way, one.facts, _addressee(one.account), _letterhead(retailer), mail.language
        ),
        dedupe_key=f"{one.key}:{way}",
        document_number=None,  # a telephone takes no PDF; it lies on the account page
    )


def _event(retailer: RetailerRow, one: Told, endpoint: str, clock: Clock) -> NoticeOrder:
    return NoticeOrder(
        kind=one.kind,
        account_id=one.account.id,
        language=Language(one.account.language),
        recipient=endpoint,
        message=event_message(
            one.kind, one.facts, one.account.number, clock.now(), demo=retailer.demo
        ),
        dedupe_key=f"{one.key}:{Way.WEBHOOK}:{endpoint}",
        zone=one.account.zone,
        way=Way.WEBHOOK,
    )


def account_notice(
    retailer: RetailerRow,
    account: BilledAccount,
    kind: NoticeKind,
    facts: Facts,
    key: str,
    document_number: str | None = None,
) -> NoticeOrder:
    """Return the order of a notice to an account, by e-mail and in its own language."""
    language = Language(account.language)
    return NoticeOrder(
        kind=kind,
        account_id=account.id,
        language=language,
        recipient=account.email,
        message=message_of(facts, _addressee(account), _letterhead(retailer), language),
        dedupe_key=key,
        zone=account.zone,
        document_number=document_number,
    )


def _addressee(account: BilledAccount) -> Addressee:
    return Addressee(
        account.number,
        account.payer_name,
        premises_address(account.address, account.premises_number),
    )


def _letterhead(retailer: RetailerRow) -> Letterhead:
    return Letterhead(
        retailer_name=retailer.name,
        phone=retailer.phone,
        email=retailer.email,
        page_url=retailer.page_url,
        demo=retailer.demo,
    )
