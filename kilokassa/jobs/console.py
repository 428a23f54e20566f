"""What every command shares: the language, the application, how it speaks and how it ends."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from kilokassa.app.wiring import Application, open_application
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.scope import Scope, system_scope
from kilokassa.core.text import Language, gettext, ngettext, number_text
from metering.findings.finding import Finding

REFUSED: Final = 1
USAGE: Final = 2
FINDINGS: Final = 3
"""The command did its work and found something that a person should look at."""
INTERRUPTED: Final = 130

F = TypeVar("F", bound=Callable[..., Any])
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Console:
    """One run of the command: opened by `cli.main`, passed to every command."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    chosen: Language | None = None
    _application: Application | None = None

    @property
    def language(self) -> Language:
        """The language asked for, else that of the terminal."""
        if self.chosen is not None:
            return self.chosen
        named = (self.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        spoken = next(filter(None, named), "")
        return Language.RUSSIAN if spoken.lower().startswith("ru") else Language.ENGLISH

    @property
    def scope(self) -> Scope:
        """Who acts: whoever may run the command may do everything."""
        return system_scope("cli")

    @property
    def application(self) -> Application:
        """The application, its database at whatever step it is."""
        if self._application is None:
            self._application = open_application(self.environ)
        return self._application

    @property
    def installed(self) -> Application:
        """The application, its database at the newest step."""
        import structlog

        from kilokassa.app import schema

        # The standard output is the answer's: with `--json` nothing else may stand there.
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
        application = self.application
        schema.demand_current(application.database)
        return application

    def close(self) -> None:
        """Close what was opened."""
        if self._application is not None:
            self._application.database.dispose()

    def text(self, message: str, **values: object) -> str:
        """Return a message of the catalogue in the language, filled in."""
        return gettext(message, self.language) % values

    def counted(self, one: str, many: str, count: int, **values: object) -> str:
        """Return the form of a counted message."""
        return ngettext(one, many, count, self.language) % ({"count": count} | values)

    def say(self, message: str, **values: object) -> None:
        """Write a message to the standard output."""
        click.echo(self.text(message, **values))

    def warn(self, message: str, **values: object) -> None:
        """Write a message to the standard error."""
        click.echo(self.text(message, **values), err=True)

    def sentence(self, refusal: DomainError) -> str:
        """Return the sentence of a refusal in the language."""
        return refusal.sentence(lambda message: gettext(message, self.language))

    def finding(self, finding: Finding) -> str:
        """Return a finding as a sentence in the language."""
        return finding.sentence(
            lambda message: gettext(message, self.language),
            lambda value: number_text(value, self.language),
        )

    @contextmanager
    def progress(self, message: str) -> Iterator[Progress]:
        """Show how far long work has come, on a terminal's standard error and nowhere else."""
        if not sys.stderr.isatty():
            yield lambda _done, _whole: None
            return
        with click.progressbar(length=1, label=self.text(message), file=sys.stderr) as bar:

            def tell(done: int, whole: int) -> None:
                bar.length = max(whole, 1)
                bar.update(done - bar.pos)

            yield tell


def emit(value: object) -> None:
    """Write one JSON value for a program to read, money as whole kopecks."""
    click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


pass_console = click.make_pass_decorator(Console)


def json_option(command: F) -> F:
    """Let a command answer as JSON."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Answer as one JSON value, for a program."
    )(command)


def existing_file() -> click.Path:
    """Return the type of an argument that names a file which is read."""
    return click.Path(exists=True, dir_okay=False, path_type=Path)


class MonthType(click.ParamType[Month]):
    """A month such as 2026-10."""

    name = "YYYY-MM"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Month:
        """Read the month; another text is a mistake of usage."""
        if isinstance(value, Month):
            return value
        try:
            return Month.parse(str(value))
        except DomainError as refusal:
            self.fail(str(refusal), param, ctx)


class DayType(click.ParamType[date]):
    """A day such as 2026-10-31."""

    name = "YYYY-MM-DD"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> date:
        """Read the day; another text is a mistake of usage."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a day such as 2026-10-31", param, ctx)


def _plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON can hold
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal | StrEnum | Month | Path | date):
        return str(value)
    raise TypeError(f"no JSON form: {value!r}")
