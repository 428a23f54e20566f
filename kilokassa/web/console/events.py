"""What meters told, and where services fell short: lists, records and decisions."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import uuid4
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from billing import store as billing_store
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError, Invalid, NotFound
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import instant_text, mark, sentence
from kilokassa.web.doers import Doers
from kilokassa.web.event_forms import EventsForm, QualityForm, tenths
from kilokassa.web.event_tables import (
    DeviationOf,
    deviations,
    device_events,
    hours_text,
    quality_events,
    tenths_text,
)
from kilokassa.web.forms import month_asked
from kilokassa.web.kit import Paging, export_asked, page_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit
from metering.events.kinds import DeviceEventKind, QualityBasis, QualityEventState, event_instant
from metering.events.quality import deviation
from metering.events.service import (
    DecideOrder,
    DeviceEventsOrder,
    EndOrder,
    EventsRecorded,
    QualityDecided,
    QualityOrder,
    QualityRecorded,
    decide_quality,
    end_quality,
    record_device_events,
    record_quality,
)
from metering.events.store import (
    EventFilter,
    QualityFilter,
    StoredQuality,
    concerned_place,
    get_quality,
    list_events,
    list_quality,
    quality_overlapping,
)
from metering.parsers.csv_events import FILE_MAX_BYTES, parse_events
from metering.registry.places import Commodity

PAGE_SIZE: Final = 50
EXPORT_MAX: Final = 100_000
REFUSALS_SHOWN: Final = 50
BASES_OF_PEOPLE: Final = (QualityBasis.ACT, QualityBasis.COMPLAINT, QualityBasis.METER)


# --- device events ---


def device_events_page() -> ResponseReturnValue:
    """List what meters told, the latest first; take a file of events in."""
    here = visit()
    form = EventsForm()
    result, refusal = None, ""
    if request.method == "POST" and form.validate():
        try:
            result = _import(here, form.file.data.read(FILE_MAX_BYTES + 1))
        except DomainError as error:
            refusal = sentence(error, here.language)
    wished = _event_filter()
    page = page_asked()
    exporting = bool(export_asked())
    found, total = list_events(
        here.session,
        here.scope,
        wished,
        limit=EXPORT_MAX if exporting else PAGE_SIZE,
        offset=0 if exporting else (page - 1) * PAGE_SIZE,
    )
    table = device_events(found, here.language)
    if exporting:
        return table.csv()
    refused = bool(refusal) or (request.method == "POST" and result is None)
    answer = render_template(
        "console/device_events.html",
        active="console.findings",
        table=table,
        paging=Paging(page, PAGE_SIZE, total),
        asked=wished,
        kinds=tuple(DeviceEventKind),
        buildings=billing_store.buildings(here.session, here.scope),
        form=form,
        result=result,
        refusal=refusal,
        refusals=[one.sentence(translate) for one in result.refused[:REFUSALS_SHOWN]]
        if result
        else (),
        may_import=here.may(Right.IMPORT_READINGS),
    )
    return answer, 422 if refused else 200


def _import(here: Visit, content: bytes) -> EventsRecorded:
    lines = parse_events(content)
    digest = hashlib.sha256(content).hexdigest()[:16]
    order = DeviceEventsOrder(lines, f"file:{digest}", here.scope)
    with here.writing() as session:
        return record_device_events(session, order, here.application.clock)


def _event_filter() -> EventFilter:
    asked = request.args
    kind = asked.get("kind", "")
    return EventFilter(
        building_code=asked.get("building", ""),
        point_code=asked.get("point", "")[:100].strip(),
        kind=DeviceEventKind(kind) if kind in set(DeviceEventKind) else None,
        tampering=kind == "tampering",
    )


# --- quality ---


def quality() -> ResponseReturnValue:
    """List periods in which services fell short, and what annex 1 counts in a month."""
    here = visit()
    month = month_asked("month") or Month.of(here.today)
    wished = _quality_filter()
    page = page_asked()
    exporting = export_asked()
    counted = _deviations(here, month, wished)
    if exporting == "deviations":
        return deviations(counted, here.language).csv()
    found, total = list_quality(
        here.session,
        here.scope,
        wished,
        limit=EXPORT_MAX if exporting else PAGE_SIZE,
        offset=0 if exporting else (page - 1) * PAGE_SIZE,
    )
    table = quality_events(found, here.language)
    if exporting:
        return table.csv()
    return render_template(
        "console/quality.html",
        active="console.findings",
        table=table,
        counted=deviations(counted, here.language),
        unsure=any(one[2].rule.confidence == "memory" for one in counted),
        paging=Paging(page, PAGE_SIZE, total),
        asked=wished,
        month=month,
        states=tuple(QualityEventState),
        commodities=tuple(Commodity),
        buildings=billing_store.buildings(here.session, here.scope),
    )


def _quality_filter() -> QualityFilter:
    asked = request.args
    state, commodity = asked.get("state", ""), asked.get("service", "")
    return QualityFilter(
        building_code=asked.get("building", ""),
        commodity=Commodity(commodity) if commodity in set(Commodity) else None,
        state=QualityEventState(state) if state in set(QualityEventState) else None,
    )


def _deviations(here: Visit, month: Month, wished: QualityFilter) -> list[DeviationOf]:
    """Return what counts in a month for each house and each premises something was told of.

    For premises, what concerned the whole house counts as well.
    """
    found, _ = list_quality(
        here.session,
        here.scope,
        QualityFilter(
            building_code=wished.building_code,
            commodity=wished.commodity,
            touching=month.period(here.zone),
        ),
        limit=None,
    )
    told = [one for one in found if one.state is not QualityEventState.REJECTED]
    groups: dict[tuple[str, str], list[StoredQuality]] = {}
    for one in told:
        groups.setdefault((one.building_code, one.premises_number), []).append(one)
    counted: list[DeviationOf] = []
    for (building_code, number), own in sorted(groups.items()):
        services = {one.commodity for one in own}
        of_house = groups.get((building_code, ""), []) if number else []
        records = [*own, *(one for one in of_house if one.commodity in services)]
        zone = ZoneInfo(own[0].zone)
        whole = deviation((one.as_period(here.now) for one in records), month, zone)
        sure = {
            one.rule.item: one
            for one in deviation(
                (
                    one.as_period(here.now)
                    for one in records
                    if one.state is QualityEventState.CONFIRMED
                ),
                month,
                zone,
            )
        }
        counted += [
            (own[0].building_address, number, one, sure.get(one.rule.item)) for one in whole
        ]
    return counted


def quality_event(event_id: int) -> ResponseReturnValue:
    """Show one record, what overlaps it, and the forms that decide it or say when it ended."""
    here = visit()
    return _event_page(here, get_quality(here.session, here.scope, event_id))


def _event_page(here: Visit, one: StoredQuality) -> str:
    beside = quality_overlapping(
        here.session,
        one.building_id,
        one.premises_id,
        one.commodity,
        one.kind,
        one.starts_at,
        one.ends_at,
    )
    zone = ZoneInfo(one.zone)
    months = _months_of(one, here.now, zone)
    return render_template(
        "console/quality_event.html",
        active="console.findings",
        one=one,
        measured=tenths_text(one.measured_tenths, one.kind, here.language),
        required=tenths_text(one.required_tenths, one.kind, here.language),
        starts=instant_text(one.starts_at, zone, here.language),
        ends="" if one.ends_at is None else instant_text(one.ends_at, zone, here.language),
        overlapping=quality_events([o for o in beside if o.id != one.id], here.language),
        counted=[
            (month, found)
            for month in months
            for found in deviation([one.as_period(here.now)], month, zone)
        ],
        doers=Doers(here, [one.recorded_by, one.decided_by], [one.note]),
        hours=lambda minutes: hours_text(minutes, here.language),
        may_decide=here.may(Right.RECORD_QUALITY),
        QualityEventState=QualityEventState,
    )


def _months_of(one: StoredQuality, now: datetime, zone: ZoneInfo) -> Sequence[Month]:
    last = one.ends_at or max(now, one.starts_at)
    first_month = Month.of(one.starts_at.astimezone(zone).date())
    last_month = Month.of(last.astimezone(zone).date())
    count = min(12, last_month.ordinal - first_month.ordinal + 1)
    return tuple(first_month.plus(n) for n in range(count))


def new_quality() -> ResponseReturnValue:
    """Record a period by an act, a complaint or a meter; the form's key makes it count once."""
    here = visit()
    form = QualityForm()
    form.offer(billing_store.buildings(here.session, here.scope), BASES_OF_PEOPLE)
    if request.method == "GET":
        form.key.data = uuid4().hex
        form.building.data = request.args.get("building", form.building.data)
    elif form.validate():
        try:
            done = _record(here, form)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            _tell(done)
            return redirect(url_for("console.quality_event", event_id=done.event.id))
    answer = render_template("console/quality_new.html", active="console.findings", form=form)
    return answer, 422 if request.method == "POST" else 200


def _record(here: Visit, form: QualityForm) -> QualityRecorded:
    scope = here.scope
    place = concerned_place(
        here.session, scope, form.building.data, (form.premises.data or "").strip()
    )
    order = order_of(form, ZoneInfo(place.zone), scope)
    with here.writing() as session:
        return record_quality(session, order, here.application.clock)


def order_of(form: QualityForm, zone: ZoneInfo, scope: Scope) -> QualityOrder:
    """Return the order that a filled-in form of the staff is."""
    starts_at = form.starts_at(zone)
    if starts_at is None:
        raise Invalid(where=mark("from"), problem=mark("the clock skipped this local time"))
    commodity, kind = form.chosen_way
    return QualityOrder(
        commodity=commodity,
        kind=kind,
        basis=QualityBasis(form.basis.data),
        starts_at=starts_at,
        ends_at=form.ends_at(zone),
        scope=scope,
        building_code=form.building.data,
        premises_number=(form.premises.data or "").strip(),
        measured_tenths=tenths(form.measured.data),
        required_tenths=tenths(form.required.data),
        document=form.document.data or "",
        note=form.note.data or "",
        idempotency_key=f"page:{form.key.data}",
    )


def _tell(done: QualityRecorded) -> None:
    flash(translate(mark("Recorded under number %(id)s.")) % {"id": done.event.id}, "good")
    if done.overlapping:
        numbers = ", ".join(str(one.id) for one in done.overlapping)
        text = mark("The same time is recorded already under %(numbers)s; it is counted once.")
        flash(translate(text) % {"numbers": numbers}, "warn")


def decide(event_id: int) -> ResponseReturnValue:
    """Confirm or reject what was reported; the first decision stands."""
    here = visit()
    asked = request.form.get("state", "")
    if asked not in {QualityEventState.CONFIRMED, QualityEventState.REJECTED}:
        get_quality(here.session, here.scope, event_id)
        flash(translate(mark("Choose whether it counts.")), "warn")
        return redirect(url_for("console.quality_event", event_id=event_id))
    scope = here.scope
    try:
        order = DecideOrder(event_id, QualityEventState(asked), request.form.get("note", ""), scope)
        with here.writing() as session:
            decide_quality(session, order, here.application.clock)
    except NotFound:
        raise
    except QualityDecided as error:
        who = Doers(here, [error.values["who"]]).name(error.values["who"])
        named = QualityDecided(who=who, state=error.values["state"])
        flash(sentence(named, here.language), "warn")
    except DomainError as error:
        flash(sentence(error, here.language), "warn")
    else:
        flash(translate(mark("The decision is recorded.")), "good")
    return redirect(url_for("console.quality_event", event_id=event_id))


def end(event_id: int) -> ResponseReturnValue:
    """Say when an event ended that was recorded as lasting."""
    here = visit()
    scope = here.scope
    one = get_quality(here.session, scope, event_id)
    try:
        local = datetime.fromisoformat(request.form.get("ends", ""))
    except ValueError:
        local = None
    ends_at = None if local is None else event_instant(local, ZoneInfo(one.zone))
    if ends_at is None:
        flash(translate(mark("Write a date and a time.")), "warn")
        return redirect(url_for("console.quality_event", event_id=event_id))
    try:
        with here.writing() as session:
            end_quality(session, EndOrder(event_id, ends_at, scope), here.application.clock)
    except NotFound:
        raise
    except DomainError as error:
        flash(sentence(error, here.language), "warn")
    else:
        flash(translate(mark("The end is recorded.")), "good")
    return redirect(url_for("console.quality_event", event_id=event_id))
