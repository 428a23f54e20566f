"""Payments in the console: what came in, files of banks, suspense with its matching, the till."""

import zlib
from base64 import b64decode, b64encode
from datetime import date
from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import FileField, HiddenField, StringField
from wtforms.validators import Length, Regexp

from kilokassa.app.cash_desk import till_of_day
from kilokassa.app.payment_files import (
    FilePreview,
    file_outcome,
    import_payment_file,
    preview_payment_file,
)
from kilokassa.app.payment_matching import (
    account_numbers,
    match_payment,
    suggestions,
    unmatch_payment,
)
from kilokassa.core.errors import DomainError, Invalid, NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.money import parse_minor
from kilokassa.core.scope import Right
from kilokassa.core.text import amount_text, mark, sentence, told
from kilokassa.web import queries
from kilokassa.web.doers import Doers
from kilokassa.web.forms import Form
from kilokassa.web.kit import Paging, export_asked, page_asked
from kilokassa.web.language import translate
from kilokassa.web.payments import (
    files_table,
    format_words,
    orders_table,
    payments_table,
    readings_table,
    refused_table,
    tender_words,
    till_table,
)
from kilokassa.web.queries import AccountFilter
from kilokassa.web.visit import Visit, visit
from wallet.payments import store
from wallet.payments.payment import SOURCE_WORDS, STATE_WORDS, PaymentSource, PaymentState
from wallet.payments.reading import FORMAT_WORDS, MOST_BYTES, WHERE, read_control
from wallet.payments.service import FileOrder, return_payment
from wallet.payments.store import PaymentFilter

PAGE_SIZE: Final = 50
EXPORT_MAX: Final = 100_000
SEARCHED: Final = 10
ID_MAX: Final = 2**31 - 1
KEPT_MAX: Final = 400_000
"""Characters of a packed file that a page keeps between the look at it and taking it in."""


class PaymentFileForm(Form):
    """A bank's file with its control; after a look at it, the page keeps both."""

    file = FileField(mark("File"))
    control = FileField(mark("Control, if there is one"))
    sender = StringField(mark("Bank"), validators=[Regexp(r"\A[\w-]{0,40}\Z"), Length(max=40)])
    name = HiddenField(validators=[Length(max=200)])
    kept = HiddenField()
    kept_control = HiddenField()


def payments() -> ResponseReturnValue:
    """List the payments that came in; those in suspense where the address says so."""
    here = visit()
    asked, amount_wrong = _filter()
    exporting = export_asked() == "payments"
    page = page_asked()
    found, total = store.incoming(
        here.session,
        here.scope,
        asked,
        limit=EXPORT_MAX if exporting else PAGE_SIZE,
        offset=0 if exporting else (page - 1) * PAGE_SIZE,
    )
    ids = [one.account_id for one in found if one.account_id is not None]
    table = payments_table(found, account_numbers(here.session, ids), here.language)
    if exporting:
        return table.csv()
    cash = store.cash_in_ledger(here.session)
    return render_template(
        "console/payments.html",
        active="console.payments",
        table=table,
        paging=Paging(page, PAGE_SIZE, total),
        asked=asked,
        amount_wrong=amount_wrong,
        sums=store.sums_by_state(here.session, here.scope),
        cash=[(tender_words(tender), minor) for tender, minor in sorted(cash.items()) if minor],
        states=STATE_WORDS,
        sources=SOURCE_WORDS,
        PaymentState=PaymentState,
    )


def payment(payment_id: int) -> ResponseReturnValue:
    """Show one payment; where it waits, whose it may be, and what can be done."""
    return _payment_page(visit(), payment_id, "", 200)


def settle_payment(payment_id: int) -> ResponseReturnValue:
    """Put a payment on an account, take it back, or say that it was sent back to the payer."""
    here = visit()
    _one(here, payment_id)
    scope, clock = here.scope, here.application.clock
    deed, note = request.form.get("deed", ""), request.form.get("note", "")
    try:
        with here.writing() as session:
            if deed == "match":
                number = request.form.get("account", "")[:40]
                match_payment(session, scope, payment_id, number, clock)
                text = translate(mark("The payment is on account %(number)s.")) % {"number": number}
            elif deed == "unmatch":
                unmatch_payment(session, scope, payment_id, note, clock)
                text = translate(mark("The payment waits in suspense again."))
            else:
                return_payment(session, scope, payment_id, note, clock)
                text = translate(mark("The payment is returned."))
    except DomainError as error:
        return _payment_page(here, payment_id, sentence(error, here.language), 422)
    flash(text, "good")
    return redirect(url_for("console.payment", payment_id=payment_id))


