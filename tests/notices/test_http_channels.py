"""Webhooks and gateways against real servers: who is called, what is signed, what it means."""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from kilokassa.core.clock import FixedClock
from kilokassa.core.text import Language
from notices.channels.gateway import (
    Gateway,
    GatewayChannel,
    StatusRules,
    read_status,
)
from notices.channels.http import (
    AddressRefused,
    HttpRules,
    Unreachable,
    checked_addresses,
    checked_url,
    post,
)
from notices.channels.webhook import Endpoint, WebhookChannel, retry_time
from notices.notice import Message, Notice, NoticeKind, Outcome, Way
from notices.signing import is_signed, new_secret, signed_headers
from tests.notices.mail_server import CERTIFICATE
from tests.notices.web_server import Answer, web_server

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
CLOCK = FixedClock(AT)
LOOPBACK = HttpRules(loopback=True, connect_s=1, answer_s=0.5, total_s=1)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
BODY = '{"type":"top_up_received","data":{"amount":"5.00"}}'


def notice(**changes):
    values = {
        "id": 7,
        "kind": NoticeKind.TOP_UP_RECEIVED,
        "account_id": 1,
        "language": Language.RUSSIAN,
        "way": Way.WEBHOOK,
        "recipient": "crm",
        "message": Message("top_up_received", BODY, ""),
        "message_id": "a" * 32,
        "document_number": None,
        "attempt": 1,
        "attempted_at": AT,
        "leased_until": AT + timedelta(minutes=15),
    }
    return Notice(**(values | changes))


def webhook(url, rules=LOOPBACK, **changes):
    endpoint = replace(Endpoint("crm", url, SECRET), **changes)
    return WebhookChannel({"crm": endpoint}.get, CLOCK, rules)


def test_an_event_is_signed_so_that_anyone_with_the_secret_can_check_it():
    with web_server() as listener:
        delivery = webhook(listener.url("/a?b=1")).deliver(notice())

    (got,) = listener.got
    signed = f"{'a' * 32}.{int(AT.timestamp())}.".encode() + got.body
    # Worked out here once more, by the text of the specification and not by our own function.
    wanted = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
    assert delivery.outcome is Outcome.ACCEPTED
    assert delivery.answer == "200 ok"
    assert got.path == "/a?b=1"
    assert got.body.decode() == BODY
    assert got.headers["webhook-id"] == "a" * 32
    assert got.headers["webhook-signature"] == f"v1,{wanted}"
    assert got.headers["host"] == f"127.0.0.1:{listener.port}"


def test_a_signature_of_another_body_secret_or_time_is_none():
    headers = signed_headers(SECRET, "id", AT, b"body")

    assert is_signed(SECRET, headers, b"body", AT + timedelta(minutes=5))
    assert not is_signed(SECRET, headers, b"Body", AT)
    assert not is_signed(new_secret(), headers, b"body", AT)
    assert not is_signed(SECRET, headers, b"body", AT + timedelta(minutes=6))
    assert not is_signed(SECRET, headers | {"webhook-timestamp": "²"}, b"body", AT)


@pytest.mark.parametrize(
    ("answer", "outcome", "again_after_s"),
    [
        (Answer(204, ""), Outcome.ACCEPTED, None),
        (Answer(302, "", {"Location": "http://127.0.0.1:1/"}), Outcome.REFUSED, None),
        (Answer(400, "no"), Outcome.REFUSED, None),
        (Answer(410, "gone"), Outcome.REFUSED, None),
        (Answer(408, ""), Outcome.DEFERRED, None),
        (Answer(429, "", {"Retry-After": "120"}), Outcome.DEFERRED, 120),
        (Answer(503, "", {"Retry-After": "30"}), Outcome.DEFERRED, 30),
        (Answer(500, "oh"), Outcome.UNREACHABLE, None),
        (Answer(200, "late", stall_s=0.8), Outcome.UNREACHABLE, None),
    ],
    ids=["taken", "redirect", "refused", "gone", "later", "slower", "busy", "broken", "stalls"],
)
def test_an_answer_says_whether_to_try_again(answer, outcome, again_after_s):
    with web_server() as listener:
        listener.answers = [answer]
        delivery = webhook(listener.url()).deliver(notice())

    assert delivery.outcome is outcome
    wait = None if again_after_s is None else AT + timedelta(seconds=again_after_s)
    assert delivery.retry_at == wait
    assert len(listener.got) == 1


def test_an_answer_that_drips_is_cut_by_the_clock_and_one_without_end_by_its_size():
    with web_server() as listener:
        listener.answers = [Answer(text="x" * 400, drip_s=0.05), Answer(text="y" * 1_000_000)]
        begun = time.monotonic()
        dripped = webhook(listener.url()).deliver(notice())
        took_s = time.monotonic() - begun
        flooded = webhook(listener.url()).deliver(notice())

    assert took_s < 3
    assert dripped.outcome is Outcome.ACCEPTED, "the status had been said"
    assert len(flooded.answer) <= 500


def test_what_does_not_listen_is_unreachable():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        delivery = webhook(f"http://127.0.0.1:{taken.getsockname()[1]}/").deliver(notice())

    assert delivery.outcome is Outcome.UNREACHABLE


