"""Staff see what was told to whom and what proves that it arrived, and record deliveries."""

from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from billing.models import AccountRow
from kilokassa.app.proofs import record_delivery, withdraw_delivery
from kilokassa.core.errors import DomainError
from kilokassa.core.scope import Right
from kilokassa.core.text import mark, sentence
from kilokassa.web.doers import Doers
from kilokassa.web.kit import Paging, Table, export_asked, page_asked
from kilokassa.web.language import translate
from kilokassa.web.notices import (
    DeliveryForm,
    WishesForm,
    attempts_table,
    deliveries_table,
    keep_wishes,
    local_now,
    notices_table,
    wishes,
)
from kilokassa.web.visit import Visit, account_of, visit
from notices.desk.service import (
    send_again,
)
from notices.notice import NoticeKind, NoticeState, Way
from notices.store import (
    NoticeFilter,
    list_notices,
    notices_of,
    outbox_counts,
    written_notice,
)

PAGE_SIZE: Final = 50
EXPORT_MAX: Final = 100_000


def notices() -> ResponseReturnValue:
    """List the notices in reach, the latest first."""
    here = visit()
    page, exporting = page_asked(), bool(export_asked())
    asked = _filter()
    found, total = list_notices(
        here.session,
        here.scope,
        asked,
        limit=EXPORT_MAX if exporting else PAGE_SIZE,
        offset=0 if exporting else (page - 1) * PAGE_SIZE,
    )
    ids = {one.account_id for one in found if one.account_id is not None}
    rows = here.session.execute(
        select(AccountRow.id, AccountRow.number).where(AccountRow.id.in_(sorted(ids)))
    )
    table = notices_table(found, {row.id: row.number for row in rows})
    if exporting:
        return table.csv()
    return render_template(
        "console/notices.html",
        active="console.notices",
        table=table,
        paging=Paging(page, PAGE_SIZE, total),
        asked=asked,
        states=tuple(NoticeState),
        kinds=tuple(NoticeKind),
        ways=tuple(Way),
        counts=outbox_counts(here.session, here.scope).by_state,
    )


def notice(notice_id: int) -> ResponseReturnValue:
    """Show one notice as it was written, with its attempts and what proves its delivery."""
    return _page(visit(), notice_id, None)


def deliver(notice_id: int) -> ResponseReturnValue:
    """Record that a notice was delivered."""
    here = visit()
    form = DeliveryForm()
    form.offer()
    if form.validate():
        try:
            order = form.order(notice_id, here.zone)
            scope, clock = here.scope, here.application.clock
            with here.writing() as session:
                record_delivery(session, scope, order, clock)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            flash(translate(mark("The delivery is recorded.")), "good")
            return redirect(url_for("console.notice", notice_id=notice_id))
    return _page(here, notice_id, form)


def withdraw(notice_id: int) -> ResponseReturnValue:
    """Take a record of a delivery back; both stay readable."""
    here = visit()
    text = request.form.get("delivery", "")
    delivery_id = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
    reason = request.form.get("reason", "")
    try:
        scope, clock = here.scope, here.application.clock
        with here.writing() as session:
            withdraw_delivery(session, scope, delivery_id, reason, clock)
    except DomainError as error:
        flash(sentence(error, here.language), "bad")
    else:
        flash(translate(mark("The record is withdrawn and counts no more.")), "good")
    return redirect(url_for("console.notice", notice_id=notice_id))


def again(notice_id: int) -> ResponseReturnValue:
    """Put a notice on its way again."""
    here = visit()
    try:
        scope, clock = here.scope, here.application.clock
        with here.writing() as session:
            sent = send_again(session, scope, notice_id, clock)
    except DomainError as error:
        flash(sentence(error, here.language), "bad")
        return redirect(url_for("console.notice", notice_id=notice_id))
    text = (
        mark("A copy is on its way.") if sent.copied else mark("It is on its way under its own id.")
    )
    flash(translate(text), "good")
    return redirect(url_for("console.notice", notice_id=sent.notice_id))


def account_notices(number: str) -> ResponseReturnValue:
    """Show what was told to an account, and state its wishes for it."""
    here = visit()
    row, account_id = account_of(here, number)
    form = WishesForm()
    if keep_wishes(here, form, account_id):
        flash(translate(mark("The wishes are kept.")), "good")
        return redirect(url_for("console.account_notices", number=number))
    table = notices_table(notices_of(here.session, here.scope, account_id))
    if export_asked() == table.name:
        return table.csv()
    page = render_template(
        "console/account_notices.html",
        active="console.accounts",
        account=row,
        table=table,
        form=form,
        boxes=wishes(form),
        editing=here.may(Right.MANAGE_ACCOUNTS),
    )
    return page, 422 if request.method == "POST" else 200


def _page(here: Visit, notice_id: int, refused: DeliveryForm | None) -> ResponseReturnValue:
    found = written_notice(here.session, here.scope, notice_id)
    doers = Doers(here, [one.actor for one in found.deliveries])
    tables: dict[str, Table[Any]] = {
        "deliveries": deliveries_table(found.deliveries, doers),
        "attempts": attempts_table(found.attempts),
    }
    if export_asked() in tables:
        return tables[export_asked()].csv()
    form = refused
    if form is None:
        form = DeliveryForm(formdata=None)
        form.offer()
        form.at.data = local_now(here)
    account = None
    if found.summary.account_id is not None:
        account = here.session.get(AccountRow, found.summary.account_id)
    page = render_template(
        "console/notice.html",
        active="console.notices",
        found=found,
        one=found.summary,
        whose=account,
        tables=tables,
        form=form,
        editing=here.may(Right.MANAGE_ACCOUNTS),
        withdrawable=[one for one in found.deliveries if one.stands],
    )
    return page, 200 if refused is None else 422


def _filter() -> NoticeFilter:
    def asked(name: str) -> str:
        return request.args.get(name, "")

    state, kind, way = asked("state"), asked("kind"), asked("way")
    return NoticeFilter(
        state=NoticeState(state) if state in set(NoticeState) else None,
        kind=NoticeKind(kind) if kind in set(NoticeKind) else None,
        way=Way(way) if way in set(Way) else None,
        undelivered=asked("undelivered") == "1",
    )
