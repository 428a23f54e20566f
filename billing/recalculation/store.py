"""Queries of what was learned of closed months; those that serve a person take their `Scope`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from billing.charges import NewLine
from billing.models import (
    AbsenceRow,
    AccountFactRow,
    AccountRow,
    AccountTermRow,
    BillingPartRow,
    BillingRunRow,
    ChargeLineRow,
    CommonAreaMonthRow,
    CorrectionReason,
    EntitlementRow,
    HouseServiceRow,
    LineKind,
    RunKind,
    RunState,
)
from billing.recalculation.changes import Change, Place
from billing.store import line_of, retailer_zone
from heating.models import HeatedHouseRow, HeatPriceRow
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.ids import AccountId, TariffPlanId
from kilokassa.core.scope import Scope
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from metering.events.kinds import QualityEventState
from metering.models import (
    ChannelRow,
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
from tariffs.plans import RangePeriod, TariffVersion
from tariffs.store import published_versions
from wallet.models import WalletRow

EVER: Final = datetime(1, 1, 2, tzinfo=UTC)
"""Before anything that is stored."""


# --- what is closed ---


def first_closes(session: Session, before: Month) -> dict[Month, datetime]:
    """Return when the first close of each month before one began, the latest month first."""
    query = (
        select(BillingRunRow.charge_month, func.min(BillingRunRow.started_at))
        .where(BillingRunRow.kind == RunKind.CLOSE, BillingRunRow.charge_month < before.ordinal)
        .group_by(BillingRunRow.charge_month)
        .order_by(BillingRunRow.charge_month.desc())
    )
    return {Month.from_ordinal(ordinal): at for ordinal, at in session.execute(query)}


def next_to_close(session: Session) -> Month | None:
    """Return the month after the last that was closed for everyone; None before the first close."""
    query = select(func.max(BillingRunRow.charge_month)).where(
        BillingRunRow.kind == RunKind.CLOSE, BillingRunRow.state == RunState.DONE
    )
    last = session.scalar(query.where(BillingRunRow.whole))
    if last is None:
        last = session.scalar(query)
    return None if last is None else Month.from_ordinal(last).plus(1)


def open_recalculation(session: Session, month: Month) -> tuple[int, int] | None:
    """Return the recalculation shown in `month` that was interrupted, and how many parts it has."""
    query = (
        select(BillingRunRow.id, func.count(BillingPartRow.part))
        .outerjoin(BillingPartRow, BillingPartRow.run_id == BillingRunRow.id)
        .where(
            BillingRunRow.kind == RunKind.RECALCULATION,
            BillingRunRow.state == RunState.OPEN,
            BillingRunRow.charge_month == month.ordinal,
        )
        .group_by(BillingRunRow.id)
        .order_by(BillingRunRow.id)
    )
    row = session.execute(query).first()
    return None if row is None else (row[0], row[1])


def places_of(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, Place]:
    """Return where accounts are and through which month they are closed."""
    found: dict[AccountId, Place] = {}
    for part in in_slices(account_ids):
        query = (
            select(
                AccountRow.id,
                AccountRow.premises_id,
                PremisesRow.building_id,
                WalletRow.closed_through_month,
            )
            .join(PremisesRow, PremisesRow.id == AccountRow.premises_id)
            .outerjoin(WalletRow, WalletRow.account_id == AccountRow.id)
            .where(AccountRow.id.in_(part))
        )
        for account_id, premises_id, building_id, closed in session.execute(query):
            through = None if closed is None else Month.from_ordinal(closed)
            place = Place(AccountId(account_id), premises_id, building_id, through)
            found[place.account_id] = place
    return found


def charged_account_ids(
    session: Session, scope: Scope, *, account_id: AccountId | None = None
) -> list[AccountId]:
    """Return the accounts in reach, or the one, that have been charged for a month, in order."""
    query = (
        select(AccountRow.id)
        .join(WalletRow, WalletRow.account_id == AccountRow.id)
        .where(
            account_in_scope(AccountRow.__table__.c.id, scope),
            WalletRow.closed_through_month.is_not(None),
        )
        .order_by(AccountRow.id)
    )
    if account_id is not None:
        query = query.where(AccountRow.id == account_id)
    return [AccountId(found) for found in session.scalars(query)]


def plans_in(session: Session, month: Month) -> dict[AccountId, frozenset[int]]:
    """Return the plans that hold for each account at some time of `month`, as it stands."""
    end = month.plus(1).first_day
    query = (
        select(AccountTermRow.account_id, AccountTermRow.valid_from, AccountTermRow.plan_id)
        .where(AccountTermRow.valid_from < end, AccountTermRow.superseded_at.is_(None))
        .order_by(AccountTermRow.account_id, AccountTermRow.valid_from)
    )
    found: dict[AccountId, set[int]] = {}
    for account_id, valid_from, plan_id in session.execute(query):
        plans = found.setdefault(AccountId(account_id), set())
        if valid_from <= month.first_day:
            plans.clear()
        plans.add(plan_id)
    return {account_id: frozenset(plans) for account_id, plans in found.items()}


# --- what was learned ---


def changes_since(session: Session, since: datetime) -> list[Change]:
    """Return all that was learned after an instant, readings and estimates apart."""
    return [
        *_terms(session, since),
        *_facts(session, since),
        *_areas(session, since),
        *_quality(session, since),
        *_of_plans(session, since),
        *_of_houses(session, since),
        *_of_heat(session, since),
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


def _of_plans(session: Session, since: datetime) -> Iterable[Change]:
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
    if not versions and not prices and not peaks:
        return
    used = _plan_uses(session)
    for plan_id, valid_from, published_at in versions:
        touched = used.of_plan(plan_id)
        yield Change(CorrectionReason.TARIFF, published_at, valid_from, plan_ids=touched)
    for code, day, recorded_at in prices:
        touched = used.of_series(code)
        yield Change(CorrectionReason.PRICES, recorded_at, day, day, plan_ids=touched)
    zone = retailer_zone(session)
    for row in peaks:
        on = local_date(row.starts_at, zone)
        touched = used.of_list(row.list_code)
        yield Change(CorrectionReason.PRICES, _learned(row), on, on, plan_ids=touched)


@dataclass(frozen=True, slots=True)
class _PlanUses:
    """What each plan is priced by, in any of its versions."""

    guarantees: dict[int, frozenset[int]]
    """By a plan: the plans that promise never to cost more than it."""
    series: dict[str, frozenset[int]]
    lists: dict[str, frozenset[int]]

    def of_plan(self, plan_id: int) -> frozenset[int]:
        return self.guarantees.get(plan_id, frozenset()) | {plan_id}

    def of_series(self, code: str) -> frozenset[int]:
        return self._with_promises(self.series.get(code, frozenset()))

    def of_list(self, code: str) -> frozenset[int]:
        return self._with_promises(self.lists.get(code, frozenset()))

    def _with_promises(self, plan_ids: frozenset[int]) -> frozenset[int]:
        return plan_ids.union(*(self.of_plan(plan_id) for plan_id in plan_ids))


def _plan_uses(session: Session) -> _PlanUses:
    ids = {code: plan_id for plan_id, code in session.execute(_PLANS)}
    guarantees: dict[int, set[int]] = {}
    series: dict[str, set[int]] = {}
    lists: dict[str, set[int]] = {}
    for plan_id in ids.values():
        for version in _versions(session, plan_id):
            charges = version.charges
            if charges.guarantee is not None and charges.guarantee.plan_code in ids:
                guarantees.setdefault(ids[charges.guarantee.plan_code], set()).add(plan_id)
            if charges.hourly is not None:
                series.setdefault(charges.hourly.series, set()).add(plan_id)
            for capacity in charges.capacity:
                lists.setdefault(capacity.hours, set()).add(plan_id)
    return _PlanUses(*(_frozen(each) for each in (guarantees, series, lists)))


_PLANS: Final = select(TariffPlanRow.id, TariffPlanRow.code)


def _versions(session: Session, plan_id: int) -> list[TariffVersion]:
    return [each.version for each in published_versions(session, TariffPlanId(plan_id))]


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


def _tariff_of(building_ids: Iterable[int], learned_at: datetime, first_on: date) -> Change:
    return Change(
        CorrectionReason.TARIFF, learned_at, first_on, building_ids=frozenset(building_ids)
    )


def reaches_back(session: Session) -> dict[int, tuple[bool, int]]:
    """Return the plans whose months depend on readings of earlier ones, and on which.

    Of a yearly ladder on those since the year began, of a ratchet on so many months before.
    """
    found: dict[int, tuple[bool, int]] = {}
    for plan_id, _ in session.execute(_PLANS):
        versions = _versions(session, plan_id)
        yearly = any(version.range_period is RangePeriod.YEAR for version in versions)
        capacity = [charge for version in versions for charge in version.charges.capacity]
        months = max((charge.ratchet_months for charge in capacity), default=0)
        if yearly or months:
            found[plan_id] = yearly, months
    return found


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


# --- what was put right ---


def corrections_shown_in(
    session: Session, account_ids: Sequence[AccountId], document_month: Month
) -> dict[AccountId, tuple[tuple[Month, NewLine], ...]]:
    """Return what is put right already and shown on the documents of a month, as it was written.

    Each line comes with the month that it belongs to.
    """
    found: dict[AccountId, list[tuple[Month, NewLine]]] = {}
    for part in in_slices(account_ids):
        query = (
            select(ChargeLineRow)
            .where(
                ChargeLineRow.account_id.in_(part),
                ChargeLineRow.document_month == document_month.ordinal,
                ChargeLineRow.kind != LineKind.ORIGINAL,
            )
            .order_by(ChargeLineRow.id)
        )
        for row in session.scalars(query):
            charged = Month.from_ordinal(row.charge_month)
            found.setdefault(AccountId(row.account_id), []).append((charged, line_of(row)))
    return {account_id: tuple(lines) for account_id, lines in found.items()}
