"""Commands of the scheduler's jobs: what there are, how they stand, run one now."""

import json

import click

from kilokassa.app.job_runs import JobRun, JobState, JobStatus
from kilokassa.core.text import instant_text, mark, told
from kilokassa.jobs.console import Console, emit, json_option, pass_console

STATES = {
    JobState.RUNNING: mark("running"),
    JobState.DONE: mark("done"),
    JobState.FAILED: mark("failed"),
}


@click.group()
def jobs() -> None:
    """The jobs of the scheduler.

    Example: kilokassa jobs status
    """


@jobs.command("list")
@json_option
@pass_console
def list_jobs(console: Console, as_json: bool) -> None:
    """List the jobs with what they do and when.

    Example: kilokassa jobs list --json
    """
    from kilokassa.app.upkeep import JOBS

    if as_json:
        emit(
            [
                {
                    "job": job.name,
                    "title": told(job.title, console.language),
                    "hour": job.hour,
                    "minute": job.minute,
                    "by_day": job.by_day,
                }
                for job in JOBS
            ]
        )
        return
    for job in JOBS:
        when = f"{job.hour:>2}:{job.minute:0>2}"
        click.echo(f"{job.name:<26}{when:<7}{told(job.title, console.language)}")


@jobs.command("status")
@json_option
@pass_console
def status(console: Console, as_json: bool) -> None:
    """Show the last result, duration, error and next run of each job, and the days it owes.

    Example: kilokassa jobs status --json
    """
    from billing.store import retailer_zone
    from kilokassa.app.job_runs import statuses
    from kilokassa.app.upkeep import JOBS

    application = console.installed
    with application.database.reading() as session:
        zone = retailer_zone(session)
        found = statuses(session, JOBS, application.clock.now(), scope=console.scope)
    if as_json:
        emit([_as_json(one) for one in found])
        return
    for one in found:
        last = "" if one.last is None else told(STATES[one.last.state], console.language)
        if one.last is not None and one.last.finished_at is not None:
            last += f" {instant_text(one.last.finished_at, zone, console.language)}"
        next_at = instant_text(one.next_at, zone, console.language)
        click.echo(f"{one.job.name:<26}{last:<34}{next_at:<22}{len(one.owed) or ''}")
        if one.last is not None and one.last.error:
            click.echo(f"    {one.last.error}")


@jobs.command("run")
@click.argument("job")
@json_option
@pass_console
def run(console: Console, job: str, as_json: bool) -> None:
    """Run the JOB now: the days that it owes, in order, else its last day once more.

    Example: kilokassa jobs run expire
    """
    run_job(console, job, as_json=as_json)


def run_job(console: Console, name: str, *, as_json: bool = False) -> None:
    """Run a job, say what became of it; exit 1 where a day failed."""
    from kilokassa.app.job_runs import run_now
    from kilokassa.app.upkeep import JOBS

    runs = run_now(console.installed, JOBS, name, scope=console.scope)
    if as_json:
        emit([_run_as_json(one) for one in runs])
    for one in runs:
        if one.state is JobState.FAILED:
            message = mark("%(job)s, %(day)s: failed: %(error)s")
            console.warn(message, job=one.job, day=one.day, error=one.error)
        elif not as_json:
            outcome = json.loads(one.outcome)["result"]
            console.say(mark("%(job)s: %(outcome)s"), job=one.job, outcome=outcome)
    if any(one.state is JobState.FAILED for one in runs):
        raise SystemExit(1)


def _as_json(one: JobStatus) -> dict[str, object]:
    return {
        "job": one.job.name,
        "last": None if one.last is None else _run_as_json(one.last),
        "next_at": one.next_at,
        "owed": list(one.owed),
    }


def _run_as_json(one: JobRun) -> dict[str, object]:
    return {
        "job": one.job,
        "day": one.day,
        "state": str(one.state),
        "runs": one.runs,
        "started_at": one.started_at,
        "finished_at": one.finished_at,
        "outcome": json.loads(one.outcome)["result"] if one.outcome else None,
        "error": one.error,
    }


COMMANDS = (jobs,)
