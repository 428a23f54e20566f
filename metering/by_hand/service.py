"""Use cases of readings by hand: what a resident submits, what a walk-round brings, the window."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from kilokassa.core.calendar import local_date
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid, NotFound, RequestConflict
from kilokassa.core.scope import Right, Role, Scope
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from metering.by_hand import store as store
from metering.by_hand.photos import Photo
from metering.by_hand.readings import (
    FINDINGS_OF,
    NOTE_LONGEST,
    Judgement,
    RegisterState,
    Verdict,
    WindowRule,
    findings_of,
    instant_at_point,
    judge,
    window_state,
)
from metering.by_hand.store import HandMeter, Visit, WalkRound
from metering.events.kinds import VisitOutcome
from metering.findings.finding import FindingState
from metering.registers import RegisterReading
from metering.store import add_findings, close_findings, write_registers

WALK_DAYS_BACK: Final = 62
"""How old a list of a walk-round may be when it is entered: paper lies about for a while."""

SOURCE_OF_RESIDENTS: Final = "resident"
SOURCE_OF_STAFF: Final = "staff"


@dataclass(frozen=True, slots=True)
class GivenReading:
    """What somebody says that a register shows, in whole Wh, kcal or litres."""

    meter_id: int
    zone: Zone
    value: int


@dataclass(frozen=True, slots=True)
class JudgedReading:
    """A reading that was given, the instant it is kept under, and what is to be said of it."""

    meter: HandMeter
    zone: Zone
    value: int
    taken_at: datetime
    judgement: Judgement
    state: RegisterState

    @property
    def previous(self) -> RegisterReading | None:
        """The reading before it."""
        return self.state.before(self.taken_at)


@dataclass(frozen=True, slots=True)
class HandResult:
    """What became of readings that were given together: all were stored, or none."""

    judged: tuple[JudgedReading, ...]
    stored: bool
    repeated: bool = False
    """Whether all of them had been given before: nothing was written."""

    @property
    def verdict(self) -> Verdict:
        """The heaviest verdict of them."""
        found = {one.judgement.verdict for one in self.judged}
        return next((v for v in (Verdict.REFUSED, Verdict.WARN) if v in found), Verdict.OK)


# --- the window ---


@dataclass(frozen=True, slots=True)
class WindowOrder:
    """The days of a month on which residents submit readings, from a month on."""

    scope: Scope
    valid_from: date
    first_day: int
    last_day: int
    remind_days_before: int = 2
    building_code: str | None = None
    """None: for every house without a rule of its own."""
    source: str = ""


def set_reading_window(session: Session, order: WindowOrder, clock: Clock) -> WindowRule:
    """Set when readings are taken in; of the same house and date, the later setting counts."""
    order.scope.demand(Right.MANAGE_METERS)
    building_id = None
    if order.building_code is not None:
        building_id = store.building_id_in_reach(session, order.scope, order.building_code)
    elif not order.scope.whole_retailer:
        raise NotFound(what=mark("building"), name="")
    rule = WindowRule(
        valid_from=order.valid_from,
        first_day=order.first_day,
        last_day=order.last_day,
        remind_days_before=order.remind_days_before,
        building_id=building_id,
        source=order.source.strip()[:NOTE_LONGEST],
    )
    store.put_window_rule(session, rule, clock.now())
    return rule


# --- what a resident submits ---


@dataclass(frozen=True, slots=True)
class SubmitOrder:
    """Readings of the meters of one premises, given at once."""

    scope: Scope
    premises_id: int
    readings: tuple[GivenReading, ...]
    key: str = ""
    """Makes a request that is sent again count once."""
    confirmed: bool = False
    """The giver was told that they are implausible and stands by them."""
    corrects: datetime | None = None
    """The instant of earlier readings that these correct, within the same open window."""


def judge_submission(
    session: Session, order: SubmitOrder, clock: Clock
) -> tuple[JudgedReading, ...]:
    """Say what would become of the readings of an order, and write nothing."""
    order.scope.demand(Right.SUBMIT_READINGS)
    meters = _meters_at(session, order, clock)
    return _judged(session, meters, order, clock)


def submit_readings(session: Session, order: SubmitOrder, clock: Clock) -> HandResult:
    """Take in what a resident read, or staff for one: all zones and meters, or nothing.

    What is given again on the same local day corrects what was given before (a revision); on a
    later day it is a reading of its own, unless it is said to correct one of the open window.
    """
    order.scope.demand(Right.SUBMIT_READINGS)
    if not order.readings:
        raise Invalid(where=mark("readings"), problem=mark("there are none"))
    meters = _meters_at(session, order, clock)
    store.lock_meters(session, {reading.meter_id for reading in order.readings})
    kind = SOURCE_OF_RESIDENTS if _is_resident(order.scope) else SOURCE_OF_STAFF
    source = f"{kind}:{order.scope.actor}" + (f"#{order.key}" if order.key else "")
    if order.key:
        earlier = _earlier(session, order, source, meters)
        if earlier is not None:
            return earlier
    judged = _judged(session, meters, order, clock)
    quality = Quality.CUSTOMER_READ if _is_resident(order.scope) else Quality.ACTUAL
    return _store(session, judged, quality, source, clock, confirmed=order.confirmed)


def _is_resident(scope: Scope) -> bool:
    return scope.role is Role.RESIDENT


def _meters_at(session: Session, order: SubmitOrder, clock: Clock) -> dict[int, HandMeter]:
    """Return the meters at the premises; refuse an order that names another."""
    zone = store.zone_of_premises(session, order.scope, order.premises_id)
    today = local_date(clock.now(), zone)
    found = store.meters_of_premises(session, order.scope, order.premises_id, today)
    meters = {meter.meter_id: meter for meter in found}
    for reading in order.readings:
        if reading.meter_id not in meters:
            raise NotFound(what=mark("meter"), name=str(reading.meter_id))
    keys = [(reading.meter_id, reading.zone) for reading in order.readings]
    if len(set(keys)) != len(keys):
        raise Invalid(where=mark("readings"), problem=mark("a register is given twice"))
    return meters


def _judged(
    session: Session, meters: dict[int, HandMeter], order: SubmitOrder, clock: Clock
) -> tuple[JudgedReading, ...]:
    now = clock.now().replace(second=0, microsecond=0)
    asked = [meters[meter_id] for meter_id in sorted({r.meter_id for r in order.readings})]
    states = store.register_states(session, asked, now)
    judged = []
    for reading in order.readings:
        meter = meters[reading.meter_id]
        state = _state(states, meter, reading.zone)
        taken_at = instant_at_point(now, meter.installed_on, state.known, meter.zone)
        if order.corrects is not None:
            taken_at = _corrected_instant(session, order.corrects, meter, state, now)
        else:
            given = _given_that_day(state, now, meter)
            taken_at = taken_at if given is None else given.taken_at
        judged.append(
            JudgedReading(
                meter,
                reading.zone,
                reading.value,
                taken_at,
                judge(state, reading.value, taken_at),
                state,
            )
        )
    return tuple(judged)


def _state(
    states: dict[tuple[int, Zone], RegisterState], meter: HandMeter, zone: Zone
) -> RegisterState:
    state = states.get((meter.meter_id, zone))
    if state is None:
        raise Invalid(
            where=meter.serial,
            problem=mark("the meter has no register of the zone %(zone)s"),
            zone=str(zone),
        )
    return state


def _given_that_day(
    state: RegisterState, now: datetime, meter: HandMeter
) -> RegisterReading | None:
    """Return what a customer said of the register earlier on the local day of `now`."""
    today = local_date(now, meter.zone)
    given = [
        reading
        for reading in state.known
        if reading.quality is Quality.CUSTOMER_READ
        and local_date(reading.taken_at, meter.zone) == today
    ]
    return given[-1] if given else None


def _corrected_instant(
    session: Session, instant: datetime, meter: HandMeter, state: RegisterState, now: datetime
) -> datetime:
    """Return the instant of the reading to be corrected; refuse one that may not be any longer."""
    known = state.at(instant)
    if known is None or known.quality is not Quality.CUSTOMER_READ:
        raise NotFound(what=mark("reading"), name=instant.isoformat())
    today, day = local_date(now, meter.zone), local_date(instant, meter.zone)
    window = window_state(store.window_rules(session), meter.building_id, today)
    if today != day and not (window.is_open and day in window.window):
        raise Invalid(
            where=meter.serial,
            problem=mark(
                "a reading is corrected on its own day or while the window is open in which it was "
                "given; now please turn to the operator"
            ),
        )
    return instant


def _earlier(
    session: Session, order: SubmitOrder, source: str, meters: dict[int, HandMeter]
) -> HandResult | None:
    """Return what an order with the same key came to; refuse the key for other readings."""
    done = store.readings_of_source(session, meters, source)
    if not done:
        return None
    states = store.register_states(session, list(meters.values()), done[0].taken_at)
    stored = {(r.meter_id, r.zone): r for r in done}
    judged = []
    for reading in order.readings:
        meter = meters[reading.meter_id]
        same = stored.pop((reading.meter_id, reading.zone), None)
        state = _state(states, meter, reading.zone)
        if same is None:  # it had been given before that order, so the order did not write it
            same = _given_that_day(state, done[0].taken_at, meter)
        if same is None or same.value != reading.value:
            raise RequestConflict(key=order.key)
        judgement = judge(state, reading.value, same.taken_at)
        judged.append(
            JudgedReading(meter, reading.zone, reading.value, same.taken_at, judgement, state)
        )
    if stored:
        raise RequestConflict(key=order.key)
    return HandResult(tuple(judged), stored=True, repeated=True)


def _store(
    session: Session,
    judged: Sequence[JudgedReading],
    quality: Quality,
    source: str,
    clock: Clock,
    *,
    confirmed: bool,
) -> HandResult:
    """Store readings that may be, with what was confirmed as findings; else nothing at all."""
    result = HandResult(tuple(judged), stored=False)
    fresh = [one for one in judged if not _is_known(one, quality)]
    if not fresh:
        return HandResult(tuple(judged), stored=True, repeated=True)
    if result.verdict is Verdict.REFUSED or (
        not confirmed and any(one.judgement.verdict is Verdict.WARN for one in fresh)
    ):
        return result
    write_registers(
        session,
        [
            RegisterReading(one.meter.meter_id, one.zone, one.taken_at, one.value, quality)
            for one in fresh
        ],
        clock,
        source=source,
    )
    _close_corrected(session, fresh, source, clock)
    findings = [
        finding
        for one in fresh
        for finding in findings_of(
            one.judgement,
            one.state,
            point_code=one.meter.point_code,
            serial=one.meter.serial,
            zone=one.zone,
            at=one.taken_at,
        )
    ]
    add_findings(session, findings, clock.now(), batch_id=None)
    return HandResult(tuple(judged), stored=True)


def _is_known(one: JudgedReading, quality: Quality) -> bool:
    known = one.state.at(one.taken_at)
    return known is not None and (known.value, known.quality) == (one.value, quality)


def _close_corrected(
    session: Session, fresh: Iterable[JudgedReading], source: str, clock: Clock
) -> None:
    """Close what was found in readings that these correct."""
    replaced = {
        (one.meter.point_code, one.meter.serial, str(one.zone), one.taken_at)
        for one in fresh
        if one.state.at(one.taken_at) is not None
    }
    if not replaced:
        return
    standing = store.hand_findings(session, {key[0] for key in replaced}, FINDINGS_OF.values())
    told = [(finding_id, code, json.loads(detail), at) for finding_id, code, at, detail in standing]
    close_findings(
        session,
        [
            finding_id
            for finding_id, code, detail, at in told
            if (code, detail.get("meter"), detail.get("zone"), at) in replaced
        ],
        state=FindingState.CORRECTED,
        closed_by=source.partition("#")[0],
        at=clock.now(),
    )


# --- walk-rounds ---


@dataclass(frozen=True, slots=True)
class OpenRoundOrder:
    """A list of the meters of a building, to be read on a day."""

    scope: Scope
    building_code: str
    taken_on: date


def open_walk_round(session: Session, order: OpenRoundOrder, clock: Clock) -> WalkRound:
    """Open the list of a building and day, or go on with the one that is open already."""
    order.scope.demand(Right.IMPORT_READINGS)
    building_id = store.building_id_in_reach(session, order.scope, order.building_code)
    now = clock.now()
    known = store.standing_round(session, building_id, order.taken_on)
    if known is not None:
        return store.walk_round(session, order.scope, known)
    zone = store.zone_of_building(session, building_id)
    today = local_date(now, zone)
    if not today - timedelta(days=WALK_DAYS_BACK) <= order.taken_on <= today:
        raise Invalid(
            where=mark("walk-round"),
            problem=mark("its day lies neither ahead nor more than two months back: %(day)s"),
            day=order.taken_on.isoformat(),
        )
    made = store.add_walk_round(session, building_id, order.taken_on, order.scope.actor, now)
    return store.walk_round(session, order.scope, made)


def close_walk_round(session: Session, scope: Scope, round_id: int, clock: Clock) -> WalkRound:
    """End a walk-round; it takes in nothing more until it is opened again. Twice is once."""
    scope.demand(Right.IMPORT_READINGS)
    found = store.walk_round(session, scope, round_id)
    if found.closed_at is None:
        store.set_round_closed(session, round_id, clock.now())
    return store.walk_round(session, scope, round_id)


def reopen_walk_round(session: Session, scope: Scope, round_id: int, clock: Clock) -> WalkRound:
    """Open a walk-round again that was ended too early."""
    del clock  # that it was closed is forgotten, its readings are not
    scope.demand(Right.IMPORT_READINGS)
    store.walk_round(session, scope, round_id)
    store.set_round_closed(session, round_id, None)
    return store.walk_round(session, scope, round_id)


@dataclass(frozen=True, slots=True)
class SheetRegister:
    """A field of a walk-round: one register of one meter."""

    zone: Zone
    previous: RegisterReading | None
    usual: int | None
    """What is usually used from the previous reading to this one; Wh, kcal or litres."""
    value: int | None
    """What the walk-round brought."""
    judgement: Judgement | None


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A line of a walk-round: one meter, its registers, and what came of it."""

    meter: HandMeter
    taken_at: datetime
    registers: tuple[SheetRegister, ...]
    visit: Visit | None
    photo_id: int | None

    @property
    def is_done(self) -> bool:
        """Say whether the meter was read, or could not be."""
        return self.visit is not None and self.visit.outcome in store.VISITED


