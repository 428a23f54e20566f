"""What accounts without intervals owe: differences of registers, by zone, at the prices they saw.

A stretch between two readings is charged in the month its later reading closes. Estimated readings
count like others, and the lines say how much of them they are; readings of a meter whose
verification has expired do not count.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from billing.accounts import BilledAccount, Stay
from billing.charges import ENERGY_KINDS, MeterFact, NewLine, UsedEstimate
from billing.explanation.inputs import CountedStretch, Inputs, RatedRegisters
from billing.law import (
    ESTIMATE_NOT_APPLIED,
    ESTIMATE_UNCERTAIN,
    NO_METER_PLAN,
    REGISTER_WENT_BACK,
)
from billing.models import PriceSplit, Service
from billing.month.alternatives import (
    PlanCost,
    as_columns,
    costs_of,
    has_benefit,
    together,
)
from billing.month.days import part_of_days
from billing.month.facts import digest_with
from billing.month.lines import LineContext, names_of, new_line, zoneless
from billing.month.needs import needs_of
from billing.month.store import plans_on_offer, stated_facts
from kilokassa.core.apportion import apportion
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.digest import digest_text
from kilokassa.core.ids import AccountId, TariffPlanId
from kilokassa.core.money import half_up_ratio
from kilokassa.core.period import Period
from kilokassa.core.zones import Zone
from metering import store
from metering.estimation import store as estimate_store
from metering.estimation.store import Estimate
from metering.estimation.trust import trusted_series, trusted_spans
from metering.registers import (
    ESTIMATES,
    RegisterBackwards,
    RegisterReading,
    register_differences,
)
from metering.registry.at_premises import PremisesMeter
from metering.registry.places import PPM, Commodity
from tariffs.facts import AccountFacts
from tariffs.guarantee import alternatives_of, with_guarantee
from tariffs.lines import CannotRate, ChargeLine, LineColumns, VersionInForce, lines_of
from tariffs.plans import RangeBasis
from tariffs.rating import rate_readings
from tariffs.store import versions_in_force


@dataclass(slots=True)
class RegisterCharge:
    """What one account's registers came to in a month."""

    lines: list[NewLine] = field(default_factory=list)
    meters: list[MeterFact] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    alternatives: tuple[PlanCost, ...] = ()
    """What the same consumption would have cost, where the plan promises or gives something."""
    refused: CannotRate | None = None
    """Why the plan could not price what was counted; the first reason where there are several."""


