"""Month close: 10,000 accounts with the demo town's mix, from stored readings to statements.

The town is copied until there are accounts enough. One month is closed in setting up, some readings
of it are then corrected, and the close of the next month is what is timed: charges, postings,
corrections and payment documents, without PDFs.
"""

import sys
import tempfile
import time
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import AccountOrder
from billing.service import RetailerOrder, establish_retailer, open_accounts
from heating.service import HeatedHouseOrder, HeatPriceOrder, publish_heat_price, set_heated_house
from invoices import service as invoice_service
from kilokassa.app.closing import close_month
from kilokassa.app.schema import upgrade
from kilokassa.app.wiring import Application, open_application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId, PremisesId
from kilokassa.core.scope import system_scope
from kilokassa.demo.payments import bonus_rules
from kilokassa.demo.population import AccountPlan, TownPlan, town
from kilokassa.demo.prices import HEAT_PLAN, demo_heat_prices, demo_tariffs
from kilokassa.demo.series import day_matrix, heat_readings, register_readings
from metering import store as metering_store
from metering.days import whole_days
from metering.models import MeteringPointRow, MeterRow
from metering.parsers.source import SeriesKey
from metering.registers import RegisterReading
from metering.registry.places import (
    Building,
    Channel,
    Commodity,
    Company,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
)
from metering.service import register_places
from tariffs.service import PublishOrder, publish_version
from wallet.service import TopUpOrder, open_wallets, top_up, verify

ACCOUNTS = 10_000
QUARTER = 2_500
CORRECTED_EVERY = 50
SCOPE = system_scope("bench")


def run() -> dict[str, object]:
    """Close the month for 2,500 and for 10,000 accounts, each in a process tree of its own."""
    small = _measured(QUARTER)
    large = _measured(ACCOUNTS)
    return {
        "accounts": ACCOUNTS,
        "accounts_per_s": round(float(large["accounts_per_s"]), 1),
        "close_s": round(float(large["close_s"]), 2),
        "lines": large["lines"],
        "documents": large["documents"],
        "corrected": large["corrected"],
        "verify_clean": bool(large["clean"] and small["clean"]),
        "verify_s": round(float(large["verify_s"]), 2),
        "peak_mib": large["peak_mib"],
        "peak_mib_quarter": small["peak_mib"],
        "peak_ratio": round(float(large["peak_mib"]) / float(small["peak_mib"]), 3),
    }


def _measured(accounts: int) -> dict[str, float]:
    """Set up in this process, close in a fresh one, so that setting up leaves no memory behind."""
    import json
    import subprocess

    from bench.harness import peak_of_process

    with tempfile.TemporaryDirectory(prefix="kk-close-") as folder:
        for step in ("set-up", "close"):
            child = subprocess.Popen(
                [sys.executable, "-m", "bench.month_close", step, folder, str(accounts)],
                stdout=subprocess.PIPE,
                text=True,
            )
            peak = peak_of_process(child.pid)
            output, _ = child.communicate()
            if child.returncode:
                raise RuntimeError(f"{step} of {accounts} accounts failed")
        found: dict[str, float] = json.loads(output.splitlines()[-1])
        return found | {"peak_mib": peak()}


def set_up(folder: Path, accounts: int) -> None:
    """Make a database of so many accounts with two months of readings, the first one closed."""
    plan = town(date(2026, 11, 1), first_month=Month(2026, 9))
    first = FixedClock(local_midnight(plan.first_day, plan.zone))
    application = _application(folder, first.at)
    upgrade(application.database)
    copies = -(-accounts // len(plan.accounts))
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
                zone=plan.zone.key,
                languages=("ru",),
            ),
            first,
        )
        for document in demo_tariffs(Month(2026, 9)):
            publish_version(session, PublishOrder(SCOPE, document), first)
        for price in demo_heat_prices(Month(2026, 9)):
            order = HeatPriceOrder(HEAT_PLAN, price.valid_from, price.rate_scaled, "S1")
            publish_heat_price(session, order, first)
    left = accounts
    for copy in range(copies):
        chosen = plan.accounts[: min(left, len(plan.accounts))]
        left -= len(chosen)
        _found(application, plan, chosen, copy, first)
    for month in (Month(2026, 9), Month(2026, 10)):
        for copy in range(copies):
            _readings(application, plan, month, copy)
    at = local_midnight(Month(2026, 10).first_day + timedelta(days=2), plan.zone)
    close_month(_at(application, at), Month(2026, 9), scope=SCOPE)
    _correct(application, plan)


