"""Interval values as CSV in long form (`docs/reference/readings-csv.md`)."""

from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl

HEADER: Final = b"point;channel;time;value;quality;revision\n"


def write_csv(frames: Iterable[tuple[str, pl.DataFrame]]) -> Iterator[bytes]:
    """Yield the header and the lines of frames of `SCHEMA`, each with the zone its times are in.

    Values are kWh (kvarh, thousands of kcal, cubic metres), as an import takes them; times carry
    their offset, so that an hour the clock shows twice is two.
    """
    yield HEADER
    for zone, frame in frames:
        lines = frame.select(
            "point",
            "channel",
            pl.col("time").dt.convert_time_zone(zone).dt.to_string("%Y-%m-%dT%H:%M%:z"),
            pl.col("value").cast(pl.Float64) / 1000,
            "quality",
            "revision",
        ).with_columns(pl.col("value").cast(pl.Decimal(18, 9)))
        trimmed = lines.with_columns(_trimmed(pl.col("value").cast(pl.String)))
        yield trimmed.write_csv(separator=";", include_header=False).encode()


def _trimmed(text: pl.Expr) -> pl.Expr:
    """Drop the zeros that a decimal of nine places ends with."""
    return text.str.strip_chars_end("0").str.strip_chars_end(".")
