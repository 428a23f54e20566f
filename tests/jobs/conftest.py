import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url

from kilokassa.core.text import Language
from kilokassa.db.session import Database
from kilokassa.jobs import cli
from kilokassa.jobs.console import Console
from tests.conftest import fresh_postgresql, named_postgresql

RETAILER = (
    "--name=АО «Проба»",
    "--inn=7707083893",
    "--bank-name=ПАО Банк",
    "--bic=044525225",
    "--bank-account=40702810900000000001",
    "--correspondent-account=30101810400000000225",
    "--zone=Asia/Vladivostok",
    "--languages=ru,en",
)


@dataclass(frozen=True)
class Ended:
    """How a run of the command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> object:
        return json.loads(self.out)


Run = Callable[..., Ended]


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table, or with the installation where the test asks for one.

    The installation is made once by `init` and copied for each test: that takes milliseconds, the
    steps of the schema seconds.
    """
    with_installation = "installed" in request.fixturenames
    if with_installation:
        made: Path = request.getfixturevalue(f"{request.param}_installation")
        shutil.copytree(made / "var", tmp_path / "var")
    if request.param == "sqlite":
        file = tmp_path / "bare.sqlite"
        if with_installation:
            shutil.copyfile(made / "made.sqlite", file)
        database = Database(f"sqlite:///{file}")
        yield database
        database.dispose()
        return
    template = f"installed_{os.getpid()}" if with_installation else "template1"
    with fresh_postgresql(request.getfixturevalue("postgresql_server"), template) as database:
        yield database


@pytest.fixture(scope="session")
def sqlite_installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    _install(f"sqlite:///{folder / 'made.sqlite'}", folder)
    return folder


@pytest.fixture(scope="session")
def postgresql_installation(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: str
) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("installed")
    name = f"installed_{os.getpid()}"
    with named_postgresql(postgresql_server, name):
        url = make_url(postgresql_server).set(database=name)
        _install(url.render_as_string(hide_password=False), folder)
        yield folder


def _install(url: str, folder: Path) -> None:
    console = Console(environ=_environ(url, folder / "var"), chosen=Language.ENGLISH)
    assert cli.run(["init", *RETAILER], console) == 0
    console.installed.database.dispose()


def _environ(url: str, var: Path) -> dict[str, str]:
    return {
        "KILOKASSA_DATABASE_URL": url,
        "KILOKASSA_VAR": str(var),
        "KILOKASSA_WORKERS": "1",
        "PATH": os.environ["PATH"],
    }


@pytest.fixture
def run(
    bare_database: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run the command against a database of its own, in English unless told otherwise."""
    environ = _environ(bare_database.url.render_as_string(hide_password=False), tmp_path / "var")

    def run_command(*arguments: object, language: Language = Language.ENGLISH) -> Ended:
        capfd.readouterr()
        words = [str(word) for word in arguments]
        code = cli.run(words, Console(environ=environ, chosen=language))
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return run_command


@pytest.fixture
def installed(run: Run) -> Run:
    """The command on a database that was made ready by `init`."""
    return run
