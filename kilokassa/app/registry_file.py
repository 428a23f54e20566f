"""The registry file: points with their places, meters and channels as lines of CSV, in and out.

Nothing here touches a database; the format is `docs/reference/registry-csv.md`. What is wrong with
single lines is collected, so that a clerk corrects a file once and not line by line.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, TypeVar

from kilokassa.app.clerk_files import (
    EMAIL,
    RUSSIAN_DATE,
    BadField,
    RefusedLine,
    columns_of,
    csv_rows,
    decode_text,
    fields_of,
)
from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.text import mark
from metering.registry.places import (
    CHANNEL_CODES,
    CHANNELS_OF,
    DIGITS_MAX,
    INTERVAL_LENGTHS_MIN,
    LIFE_MAX,
    MULTIPLIER_MAX,
    PPM,
    ROOMS_MAX,
    WATTS_MAX,
    Commodity,
    CommonAreaKind,
    Coordinates,
)

Value = TypeVar("Value")

COLUMNS: Final = {
    "building": "код дома",
    "address": "адрес",
    "zone": "часовой пояс",
    "company": "код управляющей компании",
    "company_name": "управляющая компания",
    "company_email": "почта управляющей компании",
    "servicer": "код обслуживающей организации",
    "servicer_name": "обслуживающая организация",
    "servicer_email": "почта обслуживающей организации",
    "servicer_language": "язык обслуживающей организации",
    "building_latitude": "широта дома",
    "building_longitude": "долгота дома",
    "building_loss_percent": "потери в доме, %",
    "building_loss_w": "постоянные потери в доме, вт",
    "norm_code": "код нормативов",
    "premises": "помещение",
    "area_m2": "площадь",
    "rooms": "комнат",
    "common_area": "код места общего пользования",
    "common_area_kind": "вид места общего пользования",
    "common_area_name": "место общего пользования",
    "common_area_m2": "площадь места общего пользования",
    "delivery_point": "точка поставки",
    "boundary": "граница ответственности",
    "point": "точка учёта",
    "commodity": "ресурс",
    "exchange_code": "код обмена",
    "latitude": "широта",
    "longitude": "долгота",
    "capacity_kw": "присоединённая мощность, квт",
    "meter_serial": "номер прибора",
    "meter_model": "модель прибора",
    "digits": "разрядность",
    "made_on": "изготовлен",
    "installed_on": "установлен",
    "removed_on": "снят",
    "verified_until": "поверен до",
    "service_life_years": "срок службы, лет",
    "channels": "каналы",
    "interval": "интервал",
    "multiplier": "расчётный коэффициент",
    "loss_percent": "потери, %",
}
"""Columns by name, each with its Russian heading; either may stand in a file, in any order."""

_REQUIRED: Final = ("building", "point")
_FILE: Final = mark("registry file")


@dataclass(frozen=True, slots=True)
class RegistryLine:
    """A point with what its line says of it; None where the line says nothing."""

    line: int
    building_code: str
    point_code: str
    commodity: Commodity | None = None
    address: str | None = None
    zone: str | None = None
    company_code: str | None = None
    company_name: str | None = None
    company_email: str | None = None
    servicer_code: str | None = None
    servicer_name: str | None = None
    servicer_email: str | None = None
    servicer_language: str | None = None
    building_place: Coordinates | None = None
    building_loss_ppm: int | None = None
    building_loss_w: int | None = None
    norm_code: str | None = None
    premises_number: str | None = None
    area_dm2: int | None = None
    rooms: int | None = None
    common_area_code: str | None = None
    common_area_kind: CommonAreaKind | None = None
    common_area_name: str | None = None
    common_area_dm2: int | None = None
    delivery_point_code: str | None = None
    boundary: str | None = None
    exchange_code: str | None = None
    place: Coordinates | None = None
    capacity_w: int | None = None
    serial: str | None = None
    model: str | None = None
    digits: int | None = None
    made_on: date | None = None
    installed_on: date | None = None
    removed_on: date | None = None
    verified_until: date | None = None
    service_life_years: int | None = None
    channels: tuple[str, ...] = ()
    interval_min: int | None = None
    multiplier: int | None = None
    loss_ppm: int | None = None


@dataclass(frozen=True, slots=True)
class RegistryFile:
    """What a file holds, and what is wrong with it."""

    lines: tuple[RegistryLine, ...]
    refused: tuple[RefusedLine, ...]


def parse_registry(data: bytes) -> RegistryFile:
    """Read a registry file wholly; raise for one that is none, collect what single lines lack."""
    rows = csv_rows(decode_text(data, _FILE), _FILE)
    columns = columns_of(
        next(rows, (0, []))[1],
        COLUMNS,
        _REQUIRED,
        where=_FILE,
        unknown=mark("there is no column %(column)s in a registry file"),
    )
    lines, refused = [], []
    for number, cells in rows:
        try:
            lines.append(_line(number, _unmarked(fields_of(columns, cells))))
        except BadField as bad:
            refused.append(bad.in_line(number))
        except Invalid as bad_value:
            values = {k: v for k, v in bad_value.values.items() if k not in ("where", "problem")}
            refused.append(
                RefusedLine(line=number, field="#", problem=bad_value.values["problem"], **values)
            )
    refused += _disagreements(lines)
    return RegistryFile(tuple(lines), tuple(sorted(refused, key=lambda one: one.values["line"])))


def write_registry(lines: Iterable[RegistryLine], *, russian: bool) -> Iterator[str]:
    """Yield a registry file line by line; imported again it changes nothing."""
    yield "\ufeff"
    yield _csv_row(COLUMNS.values() if russian else COLUMNS)
    for line in lines:
        yield _csv_row(_written(line, russian=russian))


def _csv_row(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerow(cells)
    return text.getvalue()


# --- reading ---


def _unmarked(row: Mapping[str, str]) -> dict[str, str]:
    """Return the fields without a spreadsheet's mark of text, as `write_registry` sets it."""
    return {
        name: value[1:] if value[:1] == "'" and value[1:2] in _FORMULA else value
        for name, value in row.items()
    }


