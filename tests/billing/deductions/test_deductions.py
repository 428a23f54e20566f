"""Annex 1 takes 0.15 % of the month's charge off for an hour beyond what is allowed."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.charges import NewLine, name_of
from billing.deductions.deductions import (
    DEDUCTION_UNCERTAIN,
    QualityRecord,
    deductions,
)
from billing.models import LineUnit, Service
from kilokassa.core.calendar import Month
from kilokassa.core.period import Period
from metering.events.kinds import QualityEventKind
from metering.events.quality import QualityPeriod
from metering.registry.places import Commodity
from tariffs.lines import ChargeKind

ZONE = ZoneInfo("Asia/Vladivostok")
OCTOBER = Month(2026, 10)
ALWAYS = Period(datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
NOON = datetime(2026, 10, 10, 2, tzinfo=UTC)


def charge(amount_minor, service=Service.ELECTRICITY, **more):
    period = OCTOBER.period(ZONE)
    return NewLine(
        service=service,
        key=more.pop("key", "all/-/2026-07-01"),
        quantity=100_000,
        rate_scaled=1,
        amount_minor=amount_minor,
        period_start=period.start,
        period_end=period.end,
        input_digest="d",
        **more,
    )


def outage(hours, *, commodity=Commodity.ELECTRICITY, start=NOON, number=7, measured=None):
    period = Period(start, start + timedelta(hours=hours))
    kind = QualityEventKind.NO_SUPPLY
    return QualityRecord(number, QualityPeriod(commodity, kind, period, measured))


@pytest.mark.parametrize(
    ("commodity", "hours", "charged_minor", "share_ppm", "taken_minor"),
    [
        # One break of up to 24 hours at once is allowed to electricity: 6 hours of 30 count.
        (Commodity.ELECTRICITY, 24, 1_000_00, None, 0),
        (Commodity.ELECTRICITY, 25, 1_000_00, 1_500, 1_50),
        (Commodity.ELECTRICITY, 30, 1_000_00, 9_000, 9_00),
        (Commodity.ELECTRICITY, 30, 1_111_17, 9_000, 10_00),  # 10.00053
        (Commodity.ELECTRICITY, 30, 1_055_00, 9_000, 9_50),  # 9.495, half up
        # Four hours at once of water: 26 hours of 30 count.
        (Commodity.COLD_WATER, 30, 500_00, 39_000, 19_50),
        # 16 hours at once of heat while the rooms are 12 degrees or warmer.
        (Commodity.HEAT, 30, 2_000_00, 21_000, 42_00),
        # 700 hours of a heat break are more than the month can pay for.
        (Commodity.HEAT, 500, 2_000_00, 726_000, 1_452_00),
    ],
)
def test_hours_beyond_the_allowance_take_a_share_of_the_charge_off(
    commodity, hours, charged_minor, share_ppm, taken_minor
):
    service = Service(str(commodity))
    record = outage(hours, commodity=commodity, measured=125)

    lines, _ = deductions([charge(charged_minor, service)], [record], OCTOBER, ZONE, ALWAYS)

    assert sum(line.amount_minor for line in lines) == -taken_minor
    assert [line.rate_scaled for line in lines] == ([share_ppm] if share_ppm else [])


def test_a_deduction_says_which_record_hours_and_source_it_follows_from():
    (line,), warnings = deductions([charge(1_000_00)], [outage(30)], OCTOBER, ZONE, ALWAYS)

    told = json.loads(line.detail)["deduction"]
    assert (told["records"], told["item"]) == ([7], "9")
    assert (told["lasted_min"], told["counted_min"]) == (1_800, 360)
    assert told["source"].startswith("ПП 354, приложение 1, п. 9")
    assert warnings == (DEDUCTION_UNCERTAIN,)
    assert name_of(line.detail, "en") == "Deduction for a break in supply"
    assert (line.charge, line.unit, line.code) == (ChargeKind.DEDUCTION, LineUnit.MINOR, "9")
    assert line.quantity * line.rate_scaled * line.factor == line.amount_minor * line.divisor


def test_fixed_charges_taxes_and_a_guarantee_belong_to_the_charge_and_export_does_not():
    lines = [
        charge(1_000_00),
        charge(100_00, charge=ChargeKind.FIXED, key="fixed:upkeep/-/2026-10-01"),
        charge(-50_00, charge=ChargeKind.GUARANTEE, key="guarantee/-/2026-10-01"),
        charge(-300_00, charge=ChargeKind.EXPORT, key="export/-/2026-10-01"),
        charge(999_00, Service.HEAT, key="heat/x"),
    ]

    (line,), _ = deductions(lines, [outage(30)], OCTOBER, ZONE, ALWAYS)

    assert line.quantity == 1_050_00


def test_what_happened_before_the_account_opened_takes_nothing_off():
    opened = Period(NOON + timedelta(hours=40), ALWAYS.end)

    assert deductions([charge(1_000_00)], [outage(30)], OCTOBER, ZONE, opened) == ((), ())


def test_nothing_charged_is_nothing_to_take_off():
    assert deductions([], [outage(30)], OCTOBER, ZONE, ALWAYS) == ((), ())
    assert deductions([charge(-5_00)], [outage(30)], OCTOBER, ZONE, ALWAYS) == ((), ())


@given(
    charged_minor=st.integers(0, 10_000_00),
    outages=st.lists(st.tuples(st.integers(0, 700), st.integers(1, 720)), max_size=4),
    cold=st.integers(0, 720),
)
def test_no_more_is_taken_off_than_was_charged_and_never_added(charged_minor, outages, cold):
    month = OCTOBER.period(ZONE)
    records = [
        outage(
            hours,
            commodity=Commodity.HEAT,
            start=month.start + timedelta(hours=after),
            number=number,
            measured=125,
        )
        for number, (after, hours) in enumerate(outages)
    ]
    if cold:
        period = Period(month.start, month.start + timedelta(hours=cold))
        kind = QualityEventKind.ROOM_TEMPERATURE
        records.append(QualityRecord(9, QualityPeriod(Commodity.HEAT, kind, period, 20)))

    lines, _ = deductions([charge(charged_minor, Service.HEAT)], records, OCTOBER, ZONE, ALWAYS)

    assert all(line.amount_minor < 0 for line in lines)
    assert -sum(line.amount_minor for line in lines) <= charged_minor
