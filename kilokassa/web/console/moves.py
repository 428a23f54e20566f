"""Moves: who left, who came; a move is looked at before it is done."""

from typing import Any, Final
from uuid import uuid4

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, HiddenField, IntegerField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional, Regexp

from billing.models import AccountMoveKind, AccountRow, Measurement, Settlement
from billing.moves import store as moves_store
from billing.moves.moves import KIND_WORDS, REST_WORDS, Move, MoveOrder, Newcomer, Rest
from kilokassa.app.final_statement import final_statements
from kilokassa.app.moving import Ending, MoveReport, move, preview_move, settle_ended
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right
from kilokassa.core.text import mark, sentence
from kilokassa.web.debts import warning_texts
from kilokassa.web.doers import Doers
from kilokassa.web.forms import Form
from kilokassa.web.kit import Column, Kind, Paging, Table, export_asked, page_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, account_of, visit
from kilokassa.web.words import word
from tariffs.store import plans

PAGE_SIZE: Final = 50


class NewcomerFields(Form):
    """Who pays from the day on."""

    on = DateField(mark("First day of the change"), validators=[InputRequired()])
    number = StringField(mark("Number of the new account"), validators=[Length(max=40)])
    payer = StringField(mark("New payer"), validators=[Length(max=200)])
    persons = IntegerField(
        mark("Persons registered"), validators=[Optional(), NumberRange(0, 100)], default=1
    )
    email = StringField(mark("E-mail"), validators=[Length(max=200)])
    phone = StringField(mark("Phone"), validators=[Length(max=40)])
    note = StringField(mark("Document or note"), validators=[Length(max=200)])
    key = HiddenField(validators=[Regexp(r"\A[0-9a-f]{32}\Z")])

    def newcomer(self, **terms: Any) -> Newcomer:  # noqa: ANN401 - fields of the newcomer
        """Return who comes."""
        return Newcomer(
            (self.number.data or "").strip(),
            (self.payer.data or "").strip(),
            self.persons.data or 0,
            email=self.email.data or "",
            phone=self.phone.data or "",
            **terms,
        )


class MoveForm(NewcomerFields):
    """An account that ends, with what becomes of what is left."""

    kind = SelectField(mark("What happens"))
    rest = SelectField(mark("What is left"))
    refund_to = StringField(mark("Who gets the refund"), validators=[Length(max=200)])
    requisites = StringField(mark("Bank requisites of the refund"), validators=[Length(max=200)])
    transfer_to = StringField(mark("Number of the other account"), validators=[Length(max=40)])

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - of WTForms
        super().__init__(**values)
        self.kind.choices = [
            SelectChoice(kind, translate(KIND_WORDS[kind]))
            for kind in (AccountMoveKind.MOVE_OUT, AccountMoveKind.PAYER_CHANGE)
        ]
        self.rest.choices = [SelectChoice(rest, translate(REST_WORDS[rest])) for rest in Rest]

    def order(self, account_number: str) -> MoveOrder:
        """Return the move that is asked for."""
        kind = AccountMoveKind(self.kind.data)
        changes = kind is AccountMoveKind.PAYER_CHANGE
        return MoveOrder(
            kind=kind,
            on=self.on.data,
            idempotency_key=f"page:{self.key.data}",
            account_number=account_number,
            newcomer=self.newcomer() if changes else None,
            rest=Rest(self.rest.data),
            refund_to=(self.refund_to.data or "").strip(),
            requisites=(self.requisites.data or "").strip(),
            transfer_to=(self.transfer_to.data or "").strip(),
            note=(self.note.data or "").strip(),
        )


class MoveInForm(NewcomerFields):
    """An account that begins at a place where none is open."""

    building = StringField(mark("House, by its code"), validators=[InputRequired(), Length(max=60)])
    premises = StringField(mark("Flat"), validators=[InputRequired(), Length(max=20)])
    plan = SelectField(mark("Tariff plan"), validate_choice=False)
    settlement = SelectField(mark("Settled"))
    measurement = SelectField(mark("Metered"))

    def __init__(self, codes: list[tuple[str, str]]) -> None:
        super().__init__()
        self.plan.choices = [SelectChoice(code, name) for code, name in codes]
        self.settlement.choices = [SelectChoice(s, translate(word(s))) for s in Settlement]
        self.measurement.choices = [SelectChoice(m, translate(word(m))) for m in Measurement]

    def order(self) -> MoveOrder:
        """Return the move that is asked for."""
        return MoveOrder(
            kind=AccountMoveKind.MOVE_IN,
            on=self.on.data,
            idempotency_key=f"page:{self.key.data}",
            newcomer=self.newcomer(
                plan_code=self.plan.data or "",
                settlement=Settlement(self.settlement.data),
                measurement=Measurement(self.measurement.data),
            ),
            building_code=(self.building.data or "").strip(),
            premises_number=(self.premises.data or "").strip(),
            note=(self.note.data or "").strip(),
        )