@dataclass(frozen=True, slots=True)
class WalkSheet:
    """A walk-round with all its lines, in the order of the flats."""

    round: WalkRound
    rows: tuple[SheetRow, ...]
    """The meters it has to see: those read by hand, or all where there are none of these."""
    others: tuple[SheetRow, ...]
    """Meters that send their values themselves; to be checked where somebody passes by."""

    @property
    def done(self) -> int:
        """How many lines are done with."""
        return sum(row.is_done for row in self.rows)


def walk_sheet(session: Session, scope: Scope, round_id: int) -> WalkSheet:
    """Return a walk-round with its lines, as far as it has come."""
    scope.demand(Right.IMPORT_READINGS)
    found = store.walk_round(session, scope, round_id)
    meters = store.meters_of_building(session, scope, found.building_id, found.taken_on)
    rows = _rows(session, found, meters)
    by_hand = tuple(row for row in rows if not row.meter.remote)
    if not by_hand:
        return WalkSheet(found, rows, ())
    return WalkSheet(found, by_hand, tuple(row for row in rows if row.meter.remote))


@dataclass(frozen=True, slots=True)
class WalkLine:
    """One line of a walk-round, and how far the whole of it has come."""

    row: SheetRow
    done: int
    whole: int


def walk_line(session: Session, scope: Scope, round_id: int, meter_id: int) -> WalkLine:
    """Return the line of one meter; the other meters' readings are not looked at."""
    scope.demand(Right.IMPORT_READINGS)
    found = store.walk_round(session, scope, round_id)
    meters = store.meters_of_building(session, scope, found.building_id, found.taken_on)
    own = [meter for meter in meters if meter.meter_id == meter_id]
    if not own:
        raise NotFound(what=mark("meter"), name=str(meter_id))
    counted = {m.meter_id for m in meters if not m.remote} or {m.meter_id for m in meters}
    done = {
        visit.meter_id
        for visit in store.visits(session, round_id).values()
        if visit.outcome in store.VISITED
    }
    (row,) = _rows(session, found, own)
    return WalkLine(row, len(done & counted), len(counted))


