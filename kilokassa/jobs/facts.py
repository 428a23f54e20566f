"""Commands about dated facts of an account: state one, take one back, look at their history."""

from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from kilokassa.core.ids import AccountId
from kilokassa.core.text import date_text, mark
from kilokassa.jobs.console import Console, DayType, emit, json_option, pass_console

if TYPE_CHECKING:
    from billing.facts.facts import Stated

SUBJECTS = ("plan", "persons", "contracted_power", "area", "absence", "concession")

_since = click.option("--from", "since", type=DayType(), required=True, help="The first day.")
_document = click.option("--document", default="", help="What proves it.")


@click.group()
def account() -> None:
    """What holds for one account from a day on, and what held before.

    Example: kilokassa account history 2799000004
    """


@account.command()
@click.argument("number")
@click.option("--known-at", type=click.DateTime(), help="Only what stood at this instant, in UTC.")
@json_option
@pass_console
def history(console: Console, number: str, known_at: datetime | None, as_json: bool) -> None:
    """Show all that was ever stated of account NUMBER: what, when learned, by whom.

    Example: kilokassa account history 2799000004 --known-at 2026-10-01
    """
    from datetime import UTC

    from billing.facts.store import facts_of, names_of_codes
    from billing.facts.wording import SUBJECTS as WORDS
    from billing.facts.wording import value_text
    from billing.store import account_by_number

    at = None if known_at is None else known_at.replace(tzinfo=UTC)
    language = console.language
    with console.installed.database.reading() as session:
        row = account_by_number(session, console.scope, number)
        found = facts_of(session, console.scope, AccountId(row.id), known_at=at)
        names = names_of_codes(session, language)
    if as_json:
        emit(
            [
                {
                    "id": one.id,
                    "subject": one.subject,
                    "from": one.since,
                    "until": one.until,
                    "value": one.value,
                    "code": one.code,
                    "document": one.document,
                    "actor": one.actor,
                    "recorded_at": one.recorded_at,
                    "superseded_at": one.superseded_at,
                }
                for one in found
            ]
        )
        return
    subject = None
    for one in found:
        if one.subject is not subject:
            subject = one.subject
            click.echo(console.text(WORDS[subject]))
        until = "" if one.until is None else f" – {date_text(one.until, language)}"
        value = value_text(one, language, names)
        gone = "" if one.stands else f"  ({console.text(mark('does not stand any more'))})"
        told = "  ".join(part for part in (one.document, one.actor) if part)
        click.echo(f"  {one.id:>6}  {date_text(one.since, language)}{until}  {value}  {told}{gone}")


@account.command()
@click.argument("number")
@click.argument("count")
@_since
@_document
@json_option
@pass_console
def persons(
    console: Console, number: str, count: str, since: date, document: str, as_json: bool
) -> None:
    """State that COUNT persons are registered at account NUMBER from a day on.

    Example: kilokassa account persons 2799000004 4 --from 2026-09-01
    """
    _state(console, number, "persons", since, as_json, value=count, document=document)


@account.command()
@click.argument("number")
@click.argument("kilowatts")
@_since
@_document
@json_option
@pass_console
def power(
    console: Console, number: str, kilowatts: str, since: date, document: str, as_json: bool
) -> None:
    """State the contracted power of account NUMBER, in kW, from a day on.

    Example: kilokassa account power 2799000004 15 --from 2026-09-01
    """
    _state(console, number, "contracted_power", since, as_json, value=kilowatts, document=document)


@account.command()
@click.argument("number")
@click.argument("area_m2")
@click.option("--handed-in", type=DayType(), required=True, help="When the extract was given.")
@click.option("--document", required=True, help="The extract of the register.")
@json_option
@pass_console
def area(
    console: Console, number: str, area_m2: str, handed_in: date, document: str, as_json: bool
) -> None:
    """State the area of the premises of account NUMBER from the month its extract was handed in.

    Example: kilokassa account area 2799000004 54.3 --handed-in 2026-09-17 --document "EGRN 99"
    """
    _state(console, number, "area", handed_in, as_json, value=area_m2, document=document)


