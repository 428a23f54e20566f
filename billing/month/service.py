"""What accounts owe for a month or for some days of it, from what is known; nothing is written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from billing.accounts import BilledAccount, Stay
from billing.charges import ENERGY_KINDS, AccountCharge, MeterFact, NewLine, UsedEstimate
from billing.deductions.service import deduct
from billing.explanation.inputs import Inputs, RatedIntervals
from billing.house.service import house_lines
from billing.law import ESTIMATE_UNCERTAIN, VERIFICATION_EXPIRED
from billing.models import LineUnit, Measurement, Service
from billing.month.alternatives import (
    PlanCost,
    costs_of,
    has_benefit,
    together,
)
from billing.month.days import part_of_days
from billing.month.facts import digest_with, highest_demand_w, row_of, rows_of
from billing.month.lines import LineContext, names_of, new_line, zoneless
from billing.month.needs import Needs, needs_of
from billing.month.store import plans_on_offer, stated_facts
from billing.registers.service import rate_registers
from billing.store import areas_of_buildings, retailer
from heating import store as heating_store
from heating.allocation import HeatedFlat, HouseMonth, share_building_month
from kilokassa.core.calendar import Month, intervals_in_day, local_date, local_midnight
from kilokassa.core.digest import canonical_json, digest_text
from kilokassa.core.ids import AccountId, TariffPlanId
from kilokassa.core.period import Period
from kilokassa.core.series import Quality, WattHours
from kilokassa.core.text import filled, mark
from metering import store as metering_store
from metering.days import IntervalMatrix
from metering.estimation import store as estimate_store
from metering.estimation.gaps import spread_by_profile
from metering.registers import (
    RegisterBackwards,
    RegisterDifference,
    RegisterReading,
    register_differences,
)
from metering.registry.at_premises import PremisesChannel, PremisesMeter
from metering.registry.places import Commodity
from tariffs.charges import NO_CHARGES
from tariffs.facts import AccountFacts
from tariffs.guarantee import alternatives_of, with_guarantee
from tariffs.lines import CannotRate, ChargeKind, LineColumns
from tariffs.plans import DatedRates, RangeBasis, RangePeriod
from tariffs.rating import VersionInForce, rate_population
from tariffs.store import versions_in_force

ACTIVE_GIVEN: Final = "A-"
_LONG_AGO: Final = date(1900, 1, 1)
NO_CHANNEL: Final = mark("The premises has no metering channel: electricity was not charged.")
INTERVALS_MISSING: Final = mark("Some intervals of the month have no value; they were not charged.")
NOT_PRICED: Final = mark(
    "The tariff %(plan)s could not price the electricity, and it was not charged yet: %(problem)s."
)
HEAT_UNKNOWN: Final = mark("The house's heat of the month is not known: it was not charged yet.")


@dataclass(frozen=True, slots=True)
class MonthFacts:
    """What a month's charge was computed from, for the documents that show it."""

    charges: dict[AccountId, AccountCharge]
    meters: dict[AccountId, tuple[MeterFact, ...]]
    alternatives: dict[AccountId, tuple[PlanCost, ...]] = field(default_factory=dict)
    """What the same consumption would have cost, for accounts whose plan promises or gives."""
    refused: dict[AccountId, CannotRate] = field(default_factory=dict)
    """Accounts whose electricity could not be priced, and why; of it they have no lines."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which days are rated, as known when, and who wants to see what was read."""

    first: date
    end: date
    closing: bool
    """Says that the days are a whole month which closes: minimum, demand, guarantee are due."""
    known_at: datetime | None = None
    inputs: Inputs | None = None


@dataclass(frozen=True, slots=True)
class _Gathered:
    lines: dict[AccountId, list[NewLine]]
    warnings: dict[AccountId, list[str]]
    meters: dict[AccountId, list[MeterFact]]
    alternatives: dict[AccountId, list[tuple[PlanCost, ...]]]
    beside_minor: dict[AccountId, int]
    """What stays came to whose plan is compared with nothing, of accounts with several stays."""
    refused: dict[AccountId, CannotRate]

    def refuse(self, account_id: AccountId, refusal: CannotRate) -> None:
        """Leave the electricity of an account uncharged, and tell why; the first reason counts."""
        if account_id not in self.refused:
            self.refused[account_id] = refusal
            self.warnings[account_id].append(filled(NOT_PRICED, **refusal.values))

    def leave_out_refused(self) -> None:
        """Take off what other stays of refused accounts came to: half a month is no charge."""
        for account_id in self.refused:
            lines = self.lines[account_id]
            lines[:] = [line for line in lines if line.service is not Service.ELECTRICITY]
            self.alternatives[account_id].clear()


