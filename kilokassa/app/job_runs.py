"""What the jobs of the scheduler did: one row a job and day it was due for."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.db.base import Base
from kilokassa.db.types import EnumText


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
