"""The accounts file: bytes in, typed lines and refusals out; `docs/reference/accounts-csv.md`.

Nothing here touches a database. A file that is no accounts file at all is refused by raising; what
is wrong with single lines is collected, so that a clerk corrects a file once and not line by line.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from billing.models import Measurement, Settlement
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
from kilokassa.core.money import parse_minor
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from metering.registry.places import Commodity

Value = TypeVar("Value")

COLUMNS: Final = {
    "account": "лицевой счёт",
    "payer": "плательщик",
    "email": "эл. почта",
    "phone": "телефон",
    "language": "язык",
    "building": "код дома",
    "address": "адрес",
    "zone": "часовой пояс",
    "company": "код управляющей компании",
    "company_name": "управляющая компания",
    "premises": "помещение",
    "area_m2": "площадь",
    "persons": "зарегистрировано",
    "commodity": "ресурс",
    "point": "точка учёта",
    "meter_serial": "номер прибора",
    "meter_model": "модель прибора",
    "digits": "разрядность",
    "interval": "интервал",
    "installed_on": "установлен",
    "verified_until": "поверен до",
    "plan": "тарифный план",
    "settlement": "расчёты",
    "opened_on": "открыт",
    "opening_debt": "задолженность",
    "opening_advance": "аванс",
    "reading_at": "дата показаний",
    "readings": "показания",
}
"""Columns by name, each with its Russian heading; either may stand in a file, in any order."""

_REQUIRED: Final = (
    "account", "payer", "building", "address", "premises", "area_m2", "persons", "point",
    "meter_serial", "interval", "plan", "settlement", "opened_on",
)  # fmt: skip

TOTAL_MARK: Final = "#TOTAL"
_FILE: Final = mark("accounts file")


class ControlTotalsDiffer(DomainError):
    """The file states totals that its lines do not add up to; nothing was loaded."""

    code = "control_totals_differ"
    template = (
        "The control line states %(stated_count)s lines, debt %(stated_debt)s and advance "
        "%(stated_advance)s, but the lines hold %(count)s, %(debt)s and %(advance)s: "
        "nothing was loaded."
    )


@dataclass(frozen=True, slots=True)
class ControlTotals:
    """How many lines there are and what they add up to."""

    count: int
    debt_minor: int
    advance_minor: int


@dataclass(frozen=True, slots=True)
class OpeningReadings:
    """What the registers of a meter showed at an instant, Wh or kcal by zone."""

    taken_at: datetime
    values: tuple[tuple[Zone, int], ...]


@dataclass(frozen=True, slots=True)
class PlaceLine:
    """The building, the premises and the meter that a line names."""

    line: int
    building_code: str
    address: str
    zone: str
    company_code: str
    company_name: str
    premises_number: str
    """Empty for a house meter."""
    area_dm2: int
    """Of the premises; of a house meter's line, the common area that is heated too."""
    heat_plan: str
    """Of a house meter's line: the price by which the house's heat is shared; else empty."""
    commodity: Commodity
    point_code: str
    meter_serial: str
    meter_model: str
    digits: int
    interval_min: int | None
    opened_on: date
    installed_on: date
    verified_until: date | None
    readings: OpeningReadings | None


@dataclass(frozen=True, slots=True)
class AccountLine:
    """The account of a line, with what it begins with."""

    line: int
    place: PlaceLine
    number: str
    payer_name: str
    email: str
    phone: str
    language: str
    persons: int
    plan_code: str
    settlement: Settlement
    measurement: Measurement
    opened_on: date
    opening_debt_minor: int
    opening_advance_minor: int


@dataclass(frozen=True, slots=True)
class AccountsFile:
    """What a file holds: accounts, meters of whole houses, and what is wrong with it."""

    accounts: tuple[AccountLine, ...]
    house_meters: tuple[PlaceLine, ...]
    refused: tuple[RefusedLine, ...]
    totals: ControlTotals
    totals_stated: bool

    @property
    def places(self) -> tuple[PlaceLine, ...]:
        """Every place of the file, of accounts and of whole houses."""
        return (*(account.place for account in self.accounts), *self.house_meters)


