"""Debts for other systems: debtors, one account's debt and its late fees, flags, agreements."""

from datetime import date
from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.app.debt_views import Debtor, debt_view, debtors
from kilokassa.app.debts import (
    AgreementView,
    agreement_terms,
    agreement_views,
    end,
    set_flag,
    sign,
    take_flag_back,
)
from kilokassa.core.calendar import Month
from kilokassa.core.errors import NotFound
from kilokassa.core.scope import Right
from kilokassa.core.text import mark, told
from kilokassa.web.api.accounts import KeyHeader
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.visit import Visit, account_of, visit
from wallet.debts.agreements import GRACE_DAYS
from wallet.debts.flags import FlagKind, StatedFlag
from wallet.debts.instalments import MOST_MONTHS, Standing
from wallet.debts.service import MOST_GRACE_DAYS, SignOrder
from wallet.debts.service_state import Action, ServiceState
from wallet.debts.store import DecisionView

INT_MAX = 2**31 - 1


class HeldSchema(Schema):
    """A guard that holds the next step back."""

    guard = fields.String()
    known = fields.Boolean(
        metadata={"description": "False where it holds because a fact is not known."}
    )
    until = fields.DateTime(allow_none=True)
    reason = fields.String(metadata={"description": "A sentence in the language asked for."})


class ServiceDecisionSchema(Schema):
    """How a service of an account stands, and why."""

    service = fields.String()
    state = fields.Enum(ServiceState, by_value=True)
    action = fields.Enum(
        Action, by_value=True, metadata={"description": "What is due; nothing sends a command yet."}
    )
    debt = MoneyField(allow_none=True)
    guard_set = fields.String()
    held_by = fields.List(fields.Nested(HeldSchema))
    decided_at = fields.DateTime()
    next_at = fields.DateTime(allow_none=True)
    restore_by = fields.DateTime(allow_none=True)


class DebtorQuery(Schema):
    """Which debtors."""

    state = fields.Enum(ServiceState, by_value=True, load_default=None)
    building = fields.String(load_default="", validate=validate.Length(max=100))


class DebtorSchema(Schema):
    """A service of an account that does not stand as normal."""

    account = fields.String()
    payer = fields.String()
    building = fields.String()
    premises = fields.String()
    debt = MoneyField(metadata={"description": "What is overdue by now."})
    overdue_since = fields.Date(allow_none=True)
    days_overdue = fields.Integer(allow_none=True)
    decision = fields.Nested(ServiceDecisionSchema)


class ServiceDebtSchema(Schema):
    """What is owed for one service."""

    service = fields.String()
    overdue = MoneyField(attribute="overdue_minor")
    overdue_since = fields.Date(allow_none=True)
    not_due = MoneyField(attribute="not_due_minor")
    norm_month = MoneyField(attribute="norm_month_minor", allow_none=True)


class FeeRowSchema(Schema):
    """Days of a delay that cost alike; both ends are counted."""

    first = fields.Date(attribute="first_day")
    last = fields.Date(attribute="last_day")
    days = fields.Integer()
    debt = MoneyField(attribute="debt_minor")
    rate_bp = fields.Integer(metadata={"description": "Hundredths of a per cent a year."})
    divisor = fields.Integer(
        metadata={"description": "A day costs debt x rate / divisor; 0: nothing."}
    )
    reason = fields.String(metadata={"description": "Why the days cost nothing."})


class LateFeeSchema(Schema):
    """The late fee of one bill with the table behind it."""

    month = fields.String()
    service = fields.String()
    due_on = fields.Date()
    amount = MoneyField()
    charged = MoneyField(metadata={"description": "What of it was charged so far."})
    counted_until = fields.Date()
    rows = fields.List(fields.Nested(FeeRowSchema))
    warnings = fields.List(fields.String())


class DebtSchema(Schema):
    """All that is owed, and what stands behind it."""

    overdue = MoneyField()
    opening = MoneyField()
    fees = MoneyField()
    paid_ahead = MoneyField()
    services = fields.List(fields.Nested(ServiceDebtSchema))
    decisions = fields.List(
        fields.Nested(ServiceDecisionSchema), metadata={"description": "Latest first."}
    )
    late_fees = fields.List(fields.Nested(LateFeeSchema))
    warnings = fields.List(fields.String())


class FlagSchema(Schema):
    """A flag of an account as it was stated."""

    id = fields.Integer()
    kind = fields.Enum(FlagKind, by_value=True)
    valid_from = fields.Date(data_key="from")
    value = fields.String(
        metadata={"description": "yes, no, a guard set, kopecks or hundredths of a per cent."}
    )
    document = fields.String()
    actor = fields.String()
    recorded_at = fields.DateTime()
    superseded_at = fields.DateTime(allow_none=True)
    stands = fields.Boolean()


