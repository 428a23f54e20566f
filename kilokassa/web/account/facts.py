"""A resident sees the facts that the charges depend on; the retailer states them."""

from flask import render_template
from flask.typing import ResponseReturnValue

from billing.facts.store import facts_of, names_of_codes
from kilokassa.web.facts import facts_table, timeline
from kilokassa.web.kit import export_asked
from kilokassa.web.visit import account_of, visit


def facts(number: str) -> ResponseReturnValue:
    """Show what stands of the account, from which day on."""
    here = visit()
    row, account_id = account_of(here, number)
    found = facts_of(here.session, here.scope, account_id, known_at=here.now)
    names = names_of_codes(here.session, here.language)
    table = facts_table(found, here.language, names, None)
    if export_asked() == table.name:
        return table.csv()
    return render_template(
        "account/facts.html",
        active="account.home",
        account=row,
        table=table,
        timeline=timeline(found, here.language, names, row.opened_on, here.today),
    )
