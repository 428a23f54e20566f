"""Readings as files: CSV and Parquet on asking, 80020 as a deed, since it takes numbers."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.app.readings_export import ExportFormat, ExportOrder
from kilokassa.web.exports import MEDIA_TYPES, export_answer
from kilokassa.web.visit import visit

BINARY = {"schema": {"type": "string", "format": "binary"}}


class ExchangeQuery(Schema):
    """Which local days, both included, and of which building."""

    first = fields.Date(
        required=True, data_key="from", metadata={"description": "First local day."}
    )
    last = fields.Date(
        required=True, data_key="to", metadata={"description": "Last local day, included."}
    )
    building = fields.String(
        load_default=None,
        validate=validate.Length(1, 100),
        metadata={"description": "Code of a building; all in reach where it is not given."},
    )


class ExportQuery(ExchangeQuery):
    """Which values, and in which format."""

    format = fields.String(
        load_default="csv",
        validate=validate.OneOf([str(ExportFormat.CSV), str(ExportFormat.PARQUET)]),
    )


def _files(*formats: ExportFormat) -> dict[str, Any]:
    content = {MEDIA_TYPES[fmt]: BINARY for fmt in formats}
    return {"responses": {"200": {"description": "The file.", "content": content}}}


def add_routes(api: Blueprint) -> None:
    """Add the routes of exports."""
    api.route("/readings/export")(
        api.arguments(ExportQuery, location="query")(
            api.doc(**_files(ExportFormat.CSV, ExportFormat.PARQUET))(export_readings)
        )
    )
    api.route("/readings/export/80020", methods=["POST"])(
        api.arguments(ExchangeQuery, location="query")(
            api.doc(**_files(ExportFormat.EXCHANGE))(export_exchange)
        )
    )


def export_readings(asked: dict[str, Any]) -> Response:
    """Return every interval value in reach, with channel, quality and revision."""
    order = ExportOrder(
        ExportFormat(asked["format"]), asked["first"], asked["last"], asked["building"]
    )
    return export_answer(visit(), order)


def export_exchange(asked: dict[str, Any]) -> Response:
    """Make 80020 files, one a day and area, and return them as a ZIP archive.

    Each call makes new messages with new numbers, without gaps.
    """
    order = ExportOrder(ExportFormat.EXCHANGE, asked["first"], asked["last"], asked["building"])
    return export_answer(visit(), order)