def payment_files() -> ResponseReturnValue:
    """List the files of banks; take one in, after a look at what would become of it."""
    here = visit()
    form = PaymentFileForm()
    refusal, seen = "", None
    if request.method == "POST":
        try:
            order, control_data = _uploaded(form)
            control = read_control(control_data) if control_data else None
            clock, scope = here.application.clock, here.scope
            if "take" in request.form:
                here.end()
                outcome = import_payment_file(
                    here.application.database, scope, order, clock, control=control
                )
                return redirect(url_for("console.payment_file", file_id=outcome.file.id))
            seen = preview_payment_file(here.session, scope, order, clock, control)
            _keep(form, order, control_data)
        except DomainError as error:
            refusal = sentence(error, here.language)
    table = files_table(store.files(here.session, here.scope, limit=200))
    if export_asked() == table.name:
        return table.csv()
    answer = render_template(
        "console/payment_files.html",
        active="console.payment_files",
        table=table,
        form=form,
        refusal=refusal,
        seen=seen,
        shown=None if seen is None else _preview(here, seen),
        may_take=here.may(Right.MANAGE_WALLETS),
    )
    return answer, 422 if refusal else 200


def payment_file(file_id: int) -> ResponseReturnValue:
    """Show what became of a file: each row is taken, waits, was returned or refused."""
    here = visit()
    if file_id > ID_MAX:
        raise NotFound(what=mark("payment file"), name=str(file_id))
    outcome = file_outcome(here.session, here.scope, file_id)
    waiting, _ = store.incoming(
        here.session,
        here.scope,
        PaymentFilter(state=PaymentState.SUSPENSE, file_id=file_id),
        limit=200,
    )
    tables = {
        "refused": refused_table(outcome.refused, here.language),
        "payments": payments_table(waiting, {}, here.language),
        "brought-readings": readings_table(outcome.readings),
    }
    asked = export_asked()
    if asked in tables:
        return tables[asked].csv()  # type: ignore[attr-defined,no-any-return]
    return render_template(
        "console/payment_file.html",
        active="console.payment_files",
        outcome=outcome,
        file=outcome.file,
        layout=format_words(outcome.file),
        tables=tables,
        who=Doers(here, [outcome.file.actor]).name(outcome.file.actor),
        PaymentState=PaymentState,
    )


def till() -> ResponseReturnValue:
    """Show what the desk took on a day, by person and tender."""
    here = visit()
    day = _day(here)
    lines = till_of_day(here.session, here.scope, day)
    table = till_table(lines, Doers(here, [one.actor for one in lines]).name)
    if export_asked() == table.name:
        return table.csv()
    by_tender: dict[str, int] = {}
    for one in lines:
        by_tender[one.tender] = by_tender.get(one.tender, 0) + one.amount_minor
    return render_template(
        "console/till.html",
        active="console.till",
        day=day,
        table=table,
        by_tender=[(tender_words(tender), minor) for tender, minor in by_tender.items()],
        total=sum(by_tender.values()),
    )


def payment_orders() -> ResponseReturnValue:
    """List the top-ups that residents began on a page."""
    here = visit()
    found = store.orders(here.session, here.scope, limit=200)
    numbers = account_numbers(here.session, [AccountId(one.account_id) for one in found])
    table = orders_table(found, numbers, lambda _: None)
    if export_asked() == table.name:
        return table.csv()
    return render_template(
        "console/payment_orders.html", active="console.payment_orders", table=table
    )


