"""Staff see what an account would have paid on each plan, and change its plan when asked to."""

from flask import redirect, url_for
from flask.typing import ResponseReturnValue

from kilokassa.web.comparison import comparison_page, take_choice
from kilokassa.web.visit import account_of, visit


def comparison(number: str) -> ResponseReturnValue:
    """Show the comparison, the plan that follows and the one that may be returned to."""
    here = visit()
    row, _ = account_of(here, number)
    return comparison_page(here, row, "console", active="console.accounts")


def choose_plan(number: str) -> ResponseReturnValue:
    """Write down the plan that the customer asked for."""
    here = visit()
    row, _ = account_of(here, number)
    take_choice(here, row)
    return redirect(url_for("console.comparison", number=number))
