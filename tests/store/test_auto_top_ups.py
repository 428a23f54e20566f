"""Auto top-ups asked of a real provider over loopback: once, whatever is lost in between."""

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kilokassa.app.auto_top_ups import run_auto_top_ups
from kilokassa.app.gateways import (
    INSTANT_HEADER,
    KEY_HEADER,
    SIGNATURE_HEADER,
    CardCharge,
    HttpGateway,
    signature,
)
from kilokassa.app.moving import move
from kilokassa.app.settings import BadSetting, CardGatewaySettings, Settings
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope, system_scope
from tests.scenarios.test_life_of_a_mover import Flat, changes
from tests.wallet.builders import accounts_with_wallets
from wallet.payments.auto import service, store
from wallet.payments.auto_top_up import (
    AutoTopUpRule,
    BelowThreshold,
    FixedAmount,
    Outcome,
    UpToTarget,
    Why,
)

SECRET = "a secret of sixteen"
NOW = datetime(2026, 11, 3, tzinfo=UTC)
DAY = date(2026, 11, 3)
STAFF = system_scope("test")
RULE = AutoTopUpRule(
    BelowThreshold(300_00), UpToTarget(1000_00), date(2026, 11, 1), 2000_00, window_days=7
)


class Bank:
    """A provider that keeps its promises: a key is taken once."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.next = {"outcome": "taken", "reference": "b-1"}
        self.status = 200
        self.lose = False

    def answer(self, headers, body):
        assert headers[SIGNATURE_HEADER] == signature(SECRET, headers[INSTANT_HEADER], body)
        asked = json.loads(body)
        assert headers[KEY_HEADER] == asked["key"]
        self.asked.append(asked)
        return self.answers.setdefault(asked["key"], self.next)


@contextmanager
def served(bank):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = json.dumps(bank.answer(self.headers, body)).encode()
            if bank.lose:
                self.connection.close()
                return
            self.send_response(bank.status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings = CardGatewaySettings("bank", f"http://127.0.0.1:{server.server_port}/", SECRET)
    yield HttpGateway(settings, FixedClock(NOW), timeout_s=5)
    server.shutdown()
    server.server_close()
    thread.join()


CHARGE = CardCharge("auto:1:1", "2799000004", 760_00, "token")


def test_a_signed_request_is_answered():
    with served(Bank()) as gateway:
        answer = gateway.charge(CHARGE)

    assert (answer.outcome, answer.reference) == (Outcome.TAKEN, "b-1")


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_is_no_clear_answer_leaves_the_payment_open(status):
    bank = Bank()
    bank.status = status

    with served(bank) as gateway:
        assert gateway.charge(CHARGE).outcome is Outcome.PENDING


def test_a_lost_answer_is_asked_for_again_under_the_same_key():
    bank = Bank()
    with served(bank) as gateway:
        bank.lose = True
        first = gateway.charge(CHARGE)
        bank.lose, bank.next = False, {"outcome": "refused"}
        second = gateway.charge(CHARGE)

    assert (first.outcome, second.outcome) == (Outcome.PENDING, Outcome.TAKEN)
    assert len(bank.answers) == 1


def agreed(session, clock, account_id=1, scope=STAFF, rule=RULE, token="card"):
    order = service.AgreeOrder(AccountId(account_id), rule, "bank", token, "1234")
    return service.agree(session, scope, order, clock)


def test_two_that_decide_at_once_begin_one_payment(database):
    clock = FixedClock(NOW)
    accounts_with_wallets(database, clock, count=1)
    with database.writing() as session:
        agreed(session, clock)

    def begin():
        with database.writing() as session:
            found.append(service.begin(session, AccountId(1), DAY, 240_00, clock))

    found = []
    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    whys = sorted(str(decision.why) for decision, _, _ in found)
    assert whys == [str(Why.BELOW_THRESHOLD), str(Why.UNDER_WAY)]


def test_a_changed_rule_does_not_ask_beside_a_payment_under_way(database):
    clock = FixedClock(NOW)
    accounts_with_wallets(database, clock, count=1)
    with database.writing() as session:
        agreed(session, clock)
        _, _, attempt = service.begin(session, AccountId(1), DAY, 240_00, clock)
        agreed(session, clock, token="another")
        decision, _, _ = service.begin(session, AccountId(1), DAY, 240_00, clock)

    assert (attempt.key, decision.why) == ("auto:1:1", Why.UNDER_WAY)


def test_what_became_of_a_payment_is_told_once(database):
    clock = FixedClock(NOW)
    accounts_with_wallets(database, clock, count=1)
    with database.writing() as session:
        agreed(session, clock)
        _, _, attempt = service.begin(session, AccountId(1), DAY, 240_00, clock)
        first = service.tell(session, attempt.id, Outcome.TAKEN, "b-1", clock)
        second = service.tell(session, attempt.id, Outcome.REFUSED, "", clock)

    assert first is not None
    assert (first.outcome, first.answer, second) == (Outcome.TAKEN, "b-1", None)


def test_after_refusals_in_a_row_it_stands_still_until_it_is_confirmed(database):
    clock = FixedClock(NOW)
    accounts_with_wallets(database, clock, count=1)
    fixed = AutoTopUpRule(
        BelowThreshold(300_00), FixedAmount(500_00), DAY, 500_00, pause_days=1, refusals_most=2
    )
    whys = []
    with database.writing() as session:
        agreed(session, clock, rule=fixed)
        for number in range(4):
            clock = FixedClock(NOW + timedelta(days=number))
            if number == 3:
                service.confirm(session, STAFF, AccountId(1), clock)
            on = DAY + timedelta(days=number)
            decision, _, attempt = service.begin(session, AccountId(1), on, 0, clock)
            whys.append(decision.why)
            if attempt is not None:
                service.tell(session, attempt.id, Outcome.REFUSED, "no money", clock)

    assert whys == [Why.BELOW_THRESHOLD, Why.BELOW_THRESHOLD, Why.STOPPED, Why.BELOW_THRESHOLD]


def test_a_neighbour_agrees_for_nobody_else(database):
    clock = FixedClock(NOW)
    accounts_with_wallets(database, clock, count=2)
    resident = Scope(Role.RESIDENT, "user:7", account_ids=frozenset({AccountId(1)}))
    analyst = Scope(Role.ANALYST, "user:8", whole_retailer=True)
    with database.writing() as session:
        assert agreed(session, clock, scope=resident).stands
        with pytest.raises(NotFound):
            agreed(session, clock, account_id=2, scope=resident)
        with pytest.raises(Forbidden):
            agreed(session, clock, scope=analyst)
        with pytest.raises(Invalid):
            agreed(session, clock, scope=resident, token="a\x00")
        with pytest.raises(service.NoAutoTopUp):
            service.stop(session, STAFF, AccountId(2), clock)
        assert not service.stop(session, resident, AccountId(1), clock).stands
        assert store.standing_account_ids(session) == ()


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"a": {}}', '{"a": {"url": "http://bank.example/", "secret": "%s"}}']
)
def test_a_gateway_that_is_not_safe_is_refused_without_telling_its_secret(text):
    text = text.replace("%s", SECRET)

    with pytest.raises(BadSetting) as refused:
        Settings.from_env({"KILOKASSA_CARD_GATEWAYS": text})

    assert SECRET not in str(refused.value)


class Killed(BaseException):
    """The process ends between the bank's answer and what would have been written."""


