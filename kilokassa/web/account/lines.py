"""A charge line that explains itself, to the resident who pays it."""

from flask.typing import ResponseReturnValue

from kilokassa.web.lines import line_page
from kilokassa.web.visit import account_of, visit


def line(number: str, line_id: int) -> ResponseReturnValue:
    """Show how a charge line of the account came about."""
    here = visit()
    row, _ = account_of(here, number)
    return line_page(
        here,
        line_id,
        "account/line.html",
        account_number=number,
        account=row,
        active="account.charges",
    )
