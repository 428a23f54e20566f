"""Webhooks as an installation uses them: what an event to try one out says."""

from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from billing import store as billing_store
from kilokassa.core.clock import Clock
from kilokassa.core.errors import NotFound
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import Language, mark
from notices.events import event_message
from notices.notice import NoticeKind, NoticeOrder, Way
from notices.service import enqueue
from notices.store import EndpointState, endpoints
from notices.wallet_letters import TestEvent


def endpoint_of(session: Session, scope: Scope, code: str) -> EndpointState:
    """Return a webhook as staff of the retailer see it; another is not found."""
    scope.demand(Right.VIEW_STAFF)
    found = {one.code: one for one in endpoints(session)} if scope.whole_retailer else {}
    if code not in found:
        raise NotFound(what=mark("webhook"), name=code[:60])
    return found[code]


def send_test(session: Session, scope: Scope, code: str, clock: Clock) -> bool:
    """Write an event that says nothing but that the webhook works; once a second at most."""
    scope.demand(Right.MANAGE_USERS)
    endpoint_of(session, scope, code)
    retailer = billing_store.retailer(session)
    now = clock.now()
    order = NoticeOrder(
        kind=NoticeKind.TEST,
        account_id=None,
        language=Language(retailer.languages.split(",")[0]),
        recipient=code,
        message=event_message(NoticeKind.TEST, TestEvent(code), "", now, demo=retailer.demo),
        dedupe_key=f"{NoticeKind.TEST}:{code}:{now.isoformat(timespec='seconds')}",
        zone=ZoneInfo(retailer.zone),
        way=Way.WEBHOOK,
    )
    return enqueue(session, order, clock)
