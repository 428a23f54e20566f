"""Comparison of the plans open to an account, and the choice of another."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from billing.comparison.service import Choice, choice_of, compare
from billing.comparison.service import choose_plan as choose
from kilokassa.core.calendar import Month
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.api.tariffs import PlanSchema
from kilokassa.web.language import translate
from kilokassa.web.visit import account_of, visit
from tariffs.rehearsal import Confidence


class ComparisonQuery(Schema):
    """Over how many months, and how much of the evening is moved."""

    months = fields.Integer(load_default=12, validate=validate.Range(1, 36))
    shift_percent = fields.Integer(load_default=20, validate=validate.Range(0, 100))


class PlanCostSchema(Schema):
    """What the use would have cost on one plan."""

    plan = fields.Nested(PlanSchema)
    cost = MoneyField(attribute="cost_minor")
    before_discounts = MoneyField(attribute="by_rates_minor")
    shift_gain = MoneyField(attribute="shift_gain_minor", allow_none=True)
    never_dearer_than = fields.String(attribute="guarantee")
    first_prices_taken = fields.Boolean()


class NotPricedSchema(Schema):
    """A plan that could not price the use, with the reason."""

    plan = fields.Nested(PlanSchema)
    reason = fields.String()


class ComparisonSchema(Schema):
    """The last months on every plan open to the account, the cheapest first."""

    first_month = fields.String()
    last_month = fields.String()
    current = fields.String(metadata={"description": "Code of the account's plan."})
    energy_wh = fields.Integer()
    measured_ppm = fields.Integer()
    confidence = fields.Enum(Confidence, by_value=True)
    best = fields.String(
        allow_none=True, metadata={"description": "Null where too little was measured to advise."}
    )
    saving = MoneyField(allow_none=True)
    shift_percent = fields.Integer()
    plans = fields.List(fields.Nested(PlanCostSchema))
    not_priced = fields.List(fields.Nested(NotPricedSchema))


class ChoiceSchema(Schema):
    """The plan in force, the one that follows, and those that may be chosen."""

    current = fields.Nested(PlanSchema)
    since = fields.Date()
    pending = fields.Nested(PlanSchema, allow_none=True)
    pending_from = fields.Date(allow_none=True)
    former = fields.Nested(PlanSchema, allow_none=True)
    next_period = fields.Date()
    by_registers = fields.Boolean()
    offered = fields.List(fields.Nested(PlanSchema))


class ChoiceRequest(Schema):
    """The plan to have from the next month; the present one takes a choice back."""

    plan = fields.String(required=True, validate=validate.Length(1, 100))


def add_routes(api: Blueprint) -> None:
    """Add the routes of comparing and choosing."""
    api.route("/accounts/<number>/comparison", endpoint="comparison")(
        api.arguments(ComparisonQuery, location="query")(
            api.response(200, ComparisonSchema)(comparison)
        )
    )
    api.route("/accounts/<number>/plan", endpoint="plan_choice")(
        api.response(200, ChoiceSchema)(plan_choice)
    )
    api.route("/accounts/<number>/plan", endpoint="choose_plan", methods=["POST"])(
        api.arguments(ChoiceRequest)(api.response(200, ChoiceSchema)(choose_plan))
    )


def comparison(asked: dict[str, Any], number: str) -> dict[str, Any]:
    """Price the last months of an account on every plan open to it."""
    here = visit()
    _, account_id = account_of(here, number)
    found = compare(here.session, here.scope, account_id, Month.of(here.today).plus(-1), **asked)
    return {
        "first_month": str(found.first),
        "last_month": str(found.last),
        "current": found.current,
        "energy_wh": found.energy_wh,
        "measured_ppm": found.measured_ppm,
        "confidence": found.confidence,
        "best": found.best.plan.code if found.advises and found.best else None,
        "saving": found.saving_minor if found.advises else None,
        "shift_percent": found.shift_percent,
        "plans": found.costs,
        "not_priced": [
            {"plan": plan, "reason": why.sentence(translate)} for plan, why in found.refused
        ],
    }


def plan_choice(number: str) -> Choice:
    """Show which plan an account has, which follows, and which may be chosen."""
    here = visit()
    _, account_id = account_of(here, number)
    return choice_of(here.session, here.scope, account_id, here.now)


def choose_plan(asked: dict[str, Any], number: str) -> Choice:
    """Let an account have another plan from the first of the next month; repeating is harmless."""
    here = visit()
    _, account_id = account_of(here, number)
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return choose(session, scope, account_id, asked["plan"], clock)
