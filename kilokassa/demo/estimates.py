"""Estimates in the demo town: a small house without profiles, whose readings do not all come.

One flat stopped submitting: three months by average, then by norm. One submitted again after two
estimated months, and its document recalculates them. One meter's verification ran out, and one flat
has no meter at all. Gaps of interval meters are the faulty head-end's: `kilokassa.demo.series`.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from billing import store as billing_store
from billing.accounts import AccountOrder
from billing.models import Measurement, Settlement
from billing.service import open_accounts
from kilokassa.app.estimating import load_norms
from kilokassa.app.payments import Payment, take_payments
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId, PremisesId
from kilokassa.core.scope import system_scope
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from kilokassa.demo.population import ZONE, TownPlan
from metering.estimation.norms_file import packaged_norms
from metering.registers import RegisterReading
from metering.registry.places import Building, Meter, MeteringPoint, PlacesOrder, Premises
from metering.registry.service import register_places
from metering.store import write_registers
from tariffs.store import plans
from wallet.service import open_wallets

SCOPE: Final = system_scope("demo")
HOUSE: Final = "KHV-4"
NORM_CODE: Final = "sakhalin_estove_no_heater"
"""Those of Хабаровск were not read (`metering/rules/norms.csv`); the demo borrows these."""

PLAN: Final = "single_reduced"
READ_DAY: Final = 24
PAY_DAY: Final = 12
SILENT_FROM: Final = 8
"""From which month after the first the silent flat submits no more, counted from 0."""

ESTIMATED_MONTHS: Final = frozenset({9, 10})
"""In which months after the first the late flat was away."""


@dataclass(frozen=True, slots=True)
class EstimatedFlat:
    """A flat of the house and what is the matter with it."""

    number: str
    payer: str
    area_dm2: int
    rooms: int
    persons: int
    daily_wh: int
    opening_kwh: int
    silent_from: int | None = None
    silent_in: frozenset[int] = frozenset()
    expires_in: int | None = None
    """In which month after the first the verification runs out."""
    metered: bool = True

    @property
    def account_number(self) -> str:
        """Number of the flat's account."""
        return f"270004{int(self.number):04d}"

    @property
    def point_code(self) -> str:
        """Code of its metering point."""
        return f"{HOUSE}-{int(self.number):03d}"

    @property
    def serial(self) -> str:
        """Serial number of its meter."""
        return f"4400{int(self.number):04d}"

    def reads_in(self, months: int) -> bool:
        """Say whether somebody reads the meter in the month so many after the first."""
        silent = self.silent_from is not None and months >= self.silent_from
        return self.metered and not silent and months not in self.silent_in

    def total_wh(self, days: int) -> int:
        """Return what the meter shows so many days after the first, to whole kWh as it is read."""
        used = sum(self.daily_wh * (85 + (7 * day) % 31) // 100 for day in range(days))
        shown = self.opening_kwh * 1000 + used
        return shown - shown % 1000


FLATS: Final = (
    EstimatedFlat("1", "Тихонов Семён Ильич", 43_60, 2, 2, 6_100, 8_412, silent_from=SILENT_FROM),
    EstimatedFlat(
        "2", "Позднякова Вера Юрьевна", 58_30, 3, 3, 7_900, 3_205, silent_in=ESTIMATED_MONTHS
    ),
    EstimatedFlat("3", "Срокова Алла Павловна", 31_20, 1, 1, 4_300, 15_077, expires_in=SILENT_FROM),
    EstimatedFlat("4", "Новиков Егор Львович", 44_10, 2, 2, 0, 0, metered=False),
)


def live_estimates(application: Application, plan: TownPlan, month: Month) -> None:
    """Let the month's readings of the house come, and its bills be paid; again changes nothing."""
    accounts, meters = _registered(application, plan)
    _read(application, plan, month, meters)
    _pay(application, plan, month.plus(-1), accounts)


def _registered(
    application: Application, plan: TownPlan
) -> tuple[dict[str, AccountId], dict[str, int]]:
    """Return the ids of accounts and of meters by flat; what is not there yet is made."""
    first = FixedClock(local_midnight(plan.first_day, plan.zone))
    with application.database.reading() as session:
        known = billing_store.accounts_by_numbers(session, [f.account_number for f in FLATS])
        if PLAN not in {one.code for one in plans(session)}:
            return {}, {}
    if not known:
        # Known from the first day on: what is told later makes every closed month suspected.
        then = Application(application.settings, application.database, first)
        load_norms(then, packaged_norms(), scope=SCOPE)
    with application.database.writing() as session:
        places = register_places(session, _places(plan), first)
        opened = open_accounts(
            session,
            [
                AccountOrder(
                    number=flat.account_number,
                    payer_name=flat.payer,
                    premises_id=PremisesId(places.premises_ids[HOUSE, flat.number]),
                    persons=flat.persons,
                    opened_on=plan.first_day,
                    plan_code=PLAN,
                    settlement=Settlement.POSTPAID,
                    measurement=Measurement.REGISTERS,
                    note="Демо: расчётные значения",
                )
                for flat in FLATS
            ],
            first,
        )
        open_wallets(session, list(opened.ids.values()), first)
    ids = {flat.number: opened.ids[flat.account_number] for flat in FLATS}
    meters = {
        flat.number: int(places.meter_ids[flat.point_code, flat.serial])
        for flat in FLATS
        if flat.metered
    }
    return ids, meters


def _places(plan: TownPlan) -> PlacesOrder:
    return PlacesOrder(
        buildings=(
            Building(
                HOUSE,
                "г. Хабаровск, пер. Печатников, д. 7",
                ZONE,
                plan.companies[-1].code,
                norm_code=NORM_CODE,
            ),
        ),
        premises=tuple(Premises(HOUSE, f.number, f.area_dm2, f.rooms) for f in FLATS),
        points=tuple(MeteringPoint(f.point_code, HOUSE, f.number) for f in FLATS),
        meters=tuple(
            Meter(
                flat.point_code,
                flat.serial,
                plan.first_day.replace(year=plan.first_day.year - 15, day=1),
                "Счётчик Д-1 (демо)",
                6,
                verified_until=_verified_until(plan, flat),
            )
            for flat in FLATS
            if flat.metered
        ),
    )


def _verified_until(plan: TownPlan, flat: EstimatedFlat) -> date:
    if flat.expires_in is None:
        return plan.first_day.replace(year=plan.first_day.year + 6)
    return plan.first_month.plus(flat.expires_in).first_day.replace(day=9)


def _read(application: Application, plan: TownPlan, month: Month, meters: dict[str, int]) -> None:
    months = month.ordinal - plan.first_month.ordinal
    days = [month.first_day.replace(day=READ_DAY)]
    if not months:
        days.insert(0, plan.first_day)
    for day in days:
        taken_at = local_midnight(day, plan.zone)
        if day != plan.first_day:
            taken_at = datetime.combine(day, time(19, 40), plan.zone).astimezone(UTC)
        if taken_at > application.clock.now():
            continue
        readings = [
            RegisterReading(
                meters[flat.number],
                Zone.ALL,
                taken_at,
                flat.total_wh((day - plan.first_day).days),
                Quality.ACTUAL if day == plan.first_day else Quality.CUSTOMER_READ,
            )
            for flat in FLATS
            if flat.number in meters and (day == plan.first_day or flat.reads_in(months))
        ]
        with application.database.writing() as session:
            write_registers(session, readings, FixedClock(taken_at), source="demo: by hand")


def _pay(
    application: Application, plan: TownPlan, month: Month, accounts: dict[str, AccountId]
) -> None:
    """Pay what the documents of a closed month ask for, on one day of the next month."""
    paid_at = local_midnight(
        month.plus(1).first_day + timedelta(days=PAY_DAY - 1), plan.zone
    ) + timedelta(hours=18)
    if paid_at > application.clock.now() or month < plan.first_month:
        return
    with application.database.writing() as session:
        due = billing_store.closing_debts(session, list(accounts.values()), month)
        payments = [
            Payment(
                account_id, amount_minor, "card", paid_at, f"demo:estimates:{month}:{account_id}"
            )
            for account_id, amount_minor in sorted(due.items())
        ]
        take_payments(session, SCOPE, payments, FixedClock(paid_at), tell=False)
