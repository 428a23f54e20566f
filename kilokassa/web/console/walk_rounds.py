"""Walk-rounds: a house's list of meters, entered from the keyboard alone; and reading windows."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from flask import (
    Response,
    flash,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.scope import Right
from kilokassa.core.text import mark, sentence
from kilokassa.core.zones import Zone
from kilokassa.web import by_hand
from kilokassa.web.by_hand import ShownRound
from kilokassa.web.kit import Paging, export_asked, page_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit
from kilokassa.web.words import word
from metering.by_hand import store as store
from metering.by_hand.photos import SENT_BYTES_MAX, UnreadablePhoto, remade, thumbnail
from metering.by_hand.readings import (
    EXCESS_LEAST,
    USUAL_TIMES,
    Verdict,
    parse_reading,
    rule_of,
    window_state,
)
from metering.by_hand.service import (
    HandResult,
    OpenRoundOrder,
    RoundOutcomeOrder,
    RoundPhotoOrder,
    RoundReadingsOrder,
    SheetRow,
    WindowOrder,
    attach_photo,
    close_walk_round,
    open_walk_round,
    record_round_outcome,
    record_round_readings,
    reopen_walk_round,
    set_reading_window,
    walk_line,
    walk_sheet,
)
from metering.events.kinds import VisitOutcome
from metering.registers import modulus

PAGE_SIZE: Final = 50
ROUNDS_EXPORTED: Final = 10_000


@dataclass(frozen=True, slots=True)
class EntryField:
    """A field of a line, with what the page's script needs to judge it at once."""

    name: str
    zone: Zone
    previous_text: str
    previous_on: Any
    usual_text: str
    typed: str
    previous: int | None
    most: int | None
    """More than this, in Wh, kcal or litres, is unlikely."""
    top: int
    scale: int
    """How many decimals lie between a kWh, Gcal or cubic metre and the unit at rest."""


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A line of the page."""

    row: SheetRow
    fields: tuple[EntryField, ...]
    state: str
    text: str
    photo_url: str


def walk_rounds() -> ResponseReturnValue:
    """List the walk-rounds in reach; open one of a building and day, or go on with it."""
    here = visit()
    problem = ""
    if request.method == "POST":
        try:
            return _opened(here)
        except DomainError as error:
            problem = sentence(error, here.language)
    page = page_asked()
    exporting = bool(export_asked())
    code = request.values.get("building", "")
    found, total = store.walk_rounds(
        here.session,
        here.scope,
        building_code=code if request.method == "GET" and code else None,
        limit=ROUNDS_EXPORTED if exporting else PAGE_SIZE,
        offset=0 if exporting else (page - 1) * PAGE_SIZE,
    )
    table = by_hand.rounds_table(shown_rounds(here, found))
    if exporting:
        return table.csv()
    answer = render_template(
        "console/walk_rounds.html",
        active="console.walk_rounds",
        table=table,
        paging=Paging(page, PAGE_SIZE, total),
        buildings=store.buildings_in_reach(here.session, here.scope),
        building=code,
        day=request.form.get("day", here.today.isoformat()),
        today=here.today,
        problem=problem,
    )
    return answer, 422 if problem else 200


def shown_rounds(here: Visit, found: tuple[store.WalkRound, ...]) -> list[ShownRound]:
    """Return walk-rounds with how far each has come and who opened it."""
    progress = store.round_progress(here.session, found, here.today)
    names = by_hand.names_of(here.session, {one.actor for one in found})
    return [ShownRound(one, *progress[one.id], names.get(one.actor, one.actor)) for one in found]


def _opened(here: Visit) -> ResponseReturnValue:
    order = OpenRoundOrder(here.scope, request.form.get("building", ""), _day("day"))
    clock = here.application.clock
    with here.writing() as session:
        found = open_walk_round(session, order, clock)
    return redirect(url_for("console.walk_round", round_id=found.id))


def walk_round(round_id: int) -> ResponseReturnValue:
    """Show the list of a walk-round, ready to be entered."""
    here = visit()
    sheet = walk_sheet(here.session, here.scope, round_id)
    if export_asked():
        return by_hand.sheet_table(sheet).csv()
    names = by_hand.names_of(here.session, {sheet.round.actor})
    return render_template(
        "console/walk_round.html",
        active="console.walk_rounds",
        sheet=sheet,
        round=sheet.round,
        rows=[_entry(row) for row in sheet.rows],
        others=[_entry(row) for row in sheet.others],
        opened_by=names.get(sheet.round.actor, ""),
        words=_words(),
        VisitOutcome=VisitOutcome,
    )


def walk_round_paper(round_id: int) -> ResponseReturnValue:
    """Show the list as a sheet to be printed and taken along."""
    here = visit()
    sheet = walk_sheet(here.session, here.scope, round_id)
    return render_template(
        "console/walk_round_paper.html",
        sheet=sheet,
        round=sheet.round,
        rows=[_entry(row) for row in sheet.rows],
    )


def walk_round_meter(round_id: int, meter_id: int) -> ResponseReturnValue:
    """Take in what a meter showed, or why it was not read; answer the script, or go back."""
    here = visit()
    clock, scope, language = here.application.clock, here.scope, here.language
    result: HandResult | None = None
    mistake = ""
    try:
        outcome = request.form.get("outcome", "")
        if outcome:
            order = RoundOutcomeOrder(
                scope, round_id, meter_id, _outcome(outcome), request.form.get("note", "")
            )
            with here.writing() as session:
                record_round_outcome(session, order, clock)
        else:
            readings = _readings_order(here, round_id, meter_id)
            with here.writing() as session:
                result = record_round_readings(session, readings, clock)
    except Invalid as error:
        mistake = sentence(error, language)
    line = walk_line(here.session, scope, round_id, meter_id)
    row = line.row
    state, text = _state(row)
    if mistake:
        state, text = "refused", mistake
    elif result is not None and not result.stored:
        state = str(result.verdict)
        text = _told(result)
        if result.verdict is Verdict.WARN:
            text += " " + translate(mark("Enter once more to confirm."))
    if _wants_json():
        return jsonify(
            state=state,
            text=text,
            done=line.done,
            whole=line.whole,
            stored=not mistake and (result is None or result.stored),
            values={f"v-{one.zone}": _typed(row, one.value) for one in row.registers},
        )
    if state in ("refused", "warn"):
        flash(text, "bad" if state == "refused" else "warn")
    return redirect(url_for("console.walk_round", round_id=round_id, _anchor=f"m{meter_id}"))


def walk_round_photo(round_id: int, meter_id: int) -> ResponseReturnValue:
    """Keep a photograph of a meter; answer the script with its address, or go back."""
    here = visit()
    clock, scope, language = here.application.clock, here.scope, here.language
    sent = request.files.get("photo")
    content = sent.stream.read(SENT_BYTES_MAX + 1) if sent is not None else b""
    url, text = "", ""
    try:
        order = RoundPhotoOrder(scope, round_id, meter_id, remade(content))
        with here.writing() as session:
            photo_id = attach_photo(session, order, clock)
        url = url_for("console.reading_photo", photo_id=photo_id)
    except (UnreadablePhoto, Invalid) as error:
        text = sentence(error, language)
    if _wants_json():
        return jsonify(url=url, text=text)
    if text:
        flash(text, "bad")
    return redirect(url_for("console.walk_round", round_id=round_id, _anchor=f"m{meter_id}"))


def reading_photo(photo_id: int) -> Response:
    """Return a photograph, or a small one of it, to who reaches the building."""
    here = visit()
    content, media_type = store.photo_content(here.session, here.scope, photo_id)
    if request.args.get("size") == "small":
        content = thumbnail(content)
    answer = make_response(content)
    answer.headers["Content-Type"] = media_type
    answer.headers["Content-Disposition"] = f'inline; filename="meter-{photo_id}.jpg"'
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer


def close_round(round_id: int) -> ResponseReturnValue:
    """End a walk-round, or open it again."""
    here = visit()
    clock, scope = here.application.clock, here.scope
    again = request.form.get("again") == "1"
    with here.writing() as session:
        (reopen_walk_round if again else close_walk_round)(session, scope, round_id, clock)
    if again:
        return redirect(url_for("console.walk_round", round_id=round_id))
    flash(translate(mark("The walk-round is closed.")), "good")
    return redirect(url_for("console.walk_rounds"))


def reading_windows() -> ResponseReturnValue:
    """Show on which days residents submit readings, and set them anew."""
    here = visit()
    problem = ""
    if request.method == "POST":
        try:
            order = _window_order(here)
            clock = here.application.clock
            with here.writing() as session:
                set_reading_window(session, order, clock)
            flash(translate(mark("The days are set.")), "good")
            return redirect(url_for("console.reading_windows"))
        except DomainError as error:
            problem = sentence(error, here.language)
    rules = store.window_rules(here.session)
    buildings = store.buildings_in_reach(here.session, here.scope)
    addresses = {building.id: building.address for building in buildings}
    month = Month.of(here.today)
    page = render_template(
        "console/reading_windows.html",
        active="console.walk_rounds",
        state=window_state(rules, None, here.today),
        rule=rule_of(rules, None, month),
        buildings=buildings,
        table=by_hand.rules_table(
            [
                (rule, addresses.get(rule.building_id, "") if rule.building_id else "")
                for rule in reversed(rules)
                if rule.building_id is None or rule.building_id in addresses
            ]
        ),
        month_start=month.first_day,
        typed=request.form,
        problem=problem,
        may_set=here.may(Right.MANAGE_METERS),
    )
    return page, 422 if problem else 200


def _window_order(here: Visit) -> WindowOrder:
    return WindowOrder(
        scope=here.scope,
        valid_from=_day("valid_from"),
        first_day=_number("first_day"),
        last_day=_number("last_day"),
        remind_days_before=_number("remind_days_before"),
        building_code=request.form.get("building", "") or None,
        source=request.form.get("source", ""),
    )


def _day(name: str) -> date:
    text = request.form.get(name, "")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(
            where=mark("day"), problem=mark("%(text)s is not a date"), text=repr(text[:20])
        ) from None


def _number(name: str) -> int:
    text = request.form.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise Invalid(
            where=mark("reading window"),
            problem=mark("%(text)s is not a number of days"),
            text=repr(text[:20]),
        )
    return int(text)


def _outcome(text: str) -> VisitOutcome:
    if text not in set(VisitOutcome):
        raise Invalid(
            where=mark("outcome"), problem=mark("%(text)s is not one"), text=repr(text[:20])
        )
    return VisitOutcome(text)


def _readings_order(here: Visit, round_id: int, meter_id: int) -> RoundReadingsOrder:
    row = walk_line(here.session, here.scope, round_id, meter_id).row
    values = []
    for register in row.registers:
        text = request.form.get(f"v-{register.zone}", "").strip()
        if text:
            where = row.meter.serial
            values.append((register.zone, parse_reading(text, row.meter.commodity, where=where)))
    return RoundReadingsOrder(
        scope=here.scope,
        round_id=round_id,
        meter_id=meter_id,
        values=tuple(values),
        confirmed=request.form.get("confirmed") == "1",
        note=request.form.get("note", ""),
    )


def _wants_json() -> bool:
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == (
        "application/json"
    )


def _entry(row: SheetRow) -> EntryRow:
    commodity = row.meter.commodity
    fields = []
    for register in row.registers:
        previous = register.previous
        most = None
        if previous is not None and register.usual is not None:
            excess = max((USUAL_TIMES - 1) * register.usual, EXCESS_LEAST[commodity])
            most = previous.value + register.usual + excess
        fields.append(
            EntryField(
                name=f"v-{register.zone}",
                zone=register.zone,
                previous_text=""
                if previous is None
                else by_hand.total_text(previous.value, commodity),
                previous_on=None if previous is None else previous.taken_at,
                usual_text=""
                if register.usual is None
                else by_hand.usual_text(register.usual, commodity),
                typed=_typed(row, register.value),
                previous=None if previous is None else previous.value,
                most=most,
                top=modulus(row.meter.digits, commodity),
                scale=by_hand.DECIMALS[commodity],
            )
        )
    state, text = _state(row)
    url = "" if row.photo_id is None else url_for("console.reading_photo", photo_id=row.photo_id)
    return EntryRow(row, tuple(fields), state, text, url)


def _typed(row: SheetRow, value: int | None) -> str:
    return "" if value is None else by_hand.typed_text(value, row.meter.commodity)


def _state(row: SheetRow) -> tuple[str, str]:
    """Return how a line stands: nothing yet, half, read, or not to be read; and in words."""
    used = [
        by_hand.used_text(register.judgement, row.meter.commodity)
        for register in row.registers
        if register.judgement is not None
    ]
    if row.visit is not None and row.visit.outcome is VisitOutcome.READ:
        return "ok", ", ".join(filter(None, used)) or translate(mark("Read"))
    if row.visit is not None and row.is_done:
        return "away", translate(word(row.visit.outcome))
    if used:
        return "half", translate(mark("Some zones are still missing."))
    return "", ""


def _told(result: HandResult) -> str:
    told = []
    for one in result.judged:
        if one.judgement.verdict is not Verdict.OK:
            text = by_hand.judgement_text(one.judgement)
            told.append(text if len(result.judged) == 1 else f"{_zone_name(one.zone)}: {text}")
    return " ".join(told)


def _zone_name(zone: Zone) -> str:
    return translate(word(zone))


def _words() -> dict[str, str]:
    """Return what the page's script says by itself, in the reader's language."""
    return {
        "saving": translate(mark("Saving…")),
        "less": translate(mark("Less than before.")),
        "more": translate(mark("Far above the usual.")),
        "digits": translate(mark("More digits than the meter shows.")),
        "odd": translate(mark("Not a number.")),
        "unsaved": translate(mark("Not saved: no connection. Enter to try again.")),
    }
