"""Command of recalculation: put closed months right without waiting for the next close."""

from typing import TYPE_CHECKING

import click

from kilokassa.core.calendar import Month
from kilokassa.core.text import amount_text, mark, month_text, told
from kilokassa.jobs.console import Console, MonthType, emit, json_option, pass_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kilokassa.app.recalculating import Beyond, Preview, RecalculationReport, Wish

LISTED_MAX = 50


@click.command()
@click.option("--month", type=MonthType(), help="Only this closed month.")
@click.option("--account", help="Only the account with this number.")
@click.option("--dry-run", is_flag=True, help="Say what would be posted, and post nothing.")
@json_option
@pass_console
def recalculate(
    console: Console, month: Month | None, account: str | None, dry_run: bool, as_json: bool
) -> None:
    """Put closed months right: reversing and right lines, and a document of the difference.

    Looks at every closed month of which something was learned since: readings, tariffs, prices,
    terms, facts, absences, outages. The next payment document shows the same lines; repeating it
    does no harm. A dry run leaves estimates and common areas as they are.

    Example: kilokassa recalculate --month 2026-10 --dry-run
    """
    from kilokassa.app.recalculating import Wish

    wish = Wish(month=month, account_number=account)
    if dry_run:
        _look(console, wish, as_json)
    else:
        _post(console, wish, as_json)


def _look(console: Console, wish: "Wish", as_json: bool) -> None:
    from kilokassa.app.recalculating import COMPARED_ALL, preview

    application = console.installed
    with application.database.reading() as session:
        found = preview(session, console.scope, wish, at=application.clock.now(), most=COMPARED_ALL)
    if as_json:
        emit(_preview_values(found))
        return
    from invoices.recalculation import REASONS

    language = console.language
    for one in found.pending[:LISTED_MAX]:
        click.echo(
            f"{one.account_number}  {one.month}  "
            f"{amount_text(one.difference_minor, language):>14}  "
            f"{console.text(REASONS[one.reason])}"
        )
    if len(found.pending) > LISTED_MAX:
        click.echo("…")
    if found.pending:
        console.say(
            mark("%(count)s months of accounts would change by %(amount)s in all."),
            count=len(found.pending),
            amount=amount_text(found.difference_minor, language),
        )
    else:
        console.say(mark("All closed months are as they should be."))
    _say_beyond(console, found.beyond)


def _post(console: Console, wish: "Wish", as_json: bool) -> None:
    from kilokassa.app.recalculating import recalculate as run

    with console.progress(mark("accounts")) as progress:
        report = run(console.installed, wish, scope=console.scope, progress=progress)
    if as_json:
        emit(_report_values(console, report))
        return
    if report.corrected:
        console.say(
            mark("%(accounts)s accounts were put right in %(months)s months: %(amount)s in all."),
            accounts=report.corrected,
            months=report.months,
            amount=amount_text(report.difference_minor, console.language),
        )
        console.say(
            mark("Documents of the difference: %(numbers)s."), numbers=_numbers(report.documents)
        )
    else:
        console.say(mark("All closed months are as they should be."))
    for number, warning in report.warnings[:LISTED_MAX]:
        click.echo(f"  {number}: {told(warning, console.language)}")
    _say_beyond(console, report.beyond)


def _numbers(numbers: "Sequence[str]") -> str:
    """Return one number, or the first and the last."""
    return numbers[0] if len(numbers) == 1 else f"{numbers[0]} – {numbers[-1]}"


def _say_beyond(console: Console, beyond: "Sequence[Beyond]") -> None:
    if not beyond:
        return
    from invoices.recalculation import REASONS

    console.say(
        mark("Too far back to be put right of itself, look at them by hand: %(count)s."),
        count=len(beyond),
    )
    for one in beyond[:LISTED_MAX]:
        month = month_text(one.month, console.language)
        click.echo(f"  {one.account_number}  {month}  {console.text(REASONS[one.reason])}")


def _beyond_values(beyond: "Sequence[Beyond]") -> list[dict[str, object]]:
    return [
        {"account": one.account_number, "month": one.month, "reason": one.reason} for one in beyond
    ]


def _preview_values(found: "Preview") -> dict[str, object]:
    return {
        "shown_in": found.shown_in,
        "difference_minor": found.difference_minor,
        "pending": [
            {
                "account": one.account_number,
                "month": one.month,
                "reason": one.reason,
                "difference_minor": one.difference_minor,
            }
            for one in found.pending
        ],
        "beyond": _beyond_values(found.beyond),
    }


def _report_values(console: Console, report: "RecalculationReport") -> dict[str, object]:
    return {
        "corrected": report.corrected,
        "months": report.months,
        "difference_minor": report.difference_minor,
        "documents": list(report.documents),
        "warnings": [
            {"account": number, "warning": told(warning, console.language)}
            for number, warning in report.warnings
        ],
        "beyond": _beyond_values(report.beyond),
    }


COMMANDS = (recalculate,)
