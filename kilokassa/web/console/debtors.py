"""Staff see who owes what and why nothing, or something, follows; flags; how a debt stands."""

from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, HiddenField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, Length

from billing.debts.service import rules_of
from billing.models import AccountRow
from billing.store import buildings
from kilokassa.app.debt_views import DebtView, debt_view, debtors
from kilokassa.app.debts import set_flag, take_flag_back
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right
from kilokassa.core.text import mark, sentence
from kilokassa.web.debts import (
    GUARD_SETS,
    STATES,
    agreements_table,
    bills_table,
    charged_table,
    debtors_table,
    fees_table,
    flag_text,
    flags_table,
    history_table,
    schedule_table,
    services_table,
    warning_texts,
    what_follows,
)
from kilokassa.web.doers import Doers
from kilokassa.web.forms import Form
from kilokassa.web.kit import Table, export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, account_of, visit
from wallet.debts.flags import FLAG_WORDS, NO, YES, YES_NO, FlagKind
from wallet.debts.service_state import ServiceState

HINTS: Final = {
    FlagKind.EMERGENCY_CREDIT: mark("Roubles that the contract grants."),
    FlagKind.OPENING_SHARE: mark("Per cent of a top-up, at most."),
    FlagKind.VULNERABLE: mark("While nobody has asked, nothing is cut."),
}


class FlagForm(Form):
    """A flag of one kind."""

    kind = HiddenField()
    value = StringField(mark("Value"), validators=[InputRequired(), Length(max=40)])
    choice = SelectField(mark("Value"), choices=[], validate_choice=False)
    since = DateField(mark("Holds from"), validators=[InputRequired()])
    document = StringField(mark("Document"), validators=[Length(max=200)])

    def __init__(self, kind: FlagKind, *, asked: bool) -> None:
        super().__init__(formdata=request.form if asked else None, prefix=f"{kind}-")
        self.of = kind
        self.kind.data = str(kind)
        self.choice.choices = [SelectChoice(code, name) for code, name in self._choices()]
        if self.chosen:
            self.value.validators = []

    @property
    def chosen(self) -> bool:
        """Say whether the value is one of a list."""
        return self.of in YES_NO or self.of is FlagKind.GUARD_SET

    @property
    def text(self) -> str:
        """What was given, as a person writes it."""
        return (self.choice.data if self.chosen else self.value.data) or ""

    @property
    def fields(self) -> list[Any]:
        """The fields that the kind has, in reading order."""
        return [self.choice if self.chosen else self.value, self.since, self.document]

    @property
    def hint(self) -> str:
        """What is to be known about it; may be empty."""
        return HINTS.get(self.of, "")

    def _choices(self) -> list[tuple[str, str]]:
        if self.of is FlagKind.GUARD_SET:
            codes = rules_of(visit().session).guards
            return [(code, translate(GUARD_SETS.get(code, code))) for code in codes]
        return [(NO, translate(mark("no"))), (YES, translate(mark("yes")))]


def list_debtors() -> ResponseReturnValue:
    """List the services that do not stand as normal: what holds each back, and what is next."""
    here = visit()
    asked = request.args.get("state", "")
    state = ServiceState(asked) if asked in set(ServiceState) else None
    building = request.args.get("building", "")
    found = debtors(
        here.session, here.scope, here.application.clock, state=state, building_code=building
    )
    table = debtors_table(found)
    if export_asked() == table.name:
        return table.csv()
    counts = dict.fromkeys(ServiceState, 0)
    for one in found:
        counts[one.decision.state] += 1
    return render_template(
        "console/debtors.html",
        active="console.debtors",
        table=table,
        state=state,
        states=STATES,
        building=building,
        buildings=buildings(here.session, here.scope),
        figures=[(STATES[one], count) for one, count in counts.items() if count],
        owed_minor=sum(one.debt_minor for one in found),
    )


def debt(number: str) -> ResponseReturnValue:
    """Show what an account owes, how its services stand and stood, and why."""
    here = visit()
    row, account_id = account_of(here, number)
    return _page(here, row, account_id, None)


def state_flag(number: str) -> ResponseReturnValue:
    """State what protects an account, or what its contract says, from a day on."""
    here = visit()
    row, account_id = account_of(here, number)
    asked = request.args.get("kind", "")
    kind = FlagKind(asked) if asked in set(FlagKind) else FlagKind.VULNERABLE
    form = FlagForm(kind, asked=True)
    if form.validate():
        try:
            with here.writing() as session:
                changed = set_flag(
                    session,
                    here.scope,
                    account_id,
                    kind,
                    form.text,
                    since=form.since.data,
                    document=form.document.data or "",
                    clock=here.application.clock,
                )
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            _tell(changed=changed)
            return redirect(url_for("console.debt", number=number))
    return _page(here, row, account_id, form)


def withdraw_flag(number: str) -> ResponseReturnValue:
    """Take a flag back."""
    here = visit()
    _, account_id = account_of(here, number)
    flag = request.form.get("flag", "")
    if flag.isascii() and flag.isdecimal() and len(flag) < 10:
        try:
            with here.writing() as session:
                changed = take_flag_back(
                    session, here.scope, account_id, int(flag), here.application.clock
                )
        except DomainError as error:
            flash(sentence(error, here.language), "bad")
        else:
            _tell(changed=changed)
    return redirect(url_for("console.debt", number=number))


def _tell(*, changed: bool) -> None:
    recorded = mark("It was recorded.") if changed else mark("That was recorded before.")
    flash(translate(recorded), "good")


def _page(
    here: Visit, row: AccountRow, account_id: AccountId, refused: FlagForm | None
) -> ResponseReturnValue:
    view = debt_view(here.application, here.session, here.scope, account_id)
    tables = _tables(here, row, view)
    wanted = export_asked()
    if wanted in tables:
        return tables[wanted].csv()
    editing = here.may(Right.MANAGE_ACCOUNTS)
    forms = [
        refused if refused is not None and refused.of is kind else FlagForm(kind, asked=False)
        for kind in FlagKind
        if editing
    ]
    standing = next((one for one in view.agreements if one.agreement.ended_on is None), None)
    answer = render_template(
        "console/debt.html",
        active="console.debtors",
        account=row,
        view=view,
        tables=tables,
        follows=what_follows(here, view),
        warnings=warning_texts(view.warnings),
        agreement=standing,
        schedule=None if standing is None else schedule_table(standing.schedule),
        forms=forms,
        flag_words=FLAG_WORDS,
        withdrawable=[
            (one.id, f"{translate(FLAG_WORDS[one.kind])}: {flag_text(one)}")
            for one in view.statements
            if editing and one.stands
        ],
    )
    return answer, 200 if refused is None else 422


def _tables(here: Visit, row: AccountRow, view: DebtView) -> dict[str, Table[Any]]:
    doers = Doers(here, [one.actor for one in view.statements])
    found: tuple[Table[Any], ...] = (
        services_table(view.services),
        bills_table(view.bills, view.today),
        history_table(view.history),
        fees_table(view),
        charged_table(view.charged),
        agreements_table(view.agreements, {view.account_id: row.number}),
        flags_table(view.statements, doers),
    )
    return {table.name: table for table in found}
