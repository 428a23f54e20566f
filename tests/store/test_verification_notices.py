"""Those who service meters are told once a month what is due, and nobody else is."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from billing.service import RetailerOrder, establish_retailer
from kilokassa.app.outbox import send_due
from kilokassa.app.settings import Settings
from kilokassa.app.verifications import tell_verifications
from kilokassa.app.wiring import Application
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden
from kilokassa.core.scope import Role, Scope
from metering.registry.places import (
    Building,
    Company,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Servicer,
)
from metering.registry.service import register_places
from notices.channels.files import FolderChannel
from notices.models import NoticeRow

ZONE = "Asia/Vladivostok"


def town(**emails):
    return PlacesOrder(
        companies=(
            Company("UK1", "УК Первая", email=emails.get("company", "uk1@town.example")),
            Company("UK2", "УК Вторая"),
        ),
        servicers=(
            Servicer("SERV", "Метролог", emails.get("servicer", "serv@town.example")),
            Servicer("EN", "Metering Ltd", "en@town.example", "en"),
        ),
        buildings=(
            Building("B1", "ул. Ленина, 1", ZONE, "UK1", "SERV"),
            Building("B2", "ул. Ленина, 2", ZONE, "UK1"),
            Building("B3", "ул. Ленина, 3", ZONE, "UK2"),
            Building("B4", "ул. Ленина, 4", ZONE, "UK2", "EN"),
        ),
        points=tuple(MeteringPoint(f"P{n}", f"B{n}") for n in range(1, 5)),
        meters=(
            Meter("P1", "S1", date(2010, 1, 1), verified_until=date(2026, 11, 1)),
            Meter("P2", "S2", date(2010, 1, 1), verified_until=date(2026, 12, 1)),
            Meter("P3", "S3", date(2010, 1, 1), verified_until=date(2026, 12, 1)),
            Meter("P4", "S4", date(2010, 1, 1), verified_until=date(2027, 2, 1)),
        ),
    )


@pytest.fixture
def application(database, tmp_path: Path, clock: FixedClock) -> Application:
    with database.writing() as session:
        order = RetailerOrder(
            name="АО «Проба»",
            inn="7707083893",
            bank_name="ПАО Банк",
            bic="044525225",
            bank_account="40702810900000000001",
            correspondent_account="30101810400000000225",
            zone=ZONE,
            languages=("ru",),
        )
        establish_retailer(session, order, clock)
        register_places(session, town(), clock)
    return Application(Settings.from_env({"KILOKASSA_VAR": str(tmp_path)}), database, clock)


def at(application: Application, instant: datetime) -> Application:
    return Application(application.settings, application.database, FixedClock(instant))


def letters(application: Application) -> dict[str, str]:
    with application.database.reading() as session:
        rows = session.execute(select(NoticeRow.recipient, NoticeRow.body_text)).all()
    return {row.recipient: row.body_text for row in rows}


def test_each_who_services_meters_is_told_of_theirs(application):
    report = tell_verifications(application)

    found = letters(application)
    assert report.written == 3
    assert [one.name for one in report.without_address] == ["УК Вторая"]
    assert set(found) == {"serv@town.example", "uk1@town.example", "en@town.example"}
    assert "ул. Ленина, 1, P1, № S1: поверен до 01.11.2026" in found["serv@town.example"]
    assert "S2" not in found["serv@town.example"]
    assert "№ S2" in found["uk1@town.example"]
    assert "verified until 1 Feb 2027" in found["en@town.example"]


def test_a_month_is_told_once_and_the_next_one_again(application):
    tell_verifications(application)

    same = tell_verifications(at(application, datetime(2026, 11, 30, 13, tzinfo=UTC)))
    # 15 UTC is the first of December in Хабаровск already.
    following = tell_verifications(at(application, datetime(2026, 11, 30, 15, tzinfo=UTC)))

    assert (same.written, following.written) == (0, 3)


def test_somebody_may_ask_to_tell_again(application):
    tell_verifications(application)

    again = tell_verifications(application, again=True, servicer_code="SERV")

    assert again.written == 1


def test_a_servicer_without_an_address_leaves_it_to_the_company(application, clock):
    with application.database.writing() as session:
        order = PlacesOrder(servicers=(Servicer("SERV", "Метролог", ""),))
        register_places(session, order, clock)

    tell_verifications(application)

    found = letters(application)
    assert "serv@town.example" not in found
    assert "№ S1" in found["uk1@town.example"]
    assert "№ S2" in found["uk1@town.example"]


def test_the_letter_is_delivered_like_any_other(application, tmp_path):
    tell_verifications(application)
    channel = FolderChannel(tmp_path / "outbox", sender="outbox@localhost")

    morning = FixedClock(datetime(2026, 11, 25, 1, tzinfo=UTC))
    result = send_due(application.database, channel, morning)

    assert result.sent == 3


def test_who_may_not_manage_meters_sends_nothing(application):
    with pytest.raises(Forbidden):
        tell_verifications(application, scope=Scope(Role.AUDITOR, "a", whole_retailer=True))

    assert letters(application) == {}
