"""Cells of tables as energy and as time: what wide CSV files and Parquet have in common."""

from datetime import UTC, date, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from metering.imports import NUMBER_OF, RefusalReason, UnreadableFile
from metering.parsers.csv_long import NO_VALUES, UNITS_UWH, parse_time
from metering.parsers.source import VALUE_MAX_UWH

YEARS: Final = range(2000, 2100)

Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]


def unit_uwh(unit: str) -> int:
    """Return the millionths of a watt-hour in a unit, or refuse one that is not taken."""
    if unit not in UNITS_UWH:
        raise Invalid(
            where="unit", problem=mark("%(unit)s is not a unit: kwh or wh"), unit=repr(unit)
        )
    return UNITS_UWH[unit]


def energy(values: npt.NDArray[np.float64], unit: int | Int64) -> tuple[Int64, UInt8]:
    """Return whole millionths of a watt-hour and the fault of each number, in millionths `unit`.

    Exact for what has at most that many decimals, as `LongCsvReader` proves; NaN is no value.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        exact = np.rint(values * unit)
    fault = np.zeros(len(values), np.uint8)
    fault[exact > VALUE_MAX_UWH] = NUMBER_OF[RefusalReason.TOO_LARGE]
    fault[exact < 0] = NUMBER_OF[RefusalReason.NEGATIVE]
    absent = np.isnan(values)
    fault[absent] = NUMBER_OF[RefusalReason.NO_VALUE]
    exact[absent] = 0
    most = float(VALUE_MAX_UWH)
    return np.clip(exact, -most, most).astype(np.int64), fault


def numbers(texts: pl.Series, lines: Int64) -> npt.NDArray[np.float64]:
    """Read decimal numbers with a point or a comma; what stands for no value is NaN.

    A text that is neither refuses the file by the line of `lines` that it stands in.
    """
    bare = texts.str.strip_chars().str.replace(",", ".", literal=True)
    number = bare.cast(pl.Float64, strict=False)
    none = number.is_null()
    if none.any():
        wrong = none & ~bare.str.to_lowercase().is_in(sorted(NO_VALUES))
        if wrong.any():
            place = int(wrong.arg_max() or 0)
            raise UnreadableFile(
                line=int(lines[place]),
                problem=mark("%(text)s is not a number"),
                text=repr(texts[place][:40]),
            )
        number = number.fill_null(float("nan"))
    return number.to_numpy()


def wall_day(text: str) -> date | None:
    """Read `2026-10-01` or `01.10.2026`; None if it is neither."""
    try:
        if text[2:3] == ".":
            return date(int(text[6:]), int(text[3:5]), int(text[:2]))
        return date.fromisoformat(text)
    except ValueError:
        return None


def understood(text: str) -> tuple[int, bool, int] | None:
    """Return seconds since 1970, whether they are the wall's, and a fault; None if no time."""
    try:
        instant = parse_time(text.strip())
    except ValueError:
        return None
    local = instant.tzinfo is None
    if instant.year not in YEARS:
        return 0, local, NUMBER_OF[RefusalReason.TIME_OUT_OF_RANGE]
    fault = NUMBER_OF[RefusalReason.OFF_GRID] if instant.microsecond else 0
    return int((instant.replace(tzinfo=UTC) if local else instant).timestamp()), local, fault


def day_start_s(day: date) -> tuple[int, int]:
    """Return the second at which a day begins by the clock on the wall, and a fault."""
    if day.year not in YEARS:
        return 0, NUMBER_OF[RefusalReason.TIME_OUT_OF_RANGE]
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()), 0
