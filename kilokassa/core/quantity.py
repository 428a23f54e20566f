"""Whole quantities and their named conversions."""

from decimal import Decimal
from typing import Final

WH_PER_KWH: Final = 1000
KCAL_PER_GCAL: Final = 1_000_000
LITRES_PER_M3: Final = 1000

GJ_PER_GCAL: Final = Decimal("4.1868")
"""Gigajoules in a gigacalorie: the International Table calorie is 4.1868 J by definition.

Fifth International Conference on the Properties of Steam, London, 1956.
"""


def kwh(energy_wh: int) -> Decimal:
    """Return watt-hours as kilowatt-hours, exactly.

    >>> kwh(1500)
    Decimal('1.500')
    """
    return Decimal(energy_wh).scaleb(-3)


def gcal(heat_kcal: int) -> Decimal:
    """Return kilocalories as gigacalories, exactly."""
    return Decimal(heat_kcal).scaleb(-6)
