"""How the zones of a day are named and coloured wherever they are shown."""

from collections.abc import Mapping
from typing import Final

from kilokassa.core.text import mark
from kilokassa.core.zones import Zone

COLOURS: Final[Mapping[Zone, str]] = {
    Zone.ALL: "#2f7f86",
    Zone.PEAK: "#c8553d",
    Zone.SEMI_PEAK: "#e0a13a",
    Zone.DAY: "#e0a13a",
    Zone.NIGHT: "#3b4f7d",
}
"""Told apart in grey too: night is darkest, then peak, then day."""

ZONE_WORDS: Final[Mapping[str, str]] = {
    Zone.ALL: mark("Whole day"),
    Zone.PEAK: mark("Peak"),
    Zone.SEMI_PEAK: mark("Semi-peak"),
    Zone.DAY: mark("Day"),
    Zone.NIGHT: mark("Night"),
}
"""Messages of the catalogue, by zone."""
