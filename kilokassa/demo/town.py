"""The demo town, built and carried on through the services that everyone else uses.

A first call makes twelve full months and the running one up to yesterday; each later call appends
the days since, closes the months that ended and posts what was paid. Nothing is ever made twice:
every step has a key of its own.
"""

import hmac
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, cast
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.models import AccountRow, BillingRunRow, RunKind
from kilokassa.app.closing import close_month
from kilokassa.app.payments import Payment, take_payments
from kilokassa.app.readings_import import import_readings
from kilokassa.app.running import rate_running_months
from kilokassa.app.telling import tell_alarms
from kilokassa.app.user_admin import NewUser, ensure_user
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role
from kilokassa.core.text import mark
from kilokassa.demo.balance import ensure_house_balance
from kilokassa.demo.bonuses import ensure_bonuses
from kilokassa.demo.by_hand import live_by_hand
from kilokassa.demo.debts import ensure_debts
from kilokassa.demo.drafts import ensure_draft
from kilokassa.demo.estimates import live_estimates
from kilokassa.demo.events import ensure_watch
from kilokassa.demo.facts import live_facts
from kilokassa.demo.founding import SCOPE, establish, found
from kilokassa.demo.hourly import live_choices, live_market, live_revision
from kilokassa.demo.microgeneration import live_generation
from kilokassa.demo.moves import ensure_moves
from kilokassa.demo.notices import ensure_notices
from kilokassa.demo.payments import bill_payment, top_ups
from kilokassa.demo.payments_in import ensure_payments_in
from kilokassa.demo.population import ZONE, AccountPlan, TownPlan, real_accounts, town
from kilokassa.demo.real import RealSeries, real_series
from kilokassa.demo.recalculations import live_recalculations
from kilokassa.demo.registry import ensure_registry
from kilokassa.demo.rehearsals import ensure_rehearsal
from kilokassa.demo.reserves import live_reserves
from kilokassa.demo.series import (
    RegisterReadingPlan,
    day_matrix,
    heat_readings,
    readings_csv,
    register_readings,
)
from kilokassa.demo.services import live_services
from metering import store as metering_store
from metering.days import exact_days, whole_days
from metering.models import BuildingRow
from metering.registers import RegisterReading

CLOSING_DAY: Final = 3
"""Day of the next month on which the demo closes a month, once it is that late."""

CORRECTED_PLACE: Final = 12
"""Which of the half-hour accounts has a reading corrected after its month was closed."""

