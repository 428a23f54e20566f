"""Statements that are never changed: a later one supersedes an earlier one, and both stay."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_


def stands(table: Any, known_at: datetime | None) -> ColumnElement[bool]:  # noqa: ANN401 - a mapped class
    """Return the condition that a statement stands now, or stood at an instant.

    `table` has `recorded_at` and `superseded_at`.
    """
    standing: ColumnElement[bool] = table.superseded_at.is_(None)
    if known_at is None:
        return standing
    return and_(table.recorded_at <= known_at, or_(standing, table.superseded_at > known_at))
