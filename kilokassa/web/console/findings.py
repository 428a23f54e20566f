"""Findings as a queue that is worked through: what is wrong, what speaks for it, what was done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from flask import flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.routing import BuildError

from billing import store as billing_store
from kilokassa.core.calendar import local_date
from kilokassa.core.errors import DomainError, NotFound
from kilokassa.core.period import Period
from kilokassa.core.scope import Right
from kilokassa.core.series import Quality
from kilokassa.core.text import date_text, instant_text, mark, sentence
from kilokassa.web import queries
from kilokassa.web.doers import Doers
from kilokassa.web.event_tables import day_states, finding_table, shown_readings
from kilokassa.web.kit import Paging, export_asked, page_asked
from kilokassa.web.language import shown, translate
from kilokassa.web.visit import Visit, visit
from metering import store as metering_store
from metering.findings.finding import Finding, FindingKind, FindingState
from metering.findings.service import AcceptOrder, ReopenOrder, accept_findings, reopen_finding
from metering.findings.store import (
    WORK,
    DayState,
    EvidenceChannel,
    FindingFilter,
    StoredFinding,
    count_by_kind,
    day_history,
    evidence_channel,
    find_findings,
    get_finding,
    readings_around,
)

PAGE_SIZE: Final = 50
EXPORT_MAX: Final = 100_000
INTERVALS_SHOWN_DAYS: Final = 3
"""A finding no longer than this is shown by its intervals, a longer one by its days."""
AROUND: Final = timedelta(days=1)
AROUND_LONG: Final = timedelta(days=14)
DAYS_SHOWN_MAX: Final = 120
HISTORY_DAYS_MAX: Final = 7
TOLD_MAX: Final = 5
"""How many findings that others closed are told one by one."""

_TONES: Final = {
    FindingKind.GAP: "warn",
    FindingKind.DUPLICATE_SAME: "",
    FindingKind.DUPLICATE_DIFFERENT: "bad",
    FindingKind.NEGATIVE: "bad",
    FindingKind.OFF_GRID: "warn",
    FindingKind.REGISTER_BACKWARDS: "bad",
    FindingKind.REGISTER_ROLLOVER: "",
    FindingKind.OUT_OF_ORDER: "",
    FindingKind.SPIKE: "bad",
    FindingKind.STUCK: "warn",
    FindingKind.WRONG_INTERVAL: "warn",
    FindingKind.OVER_CAPACITY: "bad",
    FindingKind.WHILE_DISCONNECTED: "bad",
    FindingKind.REGISTER_DIFFERS: "bad",
    FindingKind.ZONES_SWAPPED: "bad",
    FindingKind.CLOCK_DRIFT: "warn",
}


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One thing that waits for somebody, as the kit's queue shows it."""

    kind: FindingKind
    tone: str
    text: str
    when: str
    href: str = ""
    link_text: str = ""


def finding_entries(here: Visit, found: Sequence[Finding]) -> list[QueueEntry]:
    """Return findings as entries of a queue, each with the account it is about."""
    accounts = queries.accounts_of_points(
        here.session, here.scope, [finding.point_code for finding in found]
    )
    entries = []
    for finding in found:
        number, payer = accounts.get(finding.point_code, ("", ""))
        entries.append(
            QueueEntry(
                kind=finding.kind,
                tone=_TONES.get(finding.kind, ""),
                text=finding.sentence(translate, shown),
                when=_when(here, finding.period),
                href=url_for("console.account", number=number) if number else "",
                link_text=f"{number} {payer}".strip(),
            )
        )
    return entries


def _when(here: Visit, period: Period) -> str:
    start = instant_text(period.start, here.zone, here.language)
    end = instant_text(period.end, here.zone, here.language)
    return start if start == end else f"{start} – {end}"


