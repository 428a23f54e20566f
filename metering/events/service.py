"""Recording what meters told and where a service fell short, and deciding whether it did."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.digest import digest_value
from kilokassa.core.errors import DomainError, Forbidden, Invalid, RequestConflict
from kilokassa.core.period import Period
from kilokassa.core.scope import Right, Role, Scope
from kilokassa.core.text import mark
from metering.events.kinds import (
    KINDS_OF,
    DeviceEvent,
    DeviceEventKind,
    EventLine,
    EventRefusal,
    PowerCut,
    QualityBasis,
    QualityEventKind,
    QualityEventState,
    RefusedEvent,
    place_events,
    power_cuts,
)
from metering.events.store import (
    ConcernedPlace,
    StoredQuality,
    add_events,
    add_quality,
    buildings_of_points,
    change_quality,
    concerned_place,
    end_events,
    events_of_points,
    events_of_source,
    get_quality,
    own_place,
    power_points,
    quality_by_key,
    quality_key_used,
    quality_overlapping,
    standing_events,
)
from metering.events.store import event_meters as find_meters
from metering.registry.places import Commodity

CUT_WINDOW: Final = timedelta(days=2)
"""How far around arriving events others are looked for that belong to the same power cut."""
JOINED_WITHIN: Final = timedelta(minutes=30)
"""A proposed cut this near to one that is recorded is the same; meters' clocks differ."""
FUTURE_SLACK: Final = timedelta(minutes=10)
"""A meter's clock may be so much fast before its event counts as one of the future."""
TEXT_MAX: Final = 500
TEMPERATURES: Final = frozenset(
    {QualityEventKind.ROOM_TEMPERATURE, QualityEventKind.WATER_TEMPERATURE}
)
STATES: Final[Mapping[QualityEventState, str]] = {
    QualityEventState.REPORTED: mark("Reported"),
    QualityEventState.CONFIRMED: mark("Confirmed"),
    QualityEventState.REJECTED: mark("Rejected"),
}
MEASURED_MOST_TENTHS: Final = {
    QualityEventKind.ROOM_TEMPERATURE: 600,
    QualityEventKind.WATER_TEMPERATURE: 1000,
    QualityEventKind.NO_SUPPLY: 600,
    QualityEventKind.VOLTAGE: 10_000,
}


# --- device events ---


@dataclass(frozen=True, slots=True)
class DeviceEventsOrder:
    """A batch of device events, of one file or one request."""

    lines: tuple[EventLine, ...]
    source: str
    """`file:<digest>`, `api:<key>`: what the batch is known by."""
    scope: Scope
    once: bool = False
    """The source is the key of a request: it stands for this batch and no other."""


@dataclass(frozen=True, slots=True)
class EventsRecorded:
    """What became of a batch: lines = new + repeated + ended + refused."""

    new: int
    repeated: int
    ended: int
    """Events that were known to last and now have an end."""
    refused: tuple[RefusedEvent, ...]
    proposed: tuple[int, ...]
    """Quality events that the batch led to, for a person to confirm."""


