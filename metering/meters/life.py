"""The life of a meter as a fold over what happened to it, and what of it is due when.

What happened is appended (`meter_life_event`), never changed; where a meter was registered before
anybody wrote its life down, the dates of its row stand for the steps that are missing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.text import mark
from metering.registry.places import LifeEventKind


class LifeStage(StrEnum):
    """Where in its life a meter is."""

    UNKNOWN = "unknown"
    MADE = "made"
    INSTALLED = "installed"
    """At its point, and not admitted to settlement yet, or not again after a repair."""
    IN_SERVICE = "in_service"
    REMOVED = "removed"
    RETIRED = "retired"
    DISPOSED = "disposed"


_KIND = LifeEventKind
_STAGE = LifeStage

NEXT: Final[Mapping[LifeStage, Mapping[LifeEventKind, LifeStage]]] = {
    _STAGE.UNKNOWN: {
        _KIND.MADE: _STAGE.MADE,
        _KIND.REPAIRED: _STAGE.UNKNOWN,
        _KIND.VERIFIED: _STAGE.UNKNOWN,
        _KIND.INSTALLED: _STAGE.INSTALLED,
    },
    _STAGE.MADE: {
        _KIND.REPAIRED: _STAGE.MADE,
        _KIND.VERIFIED: _STAGE.MADE,
        _KIND.INSTALLED: _STAGE.INSTALLED,
        _KIND.RETIRED: _STAGE.RETIRED,
    },
    _STAGE.INSTALLED: {
        _KIND.COMMISSIONED: _STAGE.IN_SERVICE,
        _KIND.SEALED: _STAGE.INSTALLED,
        _KIND.VERIFIED: _STAGE.INSTALLED,
        _KIND.REPAIRED: _STAGE.INSTALLED,
        _KIND.REPLACED: _STAGE.REMOVED,
        _KIND.RETIRED: _STAGE.RETIRED,
    },
    _STAGE.IN_SERVICE: {
        _KIND.SEALED: _STAGE.IN_SERVICE,
        _KIND.VERIFIED: _STAGE.IN_SERVICE,
        _KIND.REPAIRED: _STAGE.INSTALLED,
        _KIND.REPLACED: _STAGE.REMOVED,
        _KIND.RETIRED: _STAGE.RETIRED,
    },
    _STAGE.REMOVED: {
        _KIND.VERIFIED: _STAGE.REMOVED,
        _KIND.REPAIRED: _STAGE.REMOVED,
        _KIND.RETIRED: _STAGE.RETIRED,
    },
    _STAGE.RETIRED: {_KIND.DISPOSED: _STAGE.DISPOSED},
    _STAGE.DISPOSED: {},
}
"""What may happen next, and where it leads; a meter that was removed begins a new life elsewhere.

A repair ends the admission: a repaired meter is commissioned again before it counts.
"""

_ORDER_IN_A_DAY: Final = (
    _KIND.MADE,
    _KIND.REPAIRED,
    _KIND.VERIFIED,
    _KIND.INSTALLED,
    _KIND.COMMISSIONED,
    _KIND.SEALED,
    _KIND.REPLACED,
    _KIND.RETIRED,
    _KIND.DISPOSED,
)
"""An event has a day and no hour: those of one day are taken as they sensibly follow each other."""

VALIDITY_MAX_YEARS: Final = 20
"""No verification holds longer (the longest interval in use is 16 years): a slip of the finger."""


class MeterLifeConflict(DomainError):
    """Something that cannot have happened to the meter at that time."""

    code = "meter_life_conflict"
    template = mark(
        "Meter %(serial)s: %(event)s on %(day)s is not possible: the meter was %(stage)s then."
    )

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with the event and the stage in the reader's language."""
        words = {
            "event": translate(EVENT_NAMES[self.values["event"]]),
            "stage": translate(STAGE_NAMES[self.values["stage"]]),
        }
        return translate(self.template) % (self.values | words)


EVENT_NAMES: Final[Mapping[LifeEventKind, str]] = {
    _KIND.MADE: mark("manufacture"),
    _KIND.INSTALLED: mark("installation"),
    _KIND.COMMISSIONED: mark("commissioning"),
    _KIND.SEALED: mark("sealing"),
    _KIND.VERIFIED: mark("verification"),
    _KIND.REPAIRED: mark("repair"),
    _KIND.REPLACED: mark("replacement"),
    _KIND.RETIRED: mark("retirement"),
    _KIND.DISPOSED: mark("disposal"),
}

STAGE_NAMES: Final[Mapping[LifeStage, str]] = {
    _STAGE.UNKNOWN: mark("not known yet"),
    _STAGE.MADE: mark("made"),
    _STAGE.INSTALLED: mark("installed, not commissioned"),
    _STAGE.IN_SERVICE: mark("in service"),
    _STAGE.REMOVED: mark("removed"),
    _STAGE.RETIRED: mark("retired"),
    _STAGE.DISPOSED: mark("disposed of"),
}


