"""Flags of an account: what protects it, and what its contract says."""

from enum import StrEnum


class FlagKind(StrEnum):
    """What is stated about an account."""

    VULNERABLE = "vulnerable"
    """A person lives here whom no limitation may reach: yes or no."""
    NEVER_CUT = "never_cut"
    GUARD_SET = "guard_set"
    """The code of the guard set of its contract."""
    EMERGENCY_CREDIT = "emergency_credit"
    """How many kopecks the contract grants."""
    APARTMENT_HOUSE = "apartment_house"
    OPENING_SHARE = "opening_share"
    """The largest share of a top-up that old debt takes, in basis points."""
