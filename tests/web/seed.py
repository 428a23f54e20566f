"""A small installation for the pages: the frozen town, billed, with one user of every role.

Made by the services that everyone else uses; the clock stands on 15 January 2023.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import select

from billing.rehearsal.order import Change, RehearsalOrder
from billing.service import RetailerOrder, establish_retailer
from billing.store import accounts_by_numbers
from heating.service import HeatPriceOrder, publish_heat_price
from kilokassa.app import schema
from kilokassa.app.accounts_import import import_accounts_data
from kilokassa.app.closing import close_month
from kilokassa.app.payment_files import import_payment_file
from kilokassa.app.payments import Payment, take_payments
from kilokassa.app.readings_import import import_readings
from kilokassa.app.rehearsing import rehearse
from kilokassa.app.running import rate_running_months
from kilokassa.app.settings import Settings
from kilokassa.app.user_admin import NewUser, add_user
from kilokassa.app.users import UserRow, scope_of
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.clock import Clock, FixedClock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, system_scope
from kilokassa.db.session import Database
from metering.by_hand.photos import remade
from metering.by_hand.service import (
    OpenRoundOrder,
    RoundPhotoOrder,
    attach_photo,
    open_walk_round,
    walk_sheet,
)
from metering.events.kinds import QualityBasis, QualityEventKind
from metering.events.service import QualityOrder, record_quality
from metering.registry.places import Commodity
from tariffs.drafts.service import DraftStepOrder, DraftText, save_draft, submit_draft
from tariffs.prices.service import SeriesOrder, begin_series, take_file, take_peak_hours_file
from tariffs.service import PublishOrder, publish_version
from tests import frozen_town as town
from wallet.bonuses.service import CampaignOrder, begin_campaign, publish_rule
from wallet.payments.service import FileOrder
from wallet.reserves.documents import EXAMPLE
from wallet.reserves.service import OfferOrder, publish_offer, state_credit_rate

NOW = datetime(2023, 1, 15, 1, tzinfo=UTC)
PASSWORD = "correct horse battery"
SCOPE = system_scope("test")
MEASURED_UNTIL = date(2023, 1, 14)

PREPAID = "2799000004"
"""Prepaid, two zones, of the first house; the resident's own."""
POSTPAID = "2799000009"
"""Of the second house, with heat; the neighbour's."""
BY_HAND = "2799000008"
THREE_ZONES = "2799000005"
DRAFT_TITLE = "Две зоны с февраля"
DEBTOR = "2799000002"


@dataclass(frozen=True)
class Person:
    email: str
    role: Role
    name: str


PEOPLE = {
    "administrator": Person("admin@town.example", Role.ADMINISTRATOR, "Админова Ада"),
    "operator": Person("operator@town.example", Role.OPERATOR, "Окошкина Ольга"),
    "analyst": Person("analyst@town.example", Role.ANALYST, "Ставкин Степан"),
    "auditor": Person("auditor@town.example", Role.AUDITOR, "Проверкин Пётр"),
    "company": Person("company@town.example", Role.COMPANY, "УК «Опытная»"),
    "other_company": Person("other@town.example", Role.COMPANY, "Дом № 3"),
    "resident": Person("resident@town.example", Role.RESIDENT, "Громова Нина"),
    "other_resident": Person("neighbour@town.example", Role.RESIDENT, "Ильина Юлия"),
}


def build(
    folder: Path, *, demo: bool = True, secure: bool = False, database: Database | None = None
) -> Application:
    """Make the installation, in a new embedded database in `folder` unless another is given."""
    settings = replace(
        Settings.from_env({"KILOKASSA_VAR": str(folder)}),
        secret_key="a key for tests that is long enough to sign",
        workers=1,
        secure_cookies=secure,
    )
    if database is None:
        database = Database(settings.database_url)
        schema.upgrade(database)
    settings = replace(settings, database_url=database.url.render_as_string(hide_password=False))
    application = Application(settings, database, FixedClock(NOW))
    _fill(application, folder, demo=demo)
    return application


