"""Signatures of webhooks, as Standard Webhooks (standardwebhooks.com, 1.0.0) writes them.

    webhook-id:        the event's id, the same at every attempt and every replay
    webhook-timestamp: seconds since 1970 of this attempt
    webhook-signature: v1,BASE64(HMAC-SHA256(secret, "id.timestamp.body"))

A secret is `whsec_` and 32 random bytes in Base64. Libraries for a dozen languages check these; the
receiver should refuse a timestamp that is more than five minutes away.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

PREFIX: Final = "whsec_"
TOLERANCE: Final = timedelta(minutes=5)
ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"


def new_secret() -> str:
    """Return a fresh secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signed_headers(secret: str, event_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that prove who sent `body` and when."""
    timestamp = str(int(at.timestamp()))
    return {
        ID_HEADER: event_id,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: f"v1,{_signature(secret, event_id, timestamp, body)}",
    }


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, at: datetime) -> bool:
    """Say whether `body` was signed with `secret` within five minutes of `at`.

    `headers` are looked up by lower-case names; several signatures may stand in one, with spaces.
    """
    timestamp = headers.get(TIMESTAMP_HEADER, "")
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        return False
    if abs(int(at.timestamp()) - int(timestamp)) > TOLERANCE.total_seconds():
        return False
    wanted = f"v1,{_signature(secret, headers.get(ID_HEADER, ''), timestamp, body)}".encode()
    given = headers.get(SIGNATURE_HEADER, "").split(" ")
    return any(hmac.compare_digest(wanted, one.encode()) for one in given)


def _signature(secret: str, event_id: str, timestamp: str, body: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = secret.encode()
    signed = b".".join((event_id.encode(), timestamp.encode(), body))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
