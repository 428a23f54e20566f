"""Staff pay refunds out or drop them, ask for one, and move money between accounts of a payer."""

from typing import Final
from uuid import uuid4

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from kilokassa.app.refunds import TransferOrder, ask_for_refund, refundable_minor, transfer
from kilokassa.core.errors import DomainError
from kilokassa.core.scope import Right
from kilokassa.core.text import amount_text, mark, sentence
from kilokassa.web.kit import Paging, export_asked, page_asked
from kilokassa.web.language import translate
from kilokassa.web.refunds import RefundForm, TransferForm, refunds_table
from kilokassa.web.visit import account_of, visit
from wallet.payments.payment import RefundState
from wallet.payments.refunds import store as refund_store
from wallet.payments.refunds.refund import AskOrder
from wallet.payments.refunds.service import PayOrder, drop_refund, pay_refund

PAGE_SIZE: Final = 50


def refunds() -> ResponseReturnValue:
    """List the refunds in reach; those that were asked for stand above, to be paid or dropped."""
    here = visit()
    exporting = bool(export_asked())
    page = page_asked()
    found = refund_store.refunds(
        here.session,
        here.scope,
        limit=None if exporting else PAGE_SIZE,
        offset=0 if exporting else (page - 1) * PAGE_SIZE,
    )
    table = refunds_table(found, link=lambda number: url_for("console.account", number=number))
    if exporting:
        return table.csv()
    return render_template(
        "console/refunds.html",
        active="console.refunds",
        asked=refund_store.refunds(here.session, here.scope, state=RefundState.ASKED),
        table=table,
        paging=Paging(page, PAGE_SIZE, refund_store.refund_count(here.session, here.scope)),
        editing=here.may(Right.MANAGE_WALLETS),
    )


def pay(refund_id: int) -> ResponseReturnValue:
    """Post a refund that was paid out."""
    here = visit()
    scope, zone, clock = here.scope, here.zone, here.application.clock
    order = PayOrder(refund_id, request.form.get("reference", ""), zone)
    try:
        with here.writing() as session:
            paid = pay_refund(session, scope, order, clock)
    except DomainError as error:
        flash(sentence(error, here.language), "bad")
    else:
        text = translate(mark("Refund %(number)s is paid: %(amount)s."))
        amount = amount_text(paid.amount_minor, here.language)
        flash(text % {"number": paid.id, "amount": amount}, "good")
    return redirect(url_for("console.refunds"))


def drop(refund_id: int) -> ResponseReturnValue:
    """Give a refund up; the money is free again."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    try:
        with here.writing() as session:
            drop_refund(session, scope, refund_id, clock, why=request.form.get("why", ""))
    except DomainError as error:
        flash(sentence(error, here.language), "bad")
    else:
        flash(translate(mark("Refund %(number)s is dropped.")) % {"number": refund_id}, "good")
    return redirect(url_for("console.refunds"))


def refund(number: str) -> ResponseReturnValue:
    """Ask for a refund on behalf of a payer, or move money to another account."""
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
                        order = TransferOrder(
                            number,
                            (other.target.data or "").strip(),
                            other.amount_minor,
                            f"page:{other.key.data}",
                            why=other.why.data or "",
                        )
                        transfer(session, scope, order, clock)
                    else:
                        asked = AskOrder(
                            account_id,
                            form.amount_minor,
                            (form.to_whom.data or "").strip(),
                            (form.requisites.data or "").strip(),
                            f"page:{form.key.data}",
                            why=form.why.data or "",
                        )
                        ask_for_refund(session, scope, asked, clock)
            except DomainError as error:
                chosen.form_errors.append(sentence(error, here.language))
            else:
                text = mark("The money was moved.") if sending else mark("The money is held.")
                flash(translate(text), "good")
                return redirect(url_for("console.refund", number=number))
        row, account_id = account_of(here, number)
    for one in (form, other):
        if not one.key.data:
            one.key.data = uuid4().hex
    table = refunds_table(
        refund_store.refunds(here.session, here.scope, account_id=account_id, limit=None)
    )
    if export_asked() == table.name:
        return table.csv()
    if request.method == "GET":
        form.to_whom.data = row.payer_name
    answer = render_template(
        "console/refund.html",
        active="console.accounts",
        account=row,
        form=form,
        other=other,
        most_minor=refundable_minor(here.session, row, here.application.clock),
        table=table,
    )
    return answer, 422 if request.method == "POST" else 200
