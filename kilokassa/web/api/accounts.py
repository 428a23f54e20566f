"""Accounts, their balances, operations, charge lines and documents; taking a payment."""

from typing import Any, Final

from flask import Response, request
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, ValidationError, fields, validate

from billing import store as billing_store
from billing.charges import used_estimates
from billing.models import ChargeLineRow, Settlement
from invoices.numbering import DocumentKind
from kilokassa.app.cash_desk import take_at_desk
from kilokassa.app.payments import TENDERS, Payment
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.errors import DomainError, Invalid, NotFound
from kilokassa.core.money import rate_from_scaled
from kilokassa.core.text import mark
from kilokassa.web import queries
from kilokassa.web.api.base import PageSchema
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.balance import BalanceView, balance_view
from kilokassa.web.forms import MOST_MINOR
from kilokassa.web.pdf import pdf_answer
from kilokassa.web.visit import Visit, account_of, visit
from metering.estimation.methods import EstimationMethod
from wallet import store as wallet_store
from wallet.store import Entry

KEY_HEADER: Final = "Idempotency-Key"
KEY_PATTERN: Final = r"[\x21-\x7e]{8,128}\Z"


def month_field(text: str) -> None:
    """Refuse what is not a month."""
    try:
        Month.parse(text)
    except DomainError as error:
        raise ValidationError("A month is written as 2026-10.") from error


class AccountQuery(PageSchema):
    """What a list of accounts is narrowed to."""

    search = fields.String(load_default="", validate=validate.Length(max=100))
    building = fields.String(load_default="")
    plan = fields.String(load_default="")
    settlement = fields.Enum(Settlement, by_value=True, load_default=None)
    owing = fields.Enum(queries.Owing, by_value=True, load_default=queries.Owing.ALL)
    sort = fields.String(
        load_default="number", validate=validate.OneOf(sorted(queries.ACCOUNT_SORTS))
    )
    descending = fields.Boolean(load_default=False)


class AccountSchema(Schema):
    """An account as a list shows it."""

    number = fields.String()
    payer_name = fields.String()
    address = fields.String()
    premises_number = fields.String()
    plan_code = fields.String()
    settlement = fields.String()
    measurement = fields.String()
    balance = MoneyField(attribute="balance_minor")
    debt = MoneyField(attribute="debt_minor")


class AccountListSchema(Schema):
    """A page of accounts."""

    total = fields.Integer()
    items = fields.List(fields.Nested(AccountSchema))


class BalanceSchema(Schema):
    """A balance is never one number; always posted, held, rated, available in this order."""

    posted = MoneyField()
    held = MoneyField()
    rated = MoneyField(metadata={"description": "Used since, not posted yet."})
    estimated = MoneyField(
        metadata={"description": "Likely used since the last instant that was measured."}
    )
    available = MoneyField()
    bonus = MoneyField()
    debt = MoneyField()
    known_until = fields.AwareDateTime(allow_none=True)
    runway_days = fields.Integer(allow_none=True)
    runway_until = fields.Date(
        allow_none=True, metadata={"description": "The first day that is not covered wholly."}
    )
    runway_until_at = fields.AwareDateTime(
        allow_none=True,
        metadata={"description": "The hour at which it ends, where it is near enough to name one."},
    )


