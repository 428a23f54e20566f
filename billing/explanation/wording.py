"""The words of an explanation: what each step says and what each value is, for every edge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

from billing.charges import UsedEstimate, used_estimates
from billing.explanation.explanation import (
    MINOR_PER_UNIT,
    Change,
    LineExplanation,
    Step,
    StepKind,
    StepUnit,
    Sum,
    Verdict,
)
from billing.models import LineUnit, Service
from billing.wording import method_text
from kilokassa.core.calendar import Month
from kilokassa.core.money import rate_from_scaled
from kilokassa.core.text import (
    Language,
    amount_text,
    date_text,
    gettext,
    instant_text,
    mark,
    month_text,
    ngettext,
    number_text,
)
from metering.estimation.methods import EstimationMethod
from tariffs.lines import ChargeKind
from tariffs.zone_look import ZONE_WORDS

SENTENCES: Final[Mapping[StepKind, str]] = {
    StepKind.INTERVALS: mark("Intervals of the zone “%(zone)s”: %(count)s on %(days)s days"),
    StepKind.HIGHEST: mark("The highest interval of %(minutes)s minutes, from %(at)s"),
    StepKind.PEAK_HOURS: mark("Used in the %(count)s regulated peak hours, which are averaged"),
    StepKind.RATCHET: mark("A share of the highest demand of months before is more"),
    StepKind.DAYS: mark("Days that the charge is for"),
    StepKind.EXPORTED: mark("Given to the network in that time"),
    StepKind.RANGE: mark("Of it in range %(range)s"),
    StepKind.LINE: mark("Computed from the line “%(line)s”"),
    StepKind.AREA: mark("Area of the premises"),
    StepKind.PERSONS: mark("Registered persons"),
    StepKind.CONTRACTED: mark("Contracted capacity"),
    StepKind.COMMON_AREA: mark("Share of the common-area energy, counted first"),
    StepKind.OPENING: mark("Counted by the year's ladder before this month"),
    StepKind.PRICE_REVISION: mark("Hourly prices “%(series)s”, revision"),
    StepKind.EARLIER_READING: mark(
        "Meter %(meter)s, register “%(register)s”: reading of %(at)s, revision %(revision)s"
    ),
    StepKind.LATER_READING: mark(
        "Meter %(meter)s, register “%(register)s”: reading of %(at)s, revision %(revision)s"
    ),
    StepKind.COUNTED: mark("Counted between the two readings"),
    StepKind.MULTIPLIED: mark("Times the multiplier %(multiplier)s"),
    StepKind.LOST: mark("Losses up to the delivery point, %(percent)s %% of it"),
    StepKind.BY_DAYS: mark(
        "Shared by days: %(days)s of %(whole)s days between the readings fall to this price"
    ),
    StepKind.OF_STAY: mark(
        "Of the days between the readings, %(days)s of %(whole)s were on this plan"
    ),
    StepKind.ESTIMATED: mark("Of it not measured: %(methods)s"),
    StepKind.ESTIMATE: mark("Estimated for %(first)s – %(last)s: %(method)s"),
    StepKind.HOUSE_HEAT: mark("Heat of the whole house by its meter"),
    StepKind.HOUSE_AMOUNT: mark("Heat of the whole house costs"),
    StepKind.HOUSE_AREA: mark("Area of all premises of the house"),
    StepKind.OWN_AREA: mark("Area of this premises"),
    StepKind.VOLUME: mark("Volume of %(water)s in the month, %(way)s"),
    StepKind.WORKING: "%(name)s",
    StepKind.WORDS: "%(name)s",
    StepKind.ALTERNATIVE: mark("The consumption of the month on the plan “%(plan)s”"),
    StepKind.REVERSED: mark("Takes back line %(line)s, written for %(month)s"),
}

NAMES: Final[Mapping[str, str]] = {
    "house_wh": mark("The house's meters took"),
    "flats_wh": mark("Flats and other premises used"),
    "actual_wh": mark("Left for the common property"),
    "carried_in_wh": mark("Carried over from months before"),
    "norm_wh": mark("Norm of the common property"),
    "charged_wh": mark("Shared over the house"),
    "carried_out_wh": mark("Carried over to months to come"),
    "yearly_house_wh": mark("The year of the house is put right by"),
    "share_wh": mark("Share of this premises, by area"),
    "litres": mark("Volume of the month"),
    "kcal_per_m3": mark("Heat that warms a cubic metre"),
    "person_days": mark("Days of presence, all persons together"),
    "lasted_min": mark("The service fell short for"),
    "counted_min": mark("Of it beyond what is allowed"),
    "step_min": mark("Counted by"),
    "an_hour_ppm": mark("Taken off for each hour"),
    "share_ppm": mark("Taken off together"),
    "charged_minor": mark("Charged for the service in the month"),
    "guaranteed_minor": mark("On the guaranteed plan it would have cost"),
    "cost_minor": mark("On this plan it cost"),
    "method": mark("Way of charging"),
    "settled_by": mark("The month was settled by"),
    "item": mark("Item of the rules"),
    "source": mark("Source"),
    "confidence": mark("Confidence"),
}
"""What the figures and words of a line's detail are called."""

