"""Notices for other systems: what was told, what proves it, wishes; statuses of gateways."""

import hmac
import json
from datetime import time
from typing import Any, Final

from flask import request
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.app.delivery import status_rules
from kilokassa.app.proofs import record_delivery, record_status, withdraw_delivery
from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from kilokassa.web.api.base import PageSchema
from kilokassa.web.api.fields import MoneyField, known_time
from kilokassa.web.visit import account_of, visit
from notices.channels.gateway import read_status
from notices.desk.service import (
    BY_HAND,
    LONGEST_PROOF,
    DeliveryOrder,
    send_again,
    state_preference,
)
from notices.notice import DeliveryMethod, NoticeKind, NoticeState, QuietHours, Way
from notices.preferences import Preference, checked_address
from notices.store import (
    NoticeFilter,
    RecordedDelivery,
    list_notices,
    notices_of,
    preference_of,
    written_notice,
)
from wallet.payments.signing import NotAuthentic

LARGEST_STATUS: Final = 16 * 1024
INT_MAX: Final = 2**31 - 1


class NoticeQuery(PageSchema):
    """What a list of notices is narrowed to."""

    state = fields.Enum(NoticeState, by_value=True, load_default=None)
    kind = fields.Enum(NoticeKind, by_value=True, load_default=None)
    way = fields.Enum(Way, by_value=True, load_default=None)
    undelivered = fields.Boolean(
        load_default=False, metadata={"description": "Only those without a proven delivery."}
    )


class NoticeSchema(Schema):
    """A notice; `sent` means accepted by the other side, `delivered_at` that it is proven."""

    id = fields.Integer()
    kind = fields.Enum(NoticeKind, by_value=True)
    way = fields.Enum(Way, by_value=True)
    recipient = fields.String()
    subject = fields.String()
    text = fields.String()
    document_number = fields.String(allow_none=True)
    state = fields.Enum(NoticeState, by_value=True)
    attempts = fields.Integer()
    created_at = fields.AwareDateTime()
    due_at = fields.AwareDateTime(allow_none=True)
    sent_at = fields.AwareDateTime(allow_none=True)
    delivered_at = fields.AwareDateTime(allow_none=True)
    delivered_by = fields.Enum(DeliveryMethod, by_value=True, allow_none=True)
    last_error = fields.String()
    message_id = fields.String(metadata={"description": "The same at every attempt."})


class NoticeListSchema(Schema):
    """A page of notices."""

    total = fields.Integer()
    items = fields.List(fields.Nested(NoticeSchema))


class NoticeAttemptSchema(Schema):
    """One attempt and what the other side answered."""

    began_at = fields.AwareDateTime()
    ended_at = fields.AwareDateTime()
    outcome = fields.String()
    answer = fields.String()


class NoticeDeliverySchema(Schema):
    """A record that a notice arrived, whether it stands or was withdrawn."""

    id = fields.Integer()
    method = fields.Enum(DeliveryMethod, by_value=True)
    delivered_at = fields.AwareDateTime()
    proof = fields.String()
    actor = fields.String()
    recorded_at = fields.AwareDateTime()
    withdrawn_at = fields.AwareDateTime(allow_none=True)
    withdrawn_why = fields.String()
    stands = fields.Boolean()


class WrittenNoticeSchema(Schema):
    """One notice as it was written, with all that became of it."""

    summary = fields.Nested(NoticeSchema)
    html = fields.String()
    attempts = fields.List(fields.Nested(NoticeAttemptSchema))
    deliveries = fields.List(fields.Nested(NoticeDeliverySchema))


class DeliveryRequest(Schema):
    """That a notice arrived: how, when and what proves it."""

    method = fields.Enum(
        DeliveryMethod, by_value=True, required=True, validate=validate.OneOf(BY_HAND)
    )
    delivered_at = fields.AwareDateTime(
        required=True, validate=known_time, metadata={"example": "2026-11-24T09:00Z"}
    )
    proof = fields.String(required=True, validate=validate.Length(1, LONGEST_PROOF))


