"""Taking in files of readings: the body of the request is the file."""

import tempfile
from pathlib import Path
from typing import Any

from flask import request
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.app.readings_import import FORMATS
from kilokassa.app.readings_import import import_readings as take_file
from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from kilokassa.web.language import translate
from kilokassa.web.visit import visit
from metering.imports import ImportResult


class ImportQuery(Schema):
    """How the file is to be read."""

    format = fields.String(load_default="auto", validate=validate.OneOf(FORMATS))
    unit = fields.String(load_default="kwh", validate=validate.OneOf(["kwh", "wh"]))
    name = fields.String(
        load_default="readings.csv",
        validate=validate.Regexp(r"[\w. -]{1,100}\Z"),
        metadata={"description": "What the file is called in lists."},
    )


class ImportAnswer(Schema):
    """What became of the rows: rows = new + repeated + revised + refused."""

    batch_id = fields.Integer()
    rows = fields.Integer()
    new = fields.Integer()
    repeated = fields.Integer()
    revised = fields.Integer()
    refused = fields.Integer()
    energy_kwh = fields.String()
    same_as_batch_id = fields.Integer(allow_none=True)
    refusals = fields.List(fields.String())
    findings = fields.List(fields.String())
    findings_count = fields.Integer()


CSV_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/gzip": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def add_routes(api: Blueprint) -> None:
    """Add the route of readings."""
    api.route("/readings", methods=["POST"])(
        api.arguments(ImportQuery, location="query")(
            api.response(200, ImportAnswer)(api.doc(**CSV_BODY)(import_readings))
        )
    )


def import_readings(asked: dict[str, Any]) -> dict[str, Any]:
    """Take a file of readings in; the same file again changes nothing."""
    here = visit()
    scope = here.scope
    content = request.get_data()
    if not content:
        raise Invalid(where=mark("file"), problem=mark("it is empty"))
    here.end()  # the import opens sessions of its own
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(asked["name"]).name
        path.write_bytes(content)
        result = take_file(
            here.application.database,
            path,
            fmt=asked["format"],
            unit=asked["unit"],
            scope=scope,
            clock=here.application.clock,
        )
    return _answer(result)


def _answer(result: ImportResult) -> dict[str, Any]:
    return {
        "batch_id": result.batch_id,
        "rows": result.rows,
        "new": result.new,
        "repeated": result.repeated,
        "revised": result.revised,
        "refused": result.refused,
        "energy_kwh": str(result.energy),
        "same_as_batch_id": result.same_as_batch_id,
        "refusals": [one.sentence(translate) for one in result.refusals],
        "findings": [one.sentence(translate) for one in result.findings],
        "findings_count": result.findings_count,
    }
