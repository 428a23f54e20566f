"""A resident submits readings: every meter and zone at once, judged while they are typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4
from zoneinfo import ZoneInfo

from flask import flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from billing.models import AccountRow
from kilokassa.core.calendar import local_date
from kilokassa.core.errors import DomainError, Invalid, NotFound
from kilokassa.core.scope import Role
from kilokassa.core.series import Quality
from kilokassa.core.text import mark, sentence
from kilokassa.core.zones import Zone
from kilokassa.web import by_hand
from kilokassa.web.by_hand import ShownReading
from kilokassa.web.kit import export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, account_of, visit
from metering.by_hand import store as store
from metering.by_hand.readings import (
    UNITS,
    RegisterState,
    Verdict,
    WindowState,
    parse_reading,
    window_state,
)
from metering.by_hand.service import (
    GivenReading,
    HandResult,
    JudgedReading,
    SubmitOrder,
    judge_submission,
    submit_readings,
)
from metering.by_hand.store import HandMeter, ListedReading
from metering.registers import RegisterReading

READINGS_SHOWN: Final = 200
READINGS_EXPORTED: Final = 5_000


@dataclass(frozen=True, slots=True)
class Field:
    """A register that a resident may fill in, and what is to be said of what stands in it."""

    name: str
    zone: Zone
    unit: str
    digits: int
    previous: RegisterReading | None
    previous_text: str
    typed: str = ""
    verdict: str = ""
    text: str = ""
    used: str = ""


@dataclass(frozen=True, slots=True)
class MeterPart:
    """A meter with its fields."""

    meter: HandMeter
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """What the page is about, read in one state of the database."""

    row: AccountRow
    meters: tuple[HandMeter, ...]
    states: Mapping[tuple[int, Zone], RegisterState]
    window: WindowState | None
    correcting: datetime | None
    zone: ZoneInfo


def readings(number: str) -> ResponseReturnValue:
    """Show what may be submitted and what was; take readings in, all of them or none."""
    here = visit()
    place = _place(here, number)
    if request.method == "POST":
        return _submitted(here, place)
    shown = _shown(here, place, READINGS_EXPORTED if export_asked() else READINGS_SHOWN)
    if export_asked():
        return by_hand.readings_table(shown).csv()
    typed = {}
    if place.correcting is not None:
        for (meter_id, zone), state in place.states.items():
            known = state.at(place.correcting)
            if known is not None:
                typed[_name(meter_id, zone)] = by_hand.typed_text(known.value, state.commodity)
    return _page(here, place, typed, {}, key=uuid4().hex)


def check_readings(number: str) -> ResponseReturnValue:
    """Say what would become of the fields as they stand; nothing is written."""
    here = visit()
    place = _place(here, number)
    given, mistakes = _given(place)
    answers = {name: {"verdict": "refused", "text": text} for name, text in mistakes.items()}
    if given:
        for one in judge_submission(
            here.session, _order(here, place, given), here.application.clock
        ):
            answers[_name(one.meter.meter_id, one.zone)] = _answer(one)
    return jsonify(fields=answers)


def _submitted(here: Visit, place: _Place) -> ResponseReturnValue:
    given, mistakes = _given(place)
    number, key = place.row.number, request.form.get("key", "")
    if mistakes or not given:
        problem = "" if mistakes else translate(mark("Write at least one reading."))
        return _page(here, place, request.form, mistakes, key=key, problem=problem, status=422)
    order = _order(here, place, given)
    clock, language = here.application.clock, here.language
    try:
        with here.writing() as session:
            result = submit_readings(session, order, clock)
    except DomainError as error:
        return _page(
            here,
            _place(here, number),
            request.form,
            {},
            key=key,
            problem=sentence(error, language),
            status=422,
        )
    if not result.stored:
        return _page(
            here, _place(here, number), request.form, {}, key=key, result=result, status=422
        )
    flash(translate(mark("Your readings were taken in. Thank you!")), "good")
    return redirect(url_for("account.readings", number=number))


def _place(here: Visit, number: str) -> _Place:
    row, _ = account_of(here, number)
    # A closed account reaches its own past and no meter: others live there now.
    if row.closed_on is not None and here.scope.role is Role.RESIDENT:
        return _Place(row, (), {}, None, None, here.zone)
    house = store.premises_in_reach(here.session, here.scope, row.premises_id)
    meters = [
        meter
        for meter in store.meters_of_premises(here.session, here.scope, row.premises_id, here.today)
        if not meter.remote
    ]
    window = window_state(store.window_rules(here.session), house.id, here.today)
    states = store.register_states(here.session, meters, here.now)
    correcting = _correcting()
    if correcting is not None:
        # What was not read at that instant has nothing there to be corrected.
        states = {key: state for key, state in states.items() if state.at(correcting) is not None}
        meters = [m for m in meters if any(meter_id == m.meter_id for meter_id, _ in states)]
        if not states:
            raise NotFound(what=mark("reading"), name=correcting.isoformat())
    return _Place(row, tuple(meters), states, window, correcting, ZoneInfo(house.zone))


def _correcting() -> datetime | None:
    """Return the instant that the address or the form names for correction, if it does."""
    text = request.values.get("corrects", "")
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant.astimezone(UTC) if instant.tzinfo is not None else None


def _given(place: _Place) -> tuple[list[GivenReading], dict[str, str]]:
    """Return the readings of the form, and a sentence beside each field that is none."""
    given: list[GivenReading] = []
    mistakes: dict[str, str] = {}
    for meter_id, zone in place.states:
        name = _name(meter_id, zone)
        text = request.form.get(name, "").strip()
        if not text:
            continue
        commodity = place.states[meter_id, zone].commodity
        try:
            given.append(GivenReading(meter_id, zone, parse_reading(text, commodity)))
        except Invalid as error:
            problem = translate(error.values["problem"]) % error.values
            mistakes[name] = problem[:1].upper() + problem[1:] + "."
    return given, mistakes


def _order(here: Visit, place: _Place, given: Sequence[GivenReading]) -> SubmitOrder:
    key = request.form.get("key", "")
    return SubmitOrder(
        scope=here.scope,
        premises_id=place.row.premises_id,
        readings=tuple(given),
        key=key if key.isalnum() and len(key) <= 64 else "",
        confirmed=request.form.get("confirmed") == "1",
        corrects=place.correcting,
    )


def _page(
    here: Visit,
    place: _Place,
    typed: Mapping[str, str],
    mistakes: Mapping[str, str],
    *,
    key: str,
    problem: str = "",
    result: HandResult | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    judged = {}
    if result is not None:
        judged = {_name(one.meter.meter_id, one.zone): _answer(one) for one in result.judged}
    for name, text in mistakes.items():
        judged[name] = {"verdict": "refused", "text": text, "used": ""}
    page = render_template(
        "account/readings.html",
        active="account.readings",
        account=place.row,
        window=place.window,
        parts=[_part(place, meter, typed, judged) for meter in place.meters],
        table=by_hand.readings_table(_shown(here, place, READINGS_SHOWN)),
        given=_given_in_window(place),
        correcting=place.correcting,
        key=key,
        problem=problem,
        verdict=None if result is None else str(result.verdict),
    )
    return page, status


def _part(
    place: _Place,
    meter: HandMeter,
    typed: Mapping[str, str],
    judged: Mapping[str, Mapping[str, str]],
) -> MeterPart:
    fields = []
    for (meter_id, zone), state in place.states.items():
        if meter_id != meter.meter_id:
            continue
        name = _name(meter_id, zone)
        previous = state.latest
        if place.correcting is not None:
            previous = state.before(place.correcting)
        answer = judged.get(name, {})
        fields.append(
            Field(
                name=name,
                zone=zone,
                unit=UNITS[state.commodity],
                digits=state.digits,
                previous=previous,
                previous_text=""
                if previous is None
                else by_hand.total_text(previous.value, state.commodity),
                typed=typed.get(name, ""),
                verdict=answer.get("verdict", ""),
                text=answer.get("text", ""),
                used=answer.get("used", ""),
            )
        )
    return MeterPart(meter, tuple(fields))


def _answer(one: JudgedReading) -> dict[str, str]:
    return {
        "verdict": str(one.judgement.verdict),
        "text": by_hand.judgement_text(one.judgement),
        "used": ""
        if one.judgement.verdict is not Verdict.OK
        else by_hand.used_text(one.judgement, one.meter.commodity),
    }


def _given_in_window(place: _Place) -> bool:
    """Say whether every meter has a reading in the open window."""
    if place.window is None or not place.window.is_open or not place.states:
        return False
    window = place.window
    return all(by_hand.read_in(state, window) for state in place.states.values())


def _shown(here: Visit, place: _Place, limit: int) -> list[ShownReading]:
    if place.window is None:
        return []
    found = store.listed_readings(here.session, here.scope, place.row.premises_id, limit=limit)
    return [
        ShownReading(
            reading,
            local_date(reading.taken_at, place.zone),
            by_hand.source_text(here, reading.source),
            _correct_url(here, place, reading),
        )
        for reading in found
    ]


def _correct_url(here: Visit, place: _Place, reading: ListedReading) -> str | None:
    """Return where a reading is corrected, as long as it may be."""
    state = place.states.get((reading.meter_id, reading.zone))
    if state is None or place.window is None or reading.quality is not Quality.CUSTOMER_READ:
        return None
    day = local_date(reading.taken_at, state.zone)
    in_window = place.window.is_open and day in place.window.window
    if day != local_date(here.now, state.zone) and not in_window:
        return None
    return url_for(
        "account.readings",
        number=place.row.number,
        corrects=reading.taken_at.isoformat(),
    )


def _name(meter_id: int, zone: Zone) -> str:
    return f"v-{meter_id}-{zone}"
