"""An agent's registry of 27 fields, and plain CSV whose first line names its columns."""

import csv
import re
from collections.abc import Mapping
from datetime import date, time
from typing import Final

from kilokassa.core.errors import Invalid
from kilokassa.core.text import filled, mark
from wallet.payments.reading import (
    ACCOUNT,
    DOTTED,
    ISO,
    WHERE,
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

FIELDS: Final = 27
TRANSACTION: Final = re.compile(r"[\w./#-]{1,64}")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_CSV_ACCOUNT: Final = re.compile(r"[\w./-]{1,30}")

TITLES: Final[Mapping[str, str]] = {
    "лицевой счет": "account",
    "лицевой счёт": "account",
    "лс": "account",
    "сумма": "sum",
    "дата": "date",
    "дата платежа": "date",
    "время": "time",
    "операция": "transaction",
    "номер операции": "transaction",
    "плательщик": "payer",
    "назначение": "purpose",
    "назначение платежа": "purpose",
}
"""The Russian headings of a CSV file; the English names count as well."""

NAMES: Final = ("account", "sum", "date", "time", "transaction", "payer", "purpose")
REQUIRED: Final = ("account", "sum", "date", "transaction")


def read_agent(data: bytes, today: date) -> ReadFile:
    """Return the rows of an agent: transaction, service, day, time, account, place, sum, meters."""
    text, encoding = decoded(data)

    def read_row(line: int, row: str) -> PaymentRow | RefusedRow:
        cells = [cell.strip() for cell in row.split(";")]
        if len(cells) == FIELDS + 1 and not cells[-1]:
            cells.pop()
        if len(cells) != FIELDS:
            return wrong_count(line, len(cells), FIELDS)
        fields = Fields(line)
        transaction = fields.match(mark("transaction"), TRANSACTION, cells[0])
        paid_on = fields.day(mark("day of payment"), cells[2], DOTTED, today)
        paid_time = time_of(fields, cells[3])
        account = fields.match(mark("account"), ACCOUNT, cells[4])
        amount_minor = fields.amount(mark("sum"), cells[6])
        readings = readings_of(fields, account, cells[7:])
        wrong = fields.refused()
        if wrong is not None:
            return wrong
        return PaymentRow(
            line,
            account,
            amount_minor,
            transaction,
            paid_on,
            paid_time,
            purpose=cells[5][:500],
            readings=readings,
        )

    return ReadFile(FileFormat.AGENT, encoding, *gathered(lines_of(text), read_row))


def read_csv(data: bytes, today: date) -> ReadFile:
    """Return the rows of a CSV file whose first line names its columns, in any order."""
    text, encoding = decoded(data)
    lines = iter(lines_of(text))
    _, heading = next(lines, (0, ""))
    delimiter = max(";,\t", key=heading.count)
    columns = columns_of(_cells(heading, delimiter) or [])
    if columns is None:
        raise Invalid(
            where=WHERE,
            problem=mark("its heading lacks one of the columns %(columns)s"),
            columns=", ".join(REQUIRED),
        )

    def read_row(line: int, row: str) -> PaymentRow | RefusedRow:
        cells = _cells(row, delimiter)
        if cells is None:
            return RefusedRow(line, filled(mark("its quotation marks do not close")))
        if len(cells) != len(columns):
            return wrong_count(line, len(cells), len(columns))
        by_name = dict(zip(columns, cells, strict=True))
        fields = Fields(line)
        account = fields.match(mark("account"), _CSV_ACCOUNT, by_name["account"])
        amount_minor = fields.amount(mark("sum"), by_name["sum"])
        transaction = fields.match(mark("transaction"), TRANSACTION, by_name["transaction"])
        day = by_name["date"]
        paid_on = fields.day(mark("day of payment"), day, ISO if "-" in day else DOTTED, today)
        paid_time = time_of(fields, by_name["time"]) if by_name.get("time") else None
        return fields.refused() or PaymentRow(
            line,
            account,
            amount_minor,
            transaction,
            paid_on,
            paid_time,
            by_name.get("payer", "")[:200],
            by_name.get("purpose", "")[:500],
        )

    return ReadFile(FileFormat.CSV, encoding, *gathered(lines, read_row))


def columns_of(heading: list[str]) -> list[str] | None:
    """Return what each column holds, an unknown one by its place; None where one is missing."""
    names = [cell.strip().casefold() for cell in heading]
    found = [TITLES.get(name, name if name in NAMES else f"#{at}") for at, name in enumerate(names)]
    complete = all(found.count(name) == 1 for name in REQUIRED)
    return found if complete and len(set(found)) == len(found) else None


def time_of(fields: Fields, text: str) -> time | None:
    """Return a time of day such as 18:05 or 18:05:59."""
    found = _TIME.fullmatch(text)
    if found is None:
        fields.wrong(mark("time"), text)
        return None
    hour, minute, second = (int(part or 0) for part in found.groups())
    return time(hour, minute, second)


def _cells(line: str, delimiter: str) -> list[str] | None:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error:
        return None
