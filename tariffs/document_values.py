"""From the checked fields of a tariff document to a `TariffVersion`, refusing what does not fit.

`tariffs.documents` knows YAML and which fields there are; here is what the fields mean together.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from itertools import product
from typing import Any, Final

from kilokassa.core.digest import digest_value
from kilokassa.core.money import scaled_rate
from kilokassa.core.text import mark
from kilokassa.core.zones import (
    MINUTES_PER_DAY,
    WHOLE_DAY,
    DayZones,
    Zone,
    ZoneWindow,
    clock_text,
    windows,
)
from tariffs.charges import (
    NO_CHARGES,
    PPM,
    Allowance,
    CapacityBasis,
    CapacityCharge,
    Charges,
    Concession,
    DatedAmount,
    DatedShare,
    Export,
    FixedCharge,
    Guarantee,
    HourlyPrice,
    MinimumBill,
    Netting,
    PriceComponent,
    Tax,
    TaxMode,
)
from tariffs.day_types import DayType, HolidayCalendar
from tariffs.plans import (
    DatedRates,
    RangeBasis,
    RangeOrder,
    RangePeriod,
    SeasonStart,
    SocialNorm,
    TariffVersion,
    ZoneSchedule,
)
from tariffs.yaml_fields import Fault, Path

HIGHEST_RATE: Final = Decimal(1_000_000)
"""Roubles per kWh; keeps the kernel's products inside 64 bits, far above any real rate."""

_RATE: Final = re.compile(r"[0-9]{1,7}(\.[0-9]{1,20})?")
_SIGNED_RATE: Final = re.compile(r"-?[0-9]{1,7}(\.[0-9]{1,20})?")
_PERCENT: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?")
_WHOLE: Final = re.compile(r"[0-9]{1,7}")
_WH: Final = re.compile(r"[0-9]{1,7}(\.[0-9]{1,3})?")
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_DAY_OF_YEAR: Final = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
_LEAP_YEAR: Final = 2024
_LONGEST_RATCHET: Final = 36

Loaded = Mapping[str, Any]


