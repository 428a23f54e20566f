"""Messages of payment providers: signed over their instant and body, and read once they are proved.

Pure. What is wrong with a message that does not prove itself is not said: whoever forges one learns
nothing from the refusal.
"""

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.money import parse_minor
from kilokassa.core.text import mark
from wallet.topups import MOST_MINOR

WINDOW: Final = timedelta(minutes=5)
"""How far the instant of a message may lie from ours, either way."""
BODY_MAX: Final = 16 * 1024

_TIMESTAMP: Final = re.compile(r"\d{1,12}", re.ASCII)
_TRANSACTION: Final = re.compile(r"[\x21-\x7e]{1,100}")
_ORDER: Final = re.compile(r"[\w:.-]{1,100}", re.ASCII)
WHERE: Final = mark("message of the provider")


class NotAuthentic(DomainError):
    """A message that does not prove where it comes from, or that is too old."""

    code = "not_authentic"
    template = mark("The message is not authentic.")


class MessageKind(StrEnum):
    """What a provider tells."""

    PAID = "paid"
    REFUSED = "refused"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class ProviderMessage:
    """What a provider tells of one transaction."""

    kind: MessageKind
    transaction_id: str
    order_id: str
    """The public id of the order that was paid."""
    amount_minor: int
    paid_at: datetime | None = None
    payer: str = ""


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of instant, full stop and body under the secret, in hexadecimal."""
    signed = timestamp.encode("latin-1", "replace") + b"." + body
    return hmac.new(secret.encode(), signed, sha256).hexdigest()


def demand_authentic(secret: str, timestamp: str, given: str, body: bytes, now: datetime) -> None:
    """Refuse a message whose signature is not that of its instant and body, or that is old.

    The signature is compared in constant time and before the instant is looked at.
    """
    proved = hmac.compare_digest(
        signature(secret, timestamp, body).encode(), given.encode("latin-1", "replace")
    )
    if not proved or _TIMESTAMP.fullmatch(timestamp) is None:
        raise NotAuthentic
    if abs(now - datetime.fromtimestamp(int(timestamp), UTC)) > WINDOW:
        raise NotAuthentic


def read_message(body: bytes) -> ProviderMessage:
    """Return what a proved message tells; one that cannot be understood is refused by its field."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise _wrong("JSON", "") from None
    if not isinstance(found, dict):
        raise _wrong("JSON", "")
    kind = _text(found, "type")
    if kind not in set(MessageKind):
        raise _wrong("type", kind)
    amount = _text(found, "amount")
    amount_minor = parse_minor(amount, where=WHERE)
    if not 0 < amount_minor <= MOST_MINOR:
        raise _wrong("amount", amount)
    return ProviderMessage(
        MessageKind(kind),
        _matched(found, "transaction", _TRANSACTION),
        _matched(found, "order", _ORDER),
        amount_minor,
        _instant(found),
        _text(found, "payer", "")[:200],
    )


def _instant(found: Mapping[str, Any]) -> datetime | None:
    text = _text(found, "paid_at", "")
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong("paid_at", text) from None
    if at.tzinfo is None or not 2000 <= at.year < 2100:
        raise _wrong("paid_at", text)
    return at.astimezone(UTC)


def _matched(found: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    text = _text(found, name)
    if pattern.fullmatch(text) is None:
        raise _wrong(name, text)
    return text


def _text(found: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = found.get(name, default)
    if not isinstance(value, str) or not value.isprintable():
        raise _wrong(name, "")
    return value


def _wrong(name: str, text: str) -> Invalid:
    return Invalid(
        where=WHERE,
        problem=mark("the field %(name)s cannot be read: %(text)s"),
        name=name,
        text=repr(text[:60]),
    )
