from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from billing.models import AccountRow, AccountTermRow, Settlement
from billing.service import RetailerOrder, establish_retailer
from heating.models import HeatedHouseRow
from heating.service import HeatPriceOrder, publish_heat_price
from kilokassa.app.accounts_file import ControlTotalsDiffer
from kilokassa.app.accounts_import import AccountsReport, import_accounts, import_accounts_data
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.zones import Zone
from kilokassa.db.session import Database
from metering.models import (
    BuildingRow,
    ChannelRow,
    CompanyRow,
    MeteringPointRow,
    MeterRow,
    PremisesRow,
    RegisterReadingRow,
)
from metering.registry.places import Meter, MeterReplacement
from metering.service import replace_meter
from tariffs.service import PublishOrder, publish_version
from tests.frozen_town import ACCOUNTS, accounts_csv, heat_prices, tariff_documents
from wallet.models import JournalEntryRow, PostingRow, WalletRow

SCOPE = system_scope("test")
EXAMPLE = Path(__file__).parents[2] / "examples" / "import" / "accounts.csv"


@pytest.fixture
def town(database: Database, clock: FixedClock) -> Database:
    """An installation with a retailer and its tariffs, and no account yet."""
    with database.writing() as session:
        establish_retailer(
            session,
            RetailerOrder(
                name="ООО «Опытный сбыт»",
                inn="2700000000",
                bank_name="Банк",
                bic="040813000",
                bank_account="40702810000000000001",
                correspondent_account="30101810000000000000",
                zone="Asia/Vladivostok",
                languages=("ru", "en"),
            ),
            clock,
        )
        for document in tariff_documents():
            publish_version(session, PublishOrder(SCOPE, document), clock)
        for price in heat_prices():
            publish_heat_price(
                session,
                HeatPriceOrder("heat", price.valid_from, price.rate_scaled, price.source),
                clock,
            )
    return database


def load(database: Database, text: str, clock: FixedClock, **more) -> AccountsReport:
    order = {"dry_run": False, "scope": SCOPE} | more
    return import_accounts_data(database, text.encode(), clock=clock, **order)


def rows(database: Database, table) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


TABLES = (
    HeatedHouseRow,
    AccountRow,
    AccountTermRow,
    BuildingRow,
    ChannelRow,
    CompanyRow,
    MeterRow,
    MeteringPointRow,
    PremisesRow,
    RegisterReadingRow,
    WalletRow,
    JournalEntryRow,
    PostingRow,
)


def counts(database: Database) -> dict[str, int]:
    return {table.__tablename__: rows(database, table) for table in TABLES}


def test_a_file_opens_accounts_with_places_meters_readings_and_openings(town, clock):
    report = load(town, accounts_csv(), clock)

    assert report.loaded
    assert report.new == tuple(account.number for account in ACCOUNTS)
    assert report.refused == ()
    assert report.openings_posted == 2
    assert report.readings_new == 14
    assert (report.totals.count, report.totals.debt_minor) == (13, 1250_40)
    assert counts(town) == {
        "account": 12,
        "account_term": 12,
        "building": 2,
        "channel": 11,
        "company": 1,
        "heated_house": 1,
        "meter": 13,
        "metering_point": 13,
        "premises": 12,
        "register_reading": 14,
        "wallet": 12,
        "journal_entry": 2,
        "posting": 2,
    }


