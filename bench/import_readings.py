"""How fast files of half hours become durable rows of the embedded store, and in how much memory.

Every point has four weeks of history, so that what arrives is really checked against its past.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from kilokassa.app.readings_import import import_readings
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.db.session import Database
from kilokassa.migrations.tables import metadata
from metering.days import whole_days
from metering.registry.places import Building, Channel, MeteringPoint, PlacesOrder
from metering.registry.service import register_places
from metering.store import write_days

POINTS = 2_000
DAYS = 30
INTERVALS = POINTS * DAYS * 48
FIRST_DAY = date(2026, 10, 1)
HISTORY_DAYS = 28
EXCHANGE_DAYS = 5
"""Files of 80020: one a day, as senders send them."""
LARGE_DAYS = 209
LARGE_INTERVALS = POINTS * LARGE_DAYS * 48
ZONE = "Asia/Vladivostok"
CLOCK = FixedClock(datetime(2026, 11, 24, tzinfo=UTC))
CODES = [f"P{number:06d}" for number in range(POINTS)]


def run() -> dict[str, object]:
    """Import a month of 2,000 points thrice, days of it as 80020, and 20 million intervals."""
    with tempfile.TemporaryDirectory(prefix="kilokassa-bench-") as name:
        folder = Path(name)
        figures = _long_form(folder) | _exchange(folder)
        figures["peak_mib"] = _peak_mib(folder)
    return figures


def _long_form(folder: Path) -> dict[str, object]:
    database = _database(folder / "long.sqlite")
    by_point, by_time, changed = (folder / f"{n}.csv" for n in ("point", "time", "other"))
    _write(by_point, DAYS, seed=1)
    _write(by_time, DAYS, seed=1, by_time=True)
    _write(changed, DAYS, seed=2)
    fresh_s, fresh = _timed(database, by_point)
    again_s, again = _timed(database, by_time)
    revised_s, revised = _timed(database, changed)
    assert (fresh.rows, fresh.new, fresh.findings_count) == (INTERVALS, INTERVALS, 0), fresh
    assert (again.rows, again.repeated) == (INTERVALS, INTERVALS), again
    assert revised.revised + revised.repeated == INTERVALS, revised
    database.dispose()
    return {
        "intervals_per_s": round(INTERVALS / fresh_s),
        "repeated_by_time_per_s": round(INTERVALS / again_s),
        "revised_per_s": round(INTERVALS / revised_s),
        "intervals": INTERVALS,
        "file_mib": round(by_point.stat().st_size / 2**20, 1),
    }


def _exchange(folder: Path) -> dict[str, object]:
    database = _database(folder / "exchange.sqlite")
    taken_s = 0.0
    for number in range(EXCHANGE_DAYS):
        path = folder / f"80020_7700000000_{number}.xml"
        path.write_bytes(_message(FIRST_DAY + timedelta(days=number), number))
        seconds, result = _timed(database, path)
        assert (result.new, result.findings_count) == (POINTS * 48, 0), result
        taken_s += seconds
    database.dispose()
    return {"intervals_per_s_80020": round(EXCHANGE_DAYS * POINTS * 48 / taken_s)}


def _peak_mib(folder: Path) -> float:
    """Import 20 million intervals in a process of its own; return the most memory it held."""
    database = _database(folder / "large.sqlite")
    database.dispose()
    path = folder / "large.csv"
    _write(path, LARGE_DAYS, seed=3)
    ended = subprocess.run(
        [sys.executable, "-c", "from bench.import_readings import large; large()", str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(ended.stdout)


def large() -> None:
    """Import the large file of a folder; print the peak of this process in MiB."""
    import resource

    folder = Path(sys.argv[1])
    database = Database(f"sqlite:///{folder}/large.sqlite")
    _, result = _timed(database, folder / "large.csv")
    assert (result.new, result.findings_count) == (LARGE_INTERVALS, 0), result
    database.dispose()
    print(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1))


def _timed(database: Database, path: Path):  # noqa: ANN202
    started = time.perf_counter()
    result = import_readings(database, path, scope=system_scope("bench"), clock=CLOCK)
    return time.perf_counter() - started, result


def _database(path: Path) -> Database:
    """Return a store with the points and their history, as random as what will arrive."""
    database = Database(f"sqlite:///{path}")
    metadata.create_all(database.engine)
    order = PlacesOrder(
        buildings=(Building("B1", "Benchmark", ZONE),),
        points=tuple(MeteringPoint(code, "B1") for code in CODES),
        channels=tuple(Channel(code, 30) for code in CODES),
    )
    with database.writing() as session:
        placed = register_places(session, order, CLOCK)
        channel_ids = np.array([placed.channel_ids[code, "A+"] for code in CODES])
        days = np.arange(
            np.datetime64(FIRST_DAY - timedelta(days=HISTORY_DAYS)), np.datetime64(FIRST_DAY)
        )
        block = whole_days(
            30,
            np.repeat(channel_ids, len(days)),
            np.tile(days, POINTS),
            np.random.default_rng(7).integers(0, 2000, (POINTS * len(days), 48)),
        )
        write_days(session, [block], CLOCK, source="bench")
    return database


def _write(path: Path, days: int, *, seed: int, by_time: bool = False) -> None:
    """Write half hours in long form, a point after another or a time after another."""
    values = np.random.default_rng(seed)
    first = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    times = [
        (first + timedelta(minutes=30) * n).strftime("%Y-%m-%dT%H:%M") for n in range(days * 48)
    ]
    at_once = POINTS if by_time else 100
    with path.open("wb") as file:
        file.write(b"point;time;value\n")
        for start in range(0, POINTS, at_once):
            codes = CODES[start : start + at_once]
            frame = pl.DataFrame(
                {
                    "point": np.repeat(codes, len(times)),
                    "time": times * len(codes),
                    "value": values.integers(0, 2000, len(codes) * len(times)) / 1000,
                }
            )
            if by_time:
                frame = frame.sort("time", maintain_order=True)
            frame.write_csv(file, include_header=False, separator=";", float_precision=3)


def _message(day: date, number: int) -> bytes:
    """Return a day of every point as 80020."""
    return "".join(_pieces(day, number)).encode("cp1251")


def _pieces(day: date, number: int) -> Iterator[str]:
    clocks = [f"{n // 2:02d}{n % 2 * 30:02d}" for n in range(48)]
    bounds = [
        f'<period start="{start}" end="{end}"><value>'
        for start, end in zip(clocks, [*clocks[1:], "0000"], strict=True)
    ]
    values = np.random.default_rng(number).integers(0, 3, (POINTS, 48)).tolist()
    yield (
        '<?xml version="1.0" encoding="windows-1251"?>\n'
        f'<message class="80020" version="2" number="{number}">\n<datetime>'
        f"<timestamp>{day:%Y%m%d}235959</timestamp><daylightsavingtime>0</daylightsavingtime>"
        f"<day>{day:%Y%m%d}</day></datetime>\n<sender><inn>7700000000</inn><name>Сети</name>"
        "</sender>\n<area><inn>7700000001</inn><name>Дом</name>\n"
    )
    for code, own in zip(CODES, values, strict=True):
        yield f'<measuringpoint code="{code}" name="Ввод"><measuringchannel code="01" desc="">\n'
        for bound, value in zip(bounds, own, strict=True):
            yield f"{bound}{value}</value></period>\n"
        yield "</measuringchannel></measuringpoint>\n"
    yield "</area></message>\n"
