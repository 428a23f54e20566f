"""Webhooks for other systems: adding one, changing it, trying it out, replaying its events."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.app.delivery import webhook_rules
from kilokassa.app.webhooks import endpoint_of, send_test
from kilokassa.web.api.fields import known_time
from kilokassa.web.visit import visit
from notices.desk.service import (
    EndpointOrder,
    add_endpoint,
    change_endpoint,
    renew_secret,
    replay_endpoint,
)
from notices.notice import NoticeKind
from notices.store import EndpointState, endpoints


class WebhookSchema(Schema):
    """A webhook; its secret is not shown again."""

    code = fields.String()
    url = fields.String()
    kinds = fields.List(
        fields.Enum(NoticeKind, by_value=True), metadata={"description": "Empty: all of them."}
    )
    active = fields.Boolean()
    failures = fields.Integer(metadata={"description": "Attempts in a row that failed."})
    paused_until = fields.AwareDateTime(allow_none=True)
    last_error = fields.String()
    created_at = fields.AwareDateTime()
    changed_at = fields.AwareDateTime()


class WebhookChange(Schema):
    """Where events go, and which."""

    url = fields.String(required=True, validate=validate.Length(1, 2000))
    kinds = fields.List(fields.Enum(NoticeKind, by_value=True), load_default=list)
    active = fields.Boolean(load_default=True)


class WebhookRequest(WebhookChange):
    """A webhook to add."""

    code = fields.String(required=True, validate=validate.Length(1, 40))


class WebhookSecretSchema(Schema):
    """The secret that signs events, shown this once."""

    code = fields.String()
    secret = fields.String()


class WebhookReplay(Schema):
    """Since when events are sent again."""

    since = fields.AwareDateTime(
        required=True, validate=known_time, metadata={"example": "2026-11-24T00:00Z"}
    )


class WebhookReplayedSchema(Schema):
    """How many events are on their way again."""

    events = fields.Integer()


class WebhookTestSchema(Schema):
    """Whether a test event was written: one a second at most."""

    written = fields.Boolean()


def add_routes(api: Blueprint) -> None:
    """Add the routes of webhooks."""
    api.route("/webhooks", methods=["GET"], endpoint="webhooks")(
        api.response(200, WebhookSchema(many=True))(webhooks)
    )
    api.route("/webhooks", methods=["POST"], endpoint="add_webhook")(
        api.arguments(WebhookRequest)(api.response(201, WebhookSecretSchema)(add))
    )
    one = "/webhooks/<code>"
    api.route(one, methods=["GET"], endpoint="webhook")(api.response(200, WebhookSchema)(webhook))
    api.route(one, methods=["PUT"], endpoint="change_webhook")(
        api.arguments(WebhookChange)(api.response(200, WebhookSchema)(change))
    )
    api.route(f"{one}/secret", methods=["POST"], endpoint="renew_webhook_secret")(
        api.response(200, WebhookSecretSchema)(renew)
    )
    api.route(f"{one}/test", methods=["POST"], endpoint="test_webhook")(
        api.response(200, WebhookTestSchema)(test)
    )
    api.route(f"{one}/replay", methods=["POST"], endpoint="replay_webhook")(
        api.arguments(WebhookReplay)(api.response(200, WebhookReplayedSchema)(replay))
    )


def webhooks() -> list[EndpointState]:
    """List the webhooks."""
    return list(endpoints(visit().session))


def webhook(code: str) -> EndpointState:
    """Return one webhook."""
    here = visit()
    return endpoint_of(here.session, here.scope, code)


def add(asked: dict[str, Any]) -> dict[str, str]:
    """Add a webhook; its secret is in this answer and nowhere else."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    rules = webhook_rules(here.application.settings)
    order = EndpointOrder(asked["code"], asked["url"], _kinds(asked), asked["active"])
    with here.writing() as session:
        secret = add_endpoint(session, scope, order, clock, rules)
    return {"code": order.code, "secret": secret}


def change(asked: dict[str, Any], code: str) -> EndpointState:
    """Change where a webhook leads and what goes to it; its pause ends."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    rules = webhook_rules(here.application.settings)
    order = EndpointOrder(code, asked["url"], _kinds(asked), asked["active"])
    with here.writing() as session:
        change_endpoint(session, scope, order, clock, rules)
        return endpoint_of(session, scope, code)


def renew(code: str) -> dict[str, str]:
    """Give a webhook another secret; the former signs nothing more."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return {"code": code, "secret": renew_secret(session, scope, code, clock)}


def test(code: str) -> dict[str, bool]:
    """Write a test event to a webhook."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return {"written": send_test(session, scope, code, clock)}


def replay(asked: dict[str, Any], code: str) -> dict[str, int]:
    """Send the events of a webhook again, each under its own id."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return {"events": replay_endpoint(session, scope, code, asked["since"], clock)}


def _kinds(asked: dict[str, Any]) -> tuple[NoticeKind, ...]:
    return tuple(dict.fromkeys(asked["kinds"]))
