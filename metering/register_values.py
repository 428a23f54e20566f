"""Totals of registers as people write them, and back: exact, in the unit that a meter shows."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from metering.registers import UNIT_OF
from metering.registry.places import Commodity

DECIMALS: Final = {commodity: len(str(unit)) - 1 for commodity, unit in UNIT_OF.items()}
"""Whole Wh are three decimals of a kWh, whole kcal six of a Gcal, whole litres three of a m3."""

_TOTAL = re.compile(r"(\d{1,9})(?:[.,](\d{1,6}))?")


def parse_total(text: str, commodity: Commodity) -> int:
    """Return what a register shows as whole Wh, kcal or litres; refuse finer than that.

    >>> parse_total("8 000,5", Commodity.ELECTRICITY)
    8000500
    """
    found = _TOTAL.fullmatch("".join(text.split()))
    fraction = (found[2] or "").rstrip("0") if found else ""
    if found is None or len(fraction) > DECIMALS[commodity]:
        raise Invalid(
            where=mark("reading"),
            problem=mark("%(text)s is not a reading such as 12345 or 12345.6"),
            text=repr(text),
        )
    return int(found[1] + fraction.ljust(DECIMALS[commodity], "0"))


def parse_totals(parts: Iterable[str], commodity: Commodity) -> dict[Zone, int]:
    """Read `day=8000.5 night=2500`; a lone number is the total of a meter without zones.

    >>> parse_totals(["day=1", "night=2.5"], Commodity.ELECTRICITY)
    {<Zone.DAY: 'day'>: 1000, <Zone.NIGHT: 'night'>: 2500}
    """
    found: dict[Zone, int] = {}
    for part in parts:
        name, equals, value = part.rpartition("=")
        if name not in set(Zone) and equals:
            raise Invalid(
                where=mark("reading"),
                problem=mark("%(name)s is not a zone: %(zones)s"),
                name=repr(name),
                zones=", ".join(Zone),
            )
        zone = Zone(name) if equals else Zone.ALL
        if zone in found:
            raise Invalid(
                where=mark("reading"), problem=mark("the zone %(zone)s comes twice"), zone=str(zone)
            )
        found[zone] = parse_total(value, commodity)
    return found


def total_text(value: int, commodity: Commodity) -> str:
    """Return what a register shows, exactly, without zeros that say nothing.

    >>> total_text(8_000_500, Commodity.COLD_WATER)
    '8000.5'
    """
    text = f"{Decimal(value).scaleb(-DECIMALS[commodity]):f}"
    return text.rstrip("0").rstrip(".")
