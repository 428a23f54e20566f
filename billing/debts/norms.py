"""What a month of a service costs by its norm, whatever the meter says, at today's price; pure.

Two such months are what a debt has to exceed (ПП РФ от 06.05.2011 № 354, п. 118). Where a plan has
several prices the highest is taken: the doubt serves the resident. None is not known.
"""

from collections.abc import Iterable
from datetime import date
from typing import Final

from kilokassa.core.money import half_up_ratio
from metering.estimation.methods import Norm, norm_in_force
from tariffs.plans import TariffVersion
from tariffs.services.prices import ServicePrice, amount_on

_THOUSANDTHS: Final = 10_000_000
"""Wh by millionths of a rouble a kWh, or litres by those a m3, in a kopeck."""

_KCAL: Final = 10_000_000_000
"""Kcal by millionths of a rouble a Gcal, in a kopeck."""


def norm_quantity(
    norms: Iterable[Norm], code: str, day: date, *, rooms: int | None, persons: int
) -> int | None:
    """Return the volume of a month by the norm, in whole Wh or litres; an empty flat counts one."""
    counted = max(1, persons)
    norm = norm_in_force(norms, code, day, rooms=rooms, persons=counted) if code else None
    return None if norm is None else norm.quantity * counted


def electricity_month_minor(
    version: TariffVersion, energy_wh: int, day: date, persons: int
) -> int | None:
    """Return what a month of `energy_wh` costs at the dearest rate of the ranges it reaches."""
    try:
        rates = version.rates_on(day).rates_scaled
    except ValueError:
        return None
    borders = version.range_borders_wh
    if version.norm is not None:
        borders = version.norm.borders_wh(max(1, persons))
    reached = 1 + sum(border < energy_wh for border in borders)
    dearest = max((rate for of_range in rates[:reached] for rate in of_range), default=0)
    amount_minor = half_up_ratio(energy_wh * dearest, _THOUSANDTHS)
    return amount_minor if amount_minor > 0 else None


def water_month_minor(price: ServicePrice, litres: int, day: date) -> int | None:
    """Return what a month of water costs, with the heat that warms it where it is warm."""
    if not price.amounts or price.amounts[0].valid_from > day:
        return None
    amount_minor = half_up_ratio(litres * amount_on(price.amounts, day), _THOUSANDTHS)
    if price.heating is not None:
        # A m3 is a thousand litres: the kcal are divided with the rest, so that they round once.
        heat = litres * price.heating.kcal_per_m3 * amount_on(price.heating.amounts, day)
        amount_minor += half_up_ratio(heat, 1000 * _KCAL)
    return amount_minor if amount_minor > 0 else None