Echo = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """A log-in of the demo: it exists in a database marked as one, and nowhere else."""

    role: Role
    email: str
    password: str


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What there is after the call."""

    accounts: int
    last_closed: Month
    days_added: int
    months_closed: int
    logins: tuple[DemoLogin, ...]


@dataclass(frozen=True, slots=True)
class _Town:
    """The plan with the ids its places have in the database."""

    plan: TownPlan
    accounts: tuple[AccountPlan, ...]
    """All of them, real series included."""
    series: tuple[RealSeries, ...]
    account_ids: dict[str, AccountId]
    channel_ids: dict[str, int]
    meter_ids: dict[tuple[str, str], int]


def ensure_demo(
    application: Application, *, load_series: Path | None = None, echo: Echo = lambda _: None
) -> DemoReport:
    """Build the demo town, or carry it on to today; the database's schema must be current."""
    database, clock = application.database, application.clock
    today = local_date(clock.now(), town_zone())
    with database.writing() as session:
        fresh = establish(session, application)
        first_month = _first_month(session)
    plan = town(today, first_month=first_month)
    series = _series(plan, load_series)
    if fresh:
        echo(mark("Founding the demo town…"))
        found(application, plan, series)
    here = _here(application, plan, series)
    ensure_bonuses(application, plan, SCOPE)
    # The houses' own meters come first: what they leave is charged when a month is closed.
    ensure_house_balance(application, plan, SCOPE)
    days_added = months_closed = 0
    with database.reading() as session:
        last = max(
            metering_store.last_days(session, here.channel_ids.values()).values(), default=None
        )
        closed = {
            Month.from_ordinal(ordinal)
            for ordinal in session.scalars(
                select(BillingRunRow.charge_month).where(
                    BillingRunRow.kind == RunKind.CLOSE, BillingRunRow.ended_at.is_not(None)
                )
            )
        }
    next_day = plan.first_day if last is None else last + timedelta(days=1)
    for month in (*plan.closed_months, Month.of(today)):
        if month in closed:
            continue
        echo(f"{month}")
        live_choices(application, plan, month, here.account_ids, SCOPE)
        live_market(application, plan, month, SCOPE)
        live_facts(application, plan, month, here.account_ids, SCOPE)
        live_generation(application, plan, month, here.account_ids, SCOPE)
        days_added += _live(application, here, month, next_day)
        live_reserves(application, plan, month, here.account_ids)
        if month.plus(1).first_day <= today:
            _close(application, here, month)
            months_closed += 1
            _pay_bills(application, here, month)
        _correct_late(application, here, month)
        live_recalculations(application, plan, month, SCOPE)
        live_revision(application, plan, month, SCOPE)
    for month in plan.closed_months[-2:]:
        # A bill's day may come after the month was closed: the key makes paying again harmless.
        _pay_bills(application, here, month)
    ensure_payments_in(application, plan, here.account_ids, SCOPE)
    ensure_registry(application, plan, SCOPE)
    rate_running_months(application)
    ensure_moves(application, plan, SCOPE)
    ensure_rehearsal(application, plan, SCOPE)
    with database.writing() as session:
        tell_alarms(session, list(here.account_ids.values()), application.clock)
    ensure_watch(application, plan, SCOPE)
    ensure_debts(application, plan, here.account_ids, SCOPE)
    ensure_notices(application, here.account_ids, SCOPE)
    logins = _logins(application, here)
    ensure_draft(application, plan)
    return DemoReport(
        accounts=len(here.accounts),
        last_closed=Month.of(today).plus(-1),
        days_added=days_added,
        months_closed=months_closed,
        logins=logins,
    )


def town_zone() -> ZoneInfo:
    """Return the zone that the town lives in."""
    return ZoneInfo(ZONE)


def _first_month(session: Session) -> Month | None:
    opened = session.scalar(select(func.min(AccountRow.opened_on)))
    return None if opened is None else Month.of(opened)


def _series(plan: TownPlan, folder: Path | None) -> tuple[RealSeries, ...]:
    if folder is None or not folder.is_dir():
        return ()
    return real_series(folder, plan.first_day, plan.today)


def _here(application: Application, plan: TownPlan, series: tuple[RealSeries, ...]) -> _Town:
    """Find the town's rows again by its codes."""
    accounts = (*plan.accounts, *real_accounts(plan, series))
    with application.database.reading() as session:
        ids = billing_store.accounts_by_numbers(session, [a.number for a in accounts])
        accounts = tuple(a for a in accounts if a.number in ids)
        rows = session.execute(
            select(AccountRow.number, AccountRow.premises_id).where(AccountRow.number.in_(ids))
        ).all()
        premises = {row.number: row.premises_id for row in rows}
        channels = metering_store.channels_of_premises(session, premises.values())
        meters = metering_store.meters_of_premises(session, premises.values())
        codes = [b.code for b in plan.buildings]
        building_ids = metering_store.ids_by_code(
            session, cast(Table, BuildingRow.__table__), codes
        )
        house_meters = metering_store.meters_of_buildings(session, building_ids.values())
    return _Town(
        plan=plan,
        accounts=accounts,
        series=series,
        account_ids=ids,
        channel_ids={channel.point_code: channel.channel_id for channel in channels},
        meter_ids={(m.point_code, m.serial): m.meter_id for m in (*meters, *house_meters)},
    )


