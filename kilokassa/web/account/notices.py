"""A resident reads what was told, and says what is to be told, when and how."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from kilokassa.app.proofs import record_opened
from kilokassa.core.text import mark
from kilokassa.web.kit import export_asked
from kilokassa.web.language import translate
from kilokassa.web.notices import WishesForm, keep_wishes, own_notices, wishes
from kilokassa.web.visit import account_of, visit
from notices.store import notices_of, written_notice


def notices(number: str) -> ResponseReturnValue:
    """List the notices; take the wishes."""
    here = visit()
    row, account_id = account_of(here, number)
    form = WishesForm()
    if keep_wishes(here, form, account_id):
        flash(translate(mark("Your wishes are kept.")), "good")
        return redirect(url_for("account.notices", number=number))
    table = own_notices(notices_of(here.session, here.scope, account_id), number)
    if export_asked() == table.name:
        return table.csv()
    page = render_template(
        "account/notices.html",
        active="account.notices",
        account=row,
        table=table,
        form=form,
        boxes=wishes(form),
    )
    return page, 422 if request.method == "POST" else 200


def notice(number: str, notice_id: int) -> ResponseReturnValue:
    """Show one notice; that its resident opened it is a delivery, and is written down."""
    here = visit()
    row, account_id = account_of(here, number)
    found = written_notice(here.session, here.scope, notice_id, account_id)
    scope, clock = here.scope, here.application.clock
    with here.writing() as session:
        record_opened(session, scope, notice_id, account_id, clock)
    return render_template(
        "account/notice.html",
        active="account.notices",
        account=row,
        one=found.summary,
    )
