"""Published prices of Хабаровск as tariff documents: as they were, and moved by whole months.

The demo pays the prices of 2022 in its own year: every date is moved by the same whole number of
months, so that the change of 1 December 2022 falls on the month the demo wants, and each name says
that it is a demo.
"""

import csv
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import Month
from kilokassa.core.money import scaled_rate
from kilokassa.core.zones import Zone

PUBLISHED_CHANGE: Final = Month(2022, 12)
"""The month at whose start the published prices changed."""

HEAT_PLAN: Final = "heat"
"""Code of the price by which the demo shares a house's heat."""

_TARIFF_KINDS: Final = ("single", "two_zone", "three_zone")
_CATEGORIES: Final = {"urban_gas": "", "reduced": "_reduced"}

PLAN_CODES: Final = tuple(
    f"{kind}{suffix}" for suffix in _CATEGORIES.values() for kind in _TARIFF_KINDS
)
"""Codes of the electricity plans."""

_WINDOWS: Final = {
    "single": ((Zone.ALL, "00:00", "24:00"),),
    "two_zone": ((Zone.DAY, "07:00", "23:00"), (Zone.NIGHT, "23:00", "07:00")),
    "three_zone": (
        (Zone.PEAK, "07:00", "10:00"),
        (Zone.PEAK, "17:00", "21:00"),
        (Zone.SEMI_PEAK, "10:00", "17:00"),
        (Zone.SEMI_PEAK, "21:00", "23:00"),
        (Zone.NIGHT, "23:00", "07:00"),
    ),
}
"""Hours of the zones, local time: ФТС order 1473-э of 26.11.2013, as a retailer cites it (S1)."""

_NAMES: Final = {
    "single": ("Одноставочный", "Single rate"),
    "two_zone": ("Двухзонный", "Two zones"),
    "three_zone": ("Трёхзонный", "Three zones"),
    "single_reduced": ("Одноставочный пониженный", "Single rate, reduced"),
    "two_zone_reduced": ("Двухзонный пониженный", "Two zones, reduced"),
    "three_zone_reduced": ("Трёхзонный пониженный", "Three zones, reduced"),
}

_MOVED: Final = "; демо: даты сдвинуты на целое число месяцев"


@dataclass(frozen=True, slots=True)
class PublishedPrice:
    """One published price: rubles with VAT per kWh, or per Gcal of heat."""

    plan_code: str
    zone: Zone
    valid_from: date
    price: Decimal


@dataclass(frozen=True, slots=True)
class HeatPrice:
    """The price of heat from a day on, rubles with VAT per Gcal."""

    valid_from: date
    price_per_gcal: Decimal
    rate_scaled: int
    """The same as whole millionths of a ruble."""
    source: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan of the demo retailer with the rates of a published one and lines of its own."""

    code: str
    name: str
    name_en: str
    text: str
    """YAML with the place `%(from)s` for the day on which the plan begins."""
    above_norm: Decimal = Decimal(0)
    """How many times dearer a kWh above the norm is; 0 has no norm."""

    def lines(self, valid_from: date) -> list[str]:
        """Return the lines of the document that only this plan has."""
        return (self.text % {"from": valid_from}).splitlines()


_DIGITAL: Final = Offer(
    "digital",
    "Цифровой",
    "Digital",
    """\
concessions:
  - code: thanks
    name: {ru: Скидка за цифровой тариф, en: Discount of the digital tariff}
    who: everyone
    base: energy
    percents: [{from: %(from)s, percent: 3}]
guarantee: {never_dearer_than: single}""",
)
_VETERAN: Final = Offer(
    "single_veteran",
    "Одноставочный с льготой",
    "Single rate with a concession",
    """\
concessions:
  - code: veteran
    name: {ru: Льгота ветерана, en: Concession of a veteran}
    who: entitled
    base: energy
    percents: [{from: %(from)s, percent: 50}]
    limit_kwh: 100
    limit_for: person
open: no""",
)
_NORM: Final = Offer(
    "single_norm",
    "Одноставочный с социальной нормой",
    "Single rate with a social norm",
    """\
ranges:
  basis: total
  order: proportional
  norm: {kwh_by_persons: [110, 150], each_more_kwh: 75, bands_percent: [100], common_area: left_out}
