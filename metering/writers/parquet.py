"""Interval values as a Parquet file (`docs/reference/readings-parquet.md`)."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import polars as pl
from polars.io.plugins import register_io_source

from metering.parsers.parquet import MULTIPLIED
from metering.writers.rows import SCHEMA

ROW_GROUP_ROWS: Final = 200_000


def write_parquet(frames: Iterable[pl.DataFrame], path: Path) -> None:
    """Write frames of `SCHEMA` one after another; memory does not grow with the file."""

    def source(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        yield from frames

    register_io_source(source, schema=SCHEMA).sink_parquet(
        path,
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
        maintain_order=True,
        metadata={MULTIPLIED: "yes"},
    )
