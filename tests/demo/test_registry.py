"""The registry of the demo town: what it shows, and that it is made once."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import func, select

from kilokassa.app.settings import Settings
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.db.session import Database
from kilokassa.demo.founding import establish, found
from kilokassa.demo.population import town
from kilokassa.demo.registry import ensure_registry
from kilokassa.demo.town import _here, _live
from metering.meters.life import DueBand, LifeStage
from metering.meters.store import DueFilter, due_meters
from metering.models import ChannelRow, MeterLifeEventRow, MeterRow, RegisterReadingRow
from metering.registers import register_differences
from metering.registry.store import building_by_code, list_points, point_by_code
from metering.store import load_registers, load_total_by_day

SCOPE = system_scope("demo")
TODAY = date(2026, 6, 20)


@pytest.fixture(scope="module")
def lived(tmp_path_factory, sqlite_template):
    """A town whose seventh month is under way: late enough for its meter to be replaced."""
    folder = tmp_path_factory.mktemp("registry")
    file = folder / "kilokassa.sqlite"
    file.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{file}")
    clock = FixedClock(datetime(2026, 6, 20, 3, tzinfo=UTC))
    settings = Settings.from_env({"KILOKASSA_VAR": str(folder)})
    application = Application(settings, database, clock)
    plan = town(TODAY, first_month=Month(2025, 12))
    with database.writing() as session:
        establish(session, application)
    found(application, plan, ())
    here = _here(application, plan, ())
    for month in (*plan.closed_months, Month(2026, 6)):
        _live(application, here, month, month.first_day)
    ensure_registry(application, plan, SCOPE)
    yield application, plan
    database.dispose()


def test_the_town_has_what_a_registry_shows(lived):
    application, _ = lived

    with application.database.reading() as session:
        houses = [building_by_code(session, SCOPE, f"KHV-{n}") for n in (1, 2, 3)]
        pumps = point_by_code(session, SCOPE, "KHV-3-PUMP")
        roof = point_by_code(session, SCOPE, "KHV-3-ROOF")
        flat = point_by_code(session, SCOPE, "KHV-1-001")
        points, total = list_points(session, SCOPE, search="270000000000301")
        given = load_total_by_day(
            session, [c.id for c in roof.channels if c.code == "A-"], date(2026, 6, 1), TODAY
        )
    assert all(house.place is not None for house in houses)
    assert [house.servicer_code for house in houses] == ["METROLOG", "METROLOG", ""]
    assert [c.code for c in pumps.channels] == ["A+", "R+"]
    assert [c.multiplier for c in pumps.channels] == [20, 20]
    assert pumps.present is not None
    assert pumps.present.life.stage is LifeStage.IN_SERVICE
    assert min(given.values()) > 1_000
    assert flat.capacity_w == 10_000
    assert flat.delivery_point_code == "KHV-1-001-TP"
    assert [event.document != "" for event in flat.meters[0].events].count(True) == 4
    assert (points[0].code, total) == ("KHV-3-PUMP", 1)


def test_a_replaced_meter_agrees_with_the_intervals_of_its_point(lived):
    application, plan = lived
    with application.database.reading() as session:
        point_id = session.scalar(
            select(func.min(MeterRow.point_id)).where(MeterRow.removed_on.is_not(None))
        )
        (removed,) = session.scalars(
            select(MeterRow).where(MeterRow.point_id == point_id, MeterRow.removed_on.is_not(None))
        )
        readings = load_registers(session, [removed.id])
        serials = session.scalars(
            select(MeterRow.serial).where(MeterRow.point_id == point_id)
        ).all()

        (used,) = register_differences(readings, digits=removed.digits)
        channel = session.scalar(select(ChannelRow.id).where(ChannelRow.point_id == point_id))
        totals = load_total_by_day(session, [channel], plan.first_day, removed.removed_on)

    assert len(serials) == 2
    whole, last = sum(totals.values()), totals[removed.removed_on]
    assert whole - last < used.energy < whole


def test_some_verifications_run_out_soon_and_one_has(lived):
    application, _ = lived
    with application.database.reading() as session:
        later = due_meters(session, SCOPE, DueFilter(within_days=90), today=date(2026, 12, 10))

    found = {one.point_code: one.band for one in later}
    assert found["KHV-1-009-CW"] is DueBand.EXPIRED
    assert found["KHV-1-011-CW"] is DueBand.WITHIN_30
    assert found["KHV-1-013-CW"] is DueBand.WITHIN_90


def test_a_second_call_changes_nothing(lived):
    application, plan = lived

    def counts():
        tables = (MeterRow, MeterLifeEventRow, RegisterReadingRow)
        with application.database.reading() as session:
            return [session.scalar(select(func.count()).select_from(table)) for table in tables]

    before = counts()

    added = ensure_registry(application, plan, SCOPE)

    assert added == 0
    assert counts() == before