def _fill(application: Application, folder: Path, *, demo: bool) -> None:
    database, clock = application.database, application.clock
    with database.writing() as session:
        establish_retailer(
            session,
            RetailerOrder(
                name="ООО «Опытный сбыт»",
                inn="2721000006",
                kpp="272101001",
                bank_name="БАНК «ОПЫТНЫЙ»",
                bic="040813608",
                bank_account="40702810000000000001",
                correspondent_account="30101810600000000608",
                address="г. Хабаровск, ул. Опытная, д. 2",
                phone="+7 4212 00-00-00",
                email="billing@town.example",
                zone="Asia/Vladivostok",
                languages=("ru", "en"),
                demo=demo,
            ),
            clock,
        )
        for document in town.tariff_documents():
            publish_version(session, PublishOrder(SCOPE, document), clock)
        for price in town.heat_prices():
            order = HeatPriceOrder("heat", price.valid_from, price.rate_scaled, price.source)
            publish_heat_price(session, order, clock)
    accounts = import_accounts_data(
        database, town.accounts_csv().encode(), dry_run=False, scope=SCOPE, clock=clock
    )
    assert accounts.loaded, accounts.refused
    _import(application, folder, "intervals.csv", town.readings_csv(last_exclusive=MEASURED_UNTIL))
    _import(application, folder, "registers.csv", town.registers_csv())
    _import(application, folder, "broken.csv", _broken_csv())
    _promise_bonuses(application)
    _take_money(application)
    for month in (Month(2022, 11), Month(2022, 12)):
        close_month(application, month, scope=SCOPE)
    _take_a_file(application)
    rate_running_months(application)
    _record_quality(application)
    _take_prices(application)
    _offer_reserves(application)
    _add_people(application)
    _begin_walk_round(application)
    _write_draft(application)
    _rehearse(application)


def _write_draft(application: Application) -> None:
    """The analyst writes the next version of a plan, which waits for a second person."""
    document = next(d for d in town.tariff_documents() if "plan: two_zone\n" in d)
    for old, new in (("valid_from: 2022-07-01", "valid_from: 2023-02-01"), ("7.42", "8.01")):
        document = document.replace(old, new)
    with application.database.writing() as session:
        analyst = session.scalars(
            select(UserRow).where(UserRow.email == PEOPLE["analyst"].email)
        ).one()
        scope = scope_of(session, analyst)
        draft = save_draft(session, DraftText(scope, document, DRAFT_TITLE), application.clock)
        order = DraftStepOrder(scope, draft.id, draft.revision)
        submit_draft(session, order, application.clock)


def _take_prices(application: Application) -> None:
    """Begin a price series; a day of it is missing, and another is revised."""
    zone = town.ZONE
    text = "date;hour;price_per_kwh\n" + "".join(
        f"2023-01-{day:02d};{hour};{(day * hour % 17) - 2},5\n"
        for day in (1, 2, 4)
        for hour in range(24)
    )
    revised = "date;hour;price_per_kwh\n" + "".join(
        f"2023-01-02;{hour};4,25\n" for hour in range(24)
    )
    with application.database.writing() as session:
        order = SeriesOrder(SCOPE, "dam", "Рынок на сутки вперёд", zone, name_en="Day-ahead market")
        begin_series(session, order, application.clock)
        for name, content in (("first.csv", text), ("second.csv", revised)):
            take_file(session, SCOPE, "dam", content.encode(), name, application.clock)
        hours = b"date;time\n2023-01-09;10:00\n2023-01-10;19:00\n"
        take_peak_hours_file(session, SCOPE, "ats", zone, hours, "peaks.csv", application.clock)


def _offer_reserves(application: Application) -> None:
    """Offer a reserve of half a year; credit costs 18 %."""
    document = EXAMPLE.replace("2026-01-01", "2022-11-01").replace("1000.00", "100.00")
    with application.database.writing() as session:
        order = OfferOrder(SCOPE, document, "half_year.yaml")
        publish_offer(session, order, application.clock)
        state_credit_rate(session, SCOPE, date(2022, 1, 1), 180_000, "", application.clock)


def _begin_walk_round(application: Application) -> None:
    """Open a walk-round of the first house; its only meter read by hand has a photograph."""
    picture = BytesIO()
    Image.new("RGB", (320, 240), "teal").save(picture, "JPEG")
    with application.database.writing() as session:
        found = open_walk_round(
            session, OpenRoundOrder(SCOPE, "KHB-A", date(2023, 1, 15)), application.clock
        )
        (row,) = walk_sheet(session, SCOPE, found.id).rows
        order = RoundPhotoOrder(SCOPE, found.id, row.meter.meter_id, remade(picture.getvalue()))
        attach_photo(session, order, application.clock)


