"""What payment providers tell: signed messages, without a sign-in of their own."""

from typing import Any, Final

from flask import request
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields

from kilokassa.app.gateways import INSTANT_HEADER, SIGNATURE_HEADER
from kilokassa.app.payment_orders import providers_of, receive
from kilokassa.web.visit import visit
from wallet.payments.signing import (
    BODY_MAX,
    NotAuthentic,
    demand_authentic,
    read_message,
)

_NOBODY: Final = "x" * 32
"""The secret of a provider that is not set up: its messages take as long to refuse as others'."""

BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "JSON of up to 16 KiB: type (paid, refused, refunded), transaction, order, "
        "amount (a string such as 1500.00), and where known paid_at and payer.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    "security": [],
}


class SignatureHeaders(Schema):
    """What proves a message."""

    timestamp = fields.String(
        data_key=INSTANT_HEADER,
        load_default="",
        metadata={"description": "Seconds since 1970, UTC; within 5 minutes of ours."},
    )
    signature = fields.String(
        data_key=SIGNATURE_HEADER,
        load_default="",
        metadata={"description": "Hexadecimal HMAC-SHA256 of `timestamp.body` under the secret."},
    )


class ProviderToldSchema(Schema):
    """What became of the message; the same again gets the same answer."""

    state = fields.String(metadata={"description": "taken, suspense, returned, or of the order."})
    repeated = fields.Boolean()


def add_routes(api: Blueprint) -> None:
    """Add the route of providers."""
    api.route("/providers/<code>/payments", methods=["POST"], endpoint="provider_payments")(
        api.arguments(SignatureHeaders, location="headers")(
            api.response(200, ProviderToldSchema)(api.doc(**BODY)(provider_payments))
        )
    )


def provider_payments(headers: dict[str, Any], code: str) -> dict[str, Any]:
    """Take a provider's message: paid, refused or refunded; it proves itself by its signature."""
    here = visit()
    if (request.content_length or 0) > BODY_MAX:
        raise NotAuthentic
    body = request.get_data(cache=False)
    if len(body) > BODY_MAX:
        raise NotAuthentic
    provider = providers_of(here.application, here.session).get(code)
    secret = _NOBODY if provider is None else provider.secret
    demand_authentic(secret, headers["timestamp"], headers["signature"], body, here.now)
    if provider is None:
        raise NotAuthentic
    message = read_message(body)
    with here.writing() as session:
        told = receive(session, provider, message, here.application.clock)
    return {"state": told.state, "repeated": told.repeated}
