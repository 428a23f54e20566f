"""Which facts of an account its tariff asks for: nothing else is gathered."""

from collections.abc import Iterable
from dataclasses import dataclass

from tariffs.charges import CapacityBasis, CapacityCharge, FixedPer
from tariffs.plans import RangePeriod, TariffVersion


@dataclass(frozen=True, slots=True)
class Needs:
    """What the rating of some versions has to know beside energy."""

    area: bool = False
    persons: bool = False
    contracted: bool = False
    common_area: bool = False
    export: bool = False
    counted_this_year: bool = False
    """Of a ladder that is climbed all year: what its ranges hold already."""
    entitlements: frozenset[str] = frozenset()
    series: frozenset[str] = frozenset()
    hour_lists: frozenset[str] = frozenset()
    ratchet: CapacityCharge | None = None
    """The charge for which the demand of months before counts, the furthest back of several.

    None where they look at different hours: one demand cannot stand for both, so it is not known
    and the plan is refused.
    """


def needs_of(versions: Iterable[TariffVersion]) -> Needs | None:
    """Return what versions need to know; None where energy alone decides."""
    known = tuple(versions)
    plain = all(
        not version.charges.beyond_energy
        and version.norm is None
        and version.range_period is not RangePeriod.YEAR
        for version in known
    )
    if plain:
        return None
    charges = [version.charges for version in known]
    fixed = [one for each in charges for one in each.fixed]
    capacity = [one for each in charges for one in each.capacity]
    concessions = [one for each in charges for one in each.concessions]
    ratchets = [one for one in capacity if one.ratchet_months]
    norms = [version.norm for version in known if version.norm is not None]
    return Needs(
        area=any(one.per is FixedPer.M2 for one in fixed),
        persons=any(one.per is FixedPer.PERSON for one in fixed)
        or bool(norms)
        or any(one.limit_each_person for one in concessions),
        contracted=any(one.basis is CapacityBasis.CONTRACTED for one in capacity),
        common_area=any(norm.with_common_area for norm in norms),
        export=any(each.export is not None for each in charges),
        counted_this_year=any(version.range_period is RangePeriod.YEAR for version in known),
        entitlements=frozenset(one.code for one in concessions if not one.everyone),
        series=frozenset(each.hourly.series for each in charges if each.hourly is not None),
        hour_lists=frozenset(
            one.hours for one in capacity if one.basis is CapacityBasis.REGULATED_PEAKS
        ),
        ratchet=max(ratchets, key=lambda one: one.ratchet_months, default=None)
        if len({(one.windows, one.day_types) for one in ratchets}) == 1
        else None,
    )