def parse_accounts(data: bytes, *, default_zone: str, default_language: str) -> AccountsFile:
    """Read an accounts file wholly; refuse one that is none, or whose control line differs."""
    rows = csv_rows(decode_text(data, _FILE), _FILE)
    heading = next(rows, None)
    if heading is None:
        raise Invalid(where=_FILE, problem="it is empty")
    columns = columns_of(
        heading[1],
        COLUMNS,
        _REQUIRED,
        where=_FILE,
        unknown=mark("there is no column %(column)s in an accounts file"),
    )
    reader = _LineReader(columns, default_zone, default_language)
    stated: ControlTotals | None = None
    for line, cells in rows:
        if stated is not None:
            raise Invalid(
                where=_FILE,
                problem="line %(line)s follows the control line",
                line=line,
            )
        if cells[0].strip().upper() == TOTAL_MARK:
            stated = _stated_totals(line, cells)
        else:
            reader.read(line, cells)
    result = reader.finish(totals_stated=stated is not None)
    if stated is not None and not result.refused and stated != result.totals:
        _refuse_totals(stated, result.totals)
    if stated is not None and stated.count != result.totals.count:
        _refuse_totals(stated, result.totals)
    return result


def _stated_totals(line: int, cells: Sequence[str]) -> ControlTotals:
    if len([cell for cell in cells if cell.strip()]) != 4 or not cells[1].strip().isdigit():
        raise Invalid(
            where=_FILE,
            problem="line %(line)s is no control line: %(mark)s;count;debt;advance",
            line=line,
            mark=TOTAL_MARK,
        )
    where = f"{TOTAL_MARK}"
    return ControlTotals(
        count=int(cells[1]),
        debt_minor=parse_minor(cells[2], where=where),
        advance_minor=parse_minor(cells[3], where=where),
    )


def _refuse_totals(stated: ControlTotals, held: ControlTotals) -> None:
    raise ControlTotalsDiffer(
        stated_count=stated.count,
        stated_debt=Decimal(stated.debt_minor).scaleb(-2),
        stated_advance=Decimal(stated.advance_minor).scaleb(-2),
        count=held.count,
        debt=Decimal(held.debt_minor).scaleb(-2),
        advance=Decimal(held.advance_minor).scaleb(-2),
    )


_NUMBER: Final = re.compile(r"[0-9A-Za-zА-Яа-я][0-9A-Za-zА-Яа-я/.-]{0,29}")
_ACCOUNT: Final = re.compile(r"[0-9A-Za-z-]{1,20}")
_AREA: Final = re.compile(r"(\d{1,6})(?:[.,](\d{1,2}))?")
_QUANTITY: Final = re.compile(r"(\d{1,12})(?:[.,](\d+))?")
_LOCAL_TIME: Final = re.compile(r"(\S{10})(?:[T ](\d{2}):(\d{2}))?")

_SETTLEMENTS: Final = {
    "prepaid": Settlement.PREPAID,
    "аванс": Settlement.PREPAID,
    "postpaid": Settlement.POSTPAID,
    "по факту": Settlement.POSTPAID,
}
_ZONES: Final = {
    "all": Zone.ALL,
    "всего": Zone.ALL,
    "peak": Zone.PEAK,
    "пик": Zone.PEAK,
    "semi_peak": Zone.SEMI_PEAK,
    "полупик": Zone.SEMI_PEAK,
    "day": Zone.DAY,
    "день": Zone.DAY,
    "night": Zone.NIGHT,
    "ночь": Zone.NIGHT,
}
_COMMODITIES: Final = {
    "": Commodity.ELECTRICITY,
    "electricity": Commodity.ELECTRICITY,
    "электроэнергия": Commodity.ELECTRICITY,
    "heat": Commodity.HEAT,
    "тепло": Commodity.HEAT,
}
_REGISTERS: Final = frozenset({"registers", "показания"})
_INTERVALS: Final = (15, 30, 60)
_DECIMALS: Final = {Commodity.ELECTRICITY: 3, Commodity.HEAT: 6}
"""kWh is read to whole Wh, Gcal to whole kcal."""


