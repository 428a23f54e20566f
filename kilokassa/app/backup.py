"""Backups: the embedded database by its own online copy, PostgreSQL by its own tools.

A backup is one file. It is written beside its name and renamed, so that a file under the name asked
for is a whole one; a running installation goes on while it is made.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from kilokassa.app import schema
from kilokassa.app.wiring import Application
from kilokassa.core.errors import DomainError, NotFound
from kilokassa.core.text import mark
from kilokassa.db.session import Database

PAGES_A_STEP: Final = 2_000
_POSTGRESQL_DUMP: Final = b"PGDMP"
_SQLITE: Final = b"SQLite format 3\x00"

Progress = Callable[[int, int], None]


class FileExists(DomainError):
    """There is a file where one is to be written."""

    code = "file_exists"
    template = "The file %(file)s exists; name another one."


class ToolMissing(DomainError):
    """A tool of PostgreSQL is not installed here."""

    code = "tool_missing"
    template = "%(tool)s is not installed; run: apt-get install postgresql-client"


class ToolFailed(DomainError):
    """A tool of PostgreSQL refused; what it said is its own words."""

    code = "tool_failed"
    template = "%(tool)s says: %(words)s"


class NotABackup(DomainError):
    """The file is no backup of the kind that this database takes."""

    code = "not_a_backup"
    template = "The file %(file)s is no whole backup of such a database: nothing was restored."


class NotEmpty(DomainError):
    """A restore would overwrite an installation."""

    code = "not_empty"
    template = "The database holds an installation; add --replace to overwrite it."


def back_up(database: Database, file: Path, *, progress: Progress | None = None) -> int:
    """Write a backup of the whole database to `file`; return its size in bytes."""
    if file.exists():
        raise FileExists(file=file)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        if database.is_sqlite:
            _copy_sqlite(_sqlite_file(database), temporary, progress)
            with closing(sqlite3.connect(temporary)) as copy:
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, no log beside it
        else:
            _run("pg_dump", database.url, ["--format=custom", f"--file={temporary}"])
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    return file.stat().st_size


def restore(
    application: Application, file: Path, *, replace: bool, progress: Progress | None = None
) -> None:
    """Let the database become what the backup holds; refuse to overwrite unless told to."""
    if not file.is_file():
        raise NotFound(what=mark("backup file"), name=str(file))
    database = application.database
    if not replace and not schema.is_empty(database):
        raise NotEmpty
    if database.is_sqlite:
        _check_sqlite(file)
        _copy_sqlite(file, _sqlite_file(database), progress)
    else:
        with file.open("rb") as handle:
            if handle.read(len(_POSTGRESQL_DUMP)) != _POSTGRESQL_DUMP:
                raise NotABackup(file=file)
        name = database.url.database or ""
        options = ["--clean", "--if-exists", "--no-owner", "--single-transaction"]
        database.dispose()
        _run("pg_restore", database.url, [*options, f"--dbname={name}", str(file)])


def _copy_sqlite(source: Path, target: Path, progress: Progress | None) -> None:
    """Copy page by page while others go on; the target is changed in one transaction."""
    target.parent.mkdir(parents=True, exist_ok=True)

    def tell(_status: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress(total - remaining, total)

    with (
        closing(sqlite3.connect(source, isolation_level=None)) as reading,
        closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        writing.execute("PRAGMA busy_timeout=30000")
        # One state from the first page to the last: without it each write of others would let the
        # copy begin anew.
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reading.backup(writing, pages=PAGES_A_STEP, progress=tell)


def _check_sqlite(file: Path) -> None:
    with file.open("rb") as handle:
        if handle.read(len(_SQLITE)) != _SQLITE:
            raise NotABackup(file=file)
    try:
        with closing(
            sqlite3.connect(f"{file.resolve().as_uri()}?immutable=1", uri=True)
        ) as reading:
            sound = reading.execute("PRAGMA quick_check").fetchone() == ("ok",)
            step = reading.execute("SELECT version_num FROM alembic_version").fetchone()
            held = reading.execute("SELECT 1 FROM retailer").fetchone()
    except sqlite3.DatabaseError:
        raise NotABackup(file=file) from None
    if not sound or step is None or held is None:
        raise NotABackup(file=file)


def _sqlite_file(database: Database) -> Path:
    assert database.url.database is not None
    return Path(database.url.database)


def _run(tool: str, url: URL, arguments: list[str]) -> None:
    path = shutil.which(tool)
    if path is None:
        raise ToolMissing(tool=tool)
    # By variables, since every user of the machine can read a command line.
    environ = dict(os.environ)
    query = url.query.get("host")
    for name, value in (
        ("PGHOST", url.host or (query if isinstance(query, str) else None)),
        ("PGPORT", None if url.port is None else str(url.port)),
        ("PGUSER", url.username),
        ("PGPASSWORD", url.password),
        ("PGDATABASE", url.database),
    ):
        if value:
            environ[name] = str(value)
    ended = subprocess.run(  # noqa: S603 - a tool found on the path, its words made here
        [path, *arguments], env=environ, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        words = [line for line in ended.stderr.splitlines() if line.strip()]
        with suppress(StopIteration):
            words = [next(line for line in words if "error:" in line), *words]
        raise ToolFailed(tool=tool, words=words[0].strip() if words else str(ended.returncode))
