from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from tariffs.compare import EVENING_PEAK, NIGHT, Use, costs, gain_of_shifting, shifted
from tariffs.documents import parse_tariff
from tariffs.facts import AccountFacts
from tariffs.guarantee import alternatives_of, with_guarantee
from tariffs.lines import ChargeKind
from tariffs.rating import CannotRate, lines_of, rate_population

KHABAROVSK = ZoneInfo("Asia/Vladivostok")
BERLIN = ZoneInfo("Europe/Berlin")
HEAD = "valid_from: 2026-01-01\ncurrency: RUB\nvat: included\nsource: t\nconfidence: memory\n"


def plan(code, text):
    version = parse_tariff(f"plan: {code}\nname: {{ru: {code}}}\n{HEAD}{text}")
    return [(Period(datetime(2025, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)), version)]


SINGLE = plan("single", "prices: [{from: 2026-01-01, per_kwh: 5}]\n")
TWO_ZONE = plan(
    "two_zone",
    "zones: {day: [07:00-23:00], night: [23:00-07:00]}\n"
    "prices: [{from: 2026-01-01, per_kwh: {day: 7, night: 2}}]\n",
)
DIGITAL = plan(
    "digital",
    "zones: {day: [07:00-23:00], night: [23:00-07:00]}\n"
    "prices: [{from: 2026-01-01, per_kwh: {day: 7, night: 2}}]\n"
    "concessions: [{code: thanks, name: {ru: Скидка}, who: everyone, base: energy,"
    " percents: [{from: 2026-01-01, percent: 10}]}]\n"
    "guarantee: {never_dearer_than: single}\n",
)


def two_months(day_wh, night_wh):
    """Return the use of two accounts: one lives by day, the other by night."""
    months = (Month(2026, 4).period(KHABAROVSK), Month(2026, 5).period(KHABAROVSK))
    hours = (months[1].end - months[0].start) // timedelta(hours=1)
    clock = np.arange(hours) % 24
    by_day = np.where((clock >= 7) & (clock < 23), day_wh, night_wh)
    by_night = np.where((clock >= 7) & (clock < 23), night_wh, day_wh)
    return Use(
        np.stack([by_day, by_night]).astype(np.int32), months[0].start, 60, KHABAROVSK, months
    )


def rate(versions, use):
    return rate_population(
        versions,
        use.energy_wh,
        use.start,
        use.interval_min,
        use.zone,
        billings=use.billings,
        facts=use.facts or AccountFacts(),
    )


def test_each_account_is_priced_on_each_plan():
    use = two_months(1_000, 0)

    single, two_zone = (costs(versions, use).paid_minor for versions in (SINGLE, TWO_ZONE))

    assert single.sum(axis=1).tolist() == [61 * 16 * 5_00, 61 * 8 * 5_00]
    assert two_zone.sum(axis=1).tolist() == [61 * 16 * 7_00, 61 * 8 * 2_00]


def test_a_plan_that_cannot_price_the_use_is_refused_with_its_reason():
    hourly = plan("hourly", "hourly: {series: dam, longer_intervals: refuse}\n")

    with pytest.raises(CannotRate, match="more than energy"):
        costs(hourly, two_months(1_000, 0))