class EntryQuery(Schema):
    """Which operations are asked for; the oldest of a page leads to the next."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 500))
    before_sequence = fields.Integer(load_default=None, validate=validate.Range(1))


class EntrySchema(Schema):
    """An operation of a wallet."""

    sequence = fields.Integer()
    reason = fields.String()
    amount = MoneyField(attribute="amount_minor")
    balance_after = MoneyField()
    valid_at = fields.AwareDateTime()
    recorded_at = fields.AwareDateTime()
    charge_month = fields.Function(
        lambda entry: None if entry.charge_month is None else _month(entry.charge_month),
        metadata={"type": ["string", "null"]},
    )


class LineQuery(Schema):
    """Lines of one document month, or all."""

    month = fields.String(load_default=None, validate=month_field)


class UsedEstimateSchema(Schema):
    """A method by which a part of a line came about."""

    method = fields.Enum(EstimationMethod, by_value=True)
    months = fields.Integer(metadata={"description": "Of an average: over how many months."})
    article = fields.String(metadata={"description": "Of the rules that call for it."})
    certain = fields.Boolean(metadata={"description": "Whether the rule was read in the law."})


class ChargeLineSchema(Schema):
    """Quantity x rate = amount, rounded once."""

    id = fields.Integer(metadata={"description": "What `/lines/{id}/explanation` explains."})
    charge_month = fields.String()
    document_month = fields.String()
    service = fields.String()
    kind = fields.String()
    line_key = fields.String()
    quantity = fields.Integer(metadata={"description": "Whole Wh, or kcal of heat."})
    rate = fields.String(metadata={"description": "Roubles per kWh or Gcal, VAT included."})
    amount = MoneyField()
    estimated = fields.Integer()
    estimated_by = fields.List(
        fields.Nested(UsedEstimateSchema),
        metadata={"description": "By which methods the estimated part came about."},
    )
    period_start = fields.AwareDateTime()
    period_end = fields.AwareDateTime()


class DocumentQuery(PageSchema):
    """What a list of documents is narrowed to."""

    kind = fields.Enum(DocumentKind, by_value=True, load_default=None)
    month = fields.String(load_default=None, validate=month_field)


class DocumentSchema(Schema):
    """A document without what it says."""

    number = fields.String()
    kind = fields.String()
    account_number = fields.String()
    month = fields.Function(
        lambda one: None if one.month is None else str(one.month),
        metadata={"type": ["string", "null"]},
    )
    issued_on = fields.Date()
    issued_at = fields.AwareDateTime()
    cancelled_by = fields.String()


class DocumentListSchema(Schema):
    """A page of documents."""

    total = fields.Integer()
    items = fields.List(fields.Nested(DocumentSchema))


class TopUpRequest(Schema):
    """Money that came in."""

    amount = MoneyField(required=True)
    tender = fields.String(required=True, validate=validate.OneOf(sorted(TENDERS)))
    reference = fields.String(load_default="", validate=validate.Length(max=80))


class KeyHeader(Schema):
    """The header that makes a request count once."""

    idempotency_key = fields.String(
        data_key=KEY_HEADER, required=True, validate=validate.Regexp(KEY_PATTERN)
    )


class TopUpAnswer(Schema):
    """What became of the money; the same answer to the same key."""

    repeated = fields.Boolean()
    amount = MoneyField()
    covered_debt = MoneyField()
    bonus = MoneyField()
    balance = MoneyField()
    receipt = fields.String()


def add_routes(api: Blueprint) -> None:
    """Add the routes of accounts."""
    api.route("/accounts")(
        api.arguments(AccountQuery, location="query")(
            api.response(200, AccountListSchema)(accounts)
        )
    )
    api.route("/accounts/<number>")(api.response(200, AccountSchema)(account))
    api.route("/accounts/<number>/balance")(api.response(200, BalanceSchema)(balance))
    api.route("/accounts/<number>/entries")(
        api.arguments(EntryQuery, location="query")(
            api.response(200, EntrySchema(many=True))(entries)
        )
    )
    api.route("/accounts/<number>/charge-lines")(
        api.arguments(LineQuery, location="query")(
            api.response(200, ChargeLineSchema(many=True))(charge_lines)
        )
    )
    api.route("/accounts/<number>/documents")(
        api.arguments(DocumentQuery, location="query")(
            api.response(200, DocumentListSchema)(documents)
        )
    )
    api.route("/accounts/<number>/top-ups", methods=["POST"])(
        api.arguments(KeyHeader, location="headers")(
            api.arguments(TopUpRequest)(api.response(201, TopUpAnswer)(top_up))
        )
    )
    api.route("/documents/<number>")(api.response(200, DocumentSchema)(document))
    api.route("/documents/<number>/pdf")(
        api.response(200, content_type="application/pdf")(document_pdf)
    )


def accounts(asked: dict[str, Any]) -> dict[str, Any]:
    """List the accounts in reach."""
    here = visit()
    wished = queries.AccountFilter(
        search=asked["search"],
        building=asked["building"],
        plan=asked["plan"],
        settlement=asked["settlement"],
        owing=asked["owing"],
    )
    items, total = queries.list_accounts(
        here.session,
        here.scope,
        wished,
        on=here.today,
        sort=asked["sort"],
        descending=asked["descending"],
        limit=asked["limit"],
        offset=asked["offset"],
    )
    return {"total": total, "items": items}


def account(number: str) -> queries.ListedAccount:
    """Show one account."""
    here = visit()
    _, account_id = account_of(here, number)
    found = queries.listed_account(here.session, here.scope, account_id, on=here.today)
    if found is None:
        raise NotFound(what=mark("account"), name=number)
    return found


def balance(number: str) -> dict[str, Any]:
    """Show the balance, how long it lasts, and until when it was measured."""
    here = visit()
    _, account_id = account_of(here, number)
    return _balance(here, balance_view(here, account_id))


def _balance(here: Visit, view: BalanceView) -> dict[str, Any]:
    lasting = view.runway
    return {
        "posted": view.balance.posted_minor,
        "held": view.balance.held_minor,
        "rated": view.balance.rated_minor,
        "estimated": view.balance.estimated_minor,
        "available": view.available_minor,
        "bonus": view.balance.bonus_minor,
        "debt": view.debt_minor,
        "known_until": view.known_until,
        "runway_days": None if lasting is None else lasting.days,
        "runway_until": None if lasting is None else local_date(lasting.until, here.zone),
        "runway_until_at": lasting.until if lasting is not None and lasting.to_the_hour else None,
    }


def entries(asked: dict[str, Any], number: str) -> list[Entry]:
    """List the operations of the wallet, the latest first."""
    here = visit()
    _, account_id = account_of(here, number)
    found = wallet_store.entries_of(
        here.session,
        here.scope,
        account_id,
        limit=asked["limit"],
        before_sequence=asked["before_sequence"],
    )
    return list(found)  # a tuple would be taken for body, status and headers


def charge_lines(asked: dict[str, Any], number: str) -> list[dict[str, Any]]:
    """List charge lines, the latest month first."""
    here = visit()
    _, account_id = account_of(here, number)
    month = Month.parse(asked["month"]) if asked["month"] else None
    lines = billing_store.charge_lines_of(here.session, here.scope, account_id, month)
    return [_line(line) for line in lines]


def _line(line: ChargeLineRow) -> dict[str, Any]:
    return {
        "id": line.id,
        "charge_month": _month(line.charge_month),
        "document_month": _month(line.document_month),
        "service": str(line.service),
        "kind": str(line.kind),
        "line_key": line.line_key,
        "quantity": line.quantity,
        "rate": str(rate_from_scaled(line.rate_scaled)),
        "amount": line.amount_minor,
        "estimated": line.estimated,
        "estimated_by": used_estimates(line.detail) if line.estimated else (),
        "period_start": line.period_start,
        "period_end": line.period_end,
    }


def documents(asked: dict[str, Any], number: str) -> dict[str, Any]:
    """List the documents of an account, the latest first."""
    here = visit()
    _, account_id = account_of(here, number)
    items, total = queries.list_documents(
        here.session,
        here.scope,
        account_id=account_id,
        kind=asked["kind"],
        month=Month.parse(asked["month"]) if asked["month"] else None,
        limit=asked["limit"],
        offset=asked["offset"],
    )
    return {"total": total, "items": items}


def document(number: str) -> queries.ListedDocument:
    """Show one document."""
    here = visit()
    found = queries.listed_document(here.session, here.scope, number)
    if found is None:
        raise NotFound(what=mark("document"), name=number)
    return found


def document_pdf(number: str) -> Response:
    """Return the PDF of a document."""
    return pdf_answer(visit(), number)


def top_up(header: dict[str, Any], asked: dict[str, Any], number: str) -> dict[str, Any]:
    """Take a payment once: cover what is owed, keep the rest, issue a receipt."""
    here = visit()
    _, account_id = account_of(here, number)
    if not 0 < asked["amount"] <= MOST_MINOR:
        raise Invalid(
            where=mark("amount"),
            problem=mark("%(text)s is not more than zero and at most a million roubles"),
            text=request.get_json()["amount"],
        )
    payment = Payment(
        account_id=account_id,
        amount_minor=asked["amount"],
        tender=asked["tender"],
        paid_at=here.now,
        idempotency_key=f"api:{header['idempotency_key']}",
        reference=asked["reference"],
    )
    scope = here.scope
    with here.writing() as session:
        taken = take_at_desk(session, scope, payment, here.application.clock)
    return {
        "repeated": taken.result.repeated,
        "amount": taken.result.amount_minor,
        "covered_debt": taken.result.covered_debt_minor,
        "bonus": taken.result.bonus_minor,
        "balance": taken.result.balance_minor,
        "receipt": taken.receipt.number,
    }


def _month(ordinal: int) -> str:
    return str(Month.from_ordinal(ordinal))