def rate_month(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    *,
    until: date | None = None,
    known_at: datetime | None = None,
    inputs: Inputs | None = None,
) -> MonthFacts:
    """Compute what `accounts` owe for `month`, from what is known now; write nothing.

    With `until`, the month is rated up to that local day (exclusive): the same function serves the
    running month and the close, so their kopecks agree. What is for whole months only (heat, other
    services of the house, minimum bill, demand, guarantee, deductions) waits for the close. With
    `known_at`, everything is read as it was known at that instant: so a line is replayed; `inputs`
    is filled with what was read.
    """
    gathered = _Gathered(
        {account.id: [] for account in accounts},
        {account.id: [] for account in accounts},
        {account.id: [] for account in accounts},
        {account.id: [] for account in accounts},
        {},
        {},
    )
    end = month.plus(1).first_day
    closing = until is None
    asked = _Asked(month.first_day, min(until or end, end), closing, known_at, inputs)
    _rate_intervals(session, accounts, asked, gathered)
    if closing:
        _rate_registers(session, accounts, month, asked, gathered)
    gathered.leave_out_refused()
    if closing:
        _share_heat(session, accounts, month, known_at, gathered)
        for account_id, of_house in house_lines(
            session, accounts, month, known_at=known_at
        ).items():
            gathered.lines[account_id].extend(of_house.lines)
            gathered.warnings[account_id].extend(of_house.warnings)
            gathered.meters[account_id].extend(of_house.meters)
        taken_off = deduct(session, accounts, month, gathered.lines, known_at=known_at)
        for account_id, (lines, warnings) in taken_off.items():
            gathered.lines[account_id].extend(lines)
            gathered.warnings[account_id].extend(warnings)
    return MonthFacts(
        charges={
            account.id: AccountCharge(
                account.id,
                tuple(gathered.lines[account.id]),
                tuple(dict.fromkeys(gathered.warnings[account.id])),
            )
            for account in accounts
        },
        meters={account_id: tuple(facts) for account_id, facts in gathered.meters.items()},
        alternatives={
            account_id: together(costs, gathered.beside_minor.get(account_id, 0))
            for account_id, costs in gathered.alternatives.items()
            if costs
        },
        refused=gathered.refused,
    )


def rate_days(
    session: Session, accounts: Sequence[BilledAccount], first: date, end: date
) -> dict[AccountId, tuple[int, int]]:
    """Return what the electricity from `first` up to `end` cost, and of how many days it is known.

    The same rating as that of the bill, on the plan that an account has now and over days that need
    not be a month: ranges of consumption are reached later than in a whole month, so it is an
    estimate for accounts with a ladder.
    """
    found: dict[AccountId, tuple[int, int]] = {}
    asked = _Asked(first, end, closing=False)
    on_one_plan = [replace(a, stays=(Stay(first, end, a.plan_id),)) for a in accounts]
    for energy in _energies(session, on_one_plan, asked):
        per_day = [
            intervals_in_day(first + timedelta(days=n), energy.zone, energy.matrix.interval_min)
            for n in range((end - first).days)
        ]
        starts = np.concatenate([[0], np.cumsum(per_day)[:-1]])
        whole_days = np.add.reduceat(
            (energy.matrix.quality != Quality.MISSING).astype(np.int64), starts, axis=1
        )
        known_days = (whole_days > 0).sum(axis=1).tolist()
        for of_plan in _by_plan(session, energy, asked):
            for alike, priced in _priced_alike(of_plan):
                if isinstance(priced, CannotRate):
                    continue
                costs_minor = priced.own.amount_minor.sum(axis=1).tolist()
                for owner, rows, cost_minor in zip(
                    alike.owners, alike.rows, costs_minor, strict=True
                ):
                    found[owner.id] = cost_minor, max(known_days[row] for row in rows)
    return found


