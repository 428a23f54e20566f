"""Payments for other systems: files of banks, what came in, suspense, the split, orders."""

from typing import Any, Final

from flask import request
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.app.payment_files import (
    FileOutcome,
    file_outcome,
    import_payment_file,
    preview_payment_file,
)
from kilokassa.app.payment_matching import (
    account_numbers,
    match_payment,
    suggestions,
    unmatch_payment,
)
from kilokassa.app.payment_orders import (
    NoProvider,
    OrderRequest,
    page_address,
    paying_provider,
    place_order,
    split_of,
)
from kilokassa.core.errors import NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.text import mark, told
from kilokassa.web.api.accounts import KeyHeader
from kilokassa.web.api.base import PageSchema
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.visit import Visit, account_of, visit
from wallet.payments import store
from wallet.payments.models import PaymentOrderRow
from wallet.payments.payment import OrderState, PaymentSource, PaymentState
from wallet.payments.reading import Control, problem_text
from wallet.payments.service import FileOrder, return_payment
from wallet.payments.split import ReserveWish
from wallet.payments.store import Incoming, PaymentFilter, Sum

ID_MAX: Final = 2**31 - 1
BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "The file as the bank made it, in any of its encodings.",
        "content": {"application/octet-stream": {"schema": {"type": "string"}}},
    }
}


class PaymentQuery(PageSchema):
    """What a list of payments is narrowed to."""

    state = fields.Enum(PaymentState, by_value=True, load_default=None)
    source = fields.Enum(PaymentSource, by_value=True, load_default=None)
    file = fields.Integer(load_default=None, validate=validate.Range(1, ID_MAX))
    search = fields.String(load_default="", validate=validate.Length(max=100))


class PaymentSchema(Schema):
    """Money that came in, and how far it has come."""

    id = fields.Integer()
    source = fields.String()
    sender = fields.String()
    transaction = fields.String()
    file = fields.Integer(allow_none=True)
    line = fields.Integer(allow_none=True)
    account_text = fields.String(metadata={"description": "As it was written."})
    account = fields.String(allow_none=True, metadata={"description": "Where it is."})
    amount = MoneyField()
    tender = fields.String()
    paid_at = fields.AwareDateTime()
    payer = fields.String()
    purpose = fields.String()
    state = fields.String()
    problem = fields.String(metadata={"description": "Why it waits in suspense."})
    note = fields.String()


class PaymentListSchema(Schema):
    """A page of payments."""

    total = fields.Integer()
    items = fields.List(fields.Nested(PaymentSchema))


class AccountSuggestionSchema(Schema):
    """An account that a payment may be for."""

    number = fields.String()
    payer_name = fields.String()
    address = fields.String()
    reasons = fields.List(fields.String())


class PaymentSumSchema(Schema):
    """How many payments, and what they come to."""

    count = fields.Integer()
    amount = MoneyField(attribute="amount_minor")


class PaymentTrialSchema(Schema):
    """What came in beside what the ledger's cash accounts hold."""

    taken = fields.Nested(PaymentSumSchema)
    suspense = fields.Nested(PaymentSumSchema)
    returned = fields.Nested(PaymentSumSchema)
    cash = fields.Dict(
        keys=fields.String(),
        values=MoneyField(),
        metadata={"description": "By tender: what the ledger took in, less what left."},
    )


class PaymentFileQuery(Schema):
    """What a file is called, who sent it, and what its control says."""

    name = fields.String(load_default="payments.txt", validate=validate.Regexp(r"[\w. -]{1,100}\Z"))
    sender = fields.String(load_default="", validate=validate.Regexp(r"[\w-]{0,40}\Z"))
    check = fields.Boolean(
        load_default=False, metadata={"description": "Only say what would become of it."}
    )
    control_rows = fields.Integer(load_default=None, validate=validate.Range(0, 10**6))
    control_total = MoneyField(load_default=None)


class RefusedPaymentSchema(Schema):
    """A row that was not taken, and why."""

    line = fields.Integer()
    problem = fields.String()
    amount = MoneyField(allow_none=True)