# --- the queue ---


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A finding as the queue lists it."""

    stored: StoredFinding
    tone: str
    text: str
    when: str
    href: str
    closed_by: str


def findings() -> ResponseReturnValue:
    """Show the queue, the heaviest first, and beside it what speaks for the chosen one."""
    here = visit()
    wished = _filter()
    if export_asked():
        found = find_findings(here.session, here.scope, wished, limit=EXPORT_MAX)
        return finding_table(found, _doers(here, found)).csv()
    return _page(here, wished)


def finding(finding_id: int) -> ResponseReturnValue:
    """Show one finding: within the queue, or alone where the page's script asks for it."""
    here = visit()
    stored = get_finding(here.session, here.scope, finding_id)
    if "HX-Request" in request.headers:
        part = render_template("console/finding.html", **_detail(here, stored))
        answer = make_response(part)
    else:
        answer = make_response(_page(here, _filter(stored), stored))
    answer.headers["Vary"] = "HX-Request"
    return answer


def _page(here: Visit, wished: FindingFilter, chosen: StoredFinding | None = None) -> str:
    counts = count_by_kind(here.session, here.scope, wished)
    total = sum(counts.values()) if wished.kind is None else counts.get(wished.kind, 0)
    paging = Paging(page_asked(), PAGE_SIZE, total)
    found = find_findings(here.session, here.scope, wished, limit=PAGE_SIZE, offset=paging.offset)
    if chosen is None and found:
        chosen = _asked_for(here, found)
    doers = _doers(here, found)
    detail = _detail(here, chosen) if chosen else {"kept": _arguments(), "reasons": _REASONS}
    return render_template(
        "console/findings.html",
        active="console.findings",
        rows=[_row(here, one, doers) for one in found],
        chosen=chosen,
        paging=paging,
        counts={kind: counts[kind] for kind in FindingKind if kind in counts},
        asked=wished,
        buildings=billing_store.buildings(here.session, here.scope),
        states=WORK,
        kinds=tuple(FindingKind),
        **({"may_work": here.may(Right.WORK_FINDINGS)} | detail),
    )


def _asked_for(here: Visit, found: Sequence[StoredFinding]) -> StoredFinding:
    """Return the finding that the address names, else the first of the list."""
    wished = _whole(request.args.get("finding", ""))
    if wished is not None:
        known = {one.id: one for one in found}
        if wished in known:
            return known[wished]
        try:
            return get_finding(here.session, here.scope, wished)
        except NotFound:
            pass
    return found[0]


