"""How sure we are of a rule of law: data that carries it is printed with a warning if not high."""

from enum import StrEnum


class Confidence(StrEnum):
    """How a value came to be known."""

    HIGH = "high"
    MEDIUM = "medium"
    MEMORY = "memory"