def _payment_page(here: Visit, payment_id: int, refusal: str, status: int) -> ResponseReturnValue:
    one = _one(here, payment_id)
    numbers = account_numbers(here.session, [one.account_id] if one.account_id is not None else [])
    waiting = one.state is PaymentState.SUSPENSE
    search = request.args.get("search", "")[:100].strip()
    found: tuple[queries.ListedAccount, ...] = ()
    if waiting and search:
        found, _ = queries.list_accounts(
            here.session, here.scope, AccountFilter(search=search), on=here.today, limit=SEARCHED
        )
    doers = Doers(here, [one.actor, one.settled_by])
    answer = render_template(
        "console/payment.html",
        active="console.payments",
        one=one,
        number=numbers.get(one.account_id) if one.account_id is not None else None,
        state=STATE_WORDS[one.state],
        source=SOURCE_WORDS[one.source],
        tender=tender_words(one.tender),
        problem=told(one.problem, here.language) if one.problem else "",
        suggested=suggestions(here.session, here.scope, one) if waiting else (),
        search=search,
        found=found,
        refusal=refusal,
        may_settle=here.may(Right.MANAGE_WALLETS),
        by=doers.name(one.actor),
        settled_by=doers.name(one.settled_by),
        PaymentState=PaymentState,
    )
    return answer, status


def _one(here: Visit, payment_id: int) -> store.Incoming:
    if payment_id > ID_MAX:
        raise NotFound(what=mark("payment"), name=str(payment_id))
    return store.incoming_by_id(here.session, here.scope, payment_id)


def _filter() -> tuple[PaymentFilter, bool]:
    asked = request.args
    state, source = asked.get("state", ""), asked.get("source", "")
    amount, wrong = None, False
    if asked.get("amount"):
        try:
            amount = parse_minor("".join(asked["amount"].split()))
        except Invalid:
            wrong = True
    wished = PaymentFilter(
        state=PaymentState(state) if state in set(PaymentState) else None,
        source=PaymentSource(source) if source in set(PaymentSource) else None,
        search=asked.get("search", "")[:100].strip(),
        amount_minor=amount,
    )
    return wished, wrong


def _uploaded(form: PaymentFileForm) -> tuple[FileOrder, bytes]:
    """Return the file that was chosen, else the one that the page kept, and its control."""
    form.validate()
    upload = form.file.data
    if upload:
        content = upload.read(MOST_BYTES + 1)
        name = (upload.filename or "").replace("\\", "/").rsplit("/", 1)[-1] or "payments.txt"
        control = form.control.data.read(MOST_BYTES + 1) if form.control.data else b""
    elif form.kept.data:
        content, control = _unpacked(form.kept.data), _unpacked(form.kept_control.data or "")
        name = form.name.data or "payments.txt"
    else:
        raise Invalid(where=WHERE, problem=mark("choose a file"))
    sender = form.sender.data or ""
    if form.sender.errors:
        raise Invalid(where=mark("bank"), problem=mark("letters, digits and dashes only"))
    return FileOrder(name[:200], content, sender), control


def _keep(form: PaymentFileForm, order: FileOrder, control: bytes) -> None:
    packed, packed_control = _packed(order.content), _packed(control)
    fits = len(packed) + len(packed_control) <= KEPT_MAX
    form.kept.data = packed if fits else ""
    form.kept_control.data = packed_control if fits else ""
    form.name.data = order.name


def _packed(content: bytes) -> str:
    return b64encode(zlib.compress(content, 9)).decode() if content else ""


def _unpacked(text: str) -> bytes:
    """Return what a page kept; a text that unpacks to more than a file may hold is refused."""
    if not text:
        return b""
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(b64decode(text, validate=True), MOST_BYTES + 1)
    except (ValueError, zlib.error):
        raise Invalid(where=WHERE, problem=mark("choose a file")) from None
    return content


def _preview(here: Visit, seen: FilePreview) -> dict[str, object]:
    return {
        "layout": FORMAT_WORDS[seen.read.format],
        "refused": refused_table(seen.refused, here.language),
        "problems": [
            (
                row.line,
                row.account_text,
                row.payer,
                amount_text(row.amount_minor, here.language),
                told(problem, here.language),
            )
            for row, problem in seen.problems[:200]
        ],
    }


def _day(here: Visit) -> date:
    try:
        day = date.fromisoformat(request.args.get("day", ""))
    except ValueError:
        return here.today
    return day if 2000 <= day.year < 2100 else here.today
