"""From the columns of a rating to the charge lines of an account; values in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from billing.charges import NewLine, UsedEstimate, estimates_detail, key_within, with_name
from billing.models import LineUnit, Service
from kilokassa.core.ids import TariffPlanId, TariffVersionId
from tariffs.charges import CapacityCharge, Concession, FixedCharge, Tax
from tariffs.lines import ChargeKind, LineSpec, VersionInForce

Names = Mapping[tuple[TariffVersionId, ChargeKind, str], tuple[str, str]]
"""Russian and English names of the charges of versions, by version, kind and code."""


def names_of(
    versions: Sequence[VersionInForce],
    offers: Mapping[TariffPlanId, Sequence[VersionInForce]],
) -> Names:
    """Return the names that the documents of versions give their charges.

    A guarantee has the name of the plan that it promises not to cost more than.
    """
    plans = {of[-1][1].plan_code: of[-1][1] for of in offers.values()}
    found: dict[tuple[TariffVersionId, ChargeKind, str], tuple[str, str]] = {}
    for _, version in versions:
        charges = version.charges
        named: list[tuple[ChargeKind, FixedCharge | CapacityCharge | Tax | Concession]] = [
            *((ChargeKind.FIXED, one) for one in charges.fixed),
            *((ChargeKind.CAPACITY, one) for one in charges.capacity),
            *((ChargeKind.TAX, one) for one in charges.taxes),
            *((ChargeKind.CONCESSION, one) for one in charges.concessions),
        ]
        for kind, one in named:
            found[version.id, kind, one.code] = one.name, one.name_en
        if charges.guarantee is not None and charges.guarantee.plan_code in plans:
            other = plans[charges.guarantee.plan_code]
            key = version.id, ChargeKind.GUARANTEE, other.plan_code
            found[key] = other.name, other.name_en
    return found


def zoneless(versions: Sequence[VersionInForce]) -> frozenset[TariffVersionId]:
    """Return the versions that price energy by the hour alone: no line by zone has its Wh."""
    return frozenset(version.id for _, version in versions if not version.charges.energy_by_zone)


@dataclass(frozen=True, slots=True)
class LineContext:
    """What the lines of one account on one plan share."""

    names: Names
    zoneless: frozenset[TariffVersionId]
    own_day: date | None
    """First day of the stay that the lines are of; None for the account's first in the month."""
    input_digest: str
    estimates: tuple[UsedEstimate, ...] = ()


PLAIN_CONTEXT: Final = LineContext({}, frozenset(), None, "")
"""That of a line which is only looked at, and never kept."""


def new_line(
    context: LineContext, spec: LineSpec, quantity: int, amount_minor: int, estimated: int = 0
) -> NewLine:
    """Return the charge line of one column; `estimated` is the part that was not measured."""
    detail = estimates_detail(context.estimates) if estimated and context.estimates else ""
    names = context.names.get((spec.version_id, spec.kind, spec.code))
    if names is not None:
        detail = with_name(detail, *names)
    hourly = spec.kind is ChargeKind.HOURLY
    one_rate = spec.rate_scaled != 0 and not hourly
    counted_by_zone = hourly and spec.version_id not in context.zoneless
    return NewLine(
        service=Service.ELECTRICITY,
        key=key_within(spec.key, context.own_day),
        quantity=quantity,
        rate_scaled=spec.rate_scaled,
        amount_minor=amount_minor,
        period_start=spec.period.start,
        period_end=spec.period.end,
        input_digest=context.input_digest,
        tariff_version_id=spec.version_id,
        estimated=min(estimated, quantity) if quantity > 0 else 0,
        detail=detail,
        charge=spec.kind,
        code=spec.code,
        unit=LineUnit(spec.unit.value),
        factor=0 if counted_by_zone else spec.factor,
        divisor=spec.divisor if one_rate else 0,
    )
