"""What the energy of accounts comes to on their plan and on others, or why it is not priced."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from billing.month.energy.grids import PlanEnergy
from kilokassa.core.ids import TariffPlanId
from tariffs.lines import CannotRate, LineColumns


@dataclass(frozen=True, slots=True, eq=False)
class Priced:
    """What the energy of some accounts comes to on their plan, and on those on offer."""

    own: LineColumns
    others: Mapping[TariffPlanId, LineColumns]
    """Without the plans that cannot price it: those are no alternative."""


def priced_alike(of_plan: PlanEnergy) -> Iterator[tuple[PlanEnergy, Priced | CannotRate]]:
    """Yield the accounts that are priced together, or not for the same reason.

    What is refused of a population may be refused for one account's sake: then each is asked alone,
    so that what one lacks stops nobody else.
    """
    outcome, unpriced = _attempt(of_plan)
    if unpriced and len(of_plan.owners) > 1:
        places_by_reasons: dict[tuple[str, ...], list[int]] = {}
        for place in range(len(of_plan.owners)):
            alone = of_plan.of_some([place])
            reasons = tuple(
                _reason(alone if plan_id == alone.plan_id else alone.offers[plan_id])
                for plan_id in unpriced
            )
            places_by_reasons.setdefault(reasons, []).append(place)
        if len(places_by_reasons) > 1:
            for places in places_by_reasons.values():
                yield from priced_alike(of_plan.of_some(places))
            return
    yield of_plan, outcome


def _attempt(of_plan: PlanEnergy) -> tuple[Priced | CannotRate, list[TariffPlanId]]:
    """Return what accounts come to, or why not, and the plans that refused to price it."""
    try:
        own = of_plan.rated()
    except CannotRate as refusal:
        return refusal, [of_plan.plan_id]
    promised = promised_by(of_plan)
    others: dict[TariffPlanId, LineColumns] = {}
    unpriced: list[TariffPlanId] = []
    broken: CannotRate | None = None
    for plan_id, offer in of_plan.offers.items():
        try:
            others[plan_id] = offer.rated()
        except CannotRate as refusal:
            unpriced.append(plan_id)
            # What cannot be priced is no alternative; only a promise may not be left open.
            if offer.versions[-1][1].plan_code == promised:
                broken = refusal
    return broken or Priced(own, others), unpriced


def _reason(of_plan: PlanEnergy) -> str:
    try:
        of_plan.rated()
    except CannotRate as refusal:
        return str(refusal)
    return ""


def promised_by(of_plan: PlanEnergy) -> str | None:
    """Return the code of the plan that the accounts' own promises never to cost more than."""
    promise = of_plan.versions[-1][1].charges.guarantee
    return None if promise is None else promise.plan_code