def energy_by_day(
    session: Session, account: BilledAccount, first: date, end: date
) -> tuple[tuple[date, dict[str, int]], ...]:
    """Return the Wh of each local day by the zones of the plan that the account then had."""
    shown: dict[date, dict[str, int]] = {}
    asked = _Asked(first, end, closing=False)
    for energy in _energies(session, [account], asked):
        for of_plan in _by_plan(session, energy, asked, with_facts=False):
            by_zone = _by_zone_alone(of_plan.versions)
            place = 0
            for number in range((of_plan.stay.end - of_plan.stay.first).days):
                day = of_plan.stay.first + timedelta(days=number)
                count = intervals_in_day(day, energy.zone, energy.matrix.interval_min)
                columns = rate_population(
                    by_zone,
                    of_plan.energy_wh[:1, place : place + count],
                    local_midnight(day, energy.zone),
                    energy.matrix.interval_min,
                    energy.zone,
                )
                zones = shown.setdefault(day, {})
                for spec, wh in zip(columns.specs, columns.energy_wh[0].tolist(), strict=True):
                    zones[str(spec.zone)] = zones.get(str(spec.zone), 0) + wh
                place += count
    return tuple(sorted(shown.items()))


def known_until(session: Session, accounts: Sequence[BilledAccount]) -> dict[AccountId, datetime]:
    """Return the end of the last local day of which each account's meter gave anything."""
    by_premises: dict[int, list[AccountId]] = {}
    for account in accounts:
        if account.measurement is Measurement.INTERVALS:
            by_premises.setdefault(account.premises_id, []).append(account.id)
    channels = metering_store.channels_of_premises(session, by_premises)
    last = metering_store.last_days(session, [channel.channel_id for channel in channels])
    return {
        account_id: local_midnight(last[c.channel_id] + timedelta(days=1), ZoneInfo(c.zone))
        for c in channels
        if c.channel_id in last
        for account_id in by_premises[c.premises_id]
    }


def open_plans(
    session: Session,
    account: BilledAccount,
    month: Month,
    *,
    known_at: datetime | None = None,
) -> tuple[TariffPlanId, ...]:
    """Return the plans an account may have in a month: its own, the guaranteed one, its category's.

    Among them may be plans that cannot price what the account's meter measures.
    """
    period = month.period(account.zone)
    offers = plans_on_offer(session, account.plan_id, period, account.zone, known_at=known_at)
    return tuple(offers)


# --- energy by intervals ---


@dataclass(frozen=True, slots=True, eq=False)
class _Energy:
    """The energy of accounts in one zone on one grid: a row for each channel and owner."""

    zone: ZoneInfo
    channels: list[PremisesChannel]
    owners: list[BilledAccount]
    matrix: IntervalMatrix


@dataclass(frozen=True, slots=True, eq=False)
class _OfPlan:
    """The energy of the accounts that had one plan over the same days, with all that prices it."""

    plan_id: TariffPlanId
    stay: Stay
    last_day: date
    """That of the whole stay, where the month still runs too: its facts hold for all of it."""
    zone: ZoneInfo
    owners: list[BilledAccount]
    rows: list[list[int]]
    """The rows of the grid that make up each owner's energy: one a point."""
    versions: tuple[VersionInForce, ...]
    energy_wh: WattHours
    start: datetime
    interval_min: int
    columns: slice
    """Which intervals of the whole grid the stay holds."""
    facts: AccountFacts | None = None
    offers: Mapping[TariffPlanId, "_OfPlan"] = field(default_factory=dict)
    """The same energy on the plans that the bill compares with, where it does."""

    def rated(self, energy_wh: WattHours | None = None) -> LineColumns:
        """Return the lines, or those of other energy."""
        return rate_population(
            self.versions,
            self.energy_wh if energy_wh is None else energy_wh,
            self.start,
            self.interval_min,
            self.zone,
            facts=self.facts,
        )

    def of_some(self, places: Sequence[int]) -> "_OfPlan":
        """Return the same of some of the accounts."""
        return replace(
            self,
            owners=[self.owners[place] for place in places],
            rows=[self.rows[place] for place in places],
            energy_wh=self.energy_wh[list(places)],
            facts=None if self.facts is None else rows_of(self.facts, places),
            offers={plan_id: offer.of_some(places) for plan_id, offer in self.offers.items()},
        )

    @property
    def period(self) -> Period:
        """The stay in UTC."""
        return Period(self.start, local_midnight(self.stay.end, self.zone))


@dataclass(frozen=True, slots=True, eq=False)
class _Priced:
    """What the energy of some accounts comes to on their plan, and on those on offer."""

    own: LineColumns
    others: Mapping[TariffPlanId, LineColumns]
    """Without the plans that cannot price it: those are no alternative."""


