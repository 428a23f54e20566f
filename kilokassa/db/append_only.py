"""Tables that only grow: triggers in the database itself refuse an update and a delete.

A service that never changes a row is a promise; this is the proof, on both engines and against
whoever opens the database by hand. Alembic's batch mode rebuilds a table on SQLite and drops its
triggers: a step that does so runs `statements` again.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import DDL, Connection, Table, event, text

REFUSAL: Final = "is append-only"

_GROWING: Final[dict[str, tuple[str, ...]]] = {}


def append_only(table: Table, *, changing: Sequence[str] = ()) -> None:
    """Let rows of a table be added and never deleted, nor changed but in the columns `changing`."""
    _GROWING[table.name] = tuple(changing)
    for dialect in ("sqlite", "postgresql"):
        for statement in statements(table.name, _fixed(table, changing), dialect):
            ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl.execute_if(dialect=dialect))


def missing(connection: Connection) -> tuple[str, ...]:
    """Return the triggers that a database lacks; none where all of them stand."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    else:
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
    standing = set(connection.scalars(text(query)))
    wanted = [f"{table}_{what}" for table in _GROWING for what in ("no_update", "no_delete")]
    return tuple(name for name in wanted if name not in standing)


def _fixed(table: Table, changing: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that may not change."""
    return tuple(column.name for column in table.columns if column.name not in changing)


def statements(table: str, fixed: Sequence[str], dialect: str) -> list[str]:
    """Return what makes the triggers of a table, anew where they stand already."""
    columns = ", ".join(f'"{name}"' for name in fixed)
    refused = {f"{table}_no_update": f"UPDATE OF {columns}", f"{table}_no_delete": "DELETE"}
    make = _on_sqlite if dialect == "sqlite" else _on_postgresql
    return [statement for name, what in refused.items() for statement in make(table, name, what)]


def _on_sqlite(table: str, name: str, what: str) -> list[str]:
    refusal = f"SELECT RAISE(ABORT, '{table} {REFUSAL}')"
    return [
        f"DROP TRIGGER IF EXISTS {name}",
        f'CREATE TRIGGER {name} BEFORE {what} ON "{table}" BEGIN {refusal}; END',
    ]


def _on_postgresql(table: str, name: str, what: str) -> list[str]:
    body = f"BEGIN RAISE EXCEPTION '% {REFUSAL}', TG_TABLE_NAME; END"
    function = "FUNCTION refuse_change()"
    return [
        f"CREATE OR REPLACE {function} RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        f'DROP TRIGGER IF EXISTS {name} ON "{table}"',
        f'CREATE TRIGGER {name} BEFORE {what} ON "{table}" FOR EACH ROW EXECUTE {function}',
    ]
