"""The statutory formulas of heat, exact: fractions in, fractions out, no rounding inside.

Symbols, as the rules on utility services (Decree 354 of 06.05.2011) use them: Sᵢ area of a flat,
Sоб area of all flats and non-residential premises, Sои area of common premises, Sинд area of
premises without house radiators, VД heat of the house, ΣV the flats' own heat together, N norm in
Gcal a square metre, K the heating months over twelve.

Every case is one shape: a flat pays for its own heat and for its part of what nobody's is,

    Pᵢ = (Vᵢ + Sᵢ · (VД - ΣV) / Sоб) · T

and only the way to Vᵢ differs. The shape conserves: ΣPᵢ = VД · T. ΣV is never rounded: a public
calculator that rounded it to two digits moved one flat by 0.19 roubles. The ways are named by what
they mean, since the numbers of the formulas changed with the wordings of the act.

Areas may be in any one unit and heat in any one unit; both are exact numbers.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

Exact = int | Fraction
"""A whole number or a fraction; a `Decimal` is turned into one with `Fraction(value)`."""

NOTHING: Final = Fraction(0)


def own_by_area(
    house: Exact, areas: Sequence[Exact], connected: Sequence[bool], common_area: Exact
) -> tuple[Fraction, ...]:
    """Return each flat's own heat where the house has a meter and the flats have none.

    Vᵢ = Sᵢ · VД / (Sоб - Sинд + Sои), and Vᵢ = 0 for a flat without house radiators.
    """
    heated = _sum_where(areas, connected) + common_area
    return tuple(
        Fraction(area) * house / heated if joined else NOTHING
        for area, joined in zip(areas, connected, strict=True)
    )


def own_by_readings(
    readings: Sequence[Exact | None], areas: Sequence[Exact], connected: Sequence[bool]
) -> tuple[Fraction, ...]:
    """Return each flat's own heat where some flats, or all, have a meter of their own.

    Vᵢ is the reading; a flat without one takes the mean of the metered: Vᵢ = Sᵢ · ΣVизм / ΣSизм.
    A flat without house radiators has none, whatever its meter shows.
    """
    measured = [
        reading is not None and joined for reading, joined in zip(readings, connected, strict=True)
    ]
    area = _sum_where(areas, measured)
    if not area:
        raise ValueError("no connected flat has a reading: share by area instead")
    total = _sum_where([reading or 0 for reading in readings], measured)
    mean = total / area
    return tuple(
        NOTHING if not joined else mean * own_area if reading is None else Fraction(reading)
        for reading, own_area, joined in zip(readings, areas, connected, strict=True)
    )


def own_by_norm(
    norm: Exact, season: Exact, areas: Sequence[Exact], connected: Sequence[bool], common: Exact
) -> tuple[Fraction, ...]:
    """Return each flat's own heat where the house has no meter; `common` is the common area.

    Vᵢ = Sᵢ · N · K · (Sоб - Sинд) / (Sоб - Sинд + Sои), and Vᵢ = 0 for a flat without radiators:
    the area rule, over a house that took N · K · (Sоб - Sинд).
    """
    return own_by_area(house_by_norm(norm, season, areas, connected), areas, connected, common)


def house_by_norm(
    norm: Exact, season: Exact, areas: Sequence[Exact], connected: Sequence[bool]
) -> Fraction:
    """Return what a house without a meter is taken to have used: N · K · (Sоб - Sинд)."""
    return _sum_where(areas, connected) * norm * season


def common_heat(house: Exact, own: Sequence[Exact], areas: Sequence[Exact]) -> tuple[Fraction, ...]:
    """Return each flat's part of the heat that is nobody's own: Sᵢ · (VД - ΣV) / Sоб.

    It is negative where the flats' own heat is more than the house's: what was read does not settle
    that case, so the caller says so and still conserves.
    """
    left = Fraction(house) - sum((Fraction(value) for value in own), NOTHING)
    whole = sum((Fraction(area) for area in areas), NOTHING)
    return tuple(area * left / whole for area in areas)


def _sum_where(values: Sequence[Exact], chosen: Sequence[bool]) -> Fraction:
    return sum(
        (Fraction(value) for value, taken in zip(values, chosen, strict=True) if taken), NOTHING
    )
