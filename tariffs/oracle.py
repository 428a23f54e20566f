"""A slow and plain judge of the kernel: every interval by the clock on the wall, in `Decimal`.

Shares no code with `tariffs.rating` beyond the values it is given, so that a mistake would have to
be made twice. Used by tests and by the benchmark's sample, never to bill.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from kilokassa.core.period import Period
from tariffs.plans import RangeOrder, TariffVersion

Cell = tuple[str, int, str]
"""Zone, range from 1 (0 without a ladder), first local day of the price."""


def rate_slowly(
    versions: Sequence[tuple[Period, TariffVersion]],
    energy_wh: Sequence[int],
    start: datetime,
    interval_min: int,
    zone: ZoneInfo,
) -> dict[Cell, tuple[int, int]]:
    """Return (Wh, kopecks) of each cell that saw energy."""
    used: list[tuple[str, str, Decimal, int]] = []
    order: list[tuple[str, str]] = []
    rates: dict[tuple[str, str], list[int]] = {}
    ladder: tuple[int, ...] = ()
    by = RangeOrder.PROPORTIONAL
    for number, wh in enumerate(energy_wh):
        instant = start + timedelta(minutes=interval_min) * number
        version = next(v for period, v in versions if period.start <= instant < period.end)
        local = instant.astimezone(zone)
        name = version.day_zones.at(local.hour * 60 + local.minute)
        dated = [d for d in version.rates if d.valid_from <= local.date()][-1]
        key = (str(name), dated.valid_from.isoformat())
        index = version.zones.index(name)
        rates[key] = [row[index] for row in dated.rates_scaled]
        ladder, by = version.range_borders_wh, version.range_order
        used.append((*key, Decimal(0), wh))
        if key not in order:
            order.append(key)
    order = _in_columns(order, versions)
    cells: dict[tuple[tuple[str, str], int], int] = {}
    if not ladder:
        for zone_name, day, _, wh in used:
            cells[(zone_name, day), 0] = cells.get(((zone_name, day), 0), 0) + wh
    elif by is RangeOrder.TIME:
        total = 0
        for zone_name, day, _, wh in used:
            for rung, (low, high) in enumerate(_rungs(ladder), start=1):
                part = min(total + wh, high) - max(total, low)
                if part > 0:
                    cell = ((zone_name, day), rung)
                    cells[cell] = cells.get(cell, 0) + part
            total += wh
    else:
        left = {key: sum(wh for z, d, _, wh in used if (z, d) == key) for key in order}
        total = sum(left.values())
        for rung, (low, high) in enumerate(_rungs(ladder), start=1):
            volume = max(0, min(total, high) - low)
            taken = _largest_remainder(volume, left)
            for key, part in taken.items():
                cells[key, rung] = part
                left[key] -= part
    return {
        (key[0], rung, key[1]): (wh, _kopecks(wh, rates[key][max(rung - 1, 0)]))
        for (key, rung), wh in cells.items()
        if wh
    }


def _kopecks(energy_wh: int, rate_scaled: int) -> int:
    roubles = Decimal(energy_wh) / 1000 * Decimal(rate_scaled).scaleb(-6)
    return int((roubles * 100).quantize(Decimal(1), ROUND_HALF_UP))


def _rungs(ladder: Sequence[int]) -> list[tuple[int, int]]:
    lows = [0, *ladder]
    highs = [*ladder, 10**18]
    return list(zip(lows, highs, strict=True))


def _in_columns(
    keys: list[tuple[str, str]], versions: Sequence[tuple[Period, TariffVersion]]
) -> list[tuple[str, str]]:
    zones = [str(z) for z in versions[0][1].zones]
    return sorted(keys, key=lambda key: (key[1], zones.index(key[0])))


def _largest_remainder(
    volume: int, cells: dict[tuple[str, str], int]
) -> dict[tuple[str, str], int]:
    whole = sum(cells.values())
    if not volume or not whole:
        return dict.fromkeys(cells, 0)
    exact = {key: Fraction(volume * wh, whole) for key, wh in cells.items()}
    floor = {
        key: int(Decimal(e.numerator // e.denominator).quantize(Decimal(1), ROUND_FLOOR))
        for key, e in exact.items()
    }
    spare = volume - sum(floor.values())
    by_rest = sorted(cells, key=lambda key: floor[key] - exact[key])
    return {key: floor[key] + (key in by_rest[:spare]) for key in cells}
