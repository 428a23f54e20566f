"""The lists of findings, events and quality: the page and its CSV are described once."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from flask import url_for

from kilokassa.core.series import Quality
from kilokassa.core.text import Language, mark, number_text
from kilokassa.web.doers import Doers, event_source_text, source_text
from kilokassa.web.kit import Column, Kind, Table
from kilokassa.web.language import shown, translate
from kilokassa.web.words import word
from metering.events.kinds import DeviceEventKind, QualityEventKind, QualityEventState
from metering.events.quality import Deviation
from metering.events.store import ListedEvent, StoredQuality
from metering.findings.store import DayState, ShownReading, StoredFinding
from metering.registry.places import Commodity

QUALITIES: Final = {
    Quality.MISSING: mark("missing"),
    Quality.ACTUAL: mark("measured"),
    Quality.ESTIMATED: mark("estimated"),
    Quality.SUBSTITUTED: mark("substituted"),
    Quality.CUSTOMER_READ: mark("read by the customer"),
}
_UNITS: Final = {
    Commodity.ELECTRICITY: (mark("kWh"), -3),
    Commodity.HEAT: (mark("Gcal"), -6),
    Commodity.HOT_WATER: (mark("m³"), -3),
    Commodity.COLD_WATER: (mark("m³"), -3),
}


def quantity_text(value: int, commodity: Commodity, language: Language) -> str:
    """Return what a register shows, with its unit."""
    unit, scale = _UNITS[commodity]
    return f"{number_text(Decimal(value).scaleb(scale), language)} {translate(unit)}"


def tenths_text(tenths: int | None, kind: QualityEventKind, language: Language) -> str:
    """Return a measured temperature or voltage with its unit."""
    if tenths is None:
        return ""
    unit = mark("V") if kind is QualityEventKind.VOLTAGE else mark("°C")
    return f"{number_text(Decimal(tenths).scaleb(-1), language)} {translate(unit)}"


def hours_text(minutes: int, language: Language) -> str:
    """Return minutes as hours and minutes: `5 h 30 min`."""
    hours, rest = divmod(minutes, 60)
    text = f"{number_text(hours, language)} {translate(mark('h'))}"
    return f"{text} {rest} {translate(mark('min'))}" if rest else text


def finding_table(items: Sequence[StoredFinding], doers: Doers) -> Table[StoredFinding]:
    """Return findings as a file of their own; the page shows them as a queue."""
    return Table(
        name="findings",
        caption=mark("Findings"),
        columns=(
            Column("id", mark("No."), lambda one: one.id, Kind.NUMBER),
            Column("kind", mark("Kind"), lambda one: one.finding.kind, Kind.WORD),
            Column("building", mark("Building"), lambda one: one.building_address),
            Column("point", mark("Metering point"), lambda one: one.finding.point_code),
            Column("from", mark("From"), lambda one: one.finding.period.start, Kind.INSTANT),
            Column("until", mark("Until"), lambda one: one.finding.period.end, Kind.INSTANT),
            Column("text", mark("Finding"), lambda one: one.finding.sentence(translate, shown)),
            Column("state", mark("State"), lambda one: one.state, Kind.WORD),
            Column("closed_by", mark("Closed by"), lambda one: doers.name(one.closed_by)),
            Column("closed_at", mark("Closed at"), lambda one: one.closed_at, Kind.INSTANT),
            Column("note", mark("Note"), lambda one: doers.note(one.note)),
        ),
        items=items,
    )


def shown_readings(items: Sequence[ShownReading], language: Language) -> Table[ShownReading]:
    """Return register readings near a finding."""
    return Table(
        name="registers",
        caption=mark("Register readings near it"),
        columns=(
            Column("at", mark("When"), lambda one: one.taken_at, Kind.INSTANT),
            Column("meter", mark("Meter"), lambda one: one.serial, minor=True),
            Column("zone", mark("Zone"), lambda one: one.zone, Kind.WORD),
            Column(
                "value",
                mark("Reading"),
                lambda one: quantity_text(one.value, one.commodity, language),
            ),
            Column("quality", mark("How"), lambda one: QUALITIES[one.quality], Kind.MESSAGE),
            Column("revision", mark("Revision"), lambda one: one.revision, Kind.NUMBER, minor=True),
            Column("source", mark("Source"), lambda one: source_text(one.source), minor=True),
        ),
        items=items,
        export=False,
        empty=mark("No register of this point was read near it."),
    )


def day_states(items: Sequence[DayState]) -> Table[DayState]:
    """Return every state that the days of a finding had."""
    return Table(
        name="states",
        caption=mark("How its days came about"),
        columns=(
            Column("day", mark("Day"), lambda one: one.day, Kind.DATE),
            Column("revision", mark("Revision"), lambda one: one.revision, Kind.NUMBER),
            Column("total", mark("Total, kWh"), lambda one: one.total_wh, Kind.KWH),
            Column("missing", mark("Missing"), lambda one: one.missing, Kind.NUMBER),
            Column("source", mark("Source"), lambda one: source_text(one.source)),
            Column("recorded", mark("Recorded"), lambda one: one.recorded_at, Kind.INSTANT),
        ),
        items=items,
        export=False,
        empty=mark("Nothing is stored of these days."),
    )


def device_events(items: Sequence[ListedEvent], language: Language) -> Table[ListedEvent]:
    """Return what meters told."""
    return Table(
        name="device-events",
        caption=mark("Device events"),
        columns=(
            Column("starts", mark("From"), lambda one: one.starts_at, Kind.INSTANT),
            Column("ends", mark("Until"), lambda one: one.ends_at, Kind.INSTANT, minor=True),
            Column(
                "kind",
                mark("Event"),
                lambda one: one.kind,
                Kind.WORD,
                tone=lambda one: "bad" if one.tampering else "quiet",
            ),
            Column(
                "point",
                mark("Metering point"),
                lambda one: one.point_code,
                link=lambda one: url_for("console.device_events", point=one.point_code),
            ),
            Column("premises", mark("Flat"), lambda one: one.premises_number, minor=True),
            Column("building", mark("Building"), lambda one: one.building_address, minor=True),
            Column("meter", mark("Meter"), lambda one: one.serial, minor=True),
            Column("value", mark("Value"), lambda one: event_value(one, language)),
            Column("source", mark("Source"), lambda one: event_source_text(one.source), minor=True),
        ),
        items=items,
        empty=mark("No event fits. Meters tell of opened covers, magnets, lost phases and more."),
    )


def event_value(one: ListedEvent, language: Language) -> str:
    """Return the value of an event with its unit."""
    if one.value is None:
        return ""
    if one.kind is DeviceEventKind.CLOCK_SET:
        return f"{number_text(one.value, language)} {translate(mark('s'))}"
    return tenths_text(one.value, QualityEventKind.VOLTAGE, language)


_QUALITY_TONES: Final = {
    QualityEventState.REPORTED: "warn",
    QualityEventState.CONFIRMED: "bad",
    QualityEventState.REJECTED: "quiet",
}


def place_text(one: StoredQuality) -> str:
    """Return the house, and the flat where it is about one."""
    return _place(one.building_address, one.premises_number)


def _place(address: str, number: str) -> str:
    if not number:
        return address
    return f"{address}, " + translate(mark("flat %(number)s")) % {"number": number}


def way_text(commodity: Commodity, kind: QualityEventKind) -> str:
    """Return the service and in what it fell short."""
    return f"{translate(word(commodity))}: {translate(word(kind)).lower()}"


def _basis_text(one: StoredQuality) -> str:
    name = translate(word(one.basis))
    return f"{name}: {one.document}" if one.document else name


def quality_events(items: Sequence[StoredQuality], language: Language) -> Table[StoredQuality]:
    """Return periods in which a service fell short."""
    return Table(
        name="quality",
        caption=mark("Quality of service"),
        columns=(
            Column(
                "id",
                mark("No."),
                lambda one: one.id,
                Kind.NUMBER,
                link=lambda one: url_for("console.quality_event", event_id=one.id),
            ),
            Column(
                "state",
                mark("State"),
                lambda one: one.state,
                Kind.WORD,
                tone=lambda one: _QUALITY_TONES[one.state],
            ),
            Column("what", mark("What"), lambda one: way_text(one.commodity, one.kind)),
            Column("place", mark("Where"), place_text),
            Column("from", mark("From"), lambda one: one.starts_at, Kind.INSTANT),
            Column("until", mark("Until"), lambda one: one.ends_at, Kind.INSTANT),
            Column(
                "measured",
                mark("Measured"),
                lambda one: tenths_text(one.measured_tenths, one.kind, language),
                minor=True,
            ),
            Column("basis", mark("Basis"), _basis_text, minor=True),
        ),
        items=items,
        empty=mark("Nothing was told of services that fell short."),
    )


def own_quality(items: Sequence[StoredQuality], language: Language) -> Table[StoredQuality]:
    """Return what a resident sees: the own complaints and what concerned the whole house."""
    return Table(
        name="quality",
        caption=mark("What was told before"),
        columns=(
            Column("what", mark("What"), lambda one: way_text(one.commodity, one.kind)),
            Column("from", mark("From"), lambda one: one.starts_at, Kind.INSTANT),
            Column("until", mark("Until"), lambda one: one.ends_at, Kind.INSTANT, minor=True),
            Column(
                "measured",
                mark("Measured"),
                lambda one: tenths_text(one.measured_tenths, one.kind, language),
                minor=True,
            ),
            Column("basis", mark("Basis"), lambda one: one.basis, Kind.WORD, minor=True),
            Column(
                "state",
                mark("State"),
                lambda one: one.state,
                Kind.WORD,
                tone=lambda one: _QUALITY_TONES[one.state],
            ),
        ),
        items=items,
        export=False,
        empty=mark("Nothing was told of your services yet."),
    )


DeviationOf = tuple[str, str, Deviation, Deviation | None]
"""Building, flat, what all records count, and what the confirmed ones alone do."""


def deviations(items: Sequence[DeviationOf], language: Language) -> Table[DeviationOf]:
    """Return what annex 1 counts in a month; no money is moved by it."""
    return Table(
        name="deviations",
        caption=mark("Hours counted"),
        columns=(
            Column("place", mark("Where"), lambda one: _place(one[0], one[1])),
            Column(
                "what",
                mark("What"),
                lambda one: way_text(one[2].rule.commodity, one[2].rule.kind),
            ),
            Column("item", mark("Item"), lambda one: one[2].rule.item, minor=True),
            Column("lasted", mark("Lasted"), lambda one: hours_text(one[2].lasted_min, language)),
            Column(
                "counted",
                mark("Counted"),
                lambda one: hours_text(one[2].counted_min, language),
            ),
            Column(
                "degrees",
                mark("Degree-hours"),
                lambda one: degree_hours(one[2], language),
                minor=True,
            ),
            Column(
                "confirmed",
                mark("Confirmed"),
                lambda one: hours_text(0 if one[3] is None else one[3].counted_min, language),
            ),
            Column(
                "share",
                mark("Share of the charge"),
                lambda one: share_text(one[3], language),
            ),
        ),
        items=items,
        empty=mark("Nothing was told of services that fell short in this month."),
    )


def degree_hours(one: Deviation, language: Language) -> str:
    """Return degrees times hours; empty for what is no temperature."""
    if one.rule.step_tenths is None:
        return ""
    return number_text(Decimal(one.tenth_degree_minutes) / 600, language, decimals=1)


def share_text(one: Deviation | None, language: Language) -> str:
    """Return millionths of a charge as a percentage."""
    ppm = 0 if one is None else one.share_ppm
    return f"{number_text(Decimal(ppm).scaleb(-4), language, decimals=2)} %"
