"""Every line explains itself: the chain from the intervals to the kopecks, and a digest of it.

The chain is computed again from the inputs, by the rating that made the line, so it cannot tell
another story; the digest covers the inputs and the chain, and comes out the same for as long as
both are the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.digest import digest_parts, digest_value
from kilokassa.core.errors import NotFound
from kilokassa.core.period import Period
from kilokassa.core.series import WattHours
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from tariffs.charges import CapacityBasis
from tariffs.compiled import Grid, compile_grid, compile_periods
from tariffs.extras import MINUTES_PER_HOUR
from tariffs.facts import AccountFacts
from tariffs.hourly import hourly_prices
from tariffs.lines import (
    ChargeKind,
    ChargeLine,
    LineColumns,
    LineSpec,
    VersionInForce,
    Working,
    lines_of,
)
from tariffs.plans import TariffVersion
from tariffs.rating import (
    days_in,
    netted_by_interval,
    rate_population,
    rate_readings,
    shares_by_days,
    zone_for,
)
from tariffs.zone_calendar import mask_of_windows

_FACTS: Final = (
    "area_dm2",
    "persons",
    "contracted_w",
    "opening_wh",
    "common_area_wh",
    "demand_before_w",
    "export_wh",
)


class StepKind(StrEnum):
    """What one step of a chain says."""

    ENERGY = "energy"
    """What the intervals of the line's zone and price sum to, net where intervals are netted."""
    EXPORTED = "exported"
    """What was given to the network in that time, before anything was set off."""
    RANGE = "range"
    """How much of it each range of consumption took."""
    LINE = "line"
    """A line that a tax, a concession or a minimum bill is computed from."""
    FACT = "fact"
    """A fact of the account that the line is computed from."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it is about and a whole number in the unit of it."""

    kind: StepKind
    about: str
    """Number of a range, key of a line, or name of a fact."""
    value: int


@dataclass(frozen=True, slots=True)
class IntervalPart:
    """One interval that a line is made of."""

    start: datetime
    energy_wh: int
    price_scaled: int
    """Millionths of a rouble per kWh that the interval met; 0 where ranges decide."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A line with everything it was computed from."""

    line: ChargeLine
    working: Working
    version_digest: str
    price_revision: int
    """Revision of the hourly prices; 0 where the line has none."""
    intervals: tuple[IntervalPart, ...]
    steps: tuple[Step, ...]
    input_digest: str
    """Of the energy, the facts, the versions and the grid that were rated."""
    digest: str
    """Of the inputs and of the chain."""


def explain_line(
    versions: Sequence[VersionInForce],
    energy_wh: WattHours,
    start: datetime,
    interval_min: int,
    zone: ZoneInfo,
    key: str,
    *,
    billing: int = 0,
    billings: Sequence[Period] | None = None,
    facts: AccountFacts | None = None,
    readings: str = "",
) -> Explanation:
    """Explain the line of one account that has `key` in a billing period.

    `energy_wh` and the columns of `facts` have one row: that of the account. `readings` names the
    revisions of the readings, such as the interval store's digest, and enters the digest as it is.
    """
    columns = rate_population(
        versions, energy_wh, start, interval_min, zone, billings=billings, facts=facts
    )
    lines = lines_of(columns, 0)
    line = next((n for n in lines if (n.spec.key, n.spec.billing) == (key, billing)), None)
    if line is None:
        raise NotFound(what=mark("charge line"), name=key)
    grid = compile_grid(versions, billings, start, energy_wh.shape[1], interval_min, zone)
    known = facts or AccountFacts()
    version = grid.compiled.stretches[line.spec.stretch].version
    used_wh, _ = netted_by_interval(grid.compiled, energy_wh, known)
    intervals = _intervals(line.spec, version, grid, used_wh, known)
    steps = _steps(line, version, columns, grid, known, lines, intervals)
    series = version.charges.hourly and known.price_series.get(version.charges.hourly.series)
    revision = series.revision if series and line.spec.kind is ChargeKind.HOURLY else 0
    inputs = _input_digest(versions, energy_wh, start, interval_min, zone, known, readings)
    return Explanation(
        line,
        line.working,
        version.digest,
        revision,
        intervals,
        steps,
        inputs,
        _chain_digest(line, version, revision, intervals, steps, inputs),
    )