class BroughtReadingSchema(Schema):
    """A reading that came with a payment; it is not posted."""

    line = fields.Integer()
    account_text = fields.String()
    meter = fields.String()
    value = fields.String()


class PaymentFileSchema(Schema):
    """What became of a file: its total is what is taken, waits, was returned and was refused."""

    id = fields.Integer(allow_none=True)
    name = fields.String()
    format = fields.String()
    sender = fields.String()
    rows = fields.Integer()
    total = MoneyField()
    repeated = fields.Boolean(metadata={"description": "The same file was taken in before."})
    taken = fields.Nested(PaymentSumSchema)
    suspense = fields.Nested(PaymentSumSchema)
    returned = fields.Nested(PaymentSumSchema)
    refused = fields.List(fields.Nested(RefusedPaymentSchema))
    readings = fields.List(fields.Nested(BroughtReadingSchema))


class ListedFileSchema(Schema):
    """A file as a list shows it."""

    id = fields.Integer()
    name = fields.String()
    format = fields.String()
    sender = fields.String()
    rows = fields.Integer()
    total = MoneyField(attribute="total_minor")
    received_at = fields.AwareDateTime()
    done_at = fields.AwareDateTime(allow_none=True)


class MatchRequest(Schema):
    """The account that money is for."""

    account = fields.String(required=True, validate=validate.Length(1, 40))


class PaymentNoteRequest(Schema):
    """Why, for whoever reads it later."""

    note = fields.String(required=True, validate=validate.Length(1, 300))


class SplitQuery(Schema):
    """How much would be paid."""

    amount = MoneyField(required=True)


class SplitSchema(Schema):
    """What of a top-up goes where, and the bonus it would earn."""

    amount = MoneyField()
    new_debt = MoneyField()
    opening_debt = MoneyField()
    reserve = MoneyField()
    balance = MoneyField()
    bonus = MoneyField()


class PlaceOrderRequest(Schema):
    """A top-up to begin."""

    amount = MoneyField(required=True)
    reserve = fields.Integer(load_default=None, validate=validate.Range(1, ID_MAX))
    aside = MoneyField(
        load_default=0, metadata={"description": "Of it, what goes to the reserve at most."}
    )


class PaymentOrderSchema(Schema):
    """A top-up that was begun; money moves when its provider says so."""

    id = fields.String(metadata={"description": "What the provider is told."})
    amount = MoneyField()
    state = fields.Enum(OrderState, by_value=True)
    provider = fields.String()
    page = fields.String(metadata={"description": "Where to pay; empty for a page of ours."})
    created_at = fields.AwareDateTime()
    expires_at = fields.AwareDateTime()


def add_routes(api: Blueprint) -> None:
    """Add the routes of payments."""
    api.route("/payments", endpoint="payments")(
        api.arguments(PaymentQuery, location="query")(
            api.response(200, PaymentListSchema)(payments)
        )
    )
    api.route("/payments/trial", endpoint="payment_trial")(
        api.response(200, PaymentTrialSchema)(payment_trial)
    )
    one = "/payments/<int:payment_id>"
    api.route(one, endpoint="payment")(api.response(200, PaymentSchema)(payment))
    api.route(f"{one}/suggestions", endpoint="payment_suggestions")(
        api.response(200, AccountSuggestionSchema(many=True))(payment_suggestions)
    )
    api.route(f"{one}/match", methods=["POST"], endpoint="match_payment")(
        api.arguments(MatchRequest)(api.response(200, PaymentSchema)(match))
    )
    api.route(f"{one}/unmatch", methods=["POST"], endpoint="unmatch_payment")(
        api.arguments(PaymentNoteRequest)(api.response(200, PaymentSchema)(unmatch))
    )
    api.route(f"{one}/return", methods=["POST"], endpoint="return_payment")(
        api.arguments(PaymentNoteRequest)(api.response(200, PaymentSchema)(give_back))
    )
    api.route("/payment-files", endpoint="payment_files")(
        api.arguments(PageSchema, location="query")(
            api.response(200, ListedFileSchema(many=True))(payment_files)
        )
    )
    api.route("/payment-files", methods=["POST"], endpoint="send_payment_file")(
        api.arguments(PaymentFileQuery, location="query")(
            api.response(200, PaymentFileSchema)(api.doc(**BODY)(send_payment_file))
        )
    )
    api.route("/payment-files/<int:file_id>", endpoint="payment_file")(
        api.response(200, PaymentFileSchema)(payment_file)
    )
    api.route("/accounts/<number>/top-up-split", endpoint="top_up_split")(
        api.arguments(SplitQuery, location="query")(api.response(200, SplitSchema)(top_up_split))
    )
    api.route("/accounts/<number>/payment-orders", endpoint="payment_orders")(
        api.response(200, PaymentOrderSchema(many=True))(payment_orders)
    )
    place = "/accounts/<number>/payment-orders"
    api.route(place, methods=["POST"], endpoint="place_payment_order")(
        api.arguments(KeyHeader, location="headers")(
            api.arguments(PlaceOrderRequest)(
                api.response(201, PaymentOrderSchema)(place_payment_order)
            )
        )
    )


