"""A house's heat of a month shared among its flats: exact fractions, whole units at the last step.

What each flat should get is a fraction; nobody pays a fraction of a kopeck. Each is rounded down
and the units that are left go, one each, to the largest remainders, so that the parts sum to the
whole. Between equal remainders the larger flat goes first, then the one with the larger share, and
between flats that are equal in all this the one with the lower id: neither the order of the flats
nor the numbers on their doors move a kopeck.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import floor
from typing import Final

from heating.statutory import common_heat, own_by_area, own_by_readings
from kilokassa.core.digest import digest_value
from kilokassa.core.ids import PremisesId
from kilokassa.core.money import RATE_SCALE, half_up_ratio
from kilokassa.core.quantity import KCAL_PER_GCAL
from kilokassa.core.text import mark

MINOR_PER_UNIT: Final = 100


class HeatFinding(StrEnum):
    """What a person should look at; the shares are right all the same, and sum to the house's."""

    NEGATIVE_REMAINDER = "negative_remainder"
    """The flats' own heat is more than the house meter shows."""
    NEGATIVE_SHARE = "negative_share"
    """A flat's part of that remainder exceeds its own heat, so that it would be paid for heat."""
    NOBODY_CONNECTED = "nobody_connected"
    """No flat has house radiators, yet the house took heat: all of it is common."""


FINDING_SENTENCES: Final = {
    HeatFinding.NEGATIVE_REMAINDER: mark(
        "The flats' meters show more heat than the house meter; the difference was taken off by "
        "area."
    ),
    HeatFinding.NEGATIVE_SHARE: mark(
        "A flat's share of heat is negative; check the meters of the house."
    ),
    HeatFinding.NOBODY_CONNECTED: mark(
        "No flat of the house has radiators of the house, but its meter shows heat."
    ),
}
"""What each finding says, for `kilokassa.core.text.gettext`."""


@dataclass(frozen=True, slots=True)
class HeatedFlat:
    """One premises of the house, billed or not: who is left out would be paid for by the others."""

    premises_id: PremisesId
    area_dm2: int
    connected: bool = True
    """False for a flat without house radiators, by design or lawfully on its own heat."""
    metered_kcal: int | None = None
    """What its own heat meter measured in the month; None where it has none or it failed."""

    def __post_init__(self) -> None:
        if self.area_dm2 <= 0:
            raise ValueError(f"a flat has an area: {self!r}")
        if self.metered_kcal is not None and self.metered_kcal < 0:
            raise ValueError(f"a negative reading is a fault, never heat: {self!r}")


@dataclass(frozen=True, slots=True)
class HouseMonth:
    """All that sharing a house's month needs."""

    heat_kcal: int
    """What the house meter measured."""
    rate_scaled: int
    """Millionths of a rouble per Gcal, VAT included."""
    flats: tuple[HeatedFlat, ...]
    common_area_dm2: int = 0

    def __post_init__(self) -> None:
        if self.heat_kcal < 0 or self.rate_scaled < 0 or self.common_area_dm2 < 0:
            raise ValueError(
                "heat, rate and common area are not negative: "
                f"{self.heat_kcal}, {self.rate_scaled}, {self.common_area_dm2}"
            )
        if not self.flats:
            raise ValueError("a house without flats cannot share its heat")
        if len({flat.premises_id for flat in self.flats}) != len(self.flats):
            raise ValueError("a flat is named twice")

    @property
    def amount_minor(self) -> int:
        """What the house's heat costs together, rounded once, halves up."""
        return half_up_ratio(
            self.heat_kcal * self.rate_scaled * MINOR_PER_UNIT, KCAL_PER_GCAL * RATE_SCALE
        )

    @property
    def digest(self) -> str:
        """SHA-256 of everything the shares are computed from, the order of the flats apart."""
        return digest_value(
            {
                "heat_kcal": self.heat_kcal,
                "rate_scaled": self.rate_scaled,
                "common_area_dm2": self.common_area_dm2,
                "flats": sorted(
                    [flat.premises_id, flat.area_dm2, flat.connected, flat.metered_kcal]
                    for flat in self.flats
                ),
            }
        )


@dataclass(frozen=True, slots=True)
class FlatShare:
    """One flat's part of the house's month."""

    premises_id: PremisesId
    own_kcal: int
    """Heat of the flat itself; the rest of `heat_kcal` is its part of the common heat."""
    heat_kcal: int
    amount_minor: int

    @property
    def common_kcal(self) -> int:
        """The flat's part of the heat that is nobody's own; below 0 with a negative remainder."""
        return self.heat_kcal - self.own_kcal


