"""The console's first page: how things stand, and what waits for somebody."""

from flask import render_template

from billing import store as billing_store
from kilokassa.core.calendar import Month
from kilokassa.web import queries
from kilokassa.web.console.findings import finding_entries
from kilokassa.web.consumption import MONTHS_SHOWN, months_chart
from kilokassa.web.visit import visit
from metering import store as metering_store
from wallet import store as wallet_store

WAITING_SHOWN = 6
DEBTORS_SHOWN = 8


def home() -> str:
    """Show figures, consumption of a year, and the heads of the queues."""
    here = visit()
    session, scope = here.session, here.scope
    last = Month.of(here.today).plus(-1)
    months = [last.plus(n + 1 - MONTHS_SHOWN) for n in range(MONTHS_SHOWN)]
    used = queries.energy_by_month(session, scope, months[0], months[-1])
    findings = metering_store.list_findings(session, scope, limit=WAITING_SHOWN)
    owing = wallet_store.debtors(session, scope, limit=DEBTORS_SHOWN)
    debtors = [
        (queries.listed_account(session, scope, account_id, on=here.today), owed)
        for account_id, owed in owing
    ]
    runs = billing_store.runs(session, limit=1) if scope.whole_retailer else ()
    return render_template(
        "console/home.html",
        active="console.home",
        figures=queries.overview(session, scope, here.today),
        findings_count=metering_store.count_findings(session, scope),
        findings=finding_entries(here, findings),
        debtors=[(listed, owed) for listed, owed in debtors if listed is not None],
        run=runs[0] if runs else None,
        chart=months_chart(months, used, here.language),
    )
