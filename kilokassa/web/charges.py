"""Charge lines gathered by the month of their document."""

from collections.abc import Sequence
from typing import Final

from billing.models import ChargeLineRow, Service
from kilokassa.core.calendar import Month

MonthOfLines = tuple[Month, list[ChargeLineRow], int]


def months_of(lines: Sequence[ChargeLineRow]) -> list[MonthOfLines]:
    """Return the lines by the month of their document, the latest first, each with its total.

    Within a month they stand by service, as on the document.
    """
    by_month: dict[int, list[ChargeLineRow]] = {}
    for line in lines:
        by_month.setdefault(line.document_month, []).append(line)
    return [
        (
            Month.from_ordinal(ordinal),
            sorted(of_month, key=_place),
            sum(line.amount_minor for line in of_month),
        )
        for ordinal, of_month in sorted(by_month.items(), reverse=True)
    ]


def _place(line: ChargeLineRow) -> int:
    return _SERVICES.index(line.service)


_SERVICES: Final = tuple(Service)
