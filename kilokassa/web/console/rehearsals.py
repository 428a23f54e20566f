"""Rehearsals of tariffs: the list, a new one, how far it is, and its report."""

from dataclasses import dataclass
from threading import Lock, Thread
from threading import enumerate as threads
from typing import Any, Final

from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import RadioField, SelectChoice, SelectField, StringField
from wtforms.validators import Length

from billing import store as billing_store
from billing.models import RehearsalRow, RunState
from billing.rehearsal import store
from billing.rehearsal.order import Change, RehearsalOrder
from kilokassa.app import rehearsal_report, rehearsing
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark, month_text, sentence
from kilokassa.web.doers import Doers
from kilokassa.web.forms import FileForm
from kilokassa.web.kit import Column, Kind, Table, export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit
from tariffs import store as tariffs_store
from tariffs.drafts import store as draft_store
from tariffs.rehearsal import PriceBasis

DRAFT: Final = "draft"
"""Begins the choice of a draft to try; a code of a plan holds no colon."""
MONTHS_OFFERED: Final = 36
DOCUMENT_MAX: Final = 1_000_000
"""Bytes; a tariff document has some thousands."""
_TURN: Final = Lock()
"""Rehearsals beside requests come one after the other: each takes every worker there is."""


class RehearsalForm(FileForm):
    """Whose plan is tried on which tariff, over which months."""

    name = StringField(mark("Name"), validators=[Length(max=120)])
    plan = SelectField(mark("Accounts on the plan"), choices=[])
    target = SelectField(mark("Try it on"), choices=[])
    first = SelectField(mark("First month"), choices=[])
    last = SelectField(mark("Last month"), choices=[])
    building = SelectField(mark("Building"), choices=[])
    prices = RadioField(mark("Prices"), choices=[])

    def validate_file(self, field: Any) -> None:  # noqa: ANN401 - WTForms' own hook
        """A file is needed only where no published plan was chosen."""


@dataclass(frozen=True, slots=True)
class ListedRehearsal:
    """A rehearsal as the list shows it."""

    row: RehearsalRow

    @property
    def months(self) -> str:
        """Its months."""
        first, last = (
            Month.from_ordinal(number) for number in (self.row.first_month, self.row.last_month)
        )
        language = visit().language
        return f"{month_text(first, language)} – {month_text(last, language)}"


def rehearsals() -> ResponseReturnValue:
    """List the rehearsals, the latest first."""
    here = visit()
    rows = store.rehearsals(here.session, here.scope)
    table = _table(rows, Doers(here, [row.actor for row in rows]))
    if export_asked():
        return table.csv()
    return render_template("console/rehearsals.html", active="console.rehearsals", table=table)


def new_rehearsal() -> ResponseReturnValue:
    """Ask what shall be rehearsed, and begin it."""
    here = visit()
    form = RehearsalForm()
    _offer(here, form)
    status = 200
    if request.method == "POST":
        status = 422
        if form.validate():
            try:
                return redirect(_begin(here, form))
            except DomainError as error:
                form.form_errors.append(sentence(error, here.language))
    return (
        render_template("console/rehearsal_new.html", active="console.rehearsals", form=form),
        status,
    )


def rehearsal(rehearsal_id: int) -> ResponseReturnValue:
    """Show how far a rehearsal is, or its report; `export` names a file of it."""
    here = visit()
    row = store.rehearsal(here.session, here.scope, rehearsal_id)
    if row.state is not RunState.DONE:
        return _page(here, row, None)
    if export_asked() == "csv":
        content = rehearsal_report.report_csv(here.session, here.scope, row.id, here.language)
        return _file(content, "text/csv", f"rehearsal-{row.id}.csv")
    report = rehearsal_report.load_report(here.session, here.scope, rehearsal_id)
    if export_asked() == "html":
        text = rehearsal_report.report_page(report, here.language)
        return _file(text.encode(), "text/html", f"rehearsal-{row.id}.html")
    if export_asked() == "pdf":
        here.end()  # rendering takes its time; no session stays open for it
        content = rehearsal_report.report_pdf(report, here.language)
        return _file(content, "application/pdf", f"rehearsal-{rehearsal_id}.pdf")
    body = rehearsal_report.report_body(
        report, here.language, lambda number: url_for("console.account", number=number)
    )
    return _page(here, row, body)


def _page(here: Visit, row: RehearsalRow, body: str | None) -> str:
    return render_template(
        "console/rehearsal.html",
        active="console.rehearsals",
        row=row,
        by=Doers(here, [row.actor]).name(row.actor),
        done=len(store.parts_done(here.session, row.id)),
        body=body,
    )


def go_on_rehearsal(rehearsal_id: int) -> ResponseReturnValue:
    """Go on with a rehearsal that was interrupted; one that is done stays as it is."""
    here = visit()
    row = store.rehearsal(here.session, here.scope, rehearsal_id)
    application, scope, parts = here.application, here.scope, row.parts
    here.end()
    start(application, scope, rehearsal_id, parts)
    return redirect(url_for("console.rehearsal", rehearsal_id=rehearsal_id))