def rate_registers(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    split: PriceSplit,
    *,
    known_at: datetime | None = None,
    inputs: Inputs | None = None,
) -> dict[AccountId, RegisterCharge]:
    """Rate what is read by hand: from the reading before the month to the last one in it."""
    if not accounts:
        return {}
    premises_ids = {account.premises_id for account in accounts}
    meters = [
        meter
        for meter in store.meters_of_premises(session, premises_ids, known_at=known_at)
        if meter.commodity is Commodity.ELECTRICITY
    ]
    readings = _readings(session, meters, max(month.period(a.zone).end for a in accounts), known_at)
    verified = estimate_store.verifications(
        session, [meter.meter_id for meter in meters], known_at=known_at
    )
    scaling = estimate_store.scaling_of_points(session, {meter.point_id for meter in meters})
    points = estimate_store.flat_points(session, premises_ids)
    kept = estimate_store.kept_estimates(
        session, [point.point_id for point in points], known_at=known_at
    )
    meters_of: dict[int | None, list[PremisesMeter]] = {}
    for meter in meters:
        meters_of.setdefault(meter.premises_id, []).append(meter)
    estimates_of: dict[int, list[Estimate]] = {}
    for point in points:
        estimates_of.setdefault(point.premises_id, []).extend(
            one for one in kept.get(point.point_id, ()) if one.channel_id is None
        )
    found: dict[AccountId, RegisterCharge] = {}
    for account in accounts:
        charge = found[account.id] = RegisterCharge()
        own_meters = meters_of.get(account.premises_id, [])
        own_estimates = estimates_of.get(account.premises_id, [])

        def counted(
            meter: PremisesMeter, period: Period, zone: ZoneInfo = account.zone
        ) -> list[CountedStretch]:
            spans = trusted_spans(meter.verified_until, verified.get(meter.meter_id, ()), zone)
            of_meter = readings.get(meter.meter_id, ())
            return _uses(of_meter, meter, spans, period, scaling.get(meter.point_id, (1, 0)), split)

        period = month.period(account.zone)
        uses: list[CountedStretch] = []
        for meter in own_meters:
            try:
                of_meter = counted(meter, period)
            except RegisterBackwards:
                charge.warnings.append(REGISTER_WENT_BACK)
                continue
            if of_meter:
                charge.meters.extend(_facts(meter, of_meter, readings[meter.meter_id]))
                uses.extend(of_meter)
            elif meter.removed_on is None:
                charge.warnings.append(ESTIMATE_NOT_APPLIED)
        estimates = _ending_in(own_estimates, period)
        before = partial(_counted_before, account, month, own_meters, own_estimates, counted)
        for of_stay in _rate(session, account, month, uses, estimates, before, charge, known_at):
            if inputs is not None:
                inputs.registers.append(
                    RatedRegisters(
                        account_id=account.id,
                        versions=of_stay.versions,
                        quantities_wh=of_stay.quantities,
                        zone=account.zone,
                        stretches=uses,
                        meters={meter.meter_id: meter for meter in own_meters},
                        readings=readings,
                        estimates=estimates,
                        scaling=scaling,
                        facts=of_stay.facts,
                    )
                )
    return found


def _ending_in(estimates: Sequence[Estimate], period: Period) -> list[Estimate]:
    return [one for one in estimates if period.start < one.period.end <= period.end]


def _counted_before(
    account: BilledAccount,
    month: Month,
    meters: Sequence[PremisesMeter],
    estimates: Sequence[Estimate],
    counted: Callable[[PremisesMeter, Period], list[CountedStretch]],
) -> Counter[Zone]:
    """Return what registers and estimates came to in the months of the year before, by zone.

    By the rule of the month itself: a stretch counts where its later reading was taken.
    """
    found: Counter[Zone] = Counter()
    year = Month(month.year, 1)
    start = max(account.opened_on, year.first_day)
    if start >= month.first_day:
        return found
    period = Period(local_midnight(start, account.zone), month.period(account.zone).start)
    for meter in meters:
        try:
            for use in counted(meter, period):
                found[use.zone] += use.energy_wh
        except RegisterBackwards:
            continue  # said of the month it happened in
    for one in _ending_in(estimates, period):
        if one.meter_id is None:
            found[Zone.ALL] += one.quantity
    return found


def _readings(
    session: Session,
    meters: Sequence[PremisesMeter],
    last: datetime,
    known_at: datetime | None,
) -> dict[int, list[RegisterReading]]:
    found: dict[int, list[RegisterReading]] = {}
    for reading in store.load_registers(
        session, [m.meter_id for m in meters], last=last, known_at=known_at
    ):
        found.setdefault(reading.meter_id, []).append(reading)
    return found


