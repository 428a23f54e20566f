"""Хабаровск, November and December 2022, at the prices as published: files in, documents out."""

from datetime import UTC, date, datetime

import pytest
from pypdf import PdfReader

from billing import store as billing_store
from billing.models import LineKind, Service
from billing.service import RetailerOrder, establish_retailer
from heating.service import HeatPriceOrder, publish_heat_price
from invoices import store as invoice_store
from kilokassa.app.accounts_import import import_accounts_data
from kilokassa.app.closing import MonthNotOver, close_month
from kilokassa.app.documents import document_pdf
from kilokassa.app.payments import Payment, take_payments
from kilokassa.app.readings_import import import_readings
from kilokassa.app.running import rate_running_months
from kilokassa.app.settings import Settings
from kilokassa.app.verification import verify_all
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.money import scaled_rate
from kilokassa.core.scope import system_scope
from tariffs.service import PublishOrder, publish_version
from tests import frozen_town
from wallet import store as wallet_store

SCOPE = system_scope("test")
NOVEMBER, DECEMBER = Month(2022, 11), Month(2022, 12)


def at(day: int, month: int, year: int = 2022, hour: int = 3) -> FixedClock:
    return FixedClock(datetime(year, month, day, hour, tzinfo=UTC))


def application(database, clock, tmp_path) -> Application:
    settings = Settings.from_env({"KILOKASSA_VAR": str(tmp_path)})
    return Application(settings, database, clock)


@pytest.fixture
def town(database, tmp_path):
    """The town with all its files imported as they came; nothing is billed yet."""
    start = at(1, 11, hour=0)
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
                zone="Asia/Vladivostok",
                languages=("ru", "en"),
            ),
            start,
        )
        for document in frozen_town.tariff_documents():
            publish_version(session, PublishOrder(SCOPE, document), start)
        for price in frozen_town.heat_prices():
            order = HeatPriceOrder("heat", price.valid_from, price.rate_scaled, "S1")
            publish_heat_price(session, order, start)
    report = import_accounts_data(
        database, frozen_town.accounts_csv().encode(), dry_run=False, scope=SCOPE, clock=start
    )
    assert report.loaded
    return database


def load_readings(database, tmp_path, first, last, clock):
    file = tmp_path / f"{first}.csv"
    file.write_text(frozen_town.readings_csv(first, last), encoding="utf-8")
    return import_readings(database, file, scope=SCOPE, clock=clock)


def load_registers(database, tmp_path, clock):
    file = tmp_path / "registers.csv"
    file.write_text(frozen_town.registers_csv(), encoding="utf-8")
    return import_readings(database, file, scope=SCOPE, clock=clock)


def pay(database, month):
    with database.writing() as session:
        for number, paid_at, amount_minor, tender in frozen_town.TOP_UPS:
            if paid_at.month == month:
                account = billing_store.account_by_number(session, SCOPE, number)
                payment = Payment(
                    account.id, amount_minor, tender, paid_at.astimezone(UTC), f"{number}:{paid_at}"
                )
                take_payments(session, SCOPE, [payment], FixedClock(paid_at.astimezone(UTC)))


def close_both(database, tmp_path):
    load_readings(database, tmp_path, date(2022, 11, 1), date(2022, 12, 1), at(1, 12))
    load_registers(database, tmp_path, at(1, 12))
    pay(database, 11)
    close_month(application(database, at(3, 12), tmp_path), NOVEMBER, scope=SCOPE)
    load_readings(database, tmp_path, date(2022, 12, 1), date(2023, 1, 1), at(1, 1, 2023))
    load_registers(database, tmp_path, at(1, 1, 2023))
    pay(database, 12)
    return close_month(application(database, at(3, 1, 2023), tmp_path), DECEMBER, scope=SCOPE)


def assert_sound(database, tmp_path):
    assert verify_all(application(database, at(1, 2, 2023), tmp_path)) == ()


def test_every_line_is_what_a_clerk_computes_from_the_published_prices(town, tmp_path):
    close_both(town, tmp_path)

    with town.reading() as session:
        for month, first in ((NOVEMBER, date(2022, 11, 1)), (DECEMBER, date(2022, 12, 1))):
            heat = frozen_town.heat_lines(first)
            for account in frozen_town.ACCOUNTS:
                row = billing_store.account_by_number(session, SCOPE, account.number)
                lines = billing_store.charge_lines_of(session, SCOPE, row.id, month)
                found = {
                    (n.line_key.split("/")[0], n.quantity, n.rate_scaled, n.amount_minor)
                    for n in lines
                    if n.service is Service.ELECTRICITY
                }
                assert found == {
                    (zone, wh, scaled_rate(price), kopecks)
                    for zone, wh, price, kopecks in frozen_town.energy_lines(account, first)
                }
                shared = [n.amount_minor for n in lines if n.service is Service.HEAT]
                assert shared == ([heat[account.number]] if account.number in heat else [])
    assert_sound(town, tmp_path)