def _rate_intervals(
    session: Session, accounts: Sequence[BilledAccount], asked: _Asked, gathered: _Gathered
) -> None:
    """Rate the interval accounts: one matrix for a zone and interval, one product for a plan."""
    if asked.end <= asked.first:
        return
    interval_accounts = [a for a in accounts if a.measurement is Measurement.INTERVALS]
    serials = {
        meter.point_id: meter
        for meter in metering_store.meters_of_premises(
            session,
            [account.premises_id for account in interval_accounts],
            known_at=asked.known_at,
        )
        if meter.removed_on is None
    }
    with_channel: set[AccountId] = set()
    for energy in _energies(session, interval_accounts, asked):
        with_channel.update(owner.id for owner in energy.owners)
        matrix = energy.matrix
        _mask_outside(energy)
        period = Period(matrix.start, local_midnight(asked.end, energy.zone))
        aside = _set_aside(session, matrix, period, energy.zone, asked.known_at)
        if aside:
            _mask_outside(energy)
        guessed = _guessed(matrix)
        used = _used_estimates(session, energy.channels, guessed, period, asked.known_at)
        for of_plan in _by_plan(session, energy, asked):
            for alike, priced in _priced_alike(of_plan):
                if isinstance(priced, CannotRate):
                    for owner in alike.owners:
                        gathered.refuse(owner.id, priced)
                else:
                    _rate_rows(energy, alike, priced, guessed, used, aside, asked, gathered)
        _gather_meters(energy, serials, asked, aside, gathered)
    for account in interval_accounts:
        if account.id not in with_channel:
            gathered.warnings[account.id].append(NO_CHANNEL)


def _energies(
    session: Session, accounts: Sequence[BilledAccount], asked: _Asked
) -> Iterator[_Energy]:
    """Yield the energy of the accounts over the days asked for, one matrix a zone and interval.

    Where a resident follows another in the month, each has a row of the same channel.
    """
    if asked.end <= asked.first:
        return
    by_premises: dict[int, list[BilledAccount]] = {}
    for account in accounts:
        if account.measurement is Measurement.INTERVALS:
            by_premises.setdefault(account.premises_id, []).append(account)
    groups: dict[tuple[str, int], list[PremisesChannel]] = {}
    for channel in metering_store.channels_of_premises(session, by_premises):
        if channel.commodity is Commodity.ELECTRICITY:
            groups.setdefault((channel.zone, channel.interval_min), []).append(channel)
    days = _days(asked.first, asked.end)
    for (zone_name, interval_min), group in sorted(groups.items()):
        zone = ZoneInfo(zone_name)
        matrix = metering_store.load_matrix(
            session,
            [channel.channel_id for channel in group],
            days,
            zone,
            interval_min,
            known_at=asked.known_at,
        )
        pairs = [
            (row, owner)
            for row, channel in enumerate(group)
            for owner in by_premises[channel.premises_id]
        ]
        if len(pairs) > len(group):
            matrix = _rows_of(matrix, [row for row, _ in pairs])
        yield _Energy(zone, [group[row] for row, _ in pairs], [o for _, o in pairs], matrix)


def _days(first: date, end: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((end - first).days)]


def _rows_of(matrix: IntervalMatrix, rows: Sequence[int]) -> IntervalMatrix:
    return IntervalMatrix(
        tuple(matrix.channel_ids[row] for row in rows),
        matrix.start,
        matrix.interval_min,
        matrix.energy_wh[list(rows)],
        matrix.quality[list(rows)],
        tuple(matrix.digests[row] for row in rows),
    )


def _by_plan(
    session: Session, energy: _Energy, asked: _Asked, *, with_facts: bool = True
) -> Iterator[_OfPlan]:
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
        versions = _within(in_force.get(stay.plan_id, ()), period)
        of_plan = _OfPlan(
            stay.plan_id,
            stay,
            last_day,
            zone,
            owners,
            rows,
            versions,
            _summed(matrix.energy_wh, rows, columns),
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
    session: Session, energy: _Energy, of_plan: _OfPlan, asked: _Asked
) -> dict[TariffPlanId, _OfPlan]:
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


def _within(versions: Sequence[VersionInForce], period: Period) -> tuple[VersionInForce, ...]:
    """Return the versions in force with the parts of their periods that lie in `period`."""
    parts = ((held.intersect(period), version) for held, version in versions)
    return tuple((part, version) for part, version in parts if part is not None)


def _summed(
    values: npt.NDArray[Any], rows: Sequence[Sequence[int]], columns: slice
) -> npt.NDArray[Any]:
    """Return one row an account: the points of an account are one use."""
    part = values[:, columns]
    if all(len(of_one) == 1 for of_one in rows):
        picked = [of_one[0] for of_one in rows]
        return part if picked == list(range(len(values))) else part[picked]
    return np.stack([part[list(of_one)].sum(axis=0, dtype=np.int64) for of_one in rows])


