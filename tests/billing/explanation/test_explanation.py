"""The sum of a line, what came of computing it again, and the words for both."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.charges import NewLine, UsedEstimate, estimates_detail, with_name
from billing.explanation.explanation import (
    Change,
    LineExplanation,
    ReadingDay,
    Replay,
    Step,
    StepKind,
    StepUnit,
    Verdict,
    changes,
    replayed,
    sum_of,
)
from billing.explanation.wording import (
    SENTENCES,
    change_said,
    line_title,
    step_said,
    sum_text,
    value_text,
    verdict_text,
)
from billing.models import LineKind, LineUnit, Service
from kilokassa.core.calendar import Month
from kilokassa.core.errors import NotFound
from kilokassa.core.money import half_up_ratio
from kilokassa.core.text import Language
from metering.estimation.methods import EstimationMethod
from tariffs.explain import IntervalPart
from tariffs.lines import RATE_DIVISOR, ChargeKind

ZONE = ZoneInfo("Asia/Vladivostok")
START = datetime(2022, 10, 31, 14, tzinfo=UTC)
END = datetime(2022, 11, 30, 14, tzinfo=UTC)
EN, RU = Language.ENGLISH, Language.RUSSIAN


def line(**more):
    fields = {
        "service": Service.ELECTRICITY,
        "key": "peak/-/2022-11-01",
        "quantity": 123_456,
        "rate_scaled": 6_110_000,
        "amount_minor": 754_32,
        "period_start": START,
        "period_end": END,
        "input_digest": "d1",
        "factor": 1,
        "divisor": RATE_DIVISOR,
    }
    return NewLine(**(fields | more))


def explained(one=None, **more):
    charged = one or line()
    fields = {
        "line_id": 7,
        "account_number": "2799000005",
        "zone": ZONE.key,
        "charge_month": Month(2022, 11),
        "document_month": Month(2022, 11),
        "line": charged,
        "known_at": END + timedelta(days=2),
        "recorded_at": END + timedelta(days=2),
        "version": None,
        "sum": sum_of(charged),
        "steps": (),
        "days": (),
        "intervals": (),
        "replay": Replay(Verdict.SAME),
    }
    return LineExplanation(**(fields | more))


def day(number, revision, digest="aa"):
    at = END + timedelta(days=revision)
    return ReadingDay("P1", date(2022, 11, number), revision, digest, "import", at, 4_000)


# --- the sum ---


@pytest.mark.parametrize(
    ("of", "text", "rounded"),
    [
        (line(), "123.456 kWh × ₽6.11/kWh = ₽754.31616", "₽754.32"),
        (line(divisor=0), "123.456 kWh × ₽6.11/kWh = ₽754.31616", "₽754.32"),
        (
            # 150 roubles a month for 11 of 30 days.
            line(
                charge=ChargeKind.FIXED,
                key="fixed:service/-/2022-11-20",
                quantity=11,
                unit=LineUnit.DAY,
                rate_scaled=150_000_000,
                divisor=30 * 10_000,
                amount_minor=55_00,
            ),
            "₽150.00/month × 11/30 = ₽55.00",
            "₽55.00",
        ),
        (
            # 58.30 m2 at 12.34 roubles for 10 of 31 days does not end.
            line(
                charge=ChargeKind.FIXED,
                key="fixed:upkeep/-/2022-12-01",
                quantity=5830,
                unit=LineUnit.DM2,
                rate_scaled=12_340_000,
                factor=10,
                divisor=31 * 1_000_000,
                amount_minor=232_07,
            ),
            "58.30 m² × ₽12.34/m² × 10/31 ≈ ₽232.071613",
            "₽232.07",
        ),
        (
            # 3 % off.
            line(
                charge=ChargeKind.CONCESSION,
                key="concession:discount/-/2022-11-01",
                quantity=-75_432,
                unit=LineUnit.MINOR,
                rate_scaled=30_000,
                divisor=1_000_000,
                amount_minor=-22_63,
            ),
            "−₽754.32 × 3 % = −₽22.6296",
            "−₽22.63",
        ),
    ],
)
def test_a_sum_can_be_done_again_with_a_calculator(of, text, rounded):
    one = sum_of(of)

    assert one.holds
    said = [part.replace("\u00a0", " ") for part in sum_text(one, of.charge, EN)]
    assert said == [text, f"rounded once, half up, to kopecks: {rounded}"]


def test_a_line_taken_back_has_the_sum_of_the_other_with_its_sign_turned():
    one = sum_of(line())

    assert one.reversed().holds
    assert sum_text(one.reversed(), ChargeKind.ENERGY, EN)[0].startswith("−123.456")


def test_a_deduction_is_told_with_one_sign():
    taken = line(
        charge=ChargeKind.DEDUCTION,
        unit=LineUnit.MINOR,
        quantity=1_340_50,
        rate_scaled=9_000,
        factor=-1,
        divisor=1_000_000,
        amount_minor=-12_06,
    )

    text = sum_text(sum_of(taken), taken.charge, EN)[0].replace("\u00a0", " ")

    assert text == "−₽1,340.50 × 0.9 % = −₽12.0645"


def test_an_hourly_line_is_the_sum_of_its_intervals():
    # Three hours of 1 kWh at 0.10, 0.20 and -0.05 cost 0.25.
    parts = tuple(
        IntervalPart(START + timedelta(hours=hour), 1000, price)
        for hour, price in enumerate((100_000, 200_000, -50_000))
    )
    of = line(
        charge=ChargeKind.HOURLY,
        key="hourly:dam/-/2022-11-01",
        quantity=3000,
        rate_scaled=0,
        amount_minor=25,
    )

    one = sum_of(of, parts)

    assert one.exact_minor == 25
    assert not one.has_rate
    assert sum_text(one, of.charge, EN)[0].startswith(
        "Each interval times the price of its hour, summed = ₽0.25"
    )


def test_a_line_without_one_rate_is_its_own_exact_amount():
    one = sum_of(line(charge=ChargeKind.GUARANTEE, rate_scaled=0, amount_minor=-12_34))

    assert (one.exact_minor, one.holds, one.has_rate) == (Fraction(-12_34), True, False)
    assert sum_text(one, ChargeKind.GUARANTEE, EN) == (
        "What the plan cost more than the guaranteed one is given back = −₽12.34",
    )


@given(
    quantity=st.integers(-(10**9), 10**9),
    rate=st.integers(1, 10**9),
    factor=st.integers(1, 31),
    days=st.integers(28, 31),
)
def test_what_was_rounded_once_explains_itself_exactly(quantity, rate, factor, days):
    divisor = days * RATE_DIVISOR
    amount = half_up_ratio(quantity * rate * factor, divisor)

    one = sum_of(
        line(
            quantity=quantity,
            rate_scaled=rate,
            factor=factor,
            divisor=divisor,
            amount_minor=amount,
        )
    )

    assert one.holds
    assert one.exact_minor == Fraction(quantity * rate * factor, divisor)


# --- computing it again ---


@pytest.mark.parametrize(
    ("again", "verdict"),
    [
        (line(), Verdict.SAME),
        (line(input_digest="d2"), Verdict.OTHER_INPUTS),
        (line(quantity=123_457, amount_minor=754_32), Verdict.OTHER_AMOUNT),
        (line(amount_minor=754_33), Verdict.OTHER_AMOUNT),
        (None, Verdict.GONE),
    ],
)
def test_a_replay_says_plainly_whether_the_same_comes_about(again, verdict):
    assert replayed(line(), again).verdict is verdict


def test_the_digest_does_not_change_with_what_came_later():
    one = explained()
    link = None

    later = replace(
        one,
        replay=Replay(Verdict.REFUSED, refusal=NotFound(what="account", name="1")),
        after=link,
        changes=(Change("quantity", "1", "2"),),
    )

    assert later.digest == one.digest


@pytest.mark.parametrize(
    "other",
    [
        {"days": (day(1, 1),)},
        {"days": (day(1, 2),)},
        {"steps": (Step(StepKind.PERSONS, 3, StepUnit.PERSON),)},
        {"intervals": (IntervalPart(START, 1, 0),)},
        {"known_at": None},
        {"line": line(input_digest="d2")},
    ],
)
def test_the_digest_covers_everything_the_line_was_computed_from(other):
    assert explained(**other).digest != explained().digest


def test_what_was_put_right_names_the_day_that_came_late():
    was = explained(
        days=(day(1, 1), day(2, 1)),
        steps=(Step(StepKind.INTERVALS, 8_000, StepUnit.WH, {"zone": "peak"}),),
    )
    now = explained(
        line(quantity=124_456, amount_minor=760_43, kind=LineKind.CORRECTION),
        days=(day(1, 1), day(2, 2, "bb")),
        steps=(Step(StepKind.INTERVALS, 9_000, StepUnit.WH, {"zone": "peak"}),),
    )

    assert changes(was, now) == (
        Change("quantity", "123456", "124456"),
        Change("amount_minor", "75432", "76043"),
        Change("intervals", "8000", "9000"),
        Change("2022-11-02", "1 · aa", "2 · bb"),
    )


def test_what_was_put_right_is_told_in_words_and_units():
    def kept(share_wh: int, highest_w: int) -> tuple[Step, ...]:
        return (
            Step(StepKind.WORKING, share_wh, StepUnit.WH, {"name": "share_wh"}),
            Step(StepKind.PERSONS, highest_w, StepUnit.PERSON),
        )

    one = explained(steps=kept(18_315, 3))
    found = changes(explained(steps=kept(17_919, 2)), one)

    assert [change.what for change in found] == ["share_wh", "persons"]
    assert [change_said(change, one, RU, ZONE) for change in found] == [
        ("Доля этого помещения по площади", "17,919\u00a0кВт·ч", "18,315\u00a0кВт·ч"),
        ("Зарегистрировано человек", "2\u00a0человека", "3\u00a0человека"),
    ]


def test_the_line_of_a_guarantee_is_called_one():
    kept = with_name("", "Одноставочный", "Single rate")

    found = explained(line(charge=ChargeKind.GUARANTEE, detail=kept))

    assert line_title(found, RU) == "Гарантия: не дороже тарифа «Одноставочный»"


# --- words ---


@pytest.mark.parametrize("language", [EN, RU])
def test_every_step_and_verdict_has_words(language):
    about = dict.fromkeys(
        ("count", "days", "whole", "range", "revision", "percent", "line", "multiplier"), 3
    ) | {
        "zone": "peak",
        "register": "night",
        "at": "2022-11-30T14:00:00+00:00",
        "first": "2022-11-01",
        "last": "2022-11-30",
        "method": "own_average",
        "name": "Абонентская плата",
        "plan": "single",
        "series": "dam",
        "meter": "E-1",
        "minutes": 30,
        "water": "cold_water",
        "way": "meter",
        "word": "norm",
        "month": "2022-11",
        "estimates": estimates_detail([UsedEstimate(EstimationMethod.NORM, article="п. 42")]),
    }

    said = [step_said(Step(kind, 1000, StepUnit.WH, about), language, ZONE) for kind in StepKind]
    verdicts = [
        verdict_text(
            explained(replay=Replay(verdict, 1, 100, "x", NotFound(what="account", name="1"))),
            language,
        )
        for verdict in Verdict
    ]

    assert set(SENTENCES) == set(StepKind)
    assert all(one.text and "%" not in one.text.replace("%", "", 1) for one in said)
    assert all(verdicts)


@pytest.mark.parametrize(
    ("value", "unit", "english", "russian"),
    [
        (123_456, StepUnit.WH, "123.456 kWh", "123,456 кВт·ч"),
        (31, StepUnit.DAY, "31 days", "31 день"),
        (1, StepUnit.PERSON, "1 person", "1 человек"),
        (5830, StepUnit.DM2, "58.30 m²", "58,30 м²"),
        (7_123_000, StepUnit.KCAL, "7.123000 Gcal", "7,123000 Гкал"),
        (30_000, StepUnit.PPM, "3 %", "3 %"),
        (4, StepUnit.TIMES, "4", "4"),
        (-1234, StepUnit.MINOR, "−₽12.34", "−12,34 ₽"),
    ],
)
def test_values_are_told_in_the_units_of_people(value, unit, english, russian):
    assert value_text(value, unit, EN).replace("\u00a0", " ") == english
    assert value_text(value, unit, RU).replace("\u00a0", " ") == russian
