"""Use cases of estimates: bring them in line with what was read, then fill what a month misses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from kilokassa.core.calendar import Month, intervals_in_day, local_date, local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.money import half_up_ratio
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering import store
from metering.days import DayBlock, IntervalMatrix, whole_days
from metering.estimation import store as estimate_store
from metering.estimation.gaps import (
    CONTEXT_DAYS,
    ChannelMonth,
    FilledGap,
    RegisterTotal,
    average_basis,
    fill_gaps,
    gaps_in,
    norm_basis,
)
from metering.estimation.methods import (
    EstimationMethod,
    MeasuredUse,
    Norm,
    by_norm,
    house_mean,
    norm_in_force,
    own_average,
)
from metering.estimation.registers import (
    BETWEEN_READINGS,
    KeptEstimate,
    MissingReading,
    RegisterChanges,
    averages,
    by_register,
    charged_month,
    estimated_readings,
    measured_uses,
    missing_reading,
    period_number,
    settle,
)
from metering.estimation.rules import (
    WHOLE_PERIOD_METHODS,
    EstimationRule,
    RuleChain,
    Trigger,
    consecutive,
)
from metering.estimation.store import SETTING_ASIDE, Estimate, FlatPoint, PointMeter
from metering.estimation.trust import span_of_estimate, trusted_series, trusted_spans, untrusted
from metering.registers import ESTIMATES, RegisterReading, modulus
from metering.registry.at_premises import PremisesChannel
from metering.registry.places import PPM, Commodity

SOURCE: Final = "estimate"
HISTORY_MONTHS: Final = 12
"""How far back an interval channel's own months are looked for."""


@dataclass(frozen=True, slots=True)
class Household:
    """Who lives at a premises in a month, as norms and the account's days ask for it."""

    premises_id: int
    by_registers: bool
    persons: int
    opened_on: date
    closed_on: date | None = None


@dataclass(frozen=True, slots=True)
class EstimatesOrder:
    """A month to be made whole for some households."""

    month: Month
    households: tuple[Household, ...]
    chain: RuleChain


@dataclass(frozen=True, slots=True)
class EstimatesReport:
    """What was done; sums over parts make the report of the run."""

    registers: int = 0
    """Register readings that were estimated, one a zone."""
    gaps: int = 0
    """Gaps of channels that were filled."""
    quantity_wh: int = 0
    replaced: int = 0
    """Estimates that what was read later replaced."""
    left: tuple[tuple[str, Trigger], ...] = field(default=())
    """Points for which no rule had what it needs."""

    def __add__(self, other: "EstimatesReport") -> "EstimatesReport":
        return EstimatesReport(
            self.registers + other.registers,
            self.gaps + other.gaps,
            self.quantity_wh + other.quantity_wh,
            self.replaced + other.replaced,
            self.left + other.left,
        )


def estimate_month(session: Session, order: EstimatesOrder, clock: Clock) -> EstimatesReport:
    """Make a month whole: replace what was read since, then estimate what is missing.

    The same order again changes nothing. What no rule can estimate stays missing and is told.
    """
    by_registers = [h for h in order.households if h.by_registers]
    by_intervals = [h for h in order.households if not h.by_registers]
    report = EstimatesReport()
    if by_registers:
        report += _Registers.of(session, by_registers).settled(session, clock)
        # Anew: what was settled is where the month's estimates go on from.
        estimated = _Registers.of(session, by_registers).estimated(session, order, clock)
        report += estimated
        if estimated.registers:
            # Where a reading after the month is known already, the estimate yields to it at once.
            report += _Registers.of(session, by_registers).settled(session, clock)
    if by_intervals:
        report += _estimate_gaps(session, order, by_intervals, clock)
    return report


# --- registers ---


@dataclass(frozen=True, slots=True)
class _Meter:
    point: FlatPoint
    meter: PointMeter
    multiplier: int
    spans: tuple[Period, ...]
    series: tuple[tuple[RegisterReading, ...], ...]

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.point.zone)

    @property
    def installed_on(self) -> date:
        return self.meter.installed_on

    @property
    def removed_on(self) -> date | None:
        return self.meter.removed_on

    @property
    def modulus(self) -> int:
        return modulus(self.meter.digits, Commodity.ELECTRICITY)

    def kept(self, estimates: Sequence[Estimate], number: int) -> list[KeptEstimate]:
        """Return the estimates of this meter that stand in one span."""
        return [
            KeptEstimate(
                id=one.id,
                zone=one.zone,
                period=one.period,
                method=one.method,
                rule=one.rule,
                quantity=one.quantity // self.multiplier,
            )
            for one in estimates
            if one.meter_id == self.meter.meter_id
            and one.zone is not None
            and span_of_estimate(self.spans, one.period.end) == number
        ]


