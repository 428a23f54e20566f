"""Jobs of the scheduler: how they stand, and running one now."""

import json
from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields

from kilokassa.app.job_runs import JobRun, JobState, run_now, statuses
from kilokassa.app.upkeep import JOBS
from kilokassa.web.language import translate
from kilokassa.web.visit import visit


class JobRunSchema(Schema):
    """One run of a job, for a local day."""

    job = fields.String()
    day = fields.Date()
    state = fields.Enum(JobState, by_value=True)
    runs = fields.Integer(metadata={"description": "How often the job ran for the day."})
    started_at = fields.AwareDateTime()
    finished_at = fields.AwareDateTime(allow_none=True)
    outcome = fields.Raw(
        allow_none=True, metadata={"description": "What it did: mostly a count; null if it failed."}
    )
    error = fields.String(metadata={"description": "Why it failed, in words; else empty."})


class JobSchema(Schema):
    """A job: what it is, its last run, when it runs next, the local days that it owes."""

    job = fields.String()
    title = fields.String()
    by_day = fields.Boolean(metadata={"description": "Each local day is owed a run of its own."})
    last = fields.Nested(JobRunSchema, allow_none=True)
    next_at = fields.AwareDateTime()
    owed = fields.List(fields.Date())


def add_routes(api: Blueprint) -> None:
    """Add the routes of jobs."""
    api.route("/jobs", endpoint="jobs")(api.response(200, JobSchema(many=True))(jobs))
    api.route("/jobs/<name>/runs", endpoint="run_job", methods=["POST"])(
        api.response(200, JobRunSchema(many=True))(run_job)
    )


def jobs() -> list[dict[str, Any]]:
    """List the jobs in the order of a day."""
    here = visit()
    found = statuses(here.session, JOBS, here.now, scope=here.scope)
    return [
        {
            "job": one.job.name,
            "title": translate(one.job.title),
            "by_day": one.job.by_day,
            "last": None if one.last is None else _plain(one.last),
            "next_at": one.next_at,
            "owed": list(one.owed),
        }
        for one in found
    ]


def run_job(name: str) -> list[dict[str, Any]]:
    """Run a job now: the days that it owes, in order, else its last day; twice changes nothing."""
    here = visit()
    scope = here.scope
    here.end()  # the job opens sessions of its own
    return [_plain(run) for run in run_now(here.application, JOBS, name, scope=scope)]


def _plain(run: JobRun) -> dict[str, Any]:
    return {
        "job": run.job,
        "day": run.day,
        "state": run.state,
        "runs": run.runs,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "outcome": json.loads(run.outcome)["result"] if run.outcome else None,
        "error": run.error,
    }
