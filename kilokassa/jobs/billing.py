"""Commands of billing: bill a month, verify everything."""

from pathlib import Path

import click

from kilokassa.core.calendar import Month
from kilokassa.core.text import amount_text, mark, told
from kilokassa.jobs.console import FINDINGS, Console, MonthType, emit, json_option, pass_console

LISTED_MAX = 50


@click.command()
@click.option("--month", type=MonthType(), required=True, help="The month to close.")
@click.option("--account", help="Only the account with this number.")
@json_option
@pass_console
def bill(console: Console, month: Month, account: str | None, as_json: bool) -> None:
    """Close a month: charges, postings, payment documents; repeat it without harm.

    Accounts whose month is closed are left alone, apart from corrections that later readings ask
    for. Says what it did and what it left alone, and why.

    Example: kilokassa bill --month 2026-10
    """
    from kilokassa.app.closing import close_month

    with console.progress(mark("accounts")) as progress:
        report = close_month(
            console.installed,
            month,
            scope=console.scope,
            account_number=account,
            progress=progress,
        )
    if as_json:
        emit(
            {
                "month": month,
                "charged": report.charged,
                "without_charge": report.without_charge,
                "already_closed": report.already_closed,
                "corrected": report.corrected,
                "lines": report.lines,
                "documents": report.documents,
                "amount_minor": report.amount_minor,
                "correction_minor": report.correction_minor,
                "warnings": [
                    {"account": number, "warning": told(warning, console.language)}
                    for number, warning in report.warnings
                ],
            }
        )
        return
    language = console.language
    console.say(
        mark("%(month)s: %(charged)s accounts charged %(amount)s in %(lines)s lines."),
        month=month,
        charged=report.charged,
        amount=amount_text(report.amount_minor, language),
        lines=report.lines,
    )
    console.say(mark("Payment documents issued: %(count)s."), count=report.documents)
    if report.corrected:
        console.say(
            mark("Closed months corrected for %(count)s accounts: %(amount)s."),
            count=report.corrected,
            amount=amount_text(report.correction_minor, language),
        )
    if report.already_closed:
        console.say(
            mark("Left alone, because their month was closed before: %(count)s."),
            count=report.already_closed,
        )
    if report.without_charge:
        console.say(
            mark("Closed without a charge, because nothing was measured: %(count)s."),
            count=report.without_charge,
        )
    for number, warning in report.warnings[:LISTED_MAX]:
        click.echo(f"  {number}: {told(warning, console.language)}")
    if len(report.warnings) > LISTED_MAX:
        click.echo("  …")


@click.command()
@click.option(
    "--export",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Check this export of the ledger alone, without any database.",
)
@json_option
@pass_console
def verify(console: Console, export: Path | None, as_json: bool) -> int:
    """Compute every chain, total and digest anew; exit with 3 where one differs.

    Example: kilokassa verify --export ledger.jsonl
    """
    from kilokassa.app.verification import verify_all, verify_export

    if export is not None:
        faults = verify_export(export)
    else:
        with console.progress(mark("wallets")) as progress:
            faults = verify_all(console.installed, progress=progress)
    if as_json:
        emit(
            [
                {
                    "where": fault.where,
                    "problem": console.text(fault.problem),
                    "expected": fault.expected,
                    "found": fault.found,
                }
                for fault in faults
            ]
        )
    elif not faults:
        console.say(mark("Ledger, totals and digests are right."))
    else:
        for fault in faults[:LISTED_MAX]:
            values = f" ({fault.expected} ≠ {fault.found})" if fault.expected else ""
            click.echo(f"{fault.where}: {console.text(fault.problem)}{values}")
        console.say(mark("Faults found: %(count)s."), count=len(faults))
    return FINDINGS if faults else 0


COMMANDS = (bill, verify)
