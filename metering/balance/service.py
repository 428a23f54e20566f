"""Use cases of the house balance: the houses of a month, one house in full, its suspects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import lcm
from typing import Final, cast

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from kilokassa.core.calendar import Month, intervals_in_day, local_date, local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.period import Period
from kilokassa.core.scope import Right, Scope
from kilokassa.core.series import Quality
from metering.balance import store as balance_store
from metering.balance.house import (
    Bools,
    HouseFlows,
    Int64,
    IntervalBalance,
    MonthBalance,
    RegisterPoint,
    Role,
    Totals,
    balance_by_interval,
    balance_of_month,
    coarser,
    register_energy,
)
from metering.balance.store import House, HousePoint
from metering.balance.suspects import (
    Evidence,
    FlatFacts,
    Grid,
    Suspect,
    Suspects,
    evidence_of,
    find_suspects,
    grid_of,
)
from metering.registers import (
    ESTIMATES,
    RegisterBackwards,
    RegisterDifference,
    RegisterReading,
    register_differences,
)
from metering.store import load_matrix, load_registers

WINDOW_DAYS: Final = 60
"""So many days, up to the end of the month asked for, are searched for a change."""
EVENTS_BEFORE_DAYS: Final = 90
"""Tampering that a meter told of so long before the window still counts."""
KNOWN_SHARE_MIN: Final = 0.8
"""A flat of which less of the window is known is left out: it would hide the others' intervals."""
READINGS_AROUND: Final = timedelta(days=70)
"""Register readings so long before and after a month may tell what it used."""
DEFAULT_MIN: Final = 60
"""The grid of a house where no point has intervals."""


@dataclass(frozen=True, slots=True)
class BalanceQuery:
    """Whose houses, in which month; a page of them by their codes."""

    scope: Scope
    month: Month
    search: str = ""
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class HouseQuery:
    """Which house, in which month."""

    scope: Scope
    building_code: str
    month: Month


@dataclass(frozen=True, slots=True)
class ListedHouse:
    """A house in the list of balances."""

    house: House
    month: Month
    balance: MonthBalance


@dataclass(frozen=True, slots=True)
class DayBalance:
    """The balance of a local day: of its complete intervals."""

    day: date
    totals: Totals
    intervals: int
    incomplete: int


@dataclass(frozen=True, slots=True, eq=False)
class HouseBalance:
    """The balance of a house in a month, by day and by interval."""

    house: House
    month: Month
    balance: MonthBalance
    days: tuple[DayBalance, ...]
    by_interval: IntervalBalance
    points: tuple[HousePoint, ...]
    estimated: int
    """Intervals with a balance in which some value is an estimate."""
    estimated_points: tuple[str, ...]
    """Codes of the points that those estimates are of."""

    def of_day(self, day: date) -> slice:
        """Return the place of a day's intervals; empty where the day is not looked at."""
        length = 0
        for one in self.days:
            if one.day == day:
                return slice(length, length + one.intervals)
            length += one.intervals
        return slice(length, length)


@dataclass(frozen=True, slots=True)
class SuspectFlat:
    """A suspect with the point it is about and, where it is worth a look, its chart."""

    point: HousePoint
    suspect: Suspect
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class HouseSuspects:
    """The suspects of a house, the first in rank first."""

    house: House
    first: date
    last: date
    ranked: tuple[SuspectFlat, ...]
    days_compared: int
    enough: bool
    left_out: tuple[str, ...]
    """Codes of flats' points of which too little is known to compare them."""


def list_balances(
    session: Session, order: BalanceQuery, clock: Clock
) -> tuple[tuple[ListedHouse, ...], int]:
    """Balance the houses in reach that have a meter of their own; and tell how many there are."""
    order.scope.demand(Right.VIEW_STAFF)
    houses, total = balance_store.metered_houses(
        session, order.scope, search=order.search, limit=order.limit, offset=order.offset
    )
    points = balance_store.points_of_houses(session, [house.id for house in houses])
    listed = []
    for house in houses:
        found = _balance(session, house, points[house.id], order.month, clock)
        listed.append(ListedHouse(house, order.month, found.balance))
    return tuple(listed), total


def house_balance(session: Session, order: HouseQuery, clock: Clock) -> HouseBalance:
    """Balance one house in reach over the days of the month that have passed."""
    order.scope.demand(Right.VIEW_STAFF)
    house = balance_store.house_by_code(session, order.scope, order.building_code)
    points = balance_store.points_of_houses(session, [house.id])[house.id]
    return _balance(session, house, points, order.month, clock)