@account.command()
@click.argument("number")
@click.option("--from", "since", type=DayType(), required=True, help="The first full day away.")
@click.option("--until", type=DayType(), required=True, help="The last full day away.")
@click.option("--persons", "count", default="1", show_default=True, help="How many were away.")
@click.option("--document", required=True, help="What proves it.")
@json_option
@pass_console
def absence(
    console: Console,
    number: str,
    since: date,
    until: date,
    count: str,
    document: str,
    as_json: bool,
) -> None:
    """State that persons of account NUMBER were away for full days.

    Example: kilokassa account absence 2799000004 --from 2026-07-01 --until 2026-07-20 --document A1
    """
    _state(console, number, "absence", since, as_json, value=count, until=until, document=document)


@account.command()
@click.argument("number")
@click.argument("code")
@_since
@click.option("--until", type=DayType(), help="The last day, where it has one.")
@click.option("--document", required=True, help="What proves it.")
@json_option
@pass_console
def concession(
    console: Console,
    number: str,
    code: str,
    since: date,
    until: date | None,
    document: str,
    as_json: bool,
) -> None:
    """Grant account NUMBER the concession CODE; repeated with --until it ends on that day.

    Example: kilokassa account concession 2799000004 veteran --from 2026-09-01 --document "No 17"
    """
    _state(console, number, "concession", since, as_json, code=code, until=until, document=document)


@account.command()
@click.argument("number")
@click.argument("code")
@_since
@json_option
@pass_console
def plan(console: Console, number: str, code: str, since: date, as_json: bool) -> None:
    """Let account NUMBER have the tariff plan CODE from any day on.

    Example: kilokassa account plan 2799000004 two_zone --from 2026-09-15
    """
    _state(console, number, "plan", since, as_json, code=code)


@account.command("withdraw")
@click.argument("number")
@click.argument("subject", type=click.Choice(SUBJECTS))
@click.argument("statement", type=int)
@json_option
@pass_console
def take_back(console: Console, number: str, subject: str, statement: int, as_json: bool) -> None:
    """Take a STATEMENT of account NUMBER back; its number is in the history.

    Example: kilokassa account withdraw 2799000004 absence 3
    """
    from billing.facts.facts import Subject
    from billing.facts.service import withdraw
    from billing.store import account_by_number

    application = console.installed
    with application.database.writing() as session:
        row = account_by_number(session, console.scope, number)
        stated = withdraw(
            session,
            console.scope,
            AccountId(row.id),
            Subject(subject),
            statement,
            application.clock,
        )
    _say(console, stated, as_json)


def _state(
    console: Console,
    number: str,
    subject_code: str,
    since: date,
    as_json: bool,
    *,
    value: str = "",
    code: str = "",
    until: date | None = None,
    document: str = "",
) -> None:
    from billing.facts.facts import FactOrder, Subject
    from billing.facts.service import state
    from billing.facts.wording import read_value
    from billing.store import account_by_number

    subject = Subject(subject_code)
    counted = read_value(subject, value) if value else 0
    application = console.installed
    with application.database.writing() as session:
        row = account_by_number(session, console.scope, number)
        order = FactOrder(AccountId(row.id), subject, since, counted, code, until, document)
        stated = state(session, console.scope, order, application.clock)
    _say(console, stated, as_json)


def _say(console: Console, stated: "Stated", as_json: bool) -> None:
    from billing.facts.wording import outcome

    if as_json:
        months = [str(month) for month in stated.closed_months]
        emit({"changed": stated.changed, "closed_months": months})
        return
    message, values = outcome(stated, console.language)
    console.say(message, **values)
    if stated.closed_months:
        click.echo("  kilokassa recalculate --dry-run")


COMMANDS = (account,)
