"""Long lives: on SQLite in the ordinary run, on PostgreSQL too in the slow one."""

from pathlib import Path

import pytest

LIVES = (
    "test_life_of_",
    "test_moves_with_all_kinds_of_money",
    "test_explained_lines",
    "test_own_data",
    "test_estimated_readings",
    "test_recalculation",
)
"""Months of jobs and closes: what they prove of a database, the tests of its stores prove first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).name.startswith(LIVES) and "postgresql" in item.name:
            item.add_marker(pytest.mark.slow)