@dataclass(frozen=True, slots=True)
class _Registers:
    """The meters of households that are billed by registers, with all that they showed."""

    households: Mapping[int, Household]
    points: tuple[FlatPoint, ...]
    meters: Mapping[int, list[_Meter]]
    """By point, in the order they were installed."""
    estimates: Mapping[int, list[Estimate]]

    @classmethod
    def of(cls, session: Session, households: Sequence[Household]) -> "_Registers":
        points = estimate_store.flat_points(session, [h.premises_id for h in households])
        point_ids = [point.point_id for point in points]
        meters = estimate_store.meters_of_points(session, point_ids)
        meter_ids = [meter.meter_id for of_point in meters.values() for meter in of_point]
        scaling = estimate_store.scaling_of_points(session, point_ids)
        verified = estimate_store.verifications(session, meter_ids)
        readings: dict[int, list[RegisterReading]] = {}
        for reading in store.load_registers(session, meter_ids):
            readings.setdefault(reading.meter_id, []).append(reading)
        found: dict[int, list[_Meter]] = {}
        for point in points:
            for meter in meters.get(point.point_id, ()):
                spans = trusted_spans(
                    meter.verified_until,
                    verified.get(meter.meter_id, ()),
                    ZoneInfo(point.zone),
                )
                found.setdefault(point.point_id, []).append(
                    _Meter(
                        point=point,
                        meter=meter,
                        multiplier=scaling.get(point.point_id, (1, 0))[0],
                        spans=spans,
                        series=trusted_series(readings.get(meter.meter_id, ()), spans),
                    )
                )
        return cls(
            households={h.premises_id: h for h in households},
            points=points,
            meters=found,
            estimates=estimate_store.kept_estimates(session, point_ids),
        )

    def settled(self, session: Session, clock: Clock) -> EstimatesReport:
        """Replace the estimates that later readings settled."""
        metered = self._metered_since()
        estimate_store.replace_estimates(session, metered, clock.now())
        report = EstimatesReport(replaced=len(metered))
        for of_point in self.meters.values():
            for meter in of_point:
                kept = self.estimates.get(meter.point.point_id, ())
                if not kept:
                    continue
                changes = RegisterChanges()
                for number, series in enumerate(meter.series):
                    changes += settle(
                        series, meter.kept(kept, number), modulus=meter.modulus, zone=meter.zone
                    )
                report += _write(session, meter, changes, clock)
        return report

    def _metered_since(self) -> list[int]:
        """Return the estimates for want of a meter where one is known to have stood, after all."""
        return [
            one.id
            for point in self.points
            for one in self.estimates.get(point.point_id, ())
            if one.meter_id is None
            and one.channel_id is None
            and _standing(self.meters.get(point.point_id, ()), _day_before(one.period.end, point))
        ]

    def estimated(self, session: Session, order: EstimatesOrder, clock: Clock) -> EstimatesReport:
        """Estimate the reading of a month's end where there is none."""
        report = EstimatesReport()
        norms = estimate_store.norms(session, Commodity.ELECTRICITY)
        meter_ids = [m.meter.meter_id for of_point in self.meters.values() for m in of_point]
        refused = estimate_store.visits_without_access(
            session, meter_ids, order.month.plus(1).first_day
        )
        means = _HouseMeans(session, order.month)
        for point in self.points:
            household = self.households[point.premises_id]
            month = order.month.period(ZoneInfo(point.zone))
            until = month.end
            if household.closed_on is not None:
                until = min(until, local_midnight(household.closed_on, ZoneInfo(point.zone)))
            work = _PointWork(
                point=point,
                household=household,
                meters=self.meters.get(point.point_id, []),
                kept=self.estimates.get(point.point_id, []),
                norms=norms,
                refused=refused,
                means=means,
            )
            report += work.estimated(session, order, until, clock)
        return report


def _day_before(instant: datetime, point: FlatPoint) -> date:
    """Return the last local day of a point that ends by `instant`."""
    return local_date(instant, ZoneInfo(point.zone)) - timedelta(days=1)


_Placed = TypeVar("_Placed", _Meter, PointMeter)


def _standing(meters: Iterable[_Placed], last_day: date) -> list[_Placed]:
    """Return the meters that stood at their point on a day."""
    return [
        m
        for m in meters
        if m.installed_on <= last_day and (m.removed_on is None or m.removed_on > last_day)
    ]


def _write(
    session: Session, meter: _Meter, changes: RegisterChanges, clock: Clock
) -> EstimatesReport:
    if changes.readings:
        store.write_registers(session, changes.readings, clock, source=SOURCE)
    now = clock.now()
    estimate_store.replace_estimates(session, changes.replaced, now)
    estimate_store.add_estimates(
        session,
        [
            {
                "point_id": meter.point.point_id,
                "meter_id": meter.meter.meter_id,
                "zone": one.zone,
                "starts_at": one.period.start,
                "ends_at": one.period.end,
                "method": one.method,
                "rule": one.rule,
                "basis": one.basis,
                "quantity": one.quantity * meter.multiplier,
            }
            for one in changes.estimates
        ],
        now,
    )
    return EstimatesReport(replaced=len(changes.replaced))


