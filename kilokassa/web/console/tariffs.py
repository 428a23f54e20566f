"""Tariff plans and their published versions."""

from flask import render_template
from flask.typing import ResponseReturnValue

from kilokassa.web import tables
from kilokassa.web.kit import export_asked
from kilokassa.web.visit import visit
from tariffs import store as tariffs_store


def tariffs() -> ResponseReturnValue:
    """List the plans with the version that holds today."""
    here = visit()
    plans = [
        (plan, tariffs_store.published_versions(here.session, plan.id))
        for plan in tariffs_store.plans(here.session)
    ]
    table = tables.plans(plans, here.today, here.language)
    if export_asked():
        return table.csv()
    return render_template("console/tariffs.html", active="console.tariffs", table=table)


def tariff(code: str) -> str:
    """Show a plan: its prices by date, zones of the day, ranges, and the text as published."""
    here = visit()
    plan = tariffs_store.plan_by_code(here.session, code)
    versions = tariffs_store.published_versions(here.session, plan.id)
    return render_template(
        "console/tariff.html",
        active="console.tariffs",
        plan=plan,
        zone_windows=tables.zone_windows,
        prices=[(one, tables.prices(one.version)) for one in versions],
    )
