"""Readings by hand for other systems: an account's registers, and walk-rounds line by line."""

from typing import Any

from flask import request
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from kilokassa.web.api.accounts import KeyHeader
from kilokassa.web.api.base import PageSchema
from kilokassa.web.api.fields import known_time
from kilokassa.web.by_hand import judgement_text
from kilokassa.web.visit import account_of, visit
from metering.by_hand import store as store
from metering.by_hand.photos import SENT_BYTES_MAX, remade
from metering.by_hand.readings import (
    ConfirmationNeeded,
    ReadingsRefused,
    Remark,
    Verdict,
    parse_reading,
    shown,
    window_state,
)
from metering.by_hand.service import (
    GivenReading,
    HandResult,
    OpenRoundOrder,
    RoundOutcomeOrder,
    RoundPhotoOrder,
    RoundReadingsOrder,
    SheetRow,
    SubmitOrder,
    WalkSheet,
    attach_photo,
    close_walk_round,
    open_walk_round,
    record_round_outcome,
    record_round_readings,
    submit_readings,
    walk_line,
    walk_sheet,
)
from metering.by_hand.store import HandMeter, WalkRound
from metering.events.kinds import VisitOutcome
from metering.registry.places import Commodity

READING = r"[0-9 ]{1,15}([.,][0-9]{0,6})?\Z"


class ReadingsQuery(Schema):
    """How many readings are asked for."""

    limit = fields.Integer(load_default=200, validate=validate.Range(1, 5000))


class RegisterSchema(Schema):
    """A register that takes readings by hand."""

    meter = fields.String(metadata={"description": "Serial number."})
    point = fields.String()
    commodity = fields.String()
    zone = fields.String()
    digits = fields.Integer()
    previous = fields.String(
        allow_none=True, metadata={"description": "What it showed last: kWh, Gcal or m3."}
    )
    previous_at = fields.AwareDateTime(allow_none=True)


class StoredReadingSchema(Schema):
    """A reading as it is kept: `value` is whole Wh, kcal or litres, `reading` what was shown."""

    meter = fields.String(attribute="serial")
    commodity = fields.String()
    zone = fields.String()
    taken_at = fields.AwareDateTime()
    reading = fields.Function(
        lambda one: _shown(one.value, one.commodity), metadata={"type": "string"}
    )
    value = fields.Integer()
    quality = fields.Function(lambda one: one.quality.name.lower(), metadata={"type": "string"})
    source = fields.Function(lambda one: one.source.partition("#")[0], metadata={"type": "string"})
    revision = fields.Integer()
    recorded_at = fields.AwareDateTime()


class WindowSchema(Schema):
    """When residents submit readings: the window that is open, or the next one."""

    open = fields.Boolean()
    opens_on = fields.Date()
    closes_on = fields.Date()


class AccountReadingsSchema(Schema):
    """The registers of an account, when they are read, and what they showed."""

    window = fields.Nested(WindowSchema)
    registers = fields.List(fields.Nested(RegisterSchema))
    readings = fields.List(fields.Nested(StoredReadingSchema))


class GivenSchema(Schema):
    """What one register shows."""

    meter = fields.String(required=True, validate=validate.Length(1, 100))
    zone = fields.Enum(Zone, by_value=True, load_default=Zone.ALL)
    reading = fields.String(required=True, validate=validate.Regexp(READING))


class SubmitSchema(Schema):
    """Readings given at once: all are stored, or none."""

    readings = fields.List(
        fields.Nested(GivenSchema), required=True, validate=validate.Length(1, 100)
    )
    confirmed = fields.Boolean(load_default=False)
    corrects = fields.AwareDateTime(load_default=None, validate=known_time)


class JudgedSchema(Schema):
    """What became of a reading."""

    meter = fields.String()
    zone = fields.String()
    reading = fields.String()
    taken_at = fields.AwareDateTime()
    verdict = fields.String()
    remarks = fields.String()
    used = fields.Integer(
        allow_none=True, metadata={"description": "Since the reading before: Wh, kcal or litres."}
    )