def house_suspects(
    session: Session, order: HouseQuery, clock: Clock, *, charts: int = 0
) -> HouseSuspects:
    """Rank the flats of one house in reach; the first `charts` of them come with their chart."""
    order.scope.demand(Right.VIEW_STAFF)
    house = balance_store.house_by_code(session, order.scope, order.building_code)
    points = balance_store.points_of_houses(session, [house.id])[house.id]
    end = min(order.month.plus(1).first_day, local_date(clock.now(), house.zone))
    days = [end - timedelta(days=n) for n in range(WINDOW_DAYS, 0, -1)]
    loaded = _Loaded.of(session, house, points, days)
    house_known = loaded.known(Role.INPUT).all(axis=0)
    flats: list[int] = []
    left_out: list[int] = []
    for row, point in enumerate(loaded.points):
        if point.role is not Role.FLAT:
            continue
        seen = int(loaded.known_intervals[row][house_known].sum())
        enough = seen > 0 and seen >= KNOWN_SHARE_MIN * int(house_known.sum())
        (flats if enough else left_out).append(row)
    by_registers = [p.code for p in points if p.role is Role.FLAT and p.taken_id is None]
    flows = loaded.flows(flats)
    balance = balance_by_interval(flows, house.losses)
    grid = grid_of(days, house.zone, loaded.interval_min)
    flat_points = [loaded.points[row] for row in flats]
    facts = _facts(session, house, flat_points, days)
    arrays = (balance.remainder_wh, balance.complete, flows.flats_wh, grid)
    found = find_suspects(*arrays, facts)
    return HouseSuspects(
        house=house,
        first=days[0],
        last=days[-1],
        ranked=_ranked(found, flat_points, arrays, charts),
        days_compared=found.days_compared,
        enough=found.enough,
        left_out=tuple(sorted([*by_registers, *(loaded.points[row].code for row in left_out)])),
    )


def _ranked(
    found: Suspects,
    points: Sequence[HousePoint],
    arrays: tuple[Int64, Bools, Int64, Grid],
    charts: int,
) -> tuple[SuspectFlat, ...]:
    return tuple(
        SuspectFlat(
            points[suspect.flat],
            suspect,
            evidence_of(found, suspect, *arrays)
            if place < charts and found.enough and suspect.points > 0
            else None,
        )
        for place, suspect in enumerate(found.suspects)
    )


def _facts(
    session: Session, house: House, points: Sequence[HousePoint], days: Sequence[date]
) -> list[FlatFacts]:
    first = local_midnight(days[0] - timedelta(days=EVENTS_BEFORE_DAYS), house.zone)
    end = local_midnight(days[-1] + timedelta(days=1), house.zone)
    tampered = balance_store.tamper_events(session, [point.id for point in points], first, end)
    window = local_midnight(days[0], house.zone)
    lost = balance_store.lost_phases(session, [point.id for point in points], window, end)
    stuck = balance_store.stuck_findings(session, [point.code for point in points], window, end)
    facts = []
    for point in points:
        count, last = tampered.get(point.id, (0, None))
        in_service = [meter for meter in point.meters if meter.removed_on is None]
        until = in_service[-1].verified_until if in_service else None
        expired = until if until is not None and until < days[-1] else None
        last_on = None if last is None else local_date(last, house.zone)
        lost_on = lost.get(point.id)
        facts.append(
            FlatFacts(
                tamper_count=count,
                tamper_last_on=last_on,
                phase_lost_on=None if lost_on is None else local_date(lost_on, house.zone),
                verification_expired_on=expired,
                stuck_count=stuck.get(point.code, 0),
            )
        )
    return facts


def _balance(
    session: Session, house: House, points: tuple[HousePoint, ...], month: Month, clock: Clock
) -> HouseBalance:
    today = local_date(clock.now(), house.zone)
    days = [day for day in month.days if day < today]
    loaded = _Loaded.of(session, house, points, days)
    # A point that gave nothing all month would leave the house without any balance: it is told.
    gave = [bool(known.any()) for known in loaded.known_intervals]
    rows = [
        row for row, point in enumerate(loaded.points) if point.role is not Role.INPUT and gave[row]
    ]
    silent_points = [
        point
        for row, point in enumerate(loaded.points)
        if point.role is not Role.INPUT and not gave[row]
    ]
    registers = _register_points(
        session,
        house,
        [*(p for p in points if p.taken_id is None), *silent_points],
        days,
    )
    flows = loaded.flows(rows)
    if not len(flows.taken_wh) and any(one.role is Role.INPUT for one in registers):
        # The house itself is read by registers: its flats alone decide which intervals are known.
        flows = _without_input(flows)
    by_interval = balance_by_interval(flows, house.losses)
    balance = balance_of_month(by_interval, registers, house.losses)
    by_day = []
    place = 0
    for day in days:
        length = intervals_in_day(day, house.zone, loaded.interval_min)
        chosen = slice(place, place + length)
        by_day.append(
            DayBalance(day, by_interval.totals(chosen), length, by_interval.incomplete(chosen))
        )
        place += length
    guessed = loaded.estimated & by_interval.complete
    return HouseBalance(
        house=house,
        month=month,
        balance=balance,
        days=tuple(by_day),
        by_interval=by_interval,
        points=points,
        estimated=int(guessed.any(axis=0).sum()) if len(guessed) else 0,
        estimated_points=tuple(
            point.code for point, row in zip(loaded.points, guessed, strict=True) if bool(row.any())
        ),
    )


