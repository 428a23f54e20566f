"""An account that its plan cannot price is left uncharged with the reason; all others are closed.

What it lacked is learned later, and a recalculation charges the month, once.
"""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from billing.models import AccountFactRow, FactKind, Measurement, Settlement
from billing.month.service import rate_days
from billing.store import billed_accounts
from invoices.page import document_page
from invoices.payment_document import PaymentDocument
from invoices.store import documents_of
from kilokassa.app.overview import account_overview
from kilokassa.app.recalculating import Wish, recalculate
from kilokassa.app.running import rate_running_months
from kilokassa.core.calendar import Month, intervals_in_day, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.text import Language, told
from kilokassa.core.zones import Zone
from tariffs.prices.prices import DayPrices
from tariffs.prices.service import PricesOrder, SeriesOrder, begin_series, take_prices
from tests.scenarios.by_hand_town import SCOPE, ZONE, tariff
from tests.scenarios.plans_town import LEARNED, TWO_ZONES, PlansTown
from tests.scenarios.test_changing_months import OCTOBER, ZONES, kopecks, plan
from tests.scenarios.test_running_months import taken_minor
from wallet.service import verify
from wallet.store import balances

MONTH = Month(2026, 10)
LATER = local_midnight(date(2026, 11, 20), ZONE)

NORM = tariff("norm", [("2017-01-01", "[1, 2]")]) + (
    "ranges: {order: proportional, norm: {kwh_by_persons: [50], each_more_kwh: 50, "
    "bands_percent: [100], common_area: left_out}}\n"
)
CONTRACTED = plan(
    "contracted",
    """
capacity:
  - code: kw
    name: {ru: Мощность}
    basis: contracted
    per_kw_month: [{from: 2017-01-01, amount: 10}]
""",
)
MARKET = """
plan: market
name: {ru: Почасовой}
valid_from: 2017-01-01
currency: RUB
vat: included
hourly: {series: dam, longer_intervals: refuse}
source: a test
confidence: high
"""
CHEAPER = tariff("digital", [("2017-01-01", 6)]) + "guarantee: {never_dearer_than: norm}\n"


def states(town, account, value, *, kind=FactKind.PERSONS, at=LATER):
    with town.database.writing() as session:
        session.add(
            AccountFactRow(
                account_id=account,
                kind=kind,
                valid_from=date(2026, 1, 1),
                value=value,
                actor="test",
                recorded_at=at,
            )
        )


def prices(town, days, price, at=LEARNED):
    with town.database.writing() as session:
        if at == LEARNED:
            begin_series(session, SeriesOrder(SCOPE, "dam", "РСВ", ZONE), FixedClock(at))
        taken = [
            DayPrices(day, np.full(intervals_in_day(day, ZONE, 60), price, dtype=np.int64))
            for day in days
        ]
        take_prices(session, PricesOrder(SCOPE, "dam", taken, "test"), FixedClock(at))


def put_right(town, at=LATER + timedelta(hours=1)):
    return recalculate(town.application(at), Wish(), scope=SCOPE)


def owed_minor(town, point="P1"):
    """Return what the lines come to, which is what has left the wallet: both are looked at."""
    account = town.accounts[point]
    with town.database.reading() as session:
        assert list(verify(session)) == []
        posted = balances(session, [account], LATER + timedelta(days=9))[account].posted_minor
    assert posted == -town.billed_minor(point)
    return -posted


def two_flats(database, folder, *plans, code, **options):
    town = PlansTown(database, folder, *plans, flats=2, **options)
    for account in town.accounts.values():
        town.has_plan(code, date(2026, 10, 1), account=account)
    for point in town.accounts:
        town.uses(*OCTOBER, 100, channel=point)
    return town


