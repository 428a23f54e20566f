from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from kilokassa.app.settings import Settings
from kilokassa.app.verification import verify_all
from kilokassa.app.wiring import Application
from kilokassa.core.clock import FixedClock
from kilokassa.demo.town import ensure_demo


def later(database, tmp_path, month, day):
    clock = FixedClock(datetime(2026, month, day, 9, tzinfo=UTC))
    application = Application(Settings.from_env({"KILOKASSA_VAR": str(tmp_path)}), database, clock)
    return application, ensure_demo(application)


def counts(database):
    tables = ("interval_day", "journal_entry", "charge_line", "document", "notice")
    with database.reading() as session:
        return [session.scalar(text(f"SELECT count(*) FROM {table}")) for table in tables]


@pytest.mark.slow
def test_the_town_lives_on_day_by_day_and_pays_its_bills(sqlite_database, tmp_path):
    _, founded = later(sqlite_database, tmp_path, 11, 24)
    _, closed = later(sqlite_database, tmp_path, 12, 1)
    application, paid = later(sqlite_database, tmp_path, 12, 22)
    before = counts(sqlite_database)
    later(sqlite_database, tmp_path, 12, 22)

    assert (founded.months_closed, closed.months_closed, paid.months_closed) == (12, 1, 0)
    assert (closed.days_added, paid.days_added) == (7, 21)
    assert counts(sqlite_database) == before
    assert verify_all(application) == ()
    with sqlite_database.reading() as session:
        owing = session.scalar(text("SELECT count(*) FROM wallet WHERE uncovered_minor > 0"))
    assert 6 <= owing <= 12
