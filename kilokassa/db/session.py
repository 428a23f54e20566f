"""The two kinds of session: reading ones refuse to write, writing ones lock from their start."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, InvalidatePoolError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from kilokassa.core.errors import DomainError
from kilokassa.core.text import mark

BUSY_MS = 30_000
"""How long a writer waits for another on SQLite before it gives up."""

IDLE_S = 1.0
"""After how long without use a connection to a server is asked whether it still lives."""


class Unstorable(DomainError):
    """A value that no column holds: a NUL, half a character, a number beyond 64 bits."""

    code = "unstorable"
    template = mark("A value has a character or a size that cannot be kept or looked for.")


class ReadingSession(Session):
    """A session whose statements see one state and which cannot flush."""


class Database:
    """One database, behind its URL; cheap to make, safe to share between threads."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.engine = _engine(url)
        event.listen(self.engine, "handle_error", _refuse_unstorable)

    @property
    def is_sqlite(self) -> bool:
        """Say whether this is the embedded database."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that sees one consistent state and refuses to write."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            else:
                connection.exec_driver_sql(
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
                )
            with ReadingSession(connection, autoflush=False) as session:
                yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a session and its one transaction; it commits at the end, or not at all.

        On SQLite the write lock is taken first (`BEGIN IMMEDIATE`): a session that reads and only
        then writes fails when another has written between. Keep it short: no rendering, no network.
        """
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            with Session(connection, expire_on_commit=False) as session:
                yield session
                session.commit()
            connection.commit()

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


@event.listens_for(ReadingSession, "before_flush")
def _refuse_flush(session: Session, *_: Any) -> None:  # noqa: ANN401 - SQLAlchemy's signature
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("a reading session does not write; open a writing one")


def _refuse_unstorable(context: ExceptionContext) -> None:
    # SQLite's driver and PostgreSQL's each say so in their own way, some before they are asked.
    cause = context.original_exception
    if isinstance(cause, OverflowError | UnicodeEncodeError) or isinstance(
        context.sqlalchemy_exception, DataError
    ):
        raise Unstorable from cause


def _ask_idle(engine: Engine) -> None:
    """Ask a connection that was idle whether it lives: asking each time is a way to the server."""

    @event.listens_for(engine, "checkin")
    def _on_checkin(_connection: Any, record: Any) -> None:  # noqa: ANN401 - of the pool
        record.info["left_at"] = monotonic()

    @event.listens_for(engine, "checkout")
    def _on_checkout(connection: Any, record: Any, _proxy: Any) -> None:  # noqa: ANN401 - of the pool
        left_at = record.info.get("left_at")
        if left_at is None or monotonic() - left_at < IDLE_S:
            return
        dialect = engine.dialect
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    # A statement that failed is written down without its values: those are of people.
    if parsed.get_backend_name() != "sqlite":
        server = create_engine(
            url, hide_parameters=True, connect_args={"options": "-c timezone=UTC"}
        )
        _ask_idle(server)
        return server
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": BUSY_MS / 1000}
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:  # noqa: ANN401 - a DB-API connection
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            f"busy_timeout={BUSY_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-16384",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine
