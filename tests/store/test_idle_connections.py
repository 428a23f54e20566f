import pytest

from kilokassa.db import session as sessions
from kilokassa.db.session import Database


@pytest.fixture
def _asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "IDLE_S", 0.0)


@pytest.mark.usefixtures("_asked_at_once")
def test_a_connection_that_died_while_it_was_idle_is_made_anew(postgresql_database: Database):
    with postgresql_database.reading() as session:
        first = _process(session)
    killer = Database(postgresql_database.url.render_as_string(hide_password=False))
    with killer.writing() as session:
        session.connection().exec_driver_sql(f"SELECT pg_terminate_backend({first})")
    killer.dispose()

    for _ in range(3):
        with postgresql_database.writing() as session:
            assert _process(session) != first


def test_a_connection_just_used_is_not_asked(
    postgresql_database: Database, monkeypatch: pytest.MonkeyPatch
):
    asked = []
    monkeypatch.setattr(postgresql_database.engine.dialect, "do_ping", asked.append)

    for _ in range(3):
        with postgresql_database.writing() as session:
            _process(session)

    assert not asked


def _process(session: sessions.Session) -> int:
    found: int = session.connection().exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    return found