def timed_close(folder: Path, accounts: int) -> dict[str, float]:
    """Close October and verify everything; return the figures."""
    zone = town(date(2026, 11, 1), first_month=Month(2026, 9)).zone
    application = _application(folder, local_midnight(date(2026, 11, 3), zone))
    started = time.perf_counter()
    report = close_month(application, Month(2026, 10), scope=SCOPE)
    close_s = time.perf_counter() - started
    if report.charged + report.without_charge != accounts:
        raise RuntimeError(f"{accounts} accounts were to be closed: {report}")
    started = time.perf_counter()
    with application.database.reading() as session:
        faults = [*verify(session), *invoice_service.verify(session)]
    return {
        "accounts_per_s": accounts / close_s,
        "close_s": close_s,
        "lines": report.lines,
        "documents": report.documents,
        "corrected": report.corrected,
        "clean": not faults,
        "verify_s": time.perf_counter() - started,
    }


def _application(folder: Path, at: datetime) -> Application:
    return open_application({"KILOKASSA_VAR": str(folder)}, FixedClock(at))


def _at(application: Application, at: datetime) -> Application:
    return Application(application.settings, application.database, FixedClock(at))


def _found(
    application: Application,
    plan: TownPlan,
    chosen: tuple[AccountPlan, ...],
    copy: int,
    clock: FixedClock,
) -> None:
    accounts = [_copied(account, copy) for account in chosen]
    buildings = [b for b in plan.buildings if any(a.building_code == b.code for a in chosen)]
    heat = [(b, b.heat_meter) for b in buildings if b.heat_meter is not None]
    order = PlacesOrder(
        companies=tuple(Company(c.code, c.name, c.inn) for c in plan.companies),
        buildings=tuple(
            Building(_code(b.code, copy), b.address, plan.zone.key, b.company_code)
            for b in buildings
        ),
        premises=tuple(Premises(a.building_code, a.premises_number, a.area_dm2) for a in accounts),
        points=(
            *(MeteringPoint(a.point_code, a.building_code, a.premises_number) for a in accounts),
            *(
                MeteringPoint(_code(m.point_code, copy), _code(b.code, copy), None, Commodity.HEAT)
                for b, m in heat
            ),
        ),
        meters=(
            *(Meter(a.point_code, a.meter_serial, a.installed_on) for a in accounts),
            *(Meter(_code(m.point_code, copy), m.serial, m.installed_on) for _, m in heat),
        ),
        channels=tuple(
            Channel(a.point_code, a.interval_min) for a in accounts if a.interval_min is not None
        ),
    )
    rules = bonus_rules(plan)
    with application.database.writing() as session:
        places = register_places(session, order, clock)
        for building, _ in heat:
            house = HeatedHouseOrder(
                places.building_ids[_code(building.code, copy)],
                plan.first_day,
                HEAT_PLAN,
                building.common_area_dm2,
            )
            set_heated_house(session, house, clock)
        opened = open_accounts(
            session,
            [
                AccountOrder(
                    number=a.number,
                    payer_name=a.payer_name,
                    premises_id=PremisesId(places.premises_ids[a.building_code, a.premises_number]),
                    persons=a.persons,
                    opened_on=a.opened_on,
                    plan_code=a.plan_code,
                    settlement=a.settlement,
                    measurement=a.measurement,
                )
                for a in accounts
            ],
            clock,
        )
        open_wallets(session, list(opened.ids.values()), clock)
        for number, account in enumerate(accounts):
            if account.settlement == "prepaid":
                for lot, amount_minor in enumerate((700_00, 900_00, 5_000_00)[: 2 + number % 2]):
                    payment = TopUpOrder(
                        account_id=AccountId(opened.ids[account.number]),
                        amount_minor=amount_minor,
                        tender="card",
                        valid_at=clock.at + timedelta(days=35 + lot),
                        zone=plan.zone,
                        actor="bench",
                        idempotency_key=f"{account.number}:{lot}",
                        bonus_rules=rules,
                    )
                    top_up(session, payment, clock)