_COMMODITIES: Final = {
    "electricity": Commodity.ELECTRICITY,
    "электроэнергия": Commodity.ELECTRICITY,
    "heat": Commodity.HEAT,
    "тепло": Commodity.HEAT,
    "hot_water": Commodity.HOT_WATER,
    "горячая вода": Commodity.HOT_WATER,
    "cold_water": Commodity.COLD_WATER,
    "холодная вода": Commodity.COLD_WATER,
}
_AREA_KINDS: Final = {
    **{str(kind): kind for kind in CommonAreaKind},
    "лестницы": CommonAreaKind.STAIRS,
    "лифт": CommonAreaKind.LIFT,
    "подвал": CommonAreaKind.CELLAR,
    "чердак": CommonAreaKind.ATTIC,
    "двор": CommonAreaKind.YARD,
    "техническое": CommonAreaKind.TECHNICAL,
    "прочее": CommonAreaKind.OTHER,
}
_NAME: Final = re.compile(r"[0-9A-Za-zА-Яа-яЁё_][0-9A-Za-zА-Яа-яЁё_/. +:-]{0,49}")
_NUMBER: Final = re.compile(r"(\d{1,12})(?:[.,](\d{1,6}))?")
_FORMULA: Final = ("=", "+", "-", "@")


def _line(number: int, row: Mapping[str, str]) -> RegistryLine:
    commodity = _choice(row, "commodity", _COMMODITIES)
    serial = _name(row, "meter_serial")
    channels = _channels(row, commodity)
    line = RegistryLine(
        line=number,
        building_code=_required(row, "building"),
        point_code=_required(row, "point"),
        commodity=commodity,
        address=_text(row, "address"),
        zone=_text(row, "zone"),
        company_code=_name(row, "company"),
        company_name=_text(row, "company_name"),
        company_email=_email(row, "company_email"),
        servicer_code=_name(row, "servicer"),
        servicer_name=_text(row, "servicer_name"),
        servicer_email=_email(row, "servicer_email"),
        servicer_language=_choice(row, "servicer_language", {"ru": "ru", "en": "en"}),
        building_place=_place(row, "building_latitude", "building_longitude"),
        building_loss_ppm=_scaled(row, "building_loss_percent", 4, least=0, most=PPM - 1),
        building_loss_w=_scaled(row, "building_loss_w", 0, least=0, most=WATTS_MAX),
        norm_code=_name(row, "norm_code"),
        premises_number=_name(row, "premises"),
        area_dm2=_scaled(row, "area_m2", 2, least=1, most=10**8),
        rooms=_scaled(row, "rooms", 0, least=1, most=ROOMS_MAX),
        common_area_code=_name(row, "common_area"),
        common_area_kind=_choice(row, "common_area_kind", _AREA_KINDS),
        common_area_name=_text(row, "common_area_name"),
        common_area_dm2=_scaled(row, "common_area_m2", 2, least=0, most=10**8),
        delivery_point_code=_name(row, "delivery_point"),
        boundary=_text(row, "boundary"),
        exchange_code=_name(row, "exchange_code"),
        place=_place(row, "latitude", "longitude"),
        capacity_w=_scaled(row, "capacity_kw", 3, least=1, most=WATTS_MAX),
        serial=serial,
        model=_text(row, "meter_model"),
        digits=_scaled(row, "digits", 0, least=1, most=DIGITS_MAX),
        made_on=_date(row, "made_on"),
        installed_on=_date(row, "installed_on"),
        removed_on=_date(row, "removed_on"),
        verified_until=_date(row, "verified_until"),
        service_life_years=_scaled(row, "service_life_years", 0, least=1, most=LIFE_MAX),
        channels=channels,
        interval_min=_interval(row, channels),
        multiplier=_scaled(row, "multiplier", 0, least=1, most=MULTIPLIER_MAX),
        loss_ppm=_scaled(row, "loss_percent", 4, least=0, most=PPM - 1),
    )
    _whole(line, row)
    return line