@dataclass(frozen=True, slots=True)
class HouseShares:
    """The flats' parts, by id; they sum to the house's, or cannot be built."""

    heat_kcal: int
    amount_minor: int
    shares: tuple[FlatShare, ...]
    findings: tuple[HeatFinding, ...]
    input_digest: str

    def __post_init__(self) -> None:
        if sum(share.heat_kcal for share in self.shares) != self.heat_kcal:
            raise ValueError("the flats' heat does not sum to the house's")
        if sum(share.amount_minor for share in self.shares) != self.amount_minor:
            raise ValueError("the flats' amounts do not sum to the house's")

    @property
    def remainder_negative(self) -> bool:
        """Say whether the flats' own heat exceeds the house's: to be looked into, never hidden."""
        return HeatFinding.NEGATIVE_REMAINDER in self.findings


def share_building_month(house: HouseMonth) -> HouseShares:
    """Share a house's heat and its cost among the flats, to the kilocalorie and to the kopeck.

    Pᵢ = (Vᵢ + Sᵢ · (VД - ΣV) / Sоб) · T, see `heating.statutory`. The house's cost is rounded once;
    a flat's amount is its exact share rounded down or up to a whole kopeck, so it may differ by one
    from its rounded kilocalories times the rate.
    """
    areas = [flat.area_dm2 for flat in house.flats]
    own, findings = _own_heat(house, areas)
    common = common_heat(house.heat_kcal, own, areas)
    exact_kcal = [mine + shared for mine, shared in zip(own, common, strict=True)]
    if sum(own) > house.heat_kcal:
        findings = (*findings, HeatFinding.NEGATIVE_REMAINDER)
    if min(exact_kcal) < 0:
        findings = (*findings, HeatFinding.NEGATIVE_SHARE)
    kopecks_a_kcal = Fraction(house.rate_scaled * MINOR_PER_UNIT, KCAL_PER_GCAL * RATE_SCALE)
    order = sorted(
        range(len(house.flats)),
        key=lambda n: (-areas[n], -exact_kcal[n], house.flats[n].premises_id),
    )
    heat_kcal = _whole(exact_kcal, house.heat_kcal, order)
    amounts_minor = _whole(
        [kcal * kopecks_a_kcal for kcal in exact_kcal], house.amount_minor, order
    )
    shares = [
        FlatShare(flat.premises_id, floor(mine), kcal, amount_minor)
        for flat, mine, kcal, amount_minor in zip(
            house.flats, own, heat_kcal, amounts_minor, strict=True
        )
    ]
    return HouseShares(
        heat_kcal=house.heat_kcal,
        amount_minor=house.amount_minor,
        shares=tuple(sorted(shares, key=lambda share: share.premises_id)),
        findings=findings,
        input_digest=house.digest,
    )


def _own_heat(
    house: HouseMonth, areas: Sequence[int]
) -> tuple[tuple[Fraction, ...], tuple[HeatFinding, ...]]:
    connected = [flat.connected for flat in house.flats]
    if not any(connected):
        found = (HeatFinding.NOBODY_CONNECTED,) if house.heat_kcal else ()
        return tuple(Fraction() for _ in areas), found
    metered = [flat.metered_kcal if flat.connected else None for flat in house.flats]
    if all(reading is None for reading in metered):
        return own_by_area(house.heat_kcal, areas, connected, house.common_area_dm2), ()
    return own_by_readings(metered, areas, connected), ()


def _whole(exact: Sequence[Fraction], total: int, order: Sequence[int]) -> tuple[int, ...]:
    """Return `exact` as whole numbers that sum to `total`, by largest remainder.

    Beside `kilokassa.core.apportion` because these are the very shares, which may be negative, and
    not weights. `total` is the sum of `exact` rounded half up, so what is left to hand out lies
    between none and one a part. `order` says who comes first among equal remainders.
    """
    parts = [floor(value) for value in exact]
    left_over = total - sum(parts)
    assert 0 <= left_over <= len(parts), (left_over, len(parts))
    by_remainder = sorted(order, key=lambda n: parts[n] - exact[n])
    for n in by_remainder[:left_over]:
        parts[n] += 1
    return tuple(parts)
