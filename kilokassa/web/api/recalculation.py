"""Recalculation for other systems: what is pending, what was posted, and the order to post."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields
from marshmallow.validate import Range

from billing.models import CorrectionReason
from invoices.numbering import DocumentKind
from invoices.recalculation import RecalculationDocument
from invoices.store import documents_of_kind
from kilokassa.app.recalculating import Beyond, Wish, preview
from kilokassa.app.recalculating import recalculate as run
from kilokassa.core.calendar import Month
from kilokassa.core.text import told
from kilokassa.web.api.accounts import month_field
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.visit import visit


class RecalculationWish(Schema):
    """What is to be recalculated; everything where nothing is named."""

    month = fields.String(
        load_default=None,
        allow_none=True,
        validate=month_field,
        metadata={"description": "Only this closed month.", "example": "2026-10"},
    )
    account = fields.String(
        load_default=None,
        allow_none=True,
        metadata={"description": "Only the account with this number."},
    )


class MonthDifferenceSchema(Schema):
    """What one closed month of an account comes to anew."""

    account = fields.String()
    month = fields.String()
    reason = fields.Enum(CorrectionReason, by_value=True)
    difference = MoneyField(
        metadata={"description": "Charged in addition; below zero where it is given back."}
    )


class BeyondSchema(Schema):
    """A closed month of which something was learned, too far back to be put right of itself."""

    account = fields.String()
    month = fields.String()
    reason = fields.Enum(CorrectionReason, by_value=True)


class PendingSchema(Schema):
    """What a recalculation would post."""

    shown_in = fields.String(metadata={"description": "Month of the document that will show it."})
    difference = MoneyField()
    pending = fields.List(fields.Nested(MonthDifferenceSchema))
    beyond = fields.List(fields.Nested(BeyondSchema))
    left = fields.Integer(metadata={"description": "Months of accounts that were not compared."})


class RecalculatedSchema(Schema):
    """What a recalculation did."""

    corrected = fields.Integer(metadata={"description": "Accounts that were put right."})
    months = fields.Integer()
    difference = MoneyField()
    documents = fields.List(fields.String())
    warnings = fields.List(fields.Dict(keys=fields.String(), values=fields.String()))
    beyond = fields.List(fields.Nested(BeyondSchema))


class PostedQuery(Schema):
    """Which page of the documents is asked for."""

    limit = fields.Integer(load_default=50, validate=Range(1, 500))
    offset = fields.Integer(load_default=0, validate=Range(0, 10_000_000))


class PostedSchema(Schema):
    """A document of the difference that was issued."""

    number = fields.String()
    account = fields.String()
    issued_on = fields.Date()
    shown_in = fields.String()
    difference = MoneyField()
    months = fields.List(fields.Nested(MonthDifferenceSchema))


class PostedListSchema(Schema):
    """A page of documents of the difference, the latest first."""

    total = fields.Integer()
    items = fields.List(fields.Nested(PostedSchema))


def add_routes(api: Blueprint) -> None:
    """Add the routes of recalculation."""
    api.route("/recalculations", methods=["GET"], endpoint="recalculations")(
        api.arguments(PostedQuery, location="query")(
            api.response(200, PostedListSchema)(recalculations)
        )
    )
    api.route("/recalculations/pending", methods=["GET"], endpoint="pending_recalculations")(
        api.arguments(RecalculationWish, location="query")(
            api.response(200, PendingSchema)(pending_recalculations)
        )
    )
    api.route("/recalculations", methods=["POST"], endpoint="recalculate")(
        api.arguments(RecalculationWish)(api.response(200, RecalculatedSchema)(recalculate))
    )


def recalculations(asked: dict[str, Any]) -> dict[str, Any]:
    """List the documents of the difference of accounts in reach, the latest first."""
    here = visit()
    found, total = documents_of_kind(
        here.session,
        here.scope,
        DocumentKind.RECALCULATION,
        limit=asked["limit"],
        offset=asked["offset"],
    )
    return {
        "total": total,
        "items": [_posted(RecalculationDocument.from_snapshot(one.snapshot)) for one in found],
    }


def pending_recalculations(asked: dict[str, Any]) -> dict[str, Any]:
    """Say what a recalculation would post for accounts in reach; nothing is posted."""
    here = visit()
    found = preview(here.session, here.scope, _wish(asked), at=here.now)
    return {
        "shown_in": str(found.shown_in),
        "difference": found.difference_minor,
        "pending": [
            {
                "account": one.account_number,
                "month": str(one.month),
                "reason": one.reason,
                "difference": one.difference_minor,
            }
            for one in found.pending
        ],
        "beyond": [_beyond(one) for one in found.beyond],
        "left": found.left,
    }


def recalculate(asked: dict[str, Any]) -> dict[str, Any]:
    """Post what closed months should have been; repeating it changes nothing."""
    here = visit()
    scope = here.scope
    here.end()  # the run opens sessions of its own
    report = run(here.application, _wish(asked), scope=scope)
    return {
        "corrected": report.corrected,
        "months": report.months,
        "difference": report.difference_minor,
        "documents": list(report.documents),
        "warnings": [
            {"account": number, "message": told(text, here.language)}
            for number, text in report.warnings
        ],
        "beyond": [_beyond(one) for one in report.beyond],
    }


def _wish(asked: dict[str, Any]) -> Wish:
    month = asked["month"]
    return Wish(None if month is None else Month.parse(month), asked["account"])


def _beyond(one: Beyond) -> dict[str, Any]:
    return {"account": one.account_number, "month": str(one.month), "reason": one.reason}


def _posted(document: RecalculationDocument) -> dict[str, Any]:
    return {
        "number": document.number,
        "account": document.payer.account_number,
        "issued_on": document.issued_on,
        "shown_in": str(document.shown_in),
        "difference": document.difference_minor,
        "months": [
            {
                "account": document.payer.account_number,
                "month": str(one.month),
                "reason": one.reason,
                "difference": one.difference_minor,
            }
            for one in document.months
        ],
    }
