"""The life of a draft as values: its states, the steps between them, who may publish it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


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


WRITING_STEPS: Final = frozenset({DraftStepKind.CREATED, DraftStepKind.CHANGED})
"""Steps that put a text there: who took one of them is an author."""

OPEN_STATES: Final = frozenset({DraftState.WRITING, DraftState.SUBMITTED})


@dataclass(frozen=True, slots=True)
class Step:
    """One step in the life of a draft."""

    number: int
    kind: DraftStepKind
    document: str
    """The text after the step."""
    note: str
    actor: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft with all that was done to it, the first step first."""

    id: int
    title: str
    plan_code: str
    document: str
    state: DraftState
    revision: int
    version_id: int | None
    steps: tuple[Step, ...]

    @property
    def authors(self) -> tuple[str, ...]:
        """Who wrote any text of it, in the order they began."""
        return authors_of(self.steps)

    def may_publish(self, actor: str) -> bool:
        """Say whether an actor is the second person: one who wrote nothing of it."""
        return self.state is DraftState.SUBMITTED and actor not in self.authors


def authors_of(steps: Sequence[Step]) -> tuple[str, ...]:
    """Return who wrote any text of a draft.

    Whoever once wrote a line of it stays its author, even where others replaced the line since:
    what a first person suggested is not reviewed by that person.
    """
    return tuple(dict.fromkeys(step.actor for step in steps if step.kind in WRITING_STEPS))