@dataclass(frozen=True, slots=True)
class _PointWork:
    """One point in one month: what is missing, and the rule that stands in for it."""

    point: FlatPoint
    household: Household
    meters: Sequence[_Meter]
    kept: Sequence[Estimate]
    norms: Sequence[Norm]
    refused: Mapping[int, Sequence[date]]
    means: "_HouseMeans"

    def estimated(
        self, session: Session, order: EstimatesOrder, until: datetime, clock: Clock
    ) -> EstimatesReport:
        zone = ZoneInfo(self.point.zone)
        standing = _standing(self.meters, _day_before(until, self.point))
        if not standing:
            return self._without_meter(session, order, until, clock)
        report = EstimatesReport()
        for meter in standing:
            for number, span in enumerate(meter.spans):
                following = meter.spans[number + 1].start if number + 1 < len(meter.spans) else None
                start = order.month.period(zone).start
                if span.start >= until or (following is not None and following <= start):
                    continue
                end = until if following is None else min(until, following)
                missing = missing_reading(meter.series[number], order.month, zone, until=end)
                if missing is not None:
                    report += self._filled(session, order, meter, span, missing, clock)
        return report

    def _filled(
        self,
        session: Session,
        order: EstimatesOrder,
        meter: _Meter,
        span: Period,
        missing: MissingReading,
        clock: Clock,
    ) -> EstimatesReport:
        trigger, unverified_from = self._trigger(meter, span, missing, order.chain)
        number = period_number(
            trigger, order.month, self._estimated_months(meter.zone), unverified_from
        )
        rules = order.chain.on(trigger, order.month.days[-1], period_number=number)
        for rule in rules:
            found = self._quantities(rule, meter, missing, order.month)
            if found is None:
                continue
            quantities, basis = found
            changes = estimated_readings(
                missing,
                quantities,
                modulus=meter.modulus,
                method=rule.method,
                rule=rule.code,
                basis={
                    register: {**part, **_of_rule(rule), "period_number": number}
                    for register, part in basis.items()
                },
            )
            _write(session, meter, changes, clock)
            return EstimatesReport(
                registers=len(changes.readings),
                quantity_wh=sum(quantities.values()) * meter.multiplier,
            )
        return EstimatesReport(left=((self.point.point_code, trigger),))

    def _trigger(
        self, meter: _Meter, span: Period, missing: MissingReading, chain: RuleChain
    ) -> tuple[Trigger, date | None]:
        last_read = max(reading.taken_at for reading in missing.anchors)
        if not any(reading.quality not in ESTIMATES for reading in missing.anchors):
            series = next(s for s in meter.series if missing.anchors[0] in s)
            read = [r.taken_at for r in series if r.quality not in ESTIMATES]
            last_read = max(read, default=last_read)
        last_read_on = local_date(last_read, meter.zone)
        visits = [day for day in self.refused.get(meter.meter.meter_id, ()) if day >= last_read_on]
        wanted = [
            rule.visits
            for rule in chain.on(
                Trigger.ACCESS_REFUSED,
                local_date(missing.ends_at, meter.zone) - timedelta(days=1),
            )
        ]
        if wanted and len(visits) >= max(1, min(wanted)):
            return Trigger.ACCESS_REFUSED, None
        if span.end < missing.ends_at:
            return Trigger.VERIFICATION_EXPIRED, local_date(span.end, meter.zone)
        return Trigger.MISSING_READING, None

    def _estimated_months(self, zone: ZoneInfo) -> list[int]:
        return [
            charged_month(one.period.end, zone)
            for one in self.kept
            if one.meter_id is not None and one.rule != BETWEEN_READINGS
        ]

    def _uses(self, registers: Sequence[Zone], month: Month) -> dict[Zone, list[MeasuredUse]]:
        """Return what the point measured before a month, by register, through all its meters."""
        return {
            register: [
                use
                for meter in self.meters
                for series in meter.series
                for use in measured_uses(series, register, meter.modulus, meter.zone)
                if use.last_month < month.ordinal
            ]
            for register in registers
        }

    def _quantities(
        self, rule: EstimationRule, meter: _Meter, missing: MissingReading, month: Month
    ) -> tuple[dict[Zone, int], dict[Zone, dict[str, Any]]] | None:
        """Return what a rule gives each register, before the multiplier, and what it used."""
        registers = [reading.zone for reading in missing.anchors]
        uses = self._uses(registers, month)
        above, below = missing.part
        if rule.method is EstimationMethod.OWN_AVERAGE:
            found = averages(uses, registers, months=rule.months, least=rule.months_least)
            if found is None:
                return None
            return (
                {
                    register: half_up_ratio(average.measured * above, len(average.months) * below)
                    for register, average in found.items()
                },
                {register: average_basis(average) for register, average in found.items()},
            )
        total_basis = self.total(rule, month, missing.part)
        if total_basis is None:
            return None
        total_wh, basis = total_basis
        measured = {
            register: sum(use.quantity for use in of_register)
            for register, of_register in uses.items()
        }
        shared = by_register(half_up_ratio(total_wh, meter.multiplier), missing, measured)
        return shared, {register: basis | {"total_wh": total_wh} for register in registers}

    def total(
        self, rule: EstimationRule, month: Month, part: tuple[int, int]
    ) -> tuple[int, dict[str, Any]] | None:
        """Return what a rule gives the whole point, in Wh, and what it used."""
        if rule.method is EstimationMethod.NORM:
            norm = self._norm(month)
            if norm is None:
                return None
            total_wh = by_norm(
                norm, self.household.persons, multiplier_ppm=rule.multiplier_ppm, part=part
            )
            return total_wh, norm_basis(norm, self.household.persons, rule)
        if rule.method is EstimationMethod.HOUSE_MEAN:
            flats = self.means.measured(self.point)
            mean = house_mean(list(flats.values()), self.point.area_dm2)
            if mean is None:
                return None
            above, below = part
            return half_up_ratio(mean * above, below), {
                "flats": len(flats),
                "house_wh": sum(wh for wh, _ in flats.values()),
                "house_area_dm2": sum(area for _, area in flats.values()),
                "area_dm2": self.point.area_dm2,
            }
        return None

    def _norm(self, month: Month) -> Norm | None:
        if self.point.norm_code is None:
            return None
        return norm_in_force(
            self.norms,
            self.point.norm_code,
            month.first_day,
            rooms=self.point.rooms,
            persons=self.household.persons,
        )

    def _without_meter(
        self, session: Session, order: EstimatesOrder, until: datetime, clock: Clock
    ) -> EstimatesReport:
        """Estimate a point that has no meter now: from when the last was removed, by days."""
        zone = ZoneInfo(self.point.zone)
        month = order.month.period(zone)
        removed = [m.meter.removed_on for m in self.meters if m.meter.removed_on is not None]
        begins = max(
            month.start,
            local_midnight(self.household.opened_on, zone),
            *(local_midnight(day, zone) for day in removed),
        )
        if begins >= until or any(
            one.meter_id is None and one.channel_id is None and one.period.end == until
            for one in self.kept
        ):
            return EstimatesReport()
        days = (local_date(until, zone) - local_date(begins, zone)).days
        for rule in order.chain.on(Trigger.NO_METER, order.month.days[-1]):
            found = self.total(rule, order.month, (days, len(order.month.days)))
            if found is None:
                continue
            total_wh, basis = found
            estimate_store.add_estimates(
                session,
                [
                    {
                        "point_id": self.point.point_id,
                        "starts_at": begins,
                        "ends_at": until,
                        "method": rule.method,
                        "rule": rule.code,
                        "basis": basis | _of_rule(rule),
                        "quantity": total_wh,
                    }
                ],
                clock.now(),
            )
            return EstimatesReport(registers=1, quantity_wh=total_wh)
        return EstimatesReport(left=((self.point.point_code, Trigger.NO_METER),))


