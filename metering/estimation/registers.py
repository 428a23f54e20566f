"""Estimated register readings: what stands at the end of a month that nobody read a meter in.

Pure: the readings of one meter in, the readings to write and the estimates to keep out. Quantities
are what the registers count, before a channel's multiplier.

An estimate is a reading at the month's end, of quality `ESTIMATED`. When a reading comes later, the
estimates between two readings are computed anew, by days between them, so that all periods together
come to what the meter counted and none is negative.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from kilokassa.core.calendar import Month, local_date
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.estimation.methods import (
    EstimationMethod,
    MeasuredUse,
    OwnAverage,
    between_readings,
    own_average,
    share_by_weights,
)
from metering.estimation.rules import Trigger
from metering.registers import ESTIMATES, RegisterReading, counted

BETWEEN_READINGS = "between_readings"
"""The rule of estimates that later readings settled: no chain is asked, the total is measured."""


@dataclass(frozen=True, slots=True)
class KeptEstimate:
    """An estimate of a register that stands: not replaced by anything yet."""

    id: int
    zone: Zone
    period: Period
    method: EstimationMethod
    rule: str
    quantity: int
    """As the register counts, without the multiplier."""


@dataclass(frozen=True, slots=True)
class NewEstimate:
    """An estimate of a register to keep, with the reading that it is."""

    zone: Zone
    period: Period
    method: EstimationMethod
    rule: str
    quantity: int
    basis: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RegisterChanges:
    """What is to be written for one meter."""

    readings: tuple[RegisterReading, ...] = ()
    """Next states of readings; quality `MISSING` withdraws an estimate that stood."""
    replaced: tuple[int, ...] = ()
    """Ids of the estimates that no longer hold."""
    estimates: tuple[NewEstimate, ...] = ()

    def __add__(self, other: "RegisterChanges") -> "RegisterChanges":
        return RegisterChanges(
            self.readings + other.readings,
            self.replaced + other.replaced,
            self.estimates + other.estimates,
        )


def charged_month(taken_at: datetime, zone: ZoneInfo) -> int:
    """Return the ordinal of the month that a reading closes: one of its first midnight, the last.

    >>> from datetime import UTC
    >>> str(
    ...     Month.from_ordinal(
    ...         charged_month(datetime(2026, 10, 31, 14, tzinfo=UTC), ZoneInfo("Asia/Vladivostok"))
    ...     )
    ... )
    '2026-10'
    """
    local = taken_at.astimezone(zone)
    month = Month.of(local.date())
    at_start = local.date() == month.first_day and (local.hour, local.minute, local.second) == (
        0,
        0,
        0,
    )
    return month.ordinal - at_start


def settle(
    series: Sequence[RegisterReading],
    kept: Sequence[KeptEstimate],
    *,
    modulus: int,
    zone: ZoneInfo,
) -> RegisterChanges:
    """Bring the estimates of one meter in line with what was read since.

    `series` are the readings that count, estimates included; `kept` the estimates that stand.
    """
    changes = RegisterChanges()
    for register in sorted({estimate.zone for estimate in kept}, key=str):
        changes += _settle_register(
            [reading for reading in series if reading.zone is register],
            [estimate for estimate in kept if estimate.zone is register],
            modulus,
            zone,
        )
    return changes


def _settle_register(
    readings: Sequence[RegisterReading],
    kept: Sequence[KeptEstimate],
    modulus: int,
    zone: ZoneInfo,
) -> RegisterChanges:
    read = sorted(
        (reading for reading in readings if reading.quality not in ESTIMATES),
        key=lambda reading: reading.taken_at,
    )
    standing = {r.taken_at: r for r in readings if r.quality in ESTIMATES}
    read_at = {reading.taken_at for reading in read}
    changes = RegisterChanges()
    months_read = {charged_month(reading.taken_at, zone) for reading in read[1:]}
    open_estimates: list[KeptEstimate] = []
    for estimate in sorted(kept, key=lambda estimate: estimate.period.end):
        at = estimate.period.end
        if at in read_at:
            changes += RegisterChanges(replaced=(estimate.id,))
        elif charged_month(at, zone) in months_read:
            # The month was read after all: its charge ends at that reading, as it usually does.
            known = standing.get(at)
            withdrawn = () if known is None else (replace(known, quality=Quality.MISSING),)
            changes += RegisterChanges(readings=withdrawn, replaced=(estimate.id,))
        else:
            open_estimates.append(estimate)
    for before, after in zip([None, *read], [*read, None], strict=True):
        if before is None:
            continue
        between = [
            estimate
            for estimate in open_estimates
            if before.taken_at < estimate.period.end
            and (after is None or estimate.period.end < after.taken_at)
        ]
        if not between:
            continue
        if after is None:
            changes += _chained(before, between, standing, modulus)
        else:
            changes += _interpolated(before, after, between, standing, modulus, zone)
    return changes


def _interpolated(
    before: RegisterReading,
    after: RegisterReading,
    between: Sequence[KeptEstimate],
    standing: Mapping[datetime, RegisterReading],
    modulus: int,
    zone: ZoneInfo,
) -> RegisterChanges:
    """Share what was counted between two readings by days over the estimates between them."""
    found = counted(before.value, after.value, modulus)
    if found is None:
        return RegisterChanges()  # a reading that went back is a finding for a person
    ends = [estimate.period.end for estimate in between]
    dates = [local_date(at, zone) for at in (before.taken_at, *ends, after.taken_at)]
    shares = between_readings(found[0], dates)
    changes = RegisterChanges()
    reached, value = before.taken_at, before.value
    for estimate, share in zip(between, shares, strict=False):
        at = estimate.period.end
        value = (value + share) % modulus
        settled = (
            estimate.rule == BETWEEN_READINGS
            and estimate.quantity == share
            and estimate.period.start == reached
        )
        known = standing.get(at)
        if not settled:
            changes += RegisterChanges(
                replaced=(estimate.id,),
                estimates=(
                    NewEstimate(
                        zone=estimate.zone,
                        period=Period(reached, at),
                        method=EstimationMethod.INTERPOLATION,
                        rule=BETWEEN_READINGS,
                        quantity=share,
                        basis={
                            "from": before.taken_at.isoformat(),
                            "to": after.taken_at.isoformat(),
                            "counted": found[0],
                            # How to share it over the months is our own choice: no law says.
                            "article": "",
                            "certain": False,
                        },
                    ),
                ),
            )
        changes += _restated(known, before, estimate.zone, at, value)
        reached = at
    return changes


def _chained(
    before: RegisterReading,
    between: Sequence[KeptEstimate],
    standing: Mapping[datetime, RegisterReading],
    modulus: int,
) -> RegisterChanges:
    """Let estimates that nothing was read after go on from the last reading, whatever it now is."""
    changes = RegisterChanges()
    value = before.value
    for estimate in between:
        value = (value + estimate.quantity) % modulus
        known = standing.get(estimate.period.end)
        changes += _restated(known, before, estimate.zone, estimate.period.end, value)
    return changes


def _restated(
    known: RegisterReading | None,
    before: RegisterReading,
    register: Zone,
    at: datetime,
    value: int,
) -> RegisterChanges:
    if known is not None and known.value == value:
        return RegisterChanges()
    reading = RegisterReading(before.meter_id, register, at, value, Quality.ESTIMATED)
    return RegisterChanges(readings=(reading,))


# --- a month that nobody read the meter in ---


@dataclass(frozen=True, slots=True)
class MissingReading:
    """A meter without a reading in a month: from where an estimate goes on, and to where."""

    anchors: tuple[RegisterReading, ...]
    """The last total of each register that counts, read or estimated."""
    ends_at: datetime
    part: tuple[int, int]
    """Which part of a month is to be estimated, in days of its days; (1, 1) for all of it."""


def missing_reading(
    series: Sequence[RegisterReading], month: Month, zone: ZoneInfo, *, until: datetime
) -> MissingReading | None:
    """Return what of `month` no reading tells, or None where one does, or none ever came.

    `series` are the readings that count; `until` is the month's end, or an earlier instant at which
    the meter ends. A meter whose first reading lies in the month is estimated from it on, by days.
    """
    before = [reading for reading in series if reading.taken_at <= until]
    if not before:
        return None
    newest: dict[Zone, RegisterReading] = {}
    instants: set[datetime] = set()
    for reading in before:
        instants.add(reading.taken_at)
        known = newest.get(reading.zone)
        if known is None or reading.taken_at > known.taken_at:
            newest[reading.zone] = reading
    anchors = tuple(newest[register] for register in sorted(newest, key=str))
    last = max(reading.taken_at for reading in anchors)
    start = month.period(zone).start
    if last > start and len(instants) > 1:
        return None
    days = (local_date(until, zone) - local_date(max(last, start), zone)).days
    if days <= 0:
        return None
    whole = len(month.days)
    return MissingReading(anchors, until, (1, 1) if days == whole else (days, whole))


def measured_uses(
    series: Sequence[RegisterReading], register: Zone, modulus: int, zone: ZoneInfo
) -> list[MeasuredUse]:
    """Return what a register measured between its readings, by the months that they close."""
    read = sorted(
        (r for r in series if r.zone is register and r.quality not in ESTIMATES),
        key=lambda reading: reading.taken_at,
    )
    uses = []
    for before, after in pairwise(read):
        found = counted(before.value, after.value, modulus)
        if found is None:
            continue
        closes = charged_month(after.taken_at, zone)
        opens = min(charged_month(before.taken_at, zone) + 1, closes)
        uses.append(MeasuredUse(opens, closes, found[0]))
    return uses


def averages(
    uses: Mapping[Zone, Sequence[MeasuredUse]],
    registers: Sequence[Zone],
    *,
    months: int,
    least: int,
) -> dict[Zone, OwnAverage] | None:
    """Return the monthly average of every register, or None where one has too short a past."""
    found = {}
    for register in registers:
        average = own_average(uses.get(register, ()), months=months, least=least)
        if average is None:
            return None
        found[register] = average
    return found


def by_register(total: int, missing: MissingReading, uses: Mapping[Zone, int]) -> dict[Zone, int]:
    """Share a total of the whole day over a meter's registers.

    In proportion to what each measured so far, else to what its totals show.
    """
    registers = [reading.zone for reading in missing.anchors]
    weights = [uses.get(register, 0) for register in registers]
    if not any(weights):
        weights = [reading.value for reading in missing.anchors]
    return dict(zip(registers, share_by_weights(total, weights), strict=True))


def estimated_readings(
    missing: MissingReading,
    quantities: Mapping[Zone, int],
    *,
    modulus: int,
    method: EstimationMethod,
    rule: str,
    basis: Mapping[Zone, Mapping[str, Any]],
) -> RegisterChanges:
    """Return the readings and estimates that a rule's quantities come to."""
    readings = []
    estimates = []
    for anchor in missing.anchors:
        quantity = quantities[anchor.zone]
        readings.append(
            RegisterReading(
                anchor.meter_id,
                anchor.zone,
                missing.ends_at,
                (anchor.value + quantity) % modulus,
                Quality.ESTIMATED,
            )
        )
        estimates.append(
            NewEstimate(
                zone=anchor.zone,
                period=Period(anchor.taken_at, missing.ends_at),
                method=method,
                rule=rule,
                quantity=quantity,
                basis=basis[anchor.zone],
            )
        )
    return RegisterChanges(readings=tuple(readings), estimates=tuple(estimates))


def period_number(
    trigger: Trigger, month: Month, estimated_months: Sequence[int], unverified_from: date | None
) -> int:
    """Return which billing period in a row `month` is that has to be estimated, from 1.

    After an expired verification the periods count from the first whole one: expired on 02.10.2017
    means October as period 0, by norm from 01.02.2018 (S1). Otherwise each month that was estimated
    directly before counts.
    """
    if trigger is Trigger.VERIFICATION_EXPIRED:
        assert unverified_from is not None
        whole = unverified_from.day == 1
        return month.ordinal - Month.of(unverified_from).ordinal + whole
    known = set(estimated_months)
    number = 1
    while month.ordinal - number in known:
        number += 1
    return number
