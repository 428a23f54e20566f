"""What was learned, of which days, about whom; and which of several causes a line names."""

from datetime import UTC, date, datetime, timedelta

import pytest

from billing.charges import NewLine
from billing.models import CorrectionReason, Service
from billing.recalculation.changes import (
    SPECIFICITY,
    Change,
    cause_of,
    most_specific,
)
from kilokassa.core.calendar import Month
from tariffs.lines import ChargeKind

CLOSED = datetime(2026, 11, 3, tzinfo=UTC)
LATER = CLOSED + timedelta(hours=1)
OCTOBER = Month(2026, 10)


def change(first, last=None, *, learned_at=LATER, **concerned):
    return Change(CorrectionReason.FACTS, learned_at, first, last, **concerned)


@pytest.mark.parametrize(
    ("first", "last", "learned_at", "touched"),
    [
        (date(2026, 10, 31), None, LATER, True),
        (date(2026, 11, 1), None, LATER, False),
        (date(2020, 1, 1), date(2026, 10, 1), LATER, True),
        (date(2020, 1, 1), date(2026, 9, 30), LATER, False),
        (date(2026, 10, 5), None, CLOSED, False),
    ],
)
def test_a_month_is_touched_by_what_is_about_its_days_and_was_learned_later(
    first, last, learned_at, touched
):
    assert change(first, last, learned_at=learned_at).touches(OCTOBER, CLOSED) is touched


def line(service=Service.ELECTRICITY, charge=ChargeKind.ENERGY):
    return NewLine(service, "k", 1, 1, 1, CLOSED, LATER, "d", charge=charge)


R = CorrectionReason


@pytest.mark.parametrize(
    ("shown", "reasons", "cause"),
    [
        (line(), [R.READINGS, R.COMMON_AREA], R.READINGS),
        (line(Service.COMMON_ELECTRICITY), [R.READINGS, R.COMMON_AREA], R.COMMON_AREA),
        (line(), [R.QUALITY, R.TARIFF], R.TARIFF),
        (line(charge=ChargeKind.DEDUCTION), [R.QUALITY, R.TARIFF], R.QUALITY),
        (line(Service.HEAT), [R.ABSENCE, R.FACTS], R.FACTS),
        (line(Service.HOT_WATER), [R.ABSENCE, R.FACTS], R.ABSENCE),
        (line(), [R.COMMON_AREA], R.COMMON_AREA),  # nothing fits: what there is
    ],
)
def test_a_line_names_a_cause_that_can_move_it(shown, reasons, cause):
    assert cause_of(shown, reasons) is cause


def test_every_cause_has_its_place_among_the_others():
    assert set(SPECIFICITY) == set(CorrectionReason)
    assert most_specific(CorrectionReason) is CorrectionReason.ABSENCE