def _whole(text: str) -> int | None:
    """Return the number that an address or a form names; None where it cannot be one of ours."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _doers(here: Visit, found: Sequence[StoredFinding]) -> Doers:
    return Doers(here, (one.closed_by for one in found), (one.note for one in found))


def _row(here: Visit, stored: StoredFinding, doers: Doers) -> QueueRow:
    return QueueRow(
        stored=stored,
        tone=_TONES.get(stored.finding.kind, ""),
        text=stored.finding.sentence(translate, shown),
        when=_when(here, stored.finding.period),
        href=url_for("console.finding", finding_id=stored.id, **_arguments()),
        closed_by=doers.name(stored.closed_by),
    )


def _arguments() -> dict[str, Any]:
    """Return what the queue is narrowed to, for links and forms to keep."""
    names = ("state", "kind", "building", "batch", "point", "page")
    return {name: text for name in names if (text := request.values.get(name, ""))}


def _filter(around: StoredFinding | None = None) -> FindingFilter:
    asked = request.values
    state, kind, batch = asked.get("state", ""), asked.get("kind", ""), asked.get("batch", "")
    if state == "all":
        wished_state: FindingState | None = None
    elif state in set(FindingState):
        wished_state = FindingState(state)
    else:
        wished_state = FindingState.OPEN if around is None or not state else around.state
    return FindingFilter(
        state=wished_state,
        kind=FindingKind(kind) if kind in set(FindingKind) else None,
        building_code=asked.get("building", ""),
        batch_id=_whole(batch),
        point_code=asked.get("point", "")[:100].strip(),
    )


# --- deeds ---


def accept() -> ResponseReturnValue:
    """Accept the chosen findings with a note, and go on to the next one."""
    here = visit()
    ids = tuple(filter(None, map(_whole, request.form.getlist("ids"))))
    back = _arguments()
    if not ids:
        flash(translate(mark("Choose at least one finding.")), "warn")
        return redirect(url_for("console.findings", **back))
    after = _after(here, ids)
    scope = here.scope
    try:
        order = AcceptOrder(ids, request.form.get("note", ""), scope)
        with here.writing() as session:
            done = accept_findings(session, order, here.application.clock)
    except NotFound:
        raise
    except DomainError as error:
        flash(sentence(error, here.language), "bad")
        return redirect(url_for("console.findings", finding=ids[0], **back))
    if done.accepted:
        text = translate(mark("Accepted: %(count)s.")) % {"count": len(done.accepted)}
        flash(text, "good")
    for one in done.closed_before[:TOLD_MAX]:
        flash(_closed_before(here, one), "warn")
    if len(done.closed_before) > TOLD_MAX:
        text = translate(mark("Closed by others before, in all: %(count)s."))
        flash(text % {"count": len(done.closed_before)}, "warn")
    if after is not None:
        back["finding"] = str(after)
    return redirect(url_for("console.findings", **back))


def _after(here: Visit, ids: Sequence[int]) -> int | None:
    """Return the finding that comes after the chosen ones in the queue, to be looked at next."""
    wished = _filter()
    paging = Paging(page_asked(), PAGE_SIZE, 0)
    found = find_findings(here.session, here.scope, wished, limit=PAGE_SIZE, offset=paging.offset)
    places = [place for place, one in enumerate(found) if one.id in ids]
    if not places:
        return None
    later = [one.id for one in found[places[-1] + 1 :] if one.id not in ids]
    earlier = [one.id for one in found[: places[0]] if one.id not in ids]
    return later[0] if later else (earlier[-1] if earlier else None)


def _closed_before(here: Visit, one: StoredFinding) -> str:
    assert one.closed_at is not None
    text = mark("%(who)s closed it already at %(when)s: %(what)s")
    return translate(text) % {
        "who": _doers(here, [one]).name(one.closed_by),
        "when": instant_text(one.closed_at, here.zone, here.language),
        "what": one.finding.sentence(translate, shown),
    }


def reopen(finding_id: int) -> ResponseReturnValue:
    """Open an accepted finding again; who had accepted it, and why, stays with it."""
    here = visit()
    scope = here.scope
    try:
        order = ReopenOrder(finding_id, request.form.get("note", ""), scope)
        with here.writing() as session:
            reopen_finding(session, order, here.application.clock)
    except NotFound:
        raise
    except DomainError as error:
        flash(sentence(error, here.language), "bad")
    else:
        flash(translate(mark("The finding is open again.")), "good")
    return redirect(url_for("console.finding", finding_id=finding_id))


# --- what speaks for a finding ---


@dataclass(frozen=True, slots=True)
class FindingChart:
    """The values of a channel around a finding, those within it in a colour of their own."""

    title: str
    categories: tuple[str, ...]
    plain_wh: tuple[int | None, ...]
    marked_wh: tuple[int | None, ...]

    @property
    def rows(self) -> list[tuple[str, int | None, bool]]:
        """The same as a table: when, how much, and whether it is part of the finding."""
        return [
            (name, plain if within is None else within, within is not None)
            for name, plain, within in zip(
                self.categories, self.plain_wh, self.marked_wh, strict=True
            )
        ]

    def data(self) -> dict[str, Any]:
        """Return what the page's script draws from."""
        return {
            "title": self.title,
            "categories": list(self.categories),
            "unit": translate("kWh"),
            "total": translate("Total"),
            "series": [
                {
                    "name": translate(mark("Around it")),
                    "zone": "all",
                    "values": list(self.plain_wh),
                },
                {
                    "name": translate(mark("In the finding")),
                    "zone": "peak",
                    "values": list(self.marked_wh),
                },
            ],
        }


