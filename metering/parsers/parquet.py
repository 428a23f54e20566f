"""Interval values in Parquet (`docs/reference/readings-parquet.md`), read part by part."""

import io
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from metering.days import UWH_PER_WH
from metering.imports import NUMBER_OF, RefusalReason, UnreadableFile
from metering.parsers.cells import Int64, UInt8, energy, numbers, understood, unit_uwh
from metering.parsers.csv_long import QUALITIES
from metering.parsers.detect import NAMES
from metering.parsers.source import ARRIVAL, Arrivals, SeriesIndex
from metering.registry.places import ACTIVE_TAKEN

MAGIC: Final = b"PAR1"
BLOCK_ROWS: Final = 200_000
FREE_ROWS: Final = 5_000_000
ROWS_PER_BYTE: Final = 20
"""Readings take a byte or more each; past the first `FREE_ROWS` more in a byte is a trap."""

UNITS_UWH: Final[Mapping[str, int]] = {
    "Wh": UWH_PER_WH,
    "kWh": 1000 * UWH_PER_WH,
    "varh": UWH_PER_WH,
    "kvarh": 1000 * UWH_PER_WH,
    "kcal": UWH_PER_WH,
    "Gcal": 1_000_000 * UWH_PER_WH,
    "l": UWH_PER_WH,
    "m3": 1000 * UWH_PER_WH,
}
"""Millionths of what a channel counts whole (Wh, varh, kcal, l) in the units of a column `unit`."""

MULTIPLIED: Final = "kilokassa.multiplied"
"""Key of the file's metadata: `yes` where the transformers' ratio is in the values."""

MISSING: Final = {"0": int(Quality.MISSING), "missing": int(Quality.MISSING)}

_FIRST_S: Final = 946_684_800
_END_S: Final = 4_102_444_800
"""The years 2000 to 2099."""


class ParquetReader:
    """Reads one file with the columns point, time and value, and what else is known of a row."""

    def __init__(self, *, unit: str = "kwh") -> None:
        self.index = SeriesIndex()
        self.multiplied = False
        """Whether the file says that the transformers' ratio is in its values."""
        self._unit = unit_uwh(unit)

    def blocks(self, stream: BinaryIO) -> Iterator[Arrivals]:
        """Yield the rows of a file in its order; `line` is the row's number, from 1."""
        with _on_disk(stream) as path:
            try:
                self.multiplied = pl.read_parquet_metadata(path).get(MULTIPLIED) == "yes"
                scan = pl.scan_parquet(path)
                columns = _columns(scan.collect_schema())
                count = int(scan.select(pl.len()).collect().item())
                _check_count(count, path.stat().st_size)
                for first in range(0, count, BLOCK_ROWS):
                    part = scan.select(**columns).slice(first, BLOCK_ROWS).collect()
                    yield self._rows(part, first + 1)
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
                raise UnreadableFile(
                    line=1, problem=mark("the Parquet file is damaged or of a kind not read")
                ) from None

    def _rows(self, part: pl.DataFrame, first_line: int) -> Arrivals:
        lines = np.arange(first_line, first_line + len(part), dtype=np.int64)
        rows: Arrivals = np.zeros(len(part), ARRIVAL)
        rows["line"] = lines
        self._fill_series(rows, part)
        time_fault = _fill_times(rows, part["time"], lines)
        _fill_qualities(rows, part, lines)
        if "interval_min" in part.columns:
            minutes = part["interval_min"].cast(pl.Int64, strict=False).fill_null(0).to_numpy()
            rows["interval_min"] = np.clip(minutes, 0, 2**16 - 1)
        rows["value_uwh"], fault = energy(_values(part["value"], lines), self._units(part, lines))
        missing = rows["quality"] == Quality.MISSING
        fault[missing] = NUMBER_OF[RefusalReason.NO_VALUE]
        rows["fault"] = np.where(time_fault != 0, time_fault, fault)
        return rows

    def _fill_series(self, rows: Arrivals, part: pl.DataFrame) -> None:
        codes = part["point"].cast(pl.String).fill_null("").str.strip_chars()
        channels = (
            part["channel"].cast(pl.String).fill_null("").str.strip_chars()
            if "channel" in part.columns
            else pl.Series([""]).new_from_index(0, len(part))
        )
        keys = pl.DataFrame({"point": codes, "channel": channels})
        distinct = keys.unique(maintain_order=True)
        numbered = distinct.with_columns(
            pl.Series(
                "number",
                [self.index.number(code, own or ACTIVE_TAKEN) for code, own in distinct.rows()],
                dtype=pl.Int32,
            )
        )
        joined = keys.join(numbered, on=["point", "channel"], how="left", maintain_order="left")
        rows["series"] = joined["number"].to_numpy()

    def _units(self, part: pl.DataFrame, lines: Int64) -> int | Int64:
        """Return the millionths in a unit: that of the file, or of each row where it says so."""
        if "unit" not in part.columns:
            return self._unit
        factors = part["unit"].cast(pl.String).replace_strict(UNITS_UWH, default=0)
        unit: Int64 = factors.fill_null(0).cast(pl.Int64).to_numpy()
        if not unit.all():
            place = int(np.argmin(unit != 0))
            raise UnreadableFile(
                line=int(lines[place]),
                problem=mark("%(text)s is not a unit: %(units)s"),
                text=repr(part["unit"][place]),
                units=", ".join(UNITS_UWH),
            )
        return unit


