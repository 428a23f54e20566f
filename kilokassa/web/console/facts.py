"""Staff see what holds of an account and what ever did, state facts and take statements back."""

from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, HiddenField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, Length, Optional

from billing.facts.facts import FactOrder, Stated, StatedFact, Subject
from billing.facts.service import state, withdraw
from billing.facts.store import concession_names, facts_of, names_of_codes
from billing.facts.wording import SUBJECTS, outcome, read_value, value_text
from billing.models import AccountRow
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right
from kilokassa.core.text import date_text, mark, sentence
from kilokassa.web.doers import Doers
from kilokassa.web.facts import facts_table, timeline
from kilokassa.web.forms import Form
from kilokassa.web.kit import export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, account_of, visit
from tariffs.store import plans

COUNTED: Final = frozenset(
    {Subject.PERSONS, Subject.CONTRACTED_POWER, Subject.AREA, Subject.ABSENCE}
)
CODED: Final = frozenset({Subject.PLAN, Subject.CONCESSION})
ENDING: Final = frozenset({Subject.ABSENCE, Subject.CONCESSION})
SINCE: Final = {
    Subject.ABSENCE: mark("First full day away"),
    Subject.AREA: mark("Extract handed in"),
}
VALUES: Final = {
    Subject.PERSONS: mark("Persons"),
    Subject.CONTRACTED_POWER: mark("Power, kW"),
    Subject.AREA: mark("Area, m²"),
    Subject.ABSENCE: mark("Persons away"),
}


class FactForm(Form):
    """A fact of one subject; fields that the subject does not have are left out."""

    subject = HiddenField()
    value = StringField(mark("Value"), validators=[Length(max=20)])
    code = SelectField(mark("Value"), choices=[], validate_choice=False)
    since = DateField(mark("Holds from"), validators=[InputRequired()])
    until = DateField(mark("Last day"), validators=[Optional()])
    document = StringField(mark("Document"), validators=[Length(max=200)])

    def __init__(self, subject: Subject, codes: list[tuple[str, str]], *, asked: bool) -> None:
        super().__init__(formdata=request.form if asked else None, prefix=f"{subject}-")
        self.of = subject
        self.subject.data = str(subject)
        self.code.choices = [SelectChoice(code, name) for code, name in codes]
        self.code.label.text = SUBJECTS[subject]
        if subject in VALUES:
            self.value.label.text = VALUES[subject]
        if subject in SINCE:
            self.since.label.text = SINCE[subject]

    @property
    def fields(self) -> list[Any]:
        """The fields that the subject has, in reading order."""
        found = []
        if self.of in COUNTED:
            found.append(self.value)
        if self.of in CODED:
            found.append(self.code)
        found.append(self.since)
        if self.of in ENDING:
            found.append(self.until)
        if self.of is not Subject.PLAN:
            found.append(self.document)
        return found


def facts(number: str) -> ResponseReturnValue:
    """Show what holds and what ever was stated, with the forms of who may state."""
    here = visit()
    row, account_id = account_of(here, number)
    return _page(here, row, account_id, None)


def state_fact(number: str) -> ResponseReturnValue:
    """State a fact from a day on."""
    here = visit()
    row, account_id = account_of(here, number)
    asked = request.args.get("subject", "")
    subject = Subject(asked) if asked in set(Subject) else Subject.PERSONS
    form = FactForm(subject, _codes(here, subject), asked=True)
    if form.validate():
        try:
            value = read_value(subject, form.value.data or "") if subject in COUNTED else 0
            order = FactOrder(
                account_id,
                subject,
                form.since.data,
                value,
                (form.code.data or "") if subject in CODED else "",
                form.until.data if subject in ENDING else None,
                form.document.data or "",
            )
            scope, clock = here.scope, here.application.clock
            with here.writing() as session:
                stated = state(session, scope, order, clock)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            _tell(here, stated)
            return redirect(url_for("console.facts", number=number))
    return _page(here, row, account_id, form)


def withdraw_fact(number: str) -> ResponseReturnValue:
    """Take a statement back."""
    here = visit()
    _, account_id = account_of(here, number)
    subject, _, statement = request.form.get("statement", "").partition(":")
    if subject in set(Subject) and statement.isdecimal() and len(statement) < 10:
        try:
            scope, clock = here.scope, here.application.clock
            with here.writing() as session:
                stated = withdraw(
                    session, scope, account_id, Subject(subject), int(statement), clock
                )
        except DomainError as error:
            flash(sentence(error, here.language), "bad")
        else:
            _tell(here, stated)
    return redirect(url_for("console.facts", number=number))


def _tell(here: Visit, stated: Stated) -> None:
    message, values = outcome(stated, here.language)
    flash(translate(message) % values if values else translate(message), "good")


def _codes(here: Visit, subject: Subject) -> list[tuple[str, str]]:
    names = names_of_codes(here.session, here.language)
    if subject is Subject.PLAN:
        return [(plan.code, names[plan.code]) for plan in plans(here.session)]
    if subject is Subject.CONCESSION:
        return [(code, names[code]) for code in sorted(concession_names(here.session))]
    return []


def _page(
    here: Visit, row: AccountRow, account_id: AccountId, refused: FactForm | None
) -> ResponseReturnValue:
    language = here.language
    found = facts_of(here.session, here.scope, account_id)
    names = names_of_codes(here.session, language)
    table = facts_table(found, language, names, Doers(here, [one.actor for one in found]))
    if export_asked() == table.name:
        return table.csv()
    editing = here.may(Right.MANAGE_ACCOUNTS)
    first_plan = [one for one in found if one.subject is Subject.PLAN and one.stands][-1]
    forms = []
    for subject in Subject:
        codes = _codes(here, subject)
        if not editing or (subject in CODED and not codes):
            continue
        same = refused is not None and refused.of is subject
        forms.append(refused if same else FactForm(subject, codes, asked=False))
    answer = render_template(
        "console/facts.html",
        active="console.accounts",
        account=row,
        table=table,
        timeline=timeline(found, language, names, row.opened_on, here.today),
        forms=forms,
        subject_words=SUBJECTS,
        withdrawable=[
            (f"{one.subject}:{one.id}", _name(here, one, names))
            for one in found
            if editing and one.stands and one.recorded_at is not None and one is not first_plan
        ],
    )
    return answer, 200 if refused is None else 422


def _name(here: Visit, one: StatedFact, names: dict[str, str]) -> str:
    value = value_text(one, here.language, names)
    day = date_text(one.since, here.language)
    return f"{translate(SUBJECTS[one.subject])}: {value}, {day}"
