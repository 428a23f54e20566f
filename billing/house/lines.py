"""Charge lines of the services of a house: by volume, by area, by person; pure calculation.

A volume is whole litres, kilocalories or Wh; where a price changes within the month it is cut by
days, and the parts sum to it. An area and persons are not cut: their line has a share of days. The
amount of every line is `quantity x rate x factor / divisor` kopecks, rounded once, half up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from billing.charges import MeterFact, NewLine, with_name
from billing.models import LineUnit, Service
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.digest import canonical_json, digest_text
from kilokassa.core.money import RATE_SCALE, half_up_ratio
from kilokassa.core.quantity import KCAL_PER_GCAL, LITRES_PER_M3, WH_PER_KWH
from kilokassa.core.text import mark
from tariffs.lines import ChargeKind
from tariffs.services.prices import ServicePrice, Stretch
from tariffs.services.volumes import heat_kcal, part_of_days

MINOR_DIVISOR: Final = RATE_SCALE // 100
"""Millionths of a rouble, divided by this, are kopecks."""
UNIT_SIZE: Final[Mapping[LineUnit, int]] = {
    LineUnit.WH: WH_PER_KWH,
    LineUnit.LITRE: LITRES_PER_M3,
    LineUnit.KCAL: KCAL_PER_GCAL,
    LineUnit.DM2: 100,
    LineUnit.PERSON: 1,
}
"""How many of a line's units a price is for: litres in a cubic metre and so on."""

HEAT_NAMES: Final = ("тепловая энергия на подогрев", mark("heat that warms the water"))
YEARLY_NAMES: Final = ("перерасчёт за %(year)s год", mark("%(year)s put right"))

NO_PRICE: Final = mark("A service of the house has no price for this month: it was not charged.")
NO_VOLUME: Final = mark(
    "The volume of a service is not known, neither by a meter nor by a norm: it was not charged."
)
PRICE_UNCERTAIN: Final = mark("The price of a service of the house is not from a checked source.")


@dataclass(slots=True)
class HouseCharge:
    """What one account owes for the services of its house in a month."""

    lines: list[NewLine] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    meters: list[MeterFact] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ServiceDays:
    """The days of a month in which an account has a service, under which prices."""

    month: Month
    zone: ZoneInfo
    stretches: tuple[Stretch, ...]

    @property
    def length(self) -> int:
        """How many days the month has."""
        return len(self.month.days)


def volume_lines(
    served: ServiceDays,
    total: int,
    facts: Mapping[str, Any],
    *,
    digest: str,
    counted: bool,
    estimated: bool = False,
) -> list[NewLine]:
    """Return the lines of a volume of water, and of its heat where the price has two parts.

    What was `counted` is of the days that the account has the service; a norm is of the month.
    """
    lines = []
    days = sum(stretch.days for stretch in served.stretches) if counted else served.length
    day = 0
    for stretch in served.stretches:
        first = day if counted else (stretch.first - served.month.first_day).days
        litres = part_of_days(total, first, first + stretch.days, days)
        day += stretch.days
        lines.append(
            _line(
                served,
                stretch,
                quantity=litres,
                unit=LineUnit.LITRE,
                facts={**facts, "litres": total},
                digest=digest,
                estimated=estimated,
            )
        )
        heating = stretch.price.heating
        if heating is not None:
            lines.append(
                _line(
                    served,
                    stretch,
                    quantity=heat_kcal(litres, heating.kcal_per_m3),
                    unit=LineUnit.KCAL,
                    rate_scaled=stretch.heat_rate_scaled,
                    part="heat",
                    facts={**facts, "litres": litres, "kcal_per_m3": heating.kcal_per_m3},
                    digest=digest,
                    estimated=estimated,
                    suffix=HEAT_NAMES,
                )
            )
    return [line for line in lines if line.quantity]


def energy_lines(
    served: ServiceDays, total_wh: int, facts: Mapping[str, Any], *, digest: str, estimated: bool
) -> list[NewLine]:
    """Return the lines of a flat's share of the common-area electricity of a month."""
    lines = [
        _line(
            served,
            stretch,
            quantity=_part(served, total_wh, stretch),
            unit=LineUnit.WH,
            facts={**facts, "share_wh": total_wh},
            digest=digest,
            estimated=estimated,
        )
        for stretch in served.stretches
    ]
    return [line for line in lines if line.quantity]


