"""Jobs by day: each local day once, in order; a failed day first; a cut-off one again."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from billing.service import RetailerOrder, establish_retailer
from kilokassa.app.job_runs import Job, JobState, run_due, run_now, statuses
from kilokassa.app.settings import Settings
from kilokassa.app.upkeep import JOBS
from kilokassa.app.wiring import Application
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import DomainError
from kilokassa.core.scope import system_scope
from kilokassa.db.locks import LeaderLock
from kilokassa.db.session import Database
from kilokassa.jobs import scheduler

ZONE = ZoneInfo("Asia/Vladivostok")
SCOPE = system_scope("test")
FIRST = date(2026, 11, 10)


def at(day: date, hour: int = 6) -> FixedClock:
    """Return the clock at an hour of a local day."""
    return FixedClock(datetime(day.year, day.month, day.day, hour, tzinfo=ZONE).astimezone(UTC))


@pytest.fixture
def installed(database: Database, tmp_path: Path) -> Application:
    with database.writing() as session:
        order = RetailerOrder(
            name="АО «Проба»",
            inn="7707083893",
            bank_name="ПАО Банк",
            bic="044525225",
            bank_account="40702810900000000001",
            correspondent_account="30101810400000000225",
            zone=ZONE.key,
            languages=("ru",),
        )
        establish_retailer(session, order, at(FIRST))
    return Application(Settings.from_env({"KILOKASSA_VAR": str(tmp_path)}), database, at(FIRST))


def on(application: Application, day: date, hour: int = 6) -> Application:
    return Application(application.settings, application.database, at(day, hour))


class Told:
    """A job that remembers the days it was run for, and fails on those that it is told to."""

    def __init__(self, name: str = "told") -> None:
        self.days: list[date] = []
        self.failing: set[date] = set()
        self.cut: set[date] = set()
        self.job = Job(name, name, self.run, hour="1", minute="0")

    def run(self, _application: Application, day: date) -> int:
        if day in self.cut:
            raise KeyboardInterrupt
        if day in self.failing:
            raise RuntimeError("the disk is full")
        self.days.append(day)
        return len(self.days)


def test_ten_missed_days_are_caught_up_each_once_and_in_order(installed: Application):
    told = Told()
    run_due(installed, told.job)
    later = on(installed, FIRST + timedelta(days=11))

    runs = run_due(later, told.job)

    assert told.days == [FIRST + timedelta(days=n) for n in range(12)]
    assert {run.state for run in runs} == {JobState.DONE}
    assert run_due(later, told.job) == ()


def test_before_its_hour_the_day_owes_nothing_yet(installed: Application):
    told = Told()
    run_due(installed, told.job)

    assert run_due(on(installed, FIRST + timedelta(days=1), hour=0), told.job) == ()


def test_a_day_that_failed_is_tried_again_before_a_later_one(installed: Application):
    told = Told()
    run_due(installed, told.job)
    told.failing = {FIRST + timedelta(days=2)}
    later = on(installed, FIRST + timedelta(days=4))

    failed = run_due(later, told.job)
    with installed.database.reading() as session:
        (seen,) = statuses(session, [told.job], later.clock.now(), scope=SCOPE)
    told.failing = set()
    again = run_due(later, told.job)

    assert [run.state for run in failed] == [JobState.DONE, JobState.FAILED]
    assert seen.last is not None
    assert "the disk is full" in seen.last.error
    assert seen.owed == tuple(FIRST + timedelta(days=n) for n in (2, 3, 4))
    assert told.days == [FIRST + timedelta(days=n) for n in range(5)]
    assert (again[0].runs, again[0].error) == (2, "")


def test_a_day_that_was_cut_off_runs_again(installed: Application):
    told = Told()
    told.cut = {FIRST}
    with pytest.raises(KeyboardInterrupt):
        run_due(installed, told.job)
    told.cut = set()

    (run,) = run_due(installed, told.job)

    assert (run.state, run.runs, told.days) == (JobState.DONE, 2, [FIRST])


def test_one_that_fails_stops_no_other(installed: Application, monkeypatch: pytest.MonkeyPatch):
    bad, good = Told("bad"), Told("good")
    bad.failing = {FIRST}
    monkeypatch.setattr(scheduler, "JOBS", (bad.job, good.job))
    lock = LeaderLock(installed.database)
    assert lock.acquire()

    scheduler.catch_up(installed, lock)

    lock.release()
    assert (bad.days, good.days) == ([], [FIRST])


def test_run_now_runs_the_last_day_once_more_and_knows_its_jobs(installed: Application):
    told = Told()
    run_now(installed, [told.job], "told", scope=SCOPE)
    run_now(installed, [told.job], "told", scope=SCOPE)

    assert told.days == [FIRST, FIRST]
    with pytest.raises(DomainError):
        run_now(installed, [told.job], "other", scope=SCOPE)


def test_the_real_jobs_catch_up_ten_days_and_change_nothing_the_second_time(
    installed: Application,
):
    by_day = [job for job in JOBS if job.by_day]
    for job in by_day:
        run_due(on(installed, FIRST, 12), job)
    later = on(installed, FIRST + timedelta(days=10), 12)

    runs = [run for job in by_day for run in run_due(later, job)]

    assert {run.state for run in runs} == {JobState.DONE}
    assert len(runs) == 10 * len(by_day)
    assert [run for job in by_day for run in run_due(later, job)] == []


def test_the_next_run_is_told_by_the_clock_on_the_wall(installed: Application):
    now = at(FIRST).now()
    daily, hourly, minutely = (
        Job("job", "job", Told().run, hour, minute)
        for hour, minute in (("5", "30"), ("*", "20"), ("*", "*"))
    )

    assert daily.next_at(now, ZONE) == datetime(2026, 11, 11, 5, 30, tzinfo=ZONE)
    assert hourly.next_at(now, ZONE) == datetime(2026, 11, 10, 6, 20, tzinfo=ZONE)
    assert minutely.next_at(now, ZONE) == datetime(2026, 11, 10, 6, 1, tzinfo=ZONE)
