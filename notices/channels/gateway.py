"""Delivery through a gateway of SMS or of a messenger, by HTTP; each has field names of its own.

That the gateway took a text is *sent*. That the telephone has it the gateway says later, by a call
of `status` fields; only that is a delivery.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from kilokassa.core.clock import Clock
from notices.channels.http import AddressRefused, HttpRules, Unreachable, post
from notices.channels.webhook import judged
from notices.notice import Attachment, Delivery, Notice, Outcome

NOUNS: Final = ("recipient", "text", "id", "sender", "key")
STATUS_NOUNS: Final = ("id", "status", "at")


@dataclass(frozen=True, slots=True)
class Gateway:
    """How one gateway is called: where, with which key, and what it calls its fields."""

    url: str
    key: str = field(repr=False)
    """Sent as a bearer token, and in the field that `fields` names for it, if it does."""
    fields: Mapping[str, str] = field(
        default_factory=lambda: {"recipient": "to", "text": "text", "id": "id"}
    )
    """Our noun to the gateway's name."""
    sender: str = ""
    as_form: bool = False
    """Form fields in place of a JSON object."""


class GatewayChannel:
    """Hands texts to a gateway; the id it gets is the notice's own."""

    def __init__(self, gateway: Gateway, clock: Clock, rules: HttpRules) -> None:
        self._gateway = gateway
        self._clock = clock
        self._rules = rules

    def deliver(self, notice: Notice, attachment: Attachment | None = None) -> Delivery:
        """Offer one text; what the gateway answers is kept, and proves nothing yet."""
        gateway = self._gateway
        values = {
            "recipient": notice.recipient,
            "text": notice.message.text,
            "id": notice.message_id,
            "sender": gateway.sender,
            "key": gateway.key,
        }
        body: dict[str, str] = {name: values[noun] for noun, name in gateway.fields.items()}
        if gateway.as_form:
            content, kind = urlencode(body).encode(), "application/x-www-form-urlencoded"
        else:
            content, kind = json.dumps(body, ensure_ascii=False).encode(), "application/json"
        headers = {
            "Content-Type": kind,
            "Authorization": f"Bearer {gateway.key}",
            "Idempotency-Key": notice.message_id,
        }
        now = self._clock.now()
        try:
            answer = post(gateway.url, content, headers, self._rules)
        except (AddressRefused, Unreachable) as error:
            return Delivery(Outcome.UNREACHABLE, str(error))
        if answer.status in (401, 403):  # our key is not welcome: no other text would fare better
            return Delivery(Outcome.UNREACHABLE, f"{answer.status} {answer.text}"[:500])
        return judged(answer, now)

    def close(self) -> None:
        """Nothing stays open between deliveries."""


@dataclass(frozen=True, slots=True)
class StatusRules:
    """What a gateway calls the fields of a status, and which of its words mean delivered."""

    fields: Mapping[str, str] = field(
        default_factory=lambda: {"id": "id", "status": "status", "at": "at"}
    )
    delivered: frozenset[str] = frozenset({"delivered", "read"})
    failed: frozenset[str] = frozenset({"failed", "undelivered", "expired", "rejected"})


@dataclass(frozen=True, slots=True)
class Status:
    """What a gateway says became of a text."""

    message_id: str
    delivered: bool
    failed: bool
    at: datetime | None
    """When; None where it does not say, so that the moment of its word counts."""
    word: str


def read_status(given: Mapping[str, Any], rules: StatusRules) -> Status | None:
    """Return the status in the fields of a call; None where it holds none that is understood."""
    names = {**{noun: noun for noun in STATUS_NOUNS}, **rules.fields}
    message_id, word = given.get(names["id"]), given.get(names["status"])
    if not isinstance(message_id, str) or not isinstance(word, str | int) or len(message_id) > 200:
        return None
    said = str(word).strip().lower()[:100]
    return Status(
        message_id=message_id,
        delivered=said in rules.delivered,
        failed=said in rules.failed,
        at=_instant(given.get(names["at"])),
        word=said,
    )


def _instant(value: object) -> datetime | None:
    """Read seconds since 1970, or ISO 8601 with a zone; another thing is no instant."""
    text = str(value).strip() if isinstance(value, str | int) else ""
    try:
        if text.isascii() and text.isdigit() and len(text) == 10:
            return datetime.fromtimestamp(int(text), UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else found.astimezone(UTC)