def _rows(session: Session, found: WalkRound, meters: Sequence[HandMeter]) -> tuple[SheetRow, ...]:
    states = store.register_states(session, meters, found.read_at)
    visits = store.visits(session, found.id)
    latest = found.read_at + timedelta(days=1)  # a meter that was put in that day is read later
    photos = store.photo_ids(session, (m.meter_id for m in meters), found.read_at, latest)
    registers_of: dict[int, dict[Zone, RegisterState]] = {}
    for (meter_id, zone), state in states.items():
        registers_of.setdefault(meter_id, {})[zone] = state
    rows = []
    for meter in meters:
        own = registers_of.get(meter.meter_id, {})
        taken_at = _walk_instant(found, meter, own.values())
        registers = []
        for zone, state in own.items():
            known = state.at(taken_at)
            previous = state.before(taken_at)
            usual = None
            if previous is not None and state.usual_per_day is not None:
                seconds = int((taken_at - previous.taken_at).total_seconds())
                usual = state.usual_per_day * seconds // 86_400
            registers.append(
                SheetRegister(
                    zone,
                    previous,
                    usual,
                    None if known is None else known.value,
                    None if known is None else judge(state, known.value, taken_at),
                )
            )
        rows.append(
            SheetRow(
                meter,
                taken_at,
                tuple(registers),
                visits.get(meter.meter_id),
                photos.get(meter.meter_id),
            )
        )
    return tuple(rows)