class WithdrawalQuery(Schema):
    """Why a record is wrong."""

    reason = fields.String(required=True, validate=validate.Length(1, 500))


class SentAgainSchema(Schema):
    """Which notice is on its way again."""

    notice_id = fields.Integer()
    copied = fields.Boolean(metadata={"description": "Whether it is a copy under a new id."})


class QuietSchema(Schema):
    """The local hours at which nothing is told; none where both are equal."""

    begins = fields.Time(format="%H:%M", required=True)
    ends = fields.Time(format="%H:%M", required=True)


class WishesSchema(Schema):
    """How an account is told; what is left out is as without any wish."""

    low = MoneyField(attribute="low_minor", metadata={"description": "Tell below this amount."})
    days = fields.Integer(strict=True, validate=validate.Range(0, 60))
    bonus_days = fields.Integer(strict=True, validate=validate.Range(1, 60))
    quiet = fields.Nested(QuietSchema)
    off = fields.List(
        fields.Enum(NoticeKind, by_value=True), metadata={"description": "Not the legal kinds."}
    )
    mail = fields.Boolean()
    addresses = fields.Dict(
        keys=fields.String(validate=validate.OneOf(["email", "sms", "messenger"])),
        values=fields.String(validate=validate.Length(max=254)),
    )


class StatusToldSchema(Schema):
    """What became of a status."""

    recorded = fields.Boolean(metadata={"description": "Whether a delivery is on record for it."})


def add_routes(api: Blueprint) -> None:
    """Add the routes of notices."""
    api.route("/notices", methods=["GET"], endpoint="notices")(
        api.arguments(NoticeQuery, location="query")(api.response(200, NoticeListSchema)(notices))
    )
    api.route("/notices/<int:notice_id>", methods=["GET"], endpoint="notice")(
        api.response(200, WrittenNoticeSchema)(notice)
    )
    deliveries = "/notices/<int:notice_id>/deliveries"
    api.route(deliveries, methods=["POST"], endpoint="record_delivery")(
        api.arguments(DeliveryRequest)(api.response(200, NoticeDeliverySchema)(deliver))
    )
    one = f"{deliveries}/<int:delivery_id>"
    api.route(one, methods=["DELETE"], endpoint="withdraw_delivery")(
        api.arguments(WithdrawalQuery, location="query")(
            api.response(200, NoticeDeliverySchema)(withdraw)
        )
    )
    again_path = "/notices/<int:notice_id>/again"
    api.route(again_path, methods=["POST"], endpoint="send_notice_again")(
        api.response(200, SentAgainSchema)(again)
    )
    api.route("/accounts/<number>/notices", methods=["GET"], endpoint="account_notices")(
        api.response(200, NoticeSchema(many=True))(account_notices)
    )
    wishes_path = "/accounts/<number>/notice-wishes"
    api.route(wishes_path, methods=["GET"], endpoint="notice_wishes")(
        api.response(200, WishesSchema)(wishes)
    )
    api.route(wishes_path, methods=["PUT"], endpoint="state_notice_wishes")(
        api.arguments(WishesSchema)(api.response(200, WishesSchema)(state_wishes))
    )
    api.route("/gateways/<way>/status", methods=["POST"], endpoint="gateway_status")(
        api.response(200, StatusToldSchema)(
            api.doc(
                requestBody={
                    "required": True,
                    "description": "JSON or form fields, up to 16 KiB, as the gateway names them.",
                    "content": {"application/json": {"schema": {"type": "object"}}},
                },
                security=[],
            )(gateway_status)
        )
    )


def notices(asked: dict[str, Any]) -> dict[str, Any]:
    """List the notices in reach, the latest first."""
    here = visit()
    limit, offset = asked.pop("limit"), asked.pop("offset")
    found, total = list_notices(
        here.session, here.scope, NoticeFilter(**asked), limit=limit, offset=offset
    )
    return {"total": total, "items": list(found)}


