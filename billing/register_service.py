"""What accounts without intervals owe: differences of registers, by zone, at the prices they saw.

A stretch between two readings is charged in the month its later reading closes. Estimated readings
count like others, and the lines say how much of them they are; readings of a meter whose
verification has expired do not count.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from billing.accounts import BilledAccount
from billing.charges import MeterFact, NewLine, UsedEstimate, estimates_detail
from billing.explanation.inputs import CountedStretch, Inputs, RatedRegisters
from billing.law import (
    ESTIMATE_NOT_APPLIED,
    ESTIMATE_UNCERTAIN,
    NO_METER_PLAN,
    REGISTER_WENT_BACK,
)
from billing.models import PriceSplit, Service
from kilokassa.core.apportion import apportion
from kilokassa.core.calendar import Month
from kilokassa.core.digest import digest_text
from kilokassa.core.ids import AccountId, PremisesId
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
from metering.registry.places import PPM, Commodity
from metering.store import PremisesMeter
from tariffs.rating import VersionInForce, rate_readings
from tariffs.store import versions_in_force


@dataclass(slots=True)
class RegisterCharge:
    """What one account's registers came to in a month."""

    lines: list[NewLine] = field(default_factory=list)
    meters: list[MeterFact] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


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
    by_premises = {account.premises_id: account for account in accounts}
    if not by_premises:
        return {}
    meters = [
        meter
        for meter in store.meters_of_premises(session, by_premises, known_at=known_at)
        if meter.commodity is Commodity.ELECTRICITY
    ]
    readings = _readings(session, meters, max(month.period(a.zone).end for a in accounts), known_at)
    verified = estimate_store.verifications(
        session, [meter.meter_id for meter in meters], known_at=known_at
    )
    scaling = estimate_store.scaling_of_points(session, {meter.point_id for meter in meters})
    points = estimate_store.flat_points(session, by_premises)
    estimates = estimate_store.kept_estimates(
        session, [point.point_id for point in points], known_at=known_at
    )
    of_account: dict[AccountId, list[PremisesMeter]] = {}
    for meter in meters:
        account = by_premises[PremisesId(meter.premises_id or 0)]
        of_account.setdefault(account.id, []).append(meter)
    estimates_of: dict[AccountId, list[Estimate]] = {}
    for point in points:
        account = by_premises[PremisesId(point.premises_id)]
        period = month.period(account.zone)
        estimates_of.setdefault(account.id, []).extend(
            one
            for one in estimates.get(point.point_id, ())
            if period.start < one.period.end <= period.end and one.channel_id is None
        )
    found: dict[AccountId, RegisterCharge] = {}
    for account in accounts:
        charge = found[account.id] = RegisterCharge()
        uses: list[CountedStretch] = []
        for meter in of_account.get(account.id, ()):
            spans = trusted_spans(
                meter.verified_until, verified.get(meter.meter_id, ()), account.zone
            )
            try:
                of_meter = _uses(
                    readings.get(meter.meter_id, ()),
                    meter,
                    spans,
                    month.period(account.zone),
                    scaling.get(meter.point_id, (1, 0)),
                    split,
                )
            except RegisterBackwards:
                charge.warnings.append(REGISTER_WENT_BACK)
                continue
            if of_meter:
                charge.meters.extend(_facts(meter, of_meter, readings[meter.meter_id]))
                uses.extend(of_meter)
            elif meter.removed_on is None:
                charge.warnings.append(ESTIMATE_NOT_APPLIED)
        own = estimates_of.get(account.id, ())
        rated = _rate(session, account, month, uses, own, charge, known_at)
        if inputs is not None and rated is not None:
            inputs.registers.append(
                RatedRegisters(
                    account_id=account.id,
                    versions=rated[0],
                    quantities_wh=rated[1],
                    zone=account.zone,
                    stretches=uses,
                    meters={meter.meter_id: meter for meter in of_account.get(account.id, ())},
                    readings=readings,
                    estimates=own,
                    scaling=scaling,
                )
            )
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


