"""The small picture of a year's consumption: one path a zone, so that it is drawn fast."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from babel.dates import get_month_names

from invoices.payment_document import HISTORY_MONTHS, MonthUse
from kilokassa.core.text import Language, number_text
from kilokassa.core.zones import Zone
from tariffs.zone_look import COLOURS

STACK: Final = (Zone.NIGHT, Zone.ALL, Zone.SEMI_PEAK, Zone.DAY, Zone.PEAK)
"""From the bottom up: the night, always the cheapest, is the base that bars are compared on."""

WIDTH: Final = 340
HEIGHT: Final = 138
_LEFT, _RIGHT, _TOP, _BOTTOM = 28, 2, 6, 22


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle in whole tenths of a unit of the picture."""

    left: int
    top: int
    width: int
    height: int


def consumption_svg(history: Sequence[MonthUse], language: Language) -> str:
    """Return the chart of the last months as SVG text; empty where there is nothing to show."""
    months = history[-HISTORY_MONTHS:]
    top_wh = max((_total(use) for use in months), default=0)
    if top_wh <= 0:
        return ""
    step_kwh = nice_step(top_wh)
    ceiling_wh = -(-top_wh // (step_kwh * 1000)) * step_kwh * 1000
    # The font is named here because text in SVG does not inherit that of the page.
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="PT Sans" font-size="8" fill="#5b6670">'
    )
    parts = [head]
    parts += _grid(ceiling_wh // 1000, step_kwh, language)
    bars = {zone: _bars(months, zone, ceiling_wh) for zone in STACK}
    parts += [
        f'<path fill="{COLOURS[zone]}" d="{"".join(_path(bar) for bar in bars[zone])}"/>'
        for zone in STACK
        if bars[zone]
    ]
    names = get_month_names("abbreviated", "stand-alone", locale=str(language))
    for index, use in enumerate(months):
        middle = _column(index)[0] + _column(index)[1] // 2
        place = f'x="{_tenths(middle)}" text-anchor="middle"'
        label = names[use.month.number].rstrip(".")[:3]
        parts.append(f'<text {place} y="{HEIGHT - 12}">{label}</text>')
        if index == 0 or use.month.number == 1:
            parts.append(f'<text {place} y="{HEIGHT - 2}">{use.month.year}</text>')
    parts.append("</svg>")
    return "".join(parts)


def zones_shown(history: Sequence[MonthUse]) -> tuple[Zone, ...]:
    """Return the zones that the chart holds, in the order of `Zone`."""
    used = {
        zone
        for use in history[-HISTORY_MONTHS:]
        for zone, energy_wh in use.by_zone
        if energy_wh > 0
    }
    return tuple(zone for zone in Zone if str(zone) in used)


def nice_step(top_wh: int) -> int:
    """Return the whole kWh between two grid lines: 1, 2 or 5 times a power of ten.

    >>> [nice_step(kwh * 1000) for kwh in (3, 40, 230, 999)]
    [1, 20, 100, 500]
    """
    top_kwh = -(-top_wh // 1000)
    unit = 1
    while True:
        for factor in (1, 2, 5):
            if factor * unit * 3 >= top_kwh:
                return factor * unit
        unit *= 10


def _grid(ceiling_kwh: int, step_kwh: int, language: Language) -> list[str]:
    plot = 10 * (HEIGHT - _TOP - _BOTTOM)
    heights = {
        kwh: _tenths(10 * (HEIGHT - _BOTTOM) - plot * kwh // ceiling_kwh)
        for kwh in range(0, ceiling_kwh + 1, step_kwh)
    }
    place = f'x="{_LEFT - 5}" dy="2.6" text-anchor="end"'
    labels = [
        f'<text {place} y="{y}">{number_text(kwh, language)}</text>' for kwh, y in heights.items()
    ]
    lines = "".join(f"M{_LEFT} {y}H{WIDTH - _RIGHT}" for y in heights.values())
    return [*labels, f'<path d="{lines}" stroke="#dde3e6" stroke-width="0.6" fill="none"/>']


def _bars(months: Sequence[MonthUse], zone: Zone, ceiling_wh: int) -> list[Bar]:
    plot = 10 * (HEIGHT - _TOP - _BOTTOM)
    below = STACK[: STACK.index(zone)]
    bars = []
    for index, use in enumerate(months):
        amounts = {name: max(energy_wh, 0) for name, energy_wh in use.by_zone}
        start_wh = sum(amounts.get(str(other), 0) for other in below)
        end_wh = start_wh + amounts.get(str(zone), 0)
        bottom, top = plot * start_wh // ceiling_wh, plot * end_wh // ceiling_wh
        left, width = _column(index)
        if top > bottom:
            bars.append(Bar(left, (HEIGHT - _BOTTOM) * 10 - top, width, top - bottom))
    return bars


def _column(index: int) -> tuple[int, int]:
    """Return left edge and width of a month's column, in tenths."""
    pitch = 10 * (WIDTH - _LEFT - _RIGHT) // HISTORY_MONTHS
    width = pitch * 62 // 100
    return 10 * _LEFT + index * pitch + (pitch - width) // 2, width


def _path(bar: Bar) -> str:
    left, top = _tenths(bar.left), _tenths(bar.top)
    width, height = _tenths(bar.width), _tenths(bar.height)
    return f"M{left} {top}h{width}v{height}h-{width}z"


def _tenths(value: int) -> str:
    whole, tenth = divmod(value, 10)
    return f"{whole}.{tenth}" if tenth else str(whole)


def _total(use: MonthUse) -> int:
    return sum(max(energy_wh, 0) for _, energy_wh in use.by_zone)