def payments(asked: dict[str, Any]) -> dict[str, Any]:
    """List the payments that came in, the latest first."""
    here = visit()
    wished = PaymentFilter(asked["state"], asked["source"], asked["file"], search=asked["search"])
    found, total = store.incoming(
        here.session, here.scope, wished, limit=asked["limit"], offset=asked["offset"]
    )
    return {"total": total, "items": _shown(here, found)}


def payment_trial() -> dict[str, Any]:
    """Show what came in, by how far it has come, beside the ledger's cash."""
    here = visit()
    sums = store.sums_by_state(here.session, here.scope)
    return {**_by_name(sums), "cash": store.cash_in_ledger(here.session)}


def payment(payment_id: int) -> dict[str, Any]:
    """Show one payment."""
    here = visit()
    return _shown(here, [_one(here, payment_id)])[0]


def payment_suggestions(payment_id: int) -> list[dict[str, Any]]:
    """List accounts that a payment may be for, the likeliest first."""
    here = visit()
    found = suggestions(here.session, here.scope, _one(here, payment_id))
    return [
        {
            "number": one.number,
            "payer_name": one.payer_name,
            "address": one.address,
            "reasons": [told(reason, here.language) for reason in one.reasons],
        }
        for one in found
    ]


def match(asked: dict[str, Any], payment_id: int) -> dict[str, Any]:
    """Put money in suspense on an account; the same again changes nothing."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    _one(here, payment_id)
    with here.writing() as session:
        match_payment(session, scope, payment_id, asked["account"], clock)
    return payment(payment_id)


def unmatch(asked: dict[str, Any], payment_id: int) -> dict[str, Any]:
    """Take a payment back from an account into suspense: the top-up is reversed."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    _one(here, payment_id)
    with here.writing() as session:
        unmatch_payment(session, scope, payment_id, asked["note"], clock)
    return payment(payment_id)


def give_back(asked: dict[str, Any], payment_id: int) -> dict[str, Any]:
    """Say that money in suspense was sent back to whoever paid."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    _one(here, payment_id)
    with here.writing() as session:
        return_payment(session, scope, payment_id, asked["note"], clock)
    return payment(payment_id)


def payment_files(asked: dict[str, Any]) -> list[store.StoredFile]:
    """List the files that were taken in, the latest first."""
    here = visit()
    return store.files(here.session, here.scope, asked["limit"], asked["offset"])


def send_payment_file(asked: dict[str, Any]) -> dict[str, Any]:
    """Take a bank's file in, or only check it; the same file again gives the first answer."""
    here = visit()
    order = FileOrder(asked["name"], request.get_data(), asked["sender"])
    rows, total = asked["control_rows"], asked["control_total"]
    control = None if rows is None or total is None else Control(rows, total)
    clock, scope, language = here.application.clock, here.scope, here.language
    if asked["check"]:
        seen = preview_payment_file(here.session, scope, order, clock, control)
        return {
            "id": seen.same_as.id if seen.same_as else None,
            "name": order.name,
            "format": seen.read.format,
            "sender": order.sender or seen.read.format,
            "rows": seen.read.rows,
            "total": seen.read.total_minor,
            "repeated": seen.same_as is not None,
            "taken": seen.taken,
            "suspense": seen.suspense,
            "returned": Sum(),
            "refused": [
                {
                    "line": row.line,
                    "problem": problem_text(row.problem, language),
                    "amount": row.amount_minor,
                }
                for row in seen.refused
            ],
            "readings": seen.read.readings,
        }
    here.end()
    outcome = import_payment_file(here.application.database, scope, order, clock, control=control)
    return _file(here, outcome)


