"""Compensations and advances of third persons, for other systems."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from billing.models import Service
from kilokassa.app.giving import GIVEN, TEXT_MAX, GiftOrder, give
from kilokassa.app.payments import TENDERS
from kilokassa.web.api.accounts import KeyHeader
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.visit import account_of, visit
from wallet.lots import LotKind
from wallet.service import Moved


class GiftRequest(Schema):
    """Money that is not the payer's own."""

    kind = fields.String(required=True, validate=validate.OneOf([str(one) for one in GIVEN]))
    amount = MoneyField(required=True)
    why = fields.String(
        required=True,
        validate=validate.Length(1, TEXT_MAX),
        data_key="document",
        metadata={"description": "What it rests on: an order, a decision, a payment order."},
    )
    service = fields.String(
        load_default="",
        validate=validate.OneOf(["", *(str(one) for one in Service)]),
        metadata={"description": "The only service that it pays for; empty: any."},
    )
    payer = fields.String(
        load_default="",
        validate=validate.Length(max=TEXT_MAX),
        metadata={"description": "Who paid an advance, and alone gets the rest back."},
    )
    tender = fields.String(load_default="bank", validate=validate.OneOf(list(TENDERS)))
    through_on = fields.Date(
        load_default=None, metadata={"description": "The last day of a compensation."}
    )


class LotGivenSchema(Schema):
    """What was put in."""

    entry = fields.Integer(attribute="entry_id")
    repeated = fields.Boolean()
    balance = MoneyField(attribute="balance_minor")
    covered = MoneyField(attribute="covered_minor", metadata={"description": "Of what was owed."})


def add_routes(api: Blueprint) -> None:
    """Add the route of what is given."""
    api.route("/accounts/<number>/lots", methods=["POST"], endpoint="give")(
        api.arguments(KeyHeader, location="headers")(
            api.arguments(GiftRequest)(api.response(200, LotGivenSchema)(put_in))
        )
    )


def put_in(header: dict[str, Any], asked: dict[str, Any], number: str) -> Moved:
    """Put a compensation, or the advance of a third person, into a wallet, once."""
    here = visit()
    _, account_id = account_of(here, number)
    scope, clock = here.scope, here.application.clock
    order = GiftOrder(
        account_id,
        LotKind(asked.pop("kind")),
        asked.pop("amount"),
        idempotency_key=f"api:{header['idempotency_key']}",
        **asked,
    )
    with here.writing() as session:
        return give(session, scope, order, clock)
