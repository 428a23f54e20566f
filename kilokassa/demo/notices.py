"""Notices of the demo town: an SMS that is proven, a registered letter, a webhook that fails."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from billing import store as billing_store
from kilokassa.app.webhooks import send_test
from kilokassa.app.wiring import Application
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.core.text import Language
from notices.channels.http import HttpRules
from notices.desk.service import (
    DeliveryOrder,
    EndpointOrder,
    add_endpoint,
    record_delivery,
    record_status,
    state_preference,
)
from notices.notice import (
    Delivery,
    DeliveryMethod,
    Message,
    NoticeKind,
    NoticeOrder,
    Outcome,
    Way,
)
from notices.preferences import Preference
from notices.service import claim_due, enqueue, record_failed, record_sent
from notices.store import NoticeFilter, endpoints, list_notices

CODE: Final = "crm"
URL: Final = "https://crm.example.invalid/kilokassa"
"""A name that is reserved and leads nowhere (RFC 2606)."""
PHONE: Final = "+79990000001"
DEMO_MINUTES: Final = 30


def ensure_notices(
    application: Application, account_ids: Mapping[str, AccountId], scope: Scope
) -> None:
    """Let one be told by SMS, one letter be proven by the post, one system not answer."""
    now = application.clock.now()
    written = FixedClock(now - timedelta(minutes=DEMO_MINUTES))
    number = min(account_ids)
    account_id = account_ids[number]
    with application.database.writing() as session:
        if any(one.code == CODE for one in endpoints(session)):
            return
        add_endpoint(session, scope, EndpointOrder(CODE, URL), written, HttpRules())
        send_test(session, scope, CODE, written)
        for event in claim_due(session, 1, written, (Way.WEBHOOK,)):
            unreachable = Delivery(Outcome.UNREACHABLE, "no address of crm.example.invalid")
            record_failed(session, event, unreachable, written, jitter=0.0)
        wish = Preference(addresses={Way.SMS: PHONE})
        state_preference(session, scope, account_id, wish, written)
        mails, _ = list_notices(session, scope, NoticeFilter(way=Way.EMAIL), limit=1)
        if not mails:
            return
        told = mails[0]
        order = NoticeOrder(
            kind=NoticeKind.TOP_UP_RECEIVED,
            account_id=account_id,
            language=Language.RUSSIAN,
            recipient=PHONE,
            message=Message(told.subject, told.subject, ""),
            dedupe_key=f"demo:sms:{number}",
            zone=billing_store.retailer_zone(session),
            way=Way.SMS,
        )
        enqueue(session, order, written)
        for sms in claim_due(session, 1, written, (Way.SMS,)):
            record_sent(session, sms, Delivery(Outcome.ACCEPTED, '202 {"id":"demo"}'), written)
            proof = 'sms: {"status":"delivered"} (демо)'
            record_status(session, Way.SMS, sms.message_id, now, proof, application.clock)
        letters, _ = list_notices(
            session, scope, NoticeFilter(kind=NoticeKind.LIMITATION, way=Way.EMAIL), limit=1
        )
        letter = letters[0] if letters else told
        proof = "заказное письмо, РПО 68000000000000 (демо)"
        by_post = DeliveryOrder(letter.id, DeliveryMethod.REGISTERED_MAIL, now, proof)
        record_delivery(session, scope, by_post, application.clock)
