"""Pictures of a rehearsal as SVG text: they need no script, so a page, a file and a PDF share them.

A page's style sheet may colour them anew, by class, for the dark; what a colour says is also said
by place and number.
"""

from collections.abc import Sequence
from html import escape

from tariffs.charges import PPM
from tariffs.rehearsal import BINS_PPM

_FILLS = {
    "less": "#1b6e3c",
    "more": "#b3261e",
    "same": "#7c8894",
    "old": "#7c8894",
    "new": "#2f7f86",
}
"""Colours where no style sheet reaches into the picture, as in a PDF."""
_WIDTH, _HEIGHT = 720, 240
_TOP, _BOTTOM = 24, 36
_LINE = _HEIGHT - _BOTTOM


def bin_labels() -> tuple[str, ...]:
    """Return what the bins of the histogram are called, in per cent.

    >>> bin_labels()[0], bin_labels()[5], bin_labels()[-1]
    ('< −20', '0', '> 20')
    """
    below = [-border * 100 // PPM for border in BINS_PPM if border < 0]
    above = [border * 100 // PPM for border in BINS_PPM if border > 0]
    losses = [f"−{a}…−{b}" for a, b in zip(below, [*below[1:], 0], strict=True)]
    gains = [f"{a}…{b}" for a, b in zip([0, *above], above, strict=False)]
    return (
        f"< −{below[0]}",
        *(label.replace("−0", "0") for label in losses),
        "0",
        *gains,
        f"> {above[-1]}",
    )


def histogram_svg(counts: Sequence[int], title: str, about: str) -> str:
    """Draw how many accounts pay how much less or more, in per cent of what they pay now."""
    labels = bin_labels()
    width = _WIDTH // len(labels)
    highest = max([*counts, 1])
    middle = len(labels) // 2
    parts = []
    for number, (label, count) in enumerate(zip(labels, counts, strict=True)):
        height = _tall(count, highest)
        kind = "less" if number < middle else "more" if number > middle else "same"
        x = number * width
        parts.append(_bar(kind, x + 4, width - 8, height))
        if count:
            parts.append(_text(x + width // 2, _LINE - height - 6, str(count)))
        parts.append(_text(x + width // 2, _LINE + 20, label))
    return _svg(parts, title, about)


def months_svg(
    months: Sequence[tuple[str, int, int]], title: str, about: str, names: tuple[str, str]
) -> str:
    """Draw what each month came to, now and on the new tariff, beside each other."""
    width = _WIDTH // max(len(months), 1)
    highest = max([1, *(max(old, new) for _, old, new in months)])
    parts = []
    for number, (label, old, new) in enumerate(months):
        x = number * width
        for place, (kind, value) in enumerate((("old", old), ("new", new))):
            height = _tall(max(value, 0), highest)
            parts.append(
                _bar(kind, x + width * (14 + 36 * place) // 100, width * 34 // 100, height)
            )
        parts.append(_text(x + width // 2, _LINE + 20, label))
    for place, (kind, name) in enumerate(zip(("old", "new"), names, strict=True)):
        x = place * 240
        parts.append(_bar(kind, x, 12, 12, foot=14))
        parts.append(f'<text x="{x + 18}" y="12">{escape(name)}</text>')
    return _svg(parts, title, about)


def _tall(value: int, highest: int) -> int:
    whole = _HEIGHT - _TOP - _BOTTOM
    return max(value * whole // highest, 1 if value else 0)


def _bar(kind: str, x: int, width: int, height: int, *, foot: int = _LINE) -> str:
    return (
        f'<rect class="bar {kind}" fill="{_FILLS[kind]}" x="{x}" y="{foot - height}"'
        f' width="{width}" height="{height}"/>'
    )


def _text(x: int, y: int, text: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="middle">{escape(text)}</text>'


def _svg(parts: Sequence[str], title: str, about: str) -> str:
    return (
        f'<svg class="kk-plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' font-family="PT Sans, Golos Text, sans-serif" font-size="11"'
        f' xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>'
        f"<desc>{escape(about)}</desc>"
        f'<line class="axis" stroke="#7c8894" x1="0" x2="{_WIDTH}" y1="{_LINE}" y2="{_LINE}"/>'
        f"{''.join(parts)}</svg>"
    )
