"""Asking a payment provider to draw on a card that its owner bound: one interface, over HTTP.

A request is signed over its instant and its body, and bears a key: asked twice, the provider takes
the money once and answers the same. What is not a clear answer is none: the attempt stays open and
is asked again under the same key.
"""

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Final, Protocol

from kilokassa.app.settings import CardGatewaySettings
from kilokassa.core.clock import Clock
from wallet.payments.auto_top_up import Outcome

TIMEOUT_S: Final = 20
ANSWER_BYTES_MAX: Final = 64 * 1024

KEY_HEADER: Final = "Idempotency-Key"
INSTANT_HEADER: Final = "X-Kilokassa-Timestamp"
SIGNATURE_HEADER: Final = "X-Kilokassa-Signature"

DEMO_PROVIDER: Final = "demo"
DEMO_CARDS: Final[Mapping[str, str]] = {"demo-pays": "4242", "demo-refuses": "0002"}
"""Cards of the demo's own provider by their tokens, with their last digits."""


@dataclass(frozen=True, slots=True)
class CardCharge:
    """What a provider is asked for."""

    key: str
    account_number: str
    amount_minor: int
    card_token: str


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """What a provider says; pending where it does not say clearly."""

    outcome: Outcome
    reference: str = ""
    reason: str = ""


class PaymentGateway(Protocol):
    """Draws on a bound card."""

    def charge(self, asked: CardCharge) -> GatewayAnswer:
        """Ask for the money; the same key again gives the same answer."""


@dataclass(frozen=True, slots=True)
class HttpGateway:
    """A provider behind an address."""

    settings: CardGatewaySettings
    clock: Clock
    timeout_s: int = TIMEOUT_S

    def charge(self, asked: CardCharge) -> GatewayAnswer:
        """Post the request; a lost or unclear answer leaves the payment pending."""
        body = json.dumps(
            {
                "key": asked.key,
                "account": asked.account_number,
                "amount_minor": asked.amount_minor,
                "currency": "RUB",
                "card": asked.card_token,
            },
            sort_keys=True,
        ).encode()
        instant = str(int(self.clock.now().timestamp()))
        request = urllib.request.Request(  # noqa: S310 - the address is a setting, http or https
            self.settings.url,
            data=body,
            method="POST",
            headers={
                "Content-Type": "application/json",
                KEY_HEADER: asked.key,
                INSTANT_HEADER: instant,
                SIGNATURE_HEADER: signature(self.settings.secret, instant, body),
            },
        )
        opener = urllib.request.build_opener(_NoRedirects)
        try:
            with opener.open(request, timeout=self.timeout_s) as answer:
                return read_answer(answer.read(ANSWER_BYTES_MAX + 1))
        except urllib.error.HTTPError as error:
            with error:
                return GatewayAnswer(Outcome.PENDING, reason=f"HTTP {error.code}")
        except (OSError, ValueError, HTTPException) as error:
            return GatewayAnswer(Outcome.PENDING, reason=type(error).__name__)


@dataclass(frozen=True, slots=True)
class DemoGateway:
    """The demo's provider: one card always pays, the other never does."""

    def charge(self, asked: CardCharge) -> GatewayAnswer:
        """Answer by the card alone."""
        if asked.card_token == "demo-pays":  # noqa: S105 - a name, not a secret
            return GatewayAnswer(Outcome.TAKEN, reference=asked.key)
        return GatewayAnswer(Outcome.REFUSED, reason="insufficient funds")


def signature(secret: str, instant: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of an instant, a full stop and a body, as hexadecimal digits."""
    return hmac.new(secret.encode(), instant.encode() + b"." + body, hashlib.sha256).hexdigest()


def read_answer(body: bytes) -> GatewayAnswer:
    """Read what a provider answered; anything but a clear word is pending.

    >>> read_answer(b'{"outcome": "taken", "reference": "77"}').outcome
    <Outcome.TAKEN: 'taken'>
    >>> read_answer(b"<html>").outcome
    <Outcome.PENDING: 'pending'>
    """
    try:
        known = json.loads(body) if len(body) <= ANSWER_BYTES_MAX else None
    except (ValueError, RecursionError):
        known = None
    if not isinstance(known, dict) or known.get("outcome") not in set(Outcome):
        return GatewayAnswer(Outcome.PENDING, reason="unclear answer")
    texts = [known.get(name, "") for name in ("reference", "reason")]
    reference, reason = (text[:80] if isinstance(text, str) else "" for text in texts)
    return GatewayAnswer(Outcome(known["outcome"]), reference, reason)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A request with a secret's signature goes where it was sent, and nowhere else."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""