def _whole(line: RegistryLine, row: Mapping[str, str]) -> None:
    """Refuse what stands alone: dates without a meter, a name without its code."""
    needs = {
        "meter_serial": (
            "meter_model", "digits", "made_on", "installed_on", "removed_on", "verified_until",
            "service_life_years",
        ),
        "channels": ("interval", "multiplier", "loss_percent"),
        "premises": ("area_m2", "rooms"),
        "common_area": ("common_area_kind", "common_area_name", "common_area_m2"),
        "delivery_point": ("boundary",),
        "company": ("company_name", "company_email"),
        "servicer": ("servicer_name", "servicer_email", "servicer_language"),
    }  # fmt: skip
    for of, dependent in needs.items():
        for name in dependent:
            if row.get(name) and not row.get(of):
                raise BadField(name, mark("it stands without %(of)s"), of=of)
    if line.premises_number and line.common_area_code:
        raise BadField("common_area", mark("a point is of a premises or of a common area"))


def _disagreements(lines: Sequence[RegistryLine]) -> Iterator[RefusedLine]:
    """Yield what one line says otherwise than an earlier one of the same thing."""
    held: dict[tuple[object, ...], tuple[int, object]] = {}
    for line in lines:
        said: list[tuple[str, tuple[object, ...], object]] = [
            ("address", (line.building_code,), line.address),
            ("zone", (line.building_code,), line.zone),
            ("company", (line.building_code,), line.company_code),
            ("servicer", (line.building_code,), line.servicer_code),
            ("building_latitude", (line.building_code,), line.building_place),
            ("building_loss_percent", (line.building_code,), line.building_loss_ppm),
            ("building_loss_w", (line.building_code,), line.building_loss_w),
            ("norm_code", (line.building_code,), line.norm_code),
            ("company_name", (line.company_code,), line.company_name),
            ("servicer_name", (line.servicer_code,), line.servicer_name),
            ("area_m2", (line.building_code, line.premises_number), line.area_dm2),
            ("building", (line.point_code,), line.building_code),
            ("commodity", (line.point_code,), line.commodity),
            ("premises", (line.point_code,), line.premises_number),
            ("exchange_code", (line.point_code,), line.exchange_code),
            ("installed_on", (line.point_code, line.serial), line.installed_on),
            ("digits", (line.point_code, line.serial), line.digits),
            *(("interval", (line.point_code, code), line.interval_min) for code in line.channels),
            *(("multiplier", (line.point_code, code), line.multiplier) for code in line.channels),
        ]
        if line.exchange_code is not None:
            said.append(("exchange_code", ("of", line.exchange_code), line.point_code))
        for field, key, value in said:
            if value is None:
                continue
            earlier, known = held.setdefault((field, *key), (line.line, value))
            if known != value:
                yield RefusedLine(
                    line=line.line,
                    field=field,
                    problem=mark("line %(earlier)s says otherwise"),
                    earlier=earlier,
                )


