"""Rows into PostgreSQL: those of several tables, new and changed, by one statement.

Each table's rows go in as one array a column, so that the statement is the same for one row and for
ten thousand: it is prepared once for a connection, and takes one way to the server and back.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

Rows = Sequence[Mapping[str, Any]]

_BETWEEN: Final = "\x1f"
_NULL: Final = "\x1e"

KEY: Final = "key"
"""In rows that change a table: the id of the row to change; all else is what becomes of it."""


def write_rows(
    connection: Connection,
    new: Mapping[Table, tuple[tuple[str, ...], Rows]],
    changed: Mapping[Table, tuple[tuple[str, ...], Rows]],
) -> None:
    """Insert rows and change rows, in one statement; nothing where there are none.

    Each table comes with the columns that its rows hold; a row to change holds its `key` as well.
    """
    inserts = tuple((table, columns) for table, (columns, rows) in new.items() if rows)
    updates = tuple((table, columns) for table, (columns, rows) in changed.items() if rows)
    if not inserts and not updates:
        return
    values: list[str | list[str | None]] = []
    for table, columns in inserts:
        values += [_packed([row[name] for row in new[table][1]]) for name in columns]
    for table, columns in updates:
        rows = changed[table][1]
        values += [_packed([row[name] for row in rows]) for name in (KEY, *columns)]
    packed = tuple(isinstance(value, str) for value in values)
    connection.exec_driver_sql(_statement(inserts, updates, packed), tuple(values))


def _packed(column: Sequence[Any]) -> str | list[str | None]:
    """Return a column as one text, which the driver sends as it is; else as a list of texts.

    A text is several times faster than a list, whose items are quoted one by one; it cannot be
    where an item holds what parts the items, is what stands for null, or is the only one and empty.
    """
    texts = [_NULL if value is None else _text(value) for value in column]
    joined = _BETWEEN.join(texts)
    nulls = texts.count(_NULL) - column.count(None)
    if joined and not nulls and joined.count(_BETWEEN) == len(texts) - 1:
        return joined
    return [None if value is None else _text(value) for value in column]


def _text(value: Any) -> str:  # noqa: ANN401 - of any column
    if not isinstance(value, datetime):
        return str(value)
    return _utc_text(value) if value.tzinfo is UTC else value.isoformat()


# What is written together mostly has one instant, which takes longer to say than all else. Only in
# UTC: elsewhere the two instants of an hour that comes twice are equal to each other.
_utc_text = lru_cache(maxsize=256)(datetime.isoformat)


@lru_cache(maxsize=64)
def _statement(
    inserts: tuple[tuple[Table, tuple[str, ...]], ...],
    updates: tuple[tuple[Table, tuple[str, ...]], ...],
    packed: tuple[bool, ...],
) -> str:
    parts = []
    how = iter(packed)
    for table, columns in inserts:
        names = ", ".join(columns)
        arrays = ", ".join(_array(table, name, next(how)) for name in columns)
        parts.append(f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays})")  # noqa: S608 - names of ours
    for table, columns in updates:
        arrays = ", ".join(
            [_array(table, "id", next(how)), *(_array(table, name, next(how)) for name in columns)]
        )
        sets = ", ".join(f"{name} = new.{name}" for name in columns)
        names = ", ".join((KEY, *columns))
        parts.append(
            f"UPDATE {table.name} SET {sets}"  # noqa: S608 - names of ours
            f" FROM unnest({arrays}) AS new({names}) WHERE {table.name}.id = new.{KEY}"
        )
    *first, last = parts
    named = ", ".join(f"part{number} AS ({part})" for number, part in enumerate(first))
    return f"WITH {named} {last}" if named else last


def _array(table: Table, name: str, packed: bool) -> str:
    kind = _kind(table.c[name].type)
    if packed:
        return f"string_to_array(%s, E'\\x1f', E'\\x1e')::{kind}[]"
    return f"%s::text[]::{kind}[]"


def _kind(of: TypeEngine[Any]) -> str:
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return of.compile(dialect=dialect)
