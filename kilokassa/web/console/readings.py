"""Readings: the page that takes a file in."""

import tempfile
from pathlib import Path

from flask import render_template, request
from flask.typing import ResponseReturnValue

from kilokassa.app.readings_import import import_readings as take_file
from kilokassa.app.running import BALANCES_WAIT, move_balances
from kilokassa.core.errors import DomainError
from kilokassa.core.text import mark, sentence
from kilokassa.web.forms import ReadingsForm
from kilokassa.web.language import shown, translate
from kilokassa.web.visit import visit
from metering.exchange.codes import TimeZoneChanged


def import_readings() -> ResponseReturnValue:
    """Take a file of readings in, and say what became of every row."""
    here = visit()
    form = ReadingsForm()
    result, moved, refusal, ask_timezone = None, None, "", False
    if request.method == "POST" and form.validate():
        upload = form.file.data
        scope = here.scope
        here.end()  # the import opens sessions of its own
        with tempfile.TemporaryDirectory() as folder:
            name = Path(upload.filename or "").name or "readings.csv"
            path = Path(folder) / name
            upload.save(path)
            try:
                result = take_file(
                    here.application.database,
                    path,
                    unit=form.unit.data,
                    point=(form.point.data or "").strip() or None,
                    accept_timezone=form.accept_timezone.data,
                    scope=scope,
                    clock=here.application.clock,
                )
                moved = move_balances(here.application, result.batch_id)
            except DomainError as error:
                refusal = sentence(error, here.language)
                ask_timezone = isinstance(error, TimeZoneChanged)
    refused = bool(refusal) or (request.method == "POST" and result is None)
    answer = render_template(
        "console/import.html",
        active="console.import_readings",
        form=form,
        result=result,
        moved=moved,
        balances_wait=translate(BALANCES_WAIT) if moved and moved.failed else "",
        refusal=refusal,
        ask_timezone=ask_timezone,
        refusals=[one.sentence(translate) for one in result.refusals] if result else (),
        findings=[one.sentence(translate, shown) for one in result.findings] if result else (),
        title=translate(mark("Import readings")),
    )
    return answer, 422 if refused else 200
