"""Buildings, points, meters and verifications; writing down lives, replacing a meter."""

from typing import Any
from zoneinfo import ZoneInfo

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from kilokassa.web.api.base import PageSchema
from kilokassa.web.api.fields import known_time
from kilokassa.web.visit import visit
from metering.meters.life import DueBand, LifeEvent
from metering.meters.service import LifeEventOrder, record_life_event, replace_meter_for
from metering.meters.store import DueFilter, due_meters
from metering.meters.verification_periods import proposals
from metering.registry.places import Commodity, LifeEventKind, Meter, MeterReplacement
from metering.registry.store import (
    ListedBuilding,
    RegisteredBuilding,
    RegisteredPoint,
    StandingMeter,
    building_by_code,
    list_buildings,
    list_points,
    meter_of_point,
    point_by_code,
)

CODE_MAX = 100


class BuildingQuery(PageSchema):
    """What a list of buildings is narrowed to."""

    search = fields.String(load_default="", validate=validate.Length(max=CODE_MAX))


class ListedBuildingSchema(Schema):
    """A building as a list shows it."""

    code = fields.String()
    address = fields.String()
    company_name = fields.String()
    servicer_name = fields.String()
    premises = fields.Integer()
    points = fields.Integer()


class BuildingListSchema(Schema):
    """A page of buildings."""

    total = fields.Integer()
    items = fields.List(fields.Nested(ListedBuildingSchema))


class CoordinatesSchema(Schema):
    """Where something is: degrees with six decimals, WGS 84."""

    latitude = fields.String()
    longitude = fields.String()


class CommonAreaSchema(Schema):
    """A common area of a building."""

    code = fields.String()
    kind = fields.String()
    name = fields.String()
    area_dm2 = fields.Integer()


class DeliveryPointSchema(Schema):
    """A delivery point of a building."""

    code = fields.String()
    premises_number = fields.String()
    boundary = fields.String()


class BuildingSchema(Schema):
    """A building with all that is registered of it, but for its points."""

    code = fields.String()
    address = fields.String()
    zone = fields.String()
    company_code = fields.String()
    company_name = fields.String()
    servicer_code = fields.String()
    servicer_name = fields.String()
    coordinates = fields.Nested(CoordinatesSchema, attribute="place", allow_none=True)
    loss_ppm = fields.Integer()
    loss_w = fields.Integer()
    norm_code = fields.String()
    premises = fields.Integer()
    common_areas = fields.List(fields.Nested(CommonAreaSchema))
    delivery_points = fields.List(fields.Nested(DeliveryPointSchema))


class PointQuery(PageSchema):
    """What a list of points is narrowed to."""

    search = fields.String(load_default="", validate=validate.Length(max=CODE_MAX))
    building = fields.String(load_default="", validate=validate.Length(max=CODE_MAX))
    commodity = fields.Enum(Commodity, by_value=True, load_default=None)


class ListedPointSchema(Schema):
    """A metering point as a list shows it, with the meter that stands there."""

    code = fields.String()
    exchange_code = fields.String()
    building_code = fields.String()
    address = fields.String()
    premises_number = fields.String()
    common_area = fields.String()
    commodity = fields.String()
    serial = fields.String()
    model = fields.String()
    verified_until = fields.Date(allow_none=True)


class PointListSchema(Schema):
    """A page of metering points."""

    total = fields.Integer()
    items = fields.List(fields.Nested(ListedPointSchema))


class ChannelSchema(Schema):
    """A channel: what arrives is taken times its multiplier."""

    code = fields.String()
    interval_min = fields.Integer()
    multiplier = fields.Integer()
    loss_ppm = fields.Integer()


class LifeEventSchema(Schema):
    """A step in the life of a meter; an implied one follows from the dates that are registered."""

    kind = fields.String()
    happened_on = fields.Date()
    valid_until = fields.Date(allow_none=True)
    document = fields.String()
    note = fields.String()
    actor = fields.String()
    implied = fields.Boolean()


class MeterSchema(Schema):
    """A meter with its life."""

    serial = fields.String()
    model = fields.String()
    digits = fields.Integer()
    stage = fields.String()
    made_on = fields.Date(allow_none=True)
    installed_on = fields.Date()
    removed_on = fields.Date(allow_none=True)
    verified_until = fields.Date(allow_none=True)
    retire_by = fields.Date(allow_none=True)
    events = fields.List(fields.Nested(LifeEventSchema))


