"""The names of enumerated values as people read them; messages of the catalogue."""

from enum import StrEnum
from typing import Final

from billing.models import LineKind, Measurement, RunState, Service, Settlement
from invoices.numbering import DocumentKind
from kilokassa.core.scope import Role
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from metering.events import (
    DeviceEventKind,
    QualityBasis,
    QualityEventKind,
    QualityEventState,
    VisitOutcome,
)
from metering.findings import FindingKind, FindingState
from metering.house_balance import Flow
from metering.places import Commodity, CommonAreaKind
from metering.registry import EVENT_NAMES, STAGE_NAMES, DueBand, DueReason
from metering.suspects import EvidenceSeries, PartKind
from metering.verification_periods import MeterType
from notices.notice import NoticeState
from wallet.ledger import Reason
from wallet.lots import LotKind

_PAIRS: Final[tuple[tuple[StrEnum, str], ...]] = (
    (Zone.ALL, mark("Whole day")),
    (Zone.PEAK, mark("Peak")),
    (Zone.SEMI_PEAK, mark("Semi-peak")),
    (Zone.DAY, mark("Day")),
    (Zone.NIGHT, mark("Night")),
    (Settlement.PREPAID, mark("Prepaid")),
    (Settlement.POSTPAID, mark("Postpaid")),
    (Measurement.INTERVALS, mark("Interval meter")),
    (Measurement.REGISTERS, mark("Read by hand")),
    (Service.ELECTRICITY, mark("Electricity")),
    (Service.HEAT, mark("Heat")),
    (LineKind.ORIGINAL, mark("Charge")),
    (LineKind.REVERSAL, mark("Reversal")),
    (LineKind.CORRECTION, mark("Correction")),
    (RunState.OPEN, mark("Running")),
    (RunState.DONE, mark("Done")),
    (RunState.FAILED, mark("Failed")),
    (Reason.TOP_UP, mark("Top-up")),
    (Reason.BONUS, mark("Bonus")),
    (Reason.CHARGE, mark("Charge")),
    (Reason.CORRECTION, mark("Correction")),
    (Reason.OPENING_DEBT, mark("Opening debt")),
    (Reason.OPENING_ADVANCE, mark("Opening advance")),
    (Reason.EXPIRY, mark("Bonus expired")),
    (Reason.REVERSAL, mark("Reversal")),
    (LotKind.OWN, mark("Own money")),
    (LotKind.BONUS, mark("Bonus")),
    (LotKind.RETURNED, mark("Given back")),
    (DocumentKind.PAYMENT_DOCUMENT, mark("Payment document")),
    (DocumentKind.RECEIPT, mark("Receipt of money")),
    (DocumentKind.CANCELLATION, mark("Cancellation")),
    (FindingState.OPEN, mark("Open")),
    (FindingState.ACCEPTED, mark("Accepted")),
    (FindingState.CORRECTED, mark("Corrected")),
    (FindingState.REPEATED, mark("Told by a later import")),
    (FindingKind.GAP, mark("Gap")),
    (FindingKind.DUPLICATE_SAME, mark("Repeated values")),
    (FindingKind.DUPLICATE_DIFFERENT, mark("Conflicting values")),
    (FindingKind.NEGATIVE, mark("Negative values")),
    (FindingKind.OFF_GRID, mark("Off the grid")),
    (FindingKind.REGISTER_BACKWARDS, mark("Register ran backwards")),
    (FindingKind.REGISTER_ROLLOVER, mark("Register rolled over")),
    (FindingKind.OUT_OF_ORDER, mark("Out of order")),
    (FindingKind.SPIKE, mark("Spike")),
    (FindingKind.STUCK, mark("Stuck value")),
    (FindingKind.WRONG_INTERVAL, mark("Wrong interval length")),
    (FindingKind.OVER_CAPACITY, mark("Beyond the capacity")),
    (FindingKind.WHILE_DISCONNECTED, mark("Used while disconnected")),
    (FindingKind.REGISTER_DIFFERS, mark("Register and intervals differ")),
    (FindingKind.ZONES_SWAPPED, mark("Zones look swapped")),
    (FindingKind.CLOCK_DRIFT, mark("Clock drift")),
    (Commodity.ELECTRICITY, mark("Electricity")),
    (Commodity.HEAT, mark("Heat")),
    (Commodity.HOT_WATER, mark("Hot water")),
    (Commodity.COLD_WATER, mark("Cold water")),
    (CommonAreaKind.STAIRS, mark("Stairs")),
    (CommonAreaKind.LIFT, mark("Lift")),
    (CommonAreaKind.CELLAR, mark("Cellar")),
    (CommonAreaKind.ATTIC, mark("Attic")),
    (CommonAreaKind.YARD, mark("Yard")),
    (CommonAreaKind.TECHNICAL, mark("Technical room")),
    (CommonAreaKind.OTHER, mark("Other")),
    *EVENT_NAMES.items(),
    *STAGE_NAMES.items(),
    (DueReason.VERIFICATION, mark("Verification")),
    (DueReason.SERVICE_LIFE, mark("Service life")),
    (DueReason.REPAIRED, mark("Repair without verification")),
    (DueReason.UNKNOWN, mark("Verification unknown")),
    (DueBand.EXPIRED, mark("Overdue")),
    (DueBand.WITHIN_30, mark("Within 30 days")),
    (DueBand.WITHIN_90, mark("Within 90 days")),
    (DueBand.WITHIN_180, mark("Within 180 days")),
    (DueBand.LATER, mark("Later")),
    (DueBand.UNKNOWN, mark("Unknown")),
    (MeterType.SINGLE_PHASE, mark("single-phase")),
    (MeterType.THREE_PHASE, mark("three-phase")),
    (MeterType.INDUCTION, mark("induction")),
    (MeterType.MECHANICAL, mark("mechanical")),
    (MeterType.HEAT_METER, mark("heat meter")),
    (DeviceEventKind.COVER_OPENED, mark("Cover opened")),
    (DeviceEventKind.TERMINALS_OPENED, mark("Terminals opened")),
    (DeviceEventKind.MAGNET, mark("Magnet")),
    (DeviceEventKind.PHASE_LOST, mark("Phase lost")),
    (DeviceEventKind.CURRENT_REVERSED, mark("Current reversed")),
    (DeviceEventKind.POWER_OFF, mark("Power off")),
    (DeviceEventKind.CLOCK_SET, mark("Clock set")),
    (DeviceEventKind.VOLTAGE_OUT_OF_RANGE, mark("Voltage out of range")),
    (DeviceEventKind.DISCONNECTED, mark("Load switched off")),
    (QualityEventKind.NO_SUPPLY, mark("No supply")),
    (QualityEventKind.VOLTAGE, mark("Voltage out of range")),
    (QualityEventKind.ROOM_TEMPERATURE, mark("Temperature of the rooms")),
    (QualityEventKind.WATER_TEMPERATURE, mark("Temperature of hot water")),
    (QualityBasis.METER, mark("Told by meters")),
    (QualityBasis.ACT, mark("Act")),
    (QualityBasis.COMPLAINT, mark("Complaint")),
    (QualityEventState.REPORTED, mark("Reported")),
    (QualityEventState.CONFIRMED, mark("Confirmed")),
    (QualityEventState.REJECTED, mark("Rejected")),
    (VisitOutcome.READ, mark("Read")),
    (VisitOutcome.NO_ACCESS, mark("No access")),
    (VisitOutcome.BROKEN, mark("Broken")),
    (VisitOutcome.SKIPPED, mark("To come back to")),
    (Flow.FLATS, mark("Flats")),
    (Flow.COMMON, mark("Common areas")),
    (Flow.LOSSES, mark("Technical losses")),
    (Flow.REMAINDER, mark("Unmetered remainder")),
    (EvidenceSeries.HIDDEN, mark("What this flat would hide")),
    (EvidenceSeries.REST, mark("The rest of the remainder")),
    (EvidenceSeries.GROWTH, mark("Growth of the remainder")),
    (EvidenceSeries.SHAPE, mark("What this flat would hide at that hour")),
    (PartKind.SHAPE, mark("Shape")),
    (PartKind.DROP, mark("Drop")),
    (PartKind.SILENCE, mark("Silence")),
    (PartKind.TAMPER, mark("Tampering")),
    (PartKind.VERIFICATION, mark("Verification")),
    (PartKind.STUCK, mark("Stuck value")),
    (NoticeState.PENDING, mark("Waiting")),
    (NoticeState.SENDING, mark("Being sent")),
    (NoticeState.SENT, mark("Delivered")),
    (NoticeState.FAILED, mark("Put off")),
    (NoticeState.GIVEN_UP, mark("Given up")),
    (Role.ADMINISTRATOR, mark("Administrator")),
    (Role.OPERATOR, mark("Operator")),
    (Role.ANALYST, mark("Tariff analyst")),
    (Role.AUDITOR, mark("Auditor")),
    (Role.COMPANY, mark("Management company")),
    (Role.RESIDENT, mark("Resident")),
)

# By kind as well: enumerations of text are equal wherever their words are.
_WORDS: Final = {(type(value), str(value)): message for value, message in _PAIRS}


def word(value: StrEnum) -> str:
    """Return the message that names a value; the value itself where none is known."""
    return _WORDS.get((type(value), str(value)), str(value))
