"""Estimated register readings as values: what a later reading makes of them, and which count."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from kilokassa.core.zones import Zone
from metering.estimation.methods import EstimationMethod
from metering.estimation.registers import (
    KeptEstimate,
    charged_month,
    missing_reading,
    period_number,
    settle,
)
from metering.estimation.rules import Trigger
from metering.estimation.trust import Verification, span_of_estimate, trusted_series, trusted_spans
from metering.registers import RegisterReading, modulus, register_differences

ZONE = ZoneInfo("Asia/Vladivostok")
TOP = modulus(6)


def reading(day, kwh, quality=Quality.CUSTOMER_READ):
    return RegisterReading(1, Zone.ALL, local_midnight(day, ZONE), kwh * 1000, quality)


def kept(number, start, end, wh):
    return KeptEstimate(
        id=number,
        zone=Zone.ALL,
        period=Period(local_midnight(start, ZONE), local_midnight(end, ZONE)),
        method=EstimationMethod.OWN_AVERAGE,
        rule="missing_reading.average@2012-09-01",
        quantity=wh,
    )


@pytest.mark.parametrize(
    ("taken", "month"),
    [
        (datetime(2026, 10, 1, tzinfo=ZONE), "2026-09"),
        (datetime(2026, 10, 1, 0, 1, tzinfo=ZONE), "2026-10"),
        (datetime(2026, 10, 31, 23, 59, tzinfo=ZONE), "2026-10"),
        (datetime(2026, 11, 1, tzinfo=ZONE), "2026-10"),
    ],
)
def test_a_reading_of_the_first_midnight_closes_the_month_before(taken, month):
    assert str(Month.from_ordinal(charged_month(taken.astimezone(UTC), ZONE))) == month


MONTHS = [Month(2026, 7).plus(n) for n in range(6)]


@given(
    quantities=st.lists(st.integers(0, 400_000), min_size=1, max_size=6),
    counted_kwh=st.integers(0, 90_000),
    opening_kwh=st.integers(0, 999_999),
    days_after=st.integers(1, 60),
)
def test_whatever_was_estimated_a_later_reading_makes_it_sum_to_what_was_counted(
    quantities, counted_kwh, opening_kwh, days_after
):
    start = date(2026, 6, 24)
    estimates, readings = [], [reading(start, opening_kwh)]
    reached, value = start, opening_kwh * 1000
    for number, wh in enumerate(quantities):
        end = MONTHS[number].plus(1).first_day
        value = (value + wh) % TOP
        estimates.append(kept(number, reached, end, wh))
        readings.append(
            RegisterReading(1, Zone.ALL, local_midnight(end, ZONE), value, Quality.ESTIMATED)
        )
        reached = end
    closing = (opening_kwh + counted_kwh) % 1_000_000
    readings.append(reading(reached + timedelta(days=days_after), closing))

    changes = settle(readings, estimates, modulus=TOP, zone=ZONE)

    standing = {r.taken_at: r for r in readings} | {r.taken_at: r for r in changes.readings}
    differences = register_differences(standing.values(), digits=6)
    assert sum(d.energy for d in differences) == counted_kwh * 1000
    assert all(d.energy >= 0 for d in differences)
    assert len(differences) == len(quantities) + 1
    assert changes.replaced == tuple(range(len(quantities)))
    assert sum(e.quantity for e in changes.estimates) <= counted_kwh * 1000


def test_settling_twice_changes_nothing_the_second_time():
    readings = [
        reading(date(2026, 6, 24), 1000),
        reading(date(2026, 8, 1), 1100, Quality.ESTIMATED),
        reading(date(2026, 8, 24), 1061),
    ]
    first = settle(
        readings,
        [kept(1, date(2026, 6, 24), date(2026, 8, 1), 100_000)],
        modulus=TOP,
        zone=ZONE,
    )
    (made,) = first.estimates
    stands = KeptEstimate(2, made.zone, made.period, made.method, made.rule, made.quantity)
    readings[1] = first.readings[0]

    second = settle(readings, [stands], modulus=TOP, zone=ZONE)

    # 38 days of 61.
    assert made.quantity == 38_000
    assert (second.readings, second.replaced, second.estimates) == ((), (), ())


def test_a_reading_that_went_back_leaves_the_estimates_to_a_person():
    readings = [
        reading(date(2026, 6, 24), 1000),
        reading(date(2026, 8, 1), 1100, Quality.ESTIMATED),
        reading(date(2026, 8, 24), 900),
    ]
    estimates = [kept(1, date(2026, 6, 24), date(2026, 8, 1), 100_000)]

    changes = settle(readings, estimates, modulus=TOP, zone=ZONE)

    assert changes.readings == changes.estimates == changes.replaced == ()


JULY_END = local_midnight(date(2026, 8, 1), ZONE)


@pytest.mark.parametrize(
    ("readings", "part"),
    [
        # Read before the month and not in it: the whole month is missing.
        ([(date(2026, 5, 24), 1), (date(2026, 6, 24), 2)], (1, 1)),
        ([(date(2026, 6, 24), 2)], (1, 1)),
        # Read in the month, or estimated at its end already: nothing is.
        ([(date(2026, 6, 24), 2), (date(2026, 7, 24), 3)], None),
        ([(date(2026, 6, 24), 2), (date(2026, 8, 1), 3)], None),
        # A reading of the month's first midnight closed the month before.
        ([(date(2026, 6, 24), 2), (date(2026, 7, 1), 3)], (1, 1)),
        # Its first reading lies in the month: from then on, by days.
        ([(date(2026, 7, 11), 2)], (21, 31)),
        ([], None),
        ([(date(2026, 8, 2), 1)], None),
    ],
)
def test_what_of_a_month_no_reading_tells(readings, part):
    series = [reading(day, kwh) for day, kwh in readings]

    found = missing_reading(series, Month(2026, 7), ZONE, until=JULY_END)

    assert (None if found is None else found.part) == part


@pytest.mark.parametrize(
    ("month", "unverified_from", "number"),
    [
        (Month(2017, 10), date(2017, 10, 3), 0),
        (Month(2018, 1), date(2017, 10, 3), 3),
        (Month(2018, 2), date(2017, 10, 3), 4),
        (Month(2017, 10), date(2017, 10, 1), 1),
    ],
)
def test_periods_after_an_expiry_count_from_the_first_whole_one(month, unverified_from, number):
    assert period_number(Trigger.VERIFICATION_EXPIRED, month, (), unverified_from) == number


def test_periods_without_readings_count_those_directly_before():
    months = [Month(2026, n).ordinal for n in (3, 5, 6)]

    assert period_number(Trigger.MISSING_READING, Month(2026, 7), months, None) == 3
    assert period_number(Trigger.MISSING_READING, Month(2026, 9), months, None) == 1


# --- which readings count ---


def spans(verified_until, *verifications):
    found = trusted_spans(verified_until, [Verification(*v) for v in verifications], ZONE)
    far = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    return [
        tuple(None if at in far else at.astimezone(ZONE).date() for at in (s.start, s.end))
        for s in found
    ]


@pytest.mark.parametrize(
    ("verified_until", "verifications", "expected"),
    [
        (None, [], [(None, None)]),
        (date(2026, 3, 9), [], [(None, date(2026, 3, 10))]),
        # Verified again in time: one span.
        (
            date(2042, 3, 1),
            [(date(2010, 1, 1), date(2026, 3, 9)), (date(2026, 3, 2), date(2042, 3, 1))],
            [(None, date(2042, 3, 2))],
        ),
        # Too late: nothing counts from 10 March to 5 May.
        (
            date(2042, 5, 4),
            [(date(2010, 1, 1), date(2026, 3, 9)), (date(2026, 5, 5), date(2042, 5, 4))],
            [(None, date(2026, 3, 10)), (date(2026, 5, 5), date(2042, 5, 5))],
        ),
    ],
)
def test_a_meter_is_believed_while_its_verification_holds(verified_until, verifications, expected):
    assert spans(verified_until, *verifications) == expected


def test_readings_between_verifications_do_not_count_and_estimates_stay_with_the_old_one():
    found = trusted_spans(
        date(2042, 5, 4),
        [
            Verification(date(2010, 1, 1), date(2026, 3, 9)),
            Verification(date(2026, 5, 5), date(2042, 5, 4)),
        ],
        ZONE,
    )
    readings = [
        reading(date(2026, 2, 24), 1),
        reading(date(2026, 4, 24), 2),
        reading(date(2026, 5, 1), 3, Quality.ESTIMATED),
        reading(date(2026, 5, 5), 4, Quality.ESTIMATED),
        reading(date(2026, 5, 24), 5),
    ]

    before, after = trusted_series(readings, found)

    assert [r.value // 1000 for r in before] == [1, 3, 4]
    assert [r.value // 1000 for r in after] == [5]
    assert span_of_estimate(found, local_midnight(date(2026, 5, 5), ZONE)) == 0