def _readings(application: Application, plan: TownPlan, month: Month, copy: int) -> None:
    end = local_midnight(month.plus(1).first_day, plan.zone)
    with application.database.writing() as session:
        accounts, energy = day_matrix(plan, month.first_day, month.plus(1).first_day)
        keys = [SeriesKey(_code(a.point_code, copy)) for a in accounts]
        found, _ = metering_store.point_channels(session, keys, SCOPE)
        days = np.array(month.days, "datetime64[D]")
        rows = [n for n, key in enumerate(keys) if key in found]
        channels = np.array([found[keys[n]].channel_id for n in rows])
        block = whole_days(
            30,
            np.repeat(channels, len(days)),
            np.tile(days, len(channels)),
            energy[rows].reshape(-1, 48),
        )
        metering_store.write_days(session, [block], FixedClock(end), source="bench")
        readings = [
            (_code(reading.point_code, copy), reading)
            for reading in (
                *(r for a in plan.register_accounts for r in register_readings(plan, a)),
                *(r for b in plan.buildings for r in heat_readings(plan, b)),
            )
            if reading.taken_at <= end
        ]
        ids = _meters_by_point(session, [code for code, _ in readings])
        metering_store.write_registers(
            session,
            [
                RegisterReading(ids[code], zone, r.taken_at, value, r.quality)
                for code, r in readings
                if code in ids
                for zone, value in r.values
            ],
            FixedClock(end),
            source="bench",
        )


def _meters_by_point(session: Session, codes: list[str]) -> dict[str, int]:
    query = (
        select(MeteringPointRow.code, MeterRow.id)
        .join(MeterRow, MeterRow.point_id == MeteringPointRow.id)
        .where(MeteringPointRow.code.in_(codes))
    )
    return {row.code: row.id for row in session.execute(query)}


def _correct(application: Application, plan: TownPlan) -> None:
    """Correct a day of September for one account in fifty, after its close."""
    day = date(2026, 9, 12)
    with application.database.writing() as session:
        matrix_accounts, energy = day_matrix(plan, day, day + timedelta(days=1))
        keys = [
            (n, SeriesKey(_code(a.point_code, copy)))
            for copy in range(64)
            for n, a in enumerate(matrix_accounts)
            if n % CORRECTED_EVERY == 0
        ]
        found, _ = metering_store.point_channels(session, [key for _, key in keys], SCOPE)
        chosen = [(n, found[key].channel_id) for n, key in keys if key in found]
        block = whole_days(
            30,
            [channel for _, channel in chosen],
            [day] * len(chosen),
            energy[[n for n, _ in chosen], 0] // 2,
        )
        late = FixedClock(local_midnight(date(2026, 10, 20), plan.zone))
        metering_store.write_days(session, [block], late, source="bench")


def _copied(account: AccountPlan, copy: int) -> AccountPlan:
    return replace(
        account,
        number=f"{copy:02d}{account.number[2:]}",
        building_code=_code(account.building_code, copy),
        point_code=_code(account.point_code, copy),
    )


def _code(code: str, copy: int) -> str:
    return f"{copy:02d}-{code}"


if __name__ == "__main__":
    import json

    step, folder, accounts = sys.argv[1:]
    if step == "set-up":
        set_up(Path(folder), int(accounts))
    else:
        print(json.dumps(timed_close(Path(folder), int(accounts))))
