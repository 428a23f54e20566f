"""Issued documents as values, and the digest that covers everything one shows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from invoices.numbering import DocumentKind
from kilokassa.core.calendar import Month
from kilokassa.core.digest import digest_parts
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId, DocumentId
from kilokassa.core.text import Language, mark


@dataclass(frozen=True, slots=True)
class Draft:
    """A document before it is issued: everything but its number."""

    kind: DocumentKind
    account_id: AccountId
    snapshot: Mapping[str, Any]
    key: str
    """The same key is issued once: `bill:2026-10:<account id>`, `receipt:<journal entry id>`."""
    month: Month | None = None
    language: Language = Language.RUSSIAN
    input_digest: str = ""
    """Digest of the charge lines and postings it was computed from."""


@dataclass(frozen=True, slots=True)
class IssuedDocument:
    """An issued document without its snapshot: what the caller needs to name it."""

    id: DocumentId
    kind: DocumentKind
    number: str
    account_id: AccountId
    month: Month | None
    key: str
    digest: str
    new: bool
    """False where this key had been issued before, and nothing was done."""


@dataclass(frozen=True, slots=True)
class Document:
    """An issued document, whole."""

    id: DocumentId
    kind: DocumentKind
    number: str
    account_id: AccountId
    account_number: str
    month: Month | None
    issued_at: datetime
    issued_on: date
    language: Language
    snapshot_text: str
    digest: str
    input_digest: str
    cancels_id: DocumentId | None
    cancelled_by: str
    """The number of the document that cancelled this one; empty while it is live."""

    @property
    def snapshot(self) -> dict[str, Any]:
        """What the document shows, its number included, ready to be rendered."""
        shown: dict[str, Any] = json.loads(self.snapshot_text)
        return shown | {"number": self.number, "digest": self.digest}

    @property
    def is_intact(self) -> bool:
        """Say whether the digest still is that of what the document shows."""
        return self.digest == document_digest(
            self.kind, self.number, self.issued_at, str(self.language), self.snapshot_text
        )


@dataclass(frozen=True, slots=True)
class DocumentFault:
    """Something that `verify` found wrong with the issued documents."""

    number: str
    problem: str
    """A message of the catalogue."""


class DocumentExists(DomainError):
    """A live payment document of the account and month exists under another key."""

    code = "document_exists"
    template = mark("The payment document %(number)s of this account and month exists already.")


class AlreadyCancelled(DomainError):
    """The document was cancelled before."""

    code = "document_cancelled"
    template = mark("The document %(number)s was cancelled already.")


class NotCancellable(DomainError):
    """A cancellation cannot itself be cancelled."""

    code = "document_not_cancellable"
    template = mark("The document %(number)s is a cancellation; it cannot be cancelled.")


def document_digest(
    kind: DocumentKind, number: str, issued_at: datetime, language: str, snapshot_text: str
) -> str:
    """Return the SHA-256 over everything that an issued document shows."""
    instant = issued_at.astimezone(UTC).isoformat(timespec="microseconds")
    parts = (kind.value, number, instant, language, snapshot_text)
    return digest_parts(part.encode() for part in parts)
