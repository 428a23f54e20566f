"""The standard load profiles that the town's households are shaped by."""

from metering.estimation.profiles import HALF_HOURS, DayType, ProfileKind, load_profile

__all__ = ["HALF_HOURS", "DayType", "ProfileKind", "load_profile"]