def record_device_events(
    session: Session, order: DeviceEventsOrder, clock: Clock
) -> EventsRecorded:
    """Store device events, each once: the same batch again changes nothing.

    An event that lasted takes its end when it comes; another end or value than the stored one is
    refused. Where the meters of a house say that its power was cut, a quality event is proposed.
    """
    order.scope.demand(Right.IMPORT_READINGS)
    now = clock.now()
    meters = find_meters(
        session,
        order.scope,
        codes={line.point_code for line in order.lines if line.point_code},
        serials={line.serial for line in order.lines if line.serial and not line.point_code},
    )
    placed, refused = place_events(order.lines, meters, now + FUTURE_SLACK)
    standing = standing_events(session, [one.event for one in placed])
    earlier = events_of_source(session, order.source, order.scope.actor) if order.once else ()
    fresh: dict[tuple[int, DeviceEventKind, datetime], DeviceEvent] = {}
    ends: list[tuple[int, datetime]] = []
    ending: set[int] = set()
    repeated = 0
    for one in placed:
        event, known = one.event, standing.get(one.event.key)
        if known is None:
            before = fresh.get(event.key)
            if before is None:
                fresh[event.key] = event
            elif before == event:
                repeated += 1
            else:
                refused.append(RefusedEvent(one.line, EventRefusal.STORED_DIFFERENT))
        elif known.value == event.value and known.ends_at == event.ends_at:
            repeated += 1
        elif known.value == event.value and known.ends_at is None and known.id not in ending:
            assert event.ends_at is not None
            ends.append((known.id, event.ends_at))
            ending.add(known.id)
        else:
            refused.append(RefusedEvent(one.line, EventRefusal.STORED_DIFFERENT))
    keys = {one.event.key for one in placed}
    if earlier and (
        fresh or any((row.point_id, row.kind, row.starts_at) not in keys for row in earlier)
    ):
        raise RequestConflict(key=order.source.partition(":")[2])
    add_events(
        session,
        list(fresh.values()),
        source=order.source,
        actor=order.scope.actor,
        recorded_at=now,
    )
    end_events(session, ends)
    power = [
        one.event
        for one in placed
        if one.event.kind is DeviceEventKind.POWER_OFF
        and (one.event.key in fresh or standing[one.event.key].id in ending)
    ]
    proposed = _propose_cuts(session, power, clock) if power else ()
    return EventsRecorded(len(fresh), repeated, len(ends), tuple(refused), proposed)


def _propose_cuts(session: Session, told: Sequence[DeviceEvent], clock: Clock) -> tuple[int, ...]:
    """Propose a quality event for each power cut that arriving events complete or change."""
    houses = buildings_of_points(session, {event.point_id for event in told})
    points = power_points(session, houses.values())
    proposed: list[int] = []
    for building_id in sorted(set(houses.values())):
        own = [event for event in told if houses[event.point_id] == building_id]
        around = Period(
            min(event.starts_at for event in own) - CUT_WINDOW,
            max(event.ends_at or event.starts_at for event in own) + CUT_WINDOW,
        )
        of_house = points.get(building_id, ())
        known = events_of_points(session, of_house, [DeviceEventKind.POWER_OFF], around)
        cuts = power_cuts((e for events in known.values() for e in events), len(of_house))
        for cut in cuts:
            if any(_shares(cut, event) for event in own):
                changed = _propose(session, building_id, cut, clock)
                if changed is not None:
                    proposed.append(changed)
    return tuple(proposed)


def _shares(cut: PowerCut, event: DeviceEvent) -> bool:
    return (cut.ends_at is None or event.starts_at < cut.ends_at) and (
        event.ends_at is None or event.ends_at > cut.starts_at
    )


def _propose(session: Session, building_id: int, cut: PowerCut, clock: Clock) -> int | None:
    """Record a cut, or let the proposal it belongs to grow; what a person decided stays."""
    beside = quality_overlapping(
        session,
        building_id,
        None,
        Commodity.ELECTRICITY,
        QualityEventKind.NO_SUPPLY,
        cut.starts_at - JOINED_WITHIN,
        None if cut.ends_at is None else cut.ends_at + JOINED_WITHIN,
        with_rejected=True,
    )
    of_house = [one for one in beside if one.premises_id is None]
    key = f"power_off:{building_id}:{cut.starts_at.isoformat(timespec='minutes')}"
    if any(one.state is not QualityEventState.REPORTED for one in of_house):
        return None
    own = [one for one in of_house if one.source_key and one.basis is QualityBasis.METER]
    if own:
        one = own[0]
        starts_at = min(one.starts_at, cut.starts_at)
        if (one.starts_at, one.ends_at) == (starts_at, cut.ends_at):
            return None
        changed = change_quality(
            session,
            one.id,
            QualityEventState.REPORTED,
            {"starts_at": starts_at, "ends_at": cut.ends_at},
        )
        return one.id if changed else None
    return add_quality(
        session,
        {
            "building_id": building_id,
            "premises_id": None,
            "commodity": Commodity.ELECTRICITY,
            "kind": QualityEventKind.NO_SUPPLY,
            "basis": QualityBasis.METER,
            "starts_at": cut.starts_at,
            "ends_at": cut.ends_at,
            "measured_tenths": None,
            "required_tenths": None,
            "document": "",
            "note": "",
            "state": QualityEventState.REPORTED,
            "recorded_by": "meters",
            "recorded_at": clock.now(),
            "source_key": key,
        },
    )