def _uses(
    readings: Sequence[RegisterReading],
    meter: PremisesMeter,
    spans: Sequence[Period],
    period: Period,
    scaling: tuple[int, int],
    split: PriceSplit,
) -> list[CountedStretch]:
    """Return what a meter's registers counted over the stretches that the month closes."""
    before_end = [reading for reading in readings if reading.taken_at <= period.end]
    differences = [
        difference
        for series in trusted_series(before_end, spans)
        for difference in register_differences(series, digits=meter.digits)
        if period.start < difference.period.end <= period.end
    ]
    multiplier, loss_ppm = scaling
    uses = []
    for zone in sorted({difference.zone for difference in differences}, key=str):
        of_zone = [difference for difference in differences if difference.zone is zone]
        measured = [difference.energy * multiplier for difference in of_zone]
        # Losses are rounded once for the month's stretches together, and then shared over them.
        lost_wh = half_up_ratio(sum(measured) * loss_ppm, PPM)
        charged = measured
        if lost_wh:
            charged = list(apportion(sum(measured) + lost_wh, measured))
        uses += [
            CountedStretch(
                meter_id=meter.meter_id,
                zone=zone,
                period=difference.period,
                measured_wh=measured_wh,
                energy_wh=energy_wh,
                estimated=difference.quality in ESTIMATES,
            )
            for difference, measured_wh, energy_wh in zip(of_zone, measured, charged, strict=True)
        ]
    return _as_whole_stretches(uses) if split is PriceSplit.DAYS else uses


def _as_whole_stretches(uses: Sequence[CountedStretch]) -> list[CountedStretch]:
    """Return each register's stretches as one: readings in between do not tell prices apart."""
    found = []
    for zone in sorted({use.zone for use in uses}, key=str):
        of_zone = [use for use in uses if use.zone is zone]
        for estimated in (False, True):
            part = [use for use in of_zone if use.estimated is estimated]
            if part:
                found.append(
                    CountedStretch(
                        meter_id=part[0].meter_id,
                        zone=zone,
                        period=Period(part[0].period.start, part[-1].period.end),
                        measured_wh=sum(use.measured_wh for use in part),
                        energy_wh=sum(use.energy_wh for use in part),
                        estimated=estimated,
                    )
                )
    return found


def _facts(
    meter: PremisesMeter, uses: Sequence[CountedStretch], readings: Iterable[RegisterReading]
) -> list[MeterFact]:
    values = {(reading.zone, reading.taken_at): reading.value for reading in readings}
    facts = []
    for zone in sorted({use.zone for use in uses}, key=str):
        of_zone = [use for use in uses if use.zone is zone]
        first = min(use.period.start for use in of_zone)
        last = max(use.period.end for use in of_zone)
        facts.append(
            MeterFact(
                serial=meter.serial,
                point_code=meter.point_code,
                service=Service.ELECTRICITY,
                measured=sum(use.measured_wh for use in of_zone if not use.estimated),
                estimated=sum(use.measured_wh for use in of_zone if use.estimated),
                zone=zone,
                previous=values[zone, first],
                current=values[zone, last],
                verified_until=meter.verified_until,
            )
        )
    return facts


@dataclass(frozen=True, slots=True, eq=False)
class _OfStay:
    """What an account's registers counted on the days of one plan."""

    stay: Stay
    quantities: Mapping[tuple[Period, Zone], int]
    estimated: Mapping[tuple[Period, Zone], int]
    versions: Sequence[VersionInForce]
    offers: Mapping[TariffPlanId, Sequence[VersionInForce]]
    """The plans that the bill compares with, where it does."""
    facts: AccountFacts | None
    offer_facts: Mapping[TariffPlanId, AccountFacts | None]
    """What each of those plans asks for."""