def _walk_instant(found: WalkRound, meter: HandMeter, states: Iterable[RegisterState]) -> datetime:
    return max(
        (
            instant_at_point(found.read_at, meter.installed_on, state.known, meter.zone)
            for state in states
        ),
        default=found.read_at,
    )


@dataclass(frozen=True, slots=True)
class RoundReadingsOrder:
    """What a meter was found to show on a walk-round."""

    scope: Scope
    round_id: int
    meter_id: int
    values: tuple[tuple[Zone, int], ...]
    confirmed: bool = False
    note: str = ""


def record_round_readings(session: Session, order: RoundReadingsOrder, clock: Clock) -> HandResult:
    """Store what a meter showed on a walk-round; entering it again corrects it.

    The meter is done with when all its registers have been entered.
    """
    order.scope.demand(Right.IMPORT_READINGS)
    found, meter = _open_line(session, order.scope, order.round_id, order.meter_id)
    if not order.values:
        raise Invalid(where=meter.serial, problem=mark("there is no reading"))
    store.lock_meters(session, [meter.meter_id])
    states = store.register_states(session, [meter], found.read_at)
    taken_at = _walk_instant(found, meter, states.values())
    judged = []
    for zone, value in order.values:
        state = _state(states, meter, zone)
        judged.append(
            JudgedReading(meter, zone, value, taken_at, judge(state, value, taken_at), state)
        )
    result = _store(session, judged, Quality.ACTUAL, found.source, clock, confirmed=order.confirmed)
    if result.stored:
        given = {zone for zone, _ in order.values}
        whole = all(
            zone in given or state.at(taken_at) is not None for (_, zone), state in states.items()
        )
        if whole:
            _visit(session, order.scope, found, meter, VisitOutcome.READ, order.note, clock)
    return result


