"""Estimates: the named methods by which a value that was not measured comes about."""

from enum import StrEnum


class EstimationMethod(StrEnum):
    """How a value that was not measured is computed."""

    INTERPOLATION = "interpolation"
    LIKE_DAY = "like_day"
    OWN_AVERAGE = "own_average"
    HOUSE_MEAN = "house_mean"
    STANDARD_PROFILE = "standard_profile"
    NORM = "norm"