class ResultSchema(Schema):
    """What became of readings that were given together."""

    repeated = fields.Boolean()
    readings = fields.List(fields.Nested(JudgedSchema))


class RoundsQuery(PageSchema):
    """What a list of walk-rounds is narrowed to."""

    building = fields.String(load_default=None)
    open = fields.Boolean(load_default=False)


class RoundSchema(Schema):
    """A walk-round."""

    id = fields.Integer()
    building = fields.String(attribute="building_code")
    address = fields.String()
    taken_on = fields.Date()
    opened_at = fields.AwareDateTime()
    closed_at = fields.AwareDateTime(allow_none=True)


class RoundListSchema(Schema):
    """A page of walk-rounds."""

    total = fields.Integer()
    items = fields.List(fields.Nested(RoundSchema))


class OpenRoundSchema(Schema):
    """Which list is to be opened."""

    building = fields.String(required=True)
    taken_on = fields.Date(required=True)


class LineRegisterSchema(Schema):
    """A register of a line."""

    zone = fields.String()
    previous = fields.String(allow_none=True)
    usual = fields.Integer(allow_none=True)
    reading = fields.String(allow_none=True)


class LineSchema(Schema):
    """A meter of a walk-round."""

    meter_id = fields.Integer()
    meter = fields.String()
    point = fields.String()
    flat = fields.String()
    commodity = fields.String()
    remote = fields.Boolean()
    outcome = fields.String(allow_none=True)
    note = fields.String()
    photo_id = fields.Integer(allow_none=True)
    registers = fields.List(fields.Nested(LineRegisterSchema))


class SheetSchema(Schema):
    """A walk-round with its lines, in the order of the flats."""

    round = fields.Nested(RoundSchema)
    done = fields.Integer()
    whole = fields.Integer()
    lines = fields.List(fields.Nested(LineSchema))


class LineValueSchema(Schema):
    """What one register of the meter shows."""

    zone = fields.Enum(Zone, by_value=True, load_default=Zone.ALL)
    reading = fields.String(required=True, validate=validate.Regexp(READING))


class LineReadingsSchema(Schema):
    """What the meter shows."""

    readings = fields.List(
        fields.Nested(LineValueSchema), required=True, validate=validate.Length(1, 10)
    )
    confirmed = fields.Boolean(load_default=False)
    note = fields.String(load_default="", validate=validate.Length(max=500))


class OutcomeSchema(Schema):
    """Why a meter was not read."""

    outcome = fields.Enum(
        VisitOutcome,
        by_value=True,
        required=True,
        validate=validate.NoneOf([VisitOutcome.READ]),
    )
    note = fields.String(load_default="", validate=validate.Length(max=500))


class PhotoSchema(Schema):
    """A photograph that is kept."""

    photo_id = fields.Integer()


PHOTO_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("image/jpeg", "image/png", "image/webp")
        },
    }
}


def add_routes(api: Blueprint) -> None:
    """Add the routes of readings by hand."""
    own = "/accounts/<number>/register-readings"
    api.route(own)(
        api.arguments(ReadingsQuery, location="query")(
            api.response(200, AccountReadingsSchema)(register_readings)
        )
    )
    api.route(own, methods=["POST"])(
        api.arguments(KeyHeader, location="headers")(
            api.arguments(SubmitSchema)(api.response(201, ResultSchema)(submit_register_readings))
        )
    )
    api.route("/walk-rounds")(
        api.arguments(RoundsQuery, location="query")(
            api.response(200, RoundListSchema)(walk_rounds)
        )
    )
    api.route("/walk-rounds", methods=["POST"])(
        api.arguments(OpenRoundSchema)(api.response(200, RoundSchema)(open_round))
    )
    one = "/walk-rounds/<int:round_id>"
    api.route(one)(api.response(200, SheetSchema)(walk_round))
    api.route(f"{one}/close", methods=["POST"])(api.response(200, RoundSchema)(close_round))
    line = f"{one}/meters/<int:meter_id>"
    api.route(f"{line}/readings", methods=["POST"])(
        api.arguments(LineReadingsSchema)(api.response(200, ResultSchema)(walk_round_readings))
    )
    api.route(f"{line}/outcome", methods=["POST"])(
        api.arguments(OutcomeSchema)(api.response(200, LineSchema)(walk_round_outcome))
    )
    api.route(f"{line}/photo", methods=["POST"])(
        api.response(200, PhotoSchema)(api.doc(**PHOTO_BODY)(walk_round_photo))
    )