def test_use_says_how_much_of_it_was_measured():
    use = two_months(1_000, 0)
    quality = np.full(use.energy_wh.shape, Quality.ACTUAL, dtype=np.uint8)
    quality[1, : quality.shape[1] // 4] = Quality.ESTIMATED

    known = Use(use.energy_wh, use.start, 60, KHABAROVSK, use.billings, quality=quality)

    assert known.measured.tolist() == [known.intervals, known.intervals * 3 // 4]


def test_moving_half_the_evening_into_the_night_brings_the_difference_of_the_rates():
    use = two_months(1_000, 0)

    gain = gain_of_shifting(TWO_ZONE, use, 500_000)
    nothing = gain_of_shifting(SINGLE, use, 500_000)

    assert gain.tolist() == [61 * 2 * (7_00 - 2_00), 0]
    assert nothing.tolist() == [0, 0]


@settings(max_examples=30, deadline=None)
@given(share_ppm=st.integers(0, 1_000_000), seed=st.integers(0, 99), day=st.integers(1, 31))
def test_what_is_shifted_stays_on_its_day_and_loses_no_watt_hour(share_ppm, seed, day):
    start = local_midnight(date(2026, 3, day), BERLIN)
    end = local_midnight(date(2026, 3, day) + timedelta(days=3), BERLIN)
    hours = (end - start) // timedelta(hours=1)
    energy = np.random.default_rng(seed).integers(-50, 3_000, (2, hours))
    use = Use(energy, start, 60, BERLIN, (Period(start, end),))

    moved = shifted(use, share_ppm, EVENING_PEAK, NIGHT)

    first = (local_midnight(date(2026, 3, day) + timedelta(days=1), BERLIN) - start) // timedelta(
        hours=1
    )
    assert (moved[:, :first].sum(axis=1) == energy[:, :first].sum(axis=1)).all()
    assert (moved.sum(axis=1) == energy.sum(axis=1)).all()
    assert (np.minimum(moved, 0) == np.minimum(energy, 0))[:, 17:21].all()


def test_the_guarantee_gives_back_what_the_named_plan_would_have_saved():
    use = two_months(1_000, 0)
    own, single, two = (rate(p, use) for p in (DIGITAL, SINGLE, TWO_ZONE))

    known = alternatives_of(
        own, DIGITAL, {"single": (single, SINGLE), "two_zone": (two, TWO_ZONE)}, 2
    )
    columns = with_guarantee(own, DIGITAL, known, use.billings)

    lines = [n for n in lines_of(columns, 0) if n.spec.kind is ChargeKind.GUARANTEE]
    assert [(n.spec.key, n.spec.billing, n.amount_minor) for n in lines] == [
        ("guarantee:single/-/2026-01-01", 0, -30 * 16 * 2_00),
        ("guarantee:single/-/2026-01-01", 1, -31 * 16 * 2_00),
    ]
    # The discount of a tenth is a present on top: it is neither taken back nor counted.
    assert known.own_minor[0].tolist() == [30 * 16 * 7_00, 31 * 16 * 7_00]
    assert columns.amount_minor[0].sum() == 61 * 16 * 5_00 - 61 * 16 * 70
    assert not [n for n in lines_of(columns, 1) if n.spec.kind is ChargeKind.GUARANTEE]
    assert (known.cheapest(0, 0), known.cheapest(1, 0)) == ("single", "two_zone")


def test_a_month_that_still_runs_promises_nothing_yet():
    use = two_months(1_000, 0)
    own, single = rate(DIGITAL, use), rate(SINGLE, use)
    known = alternatives_of(own, DIGITAL, {"single": (single, SINGLE)}, 2)

    columns = with_guarantee(own, DIGITAL, known, use.billings, closing=False)

    assert [s.billing for s in columns.specs if s.kind is ChargeKind.GUARANTEE] == [0]


def test_a_promise_about_a_plan_that_was_not_priced_is_refused():
    use = two_months(1_000, 0)
    own = rate(DIGITAL, use)

    with pytest.raises(CannotRate, match="what single would have cost is not known"):
        with_guarantee(own, DIGITAL, alternatives_of(own, DIGITAL, {}, 2), use.billings)


def test_a_plan_without_a_promise_keeps_its_lines():
    use = two_months(1_000, 0)
    own = rate(SINGLE, use)

    assert with_guarantee(own, SINGLE, alternatives_of(own, SINGLE, {}, 2), use.billings) is own


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), top=st.integers(1, 3_000))
def test_with_the_guarantee_no_month_is_dearer_than_the_named_plan(seed, top):
    months = (Month(2026, 4).period(KHABAROVSK),)
    energy = np.random.default_rng(seed).integers(0, top, (3, 720))
    use = Use(energy, months[0].start, 60, KHABAROVSK, months)
    own, single = rate(DIGITAL, use), rate(SINGLE, use)

    known = alternatives_of(own, DIGITAL, {"single": (single, SINGLE)}, 1)
    columns = with_guarantee(own, DIGITAL, known, months)

    assert (columns.amount_minor.sum(axis=1) <= single.amount_minor.sum(axis=1)).all()
