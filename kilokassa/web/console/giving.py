"""Staff put a compensation, or the advance of a third person, into a wallet."""

from typing import Final
from uuid import uuid4

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, SelectField, StringField
from wtforms.validators import Length, Optional

from kilokassa.app.debts import SERVICES
from kilokassa.app.giving import TEXT_MAX, GiftOrder, give
from kilokassa.app.payments import TENDERS
from kilokassa.core.errors import DomainError
from kilokassa.core.text import amount_text, mark, sentence
from kilokassa.web.language import translate
from kilokassa.web.refunds import AmountForm
from kilokassa.web.visit import account_of, visit
from wallet.lots import LotKind

KINDS: Final = {
    LotKind.COMPENSATION: mark("A compensation that we bear"),
    LotKind.ADVANCE: mark("An advance that another person paid"),
}


class GiftForm(AmountForm):
    """Money that is not the payer's own."""

    kind = SelectField(mark("What it is"))
    service = SelectField(mark("Pays for"))
    why = StringField(mark("Document"), validators=[Length(1, TEXT_MAX)])
    payer = StringField(mark("Who paid the advance"), validators=[Length(max=TEXT_MAX)])
    tender = SelectField(mark("How the advance came in"))
    through_on = DateField(mark("Last day of the compensation"), validators=[Optional()])

    def offer(self) -> None:
        """Offer the kinds, services and tenders in the language of the page."""
        self.kind.choices = [(str(kind), translate(text)) for kind, text in KINDS.items()]
        services = [(code, translate(text)) for code, text in SERVICES.items()]
        self.service.choices = [("", translate(mark("Any service"))), *services]
        self.tender.choices = [(one, translate(text)) for one, text in TENDERS.items()]


def gift(number: str) -> ResponseReturnValue:
    """Put money in that is not the payer's own."""
    here = visit()
    row, account_id = account_of(here, number)
    form = GiftForm()
    form.offer()
    if request.method == "POST" and form.validate():
        order = GiftOrder(
            account_id,
            LotKind(form.kind.data),
            form.amount_minor,
            form.why.data or "",
            f"page:{form.key.data}",
            service=form.service.data or "",
            payer=form.payer.data or "",
            tender=form.tender.data,
            through_on=form.through_on.data,
        )
        scope, clock = here.scope, here.application.clock
        try:
            with here.writing() as session:
                moved = give(session, scope, order, clock)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
            row, account_id = account_of(here, number)
        else:
            text = translate(mark("Put in %(amount)s; the balance is %(balance)s."))
            amount = amount_text(form.amount_minor, here.language)
            balance = amount_text(moved.balance_minor, here.language)
            flash(text % {"amount": amount, "balance": balance}, "good")
            return redirect(url_for("console.account", number=number))
    if not form.key.data:
        form.key.data = uuid4().hex
    page = render_template("console/gift.html", active="console.accounts", account=row, form=form)
    return page, 422 if request.method == "POST" else 200