def start(application: Application, scope: Scope, rehearsal_id: int, parts: int) -> None:
    """Price the parts: at once where they are few, else beside the request, in their turn.

    One that is being priced here, or waits for its turn, is not begun a second time.
    """
    if parts * rehearsing.ACCOUNTS_A_PART <= rehearsing.INLINE_ACCOUNTS:
        rehearsing.go_on(application, rehearsal_id, scope=scope)
        return
    name = f"rehearsal-{rehearsal_id}"
    if all(thread.name != name for thread in threads()):
        Thread(target=_in_turn, args=(application, scope, rehearsal_id), name=name).start()


def _in_turn(application: Application, scope: Scope, rehearsal_id: int) -> None:
    with _TURN:
        rehearsing.go_on(application, rehearsal_id, scope=scope)


def _begin(here: Visit, form: RehearsalForm) -> str:
    """Begin what the form asks for; return the address of the rehearsal."""
    document = _document(here, form)
    if not document and not form.target.data:
        raise Invalid(where=mark("Try it on"), problem=mark("choose a plan or a file"))
    change = Change(form.plan.data, document=document, to_plan="" if document else form.target.data)
    order = RehearsalOrder(
        name=(form.name.data or "").strip() or f"{change.plan_code} → {change.target}",
        changes=(change,),
        first=Month.parse(form.first.data),
        last=Month.parse(form.last.data),
        prices=PriceBasis(form.prices.data),
        building_code=form.building.data or "",
    )
    application, scope = here.application, here.scope
    here.end()
    rehearsal_id = rehearsing.begin(application, order, scope=scope)
    with application.database.reading() as session:
        parts = store.rehearsal(session, scope, rehearsal_id).parts
    start(application, scope, rehearsal_id, parts)
    flash(translate(mark("The rehearsal was begun; nothing of it is posted.")), "good")
    return url_for("console.rehearsal", rehearsal_id=rehearsal_id)


def _document(here: Visit, form: RehearsalForm) -> str:
    """Return the document to try: that of the file, or of the draft chosen; else empty."""
    if not form.file.data:
        kind, _, number = (form.target.data or "").partition(":")
        if kind != DRAFT:
            return ""
        return draft_store.draft_by_id(here.session, here.scope, int(number)).document
    content = form.file.data.read(DOCUMENT_MAX + 1)
    if len(content) > DOCUMENT_MAX:
        raise Invalid(where=mark("File"), problem=mark("it is longer than any tariff document"))
    try:
        return str(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Invalid(where=mark("File"), problem=mark("it is not text in UTF-8")) from None


def _offer(here: Visit, form: RehearsalForm) -> None:
    russian = here.language == "ru"
    plans = tariffs_store.plans(here.session)
    choices = [
        SelectChoice(plan.code, f"{plan.name if russian else plan.name_en} ({plan.code})")
        for plan in plans
    ]
    over = Month.of(here.today).plus(-1)
    months = [
        SelectChoice(str(month), month_text(month, here.language))
        for month in (over.plus(-n) for n in range(MONTHS_OFFERED))
    ]
    form.plan.choices = choices
    drafts = draft_store.drafts(here.session, here.scope)
    form.target.choices = [
        SelectChoice("", translate(mark("the file below"))),
        *choices,
        *(
            SelectChoice(
                f"{DRAFT}:{one.id}", f"{translate(mark('a draft'))}: {one.title or f'№ {one.id}'}"
            )
            for one in drafts
        ),
    ]
    form.first.choices = form.last.choices = months
    form.building.choices = [
        SelectChoice("", translate(mark("all"))),
        *(
            SelectChoice(code, name)
            for code, name in billing_store.buildings(here.session, here.scope)
        ),
    ]
    form.prices.choices = [
        (str(one), translate(words)) for one, words in rehearsal_report.PRICES.items()
    ]
    if request.method == "GET":
        asked = next((one for one in drafts if str(one.id) == request.args.get("draft")), None)
        if asked is not None:
            form.target.data = f"{DRAFT}:{asked.id}"
        form.plan.data = (
            (asked and asked.plan_code)
            or request.args.get("plan", "")
            or (plans[0].code if plans else "")
        )
        form.first.data, form.last.data = str(over.plus(-11)), str(over)
        form.prices.data = str(PriceBasis.NEWEST)


def _table(rows: tuple[RehearsalRow, ...], doers: Doers) -> Table[ListedRehearsal]:
    return Table(
        name="rehearsals",
        caption=mark("Rehearsals"),
        columns=(
            Column("id", mark("Number"), lambda one: one.row.id, Kind.NUMBER),
            Column(
                "name",
                mark("Name"),
                lambda one: one.row.name,
                link=lambda one: url_for("console.rehearsal", rehearsal_id=one.row.id),
            ),
            Column("months", mark("Months"), lambda one: one.months, minor=True),
            Column("state", mark("State"), lambda one: one.row.state, Kind.WORD, tone=_tone),
            Column("by", mark("By"), lambda one: doers.name(one.row.actor), minor=True),
            Column("at", mark("Started"), lambda one: one.row.started_at, Kind.INSTANT),
        ),
        items=[ListedRehearsal(row) for row in rows],
        empty=mark("No tariff was rehearsed yet. Begin one: nothing of it is posted."),
    )


def _tone(one: ListedRehearsal) -> str:
    return "good" if one.row.state is RunState.DONE else "warn"


def _file(content: bytes, mimetype: str, name: str) -> Response:
    answer = make_response(content)
    answer.mimetype = mimetype
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
