"""A resident sees what is owed, what follows when, and what protects them."""

from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from kilokassa.app.debt_views import debt_view
from kilokassa.web.debts import bills_table, fees_table, schedule_table, warning_texts, what_follows
from kilokassa.web.kit import Table, export_asked
from kilokassa.web.visit import account_of, visit


def debt(number: str) -> ResponseReturnValue:
    """Show what is owed and what follows, in plain words, with the table behind a late fee."""
    here = visit()
    row, account_id = account_of(here, number)
    view = debt_view(here.application, here.session, here.scope, account_id)
    tables: dict[str, Table[Any]] = {
        one.name: one for one in (bills_table(view.bills, view.today), fees_table(view))
    }
    wanted = export_asked()
    if wanted in tables:
        return tables[wanted].csv()
    agreement = next((one for one in view.agreements if one.agreement.ended_on is None), None)
    return render_template(
        "account/debt.html",
        active="account.home",
        account=row,
        view=view,
        follows=what_follows(here, view),
        warnings=warning_texts(view.warnings),
        tables=tables,
        agreement=agreement,
        schedule=None if agreement is None else schedule_table(agreement.schedule),
    )
