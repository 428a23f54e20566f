"""The jobs of the scheduler as pages show them: what came of each, in words."""

import json
from collections.abc import Mapping
from typing import Any, Final

from kilokassa.app.job_runs import JobRun, JobState, JobStatus
from kilokassa.core.text import amount_text, mark
from kilokassa.web.kit import Column, Kind, Table
from kilokassa.web.language import translate
from kilokassa.web.visit import visit

COUNTED: Final[Mapping[str, str]] = {
    "expire": mark("Lots ended: %(count)s."),
    "check_readings": mark("Findings opened: %(count)s."),
    "grant_bonuses": mark("Bonuses granted: %(count)s."),
    "remind_of_verifications": mark("Notices written: %(count)s."),
    "remind_of_readings": mark("Notices written: %(count)s."),
    "top_up_by_rules": mark("Payments asked for: %(count)s."),
    "end_orders": mark("Orders ended: %(count)s."),
    "rate_running": mark("Balances that moved: %(count)s."),
    "tell_due": mark("Notices written: %(count)s."),
    "decide_services": mark("Services that stand anew: %(count)s."),
    "send_notices": mark("Notices sent: %(count)s."),
}
"""By job, what its count is of."""

STATES: Final[Mapping[JobState, str]] = {
    JobState.RUNNING: mark("Running"),
    JobState.DONE: mark("Done"),
    JobState.FAILED: mark("Failed"),
}
TONES: Final = {JobState.RUNNING: "warn", JobState.DONE: "good", JobState.FAILED: "bad"}
NEVER: Final = mark("not run yet")


def result_text(run: JobRun) -> str:
    """Return what came of a run, as a sentence in the reader's language; of a failure its error."""
    if run.state is not JobState.DONE:
        return run.error
    found: Any = json.loads(run.outcome)["result"]
    language = visit().language
    if run.job == "charge_late_fees":
        amount = amount_text(int(found), language)
        return translate(mark("Late fees and interest: %(amount)s.")) % {"amount": amount}
    if run.job == "seal_day":
        return translate(mark("Sealed: %(digest)s…")) % {"digest": str(found)[:12]}
    if isinstance(found, dict):
        count = sum(one for name, one in found.items() if _counts(name, one))
        return translate(mark("Done: %(count)s.")) % {"count": count}
    return translate(COUNTED.get(run.job, mark("Done: %(count)s."))) % {"count": found}


def _counts(name: str, value: object) -> bool:
    return isinstance(value, int) and not name.endswith("_minor") and name != "waiting"


def jobs_table(items: tuple[JobStatus, ...]) -> Table[JobStatus]:
    """Return the list of jobs: how each stands, what its last run did, when it runs next."""

    def state(one: JobStatus) -> str:
        return NEVER if one.last is None else STATES[one.last.state]

    return Table(
        name="jobs",
        caption=mark("Jobs"),
        columns=(
            Column("job", mark("Job"), lambda one: one.job.title, Kind.MESSAGE),
            Column(
                "state",
                mark("State"),
                state,
                Kind.MESSAGE,
                tone=lambda one: "quiet" if one.last is None else TONES[one.last.state],
            ),
            Column("result", mark("Last result"), lambda one: one.last and result_text(one.last)),
            Column(
                "day",
                mark("For the day"),
                lambda one: one.last and one.last.day,
                Kind.DATE,
                minor=True,
            ),
            Column(
                "finished",
                mark("Finished"),
                lambda one: one.last and one.last.finished_at,
                Kind.INSTANT,
                minor=True,
            ),
            Column("took", mark("Took"), _took, minor=True),
            Column("next", mark("Runs next"), lambda one: one.next_at, Kind.INSTANT),
            Column(
                "owed",
                mark("Days owed"),
                lambda one: len(one.owed),
                Kind.NUMBER,
                tone=lambda one: "warn" if one.owed else "",
            ),
        ),
        items=items,
    )


def _took(one: JobStatus) -> str:
    seconds = None if one.last is None else one.last.seconds
    if seconds is None:
        return ""
    if not seconds:
        return translate(mark("less than 1 s"))
    return translate(mark("%(seconds)s s")) % {"seconds": seconds}
