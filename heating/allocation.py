"""Sharing a house's heat between its flats by the one shape that all statutory cases have.

    Pi = (Vi + Si * (VД - ΣVi) / Sоб) * Tт

where Vi is what a flat is held to have used, Si its area, VД the house's heat, Sоб the area of all
flats and Tт the price (Rules of ПП РФ 354 of 06.05.2011, annex 2, formulas 3 and 3(6), as two public
calculators and retailers' pages give them; the text of the act itself was not read). Since the parts
sum to VД·Tт, the house's amount is rounded once and shared out by largest remainder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Final

from kilokassa.core.apportion import apportion
from kilokassa.core.money import RATE_SCALE, half_up_ratio
from kilokassa.core.quantity import KCAL_PER_GCAL

MINOR_DIVISOR: Final = KCAL_PER_GCAL * RATE_SCALE // 100
"""Kilocalories times a scaled rate, divided by this, is kopecks."""


@dataclass(frozen=True, slots=True)
class HeatedFlat:
    """A flat as the sharing sees it; `metered_kcal` where it has a heat meter of its own."""

    premises_id: int
    area_dm2: int
    connected: bool = True
    """False where heating was legally taken out: it uses none, and still pays the common share."""
    metered_kcal: int | None = None

    def __post_init__(self) -> None:
        if self.area_dm2 <= 0:
            raise ValueError(f"a flat has an area: {self!r}")
        if self.metered_kcal is not None and self.metered_kcal < 0:
            raise ValueError(f"a heat meter does not run backwards: {self!r}")


@dataclass(frozen=True, slots=True)
class HouseMonth:
    """A house's heat of a month and who shares it."""

    heat_kcal: int
    rate_scaled: int
    """Millionths of a rouble per Gcal."""
    flats: tuple[HeatedFlat, ...]
    common_area_dm2: int = 0

    def __post_init__(self) -> None:
        if self.heat_kcal < 0 or not self.flats:
            raise ValueError("a house has flats, and heat that is not negative")


@dataclass(frozen=True, slots=True)
class FlatShare:
    """What one flat is held to have used, and what it costs."""

    premises_id: int
    heat_kcal: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class HouseShares:
    """The shares of a house's month; they sum to its heat and to its amount."""

    amount_minor: int
    shares: tuple[FlatShare, ...]
    remainder_negative: bool
    """The flats' own volumes exceed the house's: to be looked into, never hidden."""

    def __post_init__(self) -> None:
        assert sum(share.amount_minor for share in self.shares) == self.amount_minor


def share_house_month(house: HouseMonth) -> HouseShares:
    """Share a house's heat and its cost, exactly to the kilocalorie and the kopeck."""
    own = individual_volumes(house)
    volumes = total_volumes(house, own)
    # The order decides who gets an odd kopeck among equals: by area, then by the row's own id, so
    # that giving a flat another number changes nothing.
    order = sorted(
        range(len(house.flats)),
        key=lambda i: (-house.flats[i].area_dm2, house.flats[i].premises_id),
    )
    weights = _whole([max(volumes[i], Fraction(0)) for i in order])
    if not any(weights):
        weights = [house.flats[i].area_dm2 for i in order]
    amount_minor = half_up_ratio(house.heat_kcal * house.rate_scaled, MINOR_DIVISOR)
    kcal = apportion(house.heat_kcal, weights)
    money = apportion(amount_minor, weights)
    shares = [
        FlatShare(house.flats[i].premises_id, kcal[place], money[place])
        for place, i in enumerate(order)
    ]
    return HouseShares(
        amount_minor=amount_minor,
        shares=tuple(sorted(shares, key=lambda share: share.premises_id)),
        remainder_negative=house.heat_kcal < sum(own),
    )


def individual_volumes(house: HouseMonth) -> tuple[Fraction, ...]:
    """Return Vi of each flat in kcal: its reading, its share by area, or nothing.

    No flat metered: Si·VД/(Sоб-Sинд+Sои). Some metered: Si·ΣVипу/ΣSипу for the others.
    """
    metered = [flat for flat in house.flats if flat.metered_kcal is not None and flat.connected]
    if metered:
        by_area = Fraction(
            sum(flat.metered_kcal or 0 for flat in metered), sum(flat.area_dm2 for flat in metered)
        )
    else:
        heated = sum(flat.area_dm2 for flat in house.flats if flat.connected)
        whole = heated + house.common_area_dm2
        by_area = Fraction(house.heat_kcal, whole) if whole else Fraction(0)
    return tuple(
        Fraction(0)
        if not flat.connected
        else Fraction(flat.metered_kcal)
        if flat.metered_kcal is not None
        else flat.area_dm2 * by_area
        for flat in house.flats
    )


def total_volumes(house: HouseMonth, own: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Return each flat's own volume and its share of the remainder, in kcal; they sum to VД."""
    area = sum(flat.area_dm2 for flat in house.flats)
    remainder = house.heat_kcal - sum(own)
    return tuple(
        volume + Fraction(flat.area_dm2) * remainder / area
        for flat, volume in zip(house.flats, own, strict=True)
    )


def _whole(weights: Sequence[Fraction]) -> list[int]:
    scale = lcm(*(weight.denominator for weight in weights))
    return [int(weight * scale) for weight in weights]
