"""Dated facts of an account for other systems: all that was stated, stating, taking back."""

from datetime import datetime
from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from billing.facts.facts import FactOrder, Stated, StatedFact, Subject
from billing.facts.service import state, withdraw
from billing.facts.store import facts_of
from billing.models import Measurement, Settlement
from kilokassa.core.errors import NotFound
from kilokassa.core.text import mark
from kilokassa.web.visit import account_of, visit

INT_MAX = 2**31 - 1


class FactsQuery(Schema):
    """As of when; all that was ever stated, without it."""

    known_at = fields.AwareDateTime(
        load_default=None,
        metadata={
            "description": "Only what stood at this instant.",
            "example": "2026-10-01T00:00Z",
        },
    )


class FactSchema(Schema):
    """A statement about an account, whether it still stands or not."""

    id = fields.Integer()
    subject = fields.Enum(Subject, by_value=True)
    since = fields.Date(data_key="from")
    until = fields.Date(allow_none=True)
    value = fields.Integer(
        metadata={"description": "Persons, W, dm² (hundredths of m²), or the persons away."}
    )
    code = fields.String(metadata={"description": "Of the plan or the concession."})
    document = fields.String()
    actor = fields.String()
    recorded_at = fields.DateTime(
        allow_none=True, metadata={"description": "Null where it was there from the beginning."}
    )
    superseded_at = fields.DateTime(allow_none=True)
    stands = fields.Boolean()
    settlement = fields.Enum(Settlement, by_value=True, allow_none=True)
    measurement = fields.Enum(Measurement, by_value=True, allow_none=True)


class FactRequest(Schema):
    """A fact to state; which fields count follows from the subject."""

    subject = fields.Enum(Subject, by_value=True, required=True)
    since = fields.Date(
        required=True,
        data_key="from",
        metadata={"description": "Of an area: the day its extract was handed in."},
    )
    value = fields.Integer(load_default=0, strict=True, validate=validate.Range(0, INT_MAX))
    code = fields.String(load_default="", validate=validate.Length(max=100))
    until = fields.Date(load_default=None, allow_none=True)
    document = fields.String(load_default="", validate=validate.Length(max=200))


class StatedSchema(Schema):
    """Whether it changed anything, and which charged months are recalculated for it."""

    changed = fields.Boolean()
    closed_months = fields.List(fields.String())


def add_routes(api: Blueprint) -> None:
    """Add the routes of facts."""
    path = "/accounts/<number>/facts"
    api.route(path, methods=["GET"], endpoint="facts")(
        api.arguments(FactsQuery, location="query")(api.response(200, FactSchema(many=True))(facts))
    )
    api.route(path, methods=["POST"], endpoint="state_fact")(
        api.arguments(FactRequest)(api.response(200, StatedSchema)(state_fact))
    )
    api.route(f"{path}/<subject>/<int:statement_id>", methods=["DELETE"], endpoint="withdraw_fact")(
        api.response(200, StatedSchema)(withdraw_fact)
    )


def facts(asked: dict[str, Any], number: str) -> list[StatedFact]:
    """List all that was ever stated of an account, or what stood at an instant."""
    here = visit()
    _, account_id = account_of(here, number)
    known_at: datetime | None = asked["known_at"]
    return list(facts_of(here.session, here.scope, account_id, known_at=known_at))


def state_fact(asked: dict[str, Any], number: str) -> dict[str, Any]:
    """State a fact from a day on; the same again changes nothing."""
    here = visit()
    _, account_id = account_of(here, number)
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return _json(state(session, scope, FactOrder(account_id, **asked), clock))


def withdraw_fact(number: str, subject: str, statement_id: int) -> dict[str, Any]:
    """Take a statement back; what stood before it holds again, and both stay readable."""
    here = visit()
    _, account_id = account_of(here, number)
    if subject not in set(Subject) or statement_id > INT_MAX:
        raise NotFound(what=mark("stated fact"), name=f"{subject[:40]} {statement_id}"[:60])
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return _json(withdraw(session, scope, account_id, Subject(subject), statement_id, clock))


def _json(stated: Stated) -> dict[str, Any]:
    months = [str(month) for month in stated.closed_months]
    return {"changed": stated.changed, "closed_months": months}
