"""What every letter is made of, apart from how it is set."""

import unicodedata
from dataclasses import dataclass
from typing import Final

LONGEST_LINE: Final = 200
"""Characters of a name or an address that a letter shows."""


@dataclass(frozen=True, slots=True)
class Letter:
    """The content of a notice, apart from how it is set."""

    subject: str
    tone: str
    """`warn`, `good` or `plain`: the colour of the figure."""
    headline: str
    figure: str
    figure_note: str
    sentences: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]
    action: str
    """What the button to the account page says."""
    short: str = ""
    """What an SMS says after the subject; empty where the subject says enough."""


def line(text: str) -> str:
    """Return `text` on one line: no control, format or surrogate characters, no runs of space."""
    plain = "".join(
        " " if char.isspace() else char
        for char in text
        if char.isspace() or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )
    short = " ".join(plain.split())
    return short if len(short) <= LONGEST_LINE else short[: LONGEST_LINE - 1] + "…"
