"""The file of consumption norms: text in, norms out; `docs/reference/norms-csv.md`."""

import csv
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import Final

from kilokassa.core.errors import Invalid
from kilokassa.core.quantity import KCAL_PER_GCAL, LITRES_PER_M3, WH_PER_KWH
from kilokassa.core.text import mark
from metering.estimation.methods import Norm
from metering.registry.places import Commodity

COLUMNS: Final = ("code", "commodity", "valid_from", "rooms", "persons", "quantity", "source")

_UNITS: Final[Mapping[Commodity, int]] = {
    Commodity.ELECTRICITY: WH_PER_KWH,
    Commodity.HEAT: KCAL_PER_GCAL,
    Commodity.HOT_WATER: LITRES_PER_M3,
    Commodity.COLD_WATER: LITRES_PER_M3,
}
_COUNT: Final = re.compile(r"([1-9][0-9]?\+?)?")
_QUANTITY: Final = re.compile(r"[0-9]{1,6}([.,][0-9]{1,9})?")


def packaged_norms() -> dict[Commodity, list[Norm]]:
    """Return the published norms that come with the product, as facts with their source."""
    return parse_norms((files("metering") / "rules" / "norms.csv").read_text("utf-8"))


def parse_norms(text: str) -> dict[Commodity, list[Norm]]:
    """Read norms by commodity; refuse the file whole, naming the line, where one is wrong.

    `quantity` is kWh, Gcal or cubic metres a person and month. `rooms` and `persons` are numbers
    such as `3` or `4+`; empty holds for however many.
    """
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("#")]
    delimiter = ";" if lines and ";" in lines[0] else ","
    rows = list(csv.reader(lines, delimiter=delimiter))
    if not rows or tuple(name.strip() for name in rows[0]) != COLUMNS:
        raise Invalid(
            where=mark("norms"),
            problem=mark("the first line must name the columns %(columns)s"),
            columns=", ".join(COLUMNS),
        )
    found: dict[Commodity, list[Norm]] = {}
    seen: set[tuple[object, ...]] = set()
    for number, row in enumerate(rows[1:], start=2):
        commodity, norm = _norm(row, number)
        key = (commodity, norm.code, norm.valid_from, norm.rooms, norm.persons)
        if key in seen:
            raise _wrong(number, mark("the same norm comes twice"))
        seen.add(key)
        found.setdefault(commodity, []).append(norm)
    return found


def _norm(row: list[str], number: int) -> tuple[Commodity, Norm]:
    if len(row) != len(COLUMNS):
        raise _wrong(number, mark("it has %(count)s fields"), count=len(row))
    code, commodity, valid_from, rooms, persons, quantity, source = (part.strip() for part in row)
    if not code:
        raise _wrong(number, mark("the code is empty"))
    if commodity not in set(Commodity):
        raise _wrong(number, mark("%(text)s is not a commodity"), text=repr(commodity))
    try:
        first_day = date.fromisoformat(valid_from)
    except ValueError:
        raise _wrong(number, mark("%(text)s is not a day"), text=repr(valid_from)) from None
    if not _QUANTITY.fullmatch(quantity):
        raise _wrong(number, mark("%(text)s is not a quantity"), text=repr(quantity))
    whole = Decimal(quantity.replace(",", ".")) * _UNITS[Commodity(commodity)]
    if whole != whole.to_integral_value():
        raise _wrong(number, mark("%(text)s is finer than the unit"), text=repr(quantity))
    norm = Norm(code, first_day, _count(rooms, number), _count(persons, number), int(whole), source)
    return Commodity(commodity), norm


def _count(text: str, number: int) -> int:
    if not _COUNT.fullmatch(text):
        raise _wrong(number, mark("%(text)s is not a number such as 3 or 4+"), text=repr(text))
    digits = text.rstrip("+")
    return int(digits) if digits else 0


def _wrong(number: int, problem: str, **values: object) -> Invalid:
    return Invalid(where=str(number), problem=problem, **values)