def _without_input(flows: HouseFlows) -> HouseFlows:
    nothing = np.zeros((1, flows.intervals), np.int64)
    return HouseFlows(
        start=flows.start,
        interval_min=flows.interval_min,
        taken_wh=nothing,
        given_wh=nothing,
        input_known=np.ones(nothing.shape, np.bool_),
        flats_wh=flows.flats_wh,
        flats_known=flows.flats_known,
        common_wh=flows.common_wh,
        common_known=flows.common_known,
    )


# --- readings of a house ---


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    """The points with a channel and their values on the house's common grid, row by row."""

    points: tuple[HousePoint, ...]
    start: datetime
    interval_min: int
    taken_wh: Int64
    given_wh: Int64
    known_intervals: Bools
    estimated: Bools
    """Where some part of a value is an estimate."""

    @classmethod
    def of(
        cls, session: Session, house: House, points: Sequence[HousePoint], days: Sequence[date]
    ) -> "_Loaded":
        """Load days of all points with a channel; finer intervals are summed to the common ones."""
        measured = tuple(point for point in points if point.taken_id is not None)
        lengths = {length for point in measured for length in point.lengths_min}
        interval_min = lcm(*lengths) if lengths else DEFAULT_MIN
        width = sum(intervals_in_day(day, house.zone, interval_min) for day in days)
        start = (
            local_midnight(days[0], house.zone)
            if days
            else local_midnight(date(2000, 1, 1), house.zone)
        )
        shape = (len(measured), width)
        taken, given = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        known, estimated = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        if days:
            for length in sorted(lengths):
                rows = [r for r, point in enumerate(measured) if point.taken_min == length]
                ids = [measured[row].taken_id or 0 for row in rows]
                taken[rows], known[rows], estimated[rows] = _values(
                    session, house, ids, days, length, interval_min
                )
            for length in sorted(lengths):
                rows = [r for r, point in enumerate(measured) if point.given_min == length]
                ids = [measured[row].given_id or 0 for row in rows]
                given[rows], also, guessed = _values(
                    session, house, ids, days, length, interval_min
                )
                known[rows] &= also
                estimated[rows] |= guessed
        return cls(measured, start, interval_min, taken, given, known, estimated)

    def rows(self, role: Role) -> list[int]:
        """Return the rows of the points with this role."""
        return [row for row, point in enumerate(self.points) if point.role is role]

    def known(self, role: Role) -> Bools:
        """Return where the points with this role have a value."""
        return np.asarray(self.known_intervals[self.rows(role)])

    def flows(self, rows: Sequence[int]) -> HouseFlows:
        """Return the house's input against these flats and common areas."""
        inputs = self.rows(Role.INPUT)
        flats = [row for row in rows if self.points[row].role is Role.FLAT]
        common = [row for row in rows if self.points[row].role is Role.COMMON]
        net = self.taken_wh - self.given_wh
        return HouseFlows(
            start=self.start,
            interval_min=self.interval_min,
            taken_wh=self.taken_wh[inputs],
            given_wh=self.given_wh[inputs],
            input_known=self.known_intervals[inputs],
            flats_wh=np.where(self.known_intervals[flats], net[flats], 0),
            flats_known=self.known_intervals[flats],
            common_wh=np.where(self.known_intervals[common], net[common], 0),
            common_known=self.known_intervals[common],
        )


def _values(
    session: Session,
    house: House,
    channel_ids: Sequence[int],
    days: Sequence[date],
    length_min: int,
    interval_min: int,
) -> tuple[Int64, Bools, Bools]:
    matrix = load_matrix(session, channel_ids, days, house.zone, length_min)
    known: npt.NDArray[np.bool_] = matrix.quality != Quality.MISSING
    times = interval_min // length_min
    guessed = np.isin(matrix.quality, sorted(ESTIMATES - {Quality.MISSING}))
    parts = guessed.reshape(len(channel_ids), guessed.shape[1] // times, times)
    estimated = cast(Bools, parts.any(axis=2))
    return (*coarser(matrix.energy_wh.astype(np.int64), known, times), estimated)


def _register_points(
    session: Session, house: House, points: Sequence[HousePoint], days: Sequence[date]
) -> list[RegisterPoint]:
    if not days:
        return [RegisterPoint(point.code, point.role, None) for point in points]
    end = local_midnight(days[-1] + timedelta(days=1), house.zone)
    period = Period(local_midnight(days[0], house.zone), end)
    ids = [meter.id for point in points for meter in point.meters]
    readings: dict[int, list[RegisterReading]] = {}
    for reading in load_registers(
        session, ids, first=period.start - READINGS_AROUND, last=period.end + READINGS_AROUND
    ):
        readings.setdefault(reading.meter_id, []).append(reading)
    return [
        RegisterPoint(
            point.code, point.role, register_energy(_differences(point, readings), period)
        )
        for point in points
    ]


def _differences(
    point: HousePoint, readings: Mapping[int, Sequence[RegisterReading]]
) -> list[RegisterDifference]:
    found: list[RegisterDifference] = []
    for meter in point.meters:
        try:
            found += register_differences(readings.get(meter.id, ()), digits=meter.digits)
        except RegisterBackwards:
            # A finding says so already; what such a meter counted is not known.
            return []
    return found
