"""A resident compares the plans open to the account, chooses another, or takes that back."""

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from kilokassa.web.comparison import comparison_part, take_choice
from kilokassa.web.kit import export_asked
from kilokassa.web.visit import account_of, visit


def comparison(number: str) -> ResponseReturnValue:
    """Show what the last months would have cost on each plan, and what may be chosen."""
    here = visit()
    row, _ = account_of(here, number)
    part = comparison_part(here, row)
    if export_asked() and part["table"] is not None:
        return part["table"].csv()  # type: ignore[no-any-return]
    return render_template(
        "account/comparison.html",
        active="account.comparison",
        choose_url=url_for("account.choose_plan", number=number),
        **part,
    )


def choose_plan(number: str) -> ResponseReturnValue:
    """Let another plan hold from the next month, or keep the present one."""
    here = visit()
    row, _ = account_of(here, number)
    take_choice(here, row)
    return redirect(url_for("account.comparison", number=number))
