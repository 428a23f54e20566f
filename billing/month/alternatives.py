"""What the same consumption would have cost on other plans, as values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tariffs.guarantee import Alternatives
from tariffs.lines import ChargeKind, ChargeLine, LineColumns, VersionInForce
from tariffs.plans import TariffVersion


@dataclass(frozen=True, slots=True)
class PlanCost:
    """What a month would have cost on a plan, kopecks, VAT included, before discounts."""

    code: str
    name: str
    name_en: str
    cost_minor: int
    guaranteed: bool = False
    """Says that the account's own plan promises never to cost more."""
    own: bool = False


def has_benefit(versions: Sequence[VersionInForce]) -> bool:
    """Say whether a plan makes a promise or gives a discount, which its documents show to pay."""
    return any(
        version.charges.guarantee is not None
        or any(one.everyone for one in version.charges.concessions)
        for _, version in versions
    )


def costs_of(
    known: Alternatives,
    account: int,
    own: TariffVersion,
    others: Mapping[str, tuple[LineColumns, Sequence[VersionInForce]]],
    promised: str | None,
) -> tuple[PlanCost, ...]:
    """Return what one account would have paid, on its own plan and on the others."""
    paid = int(known.own_minor[account, 0])
    costs = [PlanCost(own.plan_code, own.name, own.name_en, paid, own=True)]
    for code, cost_minor in known.cost_minor.items():
        version = others[code][1][-1][1]
        costs.append(
            PlanCost(
                code,
                version.name,
                version.name_en,
                int(cost_minor[account, 0]),
                guaranteed=code == promised,
            )
        )
    return tuple(costs)


def as_columns(lines: Sequence[ChargeLine]) -> LineColumns:
    """Return the lines of one account as the columns of a population of one."""
    quantity = np.array([[line.quantity_wh for line in lines]], dtype=np.int64)
    amount = np.array([[line.amount_minor for line in lines]], dtype=np.int64)
    energy = [line.quantity_wh if line.spec.kind is ChargeKind.ENERGY else 0 for line in lines]
    return LineColumns(
        tuple(line.spec for line in lines), np.array([energy], dtype=np.int64), amount, quantity
    )


def together(parts: Sequence[Sequence[PlanCost]], beside_minor: int = 0) -> tuple[PlanCost, ...]:
    """Add up what plans would have cost over the stays of a month; own first, then the cheapest.

    A plan that could not price one of the stays is left out: a part is no comparison. What the
    stays on plans that are compared with nothing came to, `beside_minor`, is the same for all.
    """
    known = Counter(cost.code for part in parts for cost in part)
    sums: dict[str, PlanCost] = {}
    for cost in (cost for part in parts for cost in part if known[cost.code] == len(parts)):
        before = sums.get(cost.code)
        sums[cost.code] = (
            cost
            if before is None
            else replace(
                cost,
                cost_minor=before.cost_minor + cost.cost_minor,
                own=before.own or cost.own,
                guaranteed=before.guaranteed or cost.guaranteed,
            )
        )
    whole = (replace(one, cost_minor=one.cost_minor + beside_minor) for one in sums.values())
    return tuple(sorted(whole, key=lambda one: (not one.own, one.cost_minor, one.code)))
