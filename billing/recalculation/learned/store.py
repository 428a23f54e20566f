"""Queries of what was learned of months after they were closed; for calculations."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from billing.models import (
    AbsenceRow,
    AccountFactRow,
    AccountRow,
    AccountTermRow,
    CommonAreaMonthRow,
    CorrectionReason,
    EntitlementRow,
    HouseServiceRow,
)
from billing.recalculation.changes import Change
from billing.store import retailer_zone
from heating.models import HeatedHouseRow, HeatPriceRow
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.ids import TariffPlanId
from kilokassa.db.slices import in_slices
from metering.events.kinds import QualityEventState
from metering.models import (
    ChannelRow,
    ConsumptionNormRow,
    EstimateRow,
    MeteringPointRow,
    MeterRow,
    PremisesAreaRow,
    PremisesRow,
    QualityEventRow,
)
from metering.store import changed_since, registers_changed_since
from tariffs.models import (
    PeakHourRow,
    PriceDayRow,
    PriceSeriesRow,
    ServicePriceRow,
    TariffPlanRow,
    TariffVersionRow,
)
from tariffs.plans import RangePeriod
from tariffs.store import published_versions

EVER: Final = datetime(1, 1, 2, tzinfo=UTC)
"""Before anything that is stored."""


def changes_since(session: Session, since: datetime, uses: "PlanUses") -> list[Change]:
    """Return all that was learned after an instant, readings and estimates apart."""
    return [
        *_terms(session, since),
        *_facts(session, since),
        *_areas(session, since),
        *_quality(session, since),
        *_of_plans(session, since, uses),
        *_of_houses(session, since),
        *_of_heat(session, since),
        *_of_norms(session, since),
    ]


def _learned(row: Any) -> datetime:  # noqa: ANN401 - a row of a table that is appended to
    learned_at: datetime = row.superseded_at or row.recorded_at
    return learned_at


def _later(table: type[Any], since: datetime) -> Any:  # noqa: ANN401 - a condition
    return or_(table.recorded_at > since, table.superseded_at > since)


def _terms(session: Session, since: datetime) -> Iterable[Change]:
    for row in session.scalars(select(AccountTermRow).where(_later(AccountTermRow, since))):
        own = frozenset({row.account_id})
        yield Change(CorrectionReason.TERMS, _learned(row), row.valid_from, account_ids=own)


def _facts(session: Session, since: datetime) -> Iterable[Change]:
    for fact in session.scalars(select(AccountFactRow).where(_later(AccountFactRow, since))):
        own = frozenset({fact.account_id})
        yield Change(CorrectionReason.FACTS, _learned(fact), fact.valid_from, account_ids=own)
    for right in session.scalars(select(EntitlementRow).where(_later(EntitlementRow, since))):
        yield Change(
            CorrectionReason.FACTS,
            _learned(right),
            right.valid_from,
            right.valid_until,
            account_ids=frozenset({right.account_id}),
        )
    for absence in session.scalars(select(AbsenceRow).where(_later(AbsenceRow, since))):
        yield Change(
            CorrectionReason.ABSENCE,
            _learned(absence),
            absence.first_on,
            absence.last_on,
            account_ids=frozenset({absence.account_id}),
        )


def _areas(session: Session, since: datetime) -> Iterable[Change]:
    """An area is the share of its house too: heat and common property go by it."""
    query = (
        select(PremisesAreaRow, PremisesRow.building_id)
        .join(PremisesRow, PremisesRow.id == PremisesAreaRow.premises_id)
        .where(_later(PremisesAreaRow, since))
    )
    for row, building_id in session.execute(query):
        house = frozenset({building_id})
        yield Change(CorrectionReason.FACTS, _learned(row), row.valid_from, building_ids=house)


def _quality(session: Session, since: datetime) -> Iterable[Change]:
    zone = retailer_zone(session)
    query = select(QualityEventRow).where(
        QualityEventRow.state == QualityEventState.CONFIRMED,
        or_(QualityEventRow.decided_at > since, QualityEventRow.end_recorded_at > since),
    )
    for row in session.scalars(query):
        told = [row.decided_at or row.recorded_at, row.end_recorded_at]
        # One that was told as lasting counted to the end of each month until its end was told.
        last = row.ends_at if row.end_recorded_at is None else None
        yield Change(
            CorrectionReason.QUALITY,
            max(filter(None, told)),
            local_date(row.starts_at, zone) - timedelta(days=1),
            None if last is None else local_date(last, zone) + timedelta(days=1),
            premises_ids=frozenset() if row.premises_id is None else frozenset({row.premises_id}),
            building_ids=frozenset({row.building_id}) if row.premises_id is None else frozenset(),
        )


def _of_plans(session: Session, since: datetime, uses: "PlanUses") -> Iterable[Change]:
    """Versions, hourly prices and peak hours; each touches the plans that are priced by it."""
    versions = session.execute(
        select(
            TariffVersionRow.plan_id, TariffVersionRow.valid_from, TariffVersionRow.published_at
        ).where(TariffVersionRow.published_at > since)
    ).all()
    prices = session.execute(
        select(PriceSeriesRow.code, PriceDayRow.day, PriceDayRow.recorded_at)
        .join(PriceSeriesRow, PriceSeriesRow.id == PriceDayRow.series_id)
        .where(PriceDayRow.recorded_at > since)
    ).all()
    peaks = session.scalars(select(PeakHourRow).where(_later(PeakHourRow, since))).all()
    for plan_id, valid_from, published_at in versions:
        touched = uses.of_plan(plan_id)
        yield Change(CorrectionReason.TARIFF, published_at, valid_from, plan_ids=touched)
    for code, day, recorded_at in prices:
        touched = uses.of_series(code)
        yield Change(CorrectionReason.PRICES, recorded_at, day, day, plan_ids=touched)
    zone = retailer_zone(session)
    for row in peaks:
        on = local_date(row.starts_at, zone)
        touched = uses.of_list(row.list_code)
        yield Change(CorrectionReason.PRICES, _learned(row), on, on, plan_ids=touched)


@dataclass(frozen=True, slots=True)
class PlanUses:
    """What plans are priced by, in any of their versions."""

    guarantees: dict[int, frozenset[int]]
    """By a plan: the plans that promise never to cost more than it."""
    series: dict[str, frozenset[int]]
    lists: dict[str, frozenset[int]]
    reaches_back: dict[int, tuple[bool, int]]
    """The plans whose months depend on readings of earlier ones, and on which: of a yearly ladder
    on those since the year began, of a ratchet on so many months before."""

    def of_plan(self, plan_id: int) -> frozenset[int]:
        """Return a plan and those that promise never to cost more than it."""
        return self.guarantees.get(plan_id, frozenset()) | {plan_id}

    def of_series(self, code: str) -> frozenset[int]:
        """Return the plans whose months a price series moves."""
        return self._with_promises(self.series.get(code, frozenset()))

    def of_list(self, code: str) -> frozenset[int]:
        """Return the plans whose months a list of peak hours moves."""
        return self._with_promises(self.lists.get(code, frozenset()))

    def _with_promises(self, plan_ids: frozenset[int]) -> frozenset[int]:
        return plan_ids.union(*(self.of_plan(plan_id) for plan_id in plan_ids))


def plan_uses(session: Session) -> PlanUses:
    """Return what the plans are priced by."""
    ids: dict[str, int] = {
        code: plan_id
        for plan_id, code in session.execute(select(TariffPlanRow.id, TariffPlanRow.code))
    }
    guarantees: dict[int, set[int]] = {}
    series: dict[str, set[int]] = {}
    lists: dict[str, set[int]] = {}
    reaches_back: dict[int, tuple[bool, int]] = {}
    for plan_id in ids.values():
        for published in published_versions(session, TariffPlanId(plan_id)):
            version, charges = published.version, published.version.charges
            if charges.guarantee is not None and charges.guarantee.plan_code in ids:
                guarantees.setdefault(ids[charges.guarantee.plan_code], set()).add(plan_id)
            if charges.hourly is not None:
                series.setdefault(charges.hourly.series, set()).add(plan_id)
            for capacity in charges.capacity:
                lists.setdefault(capacity.hours, set()).add(plan_id)
            yearly, months = reaches_back.get(plan_id, (False, 0))
            reaches_back[plan_id] = (
                yearly or version.range_period is RangePeriod.YEAR,
                max([months, *(capacity.ratchet_months for capacity in charges.capacity)]),
            )
    return PlanUses(
        _frozen(guarantees),
        _frozen(series),
        _frozen(lists),
        {plan_id: reach for plan_id, reach in reaches_back.items() if any(reach)},
    )


def _frozen(sets: dict[Any, set[int]]) -> dict[Any, frozenset[int]]:
    return {key: frozenset(ids) for key, ids in sets.items()}


def _of_houses(session: Session, since: datetime) -> Iterable[Change]:
    for row in session.scalars(select(HouseServiceRow).where(_later(HouseServiceRow, since))):
        yield Change(
            CorrectionReason.TARIFF,
            _learned(row),
            row.valid_from,
            row.valid_until,
            building_ids=frozenset({row.building_id}),
        )
    for common in session.scalars(
        select(CommonAreaMonthRow).where(_later(CommonAreaMonthRow, since))
    ):
        month = Month.from_ordinal(common.month)
        yield Change(
            CorrectionReason.COMMON_AREA,
            _learned(common),
            month.first_day,
            month.days[-1],
            building_ids=frozenset({common.building_id}),
        )
    prices = session.execute(
        select(
            ServicePriceRow.code, ServicePriceRow.valid_from, ServicePriceRow.published_at
        ).where(ServicePriceRow.published_at > since)
    ).all()
    if not prices:
        return
    houses: dict[str, set[int]] = {}
    for code, building_id in session.execute(
        select(HouseServiceRow.service_code, HouseServiceRow.building_id)
    ):
        houses.setdefault(code, set()).add(building_id)
    for code, valid_from, published_at in prices:
        touched = frozenset(houses.get(code, set()))
        yield Change(CorrectionReason.TARIFF, published_at, valid_from, building_ids=touched)


def _of_heat(session: Session, since: datetime) -> Iterable[Change]:
    """Prices of heat, and how houses share it; each touches the houses that are priced by it."""
    houses = session.scalars(select(HeatedHouseRow)).all()
    for house in houses:
        if house.recorded_at > since:
            yield _tariff_of({house.building_id}, house.recorded_at, house.valid_from)
    for price in session.scalars(select(HeatPriceRow).where(HeatPriceRow.recorded_at > since)):
        priced = {house.building_id for house in houses if house.plan_code == price.plan_code}
        yield _tariff_of(priced, price.recorded_at, price.valid_from)


def _of_norms(session: Session, since: datetime) -> Iterable[Change]:
    """Norms of consumption; each touches every house whose water may be charged by one."""
    later = ConsumptionNormRow.recorded_at > since
    norms = session.scalars(select(ConsumptionNormRow).where(later)).all()
    if norms:
        served = session.scalars(select(HouseServiceRow.building_id).distinct()).all()
        for norm in norms:
            yield _tariff_of(served, norm.recorded_at, norm.valid_from)


def _tariff_of(building_ids: Iterable[int], learned_at: datetime, first_on: date) -> Change:
    return Change(
        CorrectionReason.TARIFF, learned_at, first_on, building_ids=frozenset(building_ids)
    )


def accounts_with_later_readings(
    session: Session, month: Month, closed_at: datetime, *, first_on: date | None = None
) -> set[int]:
    """Return the accounts for which a reading or estimate of `month` came after the close.

    A reading of the house's own meter touches every account of the building. With `first_on`,
    intervals since that earlier day are looked at as well.
    """
    days = month.days
    changed = changed_since(session, first_on or days[0], days[-1], closed_at)
    # What a register showed long before may be where the month's stretch begins; and as it is read
    # at any hour, a day more after the month only asks once too often.
    last = local_midnight(days[-1], retailer_zone(session)) + timedelta(days=2)
    read = registers_changed_since(session, EVER, last, closed_at)
    touched = _with_later_estimates(session, month, closed_at)
    own = MeteringPointRow.premises_id == AccountRow.premises_id
    house = and_(
        MeteringPointRow.premises_id.is_(None),
        MeteringPointRow.building_id == PremisesRow.building_id,
    )
    base = (
        select(AccountRow.id)
        .join(PremisesRow, PremisesRow.id == AccountRow.premises_id)
        .join(MeteringPointRow, or_(own, house))
    )
    for part in in_slices(changed):
        query = base.join(ChannelRow, ChannelRow.point_id == MeteringPointRow.id)
        touched.update(session.scalars(query.where(ChannelRow.id.in_(part))))
    for part in in_slices(read):
        query = base.join(MeterRow, MeterRow.point_id == MeteringPointRow.id)
        touched.update(session.scalars(query.where(MeterRow.id.in_(part))))
    return touched


def _with_later_estimates(session: Session, month: Month, closed_at: datetime) -> set[int]:
    """Return the accounts of which an estimate within `month` was made or replaced later."""
    later = or_(EstimateRow.recorded_at > closed_at, EstimateRow.replaced_at > closed_at)
    return _estimated(session, month, later)


def accounts_with_replaced_estimates(session: Session, month: Month) -> set[int]:
    """Return the accounts of which an estimate within `month` no longer holds."""
    return _estimated(session, month, EstimateRow.replaced_at.is_not(None))


def _estimated(session: Session, month: Month, condition: Any) -> set[int]:  # noqa: ANN401
    period = month.period(retailer_zone(session))
    query = (
        select(AccountRow.id)
        .join(MeteringPointRow, MeteringPointRow.premises_id == AccountRow.premises_id)
        .join(EstimateRow, EstimateRow.point_id == MeteringPointRow.id)
        .where(condition, EstimateRow.starts_at < period.end, EstimateRow.ends_at > period.start)
    )
    return set(session.scalars(query))