class _HouseMeans:
    """What the measured flats of houses used in a month: looked up once a house, when asked."""

    def __init__(self, session: Session, month: Month) -> None:
        self._session = session
        self._month = month
        self._known: dict[int, dict[int, tuple[int, int]]] = {}

    def measured(self, point: FlatPoint) -> dict[int, tuple[int, int]]:
        """Return Wh and area of the other flats of the house that were measured all month."""
        if point.building_id not in self._known:
            self._known[point.building_id] = self._look_up(point.building_id)
        return {
            premises_id: flat
            for premises_id, flat in self._known[point.building_id].items()
            if premises_id != point.premises_id
        }

    def _look_up(self, building_id: int) -> dict[int, tuple[int, int]]:
        session, month = self._session, self._month
        premises = estimate_store.premises_of_building(session, building_id)
        points = {p.point_id: p for p in estimate_store.flat_points(session, premises)}
        estimates = estimate_store.kept_estimates(session, points)
        found: dict[int, int] = {}
        channels = [
            channel
            for channel in store.channels_of_premises(session, premises)
            if channel.commodity is Commodity.ELECTRICITY
        ]
        days = month.days
        totals = store.load_day_totals(
            session, [channel.channel_id for channel in channels], days[0], days[-1]
        )
        whole: npt.NDArray[np.bool_] = np.asarray(
            totals.present.all(axis=1) & ~totals.missing.any(axis=1)
        )
        for row, channel in enumerate(channels):
            if whole[row]:
                found[channel.point_id] = int(totals.total_wh[row].sum())
        households = [Household(p, True, 1, days[0]) for p in premises]
        for point_id, meters in _Registers.of(session, households).meters.items():
            used = [
                use.quantity * meter.multiplier
                for meter in meters
                for series in meter.series
                for register in {reading.zone for reading in series}
                for use in measured_uses(series, register, meter.modulus, meter.zone)
                if (use.first_month, use.last_month) == (month.ordinal, month.ordinal)
            ]
            if used and point_id not in found:
                found[point_id] = sum(used)
        measured: dict[int, tuple[int, int]] = {}
        for point_id, quantity_wh in found.items():
            point = points[point_id]
            period = month.period(ZoneInfo(point.zone))
            if any(
                one.method in WHOLE_PERIOD_METHODS and one.period.intersect(period)
                for one in estimates.get(point_id, ())
            ):
                continue
            before, area_dm2 = measured.get(point.premises_id, (0, point.area_dm2))
            measured[point.premises_id] = before + quantity_wh, area_dm2
        return measured


