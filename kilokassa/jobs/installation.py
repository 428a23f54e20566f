"""Commands of the installation itself: init, upgrade, doctor, backup, restore, verify."""

import sys
from pathlib import Path
from typing import Any

import click

from kilokassa.core.text import mark
from kilokassa.jobs.console import FINDINGS, Console, emit, existing_file, json_option, pass_console


@click.command()
@click.option("--name", help="Name of the retailer.")
@click.option("--inn", help="ИНН, 10 or 12 digits.")
@click.option("--kpp", default="", help="КПП, 9 digits, if there is one.")
@click.option("--bank-name", help="Name of the bank.")
@click.option("--bic", help="БИК of the bank, 9 digits.")
@click.option("--bank-account", help="Settlement account, 20 digits.")
@click.option("--correspondent-account", help="Correspondent account, 20 digits.")
@click.option("--zone", help="IANA time zone: what a billing month is, such as Europe/Moscow.")
@click.option("--languages", help="ru, en or both with a comma; the first is that of documents.")
@click.option("--address", default="", help="Postal address.")
@click.option("--phone", default="", help="Telephone that documents print.")
@click.option("--email", default="", help="E-mail address that documents print.")
@click.option(
    "--page-url", default="", help="Web address of the account page, which letters point to."
)
@pass_console
def init(console: Console, /, **given: Any) -> None:  # noqa: ANN401 - the options above
    """Make an empty installation: the schema and the retailer, and no log-in.

    What is not given is asked for where there is a terminal.

    \b
    Example: kilokassa init --name "АО Энергосбыт" --inn 7707083893 \\
        --bank-name "ПАО Банк" --bic 044525225 --bank-account 40702810900000000001 \\
        --correspondent-account 30101810400000000225 --zone Europe/Moscow --languages ru,en
    """  # noqa: D301 - click looks for the character itself
    from billing.service import RetailerOrder
    from kilokassa.app.installation import install

    needed = {
        "name": mark("Name of the retailer"),
        "inn": mark("INN"),
        "bank_name": mark("Name of the bank"),
        "bic": mark("BIC"),
        "bank_account": mark("Bank account"),
        "correspondent_account": mark("Correspondent account"),
        "zone": mark("Time zone, such as Europe/Moscow"),
        "languages": mark("Languages, such as ru,en"),
    }
    for field, question in needed.items():
        if given[field] is None:
            given[field] = _ask(console, field, question)
    given["languages"] = tuple(part.strip() for part in given["languages"].split(","))
    order = RetailerOrder(**given)
    install(console.application, order)
    console.say(
        mark("%(name)s is installed in %(url)s. Nobody can sign in yet: kilokassa user add"),
        name=order.name,
        url=console.application.database.url.render_as_string(hide_password=True),
    )


def _ask(console: Console, field: str, question: str) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(f"Missing option '--{field.replace('_', '-')}'.")
    return str(click.prompt(console.text(question), err=True)).strip()


@click.command()
@pass_console
def upgrade(console: Console) -> None:
    """Bring the schema of the database to what this version of the product needs.

    Example: kilokassa backup before.backup && kilokassa upgrade
    """
    from kilokassa.app import schema

    if schema.upgrade(console.application.database):
        console.say(mark("The schema is at step %(step)s now."), step=schema.newest())
    else:
        console.say(mark("The schema was at step %(step)s already."), step=schema.newest())


@click.command()
@json_option
@pass_console
def doctor(console: Console, as_json: bool) -> int:
    """Say what works, what is missing and what to do about it; change nothing.

    The exit code is 3 where something is missing that the product needs.

    Example: kilokassa doctor --json
    """
    from kilokassa.app.doctor import State, examine

    checks = examine(console.application)
    signs = {State.FINE: "✓", State.WARNING: "!", State.PROBLEM: "✗"}
    if as_json:
        emit(
            [
                {
                    "name": check.name,
                    "state": check.state,
                    "message": console.text(check.message, **check.values),
                }
                for check in checks
            ]
        )
    else:
        for check in checks:
            text = console.text(check.message, **check.values)
            click.echo(f"{signs[check.state]} {check.name:<13} {text}")
    return FINDINGS if any(check.state is State.PROBLEM for check in checks) else 0


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_console
def backup(console: Console, file: Path) -> None:
    """Write the whole database to one FILE, while everyone goes on working.

    Example: kilokassa backup /mnt/backups/2026-11-24.backup
    """
    from kilokassa.app.backup import back_up

    with console.progress(mark("backup")) as progress:
        size = back_up(console.installed.database, file, progress=progress)
    console.say(mark("%(file)s: %(size)s bytes, whole and safe on disk."), file=file, size=size)


@click.command()
@click.argument("file", type=existing_file())
@click.option("--replace", is_flag=True, help="Overwrite the installation in the database.")
@pass_console
def restore(console: Console, file: Path, replace: bool) -> None:
    """Let the database become what the backup FILE holds.

    A database that holds an installation is refused unless --replace is given. Stop `serve` and
    `scheduler` first.

    Example: kilokassa restore 2026-11-24.backup --replace
    """
    from kilokassa.app import schema
    from kilokassa.app.backup import restore as restore_file

    application = console.application
    with console.progress(mark("restore")) as progress:
        restore_file(application, file, replace=replace, progress=progress)
    schema.upgrade(application.database)
    console.say(mark("Restored from %(file)s."), file=file)


COMMANDS = (init, upgrade, doctor, backup, restore)
