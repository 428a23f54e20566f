"""The scheduler: a process of its own, one leader a database, APScheduler as its clock."""

import signal
import threading
from collections.abc import Callable
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from billing import store as billing_store
from kilokassa.app.job_runs import Job, run_due
from kilokassa.app.upkeep import JOBS
from kilokassa.app.wiring import Application
from kilokassa.db.locks import LeaderLock

ASKED_EVERY_S: Final = 5
"""How often a process that waits asks whether it may lead."""

LATE_BY_S: Final = 6 * 3600
"""A job that could not start in time still starts when it is no later than this."""

CATCH_UP: Final = "catch_up"
CATCH_UP_MINUTE: Final = 55

log = structlog.get_logger()


def run_scheduler(application: Application, stop: threading.Event) -> None:
    """Wait to be the leader, then run the jobs until `stop` is set."""
    lock = LeaderLock(application.database)
    try:
        while not stop.is_set():
            if not lock.acquire():
                stop.wait(ASKED_EVERY_S)
                continue
            log.info("leading", jobs=[job.name for job in JOBS])
            _lead(application, lock, stop)
    finally:
        lock.release()


def stop_on_signals() -> threading.Event:
    """Return an event that Ctrl-C and a polite kill set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _lead(application: Application, lock: LeaderLock, stop: threading.Event) -> None:
    """Run the jobs until told to stop, or until the lock is lost with its connection."""
    with application.database.reading() as session:
        zone = billing_store.retailer_zone(session)
    scheduler = _scheduler(application, lock, zone)
    scheduler.start()
    try:
        while not stop.wait(ASKED_EVERY_S):
            if not lock.is_held():
                log.warning("lost the lead")
                return
    finally:
        scheduler.shutdown(wait=True)


def _scheduler(application: Application, lock: LeaderLock, zone: ZoneInfo) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(
        # One thread: jobs follow each other and never meet on the embedded database.
        executors={"default": ThreadPoolExecutor(1)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": LATE_BY_S},
        timezone=zone,
    )
    for job in JOBS:
        trigger = CronTrigger(hour=job.hour, minute=job.minute, timezone=zone)
        scheduler.add_job(_guarded(job, application, lock), trigger, id=job.name, name=job.name)
    # Days that were missed or failed: at once, and every hour until they are done.
    again = CronTrigger(minute=CATCH_UP_MINUTE, timezone=zone)
    scheduler.add_job(catch_up, args=(application, lock), id=CATCH_UP)
    scheduler.add_job(catch_up, again, args=(application, lock), id=f"{CATCH_UP}_hourly")
    return scheduler


def catch_up(application: Application, lock: LeaderLock) -> None:
    """Run, in order of their days, the jobs by day that owe one; one that fails stops no other."""
    for job in JOBS:
        if job.by_day:
            _guarded(job, application, lock)()


def _guarded(job: Job, application: Application, lock: LeaderLock) -> Callable[[], None]:
    """Let a job run only while we lead, and let none of them end the process."""

    def run() -> None:
        if not lock.is_held():
            return
        try:
            run_due(application, job)
        except Exception:  # not the job's own, which is recorded: the database is away
            log.exception("job not recorded", job=job.name)

    return run
