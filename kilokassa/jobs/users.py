"""Commands about users: add, list."""

import sys

import click

from kilokassa.core.scope import Role
from kilokassa.core.text import Language, mark
from kilokassa.jobs.console import Console, emit, json_option, pass_console


@click.group()
def user() -> None:
    """Who may sign in, and what each reaches.

    Example: kilokassa user add operator@example.org --role operator
    """


@user.command("add")
@click.argument("email")
@click.option(
    "--role", type=click.Choice([str(role) for role in Role]), required=True, help="What they do."
)
@click.option("--name", default="", help="How pages greet them.")
@click.option("--language", type=click.Choice([str(each) for each in Language]), default="ru")
@click.option("--account", "accounts", multiple=True, help="Number of an account; repeatable.")
@click.option("--building", "buildings", multiple=True, help="Code of a building; repeatable.")
@click.option("--company", help="Code of a management company.")
@pass_console
def add(
    console: Console,
    email: str,
    role: str,
    name: str,
    language: str,
    accounts: tuple[str, ...],
    buildings: tuple[str, ...],
    company: str | None,
) -> None:
    """Let the owner of EMAIL sign in; the password is asked for, or read from standard input.

    Roles of the retailer's staff reach everything; a resident needs --account, a management
    company --company or --building.

    \b
    Example: kilokassa user add anna@example.org --role resident --account 2799000004
    Example: kilokassa user add op@example.org --role operator < password.txt
    """  # noqa: D301 - click looks for the character itself
    from kilokassa.app.user_admin import NewUser, add_user, checked_password

    application = console.installed
    if sys.stdin.isatty():
        question = console.text(mark("Password (12 characters or more)"))
        again = console.text(mark("The same again"))
        password = click.prompt(question, hide_input=True, err=True, confirmation_prompt=again)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    new = NewUser(
        email=email,
        role=Role(role),
        name=name,
        language=Language(language),
        company_code=company,
        building_codes=buildings,
        account_numbers=accounts,
    )
    checked_password(password)
    with application.database.writing() as session:
        add_user(session, new, password, application.clock)
    console.say(mark("%(email)s can sign in now."), email=email)


@user.command("list")
@json_option
@pass_console
def list_users(console: Console, as_json: bool) -> None:
    """List who may sign in.

    Example: kilokassa user list --json
    """
    from sqlalchemy import select

    from kilokassa.app.users import UserRow

    with console.installed.database.reading() as session:
        found = [
            {"email": row.email, "role": row.role, "name": row.name, "active": row.active}
            for row in session.scalars(select(UserRow).order_by(UserRow.email))
        ]
    if as_json:
        emit(found)
        return
    for each in found:
        click.echo(f"{each['email']}  {each['role']}  {each['name']}")


COMMANDS = (user,)
