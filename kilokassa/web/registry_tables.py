"""The lists of the registry, described once: the page, its sorting and its CSV are the same."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import get_timezone_location
from flask import url_for

from kilokassa.core.text import mark, number_text
from kilokassa.web.kit import Column, Kind, Sorting, Table
from kilokassa.web.language import translate
from kilokassa.web.visit import visit
from metering.meters.life import DueBand
from metering.meters.store import DueMeter
from metering.register_values import DECIMALS
from metering.registry.places import Commodity
from metering.registry.store import (
    LatestReading,
    ListedBuilding,
    ListedPoint,
    PointEvent,
    RegisteredChannel,
    RegisteredCommonArea,
    RegisteredDeliveryPoint,
)

DUE_TONES: Final = {
    DueBand.EXPIRED: "bad",
    DueBand.WITHIN_30: "warn",
    DueBand.WITHIN_90: "warn",
    DueBand.UNKNOWN: "quiet",
}


def buildings(items: Sequence[ListedBuilding], sorting: Sorting | None) -> Table[ListedBuilding]:
    """Return the list of buildings."""
    return Table(
        name="buildings",
        caption=mark("Buildings"),
        columns=(
            Column(
                "code",
                mark("Building"),
                lambda one: one.code,
                link=lambda one: url_for("console.building", code=one.code),
            ),
            Column("address", mark("Address"), lambda one: one.address),
            Column(
                "company",
                mark("Management company"),
                lambda one: one.company_name,
                minor=True,
                server_sort=False,
            ),
            Column(
                "servicer",
                mark("Meters serviced by"),
                lambda one: one.servicer_name,
                minor=True,
                server_sort=False,
            ),
            Column(
                "premises",
                mark("Premises"),
                lambda one: one.premises,
                Kind.NUMBER,
                server_sort=False,
            ),
            Column(
                "points",
                mark("Metering points"),
                lambda one: one.points,
                Kind.NUMBER,
                server_sort=False,
            ),
        ),
        items=items,
        empty=mark("No building fits. Buildings come with kilokassa registry import FILE."),
        sorting=sorting,
    )


def points(items: Sequence[ListedPoint], *, with_address: bool) -> Table[ListedPoint]:
    """Return metering points, each with the meter that stands there."""
    columns: list[Column[ListedPoint]] = [
        Column(
            "code",
            mark("Metering point"),
            lambda one: one.code,
            link=lambda one: url_for("console.point", code=one.code),
        ),
        Column("place", mark("Where"), place_text),
        Column("commodity", mark("Measures"), lambda one: one.commodity, Kind.WORD, minor=True),
        Column("serial", mark("Meter"), lambda one: one.serial),
        Column("model", mark("Model"), lambda one: one.model, minor=True),
        Column("verified", mark("Verified until"), lambda one: one.verified_until, Kind.DATE),
    ]
    if with_address:
        columns.insert(1, Column("address", mark("Address"), lambda one: one.address, minor=True))
    return Table(
        name="points",
        caption=mark("Metering points"),
        columns=columns,
        items=items,
        empty=mark("No metering point fits."),
        filterable=True,
    )


def place_text(one: ListedPoint | DueMeter) -> str:
    """Return where in its building a point is: a flat, a common area, or the whole house."""
    if one.premises_number:
        shown = translate(mark("flat %(number)s")) % {"number": one.premises_number}
        return shown.replace(" ", "\u00a0")
    return one.common_area or translate(mark("whole house"))


def common_areas(items: Sequence[RegisteredCommonArea]) -> Table[RegisteredCommonArea]:
    """Return the common areas of a building."""
    return Table(
        name="common-areas",
        caption=mark("Common areas"),
        columns=(
            Column("code", mark("Code"), lambda one: one.code),
            Column("kind", mark("Kind"), lambda one: one.kind, Kind.WORD),
            Column("name", mark("Name"), lambda one: one.name),
            Column("area", mark("Area, m²"), lambda one: _scaled(one.area_dm2, 2)),
        ),
        items=items,
        empty=mark("No common area is registered."),
    )


def delivery_points(items: Sequence[RegisteredDeliveryPoint]) -> Table[RegisteredDeliveryPoint]:
    """Return the delivery points of a building."""
    return Table(
        name="delivery-points",
        caption=mark("Delivery points"),
        columns=(
            Column("code", mark("Delivery point"), lambda one: one.code),
            Column("premises", mark("Premises"), lambda one: one.premises_number),
            Column("boundary", mark("Boundary"), lambda one: one.boundary),
        ),
        items=items,
        empty=mark("No delivery point is registered."),
    )


def channels(items: Sequence[RegisteredChannel]) -> Table[RegisteredChannel]:
    """Return the channels of a point."""
    return Table(
        name="channels",
        caption=mark("Channels"),
        columns=(
            Column("code", mark("Channel"), lambda one: one.code),
            Column("what", mark("Counts"), lambda one: CHANNEL_NAMES[one.code], Kind.MESSAGE),
            Column("interval", mark("Interval, min"), lambda one: one.interval_min, Kind.NUMBER),
            Column("multiplier", mark("Multiplier"), lambda one: one.multiplier, Kind.NUMBER),
            Column("loss", mark("Losses, %"), lambda one: _scaled(one.loss_ppm, 4)),
        ),
        items=items,
        empty=mark("No channel: the point is read by registers."),
        export=False,
    )


CHANNEL_NAMES: Final = {
    "A+": mark("active energy taken"),
    "A-": mark("active energy given"),
    "R+": mark("reactive energy taken"),
    "R-": mark("reactive energy given"),
    "Q": mark("heat"),
    "HW": mark("hot water"),
    "CW": mark("cold water"),
}


def readings(items: Sequence[LatestReading], commodity: Commodity) -> Table[LatestReading]:
    """Return the latest reading of each register."""
    return Table(
        name="readings",
        caption=mark("Latest readings"),
        columns=(
            Column("meter", mark("Meter"), lambda one: one.serial),
            Column("zone", mark("Zone"), lambda one: one.zone, Kind.WORD),
            Column("at", mark("Taken"), lambda one: one.taken_at, Kind.INSTANT),
            Column("value", mark("Reading"), lambda one: register_text(one.value, commodity)),
        ),
        items=items,
        empty=mark("No register was read yet."),
    )


def events(items: Sequence[PointEvent]) -> Table[PointEvent]:
    """Return what meters noticed, and what was wrong with the service."""
    return Table(
        name="events",
        caption=mark("Events"),
        columns=(
            Column("kind", mark("Event"), lambda one: one.kind, Kind.WORD),
            Column("from", mark("From"), lambda one: one.starts_at, Kind.INSTANT),
            Column("until", mark("Until"), lambda one: one.ends_at, Kind.INSTANT),
        ),
        items=items,
        empty=mark("Nothing was told of this point."),
    )


def due(items: Sequence[DueMeter]) -> Table[DueMeter]:
    """Return meters that must be verified or retired."""
    return Table(
        name="verifications",
        caption=mark("Verifications"),
        columns=(
            Column("due", mark("Due"), lambda one: one.due_on, Kind.DATE),
            Column(
                "band",
                mark("When"),
                lambda one: one.band,
                Kind.WORD,
                tone=lambda one: DUE_TONES.get(one.band, ""),
            ),
            Column("reason", mark("Reason"), lambda one: one.reason, Kind.WORD, minor=True),
            Column(
                "point",
                mark("Metering point"),
                lambda one: one.point_code,
                link=lambda one: url_for("console.point", code=one.point_code),
            ),
            Column("serial", mark("Meter"), lambda one: one.serial),
            Column("model", mark("Model"), lambda one: one.model, minor=True),
            Column("commodity", mark("Measures"), lambda one: one.commodity, Kind.WORD, minor=True),
            Column("address", mark("Address"), lambda one: one.address, minor=True),
            Column("place", mark("Where"), place_text),
            Column(
                "servicer",
                mark("Meters serviced by"),
                lambda one: one.servicer_name or one.company_name,
                minor=True,
            ),
        ),
        items=items,
        empty=mark("No meter is due in this time."),
        filterable=True,
    )


def zone_text(zone: str) -> str:
    """Return a time zone as people name it: by its city.

    The IANA name is for machines, and only in English.
    """
    return get_timezone_location(ZoneInfo(zone), locale=str(visit().language), return_city=True)


def tone_of(band: DueBand) -> str:
    """Return the colour of what is due so soon."""
    return DUE_TONES.get(band, "good")


def register_text(value: int, commodity: Commodity) -> str:
    """Return the total of a register with its unit."""
    return f"{_scaled(value, DECIMALS[commodity])} {translate(UNITS[commodity])}"


UNITS: Final = {
    Commodity.ELECTRICITY: mark("kWh"),
    Commodity.HEAT: mark("Gcal"),
    Commodity.HOT_WATER: mark("m³"),
    Commodity.COLD_WATER: mark("m³"),
}


def _scaled(value: int, decimals: int) -> str:
    return number_text(Decimal(value).scaleb(-decimals), visit().language)
