"""The energy of accounts by the plans that they have, with the facts which those plans ask for."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from billing.accounts import Stay
from billing.month.alternatives import has_benefit
from billing.month.energy.grids import (
    Asked,
    Energy,
    PlanEnergy,
    by_zone_alone,
    summed,
    versions_within,
)
from billing.month.energy.store import earlier_energy, given_wh
from billing.month.facts import highest_demand_w
from billing.month.needs import Needs, needs_of
from billing.month.store import plans_on_offer, stated_facts
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.ids import AccountId, TariffPlanId
from kilokassa.core.period import Period
from tariffs.lines import CannotRate
from tariffs.plans import RangeBasis
from tariffs.rating import rate_population
from tariffs.store import versions_in_force


def by_plan(
    session: Session, energy: Energy, asked: Asked, *, with_facts: bool = True
) -> Iterator[PlanEnergy]:
    """Yield the accounts together that have one plan over the same days."""
    rows_of: dict[tuple[Stay, date], dict[AccountId, list[int]]] = {}
    for row, owner in enumerate(energy.owners):
        for whole_stay in owner.stays:
            stay = whole_stay.within(asked.first, asked.end)
            if stay is not None:
                key = stay, whole_stay.end - timedelta(days=1)
                rows_of.setdefault(key, {}).setdefault(owner.id, []).append(row)
    matrix, zone = energy.matrix, energy.zone
    whole = Period(matrix.start, local_midnight(asked.end, zone))
    plan_ids = sorted({stay.plan_id for stay, _ in rows_of})
    in_force = versions_in_force(session, plan_ids, whole, zone, known_at=asked.known_at)
    for (stay, last_day), of_accounts in sorted(rows_of.items()):
        rows = list(of_accounts.values())
        owners = [energy.owners[of_one[0]] for of_one in rows]
        start = local_midnight(stay.first, zone)
        period = Period(start, local_midnight(stay.end, zone))
        step = timedelta(minutes=matrix.interval_min)
        columns = slice((start - matrix.start) // step, (period.end - matrix.start) // step)
        versions = versions_within(in_force.get(stay.plan_id, ()), period)
        of_plan = PlanEnergy(
            stay.plan_id,
            stay,
            last_day,
            zone,
            owners,
            rows,
            versions,
            summed(matrix.energy_wh, rows, columns),
            start,
            matrix.interval_min,
            columns,
        )
        if with_facts:
            of_plan = _with_facts(session, energy, of_plan, asked)
            if asked.closing and has_benefit(versions):
                of_plan = replace(of_plan, offers=_offers(session, energy, of_plan, asked))
        yield of_plan


def _offers(
    session: Session, energy: Energy, of_plan: PlanEnergy, asked: Asked
) -> dict[TariffPlanId, PlanEnergy]:
    """Return the same energy on each plan to compare with, each with the facts that it asks for."""
    on_offer = plans_on_offer(
        session, of_plan.plan_id, of_plan.period, of_plan.zone, known_at=asked.known_at
    )
    return {
        plan_id: _with_facts(
            session,
            energy,
            replace(of_plan, plan_id=plan_id, versions=versions, facts=None),
            asked,
        )
        for plan_id, versions in on_offer.items()
        if plan_id != of_plan.plan_id
    }


def _with_facts(session: Session, energy: Energy, of_plan: PlanEnergy, asked: Asked) -> PlanEnergy:
    """Add the facts that the plan's versions ask for; those of the stay's last day hold for it.

    Of a month that still runs it is the last day of the stay as it now stands, too, so that what
    is taken day by day comes to what the close takes.
    """
    needs = needs_of(version for _, version in of_plan.versions)
    if needs is None:
        return of_plan
    facts = stated_facts(
        session,
        of_plan.owners,
        needs,
        of_plan.period,
        of_plan.last_day,
        closing=asked.closing,
        known_at=asked.known_at,
    )
    channel_ids = [[energy.matrix.channel_ids[row] for row in rows] for rows in of_plan.rows]
    if needs.export:
        facts = replace(facts, export_wh=given_wh(session, energy, of_plan, asked))
    if needs.ratchet is not None:
        facts = replace(
            facts,
            demand_before_w=_demand_before(session, channel_ids, of_plan, needs, asked),
        )
    if needs.counted_this_year:
        try:
            counted = _counted_this_year(session, channel_ids, of_plan, asked)
        except CannotRate:
            counted = None  # the rating says why the grid cannot be priced
        facts = replace(facts, opening_wh=counted)
    return replace(of_plan, facts=facts)


def _demand_before(
    session: Session,
    channel_ids: Sequence[Sequence[int]],
    of_plan: PlanEnergy,
    needs: Needs,
    asked: Asked,
) -> npt.NDArray[np.int64]:
    """Return the highest demand of each month that a ratchet looks back over, the latest last."""
    charge = needs.ratchet
    assert charge is not None
    version = of_plan.versions[-1][1]
    month = Month.of(of_plan.stay.first)
    columns = []
    for back in range(charge.ratchet_months, 0, -1):
        earlier = month.plus(-back)
        end = earlier.plus(1).first_day
        energy_wh = earlier_energy(session, channel_ids, of_plan, earlier.first_day, end, asked)
        columns.append(
            highest_demand_w(
                charge,
                version,
                energy_wh,
                local_midnight(earlier.first_day, of_plan.zone),
                of_plan.interval_min,
                of_plan.zone,
            )
        )
    return np.stack(columns, axis=1)


def _counted_this_year(
    session: Session, channel_ids: Sequence[Sequence[int]], of_plan: PlanEnergy, asked: Asked
) -> npt.NDArray[np.int64]:
    """Return what a year's ladder holds when the stay begins, by the zones it then has.

    Counted from the readings and not from charge lines, whatever plan the account had before: so
    it is the same however late a reading came, and whenever it is asked for.
    """
    first = date(of_plan.stay.first.year, 1, 1)
    zones = of_plan.versions[0][1].zones
    shape = (len(of_plan.owners),) if len(zones) == 1 else (len(of_plan.owners), len(zones))
    if of_plan.stay.first == first:
        return np.zeros(shape, dtype=np.int64)
    energy_wh = earlier_energy(session, channel_ids, of_plan, first, of_plan.stay.first, asked)
    begins = Period(local_midnight(first, of_plan.zone), of_plan.start)
    columns = rate_population(
        by_zone_alone([(begins, of_plan.versions[0][1])]),
        energy_wh,
        begins.start,
        of_plan.interval_min,
        of_plan.zone,
    )
    counted = np.zeros((len(of_plan.owners), len(zones)), dtype=np.int64)
    for number, spec in enumerate(columns.specs):
        counted[:, zones.index(spec.zone)] += columns.energy_wh[:, number]
    basis_is_total = of_plan.versions[0][1].range_basis is RangeBasis.TOTAL
    return counted.sum(axis=1) if basis_is_total or len(zones) == 1 else counted
