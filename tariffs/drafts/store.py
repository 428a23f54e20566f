"""Queries of drafts; they belong to the whole retailer and are shown to its staff."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilokassa.core.errors import NotFound
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.slices import in_slices
from tariffs.drafts.draft import OPEN_STATES, Draft, Step
from tariffs.models import TariffDraftRow, TariffDraftStepRow


def demand_staff(scope: Scope) -> None:
    """Refuse who is no staff of the retailer: drafts belong to no one house or account."""
    scope.demand(Right.VIEW_STAFF)
    if not scope.whole_retailer:
        raise NotFound(what=mark("tariff draft"), name="-")


def drafts(session: Session, scope: Scope, *, all_states: bool = False) -> tuple[Draft, ...]:
    """Return the drafts that are open, or all, the last changed first."""
    demand_staff(scope)
    query = select(TariffDraftRow).order_by(
        TariffDraftRow.changed_at.desc(), TariffDraftRow.id.desc()
    )
    if not all_states:
        query = query.where(TariffDraftRow.state.in_(sorted(OPEN_STATES)))
    return _with_steps(session, session.scalars(query).all())


def draft_by_id(session: Session, scope: Scope, draft_id: int) -> Draft:
    """Return one draft; refuse where there is none or the actor may not know."""
    demand_staff(scope)
    row = session.get(TariffDraftRow, draft_id)
    if row is None:
        raise NotFound(what=mark("tariff draft"), name=str(draft_id))
    return _with_steps(session, [row])[0]


def drafts_of_versions(
    session: Session, scope: Scope, version_ids: Sequence[int]
) -> dict[int, Draft]:
    """Return the drafts that were published as these versions, by the id of the version."""
    demand_staff(scope)
    found: dict[int, Draft] = {}
    for part in in_slices(version_ids):
        query = select(TariffDraftRow).where(TariffDraftRow.version_id.in_(part))
        for draft in _with_steps(session, session.scalars(query).all()):
            found[draft.version_id or 0] = draft
    return found


def _with_steps(session: Session, rows: Sequence[TariffDraftRow]) -> tuple[Draft, ...]:
    steps: dict[int, list[Step]] = {row.id: [] for row in rows}
    for part in in_slices(list(steps)):
        query = (
            select(TariffDraftStepRow)
            .where(TariffDraftStepRow.draft_id.in_(part))
            .order_by(TariffDraftStepRow.draft_id, TariffDraftStepRow.number)
        )
        for step in session.scalars(query):
            steps[step.draft_id].append(
                Step(step.number, step.kind, step.document, step.note, step.actor, step.recorded_at)
            )
    return tuple(
        Draft(
            row.id,
            row.title,
            row.plan_code,
            row.document,
            row.state,
            row.revision,
            row.version_id,
            tuple(steps[row.id]),
        )
        for row in rows
    )
