"""A resident's plan in plain words: when electricity costs what, and what else is charged."""

from flask import render_template

from kilokassa.core.errors import NotFound
from kilokassa.core.text import mark
from kilokassa.web import queries
from kilokassa.web.tariff_view import picture_of
from kilokassa.web.visit import account_of, visit
from tariffs import store as tariffs_store


def plan(number: str) -> str:
    """Show the plan that the account has today: its day, ladder and charges beside energy."""
    here = visit()
    row, account_id = account_of(here, number)
    listed = queries.listed_account(here.session, here.scope, account_id, on=here.today)
    if listed is None or not listed.plan_code:
        raise NotFound(what=mark("tariff plan"), name=number)
    found = tariffs_store.plan_by_code(here.session, listed.plan_code)
    published = tariffs_store.published_versions(here.session, found.id)
    begun = [one for one in published if one.version.valid_from <= here.today]
    version = (begun or published)[0].version
    changes = sorted(
        {
            *(rates.valid_from for rates in version.rates if rates.valid_from > here.today),
            *(one.version.valid_from for one in published if one.version.valid_from > here.today),
        }
    )
    promised = version.charges.guarantee
    names = queries.plan_names(here.session, here.language)
    return render_template(
        "account/plan.html",
        active="account.comparison",
        account=row,
        plan=found,
        version=version,
        picture=picture_of(version, here.language, here.today, names),
        guaranteed=names.get(promised.plan_code) if promised else None,
        next_change=changes[0] if changes else None,
    )