def _import(application: Application, folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    import_readings(application.database, file, scope=SCOPE, clock=application.clock)


def _broken_csv() -> str:
    """Return readings that leave a gap and give one half hour twice."""
    point = next(a.point for a in town.ACCOUNTS if a.number == POSTPAID)
    rows = [
        f"{point};2023-01-14T10:00:00+10:00;0.2",
        f"{point};2023-01-14T10:30:00+10:00;0.2",
        f"{point};2023-01-14T10:30:00+10:00;0.4",
        f"{point};2023-01-14T14:00:00+10:00;0.3",
    ]
    return "\n".join(["point;time;value", *rows]) + "\n"


def _rehearse(application: Application) -> None:
    """Rehearse the single rate for those who have two zones."""
    order = RehearsalOrder(
        name="Одна зона вместо двух",
        changes=(Change("two_zone", to_plan="single"),),
        first=Month(2022, 11),
        last=Month(2022, 12),
    )
    rehearse(application, order, scope=SCOPE)


def _promise_bonuses(application: Application) -> None:
    """A rule for large top-ups, paid by a campaign, and one for months without debt."""
    day = date(2022, 10, 1)
    clock = FixedClock(datetime(2022, 10, 1, tzinfo=UTC))
    winter = CampaignOrder("w23", "Зима", 500_00, day, date(2023, 3, 1), "Winter")
    size = (
        "rule: s3\nname: 3 % от 4 000 ₽\nname_en: 3 % from 4,000 ₽ on\n"
        "kind: size_of_top_up\nfrom: 2022-10-01\nexpires_after_days: 90\n"
        "campaign: w23\nterms: {threshold: 4000.00, percent: 3}\n"
    )
    calm = (
        "rule: calm\nname: Без долгов\nname_en: Without debt\nkind: months_without_debt\n"
        "from: 2022-10-01\nexpires_after_days: 180\nterms: {months: 2, amount: 20.00}\n"
    )
    with application.database.writing() as session:
        begin_campaign(session, SCOPE, winter, clock)
        for text in (size, calm):
            publish_rule(session, SCOPE, text, "seed", clock, today=day)


def _take_money(application: Application) -> None:
    ids = account_ids(application)
    january = (PREPAID, datetime(2023, 1, 2, 9, tzinfo=town.ZONE), 4_500_00, "sbp")
    payments = [
        Payment(ids[number], amount, tender, at, f"seed:{number}:{at}")
        for number, at, amount, tender in (*town.TOP_UPS, january)
    ]
    with application.database.writing() as session:
        take_payments(session, SCOPE, payments, application.clock)


def _take_a_file(application: Application) -> None:
    """A bank's file with a payment that is nobody's, and one that came twice."""
    rows = (
        "9999999999;150.00;13.01.2023;b1;Громов Пётр;ЛС 27990000004",
        "2799000003;10.00;13.01.2023;b2;Вебер Анна;за свет",
        "2799000003;10.00;13.01.2023;b2;Вебер Анна;за свет",
    )
    text = "\n".join(["account;sum;date;transaction;payer;purpose", *rows])
    order = FileOrder("реестр.csv", text.encode(), "сбер")
    import_payment_file(application.database, SCOPE, order, application.clock)


def _record_quality(application: Application) -> None:
    """A cold flat of the second house, told by an act; nobody has decided it yet."""
    order = QualityOrder(
        commodity=Commodity.HEAT,
        kind=QualityEventKind.ROOM_TEMPERATURE,
        basis=QualityBasis.ACT,
        starts_at=datetime(2023, 1, 10, 9, tzinfo=town.ZONE),
        ends_at=datetime(2023, 1, 10, 15, tzinfo=town.ZONE),
        scope=SCOPE,
        building_code="KHB-B",
        premises_number="1",
        measured_tenths=162,
        document="акт 1",
    )
    with application.database.writing() as session:
        record_quality(session, order, application.clock)


def _add_people(application: Application) -> None:
    reach: dict[str, dict[str, Any]] = {
        "company": {"company_code": "UK-OPYT"},
        "other_company": {"building_codes": ("KHB-B",)},
        "resident": {"account_numbers": (PREPAID,)},
        "other_resident": {"account_numbers": (POSTPAID, BY_HAND)},
    }
    with application.database.writing() as session:
        for name, person in PEOPLE.items():
            user = NewUser(person.email, person.role, name=person.name, **reach.get(name, {}))
            add_user(session, user, PASSWORD, application.clock)


def account_ids(application: Application) -> dict[str, AccountId]:
    """Return the ids of the town's accounts by number."""
    with application.database.reading() as session:
        return accounts_by_numbers(session, [a.number for a in town.ACCOUNTS])


def copy_of(application: Application, folder: Path, clock: Clock | None = None) -> Application:
    """Return an installation of its own with the same content; the clock may be another."""
    file = folder / "kilokassa.sqlite"
    with application.database.engine.connect() as connection:
        connection.exec_driver_sql("VACUUM INTO ?", (str(file),))
    settings = replace(application.settings, var=folder, database_url=f"sqlite:///{file}")
    return Application(settings, Database(settings.database_url), clock or application.clock)
