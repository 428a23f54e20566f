"""A charge line that explains itself, to staff."""

from flask.typing import ResponseReturnValue

from kilokassa.web.lines import line_page
from kilokassa.web.visit import visit


def line(line_id: int) -> ResponseReturnValue:
    """Show how a charge line came about, down to the readings it was computed from."""
    return line_page(visit(), line_id, "console/line.html", active="console.accounts")
