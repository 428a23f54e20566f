"""Reserves for other systems: offers, the calculator, signing, breaking, and what they cost."""

from collections.abc import Callable
from datetime import date
from typing import Any, Final

from flask import request
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, ValidationError, fields, validate

from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.text import mark
from kilokassa.web.api.accounts import KEY_HEADER, KEY_PATTERN
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.forms import MOST_MINOR, YEARS_SHOWN
from kilokassa.web.visit import account_of, visit
from wallet.reserves import service, store
from wallet.reserves.calculator import calculate
from wallet.reserves.documents import MOST_BYTES
from wallet.reserves.reserve import Cost, Working, project, workings
from wallet.reserves.service import Done, OfferCost
from wallet.reserves.signed import PublishedOffer, SignedReserve

PPM: Final = {"description": "Millionths a year: 120000 is 12 %.", "example": 120000}


def _known_day(value: date) -> None:
    if value.year not in YEARS_SHOWN:
        raise ValidationError("A day lies between 2000 and 2099.")


class ReserveKeySchema(Schema):
    """The key that makes a request count once."""

    idempotency_key = fields.String(
        required=True,
        data_key=KEY_HEADER,
        validate=validate.Regexp(KEY_PATTERN),
        metadata={"description": "Any 8 to 128 printable characters; the same one on each retry."},
    )


class DatedRateSchema(Schema):
    """A rate of the year from a day on."""

    valid_from = fields.Date(data_key="from")
    rate_ppm = fields.Integer(metadata=PPM)


class ReserveOfferSchema(Schema):
    """One version of an offer; a published version never changes."""

    offer = fields.String(metadata={"description": "Its code."})
    version = fields.Integer()
    name = fields.String()
    name_en = fields.String()
    offered_from = fields.Date()
    offered_until = fields.Date(
        allow_none=True, metadata={"description": "The first day on which nobody signs it."}
    )
    term_months = fields.Integer()
    rates = fields.List(fields.Nested(DatedRateSchema))
    rate_holds = fields.String()
    paid = fields.String(metadata={"description": "`monthly` or `at_end`."})
    day_count = fields.String()
    broken = fields.String(metadata={"description": "What the part keeps that is taken out early."})
    broken_rate_ppm = fields.Integer(metadata=PPM)
    least = MoneyField()
    most = MoneyField()
    takes_additions = fields.Boolean()
    bonus_expires_after_days = fields.Integer()
    digest = fields.String()


class OffersQuery(Schema):
    """Which offers."""

    all = fields.Boolean(
        load_default=False,
        metadata={"description": "Every version ever published, not what is signed today."},
    )


class OfferRequest(Schema):
    """A document to publish."""

    document = fields.String(
        required=True,
        validate=validate.Length(1, MOST_BYTES),
        metadata={"description": "YAML, as `docs/reference/reserve-offers.md` has it."},
    )


class OfferPublishedSchema(Schema):
    """What publishing did."""

    new = fields.Boolean(metadata={"description": "False: it was this document already."})
    offer = fields.Nested(ReserveOfferSchema)


class CalculationQuery(Schema):
    """What to reckon."""

    amount = MoneyField(required=True)
    on = fields.Date(
        load_default=None,
        validate=_known_day,
        metadata={"description": "The day of signing; today, without it."},
    )
    broken_on = fields.Date(
        load_default=None,
        validate=_known_day,
        metadata={"description": "Also what taking all of it out on this day would cost."},
    )


class ReserveStepSchema(Schema):
    """One step of a reserve with what is set aside after it and the bonus paid by then."""

    on = fields.Date()
    kind = fields.String()
    amount = MoneyField(attribute="amount_minor")
    kept = MoneyField(attribute="kept_minor")
    bonus = MoneyField(attribute="bonus_minor")


class BrokenSchema(Schema):
    """What taking everything out on a day would leave."""

    on = fields.Date()
    paid = MoneyField(attribute="paid_minor")
    clawed_back = MoneyField(attribute="clawed_back_minor")
    bonus = MoneyField(attribute="bonus_minor")
    lost = MoneyField(
        attribute="lost_minor", metadata={"description": "Less than kept to the end."}
    )


class WorkingSchema(Schema):
    """A row of the table behind a bonus: amount x rate x days / days of the year."""

    amount = MoneyField(attribute="amount_minor")
    start = fields.Date(data_key="from")
    end = fields.Date(data_key="until", metadata={"description": "The day after the last."})
    rate_ppm = fields.Integer(metadata=PPM)
    days = fields.Integer()
    year_days = fields.Integer()


