"""What Alembic runs for every command: one database, one transaction, on either engine."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection

from kilokassa.db.session import Database
from kilokassa.db.types import EnumText, UtcDateTime
from kilokassa.migrations.tables import metadata

UPGRADE_LOCK = 0x6B6B5F6D
"""Key of the advisory lock that lets one process migrate at a time on PostgreSQL."""


def run() -> None:
    """Run the steps that `kilokassa.app.schema` asked for, all in one transaction, or none."""
    database: Database = context.config.attributes["database"]
    with database.engine.connect() as connection:
        if database.is_sqlite:
            _on_sqlite(connection)
        else:
            _on_postgresql(connection)


def _on_sqlite(connection: Connection) -> None:
    # Batch mode rebuilds a table, which cascades into its children while foreign keys are on; the
    # pragma is without effect inside a transaction, so it comes first.
    connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    _migrate(connection)
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        raise RuntimeError(f"the migration leaves rows that point nowhere: {broken[:5]!r}")
    connection.commit()


def _on_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql("SET lock_timeout = '10s'")
    connection.exec_driver_sql("SET statement_timeout = '15min'")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})")
    _migrate(connection)
    connection.commit()


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=context.config.attributes.get("batch", False),
        render_item=_render_item,
        compare_type=True,
        transactional_ddl=False,  # the transaction is ours, around everything
    )
    context.run_migrations()


def _render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:  # noqa: ANN401
    """Write our types as what they rest in: a step must not change when a model does."""
    if kind == "type" and isinstance(item, EnumText):
        return "sa.String()"
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


run()
