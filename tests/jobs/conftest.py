import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kilokassa.core.text import Language
from kilokassa.db.session import Database
from kilokassa.jobs import cli
from kilokassa.jobs.console import Console

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


@pytest.fixture
def run(
    bare_database: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run the command against a database of its own, in English unless told otherwise."""
    environ = {
        "KILOKASSA_DATABASE_URL": bare_database.url.render_as_string(hide_password=False),
        "KILOKASSA_VAR": str(tmp_path / "var"),
        "KILOKASSA_WORKERS": "1",
        "PATH": os.environ["PATH"],
    }

    def run_command(*arguments: object, language: Language = Language.ENGLISH) -> Ended:
        capfd.readouterr()
        words = [str(word) for word in arguments]
        code = cli.run(words, Console(environ=environ, chosen=language))
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return run_command


@pytest.fixture
def installed(run: Run) -> Run:
    ended = run("init", *RETAILER)
    assert ended.code == 0, ended.err
    return run