class PointSchema(Schema):
    """A metering point with its channels and its meters, in the order they were installed."""

    code = fields.String()
    exchange_code = fields.String()
    building_code = fields.String()
    address = fields.String()
    zone = fields.String()
    premises_number = fields.String()
    common_area_code = fields.String()
    delivery_point_code = fields.String()
    commodity = fields.String()
    capacity_w = fields.Integer(allow_none=True)
    coordinates = fields.Nested(CoordinatesSchema, attribute="place", allow_none=True)
    channels = fields.List(fields.Nested(ChannelSchema))
    meters = fields.List(fields.Nested(MeterSchema))


class VerificationQuery(Schema):
    """What a report of verifications is narrowed to."""

    within_days = fields.Integer(load_default=90, validate=validate.Range(0, 3660))
    building = fields.String(load_default="", validate=validate.Length(max=CODE_MAX))
    servicer = fields.String(load_default="", validate=validate.Length(max=CODE_MAX))
    commodity = fields.Enum(Commodity, by_value=True, load_default=None)
    band = fields.Enum(DueBand, by_value=True, load_default=None)
    with_unknown = fields.Boolean(
        load_default=True, metadata={"description": "Meters without a known date too."}
    )


class DueMeterSchema(Schema):
    """A meter at which something is due; `due_on` is the last day that is still good."""

    point_code = fields.String()
    serial = fields.String()
    model = fields.String()
    commodity = fields.String()
    building_code = fields.String()
    address = fields.String()
    premises_number = fields.String()
    common_area = fields.String()
    servicer_code = fields.String()
    company_code = fields.String()
    reason = fields.String()
    band = fields.String()
    due_on = fields.Date(allow_none=True)
    verified_until = fields.Date(allow_none=True)
    retire_by = fields.Date(allow_none=True)


class LifeEventRequest(Schema):
    """Something that happened to a meter; the same again changes nothing."""

    serial = fields.String(required=True, validate=validate.Length(1, CODE_MAX))
    kind = fields.Enum(LifeEventKind, by_value=True, required=True)
    happened_on = fields.Date(required=True)
    valid_until = fields.Date(
        load_default=None,
        allow_none=True,
        metadata={"description": "Of a verification; else the shortest usual period is taken."},
    )
    document = fields.String(load_default="", validate=validate.Length(max=100))
    note = fields.String(load_default="", validate=validate.Length(max=200))


class LifeEventAnswer(Schema):
    """The meter with its life after it."""

    repeated = fields.Boolean()
    meter = fields.Nested(MeterSchema)


class TotalSchema(Schema):
    """What a register showed: whole Wh, kcal or litres."""

    zone = fields.Enum(Zone, by_value=True, load_default=Zone.ALL)
    value = fields.Integer(required=True, strict=True, validate=validate.Range(0, 10**15))


class NewMeterSchema(Schema):
    """The meter that is put in place."""

    serial = fields.String(required=True, validate=validate.Length(1, CODE_MAX))
    model = fields.String(load_default=None, validate=validate.Length(max=100))
    digits = fields.Integer(load_default=None, validate=validate.Range(1, 9))
    made_on = fields.Date(load_default=None)
    verified_until = fields.Date(load_default=None)
    service_life_years = fields.Integer(load_default=None, validate=validate.Range(1, 60))


class ReplacementRequest(Schema):
    """One meter taken away and another put in its place; the same again changes nothing."""

    removed_serial = fields.String(required=True, validate=validate.Length(1, CODE_MAX))
    at = fields.AwareDateTime(required=True, validate=known_time)
    final = fields.List(fields.Nested(TotalSchema), required=True, validate=validate.Length(1, 5))
    first = fields.List(fields.Nested(TotalSchema), required=True, validate=validate.Length(1, 5))
    meter = fields.Nested(NewMeterSchema, required=True)
    document = fields.String(load_default="", validate=validate.Length(max=100))
    note = fields.String(load_default="", validate=validate.Length(max=200))


def add_routes(api: Blueprint) -> None:
    """Add the routes of the registry."""
    api.route("/buildings")(
        api.arguments(BuildingQuery, location="query")(
            api.response(200, BuildingListSchema)(buildings)
        )
    )
    api.route("/buildings/<code>")(api.response(200, BuildingSchema)(building))
    api.route("/points")(
        api.arguments(PointQuery, location="query")(api.response(200, PointListSchema)(points))
    )
    api.route("/points/<code>")(api.response(200, PointSchema)(point))
    api.route("/verifications")(
        api.arguments(VerificationQuery, location="query")(
            api.response(200, DueMeterSchema(many=True))(verifications)
        )
    )
    api.route("/points/<code>/life-events", methods=["POST"])(
        api.arguments(LifeEventRequest)(api.response(201, LifeEventAnswer)(record_event))
    )
    api.route("/points/<code>/replacements", methods=["POST"])(
        api.arguments(ReplacementRequest)(api.response(201, PointSchema)(replace_meter))
    )