def _live(application: Application, here: _Town, month: Month, next_day: date) -> int:
    """Store the month's readings and take the money that came in it; return the days added."""
    plan = here.plan
    first = max(month.first_day, next_day)
    end = min(month.plus(1).first_day, plan.today)
    came = FixedClock(local_midnight(end, plan.zone))
    if first < end:
        _store_matrix(application, here, first, end, came)
        _store_real(application, here, first, end, came)
        _import_faulty(application, here, first, end, came)
    _store_registers(application, here, month, came)
    live_by_hand(application, plan, month, here.account_ids)
    live_estimates(application, plan, month)
    live_services(application, plan, month)
    _take_top_ups(application, here, month)
    return max(0, (end - first).days)


def _store_matrix(
    application: Application, here: _Town, first: date, end: date, came: FixedClock
) -> None:
    accounts, energy = day_matrix(here.plan, first, end)
    channels = np.array([here.channel_ids[a.point_code] for a in accounts], dtype=np.int64)
    days = np.array([first + timedelta(days=n) for n in range((end - first).days)], "datetime64[D]")
    block = whole_days(
        30, np.repeat(channels, len(days)), np.tile(days, len(channels)), energy.reshape(-1, 48)
    )
    with application.database.writing() as session:
        metering_store.write_days(session, [block], came, source="demo")


def _store_real(
    application: Application, here: _Town, first: date, end: date, came: FixedClock
) -> None:
    blocks = []
    by_note = {account.payer_name: account for account in here.accounts}
    for series in here.series:
        account = by_note.get(series.name_ru)
        if account is None:
            continue
        start = (first - series.first_day).days
        part = series.energy_uwh[start : start + (end - first).days]
        days = [first + timedelta(days=n) for n in range(len(part))]
        channel = [here.channel_ids[account.point_code]] * len(part)
        blocks.append(exact_days(series.interval_min, channel, days, part))
    with application.database.writing() as session:
        metering_store.write_days(session, blocks, came, source="demo: real series")


def _import_faulty(
    application: Application, here: _Town, first: date, end: date, came: FixedClock
) -> None:
    """Import the faulty account as a file, the way a head-end would send it."""
    for account in here.plan.faulty_accounts:
        text = readings_csv(here.plan, account, first, end)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{account.point_code}-{first}.csv"
            path.write_text(text, encoding="utf-8")
            import_readings(application.database, path, scope=SCOPE, clock=came)


def _store_registers(application: Application, here: _Town, month: Month, came: FixedClock) -> None:
    """Store what was read by hand, and at the house's heat meter, up to the end of the month."""
    plan = here.plan
    planned: list[RegisterReadingPlan] = []
    for account in plan.register_accounts:
        planned.extend(register_readings(plan, account))
    for building in plan.buildings:
        planned.extend(heat_readings(plan, building))
    period = month.period(plan.zone)
    start = datetime.min.replace(tzinfo=period.start.tzinfo)
    since = start if month == plan.first_month else period.start
    readings = [
        RegisterReading(
            here.meter_ids[reading.point_code, reading.meter_serial],
            zone,
            reading.taken_at,
            value,
            reading.quality,
        )
        for reading in planned
        if since <= reading.taken_at <= min(period.end, came.at)
        for zone, value in reading.values
    ]
    with application.database.writing() as session:
        metering_store.write_registers(session, readings, came, source="demo: by hand")


def _take_top_ups(application: Application, here: _Town, month: Month) -> None:
    """Take the month's top-ups, each at its own instant; the newest ones are told of."""
    plan = here.plan
    payments = [
        Payment(
            account_id=here.account_ids[found.account_number],
            amount_minor=found.amount_minor,
            tender=found.tender,
            paid_at=found.paid_at,
            idempotency_key=found.key,
        )
        for found in top_ups(plan)
        if found.paid_at in month.period(plan.zone)
    ]
    _take(application, here, payments)


def _take(application: Application, here: _Town, payments: Sequence[Payment]) -> None:
    by_day: dict[date, list[Payment]] = {}
    for payment in payments:
        by_day.setdefault(local_date(payment.paid_at, here.plan.zone), []).append(payment)
    with application.database.writing() as session:
        for day, of_day in sorted(by_day.items()):
            evening = local_midnight(day + timedelta(days=1), here.plan.zone)
            clock = FixedClock(min(evening, application.clock.now()))
            recent = day >= here.plan.today - timedelta(days=7)
            take_payments(session, SCOPE, of_day, clock, tell=recent)