@dataclass(frozen=True, slots=True)
class ReadingPart:
    """What a register counted between two readings, and how much of it falls to a line."""

    register: Zone
    period: Period
    counted_wh: int
    share_wh: int
    days: int
    """Of the days between the readings, those that lie at the line's price."""
    whole_days: int


@dataclass(frozen=True, slots=True)
class ReadingsExplanation:
    """A line of an account that is read by hand, with what of the readings it was computed from."""

    line: ChargeLine
    version_digest: str
    parts: tuple[ReadingPart, ...]
    """Of the registers of the line's zone; none of a line that is not for energy."""
    steps: tuple[Step, ...]


def explain_readings(
    versions: Sequence[VersionInForce],
    quantities_wh: Mapping[tuple[Period, Zone], int],
    zone: ZoneInfo,
    key: str,
    *,
    facts: AccountFacts | None = None,
) -> ReadingsExplanation:
    """Explain the line with `key` of what `rate_readings` makes of the same arguments."""
    lines = rate_readings(versions, quantities_wh, zone, facts=facts)
    line = next((one for one in lines if one.spec.key == key), None)
    if line is None:
        raise NotFound(what=mark("charge line"), name=key)
    spec, known = line.spec, facts or AccountFacts()
    periods = [period for period, _ in quantities_wh]
    whole = Period(min(p.start for p in periods), max(p.end for p in periods))
    stretches = compile_periods(versions, (whole,), zone).stretches
    version = stretches[spec.stretch].version
    parts = []
    for (period, register), wh in quantities_wh.items():
        if spec.kind is not ChargeKind.ENERGY or zone_for(register, version) is not spec.zone:
            continue
        for number, share_wh in shares_by_days(wh, period, stretches, zone):
            within = stretches[number].period.intersect(period)
            if number == spec.stretch and within is not None:
                days = days_in(within, zone), days_in(period, zone)
                parts.append(ReadingPart(register, period, wh, share_wh, *days))
    steps = [
        Step(StepKind.RANGE, str(other.spec.range_number), other.quantity_wh)
        for other in lines
        if spec.range_number
        and (other.spec.kind, other.spec.stretch, other.spec.zone)
        == (spec.kind, spec.stretch, spec.zone)
    ]
    steps.extend(
        Step(StepKind.LINE, other.spec.key, other.amount_minor)
        for other in lines
        if _is_base(spec, version, other.spec)
    )
    steps.extend(_fact_steps(spec, version, known))
    return ReadingsExplanation(line, version.digest, tuple(parts), tuple(steps))


def _intervals(
    spec: LineSpec,
    version: TariffVersion,
    grid: Grid,
    energy_wh: WattHours,
    facts: AccountFacts,
) -> tuple[IntervalPart, ...]:
    """Return the intervals a line of energy is made of; none for a line of something else."""
    first, last = grid.edges[spec.stretch], grid.edges[spec.stretch + 1]
    if spec.kind is ChargeKind.ENERGY:
        cell = grid.compiled.cells.index((spec.stretch, spec.zone))
        places = np.flatnonzero(grid.cell_index[first:last] == cell) + first
        price = spec.rate_scaled if version.range_count == 1 else 0
        prices = np.full(len(places), price, dtype=np.int64)
    elif spec.kind is ChargeKind.HOURLY:
        places = np.arange(first, last)
        table, added = hourly_prices(grid, facts)
        # The average of several prices is shown rounded; the amount keeps their exact sum.
        prices = table[places] // added[spec.stretch]
    elif spec.kind is ChargeKind.CAPACITY:
        places = _places_of_demand(spec, version, grid, energy_wh, facts)
        prices = np.zeros(len(places), dtype=np.int64)
    else:
        return ()
    step = timedelta(minutes=grid.interval_min)
    return tuple(
        IntervalPart(grid.start + step * place, wh, price)
        for place, wh, price in zip(
            places.tolist(), energy_wh[0, places].tolist(), prices.tolist(), strict=True
        )
    )