def notice(notice_id: int) -> Any:  # noqa: ANN401 - what the schema reads
    """Return one notice as it was written, with its attempts and deliveries."""
    here = visit()
    return written_notice(here.session, here.scope, min(notice_id, INT_MAX))


def deliver(asked: dict[str, Any], notice_id: int) -> RecordedDelivery:
    """Record that a notice was delivered; the same again changes nothing."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        order = DeliveryOrder(min(notice_id, INT_MAX), **asked)
        return record_delivery(session, scope, order, clock).record


def withdraw(asked: dict[str, Any], notice_id: int, delivery_id: int) -> RecordedDelivery:
    """Withdraw a wrong record of a delivery; it counts no more, and both stay readable."""
    here = visit()
    written_notice(here.session, here.scope, min(notice_id, INT_MAX))
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return withdraw_delivery(session, scope, min(delivery_id, INT_MAX), asked["reason"], clock)


def again(notice_id: int) -> Any:  # noqa: ANN401 - what the schema reads
    """Put a notice on its way again: an event under its own id, a sent letter as a copy."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return send_again(session, scope, min(notice_id, INT_MAX), clock)


def account_notices(number: str) -> list[Any]:
    """List what was told to the people of an account, the latest first."""
    here = visit()
    _, account_id = account_of(here, number)
    return list(notices_of(here.session, here.scope, account_id))


def wishes(number: str) -> dict[str, Any]:
    """Return what an account wants to be told, when and how."""
    here = visit()
    _, account_id = account_of(here, number)
    return _json(preference_of(here.session, account_id))


def state_wishes(asked: dict[str, Any], number: str) -> dict[str, Any]:
    """State what an account wants to be told, in the place of what stood."""
    here = visit()
    _, account_id = account_of(here, number)
    quiet = asked.pop("quiet", None)
    if quiet is not None:
        asked["quiet"] = QuietHours(_minute(quiet["begins"]), _minute(quiet["ends"]))
    asked["off"] = frozenset(asked.get("off", ()))
    asked["addresses"] = {
        Way(way): checked_address(Way(way), address)
        for way, address in asked.get("addresses", {}).items()
        if address
    }
    wish = Preference(**asked)
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        state_preference(session, scope, account_id, wish, clock)
    return _json(wish)


def gateway_status(way: str) -> dict[str, Any]:
    """Take what a gateway says became of a text; it proves itself by its key as a bearer token."""
    here = visit()
    settings = here.application.settings.notice_gateways.get(way)
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    key = settings.status_key if settings is not None else ""
    # Compared in any case: how long a refusal takes says nothing.
    right = hmac.compare_digest(given.encode(), (key or "x" * 32).encode())
    if settings is None or not key or not right or (request.content_length or 0) > LARGEST_STATUS:
        raise NotAuthentic
    body = request.get_data(cache=True)[: LARGEST_STATUS + 1]
    status = read_status(_fields(body), status_rules(settings))
    if status is None:
        raise Invalid(where=mark("status"), problem=mark("an id and a status are needed"))
    if not status.delivered:
        return {"recorded": False}
    clock = here.application.clock
    proof = f"{way}: {body.decode('utf-8', 'replace')}"[:LONGEST_PROOF]
    with here.writing() as session:
        record_status(session, Way(way), status.message_id, status.at, proof, clock)
    return {"recorded": True}


def _fields(body: bytes) -> dict[str, Any]:
    if request.mimetype == "application/json":
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
    return request.form.to_dict()


def _json(wish: Preference) -> dict[str, Any]:
    return {
        "low_minor": wish.low_minor,
        "days": wish.days,
        "bonus_days": wish.bonus_days,
        "quiet": {"begins": wish.quiet.begins, "ends": wish.quiet.ends},
        "off": sorted(wish.off),
        "mail": wish.mail,
        "addresses": {str(way): address for way, address in wish.addresses.items()},
    }


def _minute(at: time) -> time:
    return at.replace(second=0, microsecond=0)