# --- facts ---


def _with_facts(session: Session, energy: _Energy, of_plan: _OfPlan, asked: _Asked) -> _OfPlan:
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
        facts = replace(facts, export_wh=_given(session, energy, of_plan, asked))
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


def _given(
    session: Session, energy: _Energy, of_plan: _OfPlan, asked: _Asked
) -> npt.NDArray[np.int64]:
    """Return what each account gave to the network; one without a channel for it gave nothing."""
    given = np.zeros(of_plan.energy_wh.shape, dtype=np.int64)
    rows_of: dict[int, list[int]] = {}
    for number, owner in enumerate(of_plan.owners):
        rows_of.setdefault(owner.premises_id, []).append(number)
    channels = [
        channel
        for channel in metering_store.channels_of_premises(
            session, rows_of, channel_code=ACTIVE_GIVEN
        )
        if channel.interval_min == of_plan.interval_min
    ]
    if channels:
        matrix = metering_store.load_matrix(
            session,
            [channel.channel_id for channel in channels],
            _days(asked.first, asked.end),
            of_plan.zone,
            of_plan.interval_min,
            known_at=asked.known_at,
        )
        for row, channel in enumerate(channels):
            for number in rows_of[channel.premises_id]:
                given[number] += matrix.energy_wh[row, of_plan.columns]
    return given


