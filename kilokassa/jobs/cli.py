"""The `kilokassa` command: gathers the groups and ends every run with a code that means something.

0: done. 1: refused, the reason is one sentence on the standard error. 2: wrong usage. 3: done, and
something was found that a person should look at. 130: interrupted.
"""

import sys
from collections.abc import Sequence

import click
from sqlalchemy.exc import DBAPIError

from kilokassa.core.errors import DomainError
from kilokassa.core.text import Language, mark
from kilokassa.jobs import (
    accounts,
    balance,
    billing,
    bonuses,
    comparison,
    debts,
    documents,
    estimates,
    events,
    explain,
    exports,
    facts,
    findings,
    giving,
    heating,
    installation,
    jobs,
    moves,
    notices,
    payments,
    prices,
    rating,
    readings,
    recalculation,
    registry,
    reserves,
    services,
    serving,
    tariffs,
    users,
    walk_rounds,
    wallets,
)
from kilokassa.jobs.console import INTERRUPTED, REFUSED, USAGE, Console
from kilokassa.jobs.help import HelpFormatter

click.Context.formatter_class = HelpFormatter


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kilokassa", prog_name="kilokassa")
@click.option(
    "--lang",
    type=click.Choice([str(language) for language in Language]),
    help="Language of messages; else that of the terminal (LANG).",
)
@click.pass_context
def kilokassa(context: click.Context, lang: str | None) -> None:
    """Billing and digital-tariff prepayment for energy retailers.

    Settings come from the environment; `docs/operating.md` lists them. Without any, the database is
    var/kilokassa.sqlite under the working directory.

    Example: kilokassa init --help
    """
    if lang is not None:
        context.ensure_object(Console).chosen = Language(lang)


for _module in (
    installation,
    users,
    accounts,
    facts,
    moves,
    registry,
    readings,
    walk_rounds,
    exports,
    findings,
    events,
    balance,
    tariffs,
    prices,
    services,
    heating,
    rating,
    comparison,
    estimates,
    billing,
    recalculation,
    explain,
    wallets,
    giving,
    bonuses,
    reserves,
    payments,
    debts,
    documents,
    notices,
    jobs,
    serving,
):
    for _command in _module.COMMANDS:
        kilokassa.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and end the process with its code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None, console: Console | None = None) -> int:
    """Run the command; return its exit code. What is not foreseen keeps its traceback."""
    here = console or Console()
    try:
        code = kilokassa.main(
            None if arguments is None else list(arguments),
            prog_name="kilokassa",
            standalone_mode=False,
            obj=here,
        )
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        error.show()
        return REFUSED
    except (click.Abort, KeyboardInterrupt):
        here.warn(mark("Interrupted; what was finished stays, a repeat goes on from there."))
        return INTERRUPTED
    except DomainError as refusal:
        click.echo(here.sentence(refusal), err=True)
        return REFUSED
    except DBAPIError as error:
        cause = str(error.orig or error).strip().splitlines()[0]
        here.warn(mark("The database refused: %(cause)s"), cause=cause)
        return REFUSED
    except OSError as error:
        if error.filename is None:
            raise
        here.warn(mark("%(file)s: %(cause)s"), file=error.filename, cause=error.strerror)
        return REFUSED
    finally:
        here.close()
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
