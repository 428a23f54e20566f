"""Interval values as CSV in long form (`docs/reference/readings-csv.md`)."""

from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl

HEADER: Final = b"point;channel;time;value;losses;quality;revision\n"


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
            _thousands("value"),
            _thousands("losses"),
            "quality",
            "revision",
        )
        yield lines.write_csv(separator=";", include_header=False).encode()


def _thousands(column: str) -> pl.Expr:
    """Return a column of thousands, without the zeros that a decimal of nine places ends with."""
    text = (pl.col(column).cast(pl.Float64) / 1000).cast(pl.Decimal(18, 9)).cast(pl.String)
    return text.str.strip_chars_end("0").str.strip_chars_end(".")
