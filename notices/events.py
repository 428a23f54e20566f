"""A notice as other systems get it: one JSON object, its shape that of Standard Webhooks.

Amounts are strings with two decimals, energy is whole Wh, days and instants are ISO 8601. The body
is written once, with the notice, so that a repeated delivery is the same to the byte.
"""

from dataclasses import fields
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from kilokassa.core.calendar import Month
from kilokassa.core.digest import canonical_json
from notices.messages import Facts, MeterDue
from notices.notice import Message, NoticeKind


def event_message(
    kind: NoticeKind, facts: Facts, account_number: str, at: datetime, *, demo: bool = False
) -> Message:
    """Return the body of an event as a message: `type`, `timestamp` and `data`."""
    data: dict[str, Any] = {"account": account_number or None, **event_data(facts)}
    if demo:
        data["demo"] = True
    body = {"type": str(kind), "timestamp": _plain(at), "data": data}
    return Message(subject=str(kind), text=canonical_json(body), html="")


def event_data(facts: Facts) -> dict[str, Any]:
    """Return the facts of an event, field by field.

    >>> from notices.wallet_letters import ReserveEnding
    >>> event_data(ReserveEnding("Winter", 5_000_00, date(2026, 12, 31)))
    {'name': 'Winter', 'kept': '5000.00', 'ends_on': '2026-12-31'}
    """
    data = {}
    for field in fields(facts):
        value = getattr(facts, field.name)
        if isinstance(value, ZoneInfo):
            continue  # instants are in UTC
        if field.name.endswith("_minor"):
            money = None if value is None else str(Decimal(value).scaleb(-2))
            data[field.name.removesuffix("_minor")] = money
        else:
            data[field.name] = _plain(value)
    return data


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever facts hold
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Month):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, MeterDue):
        return event_data(value)  # type: ignore[arg-type]
    return value