def _demand_before(
    session: Session,
    channel_ids: Sequence[Sequence[int]],
    of_plan: _OfPlan,
    needs: Needs,
    asked: _Asked,
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
        energy_wh = _earlier_energy(session, channel_ids, of_plan, earlier.first_day, end, asked)
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
    session: Session, channel_ids: Sequence[Sequence[int]], of_plan: _OfPlan, asked: _Asked
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
    energy_wh = _earlier_energy(session, channel_ids, of_plan, first, of_plan.stay.first, asked)
    begins = Period(local_midnight(first, of_plan.zone), of_plan.start)
    columns = rate_population(
        _by_zone_alone([(begins, of_plan.versions[0][1])]),
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


def _earlier_energy(
    session: Session,
    channel_ids: Sequence[Sequence[int]],
    of_plan: _OfPlan,
    first: date,
    end: date,
    asked: _Asked,
) -> npt.NDArray[np.int64]:
    """Return the energy of accounts over earlier days, from their opening on."""
    flat = [channel_id for of_one in channel_ids for channel_id in of_one]
    matrix = metering_store.load_matrix(
        session,
        flat,
        _days(first, end),
        of_plan.zone,
        of_plan.interval_min,
        known_at=asked.known_at,
    )
    period = Period(matrix.start, local_midnight(end, of_plan.zone))
    _set_aside(session, matrix, period, of_plan.zone, asked.known_at)
    step = timedelta(minutes=of_plan.interval_min)
    rows: list[list[int]] = []
    for of_one in channel_ids:
        place = sum(len(before) for before in rows)
        rows.append(list(range(place, place + len(of_one))))
    energy = _summed(matrix.energy_wh, rows, slice(None)).astype(np.int64)
    for number, owner in enumerate(of_plan.owners):
        if owner.opened_on > first:
            opened = (local_midnight(owner.opened_on, of_plan.zone) - matrix.start) // step
            energy[number, :opened] = 0
    return energy


def _by_zone_alone(versions: Sequence[VersionInForce]) -> tuple[VersionInForce, ...]:
    """Return versions that tell zones apart and charge nothing: no ladder, no lines beside."""
    return tuple(
        (
            held,
            replace(
                version,
                valid_from=_LONG_AGO,
                rates=(DatedRates(_LONG_AGO, ((0,) * len(version.zones),)),),
                range_borders_wh=(),
                norm=None,
                range_period=RangePeriod.MONTH,
                prices_until=None,
                charges=NO_CHARGES,
            ),
        )
        for held, version in versions
    )


# --- lines ---


def _rate_rows(
    energy: _Energy,
    of_plan: _OfPlan,
    priced: _Priced,
    guessed: npt.NDArray[np.bool_],
    used: Mapping[int, tuple[UsedEstimate, ...]],
    aside: Mapping[int, str],
    asked: _Asked,
    gathered: _Gathered,
) -> None:
    columns = priced.own
    if of_plan.offers:
        columns = _with_alternatives(of_plan, priced, gathered)
    estimated = None
    here = _summed(guessed, of_plan.rows, of_plan.columns) > 0
    if here.any():
        estimated = of_plan.rated(energy_wh=np.where(here, of_plan.energy_wh, 0)).quantities
    names, by_the_hour = (
        names_of(
            of_plan.versions, {plan_id: offer.versions for plan_id, offer in of_plan.offers.items()}
        ),
        zoneless(of_plan.versions),
    )
    quantities, amounts = columns.quantities.tolist(), columns.amount_minor.tolist()
    for place, (owner, rows) in enumerate(zip(of_plan.owners, of_plan.rows, strict=True)):
        methods = tuple(dict.fromkeys(one for row in rows for one in used.get(row, ())))
        if any(not one.certain for one in methods):
            gathered.warnings[owner.id].append(ESTIMATE_UNCERTAIN)
        digest = _digest_of(energy, of_plan, place, aside)
        if not of_plan.offers and len(owner.stays) > 1:
            before_minor = gathered.beside_minor.get(owner.id, 0)
            gathered.beside_minor[owner.id] = before_minor + sum(amounts[place])
        context = LineContext(
            names=names,
            zoneless=by_the_hour,
            own_day=None if of_plan.stay.first == owner.stays[0].first else of_plan.stay.first,
            input_digest=digest,
            estimates=methods,
        )
        for column, spec in enumerate(columns.specs):
            quantity, amount_minor = quantities[place][column], amounts[place][column]
            if quantity or amount_minor:
                guess = 0
                if estimated is not None and spec.kind in ENERGY_KINDS:
                    guess = int(estimated[place, column])
                gathered.lines[owner.id].append(
                    new_line(context, spec, quantity, amount_minor, guess)
                )
        if asked.inputs is not None:
            asked.inputs.intervals.append(
                RatedIntervals(
                    account_id=owner.id,
                    channels=[energy.channels[row] for row in rows],
                    versions=of_plan.versions,
                    energy_wh=of_plan.energy_wh[place : place + 1],
                    start=of_plan.start,
                    interval_min=of_plan.interval_min,
                    zone=of_plan.zone,
                    readings=digest,
                    facts=None if of_plan.facts is None else row_of(of_plan.facts, place),
                )
            )


def _digest_of(energy: _Energy, of_plan: _OfPlan, place: int, aside: Mapping[int, str]) -> str:
    """Return the digest of what an account's lines were computed from."""
    readings = []
    for row in of_plan.rows[place]:
        digest = energy.matrix.digests[row]
        readings.append(digest_text(f"{digest}|{aside[row]}") if row in aside else digest)
    one = readings[0] if len(readings) == 1 else digest_text("|".join(readings))
    return digest_with(one, None if of_plan.facts is None else row_of(of_plan.facts, place))


def _priced_alike(of_plan: _OfPlan) -> Iterator[tuple[_OfPlan, _Priced | CannotRate]]:
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
                yield from _priced_alike(of_plan.of_some(places))
            return
    yield of_plan, outcome


def _attempt(of_plan: _OfPlan) -> tuple[_Priced | CannotRate, list[TariffPlanId]]:
    """Return what accounts come to, or why not, and the plans that refused to price it."""
    try:
        own = of_plan.rated()
    except CannotRate as refusal:
        return refusal, [of_plan.plan_id]
    promised = _promised(of_plan)
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
    return broken or _Priced(own, others), unpriced


def _reason(of_plan: _OfPlan) -> str:
    try:
        of_plan.rated()
    except CannotRate as refusal:
        return str(refusal)
    return ""


def _promised(of_plan: _OfPlan) -> str | None:
    """Return the code of the plan that the accounts' own promises never to cost more than."""
    promise = of_plan.versions[-1][1].charges.guarantee
    return None if promise is None else promise.plan_code


def _with_alternatives(of_plan: _OfPlan, priced: _Priced, gathered: _Gathered) -> LineColumns:
    """Return the lines with the guarantee's, and note what other plans would have cost."""
    versions = of_plan.versions
    others: dict[str, tuple[LineColumns, Sequence[VersionInForce]]] = {}
    for plan_id, columns in priced.others.items():
        offered = of_plan.offers[plan_id].versions
        others[offered[-1][1].plan_code] = columns, offered
    known = alternatives_of(priced.own, versions, others, 1)
    for place, owner in enumerate(of_plan.owners):
        gathered.alternatives[owner.id].append(
            costs_of(known, place, versions[-1][1], others, _promised(of_plan))
        )
    return with_guarantee(priced.own, versions, known, (of_plan.period,))


def _mask_outside(energy: _Energy) -> None:
    """Leave out what was used before an account opened or from the day it closed."""
    for row in range(len(energy.owners)):
        own = _own_days(energy, row)
        energy.matrix.energy_wh[row, : own.start] = 0
        energy.matrix.energy_wh[row, own.stop :] = 0


def _own_days(energy: _Energy, row: int) -> slice:
    """Return the intervals of a row on which its owner's account is open."""
    matrix, owner = energy.matrix, energy.owners[row]
    step = timedelta(minutes=matrix.interval_min)
    intervals = matrix.energy_wh.shape[1]
    first, end = 0, intervals
    if owner.opened_on > local_date(matrix.start, energy.zone):
        first = (local_midnight(owner.opened_on, energy.zone) - matrix.start) // step
    if owner.closed_on is not None:
        end = (local_midnight(owner.closed_on, energy.zone) - matrix.start) // step
    return slice(min(max(first, 0), intervals), min(max(end, 0), intervals))


def _set_aside(
    session: Session,
    matrix: IntervalMatrix,
    period: Period,
    zone: ZoneInfo,
    known_at: datetime | None,
) -> dict[int, str]:
    """Put estimates where the meter's verification did not hold; return, by row, which.

    What was measured there stays stored, but does not count: the estimate's quantity is spread over
    the intervals by a standard profile, so that zones and ranges have something to go by.
    """
    found = estimate_store.setting_aside(session, matrix.channel_ids, period, known_at=known_at)
    step = timedelta(minutes=matrix.interval_min)
    intervals = matrix.energy_wh.shape[1]
    aside: dict[int, str] = {}
    for row, channel_id in enumerate(matrix.channel_ids):
        for one in found.get(channel_id, ()):
            values = spread_by_profile(one.quantity, one.period, matrix.interval_min, zone)
            first = (one.period.start - matrix.start) // step
            begin, end = max(first, 0), min(first + len(values), intervals)
            matrix.energy_wh[row, begin:end] = values[begin - first : end - first]
            matrix.quality[row, begin:end] = Quality.ESTIMATED
            aside[row] = f"{aside.get(row, '')}{one.id}:{one.quantity};"
    return aside


def _guessed(matrix: IntervalMatrix) -> npt.NDArray[np.bool_]:
    """Say of which intervals the value was not measured."""
    guessed: npt.NDArray[np.bool_] = np.asarray(
        (matrix.quality == Quality.ESTIMATED) | (matrix.quality == Quality.SUBSTITUTED)
    )
    return guessed


def _used_estimates(
    session: Session,
    group: Sequence[PremisesChannel],
    guessed: npt.NDArray[np.bool_],
    period: Period,
    known_at: datetime | None,
) -> dict[int, tuple[UsedEstimate, ...]]:
    """Return, by row, the methods by which a channel's values of `period` were estimated."""
    rows = np.flatnonzero(guessed.any(axis=1)).tolist()
    if not rows:
        return {}
    kept = estimate_store.kept_estimates(
        session, [group[row].point_id for row in rows], known_at=known_at
    )
    return {
        row: tuple(
            dict.fromkeys(
                UsedEstimate.of(one.method, one.basis)
                for one in kept.get(group[row].point_id, ())
                if one.channel_id == group[row].channel_id and one.period.intersect(period)
            )
        )
        for row in rows
    }


def _gather_meters(
    energy: _Energy,
    serials: dict[int, PremisesMeter],
    asked: _Asked,
    aside: Mapping[int, str],
    gathered: _Gathered,
) -> None:
    matrix = energy.matrix
    totals = matrix.energy_wh.sum(axis=1, dtype=np.int64).tolist()
    guessed = _guessed(matrix)
    estimated = (
        np.where(guessed, matrix.energy_wh, 0).sum(axis=1, dtype=np.int64).tolist()
        if guessed.any()
        else [0] * len(totals)
    )
    missing = (matrix.quality == Quality.MISSING).any(axis=1).tolist()
    for row, (channel, account) in enumerate(zip(energy.channels, energy.owners, strict=True)):
        meter = serials.get(channel.point_id)
        gathered.meters[account.id].append(
            MeterFact(
                serial=meter.serial if meter else "",
                point_code=channel.point_code,
                service=Service.ELECTRICITY,
                measured=totals[row] - estimated[row],
                estimated=estimated[row],
                verified_until=None if meter is None else meter.verified_until,
            )
        )
        if not asked.closing:
            continue
        if missing[row] and (matrix.quality[row, _own_days(energy, row)] == Quality.MISSING).any():
            gathered.warnings[account.id].append(INTERVALS_MISSING)
        if row not in aside and _expired(meter, asked.first):
            gathered.warnings[account.id].append(VERIFICATION_EXPIRED)


def _expired(meter: PremisesMeter | None, first: date) -> bool:
    """Say whether a meter's verification had run out before the month began."""
    if meter is None or meter.verified_until is None:
        return False
    return meter.verified_until < first


def _rate_registers(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    asked: _Asked,
    gathered: _Gathered,
) -> None:
    by_hand = [a for a in accounts if a.measurement is Measurement.REGISTERS]
    if not by_hand:
        return
    split = retailer(session).price_split
    for account_id, charge in rate_registers(
        session, by_hand, month, split, known_at=asked.known_at, inputs=asked.inputs
    ).items():
        gathered.lines[account_id].extend(charge.lines)
        gathered.meters[account_id].extend(charge.meters)
        gathered.warnings[account_id].extend(charge.warnings)
        if charge.refused is not None:
            gathered.refuse(account_id, charge.refused)
        if charge.alternatives:
            gathered.alternatives[account_id].append(charge.alternatives)


def _counted_in(
    period: Period, readings: Sequence[RegisterReading], digits: int
) -> list[RegisterDifference]:
    """Return what a house's heat meter counted in a month; nothing where it went back."""
    try:
        differences = register_differences(readings, digits=digits, commodity=Commodity.HEAT)
    except RegisterBackwards:
        return []
    return [one for one in differences if period.start < one.period.end <= period.end]


def _share_heat(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    known_at: datetime | None,
    gathered: _Gathered,
) -> None:
    """Share the heat of each house that has a house meter, by area, over all of its premises."""
    building_ids = {account.building_id for account in accounts}
    houses = heating_store.heated_houses(session, building_ids, month.first_day)
    if not houses:
        return
    meters = [
        meter
        for meter in metering_store.meters_of_buildings(session, houses)
        if meter.commodity is Commodity.HEAT
    ]
    areas = areas_of_buildings(session, houses, month.days[-1], known_at=known_at)
    for meter in meters:
        house = houses[meter.building_id]
        mine = [a for a in accounts if a.building_id == meter.building_id]
        zone = mine[0].zone
        period = month.period(zone)
        readings = metering_store.load_registers(
            session, [meter.meter_id], last=period.end, known_at=known_at
        )
        used = _counted_in(period, readings, meter.digits)
        rate_scaled = heating_store.heat_rate(
            session, house.plan_code, month.first_day, known_at=known_at
        )
        if not used or rate_scaled is None:
            for account in mine:
                gathered.warnings[account.id].append(HEAT_UNKNOWN)
            continue
        heat_kcal = sum(difference.energy for difference in used)
        flats = tuple(
            HeatedFlat(premises_id, area) for premises_id, area in areas[meter.building_id]
        )
        shares = share_building_month(
            HouseMonth(heat_kcal, rate_scaled, flats, house.common_area_dm2)
        )
        by_premises = {share.premises_id: share for share in shares.shares}
        whole_dm2 = sum(flat.area_dm2 for flat in flats)
        for account in mine:
            whole = by_premises[account.premises_id]
            of_month = month.first_day, month.plus(1).first_day
            days = account.stays[0].first, account.stays[-1].end
            heat = part_of_days(whole.heat_kcal, of_month, *days)
            amount_minor = part_of_days(whole.amount_minor, of_month, *days)
            if not heat and not amount_minor:
                continue
            gathered.lines[account.id].append(
                NewLine(
                    service=Service.HEAT,
                    key=f"heat/{house.plan_code}",
                    quantity=heat,
                    rate_scaled=rate_scaled,
                    amount_minor=amount_minor,
                    period_start=local_midnight(days[0], zone),
                    period_end=local_midnight(days[1], zone),
                    input_digest=shares.input_digest,
                    charge=ChargeKind.SERVICE,
                    unit=LineUnit.KCAL,
                    detail=canonical_json(
                        {
                            "house_kcal": heat_kcal,
                            "house_minor": shares.amount_minor,
                            "house_area_dm2": whole_dm2,
                            "area_dm2": dict(areas[meter.building_id])[account.premises_id],
                        }
                    ),
                )
            )
