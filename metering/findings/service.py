"""Working through findings: somebody accepts one, or opens it again; each deed has its doer."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.errors import DomainError, Invalid, NotFound
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from metering.findings.finding import FindingState
from metering.findings.store import StoredFinding, lock_findings, open_again
from metering.store import close_findings

NOTE_MAX: Final = 500


class FindingNotAccepted(DomainError):
    """Only what a person accepted can be opened again."""

    code = "finding_not_accepted"
    template = mark("The finding is not accepted, so it cannot be opened again.")


@dataclass(frozen=True, slots=True)
class AcceptOrder:
    """Findings that somebody looked at: the readings stay as they are, and why."""

    finding_ids: tuple[int, ...]
    note: str
    scope: Scope

    def __post_init__(self) -> None:
        _check_note(self.note)
        if not self.note.strip():
            raise Invalid(where=mark("note"), problem=mark("write why the readings may stay"))


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of the findings; one that somebody closed before says who and when."""

    accepted: tuple[int, ...]
    closed_before: tuple[StoredFinding, ...]


def accept_findings(session: Session, order: AcceptOrder, clock: Clock) -> Accepted:
    """Close open findings as accepted; those that another closed in the meantime are told.

    One that the scope does not reach refuses the whole order, as if it did not exist.
    """
    order.scope.demand(Right.WORK_FINDINGS)
    found = _reached(session, order.scope, order.finding_ids)
    waiting = [one for one in found if one.state is FindingState.OPEN]
    # What was written when one was opened again stays before what is written now.
    by_note: defaultdict[str, list[int]] = defaultdict(list)
    for one in waiting:
        by_note[one.note].append(one.id)
    for written, ids in by_note.items():
        closed = close_findings(
            session,
            ids,
            state=FindingState.ACCEPTED,
            closed_by=order.scope.actor,
            at=clock.now(),
            note="\n".join(filter(None, (written, order.note.strip()))),
        )
        assert closed == len(ids), "they are locked"
    before = tuple(one for one in found if one.state is not FindingState.OPEN)
    return Accepted(tuple(one.id for one in waiting), before)


@dataclass(frozen=True, slots=True)
class ReopenOrder:
    """An accepted finding that has to be looked at again, and why."""

    finding_id: int
    note: str
    scope: Scope

    def __post_init__(self) -> None:
        _check_note(self.note)


def reopen_finding(session: Session, order: ReopenOrder, clock: Clock) -> StoredFinding:
    """Open an accepted finding again; who had accepted it, and why, stays in its note."""
    order.scope.demand(Right.WORK_FINDINGS)
    (found,) = _reached(session, order.scope, (order.finding_id,))
    if found.state is not FindingState.ACCEPTED:
        raise FindingNotAccepted
    again = open_again(session, found.id, note=_kept(found, order, clock.now()))
    assert again, "it is locked"
    return found


def _kept(found: StoredFinding, order: ReopenOrder, now: datetime) -> str:
    """Return the note with the line that keeps what is undone."""
    assert found.closed_at is not None
    lines = [
        found.note,
        f"[{found.closed_by}, {found.closed_at.isoformat(timespec='minutes')}]",
        f"↺ {order.note.strip()} [{order.scope.actor}, {now.isoformat(timespec='minutes')}]",
    ]
    return "\n".join(line for line in lines if line)


def _reached(
    session: Session, scope: Scope, finding_ids: Iterable[int]
) -> tuple[StoredFinding, ...]:
    wanted = sorted(set(finding_ids))
    found = lock_findings(session, scope, wanted)
    for finding_id in wanted:
        if finding_id not in found:
            raise NotFound(what=mark("finding"), name=str(finding_id))
    return tuple(found[finding_id] for finding_id in wanted)


def _check_note(note: str) -> None:
    if len(note) > NOTE_MAX:
        raise Invalid(
            where=mark("note"),
            problem=mark("it has more than %(most)s characters"),
            most=NOTE_MAX,
        )
