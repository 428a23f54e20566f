"""Delivery to another system: a signed POST of the event, judged by the status that comes back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from kilokassa.core.clock import Clock
from notices.channels.http import (
    AddressRefused,
    HttpAnswer,
    HttpRules,
    Unreachable,
    post,
)
from notices.notice import Attachment, Delivery, Notice, Outcome
from notices.signing import signed_headers

LONGEST_WAIT: Final = timedelta(hours=6)
"""More than this a `Retry-After` is not believed."""

_TRY_AGAIN: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a system wants its events, and the secret that signs them."""

    code: str
    url: str
    secret: str = field(repr=False)
    active: bool = True


class WebhookChannel:
    """Posts the event of a notice to the endpoint whose code is its recipient."""

    def __init__(
        self,
        endpoint_of: Callable[[str], Endpoint | None],
        clock: Clock,
        rules: HttpRules | None = None,
    ) -> None:
        self._endpoint_of = endpoint_of
        self._clock = clock
        self._rules = rules or HttpRules()

    def deliver(self, notice: Notice, attachment: Attachment | None = None) -> Delivery:
        """Post the event once; the id in its headers is that of the notice."""
        endpoint = self._endpoint_of(notice.recipient)
        if endpoint is None or not endpoint.active:
            return Delivery(Outcome.REFUSED, f"the endpoint {notice.recipient} is not in use")
        body = notice.message.text.encode()
        now = self._clock.now()
        headers = {
            "Content-Type": "application/json",
            **signed_headers(endpoint.secret, notice.message_id, now, body),
        }
        try:
            answer = post(endpoint.url, body, headers, self._rules)
        except AddressRefused as error:
            # Names change: the next event may be let through, and this one may be replayed.
            return Delivery(Outcome.REFUSED, str(error))
        except Unreachable as error:
            return Delivery(Outcome.UNREACHABLE, str(error))
        return judged(answer, now)

    def close(self) -> None:
        """Nothing stays open between deliveries."""


def judged(answer: HttpAnswer, now: datetime) -> Delivery:
    """Return what a status means: 2xx taken, 408, 425, 429 and 5xx later, anything else never.

    A redirect is not followed, and so is a refusal. 503 and 429 may say when to come again.
    """
    said = f"{answer.status} {answer.text}".strip()[:500]
    if 200 <= answer.status < 300:
        return Delivery(Outcome.ACCEPTED, said)
    if answer.status in _TRY_AGAIN or answer.status == 503:
        return Delivery(Outcome.DEFERRED, said, retry_time(answer.retry_after, now))
    if answer.status >= 500:
        return Delivery(Outcome.UNREACHABLE, said)
    return Delivery(Outcome.REFUSED, said)


def retry_time(text: str, now: datetime) -> datetime | None:
    """Return the instant that a `Retry-After` names, in seconds or as a date (RFC 9110, 10.2.3).

    >>> str(retry_time("120", datetime(2026, 11, 24, tzinfo=UTC)))
    '2026-11-24 00:02:00+00:00'
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        asked = now + min(timedelta(seconds=int(text[:7])), LONGEST_WAIT)
    else:
        try:
            named = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        asked = named.replace(tzinfo=UTC) if named.tzinfo is None else named.astimezone(UTC)
    return min(max(asked, now), now + LONGEST_WAIT)
