"""What a resident sees: balance and days left, consumption by zone, charges, documents."""

from typing import Any, Final

from flask import Response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from billing import store as billing_store
from kilokassa.core.calendar import Month
from kilokassa.core.errors import NotFound
from kilokassa.core.text import mark
from kilokassa.web import queries, tables
from kilokassa.web.balance import balance_view
from kilokassa.web.by_hand import readings_wanted
from kilokassa.web.charges import months_of
from kilokassa.web.consumption import month_chart
from kilokassa.web.consumption_part import consumption_part
from kilokassa.web.kit import Table, export_asked
from kilokassa.web.lines import line_link
from kilokassa.web.pdf import pdf_answer
from kilokassa.web.visit import account_of, visit
from wallet import store as wallet_store
from wallet.bonuses.store import rule_names

ACCOUNTS_OFFERED: Final = 50
LATEST_SHOWN: Final = 5
ENTRIES_SHOWN: Final = 200


def choose() -> ResponseReturnValue:
    """Send the resident to the account, or let one with several choose."""
    here = visit()
    found, _ = queries.list_accounts(
        here.session,
        here.scope,
        queries.AccountFilter(),
        on=here.today,
        limit=ACCOUNTS_OFFERED,
    )
    if len(found) == 1:
        return redirect(url_for("account.home", number=found[0].number))
    return render_template("account/choose.html", accounts=found)


def home(number: str) -> str:
    """Show the balance, how long it lasts, and the latest of everything."""
    here = visit()
    row, account_id = account_of(here, number)
    month = Month.of(here.today)
    documents, _ = queries.list_documents(
        here.session, here.scope, account_id=account_id, limit=LATEST_SHOWN
    )
    entries = wallet_store.entries_of(here.session, here.scope, account_id, limit=LATEST_SHOWN)
    lots = wallet_store.lots_of(here.session, here.scope, account_id)
    bonus = [one for one in lots if one.lot.kind == "bonus"]
    return render_template(
        "account/home.html",
        active="account.home",
        account=row,
        listed=queries.listed_account(here.session, here.scope, account_id, on=here.today),
        view=balance_view(here, account_id),
        chart=month_chart(here, account_id, month),
        chart_month=month,
        current_month=month,
        span="month",
        endpoint="account.consumption",
        entries=tables.entries(entries),
        documents=tables.documents(documents, "account.document_pdf", with_account=False),
        lots=tables.lots(bonus, rule_names(here.session, here.language)),
        readings_until=readings_wanted(here, row),
    )


def consumption(number: str) -> ResponseReturnValue:
    """Show the days of a month or the months of a year, by zone."""
    here = visit()
    row, account_id = account_of(here, number)
    return consumption_part(
        here, row, account_id, "account.consumption", "account/consumption.html"
    )


def charges(number: str) -> ResponseReturnValue:
    """Show what was charged for each month, line by line."""
    here = visit()
    row, account_id = account_of(here, number)
    lines = billing_store.charge_lines_of(here.session, here.scope, account_id)
    table = tables.charge_lines(lines, line_link(number))
    if export_asked():
        return table.csv()
    return render_template(
        "account/charges.html",
        active="account.charges",
        account=row,
        months=months_of(lines),
        table=table,
    )


def operations(number: str) -> ResponseReturnValue:
    """Show what moved in the wallet, and the lots it holds."""
    here = visit()
    row, account_id = account_of(here, number)
    entries = wallet_store.entries_of(here.session, here.scope, account_id, limit=ENTRIES_SHOWN)
    shown: dict[str, Table[Any]] = {
        "entries": tables.entries(entries),
        "lots": tables.lots(
            wallet_store.lots_of(here.session, here.scope, account_id),
            rule_names(here.session, here.language),
        ),
    }
    if export_asked() in shown:
        return shown[export_asked()].csv()
    return render_template(
        "account/operations.html", active="account.operations", account=row, tables=shown
    )


def documents(number: str) -> ResponseReturnValue:
    """List the account's documents."""
    here = visit()
    row, account_id = account_of(here, number)
    found, _ = queries.list_documents(here.session, here.scope, account_id=account_id, limit=None)
    table = tables.documents(found, "account.document_pdf", with_account=False)
    if export_asked():
        return table.csv()
    return render_template(
        "account/documents.html", active="account.documents", account=row, table=table
    )


def document_pdf(account_number: str, number: str) -> Response:
    """Return the PDF of one of the account's documents."""
    here = visit()
    _, account_id = account_of(here, account_number)
    found = queries.listed_document(here.session, here.scope, number, account_id=account_id)
    if found is None:
        raise NotFound(what=mark("document"), name=number)
    return pdf_answer(here, number)