def test_a_second_close_changes_nothing(town, tmp_path):
    close_both(town, tmp_path)

    again = close_month(application(town, at(4, 1, 2023), tmp_path), DECEMBER, scope=SCOPE)

    assert (again.charged, again.documents, again.amount_minor) == (0, 0, 0)
    assert again.already_closed == len(frozen_town.ACCOUNTS)


def test_a_month_that_still_runs_is_not_closed(town, tmp_path):
    with pytest.raises(MonthNotOver, match="2022-12-01"):
        close_month(application(town, at(30, 11), tmp_path), NOVEMBER, scope=SCOPE)


def test_a_prepaid_month_taken_day_by_day_ends_in_the_kopeck_of_the_close(town, tmp_path):
    load_registers(town, tmp_path, at(1, 12))
    pay(town, 11)
    for day in (5, 12, 30):
        load_readings(town, tmp_path, date(2022, 11, 1), date(2022, 11, day), at(day, 11))
        for _ in range(2):
            rate_running_months(application(town, at(day, 11), tmp_path))
    load_readings(town, tmp_path, date(2022, 11, 1), date(2022, 12, 1), at(1, 12))
    report = close_month(application(town, at(3, 12), tmp_path), NOVEMBER, scope=SCOPE)

    assert report.documents == len(frozen_town.ACCOUNTS)
    with town.reading() as session:
        for account in frozen_town.ACCOUNTS:
            row = billing_store.account_by_number(session, SCOPE, account.number)
            entries = wallet_store.entries_of(session, SCOPE, row.id)
            charged = -sum(e.amount_minor for e in entries if e.reason == "charge")
            lines = billing_store.charge_lines_of(session, SCOPE, row.id, NOVEMBER)
            assert charged == sum(n.amount_minor for n in lines)
            taken = [e for e in entries if e.reason == "charge"]
            assert len(taken) == (4 if account.settlement == "prepaid" else 1)
    assert_sound(town, tmp_path)


def test_a_reading_corrected_after_the_close_becomes_a_reversing_and_a_right_line(town, tmp_path):
    load_readings(town, tmp_path, date(2022, 11, 1), date(2022, 12, 1), at(1, 12))
    load_registers(town, tmp_path, at(1, 12))
    close_month(application(town, at(3, 12), tmp_path), NOVEMBER, scope=SCOPE)
    single = next(a for a in frozen_town.ACCOUNTS if a.plan == "single" and not a.by_hand)
    corrected = tmp_path / "corrected.csv"
    corrected.write_text(f"point;time;value\n{single.point};2022-11-10T12:00:00+10:00;5.000\n")
    imported = import_readings(town, corrected, scope=SCOPE, clock=at(10, 12))
    load_readings(town, tmp_path, date(2022, 12, 1), date(2023, 1, 1), at(1, 1, 2023))

    report = close_month(application(town, at(3, 1, 2023), tmp_path), DECEMBER, scope=SCOPE)

    assert imported.revised == 1
    assert report.corrected == 1
    with town.reading() as session:
        row = billing_store.account_by_number(session, SCOPE, single.number)
        lines = billing_store.charge_lines_of(session, SCOPE, row.id, DECEMBER)
        (document,) = [
            d for d in invoice_store.documents_of(session, SCOPE, row.id) if d.month == DECEMBER
        ]
    by_kind = {n.kind: n for n in lines}
    assert [n.charge_month for n in lines if n.kind is not LineKind.ORIGINAL] == [
        NOVEMBER.ordinal,
        NOVEMBER.ordinal,
    ]
    was = frozen_town.half_hour_wh(single, date(2022, 11, 10), 24)
    difference = by_kind[LineKind.REVERSAL].quantity + by_kind[LineKind.CORRECTION].quantity
    assert difference == 5000 - was
    assert {line["kind"] for line in document.snapshot["lines"] if "kind" in line} == {
        "reversal",
        "correction",
    }
    assert_sound(town, tmp_path)


def test_a_corrected_reading_is_corrected_once(town, tmp_path):
    test_a_reading_corrected_after_the_close_becomes_a_reversing_and_a_right_line(town, tmp_path)

    again = close_month(application(town, at(5, 1, 2023), tmp_path), DECEMBER, scope=SCOPE)

    assert (again.corrected, again.lines) == (0, 0)


def test_the_printed_document_says_what_the_lines_say(town, tmp_path):
    close_both(town, tmp_path)
    three = next(a for a in frozen_town.ACCOUNTS if a.plan == "three_zone")

    with town.reading() as session:
        row = billing_store.account_by_number(session, SCOPE, three.number)
        (document,) = [
            d
            for d in invoice_store.documents_of(session, SCOPE, row.id)
            if d.month == NOVEMBER and d.kind == "payment_document"
        ]
    file = tmp_path / "document.pdf"
    file.write_bytes(document_pdf(town, SCOPE, document.number))
    words = "".join(page.extract_text() for page in PdfReader(file).pages).replace("\xa0", " ")

    assert three.number in words
    assert "6,11" in words
    assert "1,67" in words
    assert (
        f"{document.snapshot['total_minor'] / 100:,.2f}".replace(",", " ").replace(".", ",")
        in words
    )
