"""Instalment agreements: how all of them stand, a calculator, signing one and ending it."""

from datetime import date
from typing import Any
from uuid import uuid4

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, HiddenField, IntegerField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, ValidationError

from kilokassa.app.debt_views import account_numbers, debt_view
from kilokassa.app.debts import agreement_terms, agreement_views, end, sign
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.text import mark, sentence
from kilokassa.web.debts import agreements_table, schedule_table
from kilokassa.web.forms import Form
from kilokassa.web.kit import export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, account_of, visit
from wallet.debts.agreements import GRACE_DAYS, AgreementTerms
from wallet.debts.instalments import MOST_MONTHS, OFFERED_MONTHS, Instalment
from wallet.debts.late_fee import basis_points
from wallet.debts.service import MOST_GRACE_DAYS, SignOrder


class AgreementForm(Form):
    """Terms of an agreement; the same fields compute and sign it."""

    months = IntegerField(
        mark("Number of payments, one a month"),
        validators=[InputRequired(), NumberRange(1, MOST_MONTHS)],
    )
    first_due_on = DateField(mark("First instalment by"), validators=[InputRequired()])
    rate = StringField(mark("Interest, % a year"), validators=[InputRequired(), Length(max=7)])
    grace_days = IntegerField(
        mark("Days of grace"), validators=[InputRequired(), NumberRange(0, MOST_GRACE_DAYS)]
    )
    document = StringField(mark("Document"), validators=[Length(max=200)])
    key = HiddenField(validators=[Length(max=100)])

    def validate_rate(self, field: Any) -> None:  # noqa: ANN401 - WTForms' own hook
        """Refuse what is no rate."""
        try:
            basis_points((field.data or "").strip().replace(",", "."))
        except ValueError:
            problem = translate(mark("A rate is per cent with at most two decimals."))
            raise ValidationError(problem) from None


def agreements() -> ResponseReturnValue:
    """List the agreements in reach with how they stand today."""
    here = visit()
    found = agreement_views(here.session, here.scope, here.application.clock)
    ids = sorted({one.agreement.account_id for one in found})
    table = agreements_table(found, account_numbers(here.session, ids))
    if export_asked() == table.name:
        return table.csv()
    return render_template("console/agreements.html", active="console.agreements", table=table)


def new_agreement(number: str) -> ResponseReturnValue:
    """Compute an agreement on what an account owes today, and offer to sign it."""
    here = visit()
    asked = "months" in request.args
    form = AgreementForm(formdata=request.args if asked else None, data=_defaults(here.today))
    form.key.data = form.key.data or str(uuid4())
    return _page(here, number, form, asked=asked)


def sign_agreement(number: str) -> ResponseReturnValue:
    """Sign an agreement on the terms that were shown."""
    here = visit()
    _, account_id = account_of(here, number)
    form = AgreementForm()
    if form.validate():
        try:
            with here.writing() as session:
                terms = agreement_terms(
                    session,
                    account_id,
                    months=form.months.data,
                    first_due_on=form.first_due_on.data,
                    rate_bp=_rate_bp(form),
                    clock=here.application.clock,
                    grace_days=form.grace_days.data,
                )
                order = SignOrder(account_id, terms, form.document.data or "", form.key.data or "")
                sign(session, here.scope, order, here.application.clock)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            flash(translate(mark("The agreement was signed.")), "good")
            return redirect(url_for("console.debt", number=number))
    return _page(here, number, form, asked=False)


def end_agreement(number: str) -> ResponseReturnValue:
    """End an agreement, and say why."""
    here = visit()
    _, account_id = account_of(here, number)
    given = request.form.get("agreement", "")
    if given.isascii() and given.isdecimal() and len(given) < 10:
        try:
            with here.writing() as session:
                end(
                    session,
                    here.scope,
                    account_id,
                    int(given),
                    request.form.get("why", ""),
                    here.application.clock,
                )
        except DomainError as error:
            flash(sentence(error, here.language), "bad")
        else:
            flash(translate(mark("The agreement was ended.")), "good")
    return redirect(url_for("console.debt", number=number))


def _defaults(today: date) -> dict[str, object]:
    return {
        "months": OFFERED_MONTHS,
        "first_due_on": Month.of(today).plus(1).first_day.replace(day=15),
        "rate": "0",
        "grace_days": GRACE_DAYS,
    }


def _rate_bp(form: AgreementForm) -> int:
    return basis_points((form.rate.data or "").strip().replace(",", "."))


def _page(here: Visit, number: str, form: AgreementForm, *, asked: bool) -> ResponseReturnValue:
    row, account_id = account_of(here, number)
    refused = bool(form.form_errors or form.errors)
    terms: AgreementTerms | None = None
    parts: tuple[Instalment, ...] = ()
    if not refused and (not asked or form.validate()):
        try:
            terms = agreement_terms(
                here.session,
                account_id,
                months=form.months.data,
                first_due_on=form.first_due_on.data,
                rate_bp=_rate_bp(form),
                clock=here.application.clock,
                grace_days=form.grace_days.data,
            )
            parts = terms.schedule()
        except DomainError as error:
            terms = None
            form.form_errors.append(sentence(error, here.language))
    refused = bool(form.form_errors or form.errors)
    view = debt_view(here.application, here.session, here.scope, account_id)
    answer = render_template(
        "console/agreement.html",
        active="console.agreements",
        account=row,
        view=view,
        form=form,
        terms=terms,
        table=None if terms is None else schedule_table(parts),
    )
    return answer, 422 if refused else 200
