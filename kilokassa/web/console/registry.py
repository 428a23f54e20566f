"""The registry: buildings, points and the lives of their meters; what must be verified when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from kilokassa.core.calendar import local_date
from kilokassa.core.errors import DomainError
from kilokassa.core.scope import Right
from kilokassa.core.text import Language, date_text, mark, sentence
from kilokassa.core.zones import Zone
from kilokassa.web import queries, registry_tables
from kilokassa.web.console.findings import finding_entries
from kilokassa.web.kit import Chart, Paging, Sorting, Stack, Table, export_asked, page_asked
from kilokassa.web.language import translate
from kilokassa.web.registry_forms import (
    ZONES,
    BuildingForm,
    LifeEventForm,
    NewPointForm,
    PointForm,
    ReplacementForm,
)
from kilokassa.web.visit import Visit, visit
from kilokassa.web.words import word
from metering import store as metering_store
from metering.meters.life import BAND_DAYS, Due, DueBand, DueReason, LifeEvent, LifeStage, due
from metering.meters.service import LifeEventOrder, record_life_event, replace_meter_for
from metering.meters.store import DueFilter, due_meters
from metering.meters.verification_periods import ProposedValidity, proposals
from metering.register_values import total_text
from metering.registry.places import (
    ACTIVE_TAKEN,
    CHANNELS_OF,
    Channel,
    Commodity,
    LifeEventKind,
    Meter,
    MeteringPoint,
    MeterReplacement,
    Premises,
)
from metering.registry.service import (
    BuildingEdit,
    NewPoint,
    PointEdit,
    add_point,
    edit_building,
    edit_point,
)
from metering.registry.store import (
    BUILDING_SORTS,
    ListedPoint,
    RegisteredPoint,
    StandingMeter,
    building_by_code,
    companies,
    events_of_point,
    latest_readings,
    list_buildings,
    list_points,
    point_by_code,
    servicers,
)

PAGE_SIZE: Final = 50
POINTS_SHOWN: Final = 100
POINTS_OF_BUILDING: Final = 1_000
EXPORT_MAX: Final = 100_000
CHART_DAYS: Final = 31
FINDINGS_SHOWN: Final = 10
DUE_SHOWN: Final = 500
WITHIN_OFFERED: Final = (0, 30, 90, 180, 365)
STAGE_TONES: Final = {
    LifeStage.IN_SERVICE: "good",
    LifeStage.INSTALLED: "warn",
    LifeStage.REMOVED: "quiet",
    LifeStage.RETIRED: "quiet",
    LifeStage.DISPOSED: "quiet",
}


@dataclass(frozen=True, slots=True)
class ShownMeter:
    """A meter of a point as its page shows it."""

    meter: StandingMeter
    due: Due | None
    """None where it stands there no longer."""

    @property
    def stage_tone(self) -> str:
        """Colour of its stage."""
        return STAGE_TONES.get(self.meter.life.stage, "quiet")

    @property
    def due_tone(self) -> str:
        """Colour of its verification."""
        return "" if self.due is None else registry_tables.tone_of(self.due.band)


def buildings() -> ResponseReturnValue:
    """List the buildings in reach; what is searched for is looked for among the points too."""
    here = visit()
    search = request.args.get("search", "")[:100].strip()
    sorting = Sorting.asked(tuple(BUILDING_SORTS), "code")
    page, asked = page_asked(), export_asked()
    found, total = list_buildings(
        here.session,
        here.scope,
        search=search,
        sort=sorting.key,
        descending=sorting.descending,
        limit=EXPORT_MAX if asked else PAGE_SIZE,
        offset=0 if asked else (page - 1) * PAGE_SIZE,
    )
    table = registry_tables.buildings(found, sorting)
    points: Sequence[ListedPoint] = ()
    points_total = 0
    if search:
        points, points_total = list_points(
            here.session, here.scope, search=search, limit=EXPORT_MAX if asked else POINTS_SHOWN
        )
    points_table = registry_tables.points(points, with_address=True)
    if asked:
        return (points_table if asked == points_table.name else table).csv()
    return render_template(
        "console/registry_buildings.html",
        active="console.buildings",
        table=table,
        paging=Paging(page, PAGE_SIZE, total),
        points=points_table,
        points_total=points_total,
        search=search,
    )


def building(code: str) -> ResponseReturnValue:
    """Show one building: where it is, who looks after it, and what is measured in it."""
    here = visit()
    found = building_by_code(here.session, here.scope, code)
    points, total = list_points(
        here.session, here.scope, building_code=code, limit=POINTS_OF_BUILDING
    )
    tables: dict[str, Table[Any]] = {
        "points": registry_tables.points(points, with_address=False),
        "common-areas": registry_tables.common_areas(found.common_areas),
        "delivery-points": registry_tables.delivery_points(found.delivery_points),
    }
    asked = export_asked()
    if asked in tables:
        return tables[asked].csv()
    return render_template(
        "console/registry_building.html",
        active="console.buildings",
        building=found,
        zone=registry_tables.zone_text(found.zone),
        tables=tables,
        points_total=total,
        editing=here.may(Right.MANAGE_METERS),
    )


def edit_building_form(code: str) -> ResponseReturnValue:
    """Change what is registered of a building."""
    here = visit()
    found = building_by_code(here.session, here.scope, code)
    form = BuildingForm()
    form.offer(companies(here.session), servicers(here.session))
    if request.method == "POST" and form.validate():
        order = BuildingEdit(
            scope=here.scope,
            code=code,
            address=form.address.data,
            company_code=form.company.data,
            servicer_code=form.servicer.data,
            place=form.place,
            loss_ppm=form.loss_ppm,
            loss_w=form.loss_w.data or 0,
            norm_code=(form.norm_code.data or "").strip(),
        )
        try:
            with here.writing() as session:
                edit_building(session, order, here.application.clock)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            flash(translate(mark("The building was saved.")), "good")
            return redirect(url_for("console.building", code=code))
    if request.method == "GET":
        form.address.data = found.address
        form.company.data, form.servicer.data = found.company_code, found.servicer_code
        form.norm_code.data, form.loss_w.data = found.norm_code, found.loss_w
        form.loss_percent.data = _percent(found.loss_ppm)
        form.read_place(found.place)
    answer = render_template(
        "console/registry_building_edit.html", active="console.buildings", building=found, form=form
    )
    return answer, 422 if request.method == "POST" else 200


def new_point(code: str) -> ResponseReturnValue:
    """Add a metering point with its meter to a building."""
    here = visit()
    found = building_by_code(here.session, here.scope, code)
    form = NewPointForm()
    form.offer()
    if request.method == "POST" and form.validate():
        try:
            order = _new_point(here, form, code)
            with here.writing() as session:
                add_point(session, order, here.application.clock)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            flash(translate(mark("The metering point was added.")), "good")
            return redirect(url_for("console.point", code=order.point.code))
    if request.method == "GET":
        form.installed_on.data = here.today
        form.interval.data = "30"
    answer = render_template(
        "console/registry_point_new.html", active="console.buildings", building=found, form=form
    )
    return answer, 422 if request.method == "POST" else 200


def _new_point(here: Visit, form: NewPointForm, building_code: str) -> NewPoint:
    code, commodity = form.code.data.strip(), Commodity(form.commodity.data)
    number = (form.premises.data or "").strip() or None
    serial = (form.serial.data or "").strip()
    meter = None
    if serial:
        meter = Meter(
            code,
            serial,
            form.installed_on.data,
            (form.model.data or "").strip() or None,
            form.digits.data,
            verified_until=form.verified_until.data,
            made_on=form.made_on.data,
            service_life_years=form.service_life.data,
        )
    channels: tuple[Channel, ...] = ()
    if form.interval.data:
        channels = (Channel(code, int(form.interval.data), CHANNELS_OF[commodity][0]),)
    premises = None
    if number is not None and form.area_dm2 is not None:
        premises = Premises(building_code, number, form.area_dm2)
    return NewPoint(
        scope=here.scope,
        point=MeteringPoint(code, building_code, number, commodity, capacity_w=form.capacity_w),
        meter=meter,
        channels=channels,
        premises=premises,
    )


def point(code: str) -> ResponseReturnValue:
    """Show one metering point: its meters with their lives, readings, findings, events."""
    here = visit()
    found = point_by_code(here.session, here.scope, code)
    tables: dict[str, Table[Any]] = {
        "channels": registry_tables.channels(found.channels),
        "readings": registry_tables.readings(
            latest_readings(here.session, found.meters), found.commodity
        ),
        "events": registry_tables.events(events_of_point(here.session, found)),
    }
    asked = export_asked()
    if asked in tables:
        return tables[asked].csv()
    findings = metering_store.list_findings(
        here.session, here.scope, point_codes=[code], limit=FINDINGS_SHOWN
    )
    today = local_date(here.now, ZoneInfo(found.zone))
    account = queries.accounts_of_points(here.session, here.scope, [code]).get(code)
    return render_template(
        "console/registry_point.html",
        active="console.buildings",
        point=found,
        zone=registry_tables.zone_text(found.zone),
        meters=[_shown(meter, today) for meter in reversed(found.meters)],
        account=account,
        tables=tables,
        findings=finding_entries(here, findings),
        chart=_last_days(here, found, today),
        charted=any(channel.code == ACTIVE_TAKEN for channel in found.channels),
        editing=here.may(Right.MANAGE_METERS),
    )


def edit_point_form(code: str) -> ResponseReturnValue:
    """Change what is registered of a metering point."""
    here = visit()
    found = point_by_code(here.session, here.scope, code)
    house = building_by_code(here.session, here.scope, found.building_code)
    form = PointForm()
    form.offer([one.code for one in house.delivery_points])
    if request.method == "POST" and form.validate():
        order = PointEdit(
            scope=here.scope,
            code=code,
            exchange_code=(form.exchange_code.data or "").strip(),
            delivery_point_code=form.delivery_point.data,
            place=form.place,
            capacity_w=form.capacity_w,
        )
        try:
            with here.writing() as session:
                edit_point(session, order, here.application.clock)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            flash(translate(mark("The metering point was saved.")), "good")
            return redirect(url_for("console.point", code=code))
    if request.method == "GET":
        form.exchange_code.data = found.exchange_code
        form.delivery_point.data = found.delivery_point_code
        if found.capacity_w is not None:
            form.capacity_kw.data = total_text(found.capacity_w, Commodity.ELECTRICITY)
        form.read_place(found.place)
    answer = render_template(
        "console/registry_point_edit.html", active="console.buildings", point=found, form=form
    )
    return answer, 422 if request.method == "POST" else 200


def record_event(code: str) -> ResponseReturnValue:
    """Write down what happened to a meter of a point."""
    here = visit()
    found = point_by_code(here.session, here.scope, code)
    today = local_date(here.now, ZoneInfo(found.zone))
    form = LifeEventForm()
    form.offer(
        [meter.serial for meter in reversed(found.meters)],
        [kind for kind in LifeEventKind if kind is not LifeEventKind.REPLACED],
    )
    if request.method == "POST" and form.validate():
        event = LifeEvent(
            LifeEventKind(form.kind.data),
            form.happened_on.data,
            form.valid_until.data,
            (form.document.data or "").strip(),
            (form.note.data or "").strip(),
        )
        order = LifeEventOrder(here.scope, code, form.serial.data, event)
        try:
            with here.writing() as session:
                record_life_event(session, order, here.application.clock)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            flash(translate(mark("It was written down.")), "good")
            return redirect(url_for("console.point", code=code))
    if request.method == "GET":
        _propose_event(form, found, today)
    answer = render_template(
        "console/registry_record.html",
        active="console.buildings",
        point=found,
        form=form,
        proposals=_proposed(here, found, form.happened_on.data or today),
    )
    return answer, 422 if request.method == "POST" else 200


def replace_meter_form(code: str) -> ResponseReturnValue:
    """Put another meter in the place of the one that stands at a point."""
    here = visit()
    found = point_by_code(here.session, here.scope, code)
    old = found.present
    form = ReplacementForm()
    if request.method == "POST" and old is not None and form.validate():
        try:
            order = _replacement(form, found, old)
            with here.writing() as session:
                replace_meter_for(session, here.scope, order, here.application.clock)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            flash(translate(mark("The meter was replaced.")), "good")
            return redirect(url_for("console.point", code=code))
    latest = [] if old is None else list(latest_readings(here.session, [old]))
    zones = [zone for zone in ZONES if zone in {reading.zone for reading in latest}] or [Zone.ALL]
    if request.method == "GET":
        form.at.data = here.now.astimezone(ZoneInfo(found.zone)).replace(tzinfo=None)
        form.digits.data = 6 if old is None else old.digits
    answer = render_template(
        "console/registry_replace.html",
        active="console.buildings",
        point=found,
        old=old,
        form=form,
        zones=zones,
        other_zones=[zone for zone in ZONES if zone not in zones],
        shown={
            reading.zone: registry_tables.register_text(reading.value, found.commodity)
            for reading in latest
        },
        unit=translate(registry_tables.UNITS[found.commodity]),
    )
    return answer, 422 if request.method == "POST" else 200


def verifications() -> ResponseReturnValue:
    """Show which meters must be verified or retired, and when."""
    here = visit()
    asked = _due_filter()
    found = due_meters(here.session, here.scope, asked, today=here.today)
    if export_asked():
        return registry_tables.due(found).csv()
    houses, _ = list_buildings(here.session, here.scope, limit=EXPORT_MAX)
    everything = due_meters(
        here.session, here.scope, DueFilter(within_days=BAND_DAYS[DueBand.WITHIN_90]),
        today=here.today,
    )  # fmt: skip
    return render_template(
        "console/registry_verifications.html",
        active="console.buildings",
        table=registry_tables.due(found[:DUE_SHOWN]),
        total=len(found),
        asked=asked,
        within=WITHIN_OFFERED,
        counts={band: sum(one.band is band for one in everything) for band in DueBand},
        past_life=sum(
            one.reason is DueReason.SERVICE_LIFE and one.band is DueBand.EXPIRED
            for one in everything
        ),
        buildings=houses,
        servicers=servicers(here.session) if here.scope.whole_retailer else (),
        commodities=tuple(Commodity),
        DueBand=DueBand,
    )


def _due_filter() -> DueFilter:
    within = request.args.get("within", "90")
    commodity, band = request.args.get("commodity", ""), request.args.get("band", "")
    days = int(within) if within in {str(days) for days in WITHIN_OFFERED} else 90
    return DueFilter(
        within_days=days,
        building_code=request.args.get("building", "")[:50],
        servicer_code=request.args.get("servicer", "")[:50],
        commodity=Commodity(commodity) if commodity in set(Commodity) else None,
        band=DueBand(band) if band in set(DueBand) else None,
    )


def _shown(meter: StandingMeter, today: date) -> ShownMeter:
    if meter.dates.removed_on is not None:
        return ShownMeter(meter, None)
    life = meter.life
    what = due(
        verified_until=life.verified_until,
        unverified_since=life.unverified_since,
        retire_on=life.retire_by,
        today=today,
    )
    return ShownMeter(meter, what)


def _last_days(here: Visit, found: RegisteredPoint, today: date) -> Chart:
    channels = [channel.id for channel in found.channels if channel.code == ACTIVE_TAKEN]
    days = [today - timedelta(days=n) for n in range(CHART_DAYS, 0, -1)]
    totals = metering_store.load_total_by_day(here.session, channels, days[0], days[-1])
    return Chart(
        name="last-days",
        title=mark("Consumption of the last days"),
        categories=tuple(_day_name(day, here.language) for day in days),
        category_title=mark("Day"),
        stacks=(Stack(Zone.ALL, tuple(totals.get(day, 0) for day in days)),),
        empty=mark("No interval reading came in the last 31 days."),
    )


def _day_name(day: date, language: Language) -> str:
    return date_text(day, language).rsplit("." if language is Language.RUSSIAN else " ", 1)[0]


def _propose_event(form: LifeEventForm, found: RegisteredPoint, today: date) -> None:
    form.kind.data = str(LifeEventKind.VERIFIED)
    form.happened_on.data = today
    offered = proposals(found.commodity, today)
    if offered:
        form.valid_until.data = offered[0].valid_until


def _proposed(
    here: Visit, found: RegisteredPoint, verified_on: date
) -> Sequence[tuple[str, ProposedValidity]]:
    """Return until when a verification of that day would hold, by type, as people read it."""
    return [
        (
            f"{translate(word(one.type))}: {date_text(one.valid_until, here.language)}",
            one,
        )
        for one in proposals(found.commodity, verified_on)
    ]


def _replacement(
    form: ReplacementForm, found: RegisteredPoint, old: StandingMeter
) -> MeterReplacement:
    at = form.at.data.replace(tzinfo=ZoneInfo(found.zone))
    return MeterReplacement(
        removed_serial=old.serial,
        meter=Meter(
            found.code,
            form.serial.data.strip(),
            at.date(),
            (form.model.data or "").strip() or None,
            form.digits.data,
            verified_until=form.verified_until.data,
            made_on=form.made_on.data,
            service_life_years=form.service_life.data,
        ),
        at=at,
        final_values=form.totals("final", found.commodity),
        first_values=form.totals("first", found.commodity),
        document=(form.document.data or "").strip(),
        note=(form.note.data or "").strip(),
    )


def _percent(ppm: int) -> str:
    text = f"{ppm // 10_000}.{ppm % 10_000:04d}"
    return text.rstrip("0").rstrip(".")