def test_what_was_loaded_is_what_the_file_says(town, clock):
    load(town, accounts_csv(), clock)

    with town.reading() as session:
        account = session.execute(
            select(
                AccountRow.payer_name,
                AccountRow.opened_on,
                AccountRow.language,
                AccountTermRow.settlement,
                PremisesRow.area_dm2,
            )
            .join(AccountTermRow, AccountTermRow.account_id == AccountRow.id)
            .join(PremisesRow, PremisesRow.id == AccountRow.premises_id)
            .where(AccountRow.number == "2799000004")
        ).one()
        debt = session.scalars(
            select(JournalEntryRow.amount_minor)
            .join(WalletRow, WalletRow.id == JournalEntryRow.wallet_id)
            .join(AccountRow, AccountRow.id == WalletRow.account_id)
            .where(AccountRow.number == "2799000002")
        ).one()
        heat = session.execute(
            select(RegisterReadingRow.value, RegisterReadingRow.taken_at)
            .join(MeterRow, MeterRow.id == RegisterReadingRow.meter_id)
            .where(MeterRow.serial == "H-55001")
        ).one()

    assert tuple(account) == (
        "Громова Нина Павловна",
        date(2022, 11, 1),
        "ru",
        Settlement.PREPAID,
        58_30,
    )
    assert debt == -1250_40
    assert tuple(heat) == (1_200_000_000, datetime(2022, 10, 31, 14, tzinfo=UTC))


def test_the_same_file_again_changes_nothing(town, clock):
    load(town, accounts_csv(), clock)
    before = counts(town)

    report = load(town, accounts_csv(), clock, scope=system_scope("somebody else"))

    assert report.unchanged == tuple(account.number for account in ACCOUNTS)
    assert (report.new, report.changed) == ((), ())
    assert (report.openings_posted, report.readings_new) == (0, 0)
    assert counts(town) == before


def test_a_dry_run_says_what_would_be_and_writes_nothing(town, clock):
    report = load(town, accounts_csv(), clock, dry_run=True)

    assert not report.loaded
    assert len(report.new) == 12
    assert report.openings_posted == 2
    assert set(counts(town).values()) == {0}


def test_a_changed_payer_and_a_changed_area_are_changes(town, clock):
    load(town, accounts_csv(), clock)
    text = accounts_csv().replace("Авдеев Пётр Ильич", "Авдеева Анна Ильинична")
    text = text.replace(
        "KHB-B;г. Хабаровск, ул. Опытная, д. 3;UK-OPYT;УК «Опытная»;2;43.60",
        "KHB-B;г. Хабаровск, ул. Опытная, д. 3;UK-OPYT;УК «Опытная»;2;43.90",
    )

    report = load(town, text, clock)

    assert report.changed == ("2799000001", "2799000010")
    assert len(report.unchanged) == 10
    with town.reading() as session:
        areas = set(session.scalars(select(PremisesRow.area_dm2)))
    assert 43_90 in areas


def test_another_plan_is_reported_and_terms_are_kept(town, clock):
    load(town, accounts_csv(), clock)

    report = load(town, accounts_csv().replace(";single;prepaid;", ";two_zone;prepaid;"), clock)

    assert report.terms_kept == ("2799000007", "2799000012")
    assert rows(town, AccountTermRow) == 12


def test_an_unknown_plan_refuses_its_line_and_loads_nothing(town, clock):
    report = load(town, accounts_csv().replace(";three_zone;prepaid;", ";gold;prepaid;"), clock)

    assert [str(refused) for refused in report.refused] == [
        "Line 7, field plan: there is no tariff plan gold."
    ]
    assert not report.loaded
    assert set(counts(town).values()) == {0}


def test_an_unknown_price_of_heat_refuses_its_line(town, clock):
    report = load(town, accounts_csv().replace(";heat;;2022", ";warmth;;2022"), clock)

    assert [str(refused) for refused in report.refused] == [
        "Line 14, field plan: there is no price of heat warmth."
    ]


def test_a_bad_line_loads_nothing(town, clock):
    report = load(town, accounts_csv().replace(";31.20;", ";31.2.0;", 1), clock)

    assert [refused.values["field"] for refused in report.refused] == ["area_m2"]
    assert set(counts(town).values()) == {0}


