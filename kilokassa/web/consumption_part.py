"""The part of a page that shows consumption: fetched alone when somebody turns to another month."""

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue

from billing.models import AccountRow
from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId
from kilokassa.web.consumption import month_chart, year_chart
from kilokassa.web.forms import month_asked
from kilokassa.web.visit import Visit


def consumption_part(
    here: Visit, row: AccountRow, account_id: AccountId, endpoint: str, page: str
) -> ResponseReturnValue:
    """Render the chart that the address asks for, with the links to its neighbours."""
    current = Month.of(here.today)
    month = min(month_asked("month") or current, current, key=lambda one: one.ordinal)
    span = "year" if request.args.get("span") == "year" else "month"
    draw = year_chart if span == "year" else month_chart
    part = "HX-Request" in request.headers
    answer = make_response(
        render_template(
            "kit/consumption.html" if part else page,
            active=endpoint,
            account=row,
            chart=draw(here, account_id, month),
            chart_month=month,
            current_month=current,
            span=span,
            endpoint=endpoint,
        )
    )
    answer.headers["Vary"] = "HX-Request"
    return answer