# --- quality ---


@dataclass(frozen=True, slots=True)
class QualityOrder:
    """A period in which a service fell short, as an act, a complaint or a meter tells it."""

    commodity: Commodity
    kind: QualityEventKind
    basis: QualityBasis
    starts_at: datetime
    scope: Scope
    building_code: str = ""
    premises_number: str = ""
    """Empty where the whole house is concerned."""
    premises_id: int | None = None
    """In place of both codes: the premises a resident complains about."""
    ends_at: datetime | None = None
    measured_tenths: int | None = None
    required_tenths: int | None = None
    document: str = ""
    note: str = ""
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS_OF[self.commodity]:
            raise Invalid(
                where=mark("kind"), problem=mark("this service cannot fall short in this way")
            )
        if self.ends_at is not None and self.ends_at <= self.starts_at:
            raise Invalid(where=mark("until"), problem=mark("it ends before it starts"))
        for where, text in ((mark("document"), self.document), (mark("note"), self.note)):
            if len(text) > TEXT_MAX:
                raise Invalid(
                    where=where,
                    problem=mark("it has more than %(most)s characters"),
                    most=TEXT_MAX,
                )
        for value in (self.measured_tenths, self.required_tenths):
            if value is not None and not -600 <= value <= MEASURED_MOST_TENTHS[self.kind]:
                raise Invalid(
                    where=mark("measured"),
                    problem=mark("%(text)s cannot be what was measured"),
                    text=f"{value / 10:g}",
                )
        if (
            self.kind in TEMPERATURES
            and self.basis is QualityBasis.ACT
            and self.measured_tenths is None
        ):
            raise Invalid(
                where=mark("measured"),
                problem=mark("an act about a temperature says how warm it was"),
            )

    def digest(self) -> str:
        """Return what tells this request from another one with the same key."""
        return digest_value(
            {
                "place": [self.building_code, self.premises_number, self.premises_id],
                "what": [self.commodity, self.kind, self.basis],
                "starts": self.starts_at.isoformat(),
                "ends": None if self.ends_at is None else self.ends_at.isoformat(),
                "measured": [self.measured_tenths, self.required_tenths],
                "document": self.document,
                "note": self.note,
            }
        )


@dataclass(frozen=True, slots=True)
class QualityRecorded:
    """What was recorded, and what else is recorded of the same time."""

    event: StoredQuality
    overlapping: tuple[StoredQuality, ...]
    repeated: bool


def record_quality(session: Session, order: QualityOrder, clock: Clock) -> QualityRecorded:
    """Record a quality event as reported; the same key again answers with what was recorded.

    Staff record for the houses in reach. A resident complains about the own premises alone.
    """
    place = _place(session, order)
    now = clock.now()
    if order.starts_at > now or (order.ends_at is not None and order.ends_at > now):
        raise Invalid(where=mark("from"), problem=mark("it lies in the future"))
    key = None
    if order.idempotency_key is not None:
        key = f"{order.scope.actor}:{order.idempotency_key}:{order.digest()[:16]}"
        known = quality_by_key(session, key)
        if known is not None:
            return QualityRecorded(known, (), repeated=True)
        _refuse_other_use(session, order)
    beside = quality_overlapping(
        session,
        place.building_id,
        place.premises_id,
        order.commodity,
        order.kind,
        order.starts_at,
        order.ends_at,
    )
    event_id = add_quality(
        session,
        {
            "building_id": place.building_id,
            "premises_id": place.premises_id,
            "commodity": order.commodity,
            "kind": order.kind,
            "basis": order.basis,
            "starts_at": order.starts_at,
            "ends_at": order.ends_at,
            "measured_tenths": order.measured_tenths,
            "required_tenths": order.required_tenths,
            "document": order.document.strip(),
            "note": order.note.strip(),
            "state": QualityEventState.REPORTED,
            "recorded_by": order.scope.actor,
            "recorded_at": now,
            "source_key": key,
        },
    )
    return QualityRecorded(get_quality(session, order.scope, event_id), beside, repeated=False)