def test_who_lacks_a_fact_is_left_uncharged_with_the_reason_and_the_neighbour_is_closed(
    database, tmp_path
):
    town = two_flats(database, tmp_path, NORM, code="norm", persons=0)
    states(town, town.accounts["P2"], 1, at=LEARNED)

    report = town.close(2026, 10)

    assert owed_minor(town, "P1") == 0
    assert owed_minor(town, "P2") == kopecks(50, Decimal("24.4") * 2)
    ((number, warning),) = report.warnings
    assert number == "1000000001"
    assert told(warning, Language.ENGLISH).startswith("The tariff norm could not price the electr")
    assert "at least one person" in told(warning, Language.ENGLISH)
    with database.reading() as session:
        (stored,) = documents_of(session, SCOPE, town.account)
    page = document_page(PaymentDocument.from_snapshot(stored.snapshot), Language.RUSSIAN)
    assert any(text.startswith("Электроэнергия пока не начислена") for text in page.warnings)


def test_what_was_lacking_is_told_and_a_recalculation_charges_it_once(database, tmp_path):
    town = two_flats(database, tmp_path, NORM, code="norm", persons=0)
    town.close(2026, 10)
    states(town, town.account, 1)

    first, again = put_right(town), put_right(town)

    assert owed_minor(town) == kopecks(50, Decimal("24.4") * 2)
    assert (first.corrected, again.corrected) == (1, 0)
    assert owed_minor(town, "P2") == 0


def test_one_account_without_a_contract_stops_no_other(database, tmp_path):
    town = two_flats(database, tmp_path, CONTRACTED, code="contracted")
    states(town, town.accounts["P2"], 5500, kind=FactKind.CONTRACTED_W, at=LEARNED)

    town.close(2026, 10)

    assert owed_minor(town, "P1") == 0
    assert owed_minor(town, "P2") == kopecks(Decimal("74.4") * 5, Decimal("5.5") * 10)


def test_two_ratchets_of_different_hours_are_not_guessed_at(database, tmp_path):
    ratchet = "basis: highest, per_kw_month: [{from: 2017-01-01, amount: 10}], "
    ratchet += "ratchet: {percent: 80, months: 2}"
    two = f"""
capacity:
  - {{code: day, name: {{ru: Днём}}, windows: ["08:00-20:00"], {ratchet}}}
  - {{code: all, name: {{ru: Всегда}}, {ratchet}}}
"""
    town = PlansTown(database, tmp_path, plan("two", two))
    town.has_plan("two", date(2026, 9, 1))
    town.uses(date(2026, 8, 1), date(2026, 11, 1), lambda _day, hour: 9000 if hour == 2 else 1000)

    ((_, warning),) = town.close(2026, 10).warnings

    assert owed_minor(town) == 0
    assert "demand of the months before is not known" in told(warning, Language.ENGLISH)


def test_a_price_of_the_market_that_is_missing_waits_and_is_charged_when_it_comes(
    database, tmp_path
):
    town = PlansTown(database, tmp_path, MARKET, flats=2)
    town.has_plan("market", date(2026, 10, 1))
    for point in town.accounts:
        town.uses(*OCTOBER, 100, channel=point)
    prices(town, MONTH.days[:-1], 3_000_000)

    report = town.close(2026, 10)

    assert owed_minor(town, "P1") == 0
    assert owed_minor(town, "P2") == kopecks(Decimal("74.4") * 5)
    assert [number for number, _ in report.warnings] == ["1000000001"]
    prices(town, MONTH.days[-1:], 4_000_000, at=LATER)
    put_right(town)
    assert owed_minor(town, "P1") == kopecks(Decimal(72) * 3 + Decimal("2.4") * 4)
    assert put_right(town).corrected == 0


def test_what_was_charged_stands_where_it_cannot_be_priced_again(database, tmp_path):
    town = two_flats(database, tmp_path, NORM, code="norm", persons=1)
    town.close(2026, 10)
    before = owed_minor(town)
    states(town, town.account, 0)

    report = put_right(town)

    assert before == kopecks(50, Decimal("24.4") * 2)
    assert (report.corrected, owed_minor(town)) == (0, before)


