"""Auto top-up for other systems: what stands, agreeing, confirming, stopping."""

from dataclasses import replace
from datetime import date
from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.text import mark
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.visit import account_of, visit
from wallet.payments.auto import service, store
from wallet.payments.auto.agreed import Agreed
from wallet.payments.auto_top_up import (
    AutoTopUpRule,
    BelowThreshold,
    DayOfMonth,
    FixedAmount,
    Outcome,
    UpToTarget,
)


class AutoTopUpRequest(Schema):
    """A rule and the card that pays; exactly one trigger and one size."""

    below = MoneyField(load_default=None, allow_none=True)
    day_of_month = fields.Integer(
        load_default=None, allow_none=True, strict=True, validate=validate.Range(1, 31)
    )
    fixed = MoneyField(load_default=None, allow_none=True)
    target = MoneyField(load_default=None, allow_none=True)
    most = MoneyField(required=True, metadata={"description": "Of one top-up."})
    window_days = fields.Integer(load_default=1, strict=True, validate=validate.Range(1, 365))
    pause_days = fields.Integer(load_default=3, strict=True, validate=validate.Range(1, 365))
    refusals_most = fields.Integer(load_default=3, strict=True, validate=validate.Range(1, 100))
    until = fields.Date(
        load_default=None,
        allow_none=True,
        metadata={"description": "The first day on which it asks no more."},
    )
    provider = fields.String(required=True, validate=validate.Length(1, 40))
    card_token = fields.String(
        required=True,
        validate=validate.Length(1, 200),
        metadata={"description": "What the provider knows the card by; never shown again."},
    )
    card_hint = fields.String(load_default="", validate=validate.Length(max=4))


class AttemptSchema(Schema):
    """A payment that a rule asked for."""

    key = fields.String()
    on = fields.Date()
    amount = MoneyField(attribute="amount_minor")
    why = fields.String()
    outcome = fields.Enum(Outcome, by_value=True)
    told_at = fields.AwareDateTime(allow_none=True)


class AutoTopUpSchema(Schema):
    """A rule that stands, and what came of it."""

    id = fields.Integer()
    below = MoneyField(allow_none=True)
    day_of_month = fields.Integer(allow_none=True)
    fixed = MoneyField(allow_none=True)
    target = MoneyField(allow_none=True)
    most = MoneyField()
    window_days = fields.Integer()
    valid_from = fields.Date()
    until = fields.Date(allow_none=True)
    provider = fields.String()
    card_hint = fields.String()
    confirmed_at = fields.AwareDateTime()
    stands = fields.Boolean()
    attempts = fields.List(fields.Nested(AttemptSchema))


def add_routes(api: Blueprint) -> None:
    """Add the routes of auto top-ups."""
    path = "/accounts/<number>/auto-top-up"
    api.route(path, methods=["GET"], endpoint="auto_top_up")(
        api.response(200, AutoTopUpSchema)(auto_top_up)
    )
    api.route(path, methods=["PUT"], endpoint="agree_auto_top_up")(
        api.arguments(AutoTopUpRequest)(api.response(200, AutoTopUpSchema)(agree))
    )
    api.route(f"{path}/confirm", methods=["POST"], endpoint="confirm_auto_top_up")(
        api.response(200, AutoTopUpSchema)(confirm)
    )
    api.route(path, methods=["DELETE"], endpoint="stop_auto_top_up")(
        api.response(200, AutoTopUpSchema)(stop)
    )


def auto_top_up(number: str) -> dict[str, Any]:
    """Return the rule that stands, with the payments of the account's rules."""
    here = visit()
    _, account_id = account_of(here, number)
    for agreed in store.rules_of(here.session, here.scope, account_id):
        if agreed.stands:
            attempts = store.attempts_of(here.session, here.scope, account_id)
            return _json(agreed) | {"attempts": list(attempts)}
    raise NotFound(what=mark("auto top-up of account"), name=number)


def agree(asked: dict[str, Any], number: str) -> dict[str, Any]:
    """Agree to a rule in place of the former one, from today on."""
    here = visit()
    _, account_id = account_of(here, number)
    scope, clock = here.scope, here.application.clock
    rule = _rule(asked, here.today)
    order = service.AgreeOrder(
        account_id, rule, asked["provider"], asked["card_token"], asked["card_hint"]
    )
    known = store.standing(here.session, [account_id]).get(account_id)
    if known is not None and replace(known.rule, valid_from=rule.valid_from) == rule:
        # The same again on another day is the same rule, and stays from its own first day.
        order = replace(order, rule=known.rule)
    with here.writing() as session:
        return _json(service.agree(session, scope, order, clock))


def confirm(number: str) -> dict[str, Any]:
    """Let a rule that stood still after refusals ask again."""
    here = visit()
    _, account_id = account_of(here, number)
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return _json(service.confirm(session, scope, account_id, clock))


def stop(number: str) -> dict[str, Any]:
    """Let a rule ask no more."""
    here = visit()
    _, account_id = account_of(here, number)
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return _json(service.stop(session, scope, account_id, clock))


def _rule(asked: dict[str, Any], today: date) -> AutoTopUpRule:
    below, day = asked["below"], asked["day_of_month"]
    fixed, target = asked["fixed"], asked["target"]
    where = mark("auto top-up")
    if (below is None) == (day is None) or (fixed is None) == (target is None):
        problem = mark("name one of below and day_of_month, and one of fixed and target")
        raise Invalid(where=where, problem=problem)
    try:
        return AutoTopUpRule(
            trigger=DayOfMonth(day) if below is None else BelowThreshold(below),
            size=UpToTarget(target) if fixed is None else FixedAmount(fixed),
            valid_from=today,
            most_minor=asked["most"],
            window_days=asked["window_days"],
            valid_until=asked["until"],
            pause_days=asked["pause_days"],
            refusals_most=asked["refusals_most"],
        )
    except ValueError as error:
        problem = mark(
            "the amount is at most the most of one top-up, and a target is not below the threshold"
        )
        raise Invalid(where=where, problem=problem) from error


def _json(agreed: Agreed) -> dict[str, Any]:
    rule = agreed.rule
    trigger, size = rule.trigger, rule.size
    return {
        "id": agreed.id,
        "below": trigger.threshold_minor if isinstance(trigger, BelowThreshold) else None,
        "day_of_month": trigger.day if isinstance(trigger, DayOfMonth) else None,
        "fixed": size.amount_minor if isinstance(size, FixedAmount) else None,
        "target": size.target_minor if isinstance(size, UpToTarget) else None,
        "most": rule.most_minor,
        "window_days": rule.window_days,
        "valid_from": rule.valid_from,
        "until": rule.valid_until,
        "provider": agreed.provider,
        "card_hint": agreed.card_hint,
        "confirmed_at": agreed.confirmed_at,
        "stands": agreed.stands,
        "attempts": [],
    }