def _rate(
    session: Session,
    account: BilledAccount,
    month: Month,
    uses: Sequence[CountedStretch],
    estimates: Sequence[Estimate],
    before: Callable[[], Counter[Zone]],
    charge: RegisterCharge,
    known_at: datetime | None,
) -> list[_OfStay]:
    """Price all stretches of an account together, stay by stay: one line a key, rounded once.

    Returns what was priced and by which versions.
    """
    without_meter = [one for one in estimates if one.meter_id is None]
    if not uses and not without_meter:
        return []
    if without_meter and ESTIMATE_NOT_APPLIED in charge.warnings:
        charge.warnings.remove(ESTIMATE_NOT_APPLIED)
    used = tuple(dict.fromkeys(UsedEstimate.of(one.method, one.basis) for one in estimates))
    readings = digest_text(
        "|".join(
            f"{use.meter_id}:{use.zone}:{use.period.start}:{use.period.end}:{use.energy_wh}"
            for use in uses
        )
        + "".join(f"|{one.rule}:{one.period.start}:{one.quantity}" for one in without_meter)
    )
    parts = [
        *(_Part(use.period, use.zone, use.energy_wh, use.estimated) for use in uses),
        *(_Part(one.period, Zone.ALL, one.quantity, True) for one in without_meter),
    ]
    found: list[_OfStay] = []
    counted: Counter[Zone] = Counter()
    costs: list[tuple[PlanCost, ...]] = []
    beside_minor = 0
    for stay in account.stays:
        of_stay = _of_stay(
            session, account, month, stay, parts, lambda: before() + counted, known_at
        )
        if of_stay is None:
            continue
        if without_meter and any(version.zones != (Zone.ALL,) for _, version in of_stay.versions):
            charge.warnings.append(NO_METER_PLAN)
            continue
        try:
            lines, known = _priced(of_stay, account.zone)
            guessed = _estimated_parts(of_stay, account.zone)
        except CannotRate as refusal:
            charge.refused = charge.refused or refusal
            continue
        if known:
            costs.append(known)
        else:
            beside_minor += sum(line.amount_minor for line in lines)
        context = LineContext(
            names=names_of(of_stay.versions, of_stay.offers),
            zoneless=zoneless(of_stay.versions),
            own_day=None if stay == account.stays[0] else stay.first,
            input_digest=digest_with(readings, of_stay.facts),
            estimates=used,
        )
        charge.lines.extend(
            new_line(
                context,
                line.spec,
                line.quantity_wh,
                line.amount_minor,
                guessed.get(line.spec.key, 0),
            )
            for line in lines
        )
        if of_stay.estimated and any(not one.certain for one in used):
            charge.warnings.append(ESTIMATE_UNCERTAIN)
        for (_, zone), energy_wh in of_stay.quantities.items():
            counted[zone] += energy_wh
        found.append(of_stay)
    charge.alternatives = together(costs, beside_minor) if costs else ()
    return found


class _Part(NamedTuple):
    """A quantity counted over a stretch, by a register or an estimate."""

    period: Period
    zone: Zone
    energy_wh: int
    estimated: bool


def _of_stay(
    session: Session,
    account: BilledAccount,
    month: Month,
    stay: Stay,
    parts: Sequence[_Part],
    counted: Callable[[], Counter[Zone]],
    known_at: datetime | None,
) -> _OfStay | None:
    """Return what belongs to a stay, by days where no reading was taken when it began or ended."""
    quantities: Counter[tuple[Period, Zone]] = Counter()
    estimated: Counter[tuple[Period, Zone]] = Counter()
    for part in parts:
        own = _own_part(part, account, month, stay)
        if own is None:
            continue
        quantities[own.period, own.zone] += own.energy_wh
        if own.estimated:
            estimated[own.period, own.zone] += own.energy_wh
    if not quantities:
        return None
    start = min(stretch.start for stretch, _ in quantities)
    end = max(stretch.end for stretch, _ in quantities)
    period = Period(start, max(local_midnight(stay.end, account.zone), end))
    plan_id = stay.plan_id
    versions = versions_in_force(session, [plan_id], period, account.zone, known_at=known_at).get(
        plan_id, ()
    )
    offers: Mapping[TariffPlanId, Sequence[VersionInForce]] = {}
    if has_benefit(versions):
        offers = plans_on_offer(session, plan_id, period, account.zone, known_at=known_at)

    def facts_for(priced: Sequence[VersionInForce]) -> AccountFacts | None:
        needs = needs_of(version for _, version in priced)
        if needs is None:
            return None
        on = stay.end - timedelta(days=1)
        facts = stated_facts(session, [account], needs, period, on, closing=True, known_at=known_at)
        if needs.counted_this_year:
            facts = replace(facts, opening_wh=_opening(priced, counted()))
        return facts

    return _OfStay(
        stay,
        quantities,
        estimated,
        versions,
        offers,
        facts_for(versions),
        {other_id: facts_for(others) for other_id, others in offers.items() if other_id != plan_id},
    )


