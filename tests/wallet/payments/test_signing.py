import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.errors import DomainError
from wallet.payments.signing import (
    MessageKind,
    NotAuthentic,
    demand_authentic,
    read_message,
    signature,
)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
SECRET = "s" * 32
BODY = b'{"type":"paid"}'


def stamp(ago=timedelta()):
    return str(int((NOW - ago).timestamp()))


def test_a_signed_message_is_taken_within_five_minutes_either_way():
    for ago in (timedelta(), timedelta(minutes=5), -timedelta(minutes=5)):
        at = stamp(ago)
        demand_authentic(SECRET, at, signature(SECRET, at, BODY), BODY, NOW)


@pytest.mark.parametrize("ago", [timedelta(minutes=5, seconds=1), -timedelta(days=1)])
def test_an_old_message_is_refused_however_well_it_is_signed(ago):
    at = stamp(ago)

    with pytest.raises(NotAuthentic):
        demand_authentic(SECRET, at, signature(SECRET, at, BODY), BODY, NOW)


@pytest.mark.parametrize(
    ("secret", "at", "body"),
    [
        ("t" * 32, stamp(), BODY),
        (SECRET, stamp(timedelta(seconds=1)), BODY),
        (SECRET, stamp(), BODY + b" "),
    ],
)
def test_another_secret_instant_or_body_is_refused(secret, at, body):
    with pytest.raises(NotAuthentic):
        demand_authentic(SECRET, stamp(), signature(secret, at, body), BODY, NOW)


@given(st.text(max_size=20), st.text(max_size=70), st.binary(max_size=30))
def test_whatever_is_sent_without_the_secret_is_refused_alike(at, given_, body):
    with pytest.raises(NotAuthentic):
        demand_authentic(SECRET, at, given_, body, NOW)


def test_a_message_is_read_exactly():
    body = {"type": "paid", "transaction": "t/1", "order": "a-_b", "amount": "1500.05"}
    body["paid_at"] = "2026-11-24T12:00:00+03:00"

    read = read_message(json.dumps(body).encode())

    assert (read.kind, read.amount_minor, read.order_id) == (MessageKind.PAID, 150005, "a-_b")
    assert read.paid_at == datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "gift"},
        {"type": None},
        {"transaction": ""},
        {"transaction": "a b"},
        {"order": "x" * 101},
        {"order": 7},
        {"amount": 1500.05},
        {"amount": "1500.055"},
        {"amount": "-1.00"},
        {"amount": "0.00"},
        {"amount": "99999999999999.00"},
        {"paid_at": "yesterday"},
        {"paid_at": "2026-11-24T12:00:00"},
        {"payer": "a\u0000b"},
    ],
)
def test_a_message_that_cannot_be_understood_is_refused(change):
    body = {"type": "paid", "transaction": "t", "order": "o", "amount": "1.00"} | change

    with pytest.raises(DomainError):
        read_message(json.dumps(body).encode())


@given(st.binary(max_size=60))
def test_no_bytes_end_in_anything_but_a_refusal(body):
    with pytest.raises(DomainError):
        read_message(body)