def _close(application: Application, here: _Town, month: Month) -> None:
    """Close a month on the third of the next, or now where that is earlier."""
    plan = here.plan
    day = month.plus(1).first_day + timedelta(days=CLOSING_DAY - 1)
    at = min(local_midnight(day, plan.zone) + timedelta(hours=9), application.clock.now())
    then = Application(application.settings, application.database, FixedClock(at))
    newest = month == plan.closed_months[-1]
    close_month(then, month, scope=SCOPE, tell=newest)


def _pay_bills(application: Application, here: _Town, month: Month) -> None:
    """Pay the bills of a closed month, each account on its own day once that day is past."""
    plan = here.plan
    with application.database.reading() as session:
        due = billing_store.closing_debts(session, list(here.account_ids.values()), month)
    payments = []
    for account in here.accounts:
        found = bill_payment(plan, account, month, due.get(here.account_ids[account.number], 0))
        if found is not None:
            payments.append(
                Payment(
                    account_id=here.account_ids[account.number],
                    amount_minor=found.amount_minor,
                    tender=found.tender,
                    paid_at=found.paid_at,
                    idempotency_key=found.key,
                )
            )
    _take(application, here, payments)


def _correct_late(application: Application, here: _Town, month: Month) -> None:
    """Let one account's readings of a closed month come again, corrected, some days later.

    The next close turns them into a reversing and a right line.
    """
    plan = here.plan
    if month != plan.first_month.plus(9) or month not in plan.closed_months:
        return
    account = plan.matrix_accounts[CORRECTED_PLACE]
    first = month.first_day + timedelta(days=10)
    _, energy = day_matrix(plan, first, first + timedelta(days=2))
    right = energy[CORRECTED_PLACE] * 3 // 4
    days = [first, first + timedelta(days=1)]
    block = whole_days(30, [here.channel_ids[account.point_code]] * 2, days, right)
    late = local_midnight(month.plus(1).first_day + timedelta(days=12), plan.zone)
    with application.database.writing() as session:
        metering_store.write_days(session, [block], FixedClock(late), source="demo: corrected")


def _logins(application: Application, here: _Town) -> tuple[DemoLogin, ...]:
    """Make the demo's log-ins; passwords follow from the installation's own secret key."""
    plan = here.plan
    prepaid = next(a for a in plan.accounts if a.settlement == "prepaid")
    debtor = next(a for a in plan.accounts if a.payment.stops_from is not None)
    users = [
        NewUser("admin@demo.example", Role.ADMINISTRATOR, "Администратор"),
        NewUser("operator@demo.example", Role.OPERATOR, "Оператор"),
        NewUser("analyst@demo.example", Role.ANALYST, "Аналитик тарифов"),
        NewUser("auditor@demo.example", Role.AUDITOR, "Ревизор"),
        NewUser(
            "uk@demo.example",
            Role.COMPANY,
            plan.companies[0].name,
            company_code=plan.companies[0].code,
        ),
        NewUser(
            "resident@demo.example",
            Role.RESIDENT,
            prepaid.payer_name,
            account_numbers=(prepaid.number,),
        ),
        NewUser(
            "debtor@demo.example",
            Role.RESIDENT,
            debtor.payer_name,
            account_numbers=(debtor.number,),
        ),
    ]
    logins = []
    with application.database.writing() as session:
        for user in users:
            password = _password(application.secret_key, user.email)
            ensure_user(session, user, password, application.clock)
            logins.append(DemoLogin(user.role, user.email, password))
    return tuple(logins)


def _password(secret_key: str, email: str) -> str:
    """Return a password that only this installation's key gives, the same on every start."""
    digest = hmac.new(secret_key.encode(), f"demo:{email}".encode(), sha256).hexdigest()
    return f"demo-{digest[:4]}-{digest[4:8]}-{digest[8:12]}"
