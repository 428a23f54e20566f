from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.errors import NotFound
from kilokassa.core.money import half_up_ratio
from kilokassa.core.period import Period
from tariffs.documents import parse_tariff
from tariffs.explain import Step, StepKind, explain_line
from tariffs.facts import AccountFacts, PriceSeries
from tariffs.rating import lines_of, rate_population

KHABAROVSK = ZoneInfo("Asia/Vladivostok")
HEAD = (
    "plan: p\nname: {ru: П}\nvalid_from: 2026-01-01\ncurrency: RUB\nvat: included\n"
    "source: t\nconfidence: memory\n"
)
LADDER = (
    "zones: {day: [07:00-23:00], night: [23:00-07:00]}\n"
    "ranges: {basis: total, order: proportional, borders_kwh: [100]}\n"
    "prices: [{from: 2026-01-01, per_kwh: [{day: 5.11, night: 2.07}, {day: 9, night: 4}]}]\n"
    "fixed: [{code: upkeep, name: {ru: С}, per: m2, amounts: [{from: 2026-01-01, amount: 0.65}]}]\n"
    "concessions: [{code: c, name: {ru: Л}, who: everyone, base: energy,"
    " percents: [{from: 2026-01-01, percent: 10}]}]\n"
)
FACTS = AccountFacts(area_dm2=np.array([3_100]))
MONTH = Month(2026, 4).period(KHABAROVSK)


def always(text):
    version = replace(parse_tariff(HEAD + text), id=3)
    return [(Period(datetime(2025, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)), version)]


def month_of(seed=1, top=900):
    return np.random.default_rng(seed).integers(0, top, (1, 720), dtype=np.int32)


def explain(text, energy, key, facts=FACTS, **more):
    return explain_line(always(text), energy, MONTH.start, 60, KHABAROVSK, key, facts=facts, **more)


def test_a_line_of_energy_leads_down_to_its_intervals():
    energy = month_of()

    found = explain(LADDER, energy, "night/1/2026-01-01")

    clock = np.arange(720) % 24
    nights = np.flatnonzero((clock >= 23) | (clock < 7))
    assert [(i.start, i.energy_wh) for i in found.intervals] == [
        (MONTH.start + timedelta(hours=int(n)), int(energy[0, n])) for n in nights
    ]
    used = int(energy[0, nights].sum())
    first, second = (s.value for s in found.steps if s.kind is StepKind.RANGE)
    assert found.steps[0] == Step(StepKind.ENERGY, "night", used)
    assert (first, first + second) == (found.line.quantity_wh, used)
    assert found.working.numerator == first * 2_070_000
    assert (found.version_digest, found.working.version_id) == (
        always(LADDER)[0][1].digest,
        3,
    )


def test_a_line_that_is_a_share_names_the_lines_it_is_of():
    found = explain(LADDER, month_of(), "concession:c/-/2026-01-01")

    bases = [s for s in found.steps if s.kind is StepKind.LINE]
    assert [s.about for s in bases] == [
        "day/1/2026-01-01",
        "night/1/2026-01-01",
        "day/2/2026-01-01",
        "night/2/2026-01-01",
    ]
    assert found.line.quantity_wh == -sum(s.value for s in bases)


def test_a_standing_charge_names_the_fact_it_is_for():
    found = explain(LADDER, month_of(), "fixed:upkeep/-/2026-01-01")

    assert found.steps == (Step(StepKind.FACT, "area_dm2", 3_100),)
    assert found.line.amount_minor == 20_15


def test_a_line_by_the_hour_shows_the_price_each_interval_met():
    prices = np.arange(720, dtype=np.int64) * 10_000
    series = PriceSeries("dam", MONTH.start, 60, prices, revision=4)
    facts = AccountFacts(price_series={"dam": series})
    energy = month_of()

    found = explain(
        "hourly: {series: dam, longer_intervals: refuse}\n",
        energy,
        "hourly:dam/-/2026-01-01",
        facts,
    )

    assert found.price_revision == 4
    assert [i.price_scaled for i in found.intervals] == prices.tolist()
    exact = sum(i.energy_wh * i.price_scaled for i in found.intervals)
    assert found.line.amount_minor == half_up_ratio(exact, 10**7)


def test_the_same_inputs_replay_to_the_same_digest_and_others_to_another():
    energy = month_of()
    first = explain(LADDER, energy, "day/1/2026-01-01", readings="r1")

    again = explain(LADDER, energy.astype(np.int64), "day/1/2026-01-01", readings="r1")
    revised = explain(LADDER, energy, "day/1/2026-01-01", readings="r2")
    other = energy.copy()
    other[0, 700] += 1
    changed = explain(LADDER, other, "day/1/2026-01-01", readings="r1")
    dearer = explain(LADDER.replace("5.11", "5.12"), energy, "day/1/2026-01-01", readings="r1")

    assert again == first
    assert len({one.digest for one in (first, revised, changed, dearer)}) == 4


def test_a_line_that_is_not_there_is_not_explained():
    with pytest.raises(NotFound, match="peak"):
        explain(LADDER, month_of(), "peak/1/2026-01-01")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), top=st.sampled_from([3, 300, 3_000]))
def test_every_line_of_a_bill_can_be_worked_out_again_from_its_explanation(seed, top):
    energy = month_of(seed, top)
    columns = rate_population(always(LADDER), energy, MONTH.start, 60, KHABAROVSK, facts=FACTS)

    for line in lines_of(columns, 0):
        found = explain(LADDER, energy, line.spec.key)
        working = found.working
        assert found.line == line
        assert half_up_ratio(working.numerator, working.divisor) == line.amount_minor


def test_a_line_of_a_later_month_is_told_from_that_of_an_earlier_one():
    months = [MONTH, Month(2026, 5).period(KHABAROVSK)]
    hours = (months[1].end - months[0].start) // timedelta(hours=1)
    energy = np.full((1, hours), 100, dtype=np.int32)

    found = explain(LADDER, energy, "day/1/2026-01-01", billing=1, billings=months)

    assert found.intervals[0].start == local_midnight(date(2026, 5, 1), KHABAROVSK) + timedelta(
        hours=7
    )
    assert sum(i.energy_wh for i in found.intervals) == 31 * 16 * 100


def test_intervals_that_are_netted_are_shown_net():
    text = (
        "prices: [{from: 2026-01-01, per_kwh: 5}]\n"
        "export: {netting: interval, per_kwh: [{from: 2026-01-01, amount: 2}]}\n"
    )
    energy = np.full((1, 720), 500, dtype=np.int32)
    given = np.zeros((1, 720), dtype=np.int64)
    given[0, :10] = 800

    found = explain(text, energy, "all/-/2026-01-01", AccountFacts(export_wh=given))

    assert [i.energy_wh for i in found.intervals] == [0] * 10 + [500] * 710
    assert found.steps == (
        Step(StepKind.ENERGY, "all", 355_000),
        Step(StepKind.EXPORTED, "", 8_000),
    )
    assert found.line.quantity_wh == 355_000