def register_readings(asked: dict[str, Any], number: str) -> dict[str, Any]:
    """Show an account's registers, when they are read, and the latest readings."""
    here = visit()
    row, _ = account_of(here, number)
    house = store.premises_in_reach(here.session, here.scope, row.premises_id)
    meters = store.meters_of_premises(here.session, here.scope, row.premises_id, here.today)
    states = store.register_states(here.session, meters, here.now)
    by_id = {meter.meter_id: meter for meter in meters}
    window = window_state(store.window_rules(here.session), house.id, here.today)
    registers = []
    for (meter_id, zone), state in states.items():
        meter, previous = by_id[meter_id], state.latest
        registers.append(
            {
                "meter": meter.serial,
                "point": meter.point_code,
                "commodity": str(meter.commodity),
                "zone": str(zone),
                "digits": meter.digits,
                "previous": None if previous is None else _shown(previous.value, meter.commodity),
                "previous_at": None if previous is None else previous.taken_at,
            }
        )
    return {
        "window": {
            "open": window.is_open,
            "opens_on": window.window.opens_on,
            "closes_on": window.window.closes_on,
        },
        "registers": registers,
        "readings": store.listed_readings(
            here.session, here.scope, row.premises_id, limit=asked["limit"]
        ),
    }


def submit_register_readings(
    header: dict[str, Any], asked: dict[str, Any], number: str
) -> dict[str, Any]:
    """Take readings in once; what is implausible is asked for again, confirmed."""
    here = visit()
    row, _ = account_of(here, number)
    meters = store.meters_of_premises(here.session, here.scope, row.premises_id, here.today)
    by_serial: dict[str, HandMeter] = {meter.serial: meter for meter in meters}
    given = []
    for one in asked["readings"]:
        meter = by_serial.get(one["meter"])
        if meter is None:
            raise Invalid(where=one["meter"], problem=mark("no such meter stands there"))
        value = parse_reading(one["reading"], meter.commodity, where=meter.serial)
        given.append(GivenReading(meter.meter_id, one["zone"], value))
    order = SubmitOrder(
        scope=here.scope,
        premises_id=row.premises_id,
        readings=tuple(given),
        key=f"api-{header['idempotency_key']}",
        confirmed=asked["confirmed"],
        corrects=asked["corrects"],
    )
    clock = here.application.clock
    with here.writing() as session:
        result = submit_readings(session, order, clock)
    return _result(result)


def walk_rounds(asked: dict[str, Any]) -> dict[str, Any]:
    """List the walk-rounds of the buildings in reach, the latest first."""
    here = visit()
    items, total = store.walk_rounds(
        here.session,
        here.scope,
        building_code=asked["building"],
        open_only=asked["open"],
        limit=asked["limit"],
        offset=asked["offset"],
    )
    return {"total": total, "items": list(items)}


def open_round(asked: dict[str, Any]) -> WalkRound:
    """Open the list of a building and day, or go on with the one that is open."""
    here = visit()
    order = OpenRoundOrder(here.scope, asked["building"], asked["taken_on"])
    clock = here.application.clock
    with here.writing() as session:
        return open_walk_round(session, order, clock)


def walk_round(round_id: int) -> dict[str, Any]:
    """Show a walk-round with its lines."""
    here = visit()
    return _sheet(walk_sheet(here.session, here.scope, round_id))