class _LineReader:
    """Reads lines one by one and watches that they agree with each other."""

    def __init__(self, columns: Sequence[str], default_zone: str, default_language: str) -> None:
        self.columns = columns
        self.default_zone = default_zone
        self.default_language = default_language
        self.accounts: list[AccountLine] = []
        self.house_meters: list[PlaceLine] = []
        self.refused: list[RefusedLine] = []
        self.count = self.debt_minor = self.advance_minor = 0
        self._first_line: dict[tuple[str, ...], tuple[int, tuple[object, ...]]] = {}

    def read(self, line: int, cells: Sequence[str]) -> None:
        """Take one line of the file, or note what is wrong with it."""
        self.count += 1
        try:
            self._take(line, fields_of(self.columns, cells))
        except BadField as bad:
            self.refused.append(bad.in_line(line))

    def finish(self, *, totals_stated: bool) -> AccountsFile:
        """Return everything read so far."""
        return AccountsFile(
            accounts=tuple(self.accounts),
            house_meters=tuple(self.house_meters),
            refused=tuple(self.refused),
            totals=ControlTotals(self.count, self.debt_minor, self.advance_minor),
            totals_stated=totals_stated,
        )

    def _take(self, line: int, row: Mapping[str, str]) -> None:
        debt_minor, advance_minor = _amount(row, "opening_debt"), _amount(row, "opening_advance")
        self.debt_minor += debt_minor
        self.advance_minor += advance_minor
        house_meter = not row["account"] and not row["premises"]
        place = self._place(line, row, house_meter=house_meter)
        if house_meter:
            self._agree(place)
            self.house_meters.append(place)
            return
        if debt_minor and advance_minor:
            raise BadField("opening_advance", mark("an account has a debt or an advance, not both"))
        account = self._account(line, row, place, debt_minor, advance_minor)
        self._once(line, "account", account.number)
        self._agree(place)
        self.accounts.append(account)

    def _place(self, line: int, row: Mapping[str, str], *, house_meter: bool) -> PlaceLine:
        zone = row.get("zone", "") or self.default_zone
        commodity = _choice(row, "commodity", _COMMODITIES)
        if house_meter != (commodity is Commodity.HEAT):
            raise BadField(
                "commodity", mark("heat is measured for a whole house, electricity for a premises")
            )
        interval_min = _interval(row)
        if house_meter and interval_min is not None:
            raise BadField("interval", mark("a house heat meter is read by registers"))
        opened_on = _date(row, "opened_on")
        assert opened_on is not None
        digits = _whole(row, "digits", 1, 9, default=6)
        return PlaceLine(
            line=line,
            building_code=_name(row, "building"),
            address=_text(row, "address"),
            zone=_zone_name(zone),
            company_code=_name(row, "company") if row.get("company") else "",
            company_name=row.get("company_name", ""),
            premises_number="" if house_meter else _name(row, "premises"),
            area_dm2=0 if house_meter and not row["area_m2"] else _area_dm2(row),
            heat_plan=_name(row, "plan") if house_meter and row["plan"] else "",
            commodity=commodity,
            point_code=_name(row, "point"),
            meter_serial=_name(row, "meter_serial"),
            meter_model=row.get("meter_model", ""),
            digits=digits,
            interval_min=interval_min,
            opened_on=opened_on,
            installed_on=_date(row, "installed_on", optional=True) or opened_on,
            verified_until=_date(row, "verified_until", optional=True),
            readings=_readings(row, commodity, digits, ZoneInfo(zone)),
        )

    def _account(
        self,
        line: int,
        row: Mapping[str, str],
        place: PlaceLine,
        debt_minor: int,
        advance_minor: int,
    ) -> AccountLine:
        if not _ACCOUNT.fullmatch(row["account"]):
            raise BadField(
                "account", mark("%(text)s is not an account number"), text=repr(row["account"])
            )
        email = row.get("email", "")
        if email and not EMAIL.fullmatch(email):
            raise BadField("email", mark("%(text)s is not an e-mail address"), text=repr(email))
        language = row.get("language", "") or self.default_language
        if language not in ("ru", "en"):
            raise BadField("language", mark("the language is ru or en, not %(text)s"),
                            text=repr(language))  # fmt: skip
        settlement = _choice(row, "settlement", _SETTLEMENTS)
        registers = place.interval_min is None
        if registers and settlement is Settlement.PREPAID:
            raise BadField("settlement", mark("a prepaid account is measured by intervals"))
        if registers and place.readings is None:
            raise BadField("readings", mark("a meter read by hand begins with its last readings"))
        opened_on = _date(row, "opened_on")
        assert opened_on is not None
        return AccountLine(
            line=line,
            place=place,
            number=row["account"],
            payer_name=_text(row, "payer"),
            email=email,
            phone=row.get("phone", ""),
            language=language,
            persons=_whole(row, "persons", 0, 99),
            plan_code=_name(row, "plan"),
            settlement=settlement,
            measurement=Measurement.REGISTERS if registers else Measurement.INTERVALS,
            opened_on=opened_on,
            opening_debt_minor=debt_minor,
            opening_advance_minor=advance_minor,
        )

    def _agree(self, place: PlaceLine) -> None:
        """Refuse a line that says something else of a house or company than an earlier one."""
        building = place.building_code
        self._once(place.line, "point", place.point_code)
        self._same(place.line, ("address", building), place.address)
        self._same(place.line, ("zone", building), place.zone)
        self._same(place.line, ("company", building), place.company_code)
        if place.company_code:
            self._same(place.line, ("company_name", place.company_code), place.company_name)
        if place.premises_number:
            self._same(place.line, ("area_m2", building, place.premises_number), place.area_dm2)

    def _once(self, line: int, field: str, value: str) -> None:
        earlier, _ = self._first_line.setdefault((field, value), (line, ()))
        if earlier != line:
            raise BadField(
                field,
                mark("%(text)s stands in line %(earlier)s already"),
                text=value,
                earlier=earlier,
            )

    def _same(self, line: int, key: tuple[str, ...], value: object) -> None:
        earlier, held = self._first_line.setdefault(("same", *key), (line, (value,)))
        if held != (value,):
            raise BadField(
                key[0],
                mark("%(text)s differs from line %(earlier)s for the same %(of)s"),
                text=repr(value),
                earlier=earlier,
                of=" ".join(key[1:]),
            )