def _of_rule(rule: EstimationRule) -> dict[str, Any]:
    """Return what a document says of a rule; kept with the estimate, whatever rules hold later."""
    return {"article": rule.article, "certain": rule.certain}


# --- intervals ---


@dataclass(frozen=True, slots=True)
class _Channel:
    channel_id: int
    point: FlatPoint
    interval_min: int
    household: Household

    def fill(self, month: Month) -> Period | None:
        """Return the part of the month in which the account is open."""
        zone = ZoneInfo(self.point.zone)
        period = month.period(zone)
        start = max(period.start, local_midnight(self.household.opened_on, zone))
        end = period.end
        if self.household.closed_on is not None:
            end = min(end, local_midnight(self.household.closed_on, zone))
        return Period(start, end) if start < end else None


def _estimate_gaps(
    session: Session, order: EstimatesOrder, households: Sequence[Household], clock: Clock
) -> EstimatesReport:
    of_premises = {h.premises_id: h for h in households}
    found = [
        channel
        for channel in store.channels_of_premises(session, of_premises)
        if channel.commodity is Commodity.ELECTRICITY
    ]
    kept = estimate_store.kept_estimates(session, {channel.point_id for channel in found})
    of_channel = {
        channel.channel_id: [
            one for one in kept.get(channel.point_id, ()) if one.channel_id == channel.channel_id
        ]
        for channel in found
    }
    zones = {channel.channel_id: ZoneInfo(channel.zone) for channel in found}
    in_gaps = {
        channel_id: [one for one in of_one if not one.rule.startswith(SETTING_ASIDE)]
        for channel_id, of_one in of_channel.items()
    }
    replaced = _replaced_intervals(session, in_gaps, zones)
    estimate_store.replace_estimates(session, replaced, clock.now())
    report = EstimatesReport(replaced=len(replaced))
    report += _set_aside(session, order, found, of_premises, of_channel, clock)
    first, last = order.month.first_day, order.month.days[-1]
    spans = store.day_spans(session, [channel.channel_id for channel in found], first, last)
    broken = [c for c in found if spans.get(c.channel_id) != (first, last, True)]
    if not broken:
        return report
    ever = store.last_days(session, [channel.channel_id for channel in broken])
    points = {
        point.point_id: point
        for point in estimate_store.flat_points(session, {c.premises_id for c in broken})
    }
    groups: dict[tuple[str, int], list[_Channel]] = {}
    for channel in broken:
        if channel.channel_id in ever:  # one that never told anything has no gap to fill
            groups.setdefault((channel.zone, channel.interval_min), []).append(
                _Channel(
                    channel.channel_id,
                    points[channel.point_id],
                    channel.interval_min,
                    of_premises[channel.premises_id],
                )
            )
    for (zone, _), group in sorted(groups.items()):
        report += _fill_group(session, order, group, ZoneInfo(zone), of_channel, clock)
    return report


