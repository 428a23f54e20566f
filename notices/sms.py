"""An SMS as the network counts it: parts of 160 letters of its own alphabet, of 70 of any other.

The alphabet and its extension are those of 3GPP TS 23.038, 6.2.1; a letter of the extension takes
two places. A text of several parts gives up room in each for its header: 153 and 67 are left (3GPP
TS 23.040, 9.2.3.24.1).
"""

from typing import Final

ALPHABET: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final = frozenset("\f^{}\\[~]|€")

MOST_PARTS: Final = 3
"""Longer texts are cut: each part costs, and people do not read them."""

_SUBSTITUTES: Final = str.maketrans(
    {"\u00a0": " ", "\u202f": " ", "₽": "р.", "–": "-", "—": "-", "−": "-", "«": '"', "»": '"'}
)


def plain(text: str) -> str:
    """Return `text` with signs that make an SMS longer or that old telephones lack put simply.

    >>> plain("осталось 250,00\u00a0₽")
    'осталось 250,00 р.'
    >>> plain("₽250.00 left")
    'RUB 250.00 left'
    """
    if text.replace("₽", "").isascii():
        text = text.replace("₽", "RUB ")
    return " ".join(text.translate(_SUBSTITUTES).split())


def parts(text: str) -> int:
    """Return how many parts `text` is sent in, and paid for.

    >>> parts("a" * 160), parts("a" * 161), parts("я" * 70), parts("я" * 71), parts("€" * 81)
    (1, 2, 1, 2, 2)
    """
    single, each = (160, 153) if _is_basic(text) else (70, 67)
    places = _places(text)
    return 1 if places <= single else -(-places // each)


def cut(text: str, most_parts: int = MOST_PARTS) -> str:
    """Return `text`, or as much of its beginning as goes into so many parts."""
    if parts(text) <= most_parts:
        return text
    kept = text
    while parts(f"{kept}...") > most_parts:
        kept = kept[:-1]
    return f"{kept.rstrip()}..."


def _is_basic(text: str) -> bool:
    return all(char in ALPHABET or char in EXTENSION for char in text)


def _places(text: str) -> int:
    """Count septets of the network's alphabet, else UTF-16 units."""
    if _is_basic(text):
        return sum(1 + (char in EXTENSION) for char in text)
    return len(text.encode("utf-16-le")) // 2