def moves() -> ResponseReturnValue:
    """List the moves in reach; who may, settles those that wait."""
    here = visit()
    exporting = bool(export_asked())
    page = page_asked()
    found = moves_store.moves(
        here.session,
        here.scope,
        limit=100_000 if exporting else PAGE_SIZE,
        offset=0 if exporting else (page - 1) * PAGE_SIZE,
    )
    table = moves_table(here, found)
    if exporting:
        return table.csv()
    total = moves_store.move_count(here.session, here.scope)
    return render_template(
        "console/moves.html",
        active="console.moves",
        table=table,
        paging=Paging(page, PAGE_SIZE, total),
        editing=here.may(Right.MANAGE_ACCOUNTS) and here.scope.whole_retailer,
    )


def moves_table(here: Visit, found: tuple[Move, ...]) -> Table[Move]:
    """Return moves as a table, each with its final statement."""
    ids = [one.account_id for one in found if one.account_id is not None]
    documents = final_statements(here.session, ids)
    doers = Doers(here, [one.actor for one in found])

    def number(one: Move) -> str:
        return documents.get(one.account_id, "") if one.account_id is not None else ""

    def document(one: Move) -> str:
        if one.account_id is None:
            return ""
        return number(one) or translate(mark("waits"))

    def pdf(one: Move) -> str | None:
        known = number(one)
        return url_for("console.document_pdf", number=known) if known else None

    def account(number: str) -> str | None:
        return url_for("console.account", number=number) if number else None

    return Table(
        name="moves",
        columns=(
            Column("on", mark("Day"), lambda one: one.on, Kind.DATE),
            Column("kind", mark("What happened"), lambda one: KIND_WORDS[one.kind], Kind.MESSAGE),
            Column("address", mark("Address"), lambda one: one.address, minor=True),
            Column(
                "former",
                mark("Account that ended"),
                lambda one: f"{one.account_number} {one.payer_name}".strip(),
                link=lambda one: account(one.account_number),
            ),
            Column(
                "next",
                mark("Account that began"),
                lambda one: f"{one.next_number} {one.next_payer}".strip(),
                link=lambda one: account(one.next_number),
            ),
            Column("document", mark("Final statement"), document, link=pdf),
            Column("actor", mark("By"), lambda one: doers.name(one.actor), minor=True),
            Column("note", mark("Note"), lambda one: one.note, minor=True),
        ),
        items=found,
        caption=mark("Moves"),
        empty=mark("Nobody has moved yet. A move out is begun on the page of the account."),
    )


def move_account(number: str) -> ResponseReturnValue:
    """Show what ending an account would come to, then do it."""
    here = visit()
    row, _ = account_of(here, number)
    form = MoveForm()
    if request.method == "GET":
        form.key.data = uuid4().hex
        form.on.data = here.today
        form.number.data = moves_store.number_after(here.session)
        form.refund_to.data = row.payer_name
    ending: Ending | None = None
    if request.method == "POST" and form.validate():
        order, scope = form.order(number), here.scope
        try:
            if request.form.get("step") == "do":
                here.end()
                report = move(here.application, scope, order)
                _tell(here, report)
                return redirect(url_for("console.account", number=number))
            here.end()
            ending = preview_move(here.application, scope, order).ending
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        row, _ = account_of(here, number)
    history = moves_table(here, _history(here, row))
    if export_asked() == history.name:
        return history.csv()
    answer = render_template(
        "console/move.html",
        active="console.accounts",
        account=row,
        form=form,
        ending=ending,
        waits=warning_texts(ending.waits) if ending else [],
        history=history,
    )
    return answer, 422 if request.method == "POST" and ending is None else 200


def move_in() -> ResponseReturnValue:
    """Open an account at a place where none is open."""
    here = visit()
    codes = [
        (plan.code, plan.name if here.language == "ru" else plan.name_en)
        for plan in plans(here.session)
    ]
    form = MoveInForm(codes)
    if request.method == "GET":
        form.key.data = uuid4().hex
        form.on.data = here.today
        form.number.data = moves_store.number_after(here.session)
    elif form.validate():
        order, scope = form.order(), here.scope
        try:
            here.end()
            move(here.application, scope, order)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            flash(translate(mark("The account is open.")), "good")
            assert order.newcomer is not None
            return redirect(url_for("console.account", number=order.newcomer.number))
    answer = render_template("console/move_in.html", active="console.moves", form=form)
    return answer, 422 if request.method == "POST" else 200


def settle_moves() -> ResponseReturnValue:
    """Settle the accounts that have ended and waited."""
    here = visit()
    scope = here.scope
    here.end()
    found = settle_ended(here.application, scope)
    done = sum(1 for _, number, _ in found if number)
    flash(
        translate(mark("Settled: %(done)s; still waiting: %(waiting)s."))
        % {"done": done, "waiting": len(found) - done},
        "good",
    )
    return redirect(url_for("console.moves"))


def _tell(here: Visit, report: MoveReport) -> None:
    if report.document_number:
        text = translate(mark("The account has ended; the final statement is %(number)s."))
        flash(text % {"number": report.document_number}, "good")
    else:
        waits = " ".join(warning_texts(report.waits))
        text = translate(mark("The account has ended; the final statement waits: %(waits)s"))
        flash(text % {"waits": waits}, "good")


def _history(here: Visit, row: AccountRow) -> tuple[Move, ...]:
    return moves_store.moves_of(here.session, here.scope, AccountId(row.id))
