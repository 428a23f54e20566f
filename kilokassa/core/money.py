"""Money: whole minor units at rest, `moneyed.Money` at the edges, one rounding by name."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from moneyed import RUB, Currency, Money

from kilokassa.core.errors import Invalid

RATE_SCALE: Final = 1_000_000
"""A rate at rest is a whole number of millionths of the currency's unit.

The payment document's form allows six decimals in a rate (form 43/пр, field rate).
"""

_AMOUNT = re.compile(r"(-?)(\d{1,15})(?:[.,](\d{1,2}))?")


def half_up(value: Decimal) -> int:
    """Round `value` to a whole number, halves away from zero.

    >>> half_up(Decimal("2.5")), half_up(Decimal("-2.5")), half_up(Decimal("2.4999"))
    (3, -3, 2)
    """
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


def half_up_ratio(numerator: int, denominator: int) -> int:
    """Return `numerator / denominator` as a whole number, halves away from zero.

    Exact for any size of number.

    >>> half_up_ratio(5, 2), half_up_ratio(-5, 2), half_up_ratio(7, 3)
    (3, -3, 2)
    """
    if denominator <= 0:
        raise ValueError(f"the denominator must be positive: {denominator!r}")
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -magnitude if numerator < 0 else magnitude


def payable(amount: Money) -> Money:
    """Round `amount` to whole minor units, halves away from zero."""
    unit = Decimal(1) / amount.currency.sub_unit
    return Money(amount.amount.quantize(unit, ROUND_HALF_UP), amount.currency)


def minor_units(amount: Money) -> int:
    """Return `amount` as whole minor units; refuse one that is not whole."""
    minor = amount.amount * amount.currency.sub_unit
    if minor != minor.to_integral_value():
        raise ValueError(f"not a whole number of minor units: {amount!r}")
    return int(minor)


def from_minor(amount_minor: int, currency: Currency = RUB) -> Money:
    """Return whole minor units as `Money`.

    >>> from_minor(-1050)
    Money('-10.50', 'RUB')
    """
    return Money(Decimal(amount_minor).scaleb(-2), currency)


def parse_minor(text: str, *, where: str = "amount") -> int:
    """Read an amount such as `1234.56` or `1234,5` as whole minor units.

    More than two decimals, a sign alone or a grouping mark are refused, never rounded.

    >>> parse_minor("1050.5"), parse_minor("-0,07")
    (105050, -7)
    """
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise Invalid(
            where=where,
            problem="%(text)s is not an amount with at most two decimals",
            text=repr(text),
        )
    sign, whole, fraction = found.groups()
    minor = int(whole) * 100 + int((fraction or "").ljust(2, "0"))
    return -minor if sign else minor


def scaled_rate(rate: Decimal) -> int:
    """Return a rate in roubles as a whole number of millionths; refuse a finer one.

    >>> scaled_rate(Decimal("6.11"))
    6110000
    """
    scaled = rate * RATE_SCALE
    if scaled != scaled.to_integral_value():
        raise ValueError(f"a rate has at most six decimals: {rate}")
    return int(scaled)


def rate_from_scaled(scaled: int) -> Decimal:
    """Return a rate at rest as a `Decimal` in roubles, without trailing zeros beyond kopecks.

    >>> rate_from_scaled(6110000), rate_from_scaled(5500000), rate_from_scaled(2072613000)
    (Decimal('6.11'), Decimal('5.50'), Decimal('2072.613'))
    """
    value = Decimal(scaled).scaleb(-6).normalize()
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return value.quantize(Decimal("0.01")) if exponent > -2 else value
