"""Charge lines that explain themselves: the chain from readings to kopecks, with its digest."""

from dataclasses import asdict
from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields

from billing.explanation.explanation import LineExplanation, LineLink, StepKind, StepUnit, Verdict
from billing.explanation.service import explain_charge_line
from billing.models import CorrectionReason, LineKind, LineUnit, Service
from kilokassa.core.money import rate_from_scaled
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.visit import visit
from tariffs.lines import ChargeKind


class LineStepSchema(Schema):
    """One step: what it says, of what, and a whole number in its unit."""

    kind = fields.Enum(StepKind, by_value=True)
    about = fields.Dict()
    value = fields.Integer()
    unit = fields.Enum(StepUnit, by_value=True)


class ExactAmountSchema(Schema):
    """The amount before it was rounded, once, half up: numerator / divisor kopecks."""

    numerator = fields.String()
    divisor = fields.String()


class LineVersionSchema(Schema):
    """The tariff version that priced the line."""

    plan_code = fields.String()
    valid_from = fields.Date()
    revision = fields.Integer()
    digest = fields.String()
    published_at = fields.AwareDateTime()


class LineReadingDaySchema(Schema):
    """A local day of readings as it was known."""

    point = fields.String(attribute="point_code")
    day = fields.Date()
    revision = fields.Integer()
    digest = fields.String()
    source = fields.String()
    recorded_at = fields.AwareDateTime()
    energy_wh = fields.Integer(metadata={"description": "Of the intervals of the line."})


class LineIntervalSchema(Schema):
    """An interval of the line."""

    start = fields.AwareDateTime()
    energy_wh = fields.Integer()
    price = fields.String(metadata={"description": "Roubles per kWh; 0.00 where ranges decide."})


class LineReplaySchema(Schema):
    """What came of computing the line again from what was known then."""

    verdict = fields.Enum(Verdict, by_value=True)
    quantity = fields.Integer(allow_none=True)
    amount = MoneyField(allow_none=True, attribute="amount_minor")
    input_digest = fields.String()
    problem = fields.String()


class LineLinkSchema(Schema):
    """Another line of the account."""

    id = fields.Integer(attribute="line_id")
    kind = fields.Enum(LineKind, by_value=True)
    document_month = fields.String()
    amount = MoneyField(attribute="amount_minor")


class LineChangeSchema(Schema):
    """What differs between the inputs of a line that was reversed and of the right one."""

    what = fields.String()
    before = fields.String()
    after = fields.String()


class LineExplanationSchema(Schema):
    """A charge line with everything it was computed from."""

    id = fields.Integer()
    account = fields.String()
    zone = fields.String(metadata={"description": "IANA name, by which days are told."})
    charge_month = fields.String()
    document_month = fields.String()
    service = fields.Enum(Service, by_value=True)
    kind = fields.Enum(LineKind, by_value=True)
    charge = fields.Enum(ChargeKind, by_value=True)
    line_key = fields.String()
    name = fields.String()
    quantity = fields.Integer()
    unit = fields.Enum(LineUnit, by_value=True)
    rate = fields.String()
    share = fields.String(metadata={"description": "A fraction, such as 11/31 of the days."})
    exact = fields.Nested(ExactAmountSchema)
    rounding = fields.String()
    amount = MoneyField()
    reason = fields.Enum(CorrectionReason, by_value=True, allow_none=True)
    period_start = fields.AwareDateTime()
    period_end = fields.AwareDateTime()
    version = fields.Nested(LineVersionSchema, allow_none=True)
    steps = fields.List(fields.Nested(LineStepSchema))
    days = fields.List(fields.Nested(LineReadingDaySchema))
    intervals = fields.List(fields.Nested(LineIntervalSchema))
    known_at = fields.AwareDateTime(allow_none=True)
    recorded_at = fields.AwareDateTime()
    input_digest = fields.String()
    digest = fields.String(metadata={"description": "Of all the above; the same at every replay."})
    replay = fields.Nested(LineReplaySchema)
    before = fields.Nested(LineLinkSchema, allow_none=True)
    after = fields.Nested(LineLinkSchema, allow_none=True)
    changes = fields.List(fields.Nested(LineChangeSchema))


def add_routes(api: Blueprint) -> None:
    """Add the routes of charge lines."""
    api.route("/lines/<int:line_id>/explanation")(
        api.response(200, LineExplanationSchema)(line_explanation)
    )


def line_explanation(line_id: int) -> dict[str, Any]:
    """Explain a charge line, down to the intervals it was computed from."""
    here = visit()
    return plain(explain_charge_line(here.session, here.scope, line_id), str(here.language))


def plain(one: LineExplanation, language: str) -> dict[str, Any]:
    """Return an explanation as the interface gives it."""
    line, exact = one.line, one.sum.exact_minor
    return {
        "id": one.line_id,
        "account": one.account_number,
        "zone": one.zone,
        "charge_month": str(one.charge_month),
        "document_month": str(one.document_month),
        "service": line.service,
        "kind": line.kind,
        "charge": line.charge,
        "line_key": line.key,
        "name": one.name(language),
        "quantity": line.quantity,
        "unit": line.unit,
        "rate": str(rate_from_scaled(line.rate_scaled)),
        "share": str(one.sum.share),
        "exact": {"numerator": str(exact.numerator), "divisor": str(exact.denominator)},
        "rounding": "half_up",
        "amount": line.amount_minor,
        "reason": line.reason,
        "period_start": line.period_start,
        "period_end": line.period_end,
        "version": one.version,
        "steps": one.steps,
        "days": one.days,
        "intervals": [
            {
                "start": part.start,
                "energy_wh": part.energy_wh,
                "price": str(rate_from_scaled(part.price_scaled)),
            }
            for part in one.intervals
        ],
        "known_at": one.known_at,
        "recorded_at": one.recorded_at,
        "input_digest": line.input_digest,
        "digest": one.digest,
        "replay": one.replay,
        "before": _link(one.before),
        "after": _link(one.after),
        "changes": one.changes,
    }


def _link(one: LineLink | None) -> dict[str, Any] | None:
    return None if one is None else asdict(one) | {"document_month": str(one.document_month)}
