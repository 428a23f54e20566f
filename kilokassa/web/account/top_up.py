"""Topping up: in a demo it is recorded at once; elsewhere the page says how to pay."""

from base64 import b64encode
from typing import Final
from uuid import uuid4

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from billing.models import AccountRow
from invoices.payment_qr import Payment as AskedPayment
from invoices.payment_qr import payment_payload, qr_png
from kilokassa.app.month_documents import premises_address, requisites_of
from kilokassa.app.payments import Payment, take_payments
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import system_scope
from kilokassa.core.text import Language, amount_text, gettext, mark, sentence
from kilokassa.web import queries
from kilokassa.web.balance import balance_view
from kilokassa.web.forms import ResidentTopUpForm
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, account_of, visit

PRESETS: Final = (300, 500, 1000, 2000)
"""Roubles; buttons that fill the field in."""


def top_up(number: str) -> ResponseReturnValue:
    """Show how to pay; in a demo, take the amount as if a bank had confirmed it."""
    here = visit()
    row, account_id = account_of(here, number)
    form = ResidentTopUpForm()
    if request.method == "POST":
        if not here.retailer.demo:
            # Only the bank says that money came; a form cannot.
            return _page(here, row, account_id, form, 422)
        if form.validate():
            answer = _take(here, row, account_id, form)
            if answer is not None:
                return answer
        return _page(here, row, account_id, form, 422)
    form.key.data = uuid4().hex
    return _page(here, row, account_id, form, 200)


def _take(
    here: Visit, row: AccountRow, account_id: AccountId, form: ResidentTopUpForm
) -> ResponseReturnValue | None:
    # A resident has no right to book money; the demo's bank has, for an account in reach.
    bank = system_scope(f"demo-bank:{here.scope.actor}")
    payment = Payment(
        account_id=account_id,
        amount_minor=form.amount_minor,
        tender="card",
        paid_at=here.now,
        idempotency_key=f"page:{form.key.data}",
    )
    number = row.number
    try:
        with here.writing() as session:
            (taken,) = take_payments(session, bank, [payment], here.application.clock)
    except DomainError as error:
        form.form_errors.append(sentence(error, here.language))
        return None
    text = translate(mark("%(amount)s came in; the receipt is %(number)s.")) % {
        "amount": amount_text(payment.amount_minor, here.language),
        "number": taken.receipt.number,
    }
    if taken.result.bonus_minor:
        bonus = amount_text(taken.result.bonus_minor, here.language)
        text += " " + translate(mark("The bonus is %(amount)s.")) % {"amount": bonus}
    flash(text, "good")
    return redirect(url_for("account.home", number=number))


def _page(
    here: Visit, row: AccountRow, account_id: AccountId, form: ResidentTopUpForm, status: int
) -> ResponseReturnValue:
    view = balance_view(here, account_id)
    page = render_template(
        "account/top_up.html",
        active="account.home",
        account=row,
        form=form,
        view=view,
        presets=PRESETS,
        requisites=requisites_of(here.retailer),
        qr=_qr(here, row, view.debt_minor),
    )
    return page, status


def _qr(here: Visit, row: AccountRow, debt_minor: int) -> str:
    """Return the payment code as a picture in the page; empty where requisites are missing."""
    address, premises = queries.premises_of(here.session, row)
    purpose = gettext(mark("Payment to account %(number)s"), Language.RUSSIAN)
    asked = AskedPayment(
        payee=requisites_of(here.retailer),
        account_number=row.number,
        purpose=purpose % {"number": row.number},
        sum_minor=debt_minor or None,
        payer_address=premises_address(address, premises.number),
    )
    try:
        return "data:image/png;base64," + b64encode(qr_png(payment_payload(asked))).decode()
    except DomainError:
        return ""
