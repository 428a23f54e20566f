"""What a customer wants to be told, when and how: a value that checks itself, kept as JSON."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Any, Final

from kilokassa.core.digest import canonical_json
from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from notices.mail import NotAnAddress, plain_address
from notices.notice import (
    LEGAL_KINDS,
    PERSONAL_WAYS,
    QUIET_HOURS,
    RESIDENT_KINDS,
    NoticeKind,
    QuietHours,
    Way,
)
from notices.rules import Thresholds

USUAL: Final = Thresholds()
MOST_DAYS: Final = 60
MOST_MINOR: Final = 1_000_000_00

_PHONE: Final = re.compile(r"\+[1-9]\d{7,14}")
_HANDLE: Final = re.compile(r"[A-Za-z0-9_.+@-]{2,64}")


@dataclass(frozen=True, slots=True)
class Preference:
    """How one account is told; without a statement of its own, as an empty one says."""

    low_minor: int = USUAL.low_minor
    days: int = USUAL.days
    bonus_days: int = 7
    """How long before its end a bonus is told of."""
    quiet: QuietHours = QUIET_HOURS
    off: frozenset[NoticeKind] = frozenset()
    """Kinds that are not wanted; never one of the legal kinds."""
    mail: bool = True
    """Whether ordinary notices go by e-mail; legal ones do as long as there is an address."""
    addresses: Mapping[Way, str] = field(default_factory=dict)
    """Where else to; for e-mail in place of the account's own address."""

    def __post_init__(self) -> None:
        if not 0 <= self.low_minor <= MOST_MINOR:
            raise Invalid(
                where=mark("threshold of money"), problem=mark("from 0 to 1,000,000 roubles")
            )
        if not 0 <= self.days <= MOST_DAYS or not 1 <= self.bonus_days <= MOST_DAYS:
            raise Invalid(
                where=mark("days ahead"), problem=mark("from 0 to %(most)s days"), most=MOST_DAYS
            )
        legal = sorted(self.off & LEGAL_KINDS)
        if legal or not self.off <= set(RESIDENT_KINDS):
            kind = legal[0] if legal else min(self.off - set(RESIDENT_KINDS))
            raise Invalid(
                where=mark("kinds"), problem=mark("%(kind)s cannot be switched off"), kind=str(kind)
            )
        for way, address in self.addresses.items():
            if address != checked_address(way, address):
                raise ValueError(f"an address is kept as it is used: {address!r}")

    @property
    def thresholds(self) -> Thresholds:
        """What the alarms are judged by."""
        return Thresholds(low_minor=self.low_minor, days=self.days)

    def ways_for(self, kind: NoticeKind, email: str) -> tuple[tuple[Way, str], ...]:
        """Return each way a notice of `kind` takes and its address; `email` is the account's."""
        if kind in self.off:
            return ()
        legal = kind in LEGAL_KINDS
        found = []
        for way in PERSONAL_WAYS:
            address = self.addresses.get(way, email if way is Way.EMAIL else "")
            if address and (legal or self.mail or way is not Way.EMAIL):
                found.append((way, address))
        return tuple(found)


STANDARD: Final = Preference()


def checked_address(way: Way, text: str) -> str:
    """Return an address as it is kept; refuse what is none.

    A Russian number may be written with an 8, spaces and brackets.

    >>> checked_address(Way.SMS, "8 (924) 200-00-01")
    '+79242000001'
    """
    if way is Way.EMAIL:
        try:
            return plain_address(text)
        except NotAnAddress:
            raise Invalid(where=mark("e-mail"), problem=mark("this is not an address")) from None
    if way is Way.SMS:
        digits = re.sub(r"[\s()‑-]", "", text)
        if re.fullmatch(r"8\d{10}", digits):
            digits = f"+7{digits[1:]}"
        if not _PHONE.fullmatch(digits):
            raise Invalid(where=mark("telephone"), problem=mark("write it as +79241234567"))
        return digits
    if way is Way.MESSENGER and _HANDLE.fullmatch(text.strip()):
        return text.strip()
    raise Invalid(
        where=mark("messenger"), problem=mark("a name there is 2 to 64 letters, digits or signs")
    )


def written(preference: Preference) -> str:
    """Return a preference as it is kept."""
    return canonical_json(
        {
            "low_minor": preference.low_minor,
            "days": preference.days,
            "bonus_days": preference.bonus_days,
            "quiet": [
                preference.quiet.begins.isoformat("minutes"),
                preference.quiet.ends.isoformat("minutes"),
            ],
            "off": sorted(preference.off),
            "mail": preference.mail,
            "addresses": {str(way): address for way, address in preference.addresses.items()},
        }
    )


def read(text: str) -> Preference:
    """Return what was kept; a kind that is known no more is left out."""
    kept: dict[str, Any] = json.loads(text)
    begins, ends = kept["quiet"]
    known = set(RESIDENT_KINDS)
    return Preference(
        low_minor=kept["low_minor"],
        days=kept["days"],
        bonus_days=kept["bonus_days"],
        quiet=QuietHours(time.fromisoformat(begins), time.fromisoformat(ends)),
        off=frozenset(NoticeKind(kind) for kind in kept["off"] if kind in known),
        mail=kept["mail"],
        addresses={Way(way): address for way, address in kept["addresses"].items()},
    )
