"""Rating a year of hours through the public call, on one thread, to charge lines as columns.

8,760 values a customer, three zones, two price versions, three tiers a zone and month. Plain numpy
beside it does the same sums with no proof, no calendar and no rounding rule, by hand. BLAS is held
to one thread while it is timed.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from kilokassa.core.calendar import Month, local_date
from kilokassa.core.period import Period
from tariffs.documents import parse_tariff
from tariffs.facts import AccountFacts, PriceSeries
from tariffs.lines import ChargeKind
from tariffs.oracle import judge
from tariffs.rating import LineColumns, VersionInForce, lines_of, rate_population

CUSTOMERS = 4_096
SINGLE = 200
"""Customers that are rated one by one."""
SAMPLE = 12
"""Customers that the oracle rates too, under each tariff."""
ROUNDS = 7
ZONE = ZoneInfo("Asia/Vladivostok")
MONTHS = [Month(2026, number) for number in range(1, 13)]

TIERED = """
plan: tiered
name: {ru: Три зоны и три диапазона}
valid_from: 2026-01-01
currency: RUB
vat: included
zones:
  peak: [07:00-10:00, 17:00-21:00]
  semi_peak: [10:00-17:00, 21:00-23:00]
  night: [23:00-07:00]
ranges: {basis: zone, order: time, borders_kwh: [100, 200]}
prices:
  - from: 2026-01-01
    per_kwh:
      - {peak: 6.11, semi_peak: 5.09, night: 1.67}
      - {peak: 7.22, semi_peak: 6.18, night: 2.75}
      - {peak: 9.33, semi_peak: 8.27, night: 3.83}
  - from: 2026-10-01
    per_kwh:
      - {peak: 7.75, semi_peak: 5.54, night: 2.07}
      - {peak: 8.86, semi_peak: 6.63, night: 3.16}
      - {peak: 9.97, semi_peak: 8.72, night: 4.25}
source: a benchmark
confidence: memory
"""
DYNAMIC = """
plan: dynamic
name: {ru: Почасовой}
valid_from: 2026-01-01
currency: RUB
vat: included
hourly:
  series: dam
  longer_intervals: refuse
  components: [{code: network, per_kwh: [{from: 2026-01-01, amount: 2.45}]}]
  floor: 0
  limits: total