WAYS: Final[Mapping[str, str]] = {
    "meter": mark("by the meter"),
    "average": mark("by the average"),
    "norm": mark("by the norm"),
    "actual": mark("by the actual volume"),
    "cold_water": mark("cold water"),
    "hot_water": mark("hot water"),
    "high": mark("checked"),
    "medium": mark("partly checked"),
    "memory": mark("from memory, not checked"),
}

VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.SAME: mark(
        "Computed again from what was known then: the same kopeck, from inputs with the same "
        "digest."
    ),
    Verdict.OTHER_INPUTS: mark(
        "Computed again: the same kopeck, but the inputs have another digest. Something that the "
        "line was computed from was changed without being kept."
    ),
    Verdict.OTHER_AMOUNT: mark(
        "Computed again from what is kept of that time, another amount comes about: %(amount)s. "
        "Something that the line was computed from was changed without being kept."
    ),
    Verdict.GONE: mark(
        "Computed again from what is kept of that time, this line does not come about. Something "
        "that it was computed from was changed without being kept."
    ),
    Verdict.NOT_RECORDED: mark(
        "The line does not say when its inputs were gathered: an older release wrote it. What is "
        "shown is what is known now."
    ),
    Verdict.REFUSED: mark("The month could not be computed again: %(problem)s"),
}

NO_ONE_RATE: Final[Mapping[ChargeKind, str]] = {
    ChargeKind.HOURLY: mark("Each interval times the price of its hour, summed"),
    ChargeKind.GUARANTEE: mark("What the plan cost more than the guaranteed one is given back"),
    ChargeKind.MINIMUM: mark("What the other lines lack to the minimum bill"),
    ChargeKind.SERVICE: mark("A share of the house's amount; kopecks left over go by remainders"),
    ChargeKind.DEDUCTION: mark("A share of what was charged for the service in the month"),
}

CHANGED: Final[Mapping[str, str]] = {
    "quantity": mark("Quantity"),
    "rate_scaled": mark("Rate"),
    "amount_minor": mark("Amount"),
    "version": mark("Tariff version"),
    StepKind.INTERVALS: mark("Energy of the intervals"),
    StepKind.RANGE: mark("Energy of a range"),
    StepKind.AREA: SENTENCES[StepKind.AREA],
    StepKind.PERSONS: SENTENCES[StepKind.PERSONS],
    StepKind.CONTRACTED: SENTENCES[StepKind.CONTRACTED],
    StepKind.EARLIER_READING: mark("Reading at the beginning"),
    StepKind.LATER_READING: mark("Reading at the end"),
    StepKind.COUNTED: mark("Counted between the two readings"),
    StepKind.ESTIMATE: mark("Estimate"),
    StepKind.HOUSE_HEAT: SENTENCES[StepKind.HOUSE_HEAT],
    StepKind.HOUSE_AREA: SENTENCES[StepKind.HOUSE_AREA],
    StepKind.OWN_AREA: SENTENCES[StepKind.OWN_AREA],
    StepKind.PRICE_REVISION: mark("Revision of the hourly prices"),
}

_UNITS: Final[Mapping[str, tuple[str, int, int]]] = {
    # unit: its name, the decimal places of the whole number at rest, the places that are shown
    "wh": (mark("kWh"), 3, 3),
    "kcal": (mark("Gcal"), 6, 6),
    "litre": (mark("m³"), 3, 3),
    "dm2": (mark("m²"), 2, 2),
    "w": (mark("kW"), 3, 3),
    "ppm": ("%", 4, 0),
    "times": ("", 0, 0),
}

NO_BREAK: Final = "\u00a0"
EXACT_PLACES: Final = 12
"""An exact amount with more places does not end, as with a share of 31 days, and is shown as ≈."""


@dataclass(frozen=True, slots=True)
class Said:
    """A step in the words of a language."""

    text: str
    value: str


