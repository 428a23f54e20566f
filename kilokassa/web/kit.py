"""The kit's values: a table that is page, sorted list and CSV file at once; a chart; a page number.

A view describes what it shows with these; `templates/kit` draws them. So every list sorts, filters
and exports in the same way, and the CSV cannot hold anything but what the page shows.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from flask import Response, request

from kilokassa.core.calendar import Month
from kilokassa.core.quantity import gcal, kwh
from kilokassa.core.text import Language
from kilokassa.core.zones import Zone
from kilokassa.web.language import translate
from kilokassa.web.visit import visit
from kilokassa.web.words import word

Item = TypeVar("Item")

EXPORT_ARGUMENT: Final = "export"


class Kind(StrEnum):
    """What a column holds, which decides how it is aligned, formatted, sorted and exported."""

    TEXT = "text"
    WORD = "word"
    """A member of an enumeration."""
    MESSAGE = "message"
    """A message of the catalogue."""
    MONEY = "money"
    NUMBER = "number"
    KWH = "kwh"
    PERCENT = "percent"
    """Millionths of a whole."""
    GCAL = "gcal"
    RATE = "rate"
    DATE = "date"
    INSTANT = "instant"
    MONTH = "month"


NUMERIC: Final = frozenset({Kind.MONEY, Kind.NUMBER, Kind.KWH, Kind.PERCENT, Kind.GCAL, Kind.RATE})


@dataclass(frozen=True, slots=True)
class Column(Generic[Item]):
    """One column: its heading, what it takes from an item, and where a cell leads to."""

    key: str
    title: str
    value: Callable[[Item], Any]
    kind: Kind = Kind.TEXT
    link: Callable[[Item], str | None] | None = None
    tone: Callable[[Item], str] | None = None
    """Colour of a badge or amount: `good`, `warn`, `bad`, `quiet` or empty."""
    minor: bool = False
    """Left out on a narrow screen."""
    server_sort: bool = True
    """Where the server sorts, whether it can by this column."""

    @property
    def numeric(self) -> bool:
        """Say whether cells stand to the right."""
        return self.kind in NUMERIC

    def sort_value(self, item: Item) -> str:
        """Return what the page's own script sorts the cell by."""
        value = self.value(item)
        if value is None:
            return ""
        if isinstance(value, Month):
            return str(value.ordinal)
        if isinstance(value, datetime | date):
            return value.isoformat()
        if isinstance(value, StrEnum):
            return translate(word(value))
        return str(value)

    def exported(self, item: Item) -> str:
        """Return the cell of a CSV file: exact, without unit or grouping."""
        value = self.value(item)
        comma = visit().language is Language.RUSSIAN
        if value is None:
            return ""
        match self.kind:
            case Kind.MONEY:
                text = str(Decimal(value).scaleb(-2))
            case Kind.KWH:
                text = str(kwh(value))
            case Kind.PERCENT:
                text = str(Decimal(value).scaleb(-4))
            case Kind.GCAL:
                text = str(gcal(value))
            case Kind.RATE:
                text = str(Decimal(value).scaleb(-6))
            case Kind.NUMBER:
                text = str(value)
            case Kind.INSTANT:
                return str(value.astimezone(visit().zone).isoformat(timespec="minutes"))
            case Kind.WORD:
                return translate(word(value))
            case Kind.MESSAGE:
                return translate(value)
            case _:
                return harmless(str(value))
        return text.replace(".", ",") if comma else text