def _text(row: Mapping[str, str], field: str) -> str:
    value = row.get(field, "")
    if not value:
        raise BadField(field, mark("it may not be empty"))
    if len(value) > 200 or not value.isprintable():
        raise BadField(field, mark("it is too long or holds signs that do not print"))
    return value


def _name(row: Mapping[str, str], field: str) -> str:
    value = _text(row, field)
    if not _NUMBER.fullmatch(value.replace("_", "-")):
        raise BadField(field, mark("%(text)s is not a code or number"), text=repr(value))
    return value


def _choice(row: Mapping[str, str], field: str, choices: Mapping[str, Value]) -> Value:
    value = row.get(field, "").lower()
    if value not in choices:
        raise BadField(
            field,
            mark("%(text)s is none of: %(choices)s"),
            text=repr(value),
            choices=", ".join(choice for choice in choices if choice.isascii() and choice),
        )
    return choices[value]


def _whole(
    row: Mapping[str, str], field: str, least: int, most: int, *, default: int | None = None
) -> int:
    value = row.get(field, "")
    if not value and default is not None:
        return default
    if not re.fullmatch(r"[0-9]{1,4}", value) or not least <= int(value) <= most:
        raise BadField(
            field,
            mark("%(text)s is not a whole number from %(least)s to %(most)s"),
            text=repr(value),
            least=least,
            most=most,
        )
    return int(value)


