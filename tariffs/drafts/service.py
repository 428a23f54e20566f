"""Use cases of drafts: write, submit, return, withdraw, and publish by a second person."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.errors import DomainError, Invalid, NotFound
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from tariffs.documents import parse_tariff
from tariffs.drafts.draft import WRITING_STEPS, Draft, DraftState, DraftStepKind
from tariffs.drafts.store import demand_staff, draft_by_id
from tariffs.models import TariffDraftRow, TariffDraftStepRow
from tariffs.plans import TariffVersion
from tariffs.service import (
    Publication,
    PublishOrder,
    VersionExists,
    clashing_version,
    publish_version,
)
from tariffs.yaml_fields import LARGEST_BYTES, BadDocument

TITLE_MOST = 200
NOTE_MOST = 2000


class DraftChanged(DomainError):
    """Somebody saved the draft since it was opened; nothing is overwritten."""

    code = "draft_changed"
    template = mark(
        "%(actor)s saved this draft in the meantime (revision %(revision)s): "
        "put both texts together and save again."
    )


class DraftNotOpen(DomainError):
    """The draft's state does not allow the step."""

    code = "draft_not_open"
    template = mark("The draft %(draft)s is not in a state for this any more: look at it again.")


class SecondPersonNeeded(DomainError):
    """Who wrote a text does not publish it."""

    code = "second_person_needed"
    template = mark("You wrote a part of this draft: a second person publishes it.")


@dataclass(frozen=True, slots=True)
class DraftText:
    """A text to save; of an existing draft the revision that the writer had before their eyes."""

    scope: Scope
    document: str
    title: str = ""
    draft_id: int | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class DraftStepOrder:
    """A step to take with the draft of a revision that the actor has read."""

    scope: Scope
    draft_id: int
    revision: int
    note: str = ""
    replaces: bool = False
    """Of submitting and publishing: the version takes the place of one for the same date."""


def save_draft(session: Session, order: DraftText, clock: Clock) -> Draft:
    """Save a text, as a new draft or into one that is open; the same text again changes nothing.

    A text with faults is kept too: it is a draft. One that waited for a second person is being
    written again.
    """
    _demand(order.scope)
    text = order.document.replace("\r\n", "\n")
    if len(text.encode(errors="replace")) > LARGEST_BYTES or "\x00" in text:
        raise Invalid(
            where=mark("tariff"),
            problem=mark("the text is larger than %(limit)s bytes or holds what is no text"),
            limit=LARGEST_BYTES,
        )
    if order.draft_id is None:
        now = clock.now()
        version = _read(text)
        row = TariffDraftRow(
            title=_title(order.title, version),
            document=text,
            plan_code="" if version is None else version.plan_code,
            state=DraftState.WRITING,
            revision=0,
            created_by=order.scope.actor,
            created_at=now,
            changed_by=order.scope.actor,
            changed_at=now,
        )
        session.add(row)
        session.flush()
        _take(session, row, DraftStepKind.CREATED, order.scope, "", clock)
        return draft_by_id(session, order.scope, row.id)
    row = _held(session, order.draft_id)
    if row.state not in {DraftState.WRITING, DraftState.SUBMITTED}:
        raise DraftNotOpen(draft=row.id)
    if text == row.document and order.title in {"", row.title}:
        return draft_by_id(session, order.scope, row.id)
    if order.revision != row.revision:
        raise DraftChanged(actor=row.changed_by, revision=row.revision)
    version = _read(text)
    row.document = text
    row.title = _title(order.title or row.title, version)
    row.plan_code = "" if version is None else version.plan_code
    row.state = DraftState.WRITING
    _take(session, row, DraftStepKind.CHANGED, order.scope, "", clock)
    return draft_by_id(session, order.scope, row.id)


def submit_draft(session: Session, order: DraftStepOrder, clock: Clock) -> Draft:
    """Hand a draft to a second person; a text with a fault is refused with its line."""
    row = _in_state(session, order, DraftState.WRITING)
    version = parse_tariff(row.document)
    published = clashing_version(session, version)
    if published is not None and not order.replaces:
        raise VersionExists(plan=version.plan_code, day=str(version.valid_from))
    row.state = DraftState.SUBMITTED
    _take(session, row, DraftStepKind.SUBMITTED, order.scope, order.note, clock)
    return draft_by_id(session, order.scope, row.id)


