"""Closing a month."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields

from kilokassa.app.closing import close_month as close
from kilokassa.core.calendar import Month
from kilokassa.core.text import told
from kilokassa.web.api.accounts import month_field
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.visit import visit


class CloseRequest(Schema):
    """The month to close, for every account or for one."""

    month = fields.String(required=True, validate=month_field)
    account = fields.String(load_default=None)


class CloseAnswer(Schema):
    """What the run did and what it left alone."""

    month = fields.String()
    charged = fields.Integer()
    already_closed = fields.Integer()
    without_charge = fields.Integer()
    corrected = fields.Integer()
    documents = fields.Integer()
    amount = MoneyField()
    correction = MoneyField()
    warnings = fields.List(fields.Dict(keys=fields.String(), values=fields.String()))


def add_routes(api: Blueprint) -> None:
    """Add the route of billing."""
    api.route("/billing/closes", methods=["POST"])(
        api.arguments(CloseRequest)(api.response(200, CloseAnswer)(close_month))
    )


def close_month(asked: dict[str, Any]) -> dict[str, Any]:
    """Close a month; repeating it changes nothing."""
    here = visit()
    month, scope = Month.parse(asked["month"]), here.scope
    here.end()  # the run opens sessions of its own
    report = close(here.application, month, scope=scope, account_number=asked["account"])
    return {
        "month": str(month),
        "charged": report.charged,
        "already_closed": report.already_closed,
        "without_charge": report.without_charge,
        "corrected": report.corrected,
        "documents": report.documents,
        "amount": report.amount_minor,
        "correction": report.correction_minor,
        "warnings": [
            {"account": number, "message": told(text, here.language)}
            for number, text in report.warnings
        ],
    }