def close_round(round_id: int) -> WalkRound:
    """End a walk-round."""
    here = visit()
    clock, scope = here.application.clock, here.scope
    with here.writing() as session:
        return close_walk_round(session, scope, round_id, clock)


def walk_round_readings(asked: dict[str, Any], round_id: int, meter_id: int) -> dict[str, Any]:
    """Store what a meter showed; entering it again corrects it."""
    here = visit()
    row = walk_line(here.session, here.scope, round_id, meter_id).row
    values = tuple(
        (one["zone"], parse_reading(one["reading"], row.meter.commodity, where=row.meter.serial))
        for one in asked["readings"]
    )
    order = RoundReadingsOrder(
        here.scope, round_id, meter_id, values, asked["confirmed"], asked["note"]
    )
    clock = here.application.clock
    with here.writing() as session:
        result = record_round_readings(session, order, clock)
    return _result(result)


def walk_round_outcome(asked: dict[str, Any], round_id: int, meter_id: int) -> dict[str, Any]:
    """Keep why a meter was not read."""
    here = visit()
    order = RoundOutcomeOrder(here.scope, round_id, meter_id, asked["outcome"], asked["note"])
    clock, scope = here.application.clock, here.scope
    with here.writing() as session:
        record_round_outcome(session, order, clock)
    return _line(walk_line(here.session, scope, round_id, meter_id).row)


def walk_round_photo(round_id: int, meter_id: int) -> dict[str, int]:
    """Keep a photograph of a meter; the body of the request is the picture."""
    here = visit()
    photo = remade(request.stream.read(SENT_BYTES_MAX + 1))
    order = RoundPhotoOrder(here.scope, round_id, meter_id, photo)
    clock = here.application.clock
    with here.writing() as session:
        return {"photo_id": attach_photo(session, order, clock)}


def _result(result: HandResult) -> dict[str, Any]:
    """Return what was stored; refuse as a whole where nothing was."""
    if not result.stored:
        for one in result.judged:
            heavy = _heaviest(one.judgement.remarks, result.verdict)
            if heavy is not None:
                refusal = (
                    ReadingsRefused if result.verdict is Verdict.REFUSED else ConfirmationNeeded
                )
                raise refusal(meter=one.meter.serial, zone=str(one.zone), remark=heavy)
    return {
        "repeated": result.repeated,
        "readings": [
            {
                "meter": one.meter.serial,
                "zone": str(one.zone),
                "reading": _shown(one.value, one.meter.commodity),
                "taken_at": one.taken_at,
                "verdict": str(one.judgement.verdict),
                "remarks": judgement_text(one.judgement),
                "used": one.judgement.used,
            }
            for one in result.judged
        ],
    }


def _heaviest(remarks: tuple[Remark, ...], verdict: Verdict) -> Remark | None:
    return next((remark for remark in remarks if remark.verdict is verdict), None)


def _sheet(sheet: WalkSheet) -> dict[str, Any]:
    return {
        "round": sheet.round,
        "done": sheet.done,
        "whole": len(sheet.rows),
        "lines": [_line(row) for row in (*sheet.rows, *sheet.others)],
    }


def _line(row: SheetRow) -> dict[str, Any]:
    commodity = row.meter.commodity
    return {
        "meter_id": row.meter.meter_id,
        "meter": row.meter.serial,
        "point": row.meter.point_code,
        "flat": row.meter.premises_number,
        "commodity": str(commodity),
        "remote": row.meter.remote,
        "outcome": None if row.visit is None else str(row.visit.outcome),
        "note": "" if row.visit is None else row.visit.note,
        "photo_id": row.photo_id,
        "registers": [
            {
                "zone": str(one.zone),
                "previous": None if one.previous is None else _shown(one.previous.value, commodity),
                "usual": one.usual,
                "reading": None if one.value is None else _shown(one.value, commodity),
            }
            for one in row.registers
        ],
    }


def _shown(value: int, commodity: Commodity) -> str:
    return format(shown(value, commodity), "f")