@dataclass(frozen=True, slots=True)
class LifeEvent:
    """A step in the life of a meter."""

    kind: LifeEventKind
    happened_on: date
    valid_until: date | None = None
    """Of a verification: the last day it holds."""
    document: str = ""
    note: str = ""
    actor: str = ""
    implied: bool = False
    """Taken from the dates of the meter's row: nobody wrote it down as an event."""


@dataclass(frozen=True, slots=True)
class MeterDates:
    """What the row of a meter says of its life."""

    serial: str
    installed_on: date
    removed_on: date | None = None
    verified_until: date | None = None
    made_on: date | None = None
    service_life_years: int | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """The life of a meter up to what is known of it."""

    stage: LifeStage
    events: tuple[LifeEvent, ...]
    """In order, implied ones included."""
    made_on: date | None
    verified_until: date | None
    """The last day of the latest verification."""
    unverified_since: date | None
    """The day of a repair after which the meter was not verified again."""
    retire_by: date | None
    """The last day of its service life."""
    verified_spans: tuple[tuple[date, date], ...]
    """First and last day of each verification, in order."""

    @property
    def allowed(self) -> tuple[LifeEventKind, ...]:
        """What may happen next."""
        return tuple(kind for kind in LifeEventKind if kind in NEXT[self.stage])

    @property
    def recordable(self) -> tuple[LifeEventKind, ...]:
        """What a person may write down: what may happen next, and steps that only a row tells.

        A replacement is not among them: it brings another meter with it.
        """
        missing = {event.kind for event in self.events if event.implied}
        if self.made_on is None and self.stage is not LifeStage.DISPOSED:
            missing.add(LifeEventKind.MADE)
        open_now = ({*self.allowed} | missing) - {LifeEventKind.REPLACED}
        return tuple(kind for kind in LifeEventKind if kind in open_now)

    def verified_on(self, day: date) -> bool:
        """Say whether some verification held on `day`, and no repair had ended it."""
        repairs = [e.happened_on for e in self.events if e.kind is LifeEventKind.REPAIRED]
        return any(
            first <= day <= last and not any(first < repair <= day for repair in repairs)
            for first, last in self.verified_spans
        )


def life_of(dates: MeterDates, recorded: Iterable[LifeEvent]) -> Life:
    """Fold what happened to a meter into where it is; refuse what cannot follow.

    What was recorded out of order is put in order of its days first, so a certificate that comes
    late changes nothing but what it says.
    """
    events = sorted(
        [*_implied(dates, written := list(recorded)), *written],
        key=lambda event: (event.happened_on, _ORDER_IN_A_DAY.index(event.kind)),
    )
    stage = LifeStage.UNKNOWN
    made_on = dates.made_on
    verified: LifeEvent | None = None
    repaired_on: date | None = None
    spans: dict[date, date] = {}
    for event in events:
        after = NEXT[stage].get(event.kind)
        if after is None:
            raise MeterLifeConflict(
                serial=dates.serial,
                event=event.kind,
                day=event.happened_on.isoformat(),
                stage=stage,
            )
        stage = after
        match event.kind:
            case LifeEventKind.MADE:
                made_on = event.happened_on
            case LifeEventKind.REPAIRED:
                repaired_on = event.happened_on
            case LifeEventKind.VERIFIED:
                assert event.valid_until is not None, "a verification says until when"
                verified, repaired_on = event, None
                spans[event.happened_on] = event.valid_until
    verified_until = dates.verified_until
    if verified is not None:
        verified_until = verified.valid_until
    elif verified_until is not None:
        spans[min(dates.installed_on, verified_until)] = verified_until
    return Life(
        stage=stage,
        events=tuple(events),
        made_on=made_on,
        verified_until=verified_until,
        unverified_since=repaired_on,
        retire_by=retire_by(made_on, dates.service_life_years),
        verified_spans=tuple(sorted(spans.items())),
    )


def live_on(
    dates: MeterDates, recorded: Sequence[LifeEvent], event: LifeEvent, *, today: date
) -> Life:
    """Return the life with `event` added; refuse what cannot have happened."""
    check_event(dates.serial, event, today=today)
    before = life_of(dates, recorded)
    if (
        event.kind is LifeEventKind.COMMISSIONED
        and before.retire_by is not None
        and event.happened_on > before.retire_by
    ):
        raise Invalid(
            where=dates.serial,
            problem=mark("its service life ended on %(day)s"),
            day=before.retire_by.isoformat(),
        )
    return life_of(dates, [*recorded, event])


