"""Rehearsal: 20,000 meters, a year of half hours each, from the embedded store to a report.

The database is made once and read once, so that the file cache is warm; then the whole path is
timed in a fresh process: the parts over the executor, both tariffs, the report. Beside it stands
what reading the same bytes costs with sqlite3 and numpy alone, one process, nothing priced.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from billing.accounts import AccountOrder
from billing.models import Measurement, Settlement
from billing.rehearsal import store
from billing.rehearsal.order import Change, RehearsalOrder
from billing.service import RetailerOrder, establish_retailer, open_accounts
from kilokassa.app.rehearsing import rehearse
from kilokassa.app.schema import upgrade
from kilokassa.app.wiring import Application, open_application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import PremisesId
from kilokassa.core.scope import system_scope
from metering.registry.places import (
    Building,
    Channel,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
)
from metering.service import register_places
from tariffs.service import PublishOrder, publish_version

METERS = 20_000
FIRST, LAST = Month(2025, 11), Month(2026, 10)
ZONE = ZoneInfo("Asia/Vladivostok")
SCOPE = system_scope("bench")
DATABASE = "kilokassa.sqlite"
PER_DAY = 48

_TARIFF = """
plan: three_zone
name: {{ru: Трёхзонный, en: Three zones}}
valid_from: {day}
currency: RUB
vat: included
zones:
  peak: [07:00-{morning}:00, 17:00-{evening}:00]
  semi_peak: [{morning}:00-17:00, {evening}:00-23:00]
  night: [23:00-07:00]
prices:
  - from: {day}
    per_kwh: {{peak: {peak}, semi_peak: {semi_peak}, night: {night}}}
