"""Tariff plans and their published versions."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields

from kilokassa.web.visit import visit
from tariffs import store as tariffs_store
from tariffs.store import Plan, PublishedVersion


class PlanSchema(Schema):
    """A tariff plan."""

    code = fields.String()
    name = fields.String()
    name_en = fields.String()


class VersionSchema(Schema):
    """A published version; its document is the YAML as it was published."""

    valid_from = fields.Date(attribute="version.valid_from")
    revision = fields.Integer()
    published_at = fields.AwareDateTime()
    digest = fields.String(attribute="version.digest")
    document = fields.String()


class PlanWithVersionsSchema(PlanSchema):
    """A plan with every publication, the latest first."""

    versions = fields.List(fields.Nested(VersionSchema))


def add_routes(api: Blueprint) -> None:
    """Add the routes of tariffs."""
    api.route("/tariffs")(api.response(200, PlanSchema(many=True))(tariffs))
    api.route("/tariffs/<code>")(api.response(200, PlanWithVersionsSchema)(tariff))


def tariffs() -> list[Plan]:
    """List the plans."""
    return list(tariffs_store.plans(visit().session))


def tariff(code: str) -> dict[str, Any]:
    """Show a plan with its versions."""
    session = visit().session
    plan = tariffs_store.plan_by_code(session, code)
    versions: tuple[PublishedVersion, ...] = tariffs_store.published_versions(session, plan.id)
    return {
        "code": plan.code,
        "name": plan.name,
        "name_en": plan.name_en,
        "versions": versions,
    }