def _own_part(part: _Part, account: BilledAccount, month: Month, stay: Stay) -> _Part | None:
    """Return what of a stretch belongs to a stay, which is all where nothing changed in it.

    The stretch may have begun months before: what was counted then belongs to the account's first
    stay, unless the account opened since.
    """
    opened_before = account.opened_on < month.first_day and stay == account.stays[0]
    stays_on = stay.end == month.plus(1).first_day and account.closed_on is None
    first = date.min if opened_before else stay.first
    end = date.max if stays_on else stay.end
    whole = (
        local_date(part.period.start, account.zone),
        local_date(part.period.end, account.zone),
    )
    if first <= whole[0] and whole[1] <= end:
        return part if whole[0] < end else None
    energy_wh = part_of_days(part.energy_wh, whole, first, end)
    begins = max(part.period.start, local_midnight(max(first, whole[0]), account.zone))
    ends = min(part.period.end, local_midnight(min(end, whole[1]), account.zone))
    if begins >= ends:
        return None
    return part._replace(period=Period(begins, ends), energy_wh=energy_wh)


def _opening(
    versions: Sequence[VersionInForce], counted: Mapping[Zone, int]
) -> npt.NDArray[np.int64]:
    """Return what a year's ladder holds before a stay, in the zones that the plan then has."""
    version = versions[0][1]
    if version.zones == (Zone.ALL,) or version.range_basis is RangeBasis.TOTAL:
        return np.array([sum(counted.values())], dtype=np.int64)
    return np.array([[counted.get(zone, 0) for zone in version.zones]], dtype=np.int64)


def _priced(
    of_stay: _OfStay, zone: ZoneInfo
) -> tuple[tuple[ChargeLine, ...], tuple[PlanCost, ...]]:
    """Return the lines, with the guarantee's where one is due, and what other plans would cost."""
    lines = rate_readings(of_stay.versions, of_stay.quantities, zone, facts=of_stay.facts)
    if not of_stay.offers or not lines:
        return lines, ()
    own = of_stay.versions[-1][1]
    promise = own.charges.guarantee
    promised = None if promise is None else promise.plan_code
    others: dict[str, tuple[LineColumns, Sequence[VersionInForce]]] = {}
    for plan_id, versions in of_stay.offers.items():
        code = versions[-1][1].plan_code
        if plan_id == of_stay.stay.plan_id:
            continue
        try:
            rated = rate_readings(
                versions, of_stay.quantities, zone, facts=of_stay.offer_facts[plan_id]
            )
        except CannotRate:
            # What cannot be priced is no alternative; only a promise may not be left open.
            if code == promised:
                raise
        else:
            others[code] = as_columns(rated), versions
    columns = as_columns(lines)
    known = alternatives_of(columns, of_stay.versions, others, 1)
    period = Period(
        min(stretch.start for stretch, _ in of_stay.quantities),
        max(stretch.end for stretch, _ in of_stay.quantities),
    )
    lines = lines_of(with_guarantee(columns, of_stay.versions, known, (period,)), 0)
    return lines, costs_of(known, 0, own, others, promised)


def _estimated_parts(of_stay: _OfStay, zone: ZoneInfo) -> dict[str, int]:
    """Return how much of each line is estimated: the same sharing, of the estimated part alone."""
    if not of_stay.estimated:
        return {}
    # The same stretches, so that the lines have the same keys; what was measured weighs nothing.
    part = {key: of_stay.estimated.get(key, 0) for key in of_stay.quantities}
    return {
        line.spec.key: line.quantity_wh
        for line in rate_readings(of_stay.versions, part, zone, facts=of_stay.facts)
        if line.spec.kind in ENERGY_KINDS
    }
