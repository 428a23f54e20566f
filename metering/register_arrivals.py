"""Lines of register readings find their meter, and are checked against what it showed before."""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_FLOOR
from typing import Final
from zoneinfo import ZoneInfo

from kilokassa.core.calendar import local_date, local_midnight
from kilokassa.core.period import Period
from kilokassa.core.zones import Zone
from metering.findings.finding import Finding, FindingKind
from metering.imports import RefusalReason
from metering.parsers.csv_registers import RefusedLine, RegisterLine
from metering.registers import (
    ESTIMATES,
    UNIT_OF,
    RegisterReading,
    counted_between,
    modulus,
)
from metering.registry.places import Commodity

DIGITS_MAX: Final = 18
"""More digits than any register has."""


@dataclass(frozen=True, slots=True)
class KnownMeter:
    """A meter that lines of a file may mean."""

    meter_id: int
    point_code: str
    serial: str
    commodity: Commodity
    digits: int
    installed_on: date
    removed_on: date | None
    zone: str

    def stood_on(self, day: date) -> bool:
        """Say whether the meter was at its point on `day`; both ends of its life count."""
        return self.installed_on <= day and (self.removed_on is None or day <= self.removed_on)


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line and the reading it is."""

    line: RegisterLine
    meter: KnownMeter
    reading: RegisterReading


class MeterDirectory:
    """The meters of a scope, found by point and serial number."""

    def __init__(self, meters: Iterable[KnownMeter]) -> None:
        self._by_code: defaultdict[str, list[KnownMeter]] = defaultdict(list)
        self._by_serial: defaultdict[str, list[KnownMeter]] = defaultdict(list)
        for meter in meters:
            self._by_code[meter.point_code].append(meter)
            self._by_serial[meter.serial].append(meter)

    def place(
        self, lines: Iterable[RegisterLine], unit_wh: int, latest: datetime | None = None
    ) -> tuple[list[PlacedLine], list[RefusedLine]]:
        """Return the readings that lines are, and the lines that are none.

        A reading after `latest` is refused: it would stand in the way of every true one until then.
        """
        placed: list[PlacedLine] = []
        refused: list[RefusedLine] = []
        for line in lines:
            found = self._placed(line, unit_wh)
            if isinstance(found, RefusalReason):
                refused.append(RefusedLine(line, found))
            elif latest is not None and found.reading.taken_at > latest:
                refused.append(RefusedLine(line, RefusalReason.IN_THE_FUTURE))
            else:
                placed.append(found)
        return placed, refused

    def _placed(self, line: RegisterLine, unit_wh: int) -> PlacedLine | RefusalReason:
        if line.value is None:
            return RefusalReason.NO_VALUE
        if line.value < 0:
            return RefusalReason.NEGATIVE
        meter = self._meter(line)
        if meter is None:
            return RefusalReason.UNKNOWN_METER
        taken_at = _instant(line.taken, ZoneInfo(meter.zone))
        if taken_at is None:
            return RefusalReason.NONEXISTENT_TIME
        electric = meter.commodity is Commodity.ELECTRICITY
        unit = unit_wh if electric else UNIT_OF[meter.commodity]
        if line.value.adjusted() > DIGITS_MAX:
            return RefusalReason.TOO_LARGE  # multiplying it could overflow even a decimal
        value = (line.value * unit).to_integral_value(ROUND_FLOOR)
        if value >= modulus(meter.digits, meter.commodity):
            return RefusalReason.TOO_LARGE
        reading = RegisterReading(meter.meter_id, line.zone, taken_at, int(value), line.quality)
        return PlacedLine(line, meter, reading)

    def _meter(self, line: RegisterLine) -> KnownMeter | None:
        """Return the one meter that a line means: at its point at that time, where it says."""
        if line.point_code:
            meters = [
                meter
                for meter in self._by_code[line.point_code]
                if not line.serial or meter.serial == line.serial
            ]
        else:
            meters = self._by_serial[line.serial] if line.serial else []
        there = [meter for meter in meters if meter.stood_on(_day(line.taken, meter.zone))]
        if len(there) == 2 and not line.serial:
            # On the day of a replacement the new one is meant: the old one is named by its serial.
            there = [max(there, key=lambda meter: meter.installed_on)]
        return there[0] if len(there) == 1 else None


@dataclass(frozen=True, slots=True)
class CheckedRegisters:
    """Readings that may be stored, lines that may not, and what was noticed."""

    accepted: tuple[PlacedLine, ...]
    refused: tuple[RefusedLine, ...]
    findings: tuple[Finding, ...]
    counted: tuple[int, ...]
    """What each accepted reading says was used since the one before it, where there is one."""


def check_registers(
    placed: Sequence[PlacedLine], standing: Iterable[RegisterReading]
) -> CheckedRegisters:
    """Check each reading against those before and after it in time, stored or of the same file.

    One that is less than an earlier one, or more than a later one, is refused where the register
    cannot have rolled over. A reading for a known instant corrects it, so it is not in its own way;
    nor is an estimate in the way of what was read.
    """
    registers: defaultdict[tuple[int, Zone], list[tuple[datetime, int]]] = defaultdict(list)
    for reading in standing:
        if reading.quality not in ESTIMATES:
            insort(registers[reading.meter_id, reading.zone], (reading.taken_at, reading.value))
    accepted: list[PlacedLine] = []
    refused: list[RefusedLine] = []
    findings: list[Finding] = []
    used: list[int] = []
    for one in sorted(placed, key=lambda one: (one.reading.taken_at, one.line.line)):
        reading = one.reading
        known = registers[reading.meter_id, reading.zone]
        top = modulus(one.meter.digits, one.meter.commodity)
        low = bisect_left(known, reading.taken_at, key=lambda pair: pair[0])
        high = bisect_right(known, reading.taken_at, key=lambda pair: pair[0])
        before = known[low - 1][1] if low else None
        after = known[high][1] if high < len(known) else None
        since = counted_between(before, reading.value, after, top)
        if since is None:
            refused.append(RefusedLine(one.line, RefusalReason.BACKWARDS))
            findings.append(_finding(FindingKind.REGISTER_BACKWARDS, one))
            continue
        if since[1]:
            findings.append(_finding(FindingKind.REGISTER_ROLLOVER, one))
        known[low:high] = [(reading.taken_at, reading.value)]
        used.append(since[0])
        accepted.append(one)
    return CheckedRegisters(tuple(accepted), tuple(refused), tuple(findings), tuple(used))


def _finding(kind: FindingKind, one: PlacedLine) -> Finding:
    return Finding(
        kind=kind,
        point_code=one.meter.point_code,
        channel_id=None,
        period=Period(one.reading.taken_at, one.reading.taken_at),
        detail={"meter": one.meter.serial, "line": one.line.line},
    )


def _day(taken: datetime | date, zone: str) -> date:
    if not isinstance(taken, datetime):
        return taken
    return taken.date() if taken.tzinfo is None else local_date(taken, ZoneInfo(zone))


def _instant(taken: datetime | date, zone: ZoneInfo) -> datetime | None:
    """Return the instant in UTC: the start of a day, a local time at its first occurrence."""
    if not isinstance(taken, datetime):
        return local_midnight(taken, zone)
    if taken.tzinfo is not None:
        return taken.astimezone(UTC)
    earlier = taken.replace(tzinfo=zone).astimezone(UTC)
    return None if earlier > taken.replace(tzinfo=zone, fold=1).astimezone(UTC) else earlier
