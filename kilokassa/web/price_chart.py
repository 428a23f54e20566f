"""The picture of prices over a day or a month: steps, what they were before, and holes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from kilokassa.core.money import RATE_SCALE, rate_from_scaled
from kilokassa.core.text import Language, number_text

WIDTH: Final = 960
HEIGHT: Final = 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 8, 12, 26
_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Steps:
    """Prices from a place on, one a step, in millionths of a rouble per kWh."""

    first: int
    """Number of the interval at which they begin."""
    prices_scaled: Sequence[int]
    former: bool = False
    """Says that other prices took their place."""


@dataclass(frozen=True, slots=True)
class PricePicture:
    """What the picture shows over `count` intervals."""

    title: str
    count: int
    steps: Sequence[Steps]
    holes: Sequence[tuple[int, int]]
    """First and last number, half-open, of the intervals without prices."""
    labels: Sequence[tuple[int, str]]
    """Number of an interval and what stands under its beginning."""

    @property
    def is_empty(self) -> bool:
        """Say whether there is no price to draw."""
        return not self.steps


def price_svg(picture: PricePicture, language: Language) -> Markup:
    """Return the picture as SVG that page styles colour; empty where there is nothing to show."""
    if picture.is_empty:
        return Markup()
    drawn = [price for steps in picture.steps for price in steps.prices_scaled]
    step = _nice_step(max(max(drawn), 0) - min(min(drawn), 0))
    low = min(min(drawn), 0) // step * step
    high = -(-max(max(drawn), 0) // step) * step or step
    head = (
        f'<svg class="kk-prices" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(picture.title)}"><title>{escape(picture.title)}</title>'
        '<defs><pattern id="kk-hole" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><path d="M0 0V6" class="kk-prices-hatch"/></pattern></defs>'
    )
    parts = [head]
    parts += [_hole(picture, first, last) for first, last in picture.holes]
    for value in range(low, high + 1, step):
        y = _y(value, low, high)
        kind = "kk-prices-zero" if value == 0 else "kk-prices-grid"
        text = number_text(rate_from_scaled(value), language)
        parts.append(f'<path class="{kind}" d="M{_LEFT} {y}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y}" dy="4" text-anchor="end">{text}</text>')
    for number, label in picture.labels:
        x = _x(picture, number)
        parts.append(f'<path class="kk-prices-grid" d="M{x} {HEIGHT - _BOTTOM}v4"/>')
        parts.append(f'<text x="{x}" y="{HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>')
    for steps in sorted(picture.steps, key=lambda one: not one.former):
        kind = "kk-prices-former" if steps.former else "kk-prices-line"
        parts.append(f'<path class="{kind}" d="{_path(picture, steps, low, high)}"/>')
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - numbers, and texts that were escaped


def _path(picture: PricePicture, steps: Steps, low: int, high: int) -> str:
    """Return a line that is flat within each interval."""
    texts: list[str] = []
    for number, price in enumerate(steps.prices_scaled, start=steps.first):
        y = _y(price, low, high)
        texts.append(f"M{_x(picture, number)} {y}" if not texts else f"V{y}")
        texts.append(f"H{_x(picture, number + 1)}")
    return "".join(texts)


def _hole(picture: PricePicture, first: int, last: int) -> str:
    left, right = _x(picture, first), _x(picture, last)
    return (
        f'<rect fill="url(#kk-hole)" x="{left}" y="{_TOP}" width="{right - left}" '
        f'height="{HEIGHT - _TOP - _BOTTOM}"/>'
    )


def _x(picture: PricePicture, number: int) -> int:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * number // picture.count


def _y(value: int, low: int, high: int) -> int:
    return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (value - low) // (high - low)


def _nice_step(span: int) -> int:
    """Return the distance of two grid lines: 1, 2 or 5 times a power of ten, at most five of them.

    >>> _nice_step(7_000_000), _nice_step(300_000), _nice_step(0)
    (2000000, 100000, 10000)
    """
    unit = RATE_SCALE // 100
    while True:
        for factor in (1, 2, 5):
            if factor * unit * _TICKS >= span:
                return factor * unit
        unit *= 10
