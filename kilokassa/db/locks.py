"""Locks that are no rows: the leader's of several schedulers, and those of writers in a line.

The database itself would lock rows for the length of a transaction; a leader leads for days. So it
holds a file lock beside the embedded database, or a session's advisory lock on PostgreSQL: both end
with the process, however it ends.
"""

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from kilokassa.db.session import Database

LEADER_KEY: Final = 0x6B6B5F6C
"""Key of the advisory lock on PostgreSQL; needs a direct connection, not a pooler's."""


class LeaderLock:
    """The right to run the jobs of one database; at most one process holds it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._descriptor: int | None = None
        self._connection: Connection | None = None

    def acquire(self) -> bool:
        """Try to become the leader, without waiting; say whether we are it now."""
        if self.is_held():
            return True
        if self._database.is_sqlite:
            return self._lock_file()
        return self._lock_session()

    def is_held(self) -> bool:
        """Say whether we still lead; a lost connection has lost the lock."""
        if self._descriptor is not None:
            return True
        if self._connection is None:
            return False
        try:
            self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Let another process lead; may be called again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._connection is not None:
            # The lock belongs to the server's session, which must end and not return to the pool.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _lock_file(self) -> bool:
        assert self._database.url.database is not None
        file = Path(f"{self._database.url.database}.leader")
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _lock_session(self) -> bool:
        connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        found = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LEADER_KEY})
        if found is not True:
            connection.close()
            return False
        self._connection = connection
        return True


def wait_for(session: Session, name: str) -> None:
    """Let those who write the thing of a name come one after the other, to the transaction's end.

    For what has no row of its own to lock, or not yet. On SQLite writers stand in line already.
    """
    if session.get_bind().dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        session.execute(select(func.pg_advisory_xact_lock(key)))
