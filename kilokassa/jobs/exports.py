"""Commands that write readings to files."""

from datetime import date
from pathlib import Path

import click

from kilokassa.core.text import mark
from kilokassa.jobs.console import Console, DayType, emit, json_option, pass_console
from kilokassa.jobs.readings import readings

FORMATS = ("80020", "parquet", "csv")


@readings.command("export")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    required=True,
    help="80020: half hours in XML, a file a day; parquet, csv: all that is known of a value.",
)
@click.option("--from", "first", type=DayType(), required=True, help="First local day.")
@click.option("--to", "last", type=DayType(), required=True, help="Last local day, included.")
@click.option("--building", help="Code of a building; without it all of them.")
@json_option
@pass_console
def export_file(
    console: Console,
    out: Path,
    file_format: str,
    first: date,
    last: date,
    building: str | None,
    as_json: bool,
) -> None:
    """Write interval values to OUT: a file, or for 80020 a folder with a file a day and area.

    An 80020 file has the next number of its sender, whole kWh with the rest carried on, and a
    status on estimates; days of which nothing is known make no file. The formats:
    docs/reference/80020.md, readings-parquet.md, readings-csv.md. CSV is packed where OUT ends
    with .gz.

    Example: kilokassa readings export --format 80020 --from 2026-10-01 --to 2026-10-31 out/
    """
    from kilokassa.app.readings_export import ExportFormat, ExportOrder, export_readings

    order = ExportOrder(ExportFormat(file_format), first, last, building)
    application = console.installed
    with console.progress(mark("readings")) as progress:
        result = export_readings(
            application.database,
            order,
            out,
            scope=console.scope,
            clock=application.clock,
            progress=progress,
        )
    if as_json:
        emit({"files": list(result.files), "values": result.values})
        return
    for file in result.files:
        click.echo(str(file))
    console.say(
        mark("Files: %(files)s, values: %(values)s."),
        files=len(result.files),
        values=result.values,
    )


COMMANDS: tuple[click.Command, ...] = ()
"""None of its own: `export` is a command of the group `readings`."""
