"""What the parts of the interface share: the blueprint, an account by its number, paging."""

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate


def blueprint() -> Blueprint:
    """Return the blueprint of version 1."""
    return Blueprint(
        "api",
        __name__,
        url_prefix="/api/v1",
        description="Every look-up is narrowed to what the user may reach; the rest is not found.",
    )


class PageSchema(Schema):
    """Which part of a list is asked for."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 500))
    offset = fields.Integer(load_default=0, validate=validate.Range(0, 10_000_000))
