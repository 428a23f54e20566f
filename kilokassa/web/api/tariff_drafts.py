"""Drafts of tariffs: write, check, submit, return, withdraw, publish."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.web import queries
from kilokassa.web.tariff_view import charge_words, check_document
from kilokassa.web.visit import Visit, visit
from tariffs import store as tariffs_store
from tariffs.drafts import store
from tariffs.drafts.draft import Draft
from tariffs.drafts.service import (
    NOTE_MOST,
    TITLE_MOST,
    DraftStepOrder,
    DraftText,
    publish_draft,
    return_draft,
    save_draft,
    submit_draft,
    withdraw_draft,
)
from tariffs.picture import day_pictures, ladder, shown_from, year_picture
from tariffs.plans import TariffVersion

_LONGEST = 256 * 1024
_STEPS = {"submit": submit_draft, "return": return_draft, "withdraw": withdraw_draft}


class DraftStepSchema(Schema):
    """A step in the life of a draft."""

    number = fields.Integer()
    kind = fields.String()
    note = fields.String()
    actor = fields.String()
    recorded_at = fields.AwareDateTime()


class TariffDraftSchema(Schema):
    """A draft; who wrote any text of it cannot publish it."""

    id = fields.Integer()
    title = fields.String()
    plan = fields.String(attribute="plan_code")
    state = fields.String()
    revision = fields.Integer()
    authors = fields.List(fields.String())
    document = fields.String()
    steps = fields.List(fields.Nested(DraftStepSchema))


class DraftTextSchema(Schema):
    """A text to save; of an existing draft with the revision that was read."""

    document = fields.String(required=True, validate=validate.Length(max=_LONGEST))
    title = fields.String(load_default="", validate=validate.Length(max=TITLE_MOST))
    revision = fields.Integer(load_default=0, validate=validate.Range(0, 10**9))


class TakeStepSchema(Schema):
    """A step to take with the draft of the revision that was read."""

    step = fields.String(required=True, validate=validate.OneOf([*_STEPS, "publish"]))
    revision = fields.Integer(required=True, validate=validate.Range(1, 10**9))
    note = fields.String(load_default="", validate=validate.Length(max=NOTE_MOST))
    replaces = fields.Boolean(load_default=False)


class TariffTextSchema(Schema):
    """A tariff document to read; nothing is stored."""

    document = fields.String(required=True, validate=validate.Length(max=_LONGEST))


class ZoneWindowSchema(Schema):
    """A stretch of a local day in one zone."""

    opens_minute = fields.Integer()
    closes_minute = fields.Integer()
    zone = fields.String()
    rate_scaled = fields.Integer(metadata={"description": "Millionths of a rouble per kWh."})


class DayPictureSchema(Schema):
    """A kind of day with its windows."""

    day_types = fields.List(fields.String())
    season = fields.String()
    example = fields.Date()
    windows = fields.List(fields.Nested(ZoneWindowSchema))


class FaultSchema(Schema):
    """What is wrong, and where."""

    line = fields.Integer(allow_none=True)
    field = fields.String()
    message = fields.String(attribute="sentence")


class RungSchema(Schema):
    """A range of consumption; without a border it is the last, or follows from a norm."""

    number = fields.Integer()
    above_wh = fields.Integer()
    up_to_wh = fields.Integer(allow_none=True)
    percent = fields.Integer(allow_none=True)
    rates_scaled = fields.Function(lambda one: {str(zone): rate for zone, rate in one.rates})


class ChargeWordsSchema(Schema):
    """What is charged beside energy by zone, in words of the reader's language."""

    name = fields.String()
    words = fields.String()


class TariffPictureSchema(Schema):
    """What a version looks like from today on."""

    plan = fields.String()
    valid_from = fields.Date()
    digest = fields.String()
    days = fields.List(fields.Nested(DayPictureSchema))
    ladder = fields.List(fields.Nested(RungSchema))
    charges = fields.List(fields.Nested(ChargeWordsSchema))
    new_prices = fields.List(
        fields.Date(), metadata={"description": "Days of this year from which other prices hold."}
    )