@dataclass(frozen=True, slots=True)
class Table(Generic[Item]):
    """A list of items; `sorting` names the column that the server has sorted by, if it has."""

    name: str
    columns: Sequence[Column[Item]]
    items: Sequence[Item]
    caption: str = ""
    empty: str = ""
    """What to say where there is nothing: why, and what to do about it."""
    sorting: "Sorting | None" = None
    filterable: bool = False
    """Offer the page's own filter; where the server filters, its form does it."""
    export: bool = True

    @property
    def sortable(self) -> frozenset[str]:
        """Columns that the server sorts by; those of other lists the page's script sorts."""
        return frozenset(column.key for column in self.columns if column.server_sort)

    def csv(self) -> Response:
        """Return all items as a CSV file that a spreadsheet of the reader's language opens."""
        russian = visit().language is Language.RUSSIAN
        text = io.StringIO()
        writer = csv.writer(text, delimiter=";" if russian else ",")
        writer.writerow([translate(column.title) for column in self.columns])
        for item in self.items:
            writer.writerow([column.exported(item) for column in self.columns])
        # The mark tells spreadsheets that the text is UTF-8.
        body = ("\ufeff" + text.getvalue()).encode()
        name = f"{self.name}-{visit().today}.csv"
        return Response(
            body,
            mimetype="text/csv",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


@dataclass(frozen=True, slots=True)
class Sorting:
    """By which column a list is sorted, and which way."""

    key: str
    descending: bool = False

    @classmethod
    def asked(cls, allowed: Sequence[str], default: str) -> "Sorting":
        """Return the sorting that the address names (`sort=-debt`), else the default."""
        text = request.args.get("sort", "")
        key = text.removeprefix("-")
        return cls(key, text.startswith("-")) if key in allowed else cls(default)

    def argument(self, key: str) -> str:
        """Return the argument that a click on the heading `key` stands for."""
        return f"-{key}" if key == self.key and not self.descending else key


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of how many items is shown."""

    page: int
    size: int
    total: int

    @property
    def offset(self) -> int:
        """How many items lie before the page."""
        return (self.page - 1) * self.size

    @property
    def first(self) -> int:
        """Number of the first item shown, from 1; 0 where there is none."""
        return min(self.offset + 1, self.total)

    @property
    def last(self) -> int:
        """Number of the last item shown."""
        return min(self.offset + self.size, self.total)

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.total // self.size))


def page_asked() -> int:
    """Return the number of the page that the address asks for, 1 where it is none."""
    text = request.args.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def export_asked() -> str:
    """Return the name of the table that is asked for as CSV; empty for the page itself."""
    return request.args.get(EXPORT_ARGUMENT, "")


def harmless(text: str) -> str:
    """Return text that a spreadsheet will not run as a formula.

    >>> harmless("=1+1"), harmless("Иванов")
    ("'=1+1", 'Иванов')
    """
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


ZONE_ORDER: Final = (Zone.NIGHT, Zone.ALL, Zone.SEMI_PEAK, Zone.DAY, Zone.PEAK)
"""From the bottom of a stack up: the night, always the cheapest, is what bars are compared on."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One colour of a stacked chart: the energy of a zone, or of another part, by category, Wh."""

    zone: StrEnum
    """What it is: a member of an enumeration that `word` names and the style sheet colours."""
    values_wh: tuple[int, ...]
    line: bool = False
    """Drawn as a line over the bars, and not part of their sum."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Stacked bars of energy by zone or part, with the same figures as a table under them."""

    name: str
    title: str
    categories: tuple[str, ...]
    """As people read them, one a bar."""
    category_title: str
    stacks: tuple[Stack, ...]
    empty: str = ""

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing to draw."""
        return not any(any(stack.values_wh) for stack in self.stacks)

    @property
    def summed(self) -> bool:
        """Say whether the bars have more than one part."""
        return sum(not stack.line for stack in self.stacks) > 1

    @property
    def totals_wh(self) -> tuple[int, ...]:
        """The sum of each bar."""
        return tuple(
            sum(stack.values_wh[place] for stack in self.stacks if not stack.line)
            for place in range(len(self.categories))
        )

    def data(self) -> dict[str, Any]:
        """Return what the page's script draws from; energy in whole Wh."""
        return {
            "title": translate(self.title),
            "categories": list(self.categories),
            "unit": translate("kWh"),
            "total": translate("Total"),
            "series": [
                {
                    "name": translate(word(stack.zone)),
                    "zone": str(stack.zone),
                    "values": list(stack.values_wh),
                    "line": stack.line,
                }
                for stack in self.stacks
            ],
        }