def payment_file(file_id: int) -> dict[str, Any]:
    """Show what became of a file."""
    here = visit()
    if file_id > ID_MAX:
        raise NotFound(what=mark("payment file"), name=str(file_id))
    return _file(here, file_outcome(here.session, here.scope, file_id))


def top_up_split(asked: dict[str, Any], number: str) -> dict[str, Any]:
    """Show what of a top-up would go to debt, reserve and balance, and the bonus it would earn."""
    here = visit()
    _, account_id = account_of(here, number)
    shown = split_of(here.session, here.scope, account_id, asked["amount"], here.application.clock)
    parts = {str(part): minor for part, minor in shown.split.parts}
    return {"amount": asked["amount"], **parts, "bonus": shown.bonus_minor}


def payment_orders(number: str) -> list[dict[str, Any]]:
    """List the top-ups of an account that were begun, the latest first."""
    here = visit()
    _, account_id = account_of(here, number)
    found = store.orders(here.session, here.scope, account_id=account_id)
    return [_order(one, "") for one in found]


def place_payment_order(
    header: dict[str, Any], asked: dict[str, Any], number: str
) -> dict[str, Any]:
    """Begin a top-up; the answer says where it is paid."""
    here = visit()
    _, account_id = account_of(here, number)
    provider = paying_provider(here.application, here.session)
    if provider is None:
        raise NoProvider
    scope, clock = here.scope, here.application.clock
    wish = ReserveWish(max(0, asked["aside"]) if asked["reserve"] is not None else 0)
    key = f"api:{header['idempotency_key']}"
    wanted = OrderRequest(account_id, asked["amount"], key, wish, asked["reserve"])
    with here.writing() as session:
        row = place_order(session, scope, wanted, provider, clock)
    return _order(row, page_address(provider, row))


def _one(here: Visit, payment_id: int) -> Incoming:
    if payment_id > ID_MAX:
        raise NotFound(what=mark("payment"), name=str(payment_id))
    return store.incoming_by_id(here.session, here.scope, payment_id)


def _shown(here: Visit, found: "tuple[Incoming, ...] | list[Incoming]") -> list[dict[str, Any]]:
    ids = [one.account_id for one in found if one.account_id is not None]
    numbers = account_numbers(here.session, ids)
    return [
        {
            "id": one.id,
            "source": one.source,
            "sender": one.sender,
            "transaction": one.transaction_id,
            "file": one.file_id,
            "line": one.line,
            "account_text": one.account_text,
            "account": None if one.account_id is None else numbers[AccountId(one.account_id)],
            "amount": one.amount_minor,
            "tender": one.tender,
            "paid_at": one.paid_at,
            "payer": one.payer,
            "purpose": one.purpose,
            "state": one.state,
            "problem": told(one.problem, here.language) if one.problem else "",
            "note": one.note,
        }
        for one in found
    ]


def _file(here: Visit, outcome: FileOutcome) -> dict[str, Any]:
    file = outcome.file
    return {
        "id": file.id,
        "name": file.name,
        "format": file.format,
        "sender": file.sender,
        "rows": file.rows,
        "total": file.total_minor,
        "repeated": outcome.repeated,
        **_by_name(outcome.sums),
        "refused": [
            {
                "line": row.line,
                "problem": problem_text(row.problem, here.language),
                "amount": row.amount_minor,
            }
            for row in outcome.refused
        ],
        "readings": outcome.readings,
    }


def _by_name(sums: dict[PaymentState, Sum]) -> dict[str, Sum]:
    return {str(state): each for state, each in sums.items()}


def _order(row: PaymentOrderRow, page: str) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "amount": row.amount_minor,
        "state": row.state,
        "provider": row.provider,
        "page": page,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    }