source: a benchmark
confidence: memory
"""


def run() -> dict[str, object]:
    """Return customer-years a second in bulk, by the hour and one by one, and `oracle_equal`."""
    billings = [month.period(ZONE) for month in MONTHS]
    start, end = billings[0].start, billings[-1].end
    hours = (end - start) // timedelta(hours=1)
    random = np.random.default_rng(20260101)
    energy_wh = random.integers(0, 3_000, (CUSTOMERS, hours), dtype=np.int32)
    prices = random.integers(-1_000_000, 8_000_000, hours, dtype=np.int64)
    facts = AccountFacts(price_series={"dam": PriceSeries("dam", start, 60, prices)})
    always = Period(datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=1), end)
    tiered, dynamic = ([(always, parse_tariff(text))] for text in (TIERED, DYNAMIC))

    def bulk() -> LineColumns:
        return rate_population(tiered, energy_wh, start, 60, ZONE, billings=billings)

    def by_hour() -> LineColumns:
        return rate_population(dynamic, energy_wh, start, 60, ZONE, billings=billings, facts=facts)

    def one_by_one() -> int:
        known = 0
        for row in range(SINGLE):
            columns = rate_population(
                tiered, energy_wh[row : row + 1], start, 60, ZONE, billings=billings
            )
            known += sum(line.working.amount_minor for line in lines_of(columns, 0))
        return known

    plain = _Plain(billings, start)
    columns, hourly = bulk(), by_hour()
    assert np.array_equal(plain.rate(energy_wh), columns.amount_minor.sum(axis=1))
    best: dict[str, float] = {}
    # By turns, so that what else the machine does falls on all.
    for _ in range(ROUNDS):
        for name, work in (
            ("numpy", lambda: plain.rate(energy_wh)),
            ("bulk", bulk),
            ("dynamic", by_hour),
            ("single", one_by_one),
            ("sum", lambda: np.sum(energy_wh)),
        ):
            best[name] = min(best.get(name, float("inf")), _seconds(work))
    return {
        "customer_years_per_s": round(CUSTOMERS / best["bulk"]),
        "numpy_customer_years_per_s": round(CUSTOMERS / best["numpy"]),
        "dynamic_customer_years_per_s": round(CUSTOMERS / best["dynamic"]),
        "single_customer_years_per_s": round(SINGLE / best["single"]),
        "sum_customer_years_per_s": round(CUSTOMERS / best["sum"]),
        "oracle_equal": _equal(columns, tiered, energy_wh, start, billings, None)
        and _equal(hourly, dynamic, energy_wh, start, billings, facts),
        "customers": CUSTOMERS,
        "hours": hours,
        "columns": len(columns.specs),
        "lines_a_customer": len(lines_of(columns, 0)),
        "oracle_sample": SAMPLE,
    }


class _Plain:
    """The same bill by hand: what somebody would write who has only this one tariff to price."""

    def __init__(self, billings: list[Period], start: datetime) -> None:
        hour = timedelta(hours=1)
        self.edges = [(p.start - start) // hour for p in billings]
        self.edges.append((billings[-1].end - start) // hour)
        local = (np.arange(self.edges[-1]) + start.astimezone(ZONE).hour) % 24
        zone = np.full(len(local), 1)
        zone[((local >= 7) & (local < 10)) | ((local >= 17) & (local < 21))] = 0
        zone[(local >= 23) | (local < 7)] = 2
        self.members = (zone[:, None] == np.arange(3)).astype(np.float64)
        early = [[6.11, 5.09, 1.67], [7.22, 6.18, 2.75], [9.33, 8.27, 3.83]]
        late = [[7.75, 5.54, 2.07], [8.86, 6.63, 3.16], [9.97, 8.72, 4.25]]
        self.rates = [np.rint(np.array(r) * 100).astype(np.int64) for r in (early, late)]

    def rate(self, energy_wh: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return the kopecks of each customer's year."""
        cost = np.zeros(len(energy_wh), dtype=np.int64)
        for first in range(0, len(energy_wh), 64):
            block = energy_wh[first : first + 64].astype(np.float64)
            for month in range(12):
                a, z = self.edges[month], self.edges[month + 1]
                used = (block[:, a:z] @ self.members[a:z]).astype(np.int64)
                for tier, rates in enumerate(self.rates[month >= 9]):
                    low, high = (0, 100_000, 200_000, 2**62)[tier : tier + 2]
                    part = np.clip(used, low, high) - low
                    cost[first : first + 64] += ((part * rates + 500) // 1000).sum(axis=1)
        return cost


def _seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes on one thread."""
    started = time.perf_counter()
    with threadpool_limits(limits=1):
        work()
    return time.perf_counter() - started


def _equal(
    columns: LineColumns,
    versions: list[VersionInForce],
    energy_wh: npt.NDArray[np.int32],
    start: datetime,
    billings: list[Period],
    facts: AccountFacts | None,
) -> bool:
    chosen = np.random.default_rng(1).choice(len(energy_wh), SAMPLE, replace=False)
    for row in chosen.tolist():
        judgement = judge(
            versions,
            energy_wh[row].tolist(),
            start,
            60,
            ZONE,
            billings=billings,
            facts=facts,
            row=row,
        )
        rated = {
            (
                line.spec.billing,
                str(line.spec.zone) if line.spec.kind is ChargeKind.ENERGY else line.spec.code,
                line.spec.range_number,
                local_date(line.spec.period.start, ZONE),
            ): (line.quantity_wh, line.amount_minor)
            for line in lines_of(columns, row)
        }
        judged = {
            (line.billing, line.what, line.range_number, line.starts_on): (
                line.quantity,
                line.amount_minor,
            )
            for line in judgement.lines
        }
        if rated != judged:
            return False
    return True