def _refuse_other_use(session: Session, order: QualityOrder) -> None:
    if quality_key_used(session, f"{order.scope.actor}:{order.idempotency_key}:"):
        raise RequestConflict(key=order.idempotency_key)


def _place(session: Session, order: QualityOrder) -> ConcernedPlace:
    """Return what the order is about; judged by the actor's role, then by what it reaches."""
    if order.scope.role is Role.RESIDENT:
        if order.premises_id is None or order.basis is not QualityBasis.COMPLAINT:
            raise Forbidden(action=str(Right.RECORD_QUALITY))
        return own_place(session, order.scope, order.premises_id)
    order.scope.demand(Right.RECORD_QUALITY)
    if order.premises_id is not None:
        return own_place(session, order.scope, order.premises_id)
    return concerned_place(session, order.scope, order.building_code, order.premises_number)


class QualityDecided(DomainError):
    """Somebody has decided the event already, or changed it in between."""

    code = "quality_decided"
    template = mark("%(who)s decided this already: %(state)s.")

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with the state in the reader's language."""
        state = translate(STATES[QualityEventState(self.values["state"])])
        return translate(self.template) % (self.values | {"state": state})


@dataclass(frozen=True, slots=True)
class DecideOrder:
    """Whether a quality event counts, and why; a rejection needs a reason."""

    event_id: int
    state: QualityEventState
    note: str
    scope: Scope

    def __post_init__(self) -> None:
        if self.state is QualityEventState.REPORTED:
            raise ValueError("a decision confirms or rejects")
        if len(self.note) > TEXT_MAX:
            raise Invalid(
                where=mark("note"),
                problem=mark("it has more than %(most)s characters"),
                most=TEXT_MAX,
            )
        if self.state is QualityEventState.REJECTED and not self.note.strip():
            raise Invalid(where=mark("note"), problem=mark("write why it does not count"))


def decide_quality(session: Session, order: DecideOrder, clock: Clock) -> StoredQuality:
    """Confirm or reject what was reported; the first decision stands, a second one is told of it.

    A rejected event stays in the register: it was told, by whom, and why it does not count.
    """
    order.scope.demand(Right.RECORD_QUALITY)
    found = get_quality(session, order.scope, order.event_id)
    note = "\n".join(filter(None, (found.note, order.note.strip())))
    changed = change_quality(
        session,
        found.id,
        QualityEventState.REPORTED,
        {
            "state": order.state,
            "decided_by": order.scope.actor,
            "decided_at": clock.now(),
            "note": note,
        },
    )
    now_so = get_quality(session, order.scope, order.event_id)
    if not changed:
        raise QualityDecided(who=now_so.decided_by or "", state=str(now_so.state))
    return now_so


@dataclass(frozen=True, slots=True)
class EndOrder:
    """When a quality event ended that was recorded as lasting."""

    event_id: int
    ends_at: datetime
    scope: Scope


def end_quality(session: Session, order: EndOrder, clock: Clock) -> StoredQuality:
    """Say when an event ended; one that has an end keeps it."""
    order.scope.demand(Right.RECORD_QUALITY)
    found = get_quality(session, order.scope, order.event_id)
    if order.ends_at <= found.starts_at:
        raise Invalid(where=mark("until"), problem=mark("it ends before it starts"))
    if order.ends_at > clock.now():
        raise Invalid(where=mark("until"), problem=mark("it lies in the future"))
    if found.ends_at is not None or found.state is QualityEventState.REJECTED:
        raise Invalid(where=mark("until"), problem=mark("it does not last any more"))
    told = {"ends_at": order.ends_at, "end_recorded_at": clock.now()}
    if not change_quality(session, found.id, found.state, told):
        raise QualityDecided(who=found.decided_by or "", state=str(found.state))
    return get_quality(session, order.scope, order.event_id)