class CalculationSchema(Schema):
    """A reserve that nobody has signed, to its end."""

    offer = fields.String()
    version = fields.Integer()
    signed_on = fields.Date()
    ends_on = fields.Date()
    bonus = MoneyField()
    steps = fields.List(fields.Nested(ReserveStepSchema))
    broken = fields.List(fields.Nested(BrokenSchema))
    workings = fields.List(fields.Nested(WorkingSchema))


class ReserveMovementSchema(Schema):
    """One movement, as posted."""

    number = fields.Integer()
    on = fields.Date()
    kind = fields.String()
    amount = MoneyField(attribute="amount_minor")
    entry = fields.Integer(
        attribute="entry_id",
        allow_none=True,
        metadata={"description": "Null: nothing was posted, it was waived or had expired."},
    )


class ReserveSchema(Schema):
    """A reserve, as posted."""

    reserve = fields.Integer(metadata={"description": "Its number."})
    offer = fields.String()
    version = fields.Integer()
    state = fields.String()
    signed_on = fields.Date()
    ends_on = fields.Date()
    kept = MoneyField()
    bonus = MoneyField(metadata={"description": "Paid less taken back."})
    next_pay_day = fields.Date(allow_none=True)
    movements = fields.List(fields.Nested(ReserveMovementSchema))


class OneReserveSchema(ReserveSchema):
    """A reserve with the table behind its bonus and what comes."""

    workings = fields.List(fields.Nested(WorkingSchema))
    coming = fields.List(fields.Nested(ReserveStepSchema))


class SignRequest(Schema):
    """Own money to set aside."""

    offer = fields.String(required=True, validate=validate.Length(1, 40))
    version = fields.Integer(
        load_default=None,
        validate=validate.Range(1, 10**6),
        metadata={"description": "The version that was shown; another one is then refused."},
    )
    amount = MoneyField(required=True)


class ReserveAmountRequest(Schema):
    """An amount to add or to take out."""

    amount = MoneyField(required=True)


class LossQuery(Schema):
    """How much would be taken out."""

    amount = MoneyField(required=True)


class ReserveDoneSchema(Schema):
    """What became of a request."""

    reserve = fields.Integer(attribute="reserve_id")
    entry = fields.Integer(attribute="entry_id")
    repeated = fields.Boolean()
    kept = MoneyField(attribute="kept_minor")
    bonus = MoneyField(attribute="bonus_minor")
    balance = MoneyField(attribute="balance_minor")
    clawed_back = MoneyField(attribute="clawed_back_minor")
    withheld = MoneyField(attribute="withheld_minor")


class LossSchema(Schema):
    """What taking money out today costs."""

    returning = MoneyField()
    paid = MoneyField(metadata={"description": "Bonus that is paid for it at once."})
    clawed_back = MoneyField(metadata={"description": "The four below it come to this."})
    from_bonus = MoneyField()
    expired = MoneyField()
    withheld = MoneyField()
    waived = MoneyField()


class CostQuery(Schema):
    """Which days: from the first up to, but not including, the last."""

    start = fields.Date(required=True, data_key="from", validate=_known_day)
    end = fields.Date(required=True, data_key="until", validate=_known_day)


class CostSchema(Schema):
    """What was set aside and what it cost."""

    average = MoneyField()
    bonus = MoneyField()
    credit = MoneyField(metadata={"description": "What the same money had cost on credit."})
    saved = MoneyField()


class OfferCostSchema(CostSchema):
    """The same of one offer."""

    offer = fields.String()
    reserves = fields.Integer()


class ReserveCostsSchema(Schema):
    """The report."""

    start = fields.Date(data_key="from")
    end = fields.Date(data_key="until")
    credit_known = fields.Boolean()
    total = fields.Nested(CostSchema)
    by_offer = fields.List(fields.Nested(OfferCostSchema))


class CreditRateRequest(Schema):
    """What credit costs from a day on."""

    valid_from = fields.Date(required=True, data_key="from", validate=_known_day)
    rate_ppm = fields.Integer(required=True, validate=validate.Range(0, 10**6), metadata=PPM)
    source = fields.String(load_default="", validate=validate.Length(max=200))


class CreditRateDoneSchema(Schema):
    """Whether anything changed."""

    changed = fields.Boolean()


