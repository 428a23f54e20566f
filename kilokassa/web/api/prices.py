"""Price series and peak hours: the list, the days of a series with their revisions, files in."""

from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import request
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, ValidationError, fields, validate

from kilokassa.core.errors import Invalid
from kilokassa.core.money import rate_from_scaled
from kilokassa.core.text import mark
from kilokassa.web.visit import visit
from tariffs.prices import store
from tariffs.prices.files import LARGEST_BYTES
from tariffs.prices.prices import INTERVALS_MIN
from tariffs.prices.service import (
    PeakHoursNamed,
    PricesTaken,
    SeriesOrder,
    begin_series,
    take_file,
    take_peak_hours_file,
)
from tariffs.prices.store import PeakHour, Series

_MOST_DAYS: Final = 400


class PriceSeriesSchema(Schema):
    """A price series with what it holds."""

    code = fields.String()
    name = fields.String()
    name_en = fields.String()
    zone = fields.String(attribute="zone.key")
    interval_min = fields.Integer()
    source = fields.String()
    first_day = fields.Date(allow_none=True)
    last_day = fields.Date(allow_none=True)
    days = fields.Integer()
    missing_days = fields.Integer()
    revised_days = fields.Integer()


def _known_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValidationError("A zone is an IANA name such as Europe/Moscow.") from None


class BeginPriceSeriesSchema(Schema):
    """A series to begin; the same again changes nothing, another grid is refused."""

    code = fields.String(required=True, validate=validate.Regexp(r"[a-z0-9][a-z0-9_-]{0,63}\Z"))
    name = fields.String(required=True, validate=validate.Length(1, 200))
    name_en = fields.String(load_default="", validate=validate.Length(max=200))
    zone = fields.String(required=True, validate=[validate.Length(1, 64), _known_zone])
    interval_min = fields.Integer(load_default=60, validate=validate.OneOf(INTERVALS_MIN))
    source = fields.String(load_default="", validate=validate.Length(max=500))


class PriceDaysQuery(Schema):
    """Which days are asked for, 400 at most."""

    first = fields.Date(required=True)
    last = fields.Date(required=True)


class PriceDaySchema(Schema):
    """A revision of the prices of one local day; the highest revision holds."""

    day = fields.Date()
    revision = fields.Integer()
    prices_per_kwh = fields.List(
        fields.String(), metadata={"description": "Roubles, one an interval of the local day."}
    )
    digest = fields.String()
    source = fields.String()
    actor = fields.String()
    recorded_at = fields.AwareDateTime()


class PricesTakenSchema(Schema):
    """What became of the days of a file."""

    new = fields.List(fields.Date())
    changed = fields.List(fields.Date())
    same = fields.List(fields.Date())


class PriceFileQuery(Schema):
    """What the file is called in lists."""

    name = fields.String(load_default="prices.csv", validate=validate.Regexp(r"[\w. -]{1,100}\Z"))


class PeakHourSchema(Schema):
    """A standing hour of regulated peak."""

    list_code = fields.String()
    starts_at = fields.AwareDateTime()
    source = fields.String()
    actor = fields.String()
    recorded_at = fields.AwareDateTime()


class PeakHoursNamedSchema(Schema):
    """What became of the hours of a file; of each month that it names it states all."""

    months = fields.List(fields.String())
    named = fields.Integer()
    withdrawn = fields.Integer()
    same = fields.Integer()


BODY: Final = {
    "requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}
}


def add_routes(api: Blueprint) -> None:
    """Add the routes of prices."""
    api.route("/prices")(api.response(200, PriceSeriesSchema(many=True))(price_series))
    api.route("/prices", methods=["POST"])(
        api.arguments(BeginPriceSeriesSchema)(
            api.response(201, PriceSeriesSchema)(begin_price_series)
        )
    )
    api.route("/prices/<code>")(
        api.arguments(PriceDaysQuery, location="query")(
            api.response(200, PriceDaySchema(many=True))(price_days)
        )
    )
    api.route("/prices/<code>", methods=["POST"])(
        api.arguments(PriceFileQuery, location="query")(
            api.response(200, PricesTakenSchema)(api.doc(**BODY)(send_prices))
        )
    )
    api.route("/peak-hours/<list_code>")(api.response(200, PeakHourSchema(many=True))(peak_hours))
    api.route("/peak-hours/<list_code>", methods=["POST"])(
        api.arguments(PriceFileQuery, location="query")(
            api.response(200, PeakHoursNamedSchema)(api.doc(**BODY)(send_peak_hours))
        )
    )


def price_series() -> list[Series]:
    """List the price series."""
    here = visit()
    return list(store.all_series(here.session, here.scope))


def begin_price_series(asked: dict[str, Any]) -> Series:
    """Begin a price series."""
    here = visit()
    order = SeriesOrder(here.scope, **asked | {"zone": ZoneInfo(asked["zone"])})
    with here.writing() as session:
        begin_series(session, order, here.application.clock)
    return store.series_by_code(here.session, here.scope, order.code)


def price_days(asked: dict[str, Any], code: str) -> list[dict[str, Any]]:
    """Show the prices of a series by day, with every revision, the oldest first."""
    here = visit()
    series = store.series_by_code(here.session, here.scope, code)
    first, last = asked["first"], asked["last"]
    if not 0 <= (last - first).days < _MOST_DAYS:
        raise Invalid(
            where="last",
            problem=mark("a request asks for 1 to %(most)s days"),
            most=_MOST_DAYS,
        )
    return [
        {
            "day": one.prices.day,
            "revision": one.revision,
            "prices_per_kwh": [str(rate_from_scaled(int(p))) for p in one.prices.prices_scaled],
            "digest": one.prices.digest,
            "source": one.source,
            "actor": one.actor,
            "recorded_at": one.recorded_at,
        }
        for one in store.revisions(here.session, series.id, first, last)
    ]


def send_prices(asked: dict[str, Any], code: str) -> PricesTaken:
    """Take a file of whole days in; the same again changes nothing, others are revisions."""
    here = visit()
    scope, content = here.scope, _body()
    with here.writing() as session:
        return take_file(session, scope, code, content, asked["name"], here.application.clock)


def peak_hours(list_code: str) -> list[PeakHour]:
    """List the standing hours of regulated peak of a list."""
    here = visit()
    return list(store.peak_hours(here.session, here.scope, list_code))


def send_peak_hours(asked: dict[str, Any], list_code: str) -> PeakHoursNamed:
    """State the peak hours of the months that a file names, by the clock of the retailer."""
    here = visit()
    scope, zone, content = here.scope, here.zone, _body()
    with here.writing() as session:
        return take_peak_hours_file(
            session, scope, list_code, zone, content, asked["name"], here.application.clock
        )


def _body() -> bytes:
    return request.stream.read(LARGEST_BYTES + 1)
