"""A bank's registry of 17 fields: account, sum, transaction, order, its date, six meter readings.

Source: the loader of a production engine, as `docs/reference/payments.md` tells it; fields are
parted by semicolons and `НЕТ` stands for an empty one.
"""

import re
from datetime import date
from typing import Final

from kilokassa.core.text import mark
from wallet.payments.reading import (
    ACCOUNT,
    COMPACT,
    DOTTED,
    Fields,
    FileFormat,
    PaymentRow,
    ReadFile,
    RefusedRow,
    decoded,
    gathered,
    lines_of,
    readings_of,
    wrong_count,
)

FIELDS: Final = 17
_TRANSACTION: Final = re.compile(r"\d{26}", re.ASCII)
_ORDER: Final = re.compile(r"\d{1,20}|НЕТ", re.ASCII)


def read_tula(data: bytes, today: date) -> ReadFile:
    """Return the rows of a registry of 17 fields; the transaction begins with the payment's day."""
    text, encoding = decoded(data)

    def read_row(line: int, row: str) -> PaymentRow | RefusedRow:
        cells = [cell.strip() for cell in row.split(";")]
        if len(cells) == FIELDS + 1 and not cells[-1]:
            cells.pop()
        if len(cells) != FIELDS:
            return wrong_count(line, len(cells), FIELDS)
        fields = Fields(line)
        account = fields.match(mark("account"), ACCOUNT, cells[0])
        amount_minor = fields.amount(mark("sum"), cells[1])
        transaction = fields.match(mark("transaction"), _TRANSACTION, cells[2])
        paid_on = fields.day(mark("day of payment"), cells[2][:6], COMPACT, today)
        fields.match(mark("payment order"), _ORDER, cells[3])
        if cells[4] != "НЕТ":
            fields.day(mark("day of the order"), cells[4], DOTTED, today)
        readings = readings_of(fields, account, cells[5:])
        wrong = fields.refused()
        if wrong is not None:
            return wrong
        purpose = "" if cells[3] == "НЕТ" else f"№ {cells[3]} {cells[4]}"
        return PaymentRow(
            line, account, amount_minor, transaction, paid_on, purpose=purpose, readings=readings
        )

    return ReadFile(FileFormat.TULA, encoding, *gathered(lines_of(text), read_row))