def check_event(serial: str, event: LifeEvent, *, today: date) -> None:
    """Refuse an event that is wrong in itself, whatever happened before."""
    if event.happened_on > today:
        raise Invalid(
            where=serial,
            problem=mark("%(day)s is in the future"),
            day=event.happened_on.isoformat(),
        )
    if event.kind is not LifeEventKind.VERIFIED:
        if event.valid_until is not None:
            raise Invalid(where=serial, problem=mark("only a verification holds until a day"))
        return
    if event.valid_until is None:
        raise Invalid(where=serial, problem=mark("a verification says until when it holds"))
    if (
        not event.happened_on
        < event.valid_until
        <= add_years(event.happened_on, VALIDITY_MAX_YEARS)
    ):
        raise Invalid(
            where=serial,
            problem=mark("a verification holds until a day in the 20 years after it"),
        )


def retire_by(made_on: date | None, service_life_years: int | None) -> date | None:
    """Return the last day of a service life, where both its beginning and its length are known."""
    if made_on is None or service_life_years is None:
        return None
    return add_years(made_on, service_life_years) - timedelta(days=1)


def add_years(day: date, years: int) -> date:
    """Return the same day so many years later; 29 February becomes 1 March.

    >>> add_years(date(2024, 2, 29), 1)
    datetime.date(2025, 3, 1)
    """
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def _implied(dates: MeterDates, recorded: Sequence[LifeEvent]) -> list[LifeEvent]:
    """Return the steps that the row of the meter tells and no event does.

    A meter of which only the row is known is one that has long been counted by: it is in service
    since it was installed. One whose installation was written down is commissioned when somebody
    writes that down too.
    """
    kinds = {event.kind for event in recorded}
    told: list[tuple[LifeEventKind, date]] = []
    if dates.made_on is not None and LifeEventKind.MADE not in kinds:
        told.append((LifeEventKind.MADE, dates.made_on))
    if LifeEventKind.INSTALLED not in kinds:
        told.append((LifeEventKind.INSTALLED, dates.installed_on))
        admitted = any(
            event.kind is LifeEventKind.COMMISSIONED and _before_repairs(event, recorded)
            for event in recorded
        )
        if not admitted:
            told.append((LifeEventKind.COMMISSIONED, dates.installed_on))
    if dates.removed_on is not None and not kinds & {LifeEventKind.REPLACED, LifeEventKind.RETIRED}:
        told.append((LifeEventKind.REPLACED, dates.removed_on))
    return [LifeEvent(kind, day, implied=True) for kind, day in told]


def _before_repairs(event: LifeEvent, recorded: Sequence[LifeEvent]) -> bool:
    """Say whether a commissioning was the first one, not one after a repair."""
    return not any(
        other.kind is LifeEventKind.REPAIRED and other.happened_on <= event.happened_on
        for other in recorded
    )


# --- what is due ---


class DueReason(StrEnum):
    """Why somebody must come to a meter."""

    VERIFICATION = "verification"
    SERVICE_LIFE = "service_life"
    REPAIRED = "repaired"
    """It was repaired and not verified since."""
    UNKNOWN = "unknown"
    """Nobody knows until when its verification holds."""


class DueBand(StrEnum):
    """How soon that is."""

    EXPIRED = "expired"
    WITHIN_30 = "within_30"
    WITHIN_90 = "within_90"
    WITHIN_180 = "within_180"
    LATER = "later"
    UNKNOWN = "unknown"


BAND_DAYS: Final[Mapping[DueBand, int]] = {
    DueBand.WITHIN_30: 30,
    DueBand.WITHIN_90: 90,
    DueBand.WITHIN_180: 180,
}


@dataclass(frozen=True, slots=True)
class Due:
    """What is due first at a meter, and when; `on` is the last day that is still good."""

    reason: DueReason
    on: date | None
    band: DueBand


def due(
    *,
    verified_until: date | None,
    unverified_since: date | None,
    retire_on: date | None,
    today: date,
) -> Due:
    """Return what is due first; a repair without a verification is due since that day.

    >>> due(
    ...     verified_until=date(2026, 12, 1),
    ...     unverified_since=None,
    ...     retire_on=None,
    ...     today=date(2026, 11, 24),
    ... ).band
    <DueBand.WITHIN_30: 'within_30'>
    """
    if verified_until is None and unverified_since is None and (retire_on or today) >= today:
        return Due(DueReason.UNKNOWN, None, DueBand.UNKNOWN)
    if unverified_since is not None:
        return Due(DueReason.REPAIRED, unverified_since, DueBand.EXPIRED)
    on, reason = min(
        (day, reason)
        for day, reason in (
            (verified_until, DueReason.VERIFICATION),
            (retire_on, DueReason.SERVICE_LIFE),
        )
        if day is not None
    )
    return Due(reason, on, _band(on, today))


def _band(on: date, today: date) -> DueBand:
    left = (on - today).days
    if left < 0:
        return DueBand.EXPIRED
    return next((band for band, days in BAND_DAYS.items() if left <= days), DueBand.LATER)
