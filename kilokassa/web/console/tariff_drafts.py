"""Drafts of tariffs: written with their picture beside them, published by a second person."""

from collections.abc import Sequence
from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import BooleanField, HiddenField, StringField, TextAreaField
from wtforms.validators import Length, Regexp

from kilokassa.core.errors import DomainError
from kilokassa.core.scope import Right
from kilokassa.core.text import mark, sentence
from kilokassa.web import queries
from kilokassa.web.doers import Doers
from kilokassa.web.forms import Form
from kilokassa.web.kit import Column, Kind, Table, export_asked
from kilokassa.web.language import translate
from kilokassa.web.tariff_view import (
    DiffLine,
    check_document,
    compare_documents,
    diff_lines,
    numbered,
)
from kilokassa.web.visit import Visit, visit
from tariffs import store as tariffs_store
from tariffs.drafts import store as draft_store
from tariffs.drafts.draft import Draft, DraftState
from tariffs.drafts.service import (
    NOTE_MOST,
    TITLE_MOST,
    DraftChanged,
    DraftStepOrder,
    DraftText,
    publish_draft,
    return_draft,
    save_draft,
    submit_draft,
    withdraw_draft,
)
from tariffs.plans import TariffVersion
from tariffs.store import PublishedVersion

LONGEST: Final = 256 * 1024

TEMPLATE: Final = """\
plan: new_plan
name:
  ru: Новый тариф
  en: New plan
valid_from: {day}
currency: RUB
vat: included

zones:
  day: [07:00-23:00]
  night: [23:00-07:00]

prices:
  - from: {day}
    per_kwh: {{day: 6.00, night: 2.00}}

source: ""
confidence: medium
"""
"""What a draft of a new plan begins with; it has no source yet, so it cannot be submitted so."""


class DraftForm(Form):
    """A text and the revision that the writer had before their eyes."""

    title = StringField(mark("Title"), validators=[Length(max=TITLE_MOST)])
    document = TextAreaField(mark("Tariff document"), validators=[Length(max=LONGEST)])
    revision = HiddenField(validators=[Regexp(r"\A[0-9]{0,9}\Z")])

    conflict: Sequence[DiffLine] = ()
    """What the writer's text says differently from the one that was saved in between."""


class StepForm(Form):
    """A step to take with the draft as it was read."""

    note = StringField(mark("Note"), validators=[Length(max=NOTE_MOST)])
    revision = HiddenField(validators=[Regexp(r"\A[0-9]{1,9}\Z")])
    replaces = BooleanField(mark("It takes the place of the version of the same date"))


STEPS: Final = {
    "submit": (submit_draft, mark("The draft waits for a second person.")),
    "return": (return_draft, mark("The draft went back to its authors.")),
    "withdraw": (withdraw_draft, mark("The draft was laid aside.")),
    "publish": (publish_draft, mark("The tariff was published.")),
}


def tariff_drafts() -> ResponseReturnValue:
    """List the drafts that are open, or all that there ever were."""
    here = visit()
    everything = request.args.get("all") == "1"
    found = draft_store.drafts(here.session, here.scope, all_states=everything)
    doers = Doers(here, [step.actor for draft in found for step in draft.steps])
    table = _table(found, doers)
    if export_asked():
        return table.csv()
    return render_template(
        "console/tariff_drafts.html",
        active="console.tariff_drafts",
        table=table,
        everything=everything,
        writing=here.may(Right.PUBLISH_TARIFFS),
        plans=tariffs_store.plans(here.session),
    )


def _table(found: tuple[Draft, ...], doers: Doers) -> Table[Draft]:
    def authors(one: Draft) -> str:
        return ", ".join(doers.name(actor) for actor in one.authors)

    return Table(
        name="tariff-drafts",
        caption=mark("Drafts of tariffs"),
        columns=(
            Column(
                "title",
                mark("Draft"),
                lambda one: one.title or f"№ {one.id}",
                link=lambda one: url_for("console.tariff_draft", draft_id=one.id),
            ),
            Column("plan", mark("Plan"), lambda one: one.plan_code, minor=True),
            Column("state", mark("State"), lambda one: one.state, Kind.WORD, tone=_tone),
            Column("authors", mark("Written by"), authors),
            Column(
                "changed", mark("Last step"), lambda one: one.steps[-1].recorded_at, Kind.INSTANT
            ),
        ),
        items=found,
        empty=mark("No tariff is being written."),
    )


def _tone(one: Draft) -> str:
    return {
        DraftState.SUBMITTED: "warn",
        DraftState.PUBLISHED: "good",
        DraftState.WITHDRAWN: "quiet",
    }.get(one.state, "")


def new_tariff_draft() -> ResponseReturnValue:
    """Begin a draft: from the document in force of a plan, or from an empty one."""
    here = visit()
    code = request.form.get("plan", "")
    text = TEMPLATE.format(day=here.today.replace(day=1))
    if code:
        plan = tariffs_store.plan_by_code(here.session, code)
        text = tariffs_store.published_versions(here.session, plan.id)[0].document
    with here.writing() as session:
        draft = save_draft(
            session, DraftText(here.scope, text, title=_title_asked()), here.application.clock
        )
    return redirect(url_for("console.tariff_draft", draft_id=draft.id))


def _title_asked() -> str:
    return request.form.get("title", "")[:TITLE_MOST]


def tariff_draft(draft_id: int) -> ResponseReturnValue:
    """Show a draft: its text, its picture, what differs from the version in force, its steps."""
    here = visit()
    draft = draft_store.draft_by_id(here.session, here.scope, draft_id)
    return _page(here, draft, DraftForm(formdata=None))


