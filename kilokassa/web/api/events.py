"""Device events in batches, and periods in which a service fell short."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.core.calendar import Month
from kilokassa.web.api.accounts import KeyHeader, month_field
from kilokassa.web.api.base import PageSchema
from kilokassa.web.api.fields import known_time
from kilokassa.web.language import translate
from kilokassa.web.visit import account_of, visit
from metering.events.kinds import (
    DeviceEventKind,
    EventLine,
    QualityBasis,
    QualityEventKind,
    QualityEventState,
)
from metering.events.service import (
    TEXT_MAX,
    DecideOrder,
    DeviceEventsOrder,
    EndOrder,
    QualityOrder,
    decide_quality,
    end_quality,
    record_device_events,
    record_quality,
)
from metering.events.store import (
    EventFilter,
    QualityFilter,
    StoredQuality,
    get_quality,
    list_events,
    list_quality,
)
from metering.registry.places import Commodity

EVENTS_AT_ONCE_MAX = 10_000
TENTHS_MOST = 100_000
"""More than any of what is measured; what a kind allows is judged with the order."""


class EventQuery(PageSchema):
    """What a list of device events is narrowed to."""

    building = fields.String(load_default="")
    point = fields.String(load_default="", validate=validate.Length(max=100))
    kind = fields.Enum(DeviceEventKind, by_value=True, load_default=None)
    tampering = fields.Boolean(load_default=False)
    since = fields.AwareDateTime(load_default=None, validate=known_time)
    until = fields.AwareDateTime(load_default=None, validate=known_time)


class EventSchema(Schema):
    """A device event."""

    id = fields.Integer()
    building = fields.String(attribute="building_code")
    point = fields.String(attribute="point_code")
    meter = fields.String(attribute="serial")
    kind = fields.String()
    starts_at = fields.AwareDateTime()
    ends_at = fields.AwareDateTime(allow_none=True)
    value = fields.Integer(
        allow_none=True, metadata={"description": "Seconds a clock was fast; tenths of a volt."}
    )
    tampering = fields.Boolean()
    source = fields.String()
    recorded_at = fields.AwareDateTime()


class EventListSchema(Schema):
    """A page of device events."""

    total = fields.Integer()
    items = fields.List(fields.Nested(EventSchema))


class SentEventSchema(Schema):
    """A device event as a head-end system sends it; one of point and meter names where."""

    point = fields.String(load_default="", validate=validate.Length(max=100))
    meter = fields.String(load_default="", validate=validate.Length(max=100))
    kind = fields.Enum(DeviceEventKind, by_value=True, required=True)
    starts_at = fields.AwareDateTime(required=True, validate=known_time)
    ends_at = fields.AwareDateTime(load_default=None, allow_none=True, validate=known_time)
    value = fields.Integer(
        load_default=None, allow_none=True, validate=validate.Range(-(2**31), 2**31 - 1)
    )


class EventBatchSchema(Schema):
    """A batch of device events."""

    events = fields.List(
        fields.Nested(SentEventSchema),
        required=True,
        validate=validate.Length(1, EVENTS_AT_ONCE_MAX),
    )


class EventBatchAnswer(Schema):
    """What became of the batch: sent = new + repeated + ended + refused."""

    new = fields.Integer()
    repeated = fields.Integer()
    ended = fields.Integer()
    refused = fields.List(fields.String())
    proposed_quality_events = fields.List(fields.Integer())


class QualityQuery(PageSchema):
    """What a list of quality events is narrowed to."""

    building = fields.String(load_default="")
    service = fields.Enum(Commodity, by_value=True, load_default=None)
    kind = fields.Enum(QualityEventKind, by_value=True, load_default=None)
    state = fields.Enum(QualityEventState, by_value=True, load_default=None)
    month = fields.String(load_default=None, validate=month_field)


class QualitySchema(Schema):
    """A period in which a service fell short."""

    id = fields.Integer()
    building = fields.String()
    premises_number = fields.String(metadata={"description": "Empty: the whole house."})
    service = fields.String()
    kind = fields.String()
    basis = fields.String()
    starts_at = fields.AwareDateTime()
    ends_at = fields.AwareDateTime(allow_none=True)
    measured_tenths = fields.Integer(allow_none=True)
    required_tenths = fields.Integer(allow_none=True)
    document = fields.String()
    note = fields.String()
    state = fields.String()
    recorded_by = fields.String()
    recorded_at = fields.AwareDateTime()
    decided_by = fields.String(allow_none=True)
    decided_at = fields.AwareDateTime(allow_none=True)


class QualityListSchema(Schema):
    """A page of quality events."""

    total = fields.Integer()
    items = fields.List(fields.Nested(QualitySchema))


class QualityRequest(Schema):
    """A period in which a service fell short."""

    building = fields.String(required=True)
    premises_number = fields.String(load_default="", validate=validate.Length(max=20))
    service = fields.Enum(Commodity, by_value=True, required=True)
    kind = fields.Enum(QualityEventKind, by_value=True, required=True)
    basis = fields.Enum(QualityBasis, by_value=True, required=True)
    starts_at = fields.AwareDateTime(required=True, validate=known_time)
    ends_at = fields.AwareDateTime(load_default=None, allow_none=True, validate=known_time)
    measured_tenths = fields.Integer(
        load_default=None, allow_none=True, validate=validate.Range(-TENTHS_MOST, TENTHS_MOST)
    )
    required_tenths = fields.Integer(
        load_default=None, allow_none=True, validate=validate.Range(-TENTHS_MOST, TENTHS_MOST)
    )
    document = fields.String(load_default="", validate=validate.Length(max=TEXT_MAX))
    note = fields.String(load_default="", validate=validate.Length(max=TEXT_MAX))


class ComplaintRequest(Schema):
    """What a resident tells about the own flat."""

    service = fields.Enum(Commodity, by_value=True, required=True)
    kind = fields.Enum(QualityEventKind, by_value=True, required=True)
    starts_at = fields.AwareDateTime(required=True, validate=known_time)
    ends_at = fields.AwareDateTime(load_default=None, allow_none=True, validate=known_time)
    measured_tenths = fields.Integer(
        load_default=None, allow_none=True, validate=validate.Range(-TENTHS_MOST, TENTHS_MOST)
    )
    note = fields.String(load_default="", validate=validate.Length(max=TEXT_MAX))


class QualityAnswer(QualitySchema):
    """What was recorded, and what else is recorded of the same time."""

    overlapping = fields.List(fields.Integer())
    repeated = fields.Boolean()


class DecisionRequest(Schema):
    """Whether a quality event counts, and why."""

    state = fields.Enum(
        QualityEventState,
        by_value=True,
        required=True,
        validate=validate.NoneOf([QualityEventState.REPORTED]),
    )
    note = fields.String(load_default="", validate=validate.Length(max=TEXT_MAX))


class EndRequest(Schema):
    """When a quality event ended."""

    ends_at = fields.AwareDateTime(required=True, validate=known_time)


def add_routes(api: Blueprint) -> None:
    """Add the routes of events and quality."""
    api.route("/device-events")(
        api.arguments(EventQuery, location="query")(
            api.response(200, EventListSchema)(device_events)
        )
    )
    api.route("/device-events", methods=["POST"])(
        api.arguments(KeyHeader, location="headers")(
            api.arguments(EventBatchSchema)(api.response(200, EventBatchAnswer)(send_events))
        )
    )
    api.route("/quality-events")(
        api.arguments(QualityQuery, location="query")(
            api.response(200, QualityListSchema)(quality_events)
        )
    )
    api.route("/quality-events/<int:event_id>")(api.response(200, QualitySchema)(quality_event))
    api.route("/quality-events", methods=["POST"])(
        api.arguments(KeyHeader, location="headers")(
            api.arguments(QualityRequest)(api.response(201, QualityAnswer)(record_quality_event))
        )
    )
    api.route("/quality-events/<int:event_id>/decision", methods=["POST"])(
        api.arguments(DecisionRequest)(api.response(200, QualitySchema)(decide_quality_event))
    )
    api.route("/quality-events/<int:event_id>/end", methods=["POST"])(
        api.arguments(EndRequest)(api.response(200, QualitySchema)(end_quality_event))
    )
    api.route("/accounts/<number>/complaints", methods=["POST"])(
        api.arguments(KeyHeader, location="headers")(
            api.arguments(ComplaintRequest)(api.response(201, QualityAnswer)(complain))
        )
    )


def device_events(asked: dict[str, Any]) -> dict[str, Any]:
    """List what meters in reach told, the latest first."""
    here = visit()
    wished = EventFilter(
        building_code=asked["building"],
        point_code=asked["point"],
        kind=asked["kind"],
        tampering=asked["tampering"],
        since=asked["since"],
        until=asked["until"],
    )
    items, total = list_events(
        here.session, here.scope, wished, limit=asked["limit"], offset=asked["offset"]
    )
    return {"total": total, "items": items}


def send_events(header: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Record device events, each once; the same key for another batch is refused."""
    here = visit()
    lines = tuple(
        EventLine(
            number,
            one["point"],
            one["meter"],
            one["kind"],
            one["starts_at"],
            one["ends_at"],
            one["value"],
        )
        for number, one in enumerate(asked["events"], start=1)
    )
    order = DeviceEventsOrder(lines, f"api:{header['idempotency_key']}", here.scope, once=True)
    with here.writing() as session:
        done = record_device_events(session, order, here.application.clock)
    return {
        "new": done.new,
        "repeated": done.repeated,
        "ended": done.ended,
        "refused": [one.sentence(translate) for one in done.refused],
        "proposed_quality_events": list(done.proposed),
    }