def test_another_opening_later_is_refused(town, clock):
    load(town, accounts_csv(), clock)
    text = accounts_csv().replace("1250.40", "1250.41")

    report = load(town, text, clock)

    assert [str(refused) for refused in report.refused] == [
        "Line 3, field opening_debt: an opening balance of -1250.40 was posted already."
    ]
    assert rows(town, JournalEntryRow) == 2


def test_what_readings_are_stored_by_cannot_change(town, clock):
    load(town, accounts_csv(), clock)
    lines = accounts_csv().splitlines()
    lines[1] = lines[1].replace(";6;30;", ";7;60;")

    report = load(town, "\n".join(lines), clock)

    assert [refused.values["field"] for refused in report.refused] == ["interval", "digits"]


def test_control_totals_that_differ_load_nothing(town, clock):
    with pytest.raises(ControlTotalsDiffer):
        load(town, accounts_csv().replace("#TOTAL;13;", "#TOTAL;14;"), clock)

    assert set(counts(town).values()) == {0}


def test_a_meter_that_was_replaced_is_not_put_back(town, clock):
    load(town, accounts_csv(), clock)
    with town.writing() as session:
        replace_meter(
            session,
            MeterReplacement(
                removed_serial="E-0001",
                meter=Meter("KHB-A-1", "E-9001", date(2023, 2, 1)),
                at=datetime(2023, 2, 1, 2, tzinfo=UTC),
                final_values={Zone.ALL: 11_000_000},
                first_values={Zone.ALL: 0},
            ),
            clock,
        )

    report = load(town, accounts_csv(), clock)

    assert report.readings_new == 0
    with town.reading() as session:
        removed = session.scalars(
            select(MeterRow.removed_on).where(MeterRow.serial == "E-0001")
        ).one()
    assert removed == date(2023, 2, 1)


def test_what_a_file_leaves_out_of_places_stays_as_it_is_registered(town, clock):
    load(town, accounts_csv(), clock)
    lines = [line.split(";") for line in accounts_csv().splitlines()]
    empty = [lines[0].index(name) for name in ("company_name", "meter_model", "verified_until")]
    for line in lines[1:-1]:
        for place in empty:
            line[place] = ""

    report = load(town, "\n".join(";".join(line) for line in lines), clock)

    assert report.loaded
    with town.reading() as session:
        company = session.scalars(select(CompanyRow)).one()
        meter = session.scalars(select(MeterRow).where(MeterRow.serial == "E-0001")).one()
    assert company.name == "УК «Опытная»"
    assert (meter.model, meter.verified_until) == ("Д-1", date(2030, 12, 31))


def test_lines_are_counted_as_they_are_done(town, clock):
    seen: list[tuple[int, int]] = []

    load(town, accounts_csv(), clock, progress=lambda done, whole: seen.append((done, whole)))

    assert seen == [(12, 13), (13, 13)]


def test_who_may_not_manage_accounts_may_not_import(town, clock):
    with pytest.raises(Forbidden):
        load(town, accounts_csv(), clock, scope=Scope(Role.AUDITOR, "auditor", whole_retailer=True))


def test_a_foreign_encoding_and_an_absent_file_are_refused(town, clock, tmp_path):
    file = tmp_path / "accounts.csv"
    file.write_bytes(accounts_csv().encode("koi8-r", "replace"))

    with pytest.raises(Invalid, match="neither in UTF-8 nor in windows-1251"):
        import_accounts(town, file, dry_run=False, scope=SCOPE, clock=clock)
    with pytest.raises(NotFound):
        import_accounts(town, tmp_path / "none.csv", dry_run=False, scope=SCOPE, clock=clock)


def test_an_installation_without_a_retailer_imports_nothing(database, clock):
    with pytest.raises(NotFound):
        load(database, accounts_csv(), clock)


def test_the_example_file_loads(town, clock):
    report = import_accounts(town, EXAMPLE, dry_run=False, scope=SCOPE, clock=clock)

    assert len(report.new) == 3
    assert report.openings_posted == 2