open: no""",
    above_norm=Decimal("1.6"),
)


def published_tariffs() -> list[str]:
    """Return a tariff document for each plan at the dates as published: from 1 July 2022 on."""
    return _documents(PUBLISHED_CHANGE, demo=False)


def demo_tariffs(change_month: Month) -> list[str]:
    """Return the tariff documents with every date moved, the change on `change_month`."""
    return _documents(change_month, demo=True)


def offered_tariffs(change_month: Month) -> list[str]:
    """Return the plans that the demo retailer offers beside the published ones.

    `digital` has the published rates of three zones, a discount and the promise never to be dearer
    than the single rate; `single_veteran` a concession for those who have a right to it;
    `single_norm` a social norm above which a kWh costs more. What is not published is invented.
    """
    return [
        _document("three_zone", change_month, demo=True, offer=_DIGITAL),
        _document("single", change_month, demo=True, offer=_VETERAN),
        _document("single", change_month, demo=True, offer=_NORM),
    ]


def published_heat_prices() -> tuple[HeatPrice, ...]:
    """Return the prices of heat at the dates as published: from 1 January 2022 on."""
    return _heat_prices(PUBLISHED_CHANGE, demo=False)


def demo_heat_prices(change_month: Month) -> tuple[HeatPrice, ...]:
    """Return the prices of heat with every date moved, the last change on `change_month`."""
    return _heat_prices(change_month, demo=True)


def half_hour_rates(plan_code: str, day: date, change_month: Month) -> npt.NDArray[np.int64]:
    """Return the 48 rates of a day as whole millionths of a ruble per kWh.

    For estimates only, such as how much people top up: bills come from the tariff documents.
    """
    moved = Month.of(day).plus(PUBLISHED_CHANGE.ordinal - change_month.ordinal)
    return _half_hour_rates(plan_code, moved)


@cache
def _half_hour_rates(plan_code: str, published: Month) -> npt.NDArray[np.int64]:
    rates = np.zeros(48, np.int64)
    for zone, opens, closes in _WINDOWS[_kind(plan_code)]:
        rate = scaled_rate(_price(plan_code, zone, published.first_day))
        first, last = _half_hour(opens), _half_hour(closes)
        if first < last:
            rates[first:last] = rate
        else:
            rates[first:], rates[:last] = rate, rate
    rates.flags.writeable = False
    return rates


def heat_rate(day: date, change_month: Month) -> int:
    """Return the price of heat on a day as whole millionths of a ruble per Gcal."""
    moved = Month.of(day).plus(PUBLISHED_CHANGE.ordinal - change_month.ordinal).first_day
    return scaled_rate(_price(HEAT_PLAN, Zone.ALL, moved))


@cache
def published_prices() -> tuple[PublishedPrice, ...]:
    """Return the shipped table, in the order it is written."""
    text = (files("kilokassa.demo") / "data" / "khabarovsk_prices.csv").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(
        PublishedPrice(
            plan_code=row["tariff_kind"] + _CATEGORIES.get(row["category"], ""),
            zone=Zone(row["zone"]),
            valid_from=date.fromisoformat(row["valid_from"]),
            price=Decimal(row["price"]),
        )
        for row in csv.DictReader(lines)
    )


def _documents(change_month: Month, *, demo: bool) -> list[str]:
    return [_document(plan_code, change_month, demo=demo) for plan_code in PLAN_CODES]


def _document(
    plan_code: str, change_month: Month, *, demo: bool, offer: "Offer | None" = None
) -> str:
    """Return one plan as the YAML of `tariffs.documents`, both dated prices in it.

    An `offer` has the rates of the plan, and lines of its own.
    """
    name, name_en = (offer.name, offer.name_en) if offer else _NAMES[plan_code]
    dates = _dates(plan_code)
    source = "Хабаровский край: тарифы для населения, страница сбытовой компании ДЭК, 2022 (S1)"
    if demo:
        name, name_en = f"{name} (демо)", f"{name_en} (demo)"
        source += _MOVED
    lines = [
        f"plan: {offer.code if offer else plan_code}",
        "name:",
        f"  ru: {name}",
        f"  en: {name_en}",
        f"valid_from: {_moved(dates[0], change_month)}",
        "currency: RUB",
        "vat: included",
        f"category: {_category(plan_code)}",
    ]
    kind = _kind(plan_code)
    if kind != "single":
        lines.append("zones:")
        for zone in dict.fromkeys(zone for zone, _, _ in _WINDOWS[kind]):
            hours = ", ".join(
                f"'{opens}-{closes}'" for z, opens, closes in _WINDOWS[kind] if z is zone
            )
            lines.append(f"  {zone}: [{hours}]")
    lines.append("prices:")
    for published_from in dates:
        lines.append(f"  - from: {_moved(published_from, change_month)}")
        rates = {
            p.zone: p.price
            for p in published_prices()
            if (p.plan_code, p.valid_from) == (plan_code, published_from)
        }
        if offer and offer.above_norm:
            above = rates[Zone.ALL] * offer.above_norm
            lines.append(f"    per_kwh: [{rates[Zone.ALL]}, {above:.2f}]")
        elif kind == "single":
            lines.append(f"    per_kwh: {rates[Zone.ALL]}")
        else:
            lines.append("    per_kwh:")
            lines += [f"      {zone}: {rate}" for zone, rate in rates.items()]
    if offer:
        source += "; скидки, льготы и норма выдуманы"
        lines += offer.lines(_moved(dates[0], change_month))
    confidence = "memory" if offer else "high"
    lines += [f"source: '{source}'", f"confidence: {confidence}", ""]
    return "\n".join(lines)


def _heat_prices(change_month: Month, *, demo: bool) -> tuple[HeatPrice, ...]:
    source = "Хабаровск: тепловая энергия для населения, страница компании ДЭК, 2022 (S1)"
    return tuple(
        HeatPrice(
            valid_from=_moved(p.valid_from, change_month),
            price_per_gcal=p.price,
            rate_scaled=scaled_rate(p.price),
            source=source + _MOVED * demo,
        )
        for p in published_prices()
        if p.plan_code == HEAT_PLAN
    )


def _dates(plan_code: str) -> list[date]:
    return sorted({p.valid_from for p in published_prices() if p.plan_code == plan_code})


def _moved(day: date, change_month: Month) -> date:
    return Month.of(day).plus(change_month.ordinal - PUBLISHED_CHANGE.ordinal).first_day


def _price(plan_code: str, zone: Zone, day: date) -> Decimal:
    """Return the published price that holds on `day`; the last one holds on."""
    rows = [p for p in published_prices() if p.plan_code == plan_code and p.zone is zone]
    held = [row for row in rows if row.valid_from <= day] or rows[:1]
    return max(held, key=lambda row: row.valid_from).price


def _category(plan_code: str) -> str:
    return next(
        name for name, suffix in reversed(_CATEGORIES.items()) if plan_code.endswith(suffix)
    )


def _kind(plan_code: str) -> str:
    return plan_code.removesuffix("_reduced")


def _half_hour(clock: str) -> int:
    hours, minutes = clock.split(":")
    return (int(hours) * 60 + int(minutes)) // 30