class FlagRequest(Schema):
    """A flag to state, as a person writes it."""

    kind = fields.Enum(FlagKind, by_value=True, required=True)
    value = fields.String(
        required=True,
        validate=validate.Length(1, 40),
        metadata={"description": "yes, no, the code of a guard set, roubles or per cent."},
    )
    since = fields.Date(required=True, data_key="from")
    document = fields.String(load_default="", validate=validate.Length(max=200))


class FlagAnswer(Schema):
    """Whether it changed anything."""

    changed = fields.Boolean()


class InstalmentSchema(Schema):
    """One part of a debt and what it bears."""

    number = fields.Integer()
    due_on = fields.Date()
    principal = MoneyField(attribute="principal_minor")
    interest = MoneyField(attribute="interest_minor")
    amount = MoneyField(attribute="amount_minor")
    left = MoneyField(attribute="left_minor")


class AgreementSchema(Schema):
    """An instalment agreement and how it stands."""

    id = fields.Integer()
    debt = MoneyField()
    agreed_on = fields.Date()
    rate_bp = fields.Integer()
    grace_days = fields.Integer()
    document = fields.String()
    standing = fields.Enum(Standing, by_value=True)
    stands = fields.Boolean()
    paid = MoneyField()
    overdue = MoneyField()
    ended_on = fields.Date(allow_none=True)
    ended_why = fields.String()
    schedule = fields.List(fields.Nested(InstalmentSchema))


class AgreementRequest(Schema):
    """Terms of an agreement on what is owed today, or on a part of it."""

    months = fields.Integer(required=True, strict=True, validate=validate.Range(1, MOST_MONTHS))
    first_due_on = fields.Date(required=True)
    rate_bp = fields.Integer(load_default=0, strict=True, validate=validate.Range(0, 10_000))
    grace_days = fields.Integer(
        load_default=GRACE_DAYS, strict=True, validate=validate.Range(0, MOST_GRACE_DAYS)
    )
    debt = MoneyField(load_default=None, allow_none=True, validate=validate.Range(min=1))
    document = fields.String(load_default="", validate=validate.Length(max=200))


class AgreementEnding(Schema):
    """Why an agreement ends."""

    why = fields.String(required=True, validate=validate.Length(1, 200))


def add_routes(api: Blueprint) -> None:
    """Add the routes of debts."""
    api.route("/debtors", methods=["GET"], endpoint="debtors")(
        api.arguments(DebtorQuery, location="query")(
            api.response(200, DebtorSchema(many=True))(list_debtors)
        )
    )
    path = "/accounts/<number>"
    api.route(f"{path}/debt", methods=["GET"], endpoint="debt")(api.response(200, DebtSchema)(debt))
    api.route(f"{path}/flags", methods=["GET"], endpoint="flags")(
        api.response(200, FlagSchema(many=True))(flags)
    )
    api.route(f"{path}/flags", methods=["POST"], endpoint="state_flag")(
        api.arguments(FlagRequest)(api.response(200, FlagAnswer)(state_flag))
    )
    api.route(f"{path}/flags/<int:flag_id>", methods=["DELETE"], endpoint="withdraw_flag")(
        api.response(200, FlagAnswer)(withdraw_flag)
    )
    api.route(f"{path}/agreements", methods=["GET"], endpoint="agreements")(
        api.response(200, AgreementSchema(many=True))(agreements)
    )
    api.route(f"{path}/agreements", methods=["POST"], endpoint="sign_agreement")(
        api.arguments(KeyHeader, location="headers")(
            api.arguments(AgreementRequest)(api.response(201, AgreementSchema)(sign_agreement))
        )
    )
    api.route(
        f"{path}/agreements/<int:agreement_id>/end", methods=["POST"], endpoint="end_agreement"
    )(api.arguments(AgreementEnding)(api.response(200, FlagAnswer)(end_agreement)))