def buildings(asked: dict[str, Any]) -> dict[str, Any]:
    """List the buildings in reach."""
    here = visit()
    items: tuple[ListedBuilding, ...]
    items, total = list_buildings(
        here.session,
        here.scope,
        search=asked["search"],
        limit=asked["limit"],
        offset=asked["offset"],
    )
    return {"total": total, "items": items}


def building(code: str) -> RegisteredBuilding:
    """Show one building."""
    here = visit()
    return building_by_code(here.session, here.scope, code)


def points(asked: dict[str, Any]) -> dict[str, Any]:
    """List the metering points in reach."""
    here = visit()
    items, total = list_points(
        here.session,
        here.scope,
        search=asked["search"],
        building_code=asked["building"],
        commodity=asked["commodity"],
        limit=asked["limit"],
        offset=asked["offset"],
    )
    return {"total": total, "items": items}


def point(code: str) -> dict[str, Any]:
    """Show one metering point with the lives of its meters."""
    here = visit()
    return _point(point_by_code(here.session, here.scope, code))


def verifications(asked: dict[str, Any]) -> list[Any]:
    """List the meters at which something is due, the longest overdue first."""
    here = visit()
    wished = DueFilter(
        within_days=asked["within_days"],
        building_code=asked["building"],
        servicer_code=asked["servicer"],
        commodity=asked["commodity"],
        band=asked["band"],
        unknown=asked["with_unknown"],
    )
    return list(due_meters(here.session, here.scope, wished, today=here.today))


def record_event(asked: dict[str, Any], code: str) -> dict[str, Any]:
    """Write down what happened to a meter of the point."""
    here = visit()
    scope = here.scope
    with here.writing() as session:
        until = asked["valid_until"]
        if asked["kind"] is LifeEventKind.VERIFIED and until is None:
            standing = meter_of_point(session, scope, code, asked["serial"])
            offered = proposals(standing.commodity, asked["happened_on"])
            until = offered[0].valid_until if offered else None
        event = LifeEvent(
            asked["kind"], asked["happened_on"], until, asked["document"], asked["note"]
        )
        order = LifeEventOrder(scope, code, asked["serial"], event)
        told = record_life_event(session, order, here.application.clock)
        after = meter_of_point(session, scope, code, asked["serial"])
    return {"repeated": told.repeated, "meter": _meter(after)}


def replace_meter(asked: dict[str, Any], code: str) -> dict[str, Any]:
    """Replace a meter of the point by another, with what both showed."""
    here = visit()
    scope = here.scope
    with here.writing() as session:
        place = point_by_code(session, scope, code)
        at = asked["at"]
        order = MeterReplacement(
            removed_serial=asked["removed_serial"],
            meter=Meter(
                point_code=code,
                installed_on=at.astimezone(ZoneInfo(place.zone)).date(),
                **asked["meter"],
            ),
            at=at,
            final_values=_totals(asked["final"]),
            first_values=_totals(asked["first"]),
            document=asked["document"],
            note=asked["note"],
        )
        replace_meter_for(session, scope, order, here.application.clock)
        after = point_by_code(session, scope, code)
    return _point(after)


def _totals(values: list[dict[str, Any]]) -> dict[Zone, int]:
    totals: dict[Zone, int] = {one["zone"]: one["value"] for one in values}
    if len(totals) != len(values):
        raise Invalid(
            where=mark("reading"),
            problem=mark("the zone %(zone)s comes twice"),
            zone=", ".join(totals),
        )
    return totals


def _point(found: RegisteredPoint) -> dict[str, Any]:
    return {
        "code": found.code,
        "exchange_code": found.exchange_code,
        "building_code": found.building_code,
        "address": found.address,
        "zone": found.zone,
        "premises_number": found.premises_number,
        "common_area_code": found.common_area_code,
        "delivery_point_code": found.delivery_point_code,
        "commodity": found.commodity,
        "capacity_w": found.capacity_w,
        "place": found.place,
        "channels": found.channels,
        "meters": [_meter(meter) for meter in found.meters],
    }


def _meter(meter: StandingMeter) -> dict[str, Any]:
    life = meter.life
    return {
        "serial": meter.serial,
        "model": meter.model,
        "digits": meter.digits,
        "stage": life.stage,
        "made_on": life.made_on,
        "installed_on": meter.dates.installed_on,
        "removed_on": meter.dates.removed_on,
        "verified_until": life.verified_until,
        "retire_by": life.retire_by,
        "events": life.events,
    }
