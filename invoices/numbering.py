"""Document numbers: one sequence without gaps for each kind and year."""

from enum import StrEnum


class DocumentKind(StrEnum):
    """What a document is."""

    PAYMENT_DOCUMENT = "payment_document"
    RECEIPT = "receipt"
    CANCELLATION = "cancellation"
    RECALCULATION = "recalculation"
    """Of the difference that a correction of closed months makes."""
    FINAL_STATEMENT = "final_statement"
    """Of an account that ended."""


PREFIX: dict[DocumentKind, str] = {
    DocumentKind.PAYMENT_DOCUMENT: "",
    DocumentKind.RECEIPT: "R-",
    DocumentKind.CANCELLATION: "C-",
    DocumentKind.RECALCULATION: "D-",
    DocumentKind.FINAL_STATEMENT: "F-",
}
"""Latin letters, the same on every keyboard, in file names and in a bank's fields."""


def document_number(kind: DocumentKind, year: int, sequence: int) -> str:
    """Return the number people read; it grows beyond six digits when it must.

    >>> document_number(DocumentKind.PAYMENT_DOCUMENT, 2026, 123)
    '2026-000123'
    >>> document_number(DocumentKind.RECEIPT, 2026, 1234567)
    'R-2026-1234567'
    """
    if sequence < 1:
        raise ValueError(f"numbers start at 1: {sequence}")
    return f"{PREFIX[kind]}{year}-{sequence:06d}"