def list_debtors(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """List the services in reach that do not stand as normal, the harshest state first."""
    here = visit()
    found = debtors(
        here.session,
        here.scope,
        here.application.clock,
        state=asked["state"],
        building_code=asked["building"],
    )
    return [_debtor(here, one) for one in found]


def debt(number: str) -> dict[str, Any]:
    """Tell what an account owes, how its services stand and stood, and each late fee's table."""
    here = visit()
    _, account_id = account_of(here, number)
    view = debt_view(here.application, here.session, here.scope, account_id)
    return {
        "overdue": view.overdue_minor,
        "opening": view.opening_minor,
        "fees": view.fees_minor,
        "paid_ahead": view.ahead_minor,
        "services": view.services,
        "decisions": [_decision(here, one) for one in view.history],
        "late_fees": [
            {
                "month": str(Month.from_ordinal(one.settled.bill.charge_month)),
                "service": one.settled.bill.service,
                "due_on": one.settled.bill.due_on,
                "amount": one.fee.amount_minor,
                "charged": one.charged_minor,
                "counted_until": one.until,
                "rows": one.fee.rows,
                "warnings": [told(text, here.language) for text in one.warnings],
            }
            for one in view.computed
        ],
        "warnings": [told(text, here.language) for text in view.warnings],
    }


def flags(number: str) -> list[StatedFlag]:
    """List all that was ever stated of what protects an account and of its contract."""
    here = visit()
    _, account_id = account_of(here, number)
    return list(debt_view(here.application, here.session, here.scope, account_id).statements)


def state_flag(asked: dict[str, Any], number: str) -> dict[str, bool]:
    """State a flag from a day on, and judge the services anew; the same again changes nothing."""
    here = visit()
    here.scope.demand(Right.MANAGE_ACCOUNTS)
    _, account_id = account_of(here, number)
    with here.writing() as session:
        changed = set_flag(
            session,
            here.scope,
            account_id,
            asked["kind"],
            asked["value"],
            since=asked["since"],
            document=asked["document"],
            clock=here.application.clock,
        )
    return {"changed": changed}


def withdraw_flag(number: str, flag_id: int) -> dict[str, bool]:
    """Take a flag back; what stood before it holds again, and both stay readable."""
    here = visit()
    _, account_id = account_of(here, number)
    if flag_id > INT_MAX:
        raise NotFound(what=mark("flag"), name=str(flag_id)[:40])
    with here.writing() as session:
        changed = take_flag_back(session, here.scope, account_id, flag_id, here.application.clock)
    return {"changed": changed}


def agreements(number: str) -> list[dict[str, Any]]:
    """List the instalment agreements of an account with how they stand today, latest first."""
    here = visit()
    _, account_id = account_of(here, number)
    return [
        _agreement(one)
        for one in agreement_views(here.session, here.scope, here.application.clock, account_id)
    ]


def sign_agreement(headers: dict[str, str], asked: dict[str, Any], number: str) -> dict[str, Any]:
    """Sign an agreement on what is owed today; the same key and terms give the first answer."""
    here = visit()
    here.scope.demand(Right.MANAGE_WALLETS)
    _, account_id = account_of(here, number)
    clock = here.application.clock
    first: date = asked["first_due_on"]
    with here.writing() as session:
        terms = agreement_terms(
            session,
            account_id,
            months=asked["months"],
            first_due_on=first,
            rate_bp=asked["rate_bp"],
            clock=clock,
            grace_days=asked["grace_days"],
            debt_minor=asked["debt"],
        )
        order = SignOrder(account_id, terms, asked["document"], headers["idempotency_key"])
        signed = sign(session, here.scope, order, clock)
    views = agreement_views(here.session, here.scope, clock, account_id)
    return next(_agreement(one) for one in views if one.agreement.id == signed.id)


def end_agreement(asked: dict[str, str], number: str, agreement_id: int) -> dict[str, bool]:
    """End an agreement today, and say why; one that was ended before stays as it was."""
    here = visit()
    _, account_id = account_of(here, number)
    if agreement_id > INT_MAX:
        raise NotFound(what=mark("agreement"), name=str(agreement_id)[:40])
    with here.writing() as session:
        changed = end(
            session, here.scope, account_id, agreement_id, asked["why"], here.application.clock
        )
    return {"changed": changed}


def _debtor(here: Visit, one: Debtor) -> dict[str, Any]:
    return {
        "account": one.number,
        "payer": one.payer_name,
        "building": one.building_code,
        "premises": one.premises,
        "overdue_since": one.overdue_since,
        "days_overdue": one.days,
        "debt": one.debt_minor,
        "decision": _decision(here, one.decision),
    }


def _decision(here: Visit, one: DecisionView) -> dict[str, Any]:
    return {
        "service": one.service,
        "state": one.state,
        "action": one.action,
        "debt": one.debt_minor,
        "guard_set": one.guard_set,
        "held_by": [
            {
                "guard": str(held.guard),
                "known": held.known,
                "until": held.until,
                "reason": told(held.reason, here.language),
            }
            for held in one.held_by
        ],
        "decided_at": one.decided_at,
        "next_at": one.next_at,
        "restore_by": one.restore_by,
    }


def _agreement(one: AgreementView) -> dict[str, Any]:
    agreement, terms = one.agreement, one.agreement.terms
    return {
        "id": agreement.id,
        "debt": terms.debt_minor,
        "agreed_on": terms.agreed_on,
        "rate_bp": terms.rate_bp,
        "grace_days": terms.grace_days,
        "document": agreement.document,
        "standing": one.state.standing,
        "stands": one.stands,
        "paid": one.state.paid_minor,
        "overdue": one.state.overdue_minor,
        "ended_on": agreement.ended_on,
        "ended_why": agreement.ended_why,
        "schedule": one.schedule,
    }
