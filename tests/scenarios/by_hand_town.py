"""A house whose meters are read by hand: what a test needs to live through months of it."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from billing import store as billing_store
from billing.accounts import AccountOrder
from billing.models import LineKind, Measurement, PriceSplit, Settlement
from billing.month.service import rate_month
from billing.service import RetailerOrder, establish_retailer, open_accounts
from invoices.page import document_page
from invoices.payment_document import PaymentDocument
from invoices.store import documents_of
from kilokassa.app.closing import close_month
from kilokassa.app.estimating import run_estimates
from kilokassa.app.settings import Settings
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.core.series import Quality
from kilokassa.core.text import Language
from kilokassa.core.zones import Zone
from metering.estimation.methods import Norm
from metering.estimation.store import write_norms
from metering.registers import RegisterReading
from metering.registry.places import (
    Building,
    Channel,
    Commodity,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
)
from metering.registry.service import register_places
from metering.store import load_registers, write_registers
from tariffs.service import PublishOrder, publish_version
from wallet.service import open_wallets

SCOPE = system_scope("test")
ZONE = ZoneInfo("Asia/Vladivostok")
NORM_WH = 77_000

TARIFF = """
plan: {plan}
name: {{ru: Тест}}
valid_from: 2017-01-01
currency: RUB
vat: included
{zones}
prices:
{prices}
source: a test
confidence: high
"""
ZONES = "zones: {day: [07:00-23:00], night: [23:00-07:00]}"


def tariff(plan, prices, zones=""):
    rows = "\n".join(f"  - from: {day}\n    per_kwh: {rate}" for day, rate in prices)
    return TARIFF.format(plan=plan, zones=zones, prices=rows)


class Town:
    """One house with as many flats as there are meters, living from month to month."""

    def __init__(
        self,
        database,
        folder,
        *,
        flats=1,
        opened_on=date(2026, 1, 1),
        plan=None,
        registers=(Zone.ALL,),
        opening_kwh=1000,
        digits=6,
        verified_until=None,
        multiplier=None,
        loss_ppm=0,
        interval_min=None,
        norm=True,
        meters=True,
        persons=2,
        price_split=PriceSplit.READING,
        zone=ZONE,
    ):
        self.database, self.folder = database, folder
        self.registers, self.opened_on = registers, opened_on
        start = FixedClock(local_midnight(opened_on, zone))
        points = tuple(f"P{n + 1}" for n in range(flats))
        channels = ()
        if interval_min is not None:
            channels = tuple(Channel(point, interval_min) for point in points)
        elif multiplier is not None:
            channels = tuple(
                Channel(point, 60, multiplier=multiplier, loss_ppm=loss_ppm) for point in points
            )
        with database.writing() as session:
            establish_retailer(
                session,
                RetailerOrder(
                    name="Энергосбыт",
                    inn="2700000024",
                    bank_name="БАНК",
                    bic="040813999",
                    bank_account="40702810000000000027",
                    correspondent_account="30101810000000000999",
                    zone=zone.key,
                    languages=("ru", "en"),
                    price_split=price_split,
                ),
                start,
            )
            publish_version(
                session, PublishOrder(SCOPE, plan or tariff("single", [("2017-01-01", 5)])), start
            )
            if norm:
                write_norms(
                    session,
                    Commodity.ELECTRICITY,
                    [Norm("estove", date(2012, 9, 1), 0, 0, NORM_WH, "a test")],
                    start.at,
                )
            places = register_places(
                session,
                PlacesOrder(
                    buildings=(
                        Building(
                            "B1",
                            "Хабаровск, ул. Опытная, 1",
                            zone.key,
                            norm_code="estove" if norm else None,
                        ),
                    ),
                    premises=tuple(Premises("B1", p[1:], 50_00) for p in points),
                    points=tuple(MeteringPoint(p, "B1", p[1:]) for p in points),
                    meters=tuple(
                        Meter(p, f"S{p}", opened_on, digits=digits, verified_until=verified_until)
                        for p in points
                        if meters
                    ),
                    channels=channels,
                ),
                start,
            )
            self.meters = {p: places.meter_ids.get((p, f"S{p}")) for p in points}
            self.channels = {p: places.channel_ids.get((p, "A+")) for p in points}
            plan_code = "two_zone" if ZONES in (plan or "") else "single"
            opened = open_accounts(
                session,
                [
                    AccountOrder(
                        number=f"100000000{p[1:]}",
                        payer_name="Иванова Анна",
                        premises_id=places.premises_ids["B1", p[1:]],
                        persons=persons,
                        opened_on=opened_on,
                        plan_code=plan_code,
                        settlement=Settlement.POSTPAID,
                        measurement=Measurement.REGISTERS
                        if interval_min is None
                        else Measurement.INTERVALS,
                    )
                    for p in points
                ],
                start,
            )
            open_wallets(session, list(opened.ids.values()), start)
        self.accounts = {p: opened.ids[f"100000000{p[1:]}"] for p in points}
        if meters and interval_min is None:
            for point in points:
                self.read(point, opened_on, opening_kwh)

    def application(self, at):
        settings = Settings.from_env({"KILOKASSA_VAR": str(self.folder)})
        return Application(settings, self.database, FixedClock(at))

    def read(self, point, day, kwh, *, came=None, hour=0, quality=Quality.CUSTOMER_READ):
        """Let a meter be read at a local hour of a day; it becomes known then, or when it came."""
        values = kwh if isinstance(kwh, dict) else dict.fromkeys(self.registers, kwh)
        taken_at = datetime(day.year, day.month, day.day, hour, tzinfo=ZONE).astimezone(UTC)
        known_at = taken_at if came is None else local_midnight(came, ZONE)
        readings = [
            RegisterReading(self.meters[point], zone, taken_at, value * 1000, quality)
            for zone, value in values.items()
        ]
        with self.database.writing() as session:
            write_registers(session, readings, FixedClock(known_at), source="test")

    def close(self, year, number):
        """Close a month on the third of the next one."""
        month = Month(year, number)
        third = month.plus(1).first_day.replace(day=3)
        at = local_midnight(third, ZONE)
        return close_month(self.application(at), month, scope=SCOPE, tell=False)

    def estimate(self, year, number):
        """Estimate a month on the second of the next one, without closing it."""
        month = Month(year, number)
        second = month.plus(1).first_day.replace(day=2)
        at = local_midnight(second, ZONE)
        return run_estimates(self.application(at), month, scope=SCOPE)

    def rated(self, point, year, number):
        """Return the lines that a month comes to by what is known now."""
        account_id = self.accounts[point]
        month = Month(year, number)
        with self.database.reading() as session:
            accounts = billing_store.billed_accounts(session, [account_id], month)
            return rate_month(session, accounts, month).charges[account_id].lines

    def lines(self, point, *, charged=None, document=None):
        with self.database.reading() as session:
            found = billing_store.charge_lines_of(session, SCOPE, self.accounts[point])
        return [
            line
            for line in found
            if (charged is None or line.charge_month == Month(*charged).ordinal)
            and (document is None or line.document_month == Month(*document).ordinal)
        ]

    def billed_wh(self, point, *charged):
        """Return what stands as charged, of a month or of all: corrections netted."""
        lines = self.lines(point, charged=charged or None)
        return sum(line.quantity for line in lines)

    def billed_minor(self, point):
        return sum(line.amount_minor for line in self.lines(point))

    def corrections(self, point, *document):
        """Return (month, Wh) of the right lines that a document corrects earlier months by."""
        return [
            (str(Month.from_ordinal(line.charge_month)), line.quantity)
            for line in sorted(
                self.lines(point, document=document), key=lambda line: line.charge_month
            )
            if line.kind is LineKind.CORRECTION
        ]

    def shown(self, point):
        """Return (local day, kWh, quality) of what the registers of a meter show now."""
        with self.database.reading() as session:
            readings = load_registers(session, [self.meters[point]])
        return [(r.taken_at.astimezone(ZONE).date(), r.value / 1000, r.quality) for r in readings]

    def printed(self, point, *month):
        """Return the small print of a month's document, line by line, corrections last."""
        with self.database.reading() as session:
            (document,) = [
                one
                for one in documents_of(session, SCOPE, self.accounts[point])
                if one.month == Month(*month)
            ]
        page = document_page(
            PaymentDocument.from_snapshot(document.snapshot, document.number), Language.RUSSIAN
        )
        of_services = [row for section in page.charges for row in section.rows]
        return [row.detail for row in (*of_services, *page.corrections)]