source: bench
confidence: high
"""
OLD = _TARIFF.format(
    day="2025-07-01", morning=10, evening=21, peak="7.75", semi_peak="5.54", night="2.07"
)
NEW = _TARIFF.format(
    day="2027-01-01", morning=11, evening=22, peak="8.10", semi_peak="5.61", night="1.89"
)


def run() -> dict[str, object]:
    """Rehearse in a process tree of its own; return its figures and the floor."""
    from bench.harness import peak_of_process

    with tempfile.TemporaryDirectory(prefix="kk-rehearsal-") as name:
        folder = Path(name)
        started = time.perf_counter()
        set_up(folder)
        made_s = time.perf_counter() - started
        floor_s = read_floor(folder)
        child = subprocess.Popen(
            [sys.executable, "-m", "bench.rehearsal", name], stdout=subprocess.PIPE, text=True
        )
        peak = peak_of_process(child.pid)
        output, _ = child.communicate()
        if child.returncode:
            raise RuntimeError("the rehearsal failed")
        figures = json.loads(output.splitlines()[-1])
    return {
        "meters": METERS,
        "intervals": METERS * 365 * PER_DAY,
        **figures,
        "read_floor_s": round(floor_s, 2),
        "set_up_s": round(made_s, 1),
        "peak_mib": peak(),
    }


def timed(folder: Path) -> dict[str, object]:
    """Rehearse once; return the seconds and what the report says."""
    application = _application(folder)
    order = RehearsalOrder("bench", (Change("three_zone", document=NEW),), FIRST, LAST)
    started = time.perf_counter()
    rehearsal_id = rehearse(application, order, scope=SCOPE)
    seconds = time.perf_counter() - started
    with application.database.reading() as session:
        report = json.loads(store.rehearsal(session, SCOPE, rehearsal_id).result)
    figures = report["figures"]
    if figures["accounts"] != METERS or report["refused"]:
        raise RuntimeError(f"{METERS} accounts were to be priced: {figures}")
    return {
        "seconds": round(seconds, 2),
        "old_minor": figures["old_minor"],
        "new_minor": figures["new_minor"],
        "measured_ppm": report["measured_ppm"],
    }


def read_floor(folder: Path) -> float:
    """Return the seconds that one process needs to read and add up the energy, nothing else."""
    first, last = FIRST.first_day.isoformat(), LAST.days[-1].isoformat()
    query = "SELECT energy_wh FROM interval_day WHERE channel_id = ? AND day BETWEEN ? AND ?"
    connection = sqlite3.connect(folder / DATABASE)
    for measured in (False, True):  # the first time only warms the file cache
        started = time.perf_counter()
        whole = 0
        for channel_id in range(1, METERS + 1):
            rows = connection.execute(query, (channel_id, first, last))
            values = np.frombuffer(b"".join(value for (value,) in rows), "<i4")
            whole += int(values.sum(dtype=np.int64))
        if measured:
            return time.perf_counter() - started
    raise AssertionError("the second time returns")


def set_up(folder: Path) -> None:
    """Make the database: accounts through the services, days in one load."""
    application = _application(folder)
    upgrade(application.database)
    clock = application.clock
    numbers = [f"{n:06d}" for n in range(METERS)]
    with application.database.writing() as session:
        establish_retailer(
            session,
            RetailerOrder(
                name="bench",
                inn="2700000024",
                bank_name="bench",
                bic="040813999",
                bank_account="40702810000000000027",
                correspondent_account="30101810000000000999",
                zone=ZONE.key,
                languages=("ru",),
            ),
            clock,
        )
        publish_version(session, PublishOrder(SCOPE, OLD), clock)
        places = register_places(
            session,
            PlacesOrder(
                buildings=(Building("B", "bench", ZONE.key),),
                premises=tuple(Premises("B", number, 5000) for number in numbers),
                points=tuple(MeteringPoint(f"P{number}", "B", number) for number in numbers),
                meters=tuple(Meter(f"P{n}", f"S{n}", date(2024, 1, 1)) for n in numbers),
                channels=tuple(Channel(f"P{number}", 30) for number in numbers),
            ),
            clock,
        )
        open_accounts(
            session,
            [
                AccountOrder(
                    number=number,
                    payer_name="bench",
                    premises_id=PremisesId(places.premises_ids["B", number]),
                    persons=2,
                    opened_on=date(2024, 1, 1),
                    plan_code="three_zone",
                    settlement=Settlement.POSTPAID,
                    measurement=Measurement.INTERVALS,
                )
                for number in numbers
            ],
            clock,
        )
    application.database.dispose()
    _load_days(folder)


def _load_days(folder: Path) -> None:
    connection = sqlite3.connect(folder / DATABASE)
    connection.execute("PRAGMA synchronous = OFF")
    channels = [row[0] for row in connection.execute("SELECT id FROM channel ORDER BY id")]
    columns = (
        "channel_id, day, interval_min, energy_wh, quality, total_wh, missing, revision,"
        " digest, source, recorded_at"
    )
    insert = f"INSERT INTO interval_day ({columns}) VALUES (?, ?, 30, ?, ?, ?, 0, 1, ?, ?, ?)"
    with connection:
        for first in range(0, len(channels), 500):
            connection.executemany(insert, _rows_of(channels[first : first + 500]))
    connection.close()


def _rows_of(channels: list[int]) -> Iterator[tuple[object, ...]]:
    days = (LAST.plus(1).first_day - FIRST.first_day).days
    names = [(FIRST.first_day + timedelta(days=n)).isoformat() for n in range(days)]
    quality, digest = b"\x01" * PER_DAY, b"\x00" * 16
    for channel in channels:
        energy = np.random.default_rng(channel).integers(0, 900, (days, PER_DAY), dtype="<i4")
        totals = energy.sum(axis=1).tolist()
        for day, values, total in zip(names, energy, totals, strict=True):
            yield (
                channel,
                day,
                values.tobytes(),
                quality,
                total,
                digest,
                "bench",
                "2026-11-01 00:00:00.000000",
            )


def _application(folder: Path) -> Application:
    at = local_midnight(date(2026, 11, 3), ZONE)
    return open_application({"KILOKASSA_VAR": str(folder)}, FixedClock(at))


if __name__ == "__main__":
    print(json.dumps(timed(Path(sys.argv[1]))))