def _required(row: Mapping[str, str], field: str) -> str:
    found = _name(row, field)
    if found is None:
        raise BadField(field, mark("it may not be empty"))
    return found


def _text(row: Mapping[str, str], field: str) -> str | None:
    value = row.get(field, "")
    if len(value) > 200 or not value.isprintable():
        raise BadField(field, mark("it is too long or holds signs that do not print"))
    return value or None


def _name(row: Mapping[str, str], field: str) -> str | None:
    value = _text(row, field)
    if value is not None and not _NAME.fullmatch(value):
        raise BadField(field, mark("%(text)s is not a code or number"), text=repr(value))
    return value


def _email(row: Mapping[str, str], field: str) -> str | None:
    value = _text(row, field)
    if value is not None and not EMAIL.fullmatch(value):
        raise BadField(field, mark("%(text)s is not an e-mail address"), text=repr(value))
    return value


def _choice(row: Mapping[str, str], field: str, choices: Mapping[str, Value]) -> Value | None:
    value = row.get(field, "").lower()
    if not value:
        return None
    if value not in choices:
        raise BadField(
            field,
            mark("%(text)s is none of: %(choices)s"),
            text=repr(value),
            choices=", ".join(choice for choice in choices if choice.isascii()),
        )
    return choices[value]


def _scaled(
    row: Mapping[str, str], field: str, decimals: int, *, least: int, most: int
) -> int | None:
    """Return a number times ten to `decimals`, exactly."""
    value = row.get(field, "")
    if not value:
        return None
    found = _NUMBER.fullmatch(value)
    fraction = (found[2] or "").rstrip("0") if found else ""
    if found is None or len(fraction) > decimals:
        raise BadField(
            field,
            mark("%(text)s is not a number with at most %(decimals)s decimals"),
            text=repr(value),
            decimals=decimals,
        )
    scaled = int(found[1] + fraction.ljust(decimals, "0"))
    if not least <= scaled <= most:
        raise BadField(
            field,
            mark("%(text)s is not a number from %(least)s to %(most)s"),
            text=repr(value),
            least=Decimal(least).scaleb(-decimals),
            most=Decimal(most).scaleb(-decimals),
        )
    return scaled


def _date(row: Mapping[str, str], field: str) -> date | None:
    value = row.get(field, "")
    if not value:
        return None
    found = RUSSIAN_DATE.fullmatch(value)
    try:
        return date.fromisoformat(f"{found[3]}-{found[2]}-{found[1]}" if found else value)
    except ValueError:
        raise BadField(
            field, mark("%(text)s is not a date such as 2026-10-31 or 31.10.2026"), text=repr(value)
        ) from None


def _place(row: Mapping[str, str], latitude: str, longitude: str) -> Coordinates | None:
    north, east = row.get(latitude, ""), row.get(longitude, "")
    if not north and not east:
        return None
    if not north or not east:
        missing = longitude if north else latitude
        raise BadField(missing, mark("a place has both a latitude and a longitude"))
    try:
        return Coordinates.parse(north, east)
    except DomainError as refusal:
        values = {k: v for k, v in refusal.values.items() if k not in ("where", "problem")}
        raise BadField(latitude, refusal.values["problem"], **values) from None


