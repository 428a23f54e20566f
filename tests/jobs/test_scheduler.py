import threading
from datetime import date
from pathlib import Path

import pytest

from billing.service import RetailerOrder, establish_retailer
from kilokassa.app.settings import Settings
from kilokassa.app.upkeep import JOBS
from kilokassa.app.wiring import Application
from kilokassa.core.clock import FixedClock
from kilokassa.db.locks import LeaderLock
from kilokassa.db.session import Database
from kilokassa.jobs import scheduler


@pytest.fixture
def application(database: Database, tmp_path: Path, clock: FixedClock) -> Application:
    with database.writing() as session:
        order = RetailerOrder(
            name="АО «Проба»",
            inn="7707083893",
            bank_name="ПАО Банк",
            bic="044525225",
            bank_account="40702810900000000001",
            correspondent_account="30101810400000000225",
            zone="Asia/Vladivostok",
            languages=("ru",),
        )
        establish_retailer(session, order, clock)
    return Application(Settings.from_env({"KILOKASSA_VAR": str(tmp_path)}), database, clock)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_a_job_that_runs_twice_over_nothing_does_nothing(application: Application, job):
    day = application.clock.now().date()
    first = job.run(application, day)

    assert job.run(application, day) == first


def test_the_jobs_run_by_the_clock_on_the_retailers_wall(application: Application):
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Asia/Vladivostok")
    made = scheduler._scheduler(application, LeaderLock(application.database), zone)

    now = application.clock.now().astimezone(zone)
    due = {job.id: job.trigger.get_next_fire_time(None, now) for job in made.get_jobs()}
    assert set(due) == {job.name for job in JOBS} | {"catch_up", "catch_up_hourly"}
    assert (due["expire"].hour, due["expire"].minute, due["expire"].tzinfo) == (0, 5, zone)


def test_a_failing_job_does_not_stop_the_others(application: Application):
    from kilokassa.app.job_runs import Job

    def fail(_: Application, _day: date) -> object:
        raise RuntimeError("once")

    lock = LeaderLock(application.database)
    assert lock.acquire()

    scheduler._guarded(Job("fail", "fail", fail, "*", "*"), application, lock)()

    lock.release()


def test_one_who_does_not_lead_waits_and_stops_when_told(
    application: Application, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scheduler, "ASKED_EVERY_S", 0.05)
    other = Database(application.database.url.render_as_string(hide_password=False))
    leader = LeaderLock(other)
    assert leader.acquire()
    stop = threading.Event()
    thread = threading.Thread(target=scheduler.run_scheduler, args=(application, stop))
    thread.start()

    thread.join(0.3)
    waiting = thread.is_alive()
    stop.set()
    thread.join(10)

    assert waiting
    assert not thread.is_alive()
    assert leader.is_held()
    leader.release()
    other.dispose()