class CheckedSchema(TariffPictureSchema):
    """What a document says, or what is wrong with it and where."""

    right = fields.Boolean()
    faults = fields.List(fields.Nested(FaultSchema))


def add_routes(api: Blueprint) -> None:
    """Add the routes of drafts."""
    api.route("/tariff-drafts")(api.response(200, TariffDraftSchema(many=True))(tariff_drafts))
    begin = api.arguments(DraftTextSchema)(api.response(201, TariffDraftSchema)(begin_tariff_draft))
    api.route("/tariff-drafts", methods=["POST"])(begin)
    one = "/tariff-drafts/<int:draft_id>"
    api.route(one)(api.response(200, TariffDraftSchema)(tariff_draft))
    save = api.arguments(DraftTextSchema)(api.response(200, TariffDraftSchema)(save_tariff_draft))
    api.route(one, methods=["PUT"])(save)
    step = api.arguments(TakeStepSchema)(api.response(200, TariffDraftSchema)(step_tariff_draft))
    api.route(f"{one}/steps", methods=["POST"])(step)
    check = api.arguments(TariffTextSchema)(api.response(200, CheckedSchema)(check_tariff))
    api.route("/tariffs/check", methods=["POST"])(check)
    picture = api.response(200, TariffPictureSchema)(tariff_picture)
    api.route("/tariffs/<code>/picture")(picture)


def tariff_drafts() -> list[Draft]:
    """List the drafts that are open."""
    here = visit()
    return list(store.drafts(here.session, here.scope))


def begin_tariff_draft(body: dict[str, Any]) -> Draft:
    """Begin a draft; a text with faults is kept too."""
    return _save(visit(), None, body)


def tariff_draft(draft_id: int) -> Draft:
    """Show a draft with its steps."""
    here = visit()
    return store.draft_by_id(here.session, here.scope, draft_id)


def save_tariff_draft(body: dict[str, Any], draft_id: int) -> Draft:
    """Save a text; refused where somebody else saved since `revision`."""
    return _save(visit(), draft_id, body)


def _save(here: Visit, draft_id: int | None, body: dict[str, Any]) -> Draft:
    order = DraftText(here.scope, body["document"], body["title"], draft_id, body["revision"])
    with here.writing() as session:
        return save_draft(session, order, here.application.clock)


def step_tariff_draft(body: dict[str, Any], draft_id: int) -> Draft:
    """Submit, return, withdraw or publish a draft."""
    here = visit()
    order = DraftStepOrder(
        here.scope, draft_id, body["revision"], note=body["note"], replaces=body["replaces"]
    )
    clock = here.application.clock
    with here.writing() as session:
        if body["step"] == "publish":
            publish_draft(session, order, clock)
            return store.draft_by_id(session, here.scope, draft_id)
        return _STEPS[body["step"]](session, order, clock)


def check_tariff(body: dict[str, Any]) -> dict[str, Any]:
    """Read a document and say what it means, or what is wrong at which line."""
    here = visit()
    found = check_document(body["document"], here.language, here.today)
    if found.version is None:
        return {"right": False, "faults": found.faults}
    return {"right": True, "faults": []} | _said(here, found.version)


def tariff_picture(code: str) -> dict[str, Any]:
    """Show what the version of a plan that holds today looks like."""
    here = visit()
    plan = tariffs_store.plan_by_code(here.session, code)
    published = tariffs_store.published_versions(here.session, plan.id)
    begun = [one for one in published if one.version.valid_from <= here.today]
    return _said(here, (begun or published)[0].version)


def _said(here: Visit, version: TariffVersion) -> dict[str, Any]:
    day = shown_from(version, max(here.today, version.valid_from))
    year = year_picture(version, day.year)
    names = queries.plan_names(here.session, here.language)
    return {
        "plan": version.plan_code,
        "valid_from": version.valid_from,
        "digest": version.digest,
        "days": day_pictures(version, day),
        "ladder": ladder(version, day),
        "charges": [
            {"name": name, "words": words}
            for name, words in charge_words(version, day, here.language, names)
        ],
        "new_prices": [one.day for month in year for one in month if one.new_prices],
    }