def version_of(loaded: Loaded, *, published: bool) -> TariffVersion:
    """Return the version that the fields describe; refuse what contradicts itself."""
    seasons = _seasons(loaded["seasons"])
    schedules = _schedules(loaded, seasons)
    zones = _zones_of(schedules)
    ladder = _ladder(loaded["ranges"])
    rates = _dated_rates(loaded, zones, seasons, ladder.count)
    if ladder.count > 1 and not ladder.named_basis and len(zones) > 1 and not published:
        # Peers differ here in silence, by as much as 15 % of a bill.
        problem = mark("ranges beside several zones say their basis: zone or total")
        raise Fault(("ranges", "basis"), problem)
    charges = _charges(loaded, ladder)
    until = loaded["prices_until"]
    if until is not None and until < max(dated.valid_from for dated in rates):
        raise Fault(
            ("prices_until",), mark("a price begins after %(day)s, the last one"), day=str(until)
        )
    every_day = len(schedules) == 1 and not schedules[0].day_types and not schedules[0].seasons
    calendar = _calendar(loaded["holidays"])
    extra = {
        "basis": str(ladder.basis) if ladder.named_basis else None,
        "period": str(ladder.period) if ladder.period is not RangePeriod.MONTH else None,
        "norm": _plain(ladder.norm) if ladder.norm else None,
        "schedules": None if every_day else _plain(schedules),
        "seasons": _plain(seasons) or None,
        "rate_seasons": [d.season for d in rates] if rates[0].season else None,
        "holidays": None if loaded["holidays"] is None else _plain(calendar),
        "until": until.isoformat() if until else None,
        "charges": None if charges == NO_CHARGES else _plain(charges),
        "vat": None if loaded["vat"] == "included" else loaded["vat"],
        "category": loaded["category"] or None,
        "closed": True if loaded["open"] == "no" else None,
    }
    values = {
        "plan": loaded["plan"],
        "name": [loaded["name"]["ru"], loaded["name"]["en"]],
        "valid_from": loaded["valid_from"].isoformat(),
        "zones": [
            [w.opens_minute, w.closes_minute, str(w.zone)] for w in schedules[0].day_zones.windows
        ],
        "rates": [[d.valid_from.isoformat(), [list(r) for r in d.rates_scaled]] for d in rates],
        "borders": list(ladder.borders_wh),
        "order": str(ladder.order) if loaded["ranges"] else "",
        "source": loaded["source"],
        "confidence": loaded["confidence"],
        # Fields that a document does not use leave its digest as it was before they existed.
        **{name: value for name, value in extra.items() if value is not None},
    }
    return TariffVersion(
        plan_code=loaded["plan"],
        name=loaded["name"]["ru"],
        name_en=loaded["name"]["en"],
        valid_from=loaded["valid_from"],
        day_zones=schedules[0].day_zones,
        rates=rates,
        range_borders_wh=ladder.borders_wh,
        range_order=ladder.order,
        range_basis=ladder.basis,
        range_period=ladder.period,
        norm=ladder.norm,
        schedules=() if every_day else schedules,
        seasons=seasons,
        calendar=calendar,
        prices_until=until,
        charges=charges,
        category=loaded["category"],
        open=loaded["open"] == "yes",
        source=loaded["source"],
        confidence=loaded["confidence"],
        digest=digest_value(values),
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - lists, text and whole numbers
    """Return a value as lists, text and whole numbers, for a digest."""
    if is_dataclass(value) and not isinstance(value, type):
        if isinstance(value, HolidayCalendar):
            return [value.name, [[d.isoformat(), str(kind)] for d, kind in value.overruled]]
        return [_plain(part) for part in astuple(value)]
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return str(value)
    return value


def _seasons(loaded: Loaded | None) -> tuple[SeasonStart, ...]:
    starts: dict[tuple[int, int], SeasonStart] = {}
    for season, days in (loaded or {}).items():
        for number, text in enumerate(days if isinstance(days, list) else [days]):
            path: Path = (
                ("seasons", season, number) if isinstance(days, list) else ("seasons", season)
            )
            found = _DAY_OF_YEAR.fullmatch(text) if isinstance(text, str) else None
            if found is None or not _is_day(int(found[1]), int(found[2])):
                raise Fault(
                    path, mark("%(text)s is no day of the year such as 11-01"), text=repr(text)
                )
            start = SeasonStart(int(found[1]), int(found[2]), season)
            if (start.month, start.day) in starts:
                raise Fault(path, mark("two seasons begin on %(day)s"), day=text)
            starts[start.month, start.day] = start
    if len({start.season for start in starts.values()}) == 1:
        raise Fault(("seasons",), mark("a year has at least two seasons, or none is named"))
    return tuple(sorted(starts.values()))


def _is_day(month: int, day: int) -> bool:
    """Say whether every year has such a day; 29 February begins no season."""
    try:
        date(_LEAP_YEAR + 1, month, day)
    except ValueError:
        return False
    return True


def _calendar(loaded: Loaded | None) -> HolidayCalendar:
    if loaded is None:
        return HolidayCalendar()
    return HolidayCalendar(loaded["calendar"], tuple(sorted((loaded["moved"] or {}).items())))


def _schedules(loaded: Loaded, seasons: Sequence[SeasonStart]) -> tuple[ZoneSchedule, ...]:
    zones = loaded["zones"]
    if zones is None:
        return (ZoneSchedule(WHOLE_DAY),)
    if not isinstance(zones, list):
        return (ZoneSchedule(_day_zones(zones, ("zones",))),)
    known = {start.season for start in seasons}
    found = []
    for number, one in enumerate(zones):
        for place, season in enumerate(one["seasons"] or ()):
            if season not in known:
                path: Path = ("zones", number, "seasons", place)
                raise Fault(path, mark("there is no season %(season)s"), season=season)
        if one["days"] and loaded["holidays"] is None:
            raise Fault(
                ("zones", number, "days"),
                mark("types of day need a calendar: holidays: {calendar: russia} or none"),
            )
        found.append(
            ZoneSchedule(
                _day_zones(one["windows"], ("zones", number, "windows")),
                tuple(sorted(set(one["days"] or ()), key=list(DayType).index)),
                tuple(sorted(set(one["seasons"] or ()))),
            )
        )
    for day_type, season in product(DayType, sorted(known) or [""]):
        holding = sum(one.holds(day_type, season) for one in found)
        if holding != 1:
            problem = (
                mark("no schedule holds on a %(day_type)s day%(season)s")
                if holding == 0
                else mark("two schedules hold on a %(day_type)s day%(season)s")
            )
            shown = f", {season}" if season else ""
            raise Fault(("zones",), problem, day_type=str(day_type), season=shown)
    return tuple(found)


def _zones_of(schedules: Sequence[ZoneSchedule]) -> tuple[Zone, ...]:
    used = {zone for one in schedules for zone in one.day_zones.zones}
    return tuple(zone for zone in Zone if zone in used)


def _day_zones(zones: Mapping[Zone, Sequence[str]], path: Path) -> DayZones:
    found: list[ZoneWindow] = []
    for zone, texts in zones.items():
        for number, text in enumerate(texts):
            found.extend(_windows(zone, text, (*path, str(zone), number)))
    reached = 0
    for window in sorted(found):
        if window.opens_minute > reached:
            raise _gap(reached, window.opens_minute, path)
        if window.opens_minute < reached:
            raise Fault(
                path,
                mark("two zones hold %(opens)s to %(closes)s"),
                opens=clock_text(window.opens_minute),
                closes=clock_text(min(reached, window.closes_minute)),
            )
        reached = window.closes_minute
    if reached < MINUTES_PER_DAY:
        raise _gap(reached, MINUTES_PER_DAY, path)
    return DayZones(tuple(found))


def _gap(opens_minute: int, closes_minute: int, path: Path) -> Fault:
    return Fault(
        path,
        mark("no zone holds %(opens)s to %(closes)s"),
        opens=clock_text(opens_minute),
        closes=clock_text(closes_minute),
    )


def _windows(zone: Zone, text: str, path: Path) -> tuple[ZoneWindow, ...]:
    opens, dash, closes = (part.strip() for part in text.partition("-"))
    if not dash:
        raise Fault(path, mark("%(text)s is no window such as 07:00-23:00"), text=repr(text))
    begin, end = _clock(opens, path), _clock(closes, path)
    if begin == end and (opens, closes) != ("00:00", "24:00"):
        raise Fault(path, mark("the window %(text)s is empty"), text=repr(text))
    return windows(zone, begin, end)


def _clock(text: str, path: Path) -> time:
    if text == "24:00":
        return time()
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise Fault(path, mark("%(text)s is no time of the day"), text=repr(text))
    return time(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class _Ladder:
    borders_wh: tuple[int, ...] = ()
    norm: SocialNorm | None = None
    basis: RangeBasis = RangeBasis.TOTAL
    order: RangeOrder = RangeOrder.PROPORTIONAL
    period: RangePeriod = RangePeriod.MONTH
    named_basis: bool = False

    @property
    def count(self) -> int:
        return len(self.borders_wh if self.norm is None else self.norm.bands_percent) + 1


def _ladder(loaded: Loaded | None) -> _Ladder:
    if loaded is None:
        return _Ladder()
    if (loaded["borders_kwh"] is None) == (loaded["norm"] is None):
        raise Fault(("ranges",), mark("ranges have borders_kwh or a norm, one of the two"))
    if loaded["norm"] is not None and loaded["period"] is not RangePeriod.MONTH:
        raise Fault(("ranges", "period"), mark("a norm is one of a month"))
    return _Ladder(
        borders_wh=_borders_wh(loaded["borders_kwh"] or ()),
        norm=None if loaded["norm"] is None else _norm(loaded["norm"]),
        basis=loaded["basis"] or RangeBasis.TOTAL,
        order=loaded["order"],
        period=loaded["period"],
        named_basis=loaded["basis"] is not None,
    )


def _norm(loaded: Loaded) -> SocialNorm:
    path: Path = ("ranges", "norm")
    by_persons = []
    for number, text in enumerate(loaded["kwh_by_persons"]):
        place = (*path, "kwh_by_persons", number)
        by_persons.append(_whole(text, place, mark("%(text)s is no whole number of kWh")) * 1000)
        if by_persons[-1] == 0:
            raise Fault(place, mark("a norm is above zero"))
    bands: list[int] = []
    for number, text in enumerate(loaded["bands_percent"]):
        place = (*path, "bands_percent", number)
        band = _whole(text, place, mark("%(text)s is no whole number of percents"))
        if band <= (bands[-1] if bands else 0):
            problem = mark("borders of ranges ascend from above zero, and %(text)s does not")
            raise Fault(place, problem, text=text)
        bands.append(band)
    each_more = _whole(
        loaded["each_more_kwh"],
        (*path, "each_more_kwh"),
        mark("%(text)s is no whole number of kWh"),
    )
    return SocialNorm(
        tuple(by_persons), each_more * 1000, tuple(bands), loaded["common_area"] == "counted"
    )


def _borders_wh(texts: Sequence[str]) -> tuple[int, ...]:
    borders: list[int] = []
    for number, text in enumerate(texts):
        path: Path = ("ranges", "borders_kwh", number)
        border_wh = _whole(text, path, mark("%(text)s is no whole number of kWh")) * 1000
        if border_wh <= (borders[-1] if borders else 0):
            problem = mark("borders of ranges ascend from above zero, and %(text)s does not")
            raise Fault(path, problem, text=text)
        borders.append(border_wh)
    return tuple(borders)


def _whole(text: str, path: Path, problem: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise Fault(path, problem, text=repr(text))
    return int(text)


def _dated_rates(
    loaded: Loaded, zones: Sequence[Zone], seasons: Sequence[SeasonStart], ranges: int
) -> tuple[DatedRates, ...]:
    if loaded["prices"] is None:
        if loaded["hourly"] is None:
            raise Fault(("prices",), mark("the field is missing"))
        for field in ("zones", "ranges", "seasons", "prices_until"):
            if loaded[field] is not None:
                raise Fault((field,), mark("without prices by zone there is no such field"))
        return (DatedRates(loaded["valid_from"], ((0,),)),)
    names = sorted({start.season for start in seasons})
    last: dict[str, date] = {}
    found: list[DatedRates] = []
    for number, price in enumerate(loaded["prices"]):
        day, season = price["from_"], price["season"]
        if season and season not in names:
            path: Path = ("prices", number, "season")
            raise Fault(path, mark("there is no season %(season)s"), season=season)
        if season in last and day <= last[season]:
            problem = mark("dated prices ascend, and %(day)s is not after the one before")
            raise Fault(("prices", number, "from"), problem, day=str(day))
        if season not in last and day > loaded["valid_from"]:
            problem = mark("no price holds on %(day)s, when the version begins")
            raise Fault(("prices", number, "from"), problem, day=str(loaded["valid_from"]))
        last[season] = day
        table = _table(price["per_kwh"], zones, ranges, ("prices", number, "per_kwh"))
        found.append(DatedRates(day, table, season))
    if set(last) not in ({""}, set(names)):
        raise Fault(("prices",), mark("every season has prices of its own, or none has"))
    return tuple(found)


def _table(
    per_kwh: object, zones: Sequence[Zone], ranges: int, path: Path
) -> tuple[tuple[int, ...], ...]:
    rows = per_kwh if isinstance(per_kwh, list) else [per_kwh]
    if len(rows) != ranges:
        problem = mark("%(ranges)s ranges need as many rows of rates, not %(rows)s")
        raise Fault(path, problem, ranges=ranges, rows=len(rows))
    table: list[tuple[int, ...]] = []
    for number, row in enumerate(rows):
        row_path = (*path, number) if isinstance(per_kwh, list) else path
        if isinstance(row, str) and tuple(zones) == (Zone.ALL,):
            table.append((_rate(row, row_path),))
            continue
        if not isinstance(row, Mapping):
            raise Fault(row_path, mark("this is no rate for each zone"))
        wanted = [str(zone) for zone in zones]
        if set(row) != set(wanted):
            problem = mark("the zones of the day and those of the rates differ in: %(zones)s")
            raise Fault(row_path, problem, zones=", ".join(sorted(set(row) ^ set(wanted))))
        table.append(tuple(_rate(row[zone], (*row_path, zone)) for zone in wanted))
    return tuple(table)


def _rate(text: object, path: Path, pattern: re.Pattern[str] = _RATE) -> int:
    if not isinstance(text, str) or pattern.fullmatch(text) is None:
        raise Fault(path, mark("%(text)s is not a rate such as 6.11"), text=repr(text))
    rate = Decimal(text)
    if abs(rate) > HIGHEST_RATE:
        raise Fault(path, mark("%(text)s is above any rate there is"), text=text)
    try:
        return scaled_rate(rate)
    except ValueError:
        problem = mark("a rate has at most six decimals, and %(text)s has more")
        raise Fault(path, problem, text=text) from None


def _charges(loaded: Loaded, ladder: _Ladder) -> Charges:
    begins: date = loaded["valid_from"]
    allowance, export = loaded["allowance"], loaded["export"]
    if export is not None and export["netting"] is Netting.PERIOD and ladder.count > 1:
        in_time = ladder.order is RangeOrder.TIME or ladder.period is RangePeriod.DAY
        if in_time and (ladder.basis is RangeBasis.TOTAL or ladder.period is RangePeriod.DAY):
            problem = mark("netting over a period leaves no order of time for the ranges")
            raise Fault(("export", "netting"), problem)
    if export is not None and export["netting"] is Netting.PERIOD:
        for field in ("hourly", "allowance"):
            if loaded[field] is not None:
                problem = mark("netting over a period leaves no hours for: %(name)s")
                raise Fault(("export", "netting"), problem, name=field)
    _refuse_twins(loaded)
    _refuse_vat(loaded)
    return Charges(
        energy_by_zone=loaded["prices"] is not None,
        fixed=tuple(
            FixedCharge(
                one["code"],
                one["name"]["ru"],
                one["name"]["en"],
                one["per"],
                dated_amounts(one["amounts"], ("fixed", number, "amounts"), begins),
            )
            for number, one in enumerate(loaded["fixed"])
        ),
        capacity=tuple(
            _capacity(one, ("capacity", number), loaded)
            for number, one in enumerate(loaded["capacity"])
        ),
        minimum=(
            None
            if loaded["minimum"] is None
            else MinimumBill(dated_amounts(loaded["minimum"], ("minimum",), begins))
        ),
        allowance=(
            None
            if allowance is None
            else Allowance(
                _wh(allowance["kwh_per_day"], ("allowance", "kwh_per_day")),
                allowance["unused"],
                dated_amounts(allowance["credit_per_kwh"], ("allowance", "credit_per_kwh"), begins),
            )
        ),
        export=(
            None
            if export is None
            else Export(
                export["netting"], dated_amounts(export["per_kwh"], ("export", "per_kwh"), begins)
            )
        ),
        taxes=tuple(
            Tax(
                one["code"],
                one["name"]["ru"],
                one["name"]["en"],
                one["mode"],
                _shares(one["percents"], ("taxes", number, "percents")),
            )
            for number, one in enumerate(loaded["taxes"])
        ),
        concessions=tuple(
            _concession(one, ("concessions", number))
            for number, one in enumerate(loaded["concessions"])
        ),
        hourly=None if loaded["hourly"] is None else _hourly(loaded["hourly"], begins),
        guarantee=(
            None
            if loaded["guarantee"] is None
            else Guarantee(loaded["guarantee"]["never_dearer_than"])
        ),
    )


def _refuse_twins(loaded: Loaded) -> None:
    """Refuse two charges of one code: their lines could not be told apart."""
    for field in ("fixed", "capacity", "taxes", "concessions"):
        codes: set[str] = set()
        for number, one in enumerate(loaded[field]):
            if one["code"] in codes:
                path: Path = (field, number, "code")
                raise Fault(path, mark("the code %(code)s comes twice"), code=one["code"])
            codes.add(one["code"])


def _refuse_vat(loaded: Loaded) -> None:
    vat = [one["mode"] for one in loaded["taxes"] if one["code"] == "vat"]
    if loaded["vat"] == "on_top" and vat != [TaxMode.ON_TOP]:
        raise Fault(("vat",), mark("VAT on top needs a tax of the code vat with mode: on_top"))
    if loaded["vat"] == "included" and TaxMode.ON_TOP in vat:
        raise Fault(("vat",), mark("prices hold VAT, and a tax puts it on top as well"))


def dated_amounts(
    loaded: Sequence[Loaded], path: Path, begins: date, *, signed: bool = False
) -> tuple[DatedAmount, ...]:
    """Return dated rates in millionths of a rouble; the first holds on the day it `begins`."""
    pattern = _SIGNED_RATE if signed else _RATE
    found: list[DatedAmount] = []
    for number, one in enumerate(loaded):
        _refuse_order(found[-1].valid_from if found else None, one["from_"], (*path, number))
        scaled = _rate(one["amount"], (*path, number, "amount"), pattern)
        found.append(DatedAmount(one["from_"], scaled))
    if found[0].valid_from > begins:
        problem = mark("no price holds on %(day)s, when the version begins")
        raise Fault((*path, 0, "from"), problem, day=str(begins))
    return tuple(found)


def _shares(loaded: Sequence[Loaded], path: Path) -> tuple[DatedShare, ...]:
    found: list[DatedShare] = []
    for number, one in enumerate(loaded):
        _refuse_order(found[-1].valid_from if found else None, one["from_"], (*path, number))
        found.append(DatedShare(one["from_"], _ppm(one["percent"], (*path, number, "percent"))))
    return tuple(found)


def _refuse_order(before: date | None, day: date, path: Path) -> None:
    if before is not None and day <= before:
        problem = mark("dated prices ascend, and %(day)s is not after the one before")
        raise Fault((*path, "from"), problem, day=str(day))


def _ppm(text: str, path: Path) -> int:
    if _PERCENT.fullmatch(text) is None or Decimal(text) > 100:
        raise Fault(path, mark("%(text)s is no share from 0 to 100 percent"), text=repr(text))
    return int(Decimal(text) * PPM / 100)


def _wh(text: str, path: Path) -> int:
    if _WH.fullmatch(text) is None:
        raise Fault(
            path, mark("%(text)s is no number of kWh with at most three decimals"), text=repr(text)
        )
    return int(Decimal(text) * 1000)


def _capacity(one: Loaded, path: Path, loaded: Loaded) -> CapacityCharge:
    basis: CapacityBasis = one["basis"]
    measured = basis is CapacityBasis.HIGHEST
    for field in ("windows", "days", "ratchet"):
        if one[field] is not None and not measured:
            raise Fault((*path, field), mark("only the highest demand has %(name)s"), name=field)
    if (basis is CapacityBasis.REGULATED_PEAKS) != bool(one["hours"]):
        problem = mark("regulated peaks, and only they, name their list of hours")
        raise Fault((*path, "hours"), problem)
    if one["days"] and loaded["holidays"] is None:
        raise Fault(
            (*path, "days"),
            mark("types of day need a calendar: holidays: {calendar: russia} or none"),
        )
    ratchet = one["ratchet"] or {"percent": "0", "months": "0"}
    months = _whole(
        ratchet["months"], (*path, "ratchet", "months"), mark("%(text)s is no number of months")
    )
    if one["ratchet"] and not 1 <= months <= _LONGEST_RATCHET:
        raise Fault((*path, "ratchet", "months"), mark("a ratchet looks back 1 to 36 months"))
    windows_found = [
        (window.opens_minute, window.closes_minute)
        for number, text in enumerate(one["windows"] or ())
        for window in _windows(Zone.ALL, text, (*path, "windows", number))
    ]
    return CapacityCharge(
        code=one["code"],
        name=one["name"]["ru"],
        name_en=one["name"]["en"],
        basis=basis,
        amounts=dated_amounts(one["per_kw_month"], (*path, "per_kw_month"), loaded["valid_from"]),
        windows=tuple(sorted(windows_found)),
        day_types=tuple(sorted(set(one["days"] or ()), key=list(DayType).index)),
        ratchet_ppm=_ppm(ratchet["percent"], (*path, "ratchet", "percent")),
        ratchet_months=months,
        hours=one["hours"],
    )


def _concession(one: Loaded, path: Path) -> Concession:
    limit = one["limit_kwh"]
    return Concession(
        code=one["code"],
        name=one["name"]["ru"],
        name_en=one["name"]["en"],
        base=one["base"],
        shares=_shares(one["percents"], (*path, "percents")),
        everyone=one["who"] == "everyone",
        limit_wh=0 if limit is None else _limit_wh(limit, (*path, "limit_kwh")),
        limit_each_person=one["limit_for"] == "person",
    )


def _limit_wh(text: str, path: Path) -> int:
    limit_wh = _whole(text, path, mark("%(text)s is no whole number of kWh")) * 1000
    if limit_wh == 0:
        raise Fault(path, mark("a limit is above zero"))
    return limit_wh


def _hourly(loaded: Loaded, begins: date) -> HourlyPrice:
    limits = {
        field: None
        if loaded[field] is None
        else _rate(loaded[field], ("hourly", field), _SIGNED_RATE)
        for field in ("floor", "cap")
    }
    floor, cap = limits["floor"], limits["cap"]
    if floor is not None and cap is not None and cap < floor:
        raise Fault(("hourly", "cap"), mark("the cap is below the floor"))
    return HourlyPrice(
        series=loaded["series"],
        coarse=loaded["longer_intervals"],
        components=tuple(
            PriceComponent(
                one["code"],
                dated_amounts(
                    one["per_kwh"],
                    ("hourly", "components", number, "per_kwh"),
                    begins,
                    signed=True,
                ),
            )
            for number, one in enumerate(loaded["components"])
        ),
        floor_scaled=floor,
        cap_scaled=cap,
        limits=loaded["limits"],
    )
