"""How charge lines are told, on paper and screen: what for, quantity, unit and rate."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.charges import NewLine
from billing.explanation.wording import CHARGES
from billing.models import LineUnit, Service
from kilokassa.core.money import rate_from_scaled
from kilokassa.core.text import Language, amount_text, gettext, mark, number_text
from tariffs.charges import PPM
from tariffs.lines import AMOUNT_DIVISOR, ChargeKind

SERVICES: Final[Mapping[Service, str]] = {
    Service.ELECTRICITY: mark("Electricity"),
    Service.HEAT: mark("Heating"),
    Service.COMMON_ELECTRICITY: mark("Electricity of common areas"),
    Service.COLD_WATER: mark("Cold water"),
    Service.HOT_WATER: mark("Hot water"),
    Service.DRAINAGE: mark("Drainage"),
    Service.HOUSING: mark("Upkeep of the house"),
}
ZONES: Final = {
    "peak": mark("peak zone"),
    "semi_peak": mark("semi-peak zone"),
    "day": mark("day zone"),
    "night": mark("night zone"),
    "all": mark("all day"),
}
_PLACES: Final[Mapping[LineUnit, int]] = {
    LineUnit.WH: 3,
    LineUnit.KCAL: 6,
    LineUnit.LITRE: 3,
    LineUnit.DM2: 2,
    LineUnit.W: 3,
    LineUnit.MINOR: 2,
}
"""Decimal places between the whole number at rest and the unit people read."""
UNITS: Final[Mapping[LineUnit, str]] = {
    LineUnit.WH: mark("kWh"),
    LineUnit.KCAL: mark("Gcal"),
    LineUnit.LITRE: mark("m³"),
    LineUnit.DM2: mark("m²"),
    LineUnit.W: mark("kW"),
    LineUnit.DAY: mark("days"),
    LineUnit.PERSON: mark("persons"),
    LineUnit.MINOR: "₽",
}
METERED: Final[Mapping[Service, LineUnit]] = {
    Service.ELECTRICITY: LineUnit.WH,
    Service.COMMON_ELECTRICITY: LineUnit.WH,
    Service.HEAT: LineUnit.KCAL,
    Service.COLD_WATER: LineUnit.LITRE,
    Service.HOT_WATER: LineUnit.LITRE,
    Service.DRAINAGE: LineUnit.LITRE,
}
"""What the meters of a service count."""
_NO_QUANTITY: Final = frozenset({ChargeKind.MINIMUM, ChargeKind.GUARANTEE})
"""Kinds of lines that are an amount and nothing else."""


def label_of(
    charge: ChargeKind, *, name: str, zone: str, range_number: int, language: Language
) -> str:
    """Return what a line is for within its service; empty for all of its energy."""
    if charge is ChargeKind.GUARANTEE and name:
        text = mark("Guarantee: never dearer than “%(plan)s”")
        return gettext(text, language) % {"plan": name}
    if name:
        return name
    parts = []
    if charge is ChargeKind.ENERGY:
        if zone and zone != "all":
            parts.append(gettext(ZONES[zone], language))
    elif charge is not ChargeKind.SERVICE:
        parts.append(gettext(CHARGES[charge], language))
    if range_number:
        parts.append(gettext(mark("range %(number)s"), language) % {"number": range_number})
    return ", ".join(parts)


def unit_of(unit: LineUnit, service: Service) -> LineUnit:
    """Return the unit of a line: heat of lines written before they had one is in kcal."""
    return LineUnit.KCAL if service is Service.HEAT and unit is LineUnit.WH else unit


def quantity_text(charge: ChargeKind, quantity: int, unit: LineUnit, language: Language) -> str:
    """Return a quantity exactly, so that the sum can be checked by hand; empty where none is."""
    if charge in _NO_QUANTITY:
        return ""
    if unit is LineUnit.MINOR:
        return amount_text(quantity, language, unit=False)
    value = Decimal(quantity).scaleb(-_PLACES.get(unit, 0))
    return number_text(value.normalize() + 0, language)


def unit_text(charge: ChargeKind, unit: LineUnit, language: Language) -> str:
    """Return the name of the unit of a line; empty where it has no quantity."""
    return "" if charge in _NO_QUANTITY else gettext(UNITS[unit], language)


def rate_text(charge: ChargeKind, rate_scaled: int, unit: LineUnit, language: Language) -> str:
    """Return the rate in roubles, or the share of an amount; empty where there is no one rate."""
    if charge in _NO_QUANTITY or (not rate_scaled and charge is ChargeKind.HOURLY):
        return ""
    if unit is LineUnit.MINOR:
        return f"{number_text(Decimal(rate_scaled).scaleb(-4), language)} %"
    rate = rate_from_scaled(rate_scaled)
    exponent = rate.as_tuple().exponent
    assert isinstance(exponent, int)
    return number_text(rate, language, decimals=max(2, -exponent))


def share_of(line: NewLine) -> tuple[int, int]:
    """Return which share of quantity x rate a line is: days of a month, or the whole of it.

    A factor of 0 says of hourly energy that others have it too, and is no share.
    """
    if not line.divisor or not line.factor or line.charge in _NO_QUANTITY:
        return 1, 1
    size = PPM if line.unit is LineUnit.MINOR else AMOUNT_DIVISOR * 10 ** _PLACES.get(line.unit, 0)
    share = Fraction(abs(line.factor) * size, line.divisor)
    return share.numerator, share.denominator


def share_text(share: tuple[int, int], language: Language) -> str:
    """Return how large a share of quantity x rate a line is, if it is not all of it."""
    if share == (1, 1):
        return ""
    return gettext(mark("× %(part)s/%(whole)s of the month"), language) % {
        "part": share[0],
        "whole": share[1],
    }
