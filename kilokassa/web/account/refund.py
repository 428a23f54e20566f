"""A resident asks for money back, gives a refund up, and moves money between own accounts."""

from uuid import uuid4

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from kilokassa.app.refunds import TransferOrder, ask_for_refund, refundable_minor, transfer
from kilokassa.core.errors import DomainError
from kilokassa.core.text import mark, sentence
from kilokassa.web import queries
from kilokassa.web.kit import export_asked
from kilokassa.web.language import translate
from kilokassa.web.refunds import RefundForm, TransferForm, refunds_table
from kilokassa.web.visit import Visit, account_of, visit
from wallet.payments.payment import RefundState
from wallet.payments.refunds import store as refund_store
from wallet.payments.refunds.refund import AskOrder
from wallet.payments.refunds.service import drop_refund

OFFERED = 50
"""So many other accounts of the resident are offered."""


def refund(number: str) -> ResponseReturnValue:
    """Show what can be given back, and take the wish in."""
    here = visit()
    row, account_id = account_of(here, number)
    sending = request.form.get("what") == "transfer"
    form = RefundForm(formdata=None if sending or request.method == "GET" else request.form)
    other = TransferForm(formdata=request.form if sending else None)
    if request.method == "POST":
        scope, clock = here.scope, here.application.clock
        chosen = other if sending else form
        if chosen.validate():
            try:
                with here.writing() as session:
                    if sending:
                        target = (other.target.data or "").strip()
                        key = f"page:{other.key.data}"
                        order = TransferOrder(number, target, other.amount_minor, key)
                        transfer(session, scope, order, clock)
                    else:
                        asked = AskOrder(
                            account_id,
                            form.amount_minor,
                            (form.to_whom.data or "").strip(),
                            (form.requisites.data or "").strip(),
                            f"page:{form.key.data}",
                        )
                        ask_for_refund(session, scope, asked, clock)
            except DomainError as error:
                chosen.form_errors.append(sentence(error, here.language))
            else:
                text = (
                    mark("The money was moved.")
                    if sending
                    else mark("The money is held; the retailer pays it out.")
                )
                flash(translate(text), "good")
                return redirect(url_for("account.refund", number=number))
        row, account_id = account_of(here, number)
    for one in (form, other):
        if not one.key.data:
            one.key.data = uuid4().hex
    if request.method == "GET":
        form.to_whom.data = row.payer_name
    found = refund_store.refunds(here.session, here.scope, account_id=account_id, limit=None)
    table = refunds_table(found)
    if export_asked() == table.name:
        return table.csv()
    answer = render_template(
        "account/refund.html",
        active="account.home",
        account=row,
        form=form,
        other=other,
        others=_other_accounts(here, number),
        most_minor=refundable_minor(here.session, row, here.application.clock),
        table=table,
        asked=[one for one in found if one.state is RefundState.ASKED],
    )
    return answer, 422 if request.method == "POST" else 200


def drop(number: str, refund_id: int) -> ResponseReturnValue:
    """Give a refund up that was not paid yet."""
    here = visit()
    account_of(here, number)
    scope, clock = here.scope, here.application.clock
    try:
        with here.writing() as session:
            drop_refund(session, scope, refund_id, clock)
    except DomainError as error:
        flash(sentence(error, here.language), "bad")
    else:
        flash(translate(mark("The refund is given up; the money is in the wallet.")), "good")
    return redirect(url_for("account.refund", number=number))


def _other_accounts(here: Visit, number: str) -> list[str]:
    found, _ = queries.list_accounts(
        here.session, here.scope, queries.AccountFilter(), on=here.today, limit=OFFERED
    )
    return [one.number for one in found if one.number != number]