def _channels(row: Mapping[str, str], commodity: Commodity | None) -> tuple[str, ...]:
    codes = tuple(row.get("channels", "").upper().replace(",", " ").split())
    # A line may leave out what a known point measures: then the registry judges.
    allowed = CHANNEL_CODES if commodity is None else CHANNELS_OF[commodity]
    wrong = [code for code in codes if code not in allowed]
    if wrong:
        raise BadField(
            "channels",
            mark("%(text)s is none of: %(choices)s"),
            text=repr(wrong[0]),
            choices=", ".join(allowed),
        )
    return codes


def _interval(row: Mapping[str, str], channels: Sequence[str]) -> int | None:
    value = row.get("interval", "")
    allowed = [str(minutes) for minutes in sorted(INTERVAL_LENGTHS_MIN)]
    if channels and value not in allowed:
        raise BadField(
            "interval",
            mark("%(text)s is none of: %(choices)s"),
            text=repr(value),
            choices=", ".join(allowed),
        )
    return int(value) if channels else None


# --- writing ---


def _written(line: RegistryLine, *, russian: bool) -> list[str]:
    def number(value: int | None, decimals: int = 0) -> str:
        if value is None:
            return ""
        text = f"{Decimal(value).scaleb(-decimals):f}"
        if decimals:
            text = text.rstrip("0").rstrip(".")
        return text.replace(".", ",") if russian else text

    def word(value: Value | None, words: Mapping[str, Value]) -> str:
        names = [name for name, meant in words.items() if meant == value]
        wanted = [name for name in names if name.isascii() != russian]
        return (wanted or names or [""])[0]

    def place(of: Coordinates | None) -> tuple[str, str]:
        return ("", "") if of is None else (number(of.latitude_e6, 6), number(of.longitude_e6, 6))

    def day(value: date | None) -> str:
        if value is None:
            return ""
        return value.strftime("%d.%m.%Y") if russian else value.isoformat()

    def text(value: str | None) -> str:
        plain = value or ""
        return f"'{plain}" if plain[:1] in _FORMULA else plain

    house, here = place(line.building_place), place(line.place)
    cells = {
        "building": text(line.building_code),
        "address": text(line.address),
        "zone": text(line.zone),
        "company": text(line.company_code),
        "company_name": text(line.company_name),
        "company_email": text(line.company_email),
        "servicer": text(line.servicer_code),
        "servicer_name": text(line.servicer_name),
        "servicer_email": text(line.servicer_email),
        "servicer_language": text(line.servicer_language),
        "building_latitude": house[0],
        "building_longitude": house[1],
        "building_loss_percent": number(line.building_loss_ppm, 4),
        "building_loss_w": number(line.building_loss_w),
        "norm_code": text(line.norm_code),
        "premises": text(line.premises_number),
        "area_m2": number(line.area_dm2, 2),
        "rooms": number(line.rooms),
        "common_area": text(line.common_area_code),
        "common_area_kind": word(line.common_area_kind, _AREA_KINDS),
        "common_area_name": text(line.common_area_name),
        "common_area_m2": number(line.common_area_dm2, 2),
        "delivery_point": text(line.delivery_point_code),
        "boundary": text(line.boundary),
        "point": text(line.point_code),
        "commodity": word(line.commodity, _COMMODITIES),
        "exchange_code": text(line.exchange_code),
        "latitude": here[0],
        "longitude": here[1],
        "capacity_kw": number(line.capacity_w, 3),
        "meter_serial": text(line.serial),
        "meter_model": text(line.model),
        "digits": number(line.digits),
        "made_on": day(line.made_on),
        "installed_on": day(line.installed_on),
        "removed_on": day(line.removed_on),
        "verified_until": day(line.verified_until),
        "service_life_years": number(line.service_life_years),
        "channels": " ".join(line.channels),
        "interval": number(line.interval_min),
        "multiplier": number(line.multiplier),
        "loss_percent": number(line.loss_ppm, 4),
    }
    return [cells[name] for name in COLUMNS]