def step_said(step: Step, language: Language, zone: ZoneInfo) -> Said:
    """Return what a step says, its instants told by the clock of `zone`."""
    about = {name: _word(name, value, language, zone) for name, value in step.about.items()}
    if "method" in step.about:
        about["method"] = _method(step.about, language)
    if "estimates" in step.about:
        used = used_estimates(str(step.about["estimates"]))
        about["methods"] = "; ".join(method_text(one, language) for one in used)
    if step.kind is StepKind.LINE:
        own_name = str(step.about.get(str(language), ""))
        about["line"] = own_name or _key_text(str(step.about["line"]), language)
    if step.kind is StepKind.ALTERNATIVE:
        about["plan"] = str(step.about.get(str(language)) or step.about["plan"])
    if "name" in step.about:
        named = str(step.about["name"])
        about["name"] = gettext(NAMES.get(named, named), language)
    sentence = gettext(SENTENCES[step.kind], language) % about
    if step.unit is StepUnit.WORD:
        return Said(sentence, gettext(WAYS.get(about["word"], about["word"]), language))
    return Said(sentence, value_text(step.value, step.unit, language))


def _key_text(key: str, language: Language) -> str:
    """Return what a line without a name of its own is for, by its key."""
    place = key.split("/", 1)[0]
    kind = place.split(":", 1)[0]
    name = ZONE_WORDS.get(place) or CHARGES.get(kind, kind)
    return gettext(name, language)


def _word(name: str, value: str | int, language: Language, zone: ZoneInfo) -> str:
    if name in {"water", "way"}:
        return gettext(WAYS.get(str(value), str(value)), language)
    if name in {"zone", "register"}:
        return gettext(ZONE_WORDS.get(str(value), str(value)), language)
    if name == "month":
        return month_text(Month.parse(str(value)), language)
    if name == "at":
        return instant_text(datetime.fromisoformat(str(value)), zone, language)
    if name in {"first", "last", "day"}:
        return date_text(date.fromisoformat(str(value)), language)
    if name == "percent":
        return number_text(Decimal(value).scaleb(-4), language)
    return (
        number_text(value, language) if isinstance(value, int) and name == "count" else str(value)
    )


def _method(about: Mapping[str, str | int], language: Language) -> str:
    used = UsedEstimate(
        EstimationMethod(str(about["method"])),
        months=int(about.get("months", 0)),
        article=str(about.get("article", "")),
    )
    return method_text(used, language)


def value_text(value: int, unit: StepUnit | LineUnit, language: Language) -> str:
    r"""Return a whole number at rest in the unit that people read it in.

    >>> value_text(123_456, StepUnit.WH, Language.ENGLISH)
    '123.456\xa0kWh'
    """
    match str(unit):
        case "minor":
            return amount_text(value, language)
        case "day":
            counted = ngettext("%(count)s day", "%(count)s days", value, language)
            return _filled(counted, value, language)
        case "minute":
            hours, minutes = divmod(value, 60)
            text = gettext(mark("%(hours)s h %(minutes)s min"), language)
            return (text % {"hours": hours, "minutes": minutes}).replace(" ", NO_BREAK)
        case "person":
            counted = ngettext("%(count)s person", "%(count)s persons", value, language)
            return _filled(counted, value, language)
    name, scale, places = _UNITS[str(unit)]
    number = number_text(Decimal(value).scaleb(-scale), language, decimals=places or None)
    return f"{number}{NO_BREAK}{gettext(name, language)}".rstrip(NO_BREAK)


def _filled(counted: str, count: int, language: Language) -> str:
    return (counted % {"count": number_text(count, language)}).replace(" ", NO_BREAK)


def sum_text(one: Sum, charge: ChargeKind, language: Language) -> tuple[str, ...]:
    """Return the sum of a line as lines of text: the factors, the exact amount, the rounding."""
    amount = amount_text(one.amount_minor, language)
    exact = _exact_text(one.exact_minor, language)
    if not one.has_rate:
        why = NO_ONE_RATE.get(charge)
        if one.exact_minor != one.amount_minor and why is not None:
            return (f"{gettext(why, language)} {exact}", _rounded(amount, language))
        return (f"{gettext(why, language)} = {amount}",) if why is not None else (amount,)
    factors = _factors(one, language)
    return (f"{' × '.join(factors)} {exact}", _rounded(amount, language))


def _factors(one: Sum, language: Language) -> list[str]:
    """Return quantity, rate and share as they are multiplied; of a month's charge, its days."""
    quantity, share = (-one.quantity, -one.share) if one.share < 0 else (one.quantity, one.share)
    if one.unit is LineUnit.DAY and share.numerator == 1 and share != 1:
        of_month = f"{number_text(quantity, language)}/{share.denominator}"
        rate = _roubles(rate_from_scaled(one.rate_scaled), language)
        return [f"{rate}/{gettext(mark('month'), language)}", of_month]
    factors = [value_text(quantity, one.unit, language), _rate(one, language)]
    return factors if share == 1 else [*factors, f"{share.numerator}/{share.denominator}"]


def _rounded(amount: str, language: Language) -> str:
    return gettext(mark("rounded once, half up, to kopecks: %(amount)s"), language) % {
        "amount": amount
    }