def _interval(row: Mapping[str, str]) -> int | None:
    value = row.get("interval", "").lower()
    if value in _REGISTERS:
        return None
    if value not in {str(minutes) for minutes in _INTERVALS}:
        raise BadField(
            "interval",
            mark("%(text)s is none of: 15, 30, 60 minutes or registers"),
            text=repr(value),
        )
    return int(value)


def _amount(row: Mapping[str, str], field: str) -> int:
    value = row.get(field, "")
    if not value:
        return 0
    try:
        amount_minor = parse_minor(value)
    except Invalid:
        amount_minor = -1
    if amount_minor < 0:
        raise BadField(
            field,
            mark("%(text)s is not an amount from 0 with at most two decimals"),
            text=repr(value),
        )
    return amount_minor


def _area_dm2(row: Mapping[str, str]) -> int:
    found = _AREA.fullmatch(row["area_m2"])
    area_dm2 = 0 if found is None else int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
    if area_dm2 <= 0:
        raise BadField(
            "area_m2",
            mark("%(text)s is not an area above 0 with at most two decimals"),
            text=repr(row["area_m2"]),
        )
    return area_dm2


def _zone_name(zone: str) -> str:
    try:
        return ZoneInfo(zone).key
    except (ZoneInfoNotFoundError, ValueError):
        raise BadField(
            "zone", mark("%(text)s is not the IANA name of a time zone"), text=repr(zone)
        ) from None


def _date(row: Mapping[str, str], field: str, *, optional: bool = False) -> date | None:
    value = row.get(field, "")
    if not value and optional:
        return None
    try:
        return _read_date(value)
    except ValueError:
        raise BadField(
            field, mark("%(text)s is not a date such as 2026-10-31"), text=repr(value)
        ) from None


def _read_date(value: str) -> date:
    russian = RUSSIAN_DATE.fullmatch(value)
    if russian:
        return date(int(russian[3]), int(russian[2]), int(russian[1]))
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError(value)
    return date.fromisoformat(value)


def _readings(
    row: Mapping[str, str], commodity: Commodity, digits: int, zone: ZoneInfo
) -> OpeningReadings | None:
    value, at = row.get("readings", ""), row.get("reading_at", "")
    if not value and not at:
        return None
    if not value:
        raise BadField("readings", mark("it may not be empty"))
    values: dict[Zone, int] = {}
    for part in value.split("|"):
        name, _, total = part.partition("=")
        found = _QUANTITY.fullmatch(total.strip())
        decimals = _DECIMALS[commodity]
        register = _ZONES.get(name.strip().lower())
        if register is None or found is None or len(found[2] or "") > decimals:
            raise BadField(
                "readings",
                mark("%(text)s is not a zone and a total, such as day=1234.5"),
                text=repr(part),
            )
        if register in values:
            raise BadField("readings", mark("the zone %(zone)s comes twice"), zone=str(register))
        if len(found[1].lstrip("0")) > digits:
            raise BadField(
                "readings",
                mark("%(text)s has more digits than the meter shows"),
                text=repr(part),
            )
        values[register] = int(found[1] + (found[2] or "").ljust(decimals, "0"))
    if Zone.ALL in values and len(values) > 1:
        raise BadField("readings", mark("a total of all zones stands alone"))
    return OpeningReadings(_instant(at, zone), tuple(sorted(values.items())))


def _instant(value: str, zone: ZoneInfo) -> datetime:
    """Read a date, at whose first midnight the reading holds, or a local date and time."""
    found = _LOCAL_TIME.fullmatch(value)
    try:
        if found is not None:
            clock = time(int(found[2] or 0), int(found[3] or 0))
            return datetime.combine(_read_date(found[1]), clock, tzinfo=zone).astimezone(UTC)
    except ValueError:
        pass
    raise BadField(
        "reading_at",
        mark("%(text)s is not a date or a local time such as 2026-10-24T12:00"),
        text=repr(value),
    )
