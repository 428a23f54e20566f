"""Commands about accounts: import."""

from pathlib import Path

import click

from kilokassa.core.text import Language, amount_text, mark
from kilokassa.jobs.console import REFUSED, Console, emit, existing_file, json_option, pass_console

LISTED_MAX = 50


@click.group()
def accounts() -> None:
    """Accounts with their premises, meters and openings.

    Example: kilokassa accounts import accounts.csv --dry-run
    """


@accounts.command("import")
@click.argument("file", type=existing_file())
@click.option("--dry-run", is_flag=True, help="Check everything and write nothing.")
@json_option
@pass_console
def import_file(console: Console, file: Path, dry_run: bool, as_json: bool) -> int:
    """Load accounts, premises, meters, last readings and opening balances from FILE.

    Repeat it without harm. Where one line is refused nothing is loaded, and the exit code is 3. The
    format: docs/reference/accounts-csv.md.

    Example: kilokassa accounts import examples/import/accounts.csv --dry-run
    """
    from kilokassa.app.accounts_import import import_accounts

    application = console.installed
    with console.progress(mark("accounts")) as progress:
        report = import_accounts(
            application.database,
            file,
            dry_run=dry_run,
            scope=console.scope,
            clock=application.clock,
            progress=progress,
        )
    if as_json:
        emit(
            {
                "loaded": report.loaded,
                "dry_run": report.dry_run,
                "new": len(report.new),
                "changed": len(report.changed),
                "unchanged": len(report.unchanged),
                "terms_kept": report.terms_kept,
                "readings_new": report.readings_new,
                "openings_posted": report.openings_posted,
                "lines": report.totals.count,
                "debt_minor": report.totals.debt_minor,
                "advance_minor": report.totals.advance_minor,
                "totals_stated": report.totals_stated,
                "refused": [console.sentence(line) for line in report.refused],
            }
        )
        return REFUSED if report.refused else 0
    for line in report.refused[:LISTED_MAX]:
        click.echo(console.sentence(line), err=True)
    if report.refused:
        console.warn(
            mark("%(count)s refused; nothing was loaded. Correct the file and repeat."),
            count=len(report.refused),
        )
        return REFUSED
    console.say(
        mark(
            "Accounts: %(new)s new, %(changed)s changed, %(unchanged)s unchanged; "
            "%(readings)s readings and %(openings)s openings are new."
        ),
        new=len(report.new),
        changed=len(report.changed),
        unchanged=len(report.unchanged),
        readings=report.readings_new,
        openings=report.openings_posted,
    )
    _say_totals(console, report.totals.count, report.totals.debt_minor, report.totals.advance_minor)
    if not report.totals_stated:
        console.say(mark("The file states no control totals (a line #TOTAL)."))
    if report.terms_kept:
        console.say(
            mark("Their terms differ from the file's and stay as they are: %(numbers)s"),
            numbers=", ".join(report.terms_kept[:LISTED_MAX]),
        )
    if report.dry_run:
        console.say(mark("This was a dry run: nothing was written."))
    return 0


def _say_totals(console: Console, count: int, debt_minor: int, advance_minor: int) -> None:
    language: Language = console.language
    console.say(
        mark("Control totals: %(count)s lines, debt %(debt)s, advance %(advance)s."),
        count=count,
        debt=amount_text(debt_minor, language),
        advance=amount_text(advance_minor, language),
    )


COMMANDS = (accounts,)
