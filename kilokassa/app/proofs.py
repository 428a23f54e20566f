"""What proves that a notice arrived, written down where the law's clock starts from it.

Each call judges the services of the account in the transaction of the proof: what is shown after it
is what follows from it.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.debts.service import recompute
from kilokassa.core.clock import Clock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from notices.desk import service as desk
from notices.desk.service import Delivered, DeliveryOrder
from notices.models import NoticeRow
from notices.notice import NoticeKind, Way
from notices.store import RecordedDelivery
from wallet.store import hold_wallets


def record_delivery(
    session: Session, scope: Scope, order: DeliveryOrder, clock: Clock
) -> Delivered:
    """Write down that a notice arrived, and judge what follows from it."""
    done = desk.record_delivery(session, scope, order, clock)
    return _judged(session, done, clock)


def record_status(
    session: Session,
    way: Way,
    message_id: str,
    delivered_at: datetime | None,
    proof: str,
    clock: Clock,
) -> Delivered:
    """Write down that a gateway says a telephone has the notice, and judge what follows from it."""
    done = desk.record_status(session, way, message_id, delivered_at, proof, clock)
    return _judged(session, done, clock)


def record_opened(
    session: Session, scope: Scope, notice_id: int, account_id: AccountId, clock: Clock
) -> Delivered | None:
    """Write down that a resident opened a notice, and judge what follows from it."""
    done = desk.record_opened(session, scope, notice_id, account_id, clock)
    return None if done is None else _judged(session, done, clock)


def withdraw_delivery(
    session: Session, scope: Scope, delivery_id: int, reason: str, clock: Clock
) -> RecordedDelivery:
    """Say that a record of a delivery is wrong, and judge what followed from it anew."""
    record = desk.withdraw_delivery(session, scope, delivery_id, reason, clock)
    _judge(session, record.notice_id, clock)
    return record


def _judged(session: Session, done: Delivered, clock: Clock) -> Delivered:
    if not done.repeated:
        _judge(session, done.record.notice_id, clock)
    return done


def _judge(session: Session, notice_id: int, clock: Clock) -> None:
    notice = session.get(NoticeRow, notice_id)
    if notice is None or notice.kind is not NoticeKind.LIMITATION or notice.account_id is None:
        return
    account_id = AccountId(notice.account_id)
    hold_wallets(session, [account_id])
    recompute(session, [account_id], clock)
