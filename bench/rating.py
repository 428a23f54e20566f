"""Rating a population's month on one thread, against `numpy.sum` over the same matrix.

BLAS is held to one thread while it is timed.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from kilokassa.core.calendar import Month
from tariffs.documents import parse_tariff
from tariffs.oracle import rate_slowly
from tariffs.rating import LineColumns, VersionInForce, lines_of, rate_population

METERS = 20_000
SAMPLE = 500
"""Meters that the oracle rates too."""
INTERVAL_MIN = 30
ROUNDS = 9
ZONE = ZoneInfo("Asia/Vladivostok")
MONTH = Month(2022, 12)

TARIFF = """
plan: three_zone
name: {ru: Трёхзонный, en: Three zones}
valid_from: 2022-07-01
currency: RUB
vat: included
zones:
  peak: [07:00-10:00, 17:00-21:00]
  semi_peak: [10:00-17:00, 21:00-23:00]
  night: [23:00-07:00]
prices:
  - {from: 2022-07-01, per_kwh: {peak: 6.11, semi_peak: 5.09, night: 1.67}}
  - {from: 2022-12-01, per_kwh: {peak: 7.75, semi_peak: 5.54, night: 2.07}}
source: S1
confidence: high
"""


def run() -> dict[str, object]:
    """Return `ratio_to_sum`, `oracle_equal` and what they are made of."""
    period = MONTH.period(ZONE)
    versions = [(period, parse_tariff(TARIFF))]
    intervals = period.length // timedelta(minutes=INTERVAL_MIN)
    energy_wh = np.random.default_rng(20221201).integers(
        0, 3_000, (METERS, intervals), dtype=np.int32
    )

    def rate() -> LineColumns:
        return rate_population(versions, energy_wh, period.start, INTERVAL_MIN, ZONE)

    columns = rate()
    sum_s = rating_s = float("inf")
    # By turns, so that what else the machine does falls on both.
    for _ in range(ROUNDS):
        sum_s = min(sum_s, _seconds(lambda: np.sum(energy_wh)))
        rating_s = min(rating_s, _seconds(rate))
    return {
        "ratio_to_sum": round(sum_s / rating_s, 3),
        "oracle_equal": _oracle_equal(columns, versions, energy_wh),
        "meters": METERS,
        "intervals": intervals,
        "zones": len(columns.specs),
        "oracle_sample": SAMPLE,
        "sum_s": round(sum_s, 5),
        "rating_s": round(rating_s, 5),
        "intervals_per_s": round(METERS * intervals / rating_s),
    }


def _seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes on one thread."""
    started = time.perf_counter()
    with threadpool_limits(limits=1):
        work()
    return time.perf_counter() - started


def _oracle_equal(
    columns: LineColumns, versions: list[VersionInForce], energy_wh: npt.NDArray[np.int32]
) -> bool:
    start = versions[0][0].start
    chosen = np.random.default_rng(1).choice(METERS, SAMPLE, replace=False)
    for row in chosen.tolist():
        judged = rate_slowly(versions, energy_wh[row].tolist(), start, INTERVAL_MIN, ZONE)
        rated = {
            (str(line.spec.zone), line.spec.range_number, line.spec.key.rsplit("/", 1)[1]): (
                line.quantity_wh,
                line.amount_minor,
            )
            for line in lines_of(columns, row)
        }
        if rated != judged:
            return False
    return True
