"""Proof of deliveries, wishes, and events to systems on both databases, against real servers."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from kilokassa.app.delivery import RoutingChannel
from kilokassa.app.outbox import send_due
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.scope import Role, Scope
from notices.channels.http import HttpRules
from notices.channels.webhook import WebhookChannel
from notices.desk.service import (
    AlreadyWithdrawn,
    DeliveryOrder,
    EndpointOrder,
    NotInRange,
    add_endpoint,
    endpoint_to_call,
    record_delivery,
    record_opened,
    record_status,
    renew_secret,
    replay_endpoint,
    send_again,
    state_preference,
    withdraw_delivery,
)
from notices.notice import (
    Delivery,
    DeliveryMethod,
    Message,
    NoticeKind,
    NoticeState,
    Outcome,
    QuietHours,
    Way,
)
from notices.preferences import Preference
from notices.service import LEASE, claim_due, raise_use_alarms, record_sent
from notices.store import (
    NoticeFilter,
    delivered,
    endpoints,
    list_notices,
    preference_of,
    written_notice,
)
from notices.unusual import Use
from tests.notices.web_server import Answer, web_server
from tests.store.test_notices_outbox import (
    KHABAROVSK,
    STAFF,
    YES,
    add_accounts,
    later,
    order,
    put,
)

RULES = HttpRules(loopback=True, connect_s=1, answer_s=0.5, total_s=1)
RESIDENT = Scope(Role.RESIDENT, "user:7", account_ids=frozenset({1}))
AUDITOR = Scope(Role.AUDITOR, "user:8", whole_retailer=True)
RECEIPT, CALL = DeliveryMethod.RECEIPT_IN_HAND, DeliveryMethod.RECORDED_CALL


@pytest.fixture
def database(database):
    add_accounts(database)
    return database


def event(key="event:1", endpoint="crm", **changes):
    body = Message("balance_changed", f'{{"key":"{key}"}}', "")
    values = {"way": Way.WEBHOOK, "recipient": endpoint, "message": body}
    return order(key, **({"kind": NoticeKind.BALANCE_CHANGED} | values | changes))


def hooked(database, clock, **urls):
    with database.writing() as session:
        return {
            code: add_endpoint(session, STAFF, EndpointOrder(code, url), clock, RULES)
            for code, url in urls.items()
        }


def hooks(database, clock):
    def endpoint_of(code):
        with database.reading() as session:
            return endpoint_to_call(session, code)

    return WebhookChannel(endpoint_of, clock, RULES)


def send(database, clock):
    return send_due(database, hooks(database, clock), clock, jitter=lambda: 0.0)


def deliver(database, clock, method=RECEIPT, at=None, proof="receipt 12", notice_id=1):
    with database.writing() as session:
        wanted = DeliveryOrder(notice_id, method, at or clock.now(), proof)
        return record_delivery(session, STAFF, wanted, clock)


def proven(database, kind=NoticeKind.LIMITATION):
    with database.reading() as session:
        return delivered(session, 1, kind)


def shown(database, **asked):
    with database.reading() as session:
        return list_notices(session, STAFF, NoticeFilter(**asked))[0]


# --- what proves a delivery ---


def test_sent_is_not_delivered_and_the_first_proof_starts_the_clock(database, clock):
    put(database, clock, order(kind=NoticeKind.LIMITATION))
    with database.writing() as session:
        (taken,) = claim_due(session, 1, clock)
        record_sent(session, taken, YES, clock)
    assert shown(database)[0].state is NoticeState.SENT
    assert proven(database) is None

    day = later(clock, days=1)
    deliver(database, day)
    deliver(database, later(clock, days=3), CALL, proof="call 77, 24.11")

    found = proven(database)
    assert (found.delivered_at, found.method, found.proof) == (day.now(), RECEIPT, "receipt 12")
    assert shown(database, undelivered=True) == ()


def test_a_delivery_is_recorded_once_and_never_changed(database, clock):
    put(database, clock, order(kind=NoticeKind.LIMITATION))

    first, again = deliver(database, clock), deliver(database, clock)

    assert (first.repeated, again.repeated) == (False, True)
    assert first.record == again.record
    for change in ("UPDATE notice_delivery SET proof = 'x'", "DELETE FROM notice_delivery"):
        with pytest.raises(DatabaseError), database.writing() as session:
            session.execute(text(change))


@pytest.mark.parametrize("delta", [timedelta(seconds=-1), timedelta(seconds=1)])
def test_nothing_is_delivered_before_it_was_written_or_in_the_future(database, clock, delta):
    put(database, clock, order())

    with pytest.raises(NotInRange):
        deliver(database, clock, at=clock.now() + delta)


def test_without_proof_or_right_or_reach_nothing_is_recorded(database, clock):
    put(database, clock, order())
    with pytest.raises(Invalid):
        deliver(database, clock, proof="  ")
    with pytest.raises(Invalid):
        deliver(database, clock, method=DeliveryMethod.ACCOUNT_PAGE)
    with pytest.raises(NotFound):
        deliver(database, clock, notice_id=99)
    wanted = DeliveryOrder(1, RECEIPT, clock.now(), "x")
    with pytest.raises(Forbidden), database.writing() as session:
        record_delivery(session, AUDITOR, wanted, clock)


def test_a_wrong_record_is_withdrawn_and_the_next_proof_counts(database, clock):
    put(database, clock, order(kind=NoticeKind.LIMITATION))
    wrong = deliver(database, clock).record
    right = deliver(database, later(clock, days=2), proof="receipt 13").record

    with database.writing() as session:
        withdraw_delivery(session, STAFF, wrong.id, "of another flat", later(clock, days=3))

    assert proven(database).delivered_at == right.delivered_at
    with database.reading() as session:
        kept = written_notice(session, STAFF, 1).deliveries
    assert [(one.stands, one.withdrawn_why) for one in kept] == [
        (False, "of another flat"),
        (True, ""),
    ]
    with pytest.raises(AlreadyWithdrawn), database.writing() as session:
        withdraw_delivery(session, STAFF, wrong.id, "twice", clock)
    with pytest.raises(AlreadyWithdrawn):
        deliver(database, later(clock, days=4), at=wrong.delivered_at)


def test_the_status_of_a_gateway_is_a_proof_and_counts_once(database, clock):
    put(database, clock, order(kind=NoticeKind.LIMITATION, way=Way.SMS, recipient="+79242000001"))
    message_id = shown(database)[0].message_id

    def told(at, proof):
        with database.writing() as session:
            return record_status(session, Way.SMS, message_id, at, proof, later(clock, minutes=9))

    with pytest.raises(NotInRange):
        told(clock.now() - timedelta(days=1), "too early")
    first = told(clock.now() - timedelta(minutes=1), '{"status":"delivered"}')
    again = told(None, '{"status":"read"}')

    assert (first.repeated, again.repeated) == (False, True)
    assert proven(database).method is DeliveryMethod.GATEWAY
    assert proven(database).delivered_at == clock.now(), "their clock is a minute behind"
    with pytest.raises(NotFound), database.writing() as session:
        record_status(session, Way.MESSENGER, message_id, None, "x", clock)


def test_what_the_resident_opens_is_delivered_and_what_staff_open_is_not(database, clock):
    put(database, clock, order(kind=NoticeKind.LIMITATION))
    with database.writing() as session:
        assert record_opened(session, STAFF, 1, 1, clock) is None
        assert record_opened(session, RESIDENT, 1, 2, clock) is None
    assert proven(database) is None

    with database.writing() as session:
        record_opened(session, RESIDENT, 1, 1, clock)
    with database.writing() as session:
        assert record_opened(session, RESIDENT, 1, 1, later(clock, days=1)).repeated

    assert proven(database).method is DeliveryMethod.ACCOUNT_PAGE
    assert proven(database).delivered_at == clock.now()


# --- wishes ---


def test_wishes_stand_until_others_are_stated_and_move_the_quiet_hours(database, clock):
    night = FixedClock(datetime(2026, 11, 24, 20, tzinfo=KHABAROVSK).astimezone(UTC))
    wish = Preference(low_minor=500_00, quiet=QuietHours(time(19), time(10)))
    put(database, night, order(kind=NoticeKind.MONEY_LOW))

    def state(stated, scope=RESIDENT):
        with database.writing() as session:
            return state_preference(session, scope, 1, stated, night)

    assert state(wish)
    assert not state(wish)
    with database.writing() as session:
        assert claim_due(session, 5, night) == ()
        assert preference_of(session, 1) == wish
    due = shown(database)[0].due_at
    assert due == datetime(2026, 11, 25, 10, tzinfo=KHABAROVSK)
    assert state(replace(wish, low_minor=0))
    with pytest.raises(Forbidden):
        state(wish, AUDITOR)


def test_unusual_use_is_told_once_an_episode(database, clock):
    def told(used_wh):
        with database.writing() as session:
            use = Use(clock.now().date(), 3, used_wh, 20_000)
            return [one.episode for one in raise_use_alarms(session, {1: use}, clock)]

    assert [told(wh) for wh in (39_000, 41_000, 60_000, 30_000, 41_000, 27_000, 41_000)] == [
        [],
        [1],
        [],
        [],
        [],
        [],
        [2],
    ]


# --- events ---


def test_an_event_reaches_its_system_and_its_answer_is_the_proof(database, clock):
    with web_server() as listener:
        hooked(database, clock, crm=listener.url())
        put(database, clock, event())
        result = send(database, clock)

    assert result.sent == 1
    (one,) = shown(database)
    assert (one.state, one.delivered_by) == (NoticeState.SENT, DeliveryMethod.WEBHOOK)
    assert listener.got[0].headers["webhook-id"] == one.message_id


def test_a_broken_endpoint_is_paused_longer_each_time_and_holds_up_no_other(database, clock):
    with web_server() as broken, web_server() as well:
        broken.always = Answer(500)
        hooked(database, clock, broken=broken.url(), well=well.url())
        put(database, clock, *(event(f"b{n}", "broken") for n in range(5)))
        put(database, clock, *(event(f"w{n}", "well") for n in range(5)))

        first = send(database, clock)
        soon = send(database, later(clock, seconds=20))
        next_round = send(database, later(clock, seconds=61))

    assert (first.sent, first.failed, soon.tried) == (5, 1, 0)
    assert next_round.failed == 1
    assert len(broken.got) == 2, "one attempt a round, whatever waits"
    with database.reading() as session:
        state = endpoints(session)[0]
    assert (state.code, state.failures) == ("broken", 2)
    assert state.paused_until == clock.now() + timedelta(seconds=61 + 60)


def test_a_system_that_asks_to_slow_down_is_left_alone_until_then(database, clock):
    with web_server() as listener:
        listener.answers = [Answer(429, "", {"Retry-After": "600"})]
        hooked(database, clock, crm=listener.url())
        put(database, clock, event("1"), event("2"))

        send(database, clock)
        early = send(database, later(clock, seconds=599))
        result = send(database, later(clock, seconds=600))

    assert (early.tried, result.sent) == (0, 2)


def test_a_refusal_is_final_until_somebody_replays_it_under_the_same_id(database, clock):
    with web_server() as listener:
        listener.answers = [Answer(422, "no such account")]
        hooked(database, clock, crm=listener.url())
        put(database, clock, event())

        send(database, clock)
        assert shown(database)[0].state is NoticeState.GIVEN_UP
        assert send(database, later(clock, days=3)).tried == 0
        with database.writing() as session:
            assert not send_again(session, STAFF, 1, clock).copied
        send(database, clock)
        with database.writing() as session:
            assert replay_endpoint(session, STAFF, "crm", clock.now(), clock) == 1
        send(database, clock)

    assert len({got.headers["webhook-id"] for got in listener.got}) == 1
    assert len({got.body for got in listener.got}) == 1
    with database.reading() as session:
        attempts = written_notice(session, STAFF, 1).attempts
    assert [one.outcome for one in attempts] == [
        Outcome.REFUSED,
        Outcome.ACCEPTED,
        Outcome.ACCEPTED,
    ]


def test_a_letter_that_was_sent_goes_again_as_a_copy_under_another_id(database, clock):
    put(database, clock, order())
    with database.writing() as session:
        (taken,) = claim_due(session, 1, clock)
        record_sent(session, taken, Delivery(Outcome.ACCEPTED, "250"), clock)
        again = send_again(session, STAFF, 1, clock)

    copied, first = shown(database)
    assert (again.notice_id, again.copied) == (copied.id, True)
    assert copied.text == first.text
    assert copied.message_id != first.message_id


def test_another_secret_signs_from_then_on(database, clock):
    before = hooked(database, clock, crm="https://example.org/")["crm"]
    with database.writing() as session:
        after = renew_secret(session, STAFF, "crm", clock)
        assert before != after == endpoint_to_call(session, "crm").secret
    with pytest.raises(Forbidden), database.writing() as session:
        renew_secret(session, AUDITOR, "crm", clock)


def test_an_address_that_may_not_be_called_is_not_kept(database, clock):
    wanted = EndpointOrder("crm", "http://example.org/")
    with pytest.raises(Invalid), database.writing() as session:
        add_endpoint(session, STAFF, wanted, clock, HttpRules())


def test_a_way_that_does_not_work_holds_up_no_other(database, clock):
    class Down:
        def deliver(self, notice, attachment=None):
            return Delivery(Outcome.UNREACHABLE, "down")

        def close(self):
            pass

    with web_server() as listener:
        hooked(database, clock, crm=listener.url())
        put(database, clock, *(order(f"m{n}") for n in range(3)), event())
        router = RoutingChannel({Way.EMAIL: Down(), Way.WEBHOOK: hooks(database, clock)})

        result = send_due(database, router, clock)

    assert (result.sent, result.failed, result.unreachable) == (1, 1, "down")


def test_two_senders_at_once_send_each_event_once(database, clock):
    with web_server() as listener:
        hooked(database, clock, crm=listener.url())
        put(database, clock, *(event(f"e{n}") for n in range(12)))
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda _: send(database, clock), range(2)))

    assert sum(one.sent for one in results) == 12
    assert len({got.headers["webhook-id"] for got in listener.got}) == len(listener.got) == 12


KILLED = """
import os, signal, sys
from datetime import datetime
from kilokassa.app.outbox import send_due
from kilokassa.core.clock import FixedClock
from kilokassa.db.session import Database
from notices.channels.http import HttpRules
from notices.channels.webhook import WebhookChannel
from notices.desk.service import endpoint_to_call

url, at = sys.argv[1:]
database, clock = Database(url), FixedClock(datetime.fromisoformat(at))

class Dying(WebhookChannel):
    def deliver(self, notice, attachment=None):
        super().deliver(notice, attachment)
        os.kill(os.getpid(), signal.SIGKILL)

def endpoint_of(code):
    with database.reading() as session:
        return endpoint_to_call(session, code)

send_due(database, Dying(endpoint_of, clock, HttpRules(loopback=True)), clock)
"""


def test_a_process_killed_between_sending_and_recording_sends_the_same_event_again(database, clock):
    with web_server() as listener:
        hooked(database, clock, crm=listener.url())
        put(database, clock, event())
        died = subprocess.run(
            [
                sys.executable,
                "-c",
                KILLED,
                database.url.render_as_string(hide_password=False),
                clock.now().isoformat(),
            ],
            cwd=Path(__file__).parents[2],
            env=dict(os.environ),
            check=False,
        )
        assert died.returncode == -9
        assert send(database, clock).tried == 0
        assert send(database, FixedClock(clock.now() + LEASE)).sent == 1

    first, second = listener.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
