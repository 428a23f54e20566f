"""The balance of a house and its suspects; energy in whole watt-hours, shares in millionths."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields

from kilokassa.core.calendar import Month
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit
from metering.balance.service import (
    HouseQuery,
    SuspectFlat,
    house_balance,
    house_suspects,
)


class MonthQuery(Schema):
    """Which month is asked for."""

    month = fields.String(
        load_default=None,
        metadata={
            "description": "Such as 2026-10; without it, the last that is over.",
            "example": "2026-10",
        },
    )


class TotalsSchema(Schema):
    """Whole watt-hours: input = flats + common areas + losses + remainder."""

    input_wh = fields.Integer()
    flats_wh = fields.Integer()
    common_wh = fields.Integer()
    losses_wh = fields.Integer()
    remainder_wh = fields.Integer()
    remainder_ppm = fields.Integer(
        allow_none=True, metadata={"description": "Of the input, in millionths."}
    )


class DaySchema(Schema):
    """A local day: the sum of its complete intervals."""

    day = fields.Date()
    totals = fields.Nested(TotalsSchema)
    intervals = fields.Integer()
    incomplete = fields.Integer()


class HouseBalanceSchema(Schema):
    """The balance of a house in a month."""

    building = fields.String()
    month = fields.String()
    totals = fields.Nested(TotalsSchema, allow_none=True)
    intervals = fields.Integer()
    incomplete = fields.Integer(
        metadata={"description": "Intervals without a balance: a value is missing."}
    )
    estimated = fields.Integer(
        metadata={"description": "Intervals with a balance that stand on estimated values."}
    )
    by_registers = fields.Integer(
        metadata={"description": "Points that take part in the month by their registers."}
    )
    extended = fields.Integer(
        metadata={"description": "Those of them whose last reading is carried on."}
    )
    unread = fields.List(
        fields.String(),
        metadata={"description": "Points without readings; they are part of the remainder."},
    )
    days = fields.List(fields.Nested(DaySchema))


class PartSchema(Schema):
    """One piece of evidence."""

    kind = fields.String()
    points = fields.Integer(metadata={"description": "Decibans: 10 is ten times likelier."})
    text = fields.String()


class SuspectSchema(Schema):
    """A flat with what speaks for and against it."""

    rank = fields.Integer()
    point = fields.String()
    premises = fields.String()
    points = fields.Integer()
    since = fields.Date(
        allow_none=True, metadata={"description": "Null: as long as the window reaches."}
    )
    hidden_ppm = fields.Integer()
    suspected_wh_month = fields.Integer()
    parts = fields.List(fields.Nested(PartSchema))


class HouseSuspectsSchema(Schema):
    """The flats of a house, the most suspect first."""

    building = fields.String()
    first = fields.Date()
    last = fields.Date()
    days_compared = fields.Integer()
    enough = fields.Boolean()
    left_out = fields.List(fields.String())
    suspects = fields.List(fields.Nested(SuspectSchema))


def add_routes(api: Blueprint) -> None:
    """Add the routes of the house balance."""
    api.route("/buildings/<code>/balance", endpoint="house_balance")(
        api.arguments(MonthQuery, location="query")(api.response(200, HouseBalanceSchema)(balance))
    )
    api.route("/buildings/<code>/suspects", endpoint="house_suspects")(
        api.arguments(MonthQuery, location="query")(
            api.response(200, HouseSuspectsSchema)(suspects)
        )
    )


def balance(asked: dict[str, Any], code: str) -> dict[str, Any]:
    """Show the balance of a house, of the month and of each of its days."""
    here = visit()
    month = _month(here, asked)
    query = HouseQuery(here.scope, code, month)
    found = house_balance(here.session, query, here.application.clock)
    return {
        "building": found.house.code,
        "month": str(month),
        "totals": found.balance.totals,
        "intervals": found.balance.intervals,
        "incomplete": found.balance.incomplete,
        "estimated": found.estimated,
        "by_registers": found.balance.by_registers,
        "extended": found.balance.extended,
        "unread": list(found.balance.unread),
        "days": found.days,
    }


def suspects(asked: dict[str, Any], code: str) -> dict[str, Any]:
    """Rank the flats of a house by the evidence that their meters show too little."""
    here = visit()
    query = HouseQuery(here.scope, code, _month(here, asked))
    found = house_suspects(here.session, query, here.application.clock)
    return {
        "building": found.house.code,
        "first": found.first,
        "last": found.last,
        "days_compared": found.days_compared,
        "enough": found.enough,
        "left_out": list(found.left_out),
        "suspects": [suspect_json(rank, one) for rank, one in enumerate(found.ranked, start=1)],
    }


def suspect_json(rank: int, one: SuspectFlat) -> dict[str, Any]:
    """Return a suspect as a program reads it."""
    return {
        "rank": rank,
        "point": one.point.code,
        "premises": one.point.premises_number,
        "points": one.suspect.points,
        "since": one.suspect.since,
        "hidden_ppm": one.suspect.hidden_ppm,
        "suspected_wh_month": one.suspect.suspected_wh_month,
        "parts": [
            {"kind": str(part.kind), "points": part.points, "text": part.sentence(translate)}
            for part in one.suspect.parts
        ],
    }


def _month(here: Visit, asked: dict[str, Any]) -> Month:
    if asked["month"] is None:
        return Month.of(here.today).plus(-1)
    return Month.parse(asked["month"])
