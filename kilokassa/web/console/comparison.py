"""Staff see what an account would have paid on each plan, and change its plan when asked to."""

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from kilokassa.web.comparison import comparison_part, take_choice
from kilokassa.web.kit import export_asked
from kilokassa.web.visit import account_of, visit


def comparison(number: str) -> ResponseReturnValue:
    """Show the comparison, the plan that follows and the one that may be returned to."""
    here = visit()
    row, _ = account_of(here, number)
    part = comparison_part(here, row)
    if export_asked() and part["table"] is not None:
        return part["table"].csv()  # type: ignore[no-any-return]
    return render_template(
        "console/comparison.html",
        active="console.accounts",
        choose_url=url_for("console.choose_plan", number=number),
        **part,
    )


def choose_plan(number: str) -> ResponseReturnValue:
    """Write down the plan that the customer asked for."""
    here = visit()
    row, _ = account_of(here, number)
    take_choice(here, row)
    return redirect(url_for("console.comparison", number=number))