def quality_events(asked: dict[str, Any]) -> dict[str, Any]:
    """List quality events in reach, the latest first."""
    here = visit()
    month = Month.parse(asked["month"]) if asked["month"] else None
    wished = QualityFilter(
        building_code=asked["building"],
        commodity=asked["service"],
        kind=asked["kind"],
        state=asked["state"],
        touching=None if month is None else month.period(here.zone),
    )
    items, total = list_quality(
        here.session, here.scope, wished, limit=asked["limit"], offset=asked["offset"]
    )
    return {"total": total, "items": [_shown(one) for one in items]}


def quality_event(event_id: int) -> dict[str, Any]:
    """Show one quality event."""
    here = visit()
    return _shown(get_quality(here.session, here.scope, event_id))


def record_quality_event(header: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Record a period in which a service fell short; it waits to be confirmed."""
    here = visit()
    return _record(
        QualityOrder(
            commodity=asked["service"],
            kind=asked["kind"],
            basis=asked["basis"],
            starts_at=asked["starts_at"],
            ends_at=asked["ends_at"],
            scope=here.scope,
            building_code=asked["building"],
            premises_number=asked["premises_number"],
            measured_tenths=asked["measured_tenths"],
            required_tenths=asked["required_tenths"],
            document=asked["document"],
            note=asked["note"],
            idempotency_key=f"api:{header['idempotency_key']}",
        )
    )


def complain(header: dict[str, Any], asked: dict[str, Any], number: str) -> dict[str, Any]:
    """Tell that a service falls short at the premises of an account."""
    here = visit()
    row, _ = account_of(here, number)
    return _record(
        QualityOrder(
            commodity=asked["service"],
            kind=asked["kind"],
            basis=QualityBasis.COMPLAINT,
            starts_at=asked["starts_at"],
            ends_at=asked["ends_at"],
            scope=here.scope,
            premises_id=row.premises_id,
            measured_tenths=asked["measured_tenths"],
            note=asked["note"],
            idempotency_key=f"api:{header['idempotency_key']}",
        )
    )


def _record(order: QualityOrder) -> dict[str, Any]:
    here = visit()
    with here.writing() as session:
        done = record_quality(session, order, here.application.clock)
    return _shown(done.event) | {
        "overlapping": [one.id for one in done.overlapping],
        "repeated": done.repeated,
    }


def decide_quality_event(asked: dict[str, Any], event_id: int) -> dict[str, Any]:
    """Confirm or reject what was reported; the first decision stands."""
    here = visit()
    order = DecideOrder(event_id, asked["state"], asked["note"], here.scope)
    with here.writing() as session:
        decided = decide_quality(session, order, here.application.clock)
    return _shown(decided)


def end_quality_event(asked: dict[str, Any], event_id: int) -> dict[str, Any]:
    """Say when a quality event ended that lasted."""
    here = visit()
    order = EndOrder(event_id, asked["ends_at"], here.scope)
    with here.writing() as session:
        ended = end_quality(session, order, here.application.clock)
    return _shown(ended)


def _shown(one: StoredQuality) -> dict[str, Any]:
    return {
        "id": one.id,
        "building": one.building_code,
        "premises_number": one.premises_number,
        "service": str(one.commodity),
        "kind": str(one.kind),
        "basis": str(one.basis),
        "starts_at": one.starts_at,
        "ends_at": one.ends_at,
        "measured_tenths": one.measured_tenths,
        "required_tenths": one.required_tenths,
        "document": one.document,
        "note": one.note,
        "state": str(one.state),
        "recorded_by": one.recorded_by,
        "recorded_at": one.recorded_at,
        "decided_by": one.decided_by,
        "decided_at": one.decided_at,
    }
