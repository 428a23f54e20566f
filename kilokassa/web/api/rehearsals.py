"""Rehearsals of tariffs: begin one, ask how far it is, take its report."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from billing.models import RehearsalRow, RunState
from billing.rehearsal import store
from billing.rehearsal.order import Change, RehearsalOrder
from kilokassa.app import rehearsing
from kilokassa.app.rehearsal_report import load_report, report_json
from kilokassa.core.calendar import Month
from kilokassa.web.api.accounts import month_field
from kilokassa.web.console.rehearsals import DOCUMENT_MAX, start
from kilokassa.web.visit import visit
from tariffs.rehearsal import PriceBasis


class ChangeSchema(Schema):
    """A plan, and the document or other plan that its accounts are tried on."""

    plan = fields.String(required=True, validate=validate.Length(1, 100))
    document = fields.String(load_default="", validate=validate.Length(max=DOCUMENT_MAX))
    to_plan = fields.String(load_default="", validate=validate.Length(max=100))

    @validates_schema
    def _one_of_both(self, data: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 - marshmallow's own hook
        if bool(data["document"]) == bool(data["to_plan"]):
            raise ValidationError("Give a document or another plan.", "document")


class RehearsalRequest(Schema):
    """What is rehearsed, over which months and accounts."""

    name = fields.String(load_default="", validate=validate.Length(max=120))
    changes = fields.List(
        fields.Nested(ChangeSchema), required=True, validate=validate.Length(1, 50)
    )
    first_month = fields.String(required=True, validate=month_field)
    last_month = fields.String(required=True, validate=month_field)
    prices = fields.Enum(PriceBasis, by_value=True, load_default=PriceBasis.NEWEST)
    building = fields.String(load_default="", validate=validate.Length(max=100))
    company = fields.String(load_default="", validate=validate.Length(max=100))


class RehearsalSchema(Schema):
    """A rehearsal, and its report once it is done: money in kopecks, shares in millionths."""

    id = fields.Integer()
    name = fields.String()
    state = fields.Enum(RunState, by_value=True)
    parts = fields.Integer()
    parts_done = fields.Integer()
    actor = fields.String()
    started_at = fields.AwareDateTime()
    ended_at = fields.AwareDateTime(allow_none=True)
    report = fields.Dict(allow_none=True)


def add_routes(api: Blueprint) -> None:
    """Add the routes of rehearsals."""
    api.route("/rehearsals", endpoint="rehearsals")(
        api.response(200, RehearsalSchema(many=True))(rehearsals)
    )
    api.route("/rehearsals", endpoint="begin_rehearsal", methods=["POST"])(
        api.arguments(RehearsalRequest)(api.response(201, RehearsalSchema)(begin_rehearsal))
    )
    api.route("/rehearsals/<int:rehearsal_id>", endpoint="rehearsal")(
        api.response(200, RehearsalSchema)(rehearsal)
    )


def rehearsals() -> list[dict[str, Any]]:
    """List the rehearsals, the latest first."""
    here = visit()
    return [_plain(row, None) for row in store.rehearsals(here.session, here.scope)]


def begin_rehearsal(asked: dict[str, Any]) -> dict[str, Any]:
    """Begin a rehearsal: nothing of it is posted. Ask for it again until it is done."""
    here = visit()
    changes = tuple(
        Change(one["plan"], document=one["document"], to_plan=one["to_plan"])
        for one in asked["changes"]
    )
    order = RehearsalOrder(
        name=asked["name"] or ", ".join(f"{one.plan_code} → {one.target}" for one in changes),
        changes=changes,
        first=Month.parse(asked["first_month"]),
        last=Month.parse(asked["last_month"]),
        prices=asked["prices"],
        building_code=asked["building"],
        company_code=asked["company"],
    )
    application, scope = here.application, here.scope
    here.end()
    rehearsal_id = rehearsing.begin(application, order, scope=scope)
    start(
        application, scope, rehearsal_id, store.rehearsal(here.session, scope, rehearsal_id).parts
    )
    here.end()
    return rehearsal(rehearsal_id)


def rehearsal(rehearsal_id: int) -> dict[str, Any]:
    """Show how far a rehearsal is, with its report once it is done."""
    here = visit()
    row = store.rehearsal(here.session, here.scope, rehearsal_id)
    done = len(store.parts_done(here.session, rehearsal_id))
    report = None
    if row.state is RunState.DONE:
        report = report_json(load_report(here.session, here.scope, rehearsal_id))
    return _plain(row, report) | {"parts_done": done}


def _plain(row: RehearsalRow, report: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "state": row.state,
        "parts": row.parts,
        "parts_done": row.parts if row.state is RunState.DONE else None,
        "actor": row.actor,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "report": report,
    }