def test_what_was_taken_day_by_day_stands_until_the_plan_prices_it_again(database, tmp_path):
    town = PlansTown(database, tmp_path, MARKET)
    town.has_plan("market", date(2026, 10, 1), settlement=Settlement.PREPAID)
    prices(town, MONTH.days[:10], 3_000_000)
    town.uses(date(2026, 10, 1), date(2026, 10, 21), 100)
    rate_running_months(town.application(local_midnight(date(2026, 10, 11), ZONE)))
    ten_days = kopecks(Decimal(24) * 3)

    now = local_midnight(date(2026, 10, 21), ZONE)
    report = rate_running_months(town.application(now))

    assert (report.posted, taken_minor(town)) == (0, ten_days)
    with database.reading() as session:
        shown = account_overview(session, SCOPE, town.account, now)
        accounts = billed_accounts(session, [town.account], MONTH)
        assert rate_days(session, accounts, date(2026, 10, 1), date(2026, 10, 21)) == {}
    assert shown.balance.rated_minor == 0


def test_a_promise_that_cannot_be_kept_for_one_is_kept_for_the_other(database, tmp_path):
    town = two_flats(database, tmp_path, NORM, CHEAPER, code="digital", persons=0)
    states(town, town.accounts["P2"], 1, at=LEARNED)

    town.close(2026, 10)

    assert owed_minor(town, "P1") == 0
    assert owed_minor(town, "P2") == kopecks(50, Decimal("24.4") * 2)


def test_registers_that_a_plan_has_no_zone_for_stop_no_other(database, tmp_path):
    town = PlansTown(
        database,
        tmp_path,
        TWO_ZONES,
        flats=2,
        measurement=Measurement.REGISTERS,
    )
    town.has_plan("two_zone", date(2026, 10, 1))
    for point in town.accounts:
        town.read(point, date(2026, 9, 30), 1000)
        town.read(point, date(2026, 10, 31), 1100)

    report = town.close(2026, 10)

    assert owed_minor(town, "P1") == 0
    assert owed_minor(town, "P2") == 500_00
    (warning,) = [text for number, text in report.warnings if number == "1000000001"]
    assert "it has no zone all" in told(warning, Language.ENGLISH)


@pytest.mark.parametrize("measurement", [Measurement.INTERVALS, Measurement.REGISTERS])
def test_a_promise_of_a_ladder_for_the_year_counts_the_year_in_its_own_zones(
    database, tmp_path, measurement
):
    ladder = tariff("yearly", [("2017-01-01", "[1, 10]")]) + (
        "ranges: {order: proportional, period: year, borders_kwh: [100]}\n"
    )
    own = plan(
        "digital",
        "guarantee: {never_dearer_than: yearly}\n",
        ZONES,
        (("2017-01-01", "{day: 6, night: 6}"),),
    )
    registers = (Zone.DAY, Zone.NIGHT)
    town = PlansTown(database, tmp_path, ladder, own, measurement=measurement, registers=registers)
    town.has_plan("digital", date(2026, 10, 1))
    if measurement is Measurement.INTERVALS:
        town.uses(date(2026, 9, 29), date(2026, 10, 1), 1000)
        town.uses(date(2026, 10, 1), date(2026, 10, 4), 1000)
    else:
        town.read("P1", date(2025, 12, 31), {Zone.DAY: 1000, Zone.NIGHT: 1000})
        town.read("P1", date(2026, 9, 30), {Zone.DAY: 1032, Zone.NIGHT: 1016})
        town.read("P1", date(2026, 10, 31), {Zone.DAY: 1080, Zone.NIGHT: 1040})

    # 48 kWh of the year are counted: of 72 more, 52 cost 1 rouble and 20 cost 10, and not 6 each.
    assert town.total_minor(2026, 10) == 252_00
