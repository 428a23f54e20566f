"""Readings: the queue of what looks wrong in them, and the page that takes a file in."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from kilokassa.app.readings_import import import_readings as take_file
from kilokassa.core.errors import DomainError
from kilokassa.core.text import instant_text, mark, sentence
from kilokassa.web import queries, tables
from kilokassa.web.forms import ReadingsForm
from kilokassa.web.kit import export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit
from metering import store as metering_store
from metering.findings import Finding, FindingKind

FINDINGS_SHOWN: Final = 500
_TONES: Final = {
    FindingKind.GAP: "warn",
    FindingKind.DUPLICATE_SAME: "",
    FindingKind.DUPLICATE_DIFFERENT: "bad",
    FindingKind.NEGATIVE: "bad",
    FindingKind.OFF_GRID: "warn",
    FindingKind.REGISTER_BACKWARDS: "bad",
    FindingKind.REGISTER_ROLLOVER: "",
}


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One thing that waits for somebody, as the kit's queue shows it."""

    kind: FindingKind
    tone: str
    text: str
    when: str
    href: str = ""
    link_text: str = ""


def findings() -> ResponseReturnValue:
    """Show what looks wrong in readings, the latest first."""
    here = visit()
    wished = request.args.get("kind", "")
    kind = FindingKind(wished) if wished in set(FindingKind) else None
    found = metering_store.list_findings(here.session, here.scope, kind=kind, limit=FINDINGS_SHOWN)
    if export_asked():
        return tables.findings(found).csv()
    return render_template(
        "console/findings.html",
        active="console.findings",
        entries=finding_entries(here, found),
        total=metering_store.count_findings(here.session, here.scope, kind=kind),
        shown=len(found),
        kinds=tuple(FindingKind),
        kind=kind,
    )


def finding_entries(here: Visit, found: Sequence[Finding]) -> list[QueueEntry]:
    """Return findings as entries of a queue, each with the account it is about."""
    accounts = queries.accounts_of_points(
        here.session, here.scope, [finding.point_code for finding in found]
    )
    entries = []
    for finding in found:
        number, payer = accounts.get(finding.point_code, ("", ""))
        start = instant_text(finding.period.start, here.zone, here.language)
        end = instant_text(finding.period.end, here.zone, here.language)
        entries.append(
            QueueEntry(
                kind=finding.kind,
                tone=_TONES.get(finding.kind, ""),
                text=finding.sentence(translate),
                when=start if start == end else f"{start} – {end}",
                href=url_for("console.account", number=number) if number else "",
                link_text=f"{number} {payer}".strip(),
            )
        )
    return entries


def import_readings() -> ResponseReturnValue:
    """Take a file of readings in, and say what became of every row."""
    here = visit()
    form = ReadingsForm()
    result, refusal = None, ""
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
                    scope=scope,
                    clock=here.application.clock,
                )
            except DomainError as error:
                refusal = sentence(error, here.language)
    refused = bool(refusal) or (request.method == "POST" and result is None)
    answer = render_template(
        "console/import.html",
        active="console.import_readings",
        form=form,
        result=result,
        refusal=refusal,
        refusals=[one.sentence(translate) for one in result.refusals] if result else (),
        findings=[one.sentence(translate) for one in result.findings] if result else (),
        title=translate(mark("Import readings")),
    )
    return answer, 422 if refused else 200