def test_a_certificate_is_checked_against_the_name_and_not_the_address():
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE)
    trusted = ssl.create_default_context(cafile=str(CERTIFICATE))
    with web_server(tls) as listener:
        url = f"https://localhost:{listener.port}/"
        unknown = webhook(url).deliver(notice())
        known = webhook(url, replace(LOOPBACK, tls=trusted)).deliver(notice())

    assert unknown.outcome is Outcome.UNREACHABLE
    assert "CERTIFICATE" in unknown.answer.upper()
    assert known.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "https://user:password@example.org/",
        "https://example.org/#part",
        "ftp://example.org/",
        "https://",
        "https://exa mple.org/",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://почта.рф/",
        "https://example.org/\r\nHost: other",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_plain_https_address_is_not_called(url):
    with pytest.raises(AddressRefused):
        checked_url(url, HttpRules())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00::1]",
        "[ff02::1]",
        "[::]",
    ],
)
def test_no_address_of_an_inner_network_is_called(host):
    url = checked_url(f"https://{host}/", HttpRules())

    with pytest.raises((AddressRefused, Unreachable)):
        checked_addresses(url, HttpRules())


def test_a_name_with_one_inner_address_among_others_is_refused(monkeypatch):
    def found(*_args, **_kwargs):
        return [(2, 1, 6, "", (address, 443)) for address in ("93.184.215.14", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", found)

    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1"):
        post("https://rebinding.example/", b"", {}, HttpRules())


def test_a_name_is_looked_up_once_and_the_judged_address_is_called(monkeypatch):
    asked = []
    with web_server() as listener:

        def found(host, port, *_args, **_kwargs):
            asked.append(host)
            address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, port, *a, **k: (
                found(host, port) if host == "localhost" else real(host, port, *a, **k)
            ),
        )
        answer = post(f"http://localhost:{listener.port}/", b"x", {}, LOOPBACK)

    assert answer.status == 200
    assert asked == ["localhost"]
    assert listener.got[0].headers["host"] == f"localhost:{listener.port}"


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    with web_server() as listener:
        assert webhook(listener.url()).deliver(notice()).outcome is Outcome.ACCEPTED


def test_an_endpoint_that_is_gone_or_not_in_use_is_refused():
    assert webhook("http://127.0.0.1:9/").deliver(notice(recipient="x")).outcome is Outcome.REFUSED
    unused = webhook("http://127.0.0.1:9/", active=False)
    assert unused.deliver(notice()).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("0", timedelta()),
        ("90", timedelta(seconds=90)),
        ("Tue, 24 Nov 2026 09:10:00 GMT", timedelta(minutes=10)),
        ("Mon, 23 Nov 2026 09:00:00 GMT", timedelta()),
        ("99999999999999999999", timedelta(hours=6)),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_a_wait_is_believed_up_to_six_hours(text, wait):
    assert retry_time(text, AT) == (None if wait is None else AT + wait)


SMS = {"way": Way.SMS, "recipient": "+79242000001", "message": Message("s", "Осталось 5 р.", "")}


def gateway(listener, **changes):
    values = {"url": listener.url("/sms"), "key": "gateway-key"}
    return GatewayChannel(Gateway(**(values | changes)), CLOCK, LOOPBACK)


def test_a_gateway_is_called_by_the_names_it_gives_its_fields():
    names = {"recipient": "phone", "text": "message", "id": "external_id", "sender": "from"}
    with web_server() as listener:
        as_json = gateway(listener, fields=names, sender="KILOKASSA").deliver(notice(**SMS))
        gateway(listener, fields={"recipient": "to", "text": "msg", "key": "api_id"}, as_form=True)
        as_form = gateway(
            listener, fields={"recipient": "to", "text": "msg", "key": "api_id"}, as_form=True
        ).deliver(notice(**SMS))

    assert as_json.outcome is as_form.outcome is Outcome.ACCEPTED
    assert json.loads(listener.got[0].body) == {
        "phone": "+79242000001",
        "message": "Осталось 5 р.",
        "external_id": "a" * 32,
        "from": "KILOKASSA",
    }
    assert listener.got[0].headers["authorization"] == "Bearer gateway-key"
    assert listener.got[0].headers["idempotency-key"] == "a" * 32
    assert parse_qs(listener.got[1].body.decode()) == {
        "to": ["+79242000001"],
        "msg": ["Осталось 5 р."],
        "api_id": ["gateway-key"],
    }


def test_a_key_that_is_not_welcome_is_the_way_not_the_text():
    with web_server() as listener:
        listener.answers = [Answer(401, "bad key"), Answer(422, "bad number")]
        channel = gateway(listener)

        assert channel.deliver(notice(**SMS)).outcome is Outcome.UNREACHABLE
        assert channel.deliver(notice(**SMS)).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("given", "delivered", "at"),
    [
        ({"id": "m", "status": "Delivered", "at": "2026-11-24T12:00:00+03:00"}, True, AT),
        ({"id": "m", "status": "read", "at": int(AT.timestamp())}, True, AT),
        ({"id": "m", "status": "delivered", "at": "yesterday"}, True, None),
        ({"id": "m", "status": "delivered", "at": "2026-11-24T12:00:00"}, True, None),
        ({"id": "m", "status": "queued"}, False, None),
    ],
)
def test_a_status_is_read_and_only_delivered_is_a_delivery(given, delivered, at):
    status = read_status(given, StatusRules())

    assert (status.message_id, status.delivered, status.at) == ("m", delivered, at)


@pytest.mark.parametrize(
    "given", [{}, {"id": 5, "status": "x"}, {"id": "m"}, {"id": "m", "status": ["x"]}]
)
def test_a_status_without_id_or_word_is_none(given):
    assert read_status(given, StatusRules()) is None
