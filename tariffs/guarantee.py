"""The guarantee of a tariff: what the same energy would have cost, what is given back.

Compared by account and billing period, VAT included. The retailer's own discounts are left out on
both sides: a plan keeps its promise by its rates, and a discount is a present on top of it.
Statutory concessions count, since the resident has them under every plan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from kilokassa.core.period import Period
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from tariffs.lines import (
    CannotRate,
    ChargeKind,
    Columns,
    LineColumns,
    LineSpec,
    Unit,
    VersionInForce,
    first_day_key,
)

NO_ALTERNATIVE: Final = "-"


@dataclass(frozen=True, slots=True, eq=False)
class Alternatives:
    """What each billing period would have cost on the plans that an account had the right to."""

    own_minor: Columns
    """Kopecks under the plan itself: (accounts, billing periods)."""
    cost_minor: Mapping[str, Columns]
    """The same under each alternative, by the code of its plan."""

    def cheapest(self, account: int, billing: int) -> str:
        """Return the alternative that would have cost least, the first by code among equals."""
        found = min(
            ((int(cost[account, billing]), code) for code, cost in self.cost_minor.items()),
            default=(0, NO_ALTERNATIVE),
        )
        return found[1]


def alternatives_of(
    own: LineColumns,
    own_versions: Sequence[VersionInForce],
    others: Mapping[str, tuple[LineColumns, Sequence[VersionInForce]]],
    billings: int,
) -> Alternatives:
    """Return the costs to compare, from the lines that `rate_population` gave for each plan."""
    return Alternatives(
        cost_by_billing(own, own_versions, billings),
        {
            code: cost_by_billing(columns, versions, billings)
            for code, (columns, versions) in sorted(others.items())
        },
    )


def cost_by_billing(
    columns: LineColumns, versions: Sequence[VersionInForce], billings: int
) -> Columns:
    """Return what lines come to by billing period, without the retailer's own discounts."""
    presents = {
        (version.id, one.code)
        for _, version in versions
        for one in version.charges.concessions
        if one.everyone
    }
    cost = np.zeros((len(columns.amount_minor), billings), dtype=np.int64)
    for number, spec in enumerate(columns.specs):
        present = spec.kind is ChargeKind.CONCESSION and (spec.version_id, spec.code) in presents
        if not present and spec.kind is not ChargeKind.GUARANTEE:
            cost[:, spec.billing] += columns.amount_minor[:, number]
    return cost


def with_guarantee(
    columns: LineColumns,
    versions: Sequence[VersionInForce],
    known: Alternatives,
    billings: Sequence[Period],
    *,
    closing: bool = True,
) -> LineColumns:
    """Return the lines with one more for each billing period that gives the difference back.

    A plan without a promise gets none. A period that still runs (the last one, unless `closing`)
    has none either: the promise is about the whole of it. Refuses where the plan that the promise
    names was not priced.
    """
    specs: list[LineSpec] = []
    given: list[Columns] = []
    over = len(billings) if closing else len(billings) - 1
    for number, billing in enumerate(billings[:over]):
        last = next(spec for spec in reversed(columns.specs) if spec.billing == number)
        version = _at_the_end(versions, billing)
        promise = version[1].charges.guarantee
        if promise is None:
            continue
        other = known.cost_minor.get(promise.plan_code)
        if other is None:
            raise CannotRate(
                plan=version[1].plan_code,
                problem=mark("what %(other)s would have cost is not known"),
                other=promise.plan_code,
            )
        difference = np.maximum(0, known.own_minor[:, number] - other[:, number])
        given.append(-difference)
        specs.append(
            LineSpec(
                zone=Zone.ALL,
                range_number=0,
                rate_scaled=1,
                period=billing,
                version_id=version[1].id,
                key=first_day_key(
                    f"{ChargeKind.GUARANTEE}:{promise.plan_code}", 0, version[1].valid_from
                ),
                kind=ChargeKind.GUARANTEE,
                code=promise.plan_code,
                unit=Unit.MINOR,
                divisor=1,
                billing=number,
                stretch=last.stretch,
            )
        )
    if not specs:
        return columns
    more = np.stack(given, axis=1)
    return LineColumns(
        (*columns.specs, *specs),
        np.concatenate([columns.energy_wh, np.zeros_like(more)], axis=1),
        np.concatenate([columns.amount_minor, more], axis=1),
        np.concatenate([columns.quantities, more], axis=1),
        columns.included,
    )


def _at_the_end(versions: Sequence[VersionInForce], billing: Period) -> VersionInForce:
    """Return the version that holds when a billing period ends: it is the one that promises."""
    holding = [one for one in versions if one[0].intersect(billing) is not None]
    return holding[-1]
