"""Refunds and transfers for other systems: ask, pay, drop, move money."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.app.refunds import TransferOrder, Transferred, ask_for_refund, transfer
from kilokassa.web.api.accounts import KeyHeader
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.visit import account_of, visit
from wallet.payments.payment import RefundState
from wallet.payments.refunds import store as refund_store
from wallet.payments.refunds.refund import AskOrder, Refund
from wallet.payments.refunds.service import PayOrder, drop_refund, pay_refund


class RefundQuery(Schema):
    """Which refunds are asked for."""

    state = fields.Enum(RefundState, by_value=True, load_default=None)
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 500))
    offset = fields.Integer(load_default=0, validate=validate.Range(0, 2**31 - 1))


class RefundSchema(Schema):
    """Money that was asked back."""

    id = fields.Integer()
    account = fields.String(attribute="account_number")
    amount = MoneyField(attribute="amount_minor")
    to_whom = fields.String()
    requisites = fields.String()
    why = fields.String()
    advance = fields.Boolean(metadata={"description": "Of a third person, who paid it."})
    state = fields.Enum(RefundState, by_value=True)
    asked_at = fields.AwareDateTime()
    settled_at = fields.AwareDateTime(allow_none=True)
    reference = fields.String()


class RefundRequest(Schema):
    """Money that a payer wants back."""

    amount = MoneyField(required=True)
    to_whom = fields.String(required=True, validate=validate.Length(1, 200))
    requisites = fields.String(load_default="", validate=validate.Length(max=1000))
    why = fields.String(load_default="", validate=validate.Length(max=200))
    advance_of = fields.String(
        load_default="",
        validate=validate.Length(max=200),
        metadata={"description": "The third person whose advance it is; only that person gets it."},
    )


class RefundPaidRequest(Schema):
    """The payment order by which a refund was paid."""

    reference = fields.String(required=True, validate=validate.Length(1, 200))


class TransferRequest(Schema):
    """Money for another account of the payer."""

    target = fields.String(required=True, validate=validate.Length(1, 40), data_key="to")
    amount = MoneyField(required=True)
    why = fields.String(
        load_default="",
        validate=validate.Length(max=200),
        metadata={"description": "Staff name it where the payers are different."},
    )


class TransferredSchema(Schema):
    """What a transfer did."""

    repeated = fields.Boolean()
    amount = MoneyField(attribute="amount_minor")
    balance = MoneyField(attribute="source_balance_minor")


def add_routes(api: Blueprint) -> None:
    """Add the routes of refunds and transfers."""
    api.route("/refunds", methods=["GET"], endpoint="refunds")(
        api.arguments(RefundQuery, location="query")(
            api.response(200, RefundSchema(many=True))(refunds)
        )
    )
    path = "/accounts/<number>"
    api.route(f"{path}/refunds", methods=["POST"], endpoint="ask_refund")(
        api.arguments(KeyHeader, location="headers")(
            api.arguments(RefundRequest)(api.response(200, RefundSchema)(ask))
        )
    )
    api.route("/refunds/<int:refund_id>/pay", methods=["POST"], endpoint="pay_refund")(
        api.arguments(RefundPaidRequest)(api.response(200, RefundSchema)(pay))
    )
    api.route("/refunds/<int:refund_id>/drop", methods=["POST"], endpoint="drop_refund")(
        api.response(200, RefundSchema)(drop)
    )
    api.route(f"{path}/transfers", methods=["POST"], endpoint="transfer")(
        api.arguments(KeyHeader, location="headers")(
            api.arguments(TransferRequest)(api.response(200, TransferredSchema)(send))
        )
    )


def refunds(asked: dict[str, Any]) -> list[Refund]:
    """List the refunds of the accounts in reach, the latest first."""
    here = visit()
    return list(refund_store.refunds(here.session, here.scope, **asked))


def ask(header: dict[str, Any], asked: dict[str, Any], number: str) -> Refund:
    """Hold money that its payer wants back, once."""
    here = visit()
    _, account_id = account_of(here, number)
    scope, clock = here.scope, here.application.clock
    key = f"api:{header['idempotency_key']}"
    order = AskOrder(account_id, asked.pop("amount"), idempotency_key=key, **asked)
    with here.writing() as session:
        return ask_for_refund(session, scope, order, clock)


def pay(asked: dict[str, Any], refund_id: int) -> Refund:
    """Post a refund that was paid out; the same reference again changes nothing."""
    here = visit()
    scope, clock, zone = here.scope, here.application.clock, here.zone
    with here.writing() as session:
        return pay_refund(session, scope, PayOrder(refund_id, asked["reference"], zone), clock)


def drop(refund_id: int) -> Refund:
    """Give a refund up; what was held is free again."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return drop_refund(session, scope, refund_id, clock)


def send(header: dict[str, Any], asked: dict[str, Any], number: str) -> Transferred:
    """Move own money to another account of the payer, once."""
    here = visit()
    account_of(here, number)
    scope, clock = here.scope, here.application.clock
    key = f"api:{header['idempotency_key']}"
    order = TransferOrder(number, asked["target"], asked["amount"], key, asked["why"])
    with here.writing() as session:
        return transfer(session, scope, order, clock)
