"""A resident sees the bonuses: which are there to spend, until when, and how to earn more."""

from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from kilokassa.app.bonuses import standing_of
from kilokassa.core.calendar import Month
from kilokassa.web.bonuses import grants_table, held_table, offers
from kilokassa.web.kit import Table, export_asked
from kilokassa.web.visit import account_of, visit
from wallet import store as wallet_store
from wallet.bonuses import store


def bonuses(number: str) -> ResponseReturnValue:
    """Show the account's bonuses and the rules that run."""
    here = visit()
    row, account_id = account_of(here, number)
    names = store.rule_names(here.session, here.language)
    lots = wallet_store.lots_of(here.session, here.scope, account_id)
    granted = [
        one for one in store.grants_of(here.session, here.scope, account_id) if one.amount_minor
    ]
    tables: dict[str, Table[Any]] = {
        "held": held_table(lots, names, here.now),
        "grants": grants_table(granted, names),
    }
    if export_asked() in tables:
        return tables[export_asked()].csv()
    running = store.rules_in_force(here.session, here.today)
    last = Month.of(here.today).plus(-1)
    standing = standing_of(here.session, account_id, here.zone, last)
    return render_template(
        "account/bonuses.html",
        active="account.bonuses",
        account=row,
        tables=tables,
        held_minor=sum(one.lot.remaining_minor for one in tables["held"].items),
        offers=offers(running, standing, here.language),
    )