def save_tariff_draft(draft_id: int) -> ResponseReturnValue:
    """Save the text; where somebody else saved in between, nothing is lost and both are shown."""
    here = visit()
    form = DraftForm()
    draft = draft_store.draft_by_id(here.session, here.scope, draft_id)
    text = (form.document.data or "").replace("\r\n", "\n")
    if not form.validate():
        return _page(here, draft, form, typed=text), 422
    order = DraftText(
        here.scope, text, form.title.data or "", draft_id, int(form.revision.data or 0)
    )
    try:
        with here.writing() as session:
            save_draft(session, order, here.application.clock)
    except DraftChanged as conflict:
        form.form_errors.append(_said(here, conflict))
        draft = draft_store.draft_by_id(here.session, here.scope, draft_id)
        form.conflict = diff_lines(draft.document, text)
        return _page(here, draft, form, typed=text), 409
    except DomainError as error:
        form.form_errors.append(sentence(error, here.language))
        draft = draft_store.draft_by_id(here.session, here.scope, draft_id)
        return _page(here, draft, form, typed=text), 422
    flash(translate(mark("The draft was saved.")), "good")
    return redirect(url_for("console.tariff_draft", draft_id=draft_id))


def _said(here: Visit, conflict: DraftChanged) -> str:
    """Return the sentence of a conflict with the person's name in it."""
    name = Doers(here, [conflict.values["actor"]]).name(conflict.values["actor"])
    return translate(DraftChanged.template) % (conflict.values | {"actor": name})


def step_tariff_draft(draft_id: int) -> ResponseReturnValue:
    """Submit, return, withdraw or publish a draft as it was read."""
    here = visit()
    form = StepForm()
    step = STEPS.get(request.form.get("step", ""))
    draft = draft_store.draft_by_id(here.session, here.scope, draft_id)
    if step is None or not form.validate():
        return _page(here, draft, DraftForm(formdata=None)), 422
    take, done = step
    order = DraftStepOrder(
        here.scope,
        draft_id,
        int(form.revision.data),
        note=form.note.data or "",
        replaces=form.replaces.data,
    )
    try:
        with here.writing() as session:
            take(session, order, here.application.clock)
    except DomainError as error:
        shown = DraftForm(formdata=None)
        words = _said(here, error) if isinstance(error, DraftChanged) else None
        shown.form_errors.append(words or sentence(error, here.language))
        draft = draft_store.draft_by_id(here.session, here.scope, draft_id)
        return _page(here, draft, shown), 409
    flash(translate(done), "good")
    return redirect(url_for("console.tariff_draft", draft_id=draft_id))


def check_tariff() -> str:
    """Return the picture of a text, or its faults by line: what shows while one types."""
    here = visit()
    text = request.form.get("document", "")[: LONGEST + 1].replace("\r\n", "\n")
    return render_template("console/tariff_draft_checked.html", **_checked(here, text))


def _page(here: Visit, draft: Draft, form: DraftForm, *, typed: str | None = None) -> str:
    text = draft.document if typed is None else typed
    if typed is None:
        form.title.data = draft.title
        form.document.data = text
    # Who looks at a conflict has the other text before their eyes now.
    form.revision.data = str(draft.revision)
    doers = Doers(here, [step.actor for step in draft.steps])
    return render_template(
        "console/tariff_draft.html",
        active="console.tariff_drafts",
        draft=draft,
        form=form,
        typed=typed,
        doers=doers,
        authors=", ".join(doers.name(actor) for actor in draft.authors),
        writing=here.may(Right.PUBLISH_TARIFFS)
        and draft.state in {DraftState.WRITING, DraftState.SUBMITTED},
        publishing=here.may(Right.PUBLISH_TARIFFS) and draft.may_publish(here.scope.actor),
        step_shown=next(
            (one for one in draft.steps if str(one.number) == request.args.get("step")), None
        ),
        can_rehearse=here.may(Right.PUBLISH_TARIFFS),
        **_checked(here, text, draft.version_id),
    )


def _checked(here: Visit, text: str, version_id: int | None = None) -> dict[str, Any]:
    """Return what a template shows of a text, published or not: faults, picture, differences."""
    names = queries.plan_names(here.session, here.language)
    found = check_document(text, here.language, here.today, names)
    former = None if found.version is None else _former(here, found.version, version_id)
    compared = None
    if former is not None and found.version is not None:
        compared = compare_documents(
            former.document, text, (former.version, found.version), here.zone
        )
    same_date = former is not None and former.version.valid_from == (
        found.version and found.version.valid_from
    )
    return {
        "checked": found,
        "lines": numbered(text, found.faults),
        "former": former,
        "compared": compared,
        "same_date": same_date,
    }


def _former(here: Visit, version: TariffVersion, version_id: int | None) -> PublishedVersion | None:
    """Return the publication of the plan that holds when the new one begins, if there is one.

    Of a text that is published as `version_id`, the one that held before it was.
    """
    plans = {plan.code: plan for plan in tariffs_store.plans(here.session)}
    plan = plans.get(version.plan_code)
    if plan is None:
        return None
    published = tariffs_store.published_versions(here.session, plan.id)
    own = next((one for one in published if one.version.id == version_id), None)
    earlier = [one for one in published if own is None or one.published_at < own.published_at]
    return next((one for one in earlier if one.version.valid_from <= version.valid_from), None)
