"""What meters, acts and complaints tell besides readings: the kinds of events, and their states."""

from enum import StrEnum


class DeviceEventKind(StrEnum):
    """What a meter noticed itself."""

    COVER_OPENED = "cover_opened"
    TERMINALS_OPENED = "terminals_opened"
    MAGNET = "magnet"
    PHASE_LOST = "phase_lost"
    CURRENT_REVERSED = "current_reversed"
    POWER_OFF = "power_off"
    CLOCK_SET = "clock_set"
    VOLTAGE_OUT_OF_RANGE = "voltage_out_of_range"
    DISCONNECTED = "disconnected"
    """The load was switched off by the meter's relay, from `starts_at` to `ends_at`."""


TAMPERING = frozenset(
    {
        DeviceEventKind.COVER_OPENED,
        DeviceEventKind.TERMINALS_OPENED,
        DeviceEventKind.MAGNET,
        DeviceEventKind.CURRENT_REVERSED,
    }
)
"""Events after which a meter is looked at by a person."""


class QualityEventKind(StrEnum):
    """In what a service was not as it must be."""

    NO_SUPPLY = "no_supply"
    VOLTAGE = "voltage"
    ROOM_TEMPERATURE = "room_temperature"
    WATER_TEMPERATURE = "water_temperature"


class QualityBasis(StrEnum):
    """What a quality event is known from."""

    METER = "meter"
    ACT = "act"
    COMPLAINT = "complaint"


class QualityEventState(StrEnum):
    """Whether a quality event counts."""

    REPORTED = "reported"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class VisitOutcome(StrEnum):
    """What came of a visit to a meter."""

    READ = "read"
    NO_ACCESS = "no_access"
    BROKEN = "broken"
    SKIPPED = "skipped"