def add_routes(api: Blueprint) -> None:
    """Add the routes of reserves."""
    offers = "/reserve-offers"
    api.route(offers, methods=["GET"], endpoint="reserve_offers")(
        api.arguments(OffersQuery, location="query")(
            api.response(200, ReserveOfferSchema(many=True))(reserve_offers)
        )
    )
    api.route(offers, methods=["POST"], endpoint="publish_reserve_offer")(
        api.arguments(OfferRequest)(api.response(200, OfferPublishedSchema)(publish_reserve_offer))
    )
    api.route(f"{offers}/<code>/calculation", methods=["GET"], endpoint="reserve_calculation")(
        api.arguments(CalculationQuery, location="query")(
            api.response(200, CalculationSchema)(reserve_calculation)
        )
    )
    path = "/accounts/<number>/reserves"
    api.route(path, methods=["GET"], endpoint="reserves")(
        api.response(200, ReserveSchema(many=True))(reserves)
    )
    api.route(path, methods=["POST"], endpoint="sign_reserve")(
        api.arguments(ReserveKeySchema, location="headers")(
            api.arguments(SignRequest)(api.response(201, ReserveDoneSchema)(sign_reserve))
        )
    )
    one = f"{path}/<int:reserve_id>"
    api.route(one, methods=["GET"], endpoint="reserve")(
        api.response(200, OneReserveSchema)(reserve)
    )
    for name, endpoint, view in (
        ("additions", "add_to_reserve", add_to_reserve),
        ("withdrawals", "take_out_of_reserve", take_out_of_reserve),
    ):
        api.route(f"{one}/{name}", methods=["POST"], endpoint=endpoint)(
            api.arguments(ReserveKeySchema, location="headers")(
                api.arguments(ReserveAmountRequest)(api.response(201, ReserveDoneSchema)(view))
            )
        )
    api.route(f"{one}/loss", methods=["GET"], endpoint="reserve_loss")(
        api.arguments(LossQuery, location="query")(api.response(200, LossSchema)(reserve_loss))
    )
    api.route("/reserve-costs", methods=["GET"], endpoint="reserve_costs")(
        api.arguments(CostQuery, location="query")(
            api.response(200, ReserveCostsSchema)(reserve_costs)
        )
    )
    api.route("/credit-rates", methods=["POST"], endpoint="state_credit_rate")(
        api.arguments(CreditRateRequest)(api.response(200, CreditRateDoneSchema)(state_credit_rate))
    )


def reserve_offers(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """List the offers that are signed today, or every version that was ever published."""
    here = visit()
    found = (
        store.offers(here.session) if asked["all"] else store.offers_on(here.session, here.today)
    )
    return [_offer(one) for one in found]


def publish_reserve_offer(asked: dict[str, Any]) -> dict[str, Any]:
    """Publish an offer; a changed document becomes the next version, the same changes nothing."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        order = service.OfferOrder(scope, asked["document"], mark("document"))
        done = service.publish_offer(session, order, clock)
    return {"new": done.new, "offer": _offer(done.offer)}


def reserve_calculation(asked: dict[str, Any], code: str) -> dict[str, Any]:
    """Reckon what an amount would earn, when it is paid, and what breaking it would cost."""
    here = visit()
    on = asked["on"] or here.today
    offer = store.offer_on(here.session, code, on)
    found = calculate(offer.offer, on, _amount(asked), broken_on=asked["broken_on"])
    return {
        "offer": offer.code,
        "version": offer.version,
        "signed_on": on,
        "ends_on": found.reserve.ends_on,
        "bonus": found.projection.bonus_minor,
        "steps": found.projection.steps,
        "broken": found.broken,
        "workings": found.workings,
    }


def reserves(number: str) -> list[dict[str, Any]]:
    """List the reserves of an account, the newest first."""
    here = visit()
    _, account_id = account_of(here, number)
    found = store.reserves_of(here.session, here.scope, account_id)
    return [_reserve(one, here.today) for one in found]


def reserve(number: str, reserve_id: int) -> dict[str, Any]:
    """Show one reserve with every movement, the table behind its bonus, and what comes."""
    here = visit()
    _, account_id = account_of(here, number)
    found = store.reserve_of(here.session, here.scope, account_id, reserve_id)
    until = min(here.today, found.ends_on)
    rows: tuple[Working, ...] = workings(found.reserve, until)
    later = max(here.today, found.last_on)
    life = project(found.reserve, found.ends_on) if found.kept_minor else None
    coming = [] if life is None else [step for step in life.steps if step.on > later]
    return _reserve(found, here.today) | {"workings": rows, "coming": coming}


def sign_reserve(header: dict[str, Any], asked: dict[str, Any], number: str) -> Done:
    """Set own money of an account aside under an offer, from today, once."""
    here = visit()
    _, account_id = account_of(here, number)
    order = service.SignOrder(
        account_id,
        asked["offer"],
        _amount(asked),
        here.zone,
        f"api:{header['idempotency_key']}",
        asked["version"],
    )
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return service.sign(session, scope, order, clock)


def add_to_reserve(
    header: dict[str, Any], asked: dict[str, Any], number: str, reserve_id: int
) -> Done:
    """Set more aside in a reserve, once."""
    return _move(service.add, header, asked, number, reserve_id)


def take_out_of_reserve(
    header: dict[str, Any], asked: dict[str, Any], number: str, reserve_id: int
) -> Done:
    """Take money out of a reserve before its end, once; ask for the loss first."""
    return _move(service.take_out, header, asked, number, reserve_id)


def reserve_loss(asked: dict[str, Any], number: str, reserve_id: int) -> dict[str, Any]:
    """Show what taking an amount out today would cost; nothing is changed."""
    here = visit()
    _, account_id = account_of(here, number)
    order = service.MoveOrder(account_id, _id(reserve_id), _amount(asked), here.zone, "")
    loss = service.loss_of(here.session, here.scope, order, here.application.clock)
    return {
        "returning": loss.returning_minor,
        "paid": loss.withdrawal.paid_minor,
        "clawed_back": loss.withdrawal.clawed_back_minor,
        "from_bonus": loss.shares.from_bonus_minor,
        "expired": loss.shares.expired_minor,
        "withheld": loss.shares.from_reserve_minor,
        "waived": loss.shares.waived_minor,
    }


def reserve_costs(asked: dict[str, Any]) -> dict[str, Any]:
    """Report what reserves cost in some days, and what the same money had cost on credit."""
    here = visit()
    if asked["start"] >= asked["end"]:
        raise Invalid(where="until", problem=mark("a period ends after it begins"))
    found = service.cost_report(here.session, here.scope, asked["start"], asked["end"])
    return {
        "start": found.start,
        "end": found.end,
        "credit_known": found.credit_known,
        "total": _cost(found.total),
        "by_offer": [_offer_cost(one) for one in found.by_offer],
    }


def state_credit_rate(asked: dict[str, Any]) -> dict[str, Any]:
    """State what the retailer's bank asks for credit from a day on."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        changed = service.state_credit_rate(
            session, scope, asked["valid_from"], asked["rate_ppm"], asked["source"], clock
        )
    return {"changed": changed}


