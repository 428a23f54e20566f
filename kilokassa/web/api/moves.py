"""Moves for other systems: what ending an account would come to, doing it, the list."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from billing.models import AccountMoveKind, Measurement, Service, Settlement
from billing.moves import store as moves_store
from billing.moves.moves import Move, MoveOrder, Newcomer, Rest
from kilokassa.app.final_statement import final_statements
from kilokassa.app.moving import Ending, move, preview_move, settle_ended
from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark, told
from kilokassa.web.api.accounts import KeyHeader
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.visit import Visit, visit


class NewcomerRequest(Schema):
    """Who pays from the day on; what is left out is as the former account had it."""

    number = fields.String(required=True, validate=validate.Length(1, 40))
    payer_name = fields.String(required=True, validate=validate.Length(1, 200))
    persons = fields.Integer(load_default=1, strict=True, validate=validate.Range(0, 100))
    plan_code = fields.String(load_default="", validate=validate.Length(max=100))
    settlement = fields.Enum(Settlement, by_value=True, load_default=None, allow_none=True)
    measurement = fields.Enum(Measurement, by_value=True, load_default=None, allow_none=True)
    email = fields.String(load_default="", validate=validate.Length(max=200))
    phone = fields.String(load_default="", validate=validate.Length(max=40))
    language = fields.String(load_default="ru", validate=validate.OneOf(["ru", "en"]))


class MoveRequest(Schema):
    """A move on a local day: the first on which the account that ends is not charged any more."""

    kind = fields.Enum(AccountMoveKind, by_value=True, required=True)
    on = fields.Date(required=True)
    account_number = fields.String(
        load_default="",
        validate=validate.Length(max=40),
        data_key="account",
        metadata={"description": "Of the account that ends; none where somebody only moves in."},
    )
    newcomer = fields.Nested(NewcomerRequest, load_default=None, allow_none=True)
    building_code = fields.String(load_default="", validate=validate.Length(max=60))
    premises_number = fields.String(load_default="", validate=validate.Length(max=20))
    rest = fields.Enum(
        Rest,
        by_value=True,
        load_default=Rest.KEEP,
        metadata={"description": "What becomes of what is left."},
    )
    refund_to = fields.String(load_default="", validate=validate.Length(max=200))
    requisites = fields.String(load_default="", validate=validate.Length(max=200))
    transfer_to = fields.String(load_default="", validate=validate.Length(max=40))
    note = fields.String(load_default="", validate=validate.Length(max=200))


class MoveChargeSchema(Schema):
    """What is still charged for a service of a month."""

    month = fields.String()
    service = fields.Enum(Service, by_value=True)
    amount = MoneyField(attribute="amount_minor")


class EndingSchema(Schema):
    """What ending an account comes to, step by step."""

    before = MoneyField(attribute="before_minor")
    charges = fields.List(fields.Nested(MoveChargeSchema))
    reserve = MoneyField(
        attribute="reserve_minor", metadata={"description": "Comes back from reserves."}
    )
    clawed_back = MoneyField(attribute="clawed_back_minor")
    bonus_lost = MoneyField(attribute="bonus_lost_minor")
    credit_withdrawn = MoneyField(attribute="credit_withdrawn_minor")
    transferred = MoneyField(attribute="transferred_minor")
    refund = MoneyField(attribute="refund_minor", metadata={"description": "Held to be paid out."})
    after = MoneyField(attribute="after_minor", metadata={"description": "Below zero: a debt."})
    waits = fields.List(
        fields.String(), metadata={"description": "Why the final statement is not made yet."}
    )


class MovePreviewSchema(Schema):
    """What a move would do."""

    ending = fields.Nested(EndingSchema, allow_none=True)
    next_number = fields.String()


class MoveDoneSchema(Schema):
    """What a move did."""

    id = fields.Integer()
    repeated = fields.Boolean()
    ending = fields.Nested(EndingSchema, allow_none=True)
    final_statement = fields.String(metadata={"description": "Its number; empty while it waits."})


class MoveSchema(Schema):
    """A move that was done."""

    id = fields.Integer()
    kind = fields.Enum(AccountMoveKind, by_value=True)
    on = fields.Date()
    account = fields.String(attribute="account_number")
    next_account = fields.String(attribute="next_number")
    address = fields.String()
    final_statement = fields.String()
    note = fields.String()
    actor = fields.String()
    recorded_at = fields.AwareDateTime()


class MoveQuery(Schema):
    """Which page of the list."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 500))
    offset = fields.Integer(load_default=0, validate=validate.Range(0, 2**31 - 1))