class DyingGateway:
    def __init__(self, gateway):
        self.gateway = gateway

    def charge(self, asked):
        self.gateway.charge(asked)
        raise Killed


def prepaid_flat(database, folder):
    """A flat whose resident pays ahead, with 120.00 left for the day the tests look at."""
    flat = Flat(database, folder, date(2026, 10, 1))
    flat.uses(date(2026, 10, 1), date(2026, 10, 21), 100)
    move(flat.at(date(2026, 10, 11)), STAFF, changes(date(2026, 10, 11)))
    flat.pays("2000000001", date(2026, 10, 11), 240_00)
    rule = AutoTopUpRule(
        BelowThreshold(300_00), UpToTarget(1000_00), date(2026, 10, 11), 2000_00, window_days=7
    )
    account_id = flat.id_of("2000000001")
    with database.writing() as session:
        agreed(session, flat.at(date(2026, 10, 11)).clock, account_id, rule=rule)
    return flat


def run(flat, day, gateway, minutes=0):
    application = flat.at(day)
    later = FixedClock(application.clock.at + timedelta(minutes=minutes))
    return run_auto_top_ups(replace(application, clock=later), day, gateways={"bank": gateway})


def test_a_wallet_that_runs_short_is_filled_from_the_card_once(database, tmp_path):
    flat, bank, day = prepaid_flat(database, tmp_path), Bank(), date(2026, 10, 21)
    with served(bank) as gateway:
        first = run(flat, day, gateway)
        second = run(flat, day, gateway)

    # Ten days at 12.00 are used of 240.00, 4.00 are estimated since; a thousand is the target.
    assert (first.asked, first.taken_minor, second.asked) == (1, 884_00, 0)
    assert [one["amount_minor"] for one in bank.asked] == [884_00]
    assert flat.balance("2000000001", day) == 1124_00
    assert flat.faults() == []


def test_a_process_killed_after_the_bank_answered_asks_again_under_the_same_key(database, tmp_path):
    flat, bank, day = prepaid_flat(database, tmp_path), Bank(), date(2026, 10, 21)
    with served(bank) as gateway:
        with pytest.raises(Killed):
            run(flat, day, DyingGateway(gateway))
        soon = run(flat, day, gateway, minutes=5)
        later = run(flat, day, gateway, minutes=11)

    assert (soon.asked, later.taken) == (0, 1)
    assert len(bank.answers) == 1
    assert flat.balance("2000000001", day) == 1124_00
