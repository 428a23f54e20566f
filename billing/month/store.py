"""What the rating of a month asks of the stores: facts of accounts, and the plans open to them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from billing.accounts import BilledAccount
from billing.facts.store import contracted_w_on, entitled_on, persons_on
from billing.house.service import common_area_wh
from billing.month.needs import Needs
from kilokassa.core.calendar import Month
from kilokassa.core.ids import TariffPlanId
from kilokassa.core.period import Period
from metering.registry.store import areas_on
from tariffs.facts import UNKNOWN, AccountFacts
from tariffs.lines import VersionInForce
from tariffs.plans import TariffVersion
from tariffs.prices.store import regulated_hours, series_for
from tariffs.store import plans, versions_in_force


def stated_facts(
    session: Session,
    owners: Sequence[BilledAccount],
    needs: Needs,
    period: Period,
    on: date,
    *,
    closing: bool,
    known_at: datetime | None,
) -> AccountFacts:
    """Return what is stated of accounts and the market: what held on the day `on` counts.

    What is measured (export, demand before, energy of the year) is not among it.
    """
    ids = sorted({owner.id for owner in owners})
    area_dm2 = persons = contracted_w = common_wh = None
    if needs.area:
        areas = areas_on(session, [o.premises_id for o in owners], on, known_at=known_at)
        area_dm2 = _column([areas[owner.premises_id] for owner in owners])
    if needs.persons:
        registered = persons_on(session, ids, on, known_at=known_at)
        persons = _column([registered[owner.id] for owner in owners])
    if needs.contracted:
        contracted = contracted_w_on(session, ids, on, known_at=known_at)
        contracted_w = _column([contracted.get(owner.id, UNKNOWN) for owner in owners])
    if needs.common_area:
        shares = common_area_wh(session, owners, Month.of(on), known_at=known_at)
        common_wh = _column([shares.get(owner.id, 0) for owner in owners])
    entitled: Mapping[str, npt.NDArray[np.bool_]] = {}
    if needs.entitlements:
        rights = entitled_on(session, ids, on, known_at=known_at)
        entitled = {
            code: np.array([code in rights.get(owner.id, ()) for owner in owners])
            for code in sorted(needs.entitlements)
        }
    return AccountFacts(
        area_dm2=area_dm2,
        persons=persons,
        contracted_w=contracted_w,
        common_area_wh=common_wh,
        entitled=entitled,
        price_series=series_for(session, needs.series, period, known_at) if needs.series else {},
        regulated_hours=regulated_hours(session, needs.hour_lists, period, known_at)
        if needs.hour_lists
        else {},
        closing=closing,
    )


def _column(values: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def plans_on_offer(
    session: Session,
    plan_id: TariffPlanId,
    period: Period,
    zone: ZoneInfo,
    *,
    known_at: datetime | None = None,
) -> dict[TariffPlanId, tuple[VersionInForce, ...]]:
    """Return the plans that who has `plan_id` may have too, its own and the guaranteed one first.

    Those are the open ones of the same category which are in force at the end of `period`.
    """
    by_code = {plan.code: plan.id for plan in plans(session)}
    in_force = versions_in_force(session, list(by_code.values()), period, zone, known_at=known_at)
    own = _last(in_force.get(plan_id, ()))
    if own is None:
        return {}
    found = {plan_id: in_force[plan_id]}
    promise = own.charges.guarantee
    named = by_code.get(promise.plan_code) if promise is not None else None
    if named is not None and in_force.get(named):
        found[named] = in_force[named]
    for other_id, versions in in_force.items():
        other = _last(versions)
        if other is not None and own.category and other.category == own.category and other.open:
            found.setdefault(other_id, versions)
    return found


def _last(versions: Sequence[VersionInForce]) -> TariffVersion | None:
    return versions[-1][1] if versions else None