class SettledSchema(Schema):
    """An account that had ended and waited."""

    account = fields.String()
    final_statement = fields.String()
    waits = fields.List(fields.String())


def add_routes(api: Blueprint) -> None:
    """Add the routes of moves."""
    api.route("/moves", methods=["GET"], endpoint="moves")(
        api.arguments(MoveQuery, location="query")(api.response(200, MoveSchema(many=True))(moves))
    )
    api.route("/moves", methods=["POST"], endpoint="move")(
        api.arguments(KeyHeader, location="headers")(
            api.arguments(MoveRequest)(api.response(200, MoveDoneSchema)(do_move))
        )
    )
    api.route("/moves/preview", methods=["POST"], endpoint="preview_move")(
        api.arguments(MoveRequest)(api.response(200, MovePreviewSchema)(look_at_move))
    )
    api.route("/moves/settle", methods=["POST"], endpoint="settle_moves")(
        api.response(200, SettledSchema(many=True))(settle)
    )


def moves(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """List the moves in reach, the latest first."""
    here = visit()
    found = moves_store.moves(here.session, here.scope, **asked)
    ids = [one.account_id for one in found if one.account_id is not None]
    documents = final_statements(here.session, ids)

    def shown(one: Move) -> dict[str, Any]:
        fields_ = ("id", "kind", "on", "account_number", "next_number", "address", "note", "actor")
        values = {name: getattr(one, name) for name in (*fields_, "recorded_at")}
        number = "" if one.account_id is None else documents.get(one.account_id, "")
        return values | {"final_statement": number}

    return [shown(one) for one in found]


def look_at_move(asked: dict[str, Any]) -> dict[str, Any]:
    """Tell what a move would do; nothing is changed."""
    here = visit()
    order, scope = _order(asked, "preview"), here.scope
    here.end()
    found = preview_move(here.application, scope, order)
    return {"ending": _ending(here, found.ending), "next_number": found.next_number}


def do_move(header: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Do a move once: end an account and settle it, open another, or both."""
    here = visit()
    order, scope = _order(asked, f"api:{header['idempotency_key']}"), here.scope
    here.end()
    report = move(here.application, scope, order)
    return {
        "id": report.moved.id,
        "repeated": report.moved.repeated,
        "ending": _ending(here, report.ending),
        "final_statement": report.document_number,
    }


def settle() -> list[dict[str, Any]]:
    """Settle the accounts that have ended and waited."""
    here = visit()
    scope = here.scope
    here.end()
    return [
        {
            "account": account,
            "final_statement": number,
            "waits": [told(text, here.language) for text in waits],
        }
        for account, number, waits in settle_ended(here.application, scope)
    ]


def _ending(here: Visit, ending: Ending | None) -> dict[str, Any] | None:
    if ending is None:
        return None
    names = (
        "before_minor",
        "charges",
        "reserve_minor",
        "clawed_back_minor",
        "bonus_lost_minor",
        "credit_withdrawn_minor",
        "transferred_minor",
        "refund_minor",
        "after_minor",
    )
    values = {name: getattr(ending, name) for name in names}
    return values | {"waits": [told(text, here.language) for text in ending.waits]}


def _order(asked: dict[str, Any], key: str) -> MoveOrder:
    newcomer = asked.pop("newcomer")
    try:
        return MoveOrder(
            idempotency_key=key,
            newcomer=None if newcomer is None else Newcomer(**newcomer),
            **asked,
        )
    except ValueError as error:
        raise Invalid(
            where=mark("move"),
            problem=mark(
                "an account ends unless somebody only moves in, and somebody comes unless one only "
                "moves out"
            ),
        ) from error
