"""The life of a draft as values: its states and the steps between them."""

from enum import StrEnum


class DraftState(StrEnum):
    """How far a draft has come."""

    WRITING = "writing"
    SUBMITTED = "submitted"
    """Waits for a second person."""
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


class DraftStepKind(StrEnum):
    """What was done to a draft."""

    CREATED = "created"
    CHANGED = "changed"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    """By the second person, with a reason."""
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"
