"""Findings about readings: the queue, accepting and opening again."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from kilokassa.web.api.base import PageSchema
from kilokassa.web.language import shown, translate
from kilokassa.web.visit import visit
from metering.findings.finding import FindingKind, FindingState
from metering.findings.service import (
    NOTE_MAX,
    AcceptOrder,
    ReopenOrder,
    accept_findings,
    reopen_finding,
)
from metering.findings.store import (
    ID_MAX,
    FindingFilter,
    StoredFinding,
    count_by_kind,
    find_findings,
    get_finding,
)

ACCEPTED_AT_ONCE_MAX = 500


class FindingQuery(PageSchema):
    """What the queue is narrowed to; the heaviest stand first."""

    state = fields.String(
        load_default="open",
        validate=validate.OneOf([*(str(state) for state in FindingState), "all"]),
    )
    kind = fields.Enum(FindingKind, by_value=True, load_default=None)
    building = fields.String(load_default="")
    point = fields.String(load_default="", validate=validate.Length(max=100))
    batch = fields.Integer(load_default=None, validate=validate.Range(1, ID_MAX))


class FindingSchema(Schema):
    """Something that looks wrong in the readings of a point."""

    id = fields.Integer()
    kind = fields.String()
    point = fields.String()
    building = fields.String(metadata={"description": "Empty where the point is not known."})
    period_start = fields.AwareDateTime()
    period_end = fields.AwareDateTime()
    text = fields.String(metadata={"description": "One sentence in the language asked for."})
    detail = fields.Dict()
    state = fields.String()
    weight = fields.Integer()
    batch_id = fields.Integer(allow_none=True)
    recorded_at = fields.AwareDateTime()
    closed_by = fields.String(allow_none=True)
    closed_at = fields.AwareDateTime(allow_none=True)
    note = fields.String()


class FindingListSchema(Schema):
    """A page of findings."""

    total = fields.Integer()
    items = fields.List(fields.Nested(FindingSchema))


class AcceptRequest(Schema):
    """Findings that somebody looked at, and why the readings may stay."""

    ids = fields.List(
        fields.Integer(validate=validate.Range(1, ID_MAX)),
        required=True,
        validate=validate.Length(1, ACCEPTED_AT_ONCE_MAX),
    )
    note = fields.String(required=True, validate=validate.Length(1, NOTE_MAX))


class AcceptAnswer(Schema):
    """What became of them; those that somebody closed before say who did."""

    accepted = fields.List(fields.Integer())
    closed_before = fields.List(fields.Nested(FindingSchema))


class ReopenRequest(Schema):
    """Why a finding has to be looked at again."""

    note = fields.String(load_default="", validate=validate.Length(max=NOTE_MAX))


def add_routes(api: Blueprint) -> None:
    """Add the routes of findings."""
    api.route("/findings")(
        api.arguments(FindingQuery, location="query")(
            api.response(200, FindingListSchema)(findings)
        )
    )
    api.route("/findings/<int:finding_id>")(api.response(200, FindingSchema)(finding))
    api.route("/findings/accept", methods=["POST"])(
        api.arguments(AcceptRequest)(api.response(200, AcceptAnswer)(accept_some_findings))
    )
    api.route("/findings/<int:finding_id>/reopen", methods=["POST"])(
        api.arguments(ReopenRequest)(api.response(200, FindingSchema)(reopen_one_finding))
    )


def findings(asked: dict[str, Any]) -> dict[str, Any]:
    """List findings about points in reach, the heaviest first."""
    here = visit()
    state = asked["state"]
    wished = FindingFilter(
        state=None if state == "all" else FindingState(state),
        kind=asked["kind"],
        building_code=asked["building"],
        batch_id=asked["batch"],
        point_code=asked["point"],
    )
    counts = count_by_kind(here.session, here.scope, wished)
    found = find_findings(
        here.session, here.scope, wished, limit=asked["limit"], offset=asked["offset"]
    )
    total = sum(counts.values()) if wished.kind is None else counts.get(wished.kind, 0)
    return {"total": total, "items": [_shown(one) for one in found]}


def finding(finding_id: int) -> dict[str, Any]:
    """Show one finding."""
    here = visit()
    return _shown(get_finding(here.session, here.scope, finding_id))


def accept_some_findings(asked: dict[str, Any]) -> dict[str, Any]:
    """Accept findings: the readings stay as they are; sent again, it says who accepted them."""
    here = visit()
    if not asked["note"].strip():
        raise Invalid(where=mark("note"), problem=mark("write why the readings may stay"))
    order = AcceptOrder(tuple(asked["ids"]), asked["note"], here.scope)
    with here.writing() as session:
        done = accept_findings(session, order, here.application.clock)
    return {
        "accepted": list(done.accepted),
        "closed_before": [_shown(one) for one in done.closed_before],
    }


def reopen_one_finding(asked: dict[str, Any], finding_id: int) -> dict[str, Any]:
    """Open an accepted finding again; who had accepted it stays in its note."""
    here = visit()
    scope = here.scope
    with here.writing() as session:
        reopen_finding(
            session, ReopenOrder(finding_id, asked["note"], scope), here.application.clock
        )
    return _shown(get_finding(here.session, scope, finding_id))


def _shown(one: StoredFinding) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": str(one.finding.kind),
        "point": one.finding.point_code,
        "building": one.building_code,
        "period_start": one.finding.period.start,
        "period_end": one.finding.period.end,
        "text": one.finding.sentence(translate, shown),
        "detail": dict(one.finding.detail),
        "state": str(one.state),
        "weight": one.weight,
        "batch_id": one.batch_id,
        "recorded_at": one.recorded_at,
        "closed_by": one.closed_by,
        "closed_at": one.closed_at,
        "note": one.note,
    }
