"""Jobs of the scheduler: how each stands, and the button that runs one now."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import SelectChoice, SelectField

from kilokassa.app.job_runs import JobState, run_now, statuses
from kilokassa.app.upkeep import JOBS
from kilokassa.core.text import date_text, mark
from kilokassa.web.forms import Form
from kilokassa.web.jobs import jobs_table, result_text
from kilokassa.web.kit import export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit


class RunJobForm(Form):
    """The job to run."""

    job = SelectField(mark("Job"), choices=[])


def jobs() -> ResponseReturnValue:
    """List the jobs in the order of a day."""
    return _page(visit(), _form())


def run_job() -> ResponseReturnValue:
    """Run a job now: the days that it owes, in order, else its last day once more."""
    here = visit()
    form = _form()
    if not form.validate():
        return _page(here, form, 422)
    scope = here.scope
    here.end()  # the job opens sessions of its own
    runs = run_now(here.application, JOBS, form.job.data, scope=scope)
    title = translate(next(job.title for job in JOBS if job.name == form.job.data))
    for run in runs:
        told = {"job": title, "day": date_text(run.day, here.language), "result": result_text(run)}
        flash(
            translate(mark("%(job)s, %(day)s: %(result)s")) % told,
            "bad" if run.state is JobState.FAILED else "good",
        )
    return redirect(url_for("console.jobs"))


def _form() -> RunJobForm:
    form = RunJobForm()
    form.job.choices = [SelectChoice(job.name, translate(job.title)) for job in JOBS]
    return form


def _page(here: Visit, form: RunJobForm, status: int = 200) -> ResponseReturnValue:
    table = jobs_table(statuses(here.session, JOBS, here.now, scope=here.scope))
    if export_asked():
        return table.csv()
    page = render_template("console/jobs.html", active="console.jobs", table=table, form=form)
    return page, status