def _move(
    what: Callable[..., Done],
    header: dict[str, Any],
    asked: dict[str, Any],
    number: str,
    reserve_id: int,
) -> Done:
    here = visit()
    _, account_id = account_of(here, number)
    key = f"api:{header['idempotency_key']}"
    order = service.MoveOrder(account_id, _id(reserve_id), _amount(asked), here.zone, key)
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        return what(session, scope, order, clock)


def _id(reserve_id: int) -> int:
    if not 0 < reserve_id <= store.ID_MAX:
        raise NotFound(what=mark("reserve"), name=str(reserve_id)[:20])
    return reserve_id


def _amount(asked: dict[str, Any]) -> int:
    amount_minor: int = asked["amount"]
    if not 0 < amount_minor <= MOST_MINOR:
        raise Invalid(
            where=mark("amount"),
            problem=mark("%(text)s is not more than zero and at most a million roubles"),
            text=str((request.get_json(silent=True) or request.args).get("amount"))[:40],
        )
    return amount_minor


def _offer(one: PublishedOffer) -> dict[str, Any]:
    offer = one.offer
    return {
        "offer": one.code,
        "version": one.version,
        "name": one.name,
        "name_en": one.name_en,
        "offered_from": offer.offered_from,
        "offered_until": offer.offered_until,
        "term_months": offer.term_months,
        "rates": offer.rates.rates,
        "rate_holds": offer.rate_holds,
        "paid": offer.paid_when,
        "day_count": offer.day_count,
        "broken": offer.break_rule,
        "broken_rate_ppm": offer.broken_rate_ppm,
        "least": offer.least_minor,
        "most": offer.most_minor,
        "takes_additions": offer.takes_additions,
        "bonus_expires_after_days": offer.bonus_expires_after_days,
        "digest": one.digest,
    }


def _reserve(one: SignedReserve, today: date) -> dict[str, Any]:
    return {
        "reserve": one.id,
        "offer": one.offer.code,
        "version": one.offer.version,
        "state": one.state,
        "signed_on": one.signed_on,
        "ends_on": one.ends_on,
        "kept": one.kept_minor,
        "bonus": one.bonus_minor,
        "next_pay_day": one.next_pay_day(today),
        "movements": one.posted,
    }


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "average": cost.average_minor,
        "bonus": cost.bonus_minor,
        "credit": cost.credit_minor,
        "saved": cost.saved_minor,
    }


def _offer_cost(one: OfferCost) -> dict[str, Any]:
    return {"offer": one.offer.code, "reserves": one.reserves} | _cost(one.cost)
