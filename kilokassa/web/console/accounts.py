"""Accounts: the list with its filters, the page of one, and taking money at the cash desk."""

from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

from flask import flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from billing import store as billing_store
from billing.models import AccountRow, Settlement
from kilokassa.app.cash_desk import take_at_desk
from kilokassa.app.payment_orders import split_of
from kilokassa.app.payments import Payment
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right
from kilokassa.core.text import amount_text, mark, sentence
from kilokassa.web import by_hand, queries, tables
from kilokassa.web.balance import balance_view
from kilokassa.web.charges import months_of
from kilokassa.web.console.findings import finding_entries
from kilokassa.web.consumption import month_chart
from kilokassa.web.consumption_part import consumption_part
from kilokassa.web.doers import Doers
from kilokassa.web.forms import TopUpForm
from kilokassa.web.kit import Paging, Sorting, Table, export_asked, page_asked
from kilokassa.web.language import translate
from kilokassa.web.lines import line_link
from kilokassa.web.payments import split_rows
from kilokassa.web.queries import ACCOUNT_SORTS, AccountFilter, Owing
from kilokassa.web.visit import Visit, visit
from metering import store as metering_store
from notices import store as notices_store
from tariffs import store as tariffs_store
from wallet import store as wallet_store

PAGE_SIZE: Final = 50
EXPORT_MAX: Final = 100_000
ENTRIES_SHOWN: Final = 100
READINGS_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class _AccountPage:
    account: AccountRow
    account_id: AccountId


def accounts() -> ResponseReturnValue:
    """List the accounts in reach; the list alone where the page's own filter asks for it."""
    here = visit()
    asked = _filter()
    sorting = Sorting.asked(tuple(ACCOUNT_SORTS), "number")
    exporting = bool(export_asked())
    page = page_asked()
    found, total = queries.list_accounts(
        here.session,
        here.scope,
        asked,
        on=here.today,
        sort=sorting.key,
        descending=sorting.descending,
        limit=EXPORT_MAX if exporting else PAGE_SIZE,
        offset=0 if exporting else (page - 1) * PAGE_SIZE,
    )
    table = replace(tables.accounts(found, here.language), sorting=sorting)
    if exporting:
        return table.csv()
    part = "HX-Request" in request.headers
    answer = make_response(
        render_template(
            "console/accounts_list.html" if part else "console/accounts.html",
            active="console.accounts",
            table=table,
            paging=Paging(page, PAGE_SIZE, total),
            asked=asked,
            buildings=billing_store.buildings(here.session, here.scope),
            plans=tariffs_store.plans(here.session),
            Settlement=Settlement,
            Owing=Owing,
        )
    )
    answer.headers["Vary"] = "HX-Request"
    return answer


def account(number: str) -> ResponseReturnValue:
    """Show one account: terms, balance, lots, operations, charges, documents, readings."""
    here = visit()
    page = _account(here, number)
    session, scope, account_id = here.session, here.scope, page.account_id
    lines = billing_store.charge_lines_of(session, scope, account_id)
    documents, _ = queries.list_documents(session, scope, account_id=account_id, limit=None)
    entries = wallet_store.entries_of(session, scope, account_id, limit=ENTRIES_SHOWN)
    shown: dict[str, Table[Any]] = {
        "entries": tables.entries(entries, Doers(here, [one.actor for one in entries]).name),
        "lots": tables.lots(wallet_store.lots_of(session, scope, account_id)),
        "charges": tables.charge_lines(lines, line_link()),
        "documents": tables.documents(documents, "console.document_pdf", with_account=False),
        "notices": tables.notices(notices_store.notices_of(session, scope, account_id)),
        "meters": tables.meters(queries.meters_of_account(session, scope, account_id)),
        "readings": by_hand.readings_table(
            by_hand.staff_readings(here, page.account, READINGS_SHOWN), staff=True
        ),
        "terms": tables.terms(queries.terms_of(session, scope, account_id), here.language),
    }
    asked = export_asked()
    if asked in shown:
        return shown[asked].csv()
    address, premises = queries.premises_of(session, page.account)
    points = queries.points_of_account(session, scope, account_id)
    findings = metering_store.list_findings(session, scope, point_codes=points, limit=20)
    month = Month.of(here.today)
    return render_template(
        "console/account.html",
        active="console.accounts",
        account=page.account,
        address=address,
        premises=premises,
        view=balance_view(here, account_id),
        tables=shown,
        months=months_of(lines),
        findings=finding_entries(here, findings),
        chart=month_chart(here, account_id, month),
        chart_month=month,
        current_month=month,
        span="month",
        endpoint="console.account_consumption",
        top_up_allowed=here.may(Right.MANAGE_WALLETS),
    )


def account_consumption(number: str) -> ResponseReturnValue:
    """Return the chart of a month's days, or of a year's months, for the page to put in place."""
    here = visit()
    page = _account(here, number)
    return consumption_part(
        here,
        page.account,
        page.account_id,
        "console.account_consumption",
        "console/account_consumption.html",
    )


def top_up(number: str) -> ResponseReturnValue:
    """Take money at the cash desk; the form's own key makes a second press harmless."""
    here = visit()
    page = _account(here, number)
    form = TopUpForm()
    shown = None
    valid = request.method == "POST" and form.validate()
    if valid and "show" in request.form:
        clock = here.application.clock
        shown = split_of(here.session, here.scope, page.account_id, form.amount_minor, clock)
    elif valid:
        payment = Payment(
            account_id=page.account_id,
            amount_minor=form.amount_minor,
            tender=form.tender.data,
            paid_at=here.now,
            idempotency_key=f"desk:{form.key.data}",
            reference=form.reference.data or "",
        )
        try:
            taken = _take(here, payment)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            flash(
                translate(mark("%(amount)s came in; the receipt is %(number)s."))
                % {
                    "amount": amount_text(payment.amount_minor, here.language),
                    "number": taken,
                },
                "good",
            )
            return redirect(url_for("console.top_up", number=number, receipt=taken))
    if request.method == "GET":
        form.key.data = uuid4().hex
    answer = render_template(
        "console/top_up.html",
        active="console.accounts",
        account=page.account,
        form=form,
        shown=shown,
        parts=[] if shown is None else split_rows(shown),
        receipt=request.args.get("receipt", "")[:40],
    )
    return answer, 422 if request.method == "POST" and shown is None else 200


def _take(here: Visit, payment: Payment) -> str:
    scope = here.scope
    with here.writing() as session:
        return take_at_desk(session, scope, payment, here.application.clock).receipt.number


def _account(here: Visit, number: str) -> _AccountPage:
    row = billing_store.account_by_number(here.session, here.scope, number)
    return _AccountPage(row, AccountId(row.id))


def _filter() -> AccountFilter:
    asked = request.args
    settlement = asked.get("settlement", "")
    owing = asked.get("owing", "")
    return AccountFilter(
        search=asked.get("search", "")[:100].strip(),
        building=asked.get("building", ""),
        plan=asked.get("plan", ""),
        settlement=Settlement(settlement) if settlement in set(Settlement) else None,
        owing=Owing(owing) if owing in set(Owing) else Owing.ALL,
    )
