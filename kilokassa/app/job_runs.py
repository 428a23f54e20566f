"""What the jobs of the scheduler did: one row a job and day; what is due, and running it.

A job by day is owed one run for each local day: days that were missed are caught up in order, and a
day that failed is tried again before a later one. Of the others each run does all that is due.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Index, Text, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from billing import store as billing_store
from kilokassa.core.calendar import local_date
from kilokassa.core.digest import canonical_json
from kilokassa.core.errors import DomainError, NotFound
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import Language, mark, sentence
from kilokassa.db.base import Base
from kilokassa.db.locks import wait_for
from kilokassa.db.types import EnumText

if TYPE_CHECKING:
    from kilokassa.app.wiring import Application

CAUGHT_UP_DAYS: Final = 400
"""How far back days that were missed are caught up; what lies before is for a person."""

log = structlog.get_logger()


class JobState(StrEnum):
    """How a run of a job ended."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobRunRow(Base):
    """The latest run of a job for a local day; a repeat for the same day takes its place."""

    __tablename__ = "job_run"
    __table_args__ = (
        UniqueConstraint("job", "day"),
        Index("ix_job_run_job_started", "job", "started_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[str]
    day: Mapped[date]
    """The local day that it was due for."""
    state: Mapped[JobState] = mapped_column(EnumText(JobState))
    runs: Mapped[int] = mapped_column(default=1)
    """How often it ran for the day."""
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(Text, default="")
    """What it did, as canonical JSON."""
    error: Mapped[str] = mapped_column(Text, default="")


@dataclass(frozen=True, slots=True)
class Job:
    """One job; the times are those on the wall of the retailer, as cron writes them."""

    name: str
    title: str
    run: Callable[["Application", date], object]
    hour: str
    """An hour, or `*`."""
    minute: str

    @property
    def by_day(self) -> bool:
        """Whether each local day is owed a run of its own."""
        return self.hour != "*"

    def next_at(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return when it runs next, in the zone; an hour that a clock skips comes an hour later."""
        local = now.astimezone(zone)
        if self.by_day:
            at = time(int(self.hour), int(self.minute))
            today = datetime.combine(local.date(), at, zone)
            return today if today > local else today + timedelta(days=1)
        if self.minute == "*":
            return local.replace(second=0, microsecond=0) + timedelta(minutes=1)
        this = local.replace(minute=int(self.minute), second=0, microsecond=0)
        return this if this > local else this + timedelta(hours=1)

    def due_through(self, now: datetime, zone: ZoneInfo) -> date:
        """Return the last local day that is owed a run by now."""
        local = now.astimezone(zone)
        if not self.by_day or local.time() >= time(int(self.hour), int(self.minute)):
            return local.date()
        return local.date() - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class JobRun:
    """What became of a run."""

    job: str
    day: date
    state: JobState
    runs: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str
    error: str

    @property
    def seconds(self) -> int | None:
        """How long it took, in whole seconds; None while it runs."""
        if self.finished_at is None:
            return None
        return (self.finished_at - self.started_at) // timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job as the page shows it: its last run, when it runs next, which days are owed."""

    job: Job
    last: JobRun | None
    next_at: datetime
    owed: tuple[date, ...]


def days_owed(session: Session, job: Job, through: date) -> tuple[date, ...]:
    """Return the local days that are owed a run, oldest first; of a new job the last day alone.

    A day whose run failed, or was cut off, is owed as well. A job that is not by day owes nothing.
    """
    if not job.by_day:
        return ()
    rows = session.execute(
        select(JobRunRow.day, JobRunRow.state).where(JobRunRow.job == job.name)
    ).all()
    if not rows:
        return (through,)
    unfinished = {row.day for row in rows if row.state is not JobState.DONE}
    last = max(row.day for row in rows)
    count = min((through - last).days, CAUGHT_UP_DAYS)
    missed = {through - timedelta(days=n) for n in range(max(0, count))}
    return tuple(sorted(day for day in unfinished | missed if day <= through))


def run_due(
    application: "Application", job: Job, *, until: date | None = None, again: bool = False
) -> tuple[JobRun, ...]:
    """Run a job for each day that it owes, in order; the first failure ends it, and is recorded.

    `until` is the last day; without it, what the clock makes due. With `again` the last day is run
    once more where nothing is owed: twice changes nothing.
    """
    now = application.clock.now()
    with application.database.reading() as session:
        zone = billing_store.retailer_zone(session)
        through = until or job.due_through(now, zone)
        days = days_owed(session, job, through)
    if not job.by_day or (again and not days):
        days = (local_date(now, zone),)
    done: list[JobRun] = []
    for day in days:
        done.append(_run(application, job, day))
        if done[-1].state is JobState.FAILED:
            break
    return tuple(done)


def run_now(
    application: "Application", jobs: Sequence[Job], name: str, *, scope: Scope
) -> tuple[JobRun, ...]:
    """Run a job because a person asks for it: what it owes, else its last day once more."""
    scope.demand(Right.RUN_BILLING)
    for job in jobs:
        if job.name == name:
            return run_due(application, job, until=_today(application), again=True)
    raise NotFound(what=mark("job"), name=name)


def statuses(
    session: Session, jobs: Sequence[Job], now: datetime, *, scope: Scope
) -> tuple[JobStatus, ...]:
    """Return each job's last run, next run and days owed; staff of the retailer see it."""
    scope.demand(Right.RUN_BILLING)
    zone = billing_store.retailer_zone(session)
    found = []
    for job in jobs:
        row = session.scalars(
            select(JobRunRow)
            .where(JobRunRow.job == job.name)
            .order_by(JobRunRow.started_at.desc(), JobRunRow.day.desc())
            .limit(1)
        ).one_or_none()
        found.append(
            JobStatus(
                job,
                None if row is None else _told(row),
                job.next_at(now, zone),
                days_owed(session, job, job.due_through(now, zone)),
            )
        )
    return tuple(found)


def _today(application: "Application") -> date:
    with application.database.reading() as session:
        return local_date(application.clock.now(), billing_store.retailer_zone(session))


def _run(application: "Application", job: Job, day: date) -> JobRun:
    _write(application, job, day, JobState.RUNNING)
    try:
        outcome = job.run(application, day)
    except Exception as error:  # recorded and told: the next job shall still run
        log.exception("job failed", job=job.name, day=str(day))
        return _write(application, job, day, JobState.FAILED, error=_words(error))
    log.info("job done", job=job.name, day=str(day), outcome=outcome)
    return _write(application, job, day, JobState.DONE, outcome=canonical_json({"result": outcome}))


def _words(error: Exception) -> str:
    if isinstance(error, DomainError):
        return sentence(error, Language.ENGLISH)
    return f"{type(error).__name__}: {error}"[:500]


def _write(
    application: "Application",
    job: Job,
    day: date,
    state: JobState,
    *,
    outcome: str = "",
    error: str = "",
) -> JobRun:
    now = application.clock.now()
    with application.database.writing() as session:
        wait_for(session, f"job:{job.name}")
        row = session.scalars(
            select(JobRunRow).where(JobRunRow.job == job.name, JobRunRow.day == day)
        ).one_or_none()
        if row is None:
            row = JobRunRow(job=job.name, day=day, state=state, runs=0, started_at=now)
            session.add(row)
        if state is JobState.RUNNING:
            row.runs += 1
            row.started_at = now
        row.state, row.outcome, row.error = state, outcome, error
        row.finished_at = None if state is JobState.RUNNING else now
        session.flush()
        return _told(row)


def _told(row: JobRunRow) -> JobRun:
    return JobRun(
        row.job,
        row.day,
        row.state,
        row.runs,
        row.started_at,
        row.finished_at,
        row.outcome,
        row.error,
    )