def yearly_line(
    served: ServiceDays,
    stretch: Stretch,
    share_wh: int,
    facts: Mapping[str, Any],
    *,
    digest: str,
    year: int,
) -> NewLine:
    """Return the line that puts a year of common-area electricity right, at the prices of then.

    `share_wh` is the flat's; who has the service for a part of the month takes its days' part.
    """
    ru, en = YEARLY_NAMES
    return _line(
        served,
        stretch,
        quantity=sum(_part(served, share_wh, own) for own in served.stretches),
        unit=LineUnit.WH,
        part=f"yearly-{year}",
        facts=facts,
        digest=digest,
        suffix=(ru % {"year": year}, en % {"year": year}),
        whole_month=True,
    )


def area_lines(
    served: ServiceDays, area_dm2: int, facts: Mapping[str, Any], *, digest: str
) -> list[NewLine]:
    """Return the lines of a service by square metre."""
    return [
        _line(
            served,
            stretch,
            quantity=area_dm2,
            unit=LineUnit.DM2,
            share=Fraction(stretch.days, served.length),
            facts=facts,
            digest=digest,
        )
        for stretch in served.stretches
    ]


def person_line(
    served: ServiceDays,
    stretch: Stretch,
    persons: int,
    person_days: tuple[int, int],
    facts: Mapping[str, Any],
    *,
    digest: str,
) -> NewLine:
    """Return the line of a service by person: `person_days` as a fraction of the stretch's days."""
    numerator, denominator = person_days
    present = Fraction(numerator, denominator * persons)
    return _line(
        served,
        stretch,
        quantity=persons,
        unit=LineUnit.PERSON,
        share=present * Fraction(stretch.days, served.length),
        facts={**facts, "person_days": numerator},
        digest=digest,
    )


def _part(served: ServiceDays, total: int, stretch: Stretch) -> int:
    first = (stretch.first - served.month.first_day).days
    return part_of_days(total, first, first + stretch.days, served.length)


def _line(
    served: ServiceDays,
    stretch: Stretch,
    *,
    quantity: int,
    unit: LineUnit,
    facts: Mapping[str, Any],
    digest: str,
    rate_scaled: int | None = None,
    share: Fraction = Fraction(1),
    part: str = "",
    suffix: tuple[str, str] | None = None,
    estimated: bool = False,
    whole_month: bool = False,
) -> NewLine:
    price = stretch.price
    rate = stretch.rate_scaled if rate_scaled is None else rate_scaled
    divisor = UNIT_SIZE[unit] * MINOR_DIVISOR * share.denominator
    first, end = stretch.first, stretch.end
    if whole_month:
        first, end = served.month.first_day, served.month.plus(1).first_day
    place = ":".join(("service", price.code, *((part,) if part else ())))
    detail = canonical_json(
        {"service": {**facts, **document_facts(price)}, "days": [str(first), str(end)]}
    )
    return NewLine(
        service=Service(price.service),
        key=f"{place}/-/{stretch.first}",
        quantity=quantity,
        rate_scaled=rate,
        amount_minor=half_up_ratio(quantity * rate * share.numerator, divisor),
        period_start=local_midnight(first, served.zone),
        period_end=local_midnight(end, served.zone),
        input_digest=digest_text(f"{digest}|{price.id}|{rate}|{share}|{quantity}"),
        estimated=quantity if estimated else 0,
        charge=ChargeKind.SERVICE,
        code=price.code,
        unit=unit,
        factor=share.numerator,
        divisor=divisor,
        detail=with_name(detail, *_names(price, suffix)),
    )


def document_facts(price: ServicePrice) -> dict[str, Any]:
    """Return what a line says of the price document it follows from."""
    return {
        "code": price.code,
        "basis": str(price.basis),
        "price_id": price.id,
        "price_from": price.valid_from.isoformat(),
        "document_digest": price.digest,
        "source": price.source,
        "confidence": price.confidence,
        **({"plan": price.plan_code} if price.plan_code else {}),
    }


def _names(price: ServicePrice, suffix: tuple[str, str] | None) -> tuple[str, str]:
    english = price.name_en or price.name
    if suffix is None:
        return price.name, english
    return f"{price.name}: {suffix[0]}", f"{english}: {suffix[1]}"


def cut(stretches: Sequence[Stretch], first: date, end: date) -> tuple[Stretch, ...]:
    """Return what of the stretches lies in the days from `first` up to `end`."""
    return tuple(
        Stretch(
            max(one.first, first),
            min(one.end, end),
            one.price,
            one.rate_scaled,
            one.heat_rate_scaled,
        )
        for one in stretches
        if max(one.first, first) < min(one.end, end)
    )
