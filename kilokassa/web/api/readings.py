"""Taking in readings: the body of the request is a file of any format, or a batch in JSON."""

import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from flask import request
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.app.readings_import import AUTO, FORMATS
from kilokassa.app.readings_import import import_readings as take_file
from kilokassa.app.running import Moved, move_balances
from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from kilokassa.web.api.accounts import KEY_HEADER, KEY_PATTERN
from kilokassa.web.language import shown, translate
from kilokassa.web.visit import visit
from metering.imports import ImportResult
from metering.parsers.json_batch import JSON_BATCH


class ImportQuery(Schema):
    """How the file is to be read."""

    format = fields.String(
        load_default=AUTO,
        validate=validate.OneOf(FORMATS),
        metadata={"description": "Told by the first bytes where it is not given."},
    )
    unit = fields.String(
        load_default="kwh",
        validate=validate.OneOf(["kwh", "wh"]),
        metadata={"description": "Of values whose format does not say one."},
    )
    point = fields.String(
        load_default=None,
        validate=validate.Length(1, 100),
        metadata={"description": "The metering point of a Green Button file."},
    )
    accept_timezone = fields.Boolean(
        load_default=False,
        metadata={"description": "Take an 80020 file whose time zone is not the one before."},
    )
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
    balances_moved = fields.Integer(
        metadata={"description": "Prepaid accounts that were charged at once for what arrived."}
    )
    balances_wait = fields.Boolean(
        metadata={"description": "Charging failed; the readings stay, the next run charges them."}
    )


class ImportHeader(Schema):
    """The header that makes a request count once."""

    idempotency_key = fields.String(
        data_key=KEY_HEADER, load_default=None, validate=validate.Regexp(KEY_PATTERN)
    )


class BatchItem(Schema):
    """A value of a batch in JSON."""

    point = fields.String(required=True)
    channel = fields.String(metadata={"description": "A+ where it is not given."})
    time = fields.String(
        required=True,
        metadata={"description": "When the interval starts, such as 2026-10-01T00:30Z."},
    )
    value = fields.Raw(
        required=True,
        metadata={"type": ["number", "string", "null"], "description": "Energy of the interval."},
    )
    quality = fields.Raw(metadata={"type": ["integer", "string", "null"]})


_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": BatchItem(many=True)},
            "text/csv": {"schema": {"type": "string"}},
            "application/xml": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": _BINARY,
            "application/gzip": _BINARY,
        },
    }
}


def add_routes(api: Blueprint) -> None:
    """Add the route of readings."""
    api.route("/readings", methods=["POST"])(
        api.arguments(ImportHeader, location="headers")(
            api.arguments(ImportQuery, location="query")(
                api.response(200, ImportAnswer)(api.doc(**BODY)(import_readings))
            )
        )
    )


def import_readings(header: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Take readings in; the same again changes nothing, a key used again is answered as before."""
    here = visit()
    scope = here.scope
    key = header["idempotency_key"]
    fmt = asked["format"]
    if fmt == AUTO and request.mimetype == "application/json":
        fmt = JSON_BATCH
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(asked["name"]).name
        with path.open("wb") as file:
            shutil.copyfileobj(request.stream, file)
        if not path.stat().st_size:
            raise Invalid(where=mark("file"), problem=mark("it is empty"))
        here.end()  # the import opens sessions of its own
        result = take_file(
            here.application.database,
            path,
            fmt=fmt,
            unit=asked["unit"],
            point=asked["point"],
            accept_timezone=asked["accept_timezone"],
            request_key=None if key is None else f"api:{key}",
            scope=scope,
            clock=here.application.clock,
        )
    return _answer(result, move_balances(here.application, result.batch_id))


def _answer(result: ImportResult, moved: Moved) -> dict[str, Any]:
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
        "findings": [one.sentence(translate, shown) for one in result.findings],
        "findings_count": result.findings_count,
        "balances_moved": moved.posted,
        "balances_wait": moved.failed,
    }