def _set_aside(
    session: Session,
    order: EstimatesOrder,
    channels: Sequence[PremisesChannel],
    households: Mapping[int, Household],
    kept: Mapping[int, Sequence[Estimate]],
    clock: Clock,
) -> EstimatesReport:
    """Estimate what meters measured after their verification ran out: it does not count."""
    month = order.month
    meters = estimate_store.meters_of_points(session, [c.point_id for c in channels])
    meter_ids = [meter.meter_id for of_point in meters.values() for meter in of_point]
    verified = estimate_store.verifications(session, meter_ids)
    report = EstimatesReport()
    lacking = []
    for channel in channels:
        zone = ZoneInfo(channel.zone)
        standing = _standing(meters.get(channel.point_id, ()), month.days[-1])
        if not standing:
            continue
        meter = standing[-1]
        spans = trusted_spans(meter.verified_until, verified.get(meter.meter_id, ()), zone)
        aside = [one for one in kept[channel.channel_id] if one.rule.startswith(SETTING_ASIDE)]
        again = [one.id for one in aside if any(span.intersect(one.period) for span in spans)]
        estimate_store.replace_estimates(session, again, clock.now())
        report += EstimatesReport(replaced=len(again))
        parts = untrusted(spans, month.period(zone))
        if parts:
            known = {one.period for one in aside if one.id not in again}
            lacking.append((channel, spans, parts, known))
    points = {
        point.point_id: point
        for point in estimate_store.flat_points(session, {c.premises_id for c, *_ in lacking})
    }
    expired: list[tuple[_Channel, tuple[Period, ...], Period, datetime]] = []
    for channel, spans, parts, known in lacking:
        own = _Channel(
            channel.channel_id,
            points[channel.point_id],
            channel.interval_min,
            households[channel.premises_id],
        )
        fill = own.fill(month)
        for part, ran_out in parts:
            period = None if fill is None else part.intersect(fill)
            if period is not None and period not in known:
                expired.append((own, spans, period, ran_out))
    if not expired:
        return report
    norms = estimate_store.norms(session, Commodity.ELECTRICITY)
    means = _HouseMeans(session, month)
    for own, spans, period, ran_out in expired:
        report += _stand_in(session, order, own, spans, period, ran_out, kept, norms, means, clock)
    return report


def _stand_in(
    session: Session,
    order: EstimatesOrder,
    channel: _Channel,
    spans: Sequence[Period],
    period: Period,
    ran_out: datetime,
    kept: Mapping[int, Sequence[Estimate]],
    norms: Sequence[Norm],
    means: "_HouseMeans",
    clock: Clock,
) -> EstimatesReport:
    """Keep the estimate that stands in place of what a channel measured in a period."""
    month, zone = order.month, ZoneInfo(channel.point.zone)
    number = period_number(Trigger.VERIFICATION_EXPIRED, month, (), local_date(ran_out, zone))
    uses = [
        use
        for use in _measured_months(session, [channel], month, kept, zone)[channel.channel_id]
        if not untrusted(spans, Month.from_ordinal(use.last_month).period(zone))
    ]
    days = (local_date(period.end, zone) - local_date(period.start, zone)).days
    part = (days, len(month.days))
    work = _PointWork(channel.point, channel.household, (), (), norms, {}, means)
    for rule in order.chain.on(Trigger.VERIFICATION_EXPIRED, month.days[-1], period_number=number):
        if rule.method is EstimationMethod.OWN_AVERAGE:
            average = own_average(uses, months=rule.months, least=rule.months_least)
            if average is None:
                continue
            quantity_wh = half_up_ratio(average.measured * part[0], len(average.months) * part[1])
            basis: dict[str, Any] = average_basis(average)
        else:
            found = work.total(rule, month, part)
            if found is None:
                continue
            quantity_wh, basis = found
        estimate_store.add_estimates(
            session,
            [
                {
                    "point_id": channel.point.point_id,
                    "channel_id": channel.channel_id,
                    "starts_at": period.start,
                    "ends_at": period.end,
                    "method": rule.method,
                    "rule": rule.code,
                    "basis": basis | _of_rule(rule) | {"period_number": number},
                    "quantity": quantity_wh,
                }
            ],
            clock.now(),
        )
        return EstimatesReport(gaps=1, quantity_wh=quantity_wh)
    return EstimatesReport(left=((channel.point.point_code, Trigger.VERIFICATION_EXPIRED),))


def _replaced_intervals(
    session: Session, kept: Mapping[int, Sequence[Estimate]], zones: Mapping[int, ZoneInfo]
) -> list[int]:
    """Return the estimates of which no interval is an estimate any more."""
    channel_ids = [channel_id for channel_id, estimates in kept.items() if estimates]
    if not channel_ids:
        return []
    estimates = [one for channel_id in channel_ids for one in kept[channel_id]]
    margin = timedelta(days=1)
    first = (min(one.period.start for one in estimates) - margin).date()
    last = (max(one.period.end for one in estimates) + margin).date()
    qualities = {
        (channel_id, day): quality
        for channel_id, days in store.day_qualities(session, channel_ids, first, last).items()
        for day, quality in days
    }
    replaced = []
    for channel_id in channel_ids:
        zone = zones[channel_id]
        for one in kept[channel_id]:
            day = local_date(one.period.start, zone)
            still = False
            while local_midnight(day, zone) < one.period.end and not still:
                quality = qualities.get((channel_id, day), b"")
                still = Quality.ESTIMATED in _within(quality, day, zone, one.period)
                day += timedelta(days=1)
            if not still:
                replaced.append(one.id)
    return replaced