def _rate(one: Sum, language: Language) -> str:
    if one.unit is LineUnit.MINOR:
        return value_text(one.rate_scaled, StepUnit.PPM, language)
    rate = _roubles(rate_from_scaled(one.rate_scaled), language)
    unit = {
        LineUnit.DAY: mark("day"),
        LineUnit.PERSON: mark("person"),
    }.get(one.unit) or _UNITS[str(one.unit)][0]
    return f"{rate}/{gettext(unit, language)}"


def _exact_text(exact_minor: Fraction, language: Language) -> str:
    """Return the exact amount in roubles after its sign of equality."""
    roubles = exact_minor * Fraction(1, MINOR_PER_UNIT)
    scaled = roubles * 10**EXACT_PLACES
    if scaled.denominator == 1:
        value = Decimal(scaled.numerator).scaleb(-EXACT_PLACES).normalize()
        return f"= {_roubles(value, language)}"
    numerator = round(roubles * 10**6)
    return f"≈ {_roubles(Decimal(numerator).scaleb(-6), language)}"


def _roubles(value: Decimal, language: Language) -> str:
    """Return roubles with their kopecks and whatever comes beyond."""
    digits = number_text(abs(value), language, decimals=max(2, -int(value.as_tuple().exponent)))
    sign = "−" if value < 0 else ""
    if language is Language.RUSSIAN:
        return f"{sign}{digits}{NO_BREAK}₽"
    return f"{sign}₽{digits}"


def verdict_text(one: LineExplanation, language: Language) -> str:
    """Return what came of computing the line again."""
    replay = one.replay
    amount = "" if replay.amount_minor is None else amount_text(replay.amount_minor, language)
    sentence = gettext(VERDICTS[replay.verdict], language)
    refused = replay.refusal
    problem = "" if refused is None else refused.sentence(lambda text: gettext(text, language))
    return sentence % {"amount": amount, "problem": problem}


def change_said(
    one: Change, explained: LineExplanation, language: Language, zone: ZoneInfo
) -> tuple[str, str, str]:
    """Return what changed, what it was and what it is."""
    if one.what in CHANGED:
        name = gettext(CHANGED[one.what], language)
    elif one.step is not None:
        name = step_said(one.step, language, zone).text
    else:
        try:
            name = gettext(mark("Readings of %(day)s, revision and digest"), language) % {
                "day": date_text(date.fromisoformat(one.what), language)
            }
        except ValueError:
            name = one.what
    show: Callable[[str], str] = str
    line = explained.line
    if one.step is not None:
        unit = one.step.unit
        show = lambda text: value_text(int(text), unit, language) if text else ""  # noqa: E731
    elif one.what == "amount_minor":
        show = lambda text: amount_text(int(text), language)  # noqa: E731
    elif one.what == "quantity":
        show = lambda text: value_text(int(text), line.unit, language)  # noqa: E731
    elif one.what == "rate_scaled":
        show = lambda text: number_text(rate_from_scaled(int(text)), language)  # noqa: E731
    return name, show(one.before), show(one.after)


def line_title(one: LineExplanation, language: Language) -> str:
    """Return what the line is for: the name of its charge, else its zone and range."""
    named = one.name(str(language))
    if named and one.line.charge is ChargeKind.GUARANTEE:
        return gettext(mark("Guarantee: never dearer than “%(plan)s”"), language) % {"plan": named}
    if named:
        return named
    if one.register_zone is not None and one.line.service is Service.ELECTRICITY:
        parts = [_key_text(one.line.key, language)]
        number = one.line.key.split("/")[1] if "/" in one.line.key else "-"
        if number.isdigit() and int(number):
            parts.append(gettext(mark("range %(number)s"), language) % {"number": number})
        return ", ".join(parts)
    if one.line.service is Service.HEAT:
        return gettext(mark("Heat"), language)
    return gettext(CHARGES.get(one.line.charge, one.line.key), language)


CHARGES: Final[Mapping[str, str]] = {
    ChargeKind.HOURLY: mark("Energy by the hour"),
    ChargeKind.ALLOWANCE: mark("Allowance"),
    ChargeKind.EXPORT: mark("Given to the network"),
    ChargeKind.FIXED: mark("Standing charge"),
    ChargeKind.CAPACITY: mark("Capacity"),
    ChargeKind.MINIMUM: mark("Minimum bill"),
    ChargeKind.CONCESSION: mark("Concession"),
    ChargeKind.TAX: mark("Tax"),
    ChargeKind.GUARANTEE: mark("Guarantee of the tariff"),
    ChargeKind.SERVICE: mark("Share of the house"),
    ChargeKind.DEDUCTION: mark("Deduction"),
}