def _check_count(count: int, size: int) -> None:
    if count > max(FREE_ROWS, ROWS_PER_BYTE * size):
        raise UnreadableFile(
            line=1, problem=mark("the compressed file unpacks to more than readings ever do")
        )


def _columns(schema: pl.Schema) -> dict[str, pl.Expr]:
    """Return the columns that are read, by what they hold, whatever they are called."""
    found: dict[str, pl.Expr] = {}
    for name in schema:
        bare = name.strip().casefold()
        known = bare if bare in ("unit", "interval_min") else NAMES.get(bare)
        if known is None:
            continue
        if str(known) in found:
            raise UnreadableFile(line=1, problem=mark("a column is named twice"))
        found[str(known)] = pl.col(name)
    if not {"point", "time", "value"} <= set(found):
        raise UnreadableFile(
            line=1, problem=mark("the header does not name the columns point, time and value")
        )
    return found


def _fill_times(rows: Arrivals, column: pl.Series, lines: Int64) -> UInt8:
    """Read instants, or times by the clock on the wall where the column has no zone."""
    fault = np.zeros(len(rows), np.uint8)
    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        micros = column.cast(pl.Datetime("us", kind.time_zone)).to_physical()
        known = micros.fill_null(-1).to_numpy()
        rows["local"] = kind.time_zone is None
        rows["time_s"] = known // 1_000_000
        fault[known % 1_000_000 != 0] = NUMBER_OF[RefusalReason.OFF_GRID]
    elif kind == pl.String:
        distinct = column.unique(maintain_order=True)
        times = []
        for text in distinct.to_list():
            one = understood(text) if text is not None else None
            if one is None:
                place = int(column.eq_missing(text).arg_max() or 0)
                raise UnreadableFile(
                    line=int(lines[place]),
                    problem=mark("%(text)s is not a time such as 2026-10-01T00:30"),
                    text=repr(text),
                )
            times.append(one)
        places = column.cast(pl.Enum(distinct)).to_physical().to_numpy()
        seconds, local, faults = (np.array(one)[places] for one in zip(*times, strict=True))
        rows["time_s"], rows["local"] = seconds, local
        fault = faults.astype(np.uint8)
    else:
        raise UnreadableFile(
            line=1, problem=mark("the column of times holds %(kind)s"), kind=str(kind)
        )
    out = (rows["time_s"] < _FIRST_S) | (rows["time_s"] >= _END_S)
    fault[out] = NUMBER_OF[RefusalReason.TIME_OUT_OF_RANGE]
    rows["time_s"][out] = 0
    return fault


def _fill_qualities(rows: Arrivals, part: pl.DataFrame, lines: Int64) -> None:
    rows["quality"] = Quality.ACTUAL
    if "quality" not in part.columns:
        return
    texts = part["quality"].cast(pl.String).fill_null("").str.strip_chars().str.to_lowercase()
    known = {text: int(quality) for text, quality in QUALITIES.items()} | MISSING
    qualities = texts.replace_strict(known, default=255, return_dtype=pl.UInt8).to_numpy()
    wrong = np.flatnonzero(qualities == 255)
    if len(wrong):
        place = int(wrong[0])
        raise UnreadableFile(
            line=int(lines[place]),
            problem=mark("%(text)s is not a quality"),
            text=repr(str(part["quality"][place])[:40]),
        )
    rows["quality"] = qualities


def _values(column: pl.Series, lines: Int64) -> npt.NDArray[np.float64]:
    """Return values as numbers, NaN where there is none."""
    kind = column.dtype
    if kind == pl.String:
        return numbers(column.fill_null(""), lines)
    if not kind.is_numeric():
        raise UnreadableFile(
            line=1, problem=mark("the column of values holds %(kind)s"), kind=str(kind)
        )
    if kind == pl.Float32:
        # The shortest decimal that a short float stands for is what its writer meant.
        column = column.cast(pl.String)
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


@contextmanager
def _on_disk(stream: BinaryIO) -> Iterator[Path]:
    """Yield the path of a file with the bytes of `stream`: its own, or a copy that is removed."""
    own = getattr(stream, "name", None)
    if isinstance(stream, io.BufferedReader) and isinstance(own, str) and stream.tell() == 0:
        yield Path(own)
        return
    with tempfile.NamedTemporaryFile(suffix=".parquet") as copy:
        shutil.copyfileobj(stream, cast(BinaryIO, copy), 1024 * 1024)
        copy.flush()
        yield Path(copy.name)