def _within(quality: bytes, day: date, zone: ZoneInfo, period: Period) -> bytes:
    """Return those of a day's qualities whose intervals lie in a period."""
    if not quality:
        return b""
    opens = local_midnight(day, zone)
    step = (local_midnight(day + timedelta(days=1), zone) - opens) / len(quality)
    first = max(0, (period.start - opens) // step)
    last = max(0, min(len(quality), (period.end - opens) // step))
    return quality[first:last]


def _fill_group(
    session: Session,
    order: EstimatesOrder,
    group: Sequence[_Channel],
    zone: ZoneInfo,
    kept: Mapping[int, Sequence[Estimate]],
    clock: Clock,
) -> EstimatesReport:
    """Fill the gaps of channels of one zone and interval length."""
    month = order.month
    first_day = month.first_day - timedelta(days=CONTEXT_DAYS)
    days = [first_day + timedelta(days=n) for n in range(CONTEXT_DAYS + len(month.days) + 1)]
    ids = [channel.channel_id for channel in group]
    matrix = store.load_matrix(session, ids, days, zone, group[0].interval_min)
    registers = _register_totals(
        session,
        group,
        Period(matrix.start, local_midnight(days[-1] + timedelta(days=1), zone)),
    )
    norms = estimate_store.norms(session, Commodity.ELECTRICITY)
    report = EstimatesReport()
    filled: list[tuple[_Channel, ChannelMonth, tuple[FilledGap, ...]]] = []
    longer: list[tuple[_Channel, ChannelMonth, int]] = []
    for row, channel in enumerate(group):
        fill = channel.fill(month)
        if fill is None:
            continue
        number = 1 + consecutive(_long_months(kept[channel.channel_id], zone), month.ordinal)
        here = _channel_month(channel, matrix, row, month, first_day, zone, fill, norms, registers)
        count = len(gaps_in(here))
        if not count:
            continue
        rules = order.chain.on(Trigger.GAP, month.days[-1], period_number=number)
        short = _before_long(rules)
        done = fill_gaps(here, short)
        if len(done) == count:
            filled.append((channel, here, done))
        else:
            longer.append((channel, here, number))
    uses = _measured_months(session, [c for c, _, _ in longer], month, kept, zone)
    for channel, here, number in longer:
        rules = order.chain.on(Trigger.GAP, month.days[-1], period_number=number)
        here = replace(here, uses=uses[channel.channel_id], period_number=number)
        done = fill_gaps(here, rules)
        if done:
            filled.append((channel, here, done))
        if len(done) < len(gaps_in(here)):
            report += EstimatesReport(left=((channel.point.point_code, Trigger.GAP),))
    return report + _write_gaps(session, filled, group[0].interval_min, clock)


def _before_long(rules: Sequence[EstimationRule]) -> tuple[EstimationRule, ...]:
    """Return the rules up to the first that asks about months before."""
    short = []
    for rule in rules:
        if rule.method in WHOLE_PERIOD_METHODS:
            break
        short.append(rule)
    return tuple(short)


def _channel_month(
    channel: _Channel,
    matrix: IntervalMatrix,
    row: int,
    month: Month,
    first_day: date,
    zone: ZoneInfo,
    fill: Period,
    norms: Sequence[Norm],
    registers: Mapping[int, tuple[RegisterTotal, ...]],
) -> ChannelMonth:
    norm = None
    if channel.point.norm_code is not None:
        norm = norm_in_force(
            norms,
            channel.point.norm_code,
            month.first_day,
            rooms=channel.point.rooms,
            persons=channel.household.persons,
        )
    return ChannelMonth(
        month=month,
        zone=zone,
        interval_min=channel.interval_min,
        first_day=first_day,
        start=matrix.start,
        energy_wh=matrix.energy_wh[row],
        quality=matrix.quality[row],
        fill=fill,
        registers=registers.get(channel.point.point_id, ()),
        norm=norm,
        persons=channel.household.persons,
    )


def _long_months(kept: Sequence[Estimate], zone: ZoneInfo) -> list[int]:
    """Return the months in which a method for whole periods stands in for values of a channel."""
    return [
        Month.of(local_date(one.period.start, zone)).ordinal
        for one in kept
        if one.method in WHOLE_PERIOD_METHODS
    ]


def _measured_months(
    session: Session,
    channels: Sequence[_Channel],
    month: Month,
    kept: Mapping[int, Sequence[Estimate]],
    zone: ZoneInfo,
) -> dict[int, tuple[MeasuredUse, ...]]:
    """Return the whole months before `month` that channels measured themselves."""
    if not channels:
        return {}
    months = [month.plus(-back) for back in range(HISTORY_MONTHS, 0, -1)]
    totals = store.load_day_totals(
        session,
        [channel.channel_id for channel in channels],
        months[0].first_day,
        months[-1].days[-1],
    )
    found: dict[int, tuple[MeasuredUse, ...]] = {}
    for row, channel in enumerate(channels):
        guessed = set(_long_months(kept[channel.channel_id], zone))
        uses = []
        place = 0
        for each in months:
            part = slice(place, place + len(each.days))
            place = part.stop
            whole = totals.present[row, part].all() and not totals.missing[row, part].any()
            if whole and each.ordinal not in guessed:
                total_wh = int(totals.total_wh[row, part].sum())
                uses.append(MeasuredUse(each.ordinal, each.ordinal, total_wh))
        found[channel.channel_id] = tuple(uses)
    return found


def _register_totals(
    session: Session, channels: Sequence[_Channel], period: Period
) -> dict[int, tuple[RegisterTotal, ...]]:
    """Return what the meters of points showed in a period, all their registers together."""
    point_ids = [channel.point.point_id for channel in channels]
    meters = estimate_store.meters_of_points(session, point_ids)
    scaling = estimate_store.scaling_of_points(session, point_ids)
    of_meter = {m.meter_id: m for of_point in meters.values() for m in of_point}
    sums: dict[tuple[int, datetime], dict[Zone, int]] = {}
    registers: dict[int, set[Zone]] = {}
    for reading in store.load_registers(session, of_meter, first=period.start, last=period.end):
        if reading.quality not in ESTIMATES:
            key = reading.meter_id, reading.taken_at
            sums.setdefault(key, {})[reading.zone] = reading.value
            registers.setdefault(reading.meter_id, set()).add(reading.zone)
    found: dict[int, list[RegisterTotal]] = {}
    for (meter_id, taken_at), values in sorted(sums.items()):
        # Only where every register was read: a part of them tells nothing of the whole.
        if set(values) != registers[meter_id]:
            continue
        point_id = of_meter[meter_id].point_id
        shown = values.get(Zone.ALL, sum(values.values()))
        multiplier, loss_ppm = scaling.get(point_id, (1, 0))
        total_wh = shown * multiplier + half_up_ratio(shown * multiplier * loss_ppm, PPM)
        found.setdefault(point_id, []).append(RegisterTotal(meter_id, taken_at, total_wh))
    return {point_id: tuple(totals) for point_id, totals in found.items()}


def _write_gaps(
    session: Session,
    filled: Sequence[tuple[_Channel, ChannelMonth, tuple[FilledGap, ...]]],
    interval_min: int,
    clock: Clock,
) -> EstimatesReport:
    """Store the values of gaps, where nothing is known yet, and how they came about."""
    rows: dict[int, list[tuple[int, date, npt.NDArray[np.int64], npt.NDArray[np.uint8]]]] = {}
    estimates: list[dict[str, Any]] = []
    for channel, here, gaps in filled:
        for day, values, quality in _days_of(here, gaps):
            rows.setdefault(len(values), []).append((channel.channel_id, day, values, quality))
        estimates += [
            {
                "point_id": channel.point.point_id,
                "channel_id": channel.channel_id,
                "starts_at": gap.period.start,
                "ends_at": gap.period.end,
                "method": gap.method,
                "rule": gap.rule,
                "basis": gap.basis,
                "quantity": gap.quantity_wh,
            }
            for gap in gaps
        ]
    blocks: list[DayBlock] = [
        whole_days(
            interval_min,
            [channel_id for channel_id, _, _, _ in of_length],
            [day for _, day, _, _ in of_length],
            np.array([values for _, _, values, _ in of_length], np.int64),
            np.array([quality for _, _, _, quality in of_length], np.uint8),
        )
        for of_length in rows.values()
    ]
    store.write_days(session, blocks, clock, source=SOURCE, fill_only=True)
    estimate_store.add_estimates(session, estimates, clock.now())
    return EstimatesReport(
        gaps=len(estimates), quantity_wh=sum(one["quantity"] for one in estimates)
    )


def _days_of(
    here: ChannelMonth, gaps: Sequence[FilledGap]
) -> list[tuple[date, npt.NDArray[np.int64], npt.NDArray[np.uint8]]]:
    """Return what gaps put into local days; all else of a day says nothing."""
    energy = np.zeros(len(here.quality), np.int64)
    quality = np.zeros(len(here.quality), np.uint8)
    touched: set[date] = set()
    for gap in gaps:
        places = slice(gap.first, gap.first + len(gap.values_wh))
        energy[places] = gap.values_wh
        quality[places] = Quality.ESTIMATED
        day = local_date(gap.period.start, here.zone)
        while local_midnight(day, here.zone) < gap.period.end:
            touched.add(day)
            day += timedelta(days=1)
    found = []
    for day in sorted(touched):
        first = here.index(local_midnight(day, here.zone))
        count = intervals_in_day(day, here.zone, here.interval_min)
        found.append((day, energy[first : first + count], quality[first : first + count]))
    return found
