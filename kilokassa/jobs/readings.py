"""Commands about readings: import, retry."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kilokassa.core.text import gettext, mark, number_text
from kilokassa.jobs.console import FINDINGS, Console, emit, existing_file, json_option, pass_console
from metering.imports import ImportResult

if TYPE_CHECKING:  # numpy comes with it, and most commands do without
    from kilokassa.app.running import Moved

LISTED_MAX = 50
FORMATS = (
    "auto",
    "csv",
    "wide",
    "turned",
    "80020",
    "greenbutton",
    "parquet",
    "json",
    "registers",
)
"""Those of `kilokassa.app.readings_import`, which takes too long to load for a mere `--help`."""


@click.group()
def readings() -> None:
    """Interval and register readings from files.

    Example: kilokassa readings import october.csv.gz
    """


@readings.command("import")
@click.argument("file", type=existing_file())
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    default="auto",
    help="auto: by the first bytes; csv: intervals in long form, wide: a line a day, turned: a "
    "line a time; 80020 and greenbutton: XML; registers: totals of registers.",
)
@click.option(
    "--unit",
    type=click.Choice(["kwh", "wh"]),
    default="kwh",
    help="Unit of the values, where the format does not say one.",
)
@click.option("--point", help="The metering point of a Green Button file.")
@click.option(
    "--accept-timezone",
    is_flag=True,
    help="Take an 80020 file whose time zone is not the one its sender stated before.",
)
@json_option
@pass_console
def import_file(
    console: Console,
    file: Path,
    file_format: str,
    unit: str,
    point: str | None,
    accept_timezone: bool,
    as_json: bool,
) -> int:
    """Load readings from FILE (packed by gzip or not), again and again without harm.

    A file that cannot be parsed is refused whole, before any of it is loaded. Rows that cannot be
    placed are refused one by one, listed and kept for `kilokassa readings retry`; then the exit
    code is 3. The formats: docs/reference/, readings-*.md, 80020.md and green-button.md.

    Example: kilokassa readings import october.csv.gz --json
    """
    from kilokassa.app.readings_import import import_readings
    from kilokassa.app.running import move_balances

    application = console.installed
    with console.progress(mark("readings")) as progress:
        result = import_readings(
            application.database,
            file,
            fmt=file_format,
            unit=unit,
            point=point,
            accept_timezone=accept_timezone,
            scope=console.scope,
            clock=application.clock,
            progress=progress,
        )
    return _tell(console, result, move_balances(application, result.batch_id), as_json=as_json)


@readings.command("retry")
@click.option("--batch", "batch_id", type=int, help="Only what this import refused.")
@json_option
@pass_console
def retry(console: Console, batch_id: int | None, as_json: bool) -> int:
    """Try again the rows that were refused because their meter was not known.

    Example: kilokassa accounts import new-meters.csv && kilokassa readings retry
    """
    from kilokassa.app.readings_import import retry_refused
    from kilokassa.app.running import move_balances

    application = console.installed
    result = retry_refused(
        application.database, scope=console.scope, clock=application.clock, batch_id=batch_id
    )
    if result is None:
        if as_json:
            emit(None)
        else:
            console.say(mark("No refused row waits for a second try."))
        return 0
    return _tell(console, result, move_balances(application, result.batch_id), as_json=as_json)


def _tell(console: Console, result: ImportResult, moved: "Moved", *, as_json: bool) -> int:
    from kilokassa.app.running import BALANCES_WAIT

    def translate(message: str) -> str:
        return gettext(message, console.language)

    refusals = [refusal.sentence(translate) for refusal in result.refusals]
    findings = [console.finding(finding) for finding in result.findings]
    if as_json:
        emit(
            {
                "batch": result.batch_id,
                "rows": result.rows,
                "new": result.new,
                "repeated": result.repeated,
                "revised": result.revised,
                "refused": result.refused,
                "energy_kwh": result.energy,
                "refusals": refusals,
                "findings_count": result.findings_count,
                "findings": findings,
                "same_as_batch": result.same_as_batch_id,
                "resumed": result.resumed,
                "balances_moved": moved.posted,
                "balances_wait": moved.failed,
            }
        )
        return FINDINGS if result.refused else 0
    console.say(
        mark(
            "%(rows)s rows: %(new)s new, %(repeated)s repeated, %(revised)s revised, "
            "%(refused)s refused; %(energy)s kWh."
        ),
        rows=result.rows,
        new=result.new,
        repeated=result.repeated,
        revised=result.revised,
        refused=result.refused,
        energy=number_text(result.energy, console.language),
    )
    if moved.failed:
        console.warn(BALANCES_WAIT)
    elif moved.posted:
        console.say(mark("Balances that moved: %(count)s."), count=moved.posted)
    if result.resumed:
        console.say(mark("This went on with an import that had been stopped."))
    elif result.same_as_batch_id is not None:
        console.say(mark("The very same file was imported before."))
    for sentences, many in (
        (findings, mark("Findings: %(count)s")),
        (refusals, mark("Refused and kept for a second try: %(count)s")),
    ):
        if sentences:
            count = result.findings_count if sentences is findings else result.refused
            console.say(many, count=count)
        for sentence in sentences[:LISTED_MAX]:
            click.echo(f"  {sentence}")
        if len(sentences) > LISTED_MAX:
            click.echo("  …")
    return FINDINGS if result.refused else 0


COMMANDS = (readings,)
