"""Billing runs: what was closed when, and the button that closes a month."""

import json
from dataclasses import dataclass
from datetime import datetime

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from billing import store as billing_store
from billing.models import BillingRunRow, RunState
from invoices.store import count_of_month
from kilokassa.app.closing import close_month as close
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.scope import Right
from kilokassa.core.text import amount_text, mark, month_text, sentence
from kilokassa.web import tables
from kilokassa.web.doers import Doers
from kilokassa.web.forms import CloseMonthForm
from kilokassa.web.kit import export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit

RUNS_SHOWN = 48
MONTHS_OFFERED = 12


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run with what its parts came to."""

    id: int
    month: Month
    state: RunState
    actor: str
    started_at: datetime
    ended_at: datetime | None
    charged: int
    documents: int


def runs() -> ResponseReturnValue:
    """List the runs, the latest first."""
    return _page(visit(), CloseMonthForm())


def close_month() -> ResponseReturnValue:
    """Close the month that was chosen; repeating it changes nothing."""
    here = visit()
    form = CloseMonthForm()
    form.offer(_offered(here), here.language)
    if not form.validate():
        return _page(here, form, 422)
    month = Month.parse(form.month.data)
    scope, language = here.scope, here.language
    here.end()  # the run opens sessions of its own
    try:
        report = close(here.application, month, scope=scope)
    except DomainError as error:
        flash(sentence(error, language), "bad")
    else:
        text = translate(
            mark(
                "%(month)s: %(charged)s accounts charged, %(already)s were closed already, "
                "%(corrected)s corrected; %(amount)s in all."
            )
        ) % {
            "month": month_text(month, language),
            "charged": report.charged,
            "already": report.already_closed,
            "corrected": report.corrected,
            "amount": amount_text(report.amount_minor + report.correction_minor, language),
        }
        flash(text, "good")
    return redirect(url_for("console.runs"))


def _page(here: Visit, form: CloseMonthForm, status: int = 200) -> ResponseReturnValue:
    rows = billing_store.runs(here.session, limit=RUNS_SHOWN)
    table = tables.runs(
        [_listed(here, row) for row in rows], Doers(here, [row.actor for row in rows]).name
    )
    if export_asked():
        return table.csv()
    form.offer(_offered(here), here.language)
    may = here.may(Right.RUN_BILLING)
    return (
        render_template(
            "console/runs.html", active="console.runs", table=table, form=form, may_close=may
        ),
        status,
    )


def _listed(here: Visit, row: BillingRunRow) -> ListedRun:
    month = Month.from_ordinal(row.charge_month)
    parts = billing_store.parts_of(here.session, row.id)
    return ListedRun(
        id=row.id,
        month=month,
        state=row.state,
        actor=row.actor,
        started_at=row.started_at,
        ended_at=row.ended_at,
        charged=sum(json.loads(part.summary).get("charged", 0) for part in parts),
        documents=count_of_month(here.session, month),
    )


def _offered(here: Visit) -> list[Month]:
    last = Month.of(here.today).plus(-1)
    return [last.plus(-n) for n in range(MONTHS_OFFERED)]
