"""A resident compares the plans open to the account, chooses another, or takes that back."""

from flask import redirect, url_for
from flask.typing import ResponseReturnValue

from kilokassa.web.comparison import comparison_page, take_choice
from kilokassa.web.visit import account_of, visit


def comparison(number: str) -> ResponseReturnValue:
    """Show what the last months would have cost on each plan, and what may be chosen."""
    here = visit()
    row, _ = account_of(here, number)
    return comparison_page(here, row, "account", active="account.comparison")


def choose_plan(number: str) -> ResponseReturnValue:
    """Let another plan hold from the next month, or keep the present one."""
    here = visit()
    row, _ = account_of(here, number)
    take_choice(here, row)
    return redirect(url_for("account.comparison", number=number))
