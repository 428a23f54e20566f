"""Estimated values for other systems; energy in whole watt-hours."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields

from kilokassa.app.estimating import EstimateLine, estimate_lines, rule_chain
from kilokassa.core.calendar import Month
from kilokassa.web.visit import visit
from metering.estimation.methods import EstimationMethod


class EstimatesQuery(Schema):
    """Which estimates are asked for."""

    month = fields.String(
        load_default=None,
        metadata={
            "description": "The month charged by them, such as 2026-10; without it, the last.",
            "example": "2026-10",
        },
    )
    building = fields.String(load_default="", metadata={"description": "Code of one house."})
    replaced = fields.Boolean(
        load_default=False, metadata={"description": "With those that no longer hold."}
    )


class EstimateSchema(Schema):
    """What stands in for a value that was not measured."""

    building = fields.String()
    premises = fields.String()
    account = fields.String()
    point = fields.String()
    method = fields.Enum(EstimationMethod, by_value=True)
    rule = fields.String(metadata={"description": "The rule that called for it, with its date."})
    article = fields.String()
    certain = fields.Boolean(metadata={"description": "Whether the rule was read in the law."})
    starts_at = fields.AwareDateTime()
    ends_at = fields.AwareDateTime()
    quantity_wh = fields.Integer()
    periods_in_a_row = fields.Integer(allow_none=True)
    next_method = fields.Enum(
        EstimationMethod,
        by_value=True,
        allow_none=True,
        metadata={"description": "What follows if the next month is missed too."},
    )
    basis = fields.Dict(metadata={"description": "What it was computed from."})
    recorded_at = fields.AwareDateTime()
    replaced_at = fields.AwareDateTime(allow_none=True)


def add_routes(api: Blueprint) -> None:
    """Add the route of estimates."""
    api.route("/estimates", endpoint="estimates")(
        api.arguments(EstimatesQuery, location="query")(
            api.response(200, EstimateSchema(many=True))(estimates)
        )
    )


def estimates(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """List what a month is charged by without having been measured."""
    here = visit()
    month = Month.parse(asked["month"]) if asked["month"] else Month.of(here.today).plus(-1)
    lines = estimate_lines(
        here.session,
        here.scope,
        rule_chain(here.application.settings.estimation_rules),
        month=month,
        building_code=asked["building"],
        replaced=asked["replaced"],
    )
    return [estimate_json(line) for line in lines]


def estimate_json(line: EstimateLine) -> dict[str, Any]:
    """Return an estimate as a program reads it."""
    one = line.estimate
    return {
        "building": line.listed.building_code,
        "premises": line.listed.premises_number,
        "account": line.account_number,
        "point": line.listed.point_code,
        "method": one.method,
        "rule": one.rule,
        "article": line.used.article,
        "certain": line.used.certain,
        "starts_at": one.period.start,
        "ends_at": one.period.end,
        "quantity_wh": line.quantity_wh,
        "periods_in_a_row": line.period_number,
        "next_method": line.next_method,
        "basis": one.basis,
        "recorded_at": one.recorded_at,
        "replaced_at": one.replaced_at,
    }