def _places_of_demand(
    spec: LineSpec,
    version: TariffVersion,
    grid: Grid,
    energy_wh: WattHours,
    facts: AccountFacts,
) -> npt.NDArray[np.intp]:
    """Return the intervals that a demand was found in: the highest one, or the named hours."""
    capacity = next(one for one in version.charges.capacity if one.code == spec.code)
    part = next(one for one in grid.compiled.parts if spec.stretch in one)
    first, last = grid.edges[part[0]], grid.edges[part[-1] + 1]
    if capacity.basis is CapacityBasis.REGULATED_PEAKS:
        step = timedelta(minutes=grid.interval_min)
        count = MINUTES_PER_HOUR // grid.interval_min
        begun = [(hour - grid.start) // step for hour in facts.regulated_hours[capacity.hours]]
        within = sorted({place for place in begun if first <= place and place + count <= last})
        return np.array([place + n for place in within for n in range(count)], dtype=np.intp)
    if capacity.basis is CapacityBasis.CONTRACTED:
        return np.array([], dtype=np.intp)
    mask = mask_of_windows(
        capacity.windows,
        lambda day: not capacity.day_types or version.calendar.type_of(day) in capacity.day_types,
        grid.compiled.zone,
        grid.compiled.stretches[part[0]].period.start,
        last - first,
        grid.interval_min,
    )
    counted = np.where(mask, energy_wh[0, first:last], 0)
    return np.flatnonzero(counted == counted.max(initial=0))[:1] + first


def _steps(
    line: ChargeLine,
    version: TariffVersion,
    columns: LineColumns,
    grid: Grid,
    facts: AccountFacts,
    lines: Sequence[ChargeLine],
    intervals: Sequence[IntervalPart],
) -> tuple[Step, ...]:
    spec = line.spec
    steps: list[Step] = []
    if intervals:
        steps.append(Step(StepKind.ENERGY, str(spec.zone), sum(i.energy_wh for i in intervals)))
    if version.charges.export is not None and facts.export_wh is not None:
        first, last = grid.edges[spec.stretch], grid.edges[spec.stretch + 1]
        given = int(facts.export_wh[0, first:last].sum())
        steps.append(Step(StepKind.EXPORTED, "", given))
    if spec.range_number:
        steps.extend(
            Step(StepKind.RANGE, str(other.range_number), int(wh))
            for other, wh in zip(columns.specs, columns.quantities[0].tolist(), strict=True)
            if (other.kind, other.stretch, other.zone) == (spec.kind, spec.stretch, spec.zone)
        )
    steps.extend(
        Step(StepKind.LINE, other.spec.key, other.amount_minor)
        for other in lines
        if _is_base(spec, version, other.spec)
    )
    steps.extend(_fact_steps(spec, version, facts))
    return tuple(steps)


def _fact_steps(spec: LineSpec, version: TariffVersion, facts: AccountFacts) -> list[Step]:
    steps = []
    for name in _facts_of(spec, version):
        value = getattr(facts, name)
        own = value[0] if value is not None else None
        if own is not None:
            column = np.atleast_1d(own)
            of_period = column[spec.billing if len(column) > spec.billing else -1]
            steps.append(Step(StepKind.FACT, name, int(of_period)))
    return steps


def _is_base(spec: LineSpec, version: TariffVersion, other: LineSpec) -> bool:
    """Say whether a share (tax, concession) or a minimum bill is computed from another line."""
    if spec.billing != other.billing or other.kind is spec.kind:
        return False
    if spec.kind is ChargeKind.TAX:
        return other.stretch == spec.stretch
    if spec.kind is ChargeKind.CONCESSION:
        concession = next(c for c in version.charges.concessions if c.code == spec.code)
        energy = other.kind in {ChargeKind.ENERGY, ChargeKind.HOURLY}
        charges = other.kind not in {ChargeKind.EXPORT, ChargeKind.TAX}
        return other.stretch == spec.stretch and (
            energy if concession.base == "energy" else charges
        )
    late = {ChargeKind.EXPORT, ChargeKind.CONCESSION, ChargeKind.TAX}
    inside = spec.period.intersect(other.period) is not None
    return spec.kind is ChargeKind.MINIMUM and other.kind not in late and inside


def _facts_of(spec: LineSpec, version: TariffVersion) -> tuple[str, ...]:
    """Return the names of the facts that a line is computed from."""
    if spec.kind is ChargeKind.FIXED:
        per = next(f.per for f in version.charges.fixed if f.code == spec.code)
        return {"m2": ("area_dm2",), "person": ("persons",)}.get(str(per), ())
    if spec.kind is ChargeKind.CAPACITY:
        return ("contracted_w",) if spec.code in _contracted(version) else ()
    if spec.kind is ChargeKind.ENERGY and version.norm is not None:
        return ("persons", "common_area_wh") if version.norm.with_common_area else ("persons",)
    return ()


def _contracted(version: TariffVersion) -> set[str]:
    return {c.code for c in version.charges.capacity if c.basis == "contracted"}


def _input_digest(
    versions: Sequence[VersionInForce],
    energy_wh: WattHours,
    start: datetime,
    interval_min: int,
    zone: ZoneInfo,
    facts: AccountFacts,
    readings: str,
) -> str:
    parts = [
        f"{start.isoformat()}|{interval_min}|{zone.key}|{readings}|{facts.closing}".encode(),
        _bytes(energy_wh),
    ]
    for period, version in versions:
        parts.append(f"{period.start.isoformat()}|{period.end.isoformat()}".encode())
        parts.append(f"{version.plan_code}|{version.id}|{version.digest}".encode())
    for name in _FACTS:
        value = getattr(facts, name)
        if value is not None:
            parts.extend((name.encode(), _bytes(value)))
    for code, who in sorted(facts.entitled.items()):
        parts.extend((code.encode(), _bytes(who)))
    for code, series in sorted(facts.price_series.items()):
        parts.append(f"{code}|{series.digest}".encode())
    for code, hours in sorted(facts.regulated_hours.items()):
        parts.append(f"{code}|{','.join(hour.isoformat() for hour in hours)}".encode())
    return digest_parts(parts)


def _bytes(values: npt.NDArray[Any]) -> bytes:
    """Return whole numbers the same however wide they were kept."""
    return values.astype("<i8").tobytes()


def _chain_digest(
    line: ChargeLine,
    version: TariffVersion,
    revision: int,
    intervals: Sequence[IntervalPart],
    steps: Sequence[Step],
    inputs: str,
) -> str:
    working = line.working
    return digest_value(
        {
            "key": line.spec.key,
            "billing": line.spec.billing,
            "period": [line.spec.period.start.isoformat(), line.spec.period.end.isoformat()],
            "version": version.digest,
            "price_revision": revision,
            "inputs": inputs,
            "intervals": [[i.start.isoformat(), i.energy_wh, i.price_scaled] for i in intervals],
            "steps": [[str(s.kind), s.about, s.value] for s in steps],
            "quantity": line.quantity_wh,
            "exact": [str(working.numerator), str(working.divisor)],
            "rounding": working.rounding,
            "amount_minor": line.amount_minor,
        }
    )