def _rate(
    session: Session,
    account: BilledAccount,
    month: Month,
    uses: Sequence[CountedStretch],
    estimates: Sequence[Estimate],
    charge: RegisterCharge,
    known_at: datetime | None,
) -> tuple[Sequence[VersionInForce], Mapping[tuple[Period, Zone], int]] | None:
    """Price all stretches of an account together: one line a key, rounded once.

    Returns what was priced and by which versions, None where nothing was.
    """
    without_meter = [one for one in estimates if one.meter_id is None]
    if not uses and not without_meter:
        return None
    if without_meter and ESTIMATE_NOT_APPLIED in charge.warnings:
        charge.warnings.remove(ESTIMATE_NOT_APPLIED)
    quantities: dict[tuple[Period, Zone], int] = {}
    estimated: dict[tuple[Period, Zone], int] = {}
    parts = [
        *((use.period, use.zone, use.energy_wh, use.estimated) for use in uses),
        *((one.period, Zone.ALL, one.quantity, True) for one in without_meter),
    ]
    for stretch, zone, energy_wh, guessed in parts:
        quantities[stretch, zone] = quantities.get((stretch, zone), 0) + energy_wh
        if guessed:
            estimated[stretch, zone] = estimated.get((stretch, zone), 0) + energy_wh
    period = month.period(account.zone)
    start = min(stretch.start for stretch, _ in quantities)
    versions = versions_in_force(
        session,
        [account.plan_id],
        Period(start, max(period.end, start)),
        account.zone,
        known_at=known_at,
    ).get(account.plan_id, ())
    used = tuple(dict.fromkeys(UsedEstimate.of(one.method, one.basis) for one in estimates))
    if without_meter and any(version.zones != (Zone.ALL,) for _, version in versions):
        charge.warnings.append(NO_METER_PLAN)
        return None
    digest = digest_text(
        "|".join(
            f"{use.meter_id}:{use.zone}:{use.period.start}:{use.period.end}:{use.energy_wh}"
            for use in uses
        )
        + "".join(f"|{one.rule}:{one.period.start}:{one.quantity}" for one in without_meter)
    )
    charge.lines.extend(_lines(versions, quantities, estimated, used, digest, account.zone))
    if estimated and any(not one.certain for one in used):
        charge.warnings.append(ESTIMATE_UNCERTAIN)
    return versions, quantities


def _lines(
    versions: Sequence[VersionInForce],
    quantities: Mapping[tuple[Period, Zone], int],
    estimated: Mapping[tuple[Period, Zone], int],
    used: tuple[UsedEstimate, ...],
    digest: str,
    zone: ZoneInfo,
) -> list[NewLine]:
    lines = rate_readings(versions, quantities, zone)
    guessed = _estimated_parts(versions, quantities, estimated, zone)
    return [
        NewLine(
            service=Service.ELECTRICITY,
            key=line.spec.key,
            quantity=line.quantity_wh,
            rate_scaled=line.spec.rate_scaled,
            amount_minor=line.amount_minor,
            period_start=line.spec.period.start,
            period_end=line.spec.period.end,
            input_digest=digest,
            tariff_version_id=line.spec.version_id,
            estimated=min(guessed.get(line.spec.key, 0), line.quantity_wh),
            detail=estimates_detail(used) if guessed.get(line.spec.key) else "",
        )
        for line in lines
    ]


def _estimated_parts(
    versions: Sequence[VersionInForce],
    quantities: Mapping[tuple[Period, Zone], int],
    estimated: Mapping[tuple[Period, Zone], int],
    zone: ZoneInfo,
) -> dict[str, int]:
    """Return how much of each line is estimated: the same sharing, of the estimated part alone."""
    if not estimated:
        return {}
    # The same stretches, so that the lines have the same keys; what was measured weighs nothing.
    part = {key: estimated.get(key, 0) for key in quantities}
    return {line.spec.key: line.quantity_wh for line in rate_readings(versions, part, zone)}
