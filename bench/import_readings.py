"""How fast half hours in long form become durable rows of the embedded store."""

import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from kilokassa.app.readings_import import import_readings
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.db.session import Database
from kilokassa.migrations.tables import metadata
from metering.places import Building, Channel, MeteringPoint, PlacesOrder
from metering.service import register_places

POINTS = 2_000
DAYS = 30
INTERVALS = POINTS * DAYS * 48
FIRST_DAY = date(2026, 10, 1)


def run() -> dict[str, object]:
    """Import a month of half hours of 2,000 points; fresh, again, and with every value changed."""
    clock = FixedClock(datetime(2026, 11, 24, tzinfo=UTC))
    with tempfile.TemporaryDirectory(prefix="kilokassa-bench-") as folder:
        database = Database(f"sqlite:///{folder}/bench.sqlite")
        metadata.create_all(database.engine)
        with database.writing() as session:
            register_places(session, _places(), clock)
        by_point, by_time, changed = (Path(folder) / f"{n}.csv" for n in ("point", "time", "other"))
        _write(by_point, seed=1, by_time=False)
        _write(by_time, seed=1, by_time=True)
        _write(changed, seed=2, by_time=False)
        fresh_s, fresh = _timed(database, by_point, clock)
        again_s, again = _timed(database, by_time, clock)
        revised_s, revised = _timed(database, changed, clock)
        assert (fresh.rows, fresh.new, fresh.findings_count) == (INTERVALS, INTERVALS, 0), fresh
        assert (again.rows, again.repeated) == (INTERVALS, INTERVALS), again
        assert revised.revised + revised.repeated == INTERVALS, revised
        figures: dict[str, object] = {
            "intervals_per_s": round(INTERVALS / fresh_s),
            "repeated_by_time_per_s": round(INTERVALS / again_s),
            "revised_per_s": round(INTERVALS / revised_s),
            "intervals": INTERVALS,
            "file_mib": round(by_point.stat().st_size / 2**20, 1),
        }
        database.dispose()
    return figures


def _timed(database: Database, path: Path, clock: FixedClock):  # noqa: ANN202
    started = time.perf_counter()
    result = import_readings(database, path, scope=system_scope("bench"), clock=clock)
    return time.perf_counter() - started, result


def _places() -> PlacesOrder:
    codes = [f"P{number:06d}" for number in range(POINTS)]
    return PlacesOrder(
        buildings=(Building("B1", "Benchmark", "Asia/Vladivostok"),),
        points=tuple(MeteringPoint(code, "B1") for code in codes),
        channels=tuple(Channel(code, 30) for code in codes),
    )


def _write(path: Path, *, seed: int, by_time: bool) -> None:
    values = np.random.default_rng(seed).integers(0, 2000, INTERVALS) / 1000
    first = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    times = [
        (first + timedelta(minutes=30) * n).strftime("%Y-%m-%dT%H:%M") for n in range(DAYS * 48)
    ]
    frame = pl.DataFrame(
        {
            "point": np.repeat([f"P{number:06d}" for number in range(POINTS)], len(times)),
            "time": times * POINTS,
            "value": values,
        }
    )
    if by_time:
        frame = frame.sort("time", maintain_order=True)
    frame.write_csv(path, separator=";", float_precision=3)