@dataclass(frozen=True, slots=True)
class RoundOutcomeOrder:
    """Why a meter was not read on a walk-round, or that it shall be come back to."""

    scope: Scope
    round_id: int
    meter_id: int
    outcome: VisitOutcome
    note: str = ""


def record_round_outcome(session: Session, order: RoundOutcomeOrder, clock: Clock) -> Visit:
    """Keep what came of a meter that was not read; of the same meter the later counts."""
    order.scope.demand(Right.IMPORT_READINGS)
    found, meter = _open_line(session, order.scope, order.round_id, order.meter_id)
    if order.outcome is VisitOutcome.READ:
        raise Invalid(where=meter.serial, problem=mark("a meter is read by entering its readings"))
    return _visit(session, order.scope, found, meter, order.outcome, order.note, clock)


@dataclass(frozen=True, slots=True)
class RoundPhotoOrder:
    """A photograph of a meter; made anew before a transaction is opened, since that takes long."""

    scope: Scope
    round_id: int
    meter_id: int
    photo: Photo


def attach_photo(session: Session, order: RoundPhotoOrder, clock: Clock) -> int:
    """Keep a photograph with the readings of a meter; return its id. The same one is kept once."""
    order.scope.demand(Right.IMPORT_READINGS)
    found, meter = _open_line(session, order.scope, order.round_id, order.meter_id)
    photo = order.photo
    states = store.register_states(session, [meter], found.read_at)
    return store.add_photo(
        session,
        meter_id=meter.meter_id,
        taken_at=_walk_instant(found, meter, states.values()),
        media_type=photo.media_type,
        content=photo.content,
        digest=photo.digest,
        actor=order.scope.actor,
        recorded_at=clock.now(),
    )


def _open_line(
    session: Session, scope: Scope, round_id: int, meter_id: int
) -> tuple[WalkRound, HandMeter]:
    found = store.walk_round(session, scope, round_id)
    if found.closed_at is not None:
        raise Invalid(
            where=mark("walk-round"), problem=mark("it is closed; open it again to go on")
        )
    meters = store.meters_of_building(session, scope, found.building_id, found.taken_on)
    for meter in meters:
        if meter.meter_id == meter_id:
            return found, meter
    raise NotFound(what=mark("meter"), name=str(meter_id))


def _visit(
    session: Session,
    scope: Scope,
    found: WalkRound,
    meter: HandMeter,
    outcome: VisitOutcome,
    note: str,
    clock: Clock,
) -> Visit:
    visit = Visit(meter.meter_id, outcome, note.strip()[:NOTE_LONGEST], scope.actor, clock.now())
    standing = store.visits(session, found.id).get(meter.meter_id)
    if standing is None or (standing.outcome, standing.note) != (visit.outcome, visit.note):
        store.add_visit(session, found.id, visit)
    return visit
