"""Services of houses: their prices, which a house has, its common-area electricity by month."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from billing.house import store as house_store
from billing.house.service import AssignOrder, EndOrder, assign_service, end_service
from billing.models import CommonAreaMethod
from kilokassa.core.calendar import Month
from kilokassa.core.money import rate_from_scaled
from kilokassa.web.api.accounts import month_field
from kilokassa.web.visit import visit
from tariffs.services import store as services_store
from tariffs.services.prices import ServicePrice
from tariffs.services.service import ServiceOrder, publish_service

DOCUMENT_MAX = 256 * 1024


class ServiceSchema(Schema):
    """A service and what it costs by its latest price document."""

    code = fields.String()
    service = fields.String()
    name = fields.String()
    name_en = fields.String()
    basis = fields.String(metadata={"description": "meter, water, area, person or common_area."})
    valid_from = fields.Date()
    prices = fields.List(fields.Dict())


class PublishedServiceSchema(Schema):
    """A price document as it was published."""

    valid_from = fields.Date(attribute="price.valid_from")
    revision = fields.Integer()
    digest = fields.String(attribute="price.digest")
    published_at = fields.AwareDateTime()
    document = fields.String()


class ServiceDocumentsSchema(ServiceSchema):
    """A service with every publication, the latest date first."""

    versions = fields.List(fields.Nested(PublishedServiceSchema))


class PublishRequest(Schema):
    """A price document in YAML."""

    document = fields.String(required=True, validate=validate.Length(1, DOCUMENT_MAX))
    replaces = fields.Boolean(
        load_default=False, metadata={"description": "It takes the place of one of its date."}
    )


class PublishAnswer(Schema):
    """What publishing did."""

    code = fields.String()
    valid_from = fields.Date()
    new = fields.Boolean()


class AssignedSchema(Schema):
    """A service that a house has, from a day on."""

    code = fields.String()
    valid_from = fields.Date()
    valid_until = fields.Date(allow_none=True)
    method = fields.String(allow_none=True)
    document = fields.String()
    recorded_at = fields.AwareDateTime()


class CommonAreaMonthSchema(Schema):
    """Common-area electricity of a house in a month, whole watt-hours."""

    month = fields.String()
    method = fields.String(metadata={"description": "What the owners decided."})
    basis = fields.String(metadata={"description": "By what the month is really charged."})
    house_wh = fields.Integer(allow_none=True)
    flats_wh = fields.Integer()
    actual_wh = fields.Integer(allow_none=True)
    carried_in_wh = fields.Integer()
    own_wh = fields.Integer(metadata={"description": "Charged for the month itself."})
    charged_wh = fields.Integer(
        metadata={"description": "With the year before put right, where the month does that."}
    )
    carried_out_wh = fields.Integer()
    area_dm2 = fields.Integer()


class HouseServicesSchema(Schema):
    """The services of a house."""

    building = fields.String()
    services = fields.List(fields.Nested(AssignedSchema))
    common_area = fields.List(fields.Nested(CommonAreaMonthSchema))


class MonthsQuery(Schema):
    """Of which months; the last twelve that are over, without it."""

    first = fields.String(load_default=None, validate=month_field)
    last = fields.String(load_default=None, validate=month_field)


class AssignRequest(Schema):
    """A service for a house from a day on, or the end of one."""

    code = fields.String(required=True, validate=validate.Length(1, 64))
    valid_from = fields.Date(required=True)
    valid_until = fields.Date(load_default=None)
    method = fields.Enum(CommonAreaMethod, by_value=True, load_default=None)
    document = fields.String(load_default="", validate=validate.Length(max=200))


class EndServiceRequest(Schema):
    """The last day of a service."""

    code = fields.String(required=True, validate=validate.Length(1, 64))
    last_day = fields.Date(required=True)


class ChangedAnswer(Schema):
    """Whether that changed anything."""

    changed = fields.Boolean()


def add_routes(api: Blueprint) -> None:
    """Add the routes of services of houses."""
    api.route("/services", endpoint="services")(
        api.response(200, ServiceSchema(many=True))(services)
    )
    api.route("/services", methods=["POST"], endpoint="publish_service")(
        api.arguments(PublishRequest)(api.response(200, PublishAnswer)(publish))
    )
    api.route("/services/<code>", endpoint="service")(
        api.response(200, ServiceDocumentsSchema)(service)
    )
    of_house = "/buildings/<code>/services"
    api.route(of_house, endpoint="house_services")(
        api.arguments(MonthsQuery, location="query")(
            api.response(200, HouseServicesSchema)(house_services)
        )
    )
    api.route(of_house, methods=["POST"], endpoint="assign_house_service")(
        api.arguments(AssignRequest)(api.response(200, ChangedAnswer)(assign))
    )
    api.route(f"{of_house}/end", methods=["POST"], endpoint="end_house_service")(
        api.arguments(EndServiceRequest)(api.response(200, ChangedAnswer)(end))
    )


def services() -> list[dict[str, Any]]:
    """List the services that have prices."""
    found = services_store.service_prices(visit().session)
    return [service_json(documents[-1]) for _, documents in sorted(found.items())]


def service(code: str) -> dict[str, Any]:
    """Show a service with its price documents."""
    versions = services_store.published_services(visit().session, code)
    return service_json(versions[0].price) | {"versions": versions}


def service_json(price: ServicePrice) -> dict[str, Any]:
    """Return a service as a program reads it; rates are strings, exact."""
    return {
        "code": price.code,
        "service": str(price.service),
        "name": price.name,
        "name_en": price.name_en or price.name,
        "basis": str(price.basis),
        "valid_from": price.valid_from,
        "prices": [
            {"from": one.valid_from.isoformat(), "rate": str(rate_from_scaled(one.amount_scaled))}
            for one in price.amounts
        ],
    }


def publish(asked: dict[str, Any]) -> dict[str, Any]:
    """Publish prices of a service for ever; the same document again changes nothing."""
    here = visit()
    order = ServiceOrder(here.scope, asked["document"], replaces=asked["replaces"])
    with here.writing() as session:
        done = publish_service(session, order, here.application.clock)
    return {"code": done.price.code, "valid_from": done.price.valid_from, "new": done.new}


def house_services(asked: dict[str, Any], code: str) -> dict[str, Any]:
    """Show the services of a house and its common-area electricity by month."""
    here = visit()
    house = house_store.house_in_reach(here.session, here.scope, code)
    last = Month.parse(asked["last"]) if asked["last"] else Month.of(here.today).plus(-1)
    first = Month.parse(asked["first"]) if asked["first"] else last.plus(-11)
    months = house_store.common_area_months(here.session, [house.id], first, last)
    return {
        "building": house.code,
        "services": house_store.all_services_of(here.session, house.id),
        "common_area": [
            {
                "month": str(one.month),
                "method": str(one.method),
                "basis": str(one.basis),
                "house_wh": one.house_wh,
                "flats_wh": one.flats_wh,
                "actual_wh": one.actual_wh,
                "carried_in_wh": one.carried_in_wh,
                "own_wh": one.own_wh,
                "charged_wh": one.charged_wh,
                "carried_out_wh": one.carried_out_wh,
                "area_dm2": one.area_dm2,
            }
            for _, one in sorted(months.items())
        ],
    }


def assign(asked: dict[str, Any], code: str) -> dict[str, Any]:
    """Let a house have a service from a day on; the same again changes nothing."""
    here = visit()
    order = AssignOrder(
        scope=here.scope,
        building_code=code,
        service_code=asked["code"],
        valid_from=asked["valid_from"],
        valid_until=asked["valid_until"],
        method=asked["method"],
        document=asked["document"].strip(),
    )
    with here.writing() as session:
        return {"changed": assign_service(session, order, here.application.clock)}


def end(asked: dict[str, Any], code: str) -> dict[str, Any]:
    """Let a service of a house end with a day."""
    here = visit()
    order = EndOrder(here.scope, code, asked["code"], asked["last_day"])
    with here.writing() as session:
        return {"changed": end_service(session, order, here.application.clock)}