def return_draft(session: Session, order: DraftStepOrder, clock: Clock) -> Draft:
    """Give a draft back to its authors, with a reason."""
    row = _in_state(session, order, DraftState.SUBMITTED)
    if not order.note.strip():
        raise Invalid(where=mark("note"), problem=mark("say what is to be changed"))
    row.state = DraftState.WRITING
    _take(session, row, DraftStepKind.RETURNED, order.scope, order.note, clock)
    return draft_by_id(session, order.scope, row.id)


def withdraw_draft(session: Session, order: DraftStepOrder, clock: Clock) -> Draft:
    """Lay a draft aside for good; its text and steps stay readable."""
    row = _in_state(session, order, DraftState.WRITING, DraftState.SUBMITTED)
    row.state = DraftState.WITHDRAWN
    _take(session, row, DraftStepKind.WITHDRAWN, order.scope, order.note, clock)
    return draft_by_id(session, order.scope, row.id)


def publish_draft(session: Session, order: DraftStepOrder, clock: Clock) -> Publication:
    """Publish a draft that another person wrote and submitted, exactly as it was read."""
    row = _in_state(session, order, DraftState.SUBMITTED)
    wrote = session.scalars(
        select(TariffDraftStepRow.actor).where(
            TariffDraftStepRow.draft_id == row.id,
            TariffDraftStepRow.kind.in_(sorted(WRITING_STEPS)),
        )
    ).all()
    if order.scope.actor in wrote:
        raise SecondPersonNeeded
    done = publish_version(
        session, PublishOrder(order.scope, row.document, replaces=order.replaces), clock
    )
    row.state = DraftState.PUBLISHED
    row.version_id = done.version_id
    _take(session, row, DraftStepKind.PUBLISHED, order.scope, order.note, clock)
    return done


def _demand(scope: Scope) -> None:
    scope.demand(Right.PUBLISH_TARIFFS)
    demand_staff(scope)


def _held(session: Session, draft_id: int) -> TariffDraftRow:
    """Return the row, locked: two who change a draft come one after the other."""
    row = session.scalars(
        select(TariffDraftRow).where(TariffDraftRow.id == draft_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(what=mark("tariff draft"), name=str(draft_id))
    return row


def _in_state(session: Session, order: DraftStepOrder, *states: DraftState) -> TariffDraftRow:
    _demand(order.scope)
    if len(order.note) > NOTE_MOST:
        raise Invalid(
            where=mark("note"), problem=mark("at most %(most)s characters"), most=NOTE_MOST
        )
    row = _held(session, order.draft_id)
    if row.state not in states:
        raise DraftNotOpen(draft=row.id)
    if order.revision != row.revision:
        raise DraftChanged(actor=row.changed_by, revision=row.revision)
    return row


def _take(
    session: Session,
    row: TariffDraftRow,
    kind: DraftStepKind,
    scope: Scope,
    note: str,
    clock: Clock,
) -> None:
    """Write the step down; the revision counts it, so nobody acts on a text they did not see."""
    now = clock.now()
    row.revision += 1
    row.changed_by = scope.actor
    row.changed_at = now
    number = session.scalar(select(func.count()).where(TariffDraftStepRow.draft_id == row.id))
    session.add(
        TariffDraftStepRow(
            draft_id=row.id,
            number=(number or 0) + 1,
            kind=kind,
            document=row.document,
            note=note.strip(),
            actor=scope.actor,
            recorded_at=now,
        )
    )
    session.flush()


def _read(text: str) -> TariffVersion | None:
    """Return what a text says; None where it still has faults."""
    try:
        return parse_tariff(text)
    except BadDocument:
        return None


def _title(title: str, version: TariffVersion | None) -> str:
    """Return the title, or the plan's name and date where none was given."""
    found = title.strip()
    if len(found) > TITLE_MOST:
        raise Invalid(
            where=mark("title"), problem=mark("at most %(most)s characters"), most=TITLE_MOST
        )
    if found or version is None:
        return found
    return f"{version.name}, {version.valid_from}"
