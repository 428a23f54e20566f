"""The kernel against the oracle, on random tariffs that use every feature."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.ids import TariffVersionId
from kilokassa.core.period import Period
from kilokassa.core.zones import WHOLE_DAY, DayZones, Zone, windows
from tariffs.charges import (
    Allowance,
    Base,
    CapacityBasis,
    CapacityCharge,
    Charges,
    Coarse,
    Concession,
    DatedAmount,
    DatedShare,
    Export,
    FixedCharge,
    FixedPer,
    HourlyPrice,
    Limits,
    MinimumBill,
    Netting,
    PriceComponent,
    Tax,
    TaxMode,
    Unused,
)
from tariffs.day_types import DayType, HolidayCalendar
from tariffs.facts import AccountFacts, PriceSeries
from tariffs.lines import ChargeKind, lines_of
from tariffs.oracle import judge
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
from tariffs.rating import rate_population

THREE = DayZones(
    (
        *windows(Zone.PEAK, time(7), time(10)),
        *windows(Zone.PEAK, time(17), time(21)),
        *windows(Zone.SEMI_PEAK, time(10), time(17)),
        *windows(Zone.SEMI_PEAK, time(21), time(23)),
        *windows(Zone.NIGHT, time(23), time(7)),
    )
)
TWO = DayZones((*windows(Zone.DAY, time(7), time(23)), *windows(Zone.NIGHT, time(23), time(7))))
NIGHT = DayZones(windows(Zone.NIGHT, time(0), time(0)))
WINTER_AND_SUMMER = (SeasonStart(3, 20, "summer"), SeasonStart(11, 5, "winter"))
VALID_FROM = date(2022, 1, 1)
ALWAYS = Period(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
ZONES = [ZoneInfo("Asia/Vladivostok"), ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")]
ACCOUNTS = 5
"""So many that the columns go through blocks of days, as those of a population do."""
JUDGED = 2

CHANGES = st.dates(date(2022, 2, 25), date(2022, 4, 5)) | st.dates(
    date(2022, 10, 25), date(2022, 12, 5)
)
SCALED = st.integers(0, 20_000_000)


@st.composite
def amounts(draw, values=SCALED):
    days = sorted(draw(st.sets(CHANGES, max_size=2)))
    return tuple(DatedAmount(day, draw(values)) for day in [VALID_FROM, *days])


@st.composite
def shares(draw):
    days = sorted(draw(st.sets(CHANGES, max_size=1)))
    return tuple(DatedShare(day, draw(st.integers(0, 500_000))) for day in [VALID_FROM, *days])


def maybe(strategy):
    return st.none() | strategy


@st.composite
def capacity_charges(draw):
    basis = draw(st.sampled_from(CapacityBasis))
    highest = basis is CapacityBasis.HIGHEST
    return CapacityCharge(
        code="network",
        name="",
        name_en="",
        basis=basis,
        amounts=draw(amounts(st.integers(0, 900_000_000))),
        windows=draw(st.sampled_from([(), ((480, 1200),), ((0, 420), (1380, 1440))]))
        if highest
        else (),
        day_types=draw(st.sampled_from([(), (DayType.WORKING,)])) if highest else (),
        ratchet_ppm=draw(st.integers(0, 1_000_000)) if highest else 0,
        ratchet_months=draw(st.integers(0, 3)) if highest else 0,
        hours="peaks" if basis is CapacityBasis.REGULATED_PEAKS else "",
    )


@st.composite
def hourly_prices(draw):
    return HourlyPrice(
        series="dam",
        coarse=Coarse.AVERAGE,
        components=tuple(
            PriceComponent(code, draw(amounts(st.integers(-5_000_000, 5_000_000))))
            for code in draw(st.sampled_from([(), ("network",), ("network", "relief")]))
        ),
        floor_scaled=draw(maybe(st.integers(-3_000_000, 0))),
        cap_scaled=draw(maybe(st.integers(1, 9_000_000))),
        limits=draw(st.sampled_from(Limits)),
    )


@st.composite
def charges(draw, *, by_zone, ladder):
    netting = draw(st.sampled_from(Netting))
    if ladder.get("range_period") is RangePeriod.DAY or (
        ladder.get("range_order") is RangeOrder.TIME and ladder["range_basis"] is RangeBasis.TOTAL
    ):
        netting = Netting.INTERVAL
    hourly = draw(maybe(hourly_prices()) if by_zone else hourly_prices())
    allowance = draw(
        maybe(
            st.builds(Allowance, st.integers(0, 20_000), st.sampled_from(Unused), amounts=amounts())
        )
    )
    if netting is Netting.PERIOD:
        hourly = hourly if not by_zone else None
        netting = Netting.NONE if hourly is not None else netting
        allowance = None if netting is Netting.PERIOD else allowance
    return Charges(
        energy_by_zone=by_zone,
        fixed=tuple(
            FixedCharge(f"fixed-{per}", "", "", per, draw(amounts(st.integers(0, 300_000_000))))
            for per in sorted(draw(st.sets(st.sampled_from(FixedPer), max_size=4)))
        ),
        capacity=draw(maybe(capacity_charges()).map(lambda c: () if c is None else (c,))),
        minimum=draw(maybe(st.builds(MinimumBill, amounts(st.integers(0, 3_000_000_000))))),
        allowance=allowance,
        export=draw(maybe(st.builds(Export, st.just(netting), amounts()))),
        taxes=tuple(
            Tax(f"tax-{mode}", "", "", mode, draw(shares()))
            for mode in sorted(draw(st.sets(st.sampled_from(TaxMode), max_size=2)))
        ),
        concessions=tuple(
            Concession(
                code,
                "",
                "",
                draw(st.sampled_from(Base)),
                draw(shares()),
                everyone=draw(st.booleans()),
                limit_wh=draw(st.sampled_from([0, 1, 50_000, 300_000])),
                limit_each_person=draw(st.booleans()),
            )
            for code in draw(st.sampled_from([(), ("veteran",), ("discount", "veteran")]))
        ),
        hourly=hourly,
    )


@st.composite
def ladders(draw, zones):
    """Return the fields of a version that make a ladder, or none."""
    if draw(st.integers(0, 3)) == 0:
        return {}
    period = draw(st.sampled_from(RangePeriod))
    top = {RangePeriod.DAY: 20_000, RangePeriod.MONTH: 400_000, RangePeriod.YEAR: 1_500_000}
    ladder = {
        "range_order": draw(st.sampled_from(RangeOrder)),
        "range_basis": draw(st.sampled_from(RangeBasis)),
        "range_period": period,
    }
    if period is RangePeriod.MONTH and draw(st.booleans()):
        bands = tuple(sorted(draw(st.sets(st.integers(10, 200), min_size=1, max_size=2))))
        return ladder | {"norm": SocialNorm((110_000, 150_000), 75_000, bands, draw(st.booleans()))}
    borders = tuple(sorted(draw(st.sets(st.integers(1, top[period]), min_size=1, max_size=2))))
    return ladder | {"range_borders_wh": borders}


@st.composite
def versions(draw, number=1):
    by_zone = draw(st.integers(0, 4)) > 0
    day_zones, schedules, seasons = WHOLE_DAY, (), ()
    if by_zone:
        day_zones = draw(st.sampled_from([WHOLE_DAY, TWO, THREE]))
        seasons = draw(st.sampled_from([(), WINTER_AND_SUMMER]))
        if draw(st.booleans()):
            winter = ("winter",) if seasons else ()
            schedules = (
                ZoneSchedule(THREE, (DayType.WORKING,), winter),
                *([ZoneSchedule(TWO, (DayType.WORKING,), ("summer",))] if seasons else []),
                ZoneSchedule(NIGHT, (DayType.WEEKEND, DayType.HOLIDAY)),
            )
            day_zones = THREE
    names = {z for s in schedules for z in s.day_zones.zones} or set(day_zones.zones)
    ladder = draw(ladders(names)) if by_zone else {}
    norm = ladder.get("norm")
    ranges = len(norm.bands_percent if norm else ladder.get("range_borders_wh", ())) + 1
    of_season = ["winter", "summer"] if seasons and draw(st.booleans()) else [""]
    days = [VALID_FROM, *sorted(draw(st.sets(CHANGES, max_size=2)))]
    rates = tuple(
        DatedRates(day, tuple(tuple(draw(SCALED) for _ in names) for _ in range(ranges)), season)
        for season in of_season
        for day in days
    )
    if not by_zone:
        rates = (DatedRates(VALID_FROM, ((0,),)),)
    return TariffVersion(
        plan_code=f"random-{number}",
        name="",
        name_en="",
        valid_from=VALID_FROM,
        day_zones=day_zones,
        rates=rates,
        schedules=schedules,
        seasons=seasons,
        calendar=HolidayCalendar("russia", ((date(2022, 3, 9), DayType.HOLIDAY),)),
        charges=draw(charges(by_zone=by_zone, ladder=ladder)),
        id=TariffVersionId(number),
        **ladder,
    )


def facts_of(a_version, seed, start, intervals, zone, billings, closing):
    """Return random facts of `ACCOUNTS` accounts that any tariff of this module can need."""
    random = np.random.default_rng(seed)
    hours = tuple(
        local_midnight(local_date(start, zone) + timedelta(days=n), zone)
        + timedelta(hours=8 + n % 3)
        for n in range(70)
    )
    wide = len(a_version.zones) > 1 and a_version.range_basis is RangeBasis.ZONE
    series = PriceSeries(
        "dam",
        start - timedelta(hours=5),
        [15, 30, 60][seed % 3],
        random.integers(-2_000_000, 9_000_000, 80 * 24 * 4, dtype=np.int64),
    )
    return AccountFacts(
        area_dm2=random.integers(1_000, 9_000, (ACCOUNTS, len(billings) if billings else 1)),
        persons=random.integers(1, 6, ACCOUNTS),
        contracted_w=random.integers(0, 15_000, ACCOUNTS),
        opening_wh=random.integers(
            0, 900_000, (ACCOUNTS, len(a_version.zones)) if wide else ACCOUNTS
        ),
        common_area_wh=random.integers(0, 60_000, ACCOUNTS),
        demand_before_w=random.integers(0, 9_000, (ACCOUNTS, seed % 4)),
        export_wh=random.integers(0, 900, (ACCOUNTS, intervals)),
        entitled={code: random.random(ACCOUNTS) < 0.6 for code in ("veteran", "discount")},
        price_series={"dam": series},
        regulated_hours={"peaks": hours},
        closing=closing,
    )


def rated(columns, row, zone):
    """Return the lines of the kernel by what the oracle names them by."""
    return {
        (
            line.spec.billing,
            str(line.spec.kind),
            str(line.spec.zone) if line.spec.kind is ChargeKind.ENERGY else line.spec.code,
            line.spec.range_number,
            local_date(line.spec.period.start, zone),
        ): (line.quantity_wh, line.amount_minor)
        for line in lines_of(columns, row)
    }


def judged(judgement):
    return {
        (j.billing, j.kind, j.what, j.range_number, j.starts_on): (j.quantity, j.amount_minor)
        for j in judgement.lines
    }


@settings(max_examples=120, deadline=None)
@given(
    a_version=versions(),
    zone=st.sampled_from(ZONES),
    month=st.sampled_from([Month(2022, 3), Month(2022, 11), Month(2022, 1)]),
    days=st.integers(1, 12) | st.integers(28, 65),
    interval_min=st.sampled_from([30, 60]),
    by_month=st.booleans(),
    closing=st.booleans(),
    seed=st.integers(0, 1000),
    top=st.sampled_from([3, 900, 9_000]),
)
def test_every_feature_of_a_tariff_is_priced_as_the_oracle_does(
    a_version, zone, month, days, interval_min, by_month, closing, seed, top
):
    start = local_midnight(month.first_day, zone)
    end = local_midnight(month.first_day + timedelta(days=days), zone)
    intervals = (end - start) // timedelta(minutes=interval_min)
    months = [month.plus(n).period(zone) for n in range(3)]
    billings = [p for p in months if p.start < end] if by_month else None
    facts = facts_of(a_version, seed, start, intervals, zone, billings, closing)
    low = 0 if a_version.range_count > 1 else -top // 3
    energy = np.random.default_rng(seed).integers(low, top, (ACCOUNTS, intervals), dtype=np.int32)
    in_force = [(ALWAYS, a_version)]

    columns = rate_population(
        in_force, energy, start, interval_min, zone, billings=billings, facts=facts
    )
    alone = rate_population(
        in_force, energy[:1], start, interval_min, zone, billings=billings, facts=_first(facts)
    )

    for row in range(JUDGED):
        judgement = judge(
            in_force,
            energy[row].tolist(),
            start,
            interval_min,
            zone,
            billings=billings,
            facts=facts,
            row=row,
        )
        assert rated(columns, row, zone) == judged(judgement)
        assert {
            (t.billing, t.code, local_date(t.period.start, zone)): int(t.amount_minor[row])
            for t in columns.included
        } == judgement.included
    assert rated(alone, 0, zone) == rated(columns, 0, zone)


def _first(facts):
    """Return the facts of the first account alone."""
    return AccountFacts(
        **{
            name: getattr(facts, name)[:1]
            for name in (
                "area_dm2",
                "persons",
                "contracted_w",
                "opening_wh",
                "common_area_wh",
                "demand_before_w",
                "export_wh",
            )
        },
        entitled={code: who[:1] for code, who in facts.entitled.items()},
        price_series=facts.price_series,
        regulated_hours=facts.regulated_hours,
        closing=facts.closing,
    )


@settings(max_examples=60, deadline=None)
@given(
    former=versions(1),
    later=versions(2),
    day=st.integers(2, 27),
    zone=st.sampled_from(ZONES),
    seed=st.integers(0, 1000),
)
def test_a_plan_that_changes_within_a_year_is_priced_as_the_oracle_does(
    former, later, day, zone, seed
):
    assume(_no_year(later, former))
    if not _same_netting(former, later):
        former, later = (
            replace(one, charges=replace(one.charges, export=None)) for one in (former, later)
        )
    month = Month(2022, 3)
    start, end = month.period(zone).start, month.plus(1).period(zone).end
    change = month.plus(1).period(zone).start
    if seed % 2 and _same_ladder(former, later):
        change = local_midnight(date(2022, 3, day), zone)
    intervals = (end - start) // timedelta(hours=1)
    billings = [month.period(zone), month.plus(1).period(zone)]
    facts = facts_of(former, seed, start, intervals, zone, billings, True)
    energy = np.random.default_rng(seed).integers(0, 3_000, (ACCOUNTS, intervals))
    in_force = [(Period(ALWAYS.start, change), former), (Period(change, ALWAYS.end), later)]

    columns = rate_population(in_force, energy, start, 60, zone, billings=billings, facts=facts)

    for row in range(2):
        judgement = judge(
            in_force,
            energy[row].tolist(),
            start,
            60,
            zone,
            billings=billings,
            facts=facts,
            row=row,
        )
        assert rated(columns, row, zone) == judged(judgement)


def _same_ladder(one, other):
    names = ("range_borders_wh", "norm", "range_basis", "range_order", "range_period")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _same_netting(*some):
    return len({v.charges.export and v.charges.export.netting for v in some}) == 1


def _no_year(*some):
    return all(v.range_period is not RangePeriod.YEAR for v in some)


@settings(max_examples=40, deadline=None)
@given(a_version=versions(), zone=st.sampled_from(ZONES), seed=st.integers(0, 1000))
def test_a_month_rated_day_by_day_ends_in_the_kopeck_of_the_month(a_version, zone, seed):
    period = Month(2022, 11).period(zone)
    hours = period.length // timedelta(hours=1)
    energy = np.random.default_rng(seed).integers(0, 3_000, (1, hours), dtype=np.int32)
    posted: Counter[str] = Counter()

    for day in range(1, 31):
        until = local_midnight(date(2022, 11, 1) + timedelta(days=day), zone)
        known = (until - period.start) // timedelta(hours=1)
        facts = _first(facts_of(a_version, seed, period.start, hours, zone, None, day == 30))
        facts = _until(facts, known)
        columns = rate_population(
            [(ALWAYS, a_version)], energy[:, :known], period.start, 60, zone, facts=facts
        )
        now = {n.spec.key: n.amount_minor for n in lines_of(columns, 0)}
        for key in now.keys() | posted.keys():
            posted[key] += now.get(key, 0) - posted[key]

    facts = _first(facts_of(a_version, seed, period.start, hours, zone, None, True))
    whole = rate_population([(ALWAYS, a_version)], energy, period.start, 60, zone, facts=facts)
    assert {k: v for k, v in posted.items() if v} == {
        n.spec.key: n.amount_minor for n in lines_of(whole, 0) if n.amount_minor
    }
    assert len({spec.key for spec in whole.specs}) == len(whole.specs)


def _until(facts, known):
    fields = {name: getattr(facts, name) for name in AccountFacts.__slots__}
    return AccountFacts(**fields | {"export_wh": facts.export_wh[:, :known]})