def _detail(here: Visit, stored: StoredFinding) -> dict[str, Any]:
    session, found = here.session, stored.finding
    doers = _doers(here, [stored])
    channel = evidence_channel(session, found)
    accounts = queries.accounts_of_points(session, here.scope, [found.point_code])
    number, payer = accounts.get(found.point_code, ("", ""))
    states: tuple[DayState, ...] = ()
    if channel is not None:
        zone = ZoneInfo(channel.zone)
        first = local_date(found.period.start, zone)
        last = min(
            local_date(found.period.end - timedelta(microseconds=1), zone),
            first + timedelta(days=HISTORY_DAYS_MAX - 1),
        )
        states = day_history(session, channel.channel_id, first, max(first, last))
    return {
        "stored": stored,
        "closed_by": doers.name(stored.closed_by),
        "note": doers.note(stored.note),
        "tone": _TONES.get(found.kind, ""),
        "text": found.sentence(translate, shown),
        "when": _when(here, found.period),
        "number": number,
        "payer": payer,
        "point_href": _point_href(found.point_code) if stored.building_code else "",
        "chart": None if channel is None else _chart(here, found, channel),
        "readings": shown_readings(
            readings_around(session, found.point_code, found.period), here.language
        ),
        "states_table": day_states(states),
        "may_work": here.may(Right.WORK_FINDINGS),
        "kept": _arguments(),
        "reasons": _REASONS,
    }


_REASONS: Final = (
    mark("Checked with the customer: this is what was used"),
    mark("The meter was checked on the spot and is in order"),
    mark("The meter was replaced or serviced then"),
    mark("A known outage"),
)
"""Notes that are written again and again; the field offers them."""


def _point_href(code: str) -> str:
    try:
        return url_for("console.point", code=code)
    except BuildError:
        return ""


def _chart(here: Visit, found: Finding, channel: EvidenceChannel) -> FindingChart | None:
    zone = ZoneInfo(channel.zone)
    if found.detail.get("variant") == "profile":
        # A shifted day is seen where it began: the days before beside those after.
        edge = local_date(found.period.start, zone)
        days = timedelta(days=INTERVALS_SHOWN_DAYS - 1)
        return _interval_chart(here, found, channel, edge - days, edge + days)
    by_interval = found.period.length <= timedelta(days=INTERVALS_SHOWN_DAYS)
    around = AROUND if by_interval and found.period.length else AROUND_LONG
    first = local_date(found.period.start - around, zone)
    last = local_date(found.period.end + around, zone)
    last = min(last, first + timedelta(days=DAYS_SHOWN_MAX - 1), local_date(here.now, zone))
    if last < first:
        return None
    if by_interval and found.period.length:
        return _interval_chart(here, found, channel, first, last)
    totals = metering_store.load_day_totals(here.session, [channel.channel_id], first, last)
    inside = [_touches(day, found.period, zone) for day in totals.days]
    values = [
        int(value) if there else None
        for value, there in zip(totals.total_wh[0], totals.present[0], strict=True)
    ]
    return _of(
        mark("Energy by day around the finding"),
        [date_text(day, here.language) for day in totals.days],
        values,
        inside,
    )


def _interval_chart(
    here: Visit, found: Finding, channel: EvidenceChannel, first: date, last: date
) -> FindingChart | None:
    zone = ZoneInfo(channel.zone)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    matrix = metering_store.load_matrix(
        here.session, [channel.channel_id], days, zone, channel.interval_min
    )
    step = timedelta(minutes=channel.interval_min)
    starts: list[datetime] = [matrix.start + step * n for n in range(matrix.energy_wh.shape[1])]
    known = matrix.quality[0] != Quality.MISSING
    values = [
        int(value) if there else None
        for value, there in zip(matrix.energy_wh[0], known, strict=True)
    ]
    return _of(
        mark("Energy by interval around the finding"),
        [f"{local:%d.%m %H:%M}" for local in (at.astimezone(zone) for at in starts)],
        values,
        [at in found.period for at in starts],
    )


def _of(
    title: str, categories: Sequence[str], values: Sequence[int | None], inside: Sequence[bool]
) -> FindingChart | None:
    if all(value is None for value in values) and not np.any(inside):
        return None
    return FindingChart(
        title=translate(title),
        categories=tuple(categories),
        plain_wh=tuple(None if within else v for v, within in zip(values, inside, strict=True)),
        marked_wh=tuple(v if within else None for v, within in zip(values, inside, strict=True)),
    )


def _touches(day: date, period: Period, zone: ZoneInfo) -> bool:
    last = max(period.start, period.end - timedelta(microseconds=1))
    return local_date(period.start, zone) <= day <= local_date(last, zone)
